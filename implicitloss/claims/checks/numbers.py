"""Numbers with their errors, as checks compare and show them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from implicitloss.claims.case import Setting
from implicitloss.estimate import Estimate
from implicitloss.labels import Floats

__all__ = ["Cases", "Number", "coincide", "entry_of", "with_error"]

Number = float | Floats | Estimate
Cases = Callable[[Setting], Sequence[Any]]


def coincide(
    cases: Sequence[Any],
    miss: Callable[[Any], Number],
    claimed: Callable[[Any], Number],
    within: Callable[[Any], float],
) -> bool:
    """Whether a near miss says what the claim says in every case here (m = 1 and a lost m), and so is not false.

    `within` is the difference that a check is not made to see in a case.
    """
    return all(
        np.allclose(with_error(miss(case))[0], with_error(claimed(case))[0], rtol=1e-12, atol=within(case))
        for case in cases
    )


def with_error(number: Number) -> tuple[Floats, Floats]:
    """Value and error of an estimate; of a plain number its rounding."""
    if isinstance(number, Estimate):
        return np.asarray(number.value, dtype=np.float64), np.asarray(number.error, dtype=np.float64)
    value = np.asarray(number, dtype=np.float64)
    return value, np.abs(value) * 4 * np.finfo(np.float64).eps


def entry_of(value: Floats, at: int) -> float:
    """The entry `at` of a vector; a single number stands for all entries."""
    return float(np.ravel(value)[min(at, value.size - 1)])
