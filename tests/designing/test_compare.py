"""Schemes side by side: every column by hand, by enumeration, and by the functions that it stands for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import implicitloss as il
from implicitloss.designing import compare as module

PRIOR = il.LabelPrior.from_counts([300, 150, 60, 40, 6, 3])  # two labels of head, torso and tail each
SOFTMAX = il.losses.SoftmaxCrossEntropy()
SLICES = ("head", "torso", "tail")
LOGISTIC = il.losses.Decoupled(il.losses.logistic)


def schemes(m: int = 3) -> dict[str, il.Scheme]:
    return {
        "tail": il.Scheme("within-batch", "tail", m=m, hits="mask"),
        "kept": il.Scheme("uniform", "relative", m=m, hits="keep"),
        "given": il.Scheme([0.3, 0.2, 0.2, 0.1, 0.1, 0.1], [1.0, 2.0, 3.0, 1.0, 0.5, 0.1], m=m, hits="exclude"),
    }


@pytest.mark.parametrize("loss", [SOFTMAX, LOGISTIC], ids=str)
def test_every_column_is_what_it_says(loss: Any, rng: np.random.Generator) -> None:
    f, pi = rng.standard_normal(6), PRIOR.probabilities
    table = il.compare(schemes(), PRIOR, scores=f, loss=loss)
    assert list(table.index) == list(schemes())
    for name, scheme in schemes().items():
        row = table.loc[name]
        problems = [il.Problem(f, PRIOR, y) for y in range(6)]
        mean = sum(p * float(il.exhaust(scheme, loss, problem)) for p, problem in zip(pi, problems, strict=True))
        variance = sum(
            p * float(il.exhaust(scheme, loss, problem, "variance")) for p, problem in zip(pi, problems, strict=True)
        )
        bound = sum(p * float(il.implicit_loss(scheme, loss, problem)) for p, problem in zip(pi, problems, strict=True))
        pays = [np.log(np.exp(f).sum()) - f[y] for y in range(6)]
        if loss is LOGISTIC:
            pays = [np.logaddexp(0, -f[y]) + np.logaddexp(0, np.delete(f, y)).sum() for y in range(6)]
        assert row["mean"] == pytest.approx(mean, rel=1e-10)
        assert row["variance"] == pytest.approx(variance, rel=1e-9)
        assert row["gap"] == pytest.approx(bound - mean, abs=1e-10)
        assert row["full"] == pytest.approx(float(pi @ pays), rel=1e-12)
        assert row["bias"] == pytest.approx(mean - float(pi @ pays), rel=1e-9)
        assert row["tilt"] == pytest.approx(il.tilt(scheme, PRIOR), abs=1e-9)


def test_margins_at_scores_and_of_kept_hits_are_those_of_implicit_margins(rng: np.random.Generator) -> None:
    f = rng.standard_normal(6)
    for scheme in (
        il.Scheme("model-based", "unit", m=3, hits="mask"),
        il.Scheme("within-batch", "importance", m=4, hits="keep"),
    ):
        p, row = il.implicit_margins(scheme, PRIOR, scores=f), il.compare([scheme], PRIOR, scores=f).iloc[0]
        assert row["p_head_tail"] == pytest.approx(p[1, [4, 5]].mean(), rel=1e-10)
        assert row["p_tail_head"] == pytest.approx(p[5, [0, 1]].mean(), rel=1e-10)


def test_margins_are_those_beside_the_middle_label_of_a_slice() -> None:
    """Of two labels the rarer one; the other is the only negative of its own slice."""
    masked = schemes()["tail"]
    p = il.implicit_margins(masked, PRIOR)
    row = il.compare([masked], PRIOR).iloc[0]
    for i, of_positive in enumerate(SLICES):
        y = 2 * i + 1
        for j, of_negative in enumerate(SLICES):
            others = [k for k in (2 * j, 2 * j + 1) if k != y]
            assert row[f"p_{of_positive}_{of_negative}"] == pytest.approx(p[y, others].mean(), rel=1e-12)


def test_many_positives_are_steps_of_the_sum_of_frequencies(monkeypatch: pytest.MonkeyPatch) -> None:
    """With 40 steps the mean over 200 labels is near that over all, and each share is a whole number of steps."""
    prior, scheme = il.LabelPrior.zipf(200, 1.0), il.Scheme("within-batch", "importance", m=8, hits="mask")
    every = il.compare([scheme], prior).iloc[0]
    monkeypatch.setattr(module, "MOST_POSITIVES", 40)
    labels, shares = module._positives(prior)
    assert 10 < labels.size <= 40
    assert shares.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(shares * 40, np.round(shares * 40))
    sums = np.append(0.0, np.cumsum(prior.probabilities))
    steps = (np.arange(40) + 0.5) / 40
    inside = [np.sum((sums[y] <= steps) & (steps < sums[y + 1])) for y in labels]
    assert (shares * 40).round().tolist() == inside
    few = il.compare([scheme], prior).iloc[0]
    assert few["mean"] == pytest.approx(every["mean"], rel=2e-3)
    assert few["mean"] != every["mean"]


def test_names_and_what_is_not_known() -> None:
    prior = il.LabelPrior.zipf(12, 1.0)
    alike = [il.Scheme("uniform", "unit", m=2, hits="keep")] * 2
    table = il.compare([*alike, il.Scheme("model-based", "importance", m=2, hits="mask")], prior)
    assert list(table.index) == [
        "Uniform(), Unit(), m=2, hits=keep (1)", "Uniform(), Unit(), m=2, hits=keep (2)",
        "ModelBased(), Importance(), m=2, hits=mask",
    ]  # fmt: skip
    assert np.isnan(table["tilt"].iloc[2])  # its law moves with the scores
    assert not np.isnan(table["mean"].iloc[2])
    assert il.compare(alike[0], prior).shape == (1, 15)
    # Labels of equal frequency are one slice, and have no tilt.
    flat = il.compare(alike[0], il.LabelPrior.zipf(4, 0.0))
    assert np.isnan(flat["tilt"].iloc[0])
    # A label that never occurs is no positive.
    absent = il.compare(alike[0], il.LabelPrior.from_counts([8, 4, 2, 0]))
    assert absent["mean"].iloc[0] == pytest.approx(np.log(3))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "at least one"), ({}, "at least one"), ([5], "each of the schemes must be"), ("x", "schemes must be"),
        ({1: "a", "1": "b"}, "names of schemes must differ"),
    ],
)  # fmt: skip
def test_what_is_no_list_of_schemes(given: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        il.compare(given, PRIOR)


def test_scores_of_other_labels_are_refused() -> None:
    with pytest.raises(ValueError, match="scores"):
        il.compare(schemes(), PRIOR, scores=[1.0, 2.0])
    with pytest.raises(ValueError, match="loss"):
        il.compare(schemes(), PRIOR, loss="softmax")
    with pytest.raises(ValueError, match="the prior must be a LabelPrior"):
        il.compare(schemes(), [0.5, 0.5])
