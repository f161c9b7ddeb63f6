"""The pure conversation between a bank and the cloud: no I/O, no clock."""
