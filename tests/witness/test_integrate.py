"""Exact integration against enumeration: all schemes in floats, extreme ones at 400 digits, and m up to a million."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Any

import mpmath as mp
import numpy as np
import pytest

from implicitloss import LabelPrior, Problem, Scheme, exhaust, implicit_loss, integrate
from implicitloss.estimate import QUANTITIES
from implicitloss.losses import (
    Decoupled,
    Loss,
    SoftmaxCrossEntropy,
    cosine_contrastive,
    examples,
    hinge,
    logistic,
    squared_hinge,
)
from implicitloss.samplers import (
    Explicit,
    MinimumVariance,
    Mixture,
    Power,
    Sampler,
    Uniform,
    WithinBatch,
)
from implicitloss.samplers import examples as samplers
from implicitloss.scheme import HITS
from implicitloss.weightings import Consistent, Constant, Importance, Relative, Tail, Unit, Weighting
from implicitloss.weightings import examples as weightings
from implicitloss.witness.integrate import gradient_and_hessian

SOFTMAX = SoftmaxCrossEntropy()
# --- every scheme, against enumeration in floats ------------------------------------------------------------------


@pytest.mark.in_turn
@pytest.mark.parametrize("hits", HITS)
@pytest.mark.parametrize("weighting", weightings(), ids=str)
@pytest.mark.parametrize("sampler", samplers(), ids=str)
def test_integrate_equals_exhaust(sampler: Sampler, weighting: Weighting, hits: str, problem: Problem) -> None:
    """Every loss and quantity; the enumeration of m + 1 draws is another number, and is seen to be."""
    scheme, more = (Scheme(sampler, weighting, m=m, hits=hits) for m in (3, 4))
    never = np.isneginf(sampler.log_law(problem)[problem.positive])
    if never and isinstance(weighting, Consistent):
        with pytest.raises(ValueError, match=r"(relative|consistent) weights"):
            integrate(scheme, SOFTMAX, problem)
        return
    moved = 0
    for loss in examples():
        for quantity in QUANTITIES:
            integral, total = integrate(scheme, loss, problem, quantity), exhaust(scheme, loss, problem, quantity)
            allowed = np.asarray(integral.error) + np.asarray(total.error)
            assert np.all(np.abs(integral.value - total.value) <= allowed), (loss.name, quantity)
            assert np.all(allowed <= 1e-11 * (1 + np.abs(total.value))), (loss.name, quantity)
            if moved < 3:
                other = exhaust(more, loss, problem, quantity)
                moved += bool(np.any(np.abs(integral.value - other.value) > allowed + other.error))
    # With weights q η/m nothing but the spread depends on m: at least that of the softmax has to move.
    still = isinstance(sampler, MinimumVariance) and weighting in (Importance(), Constant())
    assert moved == 3 or still


# --- oracle: enumeration at 400 digits ----------------------------------------------------------------------------


def _softmax_pays(f: Any, f_y: Any) -> Any:
    return mp.exp(f - f_y)


PAYMENTS: dict[str, Callable[[Any], Any]] = {
    "decoupled logistic": lambda f: mp.log1p(mp.exp(f)),
    "decoupled hinge": lambda f: max(mp.mpf(0), 1 + f),
    "decoupled squared hinge": lambda f: max(mp.mpf(0), 1 + f) ** 2,
    "decoupled cosine contrastive (ρ = -1.5)": lambda f: max(mp.mpf(0), f + mp.mpf("1.5")) ** 2,
}
SLOPES: dict[str, Callable[[Any], Any]] = {
    "decoupled logistic": lambda f: 1 / (1 + mp.exp(-f)),
    "decoupled hinge": lambda f: mp.mpf(f >= -1),
    "decoupled squared hinge": lambda f: 2 * max(mp.mpf(0), 1 + f),
    "decoupled cosine contrastive (ρ = -1.5)": lambda f: 2 * max(mp.mpf(0), f + mp.mpf("1.5")),
}
POSITIVES: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "decoupled logistic": (lambda f: mp.log1p(mp.exp(-f)), lambda f: -1 / (1 + mp.exp(f))),
    "decoupled hinge": (lambda f: max(mp.mpf(0), 1 - f), lambda f: -mp.mpf(f < 1)),
    "decoupled squared hinge": (lambda f: max(mp.mpf(0), 1 - f) ** 2, lambda f: -2 * max(mp.mpf(0), 1 - f)),
    "decoupled cosine contrastive (ρ = -1.5)": (lambda f: (1 - f) ** 2, lambda f: -2 * (1 - f)),
}


@dataclass(frozen=True)
class Draws:
    """One draw, written out: label j with probability q_j and weight w_j, at 400 digits."""

    q: list[Any]
    w: list[Any]
    f: list[Any]
    y: int
    m: int

    @classmethod
    def of(cls, problem: Problem, q: Any, weighting: Weighting, m: int, hits: str) -> Draws:
        """The weights of Table 1, from their formulas."""
        y, pi = problem.positive, [mp.mpf(float(x)) for x in problem.prior.probabilities]
        free = [mp.mpf(float(x)) for x in q]
        free = [x / mp.fsum(free) for x in free]
        law = free
        if hits == "exclude":
            law = [x if j != y else mp.mpf(0) for j, x in enumerate(free)]
            law = [x / mp.fsum(law) for x in law]
        formulas: dict[type, Callable[[int], Any]] = {
            Constant: lambda j: mp.mpf(1) / m,
            Unit: lambda j: mp.mpf(1),
            Importance: lambda j: 1 / (m * law[j]),
            Relative: lambda j: free[y] / free[j],
            Tail: lambda j: pi[j] / pi[y] / (m * law[j]),
        }
        weight = [formulas[type(weighting)](j) if x > 0 else mp.mpf(0) for j, x in enumerate(law)]
        if hits == "mask":
            weight[y] = mp.mpf(0)
        return cls(law, weight, [mp.mpf(float(x)) for x in problem.scores], y, m)

    def truth(self, loss: Loss) -> dict[str, Any]:
        """All quantities, and the Hessian of softmax, by enumerating the multisets of m labels."""
        f_y, labels = self.f[self.y], range(len(self.f))
        if loss.has_log:
            pays = [_softmax_pays(f, f_y) for f in self.f]
            own, own_slope = mp.mpf(0), mp.mpf(0)
        else:
            pays = [PAYMENTS[loss.name](f) for f in self.f]
            own, own_slope = (function(f_y) for function in POSITIVES[loss.name])
        draws = []
        support = [j for j in labels if self.q[j] > 0]
        for drawn in combinations_with_replacement(support, self.m):
            counts = Counter(drawn)
            chance = mp.mpf(math.factorial(self.m))
            for j, times in counts.items():
                chance *= self.q[j] ** times / math.factorial(times)
            total = mp.fsum(times * self.w[j] * pays[j] for j, times in counts.items())
            draws.append((chance, counts, total))

        def expected(values: list[Any]) -> Any:
            return mp.fsum(chance * value for (chance, _, _), value in zip(draws, values, strict=True))

        losses = [own + (mp.log1p(total) if loss.has_log else total) for _, _, total in draws]
        mean_total = expected([total for _, _, total in draws])
        implicit = own + (mp.log1p(mean_total) if loss.has_log else mean_total)
        mean = expected(losses)
        if loss.has_log:
            shares = [
                [counts[j] * self.w[j] * pays[j] / (1 + total) if j != self.y else mp.mpf(0) for j in labels]
                for _, counts, total in draws
            ]
            for share in shares:
                share[self.y] = -mp.fsum(share)
        else:
            slopes = [SLOPES[loss.name](f) for f in self.f]
            shares = [
                [counts[j] * self.w[j] * slopes[j] + (own_slope if j == self.y else 0) for j in labels]
                for _, counts, _ in draws
            ]
        truth = {
            "mean": mean,
            "implicit": implicit,
            "gap": implicit - mean,
            "variance": expected([(value - mean) ** 2 for value in losses]),
            "mse": expected([(value - implicit) ** 2 for value in losses]),
            "gradient": [expected([share[j] for share in shares]) for j in labels],
        }
        if loss.has_log:
            others = [j for j in labels if j != self.y]
            hessian = mp.zeros(len(self.f))
            for k in others:
                for j in others:
                    pair = expected([share[k] * share[j] for share in shares])
                    hessian[k, j] = (truth["gradient"][k] if k == j else 0) - pair
            for k in others:
                hessian[k, self.y] = hessian[self.y, k] = -mp.fsum(hessian[k, j] for j in others)
            hessian[self.y, self.y] = -mp.fsum(hessian[k, self.y] for k in others)
            truth["hessian"] = hessian
        return truth


def _scores(kind: str, n_labels: int, y: int, rng: np.random.Generator) -> np.ndarray:
    """Scores of one of the kinds of trouble."""
    if kind == "near-constant":
        # All draws alike up to a part in 1e2 .. 1e7; f_y = 0, so that f - f_y carries no rounding of its own.
        scores = rng.uniform(-3, 3) + rng.choice([-1.0, 1.0], n_labels) * 10 ** rng.uniform(-7, -2)
        scores[y] = 0
        return scores
    if kind == "far":
        return np.clip(3000 * rng.normal(size=n_labels), -5000, 5000)
    if kind == "tiny loss":
        scores = rng.normal(size=n_labels) - rng.uniform(50, 300)
        scores[y] = 0
        return scores
    if kind == "huge loss":
        scores = rng.normal(size=n_labels) + rng.uniform(700, 9000)
        scores[y] = 0
        return scores
    return rng.normal(size=n_labels)


def _law(kind: str, n_labels: int, rng: np.random.Generator) -> np.ndarray:
    if kind == "concentrated":
        q = np.full(n_labels, 0.0)
        q[:] = 10.0 ** -rng.uniform(3, 12, n_labels)
        top = rng.integers(n_labels)
        q[top] = 0
        q[top] = 1 - q.sum()
        return q
    q = rng.dirichlet(np.ones(n_labels)) + 1e-3
    return q / q.sum()


WEIGHTINGS: tuple[Weighting, ...] = (Constant(), Unit(), Importance(), Relative(), Tail())
KINDS = [
    (scores, law)
    for scores in ("usual", "near-constant", "far", "tiny loss", "huge loss")
    for law in ("usual", "concentrated")
]


@pytest.mark.parametrize(("scores_kind", "law_kind"), KINDS)
def test_softmax_against_400_digits(scores_kind: str, law_kind: str, rng: np.random.Generator) -> None:
    """1e-12 for mean and gradient, 1e-8 for the rest down to 1e-14 of the (squared) mean; `error` is a bound always.

    f - f_y is rounded before anything is computed, by up to eps/2 |f - f_y|: 1e-12 where scores lie 1e4 apart.
    """
    seen = Counter[str]()
    for trial in range(30):
        n_labels, m = int(rng.integers(2, 5)), int(rng.integers(1, 4))
        y = int(rng.integers(n_labels))
        q = _law(law_kind, n_labels, rng)
        prior = LabelPrior.from_probabilities(_law(law_kind, n_labels, rng))
        problem = Problem(_scores(scores_kind, n_labels, y, rng), prior, y)
        weighting, hits = WEIGHTINGS[trial % 5], HITS[trial % 3]
        scheme = Scheme(Explicit(q), weighting, m=m, hits=hits)
        with mp.workdps(400):
            truth = Draws.of(problem, q, weighting, m, hits).truth(SOFTMAX)
        span = float(np.abs(problem.scores - problem.scores[y]).max())
        # What the rounding of f - f_y and of log w, log q does to any x.
        given = np.finfo(float).eps * (span + 60)
        for quantity in ("mean", "gap", "variance", "mse", "gradient"):
            estimate = integrate(scheme, SOFTMAX, problem, quantity)
            value, error = np.atleast_1d(estimate.value), np.atleast_1d(estimate.error)
            exact = truth[quantity] if quantity == "gradient" else [truth[quantity]]
            with mp.workdps(400):
                off = np.array([float(abs(mp.mpf(v) - x)) for v, x in zip(value, exact, strict=True)])
            size = np.array([float(abs(x)) for x in exact])
            where = (quantity, trial, str(scheme))
            # Below 1e-290 floats lose digits themselves.
            assert np.all((off <= error) | (off <= 1e-290)), where
            if quantity in ("mean", "gradient"):
                assert np.all((off <= (1e-12 + given) * size) | (size < 1e-290)), where
                # A bound that is worth something.
                assert np.all(error <= 1e-11 * np.abs(value) + 1e-300), where
                seen[quantity] += 1
            else:
                scale = float(truth["mean"]) ** (1 if quantity == "gap" else 2)
                if size[0] >= 1e-14 * scale and size[0] > 1e-290:
                    assert off[0] <= 1e-8 * size[0], where
                    seen[quantity] += 1
    assert seen["mean"] == seen["gradient"] == 30
    # Where the mean is 9000, or draws of one label are all there is, few spreads are that large.
    assert scores_kind == "huge loss" or min(seen[quantity] for quantity in ("gap", "variance", "mse")) >= 5


def test_the_oracle_sees_a_part_in_a_trillion(problem: Problem) -> None:
    """The mutants of the test above: a weight off by 1e-11, the gap of m + 1."""
    q = [0.1, 0.2, 0.3, 0.4]
    with mp.workdps(400):
        draws = Draws.of(problem, q, Importance(), 3, "mask")
        truth = draws.truth(SOFTMAX)
        off = Draws(draws.q, [w * (1 + mp.mpf(10) ** -11) for w in draws.w], draws.f, draws.y, 3).truth(SOFTMAX)
    scheme = Scheme(Explicit(q), Importance(), m=3, hits="mask")
    mean = integrate(scheme, SOFTMAX, problem)
    assert abs(float(mean) - float(truth["mean"])) <= mean.error < abs(float(mean) - float(off["mean"]))
    gap = integrate(Scheme(Explicit(q), Importance(), m=4, hits="mask"), SOFTMAX, problem, "gap")
    assert abs(float(gap) - float(truth["gap"])) > 1e-3 * float(gap) > gap.error


@pytest.mark.parametrize("binary", [logistic, hinge, squared_hinge, cosine_contrastive(-1.5)], ids=str)
def test_decoupled_against_400_digits(binary: Any, rng: np.random.Generator) -> None:
    loss = Decoupled(binary)
    for trial in range(45):
        n_labels, m = int(rng.integers(2, 5)), int(rng.integers(1, 4))
        y = int(rng.integers(n_labels))
        kind = ("usual", "concentrated")[trial % 2]
        q, prior = _law(kind, n_labels, rng), LabelPrior.from_probabilities(_law(kind, n_labels, rng))
        # Multiples of 1/64: 1 + f has no rounding of its own.
        problem = Problem(np.round(rng.normal(size=n_labels) * 64 * (1, 30)[trial % 7 == 0]) / 64, prior, y)
        weighting, hits = WEIGHTINGS[trial % 5], HITS[trial % 3]
        scheme = Scheme(Explicit(q), weighting, m=m, hits=hits)
        with mp.workdps(400):
            truth = Draws.of(problem, q, weighting, m, hits).truth(loss)
        for quantity in ("mean", "gap", "variance", "mse", "gradient"):
            estimate = integrate(scheme, loss, problem, quantity)
            value, error = np.atleast_1d(estimate.value), np.atleast_1d(estimate.error)
            exact = truth[quantity] if quantity == "gradient" else [truth[quantity]]
            where = (quantity, trial, str(scheme))
            with mp.workdps(400):
                off = np.array([float(abs(mp.mpf(v) - x)) for v, x in zip(value, exact, strict=True)])
            size = np.array([float(abs(x)) for x in exact])
            assert np.all(off <= error + 1e-290), where
            if quantity in ("mean", "gradient"):
                # Only the positive's entry of a gradient, kept hits against its own slope, has two signs.
                two_signs = (np.arange(size.size) == y) & (quantity == "gradient")
                assert np.all((off <= 1e-12 * size) | two_signs), where


@pytest.mark.parametrize("f_y", [-0.4054651081081644, 0.0, 0.4054651081081644])
def test_the_error_of_a_gradient_that_cancels(f_y: float, prior: LabelPrior) -> None:
    """Kept hits pull the positive's score down as its own loss pulls it up: e^{f_y} = 1/(m q_y) makes the sum 0."""
    q_y = math.exp(-f_y) / 3
    rest = (1 - q_y) / 3
    problem, q = Problem(np.array([0.3, f_y, 1.2, -0.6]), prior, 1), [rest, q_y, rest, rest]
    scheme = Scheme(Explicit(q), Unit(), m=3, hits="keep")
    estimate = integrate(scheme, Decoupled(logistic), problem, "gradient")
    with mp.workdps(50):
        q = [mp.mpf(float(x)) for x in q]
        exact = 3 * q[1] / (1 + mp.exp(-mp.mpf(f_y))) - 1 / (1 + mp.exp(mp.mpf(f_y)))
        assert abs(mp.mpf(estimate.value[1]) - exact) <= estimate.error[1] < 1e-12


