"""The "8A" lock boards (YH, YF and many unbranded ones)."""

from latchwork.edge.drivers.lcb_8a.driver import make

__all__ = ["make"]
