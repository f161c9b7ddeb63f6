"""What people and systems can do, one module a topic: the only callers of store and of instructions."""
