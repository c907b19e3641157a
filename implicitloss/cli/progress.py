"""What a command says on stderr while it works: notes and a line of progress.  Results go to stdout."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from typing import Any, ClassVar, TextIO

__all__ = ["Progress", "busy", "say", "silence"]


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


@contextlib.contextmanager
def busy(what: str) -> Iterator[None]:
    """Say on a terminal what is under way, for work without steps."""
    progress = Progress(1)
    if progress.live:
        progress(0, what)
    try:
        yield
    finally:
        progress.done()


class Progress:
    """Show `[ 3/55] what` on stderr: a line each, or on a terminal one line with a bar, which is cleared when done."""

    _shown: ClassVar[list[Progress]] = []

    def __init__(self, total: int) -> None:
        self.total = total
        self.live = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self.said_at = time.monotonic()
        self._bar: Any = None
        self._task: Any = None

    def __call__(self, i: int, what: str) -> None:
        """Say that the work of number `i`, from 0, begins."""
        line = f"[{i + 1:>{len(str(self.total))}}/{self.total}] {what}"
        self.said_at = time.monotonic()
        if not self.live:
            say(line)
            return
        if self._bar is None:
            self._begin()
        self._bar.update(self._task, total=self.total, completed=i, description=line if self.total > 1 else what)

    def _begin(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bar

        text = TextColumn("{task.description}", markup=False)
        spinner = "dots" if (sys.stderr.encoding or "").lower().startswith("utf") else "line"
        self._bar = Bar(
            SpinnerColumn(spinner), text, BarColumn(24), TimeElapsedColumn(),
            console=Console(stderr=True), transient=True, redirect_stdout=False, redirect_stderr=False,
        )  # fmt: skip
        self._task = self._bar.add_task("", total=self.total)
        self._bar.start()
        Progress._shown.append(self)

    def done(self) -> None:
        """Clear the line."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
            Progress._shown.remove(self)

    @classmethod
    def end(cls) -> None:
        """Clear all lines, whatever ended the command."""
        for one in list(cls._shown):
            one.done()
