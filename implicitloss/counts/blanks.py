"""Text whose cells are set apart by blanks: a printed Series, `sort | uniq -c`, a vocabulary, a list of files."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence

import numpy as np

from implicitloss.arguments import shown
from implicitloss.counts.source import Source
from implicitloss.counts.table import FOOTER, NUMBER, Column, Table, column

__all__ = ["by_blanks", "is_comment"]

# Two lines are read in so many bytes.
LOOKED_AT = 1 << 12
DELIMITER = re.compile(r"[,;|\t]")
# A code such as 007 is a name, and no number.
CODE = re.compile(rb"(?<!\S)0\d")
# 12 000 is a number whose thousands are set apart: no number begins with two zeros, or with one before other digits.
THOUSANDS = re.compile(r"(?<!\S)[1-9]\d{0,2}(?:\s\d{3})*\s0\d\d(?:\s\d{3})*$")


def is_comment(source: Source, start: int) -> bool:
    """Whether the line from byte `start` on, which begins with # and a blank or another #, is no label with a count.

    *Raises* ValueError where it may be either.
    """
    lines = source.utf8[start : start + LOOKED_AT].decode("utf-8", "ignore").splitlines()
    line, after, *_ = [*filter(None, map(str.strip, lines)), ""]
    between = DELIMITER.search(after)
    *before, last = line.split(between[0]) if between else line.split()
    if not before or not NUMBER.fullmatch(last.strip()) or (after and len(after.split()) == 1 and not between):
        return True
    if len(line.replace(between[0], " ").split() if between else line.split()) > 2:
        at = source.utf8.count(b"\n", 0, start) + 1
        raise ValueError(
            f"{source.name}, line {at}: {line!r:.60} may be a comment, or a label and its count; remove the comment, "
            "or write the header 'label,count' above"
        )
    return False


def by_blanks(source: Source, start: int, head: Sequence[str]) -> Table:
    """The table of lines with a number at the end, or at the beginning; `head` are the first lines from byte `start`.

    *Raises* ValueError for lines that have none, or several.
    """
    return _in_pairs(source, start, head) or _line_by_line(source, start)


def _in_pairs(source: Source, start: int, head: Sequence[str]) -> Table | None:
    """The table of lines that each are a whole number and a word, or a word and a number, by pandas, which is faster.

    None for another, and where a word may be more than a word.
    """
    import pandas as pd

    body = source.utf8[start:]
    pairs = [line.split() for line in head if line.strip()]
    if b":" in body or b"=" in body or CODE.search(body) or {len(pair) for pair in pairs} != {2}:
        return None
    header = pairs.pop(0) if len(pairs) > 1 and not any(map(NUMBER.fullmatch, pairs[0])) else None
    kinds = {tuple(NUMBER.fullmatch(word) is not None for word in pair) for pair in pairs}
    if kinds not in ({(True, False)}, {(False, True)}):
        return None
    word = int(kinds == {(True, False)})
    try:
        with np.errstate(invalid="ignore"):  # pandas compares what is too large
            frame = pd.read_csv(
                io.BytesIO(body), sep=r"\s+", header=None, skiprows=int(header is not None), quoting=csv.QUOTE_NONE,
                dtype={word: object, 1 - word: np.int64}, na_filter=False,
            )  # fmt: skip
    except (ValueError, OverflowError):  # pandas' own errors are ValueErrors
        return None
    numbers, words = frame[1 - word].to_numpy(), frame[word].tolist()
    if "" in words:  # a line with a number alone
        return None
    names: Sequence[str | None] = header or [None, None]
    found = [Column(names[1 - word], numbers, lambda: list(map(str, numbers.tolist()))), column(names[word], words)]

    def where(i: int) -> str:
        return _where(source.name, _lines(source, start)[-len(words) :])(i)

    return Table(source.name, tuple(found if word else found[::-1]), header is not None, where)


def _lines(source: Source, start: int) -> list[tuple[int, str]]:
    """The number and the text of each line from byte `start` on that is not blank."""
    first, lines = source.utf8.count(b"\n", 0, start) + 1, source.utf8[start:].decode().splitlines()
    return [(i, line.strip()) for i, line in enumerate(lines, start=first) if line.strip()]


def _line_by_line(source: Source, start: int) -> Table:
    name, numbered = source.name, _lines(source, start)
    if any(re.fullmatch(r"\.\.+(\s+\.\.+)?", line) for _, line in numbered):
        raise ValueError(f"{name} is a printed table that leaves rows out (...); write it with to_csv")
    numbered = [(i, line) for i, line in numbered if not FOOTER.fullmatch(line)]
    if numbered and all(line.startswith("__label__") and len(line.split()) > 2 for _, line in numbered):
        raise ValueError(f"{name} has texts after labels, as fastText reads them; write the label alone in each line")
    header: list[str] = []
    if len(numbered) > 1 and not any(map(NUMBER.fullmatch, numbered[0][1].split())):
        header = numbered.pop(0)[1].rsplit(None, 1)
    numbers = [[NUMBER.fullmatch(word) is not None for word in line.split()] for _, line in numbered]
    if max(map(len, numbers), default=1) == 1:
        only = column(header[0] if header else None, [line for _, line in numbered])
        return Table(name, (only,), bool(header), _where(name, numbered))
    if len(header) == 1:
        header.append("count")  # pandas prints the name of the index alone
    for (line, _), row in zip(numbered, numbers, strict=True):
        if len(row) == 1:
            raise ValueError(f"{name}, line {line}: expected 2 fields, got 1")
    for line, text in numbered:
        if number := THOUSANDS.search(text):
            raise ValueError(
                f"{name}, line {line}: {shown(number[0])} may be one number with a separator of thousands, or a number "
                f"and a label; write {''.join(number[0].split()):.40}, or the header 'label,count' and a comma between "
                "the two"
            )
    if all(sum(row) > 1 for row in numbers) and max(map(len, numbers)) > 2:
        raise ValueError(f"{name} has several numbers in each line; write a label and a count in a line")
    at_end, at_start = (all(row[k] for row in numbers) for k in (-1, 0))
    if not (at_end or at_start):
        line = next((i for (i, _), row in zip(numbered, numbers, strict=True) if not row[-1]), numbered[0][0])
        raise ValueError(f"{name}, line {line}: a line must have a label and a count")
    cells = [line.rsplit(None, 1) if at_end else line.split(None, 1) for _, line in numbered]
    if at_end and all(row[0].endswith((":", "=")) for row in cells):  # as YAML and settings have it
        cells = [[row[0][:-1].rstrip(), row[1]] for row in cells]
    if any(re.search(r"(^|\s)\d+:\S", row[at_start and not at_end]) for row in cells):
        raise ValueError(f"{name} has features (index:value) in its lines; a label and a count are needed")
    names: list[str | None] = [*header] or [None, None]
    columns = tuple(column(names[k], [row[k] for row in cells]) for k in range(2))
    return Table(name, columns, bool(header), _where(name, numbered))


def _where(name: str, rows: Sequence[tuple[int, str]]) -> Callable[[int], str]:
    return lambda i: f"{name}, line {rows[i][0]}"