def test_hessian_against_400_digits(rng: np.random.Generator) -> None:
    for trial in range(30):
        n_labels, m = int(rng.integers(2, 5)), trial % 3 + 1
        y = int(rng.integers(n_labels))
        q, prior = _law("usual", n_labels, rng), LabelPrior.from_probabilities(_law("usual", n_labels, rng))
        problem = Problem((1, 50)[trial % 2] * rng.normal(size=n_labels), prior, y)
        weighting, hits = WEIGHTINGS[trial % 5], HITS[trial % 3]
        scheme = Scheme(Explicit(q), weighting, m=m, hits=hits)
        gradient, hessian = gradient_and_hessian(scheme, SOFTMAX, problem)
        with mp.workdps(400):
            truth = Draws.of(problem, q, weighting, m, hits).truth(SOFTMAX)
        exact = np.array([[float(truth["hessian"][j, k]) for k in range(n_labels)] for j in range(n_labels)])
        assert gradient == pytest.approx([float(x) for x in truth["gradient"]], rel=1e-11, abs=1e-300)
        assert hessian == pytest.approx(exact, rel=1e-9, abs=1e-13)
        assert hessian == pytest.approx(hessian.T, abs=1e-13)
        assert np.abs(hessian.sum(axis=0)).max() < 1e-13
        assert np.linalg.eigvalsh(hessian).min() > -1e-12


