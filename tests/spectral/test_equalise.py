"""Offsets that make errors equal, or their mean least: against closed forms, and where nothing can be done."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import implicitloss as il
from implicitloss.spectral.equalise import equal_errors, least_error
from implicitloss.spectral.softmax_scores import softmax_scores

Array = np.ndarray[Any, Any]


def errors(scores: Array, codes: Array, delta: Array | float = 0.0) -> Array:
    wrong = (scores + delta).argmax(axis=1) != codes
    return np.array([wrong[codes == k].mean() for k in range(scores.shape[1])])


def test_two_gaussian_classes_have_the_offsets_of_theory(rng: np.random.Generator) -> None:
    """δ_E and δ_B of N(m_k, q_k), from 20,000 scores each; they are each other's near miss."""
    mean, variance = np.array([0.6, -0.9]), np.array([0.6, 0.2])
    codes = np.repeat([0, 1], 20_000)
    z = mean[codes] + np.sqrt(variance)[codes] * rng.standard_normal(40_000)
    scores = np.column_stack([z / 2, -z / 2])
    found = [find(scores, codes) for find in (equal_errors, least_error)]
    theory = [find(mean, variance) for find in (il.spectral.equal_error_offset, il.spectral.least_error_offset)]
    assert [delta[0] - delta[1] for delta in found] == pytest.approx(theory, abs=0.03)
    assert abs(theory[0] - theory[1]) > 0.1
    assert [delta.mean() for delta in found] == pytest.approx([0, 0], abs=1e-12)


def some_scores(rng: np.random.Generator, k: int, n: int) -> tuple[Array, Array]:
    codes = np.arange(n) % k
    centres = np.eye(k) + 0.3 * rng.standard_normal((k, k))
    return centres[codes] + np.linspace(0.4, 1.0, k)[codes][:, None] * rng.standard_normal((n, k)), codes


@pytest.mark.parametrize(("k", "n"), [(3, 300), (10, 2_000), (40, 1_200)])
def test_errors_become_equal(k: int, n: int, rng: np.random.Generator) -> None:
    scores, codes = some_scores(rng, k, n)
    before, after = errors(scores, codes), errors(scores, codes, equal_errors(scores, codes))
    # What is left is the smoothing, of a few samples in a class.
    assert np.ptp(after) < 0.4 * np.ptp(before)
    assert errors(scores, codes, least_error(scores, codes)).mean() < before.mean() - 0.002
    assert np.ptp(errors(scores, codes, -equal_errors(scores, codes))) > np.ptp(before)  # the other sign


def test_a_shift_and_a_scale_go_through(rng: np.random.Generator) -> None:
    scores, codes = some_scores(rng, 4, 400)
    for find in (equal_errors, least_error):
        delta = find(scores, codes)
        assert find(1e3 * scores + 5.0, codes) == pytest.approx(1e3 * delta, rel=1e-3, abs=1.0)
        shifted = find(scores + np.array([1.0, 0, 0, -1.0]), codes)
        assert shifted - delta == pytest.approx([-1.0, 0, 0, 1.0], abs=0.02)


@pytest.mark.parametrize(
    "scores",
    [
        np.zeros((6, 2)),
        np.tile([1.0, 0.0], (6, 1)),
        np.eye(2)[[0, 0, 0, 1, 1, 1]],
        1e60 * np.eye(2)[[0, 1, 0, 1, 0, 1]],
    ],
    ids=["alike", "one class", "all right", "huge"],
)
def test_where_nothing_can_be_done(scores: Array) -> None:
    codes = np.repeat([0, 1], 3)
    for find in (equal_errors, least_error):
        delta = find(scores, codes)
        assert np.isfinite(delta).all()
        assert delta.sum() == pytest.approx(0, abs=1e-9 * max(1.0, np.abs(delta).max()))


def test_softmax_scores_are_a_minimum(rng: np.random.Generator) -> None:
    """The gradient by each coefficient vanishes; scores of another scale are calibrated back."""
    scores, codes = some_scores(rng, 3, 240)
    found = softmax_scores(scores, codes)
    share = np.exp(found) / np.exp(found).sum(axis=1, keepdims=True) - np.eye(3)[codes]
    centred = scores - scores.mean(axis=0)
    weights = np.linalg.lstsq(np.column_stack([centred, np.ones(240)]), found, rcond=None)[0][:-1]
    assert np.abs(centred.T @ share + weights).max() < 1e-2
    assert np.abs(share.sum(axis=0)).max() < 1e-2
    assert np.abs(centred.T @ share).max() > 0.1  # the near miss: without the ridge


def test_margins_of_offsets_are_softmax_shifted(rng: np.random.Generator) -> None:
    """Softmax with p_yy' = e^{δ_y - δ_y'} at f + δ is softmax at f, gradients too: what it learns is shifted by δ."""
    prior, delta = il.LabelPrior.from_counts([5, 5, 5, 2]), np.array([0.5, -1.0, 0.0, 0.7])
    scores, positives = rng.standard_normal((6, 4)), np.array([0, 1, 2, 3, 0, 1])
    loss = il.losses.SoftmaxCrossEntropy()
    plain = il.Minibatch(il.margins.Softmax(), loss, prior)(scores, positives)
    shifted = il.Minibatch(il.margins.Offsets(delta), loss, prior)(scores + delta, positives)
    for one, other in zip(plain, shifted, strict=True):
        assert one == pytest.approx(other, abs=1e-13)
    wrong = il.Minibatch(il.margins.Offsets(delta), loss, prior)(scores - delta, positives)
    assert np.abs(wrong[0] - plain[0]).max() > 0.1
