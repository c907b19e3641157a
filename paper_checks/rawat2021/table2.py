"""Section 3.2: Table 2 and its decoupled counterpart (Table 3 of the appendix), and Eqs. (13), (14), (16).

Each row is derived in symbols, computed from q and w, and measured: labels are drawn, weighed and counted, with no
margin in sight.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import sympy as sp

from implicitloss import symbols as s
from implicitloss.arguments import as_word
from implicitloss.claims.case import Case, Setting
from implicitloss.claims.checks import Exact, Identity, Simulated
from implicitloss.claims.claim import Claim
from implicitloss.claims.statements.numbers import derivation
from implicitloss.estimate import Estimate
from implicitloss.losses import BinaryLoss, Decoupled, Loss, logistic
from implicitloss.problem import Problem
from implicitloss.samplers import Sampler, Uniform, WithinBatch
from implicitloss.scheme import Hits, Scheme
from implicitloss.theory.implicit import log_expected_weights
from implicitloss.weightings import Constant, Importance, Relative, Tail, Weighting
from paper_checks import cases

Numbers = Callable[[Problem, int], np.ndarray]

M = 8
pi_y, pi_n, L, m = s.pi[s.y], s.pi[s.yp], s.L, s.m


@dataclass(frozen=True)
class Row:
    """One row of the table: the scheme, the printed margin, and false ones that are near it."""

    sampler: Sampler
    weighting: Weighting
    margin: sp.Expr
    wrong: Sequence[tuple[str, sp.Expr]]
    comment: str


ONE = sp.Integer(1)
ROWS = (
    Row(Uniform(), Constant(), 1 / L, [("1/(L - 1), as if hits were excluded", 1 / (L - 1)), ("1", ONE)],
        "softmax with downweighted negatives"),
    Row(Uniform(), Importance(), ONE, [("1/m", 1 / m), ("L/(L - 1)", L / (L - 1))], "softmax cross-entropy"),
    Row(Uniform(), Relative(), m / L, [("1/L, without m", 1 / L), ("m/(L - 1)", m / (L - 1))],
        "softmax with downweighted negatives"),
    Row(Uniform(), Tail(), pi_n / pi_y, [("π_y/π_y'", pi_y / pi_n), ("π_y'", pi_n)], "logit-adjusted loss"),
    Row(WithinBatch(), Constant(), pi_n, [("π_y for π_y'", pi_y), ("m π_y'", m * pi_n), ("1/L", 1 / L)],
        "equalised loss, Eq. (13)"),
    Row(WithinBatch(), Importance(), ONE, [("π_y'", pi_n), ("1/m", 1 / m)], "softmax cross-entropy"),
    Row(WithinBatch(), Relative(), m * pi_y, [("π_y, as Eq. (14) is printed", pi_y), ("m π_y' for m π_y", m * pi_n)],
        "softmax with upweighted head labels, Eq. (14)"),
    Row(WithinBatch(), Tail(), pi_n / pi_y, [("π_y/π_y'", pi_y / pi_n), ("m π_y'/π_y", m * pi_n / pi_y)],
        "logit-adjusted loss, Eq. (16)"),
)  # fmt: skip

# Counting: the positive pays nothing, a negative pays its score; with scores 1 on some labels and 0 elsewhere the
# sampled loss is the total weight that fell on them.
COUNT = Decoupled(
    BinaryLoss(
        "count",
        phi=lambda z: sp.Integer(0),
        varphi=lambda z: -z,
        positive=lambda f: 0.0 * f,
        negative=lambda f: np.asarray(f, dtype=np.float64),
        slope=lambda f: np.ones_like(f),
        positive_slope=lambda f: np.zeros_like(f),
    )
)


def scheme(row: Row, hits: Hits = "mask") -> Scheme:
    return Scheme(row.sampler, row.weighting, m=M, hits=hits)


def _derived(row: Row, loss: Loss, margin: sp.Expr) -> Callable[[], list[tuple[str, sp.Expr, sp.Expr]]]:
    return lambda: [(f"{row.sampler}, {row.weighting}: p_yy'", derivation(scheme(row), loss).margin, margin)]


def _counted(row: Row, hits: Hits = "mask") -> Callable[[Setting], list[Case]]:
    """The weight that falls on each slice of labels, for a frequent, a middling and a rare positive."""

    def counted(setting: Setting) -> list[Case]:
        found = []
        for rank in (0.02, 0.5, 0.98):
            y = cases.problem(setting.prior, "bounded", rank).positive
            for name, labels in setting.prior.slices().items():
                scores = np.zeros(setting.prior.n_labels)
                scores[labels] = 1.0
                if labels.size > 1 or labels[0] != y:
                    found.append(
                        Case(scheme(row, hits), COUNT, Problem(scores, setting.prior, y), f"weight on the {name}")
                    )
        return found

    return counted


def margins_of(margin: sp.Expr) -> Numbers:
    """A margin in symbols as numbers p_yy', (L,), y fixed: the one door from these symbols to NumPy."""
    own, other = sp.symbols("own other", positive=True)
    function = sp.lambdify((own, other, L, m), margin.subs({pi_y: own, pi_n: other}), modules="numpy")

    def numbers(problem: Problem, draws: int) -> np.ndarray:
        prior = problem.prior.probabilities
        return np.broadcast_to(function(prior[problem.positive], prior, prior.size, draws), prior.shape)

    return numbers


