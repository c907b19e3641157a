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
        Errors, means and variances of the scores.

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
