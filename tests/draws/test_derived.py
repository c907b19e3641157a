"""Margins of draws that are not independent, in symbols: p = w Q, Q(y') the probability that a label is in N."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sympy as sp

import implicitloss as il
from implicitloss import symbols as s
from implicitloss.samplers.sampler import by_shares

M = 3
LOSSES = il.losses.examples()[:2]  # softmax, and a sum over labels
W, IN_BATCH = il.weightings, il.samplers.WithinBatch()
ALL = (W.Unit(), W.Importance(), W.Relative(), W.Tail(), W.Importance(count="naive"))
# Sampler, draws, hits: a formula of q_y' where there is one, or Q; weights that read it, and weights that do not.
CASES: list[tuple[Any, Any, Any, tuple[Any, ...]]] = [
    (IN_BATCH, "distinct", "mask", ALL), (IN_BATCH, "distinct", "exclude", ALL),
    (IN_BATCH, "distinct", "keep", ALL[:3]),
    (IN_BATCH, "set", "mask", ALL), (IN_BATCH, "set", "exclude", ALL[:3]), (IN_BATCH, "set", "keep", ALL[:2]),
    (IN_BATCH, "bernoulli", "mask", ALL[:2]), (il.samplers.Uniform(), "distinct", "exclude", ALL[:3]),
]  # fmt: skip


def margins_of(
    derivation: il.Derivation, scheme: il.Scheme, problem: il.Problem, value_of: Callable[..., float]
) -> np.ndarray:
    """The derived margins in numbers, where Q and Q_0 are what the library finds for either law."""
    draws, unconditional = (
        scheme.laws(problem),
        il.Scheme(scheme.sampler, scheme.weighting, m=M, hits="mask", draws=scheme.draws).laws(problem),
    )
    at: dict[Any, Any] = {s.m: M}
    for name, law in (("Q", draws), ("Q_0", unconditional)):
        at[sp.Function(name)] = lambda label, law=law: float(np.exp(law.log_in[int(label) - 1]))
    return np.array([
        value_of(derivation.margin.subs(s.yp, label + 1), problem, at) for label in range(problem.prior.n_labels)
    ])  # fmt: skip


@pytest.mark.parametrize(("sampler", "draws", "hits", "weightings"), CASES)
def test_derived_margins_are_those_in_numbers(
    sampler: Any, draws: Any, hits: Any, weightings: Any, problem: il.Problem, value_of: Callable[..., float]
) -> None:
    for weighting in weightings:
        scheme = il.Scheme(sampler, weighting, m=M, hits=hits, draws=draws)
        derivation = il.derive(scheme, LOSSES[0])
        assert derivation.checked, str(derivation.steps)
        found = margins_of(derivation, scheme, problem, value_of)
        expected = np.array(il.implicit_margins(scheme, problem.prior)[problem.positive])
        if hits == "keep":
            expected = expected / (1 + expected[problem.positive])
        others = np.arange(problem.prior.n_labels) != problem.positive
        np.testing.assert_allclose(found[others], expected[others], rtol=1e-9, err_msg=str(scheme))


def test_what_the_names_are() -> None:
    def derived(weighting: Any, draws: Any, sampler: Any = None, loss: Any = LOSSES[0]) -> str:
        sampler = sampler or il.samplers.WithinBatch()
        return str(il.derive(il.Scheme(sampler, weighting, m=9, hits="mask", draws=draws), loss))

    for draws in ("distinct", "set", "bernoulli"):
        assert derived(il.weightings.Importance(), draws) == "p_yy' = 1 — softmax cross-entropy"
        assert derived(il.weightings.Importance(), draws, loss=LOSSES[1]).startswith("p_yy' = 1 — full")
        assert "Menon et al. 2021" in derived(il.weightings.Tail(), draws)
    assert derived(il.weightings.Unit(), "set") == "p_yy' = 1 - (1 - pi[y'])**m"
    assert derived(il.weightings.Unit(), "distinct") == "p_yy' = Q(y')"
    assert derived(il.weightings.Relative(), "distinct") == "p_yy' = Q(y)"
    # Labels that are all alike share the m places.
    assert derived(il.weightings.Unit(), "distinct", il.samplers.Uniform()) == "p_yy' = m/L"
    assert derived(il.weightings.Importance(count="naive"), "set") == "p_yy' = (1 - (1 - pi[y'])**m)/(m*pi[y'])"


def test_a_wrong_count_is_seen(
    problem: il.Problem, value_of: Callable[..., float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No line of a derivation says what Q is: only the numbers tell that margins of independent draws are others."""
    from implicitloss.draws.batch_set import BatchSet

    scheme = il.Scheme(il.samplers.WithinBatch(), il.weightings.Unit(), m=M, hits="mask", draws="set")
    right = il.derive(scheme, LOSSES[0]).margin
    monkeypatch.setattr(BatchSet, "inclusion", lambda self, q, m, of, are_alike: m * q)
    wrong = il.derive(scheme, LOSSES[0])
    assert wrong.margin != right
    others = np.arange(problem.prior.n_labels) != problem.positive
    expected = np.asarray(il.implicit_margins(scheme, problem.prior)[problem.positive])
    found = margins_of(wrong, scheme, problem, value_of)
    assert np.all(np.abs(found - expected)[others] > 0.05 * expected[others])


