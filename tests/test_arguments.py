"""What callers give, kind by kind: what is taken as it was meant, and what is refused in one sentence."""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sympy as sp

import implicitloss as il
from implicitloss import arguments, implicit_loss, symbols
from implicitloss.numerics.seeds import checked_seed

LOSS = il.losses.SoftmaxCrossEntropy()

# --- numbers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        2,
        2.0,
        np.int8(2),
        np.float32(2),
        np.float64(2),
        np.array(2.0),
        np.array(2),
        Fraction(4, 2),
        Decimal(2),
        sp.Integer(2),
    ],
    ids=lambda value: type(value).__name__,
)
def test_numbers_of_all_makes(value: Any) -> None:
    found = arguments.checked_number(value, "x")
    assert (found, type(found)) == (2.0, float)
    margin = il.margins.LogitAdjusted(value)
    assert (margin, repr(margin)) == (il.margins.LogitAdjusted(2.0), "LogitAdjusted(tau=2.0)")


NO_NUMBERS = [
    "2", b"2", True, np.bool_(True), 2j, np.complex128(2), None, [2.0], np.ones(1), np.ones(3), math.nan, math.inf,
    10**400, np.ma.masked, np.ma.MaskedArray(2.0, mask=True), np.datetime64("2021-01-01"), np.timedelta64(2, "s"),
    datetime.timedelta(2), pd.NA, pd.NaT, il.samplers.Uniform(), il.samplers.Uniform, float, sp.Symbol("x"),
]  # fmt: skip


@pytest.mark.parametrize("value", NO_NUMBERS, ids=lambda value: f"{type(value).__name__} {str(value)[:12]}")
def test_what_is_no_number(value: Any) -> None:
    asked: tuple[Callable[[Any], Any], ...] = (
        il.margins.LogitAdjusted,
        il.margins.Adaptive,
        il.samplers.Power,
        il.samplers.Mixture,
        il.scorers.Gaussian,
        il.scorers.HeavyTailed,
        il.losses.cosine_contrastive,
        lambda x: il.LabelPrior.zipf(3, x),
        lambda x: il.LabelPrior.exp(3, x, 1),
        lambda x: il.LabelPrior.exp(3, 9, x),
    )
    for ask in asked:
        with pytest.raises(ValueError, match=r"must be .*, got ") as caught:
            ask(value)
        assert len(str(caught.value)) <= 300
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3), np.array(3), sp.Integer(3)])
def test_whole_numbers_of_all_makes(value: Any) -> None:
    found = arguments.checked_whole(value, "x", 1)
    assert (found, type(found)) == (3, int)
    scheme = il.Scheme(il.samplers.Uniform(), il.weightings.Constant(), m=value, hits="mask")
    assert type(scheme.m) is int
    assert il.LabelPrior.zipf(value, 1.0).n_labels == 3


@pytest.mark.parametrize(
    "value",
    [*NO_NUMBERS, 3.0, np.float64(3), 2.5, Fraction(3, 1) / 2],
    ids=lambda v: f"{type(v).__name__} {str(v)[:9]}",
)
def test_what_is_no_whole_number(value: Any, problem: il.Problem) -> None:
    if isinstance(value, int) and value is not True:
        return  # a whole number, and too large for all of these in another sentence
    scheme = il.Scheme(il.samplers.Uniform(), il.weightings.Constant(), m=1, hits="mask")
    for ask in (
        lambda: il.LabelPrior.zipf(value, 1.0),
        lambda: il.LabelPrior.zipf(3, 1.0).few(value),
        lambda: il.Scheme(il.samplers.Uniform(), il.weightings.Constant(), m=value, hits="mask"),
        lambda: il.Problem(problem.scores, problem.prior, value),
        lambda: il.simulate(scheme, LOSS, problem, runs=value),
        lambda: il.verify(scheme, problem, rng=value),
        lambda: il.decide(scheme, LOSS, problem, 1.0, resolution=1.0, budget=value),
    ):
        with pytest.raises(ValueError, match="must be a whole number"):
            ask()


