"""Theorem 1: losses that scale with the positive and have margins, δ_y/π_y · log(1 + Σ δ_y'/δ_y e^{f_y' - f_y})."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from implicitloss.claims.case import Setting
from implicitloss.claims.checks import Exact
from implicitloss.claims.claim import Claim
from implicitloss.estimate import Estimate
from implicitloss.labels import Floats
from paper_checks.menon2021.consistency import World, error_of, first_world, least, worlds, worst

# BFGS is asked for a gradient as small as this.
GRADIENT = 1e-10


@dataclass(frozen=True, eq=False)
class _Member:
    """A world and a δ."""

    world: World
    log_delta: Floats

    def __str__(self) -> str:
        return f"{self.world}, log δ = {self.log_delta.round(2).tolist()}"


def _members(setting: Setting) -> list[_Member]:
    """Twenty worlds, a random δ each; the first have δ = 1, weights alone, and δ = π, margins alone."""
    members = []
    for i, world in enumerate(worlds()):
        rng = np.random.default_rng([setting.seed, i, 7314])
        log_delta = {0: np.zeros(3), 1: world.prior.log}.get(i, rng.uniform(-2, 2, 3))
        members.append(_Member(world, np.asarray(log_delta)))
    return members


def _taught(member: _Member) -> Estimate:
    """argmin_f Σ_y η_y δ_y/π_y log(1 + Σ_{y' != y} δ_y'/δ_y e^{f_y' - f_y}) at each x, centred, (X, L), by BFGS.

    The Hessian is diag(p) - p p', whose least eigenvalue but 0 is least p or more; so f is off by the gradient over it,
    and twice as much is allowed.
    """
    found, errors = [], []
    for eta in member.world.eta:
        share = eta * np.exp(member.log_delta) / member.world.prior.probabilities
        share /= share.sum()

        def loss(f: Floats, share: Floats = share) -> tuple[float, Floats]:
            moved = f + member.log_delta
            gaps = moved - moved[:, None]
            np.fill_diagonal(gaps, -np.inf)  # y' != y
            pairs = np.exp(gaps)
            of_y = share / (1 + pairs.sum(axis=1))
            return float(share @ np.log1p(pairs.sum(axis=1))), of_y @ pairs - of_y * pairs.sum(axis=1)

        best = minimize(loss, np.zeros(eta.size), jac=True, method="BFGS", options={"gtol": GRADIENT})
        found.append(best.x - best.x.mean())
        errors.append(np.full(eta.size, 2 * np.linalg.norm(best.jac) / share.min() + 1e-12))
    return Estimate(np.array(found), np.array(errors), "optimum", "BFGS")


def _scores(of: Callable[[_Member], Floats]) -> Callable[[_Member], Estimate]:
    def scores(member: _Member) -> Estimate:
        f = np.log(member.world.eta) + of(member)
        f -= f.mean(axis=1, keepdims=True)
        return Estimate(f, 1e-13 * (1 + np.abs(f)), "optimum", "closed form")

    return scores


_balanced = _scores(lambda member: -member.world.prior.log)


# --- dividing scores ------------------------------------------------------------------------------------------------

POWERS = (0.25, 0.5, 1.0, 2.0)


def _divided(power: float, *, positive: bool) -> Callable[[World], Floats]:
    """log η over π^τ, as if norms of a label's weights were π^τ, (X, L); `positive`: moved up until the least is 1.

    Softmax knows scores up to a constant, and quotients depend on it: a negative one grows where it is divided by less.
    """

    def scores(world: World) -> Floats:
        f = np.log(world.eta)
        return np.asarray((f - f.min() + 1 if positive else f) / world.prior.probabilities**power)

    return scores


def _excess(rule: Callable[[World], Floats]) -> Callable[[World], Estimate]:
    error = error_of(rule)
    return lambda world: Estimate(float(error(world)) - least(world), 1e-12, "excess balanced error", "closed form")


CLAIMS = (
    Claim(
        "menon2021.family",
        "Weights δ_y/π_y of the positive and margins p_yy' = δ_y'/δ_y teach log η - log π for every δ > 0: δ = π is "
        "logit adjustment, δ = 1 the loss weighted by 1/π.",
        "Menon et al. 2021, section 5.1, Theorem 1",
        (
            Exact(
                "BFGS on the loss as it is written",
                _members,
                _taught,
                _balanced,
                {
                    "it teaches log η": _scores(lambda member: np.zeros(3)),
                    "it teaches log η - log δ": _scores(lambda member: -member.log_delta),
                    "it teaches log η - 2 log π": _scores(lambda member: -2 * member.world.prior.log),
                },
                resolution=1e-4,
                floor=1e-4,
                uses_prior=False,
                detail="20 laws of five x and three labels, a δ each",
            ),
        ),
        ("scores free at each x",),
    ),
    Claim(
        "menon2021.normalised",
        "Scores log η divided by π^τ are not consistent for the balanced error, for τ = 1/4, 1/2, 1 and 2, as they are "
        "or moved up until all are positive: there is a law on which they are not best.",
        "Menon et al. 2021, section 4.2",
        tuple(
            Exact(
                "largest excess balanced error over 20 laws",
                first_world,
                worst(_excess(_divided(power, positive=positive))),
                lambda world: 1e-3,
                {
                    f"τ = {power:g} is consistent for {of}": (
                        "=",
                        lambda world: Estimate(0.0, 1e-12, "excess", "claimed"),
                    ),
                },
                relation=">",
                uses_prior=False,
                detail=f"τ = {power:g}, {of}; all 243 classifiers tried on each",
            )
            for power in POWERS
            for positive, of in ((False, "log η"), (True, "positive scores"))
        ),
        ("norms of weights are π^τ, and scores log η, or these and a constant, before they are divided",),
    ),
)
