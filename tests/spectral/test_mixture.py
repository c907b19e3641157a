"""Mixtures given, estimated and made: shrinkage by hand, labels of any kind, spectra, and a sentence for bad input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from implicitloss import diagnose
from implicitloss.spectral import (
    Affine,
    Dropout,
    GaussianMixture,
    Logistic,
    MeanDifference,
    Noise,
    Ridge,
    predict,
    shrinkage,
)


def oas_by_hand(X: np.ndarray) -> np.ndarray:
    """Chen et al. 2010, Eq. 23, with n - 1 degrees of freedom."""
    n, d = len(X) - 1, X.shape[1]
    S = np.cov(X.T).reshape(d, d)
    first, second = np.trace(S) ** 2, np.trace(S @ S)
    rho = ((1 - 2 / d) * second + first) / ((n + 1 - 2 / d) * (second - first / d))
    return (1 - min(rho, 1)) * S + min(rho, 1) * np.trace(S) / d * np.eye(d)


def ledoit_wolf_by_hand(X: np.ndarray) -> np.ndarray:
    """Ledoit and Wolf 2004, section 3.3, sample by sample; then the trace of the unbiased covariance."""
    n, d = X.shape
    Z = X - X.mean(axis=0)
    S = Z.T @ Z / n
    target = np.trace(S) / d * np.eye(d)
    delta = np.sum((S - target) ** 2)
    beta = sum(np.sum((np.outer(z, z) - S) ** 2) for z in Z) / n**2
    share = min(beta, delta) / delta
    return ((1 - share) * S + share * target) * n / (n - 1)


@pytest.mark.parametrize("n", [4, 12, 60])
@pytest.mark.parametrize(("kind", "by_hand"), [("oas", oas_by_hand), ("ledoit-wolf", ledoit_wolf_by_hand)])
def test_shrinkage_by_hand(n: int, kind: Any, by_hand: Callable[..., np.ndarray], rng: np.random.Generator) -> None:
    X = rng.standard_normal((2 * n, 9)) * np.arange(1, 10) ** -0.7
    y = np.repeat(["a", "b"], n)
    found = GaussianMixture.from_features(X, y, covariance=kind)
    for k in (0, 1):
        part = X[k * n : (k + 1) * n]
        assert found.means[k] == pytest.approx(part.mean(axis=0), abs=1e-14)
        assert found.covariances[k] == pytest.approx(by_hand(part), abs=1e-13)
        assert np.trace(found.covariances[k]) == pytest.approx(np.trace(np.cov(part.T)))
    assert list(found.counts) == list(found.mean_counts) == [n, n]  # type: ignore[call-overload]
    if n == 60:
        other = GaussianMixture.from_features(X, y, covariance="oas" if kind != "oas" else "ledoit-wolf")
        assert other.covariances != pytest.approx(found.covariances, abs=1e-6)


def test_factors_in_place_of_whole_covariances(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Classes of few samples lose nothing; others keep their trace."""
    X, y = rng.standard_normal((60, 25)) * np.arange(1, 26) ** -0.5, np.repeat([0, 1, 2], [8, 12, 40])
    whole = GaussianMixture.from_features(X, y)
    monkeypatch.setattr(shrinkage, "MOST_WHOLE", 0)
    found = GaussianMixture.from_features(X, y)
    assert found.covariances.shape == (3, 25)
    for k in range(3):
        one = np.eye(3)[k]
        assert found.of_classes.sum(one) == pytest.approx(whole.covariances[k], abs=1e-12)
    monkeypatch.setattr(shrinkage, "MOST_IN_FACTORS", 3 * 25 * 11)
    fewer = GaussianMixture.from_features(X, y)
    assert fewer.factors is not None
    assert fewer.factors.shape == (3, 25, 11)
    assert fewer.of_classes.traces == pytest.approx(whole.of_classes.traces)
    assert fewer.of_classes.sum(np.eye(3)[1]) == pytest.approx(whole.covariances[1], abs=1e-12)
    assert fewer.of_classes.sum(np.eye(3)[2]) != pytest.approx(whole.covariances[2], abs=1e-3)


