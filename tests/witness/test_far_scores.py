"""Scores far apart and far from 0, against an enumeration in 60 digits that shares nothing with the library.

Rounding is all there is to see here, and every error has to bound it: nothing below is stochastic but the choice of
settings.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from typing import Any

import mpmath
import numpy as np
import pytest

import implicitloss as il
from implicitloss import margins
from implicitloss.estimate import QUANTITIES, Estimate
from implicitloss.losses import Decoupled, hinge, logistic, squared_hinge
from implicitloss.scheme import HITS
from implicitloss.weightings import ForMargin
from implicitloss.weightings import examples as weightings
from implicitloss.witness.integrate import sweep as grid
from implicitloss.witness.integrate.sweep import SWEPT

SOFTMAX = il.losses.SoftmaxCrossEntropy()
SAMPLERS = {
    "uniform": il.samplers.Uniform(),
    "in-batch": il.samplers.WithinBatch(),
    "model": il.samplers.ModelBased(),
}
WEIGHTS = {
    "constant": il.weightings.Constant(),
    "unit": il.weightings.Unit(),
    "importance": il.weightings.Importance(),
    "relative": il.weightings.Relative(),
    "tail": il.weightings.Tail(),
}
Big = mpmath.mpf


def in_sixty_digits(
    sampler: str, weight: str, m: int, hits: str, f: list[float], counts: list[int], y: int
) -> dict[str, Any]:
    """Every quantity of sampled softmax, from the definitions of q and w, all draws one by one."""
    n = len(f)
    relative = [mpmath.exp(Big(score) - Big(f[y])) for score in f]
    level = {"uniform": [Big(1)] * n, "in-batch": [Big(count) for count in counts], "model": relative}[sampler]
    whole = sum(level)
    first = [one / whole for one in level]
    q = list(first)
    if hits == "exclude":
        rest = sum(first[:y] + first[y + 1 :])
        q = [Big(0) if j == y else one / rest for j, one in enumerate(first)]
    x = []
    for j in range(n):
        w = {
            "constant": lambda j: Big(1) / m,
            "unit": lambda j: Big(1),
            "importance": lambda j: 1 / (m * q[j]),
            "relative": lambda j: first[y] / first[j],
            "tail": lambda j: Big(counts[j]) / counts[y] / (m * q[j]),
        }[weight]
        x.append(w(j) * relative[j] if q[j] and not (hits == "mask" and j == y) else Big(0))
    implicit = mpmath.log1p(m * sum(a * b for a, b in zip(q, x, strict=True)))
    losses, gradient, on_each = [], [Big(0)] * n, []
    for drawn in itertools.combinations_with_replacement([j for j in range(n) if q[j]], m):
        times = Counter(drawn)
        chance, total = mpmath.factorial(m), Big(0)
        for j, k in times.items():
            chance *= q[j] ** k / mpmath.factorial(k)
            total += k * x[j]
        losses.append((chance, mpmath.log1p(total)))
        here = [Big(times[j]) * x[j] / (1 + total) if j != y else Big(0) for j in range(n)]
        here[y] = -sum(here)
        gradient = [a + chance * b for a, b in zip(gradient, here, strict=True)]
        on_each.append((chance, here))
    mean = sum(p * loss for p, loss in losses)
    return {
        "mean": mean,
        "gap": implicit - mean,
        "mse": sum(p * (loss - implicit) ** 2 for p, loss in losses),
        "variance": sum(p * (loss - mean) ** 2 for p, loss in losses),
        "gradient": gradient,
        "gradient_variance": sum(p * (a - b) ** 2 for p, g in on_each for a, b in zip(g, gradient, strict=True)),
    }


def outside(found: Any, error: Any, truth: Any) -> float:
    """The largest distance from the truth, over the error."""
    pairs = zip(np.atleast_1d(found), np.atleast_1d(error), truth if isinstance(truth, list) else [truth], strict=True)
    # 60 digits leave 1e-50 of what was added up.
    return max(
        float(max(Big(0), abs(Big(float(a)) - b) - Big("1e-50") * (1 + abs(b))) / (Big(float(e)) + Big("1e-320")))
        for a, e, b in pairs
    )


def settings(rng: np.random.Generator, n: int) -> list[Any]:
    """Samplers, weights, hits, m, scores up to 1e4 apart about any offset, and counts, some of them 0."""
    found: list[Any] = []
    while len(found) < n:
        size, spread = int(rng.integers(2, 6)), float(rng.choice([1, 30, 200, 1000, 5000]))
        scores = spread * rng.uniform(-1, 1, size) + float(rng.choice([0, 1e4, -1e6]))
        counts = rng.integers(1, 1000, size)
        if rng.random() < 0.15 and size > 2:
            counts[rng.integers(size)] = 0
        sampler, weight = str(rng.choice(list(SAMPLERS))), str(rng.choice(list(WEIGHTS)))
        hits, m, y = str(rng.choice(HITS)), int(rng.integers(1, 4)), int(rng.choice(np.flatnonzero(counts)))
        # Refused, and rightly: these need a label that is never drawn, or is drawn with q below 1e-300.
        never = counts.min() == 0 and sampler == "in-batch" and weight == "importance"
        if not never and not (sampler == "model" and np.ptp(scores) > 600):
            found.append((sampler, weight, m, hits, scores, counts, y))
    return found


@pytest.mark.parametrize("quantity", QUANTITIES)
def test_errors_bound_the_rounding(quantity: Any, rng: np.random.Generator) -> None:
    """`integrate`, `exhaust` and `sweep` within their errors, and these small, in 60 settings."""
    with mpmath.workdps(60):
        for sampler, weight, m, hits, scores, counts, y in settings(rng, 60):
            truth = in_sixty_digits(sampler, weight, m, hits, scores.tolist(), counts.tolist(), y)[quantity]
            prior = il.LabelPrior.from_counts(counts)
            scheme = il.Scheme(SAMPLERS[sampler], WEIGHTS[weight], m=m, hits=hits)  # type: ignore[arg-type]
            problem = il.Problem(scores, prior, y)
            swept = il.sweep([scheme], SOFTMAX, scores, prior, [y], [quantity])[quantity]
            for value, error in (
                *((one.value, one.error) for one in (witness(scheme, SOFTMAX, problem, quantity) for witness in EXACT)),
                (swept.value[0, 0], swept.error[0, 0]),  # type: ignore[index]
            ):
                assert outside(value, error, truth) <= 1, (scheme, scores, counts, y)
                size = (
                    1
                    if quantity.startswith("gradient")
                    else max(1.0, float(np.ptp(scores))) ** (1 + (quantity in SQUARED))
                )
                assert np.max(error) <= 1e-10 * size


EXACT = (il.integrate, il.exhaust)
SQUARED = ("variance", "mse")


def test_a_sweep_is_every_integral_wherever_scores_lie(rng: np.random.Generator) -> None:
    """Spreads to 1e4, leads of 20 to 300, one 710 below, offsets to 1e9, a label with count 0, m to a million."""
    for _ in range(12):
        n, m = int(rng.integers(5, 30)), int(rng.choice([1, 4, 1000, 10**6]))
        scores = float(rng.choice([1, 30, 200, 1000])) * rng.normal(size=n) + float(rng.choice([0, 1e4, -1e6, 1e9]))
        scores[rng.integers(n)] -= 710.0
        scores[rng.integers(n)] += float(rng.choice([20, 40, 300]))
        counts = np.floor(1000 * rng.random(n) ** 3) + 1
        counts[0] = float(rng.choice([0, 5]))
        prior = il.LabelPrior.from_counts(counts)
        sampler = [il.samplers.Uniform(), il.samplers.Power()][rng.integers(2)]
        # A weight that needs every label cannot be had where one is never drawn; the next test is about that.
        every = weightings() if counts[0] else weightings()[:2]
        scheme = il.Scheme(sampler, every[rng.integers(len(every))], m=m, hits=str(rng.choice(HITS)))  # type: ignore[arg-type]
        found = il.sweep([scheme], SOFTMAX, scores, prior, quantities=SWEPT)
        for y in range(n):
            for quantity in SWEPT:
                one = il.integrate(scheme, SOFTMAX, il.Problem(scores, prior, y), quantity)
                off = abs(found[quantity].value[0, y] - float(one))  # type: ignore[index]
                assert off <= found[quantity].error[0, y] + float(one.error), (scheme, scores, y, quantity)  # type: ignore[index]


@pytest.mark.parametrize("hits", HITS)
def test_the_grid_itself_is_right_wherever_scores_lie(hits: Any, rng: np.random.Generator) -> None:
    """What the grid says before anything is integrated alone: each entry within its error, most of them precise."""
    prior, precise = il.LabelPrior.exp(20, 400, 100), 0
    for spread, offset in ((1.0, 0.0), (30.0, 1e9), (200.0, -1e6), (700.0, 0.0)):
        scores = spread * rng.normal(size=20) + offset
        problem = il.Problem(scores, prior, 0)
        scheme = il.Scheme(il.samplers.Uniform(), WEIGHTS["unit"], m=4, hits=hits)
        factors = grid._factors(scheme, SOFTMAX, problem, 19)
        assert factors is not None
        log_q, log_a, log_b = factors
        found = grid._Grid.of(scheme, log_q, log_b, problem, np.arange(20)).integrals(4, log_a, SWEPT)
        for y in range(20):
            for quantity in SWEPT:
                one = il.integrate(scheme, SOFTMAX, il.Problem(scores, prior, y), quantity)
                value, error = (part[y] for part in found[quantity])
                assert not np.isfinite(error) or abs(value - float(one)) <= error + float(one.error), (spread, y)
                precise += error <= 1e-11 * value
    # Where one label outweighs all others, hits that are taken out leave the others to be integrated alone.
    assert precise > (200 if hits == "keep" else 120)


def test_a_masked_hit_stays_masked_however_far_below_the_positive_lies() -> None:
    """The case of the issue: f_5 = -710 of ten labels.  Kept, the hits would add log's worth of 1/4 each."""
    scores = np.zeros(10)
    scores[5] = -710.0
    prior = il.LabelPrior.zipf(10, 0.0)
    masked, kept = (il.Scheme(il.samplers.Uniform(), WEIGHTS["constant"], m=4, hits=hits) for hits in ("mask", "keep"))
    found = [float(il.sweep([s], SOFTMAX, scores, prior, [5])["mean"].value[0, 0]) for s in (masked, kept)]  # type: ignore[index]
    by_hand = [0.0, 0.0]
    for k in range(5):  # k hits of four
        chance = mpmath.binomial(4, k) * Big("0.1") ** k * Big("0.9") ** (4 - k)
        others = (4 - k) * mpmath.exp(710) / 4
        by_hand = [a + float(chance * mpmath.log1p(others + b)) for a, b in zip(by_hand, (0, Big(k) / 4), strict=True)]
    assert found == pytest.approx(by_hand, rel=1e-13)
    assert by_hand[0] == pytest.approx(709.8064343, abs=1e-6)


