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

    A note instead where nothing is claimed, or they are claimed to count: as draws, where hits are kept, or by an
    array.
    """
    p, scheme = question.claim.margins, question.scheme
    for row, y in enumerate(question.positives):
        others = question.others_of(y)
        counted = others[pilot.seen[row, others] > 0]
        if not counted.size:
            continue
        in_all = counted[pilot.seen[row, counted] == pilot.n]
        in_t = np.intersect1d(counted, pilot.always[row])
        said = f"beside the positive {question.prior.name(y)}, other positives of the example ({{}}) count as negatives"
        if p is not None and bool(np.all(p[row, counted] > 0)) and (scheme is None or not in_t.size):
            return (), [Note("other positives", f"{said.format(_listed(question, counted))}, as is claimed")]
        if in_all.size:
            said = (
                f"{said.format(_listed(question, in_all))} in every evaluation: leave them out of the sum, and of hard "
                "negatives, hard = hard[~np.isin(hard, positives)]"
            )
        else:
            said = f"{said.format(_listed(question, counted))} where they are drawn: mask them, or draw again"
        return ((), [Note("other positives", said)]) if p is None else ((Flaw("other positives", said),), [])
    return (), []


def _listed(question: Question, labels: Labels) -> str:
    """The first few names, and how many more there are."""
    more = f" and {labels.size - LISTED} more" if labels.size > LISTED else ""
    return ", ".join(question.prior.name(int(label)) for label in labels[:LISTED]) + more
