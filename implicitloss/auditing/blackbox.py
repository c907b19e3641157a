"""One call of a loss under audit.  The answer is checked before it is used."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from implicitloss.auditing.failure import in_batch_names, wants_tensors
from implicitloss.labels import Floats, Labels

__all__ = ["COARSEST", "SINGLE", "Answer", "AsksEachAlone", "LossFunction", "ask"]

LossFunction = Callable[[Floats, Labels, np.random.Generator], Any]
"""`loss_fn(scores (B, L), positive (B,), rng)` -> losses (B,), or (losses (B,), gradients (B, L))."""


@runtime_checkable
class AsksEachAlone(Protocol):
    """A loss whose adapter calls it for each example by itself."""

    def resetting(self, reset: Callable[[], object]) -> LossFunction:
        """Return the loss with `reset` called before each example."""
        ...


# An error that has the number of labels in it may be about shapes, if they are as many.
SHAPES_FROM = 10
# Rounding errors above this are those of half precision.
COARSEST = 1e-5
SINGLE = float(np.finfo(np.float32).eps)
DOUBLE = float(np.finfo(np.float64).eps)
# The bits of a float64 that no float32 has.
BELOW_SINGLE = 2**29 - 1


@dataclass(frozen=True)
class Answer:
    """Losses (B,), gradients in the scores (B, L) if there are any, and their relative precision."""

    values: Floats
    gradients: Floats | None
    eps: float


def ask(
    loss_fn: LossFunction, scores: Floats, positive: Labels, rng: np.random.Generator, *, finite: bool = True
) -> Answer:
    """Call the loss once.  *Raises* ValueError for an answer of another shape, or, if `finite`, for no finite one."""
    try:
        given = loss_fn(scores.copy(), positive.copy(), rng)
    except Exception as error:
        n_labels = scores.shape[1]
        if of_batches := in_batch_names(loss_fn):
            error.add_note(f"(its arguments are {of_batches}: an in-batch loss needs implicitloss.adapters.in_batch)")
        elif isinstance(error, IndexError) or (n_labels >= SHAPES_FROM and re.search(rf"\b{n_labels}\b", str(error))):
            error.add_note(f"(scores have {n_labels:,} labels, as many as the prior: has the loss as many?)")
        if wants_tensors(error, loss_fn):
            error.add_note(
                f"(the loss was called with NumPy arrays, scores {scores.shape} and positive {positive.shape}; a loss "
                "of a framework needs its adapter, e.g. implicitloss.adapters.torch)"
            )
        raise
    values, gradients = given if isinstance(given, tuple) and len(given) == 2 else (given, None)
    n = positive.size
    _check_kind(values)
    found = _array(values, "the loss")
    if found.shape != (n,):
        hint = _hint(found.shape, n, scores.shape[1])
        raise ValueError(
            f"the loss must return one number for each of {n} examples, got shape {found.shape} for ({n},){hint}"
        )
    eps = _precision(found)
    if finite:
        _check_finite(found, positive, scores, "the loss")
    slopes = None
    if gradients is not None:
        slopes = _array(gradients, GRADIENT)
        if slopes.shape != scores.shape:
            hint = _gradient_hint(slopes.shape, *scores.shape)
            raise ValueError(
                f"the gradient must have the shape of the scores, {scores.shape}, got {slopes.shape}{hint}"
            )
        if finite:
            _check_finite(slopes, positive, scores, "the gradient")
        eps = max(eps, _precision(slopes))
    return Answer(found.astype(np.float64), None if slopes is None else slopes.astype(np.float64), eps)


def _check_kind(values: Any) -> None:
    """*Raises* ValueError for an answer that is no array at all."""
    if values is None:
        raise ValueError("the loss must return one number for each example, got None: is a return missing?")
    if isinstance(values, dict):
        keys = ", ".join(map(repr, list(values)[:3]))
        raise ValueError(f"the loss must return numbers, got a dict with {keys:.80}: return its losses alone")
    if isinstance(values, tuple):
        raise ValueError(
            f"the loss must return the losses, or the losses and their gradients, got {len(values)} parts: return the "
            "losses alone"
        )


def _hint(shape: tuple[int, ...], n: int, n_labels: int) -> str:
    """What may be wrong with losses of another shape, and what to write."""
    if math.prod(shape) == 1 and n > 1:
        return "; if it is a mean or a sum, wrap it in implicitloss.adapters.one_by_one (--one-by-one)"
    if shape == (n, 1):
        return "; return losses[:, 0]"
    if shape == (1, n):
        return "; return losses[0]"
    if shape == (n, n_labels):
        return ", a number for each label: return that of the positive, losses[np.arange(len(positive)), positive]"
    if shape == (n_labels, n):
        return ", a number for each label, and examples are columns: scores are (B, L), and the loss must be (B,)"
    if shape == (n_labels,):
        return ", a number for each label: scores are (B, L), and the sum over labels is axis 1"
    return ""


GRADIENT = "the gradient"
# Where two values are returned, and the second is something else.
OF_TWO = " (the second of two values is taken for it; else return the losses alone)"


def _gradient_hint(shape: tuple[int, ...], n: int, n_labels: int) -> str:
    """What may be wrong with gradients of another shape, and what to write."""
    if shape == (n_labels, n):
        return "; return its transpose"
    if shape == (n_labels,):
        return ": that of the sum or the mean of the losses? one row for each example is needed"
    return "" if len(shape) == 2 else OF_TWO


def _array(given: Any, what: str) -> Any:
    if type(given) is np.ndarray and given.dtype == np.float64:
        return given
    try:
        found = np.asarray(given)
    except Exception as error:  # a framework refuses, for example a tensor that requires its gradient
        raise ValueError(f"{what} must be an array, got {type(given).__name__}: {error!s:.120}") from None
    if found.dtype.name == "bfloat16":  # a type that packages add to NumPy, and that has no kind
        return found.astype(np.float32)
    if found.dtype.kind not in "fiu" or np.ma.is_masked(given):
        got = (
            "masked ones" if np.ma.is_masked(given) else type(given).__name__ if found.dtype == object else found.dtype
        )
        raise ValueError(f"{what} must be numbers, got {got}{OF_TWO if what == GRADIENT else ''}")
    return found if found.dtype.kind == "f" else found.astype(np.float64)


def _precision(found: Any) -> float:
    """The relative precision of an array's numbers; numbers that a coarser type holds count as numbers of that type."""
    if found.dtype == np.float64 and found.size:
        first = found[:1].view(np.uint64)  # the first row says so of most, and its first number of most of those
        if first.item(0) & BELOW_SINGLE or np.any(first & BELOW_SINGLE):
            return DOUBLE
    eps = float(np.finfo(found.dtype).eps)
    with np.errstate(over="ignore"):
        single = found.astype(np.float32)
        if not np.any(found) or not np.array_equal(found, single):
            return eps
        if not np.any(single.view(np.uint32) & 0xFFFF):
            return 2.0**-7  # that of bfloat16, the upper half of a float32
        return (
            float(np.finfo(np.float16).eps) if np.array_equal(single, single.astype(np.float16)) else max(eps, SINGLE)
        )


def _check_finite(found: Floats, positive: Labels, scores: Floats, what: str) -> None:
    if not np.isfinite(found).all():
        bad = np.flatnonzero(~np.isfinite(found.reshape(found.shape[0], -1)).all(axis=1))
        number = found[bad[0]] if found.ndim == 1 else found[bad[0]][~np.isfinite(found[bad[0]])][0]
        raise ValueError(
            f"{what} must be finite, got {number} for an example with positive {positive[bad[0]]}, whose scores "
            f"lay between {scores[bad[0]].min():.3g} and {scores[bad[0]].max():.3g}"
        )
