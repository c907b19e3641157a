"""What positives and negatives pay, and the slopes, mean the same in symbols and in numbers.

So a payment that is wrong in numbers is the same in all numeric witnesses, and only here does it show.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import sympy as sp

from implicitloss import symbols as s
from implicitloss.claims.case import Case
from implicitloss.claims.checks import Exact, Identity
from implicitloss.claims.claim import Claim
from implicitloss.claims.statements.numbers import CaseList, kept_per_case
from implicitloss.estimate import Estimate
from implicitloss.labels import Floats
from implicitloss.losses import Loss

__all__ = ["exact_number", "exactly", "payments"]


def exactly(expression: sp.Expr, case: Case, label: int, digits: int = 200) -> sp.Expr:
    """An expression in f_y and f_y' at a case, y' = `label`, with its scores as exact fractions, to so many digits.

    The digits are many because log(1 + e^f) at f = -300 begins at the 131st.
    """
    scores, y = case.problem.scores, case.problem.positive
    at = {s.f[s.y]: sp.Rational(float(scores[y])), s.f[s.yp]: sp.Rational(float(scores[label]))}
    return sp.N(sp.sympify(expression).xreplace(at), digits)


def exact_number(expression: sp.Expr, case: Case, label: int) -> float:
    """The exact number, rounded to a float."""
    return float(exactly(expression, case, label))


def _slope(term: sp.Expr, at: sp.Expr) -> sp.Expr:
    """The derivative in the score `at`."""
    score = sp.Symbol("score", real=True)
    return sp.diff(sp.sympify(term).xreplace({at: score}), score).xreplace({score: at})


# Where the outer functions are compared.
TOTAL = 0.75


@kept_per_case
def _paid_by_symbols(case: Case) -> Floats:
    """What each label pays as a negative and its slope, φ(f_y) and its slope, the outer function at `TOTAL`; SymPy."""
    loss, y = case.loss, case.problem.positive
    labels = [j for j in range(case.problem.scores.size) if j != y]
    pays, positive = loss.payment(s.yp), loss.positive_term()
    slope = _slope(pays, s.f[s.yp])
    return np.array(
        [exact_number(pays, case, j) for j in labels]
        + [exact_number(slope, case, j) for j in labels]
        + [exact_number(loss.payment(s.y), case, y), exact_number(positive, case, y)]
        + [exact_number(_slope(positive, s.f[s.y]), case, y), exact_number(loss.outer(sp.Rational(TOTAL)), case, y)]
    )


def _paid_by_numbers(
    case: Case, *, sign: float = 1.0, size: float = 1.0, steep: float = 1.0, like_a_negative: bool = False
) -> Estimate:
    """Payments and slopes as NumPy computes them; each argument makes one mistake, for a near miss.

    `sign` = -1 flips the scores, `size` scales the payments, `steep` the slopes, and with `like_a_negative` the
    positive pays what a negative with its score pays.
    """
    loss, scores, y = case.loss, sign * case.problem.scores, case.problem.positive
    others, f_y = np.arange(scores.size) != y, float(case.problem.scores[y])
    pays = size * np.exp(loss.log_payment(scores, y))
    positive = float(pays[y]) if like_a_negative else loss.positive_pays(f_y)
    outer = np.log1p(TOTAL) if loss.has_log else TOTAL
    rest = [pays[y], positive, loss.positive_slope(f_y), outer]
    row = np.concatenate([pays[others], steep * loss.payment_slope(case.problem.scores, y)[others], rest])
    return Estimate(row, 1e-12 * np.abs(row), "payments and slopes", "NumPy")


def payments(
    id: str, statement: str, source: str, cases: CaseList, published: Sequence[tuple[Loss, sp.Expr, sp.Expr]]
) -> Claim:
    """What positives and negatives pay, and the slopes, as published, by SymPy and by NumPy.

    `published` has φ(f_y) and ϕ(-f_y') of each loss, written out.  No score of `cases` may lie at a kink.
    """

    def written(sign: int = 1) -> list[tuple[str, sp.Expr, sp.Expr]]:
        rows = []
        for loss, positive, negative in published:
            turned = negative.subs(s.f[s.yp], sign * s.f[s.yp])
            rows += [(f"{loss.name}: φ(f_y)", loss.positive_term(), positive)]
            rows += [(f"{loss.name}: ϕ(-f_y')", loss.payment(s.yp), turned)]
        return rows

    turned = "a negative pays ϕ(f), the sign turned"

    def by_symbols(case: Case) -> Estimate:
        row = _paid_by_symbols(case)
        return Estimate(row, 1e-12 * np.abs(row), "payments and slopes", "SymPy")

    return Claim(
        id,
        statement,
        source,
        (
            Identity(written, {turned: partial(written, -1)}, detail="as written out", whole=False),
            Exact(
                "SymPy at 200 digits against NumPy",
                cases,
                by_symbols,
                _paid_by_numbers,
                {
                    turned: partial(_paid_by_numbers, sign=-1.0),
                    "a negative pays 3 % less": partial(_paid_by_numbers, size=0.97),
                    "the slopes are half as steep": partial(_paid_by_numbers, steep=0.5),
                    "the positive pays as a negative does": partial(_paid_by_numbers, like_a_negative=True),
                },
                resolution=1e-10,
                uses_prior=False,
                detail="payments and their derivatives",
            ),
        ),
        ("scores off the kinks of the losses, where a slope is one number",),
    )
