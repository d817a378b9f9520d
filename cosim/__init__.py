"""World: the board and the array around the RTL, and the runs that bring them together."""
