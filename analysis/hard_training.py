"""Training beside an index that is refreshed now and then, after Qaraei and Babbar: precision and loss by steps.

One hidden layer of linear activation, logistic loss, a hundred negatives for each point: k mined by an exact index of
the label vectors, asked by the queries, as both were at the last refresh, and m uniform draws.  Positives among the
mined are dropped, and draws of positives count nothing.  All weights are 1, or "unbiased": L/m for draws outside T, 0
for draws in T.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from scipy.special import expit

from analysis.inputs import extreme
from analysis.inputs.markdown import mean_and_error, table
from analysis.study import Point, Row
from analysis.training.network import Adam, Network, Weights, batches
from implicitloss import index
from implicitloss.labels import Floats, LabelPrior, Labels

DATA = "train.txt test.txt in the extreme-classification repository's format"
OWN_LABELS = True
# k + m, and whether the weights are unbiased.
MIXTURES = {
    "0 + 100": (0, 100, False),
    "5 + 95": (5, 95, False),
    "50 + 50": (50, 50, False),
    "100 + 0": (100, 0, False),
    "50 + 50 unbiased": (50, 50, True),
}
REFRESHES, SEEDS, STEPS, LOOKS = (1, 100, 500), 5, 1000, 20
QUICK_REFRESHES, QUICK_STEPS, QUICK_LOOKS = (1, 30), 60, 4
HIDDEN, SIZE, STEP = 64, 64, 0.005
KS = (1, 5)


def points(prior: LabelPrior, quick: bool, data: Sequence[str] = ()) -> list[Point]:
    """Each mixture, steps between refreshes, and seed."""
    if data and len(data) != 2:
        raise ValueError(f"hard_training reads two files, train and test, got {len(data)}")
    for path in data:
        extreme.read(path)
    steps, looks = (QUICK_STEPS, QUICK_LOOKS) if quick else (STEPS, LOOKS)
    return [
        {
            "mixture": name,
            "refresh": refresh,
            "seed": seed,
            "steps": steps,
            "looks": looks,
            "data": list(data),
        }
        for name in MIXTURES
        for refresh in (QUICK_REFRESHES if quick else REFRESHES)
        for seed in range(1 if quick else SEEDS)
    ]


@lru_cache(maxsize=1)
def _read(data: tuple[str, ...]) -> tuple[extreme.Multilabel, extreme.Multilabel]:
    if not data:
        return extreme.synthetic(np.random.default_rng(0), n=1500, n_labels=500)
    train_set, test_set = (extreme.read(path) for path in data)
    if train_set.x.shape[1] != test_set.x.shape[1] or train_set.y.shape[1] != test_set.y.shape[1]:
        raise ValueError(f"{data[0]} and {data[1]} must have the same features and labels")
    return train_set, test_set


class Stale:
    """An index of the label vectors, and the layer that makes queries, as they were when it was made."""

    def __init__(self, network: Network) -> None:
        vectors, layer, bias = network.weights
        self.layer = layer.copy()
        self.index = index.Exact(np.column_stack([vectors, bias]))

    def search(self, x: Any, k: int) -> Labels:
        """The k labels with the largest scores, (n, k)."""
        hidden = np.asarray(x @ self.layer.T)
        return self.index.search(np.column_stack([hidden, np.ones(len(hidden))]), k)


def counts(positives: Floats, mined: Labels, m: int, unbiased: bool, rng: np.random.Generator) -> Floats:
    """How often each label counts as a negative of each point, (n, L)."""
    n, n_labels = positives.shape
    found, rows = np.zeros((n, n_labels)), np.arange(n)[:, None]
    np.add.at(
        found, (np.broadcast_to(rows, (n, m)), rng.integers(n_labels, size=(n, m))), n_labels / m if unbiased else 1
    )
    if unbiased:
        found[rows, mined] = 0.0
    found[rows, mined] += 1.0
    found[positives > 0] = 0.0
    return found


def rows(prior: LabelPrior, point: Point) -> list[Row]:
    """A row for each look."""
    train_set, test_set = _read(tuple(point["data"]))
    k, m, unbiased = MIXTURES[point["mixture"]]
    rng = np.random.default_rng([16, point["seed"]])
    n, n_labels = train_set.y.shape
    network = Network(train_set.x.shape[1], n_labels, rng, hidden=HIDDEN)
    steps, t, found = point["steps"], 0, []
    adam = Adam(network.weights, STEP, 4 * steps)
    stale = Stale(network)
    while t < steps:
        for picked in batches(n, SIZE, rng):
            if t == steps:
                break
            if k and t % point["refresh"] == 0:
                stale = Stale(network)
            x, positives = train_set.x[picked], train_set.y[picked].toarray()
            mined = stale.search(x, k) if k else np.empty((picked.size, 0), dtype=np.intp)
            negative = counts(positives, mined, m, unbiased, rng)

            def slope(f: Weights, positives: Floats = positives, negative: Floats = negative) -> Floats:
                p = expit(f.astype(np.float64))
                return (negative * p - positives * (1 - p)) / len(f)

            adam(network.gradients(x, slope))
            t += 1
            if t % (steps // point["looks"]) == 0:
                found.append({**{key: point[key] for key in ("mixture", "refresh", "seed")}, "step": t}
                             | measured(network, test_set))  # fmt: skip
    return found


def measured(network: Network, test_set: extreme.Multilabel) -> Row:
    """Precision at 1 and 5, and the full logistic loss a point, of the test set."""
    truth, f = test_set.y.toarray() > 0, network.scores(test_set.x).astype(np.float64)
    order = np.argsort(-f, axis=1, kind="stable")[:, : max(KS)]
    hit = np.take_along_axis(truth, order, axis=1)
    loss = float(np.mean(np.sum(np.logaddexp(0.0, f) - truth * f, axis=1)))
    return {**{f"precision_{k}": float(hit[:, :k].mean()) for k in KS}, "loss": loss}


def summary(rows: Sequence[Row]) -> str:
    """Precision at 1 and 5 in per cent at the last look, mean and standard error over seeds."""
    last = max(row["step"] for row in rows)
    lines = []
    for mixture, refresh in dict.fromkeys((row["mixture"], row["refresh"]) for row in rows):
        ends = [r for r in rows if (r["mixture"], r["refresh"], r["step"]) == (mixture, refresh, last)]
        lines.append([mixture, str(refresh), *(mean_and_error([r[f"precision_{k}"] for r in ends]) for k in KS)])
    return table(["mixture", "refresh", *(f"P@{k} %" for k in KS)], lines)
