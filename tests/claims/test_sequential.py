"""Simulating until a claim is decided: error rates, power, and runs saved."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import implicitloss as il
from implicitloss.claims import decide as sequential
from implicitloss.claims.decide import _merged, _runs, _share, decide
from implicitloss.claims.verdict import Outcome
from implicitloss.estimate import Estimate
from implicitloss.numerics.seeds import root_of

SOFTMAX = il.losses.SoftmaxCrossEntropy()
SCHEME = il.Scheme(il.samplers.WithinBatch(), il.weightings.Constant(), m=8, hits="mask")


@pytest.fixture
def exact(problem: il.Problem) -> float:
    return float(il.integrate(SCHEME, SOFTMAX, problem))


def test_true_claims_are_supported_and_false_ones_refuted(problem: il.Problem, exact: float, seed: int) -> None:
    """200 of each at error 1e-6: one wrong answer in the whole test has probability 4e-4 at most."""
    for i in range(200):
        right = decide(SCHEME, SOFTMAX, problem, exact, resolution=0.05, rng=[seed, i], threads=1)
        wrong = decide(SCHEME, SOFTMAX, problem, exact + 0.05, resolution=0.05, rng=[seed, i], threads=1)
        assert (right.outcome, wrong.outcome) == (Outcome.SUPPORTED, Outcome.REFUTED)
        assert abs(float(right.estimate) - exact) <= right.width <= 0.025


def test_an_error_of_a_fifth_is_kept_too(problem: il.Problem, exact: float, seed: int) -> None:
    """400 true claims at error 0.2, a resolution that takes many looks: at most 110 refuted (5.6 sd above 80)."""
    decisions = [
        decide(SCHEME, SOFTMAX, problem, exact, resolution=0.01, rng=[seed, i], error=0.2, threads=1)
        for i in range(400)
    ]
    assert sum(decision.outcome is Outcome.REFUTED for decision in decisions) <= 110


def test_the_farther_off_the_fewer_runs(problem: il.Problem, exact: float, seed: int) -> None:
    near, far = (decide(SCHEME, SOFTMAX, problem, exact + off, resolution=0.002, rng=seed) for off in (0.002, 0.2))
    assert near.outcome is far.outcome is Outcome.REFUTED
    assert far.runs < near.runs / 20
    assert far.saved > 20 * far.runs
    held = decide(SCHEME, SOFTMAX, problem, exact, resolution=0.002, rng=seed)
    assert held.outcome is Outcome.SUPPORTED
    assert held.saved == 0


@pytest.mark.parametrize("quantity", ["variance", "mse", "gap"])
def test_other_quantities(quantity: Any, problem: il.Problem, seed: int) -> None:
    b = float(il.implicit_loss(SCHEME, SOFTMAX, problem))
    exact = float(il.integrate(SCHEME, SOFTMAX, problem, quantity))
    asks = {"quantity": quantity, "reference": b, "rng": seed, "resolution": 0.5 * exact}
    assert decide(SCHEME, SOFTMAX, problem, exact, **asks).outcome is Outcome.SUPPORTED
    assert decide(SCHEME, SOFTMAX, problem, 2 * exact, **asks).outcome is Outcome.REFUTED


def test_a_budget_ends_it(problem: il.Problem, exact: float, seed: int) -> None:
    decision = decide(SCHEME, SOFTMAX, problem, exact, resolution=1e-5, rng=seed, budget=1_000_000)
    assert decision.outcome is Outcome.INCONCLUSIVE
    assert decision.runs * SCHEME.m <= 1_000_000
    assert decision.saved > 0


def test_the_same_seed_is_the_same_decision(problem: il.Problem, exact: float) -> None:
    first, again, other = (decide(SCHEME, SOFTMAX, problem, exact, resolution=0.01, rng=r) for r in (3, 3, 4))
    assert float(first.estimate) == float(again.estimate) != float(other.estimate)


def test_supported_is_within_half_the_resolution(problem: il.Problem, exact: float, seed: int) -> None:
    """The mutant supports where the width itself is within the resolution, and so has seen nothing half that far off.

    A budget that ends at some width leaves a resolution of 1.5 times that open: half of it would take 1.7 times the
    runs.
    """
    asks: dict[str, Any] = {"rng": seed, "budget": 1_000_000}
    ended = decide(SCHEME, SOFTMAX, problem, exact, resolution=1e-5, **asks)
    assert decide(SCHEME, SOFTMAX, problem, exact, resolution=1.5 * ended.width, **asks).outcome is Outcome.INCONCLUSIVE
    wide = decide(SCHEME, SOFTMAX, problem, exact, resolution=3 * ended.width, **asks)
    assert wide.outcome is Outcome.SUPPORTED
    assert wide.looks > 1
    assert 2 * wide.width <= 3 * ended.width


@pytest.fixture
def seeds_used(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The seed of every simulation that a decision asks for."""
    used, honest = [], sequential.simulate

    def spy(*args: Any, **options: Any) -> Estimate:
        used.append(tuple(np.atleast_1d(root_of(options["rng"])).tolist()))
        return honest(*args, **options)

    monkeypatch.setattr(sequential, "simulate", spy)
    return used


