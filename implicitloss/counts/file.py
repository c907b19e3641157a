"""From a path to the counts of labels: which format a file has, and what its rows are."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from implicitloss.arguments import shown
from implicitloss.counts import arrays, documents, extreme
from implicitloss.counts.columns import chosen
from implicitloss.counts.delimited import delimited
from implicitloss.counts.placed import Counts, by_id, by_name
from implicitloss.counts.source import Source
from implicitloss.counts.table import Column, Table
from implicitloss.counts.values import counts_of

__all__ = ["read"]

# What a file of another format begins with, and the line that makes a readable one of it.
OTHERS = {
    b"\xd0\xcf\x11\xe0": "an old Excel file; save it as CSV",
    b"SQLite format 3": "an SQLite database; export a table as CSV",
    b"\x89HDF": "an HDF5 file; write the counts with numpy.save",
    b"\x80\x04": "a pickle, which could run anything; write it with to_csv or numpy.save",
    b"\x80\x05": "a pickle, which could run anything; write it with to_csv or numpy.save",
    b"%PDF": "a PDF file; a table of counts is needed",
}

# A cell with several ids.
SEVERAL = re.compile(r"\[?\d+([,;|/ ]+\d+)+\]?")


def read(
    path: str | os.PathLike[str], *, label: str | None = None, count: str | None = None, first_id: int = 0
) -> Counts:
    """The counts of a file.  *Raises* ValueError, naming the file and the place, where it can be read in two ways."""
    source = Source.of(path)
    return replace(_counts(source, label, count, first_id), file=source.name)


def _counts(source: Source, label: str | None, count: str | None, first_id: int) -> Counts:
    if extreme.is_extreme(source.data):
        if label is not None or count is not None:
            raise ValueError(f"{source.name} has a line for each point, and no columns to choose")
        return extreme.extreme(source, first_id)
    table = _format(source)(source)
    columns = chosen(table, label, count)
    if columns.counts is None:
        assert columns.labels is not None
        return _examples(table, columns.labels, first_id)
    counts = counts_of(table, columns.counts)
    if columns.labels is None:
        return Counts(counts, None)
    labels = columns.labels
    if labels.kind == "whole":
        return by_id(_ids(labels), counts, table.where, first_id, _texts(columns.names))
    return by_name(_texts(labels) or (), counts, table.where)


def _format(source: Source) -> Callable[[Source], Table]:
    data = source.data
    for mark, what in OTHERS.items():
        if data.startswith(mark):
            raise ValueError(f"{source.name} is {what}")
    if data.startswith(b"\x93NUMPY") or source.name.endswith((".npy", ".npz")):
        return arrays.array
    if data.startswith(b"PK\x03\x04"):
        if b"[Content_Types].xml" in data[:4096]:
            raise ValueError(f"{source.name} is an Excel file; save it as CSV")
        return arrays.array
    if data.startswith(b"PAR1"):
        return arrays.parquet
    start = data[:100].removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith((b"{", b"[")) and (
        start[:1] == b"{" or source.name.endswith((".json", ".json.gz")) or _is_list(start)
    ):
        return documents.document
    return delimited


def _is_list(start: bytes) -> bool:
    return start[1:].lstrip()[:1] in (b"[", b"{", b"-") or start[1:].lstrip()[:1].isdigit()


def _ids(labels: Column) -> NDArray[np.int64]:
    assert labels.numbers is not None
    with np.errstate(invalid="ignore"):
        return np.asarray(labels.numbers.astype(np.int64, copy=False))


def _texts(names: Column | None) -> tuple[str, ...] | None:
    return None if names is None else tuple(names.texts)


def _examples(table: Table, labels: Column, first_id: int) -> Counts:
    """Count the examples of each label; names are sorted.  *Raises* ValueError for labels that are no examples'."""
    found, counts = np.unique(_ids(labels) if labels.kind == "whole" else np.array(labels.texts), return_counts=True)
    if found.size == labels.size > 2:
        raise ValueError(
            f"{table.name} has each label once, and no column that is known to be a count; name one with count=... "
            "(--count-column), or write the header 'label,count'"
        )
    if labels.kind == "whole":
        return by_id(found, counts.astype(float), lambda i: f"{table.name}: label {found[i]}", first_id)
    names = tuple(map(str, found))
    several = next((name for name in names if SEVERAL.fullmatch(name)), None)
    if several is not None:
        raise ValueError(f"{table.name} has several labels in a cell, {shown(several)}; write a line for each of them")
    return Counts(counts.astype(float), names)
