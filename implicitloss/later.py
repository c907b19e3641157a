"""Modules that are imported when they are first used.

SymPy and SciPy take longer to import than a command that never needs them takes to run.
"""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["later"]


class _Later:
    """Stands for a module, and has its attributes."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(importlib.import_module(self._name), attribute)


def later(name: str) -> Any:
    """The module of this name, which is imported for the first of its attributes that is asked for."""
    return _Later(name)
