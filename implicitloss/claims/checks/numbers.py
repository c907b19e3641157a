"""Numbers with their errors, as checks compare and show them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from implicitloss.claims.case import Setting
from implicitloss.estimate import Estimate
from implicitloss.labels import Floats

__all__ = ["Cases", "Number", "Numbers", "coincide", "entry_of", "with_error"]

Number = float | Floats | Estimate
Cases = Callable[[Setting], Sequence[Any]]


class Numbers:
    """A number of each case with its error, computed when it is first asked for, and once."""

    def __init__(self, number: Callable[[Any], Number], cases: Sequence[Any]) -> None:
        self._number, self._cases = number, cases
        self._found: dict[int, tuple[Floats, Floats]] = {}

    def __getitem__(self, i: int) -> tuple[Floats, Floats]:
        if i not in self._found:
            self._found[i] = with_error(self._number(self._cases[i]))
        return self._found[i]


def coincide(miss: Numbers, claimed: Numbers, within: Sequence[float]) -> bool:
    """Whether a near miss says what the claim says in every case here (m = 1 and a lost m), and so is not false.

    `within` is the difference that a check is not made to see in each case.
    """
    return all(np.allclose(miss[i][0], claimed[i][0], rtol=1e-12, atol=unseen) for i, unseen in enumerate(within))


def with_error(number: Number) -> tuple[Floats, Floats]:
    """Value and error of an estimate; of a plain number its rounding."""
    if isinstance(number, Estimate):
        return np.asarray(number.value, dtype=np.float64), np.asarray(number.error, dtype=np.float64)
    value = np.asarray(number, dtype=np.float64)
    return value, np.abs(value) * 4 * np.finfo(np.float64).eps


def entry_of(value: Floats, at: int) -> float:
    """The entry `at` of a vector; a single number stands for all entries."""
    return float(np.ravel(value)[min(at, value.size - 1)])
