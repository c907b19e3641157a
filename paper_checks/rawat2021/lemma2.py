"""Section 3.1, softmax: Lemma 2, the remarks after it, and what kept hits do."""

from __future__ import annotations

from implicitloss.claims.case import Case, Setting
from implicitloss.claims.statements import gradient, lemma2
from implicitloss.claims.statements.numbers import integrated
from implicitloss.samplers import LogUniform, Mixture, Power, Uniform
from implicitloss.scheme import Scheme
from implicitloss.weightings import Importance
from paper_checks import cases


def _wide_gaps(setting: Setting) -> list[Case]:
    """The grid at four negatives, where the gap is wide enough for a simulation to tell the loss from its bound."""
    few = cases.grid(cases.problem(setting.prior), 4, [cases.SOFTMAX])
    return [case for case in few if not cases.is_degenerate(case) and float(integrated(case, "gap")) > 0.02]


def _scored(setting: Setting) -> list[Case]:
    return [case for case in cases.softmax(setting) if case.where][::6]


def _kept(setting: Setting) -> list[Case]:
    return [case for case in cases.softmax(setting) if case.scheme.hits == "keep"]


def _tiny_kept(setting: Setting) -> list[Case]:
    return [case for case in cases.tiny_softmax(setting) if case.scheme.hits == "keep"]


def _importance(setting: Setting) -> list[Case]:
    """Importance weights and excluded hits, four samplers, a frequent and a rare positive."""
    return [
        Case(
            Scheme(sampler, Importance(), m=16, hits="exclude"), cases.SOFTMAX, cases.problem(setting.prior, rank=rank)
        )
        for sampler in (Uniform(), Power(), Mixture(), LogUniform())
        for rank in (0.1, 0.7)
    ]


def _tiny_importance(setting: Setting) -> list[Case]:
    return [
        case for case in cases.tiny_softmax(setting) if case.scheme.hits == "exclude" and _weighs_by_importance(case)
    ]


def _weighs_by_importance(case: Case) -> bool:
    return isinstance(case.scheme.weighting, Importance)


CLAIMS = (
    lemma2.lemma2_bound("rawat2021.lemma2.bound", cases.tiny_softmax, cases.softmax),
    lemma2.lemma2_gap(
        "rawat2021.lemma2.gap",
        cases.not_degenerate(cases.tiny_softmax),
        cases.not_degenerate(cases.softmax),
        _wide_gaps,
    ),
    lemma2.lemma2_equality("rawat2021.lemma2.equality", _scored),
    lemma2.hits("rawat2021.lemma2.kept-hits", _tiny_kept, _kept),
    gradient.gradient_rate("rawat2021.lemma2.gradient", _tiny_importance, _importance, _importance),
)
