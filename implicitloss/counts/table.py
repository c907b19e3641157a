"""A table: columns of equal length, with the names that the file gives them, if any."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["FOOTER", "NUMBER", "Column", "Table", "as_numbers", "column"]

# What a printed pandas Series ends with.
FOOTER = re.compile(r"(Name: .*, )?(Length: \d+, )?dtype: \w+")
NUMBER = re.compile(r"[+-]?(\d[\d.,'_ ]*|\.\d+)([eE][+-]?\d+)?%?|[+-]?(nan|inf|infinity)", re.IGNORECASE)

Kind = Literal["whole", "number", "text"]


@dataclass(frozen=True, eq=False)
class Column:
    """A column: its name, None without a header, and its cells.

    `numbers` (rows,) are None for a column of text; `read` gives the cells as the file has them.
    """

    name: str | None
    numbers: NDArray[Any] | None
    read: Callable[[], Sequence[str]]

    @cached_property
    def texts(self) -> Sequence[str]:
        """The cells as the file has them, without blanks around them."""
        return self.read()

    @cached_property
    def kind(self) -> Kind:
        """What the cells are: whole numbers all, numbers all, or text."""
        if self.numbers is None:
            return "text"
        if self.numbers.dtype.kind in "iu":
            return "whole"
        return "whole" if bool(np.all(self.numbers == np.floor(self.numbers))) else "number"

    @property
    def size(self) -> int:
        """The number of rows."""
        return len(self.texts) if self.numbers is None else int(self.numbers.size)

    @property
    def key(self) -> str:
        """The name as it is compared with known names."""
        return "_".join((self.name or "").lower().replace("-", " ").replace("_", " ").split())

    @cached_property
    def n_different(self) -> int:
        """How many different numbers there are; 0 in a column of text."""
        if self.numbers is None or not self.numbers.size:
            return 0
        if self.numbers.dtype.kind in "iu" and self.numbers.min() >= 0 and self.numbers.max() < 10 * self.size + 1000:
            return int(np.count_nonzero(np.bincount(self.numbers)))  # far faster than to sort, or to hash
        return int(np.unique(self.numbers).size)

    @cached_property
    def is_numbering(self) -> bool:
        """Whether the cells are 0 to L-1 or 1 to L, in any order."""
        if self.kind != "whole" or self.numbers is None or not self.numbers.size:
            return False
        first, last = float(self.numbers.min()), float(self.numbers.max())
        return first in (0, 1) and last == first + self.size - 1 and self.n_different == self.size

    @property
    def has_repeats(self) -> bool:
        """Whether a number comes twice."""
        return self.numbers is not None and self.n_different < self.size

    @property
    def falls(self) -> bool:
        """Whether no number is larger than the one before."""
        return self.numbers is not None and bool((np.diff(self.numbers) <= 0).all())

    @property
    def rises(self) -> bool:
        """Whether no number is smaller than the one before."""
        return self.numbers is not None and bool((np.diff(self.numbers) >= 0).all())

    @property
    def begins_low(self) -> bool:
        """Whether the least number is 0 or 1, as that of ids is."""
        return self.numbers is not None and self.numbers.size > 0 and float(self.numbers.min()) in (0, 1)


@dataclass(frozen=True, eq=False)
class Table:
    """The columns of a file; `where(i)` names the place of row i in messages, for example "counts.csv, line 3"."""

    name: str
    columns: tuple[Column, ...]
    has_header: bool
    where: Callable[[int], str]

    @property
    def n_rows(self) -> int:
        """Rows, the header not counted."""
        return self.columns[0].size if self.columns else 0


def column(name: str | None, cells: Sequence[Any]) -> Column:
    """A column of Python values; text that is a number in every cell is numbers."""
    texts = ["" if cell is None else str(cell).strip() for cell in cells]
    return Column(name, as_numbers(texts), lambda: texts)


def as_numbers(texts: Sequence[str]) -> NDArray[Any] | None:
    """Whole numbers if all texts are, else numbers if all are, else None."""
    # Python reads 1_000 as a number, and 007; a file means something else by them.
    if any("_" in text or (text[:1] == "0" and text[1:2].isdigit()) for text in texts):
        return None
    for kind in (int, float):
        try:
            return np.array([kind(text) for text in texts], dtype=np.int64 if kind is int else np.float64)
        except (ValueError, OverflowError):
            continue
    return None
