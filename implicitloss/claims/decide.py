"""Decide whether a claimed number is right, by simulations that stop as soon as they can."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from implicitloss.arguments import checked_number, checked_whole
from implicitloss.claims.verdict import Outcome
from implicitloss.estimate import Estimate, Quantity, checked_quantity
from implicitloss.losses import Loss
from implicitloss.numerics.bounds import half_width, runs_needed
from implicitloss.numerics.moments import Moments
from implicitloss.numerics.seeds import Seed, root_of
from implicitloss.problem import Problem
from implicitloss.scheme import Scheme, checked_scheme
from implicitloss.witness.simulate import simulate

__all__ = ["Decision", "decide"]

# Smaller errors and resolutions are no longer normal numbers.
LEAST_NORMAL = 1e-300
FIRST_LOOK_RUNS, LOOK_GROWTH, LOOKS_AHEAD = 1_000, math.sqrt(2.0), 6


@dataclass(frozen=True)
class Decision:
    """What `decide` found: the outcome, and the estimate that it rests on.

    Parameters
    ----------
    outcome : Outcome
        "refuted", "supported" or "inconclusive".
    estimate : Estimate
        The average over all runs.
    width : float
        The half-width of the last bound: |estimate - truth| <= width, but for the error probability.
    runs : int
        The number of runs.
    saved : int
        How many more runs a test of fixed size would have made, planned for the resolution with this variance and
        range; 0 where it would have made fewer, as for most claims that hold.
    looks : int
        How often the bound was computed.
    seed : int or sequence of int
        `rng=seed` gives the same decision again.

    Examples
    --------
    The implicit loss is an upper bound, and not the mean.

    >>> import implicitloss as il
    >>> prior = il.LabelPrior.from_counts([8, 4, 3, 1])
    >>> problem = il.Problem([0.3, -0.4, 1.2, -1.7], prior, positive=1)
    >>> scheme = il.Scheme(il.samplers.WithinBatch(), il.weightings.Constant(), m=3, hits="mask")
    >>> loss = il.losses.SoftmaxCrossEntropy()
    >>> bound = float(il.implicit_loss(scheme, loss, problem))
    >>> decision = il.decide(scheme, loss, problem, bound, resolution=0.02, rng=0)
    >>> str(decision.outcome), decision.runs, decision.looks
    ('refuted', 4002, 2)
    """

    outcome: Outcome
    estimate: Estimate
    width: float
    runs: int
    saved: int
    looks: int
    seed: int | Sequence[int]


def decide(
    scheme: Scheme,
    loss: Loss,
    problem: Problem,
    claimed: float,
    *,
    resolution: float,
    quantity: Quantity = "mean",
    reference: float | None = None,
    error: float = 1e-6,
    rng: Seed = None,
    budget: int = 1_000_000_000,
    threads: int | None = None,
) -> Decision:
    """Decide whether `quantity` is `claimed`, by simulations that stop as soon as they can.

    The j-th look comes after n_j = 1000 · 2^{(j-1)/2} runs (rounded up to an even number), and some looks are skipped.
    Its empirical-Bernstein bound fails with probability at most δ_j = 6 error/(π² j²).  Σ_j δ_j = `error`, so that all
    bounds hold together, whenever one stops.  The claim is refuted if it lies outside the bound.  It is supported if it
    lies inside and the bound is at most `resolution` wide: a truth that differs by the resolution would have been
    refuted.

    Parameters
    ----------
    scheme : Scheme
        The sampler, the weights, m, and what a hit on the positive does.
    loss : Loss
        `losses.SoftmaxCrossEntropy()` or `losses.Decoupled(...)`.
    problem : Problem
        Scores, label prior and positive label of one example.
    claimed : float
        The claimed value.
    resolution : float
        The smallest difference that matters, > 0.
    quantity : {"mean", "variance", "mse", "gap", "gradient_variance"}
        As `simulate` has them.
    reference : float, optional
        The implicit loss, needed for "mse" and "gap".
    error : float
        The probability with which a true claim may be refuted, or one that is off by the resolution supported; from
        1e-300 to below 1.
    rng : seed or Generator, optional
        Anything that `numpy.random.default_rng` takes; each look's new runs have a child of this seed.
    budget : int
        The most draws, m for each run; at least 1000 m.
    threads : int, optional
        By default one a core; the decision is the same for any number.

    Returns
    -------
    Decision
        "refuted", "supported", or "inconclusive" where the budget ends first; and the estimate.

    Raises
    ------
    ValueError
        For an argument out of range, for gradients, and as `simulate` does.

    References
    ----------
    The bound is that of Maurer and Pontil 2009, Theorem 4; the looks are derived here.

    Examples
    --------
    >>> import implicitloss as il
    >>> prior = il.LabelPrior.from_counts([8, 4, 3, 1])
    >>> problem = il.Problem([0.3, -0.4, 1.2, -1.7], prior, positive=1)
    >>> scheme = il.Scheme(il.samplers.WithinBatch(), il.weightings.Constant(), m=3, hits="mask")
    >>> loss = il.losses.SoftmaxCrossEntropy()
    >>> for claimed in (1.02, 1.08):
    ...     print(claimed, il.decide(scheme, loss, problem, claimed, resolution=0.04, rng=0).outcome)
    1.02 supported
    1.08 refuted
    """
    resolution = checked_number(resolution, "the resolution", "a number >= 1e-300", lambda x: x >= LEAST_NORMAL)
    claimed = checked_number(claimed, "the claim")
    error = checked_number(error, "the error", "a probability from 1e-300 to 1", lambda x: LEAST_NORMAL <= x < 1)
    budget = checked_whole(budget, "the budget", FIRST_LOOK_RUNS * checked_scheme(scheme).m)
    checked_quantity(quantity)
    if quantity == "gradient":
        raise ValueError("a decision is about one number; take the mean, variance, mse, gap or gradient_variance")
    root = root_of(rng)
    seeds = np.random.SeedSequence(root)
    look, runs, looks, merged = 1, 0, 0, None
    while True:
        target = _runs(look)
        fresh = simulate(
            scheme, loss, problem, quantity, runs=target - runs, rng=seeds.spawn(1)[0], reference=reference,
            threads=threads,
        )  # fmt: skip
        merged, runs, looks = fresh if merged is None else _merged(merged, fresh), target, looks + 1
        assert merged.n is not None
        variance, span = float(merged.variance), float(merged.high) - float(merged.low)  # type: ignore[arg-type]
        width = half_width(variance, span, merged.n, _share(look, error))
        off = abs(float(merged) - claimed)
        if off > width or 2 * width <= resolution or _runs(look + 1) * scheme.m > budget:
            break
        # The next look is the first that decides if variance and difference are as estimated now, at most AHEAD on.
        ahead = (
            j
            for j in range(look + 1, look + LOOKS_AHEAD)
            if half_width(variance, span, merged.n * _runs(j) // runs, _share(j, error))
            <= max(resolution / 2, 0.9 * off)
        )
        look = next(ahead, look + LOOKS_AHEAD)
        while _runs(look) * scheme.m > budget:
            look -= 1
    outcome = Outcome.INCONCLUSIVE
    if off > width:
        outcome = Outcome.REFUTED
    elif 2 * width <= resolution:
        outcome = Outcome.SUPPORTED
    planned = runs_needed(variance, span, resolution / 2, error) * runs / merged.n
    merged = replace(merged, seed=root)
    return Decision(outcome, merged, width, runs, max(0, math.ceil(planned) - runs), looks, root)


def _runs(look: int) -> int:
    """n_j, which is even because a variance takes runs in pairs."""
    return 2 * math.ceil(FIRST_LOOK_RUNS / 2 * LOOK_GROWTH ** (look - 1))


def _share(look: int, error: float) -> float:
    """δ_j; they add up to `error`."""
    return 6 * error / (math.pi * look) ** 2


def _merged(a: Estimate, b: Estimate) -> Estimate:
    """The estimate from the terms of both."""
    both = _moments(a).merged(_moments(b))
    variance = float(both.squares) / (both.n - 1)
    value = float(both.mean)
    return Estimate(value, math.sqrt(variance / both.n), a.quantity, a.method, both.n, variance, a.low, a.high)


def _moments(estimate: Estimate) -> Moments:
    assert estimate.n is not None
    assert estimate.variance is not None
    squares = np.multiply(estimate.variance, estimate.n - 1)
    return Moments(estimate.n, np.asarray(estimate.value), np.asarray(squares))
