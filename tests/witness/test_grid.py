"""One grid for all positives, m and weightings, against the integrals one by one."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import implicitloss as il
from implicitloss import margins
from implicitloss.scheme import HITS
from implicitloss.weightings import Draws, ForMargin
from implicitloss.weightings import examples as weightings
from implicitloss.witness.integrate import sweep as grid
from implicitloss.witness.integrate.sweep import SWEPT, sweep

SOFTMAX = il.losses.SoftmaxCrossEntropy()


def weightings_of(n: int) -> list[Any]:
    """Every weighting, and one for every margin of n labels."""
    return [*weightings(), *(ForMargin(target) for target in margins.examples(n))]


# A law that moves with the positive has no grid to share.
SHARED = [sampler for sampler in il.samplers.examples(30) if not sampler.needs_positive]


def has_factors(weighting: Any) -> bool:
    prior = il.LabelPrior.exp(12, 400, 100)
    return weighting.log_factors(prior.log, prior, 5, False) is not None


def scores_of(n: int, spread: float, rng: np.random.Generator) -> Any:
    return spread * rng.normal(size=n)


@pytest.mark.in_turn
@pytest.mark.parametrize("every", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["in turn", "every"])
@pytest.mark.parametrize("hits", HITS)
@pytest.mark.parametrize("sampler", SHARED, ids=str)
def test_a_sweep_is_every_integral(sampler: Any, hits: Any, every: bool, rng: np.random.Generator) -> None:
    """All weightings, m = 1 to a million, every positive: within the error bounds, and these small.

    A grid is of a law and an m, and weightings are factors on it: each m meets a quarter of them, another one beside
    each sampler and way of hits.
    """
    prior = il.LabelPrior.exp(30, 400, 100)
    scores = scores_of(30, 1.5, rng)
    counts, turn = (1, 64, 7, 10**6), SHARED.index(sampler) + HITS.index(hits)
    weighed = [(w, counts if every else (counts[(turn + i) % 4],)) for i, w in enumerate(weightings_of(30))]
    schemes = [il.Scheme(sampler, w, m=m, hits=hits) for w, some in weighed for m in some]
    found = sweep(schemes, SOFTMAX, scores, prior, quantities=SWEPT)
    for i, scheme in enumerate(schemes):
        for y in (int(rng.integers(29)), 29):  # another positive for each scheme, and the rarest
            at = il.Problem(scores, prior, y)
            alone = {quantity: il.integrate(scheme, SOFTMAX, at, quantity) for quantity in SWEPT}
            mean = float(alone["mean"])
            for quantity, one in alone.items():
                value = found[quantity].value[i, y]  # type: ignore[index]
                error = found[quantity].error[i, y]  # type: ignore[index]
                assert abs(value - float(one)) <= error + float(one.error), (scheme, y, quantity)
                size = {"mean": 0.0, "gap": mean, "mse": mean**2, "variance": mean**2}[quantity]
                assert error <= max((1e-12 if quantity == "mean" else 1e-8) * value, 1e-21 * size), (scheme, quantity)


def test_few_entries_need_an_integral_of_their_own(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    """The point of the grid: for ordinary schemes hardly any, and one pass over the labels for weightings alike."""
    alone, passes = [], []
    honest, of = grid.integrate, grid._Grid.of.__func__  # type: ignore[attr-defined]
    monkeypatch.setattr(grid, "integrate", lambda *a: alone.append(a) or honest(*a))
    monkeypatch.setattr(grid._Grid, "of", classmethod(lambda cls, *a: passes.append(a) or of(cls, *a)))
    prior, scores = il.LabelPrior.exp(200, 500, 100), scores_of(200, 1.0, rng)
    schemes = [
        il.Scheme(il.samplers.WithinBatch(), w, m=m, hits="mask")
        for w in (il.weightings.Constant(), il.weightings.Unit(), il.weightings.Importance(), il.weightings.Relative())
        for m in (1, 16, 256, 4096)
    ]
    sweep(schemes, SOFTMAX, scores, prior, quantities=SWEPT)
    assert len(passes) == 2
    assert len(alone) <= 0.02 * len(schemes) * 200 * len(SWEPT)


@pytest.mark.in_turn(1)
@pytest.mark.parametrize("hits", HITS)
def test_compressed_grids(hits: Any, rng: np.random.Generator) -> None:
    """6,000 labels, a frequent, a middling and a rare positive."""
    n = 6_000
    prior, scores = il.LabelPrior.zipf(n, 1.0), scores_of(n, 1.0, rng)
    counts = itertools.cycle((1, 64))  # each for half of the weightings
    weighed = zip(weightings(), counts, strict=False)
    schemes = [il.Scheme(il.samplers.WithinBatch(), w, m=m, hits=hits) for w, m in weighed]
    found = sweep(schemes, SOFTMAX, scores, prior, [0, 100, n - 1], SWEPT)
    for i, scheme in enumerate(schemes):
        for j, y in enumerate((0, 100, n - 1)):
            at = il.Problem(scores, prior, y)
            for quantity in SWEPT:
                one = il.integrate(scheme, SOFTMAX, at, quantity)
                off = abs(found[quantity].value[i, j] - float(one))  # type: ignore[index]
                assert off <= found[quantity].error[i, j] + float(one.error), (scheme, y, quantity)  # type: ignore[index]


def test_an_atom_that_stays_would_be_seen(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutant: y's own atom left in the excluded law."""
    prior, scores = il.LabelPrior.exp(30, 400, 100), scores_of(30, 1.0, rng)
    scheme = il.Scheme(il.samplers.WithinBatch(), il.weightings.Constant(), m=4, hits="exclude")
    right = sweep([scheme], SOFTMAX, scores, prior)["mean"]
    honest = grid._Grid._without_own

    def kept(self: Any, *arguments: Any) -> Any:
        self.scheme = il.Scheme(scheme.sampler, scheme.weighting, m=4, hits="keep")
        return honest(self, *arguments)

    monkeypatch.setattr(grid._Grid, "_without_own", kept)
    wrong = sweep([scheme], SOFTMAX, scores, prior)["mean"]
    # But for a few heavy positives, which are integrated alone.
    assert np.mean(np.abs(wrong.value - right.value) > 1e3 * np.asarray(right.error)) > 0.8


