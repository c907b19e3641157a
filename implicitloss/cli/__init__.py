"""The command line: `implicitloss derive | expect | simulate | verify | audit | table`.

Heavy imports wait for their command.
"""

from __future__ import annotations

from implicitloss.cli.main import main

__all__ = ["main"]
