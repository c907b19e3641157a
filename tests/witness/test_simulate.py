"""The simulation against exact numbers, with both error rates bounded; its seeds, threads, ranges and error bars.

Comparisons use the empirical Bernstein bound with the known range at delta = 1e-9.  There are fewer than 300 of them,
so a run of all of them raises a false alarm with probability below 1e-6.  Each has a mutant that must be refuted, and
the test checks that it lies more than two half-widths from the truth: it is missed with probability 1e-9 at most.
"""

from __future__ import annotations

import math
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import pytest

from implicitloss import Estimate, LabelPrior, Problem, Scheme, implicit_loss, integrate, simulate
from implicitloss.labels import Floats
from implicitloss.losses import Decoupled, Loss, SoftmaxCrossEntropy, cosine_contrastive, hinge, logistic, squared_hinge
from implicitloss.margins import Equalised, LogitAdjusted
from implicitloss.numerics.bounds import half_width
from implicitloss.samplers import (
    Explicit,
    LogUniform,
    MinimumVariance,
    Mixture,
    ModelBased,
    Power,
    Sampler,
    Uniform,
    WithinBatch,
)
from implicitloss.samplers import examples as samplers
from implicitloss.weightings import Constant, Draws, ForMargin, Importance, Relative, Tail, Unit, Weighting
from implicitloss.weightings import examples as weightings
from implicitloss.witness.simulate import runs as simulation
from implicitloss.witness.simulate import simulate_together
from implicitloss.witness.simulate.runs import BLOCK_DRAWS
from implicitloss.witness.simulate.streams import PIECE_LABELS, Pieces
from implicitloss.witness.simulate.table import tables_of

SOFTMAX, LOGISTIC = SoftmaxCrossEntropy(), Decoupled(logistic)
Q = np.array([0.1, 0.2, 0.3, 0.4])
DELTA = 1e-9
RUNS = 400_000

CASES: list[tuple[Scheme, Loss]] = [
    (Scheme(WithinBatch(), Importance(), m=3, hits="exclude"), SOFTMAX),
    (Scheme(Uniform(), Tail(), m=5, hits="mask"), SOFTMAX),
    (Scheme(ModelBased(), Constant(), m=2, hits="keep"), SOFTMAX),
    (Scheme(Power(), Unit(), m=4, hits="keep"), SOFTMAX),
    (Scheme(LogUniform(), Relative(), m=3, hits="mask"), SOFTMAX),
    (Scheme(MinimumVariance(LogitAdjusted()), Importance(), m=1, hits="keep"), SOFTMAX),
    (Scheme(Mixture(), ForMargin(Equalised()), m=3, hits="exclude"), LOGISTIC),
    (Scheme(Explicit(Q), Unit(), m=3, hits="keep"), Decoupled(hinge)),
    (Scheme(WithinBatch(), Relative(), m=2, hits="exclude"), Decoupled(squared_hinge)),
    (Scheme(Uniform(), Tail(), m=4, hits="mask"), Decoupled(cosine_contrastive(-1.5))),
]
SEEN = {type(part) for scheme, _ in CASES for part in (scheme.sampler, scheme.weighting)}
# What is not among them, each with a plain partner.
CASES += [(Scheme(q, Unit(), m=3, hits="keep"), SOFTMAX) for q in samplers() if type(q) not in SEEN]
CASES += [(Scheme(Uniform(), w, m=3, hits="keep"), SOFTMAX) for w in weightings() if type(w) not in SEEN]
IDS = [f"{type(scheme.sampler).__name__}-{scheme.weighting}-{scheme.hits}-{loss.name}" for scheme, loss in CASES]
each_case = pytest.mark.parametrize(("scheme", "loss"), CASES, ids=IDS)


@dataclass(frozen=True)
class Heavier:
    """The mutant: weights a little too large."""

    weighting: Weighting
    factor: float = 1.05
    is_eta_over_m = False

    def log_weight(self, draws: Draws) -> Floats:
        return self.weighting.log_weight(draws) + math.log(self.factor)


def widths(estimate: Estimate, delta: float = DELTA) -> np.ndarray:
    """Half-widths of the entries of an estimate."""
    assert estimate.n is not None
    parts = np.broadcast_arrays(*(np.atleast_1d(x) for x in (estimate.variance, estimate.low, estimate.high)))
    return np.array([half_width(v, high - low, estimate.n, delta) for v, low, high in zip(*parts, strict=True)])


