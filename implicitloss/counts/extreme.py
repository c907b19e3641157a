"""The format of the extreme-classification repository: `points features labels`, then `label,label index:value ...`."""

from __future__ import annotations

import re

import numpy as np

from implicitloss.counts.placed import Counts
from implicitloss.counts.source import Source

__all__ = ["MOST_LABELS", "extreme", "is_extreme"]

FIRST_LINE = re.compile(rb"(\d+)[ \t]+(\d+)[ \t]+(\d+)[ \t]*\r?\n")
POINT = re.compile(rb"(?:\d+(?:,\d+)*)?(?:[ \t]+\d+:\S+)*[ \t]*\r?")
# Files are read and profiles are made in memory, at several vectors of eight bytes a label.
MOST_LABELS = 100_000_000


def is_extreme(data: bytes) -> bool:
    """Whether the file has this format, by its first two lines."""
    head = FIRST_LINE.match(data)
    if head is None:
        return False
    second = data[head.end() : head.end() + 100_000].split(b"\n", 1)[0]
    return POINT.fullmatch(second) is not None


def extreme(source: Source, first_id: int) -> Counts:
    """How many points have each label; the header says how many labels there are."""
    head = FIRST_LINE.match(source.data)
    assert head is not None
    points, _, n_labels = (int(x) for x in head.groups())
    lines = source.data[head.end() :].decode("utf-8", "replace").splitlines()
    while len(lines) > points and not lines[-1].strip():
        lines.pop()
    if len(lines) != points:
        raise ValueError(f"{source.name}: the header promises {points} points, got {len(lines)}")
    if n_labels > MOST_LABELS:
        raise ValueError(f"{source.name}: the header promises {n_labels} labels, and {MOST_LABELS} are the most")
    counts = np.zeros(n_labels)
    for number, line in enumerate(lines, start=2):
        first = line.split(None, 1)[0] if line[:1].strip() else ""
        if not first or ":" in first:
            continue  # a point without labels
        try:
            labels = np.array(first.split(","), dtype=np.int64)
        except (ValueError, OverflowError):
            raise ValueError(
                f"{source.name}, line {number}: labels must be whole numbers, got {first[:40]!r}"
            ) from None
        labels -= first_id
        if labels.min() < 0 or labels.max() >= n_labels:
            wrong = int(labels.max() if labels.min() >= 0 else labels.min()) + first_id
            raise ValueError(
                f"{source.name}, line {number}: labels must be {first_id} to {n_labels - 1 + first_id}, got {wrong}"
            )
        counts[np.unique(labels)] += 1
    return Counts(counts, None)
