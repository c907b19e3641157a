"""The judges themselves: each must pass the true, refute the false, and admit what it cannot see."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import sympy as sp

from implicitloss import symbols as s
from implicitloss.claims.case import Case, Setting
from implicitloss.claims.checks import Average, Averages, Exact, Frequencies, Identity, Simulated, drawn, simulated
from implicitloss.claims.checks.drawn import Deviation, deviations
from implicitloss.claims.checks.identity import counterexample
from implicitloss.claims.checks.simulated import ATTEMPTS
from implicitloss.claims.claim import FAMILY_ERROR, Claim, settle
from implicitloss.claims.verdict import Outcome, together
from implicitloss.estimate import Estimate
from implicitloss.labels import LabelPrior
from implicitloss.losses import Decoupled, SoftmaxCrossEntropy, logistic
from implicitloss.numerics.bounds import cdf_half_width, deviation_half_width, deviation_mean, half_width
from implicitloss.problem import Problem
from implicitloss.samplers import Uniform, WithinBatch
from implicitloss.samplers.sampler import Draw, by_shares
from implicitloss.scheme import Scheme
from implicitloss.theory.implicit import implicit_loss
from implicitloss.weightings import Constant, Importance
from implicitloss.witness.integrate import integrate

PRIOR = LabelPrior.exp(10, 500, 100)
SETTING = Setting(PRIOR, "test")
DELTA = 1e-8


def case(m: int = 8, loss: object = None) -> Case:
    scores = np.linspace(-1.0, 1.0, 10)
    return Case(
        Scheme(WithinBatch(), Constant(), m=m, hits="mask"),
        loss or Decoupled(logistic),  # type: ignore[arg-type]
        Problem(scores, PRIOR, 3),
    )


def mean(case: Case) -> Estimate:
    return implicit_loss(case.scheme, case.loss, case.problem)


# --- together -------------------------------------------------------------------------------------------------------


def test_any_refutation_refutes_and_any_doubt_leaves_doubt() -> None:
    proved, exact, refuted, doubt = Outcome.PROVED, Outcome.EXACT, Outcome.REFUTED, Outcome.INCONCLUSIVE
    assert together([exact, proved]) is proved
    assert together([proved, refuted, doubt]) is refuted
    assert together([proved, doubt]) is doubt
    assert together([]) is doubt


# --- Identity -------------------------------------------------------------------------------------------------------


def rows(left: sp.Expr, right: sp.Expr):  # type: ignore[no-untyped-def]
    return lambda: [("row", left, right)]


def test_identity_proves_refutes_and_admits() -> None:
    total, negatives = s.over_labels(s.pi[s.k]), s.over_negatives(s.pi[s.k], s.k)
    wrong = rows(total, negatives)
    result = Identity(rows(total, negatives + s.pi[s.y]), {"y is left out": wrong}).run(SETTING, DELTA)
    assert result.evidence.outcome is Outcome.PROVED
    assert result.near_misses["y is left out"].outcome is Outcome.REFUTED
    # True, but beyond SymPy's simplification here: never "refuted" for lack of a proof.
    x = sp.Symbol("x", positive=True)
    hard = sp.Integral(sp.exp(-(x**2)), (x, -sp.oo, sp.oo)) - sp.sqrt(sp.pi) + sp.Function("g")(s.y) * 0
    assert Identity(rows(hard, sp.Integer(0)), {}).run(SETTING, DELTA).evidence.outcome is not Outcome.REFUTED


def test_an_identity_stops_at_the_first_counterexample() -> None:
    tried = []

    def pairs() -> Any:
        for name in ("holds", "fails", "fails too"):
            tried.append(name)
            yield name, s.m, s.m if name == "holds" else 2 * s.m

    evidence = Identity(pairs, {}).run(SETTING, DELTA).evidence
    assert (evidence.outcome, evidence.case, evidence.n_cases) == (Outcome.REFUTED, "fails", 2)
    assert tried == ["holds", "fails"]


def test_counterexample_finds_small_differences_only_where_there_are_any() -> None:
    assert counterexample(s.pi[s.y] - s.pi[s.y] * (1 + sp.Rational(1, 10**12))) is not None
    assert counterexample((s.pi[s.y] + 1) ** 2 - s.pi[s.y] ** 2 - 2 * s.pi[s.y] - 1) is None


# --- Exact ----------------------------------------------------------------------------------------------------------


def numbers(value: float, error: float) -> Estimate:
    return Estimate(value, error, "number", "test")


@pytest.mark.parametrize(
    ("observed", "claimed", "relation", "outcome"),
    [
        (numbers(1.0, 1e-12), numbers(1.0 + 1e-12, 1e-12), "=", Outcome.EXACT),
        (numbers(1.0, 1e-12), numbers(1.0 + 1e-11, 1e-12), "=", Outcome.REFUTED),
        # The errors could hide a difference that matters.
        (numbers(1.0, 1e-3), numbers(1.0, 1e-3), "=", Outcome.INCONCLUSIVE),
        (numbers(1.0, 1e-12), numbers(2.0, 0.0), "<", Outcome.EXACT),
        (numbers(1.0, 1e-12), numbers(1.0, 1e-12), "<", Outcome.INCONCLUSIVE),
        (numbers(1.0, 1e-12), numbers(1.0, 1e-12), "<=", Outcome.EXACT),
        (numbers(1.0, 1e-12), numbers(0.5, 0.0), "<=", Outcome.REFUTED),
        (numbers(1.0, 1e-12), numbers(0.5, 0.0), ">", Outcome.EXACT),
        (numbers(1.0, 1e-12), numbers(2.0, 0.0), ">", Outcome.REFUTED),
    ],
)
def test_exact_compares_within_error_bounds(
    observed: Estimate, claimed: Estimate, relation: str, outcome: Outcome
) -> None:
    check = Exact("test", lambda _: [0], lambda _: observed, lambda _: claimed, {}, relation=relation)  # type: ignore[arg-type]
    assert check.run(SETTING, DELTA).evidence.outcome is outcome


def test_exact_one_bad_case_or_entry_is_enough() -> None:
    good = np.ones(5)
    bad = np.array([1, 1, 1, 1.001, 1])
    check = Exact("test", lambda _: [0, 1, 2], lambda c: bad if c == 1 else good, lambda _: good, {})
    evidence = check.run(SETTING, DELTA).evidence
    assert evidence.outcome is Outcome.REFUTED
    assert evidence.case == "1"
    assert (evidence.observed, evidence.expected, evidence.entry, evidence.entries) == (1.001, 1.0, 3, 5)


def test_a_near_miss_that_says_the_same_here_is_not_shown() -> None:
    check = Exact("test", lambda _: [1.0], lambda c: c, lambda c: c, {"same": lambda c: c * 1.0, "off": lambda c: 1.1})
    assert set(check.run(SETTING, DELTA).near_misses) == {"off"}


def test_nan_is_never_a_pass() -> None:
    for relation in ("=", "<=", "<", ">"):
        check = Exact("t", lambda _: [0], lambda _: float("nan"), lambda _: 1.0, {}, relation=relation)  # type: ignore[arg-type]
        assert check.run(SETTING, DELTA).evidence.outcome is not Outcome.EXACT
        check = Exact("t", lambda _: [0], lambda _: 1.0, lambda _: float("nan"), {}, relation=relation)  # type: ignore[arg-type]
        assert check.run(SETTING, DELTA).evidence.outcome is not Outcome.EXACT


# --- Sampled: false alarms at most 1e-8 a comparison ------------------------------------------------------------------


def test_sampled_supports_the_truth_and_refutes_what_is_off_by_its_resolution() -> None:
    resolution = 0.05
    check = Simulated(
        lambda _: [case()],
        mean,
        lambda _: resolution,
        {
            "off by the resolution": lambda c: float(mean(c)) + resolution,
            "below": lambda c: float(mean(c)) - resolution,
        },
    )
    result = check.run(SETTING, DELTA)
    assert result.evidence.outcome is Outcome.SUPPORTED
    assert result.evidence.tolerance is not None
    assert 2 * result.evidence.tolerance <= resolution
    assert {e.outcome for e in result.near_misses.values()} == {Outcome.REFUTED}


def test_sampled_says_what_is_out_of_reach() -> None:
    check = Simulated(lambda _: [case()], mean, lambda _: 1e-9, {})
    evidence = check.run(SETTING, DELTA).evidence
    assert evidence.n_cases == 0
    assert "out of reach" in evidence.note


class Simulation:
    """Simulations as checks ask for them: their seeds and what came of them; `ever_wider` ones never settle."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seeds: list[tuple[int, ...]] = []
        self.found: list[Estimate] = []
        self.ever_wider = False
        self.honest = simulated.simulate_together
        monkeypatch.setattr(simulated, "simulate_together", self)

    def __call__(self, stream: Scheme, cases: Any, problem: Problem, quantity: Any, **options: Any) -> list[Estimate]:
        self.seeds.append(tuple(options["rng"].generate_state(8).tolist()))
        if self.ever_wider:
            n = options["runs"]
            found = [Estimate(1.0, 1.0, quantity, "simulate", n, 0.01 * n, 0.0, 2.0) for _ in cases]
        else:
            found = self.honest(stream, cases, problem, quantity, **options)
        self.found += found
        return found


