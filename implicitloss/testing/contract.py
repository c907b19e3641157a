"""What the checks of samplers, weightings and losses have in common."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from implicitloss.arguments import shown
from implicitloss.labels import Floats, LabelPrior
from implicitloss.problem import Problem, checked_problem

__all__ = ["AGREE", "MOST_SYMBOLIC_LABELS", "as_assertion", "check_equal", "check_value", "must", "problems"]

# How far two computations of one number may differ, relative to it.
AGREE = 1e-10
# Labels of a problem for which symbols, whose sums are written out for each, are compared.
MOST_SYMBOLIC_LABELS = 64


@contextmanager
def as_assertion() -> Iterator[None]:
    """What the library refuses, and a method that takes other arguments, is an assertion that failed."""
    try:
        yield
    except (ValueError, TypeError) as error:
        raise AssertionError(" ".join(str(error).split())) from error


def must(holds: object, sentence: str) -> None:
    """*Raises* AssertionError, with the sentence, unless it holds."""
    if not holds:
        raise AssertionError(sentence)


def check_value(part: Any, what: str) -> None:
    """*Raises* AssertionError unless a copy of the part is equal to it and has the same hash."""
    twin = copy.deepcopy(part)
    equal = bool(twin == part) and hash(twin) == hash(part)
    must(
        equal,
        f"equal {what}s must be equal and have equal hashes, but a copy of {shown(part)} is another: "
        f"give {type(part).__name__:.60} @dataclass(frozen=True)",
    )


def problems(problem: Problem | None) -> list[Problem]:
    """The problem for its own positive, the first label and the last; by default four labels, each positive in turn."""
    if problem is None:
        prior, scores = LabelPrior.from_counts([8, 4, 3, 1]), np.array([0.3, -0.4, 1.25, -1.75])
        return [Problem(scores, prior, y) for y in range(4)]
    at = checked_problem(problem)
    positives = dict.fromkeys((at.positive, 0, at.prior.n_labels - 1))
    return [Problem(at.scores, at.prior, y) for y in positives if at.prior.probabilities[y] > 0]


def check_equal(
    found: Floats, expected: Floats, allowed: Floats | float, sentence: Callable[[int], str], labels: Iterable[int]
) -> None:
    """*Raises* AssertionError, with the `sentence` of the first label whose two numbers are further apart."""
    picked = np.array(list(labels), dtype=np.intp)
    with np.errstate(invalid="ignore"):
        apart = np.where(found == expected, 0.0, np.abs(found - expected))
    bad = picked[~(apart <= allowed)[picked]]
    if bad.size:
        j = int(bad[0])
        raise AssertionError(f"{sentence(j)}, got {found[j]:.10g} and {expected[j]:.10g}")
