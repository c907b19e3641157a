"""The weights and payments of a problem, checked to be within the range of the integrals."""

from __future__ import annotations

import numpy as np

from implicitloss.labels import Floats
from implicitloss.losses import Loss
from implicitloss.problem import Problem
from implicitloss.scheme import Plan, Scheme
from implicitloss.witness.integrate.quadrature import EPS, LARGEST_LOG_WORTH, LEAST_LOG_Q

__all__ = ["plan_and_payment"]


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


def plan_and_payment(scheme: Scheme, loss: Loss, problem: Problem, power: int = 1) -> tuple[Plan, Floats]:
    """log q and log w of each label, and the logarithm of what it pays, (L,)."""
    plan, payment = scheme.plan(problem, loss=loss), loss.log_payment(problem.scores, problem.positive)
    if bool(((plan.log_q <= LEAST_LOG_Q) & (plan.log_q > -np.inf)).any()):
        _check_underflow(plan, payment, power)
    log_x = np.where(plan.log_q > LEAST_LOG_Q, plan.log_w, -np.inf) + payment
    if loss.has_log and log_x.max() > LARGEST_LOG_WORTH:
        label = int(np.argmax(log_x))
        raise ValueError(
            f"an integral needs draws worth at most e^{LARGEST_LOG_WORTH:.0e} times the positive, but label {label} "
            f"with its weight is worth e^{log_x[label]:.3g}; bring the scores nearer together"
        )
    return plan, payment
