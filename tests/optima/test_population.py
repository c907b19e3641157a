"""What schemes teach: optima in closed form, by two independent searches, and what has none."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from implicitloss import (
    LabelPrior,
    Problem,
    Scheme,
    certify_optimum,
    implicit_loss,
    integrate,
    population_optimum,
    sweep,
    weightings,
)
from implicitloss.losses import (
    Decoupled,
    Loss,
    SoftmaxCrossEntropy,
    cosine_contrastive,
    hinge,
    logistic,
    squared_hinge,
)
from implicitloss.margins import Adaptive, Equalised, LogitAdjusted, Softmax
from implicitloss.optima import objective
from implicitloss.optima.newton import NoOptimum, minimise
from implicitloss.optima.objective import implicit_objective
from implicitloss.optima.population import by_newton
from implicitloss.optima.separable import separable_optimum
from implicitloss.optima.tilt import tilt
from implicitloss.samplers import Explicit, MinimumVariance, ModelBased, Power, Sampler, Uniform, WithinBatch
from implicitloss.theory.implicit import implicit_margins
from implicitloss.weightings import Constant, ForMargin, Importance, Relative, Tail, Unit, Weighting

SOFTMAX, LOGISTIC = SoftmaxCrossEntropy(), Decoupled(logistic)
ETA = np.array([0.35, 0.3, 0.15, 0.2])


def centred(f: np.ndarray) -> np.ndarray:
    return f - f.mean()


def expected_loss(scheme: Scheme, loss: Loss, f: np.ndarray, prior: LabelPrior, of: str) -> float:
    """Σ η ℓ_y(f), by `implicit_loss` or `integrate`."""
    witness = implicit_loss if of == "implicit" else integrate
    return sum(eta * float(witness(scheme, loss, Problem(f, prior, y))) for y, eta in enumerate(ETA))


# --- closed forms of the softmax ----------------------------------------------------------------------------------


@pytest.mark.parametrize("m", [1, 3, 50])
@pytest.mark.parametrize("sampler", [Uniform(), WithinBatch(), Power()], ids=str)
@pytest.mark.parametrize("hits", ["exclude", "mask"])
def test_importance_teaches_bayes_by_the_bound(m: int, sampler: Sampler, hits: str, prior: LabelPrior) -> None:
    optimum = population_optimum(Scheme(sampler, Importance(), m=m, hits=hits), SOFTMAX, ETA, prior, "implicit")
    assert optimum == pytest.approx(centred(np.log(ETA)), abs=1e-10)
    assert optimum.mean() == pytest.approx(0, abs=1e-14)


def test_tail_teaches_balanced_bayes_by_the_bound(prior: LabelPrior) -> None:
    """f* = log η - log π; with Prop. 4's weights for τ = 1/2, log η - log(π)/2."""
    for weighting, tau in ((Tail(), 1.0), (ForMargin(LogitAdjusted(0.5)), 0.5)):
        optimum = population_optimum(Scheme(Uniform(), weighting, m=3, hits="mask"), SOFTMAX, ETA, prior, "implicit")
        assert optimum == pytest.approx(centred(np.log(ETA) - tau * prior.log), abs=1e-10)
        assert np.abs(optimum - centred(np.log(ETA))).max() > 0.1


@pytest.mark.parametrize("m", [1, 2, 10, 300])
def test_in_batch_softmax_is_balanced_for_every_m(m: int, prior: LabelPrior) -> None:
    """Hits kept, w = 1: the *actual* loss has f* = log η - log π, whatever its bound says."""
    scheme = Scheme(WithinBatch(), Unit(), m=m, hits="keep")
    optimum = population_optimum(scheme, SOFTMAX, ETA, prior, of="sampled")
    assert optimum == pytest.approx(centred(np.log(ETA) - prior.log), abs=1e-9)
    bound = population_optimum(scheme, SOFTMAX, ETA, prior, of="implicit")
    # The bound agrees in the limit only: f* of the implicit loss moves with m.
    assert np.abs(bound - optimum).max() > 1e-3


@pytest.mark.parametrize("m", [1, 2, 10])
@pytest.mark.parametrize("sampler", [WithinBatch(), Uniform(), Power()], ids=str)
def test_relative_weights_teach_bayes_for_every_m(m: int, sampler: Sampler, prior: LabelPrior) -> None:
    """w = h_y'/h_y with h = 1/q: f* = log η - log(q h) = log η."""
    optimum = population_optimum(Scheme(sampler, Relative(), m=m, hits="keep"), SOFTMAX, ETA, prior, of="sampled")
    assert optimum == pytest.approx(centred(np.log(ETA)), abs=1e-9)
    for hits in ("mask", "exclude"):
        other = population_optimum(Scheme(sampler, Relative(), m=m, hits=hits), SOFTMAX, ETA, prior, of="sampled")
        off = np.abs(other - centred(np.log(ETA))).max()
        # A single draw that is a hit adds a constant, kept or masked.  Otherwise the head is favoured.
        assert off < 1e-9 if m == 1 and hits == "mask" else off > 1e-2 or isinstance(sampler, Uniform)


