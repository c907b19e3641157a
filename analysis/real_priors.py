"""The margins and optima of Table 2 on real label counts: how large the bias is where people work.

Priors: the given one, files of counts (`--data`), profiles, and the words of English where the
package wordfreq is installed.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np

from analysis.inputs.priors import check_files, read
from analysis.inputs.schemes import scheme, table2
from analysis.study import Point, Row
from implicitloss.labels import LabelPrior
from implicitloss.optima.tilt import tilt
from implicitloss.problem import Problem
from implicitloss.theory.implicit import log_expected_weights

DATA = "label counts, a prior each"
WORDS = 50_000
M = 64
MADE: dict[str, Callable[[], LabelPrior]] = {
    "CIFAR-100-LT (EXP)": lambda: LabelPrior.exp(100, 500, 100),
    "CIFAR-100-LT (STEP)": lambda: LabelPrior.step(100, 500, 100),
    "Zipf, 10,000 labels": lambda: LabelPrior.from_counts(np.round(10_000 / np.arange(1, 10_001))),
}


def points(prior: LabelPrior, quick: bool, data: Sequence[str] = ()) -> list[Point]:
    """Each scheme of Table 2, hits masked and kept, on each prior."""
    names = list(MADE)
    if importlib.util.find_spec("wordfreq") is not None:
        names.append("English words")
    if not data and not np.array_equal(prior.probabilities, LabelPrior.exp(100, 500, 100).probabilities):
        names.insert(0, "given")
    hits = ("mask", "keep")
    check_files(data)
    return [
        {"prior": name, "is_file": is_file, "sampler": q, "weighting": w, "hits": h}
        for name, is_file in [*((name, False) for name in names), *((path, True) for path in data)]
        for q, w in table2()
        for h in hits
    ]


@lru_cache(maxsize=1)
def _words() -> LabelPrior:
    """Frequencies of the most frequent English words."""
    import wordfreq

    found = np.array([wordfreq.word_frequency(word, "en") for word in wordfreq.top_n_list("en", WORDS)])
    return LabelPrior.from_probabilities(found / found.sum())


def _prior(name: str, is_file: bool, given: LabelPrior) -> LabelPrior:
    if is_file:
        return read(name)
    if name == "given":
        return given
    return _words() if name == "English words" else MADE[name]()


def rows(prior: LabelPrior, point: Point) -> list[Row]:
    """One row: the margins of a frequent and a rare positive against frequent and rare negatives, and both tilts."""
    here = _prior(point["prior"], point["is_file"], prior)
    chosen = scheme(point["sampler"], point["weighting"], M, point["hits"])
    order, share = here.by_frequency, max(here.n_labels // 3, 1)
    ends = {"head": order[:share], "tail": order[-share:]}
    f = np.zeros(here.n_labels)
    row: Row = {
        **{name: point[name] for name in ("sampler", "weighting", "hits")},
        "prior": os.path.basename(point["prior"]).removesuffix(".csv"),
        "labels": here.n_labels,
        "imbalance": float(here.probabilities.max() / here.probabilities[here.probabilities > 0].min()),
        "m": M,
    }
    for positive, of in ends.items():
        y = int(of[of.size // 2])
        log_p = log_expected_weights(chosen, Problem(f, here, y))
        log_p = log_p - np.logaddexp(0.0, log_p[y])  # kept hits: the effective margin
        for negative, others in ends.items():
            others = others[others != y]
            row[f"log_p_{positive}_{negative}"] = float(np.mean(log_p[others])) if others.size else float("nan")
    occurring = here if here.n_occurring == here.n_labels else here.few(here.n_occurring)
    row["tilt_labels"] = occurring.n_labels
    for of_loss in ("implicit", "sampled"):
        row[f"tilt_{of_loss}"] = tilt(chosen, occurring, of_loss)
    return [row]
