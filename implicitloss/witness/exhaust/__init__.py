"""Enumeration of every draw, for tiny L and m."""

from implicitloss.witness.exhaust.every_draw import exhaust

__all__ = ["exhaust"]