def test_a_positive_that_cannot_be_swept_is_named() -> None:
    prior = il.LabelPrior.from_counts([5, 0, 3])
    relative = il.Scheme(il.samplers.WithinBatch(), WEIGHTS["relative"], m=2, hits="mask")
    with pytest.raises(ValueError, match=r"label 1 q = 0"):
        il.sweep([relative], SOFTMAX, np.zeros(3), prior)
    importance = il.Scheme(il.samplers.WithinBatch(), WEIGHTS["importance"], m=2, hits="mask")
    for positives in ([0, 2], [1, 0], [0, 1, 2]):
        with pytest.raises(ValueError, match="no weight gives label 1 its margin"):
            il.sweep([importance], SOFTMAX, np.zeros(3), prior, positives)
    with pytest.raises(ValueError, match=r"at most e\^1e\+05 times .* label 2"):
        il.sweep([il.Scheme(il.samplers.Uniform(), WEIGHTS["unit"], m=2, hits="mask")], SOFTMAX, [0, 0, 1e6], prior)


def test_an_offset_of_all_scores_changes_nothing(rng: np.random.Generator) -> None:
    """Eighths, so that the offset itself rounds nothing."""
    scores = np.round(8 * rng.normal(size=12)) / 8
    prior = il.LabelPrior.exp(12, 100, 20)
    for sampler in SAMPLERS.values():
        scheme = il.Scheme(sampler, WEIGHTS["importance"], m=3, hits="mask")
        near, far = (il.sweep([scheme], SOFTMAX, scores + by, prior)["mean"].value for by in (0.0, 2.0**40))
        assert near == pytest.approx(far, rel=1e-13)


