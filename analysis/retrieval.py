"""The paper's Figure 2: recall by slice of labels for within-batch and uniform negatives, on multilabel data.

A point with several labels becomes as many examples; the scorer has one hidden layer of 512 (quickly: 128) with linear
activation.
Softmax cross-entropy, and the cosine contrastive loss on cosines; m = 64 negatives an example, drawn i.i.d. from q (the
paper's within-batch negatives are a batch's labels), hits masked.  Without `--data` a small synthetic set stands in.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from analysis.inputs import extreme
from analysis.inputs.markdown import mean_and_error, table
from analysis.inputs.schemes import COLUMNS, full_losses, sampled_losses, scheme
from analysis.study import Point, Row
from analysis.training.network import Network, train
from implicitloss import margins
from implicitloss.labels import Floats, LabelPrior, Labels
from implicitloss.losses import Decoupled, Loss, SoftmaxCrossEntropy, cosine_contrastive
from implicitloss.minibatch import Minibatch

DATA = "train.txt test.txt in the extreme-classification repository's format"
M, HIDDEN = 64, 512
EPOCHS, SIZE, STEP = 20, 64, 0.002
SEEDS = 3
KS = (1, 10, 50)
LOSSES: dict[str, Loss] = {
    "softmax": SoftmaxCrossEntropy(),
    "contrastive": Decoupled(cosine_contrastive(0.0)),
}
ALL = "all labels"


OWN_LABELS = True  # no prior is asked for


def points(prior: LabelPrior, quick: bool, data: Sequence[str] = ()) -> list[Point]:
    """Each loss with all labels and with each scheme of Table 2, and each seed."""
    if data and len(data) != 2:
        raise ValueError(f"retrieval reads two files, train and test, got {len(data)}")
    for path in data:
        extreme.read(path)  # what is wrong with a file is said before hours of work
    objectives = [*full_losses([ALL]), *sampled_losses()]
    epochs, hidden, seeds = (EPOCHS // 4, HIDDEN // 4, 1) if quick else (EPOCHS, HIDDEN, SEEDS)
    return [
        {"loss": loss, **objective, "seed": seed, "epochs": epochs, "hidden": hidden, "data": list(data)}
        for loss in LOSSES
        for objective in objectives
        for seed in range(seeds)
    ]


@lru_cache(maxsize=1)
def read_both(data: tuple[str, ...]) -> tuple[extreme.Multilabel, extreme.Multilabel]:
    """Train and test sets of two files; without files, made up ones."""
    if not data:
        return extreme.synthetic(np.random.default_rng(0))
    train_set, test_set = (extreme.read(path) for path in data)
    if train_set.x.shape[1] != test_set.x.shape[1] or train_set.y.shape[1] != test_set.y.shape[1]:
        raise ValueError(f"{data[0]} and {data[1]} must have the same features and labels")
    return train_set, test_set


def rows(prior: LabelPrior, point: Point) -> list[Row]:
    """A row for each metric, k and slice."""
    train_set, test_set = read_both(tuple(point["data"]))
    rng = np.random.default_rng([point["seed"]])
    seen = LabelPrior.from_counts(train_set.counts)
    objective = margins.Softmax() if point["name"] == ALL else scheme(point["sampler"], point["weighting"], M)
    cosine = point["loss"] == "contrastive"
    network = Network(train_set.x.shape[1], seen.n_labels, rng, hidden=point["hidden"], cosine=cosine)
    batch = Minibatch(objective, LOSSES[point["loss"]], seen)
    train(network, train_set.x, train_set.pairs, batch, rng, epochs=point["epochs"], size=SIZE, step=STEP)
    scores = network.scores(test_set.x)
    of = {name: point[name] for name in ("loss", *COLUMNS, "seed")}
    found = [of | {"metric": "recall", **row} for row in recalls(scores, test_set.pairs, train_set.counts)]
    found += [of | row for row in precisions(scores, test_set, train_set)]
    return found


def slices(counts: Floats) -> dict[str, Labels]:
    """Head, torso and tail by the 66 % and 33 % quantiles of label frequency (Rawat et al. 2021, section 5.2)."""
    high, low = np.quantile(counts, [0.66, 0.33])
    return {
        "head": np.flatnonzero(counts > high),
        "torso": np.flatnonzero((counts <= high) & (counts >= low)),
        "tail": np.flatnonzero(counts < low),
    }


def recalls(scores: Floats, pairs: tuple[Labels, Labels], counts: Floats) -> list[Row]:
    """Recall@k of multiclass test examples (x, y): how often y is among the k largest scores; ties count against it."""
    if not np.isfinite(scores).all():
        raise ValueError("training diverged: scores are not finite")
    row, label = pairs
    rank = np.empty(len(row), dtype=np.intp)
    for start in range(0, len(row), 4096):
        part = slice(start, start + 4096)
        f = scores[row[part]]
        rank[part] = (f >= f[np.arange(len(f)), label[part]][:, None]).sum(axis=1)
    parts = slices(counts) | {"full": np.arange(counts.size)}
    found = []
    for name, labels in parts.items():
        inside = np.isin(label, labels)
        for k in KS:
            value = float(np.mean(rank[inside] <= k)) if inside.any() else float("nan")
            found.append({"k": k, "slice": name, "value": value})
    return found


def propensities(counts: Floats, n: int, a: float = 0.55, b: float = 1.5) -> Floats:
    """P(a relevant label is observed) = 1/(1 + C (n_l + b)^-a), C = (log n - 1)(b + 1)^a.

    *Source:* Jain et al. 2016, section 3, with the constants that its experiments use for most data sets.
    """
    c = (np.log(n) - 1) * (b + 1) ** a
    return np.asarray(1 / (1 + c * (counts + b) ** -a))


def precisions(scores: Floats, test_set: extreme.Multilabel, train_set: extreme.Multilabel) -> list[Row]:
    """Precision@k on the multilabel points, and the propensity-scored one, over the best possible of it."""
    p = propensities(train_set.counts, train_set.x.shape[0])
    truth = test_set.y.toarray() > 0
    order = np.argsort(-scores, axis=1, kind="stable")[:, : max(KS)]
    hit = np.take_along_axis(truth, order, axis=1)
    gain = hit / p[order]
    best = -np.sort(-(truth / p), axis=1)[:, : max(KS)]
    found = []
    for k in KS:
        found.append(
            {"metric": "precision", "k": k, "slice": "full", "value": float(hit[:, :k].sum() / (len(hit) * k))}
        )
        value = float(gain[:, :k].sum() / best[:, :k].sum())
        found.append({"metric": "propensity-scored precision", "k": k, "slice": "full", "value": value})
    return found


def summary(rows: Sequence[Row]) -> str:
    """Recall@10 by slice and precisions in per cent, mean and standard error over seeds."""
    lines = []
    for loss, name in dict.fromkeys((row["loss"], row["name"]) for row in rows):
        line = [f"{loss}: {name}"]
        for metric, k, part in (
            *(("recall", 10, part) for part in ("head", "torso", "tail", "full")),
            *((metric, 1, "full") for metric in ("precision", "propensity-scored precision")),
        ):
            where = {"loss": loss, "name": name, "metric": metric, "k": k, "slice": part}
            line.append(mean_and_error([r["value"] for r in rows if all(r[key] == v for key, v in where.items())]))
        lines.append(line)
    return table(["%", "R@10 head", "torso", "tail", "full", "P@1", "PSP@1"], lines)
