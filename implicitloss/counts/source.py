"""The bytes of a file of counts, decompressed, and how messages call the file."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import stat
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from implicitloss.arguments import shown

__all__ = ["Source"]

# What a compressed file begins with.
COMPRESSED: dict[bytes, Callable[[bytes], bytes]] = {
    b"\x1f\x8b": gzip.decompress, b"BZh": bz2.decompress, b"\xfd7zXZ": lzma.decompress,
}  # fmt: skip
BYTE_ORDER_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
ENDLESS = ("zero", "random", "urandom", "full")


@dataclass(frozen=True)
class Source:
    """The `data` of a file, decompressed; `name` is its path as messages show it.

    `path` is set where the data can be read again from there as they are.
    """

    name: str
    data: bytes
    path: str | None = None

    @classmethod
    def of(cls, path: str | os.PathLike[str]) -> Source:
        """Read a file.  *Raises* ValueError for one that cannot be read or decompressed."""
        if not isinstance(path, (str, os.PathLike)):
            raise ValueError(f"the path must be text or a pathlib.Path, got {shown(path)}")
        name = _shown_path(path)
        if _is_endless(path):
            raise ValueError(f"{name} is a device that may never end; give a file")
        try:
            with open(path, "rb") as file:
                data = file.read()
        except OSError as error:
            raise ValueError(f"cannot read {name}: {error.strerror}") from None
        except ValueError:  # a NUL or half a character in it
            raise ValueError(f"cannot read {name}: no file can have this name") from None
        for mark, decompress in COMPRESSED.items():
            if data.startswith(mark):
                try:
                    return cls(name, decompress(data))
                except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
                    raise ValueError(f"cannot decompress {name}: {error!s:.80}") from None
        is_plain = os.path.isfile(path) and not data.startswith((*BYTE_ORDER_MARKS,))
        return cls(name, data, os.path.join(os.getcwd(), os.fsdecode(path)) if is_plain else None)

    @cached_property
    def utf8(self) -> bytes:
        """The data as UTF-8 without a byte-order mark."""
        if any(self.data.startswith(mark) for mark in BYTE_ORDER_MARKS):
            return self.text.encode()
        return self.data

    @cached_property
    def text(self) -> str:
        """The data as text: UTF-8, or what a byte-order mark says."""
        encoding = next((found for mark, found in BYTE_ORDER_MARKS.items() if self.data.startswith(mark)), "utf-8")
        try:
            return self.data.decode(encoding)
        except UnicodeDecodeError as error:
            raise ValueError(
                f"{self.name} is not a text file in UTF-8 (byte {error.start}); save it as UTF-8"
            ) from None


def _shown_path(path: object) -> str:
    text = " ".join(str(path).split())
    return text if text.isprintable() and len(text) <= 160 else shown(f"...{text[-50:]}")


def _is_endless(path: str | os.PathLike[str]) -> bool:
    """Whether `path` is a device such as /dev/zero; a terminal or a pipe is read until it ends."""
    try:
        return stat.S_ISCHR(os.stat(path).st_mode) and os.path.basename(path) in ENDLESS
    except (OSError, ValueError):
        return False