def test_every_look_has_runs_of_its_own(problem: il.Problem, exact: float, seed: int, seeds_used: list[Any]) -> None:
    """Runs that were seen before are no new evidence; other decisions have other runs."""
    decisions = [decide(SCHEME, SOFTMAX, problem, exact, resolution=0.004, rng=[seed, i]) for i in range(2)]
    assert min(decision.looks for decision in decisions) > 2
    assert len(seeds_used) == len(set(seeds_used)) == sum(decision.looks for decision in decisions)


@pytest.mark.parametrize(
    "rng", [None, 5, [5, 6], np.random.SeedSequence(5).spawn(2)[1], np.random.PCG64(5), np.int64(5)]
)
def test_every_decision_says_by_which_seed_it_can_be_had_again(rng: Any, problem: il.Problem, exact: float) -> None:
    decision = decide(SCHEME, SOFTMAX, problem, exact, resolution=0.02, rng=rng)
    again = decide(SCHEME, SOFTMAX, problem, exact, resolution=0.02, rng=decision.seed)
    assert decision.seed == decision.estimate.seed == again.seed
    assert float(decision.estimate) == float(again.estimate)
    assert (decision.outcome, decision.width, decision.runs) == (again.outcome, again.width, again.runs)


@pytest.mark.parametrize("rng", ["5", -1, 1.5])
def test_bad_seeds_of_decisions(rng: Any, problem: il.Problem, exact: float) -> None:
    with pytest.raises(ValueError, match="rng must be a seed"):
        decide(SCHEME, SOFTMAX, problem, exact, resolution=0.1, rng=rng)


def test_a_variance_has_the_same_runs_at_a_look_whichever_looks_were_skipped(
    problem: il.Problem, seed: int, seeds_used: list[Any]
) -> None:
    """Runs come in pairs; were the n_j odd, every look that is made would add one."""
    exact = float(il.integrate(SCHEME, SOFTMAX, problem, "variance"))
    for resolution in (0.5, 0.1, 0.03):
        decision = decide(SCHEME, SOFTMAX, problem, exact, resolution=resolution * exact, rng=seed, quantity="variance")
        assert 2 * decision.estimate.n == decision.runs  # type: ignore[operator]
        assert decision.runs in {_runs(look) for look in range(1, 60)}
    assert len(seeds_used) > 6
    assert all(_runs(look) % 2 == 0 for look in range(1, 60))


def test_looks_share_the_error() -> None:
    assert sum(_share(j, 0.01) for j in range(1, 100_000)) < 0.01
    assert sum(_share(j, 0.01) for j in range(1, 100_000)) > 0.0099


def test_merged_moments_are_those_of_all_terms(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=50), rng.normal(size=170) + 1
    parts = [
        Estimate(float(t.mean()), 0.0, "mean", "simulate", t.size, float(t.var(ddof=1)), -9.0, 9.0) for t in (x, y)
    ]
    both, every = _merged(*parts), np.concatenate([x, y])
    assert (both.n, float(both)) == (220, pytest.approx(every.mean(), rel=1e-13))
    assert both.variance == pytest.approx(every.var(ddof=1), rel=1e-12)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"resolution": 0}, "the resolution must be a number >= 1e-300, got 0"),
        ({"resolution": 0.1, "error": 1}, "the error must be a probability"),
        ({"resolution": 0.1, "claimed": float("nan")}, "the claim must be a finite number, got nan"),
        ({"resolution": 0.1, "quantity": "gradient"}, "a decision is about one number"),
        ({"resolution": 0.1, "quantity": "gap"}, "needs reference=b"),
    ],
)
def test_what_is_refused(options: dict[str, Any], sentence: str, problem: il.Problem) -> None:
    with pytest.raises(ValueError, match=sentence):
        decide(SCHEME, SOFTMAX, problem, **{"claimed": 1.0, "rng": 0, **options})


@pytest.mark.parametrize("options", [{"resolution": 5e-324}, {"error": 5e-324}])
def test_numbers_that_are_no_longer_normal(options: dict[str, float]) -> None:
    scheme = il.Scheme(il.samplers.Uniform(), il.weightings.Constant(), m=2, hits="mask")
    problem = il.Problem(np.zeros(3), il.LabelPrior.zipf(3, 1.0), 0)
    with pytest.raises(ValueError, match="1e-300"):
        decide(scheme, il.losses.SoftmaxCrossEntropy(), problem, 1.0, **{"resolution": 0.1, **options}, rng=0)
