"""Each common slip is what its page says: its lines of code are run and audited, its margins and tilts computed.

Slips are found in `implicitloss.auditing.slips`; a new one needs no line here.  docs/slips.md has their pages;
`python tests/auditing/test_slips.py` writes it.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import implicitloss as il
from implicitloss.auditing import slips
from implicitloss.auditing import text as wording
from implicitloss.auditing.slips import (
    ADDED,
    BOTH_SIDES,
    HITS_KEPT,
    KEPT_DUPLICATES,
    MISMATCH,
    NO_CORRECTION,
    OTHER_NUMBER,
    PADDING,
    PAGES,
    SLIPS,
    SURVIVORS,
    WRONG_LAWS,
    Page,
    Slip,
    WrongLaw,
)
from implicitloss.labels import Floats, Labels

L, M, T = 100, 20, 0.5
PRIOR = il.LabelPrior.zipf(L, 1.0)
# Not uniform, and not π, by which two slips would be schemes with other names.
SAMPLER = il.samplers.Power(0.75)
Q = PRIOR.probabilities**0.75 / np.sum(PRIOR.probabilities**0.75)
# Wrong orders need labels whose ids are not sorted by frequency; in Zipf's law itself counts are as 1 over ranks.
MIXED = il.LabelPrior.from_counts(np.random.default_rng(7).permutation(np.round(1e5 / np.arange(1, L + 1) ** 1.3)))
SLIPS_AT_T = [dataclasses.replace(slip, temperature=T) if "/ T" in slip.line else slip for slip in SLIPS]
each_slip = pytest.mark.parametrize("slip", SLIPS_AT_T, ids=[slip.name for slip in SLIPS])
each_route = pytest.mark.parametrize("gradient", [True, False], ids=["by-gradients", "by-values"])
# Audits by values take seconds each.
each_route_slowly = pytest.mark.parametrize(
    "gradient", [pytest.param(True, id="by-gradients"), pytest.param(False, id="by-values", marks=pytest.mark.slow)]
)
DOCUMENT = Path(__file__).parents[2] / slips.FILE


def written(
    line: str, gradient: bool = True, hits: str = "mask", law: Floats = Q, prior: il.LabelPrior = PRIOR, at: float = 1.0
) -> Callable[..., Any]:
    """Sampled softmax with this line as the correction; `hits` are masked, excluded, or left to the line; at T."""

    def loss(scores: Floats, pos: Labels, rng: np.random.Generator) -> Any:
        rows = np.arange(len(pos))[:, None]
        neg = rng.choice(law.size, size=(len(pos), M), p=law)
        while hits == "exclude" and np.any(neg == pos[:, None]):
            neg = np.where(neg == pos[:, None], rng.choice(law.size, size=neg.shape, p=law), neg)
        given = {
            "np": np, "q": law, "prior": prior.probabilities, "m": M, "neg": neg, "pos": pos[:, None], "T": T,
            "f_neg": scores[rows, neg], "f_pos": scores[rows, pos[:, None]],
        }  # fmt: skip
        exec(line, given)
        x = np.exp(given["f_neg"] - given["f_pos"])
        hit = neg == pos[:, None]
        if hits == "mask":
            x = np.where(hit, 0.0, x)
        values = np.log1p(x.sum(axis=1))
        if not gradient:
            return values
        slopes = np.zeros(scores.shape)
        np.add.at(slopes, (rows, neg), np.where(hit, 0.0, x) / np.exp(values)[:, None] / at)
        slopes[rows[:, 0], pos] -= slopes.sum(axis=1)
        return values, slopes

    return loss


def mode_of(slip: Slip) -> str:
    return slip.hits[0]


def prior_of(slip: Slip) -> tuple[il.LabelPrior, Floats]:
    """The labels to audit with: where the slip is small, few frequent ones show it."""
    if slip.hits == ("exclude",):
        steep = il.LabelPrior.zipf(20, 1.5)
        return steep, np.asarray(steep.probabilities)
    return PRIOR, Q


def audited(slip: Slip, line: str, gradient: bool, seed: int) -> Any:
    prior, law = prior_of(slip)
    at = slip.temperature
    loss = written(line, gradient, mode_of(slip), law, prior, at)
    return il.audit(
        loss, claim=slip.target, prior=prior, rng=seed, temperature=at, positives=positives_of(slip), budget="quick"
    )


def positives_of(slip: Slip) -> list[int] | None:
    return [0, 1, 2] if slip.hits == ("exclude",) else None


@pytest.mark.in_turn(6)
@each_route_slowly
@each_slip
def test_an_audit_names_what_the_line_does_and_says_what_to_write(slip: Slip, gradient: bool, seed: int) -> None:
    report = audited(slip, slip.line, gradient, seed)
    assert report.verdict == "refuted"
    assert report.nearest is not None, str(report)
    assert report.nearest.slip is not None, str(report)
    assert report.nearest.slip.name == slip.name, str(report)
    for text in (str(report), report.to_markdown(), report.explain()):
        # A wrapped line may break anywhere.
        assert slip.fix.replace(" ", "") in "".join(text.replace("\\", "").split())
        assert slips.FILE in text
    assert report.to_dict()["slip"] == slip.to_dict()


@pytest.mark.in_turn(5)
@each_slip
def test_the_fix_has_the_margins_of_its_target(slip: Slip, seed: int) -> None:
    report = audited(slip, slip.fix, True, seed)
    assert report.verdict == "holds", str(report)
    assert report.nearest is not None
    assert report.nearest.slip is None
    assert report.to_dict()["slip"] is None
    assert "in place of" not in str(report)


def made(line: str, prior: il.LabelPrior) -> Floats:
    """The law that a line of code makes."""
    rank = np.empty(L)
    rank[prior.by_frequency] = np.arange(1, L + 1)
    given = {"np": np, "prior": prior.probabilities, "counts": prior.counts, "rank": rank, "L": L}
    exec(line, given)
    return np.asarray(given["q"], dtype=np.float64)


@pytest.mark.in_turn(8)
@each_route_slowly
@pytest.mark.parametrize("drawn", [True, False], ids=["drawn", "taken-off"])
@pytest.mark.parametrize("law", WRONG_LAWS, ids=[law.name for law in WRONG_LAWS])
def test_a_law_that_was_built_wrongly_is_named(law: WrongLaw, drawn: bool, gradient: bool, seed: int) -> None:
    """Labels are drawn by the wrong law and not corrected, or drawn by π and corrected by the wrong law."""
    wrong = made(law.line, MIXED)
    assert wrong.sum() == pytest.approx(1.0)
    if drawn:
        loss = written("", gradient, law=wrong, prior=MIXED)
        claim = il.Scheme(il.samplers.WithinBatch(), il.weightings.Unit(), m=M, hits="mask")
    else:
        loss, claim = (
            corrected_by(wrong, gradient),
            il.Scheme(il.samplers.WithinBatch(), il.weightings.Importance(), m=M, hits="mask"),
        )
    report = il.audit(loss, claim=claim, prior=MIXED, rng=seed)
    assert report.verdict == "refuted", str(report)
    assert report.nearest is not None, str(report)
    # With 1/n in place of n taken off, weights are as n: by values that is π added too, with another m.
    names = [law.name]
    if not (gradient or drawn) and law.line.startswith("q = np.log1p(1 / counts)"):
        names.append("log(m q) added in place of taken off")
    assert report.nearest.slip is not None
    assert report.nearest.slip.name.startswith(tuple(names)), str(report)
    right = made(law.fix, MIXED)
    assert right.sum() == pytest.approx(1.0)
    assert np.all(np.diff(right[MIXED.by_frequency]) <= 0)


def corrected_by(wrong: Floats, gradient: bool) -> Callable[..., Any]:
    """Labels drawn by π, with log(m r) of a law r taken off."""
    given = ", ".join(f"{x!r}" for x in wrong.tolist())
    return written(
        f"r = np.array([{given}]); f_neg -= np.log(m * r[neg])", gradient, "mask", MIXED.probabilities, MIXED
    )


@each_route_slowly
def test_a_correction_by_another_law_is_named(gradient: bool, seed: int) -> None:
    loss = written(MISMATCH.line, gradient)
    report = il.audit(loss, claim="full", prior=PRIOR, rng=seed)
    assert report.verdict == "refuted"
    assert report.nearest is not None, str(report)
    assert report.nearest.slip is MISMATCH, str(report)


@each_route_slowly
def test_hits_that_are_partly_removed_are_named(gradient: bool, seed: int) -> None:
    claim = il.Scheme(il.samplers.WithinBatch(), il.weightings.Importance(), m=M, hits="mask")
    first = KEPT_DUPLICATES.line + "; f_neg -= np.log(m * q[neg])"
    loss = written(first, gradient, "as the line has it", PRIOR.probabilities)
    report = il.audit(loss, claim=claim, prior=PRIOR, rng=seed)
    assert report.verdict == "refuted"
    assert report.nearest is not None, str(report)
    assert report.nearest.slip is KEPT_DUPLICATES, str(report)
    mended = written(KEPT_DUPLICATES.fix + "; f_neg -= np.log(m * q[neg])", gradient, "", PRIOR.probabilities)
    assert il.audit(mended, claim=claim, prior=PRIOR, rng=seed).verdict == "holds"


STEEP = il.LabelPrior.zipf(20, 1.5)
IMPORTANCE = il.Scheme(il.samplers.WithinBatch(), il.weightings.Importance(), m=M, hits="mask")


@pytest.mark.in_turn
@each_route
@pytest.mark.parametrize("inner", ["Importance", "Constant"])
def test_a_division_by_the_draws_that_are_left_is_named(inner: str, gradient: bool, seed: int) -> None:
    claim = il.Scheme(il.samplers.WithinBatch(), getattr(il.weightings, inner)(), m=M, hits="mask")
    right, wrong = (
        (slips.RIGHT, SURVIVORS.line) if inner == "Importance" else ("f_neg -= np.log(m)", "f_neg -= np.log(s)")
    )
    left = "s = (neg != pos).sum(axis=1, keepdims=True).clip(1); "
    given: dict[str, Any] = {"claim": claim, "prior": STEEP, "positives": [0, 1], "rng": seed, "resolution": 0.3}
    law = np.asarray(STEEP.probabilities)
    report = il.audit(written(left + wrong, gradient, "mask", law, STEEP), **given)
    assert report.verdict == "refuted", str(report)
    assert report.slips == (SURVIVORS,), str(report)
    assert report.draws_assumed == (not gradient)
    p = np.asarray(il.implicit_margins(report.nearest.scheme, STEEP))  # type: ignore[union-attr]
    q = law[0]
    assert p[0, 5] == pytest.approx((1 - q**M) / (1 - q) * (1.0 if inner == "Importance" else law[5]))
    assert il.audit(written(right, gradient, "mask", law, STEEP), **given).verdict == "holds"
    if gradient:  # draws that exclude the positive have these margins, too, and all the same weight
        excluded = il.audit(written(right, True, "exclude", law, STEEP), **given)
        assert excluded.verdict == "refuted"
        assert SURVIVORS not in excluded.slips


@pytest.mark.in_turn
@each_route
@pytest.mark.parametrize("k", [64, 8, 100_000])
def test_another_number_of_draws_is_named(k: int, gradient: bool, seed: int) -> None:
    """The batch, where m is another; all samples."""
    law = np.asarray(PRIOR.probabilities)
    loss = written(f"k = {k}; {OTHER_NUMBER.line}", gradient, "mask", law)
    for claim in (IMPORTANCE, "full")[: 1 + gradient]:
        report = il.audit(loss, claim=claim, prior=PRIOR, rng=seed, budget="quick", positives=[0, 50])
        assert report.verdict == "refuted", str(report)
        assert report.slips == (OTHER_NUMBER,), str(report)
        found = re.search(r"k = ([\d.e+]+) in place of m", str(report.nearest))
        assert found is not None
        assert float(found[1]) == pytest.approx(k, rel=0.1)


@pytest.mark.in_turn
@each_route
@pytest.mark.parametrize(
    ("line", "epsilon"),
    [("e = 0.01; f_neg -= np.log(m * (q[neg] + e))", 0.01), ("f_neg -= np.log1p(m * q[neg])", 1 / M)],
)
def test_a_number_that_is_added_to_q_is_named(line: str, epsilon: float, gradient: bool, seed: int) -> None:
    loss = written(line, gradient, "mask", np.asarray(PRIOR.probabilities))
    report = il.audit(loss, claim=IMPORTANCE, prior=PRIOR, rng=seed, budget="quick", positives=[0, 50])
    assert report.verdict == "refuted", str(report)
    assert report.slips == (ADDED,), str(report)
    found = re.search(r"with ε = ([\d.e+-]+), weights", str(report.nearest))
    assert found is not None
    assert float(found[1]) == pytest.approx(epsilon, rel=0.25)


def test_the_margins_and_gains_where_a_number_is_added_to_q() -> None:
    weighting: Any = slips.Added(0.01)
    p = np.asarray(il.implicit_margins(il.Scheme(SAMPLER, weighting, m=M, hits="mask"), PRIOR))
    off = ~np.eye(L, dtype=bool)
    np.testing.assert_allclose(p[off], np.broadcast_to(Q / (Q + 0.01), (L, L))[off], rtol=1e-12)
    for sampler in FREQUENT_ONES:
        assert ADDED.gains.labels == who(tilts(weighting, sampler))
    assert ADDED.gains.with_uniform == who(tilts(weighting, il.samplers.Uniform()))


@each_route
def test_ignored_draws_of_label_0_are_named(gradient: bool, seed: int) -> None:
    law = np.asarray(PRIOR.probabilities)
    line = f"f_neg[(neg == pos) | (neg == 0)] = -np.inf; {slips.RIGHT}"
    report = il.audit(
        written(line, gradient, "mask", law), claim=IMPORTANCE, prior=PRIOR, positives=[5, 50], rng=seed, budget="quick"
    )
    assert report.verdict == "refuted"
    assert report.slips == (PADDING,), str(report)
    assert str(report.nearest).startswith("importance weights 1/(m q), label id 0 taken for padding, within-batch")


@pytest.mark.parametrize("positives", [[0, 50], [5, 50]], ids=["audited", "not-audited"])
def test_a_label_0_whose_loss_is_0_is_named(positives: list[int], seed: int) -> None:
    law = np.asarray(PRIOR.probabilities)
    inner = written(slips.RIGHT, False, "mask", law)
    options: dict[str, Any] = {"claim": IMPORTANCE, "positives": positives, "rng": seed, "budget": "quick"}
    report = il.audit(lambda f, y, rng: inner(f, y, rng) * (y != 0), prior=PRIOR, **options)
    assert report.verdict == "refuted"
    assert report.slips == (PADDING,)
    assert "label 0 is 0: is it the ignore_index / padding?" in str(report.flaws[0])
    assert PADDING.link in report.explain()
    # A padding label that never occurs is right.
    counts = np.append(0.0, np.round(1e5 / np.arange(1, L)))
    padded = il.LabelPrior.from_counts(counts)
    inner = written(slips.RIGHT, False, "mask", np.asarray(padded.probabilities), padded)
    options["positives"] = [5, 50]
    with np.errstate(divide="ignore"):
        report = il.audit(lambda f, y, rng: inner(f, y, rng) * (y != 0), prior=padded, **options)
    assert report.flaws == ()


SCHEMES = {
    # The scheme that the line is, beside a correction where the page is about hits alone.
    NO_CORRECTION: ("", il.Scheme(SAMPLER, il.weightings.Unit(), m=M, hits="mask")),
    BOTH_SIDES: ("", il.Scheme(SAMPLER, il.weightings.Relative(), m=M, hits="mask")),
    HITS_KEPT: (f"{slips.RIGHT}; ", il.Scheme(SAMPLER, il.weightings.Importance(), m=M, hits="keep")),
}
SIGN = "f_neg += np.log(m * q[neg])"
each_scheme = pytest.mark.parametrize("page", SCHEMES, ids=[page.name for page in SCHEMES])


@pytest.mark.in_turn(1)
@each_route_slowly
@each_scheme
def test_a_scheme_that_may_be_wanted_is_a_slip_where_another_is_claimed(page: Page, gradient: bool, seed: int) -> None:
    """The report has its page if softmax or no hits are claimed, and none if it is what is claimed."""
    before, own = SCHEMES[page]
    hits = "as the line has it" if own.hits == "keep" else "mask"
    claim = il.Scheme(SAMPLER, il.weightings.Importance(), m=M, hits="mask")
    loss = written(before + page.line, gradient, hits)
    report = il.audit(loss, claim=claim, prior=PRIOR, rng=seed, budget="quick")
    assert report.verdict == "refuted"
    assert report.slips == (page,), str(report)
    for text in (str(report), report.to_markdown(), report.explain()):
        assert page.link in text.replace("\\", "")
    assert page.does in " ".join(report.explain().split())
    assert report.to_dict()["slip"] == page.to_dict()
    mended = il.audit(written(before + page.fix, gradient, hits), claim=claim, prior=PRIOR, rng=seed, budget="quick")
    assert mended.verdict == "holds", str(mended)
    assert mended.slips == ()
    for wanted in (own, None):
        assert il.audit(loss, claim=wanted, prior=PRIOR, rng=seed, runs=400).slips == ()


def test_lines_fit_and_code_is_whole(seed: int) -> None:
    """Sentences are wrapped; code and addresses are copied, and so they are not."""
    claim = il.Scheme(SAMPLER, il.weightings.Importance(), m=M, hits="mask")
    holds, refuted = (
        il.audit(written(line), claim=claim, prior=PRIOR, rng=seed, budget="quick")
        for line in (slips.RIGHT, BOTH_SIDES.line)
    )
    assert holds.verdict == "holds"
    assert refuted.slips == (BOTH_SIDES,)
    for report in (holds, refuted):
        for line in str(report).splitlines():
            assert len(line) <= 118 or line.startswith(("fix", "    ", "page"))
    for said in (str(refuted), refuted.explain()):
        assert [line for line in said.splitlines() if line.endswith(BOTH_SIDES.link)]
    long = f"{'a ' * 50}{BOTH_SIDES.link}-{'and-' * 20}on"
    assert wording._wrapped(long)[-1] == long.split()[-1]


def test_a_slip_is_no_fact_where_its_draws_are_assumed(seed: int) -> None:
    """By values, weights by a power of q have the margins of other draws with weights of 1: that is said."""
    said = "Other draws with other weights may have the same margins. If these are its draws:"
    partly = "f_neg -= 0.4 * np.log(m * q[neg])"
    by_values = il.audit(written(partly, False), claim="full", prior=PRIOR, rng=seed, budget="quick")
    assert by_values.slips == (NO_CORRECTION,)
    assert by_values.draws_assumed
    assert said in by_values.explain()
    assert "# if these are its draws" in str(by_values)
    assert by_values.to_dict()["draws_assumed"]
    # Gradients show the draws, and a claim says them.
    sign = written(SIGN, True)
    claim = il.Scheme(SAMPLER, il.weightings.Importance(), m=M, hits="mask")
    seen = (
        il.audit(sign, claim="full", prior=PRIOR, rng=seed, budget="quick"),
        il.audit(written(SIGN, False), claim=claim, prior=PRIOR, rng=seed, budget="quick"),
    )
    for report in seen:
        assert report.slips
        assert not report.draws_assumed
        assert said not in report.explain()


@pytest.mark.parametrize("page", [NO_CORRECTION, BOTH_SIDES], ids=["no correction", "both sides"])
def test_the_margins_and_gains_of_a_scheme_that_may_be_wanted(page: Page) -> None:
    _, scheme = SCHEMES[page]
    (formula,) = re.findall(r"^The margins are p = (.+?): ", page.wrong)
    expected = {"m q_y'": np.broadcast_to(M * Q, (L, L)), "m q_y": np.broadcast_to(M * Q[:, None], (L, L))}[formula]
    off = ~np.eye(L, dtype=bool)
    np.testing.assert_allclose(np.asarray(il.implicit_margins(scheme, PRIOR))[off], expected[off], rtol=1e-9)
    for sampler in FREQUENT_ONES:
        slopes = tilts(scheme.weighting, sampler)
        if page is NO_CORRECTION:
            assert page.gains.labels == who(slopes)
        else:
            assert page.gains.labels == who(slopes[:1])
            assert "the less the larger m is" in page.gains.how
            assert slopes[0] > slopes[1] > slopes[2] > -1e-6
            assert max(map(abs, tilts(scheme.weighting, sampler, "sampled"))) < 0.02
    assert page.gains.with_uniform == who(tilts(scheme.weighting, il.samplers.Uniform()))


def test_kept_hits_hardly_move_the_best_scores() -> None:
    prior = PRIOR.few(20)
    for weighting in (il.weightings.Unit(), il.weightings.Importance(), il.weightings.Relative()):
        masked, kept = (
            il.tilt(il.Scheme(il.samplers.WithinBatch(), weighting, m=M, hits=hits), prior, "sampled")
            for hits in ("mask", "keep")
        )
        assert abs(kept - masked) < 0.05


def ran(line: str, package: str) -> dict[str, Any]:
    """The logits and the loss after a line, computed by the package."""
    rng = np.random.default_rng(0)
    neg, pos = rng.integers(0, 6, (4, 9)), rng.integers(0, 6, (4, 1))
    q = rng.dirichlet(np.ones(6))
    arrays = {
        "q": q, "prior": q[::-1].copy(), "P": -np.expm1(9 * np.log1p(-q)), "neg": neg, "pos": pos,
        "f_neg": rng.normal(size=(4, 9)), "f_pos": rng.normal(size=(4, 1)),
    }  # fmt: skip
    given: dict[str, Any] = {"np": np, "math": math, "m": 9, "T": 0.5, "L": 6}
    if package != "numpy":
        lib = pytest.importorskip(package)
        make = {"torch": "tensor", "tensorflow": "constant", "jax": "numpy"}[package]
        tensor = getattr(lib, make)
        arrays = {name: (tensor.asarray if package == "jax" else tensor)(array) for name, array in arrays.items()}
        given |= {"torch": lib, "tf": lib, "jnp": getattr(lib, "numpy", None)}
    given |= arrays
    exec(line, given)
    return {name: np.asarray(given[name]) for name in ("f_neg", "f_pos", "loss") if name in given}


@pytest.mark.parametrize("package", ["torch", "tensorflow", "jax"])
@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_the_fix_is_written_as_the_package_has_it(page: Page, package: str) -> None:
    """It is the same computation, where the package is installed; lines that make q are NumPy's."""
    line = slips.written_in(page.fix, package)
    assert ("np." in re.sub("jnp", "", line)) == (page.fix.startswith("q = np."))
    if page.fix.startswith("q = "):
        assert line == page.fix
        return
    here, there = ran(page.fix, "numpy"), ran(line, package)
    for name, array in here.items():
        np.testing.assert_allclose(there[name], array, rtol=1e-5)


