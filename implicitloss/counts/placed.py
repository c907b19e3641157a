"""Labels in their places: an id is the place itself, a name stands where its row stands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from implicitloss.arguments import shown

__all__ = ["Counts", "by_id", "by_name"]

Floats = NDArray[np.float64]

TOTALS = {"total", "totals", "grand total", "sum", "all", "overall", "gesamt", "summe", ""}
# A row that is called total is one if its count is the sum of the others within this share.
TOTAL_WITHIN = 0.01
# Ids may run to this many times the number of rows, and this many more; beyond, they number no columns.
GAPS_A_ROW, GAPS_FREE = 100, 100_000
# If at least this share of the names are whole numbers, and not all, they are neither ids nor names.
MIXED_FROM = 0.5
LOOKED_AT = 1000


@dataclass(frozen=True, eq=False)
class Counts:
    """The count of each label, (L,), and the labels' names; without names, labels are called by their numbers.

    `file` is the path as messages show it, and `where(j)` the place of label j, where labels are in the file's order.
    """

    counts: Floats
    names: tuple[str, ...] | None
    where: Callable[[int], str] | None = None
    file: str = ""

    def check_names(self) -> None:
        """*Raises* ValueError, with its two places, for a name that comes twice."""
        first: dict[str, int] = {}
        for i, name in enumerate(self.names or ()):
            if first.setdefault(name, i) != i and self.where is not None:
                before = self.where(first[name]).rsplit(", ", 1)[-1]
                raise ValueError(f"{self.where(i)}: label {shown(name)} was on {before} already")


# A label that is missing, as programs write it.
MISSING = ("nan", "NaN", "<NA>")


def by_id(
    ids: NDArray[np.int64],
    counts: Floats,
    where: Callable[[int], str],
    first_id: int,
    names: Sequence[str] | None = None,
) -> Counts:
    """Label j is id `first_id` + j; ids that are missing have count 0."""
    least = int(ids.min())
    if least < first_id:
        i = int(ids.argmin())
        raise ValueError(f"{where(i)}: ids must be whole numbers from {first_id}, got {least}")
    size = int(ids.max()) - first_id + 1
    if size > GAPS_A_ROW * ids.size + GAPS_FREE:
        raise ValueError(
            f"{where(int(ids.argmax()))}: id {ids.max()} cannot be the number of a column, with {ids.size} labels; "
            "number the labels as the scores have them"
        )
    if names is None and first_id == 0 and size == ids.size and (ids[1:] > ids[:-1]).all():
        return Counts(counts, None)  # in their order already, as most files have them
    place = ids - first_id if first_id else ids
    is_there = np.zeros(size, dtype=bool)
    is_there[place] = True
    if np.count_nonzero(is_there) < ids.size:
        times = np.bincount(place)
        first, second = (int(i) for i in np.flatnonzero(place == int(times.argmax()))[:2])
        raise ValueError(f"{where(second)}: label {ids[second]} was on {where(first).rsplit(', ', 1)[-1]} already")
    found = np.zeros(size)
    found[place] = counts
    if names is None:
        return Counts(found, None if first_id == 0 else tuple(str(first_id + j) for j in range(size)))
    called = [str(first_id + j) for j in range(size)]
    for j, name in zip(place.tolist(), names, strict=True):
        called[j] = name
    return Counts(found, tuple(called))


def by_name(names: Sequence[str], counts: Floats, where: Callable[[int], str]) -> Counts:
    """Label j is row j.  Whether names repeat is checked later, with the prior's."""
    _check_total(names, counts, where)
    if "" in names:
        raise ValueError(f"{where(names.index(''))}: the label is empty")
    for missing in MISSING:
        if missing in names:
            raise ValueError(
                f"{where(names.index(missing))}: the label must be a name, got {missing!r}, which programs write for a "
                "missing one; leave the row out, or give the label another name"
            )
    # If none of many, evenly spaced, is a number, then not half of all are.
    numbers = sum(map(str.isdigit, names)) if any(map(str.isdigit, names[:: len(names) // LOOKED_AT + 1])) else 0
    if MIXED_FROM * len(names) <= numbers < len(names) and len(names) > 2 and not any(map(_is_code, names)):
        i = next(i for i, name in enumerate(names) if not name.isdigit())
        raise ValueError(
            f"{where(i)}: label {shown(names[i])} is no whole number, and most of the others are; labels must be ids "
            "all, or names all"
        )
    return Counts(counts, tuple(names), where)


def _is_code(name: str) -> bool:
    """Whether a name such as 007 is a name, though it has digits only."""
    return name[0] == "0" and len(name) > 1


def _check_total(names: Sequence[str], counts: Floats, where: Callable[[int], str]) -> None:
    """*Raises* ValueError for a row that is called total and has the sum of the others."""
    if len(names) < 3:
        return
    total = float(counts.sum())
    for i in np.flatnonzero(np.abs(2 * counts - total) <= TOTAL_WITHIN * (total - counts)).tolist():
        if counts[i] > 0 and names[i].strip().lower().rstrip(":") in TOTALS:
            raise ValueError(
                f"{where(i)}: {shown(names[i])} has the sum of the others, {counts[i]:.0f}; it is no label: delete "
                "the line"
            )
