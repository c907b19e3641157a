"""The synthetic study of logit adjustment (Menon et al. 2021): two Gaussians, one label in twenty, affine scorers.

x ~ N(±(1, 1), I), P(+1) = 5 %.  An affine rule errs with probabilities that Φ gives, so the balanced error of the best
affine scorer of each loss is known, and so is that of each trained one; the least possible is Φ(-√2).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import root
from scipy.special import ndtr
from scipy.stats import binom

from analysis.inputs.markdown import mean_and_error, table
from analysis.inputs.schemes import COLUMNS, FULL, full_losses, sampled_losses, scheme
from analysis.study import Point, Row
from analysis.training.network import Network, train
from implicitloss.labels import Floats, LabelPrior
from implicitloss.losses import SoftmaxCrossEntropy
from implicitloss.minibatch import Minibatch
from implicitloss.problem import Problem
from implicitloss.samplers import Uniform
from implicitloss.scheme import Scheme
from implicitloss.weightings import ForMargin

MEAN = np.array([1.0, 1.0])
RARE = 0.05
M = 4
N, TRIALS, FEW_TRIALS = 10_000, 100, 2
NODES = 48
EPOCHS, FEW_EPOCHS, SIZE, STEP = 8, 2, 100, 0.05


OWN_LABELS = True  # no prior is asked for


def points(prior: LabelPrior, quick: bool) -> list[Point]:
    """Each full loss and each scheme of Table 2, hits masked and kept; its trials together."""
    losses = [loss | {"hits": "none"} for loss in full_losses(FULL)]
    losses += [loss | {"hits": hits} for loss in sampled_losses() for hits in ("mask", "keep")]
    trials, epochs = (FEW_TRIALS, FEW_EPOCHS) if quick else (TRIALS, EPOCHS)
    return [{**loss, "trials": trials, "epochs": epochs} for loss in losses]


def _scheme(point: Point) -> Scheme:
    if point["hits"] == "none":
        # Of two labels, one is the negative: drawn for certain, it has the margin itself.
        return Scheme(Uniform(), ForMargin(FULL[point["name"]]), m=1, hits="exclude")
    return scheme(point["sampler"], point["weighting"], M, point["hits"])


def errors(w: Floats, b: float) -> tuple[float, float]:
    """P(wrong) of label 0 (mean +) and of label 1 (mean -) for the rule w·x + b > 0, exactly."""
    size = float(np.linalg.norm(w))
    at = float(w @ MEAN)
    if size == 0:
        return (0.0, 1.0) if b > 0 else (1.0, 0.0)
    return float(ndtr(-(at + b) / size)), float(ndtr(-(at - b) / size))


def expected_slope(chosen: Scheme, prior: LabelPrior, y: int, s: Floats) -> Floats:
    """∂/∂s of the expected sampled softmax of two labels with s = f_0 - f_1, each number of drawn negatives listed."""
    plan, m, other = chosen.plan(Problem(np.zeros(2), prior, y)), chosen.m, 1 - y
    negatives = np.arange(m + 1)
    chance = binom.pmf(negatives, m, np.exp(plan.log_q[other]))
    # Of weights w, hits pay w_y each, and negatives w e^d.
    d = s if y else -s
    paid = np.exp(plan.log_w[other] + d[:, None]) * negatives
    share = paid / (1 + np.exp(plan.log_w[y]) * (m - negatives) + paid)
    return np.asarray((share @ chance) * (1 if y else -1))


def best_affine(chosen: Scheme, prior: LabelPrior) -> tuple[float, float]:
    """(a, b) of s = f_0 - f_1 = a (x_1 + x_2)/√2 + b with the least expected loss.

    By symmetry no other direction helps.
    Gauss-Hermite in (x_1 + x_2)/√2 ~ N(±√2, 1), the exact expected loss at each node.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    weights = weights / weights.sum()
    shares = prior.probabilities[:, None] * weights

    def slope(theta: Floats) -> Floats:
        found = np.zeros(2)
        for y, at in enumerate((nodes + np.sqrt(2), nodes - np.sqrt(2))):
            pulls = shares[y] * expected_slope(chosen, prior, y, theta[0] * at + theta[1])
            found += pulls @ at, pulls.sum()
        return found

    # The loss is convex in (a, b): its least is where the slope is 0.
    found = root(slope, np.array([2.5, -2.0]), tol=1e-10)
    assert found.success, found.message
    return float(found.x[0]), float(found.x[1])


def rows(prior: LabelPrior, point: Point) -> list[Row]:
    """The optimum (trial -1), then a row for each trial."""
    prior = LabelPrior.from_probabilities([RARE, 1 - RARE])
    chosen = _scheme(point)
    objective = FULL[point["name"]] if point["hits"] == "none" else chosen
    a, b = best_affine(chosen, prior)
    found = [_row(point, -1, a * np.ones(2) / np.sqrt(2), b)]
    for trial in range(point["trials"]):
        rng = np.random.default_rng([trial])
        y = (rng.random(N) >= RARE).astype(np.intp)
        x = (np.where(y[:, None] == 0, MEAN, -MEAN) + rng.standard_normal((N, 2))).astype(np.float32)
        network = Network(2, 2, rng)
        batch = Minibatch(objective, SoftmaxCrossEntropy(), prior)
        train(network, x, (np.arange(N), y), batch, rng, epochs=point["epochs"], size=SIZE, step=STEP)
        v, bias = (part.astype(np.float64) for part in network.weights)
        found.append(_row(point, trial, v[0] - v[1], float(bias[0] - bias[1])))
    return found


def _row(point: Point, trial: int, w: Floats, b: float) -> Row:
    rare, frequent = errors(w, b)
    return {
        **{name: point[name] for name in (*COLUMNS, "hits")},
        "trial": trial,
        "rare": rare,
        "frequent": frequent,
        "balanced": (rare + frequent) / 2,
        "plain": RARE * rare + (1 - RARE) * frequent,
        "least": float(ndtr(-np.sqrt(2))),
    }


def summary(rows: Sequence[Row]) -> str:
    """Errors in per cent: the best affine rule's, and the trained ones' mean and standard error."""
    lines = []
    for name, hits in dict.fromkeys((row["name"], row["hits"]) for row in rows):
        chosen = [row for row in rows if (row["name"], row["hits"]) == (name, hits)]
        best, trained = chosen[0], [row["balanced"] for row in chosen[1:]]
        shown = [f"{100 * best[of]:.2f}" for of in ("rare", "frequent", "balanced")]
        lines.append([name if hits == "none" else f"{name}, hits: {hits}", *shown, mean_and_error(trained)])
    return table(["error, %", "rare", "frequent", "balanced", "balanced, trained"], lines)
