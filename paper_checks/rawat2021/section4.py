"""Section 4.1: which labels a scheme helps, read off its population optimum f* against log η.

The tilt of a scheme is the slope of f* on log π where all labels are equally likely at x (η = 1/L), so that nothing but
the scheme can tilt: negative toward rare labels, positive toward frequent ones.  The paper's three statements are about
the implicit loss.  The true sampled loss agrees in sign where hits are masked or excluded, but by how much can differ
widely, and where hits are kept the two can disagree altogether.

One file: the section is one, with its claims and the optima and tilts that they compare.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

import numpy as np

from implicitloss.claims.case import Setting
from implicitloss.claims.checks import Exact
from implicitloss.claims.claim import Claim
from implicitloss.claims.statements.numbers import INTEGRATE
from implicitloss.estimate import Estimate
from implicitloss.labels import Floats, LabelPrior
from implicitloss.optima import tilt as tilts
from implicitloss.optima.population import Of, by_newton
from implicitloss.optima.separable import separable_optimum
from implicitloss.samplers import Power, Sampler, Uniform, WithinBatch
from implicitloss.scheme import Hits, Scheme
from implicitloss.weightings import Constant, Importance, Relative, Tail, Unit, Weighting
from paper_checks import cases

# The sides of the balance agree to 1e-9, and Newton stops at a gradient of 1e-9 η; where labels are held by
# probabilities of 1e-3 and less, that is this much in f*.
OPTIMUM = 1e-6
# Tilts are over the labels of the prior, up to so many; other claims compare the optima of twenty.
MANY, TWENTY = 1_000, 20
ALL = f"all of the prior's labels, or of more than {MANY:,} so many from frequent to rare"
SOME = f"{TWENTY} of the prior's labels, from frequent to rare"
BALANCE = f"the balance of {INTEGRATE}; the bound's by a search in one number"
NEWTON = f"Newton's method on {INTEGRATE}"


@dataclass(frozen=True)
class Lesson:
    """A scheme at class probabilities η (which know nothing of π): what does it teach?"""

    sampler: Sampler
    weighting: Weighting
    m: int
    hits: Hits
    prior: LabelPrior
    eta: Floats
    of: Of

    def __str__(self) -> str:
        return (
            f"{self.of} loss, {self.sampler}, {self.weighting}, m={self.m}, hits={self.hits}, L={self.prior.n_labels}"
        )

    @property
    def scheme(self) -> Scheme:
        """The scheme of the lesson."""
        return Scheme(self.sampler, self.weighting, m=self.m, hits=self.hits)

    def _key(self) -> tuple[str, bytes, bytes]:
        return str(self), self.eta.tobytes(), self.prior.probabilities.tobytes()

    def __hash__(self) -> int:
        return hash(self._key())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Lesson) and self._key() == other._key()


@cache
def optimum(lesson: Lesson) -> Floats:
    """f*, centred, by Newton's method."""
    return by_newton(lesson.scheme, lesson.eta, lesson.prior, lesson.of)


@cache
def _tilt(scheme: Scheme, prior: LabelPrior, of: Of) -> float:
    return tilts.tilt(scheme, prior, of)


def tilt(lesson: Lesson) -> Estimate:
    """Slope of f* on log π at equally likely labels."""
    return Estimate(_tilt(lesson.scheme, lesson.prior, lesson.of), OPTIMUM, "tilt", "balance")


def as_scores(f: Floats) -> Estimate:
    """Centred scores with the error of an optimum."""
    return Estimate(f - f.mean(), np.full(f.size, OPTIMUM), "optimum", "Newton's method")


def lessons(
    sampler: Sampler,
    weighting: Weighting,
    of: Sequence[Of] = ("implicit", "sampled"),
    hits: Sequence[Hits] = ("mask", "exclude"),
    draws: Sequence[int] = (1, 4, 32),
    seeds: Sequence[int] = (0, 1),
    labels: int = TWENTY,
) -> Callable[[Setting], list[Lesson]]:
    def found(setting: Setting) -> list[Lesson]:
        prior = cases.coarse(setting.prior, labels)
        return [
            Lesson(sampler, weighting, m, mode, prior, cases.eta(prior, seed), which)
            for which in of
            for mode in hits
            for m in draws
            for seed in seeds
        ]

    return found


def _zero(lesson: Lesson) -> float:
    return 0.0


