"""The loss to train with: its mean is the exact expectation, its gradient its own slope, and an audit lets it pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import implicitloss as il
from implicitloss.labels import Floats, Labels
from implicitloss.losses import Decoupled, SoftmaxCrossEntropy, examples, hinge, logistic, squared_hinge
from implicitloss.margins import examples as margins
from implicitloss.minibatch import Minibatch
from implicitloss.samplers import ModelBased, Uniform, WithinBatch
from implicitloss.samplers.sampler import by_log_shares, by_shares
from implicitloss.scheme import HITS
from implicitloss.theory.implicit import margin_loss

PRIOR = il.LabelPrior.exp(12, 500, 100)
F = np.random.default_rng(0).standard_normal((3, 12))


@pytest.mark.parametrize("hits", HITS)
@pytest.mark.parametrize("sampler", [WithinBatch(), ModelBased()], ids=str)
@pytest.mark.parametrize("loss", [SoftmaxCrossEntropy(), Decoupled(logistic)], ids=lambda loss: loss.name)
def test_means_are_the_exact_ones(loss: Any, sampler: Any, hits: Any, seed: int) -> None:
    """4,000 runs; values and gradients within six standard errors of `integrate` (1e-8 a comparison, 13 of them).

    A weight off by a half is 10 standard errors off and more, which the mutant below shows.
    """
    scheme = il.Scheme(sampler, il.weightings.Importance(), m=4, hits=hits)
    problem = il.Problem(F[1], PRIOR, 3)
    rng = np.random.default_rng(seed)
    n = 4_000
    batch = Minibatch(scheme, loss, PRIOR)
    losses, _ = batch(F, np.full(n, 3), rng, rows=np.ones(n, dtype=int))
    slopes = np.array([batch(F[1:2], [3], rng)[1][0] for _ in range(n // 4)])
    exact = float(il.integrate(scheme, loss, problem))
    error = losses.std() / np.sqrt(n) + 1e-14
    assert abs(losses.mean() - exact) < 6 * error
    assert abs(float(il.integrate(_halved(scheme), loss, problem)) - exact) > 8 * error
    gradient = il.integrate(scheme, loss, problem, "gradient").value
    spread = slopes.std(axis=0) / np.sqrt(len(slopes))
    assert (abs(slopes.mean(axis=0) - gradient) <= 6 * spread + 1e-12).all()


def test_a_run_of_like_examples_is_drawn_as_one_by_one(seed: int) -> None:
    """Their law is computed once; another row, and another positive, has its own."""
    batch = Minibatch(
        il.Scheme(ModelBased(), il.weightings.Importance(), m=4, hits="exclude"), SoftmaxCrossEntropy(), PRIOR
    )
    rows, y = [0, 1, 1, 1, 0, 0], [3, 3, 3, 5, 5, 5]
    losses, _ = batch(F, y, np.random.default_rng(seed), rows)
    rng = np.random.default_rng(seed)
    assert losses.tolist() == [batch(F[[row]], [label], rng)[0][0] for row, label in zip(rows, y, strict=True)]


def _halved(scheme: il.Scheme) -> il.Scheme:
    """A mutant: half of the weight."""

    @dataclass(frozen=True)
    class Half:
        is_eta_over_m = True

        def log_weight(self, draws: Any) -> Floats:
            return np.asarray(scheme.weighting.log_weight(draws) - np.log(2))

    return il.Scheme(scheme.sampler, Half(), m=scheme.m, hits=scheme.hits)  # type: ignore[arg-type]


@pytest.mark.parametrize("loss", examples(), ids=lambda loss: loss.name)
@pytest.mark.parametrize("hits", HITS)
def test_gradients_are_slopes_on_the_same_draws(loss: Any, hits: Any, seed: int) -> None:
    scheme = il.Scheme(WithinBatch(), il.weightings.Tail(), m=5, hits=hits)
    batch, at, y = Minibatch(scheme, loss, PRIOR), np.array([0, 0, 2, 1]), np.array([3, 11, 0, 3])

    def total(f: Floats) -> float:
        return float(batch(f, y, np.random.default_rng(seed), at)[0].sum())

    _, gradient = batch(F, y, np.random.default_rng(seed), at)
    for i, j in np.ndindex(F.shape):
        step = np.zeros_like(F)
        step[i, j] = 1e-6
        assert (total(F + step) - total(F - step)) / 2e-6 == pytest.approx(gradient[i, j], abs=1e-7, rel=1e-8)


@dataclass(frozen=True)
class Plain:
    """A margin that does not say its factors."""

    of: Any

    def log_margin(self, prior: il.LabelPrior, positive: int) -> Floats:
        return np.asarray(self.of.log_margin(prior, positive))

    def margin(self, yp: Any) -> Any:
        return self.of.margin(yp)


@pytest.mark.parametrize("loss", examples(), ids=lambda loss: loss.name)
@pytest.mark.parametrize("target", margins(12), ids=str)
def test_margins_count_all_labels(target: Any, loss: Any) -> None:
    """By row totals, pair by pair, and by the formula; and with the gradient of the implicit loss of any sampler."""
    at, y, rng = np.array([0, 0, 2, 1]), np.array([3, 11, 0, 3]), np.random.default_rng(0)
    losses, gradient = Minibatch(target, loss, PRIOR)(F, y, rng, at)
    slow, other = Minibatch(Plain(target), loss, PRIOR)(F, y, rng, at)
    np.testing.assert_allclose(losses, slow, rtol=1e-13)
    np.testing.assert_allclose(gradient, other, rtol=1e-11, atol=1e-13)
    scheme = il.Scheme(Uniform(), il.weightings.ForMargin(target), m=3, hits="mask")
    expected = np.zeros_like(F)
    for i, label, value in zip(at, y, losses, strict=True):
        problem = il.Problem(F[i], PRIOR, int(label))
        assert value == pytest.approx(float(il.implicit_loss(scheme, loss, problem)), rel=1e-12)
        expected[i] += il.implicit_gradient(scheme, loss, problem)
    np.testing.assert_allclose(gradient, expected, rtol=1e-11, atol=1e-13)


def test_scores_far_apart_neither_overflow_nor_vanish() -> None:
    f = np.array([[0.0, 900.0, -900.0] + [0.0] * 9])
    for target in (il.margins.Softmax(), Plain(il.margins.Softmax())):
        losses, gradient = Minibatch(target, SoftmaxCrossEntropy(), PRIOR)(f, [2], np.random.default_rng(0))
        assert losses[0] == pytest.approx(1800.0)
        np.testing.assert_allclose(gradient[0, 1:3], [1.0, -1.0])
        losses, gradient = Minibatch(target, SoftmaxCrossEntropy(), PRIOR)(f, [1], np.random.default_rng(0))
        assert losses[0] == 0.0
        assert not gradient.any()


def test_an_audit_lets_it_pass(seed: int) -> None:
    prior = il.LabelPrior.zipf(100, 1.0)
    scheme = il.Scheme(WithinBatch(), il.weightings.Relative(), m=20, hits="exclude")
    batch = Minibatch(scheme, SoftmaxCrossEntropy(), prior)

    def loss(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        return batch(scores, positive, rng)

    assert il.audit(loss, claim=scheme, prior=prior, rng=seed).verdict == "holds"
    assert il.audit(loss, claim="full", prior=prior, rng=seed).verdict == "refuted"


@pytest.mark.parametrize(
    ("scores", "positives", "rows", "sentence"),
    [
        (F[:, :5], [1], None, r"scores must be \(B, 12\)"),
        (F * np.nan, [1, 2, 3], None, "scores must be finite, but row 0 is not"),
        (F, [1, 2, 12], None, "positives must lie from 0 to 11, got 1 to 12"),
        (F, [1.0, 2.0, 3.0], None, "positives must be whole numbers"),
        (F, [1, 2], [0, 3], "rows must lie from 0 to 2, got 0 to 3"),
        (F, [1, 2, 3, 4], None, "every positive needs a row of scores, got 4 positives, 3 rows"),
    ],
)
def test_bad_input_is_one_sentence(scores: Any, positives: Any, rows: Any, sentence: str) -> None:
    batch = Minibatch(il.margins.Softmax(), SoftmaxCrossEntropy(), PRIOR)
    with pytest.raises(ValueError, match=sentence):
        batch(scores, positives, np.random.default_rng(0), rows)


def test_what_can_never_be_drawn_is_an_error_and_no_endless_loop() -> None:
    one = il.samplers.Explicit(np.eye(12)[4])
    scheme = il.Scheme(one, il.weightings.Constant(), m=2, hits="exclude")
    with pytest.raises(ValueError, match="leaves nothing to draw"):
        Minibatch(scheme, SoftmaxCrossEntropy(), PRIOR)(F[:1], [4], np.random.default_rng(0))
    with pytest.raises(ValueError, match="the objective must be a Scheme, or a margin"):
        Minibatch("softmax", SoftmaxCrossEntropy(), PRIOR)  # type: ignore[arg-type]


# --- a loop that has learned --------------------------------------------------------------------------------------


class Counted(np.random.Generator):
    """A generator that gives up where code draws for ever."""

    def __init__(self, seed: int, most: int = 10_000_000) -> None:
        super().__init__(np.random.PCG64(seed))
        self.left = most

    def _count(self, size: Any) -> None:
        self.left -= int(np.prod(size))
        assert self.left > 0, "this draws for ever"

    def random(self, size: Any = None, *args: Any, **named: Any) -> Any:
        self._count(size)
        return super().random(size, *args, **named)

    def integers(self, low: Any, *args: Any, **named: Any) -> Any:
        self._count(named.get("size", 1))
        return super().integers(low, *args, **named)


def _leads(lead: float) -> Floats:
    f = np.array(F[0])
    f[3] = f.max() + lead
    return f


@pytest.mark.parametrize("lead", [20.0, 740.0, 1e4, 1e140])
@pytest.mark.parametrize("loss", examples(), ids=lambda loss: loss.name)
def test_a_model_that_is_sure_of_its_positive_goes_on(loss: Any, lead: float, seed: int) -> None:
    """Hits excluded, negatives by the scores: at a lead of 20 two draws of 1e9 are negatives, at 1e4 none ever."""
    scheme = il.Scheme(ModelBased(), il.weightings.Constant(), m=4, hits="exclude")
    batch, f = Minibatch(scheme, loss, PRIOR), _leads(lead)
    losses, gradient = batch([f], [3], Counted(seed))
    assert np.isfinite(losses).all()
    # Whatever was drawn is no hit: of a hit weights 1/4 would make log(1 + 1/4) at least.
    assert losses[0] < 1e-7 or not loss.has_log
    assert np.count_nonzero(gradient[0]) <= 5


def test_negatives_beside_a_sure_positive_have_the_conditional_law(seed: int) -> None:
    """4,000 runs within six standard errors of `integrate` (1e-8), at a lead where no draw again would come; the law
    of the sampler itself, and a uniform one, are 8 and more off."""
    scheme = il.Scheme(ModelBased(), il.weightings.Constant(), m=4, hits="exclude")
    f, n = _leads(25.0), 4_000
    losses, _ = Minibatch(scheme, SoftmaxCrossEntropy(), PRIOR)([f], np.full(n, 3), Counted(seed), rows=[0] * n)
    exact = float(il.integrate(scheme, SoftmaxCrossEntropy(), il.Problem(f, PRIOR, 3)))
    error = losses.std() / np.sqrt(n)
    assert abs(losses.mean() - exact) < 6 * error
    uniform = il.Scheme(Uniform(), il.weightings.Constant(), m=4, hits="exclude")
    other = float(il.integrate(uniform, SoftmaxCrossEntropy(), il.Problem(f, PRIOR, 3)))
    assert abs(losses.mean() - other) > 8 * error


@pytest.mark.parametrize("lead", [0.0, 20.0, 720.0, 744.0, 5e3, 1e140])
def test_shares_beside_a_label_keep_their_digits(lead: float) -> None:
    """e^-720 has lost half of its digits, e^-744 nearly all, e^-800 is 0: the others' own shares have not."""
    f = _leads(lead)
    beside = by_log_shares(f).without(3)
    others = np.delete(f, 3)
    np.testing.assert_allclose(np.delete(beside.shares, 3), np.exp(others - others.max()), rtol=1e-14)
    assert beside.shares[3] == 0.0
    # Of shares that came as they are what is lost is not drawn by.
    if lead > 700:
        with pytest.raises(ValueError, match="there must be labels to draw other than 3"):
            by_shares(np.exp(f - f.max())).without(3)


