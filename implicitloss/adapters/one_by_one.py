"""A loss that averages or sums its examples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from implicitloss.adapters.framework import check_loss, named_after
from implicitloss.auditing.blackbox import LossFunction
from implicitloss.labels import Floats, Labels

__all__ = ["one_by_one"]


def one_by_one(loss_fn: LossFunction) -> LossFunction:
    """Adapt a loss that averages or sums its examples: it is called with one example at a time.

    Parameters
    ----------
    loss_fn : callable
        `loss_fn(scores (B, L), positive (B,), rng)` -> one number, or (one number, gradients (B, L)).

    Returns
    -------
    LossFunction
        `loss_fn(scores, positive, rng)` -> losses (B,), with gradients (B, L) if the loss has them.

    Raises
    ------
    ValueError
        If `loss_fn` is no function; when it is called, if it returns more than one number.

    Examples
    --------
    >>> import numpy as np
    >>> import implicitloss as il
    >>> def mean(scores, positive, rng):
    ...     return np.mean(np.log(np.exp(scores).sum(axis=1)) - scores[np.arange(len(positive)), positive])
    >>> each = il.adapters.one_by_one(mean)
    >>> each(np.zeros((2, 4)), np.array([0, 3]), np.random.default_rng(0)).round(4)
    array([1.3863, 1.3863])
    """
    check_loss(loss_fn)
    return _one_by_one(loss_fn, lambda: None)


def _one_by_one(loss_fn: LossFunction, reset: Callable[[], object]) -> LossFunction:
    """The adapted loss, with `reset` called before each example."""

    def each(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        values, slopes = [], []
        for i in range(len(positive)):
            reset()
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

    each.package = getattr(loss_fn, "package", "numpy")  # type: ignore[attr-defined]
    each.resetting = lambda reset: _one_by_one(loss_fn, reset)  # type: ignore[attr-defined]
    return named_after(loss_fn, each)
