"""The gradient of sampled softmax with importance weights: its bias, rate and constant."""

from __future__ import annotations

from functools import partial

import numpy as np

from implicitloss.claims.case import Case
from implicitloss.claims.checks import Exact, Simulated
from implicitloss.claims.claim import Claim
from implicitloss.claims.statements.limits import along, exponent, ladder, limit, order
from implicitloss.claims.statements.numbers import (
    EXHAUST,
    INTEGRATE,
    CaseList,
    exhausted,
)
from implicitloss.estimate import Estimate
from implicitloss.labels import Floats
from implicitloss.numerics.logsum import logsumexp
from implicitloss.theory.implicit import implicit_gradient
from implicitloss.witness.integrate import integrate

__all__ = ["gradient_rate"]


def gradient_rate(id: str, tiny: CaseList, cases: CaseList, sampled: CaseList, hard: bool = False) -> Claim:
    """Importance weights: E ∂ℓ/∂f → the softmax gradient, with bias e^{f_y} V/(m Z³) on the positive's.

    With hard negatives Z has their weights, and V is of the draws.
    """

    def log_margins(case: Case) -> Floats:
        """log p_yy', (L,), of importance weights: 1 off T; on T w_T, and 1 more where draws count again."""
        log_p, mode = np.zeros(case.problem.scores.size), case.scheme.hard
        if mode is not None:
            log_p[mode.labels(case.problem)] = np.log(mode.weight + (mode.overlap == "keep"))
        return log_p

    def bias(case: Case) -> Estimate:
        y, f = case.problem.positive, case.problem.scores
        mean = integrate(case.scheme, case.loss, case.problem, "gradient")
        log_p = f[y] - logsumexp(f + log_margins(case))
        # E p̂_y - p_y, where ∂ℓ/∂f_y = p̂_y - 1 and p_y - 1 = -Σ_{y' != y} p_y'.
        value = float(mean.value[y] - np.expm1(log_p))  # type: ignore[index]
        return Estimate(value, float(mean.error[y]) + 1e-15, "gradient bias", "integrate")  # type: ignore[index]

    def constant(
        case: Case, power: float = 3.0, square: float = 1.0, sign: float = 1.0, of_hard: bool = True
    ) -> Estimate:
        y, f = case.problem.positive, case.problem.scores
        log_z = logsumexp(f + log_margins(case) if of_hard else f)
        others = np.arange(f.size) != y
        mode = case.scheme.hard
        if mode is not None and mode.overlap != "keep":
            others[mode.labels(case.problem)] = False
        log_q = case.scheme.plan(case.problem).log_q[others]
        spread = np.sum(np.exp(2 * (f[others] - log_z) - log_q)) - square * np.sum(np.exp(f[others] - log_z)) ** 2
        value = sign * np.exp(f[y] - log_z) * spread * np.exp((3 - power) * log_z)
        return Estimate(float(value), abs(float(value)) * 1e-11, "constant", "closed form")

    unhard = {"Z is Σ e^f, whatever the margins of hard negatives": partial(constant, of_hard=False)} if hard else {}
    definitions = "V = Σ_{y'≠y} e^{2f}/q - (Σ_{y'≠y} e^f)², Z = Σ e^f"
    if hard:
        definitions = "V as without hard negatives, over the labels whose draws count; Z = e^{f_y} + Σ_{y'≠y} p e^f"
    return Claim(
        id,
        "With importance weights the gradient is asymptotically unbiased"
        + (", for the loss with p = w_T 1_T + m w q" if hard else "")
        + ": E p̂_y - p_y = e^{f_y} V/(m Z³) + O(1/m²).",
        "Rawat et al. 2021, after Lemma 2; Bengio and Senécal 2008; constant derived: e^{f_y}/Ẑ expanded twice about Z",
        (
            Exact(
                "all entries",
                tiny,
                lambda case: integrate(case.scheme, case.loss, case.problem, "gradient"),
                lambda case: exhausted(case, "gradient"),
                {
                    "it is the gradient of the bound": lambda case: implicit_gradient(
                        case.scheme, case.loss, case.problem
                    )
                },
                floor=1e-12,
                detail=f"{INTEGRATE} against {EXHAUST}",
            ),
            Simulated(
                sampled,
                lambda case: integrate(case.scheme, case.loss, case.problem, "gradient"),
                lambda case: 0.02,
                {"it vanishes": lambda case: np.zeros(case.problem.scores.size)},
                quantity="gradient",
            ),
            Exact(
                "order in 1/m",
                cases,
                lambda case: order(along(case, bias), ladder(case)),
                exponent(1.0),
                {"the bias falls like 1/m²": exponent(2.0), "the bias falls like 1/√m": exponent(0.5)},
                resolution=1e-2,
                detail=f"{INTEGRATE}, extrapolated",
            ),
            Exact(
                "constant",
                cases,
                lambda case: limit(along(case, bias), ladder(case), 1),
                constant,
                {
                    "the constant has Z² for Z³": partial(constant, power=2.0),
                    "V is the second moment, nothing subtracted": partial(constant, square=0.0),
                    "the bias is negative": partial(constant, sign=-1.0),
                    **unhard,
                },
                resolution=1e-3,
                detail=f"{INTEGRATE}, extrapolated",
            ),
        ),
        (f"hits excluded; q and w held fixed in the gradient; {definitions}",),
    )
