"""JAX."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from implicitloss.adapters.framework import Framework
from implicitloss.auditing.blackbox import LossFunction
from implicitloss.labels import Floats, Labels


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


FRAMEWORK = Framework("jax", _tensor, _gradients)


def jax(loss: Callable[..., Any], *, dtype: str = "float32") -> LossFunction:
    """Adapt a JAX or Optax loss for `il.audit`, with the gradients of `jax.grad`.

    Parameters
    ----------
    loss
        `loss(scores, positive, key)` -> the losses (B,); scores and positive are arrays (B, L) and (B,).
    dtype
        The type of the scores, "float32" or "float64".

    Returns
    -------
    LossFunction
        `loss_fn(scores, positive, rng)` -> (losses (B,), gradients (B, L)).

    Raises
    ------
    ValueError
        If JAX is not installed, or an argument is none of these.
    """
    return FRAMEWORK.adapt(loss, dtype=dtype)