def _direction(
    id: str, statement: str, source: str, sampler: Sampler, weighting: Weighting, relation: Literal["<", ">"]
) -> Claim:
    other: Literal["<", ">"] = ">" if relation == "<" else "<"
    toward = {"<": "toward rare labels", ">": "toward frequent labels"}
    return Claim(
        id,
        statement,
        source,
        (
            Exact(
                "tilt of the optimum",
                lessons(sampler, weighting, draws=(2, 4, 32), seeds=(0,), labels=MANY),
                tilt,
                _zero,
                {
                    f"it moves the optimum {toward[other]}": (other, _zero),
                    "it does not move the optimum": ("=", _zero),
                },
                relation=relation,
                detail=BALANCE,
            ),
        ),
        (f"labels equally likely at x; {ALL}; hits masked and excluded, m = 2, 4, 32",),
    )


def _flat(lesson: Lesson) -> Estimate:
    """The optimum had all labels been equally frequent."""
    n = lesson.prior.n_labels
    return as_scores(optimum(replace(lesson, prior=LabelPrior.from_probabilities(np.full(n, 1 / n)))))


def _other_sampler(lesson: Lesson) -> Estimate:
    return as_scores(optimum(replace(lesson, sampler=WithinBatch())))


def _found(lesson: Lesson) -> Estimate:
    return as_scores(optimum(lesson))


def _ce_consistent(lesson: Lesson) -> Estimate:
    return as_scores(np.log(lesson.eta))


def _balanced(lesson: Lesson) -> Estimate:
    return as_scores(np.log(lesson.eta) - lesson.prior.log)


def _by_bound(lesson: Lesson) -> Estimate:
    """What the implicit loss (the bound) predicts for the same scheme."""
    return as_scores(optimum(replace(lesson, of="implicit")))


def _one_draw(lesson: Lesson) -> Estimate:
    """log η, and less log(1 - π) where the positive is excluded."""
    rest = np.log1p(-lesson.prior.probabilities) if lesson.hits == "exclude" else 0.0
    return as_scores(np.log(lesson.eta) - rest)


def _power_law(lesson: Lesson) -> Estimate:
    """log η - log q for q ∝ π^{3/4}."""
    return as_scores(np.log(lesson.eta) - 0.75 * lesson.prior.log)


def _separable(lesson: Lesson) -> Estimate:
    """The optimum by the quadratic's roots and a search in one number: masked constant weights, p = π_y'."""
    return as_scores(separable_optimum(lesson.eta, np.ones_like(lesson.eta), lesson.prior.probabilities))


def _separable_uniform(lesson: Lesson) -> Estimate:
    """The optimum for p_yy' = 1/L, found likewise."""
    ones = np.ones_like(lesson.eta)
    return as_scores(separable_optimum(lesson.eta, ones, ones / ones.size))


def _separable_wrong(lesson: Lesson) -> Estimate:
    return as_scores(separable_optimum(lesson.eta, lesson.prior.probabilities, np.ones_like(lesson.eta)))


def _kept(
    id: str,
    statement: str,
    sampler: Sampler,
    weighting: Weighting,
    claimed: Callable[[Lesson], Estimate],
    misses: dict[str, Callable[[Lesson], Estimate]],
) -> Claim:
    return Claim(
        id,
        statement,
        "derived: f* = log η - log(q h) + const for w = h_y'/h_y, hits kept, every m",
        (
            Exact(
                "the optimum",
                lessons(sampler, weighting, of=("sampled",), hits=("keep",), draws=(1, 2, 16)),
                _found,
                claimed,
                misses,
                resolution=1e-5,
                floor=1e-5,
                detail=NEWTON,
            ),
        ),
        (f"hits are kept; η does not depend on π; {SOME}",),
    )