@pytest.mark.parametrize("package", ["torch", "tensorflow", "jax"])
def test_a_report_has_the_line_of_the_loss_s_package(package: str, seed: int) -> None:
    """The adapter says what the loss is written in, and `one_by_one` passes it on."""
    loss = written("f_neg -= np.log(q[neg])")
    loss.package = package  # type: ignore[attr-defined]
    report = il.audit(loss, claim="full", prior=PRIOR, rng=seed, runs=400)
    assert f"fix      {slips.written_in(slips.RIGHT, package)}" in str(report)
    assert "np." not in slips.written_in(slips.RIGHT, package).replace("jnp.", "")
    mean = il.adapters.one_by_one(loss)
    assert mean.package == package  # type: ignore[attr-defined]


def test_what_is_near_a_slip_and_not_it_has_no_fix(seed: int) -> None:
    """Margins between those of a slip and the right ones are given no slip's name."""
    between = written("f_neg -= np.log(m**0.3 * q[neg] ** 1.15)", gradient=False)
    report = il.audit(between, claim="full", prior=PRIOR, rng=seed, budget="quick")
    assert report.nearest is None or report.nearest.slip is None


def margins_of(slip: Slip, m: int, sampler: Any = SAMPLER) -> Floats:
    scheme = il.Scheme(sampler, slip, m=m, hits=mode_of(slip))  # type: ignore[arg-type]
    return np.asarray(il.implicit_margins(scheme, PRIOR))


