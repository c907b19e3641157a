"""How a command ends: its exit code, and one sentence on stderr about what was wrong."""

from __future__ import annotations

import errno
import io
import os
import sys
import traceback
import warnings
from collections.abc import Callable
from typing import TextIO

from implicitloss.cli.files import written
from implicitloss.cli.progress import Progress, say, silence
from implicitloss.formats import sentence

__all__ = ["HOLDS", "NOTHING", "REFUTED", "guarded"]

HOLDS, REFUTED, USAGE, INTERNAL, NOTHING = 0, 1, 2, 3, 5
# What a shell reports for a command whose reader has gone: 128 + SIGPIPE.
UNHEARD = 141


def guarded(program: str, command: Callable[[], int]) -> int:
    """Run a command and return its exit code: 2 and one sentence on stderr for bad input, 3 for a defect of ours.

    If stderr cannot be written, the exit code stays the same.  If stdout cannot be written, the command has not passed.
    """
    if sys.stderr is None:
        sys.stderr = _nowhere()
    if sys.stdout is None:
        say(sentence(f"{program}: the standard output is closed; to do without it, send it to {os.devnull}"))
        return USAGE
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # π on a terminal that has only ASCII
            stream.reconfigure(errors="backslashreplace")
    if os.name == "nt" and isinstance(sys.stdout, io.TextIOWrapper) and not sys.stdout.isatty():
        # Files there are not UTF-8 by default, and documents say that they are; lines end as everywhere.
        sys.stdout.reconfigure(encoding="utf-8", newline="\n")
    with warnings.catch_warnings():
        # A user cannot act on a warning from inside; an overflow is found in the numbers that come out.
        warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"(implicitloss|numpy|scipy)\b")
        code, wrong = _outcome(command)
    try:
        sys.stdout.flush()
    except OSError as error:
        silence(sys.stdout)
        if not _nobody_reads(error):
            code, wrong = USAGE, wrong or f"cannot read or write the output: {error.strerror}"
        elif code in (HOLDS, REFUTED):
            code = UNHEARD
    if wrong:
        say(sentence(f"{program}: {wrong}"))
    return code


def _outcome(command: Callable[[], int]) -> tuple[int, str]:
    """Run the command; return its exit code, and what was wrong."""
    before = len(written)
    try:
        try:
            return command(), ""
        finally:
            Progress.end()
    except SystemExit as done:  # --help or --version, which argparse has answered
        return HOLDS if done.code in (None, 0) else INTERNAL, ""
    except ValueError as error:
        return USAGE, str(error)
    except OSError as error:
        if _nobody_reads(error):
            # The reader has gone (`| head`): nobody is left to tell, and a result that nobody read is no pass.
            return UNHEARD, ""
        where = f" {error.filename}" if error.filename else " the output"
        return USAGE, f"cannot read or write{where}: {error.strerror}"
    except (OverflowError, FloatingPointError) as error:
        return USAGE, f"scores, weights or margins are beyond what floating point holds ({error})"
    except MemoryError:
        return USAGE, "this needs more memory than there is; take fewer labels or draws"
    except KeyboardInterrupt as interrupt:  # its message may say what is left to do
        wrote = "what was written before is whole" if len(written) > before else "nothing was written"
        return 130, f"interrupted; {str(interrupt) or wrote}"
    except Exception:
        say(traceback.format_exc().rstrip())
        return INTERNAL, "internal error, please report it with the lines above"


def _nobody_reads(error: OSError) -> bool:
    """Whether a pipe was closed by its reader, which Windows calls an invalid argument."""
    return isinstance(error, BrokenPipeError) or (
        os.name == "nt" and error.errno == errno.EINVAL and error.filename is None
    )


def _nowhere() -> TextIO:
    """Replace a closed stderr by the null device, under the same number: a file opened later must not get it."""
    number = os.open(os.devnull, os.O_RDWR)
    while number < 2:
        number = os.dup(number)
    return os.fdopen(number, "w")
