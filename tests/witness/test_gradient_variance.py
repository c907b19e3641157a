"""The variance of the gradient: by hand, by enumeration, by simulation, and what each wrong formula would give."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

import implicitloss as il
from implicitloss.draws import DRAWS, law_of
from implicitloss.kernels import transform
from implicitloss.scheme import HITS
from implicitloss.witness.integrate import gradient_variance as of_iid
from implicitloss.witness.simulate import simulate_together, table

SOFTMAX = il.losses.SoftmaxCrossEntropy()
LOGISTIC = il.losses.Decoupled(il.losses.logistic)
LOSSES = (SOFTMAX, LOGISTIC, il.losses.Decoupled(il.losses.squared_hinge))
PRIOR = il.LabelPrior.from_counts([8, 4, 3, 1, 20])
HARD = (None, *(il.HardNegatives(k=2, overlap=overlap, weight=0.7) for overlap in HITS))
COUNTED_AGAIN = il.HardNegatives(k=2, overlap="keep", weight=0.7)
# Agreement, relative to E ‖g‖²: some 200 roundings of 1.1e-16 each, and logarithms that round in proportion.
CLOSE = 1e-13


def variance(scheme: il.Scheme, loss: Any, problem: il.Problem, witness: Any = il.integrate) -> il.Estimate:
    return witness(scheme, loss, problem, "gradient_variance")  # type: ignore[no-any-return]


def second_moment(scheme: il.Scheme, loss: Any, problem: il.Problem) -> float:
    mean = np.asarray(il.exhaust(scheme, loss, problem, "gradient").value)
    return float(variance(scheme, loss, problem, il.exhaust)) + float(mean @ mean)


# --- by hand ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("witness", [il.integrate, il.exhaust], ids=lambda f: f.__name__)
def test_two_labels_and_one_draw(witness: Any) -> None:
    """The draw is the negative with probability 3/4, and adds x = e^{f_1 - f_0}; else a masked hit adds nothing.

    So the gradient is (-s, s), s = x/(1 + x), or 0: its variance is 2 s² · 3/4 · 1/4.
    """
    problem = il.Problem([0.2, 0.9], il.LabelPrior.from_counts([1, 3]), 0)
    scheme = il.Scheme(il.samplers.WithinBatch(), il.weightings.Unit(), m=1, hits="mask")
    share = math.exp(0.7) / (1 + math.exp(0.7))
    found = variance(scheme, SOFTMAX, problem, witness)
    assert float(found) == pytest.approx(2 * share**2 * 3 / 16, rel=1e-14)
    # Logistic: the negative's entry is σ(f_1) or 0, and the positive's is the same in every run.
    found = variance(scheme, LOGISTIC, problem, witness)
    assert float(found) == pytest.approx((1 / (1 + math.exp(-0.9))) ** 2 * 3 / 16, rel=1e-14)


def test_two_labels_and_two_draws() -> None:
    """0, 1 or 2 draws of the negative: s = n x/(1 + n x), and ‖g‖² = 2 s²."""
    problem = il.Problem([0.2, 0.9], il.LabelPrior.from_counts([1, 3]), 0)
    scheme = il.Scheme(il.samplers.WithinBatch(), il.weightings.Unit(), m=2, hits="mask")
    x = math.exp(0.7)
    shares, chances = [n * x / (1 + n * x) for n in range(3)], [1 / 16, 6 / 16, 9 / 16]
    mean = sum(p * s for p, s in zip(chances, shares, strict=True))
    expected = 2 * sum(p * (s - mean) ** 2 for p, s in zip(chances, shares, strict=True))
    for witness in (il.integrate, il.exhaust):
        assert float(variance(scheme, SOFTMAX, problem, witness)) == pytest.approx(expected, rel=1e-13)


def test_a_kept_hit_varies_too() -> None:
    """A hit adds w_yy = 1 to the sum, so one draw leaves the shares x/(1 + x) or 0, as a masked hit does."""
    problem = il.Problem([0.2, 0.9], il.LabelPrior.from_counts([1, 3]), 0)
    kept, masked = (
        il.Scheme(il.samplers.WithinBatch(), il.weightings.Unit(), m=1, hits=hits)  # type: ignore[arg-type]
        for hits in ("keep", "mask")
    )
    assert float(variance(kept, SOFTMAX, problem)) == pytest.approx(float(variance(masked, SOFTMAX, problem)))
    # With two draws it matters: the hit shares with the negative.
    two = il.Scheme(il.samplers.WithinBatch(), il.weightings.Unit(), m=2, hits="keep")
    x = math.exp(0.7)
    shares, chances = [n * x / (1 + n * x + 2 - n) for n in range(3)], [1 / 16, 6 / 16, 9 / 16]
    mean = sum(p * s for p, s in zip(chances, shares, strict=True))
    expected = 2 * sum(p * (s - mean) ** 2 for p, s in zip(chances, shares, strict=True))
    assert float(variance(two, SOFTMAX, problem)) == pytest.approx(expected, rel=1e-13)


def test_a_draw_that_is_certain_varies_nothing() -> None:
    """Two labels, hits excluded: every draw is the same."""
    problem = il.Problem([0.2, 0.9], il.LabelPrior.from_counts([1, 3]), 0)
    for loss, draws in itertools.product(LOSSES, DRAWS):
        m = 1 if draws == "distinct" else 3
        scheme = il.Scheme(il.samplers.WithinBatch(), il.weightings.Constant(), m=m, hits="exclude", draws=draws)
        for witness in (il.integrate, il.exhaust):
            found = variance(scheme, loss, problem, witness)
            assert abs(float(found)) <= found.error <= 1e-12  # type: ignore[operator]


def test_the_minimum_variance_sampler_leaves_the_gradient_its_variance() -> None:
    """At q* ∝ e^f the loss does not vary; the gradient has (1 - p_y)² (1 - Σ q*²)/m."""
    problem = il.Problem([0.3, -0.4, 1.2, -1.7], il.LabelPrior.from_counts([8, 4, 3, 1]), 1)
    scheme = il.Scheme(il.samplers.MinimumVariance(), il.weightings.Importance(), m=3, hits="exclude")
    p = np.exp(problem.scores) / np.exp(problem.scores).sum()
    q = np.delete(p, 1) / (1 - p[1])
    assert float(il.integrate(scheme, SOFTMAX, problem, "variance")) < 1e-25
    expected = (1 - p[1]) ** 2 * (1 - np.sum(q**2)) / 3
    assert float(variance(scheme, SOFTMAX, problem)) == pytest.approx(expected, rel=1e-12)


# --- enumeration ------------------------------------------------------------------------------------------------------


@pytest.mark.in_turn
@pytest.mark.parametrize("draws", DRAWS)
@pytest.mark.parametrize("hits", HITS)
@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.name)
def test_integrals_are_what_enumeration_gives(loss: Any, hits: Any, draws: Any, rng: np.random.Generator) -> None:
    """Samplers x weightings x hits x m, with and without hard negatives, within both errors; and these are small."""
    samplers = (il.samplers.Uniform(), il.samplers.WithinBatch(), il.samplers.ModelBased(), il.samplers.Mixture())
    every, seen = list(itertools.product(samplers, il.weightings.examples(), HARD)), 0
    # Races take a while: of these a sample.
    for i in rng.permutation(len(every))[: 40 if draws == "distinct" else len(every)]:
        sampler, weighting, hard = every[i]
        m = int(rng.integers(1, 5))
        problem = il.Problem(rng.normal(size=5) * rng.choice([1, 5]), PRIOR, int(rng.integers(5)))
        try:
            scheme = il.Scheme(sampler, weighting, m=m, hits=hits, hard=hard, draws=draws)
            listed = variance(scheme, loss, problem, il.exhaust)
        except ValueError:  # more distinct draws than there are labels, or a weight that is undefined
            continue
        found, size = variance(scheme, loss, problem), second_moment(scheme, loss, problem)
        assert abs(float(found) - float(listed)) <= found.error + listed.error, (scheme, problem)  # type: ignore[operator]
        assert abs(float(found) - float(listed)) <= CLOSE * size, (scheme, problem)
        assert found.error <= 1e-11 * size + 1e-299, (scheme, problem)
        seen += 1
    assert seen > (15 if draws == "distinct" else 60)


@pytest.mark.parametrize("draws", DRAWS)
def test_far_scores_and_small_weights(draws: Any, rng: np.random.Generator) -> None:
    """Scores within ±700, and weights near 1e-300."""
    for loss in (SOFTMAX, LOGISTIC):
        for spread, level in itertools.product((1.0, 700.0), (0.0, -690.0)):
            for _ in range(2 if draws == "distinct" else 6):
                scores = spread * rng.uniform(-1, 1, 5)
                problem = il.Problem(scores, PRIOR, int(rng.integers(5)))
                scheme = il.Scheme(
                    il.samplers.Uniform(), Scaled(level), m=int(rng.integers(1, 4)), hits="keep", draws=draws
                )
                found, listed = variance(scheme, loss, problem), variance(scheme, loss, problem, il.exhaust)
                assert abs(float(found) - float(listed)) <= found.error + listed.error  # type: ignore[operator]
                assert found.error <= 1e-10 * second_moment(scheme, loss, problem) + 1e-299


@pytest.mark.in_turn
@pytest.mark.parametrize("draws", DRAWS)
@pytest.mark.parametrize("quantity", ["mean", "gradient", "gradient_variance"])
def test_scores_thousands_apart_do_not_overflow(quantity: Any, draws: Any) -> None:
    """e^{f_y' - f_y} itself is no float here."""
    for scores in ([0.0, 1500.0, 3.0, -700.0, 1.0], [0.0, 900.0, 1500.0, -3.0, 1.0]):
        for y in (0, 3):
            problem = il.Problem(scores, PRIOR, y)
            scheme = il.Scheme(il.samplers.Uniform(), il.weightings.Constant(), m=2, hits="mask", draws=draws)
            found, listed = (witness(scheme, SOFTMAX, problem, quantity) for witness in (il.integrate, il.exhaust))
            apart = np.abs(np.asarray(found.value) - listed.value)
            assert np.all(apart <= np.asarray(found.error) + listed.error)
            assert np.max(found.error) <= 1e-10 * max(1.0, np.max(np.abs(found.value)))


class Scaled:
    """The same weight on every negative."""

    is_eta_over_m = False

    def __init__(self, level: float) -> None:
        self.level = level

    def log_weight(self, draws: Any) -> np.ndarray:
        return np.full(draws.log_q.size, self.level)


def test_many_draws_lose_digits_and_say_so() -> None:
    """E ‖g‖² - ‖E g‖² falls as 1/m; the error does not, and covers what is lost: twice m V is the same."""
    problem = il.Problem([0.3, -0.4, 1.2, -1.7], il.LabelPrior.from_counts([8, 4, 3, 1]), 1)
    found = {}
    for m in (10**4, 10**6, 10**8):
        scheme = il.Scheme(il.samplers.WithinBatch(), il.weightings.Importance(), m=m, hits="mask")
        one = variance(scheme, SOFTMAX, problem)
        found[m] = m * float(one)
        assert one.error <= 1e-12
        # The limit of m V is approached at rate 1/m.
        assert abs(found[m] - found[10**4]) <= 2e-3 * found[m] + m * one.error  # type: ignore[operator]


def test_a_design_with_a_single_draw_is_independent_draws() -> None:
    problem = il.Problem([0.3, -0.4, 1.2, -1.7], il.LabelPrior.from_counts([8, 4, 3, 1]), 1)
    for loss in LOSSES:
        one, *others = (
            float(
                variance(
                    il.Scheme(il.samplers.Uniform(), il.weightings.Unit(), m=1, hits="keep", draws=d), loss, problem
                )
            )
            for d in ("iid", "distinct", "set")
        )
        assert others == pytest.approx([one, one], rel=1e-12)


def test_a_sweep_has_it() -> None:
    scheme = il.Scheme(il.samplers.WithinBatch(), il.weightings.Constant(), m=3, hits="mask")
    scores = [0.3, -0.4, 1.2, -1.7, 0.1]
    swept = il.sweep([scheme], SOFTMAX, scores, PRIOR, [1, 3], ["mean", "gradient_variance"])["gradient_variance"]
    assert np.shape(swept.value) == (1, 2)
    assert swept.value[0, 1] == float(variance(scheme, SOFTMAX, il.Problem(scores, PRIOR, 3)))  # type: ignore[index]


# --- mutants ----------------------------------------------------------------------------------------------------------

MUTANTS = {
    "one draw twice": (1.0, 0.0, 0.0, 1.0),
    "two draws of different labels are forgotten": (1.0, 1.0, 0.0, 0.0),
    "the square of a draw counts once too often": (1.5, 1.0, 1.0, 0.0),
    "draws of one label twice are forgotten": (1.0, 0.0, 1.0, 0.0),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_wrong_formula_is_seen(mutant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of the parts φ₂, ψ and φ₁² is needed, as often as it is there."""
    twice, same, pairs, hits = MUTANTS[mutant]
    honest = transform.tilted_moments

    def wrong(*given: Any) -> np.ndarray:
        first, second, squares, weighted = honest(*given)
        return np.stack([np.sqrt(pairs) * first, twice * second, same * squares + hits * second, weighted])

    assert off() <= CLOSE
    monkeypatch.setattr(of_iid, "tilted_moments", wrong)
    assert off() > 1e-3


@pytest.mark.parametrize("wrong", [lambda m: m, lambda m: m - 2], ids=["m for m - 1", "m - 2 for m - 1"])
def test_a_wrong_power_is_seen(wrong: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """φ^{m-1} where one draw is taken out, φ^{m-2} where two are."""
    honest = of_iid.power
    monkeypatch.setattr(of_iid, "power", lambda exponent, log_phi: honest(wrong(exponent + 1), log_phi))
    assert off() > 1e-3


def test_without_the_mean_it_is_the_second_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_iid, "less_squared_mean", lambda second, error, *mean: (second, error))
    assert off() > 1e-2


def test_without_what_hard_negatives_share_it_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """α_j/(1 + S) moves with the draws, and with s_j where j is drawn too."""
    honest = transform.tilted_moments
    assert off(hard=COUNTED_AGAIN) <= CLOSE
    monkeypatch.setattr(of_iid, "tilted_moments", lambda *given: honest(*given) * [[1], [1], [1], [0]])
    assert off(hard=COUNTED_AGAIN) > 1e-3


@pytest.mark.parametrize("draws", ["distinct", "set", "bernoulli"])
@pytest.mark.parametrize("hard", [None, COUNTED_AGAIN], ids=["", "hard"])
def test_a_wrong_square_of_a_set_is_seen(draws: Any, hard: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Σ x_k², or with the terms of pairs alone, or without what hard negatives share."""
    law = type(law_of(draws, np.log([0.4, 0.3, 0.2, 0.1]), 2))
    honest = law.squares
    assert off(draws=draws, hard=hard) <= CLOSE
    for mutant in (
        lambda self, adds, singles, misses: honest(self, adds, 0 * singles, misses),
        lambda self, adds, singles, misses: honest(self, 0 * adds, singles, misses),
        lambda self, adds, singles, misses: honest(self, adds, 2 * singles, misses),
    ):
        monkeypatch.setattr(law, "squares", mutant)
        assert off(draws=draws, hard=hard) > 1e-3


def off(draws: Any = "iid", hard: Any = None) -> float:
    """How far integrals are from enumeration, relative to E ‖g‖²."""
    problem = il.Problem([0.3, -0.4, 1.2, -1.7], il.LabelPrior.from_counts([8, 4, 3, 1]), 1)
    m = 3 if draws == "iid" else 2
    scheme = il.Scheme(il.samplers.WithinBatch(), il.weightings.Importance(), m=m, hits="keep", hard=hard, draws=draws)
    found, listed = variance(scheme, SOFTMAX, problem), variance(scheme, SOFTMAX, problem, il.exhaust)
    return abs(float(found) - float(listed)) / second_moment(scheme, SOFTMAX, problem)


# --- simulation -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("draws", DRAWS)
def test_a_simulation_is_within_its_error(draws: Any, rng: np.random.Generator) -> None:
    """(value - truth)/error has mean 0 and spread 1; five errors are missed once in a million.  Terms keep limits."""
    strains = []
    for _ in range(24):
        loss, hits = LOSSES[rng.integers(2)], str(rng.choice(HITS))
        hard = HARD[rng.integers(len(HARD))]
        problem = il.Problem(rng.normal(size=5), PRIOR, int(rng.integers(5)))
        m = int(rng.integers(1, 3))
        scheme = il.Scheme(il.samplers.Uniform(), il.weightings.Constant(), m=m, hits=hits, hard=hard, draws=draws)  # type: ignore[arg-type]
        exact = variance(scheme, loss, problem)
        found = il.simulate(scheme, loss, problem, "gradient_variance", runs=4001, rng=rng)
        assert found.n == 2001
        assert found.low <= float(found) <= found.high  # type: ignore[operator]
        if float(exact) > 1e-12:
            strains.append((float(found) - float(exact)) / float(found.error))
    assert len(strains) > 15
    assert np.max(np.abs(strains)) < 5
    assert abs(np.mean(strains)) < 5 / np.sqrt(len(strains))


def test_threads_and_blocks_do_not_matter() -> None:
    problem = il.Problem(np.zeros(5), PRIOR, 1)
    scheme = il.Scheme(il.samplers.WithinBatch(), il.weightings.Importance(), m=64, hits="mask")
    found = [
        il.simulate(scheme, SOFTMAX, problem, "gradient_variance", runs=10_000, rng=3, threads=threads).to_dict()
        for threads in (1, 2)
    ]
    assert found[0] == found[1]


def test_a_simulation_reads_no_expectation(monkeypatch: pytest.MonkeyPatch) -> None:
    """A procedure that draws by another law than is stated is seen."""
    problem = il.Problem([0.3, -0.4, 1.2, -1.7, 0.1], PRIOR, 1)
    scheme = il.Scheme(il.samplers.WithinBatch(), il.weightings.Constant(), m=2, hits="mask")
    exact = variance(scheme, SOFTMAX, problem)
    monkeypatch.setattr(
        il.samplers.WithinBatch, "procedure", lambda self, problem: il.samplers.Uniform().procedure(problem)
    )
    found = il.simulate(scheme, SOFTMAX, problem, "gradient_variance", runs=20_000, rng=1)
    assert abs(float(found) - float(exact)) > 8 * float(found.error)


def test_pairs_that_forget_the_positive_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The positive's entry is half of the variance here, where there is one negative."""
    problem = il.Problem([0.2, 0.9], il.LabelPrior.from_counts([1, 3]), 0)
    scheme = il.Scheme(il.samplers.WithinBatch(), il.weightings.Unit(), m=2, hits="mask")
    exact = float(variance(scheme, SOFTMAX, problem))
    right = il.simulate(scheme, SOFTMAX, problem, "gradient_variance", runs=20_000, rng=5)
    assert abs(float(right) - exact) < 5 * float(right.error)
    monkeypatch.setattr(table.SchemeTable, "_of_positive", lambda self, labels, *given: np.zeros(labels.shape[0]))
    wrong = il.simulate(scheme, SOFTMAX, problem, "gradient_variance", runs=20_000, rng=5)
    assert abs(float(wrong) - exact) > 8 * float(wrong.error)


def test_terms_that_overflow_are_refused() -> None:
    problem = il.Problem(np.zeros(2), il.LabelPrior.from_counts([1, 1]), 0)
    scheme = il.Scheme(il.samplers.Uniform(), Scaled(200.0), m=1, hits="mask")
    with pytest.raises(ValueError, match="gradient_variance of a simulation needs terms below"):
        il.simulate(scheme, LOGISTIC, problem, "gradient_variance", runs=10, rng=0)
    huge = il.Scheme(il.samplers.Uniform(), Scaled(600.0), m=1, hits="mask")
    with pytest.raises(ValueError, match="must be finite"):
        variance(huge, LOGISTIC, problem)


def test_what_is_drawn_together_shares_m() -> None:
    problem = il.Problem(np.zeros(2), il.LabelPrior.from_counts([1, 1]), 0)
    schemes = [il.Scheme(il.samplers.Uniform(), il.weightings.Unit(), m=m, hits="mask") for m in (3, 2)]
    with pytest.raises(ValueError, match="simulated together if they share m"):
        simulate_together(schemes[0], [(one, SOFTMAX) for one in schemes], problem, "gradient_variance", runs=10, rng=0)