@each_slip
def test_the_margins_that_are_said_are_those_of_the_weights(slip: Slip) -> None:
    (formula,) = re.findall(r"^The margins are p = (.+?): ", slip.wrong)
    formula = formula.replace("^", "**")
    for said, name in (("q_y'", "Qn"), ("q_y", "Qp"), ("π_y'", "Pn"), ("π_y", "Pp"), ("²", "**2"), (" ", "*")):
        formula = formula.replace(said, name)
    at = {"Qn": Q, "Qp": Q[:, None], "Pn": PRIOR.probabilities, "Pp": PRIOR.probabilities[:, None], "T": T}
    for m in (1, M):
        expected = np.broadcast_to(eval(formula, {"m": m, **at}), (L, L))
        off = ~np.eye(L, dtype=bool)
        np.testing.assert_allclose(margins_of(slip, m)[off], expected[off], rtol=1e-9)


FREQUENT_ONES = [
    sampler
    for sampler in il.samplers.examples()
    if not sampler.needs_scores and not isinstance(sampler, il.samplers.Uniform) and not hasattr(sampler, "q")
]


def tilts(weighting: Any, sampler: Any, of: Any = "implicit") -> list[float]:
    prior = PRIOR.few(20)
    hits = mode_of(weighting) if isinstance(weighting, Slip) else "mask"
    return [il.tilt(il.Scheme(sampler, weighting, m=m, hits=hits), prior, of) for m in (1, 20, 1000)]  # type: ignore[arg-type]


