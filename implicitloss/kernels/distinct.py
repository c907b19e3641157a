"""The first m different labels of a stream of draws, run after run."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from implicitloss.kernels.jit import kernel

__all__ = ["first_distinct"]

Labels = NDArray[np.intp]


@kernel
def first_distinct(drawn: Labels, seen: Labels, state: Labels, labels: Labels) -> None:
    """Go on with run `state[0]`, which has `state[1]` labels: add to `labels` (runs, m) what is new in `drawn`.

    `seen` (L,) has the last run in which each label came.
    """
    size, m = labels.shape
    run, have = state
    for label in drawn:
        if run == size:
            break
        if seen[label] != run:
            seen[label] = run
            labels[run, have] = label
            have += 1
            if have == m:
                run, have = run + 1, 0
    state[0], state[1] = run, have
