"""Every sampler, discovered: its stated law in numbers and in symbols, and what its procedure really draws.

Labels are drawn 400,000 times a sampler; the Dvoretzky-Kiefer-Wolfowitz bound at delta = 1e-7 a test is 0.0046.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import itertools
import math
import pkgutil
import textwrap
from collections.abc import Callable
from typing import Any, Protocol, get_type_hints

import mpmath as mp
import numpy as np
import pytest
from scipy.special import logsumexp

from implicitloss import (
    LabelPrior,
    Minibatch,
    Problem,
    Scheme,
    exhaust,
    implicit_loss,
    implicit_margins,
    integrate,
    samplers,
    simulate,
)
from implicitloss import symbols as s
from implicitloss.losses import (
    BinaryLoss,
    Decoupled,
    SoftmaxCrossEntropy,
    cosine_contrastive,
    hinge,
    logistic,
    squared_hinge,
)
from implicitloss.margins import LogitAdjusted, Margin, Softmax
from implicitloss.numerics.bounds import cdf_half_width
from implicitloss.samplers import (
    Explicit,
    HardestOf,
    LogUniform,
    MinimumVariance,
    Mixture,
    ModelBased,
    Power,
    Sampler,
    Uniform,
    WithinBatch,
)
from implicitloss.samplers.hardest_of import AMONG
from implicitloss.scheme import HITS
from implicitloss.testing import check_sampler
from implicitloss.theory.implicit import implicit_gradient, lemma1_variance
from implicitloss.weightings import ForMargin, Importance

Q = np.array([0.1, 0.2, 0.3, 0.4])

# The law at `problem`, by hand: counts 8, 4, 3, 1, scores 0.3, -0.4, 1.25, -1.75, positive label 1 (from 0).
E = [math.exp(x) for x in (0.3, -0.4, 1.25, -1.75)]
LOG = [
    math.log(2) / math.log(5),
    math.log(1.5) / math.log(5),
    math.log(4 / 3) / math.log(5),
    math.log(1.25) / math.log(5),
]
POW = [8**0.75, 4**0.75, 3**0.75, 1.0]
EXAMPLES: list[tuple[Sampler, list[float]]] = [
    (Uniform(), [0.25] * 4),
    (WithinBatch(), [8 / 16, 4 / 16, 3 / 16, 1 / 16]),
    (ModelBased(), [e / sum(E) for e in E]),
    (Power(), [p / sum(POW) for p in POW]),
    (Power(2.0), [64 / 90, 16 / 90, 9 / 90, 1 / 90]),
    (LogUniform(), LOG),
    (Mixture(), [0.375, 0.25, 0.21875, 0.15625]),
    (Mixture(0.25, Uniform(), Explicit(Q)), [0.1375, 0.2125, 0.2875, 0.3625]),
    (Explicit(Q), [0.1, 0.2, 0.3, 0.4]),
    (MinimumVariance(), [e / (E[0] + E[2] + E[3]) if i != 1 else 0.0 for i, e in enumerate(E)]),
    (
        MinimumVariance(LogitAdjusted(), SoftmaxCrossEntropy()),
        [e * n / (E[0] * 8 + E[2] * 3 + E[3]) if n != 4 else 0.0 for e, n in zip(E, (8, 4, 3, 1), strict=True)],
    ),
    # The pairs of candidates in which a label has the highest score, of 16, and of the 9 without the positive.
    (HardestOf(2), [5 / 16, 3 / 16, 7 / 16, 1 / 16]),
    (HardestOf(2, "negatives"), [3 / 9, 0.0, 5 / 9, 1 / 9]),
    # φ(-f) = [1 + f]_+: 1.3, (0.6), 2.25, 0.
    (MinimumVariance(Softmax(), Decoupled(hinge)), [1.3 / 3.55, 0.0, 2.25 / 3.55, 0.0]),
]
IDS = [f"{type(sampler).__name__}-{i}" for i, (sampler, _) in enumerate(EXAMPLES)]
each_sampler = pytest.mark.parametrize(("sampler", "law"), EXAMPLES, ids=IDS)

DRAWS = 400_000
DELTA = 1e-7


def discovered() -> set[type]:
    """All classes of the package that draw labels and state a law."""
    found = set()
    for info in pkgutil.walk_packages(samplers.__path__, samplers.__name__ + "."):
        for _, member in inspect.getmembers(importlib.import_module(info.name), inspect.isclass):
            if member.__module__ == info.name and hasattr(member, "procedure") and hasattr(member, "law"):
                found.add(member)
    return {member for member in found if Protocol not in member.__bases__}


def test_every_sampler_has_an_example_and_is_exported() -> None:
    assert len(discovered()) >= 8
    # What `Whole` draws are no labels: see tests/index/test_whole.py.
    assert {type(sampler) for sampler in samplers.examples()} == discovered() - {samplers.Whole}
    assert {type(sampler) for sampler, _ in EXAMPLES} <= discovered()
    assert {member.__name__ for member in discovered()} <= set(samplers.__all__)


# --- the stated law ---------------------------------------------------------------------------------------------


@each_sampler
def test_the_law_is_the_one_computed_by_hand(sampler: Sampler, law: list[float], problem: Problem) -> None:
    assert math.fsum(law) == pytest.approx(1, abs=1e-15)
    assert np.exp(sampler.log_law(problem)) == pytest.approx(law, rel=1e-14, abs=0)


@each_sampler
def test_the_law_sums_to_one(sampler: Sampler, law: list[float], rng: np.random.Generator) -> None:
    n_labels = 4 if "Explicit" in str(sampler) else 1000
    counts = LabelPrior.from_counts(rng.integers(1, 1000, n_labels))
    for scale in (1.0, 1e4):
        problem = Problem(scale * rng.normal(size=n_labels), counts, n_labels - 1)
        assert logsumexp(sampler.log_law(problem)) == pytest.approx(0, abs=1e-11)


@each_sampler
def test_the_law_in_symbols_is_the_law_in_numbers(
    sampler: Sampler, law: list[float], prior: LabelPrior, value_of: Callable[..., float]
) -> None:
    """For each positive and each label, the positive itself included."""
    for positive in range(4):
        problem = Problem(np.array([0.3, -0.4, 1.25, -1.75]), prior, positive)
        numbers = np.exp(sampler.log_law(problem))
        for label in range(4):
            if label == positive:
                symbols = value_of(sampler.law(s.y), problem, q=Q)
            else:
                symbols = value_of(sampler.law(s.yp), problem, {s.yp: label + 1}, q=Q)
            assert numbers[label] == pytest.approx(symbols, rel=1e-14, abs=0)


@each_sampler
def test_needs_scores_is_true_where_the_law_moves_with_them(
    sampler: Sampler, law: list[float], problem: Problem, prior: LabelPrior
) -> None:
    moved = Problem(problem.scores + np.array([1.0, 0.0, 0.0, 0.0]), prior, 1)
    assert sampler.needs_scores == (not np.array_equal(sampler.log_law(problem), sampler.log_law(moved)))


# --- the procedure ----------------------------------------------------------------------------------------------


def distance(labels: np.ndarray, law: Any) -> float:
    """sup |F_n - F| over the labels in their order."""
    frequency = np.bincount(labels, minlength=len(law)) / labels.size
    return float(np.abs(np.cumsum(frequency) - np.cumsum(law)).max())


@each_sampler
def test_the_procedure_follows_the_law(
    sampler: Sampler, law: list[float], problem: Problem, rng: np.random.Generator
) -> None:
    """False alarm: 1e-7.  The mutant moves 2 % of the mass from the largest label to its neighbour."""
    labels = sampler.procedure(problem)(rng, DRAWS)
    assert labels.shape == (DRAWS,)
    assert labels.dtype == np.intp
    width = cdf_half_width(DRAWS, DELTA)
    assert distance(labels, law) <= width
    top = int(np.argmax(law))
    mutant = np.array(law)
    mutant[top] -= 0.02
    mutant[top - 1 if top else 1] += 0.02
    assert 2 * width < 0.02
    assert distance(labels, mutant) > width


@each_sampler
def test_labels_without_probability_are_never_drawn(
    sampler: Sampler, law: list[float], problem: Problem, rng: np.random.Generator
) -> None:
    labels = sampler.procedure(problem)(rng, DRAWS)
    assert set(labels.tolist()) == {label for label, share in enumerate(law) if share > 0}


@pytest.mark.parametrize("sampler", [WithinBatch(), Power(0.0), Power(0.75), Mixture(0.5, WithinBatch(), Power())])
@pytest.mark.parametrize("by_counts", [True, False])
def test_labels_without_prior_are_never_drawn(sampler: Sampler, by_counts: bool, rng: np.random.Generator) -> None:
    counts = [0, 0, 3, 0, 1, 2, 0]
    prior = LabelPrior.from_counts(counts) if by_counts else LabelPrior.from_probabilities(np.array(counts) / 6)
    problem = Problem(np.zeros(7), prior, 2)
    assert np.isneginf(sampler.log_law(problem)).tolist() == [True, True, False, True, False, False, True]
    assert set(sampler.procedure(problem)(rng, 20_000).tolist()) == {2, 4, 5}


def test_the_procedure_repeats_itself_for_the_same_generator(problem: Problem, seed: int) -> None:
    for sampler, _ in EXAMPLES:
        draws = [sampler.procedure(problem)(np.random.default_rng(seed), 100).tolist() for _ in range(2)]
        assert draws[0] == draws[1]
        assert draws[0] != sampler.procedure(problem)(np.random.default_rng(seed + 1), 100).tolist()
        assert sampler.procedure(problem)(np.random.default_rng(seed), 0).size == 0


def test_procedures_on_many_labels(rng: np.random.Generator) -> None:
    """L = 20,000.  False alarm: 1e-7 for each sampler."""
    n_labels = 20_000
    prior = LabelPrior.from_counts(np.ceil(1e6 / np.arange(1, n_labels + 1)))
    problem = Problem(3 * rng.normal(size=n_labels), prior, 7)
    width = cdf_half_width(DRAWS, DELTA)
    for sampler in samplers.examples(n_labels):
        labels = sampler.procedure(problem)(rng, DRAWS)
        assert distance(labels, np.exp(sampler.log_law(problem))) <= width
        other = Uniform() if isinstance(sampler, WithinBatch) else WithinBatch()
        assert distance(labels, np.exp(other.log_law(problem))) > width


def test_within_batch_takes_the_labels_of_examples(rng: np.random.Generator) -> None:
    """Counts and not probabilities are what it reads.  False alarm: 2e-7."""
    prior = LabelPrior.from_counts([0, 5, 0, 1, 2])
    wrong = LabelPrior.from_counts([0, 5, 0, 1, 2])
    object.__setattr__(wrong, "probabilities", np.full(5, 0.2))  # no prior would be made of these
    width = cdf_half_width(DRAWS, DELTA)
    for given in (prior, wrong):
        labels = WithinBatch().procedure(Problem(np.zeros(5), given, 1))(rng, DRAWS)
        assert distance(labels, [0, 5 / 8, 0, 1 / 8, 2 / 8]) <= width
        assert distance(labels, [0.2] * 5) > width


def test_within_batch_of_very_many_examples(rng: np.random.Generator) -> None:
    """More examples than a 64-bit integer counts: refused as counts, or drawn right.  False alarm: 1e-7."""
    try:
        prior = LabelPrior.from_counts([3e19, 1e19])
    except ValueError as refusal:
        assert "counts" in str(refusal)  # noqa: PT017
        return
    labels = WithinBatch().procedure(Problem(np.zeros(2), prior, 1))(rng, DRAWS)
    assert distance(labels, [0.75, 0.25]) <= cdf_half_width(DRAWS, DELTA)


def test_log_uniform_ranks_an_unsorted_prior(rng: np.random.Generator) -> None:
    """Rank 1 is the most frequent label, wherever it stands.  False alarm: 1e-7; the mutant forgets to rank."""
    problem = Problem(np.zeros(4), LabelPrior.from_counts([1, 8, 3, 4]), 0)
    law = [LOG[3], LOG[0], LOG[2], LOG[1]]
    assert np.exp(LogUniform().log_law(problem)) == pytest.approx(law, rel=1e-14)
    labels = LogUniform().procedure(problem)(rng, DRAWS)
    width = cdf_half_width(DRAWS, DELTA)
    assert distance(labels, law) <= width
    assert distance(labels, LOG) > width


class _AlmostOne(np.random.Generator):
    """A generator whose every uniform is the largest below 1."""

    def random(self, size: Any = None, *args: Any, **kwargs: Any) -> Any:
        return np.full(size, np.nextafter(1, 0))


@each_sampler
def test_the_largest_uniform_number_draws_a_label(sampler: Sampler, law: list[float], problem: Problem) -> None:
    labels = sampler.procedure(problem)(_AlmostOne(np.random.SFC64(0)), 8)
    assert all(law[label] > 0 for label in labels)


@pytest.mark.parametrize("n_labels", [1, 2, 3, 99, 12_345])
def test_log_uniform_stays_below_its_last_rank(n_labels: int) -> None:
    problem = Problem(np.zeros(n_labels), LabelPrior.zipf(n_labels, 1), 0)
    assert LogUniform().procedure(problem)(_AlmostOne(np.random.SFC64(0)), 1)[0] == n_labels - 1


# --- settings ---------------------------------------------------------------------------------------------------


def test_special_cases_coincide(problem: Problem) -> None:
    def law(sampler: Sampler) -> Any:
        return pytest.approx(sampler.log_law(problem), rel=1e-13, abs=1e-15)

    assert Power(0.0).log_law(problem) == law(Uniform())
    assert HardestOf(1).log_law(problem) == law(Uniform())
    assert Power(1.0).log_law(problem) == law(WithinBatch())
    assert Explicit(problem.prior.probabilities).log_law(problem) == law(WithinBatch())
    assert Mixture(0.3, Uniform(), Uniform()).log_law(problem) == law(Uniform())


def test_minimum_variance_makes_every_draw_pay_the_same(problem: Problem) -> None:
    for margin in (Softmax(), LogitAdjusted(0.5)):
        for loss in (SoftmaxCrossEntropy(), Decoupled(cosine_contrastive(-2.0))):
            sampler = MinimumVariance(margin, loss)
            log_q = sampler.log_law(problem)
            assert log_q[1] == -math.inf
            ratio = (margin.log_margin(problem.prior, 1) + loss.log_payment(problem.scores, 1) - log_q)[[0, 2, 3]]
            assert ratio == pytest.approx(ratio[0], rel=1e-13)


# Losses under which a negative can pay nothing, with scores at which some or all do: by hand, which ones pay.
FREE: list[tuple[BinaryLoss, list[float], list[int]]] = [
    (hinge, [0.3, 5.0, -1.2, -3.0], [0]),
    (hinge, [0.3, 5.0, -1.0, 0.2], [0, 3]),
    (squared_hinge, [-1.5, -4.0, -0.2, -1.0], [2]),
    (cosine_contrastive(0.0), [0.3, -0.5, 0.0, -0.7], [0]),
    (cosine_contrastive(0.0), [0.3, -0.5, 0.8, -0.7], [0, 2]),
    (hinge, [-3.0, 5.0, -3.0, -3.0], []),
    (squared_hinge, [-3.0, -1.0, -1.0, -2.0], []),
    (cosine_contrastive(0.0), [0.0, -0.5, -0.1, -0.7], []),
]


@pytest.mark.parametrize(("binary", "scores", "paying"), FREE)
@pytest.mark.parametrize("hits", ["exclude", "mask", "keep"])
@pytest.mark.parametrize("margin", [Softmax(), LogitAdjusted()])
def test_minimum_variance_where_negatives_pay_nothing(
    binary: BinaryLoss, scores: list[float], paying: list[int], hits: Any, margin: Margin, prior: LabelPrior, seed: int
) -> None:
    """They are never drawn; the mean is the full loss with the margins, by every witness, and there is no variance."""
    loss, at = Decoupled(binary), Problem(np.array(scores), prior, 1)
    sampler = MinimumVariance(margin, loss)
    scheme = Scheme(sampler, ForMargin(margin), m=3, hits=hits)
    p = {j: 1.0 if isinstance(margin, Softmax) else (8, 4, 3, 1)[j] / 4 for j in (0, 2, 3)}
    pays = {j: float(binary.negative(scores[j])) for j in paying}
    by_hand = float(binary.positive(scores[1])) + math.fsum(p[j] * paid for j, paid in pays.items())
    labels = sampler.procedure(at)(np.random.default_rng(seed), 2_000)
    assert set(labels.tolist()) == set(paying or p)
    means = [implicit_loss(scheme, loss, at), integrate(scheme, loss, at), exhaust(scheme, loss, at)]
    means.append(simulate(scheme, loss, at, runs=1_000, rng=seed))
    assert [float(mean) for mean in means] == pytest.approx([by_hand] * 4, rel=1e-13)
    batch = Minibatch(scheme, loss, prior)(np.array([scores]), [1], np.random.default_rng(seed))[0]
    assert batch == pytest.approx([by_hand], rel=1e-13)
    variances = [witness(scheme, loss, at, "variance") for witness in (integrate, exhaust)]
    variances += [simulate(scheme, loss, at, "variance", runs=1_000, rng=seed), lemma1_variance(scheme, loss, at)]
    assert [float(variance) for variance in variances] == pytest.approx([0] * 4, abs=1e-13 * by_hand**2)
    # Uniform negatives have a variance, unless none pays.
    uniform = Scheme(Uniform(), ForMargin(margin), m=3, hits="mask")
    assert (float(integrate(uniform, loss, at, "variance")) > 1e-4) == bool(paying)


def test_minimum_variance_by_what_counts_where_no_negative_pays(prior: LabelPrior) -> None:
    nobody = Problem(np.array([-3.0, 5.0, -3.0, -3.0]), prior, 1)
    sampler = MinimumVariance(LogitAdjusted(), Decoupled(hinge))
    assert np.exp(sampler.log_law(nobody)) == pytest.approx([8 / 12, 0, 3 / 12, 1 / 12], rel=1e-14)
    alone = LabelPrior.from_counts([0, 4, 0, 0])
    for ask in (sampler.log_law, sampler.procedure):
        with pytest.raises(ValueError, match="undefined: no negative of label 1 has p > 0"):
            ask(Problem(nobody.scores, alone, 1))


def test_proposition_4_still_refuses_what_pays_and_what_another_sampler_leaves_out(prior: LabelPrior) -> None:
    """Under another loss the label pays; nothing says which loss; or the sampler knows of no loss."""
    at, loss = Problem(np.array([0.3, 5.0, -1.2, -3.0]), prior, 1), Decoupled(hinge)
    best = Scheme(MinimumVariance(loss=loss), Importance(), m=3, hits="mask")
    explicit = Scheme(Explicit([1.0, 0.0, 0.0, 0.0]), Importance(), m=3, hits="mask")
    for scheme, other in (
        (best, SoftmaxCrossEntropy()),
        (best, Decoupled(logistic)),
        (best, Decoupled(cosine_contrastive(-2.0))),
        (explicit, loss),
    ):
        for ask in (implicit_loss, integrate, exhaust, lambda *asked: simulate(*asked, runs=10, rng=0)):
            with pytest.raises(ValueError, match="no weight gives label 2 its margin p = 1"):
                ask(scheme, other, at)
    for refuse in (lambda: best.plan(at), lambda: implicit_margins(best, prior, scores=at.scores)):
        with pytest.raises(ValueError, match="no weight gives label"):
            refuse()
    # Under the squared hinge the same labels pay nothing.
    assert float(integrate(best, Decoupled(squared_hinge), at)) == pytest.approx(1.3**2, rel=1e-13)


def test_the_slope_of_what_minimum_variance_leaves_out(prior: LabelPrior) -> None:
    """It is 0, as that of the full loss, but where a hinge has two: at the kink the one on the right is 1."""
    loss = Decoupled(hinge)
    for score, slope in ((-1.5, 0.0), (-1.0, 1.0)):
        at = Problem(np.array([0.3, 5.0, score, 0.2]), prior, 1)
        best, uniform = (
            Scheme(sampler, Importance(), m=3, hits="exclude") for sampler in (MinimumVariance(loss=loss), Uniform())
        )
        assert np.asarray(integrate(uniform, loss, at, "gradient").value)[2] == pytest.approx(slope, rel=1e-13)
        for witness in (integrate, exhaust):
            gradient = np.asarray(witness(best, loss, at, "gradient").value)
            assert gradient == pytest.approx([1, 0, 0, 1], rel=1e-13)
        assert implicit_gradient(best, loss, at) == pytest.approx([1, 0, 0, 1], rel=1e-13)


def own_functions(method: Any) -> dict[str, Any]:
    """What a sampler's method uses of its own class, and of the functions of its own module, by name."""
    module = inspect.getmodule(method)
    assert module is not None
    sampler = vars(module)[method.__qualname__.split(".")[0]]
    found = {}
    for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(method)))):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self":
            found[node.attr] = getattr(sampler, node.attr, None)
        elif isinstance(node, ast.Name) and inspect.isfunction(vars(module).get(node.id)):
            found[node.id] = vars(module)[node.id]
    return {name: used for name, used in found.items() if getattr(used, "__module__", None) == module.__name__}