@pytest.mark.parametrize("hits", ["exclude", "mask"])
def test_a_label_that_is_nearly_all_of_the_law(hits: Any, seed: int) -> None:
    """q = 1 - 1e-9: its negatives are one draw in a billion, and 4,000 runs are within six standard errors (1e-8)."""
    q = np.full(12, 1e-9 / 11) * np.linspace(0.5, 1.5, 12)
    q[4] += 1 - q.sum()
    for weighting in (il.weightings.Constant(), il.weightings.Unit()):
        scheme = il.Scheme(il.samplers.Explicit(q), weighting, m=3, hits=hits)
        batch, n, y = Minibatch(scheme, SoftmaxCrossEntropy(), PRIOR), 4_000, np.array([4, 2])
        losses, _ = batch(F[:1], np.repeat(y, n), Counted(seed), rows=np.zeros(2 * n, dtype=int))
        for label, found in zip(y.tolist(), losses.reshape(2, n), strict=True):
            exact = float(il.integrate(scheme, SoftmaxCrossEntropy(), il.Problem(F[0], PRIOR, label)))
            assert abs(found.mean() - exact) < 6 * found.std() / np.sqrt(n) + 1e-7
        # A table of its own is kept for that label only.
        assert set(batch._apart) == ({4} if hits == "exclude" else set())
    scheme = il.Scheme(WithinBatch(), il.weightings.Constant(), m=3, hits=hits)
    batch = Minibatch(scheme, SoftmaxCrossEntropy(), PRIOR)
    batch(F[:1], np.arange(4_000) % 12, seed, rows=np.zeros(4_000, dtype=int))
    assert not batch._apart


