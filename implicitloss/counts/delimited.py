"""Delimited text (commas, semicolons, tabs, bars), with a header or without; pandas reads the bulk of it."""

from __future__ import annotations

import csv
import io
import re
import warnings
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from implicitloss.counts.blanks import by_blanks, is_comment
from implicitloss.counts.columns import COUNTS, EXAMPLES, LABELS
from implicitloss.counts.source import Source
from implicitloss.counts.table import FOOTER, NUMBER, Column, Table, column

__all__ = ["delimited"]

DELIMITERS = ("\t", ";", "|", ",")
# The delimiter and the header are found in this many bytes.
LOOKED_AT = 1 << 13
ZERO = re.compile(r"0+([.,]0*)?")


def delimited(source: Source) -> Table:
    """The table of a text file.  *Raises* ValueError for rows of different width, and for what is no text."""
    data = source.utf8
    if b"\0" in data:
        raise ValueError(f"{source.name} is not a text file: it has a NUL byte")
    start = len(data) - len(data.lstrip())
    while data[start : start + 2] in (b"# ", b"##") and is_comment(source, start):
        start = data.find(b"\n", start) + 1 or len(data)
        while data[start : start + 1] in (b"\r", b"\n"):
            start += 1
    head = data[start : start + LOOKED_AT].decode("utf-8", "ignore").splitlines(keepends=True)
    if len(head) > 1 and len(data) > start + LOOKED_AT:
        head.pop()  # it may be cut
    delimiter = _delimiter([line for line in head if line.strip()])
    if delimiter is None:
        return _whole_numbers(source, start, head) or by_blanks(source, start, head)
    rows = [row for row in csv.reader(head, delimiter=delimiter) if row]
    first = rows[0]
    has_header = _is_header(rows, source.name)
    below = rows[1 if has_header else 0 :]
    texts = {i for row in below for i, cell in enumerate(row) if not NUMBER.fullmatch(cell.strip())}
    text = _Text(source, delimiter, start + (len(head[0].encode()) if has_header else 0), frozenset(texts))
    frame = text.frame()
    text.is_plain = text.has_numbers_alone(frame)
    if has_header and len(frame) and len(first) != frame.shape[1]:
        text.check_widths(len(first))
    has_names = has_header and first != ["0", "1"]
    names: list[str | None] = [*first] if has_names else [None] * frame.shape[1]
    columns = tuple(text.column(name, frame[i], i) if i in frame else column(name, []) for i, name in enumerate(names))
    return Table(source.name, columns, has_names, text.where)


