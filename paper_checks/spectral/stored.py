"""Values that others computed, with other code, and printed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from implicitloss.claims.case import Setting
from implicitloss.claims.checks import Exact
from implicitloss.claims.claim import Claim
from implicitloss.estimate import Estimate
from implicitloss.spectral import GaussianMixture, Ridge, predict

# Ridge at λ = .01, as printed: V, m, q and the error.  Half of the directions have Δ = .1, the others .5.
PRINTED = np.array([1.6025695, 0.839119, 0.3013202, 0.063175])
DELTAS, LAM, D = (0.1, 0.5), 0.01, 200
# Half a unit of the last digit.
HALF_UNITS = np.array([5e-8, 5e-7, 5e-8, 5e-7])
ALPHA, ROUNDED = 1.474489795918367, 1.474


def _alphas(setting: Setting) -> tuple[float]:
    return (ALPHA,)


def _printed(alpha: float) -> Estimate:
    return Estimate(PRINTED, HALF_UNITS, "V, m, q and error", "printed")


def _predicted(of: Callable[[float], float]) -> Callable[[float], Estimate]:
    """α = n/d, features scaled by 1/√d: Σ_k = diag(Δ)/d, μ_k = ±1/d in every direction."""

    def predicted(alpha: float) -> Estimate:
        means = np.array([[1.0], [-1.0]]) * np.full(D, 1 / D)
        covariances = np.tile(np.repeat(DELTAS, D // 2) / D, (2, 1))
        found = predict(GaussianMixture(means, covariances, np.full(2, of(alpha) * D / 2)), Ridge(LAM))
        value = np.array([found.influence[0], found.mean[0], found.variance[0], found.error[0]])
        return Estimate(value, 1e-10 * value, "V, m, q and error", "predicted")

    return predicted


CLAIMS = (
    Claim(
        "spectral.stored",
        "On two classes of equal counts, with μ_2 = -μ_1 and one covariance, the prediction of ridge is that of "
        "Loureiro et al. 2021, to all digits that they printed.",
        "Loureiro et al. 2021: values stored with their code, ridge, α = 1.4745, λ = .01",
        (
            Exact(
                "printed digits",
                _alphas,
                _printed,
                _predicted(lambda alpha: alpha),
                {
                    "the sample complexity α = n/d is 2 % larger": _predicted(lambda alpha: 1.02 * alpha),
                    f"the sample complexity is {ROUNDED}": _predicted(lambda alpha: ROUNDED),
                },
                resolution=1e-5,
                uses_prior=False,
            ),
        ),
    ),
)
