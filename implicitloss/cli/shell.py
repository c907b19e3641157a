"""What every command does the same way: exit codes, errors in one sentence, progress, colour, whole files or none."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from implicitloss.labels import LabelPrior

HOLDS, REFUTED, USAGE, INTERNAL, NOTHING = 0, 1, 2, 3, 5
# As the shell has it for a command whose reader is gone.
UNHEARD = 141


def guarded(program: str, command: Callable[[], int]) -> int:
    """Run `command`: bad input becomes one sentence on stderr and exit code 2, a defect of ours exit code 3."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # π on a terminal that has only ASCII
            stream.reconfigure(errors="backslashreplace")
    try:
        code = command()
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # The reader has gone (`| head`): nobody is left to tell, and what could not be said is no pass.
        _silence_stdout()
        return UNHEARD
    except ValueError as error:
        print(f"{program}: {error}", file=sys.stderr)
        return USAGE
    except OSError as error:
        _silence_stdout()
        where = f" {error.filename}" if error.filename else " the output"
        print(f"{program}: cannot read or write{where}: {error.strerror}", file=sys.stderr)
        return USAGE
    except MemoryError:
        print(f"{program}: this needs more memory than there is; take fewer labels or draws", file=sys.stderr)
        return USAGE
    except KeyboardInterrupt:
        print(f"{program}: interrupted; nothing was written", file=sys.stderr)
        return 130
    except Exception:
        traceback.print_exc()
        print(f"{program}: internal error, please report it with the lines above", file=sys.stderr)
        return INTERNAL


def _silence_stdout() -> None:
    """What is still buffered has nowhere to go, and must not fail once more at exit."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def whole_number(text: str) -> int:
    """For argparse: a whole number, or a sentence."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a whole number, got {text!r}") from None


def seen_labels(path: str, program: str) -> LabelPrior:
    """The prior of a CSV file without the labels that never occur: nothing can be drawn or weighed for them."""
    from implicitloss.labels import LabelPrior

    prior = LabelPrior.from_csv(path)
    assert prior.counts is not None
    assert prior.names is not None
    seen = prior.counts > 0
    if seen.all():
        return prior
    left_out = int((~seen).sum())
    have = "label has" if left_out == 1 else "labels have"
    print(
        f"{program}: {left_out} {have} count 0 in {path} and no part in this; the others are numbered from 0 to "
        f"{int(seen.sum()) - 1}",
        file=sys.stderr,
    )
    return LabelPrior.from_counts(prior.counts[seen], [name for name, s in zip(prior.names, seen, strict=True) if s])


def wants_color(stream: TextIO) -> bool:
    """Whether to colour: a terminal, and NO_COLOR not set (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def check_writable(path: str) -> None:
    """*Raises* ValueError now rather than after the work, if `path` cannot be written."""
    if not path:
        raise ValueError("cannot write a file without a name; give it one, or - for stdout")
    folder = os.path.dirname(os.path.realpath(path))
    if os.path.isdir(path):
        raise ValueError(f"cannot write {path}: it is a folder")
    if _is_special(path):
        return
    if not os.path.isdir(folder):
        raise ValueError(f"cannot write {path}: the folder {os.path.dirname(path)} does not exist")
    if not os.access(folder, os.W_OK):
        raise ValueError(f"cannot write {path}: its folder is read-only")


def _is_special(path: str) -> bool:
    """A pipe, a terminal, a device: written to as it is, never replaced."""
    return os.path.exists(path) and not os.path.isfile(path)


def write_whole(path: str, text: str) -> None:
    """Write a file whole or not at all; a link keeps pointing where it points.  *Raises* ValueError if it cannot."""
    if _is_special(path):
        try:
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            raise ValueError(f"cannot write {path}: {error.strerror}") from None
        return
    target = os.path.realpath(path)
    temporary = ""
    try:
        handle, temporary = tempfile.mkstemp(dir=os.path.dirname(target), prefix=".", suffix=".part")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, target)
    except OSError as error:
        if temporary:
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
