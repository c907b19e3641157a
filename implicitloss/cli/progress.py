"""What a command says on stderr while it works: notes and a line of progress.  Results go to stdout."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from typing import TextIO

__all__ = ["Progress", "say", "silence"]


def say(text: str, end: str = "\n") -> None:
    """Write a note to stderr; if stderr cannot be written, the command goes on without it."""
    try:
        print(text, end=end, file=sys.stderr, flush=True)
    except OSError:
        silence(sys.stderr)


def silence(stream: TextIO) -> None:
    """Send what a broken stream still holds to the null device, so that it does not fail again when Python exits."""
    with contextlib.suppress(OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


class Progress:
    """Show `[ 3/55] what` on stderr: one line that is overwritten on a terminal, one line each elsewhere."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.live = sys.stderr.isatty()
        self.said_at = time.monotonic()

    def __call__(self, i: int, what: str) -> None:
        line = f"[{i + 1:>{len(str(self.total))}}/{self.total}] {what}"
        self.said_at = time.monotonic()
        if self.live:
            say(f"\r\x1b[2K{line}", end="")
        else:
            say(line)

    def done(self) -> None:
        """Clear the line."""
        if self.live:
            say("\r\x1b[2K", end="")