def agrees(estimate: Estimate, claimed: Any) -> bool:
    """Whether no entry lies further from the claimed value than its half-width and the claim's own error."""
    error = np.asarray(claimed.error) if isinstance(claimed, Estimate) else 0.0
    value = np.asarray(claimed.value if isinstance(claimed, Estimate) else claimed)
    return bool(np.all(np.abs(estimate.value - value) <= widths(estimate) + error + 1e-12 * np.abs(value)))


def is_refuted(estimate: Estimate, mutant: Any, truth: Any) -> bool:
    """Whether the mutant is refuted, and had to be: somewhere it is more than two half-widths from the truth."""
    away = np.abs(np.atleast_1d(np.asarray(mutant) - np.asarray(truth)))
    assert np.any(away > 2 * widths(estimate)), "the test has no power"
    return not agrees(estimate, np.asarray(mutant))


@each_case
def test_means_and_gradients(scheme: Scheme, loss: Loss, problem: Problem, seed: int) -> None:
    """The mutant's weights are 5 % too large, 10 % for gradients."""
    for quantity, factor in (("mean", 1.05), ("gradient", 1.1)):
        heavier = replace(scheme, weighting=Heavier(scheme.weighting, factor))
        estimate = simulate(scheme, loss, problem, quantity, runs=RUNS, rng=seed)
        exact = integrate(scheme, loss, problem, quantity)
        assert agrees(estimate, exact)
        assert is_refuted(estimate, integrate(heavier, loss, problem, quantity).value, exact.value)


@each_case
def test_spreads(scheme: Scheme, loss: Loss, problem: Problem, seed: int) -> None:
    """The mutant draws one negative more, its weights made for the right number where they know it."""
    more = replace(scheme, m=scheme.m + 1)
    reference = float(implicit_loss(scheme, loss, problem))
    for quantity in ("variance", "mse"):
        estimate = simulate(scheme, loss, problem, quantity, runs=RUNS, rng=seed, reference=reference)
        exact = integrate(scheme, loss, problem, quantity)
        assert agrees(estimate, exact)
        assert is_refuted(estimate, integrate(more, loss, problem, quantity).value, exact.value)


@each_case
def test_gaps(scheme: Scheme, loss: Loss, problem: Problem, seed: int) -> None:
    """The mutant takes the implicit loss of weights 5 % too large for the bound."""
    heavier = replace(scheme, weighting=Heavier(scheme.weighting))
    exact = integrate(scheme, loss, problem, "gap")
    reference, other = (float(implicit_loss(s, loss, problem)) for s in (scheme, heavier))
    estimate, mutant = (
        simulate(scheme, loss, problem, "gap", runs=RUNS, rng=seed, reference=b) for b in (reference, other)
    )
    assert agrees(estimate, exact)
    assert abs(other - reference) > 2 * widths(mutant)[0]
    assert not agrees(mutant, exact)


EXTREME = [
    # Payments beyond e^600 go through logarithms.
    ([9000.0, 0.0, 8994.0, 9003.0], Importance(), "exclude", "mask"),
    ([-4000.0, -5000.0, 4999.0, 4996.0], Tail(), "mask", "exclude"),
    ([650.0, 0.0, -650.0, 640.0], Unit(), "keep", "exclude"),
    ([700.0, 0.0, 710.0, 705.0], Constant(), "mask", "exclude"),
    # And those of e^-300 do not vanish.
    ([-302.0, 0.0, -300.0, -299.0], Importance(), "exclude", "keep"),
]


@pytest.mark.parametrize(("scores", "weighting", "hits", "other"), EXTREME)
def test_extreme_scores(
    scores: list[float], weighting: Weighting, hits: str, other: str, prior: LabelPrior, seed: int
) -> None:
    """The mutant does something else with hits."""
    problem = Problem(np.array(scores), prior, 1)
    scheme = Scheme(WithinBatch(), weighting, m=2, hits=hits)
    for quantity in ("mean", "gradient"):
        estimate = simulate(scheme, SOFTMAX, problem, quantity, runs=RUNS, rng=seed)
        exact = integrate(scheme, SOFTMAX, problem, quantity)
        assert agrees(estimate, exact)
        if quantity == "mean":
            mutant = integrate(replace(scheme, hits=other), SOFTMAX, problem)
            assert is_refuted(estimate, float(mutant), float(exact))


def test_a_long_tail_that_normal_error_bars_refute(seed: int) -> None:
    """L = 1000, importance weights, m = 1, 2,000 runs, 100 times over; false alarm 100 · 1e-9.

    The mutant is the z-test: at a nominal rate of 1e-6 it refutes the truth in several of the 100.
    """
    prior = LabelPrior.zipf(1000, 2)
    problem = Problem(np.linspace(-4, 4, 1000), prior, 0)
    scheme = Scheme(WithinBatch(), Importance(), m=1, hits="exclude")
    reference = float(implicit_loss(scheme, LOGISTIC, problem))
    estimates = [simulate(scheme, LOGISTIC, problem, runs=2000, rng=[seed, i], threads=1) for i in range(100)]
    assert all(agrees(estimate, reference) for estimate in estimates)
    z = [abs(float(estimate) - reference) / float(estimate.error) for estimate in estimates]
    assert sum(value > 4.9 for value in z) >= 2


