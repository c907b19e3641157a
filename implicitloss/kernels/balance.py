"""The balance of pushes of many labels, each kernel in one pass over them; called by `implicitloss.optima`.

The notation is that of `implicitloss.optima.balance`.  Tables are of polynomials of degree 7 in
the place within a bin, (bins, 8).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from implicitloss.kernels.jit import kernel

__all__ = ["add_to_grid", "balance_alone", "look_up_both", "looked_up", "ratios"]

Floats = NDArray[np.float64]


@kernel
def looked_up(log_x: float, low: float, bins_a_unit: float, last: float, powers: Floats) -> float:
    """The value at log x by a table from `low` on.

    By Estrin's scheme and without a branch, so that several labels are computed at once; what is unsigned does not
    count from the end.  What is not a number has the first bin, or it would be read from beyond the table.
    """
    place = (log_x - low) * bins_a_unit
    b = np.uint64(max(0.0, min(place, last)))
    row, t = powers[b], 2.0 * (place - b) - 1.0
    square = t * t
    small = (row[0] + row[1] * t) + (row[2] + row[3] * t) * square
    large = (row[4] + row[5] * t) + (row[6] + row[7] * t) * square
    return small + large * square * square


@kernel
def ratios(
    log_z: Floats,
    log_x: Floats,
    log_more: Floats,
    size: Floats,
    step: Floats,
    c: Floats,
    h: Floats,
    m: int,
    orders: int,
    neglected: float,
    low: float,
    width: float,
    tables: Floats,
    out: Floats,
) -> None:
    """m q/η times right over left of each label, into `out`.

    Tables are of left and right beside no positive, then of the term i of each order k of the series.
    """
    last, bins_a_unit = tables.shape[1] - 1.0, 1 / width
    for j in range(log_z.size):
        left = looked_up(log_z[j], low, bins_a_unit, last, tables[0])
        right = looked_up(log_x[j], low, bins_a_unit, last, tables[1])
        own, share, of_h, of_step, which = 0.0, 1.0, 1.0, 1.0, 2
        for k in range(1, orders + 1):
            if k > 1 and not max(h[j], share) * of_h > neglected:
                break
            of_right, of_own = looked_up(log_x[j], low, bins_a_unit, last, tables[which]), 0.0
            ways, ways_own = 1.0, 1.0
            for i in range(1, k + 1):
                times = 1.0 + i * c[j]
                more = log_more[j] if i == 1 else math.log(times)
                part = looked_up(log_x[j] + more, low, bins_a_unit, last, tables[which + i]) / times
                ways *= -(k - i + 1) / i  # C(k, i) and C(k - 1, i - 1), with their signs
                of_right += ways * part
                of_own += ways_own * part
                ways_own *= -(k - i) / i
            right -= m / k * of_step * step[j] * of_right
            own += c[j] * of_step * of_own
            if k == 1:
                share = size[j] * own / left
            of_h *= h[j]
            of_step *= step[j]
            which += k + 1
        out[j] = right / (left - size[j] * own)


@kernel
def look_up_both(
    log_z: Floats,
    low_z: float,
    width_z: float,
    of_z: Floats,
    log_x: Floats,
    low_x: float,
    width_x: float,
    of_x: Floats,
    out: Floats,
) -> None:
    """The sum of a function of log z and one of log x at each label, into `out`, by their tables (bins, 8)."""
    last_z, last_x = of_z.shape[0] - 1.0, of_x.shape[0] - 1.0
    for j in range(log_z.size):
        out[j] = looked_up(log_z[j], low_z, 1 / width_z, last_z, of_z) + looked_up(
            log_x[j], low_x, 1 / width_x, last_x, of_x
        )


@kernel
def add_to_grid(
    log_z: Floats,
    low_z: float,
    width_z: float,
    log_x: Floats,
    low_x: float,
    width_x: float,
    q: Floats,
    eta: Floats,
    ratio: Floats,
    slope: Floats,
    moved: Floats,
    grid: Floats,
) -> None:
    """Add q/D and η/D of each label to `grid` (rows, columns, 2), by log z and log x, and times the ratio to `moved`.

    A label is shared by the four points around it, so that sums of linear functions stay.
    """
    rows_a_unit, columns_a_unit = 1 / width_z, 1 / width_x
    for j in range(log_z.size):
        z, x = (log_z[j] - low_z) * rows_a_unit, (log_x[j] - low_x) * columns_a_unit
        row, column = np.uint64(z), np.uint64(x)
        z, x = z - row, x - column
        of_q, of_eta = q[j] / slope[j], eta[j] / slope[j]
        for i in range(2):
            next_row, of_row = row + np.uint64(i), z if i else 1 - z
            moved[0, next_row] += of_row * of_q * ratio[j]
            moved[1, column + np.uint64(i)] += (x if i else 1 - x) * of_eta * ratio[j]
            here, there = grid[next_row, column], grid[next_row, column + np.uint64(1)]
            here[0] += of_row * (1 - x) * of_q
            here[1] += of_row * (1 - x) * of_eta
            there[0] += of_row * x * of_q
            there[1] += of_row * x * of_eta


@kernel
def balance_alone(
    log_odds: Floats,
    log_b: Floats,
    low_z: float,
    of_z: Floats,
    log_rate: Floats,
    low_x: float,
    of_x: Floats,
    apart: float,
    steps: int,
    longest: float,
    near: float,
    f: Floats,
) -> None:
    """Move f of each label to where log odds + of_x(log rate + f) = of_z(log b + f), of values that are `apart`.

    In so many Newton steps at most, each no longer than `longest`; one shorter than `near` is the last.
    """
    last_z, last_x, points_a_unit = of_z.size - 2.0, of_x.size - 2.0, 1 / apart
    for j in range(f.size):
        for _ in range(steps):
            place_z, place_x = (log_b[j] + f[j] - low_z) * points_a_unit, (log_rate[j] + f[j] - low_x) * points_a_unit
            # What is not a number has a place too, or it would be read from beyond the table.
            z = int(min(place_z, last_z)) if place_z > 0 else 0
            x = int(min(place_x, last_x)) if place_x > 0 else 0
            rise_z, rise_x = of_z[z + 1] - of_z[z], of_x[x + 1] - of_x[x]
            off = log_odds[j] + of_x[x] + (place_x - x) * rise_x - of_z[z] - (place_z - z) * rise_z
            move = min(max(off * apart / (rise_z - rise_x), -longest), longest)
            f[j] += move
            if abs(move) < near:
                break
