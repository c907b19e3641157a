"""`diagnose`: from features and labels to a report on the classes."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from implicitloss.arguments import checked_number
from implicitloss.numerics.seeds import Seed, root_of
from implicitloss.spectral.augment import Augmentation, Dropout, checked_augmentation
from implicitloss.spectral.diagnosis import ClassError
from implicitloss.spectral.jackknife import LEAST, effective_rank_error
from implicitloss.spectral.learners import Ridge
from implicitloss.spectral.left_out import LeaveOneOut
from implicitloss.spectral.mixture import GaussianMixture
from implicitloss.spectral.predict import predict
from implicitloss.spectral.prediction import Prediction
from implicitloss.spectral.report import SpectralReport
from implicitloss.spectral.ridge_path import RidgePath
from implicitloss.spectral.samples import Samples, names_of, samples
from implicitloss.spectral.shrinkage import SampleMoments, effective_rank

__all__ = ["checked_ridge", "diagnose", "diagnosed"]

# What `Ridge` takes.
LEAST_RIDGE, LARGEST_RIDGE = 1e-30, 1e60


def diagnose(
    X: Any,
    y: Any = None,
    *,
    ridge: float | Literal["loo"] = "loo",
    rng: Seed = 0,
    label: str | None = None,
    augment: Augmentation | None = None,
) -> SpectralReport:
    r"""Measure and predict how often each class is missed by a linear classifier on these features, and say why.

    Errors are measured for ridge regression on one-hot labels, by stratified cross-validation without a fit for each
    group: a sample is left out of training with as large a share of the other classes, which with equal counts is one
    sample of each class at a time.  With H the hat matrix, of which a block belongs to the group, its scores are
    e_y - (I - H)⁻¹ (e_y - z).  One sample left out alone makes its own class the rarer one, and errors come out too
    high: `spectral.leave_one_out` has those.  Errors are predicted from the mean, the covariance and the count of each
    class alone, which leaves nothing but these to be the cause.

    Parameters
    ----------
    X : array_like (n, d), DataFrame or path
        Features, a row for each sample, of which n may be less than d; a frame, or a file (.npz, .npy, CSV, Parquet),
        may have the labels too.
    y : array_like (n,), str or path, optional
        The labels, of any kind, two samples of each class or more; or the frame's column of labels, or a file of them.
    ridge : "loo" or float
        λ > 0 of ½ Σ_i ‖W x_i + b - e_{y_i}‖² + (λ/2) ‖W‖², intercept free; by default that of the least squared error
        by leave-one-out, averaged within classes and then over them.
    rng : int, Generator or None
        The seed of the groups by which effective ranks get their errors, and of the halves in which offsets are tried.
    label : str, optional
        The column of labels, where X is a file or a frame with several that may be.
    augment : spectral.Noise or spectral.Dropout, optional
        Noise on the training samples, with which errors are predicted too.

    Returns
    -------
    SpectralReport
        The classes, worst first; `print(report)` shows them.

    Raises
    ------
    ValueError
        For what is missing or not finite, labels that do not match, a class of one sample, features that are constant,
        files that cannot be read or can be read in two ways, and λ out of range.

    References
    ----------
    Derived here.  The predictions follow Loureiro et al. 2021; the question is that of Kaushik et al. 2024, "Balanced
    Data, Imbalanced Spectra".

    Examples
    --------
    Counts are equal, and so are the traces of the covariances; their spectra are not.

    >>> import numpy as np
    >>> import implicitloss as il
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat(["flat", "steep"], 200)
    >>> scale = np.arange(1, 121) ** np.where(y == "flat", -0.1, -0.4)[:, None]
    >>> X = rng.standard_normal((400, 120)) * scale / np.linalg.norm(scale, axis=1, keepdims=True)
    >>> X[y == "flat"] += 0.02
    >>> print(str(il.diagnose(X, y)).split("\n\n")[1])
    class  samples  error     ±  predicted  effective rank    ±  influence V
    flat       200  12.5%  2.3%     15.4%            114.3  1.2        0.251
    steep      200  11.0%  2.2%      9.9%             35.4  2.2         0.19
    """
    found = samples(X, y, label)
    checked_augmentation(augment)
    seed = root_of(rng)
    lam = checked_ridge(ridge)
    return diagnosed(found, lam, seed, augment)


def diagnosed(found: Samples, lam: float | None, seed: int | list[int], augment: Augmentation | None) -> SpectralReport:
    """The report on samples; λ is chosen by leave-one-out where it is None."""
    path = RidgePath.of(found)
    if not path.values.size:
        raise ValueError("X must vary from sample to sample, and all of its features are constant")
    left_out = path.stratified(path.best() if lam is None else lam)
    if not LEAST_RIDGE <= left_out.lam <= LARGEST_RIDGE:
        raise ValueError(
            f"X must have a scale at which λ is from 1e-30 to 1e60, and leave-one-out chose {left_out.lam:.3g}"
        )
    prediction, augmented, notes = _predictions(found, Ridge(left_out.lam), augment)
    if lam is None:
        notes = (*_on_the_range(path, left_out.lam), *notes)
    rows = _rows(found, left_out, prediction, augmented, np.random.default_rng(seed))
    return SpectralReport(
        rows, left_out, prediction, "loo" if lam is None else "given", found.X.shape[1], seed, notes,
        None if augment is None else _words(augment),
    )  # fmt: skip


def _on_the_range(path: RidgePath, lam: float) -> tuple[str, ...]:
    """A note if λ is at an end of the range in which it is looked for."""
    low, high = path.ends
    if lam == low:
        return ("λ is the least that was tried; leave-one-out would take less, as where classes are easily separated.",)
    if lam == high:
        return ("λ is the largest that was tried; leave-one-out would take more, as where features tell nothing.",)
    return ()


def checked_ridge(ridge: Any) -> float | None:
    """λ, or None for "loo"."""
    if isinstance(ridge, str) and ridge == "loo":
        return None
    return checked_number(
        ridge, "ridge", "'loo' or a number from 1e-30 to 1e60", lambda x: LEAST_RIDGE <= x <= LARGEST_RIDGE
    )


def _words(augment: Augmentation) -> str:
    if isinstance(augment, Dropout):
        return f"dropout at rate {augment.rate:g}"
    return f"noise of variance {augment.variance:g}" if augment.variance.ndim == 0 else "noise"


def _predictions(
    found: Samples, learner: Ridge, augment: Augmentation | None
) -> tuple[Prediction | None, Prediction | None, tuple[str, ...]]:
    """The prediction, that with the augmentation, and notes: why there is none, or what shrinkage does to it."""
    try:
        mixture = GaussianMixture.from_features(found.X, found.labels)
        prediction = predict(mixture, learner)
    except ValueError as reason:
        if augment is not None:
            raise
        return None, None, (f"Nothing is predicted: {reason}.",)
    return prediction, None if augment is None else predict(mixture, learner, augment), prediction.notes_on_shrinkage


def _rows(
    found: Samples,
    left_out: LeaveOneOut,
    prediction: Prediction | None,
    augmented: Prediction | None,
    rng: np.random.Generator,
) -> tuple[ClassError, ...]:
    """A row for each class, the largest error first."""
    influence, names, rows = left_out.by_class(left_out.influence), names_of(found.classes), []
    for k, n in enumerate(found.counts.tolist()):
        part = found.of(k)
        moments = SampleMoments.from_centred(part - part.mean(axis=0))
        ranked = n >= LEAST and moments.trace > 0
        rows.append(
            ClassError(
                names[k],
                n,
                float(left_out.errors[k]),
                float(left_out.standard_errors[k]),
                None if prediction is None else float(prediction.error[k]),
                effective_rank(moments) if ranked else None,
                effective_rank_error(part, rng) if ranked else None,
                float(influence[k]),
                prediction is not None and bool(prediction.reliable[k]) and ranked,
                None if augmented is None else float(augmented.error[k]),
            )
        )
    return tuple(sorted(rows, key=lambda row: (-row.error, row.name)))
