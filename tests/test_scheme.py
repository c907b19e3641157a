"""Schemes and what they optimise: the three hits modes, implicit margins, losses and gradients."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import pytest

from implicitloss import LabelPrior, Problem, Scheme, implicit_gradient, implicit_loss, implicit_margins, margins
from implicitloss.labels import Floats
from implicitloss.losses import Decoupled, Loss, SoftmaxCrossEntropy, examples, hinge, logistic
from implicitloss.margins import Equalised, LogitAdjusted
from implicitloss.samplers import Explicit, MinimumVariance, Mixture, ModelBased, Power, Sampler, Uniform, WithinBatch
from implicitloss.weightings import Constant, Draws, ForMargin, Importance, Relative, Tail, Unit, Weighting

SOFTMAX, LOGISTIC = SoftmaxCrossEntropy(), Decoupled(logistic)
each_loss = pytest.mark.parametrize("loss", examples(), ids=[loss.name for loss in examples()])
each_mode = pytest.mark.parametrize("hits", ["exclude", "mask", "keep"])

# --- the scheme itself --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("m", [0, -1, 1.0, 2.5, True, None, "3", math.nan])
def test_bad_m(m: object) -> None:
    with pytest.raises(ValueError, match=f"m, the number of negatives, .* got {m!r}"):
        Scheme(Uniform(), Unit(), m=m, hits="mask")


@pytest.mark.parametrize("hits", ["", "drop", "Mask", None, 1])
def test_bad_hits(hits: object) -> None:
    with pytest.raises(ValueError, match=f"hits must be 'exclude', 'mask' or 'keep', got {hits!r}"):
        Scheme(Uniform(), Unit(), m=1, hits=hits)


def test_a_scheme_is_a_value() -> None:
    scheme = Scheme(Uniform(), Constant(), m=np.int64(5), hits="mask")
    assert type(scheme.m) is int
    assert scheme == Scheme(Uniform(), Constant(), m=5, hits="mask")
    assert hash(scheme) == hash(Scheme(Uniform(), Constant(), m=5, hits="mask"))
    assert dataclasses.replace(scheme, m=6) == Scheme(Uniform(), Constant(), m=6, hits="mask") != scheme
    assert str(scheme) == "Uniform(), Constant(), m=5, hits=mask"
    with pytest.raises(dataclasses.FrozenInstanceError):
        scheme.m = 3
    with pytest.raises(TypeError):
        Scheme(Uniform(), Constant(), 5, "mask")


def test_modes_of_hits(problem: Problem) -> None:
    """π = 1/2, 1/4, 3/16, 1/16 and y the second: excluded draws come from π / (3/4)."""
    plans = {hits: Scheme(WithinBatch(), Unit(), m=2, hits=hits).plan(problem) for hits in ("exclude", "mask", "keep")}
    assert np.exp(plans["exclude"].log_q) == pytest.approx([2 / 3, 0, 1 / 4, 1 / 12], rel=1e-14, abs=0)
    for hits in ("mask", "keep"):
        assert np.exp(plans[hits].log_q) == pytest.approx([1 / 2, 1 / 4, 3 / 16, 1 / 16], rel=1e-14)
    assert np.exp(plans["mask"].log_w).tolist() == [1, 0, 1, 1]
    assert np.exp(plans["keep"].log_w).tolist() == [1, 1, 1, 1]


def test_excluding_hits_keeps_the_sampler_as_it_is(problem: Problem) -> None:
    """A plan must not write into what the sampler returned."""
    before = WithinBatch().log_law(problem).copy()
    Scheme(WithinBatch(), Importance(), m=2, hits="exclude").plan(problem)
    assert WithinBatch().log_law(problem).tolist() == before.tolist()


def test_excluding_the_only_label() -> None:
    alone = Problem(np.zeros(1), LabelPrior.from_counts([3]), 0)
    with pytest.raises(ValueError, match="at least two labels, got one"):
        Scheme(Uniform(), Constant(), m=1, hits="exclude").plan(alone)
    assert Scheme(Uniform(), Constant(), m=1, hits="mask").plan(alone).log_w[0] == -math.inf


def test_excluding_a_positive_that_is_all_there_is(prior: LabelPrior) -> None:
    certain = Explicit([0.0, 1.0, 0.0, 0.0])
    with pytest.raises(ValueError, match="the sampler gives label 1 q = 1"):
        Scheme(certain, Constant(), m=1, hits="exclude").plan(Problem(np.zeros(4), prior, 1))
    plan = Scheme(certain, Constant(), m=1, hits="exclude").plan(Problem(np.zeros(4), prior, 0))
    assert np.exp(plan.log_q).tolist() == [0, 1, 0, 0]


def test_excluding_a_positive_with_nearly_all_the_mass(prior: LabelPrior) -> None:
    """1 - q_y would lose every digit here; the sum over the others loses none."""
    rare = Explicit([3e-17, 1.0, 1e-17, 4e-17])
    plan = Scheme(rare, Importance(), m=1, hits="exclude").plan(Problem(np.zeros(4), prior, 1))
    assert np.exp(plan.log_q) == pytest.approx([3 / 8, 0, 1 / 8, 1 / 2], rel=1e-13, abs=0)


# --- implicit margins ---------------------------------------------------------------------------------------------

PI = np.array([1 / 2, 1 / 4, 3 / 16, 1 / 16])
OTHERS = ~np.eye(4, dtype=bool)


def _own(row: np.ndarray) -> np.ndarray:
    """A number for each positive, in each of its row's entries."""
    return np.repeat(np.asarray(row)[:, None], 4, axis=1)


