"""The margins that hard negatives make, and those of the paper's method."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from implicitloss.claims.case import Case, Setting
from implicitloss.claims.checks import Exact, Simulated
from implicitloss.claims.claim import Claim
from implicitloss.claims.statements import lemma1
from implicitloss.estimate import Estimate
from implicitloss.hard import OVERLAPS, HardNegatives
from implicitloss.labels import Floats, LabelPrior
from implicitloss.losses import Loss
from implicitloss.problem import Problem
from implicitloss.samplers import Uniform, WithinBatch
from implicitloss.scheme import Scheme
from implicitloss.theory.implicit import log_expected_weights
from implicitloss.weightings import Importance, Unit
from paper_checks import cases
from paper_checks.qaraei2023 import listing
from paper_checks.rawat2021.table2 import COUNT

METHOD = "the method of Qaraei and Babbar 2023: a few labels by MIPS, the rest uniform"
M = 8


def _schemes() -> list[tuple[Scheme, Loss]]:
    """Each mode for overlap once with each mode for hits."""
    parts = ((Uniform(), Unit(), "exclude"), (WithinBatch(), Importance(), "mask"), (Uniform(), Unit(), "keep"))
    return [
        (Scheme(sampler, weighting, m=M, hits=hits, hard=HardNegatives(5, 2.0, overlap)), listing.LOGISTIC)  # type: ignore[arg-type]
        for overlap in OVERLAPS
        for sampler, weighting, hits in parts
    ]


def _every_mode(setting: Setting) -> list[Case]:
    return listing.every_mode(listing.LOGISTIC)


def numbers(case: Case, **change: object) -> Estimate:
    """The library's p_yy', (L,), with other hard negatives where a near miss has them."""
    assert case.scheme.hard is not None
    scheme = replace(case.scheme, hard=replace(case.scheme.hard, **change)) if change else case.scheme
    p = np.exp(log_expected_weights(scheme, case.problem))
    return Estimate(p, 1e-13 * p, "margins", "closed form")


def _hard(case: Case) -> HardNegatives:
    assert case.scheme.hard is not None
    return case.scheme.hard


def _twice(case: Case) -> Estimate:
    return numbers(case, weight=2 * _hard(case).weight)


def _without_m(case: Case) -> Floats:
    """w_T 1_T + w q, without the factor m."""
    p, known = np.array(numbers(case).value), np.zeros(listing.N_LABELS)
    known[_hard(case).labels(case.problem)] = _hard(case).weight
    return known + (p - known) / case.scheme.m


# --- labels drawn, weighed and counted ------------------------------------------------------------------------------


def _counted(setting: Setting) -> list[Case]:
    """What falls on T and what off it, for each mode for overlap; uniform draws, weights of 1, hits drawn again."""
    at, found = cases.problem(setting.prior), []
    n_labels = setting.prior.n_labels
    for overlap in OVERLAPS:
        hard = HardNegatives(max(1, n_labels // 5), overlap=overlap, positives="replace")
        inside = np.zeros(n_labels)
        inside[hard.labels(at)] = 1.0
        outside = 1 - inside
        outside[at.positive] = 0.0
        for name, scores in (("in T", inside), ("off T", outside)):
            scheme = Scheme(Uniform(), Unit(), m=M, hits="exclude", hard=hard)
            weighed = Problem(scores, setting.prior, at.positive, index_scores=at.scores)
            found.append(Case(scheme, COUNT, weighed, f"weight on labels {name}"))
    return found


def _on_slice(case: Case, m: float = M, again: bool = False) -> Estimate:
    """Σ p over the slice by counting labels: k once, and the share of m draws that falls there.

    With `again`, draws in T count whatever the mode says.
    """
    hard, n = _hard(case), case.problem.prior.n_labels
    others = n - 1 - (hard.k if hard.overlap == "exclude" and not again else 0)
    if case.where.endswith("in T"):
        value = hard.k + (m * hard.k / others if hard.overlap == "keep" or again else 0.0)
    else:
        value = m * (n - 1 - hard.k) / others
    # Where no draw falls into the slice, nothing is random, and a sum of k terms rounds.
    return Estimate(value, 1e-12 * value, "weight", "counting")


# --- the paper's method ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Example:
    """An x with its positives P, the labels that MIPS returned for it, and m_u uniform draws off P; eight labels."""

    positives: tuple[int, ...]
    returned: tuple[int, ...]
    m: int
    n_labels: int = 8

    def __str__(self) -> str:
        return f"P = {self.positives}, returned {self.returned}, m_u = {self.m}, L = {self.n_labels}"


def _examples(setting: Setting) -> list[Example]:
    sets = (((1,), (3, 5)), ((1, 4), (4, 3, 1)), ((0, 2, 5), (2, 7)), ((2, 6), (0, 1, 3)))
    return [Example(positives, returned, m) for (positives, returned), m in itertools.product(sets, (1, 2, 3))]


def _negatives(example: Example) -> Floats:
    """1 for labels that are no positives."""
    return 1.0 - np.isin(np.arange(example.n_labels), example.positives)


def _listed(example: Example) -> Estimate:
    """How often each label is a negative, every sequence of draws listed; a positive that is drawn is drawn again."""
    can_be_drawn = [j for j in range(example.n_labels) if j not in example.positives]
    total, n = np.zeros(example.n_labels), 0
    for drawn in itertools.product(can_be_drawn, repeat=example.m):
        n += 1
        for label in (*(j for j in example.returned if j not in example.positives), *drawn):
            total[label] += 1
    return Estimate(total / n, 1e-15 * total / n, "margins", "listing")


def _by_library(example: Example) -> Estimate:
    """The implicit margins of a scheme, its index and its draws without P; the audited positive is the first of P."""
    y, *others = example.positives
    at = Problem(
        np.zeros(example.n_labels),
        LabelPrior.from_counts(np.ones(example.n_labels)),
        y,
        labels=example.returned,
        other_positives=others,
    )
    hard = HardNegatives(len(example.returned))
    scheme = Scheme(Uniform(), Unit(), m=example.m, hits="exclude", hard=hard)
    p = np.exp(log_expected_weights(scheme, at))
    return Estimate(p, 1e-13 * p, "margins", "closed form")


def _formula(example: Example, *, all_labels: bool = False, in_t: str = "off P", overlap: str = "keep") -> Floats:
    """1[T∖P] + m_u/(L - |P|); each argument makes one mistake."""
    off = _negatives(example)
    known = np.isin(np.arange(example.n_labels), example.returned)
    known = known * {"off P": off, "off y": np.arange(example.n_labels) != example.positives[0]}[in_t]
    draws = np.full(example.n_labels, example.m / (example.n_labels if all_labels else off.sum()))
    return np.asarray(known + off * draws * (1 - known if overlap == "mask" else 1))


METHOD_MISSES: dict[str, Callable[[Example], Floats]] = {
    "uniform draws have m_u/L": partial(_formula, all_labels=True),
    "of T only y itself is left out, and not the other positives of x": partial(_formula, in_t="off y"),
    "draws of hard negatives do not count": partial(_formula, overlap="mask"),
}

CLAIMS = (
    Claim(
        "qaraei2023.margins.modes",
        "Beside hard negatives T the margins are p_yy' = w_T 1_T(y') + m w_yy' q_y'; the second term is 0 on T where "
        "draws of T are masked or drawn again.",
        f"derived, for {METHOD}",
        (
            *lemma1.derived("", _schemes, hard=True).checks,
            Exact(
                "every sequence of draws listed",
                _every_mode,
                listing.margins,
                numbers,
                {
                    "the margins are p = w_T 1_T + w q, without m": _without_m,
                    "hard negatives count twice": _twice,
                    "draws of hard negatives count again in every mode": partial(numbers, overlap="keep"),
                    "draws of hard negatives have weight 0 in every mode": partial(numbers, overlap="mask"),
                },
                uses_prior=False,
            ),
            Simulated(
                _counted,
                _on_slice,
                lambda case: 0.1 * float(_on_slice(case)),
                {
                    "draws of hard negatives count again in every mode": partial(_on_slice, again=True),
                    "a tenth of the draws is lost": partial(_on_slice, m=0.9 * M),
                },
                method="labels drawn, weighed and counted",
            ),
        ),
        ("T is known before the draws; y is taken out of T first, then modes for hits and overlap govern the draws",),
    ),
    Claim(
        "qaraei2023.margins.method",
        "The method has p_yy'(x) = 1[y' ∈ T∖P] + m_u/(L - |P|) for y' ∉ P, P the positives of x, all weights 1.",
        f"derived, for {METHOD}",
        (
            Exact("every sequence of draws listed", _examples, _listed, _formula, METHOD_MISSES, uses_prior=False),
            Exact("m w q in numbers", _examples, _by_library, _formula, METHOD_MISSES, uses_prior=False),
        ),
        (
            "positives among the labels of the index are dropped, and not replaced; m_u draws are uniform off P, and "
            "not compared with T",
        ),
    ),
)
