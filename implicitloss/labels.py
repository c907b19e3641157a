"""Label priors π: where the long tail comes from.

A prior is a probability for each of L labels, with the counts it came from where there are any.  Profiles:
EXP and STEP (Cui et al. 2019; Cao et al. 2019) and Zipf.
"""

from __future__ import annotations

import csv
import difflib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Labels = NDArray[np.intp]

# How far from 1 a prior or a sampler's q may sum before it is refused: the rounding of a sum of a few million
# terms, far below any difference that matters.
MASS_TOLERANCE = 1e-9
MOST_SAMPLES = 2.0**53
# Profiles are made in memory, at several vectors of eight bytes a label.
MOST_LABELS = 100_000_000


def checked_vector(values: ArrayLike, name: str) -> Floats:
    """`values` as a read-only float vector (L,), finite and not empty; `name` is how errors call it."""
    try:
        vector = np.array(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{name} must be numbers, got {values!r:.60}") from None
    if vector.ndim != 1:
        raise ValueError(f"{name} must be a vector (L,), got shape {vector.shape}")
    if vector.size == 0:
        raise ValueError(f"{name} must hold at least one label, got none")
    bad = np.flatnonzero(~np.isfinite(vector))
    if bad.size:
        raise ValueError(f"{name} must be finite, but label {bad[0]} has {vector[bad[0]]}")
    vector.setflags(write=False)
    return vector


def checked_probabilities(values: ArrayLike, name: str) -> Floats:
    """`values` as probabilities (L,): not negative, summing to 1 within `MASS_TOLERANCE`."""
    vector = checked_vector(values, name)
    worst = int(np.argmin(vector))
    if vector[worst] < 0:
        raise ValueError(f"{name} must not be negative, but label {worst} has {vector[worst]}")
    with np.errstate(over="ignore"):
        total = float(vector.sum())
    if abs(total - 1.0) > MASS_TOLERANCE:
        raise ValueError(f"{name} must sum to 1, got {total:.12g}")
    return vector


@dataclass(frozen=True, eq=False, repr=False)
class LabelPrior:
    """The label distribution π (L,), π_y = P(y) summing to 1; its counts n (L,) and names if it came from data.

    Build one with `from_counts`, `from_probabilities`, `from_csv`, `exp`, `step` or `zipf`.  A label with
    count 0 keeps its place with π = 0.  *Raises* ValueError for anything that is not a distribution.
    """

    probabilities: Floats
    counts: Floats | None = None
    names: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "probabilities", checked_probabilities(self.probabilities, "the prior"))
        if self.counts is not None and self.counts.shape != self.probabilities.shape:
            raise ValueError(
                f"counts must cover the prior's {self.probabilities.size} labels, got {self.counts.size} counts"
            )
        if self.names is not None and len(self.names) != self.probabilities.size:
            raise ValueError(f"the prior's {self.probabilities.size} labels need a name each, got {len(self.names)}")

    @classmethod
    def from_probabilities(cls, probabilities: ArrayLike) -> LabelPrior:
        """π itself, (L,), summing to 1 within 1e-9."""
        return cls(checked_probabilities(probabilities, "the prior"))

    @classmethod
    def from_counts(cls, counts: ArrayLike, names: Sequence[str] | None = None) -> LabelPrior:
        """π_y = n_y / Σ n from the number of samples n_y of each label, whole numbers, (L,); `names` for reports."""
        n = checked_vector(counts, "counts")
        worst = int(np.argmin(n))
        if n[worst] < 0:
            raise ValueError(f"counts must not be negative, but label {worst} has {n[worst]:g}")
        broken = np.flatnonzero(n != np.floor(n))
        if broken.size:
            raise ValueError(
                f"counts must be whole numbers, but label {broken[0]} has {n[broken[0]]:g}; "
                "use from_probabilities for anything else"
            )
        if n.max() > MOST_SAMPLES or n.sum() > MOST_SAMPLES:
            raise ValueError(f"counts must sum to at most 2^53, where floats stop counting, got {n.max():g} and more")
        total = n.sum()
        if total == 0:
            raise ValueError(f"counts must not all be zero, and all {n.size} are")
        return cls(n / total, n, None if names is None else tuple(map(str, names)))

    @classmethod
    def from_csv(cls, path: str | os.PathLike[str]) -> LabelPrior:
        """Counts and names from a CSV file with the header `label,count` and one line a label.

        *Raises* ValueError, naming file and line, for anything else.
        """
        counts: list[float] = []
        seen: dict[str, int] = {}
        try:
            with open(path, newline="", encoding="utf-8-sig") as file:
                reader = csv.reader(file)
                header = [cell.strip().lower() for cell in next(reader, [])]
                if header != ["label", "count"]:
                    raise ValueError(f"{path}, line 1: the header must be 'label,count', got {','.join(header)!r:.60}")
                for row in reader:
                    if not any(cell.strip() for cell in row) and len(row) < 2:
                        continue
                    where = f"{path}, line {reader.line_num}"
                    if len(row) != 2:
                        raise ValueError(f"{where}: expected 'label,count', got {len(row)} fields")
                    label, text = row[0].strip(), row[1].strip()
                    if label in seen:
                        raise ValueError(f"{where}: label {label!r} was on line {seen[label]} already")
                    seen[label] = reader.line_num
                    try:
                        # float() reads 1_000; a CSV file of another program means something else by it.
                        count = float(text.replace("_", "?"))
                    except ValueError:
                        raise ValueError(f"{where}: the count must be a number, got {text!r:.60}") from None
                    if not (np.isfinite(count) and count >= 0 and count == int(count)):
                        raise ValueError(f"{where}: the count must be a whole number >= 0, got {text}")
                    counts.append(count)
        except OSError as error:
            raise ValueError(f"cannot read {path}: {error.strerror}") from None
        except (UnicodeDecodeError, csv.Error) as error:
            raise ValueError(f"{path} is not a CSV text file: {error}") from None
        if not counts:
            raise ValueError(f"{path} has a header and no labels; at least one line 'label,count' is needed")
        return cls.from_counts(counts, list(seen))

    @classmethod
    def exp(cls, n_labels: int, largest: int, ratio: float) -> LabelPrior:
        """The EXP profile: n_i = ⌊n_max ρ^{-i/(L-1)}⌋, i = 0..L-1, ρ = n_max/n_min.

        CIFAR-100-LT is `exp(100, 500, 100)`.  *Source:* Cui et al. 2019; Cao et al. 2019.
        """
        _check_profile(n_labels, largest, ratio)
        share = np.arange(n_labels) / max(n_labels - 1, 1)
        return cls.from_counts(_whole(largest * ratio**-share))

    @classmethod
    def step(cls, n_labels: int, largest: int, ratio: float) -> LabelPrior:
        """The STEP profile: the first ⌊L/2⌋ labels have n_max samples, the others ⌊n_max/ρ⌋.

        *Source:* Buda et al. 2017; Cao et al. 2019.
        """
        _check_profile(n_labels, largest, ratio)
        rare = np.arange(n_labels) >= n_labels // 2
        return cls.from_counts(_whole(np.where(rare, largest / ratio, float(largest))))

    @classmethod
    def zipf(cls, n_labels: int, exponent: float) -> LabelPrior:
        """Zipf's law: π_i ∝ i^{-s}, i = 1..L, s = `exponent` >= 0."""
        _check_size(n_labels)
        if not 0 <= exponent < np.inf:
            raise ValueError(f"the exponent must be a finite number >= 0, got {exponent}")
        weight = np.exp(-exponent * np.log(np.arange(1, n_labels + 1, dtype=np.float64)))
        return cls(weight / weight.sum())

    @property
    def n_labels(self) -> int:
        """L."""
        return int(self.probabilities.size)

    def name(self, label: int) -> str:
        """What reports call a label: its name, or its number."""
        return str(label) if self.names is None else self.names[label]

    def label(self, name: str) -> int:
        """The label called `name`; where labels have no names, its number from 0 to L-1.

        *Raises* ValueError, with the nearest name, where there is none.
        """
        if self.names is None:
            if not name.strip().lstrip("-").isdecimal():
                raise ValueError(f"the positive must be a label from 0 to {self.n_labels - 1}, got {name!r}")
            return int(name)
        try:
            return self.names.index(name)
        except ValueError:
            nearest = difflib.get_close_matches(name, self.names, n=1)
            hint = f"; did you mean {nearest[0]!r}?" if nearest else f"; the first is {self.names[0]!r}"
            raise ValueError(f"none of the {self.n_labels} labels is called {name!r}{hint}") from None

    @cached_property
    def log(self) -> Floats:
        """log π, (L,); -inf where π = 0."""
        with np.errstate(divide="ignore"):
            return np.log(self.probabilities)

    @cached_property
    def by_frequency(self) -> Labels:
        """The labels from the most to the least frequent, (L,); ties keep their order."""
        return np.argsort(-self.probabilities, kind="stable")

    def few(self, size: int) -> LabelPrior:
        """At most `size` of the labels that occur, from the most frequent to the rarest and evenly by rank.

        Their probabilities are scaled to sum to 1; their names stay.
        """
        _check_size(size)
        seen = self.by_frequency[self.probabilities[self.by_frequency] > 0]
        picked = seen[np.linspace(0, seen.size - 1, min(size, seen.size)).round().astype(np.intp)]
        level = self.probabilities[picked]
        names = None if self.names is None else tuple(self.names[label] for label in picked)
        return LabelPrior(level / level.sum(), None, names)

    def slices(self) -> dict[str, Labels]:
        """Head, torso and tail: labels by name of slice, empty slices left out.

        With counts that reach both sides of them: more than 100, 20 to 100, fewer than 20 samples (Kang et
        al. 2020).  Otherwise by the 66 % and 33 % quantiles of label frequency (Rawat et al. 2021, section
        5.2).
        """
        if self.counts is not None and self.counts.max() > 100 and self.counts.min() < 20:
            level, high, low = self.counts, 100.0, 20.0
        else:
            level = self.probabilities
            high, low = (float(x) for x in np.quantile(level, [0.66, 0.33]))
        parts = {
            "head": np.flatnonzero(level > high),
            "torso": np.flatnonzero((level <= high) & (level >= low)),
            "tail": np.flatnonzero(level < low),
        }
        return {name: labels for name, labels in parts.items() if labels.size}

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        counts: Sequence[float] | None = None if self.counts is None else self.counts.tolist()
        return {
            "n_labels": self.n_labels,
            "probabilities": self.probabilities.tolist(),
            "counts": counts,
            "names": None if self.names is None else list(self.names),
        }

    def __repr__(self) -> str:
        total = "" if self.counts is None else f", {self.counts.sum():.0f} samples"
        low, high = self.probabilities.min(), self.probabilities.max()
        return f"LabelPrior({self.n_labels} labels, π from {high:.3g} to {low:.3g}{total})"


def _check_size(n_labels: int) -> None:
    if isinstance(n_labels, bool) or not isinstance(n_labels, (int, np.integer)) or n_labels < 1:
        raise ValueError(f"n_labels must be a whole number >= 1, got {n_labels}")
    if n_labels > MOST_LABELS:
        raise ValueError(f"n_labels must be at most {MOST_LABELS:,}, got {n_labels:,}")


def _check_profile(n_labels: int, largest: int, ratio: float) -> None:
    _check_size(n_labels)
    if not 1 <= largest <= MOST_SAMPLES / n_labels:
        raise ValueError(f"the largest count must lie between 1 and 2^53/n_labels, got {largest}")
    if not 1 <= ratio <= largest:
        raise ValueError(f"the ratio n_max/n_min must lie between 1 and n_max = {largest}, got {ratio}")


def _whole(x: Floats) -> Floats:
    # A quotient that is a whole number on paper may fall one rounding below it (500 * 100**-1.0).
    return np.floor(x * (1 + 1e-12))
