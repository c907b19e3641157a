"""Information kept when labels are sampled: against Hessians, against scores that are listed, and its near misses."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

import implicitloss as il
from implicitloss.labels import Floats
from implicitloss.optima import sums
from implicitloss.optima.objective import sampled_objective

SOFTMAX = il.losses.SoftmaxCrossEntropy()
S, W = il.samplers, il.weightings


def scheme(m: int, sampler: Any = None, weighting: Any = None) -> il.Scheme:
    return il.Scheme(sampler or S.WithinBatch(), weighting or W.Relative(), m=m, hits="keep")


def share(hessian: Floats, eta: Floats, d: Floats) -> float:
    return float(d @ hessian @ d / (d @ (eta * d) - (d @ eta) ** 2))


@pytest.mark.parametrize("n_labels", [2, 3, 5, 12])
@pytest.mark.parametrize("target", [il.margins.Softmax(), il.margins.LogitAdjusted(0.7)], ids=str)
def test_it_is_the_hessian_of_the_expected_loss(n_labels: int, target: Any, rng: np.random.Generator) -> None:
    prior, eta = il.LabelPrior.zipf(n_labels, 1.3), rng.dirichlet(np.ones(n_labels))
    contrasts = rng.standard_normal((3, n_labels))
    optimum = np.log(eta) - target.log_margin(prior, 0)
    for sampler, m in itertools.product((S.Uniform(), S.WithinBatch(), S.Power(0.3)), (1, 2, 40)):
        at = scheme(m, sampler, W.Consistent(target))
        _, gradient, hessian = sampled_objective(at, SOFTMAX, eta, prior)(optimum - optimum.mean())
        assert np.abs(gradient).max() < 1e-14  # f* = log η - log δ
        found = il.information(at, eta, prior)
        by_hessian = [share(hessian, eta, d) for d in (*np.eye(n_labels), prior.log)]
        assert found.value == pytest.approx(by_hessian, abs=1e-12)
        assert np.all(np.asarray(found.error) < 1e-11)
        along = il.information(at, eta, prior, contrasts)
        assert along.value == pytest.approx([share(hessian, eta, d) for d in contrasts], abs=1e-12)


def test_it_is_the_covariance_of_the_gradient(rng: np.random.Generator) -> None:
    """Fisher's identity, every positive and every sequence of draws listed; the gradient is in all scores."""
    n_labels, m = 4, 3
    prior, eta = il.LabelPrior.zipf(n_labels, 1.0), rng.dirichlet(np.ones(n_labels))
    for q in (prior.probabilities, np.full(n_labels, 1 / n_labels)):
        logits, fisher = np.log(eta) - np.log(q), np.zeros((n_labels, n_labels))
        for slots in itertools.product(range(n_labels), repeat=m + 1):
            e = np.exp(logits[list(slots)])
            gradient = np.bincount(slots, e / e.sum(), n_labels) - np.eye(n_labels)[slots[0]]
            fisher += eta[slots[0]] * math.prod(q[j] for j in slots[1:]) * np.outer(gradient, gradient)
        found = il.information(scheme(m, S.Explicit(q)), eta, prior)
        expected = [share(fisher, eta, d) for d in (*np.eye(n_labels), prior.log)]
        assert found.value == pytest.approx(expected, abs=1e-12)
        near = il.information(scheme(m + 1, S.Explicit(q)), eta, prior).value
        assert np.abs(near - np.array(expected)).max() > 0.01


def test_where_draws_are_as_likely_as_labels(rng: np.random.Generator) -> None:
    """At q = η one of m + 1 parts is lost, about every contrast; for large m what is lost goes with 1/m."""
    prior = il.LabelPrior.zipf(50, 1.0)
    for m in (1, 7, 10**6):
        found = il.information(scheme(m), prior.probabilities, prior, rng.standard_normal((2, 50)))
        assert found.value == pytest.approx(m / (m + 1), abs=1e-12)
    eta, q, m = rng.dirichlet(np.ones(50)), prior.probabilities, 10**7
    lost = 1 - np.asarray(il.information(scheme(m), eta, prior).value)[:50]
    expected = (eta / q * (1 - 2 * eta) + eta * np.sum(eta**2 / q)) / (m * (1 - eta))
    assert lost == pytest.approx(expected, rel=1e-4)


