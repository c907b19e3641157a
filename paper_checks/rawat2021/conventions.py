"""Symbols and numbers mean the same: every sampler, weighting, target and mode for hits, as SymPy and NumPy have it.

`integrate`, `exhaust` and `simulate` weigh by the numbers and `derive` by the symbols; here the two meet.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import sympy as sp

from implicitloss import symbols as s
from implicitloss.check import Case, Exact, Setting
from implicitloss.claim import Claim
from implicitloss.estimate import Estimate
from implicitloss.implicit import log_expected_weights
from implicitloss.labels import Floats
from implicitloss.margins import Adaptive, Margin, targets
from implicitloss.problem import Problem
from implicitloss.samplers import Uniform
from implicitloss.scheme import Scheme
from implicitloss.weightings import ForMargin
from paper_checks import cases


@dataclass(frozen=True)
class Symbolic:
    """m w_yy' q_y' of a scheme in symbols, for a negative and for the positive itself (0 unless hits are kept)."""

    scheme: Scheme

    @property
    def margin(self) -> sp.Expr:
        return self._expected(s.yp)

    @property
    def kept(self) -> sp.Expr:
        return self._expected(s.y) if self.scheme.hits == "keep" else sp.Integer(0)

    def _expected(self, label: sp.Expr) -> sp.Expr:
        law = self.scheme.sampler.law
        rest = 1 - law(s.y) if self.scheme.hits == "exclude" else sp.Integer(1)
        weight = self.scheme.weighting.weight(lambda yp: law(yp) / rest, law, label)
        return s.m * weight * law(label) / rest


def number(expression: sp.Expr, problem: Problem, m: int, negative: int, q: Floats | None) -> float:
    """An expression in the symbols at a problem, labels counted from 1: sums are written out, then numbers put in."""
    n_labels = problem.prior.n_labels
    at = {s.L: n_labels, s.y: problem.positive + 1, s.yp: negative + 1, s.m: m}
    written = sp.sympify(expression).subs(at).doit()
    vectors = {s.pi: problem.prior.probabilities, s.f: problem.scores, s.n: problem.prior.counts, s.q: q}
    values = {}
    for entry in written.atoms(sp.Indexed):
        vector = vectors[entry.base]
        assert vector is not None
        values[entry] = sp.Float(float(vector[int(entry.indices[0]) - 1]), 30)
    return float(sp.N(written.xreplace(values), 20))


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


def _grid(setting: Setting) -> list[Case]:
    """Four labels, the most frequent first (as the log-uniform law has them); every target margin too."""
    at = cases.tiny_problem()
    schemes = list(cases.grid(at, 3, [cases.SOFTMAX]))
    every: list[Margin] = [*targets(), Adaptive(0.25, "printed")]
    for target in every:
        for hits in ("mask", "keep"):
            schemes.append(Case(Scheme(Uniform(), ForMargin(target), m=3, hits=hits), cases.SOFTMAX, at))  # type: ignore[arg-type]
    return schemes


def _with(change: Callable[[Case], Case]) -> Callable[[Case], Estimate]:
    return lambda case: _by_numbers(change(case))


def _one_more(case: Case) -> Case:
    return replace(case, scheme=Scheme(case.scheme.sampler, case.scheme.weighting, m=4, hits=case.scheme.hits))


def _masked(case: Case) -> Case:
    return replace(case, scheme=Scheme(case.scheme.sampler, case.scheme.weighting, m=3, hits="mask"))


CLAIMS = (
    Claim(
        "rawat2021.conventions",
        "Every sampler, weighting, target margin and mode for hits means the same in symbols and in numbers.",
        "Rawat et al. 2021, Table 1, Eqs. (15) and (16); modes for hits: derived",
        (
            Exact(
                "SymPy at 20 digits against NumPy, four labels",
                _grid,
                _by_symbols,
                _by_numbers,
                {"hits are always masked": _with(_masked), "a draw more is made": _with(_one_more)},
                resolution=1e-10,
                uses_prior=False,
            ),
        ),
        ("four labels, m = 3",),
    ),
)
