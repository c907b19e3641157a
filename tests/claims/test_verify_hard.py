"""`il.verify` of schemes with hard negatives: what is true holds, and each mistake is refuted by a claim about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import implicitloss as il
from implicitloss.claims.case import Case, Setting
from implicitloss.claims.claim import settle
from implicitloss.claims.statements import lemma2, numbers, theorem3
from implicitloss.claims.statements.hard import in_hard
from implicitloss.claims.statements.scheme import about_scheme
from implicitloss.claims.verdict import Outcome
from implicitloss.hard import OVERLAPS, POSITIVES, HardNegatives
from implicitloss.labels import NO_LABELS
from implicitloss.scheme import HITS, Scheme
from implicitloss.witness import derive
from implicitloss.witness.exhaust import every_draw
from implicitloss.witness.integrate import decoupled, gradient, integral
from implicitloss.witness.simulate import streams, table

PRIOR = il.LabelPrior.from_counts([400, 200, 90, 40, 20, 11, 6, 3])
SCORES = np.array([0.3, -0.5, 0.8, 0.1, -0.9, 0.4, 0.0, 0.6])
# The index saw older scores: its three best labels are 3, the positive, then 1 and 6.
STALE = np.array([0.1, 0.9, -0.8, 1.1, -0.9, 0.4, 0.7, -0.6])


def problem(**index: Any) -> il.Problem:
    """A new problem each time, so that no number is kept from before a mutant."""
    return il.Problem(SCORES, PRIOR, 3, **(index or {"index_scores": STALE}))


def scheme(
    overlap: Any = "mask", hits: Any = "exclude", weighting: Any = None, sampler: Any = None, m: int = 4, **hard: Any
) -> Scheme:
    mode = HardNegatives(**{"k": 3, "overlap": overlap, **hard})
    weighting, sampler = weighting or il.weightings.Importance(), sampler or il.samplers.WithinBatch()
    return Scheme(sampler, weighting, m=m, hits=hits, hard=mode)


def outcome(id: str, of: Scheme, at: il.Problem | None = None, **target: Any) -> Outcome:
    """How one of the claims that `il.verify` settles stands."""
    at = at or problem()
    claims = [claim for claim in about_scheme(of, at, **target) if claim.id == id]
    assert claims, id
    return settle(claims, Setting(at.prior, "as given", strict=False))[0].outcome


# --- what is true holds -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("hits", "overlap", "weight"), list(zip(HITS, OVERLAPS, (1.0, 1.0, 1.5), strict=True)))
def test_claims_hold_and_near_misses_fall(hits: Any, overlap: Any, weight: float) -> None:
    weighting = il.weightings.Unit() if weight != 1 else None
    report = il.verify(scheme(overlap, hits, weighting, weight=weight), problem())
    assert report.ok, str(report)
    ids = {verdict.id for verdict in report.verdicts}
    assert {"symbols", "derivation", "lemma1.mean", "lemma1.variance", "hard.shift", "lemma2.bound"} <= ids
    missed = {verdict.id: {miss.statement for miss in verdict.near_misses} for verdict in report.verdicts}
    for id in ("symbols", "lemma1.mean", "hard.shift"):
        assert "hard negatives count twice" in missed[id]


def test_proposition_4_is_for_what_hard_negatives_leave_possible() -> None:
    """p = 1, with weight 1 on T and draws of T that do not count again; Proposition 5 then is about the draws."""

    def propositions(**how: Any) -> set[str]:
        return {c.id for c in about_scheme(scheme(**how), problem()) if c.id.startswith("proposition")}

    assert propositions(overlap="mask") == propositions(overlap="exclude") == {"proposition4", "proposition5"}
    assert propositions(overlap="keep") == propositions(overlap="mask", weight=2.0) == set()


def test_a_target_of_a_scheme_with_hard_negatives() -> None:
    """p = 1 for each positive, y in the index's labels or not; not if draws of T count again."""
    for overlap, holds in (("mask", True), ("exclude", True), ("keep", False)):
        of = scheme(overlap, m=2)
        assert outcome("target", of, problem(labels=[3, 5, -1]), target=il.margins.Softmax()).holds == holds