def test_kept_hits_with_any_ratio_weights(prior: LabelPrior) -> None:
    """w = 1 under any q: f* = log η - log q."""
    q = np.array([0.1, 0.2, 0.3, 0.4])
    scheme = Scheme(Explicit(q), Unit(), m=4, hits="keep")
    optimum = population_optimum(scheme, SOFTMAX, ETA, prior, of="sampled")
    assert optimum == pytest.approx(centred(np.log(ETA) - np.log(q)), abs=1e-9)


def test_importance_is_only_asymptotically_consistent(prior: LabelPrior) -> None:
    """By the actual loss it is biased at small m, and by about half as much at twice the m."""
    off = []
    for m in (32, 64, 128):
        scheme = Scheme(WithinBatch(), Importance(), m=m, hits="exclude")
        optimum = population_optimum(scheme, SOFTMAX, ETA, prior, of="sampled")
        off.append(np.abs(optimum - centred(np.log(ETA))).max())
    assert off[0] > 1e-3
    assert 0.4 < off[1] / off[0] < 0.6
    assert 0.45 < off[2] / off[1] < 0.55


# --- minima by the values alone -----------------------------------------------------------------------------------


@pytest.mark.parametrize("of", ["implicit", "sampled"])
@pytest.mark.parametrize(
    ("weighting", "hits"), [(Constant(), "exclude"), (Relative(), "mask"), (Tail(), "keep"), (Unit(), "mask")]
)
def test_the_optimum_is_a_minimum(of: str, weighting: Weighting, hits: str, prior: LabelPrior) -> None:
    """In four random directions the loss rises: a move of 0.01 costs 1e-7 at least, rounding is 1e-14."""
    scheme = Scheme(WithinBatch(), weighting, m=3, hits=hits)
    optimum = population_optimum(scheme, SOFTMAX, ETA, prior, of=of)
    least = expected_loss(scheme, SOFTMAX, optimum, prior, of)
    for direction in np.eye(4) - 0.25:
        rises = [
            expected_loss(scheme, SOFTMAX, optimum + sign * 0.01 * direction, prior, of) - least for sign in (1, -1)
        ]
        assert min(rises) > 1e-8
        # Flat to first order: the two rises differ by the third derivative only.
        assert abs(rises[0] - rises[1]) < 0.1 * max(rises)


@pytest.mark.parametrize(
    ("weighting", "a", "b"),
    [
        (Importance(), lambda pi: np.ones(4), lambda pi: np.ones(4)),
        (Tail(), lambda pi: 1 / pi, lambda pi: pi),
        (Constant(), lambda pi: np.ones(4), lambda pi: pi),
        (ForMargin(Equalised(lambda p: p**0.5)), lambda pi: np.ones(4), lambda pi: np.sqrt(pi)),
        (ForMargin(LogitAdjusted(0.5)), lambda pi: pi**-0.5, lambda pi: pi**0.5),
    ],
    ids=["importance", "tail", "constant", "root", "half"],
)
def test_separable_margins_by_a_search_in_one_number(
    weighting: Weighting, a: object, b: object, prior: LabelPrior
) -> None:
    pi = prior.probabilities
    scheme = Scheme(WithinBatch(), weighting, m=3, hits="mask")
    p = implicit_margins(scheme, prior)
    assert p[~np.eye(4, dtype=bool)] == pytest.approx(np.outer(a(pi), b(pi))[~np.eye(4, dtype=bool)], rel=1e-13)
    newton = by_newton(scheme, ETA, prior, "implicit")
    assert separable_optimum(ETA, a(pi), b(pi)) == pytest.approx(newton, abs=1e-9)
    # A margin 5 % off at one label is another optimum.
    off = separable_optimum(ETA, a(pi), b(pi) * np.array([1, 1, 0.95, 1]))
    assert np.abs(off - newton).max() > 1e-3


def test_separable_optimum_on_a_long_tail(rng: np.random.Generator) -> None:
    prior = LabelPrior.exp(40, 500, 100)
    eta = rng.dirichlet(np.ones(40)) * 0.9 + 0.1 / 40
    scheme = Scheme(WithinBatch(), Constant(), m=3, hits="mask")
    newton = by_newton(scheme, eta, prior, "implicit")
    assert separable_optimum(eta, np.ones(40), prior.probabilities) == pytest.approx(newton, abs=1e-8)


