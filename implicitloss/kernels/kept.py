"""A whole query of two-level sampling in one call: the law of clusters, those that are kept, draws, and scores.

Few draws need no alias table of the clusters: a table of their sums, and of where to begin in it, takes one pass.
Rows of draws are asked for before kept rows are multiplied, and are there when these are done.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from implicitloss.kernels.ahead import fetch
from implicitloss.kernels.alias import find_inside
from implicitloss.kernels.clusters import log_expected, mix
from implicitloss.kernels.jit import kernel, kernel_of_sums

__all__ = ["exp_in_place", "fetch_row", "find_by_sums", "keep_and_draw", "keep_best", "multiply", "multiply_places"]

Floats = NDArray[np.float64]
Places = NDArray[np.intp]
Reals = NDArray[np.floating[Any]]
# Numbers of single precision in a line of the cache, and how many rows are asked for ahead.
LINE, AHEAD_ROWS = 16, 32
# Clusters that have no larger shares of the draws, all together, cannot be told apart by points in [0, 1).
LEAST = 1e-290
# What is left of 1 is not known better.
LEAST_REST = 1e-12


@kernel_of_sums
def multiply(rows: Reals, h: Reals, out: Floats) -> None:
    """Write the products of rows (n, d) with h into `out` (n,)."""
    for i in range(rows.shape[0]):
        total = h[0] * 0
        for k in range(h.size):
            total += rows[i, k] * h[k]
        out[i] = total


@kernel
def fetch_row(flat: Reals, place: int, size: int) -> int:
    """Ask for a row of so many numbers; returns how many lines that are."""
    lines = 0
    for number in range(place * size, (place + 1) * size, LINE):
        fetch(flat, number)
        lines += 1
    return lines


@kernel_of_sums
def multiply_places(rows: Reals, places: Places, h: Reals, out: Floats) -> None:
    """Write the products of the rows at `places` (n,) with h into `out` (n,)."""
    flat, n = rows.reshape(-1), places.size
    for i in range(min(AHEAD_ROWS, n)):
        fetch_row(flat, places[i], h.size)
    for i in range(n):
        if i + AHEAD_ROWS < n:
            fetch_row(flat, places[i + AHEAD_ROWS], h.size)
        total = h[0] * 0
        for k in range(h.size):
            total += rows[places[i], k] * h[k]
        out[i] = total


@kernel
def exp_in_place(x: Floats) -> None:
    """Replace numbers x <= 0 by e^x, within 1e-15 of it, and above 1e-308; many at a time, which `np.exp` here is not.

    e^x = 2^n e^r with |r| <= (log 2)/2, for which the Taylor series has 14 terms.
    """
    bits = np.empty(x.size, np.int64)
    for i in range(x.size):
        at = max(x[i], -708.0)
        n = np.floor(at * 1.4426950408889634 + 0.5)
        r = (at - n * 0.6931471803691238) - n * 1.9082149292705877e-10  # log 2 in two parts, the first with few bits
        e = 1.0 + r * (1 / 13)
        e = 1.0 + r * (1 / 12) * e
        e = 1.0 + r * (1 / 11) * e
        e = 1.0 + r * (1 / 10) * e
        e = 1.0 + r * (1 / 9) * e
        e = 1.0 + r * (1 / 8) * e
        e = 1.0 + r * (1 / 7) * e
        e = 1.0 + r * (1 / 6) * e
        e = 1.0 + r * (1 / 5) * e
        e = 1.0 + r * (1 / 4) * e
        e = 1.0 + r * (1 / 3) * e
        e = 1.0 + r * (1 / 2) * e
        x[i] = 1.0 + r * e
        bits[i] = (np.int64(n) + 1023) << 52
    x *= bits.view(np.float64)


@kernel
def keep_best(
    ranks: Floats, shares: Floats, starts: Places, most: int, above: float, best: Places
) -> tuple[int, int]:  # fmt: skip
    """Write the clusters of the highest `ranks` (K,) into `best`, while they have at most so many labels.

    It also ends where the share of the next, a label, is not above so much of what is left of the `shares` (K,), which
    sum to 1.  Something is always left to draw from.  Returns how many clusters were kept, and how many labels; kept
    ones then have the rank -inf and the share 0.
    """
    n_best, n_kept, lost, rest = 0, 0, np.empty(ranks.size), 1.0
    while n_best < ranks.size - 1:
        first = 0
        for c in range(ranks.size):
            if ranks[c] > ranks[first]:
                first = c
        size = starts[first + 1] - starts[first]
        if n_kept + size > most or not shares[first] > above * size * rest:
            break
        rest = max(rest - shares[first], LEAST_REST)
        best[n_best], lost[n_best] = first, shares[first]
        ranks[first], shares[first] = -np.inf, 0.0
        n_best, n_kept = n_best + 1, n_kept + size
    while n_best > 0 and not np.any(shares > LEAST):
        n_best -= 1
        first = best[n_best]
        shares[first] = lost[n_best]
        n_kept -= starts[first + 1] - starts[first]
    return n_best, n_kept


@kernel
def find_by_sums(shares: Floats, points: Floats, labels: Places) -> float:
    """Write into `labels` what each point in [0, 1) belongs to, in proportion to `shares` (K,); returns their sum."""
    k, total = shares.size, 0.0
    sums, begin = np.empty(k), np.empty(k, np.intp)
    for c in range(k):
        total += shares[c]
        sums[c] = total
    c = 0
    for cell in range(k):
        while sums[c] * k <= cell * total and c < k - 1:
            c += 1
        begin[cell] = c
    for i in range(points.size):
        # (1 - 2^-53) total is below the total in floating point too, and k (1 - 2^-53) below k.
        point, c = points[i] * total, begin[int(points[i] * k)]
        while sums[c] <= point:
            c += 1
        labels[i] = c
    return total


@kernel
def keep_and_draw(
    h: Floats, largest: float, axes: Floats, of_clusters: Floats, starts: Places, defence: float, most: int,
    above: float, points: Floats, records: Floats, order: Places, places: Places, rows: Reals,
) -> tuple[Places, Floats, Floats]:  # fmt: skip
    """Labels, log weights and scores, (k' + m,) each: of the labels of kept clusters, then of m draws from the others.

    `of_clusters` (4, K) are log B_c, s_c, B_c/Σ B and log n_c; `points` (2, m) are in [0, 1).  `rows` (L, d + 1) are
    vectors and biases in `order`, in which labels have their `places`.  A query that is not within ± `largest` gets
    nothing.
    """
    k, m, d = of_clusters.shape[1], points.shape[1], h.size
    for i in range(d):
        if not abs(h[i]) <= largest:
            return np.empty(0, np.intp), np.empty(0), np.empty(0)
    products = np.empty(axes.shape[0])
    multiply(axes, h, products)
    shares = log_expected(products, of_clusters[0], of_clusters[1])
    ranks, best = shares - of_clusters[3], np.empty(k, np.intp)
    exp_in_place(shares)
    mix(of_clusters[2], defence, shares)
    n_best, n_kept = keep_best(ranks, shares, starts, most, above / m, best)
    labels, logs, scores = np.empty(n_kept + m, np.intp), np.zeros(n_kept + m), np.empty(n_kept + m)
    drawn, q, at, flat = labels[n_kept:], logs[n_kept:], np.empty(m, np.intp), rows.reshape(-1)
    rest = find_by_sums(shares, points[0], drawn)
    for i in range(m):
        q[i] = shares[drawn[i]] * m / rest
    find_inside(records, starts, points[1], drawn, q)
    for i in range(m):
        at[i] = places[drawn[i]]
        if i < AHEAD_ROWS:
            fetch_row(flat, at[i], d + 1)
        q[i] = -np.log(q[i])
    single, done = np.ones(d + 1, rows.dtype), 0
    single[:d] = h
    for i in range(n_best):
        first, last = starts[best[i]], starts[best[i] + 1]
        multiply(rows[first:last], single, scores[done:])
        labels[done : done + last - first] = order[first:last]
        done += last - first
    multiply_places(rows, at, single, scores[n_kept:])
    return labels, logs, scores
