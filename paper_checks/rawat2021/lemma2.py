"""Section 3.1, softmax: Lemma 2, the remarks after it, and what kept hits do."""

from __future__ import annotations

from implicitloss.check import Case, Setting
from implicitloss.statements import gradient, lemma2
from implicitloss.weightings import Importance
from paper_checks import cases


def _wide_gaps(setting: Setting) -> list[Case]:
    """Few negatives, so that a simulation can tell the loss from its bound."""
    at_four = [case for case in cases.not_degenerate(cases.softmax)(setting) if case.where]
    return [case for case in at_four if not isinstance(case.scheme.weighting, Importance)][::4]


def _scored(setting: Setting) -> list[Case]:
    return [case for case in cases.softmax(setting) if case.where][::6]


def _kept(setting: Setting) -> list[Case]:
    return [case for case in cases.softmax(setting) if case.scheme.hits == "keep"]


def _tiny_kept(setting: Setting) -> list[Case]:
    return [case for case in cases.tiny_softmax(setting) if case.scheme.hits == "keep"]


def _importance_excluded(setting: Setting) -> list[Case]:
    return [case for case in cases.ladder_cases((Importance(),))(setting) if case.scheme.hits == "exclude"]


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
    gradient.gradient_rate("rawat2021.lemma2.gradient", _importance_excluded),
)