@pytest.mark.parametrize(
    ("eta", "c", "larger"),
    [
        ([0.9, 0.06, 0.04], [50, 20, 1], True),
        ([0.9, 0.06, 0.04], [2.5, 0.1, 9], True),
        ([0.5, 0.3, 0.2], [3, 2, 1], False),
        ([0.4, 0.35, 0.25], [1e4, 0.5, 1e-4], True),
    ],
)
def test_separable_margins_above_one(eta: list[float], c: list[float], larger: bool) -> None:
    """Of the two shares that a label can have where a_y b_y > 2, one label may have the larger one."""
    b = np.array([0.5, 2.0, 1.0])
    a = np.array(c) / b
    f = separable_optimum(eta, a, b)
    log_p = np.log(np.outer(a, b))
    np.fill_diagonal(log_p, -np.inf)
    assert f == pytest.approx(minimise(implicit_objective(np.array(eta), log_p), np.log(eta), np.array(eta)), abs=1e-8)
    assert f - f.mean() == pytest.approx(f)
    share = b[0] * np.exp(f[0]) / (b @ np.exp(f))
    assert (share > c[0] / (2 * (c[0] - 1))) == larger


@pytest.mark.parametrize("hits", ["exclude", "mask", "keep"])
@pytest.mark.parametrize("m", [1, 100])
def test_the_optimum_of_the_bound_is_that_by_newtons_method(m: int, hits: Any, rng: np.random.Generator) -> None:
    """Whatever the law and weights; without what a hit does to the margins it is another one."""
    prior = LabelPrior.from_probabilities(rng.dirichlet(np.full(6, 0.4)) * 0.99 + 0.01 / 6)
    eta = rng.dirichlet(np.full(6, 0.4)) * 0.99 + 0.01 / 6
    for sampler in (WithinBatch(), Uniform()):
        for weighting in (Constant(), Relative(), ForMargin(Adaptive())):
            scheme = Scheme(sampler, weighting, m=m, hits=hits)
            found = population_optimum(scheme, SOFTMAX, eta, prior, "implicit")
            assert found == pytest.approx(by_newton(scheme, eta, prior, "implicit"), abs=1e-7)
            other = Scheme(sampler, weighting, m=m, hits="mask" if hits == "keep" else "keep")
            assert found != pytest.approx(by_newton(other, eta, prior, "implicit"), abs=1e-4)


def test_the_tilt_of_the_bound_on_many_labels() -> None:
    """The margins of importance weights are those of softmax, and those of tail weights of logit adjustment."""
    prior = LabelPrior.zipf(100_000, 1.0)
    for weighting, slope in ((Importance(), 0.0), (Tail(), -1.0)):
        scheme = Scheme(WithinBatch(), weighting, m=64, hits="mask")
        assert tilt(scheme, prior, "implicit") == pytest.approx(slope, abs=1e-12)


# --- decoupled losses ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hits", ["exclude", "mask", "keep"])
@pytest.mark.parametrize("weighting", [Unit(), Importance(), Relative(), Tail()], ids=str)
def test_decoupled_logistic_in_closed_form(hits: str, weighting: Weighting, prior: LabelPrior) -> None:
    """f*_j = log η_j - log Σ_{y != j} η_y p_yj, and kept hits add η_j c_j to the sum."""
    scheme = Scheme(WithinBatch(), weighting, m=3, hits=hits)
    p = implicit_margins(scheme, prior, loss=LOGISTIC)
    against = ETA @ p
    if hits == "keep":
        pi = prior.probabilities
        kept = {Unit: 3 * pi, Importance: np.ones(4), Relative: 3 * pi, Tail: np.ones(4)}[type(weighting)]
        against = against + ETA * kept
    by_hand = np.log(ETA) - np.log(against)
    for of in ("implicit", "sampled"):
        assert population_optimum(scheme, LOGISTIC, ETA, prior, of=of) == pytest.approx(by_hand, abs=1e-12)


def test_negative_sampling_teaches_shifted_pmi(prior: LabelPrior) -> None:
    """word2vec: f* = log η/(K q (1 - η)), where hits are masked."""
    scheme = Scheme(Power(), Unit(), m=5, hits="mask")
    q = prior.probabilities**0.75 / (prior.probabilities**0.75).sum()
    by_hand = np.log(ETA / (5 * q * (1 - ETA)))
    assert population_optimum(scheme, LOGISTIC, ETA, prior) == pytest.approx(by_hand, abs=1e-12)


