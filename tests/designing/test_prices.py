"""Designs: prices against optima and information that are computed label by label, and what their sentences say."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy as sp

import implicitloss as il
from implicitloss import symbols as s
from implicitloss.designing import place as module
from implicitloss.designing.place import Place
from implicitloss.designing.prices import least_draws
from implicitloss.labels import Floats

S, W, M = il.samplers, il.weightings, il.margins
SOFTMAX = il.losses.SoftmaxCrossEntropy()
PLACES = ("uniform", "prior", "peaked")


@pytest.fixture(scope="module")
def prior() -> il.LabelPrior:
    """Sixty labels, of counts from 6,000 to 1; nine of the rarest have one of two counts."""
    return il.LabelPrior.from_counts(np.maximum(6000 // np.arange(1, 61) ** 2, 1))


def far_prior(n_labels: int = 300) -> il.LabelPrior:
    """Many labels next to each other in frequency: they are taken together."""
    return il.LabelPrior.zipf(n_labels, 1.0)


def test_the_optimum_is_the_target_s_at_every_m(prior: il.LabelPrior, rng: np.random.Generator) -> None:
    eta = rng.dirichlet(np.ones(60))
    for target, log_delta in (
        (M.Softmax(), np.zeros(60)), (M.LogitAdjusted(0.5), 0.5 * prior.log), (M.BalancedSoftmax(), prior.log),
        (M.Offsets(np.linspace(-1, 1, 60)), -np.linspace(-1, 1, 60)),
    ):  # fmt: skip
        for sampler, m in ((S.WithinBatch(), 1), (S.Mixture(0.3), 7)):
            found = il.design(prior, target, sampler, m)
            assert found.is_exact
            assert set(found.deviation.values()) == {0.0}
            f = il.population_optimum(found.scheme, SOFTMAX, eta, prior) - np.log(eta) + log_delta
            assert np.ptp(f) < 1e-8
            shift = found.shift - (law(sampler, prior) - log_delta)
            assert np.ptp(shift) < 1e-12
            if isinstance(target, (M.Softmax, M.LogitAdjusted)):
                assert np.abs(shift).max() < 1e-12
            batch = il.Minibatch(found.scheme, SOFTMAX, prior)
            assert np.isfinite(batch(np.zeros((2, 60)), np.array([0, 3]), rng)[0]).all()


def law(sampler: Any, prior: il.LabelPrior) -> Floats:
    return np.asarray(sampler.log_law(il.Problem(np.zeros(prior.n_labels), prior, 0)))


def test_it_is_the_softmax_of_shifted_logits(prior: il.LabelPrior, rng: np.random.Generator) -> None:
    """What is said in words, the shift off all logits, is what the weights do."""
    found = il.design(prior, M.LogitAdjusted(0.5), S.Mixture(0.3), 3)
    scores, draws, y = rng.standard_normal(60), rng.integers(60, size=3), 5
    plan = found.scheme.plan(il.Problem(scores, prior, y))
    by_weights = np.log1p(np.sum(np.exp(plan.log_w[draws] + scores[draws] - scores[y])))
    logits = (scores - found.shift)[[y, *draws]]
    assert np.log(np.sum(np.exp(logits))) - logits[0] == pytest.approx(by_weights, rel=1e-12)
    wrong = (scores + found.shift)[[y, *draws]]
    assert abs(np.log(np.sum(np.exp(wrong))) - wrong[0] - by_weights) > 0.01


@pytest.mark.parametrize("sampler", [S.WithinBatch(), S.Mixture(0.5)], ids=str)
def test_the_code_is_the_loss_of_the_scheme(
    sampler: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    """Of few labels it has the shift in it, of many it reads it; either way it is the softmax of the shifted logits."""
    monkeypatch.chdir(tmp_path)
    for n_labels in (5, 60):
        found = il.design(il.LabelPrior.zipf(n_labels, 1.0), M.LogitAdjusted(0.5), sampler, 3)
        np.save("log_shift.npy", found.shift)
        made: dict[str, Any] = {}
        exec(found.code("numpy"), made)
        queries, vectors = rng.standard_normal((4, 6)), rng.standard_normal((n_labels, 6))
        y, drawn = rng.integers(n_labels, size=4), rng.integers(n_labels, size=3)
        scores = queries @ vectors.T - found.shift
        if isinstance(sampler, S.WithinBatch):
            losses = made["in_batch_softmax"](queries, vectors[y], y, made["LOG_SHIFT"])
            slots = [np.append(own, np.delete(y, i)) for i, own in enumerate(y)]
        else:
            losses = made["sampled_softmax"](queries, vectors[y], y, vectors[drawn], drawn, made["LOG_SHIFT"])
            slots = [np.append(own, drawn) for own in y]
        logits = np.array([row[at] for row, at in zip(scores, slots, strict=True)])
        assert losses == pytest.approx(np.log(np.exp(logits).sum(axis=1)) - logits[:, 0], rel=1e-5)


WEIGHTS = {"importance": W.Importance(), "tail": W.Tail(), "unit": W.Unit()}


@pytest.mark.parametrize(
    ("sampler", "target"),
    [(S.WithinBatch(), M.LogitAdjusted(0.5)), (S.Power(0.5), M.Softmax()), (S.Mixture(0.5), M.Equalised())],
)
def test_slopes_are_those_of_optima_label_by_label(sampler: Any, target: Any) -> None:
    prior, m = far_prior(60), 9
    weights = {**WEIGHTS, "own": W.ForMargin(target)}
    aim: dict[str, float] = {}
    if isinstance(target, M.Equalised):
        over_all = il.Scheme(S.Uniform(), W.ForMargin(target), m=10**9, hits="mask")
        aim = {at: il.tilt(over_all, prior, eta=at) for at in PLACES}
    else:
        weights["consistent"] = W.Consistent(target)
        aim = dict.fromkeys(PLACES, -getattr(target, "tau", 0.0))
    for place, hits in itertools.product(
        (Place(at, prior, sampler, target) for at in PLACES), ("keep", "mask", "exclude")
    ):
        at, found = place.name, place.off(m, hits)
        for name, weighting in weights.items():
            direct = il.tilt(il.Scheme(sampler, weighting, m=m, hits=hits), prior, eta=at) - aim[at]
            assert found[name] == pytest.approx(direct, abs=1e-4), (at, hits, name)
        assert place.off_by_own(m, hits) == pytest.approx(found["own"], abs=1e-12)


@pytest.mark.parametrize("at", ["uniform", "peaked"])
def test_cells_that_are_too_wide_would_be_seen(at: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """And so would likely labels that are taken together with others."""
    direct = il.tilt(il.Scheme(S.WithinBatch(), W.Importance(), m=9, hits="mask"), far_prior(), eta=at)
    for width, cells, within in ((module.WIDTH, module.CELLS, True), (10.0, 2, at == "peaked")):
        monkeypatch.setattr(module, "WIDTH", width)
        monkeypatch.setattr(module, "CELLS", cells)
        found = Place(at, far_prior(), S.WithinBatch(), M.Softmax()).off(9, "mask")["importance"]
        assert (abs(found - direct) < 1e-4) == within


def test_information_is_that_of_likely_labels_and_of_examples(prior: il.LabelPrior, rng: np.random.Generator) -> None:
    found = il.design(prior, M.LogitAdjusted(1), S.Mixture(0.5), 30)
    place = Place("peaked", prior, S.Mixture(0.5), M.Softmax())
    share = np.asarray(il.information(found.scheme, place.eta, prior).value)[:60]
    for part, labels in prior.slices().items():
        likely = np.intersect1d(labels, place.labels)
        assert found.information[part] == pytest.approx(share[likely].mean(), rel=1e-12)
    scores = rng.standard_normal((5, 60))
    eta = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    shares = np.array([il.information(found.scheme, each, prior).value[:60] for each in eta])
    by_examples = il.design(prior, M.LogitAdjusted(1), S.Mixture(0.5), 30, scores=scores + 3.0)
    tail = prior.slices()["tail"]
    assert by_examples.information["tail"] == pytest.approx(
        float(np.sum((eta * shares)[:, tail]) / np.sum(eta[:, tail])), rel=1e-9
    )


def test_so_many_draws_are_enough_and_fewer_are_not(prior: il.LabelPrior) -> None:
    found = il.design(prior, sampler=S.Mixture(0.5), m=30)
    for part in ("head", "tail"):
        m = found.negatives_for(information=0.8, slice=part)
        assert m is not None
        assert il.design(prior, sampler=S.Mixture(0.5), m=m).information[part] >= 0.8
        assert il.design(prior, sampler=S.Mixture(0.5), m=int(m / 1.006) - 1).information[part] < 0.8
    assert found.negatives_for(tilt=0.01) == 1
    wide = il.design(prior, M.Equalised(), S.WithinBatch(), 30)
    m = wide.negatives_for(tilt=0.01)
    assert m is not None
    for draws, enough in ((m, True), (int(m / 1.006) - 1, False)):
        off = il.design(prior, M.Equalised(), S.WithinBatch(), draws).deviation["peaked"]
        assert (abs(off) <= 0.01) == enough


@pytest.mark.parametrize("start", [1, 40, 10**6])
def test_the_least_number_is_found(start: int) -> None:
    for power, size in itertools.product((0.3, 1.0, 1.7), (0.5, 3.0, 900.0)):
        right = (size / 0.1) ** (1 / power)
        found = least_draws(lambda m, power=power, size=size: size / (m + 1e-9) ** power, 0.1, start)
        if right > 1e12:
            assert found is None
            continue
        assert found is not None
        least = max(math.ceil(right - 1e-6), 1)
        assert least <= found <= max(least, right * 1.0051)
    assert least_draws(lambda m: 0.2, 0.1, start) is None
    assert least_draws(lambda m: math.nan, 0.1, start) is None
    assert least_draws(lambda m: 0.2 if m < 7 else 0.0, 0.1, start) == 7


def test_a_limit_above_what_is_allowed_is_seen_in_few_steps() -> None:
    """Steps of its own size would take hundreds, an optimum each."""
    asked: list[int] = []
    assert least_draws(lambda m: asked.append(m) or 0.11 + 1 / m, 0.1, 255) is None
    assert len(asked) < 20


def test_the_table_has_every_alternative() -> None:
    prior = il.LabelPrior.from_counts([800, 300, 100, 30, 10, 3, 1])
    for target, sampler, weights in (
        (M.LogitAdjusted(0.5), S.Power(0.5), {"consistent", "importance", "tail", "unit", "own"}),
        (M.Equalised(), S.Uniform(), {"importance", "tail", "unit", "own"}),
    ):
        table = il.design(prior, target, sampler, 20).alternatives()
        assert len(table) == (4 if sampler == S.Power(0.5) else 3) * len(weights) * 3
        assert set(table["weights"]) == weights
        exact = table[(table["weights"] == "consistent") & (table["hits"] == "keep")]
        assert (exact[[f"off_{at}" for at in PLACES]].abs() < 1e-12).all(axis=None)
        assert (exact["negatives_tilt"] == 1).all()
        priced = table["tail"].notna()
        assert set(table[priced]["hits"]) == {"keep"}
        assert set(table[priced]["weights"]) <= {"consistent", "unit"}
    # The paper's tail weights go where logit adjustment is.
    rows = il.design(prior, M.LogitAdjusted(1.0), m=20).alternatives().set_index(["sampler", "weights", "hits"])
    assert set(rows.index.get_level_values("weights")) == {"consistent", "importance", "tail", "unit"}
    assert rows.loc[("within-batch sampling", "tail", "mask"), "negatives_tilt"] > 100
    assert np.isnan(rows.loc[("within-batch sampling", "importance", "mask"), "negatives_tilt"])


def test_what_is_said_follows_from_the_prices(prior: il.LabelPrior) -> None:
    in_batch = il.design(prior, m=30)
    kept = {name: il.design(prior, sampler=s, m=30).information["tail"]
            for name, s in (("batch", S.WithinBatch()), ("uniform", S.Uniform()))}  # fmt: skip
    assert kept["batch"] < 0.9 * kept["uniform"]
    assert (
        f"within-batch sampling keeps {kept['batch']:.2f}, uniform sampling {kept['uniform']:.2f}." in in_batch.advice()
    )
    assert "the other samplers no more" in il.design(prior, sampler=S.Uniform(), m=30).advice()
    assert "off by" in il.design(prior, M.Equalised(), m=30).advice()
    assert in_batch.recipe() == "Take log q off every logit, the positive's too, and leave hits in."
    assert "log q - 0.5 log π off" in il.design(prior, M.LogitAdjusted(0.5)).recipe()
    # In-batch softmax as it is has logit adjustment's optimum.
    assert "nothing added" in il.design(prior, M.LogitAdjusted(1.0)).recipe()
    assert "nothing added" in il.design(prior, sampler=S.Uniform()).recipe()
    assert "leave out draws of the positive" in il.design(prior, M.Equalised()).recipe()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"prior": il.LabelPrior.from_counts([3, 0, 2])}, "1 of 3 have count 0, 1 among them"),
        ({"sampler": S.ModelBased()}, "does not look at scores"),
        ({"sampler": S.Explicit([0.5, 0.5, 0.0])}, "label 2 has q = 0"),
        ({"m": 0}, "must be a whole number >= 1"),
        ({"scores": np.zeros((2, 4))}, r"scores must be \(n, 3\)"),
        ({"scores": np.zeros((0, 3))}, r"scores must be \(n, 3\)"),
        ({"target": W.Unit()}, "a margin must"),
        ({"prior": il.LabelPrior.from_counts([3])}, "at least two labels"),
    ],
)
def test_what_cannot_be_designed_is_said(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        il.design(**{"prior": il.LabelPrior.from_counts([5, 3, 2]), **arguments})


@pytest.mark.parametrize("n_labels", [10, 20])
def test_offsets_that_the_prior_does_not_know(n_labels: int, rng: np.random.Generator) -> None:
    """Labels of equal counts and other offsets are not alike."""
    prior = il.LabelPrior.from_counts([100] * (n_labels // 2) + [1] * (n_labels // 2))
    delta = np.where(np.arange(n_labels) == n_labels // 2, 3.0, 0.0)
    table = il.design(prior, M.Offsets(delta), m=9).alternatives().set_index(["sampler", "weights", "hits"])
    x = prior.log - prior.log.mean()
    for name, hits, weighting in (("importance", "mask", W.Importance()), ("unit", "keep", W.Unit())):
        scheme, eta = il.Scheme(S.WithinBatch(), weighting, m=9, hits=hits), np.full(n_labels, 1 / n_labels)
        f = il.population_optimum(scheme, SOFTMAX, eta, prior, of="sampled") - np.log(eta) - delta
        assert table.loc[("within-batch sampling", name, hits), "off_uniform"] == pytest.approx(
            x @ f / (x @ x), abs=1e-4
        )


def test_counts_that_differ_by_little() -> None:
    prior = il.LabelPrior.from_counts([1006, 1006, 1023, 1023, 1016, 1019])
    scheme = il.Scheme(S.WithinBatch(), W.Importance(), m=5, hits="mask")
    found = Place("uniform", prior, S.WithinBatch(), M.Softmax()).off(5, "mask")["importance"]
    assert found == pytest.approx(il.tilt(scheme, prior), abs=1e-4)


class Root(M.Margin):
    """(π_y'/π_y)^{1/2}, in numbers and symbols alone."""

    name = "square roots"

    def log_margin(self, prior: il.LabelPrior, positive: int) -> Floats:
        return 0.5 * (prior.log - prior.log[positive])

    def margin(self, yp: Any) -> Any:
        return (s.pi[yp] / s.pi[s.y]) ** sp.Rational(1, 2)


def test_a_ratio_of_one_s_own(prior: il.LabelPrior) -> None:
    mine, known = (il.design(prior, target, S.Mixture(0.5), 9) for target in (Root(), M.LogitAdjusted(0.5)))
    assert mine.is_exact
    assert np.ptp(mine.shift - known.shift) < 1e-12
    at = mine.alternatives()["off_peaked"] - known.alternatives()["off_peaked"]
    assert (at.dropna().abs() < 1e-9).all()
    assert "np.load" in mine.code("numpy")


def test_scores_far_apart() -> None:
    """A label that is masked by -1e9, and scores whose exponentials overflow."""
    prior = il.LabelPrior.from_counts([5, 3, 2])
    for scores in ([[0.0, 0.0, -1e9]], [[1e5, -1e5, 0.0]], [[700.0, 0.0, 0.0]]):
        assert all(0 <= kept <= 1 for kept in il.design(prior, scores=scores).information.values())


@dataclass(frozen=True)
class Next(S.Uniform):
    """Uniform over the labels but the positive: its law moves with it."""

    needs_positive = True

    def log_law(self, problem: il.Problem) -> Floats:
        law = np.full(problem.prior.n_labels, 1 / (problem.prior.n_labels - 1))
        law[problem.positive] = 1e-9
        return np.asarray(np.log(law / law.sum()))


def test_a_law_that_moves_with_the_positive_is_refused(prior: il.LabelPrior) -> None:
    with pytest.raises(ValueError, match="a design needs a sampler whose law is the same beside every positive"):
        il.design(prior, sampler=Next())
    scheme = il.Scheme(Next(), W.Relative(), m=3, hits="keep")
    with pytest.raises(ValueError, match="information needs a sampler whose law is the same beside every positive"):
        il.information(scheme, prior.probabilities, prior)


def test_what_cannot_be_asked_is_said(prior: il.LabelPrior) -> None:
    exact, near = il.design(prior), il.design(prior, M.Equalised())
    for arguments, said in (
        ({}, "either information= or tilt="), ({"information": 0.9, "tilt": 0.1}, "either information= or tilt="),
        ({"information": 1.0}, "between 0 and 1"), ({"tilt": 0.0}, "above 0"),
        ({"information": 0.5, "slice": "all"}, "slice"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=said):
            exact.negatives_for(**arguments)
    for ask in (lambda: near.shift, lambda: near.information, lambda: near.negatives_for(information=0.9)):
        with pytest.raises(ValueError, match="needs a target whose margins are a ratio"):
            ask()
    only = il.LabelPrior.from_counts([500] * 3 + [1] * 3)
    with pytest.raises(ValueError, match="those are of head, tail"):
        il.design(only).negatives_for(information=0.9, slice="torso")
