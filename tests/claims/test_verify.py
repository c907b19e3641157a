"""A scheme of one's own: what holds, and what is wrong with it, is found and said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import sympy as sp

import implicitloss as il
from implicitloss import symbols as s
from implicitloss.claims.case import Case, Setting
from implicitloss.claims.claim import settle
from implicitloss.claims.statements import conventions, lemma1
from implicitloss.claims.statements.scheme import about_scheme
from implicitloss.claims.verdict import Outcome
from implicitloss.samplers.sampler import Draw, by_shares

PRIOR = il.LabelPrior.from_counts([400, 200, 90, 40, 20, 11, 6, 3])
PROBLEM = il.Problem(np.array([0.3, -0.5, 0.8, 0.1, -0.9, 0.4, 0.0, 0.6]), PRIOR, 3)


@dataclass(frozen=True)
class Squares:
    """q ∝ π², in numbers, as a procedure and in symbols; each can be got wrong."""

    law_power: int = 2
    procedure_power: float = 2.0
    needs_scores = False

    def log_law(self, problem: il.Problem) -> Any:
        q = problem.prior.probabilities**2
        return np.log(q / q.sum())

    def procedure(self, problem: il.Problem) -> Draw:
        return by_shares(problem.prior.probabilities**self.procedure_power)

    def law(self, yp: sp.Expr) -> sp.Expr:
        return s.pi[yp] ** self.law_power / s.over_labels(s.pi[s.k] ** self.law_power)


@dataclass(frozen=True)
class Halves:
    """w = 1/(2m), or in symbols something else."""

    symbolic: str = "1/(2*m)"
    is_eta_over_m = True

    def log_weight(self, draws: Any) -> Any:
        return np.full(draws.prior.n_labels, -np.log(2 * draws.m))

    def weight(self, q: Any, q_unconditional: Any, yp: sp.Expr) -> sp.Expr:
        return sp.sympify(self.symbolic, locals={"m": s.m})


def failures(scheme: il.Scheme, problem: il.Problem = PROBLEM, **options: Any) -> dict[str, Outcome]:
    report = il.verify(scheme, problem, **options)
    assert report.ok == (not report.failures) == (report.exit_code == 0)
    return {verdict.id: verdict.outcome for verdict in report.failures}


def of(sampler: Any = None, weighting: Any = None, hits: Any = "mask") -> il.Scheme:
    return il.Scheme(sampler or il.samplers.WithinBatch(), weighting or il.weightings.Constant(), m=4, hits=hits)


@pytest.mark.parametrize("hits", ["exclude", "mask", "keep"])
def test_parts_of_ones_own_hold(hits: str) -> None:
    assert failures(of(Squares(), Halves(), hits)) == {}


@pytest.mark.parametrize("hits", ["exclude", "mask", "keep"])
def test_symbols_that_belie_the_numbers_are_refuted(hits: str) -> None:
    assert failures(of(Squares(law_power=1), hits=hits))["symbols"] is Outcome.REFUTED
    assert failures(of(weighting=Halves("3/(4*m)"), hits=hits))["symbols"] is Outcome.REFUTED


def test_a_procedure_that_belies_the_law_is_refuted() -> None:
    """The power: frequencies 0.05 apart, 5 times the resolution; false refutations at most 1e-6 a run."""
    assert failures(of(Squares(procedure_power=1.8)))["sampler"] is Outcome.REFUTED


def test_symbols_without_a_value_are_inconclusive_and_say_why() -> None:
    report = il.verify(of(weighting=Halves("temperature/m")), PROBLEM)
    (verdict,) = [verdict for verdict in report.failures if verdict.id == "symbols"]
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "temperature" in verdict.evidence[0].note


@pytest.mark.parametrize(
    ("scheme", "right", "wrong"),
    [
        (of(), il.margins.Equalised(), il.margins.Softmax()),
        (of(weighting=il.weightings.Importance()), il.margins.Softmax(), il.margins.Equalised()),
        (of(il.samplers.Uniform(), il.weightings.Tail()), il.margins.LogitAdjusted(), il.margins.LogitAdjusted(0.5)),
        (of(weighting=il.weightings.Tail(), hits="exclude"), il.margins.LogitAdjusted(), il.margins.Adaptive()),
    ],
)
def test_a_target_holds_or_is_refuted(scheme: il.Scheme, right: Any, wrong: Any) -> None:
    assert failures(scheme, target=right) == {}
    assert failures(scheme, target=wrong) == {"target": Outcome.REFUTED}


def test_kept_hits_divide_the_margins_and_so_miss_the_target() -> None:
    kept = of(weighting=il.weightings.Importance(), hits="keep")
    assert failures(kept, target=il.margins.Softmax()) == {"target": Outcome.REFUTED}


def test_the_failure_is_shown_in_full() -> None:
    report = il.verify(of(), PROBLEM, target=il.margins.Softmax())
    shown = str(report)
    for word in (
        "REFUTED      target",
        "the scheme's margins in symbols are p_yy' = π_y'",
        "expected   1",
        "1 of 12 claims",
    ):
        assert word in shown
    assert (
        repr(report) == "Report(WithinBatch(), Constant(), m=4, hits=mask, positive 3: 1 of 12 claims failed: target)"
    )


def test_labels_that_are_never_seen_or_drawn() -> None:
    """Proposition 4 is left out for targets out of reach; all else is settled."""
    unseen = il.Problem(PROBLEM.scores, il.LabelPrior.from_counts([400, 200, 90, 40, 20, 0, 6, 3]), 3)
    assert failures(of(), unseen) == {}
    q = np.array([0.4, 0.3, 0.2, 0.1, 0, 0, 0, 0])
    explicit = of(il.samplers.Explicit(q))
    assert failures(explicit) == {}
    ids = [claim.id for claim in about_scheme(explicit, PROBLEM)]
    assert "proposition4" not in ids
    assert "lemma2.gap" in ids


def test_a_sampler_made_for_these_labels_only() -> None:
    @dataclass(frozen=True)
    class Table:
        q: tuple[float, ...]
        needs_scores = False

        def log_law(self, problem: il.Problem) -> Any:
            if problem.prior.n_labels != len(self.q):
                raise ValueError("another number of labels")
            return np.log(self.q)

        def procedure(self, problem: il.Problem) -> Draw:
            return by_shares(np.array(self.q))

        def law(self, yp: sp.Expr) -> sp.Expr:
            return s.q[yp]

    q = np.arange(1.0, 9.0) / 36
    assert failures(of(Table(tuple(q)))) == {}
    assert set(failures(of(Table(tuple(q)), Halves("1/m")))) >= {"symbols"}


def test_many_negatives_are_left_to_the_exact_witnesses() -> None:
    report = il.verify(il.Scheme(il.samplers.WithinBatch(), il.weightings.Constant(), m=10**7, hits="mask"), PROBLEM)
    assert report.ok
    notes = [evidence.note for verdict in report.verdicts for evidence in verdict.evidence]
    assert any("out of reach" in note for note in notes)


BALANCED = il.weightings.ForMargin(il.margins.BalancedSoftmax())
ZIPF = il.Problem(PROBLEM.scores, il.LabelPrior.zipf(8, 1.0), 3)


@pytest.mark.parametrize(
    ("scheme", "problem", "target"),
    [
        (of(il.samplers.Uniform(), il.weightings.Tail()), PROBLEM, il.margins.BalancedSoftmax()),
        (of(il.samplers.Uniform(), BALANCED), PROBLEM, il.margins.LogitAdjusted()),
        (of(il.samplers.Power(1.0)), PROBLEM, il.margins.Equalised()),
        (of(il.samplers.Explicit(PRIOR.probabilities)), PROBLEM, il.margins.Equalised()),
        (of(il.samplers.Uniform(), BALANCED), ZIPF, il.margins.BalancedSoftmax()),
    ],
)  # fmt: skip
def test_a_target_in_other_symbols_holds(scheme: il.Scheme, problem: il.Problem, target: Any) -> None:
    """Counts are N π, priors sum to 1, and what agrees at this prior holds here."""
    assert failures(scheme, problem, target=target) == {}


def test_symbols_meet_the_law_itself_and_the_problem_itself() -> None:
    """Importance weights cancel a wrong law; four labels do not show what is wrong with the fifth."""

    @dataclass(frozen=True)
    class Smoothed(Squares):
        def log_law(self, problem: il.Problem) -> Any:
            level = problem.prior.probabilities**2 + 0.01
            return np.log(level / level.sum())

        def procedure(self, problem: il.Problem) -> Draw:
            return by_shares(problem.prior.probabilities**2 + 0.01)

    assert failures(of(Smoothed(), il.weightings.Importance())) == {"symbols": Outcome.REFUTED}

    @dataclass(frozen=True)
    class FromTheFifth(Halves):
        def log_weight(self, draws: Any) -> Any:
            return super().log_weight(draws) + (np.arange(draws.prior.n_labels) > 4)

    assert failures(of(weighting=FromTheFifth()))["symbols"] is Outcome.REFUTED


@pytest.mark.parametrize("n_labels", [300, 10_000])
def test_procedures_that_leave_labels_out_are_refuted(n_labels: int) -> None:
    """Half of the labels never drawn, anywhere; or the rarest tenth: with at most 1e-6 for a right one."""
    prior = il.LabelPrior.exp(n_labels, 500, 100)
    problem = il.Problem(np.zeros(n_labels), prior, n_labels // 2)

    @dataclass(frozen=True)
    class Uniform(il.samplers.Uniform):
        def procedure(self, problem: il.Problem) -> Draw:
            return lambda rng, size: 2 * rng.integers(n_labels // 2, size=size)

    @dataclass(frozen=True)
    class NoTail(il.samplers.WithinBatch):
        def procedure(self, problem: il.Problem) -> Draw:
            return by_shares(np.where(np.arange(n_labels) < 0.9 * n_labels, problem.prior.probabilities, 0))

    for sampler in (Uniform(), NoTail()):
        checks = conventions.drawn("sampler", sampler, problem).checks
        assert checks[0].run(Setting(prior, "", strict=False), 1e-7).evidence.outcome is Outcome.REFUTED
    for right in (il.samplers.Uniform(), il.samplers.WithinBatch()):
        checks = conventions.drawn("sampler", right, problem).checks
        assert checks[0].run(Setting(prior, "", strict=False), 1e-7).evidence.outcome is Outcome.SUPPORTED


def test_a_draw_that_the_law_rules_out_is_refuted() -> None:
    @dataclass(frozen=True)
    class Leaks(Squares):
        def log_law(self, problem: il.Problem) -> Any:
            q = problem.prior.probabilities * (np.arange(problem.prior.n_labels) != 7)
            with np.errstate(divide="ignore"):
                return np.log(q / q.sum())

        def procedure(self, problem: il.Problem) -> Draw:
            return by_shares(problem.prior.probabilities)

    assert failures(of(Leaks()))["sampler"] is Outcome.REFUTED


@pytest.mark.slow
def test_extreme_but_legal_problems_hold() -> None:
    """Steep priors, scores far apart, weights with a power of m of their own: nothing true is refuted or fails."""

    @dataclass(frozen=True)
    class Root:
        is_eta_over_m = False

        def log_weight(self, draws: Any) -> Any:
            return np.full(draws.prior.n_labels, -np.log(draws.m) / 2)

        def weight(self, q: Any, q_unconditional: Any, yp: sp.Expr) -> sp.Expr:
            return s.m ** sp.Rational(-1, 2)

    assert failures(of(weighting=Root())) == {}
    steep = il.LabelPrior.from_counts([10**12, 10**9, 10**6, 1000, 30, 5, 1, 1])
    for weighting in (il.weightings.Importance(), il.weightings.Constant(), il.weightings.Relative()):
        assert failures(of(weighting=weighting), il.Problem(PROBLEM.scores, steep, 3)) == {}
    for factor in (50, 300, 600):
        far = il.Problem(PROBLEM.scores * factor, PRIOR, 3)
        for sampler in (il.samplers.ModelBased(), il.samplers.Uniform(), il.samplers.MinimumVariance()):
            for weighting in (il.weightings.Importance(), il.weightings.Constant()):
                assert Outcome.REFUTED not in failures(of(sampler, weighting), far).values()


def test_a_part_that_knows_only_its_own_labels() -> None:
    @dataclass(frozen=True)
    class Special(Halves):
        def log_weight(self, draws: Any) -> Any:
            log_w = super().log_weight(draws)
            log_w[[6, 7]] += np.log(2)
            return log_w

        def weight(self, q: Any, q_unconditional: Any, yp: sp.Expr) -> sp.Expr:
            return sp.IndexedBase("boost", positive=True)[yp] / (2 * s.m)

        boost = (1, 1, 1, 1, 1, 1, 2, 2)

    assert failures(of(weighting=Special())) == {}


def test_threads_change_nothing() -> None:
    one, two = (il.verify(of(), PROBLEM, rng=3, threads=threads) for threads in (1, 2))
    for a, b in zip(one.verdicts, two.verdicts, strict=True):
        assert [e.observed for e in a.evidence] == [e.observed for e in b.evidence]


# --- what is not a scheme ---------------------------------------------------------------------------------------------


def test_bad_parts_get_one_sentence() -> None:
    class Bare:
        def log_law(self, problem: il.Problem) -> Any:
            return problem.prior.log

    with pytest.raises(ValueError, match="lacks needs_scores, procedure"):
        of(Bare())
    with pytest.raises(ValueError, match=r"a weighting must be one of implicitloss\.weightings"):
        of(weighting=object())

    @dataclass
    class Unhashable(Squares.__bases__[0]):
        needs_scores = False

        def log_law(self, problem: il.Problem) -> Any: ...
        def procedure(self, problem: il.Problem) -> Any: ...

    with pytest.raises(ValueError, match=r"must be hashable: give Unhashable @dataclass\(frozen=True\)"):
        of(Unhashable())


def test_parts_without_symbols_are_numbers_only() -> None:
    @dataclass(frozen=True)
    class Numeric:
        is_eta_over_m = True

        def log_weight(self, draws: Any) -> Any:
            return np.full(draws.prior.n_labels, -np.log(draws.m))

    scheme, loss = of(weighting=Numeric()), il.losses.SoftmaxCrossEntropy()
    assert il.integrate(scheme, loss, PROBLEM).value == il.integrate(of(), loss, PROBLEM).value
    for ask in (lambda: il.derive(scheme, loss), lambda: il.verify(scheme, PROBLEM)):
        with pytest.raises(ValueError, match="give Numeric a method weight"):
            ask()


@pytest.mark.parametrize("target", ["softmax", il.margins.Softmax, 3])
def test_bad_target(target: Any) -> None:
    with pytest.raises(ValueError, match=r"a margin must be one of|the margin must be an instance"):
        il.verify(of(), PROBLEM, target=target)


def test_bad_symbols_and_flags() -> None:
    @dataclass(frozen=True)
    class WithNumPy(Halves):
        def weight(self, q: Any, q_unconditional: Any, yp: sp.Expr) -> Any:
            return np.sqrt(q(yp))

    @dataclass(frozen=True)
    class Flag(Halves):
        is_eta_over_m = False

    with pytest.raises(ValueError, match="must work on SymPy's symbols"):
        il.verify(of(weighting=WithNumPy()), PROBLEM)
    with pytest.raises(ValueError, match="does not depend on m; set it to True"):
        il.verify(of(weighting=Flag()), PROBLEM)
    with pytest.raises(ValueError, match="F must take SymPy expressions"):
        il.verify(of(), PROBLEM, target=il.margins.Equalised(np.sqrt))
    with pytest.raises(ValueError, match="the scheme must be a Scheme, "):
        il.verify(PROBLEM, of())  # type: ignore[arg-type]


@pytest.mark.parametrize("loss", ["softmax", il.losses.SoftmaxCrossEntropy, il.losses.logistic])
def test_bad_losses(loss: Any) -> None:
    asks: list[Any] = [il.integrate, il.exhaust, il.implicit_loss, lambda *a: il.simulate(*a, runs=10, rng=0)]
    for ask in asks:
        with pytest.raises(ValueError, match=r"(a binary|a|the) loss"):
            ask(of(), loss, PROBLEM)
    with pytest.raises(ValueError, match=r"(a binary|a|the) loss"):
        il.derive(of(), loss)


@pytest.mark.parametrize("seed", [-1, 1.5, True, "0"])
def test_bad_seed(seed: Any) -> None:
    with pytest.raises(ValueError, match="the seed must be a whole number >= 0"):
        il.verify(of(), PROBLEM, rng=seed)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"procedure": lambda self, at: lambda rng, n: rng.random(n)}, "must draw .* whole numbers, got float64"),
        (
            {"procedure": lambda self, at: lambda rng, n: rng.integers(0, 9, n)},
            "must draw labels from 0 to 7, got 0 to 8",
        ),
        ({"procedure": lambda self, at: lambda rng, n: rng.integers(-1, 8, n)}, "must draw labels from 0 to 7, got -1"),
        ({"procedure": lambda self, at: lambda rng, n: rng.integers(0, 8, n + 1)}, "must draw .* whole numbers"),
        ({"log_law": lambda self, at: np.zeros(3)}, "logarithms for all 8 labels"),
        ({"log_law": lambda self, at: np.full(8, np.nan)}, "must be finite, or -inf for 0"),
        ({"log_law": lambda self, at: at.prior.log + 0.1}, r"must sum to 1, got 1\.105"),
    ],
)
def test_procedures_and_laws_are_checked_before_kernels_trust_them(change: dict[str, Any], sentence: str) -> None:
    sampler = type("Wrong", (Squares,), change)()
    with pytest.raises(ValueError, match=sentence):
        il.simulate(of(sampler), il.losses.SoftmaxCrossEntropy(), PROBLEM, runs=1000, rng=0)


@pytest.mark.parametrize("hits", ["exclude", "mask", "keep"])
def test_statements_about_a_sampler_that_leaves_out_what_pays_nothing(hits: Any) -> None:
    """Symbols, Lemma 1 and the draws where a hinge has two negatives below its kink: a run is wrong with 1e-6."""
    loss = il.losses.Decoupled(il.losses.hinge)
    prior = il.LabelPrior.from_counts([50, 20, 7, 3, 1])
    sampler = il.samplers.MinimumVariance(loss=loss)
    scheme = il.Scheme(sampler, il.weightings.Importance(), m=3, hits=hits)
    case = Case(scheme, loss, il.Problem(np.array([0.3, -0.4, -1.9, 0.2, -1.0]), prior, 1))
    claims = [
        conventions.conventions("symbols", "s.", "src", lambda _: [case]),
        conventions.drawn("sampler", sampler, case.problem),
        lemma1.lemma1_mean("mean", lambda _: [case], lambda _: [case]),
        lemma1.lemma1_variance_claim("variance", lambda _: [case], lambda _: [case]),
    ]
    verdicts = settle(claims, Setting(prior, "", strict=False))
    assert all(verdict.ok for verdict in verdicts)


def test_what_is_never_drawn_weighs_nothing() -> None:
    """A rule that divides by q has -(-inf) = inf where q = 0; a draw of it never happens."""

    @dataclass(frozen=True)
    class Inverse:
        is_eta_over_m = True

        def log_weight(self, draws: Any) -> Any:
            return -draws.log_q - np.log(draws.m)

    loss = il.losses.SoftmaxCrossEntropy()
    mine = il.integrate(of(weighting=Inverse(), hits="exclude"), loss, PROBLEM)
    built_in = il.integrate(of(weighting=il.weightings.Importance(), hits="exclude"), loss, PROBLEM)
    assert float(mine) == pytest.approx(float(built_in), rel=1e-13)


def test_a_law_that_sums_over_negatives_by_their_own_symbol_is_read() -> None:
    """`over_negatives` sums over y' unless told otherwise, and the y' outside is another one."""
    law = s.pi[s.yp] / s.over_negatives(s.pi[s.yp])
    case = Case(of(), il.losses.SoftmaxCrossEntropy(), PROBLEM)
    pi, y = PROBLEM.prior.probabilities, PROBLEM.positive
    other = (y + 1) % pi.size
    assert conventions.number(law, case, other) == pytest.approx(pi[other] / (1 - pi[y]), rel=1e-12)


NEARLY_NOTHING = il.Problem([0.0, -40.0, -40.0, -40.0], il.LabelPrior.from_counts([5, 3, 2, 1]), 0)


def test_a_variance_below_the_rounding_of_losses_is_not_refuted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loss of log 2 whose negatives add 1e-17: simulated losses are all the same, and their variance is 1e-35."""
    uniform = of(il.samplers.Uniform(), il.weightings.Importance())
    assert failures(uniform, NEARLY_NOTHING) == {}
    monkeypatch.setattr("implicitloss.claims.checks.simulated.ROUNDINGS", 0)
    assert failures(uniform, NEARLY_NOTHING)["lemma1.variance"] is Outcome.REFUTED


@pytest.mark.parametrize("far", [0.0, 2.0, 20.0])
def test_labels_alike_have_no_worse_sampler(far: float) -> None:
    """There p is q*, and that q ∝ p has the least variance as well is no near miss."""
    alike = il.Problem([0.0, -far, -far, -far], NEARLY_NOTHING.prior, 0)
    for sampler in (il.samplers.Uniform(), il.samplers.WithinBatch()):
        assert failures(of(sampler, il.weightings.Importance()), alike) == {}
