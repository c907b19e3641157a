"""Leave-one-out scores of logistic regression of two classes, to first order in what one sample changes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve, svd
from scipy.special import expit

from implicitloss.labels import Floats

__all__ = ["BinaryFit", "fitted_logistic"]

# Newton's steps, of which a few are enough; the squared step in the metric of the Hessian at which they end; and the
# rounding of the objective, below which it tells nothing of a step.
MOST_STEPS, AT_REST, ROUNDING = 200, 1e-22, 1e-12


@dataclass(frozen=True, eq=False)
class BinaryFit:
    """Scores z_i in training, (n,), and what one sample changes: V_i, ℓ_i' and ℓ_i'', (n,) each."""

    scores: Floats
    influence: Floats
    slope: Floats
    curvature: Floats

    @property
    def left_out(self) -> Floats:
        """z_i + V_i ℓ_i', (n,), V_i = h_i / (1 - ℓ_i'' h_i): the scores by all other samples, to first order."""
        return self.scores + self.influence * self.slope


def fitted_logistic(X: Floats, signs: Floats, lam: float, log_margin: Floats) -> BinaryFit:
    """The minimum of Σ_i log(1 + p_i e^{-s_i z_i}) + (λ/2) ‖w‖² over w and a free intercept, z_i = w·x_i + b.

    `signs` are s_i = ±1 and `log_margin` log p_i, (n,) each; λ > 0.  With the Hessian
    H = Σ_i ℓ_i'' x̃_i x̃_iᵀ + diag(λ, ..., λ, 0), x̃ = (x, 1), h_i = x̃_iᵀ H⁻¹ x̃_i has no ℓ'' in front.
    *Raises* ValueError where Newton's method does not come to rest.
    """
    left, values, _ = svd(X - X.mean(axis=0), full_matrices=False, check_finite=False, overwrite_a=True)
    wide = np.column_stack([left * values, np.ones(len(X))])
    ridge = np.append(np.full(values.size, lam), 0.0)
    theta = np.zeros(ridge.size)

    def objective(theta: Floats) -> float:
        return float(np.sum(np.logaddexp(0, log_margin - signs * (wide @ theta))) + ridge @ theta**2 / 2)

    value = objective(theta)
    for _ in range(MOST_STEPS):
        z = wide @ theta
        mistrust = expit(log_margin - signs * z)
        slope, curvature = -signs * mistrust, mistrust * (1 - mistrust)
        gradient = wide.T @ slope + ridge * theta
        try:
            hessian = cho_factor((wide * curvature[:, None]).T @ wide + np.diag(ridge), check_finite=False)
        except LinAlgError:
            break
        step = cho_solve(hessian, gradient, check_finite=False)
        decrement = float(gradient @ step)
        if decrement <= AT_REST * value:
            leverage = np.einsum("ij,ji->i", wide, cho_solve(hessian, wide.T, check_finite=False))
            return BinaryFit(z, leverage / (1 - curvature * leverage), slope, curvature)
        size = 1.0
        while (tried := objective(theta - size * step)) > value - size * decrement / 4 + ROUNDING * value:
            size /= 2
        theta, value = theta - size * step, tried
    raise ValueError(f"lam must be larger for logistic regression to come to rest on these features, got {lam:g}")
