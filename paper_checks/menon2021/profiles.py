"""The long-tail profiles of the experiments: label totals of EXP and STEP."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from implicitloss.claims.case import Setting
from implicitloss.claims.checks import Exact
from implicitloss.claims.claim import Claim
from implicitloss.labels import LabelPrior


@dataclass(frozen=True)
class Profile:
    """A profile and its size as published."""

    name: str
    prior: LabelPrior
    total: int

    def __str__(self) -> str:
        return self.name


def _profiles(setting: Setting) -> list[Profile]:
    return [
        # 100 classes of CIFAR-100, 500 to 5 images: the training set of CIFAR-100-LT.
        Profile("CIFAR-100-LT, EXP", LabelPrior.exp(100, 500, 100), 10_847),
        Profile("CIFAR-100-LT, STEP", LabelPrior.step(100, 500, 100), 50 * 500 + 50 * 5),
        # 10 classes of CIFAR-10, 5000 to 50 images.
        Profile("CIFAR-10-LT, EXP", LabelPrior.exp(10, 5000, 100), 12_406),
        Profile("CIFAR-10-LT, STEP", LabelPrior.step(10, 5000, 100), 5 * 5000 + 5 * 50),
    ]


def _total(profile: Profile) -> float:
    assert profile.prior.counts is not None
    return float(profile.prior.counts.sum())


def _rounded(profile: Profile) -> float:
    """The total had counts been rounded and not cut."""
    if profile.name.endswith("STEP"):
        return profile.total
    n, largest = profile.prior.n_labels, profile.prior.counts.max()  # type: ignore[union-attr]
    return float(np.round(largest * 100.0 ** (-np.arange(n) / (n - 1))).sum())


def _two_values(profile: Profile) -> list[float]:
    """How many values counts have, the larger over the smaller, and the share of labels with the larger."""
    counts = profile.prior.counts
    assert counts is not None
    values = np.unique(counts)
    return [float(values.size), float(values[-1] / values[0]), float(np.mean(counts == values[-1]))]


def _steps(setting: Setting) -> list[Profile]:
    return [profile for profile in _profiles(setting) if profile.name.endswith("STEP")]


def _over_labels(profile: Profile) -> float:
    """The total had the exponent been i/L and not i/(L - 1)."""
    if profile.name.endswith("STEP"):
        return profile.total
    n, largest = profile.prior.n_labels, profile.prior.counts.max()  # type: ignore[union-attr]
    return float(np.floor(largest * 100.0 ** (-np.arange(n) / n)).sum())


CLAIMS = (
    Claim(
        "menon2021.profiles",
        "EXP and STEP with ρ = 100 make CIFAR-100-LT of 10,847 and 25,250 images, CIFAR-10-LT of 12,406 and 25,250.",
        "Cui et al. 2019; Cao et al. 2019; Menon et al. 2021, section 6",
        (
            Exact(
                "counting",
                _profiles,
                _total,
                lambda profile: float(profile.total),
                {"counts are rounded": _rounded, "n_i = n_max ρ^{-i/L}": _over_labels},
                uses_prior=False,
            ),
        ),
    ),
    Claim(
        "menon2021.step",
        "STEP has two frequencies, ρ = 100 apart, each of half of the labels.",
        "Buda et al. 2017; Cao et al. 2019; Rawat et al. 2021, section 5.1",
        (
            Exact(
                "counting",
                _steps,
                lambda profile: np.array(_two_values(profile)),
                lambda profile: np.array([2.0, 100.0, 0.5]),
                {
                    "there are three frequencies": lambda profile: np.array([3.0, 100.0, 0.5]),
                    "a tenth of the labels is frequent": lambda profile: np.array([2.0, 100.0, 0.1]),
                },
                uses_prior=False,
            ),
        ),
        ("CIFAR-100 and CIFAR-10",),
    ),
)
