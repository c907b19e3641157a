"""Scores of samples that were left out in training, and the errors of classes by them."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from implicitloss.labels import Floats, Labels

__all__ = ["LeaveOneOut"]


@dataclass(frozen=True, eq=False)
class LeaveOneOut:
    """Scores of each of n samples by a classifier that was trained without it.

    `leave_one_out` trains on the n - 1 others, `diagnose` on those that are not in the sample's group.

    Parameters
    ----------
    scores : ndarray, (n, K)
        The scores of each sample, left out in training.
    fitted : ndarray, (n, K)
        Its scores in training.
    influence : ndarray, (n,)
        V_i = h_i / (1 - h_i): how far a sample's own target pulls its score, for each unit of what is left of it.
        inf where the sample is fitted exactly.
    codes : ndarray, (n,)
        The class of each sample, by its place in `classes`.
    classes : tuple
        The K classes, as the labels have them.
    lam : float
        λ.

    Examples
    --------
    >>> import numpy as np
    >>> import implicitloss as il
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat([0, 1], 50)
    >>> X = rng.standard_normal((100, 60)) + 0.25 * y[:, None]
    >>> found = il.spectral.leave_one_out(X, y, il.spectral.Ridge(1.0))
    >>> found.errors, float(np.mean(found.fitted.argmax(axis=1) != y))  # in training hardly any sample is mistaken
    (array([0.32, 0.24]), 0.04)
    """

    scores: Floats
    fitted: Floats
    influence: Floats
    codes: Labels
    classes: tuple[Hashable, ...]
    lam: float

    @cached_property
    def counts(self) -> Labels:
        """The number of samples of each class, (K,)."""
        return np.bincount(self.codes, minlength=len(self.classes))

    @cached_property
    def errors(self) -> Floats:
        """The share of each class that is mistaken for another, (K,)."""
        return self.errors_with(np.zeros(len(self.classes)))

    @cached_property
    def standard_errors(self) -> Floats:
        """One standard error of `errors`, (K,): binomial, of Wilson's form, which is not 0 where no sample is mistaken.

        Half the width of Wilson's interval at z = 1.  Resampling with refits was tried and is 1.5 to 2 times too wide.
        """
        n = self.counts
        return np.asarray(np.sqrt(self.errors * (1 - self.errors) / n + 1 / (4 * n**2)) / (1 + 1 / n))

    def some(self, part: NDArray[np.bool_]) -> LeaveOneOut:
        """The samples where `part` is true, as they are."""
        return replace(
            self,
            scores=self.scores[part],
            fitted=self.fitted[part],
            influence=self.influence[part],
            codes=self.codes[part],
        )

    def errors_with(self, delta: Floats) -> Floats:
        """The share of each class that is mistaken, (K,), where `delta` (K,) is added to the scores."""
        wrong = (self.scores + delta).argmax(axis=1) != self.codes
        return self.by_class(wrong.astype(np.float64))

    def by_class(self, values: Floats) -> Floats:
        """The mean of a value of each sample, (n,), in each class, (K,)."""
        return np.asarray(np.bincount(self.codes, values, len(self.classes)) / self.counts)