@pytest.mark.parametrize("threads", [0, -1, 1.5, math.nan, math.inf, "2", True, [1], 10**9])
def test_threads(threads: Any, problem: il.Problem) -> None:
    """Regression: `nan` waited for ever."""
    scheme = il.Scheme(il.samplers.Uniform(), il.weightings.Constant(), m=1, hits="mask")
    for ask in (
        lambda: il.simulate(scheme, LOSS, problem, runs=10, threads=threads),
        lambda: il.decide(scheme, LOSS, problem, 1.0, resolution=1.0, threads=threads),
        lambda: il.verify(scheme, problem, threads=threads),
    ):
        with pytest.raises(ValueError, match="threads must be"):
            ask()


@pytest.mark.parametrize("budget", [0, -1, 1999])
def test_a_budget_pays_for_the_first_look(budget: int, problem: il.Problem) -> None:
    scheme = il.Scheme(il.samplers.Uniform(), il.weightings.Constant(), m=2, hits="mask")
    with pytest.raises(ValueError, match=f"the budget must be a whole number >= 2000, got {budget}"):
        il.decide(scheme, LOSS, problem, 1.0, resolution=1.0, budget=budget)
    assert il.decide(scheme, LOSS, problem, 1.0, resolution=10.0, budget=2000, rng=0).runs == 1000


@pytest.mark.parametrize("x", [1 / 3, 0.75, 2.0, 1e-300, 5e-324, 1e300, 0.1, 123456.789, 0.7234918273])
def test_exact_rationals(x: float) -> None:
    """A tau of 1e-300 was 0 in symbols."""
    found = symbols.exact(x)
    assert float(found) == x
    assert found.is_Rational
    assert symbols.exact(1 / 3) == sp.Rational(1, 3)


# --- vectors --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [list, tuple, np.array, pd.Series, lambda x: np.array(x, dtype=np.float32), lambda x: np.array(x, dtype=object),
     lambda x: pd.Series(x, dtype="Int64"), lambda x: np.ma.MaskedArray(x), lambda x: [np.int64(v) for v in x],
     lambda x: [Decimal(v) for v in x]],
)  # fmt: skip
def test_vectors_of_all_makes(make: Any) -> None:
    prior = il.LabelPrior.from_counts(make([4, 3, 2, 1]))
    assert prior.counts is not None
    assert prior.counts.tolist() == [4, 3, 2, 1]
    assert il.Problem(make([4, 3, 2, 1]), prior, 0).scores.tolist() == [4, 3, 2, 1]
    # Scores have no ids; counts in another order are refused (test_labels.py).
    assert il.Problem(pd.Series([4, 3, 2, 1], index=[3, 2, 1, 0]), prior, 0).scores.tolist() == [4, 3, 2, 1]


@pytest.mark.parametrize(
    "values",
    [
        np.ones(2, complex), [1j, 1], np.array([True, False]), [True, 1.0], [np.bool_(True), 1], ["1", "2"], ["1", 2],
        np.array(["1", "2"]), pd.Series(["1", "2"]), pd.Series([True, False]), np.array([0, 1], "datetime64[s]"),
        np.array([0, 1], "timedelta64[s]"), pd.Series(pd.to_datetime([0, 1])), [datetime.timedelta(1)] * 2,
        np.ma.MaskedArray([1.0, 2.0], mask=[False, True]), [np.ma.masked, 1.0], [None, 1.0], [pd.NA, 1.0],
        pd.Series([1, None], dtype="Int64"), [1.0, math.nan], [1.0, math.inf], np.eye(2),
        pd.DataFrame({"a": [1.0, 2.0]}),
        [[1.0], [2.0, 3.0]], [], {0: 1.0, 1: math.nan}, {1.0, 2.0}, "12", 1.0, None, iter([1.0, 2.0]), [10**400, 1],
        il.LabelPrior, il.LabelPrior.zipf(2, 1.0), np.array([(1, 2), (3, 4)], dtype="i4,i4"),
    ],
    ids=lambda values: f"{type(values).__name__} {' '.join(str(values).split())[:20]}",
)  # fmt: skip
def test_what_is_no_vector(values: Any) -> None:
    prior = il.LabelPrior.zipf(2, 1.0)
    scheme = il.Scheme(il.samplers.ModelBased(), il.weightings.Constant(), m=1, hits="mask")
    for ask in (
        lambda: il.LabelPrior.from_counts(values),
        lambda: il.LabelPrior.from_probabilities(values),
        lambda: il.LabelPrior([0.5, 0.5], values if values is not None else [None]),  # type: ignore[arg-type]
        lambda: il.Problem(values, prior, 0),
        lambda: il.samplers.Explicit(values),
        lambda: il.sweep([scheme], LOSS, values, prior),
        lambda: il.implicit_margins(scheme, prior, scores=values),
        lambda: il.population_optimum(scheme, LOSS, values, prior),
    ):
        with pytest.raises(ValueError, match=r".") as caught:
            ask()
        assert len(str(caught.value)) <= 300
        assert "\n" not in str(caught.value)


