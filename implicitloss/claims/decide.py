"""Is this number right?  Simulate until it is decided, with an error that holds however often one looks."""

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
    """What came of a claim, by which `estimate`, known to within `width` when the looking stopped.

    `runs` were made; a test of fixed size that was planned for the resolution, with this variance and range, would have
    made `saved` more (0 where it would have made fewer, as for most claims that hold).  `rng=seed` makes it again.
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
    """Whether the simulated `quantity` is `claimed`: refuted, supported, or inconclusive after `budget` draws.

    Looks come at n_j = 1000 · 2^{(j-1)/2} runs (the next even number), j = 1, 2, ..., some of them skipped, and the
    empirical-Bernstein bound of each has δ_j = 6 error/(π² j²): together they fail with probability at most `error`,
    whenever one stops.  Refuted where the claim lies outside the bound; supported where it lies inside and the bound is
    narrower than half the `resolution`, so that a truth that far off would have been refuted.  The new runs of each
    look have a seed of their own, from `rng`, which is anything `numpy.random.default_rng` takes.  *Raises* ValueError
    for a resolution or an error that is not positive, a claim that is not finite, for gradients, and as `simulate`
    does.
    """
    resolution = checked_number(resolution, "the resolution", "a number >= 1e-300", lambda x: x >= LEAST_NORMAL)
    claimed = checked_number(claimed, "the claim")
    error = checked_number(error, "the error", "a probability from 1e-300 to 1", lambda x: LEAST_NORMAL <= x < 1)
    budget = checked_whole(budget, "the budget", FIRST_LOOK_RUNS * checked_scheme(scheme).m)
    checked_quantity(quantity)
    if quantity == "gradient":
        raise ValueError("a decision is about one number; take the mean, variance, mse or gap")
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
        # The first look that may decide, if variance and difference are what they seem; not far ahead of what is seen.
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
    """n_j, even: a variance takes runs in pairs, and would round up those of every look that is made."""
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
