"""The examples of a call: what they have in common is not known, and so limits count a call once.

The contributions of a call's examples are added up, and limits are those of independent sums.  An adapter that calls
the loss for each example by itself makes each a call of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

from implicitloss.auditing.blackbox import AsksEachAlone
from implicitloss.auditing.box import Box
from implicitloss.labels import Floats

__all__ = ["Examples", "sums_of_calls"]

# The largest number of scores in a call after the pilot, and of examples of one positive or part in it; and the least
# number of calls, because limits have a term in the inverse of it.
SCORES_A_CALL, EXAMPLES_A_CALL, CALLS = 1 << 18, 8, 2048
# Where each example is a call of the loss: so many times the scores, and the largest number of examples.
SCORES_ALONE, EXAMPLES_ALONE = 2, 64


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