def test_values_are_shown_short() -> None:
    for value in (
        "x" * 9999,
        list(range(9999)),
        np.zeros((3, 4)),
        pd.DataFrame({"a": range(99)}),
        10**5000,
        {"a" * 999: 1},
    ):
        assert len(arguments.shown(value)) <= 80
        assert "\n" not in arguments.shown(value)
    assert arguments.shown(np.zeros((3, 4))) == "an array of shape (3, 4)"
    assert arguments.shown(pd.DataFrame({"a": [1]})) == "a DataFrame of shape (1, 1)"
    assert arguments.shown(il.Scheme) == "the class Scheme"
    assert arguments.shown("a\nb") == r"'a\nb'"


@pytest.mark.parametrize(
    "values", [[0.0], ["0"], [True], [None], [[0]], 0, "0", {0: 1}, [-1], [2], [10**400], range(10**12)]
)
def test_what_are_no_labels(values: Any) -> None:
    with pytest.raises(ValueError, match="labels must "):
        arguments.checked_wholes(values, "labels", 2)


@pytest.mark.parametrize("values", [[0, 1], (1,), range(2), np.array([1, 0], np.uint8), pd.Series([0, 1]), {0, 1}, []])
def test_labels_of_all_makes(values: Any) -> None:
    assert arguments.checked_wholes(values, "labels", 2).tolist() == list(values)


# --- parts ----------------------------------------------------------------------------------------------------------

PRIOR = il.LabelPrior.zipf(2, 1.0)
PROBLEM = il.Problem([0.0, 1.0], PRIOR, 0)  # type: ignore[arg-type]
SCHEME = il.Scheme(il.samplers.Uniform(), il.weightings.Constant(), m=1, hits="mask")
FUNCTIONS = (il.integrate, il.exhaust, il.simulate, il.implicit_loss, il.implicit_gradient, il.expand)


@pytest.mark.parametrize("wrong", [None, "uniform", 5, np.ones(2), [SCHEME], il.Scheme, il.samplers.Uniform()])
def test_what_is_no_scheme(wrong: Any) -> None:
    asked = [lambda f=f: f(wrong, LOSS, PROBLEM) for f in FUNCTIONS]
    asked += [lambda: il.derive(wrong, LOSS), lambda: il.implicit_margins(wrong, PRIOR), lambda: il.tilt(wrong, PRIOR)]
    asked += [lambda: il.verify(wrong, PROBLEM), lambda: il.decide(wrong, LOSS, PROBLEM, 1.0, resolution=1.0)]
    for ask in asked:
        with pytest.raises(ValueError, match=r"the scheme must be a Scheme, e\.g\. Scheme\(.*, got"):
            ask()
    with pytest.raises(ValueError, match=r"schemes? must be"):
        il.sweep(wrong if not isinstance(wrong, list) else [5], LOSS, [0.0, 1.0], PRIOR)  # type: ignore[list-item]