def who(slopes: list[float], within: float = 1e-3) -> str:
    """The labels that gain; a slope that grows from 0 says where it goes."""
    last = slopes[-1]
    return "neither" if abs(last) < within else "rare" if last < 0 else "frequent"


@each_slip
@pytest.mark.parametrize("sampler", FREQUENT_ONES, ids=str)
def test_who_gains(slip: Slip, sampler: Any) -> None:
    """It is the sign of the tilt of the implicit loss, which never turns with m."""
    slopes = tilts(slip, sampler)
    assert slip.gains.labels == who(slopes)
    assert min(slopes) > -1e-3 or max(slopes) < 0.02
    assert slip.gains.grows <= (slopes[0] > slopes[1] > slopes[2])
    uniform = tilts(slip, il.samplers.Uniform())
    assert slip.gains.with_uniform == who(uniform)
    assert slip.gains.with_uniform != "neither" or max(map(abs, uniform)) < 1e-3


def test_what_more_is_said_of_who_gains() -> None:
    by_name = {slip.name: slip for slip in SLIPS}
    lost_m = by_name["log q taken off without m, weights 1/q"]
    sign = by_name["log(m q) added in place of taken off, weights m q"]
    positive_only = by_name["log(m q) taken off the positive only, weights m q_y"]
    both = by_name["log q added to both sides in place of taken off, weights q_y'/q_y"]
    assert "more than the right weights do" in lost_m.gains.how
    for sampler in FREQUENT_ONES:
        # With one draw nothing is lost, and both are the same.
        slip, right = (tilts(weights, sampler, "sampled")[1] for weights in (lost_m, il.weightings.Importance()))
        assert slip < 1.05 * right < 0, sampler
    assert "more than in balanced softmax if q = π and m is large" in sign.gains.how
    assert tilts(sign, il.samplers.WithinBatch())[-1] < -1.5
    assert "far more than in balanced softmax if q = π" in both.gains.how
    assert max(tilts(both, il.samplers.WithinBatch())) < -1.5
    assert "hardly any with few draws" in positive_only.gains.how
    assert all(abs(tilts(positive_only, sampler)[0]) < 0.12 for sampler in FREQUENT_ONES)