@pytest.mark.parametrize(
    ("given", "at"),
    [
        ({"overlap": "exclude"}, {"labels": [3, -1]}),  # T is empty
        ({"overlap": "exclude", "k": 6, "positives": "replace"}, {}),  # one label is left to draw
        ({"k": 7, "positives": "replace"}, {}),  # every draw is masked
        ({"weight": 1e9}, {}),  # the gap is lost in the rounding of the bound
    ],
    ids=["empty", "one left", "all masked", "heavy"],
)
def test_extreme_but_legal_indices_hold(given: dict[str, Any], at: dict[str, Any]) -> None:
    at_problem = problem(**at)
    claims = [c for c in about_scheme(scheme(**given), at_problem) if c.id not in ("sampler", "derivation")]
    verdicts = settle(claims, Setting(PRIOR, "as given", strict=False))
    assert all(verdict.ok for verdict in verdicts), [verdict.id for verdict in verdicts if not verdict.ok]


def test_a_positive_far_above_all_negatives_is_no_counterexample() -> None:
    """Weights of 1: the expansion in 1/m sets in where the draws outweigh e^{f_y}, with T or without."""
    scores = SCORES + np.array([0, 0, 0, 9, 0, 0, 0, 0])
    for hard in (None, HardNegatives(2)):
        of = replace(scheme(weighting=il.weightings.Unit()), hard=hard)
        assert outcome("theorem3.outside", of, il.Problem(scores, PRIOR, 3)) is Outcome.EXACT


@pytest.mark.parametrize("positives", POSITIVES)
def test_T_by_definition_is_what_the_library_takes(positives: Any) -> None:
    mode = scheme(positives=positives)
    for at in (problem(), problem(labels=[6, 3, -1]), il.Problem(SCORES, PRIOR, 3), il.Problem(0 * SCORES, PRIOR, 1)):
        inside = in_hard(Case(mode, il.losses.SoftmaxCrossEntropy(), at))
        assert np.flatnonzero(inside).tolist() == sorted(HardNegatives.labels(mode.hard, at).tolist())  # type: ignore[arg-type]


# --- mutants: a library that is wrong is refuted ----------------------------------------------------------------------


Patch = pytest.MonkeyPatch


def _masked_draws_count(patch: Patch) -> None:
    """T counted twice under mask."""
    honest = Scheme.plan

    def plan(self: Scheme, *given: Any, **named: Any) -> Any:
        kept = self.hard is not None and replace(self, hard=replace(self.hard, overlap="keep"))
        return honest(kept or self, *given, **named)

    patch.setattr(Scheme, "plan", plan)


def _k_for_really(patch: Patch) -> None:
    """k labels where y was among them."""
    honest = HardNegatives.labels
    patch.setattr(HardNegatives, "labels", lambda self, at: honest(replace(self, positives="replace"), at))


def _positive_in_T(patch: Patch) -> None:
    patch.setattr(HardNegatives, "labels", lambda self, at: self.returned(at)[: self.k])


def _not_renormalised(patch: Patch) -> None:
    """Draws off T by the law off y alone."""
    honest = Scheme.laws

    def laws(self: Scheme, at: Any) -> Any:
        masked = replace(self, hard=self.hard and replace(self.hard, overlap="mask"))
        return honest(masked, at)

    patch.setattr(Scheme, "laws", laws)


def _log_forgotten(patch: Patch) -> None:
    """The mean without log(1 + A)."""
    honest = integral.plan_and_payment
    patch.setattr(integral, "plan_and_payment", lambda *a: replace(honest(*a), log_positive=0.0))


def _hit_not_divided(patch: Patch) -> None:
    honest = integral.plan_and_payment

    def undivided(*given: Any) -> Any:
        found = honest(*given)
        payment = np.array(found.payment)
        payment[3] += found.log_positive
        return replace(found, payment=payment)

    patch.setattr(integral, "plan_and_payment", undivided)


def _no_gradient_on_T(patch: Patch) -> None:
    honest = gradient.plan_and_payment

    def without(*given: Any) -> Any:
        found = honest(*given)
        return replace(found, plan=replace(found.plan, hard=NO_LABELS))

    patch.setattr(gradient, "plan_and_payment", without)


def _mean_without_T(patch: Patch) -> None:
    honest = decoupled.plan_and_payment

    def without(*given: Any) -> Any:
        found = honest(*given)
        return replace(found, plan=replace(found.plan, hard=NO_LABELS))

    patch.setattr(decoupled, "plan_and_payment", without)