@pytest.mark.parametrize("wrong", [None, "problem", 5, np.ones(2), il.Problem, SCHEME, (1, 2)])
def test_what_is_no_problem(wrong: Any) -> None:
    asked = [lambda f=f: f(SCHEME, LOSS, wrong) for f in FUNCTIONS]
    asked += [lambda: il.verify(SCHEME, wrong), lambda: SCHEME.laws(wrong), lambda: SCHEME.plan(wrong)]
    for ask in asked:
        with pytest.raises(ValueError, match=r"the problem must be a Problem, e\.g\. Problem\(.*, got"):
            ask()


@pytest.mark.parametrize(
    "wrong", [None, "softmax", 5, np.ones(2), il.losses.SoftmaxCrossEntropy, il.losses.logistic, SCHEME, abs]
)
def test_what_is_no_loss(wrong: Any) -> None:
    asked = [lambda f=f: f(SCHEME, wrong, PROBLEM) for f in FUNCTIONS]
    asked += [lambda: il.derive(SCHEME, wrong), lambda: il.sweep([SCHEME], wrong, [0.0, 1.0], PRIOR)]
    asked += [lambda: il.samplers.MinimumVariance(loss=wrong), lambda: il.Minibatch(SCHEME, wrong, PRIOR)]
    for ask in asked:
        with pytest.raises(ValueError, match=r"loss must be|is no loss on scores yet"):
            ask()


@pytest.mark.parametrize("wrong", [None, [0.5, 0.5], np.array([0.5, 0.5]), il.LabelPrior, "zipf", 5, {"a": 1}])
def test_what_is_no_prior(wrong: Any) -> None:
    """Regression: an array was an AttributeError in six functions."""
    asked: list[Callable[[], Any]] = [
        lambda: il.Problem([0.0, 1.0], wrong, 0),  # type: ignore[arg-type]
        lambda: il.sweep([SCHEME], LOSS, [0.0, 1.0], wrong),
        lambda: il.implicit_margins(SCHEME, wrong),
        lambda: il.tilt(SCHEME, wrong),
        lambda: il.population_optimum(SCHEME, LOSS, [0.5, 0.5], wrong),
        lambda: il.certify_optimum(SCHEME, LOSS, [0.5, 0.5], wrong, [0.0, 1.0]),
        lambda: il.Minibatch(SCHEME, LOSS, wrong),
        lambda: il.audit(lambda scores, positive, rng: scores[:, 0], prior=wrong),
        lambda: il.adapters.in_batch(abs, wrong, 2),
        *(lambda s=s: s.scores(wrong) for s in il.scorers.examples()),
        *(lambda m=m: m.log_margin(wrong, 0) for m in il.margins.examples()),
    ]
    for ask in asked:
        with pytest.raises(ValueError, match=r"the prior must be a LabelPrior, e\.g\..*, got"):
            ask()


def test_what_is_no_part() -> None:
    of_samplers = r"must be one of implicitloss\.samplers, e\.g\. samplers\.Uniform\(\), got"
    for wrong in (None, "uniform", 5, np.ones(2), il.margins.Softmax()):
        with pytest.raises(ValueError, match=of_samplers):
            il.samplers.Mixture(0.5, wrong)  # type: ignore[arg-type]
    for wrong in (None, 5, il.margins.Softmax()):  # a scheme takes names and numbers
        with pytest.raises(ValueError, match=of_samplers):
            il.Scheme(wrong, il.weightings.Constant(), m=1, hits="mask")
        with pytest.raises(ValueError, match=r"must be one of implicitloss\.weightings, e\.g\. .*, got"):
            il.Scheme(il.samplers.Uniform(), wrong, m=1, hits="mask")
    for wrong in (None, "softmax", 5, np.ones(2), il.samplers.Uniform()):
        for ask in (il.weightings.ForMargin, il.samplers.MinimumVariance):
            with pytest.raises(ValueError, match=r"must be one of implicitloss\.margins, e\.g\. .*, got"):
                ask(wrong)  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="got the class Softmax: write Softmax"):
        il.weightings.ForMargin(il.margins.Softmax)  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [None, 5, np.array(["mean", "gap"]), ["mean"], "Mean", b"mean", True])
