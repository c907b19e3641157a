"""The gap in four parts, and the offsets: sums, roots and a search over a grid."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtr

from implicitloss.spectral import (
    GaussianMixture,
    Logistic,
    Ridge,
    equal_error_offset,
    gap,
    least_error_offset,
    predict,
)

Moments = tuple[np.ndarray, np.ndarray]


def errors(moments: Moments, delta: float | np.ndarray) -> np.ndarray:
    (a, b), (first, second) = moments[0], np.sqrt(moments[1])
    return np.array([ndtr(-(a + delta) / first), ndtr((b + delta) / second)])


@pytest.fixture
def cases(rng: np.random.Generator) -> list[Moments]:
    """Scores of all kinds: close and far means, variances that differ by a factor of up to 1e4."""
    return [
        (np.sort(rng.normal(0, 2, 2))[::-1] + np.array([0.1, 0.0]), np.exp(rng.normal(0, 2, 2))) for _ in range(200)
    ]


def test_equal_errors(cases: list[Moments]) -> None:
    for moments in cases:
        first, second = errors(moments, equal_error_offset(*moments))
        assert first == pytest.approx(second, abs=1e-12)
        m, root = moments[0], np.sqrt(moments[1])
        assert first == pytest.approx(ndtr(-(m[0] - m[1]) / root.sum()), abs=1e-12)
    # The offset of the least error is not that of equal ones.
    assert max(abs(np.diff(errors(case, least_error_offset(*case)))[0]) for case in cases) > 0.1


def test_least_error(cases: list[Moments]) -> None:
    """No offset on a grid has less; the other root, the offset of equal errors and half-way between do."""
    beaten = {"equal": 0, "half": 0}
    for moments in cases:
        least = errors(moments, least_error_offset(*moments)).sum()
        assert least <= errors(moments, np.linspace(-30, 30, 1201)).sum(axis=0).min() + 1e-12
        beaten["equal"] += errors(moments, equal_error_offset(*moments)).sum() > least + 1e-6
        beaten["half"] += errors(moments, -moments[0].mean()).sum() > least + 1e-6
    assert min(beaten.values()) > 150


def test_least_error_outside() -> None:
    """A narrow class within a wide one: the best offset lies beyond both means."""
    moments = (np.array([0.1, 0.0]), np.array([25.0, 0.01]))
    found = least_error_offset(*moments)
    assert not -0.1 < found < 0.0
    grid = np.linspace(-5, 5, 200_001)
    assert found == pytest.approx(
        grid[np.argmin([errors(moments, delta).sum() for delta in grid[::100]]) * 100], abs=5e-3
    )


@pytest.mark.parametrize("learner", [Ridge(5.0), Logistic(1.0)])
def test_four_parts(learner: Ridge | Logistic) -> None:
    """They add up exactly, and are what they say: no parts where there is nothing that makes them."""
    mixture = GaussianMixture.power_law([0.0, 0.5], d=60, distance=2.5, counts=[50, 80])
    p = predict(mixture, learner)
    found = gap(p.mean, p.variance, p.training_mean, 0.3)
    assert found.train + found.overfit + found.label + found.scale == pytest.approx(found.total, abs=1e-13)
    assert found.error == pytest.approx(errors((p.mean, p.variance), 0.3), abs=1e-15)
    assert found.train + found.label + found.scale != pytest.approx(found.total, abs=1e-3)
    kappa = np.sum(1 / np.sqrt(p.variance))
    assert found.label == pytest.approx(0.3 * kappa)
    # Σ m̂ = 0, so that the overfit part is -κ/2 (V_1 m̂_1/n_1 + V_2 m̂_2/n_2), of one m̂ = -m̂_2 = m̂_1.
    dual = (p.training_mean - p.mean) * p.counts / p.influence
    assert dual.sum() == pytest.approx(0.0, abs=1e-8 * abs(dual[0]))
    assert found.overfit == pytest.approx(-kappa / 2 * dual[0] * (p.influence / p.counts) @ [1.0, -1.0], rel=1e-8)
    alike = predict(GaussianMixture.power_law([0.3, 0.3], d=60, distance=2.5, counts=[50, 50]), learner)
    none = gap(alike.mean, alike.variance, alike.training_mean)
    assert [none.train, none.overfit, none.label] == pytest.approx([0.0] * 3, abs=1e-9)


def test_pairs_of_several_classes() -> None:
    mixture = GaussianMixture.power_law([0.0, 0.5, 0.3], d=60, distance=2.5, counts=[50, 80, 60])
    p = predict(mixture, Ridge(5.0))
    pair, back = p.pair(2, 0), p.pair(0, 2)
    assert pair.mean == pytest.approx([p.mean[2, 2] - p.mean[2, 0], p.mean[0, 2] - p.mean[0, 0]])
    w = np.array([-1.0, 0.0, 1.0])
    assert pair.variance == pytest.approx([w @ p.variance[2] @ w, w @ p.variance[0] @ w])
    assert back.mean == pytest.approx(-pair.mean[::-1])
    assert back.error == pytest.approx(pair.error[::-1])
    two = predict(GaussianMixture.power_law([0.0, 0.5], d=60, distance=2.5, counts=[50, 80]), Ridge(5.0))
    assert two.pair(1, 0).mean == pytest.approx(-two.mean[::-1])
    assert two.pair(1, 0).error == pytest.approx(two.error[::-1])
    for bad, text in (
        ((0, 0), "a pair must be two different classes, got one twice"),
        ((0, 9), "the class must be one"),
    ):
        with pytest.raises(ValueError, match=f"^{text}"):
            p.pair(*bad)
