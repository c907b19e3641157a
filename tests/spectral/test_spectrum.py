"""Effective ranks without bias, by all samples of a small population; exponents whose intervals cover."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from implicitloss.spectral import spectrum
from implicitloss.spectral.shrinkage import SampleMoments


def test_traces_are_unbiased() -> None:
    """Averaged over all samples of five from a population of three points, each with its own chance."""
    points = np.array([[1.0, 0.0], [-1.0, 2.0], [0.5, -3.0]])
    shares = np.array([0.5, 0.3, 0.2])
    centred = points - shares @ points
    sigma = (centred * shares[:, None]).T @ centred
    total, naive = np.zeros(2), np.zeros(2)
    for labels in itertools.product(range(3), repeat=5):
        X = points[list(labels)]
        moments = SampleMoments.from_centred(X - X.mean(axis=0))
        total += np.prod(shares[list(labels)]) * np.array(moments.unbiased)
        naive += np.prod(shares[list(labels)]) * np.array([moments.trace**2, moments.trace_of_square])
    expected = np.array([np.trace(sigma) ** 2, np.trace(sigma @ sigma)])
    assert total == pytest.approx(expected, rel=1e-12)
    assert np.all(np.abs(naive / expected - 1) > 0.1)


@pytest.mark.parametrize(("alpha", "d", "n"), [(0.2, 100, 40), (0.6, 60, 30), (1.0, 60, 40)])
def test_exponents(alpha: float, d: int, n: int, rng: np.random.Generator) -> None:
    """Intervals cover the truth in 36 of 60 at least: false alarm 1e-6 at a coverage of 85 %.

    A line through the sample's eigenvalues is not within them so often at small exponents.
    """
    values = np.arange(1, d + 1) ** -alpha
    rank = values.sum() ** 2 / (values**2).sum()
    found = [spectrum(rng.standard_normal((n, d)) * np.sqrt(values)) for _ in range(60)]
    covers = [low <= alpha <= high for low, high in (one.exponent_interval for one in found)]
    assert sum(covers) >= 36
    assert [low <= rank <= high + 1e-9 for low, high in (one.effective_rank_interval for one in found)] == covers
    assert np.mean([one.effective_rank for one in found]) == pytest.approx(rank, rel=0.1)
    naive = [(one.eigenvalues.sum() ** 2 / (one.eigenvalues**2).sum()) for one in found]
    assert np.mean(naive) < 0.8 * rank
    if alpha == 0.2:
        k = np.arange(1, n // 2)
        slopes = [-np.polyfit(np.log(k), np.log(one.eigenvalues[: k.size]), 1)[0] for one in found]
        assert np.mean(slopes) > 1.5 * alpha


def test_constant_and_duplicate_features(rng: np.random.Generator) -> None:
    # An effective rank of 4.9, far from the 12 at which an estimate is cut off.
    X = rng.standard_normal((30, 12)) * np.arange(1, 13) ** -0.6
    one = spectrum(np.hstack([X, np.full((30, 3), 7.0)]))
    assert one.d == 12
    assert one.effective_rank == pytest.approx(spectrum(X).effective_rank)
    assert spectrum(np.hstack([X, X])).effective_rank == pytest.approx(one.effective_rank)
    assert spectrum(1e6 + 1e-3 * X).effective_rank == pytest.approx(one.effective_rank, rel=1e-3)
    alone = spectrum(X[:, :1])
    assert (alone.effective_rank, alone.exponent, alone.effective_rank_interval) == (1.0, 0.0, (1.0, 1.0))


@pytest.mark.parametrize(
    ("X", "sentence"),
    [
        (np.ones((20, 3)), "samples must differ for a spectrum, but all of them are equal"),
        (np.eye(7), "a spectrum needs 8 samples or more, got 7"),
        (np.full((20, 2), np.nan), r"X must be finite and within ±1e\+60, but row 0 has nan"),
        (np.ones(20), r"X must be a matrix \(n, d\), got shape \(20,\)"),
        (np.ones((0, 3)), r"X must have samples and features, got shape \(0, 3\)"),
    ],
)
def test_no_spectrum(X: np.ndarray, sentence: str) -> None:
    with pytest.raises(ValueError, match=f"^{sentence}$"):
        spectrum(X)