def test_words(wrong: Any) -> None:
    for ask in (
        lambda: il.integrate(SCHEME, LOSS, PROBLEM, wrong),
        lambda: il.exhaust(SCHEME, LOSS, PROBLEM, wrong),
        lambda: il.simulate(SCHEME, LOSS, PROBLEM, wrong, runs=2),
        lambda: il.Scheme(il.samplers.Uniform(), il.weightings.Constant(), m=1, hits=wrong),
        lambda: il.margins.Adaptive(1.0, wrong),
    ):
        with pytest.raises(ValueError, match=r"must be .*, got"):
            ask()


@pytest.mark.parametrize(
    "rng", [-1, 1.5, "12", ["1"], [1, -2], [1.5], [True], [], True, 1j, np.ones(2), np.ones((2, 2), int)]
)
def test_seeds(rng: Any) -> None:
    with pytest.raises(ValueError, match="rng must be a seed"):
        checked_seed(rng)
    with pytest.raises(ValueError, match="rng must be a seed"):
        il.scorers.Gaussian().scores(PRIOR, rng)
    with pytest.raises(ValueError, match="rng must be a seed"):
        il.simulate(SCHEME, LOSS, PROBLEM, runs=2, rng=rng)


# --- one label, and what goes beyond floats ---------------------------------------------------------------------------


@pytest.mark.parametrize("hits", ["mask", "keep"])
def test_a_prior_of_one_label(hits: Any) -> None:
    """Masked, nothing is left to pay: 0.  Kept, m draws of weight 1/m pay 1 in all: log 2."""
    prior = il.LabelPrior.from_counts([5])
    problem = il.Problem([3.0], prior, 0)  # type: ignore[arg-type]
    scheme = il.Scheme(il.samplers.Uniform(), il.weightings.Constant(), m=4, hits=hits)
    expected = 0.0 if hits == "mask" else math.log(2)
    for ask in (il.integrate, il.exhaust, il.implicit_loss):
        assert float(ask(scheme, LOSS, problem)) == pytest.approx(expected, abs=1e-14)
    assert float(il.simulate(scheme, LOSS, problem, runs=10, rng=0)) == pytest.approx(expected, abs=1e-14)
    assert il.sweep([scheme], LOSS, [3.0], prior)["mean"].value.item() == pytest.approx(expected, abs=1e-14)
    assert il.implicit_margins(scheme, prior).tolist() == [[0.0]]
    with pytest.raises(ValueError, match="tilt needs frequent and rare labels"):
        il.tilt(scheme, prior)
    alone = il.Scheme(il.samplers.Uniform(), il.weightings.Constant(), m=4, hits="exclude")
    with pytest.raises(ValueError, match="at least two labels, got one"):
        implicit_loss(alone, LOSS, problem)


def test_scores_that_no_model_has() -> None:
    with pytest.raises(ValueError, match=r"scores must lie within ±1e\+150 .*, but label 1 has -1e\+200"):
        il.Problem([0.0, -1e200], PRIOR, 0)  # type: ignore[arg-type]
    assert il.Problem([1e6, -1e9], PRIOR, 0).scores.tolist() == [1e6, -1e9]  # type: ignore[arg-type]


def test_margins_that_no_float_holds() -> None:
    prior = il.LabelPrior.from_counts([10**9, 1])
    steep = il.Scheme(il.samplers.Uniform(), il.weightings.ForMargin(il.margins.LogitAdjusted(50.0)), m=1, hits="mask")
    with pytest.raises(ValueError, match="the margins must be finite, got inf: scores or weights are too large"):
        il.implicit_margins(steep, prior)


def test_an_estimate_is_finite() -> None:
    for value, error in ((math.nan, 0.0), (1.0, math.inf), (np.array([1.0, math.inf]), np.zeros(2))):
        with pytest.raises(ValueError, match=r"the (error of the )?mean must be finite, got (nan|inf)"):
            il.Estimate(value, error, "mean", "by hand")
    with pytest.raises(ValueError, match="value and error must have one shape"):
        il.Estimate(1.0, np.zeros(2), "mean", "by hand")
