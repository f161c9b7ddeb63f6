"""What may happen at the wall, a module a topic; `decide` is their table."""