class _Text:
    """The rows from byte `start` on.  pandas reads them; where something is wrong, `rows` says in which line.

    Columns `texts` are known to be text.
    """

    def __init__(self, source: Source, delimiter: str, start: int, texts: frozenset[int]) -> None:
        self.source, self.delimiter, self.start, self.texts = source, delimiter, start, texts
        self.is_plain = False

    def frame(self, kind: Any = None, only: int | None = None) -> Any:
        """A pandas DataFrame, of cells of type `kind`, or of the types that pandas sees."""
        import pandas as pd

        if kind is None and pd.StringDtype().storage == "python":  # Python's own text is read faster as it is
            kind = dict.fromkeys(self.texts, object)

        body, skipped = self.body()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", pd.errors.DtypeWarning)
                return pd.read_csv(
                    body, compression=None, sep=self.delimiter, header=None, skiprows=skipped, dtype=kind,
                    na_filter=False, skipinitialspace=self.has_blanks, usecols=None if only is None else [only],
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

    def body(self) -> tuple[Any, int]:
        """What pandas reads, and the lines it skips: a file, with all its threads, if no quote hides a line's end."""
        data = self.source.utf8
        if self.source.path is not None and b'"' not in data:
            return self.source.path, len(data[: self.start].splitlines())
        body = io.BytesIO(data)
        body.seek(self.start)
        return body, 0

    def column(self, name: str | None, cells: Any, i: int) -> Column:
        """Column i of the frame: numbers, or text without blanks around it."""

        def texts() -> Sequence[str]:
            listed: list[str] = cells.tolist()
            if not (i in self.texts and cells.dtype == object) and set(map(type, listed)) != {str}:
                listed = self.frame(str, i)[i].tolist()  # numbers, or whole numbers too large for a machine's
            return list(map(str.strip, listed)) if self.has_blanks else listed

        found = Column(name, cells.to_numpy() if cells.dtype.kind in "iuf" else None, texts)
        # Counts are no names, whatever zeros they begin with.
        may_be_names = cells.dtype.kind in "iu" and not self.is_plain and found.key not in COUNTS
        return Column(name, None, texts) if may_be_names and self.has_codes(i) else found

    def has_numbers_alone(self, frame: Any) -> bool:
        """Whether the bytes are as many as whole numbers make: there is no code such as 007, no sign and no quote."""
        data, columns = self.source.utf8, [frame[i].to_numpy() for i in frame]
        if not columns or not len(frame) or any(x.dtype.kind not in "iu" or x.min() < 0 for x in columns):
            return False
        digits = sum(x.size + sum(np.count_nonzero(x >= 10**k) for k in range(1, len(str(x.max())))) for x in columns)
        end = 2 if b"\r\n" in data[self.start : self.start + LOOKED_AT] else 1
        last = data[-LOOKED_AT:]
        written = len(data) - self.start - (len(last) - len(last.rstrip()))
        return bool(written == digits + len(frame) * (len(columns) - 1) + (len(frame) - 1) * end)

    @cached_property
    def blanks(self) -> list[bytes]:
        """The kinds of blanks that are anywhere but between columns."""
        data = self.source.utf8
        kinds = [b" ", *([b"\t"] if self.delimiter != "\t" else []), *([] if data.isascii() else ["\xa0".encode()])]
        return [blank for blank in kinds if blank in data]

    @property
    def has_blanks(self) -> bool:
        """Whether there is a blank anywhere but between columns."""
        return bool(self.blanks)

    def has_codes(self, i: int) -> bool:
        """Whether a cell of column i is a code such as 007: a name, and no number."""
        data, before = self.source.utf8, b"\n" if i == 0 else self.delimiter.encode()
        at = data.find(before + b"0", max(self.start - 1, 0))
        while at >= 0 and not data[at + 2 : at + 3].isdigit():
            at = data.find(before + b"0", at + 1)
        is_hidden = b'"' in data or data[:1] == b"0" or any(before + blank in data for blank in self.blanks)
        if at < 0 and not is_hidden:
            return False
        return any(len(text) > 1 and text[0] == "0" for text in map(str.strip, self.frame(str, i)[i].tolist()))

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
    """The delimiter that gives every line the same number of cells, two or more, a column of numbers among them.

    Without such a one, it is the first that gives equal cells, or else more than one.
    """
    head = [line for line in head if not FOOTER.fullmatch(line.strip())]
    found: list[tuple[int, str]] = []
    for delimiter in DELIMITERS:
        try:
            rows = list(csv.reader(head, delimiter=delimiter, skipinitialspace=True))
        except csv.Error:
            continue
        widths = {len(row) for row in rows}
        if max(widths, default=0) < 2:
            continue
        below = list(zip(*(rows[1:] or rows), strict=True)) if len(widths) == 1 else []
        numbers = any(all(NUMBER.fullmatch(cell.strip()) for cell in cells) for cells in below)
        found.append(((len(widths) == 1) + numbers, delimiter))
    return max(found, key=lambda pair: pair[0])[1] if found else None


def _is_header(rows: Sequence[Sequence[str]], name: str) -> bool:
    """Whether the first row names the columns: no cell is a number, or pandas wrote 0, or 0 and 1, for no name.

    *Raises* ValueError for a row that has both a usual name and a number, and for one that may be pandas' header.
    """
    first, second = ([cell.strip() for cell in row] for row in (rows[0], rows[min(1, len(rows) - 1)]))
    if len(first) == 2 and first[1] == "0" and first[0].lower() in {"", *LABELS}:
        return True
    if first == ["0", "1"] and len(second) == 2 and not NUMBER.fullmatch(second[0]):
        return True
    if not any(NUMBER.fullmatch(cell) for cell in first):
        return True
    others = [row[1].strip() for row in rows[1:] if len(row) == 2]
    lone_zero = len(first) == 2 < len(rows) and first[1] == "0" and not any(map(ZERO.fullmatch, others))
    if lone_zero and not NUMBER.fullmatch(first[0]):
        raise ValueError(
            f"{name}, line 1: {','.join(first)!r:.60} may be the header that pandas writes for an index called "
            f"{first[0]!r:.40}, or a label that never occurs; write 'label,count' instead of it, or above it"
        )
    if any(cell.lower() in (LABELS | COUNTS | EXAMPLES) for cell in first):
        raise ValueError(f"{name}, line 1: {','.join(first)!r:.60} is a header or a row; a header must have no numbers")
    return False


def _whole_numbers(source: Source, start: int, head: Sequence[str]) -> Table | None:
    """The table of one column of whole numbers, with a header or without, by pandas; None for another."""
    named = bool(head) and not NUMBER.fullmatch(head[0].strip())
    start += len(head[0].encode()) if named else 0
    if len(head) <= named or len(head[0].split()) > 1 or source.utf8[start:].translate(None, b"0123456789\r\n"):
        return None
    text = _Text(source, DELIMITERS[-1], start, frozenset())
    frame = text.frame()
    text.is_plain = text.has_numbers_alone(frame)
    if not text.is_plain:
        return None
    only = text.column(head[0].strip() if named else None, frame[0], 0)
    return Table(source.name, (only,), named, text.where)
