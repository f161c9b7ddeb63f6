"""Pages for people: parse, action, render."""
