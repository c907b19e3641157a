"""A scheme of one's own: what holds, and what is wrong with it, is found and said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import sympy as sp

import implicitloss as il
from implicitloss import symbols as s
from implicitloss.samplers.sampler import Draw, by_tickets
from implicitloss.statements.scheme import about_scheme
from implicitloss.verdict import Outcome

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
        return by_tickets(problem.prior.probabilities**self.procedure_power)

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
    assert failures(of(weighting=Halves("1/(2*m + 1)"), hits=hits))["symbols"] is Outcome.REFUTED


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
    for word in ("REFUTED      target", "observed   pi[y']", "expected   1", "12 claims failed"):
        assert word in shown


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
            return by_tickets(np.array(self.q))

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


def test_threads_change_nothing() -> None:
    one, two = (il.verify(of(), PROBLEM, seed=3, threads=threads) for threads in (1, 2))
    for a, b in zip(one.verdicts, two.verdicts, strict=True):
        assert [e.observed for e in a.evidence] == [e.observed for e in b.evidence]


# --- what is not a scheme ---------------------------------------------------------------------------------------------


def test_bad_parts_get_one_sentence() -> None:
    class Bare:
        def log_law(self, problem: il.Problem) -> Any:
            return problem.prior.log

    with pytest.raises(ValueError, match="lacks needs_scores, procedure"):
        of(Bare())
    with pytest.raises(ValueError, match="lacks is_eta_over_m, log_weight"):
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


@pytest.mark.parametrize("seed", [-1, 1.5, True, "0"])
def test_bad_seed(seed: Any) -> None:
    with pytest.raises(ValueError, match="the seed must be a whole number >= 0"):
        il.verify(of(), PROBLEM, seed=seed)


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