# --- many draws ---------------------------------------------------------------------------------------------------


def _binomial(m: int, q: Any, x: Any, z: Any) -> dict[str, Any]:
    """The quantities where a draw adds x with probability q and z otherwise: sums over k ~ Binomial(m, q)."""
    spread = mp.sqrt(m * q * (1 - q))
    low, high = max(0, int(m * q - 18 * spread) - 60), min(m, int(m * q + 18 * spread) + 120)
    log_c = mp.loggamma(m + 1) - mp.loggamma(low + 1) - mp.loggamma(m - low + 1)
    chance = mp.exp(log_c + low * mp.log(q) + (m - low) * mp.log1p(-q))
    odds, terms = q / (1 - q), []
    for k in range(low, high + 1):
        total = k * x + (m - k) * z
        terms.append((chance, mp.log1p(total), k * x / (1 + total), (m - k) * z / (1 + total)))
        chance *= odds * (m - k) / (k + 1)
    implicit = mp.log1p(m * (q * x + (1 - q) * z))
    mean = mp.fsum(p * value for p, value, _, _ in terms)
    return {
        "mass": mp.fsum(p for p, _, _, _ in terms),
        "mean": mean,
        "gap": mp.fsum(p * (implicit - value) for p, value, _, _ in terms),
        "variance": mp.fsum(p * (value - mean) ** 2 for p, value, _, _ in terms),
        "mse": mp.fsum(p * (value - implicit) ** 2 for p, value, _, _ in terms),
        "gradient": [mp.fsum(p * share for p, _, share, _ in terms), mp.fsum(p * share for p, _, _, share in terms)],
    }


