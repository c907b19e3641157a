"""Labels that are alike: equal columns of a table."""

from __future__ import annotations

import numpy as np

from implicitloss.labels import Floats, Labels

__all__ = ["alike"]

# An odd number whose bits look random: 2^64 over the golden ratio.
MIXER = np.uint64(0x9E3779B97F4A7C15)


def alike(table: Floats) -> tuple[Labels, Labels, Labels]:
    """The first of each set of equal columns, (K,); which of these each column equals, (L,); how many do, (K,)."""
    # A hash of each column, as sorting columns takes long.
    code = np.zeros(table.shape[1], dtype=np.uint64)
    for row in table:
        code = (code ^ (code >> np.uint64(29)) ^ np.ascontiguousarray(row).view(np.uint64)) * MIXER
    ordered = np.sort(code)
    if np.all(ordered[1:] != ordered[:-1]):
        return np.arange(code.size), np.arange(code.size), np.ones(code.size, dtype=np.int64)
    _, first, of_label, counts = np.unique(code, return_index=True, return_inverse=True, return_counts=True)
    if not np.array_equal(table[:, first[of_label]], table):  # two columns of one hash
        _, first, of_label, counts = np.unique(
            table, axis=1, return_index=True, return_inverse=True, return_counts=True
        )
    return first, of_label.reshape(-1), counts
