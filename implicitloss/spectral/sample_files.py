"""Samples in files: .npz with features and labels, .npy for either, CSV, Parquet; compressed ones too."""

from __future__ import annotations

import csv
import io
import os
import warnings
from typing import Any

import numpy as np

from implicitloss.arguments import shown
from implicitloss.counts.columns import LABELS
from implicitloss.counts.source import Source
from implicitloss.spectral.sample_table import labels, split

__all__ = ["read"]

FEATURES = {
    "x", "features", "feature", "feats", "feat", "embeddings", "embedding", "embeds", "emb", "data", "vectors",
    "representations", "x_train", "train_features", "train_x",
}  # fmt: skip
TARGETS = {*LABELS, "y_train", "train_labels", "train_y", "classes"}
DELIMITERS = (",", "\t", ";", "|", " ")
PICKLES = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")


def read(
    path: str | os.PathLike[str], label: str | None, with_labels: bool, *, labels_alone: bool = False
) -> tuple[Any, Any]:
    """The features and the labels of a file; None for what it lacks, or what is not asked of it.

    *Raises* ValueError, naming the file, for what cannot be read or can be read in two ways.
    """
    source = Source.of(path)
    if source.data.startswith((b"\x93NUMPY", b"PK\x03\x04")) or source.name.endswith((".npy", ".npz")):
        if label is not None and (with_labels or labels_alone):
            raise ValueError(
                f"{source.name} has arrays and no column {shown(label)}; leave --label-column (label=) out"
            )
        return _arrays(source, with_labels, labels_alone)
    if source.data.startswith(PICKLES):
        raise ValueError(f"{source.name} is a pickle, which could run anything; use numpy.savez(file, X=X, y=y)")
    is_text = not source.data.startswith(b"PAR1")
    if labels_alone and is_text and label is None and (lines := _lines(source)) is not None:
        return None, lines
    frame = _delimited(source) if is_text else _parquet(source)
    return (None, labels(source.name, frame, label)) if labels_alone else split(source.name, frame, label, with_labels)


# --- arrays -----------------------------------------------------------------------------------------------------------


def _arrays(source: Source, with_labels: bool, labels_alone: bool) -> tuple[Any, Any]:
    """The arrays by their names, or by their shapes where only one assignment fits."""
    try:
        given = np.load(io.BytesIO(source.data), allow_pickle=False)
        arrays = {key: given[key] for key in given.files} if hasattr(given, "files") else {"": given}
    except Exception as error:  # a damaged archive fails anywhere in zipfile
        said = "it holds Python objects; save text as an array of text" if "pickle" in str(error) else f"{error!s:.100}"
        raise ValueError(f"{source.name} is not an array file that can be read: {said}") from None
    if {"data", "indices", "indptr"} <= arrays.keys():
        raise ValueError(
            f"{source.name} is a sparse matrix; save X.toarray() with numpy.savez(file, X=X.toarray(), y=y)"
        )
    if labels_alone:
        return None, _one(source, arrays, TARGETS, 1, "labels", "y")
    X = _one(source, arrays, FEATURES, 2, "features", "X")
    if not with_labels:
        return X, None
    if len(arrays) == 1:
        raise ValueError(f"{source.name} has features and no labels; give the file of the labels too")
    others = {key: one for key, one in arrays.items() if one is not X}
    return X, _one(source, others, TARGETS, 1, "labels", "y", len(X))


def _one(
    source: Source, arrays: dict[str, Any], names: set[str], axes: int, what: str, name: str, n: int | None = None
) -> Any:
    """The array that is called so, or the only one of so many axes (and n rows, where that is known)."""
    if len(arrays) == 1:
        return next(iter(arrays.values()))
    known = [one for key, one in arrays.items() if key.lower() in names]
    alike = [one for one in arrays.values() if one.ndim == axes and (n is None or len(one) == n)]
    found = known if len(known) == 1 else alike
    if len(found) != 1:
        listed = ", ".join(f"{shown(key)} {one.shape}" for key, one in list(arrays.items())[:4])
        raise ValueError(f"{source.name} has the arrays {listed:.180}; call the one of {what} {name}")
    return found[0]


# --- tables -----------------------------------------------------------------------------------------------------------


def _parquet(source: Source) -> Any:
    import pandas as pd

    try:
        return pd.read_parquet(io.BytesIO(source.data))
    except ImportError:
        raise ValueError(f"{source.name} is a Parquet file, which needs pyarrow: pip install pyarrow") from None
    except Exception as error:  # a damaged file fails anywhere in its reader
        raise ValueError(f"{source.name} is not a Parquet file that can be read: {error!s:.100}") from None


def _lines(source: Source) -> list[str] | None:
    """A label a line, below a name of labels or not; None for a table, which has such a name and others."""
    lines = [line.strip() for line in source.text.splitlines() if line.strip()]
    head = next(csv.reader(lines[:1], delimiter=_delimiter(lines[0])), []) if lines else []
    is_named = any(cell.strip().lower() in TARGETS for cell in head)
    return None if is_named and len(head) > 1 else lines[1:] if is_named else lines


def _delimiter(line: str) -> str:
    return next((one for one in DELIMITERS if one in line), DELIMITERS[0])


def _delimited(source: Source) -> Any:
    """A data frame of a text file, with a header or without."""
    import pandas as pd

    if b"\0" in source.utf8:
        raise ValueError(f"{source.name} is not a text file: it has a NUL byte")
    text = source.text.lstrip()
    if not text:
        raise ValueError(f"{source.name} must have samples, got an empty file")
    lines = text.split("\n", 2)[:2]
    delimiter = _delimiter(lines[0])
    first, *below = csv.reader(io.StringIO("\n".join(lines)), delimiter=delimiter, skipinitialspace=True)
    header = 0 if _is_header(first, below[0] if below else first) else None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of longer rows, whose lengths differ from the header's: an error below
            frame = pd.read_csv(
                io.StringIO(text), sep=delimiter, header=header, skipinitialspace=True, low_memory=False,
                keep_default_na=False, na_values=["", "nan", "NaN"],
            )  # fmt: skip
    except (ValueError, OverflowError) as error:  # pandas' own errors are ValueErrors
        raise ValueError(f"{source.name} is not a CSV text file: {' '.join(str(error).split()):.120}") from None
    if not isinstance(frame.index, pd.RangeIndex):
        raise ValueError(f"{source.name} must have as many cells in each row as names in its header")
    return frame


def _is_header(first: list[str], second: list[str]) -> bool:
    """Whether the first row names the columns: a name stands above a number, or they are numbered from 0."""
    above = any(not _is_number(a) and _is_number(b) for a, b in zip(first, second, strict=False))
    numbers = [cell for cell in first if _is_number(cell)]
    is_numbered = len(numbers) > 1 and numbers == [str(i) for i in range(len(numbers))]
    return above or is_numbered or any(cell.lower() in TARGETS for cell in first)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
