"""The variance of the gradient, which Remark 3 leaves open: what it is, and which sampler makes it least."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import product

import numpy as np

from implicitloss.claims.case import Case
from implicitloss.claims.checks import Exact, Number, Simulated
from implicitloss.claims.claim import Claim
from implicitloss.claims.statements.numbers import EXHAUST, INTEGRATE, CaseList, exhausted, integrated, target
from implicitloss.claims.statements.proposition5 import best_sampler
from implicitloss.estimate import Estimate
from implicitloss.labels import Floats
from implicitloss.samplers import Explicit
from implicitloss.witness.integrate import integrate

__all__ = ["gradient_sampler", "gradient_variance"]

# The smallest difference that a simulation must see.
SEEN = 0.02


def _runs(case: Case) -> tuple[Floats, Floats]:
    """The chance of each sequence of draws, (n,), and ∂ℓ/∂f on it, (n, L)."""
    plan, loss, y, f = case.scheme.plan(case.problem), case.loss, case.problem.positive, case.problem.scores
    q, w = np.exp(plan.log_q), np.exp(plan.log_w)
    worth = w * (np.exp(loss.log_payment(f, y)) if loss.has_log else loss.payment_slope(f, y))
    chances, gradients = [], []
    for labels in product(np.flatnonzero(q > 0), repeat=case.scheme.m):
        drawn = list(labels)
        g = np.bincount(drawn, minlength=f.size) * worth
        if loss.has_log:
            g = g / (1 + g.sum())
            g[y] = 0.0
            g[y] = -g.sum()
        chances.append(float(np.prod(q[drawn])))
        gradients.append(g)
    return np.array(chances), np.array(gradients)


def _listed(case: Case, *, centred: bool = True, with_positive: bool = True) -> Estimate:
    """E ‖g - E g‖² by every sequence of draws; each argument makes one mistake."""
    chances, gradients = _runs(case)
    if not with_positive:
        gradients[:, case.problem.positive] = 0.0
    second, mean = float(chances @ np.sum(gradients**2, axis=1)), chances @ gradients
    value = second - float(mean @ mean) if centred else second
    return Estimate(value, 1e-13 * (1 + second), "gradient_variance", "listing")


def gradient_variance(id: str, tiny: CaseList, decoupled: CaseList) -> Claim:
    """The trace of the covariance of ∂ℓ/∂f, by integrals, by enumeration, by a closed form, and by simulation."""

    def of_entries(case: Case, rest: float = 1.0, one: bool = False) -> Estimate:
        """Σ m q (1 - q) (w ϕ')²."""
        plan, y = case.scheme.plan(case.problem), case.problem.positive
        q, m = np.exp(plan.log_q), 1 if one else case.scheme.m
        squares = (np.exp(plan.log_w) * case.loss.payment_slope(case.problem.scores, y)) ** 2
        value = float(m * np.sum(q * (1 - rest * q) * squares))
        return Estimate(value, 1e-11 * float(m * np.sum(q * squares)), "gradient_variance", "closed form")

    off = {
        "the mean gradient is not taken off: it is E ‖g‖²": partial(_listed, centred=False),
        "the positive's own entry does not vary": partial(_listed, with_positive=False),
    }
    return Claim(
        id,
        "The variance of the gradient, E ‖g - E g‖² for g = ∂ℓ/∂f: for softmax one-dimensional integrals of "
        "t e^{-t} φ^{m-1} and t e^{-t} φ^{m-2} give E ‖g‖²; for a decoupled loss it is Σ m q (1 - q) (w ϕ')².",
        "derived: ∫ t e^{-t(1+S)} dt = (1+S)^{-2}; Rawat et al. 2021, Remark 3, name this variance without a formula",
        (
            Exact(
                "softmax",
                tiny,
                lambda case: integrated(case, "gradient_variance"),
                lambda case: exhausted(case, "gradient_variance"),
                off,
                floor=1e-12,
                detail=f"{INTEGRATE} against {EXHAUST}",
            ),
            Exact(
                "decoupled losses",
                decoupled,
                lambda case: exhausted(case, "gradient_variance"),
                of_entries,
                {
                    "1 - q is forgotten: Σ m q (w ϕ')²": partial(of_entries, rest=0.0),
                    "m is forgotten: Σ q (1 - q) (w ϕ')²": partial(of_entries, one=True),
                },
                floor=1e-12,
                detail=f"{EXHAUST} against a closed form",
            ),
            Simulated(
                tiny,
                lambda case: integrated(case, "gradient_variance"),
                lambda case: SEEN,
                off,
                quantity="gradient_variance",
            ),
        ),
        ("q and w held fixed in the gradient; all hits modes",),
    )


def gradient_sampler(id: str, decoupled: CaseList, softmax: CaseList) -> Claim:
    """The variance of the gradient, with w = p/(m q), is least at q ∝ p ϕ', where it is not 0.

    `decoupled` and `softmax` are competitors with weights p/(m q).
    """

    def margins(case: Case) -> Floats:
        p = np.exp(target(case).log_margin(case.problem.prior, case.problem.positive))
        p[case.problem.positive] = 0.0
        return p

    def pulls(case: Case) -> Floats:
        """a_y' = p_yy' ϕ'."""
        return margins(case) * case.loss.payment_slope(case.problem.scores, case.problem.positive)

    def at(shares: Callable[[Case], Floats]) -> Callable[[Case], Estimate]:
        """The variance of the gradient under the sampler q ∝ shares."""

        def found(case: Case) -> Estimate:
            q = shares(case)
            scheme = replace(case.scheme, sampler=Explicit(q / q.sum()), hits="exclude")
            return integrate(scheme, case.loss, case.problem, "gradient_variance")

        return found

    def payments(case: Case) -> Floats:
        return margins(case) * np.exp(case.loss.log_payment(case.problem.scores, case.problem.positive))

    def price(case: Case, power: int = 1) -> Estimate:
        """(Σ a²/q - Σ a²)/m; with `power` 2 (Σ a)² for Σ a², as in Lemma 1."""
        a, q = pulls(case), np.exp(case.scheme.laws(case.problem).log_q)
        can = q > 0
        second = float(np.sum(a[can] ** 2 / q[can]))
        gone = float(a.sum() ** 2 if power == 2 else a @ a if power else 0.0)
        value = (second - gone) / case.scheme.m
        return Estimate(value, 1e-11 * second, "gradient_variance", "closed form")

    def at_zero(case: Case, spread: float = 1.0) -> Number:
        """(A/(1+A))² (1 - Σ q*²)/m, q* = p e^f/A, in units of e^{f_y}."""
        a = payments(case)
        total = float(a.sum())
        value = (total / (1 + total)) ** 2 * (1 - spread * float(np.sum((a / total) ** 2))) / case.scheme.m
        return Estimate(value, 1e-12, "gradient_variance", "closed form")

    def of_best(case: Case) -> Estimate:
        best = best_sampler(case)
        return integrate(best.scheme, best.loss, best.problem, "gradient_variance")

    return Claim(
        id,
        "With w = p/(m q) a decoupled gradient has the variance (Σ a²/q - Σ a²)/m, a = pϕ', least at q ∝ p_yy' ϕ' and "
        "not 0 there; and the sampler at which softmax has no variance, q* ∝ p e^f, leaves its gradient "
        "(1 - p_y)² (1 - Σ q*²)/m, p_y = 1/(1 + Σ p e^{f_y' - f_y}).",
        "derived; Rawat et al. 2021, Remark 3: Proposition 5 is of the variance of the loss, and that of the gradient "
        "is left open",
        (
            Exact(
                "variance at q ∝ pϕ' against competitors",
                decoupled,
                at(pulls),
                lambda case: integrated(case, "gradient_variance"),
                {
                    "Proposition 5's sampler, q ∝ pϕ, has the least as well": ("=", at(payments)),
                    "it is 0 there, as the loss's is at q ∝ pϕ": ("=", lambda case: 0.0),
                },
                relation="<=",
                detail="closed form, at two samplers",
            ),
            Exact(
                "price of a sampler",
                decoupled,
                lambda case: integrated(case, "gradient_variance"),
                price,
                {
                    "(Σ a)² is taken off, as from the loss's variance": partial(price, power=2),
                    "nothing is taken off": partial(price, power=0),
                },
                detail="closed forms",
            ),
            Exact(
                "softmax at q* ∝ p e^f",
                softmax,
                of_best,
                at_zero,
                {
                    "it is 0 there, as the loss's is": lambda case: 0.0,
                    "Σ q*² is forgotten: (1 - p_y)²/m": partial(at_zero, spread=0.0),
                },
                floor=1e-12,
                detail=f"{INTEGRATE} against a closed form",
            ),
        ),
        ("the positive is never drawn; every negative has ϕ' > 0; q and w held fixed in the gradient",),
    )