M = 5
# (sampler, weighting, hits) -> p_yy' as a 4 by 4 table, y in rows; theory: Table 2 and the three modes.
MARGINS: list[tuple[Sampler, Weighting, str, np.ndarray]] = [
    (Uniform(), Constant(), "mask", np.full((4, 4), 1 / 4)),
    (Uniform(), Constant(), "exclude", np.full((4, 4), 1 / 3)),
    (Uniform(), Constant(), "keep", np.full((4, 4), 1 / 4 / (1 + 1 / 4))),
    (Uniform(), Importance(), "mask", np.ones((4, 4))),
    (Uniform(), Importance(), "exclude", np.ones((4, 4))),
    (Uniform(), Importance(), "keep", np.full((4, 4), 1 / 2)),
    (Uniform(), Relative(), "mask", np.full((4, 4), M / 4)),
    (Uniform(), Relative(), "exclude", np.full((4, 4), M / 4 / (3 / 4))),
    (Uniform(), Relative(), "keep", np.full((4, 4), M / 4 / (1 + M / 4))),
    (Uniform(), Tail(), "mask", PI[None] / PI[:, None]),
    (Uniform(), Tail(), "keep", PI[None] / PI[:, None] / 2),
    (WithinBatch(), Constant(), "mask", np.tile(PI, (4, 1))),
    (WithinBatch(), Constant(), "exclude", PI[None] / (1 - PI)[:, None]),
    (WithinBatch(), Constant(), "keep", PI[None] / (1 + PI)[:, None]),
    (WithinBatch(), Unit(), "mask", M * np.tile(PI, (4, 1))),
    (WithinBatch(), Unit(), "keep", M * PI[None] / (1 + M * PI)[:, None]),
    (WithinBatch(), Importance(), "mask", np.ones((4, 4))),
    (WithinBatch(), Importance(), "keep", np.full((4, 4), 1 / 2)),
    (WithinBatch(), Relative(), "mask", M * _own(PI)),
    (WithinBatch(), Relative(), "exclude", M * _own(PI / (1 - PI))),
    (WithinBatch(), Relative(), "keep", M * _own(PI / (1 + M * PI))),
    (WithinBatch(), Tail(), "mask", PI[None] / PI[:, None]),
    (WithinBatch(), Tail(), "exclude", PI[None] / PI[:, None]),
    (WithinBatch(), Tail(), "keep", PI[None] / PI[:, None] / 2),
    (Power(2.0), Unit(), "mask", M * np.tile(PI**2 / (PI**2).sum(), (4, 1))),
    (Mixture(0.25), Unit(), "mask", M * np.tile(0.25 * PI + 0.75 / 4, (4, 1))),
]


