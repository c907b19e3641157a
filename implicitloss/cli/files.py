"""The files of a command: no output is an input or another output, and each is written whole or not at all."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from collections.abc import Hashable, Iterable, Mapping
from typing import Any

from implicitloss.formats import as_json

__all__ = [
    "Input",
    "Output",
    "appended",
    "check_files",
    "json_document",
    "write_all",
    "write_json",
    "write_whole",
    "written",
]

# The version of the JSON documents that have no version of their own.
COMMAND_SCHEMA = 1
# The files that this process has written, or has begun to write.
written: list[str] = []


class Input(str):
    """The path of a file that a command reads: the `type` of such an argument."""


class Output(str):
    """The path of a file that a command writes, or "-" for stdout: the `type` of such an argument."""


def check_files(reads: Iterable[str | None], writes: Iterable[str | None]) -> None:
    """Check, before any work is done, that outputs can be written and that none is an input or another output.

    Links, hard links and other spellings of a path are the same file.  None is no file; "-" is stdout, which is always
    written to.  *Raises* ValueError if a check fails.
    """
    files = [path for path in writes if path not in (None, "-")]
    for path in files:
        _check_writable(path)
    taken = {_identity(path): f"would overwrite {path}, which is read" for path in reads if path is not None}
    for path in ("-", *files):
        file, name = _identity(path), "the standard output" if path == "-" else path
        if file in taken:
            raise ValueError(f"{name} {taken[file]}; give another file")
        taken[file] = f"would overwrite {name}, which is written to"


def _identity(path: str) -> Hashable:
    """A value that is equal for two names of one file; a terminal or another device (/dev/null) equals nothing."""
    try:
        found = os.fstat(sys.stdout.fileno()) if path == "-" else os.stat(path)
    except OSError:  # where names of files do not differ by case alone, these do not either
        whole = os.path.realpath(path)
        return object() if path == "-" else whole.casefold() if sys.platform in ("win32", "darwin") else whole
    return object() if stat.S_ISCHR(found.st_mode) else (found.st_dev, found.st_ino)


def _check_writable(path: str) -> None:
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
    """Whether `path` is a pipe, a terminal or a device, which is written to as it is and never replaced."""
    return path.startswith("/dev/") or (os.path.exists(path) and not os.path.isfile(path))


def json_document(values: Mapping[str, Any]) -> str:
    """The values as a JSON document, with the version of its schema."""
    return as_json({"schema": COMMAND_SCHEMA, **values}) + "\n"


def write_json(path: str | None, values: Mapping[str, Any]) -> bool:
    """Write the values as JSON to the file that `--json` names, if it is given; return whether that is stdout."""
    if path == "-":
        sys.stdout.write(json_document(values))
    elif path is not None:
        write_whole(path, json_document(values))
    return path == "-"


def write_whole(path: str, content: str | bytes) -> None:
    """Write one file, as `write_all` does."""
    write_all({path: content})


def write_all(contents: Mapping[str, str | bytes]) -> None:
    """Write files, each whole or not at all, and none if one cannot be prepared; a link keeps pointing where it points.

    *Raises* ValueError if a file cannot be written.
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
            written.append(path)
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


def appended(path: str, text: str) -> bytes:
    """What the file has, if it is there, and then the text: a CI step's summary grows by one report an audit."""
    before = b""
    if os.path.isfile(path):
        with open(path, "rb") as file:
            before = file.read()
        before += b"" if before.endswith(b"\n") or not before else b"\n"
    return before + _bytes(text)


def _bytes(content: str | bytes) -> bytes:
    """UTF-8; undecodable bytes of a command line, which are lone surrogates, become question marks."""
    return content if isinstance(content, bytes) else content.encode(errors="replace")
