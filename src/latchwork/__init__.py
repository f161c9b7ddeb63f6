"""Latchwork: the open-source operating system for smart lockers."""
