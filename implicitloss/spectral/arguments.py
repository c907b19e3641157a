"""What users give: features, a row for each sample, labels of any kind, covariances, numbers for each class."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import LinAlgError, cholesky

from implicitloss.arguments import checked_array, checked_matrix, shown
from implicitloss.labels import Floats

__all__ = [
    "LARGEST",
    "MOST_NUMBERS",
    "SMALLEST_TRACE",
    "checked_classes",
    "checked_covariances",
    "checked_each",
    "checked_features",
    "checked_labels",
    "code_of",
]

# Numbers in all covariances together, at most: 2 GB.
MOST_NUMBERS = 1 << 28
# What rounding may take off symmetry and off positive definiteness, relative to the largest variance of the class.
ROUNDING = 1e-9
SMALLEST_TRACE = 1e-60
MOST_SAMPLES = 1e15
# Sums of squares of larger numbers could overflow.
LARGEST = 1e60


def checked_features(X: ArrayLike, name: str = "X") -> Floats:
    """`X` as a float matrix (n, d) with n, d >= 1, its numbers finite and within ±1e60."""
    found = checked_matrix(_dense(X, name), name, LARGEST)
    if found.size == 0:
        raise ValueError(f"{name} must have samples and features, got shape {found.shape}")
    return found


def _dense(X: Any, name: str) -> Any:
    """`X`, True and False as 1 and 0; *raises* ValueError for a sparse matrix."""
    if hasattr(X, "toarray"):
        raise ValueError(f"{name} must be dense, got a {type(X).__name__}: give X.toarray()")
    if hasattr(X, "iloc"):
        flags = [column for column, kind in X.dtypes.items() if getattr(kind, "kind", "") == "b"]
        return X.astype(dict.fromkeys(flags, np.float64)) if flags and X.columns.is_unique else X
    return X.astype(np.float64) if getattr(getattr(X, "dtype", None), "kind", "") == "b" else X


def checked_labels(y: Any, n: int) -> tuple[tuple[Hashable, ...], NDArray[np.intp]]:
    """The classes in `y`, sorted where they can be, and the place among them of each of n samples' class, (n,)."""
    labels = _checked_names(y, n, "the labels y", "samples")
    seen = dict.fromkeys(labels)
    try:
        classes = tuple(sorted(seen))  # type: ignore[type-var]
    except TypeError:  # names and numbers together stay in the order of their first samples
        classes = tuple(seen)
    place = {label: k for k, label in enumerate(classes)}
    return classes, np.array([place[label] for label in labels], dtype=np.intp)


def checked_classes(names: Any, n: int) -> tuple[Hashable, ...]:
    """What n classes are called, each another name."""
    found = tuple(_checked_names(names, n, "classes", "classes"))
    if len(set(found)) < n:
        raise ValueError(f"classes must have different names, got {shown(names)}")
    return found


def _checked_names(names: Any, n: int, what: str, of: str) -> list[Hashable]:
    if isinstance(names, np.ma.MaskedArray) and np.ma.getmaskarray(names).any():
        raise ValueError(f"{what} must all be there, but some are masked")
    is_one = isinstance(names, (str, bytes, dict, set)) or not hasattr(names, "__len__")
    if is_one or isinstance(names, type) or len(getattr(names, "shape", (n,))) != 1:
        raise ValueError(f"{what} must be a list or a vector, one for each of {n} {of}, got {shown(names)}")
    found: list[Hashable] = names.tolist() if hasattr(names, "tolist") else [_plain(name) for name in names]
    if len(found) != n:
        raise ValueError(f"{what} must be one for each of {n} {of}, got {len(found)}")
    for i, name in enumerate(found):
        if not isinstance(name, Hashable) or isinstance(name, tuple) or name is None or _is_no_value(name):
            raise ValueError(f"{what} must each be a number or a name, but [{i}] is {shown(name)}")
    return found


def _plain(label: Any) -> Any:
    return label.item() if isinstance(label, np.generic) else label


def _is_no_value(label: Any) -> bool:
    """Whether a label is NaN, NaT or pandas's NA, none of which is equal to itself."""
    try:
        return not bool(label == label)
    except (TypeError, ValueError):
        return True


def code_of(label: Hashable, classes: Sequence[Hashable]) -> int:
    """The place of a class; *raises* ValueError for one that is not there."""
    try:
        return classes.index(_plain(label))
    except ValueError:
        raise ValueError(f"the class must be one of {shown(list(classes))}, got {shown(label)}") from None


def checked_each(values: ArrayLike, n: int, name: str, least: float, wanted: str) -> Floats:
    """One number for each of n classes, `values` being one or n of them."""
    found = checked_array(values, name, {0: "a number", 1: "(K,)"}, MOST_SAMPLES)
    if (found.ndim and found.size != n) or found.min() < least:
        raise ValueError(f"{name} must be one number or {n} numbers, {wanted}, got {shown(values)}")
    return np.broadcast_to(found, (n,)).copy()


def checked_covariances(values: ArrayLike, factors: ArrayLike | None, n: int, d: int) -> tuple[Floats, Floats | None]:
    """Covariances (K, d, d), or diagonals (K, d) and perhaps factors (K, d, r): symmetric, positive semi-definite."""
    found = checked_array(values, "covariances", {2: "the diagonals (K, d)", 3: "(K, d, d)"}, LARGEST)
    if found.shape[:2] != (n, d) or found.shape[2:] not in ((), (d,)):
        raise ValueError(f"covariances must fit means of shape {(n, d)}, got shape {found.shape}")
    if found.size > MOST_NUMBERS:
        raise ValueError(f"covariances must have at most {MOST_NUMBERS:,} numbers, got {found.size:,}: give factors")
    low = None
    if factors is not None:
        low = checked_array(factors, "factors", {3: "(K, d, r)"}, LARGEST**0.5)
        if found.ndim == 3 or low.shape[:2] != (n, d) or low.size > MOST_NUMBERS:
            raise ValueError(
                f"factors must be (K, d, r) = ({n}, {d}, r) beside covariances (K, d), at most {MOST_NUMBERS:,} "
                f"numbers, got shape {low.shape} beside {found.shape}"
            )
    for k, matrix in enumerate(found):
        if matrix.ndim == 1:
            least = float(matrix.min())
        else:
            off = float(np.abs(matrix - matrix.T).max())
            if off > ROUNDING * np.abs(matrix).max():
                raise ValueError(f"covariances must be symmetric, but the one of class {k} is off by {off:.3g}")
            matrix += matrix.T
            matrix /= 2
            least = _least_eigenvalue(matrix)
        if least < 0:
            raise ValueError(f"covariances must be positive semi-definite, but class {k} has eigenvalue {least:.3g}")
        trace = float(matrix.sum() if matrix.ndim == 1 else np.trace(matrix))
        trace += 0.0 if low is None else float(np.sum(low[k] ** 2))
        if trace < SMALLEST_TRACE:
            raise ValueError(f"covariances must each have a trace >= {SMALLEST_TRACE:g}, but class {k} has {trace:.3g}")
    return found, low


def _least_eigenvalue(matrix: Floats) -> float:
    """The least eigenvalue where it is negative, rounding aside; else 0."""
    scale = float(np.abs(np.diagonal(matrix)).max())
    try:
        cholesky(matrix + ROUNDING * scale * np.eye(len(matrix)), lower=True, check_finite=False)
    except LinAlgError:
        return float(np.linalg.eigvalsh(matrix)[0])
    return 0.0
