"""Audits: right losses pass, broken ones are refuted, whatever the seed.

An audit refutes a true claim with probability at most 1e-6; there are fewer than 60 audits of true claims here.  That a
right loss passes (rather than stays open) and that a broken one is refuted is tested at deviations far beyond what the
audit resolves, where either fails with probability below 1e-9.  `pytest -m slow` repeats all of it for 100 seeds.
"""

from __future__ import annotations

import copy
import json
import math
import pickle
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pytest

import implicitloss as il
from implicitloss.auditing import calls, finding, pilot, single, values
from implicitloss.auditing.comparison import BY_SCORE, HITS, Comparison
from implicitloss.auditing.finding import Tilt
from implicitloss.auditing.rows import MIXED_CALLS
from implicitloss.auditing.slips import KeptDuplicates
from implicitloss.auditing.slopes import Slope
from implicitloss.auditing.tally import Sums
from implicitloss.auditing.text import _on_slope
from implicitloss.auditing.values import HALF, _softplus_is
from implicitloss.labels import Floats, Labels
from implicitloss.numerics.bounds import sum_half_width

L, M = 100, 20
PRIOR = il.LabelPrior.zipf(L, 1.0)
Q = PRIOR.probabilities
SWAPPED = np.random.default_rng(7).permutation(Q)


