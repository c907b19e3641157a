"""Loops over drawn labels: sums, log-sums and gradients of a block of runs."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from implicitloss.kernels.jit import kernel

Floats = NDArray[np.float64]
Labels = NDArray[np.intp]


@kernel
def add_up(
    labels: Labels, skipped: int, values: Floats, ladder: Labels, state: Labels, totals: Floats, out: Floats
) -> None:
    """Go on adding values[label, k] of drawn labels: the sums of the first `ladder` draws of each run, into `out`.

    `out` is (rungs, K, runs), `totals` (K,) the running sums, `state` (run, draw within it, rung): a stream of labels
    comes in pieces.  The label `skipped` is passed over (an excluded hit; -1 for none).
    """
    n_rungs, n_tables, n_runs = out.shape
    run, draw, rung = state[0], state[1], state[2]
    for j in range(labels.size):
        label = labels[j]
        if label == skipped:
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
def add_up_tickets(
    records: Floats, points: Floats, skips: bool, ladder: Labels, state: Labels, totals: Floats, out: Floats
) -> None:
    """`add_up` of one value for one rung, without labels in between: the same sums to the bit.

    `records` is (L, 3), the cell of an alias table and what its two labels add: share, own value, other's value; a
    value below 0 stands for a label that is passed over, if it `skips` any.  A draw waits for memory once.
    """
    n, n_runs = records.shape[0], out.shape[2]
    run, draw, total, m = state[0], state[1], totals[0], ladder[0]
    for j in range(points.size):
        # n (1 - 2^-53) is below n in floating point too.
        place = points[j] * n
        cell = int(place)
        value = records[cell, 1] if place - cell < records[cell, 0] else records[cell, 2]
        if skips and value < 0.0:
            continue
        total += value
        draw += 1
        if draw == m:
            out[0, 0, run] = total
            run, draw, total = run + 1, 0, 0.0
            if run == n_runs:
                break
    state[0], state[1], totals[0] = run, draw, total


@kernel
def add_up_four(
    cells: Floats,
    values: Floats,
    points: Floats,
    skips: bool,
    ladder: Labels,
    state: Labels,
    totals: Floats,
    out: Floats,
) -> None:
    """The same for four `values` (L, 4) and any ladder: a draw looks at a cell and at half a line of values.

    Sums are kept in registers: in memory they would wait for each other.
    """
    n = cells.shape[0]
    n_rungs, _, n_runs = out.shape
    run, draw, rung = state[0], state[1], state[2]
    a, b, c, d = totals[0], totals[1], totals[2], totals[3]
    for j in range(points.size):
        place = points[j] * n
        cell = int(place)
        other = int(cells[cell, 1])
        label = cell if place - cell < cells[cell, 0] else other
        if skips and values[label, 0] < 0.0:
            continue
        a += values[label, 0]
        b += values[label, 1]
        c += values[label, 2]
        d += values[label, 3]
        draw += 1
        if draw == ladder[rung]:
            out[rung, 0, run], out[rung, 1, run], out[rung, 2, run], out[rung, 3, run] = a, b, c, d
            rung += 1
            if rung == n_rungs:
                run, draw, rung = run + 1, 0, 0
                a, b, c, d = 0.0, 0.0, 0.0, 0.0
                if run == n_runs:
                    break
    totals[0], totals[1], totals[2], totals[3] = a, b, c, d
    state[0], state[1], state[2] = run, draw, rung


@kernel
def ticket_records(cells: Floats, values: Floats) -> Floats:
    """The records of `add_up_tickets` from the cells of an alias table and each label's value (L, 1)."""
    out = np.empty((cells.shape[0], 3))
    for c in range(cells.shape[0]):
        out[c, 0], out[c, 1], out[c, 2] = cells[c, 0], values[c, 0], values[int(cells[c, 1]), 0]
    return out


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
