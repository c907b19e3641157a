"""Every sampler, weighting and loss that is found keeps its contract; and each check has mutants that it refuses."""

from __future__ import annotations

import copy
import dataclasses
import doctest
import importlib
import inspect
import pickle
import pkgutil
from typing import Any

import numpy as np
import pytest
import sympy as sp

import implicitloss as il
from implicitloss import losses, margins, samplers, testing, weightings
from implicitloss import symbols as s
from implicitloss.samplers.sampler import complete_sampler
from implicitloss.testing import check_loss, check_sampler, check_weighting

LOSSES = losses.examples()
SAMPLERS = tuple(
    dict.fromkeys(
        sampler
        for loss in LOSSES
        for margin in (margins.Softmax(), margins.LogitAdjusted())
        for sampler in samplers.examples(margin=margin, loss=loss)
    )
)
WEIGHTINGS = (*weightings.examples(), *map(weightings.ForMargin, margins.examples()))


def test_the_examples_of_the_checks_run() -> None:
    names = [file.name for file in pkgutil.iter_modules(testing.__path__)]
    found = [doctest.testmod(importlib.import_module(f"implicitloss.testing.{name}")) for name in names]
    assert sum(part.failed for part in found) == 0
    assert sum(part.attempted for part in found) >= 6


def test_everything_is_found() -> None:
    # What `whole` draws are no labels: see tests/index/test_whole.py.
    files = {file.name for file in pkgutil.iter_modules(samplers.__path__)} - {"sampler", "whole"}
    assert {type(sampler).__module__.split(".")[-1] for sampler in samplers.examples()} == files
    for home, protocol in ((weightings, weightings.Weighting), (losses, losses.Loss), (samplers, samplers.Sampler)):
        kinds = {kind for _, kind in inspect.getmembers(home, inspect.isclass) if protocol in kind.__mro__[1:]}
        assert {type(example) for example in home.examples()} == kinds


@pytest.mark.parametrize("sampler", SAMPLERS, ids=str)
def test_samplers(sampler: samplers.Sampler, seed: int) -> None:
    """False alarm: 1e-9."""
    check_sampler(sampler, rng=seed)


@pytest.mark.parametrize("weighting", WEIGHTINGS, ids=str)
def test_weightings(weighting: weightings.Weighting) -> None:
    check_weighting(weighting)


@pytest.mark.parametrize("loss", LOSSES, ids=[loss.name for loss in LOSSES])
def test_losses(loss: losses.Loss) -> None:
    check_loss(loss)


# --- a class of one's own, as the README has it -----------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Own:
    """w = 1/q: no more than a weighting needs."""

    is_eta_over_m = False

    def log_weight(self, draws: Any) -> Any:
        return -draws.log_q

    def weight(self, q: Any, q_unconditional: Any, yp: sp.Expr) -> sp.Expr:
        return 1 / q(yp)


@dataclasses.dataclass(frozen=True)
class Plain:
    """Uniform draws: no more than a sampler needs."""

    needs_scores = False

    def log_law(self, problem: il.Problem) -> Any:
        return np.full(problem.prior.n_labels, -np.log(problem.prior.n_labels))

    def procedure(self, problem: il.Problem) -> Any:
        return lambda rng, size: rng.integers(problem.prior.n_labels, size=size)


def test_a_minimal_class_passes_and_has_the_defaults(seed: int) -> None:
    check_weighting(Own())  # type: ignore[arg-type]
    check_sampler(Plain(), rng=seed)  # type: ignore[arg-type]
    weighting = weightings.complete_weighting(Own())  # type: ignore[arg-type]
    assert (weighting.name, weighting.m_power, weighting.log_factors(*[None] * 4)) == ("Own()", None, None)  # type: ignore[arg-type]
    sampler = complete_sampler(Plain())  # type: ignore[arg-type]
    assert (sampler.name, sampler.needs_positive, sampler.leaves_out_what_pays_nothing) == ("Plain()", False, False)
    # What a class has of its own is never replaced.
    assert weightings.complete_weighting(weightings.Unit()).m_power == 0
    constant = dataclasses.make_dataclass("Free", [], bases=(Own,), namespace={"is_eta_over_m": True}, frozen=True)()
    assert weightings.complete_weighting(constant).m_power == -1


