"""The operator's pages: walls as they are now, what lies in them, and a door opened from afar with a reason."""
