"""Delimited text (commas, semicolons, tabs, bars, blanks), with a header or without; pandas reads the bulk of it."""

from __future__ import annotations

import csv
import io
import re
import warnings
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from implicitloss.counts.columns import LABELS
from implicitloss.counts.source import Source
from implicitloss.counts.table import Column, Table, column

DELIMITERS = (",", ";", "\t", "|")
# The delimiter and the header are found in this many bytes.
LOOKED_AT = 1 << 16
# What a printed pandas Series ends with.
FOOTER = re.compile(r"(Name: .*, )?(Length: \d+, )?dtype: \w+")
NUMBER = re.compile(r"[+-]?(\d[\d.,'_ ]*|\.\d+)([eE][+-]?\d+)?%?|[+-]?(nan|inf|infinity)", re.IGNORECASE)


def delimited(source: Source) -> Table:
    """The table of a text file.  *Raises* ValueError for rows of different width, and for what is no text."""
    data = source.utf8
    if b"\0" in data:
        raise ValueError(f"{source.name} is not a text file: it has a NUL byte")
    start = len(data) - len(data.lstrip())
    head = data[start : start + LOOKED_AT].decode("utf-8", "ignore").splitlines(keepends=True)
    if len(head) > 1 and len(data) > start + LOOKED_AT:
        head.pop()  # it may be cut
    delimiter = _delimiter([line for line in head if line.strip()])
    if delimiter is None:
        return _by_blanks(source.name, source.text)
    first = next(csv.reader(head, delimiter=delimiter), [])
    has_header = _is_header(first)
    text = _Text(source, delimiter, start + (len(head[0].encode()) if has_header else 0))
    frame = text.frame()
    if has_header and len(frame) and len(first) != frame.shape[1]:
        text.check_widths(len(first))
    names: list[str | None] = [*first] if has_header else [None] * frame.shape[1]
    columns = tuple(text.column(name, frame[i], i) if i in frame else column(name, []) for i, name in enumerate(names))
    return Table(source.name, columns, has_header, text.where)


class _Text:
    """The rows from byte `start` on.  pandas reads them; where something is wrong, `rows` says in which line."""

    def __init__(self, source: Source, delimiter: str, start: int) -> None:
        self.source, self.delimiter, self.start = source, delimiter, start

    def frame(self, kind: Any = None, only: int | None = None) -> Any:
        """A pandas DataFrame, of cells of type `kind`, or of the types that pandas sees."""
        import pandas as pd

        body = io.BytesIO(self.source.utf8[self.start :])
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", pd.errors.DtypeWarning)
                return pd.read_csv(
                    body, sep=self.delimiter, header=None, dtype=kind, na_filter=False,
                    skipinitialspace=self.has_blanks, usecols=None if only is None else [only],
                )  # fmt: skip
        except pd.errors.DtypeWarning:  # numbers first, and text far below them
            return self.frame(str, only)
        except pd.errors.EmptyDataError:
            return pd.DataFrame()
        except (ValueError, OverflowError) as error:  # pandas' own errors and those of decoding are ValueErrors
            self.check_widths()
            raise ValueError(
                f"{self.source.name} is not a CSV text file: {' '.join(str(error).split()):.120}"
            ) from None

    def column(self, name: str | None, cells: Any, i: int) -> Column:
        """Column i of the frame: numbers, or text without blanks around it."""

        def texts() -> Sequence[str]:
            listed: list[str] = cells.tolist()
            if set(map(type, listed)) != {str}:
                listed = self.frame(str, i)[i].tolist()  # numbers, or whole numbers too large for a machine's
            return [text.strip() for text in listed] if self.has_blanks else listed

        is_code = cells.dtype.kind in "iu" and self.has_codes(i)
        if cells.dtype.kind in "iuf" and not is_code:
            return Column(name, cells.to_numpy(), texts)
        return Column(name, None, texts)

    @cached_property
    def has_blanks(self) -> bool:
        """Whether there is a blank anywhere but between columns."""
        data = self.source.utf8
        return b" " in data or "\xa0".encode() in data or (self.delimiter != "\t" and b"\t" in data)

    def has_codes(self, i: int) -> bool:
        """Whether a cell of column i is a code such as 007: a name, and no number."""
        edge = b"\n0" if i == 0 else f"{self.delimiter}0".encode()
        data, at = b"\n" + self.source.utf8[self.start :] if i == 0 else self.source.utf8[self.start :], -1
        while (at := data.find(edge, at + 1)) >= 0:
            if data[at + 2 : at + 3].isdigit():
                return any(len(text) > 1 and text[0] == "0" for text in self.frame(str, i)[i].tolist())
        return False

    def rows(self) -> list[tuple[int, list[str]]]:
        """The line and the cells of each row."""
        before = self.source.utf8.count(b"\n", 0, self.start)
        body = io.StringIO(self.source.text.encode()[self.start :].decode(), newline="")
        reader = csv.reader(body, delimiter=self.delimiter, skipinitialspace=True)
        try:
            found = [(before + reader.line_num, row) for row in reader]
        except csv.Error as error:
            raise ValueError(f"{self.source.name} is not a CSV text file: {error}") from None
        return [(line, row) for line, row in found if len(row) > 1 or any(cell.strip() for cell in row)]

    def where(self, i: int) -> str:
        """The place of row i."""
        rows = self.rows()
        return f"{self.source.name}, line {rows[i][0]}" if i < len(rows) else self.source.name

    def check_widths(self, width: int | None = None) -> None:
        """*Raises* ValueError for the first row whose number of cells is not that of the header, or of the first."""
        for line, row in self.rows():
            width = len(row) if width is None else width
            if len(row) != width:
                is_cut = len(row) > width and row[-1].strip().isdigit()
                hint = "; is there a separator of thousands?" if is_cut else ""
                raise ValueError(f"{self.source.name}, line {line}: expected {width} fields, got {len(row)}{hint}")


