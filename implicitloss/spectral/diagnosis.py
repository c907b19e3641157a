"""What a diagnosis finds of classes, as data: errors measured and predicted, what they come from, and offsets."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logsumexp

from implicitloss.arguments import checked_flag, checked_vector, shown
from implicitloss.formats import unknown
from implicitloss.labels import Floats, LabelPrior, Labels
from implicitloss.margins import Offsets
from implicitloss.spectral.class_gap import ClassGap, class_gap
from implicitloss.spectral.equalise import equal_errors, least_error
from implicitloss.spectral.left_out import LeaveOneOut
from implicitloss.spectral.prediction import Prediction
from implicitloss.spectral.samples import names_of
from implicitloss.spectral.softmax_scores import softmax_scores

__all__ = ["ClassError", "Diagnosis", "OffsetEffect"]

# Draws of all classes' errors, from which the gap by chance is known to a few per cent.
DRAWS = 200


@dataclass(frozen=True)
class ClassError:
    """A class, as a row of the report.

    Parameters
    ----------
    name : str
        What it is called.
    n : int
        Its samples.
    error : float
        The share of them that is mistaken by a classifier trained without them, and without as large a share of the
        other classes.
    standard_error : float
        One standard error of it, binomial.
    predicted : float or None
        The error that the class's mean, covariance and count predict; None where nothing could be predicted.
    effective_rank : float or None
        (tr Σ)² / tr Σ², without bias; None for fewer than four samples.
    effective_rank_error : float or None
        One standard error of it, by leaving out a tenth of the samples at a time.
    influence : float
        V, the mean over its samples of h/(1 - h): how far a sample's own target pulls its score in training.
    trusted : bool
        Whether the prediction is to be trusted: the effective rank is 20 or more.
    augmented : float or None
        The predicted error with the augmentation that was asked for.
    """

    name: str
    n: int
    error: float
    standard_error: float
    predicted: float | None
    effective_rank: float | None
    effective_rank_error: float | None
    influence: float
    trusted: bool
    augmented: float | None = None


@dataclass(frozen=True)
class OffsetEffect:
    """Errors on one half of the samples, without offsets and with those found on the other half; the mean of both ways.

    `mean` is the mean error of all classes, `gap` the largest less the least, each without and with; `chance` is the
    gap that so few samples show where all classes have the same error.
    """

    mean: tuple[float, float]
    gap: tuple[float, float]
    chance: float


@dataclass(frozen=True, eq=False, repr=False)
class Diagnosis:
    """Errors of classes in linear classification of features, measured by cross-validation and predicted."""

    rows: tuple[ClassError, ...]
    left_out: LeaveOneOut
    prediction: Prediction | None
    ridge: Literal["loo", "given"]
    features: int
    seed: int | list[int]
    notes: tuple[str, ...] = ()
    augment: str | None = None

    @property
    def lam(self) -> float:
        """λ of the ridge."""
        return self.left_out.lam

    @property
    def classes(self) -> tuple[Hashable, ...]:
        """The classes, as the labels have them."""
        return self.left_out.classes

    @cached_property
    def names(self) -> tuple[str, ...]:
        """What the classes are called, in the order of `classes`."""
        return names_of(self.classes)

    @property
    def mean_error(self) -> float:
        """The mean of the classes' errors, measured; classes of few samples count as much as others."""
        return float(self.left_out.errors.mean())

    @property
    def mean_standard_error(self) -> float:
        """One standard error of it."""
        return float(np.sqrt(np.sum(self.left_out.standard_errors**2)) / len(self.rows))

    @property
    def worst(self) -> ClassError:
        """The class of the largest error."""
        return self.rows[0]

    @property
    def best(self) -> ClassError:
        """The class of the least error."""
        return self.rows[-1]

    def class_index(self, label: Hashable) -> int:
        """The place of a class in `classes`, by its label or by its name."""
        for k, (one, name) in enumerate(zip(self.classes, self.names, strict=True)):
            if name == label or (type(one) is type(label) and one == label) or name == str(label):
                return k
        raise ValueError(unknown("class", str(label), self.names))

    def gap(self, first: Hashable, second: Hashable, score_offsets: ArrayLike | None = None) -> ClassGap:
        """Split the gap between two classes in four parts that add up: training, overfitting, labels and scale.

        Between the two alone, the score is f_first - f_second.  With m_1, m_2 its means on samples left out, q_1, q_2
        its variances and c_1, c_2 its means in training, z_1 = m_1/√q_1 and z_2 = -m_2/√q_2 say by how many standard
        deviations a class is on its own side, and with κ = 1/√q_1 + 1/√q_2 and δ the difference of two offsets

            z_1 - z_2 = κ (c_1 + c_2)/2 + κ ((m_1 + m_2) - (c_1 + c_2))/2 + κ δ + (m_1 - m_2)/2 (1/√q_1 - 1/√q_2).

        Parameters
        ----------
        first, second : hashable
            Two classes, by their labels or names.
        score_offsets : array_like, (K,), optional
            Offsets that are added to the scores, as margins add them, e.g. `score_offsets()`.  By default there are
            none, and the part of labels is 0.

        Returns
        -------
        ClassGap
            z_1 - z_2, its parts, and a sentence on each.

        Raises
        ------
        ValueError
            For classes that are not there or one twice, and where m_1 <= m_2: scores do not tell the two apart.
        """
        a, b = self.class_index(first), self.class_index(second)
        if a == b:
            raise ValueError(f"a gap must be between two classes, got {shown(self.names[a])} twice")
        delta = np.zeros(len(self.classes))
        if score_offsets is not None:
            delta = checked_vector(score_offsets, "score_offsets")
            if delta.size != len(self.classes):
                raise ValueError(f"score_offsets must be one for each of {len(self.classes)} classes, got {delta.size}")
        return class_gap(self.left_out, a, b, (self.names[a], self.names[b]), float(delta[a] - delta[b]))

    def score_offsets(self, equalise: bool = True) -> Floats:
        """Find what to add to the scores of ridge regression so that all classes are missed equally often.

        Parameters
        ----------
        equalise : bool
            Whether all classes get the same error; else the mean of their errors becomes least.

        Returns
        -------
        ndarray, (K,)
            δ in the order of `classes`, of mean 0.  Errors are those of samples left out, smoothed.
        """
        return _finder(equalise)(self.left_out.scores, self.left_out.codes)

    def offsets(self, equalise: bool = True) -> Offsets:
        """Find the margins p_yy' = e^{δ_y - δ_y'} by which softmax misses all classes equally often.

        Softmax errs on other classes than ridge regression does.  Its scores are taken from softmax regression on the
        scores of ridge regression, left out.

        Parameters
        ----------
        equalise : bool
            Whether all classes get the same error; else the mean of their errors becomes least.

        Returns
        -------
        Offsets
            For `weightings.ForMargin`, in the order of `classes`; or to add to the scores of a trained softmax.
        """
        return Offsets(_finder(equalise)(self._softmax_scores, self.left_out.codes))

    def equivalent_prior(self, equalise: bool = True) -> LabelPrior:
        """Find the label prior for which logit adjustment has the margins of `offsets`: π_y ∝ e^{-δ_y}.

        Parameters
        ----------
        equalise : bool
            As in `offsets`.
        """
        log = -self.offsets(equalise).delta
        return LabelPrior(np.exp(log - logsumexp(log)), None, self.names)

    @cached_property
    def _softmax_scores(self) -> Floats:
        return softmax_scores(self.left_out.scores, self.left_out.codes)

    def effect(self, equalise: bool = True) -> OffsetEffect | None:
        """Measure what `score_offsets` do on other samples than they are found on; None if a class has under four.

        Parameters
        ----------
        equalise : bool
            As in `score_offsets`.
        """
        if self.left_out.counts.min() < 4:
            return None
        rng = np.random.default_rng(self.seed)
        half, find, found = _halves(self.left_out.codes, rng), _finder(equalise), []
        for part in (half, ~half):
            here, other = self.left_out.some(part), self.left_out.some(~part)
            found.append((other.errors, other.errors_with(find(here.scores, here.codes))))
        mean, gap = (np.mean([[measure(e) for e in both] for both in found], axis=0) for measure in (np.mean, np.ptp))
        counts = self.left_out.some(half).counts
        drawn = rng.binomial(counts, float(mean[1]), (DRAWS, counts.size)) / counts
        chance = float(np.mean(np.ptp(drawn, axis=1)))
        return OffsetEffect((float(mean[0]), float(mean[1])), (float(gap[0]), float(gap[1])), chance)


def _finder(equalise: bool) -> Callable[[Floats, Labels], Floats]:
    return equal_errors if checked_flag(equalise, "equalise") else least_error


def _halves(codes: Labels, rng: np.random.Generator) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Every second sample of each class, in random order."""
    order = rng.permutation(len(codes))
    order = order[np.argsort(codes[order], kind="stable")]
    starts = np.cumsum(np.bincount(codes)) - np.bincount(codes)
    place = np.empty(len(codes), dtype=np.intp)
    place[order] = np.arange(len(codes)) - starts[codes[order]]
    return np.asarray(place % 2 == 0)
