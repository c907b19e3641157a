"""The extreme-classification repository's text format: a header `points features labels`, then a line a point.

A line is `label,label,... feature:value feature:value ...`, indices from 0; a point may have no label or no feature.
*Source:* Bhatia et al. 2016, the extreme classification repository.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import csr_array

from implicitloss.labels import Floats, LabelPrior, Labels

# Features are kept in single precision.
LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True, eq=False)
class Multilabel:
    """Features x (n, d) and label sets y (n, L), both sparse."""

    x: csr_array
    y: csr_array

    @cached_property
    def pairs(self) -> tuple[Labels, Labels]:
        """The multilabel-to-multiclass reduction: (row, label), one example for each label of each point.

        *Source:* Rawat et al. 2021, section 5.2; Wydmuch et al. 2018.
        """
        return np.repeat(np.arange(self.y.shape[0]), np.diff(self.y.indptr)), self.y.indices.astype(np.intp)

    @property
    def counts(self) -> Floats:
        """How often each label occurs, (L,)."""
        return np.bincount(self.y.indices, minlength=self.y.shape[1]).astype(np.float64)

    @property
    def prior(self) -> LabelPrior:
        """π of the multiclass reduction."""
        return LabelPrior.from_counts(self.counts)


def read(path: str | os.PathLike[str]) -> Multilabel:
    """The points of a file.  *Raises* ValueError, naming file and line, for what is not of the format."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            lines = file.read().splitlines()
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not a text file: {error}") from None
    header = lines[0].split() if lines else []
    if len(header) != 3 or not all(
        word.isascii() and word.isdigit() and len(word) < 10 and int(word) > 0 for word in header
    ):
        raise ValueError(
            f"{path}, line 1: the header must be three whole numbers 'points features labels', got "
            f"{lines[0] if lines else ''!r:.60}"
        )
    n, d, n_labels = map(int, header)
    if len(lines) - 1 != n:
        raise ValueError(f"{path}: the header promises {n} points, got {len(lines) - 1} lines after it")
    labels: list[list[int]] = []
    features: list[list[int]] = []
    values: list[float] = []
    for number, line in enumerate(lines[1:], 2):
        where = f"{path}, line {number}"
        words = line.split()
        # A point without labels starts with a blank, or with its first feature.
        first = words.pop(0) if words and ":" not in words[0] and not line[:1].isspace() else ""
        labels.append([_index(word, n_labels, f"{where}: a label") for word in first.split(",") if first])
        if len(set(labels[-1])) < len(labels[-1]):
            raise ValueError(f"{where}: a label is there twice")
        own: list[int] = []
        for word in words:
            index, colon, text = word.partition(":")
            if not colon or not text:
                raise ValueError(f"{where}: expected feature:value, got {word!r:.60}")
            own.append(_index(index, d, f"{where}: a feature"))
            values.append(_number(text, where))
        if len(set(own)) < len(own):
            raise ValueError(f"{where}: a feature is there twice")
        features.append(own)
    return Multilabel(
        _rows(features, np.array(values, dtype=np.float32), d), _rows(labels, np.ones(sum(map(len, labels))), n_labels)
    )


def _rows(indices: list[list[int]], values: np.ndarray, width: int) -> csr_array:
    pointers = np.cumsum([0, *map(len, indices)])
    flat = np.array([index for own in indices for index in own], dtype=np.int32)
    return csr_array((values, flat, pointers), shape=(len(indices), width))


def _index(word: str, size: int, what: str) -> int:
    if not (word.isascii() and word.isdigit()) or int(word) >= size:
        raise ValueError(f"{what} must be a whole number from 0 to {size - 1}, got {word!r:.60}")
    return int(word)


def _number(text: str, where: str) -> float:
    try:
        value = float(text.replace("_", "?"))
    except ValueError:
        value = np.nan
    if not abs(value) < LARGEST:
        raise ValueError(f"{where}: a value must be a finite number, got {text!r:.60}")
    return value


def synthetic(
    rng: np.random.Generator, n: int = 1500, n_labels: int = 200, d: int = 100
) -> tuple[Multilabel, Multilabel]:
    """Train and test sets where no file is given: Zipf labels, two to six a point, each with features of its own."""
    law = 1.0 / np.arange(1, n_labels + 1)
    marks = rng.random((n_labels, d)) < 0.06

    def some(points: int) -> Multilabel:
        x, y = np.zeros((points, d), dtype=np.float32), np.zeros((points, n_labels))
        for i in range(points):
            own = rng.choice(n_labels, size=int(rng.integers(2, 7)), replace=False, p=law / law.sum())
            y[i, own] = 1.0
            x[i] = marks[own].any(axis=0) ^ (rng.random(d) < 0.03)
        return Multilabel(csr_array(x), csr_array(y))

    return some(n), some(n // 3)
