"""The claims as data, and the default run as a whole."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
from scipy.special import ndtr

from implicitloss import losses
from implicitloss.claims.case import Setting
from implicitloss.claims.checks import Averages, Check, Exact, Frequencies, Identity, Simulated
from implicitloss.claims.claim import Claim, settle
from implicitloss.claims.statements import hard, numbers
from implicitloss.claims.verdict import Outcome, Verdict
from implicitloss.hard import HardNegatives
from implicitloss.labels import LabelPrior
from implicitloss.losses import Decoupled
from implicitloss.samplers import WithinBatch
from implicitloss.scheme import Scheme
from implicitloss.spectral import GaussianMixture, Logistic, Noise, affine, class_gap, offsets, prediction
from implicitloss.spectral.covariances import AsGiven, Factored
from implicitloss.spectral.ridge_path import RidgePath
from implicitloss.theory import expansion
from implicitloss.weightings import Importance
from implicitloss.witness.integrate import decoupled, integral
from implicitloss.witness.integrate.draw import Measure
from paper_checks.__main__ import all_claims
from paper_checks.qaraei2023 import listing, start
from paper_checks.qaraei2023 import margins as method
from paper_checks.rawat2021 import conventions
from paper_checks.spectral import four_parts, mean_difference
from paper_checks.spectral import margins as spectral_margins

CIFAR = LabelPrior.exp(100, 500, 100)
CLAIMS = all_claims()


@cache
def stochastic() -> tuple[Claim, ...]:
    """The claims that draw; to tell them takes integrals, which collecting tests has no need of."""
    return tuple(c for c in CLAIMS if any(check.comparisons(Setting(CIFAR, "")) for check in c.checks))


@pytest.fixture(scope="module")
def verdicts() -> list[Verdict]:
    return settle(CLAIMS, Setting(CIFAR, "CIFAR-100-LT"))


# --- claims as data ---------------------------------------------------------------------------------------------------


def test_ids_are_unique_and_name_their_paper() -> None:
    ids = [claim.id for claim in CLAIMS]
    assert len(set(ids)) == len(ids)
    assert {id.split(".")[0] for id in ids} == {
        "rawat2021",
        "menon2021",
        "qaraei2023",
        "clusters",
        "design",
        "draws",
        "spectral",
    }


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_every_claim_has_a_source_and_a_near_miss(claim: Claim) -> None:
    assert claim.statement.endswith(".")
    assert claim.source
    assert claim.near_misses


def test_every_part_of_the_paper_is_there() -> None:
    """The numbered statements of the paper, and both tables row by row."""
    ids = {claim.id for claim in CLAIMS}
    rows = [f"{q}-{w}" for q in ("uniform", "within-batch") for w in ("constant", "importance", "relative", "tail")]
    for table in ("table2", "table3"):
        assert {f"rawat2021.{table}.{row}" for row in rows} <= ids
    for needed in ("section2", "lemma1", "lemma2", "theorem3", "table2", "proposition4", "proposition5", "section4"):
        assert any(id.startswith(f"rawat2021.{needed}") for id in ids)


# Which witnesses a claim must have, by what kind of check and how; none may be lost and none replaced by a lesser one.
SYMBOLS, SIMULATED = "Identity: SymPy (for every L and m)", "Simulated: simulation (empirical-Bernstein bounds)"
LISTED, MOMENTS = "Exact: enumeration of every draw", "Exact: moments of one draw"
THE_OPTIMUM, SEARCH = (
    "Exact: the optimum (Newton's method on one-dimensional integrals)",
    "Exact: Newton's method against a search in one number",
)
THE_TILT = (
    "Exact: tilt of the optimum (the balance of one-dimensional integrals; the bound's by a search in one number)"
)
ORDER = "Exact: {} (one-dimensional integrals, extrapolated)"
COUNTED = "Simulated: labels drawn, weighed and counted (empirical-Bernstein bounds)"
ROW = (SYMBOLS, "Exact: m w q in numbers", COUNTED)
LIMITS = (ORDER.format("order in 1/m"), ORDER.format("constant"))
EVERY, PAIRS = "all 243 classifiers", "Exact: covariances of all pairs"
DESCENT, SUBGRADIENT = (
    "Exact: gradient descent (60,000 steps of .05 from scores of 0)",
    "Exact: ℓ(g) >= ℓ(f) + <ℓ'(f), g - f>",
)
EVERY_SEQUENCE, RAISED = "Exact: every sequence of draws listed", "one-dimensional integrals at the raised positive"
DRAWN, REFITS = "Averages: simulation (empirical-Bernstein bounds)", "Exact: n fits"
NEWTON, FRESH = "Exact: scores by Newton's method", "Exact: errors, means and variances on fresh samples"
LISTING = "Exact: every sequence of draws listed, Newton's method"
BALANCE = "Exact: balance of what pushes each score up and down"
CURVATURE, INFORMATION = "Exact: the Hessian of every sequence of draws listed", "Exact: information by one integral"
FALLEN, FITTED = "Exact: training mean less fresh mean", "training sets drawn and fitted, 6 standard errors)"
WITNESSES: dict[str, tuple[str, ...]] = {
    "rawat2021.section2.eq1-eq2": ("Exact: sums over all x and labels",),
    "rawat2021.section2.log-loss": (SYMBOLS, "Exact: the optimum (Newton's method on the loss over all labels)"),
    "rawat2021.section4.forms": ("Identity: SymPy (for every L, m and prior)",),
    "rawat2021.section2.equalised": ("Identity: SymPy (for every L, prior and a > 0)",),
    "rawat2021.remark2": (f"{LISTED} (decoupled)", f"{LISTED} (softmax)"),
    "rawat2021.section5.slices": ("Exact: counts solved for the class",),
    "rawat2021.section5.quantiles": ("Exact: places in the order of frequencies",),
    "clusters.law": ("Frequencies: drawn labels (cumulative, total and tail deviations)",),
    "clusters.variance": ("Exact: moments of a draw's term",),
    "clusters.whole": ("Exact: moments of both draws",),
    "clusters.kept": ("Exact: closed form",),
    "clusters.worth-keeping": ("Exact: both variances (120 laws, all labels of each)",),
    "clusters.bias": ("Exact: integrals at m = 50,000 and 100,000",),
    "draws.shared.best-law": (
        PAIRS,
        f"{PAIRS} (the mean of the examples' best laws)",
        f"{PAIRS} (the law that is best for single losses)",
    ),
    "draws.shared.best-for-singles": (
        "Exact: closed form",
        "Exact: closed form (uniform draws)",
        "Exact: closed form (draws that are best for the mean)",
    ),
    "menon2021.family": (
        "Exact: BFGS on the loss as it is written (20 laws of five x and three labels, a δ each)",
    ),
    "menon2021.normalised": tuple(
        f"Exact: largest excess balanced error over 20 laws (τ = {tau}, {of}; {EVERY} tried on each)"
        for tau in ("0.25", "0.5", "1", "2")
        for of in ("log η", "positive scores")
    ),
    "menon2021.two-gaussians": ("Exact: sum over a grid", "Exact: thresholds of optima"),
    "menon2021.step": ("Exact: counting",),
    "rawat2021.section2.reduction": ("Exact: sums over all x and labels",),
    "rawat2021.section2.table1-weights": ("Identity: SymPy (for every L, m and law q)",),
    "rawat2021.theorem3.form": ("Identity: SymPy (for every L, m and law q)",),
    "rawat2021.lemma1.one-over-m": ("Identity: SymPy (for every L, m, law q, weights η and payments ϕ)",),
    "rawat2021.section2.eq3-eq4": (SYMBOLS, "Exact: closed forms on scores of six kinds"),
    "rawat2021.section2.eq6": (SYMBOLS,),
    "rawat2021.section2.table1-laws": (SYMBOLS, "Frequencies: drawn labels (cumulative, total and tail deviations)"),
    "rawat2021.section2.batch": ("Averages: simulation (empirical-Bernstein bounds)",),
    "rawat2021.conventions": ("Exact: SymPy at 20 digits against NumPy",),
    "rawat2021.payments": (
        "Identity: SymPy (as written out)",
        "Exact: SymPy at 200 digits against NumPy (payments and their derivatives)",
    ),
    "rawat2021.lemma1.derivation": (SYMBOLS,),
    "rawat2021.lemma1.mean": (SYMBOLS, LISTED, MOMENTS, SIMULATED),
    "rawat2021.lemma1.variance": (SYMBOLS, LISTED, MOMENTS, SIMULATED),
    "rawat2021.lemma1.unbiased": (SYMBOLS, MOMENTS),
    "rawat2021.lemma2.bound": (
        "Identity: SymPy (log(1 + S) is concave)", LISTED, "Exact: one-dimensional integrals",
    ),
    "rawat2021.lemma2.gap": (
        "Exact: one-dimensional integrals against enumeration of every draw", "Exact: one-dimensional integrals",
        SIMULATED,
    ),
    "rawat2021.lemma2.equality": (SYMBOLS, "Exact: the gap (by integrals)"),
    "rawat2021.lemma2.kept-hits": (LISTED, "Exact: closed forms"),
    "rawat2021.lemma2.gradient": (
        "Exact: all entries (one-dimensional integrals against enumeration of every draw)", SIMULATED, *LIMITS,
    ),
    "rawat2021.theorem3.leading": (*LIMITS, SIMULATED),
    "rawat2021.theorem3.remainder": (*LIMITS, ORDER.format("constant of the bias")),
    "rawat2021.theorem3.partition": (SYMBOLS,),
    "rawat2021.theorem3.outside": LIMITS,
    **{
        f"rawat2021.table{table}.{sampler}-{weighting}": ROW
        for table in (2, 3)
        for sampler in ("uniform", "within-batch")
        for weighting in ("constant", "importance", "relative", "tail")
    },
    "rawat2021.table2.hits-excluded": (SYMBOLS,),
    "rawat2021.table2.hits-kept": (SYMBOLS,),
    "rawat2021.proposition4": (SYMBOLS, "Exact: closed forms", SIMULATED),
    "rawat2021.proposition5.decoupled": (
        SYMBOLS, "Exact: variance at q*, as every competitor's is at least 0",
        "Exact: mean at q*", "Exact: χ² against moments of one draw",
        "Simulated: simulation at q* (empirical-Bernstein bounds)",
        "Simulated: simulation of competitors (empirical-Bernstein bounds)",
    ),
    "rawat2021.proposition5.softmax": ("Exact: variance at q*", "Exact: gap at q*", "Exact: v against χ²"),
    "rawat2021.remark3.variance": (
        "Exact: softmax (one-dimensional integrals against enumeration of every draw)",
        "Exact: decoupled losses (enumeration of every draw against a closed form)", SIMULATED,
    ),
    "rawat2021.remark3.sampler": (
        "Exact: variance at q ∝ pϕ' against competitors (closed form, at two samplers)",
        "Exact: price of a sampler (closed forms)",
        "Exact: softmax at q* ∝ p e^f (one-dimensional integrals against a closed form)",
    ),
    "rawat2021.section4.constant": (THE_TILT,),
    "rawat2021.section4.relative": (THE_TILT,),
    "rawat2021.section4.relative-one-draw": (THE_OPTIMUM,),
    "rawat2021.section4.uniform": (THE_OPTIMUM, THE_TILT, SEARCH),
    "rawat2021.section4.equalised-optimum": (SEARCH,),
    "rawat2021.section4.in-batch-unit": (THE_OPTIMUM,),
    "rawat2021.section4.in-batch-relative": (THE_OPTIMUM,),
    "rawat2021.section4.power-unit": (THE_OPTIMUM,),
    "rawat2021.section4.small-m-importance": (THE_TILT,),
    "rawat2021.section4.small-m-tail": (THE_TILT,),
    "menon2021.balanced-bayes": (f"Exact: {EVERY} on each of 20 laws",),
    "menon2021.post-hoc": tuple(f"Exact: Newton's method (τ = {tau})" for tau in (0.5, 1, 2)),
    "menon2021.consistent": (f"Exact: {EVERY} on each of 20 laws",),
    "menon2021.adaptive": (f"Exact: largest excess balanced error over 20 laws ({EVERY} tried on each)",),
    "menon2021.equalised": (f"Exact: largest excess balanced error over 20 laws ({EVERY} tried on each)",),
    "menon2021.profiles": ("Exact: counting",),
    "qaraei2023.margins.modes": (SYMBOLS, EVERY_SEQUENCE, COUNTED),
    "qaraei2023.margins.method": (EVERY_SEQUENCE, "Exact: m w q in numbers"),
    "qaraei2023.shift.numbers": (
        "Identity: SymPy (e^ℓ in two factors)", "Identity: SymPy (the slope at T)", f"{LISTED} against {RAISED}",
        f"Exact: one-dimensional integrals against {RAISED}", f"{EVERY_SEQUENCE} against one-dimensional integrals",
    ),
    "qaraei2023.shift.variance": (EVERY_SEQUENCE, f"{MOMENTS}, T with a weight 1000 times as large"),
    "qaraei2023.unbiased.counts": (SYMBOLS, EVERY_SEQUENCE, "Exact: m w q in numbers"),
    "qaraei2023.unbiased.any-index": (
        f"{EVERY_SEQUENCE}, uniform", f"{EVERY_SEQUENCE}, within-batch", "Exact: m w q in numbers",
        f"{MOMENTS} against the full logistic loss by hand",
    ),
    "qaraei2023.start.norm": (
        "Exact: order statistics of L normal numbers", "Averages: simulation (empirical-Bernstein bounds)",
    ),
    **{f"qaraei2023.waterfilling.{what}": (DESCENT,) for what in ("scores", "plateau", "inclusion")},
    "qaraei2023.convex.replaced": (SUBGRADIENT, "Exact: its least value (as a smooth program with 35 variables)"),
    "qaraei2023.convex.dropped": ("Exact: <ℓ'(g) - ℓ'(f), g - f> of some f, g",),
    "qaraei2023.stale.loss": (
        "Exact: the period map (against gradient descent, within 2 in a thousand)",
        "Exact: the renewal formula (against gradient descent, within 5 %)",
    ),
    "qaraei2023.stale.swing": ("Exact: gradient descent (R = 5,000 steps of .1)",),
    "qaraei2023.stale.rise": ("Exact: gradient descent (steps of .005 and .0025)",),
    "qaraei2023.hardest-of": ("Exact: all L^n draws", "Exact: the formula, in whole numbers"),
    "design.weights.consistent": (LISTING, BALANCE, "Exact: gradient at f* by enumeration of every draw"),
    "design.shifts.wrong-law": (LISTING, BALANCE),
    "design.shifts.target": (LISTING, f"{BALANCE}, weights p/(m q)"),
    "design.targets": (
        "Identity: SymPy (pulls given two and three slots; two labels)", f"{LISTING}, against all labels",
        "Exact: the library takes them as targets",
    ),
    "design.draws.excluded": (
        "Identity: SymPy (the posterior of three slots, four labels)", LISTING, f"{BALANCE}, one draw",
    ),
    "design.draws.coins": (LISTING, f"{LISTING}, weights of the law that the sampler states"),
    "design.distinct": (
        "Exact: every sequence of distinct draws listed, Newton's method",
        "Exact: races by inclusion and exclusion, root of the gradient",
    ),
    "design.information.integral": (CURVATURE, INFORMATION),
    "design.information.identity": (
        "Exact: the Hessian by one-dimensional integrals against gradients listed",
        f"{CURVATURE}, less E[gradient gradientᵀ]",
    ),
    "design.cost.same-law": (CURVATURE, INFORMATION),
    "design.cost.many-draws": (
        "Exact: the integral by the trapezoid rule, m extrapolated", f"{INFORMATION}, m extrapolated",
    ),
    "design.cost.variance": (
        "Exact: variance over positives and draws listed", "Exact: variance over draws by one-dimensional integrals",
        CURVATURE, INFORMATION,
    ),
    "design.measured-tilt.value": ("Exact: every sequence of draws in proportion to its chance",),
    "design.measured-tilt.spread": (DRAWN,),
    "design.ties": (
        "Exact: five labels and three blocks listed, Newton's method", f"{BALANCE}, against five labels listed",
    ),
    "design.corrected-log-q": (
        "Identity: SymPy (three draws off y)", f"{LISTED}, against every sequence of draws listed",
    ),
    "spectral.affine": (DRAWN,),
    "spectral.leave-one-out": (
        REFITS, f"{REFITS} of logistic regression (score left out less score in training, within 6 %)",
    ),
    "spectral.influence": (f"{FALLEN} (450 {FITTED}", "Exact: leverages (60 training sets drawn, 6 standard errors)"),
    "spectral.ridge": (
        f"{FRESH}, means on training samples (450 {FITTED}", f"Exact: errors of three classes (420 {FITTED}",
    ),
    "spectral.logistic": (f"{FRESH}, means on training samples (200 {FITTED}", f"{FALLEN} (200 {FITTED}"),
    "spectral.stored": ("Exact: printed digits",),
    "spectral.mean-difference": (
        "Exact: means and variances of the score (Gauss-Hermite rule, exact for quadratics)", DRAWN,
    ),
    "spectral.margins.ratio": (
        "Identity: SymPy (what each example pays)", NEWTON, "Exact: predicted means and variances",
    ),
    "draws.inclusion": (
        "Exact: every run listed", "Exact: labels that have come by a time, convolved one by one, at L = 1,000",
    ),
    "draws.margins.unbiased": ("Exact: every run listed",),
    "draws.margins.batch-set": ("Exact: closed form of the library", "Exact: every run listed"),
    "draws.optima.coins": (
        "Exact: every run listed, Newton's method", "Exact: every run listed, Newton's method, weights of 1",
        "Exact: gradient at log η, integrated over products",
    ),
    "draws.optima.distinct": (
        "Exact: every run listed, Newton's method: how far off the optima are",
        "Exact: every run listed, Newton's method: how far off those of sets are",
    ),
    "draws.spread.variance": ("Exact: every run listed, a decoupled loss", "Exact: every run listed, softmax"),
    "draws.spread.less": ("Exact: integrals over races, against Lemma 1's variance",),
    "draws.shared.softmax": ("Exact: every run listed",),
    "draws.shared.decoupled": ("Exact: every run listed",),
    "spectral.margins.table2": (NEWTON,),
    "spectral.offsets": (
        "Exact: bisection for equal errors", "Exact: search for the least mean error",
        "Exact: offsets for equal errors from samples (3,000 quantiles a class)",
        "Exact: offsets for the least mean error from samples (3,000 quantiles a class)",
        f"Exact: errors of trained classifiers at the predicted δ_E (450 {FITTED}",
    ),
    "spectral.noise": ("Exact: least squares on every noisy copy", f"{FRESH} (250 {FITTED}"),
    "spectral.four-parts": (
        "Identity: SymPy (for any two classes)", "Exact: trained classifiers",
        "Exact: predicted means and influences", "Exact: a fit without each group",
    ),
}  # fmt: skip


def witnesses(claim: Claim) -> tuple[str, ...]:
    return tuple(f"{type(c).__name__}: {name}" for c, name in zip(claim.checks, claim.methods, strict=True))


def test_every_claim_has_the_witnesses_that_it_must_have() -> None:
    """What it loses here is lost in `implicitloss verify` too: the statements are the same."""
    assert {claim.id: witnesses(claim) for claim in CLAIMS} == WITNESSES


# --- the default run --------------------------------------------------------------------------------------------------


def test_every_claim_is_settled_and_every_near_miss_refuted(verdicts: Sequence[Verdict]) -> None:
    failed = {v.id: v.outcome for v in verdicts if not v.ok}
    assert not failed
    for claim, verdict in zip(CLAIMS, verdicts, strict=True):
        # None was passed over as saying the same as its claim.
        assert tuple(miss.statement for miss in verdict.near_misses) == claim.near_misses
        assert {miss.outcome for miss in verdict.near_misses} == {Outcome.REFUTED}


def test_every_witness_had_cases(verdicts: Sequence[Verdict]) -> None:
    for verdict in verdicts:
        for evidence in verdict.evidence:
            assert evidence.n_cases > 0, f"{verdict.id}: {evidence.method}: {evidence.note}"


def test_cases_are_named_for_a_reader(verdicts: Sequence[Verdict]) -> None:
    """Regression: a case was a class of the module, with all of its arrays."""
    for verdict in verdicts:
        for evidence in (*verdict.evidence, *(e for miss in verdict.near_misses for e in miss.evidence)):
            assert len(evidence.case) < 300, (verdict.id, evidence.case)
            assert not re.search(r"array\(|<|\b_[A-Za-z]+\(", evidence.case), (verdict.id, evidence.case)


def test_verdicts_are_plain_values(verdicts: Sequence[Verdict]) -> None:
    for verdict in verdicts:
        assert json.loads(json.dumps(verdict.to_dict()))["id"] == verdict.id


# --- random numbers ---------------------------------------------------------------------------------------------------


def without_seconds(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: plain(v) for k, v in value.items() if k != "seconds"}
        return [plain(v) for v in value] if isinstance(value, list) else value

    return [plain(verdict.to_dict()) for verdict in verdicts]


# Labels counted, terms averaged, one draw and sums of draws simulated: every check that draws, each once.
DRAWING = ("section2.table1-laws", "section2.batch", "table2.within-batch-tail", "proposition4")


def test_the_seed_matters_and_is_all_that_matters() -> None:
    """A run again, on one thread in place of two, has the same bits; and another seed changes every check."""
    drawing = [stochastic_only(claim) for claim in stochastic() if claim.id.removeprefix("rawat2021.") in DRAWING]
    assert {type(check) for claim in drawing for check in claim.checks} == {Averages, Frequencies, Simulated}
    two, one = (without_seconds(settle(drawing, Setting(CIFAR, "", threads=threads))) for threads in (2, 1))
    other = without_seconds(settle(drawing, Setting(CIFAR, "", seed=1)))
    assert len(two) == len(DRAWING)
    assert two == one
    for here, there in zip(two, other, strict=True):
        assert here != there


def stochastic_only(claim: Claim) -> Claim:
    checks: tuple[Check, ...] = tuple(c for c in claim.checks if c.comparisons(Setting(CIFAR, "")))
    return dataclasses.replace(claim, checks=checks)


@pytest.mark.slow
def test_a_hundred_seeds_refute_no_true_claim() -> None:
    """False refutations: at most 1e-6 a run, so 1e-4 in all; inconclusive or powerless runs would show, too."""
    claims = [stochastic_only(claim) for claim in stochastic()]
    bad = []
    for seed in range(100):
        for verdict in settle(claims, Setting(CIFAR, "", seed=1000 + seed)):
            if verdict.outcome is not Outcome.SUPPORTED or any(
                miss.outcome is not Outcome.REFUTED for miss in verdict.near_misses
            ):
                bad.append((seed, verdict.id, verdict.outcome))
    assert not bad


# --- mutants: a wrong library must be caught --------------------------------------------------------------------------


def outcome_of(id: str) -> Verdict:
    claim = next(claim for claim in CLAIMS if claim.id == id)
    return settle([claim], Setting(CIFAR, ""))[0]


def test_a_sampler_that_states_one_law_and_draws_another_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    from implicitloss.samplers.sampler import by_shares

    monkeypatch.setattr(WithinBatch, "procedure", lambda self, at: by_shares(at.prior.probabilities**0.8))
    for id in ("rawat2021.section2.table1-laws", "rawat2021.table2.within-batch-constant"):
        assert outcome_of(id).outcome is Outcome.REFUTED, id


def test_a_law_and_a_procedure_that_are_wrong_together_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The law and the draws agree with each other, and not with π."""
    from implicitloss.samplers.sampler import by_shares

    def wrong(prior: LabelPrior) -> np.ndarray:
        return prior.probabilities**0.9 / np.sum(prior.probabilities**0.9)

    monkeypatch.setattr(WithinBatch, "log_law", lambda self, at: np.log(wrong(at.prior)))
    monkeypatch.setattr(WithinBatch, "procedure", lambda self, at: by_shares(wrong(at.prior)))
    assert outcome_of("rawat2021.table2.within-batch-constant").outcome is Outcome.REFUTED


