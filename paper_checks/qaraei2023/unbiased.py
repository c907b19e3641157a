"""Weights for which hard negatives and draws together are the full loss: by counting labels, and for any index."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Literal

import numpy as np
import sympy as sp

from implicitloss import symbols as s
from implicitloss.claims.case import Case, Setting
from implicitloss.claims.checks import Exact, Identity
from implicitloss.claims.claim import Claim
from implicitloss.claims.statements.numbers import ONE_DRAW
from implicitloss.estimate import Estimate
from implicitloss.hard import HardNegatives
from implicitloss.labels import Floats
from implicitloss.samplers import Sampler, Uniform, WithinBatch
from implicitloss.scheme import Scheme
from implicitloss.weightings import Importance, Weighting
from implicitloss.witness.integrate import integrate
from paper_checks.qaraei2023 import listing, margins

Hits = Literal["exclude", "mask"]
Overlap = Literal["keep", "mask", "exclude"]
M = 2


@dataclass(frozen=True)
class Mode:
    """What hits and draws of hard negatives do, k, and the labels that the index returned, y and empty slots too."""

    hits: Hits
    overlap: Overlap
    k: int
    returned: tuple[int, ...]

    @property
    def really(self) -> int:
        """k', the labels that are in T."""
        return sum(j >= 0 and j != listing.POSITIVE for j in self.returned)

    def __str__(self) -> str:
        return f"hits={self.hits}, overlap={self.overlap}, k={self.k}, returned {self.returned}"

    def case(self, sampler: Sampler, weighting: Weighting, overlap: Overlap | None = None) -> Case:
        """m = 2 draws beside T with weight 1, under the logistic loss."""
        return _case(self, sampler, weighting, overlap or self.overlap)


@lru_cache(maxsize=4096)
def _case(mode: Mode, sampler: Sampler, weighting: Weighting, overlap: Overlap) -> Case:
    scheme = Scheme(sampler, weighting, m=M, hits=mode.hits, hard=HardNegatives(mode.k, overlap=overlap))
    return Case(scheme, listing.LOGISTIC, listing.problem(mode.returned))


def _modes(returned: list[tuple[int, ...]], k: int) -> list[Mode]:
    modes: tuple[tuple[Hits, Overlap], ...] = tuple(itertools.product(("exclude", "mask"), ("exclude", "mask")))  # type: ignore[arg-type]
    return [Mode(hits, overlap, k, labels) for hits, overlap in modes for labels in returned]


def _some(setting: Setting) -> list[Mode]:
    """Indices that return k labels, y among them, or fewer."""
    return _modes([(3, 4), (0, 2), (1, 4), (3, -1), (-1, 1), (-1, -1)], 2)


def _any(setting: Setting) -> list[Mode]:
    """Every set of at most two labels."""
    return _modes([labels for n in range(3) for labels in itertools.combinations(range(listing.N_LABELS), n)], 2)


def _others(p: Estimate) -> Estimate:
    """The margins of the negatives, (L - 1,)."""
    off = np.arange(listing.N_LABELS) != listing.POSITIVE
    return Estimate(np.asarray(p.value)[off], np.asarray(p.error)[off], p.quantity, p.method)


def _ones(mode: Mode) -> Floats:
    return np.ones(listing.N_LABELS - 1)


# --- weights by counting labels -------------------------------------------------------------------------------------


def _count(mode: Mode, *, hits: Hits | None = None, of_t: int | None = None) -> int:
    """The labels of the law that is drawn from: off y where hits are excluded, off T where draws of T are."""
    left = listing.N_LABELS - ((hits or mode.hits) == "exclude")
    return left - (mode.overlap == "exclude") * (mode.really if of_t is None else of_t)


def _k_for_really(mode: Mode) -> int:
    return _count(mode, of_t=mode.k)


def _forgets_t(mode: Mode) -> int:
    return _count(mode, of_t=0)


def _other_hits(mode: Mode) -> int:
    return _count(mode, hits="mask" if mode.hits == "exclude" else "exclude")


Margins = Callable[[Case], Estimate]
OfMode = Callable[[Mode], Estimate]


def _weighed(margins_of: Margins, count: Callable[[Mode], int], overlap: Overlap | None = None) -> OfMode:
    """p of uniform draws with weight count/m."""
    return lambda mode: _others(margins_of(mode.case(Uniform(), listing.Fixed(count(mode) / M), overlap)))


def _count_misses(margins_of: Margins) -> dict[str, OfMode]:
    return {
        "the counts of masked draws, L - 1 and L, for draws off T": _weighed(margins_of, _forgets_t),
        "draws of hard negatives count again": _weighed(margins_of, _forgets_t, "keep"),
        "k for k', although the index returned y or an empty slot": _weighed(margins_of, _k_for_really),
        "L - 1 and L exchanged: the counts of the other mode for hits": _weighed(margins_of, _other_hits),
    }