@pytest.mark.parametrize(
    ("m", "q", "weighting"),
    [
        (1000, 0.3, Importance()),
        (1000, 1e-3, Unit()),
        (1000, 1e-9, Importance()),
        (1_000_000, 0.3, Constant()),
        (1_000_000, 2e-6, Importance()),
        (1_000_000, 1e-12, Importance()),
    ],
)
def test_many_draws_of_two_labels(m: int, q: float, weighting: Weighting) -> None:
    """The drawn labels are binomial: a sum that knows nothing of integrals."""
    prior = LabelPrior.from_counts([1, 1, 1])
    problem = Problem(np.array([1.25, 0.5, -0.75]), prior, 1)
    law = np.array([q, 0.0, 1 - q])
    scheme = Scheme(Explicit(law), weighting, m=m, hits="mask")
    with mp.workdps(60):
        draws = Draws.of(problem, law, weighting, m, "mask")
        x, z = (draws.w[j] * mp.exp(draws.f[j] - draws.f[1]) for j in (0, 2))
        truth = _binomial(m, draws.q[0], x, z)
        assert abs(truth["mass"] - 1) < mp.mpf(10) ** -40
    for quantity, accuracy in (("mean", 1e-12), ("gap", 1e-8), ("variance", 1e-8), ("mse", 1e-8)):
        estimate = integrate(scheme, SOFTMAX, problem, quantity)
        exact = float(truth[quantity])
        assert float(estimate) == pytest.approx(exact, rel=accuracy, abs=0), quantity
        assert abs(float(estimate) - exact) <= estimate.error, quantity
    gradient = integrate(scheme, SOFTMAX, problem, "gradient").value
    exact = [float(share) for share in truth["gradient"]]
    assert gradient == pytest.approx([exact[0], -sum(exact), exact[1]], rel=1e-12, abs=0)
    half = integrate(Scheme(Explicit(law), weighting, m=m // 2, hits="mask"), SOFTMAX, problem, "gap")
    assert float(half) != pytest.approx(float(truth["gap"]), rel=1e-8, abs=0)


@pytest.mark.parametrize("m", [1000, 1_000_000])
def test_many_draws_of_four_labels(m: int, problem: Problem) -> None:
    """The defining integrals of E log(1+S) and E log²(1+S), by another rule, at 80 digits."""
    q = [0.1, 0.2, 0.3, 0.4]
    scheme = Scheme(Explicit(q), Importance(), m=m, hits="keep")
    with mp.workdps(80):
        draws = Draws.of(problem, q, Importance(), m, "keep")
        x = [w * mp.exp(f - draws.f[1]) for w, f in zip(draws.w, draws.f, strict=True)]

        def inner(v: Any) -> Any:
            t = mp.exp(v)
            return mp.exp(-t) * (1 - mp.fsum(q * mp.exp(-t * x) for q, x in zip(draws.q, x, strict=True)) ** m)

        nodes = [mp.mpf(v) for v in (-100, -70, -50, -36, -24, -16, -10, -7, -4.5, -2.5, -1, 0, 1, 2, 3, 4, 5.5)]

        def integral(function: Callable[[Any], Any]) -> Any:
            return mp.quad(function, nodes, method="gauss-legendre", maxdegree=5)

        mean, square = integral(inner), integral(lambda v: -2 * (mp.euler + v) * inner(v))
        implicit = mp.log1p(m * mp.fsum(q * x for q, x in zip(draws.q, x, strict=True)))
        truth = {
            "mean": mean,
            "variance": square - mean**2,
            "gap": implicit - mean,
            "mse": square - 2 * implicit * mean + implicit**2,
        }
        truth = {quantity: float(value) for quantity, value in truth.items()}
    for quantity, accuracy in (("mean", 1e-12), ("gap", 1e-8), ("variance", 1e-8), ("mse", 1e-8)):
        estimate = integrate(scheme, SOFTMAX, problem, quantity)
        assert float(estimate) == pytest.approx(truth[quantity], rel=accuracy, abs=0), quantity


# --- edges --------------------------------------------------------------------------------------------------------


def test_the_zero_variance_sampler_has_no_variance_and_no_gap(problem: Problem) -> None:
    for hits in HITS:
        scheme = Scheme(MinimumVariance(), Importance(), m=3, hits=hits)
        for quantity in ("gap", "variance", "mse"):
            estimate = integrate(scheme, SOFTMAX, problem, quantity)
            assert 0 <= float(estimate) <= estimate.error < 1e-20
        near = Scheme(MinimumVariance(), Tail(), m=3, hits=hits)
        assert float(integrate(near, SOFTMAX, problem, "variance")) > 1e-3
    log_full = math.log(sum(math.exp(f + 0.4) for f in problem.scores))
    mean = integrate(Scheme(MinimumVariance(), Importance(), m=3, hits="keep"), SOFTMAX, problem)
    assert float(mean) == pytest.approx(log_full, rel=1e-13)


def test_nothing_drawn_is_nothing_lost(prior: LabelPrior) -> None:
    problem = Problem(np.zeros(4), prior, 1)
    scheme = Scheme(Explicit([0.0, 1.0, 0.0, 0.0]), Constant(), m=3, hits="mask")
    for quantity in ("mean", "gap", "variance", "mse"):
        assert float(integrate(scheme, SOFTMAX, problem, quantity)) == 0
    assert integrate(scheme, SOFTMAX, problem, "gradient").value.tolist() == [0] * 4


def test_scores_that_underflow(prior: LabelPrior) -> None:
    """e^{-1e4} is 0 in floats: no warning, no NaN."""
    for scores in ([-1e4, 0.0, -1e4, -1e4], [-1e4, 0.0, -700.0, -740.0], [-1e4, -1e4, 0.0, -1e4]):
        problem = Problem(np.array(scores), prior, 1)
        for weighting in (Constant(), Importance(), Tail()):
            scheme = Scheme(WithinBatch(), weighting, m=2, hits="mask")
            for quantity in ("mean", "gap", "variance", "mse", "gradient"):
                estimate = integrate(scheme, SOFTMAX, problem, quantity)
                assert np.all(np.isfinite(estimate.value))
                assert np.all(np.isfinite(estimate.error))


@pytest.mark.parametrize("alpha", [760.0, 790.0, 850.0])
def test_a_law_that_underflows(alpha: float) -> None:
    """q = 0.4^alpha is 4e-303, 4e-315 and 0 in floats, but importance weights make up for it: refused, or right."""
    problem = Problem(np.array([0.0, 1.0, 2.0]), LabelPrior.from_counts([3, 5, 2]), 0)
    scheme = Scheme(Power(alpha), Importance(), m=2, hits="exclude")
    # All draws are of label 1, with weight 1/2 each; the implicit loss has both negatives.
    expected = math.log(1 + math.e + math.exp(2)) - math.log(1 + math.e)
    try:
        estimate = integrate(scheme, SOFTMAX, problem, "gap")
    except ValueError as refusal:
        assert "q" in str(refusal)  # noqa: PT017
        return
    assert float(estimate) == pytest.approx(expected, rel=1e-8)
    assert float(implicit_loss(scheme, SOFTMAX, problem)) - float(integrate(scheme, SOFTMAX, problem)) == (
        pytest.approx(expected, rel=1e-12)
    )


def test_the_error_of_the_gradient_of_a_huge_loss() -> None:
    """A case that was found by searching: logarithms of 8,200 are rounded several times on the way."""
    q = [3.7013842955017706e-06, 0.999993404971886, 6.787971759405381e-11, 2.893575938759294e-06]
    pi = [1.0766033455239057e-05, 0.9999892188038745, 7.01033340095855e-09, 8.152336827716816e-09]
    scores = np.array([0.0, 8215.363999056557, 8213.968075478877, 8213.199291637517])
    problem = Problem(scores, LabelPrior.from_probabilities(pi), 0)
    estimate = integrate(Scheme(Explicit(q), Tail(), m=2, hits="keep"), SOFTMAX, problem, "gradient")
    with mp.workdps(400):
        truth = Draws.of(problem, q, Tail(), 2, "keep").truth(SOFTMAX)["gradient"]
        for value, error, exact in zip(estimate.value, estimate.error, truth, strict=True):
            assert abs(mp.mpf(value) - exact) <= error


def test_the_gap_of_a_huge_loss_with_rare_large_draws() -> None:
    """Where b lies far above every usual draw, e^{-t} is cut at t = 700: the centre must be right to 1e-16 there."""
    problem = Problem(np.array([0.0, 6343.8, 6330.1]), LabelPrior.from_counts([1, 1, 2]), 0)
    q = [0.5, 2.0**-40, 0.5 - 2.0**-40]
    scheme = Scheme(Explicit(q), Importance(), m=2, hits="exclude")
    with mp.workdps(400):
        truth = Draws.of(problem, q, Importance(), 2, "exclude").truth(SOFTMAX)
    for quantity in ("gap", "mse"):
        estimate = integrate(scheme, SOFTMAX, problem, quantity)
        assert abs(float(estimate) - float(truth[quantity])) <= estimate.error


def test_relabelling_changes_nothing(rng: np.random.Generator) -> None:
    """The order of the labels, a constant added to the scores, and a label that is never drawn are all irrelevant."""
    order = rng.permutation(5)
    counts, scores = np.array([50, 20, 10, 4, 1]), rng.normal(size=5)
    for loss in (SOFTMAX, Decoupled(logistic)):
        for quantity in ("mean", "gap", "variance", "mse"):
            values = []
            for labels in (np.arange(5), order):
                problem = Problem(scores[labels], LabelPrior.from_counts(counts[labels]), int(np.argsort(labels)[2]))
                scheme = Scheme(WithinBatch(), Tail(), m=7, hits="keep")
                values.append(float(integrate(scheme, loss, problem, quantity)))
            assert values[0] == pytest.approx(values[1], rel=1e-12)
    shifted = Problem(scores + 1024, LabelPrior.from_counts(counts), 2)
    plain = Problem(scores, LabelPrior.from_counts(counts), 2)
    scheme = Scheme(Mixture(), Importance(), m=7, hits="exclude")
    assert float(integrate(scheme, SOFTMAX, shifted)) == pytest.approx(
        float(integrate(scheme, SOFTMAX, plain)), rel=1e-12
    )


def test_gradients_are_differences(problem: Problem) -> None:
    """For a law free of the scores: central differences of the mean, and of the gradient for the Hessian.

    The step 2^-13 makes a truncation below step² / 6 < 3e-9 and a rounding below 1e-14 / step = 1e-10.
    """
    step = 2.0**-13
    for weighting, hits in ((Unit(), "keep"), (Importance(), "exclude"), (Tail(), "mask"), (Relative(), "keep")):
        scheme = Scheme(WithinBatch(), weighting, m=6, hits=hits)
        gradient, hessian = gradient_and_hessian(scheme, SOFTMAX, problem)
        direct = integrate(scheme, SOFTMAX, problem, "gradient")
        assert np.all(np.abs(gradient - direct.value) <= 2 * direct.error)
        assert gradient == pytest.approx(exhaust(scheme, SOFTMAX, problem, "gradient").value, abs=1e-14)
        for label in range(4):
            moved = []
            for sign in (1, -1):
                scores = np.array(problem.scores)
                scores[label] += sign * step
                moved.append(Problem(scores, problem.prior, 1))
            rise = [float(integrate(scheme, SOFTMAX, at)) for at in moved]
            assert gradient[label] == pytest.approx((rise[0] - rise[1]) / (2 * step), abs=1e-8)
            turn = [integrate(scheme, SOFTMAX, at, "gradient").value for at in moved]
            assert hessian[label] == pytest.approx((turn[0] - turn[1]) / (2 * step), abs=1e-8)


def test_many_labels(rng: np.random.Generator) -> None:
    """The full softmax is the mean of the zero-variance scheme, for any L; sums of many terms keep their digits."""
    prior = LabelPrior.zipf(20_000, 1)
    scores = rng.normal(size=20_000)
    problem = Problem(scores, prior, 17)
    exact = float(mp.log(mp.fsum(mp.exp(mp.mpf(float(f)) - float(scores[17])) for f in scores)))
    estimate = integrate(Scheme(MinimumVariance(), Importance(), m=5, hits="mask"), SOFTMAX, problem)
    assert float(estimate) == pytest.approx(exact, rel=1e-13)
    assert abs(float(estimate) - exact) <= estimate.error


def test_what_is_refused(problem: Problem) -> None:
    scheme = Scheme(Uniform(), Constant(), m=1, hits="mask")
    with pytest.raises(ValueError, match=r"quantity must be one of .* got 'median'"):
        integrate(scheme, SOFTMAX, problem, "median")
    with pytest.raises(ValueError, match=r"Hessian is for softmax .* decoupled logistic"):
        gradient_and_hessian(scheme, Decoupled(logistic), problem)
    assert integrate(scheme, SOFTMAX, problem).method == "integrate"
