"""`leave_one_out`: the scores of each sample by a classifier that is trained on all others."""

from __future__ import annotations

from typing import Any

import numpy as np

from implicitloss.arguments import shown
from implicitloss.spectral.learners import Logistic, Ridge
from implicitloss.spectral.left_out import LeaveOneOut
from implicitloss.spectral.logistic_fit import fitted_logistic
from implicitloss.spectral.mixture import GaussianMixture
from implicitloss.spectral.ridge_path import RidgePath
from implicitloss.spectral.samples import Samples, samples

__all__ = ["leave_one_out"]


def leave_one_out(X: Any, y: Any, learner: Ridge | Logistic) -> LeaveOneOut:
    """Compute the scores of each sample by a classifier that is trained on all others, for the price of one fit.

    Least squares: the scores left out are z_i - V_i (e_{y_i} - z_i), V_i = h_i/(1 - h_i), exactly, where z_i are the
    scores in training and h_i = 1/n + (x_i - x̄)ᵀ ((X - 1x̄ᵀ)ᵀ (X - 1x̄ᵀ) + λI)⁻¹ (x_i - x̄) is the leverage.

    Logistic regression of two classes, z = f_1 - f_2: z_i + V_i ℓ_i' with V_i = h_i/(1 - ℓ_i'' h_i), to first order in
    what one sample changes, where h_i = x̃_iᵀ (Σ_j ℓ_j'' x̃_j x̃_jᵀ + diag(λ, ..., λ, 0))⁻¹ x̃_i and x̃ = (x, 1).

    Parameters
    ----------
    X, y
        Features and labels, as `diagnose` takes them.
    learner : Ridge or Logistic
        The learner; margins of a class of one's own see the counts of all samples.

    Returns
    -------
    LeaveOneOut
        Scores of each sample, left out and in training, and errors of each class.  Those of logistic regression are
        ± z/2.

    Raises
    ------
    ValueError
        As `diagnose` does, and for logistic regression of more than two classes.

    References
    ----------
    Allen 1974, "The relationship between variable selection and data augmentation", for the square loss.

    Examples
    --------
    >>> import numpy as np
    >>> import implicitloss as il
    >>> X, y = np.array([[0.0], [1.0], [3.0], [4.0], [6.0]]), ["a", "a", "b", "b", "a"]
    >>> found = il.spectral.leave_one_out(X, y, il.spectral.Ridge(0.5))
    >>> found.fitted[4].round(3), found.scores[4].round(3)  # the last sample, trained on and left out
    (array([0.408, 0.592]), array([-0.643,  1.643]))
    """
    if not isinstance(learner, (Ridge, Logistic)):
        raise ValueError(f"the learner must be a spectral.Ridge or a spectral.Logistic, got {shown(learner)}")
    found = samples(X, y)
    return RidgePath.of(found).leave_one_out(learner.lam) if isinstance(learner, Ridge) else _logistic(found, learner)


def _logistic(found: Samples, learner: Logistic) -> LeaveOneOut:
    if len(found.classes) != 2:
        raise ValueError(f"logistic regression must have two classes, got {len(found.classes)}")
    # Margins see the counts and nothing else.
    counted = GaussianMixture([[0.0], [0.0]], [[1.0], [1.0]], found.counts)  # type: ignore[arg-type]
    log_margin = np.array(learner.log_margins(counted), dtype=np.float64)[found.codes]
    fit = fitted_logistic(found.X, 1 - 2 * found.codes.astype(np.float64), learner.lam, log_margin)
    scores, fitted = (np.column_stack([z / 2, -z / 2]) for z in (fit.left_out, fit.scores))
    return LeaveOneOut(scores, fitted, fit.influence, found.codes, found.classes, learner.lam)
