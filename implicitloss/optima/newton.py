"""Newton's method, damped where the function is far from a parabola."""

from __future__ import annotations

import numpy as np

from implicitloss.labels import Floats
from implicitloss.optima.objective import Objective

__all__ = ["NoOptimum", "minimise"]

# Newton has converged when no label's gradient exceeds this share of its η.
GRADIENT = 1e-12
ITERATIONS = 500
# The scores that are returned are about so near to the minimiser.
NEAR, ROUNDING = 1e-5, 1e-14


class NoOptimum(ValueError):
    """The expected loss has no finite minimiser, or Newton's method did not reach it.

    Examples
    --------
    >>> import implicitloss as il
    >>> prior = il.LabelPrior.from_counts([8, 4, 3, 1])
    >>> never = il.samplers.Explicit([0.5, 0.3, 0.2, 0.0])  # nothing pushes the score of label 3 down
    >>> scheme = il.Scheme(never, il.weightings.Constant(), m=2, hits="mask")
    >>> try:
    ...     il.tilt(scheme, prior)
    ... except il.NoOptimum as error:
    ...     print(error)
    label 3 has no finite optimum: it is never drawn as a negative of the other labels, or ...
    """


def minimise(objective: Objective, start: Floats, eta: Floats) -> Floats:
    """The minimiser of `objective`, by Newton's method, damped as Levenberg and Marquardt do far from a parabola."""
    f = start - start.mean()
    # Steps that overflow are not taken.
    with np.errstate(over="ignore", invalid="ignore"):
        return _newton_from(f, objective, eta)


def _newton_from(f: Floats, objective: Objective, eta: Floats) -> Floats:
    value, gradient, hessian = objective(f)
    damping = 0.0
    for _ in range(ITERATIONS):
        if np.all(np.abs(gradient) <= GRADIENT * eta) and _is_near(hessian, gradient, eta):
            return f
        step = _step(hessian + np.diag(damping * eta), gradient)
        slope = float(gradient @ step)
        # The function is made of exponentials: over a step of many units it is no parabola.
        accepted = bool(np.all(np.abs(step) < 20)) and slope < 0
        if accepted:
            trial = objective(f + step)
            accepted = trial[0] <= value + 1e-4 * slope + 1e-14 * abs(value) and bool(np.all(np.isfinite(trial[2])))
        if accepted:
            f, (value, gradient, hessian) = f + step, trial
            damping = damping / 10 if damping > 1e-6 else 0.0
        elif damping > 1e12:
            break
        else:
            damping = max(10 * damping, 1e-6)
    if np.all(np.abs(gradient) <= 1e3 * GRADIENT * eta) and _is_near(hessian, gradient, eta):
        return f
    worst = float(np.max(np.abs(gradient) / eta))
    raise NoOptimum(f"Newton's method did not converge: a gradient is still {worst:.2g} of its η after many steps")


def _is_near(hessian: Floats, gradient: Floats, eta: Floats) -> bool:
    """Whether Newton's step is short: where a function is nearly flat, a small gradient says little.

    A gradient that is rounding is taken, because the Hessian may be no more than that.
    """
    return bool(np.all(np.abs(gradient) <= ROUNDING * eta) or np.all(np.abs(_step(hessian, gradient)) <= NEAR))


def _step(hessian: Floats, gradient: Floats) -> Floats:
    """Newton's step, centred; infinite where there is none.

    Adding a constant to all scores changes nothing, and so the heaviest label is held fixed.  Each label is scaled by
    its own curvature, or the rounding of a label with η = 0.9 would exceed the step of one with 1e-9.
    """
    scale = np.sqrt(np.maximum(np.diag(hessian), 1e-300))
    rest = np.delete(np.arange(scale.size), int(np.argmax(scale)))
    step = np.zeros(scale.size)
    unit = hessian[np.ix_(rest, rest)] / np.outer(scale[rest], scale[rest])
    try:
        step[rest] = -np.linalg.solve(unit, gradient[rest] / scale[rest]) / scale[rest]
    except np.linalg.LinAlgError:
        return np.full(scale.size, np.inf)
    return step - step.mean() if np.all(np.isfinite(step)) else np.full(scale.size, np.inf)
