"""JAX."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from implicitloss.adapters.framework import Framework, Mapped
from implicitloss.auditing.blackbox import LossFunction
from implicitloss.labels import Floats, Labels

__all__ = ["jax"]


def _tensor(lib: Any, array: Any) -> Any:
    return lib.numpy.asarray(array)


def _gradients(
    lib: Any, loss: Callable[..., Any], scores: Floats, positive: Labels, seed: int, dtype: str
) -> tuple[Any, Any]:
    key = lib.random.key(seed)

    def total(f: Any) -> tuple[Any, Any]:
        values = loss(f, lib.numpy.asarray(positive), key)
        return values.sum(), values

    slopes, values = lib.grad(total, has_aux=True)(lib.numpy.asarray(scores, dtype=dtype))
    return np.asarray(values), np.asarray(slopes)


def _rows(lib: Any, scores: Any, shape: tuple[int, ...]) -> list[Any]:
    return [row.reshape(shape) for row in scores]


def _stack(lib: Any, values: list[Any]) -> Any:
    return lib.numpy.stack(values)


def _key_of(lib: Any, key: Any, i: int) -> Any:
    return lib.random.fold_in(key, i)


def _mapped(lib: Any, one: Callable[..., Any], dtype: str) -> Mapped:
    def differentiated(asked: Any, given: Any, rows: Any, key: Any) -> Any:
        each = lib.numpy.arange(len(rows))
        keys = lib.vmap(lambda i: _key_of(lib, key, i))(each)

        def total(f: Any) -> tuple[Any, Any]:
            losses = lib.vmap(one)(f, *given, keys)
            values = losses if losses.ndim == 1 else losses[each, rows]
            return values.sum(), values

        return lib.grad(total, has_aux=True)(asked)

    compiled = lib.jit(differentiated)

    def ask(asked: Floats, given: tuple[Any, ...], rows: Labels, seed: int) -> tuple[Any, Any]:
        slopes, values = compiled(
            lib.numpy.asarray(asked, dtype=dtype), tuple(map(lib.numpy.asarray, given)), rows, lib.random.key(seed)
        )
        return np.asarray(values), np.asarray(slopes)

    return ask


FRAMEWORK = Framework(
    "jax", _tensor, _gradients, rows=_rows, stack=_stack, key_of=_key_of, mapped=_mapped, compiles=True
)


def jax(loss: Callable[..., Any], *, dtype: str = "float32") -> LossFunction:
    """Adapt a JAX or Optax loss for `il.audit`, with the gradients of `jax.grad`.

    Parameters
    ----------
    loss : callable
        `loss(scores, positive, key)` -> the losses (B,); scores and positive are arrays (B, L) and (B,).
    dtype : {"float32", "float64"}
        The type of the scores.

    Returns
    -------
    LossFunction
        `loss_fn(scores, positive, rng)` -> (losses (B,), gradients (B, L)).

    Raises
    ------
    ValueError
        If JAX is not installed, or an argument is none of these.

    Examples
    --------
    Softmax cross-entropy by `jax.nn`:

    >>> import jax
    >>> import implicitloss as il
    >>> def loss(scores, positive, key):
    ...     return -jax.nn.log_softmax(scores)[jax.numpy.arange(len(positive)), positive]
    >>> il.audit(il.adapters.jax(loss), prior=il.LabelPrior.zipf(20, 1.0), claim="full", rng=0).verdict
    'holds'
    """
    return FRAMEWORK.adapt(loss, dtype=dtype)