@pytest.mark.parametrize("binary", [squared_hinge, cosine_contrastive(-0.5)], ids=str)
def test_decoupled_squares_in_closed_form(binary: object, prior: LabelPrior) -> None:
    """η φ'(f) + B ϕ'(f) = 0 is linear between the kinks: f = (η - B)/(η + B), or (η + B ρ)/(η + B)."""
    scheme = Scheme(WithinBatch(), Constant(), m=3, hits="mask")
    against = ETA @ implicit_margins(scheme, prior, loss=Decoupled(binary))
    rho = -1.0 if binary is squared_hinge else -0.5
    by_hand = (ETA + against * rho) / (ETA + against)
    assert population_optimum(scheme, Decoupled(binary), ETA, prior) == pytest.approx(by_hand, abs=1e-12)


def test_decoupled_hinge_takes_sides(prior: LabelPrior) -> None:
    """Linear between -1 and 1: f* = 1 where η_j > Σ η p, else -1."""
    scheme = Scheme(WithinBatch(), Constant(), m=3, hits="mask")
    against = ETA @ implicit_margins(scheme, prior, loss=Decoupled(hinge))
    by_hand = np.where(against < ETA, 1.0, -1.0)
    assert set(by_hand) == {1.0, -1.0}
    assert population_optimum(scheme, Decoupled(hinge), ETA, prior) == pytest.approx(by_hand, abs=1e-12)


def test_nothing_holds_a_label_that_is_no_negative(prior: LabelPrior) -> None:
    """Label 3 is never drawn: its logistic score runs away."""
    scheme = Scheme(Explicit([0.5, 0.25, 0.25, 0.0]), Unit(), m=3, hits="mask")
    with pytest.raises(NoOptimum, match="label 3 has no finite optimum"):
        population_optimum(scheme, LOGISTIC, ETA, prior)
    for of in ("implicit", "sampled"):
        with pytest.raises(NoOptimum):
            population_optimum(scheme, SOFTMAX, ETA, prior, of=of)


# --- what is refused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("eta", "message"),
    [
        ([0.5, 0.5, 0.0, 0.0], "eta must be positive, but label 2 has 0"),
        ([0.5, 0.25, 0.25], "4 labels, got 3"),
        ([0.5, 0.25, 0.25, 0.25], "eta must sum to 1, got 1.25"),
        ([1.5, -0.5, 0.0, 0.0], "eta must not be negative, but label 1 has -0.5"),
        ([0.5, np.nan, 0.25, 0.25], "eta must be finite"),
    ],
)
def test_bad_eta(eta: list[float], message: str, prior: LabelPrior) -> None:
    with pytest.raises(ValueError, match=message.replace(".", r"\.")):
        population_optimum(Scheme(Uniform(), Importance(), m=1, hits="mask"), SOFTMAX, eta, prior)


@pytest.mark.parametrize("sampler", [ModelBased(), MinimumVariance()], ids=str)
def test_samplers_that_move_with_the_scores(sampler: Sampler, prior: LabelPrior) -> None:
    with pytest.raises(ValueError, match="moves with the scores"):
        population_optimum(Scheme(sampler, Importance(), m=1, hits="mask"), SOFTMAX, ETA, prior)


def test_unknown_loss_to_minimise(prior: LabelPrior) -> None:
    with pytest.raises(ValueError, match="'implicit' or 'sampled', got 'bound'"):
        population_optimum(Scheme(Uniform(), Importance(), m=1, hits="mask"), SOFTMAX, ETA, prior, of="bound")


# --- one grid for all positives, and how near the optimum is ----------------------------------------------------------


@pytest.mark.parametrize("hits", ["exclude", "mask", "keep"])
@pytest.mark.parametrize("weighting", weightings.examples(), ids=str)
def test_one_grid_equals_one_by_one(weighting: Any, hits: Any, rng: np.random.Generator) -> None:
    """Value, gradient and Hessian of the sampled objective, away from its optimum; a draw more is another objective."""
    prior = LabelPrior.exp(8, 400, 100)
    eta, f = rng.dirichlet(np.full(8, 3.0)), 2 * rng.normal(size=8)
    for sampler in (Uniform(), WithinBatch()):
        for m in (1, 2, 33):
            scheme, more = (Scheme(sampler, weighting, m=n, hits=hits) for n in (m, m + 1))
            fast = objective.sampled_objective(scheme, SOFTMAX, eta, prior)(f)
            slow = objective._one_by_one(scheme, SOFTMAX, eta, prior)(f)
            other = objective._one_by_one(more, SOFTMAX, eta, prior)(f)
            for a, b in zip(fast, slow, strict=True):
                assert a == pytest.approx(b, rel=1e-12, abs=1e-13)
            assert np.abs(other[2] - slow[2]).max() > 1e-6


