"""Inputs that nobody would send, to everything that reads from outside: see `python -m fuzz --help`."""
