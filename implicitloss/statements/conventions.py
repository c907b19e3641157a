"""Symbols and numbers mean the same: `derive` weighs by the symbols, the other witnesses by the numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import sympy as sp

from implicitloss import symbols as s
from implicitloss.check import Case, Exact, Frequencies
from implicitloss.claim import Claim
from implicitloss.estimate import Estimate
from implicitloss.implicit import log_expected_weights
from implicitloss.labels import Floats
from implicitloss.problem import Problem
from implicitloss.samplers import Sampler
from implicitloss.scheme import Scheme
from implicitloss.statements.numbers import CaseList, at_m, replace_hits


@dataclass(frozen=True)
class Symbolic:
    """m w_yy' q_y' of a scheme in symbols, for a negative and for the positive itself (0 unless hits are kept)."""

    scheme: Scheme

    @property
    def margin(self) -> sp.Expr:
        """For the negative y'."""
        return self._expected(s.yp)

    @property
    def kept(self) -> sp.Expr:
        """c_y, for the positive."""
        return self._expected(s.y) if self.scheme.hits == "keep" else sp.Integer(0)

    def _expected(self, label: sp.Expr) -> sp.Expr:
        law = self.scheme.sampler.law
        rest = 1 - law(s.y) if self.scheme.hits == "exclude" else sp.Integer(1)
        weight = self.scheme.weighting.weight(lambda yp: law(yp) / rest, law, label)
        return s.m * weight * law(label) / rest


def number(expression: sp.Expr, problem: Problem, m: int, negative: int, q: Floats | None) -> float:
    """An expression in the symbols at a problem, labels counted from 1: sums are written out, then numbers put in.

    *Raises* ValueError for a symbol that means nothing at a problem.
    """
    n_labels = problem.prior.n_labels
    at = {s.L: n_labels, s.y: problem.positive + 1, s.yp: negative + 1, s.m: m}
    written = sp.sympify(expression).subs(at).doit()
    vectors = {s.pi: problem.prior.probabilities, s.f: problem.scores, s.n: problem.prior.counts, s.q: q}
    values = {}
    for entry in written.atoms(sp.Indexed):
        vector = vectors.get(entry.base)
        if vector is None:
            raise ValueError(f"{entry} in {s.text(sp.sympify(expression))} has no value at this problem")
        values[entry] = sp.Float(float(vector[int(entry.indices[0]) - 1]), 30)
    value = sp.N(written.xreplace(values), 20)
    if not value.is_number:
        raise ValueError(f"{s.text(sp.sympify(expression))} is no number at this problem, but {value}")
    return float(value)


@cache
def _row(case: Case) -> Floats:
    """m w q by the symbols, (L,)."""
    problem, scheme = case.problem, case.scheme
    q = getattr(scheme.sampler, "q", None)
    symbolic = Symbolic(scheme)
    row = [
        number(symbolic.margin, problem, scheme.m, j, q) for j in range(problem.prior.n_labels) if j != problem.positive
    ]
    return np.insert(np.array(row), problem.positive, number(symbolic.kept, problem, scheme.m, 0, q))


def _by_symbols(case: Case) -> Estimate:
    row = _row(case)
    return Estimate(row, 1e-13 * np.abs(row), "m w q", "SymPy")


def _by_numbers(case: Case) -> Estimate:
    row = np.exp(log_expected_weights(case.scheme, case.problem))
    return Estimate(row, 1e-13 * row, "m w q", "NumPy")


def _times(estimate: Estimate, factor: float) -> Estimate:
    return replace(estimate, value=factor * np.asarray(estimate.value), error=factor * np.asarray(estimate.error))


def _with(change: Callable[[Scheme], Scheme]) -> Callable[[Case], Estimate]:
    return lambda case: _by_numbers(replace(case, scheme=change(case.scheme)))


def conventions(id: str, statement: str, source: str, cases: CaseList) -> Claim:
    """m w q by SymPy and by NumPy.  `cases` must be few labels, sorted by frequency (as the log-uniform law has it)."""
    return Claim(
        id,
        statement,
        source,
        (
            Exact(
                "SymPy at 20 digits against NumPy, few labels",
                cases,
                _by_symbols,
                _by_numbers,
                {
                    "the weights are 1 % larger in numbers": lambda case: _times(_by_numbers(case), 1.01),
                    "hits are always masked": _with(lambda scheme: replace_hits(scheme, "mask")),
                    "a draw more is made": lambda case: _by_numbers(at_m(case, case.scheme.m + 1)),
                },
                resolution=1e-10,
                uses_prior=False,
            ),
        ),
        ("at most four labels",),
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