@pytest.mark.parametrize(("sampler", "weighting", "hits", "by_hand"), MARGINS)
def test_margins_by_hand(
    sampler: Sampler, weighting: Weighting, hits: str, by_hand: np.ndarray, prior: LabelPrior
) -> None:
    p = implicit_margins(Scheme(sampler, weighting, m=M, hits=hits), prior)
    assert p[OTHERS] == pytest.approx(by_hand[OTHERS], rel=1e-13, abs=0)
    assert np.diag(p).tolist() == [0] * 4


def test_near_misses_of_table_2_are_seen(prior: LabelPrior) -> None:
    """A lost factor m and π_y for π_y' are far outside the tolerance of the test above."""
    relative = implicit_margins(Scheme(WithinBatch(), Relative(), m=M, hits="mask"), prior)
    assert np.abs(relative - _own(PI))[OTHERS].min() > 0.1  # Eq. 14 as scanned: π_y without m
    assert np.abs(relative - M * PI[None])[OTHERS].max() > 0.1


def test_decoupled_margins_are_not_divided_by_kept_hits(prior: LabelPrior) -> None:
    scheme = Scheme(WithinBatch(), Constant(), m=M, hits="keep")
    for loss in (LOGISTIC, Decoupled(hinge)):
        p = implicit_margins(scheme, prior, loss=loss)
        assert p[OTHERS] == pytest.approx(np.tile(PI, (4, 1))[OTHERS], rel=1e-13)
    assert implicit_margins(scheme, prior, loss=SOFTMAX).tolist() == implicit_margins(scheme, prior).tolist()


@each_mode
def test_margins_of_samplers_that_look_at_scores(hits: str, problem: Problem, prior: LabelPrior) -> None:
    e = np.exp(problem.scores)
    scheme = Scheme(ModelBased(), Constant(), m=M, hits=hits)
    p = implicit_margins(scheme, prior, scores=problem.scores)
    q = e / e.sum()
    by_hand = {"mask": np.tile(q, (4, 1)), "exclude": q[None] / (1 - q)[:, None], "keep": q[None] / (1 + q)[:, None]}
    assert p[OTHERS] == pytest.approx(by_hand[hits][OTHERS], rel=1e-13)
    with pytest.raises(ValueError, match=r"ModelBased\(\) depends on the scores"):
        implicit_margins(scheme, prior)
    # The minimum-variance sampler never draws the positive, whatever becomes of hits.
    p = implicit_margins(Scheme(MinimumVariance(), Unit(), m=M, hits=hits), prior, scores=problem.scores)
    rest = e.sum() - e
    assert p[OTHERS] == pytest.approx((M * e[None] / rest[:, None])[OTHERS], rel=1e-13)


@pytest.mark.parametrize("target", margins.examples(), ids=str)
@pytest.mark.parametrize("sampler", [Uniform(), Power(), Explicit([0.1, 0.2, 0.3, 0.4])], ids=str)
def test_proposition_4_gives_any_margin_by_any_sampler(target: object, sampler: Sampler, prior: LabelPrior) -> None:
    wanted = np.exp([target.log_margin(prior, y) for y in range(4)])
    for hits in ("exclude", "mask"):
        p = implicit_margins(Scheme(sampler, ForMargin(target), m=M, hits=hits), prior)
        assert p[OTHERS] == pytest.approx(wanted[OTHERS], rel=1e-13)
    p = implicit_margins(Scheme(sampler, ForMargin(target), m=M, hits="keep"), prior)
    assert p[OTHERS] == pytest.approx((wanted / (1 + np.diag(wanted))[:, None])[OTHERS], rel=1e-13)


