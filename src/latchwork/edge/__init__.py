"""The shell on the locker wall: one process per bank."""
