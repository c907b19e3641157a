"""Schemes with hard negatives as their definition has them: every sequence of draws is listed, on five labels.

Which labels are drawn again, what a draw weighs and what it pays are written out here, and not asked of the library.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from implicitloss.claims.case import Case
from implicitloss.claims.statements.hard import in_hard
from implicitloss.estimate import Estimate, Quantity
from implicitloss.hard import OVERLAPS, HardNegatives
from implicitloss.labels import Floats, LabelPrior
from implicitloss.losses import Decoupled, Loss, logistic
from implicitloss.problem import Problem
from implicitloss.samplers import Sampler, Uniform, WithinBatch
from implicitloss.scheme import HITS, Scheme
from implicitloss.weightings import Constant, Draws, Importance, Relative, Unit, Weighting

LOGISTIC = Decoupled(logistic)
COUNTS = (50.0, 20.0, 7.0, 3.0, 2.0)
SCORES = (0.3, -0.8, 0.9, -0.2, 0.5)
# The index saw older scores: its best labels are 3, then the positive 1, then 4, 0, 2.
STALE = (0.1, 1.2, -0.4, 1.5, 0.6)
POSITIVE = 1
N_LABELS = len(COUNTS)
# By listing, sums of at most 125 terms of one sign, and logarithms of a few.
ROUNDING = 1e-13


@dataclass(frozen=True)
class Fixed:
    """The weight w of every draw."""

    w: float
    is_eta_over_m = False

    def log_weight(self, draws: Draws) -> Floats:
        return np.full(draws.log_q.size, np.log(self.w))


@lru_cache
def prior() -> LabelPrior:
    return LabelPrior.from_counts(COUNTS)


@lru_cache
def problem(returned: tuple[int, ...] | None = None) -> Problem:
    """The five labels, with an index that saw the older scores, or returned these labels."""
    if returned is None:
        return Problem(np.array(SCORES), prior(), POSITIVE, index_scores=np.array(STALE))
    return Problem(np.array(SCORES), prior(), POSITIVE, labels=np.array(returned, dtype=np.intp))


def every_mode(
    loss: Loss, weightings: tuple[Weighting, ...] = (Unit(), Constant(), Importance(), Relative())
) -> list[Case]:
    """Each mode for overlap and for hits, each weighting; the positive is dropped, or replaced by the next label."""

    def schemes() -> Iterator[Scheme]:
        samplers: tuple[tuple[Sampler, HardNegatives], ...] = (
            (Uniform(), HardNegatives(3, 0.75, positives="drop")),
            (WithinBatch(), HardNegatives(2, 1.5, positives="replace")),
        )
        for (sampler, hard), overlap, hits, weighting in itertools.product(samplers, OVERLAPS, HITS, weightings):
            mode = HardNegatives(hard.k, hard.weight, overlap, hard.positives)
            yield Scheme(sampler, weighting, m=3, hits=hits, hard=mode)

    return [Case(scheme, loss, problem()) for scheme in schemes()]


@dataclass(frozen=True, eq=False)
class Listing:
    """All n sequences of draws: their `chances` (n,), and the total `weights` (n, L) of each label, T's included."""

    chances: Floats
    weights: Floats


def _law(case: Case) -> Floats:
    pi = np.array(COUNTS) / sum(COUNTS)
    return np.full(N_LABELS, 1 / N_LABELS) if isinstance(case.scheme.sampler, Uniform) else pi


RULES: dict[type, Callable[[Case, Floats, Floats], Floats]] = {
    Unit: lambda case, q, law: np.ones(N_LABELS),
    Constant: lambda case, q, law: np.full(N_LABELS, 1 / case.scheme.m),
    Importance: lambda case, q, law: 1 / (case.scheme.m * np.where(q > 0, q, 1.0)),
    Relative: lambda case, q, law: law[POSITIVE] / law,
    Fixed: lambda case, q, law: np.full(N_LABELS, case.scheme.weighting.w),  # type: ignore[attr-defined]
}


@lru_cache(maxsize=4096)
def listed(case: Case) -> Listing:
    """The sequences of m draws by a scheme on the five labels."""
    scheme, hard = case.scheme, case.scheme.hard
    assert hard is not None
    known, law = in_hard(case), _law(case)
    again, counts = np.zeros(N_LABELS, dtype=bool), np.ones(N_LABELS)
    for mode, labels in ((scheme.hits, np.arange(N_LABELS) == POSITIVE), (hard.overlap, known > 0)):
        again |= labels & (mode == "exclude")
        counts[labels & (mode == "mask")] = 0.0
    q = np.where(again, 0.0, law)
    q /= q.sum()
    weight = counts * RULES[type(scheme.weighting)](case, q, law)
    drawn = np.array(list(itertools.product(np.flatnonzero(q > 0), repeat=scheme.m)))
    weights = np.tile(hard.weight * known, (len(drawn), 1))
    for draw in drawn.T:
        weights[np.arange(len(drawn)), draw] += weight[draw]
    return Listing(q[drawn].prod(axis=1), weights)


def margins(case: Case) -> Estimate:
    """p_yy', (L,), the expected weight of each label; the positive's entry is c_y."""
    found = listed(case)
    p = found.chances @ found.weights
    return Estimate(p, ROUNDING * p, "margins", "listing")


@lru_cache(maxsize=4096)
def number(case: Case, quantity: Quantity) -> Estimate:
    """A quantity of the sampled loss, softmax or logistic."""
    found, f, y = listed(case), np.array(SCORES), POSITIVE
    if case.loss.has_log:
        pays = slopes = np.exp(f - f[y])
        own = own_slope = 0.0
    else:
        pays, slopes = np.log1p(np.exp(f)), 1 / (1 + np.exp(-f))
        own, own_slope = np.log1p(np.exp(-f[y])), -1 / (1 + np.exp(f[y]))
    total = found.weights @ pays
    values = own + (np.log1p(total) if case.loss.has_log else total)
    mean = float(found.chances @ values)
    if quantity == "gradient":
        parts = found.weights * slopes / (1 + total[:, None] if case.loss.has_log else 1.0)
        value = found.chances @ parts
        # Softmax depends on differences of scores only.
        value[y] = -np.delete(value, y).sum() if case.loss.has_log else value[y] + own_slope
        return Estimate(value, np.full(N_LABELS, 10 * ROUNDING), quantity, "listing")
    expected = float(found.chances @ total)
    bound = own + (np.log1p(expected) if case.loss.has_log else expected)
    value = {
        "mean": mean,
        "variance": float(found.chances @ (values - mean) ** 2),
        "mse": float(found.chances @ (values - bound) ** 2),
        "gap": bound - mean if case.loss.has_log else 0.0,
    }[quantity]
    return Estimate(value, ROUNDING * (1 + mean) ** 2, quantity, "listing")
