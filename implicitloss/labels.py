"""Label priors π: where the long tail comes from.

A prior is a probability for each of L labels, with the counts it came from where there are any.  Profiles:
EXP and STEP (Cui et al. 2019; Cao et al. 2019) and Zipf.

One file: a prior, each way to make one (counts, a file, a profile), and the checks of what it is made from.
"""

from __future__ import annotations

import csv
import difflib
import os
import re
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from implicitloss.arguments import (
    as_whole,
    checked_instance,
    checked_number,
    checked_whole,
    shown,
)
from implicitloss.arguments import checked_probabilities as checked_probabilities
from implicitloss.arguments import checked_vector as checked_vector

__all__ = ["LabelPrior"]

Floats = NDArray[np.float64]
Labels = NDArray[np.intp]

MOST_SAMPLES = 2.0**53
# How far probabilities may lie from those of the counts that they are given with.
COUNTS_ROUNDING = 1e-9
# Profiles are made in memory, at several vectors of eight bytes a label.
MOST_LABELS = 100_000_000


@dataclass(frozen=True, eq=False, repr=False)
class LabelPrior:
    """The label distribution π (L,), π_y = P(y) summing to 1; its counts n (L,) and names if it came from data.

    Build one with `from_counts`, `from_probabilities`, `from_csv`, `exp`, `step` or `zipf`.  A label with
    count 0 keeps its place with π = 0: it never occurs, `n_occurring` leaves it out, and the repr says so.  One label
    alone is a prior too.  Names are text or whole numbers, each once.  *Raises* ValueError for anything that is not a
    distribution, for counts that are not in proportion to it, and for names that repeat.
    """

    probabilities: Floats
    counts: Floats | None = None
    names: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "probabilities", checked_probabilities(self.probabilities, "the prior"))
        if self.counts is not None:
            counts = _checked_counts(self.counts, self.n_labels)
            off = np.abs(counts / counts.sum() - self.probabilities)
            if off.max() > COUNTS_ROUNDING:
                label = int(off.argmax())
                raise ValueError(
                    f"counts must be in proportion to the probabilities, but label {label} has {counts[label]:g} of "
                    f"{counts.sum():g} samples and probability {self.probabilities[label]:.6g}"
                )
            object.__setattr__(self, "counts", counts)
        if self.names is not None:
            object.__setattr__(self, "names", _checked_names(self.names, self.n_labels))

    @classmethod
    def from_probabilities(cls, probabilities: ArrayLike) -> LabelPrior:
        """π itself, (L,), summing to 1 within 1e-9."""
        return cls(checked_probabilities(probabilities, "the prior"))

    @classmethod
    def from_counts(cls, counts: ArrayLike, names: Sequence[str] | None = None) -> LabelPrior:
        """π_y = n_y / Σ n from the number of samples n_y of each label, whole numbers, (L,); `names` for reports."""
        n = _checked_counts(counts)
        return cls(n / n.sum(), n, names)  # type: ignore[arg-type]

    @classmethod
    def from_csv(cls, path: str | os.PathLike[str]) -> LabelPrior:
        """Counts and names from a CSV file with the header `label,count` and a line for each label.

        Label j is line j of the file, whatever its name: lines are in the order of the scores.

        *Raises* ValueError, naming file and line, for anything else.
        """
        if not isinstance(path, (str, os.PathLike)):
            raise ValueError(f"the path must be text or a pathlib.Path, got {shown(path)}")
        counts: list[float] = []
        seen: dict[str, int] = {}
        if _is_endless(path):
            raise ValueError(f"{_shown_path(path)} is a device that may never end; give a file")
        try:
            opened = open(path, newline="", encoding="utf-8-sig")  # noqa: SIM115
        except OSError as error:
            raise ValueError(f"cannot read {_shown_path(path)}: {error.strerror}") from None
        except ValueError:  # a NUL or half a character in it
            raise ValueError(f"cannot read {_shown_path(path)}: no file can have this name") from None
        path = _shown_path(path)
        try:
            with opened as file:
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
                        raise ValueError(f"{where}: label {shown(label)} was on line {seen[label]} already")
                    seen[label] = reader.line_num
                    try:
                        # float() reads 1_000; a CSV file of another program means something else by it.
                        count = float(text.replace("_", "?"))
                    except ValueError:
                        raise ValueError(f"{where}: the count must be a number, got {shown(text)}") from None
                    if not (np.isfinite(count) and count >= 0 and count == int(count)):
                        raise ValueError(f"{where}: the count must be a whole number >= 0, got {text:.60}")
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
        n_labels, most, rho = _checked_profile(n_labels, largest, ratio)
        share = np.arange(n_labels) / max(n_labels - 1, 1)
        return cls.from_counts(_whole(most * rho**-share))

    @classmethod
    def step(cls, n_labels: int, largest: int, ratio: float) -> LabelPrior:
        """The STEP profile: the first ⌊L/2⌋ labels have n_max samples, the others ⌊n_max/ρ⌋.

        *Source:* Buda et al. 2017; Cao et al. 2019.
        """
        n_labels, most, rho = _checked_profile(n_labels, largest, ratio)
        rare = np.arange(n_labels) >= n_labels // 2
        return cls.from_counts(_whole(np.where(rare, most / rho, most)))

    @classmethod
    def zipf(cls, n_labels: int, exponent: float) -> LabelPrior:
        """Zipf's law: π_i ∝ i^{-s}, i = 1..L, s = `exponent` >= 0."""
        n_labels = _checked_size(n_labels)
        exponent = checked_number(exponent, "the exponent", "a finite number >= 0", lambda s: s >= 0)
        with np.errstate(over="ignore"):
            weight = np.exp(-exponent * np.log(np.arange(1, n_labels + 1, dtype=np.float64)))
        return cls(weight / weight.sum())

    @property
    def n_labels(self) -> int:
        """L."""
        return int(self.probabilities.size)

    @property
    def n_occurring(self) -> int:
        """How many labels have π > 0."""
        return int(np.count_nonzero(self.probabilities))

    def name(self, label: int) -> str:
        """What reports call a label: its name, or its number."""
        label = checked_label(label, self.n_labels, "the label")
        return str(label) if self.names is None else self.names[label]

    def label(self, name: str) -> int:
        """The label called `name`; where labels have no names, its number from 0 to L-1.

        *Raises* ValueError, with the nearest name, where there is none.
        """
        if not isinstance(name, str):
            raise ValueError(f"a label's name must be text, got {shown(name)}")
        if self.names is None:
            if not re.fullmatch(r"\s*\d{1,18}\s*", name) or int(name) >= self.n_labels:
                raise ValueError(f"the positive must be a label from 0 to {self.n_labels - 1}, got {shown(name)}")
            return int(name)
        try:
            return self.names.index(name)
        except ValueError:
            nearest = difflib.get_close_matches(name[:200], self.names, n=1)
            hint = f"; did you mean {shown(nearest[0])}?" if nearest else f"; the first is {shown(self.names[0])}"
            raise ValueError(f"none of the {self.n_labels} labels is called {shown(name)}{hint}") from None

    @cached_property
    def log(self) -> Floats:
        """log π, (L,); -inf where π = 0."""
        with np.errstate(divide="ignore"):
            return np.log(self.probabilities)

    def log_over(self, label: int) -> Floats:
        """log π/π_y for y = `label`, (L,), π_y > 0: of the quotient, for logarithms round by their size."""
        own = self.probabilities[label]
        with np.errstate(divide="ignore", over="ignore"):
            found = np.log(self.probabilities / own)
        return np.where(np.isposinf(found), self.log - self.log[label], found)

    @cached_property
    def by_frequency(self) -> Labels:
        """The labels from the most to the least frequent, (L,); ties keep their order."""
        return np.argsort(-self.probabilities, kind="stable")

    def few(self, size: int) -> LabelPrior:
        """A prior of at most `size` of the labels that occur, from the most frequent to the rarest and evenly by rank.

        Their probabilities are scaled to sum to 1; their names stay.
        """
        size = _checked_size(size, "size")
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
            "n_occurring": self.n_occurring,
            "probabilities": self.probabilities.tolist(),
            "counts": counts,
            "names": None if self.names is None else list(self.names),
        }

    def __repr__(self) -> str:
        total = "" if self.counts is None else f", {self.counts.sum():.0f} samples"
        low, high = self.probabilities.min(), self.probabilities.max()
        span = f"π from {high:.3g} to {low:.3g}"
        absent = self.n_labels - self.n_occurring
        never = f", {absent} of them never occur{'s' * (absent == 1)}" if absent else ""
        return f"LabelPrior({self.n_labels} label{'s' * (self.n_labels > 1)}{never}, {span}{total})"