@pytest.mark.parametrize("hits", HITS)
def test_a_law_that_sums_to_one_but_for_a_billionth(hits: Any, rng: np.random.Generator) -> None:
    """Such a law is accepted, and scaled: all witnesses speak of one and the same, and true claims about it hold."""
    off = np.full(10, 0.1)
    off[0] += 9e-10
    for prior, sampler in (
        (il.LabelPrior.from_probabilities(off), il.samplers.WithinBatch()),
        (il.LabelPrior.from_probabilities(off), il.samplers.Mixture()),
        (il.LabelPrior.zipf(10, 1.0), il.samplers.Explicit(off)),
    ):
        scheme = il.Scheme(sampler, WEIGHTS["constant"], m=4, hits=hits)
        problem = il.Problem(rng.normal(size=10), prior, 3)
        swept = il.sweep([scheme], SOFTMAX, problem.scores, prior, [3], QUANTITIES)
        for quantity in QUANTITIES:
            one, other = (witness(scheme, SOFTMAX, problem, quantity) for witness in EXACT)
            assert np.all(np.abs(one.value - other.value) <= np.asarray(one.error) + other.error), (sampler, quantity)
            off_by = np.abs(swept[quantity].value[0, 0] - one.value)  # type: ignore[index]
            assert np.all(off_by <= swept[quantity].error[0, 0] + np.asarray(one.error)), (sampler, quantity)  # type: ignore[index]
        gap = il.exhaust(scheme, Decoupled(logistic), problem, "gap")
        assert abs(float(gap)) <= gap.error