# --- what is simulated is the procedure -----------------------------------------------------------------------------


class Boasting(Uniform):
    """A sampler that draws uniformly and states another law."""

    def log_law(self, problem: Problem) -> Floats:
        return np.log(np.array([0.7, 0.1, 0.1, 0.1]))


def test_the_stated_law_is_not_read(problem: Problem, seed: int) -> None:
    """Bit by bit the honest sampler's numbers, and the integral of the false law is refuted."""
    for hits in ("exclude", "mask", "keep"):
        honest, boasting = (Scheme(sampler, Unit(), m=3, hits=hits) for sampler in (Uniform(), Boasting()))
        one, two = (simulate(s, SOFTMAX, problem, runs=RUNS, rng=seed) for s in (honest, boasting))
        assert one.to_dict() == two.to_dict()
        truth, claimed = (float(integrate(s, SOFTMAX, problem)) for s in (honest, boasting))
        assert agrees(two, truth)
        assert is_refuted(two, claimed, truth)


def test_excluded_hits_are_drawn_again(prior: LabelPrior, seed: int) -> None:
    """The positive has 15 of 16 examples: every label that counts comes from drawing again."""
    counts = LabelPrior.from_counts([3, 90, 2, 1])
    problem = Problem(np.array([0.3, -0.4, 1.25, -1.75]), counts, 1)
    scheme = Scheme(WithinBatch(), Constant(), m=3, hits="exclude")
    estimate, exact = simulate(scheme, SOFTMAX, problem, runs=RUNS, rng=seed), integrate(scheme, SOFTMAX, problem)
    assert agrees(estimate, exact)
    assert is_refuted(estimate, float(integrate(replace(scheme, hits="mask"), SOFTMAX, problem)), float(exact))


def test_a_positive_with_nearly_all_the_mass(problem: Problem, seed: int) -> None:
    rest = 1e-9
    sampler = Explicit([rest, 1 - 3 * rest, rest, rest])
    scheme = Scheme(sampler, Constant(), m=3, hits="exclude")
    with pytest.raises(ValueError, match=r"cannot be simulated here: .* label 1, the positive; use integrate"):
        simulate(scheme, SOFTMAX, problem, runs=100, rng=seed)
    masked = simulate(replace(scheme, hits="mask"), SOFTMAX, problem, runs=100, rng=seed)
    assert float(masked) == 0
    other = Problem(problem.scores, problem.prior, 0)
    assert float(simulate(scheme, SOFTMAX, other, runs=100, rng=seed)) > 0


# --- seeds and threads --------------------------------------------------------------------------------------------

# Smaller blocks, which are more blocks: at m = 3 several, the last one short.
SMALL_BLOCK = 1 << 16
MANY = SMALL_BLOCK + 1001


@pytest.fixture
def blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulation, "BLOCK_DRAWS", SMALL_BLOCK)


@pytest.mark.parametrize("quantity", ["mean", "variance", "mse", "gap", "gradient"])
@pytest.mark.usefixtures("blocks")
def test_any_number_of_threads_gives_the_same_bits(quantity: str, problem: Problem, seed: int) -> None:
    scheme = Scheme(WithinBatch(), Importance(), m=3, hits="exclude")
    for loss in (SOFTMAX, LOGISTIC):
        runs = [
            simulate(scheme, loss, problem, quantity, runs=MANY, rng=seed, reference=1.5, threads=threads).to_dict()
            for threads in (1, 2, 5, None)
        ]
        assert runs[0] == runs[1] == runs[2] == runs[3]
        other = simulate(scheme, loss, problem, quantity, runs=MANY, rng=seed + 1, reference=1.5).to_dict()
        assert other["value"] != runs[0]["value"]


def test_blocks_have_streams_of_their_own(problem: Problem, seed: int) -> None:
    """Were every block to draw the same labels, two equal blocks would repeat one block's mean."""
    scheme = Scheme(WithinBatch(), Importance(), m=1, hits="exclude")
    one, two = (float(simulate(scheme, SOFTMAX, problem, runs=n * BLOCK_DRAWS, rng=seed)) for n in (1, 2))
    assert one != two


