"""The command line, `implicitloss COMMAND`: a file a command in `commands/`, and what all commands share beside it.

A module that is slow to import (NumPy, SymPy, SciPy, Numba) is imported by the command that needs it, when it runs.
"""

from __future__ import annotations

from implicitloss.cli.main import main

__all__ = ["main"]
