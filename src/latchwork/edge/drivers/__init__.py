"""Lock boards: what they must promise (`protocol`), then one folder per board family."""
