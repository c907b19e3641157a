"""Labels that are alike may be taken together: an optimum of many labels is that of a few blocks."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from implicitloss.claims.case import Setting
from implicitloss.claims.checks import Exact
from implicitloss.claims.claim import Claim
from implicitloss.estimate import Estimate
from implicitloss.labels import Floats, LabelPrior
from implicitloss.losses import SoftmaxCrossEntropy
from implicitloss.optima.population import population_optimum
from implicitloss.samplers import WithinBatch
from implicitloss.scheme import Hits, Scheme
from implicitloss.weightings import Importance, Relative, Unit, Weighting
from paper_checks.design.listing import OPTIMUM, SEEN, Listing, centred, listed
from paper_checks.design.weights import BALANCE

COUNTS, ETA = (8.0, 3.0, 3.0, 1.0, 1.0), (0.4, 0.2, 0.2, 0.1, 0.1)
SIZES = (1, 2, 2)
# Labels that are not alike, with the same means in each block.
OTHER_COUNTS, OTHER_ETA = (8.0, 4.0, 2.0, 1.5, 0.5), (0.4, 0.3, 0.1, 0.15, 0.05)
# log a and log b of w_yy' = a_y b_y', at the law and m.
WEIGHTS: dict[str, tuple[Weighting, Callable[[Floats, int], tuple[Floats, Floats]]]] = {
    "unit": (Unit(), lambda q, m: (0 * q, 0 * q)),
    "relative": (Relative(), lambda q, m: (np.log(q), -np.log(q))),
    "importance": (Importance(), lambda q, m: (0 * q - np.log(m), -np.log(q))),
}


@dataclass(frozen=True)
class Tied:
    """Five labels in three blocks, in-batch draws."""

    weights: str
    hits: Hits
    m: int
    counts: tuple[float, ...] = COUNTS
    eta: tuple[float, ...] = ETA

    def __str__(self) -> str:
        return f"counts {self.counts}, η = {self.eta}, {self.weights} weights, hits={self.hits}, m={self.m}"

    @property
    def q(self) -> Floats:
        return np.array(self.counts) / sum(self.counts)

    def w(self, q: Floats) -> Floats:
        """w_yy' of labels with this law, excluded hits by the law before they are drawn again; (n, n)."""
        log_a, log_b = WEIGHTS[self.weights][1](q, self.m)
        rest = np.log1p(-q) if self.hits == "exclude" and self.weights == "importance" else 0.0
        return np.exp((log_a + rest)[:, None] + log_b)

    @property
    def whole(self) -> Floats:
        """The optimum of all five labels, (5,)."""
        return listed(np.array(self.eta), np.tile(self.q, (self.m, 1)), self.w(self.q), self.hits).optimum


def _tied(setting: Setting) -> list[Tied]:
    modes: tuple[Hits, ...] = ("keep", "mask", "exclude")
    return [Tied(weights, hits, m) for weights in WEIGHTS for hits in modes for m in (1, 2)]


def _means(values: tuple[float, ...]) -> Floats:
    """The mean in each block."""
    starts = np.cumsum((0, *SIZES[:-1]))
    return np.asarray(np.add.reduceat(np.array(values), starts) / np.array(SIZES))


def _merged(case: Tied) -> Floats:
    """The optimum of three blocks of labels with the blocks' mean q and η, (5,).

    A draw falls on another block, on another label of the positive's block, or on the positive.
    """
    n, q, eta = np.array(SIZES, dtype=np.float64), _means(tuple(case.q.tolist())), _means(case.eta)
    w, rows = case.w(q), []
    for y in range(n.size):
        falls = [(n[k] * q[k], k, w[y, k]) for k in range(n.size) if k != y] + [((n[y] - 1) * q[y], y, w[y, y])]
        if case.hits != "exclude":
            falls.append((q[y], y, w[y, y] if case.hits == "keep" else 0.0))
        rest = sum(chance for chance, _, _ in falls)
        for draws in itertools.product(falls, repeat=case.m):
            chance, total = n[y] * eta[y], np.eye(n.size)[y]
            for drawn, k, weight in draws:
                chance, total[k] = chance * drawn / rest, total[k] + weight
            rows.append((chance, total, np.eye(n.size)[y]))
    return np.repeat(Listing(*(np.array(part) for part in zip(*rows, strict=True))).optimum, SIZES)


def _one_label(case: Tied) -> Floats:
    """The optimum of three labels with the blocks' sums of q and η, less log of the size, (5,)."""
    n = np.array(SIZES)
    q, eta = n * _means(tuple(case.q.tolist())), n * _means(case.eta)
    found = listed(eta, np.tile(q, (case.m, 1)), case.w(q), case.hits).optimum
    return np.repeat(found - np.log(n), SIZES)


def _off(case: Tied, found: Callable[[Tied], Floats] = _merged) -> Estimate:
    """What is found by blocks, less the optimum of all labels."""
    return centred(found(case) - case.whole)


def _of_unlike(case: Tied, **unlike: tuple[float, ...]) -> Estimate:
    return _off(Tied(case.weights, case.hits, case.m, **unlike))


def _nothing(case: Tied) -> Floats:
    return np.zeros(len(COUNTS))


def _by_library(case: Tied) -> Estimate:
    """The library's optimum, which takes labels that are alike together, less that of all labels listed."""
    scheme = Scheme(WithinBatch(), WEIGHTS[case.weights][0], m=case.m, hits=case.hits)
    prior = LabelPrior.from_counts(case.counts)
    found = population_optimum(scheme, SoftmaxCrossEntropy(), np.array(case.eta), prior, of="sampled")
    return centred(found - case.whole, OPTIMUM)


MISSES: dict[str, Callable[[Tied], Estimate]] = {
    "labels of different counts may be merged at their mean": partial(_of_unlike, counts=OTHER_COUNTS),
    "labels of equal counts and different η may be merged": partial(_of_unlike, eta=OTHER_ETA),
    "a block is one label with the sums of q and η": partial(_off, found=_one_label),
}

CLAIMS = (
    Claim(
        "design.ties",
        "Labels of equal η, q and weights have equal scores at the optimum, and merged into blocks give the same one, "
        "where a draw falls on another block, on another label of the positive's block, or on the positive.",
        "derived: the expected loss is symmetric in such labels, and convex",
        (
            Exact(
                "five labels and three blocks listed, Newton's method",
                _tied,
                _off,
                _nothing,
                MISSES,
                floor=SEEN,
                uses_prior=False,
            ),
            Exact(
                f"{BALANCE}, against five labels listed",
                _tied,
                _by_library,
                _nothing,
                MISSES,
                floor=SEEN,
                uses_prior=False,
            ),
        ),
        ("weights a_y b_y' of the labels' own q; hits kept, masked or excluded",),
    ),
)
