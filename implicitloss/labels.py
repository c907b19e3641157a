"""Label priors π, from counts or from a profile: EXP, STEP or Zipf.

One file: a prior, each way to make one (counts, a file, a profile), and the checks of what it is made from.
"""

from __future__ import annotations

import os
import re
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
from implicitloss.counts.extreme import MOST_LABELS
from implicitloss.counts.placed import Counts, by_id, by_name
from implicitloss.counts.table import as_numbers
from implicitloss.formats import nearest_name

__all__ = [
    "LAW_ROUNDING",
    "MOST_SAMPLES",
    "NO_LABELS",
    "Floats",
    "LabelPrior",
    "Labels",
    "checked_label",
    "checked_prior",
    "checked_unequal",
]

Floats = NDArray[np.float64]
Labels = NDArray[np.intp]
NO_LABELS: Labels = np.empty(0, dtype=np.intp)
NO_LABELS.setflags(write=False)

MOST_SAMPLES = 2.0**53
# The largest difference between a given probability and its label's share of the counts.
COUNTS_ROUNDING = 1e-9
# A law whose sum is 1 within this is left alone.
LAW_ROUNDING = 4 * float(np.finfo(np.float64).eps)
# So many names are worth an import of pandas.
MANY_NAMES = 100_000


@dataclass(frozen=True, eq=False, repr=False)
class LabelPrior:
    """The label distribution π, π_y = P(y), with the counts and names that it came from.

    Build one with `from_counts`, `from_probabilities`, `from_file`, `exp`, `step` or `zipf`.  A label with count 0
    keeps its place and has π = 0: it never occurs.

    Parameters
    ----------
    probabilities : array_like, (L,)
        π, summing to 1 within 1e-9; L >= 1.
    counts : array_like, (L,), optional
        The number of samples n_y of each label, in proportion to π.
    names : sequence of str, optional
        What reports call the labels: text or whole numbers, all different.

    Raises
    ------
    ValueError
        If π is no distribution, the counts are not in proportion to it, or a name repeats.

    Examples
    --------
    >>> import implicitloss as il
    >>> prior = il.LabelPrior([0.5, 0.3, 0.2], names=["dog", "cat", "owl"])
    >>> prior
    LabelPrior(3 labels, π from 0.5 to 0.2)
    >>> prior.name(2), prior.label("cat")
    ('owl', 1)
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
    def from_probabilities(cls, probabilities: ArrayLike | Mapping[str, float] | Mapping[int, float]) -> LabelPrior:
        """Make a prior from its probabilities π.

        Parameters
        ----------
        probabilities : array_like, (L,), dict or pandas Series
            π, summing to 1 within 1e-9.  Keys, and the index of a Series, are the labels, as for `from_counts`.

        Returns
        -------
        LabelPrior
            A prior without counts.

        Raises
        ------
        ValueError
            For a negative probability, or another sum.

        Examples
        --------
        >>> import implicitloss as il
        >>> il.LabelPrior.from_probabilities([0.7, 0.2, 0.1])
        LabelPrior(3 labels, π from 0.7 to 0.1)
        """
        labels = _labels_of(probabilities)
        if labels is None:
            return cls(checked_probabilities(probabilities, "the prior"))  # type: ignore[arg-type]
        values = list(probabilities.values()) if isinstance(probabilities, Mapping) else probabilities
        found = _placed(labels, checked_probabilities(values, "the prior", len(labels)))
        return cls(found.counts, None, found.names)

    @classmethod
    def from_counts(
        cls, counts: ArrayLike | Mapping[str, float] | Mapping[int, float], names: Sequence[str] | None = None
    ) -> LabelPrior:
        """Make the prior π_y = n_y / Σ_k n_k from the number of samples of each label.

        Parameters
        ----------
        counts : array_like, (L,), dict or pandas Series
            n, whole numbers >= 0 with a positive sum of at most 2⁵³.  The keys of a dict, and the index of a Series,
            are the labels: names stay in their order; whole numbers are ids, in any order, and an id that is missing
            has count 0, as in a file.
        names : sequence of str, optional
            What reports call the labels, where counts have no labels themselves.

        Returns
        -------
        LabelPrior
            The prior with these counts.

        Raises
        ------
        ValueError
            For counts that are negative, not whole or all 0, for names that repeat, and for labels that are neither
            all text nor all whole numbers.

        Examples
        --------
        >>> import implicitloss as il
        >>> prior = il.LabelPrior.from_counts([8, 4, 4, 0])
        >>> prior
        LabelPrior(4 labels, 1 of them never occurs, π from 0.5 to 0, 16 samples)
        >>> prior.probabilities
        array([0.5 , 0.25, 0.25, 0.  ])
        >>> il.LabelPrior.from_counts({"dog": 8, "cat": 4}).name(1), il.LabelPrior.from_counts({3: 8, 0: 4}).counts
        ('cat', array([4., 0., 0., 8.]))
        """
        labels = _labels_of(counts)
        if labels is None:
            n = _checked_counts(counts)  # type: ignore[arg-type]
            return cls._of_counts(n, names)
        if names is not None:
            raise ValueError("names must be given once: the keys or the index of these counts are names already")
        values = list(counts.values()) if isinstance(counts, Mapping) else counts
        found = _placed(labels, _checked_counts(values, len(labels)))
        return cls._of_counts(found.counts, found.names)

    @classmethod
    def _of_counts(cls, counts: Floats, names: Iterable[object] | None) -> LabelPrior:
        """The prior of counts that were checked, which are not checked again."""
        found = cls.__new__(cls)
        probabilities = counts / counts.sum()
        for array in (counts, probabilities):
            array.setflags(write=False)
        for field, value in (("probabilities", probabilities), ("counts", counts), ("names", None)):
            object.__setattr__(found, field, value)
        if names is not None:
            object.__setattr__(found, "names", _checked_names(names, counts.size))
        return found

    @classmethod
    def from_file(
        cls,
        path: str | os.PathLike[str],
        *,
        label: str | None = None,
        count: str | None = None,
        first_id: int = 0,
    ) -> LabelPrior:
        """Read label counts from a file; π_y = n_y / Σ n.

        Whole numbers are ids: id `first_id` + j is label j, rows come in any order, and ids that are missing have count
        0.  Other labels are names, and label j is row j.  These formats are read: text with commas, semicolons, tabs,
        bars or blanks, with a header or without, also pandas' `value_counts()` as written or printed; JSON lists, dicts
        and records; the categories of COCO and LVIS, in the order of their ids; .npy and .npz; Parquet, where pandas
        can; lists of examples (`path label`), which are counted; the format of the extreme-classification repository;
        each of these compressed with gzip, bzip2 or xz.

        Parameters
        ----------
        path : str or path-like
            The file.  What it holds decides how it is read, and not its name.
        label : str, optional
            The column of labels, by its name in the header; by default one with a usual name (label, class, id ...).
        count : str, optional
            The column of counts, likewise (count, freq, n ...).
        first_id : int
            The id of the first label, where labels are whole numbers.

        Returns
        -------
        LabelPrior
            The prior with these counts, and with names where labels are not numbered from 0.

        Raises
        ------
        ValueError
            With the file and the line, where the file cannot be read, or can be read in two ways: separators of
            thousands, a row of totals, shares in place of counts, two columns of counts.

        Examples
        --------
        >>> import pathlib, tempfile
        >>> import implicitloss as il
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = pathlib.Path(folder, "counts.csv")
        ...     _ = file.write_text("label,count\\n3,8\\n0,4\\n1,4\\n")
        ...     prior = il.LabelPrior.from_file(file)
        >>> prior.counts
        array([4., 4., 0., 8.])
        """
        from implicitloss.counts import read

        first = checked_whole(first_id, "first_id", 0, MOST_LABELS)
        for what, name in (("label", label), ("count", count)):
            if name is not None and not isinstance(name, str):
                raise ValueError(f"{what} must be the name of a column, got {shown(name)}")
        found = read(path, label=label, count=count, first_id=first)
        try:
            return cls.from_counts(found.counts, found.names)
        except ValueError as error:
            found.check_names()
            raise ValueError(f"{found.file}: {error}") from None

    @classmethod
    def from_csv(cls, path: str | os.PathLike[str]) -> LabelPrior:
        """Read label counts from a file: the earlier name of `from_file`.

        Parameters
        ----------
        path : str or path-like
            The file.

        Returns
        -------
        LabelPrior
            The prior with these counts.

        Raises
        ------
        ValueError
            As `from_file` does.

        Examples
        --------
        >>> import implicitloss as il
        >>> il.LabelPrior.from_csv("none.csv")
        Traceback (most recent call last):
        ValueError: cannot read none.csv: No such file or directory
        """
        return cls.from_file(path)

    @classmethod
    def exp(cls, n_labels: int, largest: int, ratio: float) -> LabelPrior:
        """Make the EXP profile: n_i = ⌊n_max ρ^{-i/(L-1)}⌋, i = 0, ..., L-1, where ρ = n_max/n_min.

        Parameters
        ----------
        n_labels : int
            L, the number of labels.
        largest : int
            n_max, the count of the most frequent label.
        ratio : float
            ρ, from 1 to n_max.

        Returns
        -------
        LabelPrior
            The prior with these counts, the most frequent label first.

        Raises
        ------
        ValueError
            If an argument is out of range.

        References
        ----------
        Cui et al. 2019; Cao et al. 2019.

        Examples
        --------
        The training labels of CIFAR-100-LT:

        >>> import implicitloss as il
        >>> il.LabelPrior.exp(100, largest=500, ratio=100)
        LabelPrior(100 labels, π from 0.0461 to 0.000461, 10847 samples)
        """
        n_labels, most, rho = _checked_profile(n_labels, largest, ratio)
        share = np.arange(n_labels) / max(n_labels - 1, 1)
        return cls.from_counts(_whole(most * rho**-share))

    @classmethod
    def step(cls, n_labels: int, largest: int, ratio: float) -> LabelPrior:
        """Make the STEP profile: the first ⌊L/2⌋ labels have n_max samples, the others ⌊n_max/ρ⌋.

        Parameters
        ----------
        n_labels : int
            L, the number of labels.
        largest : int
            n_max, the count of the frequent labels.
        ratio : float
            ρ, from 1 to n_max.

        Returns
        -------
        LabelPrior
            The prior with these counts.

        Raises
        ------
        ValueError
            If an argument is out of range.

        References
        ----------
        Buda et al. 2017; Cao et al. 2019.

        Examples
        --------
        >>> import implicitloss as il
        >>> il.LabelPrior.step(5, largest=500, ratio=100).counts
        array([500., 500.,   5.,   5.,   5.])
        """
        n_labels, most, rho = _checked_profile(n_labels, largest, ratio)
        rare = np.arange(n_labels) >= n_labels // 2
        return cls.from_counts(_whole(np.where(rare, most / rho, most)))

    @classmethod
    def zipf(cls, n_labels: int, exponent: float) -> LabelPrior:
        """Make a prior by Zipf's law: π_i ∝ i^{-s}, i = 1, ..., L.

        Parameters
        ----------
        n_labels : int
            L, the number of labels.
        exponent : float
            s >= 0; at 0 all labels are equally frequent.

        Returns
        -------
        LabelPrior
            The prior, without counts, the most frequent label first.

        Raises
        ------
        ValueError
            If an argument is out of range.

        Examples
        --------
        >>> import implicitloss as il
        >>> il.LabelPrior.zipf(1_000_000, exponent=1.0)
        LabelPrior(1000000 labels, π from 0.0695 to 6.95e-08)
        """
        n_labels = _checked_size(n_labels)
        exponent = checked_number(exponent, "the exponent", "a finite number >= 0", lambda s: s >= 0)
        with np.errstate(over="ignore"):
            weight = np.exp(-exponent * np.log(np.arange(1, n_labels + 1, dtype=np.float64)))
        return cls(weight / weight.sum())

    @property
    def n_labels(self) -> int:
        """The number of labels, L."""
        return int(self.probabilities.size)

    @property
    def n_occurring(self) -> int:
        """How many labels have π > 0."""
        return int(np.count_nonzero(self.probabilities))

    def name(self, label: int) -> str:
        """What reports call a label: its name, or its number where labels have no names.

        Parameters
        ----------
        label : int
            A label, from 0 to L - 1.

        Raises
        ------
        ValueError
            For anything else.
        """
        label = checked_label(label, self.n_labels, "the label")
        return str(label) if self.names is None else self.names[label]

    def label(self, name: str) -> int:
        """The number of the label that is called `name`.

        Parameters
        ----------
        name : str
            Its name, or its number in digits where labels have no names.

        Raises
        ------
        ValueError
            With the most similar name, where there is no such label.
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
            nearest = nearest_name(name, self.names)
            hint = f"; did you mean {shown(nearest)}?" if nearest else f"; the first is {shown(self.names[0])}"
            raise ValueError(f"none of the {self.n_labels} labels is called {shown(name)}{hint}") from None

    @cached_property
    def log(self) -> Floats:
        """The logarithm of π, (L,); -inf where π = 0."""
        with np.errstate(divide="ignore"):
            return np.log(self.probabilities)

    @cached_property
    def log_law(self) -> Floats:
        """The logarithm of π, (L,), as the law of a draw: less the log of the sum, where rounding takes it from 0."""
        # No exponential is near the limits: the largest probability is at least 1/L.
        log_sum = float(np.log(np.exp(self.log).sum()))
        return self.log - log_sum if abs(log_sum) > LAW_ROUNDING else self.log

    def log_over(self, label: int) -> Floats:
        """The logarithms log(π_y'/π_y), (L,), which round less than log π_y' - log π_y.

        Parameters
        ----------
        label : int
            y, with π_y > 0.
        """
        own = self.probabilities[label]
        with np.errstate(divide="ignore", over="ignore"):
            found = np.log(self.probabilities / own)
        return np.where(np.isposinf(found), self.log - self.log[label], found)

    @cached_property
    def by_frequency(self) -> Labels:
        """The labels from the most to the least frequent, (L,); ties keep their order."""
        return np.argsort(-self.probabilities, kind="stable")

    def few(self, size: int) -> LabelPrior:
        """A smaller prior, of labels that occur: the most frequent, the rarest, and others evenly by rank.

        Their probabilities are scaled to sum to 1; their names stay, their counts do not.

        Parameters
        ----------
        size : int
            How many labels, if so many occur.

        Returns
        -------
        LabelPrior
            The smaller prior, the most frequent label first.

        Raises
        ------
        ValueError
            For a size below 1.

        Examples
        --------
        >>> import implicitloss as il
        >>> il.LabelPrior.from_counts([1, 0, 5, 3, 4, 2], names=list("abcdef")).few(3).names
        ('c', 'd', 'a')
        """
        size = _checked_size(size, "size")
        seen = self.by_frequency[self.probabilities[self.by_frequency] > 0]
        picked = seen[np.linspace(0, seen.size - 1, min(size, seen.size)).round().astype(np.intp)]
        level = self.probabilities[picked]
        names = None if self.names is None else tuple(self.names[label] for label in picked)
        return LabelPrior(level / level.sum(), None, names)

    def slices(self) -> dict[str, Labels]:
        """Split the labels into head, torso and tail, by frequency.

        If there are counts both above 100 and below 20: more than 100, 20 to 100, and fewer than 20 samples.  Otherwise
        the 66 % and the 33 % quantile of π divide them.

        Returns
        -------
        dict of str to ndarray
            The labels of "head", "torso" and "tail"; an empty slice is left out.

        References
        ----------
        Rawat et al. 2021, section 5.1 (after Kang et al. 2020) and section 5.2.

        Examples
        --------
        >>> import implicitloss as il
        >>> il.LabelPrior.from_counts([300, 150, 60, 40, 6, 3]).slices()
        {'head': array([0, 1]), 'torso': array([2, 3]), 'tail': array([4, 5])}
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

    def middle(self, labels: Labels) -> int | None:
        """The label of median frequency among those of `labels` that occur; None where none does."""
        ranked = labels[np.argsort(-self.probabilities[labels], kind="stable")]
        there = ranked[self.probabilities[ranked] > 0]
        return int(there[there.size // 2]) if there.size else None

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
    """`prior`; *raises* ValueError for probabilities, counts, or anything else that is no LabelPrior."""
    return checked_instance(prior, LabelPrior, "the prior", "LabelPrior.from_counts(...)")


def checked_unequal(prior: LabelPrior, what: str, source: str, least: int = 2) -> LabelPrior:
    """`prior`; *raises* ValueError unless it has `least` labels, some of them more frequent than others.

    `what` needs them, and `source` is what the prior was made from.
    """
    if prior.n_labels < least or np.ptp(prior.probabilities) == 0:
        labels = "1 label" if prior.n_labels == 1 else f"{prior.n_labels:,} labels"
        got = f"{labels} of the same count" if prior.n_labels >= least else labels
        raise ValueError(f"{what} at least {least} labels of different frequency, got {got} in {source:.120}")
    return prior


def checked_label(label: int, n_labels: int, what: str) -> int:
    """`label` as an int from 0 to `n_labels` - 1."""
    whole = as_whole(label)
    if whole is None:
        raise ValueError(f"{what} must be a whole number, got {shown(label)}")
    if not 0 <= whole < n_labels:
        raise ValueError(f"{what} must be a label from 0 to {n_labels - 1}, got {shown(whole)}")
    return whole


def _labels_of(counts: Any) -> list[Any] | None:
    """The keys of a dict, or the index of a Series; None for counts without labels, as of an index 0, 1, ..., L - 1."""
    if isinstance(counts, Mapping):
        return list(counts)
    index = getattr(counts, "index", None)
    if index is None or callable(index) or getattr(counts, "ndim", 1) != 1:
        return None
    labels = list(index)
    return None if labels == list(range(len(labels))) else labels


def _placed(labels: list[Any], counts: Floats) -> Counts:
    """The counts by id if all labels are whole numbers, or text that says such, or else by name."""
    wholes = [as_whole(label) for label in labels]
    are_names = all(isinstance(label, str) for label in labels)
    numbers = as_numbers(labels) if are_names else None
    if numbers is not None and numbers.dtype.kind == "i":
        wholes = numbers.tolist()

    def where(i: int) -> str:
        return f"counts, entry {i}"

    if None not in wholes:
        return by_id(np.array(wholes, dtype=np.int64), counts, where, 0)
    if not are_names:
        odd = next(label for label in labels if not isinstance(label, str))
        raise ValueError(f"the labels of counts must be all text or all whole numbers, got {shown(odd)} among them")
    return by_name(labels, counts, where)


def _checked_counts(counts: ArrayLike, n_labels: int | None = None) -> Floats:
    n = checked_vector(counts, "counts", n_labels)
    if n.min() < 0:
        worst = int(np.argmin(n))
        raise ValueError(f"counts must not be negative, but label {worst} has {n[worst]:g}")
    is_broken = n != np.floor(n)
    if is_broken.any():
        broken = np.flatnonzero(is_broken)
        raise ValueError(
            f"counts must be whole numbers, but label {broken[0]} has {n[broken[0]]:g}; "
            "use from_probabilities for anything else"
        )
    with np.errstate(over="ignore"):
        total = n.sum()
    if n.max() > MOST_SAMPLES or total > MOST_SAMPLES:
        raise ValueError(f"counts must sum to at most 2^53, where floats stop counting, got {n.max():g} and more")
    if total == 0:
        raise ValueError(f"counts must not all be zero, and all {n.size} are")
    return n


def _checked_names(names: Iterable[object], n_labels: int) -> tuple[str, ...]:
    alone = isinstance(names, (str, bytes, Mapping)) or getattr(names, "ndim", 1) == 0
    if alone or not isinstance(names, Iterable):
        raise ValueError(f"names must be a list of text, one a label, got {shown(names)}")
    given = names if type(names) is tuple else tuple(islice(names, n_labels + 1))
    if len(given) == n_labels and set(map(type, given)) == {str} and _differ(given):
        return given  # type: ignore[return-value]
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


def _differ(names: tuple[object, ...]) -> bool:
    """Whether all names differ: of many, their hashes, which are compared faster than a set is filled."""
    if len(names) >= MANY_NAMES:
        import pandas as pd

        if pd.Index(np.fromiter(map(hash, names), dtype=np.int64, count=len(names))).is_unique:
            return True
    return len(set(names)) == len(names)


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
    # Rounding may leave a whole number just below itself (500 * 100**-1.0).
    return np.floor(x * (1 + 1e-12))