def checked_prior(prior: LabelPrior) -> LabelPrior:
    """`prior`; *raises* ValueError for an array, counts, or anything else that is no LabelPrior."""
    return checked_instance(prior, LabelPrior, "the prior", "LabelPrior.from_counts(...)")


def checked_label(label: int, n_labels: int, what: str) -> int:
    """`label` as an int from 0 to `n_labels` - 1."""
    whole = as_whole(label)
    if whole is None:
        raise ValueError(f"{what} must be a whole number, got {shown(label)}")
    if not 0 <= whole < n_labels:
        raise ValueError(f"{what} must be a label from 0 to {n_labels - 1}, got {shown(whole)}")
    return whole


def _checked_counts(counts: ArrayLike, n_labels: int | None = None) -> Floats:
    n = checked_vector(counts, "counts", n_labels)
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
    if n.sum() == 0:
        raise ValueError(f"counts must not all be zero, and all {n.size} are")
    return n


def _is_endless(path: str | os.PathLike[str]) -> bool:
    """Whether `path` is a device such as /dev/zero; a terminal or a pipe is read until it ends."""
    try:
        return stat.S_ISCHR(os.stat(path).st_mode) and os.path.basename(path) in ("zero", "random", "urandom", "full")
    except (OSError, ValueError):
        return False


