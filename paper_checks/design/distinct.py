"""Batches without repeats, which undo the balance that in-batch softmax has."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import root

from implicitloss.claims.case import Setting
from implicitloss.claims.checks import Exact
from implicitloss.claims.claim import Claim
from implicitloss.estimate import Estimate
from implicitloss.labels import Floats
from paper_checks.design.listing import (
    ETAS,
    N_LABELS,
    PI,
    Listing,
)


@dataclass(frozen=True)
class Distinct:
    """m distinct labels off the positive, drawn one after the other by π."""

    m: int

    def __str__(self) -> str:
        return f"{self.m} distinct in-batch labels, weights of 1, η = {ETAS[0]}"


ETA = np.array(ETAS[0])
SLOPES = {1: -0.70, 2: -0.44, 3: 0.0}


def _distinct(setting: Setting) -> list[Distinct]:
    return [Distinct(m) for m in SLOPES]


def _slope(f: Floats, error: float) -> Estimate:
    """The least-squares slope of f - log η on log π."""
    x = np.log(PI) - np.log(PI).mean()
    return Estimate(float(x @ (f - np.log(ETA)) / (x @ x)), error, "slope", "listing")


def _sequences(case: Distinct) -> Listing:
    """Each sequence: a label that was drawn, and the positive, is out for the next draw."""
    rows = []
    for y in range(N_LABELS):
        for labels in itertools.permutations([j for j in range(N_LABELS) if j != y], case.m):
            chance, left = ETA[y], 1 - PI[y]
            for j in labels:
                chance, left = chance * PI[j] / left, left - PI[j]
            rows.append((chance, np.isin(np.arange(N_LABELS), [y, *labels]), np.arange(N_LABELS) == y))
    chances, totals, own = (np.array(part, dtype=np.float64) for part in zip(*rows, strict=True))
    return Listing(chances, totals, own)


def _listed_slope(case: Distinct) -> Estimate:
    return _slope(_sequences(case).optimum, 1e-9)


def _sets(case: Distinct) -> Estimate:
    """Races in place of draws: label j arrives at an exponential time of rate π_j, and the first m count.

    P(S comes before the rest R) = Σ_{T ⊆ S} (-1)^{|T|} π(R)/(π(R) + π(T)); the gradient's root by SciPy.
    """
    found = []
    for y in range(N_LABELS):
        others = [j for j in range(N_LABELS) if j != y]
        for chosen in itertools.combinations(others, case.m):
            rest = sum(PI[j] for j in others if j not in chosen)
            subsets = itertools.chain.from_iterable(itertools.combinations(chosen, k) for k in range(case.m + 1))
            chance = sum((-1) ** len(t) * rest / (rest + sum(PI[j] for j in t)) for t in subsets) if rest else 1.0
            found.append((y, [y, *chosen], ETA[y] * chance))

    def gradient(g: Floats) -> Floats:
        f, total = np.append(0.0, g), np.zeros(N_LABELS)
        for y, labels, chance in found:
            total[labels] += chance * np.exp(f[labels]) / np.exp(f[labels]).sum()
            total[y] -= chance
        return total[1:]

    return _slope(np.append(0.0, root(gradient, np.zeros(N_LABELS - 1), tol=1e-13).x), 1e-7)


def _printed(case: Distinct) -> Estimate:
    return Estimate(SLOPES[case.m], 0.005, "slope", "two digits")


SLOPES_MISSED: dict[str, Callable[[Distinct], float]] = {
    "the slope is -1": lambda case: -1.0,
    "the slope is 0": lambda case: 0.0,
}


CLAIMS = (
    Claim(
        "design.distinct",
        "In-batch softmax over m distinct labels beside the positive, with weights of 1, does not teach log η - log π: "
        "for four labels the slope of f* - log η on log π is -.70, -.44 and 0 at m = 1, 2, 3 in place of -1.",
        "derived; with m = L - 1 distinct negatives it is softmax over all labels",
        (
            Exact(
                "every sequence of distinct draws listed, Newton's method",
                _distinct,
                _listed_slope,
                _printed,
                SLOPES_MISSED,
                floor=0.01,
                uses_prior=False,
            ),
            Exact(
                "races by inclusion and exclusion, root of the gradient",
                _distinct,
                _sets,
                _listed_slope,
                SLOPES_MISSED,
                floor=1e-6,
                resolution=1e-6,
                uses_prior=False,
            ),
        ),
        ("η = (.4, .1, .3, .2), π = (.55, .25, .15, .05)",),
    ),
)
