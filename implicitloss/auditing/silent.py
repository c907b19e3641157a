"""Labels that are claimed to count, and never did: which, beside which positives, and what may be the reason."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from implicitloss.auditing.comparison import HITS, Comparison
from implicitloss.labels import LabelPrior

__all__ = ["never_counted"]

# So many labels are named, one by one.
MOST_NAMED = 4


def never_counted(comparisons: Sequence[Comparison], tolerance: float, prior: LabelPrior) -> str | None:
    """What is said of labels in parts that are known to count less than is claimed, and did not count at all."""
    silent: dict[int, list[NDArray[np.intp]]] = {}
    for c in comparisons:
        if c.part != HITS and c.claimed and c.measured == 0 and c.result(tolerance) == "refuted":
            silent.setdefault(c.positive, []).append(c.labels)
    found = {y: np.unique(np.concatenate(parts)) for y, parts in silent.items()}
    if not found:
        return None
    labels = np.unique(np.concatenate(list(found.values())))
    n, n_pairs = labels.size, sum(map(len, found.values()))
    named = ""
    if n_pairs == n * len(found) and n <= MOST_NAMED:  # the same beside each
        named = f" ({', '.join(prior.name(label) for label in labels.tolist())})"
    elif n_pairs <= MOST_NAMED:
        pairs = sorted((y, label) for y in found for label in found[y].tolist())
        named = f" ({', '.join(f'{prior.name(label)} beside {prior.name(y)}' for y, label in pairs)})"
    said = (
        f"{n:,} label{'' if n == 1 else 's'} never counted as {'a negative' if n == 1 else 'negatives'}, though "
        f"{'it is' if n == 1 else 'they are'} claimed to{named}: "
    )
    audited = {c.positive for c in comparisons}
    if 1 < n == n_pairs == len(found) and not audited.issuperset(labels.tolist()):
        return f"{said}another one beside each positive, as if hits were masked by the wrong ids; is that so?"
    said += "are the prior's counts those of this loss, in the order of its ids, and are all labels candidates?"
    if n > 1 and 0 < labels[0] == prior.n_labels - n:
        said += (
            f" They are those from id {labels[0]:,} on: has the loss fewer labels than the prior, {prior.n_labels:,}?"
        )
    return said
