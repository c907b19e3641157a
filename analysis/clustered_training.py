"""Training a softmax over 100,000 labels with draws from clusters at one per cent of the cost, beside full softmax.

Labels and inputs are made up as in the study `frontier`; labels are drawn from a softmax that the model can have.  A
model starts near zero, and its clusters are made from its own vectors.  "uniform" has as many multiply-adds as "kept +
two-level".  What is compared is how often clusters are made anew, and how often their vectors are refreshed in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.special import logsumexp

from analysis.inputs.markdown import mean_and_error
from analysis.study import Point, Row
from implicitloss.index.clusters import Clusters
from implicitloss.labels import Floats, LabelPrior, Labels

OWN_LABELS = True
Singles = NDArray[np.float32]


@dataclass(frozen=True)
class Size:
    """How many labels, dimensions, topics, clusters, steps, inputs a step, and inputs that are held out."""

    labels: int
    dimension: int
    topics: int
    clusters: int
    steps: int
    batch: int
    test: int


SIZES = {False: Size(100_000, 32, 100, 256, 500, 128, 2000), True: Size(2_000, 8, 20, 16, 20, 32, 200)}
SEEDS = {False: 3, True: 1}
# The share of the multiply-adds of all scores that negatives may take; in a quick run, of few labels, more.
COST = {False: 0.01, True: 0.1}
# A step; the noise s of inputs; the clusters that are kept; the defence.
STEP, NOISE, KEPT, DEFENCE = 0.3, 2.0, 1, 0.1
# Steps between new clusters, 0 for never again, and between refreshes.
WAYS: dict[str, tuple[int, int] | None] = {
    "full softmax": None, "uniform": None, "kept + two-level, 100 | 25": (100, 25),
    "kept + two-level, never | 25": (0, 25), "kept + two-level, never | 250": (0, 250),
}  # fmt: skip


def points(prior: LabelPrior, quick: bool) -> list[Point]:
    """Each way and seed."""
    return [{"way": way, "seed": seed, "quick": quick} for way in WAYS for seed in range(SEEDS[quick])]


@dataclass(frozen=True, eq=False)
class Truth:
    """Labels are drawn by frequency, and inputs are the vector of the label and noise: x = w_y + s ε/√d.

    A label then has log P(y given x) = log π_y + (x·w_y - |w_y|²/2) d/s² + const: a softmax of the model's form.
    """

    vectors: Singles
    prior: LabelPrior

    @property
    def biases(self) -> Singles:
        """log π_y - |w_y|² d/(2 s²), (L,)."""
        squares = np.einsum("ij,ij->i", self.vectors, self.vectors)
        return np.asarray(self.prior.log - squares * self.vectors.shape[1] / (2 * NOISE**2), dtype=np.float32)

    def drawn(self, n: int, rng: np.random.Generator) -> tuple[Singles, Labels]:
        """Labels (n,) and inputs (n, d)."""
        y = np.minimum(np.searchsorted(np.cumsum(self.prior.probabilities), rng.random(n)), self.prior.n_labels - 1)
        noise = rng.standard_normal((n, self.vectors.shape[1]), dtype=np.float32)
        return self.vectors[y] + NOISE * noise / np.sqrt(np.float32(self.vectors.shape[1])), y


@lru_cache(maxsize=1)
def truth(quick: bool) -> Truth:
    """Labels about topics, with the frequencies of Zipf's law."""
    size, rng = SIZES[quick], np.random.default_rng(100)
    topics = rng.standard_normal((size.topics, size.dimension))
    w = topics[rng.integers(size.topics, size=size.labels)] + 0.7 * rng.standard_normal((size.labels, size.dimension))
    return Truth((w / np.sqrt(size.dimension)).astype(np.float32), LabelPrior.zipf(size.labels, 1.0))


