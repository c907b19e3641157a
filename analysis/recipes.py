"""Training with sampled losses: are the scores those that the scheme's optimum predicts?

Three hundred Gaussian classes with Zipf's frequencies and a linear scorer, which can have any log η + b log π, but not
every optimum of other weights.  Tilts are slopes of f - log η on log π, labels weighted by η, over many x.  "predicted"
is that of the population optimum at some of these x, which no scorer limits, and "measured" what `il.measured_tilt`
says of held-out examples, each with 16 uniform draws.

With two files (`--data`), points with several labels and a scorer with one hidden layer.  η is then that of a model
trained with full softmax; a point's label is right if it is among as many best ones as the point has labels; and losses
are above those of a model that has these labels equally likely.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import log_softmax, softmax, xlogy

from analysis.inputs.extreme import Multilabel
from analysis.inputs.markdown import mean_and_error
from analysis.inputs.mixture import GaussianMixture
from analysis.retrieval import read_both
from analysis.study import Point, Row
from analysis.training.drawn_once import DrawnOnce
from analysis.training.network import Network, train
from implicitloss.labels import Floats, LabelPrior, Labels
from implicitloss.losses import SoftmaxCrossEntropy
from implicitloss.margins import LogitAdjusted, Margin, Softmax
from implicitloss.minibatch import Minibatch
from implicitloss.optima.measured_tilt import measured_tilt
from implicitloss.optima.population import population_optimum
from implicitloss.samplers import Mixture, WithinBatch
from implicitloss.scheme import Scheme
from implicitloss.weightings import Consistent, Importance, Tail

OWN_LABELS, DATA = True, "train.txt test.txt in the extreme-classification repository's format"
N_LABELS, DIMENSIONS, SEPARATION = 300, 24, 4.0
N, TEST, EPOCHS, SIZE, STEP = 300_000, 20_000, 3, 256, 0.03
FEW, FEW_TEST, SLOTS = 3_000, 2_000, 16
MADE_UP = "mixture"
# The scorer and the training of files, quickly a quarter of both; after more epochs scores are too sure of themselves.
HIDDEN, FILE_EPOCHS, FILE_SIZE, FILE_STEP = 256, 8, 64, 0.002
DRAWS, SEEDS = (8, 64), 5
# x whose optimum is computed, by so much fewer where no label comes twice, which takes seconds; x of held-out batches.
PREDICTED, FEWER_DRAWN_ONCE, HELD_OUT = 60, 6, 4_000
# Labels less likely than this at an x are taken for as likely: no weighted slope sees them.
LEAST = 1e-9
MEASURED = ("tilt", "measured", "accuracy", "excess_nll", "balanced_accuracy")
SOFTMAX = SoftmaxCrossEntropy()


def objective(name: str, m: int) -> Margin | Scheme:
    """What each loss minimises."""
    if name == "full softmax":
        return Softmax()
    half, batch = Mixture(0.5), WithinBatch()
    return {
        "consistent, within-batch": Scheme(batch, Consistent(), m=m, hits="keep"),
        "consistent, half uniform": Scheme(half, Consistent(), m=m, hits="keep"),
        "importance, within-batch": Scheme(batch, Importance(), m=m, hits="mask"),
        "importance, half uniform": Scheme(half, Importance(), m=m, hits="mask"),
        "importance, set of within-batch": Scheme(batch, Importance(), m=m, hits="mask", draws="set"),
        "importance, coins of within-batch": Scheme(batch, Importance(), m=m, hits="mask", draws="bernoulli"),
        "tail, half uniform": Scheme(half, Tail(), m=m, hits="mask"),
        "balanced, within-batch": Scheme(batch, Consistent(LogitAdjusted()), m=m, hits="keep"),
    }[name]


NAMES = (
    "full softmax", "consistent, within-batch", "consistent, half uniform", "importance, within-batch",
    "importance, half uniform", "importance, set of within-batch", "importance, coins of within-batch",
    "tail, half uniform", "balanced, within-batch",
)  # fmt: skip
# What is taken off the scores before they are compared with log η.
BALANCED = {"tail, half uniform", "balanced, within-batch"}


def points(prior: LabelPrior, quick: bool, data: Sequence[str] = ()) -> list[Point]:
    """Each loss, m and seed; full softmax has no m."""
    if data and len(data) != 2:
        raise ValueError(f"recipes reads two files, train and test, got {len(data)}")
    if data:
        _of_files(*data)  # what is wrong with a file is said before hours of work
    n, test, seeds, draws = (FEW, FEW_TEST, 1, DRAWS[:1]) if quick else (N, TEST, SEEDS, DRAWS)
    x = PREDICTED // 10 if quick else PREDICTED
    return [
        {"name": name, "m": m, "seed": seed, "n": n, "test": test, "predicted": x, "quick": quick, "data": list(data)}
        for name in NAMES
        for m in ((0,) if name == "full softmax" else draws)
        for seed in range(seeds)
    ]


@dataclass(frozen=True, eq=False)
class Tests:
    """Features x (n, d) and `pairs` (row, label) to test; `own` (n, L): how likely the labels are."""

    x: Any
    pairs: tuple[Labels, Labels]
    own: Floats


@lru_cache(maxsize=1)
def _mixture() -> GaussianMixture:
    prior = LabelPrior.zipf(N_LABELS, 1.0)
    return GaussianMixture.random(prior, DIMENSIONS, SEPARATION, np.random.default_rng(0))


def _tested(test: int, rng: np.random.Generator) -> Tests:
    """Examples of the mixture."""
    mixture = _mixture()
    y = rng.choice(N_LABELS, test, p=mixture.prior.probabilities)
    x = mixture.draw(y, rng)
    return Tests(x.astype(np.float32), (np.arange(test), y), _likely(mixture.eta(x)))


def _trained(n: int, aim: Margin | Scheme, rng: np.random.Generator) -> Network:
    """A linear scorer of the mixture's labels, trained on so many examples."""
    mixture = _mixture()
    y = rng.choice(N_LABELS, n, p=mixture.prior.probabilities)
    x = mixture.draw(y, rng).astype(np.float32)
    network = Network(DIMENSIONS, N_LABELS, rng)
    batch = _losses(aim, mixture.prior)
    train(network, x, (np.arange(n), y), batch, rng, epochs=EPOCHS, size=SIZE, step=STEP)
    return network