@dataclass(frozen=True)
class Told:
    """A sampler of one's own, by what NumPy draws; its stated law may be another, and may look at the scores."""

    q: tuple[float, ...]
    stated: tuple[float, ...]
    needs_scores: bool = False

    def log_law(self, problem: il.Problem) -> Floats:
        with np.errstate(divide="ignore"):
            return np.log(self.stated)

    def procedure(self, problem: il.Problem) -> Any:
        edges = np.cumsum(self.q)
        return lambda rng, size: np.minimum(np.searchsorted(edges, rng.random(size), side="right"), 11)

    def law(self, yp: Any) -> Any:
        raise AssertionError("training asks for numbers only")


EVEN = (1 / 12,) * 12
MOSTLY = (0.99, *(0.01 / 11,) * 11)
ONLY = (1.0, *(0.0,) * 11)


@pytest.mark.parametrize("looks", [False, True])
def test_a_sampler_of_ones_own_draws_again_and_gives_up(looks: bool, seed: int) -> None:
    """One negative in a hundred draws is drawn for; one that never comes is not waited for."""
    for q, gives_up in ((MOSTLY, False), (ONLY, True)):
        scheme = il.Scheme(Told(q, EVEN, looks), il.weightings.Constant(), m=3, hits="exclude")
        batch = Minibatch(scheme, SoftmaxCrossEntropy(), PRIOR)
        if gives_up:
            with pytest.raises(ValueError, match=r"hardly anything to draw: .* draws gave 0 negatives"):
                batch(F, [0, 5, 0], Counted(seed))
        else:
            assert np.isfinite(batch(F, [0, 5, 0], Counted(seed))[0]).all()