@pytest.mark.parametrize("hits", HITS)
@pytest.mark.parametrize("below", [100.0, 3000.0, 1e4])
def test_minimum_variance_far_below_the_rest(hits: Any, below: float, rng: np.random.Generator) -> None:
    """No gap and no variance, to within the errors, however large the logarithms are that its law is made of."""
    prior = il.LabelPrior.exp(10, 500, 100)
    for y in (3, 8):
        scores = rng.normal(size=10)
        scores[y] -= below
        for loss in (SOFTMAX, Decoupled(logistic)):
            sampler = il.samplers.MinimumVariance(loss=loss)
            scheme, problem = il.Scheme(sampler, WEIGHTS["importance"], m=3, hits=hits), il.Problem(scores, prior, y)
            for quantity in ("gap", "variance"):
                for witness in EXACT:
                    found = witness(scheme, loss, problem, quantity)
                    assert abs(float(found)) <= found.error, (y, loss, quantity, found)


def test_exponentials_that_are_left_out_change_nothing(rng: np.random.Generator) -> None:
    """Most labels cost no exponential at most nodes; the numbers are those of all exponentials."""
    from implicitloss.kernels.transform import log_transform

    u, q = 9000 * rng.uniform(-1, 1, 400), np.full(400, 1 / 400)
    v = np.linspace(-9000, 9000, 300)
    with np.errstate(over="ignore"):
        z = np.exp(v[:, None] + u)
        below = np.expm1(-z) @ q
        plain = np.where(below > -0.5, np.log1p(np.maximum(below, -0.9)), np.log(np.maximum(np.exp(-z) @ q, 1e-300)))
    found = np.maximum(log_transform(v, q, u), np.log(1e-300))
    np.testing.assert_allclose(found, plain, rtol=1e-12, atol=1e-14)


# --- too large for floating point ----------------------------------------------------------------------------------


LARGE = ForMargin(margins.Adaptive(60.0))  # log p = 60 π_y^{-1/4}: e^710 for the rarest label below


@pytest.mark.parametrize("loss", [Decoupled(b) for b in (logistic, hinge, squared_hinge)], ids=lambda loss: loss.name)
def test_what_overflows_is_said(loss: Any) -> None:
    """Weights of e^720 on payments near 1: no infinity, no NaN, no warning, no OverflowError, from any verb."""
    prior = il.LabelPrior.from_counts([30_000, 20_000, 2])
    problem, scheme = il.Problem([0.5, 0.2, 0.1], prior, 2), il.Scheme(il.samplers.Uniform(), LARGE, m=2, hits="mask")
    verbs = {
        "implicit_loss": lambda: il.implicit_loss(scheme, loss, problem),
        "implicit_gradient": lambda: il.implicit_gradient(scheme, loss, problem),
        "implicit_margins": lambda: il.implicit_margins(scheme, prior),
    }
    for quantity in ("mean", "variance", "mse", "gradient"):
        verbs |= {
            f"integrate {quantity}": lambda q=quantity: il.integrate(scheme, loss, problem, q),
            f"exhaust {quantity}": lambda q=quantity: il.exhaust(scheme, loss, problem, q),
            f"sweep {quantity}": lambda q=quantity: il.sweep([scheme], loss, problem.scores, prior, [2], [q]),
            f"simulate {quantity}": lambda q=quantity: il.simulate(
                scheme, loss, problem, q, runs=10, rng=0, reference=1.0, threads=1
            ),
        }
    for name, verb in verbs.items():
        with pytest.raises(ValueError, match="too large for floating point") as caught:
            verb()
        assert len(str(caught.value)) < 300, name
    # The gap of a decoupled loss is 0 whatever the weights, and softmax takes them in its stride.
    assert float(il.integrate(scheme, loss, problem, "gap")) == 0
    assert float(il.integrate(scheme, SOFTMAX, problem)) == pytest.approx(float(il.exhaust(scheme, SOFTMAX, problem)))