def test_a_weighting_without_factors_goes_one_by_one() -> None:
    @dataclass(frozen=True)
    class Near:
        is_eta_over_m = True

        def log_weight(self, draws: Any) -> Any:
            return -np.log(draws.m) - 0.2 * np.abs(np.arange(draws.prior.n_labels) - draws.positive)

    prior, eta = LabelPrior.exp(5, 40, 10), np.array([0.3, 0.2, 0.2, 0.2, 0.1])
    scheme = Scheme(WithinBatch(), Near(), m=3, hits="mask")  # type: ignore[arg-type]
    f = population_optimum(scheme, SOFTMAX, eta, prior, of="sampled")
    assert certify_optimum(scheme, SOFTMAX, eta, prior, f, of="sampled").distance < 1e-10


@pytest.mark.parametrize("of", ["implicit", "sampled"])
@pytest.mark.parametrize("weighting", [Constant(), Importance(), Relative()], ids=str)
def test_a_certificate_bounds_the_distance(of: Any, weighting: Any, rng: np.random.Generator) -> None:
    """From 1e-9 to 0.1 away: never less than the truth, and within a factor of it; far off it says nothing."""
    prior = LabelPrior.exp(12, 400, 50)
    eta = rng.dirichlet(np.full(12, 3.0))
    scheme = Scheme(WithinBatch(), weighting, m=8, hits="mask")
    best = population_optimum(scheme, SOFTMAX, eta, prior, of=of)
    found = certify_optimum(scheme, SOFTMAX, eta, prior, best, of=of)
    assert found.distance < 1e-11
    assert found.gradient < 1e-10
    assert found.curvature > 0
    for size in (1e-9, 1e-5, 1e-3):
        away = size * rng.normal(size=12)
        distance = certify_optimum(scheme, SOFTMAX, eta, prior, best + away, of=of).distance
        assert np.ptp(away) <= distance < 100 * np.ptp(away)
    assert certify_optimum(scheme, SOFTMAX, eta, prior, best + 20 * rng.normal(size=12), of=of).distance == np.inf


def test_a_thousand_labels_have_their_optimum_and_its_certificate(rng: np.random.Generator) -> None:
    """The balanced rule of in-batch softmax with hits kept, at 1,000 labels, where it is known in closed form."""
    prior = LabelPrior.exp(1000, 500, 100)
    eta = rng.dirichlet(np.full(1000, 3.0))
    scheme = Scheme(WithinBatch(), Unit(), m=8, hits="keep")
    f = population_optimum(scheme, SOFTMAX, eta, prior, of="sampled")
    known = np.log(eta) - prior.log
    assert f == pytest.approx(known - known.mean(), abs=1e-9)
    assert certify_optimum(scheme, SOFTMAX, eta, prior, f, of="sampled").distance < 1e-9


def test_certificates_are_for_softmax() -> None:
    prior = LabelPrior.exp(5, 40, 10)
    scheme = Scheme(WithinBatch(), Constant(), m=3, hits="mask")
    with pytest.raises(ValueError, match="needs no certificate"):
        certify_optimum(scheme, Decoupled(logistic), np.full(5, 0.2), prior, np.zeros(5))


@pytest.mark.parametrize("weighting", [Constant(), Importance(), Relative()], ids=str)
def test_a_label_that_is_nearly_all_the_law(weighting: Any) -> None:
    """The grid would lose its digits; label by label the optimum is found, and its certificate means something."""
    rest = 1e-9
    prior = LabelPrior.from_probabilities([1 - 3 * rest, rest, rest, rest])
    eta = np.array([0.4, 0.3, 0.2, 0.1])
    scheme = Scheme(WithinBatch(), weighting, m=8, hits="exclude")
    f = population_optimum(scheme, SOFTMAX, eta, prior, of="sampled")
    expected = objective._one_by_one(scheme, SOFTMAX, eta, prior)
    assert np.all(np.abs(expected(f)[1]) <= 1e-9 * eta)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"of": "foo"}, "of must be 'implicit' or 'sampled', got 'foo'"),
        ({"eta": [0.5, 0.5, 0, 0, 0]}, "eta must be positive, but label 2 has 0"),
        ({"eta": [0.5, 0.5]}, "eta must cover the prior's 5 labels, got 2"),
        ({"f": np.zeros(4)}, "scores must cover the prior's 5 labels, got 4"),
    ],
)
def test_certificates_refuse_what_optima_refuse(change: dict[str, Any], sentence: str) -> None:
    scheme = Scheme(WithinBatch(), Constant(), m=3, hits="mask")
    options = {"eta": np.full(5, 0.2), "prior": LabelPrior.exp(5, 40, 10), "f": np.zeros(5), **change}
    with pytest.raises(ValueError, match=sentence):
        certify_optimum(scheme, SOFTMAX, **options)