@pytest.mark.parametrize("looks", [False, True])
@pytest.mark.parametrize("hits", HITS)
def test_a_draw_that_the_law_rules_out_is_named(hits: Any, looks: bool, seed: int) -> None:
    stated = (0.5, 0.5, *(0.0,) * 10)
    scheme = il.Scheme(Told(EVEN, stated, looks), il.weightings.Constant(), m=50, hits=hits)
    with pytest.raises(ValueError, match=r"drew label \d+, to which it gives q = 0"):
        Minibatch(scheme, SoftmaxCrossEntropy(), PRIOR)(F[:1], [0], seed)


# --- whatever a loop brings ---------------------------------------------------------------------------------------


def _samplers(n_labels: int) -> list[Any]:
    one_label = il.samplers.Explicit(np.eye(n_labels)[0])
    return [*il.samplers.examples(n_labels), one_label, il.samplers.Mixture(first=ModelBased())]


def outcome(call: Callable[..., Any], *given: Any, **named: Any) -> Any:
    """What is returned, or the sentence of a refusal."""
    try:
        return call(*given, **named)
    except ValueError as refusal:
        return str(refusal)


PRIORS = {
    "one label": il.LabelPrior.from_counts([3]),
    "two labels": il.LabelPrior.from_counts([3, 1]),
    "counts of 0": il.LabelPrior.from_counts([5, 0, 3, 0, 1]),
    "one that occurs": il.LabelPrior.from_counts([0, 7, 0]),
}