def test_margins_where_proposition_4_cannot_hold(prior: LabelPrior) -> None:
    with pytest.raises(ValueError, match="label 3 its margin"):
        implicit_margins(Scheme(Explicit([0.5, 0.25, 0.25, 0.0]), Importance(), m=1, hits="mask"), prior)


# --- implicit losses: y the second of four, scores 0.3, -0.4, 1.25, -1.75 ---------------------------------------------

E = [math.exp(x + 0.4) for x in (0.3, -0.4, 1.25, -1.75)]


def test_implicit_softmax_by_hand(problem: Problem) -> None:
    def value(sampler: Sampler, weighting: Weighting, hits: str) -> float:
        estimate = implicit_loss(Scheme(sampler, weighting, m=3, hits=hits), SOFTMAX, problem)
        assert estimate.method == "closed form"
        assert 0 < estimate.error < 1e-12
        return float(estimate)

    # Importance: the full softmax; kept hits add c = 1.
    full = E[0] + E[2] + E[3]
    assert value(Uniform(), Importance(), "mask") == pytest.approx(math.log(1 + full), rel=1e-14)
    assert value(WithinBatch(), Importance(), "exclude") == pytest.approx(math.log(1 + full), rel=1e-14)
    assert value(WithinBatch(), Importance(), "keep") == pytest.approx(math.log(2 + full), rel=1e-14)
    # Within-batch, constant: equalised, log(1 + Σ π e).
    equalised = E[0] / 2 + 3 * E[2] / 16 + E[3] / 16
    assert value(WithinBatch(), Constant(), "mask") == pytest.approx(math.log(1 + equalised), rel=1e-14)
    assert value(WithinBatch(), Constant(), "exclude") == pytest.approx(math.log(1 + equalised / 0.75), rel=1e-14)
    assert value(WithinBatch(), Constant(), "keep") == pytest.approx(math.log(1.25 + equalised), rel=1e-14)
    # Tail: logit-adjusted, log(1 + Σ π_y'/π_y e).
    adjusted = 2 * E[0] + 0.75 * E[2] + 0.25 * E[3]
    assert value(Uniform(), Tail(), "mask") == pytest.approx(math.log(1 + adjusted), rel=1e-14)
    # Relative: m π_y, and m π_y / (1 - π_y).
    assert value(WithinBatch(), Relative(), "mask") == pytest.approx(math.log(1 + 0.75 * full), rel=1e-14)
    assert value(WithinBatch(), Relative(), "exclude") == pytest.approx(math.log(1 + full), rel=1e-14)
    assert value(WithinBatch(), Relative(), "keep") == pytest.approx(math.log(1.75 + 0.75 * full), rel=1e-14)


def test_implicit_decoupled_by_hand(problem: Problem) -> None:
    def value(loss: Loss, weighting: Weighting, hits: str) -> float:
        return float(implicit_loss(Scheme(WithinBatch(), weighting, m=3, hits=hits), loss, problem))

    soft = [math.log(1 + math.exp(f)) for f in (0.3, -0.4, 1.25, -1.75)]
    own = math.log(1 + math.exp(0.4))
    negatives = 3 * (soft[0] / 2 + 3 * soft[2] / 16 + soft[3] / 16)
    assert value(LOGISTIC, Unit(), "mask") == pytest.approx(own + negatives, rel=1e-14)
    assert value(LOGISTIC, Unit(), "exclude") == pytest.approx(own + negatives / 0.75, rel=1e-14)
    assert value(LOGISTIC, Unit(), "keep") == pytest.approx(own + negatives + 0.75 * soft[1], rel=1e-14)
    assert value(LOGISTIC, Importance(), "mask") == pytest.approx(own + soft[0] + soft[2] + soft[3], rel=1e-14)
    # Hinge: φ = 1.4, payments 1.3, 0.6, 2.25, 0.
    assert value(Decoupled(hinge), Constant(), "mask") == pytest.approx(1.4 + 0.65 + 2.25 * 3 / 16, rel=1e-14)
    assert value(Decoupled(hinge), Constant(), "keep") == pytest.approx(1.4 + 0.65 + 2.25 * 3 / 16 + 0.15, rel=1e-14)


