"""Orders and constants in 1/m, from exact values on a ladder of m, with error bars."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from implicitloss.check import Case
from implicitloss.estimate import Estimate
from implicitloss.statements.numbers import (
    at_m,
)

LADDER = tuple(2**k for k in range(7, 14))


def limit(values: Sequence[Estimate], ladder: Sequence[int], power: int) -> Estimate:
    """lim m^power value(m) along a doubling ladder, by Richardson's extrapolation in 1/m.

    The error is three times the last change of the extrapolants plus what the values' own errors become.
    """
    table = np.array([float(v) * float(m) ** power for v, m in zip(values, ladder, strict=True)])
    noise = np.array([float(v.error) * float(m) ** power for v, m in zip(values, ladder, strict=True)])
    previous = table[-1]
    for order in range(1, 4):
        previous = table[-1]
        table = (2.0**order * table[1:] - table[:-1]) / (2.0**order - 1)
        noise = (2.0**order * noise[1:] + noise[:-1]) / (2.0**order - 1)
    error = 3 * min(abs(table[-1] - previous), abs(table[-1] - table[-2])) + noise[-1]
    return Estimate(float(table[-1]), float(error), f"limit of m^{power} value", "Richardson")


def order(values: Sequence[Estimate], ladder: Sequence[int]) -> Estimate:
    """The k for which value(m) ~ m^{-k}: local slopes at doublings, extrapolated to m = ∞, with an error bar."""
    slopes = []
    for a, b in itertools.pairwise(values):
        value = np.log2(abs(float(a)) / abs(float(b)))
        error = (float(a.error) / abs(float(a)) + float(b.error) / abs(float(b))) / np.log(2)
        slopes.append(Estimate(float(value), float(error), "slope", "Richardson"))
    return replace(limit(slopes, ladder[:-1], 0), quantity="order in 1/m")


def along(case: Case, number: Callable[[Case], Estimate]) -> list[Estimate]:
    """`number` of the case at every m of the ladder."""
    return [number(at_m(case, m)) for m in LADDER]


def exponent(k: float) -> Callable[[Case], Estimate]:
    """The claim that a number falls like 1/m^k."""
    return lambda case: Estimate(k, 0.0, "order in 1/m", "claimed")