def test_a_completed_part_is_like_the_part() -> None:
    """Copies, hashes and text too; and an error within a property is raised, and not taken for a missing property."""
    part, twin = complete_sampler(Plain()), complete_sampler(Plain())  # type: ignore[arg-type]
    assert type(part) is not Plain
    for like in (twin, Plain(), copy.copy(part), copy.deepcopy(part), pickle.loads(pickle.dumps(part))):
        assert part == like
        assert like == part
        assert hash(like) == hash(part)
        assert (str(like), repr(like)) == ("Plain()", "Plain()")
    assert part != complete_sampler(samplers.Uniform())
    assert copy.deepcopy(part).needs_positive is False
    assert not hasattr(part, "nothing")
    check_sampler(part, rng=0)
    typo = changed(Plain(), name=property(lambda self: self.nme))
    with pytest.raises(AttributeError, match="nme"):
        _ = complete_sampler(typo).name


def test_a_stub_of_the_protocol_is_no_member(seed: int) -> None:
    """A class may inherit from the protocol; what it does not define itself is missing, as in any other class."""
    sampler = type("Plain", (Plain, samplers.Sampler), {})()
    check_sampler(sampler, rng=seed)
    scheme = il.Scheme(sampler, weightings.Constant(), m=2, hits="mask")
    with pytest.raises(ValueError, match="needs the sampler in symbols too: give Plain a method law"):
        scheme.check_symbols()
    numbers = {name: member for name, member in vars(Own).items() if name in ("is_eta_over_m", "log_weight")}
    light = dataclasses.dataclass(frozen=True)(type("Light", (weightings.Weighting,), numbers))()
    check_weighting(light)
    with pytest.raises(ValueError, match="needs the weighting in symbols too: give Light a method weight"):
        il.Scheme(UNIFORM, light, m=2, hits="mask").check_symbols()
    members = ("name", "has_log", "positive_pays", "log_payment", "payment_slope", "positive_slope")
    plain = {name: getattr(losses.SoftmaxCrossEntropy, name) for name in members}
    loss = dataclasses.dataclass(frozen=True)(type("Numbers", (losses.Loss,), plain))()
    check_loss(loss)
    with pytest.raises(ValueError, match=r"the loss in symbols too: .* lacks positive_term, payment, outer"):
        il.derive(il.Scheme(UNIFORM, weightings.Constant(), m=2, hits="mask"), loss)
    for protocol, checked, lacks in (
        (samplers.Sampler, check_sampler, "needs_scores"),
        (weightings.Weighting, check_weighting, "is_eta_over_m"),
        (losses.Loss, check_loss, "name"),
    ):
        with pytest.raises(AssertionError, match=f"must be one of implicitloss|lacks {lacks}"):
            checked(type("Empty", (protocol,), {})())


def test_every_member_of_a_protocol_says_its_default() -> None:
    """Members without a default are those that `checked_...` asks for, and the symbols."""
    for protocol, needed in (
        (samplers.Sampler, {"needs_scores", "log_law", "procedure", "law"}),
        (weightings.Weighting, {"is_eta_over_m", "log_weight", "weight"}),
        (margins.Margin, {"log_margin", "margin"}),
    ):
        members = {name: member for name, member in vars(protocol).items() if not name.startswith("_")}
        assert needed < set(members)
        for name in set(members) - needed:
            assert "Default: " in members[name].__doc__, (protocol, name)
            assert f"`{name}`" in protocol.__doc__, (protocol, name)


@pytest.mark.parametrize("size", [2, 5, 40])
def test_problems_of_ones_own(size: int, rng: np.random.Generator) -> None:
    """Labels not sorted by frequency, one of them never seen.  False alarm: 2e-9."""
    counts = rng.permutation(np.arange(size) + 1.0)
    counts[rng.integers(size)] *= size > 2
    problem = il.Problem(rng.normal(size=size), il.LabelPrior.from_counts(counts), int(np.argmax(counts)))
    for sampler in (samplers.LogUniform(), samplers.Mixture()):
        check_sampler(sampler, problem, rng=rng)
    check_weighting(weightings.Relative(), problem)
    check_loss(losses.Decoupled(losses.logistic), problem)


# --- mutants ----------------------------------------------------------------------------------------------------------


def changed(part: Any, **members: Any) -> Any:
    """The part with some members of its class replaced."""
    fields = {field.name: getattr(part, field.name) for field in dataclasses.fields(part) if field.init}
    return type("Mutant", (type(part),), members)(**fields)


def by_identity(kind: type) -> Any:
    """A value of a class that compares by identity, as classes do that are no dataclasses."""
    return type("Loose", (kind,), {"__eq__": object.__eq__, "__hash__": object.__hash__})()


