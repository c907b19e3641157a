"""Theorem 3's two terms against exact values: what is left falls like m^-3, with the right coefficients only."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from itertools import pairwise

import mpmath as mp
import numpy as np
import pytest

from implicitloss import LabelPrior, OutsideTheorem3, Problem, Scheme, expand, integrate
from implicitloss.losses import Decoupled, SoftmaxCrossEntropy, hinge, logistic
from implicitloss.margins import Equalised
from implicitloss.samplers import Explicit, MinimumVariance, ModelBased, Power, Sampler, Uniform, WithinBatch
from implicitloss.weightings import Constant, ForMargin, Importance, Relative, Tail, Unit, Weighting

SOFTMAX = SoftmaxCrossEntropy()
SCHEMES: list[tuple[Sampler, Weighting, str]] = [
    (Uniform(), Importance(), "mask"),
    (WithinBatch(), Tail(), "keep"),
    (ModelBased(), Constant(), "exclude"),
    (Power(), Importance(), "exclude"),
    (Explicit([0.1, 0.2, 0.3, 0.4]), ForMargin(Equalised()), "mask"),
]


def test_v_k3_and_mu_by_hand(problem: Problem) -> None:
    """Uniform, importance, hits excluded: X = 3 e^{f_y' - f_y} with probability 1/3 each."""
    x = [3 * math.exp(0.7), 3 * math.exp(1.65), 3 * math.exp(-1.35)]
    mean = sum(x) / 3
    mu = 1 + mean
    v = sum((value - mean) ** 2 for value in x) / 3 / mu**2
    k3 = sum((value - mean) ** 3 for value in x) / 3 / mu**3
    for m in (1, 7):
        expansion = expand(Scheme(Uniform(), Importance(), m=m, hits="exclude"), SOFTMAX, problem)
        assert expansion.v == pytest.approx(v, rel=1e-13)
        assert expansion.k3 == pytest.approx(k3, rel=1e-13)
        assert expansion.log_mu == pytest.approx(math.log(mu) - 0.4, rel=1e-13)
        assert expansion.bias.first == pytest.approx(-v / 2 / m, rel=1e-13)
        assert expansion.bias.second == pytest.approx((k3 / 3 - 3 * v**2 / 4) / m**2, rel=1e-12)
        assert expansion.mse.first == pytest.approx(v / m, rel=1e-13)
        assert expansion.mse.second == pytest.approx((11 * v**2 / 4 - k3) / m**2, rel=1e-12)
        assert expansion.mse.value == expansion.mse.first + expansion.mse.second
        assert expansion.to_dict()["bias"] == [expansion.bias.first, expansion.bias.second]


def _remainders(scheme: Scheme, problem: Problem, powers: range) -> dict[str, list[tuple[float, float, int]]]:
    """(truth - two terms) m³, its error, m, at m = 2^k: for the bias and the squared error."""
    remainders: dict[str, list[tuple[float, float, int]]] = {"bias": [], "mse": []}
    for k in powers:
        at = replace(scheme, m=2**k)
        expansion = expand(at, SOFTMAX, problem)
        gap, mse = (integrate(at, SOFTMAX, problem, quantity) for quantity in ("gap", "mse"))
        m3 = float(at.m) ** 3
        remainders["bias"].append(((-float(gap) - expansion.bias.value) * m3, gap.error * m3, at.m))
        remainders["mse"].append(((float(mse) - expansion.mse.value) * m3, mse.error * m3, at.m))
    return remainders


def falls_like_m_cubed(values: list[tuple[float, float, int]]) -> bool:
    """Whether m³ r(m) settles: C + D/m + O(m^-2), so that its steps at m, 2m, 4m halve, within the errors.

    Had r a term c/m², m³ r would grow by c m at each step: steps double instead.
    """
    steps = [(b[0] - a[0], a[1] + b[1], a[2]) for a, b in pairwise(values)]
    for first, second in pairwise(steps):
        # Halving up to O(1/m): at most 0.75, and twice that is far from the mutants' 2.
        if abs(second[0]) > 0.75 * abs(first[0]) + 0.75 * first[1] + second[1]:
            return False
    return True


@pytest.mark.parametrize(("sampler", "weighting", "hits"), SCHEMES)
def test_the_remainder_falls_like_m_cubed(sampler: Sampler, weighting: Weighting, hits: str, problem: Problem) -> None:
    scheme = Scheme(sampler, weighting, m=1, hits=hits)
    remainders = _remainders(scheme, problem, range(6, 13))
    v, k3 = (getattr(expand(scheme, SOFTMAX, problem), name) for name in ("v", "k3"))
    assert 0.01 < v < 30
    for name, values in remainders.items():
        assert falls_like_m_cubed(values), (name, values)
    mutants = {
        "bias": {"k3 left out": k3 / 3, "3/4 -> 1/2": -(v**2) / 4, "-v/2 -> -v/2 + v/100": v / 100},
        "mse": {"11/4 -> 5/2": v**2 / 4, "k3 left out": k3, "the variance instead": -(v**2) / 4},
    }
    for name, wrong in mutants.items():
        for mutant, change in wrong.items():
            moved = [(value + change * m, error, m) for value, error, m in remainders[name]]
            assert not falls_like_m_cubed(moved), (name, mutant)


def test_the_first_term_alone_is_right_to_first_order(problem: Problem) -> None:
    """Eq. 12 of the paper: m times the squared error tends to v."""
    for sampler, weighting, hits in SCHEMES:
        scheme = Scheme(sampler, weighting, m=2**14, hits=hits)
        expansion = expand(scheme, SOFTMAX, problem)
        mse = float(integrate(scheme, SOFTMAX, problem, "mse"))
        assert mse * scheme.m == pytest.approx(expansion.v, rel=40 * (1 + expansion.v) / scheme.m)


def test_large_m_of_a_rare_label(prior: LabelPrior) -> None:
    """v = 1e6 and m = 1e9 >> v; integrate and expand agree to (v/m)³."""
    problem = Problem(np.array([0.5, 0.0, 0.1, -0.2]), prior, 1)
    scheme = Scheme(Explicit([0.5, 0.25, 0.25 - 1e-6, 1e-6]), Importance(), m=10**9, hits="mask")
    expansion = expand(scheme, SOFTMAX, problem)
    assert expansion.v > 1e4
    small = (expansion.v / scheme.m) ** 2
    mse = integrate(scheme, SOFTMAX, problem, "mse")
    assert float(mse) == pytest.approx(expansion.mse.value, rel=100 * small + 1e-9)


def test_a_sampler_without_variance_has_no_bias(problem: Problem) -> None:
    expansion = expand(Scheme(MinimumVariance(), Importance(), m=5, hits="mask"), SOFTMAX, problem)
    assert expansion.v < 1e-30
    assert abs(expansion.bias.value) < 1e-30
    nothing = Scheme(Explicit([0.0, 1.0, 0.0, 0.0]), Constant(), m=3, hits="mask")
    assert expand(nothing, SOFTMAX, problem).to_dict() == {
        "bias": [0.0, 0.0],
        "mse": [0.0, 0.0],
        "v": 0.0,
        "k3": 0.0,
        "log_mu": -0.4,
    }


def test_extreme_scores(prior: LabelPrior) -> None:
    """μ of e^{9900}: v and k3 are ratios and stay finite; 60 digits agree."""
    problem = Problem(np.array([9900.0, 0.0, 9901.0, -9000.0]), prior, 1)
    expansion = expand(Scheme(Uniform(), Importance(), m=10, hits="exclude"), SOFTMAX, problem)
    with mp.workdps(60):
        x = [3 * mp.exp(f) for f in (9900, 9901, -9000)]
        mean = mp.fsum(x) / 3
        v = mp.fsum((value - mean) ** 2 for value in x) / 3 / (1 + mean) ** 2
        k3 = mp.fsum((value - mean) ** 3 for value in x) / 3 / (1 + mean) ** 3
        log_mu = mp.log1p(mean)
    # The logarithms are 1e4, and their last digit 2e-12.
    assert expansion.v == pytest.approx(float(v), rel=1e-11)
    assert expansion.k3 == pytest.approx(float(k3), rel=5e-11)
    assert expansion.log_mu == pytest.approx(float(log_mu), rel=1e-15)


@pytest.mark.parametrize("weighting", [Relative(), Unit()], ids=str)
def test_weights_outside_theorem_3(weighting: Weighting, problem: Problem) -> None:
    with pytest.raises(OutsideTheorem3, match=re.escape(f"η/m with η free of m; {weighting}")):
        expand(Scheme(Uniform(), weighting, m=5, hits="mask"), SOFTMAX, problem)


@pytest.mark.parametrize("binary", [logistic, hinge], ids=str)
def test_losses_outside_theorem_3(binary: object, problem: Problem) -> None:
    with pytest.raises(OutsideTheorem3, match=f"not decoupled {binary}; Lemma 1"):
        expand(Scheme(Uniform(), Importance(), m=5, hits="mask"), Decoupled(binary), problem)
    assert issubclass(OutsideTheorem3, ValueError)