def test_what_has_no_factors_is_integrated_one_by_one(rng: np.random.Generator) -> None:
    @dataclass(frozen=True)
    class Own:
        is_eta_over_m = True

        def log_weight(self, draws: Draws) -> Any:
            return -np.log(draws.m) - 0.1 * np.abs(np.arange(draws.prior.n_labels) - draws.positive)

    prior, scores = il.LabelPrior.exp(8, 40, 10), scores_of(8, 1.0, rng)
    for loss in (SOFTMAX, il.losses.Decoupled(il.losses.logistic)):
        for scheme in (
            il.Scheme(il.samplers.WithinBatch(), Own(), m=3, hits="mask"),  # type: ignore[arg-type]
            il.Scheme(il.samplers.MinimumVariance(), il.weightings.Importance(), m=3, hits="exclude"),
        ):
            found = sweep([scheme], loss, scores, prior, [2, 5])["mean"]
            for j, y in enumerate((2, 5)):
                assert found.value[0, j] == float(il.integrate(scheme, loss, il.Problem(scores, prior, y)))  # type: ignore[index]


@pytest.mark.parametrize("excluded", [False, True])
@pytest.mark.parametrize("weighting", [w for w in weightings_of(12) if has_factors(w)], ids=str)
def test_factors_are_the_weights(weighting: Any, excluded: bool) -> None:
    prior = il.LabelPrior.exp(12, 400, 100)
    log_q = il.samplers.Power(0.5).log_law(il.Problem(np.zeros(12), prior, 0))
    log_a, log_b = (np.broadcast_to(f, (12,)) for f in weighting.log_factors(log_q, prior, 5, excluded))
    for y in range(12):
        law = np.array(log_q)
        if excluded:
            law[y] = -np.inf
            law -= np.log1p(-np.exp(log_q[y]))
        log_w = weighting.log_weight(Draws(law, log_q, 5, prior, y))
        others = np.arange(12) != y if excluded else np.full(12, True)
        assert (log_a[y] + log_b)[others] == pytest.approx(log_w[others], abs=1e-13)


