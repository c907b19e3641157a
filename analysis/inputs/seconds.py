"""What scores, rows and draws take on this machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median

import numpy as np

from analysis.inputs.embeddings import Embeddings
from implicitloss.problem import Problem
from implicitloss.samplers import Clustered, Sampler, Whole

REPEATS, ROWS = 31, 4096


@dataclass(frozen=True)
class Seconds:
    """Seconds of: all scores of a query, a row in no order, a row of a block, the law of clusters, draws by sampler."""

    full: float
    random_row: float
    row: float
    law: float
    draw: dict[str, float]

    @classmethod
    def measured(cls, found: Embeddings, made: Mapping[str, Callable[[], Sampler]], two_level: str) -> Seconds:
        """The medians of a few measurements, of a query's samplers by name, vectors in single precision."""
        w = found.vectors.astype(np.float32)
        h = found.queries[0].astype(np.float32)
        rng = np.random.default_rng(0)
        several = min(ROWS, len(w))
        order = iter([rng.integers(len(w), size=several) for _ in range(REPEATS + 1)])
        starts = iter(rng.integers(len(w) - several + 1, size=REPEATS + 1))
        problem, draws = found.problem(0), {}
        for name, make in made.items():
            # A draw of a cluster is a step of one of a label.
            sampler = made[two_level]() if isinstance(make(), Whole) else make()
            drawn = _drawn(sampler, problem)
            draws[name] = taken(lambda drawn=drawn: drawn(rng, several)) / several  # type: ignore[misc]
        return cls(
            full=taken(lambda: w @ h),
            random_row=taken(lambda: w.take(next(order), axis=0) @ h) / several,
            row=taken(lambda: w[(i := next(starts)) : i + several] @ h) / several,
            law=taken(lambda: _drawn(made[two_level](), problem)(rng, 1)),
            draw=draws,
        )


def _drawn(sampler: Sampler, problem: Problem) -> Callable[[np.random.Generator, int], object]:
    """What draws labels, and says log q of each where that differs from label to label at a query."""
    if isinstance(sampler, Clustered):
        return lambda rng, size: sampler.draw(size, rng)
    return sampler.procedure(problem)


def taken(work: Callable[[], object]) -> float:
    """The median of a few runs after one that warms up."""
    found = []
    for _ in range(REPEATS + 1):
        start = time.perf_counter()
        work()
        found.append(time.perf_counter() - start)
    return median(found[1:])
