"""Every SQL statement in the project, and the places the rows live in."""