def test_law_and_procedure_share_no_number() -> None:
    """A method of the sampler's own that both call may check the problem, but returns nothing; neither calls the other.

    Were they one function, what is wrong in it would be wrong in both, and frequencies would agree with the law.
    """
    for sampler in discovered():
        law, procedure = own_functions(sampler.log_law), own_functions(sampler.procedure)  # type: ignore[attr-defined]
        assert not {"log_law", "law"} & set(procedure), sampler
        assert "procedure" not in law, sampler
        for shared in set(law) & set(procedure):
            assert get_type_hints(law[shared]).get("return") is type(None), (sampler, shared)


def test_minimum_variance_where_the_logistic_payments_underflow(prior: LabelPrior) -> None:
    """log(1 + e^f) is e^f where f is very negative: q* is as good as the model's own law, at any scale."""
    far = Problem(np.array([-800.0, 0.0, -801.0, -802.0]), prior, 1)
    law = np.exp(MinimumVariance(loss=Decoupled(logistic)).log_law(far))
    total = 1 + math.exp(-1) + math.exp(-2)
    assert law == pytest.approx([1 / total, 0, math.exp(-1) / total, math.exp(-2) / total], rel=1e-12)


# --- the hardest of n draws -----------------------------------------------------------------------------------------


def tuples_won(scores: list[float], eligible: list[int], n: int) -> list[float]:
    """The share of all n-tuples of candidates in which a label is the first of the best, (L,)."""
    won = [0] * len(scores)
    for candidates in itertools.product(eligible, repeat=n):
        won[max(candidates, key=lambda label: scores[label])] += 1
    return [count / len(eligible) ** n for count in won]


