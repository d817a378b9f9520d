"""What: the executable specification and the bit-exact oracle."""
