"""Optima, information and prices beside what a user would compute instead: the contenders of the study of speed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from implicitloss.designing.place import Place
from implicitloss.labels import LabelPrior
from implicitloss.losses import SoftmaxCrossEntropy
from implicitloss.margins import Softmax
from implicitloss.optima.information import information
from implicitloss.optima.newton import minimise
from implicitloss.optima.objective import sampled_objective
from implicitloss.optima.population import population_optimum
from implicitloss.optima.tilt import eta_at, tilt
from implicitloss.samplers import WithinBatch
from implicitloss.scheme import Scheme
from implicitloss.weightings import Consistent, Importance

__all__ = ["PRICED", "PRICED_RATIOS", "PRICES", "priced"]

PRICES = ("optimum", "information", "design", "many optima")
# Newton's method and Hessians take time in proportion to L³; a million labels that all differ, in proportion to L.
PRICED = [*((kind, n) for kind in PRICES[:-1] for n in (300, 1_000)), (PRICES[-1], 1_000_000)]
M = 64
PRICED_RATIOS = (
    ("optimum, Newton's method / balance", "optimum", "Newton's method", "balance"),
    ("optimum of different labels / np.exp of them", "many optima", "sums in bins", "np.exp"),
    ("information, from the Hessian / integral", "information", "Hessian", "integral"),
    ("a slope of a design, all labels / alike together", "design", "all labels", "alike together"),
)


def priced(kind: str, n_labels: int) -> list[tuple[str, float, Callable[[bool], Any]]]:
    """Who, the scale of the seconds, and what is timed, as `analysis.speed` has them; at an x where few are likely."""
    prior, loss = LabelPrior.zipf(n_labels, 1.0), SoftmaxCrossEntropy()
    eta = np.asarray(eta_at("peaked", prior)[0])
    if kind == "many optima":
        eta = np.random.default_rng(0).dirichlet(np.ones(n_labels))
    masked = Scheme(WithinBatch(), Importance(), m=M, hits="mask")
    kept = Scheme(WithinBatch(), Consistent(), m=M, hits="keep")
    optimum = np.log(eta) - np.log(eta).mean()

    def hessian(warm: bool) -> None:
        h = sampled_objective(kept, loss, eta, prior)(optimum)[2]
        full = np.diag(eta) - np.outer(eta, eta)
        np.diag(h) / np.diag(full)

    jobs: dict[str, dict[str, Callable[[bool], Any]]] = {
        "optimum": {
            "balance": lambda warm: population_optimum(masked, loss, eta, prior, of="sampled"),
            "Newton's method": lambda warm: minimise(sampled_objective(masked, loss, eta, prior), optimum, eta),
        },
        "many optima": {
            "sums in bins": lambda warm: population_optimum(masked, loss, eta, prior, of="sampled"),
            "np.exp": lambda warm: np.exp(optimum),
        },
        "information": {"integral": lambda warm: information(kept, eta, prior), "Hessian": hessian},
        "design": {
            "alike together": lambda warm: Place("peaked", prior, WithinBatch(), Softmax()).off_by_own(M, "mask"),
            "all labels": lambda warm: tilt(masked, prior, of="sampled", eta="peaked"),
        },
    }
    return [(who, 1.0, job) for who, job in jobs[kind].items()]
