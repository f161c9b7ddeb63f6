"""Modbus relay boards that time their own pulse (Waveshare), over RTU, Modbus TCP and RTU over TCP."""