def test_lost_m_in_relative_weights_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reading of Eq. (14) as printed: relative weights with a 1/m."""
    from implicitloss.weightings import Relative

    honest = Relative.log_weight
    monkeypatch.setattr(Relative, "log_weight", lambda self, draws: honest(self, draws) - np.log(draws.m))
    assert outcome_of("rawat2021.table2.within-batch-relative").outcome is Outcome.REFUTED


def test_a_gap_from_the_wrong_integral_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    from implicitloss.witness.integrate import moments as module

    honest = module._about_implicit

    def wrong(draw: Measure, m: int) -> dict[str, tuple[float, ...]]:
        return {quantity: tuple(1.001 * x for x in found) for quantity, found in honest(draw, m).items()}

    monkeypatch.setattr(module, "_about_implicit", wrong)
    numbers._integrated.cache_clear()
    assert outcome_of("rawat2021.lemma2.gap").outcome is Outcome.REFUTED
    numbers._integrated.cache_clear()


PAID_WRONGLY = {
    "a logistic negative with its sign turned": dataclasses.replace(
        losses.logistic, negative=lambda f: np.logaddexp(0, -f), log_negative=lambda f: np.log(np.logaddexp(0, -f))
    ),
    "a hinge that lags": dataclasses.replace(losses.hinge, negative=lambda f: np.maximum(0.0, 1 + 0.97 * f)),
    "a slope without its 2": dataclasses.replace(
        losses.squared_hinge, slope=lambda f: np.maximum(0.0, 1 + np.asarray(f))
    ),
    "a positive that pays ϕ(f)": dataclasses.replace(losses.logistic, positive=lambda f: np.logaddexp(0, f)),
    "a positive's slope with its sign turned": dataclasses.replace(
        losses.hinge, positive_slope=lambda f: 1.0 * (f < 1)
    ),
    "a margin on the wrong side": dataclasses.replace(
        losses.cosine_contrastive(0.0), negative=lambda f: np.maximum(0.0, -f) ** 2
    ),
}


def test_every_loss_is_written_out() -> None:
    written = {loss.name for loss, _, _ in conventions.PUBLISHED}
    assert {loss.name for loss in losses.examples()} < written
    assert losses.cosine_contrastive(0.0).name in " ".join(written)


@pytest.mark.parametrize("slip", PAID_WRONGLY)
def test_payments_that_are_wrong_in_every_numeric_witness_are_caught(slip: str) -> None:
    (claim,) = [claim for claim in CLAIMS if claim.id == "rawat2021.payments"]
    _, check = claim.checks
    assert isinstance(check, Exact)
    wrong = Decoupled(PAID_WRONGLY[slip])
    cases = [dataclasses.replace(case, loss=wrong) for case in check.cases(Setting(CIFAR, ""))[:8]]
    mutant = dataclasses.replace(check, cases=lambda setting: cases)
    assert mutant.run(Setting(CIFAR, ""), 0.0).evidence.outcome is Outcome.REFUTED


@pytest.mark.parametrize(
    ("series", "change"),
    [
        ("mse", lambda e: e.mse.second + 0.02 * e.v**2 / 256**2),
        ("mse", lambda e: -e.mse.second),
        ("bias", lambda e: e.bias.second * 1.05),
        ("bias", lambda e: 0.0),
    ],
)
def test_second_terms_that_expand_has_wrong_are_caught(
    series: str, change: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = expansion.relative_moments

    def wrong(*args: Any) -> expansion.Expansion:
        e = honest(*args)
        return dataclasses.replace(e, **{series: expansion.Series(getattr(e, series).first, change(e))})

    monkeypatch.setattr(expansion, "relative_moments", wrong)
    assert outcome_of("rawat2021.theorem3.remainder").outcome is Outcome.REFUTED


def _masked_draws_count(patch: pytest.MonkeyPatch) -> None:
    """Draws of hard negatives that are masked count again."""
    honest = Scheme.plan

    def plan(self: Scheme, *given: Any, **named: Any) -> Any:
        kept = self.hard is not None and dataclasses.replace(self, hard=dataclasses.replace(self.hard, overlap="keep"))
        return honest(kept or self, *given, **named)

    patch.setattr(Scheme, "plan", plan)


def _k_for_really(patch: pytest.MonkeyPatch) -> None:
    """The positive in T makes place for another label."""

    def labels(self: HardNegatives, at: Any) -> Any:
        free = [j for j in range(at.prior.n_labels) if j != at.positive and j not in self.returned(at)]
        found = [j if j != at.positive else free[0] for j in self.returned(at).tolist()]
        return np.array(found[: self.k], dtype=np.intp)

    patch.setattr(HardNegatives, "labels", labels)


def _other_positives_stay(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(method, "_negatives", lambda example: 1.0 - (np.arange(example.n_labels) == example.positives[0]))


def _log_forgotten(patch: pytest.MonkeyPatch) -> None:
    honest = integral.plan_and_payment
    patch.setattr(integral, "plan_and_payment", lambda *a: dataclasses.replace(honest(*a), log_positive=0.0))


def _variance_of_T(patch: pytest.MonkeyPatch) -> None:
    """Hard negatives are one more draw each."""
    honest = decoupled.decoupled_moments

    def moments(scheme: Scheme, loss: Any, at: Any, quantity: Any) -> Any:
        value, error = honest(scheme, loss, at, quantity)
        terms = scheme.plan(at, loss=loss).log_hard_terms(loss.log_payment(at.scores, at.positive))
        return (value + np.exp(2 * terms).sum(), error) if quantity == "variance" else (value, error)

    patch.setattr(integral, "decoupled_moments", moments)


def _unconditional_weights(patch: pytest.MonkeyPatch) -> None:
    """1/(m q) with the law before anything is drawn again."""
    patch.setattr(Importance, "log_weight", lambda self, draws: -draws.log_q_unconditional - np.log(draws.m))


def _random_T(patch: pytest.MonkeyPatch) -> None:
    """The first k labels for the k with the largest inner product."""
    patch.setattr(start, "_largest", lambda along, k: np.tile(np.arange(k), (len(along), 1)))


@pytest.mark.parametrize(
    ("mutant", "id"),
    [
        (_masked_draws_count, "margins.modes"),
        (_k_for_really, "margins.modes"),
        (_other_positives_stay, "margins.method"),
        (_log_forgotten, "shift.numbers"),
        (_variance_of_T, "shift.variance"),
        (_masked_draws_count, "unbiased.counts"),
        (_k_for_really, "unbiased.counts"),
        (_unconditional_weights, "unbiased.any-index"),
        (_random_T, "start.norm"),
    ],
)
def test_wrong_hard_negatives_are_caught(mutant: Any, id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the quick checks; a true claim is refuted with probability at most 1e-6, and none of these is true."""
    (claim,) = [claim for claim in CLAIMS if claim.id == f"qaraei2023.{id}"]
    quick = tuple(check for check in claim.checks if not isinstance(check, (Identity, Simulated)))
    kept = (numbers._integrated, hard._of_plain, listing.number, listing.listed)
    for numbers_of in kept:
        numbers_of.cache_clear()
    mutant(monkeypatch)
    (verdict,) = settle([dataclasses.replace(claim, checks=quick)], Setting(CIFAR, ""))
    assert verdict.outcome is Outcome.REFUTED
    for numbers_of in kept:
        numbers_of.cache_clear()


