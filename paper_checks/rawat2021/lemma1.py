"""Section 3.1, decoupled losses: Lemma 1."""

from __future__ import annotations

from collections.abc import Callable

import sympy as sp

from implicitloss import symbols as s
from implicitloss.claims.case import Case, Setting
from implicitloss.claims.checks import Identity
from implicitloss.claims.claim import Claim
from implicitloss.claims.statements import lemma1
from implicitloss.losses import Decoupled, Loss, logistic
from implicitloss.samplers import ModelBased, Power, Uniform, WithinBatch
from implicitloss.scheme import HITS, Scheme
from implicitloss.weightings import Constant, Importance, Relative, examples
from paper_checks import cases


def _schemes() -> list[tuple[Scheme, Loss]]:
    """Each weighting once with a sampler of its own kind, and each mode for hits; the grid is for numbers."""
    rows = [(Scheme(WithinBatch(), weighting, m=8, hits="mask"), cases.SOFTMAX) for weighting in examples()]
    rows += [(Scheme(Uniform(), Constant(), m=8, hits=hits), Decoupled(logistic)) for hits in HITS]
    rows += [(Scheme(Power(), Importance(), m=8, hits=hits), cases.SOFTMAX) for hits in HITS]
    rows += [(Scheme(ModelBased(), Relative(), m=8, hits=hits), cases.SOFTMAX) for hits in HITS]
    return rows


def _covering(setting: Setting) -> list[Case]:
    """Negatives all covered, hits excluded or masked: where importance weights can be unbiased."""
    at = cases.problem(setting.prior)
    return list(cases.grid(at, 16, cases.DECOUPLED, hits=("exclude", "mask"), weightings=(Importance(),)))


def _of_one_draw(weight: sp.Expr, power: int = 1) -> Callable[[], list[tuple[str, sp.Expr, sp.Expr]]]:
    """Lemma 1's variance with m draws, times m^power, against that of one draw; the weight of m draws is given."""
    q, pay, k = s.q, sp.Function("phi"), s.k

    def variance(m: sp.Expr) -> sp.Expr:
        w = weight.subs(s.m, m)
        p = m * w * q[k]
        mean = s.over_labels(p * pay(k))
        return s.over_labels(w * p * pay(k) ** 2) - mean**2 / m

    return lambda: [("V(m) m against V(1)", s.m**power * variance(s.m), variance(sp.Integer(1)))]


_ETA = sp.Function("eta")(s.k)

CLAIMS = (
    lemma1.derived("rawat2021.lemma1.derivation", _schemes),
    lemma1.lemma1_mean("rawat2021.lemma1.mean", cases.tiny_decoupled, cases.decoupled),
    lemma1.lemma1_variance_claim("rawat2021.lemma1.variance", cases.tiny_decoupled, cases.decoupled),
    Claim(
        "rawat2021.lemma1.one-over-m",
        "With weights η/m the variance of m draws is 1/m of that of one draw.",
        "Rawat et al. 2021, Lemma 1 (Eq. 10)",
        (
            Identity(
                _of_one_draw(_ETA / s.m),
                {
                    "with weights that do not fall with m too": _of_one_draw(_ETA),
                    "it is 1/m² of it": _of_one_draw(_ETA / s.m, power=2),
                },
                detail="for every L, m, law q, weights η and payments ϕ",
            ),
        ),
        ("the positive is never drawn",),
    ),
    lemma1.lemma1_unbiased("rawat2021.lemma1.unbiased", (Uniform(), WithinBatch(), Power(), ModelBased()), _covering),
)
