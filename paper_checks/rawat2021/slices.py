"""Sections 5.1 and 5.2: head, torso and tail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, floor, log

import numpy as np

from implicitloss.claims.case import Setting
from implicitloss.claims.checks import Exact
from implicitloss.claims.claim import Claim
from implicitloss.labels import Floats, LabelPrior

NAMES = ("head", "torso", "tail")


@dataclass(frozen=True)
class _Sliced:
    """A prior, by name."""

    name: str
    prior: LabelPrior

    def __str__(self) -> str:
        return self.name


def _sizes(sliced: _Sliced) -> Floats:
    """How many labels the library puts into each slice."""
    slices = sliced.prior.slices()
    return np.array([float(slices[name].size) if name in slices else 0.0 for name in NAMES])


# --- 5.1: by counts -------------------------------------------------------------------------------------------------

CLASSES, MOST, RATIO = 100, 500, 100
AT_THRESHOLDS = (500, 101, 100, 99, 21, 20, 19, 1)


def _profiles(setting: Setting) -> list[_Sliced]:
    return [
        _Sliced("CIFAR-100-LT, EXP", LabelPrior.exp(CLASSES, MOST, RATIO)),
        _Sliced("CIFAR-100-LT, STEP", LabelPrior.step(CLASSES, MOST, RATIO)),
        _Sliced("counts at the thresholds", LabelPrior.from_counts(AT_THRESHOLDS)),
    ]


def _at_least(count: int) -> int:
    """How many i = 0 .. 99 have n_i = ⌊500 ρ^{-i/99}⌋ >= count, solved for i."""
    return floor((CLASSES - 1) * log(MOST / count) / log(RATIO)) + 1


def _by_counts(
    least_of_head: int, least_of_torso: int, step: tuple[float, float, float] = (50, 0, 50)
) -> Callable[[_Sliced], Floats]:
    def sizes(sliced: _Sliced) -> Floats:
        if sliced.name.endswith("STEP"):
            return np.array(step)
        if sliced.name.startswith("counts"):
            of = [0 if n >= least_of_head else 1 if n >= least_of_torso else 2 for n in AT_THRESHOLDS]
            return np.bincount(of, minlength=3).astype(np.float64)
        head, not_tail = _at_least(least_of_head), _at_least(least_of_torso)
        return np.array([head, not_tail - head, CLASSES - not_tail], dtype=np.float64)

    return sizes


# --- 5.2: by quantiles ----------------------------------------------------------------------------------------------


def _frequencies(setting: Setting) -> list[_Sliced]:
    """Priors without counts, of different frequencies, in no order."""
    rng = np.random.default_rng([setting.seed, 66])
    return [
        _Sliced(f"{n} labels", LabelPrior.from_probabilities(rng.permutation(LabelPrior.zipf(n, 1.2).probabilities)))
        for n in (50, 101, 1_000)
    ]


def _shares_of_labels(high: float, low: float) -> Callable[[_Sliced], Floats]:
    """Of n different frequencies in order, the k-th is the quantile (k - 1)/(n - 1); others lie between two of them."""

    def sizes(sliced: _Sliced) -> Floats:
        last = sliced.prior.n_labels - 1
        head, tail = last - floor(round(high * last, 9)), ceil(round(low * last, 9))
        return np.array([head, last + 1 - head - tail, tail], dtype=np.float64)

    return sizes


def _thirds_of_samples(sliced: _Sliced) -> Floats:
    """The slices had each a third of the samples."""
    before = np.cumsum(np.sort(sliced.prior.probabilities)[::-1])
    return np.bincount(np.minimum((3 * before).astype(int), 2), minlength=3).astype(np.float64)


CLAIMS = (
    Claim(
        "rawat2021.section5.slices",
        "Head, torso and tail of counts are the classes of more than 100 samples, of 20 to 100, and of fewer than 20: "
        "35, 35 and 30 of CIFAR-100-LT's; with STEP there are 50, 0 and 50.",
        "Rawat et al. 2021, section 5.1, after Kang et al. 2020",
        (
            Exact(
                "counts solved for the class",
                _profiles,
                _sizes,
                _by_counts(101, 20),
                {
                    "a class of 20 samples is of the tail": _by_counts(101, 21),
                    "a class of 100 samples is of the head": _by_counts(100, 20),
                    "the head has more than 200 samples": _by_counts(201, 20),
                    "STEP has a torso": _by_counts(101, 20, (34, 33, 33)),
                },
                uses_prior=False,
            ),
        ),
        ("EXP and STEP, ρ = 100, 500 samples at most; and classes of 101, 100, 99, 21, 20 and 19 samples",),
    ),
    Claim(
        "rawat2021.section5.quantiles",
        "Where there are no such counts, the 66 % and 33 % quantiles of the label frequencies divide them: a third of "
        "the labels each, not of the samples.",
        "Rawat et al. 2021, section 5.2",
        (
            Exact(
                "places in the order of frequencies",
                _frequencies,
                _sizes,
                _shares_of_labels(0.66, 0.33),
                {
                    "the head is above the 90 % quantile": _shares_of_labels(0.9, 0.33),
                    "each has a third of the samples": _thirds_of_samples,
                },
                uses_prior=False,
            ),
        ),
        ("no two labels are equally frequent",),
    ),
)
