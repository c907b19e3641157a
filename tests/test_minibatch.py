"""The loss to train with: its mean is the exact expectation, its gradient its own slope, and an audit lets it pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import implicitloss as il
from implicitloss.labels import Floats, Labels
from implicitloss.losses import Decoupled, SoftmaxCrossEntropy, examples, logistic
from implicitloss.margins import targets
from implicitloss.minibatch import Minibatch
from implicitloss.samplers import ModelBased, Uniform, WithinBatch
from implicitloss.scheme import HITS

PRIOR = il.LabelPrior.exp(12, 500, 100)
F = np.random.default_rng(0).standard_normal((3, 12))


@pytest.mark.parametrize("hits", HITS)
@pytest.mark.parametrize("sampler", [WithinBatch(), ModelBased()], ids=str)
@pytest.mark.parametrize("loss", [SoftmaxCrossEntropy(), Decoupled(logistic)], ids=lambda loss: loss.name)
def test_means_are_the_exact_ones(loss: Any, sampler: Any, hits: Any, seed: int) -> None:
    """4,000 runs; values and gradients within six standard errors of `integrate` (1e-8 a comparison, 13 of them).

    A weight off by a half is 10 standard errors off and more, which the mutant below shows.
    """
    scheme = il.Scheme(sampler, il.weightings.Importance(), m=4, hits=hits)
    problem = il.Problem(F[1], PRIOR, 3)
    rng = np.random.default_rng(seed)
    n = 4_000
    losses, _ = Minibatch(scheme, loss, PRIOR)(F, np.full(n, 3), rng, rows=np.ones(n, dtype=int))
    slopes = np.array([Minibatch(scheme, loss, PRIOR)(F[1:2], [3], rng)[1][0] for _ in range(n // 4)])
    exact = float(il.integrate(scheme, loss, problem))
    error = losses.std() / np.sqrt(n) + 1e-14
    assert abs(losses.mean() - exact) < 6 * error
    assert abs(float(il.integrate(_halved(scheme), loss, problem)) - exact) > 8 * error
    gradient = il.integrate(scheme, loss, problem, "gradient").value
    spread = slopes.std(axis=0) / np.sqrt(len(slopes))
    assert (abs(slopes.mean(axis=0) - gradient) <= 6 * spread + 1e-12).all()


def _halved(scheme: il.Scheme) -> il.Scheme:
    """A mutant: half of the weight."""

    @dataclass(frozen=True)
    class Half:
        is_eta_over_m = True

        def log_weight(self, draws: Any) -> Floats:
            return np.asarray(scheme.weighting.log_weight(draws) - np.log(2))

    return il.Scheme(scheme.sampler, Half(), m=scheme.m, hits=scheme.hits)  # type: ignore[arg-type]


@pytest.mark.parametrize("loss", examples(), ids=lambda loss: loss.name)
@pytest.mark.parametrize("hits", HITS)
def test_gradients_are_slopes_on_the_same_draws(loss: Any, hits: Any, seed: int) -> None:
    scheme = il.Scheme(WithinBatch(), il.weightings.Tail(), m=5, hits=hits)
    batch, at, y = Minibatch(scheme, loss, PRIOR), np.array([0, 0, 2, 1]), np.array([3, 11, 0, 3])

    def total(f: Floats) -> float:
        return float(batch(f, y, np.random.default_rng(seed), at)[0].sum())

    _, gradient = batch(F, y, np.random.default_rng(seed), at)
    for i, j in np.ndindex(F.shape):
        step = np.zeros_like(F)
        step[i, j] = 1e-6
        assert (total(F + step) - total(F - step)) / 2e-6 == pytest.approx(gradient[i, j], abs=1e-7, rel=1e-8)


@dataclass(frozen=True)
class Plain:
    """A margin that does not say its factors."""

    of: Any

    def log_margin(self, prior: il.LabelPrior, positive: int) -> Floats:
        return np.asarray(self.of.log_margin(prior, positive))

    def margin(self, yp: Any) -> Any:
        return self.of.margin(yp)


@pytest.mark.parametrize("loss", examples(), ids=lambda loss: loss.name)
@pytest.mark.parametrize("target", targets(), ids=str)
def test_margins_count_all_labels(target: Any, loss: Any) -> None:
    """By row totals, pair by pair, and by the formula; and with the gradient of the implicit loss of any sampler."""
    at, y, rng = np.array([0, 0, 2, 1]), np.array([3, 11, 0, 3]), np.random.default_rng(0)
    losses, gradient = Minibatch(target, loss, PRIOR)(F, y, rng, at)
    slow, other = Minibatch(Plain(target), loss, PRIOR)(F, y, rng, at)
    np.testing.assert_allclose(losses, slow, rtol=1e-13)
    np.testing.assert_allclose(gradient, other, rtol=1e-11, atol=1e-13)
    scheme = il.Scheme(Uniform(), il.weightings.ForMargin(target), m=3, hits="mask")
    expected = np.zeros_like(F)
    for i, label, value in zip(at, y, losses, strict=True):
        problem = il.Problem(F[i], PRIOR, int(label))
        assert value == pytest.approx(float(il.implicit_loss(scheme, loss, problem)), rel=1e-12)
        expected[i] += il.implicit.implicit_gradient(scheme, loss, problem)
    np.testing.assert_allclose(gradient, expected, rtol=1e-11, atol=1e-13)


def test_scores_far_apart_neither_overflow_nor_vanish() -> None:
    f = np.array([[0.0, 900.0, -900.0] + [0.0] * 9])
    for target in (il.margins.Softmax(), Plain(il.margins.Softmax())):
        losses, gradient = Minibatch(target, SoftmaxCrossEntropy(), PRIOR)(f, [2], np.random.default_rng(0))
        assert losses[0] == pytest.approx(1800.0)
        np.testing.assert_allclose(gradient[0, 1:3], [1.0, -1.0])
        losses, gradient = Minibatch(target, SoftmaxCrossEntropy(), PRIOR)(f, [1], np.random.default_rng(0))
        assert losses[0] == 0.0
        assert not gradient.any()


def test_an_audit_lets_it_pass(seed: int) -> None:
    prior = il.LabelPrior.zipf(100, 1.0)
    scheme = il.Scheme(WithinBatch(), il.weightings.Relative(), m=20, hits="exclude")
    batch = Minibatch(scheme, SoftmaxCrossEntropy(), prior)

    def loss(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        return batch(scores, positive, rng)

    assert il.audit(loss, claim=scheme, prior=prior, rng=seed).verdict == "holds"
    assert il.audit(loss, claim="full", prior=prior, rng=seed).verdict == "refuted"


@pytest.mark.parametrize(
    ("scores", "positives", "rows", "sentence"),
    [
        (F[:, :5], [1], None, r"scores must be \(B, 12\)"),
        (F * np.nan, [1, 2, 3], None, "scores must be finite, but row 0 is not"),
        (F, [1, 2, 12], None, "positives must lie from 0 to 11, got 1 to 12"),
        (F, [1.0, 2.0, 3.0], None, "positives must be whole numbers"),
        (F, [1, 2], [0, 3], "rows must lie from 0 to 2, got 0 to 3"),
        (F, [1, 2, 3, 4], None, "every positive needs a row of scores, got 4 positives, 3 rows"),
    ],
)
def test_bad_input_is_one_sentence(scores: Any, positives: Any, rows: Any, sentence: str) -> None:
    batch = Minibatch(il.margins.Softmax(), SoftmaxCrossEntropy(), PRIOR)
    with pytest.raises(ValueError, match=sentence):
        batch(scores, positives, np.random.default_rng(0), rows)


def test_what_can_never_be_drawn_is_an_error_and_no_endless_loop() -> None:
    one = il.samplers.Explicit(np.eye(12)[4])
    scheme = il.Scheme(one, il.weightings.Constant(), m=2, hits="exclude")
    with pytest.raises(ValueError, match="leaves nothing to draw"):
        Minibatch(scheme, SoftmaxCrossEntropy(), PRIOR)(F[:1], [4], np.random.default_rng(0))
    with pytest.raises(ValueError, match="a margin must be one of"):
        Minibatch("softmax", SoftmaxCrossEntropy(), PRIOR)  # type: ignore[arg-type]
