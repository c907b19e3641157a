"""Losses of other libraries as `implicitloss.audit` wants them: (scores, positive, rng) -> (losses, gradients).

No framework is imported before its adapter is called.  Each adapter seeds the framework's own random numbers from the
generator of the audit, so that a call can be repeated, and puts its state back where that is possible.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from implicitloss.arguments import as_whole, checked_choice, shown
from implicitloss.auditing.blackbox import LossFunction
from implicitloss.labels import Floats, LabelPrior, Labels, checked_prior

__all__ = [
    "in_batch",
    "jax",
    "one_by_one",
    "tensorflow",
    "torch",
]

SEEDS = 2**31 - 1


DTYPES = ("float32", "float64")


def _need(name: str, package: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ValueError(f"this adapter needs {package}: pip install {package} ({error})") from None


def torch(loss: Callable[..., Any], *, dtype: str = "float64") -> LossFunction:
    """Of a PyTorch loss: `loss(scores, positive)`, tensors (B, L) and (B,), -> (B,) losses (`reduction="none"`).

    Gradients are those of autograd.  `dtype` is that of the scores.
    """
    _check(loss, dtype)
    lib = _need("torch", "torch")

    def ask(scores: Floats, positive: Labels, rng: np.random.Generator) -> tuple[Any, Any]:
        with lib.random.fork_rng(devices=[]):
            lib.manual_seed(int(rng.integers(SEEDS)))
            f = lib.tensor(scores, dtype=getattr(lib, dtype), requires_grad=True)
            values = loss(f, lib.tensor(positive))
            if not isinstance(values, lib.Tensor):
                raise ValueError(f"the loss must return a torch tensor, got {type(values).__name__}")
            if values.shape != (len(positive),):
                return values.detach().numpy(), None  # refused by the audit, with its reason
            if values.grad_fn is None:
                return values.detach().numpy(), np.zeros(scores.shape)
            (slopes,) = lib.autograd.grad(values.sum(), f, allow_unused=True)
            found = np.zeros(scores.shape) if slopes is None else slopes.numpy()
            return values.detach().numpy(), found

    return _named(loss, _unpaired(ask))


def tensorflow(loss: Callable[..., Any], *, dtype: str = "float32") -> LossFunction:
    """Of a TensorFlow or Keras loss: `loss(scores, positive)`, tensors (B, L) and (B,), -> (B,) losses.

    TensorFlow's samplers draw from its global seed, which is set anew for each call.
    """
    _check(loss, dtype)
    lib = _need("tensorflow", "tensorflow")

    def ask(scores: Floats, positive: Labels, rng: np.random.Generator) -> tuple[Any, Any]:
        lib.random.set_seed(int(rng.integers(SEEDS)))
        f = lib.constant(scores, dtype=dtype)
        with lib.GradientTape() as tape:
            tape.watch(f)
            values = loss(f, lib.constant(positive, dtype="int64"))
            total = lib.reduce_sum(values)
        slopes = tape.gradient(total, f)
        found = np.zeros(scores.shape) if slopes is None else lib.convert_to_tensor(slopes).numpy()
        return values.numpy(), found

    return _named(loss, _unpaired(ask))


def jax(loss: Callable[..., Any], *, dtype: str = "float32") -> LossFunction:
    """Of a JAX or Optax loss: `loss(scores, positive, key)`, arrays (B, L) and (B,) and a key, -> (B,) losses."""
    _check(loss, dtype)
    lib = _need("jax", "jax")

    def ask(scores: Floats, positive: Labels, rng: np.random.Generator) -> tuple[Any, Any]:
        key = lib.random.key(int(rng.integers(SEEDS)))
        f = lib.numpy.asarray(scores, dtype=dtype)

        def total(f: Any) -> tuple[Any, Any]:
            values = loss(f, lib.numpy.asarray(positive), key)
            return values.sum(), values

        slopes, values = lib.grad(total, has_aux=True)(f)
        return np.asarray(values), np.asarray(slopes)

    return _named(loss, _unpaired(ask))


def _check(loss: Callable[..., Any], dtype: str = "float64") -> None:
    if isinstance(loss, type) or not callable(loss):
        raise ValueError(f"an adapter takes a loss, which is a function, got {type(loss).__name__}")
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise ValueError(f"the dtype of scores must be 'float32' or 'float64', got {shown(dtype)}")


def _named(loss: Callable[..., Any], adapted: LossFunction) -> LossFunction:
    """With the name of the loss that is asked; not its signature, which is another."""
    adapted.__qualname__ = getattr(loss, "__qualname__", type(loss).__name__)
    return adapted


def _unpaired(ask: Callable[..., tuple[Any, Any]]) -> LossFunction:
    """Without gradients, where there are none."""

    def loss_fn(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        values, slopes = ask(scores, positive, rng)
        return values if slopes is None else (values, slopes)

    return loss_fn


def one_by_one(loss_fn: LossFunction) -> LossFunction:
    """Of a loss that averages or adds up its examples: each is asked for alone."""

    _check(loss_fn)

    def each(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        values, slopes = [], []
        for i in range(len(positive)):
            given = loss_fn(scores[i : i + 1], positive[i : i + 1], rng)
            value, slope = given if isinstance(given, tuple) else (given, None)
            value = np.asarray(value)
            if value.size != 1:
                raise ValueError(f"one_by_one is for a loss that returns one number, got shape {value.shape}")
            values.append(value.reshape(()))
            slopes.append(slope)
        if any(slope is None for slope in slopes):
            return np.array(values)
        return np.array(values), np.concatenate([np.reshape(slope, (1, -1)) for slope in slopes])

    return _named(loss_fn, each)


def in_batch(
    loss: Callable[..., Any], prior: LabelPrior, batch: int, *, framework: str = "numpy", given: str = "embeddings"
) -> LossFunction:
    """Of an in-batch (two-tower) loss, whose negatives are the other examples' labels.

    `loss(queries (n, d), items (n, d), labels (n,))` -> (n,) losses (or the first alone, (1,)) of n = `batch` examples
    with scores queries · items.  Items are one-hot vectors of their labels, so that the first query, f itself, scores a
    label y with f_y exactly; the other labels are drawn from the `prior`, as examples would be.  With `given="logits"`
    the loss is called with (logits (n, n), labels (n,)).  `framework` is "numpy" (no gradients), "torch", "tensorflow"
    or "jax".
    """
    _check(loss)
    checked_prior(prior)
    examples = as_whole(batch)
    if examples is None or examples < 2:
        raise ValueError(f"a batch needs at least two examples, got {shown(batch)}")
    batch = examples
    checked_choice(given, "given", ("embeddings", "logits"))
    checked_choice(framework, "framework", ("numpy", "torch", "tensorflow", "jax"))
    edges = np.cumsum(prior.probabilities)
    wrap = _wrap(framework)

    def of_first(table: Floats, labels: Labels) -> Callable[..., Any]:
        """The first example's loss as a function of its scores for the labels of the batch."""

        def alone(f: Any, _: Any, *key: Any) -> Any:
            items = wrap(table)
            queries = f + 0.0 * items  # every example asks with the same scores
            if given == "logits":
                return _first(loss(f @ items.T + 0.0 * (items @ items.T), wrap(labels), *key), batch)
            return _first(loss(queries, items, wrap(labels), *key), batch)

        return alone

    def loss_fn(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        values, slopes = np.empty(len(positive)), np.zeros(scores.shape)
        for i, y in enumerate(positive):
            others = np.minimum(np.searchsorted(edges, rng.random(batch - 1), side="right"), prior.n_labels - 1)
            labels = np.append(y, others).astype(np.intp)
            # Labels that are not in the batch have no scores to differ by.
            present, place = np.unique(labels, return_inverse=True)
            alone, f = of_first(np.eye(present.size)[place], labels), scores[i : i + 1, present]
            if framework == "numpy":
                values[i] = np.asarray(alone(f, None))[0]
                continue
            adapted = {"torch": torch, "tensorflow": tensorflow, "jax": jax}[framework](alone)
            value, slope = adapted(f, place[:1], rng)
            values[i], slopes[i, present] = value[0], slope[0]
        return values if framework == "numpy" else (values, slopes)

    return _named(loss, loss_fn)


def _first(losses: Any, batch: int) -> Any:
    shape = tuple(getattr(losses, "shape", ()))
    if shape not in ((batch,), (1,)):
        raise ValueError(
            f"the in-batch loss must return one number for each of {batch} examples (without reduction), got shape "
            f"{shape}"
        )
    return losses[:1]


def _wrap(framework: str) -> Callable[[Any], Any]:
    if framework == "torch":
        return lambda array: _need("torch", "torch").tensor(array)
    if framework == "tensorflow":
        lib = _need("tensorflow", "tensorflow")
        return lambda array: lib.constant(array, dtype="float32" if array.dtype.kind == "f" else "int64")
    if framework == "jax":
        return lambda array: _need("jax", "jax").numpy.asarray(array)
    return np.asarray