def test_seeds_of_every_kind(problem: Problem, seed: int) -> None:
    scheme = Scheme(WithinBatch(), Importance(), m=3, hits="exclude")

    def value(rng: Any) -> float:
        return float(simulate(scheme, SOFTMAX, problem, runs=1000, rng=rng))

    first = value(seed)
    assert value(np.random.SeedSequence(seed)) == first
    for kind in (np.random.default_rng, np.random.PCG64, np.random.SFC64):
        assert value(kind(seed)) == value(kind(seed)) != value(kind(seed + 1))
    assert value([seed, 1]) == value((seed, 1)) == value(np.random.SeedSequence([seed, 1])) != first
    assert value(None) != value(None)
    # A generator moves on, as generators do.
    generator = np.random.default_rng(seed)
    assert value(generator) != value(generator)
    left, right = np.random.SeedSequence(seed).spawn(2)
    assert value(left) != value(right)


def test_a_seed_sequence_is_a_seed_and_not_a_stream(problem: Problem, seed: int) -> None:
    """As for `numpy.random.default_rng`, which makes the same generator of it every time."""
    scheme = Scheme(WithinBatch(), Importance(), m=3, hits="exclude")
    sequence = np.random.SeedSequence(seed)
    one, two = (float(simulate(scheme, SOFTMAX, problem, runs=1000, rng=sequence)) for _ in range(2))
    assert one == two


@pytest.mark.parametrize("kind", ["int", "none", "list", "sequence", "spawned", "generator", "used generator"])
def test_the_seed_of_an_estimate_repeats_it(kind: str, problem: Problem, seed: int) -> None:
    """A number carries its origin: rng=estimate.seed gives it again."""
    scheme = Scheme(WithinBatch(), Importance(), m=3, hits="exclude")
    used = np.random.default_rng(seed)
    simulate(scheme, SOFTMAX, problem, runs=10, rng=used)
    rng: Any = {
        "int": seed,
        "none": None,
        "list": [seed, 7],
        "sequence": np.random.SeedSequence(seed),
        "spawned": np.random.SeedSequence(seed).spawn(2)[1],
        "generator": np.random.default_rng(seed),
        "used generator": used,
    }[kind]
    estimate = simulate(scheme, SOFTMAX, problem, runs=1000, rng=rng)
    assert estimate.seed is not None
    assert float(simulate(scheme, SOFTMAX, problem, runs=1000, rng=estimate.seed)) == float(estimate)


@pytest.mark.usefixtures("blocks")
def test_schemes_together_are_schemes_alone(problem: Problem, seed: int) -> None:
    """On the same stream of draws, bit by bit."""
    cases = [(Scheme(Power(), w, m=3, hits="keep"), loss) for w in (Unit(), Tail()) for loss in (SOFTMAX, LOGISTIC)]
    references = [1.0, 2.0, 3.0, 4.0]
    for quantity in ("mean", "mse", "gradient"):
        together = simulate_together(cases[0][0], cases, problem, quantity, runs=MANY, rng=seed, references=references)
        for (scheme, loss), reference, estimate in zip(cases, references, together, strict=True):
            alone = simulate(scheme, loss, problem, quantity, runs=MANY, rng=seed, reference=reference)
            assert alone.to_dict() == estimate.to_dict()


def test_two_terms_make_a_variance(problem: Problem, seed: int) -> None:
    """One pair of runs is one term (ℓ - ℓ')²/2; an odd number of runs is rounded up."""
    scheme = Scheme(WithinBatch(), Importance(), m=3, hits="exclude")
    assert simulate(scheme, SOFTMAX, problem, "variance", runs=7, rng=seed).n == 4
    for quantity in ("mean", "mse", "gap", "gradient"):
        assert simulate(scheme, SOFTMAX, problem, quantity, runs=7, rng=seed, reference=1.0).n == 7


def test_blocks_are_merged_exactly(problem: Problem, seed: int) -> None:
    """Mean and sample variance of three blocks from those of their runs, one run a block: m is the block's size.

    The losses of single runs come from the same children of the seed, so that the moments can be taken again.
    """
    m = BLOCK_DRAWS
    scheme = Scheme(WithinBatch(), Importance(), m=m, hits="keep")
    plan = scheme.plan(problem)
    table = np.exp(plan.log_w + problem.scores - problem.scores[1])
    losses = []
    # Blocks hold two runs at least.
    for child, size in zip(np.random.SeedSequence(seed).spawn(3), (2, 2, 1), strict=True):
        labels = WithinBatch().procedure(problem)(np.random.Generator(np.random.SFC64(child)), size * m)
        losses += np.log1p(table[labels.reshape(size, m)].sum(axis=1)).tolist()
    estimate = simulate(scheme, SOFTMAX, problem, runs=5, rng=seed)
    assert float(estimate) == pytest.approx(np.mean(losses), rel=1e-12)
    assert estimate.variance == pytest.approx(np.var(losses, ddof=1), rel=1e-9)
    assert estimate.error == pytest.approx(math.sqrt(np.var(losses, ddof=1) / 5), rel=1e-9)


