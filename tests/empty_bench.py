"""A bench module in which somebody forgot the tests."""
