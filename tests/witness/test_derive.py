"""The symbolic witness: derivations whose every line is checked, equal to the numbers, and wrong lines not shown."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import sympy as sp

from implicitloss import LabelPrior, Problem, Scheme, derive, implicit_loss, implicit_margins
from implicitloss import symbols as s
from implicitloss.losses import Decoupled, Loss, SoftmaxCrossEntropy, examples, hinge, logistic
from implicitloss.margins import Adaptive, BalancedSoftmax, Equalised, LogitAdjusted, Softmax
from implicitloss.samplers import (
    Explicit,
    LogUniform,
    MinimumVariance,
    ModelBased,
    Sampler,
    Uniform,
    WithinBatch,
)
from implicitloss.samplers import examples as samplers
from implicitloss.scheme import HITS
from implicitloss.theory.implicit import log_terms
from implicitloss.weightings import Consistent, Constant, ForMargin, Importance, Relative, Tail, Unit, Weighting
from implicitloss.weightings import examples as weightings
from implicitloss.witness.derive import Derivation, named

ValueOf = Callable[..., float]
SOFTMAX, LOGISTIC = SoftmaxCrossEntropy(), Decoupled(logistic)
Q = np.array([0.1, 0.2, 0.3, 0.4])
# Relative weights are undefined where the positive is never drawn.
GRID = [
    (sampler, weighting)
    for sampler in samplers()
    for weighting in weightings()
    if sampler.law(s.y) != 0 or not isinstance(weighting, Consistent)
]
# A derivation costs a good part of a second where sums have to be carried along: these are the cheap ones.
CHEAP = [row for row in GRID if isinstance(row[0], (Uniform, WithinBatch, Explicit))]
M = 3


def in_turn(kept: Callable[[Sampler, int, int], bool]) -> list[Any]:
    """Every row of the grid with every way of hits; those that are not kept are slow, and run with  pytest -m slow."""
    names = list(dict.fromkeys(str(weighting) for _, weighting in GRID))
    of = list(dict.fromkeys(str(sampler) for sampler, _ in GRID))
    rows = []
    for sampler, weighting in GRID:
        turn = (of.index(str(sampler)) + names.index(str(weighting))) % len(HITS)
        for i, hits in enumerate(HITS):
            marks = () if kept(sampler, turn, i) else pytest.mark.slow
            rows.append(pytest.param(sampler, weighting, hits, marks=marks, id=f"{sampler}-{weighting}-{hits}"))
    return rows


# Each sampler meets each weighting, and each of them each way of hits; where a derivation is cheap, all three meet.
SOFTMAX_ROWS = in_turn(lambda sampler, turn, i: isinstance(sampler, (Uniform, WithinBatch, Explicit)) or turn == i)


@cache
def derived(sampler: Sampler, weighting: Weighting, hits: str, loss: Loss) -> Derivation:
    return derive(Scheme(sampler, weighting, m=M, hits=hits), loss)


# --- every scheme -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("sampler", "weighting", "hits"), SOFTMAX_ROWS)
def test_softmax_is_checked_and_has_the_margins_of_the_numbers(
    sampler: Sampler, weighting: Weighting, hits: str, problem: Problem, prior: LabelPrior, value_of: ValueOf
) -> None:
    derivation = derived(sampler, weighting, hits, SOFTMAX)
    assert derivation.checked
    assert all(step.checked for step in derivation.steps)
    scheme = Scheme(sampler, weighting, m=M, hits=hits)
    p = implicit_margins(scheme, prior, scores=problem.scores)
    for y in range(4):
        at = Problem(problem.scores, prior, y)
        for label in range(4):
            if label != y:
                symbolic = value_of(derivation.margin, at, {s.yp: label + 1, s.m: M}, q=getattr(sampler, "q", None))
                assert p[y, label] == pytest.approx(symbolic, rel=1e-13, abs=0)
    symbolic = value_of(derivation.implicit_loss, problem, {s.m: M}, q=getattr(sampler, "q", None))
    assert float(implicit_loss(scheme, SOFTMAX, problem)) == pytest.approx(symbolic, rel=1e-13)


@pytest.mark.parametrize(
    ("sampler", "weighting", "hits"),
    [(*row, "mask") for row in GRID] + [(*row, hits) for row in CHEAP for hits in ("exclude", "keep")],
    ids=str,
)
def test_logistic_is_checked_and_has_the_margins_of_the_numbers(
    sampler: Sampler, weighting: Weighting, hits: str, problem: Problem, prior: LabelPrior, value_of: ValueOf
) -> None:
    derivation = derived(sampler, weighting, hits, LOGISTIC)
    assert derivation.checked
    scheme = Scheme(sampler, weighting, m=M, hits=hits)
    p = implicit_margins(scheme, prior, scores=problem.scores, loss=LOGISTIC)
    for label in (0, 2, 3):
        symbolic = value_of(derivation.margin, problem, {s.yp: label + 1, s.m: M}, q=getattr(sampler, "q", None))
        assert p[1, label] == pytest.approx(symbolic, rel=1e-13, abs=0)
    symbolic = value_of(derivation.implicit_loss, problem, {s.m: M}, q=getattr(sampler, "q", None))
    assert float(implicit_loss(scheme, LOGISTIC, problem)) == pytest.approx(symbolic, rel=1e-13)


@pytest.mark.parametrize("loss", examples(), ids=[loss.name for loss in examples()])
def test_every_loss_is_checked(loss: Loss, problem: Problem, value_of: ValueOf) -> None:
    for hits in HITS:
        derivation = derived(WithinBatch(), Unit(), hits, loss)
        assert derivation.checked
        assert derivation.steps[-1].relation == ("<=" if loss.has_log else "=")
        symbolic = value_of(derivation.implicit_loss, problem, {s.m: M})
        scheme = Scheme(WithinBatch(), Unit(), m=M, hits=hits)
        assert float(implicit_loss(scheme, loss, problem)) == pytest.approx(symbolic, rel=1e-13)


@pytest.mark.parametrize("hits", HITS)
@pytest.mark.parametrize(("sampler", "weighting"), CHEAP, ids=str)
def test_the_lines_with_sums_hold_in_numbers(
    sampler: Sampler, weighting: Weighting, hits: str, problem: Problem, value_of: ValueOf
) -> None:
    """E Σ = m Σ q w payment = c_y + Σ_{y' != y} p payment, with q, w, p of the plan put in for the functions."""
    plan = Scheme(sampler, weighting, m=M, hits=hits).plan(problem)
    q, w = np.exp(plan.log_q), np.exp(plan.log_w)
    at = {
        s.m: M,
        sp.Function("q"): lambda label: float(q[int(label) - 1]),
        sp.Function("w"): lambda y, label: float(w[int(label) - 1]),
        sp.Function("p"): lambda y, label: float(M * q[int(label) - 1] * w[int(label) - 1]),
        sp.Symbol("c_y", nonnegative=True): M * q[1] * w[1],
    }
    expected = np.exp(log_terms(Scheme(sampler, weighting, m=M, hits=hits), SOFTMAX, problem)).sum()
    lines = [step for step in derived(sampler, weighting, hits, SOFTMAX).steps if "p = m w q" in step.reason]
    assert len(lines) == 1
    assert value_of(lines[0].left, problem, at) == pytest.approx(expected, rel=1e-13)
    assert value_of(lines[0].right, problem, at) == pytest.approx(expected, rel=1e-13)


# --- known rows ---------------------------------------------------------------------------------------------------

PI, PI_Y, N, N_Y = s.pi[s.yp], s.pi[s.y], s.n[s.yp], s.n[s.y]
LOGIT_ADJUSTED, EQUALISED = "logit-adjusted loss (Menon et al. 2021)", "equalised loss (Tan et al. 2020)"
ROWS = [
    (Uniform(), Constant(), "mask", 1 / s.L, None),
    (Uniform(), Constant(), "exclude", 1 / (s.L - 1), None),
    (Uniform(), Constant(), "keep", 1 / (s.L + 1), None),
    (Uniform(), Importance(), "mask", sp.Integer(1), "softmax cross-entropy"),
    (Uniform(), Importance(), "exclude", sp.Integer(1), "softmax cross-entropy"),
    (Uniform(), Importance(), "keep", sp.Rational(1, 2), None),
    (Uniform(), Relative(), "mask", s.m / s.L, None),
    (Uniform(), Tail(), "mask", PI / PI_Y, LOGIT_ADJUSTED),
    (WithinBatch(), Constant(), "mask", PI, EQUALISED),
    (WithinBatch(), Constant(), "exclude", PI / (1 - PI_Y), None),
    (WithinBatch(), Constant(), "keep", PI / (1 + PI_Y), None),
    (WithinBatch(), Importance(), "mask", sp.Integer(1), "softmax cross-entropy"),
    (WithinBatch(), Relative(), "mask", s.m * PI_Y, None),
    (WithinBatch(), Relative(), "exclude", s.m * PI_Y / (1 - PI_Y), None),
    (WithinBatch(), Relative(), "keep", s.m * PI_Y / (1 + s.m * PI_Y), None),
    (WithinBatch(), Tail(), "exclude", PI / PI_Y, LOGIT_ADJUSTED),
    (WithinBatch(), Unit(), "mask", s.m * PI, None),
    (ModelBased(), Importance(), "exclude", sp.Integer(1), "softmax cross-entropy"),
    (Explicit(Q), Constant(), "mask", s.q[s.yp], None),
    (MinimumVariance(), Importance(), "keep", sp.Integer(1), "softmax cross-entropy"),
    (Uniform(), ForMargin(BalancedSoftmax()), "mask", N / N_Y, "balanced softmax (Ren et al. 2020)"),
    (WithinBatch(), ForMargin(LogitAdjusted(0.5)), "mask", sp.sqrt(PI / PI_Y), "τ = 1/2"),
    (WithinBatch(), ForMargin(LogitAdjusted(2)), "mask", (PI / PI_Y) ** 2, "logit-adjusted loss, τ = 2"),
    (Uniform(), ForMargin(Equalised(lambda p: p**2)), "mask", PI**2, r"equalised loss, F(π) = π**2"),
    (Uniform(), ForMargin(Adaptive()), "mask", sp.exp(PI_Y ** sp.Rational(-1, 4)), None),
]


@pytest.mark.parametrize(("sampler", "weighting", "hits", "margin", "name"), ROWS)
def test_known_rows(sampler: Sampler, weighting: Weighting, hits: str, margin: sp.Expr, name: str | None) -> None:
    derivation = derived(sampler, weighting, hits, SOFTMAX)
    assert sp.simplify(derivation.margin - margin) == 0
    if name is None:
        assert derivation.named is None
    else:
        assert derivation.named is not None
        assert name in derivation.named
    assert s.vanishes(derivation.margin - margin)
    # Near misses: a factor 2, an m more, the prior of the other label.
    for wrong in (2 * margin, s.m * margin, margin * PI / PI_Y):
        assert not s.vanishes(derivation.margin - wrong)


def test_decoupled_rows_are_called_by_their_loss() -> None:
    assert derived(Uniform(), Importance(), "mask", LOGISTIC).named == "full decoupled logistic loss"
    assert derived(Uniform(), Importance(), "keep", LOGISTIC).margin == 1
    assert derived(WithinBatch(), Constant(), "mask", Decoupled(hinge)).named == f"margins of the {EQUALISED}"
    assert derived(Uniform(), Constant(), "mask", LOGISTIC).named is None


def test_labels_as_numbers_are_said_to_be_ranks() -> None:
    for sampler in (LogUniform(), WithinBatch(), MinimumVariance(), ModelBased()):
        reasons = [step.reason for step in derived(sampler, Constant(), "mask", SOFTMAX).steps]
        assert any("numbered from the most frequent" in reason for reason in reasons) == (sampler == LogUniform())


def test_kept_hits() -> None:
    assert derived(WithinBatch(), Constant(), "keep", SOFTMAX).kept == PI_Y
    assert derived(WithinBatch(), Constant(), "keep", LOGISTIC).kept == PI_Y
    assert derived(WithinBatch(), Relative(), "keep", SOFTMAX).kept == s.m * PI_Y
    assert derived(Uniform(), Importance(), "keep", SOFTMAX).kept == 1
    assert derived(MinimumVariance(), Importance(), "keep", SOFTMAX).kept == 0
    for hits in ("mask", "exclude"):
        assert derived(WithinBatch(), Constant(), hits, SOFTMAX).kept == 0


@pytest.mark.parametrize(
    ("margin", "name"),
    [
        (sp.Integer(1), "softmax cross-entropy"),
        (PI / PI_Y, LOGIT_ADJUSTED),
        ((PI / PI_Y) ** sp.Rational(3, 2), "logit-adjusted loss, τ = 3/2 (Menon et al. 2021)"),
        (PI, EQUALISED),
        (PI ** sp.Rational(3, 4), "equalised loss, F(π) = π**3/4 (Tan et al. 2020)"),
        (N / N_Y, "balanced softmax (Ren et al. 2020)"),
        # None of these is published as such.
        (PI_Y / PI, None),
        (1 / PI, None),
        (PI_Y, None),
        (PI / PI_Y**2, None),
        (PI**2 / PI_Y, None),
        (2 * PI, None),
        (s.m * PI, None),
        (PI / (1 + PI_Y), None),
        (PI**PI_Y, None),
        (sp.Integer(2), None),
        (sp.Rational(1, 2), None),
    ],
)
def test_names(margin: sp.Expr, name: str | None) -> None:
    assert named(margin, SOFTMAX) == name


@pytest.mark.parametrize("hits", HITS)
def test_relative_weights_of_a_sampler_that_spares_the_positive(hits: str) -> None:
    with pytest.raises(ValueError, match=r"Relative\(\) are undefined for MinimumVariance.* q_y = 0"):
        derive(Scheme(MinimumVariance(), Relative(), m=1, hits=hits), SOFTMAX)


def test_a_wrong_weighting_has_other_margins(problem: Problem, prior: LabelPrior, value_of: ValueOf) -> None:
    """The grid tests compare symbols with numbers: a weighting whose symbols lose the factor m is seen."""

    class Lost(Constant):
        def weight(self, q: object, q_unconditional: object, yp: sp.Expr) -> sp.Expr:
            return sp.Integer(1)

    scheme = Scheme(WithinBatch(), Lost(), m=M, hits="mask")
    p = implicit_margins(scheme, prior)[1, 0]
    symbolic = value_of(derive(scheme, SOFTMAX).margin, problem, {s.yp: 1, s.m: M})
    assert symbolic == pytest.approx(M * p, rel=1e-13)
    assert symbolic != pytest.approx(p, rel=0.1)


def test_a_line_that_does_not_hold_is_not_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tidier that drops a factor is caught by the very step that uses it, and the last line falls with it."""
    monkeypatch.setattr(s, "tidy", lambda expression: expression / 2)
    derivation = derive(Scheme(WithinBatch(), Constant(), m=M, hits="mask"), SOFTMAX)
    assert not derivation.checked
    assert not derivation.steps[-1].checked
    assert "NOT CHECKED" in str(derivation.steps[-1])


def test_convexity_is_noticed() -> None:
    """Jensen's inequality needs a concave outer function."""

    class Convex(SoftmaxCrossEntropy):
        def outer(self, total: sp.Expr) -> sp.Expr:
            return total**2

    derivation = derive(Scheme(WithinBatch(), Constant(), m=M, hits="mask"), Convex())
    jensen = [step for step in derivation.steps if step.reason.startswith("Jensen")]
    assert [step.checked for step in jensen] == [False]
    assert not derivation.checked


# --- printing -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", [SOFTMAX, LOGISTIC], ids=["softmax", "logistic"])
@pytest.mark.parametrize("hits", HITS)
def test_latex(loss: Loss, hits: str) -> None:
    derivation = derived(WithinBatch(), Constant(), hits, loss)
    text = derivation.latex()
    assert text.startswith("\\begin{align*}\n")
    assert text.endswith("\n\\end{align*}")
    assert r"\sum_{y' \neq y}" in text
    assert r"\ell(N)" in text
    assert (r"\leq" in text) == loss.has_log
    assert text.count("{") == text.count("}")
    assert text.count("&&") == len(derivation.steps)
    assert not any(character in text for character in "πηΣ≠φϕτ")
    assert "delta" not in text


def test_text() -> None:
    derivation = derived(WithinBatch(), Constant(), "mask", SOFTMAX)
    assert str(derivation) == "p_yy' = pi[y'] — equalised loss (Tan et al. 2020)"
    last = str(derivation.steps[-1])
    assert last.startswith("E(loss(N)) <= log(Sum_{y'!=y}(")
    assert last.endswith("    [the implicit loss; checked]")
    assert s.latex(s.over_negatives(s.pi[s.yp] + 1)) == r"\sum_{y' \neq y} \left(1 + {\pi}_{y'}\right)"
    assert s.latex(sp.Function("w")(s.y, s.N[s.i]) ** 2 - s.pi[s.y]) == r"w_{y {Y}_{i}}^{2} - {\pi}_{y}"
    assert s.text(s.over_labels(s.q[s.k])) == "Sum_{k=1..L}(q[k])"


# --- when two sums are equal --------------------------------------------------------------------------------------

J = sp.Symbol("j", integer=True, positive=True)
FREE = {s.k: 3, s.yp: 1, J: 4, s.m: M}
a, b = s.pi, s.f


def _sum(summand: sp.Expr, index: sp.Symbol) -> sp.Expr:
    return s.over_labels(summand, index)


# Sums that depend on a label outside.
INNER, INNER_K = _sum(a[J] * sp.exp(b[s.yp] * J), J), _sum(a[J] * sp.exp(b[s.k] * J), J)
IDENTITIES = {
    "a normaliser in two denominators": (
        _sum(a[s.k], s.k) / (_sum(a[s.k], s.k) - a[s.y] / 2),
        1 / (1 - a[s.y] / (2 * _sum(a[s.k], s.k))),
    ),
    "the name of an index": (_sum(a[s.k], s.k), _sum(a[s.yp], s.yp)),
    "a factor goes in": (s.m * _sum(a[s.k], s.k), _sum(s.m * a[s.k], s.k)),
    "sums add": (_sum(a[s.k], s.k) + _sum(b[s.yp], s.yp), _sum(a[J] + b[J], J)),
    "the positive leaves": (_sum(a[s.k] * b[s.k], s.k), a[s.y] * b[s.y] + s.over_negatives(a[s.yp] * b[s.yp])),
    "exponentials": (
        sp.exp(-b[s.y]) * s.over_negatives(sp.exp(b[s.yp])),
        s.over_negatives(sp.exp(b[s.yp] - b[s.y])),
    ),
    "logarithms": (
        _sum(a[s.k] * sp.log((s.k + 1) / s.k), s.k),
        _sum(a[s.k] * (sp.log(s.k + 1) - sp.log(s.k)), s.k),
    ),
    "a normaliser cancels": (
        s.over_negatives(a[s.yp] / _sum(a[s.k], s.k) * (s.m * _sum(a[s.k], s.k))),
        s.m * s.over_negatives(a[s.yp]),
    ),
    "a normaliser within": (
        _sum(a[s.yp] / _sum(a[s.k], s.k), s.yp),
        a[s.y] / _sum(a[s.k], s.k) + s.over_negatives(a[s.yp] / _sum(a[s.k], s.k)),
    ),
    "squares of sums": (
        _sum(a[s.k] * _sum(b[J], J), s.k) * _sum(a[s.k], s.k),
        _sum(a[s.k], s.k) ** 2 * _sum(b[J], J),
    ),
    "a sum of ones": (_sum(s.m, s.k), s.m * s.L),
    "fractions": (a[s.yp] / (1 + a[s.y]) + a[s.yp] * a[s.y] / (1 + a[s.y]), a[s.yp]),
}
MUTANTS = {
    "a normaliser in two denominators, half lost": (
        _sum(a[s.k], s.k) / (_sum(a[s.k], s.k) - a[s.y] / 2),
        1 / (1 - a[s.y] / _sum(a[s.k], s.k)),
    ),
    "a lost m": (s.m * _sum(a[s.k], s.k), _sum(a[s.k], s.k)),
    "π_y for π_y'": (s.over_negatives(a[s.yp] * b[s.yp]), s.over_negatives(a[s.y] * b[s.yp])),
    "no y' != y": (s.over_negatives(a[s.yp]), _sum(a[s.yp], s.yp)),
    "y' != y within a power": (_sum(a[s.yp], s.yp), a[s.y] ** 2 + s.over_negatives(a[s.yp])),
    "L - 1": (_sum(a[s.k], s.k), sp.Sum(a[s.k], (s.k, 1, s.L - 1))),
    "1..m": (_sum(a[s.k], s.k), sp.Sum(a[s.k], (s.k, 1, s.m))),
    "a product of sums": (_sum(a[s.k], s.k) * _sum(b[s.k], s.k), _sum(a[s.k] * b[s.k], s.k)),
    "a square of a sum": (_sum(a[s.k], s.k) ** 2, _sum(a[s.k] ** 2, s.k)),
    "a sum within, same name": (_sum(a[s.yp] * _sum(b[s.k], s.k), s.yp), _sum(a[s.yp] * b[s.yp], s.yp)),
    "a sum within, outer k": (_sum(a[s.k] * _sum(b[J], J), s.k), _sum(a[s.k] * b[s.k], s.k)),
    "a sum within, shadowed": (_sum(a[s.k] * _sum(b[s.k], s.k), s.k), _sum(a[s.k] * b[s.k], s.k)),
    "a normaliser is no factor": (_sum(a[s.yp] * b[s.yp] / _sum(b[s.k], s.k), s.yp), _sum(a[s.yp], s.yp)),
    "a normaliser over negatives": (
        s.over_negatives(a[s.yp] / s.over_negatives(a[s.k], s.k)),
        s.over_negatives(a[s.yp] / _sum(a[s.k], s.k)),
    ),
    "a label outside is caught by the sum": (_sum(a[s.k] * a[s.yp], s.yp), _sum(a[s.yp] ** 2, s.yp)),
    "a factor outside is caught by the sum": (a[s.k] * _sum(a[s.yp], s.yp), _sum(a[s.yp] ** 2, s.yp)),
    "a factor outside, as a negative": (a[s.yp] * _sum(a[s.yp], s.yp), _sum(a[s.yp] ** 2, s.yp)),
    "an index escapes from a sum within": (_sum(b[s.yp] * INNER, s.yp), _sum(b[s.k] * INNER, s.k)),
    "a sum within is taken out": (_sum(b[s.yp] * INNER, s.yp), INNER * _sum(b[s.yp], s.yp)),
    "a sum within is taken out of a power": (_sum(b[s.k] / INNER_K, s.k), _sum(b[s.k], s.k) / INNER_K),
    "negatives of a sum within": (s.over_negatives(b[s.yp] * INNER), INNER * s.over_negatives(b[s.yp])),
    "the positive of a sum within": (s.over_negatives(b[s.yp] * INNER), _sum(b[s.yp] * INNER, s.yp) - b[s.y] * INNER),
}


@pytest.mark.parametrize(("left", "right"), IDENTITIES.values(), ids=IDENTITIES)
def test_identities_are_shown(left: sp.Expr, right: sp.Expr, problem: Problem, value_of: ValueOf) -> None:
    assert value_of(left, problem, FREE) == pytest.approx(value_of(right, problem, FREE), rel=1e-13)
    assert s.vanishes(left - right)


@pytest.mark.parametrize(("left", "right"), MUTANTS.values(), ids=MUTANTS)
def test_mutants_are_not_shown(left: sp.Expr, right: sp.Expr, problem: Problem, value_of: ValueOf) -> None:
    # They are different numbers, so that to show them equal is an error and no lack of generosity.
    assert abs(value_of(left, problem, FREE) - value_of(right, problem, FREE)) > 1e-3
    assert not s.vanishes(left - right)


@pytest.mark.parametrize(
    "expression",
    [
        a[s.yp] / (1 + a[s.y]) * s.m,
        s.m * (1 / s.m) * a[s.yp] / _sum(a[s.k], s.k),
        sp.exp(b[s.yp]) / (_sum(sp.exp(b[s.k]), s.k) - sp.exp(b[s.y])),
        -(1 - s.L) / (s.L * (s.L - 1)),
        (a[s.yp] / a[s.y]) ** sp.Rational(1, 2) * s.m / s.m,
        s.over_negatives(a[s.yp] * s.m) / s.m,
    ],
)
def test_tidy_changes_no_value(expression: sp.Expr, problem: Problem, value_of: ValueOf) -> None:
    tidied = s.tidy(expression)
    assert value_of(tidied, problem, FREE) == pytest.approx(value_of(expression, problem, FREE), rel=1e-14)
    assert math.isfinite(value_of(tidied, problem, FREE))
    assert not str(tidied).startswith("-")


def test_the_full_softmax_is_its_own_margin() -> None:
    assert Softmax().margin(s.yp) == 1
    scheme = Scheme(Uniform(), Importance(), m=M, hits="exclude")
    expected = sp.log(1 + s.over_negatives(sp.exp(s.f[s.yp] - s.f[s.y])))
    assert derive(scheme, SOFTMAX).implicit_loss == expected


@pytest.mark.parametrize(
    "zero",
    [
        (1 - s.q[s.y]) ** s.m * (1 - s.q[s.y]) - (1 - s.q[s.y]) ** (s.m + 1),
        (1 - s.q[s.y]) ** s.m * (1 - s.q[s.y]) ** 2 / (1 - s.q[s.y]) ** (s.m + 2) - 1,
    ],
    ids=["a sum", "a ratio"],
)
def test_powers_to_an_unknown_exponent_are_taken_together(zero: sp.Expr) -> None:
    """Powers that are left alone, so that fractions stay short, are not left apart where this would hide a zero."""
    assert s.vanishes(zero)
    assert not s.vanishes(zero + (1 - s.q[s.y]) ** s.m)


def test_digits_that_cancel_are_no_difference() -> None:
    """At the point where it is tried each term has 70 digits before the point."""
    large = sp.exp(s.L * s.m * s.f[s.y] * s.q[s.y])
    assert s.vanishes(sp.expand((1 + large) ** 2) - (1 + large) ** 2)