@pytest.mark.parametrize("of", ["implicit", "sampled"])
def test_labels_that_hardly_ever_occur_at_x_do_not_stall_newton(of: Any) -> None:
    """η from 0.9 down to 1e-9: the logit-adjusted loss teaches log η - log π to the last of them."""
    prior = LabelPrior.exp(20, 500, 100)
    eta = np.concatenate([[0.9, 0.0999], np.geomspace(1e-5, 1e-9, 18)])
    eta /= eta.sum()
    weighting = weightings.ForMargin(LogitAdjusted())
    scheme = Scheme(Uniform(), weighting, m=4096, hits="mask")
    optimum = population_optimum(scheme, SoftmaxCrossEntropy(), eta, prior, of)
    expected = np.log(eta) - prior.log
    expected -= expected.mean()
    np.testing.assert_allclose(optimum, expected, atol=1e-9 if of == "implicit" else 0.5)


def test_the_tilt_of_known_schemes(prior: LabelPrior) -> None:
    """0 for softmax, -τ for logit adjustment; in-batch softmax with kept hits is truly balanced."""
    within = WithinBatch()
    assert tilt(Scheme(within, Importance(), m=3, hits="mask"), prior, "implicit") == pytest.approx(0, abs=1e-10)
    assert tilt(Scheme(within, ForMargin(LogitAdjusted(0.4)), m=3, hits="mask"), prior, "implicit") == pytest.approx(
        -0.4
    )
    assert tilt(Scheme(within, Unit(), m=3, hits="keep"), prior, "sampled") == pytest.approx(-1)
    # With a few draws importance weights truly help rare labels; masked hits take the balance away.
    assert tilt(Scheme(within, Importance(), m=1, hits="mask"), prior, "sampled") < -0.1
    assert abs(tilt(Scheme(within, Unit(), m=3, hits="mask"), prior, "sampled") + 1) > 0.01
    with pytest.raises(ValueError, match="all labels are equally frequent"):
        tilt(Scheme(within, Importance(), m=3, hits="mask"), LabelPrior.zipf(4, 0))


@pytest.mark.parametrize("counts", [[10**9, 1, 1], [10**15, 1, 1, 1], [10**9, *[1] * 39]], ids=["3", "4", "40"])
def test_a_label_that_is_all_of_the_law_but_its_rounding(counts: list[int]) -> None:
    """q is 1 to the last digit, and the others are drawn all the same where it is the positive."""
    prior = LabelPrior.from_counts(counts)
    scheme, n = Scheme(Power(2.0), Importance(), m=8, hits="exclude"), prior.n_labels
    implicit = population_optimum(scheme, SOFTMAX, np.full(n, 1 / n), prior, "implicit")
    np.testing.assert_allclose(implicit, 0.0, atol=1e-12)
    f = population_optimum(scheme, SOFTMAX, np.full(n, 1 / n), prior, "sampled")
    # The rare are alike, and each pushes the frequent one down, as its bound does not.
    assert np.ptp(f[1:]) < 1e-9
    assert f[0] < f[1] - 0.1
    swept = sweep([scheme], SOFTMAX, np.zeros(n), prior)["mean"]
    alone = [float(integrate(scheme, SOFTMAX, Problem(np.zeros(n), prior, y))) for y in range(n)]
    np.testing.assert_allclose(swept.value[0], alone, rtol=1e-12)


# --- which loss is meant ----------------------------------------------------------------------------------------------


def test_the_true_loss_is_meant_unless_the_bound_is_asked_for() -> None:
    """Within-batch, one negative, hits masked: relative weights lean to frequent labels by the bound and not in truth,
    importance weights to rare labels in truth and not by the bound."""
    prior = LabelPrior.exp(100, 500, 100).few(20)
    eta = np.full(20, 1 / 20)
    for weighting, truly, by_the_bound in ((Relative(), 0.0, 0.402), (Importance(), -2.356, 0.0)):
        scheme = Scheme(WithinBatch(), weighting, m=1, hits="mask")
        assert tilt(scheme, prior) == pytest.approx(truly, abs=1e-3)
        assert tilt(scheme, prior, of="implicit") == pytest.approx(by_the_bound, abs=1e-3)
        f, bound = (population_optimum(scheme, SOFTMAX, eta, prior, *of) for of in ((), ("implicit",)))
        assert expected(scheme, f, prior) < expected(scheme, bound, prior) - 1e-3
        assert certify_optimum(scheme, SOFTMAX, eta, prior, f).distance < 1e-9
        assert certify_optimum(scheme, SOFTMAX, eta, prior, bound).distance > 0.1
        assert certify_optimum(scheme, SOFTMAX, eta, prior, bound, of="implicit").distance < 1e-9


