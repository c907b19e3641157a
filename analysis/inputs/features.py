"""A user's own features: an `.npz` file with X (n, d) and y (n,), labels from 0."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from implicitloss.labels import Labels


def read_arrays(
    path: str | os.PathLike[str], needed: Sequence[str], further: Sequence[str] = ()
) -> dict[str, NDArray[Any]]:
    """The arrays of an `.npz` file with these names.  *Raises* ValueError, naming the file, for what is missing."""
    try:
        with zipfile.ZipFile(path), np.load(path) as file:
            arrays = {name: np.asarray(file[name]) for name in (*needed, *further) if name in file}
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror or error}") from None
    except Exception as error:  # a damaged file fails anywhere in zipfile, zlib and NumPy
        raise ValueError(f"{path} is not an .npz file of numbers: {type(error).__name__}: {error!s:.120}") from None
    missing = [name for name in needed if name not in arrays]
    if missing:
        raise ValueError(f"{path} must hold arrays {' and '.join(needed)}, but {' and '.join(missing)} is missing")
    return arrays


def read(path: str | os.PathLike[str]) -> tuple[NDArray[np.float32], Labels]:
    """(X, y).  *Raises* ValueError, naming the file, for what is missing, malformed or not finite."""
    arrays = read_arrays(path, ("X", "y"))
    x, y = arrays["X"], arrays["y"]
    if x.ndim != 2 or x.dtype.kind not in "fiu":
        raise ValueError(f"{path}: X must be numbers of shape (n, d), got {x.dtype} {x.shape}")
    if y.shape != x.shape[:1] or y.dtype.kind not in "iu":
        raise ValueError(f"{path}: y must be {x.shape[0]} whole numbers, one a row of X, got {y.dtype} {y.shape}")
    if not len(y):
        raise ValueError(f"{path}: X and y must hold at least one example, got none")
    if y.min() < 0:
        raise ValueError(f"{path}: labels must be >= 0, but row {int(y.argmin())} has {y.min()}")
    bad = np.flatnonzero(~(np.abs(x) < np.finfo(np.float32).max).all(axis=1))
    if bad.size:
        raise ValueError(f"{path}: features must be finite, but row {bad[0]} is not")
    return x.astype(np.float32), y.astype(np.intp)
