"""Symbols and numbers mean the same: every sampler, weighting, target and mode for hits, as SymPy and NumPy have it."""

from __future__ import annotations

import numpy as np
import sympy as sp

from implicitloss import symbols as s
from implicitloss.claims.case import Case, Setting
from implicitloss.claims.statements.conventions import conventions
from implicitloss.claims.statements.payments import payments
from implicitloss.labels import LabelPrior
from implicitloss.losses import Decoupled, Loss, cosine_contrastive, hinge, logistic, squared_hinge
from implicitloss.margins import Adaptive, Margin, examples
from implicitloss.problem import Problem
from implicitloss.samplers import Uniform
from implicitloss.scheme import Scheme
from implicitloss.weightings import Constant, ForMargin
from paper_checks import cases


def _grid(setting: Setting) -> list[Case]:
    """Four labels, the most frequent first (as the log-uniform law has them); every target margin too."""
    at = cases.tiny_problem()
    schemes = list(cases.grid(at, 3, [cases.SOFTMAX]))
    every: list[Margin] = [*examples(), Adaptive(0.25, "printed")]
    for target in every:
        for hits in ("mask", "keep"):
            schemes.append(Case(Scheme(Uniform(), ForMargin(target), m=3, hits=hits), cases.SOFTMAX, at))  # type: ignore[arg-type]
    return schemes


def _max0(expression: sp.Expr) -> sp.Expr:
    return sp.Max(0, expression)


# φ(f_y) and ϕ(-f_y') as the papers write them; softmax pays e^{f_y' - f_y}, the contrastive loss [f_y' - ρ]_+².
_own, _other = s.f[s.y], s.f[s.yp]
PUBLISHED: tuple[tuple[Loss, sp.Expr, sp.Expr], ...] = (
    (cases.SOFTMAX, sp.Integer(0), sp.exp(_other - _own)),
    (Decoupled(logistic), sp.log(1 + sp.exp(-_own)), sp.log(1 + sp.exp(_other))),
    (Decoupled(hinge), _max0(1 - _own), _max0(1 + _other)),
    (Decoupled(squared_hinge), _max0(1 - _own) ** 2, _max0(1 + _other) ** 2),
    (Decoupled(cosine_contrastive(-1.5)), (1 - _own) ** 2, _max0(_other + sp.Rational(3, 2)) ** 2),
    (Decoupled(cosine_contrastive(0.0)), (1 - _own) ** 2, _max0(_other) ** 2),
)


def _payments(setting: Setting) -> list[Case]:
    """Every loss at scores near and far on both sides of every kink, for positives there too."""
    scores = np.array([-300.0, -45.0, -3.1, -1.3, -0.6, -0.05, 0.05, 0.4, 0.9, 1.7, 45.0, 300.0])
    prior = LabelPrior.from_counts(np.arange(scores.size, 0, -1))
    scheme = Scheme(Uniform(), Constant(), m=1, hits="mask")
    return [
        Case(scheme, loss, Problem(scores, prior, y))
        for loss, _, _ in PUBLISHED
        for y in range(scores.size)
        if abs(scores[y]) < 4
    ]


CLAIMS = (
    conventions(
        "rawat2021.conventions",
        "Every sampler, weighting, target margin and mode for hits means the same in symbols and in numbers.",
        "Rawat et al. 2021, Table 1, Eqs. (15) and (16); modes for hits: derived",
        _grid,
    ),
    payments(
        "rawat2021.payments",
        "Every loss makes positives and negatives pay as written, in symbols and in numbers, with the slopes of that.",
        "Rawat et al. 2021, Eqs. (4), (5) and section 5.1",
        _payments,
        PUBLISHED,
    ),
)
