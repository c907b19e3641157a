"""What a learner's scores are on fresh features of each class: means, variances and errors."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from implicitloss.labels import Floats
from implicitloss.spectral.arguments import code_of
from implicitloss.spectral.covariances import Covariances, FormRows
from implicitloss.spectral.mixture import GaussianMixture
from implicitloss.spectral.orthant import argmax_error, sign_error

__all__ = ["Prediction", "ScoreVariances", "frozen", "made"]

# Below this effective rank of a class the prediction is marked.
LEAST_RANK = 20.0
# Above this a note is made.  Ridge regression on two Gaussian classes of effective ranks from 20 on, in 100 and 300
# dimensions, 16 to 1,800 samples each, λ from 1e-3 to 10 times the best: predictions with shrunk covariances were at
# most 16 % too high below, and up to 40 % above; on 100 classes in 512 dimensions, 100 samples each, 76 %.
LARGEST_INFLATION = 1.1
# Numbers of all covariances of scores together, at most; of those in memory at a time; of rows of them in all classes.
MOST_NUMBERS, BLOCK, ROWS = 1 << 27, 1 << 27, 1 << 25


@dataclass(frozen=True, eq=False)
class ScoreVariances:
    """Q_k = Σ_j P_kj wᵀ Σ_j w + rᵀ diag(u_k) r, the covariances of o scores: w (d, o), P (K, K), u (K, K), r (K, o)."""

    covariances: Covariances
    weights: Floats
    mixing: Floats
    noise: Floats
    residuals: Floats

    def blocks(self) -> Iterator[tuple[int, Floats]]:
        """The first class of each block, and the covariances of its classes, (c, o, o), until the next one is made."""
        n, o = self.residuals.shape
        rows, step = self.covariances.form_rows(self.weights), max(1, BLOCK // o**2)
        found = np.empty((min(n, step), o, o))
        for first in range(0, n, step):
            yield first, self._into(found[: n - first], first, rows)

    def of(self, first: int, last: int) -> Floats:
        """Q_k of the classes from `first` to `last`."""
        found = np.empty((last - first, *2 * self.residuals.shape[1:]))
        return self._into(found, first, self.covariances.form_rows(self.weights))

    def _into(self, found: Floats, first: int, rows: FormRows) -> Floats:
        """Q_k of as many classes as `found` takes, some rows at a time: mixed in one product, and mirrored."""
        (n, o), c = self.residuals.shape, len(found)
        mixing, noise = self.mixing[first : first + c], self.noise[first : first + c, None, :]
        step = max(1, ROWS // (n * max(o, len(self.weights))))
        # Memory that is new costs as much as the products.
        forms, mixed = np.empty(n * min(step, o) * o), np.empty(c * min(step, o) * o)
        for start in range(0, o, step):
            stop = min(o, start + step)
            size = (stop - start) * (o - start)
            part = rows(start, stop, forms[: n * size].reshape(n, stop - start, o - start))
            sums = np.matmul(mixing, part.reshape(n, -1), out=mixed[: c * size].reshape(c, -1))
            sums = sums.reshape(c, stop - start, o - start)
            sums += np.matmul(self.residuals[:, start:stop].T * noise, self.residuals[:, start:])
            found[:, start:stop, start:] = sums
            found[:, stop:, start:stop] = sums[:, :, stop - start :].transpose(0, 2, 1)
        return found


@dataclass(frozen=True, eq=False, repr=False)
class Prediction:
    """Per-class errors of a learner, with the means and the variances of its scores, as `predict` returns them.

    Parameters
    ----------
    classes : tuple
        What the classes are called.
    error : ndarray, (K,)
        P(another class is predicted | k).
    uncertainty : ndarray, (K,)
        How far the integration of `error` may be off, the half-width of a 99.9 % interval; 0 for closed forms.  It says
        nothing about the model.
    mean : ndarray, (K, K), or (2,) for two classes
        Row k has the mean scores on fresh x of class k; for two classes the score is f_1 - f_2.
    training_mean : ndarray, like `mean`
        The same on the training samples of class k: mean + V_k m̂_k / n_k.
    influence : ndarray, (K,)
        V_k, how much one training sample of class k moves its own score; 0 where nothing is trained.
    counts : ndarray, (K,)
        n_k.
    effective_rank : ndarray, (K,)
        (tr Σ_k)² / tr Σ_k².
    reliable : ndarray of bool, (K,)
        Whether the formulas hold: they are asymptotic, and a class needs an effective rank of 20 at least.  Where
        the error is exact at any rank, all classes are.
    rank_inflation : ndarray, (K,)
        The effective rank of each Σ_k that was used, over `effective_rank`: above 1 where shrinkage flattens it.
    spread : ScoreVariances or ndarray, (2,)
        What `variance` and `variance_of` are made from, so that K³ numbers need not be in memory.

    Examples
    --------
    >>> import implicitloss as il
    >>> mixture = il.spectral.GaussianMixture.power_law([0.0, 0.0, 1.2], d=300, distance=4.0, counts=200)
    >>> p = il.spectral.predict(mixture, il.spectral.Ridge(10.0))
    >>> p
    Prediction(3 classes, mean error 0.118, worst 0.175 for 0, not to be trusted)
    >>> p.notes
    ('The prediction is not to be trusted for 1 of 3 classes, whose effective rank is below 20: 2.',)
    >>> p.mean.shape, p.variance.shape
    ((3, 3), (3, 3, 3))
    """

    classes: tuple[Hashable, ...]
    error: Floats
    uncertainty: Floats
    mean: Floats
    training_mean: Floats
    influence: Floats
    counts: Floats
    effective_rank: Floats
    reliable: NDArray[np.bool_]
    rank_inflation: Floats
    spread: ScoreVariances | Floats

    @cached_property
    def variance(self) -> Floats:
        """The covariances of the scores on fresh x of class k, (K, K, K); for two classes the variances, (2,).

        *Raises* ValueError for more than 2²⁷ numbers: `variance_of` has those of one class.
        """
        if isinstance(self.spread, np.ndarray):
            return self.spread
        n = len(self.classes)
        if n**3 > MOST_NUMBERS:
            raise ValueError(f"variance must have at most {MOST_NUMBERS:,} numbers, K³ = {n**3:,}: take variance_of")
        found = self.spread.of(0, n)
        found.setflags(write=False)
        return found

    def variance_of(self, label: Hashable) -> Floats:
        """The covariance of the scores on fresh x of one class, (K, K); for two classes the variance.

        Parameters
        ----------
        label : hashable
            One of `classes`.
        """
        k = code_of(label, self.classes)
        if isinstance(self.spread, np.ndarray):
            return np.asarray(self.spread[k])
        return self.spread.of(k, k + 1)[0] if "variance" not in self.__dict__ else self.variance[k]

    def pair(self, first: Hashable, second: Hashable) -> Prediction:
        """Two classes alone, by the score f_first - f_second.

        Parameters
        ----------
        first, second : hashable
            Two of `classes`.
        """
        rows = [code_of(first, self.classes), code_of(second, self.classes)]
        if rows[0] == rows[1]:
            raise ValueError("a pair must be two different classes, got one twice")
        if self.mean.ndim == 1:
            sign = 1.0 if rows == [0, 1] else -1.0
            mean, training, variance = (sign * self.mean[rows], sign * self.training_mean[rows], self.variance[rows])
        else:
            a, b = rows
            mean, training = ((m[:, a] - m[:, b])[rows] for m in (self.mean, self.training_mean))
            both = [self.variance_of(label) for label in (first, second)]
            variance = np.array([q[a, a] - q[a, b] - q[b, a] + q[b, b] for q in both])
        signs = np.array([1.0, -1.0])
        names = ("influence", "counts", "effective_rank", "reliable", "rank_inflation")
        kept = {name: getattr(self, name)[rows] for name in names}
        error = sign_error(signs * mean, variance)
        # Two classes keep their own errors, which need not be Φ of the two moments.
        if self.mean.ndim == 1:
            error, uncertainty = self.error[rows], self.uncertainty[rows]
        else:
            uncertainty = np.zeros(2)
        pair = (self.classes[rows[0]], self.classes[rows[1]])
        return Prediction(pair, error, uncertainty, mean, training, **kept, spread=variance)

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences on the classes whose prediction is not to be trusted, and on shrinkage; none if there are none."""
        low = np.flatnonzero(~self.reliable)
        if low.size == 0:
            return self.notes_on_shrinkage
        names = ", ".join(str(self.classes[k]) for k in low[:5]) + (", ..." if low.size > 5 else "")
        return (
            f"The prediction is not to be trusted for {low.size} of {len(self.classes)} classes, whose effective rank "
            f"is below {LEAST_RANK:g}: {names}.",
            *self.notes_on_shrinkage,
        )

    @property
    def notes_on_shrinkage(self) -> tuple[str, ...]:
        """A sentence on the other classes whose shrunk covariances are much flatter than their samples'; or none."""
        flat = self.reliable & (self.rank_inflation > LARGEST_INFLATION)
        if not flat.any():
            return ()
        return (
            f"Shrunk covariances of {int(flat.sum()):,} of {len(self.classes):,} classes have effective ranks up to "
            f"{self.rank_inflation[flat].max():.2g} times those estimated without shrinkage: predicted errors may be "
            "too high.",
        )

    def to_dict(self) -> dict[str, Any]:
        """The numbers per class in plain Python, for JSON."""
        names = ("error", "uncertainty", "influence", "counts", "effective_rank", "reliable")
        return {
            "classes": [str(label) for label in self.classes],
            **{name: getattr(self, name).tolist() for name in names},
            "notes": list(self.notes),
        }

    def __repr__(self) -> str:
        worst, doubt = int(self.error.argmax()), "" if self.reliable.all() else ", not to be trusted"
        return (
            f"Prediction({len(self.classes)} classes, mean error {self.error.mean():.3g}, worst "
            f"{self.error[worst]:.3g} for {self.classes[worst]!r}{doubt})"
        )