@pytest.mark.in_turn
@pytest.mark.parametrize("scores", [[0.3, -0.4, 1.25, -1.75], [0.5, 0.5, 0.5, -1.0], [2.0, -1.0, 2.0, -1.0], [0.0] * 4])
@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_the_hardest_of_n_by_all_tuples(scores: list[float], n: int, prior: LabelPrior, seed: int) -> None:
    """Ties too: equal scores share evenly.  False alarm of the checks: 2e-9."""
    for y in range(4):
        at = Problem(scores, prior, y)
        for among, eligible in (("all", [0, 1, 2, 3]), ("negatives", [j for j in range(4) if j != y])):
            law = np.exp(HardestOf(n, among).log_law(at))  # type: ignore[arg-type]
            assert law == pytest.approx(tuples_won(scores, eligible, n), rel=1e-13, abs=0)
    if n == 3:
        for among in AMONG:
            check_sampler(HardestOf(n, among), at, rng=seed)


def test_excluded_hits_are_not_left_out_of_the_candidates(problem: Problem) -> None:
    """Excluded hits of all labels: 5, 7, 1 of 13 pairs; among the negatives 3, 5, 1 of 9.  The positive is third."""
    excluded = Scheme(HardestOf(2), Importance(), m=1, hits="exclude").laws(problem).log_q
    assert np.exp(excluded) == pytest.approx([5 / 13, 0, 7 / 13, 1 / 13], rel=1e-14)
    for hits in HITS:
        scheme = Scheme(HardestOf(2, "negatives"), Importance(), m=1, hits=hits)
        assert np.exp(scheme.laws(problem).log_q) == pytest.approx([3 / 9, 0, 5 / 9, 1 / 9], rel=1e-14)
    # They agree where the positive has the highest score.
    first = Problem(problem.scores, problem.prior, 2)
    laws = [
        Scheme(HardestOf(3, among), Importance(), m=1, hits="exclude").laws(first).log_q  # type: ignore[arg-type]
        for among in AMONG
    ]
    assert np.exp(laws[0]) == pytest.approx(np.exp(laws[1]), rel=1e-14)


