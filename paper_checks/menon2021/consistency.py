"""The balanced error: who minimises it, and which losses are consistent for it.

Instances are finite here, so that every classifier can be tried: x takes a few values with known joint law P(x, y).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from implicitloss.claims.case import Setting
from implicitloss.claims.checks import Exact
from implicitloss.claims.claim import Claim
from implicitloss.estimate import Estimate
from implicitloss.labels import Floats, LabelPrior
from implicitloss.margins import Adaptive, Equalised, LogitAdjusted, Margin, Softmax
from implicitloss.optima.population import population_optimum
from implicitloss.samplers import Uniform
from implicitloss.scheme import Scheme
from implicitloss.weightings import ForMargin
from paper_checks import cases


@dataclass(frozen=True, eq=False)
class World:
    """P(x, y) for a few x and labels: `joint` (X, L), summing to 1."""

    joint: Floats
    name: str

    @property
    def prior(self) -> LabelPrior:
        return LabelPrior.from_probabilities(self.joint.sum(axis=0))

    @property
    def eta(self) -> Floats:
        """P(y given x), (X, L)."""
        return self.joint / self.joint.sum(axis=1, keepdims=True)

    def balanced_error(self, predictions: np.ndarray) -> float:
        """Mean over labels of P(wrong given y)."""
        hit = np.zeros(self.joint.shape[1])
        np.add.at(hit, predictions, self.joint[np.arange(predictions.size), predictions])
        return float(1 - np.mean(hit / self.joint.sum(axis=0)))

    def __str__(self) -> str:
        return self.name


@lru_cache
def worlds() -> tuple[World, ...]:
    """Random joint laws with long-tailed labels; five x and three labels, 243 classifiers each."""
    rng = np.random.default_rng([2007, 7314])
    worlds = []
    for i in range(20):
        prior = np.array([0.9, 0.08, 0.02])
        given_label = rng.dirichlet(np.full(5, 0.7), size=3)
        worlds.append(World((prior[:, None] * given_label).T, f"world {i}"))
    return tuple(worlds)


def _all_worlds(setting: Setting) -> tuple[World, ...]:
    return worlds()


def least(world: World) -> float:
    """The least balanced error of all classifiers."""
    n_x, n_labels = world.joint.shape
    every = itertools.product(range(n_labels), repeat=n_x)
    return min(world.balanced_error(np.array(predictions)) for predictions in every)


def error_of(rule: Callable[[World], Floats]) -> Callable[[World], Estimate]:
    """The balanced error of argmax rule(world), (X, L)."""

    def error(world: World) -> Estimate:
        value = world.balanced_error(np.argmax(rule(world), axis=1))
        return Estimate(value, 1e-13, "balanced error", "closed form")

    return error


def _balanced(world: World) -> Floats:
    return world.eta / world.prior.probabilities


def _bayes(world: World) -> Floats:
    return world.eta


def _half(world: World) -> Floats:
    return world.eta / np.sqrt(world.prior.probabilities)


def taught(margin: Margin) -> Callable[[World], Floats]:
    """The scores that softmax with margins p teaches at each x, (X, L)."""

    def scores(world: World) -> Floats:
        scheme = Scheme(Uniform(), ForMargin(margin), m=1, hits="mask")
        return np.array([population_optimum(scheme, cases.SOFTMAX, row, world.prior, "implicit") for row in world.eta])

    return scores


def _loss_form(tau: float) -> Callable[[World], Estimate]:
    def scores(world: World) -> Estimate:
        f = taught(LogitAdjusted(tau))(world)
        return Estimate(f, np.full(f.shape, 1e-8), "optimum", "Newton's method")

    return scores


def _post_hoc(tau: float) -> Callable[[World], Estimate]:
    """Plain softmax, then f - τ log π."""

    def scores(world: World) -> Estimate:
        f = taught(Softmax())(world) - tau * world.prior.log
        f -= f.mean(axis=1, keepdims=True)
        return Estimate(f, np.full(f.shape, 1e-8), "optimum", "Newton's method")

    return scores


def _excess(margin: Margin) -> Callable[[World], Estimate]:
    """Balanced error above the least, of the classifier that the margins teach."""
    error = error_of(taught(margin))

    def excess(world: World) -> Estimate:
        return Estimate(float(error(world)) - least(world), 1e-12, "excess balanced error", "Newton's method")

    return excess


def worst(excess: Callable[[World], Estimate]) -> Callable[[World], Estimate]:
    """The largest excess over all worlds: a counterexample is one world."""
    return lambda _: max((excess(world) for world in worlds()), key=float)


def first_world(setting: Setting) -> tuple[World, ...]:
    return worlds()[:1]


def _inconsistent(id: str, name: str, margin: Margin, source: str) -> Claim:
    return Claim(
        id,
        f"The {name} loss is not consistent for the balanced error: there is a law on which its optimum is not best.",
        source,
        (
            Exact(
                "largest excess balanced error over 20 laws",
                first_world,
                worst(_excess(margin)),
                lambda world: 1e-3,
                {
                    f"the {name} loss is consistent": ("=", lambda world: Estimate(0.0, 1e-12, "excess", "claimed")),
                },
                relation=">",
                uses_prior=False,
                detail="all 243 classifiers tried on each",
            ),
        ),
        ("softmax with pairwise margins, scores free at each x",),
    )


CLAIMS = (
    Claim(
        "menon2021.balanced-bayes",
        "The balanced error is least at argmax_y η_y(x)/π_y.",
        "Menon et al. 2021, section 2, Eq. (3); Collell et al. 2016",
        (
            Exact(
                "all 243 classifiers on each of 20 laws",
                _all_worlds,
                least,
                error_of(_balanced),
                {"it is least at argmax η": error_of(_bayes), "it is least at argmax η/√π": error_of(_half)},
                floor=1e-10,
                uses_prior=False,
            ),
        ),
    ),
    Claim(
        "menon2021.post-hoc",
        "Logit adjustment in the loss, p = (π_y'/π_y)^τ, and after training, f - τ log π, have the same optimum.",
        "Menon et al. 2021, section 4",
        (
            *(
                Exact(
                    "Newton's method",
                    _all_worlds,
                    _loss_form(tau),
                    _post_hoc(tau),
                    {
                        "the post-hoc form adds τ log π": _post_hoc(-tau),
                        "τ makes no difference": _post_hoc(2 * tau),
                    },
                    resolution=1e-5,
                    floor=1e-5,
                    uses_prior=False,
                    detail=f"τ = {tau:g}",
                )
                for tau in (0.5, 1.0, 2.0)
            ),
        ),
        ("scores free at each x",),
    ),
    Claim(
        "menon2021.consistent",
        "Logit adjustment with τ = 1 is consistent for the balanced error: its optimum is balanced Bayes.",
        "Menon et al. 2021, section 5.1, Theorem 1",
        (
            Exact(
                "all 243 classifiers on each of 20 laws",
                _all_worlds,
                least,
                error_of(taught(LogitAdjusted())),
                {
                    "plain softmax is consistent too": error_of(taught(Softmax())),
                    "τ = 1/2 is consistent too": error_of(taught(LogitAdjusted(0.5))),
                },
                floor=1e-10,
                uses_prior=False,
            ),
        ),
        ("scores free at each x",),
    ),
    _inconsistent("menon2021.adaptive", "adaptive", Adaptive(0.25), "Menon et al. 2021, section 5.2"),
    _inconsistent("menon2021.equalised", "equalised", Equalised(), "Menon et al. 2021, section 5.2"),
)
