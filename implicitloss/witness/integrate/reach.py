"""The weights and payments of a problem, checked to be within the range of the integrals.

Hard negatives join the positive: with A = Σ_T w_T e^{f_j - f_y}, ℓ = log(1 + A + S) = log(1 + A) + log(1 + S/(1 + A)).
So every payment is divided by 1 + A, that of a kept hit too, and log(1 + A) is added to the mean.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from implicitloss.labels import Floats
from implicitloss.losses import Loss
from implicitloss.numerics.logsum import logsumexp
from implicitloss.problem import Problem
from implicitloss.scheme import Plan, Scheme
from implicitloss.witness.integrate.draw import Span, span_of
from implicitloss.witness.integrate.quadrature import EPS, LARGEST_LOG_WORTH, LEAST_LOG_Q

__all__ = ["Joined", "joined", "plan_and_payment"]


@dataclass(frozen=True, eq=False)
class Joined:
    """A plan and payments (L,) for a softmax whose hard negatives have joined the positive.

    `log_positive` is log(1 + A), which was subtracted from every log payment, and `error` bounds its rounding.  `span`
    is where log x lies.
    """

    plan: Plan
    payment: Floats
    log_positive: float = 0.0
    error: float = 0.0
    span: Span | None = None


def joined(plan: Plan, payment: Floats) -> Joined:
    """The plan and the payments with the hard negatives joined to the positive."""
    if not plan.hard.size:
        return Joined(plan, payment)
    terms = plan.log_hard_terms(payment)
    log_a = logsumexp(terms)
    log_positive = float(np.logaddexp(0.0, log_a))
    # The rounding of log A: of each term, and of their sum.  Terms below e^{-40} of the largest do not count.
    sizes = abs(plan.log_w_hard) + np.abs(payment[plan.hard])
    size = 16 + terms.size / 128 + 2 * float(np.max(sizes, where=terms > log_a - 40, initial=0.0))
    error = EPS * size * -np.expm1(-log_positive) + EPS * log_positive
    # The same rounding goes into every log x, where the plan counts what was subtracted.
    plan = replace(plan, log_rest=abs(plan.log_rest) + (size + log_positive) / 2)
    return Joined(plan, payment - log_positive, log_positive, error)


def _check_underflow(plan: Plan, log_payment: Floats, power: int) -> None:
    """*Raises* ValueError if a label whose q is too small for a float counts in E x^power."""
    with np.errstate(invalid="ignore"):
        share = plan.log_q + power * (plan.log_w + log_payment)
    lost = (plan.log_q <= LEAST_LOG_Q) & (plan.log_q > -np.inf) & (share > share.max() + np.log(EPS))
    # Labels with equal x (model-based negatives, importance weights) do not miss those with the least q.
    x = (plan.log_w + log_payment)[plan.log_q > LEAST_LOG_Q]
    if lost.any() and not np.all((plan.log_w + log_payment)[lost] <= x.max() + 1e-6):
        label = int(np.argmax(lost))
        raise ValueError(
            f"label {label} is drawn with q = e^{plan.log_q[label]:.0f}, too small for floating point, and weighed so "
            "heavily that it counts; use a sampler with q >= 1e-300"
        )


def plan_and_payment(scheme: Scheme, loss: Loss, problem: Problem, power: int = 1) -> Joined:
    """log q and log w of each label, and the logarithm of what it pays, (L,); hard negatives joined for a softmax."""
    plan = scheme.plan(problem, loss=loss)
    # A loss of the user's own may return another type, for which the kernels would be compiled again.
    payment = np.ascontiguousarray(loss.log_payment(problem.scores, problem.positive), dtype=np.float64)
    found = joined(plan, payment) if loss.has_log else Joined(plan, payment)
    plan, payment = found.plan, found.payment
    span = span_of(plan, payment)
    if span.n_lost:
        _check_underflow(plan, payment, power)
    if loss.has_log and span.high > LARGEST_LOG_WORTH:
        log_x = np.where(plan.log_q > LEAST_LOG_Q, plan.log_w, -np.inf) + payment
        label = int(np.argmax(log_x))
        raise ValueError(
            f"an integral needs draws worth at most e^{LARGEST_LOG_WORTH:.0e} times the positive, but label {label} "
            f"with its weight is worth e^{log_x[label]:.3g}; bring the scores nearer together"
        )
    return Joined(plan, payment, found.log_positive, found.error, span)