@pytest.mark.in_turn
@pytest.mark.parametrize("prior", PRIORS)
@pytest.mark.parametrize("weighting", il.weightings.examples(), ids=str)
@pytest.mark.parametrize("hits", HITS)
def test_what_can_be_simulated_can_be_trained_with(hits: Any, weighting: Any, prior: str, seed: int) -> None:
    """At every positive a finite loss, or the same refusal; with all other positives asked first, and without."""
    labels = PRIORS[prior]
    f = np.random.default_rng(seed).normal(size=labels.n_labels)
    for sampler in _samplers(labels.n_labels):
        scheme = il.Scheme(sampler, weighting, m=7, hits=hits)
        used = Minibatch(scheme, SoftmaxCrossEntropy(), labels)
        positives = range(labels.n_labels)
        known = [
            outcome(il.simulate, scheme, SoftmaxCrossEntropy(), il.Problem(f, labels, y), runs=2, rng=0)
            for y in positives
        ]
        # Twice: what one positive was asked must not answer for another.
        for i, y in enumerate([*positives] * 2):
            new = [Minibatch(scheme, SoftmaxCrossEntropy(), labels)] if i < labels.n_labels else []
            for batch in (used, *new):
                found = outcome(batch, [f], [y], Counted(seed))
                assert isinstance(found, str) == isinstance(known[y], str), (known[y], found)
                assert not isinstance(found, str) or found == known[y]


@pytest.mark.parametrize("loss", examples(), ids=lambda loss: loss.name)
@pytest.mark.parametrize("target", margins(5), ids=str)
def test_positives_that_margins_cannot_have(target: Any, loss: Any) -> None:
    """A positive of prior 0 is refused in the margin's own words, or it has the margin's own loss."""
    labels = PRIORS["counts of 0"]
    f = np.random.default_rng(0).normal(size=5)
    for batch in (Minibatch(target, loss, labels), Minibatch(Plain(target), loss, labels)):
        for y in range(5):
            problem = il.Problem(f, labels, y)
            known = outcome(margin_loss, target, loss, problem)
            found = outcome(batch, [f], [y])
            if isinstance(known, str):
                assert found == known
                assert y in (1, 3)
            else:
                assert found[0] == pytest.approx(float(known), rel=1e-12)


@pytest.mark.parametrize("loss", examples(), ids=lambda loss: loss.name)
@pytest.mark.parametrize("target", margins(12), ids=str)
@pytest.mark.parametrize("lead", [1.0, 30.0, 300.0])
def test_what_is_left_beside_a_sure_positive_keeps_its_digits(lead: float, target: Any, loss: Any) -> None:
    """The rest of a sum less the most of it is rounding; large margins would show it."""
    f = np.array([_leads(lead), F[1], F[0]])
    losses, gradient = Minibatch(target, loss, PRIOR)(f, [3, 5, 3, 3, 7], rows=[0, 1, 2, 0, 0])
    for i, (row, y) in enumerate(((0, 3), (1, 5), (2, 3), (0, 3), (0, 7))):
        expected = float(margin_loss(target, loss, il.Problem(f[row], PRIOR, y)))
        assert losses[i] == pytest.approx(expected, rel=1e-12, abs=1e-300)
    if loss.has_log:
        np.testing.assert_allclose(gradient.sum(axis=1), 0.0, atol=1e-13 * np.abs(gradient).max())
        # Those of the rest beside row 0's two positives 3 alone, twice.
        alone = Minibatch(target, loss, PRIOR)(f[:1], [3])[1][0]
        others = np.delete(np.arange(12), 3)
        assert alone[3] == pytest.approx(-alone[others].sum(), rel=1e-12, abs=1e-300)


def test_small_sampled_losses_keep_their_digits(seed: int) -> None:
    scheme = il.Scheme(Uniform(), il.weightings.Unit(), m=1, hits="exclude")
    f = np.full(12, -50.0)
    f[3] = 0.0
    losses, gradient = Minibatch(scheme, SoftmaxCrossEntropy(), PRIOR)([f], [3], seed)
    assert losses[0] == pytest.approx(np.exp(-50), rel=1e-14)
    assert gradient[0, 3] == pytest.approx(-np.exp(-50), rel=1e-14)