def expected(scheme: Scheme, f: np.ndarray, prior: LabelPrior) -> float:
    """E ℓ by `integrate`, labels equally likely."""
    return float(np.mean([float(integrate(scheme, SOFTMAX, Problem(f, prior, y))) for y in range(prior.n_labels)]))


# How many arguments come before the one that says which loss is meant.
PLACES = {"population_optimum": 4, "tilt": 2, "certify_optimum": 5}


def unsaid(tree: ast.AST) -> list[str]:
    """Calls of optima that leave open which loss is meant."""
    return [
        ast.unparse(call)
        for call in ast.walk(tree)
        if isinstance(call, ast.Call)
        and (name := ast.unparse(call.func).removeprefix("il.")) in PLACES
        and len(call.args) <= PLACES[name]
        and not any(word.arg == "of" for word in call.keywords)
    ]


def test_whoever_shows_an_optimum_says_of_which_loss() -> None:
    root = Path(__file__).parents[2]
    folders = ("implicitloss", "paper_checks", "analysis", "figures", "docs")
    files = [path for folder in folders for path in (root / folder).rglob("*.py")]
    assert len(files) > 100
    texts = {path: path.read_text(encoding="utf-8") for path in files}
    # A tree is made of what has one of the names at all.
    trees = {path: ast.parse(text) for path, text in texts.items() if any(name in text for name in PLACES)}
    # A lesson of section 4 has its own tilt, of the loss that it names.
    found = [call for path, tree in trees.items() if path.name != "section4.py" for call in unsaid(tree)]
    assert found == []
    assert unsaid(ast.parse("il.tilt(a, b); tilt(a, b, c); population_optimum(a, b, c, d)")) == [
        "il.tilt(a, b)",
        "population_optimum(a, b, c, d)",
    ]


# --- what there is no optimum of --------------------------------------------------------------------------------------

MASKED = Scheme(WithinBatch(), Constant(), m=3, hits="mask")
FEW = LabelPrior.exp(5, 40, 10)


@dataclass(frozen=True)
class Unsaid:
    """Weights of 1 that do not say their factors."""

    is_eta_over_m = False

    def log_weight(self, draws: Any) -> Any:
        return np.zeros(draws.prior.n_labels)


@dataclass(frozen=True)
class Own:
    """A loss of one's own: a softmax of twice the scores."""

    name = "own"
    has_log = True

    def log_payment(self, scores: np.ndarray, positive: int) -> np.ndarray:
        return 2 * (scores - scores[positive])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"scheme": WithinBatch()}, r"the scheme must be a Scheme, .* got WithinBatch"),
        ({"scheme": None}, "the scheme must be a Scheme.* got None"),
        ({"scheme": Scheme}, "the scheme must be a Scheme"),
        ({"loss": lambda f, y: f}, "a loss must be one of implicitloss.losses"),
        ({"loss": Own()}, r"the loss must have name, .* but Own\(\) lacks"),
        ({"prior": np.full(5, 0.2)}, "the prior must be a LabelPrior, .* got an array"),
        ({"prior": None}, "the prior must be a LabelPrior, .* got None"),
        ({"of": np.array(["sampled"] * 9)}, "of must be 'implicit' or 'sampled', got ndarray"),
        ({"of": None}, "of must be 'implicit' or 'sampled', got NoneType"),
        ({"of": ["sampled"]}, "of must be 'implicit' or 'sampled', got list"),
        (
            {"prior": LabelPrior.zipf(5_001, 1.0), "scheme": Scheme(WithinBatch(), Unsaid(), m=3, hits="mask")},
            r"among at most 5,000 labels, got 5,001; prior\.few\(5000\)",
        ),
    ],
)
def test_other_kinds_of_things_are_one_sentence(change: dict[str, Any], sentence: str) -> None:
    given = {"scheme": MASKED, "loss": SOFTMAX, "eta": np.full(5, 0.2), "prior": FEW, "of": "sampled", **change}
    with pytest.raises(ValueError, match=sentence) as caught:
        population_optimum(**given)
    assert len(str(caught.value)) <= 300
    with pytest.raises(ValueError, match=sentence):
        certify_optimum(**given, f=np.zeros(5))
    if "loss" not in change:
        with pytest.raises(ValueError, match=sentence):
            tilt(given["scheme"], given["prior"], given["of"])


