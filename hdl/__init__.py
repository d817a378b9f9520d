"""How: the synthesisable gateware, in Amaranth."""
