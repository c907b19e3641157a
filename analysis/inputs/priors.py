"""The priors of studies on real counts: the given one, Zipf's law of 100,000 labels, and files of counts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache

from implicitloss.labels import LabelPrior, checked_unequal

__all__ = ["check_files", "named", "names_of", "read"]

ZIPF, N_LABELS = "Zipf", 100_000


def names_of(given: LabelPrior, quick: bool, data: Sequence[str]) -> list[tuple[str, bool]]:
    """The priors of a study, and whether each is a file; *raises* ValueError as `check_files` does."""
    check_files(data)
    own = [("given", False)] if quick else [("given", False), (ZIPF, False)]
    return [*(own if not data else own[1:]), *((path, True) for path in data)]


def named(name: str, is_file: bool, given: LabelPrior) -> LabelPrior:
    """The prior of that name, or of that file, without labels of count 0."""
    if name == "given":
        return given
    return read(name) if is_file else _zipf()


def check_files(data: Sequence[str]) -> None:
    """*Raises* ValueError for files of counts that no study of tilts takes, and for two of the same name."""
    for path in data:
        checked_unequal(read(path), "tilts need", path)
    if len({os.path.basename(path) for path in data}) < len(data):
        raise ValueError(f"the files' names are those of rows and must differ, got {', '.join(data)}")


@lru_cache(maxsize=1)
def _zipf() -> LabelPrior:
    return LabelPrior.zipf(N_LABELS, 1.0)


@lru_cache(maxsize=8)
def read(path: str) -> LabelPrior:
    """The counts of a file, without labels of count 0."""
    prior = LabelPrior.from_file(path)
    assert prior.counts is not None
    return LabelPrior.from_counts(prior.counts[prior.counts > 0])