def _checked_names(names: Iterable[object], n_labels: int) -> tuple[str, ...]:
    alone = isinstance(names, (str, bytes, Mapping)) or getattr(names, "ndim", 1) == 0
    if alone or not isinstance(names, Iterable):
        raise ValueError(f"names must be a list of text, one a label, got {shown(names)}")
    given = tuple(islice(names, n_labels + 1))
    if len(given) != n_labels:
        more = " or more" * (len(given) > n_labels)
        raise ValueError(f"the prior's {n_labels} labels need a name each, got {len(given)}{more}")
    first: dict[str, int] = {}
    for label, name in enumerate(given):
        if not isinstance(name, str) and as_whole(name) is None:
            raise ValueError(f"names must be text or whole numbers, but label {label} has {shown(name)}")
        if first.setdefault(str(name), label) != label:
            raise ValueError(
                f"names must differ, but labels {first[str(name)]} and {label} are both called {shown(str(name))}"
            )
    return tuple(first)


def _shown_path(path: object) -> str:
    text = " ".join(str(path).split())
    return text if text.isprintable() and len(text) <= 160 else shown(f"...{text[-50:]}")


def _checked_size(n_labels: int, what: str = "n_labels") -> int:
    return checked_whole(n_labels, what, 1, MOST_LABELS)


def _checked_profile(n_labels: int, largest: float, ratio: float) -> tuple[int, float, float]:
    n_labels = _checked_size(n_labels)
    largest = checked_number(
        largest, "the largest count", "between 1 and 2^53/n_labels", lambda x: 1 <= x <= MOST_SAMPLES / n_labels
    )
    ratio = checked_number(
        ratio, "the ratio n_max/n_min", f"between 1 and n_max = {largest:g}", lambda x: 1 <= x <= largest
    )
    return n_labels, largest, ratio


def _whole(x: Floats) -> Floats:
    # A quotient that is a whole number on paper may fall one rounding below it (500 * 100**-1.0).
    return np.floor(x * (1 + 1e-12))
