"""How far the optimum of a scheme is off its target, at one x.

Optima are of all labels, but those that are alike are taken together: labels apart from the likely ones whose log π,
log q and log δ lie in the same cell of a grid get the mean of their frequencies and of their law.  Cells are `WIDTH`
wide, or a part in `CELLS` of what labels differ by.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from implicitloss.arguments import shown
from implicitloss.labels import Floats, LabelPrior, Labels
from implicitloss.losses import SoftmaxCrossEntropy
from implicitloss.margins import Margin, checked_ratio, complete_margin
from implicitloss.numerics.logsum import log_rest
from implicitloss.optima.balance import balanced_blocks
from implicitloss.optima.newton import NoOptimum
from implicitloss.optima.objective import shared_factors
from implicitloss.optima.population import check_pushed, optimum_from
from implicitloss.optima.tilt import At, eta_at
from implicitloss.problem import Problem
from implicitloss.samplers import Explicit, Sampler, Uniform
from implicitloss.samplers.sampler import complete_sampler
from implicitloss.scheme import Hits, Scheme
from implicitloss.weightings import Consistent, ForMargin, Importance, Weighting

__all__ = ["OWN", "Place", "is_ratio", "log_delta", "log_law"]

WIDTH = 0.02
# Where log π or log q range less, their range has so many cells.
CELLS = 500
# Margins without log_factors are solved by Newton's method, in time that grows with L³.
MOST_LABELS = 1_000
# The two sides of the balance at an optimum agree to this part.
SOUGHT = 1e-8
# The name of weights p_yy'/(m q_y') with the margins p of the target.
OWN = "own"
# With so many uniform draws a sampled loss is that over all labels, to a few parts in so many.
ALL_LABELS = 10**9
# A prior whose Σ (log π - mean)² is less has no slope.
FLAT = 1e-12


def is_ratio(target: Margin) -> bool:
    """Whether the target's margins are a ratio δ_y'/δ_y, which consistent weights can have."""
    try:
        checked_ratio(target)
    except ValueError:
        return False
    return True


def log_delta(target: Margin, prior: LabelPrior) -> Floats:
    """log δ of a target p_yy' = δ_y'/δ_y, (L,): as its factors have it, or else beside the most frequent label."""
    factors = complete_margin(target).log_factors(prior)
    if factors is None:
        return np.asarray(target.log_margin(prior, int(prior.by_frequency[0])), dtype=np.float64)
    return np.broadcast_to(factors[1], (prior.n_labels,))


def log_law(sampler: Sampler, prior: LabelPrior) -> Floats:
    """The sampler's log q, (L,).

    *Raises* ValueError where it looks at scores or the positive, where a label is never drawn, and for a sampler whose
    hash fails, as that of a frozen class with an array.
    """
    try:
        hash(sampler)
    except TypeError as error:
        raise ValueError(f"the sampler must be hashable, got {shown(sampler)}: {error}") from None
    if complete_sampler(sampler).needs_positive:
        raise ValueError(f"a design needs a sampler whose law is the same beside every positive, got {sampler!s:.80}")
    if sampler.needs_scores:
        raise ValueError(f"a design needs a sampler that does not look at scores, got {sampler!s:.80}")
    scheme = Scheme(sampler, Consistent(), m=1, hits="keep")
    found = scheme.log_law(Problem(np.zeros(prior.n_labels), prior, 0))
    if np.isneginf(found).any():
        never = prior.name(int(np.argmin(found)))
        raise ValueError(
            f"a design needs a sampler that draws every label, but label {never} has q = 0: nothing pushes its score "
            "down; mix uniform draws in, samplers.Mixture(0.5)"
        )
    return found


@dataclass(frozen=True, eq=False)
class Place:
    """An x at which draws are priced for a target; labels that are alike there are taken together."""

    name: At
    full: LabelPrior
    sampler: Sampler
    target: Margin
    _found: dict[tuple[Weighting, int, Hits, float], Floats] = field(default_factory=dict)

    @cached_property
    def _at(self) -> tuple[Floats, Labels]:
        return eta_at(self.name, self.full)

    @property
    def eta(self) -> Floats:
        """P(y given x), (L,)."""
        return np.broadcast_to(self._at[0], (self.full.n_labels,))

    @property
    def labels(self) -> Labels:
        """The labels that a tilt is over: the likely ones."""
        return self._at[1]

    @cached_property
    def _alike(self) -> _Alike:
        """Labels of the same cell of a grid in log π, log q and what the target says of them, the likely ones apart."""
        n, log_q = self.full.n_labels, log_law(self.sampler, self.full)
        cell = np.zeros(n, dtype=np.int64)
        if self.labels.size < n:
            cell[self.labels] = 1 + np.arange(self.labels.size)
        for numbers in (self.full.log, log_q, *_by_label(self.target, self.full)):
            span = float(np.ptp(numbers))
            if span == 0:
                continue
            key = np.round(numbers / min(WIDTH, span / CELLS)).astype(np.int64)
            cell = np.unique(cell * (np.ptp(key) + 1) + key - key.min(), return_inverse=True)[1].astype(np.int64)
        _, first, of_label, counts = np.unique(cell, return_index=True, return_inverse=True, return_counts=True)

        def mean(of: Floats) -> Floats:
            found = (np.bincount(of_label, of) / counts)[of_label]
            return np.asarray(found / found.sum())

        prior, law = LabelPrior.from_probabilities(mean(self.full.probabilities)), mean(np.exp(log_q))
        return _Alike(prior, Explicit(law), mean(self.eta), log_rest(np.log(law)), first, counts)

    def optimum(
        self, weighting: Weighting, m: int, hits: Hits, law: Sampler | None = None, sought: float = SOUGHT
    ) -> Floats:
        """The scores f* that minimise the true expected loss, (K,); *raises* NoOptimum where there are none."""
        if law is not None:
            return self._searched(weighting, m, hits, law, sought, None)
        key = weighting, m, hits, sought
        if key not in self._found:
            # Those of the last m, or of other hits, are a start.
            near = next((f for (of, *_), f in reversed(self._found.items()) if of == weighting), None)
            self._found[key] = self._searched(weighting, m, hits, None, sought, near)
        return self._found[key]

    def _searched(
        self, weighting: Weighting, m: int, hits: Hits, law: Sampler | None, sought: float, near: Floats | None
    ) -> Floats:
        alike = self._alike
        scheme = Scheme(alike.law if law is None else law, weighting, m=m, hits=hits)
        factors = shared_factors(scheme, alike.prior)
        if factors is None:  # a margin of one's own, without log_factors
            if self.full.n_labels > MOST_LABELS:
                raise NoOptimum("margins without log_factors are solved label by label, which takes too long here")
            return optimum_from(scheme, SoftmaxCrossEntropy(), alike.eta, alike.prior, "sampled")[alike.first]
        check_pushed(*factors)
        rest = alike.log_rest if law is None else log_rest(factors[0])
        blocks = alike.of(alike.eta, *factors, rest, np.log(alike.eta))
        if near is not None:
            blocks[-1] = near
        return balanced_blocks(blocks, alike.counts, m, hits, sought)

    def off(self, m: int, hits: Hits) -> dict[str, float]:
        """What the optimum of each kind of weights adds to the target's, as a slope on log π; empty without an optimum.

        Weights w δ_y'/δ_y have the optimum of w, less log δ: those of all ratios follow from two optima.  `OWN` weights
        are p_yy'/(m q_y') with the target's margins p.
        """
        log_pi, log_q, log_eta = self._logs
        try:
            delta, aim = self._aim
            importance = self.optimum(Importance(), m, hits)
            consistent = log_eta if hits == "keep" else self.optimum(Consistent(), m, hits)
            found = {"importance": importance, "tail": importance - log_pi, "unit": consistent - log_q}
            if delta is None:
                found[OWN] = self.optimum(ForMargin(self.target), m, hits)
            else:
                found |= {"consistent": consistent - delta, OWN: importance - delta}
        except NoOptimum:
            return {}
        return {name: self.slope(f - aim) for name, f in found.items()}

    def off_by_own(self, m: int, hits: Hits, sought: float = SOUGHT) -> float:
        """`off` of the target's own weights p_yy'/(m q_y') alone; nan where there is no optimum."""
        try:
            delta, aim = self._aim
            f = self.optimum(ForMargin(self.target) if delta is None else Importance(), m, hits, sought=sought)
        except NoOptimum:
            return math.nan
        return self.slope(f - (0.0 if delta is None else delta) - aim)

    def slope(self, values: Floats) -> float:
        """The least-squares slope of values (K,) on log π, over the likely labels; nan if they are equally frequent."""
        x, weights = self._logs[0], self._alike.counts.astype(np.float64)
        if self.labels.size < self.full.n_labels:
            weights = np.isin(self._alike.first, self.labels).astype(np.float64)
        x = weights * (x - np.average(x, weights=weights))
        square = float(x @ self._logs[0])
        return float(x @ values) / square if square > FLAT else math.nan

    @cached_property
    def _logs(self) -> Floats:
        """log π, log q and log η, (3, K)."""
        alike = self._alike
        return alike.of(alike.prior.log, np.log(alike.law.q), np.log(alike.eta))

    @cached_property
    def _aim(self) -> tuple[Floats | None, Floats]:
        """log δ, None for a target that is no ratio, and the target's own optimum, (K,)."""
        if is_ratio(self.target):
            delta = log_delta(self.target, self._alike.prior)[self._alike.first]
            return delta, self._logs[2] - delta
        return None, self.optimum(ForMargin(self.target), ALL_LABELS, "mask", Uniform())


def _by_label(target: Margin, prior: LabelPrior) -> tuple[Floats, ...]:
    """Numbers of each label in which labels that are alike for the target agree."""
    if is_ratio(target):
        return (log_delta(target, prior),)
    factors = complete_margin(target).log_factors(prior)
    return () if factors is None else tuple(np.broadcast_to(factor, (prior.n_labels,)) for factor in factors)


@dataclass(frozen=True, eq=False)
class _Alike:
    """K blocks of labels that are alike: the means of their π, q and η, (L,); the first of each; and their numbers."""

    prior: LabelPrior
    law: Explicit
    eta: Floats
    log_rest: Floats
    first: Labels
    counts: Labels

    def of(self, *numbers: Floats) -> Floats:
        """The numbers of a label of each block, (n, K)."""
        return np.stack([of[self.first] for of in numbers])
