"""The hardest of n draws, as dynamic negative sampling takes it: a law on ranks."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from implicitloss.claims.case import Setting
from implicitloss.claims.checks import Exact
from implicitloss.claims.claim import Claim
from implicitloss.estimate import Estimate
from implicitloss.labels import LabelPrior
from implicitloss.problem import Problem
from implicitloss.samplers import HardestOf


@dataclass(frozen=True)
class Candidates:
    """n uniform draws with replacement from L labels, whose scores fall with the label."""

    n_labels: int
    n: int

    def __str__(self) -> str:
        return f"L = {self.n_labels}, n = {self.n}"


def _few(setting: Setting) -> tuple[Candidates, ...]:
    return tuple(Candidates(n_labels, n) for n_labels in (2, 5, 8) for n in (1, 2, 4))


def _many(setting: Setting) -> tuple[Candidates, ...]:
    return Candidates(1000, 32), Candidates(100_000, 8)


def _law(at: Candidates) -> Estimate:
    prior = LabelPrior.zipf(at.n_labels, 0.0)
    q = np.exp(HardestOf(at.n).log_law(Problem(-np.arange(at.n_labels, dtype=float), prior, 0)))
    return Estimate(q, 1e-12 * q, "q", "the library")


def _counted(at: Candidates) -> Estimate:
    """Over all L^n draws: how often each label is the best of them."""
    best = [min(draws) for draws in itertools.product(range(at.n_labels), repeat=at.n)]
    q = np.bincount(best, minlength=at.n_labels) / at.n_labels**at.n
    return Estimate(q, 1e-14 * q, "q", "enumeration")


def _by_ranks(at: Candidates) -> Estimate:
    """((L-r+1)^n - (L-r)^n)/L^n in whole numbers."""
    size, n = at.n_labels, at.n
    q = np.array([float(Fraction((size - r + 1) ** n - (size - r) ** n, size**n)) for r in range(1, size + 1)])
    return Estimate(q, 1e-15 * q, "q", "closed form")


def _without_replacement(at: Candidates) -> Estimate:
    size, n = at.n_labels, at.n
    q = np.array([math.comb(size - r, n - 1) / math.comb(size, n) if n <= size else 0.0 for r in range(1, size + 1)])
    return Estimate(q, 1e-14 * q, "q", "closed form")


def _by_density(at: Candidates) -> Estimate:
    """(n/L) (1 - r/L)^(n-1), the density of the least of n uniform numbers at r/L."""
    r = np.arange(1, at.n_labels + 1)
    q = at.n / at.n_labels * (1 - r / at.n_labels) ** (at.n - 1.0)
    return Estimate(q, 1e-14 * q, "q", "closed form")


def _claim(of: Callable[[Setting], tuple[Candidates, ...]], by: Callable[[Candidates], Estimate], name: str) -> Exact:
    return Exact(
        name,
        of,
        _law,
        by,
        {
            "draws are without replacement": _without_replacement,
            "q(r) is the density (n/L)(1 - r/L)^(n-1)": _by_density,
        },
        uses_prior=False,
    )


CLAIMS = (
    Claim(
        "qaraei2023.hardest-of",
        "The hardest of n uniform draws with replacement is itself one draw; its law at rank r, where 1 is the highest "
        "score, is q = ((L-r+1)^n - (L-r)^n)/L^n.",
        "derived here; the sampler of Zhang et al. 2013 (dynamic negative sampling)",
        (
            _claim(_few, _counted, "all L^n draws"),
            _claim(_many, _by_ranks, "the formula, in whole numbers"),
        ),
        ("scores that differ",),
    ),
)