def refused(check: Any, mutant: Any, sentence: str, **given: Any) -> None:
    """One sentence; and what the mutant was made of passes."""
    with pytest.raises(AssertionError, match=sentence) as error:
        check(mutant, **given)
    text = str(error.value)
    assert len(text) <= 300, text
    assert "\n" not in text, text
    assert "array(" not in text, text


def _now_and_then(self: Any, problem: il.Problem) -> Any:
    """The labels 0 and 1, and one draw in 4,000 another, which the law rules out."""

    def draw(rng: np.random.Generator, size: int) -> Any:
        return np.where(rng.random(size) < 1 / 4000, 2, rng.integers(2, size=size))

    return draw


def _twice(self: Any, problem: il.Problem) -> Any:
    return lambda rng, size: np.repeat(rng.integers(problem.prior.n_labels, size=(size + 1) // 2), 2)[:size]


def _no_label_twice(self: Any, problem: il.Problem) -> Any:
    def draw(rng: np.random.Generator, size: int) -> Any:
        n = problem.prior.n_labels
        return rng.permutation(n)[:size] if size < n else rng.integers(n, size=size)

    return draw


def _own_generator(self: Any, problem: il.Problem) -> Any:
    hidden = np.random.default_rng()
    return lambda rng, size: hidden.integers(problem.prior.n_labels, size=size)


UNIFORM = samplers.Uniform()
HALF = samplers.Explicit([0.5, 0.5, 0.0, 0.0])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("mutant", "sentence"),
    [
        (changed(UNIFORM, procedure=samplers.WithinBatch.procedure), "must draw by its law: labels 0 to"),
        (changed(samplers.Power(), procedure=lambda self, at: samplers.Power(0.85).procedure(at)), "draw by its law"),
        (changed(samplers.Power(0.75), law=lambda self, yp: samplers.Power(0.76).law(yp)), "log_law and law of"),
        (changed(samplers.MinimumVariance(), law=samplers.ModelBased.law), "log_law and law of"),
        (changed(UNIFORM, log_law=lambda self, at: np.full(4, np.log(0.24))), "must sum to 1, got 0.96"),
        (changed(UNIFORM, log_law=lambda self, at: np.full(3, -np.log(3))), "logarithms for all 4 labels"),
        (changed(HALF, procedure=_now_and_then), "drew label 2, to which .* q = 0"),
        (changed(UNIFORM, procedure=_twice), "must draw each label anew: of 400,000 draws"),
        (changed(UNIFORM, procedure=_no_label_twice), "must draw each label anew: of 4,000 calls"),
        (changed(UNIFORM, procedure=_own_generator), "one seed drew other labels"),
        (changed(UNIFORM, procedure=lambda self, at: lambda rng, n: rng.integers(5, size=n)), "labels from 0 to 3"),
        (changed(UNIFORM, procedure=lambda self, at: lambda rng, n: rng.random(n)), "must draw 200 whole numbers"),
        (changed(samplers.ModelBased(), needs_scores=False), "needs_scores must be True"),
        (
            changed(
                UNIFORM,
                log_law=lambda self, at: np.log([0.9 if j == at.positive else 0.1 / 3 for j in range(4)]),
            ),
            "needs_positive must be True",
        ),
        (by_identity(samplers.Uniform), "must be equal"),
        (samplers.Uniform, "must be an instance"),
        ("uniform", "must be one of implicitloss.samplers"),
    ],
)  # fmt: skip
def test_samplers_that_are_refused(mutant: Any, sentence: str, seed: int) -> None:
    """Each is missed with probability at most 1e-9."""
    refused(check_sampler, mutant, sentence, rng=seed)


@pytest.mark.parametrize(
    ("mutant", "sentence"),
    [
        (
            changed(weightings.Importance(), weight=lambda self, q, u, yp: 1 / q(yp)),
            "must give label . the same weight",
        ),
        (changed(weightings.Tail(), weight=weightings.ForMargin(margins.Softmax()).weight), "the same weight"),
        (changed(weightings.Relative(), weight=lambda self, q, u, yp: u(yp) / u(s.y)), "the same weight"),
        (changed(Own(), weight=lambda self, q, u, yp: 1 / u(yp)), "the same weight .* hits='exclude'"),
        (changed(weightings.Constant(), log_factors=lambda self, q, prior, m, out: (0.0, 0.0)), "log_factors of"),
        (changed(weightings.Relative(), log_factors=lambda self, q, prior, m, out: (-q, q)), "log_factors of"),
        (
            changed(weightings.Importance(), log_factors=lambda self, q, prior, m, out: (-np.log(m), -q)),
            "log_factors of .* hits=exclude",
        ),
        (changed(weightings.Unit(), is_eta_over_m=True), "is_eta_over_m of .* must be False"),
        (changed(weightings.Constant(), is_eta_over_m=False), "is_eta_over_m of .* must be True"),
        (changed(weightings.Unit(), m_power=-1), "m_power of"),
        (changed(weightings.Constant(), log_weight=lambda self, draws: np.zeros(3)), "for all 4 labels"),
        (by_identity(weightings.Unit), "must be equal"),
        (weightings.Unit, "must be an instance"),
    ],
)
def test_weightings_that_are_refused(mutant: Any, sentence: str) -> None:
    refused(check_weighting, mutant, sentence)


SQUARED = losses.squared_hinge
SOFTMAX = losses.SoftmaxCrossEntropy()


def decoupled(**functions: Any) -> losses.Loss:
    return losses.Decoupled(dataclasses.replace(SQUARED, **functions))


@pytest.mark.parametrize(
    ("mutant", "sentence"),
    [
        (decoupled(slope=lambda f: np.maximum(0.0, 1 + np.asarray(f))), "payment_slope of"),
        (decoupled(positive_slope=lambda f: 2 * np.maximum(0.0, 1 - np.asarray(f))), "positive_slope of"),
        (decoupled(positive=lambda f: np.maximum(0.0, 1 - f) ** 2 + 1), "positive_pays and positive_term"),
        (decoupled(varphi=lambda z: sp.Max(0, 1 + z) ** 2), "log_payment and the logarithm of payment"),
        (decoupled(log_negative=lambda f: np.log(np.maximum(1e-300, 1 + f))), "payment_slope|log_payment"),
        (losses.Decoupled(dataclasses.replace(losses.logistic, log_negative=None)), "log_payment and the logarithm"),
        (changed(SOFTMAX, outer=lambda self, total: sp.log(2 + total)), "outer of"),
        (changed(SOFTMAX, has_log=False), "must not look at the positive's score"),
        (changed(losses.Decoupled(SQUARED), has_log=True), "the positive must pay nothing"),
        (changed(SOFTMAX, positive_pays=lambda self, f: 1.0), "the positive must pay nothing"),
        (
            changed(
                SOFTMAX,
                log_payment=lambda self, f, y: 2 * (f - f[y]),
                payment_slope=lambda self, f, y: 2 * np.exp(2 * (f - f[y])),
            ),
            r"must go with e\^\(f_y' - f_y\)",
        ),
        (
            changed(losses.Decoupled(SQUARED), log_payment=lambda self, f, y: f + 0.1 * np.roll(f, 1)),
            "payment_slope of",
        ),
        (
            changed(
                SOFTMAX,
                log_payment=lambda self, f, y: f - f[y] + 0.1 * np.roll(f, 1),
                payment_slope=lambda self, f, y: np.exp(self.log_payment(f, y)),
            ),
            "must not look at the score of another negative",
        ),
        (changed(SOFTMAX, log_payment=lambda self, f, y: f[:-1]), "a logarithm for each of 4 labels"),
        (changed(SOFTMAX, name=""), "the name of a loss must be text"),
        (by_identity(losses.SoftmaxCrossEntropy), "equal"),
        (SQUARED, "write losses.Decoupled"),
    ],
)  # fmt: skip
def test_losses_that_are_refused(mutant: Any, sentence: str) -> None:
    with np.errstate(divide="ignore"):
        refused(check_loss, mutant, sentence)


def test_faults_of_a_sampler_come_in_the_order_of_their_weight() -> None:
    """A wrong law is said before a class that is no value; other arguments are a sentence, too."""

    class Wrong:
        needs_scores = False

        def log_law(self, problem: Any) -> Any:
            return np.full(problem.prior.n_labels, -1.0)

        def procedure(self, problem: Any) -> Any:
            return lambda rng, n: rng.integers(0, problem.prior.n_labels, n)

    with pytest.raises(AssertionError, match="sum to"):
        il.testing.check_sampler(Wrong())
    Wrong.log_law = lambda self, problem: np.full(problem.prior.n_labels, -np.log(problem.prior.n_labels))
    with pytest.raises(AssertionError, match="dataclass"):
        il.testing.check_sampler(Wrong())
    Wrong.procedure = lambda self: None  # type: ignore[assignment,misc]
    with pytest.raises(AssertionError, match="positional argument"):
        il.testing.check_sampler(Wrong())