def test_implicit_loss_at_extreme_scores(prior: LabelPrior) -> None:
    scheme = Scheme(Uniform(), Importance(), m=3, hits="mask")
    for scores, loss in (([1e4, 0, 0, 0], 1e4), ([-1e4, 0, -1e4, -1e4], math.exp(-1e4)), ([0, 700, 0, 0], 3e-304)):
        value = float(implicit_loss(scheme, SOFTMAX, Problem(np.array(scores, dtype=float), prior, 1)))
        if scores[1] == 700:
            loss = 3 * math.exp(-700)
        assert value == pytest.approx(loss, rel=1e-12, abs=0)


def test_nothing_to_lose(prior: LabelPrior) -> None:
    """Only the positive is ever drawn, and hits are masked: the loss is 0."""
    problem = Problem(np.zeros(4), prior, 1)
    scheme = Scheme(Explicit([0.0, 1.0, 0.0, 0.0]), Constant(), m=3, hits="mask")
    assert float(implicit_loss(scheme, SOFTMAX, problem)) == 0
    assert implicit_gradient(scheme, SOFTMAX, problem).tolist() == [0] * 4
    assert float(implicit_loss(scheme, LOGISTIC, problem)) == pytest.approx(math.log(2))


# --- implicit gradients -------------------------------------------------------------------------------------------


def test_implicit_gradient_by_hand(problem: Problem) -> None:
    scheme = Scheme(WithinBatch(), Constant(), m=3, hits="keep")
    total = 1.25 + E[0] / 2 + 3 * E[2] / 16 + E[3] / 16
    shares = [E[0] / 2 / total, 3 * E[2] / 16 / total, E[3] / 16 / total]
    by_hand = [shares[0], -sum(shares), shares[1], shares[2]]
    assert implicit_gradient(scheme, SOFTMAX, problem) == pytest.approx(by_hand, rel=1e-13)

    def sigmoid(z: float) -> float:
        return 1 / (1 + math.exp(-z))

    by_hand = [sigmoid(0.3) / 2, sigmoid(-0.4) / 4 - sigmoid(0.4), 3 * sigmoid(1.25) / 16, sigmoid(-1.75) / 16]
    assert implicit_gradient(scheme, LOGISTIC, problem) == pytest.approx(by_hand, rel=1e-13)


@each_mode
@each_loss
@pytest.mark.parametrize(
    "weighting", [Unit(), Importance(), Relative(), Tail(), ForMargin(LogitAdjusted(0.5))], ids=str
)
def test_implicit_gradient_is_the_derivative(hits: str, loss: Loss, weighting: Weighting, problem: Problem) -> None:
    """Central differences with step 2^-17: rounding 1e-15 * 20 / step < 3e-9, curvature step² * 20 < 2e-9."""
    scheme = Scheme(Power(), weighting, m=3, hits=hits)
    step = 2.0**-17
    gradient = implicit_gradient(scheme, loss, problem)
    for label in range(4):
        values = []
        for sign in (1, -1):
            scores = np.array(problem.scores)
            scores[label] += sign * step
            values.append(float(implicit_loss(scheme, loss, Problem(scores, problem.prior, problem.positive))))
        assert gradient[label] == pytest.approx((values[0] - values[1]) / (2 * step), abs=1e-8)


