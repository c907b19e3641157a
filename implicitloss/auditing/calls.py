"""The examples of a call: what they have in common is not known, and so limits count a call once.

The contributions of a call's examples are added up, and limits are those of independent sums.  An adapter that calls
the loss for each example by itself makes each a call of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from implicitloss.auditing.blackbox import AsksEachAlone
from implicitloss.auditing.box import Box
from implicitloss.labels import Floats

__all__ = ["FEWEST_CALLS", "Examples", "means_vary", "ranks", "sums_of_calls"]

# The largest number of scores in a call after the pilot, and of examples of one positive or part in it; and the least
# number of calls, because limits have a term in the inverse of it.
SCORES_A_CALL, EXAMPLES_A_CALL, CALLS = 1 << 18, 8, 2048
# Where each example is a call of the loss: so many times the scores, and the largest number of examples.
SCORES_ALONE, EXAMPLES_ALONE = 2, 64
# The test for dependent examples wrongly reports dependence with this probability; it needs so many calls.
FALSE_DEPENDENCE, FEWEST_CALLS = 1e-9, 8


@dataclass(frozen=True)
class Examples:
    """How many examples of each positive or part a call has, `a_call`, and how many of them count `together`."""

    a_call: int
    together: int

    @classmethod
    def of(cls, box: Box, depend: bool, in_pilot: int, rows: int, runs: int) -> Examples:
        """The examples of calls of so many `rows`, for `runs` evaluations; a call of the pilot had `in_pilot`."""
        if depend:
            return cls(1, 1)
        fit = SCORES_A_CALL // (rows * box.question.prior.n_labels)
        if isinstance(box.loss_fn, AsksEachAlone):
            return cls(max(1, min(EXAMPLES_ALONE, SCORES_ALONE * fit)), 1)
        fit = min(EXAMPLES_A_CALL, in_pilot, fit, runs // CALLS)
        # A power of 2, so that calls of the pilot can be taken apart into as many.
        each = 1 << max(fit, 1).bit_length() - 1
        return cls(each, each)


def sums_of_calls(terms: Floats, together: int) -> Floats:
    """The sums of `together` terms (n, ...) that follow each other, (n/together, ...)."""
    return terms.reshape(-1, together, *terms.shape[1:]).sum(axis=1)


def ranks(terms: Floats) -> Floats:
    """The ranks of terms (rows, n, k) along n; equal ones share their mean rank."""
    ordered = np.moveaxis(np.sort(terms, axis=1), 1, 2)
    found = np.empty_like(terms)
    for row, k in np.ndindex(ordered.shape[:2]):
        ends = [np.searchsorted(ordered[row, k], terms[row, :, k], side) for side in ("left", "right")]
        found[row, :, k] = (ends[0] + ends[1] + 1) / 2
    return found


def means_vary(terms: Floats, a_call: int) -> bool:
    """Whether the means of calls of `a_call` terms, of the terms (rows, n, k), vary more than by chance."""
    rows, n, _ = terms.shape
    calls = n // a_call
    if a_call == 1 or calls < FEWEST_CALLS:
        return False
    terms = terms[:, : calls * a_call]
    means = terms.reshape(rows, calls, a_call, -1).mean(axis=2)
    variance = terms.var(axis=1, ddof=1)
    ratio = means.var(axis=1, ddof=1) * a_call / np.maximum(variance, 1e-300)
    limit = float(special.chdtri(calls - 1, FALSE_DEPENDENCE)) / (calls - 1)
    return bool(np.any((ratio > limit) & (variance > 0)))
