"""Labelled samples as users have them: arrays, lists, pandas frames, and the files that `sample_files` reads."""

from __future__ import annotations

import os
from collections.abc import Hashable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from implicitloss.arguments import shown
from implicitloss.labels import Floats, Labels
from implicitloss.spectral.arguments import checked_features, checked_labels
from implicitloss.spectral.sample_files import read
from implicitloss.spectral.sample_table import checked_to_tell_nothing, split

__all__ = ["Samples", "names_of", "samples"]


@dataclass(frozen=True, eq=False)
class Samples:
    """Features X (n, d), the class of each sample `codes` (n,), and the K classes, as the labels have them."""

    X: Floats
    codes: Labels
    classes: tuple[Hashable, ...]

    @property
    def labels(self) -> list[Hashable]:
        """The label of each sample."""
        return [self.classes[k] for k in self.codes]

    @cached_property
    def counts(self) -> Labels:
        """The number of samples of each class, (K,)."""
        return np.bincount(self.codes, minlength=len(self.classes))

    @cached_property
    def places(self) -> Labels:
        """The place of each sample among those of its class, (n,), from 0 on."""
        order = np.argsort(self.codes, kind="stable")
        found = np.empty(len(order), dtype=np.intp)
        found[order] = np.arange(len(order)) - np.repeat(np.cumsum(self.counts) - self.counts, self.counts)
        return found

    def of(self, k: int) -> Floats:
        """The features of a class, (n_k, d)."""
        return self.X[self.codes == k]


def samples(X: Any, y: Any = None, label: str | None = None) -> Samples:
    """Features and labels, of which each class has two samples or more.

    `X` is a matrix, a data frame or the path of a file; `y` the labels, the path of their file, the name of the frame's
    column of labels, or None where `X` has them itself, in its column `label` if it has several that may be.
    *Raises* ValueError for what cannot be read, is missing, or can be read in two ways.
    """
    if label is not None and not isinstance(label, str):
        raise ValueError(f"label must be the name of a column, got {shown(label)}")
    if label is not None and not (isinstance(X, (str, os.PathLike)) or _is_frame(X)):
        raise ValueError(f"label must go with a file or a frame, got {shown(label)} beside {shown(X)}")
    if label is not None and y is not None and not isinstance(y, (str, os.PathLike)):
        raise ValueError(f"label must be left out beside the labels y, got {shown(label)}")
    if isinstance(X, (str, os.PathLike)):
        X, found = read(X, label, y is None)
        y = found if y is None else y
    elif _is_frame(X):
        name = y if isinstance(y, str) else label
        X, found = split("the frame", X, name, y is None or name is not None)
        y = y if found is None else found
    if isinstance(y, (str, os.PathLike)):
        _, y = read(y, label, True, labels_alone=True)
    if y is None:
        raise ValueError("y must have a label for each sample, got None")
    matrix = checked_features(X)
    classes, codes = checked_labels(_as_labels(y), len(matrix))
    if _is_frame(X):
        checked_to_tell_nothing(X, matrix, codes)
    counts = np.bincount(codes, minlength=len(classes))
    if len(classes) < 2:
        raise ValueError(f"y must have two classes or more, got {shown(classes[0])} alone")
    few = np.flatnonzero(counts < 2)
    if few.size:
        alone = shown(classes[few[0]])
        others = f", and {few.size - 1:,} more classes have one" if few.size > 1 else ""
        raise ValueError(f"each class in y must have two samples or more, got one of {alone}{others}; leave them out")
    return Samples(matrix, codes, classes)


def names_of(classes: tuple[Hashable, ...]) -> tuple[str, ...]:
    """What reports call the classes: their labels as text, or as code where 1 and "1" are two."""
    found = tuple(map(str, classes))
    return found if len(set(found)) == len(found) else tuple(map(repr, classes))


def _is_frame(X: Any) -> bool:
    """Whether `X` is a data frame, without importing pandas."""
    return hasattr(X, "columns") and hasattr(X, "iloc")


def _as_labels(y: Any) -> Any:
    """The labels in one vector; whole numbers are integers, however they are stored."""
    if getattr(y, "ndim", 1) == 2 and y.shape[1] == 1:
        y = np.asarray(y)[:, 0]
    kind = getattr(getattr(y, "dtype", None), "kind", "")
    if kind == "f" or (isinstance(y, (list, tuple)) and y and all(isinstance(label, float) for label in y)):
        numbers = np.asarray(y, dtype=np.float64)
        if numbers.ndim == 1 and np.isfinite(numbers).all():
            part = np.flatnonzero(numbers != np.round(numbers))
            if part.size:
                raise ValueError(
                    f"the labels y must be names or whole numbers, but sample {part[0]} has {numbers[part[0]]:g}"
                )
            return [int(number) for number in numbers]
    return y
