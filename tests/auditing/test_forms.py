"""The form of a loss: each known one is named, right losses are not, and what is off by 2 % has no name.

Probes ask the same draws at other scores, and so no chance is involved: nothing here may fail for any seed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import implicitloss as il
from implicitloss.auditing.box import Box
from implicitloss.auditing.comparison import BY_SCORE
from implicitloss.auditing.contact import Contact, first_contact
from implicitloss.auditing.exact import use_of_rng
from implicitloss.auditing.precision import rounding
from implicitloss.auditing.question import Question
from implicitloss.auditing.state import keeps_state
from implicitloss.labels import Floats, Labels

L, M = 8, 5
PRIOR = il.LabelPrior.zipf(L, 1.0)
Q = PRIOR.probabilities
# Several forms, each with several shapes: more seeds come with IMPLICITLOSS_TEST_SEED.
SEEDS = 2
CLASS_WEIGHTS = np.linspace(0.5, 2.0, L)

Weights = Callable[[Labels, np.random.Generator], Floats]
# What a loss is of: gaps f_j - f_y (B, L), weights (B, L), 0 for the positive, hits (B,), and positives (B,).
Shape = Callable[[Any, Floats, Floats, Labels], Any]


def all_labels(positive: Labels, rng: np.random.Generator) -> Floats:
    return np.ones((len(positive), L))


def drawn(q: Floats = Q, m: int = M, weight: Floats | float = 1.0, shared: bool = False) -> Weights:
    """The number of draws of each label times its weight; the positive's own entry are hits."""

    def weights(positive: Labels, rng: np.random.Generator) -> Floats:
        n = len(positive)
        draws = np.broadcast_to(rng.choice(q.size, size=(1 if shared else n, m), p=q), (n, m))
        found = np.zeros((n, q.size))
        np.add.at(found, (np.arange(n)[:, None], draws), 1.0)
        return found * weight

    return weights


def cross_entropy(gaps: Any, a: Floats, hits: Floats, positive: Labels) -> Any:
    return np.log(1 + hits + (a * np.exp(gaps)).sum(axis=1))


