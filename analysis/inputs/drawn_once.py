"""Draws without repetition beside passes of np.exp: contenders of the study of speed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from implicitloss.draws import DrawsName, counts, design
from implicitloss.labels import LabelPrior
from implicitloss.losses import SoftmaxCrossEntropy
from implicitloss.problem import Problem
from implicitloss.samplers import LogUniform
from implicitloss.scheme import Scheme
from implicitloss.weightings import Importance
from implicitloss.witness.integrate import integrate

__all__ = ["DRAWN", "DRAWN_RATIOS", "QUICK_DRAWN", "drawn"]

M = 64
QUICK_DRAWN = [("inclusion", 1_000), ("drawn once", 100)]
DRAWN = [*(("inclusion", n) for n in (1_000_000, 3_000_000)), *(("drawn once", n) for n in (1_000, 100_000))]
NAMES: dict[DrawsName, str] = {"distinct": "different labels", "set": "a set", "bernoulli": "coins"}
DRAWN_RATIOS = (
    ("inclusion in different labels / np.exp of all q", "inclusion", "inclusion", "np.exp"),
    *((f"exact mean, {name} / np.exp of all scores", "drawn once", name, "np.exp") for name in NAMES.values()),
)


def drawn(kind: str, n_labels: int) -> list[tuple[str, float, Callable[[bool], Any]]]:
    """Who, the scale of the seconds, and what is timed; m = 64 draws of a log-uniform law."""
    prior = LabelPrior.zipf(n_labels, 1.0)
    problem = Problem(np.random.default_rng(0).normal(size=n_labels), prior, n_labels // 2)
    q = np.exp(LogUniform().log_law(problem))

    def mean(draws: DrawsName) -> Callable[[bool], Any]:
        scheme = Scheme(LogUniform(), Importance(), m=M, hits="mask", draws=draws)

        def of(warm: bool) -> None:
            counts.forget()
            integrate(scheme, SoftmaxCrossEntropy(), problem)

        return of

    jobs: dict[str, dict[str, Callable[[bool], Any]]] = {
        "inclusion": {
            "inclusion": lambda warm: design("distinct").law(q, M).inclusion,
            "np.exp": lambda warm: np.exp(q),
        },
        "drawn once": {
            **{name: mean(draws) for draws, name in NAMES.items()},
            "np.exp": lambda warm: np.exp(problem.scores),
        },
    }
    return [(who, 1.0, job) for who, job in jobs[kind].items()]
