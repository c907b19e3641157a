"""Arrays in .npy and .npz files, and tables in Parquet."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from implicitloss.arguments import shown
from implicitloss.counts.source import Source
from implicitloss.counts.table import Column, Table

__all__ = ["array", "parquet"]


def array(source: Source) -> Table:
    """The table of a .npy file, or of the arrays of an .npz file."""
    try:
        given = np.load(io.BytesIO(source.data), allow_pickle=False)
        arrays = dict(given) if hasattr(given, "files") else {"": given}
    except Exception as error:  # a damaged archive fails anywhere in zipfile
        raise ValueError(f"{source.name} is not an array file that can be read: {error!s:.100}") from None
    if "" in arrays and arrays[""].dtype.names:  # named columns
        arrays = {key: arrays[""][key] for key in arrays[""].dtype.names}
    if not arrays:
        raise ValueError(f"{source.name} has no arrays; one of counts is needed")
    for key, one in arrays.items():
        if one.ndim != 1:
            what = f"the array {shown(key)}" if key else "the array"
            raise ValueError(
                f"{source.name}: {what} must have one axis, a count for each label, got shape {one.shape}; "
                "for ids and their counts write numpy.savez(file, label=ids, count=counts)"
            )
    if len({one.size for one in arrays.values()}) > 1:
        raise ValueError(f"{source.name} has arrays of different lengths, {', '.join(map(shown, arrays))}")
    columns = tuple(_column(key, one) for key, one in arrays.items())
    # NumPy calls an array arr_0 that has no name.
    return _table(source.name, columns, len(columns) > 1 or columns[0].name not in (None, "arr_0"))


def parquet(source: Source) -> Table:
    """The table of a Parquet file, where pandas can read it."""
    import pandas as pd

    try:
        frame = pd.read_parquet(io.BytesIO(source.data))
    except ImportError:
        raise ValueError(f"{source.name} is a Parquet file, which needs pyarrow: pip install pyarrow") from None
    except Exception as error:  # a damaged file fails anywhere in its reader
        raise ValueError(f"{source.name} is not a Parquet file that can be read: {error!s:.100}") from None
    if not isinstance(frame.index, pd.RangeIndex):
        frame = frame.reset_index()
    columns = tuple(_column(str(key), frame[key].to_numpy()) for key in frame)
    return _table(source.name, columns, True)


def _column(name: str, cells: Any) -> Column:
    return Column(name or None, cells if cells.dtype.kind in "iuf" else None, lambda: list(map(str, cells.tolist())))


def _table(name: str, columns: tuple[Column, ...], has_header: bool) -> Table:
    return Table(name, columns, has_header, lambda i: f"{name}, entry {i + 1}")
