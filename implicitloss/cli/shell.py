"""What every command does the same way: exit codes, errors in one sentence, progress, colour, whole files or none."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import stat
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

from implicitloss.formats import sentence

if TYPE_CHECKING:
    from implicitloss.labels import LabelPrior

HOLDS, REFUTED, USAGE, INTERNAL, NOTHING = 0, 1, 2, 3, 5
# As the shell has it for a command whose reader is gone.
UNHEARD = 141
# The files that this process has written, or begun to.
_written: list[str] = []


class Parser(argparse.ArgumentParser):
    """Says what is wrong with the arguments in one sentence, as everything else does."""

    def error(self, message: str) -> NoReturn:
        """*Raises* ValueError."""
        raise ValueError(f"{message}; see {self.prog} --help")

    def _print_message(self, message: str, file: Any = None) -> None:
        """Help, and the version; argparse passes over what cannot be written."""
        print(message, end="", file=file)


def guarded(program: str, command: Callable[[], int]) -> int:
    """Run `command`: bad input becomes one sentence on stderr and exit code 2, a defect of ours exit code 3.

    What cannot be said on stderr changes no exit code; results that cannot be written to stdout are no pass.
    """
    if sys.stderr is None:
        sys.stderr = _nowhere()
    if sys.stdout is None:
        say(sentence(f"{program}: the standard output is closed; to do without it, send it to /dev/null"))
        return USAGE
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # π on a terminal that has only ASCII
            stream.reconfigure(errors="backslashreplace")
    with warnings.catch_warnings():
        # Nobody can act on a warning from within: what overflows is looked for in the numbers that come out.
        warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"(implicitloss|numpy|scipy)\b")
        code, wrong = _outcome(command)
    try:
        sys.stdout.flush()
    except OSError as error:
        _silence(sys.stdout)
        if not isinstance(error, BrokenPipeError):
            code, wrong = USAGE, wrong or f"cannot read or write the output: {error.strerror}"
        elif code in (HOLDS, REFUTED):
            code = UNHEARD
    if wrong:
        say(sentence(f"{program}: {wrong}"))
    return code


def _outcome(command: Callable[[], int]) -> tuple[int, str]:
    """The exit code, and what was wrong."""
    before = len(_written)
    try:
        return command(), ""
    except SystemExit as done:  # --help or --version, which argparse has answered
        return HOLDS if done.code in (None, 0) else INTERNAL, ""
    except BrokenPipeError:
        # The reader has gone (`| head`): nobody is left to tell, and what could not be said is no pass.
        return UNHEARD, ""
    except ValueError as error:
        return USAGE, str(error)
    except OSError as error:
        where = f" {error.filename}" if error.filename else " the output"
        return USAGE, f"cannot read or write{where}: {error.strerror}"
    except (OverflowError, FloatingPointError) as error:
        return USAGE, f"scores, weights or margins are beyond what floating point holds ({error})"
    except MemoryError:
        return USAGE, "this needs more memory than there is; take fewer labels or draws"
    except KeyboardInterrupt as interrupt:  # which may say what is left
        wrote = "what was written before is whole" if len(_written) > before else "nothing was written"
        return 130, f"interrupted; {str(interrupt) or wrote}"
    except Exception:
        say(traceback.format_exc().rstrip())
        return INTERNAL, "internal error, please report it with the lines above"


def say(text: str, end: str = "\n") -> None:
    """Tell the user something on stderr; where it cannot be written, the run goes on without."""
    try:
        print(text, end=end, file=sys.stderr, flush=True)
    except OSError:
        _silence(sys.stderr)


def _silence(stream: TextIO) -> None:
    """What is still buffered has nowhere to go, and must not fail once more at exit."""
    with contextlib.suppress(OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def _nowhere() -> TextIO:
    """In place of a closed stderr, under its number, lest a file that is opened later be taken for it."""
    number = os.open(os.devnull, os.O_RDWR)
    while number < 2:
        number = os.dup(number)
    return os.fdopen(number, "w")


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
    say(
        sentence(
            f"{program}: {left_out} {have} count 0 in {path} and no part in this; the others are numbered from 0 to "
            f"{int(seen.sum()) - 1}"
        )
    )
    return LabelPrior.from_counts(prior.counts[seen], [name for name, s in zip(prior.names, seen, strict=True) if s])


def wants_color(stream: TextIO) -> bool:
    """Whether to colour: a terminal, and NO_COLOR not set (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def check_files(reads: Iterable[str | None], writes: Iterable[str | None]) -> None:
    """*Raises* ValueError, before any work is done, if a file cannot be written, or is read or written to already.

    Links, hard links and other spellings of a path are the same file.  None is no file, "-" the standard output, which
    is always written to.
    """
    files = [path for path in writes if path not in (None, "-")]
    for path in files:
        check_writable(path)
    taken = {_identity(path): f"would overwrite {path}, which is read" for path in reads if path is not None}
    for path in ("-", *files):
        file, name = _identity(path), "the standard output" if path == "-" else path
        if file in taken:
            raise ValueError(f"{name} {taken[file]}; give another file")
        taken[file] = f"would overwrite {name}, which is written to"


def _identity(path: str) -> Hashable:
    """Equal for two names of one file; a terminal or another device (/dev/null) is never twice the same."""
    try:
        found = os.fstat(sys.stdout.fileno()) if path == "-" else os.stat(path)
    except OSError:
        return object() if path == "-" else os.path.realpath(path)
    return object() if stat.S_ISCHR(found.st_mode) else (found.st_dev, found.st_ino)


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
    try:
        os.stat(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise ValueError(f"cannot write {path}: {error.strerror}") from None


def _is_special(path: str) -> bool:
    """A pipe, a terminal, a device: written to as it is, never replaced."""
    return os.path.exists(path) and not os.path.isfile(path)


def write_whole(path: str, content: str | bytes) -> None:
    """Write one file, as `write_all` does."""
    write_all({path: content})


def write_all(contents: Mapping[str, str | bytes]) -> None:
    """Write files, each whole or not at all, and none if one cannot be prepared; a link keeps pointing where it points.

    *Raises* ValueError if it cannot.
    """
    ready: dict[str, str] = {}
    path = ""
    try:
        for path, content in contents.items():
            if not _is_special(path):
                folder = os.path.dirname(os.path.realpath(path))
                handle, ready[path] = tempfile.mkstemp(dir=folder, prefix=".", suffix=".part")
                with os.fdopen(handle, "wb") as file:
                    file.write(_bytes(content))
                umask = os.umask(0)
                os.umask(umask)
                os.chmod(ready[path], 0o666 & ~umask)
        for path, content in contents.items():
            _written.append(path)
            if path in ready:
                os.replace(ready[path], os.path.realpath(path))
                del ready[path]
            else:
                with open(path, "wb") as file:
                    file.write(_bytes(content))
    except OSError as error:
        raise ValueError(f"cannot write {path}: {error.strerror}") from None
    finally:
        for temporary in ready.values():
            os.unlink(temporary)


def _bytes(content: str | bytes) -> bytes:
    """UTF-8; undecodable bytes of a command line, which are lone surrogates, become question marks."""
    return content if isinstance(content, bytes) else content.encode(errors="replace")


class Progress:
    """`[ 3/55] what` on stderr: one line that is overwritten on a terminal, one line each elsewhere."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.live = sys.stderr.isatty()

    def __call__(self, i: int, what: str) -> None:
        line = f"[{i + 1:>{len(str(self.total))}}/{self.total}] {what}"
        if self.live:
            say(f"\r\x1b[2K{line}", end="")
        else:
            say(line)

    def done(self) -> None:
        """Clear the line."""
        if self.live:
            say("\r\x1b[2K", end="")
