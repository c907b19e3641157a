"""TensorFlow and Keras."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from implicitloss.adapters.framework import Framework, Mapped
from implicitloss.auditing.blackbox import LossFunction
from implicitloss.labels import Floats, Labels

__all__ = ["tensorflow"]


def _tensor(lib: Any, array: Any) -> Any:
    return lib.constant(array, dtype="float32" if array.dtype.kind == "f" else "int64")


# TensorFlow has one seed for all: how often it was set here.
times_seeded = 0


def _set_seed(lib: Any, seed: int) -> None:
    """Set the global seed.  It throws away all compiled kernels, and compiled functions repeat their draws after it."""
    global times_seeded
    times_seeded += 1
    lib.random.set_seed(seed)


def _differentiated(lib: Any, loss: Callable[..., Any], f: Any, positive: Any) -> tuple[Any, Any]:
    with lib.GradientTape() as tape:
        tape.watch(f)
        values = loss(f, positive)
        total = lib.reduce_sum(values)
    slopes = tape.gradient(total, f)
    return values, lib.zeros_like(f) if slopes is None else lib.convert_to_tensor(slopes)


def _gradients(
    lib: Any, loss: Callable[..., Any], scores: Floats, positive: Labels, seed: int, dtype: str
) -> tuple[Any, Any]:
    # A compiled function has the draws of the seed with which it was traced, whatever the seed is now.
    was_eager = lib.config.functions_run_eagerly()
    lib.config.run_functions_eagerly(True)
    try:
        _set_seed(lib, seed)
        values, slopes = _differentiated(lib, loss, lib.constant(scores, dtype), lib.constant(positive, "int64"))
    finally:
        lib.config.run_functions_eagerly(was_eager)
    return values.numpy(), slopes.numpy()


@contextlib.contextmanager
def _compiling_again(lib: Any) -> Iterator[None]:
    """Keep TensorFlow from warning of functions that are compiled again: here that is meant."""

    def is_another(record: logging.LogRecord) -> bool:
        return "retracing" not in record.getMessage()

    logger = lib.get_logger()
    logger.addFilter(is_another)
    try:
        yield
    finally:
        logger.removeFilter(is_another)


@dataclass(eq=False)
class _Stream:
    """A loss that is compiled once and goes on drawing from call to call: 40 times as fast as with a seed for each.

    It is compiled anew, with the call's seed, for another number of examples, and after any other seed was set.
    """

    lib: Any
    loss: Callable[..., Any]
    dtype: str
    compiled: Callable[..., Any] | None = None
    compiled_for: tuple[int, ...] = ()
    # As it is, or else rewritten by AutoGraph, which knows `len` and `if` of tensors.
    ways: tuple[bool, ...] = (False, True)

    def __call__(self, scores: Floats, positive: Labels, seed: int) -> tuple[Any, Any]:
        lib = self.lib
        while self.ways:
            if self.compiled is None or self.compiled_for != (times_seeded, len(positive)):
                _set_seed(lib, seed)
                self.compiled_for = (times_seeded, len(positive))
                self.compiled = lib.function(self._differentiated, autograph=self.ways[0])
            try:
                with _compiling_again(lib):
                    values, slopes = self.compiled(lib.constant(scores, self.dtype), lib.constant(positive, "int64"))
                return values.numpy(), slopes.numpy()
            except Exception:  # whatever keeps it from being compiled; an error of the loss itself comes again below
                self.compiled, self.ways = None, self.ways[1:]
        return _gradients(lib, self.loss, scores, positive, seed, self.dtype)

    def _differentiated(self, f: Any, positive: Any) -> tuple[Any, Any]:
        return _differentiated(self.lib, self.loss, f, positive)


def _rows(lib: Any, scores: Any, shape: tuple[int, ...]) -> list[Any]:
    return [lib.reshape(row, shape) for row in lib.unstack(scores)]


def _mapped(lib: Any, one: Callable[..., Any], dtype: str) -> Mapped:
    def differentiated(asked: Any, given: Any, rows: Any) -> tuple[Any, Any]:
        def values(f: Any, rows: Any) -> Any:
            losses = lib.vectorized_map(lambda of: one(*of), (f, *given), fallback_to_while_loop=False)
            return losses if losses.shape.rank == 1 else lib.gather(losses, rows, batch_dims=1)

        return _differentiated(lib, values, asked, rows)

    compiled = lib.function(differentiated)

    def ask(asked: Floats, given: tuple[Any, ...], rows: Labels, seed: int) -> tuple[Any, Any]:
        with _compiling_again(lib):
            values, slopes = compiled(lib.constant(asked, dtype), tuple(_tensor(lib, x) for x in given), rows)
        return values.numpy(), slopes.numpy()

    return ask


FRAMEWORK = Framework("tensorflow", _tensor, _gradients, rows=_rows, stream=_Stream, mapped=_mapped, compiles=True)


def tensorflow(loss: Callable[..., Any], *, dtype: str = "float32") -> LossFunction:
    """Adapt a TensorFlow or Keras loss for `il.audit`, with the gradients of a gradient tape.

    TensorFlow's samplers draw from its global seed, which the adapter sets anew for each call.  Functions that were
    compiled by `tf.function` run eagerly meanwhile, because compiled ones repeat their draws.  Setting the seed is
    slow: where an audit repeats no call, it asks the loss, compiled by `tf.function`, for draws that go on from call to
    call.  A loss that cannot be compiled is asked one call at a time.

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
