"""Sections 2.1, 4.1 and 4.2: which losses (4), (13) and (14) are, in the symbols."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import sympy as sp

from implicitloss import symbols as s
from implicitloss.claims.case import Setting
from implicitloss.claims.checks import Exact, Identity
from implicitloss.claims.claim import Claim
from implicitloss.estimate import Estimate
from implicitloss.labels import Floats, LabelPrior
from implicitloss.margins import Equalised, Softmax
from implicitloss.optima.population import by_newton
from implicitloss.samplers import Uniform, WithinBatch
from implicitloss.scheme import Scheme
from implicitloss.weightings import Constant, ForMargin, Relative, Weighting
from implicitloss.witness.derive import derive
from paper_checks import cases
from paper_checks.rawat2021.section4 import OPTIMUM, TWENTY

Row = tuple[str, sp.Expr, sp.Expr]

_power = sp.Symbol("a", positive=True)


def _pairwise(margin: sp.Expr) -> sp.Expr:
    """e^ℓ of the pairwise-margin loss (6)."""
    return 1 + s.over_negatives(margin * sp.exp(s.f[s.k] - s.f[s.y]), s.k)


# --- (4) is a log-loss ----------------------------------------------------------------------------------------------


def _log_loss(model: Callable[[sp.Expr], sp.Expr]) -> Callable[[], list[Row]]:
    """1/p_y of a model p_k ∝ model(k), against e^ℓ by (4)."""
    total = s.over_labels(model(s.k))
    return lambda: [("1/p_y and e^ℓ by (4)", total / model(s.y), s.over_labels(sp.exp(s.f[s.k] - s.f[s.y])))]


@dataclass(frozen=True, eq=False)
class _Drawn:
    """Probabilities η that were drawn at random."""

    eta: Floats
    seed: int

    def __str__(self) -> str:
        return f"η of {self.eta.size} labels, draw {self.seed}"


def _eta(setting: Setting) -> list[_Drawn]:
    prior = cases.coarse(setting.prior, TWENTY)
    return [_Drawn(cases.eta(prior, seed), seed) for seed in range(3)]


def _taught(case: _Drawn) -> Estimate:
    """The probabilities that the loss over all labels teaches at η, and Newton's error in them."""
    eta = case.eta
    scheme = Scheme(Uniform(), ForMargin(Softmax()), m=1, hits="mask")
    any_prior = LabelPrior.zipf(eta.size, 1.0)
    odds = np.exp(by_newton(scheme, eta, any_prior, "implicit"))
    return Estimate(odds / odds.sum(), 2 * OPTIMUM * eta, "probabilities", "Newton's method")


def _squared(case: _Drawn) -> Floats:
    return np.asarray(case.eta**2 / np.sum(case.eta**2))


# --- (13), (14) are of the form (6) ---------------------------------------------------------------------------------


def _of_form(*rows: tuple[Weighting, sp.Expr]) -> Callable[[], list[Row]]:
    """e^ℓ of the implicit loss that is derived from within-batch draws, hits masked, against (6) with given margins."""

    def pairs() -> list[Row]:
        found = []
        for weighting, margin in rows:
            derived = derive(Scheme(WithinBatch(), weighting, m=4, hits="mask"), cases.SOFTMAX)
            found.append((str(weighting), _pairwise(derived.margin.xreplace({s.yp: s.k})), _pairwise(margin)))
        return found

    return pairs


def _equalised(power: sp.Expr, label: sp.Expr = s.k) -> Callable[[], list[Row]]:
    """e^ℓ of the equalised loss of F(π) = π^a as its paper writes it, against (6) with the library's margins."""
    own = sp.exp(s.f[s.y])
    written = (own + s.over_negatives(s.pi[s.k] ** power * sp.exp(s.f[s.k]), s.k)) / own
    return lambda: [("F(π) = π^a", written, _pairwise(Equalised(_to_the_power).margin(label)))]


def _to_the_power(x: sp.Expr) -> sp.Expr:
    return x**_power


CLAIMS = (
    Claim(
        "rawat2021.section2.log-loss",
        "(4) is the log-loss -log p_y of the model p_k ∝ e^{f_k}, and so it teaches p = η.",
        "Rawat et al. 2021, section 2.1, after Eq. (4)",
        (
            Identity(
                _log_loss(lambda label: sp.exp(s.f[label])),
                {
                    "the model is p_k ∝ f_k": _log_loss(lambda label: s.f[label]),
                    "the model is p_k ∝ π_k e^{f_k}": _log_loss(lambda label: s.pi[label] * sp.exp(s.f[label])),
                },
                whole=False,
            ),
            Exact(
                "the optimum",
                _eta,
                _taught,
                lambda case: case.eta,
                {
                    "it teaches p ∝ η²": _squared,
                    "it teaches p = 1/L": lambda case: np.full(case.eta.size, 1 / case.eta.size),
                },
                resolution=1e-5,
                detail="Newton's method on the loss over all labels",
            ),
        ),
    ),
    Claim(
        "rawat2021.section4.forms",
        "Implicit losses of within-batch negatives are of the form (6): (13) of constant weights has p_yy' = π_y', and "
        "is equalised; (14) of relative weights has p_yy' = m π_y, which is the same for all negatives of y, as in "
        "adaptive losses.",
        "Rawat et al. 2021, sections 4.1 and 4.2, Eqs. (6), (13) and (14)",
        (
            Identity(
                _of_form((Constant(), Equalised().margin(s.k)), (Relative(), s.m * s.pi[s.y])),
                {
                    "(13) has p_yy' = π_y": _of_form((Constant(), s.pi[s.y])),
                    "(14) has p_yy' = m π_y'": _of_form((Relative(), s.m * s.pi[s.k])),
                    "(14) has p_yy' = π_y, as printed": _of_form((Relative(), s.pi[s.y])),
                },
                detail="for every L, m and prior",
            ),
        ),
        ("hits masked", "softmax"),
    ),
    Claim(
        "rawat2021.section2.equalised",
        "Equalised losses with F(π) = π^a are of the form (6), p_yy' = F(π_y'), for every a > 0.",
        "Rawat et al. 2021, section 2.1; Tan et al. 2020",
        (
            Identity(
                _equalised(_power),
                {
                    "p_yy' = F(π_y)": _equalised(_power, s.y),
                    "it is (6) with the margins of F(π) = π^a where F(π) = π^2a": _equalised(2 * _power),
                },
                detail="for every L, prior and a > 0",
            ),
        ),
    ),
)
