"""Temperature inside a bank: what a sensor says (`reading`), whether to believe it, and a module per kind of sensor."""
