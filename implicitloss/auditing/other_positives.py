"""Other positives of an example under audit: labels that are right for it too, and are not to count as negatives."""

from __future__ import annotations

import numpy as np

from implicitloss.auditing.finding import Flaw, Note
from implicitloss.auditing.pilot import Pilot
from implicitloss.auditing.question import Question
from implicitloss.labels import Labels

__all__ = ["counted_positives"]

LISTED = 3


def counted_positives(question: Question, pilot: Pilot) -> tuple[tuple[Flaw, ...], list[Note]]:
    """The flaw of a loss that counts other positives as negatives, beside the first positive at which it does.

    A note instead where nothing is claimed, and where they count as draws and are claimed to: hits are kept.
    """
    for row, y in enumerate(question.positives):
        others = question.others_of(y)
        always = np.intersect1d(others, pilot.always[row])
        if always.size:
            weight = float(pilot.weights[row][:, always].min())
            said = (
                f"{_named(question, always, y)} in every evaluation, with a weight of {weight:.4g}: leave them out of "
                "the hard negatives, hard = hard[~np.isin(hard, positives)]"
            )
            return _found(question, said, is_claimed=False)
        counted = others[pilot.seen[row, others] > 0]
        if counted.size:
            p = question.claim.margins
            said = f"{_named(question, counted, y)} where they are drawn: mask them, or draw again"
            return _found(question, said, is_claimed=p is not None and bool(np.all(p[row, counted] > 0)))
    return (), []


def _named(question: Question, labels: Labels, y: int) -> str:
    """Which other positives count."""
    name = question.prior.name
    more = f" and {labels.size - LISTED} more" if labels.size > LISTED else ""
    listed = ", ".join(name(int(label)) for label in labels[:LISTED])
    return f"beside the positive {name(y)}, other positives of the example ({listed}{more}) count as negatives"


def _found(question: Question, said: str, is_claimed: bool) -> tuple[tuple[Flaw, ...], list[Note]]:
    if question.claim.margins is None or is_claimed:
        return (), [Note("other positives", said)]
    return (Flaw("other positives", said),), []