class Model:
    """Vectors and biases, which are moved by Adagrad's steps."""

    def __init__(self, size: Size, rng: np.random.Generator) -> None:
        self.w = 0.01 * rng.standard_normal((size.labels, size.dimension), dtype=np.float32)
        self.b = np.zeros(size.labels, dtype=np.float32)
        self.squares = [np.full_like(self.w, 1e-6), np.full_like(self.b, 1e-6)]

    def step(self, gradients: tuple[Singles, Singles]) -> None:
        """Move against the gradients of w and b."""
        for of, squares, g in zip((self.w, self.b), self.squares, gradients, strict=True):
            squares += g**2
            of -= STEP * g / np.sqrt(squares)

    def quality(self, x: Singles, y: Labels) -> tuple[float, float]:
        """The mean of the full loss, and the share of inputs whose best label is theirs."""
        loss, best = 0.0, 0
        for part in np.array_split(np.arange(y.size), max(1, y.size // 256)):
            scores = x[part] @ self.w.T + self.b
            loss += float(np.sum(logsumexp(scores, axis=1) - scores[np.arange(part.size), y[part]]))
            best += int(np.sum(scores.argmax(axis=1) == y[part]))
        return loss / y.size, best / y.size


def full_gradients(model: Model, x: Singles, y: Labels) -> tuple[Singles, Singles]:
    """Those of the mean full loss."""
    scores = x @ model.w.T + model.b
    p = np.exp(scores - logsumexp(scores, axis=1)[:, None])
    p[np.arange(y.size), y] -= 1.0
    return p.T @ x / y.size, p.sum(axis=0) / y.size


def sampled_gradients(
    model: Model, x: Singles, y: Labels, labels: list[Labels], log_w: list[Floats]
) -> tuple[Singles, Singles]:
    """Those of the mean sampled loss, with negatives and their log-weights for each input; hits are masked."""
    rows = np.repeat(np.arange(y.size), [one.size for one in labels])
    columns, logs = np.concatenate(labels), np.concatenate(log_w)
    own = np.einsum("ij,ij->i", x, model.w[y]) + model.b[y]
    terms = np.einsum("ij,ij->i", x[rows], model.w[columns]) + model.b[columns] + logs - own[rows]
    terms[columns == y[rows]] = -np.inf
    most = np.maximum(np.maximum.reduceat(terms, np.searchsorted(rows, np.arange(y.size))), 0.0)
    e = np.exp(terms - most[rows])
    total = np.bincount(rows, e) + np.exp(-most)
    shares = e / total[rows]
    pulled = np.bincount(rows, shares)
    coefficients = csr_matrix(
        (np.append(shares, -pulled).astype(np.float32), (np.append(rows, np.arange(y.size)), np.append(columns, y))),
        shape=(y.size, model.b.size),
    )
    return np.asarray(coefficients.T @ x) / y.size, np.asarray(coefficients.sum(axis=0)).ravel() / y.size


def uniform(size: Size, m: int, n: int, rng: np.random.Generator) -> tuple[list[Labels], list[Floats]]:
    """m uniform draws for each of n inputs, with importance weights."""
    return list(rng.integers(size.labels, size=(n, m))), [np.full(m, np.log(size.labels / m))] * n


def from_clusters(
    index: Clusters, x: Singles, rows: int, rng: np.random.Generator
) -> tuple[list[Labels], list[Floats]]:  # fmt: skip
    """The best clusters of each input, and draws from the others with importance weights, `rows` labels in all."""
    labels, log_w = [], []
    for h in x:
        log_law = index.log_cluster_law(h, DEFENCE)
        best = np.argsort(np.log(index.sizes) - log_law)[:KEPT]
        known = np.concatenate([index.order[index.starts[c] : index.starts[c + 1]] for c in best])
        law = np.exp(log_law)
        law[best] = 0.0
        law /= law.sum()
        m = max(rows - known.size, 1)
        clusters = rng.choice(law.size, size=m, p=law)
        drawn = index.draw_inside(clusters, rng)
        labels.append(np.append(known, drawn))
        log_w.append(np.append(np.zeros(known.size), -np.log(m * law[clusters]) - index.log_inside[drawn]))
    return labels, log_w


def rows(prior: LabelPrior, point: Point) -> list[Row]:
    """One row: the loss and the precision of a model that is trained in one way."""
    size, way = SIZES[point["quick"]], point["way"]
    of, rng = truth(point["quick"]), np.random.default_rng([7, point["seed"]])
    model, index, ages = Model(size, rng), None, WAYS[way]
    n_rows = int(COST[point["quick"]] * size.labels)
    drawn = 0
    for step in range(size.steps):
        x, y = of.drawn(size.batch, rng)
        if way == "full softmax":
            model.step(full_gradients(model, x, y))
            continue
        if ages is None:
            negatives = uniform(size, n_rows, size.batch, rng)
        else:
            index = _aged(index, model, x, size, step, *ages)
            negatives = from_clusters(index, x, n_rows - size.clusters, rng)
        drawn += sum(one.size for one in negatives[0])
        model.step(sampled_gradients(model, x, y, *negatives))
    x, y = of.drawn(size.test, np.random.default_rng(8))
    loss, precision = model.quality(x, y)
    best = Model(size, rng)
    best.w, best.b = of.vectors * np.float32(size.dimension / NOISE**2), of.biases
    least, most = best.quality(x, y)
    law = size.clusters if ages is not None else 0
    scored = size.labels if way == "full softmax" else drawn / (size.steps * size.batch) + law
    return [
        {
            "way": way, "seed": point["seed"], "labels": size.labels, "steps": size.steps,
            "share": scored / size.labels, "loss": loss, "excess": loss - least, "precision": precision, "best": most,
        }
    ]  # fmt: skip


def _aged(
    index: Clusters | None, model: Model, x: Singles, size: Size, step: int, fit_every: int, refresh_every: int
) -> Clusters:  # fmt: skip
    """The clusters as they are at a step: made, refreshed or left.  The first are made after a few steps."""
    if index is None or (fit_every and step % fit_every == 0) or step == refresh_every:
        return Clusters.fit(model.w, model.b, x, k=size.clusters, rng=0)
    return index.refresh(model.w, model.b) if step % refresh_every == 0 else index


def summary(rows: Sequence[Row]) -> str:
    """Mean and standard error over the seeds."""
    said = []
    for way in dict.fromkeys(row["way"] for row in rows):
        here = [row for row in rows if row["way"] == way]
        excess = mean_and_error([row["excess"] for row in here], percent=False)
        precision = mean_and_error([row["precision"] for row in here])
        said.append(f"{way}: {here[0]['share']:.2%} of all scores, excess loss {excess}, precision {precision} %")
    return "\n".join(said)