def test_unit_weights_are_consistent_for_the_law_of_the_draws(rng: np.random.Generator) -> None:
    prior, eta = il.LabelPrior.zipf(6, 1.0), rng.dirichlet(np.ones(6))
    values = [il.information(scheme(3, weighting=w), eta, prior).value for w in (W.Unit(), W.Relative())]
    assert values[0] == pytest.approx(values[1], abs=1e-14)


def test_many_labels_are_compressed(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    n_labels = 6_000
    prior, eta = il.LabelPrior.zipf(n_labels, 1.0), rng.dirichlet(np.full(n_labels, 0.3)) + 1e-9
    eta /= eta.sum()
    contrasts = np.stack([prior.log, rng.standard_normal(n_labels), np.arange(n_labels) < 60])
    at = scheme(255, S.Mixture(0.5))
    found, along = il.information(at, eta, prior), il.information(at, eta, prior, contrasts)
    monkeypatch.setattr(sums, "COMPRESS_FROM_LABELS", 10**9)
    alone, alone_along = il.information(at, eta, prior), il.information(at, eta, prior, contrasts)
    for compressed, whole in ((found, alone), (along, alone_along)):
        off = np.abs(np.asarray(compressed.value) - whole.value)
        assert np.all(off <= np.asarray(compressed.error) + whole.error)
        assert off.max() < 1e-12
    assert along.value[0] == pytest.approx(found.value[-1], abs=1e-13)


def test_contrasts_may_be_moved_and_scaled(rng: np.random.Generator) -> None:
    prior, d = il.LabelPrior.zipf(8, 1.0), rng.standard_normal(8)
    found = il.information(scheme(4), rng.dirichlet(np.ones(8)), prior, [d, 100 + d, -1e-3 * d])
    assert found.value == pytest.approx(float(found.value[0]), abs=1e-9)


def test_a_large_constant_does_not_hide_a_contrast() -> None:
    """Shares of contrasts that are moved far, at an x that is nearly certain, against those that are not moved."""
    prior, d = il.LabelPrior.zipf(4, 1.0), np.array([0.3, -1.0, 0.7, 0.2])
    for eta in (np.array([0.4, 0.3, 0.2, 0.1]), np.array([1 - 3e-8, 1e-8, 1e-8, 1e-8])):
        found = il.information(scheme(5), eta, prior, [d, d + 2.0**20, d + 2.0**40, 1e-170 * d])
        exact = float(found.value[0])
        # d + 2^40 rounds d by 1e-4.
        assert np.all(np.abs(found.value - exact) <= found.error + np.array([0, 1e-9, 1e-3, 1e-12]))
        assert float(found.error[0]) < 1e-8


def test_an_x_that_is_certain_and_labels_that_hardly_occur() -> None:
    prior = il.LabelPrior.zipf(4, 1.0)
    for rest in (1e-8, 1e-14, 1e-17):
        eta = np.array([1 - 3 * rest, rest, rest, rest])
        found = il.information(scheme(5), eta, prior)
        assert np.all(np.isfinite(found.value))
        assert np.all(np.asarray(found.error)[:4] < 1e-9)
        by_contrast = il.information(scheme(5), eta, prior, np.eye(4))
        assert found.value[:4] == pytest.approx(by_contrast.value, abs=1e-7)
    tiny = np.array([0.5, 0.3, 0.2 - 1e-24, 1e-24])
    assert il.information(scheme(5), tiny, prior, np.eye(4)).value == pytest.approx(
        il.information(scheme(5), tiny, prior).value[:4], abs=1e-6
    )


def test_weights_that_are_nearly_consistent_are_refused() -> None:
    class Nearly(W.Relative):
        def log_factors(self, *given: Any, **options: Any) -> Any:
            log_a, log_b = super().log_factors(*given, **options)  # type: ignore[misc]
            return log_a, log_b + 1e-3

    with pytest.raises(ValueError, match="information needs consistent weights"):
        il.information(scheme(3, weighting=Nearly()), np.full(4, 0.25), il.LabelPrior.zipf(4, 1.0))


def test_labels_that_are_equally_frequent_have_no_tilt() -> None:
    prior = il.LabelPrior.from_counts(np.ones(5))
    assert np.shape(il.information(scheme(3), np.full(5, 0.2), prior).value) == (5,)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"weighting": W.Importance()}, "information needs consistent weights, .* got Importance"),
        ({"weighting": W.Constant()}, "information needs consistent weights, .* got Constant"),
        ({"weighting": W.ForMargin(il.margins.Adaptive(0.5))}, "information needs consistent weights"),
        ({"hits": "mask"}, "information needs hits that are kept, got hits='mask'"),
        ({"hard": il.HardNegatives(1)}, "must be of a scheme without hard negatives"),
        ({"sampler": S.ModelBased()}, "a sampler that does not look at scores"),
        ({"sampler": S.Explicit([0.5, 0.5, 0.0])}, "draws every label, but label 2 has q = 0"),
        ({"eta": [0.5, 0.5, 0.0]}, "eta must be positive for at least two labels, but label 2 has 0"),
        ({"eta": [0.5, 0.5]}, "eta must cover the prior's 3 labels, got 2"),
        ({"contrasts": [1.0, 0.0, 0.0]}, "contrasts must be a matrix"),
        ({"contrasts": [[1.0, 0.0]]}, "contrasts must have a number for each of 3 labels"),
        (
            {"contrasts": [[1.0, 0.0, 2.0], [3.0, 3.0, 3.0]]},
            "contrasts must differ among the labels, but row 1",
        ),
        ({"prior": il.LabelPrior.from_counts([3, 1, 0])}, "log π needs labels that occur, but label 2 has prior 0"),
    ],
)
def test_bad_input(given: dict[str, Any], message: str) -> None:
    options: dict[str, Any] = {"sampler": S.Uniform(), "weighting": W.Relative(), "hits": "keep", "hard": None, **given}
    at = il.Scheme(options["sampler"], options["weighting"], m=2, hits=options["hits"], hard=options["hard"])
    prior = options.get("prior", il.LabelPrior.from_counts([3, 2, 1]))
    with pytest.raises(ValueError, match=message) as caught:
        il.information(at, options.get("eta", [0.5, 0.3, 0.2]), prior, options.get("contrasts"))
    assert len(str(caught.value)) <= 300


def test_what_many_draws_lose() -> None:
    """With m draws the loss about a label falls as 1/m, by the first order of its expansion."""
    prior = il.LabelPrior.from_counts([50, 20, 20, 5, 1])
    eta, k, q = np.array([0.1, 0.2, 0.2, 0.2, 0.3]), 4, prior.probabilities
    first = (eta[k] / q[k] * (1 - 2 * eta[k]) + eta[k] * np.sum(eta**2 / q)) / (1 - eta[k])
    for m in (10**6, 10**9, 10**11):
        lost = 1 - float(il.information(scheme(m), eta, prior).value[k])
        assert lost * m == pytest.approx(first, rel=1e-2 if m < 10**10 else 0.1)


def test_a_label_that_hardly_occurs() -> None:
    """Its ratio η/q is so small beside the others' that e to their difference is no number."""
    prior = il.LabelPrior.from_counts([5, 3, 2])
    share = il.information(scheme(4), np.array([0.6, 0.4, 3e-308]), prior).value
    two = il.information(scheme(4), np.array([0.6, 0.4 - 1e-9, 1e-9]), prior).value
    assert share[:2] == pytest.approx(two[:2], rel=1e-6)
    assert np.all((share >= 0) & (share <= 1))