def _delimiter(head: Sequence[str]) -> str | None:
    """The delimiter that gives every line the same number of cells, two or more; else the first that gives some."""
    head = [line for line in head if not FOOTER.fullmatch(line.strip())]
    best, most = None, (False, 1)
    for delimiter in DELIMITERS:
        try:
            widths = [len(row) for row in csv.reader(head, delimiter=delimiter)]
        except csv.Error:
            continue
        found = (min(widths, default=0) == max(widths, default=0), max(widths, default=0))
        if found[1] > 1 and (best is None or found > most):
            best, most = delimiter, found
    return best


def _is_header(cells: Sequence[str]) -> bool:
    """Whether a first row names its columns: no cell is a number, or pandas wrote 0 for a Series without a name."""
    stripped = [cell.strip() for cell in cells]
    nameless = len(stripped) == 2 and stripped[1] == "0" and stripped[0].lower() in {"", *LABELS}
    return nameless or not any(NUMBER.fullmatch(cell) for cell in stripped)


def _by_blanks(name: str, text: str) -> Table:
    """A table whose cells are set apart by blanks, as pandas prints a Series; the last cell of a line is the number."""
    numbered = [(i, line.strip()) for i, line in enumerate(text.splitlines(), start=1) if line.strip()]
    if any(re.fullmatch(r"\.\.+(\s+\.\.+)?", line) for _, line in numbered):
        raise ValueError(f"{name} is a printed table that leaves rows out (...); write it with to_csv")
    numbered = [(i, line) for i, line in numbered if not FOOTER.fullmatch(line)]
    cells = [line.rsplit(None, 1) for _, line in numbered]
    has_header = bool(cells) and not NUMBER.fullmatch(cells[0][-1])
    header = cells.pop(0) if has_header else []
    rows = numbered[1:] if has_header else numbered
    width = max(map(len, cells), default=1)
    for (line, _), row in zip(rows, cells, strict=True):
        if len(row) != width:
            raise ValueError(f"{name}, line {line}: expected {width} fields, got {len(row)}")
    if width == 2 and len(header) == 1:
        header = [header[0], "count"]  # pandas prints the name of the index alone
    names: list[str | None] = [*header, *[None] * (width - len(header))][:width]
    columns = tuple(column(names[k], [row[k] for row in cells]) for k in range(width))
    return Table(name, columns, has_header, lambda i: f"{name}, line {rows[i][0]}")