def made(
    mixture: GaussianMixture,
    mean: Floats,
    training_mean: Floats,
    influence: Floats,
    variances: ScoreVariances,
    *,
    is_exact: bool = False,
) -> Prediction:
    """A prediction from (K, o) means and the covariances of o scores: one for two classes, else K."""
    n, o = mean.shape
    error, uncertainty = np.empty(n), np.zeros(n)
    found: ScoreVariances | Floats = variances
    if o == 1:
        signs = np.array([1.0, -1.0])
        mean, training_mean = mean[:, 0], training_mean[:, 0]
        found = variances.of(0, 2)[:, 0, 0]
        error = sign_error(signs * mean, found)
    else:
        for first, block in variances.blocks():
            for k, covariance in enumerate(block, first):
                error[k], uncertainty[k] = argmax_error(mean[k], covariance, k)
    return frozen(mixture, error, uncertainty, mean, training_mean, influence, found, is_exact=is_exact)


def frozen(
    mixture: GaussianMixture,
    error: Floats,
    uncertainty: Floats,
    mean: Floats,
    training_mean: Floats,
    influence: Floats,
    variances: ScoreVariances | Floats,
    *,
    is_exact: bool = False,
) -> Prediction:
    """A prediction whose arrays cannot be written to; predictions that are exact at any rank are reliable."""
    rank = mixture.effective_rank
    reliable = (rank >= LEAST_RANK) | is_exact
    inflation = np.ones(rank.size) if is_exact else mixture.rank_inflation
    for array in (error, uncertainty, mean, training_mean, influence, reliable, inflation, variances):
        if isinstance(array, np.ndarray):
            array.setflags(write=False)
    names = mixture.classes or ()
    return Prediction(
        names, error, uncertainty, mean, training_mean, influence, mixture.counts, rank, reliable, inflation, variances
    )
