"""Losses: payments and slopes by hand, at 50 digits, in symbols and as differences."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable

import mpmath as mp
import numpy as np
import pytest
import sympy as sp

from implicitloss import LabelPrior, Problem, losses
from implicitloss import symbols as s
from implicitloss.losses import (
    BinaryLoss,
    Decoupled,
    Loss,
    SoftmaxCrossEntropy,
    cosine_contrastive,
    hinge,
    logistic,
    squared_hinge,
)

EXAMPLES = losses.examples()
each_loss = pytest.mark.parametrize("loss", EXAMPLES, ids=[loss.name for loss in EXAMPLES])
BINARY = [logistic, hinge, squared_hinge, cosine_contrastive(-1.5), cosine_contrastive(0.25)]
each_binary = pytest.mark.parametrize("binary", BINARY, ids=[binary.name for binary in BINARY])

EXTREMES = [0.0, 1e-9, -1e-9, 0.5, -36.0, 37.0, 700.0, -700.0, 1e4, -1e4]


def test_every_loss_has_an_example() -> None:
    classes = {
        member
        for _, member in inspect.getmembers(losses, inspect.isclass)
        if member.__module__ == losses.__name__ and hasattr(member, "log_payment") and member is not Loss
    }
    assert {type(loss) for loss in EXAMPLES} == classes
    binaries = {value.name for value in vars(losses).values() if isinstance(value, BinaryLoss)}
    shown = {loss.binary.name for loss in EXAMPLES if isinstance(loss, Decoupled)}
    assert binaries < shown
    assert any(name.startswith("cosine contrastive") for name in shown)


# --- by hand on four labels: scores 0.3, -0.4, 1.25, -1.75, the second positive ---------------------------------------


def test_softmax_by_hand(problem: Problem) -> None:
    loss = SoftmaxCrossEntropy()
    assert loss.log_payment(problem.scores, 1) == pytest.approx([0.7, 0, 1.65, -1.35], rel=1e-15)
    by_hand = [math.exp(0.7), 1, math.exp(1.65), math.exp(-1.35)]
    assert loss.payment_slope(problem.scores, 1) == pytest.approx(by_hand, rel=1e-15)
    assert (loss.positive_pays(-0.4), loss.positive_slope(-0.4), loss.has_log) == (0, 0, True)


BY_HAND = {
    # payments ϕ(-f), slopes of them, φ(f_y), φ'(f_y)
    "logistic": (
        [math.log(1 + math.exp(f)) for f in (0.3, -0.4, 1.25, -1.75)],
        [1 / (1 + math.exp(-f)) for f in (0.3, -0.4, 1.25, -1.75)],
        math.log(1 + math.exp(0.4)),
        -1 / (1 + math.exp(-0.4)),
    ),
    "hinge": ([1.3, 0.6, 2.25, 0], [1, 1, 1, 0], 1.4, -1),
    "squared hinge": ([1.69, 0.36, 5.0625, 0], [2.6, 1.2, 4.5, 0], 1.96, -2.8),
    "cosine contrastive (ρ = -1.5)": ([3.24, 1.21, 7.5625, 0], [3.6, 2.2, 5.5, 0], 1.96, -2.8),
    "cosine contrastive (ρ = 0.25)": ([0.0025, 0, 1, 0], [0.1, 0, 2, 0], 1.96, -2.8),
}


@each_binary
def test_decoupled_by_hand(binary: BinaryLoss, problem: Problem) -> None:
    loss = Decoupled(binary)
    payments, slopes, positive, positive_slope = BY_HAND[binary.name]
    assert np.exp(loss.log_payment(problem.scores, 1)) == pytest.approx(payments, rel=2e-15, abs=0)
    assert loss.payment_slope(problem.scores, 1) == pytest.approx(slopes, rel=2e-15, abs=0)
    assert loss.positive_pays(-0.4) == pytest.approx(positive, rel=1e-15)
    assert loss.positive_slope(-0.4) == pytest.approx(positive_slope, rel=1e-15)
    assert not loss.has_log


@pytest.mark.parametrize(
    ("binary", "kink", "slope", "positive_kink", "positive_slope"),
    [(hinge, -1.0, 1.0, 1.0, 0.0), (squared_hinge, -1.0, 0.0, 1.0, 0.0), (cosine_contrastive(0.5), 0.5, 0.0, 1.0, 0.0)],
)
def test_slopes_at_a_kink_are_right_derivatives(
    binary: BinaryLoss, kink: float, slope: float, positive_kink: float, positive_slope: float
) -> None:
    assert float(binary.slope(kink)) == slope
    assert float(binary.positive_slope(positive_kink)) == positive_slope


# --- at 50 digits, where floats overflow and vanish ------------------------------------------------------------------


def _exact(binary: BinaryLoss, f: float) -> tuple[mp.mpf, mp.mpf, mp.mpf, mp.mpf]:
    """ϕ(-f), its slope in f, φ(f), its slope, written out again at 50 digits."""
    f = mp.mpf(f)
    if binary is logistic:
        return mp.log1p(mp.exp(f)), 1 / (1 + mp.exp(-f)), mp.log1p(mp.exp(-f)), -1 / (1 + mp.exp(f))
    if binary is hinge:
        return max(mp.mpf(0), 1 + f), mp.mpf(f >= -1), max(mp.mpf(0), 1 - f), -mp.mpf(f < 1)
    if binary is squared_hinge:
        up, down = max(mp.mpf(0), 1 + f), max(mp.mpf(0), 1 - f)
        return up**2, 2 * up, down**2, -2 * down
    rho = mp.mpf(-1.5 if "-1.5" in binary.name else 0.25)
    over = max(mp.mpf(0), f - rho)
    return over**2, 2 * over, (1 - f) ** 2, -2 * (1 - f)


@each_binary
def test_decoupled_at_extreme_scores(binary: BinaryLoss) -> None:
    loss, scores = Decoupled(binary), np.array(EXTREMES)
    payments, slopes = np.exp(loss.log_payment(scores, 0)), loss.payment_slope(scores, 0)
    with mp.workdps(50):
        for i, f in enumerate(EXTREMES):
            computed = (payments[i], slopes[i], loss.positive_pays(f), loss.positive_slope(f))
            for value, exact in zip(computed, _exact(binary, f), strict=True):
                # Payments come as logarithms: their rounding is eps times the logarithm.  1 ± f cancels near ±1 only.
                assert value == pytest.approx(float(exact), rel=1e-13, abs=5e-324)


def test_the_log_of_a_logistic_payment_does_not_vanish() -> None:
    """log log(1 + e^f) is f where f is very negative."""
    scores = np.array([-40.0, -700.0, -1e4])
    with mp.workdps(50):
        exact = [float(mp.log(mp.log1p(mp.exp(mp.mpf(f))))) for f in scores]
    assert Decoupled(logistic).log_payment(scores, 0) == pytest.approx(exact, rel=1e-13)


def test_softmax_at_extreme_scores() -> None:
    loss, scores = SoftmaxCrossEntropy(), np.array([0.0, 700.0, -700.0, 1e4, -1e4])
    for positive in range(5):
        assert loss.log_payment(scores, positive).tolist() == [float(f - scores[positive]) for f in scores]
    slopes = loss.payment_slope(np.array([0.0, 700.0, -700.0, -1e4]), 0)
    with mp.workdps(50):
        exact = [float(mp.exp(f)) for f in (0, 700, -700, -10_000)]
    assert slopes == pytest.approx(exact, rel=1e-13, abs=0)


# --- in symbols ---------------------------------------------------------------------------------------------------


@each_loss
def test_payments_in_symbols_are_payments_in_numbers(
    loss: Loss, problem: Problem, value_of: Callable[..., float]
) -> None:
    payments = np.exp(loss.log_payment(problem.scores, 1))
    for label in (0, 2, 3):
        symbolic = value_of(loss.payment(s.yp), problem, {s.yp: label + 1})
        assert payments[label] == pytest.approx(symbolic, rel=1e-14, abs=0)
    assert payments[1] == pytest.approx(value_of(loss.payment(s.y), problem), rel=1e-14)
    assert loss.positive_pays(-0.4) == pytest.approx(value_of(loss.positive_term(), problem), rel=1e-14)


@each_loss
def test_the_outer_function(loss: Loss) -> None:
    total = sp.Symbol("S", positive=True)
    assert loss.outer(total) == (sp.log(1 + total) if loss.has_log else total)


@each_loss
def test_slopes_in_symbols(loss: Loss, problem: Problem, value_of: Callable[..., float]) -> None:
    """The numeric slope is the derivative of the symbolic payment; only a decoupled positive has a slope."""
    slopes = loss.payment_slope(problem.scores, 1)
    score = sp.Symbol("z", real=True)
    for label in (0, 2, 3):
        payment = loss.payment(s.yp).subs(s.f[s.yp], score)
        at = sp.Float(problem.scores[label], 30)
        derivative = sp.diff(payment, score).subs(score, at).replace(sp.Heaviside, lambda z, *_: sp.Integer(z > 0))
        assert slopes[label] == pytest.approx(value_of(derivative, problem), rel=1e-14, abs=0)


# --- as differences -----------------------------------------------------------------------------------------------


@each_binary
def test_slopes_are_differences_away_from_kinks(binary: BinaryLoss) -> None:
    step = 2.0**-17
    scores = np.array([-5.0, -2.3, -1.2, -0.3, 0.1, 0.7, 1.6, 4.0])
    loss = Decoupled(binary)

    def payment(f: np.ndarray) -> np.ndarray:
        return np.exp(loss.log_payment(f, 0))

    # Rounding 4e-16 * 36 / step = 2e-9, and step² f''' / 6 < 1e-11.
    difference = (payment(scores + step) - payment(scores - step)) / (2 * step)
    assert loss.payment_slope(scores, 0) == pytest.approx(difference, abs=5e-9)
    for f in scores:
        rise = (loss.positive_pays(f + step) - loss.positive_pays(f - step)) / (2 * step)
        assert loss.positive_slope(f) == pytest.approx(rise, abs=5e-9)
    # A slope of the other sign, or of the neighbour, would be seen.
    assert np.abs(loss.payment_slope(scores, 0) + difference).max() > 0.1


def test_softmax_slopes_are_differences() -> None:
    step, scores = 2.0**-17, np.array([0.0, 1.0, -2.0])
    loss = SoftmaxCrossEntropy()
    moved = [np.exp(loss.log_payment(scores + np.array([0, sign * step, sign * step]), 0)) for sign in (1, -1)]
    assert loss.payment_slope(scores, 0)[1:] == pytest.approx((moved[0] - moved[1])[1:] / (2 * step), abs=1e-9)


# --- what is refused ----------------------------------------------------------------------------------------------


def test_bad_losses() -> None:
    with pytest.raises(ValueError, match=r"Decoupled takes logistic, .* got 'logistic'"):
        Decoupled("logistic")
    for margin in (math.nan, math.inf):
        with pytest.raises(ValueError, match=f"the margin must be finite, got {margin}"):
            cosine_contrastive(margin)


def test_losses_are_values() -> None:
    assert SoftmaxCrossEntropy() == SoftmaxCrossEntropy()
    assert Decoupled(hinge) == Decoupled(hinge) != Decoupled(logistic)
    assert Decoupled(cosine_contrastive(0.5)) == Decoupled(cosine_contrastive(0.5))


def test_the_full_loss_is_one_draw_of_each_label(problem: Problem, prior: LabelPrior) -> None:
    """Summed over all labels at weight 1 a loss is the textbook one: here softmax, -f_y + log Σ e^f."""
    log_total = math.log(sum(math.exp(f) for f in problem.scores))
    loss = SoftmaxCrossEntropy()
    payments = np.exp(loss.log_payment(problem.scores, 1))
    assert math.log(1 + payments[[0, 2, 3]].sum()) == pytest.approx(0.4 + log_total, rel=1e-14)
