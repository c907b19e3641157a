"""Leave-one-out scores against n refits that share no code with them; the choice of λ; the errors' own errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize

import implicitloss as il
from implicitloss.spectral.ridge_path import RidgePath
from implicitloss.spectral.samples import samples

Array = np.ndarray[Any, Any]


def path_of(X: Array, y: Any) -> RidgePath:
    return RidgePath.of(samples(X, y))


def ridge_refits(X: Array, y: Array, lam: float) -> Array:
    """The scores of each sample by the normal equations of all others; λ = 0 has the least norm."""
    found = []
    for i in range(len(y)):
        rest, one_hot = np.delete(X, i, axis=0), np.eye(y.max() + 1)[np.delete(y, i)]
        centred, targets = rest - rest.mean(axis=0), one_hot - one_hot.mean(axis=0)
        gram = centred.T @ centred + lam * np.eye(X.shape[1])
        weights = np.linalg.solve(gram, centred.T @ targets) if lam else np.linalg.pinv(centred, 1e-10) @ targets
        found.append((X[i] - rest.mean(axis=0)) @ weights + one_hot.mean(axis=0))
    return np.array(found)


def with_faults(X: Array) -> Array:
    """Duplicate samples, a constant feature, and a feature twice."""
    X = X.copy()
    X[3], X[:, 1], X[:, -1] = X[2], 7.0, X[:, 0]
    return X


SHAPES = {"n > d": (30, 6), "n < d": (15, 40), "n = d": (12, 12), "n - 1 = d": (12, 11)}


@pytest.mark.parametrize("faulty", [False, True], ids=["plain", "faulty"])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_ridge_is_n_refits(shape: tuple[int, int], faulty: bool, rng: np.random.Generator) -> None:
    X, y = rng.standard_normal(shape) + 2.0, np.arange(shape[0]) % 3
    X = with_faults(X) if faulty else X
    for lam in (10.0, 1.0, 0.1):
        found = il.spectral.leave_one_out(X, y, il.spectral.Ridge(lam))
        refits = ridge_refits(X, y, lam)
        assert np.abs(found.scores - refits).max() < 1e-10
        said = found.fitted - found.influence[:, None] * (np.eye(3)[y] - found.fitted)
        assert np.abs(said - refits).max() < 1e-10
        # Near misses: the leverage without 1/n, and a division by 1 + h.
        h, left = found.influence / (1 + found.influence), np.eye(3)[y] - found.fitted
        for wrong in ((h - 1 / len(y)) / (1 - h + 1 / len(y)), h / (1 + h)):
            assert np.abs(found.fitted - wrong[:, None] * left - refits).max() > 1e-3


def test_what_one_dimension_gives() -> None:
    X, y = np.array([[0.0], [1.0], [3.0], [4.0]]), np.array([0, 0, 1, 1])
    found = il.spectral.leave_one_out(X, y, il.spectral.Ridge(0.5))
    assert found.scores == pytest.approx(ridge_refits(X, y, 0.5), abs=1e-14)


@pytest.mark.parametrize("faulty", [False, True], ids=["plain", "faulty"])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_a_ridge_that_vanishes(shape: tuple[int, int], faulty: bool, rng: np.random.Generator) -> None:
    """λ = 0 has the least norm, and λ near 0 keeps its digits where every sample is fitted exactly."""
    X, y = rng.standard_normal(shape), np.arange(shape[0]) % 3
    X = with_faults(X) if faulty else X
    refits = ridge_refits(X, y, 0.0)
    assert np.abs(path_of(X, y).leave_one_out(0.0).scores - refits).max() < 1e-9
    assert np.abs(path_of(X, y).leave_one_out(1e-12).scores - refits).max() < 1e-8


def test_a_direction_of_one_sample_alone(rng: np.random.Generator) -> None:
    """Without ridge it is fitted exactly, and left out it is scored by the other directions."""
    X, y = rng.standard_normal((20, 4)), np.arange(20) % 2
    X[:, 3] = np.arange(20) == 7
    found = path_of(X, y).leave_one_out(0.0)
    assert found.scores == pytest.approx(ridge_refits(X, y, 0.0), abs=1e-10)
    assert np.isinf(found.influence[7])
    assert np.isfinite(np.delete(found.influence, 7)).all()


def stratified_refits(X: Array, y: Array, lam: float) -> Array:
    """The scores of each sample by the normal equations of all samples that are not in its group."""
    counts, place = np.bincount(y), [int(np.sum(y[:i] == y[i])) for i in range(len(y))]
    found = []
    for i, k in enumerate(y):
        groups = min(counts[k], max(counts.min(), 10))
        rest = np.array([p % groups != place[i] % groups for p in place])
        centred, targets = X[rest] - X[rest].mean(axis=0), np.eye(y.max() + 1)[y[rest]]
        # The dual has the digits where λ is small and there are fewer samples than features.
        gram = centred @ centred.T + lam * np.eye(len(centred))
        weights = centred.T @ np.linalg.solve(gram, targets - targets.mean(axis=0))
        found.append((X[i] - X[rest].mean(axis=0)) @ weights + targets.mean(axis=0))
    return np.array(found)


@pytest.mark.parametrize("faulty", [False, True], ids=["plain", "faulty"])
@pytest.mark.parametrize(
    ("counts", "d"),
    [
        ([16, 16, 16], 6),
        ([10, 10, 10], 6),
        ([5, 5, 5], 40),
        ([4, 4, 4], 11),
        ([40, 12, 8], 50),
        ([60, 15, 5], 3),
        ([30, 13, 2], 5),
    ],
)
def test_groups_are_refits_without_them(counts: list[int], d: int, faulty: bool, rng: np.random.Generator) -> None:
    """In blocks smaller and larger than the number of directions; leave-one-out scores are others."""
    y = rng.permutation(np.repeat([0, 1, 2], counts))
    X = rng.standard_normal((len(y), d)) + 2.0
    X = with_faults(X) if faulty else X
    for lam in (10.0, 1.0, 0.1):
        found = path_of(X, y).stratified(lam)
        assert np.abs(found.scores - stratified_refits(X, y, lam)).max() < 1e-10
        assert np.abs(found.scores - ridge_refits(X, y, lam)).max() > 1e-3


def test_groups_where_the_ridge_vanishes(rng: np.random.Generator) -> None:
    """Digits are kept where all samples are fitted exactly; where those that stay are too few, most of them are."""
    y, X = np.repeat([0, 1, 2], 5), rng.standard_normal((15, 40))
    assert np.abs(path_of(X, y).stratified(1e-8).scores - stratified_refits(X, y, 1e-8)).max() < 1e-9
    thin = path_of(X[:, :13], y)
    assert np.abs(thin.stratified(1e-30).scores - thin.stratified(1e-7).scores).max() < 0.01


@pytest.mark.parametrize(("counts", "shift"), [([50, 50], 0.0), ([5] * 12, 0.7), ([60, 2], 1.25)])
def test_errors_are_those_of_fresh_samples(counts: list[int], shift: float) -> None:
    """Within .06 in the mean of 200 training sets, where leave-one-out is more than .1 too high.

    The mean of 200 has a standard error of .018 for the latter, and of .012 at most for the former.
    """
    k, d, found = len(counts), 10, []
    y, fresh = np.repeat(np.arange(k), counts), np.repeat(np.arange(k), 200)
    for seed in range(200):
        rng = np.random.default_rng([seed, k])
        means = shift * rng.standard_normal((k, d))
        X, x = (means[codes] + rng.standard_normal((len(codes), d)) for codes in (y, fresh))
        path = path_of(X, y)
        lam = path.best()
        stratified, alone = (of(lam).errors.mean() for of in (path.stratified, path.leave_one_out))
        centred, one_hot = X - X.mean(axis=0), np.eye(k)[y]
        weights = np.linalg.solve(centred.T @ centred + lam * np.eye(d), centred.T @ one_hot)
        wrong = ((x - X.mean(axis=0)) @ weights + one_hot.mean(axis=0)).argmax(axis=1) != fresh
        found.append((stratified - wrong.mean(), alone - wrong.mean()))
    off, off_alone = np.mean(found, axis=0)
    assert abs(off) < 0.06
    assert off_alone > 0.1


def test_constant_features_give_the_shares() -> None:
    """Nothing but the intercept is fitted; a class is missed by the share of the others."""
    found = il.spectral.leave_one_out(np.ones((6, 3)), list("aaaabb"), il.spectral.Ridge(1.0))
    assert found.scores[0] == pytest.approx([3 / 5, 2 / 5])
    assert found.errors.tolist() == [0.0, 1.0]


def test_the_squared_error_that_chooses(rng: np.random.Generator) -> None:
    """It is that of the scores, averaged in each class and then over classes; its minimum is found."""
    X, y = rng.standard_normal((60, 20)) + 0.5 * (np.arange(60) < 45)[:, None], (np.arange(60) >= 45).astype(int)
    path, one_hot = path_of(X, y), np.eye(2)[y]
    for lam in (0.3, 30.0):
        each = ((one_hot - path.leave_one_out(lam).scores) ** 2).sum(axis=1) / 2
        by_hand = (each[y == 0].mean() + each[y == 1].mean()) / 2
        assert path.squared_error(lam) == pytest.approx(by_hand, rel=1e-12)
        assert abs(each.mean() - by_hand) > 1e-3  # the near miss: over samples
    best = path.squared_error(path.best())
    assert best <= min(path.squared_error(lam) for lam in np.geomspace(1e-4, 1e6, 200)) + 1e-6
    assert best < path.squared_error(path.best() * 4) - 1e-6


def test_some_samples_choose_as_all_do(rng: np.random.Generator) -> None:
    """The error of some samples, left out of the fit on all."""
    X, y = rng.standard_normal((90, 10)), np.arange(90) % 3
    path, part = path_of(X, y), np.arange(90) // 3 % 3 == 0
    few = path.few(30)
    assert few.left.shape == (30, 10)
    each = ((np.eye(3)[y] - path.leave_one_out(2.0).scores) ** 2).sum(axis=1)[part] / 2
    assert few.squared_error(2.0) == pytest.approx(each.mean(), rel=1e-12)
    assert path.few(90).left.shape == (90, 10)


def test_errors_have_the_errors_that_they_say() -> None:
    """Over 80 training sets errors spread as their standard errors say, within 30 %; not twice or half as much."""
    rng = np.random.default_rng(5)
    y, errors, said = np.repeat([0, 1], 60), [], []
    for _ in range(80):
        X = rng.standard_normal((120, 15)) * np.where(y == 0, 1.0, 0.6)[:, None] + 0.25 * y[:, None]
        found = il.spectral.leave_one_out(X, y, il.spectral.Ridge(20.0))
        errors.append(found.errors)
        said.append(found.standard_errors)
    ratio = np.std(errors, axis=0) / np.mean(said, axis=0)
    assert ((ratio > 0.7) & (ratio < 1.3)).all(), ratio


def test_an_error_of_zero_has_an_error() -> None:
    X, y = np.array([[0.0], [0.1], [9.0], [9.1]]), [0, 0, 1, 1]
    found = il.spectral.leave_one_out(X, y, il.spectral.Ridge(1e-3))
    assert found.errors.tolist() == [0.0, 0.0]
    # Wilson's interval at z = 1 for 0 of 2 is 0 to 1/3.
    assert found.standard_errors == pytest.approx([1 / 6, 1 / 6])


# --- logistic regression ----------------------------------------------------------------------------------------------


def logistic_fit(X: Array, signs: Array, lam: float, log_p: Array) -> Array:
    """(w, b) by a general minimiser."""

    def objective(theta: Array) -> tuple[float, Array]:
        margin = log_p - signs * (X @ theta[:-1] + theta[-1])
        slope = -signs / (1 + np.exp(-margin))
        gradient = np.append(X.T @ slope + lam * theta[:-1], slope.sum())
        return float(np.logaddexp(0, margin).sum() + lam / 2 * theta[:-1] @ theta[:-1]), gradient

    found = minimize(objective, np.zeros(X.shape[1] + 1), jac=True, method="BFGS", options={"gtol": 1e-9})
    return np.asarray(found.x)


@pytest.mark.parametrize("margins", [None, (2.0, 0.5), il.margins.LogitAdjusted()], ids=["plain", "two", "adjusted"])
def test_logistic_is_the_refits_to_first_order(margins: Any, rng: np.random.Generator) -> None:
    y = np.repeat([0, 1], [40, 20])
    signs, X = 1.0 - 2 * y, rng.standard_normal((60, 4)) + 0.4 * y[:, None] + 1.0
    pair = {None: (1.0, 1.0), (2.0, 0.5): (2.0, 0.5)}.get(margins, (0.5, 2.0))
    log_p = np.log(pair)[y]
    found = il.spectral.leave_one_out(X, y, il.spectral.Logistic(1.0, margins))
    z, left_out = (scores[:, 0] - scores[:, 1] for scores in (found.fitted, found.scores))
    theta = logistic_fit(X, signs, 1.0, log_p)
    assert z == pytest.approx(X @ theta[:-1] + theta[-1], abs=1e-6)
    refits = []
    for i in range(60):
        theta = logistic_fit(np.delete(X, i, axis=0), np.delete(signs, i), 1.0, np.delete(log_p, i))
        refits.append(X[i] @ theta[:-1] + theta[-1])
    moved = np.abs(np.array(refits) - z)
    assert np.median(np.abs(left_out - refits) / moved) < 0.03
    assert np.abs(left_out - refits).max() < 0.15 * moved.max()
    # Near misses: no correction of the leverage, and h with ℓ'' in front.
    slope = -signs / (1 + np.exp(signs * z - log_p))
    curvature = np.abs(slope) * (1 - np.abs(slope))
    h = found.influence / (1 + curvature * found.influence)
    for wrong in (h, curvature * h / (1 - curvature * h)):
        assert np.median(np.abs(z + wrong * slope - refits) / moved) > 0.03


def test_logistic_of_more_features_than_samples(rng: np.random.Generator) -> None:
    y = np.arange(30) % 2
    X = rng.standard_normal((30, 50)) + 0.3 * y[:, None]
    found = il.spectral.leave_one_out(X, y, il.spectral.Logistic(5.0))
    for i in (0, 7, 20):
        theta = logistic_fit(np.delete(X, i, axis=0), 1.0 - 2 * np.delete(y, i), 5.0, np.zeros(29))
        z = found.scores[i, 0] - found.scores[i, 1]
        change = abs(X[i] @ theta[:-1] + theta[-1] - (found.fitted[i, 0] - found.fitted[i, 1]))
        assert abs(z - (X[i] @ theta[:-1] + theta[-1])) < 0.05 * change


@pytest.mark.parametrize(
    ("y", "learner", "message"),
    [
        ([0, 1, 2, 0, 1, 2], il.spectral.Logistic(1.0), "must have two classes, got 3"),
        ([0, 1, 0, 1, 0, 1], il.spectral.MeanDifference(), "must be a spectral.Ridge or a spectral.Logistic, got Mean"),
        ([0, 1, 0, 1, 0, 1], 1.0, "got 1.0"),
        ([0, 0, 0, 0, 0, 1], il.spectral.Ridge(1.0), "two samples or more, got one of 1"),
    ],
)
def test_what_cannot_be_left_out(y: list[int], learner: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        il.spectral.leave_one_out(np.arange(12.0).reshape(6, 2) ** 2, y, learner)
