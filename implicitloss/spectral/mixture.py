"""The model of features: x given its class k is N(μ_k, Σ_k), and n_k samples of it are trained on."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from implicitloss.arguments import (
    checked_array,
    checked_choice,
    checked_flag,
    checked_instance,
    checked_number,
    checked_whole,
    shown,
)
from implicitloss.labels import Floats
from implicitloss.numerics.seeds import Seed, root_of
from implicitloss.spectral.arguments import (
    LARGEST,
    MOST_NUMBERS,
    SMALLEST_TRACE,
    checked_classes,
    checked_covariances,
    checked_each,
    checked_features,
    checked_labels,
    code_of,
)
from implicitloss.spectral.covariances import AsGiven, Covariances, Factored
from implicitloss.spectral.shrinkage import Shrinkage, estimate

__all__ = ["GaussianMixture", "checked_mixture"]


@dataclass(frozen=True, eq=False, repr=False)
class GaussianMixture:
    """Features of K classes, x | y = k ~ N(μ_k, Σ_k), and how many samples of each class are trained on.

    Parameters
    ----------
    means : array_like, (K, d)
        μ_k, a row for each class, K >= 2, d >= 1.
    covariances : array_like, (K, d, d) or (K, d)
        Σ_k, symmetric and positive semi-definite, none of them 0; or their diagonals.
    counts : array_like, (K,) or a number
        n_k >= 1, the samples of each class in the training set.
    factors : array_like, (K, d, r), optional
        F_k, where `covariances` are diagonals: Σ_k = diag(covariances_k) + F_k F_kᵀ, in the memory of K d (r + 1)
        numbers.
    classes : sequence, optional
        What the classes are called; by default 0, 1, ..., K - 1.
    mean_counts : array_like, (K,) or a number, optional
        Where the means were estimated, from how many samples of each class: a product μ_kᵀ B μ_k is then too large by
        tr(B Σ_k) / mean_counts_k, which predictions take off.  By default the means are known.
    effective_rank : array_like, (K,), optional
        (tr Σ_k)² / tr Σ_k², by default that of the covariances.  Shrunk covariances have too large ones.

    Raises
    ------
    ValueError
        For numbers that are not finite, shapes that do not fit, covariances that are not symmetric or not positive
        semi-definite, counts below 1, and more than 2²⁸ numbers in the covariances (give factors then).

    Examples
    --------
    Two classes with the same trace: the variance of the second one lies in few directions.

    >>> import numpy as np
    >>> import implicitloss as il
    >>> mixture = il.spectral.GaussianMixture(
    ...     means=[[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]], covariances=[[1.0, 1.0, 1.0], [0.1, 0.1, 2.8]], counts=[50, 50]
    ... )
    >>> mixture
    GaussianMixture(2 classes, dimension 3, 100 samples, effective ranks 1.15 to 3)
    """

    means: Floats
    covariances: Floats
    counts: Floats
    factors: Floats | None = None
    classes: tuple[Hashable, ...] | None = None
    mean_counts: Floats | None = None
    effective_rank: Floats = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        means = checked_array(self.means, "means", {2: "(K, d)"}, LARGEST)
        n, d = means.shape
        if n < 2:
            raise ValueError(f"means must have a row for each of two or more classes, got shape {means.shape}")
        covariances, factors = checked_covariances(self.covariances, self.factors, n, d)
        fields: dict[str, Any] = {"means": means, "covariances": covariances, "factors": factors}
        fields["counts"] = checked_each(self.counts, n, "counts", 1, ">= 1")
        if self.mean_counts is not None:
            fields["mean_counts"] = checked_each(self.mean_counts, n, "mean_counts", 1, ">= 1")
        fields["classes"] = tuple(range(n)) if self.classes is None else checked_classes(self.classes, n)
        for name, value in fields.items():
            if isinstance(value, np.ndarray):
                value.setflags(write=False)
            object.__setattr__(self, name, value)
        object.__setattr__(self, "effective_rank", self._checked_rank())

    def _checked_rank(self) -> Floats:
        n, d = self.means.shape
        if self.effective_rank is None:
            rank = self._rank_as_it_is()
        else:
            rank = checked_array(self.effective_rank, "effective_rank", {1: "(K,)"}, LARGEST)
            if rank.shape != (n,) or rank.min() < 1 or rank.max() > d:
                raise ValueError(f"effective_rank must be {n} numbers from 1 to {d}, got {shown(self.effective_rank)}")
        rank.setflags(write=False)
        return rank

    @cached_property
    def of_classes(self) -> Covariances:
        """The covariances, with the products that predictions need."""
        if self.covariances.ndim == 3:
            return AsGiven(self.covariances)
        n, d = self.means.shape
        return Factored(self.covariances, np.zeros((n, d, 0)) if self.factors is None else self.factors)

    @cached_property
    def rank_inflation(self) -> Floats:
        """The effective rank of each Σ_k as it is, over `effective_rank`, (K,): above 1 where shrinkage flattens it."""
        return np.asarray(self._rank_as_it_is() / self.effective_rank)

    def _rank_as_it_is(self) -> Floats:
        found = self.of_classes
        return np.clip(found.traces**2 / found.traces_of_squares, 1.0, self.means.shape[1])

    @property
    def n_classes(self) -> int:
        """K."""
        return len(self.means)

    def class_index(self, label: Hashable) -> int:
        """The row of a class, by what it is called.

        Parameters
        ----------
        label : hashable
            One of `classes`.
        """
        return code_of(label, self.classes or ())

    @classmethod
    def from_features(cls, X: ArrayLike, y: Any, *, covariance: Shrinkage = "oas") -> GaussianMixture:
        """Estimate the mixture from features, with a shrunk covariance for each class.

        Parameters
        ----------
        X : array_like, (n, d)
            Features, a row for each sample, within ±1e60; n < d will do.
        y : array_like, (n,)
            The labels: numbers or names of any kind, at least two samples each.
        covariance : {"oas", "ledoit-wolf"}
            How covariances are shrunk towards (tr Σ_k / d) I, d being the number of features that vary.  Both keep the
            trace, which is unbiased.

        Returns
        -------
        GaussianMixture
            With the numbers of samples as `counts` and `mean_counts`.  Its effective ranks are estimated without
            the shrinkage, by U-statistics where a class has four samples.  If K full covariances would take more than
            1 GB, they are kept as their first r principal directions, all of them if classes have at most r + 1
            samples, and the variance of the others is spread evenly.

        Raises
        ------
        ValueError
            For features that are not finite, labels that do not match, fewer than two classes, and a class of one
            sample or of samples that are all equal.

        References
        ----------
        Chen et al. 2010, "Shrinkage algorithms for MMSE covariance estimation", Eq. 23; Ledoit and Wolf 2004, "A
        well-conditioned estimator for large-dimensional covariance matrices".  Both with n - 1 in place of n, as the
        mean of each class is estimated too.
        """
        features = checked_features(X)
        checked_choice(covariance, "covariance", ("oas", "ledoit-wolf"))
        classes, codes = checked_labels(y, len(features))
        if len(classes) < 2:
            raise ValueError(f"the labels y must have two classes or more, got {shown(list(classes))}")
        counts = np.bincount(codes)
        for label, n in zip(classes, counts, strict=True):
            if n < 2:
                raise ValueError(f"a covariance needs two samples of a class or more, but class {shown(label)} has one")
        order = np.argsort(codes, kind="stable")
        parts = np.split(features[order], np.cumsum(counts)[:-1])
        means = np.stack([part.mean(axis=0) for part in parts])
        varies = np.ptp(features, axis=0) > 0
        for k, part in enumerate(parts):
            part -= means[k]
            part[:, ~varies] = 0.0
            if np.sum(part**2) < SMALLEST_TRACE * len(part):
                raise ValueError(
                    f"samples of a class must differ, but those of class {shown(classes[k])} are all equal"
                )
        found = estimate(parts, varies, covariance)
        return cls(means, found.covariances, counts, found.factors, classes, counts, found.effective_rank)  # type: ignore[arg-type]

    @classmethod
    def power_law(
        cls,
        exponents: ArrayLike,
        *,
        d: int,
        distance: float,
        counts: ArrayLike,
        traces: ArrayLike | None = None,
        rotated: bool = False,
        rng: Seed = 0,
    ) -> GaussianMixture:
        """Make classes whose eigenvalues fall as powers: the i-th one of Σ_k is tr Σ_k i^{-α_k} / Σ_j j^{-α_k}.

        Parameters
        ----------
        exponents : array_like, (K,)
            α_k >= 0, the number of classes being K; 0 is a sphere.
        d : int
            The dimension, at least K - 1.
        distance : float
            How far apart any two means are, >= 0.  Their directions are random.
        counts : array_like, (K,) or a number
            n_k >= 1.
        traces : array_like, (K,) or a number, optional
            tr Σ_k > 0, by default d.
        rotated : bool
            Whether each class has random axes of its own, in place of the same ones for all.
        rng : int, Generator or None
            The seed of the random directions.

        Returns
        -------
        GaussianMixture
            The mixture; its covariances are diagonal unless rotated.

        Raises
        ------
        ValueError
            For arguments out of range.

        Examples
        --------
        The same counts and the same trace, and yet the class with the flat spectrum is told apart worse.

        >>> import implicitloss as il
        >>> mixture = il.spectral.GaussianMixture.power_law([0.0, 1.0], d=300, distance=4.0, counts=[200, 200])
        >>> il.spectral.predict(mixture, il.spectral.Ridge(100.0)).error.round(3)
        array([0.066, 0.005])
        """
        alpha = checked_array(exponents, "exponents", {1: "(K,)"}, 1e3)
        n = alpha.size
        if n < 2 or alpha.min() < 0:
            raise ValueError(f"exponents must be two or more numbers from 0 to 1000, got {shown(exponents)}")
        d = checked_whole(d, "d, the dimension,", max(1, n - 1), 1 << 16)
        distance = checked_number(distance, "distance", "a number from 0 to 1e30", lambda x: 0 <= x <= 1e30)
        size = checked_each(d if traces is None else traces, n, "traces", SMALLEST_TRACE, "positive")
        each = checked_each(counts, n, "counts", 1, ">= 1")
        checked_flag(rotated, "rotated")
        draw = np.random.default_rng(root_of(rng))
        spectra = np.arange(1, d + 1) ** -alpha[:, None]
        spectra *= (size / spectra.sum(axis=1))[:, None]
        # A regular simplex with sides of √2 around 0, on orthonormal directions.
        i, k = np.arange(n)[:, None], np.arange(1, n)
        corners = np.where(i < k, -1.0, np.where(i == k, k, 0.0)) / np.sqrt(k * (k + 1))
        means = distance / np.sqrt(2) * corners @ _orthonormal(draw, d, n - 1).T
        if not rotated:
            return cls(means, spectra, each)
        if n * d * d > MOST_NUMBERS:
            raise ValueError(f"rotated classes must have at most {MOST_NUMBERS:,} numbers, K d² = {n * d * d:,}")
        axes = (_orthonormal(draw, d, d) for _ in range(n))
        return cls(means, np.stack([(a * s) @ a.T for a, s in zip(axes, spectra, strict=True)]), each)

    def __repr__(self) -> str:
        n, d = self.means.shape
        low, high = self.effective_rank.min(), self.effective_rank.max()
        return (
            f"GaussianMixture({n} classes, dimension {d}, {self.counts.sum():,.0f} samples, "
            f"effective ranks {low:.3g} to {high:.3g})"
        )


def _orthonormal(draw: np.random.Generator, d: int, n: int) -> Floats:
    """n random orthonormal directions, (d, n)."""
    q, r = np.linalg.qr(draw.standard_normal((d, n)))
    return np.asarray(q * np.where(np.diag(r) < 0, -1.0, 1.0))


def checked_mixture(value: Any) -> GaussianMixture:
    """`value`, a GaussianMixture."""
    return checked_instance(value, GaussianMixture, "mixture", "spectral.GaussianMixture.from_features(X, y)")
