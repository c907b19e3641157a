"""Sampled losses in NumPy that are right at every number of negatives: values, without gradients."""

import numpy as np

__all__ = ["in_batch_softmax", "logit_adjusted_in_batch", "sampled_softmax"]

# How `implicitloss.recipes.code` writes a vector.
VECTOR = "np.asarray({}, dtype=np.float64)"


def in_batch_softmax(
    queries: np.ndarray, items: np.ndarray, labels: np.ndarray, log_shift: np.ndarray, temperature: float = 1.0
) -> np.ndarray:
    """In-batch softmax: cross-entropy of each query's own item among the items of the batch.

    Row i has the loss -log(e^z_ii / Σ_j e^z_ij), z_ij = ⟨query_i, item_j⟩/temperature - log q_j + log δ_j, where j
    stands for the label of item j.  At every batch size, the optimum has scores/temperature = log η - log δ, with
    η_y = P(y | query).

    Parameters
    ----------
    queries, items : ndarray, (B, d)
        A query and its own item in each row.
    labels : ndarray, (B,)
        The labels of the items, from 0 to L - 1.
    log_shift : ndarray, (L,)
        log q - log δ up to a constant, with q the law of labels in batches; δ = 1 teaches softmax.
    temperature : float
        It divides the scores before the shift comes off.

    Returns
    -------
    ndarray, (B,)
        The losses.

    References
    ----------
    Yi et al. 2019 take log q off; `implicitloss.weightings.Consistent` says what is taught.

    Examples
    --------
    A model whose scores are log η, where η = q: all slots of a batch are equally likely to hold the positive.

    >>> import numpy as np
    >>> from implicitloss.recipes.numpy import in_batch_softmax
    >>> log_q, labels = np.log([0.75, 0.25]), np.array([0, 1])
    >>> items = np.eye(2)[labels]
    >>> in_batch_softmax(np.stack([log_q, log_q]), items, labels, log_q).round(4)
    array([0.6931, 0.6931])
    """
    scores = queries @ items.T / temperature
    logits = scores - log_shift[labels]
    logits = logits - logits.max(axis=1, keepdims=True)
    log_sum = np.log(np.exp(logits).sum(axis=1))
    return log_sum - np.diagonal(logits)


def sampled_softmax(
    queries: np.ndarray,
    items: np.ndarray,
    labels: np.ndarray,
    negatives: np.ndarray,
    drawn: np.ndarray,
    log_shift: np.ndarray,
    temperature: float = 1.0,
) -> np.ndarray:
    """Sampled softmax: cross-entropy of each query's own item among itself and m draws, which the batch shares.

    Row i has the loss -log(e^z_i / (e^z_i + Σ_j e^z_ij)), z = ⟨query, item⟩/temperature - log q + log δ at the label of
    the item, the own item's too.  At every m, the optimum has scores/temperature = log η - log δ, with
    η_y = P(y | query).

    Parameters
    ----------
    queries, items : ndarray, (B, d)
        A query and its own item in each row.
    labels : ndarray, (B,)
        The labels of the items, from 0 to L - 1.
    negatives : ndarray, (m, d)
        The items of the labels that were drawn.
    drawn : ndarray, (m,)
        Labels drawn independently from q, repeats and labels of the batch included.
    log_shift : ndarray, (L,)
        log q - log δ up to a constant, with q the law of the draws; δ = 1 teaches softmax.
    temperature : float
        It divides the scores before the shift comes off.

    Returns
    -------
    ndarray, (B,)
        The losses.

    References
    ----------
    Rawat et al. 2021, Table 1, relative weights; `implicitloss.weightings.Consistent` says what is taught.

    Examples
    --------
    A model whose scores are log η, η = (3/4, 1/4), and uniform draws: the slots hold the labels 0 and 1, and the
    probability that 0 is the positive is 3/4.

    >>> import numpy as np
    >>> from implicitloss.recipes.numpy import sampled_softmax
    >>> log_eta, log_q = np.log([0.75, 0.25]), np.log([0.5, 0.5])
    >>> y, drawn = np.array([0]), np.array([1])
    >>> query, items = log_eta[None], np.eye(2)[np.array([0, 1])]
    >>> sampled_softmax(query, items[:1], y, items[1:], drawn, log_q).round(4)  # log 4/3
    array([0.2877])
    """
    own = np.sum(queries * items, axis=1) / temperature - log_shift[labels]
    others = queries @ negatives.T / temperature - log_shift[drawn]
    logits = np.concatenate([own[:, None], others], axis=1)
    logits = logits - logits.max(axis=1, keepdims=True)
    return np.log(np.exp(logits).sum(axis=1)) - logits[:, 0]


def logit_adjusted_in_batch(
    queries: np.ndarray,
    items: np.ndarray,
    labels: np.ndarray,
    log_prior: np.ndarray,
    tau: float = 1.0,
    temperature: float = 1.0,
) -> np.ndarray:
    """In-batch softmax of logit adjustment: cross-entropy of each query's own item among the items of the batch.

    Row i has the loss -log(e^z_ii / Σ_j e^z_ij), z_ij = ⟨query_i, item_j⟩/temperature - (1 - τ) log π_j, where j stands
    for the label of item j: log q - τ log π comes off, and within batches q = π.  At every batch size, the
    optimum has scores/temperature = log η - τ log π, with η_y = P(y | query).  At τ = 1 nothing has to come off.

    Parameters
    ----------
    queries, items : ndarray, (B, d)
        A query and its own item in each row.
    labels : ndarray, (B,)
        The labels of the items, from 0 to L - 1.
    log_prior : ndarray, (L,)
        log π up to a constant, with π the law of labels in batches.
    tau : float
        τ: 0 is softmax, 1 balances the labels.
    temperature : float
        It divides the scores before the shift comes off.

    Returns
    -------
    ndarray, (B,)
        The losses.

    References
    ----------
    Menon et al. 2021; `implicitloss.weightings.Consistent` says what is taught.

    Examples
    --------
    A model whose scores are log η - τ log π, where η = π and τ = 1/2: all slots of a batch are equally likely to hold
    the positive.

    >>> import numpy as np
    >>> from implicitloss.recipes.numpy import logit_adjusted_in_batch
    >>> log_prior, labels = np.log([0.75, 0.25]), np.array([0, 1])
    >>> items, queries = np.eye(2)[labels], np.stack([log_prior / 2, log_prior / 2])
    >>> logit_adjusted_in_batch(queries, items, labels, log_prior, tau=0.5).round(4)
    array([0.6931, 0.6931])
    """
    log_shift = (1 - tau) * log_prior
    scores = queries @ items.T / temperature
    logits = scores - log_shift[labels]
    logits = logits - logits.max(axis=1, keepdims=True)
    log_sum = np.log(np.exp(logits).sum(axis=1))
    return log_sum - np.diagonal(logits)
