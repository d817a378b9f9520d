"""Cocotb benches: drivers, monitors and scoreboards at the pins."""