@pytest.mark.parametrize("of", ["implicit", "sampled"])
@pytest.mark.parametrize("target", [LogitAdjusted(), Softmax()], ids=str)
def test_consistent_weights_need_labels_that_occur(target: Any, of: Any) -> None:
    """log π of the target and log q are infinite: a sentence, and no warning."""
    scheme = Scheme(WithinBatch(), weightings.Consistent(target), m=3, hits="exclude")
    with pytest.raises(NoOptimum, match="label 0 has no finite optimum"):
        population_optimum(scheme, SOFTMAX, ETA, LabelPrior.from_counts([0, 6, 2, 1]), of)


def test_certificates_are_of_labels_whose_pairs_fit() -> None:
    many = LabelPrior.zipf(5_001, 1.0)
    with pytest.raises(ValueError, match="a certificate is made for at most 5,000 labels, got 5,001"):
        certify_optimum(MASKED, SOFTMAX, many.probabilities, many, many.log)


def test_labels_that_never_occur_have_no_tilt() -> None:
    named = LabelPrior.from_counts([5, 0, 3], ["cat", "dog", "eel"])
    with pytest.raises(ValueError, match="a tilt needs labels that occur, but label dog has prior 0"):
        tilt(MASKED, named)
    assert np.isfinite(tilt(MASKED, named.few(20)))


@pytest.mark.parametrize("of", ["implicit", "sampled"])
@pytest.mark.parametrize("hits", ["mask", "keep"])
def test_one_label_has_the_score_0(hits: Any, of: Any) -> None:
    one = LabelPrior.from_counts([3])
    scheme = Scheme(WithinBatch(), Constant(), m=3, hits=hits)
    assert population_optimum(scheme, SOFTMAX, [1.0], one, of).tolist() == [0.0]


@pytest.mark.parametrize("of", ["implicit", "sampled"])
@pytest.mark.parametrize("hits", ["mask", "keep", "exclude"])
@pytest.mark.parametrize("spread", [100.0, 1e3, 1e6, 1e16, 1e300, 1.7e308])
def test_scores_far_apart_have_a_certificate_or_a_sentence(spread: float, hits: Any, of: Any) -> None:
    """Grids as long as the spread, and Hessians of numbers squared: inf, or refused; never nan, nor all of memory."""
    scheme = Scheme(WithinBatch(), Importance(), m=4, hits=hits)
    f = spread * np.array([0.0, 1.0, -1.0, 0.5, -0.5])
    try:
        found = certify_optimum(scheme, SOFTMAX, np.full(5, 0.2), FEW, f, of=of)
    except ValueError as refusal:
        assert spread > 100
        assert re.match("scores must lie (nearer to each other for a certificate|within ±1e)", str(refusal))  # noqa: PT017
    else:
        assert found.distance == np.inf
        assert found.gradient > 0.1


@pytest.mark.parametrize("of", ["implicit", "sampled"])
@pytest.mark.parametrize("rare", [1e-30, 1e-100, 1e-200, 1e-300])
def test_eta_far_apart_has_an_optimum_or_none(rare: float, of: Any) -> None:
    """Without warnings, and right where it is found: logit adjustment teaches log η - log π by the bound."""
    eta = np.array([1 - rare, rare])
    prior = LabelPrior.from_counts([3, 1])
    scheme = Scheme(Uniform(), Tail(), m=4, hits="mask")
    try:
        f = population_optimum(scheme, SOFTMAX, eta, prior, of)
    except NoOptimum as none:
        assert rare < 1e-30
        assert "did not converge" in str(none)  # noqa: PT017
    else:
        if of == "implicit":
            assert f == pytest.approx(centred(np.log(eta) - prior.log), rel=1e-6)


def test_weights_that_overflow_have_no_optimum() -> None:
    @dataclass(frozen=True)
    class Heavy:
        is_eta_over_m = True

        def log_weight(self, draws: Any) -> Any:
            return np.full(draws.prior.n_labels, 800.0)

    scheme = Scheme(Uniform(), Heavy(), m=3, hits="mask")  # type: ignore[arg-type]
    with pytest.raises(NoOptimum, match="label 0 has no optimum within numbers: the weights on it are too large"):
        population_optimum(scheme, LOGISTIC, np.full(5, 0.2), FEW)


def test_scores_beyond_numbers_are_one_sentence() -> None:
    """LDAM's margins of a label of π = 1e-300 are e^(.25 π^(-1/4)): no grid reaches from one score to the next."""
    prior = LabelPrior.from_probabilities([1.0, 1e-300, 1e-300])
    scheme = Scheme(Power(), ForMargin(Adaptive(0.25)), m=5, hits="keep")
    with pytest.raises(ValueError, match="too far apart"):
        tilt(scheme, prior)
