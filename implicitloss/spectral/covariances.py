"""Covariances Σ_k of K classes, whole or as a diagonal and low-rank factors, and the products that predictions need.

Both kinds answer alike.  A is a positive definite (d, d) matrix, given by R = L⁻¹ with A = L Lᵀ, so that A⁻¹ = Rᵀ R.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from implicitloss.labels import Floats

__all__ = ["AsGiven", "Covariances", "Factored", "FormRows"]

# Numbers in memory at a time, beside the covariances themselves and one copy of the factors.
BLOCK = 1 << 24
Array = Floats
# (start, stop, out): puts the rows from `start` to `stop` of the (m, m) matrices of all classes, from their diagonal
# on, into `out` (K, stop - start, m - start), which is returned.
FormRows = Callable[[int, int, Array], Array]


class Covariances(ABC):
    """The covariances of K classes in d dimensions."""

    shape: tuple[int, int]

    @property
    @abstractmethod
    def diagonals(self) -> Array:
        """The variances of each class, (K, d)."""

    @property
    @abstractmethod
    def traces_of_squares(self) -> Array:
        """tr Σ_k², (K,)."""

    @property
    def traces(self) -> Array:
        """tr Σ_k, (K,)."""
        return np.asarray(self.diagonals.sum(axis=1))

    @abstractmethod
    def sum(self, weights: Array) -> Array:
        """Σ_k weights_k Σ_k, (d, d); weights >= 0."""

    @abstractmethod
    def inner(self, matrix: Array) -> Array:
        """tr(Σ_k B) for a positive semi-definite B, (K,)."""

    def influences(self, root: Array) -> Array:
        """tr(Σ_k A⁻¹), (K,)."""
        return self.inner(root.T @ root)

    @abstractmethod
    def products(self, root: Array) -> Array:
        """T_kj = tr(Σ_k A⁻¹ Σ_j A⁻¹), (K, K)."""

    @abstractmethod
    def form_rows(self, weights: Array) -> FormRows:
        """wᵀ Σ_k w of all classes, for weights (d, m), some rows at a time."""

    def forms(self, weights: Array) -> Array:
        """wᵀ Σ_k w of all classes, for weights (d, m): (K, m, m)."""
        m = weights.shape[1]
        return self.form_rows(weights)(0, m, np.empty((self.shape[0], m, m)))

    @abstractmethod
    def draws(self, k: int, normal: Array) -> Array:
        """Draws of N(0, Σ_k), (n, d), from standard normal numbers (n, `normals`)."""

    @abstractmethod
    def squares(self, k: int, vectors: Array) -> Array:
        """vᵀ Σ_k v of n vectors (n, d), (n,)."""

    @property
    @abstractmethod
    def normals(self) -> int:
        """How many standard normal numbers a draw takes."""


@dataclass(frozen=True, eq=False)
class AsGiven(Covariances):
    """Σ_k as they are, (K, d, d)."""

    matrices: Array

    @property
    def shape(self) -> tuple[int, int]:  # type: ignore[override]
        return self.matrices.shape[0], self.matrices.shape[1]

    @property
    def diagonals(self) -> Array:
        return np.asarray(np.diagonal(self.matrices, axis1=1, axis2=2))

    @property
    def traces_of_squares(self) -> Array:
        return np.einsum("kab,kab->k", self.matrices, self.matrices)

    def sum(self, weights: Array) -> Array:
        return np.asarray(np.tensordot(weights, self.matrices, 1))

    def inner(self, matrix: Array) -> Array:
        return np.asarray(self.matrices.reshape(len(self.matrices), -1) @ matrix.ravel())

    def products(self, root: Array) -> Array:
        n, d = self.shape
        total = np.zeros((n, n))
        step = max(1, min(d, BLOCK // (2 * n * d)))
        for start in range(0, d, step):
            stop = min(d, start + step)
            # Rows of B_k = R Σ_k Rᵀ; R is lower triangular.
            rows = np.matmul(root[start:stop, :stop], self.matrices[:, :stop, :]) @ root[start:].T
            total += _gram_of_rows(rows)
        return total

    def form_rows(self, weights: Array) -> FormRows:
        def rows(start: int, stop: int, out: Array) -> Array:
            return np.matmul(weights[:, start:stop].T @ self.matrices, weights[:, start:], out=out)

        return rows

    @property
    def normals(self) -> int:
        return self.shape[1]

    def draws(self, k: int, normal: Array) -> Array:
        values, vectors = np.linalg.eigh(self.matrices[k])
        return np.asarray((normal * np.sqrt(np.maximum(values, 0.0))) @ vectors.T)

    def squares(self, k: int, vectors: Array) -> Array:
        return np.einsum("ia,ia->i", vectors @ self.matrices[k], vectors)


@dataclass(frozen=True, eq=False)
class Factored(Covariances):
    """Σ_k = diag(D_k) + F_k F_kᵀ, with D (K, d) and F (K, d, r), r >= 0."""

    diagonal: Array
    factors: Array

    @property
    def shape(self) -> tuple[int, int]:  # type: ignore[override]
        return self.diagonal.shape[0], self.diagonal.shape[1]

    @property
    def diagonals(self) -> Array:
        return self.diagonal + np.einsum("kar,kar->ka", self.factors, self.factors)

    @property
    def traces_of_squares(self) -> Array:
        inner = np.matmul(self.factors.transpose(0, 2, 1), self.factors)
        cross = np.einsum("ka,kar,kar->k", self.diagonal, self.factors, self.factors)
        return np.asarray((self.diagonal**2).sum(axis=1) + 2 * cross + (inner**2).sum(axis=(1, 2)))

    def sum(self, weights: Array) -> Array:
        n, d = self.shape
        total = np.diag(weights @ self.diagonal)
        step = max(1, BLOCK // max(1, d * self.factors.shape[2]))
        for start in range(0, n if self.factors.size else 0, step):
            part = self.factors[start : start + step] * np.sqrt(weights[start : start + step])[:, None, None]
            wide = part.transpose(1, 0, 2).reshape(d, -1)
            total += wide @ wide.T
        return total

    def inner(self, matrix: Array) -> Array:
        found = self.diagonal @ np.diagonal(matrix)
        for k in range(len(found) if self.factors.size else 0):
            found[k] += np.sum((matrix @ self.factors[k]) * self.factors[k])
        return np.asarray(found)

    def products(self, root: Array) -> Array:
        n, d = self.shape
        inverse = root.T @ root
        total = self.diagonal @ inverse**2 @ self.diagonal.T
        if not self.factors.size:
            return np.asarray(total)
        white = np.matmul(root, self.factors)
        inner = np.stack([np.sum((root.T @ white[k]) ** 2, axis=1) for k in range(n)])
        cross = self.diagonal @ inner.T
        total += cross + cross.T
        step = max(1, min(d, BLOCK // (2 * n * d)))
        for start in range(0, d, step):
            stop = min(d, start + step)
            total += _gram_of_rows(np.matmul(white[:, start:stop], white[:, start:].transpose(0, 2, 1)))
        return np.asarray(total)

    def form_rows(self, weights: Array) -> FormRows:
        inner = np.matmul(self.factors.transpose(0, 2, 1), weights)
        # Shrinkage makes each D_k a multiple of the identity, in the features that vary.
        level, varies = self.diagonal.max(axis=1, keepdims=True), self.diagonal.any(axis=0)
        is_level = bool(np.array_equal(self.diagonal, level * varies))

        def rows(start: int, stop: int, out: Array) -> Array:
            left, right = weights[:, start:stop].T, weights[:, start:]
            np.matmul(inner[:, :, start:stop].transpose(0, 2, 1), inner[:, :, start:], out=out)
            if is_level:
                out += level[:, :, None] * ((left * varies) @ right)
            else:
                out += (left * self.diagonal[:, None, :]) @ right
            return out

        return rows

    @property
    def normals(self) -> int:
        return self.shape[1] + self.factors.shape[2]

    def draws(self, k: int, normal: Array) -> Array:
        d = self.shape[1]
        return np.asarray(normal[:, :d] * np.sqrt(self.diagonal[k]) + normal[:, d:] @ self.factors[k].T)

    def squares(self, k: int, vectors: Array) -> Array:
        return np.asarray(vectors**2 @ self.diagonal[k] + np.sum((vectors @ self.factors[k]) ** 2, axis=1))


def _gram_of_rows(rows: Array) -> Array:
    """The part of tr(B_k B_j) that rows of B have, from their diagonal on: (K, c, d - start) with the square first.

    What lies right of the square counts twice, because B is symmetric.
    """
    n, c, _ = rows.shape
    square, right = rows[:, :, :c].reshape(n, -1), rows[:, :, c:].reshape(n, -1)
    return np.asarray(square @ square.T + 2 * (right @ right.T))