def test_who_gains_where_duplicates_of_hits_stay() -> None:
    """Rare labels: the slope is below that of the same weights with all hits masked."""
    prior = PRIOR.few(20)
    weights = slips.KeptDuplicates(il.weightings.Importance())
    slip = il.tilt(il.Scheme(il.samplers.WithinBatch(), weights, m=M, hits="keep"), prior, "implicit")  # type: ignore[arg-type]
    assert KEPT_DUPLICATES.gains.labels == who([slip])


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_the_fields_are_short_and_whole(page: Page) -> None:
    for name in ("does", "wrong", "gains"):
        text = str(getattr(page, name))
        assert len(text) <= 160, name
        assert text.endswith("."), name
    assert "\n" not in page.line + page.fix
    assert dataclasses.replace(page) == page


def document() -> str:
    """docs/slips.md, from the pages."""
    head = """# Common slips

What an audit names when the margins of a loss are those of a common mistake. [Words and symbols](glossary.md) explains
the terms. The lines of code are NumPy: `f_neg` (n, m) and `f_pos` (n, 1) are the logits of the negatives and of the
positive, `neg` and `pos` (n, 1) their labels, `q` the law of the draws, `prior` the label frequencies π, `counts` and
`rank` the labels' counts and ranks, `m` the number of draws. The margins p_yy' say how often the negative y' counts
beside the positive y; they are those where accidental hits are masked. The report on a loss of PyTorch, TensorFlow or
JAX has them as that package has them.

This file is written from `implicitloss/auditing/slips.py` by `python tests/auditing/test_slips.py`.
"""
    parts = [head]
    for page in PAGES:
        wrong, right = (line.replace("; ", "\n") for line in (page.line, page.fix))
        parts.append(
            f"## {page.name}\n\n{page.does}\n\n{page.wrong}\n\n**Who gains:** {page.gains}\n\n"
            f"```python\n# wrong\n{wrong}\n# right\n{right}\n```\n"
        )
    return "\n".join(parts)


