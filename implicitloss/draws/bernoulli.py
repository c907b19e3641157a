"""A coin for each label: label j is in N with probability Q_j = 1 - (1 - q_j)^m, whatever the others do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from implicitloss.draws.design import DrawsName, Runs
from implicitloss.draws.product import EPS, ProductLaw
from implicitloss.labels import Floats, Labels
from implicitloss.samplers.sampler import Draw

if TYPE_CHECKING:
    import sympy as sp

__all__ = ["Bernoulli"]


@dataclass(frozen=True)
class Bernoulli:
    """Independent coins, Q_j = 1 - (1 - q_j)^m: m is the number of draws that would bring j in as often."""

    name: DrawsName = "bernoulli"

    def check(self, n_drawable: int, m: int) -> None:
        """Any m will do."""

    def law(self, q: Floats, m: int) -> ProductLaw:
        with np.errstate(divide="ignore"):
            log_rest = m * np.log1p(-q)
        p, rest = -np.expm1(log_rest), np.exp(log_rest)
        return ProductLaw(p, np.ones(1), lambda _: (p, rest), EPS * (64 + q.size))

    def inclusion(self, q: sp.Expr, m: sp.Expr, of: sp.Expr, are_alike: bool) -> sp.Expr:
        return 1 - (1 - q) ** m

    def sizes(self, n_drawable: int, m: int) -> tuple[int, int]:
        return 0, n_drawable

    def runs(self, draw: Draw, q: Floats, m: int) -> Runs:
        """Toss the coins.  There is no draw of single labels: the program tosses for each label by its Q."""
        chances = np.array([1 - (1 - one) ** m for one in q.tolist()])

        def runs(rng: np.random.Generator, size: int) -> Labels:
            come = rng.random((size, q.size)) < chances
            width = max(1, int(come.sum(axis=1).max(initial=0)))
            labels = np.full((size, width), q.size, dtype=np.intp)
            run, label = np.nonzero(come)
            place = np.arange(run.size) - np.searchsorted(run, run)
            labels[run, place] = label
            return labels

        return runs
