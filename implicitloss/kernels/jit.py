"""One way to compile a kernel: at its first call, no GIL, cached on disk where the folder allows it."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property, lru_cache
from typing import Any

__all__ = ["Kernel", "kernel", "kernel_of_sums"]


@lru_cache(maxsize=1)
def _newest_source() -> int:
    """When a file of kernels changed last, in nanoseconds."""
    return max(os.stat(file.path).st_mtime_ns for file in os.scandir(os.path.dirname(__file__)) if file.is_file())


class _Cache:
    """Numba's cache of a kernel; what cannot be read or written (a full disk, a file cut short) is compiled anew."""

    def __init__(self, cache: Any) -> None:
        self._cache = cache
        # A kernel that calls those of other files is compiled anew when one of these changes.
        with suppress(AttributeError, OSError):
            cache._cache_file._source_stamp = (cache._cache_file._source_stamp, _newest_source())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cache, name)

    def load_overload(self, *given: Any) -> Any:
        try:
            return self._cache.load_overload(*given)
        except Exception:  # whatever unpickling makes of broken bytes
            return None

    def save_overload(self, *given: Any) -> None:
        with suppress(Exception):
            self._cache.save_overload(*given)


class Kernel:
    """A function that Numba compiles at its first call; `.py_func` is the slow twin for tests.

    Importing Numba takes longer than many a command.
    """

    def __init__(self, function: Callable[..., Any], **options: Any) -> None:
        self.py_func, self._options = function, options
        self.__doc__ = function.__doc__

    @cached_property
    def compiled(self) -> Any:
        """Numba's dispatcher; kernels that the function calls are compiled first."""
        import numba

        from implicitloss.kernels import prefetch  # noqa: F401  # says how `fetch` is compiled

        names = self.py_func.__globals__
        for name in self.py_func.__code__.co_names:
            if isinstance(names.get(name), Kernel):
                names[name] = names[name].compiled
        try:
            found: Any = numba.njit(self.py_func, nogil=True, cache=True, error_model="numpy", **self._options)
        except RuntimeError:  # no folder to cache in: a read-only installation without a home
            return numba.njit(self.py_func, nogil=True, error_model="numpy", **self._options)
        found._cache = _Cache(found._cache)
        return found

    def __call__(self, *given: Any) -> Any:
        return self.compiled(*given)


def kernel(function: Callable[..., Any]) -> Any:
    """Compile `function` at its first call."""
    return Kernel(function)


def kernel_of_sums(function: Callable[..., Any]) -> Any:
    """As `kernel`; sums may be taken in another order, many terms at a time."""
    return Kernel(function, fastmath={"reassoc", "contract", "nsz"})
