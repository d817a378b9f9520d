"""Registers and streams of the loop-back design, for those who cannot import amaranth."""

ELEMENTS = 4
BIAS, COUNT, FLAW, MEMORY, MISSING = 0x00, 0x04, 0x08, 0x40, 0x80   # byte addresses; MISSING answers with an error
