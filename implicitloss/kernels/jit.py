"""One way to compile a kernel: no GIL, cached on disk where the folder allows it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba

__all__ = ["kernel"]


def kernel(function: Callable[..., Any]) -> Any:
    """Compile `function` at its first call; `.py_func` is the slow twin for tests."""
    try:
        return numba.njit(function, nogil=True, cache=True, error_model="numpy")
    except RuntimeError:  # no folder to cache in: a read-only installation without a home
        return numba.njit(function, nogil=True, error_model="numpy")