@pytest.mark.parametrize("most_whole", [shrinkage.MOST_WHOLE, 0])
def test_features_that_never_vary_change_nothing(
    most_whole: int, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No covariance is shrunk into them; as much noise there, which varies, is another mixture."""
    monkeypatch.setattr(shrinkage, "MOST_WHOLE", most_whole)
    y = np.repeat([0, 1, 2], [20, 25, 60])
    X = rng.standard_normal((105, 12)) * np.arange(1, 13) ** -0.3 + 0.3 * y[:, None]
    bare = GaussianMixture.from_features(X, y)
    p = predict(bare, Ridge(2.0))
    wide = np.insert(X, [0, 3, 12] * 6, 0.1, axis=1)
    found = GaussianMixture.from_features(wide, y)
    assert found.effective_rank == pytest.approx(bare.effective_rank, rel=1e-9)
    assert found.rank_inflation == pytest.approx(bare.rank_inflation, rel=1e-9)
    varies = np.ptp(wide, axis=0) > 0
    for k in range(3):
        own, padded = (mixture.of_classes.sum(np.eye(3)[k]) for mixture in (bare, found))
        assert padded[np.ix_(varies, varies)] == pytest.approx(own, abs=1e-12)
        assert np.abs(padded[~varies]).max() < 1e-14
    weights = rng.standard_normal((30, 4))
    assert found.of_classes.forms(weights) == pytest.approx(bare.of_classes.forms(weights[varies]), abs=1e-10)
    assert predict(found, Ridge(2.0)).mean == pytest.approx(p.mean, abs=1e-10)
    assert predict(found, Ridge(2.0)).variance == pytest.approx(p.variance, abs=1e-10)
    wide[:, ~varies] += rng.standard_normal((105, 18))
    noisy = predict(GaussianMixture.from_features(wide, y), Ridge(2.0))
    assert np.abs(noisy.mean - p.mean).max() > 0.01


@pytest.mark.parametrize(
    ("y", "classes"),
    [
        (["dog", "cat"] * 6, ("cat", "dog")),
        (np.array([7, -2] * 6), (-2, 7)),
        (pd.Series(["b", "a"] * 6, index=range(5, 17)), ("a", "b")),
        (pd.Categorical(["b", "a"] * 6), ("a", "b")),
        ([True, False] * 6, (False, True)),
        ([2.5, "x"] * 6, (2.5, "x")),
        (np.array(["2020", "2021"] * 6, dtype="datetime64[Y]"), None),
    ],
)
def test_labels_of_any_kind(y: Any, classes: Any, rng: np.random.Generator) -> None:
    X = rng.standard_normal((12, 3))
    found = GaussianMixture.from_features(X, y)
    assert len(found.classes or ()) == 2
    first = (found.classes or ())[0]
    assert found.class_index(first) == 0
    if classes is not None:
        assert found.classes == classes
        rows = [i for i, label in enumerate(y) if label == classes[0]]
        assert found.means[0] == pytest.approx(X[rows].mean(axis=0))
    with pytest.raises(ValueError, match=r"^the class must be one of .*, got 'absent'$"):
        found.class_index("absent")


def test_tables(rng: np.random.Generator) -> None:
    """Frames of pandas, lists and float32 are features too."""
    X, y = rng.standard_normal((20, 4)).astype(np.float32), np.repeat([0, 1], 10)
    expected = GaussianMixture.from_features(X, y).covariances
    for given in (pd.DataFrame(X, columns=list("abcd")), X.tolist(), np.asfortranarray(X)):
        assert np.array_equal(GaussianMixture.from_features(given, y).covariances, expected)


@pytest.mark.parametrize("rotated", [False, True])
def test_power_law(rotated: bool) -> None:
    """Spectra, traces and distances are the ones asked for; means are equally far apart."""
    found = GaussianMixture.power_law(
        [0.0, 0.5, 1.5], d=12, distance=3.0, counts=[5, 6, 7], traces=[12.0, 6.0, 1.0], rotated=rotated
    )
    values = found.covariances if not rotated else np.linalg.eigvalsh(found.covariances)[:, ::-1]
    for k, (alpha, trace) in enumerate(((0.0, 12.0), (0.5, 6.0), (1.5, 1.0))):
        law = np.arange(1, 13) ** -alpha
        assert values[k] == pytest.approx(trace * law / law.sum(), rel=1e-10)
        assert found.effective_rank[k] == pytest.approx(law.sum() ** 2 / (law**2).sum(), rel=1e-10)
    gaps = np.linalg.norm(found.means[:, None] - found.means, axis=2)
    assert gaps == pytest.approx(3.0 * (1 - np.eye(3)), abs=1e-12)
    assert found.means.sum(axis=0) == pytest.approx(np.zeros(12), abs=1e-12)
    again = GaussianMixture.power_law([0.0, 0.5], d=1, distance=2.0, counts=9)
    assert abs(again.means[0, 0] - again.means[1, 0]) == pytest.approx(2.0)


def test_arrays_are_copies_that_cannot_be_written_to() -> None:
    means, covariances = np.eye(2), np.ones((2, 2))
    mixture = GaussianMixture(means, covariances, [5, 5])
    means[0, 0] = covariances[0, 0] = 9.0
    assert mixture.means[0, 0] == mixture.covariances[0, 0] == 1.0
    p = predict(mixture, Ridge(1.0))
    for array in (mixture.means, mixture.covariances, mixture.counts, mixture.effective_rank, p.error, p.mean):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0.0


def test_low_ranks_are_marked() -> None:
    mixture = GaussianMixture.power_law([0.0, 2.0], d=60, distance=3.0, counts=50)
    p = predict(mixture, Ridge(1.0))
    assert p.reliable.tolist() == [True, False]
    assert p.notes == ("The prediction is not to be trusted for 1 of 2 classes, whose effective rank is below 20: 1.",)
    assert predict(mixture, MeanDifference(100)).notes == ()
    assert predict(replace(mixture, effective_rank=np.full(2, 21.0)), Ridge(1.0)).reliable.all()


GOOD: dict[str, Any] = {"means": [[1.0, 0.0], [0.0, 1.0]], "covariances": [[1.0, 2.0], [3.0, 4.0]], "counts": [5, 6]}
FULL = [[[2.0, 1.0], [1.0, 2.0]], [[1.0, 0.0], [0.0, 1.0]]]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"means": [[1.0, np.nan], [0, 1]]}, "means must be finite and within ±1e+60, but [0, 1] is nan"),
        ({"means": [1.0, 2.0]}, "means must be (K, d), got shape (2,)"),
        ({"means": [[1.0, 2.0]]}, "means must have a row for each of two or more classes, got shape (1, 2)"),
        ({"means": "x"}, "means must be numbers, got 'x'"),
        ({"covariances": [[1.0], [2.0]]}, "covariances must fit means of shape (2, 2), got shape (2, 1)"),
        ({"covariances": [1.0, 2.0]}, "covariances must be the diagonals (K, d) or (K, d, d), got shape (2,)"),
        (
            {"covariances": [[1.0, -2.0], [3.0, 4.0]]},
            "covariances must be positive semi-definite, but class 0 has eigenvalue -2",
        ),
        (
            {"covariances": [FULL[1], [[1.0, 2.0], [2.0, 1.0]]]},
            "covariances must be positive semi-definite, but class 1 has eigenvalue -1",
        ),
        (
            {"covariances": [FULL[0], [[1.0, 0.5], [0.0, 1.0]]]},
            "covariances must be symmetric, but the one of class 1 is off by 0.5",
        ),
        ({"covariances": [[0.0, 0.0], [3.0, 4.0]]}, "covariances must each have a trace >= 1e-60, but class 0 has 0"),
        ({"counts": [5, 0.5]}, "counts must be one number or 2 numbers, >= 1, got [5, 0.5]"),
        ({"counts": [5, 6, 7]}, "counts must be one number or 2 numbers, >= 1, got [5, 6, 7]"),
        ({"mean_counts": 0}, "mean_counts must be one number or 2 numbers, >= 1, got 0"),
        ({"classes": ["a"]}, "classes must be one for each of 2 classes, got 1"),
        ({"classes": ["a", "a"]}, "classes must have different names, got ['a', 'a']"),
        (
            {"factors": np.ones((2, 3, 1))},
            "factors must be (K, d, r) = (2, 2, r) beside covariances (K, d), at most 268,435,456 numbers, "
            "got shape (2, 3, 1) beside (2, 2)",
        ),
        ({"effective_rank": [0.5, 1.0]}, "effective_rank must be 2 numbers from 1 to 2, got [0.5, 1.0]"),
    ],
)
def test_no_mixture(change: dict[str, Any], sentence: str) -> None:
    GaussianMixture(**GOOD)
    with pytest.raises(ValueError) as error:
        GaussianMixture(**GOOD | change)
    assert str(error.value) == sentence


@pytest.mark.parametrize(
    ("X", "y", "sentence"),
    [
        (np.eye(4), [0, 0, 1], "the labels y must be one for each of 4 samples, got 3"),
        (np.eye(4), [0, 0, 0, 1], "a covariance needs two samples of a class or more, but class 1 has one"),
        (np.eye(4), [0, 0, 0, 0], "the labels y must have two classes or more, got [0]"),
        (np.eye(4), [0, 0, None, 1], "the labels y must each be a number or a name, but [2] is None"),
        (np.eye(4), [0.0, 0.0, np.nan, 1.0], "the labels y must each be a number or a name, but [2] is nan"),
        (np.eye(4), "abcd", "the labels y must be a list or a vector, one for each of 4 samples, got 'abcd'"),
        (np.eye(4)[:, 2:], [0, 0, 1, 1], "samples of a class must differ, but those of class 0 are all equal"),
        (np.ones(4), [0, 0, 1, 1], "X must be a matrix (n, d), got shape (4,)"),
        (np.full((4, 2), np.inf), [0, 0, 1, 1], "X must be finite and within ±1e+60, but row 0 has inf"),
        (pd.DataFrame({"a": list("wxyz")}), [0, 0, 1, 1], "X must be numbers, got a DataFrame of shape (4, 1)"),
    ],
)
def test_no_features(X: Any, y: Any, sentence: str) -> None:
    with pytest.raises(ValueError) as error:
        GaussianMixture.from_features(X, y)
    assert str(error.value) == sentence


MIXTURE = GaussianMixture(**GOOD)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Ridge(0.0), "lam must be a number from 1e-30 to 1e60, got 0.0"),
        (lambda: Logistic(1.0, (1.0,)), "margins must be p_12 and p_21, got 1 numbers"),
        (lambda: Logistic(1.0, (1.0, 0.0)), "margins must be from e^-50 to e^50, got 0.0"),
        (lambda: MeanDifference(5), "draws must be a whole number >= 100, got 5"),
        (lambda: Dropout(1.0), "rate must be a number from 0 to below 1, got 1.0"),
        (lambda: Noise(-1.0), "variance must not be negative, got -1"),
        (
            lambda: predict(MIXTURE, Ridge(1.0), Noise(np.ones(3))),
            "variance must be one number or have shape (2,), (2, 2) or (2, 2, 2), got (3,)",
        ),
        (lambda: predict(MIXTURE, Affine(np.ones(3))), "w must have shape (2, 2) or (2,) for these classes, got (3,)"),
        (
            lambda: Affine(np.ones((3, 2)), np.ones(2)),
            "b must be one number, or one for each row of w, got shape (2,) for (3, 2)",
        ),
        (
            lambda: predict(MIXTURE, "ridge"),
            "the learner must be one of implicitloss.spectral, e.g. Ridge(1.0), got 'ridge'",
        ),
        (
            lambda: predict(MIXTURE, Affine(np.ones(2)), Noise(1.0)),
            "augment must be None for Affine, which noise does not train otherwise",
        ),
        (
            lambda: predict(MIXTURE, Ridge(1.0), 0.5),
            "augment must be a Noise, a Dropout or None, e.g. spectral.Noise(0.1), got 0.5",
        ),
        (
            lambda: predict([1], Ridge(1.0)),
            "mixture must be a GaussianMixture, e.g. spectral.GaussianMixture.from_features(X, y), got [1]",
        ),
        (
            lambda: GaussianMixture.power_law([0.0], d=3, distance=1.0, counts=5),
            "exponents must be two or more numbers from 0 to 1000, got [0.0]",
        ),
        (
            lambda: GaussianMixture.power_law([0.0] * 5, d=3, distance=1.0, counts=5),
            "d, the dimension, must be a whole number >= 4, got 3",
        ),
    ],
)
def test_one_sentence(make: Callable[[], object], sentence: str) -> None:
    with pytest.raises(ValueError) as error:
        make()
    assert str(error.value) == sentence


@pytest.mark.parametrize(("exponent", "is_flat"), [(0.5, True), (0.0, False)])
def test_shrinkage_that_flattens_is_said(exponent: float, is_flat: bool, rng: np.random.Generator) -> None:
    """100 samples in 100 dimensions: errors are too high where the note is, and within a tenth where it is not."""
    true = GaussianMixture.power_law([exponent, exponent], d=100, distance=3.0, counts=100)
    y, found = np.repeat(["a", "b"], 100), []
    for _ in range(8):
        X = np.repeat(true.means, 100, axis=0) + rng.standard_normal((200, 100)) * np.sqrt(true.covariances[0])
        mixture = GaussianMixture.from_features(X, y)
        found.append(predict(mixture, Ridge(10.0)))
        assert bool(found[-1].notes) is is_flat
    ratio = float(np.mean([p.error for p in found]) / predict(true, Ridge(10.0)).error.mean())
    assert (ratio > 1.1) is is_flat
    assert 0.9 < ratio < 1.4
    assert predict(true, Ridge(10.0)).notes == ()
    assert predict(mixture, MeanDifference(100)).notes == ()
    if is_flat:
        sigma = oas_by_hand(X[:100])
        rank = np.trace(sigma) ** 2 / np.trace(sigma @ sigma)
        assert mixture.rank_inflation[0] == pytest.approx(rank / mixture.effective_rank[0], rel=1e-9)
        sentence = (
            f"Shrunk covariances of 2 of 2 classes have effective ranks up to {mixture.rank_inflation.max():.2g} times "
            "those estimated without shrinkage: predicted errors may be too high."
        )
        assert found[-1].notes == diagnose(X, y).notes == (sentence,)
        assert sentence in " ".join(str(diagnose(X, y)).split())
