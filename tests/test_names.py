"""Schemes by names and by numbers: the same as of the classes, in every quantity, or one sentence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import implicitloss as il
from implicitloss import names

S, W, M = il.samplers, il.weightings, il.margins
PRIOR = il.LabelPrior.from_counts([8, 4, 3, 1])
SOFTMAX = il.losses.SoftmaxCrossEntropy()


@pytest.mark.parametrize(
    ("named", "made"),
    [
        (("within-batch", "importance"), (S.WithinBatch(), W.Importance())),
        (("power:0.5", "margin:logit-adjusted:0.5"), (S.Power(0.5), W.ForMargin(M.LogitAdjusted(0.5)))),
        (("mixture:0.25", "consistent"), (S.Mixture(0.25), W.Consistent(M.Softmax()))),
        (("minimum-variance", "tail"), (S.MinimumVariance(M.LogitAdjusted(), SOFTMAX), W.Tail())),
        (([0.5, 0.2, 0.2, 0.1], "unit"), (S.Explicit([0.5, 0.2, 0.2, 0.1]), W.Unit())),
        (("uniform", pd.Series([1, 2, 3, 4])), (S.Uniform(), W.Given([1.0, 2.0, 3.0, 4.0]))),
    ],
)
def test_a_scheme_by_names_is_that_of_classes(named: Any, made: Any) -> None:
    assert il.Scheme(*named, m=5, hits="mask") == il.Scheme(*made, m=5, hits="mask")
    assert hash(il.Scheme(*named, m=5, hits="mask")) == hash(il.Scheme(*made, m=5, hits="mask"))


def test_every_name_that_needs_no_parameters_makes_a_scheme() -> None:
    made = 0
    for sampler in names.SAMPLERS:
        for weighting in names.WEIGHTINGS:
            if names.usage(sampler, names.SAMPLERS[sampler]).count(":") == 0 and weighting != "margin":
                assert isinstance(il.Scheme(sampler, weighting, m=2, hits="mask"), il.Scheme)
                made += 1
    assert made > 20


@pytest.mark.parametrize(
    ("sampler", "weighting", "said"),
    [
        ("within-btch", "unit", "unknown sampler 'within-btch'; did you mean 'within-batch'"),
        ("uniform", "importanc", "unknown weighting 'importanc'; did you mean 'importance'"),
        ("uniform:3", "unit", "takes 0 parameters"),
        ([0.5, 0.2], "unit", "q must sum to 1"),
        ("uniform", [1.0, -1.0, 1.0, 1.0], "weights must not be negative, got -1"),
        ("uniform", [[1.0, 2.0]], "one a label, or one for each pair"),
        ("uniform", [1.0, np.nan], "weights must be finite"),
        ("uniform", [], "one a label"),
        ("uniform", 5, "a weighting must be one of"),
        (None, "unit", "a sampler must be one of"),
        ({"a": 0.5, "b": 0.5}, "unit", "got a dict: give counts to"),
        (pd.Series({"a": 0.5, "b": 0.5}), "unit", "with an index of its own"),
        ("uniform", pd.Series([1.0, 2.0], index=[1, 0]), "with an index of its own"),
    ],
)
def test_what_is_no_scheme(sampler: Any, weighting: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        il.Scheme(sampler, weighting, m=3, hits="mask")


def test_given_weights_are_taken_as_they_are(rng: np.random.Generator) -> None:
    """Margins m w q; integral, enumeration and optimum of the weights of a class, given as numbers, are its own."""
    scores = rng.standard_normal(4)
    q = np.array([0.5, 0.2, 0.2, 0.1])
    for weighting in (W.Importance(), W.Relative(), W.Tail(), W.Constant()):
        for hits in ("mask", "keep"):
            of_class = il.Scheme(q, weighting, m=3, hits=hits)  # type: ignore[arg-type]
            rows = [np.exp(of_class.plan(il.Problem(scores, PRIOR, y)).log_w) for y in range(4)]
            weights = np.array(rows)
            np.fill_diagonal(weights, 7.0 if hits == "mask" else np.diag(weights))  # hits are masked by the scheme
            given = il.Scheme(q, weights, m=3, hits=hits)  # type: ignore[arg-type]
            np.testing.assert_allclose(
                il.implicit_margins(given, PRIOR), il.implicit_margins(of_class, PRIOR), rtol=1e-12
            )
            for y in range(4):
                problem = il.Problem(scores, PRIOR, y)
                expected = float(il.integrate(of_class, SOFTMAX, problem))
                assert float(il.integrate(given, SOFTMAX, problem)) == pytest.approx(expected, rel=1e-12)
                assert float(il.exhaust(given, SOFTMAX, problem)) == pytest.approx(expected, rel=1e-12)
            assert il.tilt(given, PRIOR) == pytest.approx(il.tilt(of_class, PRIOR), abs=1e-8)
    by_label = np.array([1.0, 2.0, 0.5, 4.0])
    one, every = (il.Scheme(q, w, m=3, hits="mask") for w in (by_label, np.tile(by_label, (4, 1))))
    assert il.tilt(one, PRIOR) == pytest.approx(il.tilt(every, PRIOR), abs=1e-8)
    assert abs(il.tilt(one, PRIOR)) > 0.1
    row = il.Scheme("uniform", [1.0, 2.0, 3.0, 0.0], m=4, hits="exclude")
    margins = il.implicit_margins(row, PRIOR)
    np.testing.assert_allclose(margins[0], [0, 4 * 2 / 3, 4 * 3 / 3, 0], rtol=1e-12)
    with pytest.raises(ValueError, match="must cover the prior's 3 labels, got an array"):
        il.implicit_margins(row, il.LabelPrior.zipf(3, 1.0))
    with pytest.raises(ValueError, match="have no symbols to derive from"):
        il.derive(row, SOFTMAX)


def test_given_weights_are_equal_by_value() -> None:
    assert W.Given([1, 2]) == W.Given(np.array([1.0, 2.0]))
    assert W.Given([1, 2]) != W.Given([1, 3])
    assert hash(W.Given([0.0, 1.0])) == hash(W.Given([-0.0, 1.0]))
    assert W.Given([1, 2]) != W.Given([[1, 2], [1, 2]])
    assert repr(W.Given([[1, 2], [3, 4]])).startswith("Given(2 × 2 weights, ")
