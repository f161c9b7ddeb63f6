"""The pure rules of a locker bank: no clock, no randomness, no I/O."""