def _on_slice(margin: sp.Expr) -> Callable[[Case], float]:
    """Σ p_yy' over the negatives of the slice."""
    numbers = margins_of(margin)

    def total(case: Case) -> float:
        inside = case.problem.scores > 0
        inside[case.problem.positive] = False
        return float(numbers(case.problem, case.scheme.m)[inside].sum())

    return total


def _row_of(case: Case) -> Estimate:
    """m w q of every negative, from the scheme's numbers."""
    p = np.exp(log_expected_weights(case.scheme, case.problem))
    p[case.problem.positive] = 0.0
    return Estimate(p, 1e-12 * p, "margins", "m w q")


def _row_claimed(margin: sp.Expr) -> Callable[[Case], np.ndarray]:
    numbers = margins_of(margin)

    def row(case: Case) -> np.ndarray:
        p = np.array(numbers(case.problem, case.scheme.m))
        p[case.problem.positive] = 0.0
        return p

    return row


def _five_percent(margin: sp.Expr) -> Callable[[Case], float]:
    exact = _on_slice(margin)
    return lambda case: 0.05 * exact(case)


def _claim(row: Row, loss: Loss, id: str, table: str, source: str) -> Claim:
    wrong = {f"p_yy' = {name}": margin for name, margin in row.wrong}
    sampler, weighting = _words(row)
    # Published losses are named over a softmax; a decoupled one has their margins.
    known = row.comment if loss.has_log else f"margins of: {row.comment}"
    off = "p_yy' is 5 % larger"
    return Claim(
        id,
        f"{table}: {sampler} negatives with {weighting} weights have p_yy' = {s.spoken(row.margin)} ({known}).",
        source,
        (
            Identity(
                _derived(row, loss, row.margin), {name: _derived(row, loss, margin) for name, margin in wrong.items()}
            ),
            Exact(
                "m w q in numbers",
                _counted(row),
                _row_of,
                _row_claimed(row.margin),
                {name: _row_claimed(margin) for name, margin in wrong.items()},
            ),
            Simulated(
                _counted(row),
                _on_slice(row.margin),
                _five_percent(row.margin),
                {off: lambda case: 1.05 * _on_slice(row.margin)(case)},
                method="labels drawn, weighed and counted",
                budget=40_000_000,
            ),
        ),
        ("hits masked: the unconditional q is then exact",),
    )