@dataclass(frozen=True)
class Loss:
    """A loss of gaps, with its gradient by complex steps, or values alone.

    `keep` keeps hits; `off` makes it wrong by up to 2 %, in a way that no known form has.
    """

    shape: Shape
    weights: Weights = all_labels
    keep: bool = False
    gradient: bool = False
    off: float = 0.0
    temperature: float = 1.0

    def __call__(self, scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        rows = np.arange(len(positive))
        a = self.weights(positive, rng)
        hits = a[rows, positive] * self.keep
        a[rows, positive] = 0.0

        def values(gaps: Any) -> Any:
            found = self.shape(gaps / self.temperature, a, hits, positive)
            mean = (np.abs(a) * gaps).sum(axis=1) / np.maximum(a.sum(axis=1), 1e-300)
            return found * (1 + self.off * np.tanh(mean))

        gaps = scores - scores[rows, positive][:, None]
        if not self.gradient:
            return values(gaps)
        slopes = np.zeros(scores.shape)
        for label in range(scores.shape[1]):
            step = gaps.astype(complex)
            step[:, label] += 1e-200j
            slopes[:, label] = values(step).imag / 1e-200
        slopes[rows, positive] = 0.0
        slopes[rows, positive] = -slopes.sum(axis=1)
        return values(gaps), slopes


def smoothed(epsilon: float, n_logits: int | None = None) -> Shape:
    def shape(gaps: Any, a: Floats, hits: Floats, positive: Labels) -> Any:
        # Those of the negatives are drawn with a weight of 1.
        n = a.sum(axis=1) + 1 if n_logits is None else n_logits
        return cross_entropy(gaps, a, hits, positive) - epsilon * (a * gaps).sum(axis=1) / n

    return shape


def focal(gamma: float) -> Shape:
    def shape(*given: Any) -> Any:
        x = cross_entropy(*given)
        return (1 - np.exp(-x)) ** gamma * x

    return shape


def clipped(at: float) -> Shape:
    def shape(*given: Any) -> Any:
        x = cross_entropy(*given)
        return np.where(x.real < at, x, at)

    return shape


def without_positive(gaps: Any, a: Floats, hits: Floats, positive: Labels) -> Any:
    return np.log(hits + (a * np.exp(gaps)).sum(axis=1))


def pairs(gaps: Any, a: Floats, hits: Floats, positive: Labels) -> Any:
    n = np.maximum(a.sum(axis=1), 1.0)
    return (a * np.log(1 + np.exp(gaps))).sum(axis=1) / n


def scaled(by: Any, shape: Shape = cross_entropy) -> Shape:
    return lambda gaps, a, hits, positive: np.broadcast_to(by, L)[positive] * shape(gaps, a, hits, positive)


NAMED: dict[str, tuple[str, Shape, dict[str, Any], str]] = {
    "half": ("scaled", scaled(0.5), {}, "scaled by 0.5"),
    "mean of m": ("scaled", scaled(1 / (1 + M)), {"weights": drawn(), "keep": True}, "scaled by 0.1667"),
    "sum over a batch": ("scaled", scaled(64.0), {"weights": drawn()}, "scaled by 64"),
    "class weights": ("class-weighted", scaled(CLASS_WEIGHTS), {"weights": drawn()}, "0.5 at the positive 0"),
    "temperature": ("temperature", cross_entropy, {"weights": drawn(), "temperature": 0.2}, "temperature of 0.2"),
    "a warm one": ("temperature", cross_entropy, {"temperature": 5.0}, "temperature of 5 divides"),
    "smoothed": ("label-smoothed", smoothed(0.1), {}, "ε = 0.1 if it is spread over 8 logits"),
    "smoothed, with hits": ("label-smoothed", smoothed(0.1, M + 1), {"weights": drawn(), "keep": True}, "ε = "),
    "smoothed draws": ("label-smoothed", smoothed(0.2), {"weights": drawn(np.eye(L)[7]), "keep": True}, "0.1667 times"),
    "focal 2": ("focal", focal(2.0), {}, "γ = 2"),
    "focal .5": ("focal", scaled(0.25, focal(0.5)), {"weights": drawn()}, "γ = 0.5, scaled by 0.25"),
    "clipped": ("clipped", clipped(6.0), {"weights": drawn()}, "clipped at 6"),
    "clipped low": ("clipped", clipped(3.0), {}, "clipped at 3"),
    "decoupled contrastive": ("positive missing", without_positive, {}, "missing from the denominator"),
    "pairs": ("pairs", pairs, {"weights": drawn()}, "a mean of pairs"),
}  # fmt: skip
CAN_BE_UNDONE = ("scaled", "class-weighted", "temperature")
POSITIVES = [0, 6]


def contact(loss: Any, seed: int, prior: il.LabelPrior = PRIOR, **options: Any) -> Contact:
    """The first calls of an audit."""
    given: dict[str, Any] = {
        "claim": None, "positives": None, "scores": None, "form": "softmax", "temperature": 1.0, "shift": 0.0,
        "tolerance": 0.0, "resolution": 0.25, "largest_contribution": 10.0, "runs": 64, "budget": "full", "error": 1e-6,
        "rng": seed, **options,
    }  # fmt: skip
    question = Question.of(prior=prior, **given)
    return first_contact(question, Box(loss, question))


@pytest.mark.in_turn(15)
@pytest.mark.parametrize("gradient", [False, True], ids=["values", "gradients"])
@pytest.mark.parametrize("name", NAMED)
def test_a_form_is_named_and_nothing_is_said_of_its_margins(name: str, gradient: bool, seed: int) -> None:
    kind, shape, options, said = NAMED[name]
    loss = Loss(shape, gradient=gradient, **options)
    for positives in (POSITIVES, [3, 1])[: 1 if gradient else 2]:
        claimed, alone = (
            il.audit(loss, claim=claim, prior=PRIOR, positives=positives, rng=seed, runs=64) for claim in ("full", None)
        )
        assert claimed.verdict == "refuted", str(claimed)
        assert kind in {flaw.kind for flaw in claimed.flaws}
        assert alone.verdict == "measured"
        found = alone.notes if kind in CAN_BE_UNDONE else alone.flaws
        (sentence,) = [str(item) for item in found if item.kind == kind]
        if name != "class weights" or positives == POSITIVES:
            assert said in sentence
        if kind in CAN_BE_UNDONE:
            assert alone.comparisons
            continue
        for report in (claimed, alone):
            text = " ".join([report.explain(), str(report), report.to_markdown(), *report.to_dict()["explanation"]])
            assert sentence[:40] in " ".join(text.split())
            assert (report.nearest, report.margins, report.comparisons, report.tilt, report.gains) == (
                None, None, (), None, None,
            )  # fmt: skip
            for word in ("margins (how", "gain", "weights of", "slope +", "slope -", "expected gradient"):
                assert word not in text, word


@pytest.mark.parametrize("name", NAMED)
def test_a_form_is_named_whatever_the_seed(name: str, seed: int) -> None:
    kind, shape, options, said = NAMED[name]
    for shift in range(SEEDS):
        observed = contact(Loss(shape, **options), seed + shift, positives=POSITIVES).observed
        (found,) = [item for item in (*observed.flaws, *observed.notes) if item.kind == kind]
        assert said in found.sentence


def test_hits_replaced_by_a_number_in_a_smoothed_loss_are_seen_where_the_first_probe_has_none(seed: int) -> None:
    """Its first probe has no hit in four of ten audits, and looks like that of a smoothed loss without hits."""

    def loss(scores: Floats, positive: Labels, rng: np.random.Generator) -> Floats:
        draws = rng.choice(L, size=(len(positive), 2), p=Q)
        own, f = (np.take_along_axis(scores, labels, 1) for labels in (positive[:, None], draws))
        logits = np.hstack([own, np.where(draws == positive[:, None], -30.0, f)])
        return np.logaddexp.reduce(logits, axis=1) - 0.9 * logits[:, 0] - 0.1 * logits.mean(axis=1)

    claim = il.Scheme(il.samplers.WithinBatch(), il.weightings.Unit(), m=2, hits="mask")
    for shift in range(10):
        (flaw,) = contact(loss, seed + shift, positives=[1], claim=claim).observed.flaws
        assert "is it label-smoothed, and are the logits of hits replaced by a number?" in flaw.sentence


@pytest.mark.in_turn(6)
@pytest.mark.parametrize("name", NAMED)
def test_what_is_two_per_cent_off_has_no_name(name: str, seed: int) -> None:
    """By gradients it is another form; by values of draws it may be a sampler that looks at the scores."""
    _, shape, options, _ = NAMED[name]
    for shift in range(SEEDS):
        for gradient in (False, True):
            loss = Loss(shape, off=0.02, gradient=gradient, **options)
            found = contact(loss, seed + shift, positives=POSITIVES)
            kinds = {item.kind for item in (*found.observed.flaws, *found.observed.notes)}
            assert not kinds & {item[0] for item in NAMED.values()}, kinds
            assert kinds & {"another form", "unknown form", "negative loss"}
            if gradient:
                assert not found.can_go_on


@pytest.mark.parametrize("term", ["hinge", "two per cent off"])
def test_a_sum_of_other_terms_is_no_sum_of_pairs(term: str, seed: int) -> None:
    def shape(gaps: Any, a: Floats, hits: Floats, positive: Labels) -> Any:
        softplus = np.log(1 + np.exp(gaps))
        each = np.maximum(1 + gaps, 0) if term == "hinge" else softplus * (1 + 0.02 * np.tanh(gaps))
        return (a * each).sum(axis=1)

    for shift in range(SEEDS):
        observed = contact(Loss(shape, drawn()), seed + shift, positives=POSITIVES).observed
        (found,) = (*observed.flaws, *observed.notes)
        # Hinges reach into both halves of the negatives at once only now and then.
        assert found.kind == "another form" or (term == "hinge" and found.kind == "unknown form")
        if found.kind == "another form":
            assert "a sum over negatives, each by itself" in found.sentence


@pytest.mark.parametrize("of", ["mean", "hardest"])
def test_one_pair_for_all_negatives_is_neither_a_softmax_nor_a_mean_of_pairs(of: str, seed: int) -> None:
    """As all negatives move together, its curve is that of both; the halves of the negatives tell."""

    def shape(gaps: Any, a: Floats, hits: Floats, positive: Labels) -> Any:
        hardest = np.argmax(np.where(a > 0, gaps.real, -np.inf), axis=1)
        mean = (a * gaps).sum(axis=1) / a.sum(axis=1)
        return np.log(1 + np.exp(mean if of == "mean" else gaps[np.arange(len(gaps)), hardest]))

    for shift in range(SEEDS):
        for gradient in (False, True):
            observed = contact(Loss(shape, gradient=gradient), seed + shift, positives=POSITIVES).observed
            assert [flaw.kind for flaw in observed.flaws] == ["another form"]
            assert "not of the softmax form" in observed.flaws[0].sentence


@pytest.mark.slow
def test_what_can_be_divided_out_is_audited_on(seed: int) -> None:
    """What is left of a scaled importance-weighted loss holds, part by part, at its own temperature."""
    right = drawn(Q, 40, 1 / (40 * Q))
    for shape, options in ((scaled(0.5), {}), (scaled(CLASS_WEIGHTS), {}), (cross_entropy, {"temperature": 0.4})):
        for gradient in (False, True) if shape is cross_entropy else (True,):
            loss = Loss(shape, right, gradient=gradient, **options)
            report = il.audit(loss, prior=PRIOR, positives=POSITIVES, rng=seed, runs=2_000)
            assert str(report.nearest).startswith("importance weights 1/(m q), ")
            assert "divided out" in report.explain()
            for part in report.comparisons:
                if part.part in ("head", "torso", "tail"):
                    assert part.measured == pytest.approx(part.labels.size, rel=0.2)


def test_a_gradient_alone_that_is_scaled_is_no_scaled_loss(seed: int) -> None:
    def loss(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        values, slopes = Loss(cross_entropy, gradient=True)(scores, positive, rng)
        return values, 4 * slopes

    report = il.audit(loss, claim="full", prior=PRIOR, rng=seed, runs=64)
    assert [flaw.kind for flaw in report.flaws] == ["wrong gradient"]
    assert "4 times the difference" in report.flaws[0].sentence
    # A loss that is scaled has a gradient that is scaled with it: that is no second flaw.
    both = il.audit(Loss(scaled(4.0), gradient=True), claim="full", prior=PRIOR, rng=seed, runs=64)
    assert [flaw.kind for flaw in both.flaws] == ["scaled"]


def test_where_a_factor_may_come_from(seed: int) -> None:
    claim = il.Scheme(il.samplers.WithinBatch(), il.weightings.Unit(), m=M, hits="keep")
    for factor, said in ((1 / (1 + M), "a mean over the positive and its 5 negatives?"), (1 / M, "over 5 negatives?")):
        loss = Loss(scaled(factor), drawn(), keep=True)
        report = il.audit(loss, claim=claim, prior=PRIOR, positives=POSITIVES, rng=seed, runs=64)
        assert said in report.flaws[0].sentence


# --- right losses -------------------------------------------------------------------------------------------------


def _rounded(array: Floats, bits: int) -> Floats:
    """The numbers with the last `bits` of the 52 of their mantissas rounded off: 45 is bfloat16, 42 float16."""
    whole = np.ascontiguousarray(array, dtype=np.float64).view(np.uint64)
    unit = np.uint64(1 << bits)
    return ((whole + unit // np.uint64(2)) // unit * unit).view(np.float64)


def half_precision(bits: int, inner: Any) -> Any:
    return lambda scores, positive, rng: inner(_rounded(scores, bits), positive, rng)


def single(inner: Any) -> Any:
    def loss(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        return np.asarray(inner(scores.astype(np.float32), positive, rng), dtype=np.float32)

    return loss


def masked_by(value: float) -> Any:
    """Importance weights; hits have their logit replaced by a number that is very low."""

    def loss(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        n = scores.shape[1]
        draws = rng.integers(0, n, size=(len(positive), M))
        own = np.take_along_axis(scores, positive[:, None], 1)
        f = np.where(draws == positive[:, None], value, np.take_along_axis(scores, draws, 1) - np.log(M / n))
        return np.logaddexp.reduce(np.hstack([own, f]), axis=1) - own[:, 0]

    return loss


def guarded(guard: float) -> Any:
    return lambda scores, positive, rng: -np.log(np.exp(-Loss(cross_entropy)(scores, positive, rng)) + guard)


def looks_at_scores(scores: Floats, positive: Labels, rng: np.random.Generator) -> Floats:
    """Importance weights of draws by the model's own probabilities: softmax over all labels in the mean."""
    q = np.exp(scores)
    q /= q.sum(axis=1, keepdims=True)
    draws = (rng.random((len(positive), M, 1)) > np.cumsum(q, axis=1)[:, None, :-1]).sum(axis=2)
    f = np.take_along_axis(scores - np.log(M * q), draws, 1)
    own = np.take_along_axis(scores, positive[:, None], 1)
    return np.log1p(np.where(draws == positive[:, None], 0.0, np.exp(f - own)).sum(axis=1))


def binary(
    m: int = M, shift: Floats | float = 0.0, beta: float = 1.0, smooth: float = 0.0, outer: Any = None,
    temperature: float = 1.0,
) -> Any:  # fmt: skip
    """A decoupled loss; the positive pays β, and each pays a share for being wrong the other way."""

    def loss(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        g = scores / temperature + shift
        f = np.take_along_axis(g, rng.choice(L, size=(len(positive), m), p=Q), 1)
        own = np.take_along_axis(g, positive[:, None], 1)[:, 0]
        pays = (1 - smooth) * np.logaddexp(0, -own) + smooth * np.logaddexp(0, own)
        values = beta * pays + ((1 - smooth) * np.logaddexp(0, f) + smooth * np.logaddexp(0, -f)).sum(axis=1)
        return values if outer is None else outer(values)

    return loss


def margin_shifted(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
    """LDAM: a margin is taken off the positive, and a scale of 30 multiplies all logits."""
    moved = scores.copy()
    moved[np.arange(len(positive)), positive] -= 0.5 / Q[positive] ** 0.25 / 8
    return Loss(cross_entropy)(30 * moved, positive, rng)


FEW, MANY = il.LabelPrior.from_counts([5, 1]), il.LabelPrior.zipf(300, 1.0)


def _of_two(scores: Floats, positive: Labels, rng: np.random.Generator) -> Floats:
    draws = rng.choice(2, size=(len(positive), 1), p=FEW.probabilities)
    own = np.take_along_axis(scores, positive[:, None], 1)
    return np.logaddexp(0, np.take_along_axis(scores, draws, 1) - own)[:, 0]


def _of_many(scores: Floats, positive: Labels, rng: np.random.Generator) -> Floats:
    top = scores.max(axis=1)
    own = np.take_along_axis(scores, positive[:, None], 1)[:, 0]
    return np.log(np.exp(scores - top[:, None]).sum(axis=1)) + top - own


RIGHT: dict[str, tuple[Any, dict[str, Any]]] = {
    "over all labels": (Loss(cross_entropy), {}),
    "with gradients": (Loss(cross_entropy, drawn(), gradient=True), {}),
    "importance weights": (Loss(cross_entropy, drawn(Q, M, 1 / (M * Q))), {}),
    "heavy hits": (Loss(cross_entropy, drawn(Q, M, 1e3), keep=True), {}),
    "hits of a hundred thousand": (Loss(cross_entropy, drawn(Q, 2, 1e5), keep=True, gradient=True), {}),
    "tiny weights": (Loss(cross_entropy, drawn(Q, M, 1e-3)), {}),
    "one negative": (Loss(cross_entropy, drawn(Q, 1), keep=True), {}),
    "one negative, a mean of pairs": (Loss(pairs, drawn(np.eye(L)[5], 1)), {"positives": POSITIVES}),
    "two labels": (_of_two, {"prior": FEW}),
    "a batch's own negatives": (Loss(cross_entropy, drawn(shared=True), keep=True), {}),
    "masked by -inf": (masked_by(-np.inf), {}),
    "masked by -1e9": (masked_by(-1e9), {}),
    "masked by finfo.min": (masked_by(float(np.finfo(np.float32).min)), {}),
    "float32, masked by -1e9": (single(masked_by(-1e9)), {}),
    "float32": (single(Loss(cross_entropy, drawn())), {}),
    "float32, 300 labels": (single(_of_many), {"prior": MANY}),
    "bfloat16 inside": (half_precision(45, Loss(cross_entropy, drawn(Q, M, 1 / (M * Q)))), {}),
    "float16 inside": (half_precision(42, Loss(cross_entropy, drawn(Q, M, 1 / (M * Q)), gradient=True)), {}),
    "bfloat16, 300 labels": (half_precision(45, _of_many), {"prior": MANY}),
    "a guard of 1e-7": (guarded(1e-7), {}),
    "a guard of 1e-10": (guarded(1e-10), {}),
    "a guard of 1e-20": (guarded(1e-20), {}),
    "a guard of 1e-24": (guarded(1e-24), {}),
    "a guard of 1e-30": (guarded(1e-30), {}),
    "a temperature that is said": (Loss(cross_entropy, drawn(), temperature=0.05), {"temperature": 0.05}),
    "a margin and a scale": (margin_shifted, {"temperature": 1 / 30}),
    "draws by the scores": (looks_at_scores, {}),
    "logistic": (binary(), {"form": "logistic"}),
    "logistic, shifted": (binary(shift=-np.log(M * Q)), {"form": "logistic", "shift": -np.log(M * Q)}),
    "logistic, a temperature that is said": (binary(temperature=0.05), {"form": "logistic", "temperature": 0.05}),
    "logistic, float32": (single(binary()), {"form": "logistic"}),
    "logistic, bfloat16": (half_precision(45, binary()), {"form": "logistic"}),
}  # fmt: skip


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_loss_has_no_flaw_whatever_the_seed(name: str, seed: int) -> None:
    loss, options = RIGHT[name]
    for shift in range(SEEDS):
        found = contact(loss, seed + shift, **options)
        assert found.observed.flaws == (), found.observed.flaws
        assert found.can_go_on
        kinds = {note.kind for note in found.observed.notes}
        assert kinds <= {"same answers", "ignores rng", "bounded", "unknown form", "large scores"}, kinds
        assert ("large scores" in kinds) <= (name == "float32")
        assert ("unknown form" in kinds) <= (name == "draws by the scores")


LARGE: dict[str, tuple[Any, str]] = {
    "exponentials of float16": (
        lambda f: np.log(np.exp(f.astype(np.float16)).sum(axis=1, dtype=np.float16)),
        "by up to 5; it is no number where all are larger by 10",
    ),
    "exponentials of float32": (
        lambda f: np.log(np.exp(f.astype(np.float32)).sum(axis=1)),
        "by up to 50; it is no number where all are larger by 100",
    ),
    "scores above 70 cut off": (
        lambda f: np.log(np.exp(f).sum(axis=1)) - np.maximum(f.max(axis=1) - 70, 0), "by up to 50; it is "
    ),
    "exponentials of float64": (lambda f: np.log(np.exp(f).sum(axis=1)), ""),
    "the largest taken off": (
        lambda f: np.log(np.exp((f - f.max(axis=1, keepdims=True)).astype(np.float16)).sum(axis=1)) + f.max(axis=1), ""
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LARGE)
def test_an_overflow_at_large_scores_is_said(name: str, seed: int) -> None:
    """The claim is about scores of any size, and so the report says up to which the loss was seen to be right."""
    log_sum, said = LARGE[name]

    def loss(scores: Floats, positive: Labels, rng: np.random.Generator) -> Floats:
        with np.errstate(all="ignore"):
            own = np.take_along_axis(scores, positive[:, None], 1)
            return np.asarray(log_sum(scores), dtype=np.float64) - own[:, 0]

    for shift in range(SEEDS):
        observed = contact(loss, seed + shift).observed
        assert not observed.flaws, observed.flaws
        found = [note.sentence for note in observed.notes if note.kind in ("large scores", "bounded")]
        assert len(found) == bool(said), found
        assert said in "".join(found)


def test_a_sum_that_is_rounded_is_no_other_form(seed: int) -> None:
    """Exponentials and their sum in half precision: it hardly moves with a score that is a small part of it."""

    def loss(scores: Floats, positive: Labels, rng: np.random.Generator) -> Floats:
        top, own = scores.max(axis=1), np.take_along_axis(scores, positive[:, None], 1)[:, 0]
        return np.log(np.exp((scores - top[:, None]).astype(np.float16)).sum(axis=1)).astype(np.float64) + top - own

    for shift in range(40):
        assert contact(loss, seed + shift).observed.flaws == ()


def test_a_guard_is_said_where_it_is_near(seed: int) -> None:
    (said,) = [note for note in contact(guarded(1e-7), seed).observed.notes if note.kind == "bounded"]
    assert said.sentence == "the loss does not rise above 16.1: probabilities below 1e-07 are cut off"


def test_draws_by_the_scores_are_audited_and_not_named(seed: int) -> None:
    """The claim holds in the mean; which scheme it is cannot be said."""
    report = il.audit(looks_at_scores, claim="full", prior=PRIOR, rng=seed, runs=4_000)
    # All parts are as claimed, and no claim passes all the same.
    assert all(c.result(0.0) == "holds" for c in report.comparisons if c.decisive)
    assert report.verdict == "inconclusive", str(report)
    assert report.nearest is None
    assert "No scheme is named" in " ".join(report.explain().split())


# --- several positives --------------------------------------------------------------------------------------------


def mean_over_positives(padded: bool, of: Any = None) -> Any:
    """A mean of cross-entropies over the positives that are not padding: the label, and label 5, or two of padding."""

    def loss(scores: Floats, positive: Labels, rng: np.random.Generator) -> Floats:
        others = np.full((len(positive), 2), -1) if padded else np.array([[5, -1]] * len(positive))
        ids = np.column_stack([positive, others])
        counts = ids >= 0
        negatives = np.ones(scores.shape) if of is None else of(positive, rng)
        own = np.take_along_axis(scores, np.maximum(ids, 0), 1)
        x = negatives[:, None] * np.exp(scores[:, None] - own[:, :, None])
        x[np.arange(len(ids))[:, None], np.arange(3), np.maximum(ids, 0)] = 1.0
        return (np.log(x.sum(axis=2)) * counts).sum(axis=1) / counts.sum(axis=1)

    return loss


@pytest.mark.parametrize("of", [None, drawn(Q, M, 1 / (M * Q))], ids=["all", "drawn"])
def test_a_mean_over_several_positives_is_named(of: Any, seed: int) -> None:
    """It is not label-smoothed; with one positive and padding it is a right loss."""
    (flaw,) = contact(mean_over_positives(False, of), seed, positives=POSITIVES).observed.flaws
    assert flaw.kind == "several positives"
    assert "whatever is drawn: 5. Is it a mean over the positives of an example? To audit it, give" in str(flaw)
    assert contact(mean_over_positives(True, of), seed, positives=POSITIVES).observed.flaws == ()


def test_a_loss_of_hits_alone_follows_its_positive_by_rounding_only(seed: int) -> None:
    """(f_y + log w) - f_y is log w but for the last bit: a fifth of such audits saw no negatives."""
    prior = il.LabelPrior.from_probabilities([0.9] + [0.1 / 20] * 20)
    q, m = prior.probabilities, 4

    def loss(scores: Floats, positive: Labels, rng: np.random.Generator) -> Floats:
        draws, own = rng.choice(q.size, size=(positive.size, m), p=q), scores[np.arange(positive.size), positive]
        terms = np.take_along_axis(scores, draws, 1) - np.log(m * q[draws]) - own[:, None]
        return np.logaddexp(0.0, np.logaddexp.reduce(terms, axis=1))

    claimed = il.Scheme(il.samplers.WithinBatch(), il.weightings.Importance(), m=m, hits="keep")
    for shift in range(60):
        found = contact(loss, seed + shift, prior, claim=claimed, positives=[0])
        assert found.observed.flaws == ()


# --- logistic -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loss", "form", "kind", "said"),
    [
        (binary(beta=0.2), "logistic", "gBCE", "β = 0.2 times"),
        (binary(outer=lambda values: values / (1 + M)), "logistic", "gBCE", "β = 0.1667 times"),
        (binary(smooth=0.1), "logistic", "label-smoothed", "label-smoothed: negatives pay 0."),
        (binary(outer=lambda values: np.minimum(values, 8.0)), "logistic", "clipped", "does not rise above 8"),
        (binary(outer=np.sqrt), "logistic", "another form", "not of the logistic form"),
        (binary(shift=-np.log(M * Q)), "logistic", "another form", "is there a shift=?"),
        (Loss(cross_entropy), "logistic", "softmax", 'pass form="softmax"'),
        (binary(), "softmax", "decoupled", 'pass form="logistic" to'),
        (binary(temperature=0.1), "softmax", "decoupled", 'pass form="logistic" and temperature=0.1 to'),
    ],
    ids=["gBCE", "mean", "smoothed", "clipped", "root", "shift", "softmax", "decoupled", "decoupled-temperature"],
)  # fmt: skip
def test_logistic_losses(loss: Any, form: str, kind: str, said: str, seed: int) -> None:
    for shift in range(SEEDS):
        observed = contact(loss, seed + shift, form=form).observed
        found = [item for item in observed.flaws if item.kind == kind]
        # Of a loss that draws, and has no gradients, another form is no more than a note.
        found += [item for item in observed.notes if item.kind == "unknown form" and kind == "another form"]  # type: ignore[misc]
        # What can be taken off is a note where nothing is claimed.
        found += [item for item in observed.notes if item.kind == kind == "gBCE"]  # type: ignore[misc]
        assert found, observed
        assert said in found[0].sentence


def test_a_shift_that_lacks_m_is_another_one(seed: int) -> None:
    """Noise-contrastive losses with log q in place of log(m q) have a shift, which is not the given one."""
    report = il.audit(
        binary(shift=-np.log(Q)), claim="full", prior=PRIOR, form="logistic", shift=-np.log(M * Q), rng=seed, runs=64
    )
    assert "is its shift another than shift=?" in " ".join(str(report).split())


@pytest.mark.parametrize("shift", [0.0, -3.0, -np.log(M * Q)], ids=["no-shift", "shift", "shifts"])
@pytest.mark.parametrize("beta", [1.0, 0.5])
@pytest.mark.parametrize("temperature", [0.01, 0.5, 1.01, 14.0])
def test_the_temperature_of_a_logistic_loss_is_named(temperature: float, beta: float, shift: Any, seed: int) -> None:
    """And what the positive pays besides."""
    found = contact(binary(temperature=temperature, beta=beta, shift=shift), seed, form="logistic", shift=shift)
    kind = "temperature" if beta == 1.0 else "gBCE"
    (note,) = (note for note in found.observed.notes if note.kind == kind)
    assert f"a temperature of {temperature:g} divides the scores" in note.sentence
    assert ("the positive pays β = 0.5 times" in note.sentence) == (beta == 0.5)
    assert found.question.temperature == pytest.approx(temperature, rel=1e-5)
    assert found.can_go_on


@pytest.mark.in_turn
@pytest.mark.parametrize("gradient", [False, True], ids=["values", "gradients"])
@pytest.mark.parametrize("tail", [1.0, 2.0])
def test_the_temperature_of_a_logistic_loss_is_taken_off(tail: float, gradient: bool, seed: int) -> None:
    """What is left is measured: nothing but the temperature is wrong, or rare labels count twice, too."""
    rare = PRIOR.slices()["tail"]
    weight = np.where(np.isin(np.arange(L), rare), tail, 1.0)

    def loss(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        rows, g = np.arange(len(positive)), 10 * scores
        a = drawn(Q, M, weight)(positive, rng)
        a[rows, positive] = 0.0
        slopes = a / (1 + np.exp(-g))
        slopes[rows, positive] = -1 / (1 + np.exp(g[rows, positive]))
        values = np.logaddexp(0, -g[rows, positive]) + (a * np.logaddexp(0, g)).sum(axis=1)
        return (values, 10 * slopes) if gradient else values

    claim = il.Scheme(il.samplers.WithinBatch(), il.weightings.Unit(), m=M, hits="mask")
    given: dict[str, Any] = {"prior": PRIOR, "form": "logistic", "positives": POSITIVES, "rng": seed, "runs": 4_000}
    report = il.audit(loss, claim=claim, **given)
    assert report.verdict == "refuted"
    assert [flaw.kind for flaw in report.flaws] == ["temperature"]
    assert "a temperature of 0.1 divides the scores; this was divided out" in str(report.flaws[0])
    assert bool(report.failures) == (tail == 2.0), str(report)
    assert all(np.isin(c.labels, rare).any() for c in report.failures)
    assert not any(note.kind == "coarse" for note in report.notes)
    assert (str(report.nearest) == str(il.audit(loss, claim=claim, temperature=0.1, **given).nearest)) or tail == 2.0


def test_a_line_is_no_positive_that_pays_less(seed: int) -> None:
    """A large temperature leaves a line of the positive's term: no β times it, beside a term that cancels its curve."""

    def loss(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        a, g = drawn(Q, M, 1 / M)(positive, rng), scores / 14
        a[np.arange(len(positive)), positive] = 0.0
        own = np.take_along_axis(g, positive[:, None], 1)[:, 0]
        return np.logaddexp(0, -own) + (a * np.logaddexp(0, g)).sum(axis=1)

    found = contact(loss, seed, form="logistic")
    assert [note.kind for note in found.observed.notes] == ["temperature"]
    assert "a temperature of 14 divides the scores" in found.observed.notes[0].sentence


class Cosines:
    """A loss of cosines: it has no values at scores above 1."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def largest_spread(self) -> float:
        return 0.2

    def __call__(self, scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        if np.abs(scores).max() > 1.0:
            raise ValueError("these are no cosines")
        return self.inner(scores, positive, rng)


@pytest.mark.parametrize("temperature", [0.05, 0.2])
def test_the_temperature_of_logistic_losses_of_cosines_is_named(temperature: float, seed: int) -> None:
    loss = Cosines(binary(temperature=temperature))
    (note,) = (note for note in contact(loss, seed, form="logistic").observed.notes if note.kind == "temperature")
    assert f"a temperature of {temperature:g} divides the scores" in note.sentence
    right = contact(loss, seed, form="logistic", temperature=temperature)
    assert [note.kind for note in right.observed.notes] == ["bounded"]
    assert right.observed.flaws == ()


@pytest.mark.in_turn
@pytest.mark.parametrize("gradient", [False, True], ids=["values", "gradients"])
@pytest.mark.parametrize("tail", [1.0, 2.0])
def test_what_the_positive_pays_is_taken_off(tail: float, gradient: bool, seed: int) -> None:
    """β times the positive's term, as in gBCE: that is a flaw, and the margins are measured all the same."""
    rare = PRIOR.slices()["tail"]
    weight = np.where(np.isin(np.arange(L), rare), tail, 1.0)

    def loss(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        rows = np.arange(len(positive))
        a = drawn(Q, M, weight)(positive, rng)
        a[rows, positive] = 0.0
        own = scores[rows, positive]
        values = 0.3 * np.logaddexp(0, -own) + (a * np.logaddexp(0, scores)).sum(axis=1)
        slopes = a / (1 + np.exp(-scores))
        slopes[rows, positive] = -0.3 / (1 + np.exp(own))
        return (values, slopes) if gradient else values

    claim = il.Scheme(il.samplers.WithinBatch(), il.weightings.Unit(), m=M, hits="mask")
    given: dict[str, Any] = {"prior": PRIOR, "form": "logistic", "positives": POSITIVES, "rng": seed, "runs": 4_000}
    report = il.audit(loss, claim=claim, **given)
    assert report.verdict == "refuted"
    assert [flaw.kind for flaw in report.flaws] == ["gBCE"]
    assert "β = 0.3 times" in str(report.flaws[0])
    assert bool(report.failures) == (tail == 2.0), str(report)
    assert all(np.isin(c.labels, rare).any() for c in report.failures)
    if tail == 1.0:
        assert il.audit(loss, claim=None, **given).verdict == "measured"


def test_another_form_contradicts_a_scheme_and_passes_no_claim(seed: int) -> None:
    """Draws of the claimed scheme do not look at the scores; those of a claimed margin may."""

    def loss(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        return Loss(cross_entropy, drawn())(scores, positive, rng) ** 1.02

    claim = il.Scheme(il.samplers.WithinBatch(), il.weightings.Unit(), m=M, hits="mask")
    given: dict[str, Any] = {"prior": PRIOR, "positives": POSITIVES, "rng": seed, "runs": 2_000}
    report = il.audit(loss, claim=claim, **given)
    assert (report.verdict, [flaw.kind for flaw in report.flaws]) == ("refuted", ["another form"])
    report = il.audit(
        loss, claim=np.broadcast_to(M * Q, (2, L)) * (np.arange(L) != np.array(POSITIVES)[:, None]), **given
    )
    assert report.verdict == "inconclusive", str(report)
    assert str(report).startswith("? inconclusive: the loss is not of the softmax form, unless its draws")


# --- precision ----------------------------------------------------------------------------------------------------

SIXTY = il.LabelPrior.zipf(60, 1.0)
IMPORTANCE = il.Scheme(il.samplers.WithinBatch(), il.weightings.Importance(), m=20, hits="mask")


def in_half_precision(bits: int, gradient: bool, slip: float | None = 1.0, returned: bool = False) -> Any:
    """Importance weights in closed form; logits, and the gradient, or the answer too, have the precision of `bits`.

    A `slip` multiplies the weights; None is another one for each draw, from 2/3 to 4/3.
    """
    q = SIXTY.probabilities

    def loss(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        n, f = np.arange(len(positive)), _rounded(scores, bits)
        a = np.zeros(scores.shape)
        np.add.at(a, (n[:, None], rng.choice(q.size, size=(n.size, 20), p=q)), 1.0)
        a[n, positive] = 0.0
        by = rng.uniform(2 / 3, 4 / 3, a.shape) if slip is None else slip
        x = by * a / (20 * q) * np.exp(f - f[n, positive][:, None])
        values = np.log1p(x.sum(axis=1))
        slopes = x / np.exp(values)[:, None]
        slopes[n, positive] = -slopes.sum(axis=1)
        values = _rounded(values, bits) if returned else values
        return (values, _rounded(slopes, bits)) if gradient else values

    return loss


@pytest.mark.in_turn
@pytest.mark.parametrize("gradient", [False, True], ids=["values", "gradients"])
@pytest.mark.parametrize("bits", [45, 42], ids=["bfloat16", "float16"])
@pytest.mark.parametrize("returned", [False, True], ids=["inside", "returned"])
def test_a_right_loss_in_half_precision_holds(bits: int, gradient: bool, returned: bool, seed: int) -> None:
    """The report says how precise the loss is, and limits are no narrower than that; half as much again is refuted."""
    given: dict[str, Any] = {"claim": IMPORTANCE, "prior": SIXTY, "rng": seed, "runs": 6_000, "positives": [0, 30]}
    report = il.audit(in_half_precision(bits, gradient, returned=returned), **given)
    assert report.verdict == "holds", str(report)
    (note,) = [note for note in report.notes if note.kind == "coarse"]
    assert "(bfloat16 or float16?)" in note.sentence
    wrong = il.audit(in_half_precision(bits, gradient, 1.5, returned), **given)
    assert wrong.verdict == "refuted"
    assert {flaw.kind for flaw in wrong.flaws} == set()
    for part in report.comparisons:
        if part.part not in BY_SCORE and part.measured > 0:
            assert 2e-4 < part.rounding < 0.1
            assert part.low <= part.measured / (1 + part.rounding) < part.measured * (1 + part.rounding) <= part.high


def test_hits_are_known_beside_many_labels_in_half_precision(seed: int) -> None:
    """Of 1 + h + S, rounding would hide an h of several labels; where the positive is scored higher, S is about 1."""

    def loss(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        rows, f = np.arange(len(positive)), _rounded(scores, 45)
        shares = np.exp(f) / np.exp(f).sum(axis=1, keepdims=True)
        slopes = shares - np.eye(60)[positive]
        return _rounded(-np.log(shares[rows, positive]), 45), _rounded(slopes, 45)

    report = il.audit(loss, claim="full", prior=SIXTY, rng=seed, runs=4_000)
    assert report.verdict == "holds", str(report)
    assert np.all(report.hits.high < 1)


@pytest.mark.parametrize("bits", [45, 42], ids=["bfloat16", "float16"])
def test_draws_are_counted_in_half_precision(bits: int, seed: int) -> None:
    """Each draw of a label has one weight, but for rounding; and weights that vary by a third are no rounding."""
    given: dict[str, Any] = {"claim": IMPORTANCE, "prior": SIXTY, "rng": seed, "runs": 2_000, "positives": [20, 30]}
    found = il.audit(in_half_precision(bits, True), **given).draw_statistics
    assert found is not None
    assert not found.weights_vary
    assert found.draws is not None
    assert 20 - 4 <= found.draws[1] <= 20  # hits are masked
    varied = il.audit(in_half_precision(bits, True, slip=None), **given).draw_statistics
    assert varied is not None
    assert varied.weights_vary


def test_a_wrong_gradient_is_seen_in_half_precision_too(seed: int) -> None:
    right = in_half_precision(45, True)

    def loss(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        values, slopes = right(scores, positive, rng)
        return values, 0.5 * slopes

    report = il.audit(loss, claim=IMPORTANCE, prior=SIXTY, rng=seed, runs=400)
    assert [flaw.kind for flaw in report.flaws] == ["wrong gradient"]


@pytest.mark.parametrize(
    ("convert", "size"),
    [(lambda x: x, 1e-15), (lambda x: x.astype(np.float32), 3e-7), (lambda x: x.astype(np.float16), 1e-3)],
    ids=["float64", "float32", "float16"],
)
@pytest.mark.parametrize("form", ["softmax", "logistic"])
def test_the_rounding_error_is_measured(convert: Any, size: float, form: str, seed: int) -> None:
    """Within a factor of ten of the last digit, whether the loss moves with its scores or not."""
    inner = binary() if form == "logistic" else Loss(cross_entropy)

    def loss(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        return inner(convert(scores).astype(np.float64), positive, rng)

    question = contact(loss, seed, form=form).question
    scores, positive = np.random.default_rng(seed).normal(size=(64, L)), np.zeros(64, dtype=int)
    error = rounding(question, Box(loss, question), scores, positive)
    least = 3e-7 if form == "logistic" else size  # what a smooth function moves by
    assert size / 30 < error < 10 * max(size, least)


# --- state --------------------------------------------------------------------------------------------------------


class Queue:
    """The labels of earlier calls are negatives too, the newest first."""

    def __init__(self, size: int, empty: bool = True) -> None:
        self.labels = np.zeros(0, dtype=int) if empty else np.random.default_rng(0).choice(L, size, p=Q)
        self.size = size

    def __call__(self, scores: Floats, positive: Labels, rng: np.random.Generator) -> Floats:
        n = len(positive)
        fresh = rng.choice(L, size=3, p=Q)
        pool = np.concatenate([fresh, self.labels])
        self.labels = pool[: self.size]
        own = np.take_along_axis(scores, positive[:, None], 1)
        f = np.where(pool == positive[:, None], -np.inf, scores[:, pool])
        return np.logaddexp.reduce(np.hstack([own, f]), axis=1) - own[:, 0] + 0.0 * n


class Running:
    """Draws by an estimate of the law that follows what it has seen."""

    def __init__(self, rate: float | None) -> None:
        self.rate, self.estimate, self.calls = rate, np.full(L, 1 / L), 0

    def __call__(self, scores: Floats, positive: Labels, rng: np.random.Generator) -> Floats:
        self.calls += 1
        rate = 1 / (1 + self.calls) if self.rate is None else self.rate
        draws = rng.choice(L, size=(len(positive), M), p=Q)
        self.estimate = (1 - rate) * self.estimate + rate * np.bincount(draws.ravel(), minlength=L) / draws.size
        own = np.take_along_axis(scores, positive[:, None], 1)
        f = np.take_along_axis(scores, draws, 1) - np.log(M * np.maximum(self.estimate, 1e-3)[draws])
        return np.logaddexp.reduce(np.hstack([own, np.where(draws == positive[:, None], -1e9, f)]), axis=1) - own[:, 0]


class Annealed:
    """A weight that grows with the number of calls."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, scores: Floats, positive: Labels, rng: np.random.Generator) -> Floats:
        self.calls += 1
        return Loss(cross_entropy, drawn(Q, M, 1 - np.exp(-self.calls / 500)))(scores, positive, rng)


class First:
    """What was asked first is kept: the second call is answered like the first, and others are not."""

    def __init__(self) -> None:
        self.pool: Any = None

    def __call__(self, scores: Floats, positive: Labels, rng: np.random.Generator) -> Floats:
        fresh = rng.choice(L, size=3, p=Q)
        pool = fresh if self.pool is None else self.pool
        self.pool = fresh
        own = np.take_along_axis(scores, positive[:, None], 1)
        return np.logaddexp.reduce(np.hstack([own, scores[:, pool]]), axis=1) - own[:, 0]


STATES: dict[str, Callable[[], Any]] = {
    "queue": lambda: Queue(12),
    "long queue": lambda: Queue(300),
    "full queue": lambda: Queue(30, empty=False),
    "fast estimate": lambda: Running(0.5),
    "slow estimate": lambda: Running(0.05),
    "counts": lambda: Running(None),
    "own count": Annealed,
    "the last call's negatives": First,
}


@pytest.mark.parametrize("name", STATES)
def test_state_is_told_and_can_be_reset(name: str, seed: int) -> None:
    for shift in range(5):
        report = il.audit(STATES[name](), claim="full", prior=PRIOR, rng=seed + shift, runs=64)
        assert [note.kind for note in report.notes] == ["keeps state"], report.notes
        assert report.verdict == "inconclusive"
        assert (report.nearest, report.comparisons) == (None, ())
        text = " ".join(report.explain().split())
        assert "keeps state between calls" in text
        assert "pass reset=" in text

    loss, calls = STATES[name](), []

    def reset() -> None:
        calls.append(1)
        vars(loss).update(vars(STATES[name]()))

    again = il.audit(loss, claim=None, prior=PRIOR, rng=seed, runs=64, reset=reset)
    assert "keeps state" not in {note.kind for note in again.notes}
    assert again.comparisons
    assert len(calls) == again.calls

    def anew(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        return STATES[name]()(scores, positive, rng)

    assert il.audit(anew, claim=None, prior=PRIOR, rng=seed, runs=64).comparisons


@pytest.mark.parametrize("m", [1, 5])
@pytest.mark.parametrize("law", [Q, np.eye(L)[0] * 0.97 + 0.03 / L], ids=["zipf", "hardly any draw differs"])
def test_fresh_draws_are_no_state(law: Floats, m: int, seed: int) -> None:
    """A loss with a generator of its own is audited; it does not repeat, and that is said."""
    for shift in range(SEEDS):
        own = np.random.default_rng(seed + shift)
        inner = Loss(cross_entropy, drawn(law, m))
        found = contact(lambda f, y, rng, inner=inner, own=own: inner(f, y, own), seed + shift)
        assert found.can_go_on
        kinds = [note.kind for note in found.observed.notes]
        assert kinds == ["does not repeat"] or found.repeats  # the same draws by chance


def test_a_loss_that_hardly_ever_differs_has_not_left(seed: int) -> None:
    """One draw in a thousand differs: answers agree with those before other calls, and that is no return to them."""
    law = np.eye(L)[0] * 0.999 + 0.001 / L
    for shift in range(SEEDS):
        own = np.random.default_rng(seed + shift)
        inner = Loss(cross_entropy, drawn(law, 1))
        question = contact(inner, seed).question
        box = Box(lambda f, y, rng, inner=inner, own=own: inner(f, y, own), question)
        assert not keeps_state(box, box.next_call(2), box.next_call(2))


def test_a_loss_that_differs_for_one_seed_in_many_draws(seed: int) -> None:
    """Eleven other seeds have the same answer, and the twelfth another: what draws is not measured without chance."""
    question = contact(Loss(cross_entropy), seed).question
    for differs, use in ((12, "draws"), (10**9, "none")):
        asked = []

        def loss(scores: Floats, positive: Labels, rng: Any, differs: int = differs, asked: list[int] = asked) -> Any:
            asked.append(1)
            return Loss(cross_entropy)(scores, positive, rng) * (2.0 if len(asked) == 1 + differs else 1.0)

        box = Box(loss, question)
        assert use_of_rng(question, box, box.next_call(2)) == use


def test_a_reset_is_a_function() -> None:
    with pytest.raises(ValueError, match="reset must be a function without arguments, got 3"):
        il.audit(Loss(cross_entropy), claim="full", prior=PRIOR, reset=3, budget="quick")  # type: ignore[arg-type]


# --- what is no gradient ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_labels", [2, 8])
def test_a_second_part_that_is_no_gradient_is_refused(n_labels: int, seed: int) -> None:
    prior = il.LabelPrior.zipf(n_labels, 1.0)

    def shares(scores: Floats) -> Floats:
        return np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)

    for second, said in (
        (lambda f, y: f, "the scores themselves"),
        (lambda f, y: np.log(shares(f)), "the scores, moved"),
        (lambda f, y: shares(f), "numbers that sum to 1"),
    ):
        for shift in range(SEEDS):
            with pytest.raises(
                ValueError, match=f"must be the gradient of each loss .* {said}.*losses alone"
            ) as caught:
                contact(lambda f, y, rng, second=second: (_of_many(f, y, rng), second(f, y)), seed + shift, prior)
            assert len(str(caught.value)) <= 300

    def right(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        return _of_many(scores, positive, rng), shares(scores) - np.eye(n_labels)[positive]

    assert contact(right, seed, prior).observed.flaws == ()


@pytest.mark.parametrize("gradient", [True, False])
def test_a_loss_over_the_size_of_the_call_is_not_divided_by_that_of_the_probe(gradient: bool, seed: int) -> None:
    """Calls have other sizes than the probe, and so nothing is said of margins."""

    def over(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        values = Loss(cross_entropy, drawn(), gradient=gradient)(scores, positive, rng)
        n = len(positive)
        return (values[0] / n, values[1] / n) if gradient else values / n

    report = il.audit(over, claim="full", prior=PRIOR, rng=seed, budget="quick")
    (flaw,) = report.flaws
    assert flaw.kind == "another form"
    assert "by 0.1667 in one of 6, and by 0.08333 in one of 12. Is it divided by the size of the batch?" in str(flaw)
    assert report.nearest is None


def test_a_temperature_that_is_rounded_is_rounding(seed: int) -> None:
    """Up to 1e-5 of it; more is another temperature, and a loss that is scaled by as much is scaled."""
    claim = il.Scheme("within-batch", "unit", m=M, hits="mask")
    options: dict[str, Any] = {"claim": claim, "prior": PRIOR, "rng": seed, "budget": "quick", "temperature": 0.07}
    for off, said in ((1e-12, ""), (1e-8, ""), (1e-6, ""), (1e-3, "a temperature of 0.07007 divides the scores")):
        report = il.audit(Loss(cross_entropy, drawn(), gradient=True, temperature=0.07 * (1 + off)), **options)
        assert report.ok == (not said), (off, str(report))
        assert ("a temperature of 0.07007 divides the scores" in str(report)) == bool(said)
        assert report.nearest is not None
        assert report.nearest.name == "weights of 1, within-batch sampling, m = 5, hits masked"
        assert "another number of draws" not in {note.kind for note in report.notes}
    scaled_by = il.audit(Loss(scaled(0.999), drawn(), gradient=True, temperature=0.07), **options)
    assert "scaled by 0.999" in str(scaled_by)


HALF_PRIOR = il.LabelPrior.zipf(60, 1.0)
HALF_Q = np.asarray(HALF_PRIOR.probabilities)
HALF_CLAIM = il.Scheme(il.samplers.WithinBatch(), il.weightings.Importance(), m=20, hits="mask")


def logits_in_half(fill: float = -np.inf, temperature: float = 1.0) -> Callable[..., Any]:
    """Softmax by 20 draws with importance weights, logits in float16; hits are filled with a number."""

    def loss(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        rows, draws = np.arange(len(positive)), rng.choice(60, (len(positive), 20), p=HALF_Q)
        logits = _rounded(scores, 42) / temperature
        f = _rounded(logits[rows[:, None], draws] - np.log(20 * HALF_Q[draws]), 42)
        f = np.where(draws == positive[:, None], fill, f)
        return np.logaddexp(0.0, np.logaddexp.reduce(f, axis=1) - logits[rows, positive]).astype(np.float32)

    return loss


@pytest.mark.parametrize("fill", [-2.0, -5.0, -10.0])
def test_hits_that_are_filled_with_a_number_are_seen_in_half_precision(fill: float, seed: int) -> None:
    report = il.audit(logits_in_half(fill), claim=HALF_CLAIM, prior=HALF_PRIOR, rng=seed, budget="quick")
    assert report.verdict == "refuted", str(report)
    assert "are hits, or padding, filled with a number in place of -inf?" in str(report.flaws[0])


@pytest.mark.parametrize("fill", [-np.inf, -1e4])
def test_hits_that_are_masked_hold_in_half_precision(fill: float, seed: int) -> None:
    report = il.audit(logits_in_half(fill), claim=HALF_CLAIM, prior=HALF_PRIOR, rng=seed, budget="quick")
    assert report.verdict == "holds", str(report)


@pytest.mark.parametrize("temperature", [0.1, 0.9, 1.5])
def test_a_temperature_is_named_in_half_precision(temperature: float, seed: int) -> None:
    """And not a factor, which fits within rounding far from where all is bent."""
    loss = logits_in_half(temperature=temperature)
    report = il.audit(loss, claim=HALF_CLAIM, prior=HALF_PRIOR, rng=seed, budget="quick")
    assert report.verdict == "refuted"
    (flaw,) = report.flaws
    assert flaw.kind == "temperature", str(report)
    found = re.search(r"a temperature of ([\d.]+) divides", str(flaw))
    assert found is not None
    assert float(found[1]) == pytest.approx(temperature, rel=0.01)


def test_a_factor_is_named_in_half_precision(seed: int) -> None:
    inner = logits_in_half()
    loss = lambda f, y, rng: 1.1 * inner(f, y, rng)  # noqa: E731
    report = il.audit(loss, claim=HALF_CLAIM, prior=HALF_PRIOR, rng=seed, budget="quick")
    assert [flaw.kind for flaw in report.flaws] == ["scaled"], str(report)


def test_a_number_that_keeps_a_sum_above_0_is_no_mask(seed: int) -> None:
    def guarded(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        return np.log(np.exp(scores).sum(axis=1) + 1e-8) - scores[np.arange(len(positive)), positive]

    report = il.audit(guarded, claim="full", prior=HALF_PRIOR, rng=seed, budget="quick")
    assert report.verdict == "holds", str(report)
    assert "large scores" in {note.kind for note in report.notes}


def test_rounding_is_measured_again_at_the_temperature_that_was_found(seed: int) -> None:
    """In bfloat16, T = 0.1: scores of a few units are rounded by a tenth there, and those of a tenth of it by less."""

    def loss(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        logits = _rounded(scores, 45) / 0.1
        return np.logaddexp.reduce(logits, axis=1) - logits[np.arange(len(positive)), positive]

    report = il.audit(loss, claim="full", prior=HALF_PRIOR, rng=seed, budget="quick")
    assert [flaw.kind for flaw in report.flaws] == ["temperature"], str(report)
    (note,) = [note for note in report.notes if note.kind == "coarse"] or [None]
    known = re.search(r"a weight is known to ([\d.]+)%", str(note))
    assert known is None or float(known[1]) < 20
