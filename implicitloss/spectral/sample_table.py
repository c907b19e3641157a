"""Which column of a data frame has the labels?  The others are features."""

from __future__ import annotations

from typing import Any

import numpy as np

from implicitloss.arguments import shown
from implicitloss.counts.columns import EXAMPLES, LABELS
from implicitloss.formats import nearest_name
from implicitloss.labels import Floats, Labels

__all__ = ["checked_to_tell_nothing", "labels", "split"]

# The names of labels; an "index" or an "id" numbers rows more often.
KNOWN = LABELS - {"index", "id", "item_id", "n", "item"}
# How a user says which column it is, in Python and on the command line.
SAID = "with label=... (--label-column)"


def split(name: str, frame: Any, label: str | None, with_labels: bool) -> tuple[Any, Any]:
    """The columns of features of a data frame, and that of labels, or None where it needs none.

    Paths and other names of files are left out, and so is pandas' numbering of rows.  *Raises* ValueError where another
    column is no number or numbers the rows, and as `labels` does.
    """
    frame = _checked(name, frame)
    found = _labels(name, frame, label) if with_labels else None
    texts = [column for column in frame.columns if not _is_numbers(frame[column])]
    wrong = [column for column in texts if column is not found and _key(column) not in EXAMPLES]
    if wrong:
        raise ValueError(
            f"{name} must have numbers in all columns but that of the labels, and {shown(wrong[0])} has "
            f"{_no_number(frame[wrong[0]])}; leave it out, or choose the labels {SAID}"
        )
    features = [column for column in frame.columns if column is not found and column not in texts]
    if not features:
        raise ValueError(f"{name} must have features beside its labels, got none")
    for column in features:
        if _is_numbering(frame[column]):
            raise ValueError(
                f"{name} must have features, but its column {shown(column)} numbers the rows, which tells the labels "
                "where rows are sorted: leave it out"
            )
    return frame[features], None if found is None else frame[found]


def checked_to_tell_nothing(features: Any, matrix: Floats, codes: Labels) -> None:
    """Refuse a column of features, whose numbers are in `matrix`, that has one value for each class, its own."""
    first = np.unique(codes, return_index=True)[1]
    for column in np.flatnonzero((matrix == matrix[first][codes]).all(axis=0)):
        if np.unique(matrix[first, column]).size == first.size:
            name = shown(features.columns[column])
            raise ValueError(
                f"X must not have the labels, but its column {name} tells which class is which: leave it out"
            )


def labels(name: str, frame: Any, label: str | None) -> Any:
    """The column of labels of a data frame.

    `label` is its name; by default it is the one that is called label, class, target, y or the like, or the only one
    that is no number, or the only one of True and False.  *Raises* ValueError where there is none, or where several may
    be it.
    """
    frame = _checked(name, frame)
    return frame[_labels(name, frame, label)]


def _checked(name: str, frame: Any) -> Any:
    """The frame without numbering."""
    if not frame.columns.is_unique:
        raise ValueError(f"{name} must have a name of its own for each column, and has {_twice(frame)} twice")
    if not len(frame):
        raise ValueError(f"{name} must have samples, got no rows")
    return _without_numbering(frame)


def _labels(name: str, frame: Any, label: str | None) -> Any:
    """What the column of labels is called."""
    if label is not None:
        return _called(name, frame, label)
    known = [column for column in frame.columns if _key(column) in KNOWN]
    if not known:
        texts = [column for column in frame.columns if not _is_numbers(frame[column])]
        flags = [column for column in frame.columns if frame[column].dtype.kind == "b"]
        known = [column for column in texts if _key(column) not in EXAMPLES] or flags[:2] or _only_whole(frame)
    if len(known) != 1:
        several = f"may have its labels in {', '.join(map(shown, known[:3]))}" if known else "has no column of labels"
        raise ValueError(f"{name} {several}; say which column has them {SAID}")
    return known[0]


def _called(name: str, frame: Any, label: str) -> Any:
    """The column of this name; columns without names are counted from 0."""
    found = [column for column in frame.columns if str(column).strip() == label.strip()]
    if len(found) != 1:
        names = [str(column) for column in frame.columns]
        near = nearest_name(label, names)
        hint = "" if near is None else f"; did you mean {shown(near)}?"
        raise ValueError(f"{name} must have one column called {shown(label)}, got {len(found)} of {len(names)}{hint}")
    return found[0]


def _only_whole(frame: Any) -> list[Any]:
    """The only column of whole numbers that repeat, if all others have fractions."""
    numbers = [column for column in frame.columns if _is_numbers(frame[column])]
    whole = [column for column in numbers if bool((frame[column] == np.round(frame[column])).all())]
    return whole if len(whole) == 1 and frame[whole[0]].nunique() < len(frame) and frame.shape[1] > 1 else []


def _twice(frame: Any) -> str:
    return shown(frame.columns[frame.columns.duplicated()][0])


def _without_numbering(frame: Any) -> Any:
    """The frame without the column in which pandas writes 0 to n - 1."""
    first = frame.columns[0] if frame.shape[1] else None
    if frame.shape[1] < 2 or _key(first) not in ("", "unnamed:_0", "index"):
        return frame
    return frame.drop(columns=first) if _is_numbering(frame[first]) else frame


def _is_numbering(cells: Any) -> bool:
    """Whether whole numbers rise by 1 from row to row."""
    rows = cells.to_numpy()
    return rows.dtype.kind in "iuf" and bool(np.array_equal(rows, np.arange(len(rows)) + rows[:1]))


def _key(column: Any) -> str:
    return "_".join(str("" if column is None else column).lower().replace("-", " ").replace("_", " ").split())


def _no_number(cells: Any) -> str:
    """The first cell that is no number."""
    import pandas as pd

    numbers = pd.to_numeric(cells, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    return shown(cells.iloc[int(np.argmax(np.isnan(numbers)))])


def _is_numbers(cells: Any) -> bool:
    return getattr(cells.dtype, "kind", "O") in "iufb"
