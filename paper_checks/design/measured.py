"""The tilt that is measured on batches: what it is on all of them, and how it varies from sample to sample."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr

from implicitloss.claims.case import Setting
from implicitloss.claims.checks import Average, Averages, Exact
from implicitloss.claims.claim import Claim
from implicitloss.estimate import Estimate
from implicitloss.labels import Floats, Labels
from implicitloss.optima.measured_tilt import measured_tilt
from paper_checks.design.listing import COUNTS, N_LABELS, PI, SOURCE, Listing, Slots, of

LOG_PI = np.log(PI)
# Laws in whole numbers, by which each slot stands as often as it has to.
TIMES = {"in batch": np.array(COUNTS) / 10, "uniform": np.ones(N_LABELS), "own": np.arange(1.0, N_LABELS + 1)}
OF_ETA = 10


@dataclass(frozen=True)
class Tilted:
    """A model whose scores are log η - log δ + b log π."""

    slots: Slots
    b: float

    def __str__(self) -> str:
        return f"b = {self.b:g}, {self.slots}"

    @property
    def scores(self) -> Floats:
        return self.slots.target_scores + self.b * LOG_PI

    @property
    def logits(self) -> Floats:
        """With log q - log δ taken off, (L,)."""
        return np.asarray(self.scores - np.log(self.slots.q) + np.log(self.slots.delta))


def _tilted(setting: Setting) -> list[Tilted]:
    parts = itertools.product(TIMES, ("softmax", "balanced softmax"), (1, 2), (0.3, -0.5))
    return [Tilted(Slots(law, target, m, i % 2), b) for i, (law, target, m, b) in enumerate(parts)]


def _all_slots(slots: Slots) -> Labels:
    """Positive and draws, each row as often as it has to stand, (B, 1 + m)."""
    labels = np.arange(N_LABELS)
    positive = np.repeat(labels, np.rint(OF_ETA * slots.eta).astype(int))
    drawn = np.repeat(labels, TIMES[slots.law].astype(int))
    return np.array(list(itertools.product(positive, *([drawn] * slots.m))))


def _both(tilt: float, information: float) -> Estimate:
    return Estimate(np.array([tilt, information]), np.array([1e-9, 1e-9]), "tilt and information", "listing")


def _measured(case: Tilted) -> Estimate:
    """The library's tilt of all slots, and 1/(B standard error²)."""
    at = _all_slots(case.slots)
    found = measured_tilt(case.logits[at], LOG_PI[at])
    return _both(float(found), 1 / (len(at) * float(found.error) ** 2))


def _fitted(found: Listing, scores: Floats) -> Estimate:
    """The root b of E[E_slots log π - log π_y], and E[Var_slots log π] there."""

    def off(b: float) -> float:
        return float(found.chances @ found.gradients(scores - b * LOG_PI) @ LOG_PI)

    b = float(brentq(off, -4, 4, xtol=1e-13))
    return _both(b, float(LOG_PI @ found.hessian(scores - b * LOG_PI) @ LOG_PI))


def _true(case: Tilted) -> Estimate:
    """b, and the information about log π at the optimum."""
    return _both(case.b, float(LOG_PI @ of(case.slots).hessian(case.slots.target_scores) @ LOG_PI))


def _masked(case: Tilted) -> Estimate:
    return _fitted(of(case.slots, hits="mask"), case.scores)


def _raw(case: Tilted) -> Estimate:
    """Logits from which nothing is taken off."""
    return _fitted(of(case.slots, np.ones((N_LABELS, N_LABELS))), case.scores)


def _of_all_labels(case: Tilted) -> Estimate:
    """The information of softmax over all labels."""
    return _both(case.b, float(case.slots.eta @ LOG_PI**2 - (case.slots.eta @ LOG_PI) ** 2))


# --- from sample to sample --------------------------------------------------------------------------------------------

SAMPLE = Tilted(Slots("in batch", "softmax", 2), 0.3)
EXAMPLES = 64
# Spreads that differ by a factor √2 are seen.
RESOLUTION = 0.115


def _spread(rng: np.random.Generator, n: int) -> Floats:
    """(2Φ(z) - 1)² of n samples of batches, z = (measured tilt - b)/standard error."""
    laws = [SAMPLE.slots.eta, *([SAMPLE.slots.q] * SAMPLE.slots.m)]
    drawn = np.stack([rng.choice(N_LABELS, (n, EXAMPLES), p=law) for law in laws], axis=-1)
    tilts = [measured_tilt(SAMPLE.logits[at], LOG_PI[at]) for at in drawn]
    z = np.array([(float(tilt) - SAMPLE.b) / float(tilt.error) for tilt in tilts])
    return np.asarray((2 * ndtr(z) - 1) ** 2)


def _normal(variance: float) -> float:
    """E (2Φ(z) - 1)² of a normal z around 0: 1/3 if its variance is 1."""
    return float(2 / np.pi * np.arcsin(variance / (1 + variance)))


def _samples(setting: Setting) -> list[tuple[Average, float]]:
    return [(Average(f"{EXAMPLES} examples, {SAMPLE}", _spread), _normal(1))]


MISSES: dict[str, Callable[[Setting], list[float]]] = {
    "the standard error is too small by √2": lambda setting: [_normal(2)],
    "the standard error is too large by √2": lambda setting: [_normal(0.5)],
}

CLAIMS = (
    Claim(
        "design.measured-tilt.value",
        "Measured on all batches, each as often as it is drawn, the tilt of scores log η - log δ + b log π is b, and B "
        "examples give the standard error (B I)^{-1/2}, I the information about log π that sampling keeps.",
        f"{SOURCE}; b is fitted by maximum likelihood",
        (
            Exact(
                "every sequence of draws in proportion to its chance",
                _tilted,
                _measured,
                _true,
                {
                    "hits may be masked": _masked,
                    "nothing need come off the logits": _raw,
                    "the information is that of softmax over all labels": _of_all_labels,
                },
                resolution=1e-7,
                uses_prior=False,
            ),
        ),
        ("draws are i.i.d., hits left in, and the batches were not trained on",),
    ),
    Claim(
        "design.measured-tilt.spread",
        "From sample to sample the measured tilt varies as its standard error says: (2Φ(z) - 1)² has the mean 1/3 that "
        "a standard normal z has.",
        "derived: maximum likelihood, many examples",
        (
            Averages(
                _samples,
                MISSES,
                resolution=RESOLUTION,
                # (2U - 1)² of a uniform U has a variance of 4/45.
                largest_variance=0.1,
                uses_prior=False,
            ),
        ),
        ("z = (tilt - b)/standard error; 64 examples with two draws each",),
    ),
)
