"""The face task of `rmdlora tasks`: on the array model, on the RTL, its costs and its pictures."""
