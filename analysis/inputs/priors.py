"""The priors of studies on real counts: the given one, Zipf's law of 100,000 labels, and files of counts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache

from implicitloss.labels import LabelPrior, checked_unequal

__all__ = ["named", "names_of"]

ZIPF, N_LABELS = "Zipf", 100_000


def names_of(given: LabelPrior, quick: bool, data: Sequence[str]) -> list[tuple[str, bool]]:
    """The priors of a study, and whether each is a file; *raises* ValueError for files that no study of tilts takes."""
    for path in data:
        checked_unequal(named(path, True, given), "tilts need", path)
    if len({os.path.basename(path) for path in data}) < len(data):
        raise ValueError(f"the files' names are those of rows and must differ, got {', '.join(data)}")
    own = [("given", False)] if quick else [("given", False), (ZIPF, False)]
    return [*(own if not data else own[1:]), *((path, True) for path in data)]


def named(name: str, is_file: bool, given: LabelPrior) -> LabelPrior:
    """The prior of that name, or of that file, without labels of count 0."""
    if name == "given":
        return given
    return _read(name) if is_file else _zipf()


@lru_cache(maxsize=1)
def _zipf() -> LabelPrior:
    return LabelPrior.zipf(N_LABELS, 1.0)


@lru_cache(maxsize=8)
def _read(path: str) -> LabelPrior:
    prior = LabelPrior.from_file(path)
    assert prior.counts is not None
    return LabelPrior.from_counts(prior.counts[prior.counts > 0])
