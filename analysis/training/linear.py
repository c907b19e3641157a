"""Linear classifiers that are really trained, beside which predictions are put: ridge and logistic regression."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from implicitloss.labels import Floats, Labels
from implicitloss.spectral import Affine, GaussianMixture, Logistic, Ridge


def drawn(mixture: GaussianMixture, rng: np.random.Generator) -> tuple[Floats, Labels]:
    """A training set: n_k samples of each class of the mixture, (n, d), and their classes, (n,)."""
    counts = mixture.counts.astype(int)
    parts = [
        mixture.means[k] + mixture.of_classes.draws(k, rng.standard_normal((n, mixture.of_classes.normals)))
        for k, n in enumerate(counts)
    ]
    return np.concatenate(parts), np.repeat(np.arange(counts.size), counts)


def trained(X: Floats, y: Labels, learner: Ridge | Logistic, log_margins: tuple[float, float] = (0.0, 0.0)) -> Affine:
    """The learner's weights and intercepts on samples; logistic regression has two classes and one score."""
    if isinstance(learner, Ridge):
        return ridge(X, y, learner.lam)
    return logistic(X, y, learner.lam, log_margins)


def ridge(X: Floats, y: Labels, lam: float, penalty: Floats | float = 0.0) -> Affine:
    """Minimise Σ_i ½ ‖W x_i + b - e_{y_i}‖² + ½ tr W (λI + diag(penalty)) Wᵀ, the intercept free."""
    targets = np.eye(int(y.max()) + 1)[y]
    centre, share = X.mean(axis=0), targets.mean(axis=0)
    centred = X - centre
    gram = centred.T @ centred
    gram[np.diag_indices_from(gram)] += lam + penalty
    w = np.linalg.solve(gram, centred.T @ (targets - share)).T
    return Affine(w, share - w @ centre)


def logistic(X: Floats, y: Labels, lam: float, log_margins: tuple[float, float] = (0.0, 0.0)) -> Affine:
    """Minimise Σ_i log(1 + p e^{-s_i z_i}) + (λ/2) ‖w‖², p = p_12 for y = 0, s = 1, and p_21 for y = 1, s = -1."""
    sign, shift = np.where(y == 0, 1.0, -1.0), np.where(y == 0, *log_margins)
    wide = np.column_stack([X, np.ones(len(X))])
    penalty = np.append(np.full(X.shape[1], lam), 0.0)

    def objective(at: Floats) -> tuple[float, Floats]:
        margin = shift - sign * (wide @ at)
        value = np.logaddexp(0.0, margin).sum() + penalty @ at**2 / 2
        return float(value), wide.T @ (-sign * expit(margin)) + penalty * at

    found = minimize(
        objective,
        np.zeros(wide.shape[1]),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 5000, "ftol": 1e-13, "gtol": 1e-7 * len(X) ** 0.5},
    )
    return Affine(found.x[:-1], found.x[-1])