SCHEMES = [
    *(il.Scheme(sampler, il.weightings.Constant(), m=3, hits=hits) for sampler in _samplers(12) for hits in HITS),
    *margins(12),
    Plain(il.margins.Softmax()),
]


@pytest.mark.parametrize("loss", [SoftmaxCrossEntropy(), Decoupled(logistic)], ids=lambda loss: loss.name)
@pytest.mark.parametrize("objective", SCHEMES, ids=str)
def test_an_empty_batch_is_an_empty_answer(objective: Any, loss: Any) -> None:
    batch = Minibatch(objective, loss, PRIOR)
    for scores, rows in ((F[:0], None), ([], None), (F[:0], []), (F, []), (F, None)):
        losses, gradient = batch(scores, [], 0, rows)
        assert losses.shape == (0,)
        assert losses.dtype == float
        assert gradient.shape == (len(scores), 12)
        assert not gradient.any()


def test_numbers_of_any_kind_are_scores() -> None:
    """Single and half precision, whole numbers, frames; more draws than labels."""
    scheme = il.Scheme(ModelBased(), il.weightings.Importance(), m=40, hits="exclude")
    batch = Minibatch(scheme, SoftmaxCrossEntropy(), PRIOR)
    for kind in (np.float32, np.float16, np.int8, np.uint64):
        f = np.abs(F * 8).astype(kind)
        losses, gradient = batch(f, [1, 2, 3], 5)
        wide, slopes = batch(f.astype(float), np.array([1, 2, 3], dtype=np.uint8), 5)
        assert losses.dtype == gradient.dtype == np.float64
        np.testing.assert_array_equal(losses, wide)
        np.testing.assert_array_equal(gradient, slopes)
    np.testing.assert_array_equal(batch(np.ma.array(F), [1, 2, 3], 5)[0], batch(F.tolist(), [1, 2, 3], 5)[0])


def test_seeds_and_generators() -> None:
    """A seed draws the same each time, None another; a generator is used itself and moves on."""
    scheme = il.Scheme(Uniform(), il.weightings.Constant(), m=5, hits="mask")
    batch = Minibatch(scheme, SoftmaxCrossEntropy(), PRIOR)
    rng = np.random.default_rng(7)
    first, second = batch(F, [1, 2, 3], rng)[0], batch(F, [1, 2, 3], rng)[0]
    assert not np.array_equal(first, second)
    for root in (7, np.int64(7), np.random.SeedSequence(7)):
        np.testing.assert_array_equal(batch(F, [1, 2, 3], root)[0], first)
        np.testing.assert_array_equal(batch(F, [1, 2, 3], root)[0], first)
    assert not np.array_equal(batch(F, [1, 2, 3])[0], batch(F, [1, 2, 3], None)[0])


@dataclass(frozen=True)
class Own:
    """A loss of one's own: the witnesses know it, the kernels do not."""

    name = "own"
    has_log = True

    def log_payment(self, scores: Floats, positive: int) -> Floats:
        return 2 * (scores - scores[positive])


class Tensor:
    """One that wants its gradient, as PyTorch has it."""

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Floats:
        raise RuntimeError("Can't call numpy() on Tensor that requires grad. " + "Use tensor.detach().numpy(). " * 9)


MODEL = il.Scheme(ModelBased(), il.weightings.Constant(), m=3, hits="exclude")
FAR = np.array([[-1e308, 1e308, *[0.0] * 10]])
DATES = np.array([["2020-01-01"] * 12] * 3, dtype="datetime64[D]")