def test_numbers_that_are_not_finite_are_no_estimates() -> None:
    for value, error in ((np.inf, 0.0), (0.0, np.nan), (np.array([1.0, np.nan]), np.zeros(2))):
        with pytest.raises(ValueError, match="must be finite, got"):
            Estimate(value, error, "mean", "by hand")
    endless = Estimate(1.0, 0.1, "mean", "simulate", 10, 0.1, 0.0, np.inf)
    assert "high" not in json.loads(json.dumps(endless.to_dict(), allow_nan=False))


def test_scores_that_floats_cannot_square_are_refused() -> None:
    prior = il.LabelPrior.zipf(2, 1)
    with pytest.raises(ValueError, match=r"within ±1e\+150 .* label 1 has -1.79"):
        il.Problem([0.0, np.finfo(float).min], prior, 0)


def test_a_masked_label_costs_no_digits() -> None:
    """-1e9 is how scores are masked: what such a label is worth rounds to nothing, and so does its logarithm."""
    prior = il.LabelPrior.zipf(6, 1)
    scores = np.array([0.3, -0.2, 1.0, 0.0, 0.5, -1e9])
    scheme = il.Scheme(il.samplers.Uniform(), WEIGHTS["importance"], m=3, hits="exclude")
    for quantity in QUANTITIES:
        one, all_draws = (verb(scheme, SOFTMAX, il.Problem(scores, prior, 0), quantity) for verb in EXACT)
        assert np.all(np.abs(one.value - all_draws.value) <= np.asarray(one.error) + all_draws.error)
        assert np.max(one.error) < 1e-11


# --- frames ----------------------------------------------------------------------------------------------------------


def test_frames_are_tidy() -> None:
    """A row for each number, whatever was swept; the numbers are where their names say."""
    prior, scores = il.LabelPrior.zipf(4, 1), np.array([0.1, 0.2, -0.3, 0.0])
    schemes = [il.Scheme(il.samplers.Uniform(), WEIGHTS["constant"], m=m, hits="mask") for m in (1, 5)]
    found = il.sweep(schemes, SOFTMAX, scores, prior, [3, 1], ["mean", "gradient"])
    frame = found["mean"].to_frame()
    assert list(frame.columns) == ["scheme", "label", "m", "quantity", "value", "error"]
    assert len(frame) == 4
    row = frame[(frame.m == 5) & (frame.label == 1)].iloc[0]
    alone = il.integrate(schemes[1], SOFTMAX, il.Problem(scores, prior, 1))
    assert row.value == found["mean"].value[1, 1] == float(alone)  # type: ignore[index]
    assert row.scheme == str(schemes[1])
    gradient = found["gradient"].to_frame()
    assert len(gradient) == 16
    entry = gradient[(gradient.m == 1) & (gradient.label == 3) & (gradient.score == 2)]
    assert entry.value.item() == found["gradient"].value[0, 0, 2]  # type: ignore[index]
    assert "2 x 2 x 4 array" in repr(found["gradient"])
    assert json.loads(json.dumps(found["mean"].to_dict()))["positives"] == [3, 1]
    assert "2 x 2 array" in repr(found["mean"])
    # Labels that have names keep them.
    named = il.LabelPrior.from_counts({"cat": 8, "dog": 4, "emu": 2, "fox": 1})
    found = il.sweep(schemes, SOFTMAX, scores, named, [3, 1], ["mean", "gradient"])
    assert found["mean"].to_frame()["name"].tolist() == ["fox", "dog"] * 2
    gradient = found["gradient"].to_frame()
    assert gradient["name"].tolist() == (["fox"] * 4 + ["dog"] * 4) * 2
    assert gradient["score_name"].tolist() == ["cat", "dog", "emu", "fox"] * 4
    assert found["mean"].to_dict()["names"] == ["fox", "dog"]
    # One scheme needs no list around it.
    assert il.sweep(schemes[0], SOFTMAX, scores, prior)["mean"].value.shape == (1, 4)  # type: ignore[union-attr]