def _words(row: Row) -> tuple[str, str]:
    return as_word(type(row.sampler)), as_word(type(row.weighting))


def _name(row: Row) -> str:
    return "-".join(_words(row))


# --- hits excluded or kept: the same rows under the other two conventions ---------------------------------------------

EXCLUDED = {
    "uniform-constant": (1 / (L - 1), 1 / L),
    "uniform-importance": (ONE, (L - 1) / L),
    "uniform-relative": (m / (L - 1), m / L),
    "uniform-tail": (pi_n / pi_y, pi_n),
    "within-batch-constant": (pi_n / (1 - pi_y), pi_n),
    "within-batch-importance": (ONE, 1 - pi_y),
    "within-batch-relative": (m * pi_y / (1 - pi_y), m * pi_y),
    "within-batch-tail": (pi_n / pi_y, pi_n / pi_y / (1 - pi_y)),
}
KEPT_SOFTMAX = {
    "uniform-constant": (1 / (L + 1), 1 / L),
    "uniform-importance": (ONE / 2, ONE),
    "uniform-relative": (m / (L + m), m / L),
    "uniform-tail": (pi_n / (2 * pi_y), pi_n / pi_y),
    "within-batch-constant": (pi_n / (1 + pi_y), pi_n),
    "within-batch-importance": (ONE / 2, ONE),
    "within-batch-relative": (m * pi_y / (1 + m * pi_y), m * pi_y),
    "within-batch-tail": (pi_n / (2 * pi_y), pi_n / pi_y),
}


def _all(
    table: dict[str, tuple[sp.Expr, sp.Expr]], hits: Hits, which: int
) -> Callable[[], list[tuple[str, sp.Expr, sp.Expr]]]:
    def pairs() -> list[tuple[str, sp.Expr, sp.Expr]]:
        # A near miss differs in every row but one at a time: rows equal by accident would hide a wrong one.
        return [
            (_name(row), derivation(scheme(row, hits), cases.SOFTMAX).margin, table[_name(row)][which]) for row in ROWS
        ]

    return pairs


def _one_wrong(
    table: dict[str, tuple[sp.Expr, sp.Expr]], hits: Hits, name: str
) -> Callable[[], list[tuple[str, sp.Expr, sp.Expr]]]:
    row = next(row for row in ROWS if _name(row) == name)
    return lambda: [(name, derivation(scheme(row, hits), cases.SOFTMAX).margin, table[name][1])]


def _hits_claim(id: str, hits: Hits, table: dict[str, tuple[sp.Expr, sp.Expr]], statement: str) -> Claim:
    return Claim(
        id,
        statement,
        "derived: p = m w q with the law and the hits as they are; "
        "Rawat et al. 2021, Remark 1, leave it to their appendix",
        (
            Identity(
                _all(table, hits, 0),
                {f"{name}: p_yy' = {s.spoken(table[name][1])}": _one_wrong(table, hits, name) for name in table},
            ),
        ),
    )


CLAIMS = (
    *(
        _claim(row, cases.SOFTMAX, f"rawat2021.table2.{_name(row)}", "Table 2", "Rawat et al. 2021, Table 2")
        for row in ROWS
    ),
    *(
        _claim(
            row,
            Decoupled(logistic),
            f"rawat2021.table3.{_name(row)}",
            "Table 2 for decoupled losses",
            "derived: p = m w q, Lemma 1; Rawat et al. 2021, Table 3 (appendix)",
        )
        for row in ROWS
    ),
    _hits_claim(
        "rawat2021.table2.hits-excluded",
        "exclude",
        EXCLUDED,
        "Table 2 with hits excluded: draws and weights that divide by q use q_y'/(1 - q_y).",
    ),
    _hits_claim(
        "rawat2021.table2.hits-kept",
        "keep",
        KEPT_SOFTMAX,
        "Table 2 with hits kept: softmax margins are divided by 1 + c_y, c_y = m w_yy q_y.",
    ),
)