@dataclass(frozen=True)
class Sampled:
    """Sampled softmax in NumPy, as one writes it; every slip is an option.  Returns values, or values and gradients."""

    m: int = M
    q: Any = None  # the law of draws; π
    counted: Any = None  # the q that is taken off; that of draws
    sign: float = 1.0  # of the correction
    with_m: bool = True
    hits: str = "mask"
    positive_too: bool = False
    positive_only: bool = False
    temperature: float = 1.0
    late: bool = False  # the temperature divides the correction too
    slope: float = 1.0  # what the gradient is multiplied by
    gradient: bool = True
    shared: bool = False
    distinct: bool = False

    @cached_property
    def _law(self) -> Floats:
        return Q if self.q is None else np.asarray(self.q)

    @cached_property
    def _cumulative(self) -> Floats:
        return np.cumsum(self._law) / np.sum(self._law)

    @cached_property
    def _correction(self) -> Floats:
        counted = self._law if self.counted is None else np.asarray(self.counted)
        with np.errstate(divide="ignore"):
            return self.sign * np.log((self.m if self.with_m else 1.0) * counted)

    def __call__(self, scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        q = self._law
        n, rows = len(positive), np.arange(len(positive))
        if self.distinct:
            draws = np.array([rng.choice(q.size, self.m, replace=False, p=q) for _ in range(n)])
        else:
            draws = np.searchsorted(self._cumulative, rng.random((1 if self.shared else n, self.m)), "right")
            draws = np.repeat(draws, n, axis=0) if self.shared else draws
        correction = self._correction
        off, own = correction[draws], np.zeros(n)
        if self.positive_too or self.positive_only:
            own = correction[positive]
        if self.positive_only:
            off = np.zeros(draws.shape)
        f, f_y = scores[rows[:, None], draws], scores[rows, positive]
        if self.late:
            gaps = (f - off - (f_y - own)[:, None]) / self.temperature
        else:
            gaps = (f - f_y[:, None]) / self.temperature - off + own[:, None]
        hit = draws == positive[:, None]
        if self.hits == "mask":
            gaps = np.where(hit, -np.inf, gaps)
        elif self.hits == "last":  # only the last of several hits is removed
            last = hit & (np.cumsum(hit[:, ::-1], axis=1)[:, ::-1] == 1)
            gaps = np.where(last, -np.inf, gaps)
        x = np.exp(gaps)
        values = np.log1p(x.sum(axis=1))
        if not self.gradient:
            return values
        each = np.where(hit, 0.0, x) / np.exp(values)[:, None] / self.temperature
        at = (rows[:, None] * scores.shape[1] + draws).ravel()
        slopes = np.bincount(at, each.ravel(), scores.size).reshape(scores.shape)
        slopes[rows, positive] -= slopes.sum(axis=1)
        return values, self.slope * slopes


def scheme(weighting: Any = None, sampler: Any = None, hits: Any = "mask", m: int = M) -> il.Scheme:
    return il.Scheme(sampler or il.samplers.WithinBatch(), weighting or il.weightings.Importance(), m=m, hits=hits)


def different(scores: Floats) -> int:
    """How many of the rows differ."""
    return len({row.tobytes() for row in scores})


UNIFORM = np.full(L, 1 / L)
TRUNCATED = np.where(np.arange(L) < L // 2, Q, 0.0) / Q[: L // 2].sum()

RIGHT: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "importance": (Sampled(), scheme(), {}),
    "importance-full": (Sampled(), "full", {}),
    "importance-softmax-margin": (Sampled(), il.margins.Softmax(), {}),
    "importance-array": (Sampled(), np.ones((L, L)) - np.eye(L), {}),
    "hits-kept": (Sampled(hits="keep"), scheme(hits="keep"), {}),
    "relative": (Sampled(positive_too=True), scheme(il.weightings.Relative()), {}),
    "unit": (Sampled(sign=0.0, hits="keep"), scheme(il.weightings.Unit(), hits="keep"), {}),
    "uniform": (Sampled(q=UNIFORM), scheme(sampler=il.samplers.Uniform()), {}),
    "shared-negatives": (Sampled(shared=True), "full", {}),
    "temperature": (Sampled(temperature=0.5), "full", {"temperature": 0.5}),
    "values-only": (Sampled(gradient=False), scheme(), {}),
    "values-only-relative": (Sampled(positive_too=True, gradient=False), scheme(il.weightings.Relative()), {}),
    "values-only-hits-kept": (Sampled(hits="keep", gradient=False), scheme(hits="keep"), {}),
}

BROKEN: dict[str, tuple[Any, Any]] = {
    "flipped-sign": (Sampled(sign=-1.0), scheme()),
    "lost-m": (Sampled(with_m=False), scheme()),
    "swapped-expected-counts": (Sampled(counted=SWAPPED), scheme()),
    "permuted-prior": (Sampled(q=SWAPPED, counted=Q), scheme()),
    "permuted-law": (Sampled(q=SWAPPED, sign=0.0), scheme(il.weightings.Unit())),
    "hits-not-removed": (Sampled(hits="keep"), scheme()),
    "hits-removed": (Sampled(), scheme(hits="keep")),
    "only-the-last-duplicate-hit-removed": (Sampled(hits="last"), scheme()),
    "temperature-after-the-correction": (Sampled(temperature=0.5, late=True), "full"),
    "temperature-not-said": (Sampled(temperature=0.8), "full"),
    "truncated-candidates": (Sampled(q=TRUNCATED, counted=Q), scheme()),
    "truncated-candidates-full": (Sampled(q=TRUNCATED), "full"),
    "wrong-number-of-draws": (Sampled(m=15), scheme(il.weightings.Relative())),
    "one-try-too-few": (Sampled(m=M - 4, sign=0.0), scheme(il.weightings.Unit())),
    "correction-on-the-positive-too": (Sampled(positive_too=True), scheme()),
    "correction-on-the-positive-only": (Sampled(positive_only=True), scheme()),
    "gradient-scaled": (Sampled(slope=1.05), scheme()),
    "values-flipped-sign": (Sampled(sign=-1.0, gradient=False), scheme()),
    "values-lost-m": (Sampled(with_m=False, gradient=False), scheme()),
    "values-permuted-prior": (Sampled(q=SWAPPED, counted=Q, gradient=False), scheme()),
    "values-hits-not-removed": (Sampled(hits="keep", gradient=False), scheme()),
    "values-positive-too": (Sampled(positive_too=True, gradient=False), scheme()),
}


@pytest.mark.in_turn(7)
@pytest.mark.parametrize("name", RIGHT)
def test_right_losses_pass(name: str, seed: int) -> None:
    loss, claim, options = RIGHT[name]
    report = il.audit(loss, claim=claim, prior=PRIOR, rng=seed, **options)
    assert report.verdict == "holds", str(report)
    assert report.ok
    assert report.known_to <= 0.25 + options.get("tolerance", 0.0)
    assert report.failures == []


@pytest.mark.parametrize("name", BROKEN)
def test_broken_losses_are_refuted(name: str, seed: int) -> None:
    loss, claim = BROKEN[name]
    report = il.audit(loss, claim=claim, prior=PRIOR, rng=seed, budget="quick")
    assert report.verdict == "refuted", str(report)
    assert report.failures or report.flaws


@pytest.mark.slow
@pytest.mark.parametrize("shift", range(100))
def test_for_many_seeds(shift: int, seed: int) -> None:
    for name, (loss, claim, options) in RIGHT.items():
        assert il.audit(loss, claim=claim, prior=PRIOR, rng=seed + shift, **options).verdict == "holds", name
    for name, (broken, claim) in BROKEN.items():
        assert il.audit(broken, claim=claim, prior=PRIOR, rng=seed + shift).verdict == "refuted", name


@pytest.mark.in_turn(4)
@pytest.mark.parametrize(
    ("loss", "name"),
    [
        (Sampled(), "importance weights 1/(m q), within-batch sampling, m = 20, hits masked"),
        (Sampled(hits="keep"), "importance weights 1/(m q), within-batch sampling, m = 20, hits kept"),
        (Sampled(positive_too=True, hits="keep"), "relative weights, within-batch sampling, m = 20, hits kept"),
        (Sampled(sign=0.0), "weights of 1, within-batch sampling, m = 20, hits masked"),
        (Sampled(sign=0.0, q=UNIFORM), "weights of 1, uniform sampling, m = 20, hits masked"),
        (Sampled(with_m=False), "log q taken off without m, weights 1/q, within-batch sampling, m = 20, hits masked"),
        (
            Sampled(sign=-1.0),
            "log(m q) added in place of taken off, weights m q, within-batch sampling, m = 20, hits masked",
        ),
        (
            Sampled(positive_only=True),
            "log(m q) taken off the positive only, weights m q_y, within-batch sampling, m = 20, hits masked",
        ),
    ],
)  # fmt: skip
def test_what_fits_best_without_a_claim(loss: Any, name: str, seed: int) -> None:
    report = il.audit(loss, prior=PRIOR, rng=seed, budget="quick")
    assert report.verdict == "measured"
    assert not report.ok
    assert str(report.nearest) == name
    assert report.nearest is not None
    assert report.nearest.agrees


@pytest.mark.parametrize(
    ("loss", "name"),
    [
        (Sampled(sign=-1.0, gradient=False), "log(m q) added in place of taken off, weights m q"),
        (Sampled(positive_only=True, gradient=False), "log(m q) taken off the positive only, weights m q_y"),
        (Sampled(with_m=False, gradient=False), "log q taken off without m, weights 1/q"),
    ],
    ids=["sign", "positive-only", "lost-m"],
)
def test_slips_are_named_by_values_too(loss: Any, name: str, seed: int) -> None:
    """m is not seen by values alone: it is found from the margins, whatever their power of m; all of these are known to
    within 30 %, but with probability 1e-6."""
    report = il.audit(loss, claim="full", prior=PRIOR, rng=seed, budget="quick")
    assert report.verdict == "refuted"
    assert report.nearest is not None
    assert report.nearest.name.startswith(f"{name}, within-batch sampling, m = ")
    assert report.nearest.scheme.m == pytest.approx(M, rel=0.3)


def test_the_margins_and_their_limits(seed: int) -> None:
    """The limits hold for every margin at once, and the estimates are near; the law is that of the draws."""
    report = il.audit(Sampled(hits="keep"), prior=PRIOR, rng=seed, budget="quick")
    assert report.margins is not None
    assert report.hits is not None
    truth = np.ones((3, L))
    truth[np.arange(3), report.positives] = 0.0
    assert np.all((report.margins.low <= truth) & (truth <= report.margins.high))
    assert np.asarray(report.margins)[:, :5] == pytest.approx(truth[:, :5], rel=0.2)
    assert np.all((report.hits.low <= 1) & (report.hits.high >= 1))
    assert report.draw_statistics is not None
    assert report.draw_statistics.q == pytest.approx(Q, abs=0.01)
    assert report.draw_statistics.draws == (M, M)
    assert report.positives == (0, L // 2, L - 1)


def test_what_margins_hide(seed: int) -> None:
    """The expected gradient on each slice is the exact one, within six standard errors; counts spread evenly."""
    f = np.random.default_rng(3).normal(size=L)
    report = il.audit(Sampled(), claim=scheme(), prior=PRIOR, rng=seed, scores=f, budget="quick")
    law = report.draw_statistics
    assert law is not None
    assert law.slices == ("head", "torso", "tail")
    assert law.dispersion == pytest.approx(1.0, abs=0.3)
    share = np.exp(f) / np.exp(f).sum()
    for row, y in enumerate(report.positives):
        exact = il.integrate(scheme(), il.losses.SoftmaxCrossEntropy(), il.Problem(f, PRIOR, y), "gradient").value
        for k, part in enumerate(PRIOR.slices().values()):
            others = part[part != y]
            expected = float(np.sum(np.asarray(exact)[others]) / share[others].sum())
            assert abs(law.gradient_ratio[row, k] - expected) < 6 * law.gradient_ratio_error[row, k]
            assert law.gradient_ratio_error[row, k] < 0.2
    every = il.audit(lambda f, y, rng: over_all(f, y), claim="full", prior=PRIOR, rng=seed, runs=400)
    assert every.draw_statistics is not None
    assert every.draw_statistics.gradient_ratio == pytest.approx(1.0, abs=1e-9)
    said = " ".join(report.explain().split())
    for part in (
        "its expected gradient is that of softmax over all labels times",
        "An evaluation draws",
        "never drawn",
    ):
        assert part in said


def over_all(scores: Floats, positive: Labels) -> Any:
    """Softmax cross-entropy over all labels."""
    rows = np.arange(len(positive))
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    values = -np.log(shares[rows, positive])
    shares[rows, positive] -= 1.0
    return values, shares


def test_draws_that_come_together_are_no_independent_ones(seed: int) -> None:
    """Each draw counted four times, or shared by pairs of examples: wider limits, and the claim is not refuted."""

    def fourfold(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        inner = Sampled(m=M // 4, with_m=False)
        values, slopes = inner(scores, positive, rng)
        total = np.exp(values)[:, None]
        weights = slopes * total
        thick = 1 + (total - 1) * 4 / M
        return np.log(thick[:, 0]), weights * (4 / M) / thick

    report = il.audit(fourfold, claim=scheme(), prior=PRIOR, rng=seed, budget="quick")
    assert report.verdict in ("holds", "inconclusive"), str(report)

    def in_pairs(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        half = np.random.default_rng(rng.integers(1 << 62))
        state = half.bit_generator.state
        first = Sampled()(scores[: len(scores) // 2], positive[: len(scores) // 2], half)
        half.bit_generator.state = state
        second = Sampled()(scores[len(scores) // 2 :], positive[len(scores) // 2 :], half)
        return tuple(np.concatenate(pair) for pair in zip(first, second, strict=True))

    assert il.audit(in_pairs, claim=scheme(), prior=PRIOR, rng=seed, budget="quick").verdict in (
        "holds",
        "inconclusive",
    )


def by_weights(draw: Callable[[Floats, Labels, np.random.Generator], Floats]) -> Callable[..., Any]:
    """Softmax form with the weights (B, L) that `draw` gives, hits among them, and its gradient."""

    def loss(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        rows, weights = np.arange(len(positive)), draw(scores, positive, rng)
        hits = weights[rows, positive].copy()
        weights[rows, positive] = 0.0
        x = weights * np.exp(scores - scores[rows, positive][:, None])
        total = 1 + hits + x.sum(axis=1)
        slopes = x / total[:, None]
        slopes[rows, positive] = -slopes.sum(axis=1)
        return np.log(total), slopes

    return loss


def counted(draws: Labels) -> Floats:
    """How often each label is among the draws (B, m), (B, L)."""
    found = np.zeros((len(draws), L))
    np.add.at(found, (np.arange(len(draws))[:, None], draws), 1.0)
    return found


def without_hits(weights: Floats, positive: Labels) -> Floats:
    weights[np.arange(len(positive)), positive] = 0.0
    return weights


def _leak(scores: Floats, positive: Labels, rng: np.random.Generator) -> Floats:
    counts = counted(rng.choice(L, (len(positive), M), p=Q)) + 1e-8
    return without_hits(counts / (M * Q), positive)


def _variable(scores: Floats, positive: Labels, rng: np.random.Generator) -> Floats:
    m = int(rng.choice([2, 40]))
    return without_hits(counted(rng.choice(L, (len(positive), m), p=Q)) / (m * Q), positive)


def _noisy(scores: Floats, positive: Labels, rng: np.random.Generator) -> Floats:
    return counted(rng.choice(L, (len(positive), M), p=Q)) * rng.exponential(size=(len(positive), 1)) / (M * Q)


def _pool(scores: Floats, positive: Labels, rng: np.random.Generator) -> Floats:
    n = len(positive)
    shared = np.tile(rng.choice(L, M - 1, p=Q), (n, 1))
    return without_hits(counted(np.hstack([shared, rng.choice(L, (n, 1), p=Q)])) / (M * Q), positive)


def _disguised(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
    """In single precision, and widened afterwards."""
    values, slopes = Sampled()(scores.astype(np.float32).astype(np.float64), positive, rng)
    return values.astype(np.float32).astype(np.float64), slopes.astype(np.float32).astype(np.float64)


ODD_BUT_TRUE = {
    "a-mask-that-leaks": (by_weights(_leak), "full"),
    "a-random-number-of-draws": (by_weights(_variable), "full"),
    "random-weights-and-hits": (by_weights(_noisy), np.ones((L, L))),
    "a-pool-shared-in-part": (by_weights(_pool), "full"),
    "single-precision-in-disguise": (_disguised, "full"),
}


@pytest.mark.in_turn(3)
@pytest.mark.parametrize("name", ODD_BUT_TRUE)
def test_true_claims_of_odd_losses_are_not_refuted(name: str, seed: int) -> None:
    loss, claim = ODD_BUT_TRUE[name]
    report = il.audit(loss, claim=claim, prior=PRIOR, rng=seed, runs=6_000)
    assert report.verdict in ("holds", "inconclusive"), str(report)
    assert report.flaws == ()


@pytest.mark.slow
def test_rare_labels_that_only_leak_refute_nothing(seed: int) -> None:
    """Two thousand labels, most of them never drawn by the pilot, each with a leak of 1e-8 of a draw; p = 1 is true."""
    many = il.LabelPrior.zipf(2_000, 1.3)
    q = many.probabilities

    def leak(scores: Floats, positive: Labels, rng: np.random.Generator) -> Floats:
        draws = rng.choice(q.size, (len(positive), 5), p=q)
        counts = np.full((len(positive), q.size), 1e-8)
        np.add.at(counts, (np.arange(len(positive))[:, None], draws), 1.0)
        return without_hits(counts / (5 * q), positive)

    report = il.audit(by_weights(leak), claim="full", prior=many, rng=seed, runs=2_000)
    assert report.verdict == "inconclusive", str(report)


def test_hits_that_hardly_ever_come_refute_nothing(seed: int) -> None:
    """An array claims the hits of the rarest label, which the pilot never saw."""
    few = il.LabelPrior.zipf(L, 3.0)
    claim = np.tile(5 * few.probabilities, (L, 1))
    loss = Sampled(m=5, q=few.probabilities, sign=0.0, hits="keep")
    report = il.audit(loss, claim=claim, prior=few, rng=seed, runs=4_000)
    assert report.verdict in ("holds", "inconclusive"), str(report)


def test_labels_that_are_a_million_times_rarer_refute_nothing(seed: int) -> None:
    few = il.LabelPrior.from_counts([10**6, 1, 1])
    report = il.audit(Sampled(m=5, q=few.probabilities), claim="full", prior=few, rng=seed, runs=6_000)
    assert report.verdict == "inconclusive"


def _flat_for(labels: Any) -> Callable[..., Any]:
    """The gradient in the positive's own score is lost."""

    def loss(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        values, slopes = Sampled()(scores, positive, rng)
        lost = np.isin(positive, labels)
        slopes[np.flatnonzero(lost), positive[lost]] = 0.0
        return values, slopes

    return loss


def _prefers_high_scores(scores: Floats, positive: Labels, rng: np.random.Generator) -> Floats:
    """p = 1 in the mean over the scores, but weights of 1.4 and 0.6 for labels scored above and below the positive."""
    above = scores > scores[np.arange(len(positive)), positive][:, None]
    counts = counted(rng.choice(L, (len(positive), M), p=Q))
    return without_hits(np.where(above, 1.4, 0.6) * counts / (M * Q), positive)


def _one_label_off(scores: Floats, positive: Labels, rng: np.random.Generator) -> Floats:
    counts = counted(rng.choice(L, (len(positive), M), p=Q))
    counts[:, 7] *= 1.5
    return without_hits(counts / (M * Q), positive)


@pytest.mark.parametrize(
    ("loss", "options"),
    [
        (_flat_for([L - 1]), {}),
        (_flat_for(range(L)), {"scores": np.linspace(-1, 1, L)}),
        (by_weights(_prefers_high_scores), {}),
        (by_weights(_one_label_off), {}),
        (Sampled(counted=Q / np.where(np.arange(L) >= L // 2, 1.45, 1.0)), {}),
    ],
    ids=["no-gradient-of-one-positive", "no-gradient-of-the-positive", "looks-at-scores", "one-label", "rare-half"],
)
def test_what_hides_in_a_part_is_refuted(loss: Any, options: dict[str, Any], seed: int) -> None:
    report = il.audit(loss, claim="full", prior=PRIOR, rng=seed, **options)
    assert report.verdict == "refuted", str(report)


def test_a_cell_by_hand() -> None:
    """Sums 0, 1, 2, 1 of at most 6, where 1 was expected: mean 1, squares 2, and limits; then each way it can end."""
    part = np.array([3])
    cell = Comparison(0, "head", part, "gradient", 6.0, 1.0).with_sums(4.0, 2.0, 2.0, 4, 0.01)
    width = float(sum_half_width(2.0, 6.0, 0.01)) / 4
    assert (cell.measured, cell.low, cell.high) == (1.0, 0.0, pytest.approx(1 + width))
    assert not cell.exceeds_bound
    assert Comparison(0, "head", part, "gradient", 1.5, 1.0).with_sums(4.0, 2.0, 2.0, 4, 0.01).exceeds_bound
    never = Comparison(0, "head", part, "gradient", 6.0, 1.0).with_sums(0.0, 0.0, 0.0, 1_000, 0.01, unseen=0.5)
    assert never.high == pytest.approx(6 * math.log(32 / 0.01) / 0.95 / 1_000 + 0.5)

    def ends(low: float, high: float, claimed: float | None, tolerance: float = 0.0, **more: Any) -> str:
        measured = (low + high) / 2
        given = Comparison(0, "head", part, "gradient", 6.0, claimed, measured=measured, low=low, high=high, **more)
        return given.result(tolerance)

    assert ends(0.9, 1.1, None) == "measured"
    assert ends(0.9, 1.1, 1.0) == "holds"
    assert ends(0.7, 1.1, 1.0) == ends(0.9, 1.3, 1.0) == "inconclusive"
    assert ends(0.9, 1.1, 1.2) == ends(0.9, 1.1, 0.8) == "refuted"
    assert ends(0.9, 1.1, 1.2, tolerance=0.1) == "holds"
    assert ends(0.9, 1.1, 1.2, exceeds_bound=True) == "inconclusive"
    assert ends(0.0, 0.1, 0.0) == "refuted"
    assert ends(0.0, 0.0, 0.0) == "holds"


def test_the_error_is_shared_by_all_comparisons(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks times planned comparisons, labels, sides and hits of every positive; and by two routes, half each."""
    shares: list[float] = []
    plain = Comparison.with_sums

    def watched(
        self: Comparison, total: float, squares: float, most: float, n: int, delta: float, *rest: Any
    ) -> Comparison:
        shares.append(delta)
        return plain(self, total, squares, most, n, delta, *rest)

    monkeypatch.setattr(Comparison, "with_sums", watched)
    report = il.audit(Sampled(), claim=scheme(), prior=PRIOR, rng=seed, runs=4_000)
    planned = [c for c in report.comparisons if c.part not in (HITS, *BY_SCORE) and not c.part.startswith("label ")]
    assert shares == pytest.approx([7 / 8 * 1e-6 / (4 * (len(planned) + 3 * (L + 3)))] * len(shares))


def test_another_law_with_the_same_margins_is_said(seed: int) -> None:
    """Importance weights give p = 1 by any sampler; that it is another one is a note, and no refutation."""
    report = il.audit(Sampled(q=SWAPPED), claim=scheme(), prior=PRIOR, rng=seed, budget="quick")
    assert report.verdict == "holds"
    assert any("drawn by another law" in note.sentence for note in report.notes)
    assert il.audit(Sampled(), claim=scheme(), prior=PRIOR, rng=seed, budget="quick").notes == ()


@pytest.mark.slow
def test_draws_without_replacement_are_seen(seed: int) -> None:
    report = il.audit(Sampled(q=UNIFORM, distinct=True), claim="full", prior=PRIOR, rng=seed, runs=8_000)
    assert report.verdict == "holds"
    assert report.draw_statistics is not None
    assert report.draw_statistics.multiplicity == 1


def test_what_was_never_drawn(seed: int) -> None:
    report = il.audit(Sampled(q=TRUNCATED), prior=PRIOR, rng=seed, budget="quick")
    assert report.draw_statistics is not None
    assert report.draw_statistics.never_drawn == L - L // 2


def test_a_power_that_is_not_there_is_no_pass(seed: int) -> None:
    """With few evaluations nothing is refuted, and nothing holds."""
    report = il.audit(Sampled(), claim=scheme(), prior=PRIOR, rng=seed, runs=40)
    assert report.verdict == "inconclusive"
    assert not report.ok


def test_tolerance(seed: int) -> None:
    """A claim that is off by a third is refuted, and holds if that is as good as equal."""
    off = np.full((L, L), 4 / 3)
    np.fill_diagonal(off, 0.0)
    assert il.audit(Sampled(), claim=off, prior=PRIOR, rng=seed, budget="quick").verdict == "refuted"
    assert il.audit(Sampled(), claim=off, prior=PRIOR, rng=seed, tolerance=0.6, budget="quick").verdict == "holds"


def test_the_same_seed_gives_the_same_report(seed: int) -> None:
    first, again, other = (
        il.audit(Sampled(), claim=scheme(), prior=PRIOR, rng=s, runs=400).to_dict() for s in (seed, seed, seed + 1)
    )
    assert first == again
    assert first["comparisons"] != other["comparisons"]
    json.dumps(first)


def test_seeds_may_be_lists_of_large_numbers() -> None:
    reports = [il.audit(Sampled(gradient=False), prior=PRIOR, runs=32, rng=[2**64 - 1, k]) for k in (1, 1, 2)]
    first, same, other = (report.to_dict()["comparisons"] for report in reports)
    assert first == same != other


@pytest.mark.slow
def test_a_loss_that_does_not_repeat_itself_is_asked_for_values_too(seed: int) -> None:
    own = np.random.default_rng(seed)

    def right(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        return Sampled()(scores, positive, own)

    def wrong(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        values, _ = Sampled()(scores, positive, own)
        return values, Sampled(slope=1.3)(scores, positive, own)[1]

    def wrong_value(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        state = own.bit_generator.state
        _, slopes = Sampled()(scores, positive, own)
        own.bit_generator.state = state
        return Sampled(with_m=False)(scores, positive, own)[0], slopes

    report = il.audit(right, claim=scheme(), prior=PRIOR, rng=seed, runs=12_000)
    assert report.verdict == "holds", str(report)
    assert {cell.route for cell in report.comparisons} == {"gradient", "value"}
    for loss in (wrong, wrong_value):
        assert il.audit(loss, claim=scheme(), prior=PRIOR, rng=seed, runs=12_000).verdict == "refuted"


def test_scores_that_the_sampler_looks_at(seed: int) -> None:
    def model_based(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        f = scores[0]
        q = np.exp(f - f.max())
        return Sampled(q=q / q.sum())(scores, positive, rng)

    claim = scheme(sampler=il.samplers.ModelBased())
    assert il.audit(model_based, claim=claim, prior=PRIOR, rng=seed, budget="quick").verdict == "holds"
    assert il.audit(Sampled(sign=0.0), claim=claim, prior=PRIOR, rng=seed, budget="quick").verdict == "refuted"


def logistic(shift: Floats | float = 0.0, weight: float = 1.0) -> Callable[..., Any]:
    """Decoupled logistic loss with unit weights, NCE's shift inside the link."""

    def loss(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        g, rows = scores + shift, np.arange(len(positive))
        draws = rng.choice(L, size=(len(positive), M), p=Q)
        f = np.take_along_axis(g, draws, 1)
        own = g[rows, positive]
        values = np.logaddexp(0, -own) + weight * np.logaddexp(0, f).sum(axis=1)
        slopes = np.zeros(scores.shape)
        np.add.at(slopes, (rows[:, None], draws), weight / (1 + np.exp(-f)))
        slopes[rows, positive] -= 1 / (1 + np.exp(own))
        return values, slopes

    return loss


def test_decoupled_losses_and_shifted_logits(seed: int) -> None:
    claim = scheme(il.weightings.Unit(), hits="keep")
    shift = -np.log(M * Q)
    assert il.audit(logistic(), claim=claim, prior=PRIOR, form="logistic", rng=seed, budget="quick").verdict == "holds"
    assert (
        il.audit(
            logistic(shift), claim=claim, prior=PRIOR, form="logistic", shift=shift, rng=seed, budget="quick"
        ).verdict
        == "holds"
    )
    assert (
        il.audit(logistic(shift), claim=claim, prior=PRIOR, form="logistic", rng=seed, budget="quick").verdict
        == "refuted"
    )
    assert (
        il.audit(logistic(weight=1.5), claim=claim, prior=PRIOR, form="logistic", rng=seed, budget="quick").verdict
        == "refuted"
    )
    values_only = lambda *given: logistic()(*given)[0]  # noqa: E731
    report = il.audit(values_only, claim=claim, prior=PRIOR, form="logistic", rng=seed, budget="quick")
    assert report.verdict == "holds", str(report)


# --- words --------------------------------------------------------------------------------------------------------


def test_a_report_in_words(seed: int) -> None:
    report = il.audit(Sampled(positive_too=True), claim=scheme(), prior=PRIOR, rng=seed, budget="quick")
    text, explained, markdown = str(report), report.explain(), report.to_markdown()
    assert "REFUTED" in text
    assert repr(report).startswith(
        "AuditReport(refuted: importance weights 1/(m q), within-batch sampling, m = 20, hits masked; nearest relative"
    )
    assert "nearest  relative weights, within-batch sampling, m = 20, hits masked" in text
    assert f"seed {seed}" in text
    for part in ("head", "torso", "tail"):
        assert part in text
        assert f"| {part} |" in markdown
        assert f"{part} ×" in explained
    assert "relative weights, within-batch sampling" in explained
    assert "log π" in explained
    frame = report.to_frame()
    assert set(frame["result"]) >= {"refuted"}
    assert len(frame) == len(report.comparisons)


@pytest.mark.parametrize(
    ("of", "mark", "said"),
    [
        # Nothing can be drawn where 0 is claimed: one draw refutes, though the limits hold 0.
        ({"claimed": 0.0, "measured": 0.1, "high": 0.4}, "✗", "one hit refutes, whatever the limits"),
        ({"claimed": 1.0, "measured": 1.0, "high": 9.0}, "(?)", "the verdict does not wait for it"),
        ({"claimed": 1.0, "measured": 1.0, "high": 9.0, "decisive": True}, "?", "? open."),
        ({"claimed": 1.0, "measured": 4.0, "low": 3.0, "high": 5.0, "exceeds_bound": True, "decisive": True}, "?",
         "a call weighed more than the limits assume"),
    ],
    ids=["a hit where none is claimed", "not decisive", "decisive", "beyond the limit"],
)  # fmt: skip
def test_the_legend_explains_a_mark_that_its_limits_do_not(of: dict[str, Any], mark: str, said: str, seed: int) -> None:
    report = il.audit(
        lambda f, y, rng: over_all(f, y), claim="full", prior=PRIOR, positives=[0, 50], rng=seed, budget="quick"
    )
    hits = Comparison(0, HITS, np.array([0]), "gradient", 1.0, **of)
    others = tuple(c for c in report.comparisons if c.part != HITS)
    text = str(replace(report, comparisons=(*others, hits)))
    (row,) = [line for line in text.splitlines() if HITS in line and f"{HITS}:" not in line]
    assert row.split()[0] == mark
    assert said in " ".join(text.split())
    assert said not in " ".join(str(replace(report, comparisons=others)).split())


@pytest.mark.parametrize("gradient", [True, False], ids=["gradients", "values"])
def test_a_part_that_is_a_range_of_ranks_says_which(gradient: bool, seed: int) -> None:
    """The ranks are those of its labels, and beside values those among the others; the legend explains them."""
    report = il.audit(Sampled(gradient=gradient), claim="full", prior=PRIOR, rng=seed, runs=400)
    ranked = [c for c in report.comparisons if c.ranks is not None]
    assert {c.part for c in ranked} == {c.part for c in report.comparisons if c.part.startswith("rank")} != set()
    for c in ranked:
        order = [k for k in PRIOR.by_frequency if gradient or k != c.positive]
        ranks = [order.index(k) + 1 for k in c.labels]
        assert c.ranks == (min(ranks), max(ranks))
    shown = [replace(c, decisive=True) for c in report.comparisons]
    for parts in ([c for c in shown if c.ranks is not None], [c for c in shown if c.ranks is None]):
        text = str(replace(report, comparisons=tuple(parts)))
        assert ("ranks: labels by frequency" in text) == (parts[0].ranks is not None)


def test_a_report_can_be_kept_whether_or_not_it_was_read(seed: int) -> None:
    """What its margins are called is worked out when it is read, and worked out again where it was sent."""
    report = il.audit(Sampled(sign=-1.0), claim="full", prior=PRIOR, rng=seed, budget="quick")
    unread = pickle.loads(pickle.dumps(report))
    assert report.slips
    assert str(pickle.loads(pickle.dumps(report))) == str(unread) == str(report)


def test_a_report_says_once_that_it_had_no_gradients(seed: int) -> None:
    """Where both routes were taken, each row from values says so."""
    text = str(il.audit(Sampled(gradient=False), claim="full", prior=PRIOR, rng=seed, runs=400))
    assert text.count("values") == 1
    assert "of values alone (no gradients), seed" in text
    assert "head, from values" in str(il.audit(_wobbly, claim="full", prior=PRIOR, rng=seed, runs=400))


def test_what_unit_weights_in_a_batch_teach(seed: int) -> None:
    """Kept hits and weights of 1: log η - log π, the balanced rule."""
    report = il.audit(Sampled(sign=0.0, hits="keep"), prior=PRIOR, rng=seed, budget="quick")
    assert "right for balanced error" in " ".join(report.explain().split())


@pytest.mark.parametrize(
    ("loss", "gains", "said"),
    [
        (Sampled(sign=0.0, hits="keep"), "rare", "Rare labels gain"),
        (Sampled(q=UNIFORM, sign=0.0), "neither", "Neither frequent nor rare labels gain"),
        (Sampled(m=2), "rare", "Rare labels gain"),
    ],
    ids=["in the batch", "uniform", "two importance draws"],
)  # fmt: skip
def test_the_tilt_is_data_and_the_explanation_says_it(loss: Sampled, gains: str, said: str, seed: int) -> None:
    """Tilts are those of the scheme that fits, over all labels; nobody has to read them out of a sentence."""
    report = il.audit(loss, prior=PRIOR, rng=seed, budget="quick")
    assert report.nearest is not None
    assert report.tilt is not None
    tilts = {of: il.tilt(report.nearest.scheme, PRIOR, of) for of in ("implicit", "sampled")}
    assert report.tilt == Tilt(tilts["implicit"], tilts["sampled"], PRIOR.n_labels)
    assert report.gains == gains
    text = " ".join(report.explain().split())
    assert said in text
    assert f"over all {PRIOR.n_labels} labels" in text
    assert f"tilt of the true sampled loss is {tilts['sampled']:+.3f}" in text
    said_tilt = {"bound": tilts["implicit"], "true": tilts["sampled"], "labels": PRIOR.n_labels}
    assert report.to_dict()["tilt"] == said_tilt
    assert report.to_dict()["gains"] == gains


@pytest.mark.parametrize(
    ("tilt", "gains", "said"),
    [
        (0.3, "frequent", "Frequent labels gain: for the likeliest label take about 0.3 log π off"),
        (0.019, "neither", "Neither frequent nor rare labels gain"),
        (-0.019, "neither", "Neither frequent nor rare labels gain"),
        (-0.3, "rare", "Rare labels gain: for the likeliest label add about 0.3 log π"),
        (-0.99, "rare", "right for balanced error"),
    ],
)  # fmt: skip
def test_which_labels_gain_by_a_tilt(tilt: float, gains: str, said: str) -> None:
    report = il.audit(Sampled(sign=0.0, hits="keep"), prior=PRIOR, rng=0, runs=400)
    vars(report)["tilt"] = Tilt(-1.0, tilt, PRIOR.n_labels)
    assert report.gains == gains
    assert said in " ".join(report.explain().split())


def test_a_tilt_says_over_how_many_labels_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that occur, up to a number; fewer where the weight of a hit is no product of factors."""
    report = il.audit(Sampled(sign=0.0, hits="keep"), prior=PRIOR, rng=0, runs=400)
    assert report.nearest is not None
    odd = replace(report.nearest.scheme, weighting=KeptDuplicates(il.weightings.Relative()))
    pairs = replace(report, naming=replace(report.naming))
    vars(pairs.naming)["nearest"] = replace(report.nearest, scheme=odd)
    gaps = replace(report, prior=il.LabelPrior.from_counts([0, 0, *range(1, L - 1)]))
    monkeypatch.setattr(finding, "MOST_PAIRED_LABELS", 5)
    for one, labels in ((report, L), (pairs, 5), (gaps, L - 2)):
        assert one.tilt is not None
        assert one.tilt.labels == labels
        said = f"over all {L} labels" if labels == L else f"over {labels} of the {L} labels"
        assert said in " ".join(one.explain().split())
    monkeypatch.setattr(finding, "MOST_TILTED_LABELS", 7)
    assert replace(report, seed=1).tilt.labels == 7


def test_a_tilt_that_is_not_known_is_none(seed: int) -> None:
    """No scheme fits; the loss is no softmax; or the number of draws, which the true loss depends on, was not seen."""
    odd = il.audit(Sampled(counted=SWAPPED), prior=PRIOR, rng=seed, budget="quick")
    assert odd.nearest is None
    assert odd.slopes is not None
    claim = scheme(il.weightings.Unit(), hits="keep")
    decoupled = il.audit(logistic(), claim=claim, prior=PRIOR, form="logistic", rng=seed, budget="quick")
    assert decoupled.nearest is not None
    assert decoupled.nearest.agrees
    for report in (odd, decoupled):
        assert (report.tilt, report.gains) == (None, None)
        assert report.to_dict()["tilt"] is None
    unseen = il.audit(Sampled(gradient=False), claim="full", prior=PRIOR, rng=seed, budget="quick")
    assert unseen.nearest is not None
    assert unseen.nearest.agrees
    assert not unseen.nearest.m_known
    assert unseen.tilt is not None
    assert abs(unseen.tilt.bound) < 1e-6
    assert (unseen.tilt.true, unseen.gains) == (None, None)
    assert "How negatives are drawn was not seen" in " ".join(unseen.explain().split())


def test_a_plot(seed: int) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    report = il.audit(Sampled(), claim=scheme(), prior=PRIOR, rng=seed, runs=1_000)
    ax = report.plot()
    assert ax.get_xscale() == "log"
    assert len(ax.containers) == 3
    plt.close("all")


# --- input --------------------------------------------------------------------------------------------------------


def _mean(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
    return Sampled()(scores, positive, rng)[0].mean()


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (_mean, "the loss must return one number for each of 6 examples, got shape .*one_by_one"),
        (lambda f, y, rng: np.full(len(y), np.nan), "the loss must be finite, got nan for an example with positive 0"),
        (lambda f, y, rng: np.full(len(y), 0.7), "the loss must depend on the scores, but it was 0.7 for every"),
        (lambda f, y, rng: f, rf"one number for each of 6 examples, got shape \(6, {L}\)"),
        (lambda f, y, rng: (f[:, 0], f[:, :3]), r"the gradient must have the shape of the scores, .*got \(6, 3\)"),
        (lambda f, y, rng: (f[:, 0], f * np.inf), "the gradient must be finite"),
        (lambda f, y, rng: (f[:, 0], {"accuracy": 1}), r"got dict \(the second of two values is taken for it"),
        (lambda f, y, rng: (f[:, 0], 0.5), r"got \(\) \(the second of two values is taken for it"),
        (lambda f, y, rng: ["a"] * len(y), "the loss must be numbers"),
        (3, "the loss must be a function"),
    ],
)  # fmt: skip
def test_losses_that_cannot_be_audited(loss: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        il.audit(loss, claim="full", prior=PRIOR, rng=0, budget="quick")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"claim": "half"}, "a claim in words is 'full', got 'half'"),
        ({"claim": np.ones((3, 3))}, rf"for the prior's {L} labels and 3 audited positives, got shape \(3, 3\)"),
        ({"claim": -np.ones((L, L))}, "claimed margins must be finite and not negative"),
        ({"claim": il.margins.Softmax}, "the margin must be an instance, got the class Softmax"),
        ({"claim": {"p": 1}}, "a claim is 'full', a Scheme, a margin, an array of margins or None, got dict"),
        ({"prior": Q}, "the prior must be a LabelPrior"),
        ({"prior": il.LabelPrior.from_counts([3])}, "an audit needs at least two labels"),
        ({"positives": [L]}, f"the positive must be a label from 0 to {L - 1}, got {L}"),
        ({"positives": [1, 1]}, "the positives must be labels, each once"),
        ({"form": "hinge"}, "form must be 'softmax' or 'logistic'"),
        ({"temperature": 0.0}, "the temperature must be a positive number, got 0"),
        ({"tolerance": -0.1}, "the tolerance must be a number >= 0"),
        ({"resolution": 0.0}, "the resolution must be a positive number"),
        ({"largest_contribution": 0.5}, "largest_contribution must be at least 1"),
        ({"error": 0.0}, "the error must be a probability"),
        ({"runs": 3}, "runs must be a whole number >= 32, got 3"),
        ({"scores": [0.0]}, f"scores must cover the prior's {L} labels"),
        ({"shift": np.zeros(3)}, f"shift must cover the prior's {L} labels"),
        ({"shift": np.nan}, "shift must be finite"),
        ({"positives": 3}, "the positives must be labels in a list, got 3"),
        ({"temperature": "1"}, "the temperature must be a number, got '1'"),
        ({"tolerance": None}, "the tolerance must be a number, got None"),
        ({"error": 1e-320}, "the error must be a probability between 1e-300 and 1"),
        ({"rng": 1.5}, "rng must be a seed"),
        ({"rng": "abc"}, "rng must be a seed"),
        ({"rng": -1}, "rng must be a seed"),
        ({"claim": np.ones((L, L)) + 0j}, "claimed margins must be real numbers, got complex128"),
        ({"claim": np.ones((L, L), dtype=bool)}, "claimed margins must be real numbers, got bool"),
        ({"claim": np.ones((L, L)).astype(str)}, "claimed margins must be real numbers, got <U"),
        ({"claim": np.ones((L, L)).astype("M8[s]")}, "claimed margins must be real numbers, got datetime64"),
        ({"claim": np.ma.array(np.ones((L, L)), mask=np.eye(L))}, "claimed margins must be real numbers, got masked"),
        ({"claim": [[1.0, 2.0], [3.0]]}, "a claim is 'full', a Scheme, .* got list"),
        ({"claim": il.samplers.Uniform()}, "a claim is 'full', a Scheme, .* got Uniform"),
        ({"claim": il.losses.SoftmaxCrossEntropy()}, "a claim is 'full', a Scheme, .* got SoftmaxCrossEntropy"),
        (
            {"claim": il.margins.LogitAdjusted(100.0), "prior": il.LabelPrior.zipf(2_000, 1.3)},
            "claimed margins must be finite and not negative, but p of",
        ),
        ({"claim": scheme(il.weightings.ForMargin(il.margins.Adaptive(900.0)))}, "claimed margins must be finite"),
        ({"prior": None}, "the prior must be a LabelPrior"),
        ({"positives": "0"}, "the positives must be labels in a list, got '0'"),
        ({"positives": np.zeros((2, 50), int)}, "the positives must be labels in a list, got an array"),
        ({"positives": [[0], [1, 2]]}, r"the positive must be a whole number, got \[0\]"),
        ({"positives": [True]}, "the positive must be a whole number, got True"),
        ({"positives": [1.0]}, "the positive must be a whole number, got 1.0"),
        ({"positives": list(range(100)) * 2}, r"the positives must be labels, each once, got \[0, 1, 2"),
        ({"positives": []}, r"the positives must be labels, each once, got \[\]"),
        ({"temperature": 1 + 1j}, r"the temperature must be a number, got \(1\+1j\)"),
        ({"temperature": np.complex128(1)}, "the temperature must be a number, got"),
        ({"temperature": math.nan}, "the temperature must be a positive number, got nan"),
        ({"tolerance": math.nan}, "the tolerance must be a number >= 0, got nan"),
        ({"resolution": math.nan}, "the resolution must be a positive number, got nan"),
        ({"resolution": True}, "the resolution must be a number, got True"),
        ({"largest_contribution": math.nan}, "largest_contribution must be at least 1, got nan"),
        ({"largest_contribution": math.inf}, "largest_contribution must be at least 1, got inf"),
        ({"error": math.nan}, "the error must be a probability between 1e-300 and 1, got nan"),
        ({"error": 1.0}, "the error must be a probability between 1e-300 and 1, got 1"),
        ({"error": np.array([1e-6] * 99)}, "the error must be a number, got an array"),
        ({"runs": 1e3}, "runs must be a whole number >= 32, got 1000.0"),
        ({"runs": True}, "runs must be a whole number >= 32, got True"),
        ({"runs": math.nan}, "runs must be a whole number >= 32, got nan"),
        ({"runs": 10**10}, "runs must be at most 1,000,000,000, got 10000000000"),
        ({"temperature": 1e308}, "the temperature must be a positive number, got 1e\\+308"),
        ({"shift": [[1.0], [2.0, 3.0]]}, "shift must be numbers, got"),
        ({"shift": "a"}, "shift must be"),
        ({"shift": 1e308}, r"the shift, must lie within 300 of 0, got 1e\+308"),
        ({"scores": np.linspace(0, 900, L)}, "scores over the temperature, .* must lie within 300 of 0, got 450"),
        ({"scores": np.zeros(L), "temperature": 1e-99, "shift": np.full(L, -400.0)}, "within 300 of 0, got 400"),
        ({"form": ["softmax"]}, "form must be 'softmax' or 'logistic', got .'softmax'."),
        ({"progress": 3}, r"progress must be a function \(done, runs\), got 3"),
    ],
)  # fmt: skip
def test_arguments_that_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        il.audit(Sampled(), **{"claim": "full", "prior": PRIOR, "rng": 0, **options})
    assert len(str(caught.value)) <= 300


def test_answers_that_are_masked_are_no_numbers() -> None:
    def masked(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        return np.ma.array(scores[:, 0], mask=scores[:, 0] > 0)

    with pytest.raises(ValueError, match="the loss must be numbers, got masked ones"):
        il.audit(masked, claim="full", prior=PRIOR, rng=0, budget="quick")


def test_a_loss_whose_weights_are_no_numbers_has_a_sentence() -> None:
    """log(1 + e^800), as margins of e^800 make it, by gradients and by values."""

    def heavy(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        values, slopes = over_all(scores, positive)
        return values + 800.0, slopes

    for loss in (heavy, lambda f, y, rng: heavy(f, y, rng)[0]):
        with pytest.raises(ValueError, match="a loss of the softmax form must be at most 300, got 80"):
            il.audit(loss, claim="full", prior=PRIOR, rng=0, budget="quick")
    with pytest.raises(ValueError, match=r"a loss of the logistic form must be at most 1e\+100, got"):
        il.audit(
            lambda f, y, rng: 1e200 * f[:, 0] ** 2, claim="full", prior=PRIOR, rng=0, form="logistic", budget="quick"
        )


def test_a_scheme_that_draws_hits_only_can_be_audited(seed: int) -> None:
    """All draws are masked hits of the one positive: the loss is 0 there, and no law is compared with another."""
    only = il.Scheme(il.samplers.Explicit(np.eye(L)[0]), il.weightings.Unit(), m=2, hits="mask")
    batch = il.Minibatch(only, il.losses.SoftmaxCrossEntropy(), PRIOR)

    def loss(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        return batch(scores, positive, rng)

    with np.errstate(all="raise"):
        report = il.audit(loss, claim=only, prior=PRIOR, positives=[0], rng=seed, runs=64, scores=np.zeros(L))
    assert report.verdict != "refuted"


def test_labels_that_never_occur_can_be_audited(seed: int) -> None:
    """Two labels of count 0, which no draw ever gives: nothing is refuted, no number is nan."""
    few = il.LabelPrior.from_counts([50, 20, 10, 5, 5, 0, 0])
    for gradient in (True, False):
        for hits in ("mask", "keep"):
            loss = Sampled(m=3, q=few.probabilities, counted=np.ones(7), sign=0.0, hits=hits, gradient=gradient)
            for claim in (scheme(il.weightings.Unit(), hits=hits, m=3), np.tile(3 * few.probabilities, (7, 1)), None):
                if hits == "mask" and isinstance(claim, np.ndarray):
                    np.fill_diagonal(claim, 0.0)
                report = il.audit(loss, claim=claim, prior=few, rng=seed, runs=400)
                assert report.verdict != "refuted", str(report)
                assert not any(
                    math.isnan(x)
                    for cell in report.comparisons
                    for x in (cell.low, cell.high, cell.largest_contribution)
                )


def test_a_part_is_as_loud_as_it_should_be() -> None:
    """log(1 + e^g) = v, for parts so loud that e^v is no number, and so faint that 1 + v is 1."""
    for value in (1e-300, 1e-12, 0.5, 1.0, 30.0, 800.0):
        assert np.logaddexp(0.0, _softplus_is(value)) == pytest.approx(value, rel=1e-13)


# --- what the report says of itself -------------------------------------------------------------------------------


def _wobbly(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
    """Softmax over all labels, and a rounding more or less that no seed repeats."""
    values, slopes = over_all(scores, positive)
    return values * (1 + 1e-15 * np.random.default_rng().integers(-2, 3, size=values.size)), slopes


def _widths(loss: Any, error: float, monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, set[float]], Any]:
    """What each route's limits may be wrong by, and the report."""
    used: dict[str, set[float]] = {}
    honest = Comparison.with_sums

    def spied(
        cell: Comparison, total: float, squares: float, most: float, n: int, delta: float, *more: float, **named: float
    ) -> Comparison:
        used.setdefault(cell.route, set()).add(delta)
        return honest(cell, total, squares, most, n, delta, *more, **named)

    with monkeypatch.context() as patch:
        patch.setattr(Comparison, "with_sums", spied)
        report = il.audit(loss, claim="full", prior=PRIOR, rng=0, runs=400, error=error)
    return used, report


def test_two_routes_share_the_error_that_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has half, as if it had been asked for alone; what is reported is what was asked for and holds for both."""
    both, report = _widths(_wobbly, 1e-6, monkeypatch)
    assert any("its values were audited by themselves too" in note.sentence for note in report.notes)
    assert report.error == report.to_dict()["error"] == 1e-6
    assert "refuted with probability at most 1e-06" in str(report)
    alone, report = _widths(lambda f, y, rng: over_all(f, y), 5e-7, monkeypatch)
    assert report.error == 5e-7
    values, _ = _widths(Sampled(gradient=False), 5e-7, monkeypatch)
    assert both == alone | values
    assert set(both) == {"gradient", "value"}


@pytest.mark.parametrize(
    "loss",
    [Sampled(), Sampled(gradient=False), Sampled(slope=1.05), _wobbly, lambda f, y, rng: over_all(f, y)],
    ids=["gradients", "values", "wrong gradient", "both routes", "all labels"],
)
def test_every_call_is_counted(loss: Any, seed: int) -> None:
    asked = []

    def counted_loss(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        asked.append(positive.size)
        return loss(scores, positive, rng)

    report = il.audit(counted_loss, claim="full", prior=PRIOR, rng=seed, runs=400)
    assert report.calls == len(asked)
    assert f"calls    {len(asked):,}" in str(report)


def test_many_runs_do_not_fill_memory_with_a_pilot(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pilot is kept whole: it is no larger than it may be, however many runs are asked for."""
    from implicitloss.auditing import pilot as module

    monkeypatch.setattr(module, "KEPT_NUMBERS", 3 * L * 40)
    looked: list[int] = []
    options: dict[str, Any] = {"runs": 100_000, "progress": lambda n, _: looked.append(n)}
    il.audit(Sampled(hits="keep"), claim=scheme(), prior=PRIOR, rng=0, **options)
    assert looked[0] < 100


@pytest.mark.parametrize("gradients", [True, False])
def test_progress_is_said_between_looks(monkeypatch: pytest.MonkeyPatch, gradients: bool) -> None:
    """Looks are ever further apart: between two of them the caller hears of each call, or ten times a second."""
    from implicitloss.auditing import box as module

    def loss(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        values, slopes = Sampled(hits="keep")(scores, positive, rng)
        return (values, slopes) if gradients else values

    said: dict[float, list[int]] = {0.0: [], 1e9: []}
    for seconds, heard in said.items():
        monkeypatch.setattr(module, "SECONDS_BETWEEN_PROGRESS", seconds)
        il.audit(loss, prior=PRIOR, rng=0, runs=400, progress=lambda n, _, heard=heard: heard.append(n))
    each, looks = said[0.0], said[1e9]
    assert any(looks[-2] < n < looks[-1] for n in each)
    assert set(looks) <= set(each)
    assert max(each) == looks[-1]


# --- tests of one's own -------------------------------------------------------------------------------------------


def test_an_assertion(seed: int) -> None:
    report = il.assert_implicit_loss(Sampled(), claim=scheme(), prior=PRIOR, rng=seed)
    assert report.ok
    with pytest.raises(AssertionError, match=r"(?s)REFUTED.*nearest  log q taken off without m.*seed 5.*head"):
        il.assert_implicit_loss(Sampled(with_m=False), claim=scheme(), prior=PRIOR, rng=5)
    with pytest.raises(ValueError, match="an assertion needs a claim"):
        il.assert_implicit_loss(Sampled(), claim=None, prior=PRIOR)


def test_one_by_one(seed: int) -> None:
    coarse = {"positives": [0], "resolution": 0.5, "runs": 4_000}
    report = il.audit(il.adapters.one_by_one(_mean), claim=scheme(), prior=PRIOR, rng=seed, **coarse)
    assert report.verdict == "holds", str(report)
    with pytest.raises(ValueError, match="one_by_one is for a loss that returns one number"):
        il.audit(il.adapters.one_by_one(lambda f, y, rng: f), claim="full", prior=PRIOR, budget="quick")


def test_in_batch(seed: int) -> None:
    def softmax(queries: Floats, items: Floats, labels: Labels) -> Floats:
        logits = queries @ items.T
        return np.asarray(np.log(np.exp(logits).sum(axis=1)) - np.diag(logits))

    def of_logits(logits: Floats, labels: Labels) -> Floats:
        return np.asarray(np.log(np.exp(logits).sum(axis=1)) - np.diag(logits))

    claim = scheme(il.weightings.Unit(), hits="keep", m=15)
    for loss, given in ((softmax, "embeddings"), (of_logits, "logits")):
        adapted = il.adapters.in_batch(loss, PRIOR, 16, given=given)
        coarse = {"positives": [0, 20], "resolution": 0.5}
        report = il.audit(adapted, claim=claim, prior=PRIOR, rng=seed, runs=4_000, **coarse)
        assert report.verdict == "holds", str(report)
        assert il.audit(adapted, claim=scheme(m=15), prior=PRIOR, rng=seed, runs=500, **coarse).verdict == "refuted"
    with pytest.raises(ValueError, match=r"one number for each of 16 examples, got shape \(\)"):
        il.audit(
            il.adapters.in_batch(lambda q, i, y: softmax(q, i, y).mean(), PRIOR, 16),
            claim=claim,
            prior=PRIOR,
            budget="quick",
        )
    for options, message in (
        ({"batch": 1}, "a batch needs at least two examples, got 1"),
        ({"batch": 4, "given": "scores"}, "given must be 'embeddings' or 'logits'"),
        ({"batch": 4, "framework": "mxnet"}, r"framework must be 'numpy', .* or '.*', got 'mxnet'"),
    ):
        with pytest.raises(ValueError, match=message):
            il.adapters.in_batch(softmax, PRIOR, **options)  # type: ignore[arg-type]


def test_a_framework_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(il.adapters.framework.importlib, "import_module", missing)
    for adapter in (il.adapters.torch, il.adapters.tensorflow, il.adapters.jax):
        with pytest.raises(ValueError, match=r"this adapter needs .*: pip install"):
            adapter(lambda f, y: f)


def _counted(q: Floats, m: int, hits: str, gradient: bool, factor: Any = None) -> Any:
    """Importance weights of m draws from q; times `factor(rng)`, one for all examples of a call."""
    edges = np.cumsum(q)

    def loss(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        at = np.arange(len(positive))
        drawn = np.minimum(np.searchsorted(edges, rng.random((len(positive), m)), side="right"), q.size - 1)
        w = np.zeros(scores.shape)
        np.add.at(w, (at[:, None], drawn), 1.0)
        w *= (1.0 if factor is None else factor(rng)) / (m * q)
        hit = w[at, positive].copy() if hits == "keep" else np.zeros(len(positive))
        w[at, positive] = 0.0
        x = w * np.exp(scores - scores[at, positive][:, None])
        total = 1 + hit + x.sum(axis=1)
        slopes = x / total[:, None]
        slopes[at, positive] = -slopes.sum(axis=1)
        return (np.log(total), slopes) if gradient else np.log(total)

    return loss


STEP = il.LabelPrior.from_counts([10**4] * 50 + [1] * 50)


@pytest.mark.in_turn
@pytest.mark.parametrize("gradient", [False, True], ids=["values", "gradients"])
@pytest.mark.parametrize("hits", ["mask", "keep"])
@pytest.mark.parametrize("claim", ["scheme", "array"])
def test_labels_and_hits_that_are_never_drawn_refute_nothing(claim: str, hits: str, gradient: bool, seed: int) -> None:
    """A draw of a rare label adds ten thousand, and the pilot has none: what is known is too little, not wrong."""
    q, m = STEP.probabilities, 5
    said: Any = scheme(hits=hits, m=m) if claim == "scheme" else np.ones((100, 100)) - (hits == "mask") * np.eye(100)
    report = il.audit(_counted(q, m, hits, gradient), claim=said, prior=STEP, rng=seed, runs=3_000)
    assert report.verdict == "inconclusive", str(report)


def test_hits_that_values_never_heard_refute_nothing(seed: int) -> None:
    prior = il.LabelPrior.zipf(1000, 1.0)
    loss = _counted(prior.probabilities, 5, "keep", False)
    assert il.audit(loss, claim=np.ones((1000, 1000)), prior=prior, rng=seed, runs=2_000).verdict == "inconclusive"


def test_examples_that_share_a_factor_depend(seed: int) -> None:
    """Half or one and a half, the same for all examples of a call: as many draws of each label as ever."""
    prior = il.LabelPrior.from_probabilities(np.full(20, 1 / 20))
    loss = _counted(prior.probabilities, 100, "mask", True, lambda rng: rng.choice([0.5, 1.5]))
    report = il.audit(loss, claim="full", prior=prior, positives=[0], rng=seed, runs=2_000)
    assert report.verdict != "refuted", str(report)
    assert any("depend on each other" in note.sentence for note in report.notes)


def test_examples_that_share_their_negatives_are_said_to(seed: int) -> None:
    shared, apart = (
        il.audit(Sampled(shared=same), claim="full", prior=PRIOR, rng=seed, runs=400) for same in (True, False)
    )
    assert [note.kind for note in shared.notes] == ["shared negatives"]
    assert apart.notes == ()


def test_the_terms_of_a_call_count_once() -> None:
    """Calls of four equal terms, 0 and 1: about 1/2 a term, the sums 0 and 4 are 2 off; one by one eight terms 1/2."""
    together, alone = Sums.zeros(1, 1), Sums.zeros(1, 1)
    for terms in (np.zeros((1, 4, 1)), np.ones((1, 4, 1)), np.array([1.0, 0.0]).reshape(1, 2, 1)):
        together.add(terms, 4)
        alone.add(terms, 1)
    assert together.n == alone.n == 10
    assert float(together.squares_about(0.5)[0, 0]) == pytest.approx(8.0)
    assert float(alone.squares_about(0.5)[0, 0]) == pytest.approx(2.5)
    assert (float(together.most[0, 0]), float(alone.most[0, 0])) == (4.0, 1.0)


def _with_a_rare_factor(rare: float, factor: float, gradient: bool) -> Any:
    """40 draws of ten labels, each 1/10; all weights of a rare call are `factor` times as heavy, in the mean 1/4."""

    def loss(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        rows = np.arange(len(positive))
        a = rng.multinomial(40, np.full(10, 0.1), size=len(positive)) / 4
        a *= (factor if rng.random() < rare else 1.0) / (1 + rare * (factor - 1))
        a[rows, positive] = 0.0
        x = a * np.exp(scores - scores[rows, positive][:, None])
        total = 1 + x.sum(axis=1)
        slopes = x / total[:, None]
        slopes[rows, positive] = -slopes.sum(axis=1)
        return (np.log(total), slopes) if gradient else np.log(total)

    return loss


@pytest.mark.in_turn(1)
@pytest.mark.parametrize("gradient", [True, False], ids=["gradients", "values"])
def test_what_all_examples_of_a_rare_call_have_in_common_refutes_nothing(
    gradient: bool, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls of 32 examples, of which 2 in 100 weigh 16 times as much: most pilots of 8 calls show none.

    Limits that count examples refute what is true in some of 12 audits; these refute what is off by a factor of 3.
    """
    for module, name in (
        (pilot, "PILOT_EXAMPLES_A_CALL"),
        (values, "PILOT_EXAMPLES_A_CALL"),
        (calls, "EXAMPLES_A_CALL"),
    ):
        monkeypatch.setattr(module, name, 32)
    monkeypatch.setattr(calls, "CALLS", 1)
    prior = il.LabelPrior.from_probabilities(np.full(10, 0.1))
    options: dict[str, Any] = {"prior": prior, "positives": [0], "resolution": 0.03, "runs": 4_096}
    rare, even = _with_a_rare_factor(0.02, 16.0, gradient), _with_a_rare_factor(0.02, 1.0, gradient)

    def refuted(loss: Any, claim: Any, audits: int) -> int:
        reports = [il.audit(loss, claim=claim, rng=[seed, k], **options) for k in range(audits)]
        return sum(report.verdict == "refuted" for report in reports)

    assert refuted(rare, "full", 12) == 0
    assert refuted(even, 3 * np.ones((10, 10)) * (1 - np.eye(10)), 4) == 4
    honest = calls.Examples.of
    monkeypatch.setattr(calls.Examples, "of", lambda *a: replace(honest(*a), together=1))
    assert refuted(rare, "full", 12) > 0


def test_a_wrong_tail_is_not_passed_by_values(seed: int) -> None:
    """Torso and tail have to be known, not only half of all labels, which the head makes up."""
    tail = PRIOR.slices()["tail"]

    def wrong(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        shifted = scores.copy()
        shifted[:, tail] += np.log(1.5)
        return Sampled(m=5, sign=0.0, gradient=False)(shifted, positive, rng)

    claim = il.Scheme(il.samplers.WithinBatch(), il.weightings.Unit(), m=5, hits="mask")
    assert il.audit(wrong, claim=claim, prior=PRIOR, rng=seed, budget="quick").verdict == "refuted"


def test_what_is_settled_is_not_asked_again(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few parts take the last look; an audit of 1,000 labels that asked all of them would take twice as long."""
    monkeypatch.setattr(single, "CALLS", 0)  # single labels are asked by themselves
    asked = []

    def loss(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        asked.append(different(scores))
        return Sampled(gradient=False)(scores, positive, rng)

    report = il.audit(loss, claim=scheme(), prior=PRIOR, positives=[0, 50], rng=seed, budget="quick")
    assert report.verdict == "holds"
    assert min(asked[3:]) < max(asked)
    # What is settled holds with the evaluations it had; nothing of it is lost.
    assert len(report.comparisons) == max(asked)
    assert all(cell.result(0.0) == "holds" for cell in report.comparisons if cell.decisive)


def test_a_part_alone_is_asked_in_company(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loss may squeeze what it answers of one example; and what keeps a part company is not counted again."""
    monkeypatch.setattr(Comparison, "result", lambda cell, _: "inconclusive" if cell.part == HALF else "holds")
    monkeypatch.setattr(Comparison, "is_open", lambda cell, _: cell.part == HALF)
    asked = []

    def loss(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        asked.append(positive.size)
        return np.squeeze(Sampled(hits="keep", gradient=False, shared=True)(scores, positive, rng))

    report = il.audit(loss, claim=scheme(hits="keep"), prior=PRIOR, positives=[0], runs=2_000, rng=seed)
    assert asked[-1] == 2
    assert len(report.comparisons) > 10
    assert all(cell.low <= cell.claimed <= cell.high for cell in report.comparisons if cell.claimed is not None)


@pytest.mark.parametrize(("lowered", "verdict"), [(np.inf, "holds"), (10.0, "refuted")])
def test_a_floor_of_the_loss_is_no_hit(lowered: float, verdict: str, seed: int) -> None:
    """Probabilities clipped to [1e-7, 1 - 1e-7], by values; a mask that lowers hits by 10 leaves 4.5e-5 of them."""

    def loss(scores: Floats, positive: Labels, rng: np.random.Generator) -> Floats:
        draws = rng.choice(L, size=(len(positive), M), p=Q)
        gaps = np.take_along_axis(scores, draws, 1) - scores[np.arange(len(positive)), positive][:, None]
        weighted = np.exp(gaps - np.log(M * Q[draws]))
        hit = draws == positive[:, None]
        p = 1 / (1 + np.where(hit, np.exp(-lowered) * weighted, weighted).sum(axis=1))
        return np.asarray(-np.log(np.clip(p, 1e-7, 1 - 1e-7)))

    report = il.audit(loss, claim=scheme(), prior=PRIOR, rng=seed, budget="quick")
    assert report.verdict == verdict, str(report)


def test_more_draws_than_are_claimed_are_said(seed: int) -> None:
    """Importance weights have equal margins at any m: the claim holds, and the report names the m that was seen."""
    report = il.audit(Sampled(), claim=scheme(m=M // 2), prior=PRIOR, rng=seed, budget="quick")
    assert report.verdict == "holds"
    (note,) = [note for note in report.notes if note.kind == "another number of draws"]
    assert f"up to {M} labels, more than the {M // 2} that are claimed" in note.sentence
    assert report.nearest is not None
    assert report.nearest.scheme.m == M
    right = il.audit(Sampled(), claim=scheme(), prior=PRIOR, rng=seed, budget="quick")
    assert "another number of draws" not in {note.kind for note in right.notes}


def tail_counts(factor: float, prior: il.LabelPrior = PRIOR) -> Any:
    """Importance weights, those of the rarest third times the factor, by values."""
    weights = np.where(np.isin(np.arange(prior.n_labels), prior.slices()["tail"]), factor, 1.0)
    return Sampled(q=prior.probabilities, counted=prior.probabilities / weights, gradient=False)


def test_a_quick_audit_asks_a_third_and_sees_a_factor_of_two(seed: int) -> None:
    """Its resolution is 1: it holds where all is known to within a factor of 2, and 3 times the weight is refuted."""
    prior = il.LabelPrior.zipf(200, 1.0)  # the more labels, the more of the calls are those that decide
    asked: dict[str, int] = {"full": 0, "quick": 0}
    for budget in asked:

        def counted(scores: Floats, positive: Labels, rng: np.random.Generator, budget: str = budget) -> Any:
            asked[budget] += positive.size
            return tail_counts(1.0, prior)(scores, positive, rng)

        report = il.audit(counted, claim=scheme(), prior=prior, rng=seed, budget=budget)  # type: ignore[arg-type]
        assert report.verdict == "holds"
        assert report.known_to <= report.resolution == {"full": 0.25, "quick": 1.0}[budget]
    assert asked["quick"] < asked["full"] / 3
    assert il.audit(tail_counts(3.0, prior), claim=scheme(), prior=prior, rng=seed, budget="quick").verdict == "refuted"
    with pytest.raises(ValueError, match="budget must be 'full' or 'quick', got 'cheap'"):
        il.audit(tail_counts(1.0, prior), claim=scheme(), prior=prior, budget="cheap")  # type: ignore[arg-type]


def from_a_pool(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
    """All examples of a call draw from 8 labels that it has drawn, by values alone."""
    pool = rng.choice(L, size=8, p=Q)
    draws = rng.choice(pool, size=(len(positive), M))
    gaps = np.take_along_axis(scores, draws, 1) - scores[np.arange(len(positive)), positive][:, None]
    x = np.where(draws == positive[:, None], 0.0, np.exp(gaps) / (M * Q[draws]))
    return np.log1p(x.sum(axis=1))


@pytest.mark.parametrize(
    ("loss", "note"),
    [
        (Sampled(gradient=False), None),
        (Sampled(gradient=False, shared=True), "shared negatives"),
        (from_a_pool, "dependent examples"),
    ],
)
def test_examples_of_a_call_count_once_where_they_depend(loss: Any, note: str | None, seed: int) -> None:
    """By values too.  What is independent is called dependent with a probability of 1e-9 a part and audit."""
    asked = []

    def counted(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        if np.all(positive == 50):  # the probe of hits between rows has other labels too
            asked.append(len(positive) // different(scores))
        return loss(scores, positive, rng)

    report = il.audit(counted, claim="full", prior=PRIOR, positives=[50], runs=4_096, rng=seed)
    assert report.verdict != "refuted"
    assert {n.kind for n in report.notes} >= ({note} if note else set())
    assert (max(asked[-3:]) == 1) == (note is not None)


def test_hits_that_are_not_claimed_are_asked_for_when_they_hold(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """All but the halves hold at once; the last look has them, and the hits of both positives."""
    monkeypatch.setattr(Comparison, "result", lambda part, _: "inconclusive" if part.part == HALF else "holds")
    monkeypatch.setattr(Comparison, "is_open", lambda part, _: part.part == HALF)
    asked = []

    def loss(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        asked.append(different(scores))
        return Sampled(gradient=False)(scores, positive, rng)

    il.audit(loss, claim=scheme(), prior=PRIOR, positives=[0, 1], runs=400, rng=seed)
    assert asked[-1 - MIXED_CALLS] == 4  # hits are mixed at the end


def test_hits_are_listened_for_to_the_end(seed: int) -> None:
    """Duplicate hits of a rare positive, of which only the last is removed, come in 6.5 of 10,000 evaluations; where
    none are claimed one of them refutes.  All of 20,000 miss them with probability 3e-6."""
    wrong = Sampled(m=5, sign=0.0, gradient=False, hits="last")
    claim = il.Scheme(il.samplers.WithinBatch(), il.weightings.Unit(), m=5, hits="mask")
    assert il.audit(wrong, claim=claim, prior=PRIOR, positives=[20], rng=seed, budget="quick").verdict == "refuted"


def test_single_precision_inside_a_double_loss_is_no_wrong_gradient(seed: int) -> None:
    def loss(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        values, slopes = Sampled()(scores.astype(np.float32).astype(np.float64), positive, rng)
        return values, slopes

    assert il.audit(loss, claim="full", prior=PRIOR, rng=seed, budget="quick").verdict == "holds"
    # What is no rounding is still seen: a gradient that is one per cent off.
    assert il.audit(Sampled(slope=1.01), claim="full", prior=PRIOR, rng=seed, budget="quick").verdict == "refuted"


def test_common_slips_are_called_by_their_names(seed: int) -> None:
    def negative(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        return -Sampled(gradient=False)(scores, positive, rng)

    def deaf(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        return np.maximum(-scores[np.arange(len(positive)), positive], 0.0)

    def frozen(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        return Sampled()(scores, positive, np.random.default_rng(0))

    report = il.audit(negative, claim="full", prior=PRIOR, rng=seed, runs=400)
    assert report.verdict == "refuted"
    assert "the loss is negative" in report.flaws[0].sentence
    assert report.to_dict()["flaws"] == [{"kind": "negative loss", "sentence": str(report.flaws[0])}]
    for claim in ("full", None):
        report = il.audit(deaf, claim=claim, prior=PRIOR, rng=seed, runs=400)
        assert [flaw.kind for flaw in report.flaws] == ["no negatives"]
        assert "depends on no score but the positive's" in report.explain()
    report = il.audit(frozen, claim="full", prior=PRIOR, rng=seed, runs=400)
    assert "the same whatever the rng" in report.flaws[0].sentence
    assert [flaw.kind for flaw in report.flaws] == ["same draws"]
    plain = il.audit(Sampled(), claim="full", prior=PRIOR, rng=seed, runs=400)
    assert not any("whatever the rng" in note.sentence for note in plain.notes)
    with pytest.raises(ValueError, match=r"the loss must take \(scores, positive, rng\), but <lambda> takes \(a, b\)"):
        il.audit(lambda a, b: a, claim="full", prior=PRIOR, budget="quick")
    with pytest.raises(AttributeError) as caught:
        il.audit(lambda f, y, rng: f.gather(1, y), claim="full", prior=PRIOR, budget="quick")
    assert any("implicitloss.adapters.torch" in note for note in caught.value.__notes__)


def test_a_report_names_its_loss_and_says_what_it_leaves_out(seed: int) -> None:
    report = il.audit(Sampled(), claim=scheme(), prior=PRIOR, rng=seed, budget="quick")
    assert report.loss == "Sampled"
    assert report.to_markdown().startswith("### Sampled: ")
    assert "groups more: in JSON" in str(report)
    assert report.to_dict()["explanation"] == report.explain().splitlines()
    frequent = il.LabelPrior.zipf(1000, 1.0)
    few = il.audit(_counted(frequent.probabilities, 5, "mask", True), claim="full", prior=frequent, rng=seed, runs=400)
    assert "never drawn in the pilot" in str(few)


def test_a_slope_of_0_is_flat_only_where_it_is_known() -> None:
    said = "more", "less", "equally", "not known"
    for value, error, expected in (
        (1.0, 0.1, "more"),
        (-1.0, 0.1, "less"),
        (0.0, 0.01, "equally"),
        (0.1, 5.0, "not known"),
    ):
        assert _on_slope(Slope(value, error), *said) == expected


@pytest.mark.in_turn(1)
@pytest.mark.parametrize("gradient", [True, False], ids=["gradients", "values"])
def test_labels_of_count_0_that_never_count_keep_no_verdict_waiting(gradient: bool, seed: int) -> None:
    """They are left out and said to be; the scheme that draws the others is claimed and named as ever."""
    counts = np.round(1e4 / np.arange(1, 31))
    counts[[4, 11, 25]] = 0
    prior = il.LabelPrior.from_counts(counts)
    q = np.asarray(prior.probabilities)
    loss = Sampled(q=q, counted=np.where(q > 0, q, 1.0), m=8, gradient=gradient)
    right = il.Scheme(il.samplers.WithinBatch(), il.weightings.Importance(), m=8, hits="mask")
    for claim in ("full", right):
        report = il.audit(loss, claim=claim, prior=prior, rng=seed, budget="quick")
        assert report.verdict == "holds", str(report)
        assert str(report.nearest).startswith("importance weights 1/(m q), within-batch sampling")
        assert [note.kind for note in report.notes] == (["no count"] if claim == "full" else [])
    wrong = il.Scheme(il.samplers.WithinBatch(), il.weightings.Unit(), m=8, hits="mask")
    assert il.audit(loss, claim=wrong, prior=prior, rng=seed, budget="quick").verdict == "refuted"
    # A loss in which they count is judged by them too.
    uniform = Sampled(q=np.full(30, 1 / 30), counted=np.full(30, 1 / 30), m=8, gradient=gradient)
    assert il.audit(uniform, claim="full", prior=prior, rng=seed, budget="quick").notes == ()
    assert il.audit(uniform, claim=right, prior=prior, rng=seed, budget="quick").verdict == "refuted"


def test_a_prior_of_other_labels_than_the_loss_has_is_said(seed: int) -> None:
    """An index that is out of bounds has a note, and labels that never count are named."""
    table, prior = np.ones(12), il.LabelPrior.zipf(20, 1.0)

    def looked_up(f: Floats, y: Labels, rng: np.random.Generator) -> Any:
        return table[y] * np.square(f).sum(axis=1)

    with pytest.raises(IndexError) as caught:
        il.audit(looked_up, prior=prior, claim="full", rng=seed)
    assert caught.value.__notes__ == ["(scores have 20 labels, as many as the prior: has the loss as many?)"]

    def of_the_first(f: Floats, y: Labels, rng: np.random.Generator) -> Any:
        own, draws = np.take_along_axis(f, y[:, None], axis=1), rng.integers(0, 12, (y.size, 40))
        gaps = np.where(draws == y[:, None], -np.inf, np.take_along_axis(f, draws, axis=1) - own)
        return np.log1p(np.exp(gaps).mean(axis=1) * 12)

    claim = il.Scheme(il.samplers.Uniform(), il.weightings.Importance(), m=40, hits="mask")
    report = il.audit(of_the_first, prior=prior, claim=claim, rng=seed, budget="quick")
    assert report.verdict == "refuted"
    (note,) = [note.sentence for note in report.notes if note.kind == "never counted"]
    assert re.search(r"They are those from id 1[2-6] on: has the loss fewer labels than the prior, 20\?$", note)


@pytest.mark.parametrize("rng", [0, 5, 2**32, 7652613254232631866, 2**127 + 3, [1, 2**40, 0, 7, 9]])
def test_the_generator_of_a_call_is_that_of_its_spawn_key(rng: Any) -> None:
    found: list[np.random.Generator] = []

    def loss(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        found.append(copy.deepcopy(rng))
        return Sampled()(scores, positive, rng)

    il.audit(loss, claim="full", prior=PRIOR, rng=rng, runs=64)
    root = rng if isinstance(rng, list) else [rng]
    sequence = np.random.SeedSequence(root, spawn_key=(0, 1))
    assert found[0].random(3).tolist() == np.random.default_rng(sequence).random(3).tolist()