def test_the_document_has_the_pages() -> None:
    """If it differs, `python tests/auditing/test_slips.py` writes it anew."""
    assert DOCUMENT.read_text(encoding="utf-8") == document()


def test_links_lead_to_headings_of_the_document() -> None:
    headings = re.findall(r"^## (.+)$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert {page.link.partition("#")[2] for page in PAGES} == anchors


if __name__ == "__main__":
    DOCUMENT.write_text(document(), encoding="utf-8")


def test_both_sides_with_hits_kept_are_left_as_they_are(seed: int) -> None:
    """Its best scores are exact: no line says to mask hits, and the page says which weights to claim."""
    q, m = np.asarray(PRIOR.probabilities), 20

    def loss(f: Floats, y: Labels, rng: np.random.Generator) -> Any:
        draws = rng.choice(q.size, (y.size, m), p=q)
        f = f - np.log(q)
        return np.log1p(np.exp(np.take_along_axis(f, draws, axis=1) - np.take_along_axis(f, y[:, None], 1)).sum(axis=1))

    report = il.audit(loss, claim="full", prior=PRIOR, rng=seed, budget="quick")
    assert report.verdict == "refuted"
    assert report.slips == (BOTH_SIDES,)
    assert "claim 'relative'" in report.explain()
    meant = il.Scheme("within-batch", "relative", m=m, hits="keep")
    assert il.audit(loss, claim=meant, prior=PRIOR, rng=seed, budget="quick").ok
    assert il.tilt(meant, PRIOR) == pytest.approx(0, abs=1e-12)


def test_a_line_for_softmax_says_so_where_softmax_is_not_claimed(seed: int) -> None:
    q, m = np.asarray(PRIOR.probabilities), 20

    def loss(f: Floats, y: Labels, rng: np.random.Generator) -> Any:
        draws = rng.choice(q.size, (y.size, m), p=q)
        f = f + np.log(q)
        return np.log1p(np.exp(np.take_along_axis(f, draws, axis=1) - np.take_along_axis(f, y[:, None], 1)).sum(axis=1))

    said = "# for softmax over all labels, which is not the claim"
    for weighting, occurs in (("relative", True), ("importance", False)):
        claim = il.Scheme("within-batch", weighting, m=m, hits="keep")
        report = il.audit(loss, claim=claim, prior=PRIOR, rng=seed, budget="quick")
        assert report.slips
        assert (said in str(report)) is occurs
