"""Commissioning: which door answers which channel, found out by a person at the wall, one pulse at a time."""
