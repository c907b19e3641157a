"""Loops over drawn labels: sums, log-sums and gradients of a block of runs."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from implicitloss.kernels.ahead import AHEAD_DRAWS, NEAR_BYTES, fetch
from implicitloss.kernels.jit import kernel

__all__ = [
    "add_up",
    "add_up_by_alias",
    "add_up_three",
    "alias_records",
    "equal_but_for_a_shift",
    "extent",
    "label_totals",
    "log_sums",
    "pair_distances",
]

Floats = NDArray[np.float64]
Labels = NDArray[np.intp]


@kernel
def add_up(
    values: Floats, labels: Labels, skipped: int, ladder: Labels, state: Labels, totals: Floats, out: Floats
) -> None:
    """Continue the running sums of values[label, k]; write the sums after each rung of `ladder` to `out`.

    `out` is (rungs, K, runs), `totals` (K,) the running sums, `state` (run, draw within it, rung): a stream of labels
    comes in pieces.  The label `skipped` is passed over (an excluded hit; -1 for none), and with it those with a
    value below 0.
    """
    n_rungs, n_tables, n_runs = out.shape
    far, last = values.size * 8 > NEAR_BYTES, labels.size - 1
    run, draw, rung = state[0], state[1], state[2]
    for j in range(labels.size):
        if far:
            fetch(values, labels[min(j + AHEAD_DRAWS, last)])
        label = labels[j]
        if skipped >= 0 and (label == skipped or values[label, 0] < 0.0):
            continue
        for k in range(n_tables):
            totals[k] += values[label, k]
        draw += 1
        if draw == ladder[rung]:
            for k in range(n_tables):
                out[rung, k, run] = totals[k]
            rung += 1
            if rung == n_rungs:
                run, draw, rung = run + 1, 0, 0
                for k in range(n_tables):
                    totals[k] = 0.0
                if run == n_runs:
                    break
    state[0], state[1], state[2] = run, draw, rung


@kernel
def alias_records(cells: Floats, values: Floats, first: int, last: int, records: Floats) -> None:
    """What a draw by the `cells` of an alias table adds, into `records` (L, 1 + 2k or more), for `values` (k, L).

    Share of the cell's own label, its own k values, the k values of its other label; for cells from `first` to `last`.
    """
    k = values.shape[0]
    for c in range(first, last):
        records[c, 0] = cells[c, 0]
        other = int(cells[c, 1])
        for i in range(k):
            records[c, 1 + i], records[c, 1 + k + i] = values[i, c], values[i, other]


@kernel
def extent(log_x: Floats, log_q: Floats) -> tuple[float, float, float]:
    """The largest of log_x; the least where log_q > -inf; the least of the finite ones there."""
    largest, least, smallest = -np.inf, np.inf, np.inf
    for j in range(log_x.size):
        largest = max(largest, log_x[j])
        if log_q[j] > -np.inf:
            least = min(least, log_x[j])
            if log_x[j] > -np.inf:
                smallest = min(smallest, log_x[j])
    return largest, least, smallest


@kernel
def equal_but_for_a_shift(a: Floats, b: Floats, shift: float, within: float) -> bool:
    """Whether a = b + `shift` in each entry, up to `within` (1 + the lesser size), or both are -inf there."""
    for j in range(a.size):
        # An infinite difference is never within bounds.
        if a[j] != b[j] + shift and not abs(a[j] - b[j] - shift) <= within * (1.0 + min(abs(a[j]), abs(b[j]))):
            return False
    return True


@kernel
def add_up_by_alias(
    records: Floats, points: Floats, skipped: int, ladder: Labels, state: Labels, totals: Floats, out: Floats
) -> None:
    """Like `add_up` for one value, but takes uniform points and never stores the labels; bit-identical.

    `records` is (L, 4): share, own value, other's value, nothing; a value below 0 stands for the label that is passed
    over.  A draw looks at one record, asked for ahead of time.
    """
    n, far, last = records.shape[0], records.size * 8 > NEAR_BYTES, points.size - 1
    n_rungs, _, n_runs = out.shape
    run, draw, rung, total = state[0], state[1], state[2], totals[0]
    rest = ladder[rung]
    for j in range(points.size):
        if far:
            fetch(records, int(points[min(j + AHEAD_DRAWS, last)] * n))
        # n (1 - 2^-53) is below n in floating point too.
        place = points[j] * n
        cell = int(place)
        value = records[cell, 1] if place - cell < records[cell, 0] else records[cell, 2]
        if skipped >= 0 and value < 0.0:
            continue
        total += value
        draw += 1
        if draw == rest:
            out[rung, 0, run] = total
            rung += 1
            if rung == n_rungs:
                run, draw, rung, total = run + 1, 0, 0, 0.0
                if run == n_runs:
                    break
            rest = ladder[rung]
    state[0], state[1], state[2], totals[0] = run, draw, rung, total


@kernel
def add_up_three(
    records: Floats, points: Floats, skipped: int, ladder: Labels, state: Labels, totals: Floats, out: Floats
) -> None:
    """Add up three values at once: `records` is (L, 8), a line of the cache each.

    Sums are kept in registers: in memory they would wait for each other.
    """
    n, far, last = records.shape[0], records.size * 8 > NEAR_BYTES, points.size - 1
    n_rungs, _, n_runs = out.shape
    run, draw, rung = state[0], state[1], state[2]
    a, b, c = totals[0], totals[1], totals[2]
    rest = ladder[rung]
    for j in range(points.size):
        if far:
            fetch(records, int(points[min(j + AHEAD_DRAWS, last)] * n))
        place = points[j] * n
        cell = int(place)
        whose = 1 if place - cell < records[cell, 0] else 4
        if skipped >= 0 and records[cell, whose] < 0.0:
            continue
        a += records[cell, whose]
        b += records[cell, whose + 1]
        c += records[cell, whose + 2]
        draw += 1
        if draw == rest:
            out[rung, 0, run], out[rung, 1, run], out[rung, 2, run] = a, b, c
            rung += 1
            if rung == n_rungs:
                run, draw, rung = run + 1, 0, 0
                a, b, c = 0.0, 0.0, 0.0
                if run == n_runs:
                    break
            rest = ladder[rung]
    state[0], state[1], state[2] = run, draw, rung
    totals[0], totals[1], totals[2] = a, b, c


@kernel
def log_sums(labels: Labels, table: Floats) -> Floats:
    """log Σ_i e^{table[k, labels[r, i]]}, (K, runs), for tables too wide for `sums`."""
    n_runs, m = labels.shape
    out = np.empty((table.shape[0], n_runs))
    for k in range(table.shape[0]):
        for r in range(n_runs):
            largest = -np.inf
            for i in range(m):
                largest = max(largest, table[k, labels[r, i]])
            total = 0.0
            if largest > -np.inf:
                for i in range(m):
                    total += math.exp(table[k, labels[r, i]] - largest)
            out[k, r] = largest + math.log(total) if total > 0.0 else -np.inf
    return out


@kernel
def label_totals(labels: Labels, table: Floats, log_divisor: Floats, n_labels: int) -> Floats:
    """Σ and Σ of squares over runs of Σ_{i: labels[r,i] = j} e^{table_j - log_divisor_r}, for each label j, (2, L)."""
    n_runs, m = labels.shape
    out = np.zeros((2, n_labels))
    counts = np.zeros(n_labels)
    for r in range(n_runs):
        for i in range(m):
            counts[labels[r, i]] += 1.0
        for i in range(m):
            j = labels[r, i]
            if counts[j] > 0.0:
                value = counts[j] * math.exp(table[j] - log_divisor[r])
                out[0, j] += value
                out[1, j] += value * value
                counts[j] = 0.0
    return out


@kernel
def pair_distances(
    labels: Labels, table: Floats, log_divisor: Floats, hard: Labels, log_hard: Floats, n_labels: int
) -> Floats:
    """‖g - g'‖² of each two runs after one another, (runs // 2,).

    An entry g_j is Σ_{i: labels[r,i] = j} e^{table_j - log_divisor_r}, and e^{log_hard - log_divisor_r} more for each
    label of `hard`.
    """
    n_pairs, m = labels.shape[0] // 2, labels.shape[1]
    out, apart = np.zeros(n_pairs), np.zeros(n_labels)
    for pair in range(n_pairs):
        for r in range(2 * pair, 2 * pair + 2):
            sign = 1.0 if r == 2 * pair else -1.0
            for i in range(m):
                apart[labels[r, i]] += sign * math.exp(table[labels[r, i]] - log_divisor[r])
            for i in range(hard.size):
                apart[hard[i]] += sign * math.exp(log_hard[i] - log_divisor[r])
        # A label that comes again is 0 then.
        for r in range(2 * pair, 2 * pair + 2):
            for i in range(m):
                out[pair] += apart[labels[r, i]] ** 2
                apart[labels[r, i]] = 0.0
        for i in range(hard.size):
            out[pair] += apart[hard[i]] ** 2
            apart[hard[i]] = 0.0
    return out