def _swapped_influences(patch: pytest.MonkeyPatch) -> None:
    """V_1 for V_2."""
    honest = AsGiven.influences
    patch.setattr(AsGiven, "influences", lambda self, root: honest(self, root)[::-1])


def _errors_without_a_root(patch: pytest.MonkeyPatch) -> None:
    for module in (affine, prediction):
        patch.setattr(module, "sign_error", lambda mean, variance: ndtr(-mean / variance))


def _noise_of_one_sample(patch: pytest.MonkeyPatch) -> None:
    """Noise of a class as if it had one sample."""
    honest = Noise.covariances

    def covariances(self: Noise, mixture: GaussianMixture) -> Any:
        found = honest(self, mixture)
        return Factored(found.diagonals / mixture.counts[:, None], np.zeros((*found.shape, 0)))

    patch.setattr(Noise, "covariances", covariances)


def _leverage_without_intercept(patch: pytest.MonkeyPatch) -> None:
    honest = RidgePath.residuals

    def residuals(self: RidgePath, lam: float) -> tuple[np.ndarray, np.ndarray]:
        residual, left = honest(self, lam)
        return residual, left + 1 / len(left)

    patch.setattr(RidgePath, "residuals", residuals)


def _overfit_forgotten(patch: pytest.MonkeyPatch) -> None:
    honest = offsets.gap
    for module in (four_parts, class_gap):
        patch.setattr(module, "gap", lambda *given: dataclasses.replace(honest(*given), overfit=0.0))