def _in_symbols(*, forgets: bool = False, again: bool = False) -> Callable[[], list[tuple[str, sp.Expr, sp.Expr]]]:
    """p against 1 in the four modes; a mistake `forgets` k', or has draws of T count `again`."""
    in_t, really = s.hard[s.yp], s.over_labels(s.hard[s.j], s.j)

    def pairs() -> list[tuple[str, sp.Expr, sp.Expr]]:
        rows = []
        for mode in _modes([()], 1):
            off_y, off_t = int(mode.hits == "exclude"), really * int(mode.overlap == "exclude")
            weight = (s.L - off_y - (0 if forgets else off_t)) / s.m
            law = (1 / s.L) / (1 - off_y / s.L - off_t / s.L)
            drawn = s.m * weight * law * (1 if again else 1 - in_t)
            rows.append((f"hits={mode.hits}, overlap={mode.overlap}: p", in_t + drawn, sp.Integer(1)))
        return rows

    return pairs


# --- any index ------------------------------------------------------------------------------------------------------


def _recall(mode: Mode) -> float:
    """The share of the best labels by the scores, as many as are in T, that T holds."""
    best = sorted((j for j in range(listing.N_LABELS) if j != listing.POSITIVE), key=lambda j: -listing.SCORES[j])
    n = mode.really
    return len(set(best[:n]) & set(mode.returned)) / n if n else 1.0


def _by_recall(mode: Mode, everywhere: bool = False) -> Floats:
    """p = recall on T, or everywhere, as if the labels that an index misses were lost."""
    off = np.array([j for j in range(listing.N_LABELS) if j != listing.POSITIVE])
    return np.where(np.isin(off, mode.returned) | everywhere, _recall(mode), 1.0)


def _unconditional(margins_of: Margins) -> OfMode:
    """Uniform draws with 1/(m q) = L/m, q the law before anything is drawn again."""
    return _weighed(margins_of, lambda mode: listing.N_LABELS)


def _index_misses(margins_of: Margins) -> dict[str, Callable[[Mode], Estimate | Floats]]:
    return {
        "p is the recall on T": _by_recall,
        "p is the recall": partial(_by_recall, everywhere=True),
        "weights 1/(m q) with the law before anything is drawn again": _unconditional(margins_of),
    }


def _by_importance(margins_of: Margins, sampler: Sampler) -> OfMode:
    return lambda mode: _others(margins_of(mode.case(sampler, Importance())))


def _full(mode: Mode, p: Floats | None = None) -> float:
    """log(1 + e^{-f_y}) + Σ p log(1 + e^{f_y'}), by hand."""
    others = [f for j, f in enumerate(listing.SCORES) if j != listing.POSITIVE]
    terms = [
        weight * math.log1p(math.exp(f)) for f, weight in zip(others, _ones(mode) if p is None else p, strict=True)
    ]
    return math.log1p(math.exp(-listing.SCORES[listing.POSITIVE])) + math.fsum(terms)


def _mean(mode: Mode) -> Estimate:
    case = mode.case(WithinBatch(), Importance())
    return integrate(case.scheme, case.loss, case.problem)


CLAIMS = (
    Claim(
        "qaraei2023.unbiased.counts",
        "Beside T with weight 1 uniform draws off T are unbiased, p = 1, with weight (L - 1 - k')/m, and masked draws "
        "with (L - 1)/m, hits excluded; with hits masked (L - k')/m and L/m.  k' are the labels really in T.",
        f"derived, for {margins.METHOD}",
        (
            Identity(
                _in_symbols(),
                {
                    "the counts of masked draws, L - 1 and L, for draws off T": _in_symbols(forgets=True),
                    "draws of hard negatives count again": _in_symbols(again=True),
                },
            ),
            Exact(
                "every sequence of draws listed",
                _some,
                _ones,
                _weighed(listing.margins, _count),
                _count_misses(listing.margins),
                uses_prior=False,
            ),
            Exact(
                "m w q in numbers",
                _some,
                _ones,
                _weighed(margins.numbers, _count),
                _count_misses(margins.numbers),
                uses_prior=False,
            ),
        ),
        ("y and empty slots are not counted in k'; q > 0 on every label off T",),
    ),
    Claim(
        "qaraei2023.unbiased.any-index",
        "With weight 1 on T and 1/(m q) on draws, q the law really drawn from, p = 1 for any set that an index "
        "returns, whatever its recall and age; draws of T are masked or drawn again.",
        "derived: p = 1_T + m q/(m q) off T",
        (
            Exact(
                "every sequence of draws listed, uniform",
                _any,
                _ones,
                _by_importance(listing.margins, Uniform()),
                _index_misses(listing.margins),
                uses_prior=False,
            ),
            Exact(
                "every sequence of draws listed, within-batch",
                _any,
                _ones,
                _by_importance(listing.margins, WithinBatch()),
                {"p is the recall on T": _by_recall, "p is the recall": partial(_by_recall, everywhere=True)},
                uses_prior=False,
            ),
            Exact(
                "m w q in numbers",
                _any,
                _ones,
                _by_importance(margins.numbers, Uniform()),
                _index_misses(margins.numbers),
                uses_prior=False,
            ),
            Exact(
                f"{ONE_DRAW} against the full logistic loss by hand",
                _any,
                _mean,
                _full,
                {"p is the recall on T": lambda mode: _full(mode, _by_recall(mode))},
                uses_prior=False,
            ),
        ),
        ("q > 0 on every label off T; hits excluded or masked",),
    ),
)
