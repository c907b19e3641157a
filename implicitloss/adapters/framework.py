"""A framework as a value: its package, how it makes tensors, and how it takes the gradients of a loss."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from implicitloss.arguments import shown
from implicitloss.auditing.blackbox import LossFunction
from implicitloss.labels import Floats, Labels

__all__ = ["SEEDS", "Framework", "Mapped", "check_loss", "named_after"]

DTYPES = ("float32", "float64")
# Many calls of a loss at once.
Mapped = Callable[[Floats, tuple[Any, ...], Labels, int], tuple[Any, Any]]
# Seeds that every framework takes.
SEEDS = 2**31 - 1


def _rows(lib: Any, scores: Any, shape: tuple[int, ...]) -> list[Any]:
    return [lib.reshape(row, shape) for row in scores]


def _stack(lib: Any, values: list[Any]) -> Any:
    return lib.stack(values)


def _key_of(lib: Any, key: Any, i: int) -> Any:
    return key


@dataclass(frozen=True)
class Framework:
    """A framework with automatic differentiation.

    Parameters
    ----------
    package
        Its name for `import` and for `pip install`.
    tensors
        `tensors(lib, array)` is the array as a tensor; `lib` is the imported package.
    gradients
        `gradients(lib, loss, scores, positive, seed, dtype)` calls the loss once, with the framework's random numbers
        seeded, and returns its values (B,) and their gradients (B, L) in the scores, or None for the gradients.
    dtype
        The default type of the scores, "float32" or "float64".
    rows
        `rows(lib, scores, shape)` is a list of the rows of a tensor (B, L), each in the `shape`.
    stack
        `stack(lib, values)` is a list of B tensors, of one number each, as a tensor (B,).
    key_of
        `key_of(lib, key, i)` is the key of the i-th of several calls, where losses take a key.
    stream
        `stream(lib, loss, dtype)` is a faster function (scores, positive, seed) -> values and gradients, as
        `gradients` has them, whose draws are new in each call and cannot be repeated; or None.
    mapped
        `mapped(lib, one, dtype)` is a function (asked (K, ...), given, rows (K,), seed) -> values (K,) and their
        gradients (K, ...) in what is asked, that computes K calls `one(asked[k], *(x[k] for x in given), *key)` at
        once, e.g. by vmap.  If `one` returns several numbers, the one of the row counts.  It raises what it likes if it
        cannot.  Or None.
    compiles
        Whether `mapped` compiles anew for another number K.
    """

    package: str
    tensors: Callable[[Any, Any], Any]
    gradients: Callable[[Any, Callable[..., Any], Floats, Labels, int, str], tuple[Any, Any]]
    dtype: str = "float32"
    rows: Callable[[Any, Any, tuple[int, ...]], list[Any]] = _rows
    stack: Callable[[Any, list[Any]], Any] = _stack
    key_of: Callable[[Any, Any, int], Any] = _key_of
    stream: Callable[[Any, Callable[..., Any], str], Callable[[Floats, Labels, int], tuple[Any, Any]]] | None = None
    mapped: Callable[[Any, Callable[..., Any], str], Mapped] | None = None
    compiles: bool = False

    def imported(self) -> Any:
        """The package.  *Raises* ValueError, with the command that installs it, if it cannot be imported."""
        try:
            return importlib.import_module(self.package)
        except ImportError as error:
            raise ValueError(f"this adapter needs {self.package}: pip install {self.package} ({error})") from None

    def tensor(self, array: Any) -> Any:
        """The array as a tensor."""
        return self.tensors(self.imported(), array)

    def adapt(self, loss: Callable[..., Any], *, dtype: str | None = None) -> LossFunction:
        """Adapt a loss of this framework; *raises* ValueError if it is no function, or the framework is missing."""
        check_loss(loss)
        kind = self.dtype if dtype is None else dtype
        if not isinstance(kind, str) or kind not in DTYPES:
            raise ValueError(f"the dtype of scores must be 'float32' or 'float64', got {shown(kind)}")
        lib = self.imported()

        def loss_fn(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
            values, slopes = self.gradients(lib, loss, scores, positive, int(rng.integers(SEEDS)), kind)
            return values if slopes is None else (values, slopes)

        if self.stream is not None:
            stream = self.stream

            def opened() -> LossFunction:
                ask = stream(lib, loss, kind)
                return lambda scores, positive, rng: ask(scores, positive, int(rng.integers(SEEDS)))

            loss_fn.stream = opened  # type: ignore[attr-defined]
        loss_fn.package = self.package  # type: ignore[attr-defined]
        return named_after(loss, loss_fn)


def check_loss(loss: Any) -> None:
    """*Raises* ValueError if `loss` cannot be called, or is a class."""
    if isinstance(loss, type) or not callable(loss):
        raise ValueError(f"an adapter takes a loss, which is a function, got {type(loss).__name__}")


def named_after(loss: Callable[..., Any], adapted: LossFunction) -> LossFunction:
    """Give the adapted loss the name of the loss itself, for reports.  Its signature is another, and stays."""
    adapted.__qualname__ = getattr(loss, "__qualname__", type(loss).__name__)
    return adapted
