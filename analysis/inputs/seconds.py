"""What scores, rows and draws take on this machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from statistics import mean, median

import numpy as np
from numpy.typing import NDArray

from analysis.inputs.embeddings import Embeddings
from implicitloss.kernels.kept import multiply_places
from implicitloss.samplers import Clustered, Sampler, Whole

REPEATS, ROWS = 31, 4096
# What takes microseconds is measured more often, at these numbers of draws, or of kept rows.
OFTEN, FEW, MANY = 301, 128, 2048
# Beside kept clusters draws are few, and take longer each.
FEWER_DRAWS, SOME = 16, 128


@dataclass(frozen=True)
class Seconds:
    """Seconds of: all scores of a query, a row in no order, a row of a block, and by sampler what queries take.

    That is `law` for a query, with the choice of the best clusters where some are kept, `draw` for each draw with its
    row, and `kept` for each row of kept clusters.
    """

    full: float
    random_row: float
    row: float
    law: dict[str, float]
    kept: dict[str, float]
    draw: dict[str, float]

    @classmethod
    def measured(
        cls, found: Embeddings, made: Mapping[str, Callable[[int], Sampler]], two_level: str, keeping: Collection[str]
    ) -> Seconds:
        """The medians of a few measurements, of queries' samplers by name, vectors in single precision.

        What a sampler takes is that of whole queries, one after another, with few draws and with many: parts that are
        timed alone find all they need in the cache, and are too fast.
        """
        w = found.vectors.astype(np.float32)
        h = found.queries.astype(np.float32)
        rng = np.random.default_rng(0)
        several, most = min(ROWS, len(w)), min(MANY, len(w) - 1)
        order = cycle([rng.integers(len(w), size=several) for _ in range(REPEATS + 1)])
        starts = cycle(rng.integers(len(w) - several + 1, size=REPEATS + 1))
        law, kept, draw = {}, {}, {}
        row = taken(lambda: w[(i := next(starts)) : i + several] @ h[0]) / several
        for name, make in made.items():
            # A draw of a cluster is a step of one of a label.
            of = made[two_level] if isinstance(make(0), Whole) else make
            query = _query(found, of, w, h, rng)
            least, some = (FEWER_DRAWS, SOME) if name in keeping else (FEW, MANY)
            few, more = (taken(partial(query, m, 0), OFTEN) for m in (least, some))
            draw[name] = (more - few) / (some - least)
            law[name] = few - least * draw[name]
            if name in keeping:
                read: list[int] = []
                more = taken(lambda query=query, read=read: read.append(query(FEWER_DRAWS, most)), OFTEN)  # type: ignore[misc]
                kept[name] = max((more - few) / max(mean(read), 1), row)
        return cls(
            full=taken(lambda: w @ h[0]),
            random_row=taken(lambda: multiply_places(w, next(order), h[0], np.empty(several))) / several,
            row=row,
            law=law,
            kept=kept,
            draw=draw,
        )


def _query(
    found: Embeddings,
    make: Callable[[int], Sampler],
    w: NDArray[np.float32],
    h: NDArray[np.float32],
    rng: np.random.Generator,
) -> Callable[[int, int], int]:
    """What draws m labels for the next query, with log q where it differs, and scores them and kept clusters' labels.

    It returns how many were kept of at most so many.
    """
    queries, sampler = cycle(range(len(h))), make(0)
    if isinstance(sampler, Clustered):
        index = sampler.index
        return lambda m, most: index.keep_and_draw(found.queries[next(queries)], m, most, rng=rng)[0].size - m
    drawn = sampler.procedure(found.problem(0))

    def query(m: int, most: int) -> int:
        labels = drawn(rng, m)
        multiply_places(w, labels, h[next(queries)], np.empty(m))
        return 0

    return query


def taken(work: Callable[[], object], repeats: int = REPEATS) -> float:
    """The median of a few runs after one that warms up."""
    found = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        work()
        found.append(time.perf_counter() - start)
    return median(found[1:])
