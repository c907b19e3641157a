"""Hard negatives beside the draws: every number against sums over all draws, written out by hand at 40 digits."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import implicitloss as il
from implicitloss import symbols as s
from implicitloss.hard import OVERLAPS, POSITIVES, _best
from implicitloss.scheme import HITS, Scheme
from implicitloss.theory.implicit import lemma1_variance
from implicitloss.weightings import Draws
from implicitloss.witness.integrate import draw as measure
from implicitloss.witness.integrate import gradient_and_hessian, integral
from implicitloss.witness.integrate.sweep import SWEPT

SOFTMAX = il.losses.SoftmaxCrossEntropy()
LOGISTIC = il.losses.Decoupled(il.losses.logistic)
QUANTITIES = ("mean", "variance", "mse", "gap", "gradient")
COUNTS = [8, 4, 3, 1]
SCORES = [0.3, -0.4, 1.25, -1.75]
# What the index saw: label 3, then the positive 1, then 2, 0.
STALE = [-1.0, 1.5, 0.5, 2.0]
Y, M, W_T = 1, 2, 0.75


@pytest.fixture
def at(prior: il.LabelPrior) -> il.Problem:
    return il.Problem(SCORES, prior, Y, index_scores=STALE)


def hard_scheme(weighting: Any, hits: Any, k: int = 2, m: int = M, sampler: Any = None, **how: Any) -> Scheme:
    hard = il.HardNegatives(k, **{"weight": W_T, **how})
    return Scheme(sampler or il.samplers.WithinBatch(), weighting, m=m, hits=hits, hard=hard)


# --- by hand --------------------------------------------------------------------------------------------------------


def hard_labels(k: int, positives: str, right: Sequence[int] = (Y,)) -> list[int]:
    """T from the order of the index, 3, 1, 2, 0, without the positives of x."""
    order = [3, 1, 2, 0]
    if positives == "replace":
        return [j for j in order if j not in right][:k]
    return [j for j in order[:k] if j not in right]


def law_and_weights(scheme: Scheme, known: list[int], right: Sequence[int] = (Y,)) -> tuple[list[Any], list[Any]]:
    """The law of a draw and its weights, (4,) each: what is drawn again, what divides by q, what counts 0."""
    pi = [mp.mpf(n) / 16 for n in COUNTS]
    again = list(right) * (scheme.hits == "exclude") + known * (scheme.hard.overlap == "exclude")
    left = mp.fsum(p for j, p in enumerate(pi) if j not in again)
    q = [mp.mpf(0) if j in again else p / left for j, p in enumerate(pi)]
    m = scheme.m
    rules = {
        "Constant": lambda j: mp.mpf(1) / m,
        "Unit": lambda j: mp.mpf(1),
        "Importance": lambda j: 1 / (m * q[j]),
        "Relative": lambda j: pi[Y] / pi[j],
        "Consistent": lambda j: (pi[j] / pi[Y]) * (pi[Y] / pi[j]),  # p = π_y'/π_y times q_y/q_y', q = π
        "Tail": lambda j: pi[j] / pi[Y] / (m * q[j]),
        "ForMargin": lambda j: pi[j] / (m * q[j]),
    }
    w = [rules[type(scheme.weighting).__name__](j) if q[j] else mp.mpf(0) for j in range(4)]
    for j in range(4):
        if (j in right and scheme.hits == "mask") or (j in known and scheme.hard.overlap == "mask"):
            w[j] = mp.mpf(0)
    return q, w


def numbers(scheme: Scheme, loss: Any, known: list[int], right: Sequence[int] = (Y,)) -> dict[str, Any]:
    """Every quantity from all sequences of draws; the loss is log(1 + Σ over T and draws), or the sum of its terms."""
    with mp.workdps(40):
        q, w = law_and_weights(scheme, known, right)
        f, w_t = [mp.mpf(v) for v in SCORES], mp.mpf(scheme.hard.weight)
        if loss.has_log:
            pays = slopes = [mp.exp(v - f[Y]) for v in f]
            own = own_slope = mp.mpf(0)
        else:
            pays, slopes, own, own_slope = decoupled(loss, f)
        terms = []
        for drawn in itertools.product([j for j in range(4) if q[j] > 0], repeat=scheme.m):
            counts = [mp.mpf(0)] * 4
            for j in known:
                counts[j] += w_t
            for j in drawn:
                counts[j] += w[j]
            total = mp.fsum(c * x for c, x in zip(counts, pays, strict=True))
            gradient = [c * x / (1 + total if loss.has_log else 1) for c, x in zip(counts, slopes, strict=True)]
            if loss.has_log:
                gradient[Y] = -mp.fsum(x for j, x in enumerate(gradient) if j != Y)
            else:
                gradient[Y] += own_slope
            value = own + (mp.log1p(total) if loss.has_log else total)
            terms.append((mp.fprod(q[j] for j in drawn), value, gradient, total))
        mean = mp.fsum(p * v for p, v, _, _ in terms)
        expected = mp.fsum(p * t for p, _, _, t in terms)
        bound = own + (mp.log1p(expected) if loss.has_log else expected)
        found = {
            "mean": mean,
            "variance": mp.fsum(p * (v - mean) ** 2 for p, v, _, _ in terms),
            "mse": mp.fsum(p * (v - bound) ** 2 for p, v, _, _ in terms),
            "gap": bound - mean if loss.has_log else mp.mpf(0),
            "implicit": bound,
        }
        numbers = {name: float(value) for name, value in found.items()}
        numbers["gradient"] = np.array([float(mp.fsum(p * g[j] for p, _, g, _ in terms)) for j in range(4)])
        return numbers


def decoupled(loss: Any, f: list[Any]) -> tuple[list[Any], list[Any], Any, Any]:
    name, own = loss.binary.name, f[Y]
    if name == "logistic":
        slopes = [1 / (1 + mp.exp(-v)) for v in f]
        return [mp.log1p(mp.exp(v)) for v in f], slopes, mp.log1p(mp.exp(-own)), -1 / (1 + mp.exp(own))
    if name == "hinge":
        return [max(0, 1 + v) for v in f], [mp.mpf(v >= -1) for v in f], 1 - own, mp.mpf(-1)
    if name == "squared hinge":
        pays = [max(0, 1 + v) for v in f]
        return [v**2 for v in pays], [2 * v for v in pays], (1 - own) ** 2, -2 * (1 - own)
    pays = [max(0, v + mp.mpf(1.5)) for v in f]
    return [v**2 for v in pays], [2 * v for v in pays], (1 - own) ** 2, -2 * (1 - own)


def integrals(scheme: Scheme, loss: Any, at: il.Problem) -> dict[str, Any]:
    return {quantity: il.integrate(scheme, loss, at, quantity) for quantity in QUANTITIES}


def differ(scheme: Scheme, loss: Any, at: il.Problem, found: dict[str, Any], hand: dict[str, Any]) -> list[str]:
    """The quantities of `integrate`, and the implicit loss, that are not those by hand to 1e-12."""
    values = {name: one.value for name, one in found.items()}
    values["implicit"] = il.implicit_loss(scheme, loss, at).value
    return [name for name in values if values[name] != pytest.approx(hand[name], rel=1e-12, abs=1e-15)]


def misfits(scheme: Scheme, loss: Any, at: il.Problem, known: list[int]) -> list[str]:
    hand = numbers(scheme, loss, known, at.positives.tolist())
    return differ(scheme, loss, at, integrals(scheme, loss, at), hand)


# --- other positives of the example ---------------------------------------------------------------------------------


def in_turn(first: Any, second: Any, third: Any, *, every: bool, start: int) -> list[Any]:
    """All of the first with all of the second, the third in turn: every two of them meet.  Or every three."""
    if every:
        return list(itertools.product(first, second, third))
    pairs = itertools.product(enumerate(first), enumerate(second))
    return [(a, b, third[(start + i + j) % len(third)]) for (i, a), (j, b) in pairs]


def with_others(prior: il.LabelPrior, *others: int) -> il.Problem:
    return il.Problem(SCORES, prior, Y, index_scores=STALE, other_positives=others)


# Label 0 is no label that the index returns among two; label 3 is the first.
@pytest.mark.in_turn
@pytest.mark.parametrize("every", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["in turn", "every"])
@pytest.mark.parametrize("other", [0, 3])
@pytest.mark.parametrize("hits", HITS)
@pytest.mark.parametrize("overlap", OVERLAPS)
def test_other_positives_are_not_hard_and_their_draws_are_hits(
    overlap: Any, hits: Any, other: int, every: bool, prior: il.LabelPrior, seed: int
) -> None:
    at, right = with_others(prior, other), (Y, other)
    modes = HITS.index(hits) + OVERLAPS.index(overlap) + other
    cases = in_turn(il.weightings.examples(), (SOFTMAX, LOGISTIC), POSITIVES, every=every, start=modes)
    for weighting, loss, positives in cases:
        known = hard_labels(2, positives, right)
        scheme = hard_scheme(weighting, hits, overlap=overlap, positives=positives)
        assert scheme.hard.labels(at).tolist() == known
        if (hits, overlap, positives) == ("exclude", "exclude", "replace"):
            with pytest.raises(ValueError, match="overlap='exclude' leaves nothing to draw"):
                il.integrate(scheme, loss, at, "mean")
            continue
        hand = numbers(scheme, loss, known, right)
        assert differ(scheme, loss, at, integrals(scheme, loss, at), hand) == [], (weighting, loss, positives)
        listed = {quantity: il.exhaust(scheme, loss, at, quantity) for quantity in QUANTITIES}
        for quantity, found in listed.items():
            assert np.all(np.abs(found.value - hand[quantity]) <= found.error + 1e-16)
        b, (q, w) = float(il.implicit_loss(scheme, loss, at)), law_and_weights(scheme, known, right)
        simulated = il.simulate(scheme, loss, at, "mean", runs=5_000, rng=seed, reference=b, threads=1)
        assert abs(simulated.value - listed["mean"].value) <= FAR * simulated.error + 1e-12, (q, w)


def test_other_positives_need_no_weight(prior: il.LabelPrior) -> None:
    """Weights for a margin divide by q, which is 0 at a label that is drawn again; others than positives need one."""
    sampler = il.samplers.Explicit([0.5, 0.25, 0.25, 0.0])
    scheme = Scheme(sampler, il.weightings.ForMargin(il.margins.Softmax()), m=2, hits="exclude")
    with pytest.raises(ValueError, match="label 3"):
        il.integrate(scheme, SOFTMAX, with_others(prior, 0), "mean")
    assert float(il.implicit_loss(scheme, SOFTMAX, with_others(prior, 3))) == pytest.approx(
        math.log1p(sum(math.exp(SCORES[j] - SCORES[Y]) for j in (0, 2))), rel=1e-12
    )


def test_near_misses_of_other_positives(prior: il.LabelPrior) -> None:
    """A law that is renormalised without y alone, and a mask of y alone, would be seen."""
    at, right = with_others(prior, 3), (Y, 3)
    for hits in ("exclude", "mask"):
        scheme = hard_scheme(il.weightings.Unit(), hits, positives="replace", k=1)
        assert misfits(scheme, SOFTMAX, at, [2]) == []
        assert numbers(scheme, SOFTMAX, [2], right)["mean"] != pytest.approx(numbers(scheme, SOFTMAX, [2])["mean"])


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ([Y], "the other positives must be labels beside the positive, got the positive itself, 1"),
        ([2, 2], "the other positives must differ, got label 2 more than once"),
        ([4], "the other positives must lie from 0 to 3, got 4 to 4"),
        ([-1], "the other positives must lie from 0 to 3, got -1 to -1"),
        ([0.5], "the other positives must be whole numbers in one vector"),
        (None, "the other positives must be whole numbers in one vector, got None"),
        ("23", "the other positives must be whole numbers in one vector"),
    ],
)
def test_bad_other_positives(others: Any, message: str, prior: il.LabelPrior) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        il.Problem(SCORES, prior, Y, other_positives=others)
    assert len(str(caught.value)) <= 300


def test_statements_of_the_paper_are_about_one_positive(prior: il.LabelPrior) -> None:
    with pytest.raises(ValueError, match="about examples with one positive, got a problem with 2 other ones"):
        il.verify(hard_scheme(il.weightings.Unit(), "mask"), with_others(prior, 0, 3))


def test_where_all_labels_are_positives_nothing_can_be_drawn(prior: il.LabelPrior) -> None:
    all_right = il.Problem(SCORES, prior, Y, other_positives=[0, 2, 3])
    assert repr(all_right) == "Problem(4 labels, positive 1, other positives [0, 2, 3])"
    scheme = Scheme(il.samplers.Uniform(), il.weightings.Constant(), m=2, hits="exclude")
    with pytest.raises(ValueError, match="all labels that the sampler can draw are among the 4 positives"):
        il.integrate(scheme, SOFTMAX, all_right, "mean")
    masked = Scheme(il.samplers.Uniform(), il.weightings.Constant(), m=2, hits="mask")
    assert float(il.integrate(masked, SOFTMAX, all_right, "mean")) == 0.0
    one = hard_scheme(il.weightings.Constant(), "mask", 1, positives="replace")
    with pytest.raises(ValueError, match="at most 3 labels, 2 more than k to replace the positives, got 4"):
        il.integrate(one, SOFTMAX, il.Problem(SCORES, prior, Y, labels=[0, 1, 2, 3], other_positives=[0]))


# --- all modes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("every", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["in turn", "every"])
@pytest.mark.parametrize("positives", POSITIVES)
@pytest.mark.parametrize("hits", HITS)
@pytest.mark.parametrize("overlap", OVERLAPS)
def test_every_number_is_that_by_hand(overlap: Any, hits: Any, positives: Any, every: bool, at: il.Problem) -> None:
    """Every weighting and loss; what T is, what is drawn again, and what counts are written out by hand."""
    modes = HITS.index(hits) + OVERLAPS.index(overlap) + POSITIVES.index(positives)
    cases = in_turn(il.weightings.examples(), il.losses.examples(), (1, 2), every=every, start=modes)
    for weighting, loss, k in cases:
        known = hard_labels(k, positives)
        scheme = hard_scheme(weighting, hits, k, overlap=overlap, positives=positives)
        assert scheme.hard.labels(at).tolist() == known
        hand, integrated = numbers(scheme, loss, known), integrals(scheme, loss, at)
        assert differ(scheme, loss, at, integrated, hand) == [], (weighting, loss, k)
        for quantity in QUANTITIES:
            found = il.exhaust(scheme, loss, at, quantity)
            off = np.abs(np.asarray(found.value) - hand[quantity])
            assert np.all(off <= found.error + 1e-16), (weighting, loss, k, quantity)
            size = 1 + np.abs(hand[quantity])
            assert np.all(np.asarray(found.error) < 1e-12 * size), (weighting, loss, k, quantity)
            integral = integrated[quantity]
            off = np.abs(np.asarray(integral.value) - hand[quantity])
            assert np.all(off <= integral.error + 1e-16), (weighting, loss, k, quantity)
            assert np.all(np.asarray(integral.error) < 1e-12 * size), (weighting, loss, k, quantity)


@pytest.mark.parametrize("weighting", il.weightings.examples(), ids=str)
def test_the_gradient_of_the_implicit_loss_is_its_slope(weighting: Any, at: il.Problem) -> None:
    for hits, overlap, loss in itertools.product(HITS, OVERLAPS, (SOFTMAX, LOGISTIC)):
        scheme = hard_scheme(weighting, hits, overlap=overlap, positives="replace")
        gradient = il.implicit_gradient(scheme, loss, at)
        for j in range(4):
            step = 1e-5 * np.eye(4)[j]
            ends = [float(il.implicit_loss(scheme, loss, replace(at, scores=at.scores + t))) for t in (step, -step)]
            assert gradient[j] == pytest.approx((ends[0] - ends[1]) / 2e-5, abs=1e-9)


@pytest.mark.parametrize("hits", HITS)
@pytest.mark.parametrize("overlap", OVERLAPS)
def test_an_empty_index_changes_no_bit(overlap: Any, hits: Any, prior: il.LabelPrior) -> None:
    """The numbers and the draws of a scheme whose index returned nothing are those of the scheme without it."""
    at, quantity = il.Problem(SCORES, prior, Y, labels=[-1, -1]), "gradient"
    for weighting, loss in itertools.product(il.weightings.examples(), (SOFTMAX, LOGISTIC)):
        scheme = hard_scheme(weighting, hits, overlap=overlap)
        plain = replace_hard(scheme, None)
        for verb in (il.integrate, il.exhaust):
            for quantity in QUANTITIES:
                one, other = (verb(which, loss, at, quantity) for which in (scheme, plain))
                assert np.array_equal(one.value, other.value)
                assert np.array_equal(one.error, other.error)
        one, other = (il.simulate(which, loss, at, runs=50, rng=1) for which in (scheme, plain))
        assert (one.value, one.error, one.low, one.high) == (other.value, other.error, other.low, other.high)


def replace_hard(scheme: Scheme, hard: Any) -> Scheme:
    return Scheme(scheme.sampler, scheme.weighting, m=scheme.m, hits=scheme.hits, hard=hard)


# --- mutants --------------------------------------------------------------------------------------------------------


def test_a_logarithm_that_is_forgotten_would_be_seen(at: il.Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutant: the mean without log(1 + A)."""
    scheme, known = hard_scheme(il.weightings.Importance(), "mask"), hard_labels(2, "drop")
    honest = integral.plan_and_payment
    monkeypatch.setattr(integral, "plan_and_payment", lambda *a: replace(honest(*a), log_positive=0.0))
    assert misfits(scheme, SOFTMAX, at, known) == ["mean"]


