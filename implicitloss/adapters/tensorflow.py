"""TensorFlow and Keras."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from implicitloss.adapters.framework import Framework
from implicitloss.auditing.blackbox import LossFunction
from implicitloss.labels import Floats, Labels

__all__ = ["tensorflow"]


def _tensor(lib: Any, array: Any) -> Any:
    return lib.constant(array, dtype="float32" if array.dtype.kind == "f" else "int64")


def _gradients(
    lib: Any, loss: Callable[..., Any], scores: Floats, positive: Labels, seed: int, dtype: str
) -> tuple[Any, Any]:
    # A compiled function has the draws of the seed with which it was traced, whatever the seed is now.
    was_eager = lib.config.functions_run_eagerly()
    lib.config.run_functions_eagerly(True)
    try:
        lib.random.set_seed(seed)
        f = lib.constant(scores, dtype=dtype)
        with lib.GradientTape() as tape:
            tape.watch(f)
            values = loss(f, lib.constant(positive, dtype="int64"))
            total = lib.reduce_sum(values)
        slopes = tape.gradient(total, f)
    finally:
        lib.config.run_functions_eagerly(was_eager)
    return values.numpy(), np.zeros(scores.shape) if slopes is None else lib.convert_to_tensor(slopes).numpy()


def _rows(lib: Any, scores: Any, shape: tuple[int, ...]) -> list[Any]:
    return [lib.reshape(row, shape) for row in lib.unstack(scores)]


FRAMEWORK = Framework("tensorflow", _tensor, _gradients, rows=_rows)


def tensorflow(loss: Callable[..., Any], *, dtype: str = "float32") -> LossFunction:
    """Adapt a TensorFlow or Keras loss for `il.audit`, with the gradients of a gradient tape.

    TensorFlow's samplers draw from its global seed, which the adapter sets anew for each call.  Functions that were
    compiled by `tf.function` run eagerly meanwhile, because compiled ones repeat their draws.

    Parameters
    ----------
    loss : callable
        `loss(scores, positive)` -> the losses (B,); scores and positive are tensors (B, L) and (B,).
    dtype : {"float32", "float64"}
        The type of the scores.

    Returns
    -------
    LossFunction
        `loss_fn(scores, positive, rng)` -> (losses (B,), gradients (B, L)).

    Raises
    ------
    ValueError
        If TensorFlow is not installed, or an argument is none of these.

    Examples
    --------
    Softmax cross-entropy by TensorFlow's own function:

    >>> import tensorflow as tf
    >>> import implicitloss as il
    >>> def loss(scores, positive):
    ...     return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=positive, logits=scores)
    >>> il.audit(il.adapters.tensorflow(loss), prior=il.LabelPrior.zipf(20, 1.0), claim="full", rng=0).verdict
    'holds'
    """
    return FRAMEWORK.adapt(loss, dtype=dtype)
