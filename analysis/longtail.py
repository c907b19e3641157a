"""The paper's Figure 1 on a problem whose η is known: head, torso, tail and balanced error by (q, w).

Counts are CIFAR-100-LT's, by the EXP and STEP profiles; features are Gaussian classes (`analysis.inputs.mixture`), the
scorer is linear, m = 32.  Beside what training gives stands what the population optimum gives at the same x.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from analysis.inputs import features
from analysis.inputs.markdown import mean_and_error, table
from analysis.inputs.mixture import GaussianMixture, error_by_slice
from analysis.inputs.schemes import COLUMNS, full_losses, sampled_losses, scheme
from analysis.study import Point, Row
from analysis.training.network import Network, train
from implicitloss import margins
from implicitloss.labels import Floats, LabelPrior, Labels
from implicitloss.losses import Decoupled, Loss, SoftmaxCrossEntropy, cosine_contrastive
from implicitloss.minibatch import Minibatch
from implicitloss.optima.population import population_optimum
from implicitloss.scheme import Scheme

DATA = "train.npz test.npz with X (n, d), y (n,)"
M, DIMENSIONS, SEPARATION = 32, 48, 4.0
EPOCHS, SIZE, STEP = 40, 128, 0.01
SEEDS, FEW_SEEDS = 5, 1
TEST = 30  # x a label
PREDICTED, FEW_PREDICTED = 800, 10  # x with an optimum, evenly over labels
RULES = 50_000  # x for rules in closed form
FULL = ("cross-entropy", "logit-adjusted", "contrastive")


OWN_LABELS = True  # no prior is asked for


def points(prior: LabelPrior, quick: bool, data: Sequence[str] = ()) -> list[Point]:
    """Each loss with each seed, and what its optimum predicts."""
    if data and len(data) != 2:
        raise ValueError(f"longtail reads two files, train and test, got {len(data)}")
    if data:
        _given(tuple(data))  # what is wrong with a file is said before the work
    losses = [*full_losses(FULL), *sampled_losses()]
    profiles = ["given"] if data else ["EXP"] if quick else ["EXP", "STEP"]
    epochs = EPOCHS // 8 if quick else EPOCHS
    trained = [
        {"profile": p, **loss, "seed": s, "epochs": epochs, "data": list(data)}
        for p in profiles
        for loss in losses
        for s in range(FEW_SEEDS if quick else SEEDS)
    ]
    x = FEW_PREDICTED if quick else PREDICTED
    known = [loss for loss in losses if loss["name"] != "contrastive"]
    predicted = [{"profile": p, **loss, "seed": -1, "x": x} for p in profiles for loss in known]
    return trained if data else trained + predicted


@lru_cache(maxsize=1)
def _given(data: tuple[str, ...]) -> tuple[Any, Labels, Any, Labels]:
    """Train and test features, centred, with their labels."""
    (x, y), (test_x, test_y) = (features.read(path) for path in data)
    count = np.bincount(y)
    if not count.all():
        raise ValueError(
            f"{data[0]}: every label up to {count.size - 1} needs an example, but {count.argmin()} has none"
        )
    if test_y.max() >= count.size or test_x.shape[1] != x.shape[1]:
        raise ValueError(
            f"{data[1]} must have the {count.size} labels and {x.shape[1]} features of {data[0]}, got label "
            f"{test_y.max()} and {test_x.shape[1]} features"
        )
    return x - x.mean(axis=0), y, test_x - x.mean(axis=0), test_y


def _profile(name: str) -> LabelPrior:
    return LabelPrior.exp(100, 500, 100) if name == "EXP" else LabelPrior.step(100, 500, 100)


@lru_cache(maxsize=4)
def _mixture(name: str) -> GaussianMixture:
    """One mixture of class centres, shared by both profiles and all seeds."""
    return GaussianMixture.random(_profile(name), DIMENSIONS, SEPARATION, np.random.default_rng(0))


def _objective(point: Point) -> tuple[margins.Margin | Scheme, Loss]:
    if point["name"] == "contrastive":
        return margins.Softmax(), Decoupled(cosine_contrastive(0.0))
    if point["name"] in FULL:
        adjusted = point["name"] == "logit-adjusted"
        return margins.LogitAdjusted() if adjusted else margins.Softmax(), SoftmaxCrossEntropy()
    return scheme(point["sampler"], point["weighting"], M), SoftmaxCrossEntropy()


def rows(prior: LabelPrior, point: Point) -> list[Row]:
    """One row: error by slice, of all (as frequent as in training) and balanced."""
    if point["seed"] < 0:
        return [_row(point, *_predicted(point))]
    rng = np.random.default_rng([point["seed"]])
    if point.get("data"):
        x, y, test_x, test_y = _given(tuple(point["data"]))
        prior = LabelPrior.from_counts(np.bincount(y))
    else:
        prior, mixture = _profile(point["profile"]), _mixture(point["profile"])
        assert prior.counts is not None
        y = np.repeat(np.arange(prior.n_labels), prior.counts.astype(int))
        x = mixture.draw(y, rng).astype(np.float32)
        test_y = np.repeat(np.arange(prior.n_labels), TEST)
        test_x = mixture.draw(test_y, rng).astype(np.float32)
    objective, loss = _objective(point)
    network = Network(x.shape[1], prior.n_labels, rng, cosine=point["name"] == "contrastive")
    batch = Minibatch(objective, loss, prior)
    pairs = np.arange(len(y)), y
    train(network, x, pairs, batch, rng, epochs=point["epochs"], size=SIZE, step=STEP)
    wrong = (network.scores(test_x).argmax(axis=1) != test_y).astype(np.float64)
    return [_row(point, wrong, test_y, prior)]


def _predicted(point: Point) -> tuple[Floats, Labels, LabelPrior]:
    """P(wrong) of the rule argmax f*, f* the optimum of the true expected loss at x, labels and prior."""
    prior, mixture = _profile(point["profile"]), _mixture(point["profile"])
    objective, loss = _objective(point)
    size = point["x"] if isinstance(objective, Scheme) else RULES
    y = np.linspace(0, prior.n_labels - 1, size).round().astype(np.intp)
    x = mixture.draw(y, np.random.default_rng([7]))
    if not isinstance(objective, Scheme):
        log_eta = mixture.log_likelihood(x) + (0 if point["name"] == "logit-adjusted" else prior.log)
        return (log_eta.argmax(axis=1) != y).astype(np.float64), y, prior
    # Labels all but impossible at x change no maximum, and would make Newton's method wait for them.
    eta = np.maximum(mixture.eta(x), 1e-7)
    eta /= eta.sum(axis=1, keepdims=True)
    best = [int(population_optimum(objective, loss, one, prior, "sampled").argmax()) for one in eta]
    return (np.array(best) != y).astype(np.float64), y, prior


def _row(point: Point, wrong: Floats, y: Labels, prior: LabelPrior) -> Row:
    by_slice = error_by_slice(wrong, y, prior.slices())
    full = dict.fromkeys(("head", "torso", "tail"), float("nan")) | by_slice
    shown = {name: point[name] for name in ("profile", *COLUMNS, "seed")}
    return shown | {"kind": "predicted" if point["seed"] < 0 else "trained"} | full


def summary(rows: Sequence[Row]) -> str:
    """Errors in per cent, mean and standard error over seeds; in brackets what the optimum predicts."""
    lines = []
    for profile, name in dict.fromkeys((row["profile"], row["name"]) for row in rows):
        line = [f"{profile}: {name}"]
        for of in ("head", "torso", "tail", "balanced"):
            chosen = [row for row in rows if (row["profile"], row["name"]) == (profile, name)]
            by_kind = {kind: [row[of] for row in chosen if row["kind"] == kind] for kind in ("trained", "predicted")}
            if np.isnan(by_kind["trained"]).any():
                line.append("")
                continue
            told = f" ({100 * by_kind['predicted'][0]:.0f})" if by_kind["predicted"] else ""
            line.append(mean_and_error(by_kind["trained"]) + told)
        lines.append(line)
    return table(["error, %", "head", "torso", "tail", "balanced"], lines)
