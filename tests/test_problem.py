"""Problems and estimates: what they hold, and what they refuse."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from implicitloss import Estimate, LabelPrior, Problem
from implicitloss.estimate import QUANTITIES, checked_quantity

# --- problems ---------------------------------------------------------------------------------------------------


def test_a_problem_holds_its_own_read_only_scores(prior: LabelPrior) -> None:
    scores = np.zeros(4)
    problem = Problem(scores, prior, np.int64(2))
    scores[0] = 1
    assert problem.scores.tolist() == [0, 0, 0, 0]
    assert type(problem.positive) is int
    assert repr(problem) == "Problem(4 labels, positive 2)"
    with pytest.raises(ValueError, match="read-only"):
        problem.scores[0] = 1


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ([0, math.nan, 0, 0], "label 1 has nan"),
        ([0, 0, 0, math.inf], "label 3 has inf"),
        ([-math.inf, 0, 0, 0], "label 0 has -inf"),
        ([0, 0, 0], "3 scores for 4 labels"),
        ([], "none"),
        ([[0, 0, 0, 0]], r"shape \(1, 4\)"),
        ("abcd", "'abcd'"),
        ([10**400, 0, 0, 0], "1000"),
    ],
    ids=["nan", "inf", "minus inf", "length", "empty", "shape", "text", "too large"],
)
def test_bad_scores(prior: LabelPrior, scores: object, message: str) -> None:
    with pytest.raises(ValueError, match=f"scores.*{message}"):
        Problem(scores, prior, 0)


@pytest.mark.parametrize("positive", [-1, 4, 10**9])
def test_positive_out_of_range(prior: LabelPrior, positive: int) -> None:
    with pytest.raises(ValueError, match=f"from 0 to 3, got {positive}$"):
        Problem(np.zeros(4), prior, positive)


@pytest.mark.parametrize("positive", [1.0, True, False, "1", None, np.array([1]), np.bool_(True)])
def test_positive_that_is_no_whole_number(prior: LabelPrior, positive: object) -> None:
    with pytest.raises(ValueError, match="positive must be a whole number, got"):
        Problem(np.zeros(4), prior, positive)


@given(st.lists(st.floats(), max_size=6), st.one_of(st.integers(), st.floats(), st.booleans(), st.none()))
def test_any_input_gives_a_problem_or_a_value_error(scores: list[float], positive: object) -> None:
    prior = LabelPrior.zipf(3, 1)
    valid = len(scores) == 3 and all(abs(f) <= 1e150 for f in scores) and type(positive) is int and 0 <= positive < 3
    try:
        problem = Problem(scores, prior, positive)
    except ValueError:
        assert not valid
    else:
        assert valid
        assert problem.scores.tolist() == scores
        assert problem.positive == positive


# --- estimates --------------------------------------------------------------------------------------------------


def test_quantities() -> None:
    assert QUANTITIES == ("mean", "variance", "mse", "gap", "gradient", "gradient_variance")
    for quantity in QUANTITIES:
        checked_quantity(quantity)
    with pytest.raises(ValueError, match="mean, variance, mse, gap, gradient, gradient_variance, got 'median'"):
        checked_quantity("median")


def test_an_estimate_says_where_it_comes_from() -> None:
    exact = Estimate(1.25, 1e-15, "mean", "integrate")
    assert float(exact) == 1.25
    assert repr(exact) == "Estimate(mean = 1.25 ± 1e-15, integrate)"
    assert exact.to_dict() == {"value": 1.25, "error": 1e-15, "quantity": "mean", "method": "integrate"}


def test_an_estimate_of_a_gradient() -> None:
    gradient = Estimate(np.array([0.5, -0.5]), np.array([0.1, 0.2]), "gradient", "simulate", 10, np.ones(2), seed=7)
    assert repr(gradient) == "Estimate(gradient = (2,) array, error <= 0.2, simulate, n=10)"
    plain = json.loads(json.dumps(gradient.to_dict()))
    assert plain["value"] == [0.5, -0.5]
    assert plain["variance"] == [1.0, 1.0]
    assert plain["seed"] == 7
    assert "low" not in plain


def test_an_estimate_as_a_table() -> None:
    pandas = pytest.importorskip("pandas")
    one = Estimate(1.25, 0.5, "mean", "simulate", 10).to_frame()
    assert isinstance(one, pandas.DataFrame)
    assert one.to_dict("list") == {
        "quantity": ["mean"],
        "method": ["simulate"],
        "value": [1.25],
        "error": [0.5],
        "n": [10],
    }
    table = Estimate(np.array([0.5, -0.5]), np.array([0.1, 0.2]), "gradient", "integrate").to_frame()
    assert table.index.name == "label"
    assert table["value"].tolist() == [0.5, -0.5]
