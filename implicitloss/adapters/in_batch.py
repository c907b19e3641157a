"""In-batch (two-tower) losses, whose negatives are the labels of the other examples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from implicitloss.adapters.discovery import frameworks
from implicitloss.adapters.framework import check_loss, named_after
from implicitloss.arguments import as_whole, checked_choice, shown
from implicitloss.auditing.blackbox import LossFunction
from implicitloss.labels import Floats, LabelPrior, Labels, checked_prior


def in_batch(
    loss: Callable[..., Any], prior: LabelPrior, batch: int, *, framework: str = "numpy", given: str = "embeddings"
) -> LossFunction:
    """Adapt an in-batch (two-tower) loss, whose negatives are the labels of the other examples.

    Each example of the audit becomes the first example of a batch of its own.  The labels of the others are drawn from
    the prior.  The first query is f, the scores, and items are one-hot vectors of their labels, so that the query's
    score of a label y is exactly f_y.

    Parameters
    ----------
    loss : callable
        `loss(queries, items, labels)` -> the losses (n,), or the first one alone, (1,), of n = `batch` examples.
        Queries and items are (n, d), and queries · items are the scores.
    prior : LabelPrior
        The label frequencies.
    batch : int
        The number n of examples in a batch, at least 2.
    framework : str
        What the loss is written in: "numpy", without gradients, or a framework that has an adapter, e.g. "torch".
    given : {"embeddings", "logits"}
        With "logits" the loss is called as `loss(logits (n, n), labels (n,))`.

    Returns
    -------
    LossFunction
        `loss_fn(scores, positive, rng)` -> losses (B,), with gradients (B, L) if the framework has them.

    Raises
    ------
    ValueError
        If an argument is none of these; when it is called, if the losses have another shape.

    Examples
    --------
    >>> import numpy as np
    >>> import implicitloss as il
    >>> def loss(queries, items, labels):
    ...     logits = queries @ items.T
    ...     return np.log(np.exp(logits).sum(axis=1)) - np.diag(logits)
    >>> adapted = il.adapters.in_batch(loss, il.LabelPrior.zipf(8, 1.0), batch=16)
    >>> adapted(np.zeros((2, 8)), np.array([0, 3]), np.random.default_rng(0)).round(4)  # log 16
    array([2.7726, 2.7726])
    """
    check_loss(loss)
    checked_prior(prior)
    examples = as_whole(batch)
    if examples is None or examples < 2:
        raise ValueError(f"a batch needs at least two examples, got {shown(batch)}")
    batch = examples
    checked_choice(given, "given", ("embeddings", "logits"))
    known = frameworks()
    checked_choice(framework, "framework", ("numpy", *known))
    # None is NumPy, which has no gradients.
    chosen = known.get(framework)
    tensor = np.asarray if chosen is None else chosen.tensor
    edges = np.cumsum(prior.probabilities)

    def of_first(table: Floats, labels: Labels) -> Callable[..., Any]:
        """The first example's loss as a function of its scores for the labels of the batch."""

        def alone(f: Any, _: Any, *key: Any) -> Any:
            items = tensor(table)
            queries = f + 0.0 * items  # every example asks with the same scores
            if given == "logits":
                return _first(loss(f @ items.T + 0.0 * (items @ items.T), tensor(labels), *key), batch)
            return _first(loss(queries, items, tensor(labels), *key), batch)

        return alone

    def loss_fn(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        values, slopes = np.empty(len(positive)), np.zeros(scores.shape)
        for i, y in enumerate(positive):
            others = np.minimum(np.searchsorted(edges, rng.random(batch - 1), side="right"), prior.n_labels - 1)
            labels = np.append(y, others).astype(np.intp)
            # The loss does not depend on the scores of labels that are not in the batch.
            present, place = np.unique(labels, return_inverse=True)
            alone, f = of_first(np.eye(present.size)[place], labels), scores[i : i + 1, present]
            if chosen is None:
                values[i] = np.asarray(alone(f, None))[0]
                continue
            value, slope = chosen.adapt(alone)(f, place[:1], rng)
            values[i], slopes[i, present] = value[0], slope[0]
        return values if chosen is None else (values, slopes)

    return named_after(loss, loss_fn)


def _first(losses: Any, batch: int) -> Any:
    """The first example's loss, (1,)."""
    shape = tuple(getattr(losses, "shape", ()))
    if shape not in ((batch,), (1,)):
        raise ValueError(
            f"the in-batch loss must return one number for each of {batch} examples (without reduction), got shape "
            f"{shape}"
        )
    return losses[:1]