def _likely(eta: Floats) -> Floats:
    eta = np.maximum(eta, LEAST)
    return eta / eta.sum(axis=1, keepdims=True)


def _losses(aim: Margin | Scheme, prior: LabelPrior) -> Minibatch | DrawnOnce:
    """What gives the losses of a batch, and their gradient."""
    if isinstance(aim, Scheme) and aim.draws != "iid":
        return DrawnOnce(aim, prior)
    return Minibatch(aim, SOFTMAX, prior)


@lru_cache(maxsize=1)
def _of_files(train_file: str, test_file: str) -> tuple[Multilabel, Tests]:
    """Points of two files; pairs to test are in no order."""
    train_set, test_set = read_both((train_file, test_file))
    if not train_set.counts.min() > 0:
        raise ValueError(
            f"each label must be in the training file at least once, but label {int(train_set.counts.argmin())} is not "
            f"in {train_file}"
        )
    rows, labels = test_set.pairs
    order = np.random.default_rng(0).permutation(rows.size)
    own = test_set.y.toarray()
    own = own / np.maximum(own.sum(axis=1, keepdims=True), 1.0)
    return train_set, Tests(test_set.x, (rows[order], labels[order]), own)


def _scores_on_files(data: Sequence[str], aim: Margin | Scheme, rng: np.random.Generator, quick: bool) -> Floats:
    """The scores of the points to test, of a network that minimises a loss on the others."""
    (train_set, tests), less = _of_files(*data), 4 if quick else 1
    network = Network(train_set.x.shape[1], train_set.prior.n_labels, rng, hidden=HIDDEN // less)
    batch = _losses(aim, train_set.prior)
    epochs = FILE_EPOCHS // less
    train(network, train_set.x, train_set.pairs, batch, rng, epochs=epochs, size=FILE_SIZE, step=FILE_STEP)
    return network.scores(tests.x).astype(np.float64)


@lru_cache(maxsize=1)
def _eta_of_files(train_file: str, test_file: str, quick: bool) -> Floats:
    """η of the points to test, by a model of its own trained with full softmax."""
    rng = np.random.default_rng([SEEDS])
    return _likely(softmax(_scores_on_files((train_file, test_file), Softmax(), rng, quick), axis=1))


def _slope(scores: Floats, eta: Floats, log_pi: Floats) -> float:
    """The slope of scores - log η on log π within each x, labels weighted by η, one slope for all x."""
    off, x = scores - np.log(eta), np.broadcast_to(log_pi, scores.shape)
    x = x - np.sum(eta * x, axis=1, keepdims=True)
    return float(np.sum(eta * x * off) / np.sum(eta * x**2))


@lru_cache(maxsize=32)
def _predicted(name: str, m: int, size: int, data: tuple[str, ...], quick: bool) -> float:
    """The tilt of the population optimum at `size` x."""
    aim = objective(name, m)
    if not isinstance(aim, Scheme):
        return 0.0
    if data:
        prior, eta = _of_files(*data)[0].prior, _eta_of_files(*data, quick)[:size]
    else:
        mixture, rng = _mixture(), np.random.default_rng([7])
        prior = mixture.prior
        eta = _likely(mixture.eta(mixture.draw(rng.choice(N_LABELS, size, p=prior.probabilities), rng)))
    if aim.draws != "iid":
        eta = eta[: max(1, size // FEWER_DRAWN_ONCE)]
    best = np.array([population_optimum(aim, SOFTMAX, one, prior, of="sampled") for one in eta])
    return _slope(best, eta, prior.log)


def rows(prior: LabelPrior, point: Point) -> list[Row]:
    """One row: tilts, accuracy, excess negative log-likelihood and balanced accuracy."""
    name, data, rng = point["name"], tuple(point["data"]), np.random.default_rng([point["seed"]])
    aim = objective(name, point["m"])
    if data:
        train_set, tests = _of_files(*data)
        log_pi, eta = train_set.prior.log, _eta_of_files(*data, point["quick"])
        f = _scores_on_files(data, aim, rng, point["quick"])
    else:
        network = _trained(point["n"], aim, rng)
        tests, log_pi = _tested(point["test"], rng), _mixture().prior.log
        f, eta = network.scores(tests.x).astype(np.float64), tests.own
    at, y = tests.pairs
    # Scores of log η, whatever the target: balanced ones lack log π.
    log_p = log_softmax(f + log_pi if name in BALANCED else f, axis=1)
    own = tests.own[np.unique(at)]
    return [
        {
            "source": Path(data[0]).stem if data else MADE_UP,
            **{key: point[key] for key in ("name", "m", "seed")},
            "tilt": _slope(f, eta, log_pi),
            "predicted": _predicted(name, point["m"], point["predicted"], data, point["quick"]),
            "measured": _measured(f[at[:HELD_OUT]], y[:HELD_OUT], log_pi, rng),
            "accuracy": float(np.mean(_is_right(log_p, tests.pairs))),
            "excess_nll": float(np.mean(np.sum(xlogy(own, own) - own * log_p[np.unique(at)], axis=1))),
            "balanced_accuracy": _balanced(_is_right(log_p - log_pi, tests.pairs), y),
        }
    ]


def _is_right(scores: Floats, pairs: tuple[Labels, Labels]) -> Any:
    """Whether the label of each pair is among as many best ones as its point has labels."""
    row, label = pairs
    n = np.bincount(row, minlength=len(scores))
    best = -np.sort(-scores, axis=1)
    return scores[row, label] >= best[row, n[row] - 1]


def _balanced(is_right: Any, y: Labels) -> float:
    """The mean over labels of how often they are right."""
    occurs = np.bincount(y)
    each = np.bincount(y, weights=is_right)
    return float(np.mean(each[occurs > 0] / occurs[occurs > 0]))


def _measured(f: Floats, y: Labels, log_pi: Floats, rng: np.random.Generator) -> float:
    """The tilt off softmax that the slots of examples show."""
    labels = np.column_stack([y, rng.integers(log_pi.size, size=(len(f), SLOTS))])
    return float(measured_tilt(np.take_along_axis(f, labels, axis=1), log_pi[labels]))


def summary(rows: Sequence[Row]) -> str:
    """Means and standard errors over seeds."""
    lines = []
    for name, m in dict.fromkeys((row["name"], row["m"]) for row in rows):
        own = [row for row in rows if (row["name"], row["m"]) == (name, m)]
        parts = [f"{of} {mean_and_error([row[of] for row in own], percent=False)}" for of in MEASURED]
        lines.append(f"{name}, m = {m}: predicted {own[0]['predicted']:+.3f}; {'; '.join(parts)}")
    return "\n".join(lines)
