"""One way to compile a kernel: at its first call, no GIL, cached on disk where the folder allows it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

__all__ = ["Kernel", "kernel"]


class Kernel:
    """A function that Numba compiles at its first call; `.py_func` is the slow twin for tests.

    Importing Numba takes longer than many a command.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.py_func = function
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
            return numba.njit(self.py_func, nogil=True, cache=True, error_model="numpy")
        except RuntimeError:  # no folder to cache in: a read-only installation without a home
            return numba.njit(self.py_func, nogil=True, error_model="numpy")

    def __call__(self, *given: Any) -> Any:
        return self.compiled(*given)


def kernel(function: Callable[..., Any]) -> Any:
    """Compile `function` at its first call."""
    return Kernel(function)
