"""Section 3.1: Theorem 3, its remainder, its reach."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import sympy as sp

from implicitloss import symbols as s
from implicitloss.claims.checks import Identity
from implicitloss.claims.claim import Claim
from implicitloss.claims.statements import theorem3
from implicitloss.weightings import Constant, Importance, Relative, Tail, Unit, Weighting
from paper_checks import cases


def _partition(weighting: Weighting) -> Callable[[], list[tuple[str, sp.Expr, sp.Expr]]]:
    """μ = e^{f_y} + Σ_{y' != y} q η e^{f_y'}, η = m w, against Z = Σ_k e^{f_k}."""

    def law(yp: sp.Expr) -> sp.Expr:
        return s.q[yp]

    eta = s.m * weighting.weight(law, law, s.k)
    mu = sp.exp(s.f[s.y]) + s.over_negatives(law(s.k) * eta * sp.exp(s.f[s.k]), s.k)
    return lambda: [(f"μ with {weighting} against Σ_k e^{{f_k}}", mu, s.over_labels(sp.exp(s.f[s.k])))]


def _as_many(weightings: Sequence[Weighting]) -> Callable[[], list[tuple[str, sp.Expr, sp.Expr]]]:
    """p_yy'/q_y' = m w_yy' with another number of draws, against that with m."""

    def law(yp: sp.Expr) -> sp.Expr:
        return s.q[yp]

    ratios = [(str(weighting), s.m * weighting.weight(law, law, s.yp)) for weighting in weightings]
    return lambda: [
        (name, ratio.subs(s.m, sp.Symbol("m'", integer=True, positive=True)), ratio) for name, ratio in ratios
    ]


CLAIMS = (
    theorem3.theorem3_leading("rawat2021.theorem3.leading", cases.ladder_cases(), cases.ladder_cases(m=16)),
    theorem3.theorem3_remainder("rawat2021.theorem3.remainder", cases.ladder_cases()),
    Claim(
        "rawat2021.theorem3.partition",
        "Under importance weights μ = e^{f_y} + E_q[η e^{f_y'}] is the partition function Σ_k e^{f_k}.",
        "Rawat et al. 2021, after Theorem 3",
        (
            Identity(
                _partition(Importance()),
                {
                    "μ is the partition function under constant weights too": _partition(Constant()),
                    "... and under weights of 1": _partition(Unit()),
                },
            ),
        ),
        ("the positive is never drawn, q > 0 on the negatives",),
    ),
    Claim(
        "rawat2021.theorem3.form",
        "For constant, importance and tail weights p_yy'/q_y' is independent of m, as weights η/m have it.",
        "Rawat et al. 2021, after Theorem 3",
        (
            Identity(
                _as_many((Constant(), Importance(), Tail())),
                {
                    "for relative weights too": _as_many((Relative(),)),
                    "for weights of 1 too": _as_many((Unit(),)),
                },
                detail="for every L, m and law q",
            ),
        ),
        ("q > 0 on the negatives",),
    ),
    theorem3.theorem3_outside("rawat2021.theorem3.outside", cases.ladder_cases((Relative(), Unit()))),
)