@pytest.mark.parametrize("objective", [MODEL, il.margins.Softmax()], ids=["scheme", "margin"])
@pytest.mark.parametrize(
    ("scores", "positives", "rng", "rows", "sentence"),
    [
        (F + 1j, [1, 2, 3], 0, None, "scores must be real numbers, got complex128"),
        (F > 0, [1, 2, 3], 0, None, "scores must be real numbers, got bool"),
        (F.astype(str), [1, 2, 3], 0, None, "scores must be real numbers, got <U"),
        (F.astype(object), [1, 2, 3], 0, None, "scores must be real numbers, got object"),
        (DATES, [1, 2, 3], 0, None, r"scores must be real numbers, got datetime64\[D\]"),
        (np.ma.array(F, mask=F > 1), [1, 2, 3], 0, None, "scores must be numbers, but some of them are masked"),
        ([[1.0, 2.0], [3.0]], [1, 2], 0, None, "scores must be an array of numbers, got list"),
        (Tensor(), [1, 2, 3], 0, None, "scores must be an array of numbers, got Tensor: Can't call numpy"),
        (None, [1, 2, 3], 0, None, r"scores must be \(B, 12\)"),
        (F[0], [1], 0, None, r"scores must be \(B, 12\), a column a label, got shape \(12,\)"),
        (F[:, :0], [], 0, None, r"scores must be \(B, 12\), a column a label, got shape \(3, 0\)"),
        (F, [1, 2], 0, None, "every positive needs a row of scores, got 2 positives, 3 rows"),
        (F, [1, 2], 0, [0], "every positive needs a row of scores, got 2 positives, 1 rows"),
        (F, [1, 2, -1], 0, None, "positives must lie from 0 to 11, got -1 to 2"),
        (F, np.array([1, 2, 2**63], np.uint64), 0, None, "positives must lie from 0 to 11, got 1 to 92233720368"),
        (F, [True, False, True], 0, None, "positives must be whole numbers in one vector, got bool"),
        (F, ["1", "2", "3"], 0, None, "positives must be whole numbers in one vector, got <U1"),
        (F, np.ma.array([1, 2, 3], mask=[0, 1, 0]), 0, None, "positives must be numbers, but some of them are masked"),
        (F, 3, 0, None, "positives must be whole numbers in one vector"),
        (F, [[1], [2], [3]], 0, None, r"positives must be whole numbers in one vector, got int64 \(3, 1\)"),
        (F, [1, 2, 3], 0, [0.0, 1.0, 2.0], "rows must be whole numbers in one vector, got float64"),
        (F, [1, 2, 3], 0, [0, 1, -1], "rows must lie from 0 to 2, got -1 to 1"),
        (F, [1, 2, 3], "x", None, "rng must be a seed"),
        (F, [1, 2, 3], 1.5, None, "rng must be a seed"),
        (F, [1, 2, 3], -1, None, "rng must be a seed"),
        (F[:0], [1], 0, [0], "rows must lie from 0 to -1"),
        (FAR, [0], 0, None, r"losses must be finite, but example 0, positive 0, has (inf|nan): its scores|within ±1e"),
    ],
)  # fmt: skip
def test_garbage_is_one_sentence(
    objective: Any, scores: Any, positives: Any, rng: Any, rows: Any, sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence) as caught:
        Minibatch(objective, SoftmaxCrossEntropy(), PRIOR)(scores, positives, rng, rows)
    assert len(str(caught.value)) <= 300


@pytest.mark.parametrize(
    ("objective", "loss", "prior", "sentence"),
    [
        (ModelBased(), SoftmaxCrossEntropy(), PRIOR, "the objective must be a Scheme, .* got ModelBased"),
        (il.margins.Softmax, SoftmaxCrossEntropy(), PRIOR, "the objective must be a Scheme"),
        (None, SoftmaxCrossEntropy(), PRIOR, "the objective must be a Scheme, .* got NoneType"),
        (MODEL, SoftmaxCrossEntropy, PRIOR, r"got the class SoftmaxCrossEntropy: write SoftmaxCrossEntropy\(\)"),
        (MODEL, logistic, PRIOR, r"write losses\.Decoupled\(logistic\)"),
        (MODEL, lambda f, y: f, PRIOR, "a loss must be one of"),
        (MODEL, Own(), PRIOR, r"the loss must have name, .* but Own\(\) lacks"),
        (MODEL, SoftmaxCrossEntropy(), PRIOR.probabilities, "the prior must be a LabelPrior, .* got an array"),
    ],
)
def test_parts_of_another_kind_are_one_sentence(objective: Any, loss: Any, prior: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence) as caught:
        Minibatch(objective, loss, prior)
    assert len(str(caught.value)) <= 300


