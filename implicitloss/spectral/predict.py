"""The one verb: what a learner trained on a mixture does on fresh features of each class."""

from __future__ import annotations

from implicitloss.arguments import shown
from implicitloss.spectral.affine import predict_affine, predict_mean_difference
from implicitloss.spectral.augment import Augmentation, checked_augmentation
from implicitloss.spectral.learners import Affine, Learner, Logistic, MeanDifference, Ridge
from implicitloss.spectral.logistic import predict_logistic
from implicitloss.spectral.mixture import GaussianMixture, checked_mixture
from implicitloss.spectral.prediction import Prediction
from implicitloss.spectral.ridge import predict_ridge

__all__ = ["predict"]


def predict(mixture: GaussianMixture, learner: Learner, augment: Augmentation | None = None) -> Prediction:
    """Predict the error of each class, of a linear learner trained on n_k samples of it.

    For a trained learner the formulas are the limit of many dimensions.  With s_k(x) the score on fresh x of class k,

    - `Ridge`: s_k ~ N(M_k, Q_k) by K fixed-point equations for the influences V_k = tr(Σ_k A⁻¹), and linear ones;
    - `Logistic`: s_k ~ N(m_k, q_k) by fixed-point equations with the proximal points of the loss;
    - `MeanDifference`: moments are exact, and the error is averaged over draws of the two training means;
    - `Affine`: exact.

    Two classes err with probability Φ(∓m_k/√q_k).  For more, P(argmax is not k) is an orthant probability, integrated
    on seeded lattices; `uncertainty` says how accurately.  Fixed points converge to 1e-10, or it is an error.

    Noise on the training samples, averaged over, is a ridge Σ_k n_k C_k for the square loss.  For the logistic loss it
    is a ridge Σ_k n_k E[ℓ''] C_k and a loss averaged over noise of the score; dropout is treated as Gaussian.

    Parameters
    ----------
    mixture : GaussianMixture
        The classes.
    learner : Ridge, Logistic, MeanDifference or Affine
        The learner; logistic regression and the mean difference have two classes.
    augment : Noise or Dropout, optional
        Noise on the training samples.

    Returns
    -------
    Prediction
        Errors, means and variances of the scores; classes whose effective rank is below 20 are marked.

    Raises
    ------
    ValueError
        For more than two classes where two are needed, noise on what it does not train, and equations that do not
        converge, as those of logistic regression may with hardly any ridge where classes are nearly separable.

    References
    ----------
    Loureiro et al. 2021, "Learning Gaussian Mixtures with Generalized Linear Models: Precise Asymptotics in
    High-dimensions", and derived here: covariances that differ by class, a free intercept, noise.

    Examples
    --------
    >>> import implicitloss as il
    >>> mixture = il.spectral.GaussianMixture.power_law([0.0, 0.6], d=300, distance=4.0, counts=200)
    >>> il.spectral.predict(mixture, il.spectral.Ridge(100.0)).error.round(3)
    array([0.066, 0.036])
    """
    checked_mixture(mixture)
    checked_augmentation(augment)
    if isinstance(learner, Ridge):
        return predict_ridge(mixture, learner.lam, augment)
    if isinstance(learner, Logistic):
        return predict_logistic(mixture, learner, augment)
    if augment is not None and isinstance(learner, (MeanDifference, Affine)):
        raise ValueError(f"augment must be None for {type(learner).__name__}, which noise does not train otherwise")
    if isinstance(learner, MeanDifference):
        return predict_mean_difference(mixture, learner)
    if isinstance(learner, Affine):
        return predict_affine(mixture, learner)
    raise ValueError(f"the learner must be one of implicitloss.spectral, e.g. Ridge(1.0), got {shown(learner)}")