class ApartFromTheRest(il.samplers.Sampler):
    """The positive by its frequency, and all other labels alike: no label of the law of y' is y', and yet they are not
    all alike.
    """

    name = "apart"
    needs_scores = False

    def log_law(self, problem: il.Problem) -> np.ndarray:
        own = problem.prior.probabilities[problem.positive]
        q = np.full(problem.prior.n_labels, (1 - own) / (problem.prior.n_labels - 1))
        q[problem.positive] = own
        return np.log(q)

    def procedure(self, problem: il.Problem) -> Any:
        return by_shares(np.exp(self.log_law(problem)))

    def law(self, yp: sp.Expr) -> sp.Expr:
        return s.pi[s.y] if yp == s.y else (1 - s.pi[s.y]) / (s.L - 1)


@pytest.mark.parametrize("hits", ["mask", "exclude", "keep"])
def test_negatives_that_are_alike_beside_a_positive_that_is_not(
    hits: Any, problem: il.Problem, value_of: Callable[..., float]
) -> None:
    scheme = il.Scheme(ApartFromTheRest(), W.Unit(), m=2, hits=hits, draws="distinct")
    derivation = il.derive(scheme, LOSSES[0])
    assert (derivation.margin.has(sp.Function("Q"))) == (hits != "exclude")
    draws = scheme.laws(problem)
    at: dict[Any, Any] = {s.m: 2, sp.Function("Q"): lambda label: float(np.exp(draws.log_in[int(label) - 1]))}
    expected = np.exp(draws.log_in[0] if hits != "keep" else draws.log_in[0] - np.log1p(np.exp(draws.log_in[1])))
    assert value_of(derivation.margin.subs(s.yp, 1), problem, at) == pytest.approx(expected, rel=1e-9)


def test_a_line_says_what_is_kept_and_what_q_0_is() -> None:
    kept = il.derive(il.Scheme(IN_BATCH, W.Constant(), m=M, hits="keep", draws="set"), LOSSES[0])
    assert "p = w Q, and a hit counts c_y = w_yy Q(y)" in [step.reason for step in kept.steps]
    relative = il.derive(il.Scheme(IN_BATCH, W.Relative(), m=M, hits="exclude", draws="distinct"), LOSSES[0])
    (law,) = [step.reason for step in relative.steps if "the law and weights" in step.reason]
    assert law == "the law and weights of this scheme, q conditional on y' ≠ y, Q_0 of the law that is not"


def test_tries_have_no_formula() -> None:
    scheme = il.Scheme(
        il.samplers.WithinBatch(), il.weightings.Importance(count="tf"), m=M, hits="mask", draws="distinct"
    )
    with pytest.raises(ValueError, match=r"no formula for the expected number of tries, .* Importance\(count='tf'\)"):
        il.derive(scheme, LOSSES[0])
