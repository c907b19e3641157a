"""Orders and constants in 1/m, from exact values on a ladder of m, with error bars."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from implicitloss.claims.case import Case
from implicitloss.claims.statements.numbers import at_m, log_parts
from implicitloss.estimate import Estimate
from implicitloss.theory.expansion import relative_moments

__all__ = ["along", "exponent", "ladder", "limit", "order"]

RUNGS = 7
# A rung that no scheme can have; its logarithm to base 2.
OUT_OF_REACH = 60


def ladder(case: Case) -> tuple[int, ...]:
    """A doubling ladder of m that starts where the expansion in 1/m has set in: m >= 128, 16 v and 16 |k3|/v.

    v and k3 of weights that are not η/m change with m; those of many draws count.  There the draws have to outweigh
    what is known, 1 + A, by 16 to 1.
    """
    many = at_m(case, 2**39)
    moments = relative_moments(many.scheme, case.loss, case.problem)
    start = max(128.0, 16 * moments.v, 16 * abs(moments.k3) / moments.v if moments.v > 0 else 0.0)
    if not case.scheme.weighting.is_eta_over_m:
        known, drawn = log_parts(many)
        outweighed = (np.logaddexp(0.0, known) - drawn) / np.log(2) + 39 + 4
        start = max(start, 2.0 ** min(float(outweighed), OUT_OF_REACH))
    first = 2 ** int(np.ceil(np.log2(start)))
    return tuple(first * 2**k for k in range(RUNGS))


def limit(values: Sequence[Estimate], rungs: Sequence[int], power: int) -> Estimate:
    """lim m^power value(m) along a doubling ladder, by Richardson's extrapolation in 1/m.

    The error is three times the last change of the extrapolants plus what the values' own errors become.
    """
    table = np.array([float(v) * float(m) ** power for v, m in zip(values, rungs, strict=True)])
    noise = np.array([float(v.error) * float(m) ** power for v, m in zip(values, rungs, strict=True)])
    previous = table[-1]
    for order in range(1, 4):
        previous = table[-1]
        table = (2.0**order * table[1:] - table[:-1]) / (2.0**order - 1)
        noise = (2.0**order * noise[1:] + noise[:-1]) / (2.0**order - 1)
    error = 3 * min(abs(table[-1] - previous), abs(table[-1] - table[-2])) + noise[-1]
    return Estimate(float(table[-1]), float(error), f"limit of m^{power} value", "Richardson")


def order(values: Sequence[Estimate], rungs: Sequence[int]) -> Estimate:
    """The k for which value(m) ~ m^{-k}: local slopes at doublings, extrapolated to m = ∞, with an error bar."""
    slopes = []
    for a, b in itertools.pairwise(values):
        value = np.log2(abs(float(a)) / abs(float(b)))
        error = (float(a.error) / abs(float(a)) + float(b.error) / abs(float(b))) / np.log(2)
        slopes.append(Estimate(float(value), float(error), "slope", "Richardson"))
    return replace(limit(slopes, rungs[:-1], 0), quantity="order in 1/m")


def along(case: Case, number: Callable[[Case], Estimate]) -> list[Estimate]:
    """`number` of the case at every m of its ladder."""
    return [number(at_m(case, m)) for m in ladder(case)]


def exponent(k: float) -> Callable[[Case], Estimate]:
    """The claim that a number falls like 1/m^k."""
    return lambda case: Estimate(k, 0.0, "order in 1/m", "claimed")
