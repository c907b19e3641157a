"""Enumeration against sums written out by hand, and its limits."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest

from implicitloss import LabelPrior, Problem, Scheme, exhaust, implicit_loss
from implicitloss.losses import Decoupled, Loss, SoftmaxCrossEntropy, examples, hinge, logistic
from implicitloss.samplers import Explicit, Uniform, WithinBatch
from implicitloss.scheme import HITS, Hits
from implicitloss.theory.implicit import lemma1_variance
from implicitloss.weightings import Constant, Importance, Unit

SOFTMAX = SoftmaxCrossEntropy()


@pytest.fixture
def three() -> Problem:
    """π = 1/2, 1/3, 1/6; scores 0.5, -0.25, 1; the second label positive."""
    return Problem(np.array([0.5, -0.25, 1.0]), LabelPrior.from_counts([3, 2, 1]), 1)


def test_two_draws_of_two_negatives_by_hand(three: Problem) -> None:
    """Hits excluded: q = 3/4, 1/4 on the negatives; importance weights 1/(2q) = 2/3, 2."""
    scheme = Scheme(WithinBatch(), Importance(), m=2, hits="exclude")
    x, z = 2 / 3 * math.exp(0.75), 2 * math.exp(1.25)
    chances = [9 / 16, 6 / 16, 1 / 16]
    losses = [math.log(1 + 2 * x), math.log(1 + x + z), math.log(1 + 2 * z)]
    mean = sum(p * loss for p, loss in zip(chances, losses, strict=True))
    implicit = math.log(1 + math.exp(0.75) + math.exp(1.25))
    variance = sum(p * (loss - mean) ** 2 for p, loss in zip(chances, losses, strict=True))
    mse = sum(p * (loss - implicit) ** 2 for p, loss in zip(chances, losses, strict=True))
    first = 9 / 16 * 2 * x / (1 + 2 * x) + 6 / 16 * x / (1 + x + z)
    third = 1 / 16 * 2 * z / (1 + 2 * z) + 6 / 16 * z / (1 + x + z)
    assert float(exhaust(scheme, SOFTMAX, three)) == pytest.approx(mean, rel=1e-14)
    assert float(exhaust(scheme, SOFTMAX, three, "variance")) == pytest.approx(variance, rel=1e-13)
    assert float(exhaust(scheme, SOFTMAX, three, "mse")) == pytest.approx(mse, rel=1e-13)
    assert float(exhaust(scheme, SOFTMAX, three, "gap")) == pytest.approx(implicit - mean, rel=1e-12)
    gradient = exhaust(scheme, SOFTMAX, three, "gradient").value
    assert gradient == pytest.approx([first, -first - third, third], rel=1e-13)


def test_two_draws_with_hits_by_hand(three: Problem) -> None:
    """q = 1/2, 1/3, 1/6 and weights 1: a masked hit adds 0, a kept one adds 1."""
    x, z = math.exp(0.75), math.exp(1.25)
    chances = {(0, 0): 1 / 4, (0, 1): 1 / 3, (0, 2): 1 / 6, (1, 1): 1 / 9, (1, 2): 1 / 9, (2, 2): 1 / 36}
    for hits, hit in (("mask", 0.0), ("keep", 1.0)):
        adds = [x, hit, z]
        mean = sum(p * math.log(1 + adds[a] + adds[b]) for (a, b), p in chances.items())
        scheme = Scheme(WithinBatch(), Unit(), m=2, hits=hits)
        assert float(exhaust(scheme, SOFTMAX, three)) == pytest.approx(mean, rel=1e-14)
        first = sum(p * ((a == 0) + (b == 0)) * x / (1 + adds[a] + adds[b]) for (a, b), p in chances.items())
        assert exhaust(scheme, SOFTMAX, three, "gradient").value[0] == pytest.approx(first, rel=1e-13)


@pytest.mark.parametrize("hits", HITS)
@pytest.mark.parametrize("m", [1, 3])
def test_lemma_1s_variance_is_that_over_all_draws(three: Problem, hits: Hits, m: int) -> None:
    """Σ w p ϕ² - (Σ p ϕ)²/m."""
    scheme, loss = Scheme(WithinBatch(), Unit(), m=m, hits=hits), Decoupled(logistic)
    expected = float(exhaust(scheme, loss, three, "variance"))
    assert float(lemma1_variance(scheme, loss, three)) == pytest.approx(expected, rel=1e-12)


def test_two_draws_of_a_decoupled_loss_by_hand(three: Problem) -> None:
    """Hinge: φ(f_y) = 1.25; payments 1.5, 0.75, 2; weights 1/2."""
    pays = {"mask": [0.75, 0.0, 1.0], "keep": [0.75, 0.375, 1.0]}
    for hits, adds in pays.items():
        scheme = Scheme(WithinBatch(), Constant(), m=2, hits=hits)
        one = sum(q * x for q, x in zip((1 / 2, 1 / 3, 1 / 6), adds, strict=True))
        square = sum(q * x**2 for q, x in zip((1 / 2, 1 / 3, 1 / 6), adds, strict=True))
        loss = Decoupled(hinge)
        assert float(exhaust(scheme, loss, three)) == pytest.approx(1.25 + 2 * one, rel=1e-14)
        assert float(exhaust(scheme, loss, three, "variance")) == pytest.approx(2 * (square - one**2), rel=1e-13)
        assert abs(float(exhaust(scheme, loss, three, "gap"))) <= exhaust(scheme, loss, three, "gap").error
        kept = 1 / 3 if hits == "keep" else 0
        assert exhaust(scheme, loss, three, "gradient").value == pytest.approx([1 / 2, kept - 1, 1 / 6], rel=1e-14)


@pytest.mark.parametrize("loss", examples(), ids=[loss.name for loss in examples()])
@pytest.mark.parametrize("hits", HITS)
def test_sequences_and_multisets_agree(loss: Loss, hits: str, three: Problem) -> None:
    """All 27 sequences of three draws, in scalar arithmetic from the plan: order and multinomials do not matter."""
    scheme = Scheme(WithinBatch(), Importance(), m=3, hits=hits)
    plan = scheme.plan(three)
    q, w = np.exp(plan.log_q), np.exp(plan.log_w)
    pays, own = np.exp(loss.log_payment(three.scores, 1)), loss.positive_pays(-0.25)
    terms = []
    for drawn in product(range(3), repeat=3):
        chance = math.prod(float(q[j]) for j in drawn)
        total = math.fsum(float(w[j] * pays[j]) for j in drawn if w[j] > 0)
        terms.append((chance, own + (math.log(1 + total) if loss.has_log else total)))
    assert math.fsum(p for p, _ in terms) == pytest.approx(1, abs=1e-15)
    mean = math.fsum(p * value for p, value in terms)
    implicit = float(implicit_loss(scheme, loss, three))
    by_hand = {
        "mean": mean,
        "variance": math.fsum(p * (value - mean) ** 2 for p, value in terms),
        "mse": math.fsum(p * (value - implicit) ** 2 for p, value in terms),
        "gap": implicit - mean,
    }
    for quantity, value in by_hand.items():
        estimate = exhaust(scheme, loss, three, quantity)
        assert abs(float(estimate) - value) <= estimate.error + 1e-14
        assert estimate.error < 1e-12 * (1 + max(value for _, value in terms) ** 2)
        assert estimate.method == "exhaust"


@pytest.mark.parametrize("m", [1, 2, 5, 40])
def test_probabilities_sum_to_one(m: int, three: Problem) -> None:
    """A loss that is the same whatever is drawn: its mean is that number only if all chances add up to 1."""
    flat = Problem(np.zeros(3), three.prior, 1)
    for hits in ("exclude", "keep"):
        scheme = Scheme(Explicit([0.2, 0.3, 0.5]), Constant(), m=m, hits=hits)
        estimate = exhaust(scheme, SOFTMAX, flat)
        assert float(estimate) == pytest.approx(math.log(2), rel=1e-13)
        assert abs(float(estimate) - math.log(2)) <= estimate.error
        assert float(exhaust(scheme, SOFTMAX, flat, "variance")) < 1e-26


def test_the_gradient_of_softmax_sums_to_zero(three: Problem) -> None:
    for hits in HITS:
        gradient = exhaust(Scheme(WithinBatch(), Importance(), m=4, hits=hits), SOFTMAX, three, "gradient").value
        assert gradient.sum() == pytest.approx(0, abs=1e-15)
        assert gradient[1] < 0 < min(gradient[0], gradient[2])


@pytest.mark.parametrize("m", [2, 7, 10, 25])
def test_the_error_of_a_gradient_that_cancels_in_every_draw(m: int, three: Problem) -> None:
    """Only the positive is drawn, with weight 1/m: its hits pull as much as its own loss, and the sum is 0."""
    scheme = Scheme(Explicit([0.0, 1.0, 0.0]), Constant(), m=m, hits="keep")
    estimate = exhaust(scheme, Decoupled(logistic), Problem(np.zeros(3), three.prior, 1), "gradient")
    assert abs(estimate.value[1]) <= estimate.error[1] < 1e-11


def test_extreme_scores(three: Problem) -> None:
    """Sums of ±1e4 in the exponent: no overflow, no NaN; the larger negative decides."""
    problem = Problem(np.array([1e4, -1e4, -5e3]), three.prior, 1)
    scheme = Scheme(WithinBatch(), Constant(), m=2, hits="exclude")
    # Draws (0, 0) with 9/16, (0, 2) with 6/16, (2, 2) with 1/16, each weight 1/2.
    mean = 9 / 16 * 2e4 + 6 / 16 * (2e4 - math.log(2)) + 1 / 16 * 5e3
    assert float(exhaust(scheme, SOFTMAX, problem)) == pytest.approx(mean, rel=1e-15)
    assert exhaust(scheme, SOFTMAX, problem, "gradient").value == pytest.approx([15 / 16, -1, 1 / 16], rel=4e-12)


def test_labels_that_are_never_drawn_cost_nothing(three: Problem) -> None:
    """The limit counts the labels drawn: two of ten thousand make 4 multisets of three."""
    q = np.zeros(10_000)
    q[[5, 77]] = 0.5
    problem = Problem(np.zeros(10_000), LabelPrior.zipf(10_000, 1), 5)
    estimate = exhaust(Scheme(Explicit(q), Constant(), m=3, hits="mask"), SOFTMAX, problem)
    by_hand = (3 * math.log(4 / 3) + 3 * math.log(5 / 3) + math.log(2)) / 8
    assert float(estimate) == pytest.approx(by_hand, rel=1e-14)


def test_many_draws_of_two_labels() -> None:
    """201 multisets are well within the limit, however large 200! is: the drawn labels are binomial."""
    problem = Problem(np.array([0.0, 0.5, -0.5]), LabelPrior.from_counts([1, 1, 1]), 0)
    estimate = exhaust(Scheme(Uniform(), Constant(), m=200, hits="exclude"), SOFTMAX, problem)
    x, z = math.exp(0.5) / 200, math.exp(-0.5) / 200
    mean = math.fsum(math.comb(200, k) / 2**200 * math.log1p(k * x + (200 - k) * z) for k in range(201))
    assert float(estimate) == pytest.approx(mean, rel=1e-12)


def test_too_many_draws_are_refused() -> None:
    problem = Problem(np.zeros(100), LabelPrior.zipf(100, 1), 0)
    scheme = Scheme(Uniform(), Constant(), m=4, hits="mask")
    size = math.comb(103, 4)
    with pytest.raises(ValueError, match=f"100 labels and m = 4 make {size} draws .* more than 200000; use integrate"):
        exhaust(scheme, SOFTMAX, problem)
    with pytest.raises(ValueError, match="use integrate"):
        exhaust(Scheme(Uniform(), Constant(), m=10**6, hits="mask"), SOFTMAX, problem)


def test_unknown_quantity(three: Problem) -> None:
    with pytest.raises(ValueError, match="got 'median'"):
        exhaust(Scheme(Uniform(), Constant(), m=1, hits="mask"), Decoupled(logistic), three, "median")


def test_many_labels_and_few_draws_do_not_fill_the_memory() -> None:
    """20,000 labels would need as many counts for each of 20,000 draws."""
    problem = Problem(np.zeros(20_000), LabelPrior.zipf(20_000, 1), 0)
    with pytest.raises(ValueError, match="more than 1000; use integrate"):
        exhaust(Scheme(Uniform(), Constant(), m=1, hits="mask"), SOFTMAX, problem)