@pytest.mark.parametrize(
    "objective", [MODEL, il.Scheme(Uniform(), il.weightings.Unit(), m=3, hits="mask"), *margins(12)]
)
def test_what_is_no_number_is_named(objective: Any) -> None:
    """Payments that are squares overflow; a label that weighs nothing, or the positive itself, does not."""
    squares, far = Decoupled(squared_hinge), np.array([np.full(12, 1e200)])
    with pytest.raises(
        ValueError,
        match=r"must be finite, but example 1, positive 2, has inf: its scores|within ±1e",
    ):
        Minibatch(objective, squares, PRIOR)(np.concatenate([F[:1], far]), [1, 2], 0)
    own = np.zeros((1, 12))
    own[0, 2] = 1e150
    losses, gradient = Minibatch(objective, squares, PRIOR)(own, [2], 0)
    assert np.isfinite(losses).all()
    assert np.isfinite(gradient).all()
    labels = PRIORS["counts of 0"]
    tail = il.Scheme(Uniform(), il.weightings.Tail(), m=30, hits="mask")
    losses, _ = Minibatch(tail, squares, labels)([[0.0, 1e200, 0.0, 0.0, 0.0]], [0], 0)
    assert np.isfinite(losses).all()
    for far in (1e200, 1.7e308):
        losses, _ = Minibatch(il.margins.LogitAdjusted(), squares, labels)([[0.0, far, 0.0, 0.0, 0.0]], [0])
        assert np.isfinite(losses).all()
    losses, _ = Minibatch(tail, SoftmaxCrossEntropy(), labels)([[-1e308, 1e308, -1e308, 0.0, -1e308]], [0], 0)
    assert 0 < losses[0] < 50


@dataclass(frozen=True)
class Heavy:
    """Weights of 8e307, three of which are no number any more."""

    is_eta_over_m = True

    def log_weight(self, draws: Any) -> Floats:
        return np.full(draws.prior.n_labels, 709.0)


def test_a_gradient_that_is_no_number_is_named() -> None:
    """At the kink of a hinge nothing is paid, and the slope is 1."""
    scheme = il.Scheme(il.samplers.Explicit(np.eye(12)[4]), Heavy(), m=3, hits="mask")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="gradients must be finite, but that of row 1 is not: its scores lie too far"):
        Minibatch(scheme, Decoupled(hinge), PRIOR)([np.full(12, -3.0), np.full(12, -1.0)], [2, 2], 0)


def test_a_batch_that_memory_cannot_hold_is_refused() -> None:
    scheme = il.Scheme(Uniform(), il.weightings.Constant(), m=10**12, hits="mask")
    with pytest.raises(ValueError, match=r"draws at most 268,435,456 negatives, got 3 examples with 1,000,000,000,000"):
        Minibatch(scheme, SoftmaxCrossEntropy(), PRIOR)(F, [1, 2, 3], 0)


def test_a_label_that_margins_need_and_no_draw_gives() -> None:
    """Label 0 is never drawn: importance weights cannot be had beside any positive but itself, whoever comes first."""
    q = np.full(12, 1 / 11)
    q[0] = 0.0
    scheme = il.Scheme(il.samplers.Explicit(q), il.weightings.Importance(), m=3, hits="mask")
    batch = Minibatch(scheme, SoftmaxCrossEntropy(), PRIOR)
    assert np.isfinite(batch(F[:1], [0], 0)[0]).all()
    for y in (5, 0, 7):
        if y:
            with pytest.raises(ValueError, match="no weight gives label 0 its margin"):
                batch(F[:2], [0, y], 0)
        else:
            assert np.isfinite(batch(F[:1], [0], 0)[0]).all()


def test_a_law_that_follows_the_positive_is_seen_without_a_flag(seed: int) -> None:
    """A sampler that draws the positive's neighbour only: the negatives of each example are its own."""

    @dataclass(frozen=True)
    class Neighbour:
        needs_scores = False

        def log_law(self, problem: il.Problem) -> Floats:
            with np.errstate(divide="ignore"):
                return np.log(np.eye(12)[(problem.positive + 1) % 12])

        def procedure(self, problem: il.Problem) -> Any:
            return lambda rng, size: np.full(size, (problem.positive + 1) % 12)

    scheme = il.Scheme(Neighbour(), il.weightings.Unit(), m=2, hits="mask")  # type: ignore[arg-type]
    _, gradient = Minibatch(scheme, SoftmaxCrossEntropy(), PRIOR)(F, [1, 5, 11], seed)
    assert [np.flatnonzero(row).tolist() for row in gradient] == [[1, 2], [5, 6], [0, 11]]