CLAIMS = (
    _direction(
        "rawat2021.section4.constant",
        "Within-batch negatives with constant weights move the population optimum toward rare labels.",
        "Rawat et al. 2021, section 4.1, Eq. (13)",
        WithinBatch(),
        Constant(),
        "<",
    ),
    _direction(
        "rawat2021.section4.relative",
        "Within-batch negatives with relative weights move the population optimum toward frequent labels.",
        "Rawat et al. 2021, section 4.1, Eq. (14)",
        WithinBatch(),
        Relative(),
        ">",
    ),
    Claim(
        "rawat2021.section4.relative-one-draw",
        "With one negative, relative weights teach log η (hits masked) or log η - log(1 - π) (excluded), "
        "next to no tilt, whatever the implicit loss says.",
        "derived: at m = 1 the loss is a sum over pairs, and each pair is minimised by itself",
        (
            Exact(
                "the optimum",
                lessons(WithinBatch(), Relative(), of=("sampled",), draws=(1,)),
                _found,
                _one_draw,
                {"it teaches what the bound says": _by_bound, "it teaches log η - log π": _balanced},
                resolution=1e-5,
                floor=1e-5,
                detail=NEWTON,
            ),
        ),
        (f"hits masked or excluded; η does not depend on π; {SOME}",),
    ),
    Claim(
        "rawat2021.section4.uniform",
        "Uniform negatives with constant weights do neither: their optimum does not depend on π.",
        "Rawat et al. 2021, section 4.1",
        (
            Exact(
                "the optimum",
                lessons(Uniform(), Constant(), hits=("mask", "exclude", "keep")),
                _found,
                _flat,
                {"within-batch negatives have the same optimum": _other_sampler},
                resolution=1e-5,
                floor=1e-5,
                detail=NEWTON,
            ),
            Exact(
                "tilt of the optimum",
                lessons(Uniform(), Constant(), hits=("mask", "exclude", "keep"), seeds=(0,), labels=MANY),
                tilt,
                _zero,
                {"it tilts like within-batch negatives": lambda lesson: tilt(replace(lesson, sampler=WithinBatch()))},
                floor=1e-6,
                detail=BALANCE,
            ),
            Exact(
                "Newton's method against a search in one number",
                lessons(Uniform(), Constant(), of=("implicit",), hits=("mask",)),
                _found,
                _separable_uniform,
                {"it is log η": _ce_consistent},
                resolution=1e-5,
                floor=1e-5,
            ),
        ),
        (f"η does not depend on π; optima of {SOME}; tilts of {ALL}",),
    ),
    Claim(
        "rawat2021.section4.equalised-optimum",
        "The optimum of the implicit loss (13) is the one that the separable margins p_yy' = π_y' have in closed form.",
        "derived: with p_yy' = a_y b_y' stationarity is one quadratic a label, and one equation in their common rate",
        (
            Exact(
                "Newton's method against a search in one number",
                lessons(WithinBatch(), Constant(), of=("implicit",), hits=("mask",)),
                _found,
                _separable,
                {
                    "it is that of p_yy' = π_y": _separable_wrong,
                    "it is log η": _ce_consistent,
                    "it is log η - log π": _balanced,
                },
                resolution=1e-5,
                floor=1e-5,
            ),
        ),
        (SOME,),
    ),
    _kept(
        "rawat2021.section4.in-batch-unit",
        "Where hits are kept, in-batch softmax with weights of 1 teaches log η - log π, balanced, at every m.",
        WithinBatch(),
        Unit(),
        _balanced,
        {"it teaches what the bound says": _by_bound, "it teaches log η": _ce_consistent},
    ),
    _kept(
        "rawat2021.section4.in-batch-relative",
        "Where hits are kept, relative weights teach log η at every m, although the bound calls them head-biased.",
        WithinBatch(),
        Relative(),
        _ce_consistent,
        {"it teaches what the bound says": _by_bound, "it teaches log η - log π": _balanced},
    ),
    _kept(
        "rawat2021.section4.power-unit",
        "Where hits are kept, q ∝ π^{3/4} with weights of 1 teaches log η - ¾ log π at every m.",
        Power(),
        Unit(),
        _power_law,
        {"it teaches what the bound says": _by_bound, "it teaches log η - log π": _balanced},
    ),
    *(
        Claim(
            f"rawat2021.section4.small-m-{name}",
            f"With few negatives {name} weights lean further to rare labels than the loss that they are unbiased for.",
            "found by computing the optima, not in the paper; these weights are consistent only as m grows",
            (
                Exact(
                    "tilt of the optimum",
                    lessons(WithinBatch(), weighting, of=("sampled",), draws=(1, 4, 16), seeds=(0,), labels=MANY),
                    tilt,
                    lambda lesson, goal=goal: goal,
                    {
                        "their optimum is that of the implicit loss at every m": ("=", lambda lesson, goal=goal: goal),
                        "they lean to frequent labels": (">", lambda lesson, goal=goal: goal),
                    },
                    relation="<",
                    detail=BALANCE,
                ),
            ),
            (f"labels equally likely at x; {ALL}; hits masked or excluded",),
        )
        for name, weighting, goal in (("importance", Importance(), 0.0), ("tail", Tail(), -1.0))
    ),
)