def test_implicit_gradient_holds_the_sampler_fixed(problem: Problem) -> None:
    """Training differentiates through the loss, not through q: the model-based sampler counts as an explicit one."""
    e = np.exp(problem.scores)
    for weighting in (Constant(), Importance(), Relative()):
        moving = Scheme(ModelBased(), weighting, m=3, hits="keep")
        fixed = Scheme(Explicit(e / e.sum()), weighting, m=3, hits="keep")
        for loss in (SOFTMAX, LOGISTIC):
            expected = implicit_gradient(fixed, loss, problem)
            assert implicit_gradient(moving, loss, problem) == pytest.approx(expected, rel=1e-13, abs=1e-15)


def test_implicit_gradient_at_extreme_scores(prior: LabelPrior) -> None:
    scheme = Scheme(Uniform(), Importance(), m=3, hits="mask")
    gradient = implicit_gradient(scheme, SOFTMAX, Problem(np.array([1e4, -1e4, 9990.0, -700.0]), prior, 1))
    share = 1 / (1 + math.exp(-10))
    # The loss is 2e4 here, and its last digit 4e-12.
    assert gradient == pytest.approx([share, -1, 1 - share, 0], rel=4e-12, abs=1e-15)


@pytest.mark.parametrize("F", [lambda p: p, lambda p: p**2])
def test_equalised_by_its_own_sampler(F: Callable[[object], object], prior: LabelPrior) -> None:
    """Sampling by F(π) with weight ΣF/m and sampling uniformly with Proposition 4's weights have the same margins."""
    p = implicit_margins(Scheme(Uniform(), ForMargin(Equalised(F)), m=M, hits="mask"), prior)
    assert p[OTHERS] == pytest.approx(np.tile(F(PI), (4, 1))[OTHERS], rel=1e-13)


def test_a_large_power_does_not_overflow() -> None:
    """counts**120 is infinite in floats; the shares are relative to the largest."""
    from implicitloss.samplers import Power

    problem = Problem(np.zeros(3), LabelPrior.from_counts([500, 499, 5]), 2)
    labels = Power(120.0).procedure(problem)(np.random.default_rng(0), 1000)
    assert set(labels.tolist()) == {0, 1}


def test_weights_and_laws_that_are_no_logarithms(problem: Problem) -> None:
    @dataclasses.dataclass(frozen=True)
    class Odd(Unit):
        value: float

        def log_weight(self, draws: Draws) -> Floats:
            return np.array([0.0, 0.0, self.value, 0.0])

    for value in (math.nan, math.inf):
        with pytest.raises(ValueError, match=f"the weights of .* must be finite, .* label 2 has {value}"):
            Scheme(WithinBatch(), Odd(value), m=2, hits="mask").plan(problem)

    @dataclasses.dataclass(frozen=True)
    class Lost(Uniform):
        def log_law(self, problem: Problem) -> Floats:
            return np.array([0.0, math.nan, 0.0, 0.0])

    with pytest.raises(ValueError, match=r"the law of .* must be finite, .* label 1 has nan"):
        Scheme(Lost(), Unit(), m=2, hits="mask").plan(problem)


def test_the_law_of_a_prior_sums_to_1() -> None:
    """A prior's own rounding, which it keeps, is taken off its law."""
    prior = LabelPrior([0.5 + 5e-14, 0.3, 0.2])
    assert prior.probabilities.sum() > 1 + 4e-14
    scheme = Scheme(WithinBatch(), Constant(), m=5, hits="mask")
    assert abs(np.exp(scheme.log_law(Problem(np.zeros(3), prior, 0))).sum() - 1) < 1e-15


def test_a_plan_does_not_write_into_what_a_weighting_keeps() -> None:
    kept = np.zeros(3)

    class Keeping:
        is_eta_over_m = False

        def log_weight(self, draws: Draws) -> Floats:
            return kept

    scheme = Scheme(Uniform(), Keeping(), m=5, hits="mask")  # type: ignore[arg-type]
    problem = Problem(np.zeros(3), LabelPrior.from_counts([2, 1, 1]), 1)
    assert scheme.plan(problem).log_w[1] == -np.inf
    assert kept.tolist() == [0, 0, 0]