def _first_margin_twice(patch: pytest.MonkeyPatch) -> None:
    """A margin p_12 counts twice."""
    honest = Logistic.log_margins
    patch.setattr(
        Logistic, "log_margins", lambda self, mixture: (2 * honest(self, mixture)[0], honest(self, mixture)[1])
    )


@pytest.mark.parametrize(
    ("mutant", "id", "which"),
    [
        (_errors_without_a_root, "affine", 0),
        (_leverage_without_intercept, "leave-one-out", 0),
        (_swapped_influences, "influence", 1),
        (_errors_without_a_root, "stored", 0),
        (_errors_without_a_root, "mean-difference", 1),
        (_first_margin_twice, "margins.ratio", 2),
        (_noise_of_one_sample, "noise", 1),
        (_overfit_forgotten, "four-parts", 3),
    ],
)
def test_wrong_predictions_of_spectra_are_caught(
    mutant: Any, id: str, which: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    (claim,) = [claim for claim in CLAIMS if claim.id == f"spectral.{id}"]
    kept = (mean_difference._predicted, spectral_margins._moments)
    for numbers_of in kept:
        numbers_of.cache_clear()
    mutant(monkeypatch)
    (verdict,) = settle([dataclasses.replace(claim, checks=(claim.checks[which],))], Setting(CIFAR, ""))
    assert verdict.outcome is Outcome.REFUTED
    for numbers_of in kept:
        numbers_of.cache_clear()


def test_checks_that_draw_count_their_comparisons() -> None:
    for claim in CLAIMS:
        for check in claim.checks:
            if isinstance(check, (Simulated, Frequencies)):
                assert check.comparisons(Setting(CIFAR, "")) > 0, claim.id
