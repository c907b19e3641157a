"""Work in parts, by threads: what comes of it does not depend on how many there are."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

__all__ = ["in_order"]

S = TypeVar("S")
T = TypeVar("T")

_here = threading.local()


def in_order(of: Callable[[S], T], parts: Iterable[S]) -> Iterator[T]:
    """Yield of(part) of every part, in order.

    The threads stay for the next call, as to start them takes as long as a sum over ten thousand labels.  A part that
    is itself in parts does these one after another: else all threads could wait for each other.
    """
    if getattr(_here, "is_at_work", False):
        return map(of, parts)
    return _threads().map(of, parts)


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count(), "implicitloss", initializer=setattr, initargs=(_here, "is_at_work", True))


if hasattr(os, "register_at_fork"):  # not on Windows
    # The threads of a process are not those of its copy, which would wait for them for ever.
    os.register_at_fork(after_in_child=_threads.cache_clear)
