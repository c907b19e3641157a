"""Margins and weightings, discovered: numbers against symbols and against the formulas of the papers."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from implicitloss import LabelPrior, Problem, Scheme, margins, weightings
from implicitloss import symbols as s
from implicitloss.margins import Adaptive, BalancedSoftmax, Equalised, LogitAdjusted, Margin, Offsets, Softmax
from implicitloss.samplers import Explicit, Uniform, WithinBatch
from implicitloss.theory.implicit import log_expected_weights
from implicitloss.weightings import Constant, Draws, ForMargin, Importance, Relative, Tail, Unit, Weighting

PI = [1 / 2, 1 / 4, 3 / 16, 1 / 16]
Q = np.array([0.1, 0.2, 0.3, 0.4])
# Beside the library's own examples: other settings of the same classes.
TARGETS = (*margins.examples(), LogitAdjusted(2.0), Adaptive(0.5, "printed"), Equalised(lambda p: p**0.5))
WEIGHTINGS = (*weightings.examples(), ForMargin(LogitAdjusted(0.5)), ForMargin(BalancedSoftmax()))


def _classes(module: object, *methods: str) -> set[type]:
    return {
        member
        for _, member in inspect.getmembers(module, inspect.isclass)
        if member.__module__ == module.__name__ and all(hasattr(member, method) for method in methods)
    }


def test_every_margin_and_weighting_has_an_example() -> None:
    assert {type(margin) for margin in margins.examples()} == _classes(margins, "log_margin", "margin") - {Margin}
    assert {type(w) for w in weightings.examples()} == _classes(weightings, "log_weight", "weight") - {Weighting}


# --- margins ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("margin", TARGETS, ids=str)
def test_margins_in_symbols_are_margins_in_numbers(
    margin: Margin, prior: LabelPrior, value_of: Callable[..., float]
) -> None:
    delta = {s.delta: margin.delta} if isinstance(margin, Offsets) else {}
    for y in range(4):
        log_p = margin.log_margin(prior, y)
        problem = Problem(np.zeros(4), prior, y)
        assert log_p.shape == (4,)
        for label in range(4):
            p = value_of(margin.margin(s.yp), problem, {s.yp: label + 1, **delta})
            assert math.exp(log_p[label]) == pytest.approx(p, rel=1e-14, abs=0)
        assert math.exp(log_p[y]) == pytest.approx(value_of(margin.margin(s.y), problem, delta), rel=1e-14)


@pytest.mark.parametrize(
    ("margin", "by_hand"),
    [
        (Softmax(), [1, 1, 1, 1]),
        (LogitAdjusted(), [2, 1, 3 / 4, 1 / 4]),
        (LogitAdjusted(0.5), [math.sqrt(2), 1, math.sqrt(0.75), 0.5]),
        (BalancedSoftmax(), [8 / 4, 1, 3 / 4, 1 / 4]),
        (Equalised(), PI),
        (Equalised(lambda p: 2 * p**2), [2 * p**2 for p in PI]),
        (Adaptive(), [math.exp(4**0.25)] * 4),
        (Adaptive(0.25), [math.exp(0.25 * 4**0.25)] * 4),
        (Adaptive(3, "printed"), [3 * 4**0.25] * 4),
        (Offsets([0.0, 1.0, -0.5, 0.25]), [math.e, 1, math.exp(1.5), math.exp(0.75)]),
        (Offsets(-np.log(PI)), [2, 1, 3 / 4, 1 / 4]),  # logit adjustment
    ],
)
def test_margins_by_hand(margin: Margin, by_hand: list[float], prior: LabelPrior) -> None:
    assert np.exp(margin.log_margin(prior, 1)) == pytest.approx(by_hand, rel=1e-14, abs=0)


def test_balanced_softmax_needs_no_counts(prior: LabelPrior) -> None:
    bare = LabelPrior.from_probabilities(prior.probabilities)
    for y in range(4):
        by_counts = BalancedSoftmax().log_margin(prior, y)
        assert BalancedSoftmax().log_margin(bare, y) == pytest.approx(by_counts, rel=1e-14)
        assert LogitAdjusted().log_margin(bare, y) == pytest.approx(by_counts, rel=1e-14)


def test_margins_of_a_label_without_prior() -> None:
    prior = LabelPrior.from_counts([3, 0, 1])
    assert np.exp(LogitAdjusted().log_margin(prior, 0)) == pytest.approx([1, 0, 1 / 3], rel=1e-14)
    assert np.exp(BalancedSoftmax().log_margin(prior, 2)) == pytest.approx([3, 0, 1], rel=1e-14)
    assert np.exp(Equalised().log_margin(prior, 1)).tolist() == pytest.approx([0.75, 0, 0.25], rel=1e-14)
    for margin, name in (
        (LogitAdjusted(), "logit-adjusted"),
        (BalancedSoftmax(), "balanced"),
        (Adaptive(), "adaptive"),
    ):
        with pytest.raises(ValueError, match=f"{name}.* label 1 has 0"):
            margin.log_margin(prior, 1)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: LogitAdjusted(0), "tau must be positive.* got 0"),
        (lambda: LogitAdjusted(math.nan), "tau .* got nan"),
        (lambda: LogitAdjusted(math.inf), "tau .* got inf"),
        (lambda: Adaptive(-1), "scale must be positive.* got -1"),
        (lambda: Adaptive(math.inf), "scale .* got inf"),
        (lambda: Adaptive(1, "exp"), "form .* got 'exp'"),
        (lambda: Offsets([0.0, 301.0]), "delta must lie within ±300, but label 1 has 301"),
        (lambda: Offsets([0.0, math.nan]), "delta must be finite, but label 1 has nan"),
        (lambda: Offsets([0.0] * 3).log_margin(LabelPrior.zipf(4, 1.0), 0), "delta must cover .* 4 labels, got 3"),
    ],
)
def test_bad_margins(build: Callable[[], Margin], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()


@pytest.mark.parametrize(
    ("F", "message"),
    [
        (lambda p: 1 - p, "increasing"),
        (lambda p: p - 0.25, "positive"),
        (lambda p: 0 * p, "positive"),
        (lambda p: p / 0.0 if isinstance(p, float) else np.full(p.shape, np.inf), "finite"),
    ],
)
def test_equalised_wants_a_positive_increasing_function(
    F: Callable[[object], object], message: str, prior: LabelPrior
) -> None:
    with pytest.raises(ValueError, match=f"F must be .*{message}"):
        Equalised(F).log_margin(prior, 0)


def test_margins_that_are_taken_for_ratios_are_ratios_in_symbols() -> None:
    for margin in margins.examples():
        assert margins._is_ratio_in_symbols(margin) == (type(margin) in margins._RATIOS), margin


@given(st.floats(0.01, 4), st.lists(st.integers(1, 10**6), min_size=2, max_size=8))
def test_logit_adjusted_margins_are_ratios(tau: float, counts: list[int]) -> None:
    """p_ab p_bc = p_ac and p_aa = 1."""
    prior = LabelPrior.from_counts(counts)
    log_p = np.array([LogitAdjusted(tau).log_margin(prior, y) for y in range(len(counts))])
    size = 1e-14 * (1 + np.abs(log_p).max() + tau * np.abs(prior.log).max())
    assert np.abs(np.diag(log_p)).max() <= size
    assert np.abs(log_p + log_p.T).max() <= size
    assert np.abs(log_p[0][:, None] + log_p - log_p[0][None, :]).max() <= 4 * size


# --- weights, as written in Table 1 -------------------------------------------------------------------------------

M = 3
# w_yy' at y = 1, for q = 0.1, 0.2, 0.3, 0.4; excluded hits condition q on y' != y: divide by 0.8.
CONDITIONAL = [0.1 / 0.8, math.nan, 0.3 / 0.8, 0.4 / 0.8]
BY_HAND: list[tuple[Weighting, list[float], list[float]]] = [
    # weighting, weights under q, weights under q conditional on y' != y
    (Constant(), [1 / 3] * 4, [1 / 3] * 4),
    (Unit(), [1] * 4, [1] * 4),
    (Importance(), [1 / (3 * q) for q in Q], [1 / (3 * q) for q in CONDITIONAL]),
    # Relative weights divide by the unconditional law, whatever is drawn from.
    (Relative(), [0.2 / q for q in Q], [0.2 / q for q in Q]),
    (
        Tail(),
        [pi / 0.25 / (3 * q) for pi, q in zip(PI, Q, strict=True)],
        [pi / 0.25 / (3 * q) for pi, q in zip(PI, CONDITIONAL, strict=True)],
    ),
    (
        ForMargin(Equalised()),
        [pi / (3 * q) for pi, q in zip(PI, Q, strict=True)],
        [pi / (3 * q) for pi, q in zip(PI, CONDITIONAL, strict=True)],
    ),
]


@pytest.mark.parametrize(("weighting", "free", "conditional"), BY_HAND, ids=[str(row[0]) for row in BY_HAND])
def test_weights_by_hand(weighting: Weighting, free: list[float], conditional: list[float], problem: Problem) -> None:
    others = [0, 2, 3]
    for hits, by_hand in (("keep", free), ("mask", free), ("exclude", conditional)):
        plan = Scheme(Explicit(Q), weighting, m=M, hits=hits).plan(problem)
        assert np.exp(plan.log_w)[others] == pytest.approx(np.array(by_hand)[others], rel=1e-14, abs=0)
        if hits == "keep":
            assert math.exp(plan.log_w[1]) == pytest.approx(by_hand[1], rel=1e-14)
        if hits == "mask":
            assert plan.log_w[1] == -math.inf
        law = Q if hits != "exclude" else np.array([0.125, 0, 0.375, 0.5])
        assert np.exp(plan.log_q) == pytest.approx(law, rel=1e-14, abs=0)


@pytest.mark.parametrize("weighting", WEIGHTINGS, ids=str)
@pytest.mark.parametrize("hits", ["exclude", "mask", "keep"])
def test_weights_in_symbols_are_weights_in_numbers(
    weighting: Weighting, hits: str, prior: LabelPrior, value_of: Callable[..., float]
) -> None:
    def unconditional(label: sp.Expr) -> sp.Expr:
        return s.q[label]

    def law(label: sp.Expr) -> sp.Expr:
        return s.q[label] / (1 - s.q[s.y]) if hits == "exclude" else s.q[label]

    for y in range(4):
        problem = Problem(np.zeros(4), prior, y)
        weights = np.exp(Scheme(Explicit(Q), weighting, m=M, hits=hits).plan(problem).log_w)
        for label in range(4):
            if label == y and hits != "keep":
                continue
            at = {s.yp: label + 1, s.m: M}
            symbolic = value_of(weighting.weight(law, unconditional, s.yp), problem, at, q=Q)
            assert weights[label] == pytest.approx(symbolic, rel=1e-14, abs=0)


# The expected weights m w q on the negatives at y = 1, by hand (theory: exclude, mask; kept hits share the latter).
U, B = 1 / 4, PI
EXPECTED: list[tuple[object, Weighting, str, list[float]]] = [
    (Uniform(), Constant(), "mask", [1 / 4] * 4),
    (Uniform(), Constant(), "exclude", [1 / 3] * 4),
    (Uniform(), Relative(), "mask", [3 / 4] * 4),
    (Uniform(), Relative(), "exclude", [3 * 0.25 / 0.75] * 4),
    (Uniform(), Importance(), "mask", [1] * 4),
    (Uniform(), Importance(), "exclude", [1] * 4),
    (Uniform(), Tail(), "mask", [p / 0.25 for p in PI]),
    (Uniform(), Tail(), "exclude", [p / 0.25 for p in PI]),
    (WithinBatch(), Constant(), "mask", PI),
    (WithinBatch(), Constant(), "exclude", [p / 0.75 for p in PI]),
    (WithinBatch(), Relative(), "mask", [3 * 0.25] * 4),
    (WithinBatch(), Relative(), "exclude", [3 * 0.25 / 0.75] * 4),
    (WithinBatch(), Unit(), "mask", [3 * p for p in PI]),
    (WithinBatch(), Unit(), "exclude", [3 * p / 0.75 for p in PI]),
    (WithinBatch(), Importance(), "exclude", [1] * 4),
    (WithinBatch(), Tail(), "mask", [p / 0.25 for p in PI]),
    (WithinBatch(), Tail(), "exclude", [p / 0.25 for p in PI]),
    (WithinBatch(), ForMargin(Equalised()), "exclude", PI),
]


@pytest.mark.parametrize(("sampler", "weighting", "hits", "by_hand"), EXPECTED)
def test_expected_weights_of_table_2(
    sampler: object, weighting: Weighting, hits: str, by_hand: list[float], problem: Problem
) -> None:
    others = [0, 2, 3]
    p = np.exp(log_expected_weights(Scheme(sampler, weighting, m=M, hits=hits), problem))
    assert p[others] == pytest.approx(np.array(by_hand)[others], rel=1e-14, abs=0)
    assert p[1] == 0
    if hits == "mask":
        kept = np.exp(log_expected_weights(Scheme(sampler, weighting, m=M, hits="keep"), problem))
        assert kept[others] == pytest.approx(p[others], rel=1e-14)
        assert kept[1] == pytest.approx(by_hand[1], rel=1e-14)


@pytest.mark.parametrize("weighting", WEIGHTINGS, ids=str)
def test_theorem_3_form_is_what_the_weights_say(weighting: Weighting, problem: Problem) -> None:
    """w = η/m with η free of m, if and only if m w does not move with m."""
    weights = [m * np.exp(Scheme(Explicit(Q), weighting, m=m, hits="keep").plan(problem).log_w) for m in (1, 7)]
    assert weighting.is_eta_over_m == np.allclose(*weights, rtol=1e-13, atol=0)


# --- what is refused ----------------------------------------------------------------------------------------------


def test_proposition_4_names_the_label_that_is_never_drawn(problem: Problem) -> None:
    sampler = Explicit([0.5, 0.25, 0.25, 0.0])
    for weighting, p in ((Importance(), "p = 1"), (Tail(), r"p = 0\.25"), (ForMargin(Equalised()), r"p = 0\.0625")):
        for hits in ("exclude", "mask", "keep"):
            with pytest.raises(ValueError, match=f"label 3 its margin {p},.* q = 0"):
                Scheme(sampler, weighting, m=2, hits=hits).plan(problem)
    never = LabelPrior.from_counts([2, 1, 1, 0])
    with pytest.raises(ValueError, match=r"label 3 .* as its count is 0; .* np.maximum\(counts, 1\)"):
        Scheme(WithinBatch(), Importance(), m=2, hits="mask").plan(Problem(np.zeros(4), never, 1))
    # A margin that gives the label nothing asks for nothing.
    nothing = LabelPrior.from_counts([2, 1, 1, 0])
    weights = np.exp(Scheme(sampler, Tail(), m=2, hits="mask").plan(Problem(np.zeros(4), nothing, 1)).log_w)
    assert weights == pytest.approx([2, 0, 2, 0], rel=1e-14)


def test_proposition_4_does_not_need_the_positive_drawn(problem: Problem) -> None:
    sampler = Explicit([0.5, 0.0, 0.25, 0.25])
    for hits in ("exclude", "mask", "keep"):
        p = np.exp(log_expected_weights(Scheme(sampler, Importance(), m=2, hits=hits), problem))
        assert p == pytest.approx([1, 0, 1, 1], rel=1e-14)


def test_relative_weights_need_the_positive_drawn(problem: Problem) -> None:
    for hits in ("exclude", "mask", "keep"):
        scheme = Scheme(Explicit([0.5, 0.0, 0.25, 0.25]), Relative(), m=2, hits=hits)
        with pytest.raises(ValueError, match=r"relative weights .* label 1 q = 0"):
            scheme.plan(problem)
    other = Problem(problem.scores, problem.prior, 0)
    never = Scheme(Explicit([0.5, 0.0, 0.25, 0.25]), Relative(), m=2, hits="keep").plan(other)
    assert np.exp(never.log_w) == pytest.approx([1, 0, 2, 2], rel=1e-14)


def test_weightings_are_values() -> None:
    assert Importance() == Importance()
    assert ForMargin(Equalised()) == ForMargin(Equalised()) != ForMargin(Softmax())
    draws = Draws(np.log(Q), np.log(Q), 2, LabelPrior.from_probabilities(PI), 1)
    assert Importance().log_weight(draws) == pytest.approx(ForMargin(Softmax()).log_weight(draws), rel=1e-15)
    assert Tail().log_weight(draws) == pytest.approx(ForMargin(LogitAdjusted()).log_weight(draws), rel=1e-15)
    assert [str(w) for w in (Importance(), Tail(), ForMargin(Equalised()))] == [
        "Importance()",
        "Tail()",
        "ForMargin(Equalised(identity))",
    ]


@dataclass(frozen=True)
class Capped(Margin):
    """p_yy = 1, and no ratio: p_yy' p_y'y < 1."""

    def log_margin(self, prior: LabelPrior, positive: int) -> Any:
        return np.minimum(prior.log - prior.log[positive], 0.0)

    def margin(self, yp: sp.Expr) -> sp.Expr:
        return sp.Min(s.pi[yp] / s.pi[s.y], 1)


@dataclass(frozen=True)
class Cubed(Margin):
    """p_yy = 1 and p_yy' p_y'y = 1, and no ratio all the same: p_yy' p_y'k is not p_yk."""

    def log_margin(self, prior: LabelPrior, positive: int) -> Any:
        return (prior.probabilities - prior.probabilities[positive]) ** 3

    def margin(self, yp: sp.Expr) -> sp.Expr:
        return sp.exp((s.pi[yp] - s.pi[s.y]) ** 3)


@dataclass(frozen=True)
class Unequal(Margin):
    """A ratio in symbols, and factors that are those of another margin, or none."""

    power: float | None = None

    def log_margin(self, prior: LabelPrior, positive: int) -> Any:
        return prior.log_over(positive)

    def log_factors(self, prior: LabelPrior) -> Any:
        return None if self.power is None else (-prior.log, self.power * prior.log)

    def margin(self, yp: sp.Expr) -> sp.Expr:
        return s.pi[yp] / s.pi[s.y]


@pytest.mark.parametrize("target", [Equalised(), Adaptive(0.25), Adaptive(0.25, "printed"), Capped(), Cubed()], ids=str)
def test_consistent_weights_need_a_ratio(target: Any) -> None:
    with pytest.raises(ValueError, match=r"need a margin that is a ratio .*weightings\.ForMargin of it") as caught:
        weightings.Consistent(target)
    assert len(str(caught.value)) <= 300


@pytest.mark.parametrize("target", [Unequal(), Unequal(2.0)], ids=str)
def test_consistent_weights_need_the_factors_of_a_ratio(target: Any, prior: LabelPrior) -> None:
    weighting = weightings.Consistent(target)
    with pytest.raises(ValueError, match=r"need a margin (that is a ratio|with log_factors)"):
        weighting.log_factors(prior.log, prior, 3, excluded=False)
    assert weightings.Consistent(Unequal(1.0)).log_factors(prior.log, prior, 3, excluded=False) is not None
