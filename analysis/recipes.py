"""Training with sampled losses where η is known: are the scores those that the scheme's optimum predicts?

Three hundred Gaussian classes with Zipf's frequencies and a linear scorer, which can have any log η + b log π, but not
every optimum of other weights.  Tilts are slopes of f - log η on log π, labels weighted by η, over many x.  "predicted"
is that of the population optimum at some of these x, which no scorer limits, and "measured" what `il.measured_tilt`
says of held-out examples, each with 16 uniform draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from scipy.special import logsumexp

from analysis.inputs.markdown import mean_and_error
from analysis.inputs.mixture import GaussianMixture
from analysis.study import Point, Row
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

OWN_LABELS = True  # no prior is asked for
N_LABELS, DIMENSIONS, SEPARATION = 300, 24, 4.0
N, TEST, EPOCHS, SIZE, STEP = 300_000, 20_000, 3, 256, 0.03
FEW, FEW_TEST, SLOTS = 3_000, 2_000, 16
DRAWS, SEEDS = (8, 64), 5
# x whose optimum is computed, and x of held-out batches.
PREDICTED, HELD_OUT = 60, 4_000
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
        "tail, half uniform": Scheme(half, Tail(), m=m, hits="mask"),
        "balanced, within-batch": Scheme(batch, Consistent(LogitAdjusted()), m=m, hits="keep"),
    }[name]


NAMES = (
    "full softmax", "consistent, within-batch", "consistent, half uniform", "importance, within-batch",
    "importance, half uniform", "tail, half uniform", "balanced, within-batch",
)  # fmt: skip
# What is taken off the scores before they are compared with log η.
BALANCED = {"tail, half uniform", "balanced, within-batch"}


def points(prior: LabelPrior, quick: bool) -> list[Point]:
    """Each loss, m and seed; full softmax has no m."""
    n, test, seeds, draws = (FEW, FEW_TEST, 1, DRAWS[:1]) if quick else (N, TEST, SEEDS, DRAWS)
    x = PREDICTED // 10 if quick else PREDICTED
    return [
        {"name": name, "m": m, "seed": seed, "n": n, "test": test, "predicted": x}
        for name in NAMES
        for m in ((0,) if name == "full softmax" else draws)
        for seed in range(seeds)
    ]


@lru_cache(maxsize=1)
def _mixture() -> GaussianMixture:
    prior = LabelPrior.zipf(N_LABELS, 1.0)
    return GaussianMixture.random(prior, DIMENSIONS, SEPARATION, np.random.default_rng(0))


def _slope(scores: Floats, eta: Floats, log_pi: Floats) -> float:
    """The slope of scores - log η on log π within each x, labels weighted by η, one slope for all x."""
    off, x = scores - np.log(eta), np.broadcast_to(log_pi, scores.shape)
    x = x - np.sum(eta * x, axis=1, keepdims=True)
    return float(np.sum(eta * x * off) / np.sum(eta * x**2))


@lru_cache(maxsize=32)
def _predicted(name: str, m: int, size: int) -> float:
    """The tilt of the population optimum at `size` x."""
    mixture, aim = _mixture(), objective(name, m)
    if not isinstance(aim, Scheme):
        return 0.0
    rng = np.random.default_rng([7])
    eta = np.maximum(mixture.eta(mixture.draw(rng.choice(N_LABELS, size, p=mixture.prior.probabilities), rng)), LEAST)
    eta /= eta.sum(axis=1, keepdims=True)
    best = np.array([population_optimum(aim, SOFTMAX, one, mixture.prior, of="sampled") for one in eta])
    return _slope(best, eta, mixture.prior.log)


def rows(prior: LabelPrior, point: Point) -> list[Row]:
    """One row: tilts, accuracy, excess negative log-likelihood and balanced accuracy."""
    mixture, aim = _mixture(), objective(point["name"], point["m"])
    law, log_pi = mixture.prior.probabilities, mixture.prior.log
    rng = np.random.default_rng([point["seed"]])
    y = rng.choice(N_LABELS, point["n"], p=law)
    x = mixture.draw(y, rng).astype(np.float32)
    network = Network(DIMENSIONS, N_LABELS, rng)
    batch = Minibatch(aim, SOFTMAX, mixture.prior)
    train(network, x, (np.arange(y.size), y), batch, rng, epochs=EPOCHS, size=SIZE, step=STEP)
    test_y = rng.choice(N_LABELS, point["test"], p=law)
    test_x = mixture.draw(test_y, rng)
    eta = np.maximum(mixture.eta(test_x), LEAST)
    eta /= eta.sum(axis=1, keepdims=True)
    f = network.scores(test_x.astype(np.float32)).astype(np.float64)
    # Scores of log η, whatever the target: balanced ones lack log π.
    log_p = f + log_pi if point["name"] in BALANCED else f
    log_p = log_p - logsumexp(log_p, axis=1, keepdims=True)
    rare = np.bincount(test_y, minlength=N_LABELS)
    correct = (log_p - log_pi).argmax(axis=1) == test_y
    each = np.bincount(test_y, weights=correct, minlength=N_LABELS)[rare > 0] / rare[rare > 0]
    return [
        {
            **{key: point[key] for key in ("name", "m", "seed")},
            "tilt": _slope(f, eta, log_pi),
            "predicted": _predicted(point["name"], point["m"], point["predicted"]),
            "measured": _measured(f[:HELD_OUT], test_y[:HELD_OUT], rng),
            "accuracy": float(np.mean(log_p.argmax(axis=1) == test_y)),
            "excess_nll": float(np.mean(np.sum(eta * (np.log(eta) - log_p), axis=1))),
            "balanced_accuracy": float(each.mean()),
        }
    ]


def _measured(f: Floats, y: Labels, rng: np.random.Generator) -> float:
    """The tilt off softmax that the slots of examples show."""
    labels = np.column_stack([y, rng.integers(N_LABELS, size=(len(f), SLOTS))])
    return float(measured_tilt(np.take_along_axis(f, labels, axis=1), _mixture().prior.log[labels]))


def summary(rows: Sequence[Row]) -> str:
    """Means and standard errors over seeds."""
    lines = []
    for name, m in dict.fromkeys((row["name"], row["m"]) for row in rows):
        own = [row for row in rows if (row["name"], row["m"]) == (name, m)]
        parts = [f"{of} {mean_and_error([row[of] for row in own], percent=False)}" for of in MEASURED]
        lines.append(f"{name}, m = {m}: predicted {own[0]['predicted']:+.3f}; {'; '.join(parts)}")
    return "\n".join(lines)