def test_a_kept_hit_that_is_not_divided_would_be_seen(at: il.Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutant: the positive's own payment stays w_yy e^0 where it is w_yy/(1 + A)."""
    scheme, known = hard_scheme(il.weightings.Unit(), "keep"), hard_labels(2, "drop")
    honest = integral.plan_and_payment

    def undivided(*given: Any) -> Any:
        found = honest(*given)
        payment = np.array(found.payment)
        payment[Y] = 0.0
        return replace(found, payment=payment)

    monkeypatch.setattr(integral, "plan_and_payment", undivided)
    assert misfits(scheme, SOFTMAX, at, known) == ["mean", "variance", "mse", "gap"]


@pytest.mark.parametrize("loss", [SOFTMAX, LOGISTIC], ids=["softmax", "logistic"])
def test_hard_negatives_that_count_twice_would_be_seen(loss: Any, at: il.Problem) -> None:
    """Mutant: w_T e^{f} twice.  The variance of a decoupled loss, and its gap of 0, do not see T at all."""
    scheme, known = hard_scheme(il.weightings.Importance(), "exclude", overlap="exclude"), hard_labels(2, "drop")
    unseen = {"variance", "mse", "gap"} if loss is LOGISTIC else set()
    assert set(misfits(scheme, loss, at, known * 2)) == {*QUANTITIES, "implicit"} - unseen


def test_a_law_that_is_not_renormalised_off_T_would_be_seen(at: il.Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutant: draws in T have no weight, and the law stays that off y."""
    scheme, known = hard_scheme(il.weightings.Importance(), "exclude", overlap="exclude"), hard_labels(2, "drop")
    masked = hard_scheme(il.weightings.Importance(), "exclude", overlap="mask")
    monkeypatch.setattr(Scheme, "plan", lambda self, *a, honest=Scheme.plan, **b: honest(masked, *a, **b))
    # p is 1 with both, so that the mean over draws inside the logarithm cannot see it.
    assert misfits(scheme, SOFTMAX, at, known) == ["mean", "variance", "mse", "gap", "gradient"]


def test_draws_that_count_again_would_be_seen(at: il.Problem) -> None:
    scheme, known = hard_scheme(il.weightings.Importance(), "exclude", overlap="keep"), hard_labels(2, "drop")
    hand = numbers(replace_hard(scheme, replace(scheme.hard, overlap="mask")), SOFTMAX, known)
    assert float(il.integrate(scheme, SOFTMAX, at)) != pytest.approx(hand["mean"], rel=1e-3)


# --- unbiased weights -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fixed:
    """The weight w of every draw."""

    w: float
    is_eta_over_m = False

    def log_weight(self, draws: Draws) -> Any:
        return np.full(draws.log_q.size, math.log(self.w))


def margins(weighting: Any, hits: Any, overlap: Any, labels: list[int], y: int = 0, k: int = 2) -> Any:
    """p of the positive y among 6 labels, uniform draws, m = 4, for the labels that the index returned."""
    at = il.Problem(np.zeros(6), il.LabelPrior.from_counts(np.ones(6)), y, labels=labels)
    scheme = hard_scheme(weighting, hits, k, 4, il.samplers.Uniform(), weight=1.0, overlap=overlap)
    # Every slope of the logistic loss is 1/2 here, and the gradient of its implicit loss p/2.
    return np.delete(2 * il.implicit_gradient(scheme, LOGISTIC, at), y)


# The weights of section "unbiased": hits, overlap, and the count of labels that a draw can be, from L and k'.
UNBIASED = [
    ("exclude", "exclude", lambda n, k: n - 1 - k),
    ("exclude", "mask", lambda n, k: n - 1),
    ("mask", "exclude", lambda n, k: n - k),
    ("mask", "mask", lambda n, k: n),
]


@pytest.mark.parametrize(("hits", "overlap", "count"), UNBIASED)
def test_unbiased_weights_by_counts(hits: Any, overlap: Any, count: Any) -> None:
    """p = 1 for any labels that an index returns, y and empty slots among them; importance weights are these."""
    for labels in ([], [-1, -1], [3], [3, 5], [-1, 4], [0, 3], [0, -1]):
        k_left = len([j for j in labels if j > 0])
        weight = Fixed(count(6, k_left) / 4)
        assert margins(weight, hits, overlap, labels) == pytest.approx(np.ones(5), rel=1e-14)
        assert margins(il.weightings.Importance(), hits, overlap, labels) == pytest.approx(np.ones(5), rel=1e-14)
        at = il.Problem(np.zeros(6), il.LabelPrior.from_counts(np.ones(6)), 0, labels=labels)
        scheme = hard_scheme(il.weightings.Importance(), hits, 2, 4, il.samplers.Uniform(), overlap=overlap)
        weights = np.exp(scheme.plan(at).log_w)
        assert weights[weights > 0] == pytest.approx(np.full(6 - 1 - k_left, weight.w), rel=1e-14)


@pytest.mark.parametrize(("hits", "overlap", "count"), UNBIASED)
def test_counts_of_another_mode_are_biased(hits: Any, overlap: Any, count: Any) -> None:
    """Near misses: each mode's count in every other mode; k for k' where the index returned y."""
    for other_hits, other_overlap, other in UNBIASED:
        p = margins(Fixed(other(6, 2) / 4), hits, overlap, [3, 5])
        assert (np.max(np.abs(p - 1)) < 1e-12) == ((other_hits, other_overlap) == (hits, overlap))
    if overlap == "exclude":
        assert np.max(np.abs(margins(Fixed(count(6, 2) / 4), hits, overlap, [0, 5]) - 1)) > 0.15


def test_near_misses_of_unbiased_weights() -> None:
    """(L-1)/m on draws outside T: p = 5/3 off T; draws that count again: p = 2 on T; kept hits: 1/2 everywhere."""
    assert margins(Fixed(5 / 4), "exclude", "exclude", [3, 5]) == pytest.approx([5 / 3, 5 / 3, 1, 5 / 3, 1], rel=1e-14)
    assert margins(Fixed(5 / 4), "exclude", "keep", [3, 5]) == pytest.approx([1, 1, 2, 1, 2], rel=1e-14)
    prior = il.LabelPrior.from_counts(np.ones(6))
    for overlap, on in (("mask", 1 / 2), ("exclude", 1 / 2), ("keep", 1)):
        scheme = hard_scheme(
            il.weightings.Importance(), "keep", 2, 4, il.samplers.Uniform(), weight=1.0, overlap=overlap
        )
        p = il.implicit_margins(scheme, prior, scores=[0, 0, 0, 2, 0, 1])[0]
        assert p == pytest.approx([0, 1 / 2, 1 / 2, on, 1 / 2, on], rel=1e-14)


@given(
    st.integers(2, 9), st.integers(0, 2**32 - 1), st.sampled_from(HITS[:2]), st.sampled_from(OVERLAPS[1:]),
    st.sampled_from([il.samplers.Uniform(), il.samplers.WithinBatch(), il.samplers.ModelBased()]),
)  # fmt: skip
def test_importance_weights_are_unbiased_for_any_index(
    n: int, seed: int, hits: Any, overlap: Any, sampler: Any
) -> None:
    """Any recall, any age: the implicit loss is the full loss, and the mean of a decoupled loss is the full one."""
    rng = np.random.default_rng(seed)
    f, y, size = rng.normal(0, 2, n), int(rng.integers(n)), int(rng.integers(n - 1))
    labels = np.append(rng.permutation(n)[:size], -1)
    at = il.Problem(f, il.LabelPrior.from_counts(rng.integers(1, 9, n)), y, labels=rng.permutation(labels))
    hard = il.HardNegatives(max(1, min(size, n - 1)), overlap=overlap)
    scheme = Scheme(sampler, il.weightings.Importance(), m=3, hits=hits, hard=hard)
    if overlap == "exclude" and set(range(n)) == {*labels.tolist(), y} - {-1} and hits == "exclude":
        with pytest.raises(ValueError, match="leaves nothing to draw"):
            scheme.plan(at)
        return
    full = math.log1p(math.fsum(math.exp(v - f[y]) for j, v in enumerate(f) if j != y))
    assert float(il.implicit_loss(scheme, SOFTMAX, at)) == pytest.approx(full, rel=1e-12)
    logistic = math.log1p(math.exp(-f[y])) + math.fsum(math.log1p(math.exp(v)) for j, v in enumerate(f) if j != y)
    assert float(il.integrate(scheme, LOGISTIC, at)) == pytest.approx(logistic, rel=1e-12)


@pytest.mark.parametrize("hits", HITS)
def test_margins_of_all_pairs(hits: Any, prior: il.LabelPrior) -> None:
    """p_yy' = w_T 1_T(y') + m w q_y', by hand for weights of 1; each positive has its own T."""
    pi, others = np.array(COUNTS) / 16, {0: [3, 1], 1: [3], 2: [3, 1], 3: [1]}
    for overlap in OVERLAPS:
        scheme = hard_scheme(il.weightings.Unit(), hits, overlap=overlap)
        found = il.implicit_margins(scheme, prior, scores=STALE)
        plain = il.implicit_margins(scheme, prior, scores=STALE, loss=LOGISTIC)
        for y, known in others.items():
            again = [y] * (hits == "exclude") + known * (overlap == "exclude")
            q = np.where(np.isin(range(4), again), 0, pi) / (1 - pi[again].sum())
            p = M * q * (1 - np.isin(range(4), known) * (overlap == "mask")) + W_T * np.isin(range(4), known)
            c = p[y] if hits == "keep" else 0.0
            p[y] = 0.0
            assert plain[y] == pytest.approx(p, rel=1e-14, abs=0)
            assert found[y] == pytest.approx(p / (1 + c), rel=1e-14, abs=0)


def test_the_variance_of_a_decoupled_loss_has_no_term_of_T(at: il.Problem) -> None:
    """Draws that count as they would without T: the same variance, to the bit, whatever T weighs.  And Lemma 1's."""
    for weighting, hits in itertools.product(il.weightings.examples(), HITS):
        schemes = [hard_scheme(weighting, hits, weight=w) for w in (1e-3, 1.0, 1e3)]
        plain = replace_hard(schemes[0], None)
        variances = [float(il.integrate(one, LOGISTIC, at, "variance")) for one in (plain, *schemes)]
        assert len(set(variances)) == 1
        for scheme in schemes:
            assert float(lemma1_variance(scheme, LOGISTIC, at)) == pytest.approx(variances[0], rel=1e-10)
        # Softmax is another matter: T damps the draws.
        spread = [float(il.integrate(one, SOFTMAX, at, "variance")) for one in schemes]
        assert spread[0] > spread[1] > spread[2]


def test_a_hard_negative_beside_heavy_draws(prior: il.LabelPrior) -> None:
    """Its share is tiny, and keeps its digits: 1 less the shares of the draws would have lost them all."""
    at = il.Problem([45.0, 0.0, 40.0, -2.0], prior, Y, labels=[3])
    for hits, overlap in itertools.product(HITS, OVERLAPS):
        scheme = hard_scheme(il.weightings.Importance(), hits, overlap=overlap, weight=1e-6)
        found, truth = (verb(scheme, SOFTMAX, at, "gradient") for verb in (il.integrate, il.exhaust))
        assert found.value == pytest.approx(truth.value, rel=1e-12, abs=0)
        assert np.all(found.error < 1e-12 * np.abs(found.value))


def test_a_hard_negative_that_no_float_can_tell_from_nothing(prior: il.LabelPrior) -> None:
    """Every draw is worth e^900: the share of T is below the least float."""
    at = il.Problem([900.0, 0.0, 900.0, 0.0], prior, Y, labels=[3])
    sampler = il.samplers.Explicit([0.5, 0.0, 0.5, 0.0])
    found = il.integrate(hard_scheme(il.weightings.Unit(), "mask", sampler=sampler), SOFTMAX, at, "gradient")
    assert np.asarray(found.value).tolist() == pytest.approx([0.5, -1.0, 0.5, 0.0], rel=1e-13)


@pytest.mark.in_turn(1)
@pytest.mark.parametrize("overlap", OVERLAPS)
def test_many_labels_are_compressed(overlap: Any, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    """6,000 labels in bins, and the same sums label by label."""
    prior = il.LabelPrior.zipf(6_000, 1.0)
    at = il.Problem(rng.normal(0, 2, 6_000), prior, 7, index_scores=rng.normal(0, 2, 6_000))
    for hits in HITS:
        scheme = hard_scheme(il.weightings.Importance(), hits, 50, 64, overlap=overlap)
        binned = {quantity: il.integrate(scheme, SOFTMAX, at, quantity) for quantity in QUANTITIES}
        with monkeypatch.context() as patch:
            patch.setattr(measure, "COMPRESS_FROM_LABELS", 10**9)
            for quantity, found in binned.items():
                whole = il.integrate(scheme, SOFTMAX, at, quantity)
                off, error = np.abs(found.value - np.asarray(whole.value)), np.asarray(found.error)
                assert np.all(off <= error + whole.error), (hits, quantity)
                size = np.abs(np.asarray(whole.value))
                assert np.all(error <= (2e-12 if quantity in ("mean", "gradient") else 1e-8) * size), (hits, quantity)


# --- the other verbs ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hits", HITS)
@pytest.mark.parametrize("overlap", OVERLAPS)
def test_the_expansion_is_of_third_order(overlap: Any, hits: Any, at: il.Problem) -> None:
    """What it misses falls like 1/m³, eight times less at twice the m; v and k3 by hand."""
    for weighting in (il.weightings.Constant(), il.weightings.Importance()):
        missed = []
        for m in (200, 400):
            scheme = hard_scheme(weighting, hits, m=m, overlap=overlap)
            series = il.expand(scheme, SOFTMAX, at)
            gap, mse = (float(il.integrate(scheme, SOFTMAX, at, quantity)) for quantity in ("gap", "mse"))
            missed.append([abs(gap + series.bias.value), abs(mse - series.mse.value)])
        for before, after in zip(*missed, strict=True):
            assert 6 < before / after < 10
        q, w = (np.array(x, dtype=float) for x in law_and_weights(scheme, hard_labels(2, "drop")))
        x = np.exp(at.scores - at.scores[Y])
        each = 400 * w * x
        mu = 1 + W_T * x[3] + q @ each
        assert series.v == pytest.approx(q @ (each - q @ each) ** 2 / mu**2, rel=1e-12)
        assert series.k3 == pytest.approx(q @ (each - q @ each) ** 3 / mu**3, rel=1e-11)
        assert series.log_mu == pytest.approx(math.log(mu) + SCORES[Y], rel=1e-14)


# The chance that a right simulation is further off than this many standard errors is about 1e-6 in all cases together.
FAR = 6.0


@pytest.mark.parametrize("sampler", [il.samplers.Uniform(), il.samplers.WithinBatch()], ids=str)
@pytest.mark.parametrize("overlap", OVERLAPS)
def test_simulations_run_the_procedure(overlap: Any, sampler: Any, at: il.Problem, seed: int) -> None:
    """By labels and by shares, in pieces and (gradients) all at once; draws in T are drawn again, or count 0."""
    for hits, weighting, loss in itertools.product(
        HITS, (il.weightings.Constant(), il.weightings.Importance(), il.weightings.Unit()), (SOFTMAX, LOGISTIC)
    ):
        scheme = hard_scheme(weighting, hits, sampler=sampler, overlap=overlap, positives="replace")
        b = float(il.implicit_loss(scheme, loss, at))
        for quantity in QUANTITIES:
            found = il.simulate(scheme, loss, at, quantity, runs=20_000, rng=seed, reference=b, threads=1)
            truth = il.exhaust(scheme, loss, at, quantity)
            # Where only one label is drawn, what is left is the rounding of a sum over the runs.
            within = FAR * np.asarray(found.error) + truth.error + 1e-12
            assert np.all(np.abs(np.asarray(found.value) - truth.value) <= within), (scheme, loss, quantity)
            assert np.all(np.asarray(found.low) <= np.asarray(found.value) + 1e-12)
            assert np.all(np.asarray(found.value) <= np.asarray(found.high) + 1e-12)


def test_the_errors_of_simulated_gradients(at: il.Problem, seed: int) -> None:
    """A hard negative that is drawn too: the variance of its share is that of both together."""
    for loss in (SOFTMAX, LOGISTIC):
        scheme = hard_scheme(il.weightings.Constant(), "mask", overlap="keep", positives="replace")
        found = il.simulate(scheme, loss, at, "gradient", runs=200_000, rng=seed, threads=1)
        q, w = (np.array(x, dtype=float) for x in law_and_weights(scheme, [3, 2]))
        x = np.exp(at.scores - at.scores[Y])
        moments = np.zeros((2, 4))
        for drawn in itertools.product(range(4), repeat=M):
            counts = W_T * np.isin(range(4), [3, 2]) + np.bincount(drawn, minlength=4) * w
            shares = counts * x / (1 + counts @ x) if loss is SOFTMAX else counts / (1 + np.exp(-at.scores))
            moments += np.prod(q[list(drawn)]) * np.array([shares, shares**2])
        others = np.array([0, 2, 3])
        variance = (moments[1] - moments[0] ** 2)[others]
        assert np.asarray(found.variance)[others] == pytest.approx(variance, rel=0.05)


def test_simulations_of_scores_far_apart(prior: il.LabelPrior, seed: int) -> None:
    """Sums in logarithms; a hard negative that is worth e^900 is the loss."""
    for scores, weighting in (([0.0, -900.0, 3.0, 1.0], il.weightings.Importance()), ([0.0, 0.0, 500.0, -500.0], None)):
        at = il.Problem(scores, prior, Y)
        for overlap in OVERLAPS:
            scheme = hard_scheme(weighting or il.weightings.Unit(), "exclude", 1, overlap=overlap)
            found = il.simulate(scheme, SOFTMAX, at, runs=4_000, rng=seed, threads=1)
            truth = il.exhaust(scheme, SOFTMAX, at)
            assert abs(float(found) - float(truth)) <= FAR * float(found.error) + float(truth.error)
            assert abs(float(il.integrate(scheme, SOFTMAX, at)) - float(truth)) <= 1e-12 * float(truth)


def test_a_simulation_that_can_draw_nothing_says_so(prior: il.LabelPrior) -> None:
    """The law has room, e^-20, and the procedure does not come there."""
    sampler = il.samplers.Explicit([0.5 - 1e-9, 0.5 - 1e-9, 1e-9, 1e-9])
    scheme = hard_scheme(il.weightings.Constant(), "exclude", 1, sampler=sampler, overlap="exclude")
    at = il.Problem([1.0, 0.0, 0.0, 0.0], prior, Y)
    with pytest.raises(ValueError, match="overlap='exclude' cannot be simulated here"):
        il.simulate(scheme, SOFTMAX, at, runs=2, rng=0)


@pytest.mark.in_turn
@pytest.mark.parametrize("positives", POSITIVES)
@pytest.mark.parametrize("hits", HITS)
def test_a_sweep_is_every_integral(hits: Any, positives: Any, rng: np.random.Generator) -> None:
    """Among 30 positives five are in the index, and have a T of their own; schemes of all overlaps in one sweep."""
    prior, f, stale = il.LabelPrior.exp(30, 400, 100), rng.normal(0, 1.5, 30), rng.normal(0, 1.5, 30)
    # Both counts of draws with each weighting and with each overlap.
    pairs = itertools.product(il.weightings.examples(), OVERLAPS)
    schemes = [
        hard_scheme(weighting, hits, 5, m, overlap=overlap, positives=positives)
        for (weighting, overlap), m in zip(pairs, itertools.cycle((1, 64)), strict=False)
    ]
    schemes += [replace_hard(schemes[0], None), replace_hard(schemes[0], il.HardNegatives(1, overlap="exclude"))]
    swept = il.sweep(schemes, SOFTMAX, f, prior, quantities=SWEPT, index_scores=stale)
    returned = np.argsort(-stale)[:6].tolist()
    for i, scheme in enumerate(schemes):
        for y in {*returned[:1], *returned[-2:], int(rng.integers(30)), int(rng.integers(30))}:
            at = il.Problem(f, prior, y, index_scores=stale)
            for quantity in SWEPT:
                one, many = il.integrate(scheme, SOFTMAX, at, quantity), swept[quantity]
                off = abs(many.value[i, y] - float(one))  # type: ignore[index]
                assert off <= many.error[i, y] + float(one.error), (scheme, y, quantity)  # type: ignore[index]
                if quantity == "mean":
                    assert off <= 2e-12 * float(one)


def test_few_entries_of_a_sweep_are_integrated_alone(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the positives that the index returned."""
    from implicitloss.witness.integrate import sweep as grid

    alone: list[int] = []
    honest = grid.integrate
    monkeypatch.setattr(grid, "integrate", lambda *a: alone.append(a[2].positive) or honest(*a))
    prior, f = il.LabelPrior.exp(200, 500, 100), rng.normal(size=200)
    for overlap in OVERLAPS:
        alone.clear()
        grid.sweep(hard_scheme(il.weightings.Importance(), "mask", 5, 16, overlap=overlap), SOFTMAX, f, prior)
        assert set(alone) == set(np.argsort(-f)[:5].tolist())


def test_decisions(at: il.Problem, seed: int) -> None:
    scheme = hard_scheme(il.weightings.Importance(), "mask", overlap="exclude")
    mean, bound = (float(verb(scheme, SOFTMAX, at)) for verb in (il.integrate, il.implicit_loss))
    outcomes = [str(il.decide(scheme, SOFTMAX, at, b, resolution=0.05, rng=seed).outcome) for b in (mean, bound)]
    assert outcomes == ["supported", "refuted"]


# --- minibatches ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("positives", POSITIVES)
@pytest.mark.parametrize("hits", HITS)
@pytest.mark.parametrize("overlap", OVERLAPS)
def test_a_minibatch_of_one_label_by_hand(overlap: Any, hits: Any, positives: Any, prior: il.LabelPrior) -> None:
    """The sampler draws label 0 only, and the loss is no matter of chance; two positives of each x, and empty slots."""
    hard = il.HardNegatives(2, W_T, overlap, positives)
    scheme = Scheme(il.samplers.Explicit([1.0, 0.0, 0.0, 0.0]), il.weightings.Unit(), m=3, hits=hits, hard=hard)
    f = np.array([SCORES, STALE])
    returned = [[3, 0, 2], [-1, 2, -1]] if positives == "replace" else [[3, 0], [-1, 2]]
    if overlap == "exclude":
        with pytest.raises(ValueError, match="leaves nothing to draw"):
            il.Minibatch(scheme, SOFTMAX, prior)(f, [1, 1], rows=[0, 1], hard=returned)
        returned = [[3, 2, 1], [-1, 2, -1]] if positives == "replace" else [[3, 2], [-1, 2]]
    for loss in (SOFTMAX, LOGISTIC):
        batch = il.Minibatch(scheme, loss, prior)
        rows, labels = [0, 0, 1], [1, 3, 1]
        losses, gradient = batch(f, labels, rng=0, rows=rows, hard=returned)
        slopes = np.zeros_like(f)
        for i, (row, y) in enumerate(zip(rows, labels, strict=True)):
            known = [j for j in returned[row] if j not in (-1, y)][:2]
            counts = W_T * np.isin(range(4), known)
            counts[0] += 3 * (not (overlap == "mask" and 0 in known))
            x = np.exp(f[row] - f[row, y])
            if loss is SOFTMAX:
                assert losses[i] == pytest.approx(math.log(1 + counts @ x), rel=1e-14)
                share = counts * x / (1 + counts @ x)
                share[y] = -share.sum()
            else:
                own = math.log1p(math.exp(-f[row, y]))
                assert losses[i] == pytest.approx(own + counts @ np.log1p(np.exp(f[row])), rel=1e-14)
                share = counts / (1 + np.exp(-f[row])) - np.eye(4)[y] / (1 + math.exp(f[row, y]))
            slopes[row] += share
        assert gradient == pytest.approx(slopes, rel=1e-13, abs=1e-15)


# Samplers of two laws that are shared by all examples, and of one that looks at the scores: each with an overlap.
@pytest.mark.parametrize(
    ("sampler", "overlap"),
    list(zip([il.samplers.Uniform(), il.samplers.WithinBatch(), il.samplers.ModelBased()], OVERLAPS, strict=True)),
    ids=str,
)  # fmt: skip
def test_minibatches_have_the_expected_loss_and_gradient(
    overlap: Any, sampler: Any, prior: il.LabelPrior, seed: int
) -> None:
    """The mean over 4,000 examples of one x, drawn by labels, by shares and by logarithms of shares."""
    n, rng = 4_000, np.random.default_rng(seed)
    for hits, loss in itertools.product(HITS, (SOFTMAX, LOGISTIC)):
        scheme = hard_scheme(il.weightings.Importance(), hits, sampler=sampler, overlap=overlap)
        at = il.Problem(SCORES, prior, Y, labels=[2, 1])
        losses, gradient = il.Minibatch(scheme, loss, prior)(
            [SCORES], np.full(n, Y), rng, rows=np.zeros(n, dtype=int), hard=[[2, 1]]
        )
        mean, variance = (float(il.integrate(scheme, loss, at, which)) for which in ("mean", "variance"))
        assert abs(losses.mean() - mean) <= FAR * math.sqrt(variance / n) + 1e-12
        simulated = il.simulate(scheme, loss, at, "gradient", runs=n, rng=seed, threads=1)
        within = FAR * np.asarray(simulated.error) + 1e-12
        assert np.all(np.abs(gradient[0] / n - il.integrate(scheme, loss, at, "gradient").value) <= within)


def test_a_minibatch_takes_its_own_scores_for_those_of_the_index(prior: il.LabelPrior) -> None:
    scheme = hard_scheme(il.weightings.Unit(), "mask", positives="replace")
    batch = il.Minibatch(scheme, SOFTMAX, prior)
    given = [[3, 1, 2], [2, 0, 1]]
    fresh, told = (batch([STALE, SCORES], [1, 1], 0, hard=hard) for hard in (None, given))
    for one, other in zip(fresh, told, strict=True):
        assert np.array_equal(one, other)
    plain = il.Minibatch(replace_hard(scheme, None), SOFTMAX, prior)
    empty = batch([SCORES], [1], 0, hard=[[-1, -1, -1]])
    assert np.array_equal(empty[0], plain([SCORES], [1], 0)[0])
    assert batch(np.empty((0, 4)), [], hard=np.empty((0, 2), dtype=int))[0].size == 0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([[0, 4]], "labels from an index must lie from -1 to 3, got 0 to 4"),
        ([[2, 2]], "labels from an index must differ, got label 2 more than once"),
        ([[0, 1, 2]], "an index must return at most 2 labels, k, got 3"),
        ([0, 1], r"hard must be labels \(1, n\), a row for each row of scores, got \[0, 1\]"),
        ([[0.5, 1.0]], "hard must be labels"),
        ([[0, 1], [0, 1]], "hard must be labels"),
    ],
)
def test_bad_hard_negatives_of_a_minibatch(given: Any, message: str, prior: il.LabelPrior) -> None:
    batch = il.Minibatch(hard_scheme(il.weightings.Unit(), "mask"), SOFTMAX, prior)
    with pytest.raises(ValueError, match=message):
        batch([SCORES], [Y], 0, hard=given)
    with pytest.raises(ValueError, match="hard must be None for an objective without hard negatives"):
        il.Minibatch(il.margins.Softmax(), SOFTMAX, prior)([SCORES], [Y], hard=[[0, 1]])


# --- in symbols -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("every", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["in turn", "every"])
@pytest.mark.parametrize("hits", HITS)
@pytest.mark.parametrize("overlap", OVERLAPS)
def test_derived_margins_are_those_in_numbers(overlap: Any, hits: Any, every: bool, prior: il.LabelPrior) -> None:
    # Kept hits divide the margins of softmax, and not those of a decoupled loss, whatever the sampler.
    pairs = [
        (il.samplers.Uniform(), SOFTMAX),
        (il.samplers.WithinBatch(), SOFTMAX),
        (il.samplers.Power(0.75), LOGISTIC),
    ]
    weights = (il.weightings.Unit(), il.weightings.Importance(), il.weightings.Relative(), il.weightings.Tail())
    modes = HITS.index(hits) + OVERLAPS.index(overlap)
    for (i, (sampler, loss)), (j, weighting) in itertools.product(enumerate(pairs), enumerate(weights)):
        if not every and (i + j + modes) % 2:
            continue  # every two of sampler, weighting, hits and overlap still meet
        scheme = hard_scheme(weighting, hits, sampler=sampler, overlap=overlap)
        derivation = il.derive(scheme, loss)
        assert derivation.checked, [str(step) for step in derivation.steps if not step.checked]
        p = il.implicit_margins(scheme, prior, scores=STALE, loss=loss)
        for y, known in ((0, [3, 1]), (1, [3])):
            at = {s.L: 4, s.m: M, s.y: y + 1}
            values = {s.hard[j + 1]: int(j in known) for j in range(4)}
            values |= {s.pi[j + 1]: sp_rational(COUNTS[j]) for j in range(4)}
            for j in set(range(4)) - {y}:
                written = derivation.margin.subs({**at, s.yp: j + 1}).doit().xreplace(values)
                assert float(written) == pytest.approx(p[y, j], rel=1e-13), (scheme, y, j)


def sp_rational(count: int) -> Any:
    return s.exact(count / 16)


def test_derivations_have_names_and_lines() -> None:
    importance = hard_scheme(il.weightings.Importance(), "mask", weight=1.0, overlap="exclude")
    assert str(il.derive(importance, SOFTMAX)) == "p_yy' = 1 — softmax cross-entropy"
    biased = il.derive(replace_hard(importance, il.HardNegatives(2, 0.5, "mask")), SOFTMAX)
    assert (biased.named, biased.margin) == (None, 1 - s.hard[s.yp] / 2)
    unit = il.derive(hard_scheme(il.weightings.Unit(), "exclude", sampler=il.samplers.Uniform(), weight=1.0), LOGISTIC)
    assert str(unit) == "p_yy' = m/(L - 1) + T[y']"
    assert "Sum_{k=1..L}(log(exp(f[k]) + 1)*T[k])" in str(unit.steps[0])
    assert "p = w_T 1_T + m w q" in str(unit.steps[4])


# --- the index ------------------------------------------------------------------------------------------------------


@given(st.integers(1, 400), st.integers(1, 400), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_the_best_labels_are_those_of_a_stable_sort(n: int, k: int, levels: int, seed: int) -> None:
    """Ties among them: the first of equal scores is best."""
    scores = np.random.default_rng(seed).integers(levels, size=n).astype(float)
    assert _best(scores, k).tolist() == np.argsort(-scores, kind="stable")[:k].tolist()


def test_what_the_index_saw_and_what_it_returned(prior: il.LabelPrior) -> None:
    drop, fill = il.HardNegatives(2), il.HardNegatives(2, positives="replace")
    fresh, old = il.Problem(SCORES, prior, Y), il.Problem(SCORES, prior, Y, index_scores=STALE)
    assert [hard.labels(at).tolist() for at in (fresh, old) for hard in (drop, fill)] == [[2, 0], [2, 0], [3], [3, 2]]
    for labels, dropped, filled in (([3, 1], [3], [3]), ([-1, 2], [2], [2]), ([], [], []), ([1], [], [])):
        at = il.Problem(SCORES, prior, Y, labels=labels)
        assert (drop.labels(at).tolist(), fill.labels(at).tolist()) == (dropped, filled)
    # One label more may replace the positive, and else is the third best.
    assert fill.labels(il.Problem(SCORES, prior, Y, labels=[3, 1, 0])).tolist() == [3, 0]
    assert fill.labels(il.Problem(SCORES, prior, Y, labels=[3, 0, 2])).tolist() == [3, 0]


def test_an_empty_slot_is_not_the_last_label(prior: il.LabelPrior) -> None:
    scheme = hard_scheme(il.weightings.Importance(), "mask", weight=1.0, overlap="keep")
    one, other = (il.Problem(SCORES, prior, Y, labels=labels) for labels in ([2, -1], [2, 3]))
    assert il.implicit_gradient(scheme, LOGISTIC, one)[3] < il.implicit_gradient(scheme, LOGISTIC, other)[3]
    assert float(il.exhaust(scheme, SOFTMAX, one)) == float(
        il.exhaust(scheme, SOFTMAX, il.Problem(SCORES, prior, Y, labels=[2]))
    )


# --- bad input ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"k": 0}, "k, the number of hard negatives, must be a whole number >= 1, got 0"),
        ({"k": 2.0}, "must be a whole number >= 1, got 2.0"),
        ({"k": 2, "weight": 0}, "the weight of hard negatives must be a number > 0, got 0"),
        ({"k": 2, "weight": -1.0}, "must be a number > 0, got -1.0"),
        ({"k": 2, "weight": math.nan}, "must be a number > 0, got nan"),
        ({"k": 2, "overlap": "drop"}, "overlap must be 'keep', 'mask' or 'exclude', got 'drop'"),
        ({"k": 2, "positives": "keep"}, "positives must be 'drop' or 'replace', got 'keep'"),
    ],
)
def test_bad_hard_negatives(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        il.HardNegatives(**given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"index_scores": [0, 0, 0]}, "index_scores and prior must cover the same labels, got 3 scores for 4 labels"),
        ({"index_scores": [0, 0, 0, math.nan]}, "index_scores must be finite, but label 3 has nan"),
        ({"index_scores": STALE, "labels": [0]}, "must have index_scores or labels, .* got both"),
        ({"labels": [0, 4]}, "labels from an index must lie from -1 to 3, got 0 to 4"),
        ({"labels": [0, -2]}, "labels from an index must lie from -1 to 3, got -2 to 0"),
        ({"labels": [2, 0, 2]}, "labels from an index must differ, got label 2 more than once"),
        ({"labels": [0.5]}, "labels from an index must be whole numbers in one vector"),
        ({"labels": [[0, 1]]}, "labels from an index must be whole numbers in one vector"),
    ],
)
def test_bad_indices(given: dict[str, Any], message: str, prior: il.LabelPrior) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        il.Problem(SCORES, prior, Y, **given)
    assert len(str(caught.value)) <= 300


def test_hard_negatives_that_do_not_fit_the_problem(prior: il.LabelPrior) -> None:
    at = il.Problem(SCORES, prior, Y)
    for verb in (il.integrate, il.exhaust, il.simulate, il.implicit_loss, il.implicit_gradient, il.expand):
        with pytest.raises(ValueError, match=r"must be at most L - 1 = 3 for 4 labels, got 4"):
            verb(hard_scheme(il.weightings.Constant(), "mask", 4), SOFTMAX, at)
    too_many = il.Problem(SCORES, prior, Y, labels=[0, 1, 2])
    with pytest.raises(ValueError, match="an index must return at most 2 labels, k, got 3"):
        il.integrate(hard_scheme(il.weightings.Constant(), "mask"), SOFTMAX, too_many)
    with pytest.raises(ValueError, match="at most 2 labels, one more than k to replace the positive, got 3"):
        il.integrate(hard_scheme(il.weightings.Constant(), "mask", 1, positives="replace"), SOFTMAX, too_many)
    with pytest.raises(ValueError, match="overlap='exclude' leaves nothing to draw"):
        il.integrate(
            hard_scheme(il.weightings.Constant(), "exclude", 3, overlap="exclude", positives="replace"), SOFTMAX, at
        )
    with pytest.raises(ValueError, match="hard negatives are the best labels by their scores: pass scores=f"):
        il.implicit_margins(hard_scheme(il.weightings.Constant(), "mask"), prior)
    with pytest.raises(ValueError, match=r"hard must be a HardNegatives, e\.g\. "):
        Scheme(il.samplers.Uniform(), il.weightings.Unit(), m=1, hits="mask", hard=5)  # type: ignore[arg-type]


def test_weights_that_do_not_fit_are_refused_where_draws_count() -> None:
    """No label outside T may lack draws; those in T need none, unless their draws count."""
    prior, sampler = il.LabelPrior.from_counts(COUNTS), il.samplers.Explicit([0.5, 0.25, 0.25, 0.0])
    at = il.Problem(SCORES, prior, Y, labels=[3])
    for overlap in ("mask", "exclude"):
        scheme = hard_scheme(il.weightings.Importance(), "mask", sampler=sampler, weight=1.0, overlap=overlap)
        full = math.log1p(sum(math.exp(SCORES[j] - SCORES[Y]) for j in (0, 2, 3)))
        assert float(il.implicit_loss(scheme, SOFTMAX, at)) == pytest.approx(full, rel=1e-13)
        with pytest.raises(ValueError, match="no weight gives label 3 its margin"):
            il.integrate(scheme, SOFTMAX, il.Problem(SCORES, prior, Y, labels=[2]))
    with pytest.raises(ValueError, match="no weight gives label 3 its margin"):
        il.integrate(hard_scheme(il.weightings.Importance(), "mask", sampler=sampler), SOFTMAX, at)


def test_verbs_that_take_no_hard_negatives_say_so(at: il.Problem, prior: il.LabelPrior) -> None:
    scheme, eta = hard_scheme(il.weightings.Unit(), "mask"), np.full(4, 0.25)

    for refused in (
        lambda: il.tilt(scheme, prior),
        lambda: il.certify_optimum(scheme, SOFTMAX, eta, prior, np.zeros(4)),
        lambda: gradient_and_hessian(scheme, SOFTMAX, at),
    ):
        with pytest.raises(ValueError, match="must be of a scheme without hard negatives, got hard negatives k=2, "):
            refused()