def test_gradients_are_those_of_integrate() -> None:
    prior, scores = il.LabelPrior.exp(8, 40, 10), np.linspace(-1.0, 1.0, 8)
    schemes = [
        il.Scheme(il.samplers.WithinBatch(), weighting, m=3, hits="mask")
        for weighting in (il.weightings.Constant(), il.weightings.Importance())
    ]
    found = sweep(schemes, SOFTMAX, scores, prior, [2, 5], ["mean", "gradient"])
    assert found["mean"].value.shape == (2, 2)  # type: ignore[union-attr]
    for i, scheme in enumerate(schemes):
        for j, y in enumerate((2, 5)):
            one = il.integrate(scheme, SOFTMAX, il.Problem(scores, prior, y), "gradient")
            assert np.array_equal(found["gradient"].value[i, j], one.value)  # type: ignore[index]
            assert np.array_equal(found["gradient"].error[i, j], one.error)  # type: ignore[index]


def test_what_is_refused() -> None:
    prior = il.LabelPrior.exp(8, 40, 10)
    scheme = il.Scheme(il.samplers.WithinBatch(), il.weightings.Constant(), m=3, hits="mask")
    with pytest.raises(ValueError, match="quantity must be one of mean, variance"):
        sweep([scheme], SOFTMAX, np.zeros(8), prior, quantities=["median"])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="a sweep needs schemes and positives, got 0 and 8"):
        sweep([], SOFTMAX, np.zeros(8), prior)
    with pytest.raises(ValueError, match="the positive must be a label from 0 to 7, got 8"):
        sweep([scheme], SOFTMAX, np.zeros(8), prior, [8])
    relative = il.Scheme(il.samplers.MinimumVariance(), il.weightings.Relative(), m=3, hits="mask")
    with pytest.raises(ValueError, match="relative weights"):
        sweep([relative], SOFTMAX, np.zeros(8), prior)


@pytest.mark.parametrize("hits", ["exclude", "mask"])
@pytest.mark.parametrize("own", [-12.0, -25.0, -40.0, 3.0, 15.0])
def test_a_positive_far_below_or_above_the_rest(own: float, hits: Any, rng: np.random.Generator) -> None:
    """Its atom is e^{u - ū} of the mean, and not 1 less than that and back."""
    prior, scores = il.LabelPrior.zipf(60, 1.0), scores_of(60, 1.0, rng)
    scores[0] = scores[20] = own
    schemes = [il.Scheme(il.samplers.WithinBatch(), w, m=m, hits=hits) for w in weightings() for m in (1, 5)]
    found = sweep(schemes, SOFTMAX, scores, prior, [0, 20], SWEPT)
    for i, scheme in enumerate(schemes):
        for j, y in enumerate((0, 20)):
            for quantity in SWEPT:
                one = il.integrate(scheme, SOFTMAX, il.Problem(scores, prior, y), quantity)
                off = abs(found[quantity].value[i, j] - float(one))  # type: ignore[index]
                assert off <= found[quantity].error[i, j] + float(one.error), (scheme, y, quantity)  # type: ignore[index]


@pytest.mark.parametrize("hits", HITS)
@pytest.mark.parametrize("rest", [1e-3, 1e-9, 1e-15])
def test_a_positive_that_is_nearly_all_the_law(rest: float, hits: Any) -> None:
    prior = il.LabelPrior.from_probabilities([1 - 4 * rest, rest, rest, rest, rest])
    scores = np.array([0, 1, -1, 0.5, 2])
    for weighting in weightings():
        scheme = il.Scheme(il.samplers.WithinBatch(), weighting, m=3, hits=hits)
        found = sweep([scheme], SOFTMAX, scores, prior, [0, 2])["mean"]
        for j, y in enumerate((0, 2)):
            one = il.integrate(scheme, SOFTMAX, il.Problem(scores, prior, y))
            assert abs(found.value[0, j] - float(one)) <= found.error[0, j] + float(one.error), weighting  # type: ignore[index]