# --- ranges and error bars ----------------------------------------------------------------------------------------


def _all_draws(scheme: Scheme, loss: Loss, problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """The loss (n,) and its gradient (n, 4) of every sequence of labels that can be drawn, in scalar arithmetic."""
    plan, y = scheme.plan(problem), problem.positive
    w, pays = np.exp(plan.log_w), np.exp(loss.log_payment(problem.scores, y))
    slopes = loss.payment_slope(problem.scores, y)
    losses, gradients = [], []
    for drawn in product(np.flatnonzero(np.exp(plan.log_q)).tolist(), repeat=scheme.m):
        total = math.fsum(float(w[j] * pays[j]) for j in drawn)
        gradient = np.zeros(4)
        for j in drawn:
            gradient[j] += w[j] * slopes[j]
        if loss.has_log:
            gradient /= 1 + total
            gradient[y] = 0
            gradient[y] = -gradient.sum()
        gradient[y] += loss.positive_slope(float(problem.scores[y]))
        losses.append(loss.positive_pays(float(problem.scores[y])) + (math.log1p(total) if loss.has_log else total))
        gradients.append(gradient)
    return np.array(losses), np.array(gradients)


@each_case
def test_ranges_hold_every_term(scheme: Scheme, loss: Loss, problem: Problem, seed: int) -> None:
    """And those of the loss are attained, where all draws are one label."""
    losses, gradients = _all_draws(scheme, loss, problem)
    slack = 1e-12 * (1 + np.abs(losses).max())
    terms = {
        "mean": losses,
        "gap": 1.5 - losses,
        "mse": (losses - 1.5) ** 2,
        "variance": (losses[:, None] - losses) ** 2 / 2,
        "gradient": gradients,
    }
    for quantity, values in terms.items():
        estimate = simulate(scheme, loss, problem, quantity, runs=50, rng=seed, reference=1.5)
        least, most = values.min(axis=0).min(), values.max(axis=0).max()
        if quantity == "gradient":
            least, most = values.min(axis=0), values.max(axis=0)
        assert np.all(estimate.low <= least + slack), quantity
        assert np.all(estimate.high >= most - slack), quantity
        if quantity in ("mean", "gap"):
            assert (estimate.low, estimate.high) == (pytest.approx(least, abs=slack), pytest.approx(most, abs=slack))
        # Twice the range would be a waste, and for the mean a sign of a lost case.
        assert np.all(estimate.low >= least - 1.01 * (most - least) - (quantity == "gradient") - slack), quantity


def test_ranges_of_masked_and_spared_positives(problem: Problem, seed: int) -> None:
    """A masked hit can make a run lose nothing; an excluded one cannot."""
    for hits, nothing in (("mask", True), ("keep", False), ("exclude", False)):
        estimate = simulate(Scheme(Uniform(), Unit(), m=2, hits=hits), SOFTMAX, problem, runs=10, rng=seed)
        assert (estimate.low == 0) == nothing


def test_error_bars_are_honest(problem: Problem, seed: int) -> None:
    """(value - truth)/error has mean 0 and spread 1 over 2,000 simulations of 1,000 runs each.

    Clipped to ±3, z and z² have known ranges, and the empirical Bernstein bound holds for them at delta = 1e-7 each.
    A normal z clipped so has E z = 0 and E min(z², 9) = 0.995; 0.03 is allowed for 1,000 runs not being normal yet.
    Error bars 1.4 times too short or too long, and a value half an error off, must fail.
    """
    scheme = Scheme(Uniform(), Importance(), m=3, hits="exclude")
    truth = float(integrate(scheme, SOFTMAX, problem))
    estimates = [simulate(scheme, SOFTMAX, problem, runs=1000, rng=[seed, i], threads=1) for i in range(2000)]
    z = np.array([(float(estimate) - truth) / estimate.error for estimate in estimates])

    def is_centred(z: np.ndarray) -> bool:
        z = np.clip(z, -3, 3)
        return abs(z.mean()) <= half_width(z.var(ddof=1), 6.0, z.size, 1e-7) + 0.03

    def has_spread_one(z: np.ndarray) -> bool:
        square = np.minimum(z**2, 9)
        return abs(square.mean() - 0.995) <= half_width(square.var(ddof=1), 9.0, z.size, 1e-7) + 0.03

    assert is_centred(z)
    assert has_spread_one(z)
    assert not is_centred(z + 0.5)
    assert not has_spread_one(z * 1.4)
    assert not has_spread_one(z / 1.4)


def test_error_bars_of_gradients_are_sample_errors(problem: Problem, seed: int) -> None:
    """n error² is the variance, and that the exact variance of each entry, up to 0.02 in 400,000 runs.

    Entries lie in an interval of length 1, so by Hoeffding their mean is off by 5e-3, or that of their squares by 1e-2,
    with probability below 2 e^{-20}: a false alarm has 2e-8.
    """
    scheme = Scheme(Uniform(), Importance(), m=2, hits="mask")
    estimate = simulate(scheme, SOFTMAX, problem, "gradient", runs=RUNS, rng=seed)
    assert np.asarray(estimate.error) ** 2 * RUNS == pytest.approx(np.asarray(estimate.variance), rel=1e-12)
    _, gradients = _all_draws(scheme, SOFTMAX, problem)
    # Uniform: all 16 sequences are alike.
    exact = gradients.var(axis=0)
    assert np.asarray(estimate.variance) == pytest.approx(exact, abs=2e-2)
    assert np.asarray(estimate.variance) != pytest.approx(exact / 2, abs=2e-2)
    assert np.asarray(estimate.variance) != pytest.approx(exact * 1.5, abs=2e-2)


# --- what is refused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("quantity", ["mse", "gap"])
def test_a_missing_reference(quantity: str, problem: Problem) -> None:
    with pytest.raises(ValueError, match=f"simulating the {quantity} needs reference=b"):
        simulate(Scheme(Uniform(), Unit(), m=1, hits="mask"), SOFTMAX, problem, quantity, runs=10, rng=0)


@pytest.mark.parametrize("runs", [1, 0, -5, 2.0, True, None, "10"])
def test_bad_runs(runs: object, problem: Problem) -> None:
    with pytest.raises(ValueError, match=f"runs must be a whole number >= 2, got {runs!r}"):
        simulate(Scheme(Uniform(), Unit(), m=1, hits="mask"), SOFTMAX, problem, runs=runs, rng=0)


def test_unknown_quantity(problem: Problem) -> None:
    with pytest.raises(ValueError, match="got 'median'"):
        simulate(Scheme(Uniform(), Unit(), m=1, hits="mask"), SOFTMAX, problem, "median", runs=10, rng=0)


@pytest.mark.parametrize(
    "other",
    [
        Scheme(WithinBatch(), Unit(), m=2, hits="mask"),
        Scheme(Uniform(), Unit(), m=3, hits="mask"),
        Scheme(Uniform(), Unit(), m=2, hits="keep"),
    ],
    ids=str,
)
def test_schemes_that_cannot_share_draws(other: Scheme, problem: Problem) -> None:
    stream = Scheme(Uniform(), Constant(), m=2, hits="mask")
    with pytest.raises(ValueError, match="must share sampler, hits, hard and draws"):
        simulate_together(stream, [(stream, SOFTMAX), (other, SOFTMAX)], problem, runs=10, rng=0)


def test_samplers_and_weights_that_do_not_exist(problem: Problem) -> None:
    with pytest.raises(ValueError, match="label 3 its margin"):
        simulate(
            Scheme(Explicit([0.5, 0.25, 0.25, 0.0]), Importance(), m=1, hits="mask"), SOFTMAX, problem, runs=10, rng=0
        )
    alone = Problem(problem.scores, LabelPrior.from_counts([0, 4, 0, 0]), 1)
    sampler: Sampler = MinimumVariance(LogitAdjusted(), Decoupled(hinge))
    with pytest.raises(ValueError, match="no negative of label 1 has p > 0"):
        simulate(Scheme(sampler, Unit(), m=1, hits="mask"), SOFTMAX, alone, runs=10, rng=0)


def test_a_procedure_that_draws_what_it_says_it_never_draws_is_refused(problem: Problem, seed: int) -> None:
    """The range of the terms, and with it every bound, trusts the zeros of the stated law."""

    class Liar(Explicit):
        def procedure(self, problem: Problem) -> Any:
            return Uniform().procedure(problem)

    scheme = Scheme(Liar([0.5, 0.25, 0.25, 0.0]), Constant(), m=2, hits="mask")
    with pytest.raises(ValueError, match="drew label 3, to which it gives q = 0"):
        simulate(scheme, SOFTMAX, problem, runs=100, rng=seed)


# --- one stream for many ----------------------------------------------------------------------------------------------

EVERY = (*weightings(), ForMargin(LogitAdjusted(0.5)))


@pytest.mark.parametrize("hits", ["exclude", "mask", "keep"])
@pytest.mark.parametrize("weightings", [EVERY[:1], EVERY[1:4], EVERY], ids=["one", "three", "all"])
@pytest.mark.parametrize("sampler", [WithinBatch(), LogUniform()], ids=str)
def test_a_ladder_is_the_first_draws_of_each_run(
    sampler: Sampler, weightings: tuple[Weighting, ...], hits: Any, problem: Problem, seed: int
) -> None:
    """Every weighting, loss and m on one stream, against the mean written out; five of the m's draws count, not six."""
    stream = Scheme(sampler, Constant(), m=6, hits=hits)
    cases = [
        (Scheme(sampler, weighting, m=m, hits=hits), loss)
        for weighting in weightings
        for m in (1, 5, 6)
        for loss in (SOFTMAX, LOGISTIC)
    ]
    found = simulate_together(stream, cases, problem, runs=400, rng=seed)
    rng = np.random.Generator(np.random.SFC64(np.random.SeedSequence(seed).spawn(1)[0]))
    draw = sampler.procedure(problem)
    drawn = np.concatenate([draw(rng, min(PIECE_LABELS, 400 * 6)) for _ in range(8)])
    drawn = drawn[drawn != problem.positive] if hits == "exclude" else drawn
    labels = drawn[: 400 * 6].reshape(400, 6)
    for (scheme, loss), estimate in zip(cases, found, strict=True):
        plan = scheme.plan(problem)
        x = np.exp(plan.log_w + loss.log_payment(problem.scores, problem.positive))
        sums = x[labels[:, : scheme.m]].sum(axis=1)
        pays = loss.positive_pays(float(problem.scores[problem.positive]))
        losses = np.log1p(sums) if loss.has_log else pays + sums
        assert float(estimate) == pytest.approx(losses.mean(), rel=1e-12)
        assert estimate.variance == pytest.approx(losses.var(ddof=1), rel=1e-9)
        if scheme.m == 5:
            more = x[labels].sum(axis=1)
            assert abs(float(estimate) - (np.log1p(more) if loss.has_log else pays + more).mean()) > 1e-6


def test_weights_that_are_no_power_of_m(problem: Problem, seed: int) -> None:
    @dataclass(frozen=True)
    class Capped:
        is_eta_over_m = False

        def log_weight(self, draws: Any) -> Any:
            return np.minimum(0.0, -draws.log_q - np.log(draws.m))

    stream = Scheme(Uniform(), Capped(), m=6, hits="mask")  # type: ignore[arg-type]
    cases = [(replace(stream, m=m), SOFTMAX) for m in (1, 3, 6)]
    found = simulate_together(stream, cases, problem, runs=50_000, rng=seed)
    for (scheme, _), estimate in zip(cases, found, strict=True):
        # 8 standard errors: a bounded loss; once in 1e15 for a right one
        assert abs(float(estimate) - float(integrate(scheme, SOFTMAX, problem))) < 8 * float(estimate.error)


def test_wide_tables_are_added_in_logs(problem: Problem, seed: int) -> None:
    """Scores 1400 apart, and the same scheme within reach of doubles: both agree with the exact mean."""
    far = Problem(np.array([700.0, 0.0, -700.0, 1.0]), problem.prior, 1)
    for at in (far, Problem(far.scores / 700, problem.prior, 1)):
        scheme = Scheme(WithinBatch(), Constant(), m=3, hits="mask")
        estimate = simulate(scheme, SOFTMAX, at, runs=20_000, rng=seed)
        assert abs(float(estimate) - float(integrate(scheme, SOFTMAX, at))) < 8 * float(estimate.error)


def test_a_control_variate_narrows_and_a_wrong_one_shows(problem: Problem, seed: int) -> None:
    """With many draws most of the spread is linear in S; a reference that is off shows (the mutant)."""
    scheme = Scheme(WithinBatch(), Importance(), m=64, hits="exclude")
    b = float(implicit_loss(scheme, SOFTMAX, problem))
    exact = float(integrate(scheme, SOFTMAX, problem))
    plain = simulate(scheme, SOFTMAX, problem, runs=20_000, rng=seed)
    better = simulate(scheme, SOFTMAX, problem, runs=20_000, rng=seed, reference=b, control=True)
    assert float(better.error) < float(plain.error) / 3
    # 8 standard errors of a nearly normal mean: once in 1e15
    assert abs(float(better) - exact) < 8 * float(better.error)
    wrong = simulate(scheme, SOFTMAX, problem, runs=20_000, rng=seed, reference=b + 0.05, control=True)
    assert abs(float(wrong) - exact) > 8 * float(wrong.error)
    assert better.low is None
    for bad in ({"control": True}, {"control": True, "quantity": "mse", "reference": b}):
        with pytest.raises(ValueError, match="a control variate is for the mean of softmax"):
            simulate(scheme, SOFTMAX, problem, runs=10, rng=seed, **bad)  # type: ignore[arg-type]


@pytest.mark.parametrize("hits", ["exclude", "mask"])
@pytest.mark.parametrize("sampler", [WithinBatch(), Mixture()], ids=str)
def test_labels_that_are_ruled_out_are_named(sampler: Sampler, hits: Any, problem: Problem, seed: int) -> None:
    law = type(sampler).log_law

    def without_the_first(self: Sampler, at: Problem) -> Any:
        q = np.exp(law(self, at))
        q[0] = 0
        with np.errstate(divide="ignore"):
            return np.log(q / q.sum())

    leaks = type("Leaks", (type(sampler),), {"log_law": without_the_first})()
    for at in (problem, Problem(np.array([900.0, 0, -900, 1]), problem.prior, 1)):
        with pytest.raises(ValueError, match="drew label 0, to which it gives q = 0"):
            simulate(Scheme(leaks, Constant(), m=3, hits=hits), SOFTMAX, at, runs=100, rng=seed)


@pytest.mark.parametrize("order", [1, -1])
def test_labels_that_weigh_nothing_in_one_scheme_only(order: int, seed: int) -> None:
    """A label without examples has tail weight 0 and constant weight 1/m: the two are not proportional."""
    problem = Problem(np.linspace(0, 1, 5), LabelPrior.from_counts([5, 5, 0, 5, 5]), 1)
    cases = [(Scheme(Uniform(), weighting, m=6, hits="mask"), SOFTMAX) for weighting in (Constant(), Tail())][::order]
    found = simulate_together(cases[0][0], cases, problem, runs=2_000, rng=seed)
    for (scheme, loss), estimate in zip(cases, found, strict=True):
        alone = simulate(scheme, loss, problem, runs=2_000, rng=seed)
        assert float(estimate) == pytest.approx(float(alone), rel=1e-13)


def test_what_is_proportional_is_added_up_once(problem: Problem) -> None:
    """By within-batch sampling 1/m, 1 and the tail's weights are one column, 1/(m q) and q_y/q another."""
    schemes = [
        Scheme(WithinBatch(), weighting, m=m, hits="mask")
        for m in (1, 4)
        for weighting in (Constant(), Unit(), Importance(), Relative(), Tail(), ForMargin(LogitAdjusted(0.5)))
    ]
    columns = []
    for some in (schemes[:2], schemes[:5], schemes):
        with ThreadPoolExecutor(1) as pool:
            tables = tables_of([(scheme, SOFTMAX) for scheme in some], problem, pool)
            pieces = Pieces(schemes[0], problem, tables, WithinBatch().procedure(problem), pool)
        columns.append(len(set(pieces.column)))
    assert columns == [1, 2, 3]


def test_the_callers_code_runs_where_the_caller_is(problem: Problem) -> None:
    seen = []

    @dataclass(frozen=True)
    class Watched(Constant):
        def log_weight(self, draws: Draws) -> Floats:
            seen.append((threading.current_thread(), np.geterr()["divide"]))
            return super().log_weight(draws)

    with np.errstate(divide="raise"):
        simulate(Scheme(WithinBatch(), Watched(), m=2, hits="mask"), SOFTMAX, problem, runs=10, rng=0)
    assert seen == [(threading.current_thread(), "raise")]


def test_a_weighting_cannot_spoil_another(problem: Problem) -> None:
    @dataclass(frozen=True)
    class Careless(Constant):
        def log_weight(self, draws: Draws) -> Floats:
            draws.log_q[:] = 0.0
            return super().log_weight(draws)

    for hits in ("mask", "exclude"):
        with pytest.raises(ValueError, match="read-only"):
            simulate(Scheme(WithinBatch(), Careless(), m=2, hits=hits), SOFTMAX, problem, runs=10, rng=0)


@pytest.mark.parametrize(("quantity", "reference"), [("mse", 1e200), ("mse", 1e154), ("gap", 1e308), ("mse", -1e71)])
def test_references_beyond_reach(quantity: str, reference: float, problem: Problem) -> None:
    scheme = Scheme(Uniform(), Constant(), m=2, hits="mask")
    with pytest.raises(ValueError, match="the reference must be a number within ±1e70"):
        simulate(scheme, SoftmaxCrossEntropy(), problem, quantity, runs=10, rng=0, reference=reference)  # type: ignore[arg-type]
