"""Synthetic scorers: shapes, seeds, and the numbers they promise."""

from __future__ import annotations

import inspect
import math

import numpy as np
import pytest

from implicitloss import LabelPrior, Problem, scorers
from implicitloss.numerics.bounds import cdf_half_width
from implicitloss.scorers import Aligned, ClassConditional, Gaussian, HeavyTailed, Scorer, against, examples

EXAMPLES = examples()
each_scorer = pytest.mark.parametrize("scorer", EXAMPLES, ids=[scorer.name for scorer in EXAMPLES])

N, DELTA = 400_000, 1e-7


def test_every_scorer_has_an_example() -> None:
    classes = {
        member
        for _, member in inspect.getmembers(scorers, inspect.isclass)
        if member.__module__ == scorers.__name__ and hasattr(member, "scores") and member is not Scorer
    }
    assert {type(scorer) for scorer in EXAMPLES} == classes


@each_scorer
def test_the_same_seed_gives_the_same_scores(scorer: Scorer, seed: int) -> None:
    prior = LabelPrior.zipf(50, 1)
    one, again = scorer.scores(prior, seed), scorer.scores(prior, np.random.default_rng(seed))
    assert one.tolist() == again.tolist() == scorer.scores(prior, rng=np.random.SeedSequence(seed)).tolist()
    assert one.tolist() != scorer.scores(prior, seed + 1).tolist()
    assert one.shape == (50,)
    assert Problem(one, prior, 0).scores.tolist() == one.tolist()


@each_scorer
def test_labels_without_prior_have_scores_too(scorer: Scorer, seed: int) -> None:
    prior = LabelPrior.from_counts([5, 0, 3, 0])
    assert np.all(np.isfinite(scorer.scores(prior, seed)))


@each_scorer
def test_a_generator_moves_on(scorer: Scorer, rng: np.random.Generator) -> None:
    prior = LabelPrior.zipf(5, 1)
    assert scorer.scores(prior, rng).tolist() != scorer.scores(prior, rng).tolist()


def distance(values: np.ndarray, cdf: object) -> float:
    """sup |F_n - F| for a continuous F."""
    at = np.array([cdf(x) for x in np.sort(values)[:: values.size // 200]])
    rank = np.arange(values.size)[:: values.size // 200] / values.size
    return float(np.abs(at - rank).max())


def normal_cdf(x: float) -> float:
    return math.erfc(-x / math.sqrt(2)) / 2


def test_gaussian_scores_are_normal(seed: int) -> None:
    """False alarm: 1e-7 (on 200 of the points, which only lowers it); a scale 3 % off is seen."""
    scores = Gaussian(2.0).scores(LabelPrior.zipf(N, 1), seed)
    width = cdf_half_width(N, DELTA) + 1 / N
    assert distance(scores / 2.0, normal_cdf) <= width
    assert distance(scores / 2.06, normal_cdf) > width


def test_heavy_tailed_scores_are_students(seed: int) -> None:
    """ν = 1 is Cauchy: F(x) = 1/2 + atan(x)/π.  False alarm: 1e-7; the normal law is refuted."""
    scores = HeavyTailed(1.0, 0.5).scores(LabelPrior.zipf(N, 1), seed)
    width = cdf_half_width(N, DELTA) + 1 / N
    assert distance(scores / 0.5, lambda x: 0.5 + math.atan(x) / math.pi) <= width
    assert distance(scores / 0.5, normal_cdf) > width


def test_aligned_scores_follow_the_prior(seed: int) -> None:
    prior = LabelPrior.from_counts([8, 4, 2, 1, 1])
    noise = np.random.default_rng(seed).standard_normal(5)
    level = np.log([8, 4, 2, 1, 1])
    for scorer, strength in ((Aligned(1.5, 0.25), 1.5), (against(1.5, 0.25), -1.5)):
        expected = strength * (level - level.mean()) + 0.25 * noise
        assert scorer.scores(prior, seed) == pytest.approx(expected, rel=1e-13)
    assert against() == Aligned(-1.0, 1.0)


def test_aligned_scores_of_labels_without_prior(seed: int) -> None:
    """They count as having half the least prior."""
    scores = Aligned(1.0, 0.0).scores(LabelPrior.from_counts([6, 0, 2]), seed)
    level = np.log([6, 1, 2])
    assert scores == pytest.approx(level - level.mean(), rel=1e-14)


def test_class_conditional_probabilities_are_bayes(seed: int) -> None:
    """η_y ∝ π_y e^{f_y}, and f is a log density: log N(x; c_y, I)."""
    prior = LabelPrior.from_counts([8, 4, 3, 1])
    scores, eta, y = ClassConditional(3, 2.0).draw(prior, seed)
    weight = [pi * math.exp(f) for pi, f in zip(prior.probabilities, scores, strict=True)]
    assert eta == pytest.approx([w / sum(weight) for w in weight], rel=1e-12)
    assert scores.tolist() == ClassConditional(3, 2.0).scores(prior, seed).tolist()
    assert scores.max() <= -1.5 * math.log(2 * math.pi)
    assert 0 <= y < 4


def test_class_conditional_probabilities_are_calibrated(rng: np.random.Generator) -> None:
    """E η_0(x) = π_0 and E 1[y = 0] = π_0, both in [0, 1], so by Hoeffding within 0.06 of it in 2,400 draws.

    False alarm: 2 · 2 e^{-2 · 2400 · 0.06²} = 1.3e-7.  The mutant, the uniform prior, lies 0.25 away.
    """
    prior = LabelPrior.from_counts([8, 4, 3, 1])
    draws = [ClassConditional(2, 1.0).draw(prior, rng) for _ in range(2400)]
    eta, hit = np.mean([eta[0] for _, eta, _ in draws]), np.mean([y == 0 for _, _, y in draws])
    assert abs(eta - 0.5) < 0.06
    assert abs(hit - 0.5) < 0.06
    assert abs(eta - 0.25) > 0.12


def test_class_conditional_never_draws_a_label_without_prior(rng: np.random.Generator) -> None:
    prior = LabelPrior.from_counts([0, 4, 0, 1])
    for _ in range(50):
        _, eta, y = ClassConditional(2).draw(prior, rng)
        assert y in (1, 3)
        assert eta[[0, 2]].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: HeavyTailed(0), "degrees of freedom must be a number >= 0.1, got 0"),
        (lambda: HeavyTailed(math.nan), "degrees of freedom .* got nan"),
        (lambda: ClassConditional(0), "dimensions must be a whole number >= 1, got 0"),
    ],
)
def test_bad_settings(build: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()
