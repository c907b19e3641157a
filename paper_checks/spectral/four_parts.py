"""The gap between two classes as a sum: what counts, spectra and margins do to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import sympy as sp

from implicitloss.claims.case import Setting
from implicitloss.claims.checks import Exact, Identity
from implicitloss.claims.claim import Claim
from implicitloss.estimate import Estimate
from implicitloss.labels import Floats
from implicitloss.spectral import Gap, gap
from implicitloss.spectral.diagnose import diagnose
from paper_checks.spectral.leave_one_out import Samples, scores
from paper_checks.spectral.populations import SIGNS, SOURCE
from paper_checks.spectral.ridge import Regression, two_classes

# --- in symbols -------------------------------------------------------------------------------------------------------

root = sp.symbols("r_1 r_2", positive=True)
c, V, pull = (sp.symbols(f"{name}_1 {name}_2", real=True) for name in ("c", "V", "g"))
delta = sp.Symbol("delta", real=True)


def _sum(overfit: int, label: int = 1) -> Callable[[], Iterator[tuple[str, sp.Expr, sp.Expr]]]:
    """z_1 - z_2, and its parts; m_k = c_k - V_k g_k."""

    def pairs() -> Iterator[tuple[str, sp.Expr, sp.Expr]]:
        m = [c[k] - V[k] * pull[k] for k in (0, 1)]
        kappa, half = 1 / root[0] + 1 / root[1], (m[0] - m[1]) / 2
        shift = (c[0] + c[1]) / 2 - overfit * (V[0] * pull[0] + V[1] * pull[1]) / 2 + label * delta
        gap = (m[0] + delta) / root[0] + (m[1] + delta) / root[1]
        yield "z_1 - z_2", gap, kappa * shift + half * (1 / root[0] - 1 / root[1])

    return pairs


# --- in numbers -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trained:
    """One classifier that was trained, and an offset."""

    regression: Regression
    which: int
    offset: float

    def __str__(self) -> str:
        return f"{self.regression}, training set {self.which}, δ = {self.offset:g}"

    @property
    def parts(self) -> Gap:
        sets = self.regression.sets
        return gap(sets.fresh[self.which], sets.spread[self.which], sets.training[self.which], self.offset)


def _trained(setting: Setting) -> list[Trained]:
    cases = two_classes(setting)
    return [Trained(case, which, offset) for case in cases for which, offset in enumerate((0.0, 0.2, -0.3))]


def _directly(mean: Floats, variance: Floats, offset: float) -> Estimate:
    value = float(np.sum((mean + offset) / np.sqrt(variance)))
    return Estimate(value, 1e-13, "gap", "z_1 - z_2")


def _of_trained(case: Trained) -> Estimate:
    sets = case.regression.sets
    return _directly(sets.fresh[case.which], sets.spread[case.which], case.offset)


def _added(*names: str) -> Callable[[Trained], Estimate]:
    """The sum of these parts, as the library has them."""
    return lambda case: Estimate(sum(getattr(case.parts, name) for name in names), 1e-13, "gap", "sum of parts")


def _of_predicted(case: Regression) -> Estimate:
    found = case.predicted()
    return _directly(found.mean, found.variance, 0.0)


def _by_influence(overfit: float) -> Callable[[Regression], Estimate]:
    """The parts by hand, from predicted training means c_k, influences V_k and residuals s_k - c_k."""

    def total(case: Regression) -> Estimate:
        found = case.predicted()
        c, inverse = found.training_mean, 1 / np.sqrt(found.variance)
        shift = c.mean() - overfit * np.mean(found.influence * (SIGNS - c))
        value = inverse.sum() * shift + np.subtract(*found.mean) / 2 * np.subtract(*inverse)
        return Estimate(float(value), 1e-9, "gap", "sum of parts")

    return total


# --- samples, left out with as large a share of the other class -------------------------------------------------------

SAMPLES = Samples((23, 14), 12, 2.0)
PARTS = ("train", "overfit", "label", "scale")


def _samples(setting: Setting) -> tuple[Samples]:
    return (SAMPLES,)


def _by_refits(case: Samples) -> Estimate:
    """z_1 - z_2 and its parts, (5,), from scores f_1 - f_2 by a fit without each group and by one with all.

    There are as many groups as the smaller class has samples, ten or more: each of these is in a group of its own, and
    those of the other class take turns.
    """
    of_class = [case.labels == k for k in (0, 1)]
    X, targets = case.features, np.eye(2)[case.labels]
    group = np.concatenate([np.arange(n) % min(case.counts) for n in case.counts])
    left_out, fitted = np.empty(len(X)), scores(X, targets, case.lam, X) @ SIGNS
    for g in range(min(case.counts)):
        out = group == g
        left_out[out] = scores(X[~out], targets[~out], case.lam, X[out]) @ SIGNS
    m, c = (np.array([z[part].mean() for part in of_class]) for z in (left_out, fitted))
    inverse = 1 / np.array([left_out[part].std() for part in of_class])
    parts = (
        inverse.sum() * c.mean(), inverse.sum() * (m - c).mean(), 0.0, np.subtract(*m) / 2 * np.subtract(*inverse)
    )  # fmt: skip
    value = np.array([m @ inverse, *parts])
    return Estimate(value, np.full(5, 1e-9), "gap and parts", "a fit without each group")


def _diagnosed(*names: str) -> Callable[[Samples], Floats]:
    """The sum of these parts, and all parts, as `diagnose` has them."""

    def parts(case: Samples) -> Floats:
        found = diagnose(case.features, case.labels, ridge=case.lam).gap(0, 1)
        return np.array([sum(getattr(found, name) for name in names), *(getattr(found, name) for name in PARTS)])

    return parts


WITHOUT = "the part of overfitting is 0"

CLAIMS = (
    Claim(
        "spectral.four-parts",
        "z_1 - z_2 = κ (o_train + o_overfit + δ) + h (1/√q_1 - 1/√q_2) exactly, z_1 = (m_1 + δ)/√q_1, "
        "z_2 = -(m_2 + δ)/√q_2, κ = 1/√q_1 + 1/√q_2, h = (m_1 - m_2)/2, o_train the mean of both training means and "
        "o_overfit = -½ Σ V_k m̂_k/n_k: sampling, spectra and margins add up.",
        SOURCE,
        (
            Identity(_sum(1), {WITHOUT: _sum(0), "margins shift nothing": _sum(1, 0)}, detail="for any two classes"),
            Exact(
                "trained classifiers",
                _trained,
                _of_trained,
                _added("train", "overfit", "label", "scale"),
                {
                    WITHOUT: _added("train", "label", "scale"),
                    "margins shift nothing": _added("train", "overfit", "scale"),
                },
                uses_prior=False,
            ),
            Exact(
                "predicted means and influences",
                two_classes,
                _of_predicted,
                _by_influence(1.0),
                {WITHOUT: _by_influence(0.0)},
                uses_prior=False,
            ),
            Exact(
                "a fit without each group",
                _samples,
                _by_refits,
                _diagnosed(*PARTS),
                {WITHOUT: _diagnosed("train", "label", "scale")},
                floor=1e-8,
                uses_prior=False,
            ),
        ),
        ("two classes, by one score",),
    ),
)