@pytest.mark.parametrize(("n_labels", "n"), [(100_000, 2), (50, 1_000_000), (100_000, 1_000), (100_000, 1_000_000)])
@pytest.mark.parametrize("among", AMONG)
def test_the_law_of_the_hardest_keeps_its_digits(n_labels: int, n: int, among: Any, rng: np.random.Generator) -> None:
    """log q to 60 digits, from e^-1e7 to 1: 1 - (1 - t/c)^n and 1 - c/L by themselves would lose them."""
    scores = rng.normal(size=n_labels).round(4)
    y = int(rng.integers(n_labels))
    log_q = HardestOf(n, among).log_law(Problem(scores, LabelPrior.zipf(n_labels, 1), y))
    eligible = scores if among == "all" else np.delete(scores, y)
    with mp.workdps(60):
        for j in {0, 1, int(scores.argmax()), int(scores.argmin())} - ({y} if among == "negatives" else set()):
            c, b = int(np.sum(eligible <= scores[j])), int(np.sum(eligible < scores[j]))
            true = mp.log((mp.mpf(c) ** n - mp.mpf(b) ** n) / (c - b)) - n * mp.log(eligible.size)
            assert float(abs(log_q[j] - true)) <= 1e-15 * max(1.0, float(abs(true)))


def test_the_simulation_of_the_hardest_agrees_with_its_law(problem: Problem, seed: int) -> None:
    """The procedure in `simulate` against the law in `integrate`, to 6 standard errors; the mutant has another n."""
    scheme = Scheme(HardestOf(3), Importance(), m=2, hits="exclude")
    found = simulate(scheme, SoftmaxCrossEntropy(), problem, runs=40_000, rng=seed)
    exact = [float(integrate(Scheme(HardestOf(n), Importance(), m=2, hits="exclude"), SoftmaxCrossEntropy(), problem))
             for n in (3, 2)]  # fmt: skip
    assert abs(float(found) - exact[0]) <= 6 * float(found.error)
    assert abs(float(found) - exact[1]) > 6 * float(found.error)