@pytest.fixture
def simulation(monkeypatch: pytest.MonkeyPatch) -> Simulation:
    return Simulation(monkeypatch)


def test_sampled_supports_nothing_by_bounds_wider_than_it_said(simulation: Simulation) -> None:
    """Each attempt finds more variance than the one before had shown: too wide after the last, and so inconclusive."""
    simulation.ever_wider = True
    misses = {"near": lambda _: 1.1, "far": lambda _: 1e9}
    for cases in ([case()], [case(), case(4)]):
        result = Simulated(lambda _, cases=cases: cases, lambda _: 1.0, lambda _: 0.1, misses, budget=10**30).run(
            SETTING, DELTA
        )
        assert result.evidence.outcome is Outcome.INCONCLUSIVE
        assert result.evidence.n_cases == len(cases)
        assert f"known too coarsely after {ATTEMPTS} attempts" in result.evidence.note
        assert result.near_misses["near"].outcome is Outcome.INCONCLUSIVE
        assert result.near_misses["far"].outcome is Outcome.REFUTED
    # A pilot and every attempt, for each of three streams, with draws of its own.
    assert len(simulation.seeds) == len(set(simulation.seeds)) + 4 == 3 * (1 + ATTEMPTS)


@pytest.mark.parametrize(("widths", "outcome"), [(1.5, Outcome.INCONCLUSIVE), (2.001, Outcome.SUPPORTED)])
def test_twice_the_width_has_to_fit_the_resolution(
    widths: float, outcome: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A truth that is off by the resolution may be seen one width off, and must still lie a width beyond the claim."""

    def fixed(stream: Scheme, cases: Any, problem: Problem, quantity: Any, **options: Any) -> list[Estimate]:
        return [Estimate(1.0, 0.01, quantity, "simulate", 10_000, 1.0, 0.0, 2.0) for _ in cases]

    monkeypatch.setattr(simulated, "simulate_together", fixed)
    resolution = widths * half_width(1.0, 2.0, 10_000, DELTA / ATTEMPTS)
    check = Simulated(lambda _: [case()], lambda _: 1.0, lambda _: resolution, {}, budget=10**30)
    assert check.run(SETTING, DELTA).evidence.outcome is outcome


def test_one_entry_of_a_gradient_that_is_known_too_coarsely_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    def coarse(stream: Scheme, cases: Any, problem: Problem, quantity: Any, **options: Any) -> list[Estimate]:
        n, zero = options["runs"], np.zeros(2)
        return [Estimate(zero, zero, quantity, "simulate", n, np.array([0.0, 0.01 * n]), zero, zero + 1)]

    monkeypatch.setattr(simulated, "simulate_together", coarse)
    check = Simulated(lambda _: [case()], lambda _: np.zeros(2), lambda _: 0.1, {}, quantity="gradient", budget=10**30)
    assert check.run(SETTING, DELTA).evidence.outcome is Outcome.INCONCLUSIVE


def test_a_case_that_says_nothing_hides_none_that_is_refuted() -> None:
    """Whichever comes first, and however far off what says nothing seems to be."""
    far, nothing = case(), case(4)
    for cases in ([far, nothing], [nothing, far]):
        for boundless in (math.inf, math.nan):
            check = Simulated(lambda _, cases=cases: cases, lambda c: 9.0 if c is far else boundless, lambda _: 0.1, {})  # noqa: B023
            assert check.run(SETTING, DELTA).evidence.outcome is Outcome.REFUTED


def test_one_case_that_stays_too_wide_leaves_the_others_open_too(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = simulation.honest

    def some(stream: Scheme, *args: Any, **options: Any) -> list[Estimate]:
        simulation.ever_wider = stream.m == 4
        return simulation(stream, *args, **options)

    simulation.honest = honest
    monkeypatch.setattr(simulated, "simulate_together", some)
    evidence = (
        Simulated(lambda _: [case(), case(4)], mean, lambda _: 0.1, {}, budget=10**30).run(SETTING, DELTA).evidence
    )
    assert (evidence.outcome, evidence.n_cases) == (Outcome.INCONCLUSIVE, 2)
    assert "m=4" in evidence.case


def test_attempts_share_the_error_of_a_comparison(simulation: Simulation) -> None:
    """The bound that is judged by has a third of δ, whichever attempt it is from."""
    evidence = Simulated(lambda _: [case()], mean, lambda _: 0.05, {}).run(SETTING, DELTA).evidence
    last = simulation.found[-1]
    wide, narrow = (
        half_width(last.variance, last.high - last.low, last.n, share)  # type: ignore[arg-type, operator]
        for share in (DELTA / ATTEMPTS, DELTA)
    )
    assert ATTEMPTS == 3
    assert evidence.tolerance == pytest.approx(wide, rel=1e-12)
    assert narrow < wide * (1 - 1e-3)


def test_every_simulation_of_a_run_has_draws_of_its_own(simulation: Simulation) -> None:
    """Claims, their checks, the streams of a check, its pilot and what follows, runs by need, and other seeds."""

    def sampled() -> Simulated:
        coarse, fine = case(loss=Decoupled(logistic)), case()
        return Simulated(lambda _: [coarse, fine, case(4)], mean, lambda c: 0.5 if c is coarse else 0.02, {})

    claims = [Claim(id, "s", "src", (sampled(), sampled())) for id in ("a", "b")]
    for seed in (0, 1):
        settle(claims, Setting(PRIOR, "test", seed))
    # Both problems are one's own, and so there are three streams a check, each with a pilot and one run.
    assert len(simulation.seeds) == len(set(simulation.seeds)) == 2 * 2 * 2 * 3 * 2
    settle(claims, Setting(PRIOR, "test", 1))
    assert len(set(simulation.seeds)) == 2 * 2 * 2 * 3 * 2


def test_runs_that_are_bundled_by_need_have_draws_of_their_own(simulation: Simulation) -> None:
    at = case()
    few, many = at, Case(at.scheme, SoftmaxCrossEntropy(), at.problem)
    check = Simulated(lambda _: [few, many], mean, lambda c: 0.5 if c is few else 0.01, {})
    check.run(SETTING, DELTA)
    assert len(simulation.seeds) == len(set(simulation.seeds)) == 3


def test_draws_and_averages_have_random_numbers_of_their_own() -> None:
    first: list[float] = []

    class Spy(Uniform):
        def procedure(self, problem: Problem) -> Draw:
            def draw(rng: np.random.Generator, size: int) -> Any:
                first.append(rng.random())
                return rng.integers(problem.prior.n_labels, size=size)

            return draw

    def terms(rng: np.random.Generator, n: int) -> Any:
        first.append(rng.random())
        return (rng.random(n) < 0.5).astype(float)

    at = Problem(np.zeros(10), PRIOR, 0)
    law = Frequencies(lambda _: [(Spy(), at)] * 2, lambda sampler, problem: np.full(10, 0.1), {})
    coins = Averages(lambda _: [(Average("coin", terms), 0.5)] * 2, {})
    verdicts = settle([Claim(id, "s", "src", (law, coins, law, coins)) for id in ("a", "b")], SETTING)
    assert {verdict.outcome for verdict in verdicts} == {Outcome.SUPPORTED}
    assert len(first) == len(set(first)) == 16


def test_sampled_refutes_a_procedure_that_draws_by_another_law(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutant draws ∝ √π and states π: everything that only looks at the stated law would pass it."""
    monkeypatch.setattr(
        WithinBatch, "procedure", lambda self, problem: by_shares(problem.prior.probabilities**0.5), raising=True
    )
    check = Simulated(lambda _: [case()], mean, lambda c: 0.05 * float(mean(c)), {})
    assert check.run(SETTING, DELTA).evidence.outcome is Outcome.REFUTED


@pytest.mark.parametrize("quantity", ["variance", "gradient", "mse", "gap"])
def test_sampled_settles_every_quantity(quantity: str) -> None:
    at = case(m=1 if quantity == "gap" else 8, loss=SoftmaxCrossEntropy())
    exact = integrate(at.scheme, at.loss, at.problem, quantity)  # type: ignore[arg-type]
    size = float(np.max(np.abs(exact.value)))
    check = Simulated(
        lambda _: [at],
        lambda _: exact,
        lambda _: 0.2 * size,
        {"off": lambda _: np.asarray(exact.value) + 0.21 * size},
        quantity=quantity,  # type: ignore[arg-type]
        reference=lambda c: float(mean(c)),
    )
    result = check.run(SETTING, DELTA)
    assert result.evidence.outcome is Outcome.SUPPORTED
    assert result.near_misses["off"].outcome is Outcome.REFUTED


# --- Averages and Frequencies -----------------------------------------------------------------------------------------


def test_gradients_are_as_many_comparisons_as_labels() -> None:
    def sampled(quantity: Any) -> Simulated:
        return Simulated(lambda _: [case(), case(4)], mean, lambda _: 0.1, {}, quantity=quantity)

    assert sampled("mean").comparisons(SETTING) == 2
    assert sampled("gradient").comparisons(SETTING) == 2 * 10


def test_averages() -> None:
    coin = Average("coin", lambda rng, n: (rng.random(n) < 0.3).astype(float))
    check = Averages(lambda _: [(coin, 0.3)], {"fair": lambda _: [0.5], "near": lambda _: [0.32]})
    result = check.run(SETTING, DELTA)
    assert result.evidence.outcome is Outcome.SUPPORTED
    assert {e.outcome for e in result.near_misses.values()} == {Outcome.REFUTED}


def test_averages_are_inconclusive_where_the_variance_was_underestimated() -> None:
    coin = Average("coin", lambda rng, n: (rng.random(n) < 0.5).astype(float))
    check = Averages(lambda _: [(coin, 0.5)], {}, largest_variance=1e-4)
    assert check.run(SETTING, DELTA).evidence.outcome is Outcome.INCONCLUSIVE


def test_frequencies() -> None:
    at = Problem(np.zeros(10), PRIOR, 0)
    check = Frequencies(
        lambda _: [(Uniform(), at)],
        lambda sampler, problem: np.exp(sampler.log_law(problem)),
        {"the law is π": lambda sampler, problem: problem.prior.probabilities},
    )
    result = check.run(SETTING, DELTA)
    assert result.evidence.outcome is Outcome.SUPPORTED
    assert result.near_misses["the law is π"].outcome is Outcome.REFUTED


LABELS, NEVER = 4096, 2


def claimed_law() -> np.ndarray:
    """Uniform, but for a label that is never drawn; labels are in the order of the prior."""
    q = np.ones(LABELS)
    q[NEVER] = 0
    return q / q.sum()


def lifted(*changes: tuple[int | slice, float]) -> np.ndarray:
    """The claimed law, some labels drawn more or less often, in units of 1/L; what that adds up to is 0."""
    q = claimed_law()
    for labels, change in changes:
        q[labels] += change / LABELS
    assert q.sum() == pytest.approx(1, abs=1e-12)
    return q


# A sampler for each part of `Frequencies`, which no other part refutes.  Groups of the 2^k rarest and most frequent
# labels end at 2^k and L - 2^k: between 2048 and 3072 only the cumulative law sees that labels are moved about, and of
# neighbours that share unevenly it sees nothing.
ONLY = {
    "cumulative": lifted((slice(2048, 2560), 0.068), (slice(2560, 3072), -0.068)),
    "total": lifted((slice(4, LABELS - 4, 2), 0.1), (slice(5, LABELS - 4, 2), -0.1)),
    "rarest": lifted((LABELS - 1, -claimed_law()[0] * LABELS), (600, claimed_law()[0] * LABELS)),
    "most frequent": lifted((0, 1.8), (600, -0.9), (601, -0.9)),
}


def drawing(law: np.ndarray, also: int | None = None) -> Frequencies:
    """Draws by `law`, and one of the label `also`; uniform is claimed."""

    class Wrong(Uniform):
        def procedure(self, problem: Problem) -> Draw:
            honest = by_shares(law)

            def draw(rng: np.random.Generator, size: int) -> Any:
                labels = honest(rng, size)
                labels[0] = labels[0] if also is None else also
                return labels

            return draw

    at = Problem(np.zeros(law.size), LabelPrior.exp(law.size, 10_000, 2), 0)
    assert at.prior.by_frequency.tolist() == list(range(law.size))
    return Frequencies(lambda _: [(Wrong(), at)], lambda sampler, problem: claimed_law(), {})


@pytest.mark.parametrize("part", ["cumulative", "total", "rarest", "most frequent", "impossible"])
def test_each_part_of_frequencies_refutes_what_no_other_sees(
    part: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Drawn as claimed no part is off: false alarms at most 1e-8.  Wrong ones are refuted by one part alone.

    For each the part itself is missed, or another one raises the alarm, with probability below 1e-4: the wrong laws lie
    at least 4 standard deviations on both sides.
    """
    setting = Setting(PRIOR, "test", seed)
    assert drawing(claimed_law()).run(setting, DELTA).evidence.outcome is Outcome.SUPPORTED
    wrong = drawing(claimed_law(), also=NEVER) if part == "impossible" else drawing(ONLY[part])
    result = wrong.run(setting, DELTA)
    assert result.evidence.outcome is Outcome.REFUTED

    def without(*args: Any) -> dict[str, Deviation]:
        return {name: found for name, found in deviations(*args).items() if name != part}

    monkeypatch.setattr(drawn, "deviations", without)
    assert wrong.run(setting, DELTA).evidence.outcome is Outcome.SUPPORTED


def test_draws_that_are_too_regular_are_refuted_too() -> None:
    """Every label exactly as often as its law says, as shuffled decks are dealt: no such luck in independent draws."""

    class Dealt(Uniform):
        def procedure(self, problem: Problem) -> Draw:
            return lambda rng, size: rng.permutation(np.arange(size) % problem.prior.n_labels)

    at = Problem(np.zeros(LABELS), LabelPrior.exp(LABELS, 10_000, 2), 0)
    dealt = Frequencies(lambda _: [(Dealt(), at)], lambda sampler, problem: np.full(LABELS, 1 / LABELS), {})
    evidence = dealt.run(SETTING, DELTA).evidence
    assert evidence.outcome is Outcome.REFUTED
    assert evidence.quantity == "total deviation"


def test_the_parts_of_frequencies_share_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A third for the cumulative law, a third for the total, and a third for the groups at both ends together."""
    groups: list[float] = []

    def spy(count: int, n: int, q: float, delta: float) -> bool:
        groups.append(delta)
        return False

    monkeypatch.setattr(drawn, "count_is_unlikely", spy)
    asked: list[float] = []

    def parts(counts: Any, q: Any, n: int, delta: float) -> dict[str, Deviation]:
        asked.append(delta)
        found = deviations(counts, q, n, delta)
        assert found["cumulative"].tolerance == cdf_half_width(n, delta)
        assert found["total"].tolerance == deviation_half_width(n, delta)
        return found

    monkeypatch.setattr(drawn, "deviations", parts)
    drawing(claimed_law()).run(SETTING, DELTA)
    assert asked == [pytest.approx(DELTA / 3, rel=1e-12)]
    assert sum(groups) == pytest.approx(DELTA / 3, rel=1e-12)
    assert len(groups) == 2 * 12


def test_frequencies_say_what_they_would_have_seen_in_total_variation(seed: int) -> None:
    """A law that is off by as much is refuted, wherever it is off: missed with probability at most 1e-8.

    ½ E Σ |n_j/n - q_j| is added to McDiarmid's width, by hand, at δ/3.
    """
    setting = Setting(PRIOR, "test", seed)
    evidence = drawing(claimed_law()).run(setting, DELTA).evidence
    n = evidence.draws
    assert n is not None
    by_hand = deviation_mean(n, claimed_law()) / 2 + math.sqrt(2 * math.log(6 / DELTA) / n)
    assert deviation_half_width(n, DELTA / 3) == pytest.approx(math.sqrt(2 * math.log(6 / DELTA) / n), rel=1e-12)
    assert evidence.note == f"resolution in total variation {by_hand:.2g}"
    law = lifted((slice(4, None, 2), 2 * by_hand), (slice(5, None, 2), -2 * by_hand))
    assert np.abs(law - claimed_law()).sum() / 2 == pytest.approx(by_hand, rel=2e-3)
    assert drawing(law).run(setting, DELTA).evidence.outcome is Outcome.REFUTED


# --- settle -----------------------------------------------------------------------------------------------------------


def test_the_family_shares_its_error_and_a_missed_near_miss_fails_the_claim() -> None:
    seen: list[float] = []

    class Spy(Simulated):
        def run(self, setting, delta):  # type: ignore[no-untyped-def]
            seen.append(delta)
            return super().run(setting, delta)

    def sampled(misses):  # type: ignore[no-untyped-def]
        return Spy(lambda _: [case(), case(4)], mean, lambda _: 0.1, misses)

    weak = Exact("t", lambda _: [1.0], lambda c: c, lambda c: c, {"false, but unseen": ("<=", lambda c: 2.0)})
    claims = [
        Claim("a", "s", "src", (sampled({"off": lambda c: float(mean(c)) + 0.2}),)),
        Claim("b", "s", "src", (sampled({}), weak)),
    ]
    strong, powerless = settle(claims, SETTING)
    assert seen == [FAMILY_ERROR / 4] * 2
    assert strong.ok
    assert powerless.outcome.holds
    assert not powerless.ok


def test_near_misses_have_to_fall_to_every_witness() -> None:
    sees = Exact("sees", lambda _: [1.0], lambda c: c, lambda c: c, {"miss": lambda c: 2.0})
    blind = Exact("blind", lambda _: [1.0], lambda c: c, lambda c: c, {"miss": ("<=", lambda c: 2.0)})
    (verdict,) = settle([Claim("a", "s", "src", (sees, blind))], SETTING)
    assert verdict.near_misses[0].outcome is not Outcome.REFUTED


def test_for_a_scheme_of_ones_own_one_witness_that_refutes_a_near_miss_is_enough() -> None:
    """The first one leaves it in doubt, as a tiny case does whose gap is lost in its rounding."""
    doubts = Exact("doubts", lambda _: [1.0], lambda c: c, lambda c: c, {"miss": (">", lambda c: c)})
    sees = Exact("sees", lambda _: [1.0], lambda c: c, lambda c: c, {"miss": lambda c: 2.0})
    for strict, outcome in ((True, Outcome.INCONCLUSIVE), (False, Outcome.REFUTED)):
        (verdict,) = settle([Claim("a", "s", "src", (doubts, sees))], dataclasses.replace(SETTING, strict=strict))
        assert verdict.near_misses[0].outcome is outcome


# --- bounds -----------------------------------------------------------------------------------------------------------


def test_normal_error_bars_lie_where_empirical_bernstein_does_not() -> None:
    """Importance weights at m = 1 on 1,000 labels: the z-test meant to fail once in 1e6 fails far more often.

    The empirical-Bernstein bound may fail with probability 1e-6 in each of 200 repetitions: 2e-4 in all.
    """
    prior = LabelPrior.zipf(1000, 2.2)
    scheme = Scheme(WithinBatch(), Importance(), m=1, hits="exclude")
    problem = Problem(np.zeros(1000), prior, 500)
    loss = Decoupled(logistic)
    truth = float(integrate(scheme, loss, problem))
    from implicitloss.witness.simulate import simulate

    z_fails = bound_fails = 0
    for seed in range(200):
        e = simulate(scheme, loss, problem, runs=2000, rng=seed)
        z_fails += abs(float(e) - truth) > 4.9 * e.error
        bound_fails += abs(float(e) - truth) > half_width(e.variance, e.high - e.low, e.n, 1e-6)  # type: ignore[arg-type, operator]
    assert bound_fails == 0
    assert z_fails >= 10


def test_cdf_bound_shrinks() -> None:
    assert cdf_half_width(40_000, 1e-6) == pytest.approx(cdf_half_width(10_000, 1e-6) / 2)


def test_sampled_nan_is_never_a_pass() -> None:
    check = Simulated(lambda _: [case()], lambda _: float("nan"), lambda _: 0.5, {})
    assert check.run(SETTING, DELTA).evidence.outcome is Outcome.INCONCLUSIVE
