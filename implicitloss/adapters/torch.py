"""PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from implicitloss.adapters.framework import Framework, Mapped
from implicitloss.auditing.blackbox import LossFunction
from implicitloss.labels import Floats, Labels

__all__ = ["torch"]


def _tensor(lib: Any, array: Any) -> Any:
    return lib.from_numpy(np.ascontiguousarray(array))


def _array(lib: Any, values: Any) -> Any:
    """The tensor as an array, wherever it lies; NumPy has no bfloat16."""
    values = values.detach().cpu()
    return (values.float() if values.dtype == lib.bfloat16 else values).numpy()


def _seed(lib: Any, seed: int) -> None:
    """Seed all generators.  `manual_seed` writes down the stack for devices that are not there, at each call."""
    has_devices = not hasattr(lib, "accelerator") or lib.accelerator.is_available()
    (lib if has_devices else lib.default_generator).manual_seed(seed)


def _gradients(
    lib: Any, loss: Callable[..., Any], scores: Floats, positive: Labels, seed: int, dtype: str
) -> tuple[Any, Any]:
    # A seed is that of all devices; those that are in use get their state back.
    with lib.random.fork_rng(devices=range(lib.cuda.device_count() if lib.cuda.is_initialized() else 0)):
        _seed(lib, seed)
        f = lib.tensor(scores, dtype=getattr(lib, dtype), requires_grad=True)
        values = loss(f, lib.tensor(positive))
        if not isinstance(values, lib.Tensor):
            raise ValueError(f"the loss must return a torch tensor, got {type(values).__name__}")
        if values.numel() == len(positive) == 1:
            values = values.reshape(1)  # the mean or the sum over one example
        if values.shape != (len(positive),):
            return _array(lib, values), None  # the audit refuses this shape, and says why
        if values.grad_fn is None:
            return _array(lib, values), np.zeros(scores.shape)
        (slopes,) = lib.autograd.grad(values.sum(), f, allow_unused=True)
        return _array(lib, values), np.zeros(scores.shape) if slopes is None else slopes.numpy()


def _mapped(lib: Any, one: Callable[..., Any], dtype: str) -> Mapped:
    each = lib.func.vmap(one)  # a loss that draws raises

    def ask(asked: Floats, given: tuple[Any, ...], rows: Labels, seed: int) -> tuple[Any, Any]:
        def audited(f: Any, row: Any) -> Any:
            losses = each(f, *(_tensor(lib, x) for x in given))
            return losses if losses.ndim == 1 else losses[lib.arange(len(row)), row]

        return _gradients(lib, audited, asked, rows, seed, dtype)

    return ask


FRAMEWORK = Framework("torch", _tensor, _gradients, dtype="float64", mapped=_mapped)


def torch(loss: Callable[..., Any], *, dtype: str = "float64") -> LossFunction:
    """Adapt a PyTorch loss for `il.audit`, with the gradients of autograd.

    Parameters
    ----------
    loss : callable
        `loss(scores, positive)` -> the losses (B,), as with `reduction="none"`; scores and positive are tensors (B, L)
        and (B,) in main memory.  A loss on a GPU takes them there: `lambda f, y: loss(f.cuda(), y.cuda())`.
    dtype : {"float64", "float32"}
        The type of the scores.

    Returns
    -------
    LossFunction
        `loss_fn(scores, positive, rng)` -> (losses (B,), gradients (B, L)).

    Raises
    ------
    ValueError
        If PyTorch is not installed, or an argument is none of these.

    Examples
    --------
    The logit-adjusted loss by PyTorch's own cross-entropy:

    >>> import torch
    >>> import implicitloss as il
    >>> prior = il.LabelPrior.zipf(20, 1.0)
    >>> def loss(scores, positive):
    ...     adjusted = scores + torch.tensor(prior.log)
    ...     return torch.nn.functional.cross_entropy(adjusted, positive, reduction="none")
    >>> il.audit(il.adapters.torch(loss), prior=prior, claim=il.margins.LogitAdjusted(), rng=0).verdict
    'holds'
    """
    return FRAMEWORK.adapt(loss, dtype=dtype)
