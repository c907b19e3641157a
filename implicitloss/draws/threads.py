"""Work on many nodes: by threads where a node is work enough, and always in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from implicitloss.numerics.threads import in_order

__all__ = ["of_nodes"]

S = TypeVar("S")
T = TypeVar("T")
# To hand a node to a thread costs as much as a sum over some hundreds of labels.
THREADED_FROM_LABELS = 300


def of_nodes(of: Callable[[S], T], nodes: Sequence[S], n_labels: int) -> list[T]:
    """[of(node) for each node], each a sum over so many labels: the same whatever the number of threads."""
    if n_labels < THREADED_FROM_LABELS:
        return [of(node) for node in nodes]
    return [*in_order(of, nodes)]
