"""The Winnsen lock boards."""

from latchwork.edge.drivers.winnsen.driver import make

__all__ = ["make"]
