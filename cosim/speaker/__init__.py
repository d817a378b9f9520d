"""The speaker task on the modelled array and on the simulated chip."""