def test_bad_hardest() -> None:
    for n in (0, 2.5, True, "3", 10**7):
        with pytest.raises(
            ValueError, match=r"^n, the number of candidates, must be (a whole number >= 1|at most 1,000,000)"
        ):
            HardestOf(n)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="among must be 'all' or 'negatives', got 'others'"):
        HardestOf(2, "others")  # type: ignore[arg-type]
    alone = Problem([0.0], LabelPrior.from_counts([1]), 0)
    for ask in (HardestOf(2, "negatives").log_law, HardestOf(2, "negatives").procedure):
        with pytest.raises(ValueError, match="needs at least two labels, got one"):
            ask(alone)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, 1.5, math.nan])
def test_bad_share(share: float) -> None:
    with pytest.raises(ValueError, match=f"strictly between 0 and 1, got {share}"):
        Mixture(share)


@pytest.mark.parametrize("alpha", [-0.5, math.inf, math.nan])
def test_bad_alpha(alpha: float) -> None:
    with pytest.raises(ValueError, match=f"alpha must be .* got {alpha}"):
        Power(alpha)


def test_bad_explicit_law(problem: Problem) -> None:
    with pytest.raises(ValueError, match=r"q must sum to 1, got 0\.9"):
        Explicit([0.5, 0.4])
    with pytest.raises(ValueError, match=r"q must not be negative, but label 1 has -0\.5"):
        Explicit([1.5, -0.5])
    for ask in (Explicit([0.5, 0.5]).log_law, Explicit([0.5, 0.5]).procedure):
        with pytest.raises(ValueError, match="4 labels, got 2"):
            ask(problem)


def test_samplers_are_values() -> None:
    assert Explicit(Q) == Explicit(Q.copy())
    assert hash(Explicit(Q)) == hash(Explicit(Q.copy()))
    assert Explicit(Q) != Explicit(Q[::-1])
    assert Power(0.5) == Power(0.5) != Power(0.75)
    assert Mixture() == Mixture()
    assert len({repr(sampler) for sampler, _ in EXAMPLES}) == len(EXAMPLES)
