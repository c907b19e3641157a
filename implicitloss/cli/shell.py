"""What every command does the same way: exit codes, errors in one sentence, progress, colour, whole files or none."""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from typing import TextIO

HOLDS, REFUTED, USAGE, INTERNAL, NOTHING = 0, 1, 2, 3, 5


def guarded(program: str, command: Callable[[], int]) -> int:
    """Run `command`: bad input becomes one sentence on stderr and exit code 2, a defect of ours exit code 3."""
    try:
        return command()
    except ValueError as error:
        print(f"{program}: {error}", file=sys.stderr)
        return USAGE
    except BrokenPipeError:
        # The reader has gone (`| head`); there is nobody left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return HOLDS
    except KeyboardInterrupt:
        print(f"{program}: interrupted; nothing was written", file=sys.stderr)
        return 130
    except Exception:
        traceback.print_exc()
        print(f"{program}: internal error, please report it with the lines above", file=sys.stderr)
        return INTERNAL


def wants_color(stream: TextIO) -> bool:
    """Whether to colour: a terminal, and NO_COLOR not set (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def check_writable(path: str) -> None:
    """*Raises* ValueError now rather than after the work, if `path` cannot be written."""
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        raise ValueError(f"cannot write {path}: the folder {os.path.dirname(path)} does not exist")
    if os.path.isdir(path) or not os.access(folder, os.W_OK):
        raise ValueError(f"cannot write {path}: it is a folder, or its folder is read-only")


def write_whole(path: str, text: str) -> None:
    """Write a file whole or not at all."""
    folder = os.path.dirname(os.path.abspath(path))
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=".", suffix=".part")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
    except OSError as error:
        os.unlink(temporary)
        raise ValueError(f"cannot write {path}: {error.strerror}") from None


class Progress:
    """`[ 3/55] what` on stderr: one line that is overwritten on a terminal, one line each elsewhere."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.live = sys.stderr.isatty()

    def __call__(self, i: int, what: str) -> None:
        line = f"[{i + 1:>{len(str(self.total))}}/{self.total}] {what}"
        if self.live:
            print(f"\r\x1b[2K{line}", end="", file=sys.stderr, flush=True)
        else:
            print(line, file=sys.stderr, flush=True)

    def done(self) -> None:
        """Clear the line."""
        if self.live:
            print("\r\x1b[2K", end="", file=sys.stderr, flush=True)
