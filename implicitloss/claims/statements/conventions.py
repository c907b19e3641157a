"""Symbols and numbers mean the same: `derive` goes by the symbols, the other witnesses by the numbers.

So a weight that is wrong in numbers is the same in all numeric witnesses, and only here does it show.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import sympy as sp
from sympy.concrete.expr_with_limits import ExprWithLimits

from implicitloss import symbols as s
from implicitloss.claims.case import Case
from implicitloss.claims.checks import Exact, Frequencies
from implicitloss.claims.claim import Claim
from implicitloss.claims.statements.hard import in_hard
from implicitloss.claims.statements.numbers import CaseList, at_m, kept_per_case, replace_hits
from implicitloss.estimate import Estimate
from implicitloss.labels import Floats
from implicitloss.problem import Problem
from implicitloss.samplers import Sampler
from implicitloss.scheme import Scheme
from implicitloss.theory.implicit import log_expected_weights

__all__ = [
    "Symbolic",
    "conventions",
    "drawn",
    "moved",
    "number",
    "stated_law",
    "tempered",
]

# Labels of one problem that are compared: sums over all labels are written out for each.
MOST_COMPARED = 12


@dataclass(frozen=True)
class Symbolic:
    """w_T 1_T(y') + m w_yy' q_y' of a scheme in symbols: its parts for a negative, and for the positive (0 or c_y)."""

    scheme: Scheme

    @property
    def margin(self) -> sp.Expr:
        """The margin of the negative y'."""
        return self.known + self.drawn

    @property
    def known(self) -> sp.Expr:
        """What y' has as a hard negative."""
        hard = self.scheme.hard
        return sp.Integer(0) if hard is None else s.exact(hard.weight) * s.hard[s.yp]

    @property
    def drawn(self) -> sp.Expr:
        """What y' has from draws."""
        hard = self.scheme.hard
        counts = 1 if hard is None or hard.overlap == "keep" else 1 - s.hard[s.yp]
        return counts * self._expected(s.yp)

    @property
    def kept(self) -> sp.Expr:
        """c_y, for the positive."""
        return self._expected(s.y) if self.scheme.hits == "keep" else sp.Integer(0)

    def _expected(self, label: sp.Expr) -> sp.Expr:
        law, hard = self.scheme.sampler.law, self.scheme.hard
        rest = 1 - law(s.y) if self.scheme.hits == "exclude" else sp.Integer(1)
        if hard is not None and hard.overlap == "exclude":
            rest -= s.constants_out(s.over_labels(s.hard[s.j] * law(s.j), s.j))
        weight = self.scheme.weighting.weight(lambda yp: law(yp) / rest, law, label)
        return s.m * weight * law(label) / rest


def number(expression: sp.Expr, case: Case, label: int) -> float:
    """An expression in the symbols at a case, y' = `label`; labels count from 1, sums are written out.

    An indexed symbol has the values of the prior, the scores, the counts (or of the prior, to which they are
    proportional), 1 or 0 for T, or the values of the attribute of its name that the sampler, the weighting or
    its target has.
    *Raises* ValueError for a symbol that means nothing there.
    """
    problem, scheme = case.problem, case.scheme
    prior = problem.prior
    at = {s.L: prior.n_labels, s.y: problem.positive + 1, s.yp: label + 1, s.m: scheme.m}
    written = _written_out(sp.sympify(expression), {name: sp.Integer(n) for name, n in at.items()})
    vectors = {s.pi: prior.probabilities, s.f: problem.scores}
    vectors[s.n] = prior.probabilities if prior.counts is None else prior.counts
    vectors[s.hard] = in_hard(case)
    values = {}
    for entry in written.atoms(sp.Indexed):
        name = str(entry.base.label)
        vector = vectors.get(entry.base)
        if vector is None:
            homes = (scheme.sampler, scheme.weighting, getattr(scheme.weighting, "target", None))
            vector = next((getattr(home, name) for home in homes if hasattr(home, name)), None)
        if vector is None:
            shown = s.text(sp.sympify(expression))
            raise ValueError(f"{name} in {shown} has no value: give the sampler or the weighting an attribute {name}")
        values[entry] = sp.Float(float(vector[int(entry.indices[0]) - 1]), 30)
    value = sp.N(written.xreplace(values), 20)
    if not value.is_number:
        shown = s.text(sp.sympify(expression))
        raise ValueError(f"{shown} is no number at this problem, but {value}")
    return float(value)


def _written_out(expression: sp.Expr, at: dict[sp.Symbol, sp.Integer]) -> sp.Expr:
    """The expression with its symbols replaced, but for those that a sum runs over, and sums written out."""
    over = {limit[0] for sums in expression.atoms(ExprWithLimits) for limit in sums.limits}
    # `subs` knows which are bound, and takes longer.
    return (expression.subs(at) if over & set(at) else expression.xreplace(at)).doit()


def _labels(case: Case) -> list[int]:
    """The negatives to compare: all, or of many the first, the last and some between."""
    n_labels, y = case.problem.prior.n_labels, case.problem.positive
    picked = np.unique(np.linspace(0, n_labels - 1, min(n_labels, MOST_COMPARED)).round().astype(int))
    return [int(j) for j in picked if j != y]


@kept_per_case
def _row(case: Case) -> Floats:
    """What the symbols say: the unconditional q and m w q of each label, the positive's last."""
    symbolic, y = Symbolic(case.scheme), case.problem.positive
    law, can_be_drawn = case.scheme.sampler.law, ~np.isneginf(case.scheme.laws(case.problem).log_q)
    labels, margin = _labels(case), symbolic.drawn
    q = [number(law(s.yp), case, j) for j in labels] + [number(law(s.y), case, y)]
    # What is never drawn weighs nothing, whatever its weight would be.
    p = [number(margin, case, j) if can_be_drawn[j] else 0.0 for j in labels]
    if case.scheme.hard is not None:
        p = [number(symbolic.known, case, j) + drawn for j, drawn in zip(labels, p, strict=True)]
    return np.array([*q, *p, number(symbolic.kept, case, y) if can_be_drawn[y] else 0.0])


def _by_symbols(case: Case) -> Estimate:
    row = _row(case)
    return Estimate(row, 1e-12 * np.abs(row), "q and m w q", "SymPy")


def _by_numbers(case: Case) -> Estimate:
    labels = [*_labels(case), case.problem.positive]
    q = np.exp(case.scheme.sampler.log_law(case.problem))[labels]
    p = np.exp(log_expected_weights(case.scheme, case.problem, case.loss))[labels]
    row = np.concatenate([q, p])
    return Estimate(row, 1e-12 * row, "q and m w q", "NumPy")


def _times(estimate: Estimate, factor: float) -> Estimate:
    return replace(estimate, value=factor * np.asarray(estimate.value), error=factor * np.asarray(estimate.error))


def _with(change: Callable[[Scheme], Scheme]) -> Callable[[Case], Estimate]:
    return lambda case: _by_numbers(replace(case, scheme=change(case.scheme)))


def _hard_with(**change: Any) -> Callable[[Case], Estimate]:
    """The margins in numbers of a scheme with other hard negatives."""

    def changed(scheme: Scheme) -> Scheme:
        return scheme if scheme.hard is None else replace(scheme, hard=replace(scheme.hard, **change))

    return _with(changed)


def _hard_twice(case: Case) -> Estimate:
    assert case.scheme.hard is not None
    return _hard_with(weight=2 * case.scheme.hard.weight)(case)


def _another_hard(case: Case) -> Estimate:
    """T with its last label missing, as if the index had returned one less."""
    problem, hard = case.problem, case.scheme.hard
    assert hard is not None
    return _by_numbers(replace(case, problem=replace(problem, labels=hard.labels(problem)[:-1], index_scores=None)))


def conventions(id: str, statement: str, source: str, cases: CaseList, hard: bool = False) -> Claim:
    """q and the margins by SymPy and by NumPy.  Where labels are ranks (log-uniform) `cases` must have them sorted."""
    of_hard: dict[str, Callable[[Case], Estimate]] = {}
    if hard:
        of_hard = {
            "hard negatives count twice": _hard_twice,
            "draws of hard negatives count again": _hard_with(overlap="keep"),
            "draws of hard negatives have weight 0, and are not drawn again": _hard_with(overlap="mask"),
            "the last hard negative is left out": _another_hard,
        }
    return Claim(
        id,
        statement,
        source,
        (
            Exact(
                "SymPy at 20 digits against NumPy",
                cases,
                _by_symbols,
                _by_numbers,
                {
                    "the weights are 1 % larger in numbers": lambda case: _times(_by_numbers(case), 1.01),
                    "hits are always masked": _with(lambda scheme: replace_hits(scheme, "mask")),
                    "a draw more is made": lambda case: _by_numbers(at_m(case, case.scheme.m + 1)),
                    **of_hard,
                },
                resolution=1e-10,
                uses_prior=False,
            ),
        ),
        (f"at most {MOST_COMPARED} labels of a problem",),
    )


def stated_law(sampler: Sampler, problem: Problem) -> Floats:
    """q, (L,)."""
    return np.exp(sampler.log_law(problem))


def tempered(sampler: Sampler, problem: Problem) -> Floats:
    """q^0.95, normalised: a near miss, unless q is uniform."""
    law = np.exp(0.95 * sampler.log_law(problem))
    return law / law.sum()


def moved(sampler: Sampler, problem: Problem) -> Floats:
    """A fiftieth of q goes to the label that is drawn least: a near miss of every q."""
    law = stated_law(sampler, problem)
    least = int(np.argmin(law))
    return 0.98 * law + 0.02 * (np.arange(law.size) == least)


def drawn(id: str, sampler: Sampler, problem: Problem) -> Claim:
    """The sampler's procedure draws from its stated law."""
    return Claim(
        id,
        "The sampler's procedure draws labels by its stated law.",
        "derived: what every other claim takes for granted",
        (
            Frequencies(
                lambda setting: [(sampler, problem)],
                stated_law,
                {"a fiftieth of the draws goes to the label that is drawn least": moved},
            ),
        ),
    )