def _twice_in_each_draw(patch: Patch) -> None:
    """The enumeration counts T twice."""
    honest = every_draw.listed

    def doubled(of: Scheme, *given: Any) -> Any:
        return honest(replace(of, hard=of.hard and replace(of.hard, weight=2 * of.hard.weight)), *given)

    patch.setattr(every_draw, "listed", doubled)


def _variance_of_T(patch: Patch) -> None:
    """Lemma 1's variance with Σ_T w_T² ϕ²."""
    honest = numbers.lemma1_variance

    def with_T(of: Scheme, loss: Any, at: il.Problem) -> Any:
        right, payment = honest(of, loss, at), loss.log_payment(at.scores, at.positive)
        of_T = np.exp(2 * of.plan(at, loss=loss).log_hard_terms(payment)).sum()
        return replace(right, value=float(right) + float(of_T))

    patch.setattr(numbers, "lemma1_variance", with_T)


def _T_not_in_mu(patch: Patch) -> None:
    """Theorem 3 with μ = e^{f_y} + E η e^{f_y'}."""
    honest = theorem3.expand

    def expand(of: Scheme, loss: Any, at: il.Problem) -> Any:
        found, plan = honest(of, loss, at), of.plan(at)
        share = np.exp(plan.log_w_hard + at.scores[plan.hard] - found.log_mu).sum()
        return replace(found, v=found.v / (1 - share) ** 2)

    patch.setattr(theorem3, "expand", expand)


def _bound_without_T(patch: Patch) -> None:
    patch.setattr(lemma2, "implicit", lemma2.without_hard_negatives)


def _again_in_symbols(patch: Patch) -> None:
    """The derivation lets masked draws count."""
    honest = derive._hard
    patch.setattr(derive, "_hard", lambda *given: (*honest(*given)[:2], honest(*given)[2] ** 0))
    numbers._derived.cache_clear()


def _T_is_drawn(patch: Patch) -> None:
    """The simulation draws only hits again."""
    patch.setattr(streams, "_drawn_again", lambda stream, at: np.array([at.positive]))


def _simulated_without_T(patch: Patch) -> None:
    patch.setattr(table, "_hard_terms", lambda of, hard, payment, slope: (-np.inf, np.full(hard.size, -np.inf)))


MUTANTS: list[tuple[Callable[[Patch], None], Scheme, set[str]]] = [
    (_masked_draws_count, scheme("mask"), {"symbols"}),
    (_k_for_really, scheme("exclude"), {"symbols"}),
    (_positive_in_T, scheme("mask"), {"symbols"}),
    (_not_renormalised, scheme("exclude", weighting=il.weightings.Unit()), {"symbols"}),
    (_log_forgotten, scheme("mask"), {"hard.shift"}),
    (_hit_not_divided, scheme("keep", "keep"), {"hard.shift"}),
    (_no_gradient_on_T, scheme("exclude"), {"hard.shift", "gradient"}),
    (_twice_in_each_draw, scheme("keep"), {"hard.shift", "lemma1.mean"}),
    (_mean_without_T, scheme("mask"), {"lemma1.mean"}),
    (_variance_of_T, scheme("mask"), {"lemma1.variance"}),
    (_bound_without_T, scheme("mask", weighting=il.weightings.Constant(), weight=3.0), {"lemma2.bound"}),
    (_T_not_in_mu, scheme("mask"), {"theorem3.leading"}),
    (_again_in_symbols, scheme("mask", m=3), {"derivation"}),
    (_T_is_drawn, scheme("exclude", weighting=il.weightings.Constant()), {"lemma1.mean"}),
    (_simulated_without_T, scheme("keep"), {"lemma1.mean", "lemma2.gap"}),
]


@pytest.mark.parametrize(("mutant", "of", "ids"), MUTANTS, ids=[mutant.__name__[1:] for mutant, _, _ in MUTANTS])
def test_each_mistake_is_refuted(mutant: Any, of: Scheme, ids: set[str], monkeypatch: Patch) -> None:
    """Each claim is refuted, and holds where nothing is wrong; a simulation refutes a true one with 1e-6 at most."""
    for id in sorted(ids):
        assert outcome(id, of).holds
    mutant(monkeypatch)
    try:
        for id in sorted(ids):
            assert outcome(id, of) is Outcome.REFUTED, id
    finally:
        numbers._derived.cache_clear()
