"""Sampled losses in PyTorch that are right at every number of negatives."""

import torch

__all__ = ["in_batch_softmax", "logit_adjusted_in_batch", "sampled_softmax"]

# How `implicitloss.recipes.code` writes a vector.
VECTOR = "torch.as_tensor({}, dtype=torch.float32)"


def in_batch_softmax(
    queries: torch.Tensor, items: torch.Tensor, labels: torch.Tensor, log_shift: torch.Tensor, temperature: float = 1.0
) -> torch.Tensor:
    """In-batch softmax: cross-entropy of each query's own item among the items of the batch.

    Row i has the loss -log(e^z_ii / Σ_j e^z_ij), z_ij = ⟨query_i, item_j⟩/temperature - log q_j + log δ_j, where j
    stands for the label of item j.  At every batch size, the optimum has scores/temperature = log η - log δ, with
    η_y = P(y | query).

    Parameters
    ----------
    queries, items : tensor, (B, d)
        A query and its own item in each row.
    labels : tensor, (B,)
        The labels of the items, from 0 to L - 1.
    log_shift : tensor, (L,)
        log q - log δ up to a constant, with q the law of labels in batches; δ = 1 teaches softmax.
        It lies on the device of the queries.
    temperature : float
        It divides the scores before the shift comes off.

    Returns
    -------
    tensor, (B,)
        The losses.

    References
    ----------
    Yi et al. 2019 take log q off; `implicitloss.weightings.Consistent` says what is taught.

    Examples
    --------
    A model whose scores are log η, where η = q: all slots of a batch are equally likely to hold the positive.

    >>> import torch
    >>> from implicitloss.recipes.torch import in_batch_softmax
    >>> log_q, labels = torch.tensor([0.75, 0.25]).log(), torch.tensor([0, 1])
    >>> items = torch.eye(2)[labels]
    >>> in_batch_softmax(torch.stack([log_q, log_q]), items, labels, log_q)
    tensor([0.6931, 0.6931])
    """
    scores = queries @ items.T
    scores = scores / temperature
    logits = scores - log_shift[labels]
    own = torch.arange(len(logits), device=logits.device)
    return torch.nn.functional.cross_entropy(logits, own, reduction="none")


def sampled_softmax(
    queries: torch.Tensor,
    items: torch.Tensor,
    labels: torch.Tensor,
    negatives: torch.Tensor,
    drawn: torch.Tensor,
    log_shift: torch.Tensor,
    temperature: float = 1.0,
) -> torch.Tensor:
    """Sampled softmax: cross-entropy of each query's own item among itself and m draws, which the batch shares.

    Row i has the loss -log(e^z_i / (e^z_i + Σ_j e^z_ij)), z = ⟨query, item⟩/temperature - log q + log δ at the label of
    the item, the own item's too.  At every m, the optimum has scores/temperature = log η - log δ, with
    η_y = P(y | query).

    Parameters
    ----------
    queries, items : tensor, (B, d)
        A query and its own item in each row.
    labels : tensor, (B,)
        The labels of the items, from 0 to L - 1.
    negatives : tensor, (m, d)
        The items of the labels that were drawn.
    drawn : tensor, (m,)
        Labels drawn independently from q, repeats and labels of the batch included.
    log_shift : tensor, (L,)
        log q - log δ up to a constant, with q the law of the draws; δ = 1 teaches softmax.
        It lies on the device of the queries.
    temperature : float
        It divides the scores before the shift comes off.

    Returns
    -------
    tensor, (B,)
        The losses.

    References
    ----------
    Rawat et al. 2021, Table 1, relative weights; `implicitloss.weightings.Consistent` says what is taught.

    Examples
    --------
    A model whose scores are log η, η = (3/4, 1/4), and uniform draws: the slots hold the labels 0 and 1, and the
    probability that 0 is the positive is 3/4.

    >>> import torch
    >>> from implicitloss.recipes.torch import sampled_softmax
    >>> log_eta, log_q = torch.tensor([0.75, 0.25]).log(), torch.tensor([0.5, 0.5]).log()
    >>> y, drawn = torch.tensor([0]), torch.tensor([1])
    >>> query, items = log_eta[None], torch.eye(2)[torch.tensor([0, 1])]
    >>> sampled_softmax(query, items[:1], y, items[1:], drawn, log_q)  # log 4/3
    tensor([0.2877])
    """
    own = (queries * items).sum(dim=1) / temperature - log_shift[labels]
    others = queries @ negatives.T / temperature - log_shift[drawn]
    logits = torch.cat([own[:, None], others], dim=1)
    first = torch.zeros(len(logits), dtype=torch.long, device=logits.device)
    return torch.nn.functional.cross_entropy(logits, first, reduction="none")


def logit_adjusted_in_batch(
    queries: torch.Tensor,
    items: torch.Tensor,
    labels: torch.Tensor,
    log_prior: torch.Tensor,
    tau: float = 1.0,
    temperature: float = 1.0,
) -> torch.Tensor:
    """In-batch softmax of logit adjustment: cross-entropy of each query's own item among the items of the batch.

    Row i has the loss -log(e^z_ii / Σ_j e^z_ij), z_ij = ⟨query_i, item_j⟩/temperature - (1 - τ) log π_j, where j stands
    for the label of item j: log q - τ log π comes off, and within batches q = π.  At every batch size, the
    optimum has scores/temperature = log η - τ log π, with η_y = P(y | query).  At τ = 1 nothing has to come off.

    Parameters
    ----------
    queries, items : tensor, (B, d)
        A query and its own item in each row.
    labels : tensor, (B,)
        The labels of the items, from 0 to L - 1.
    log_prior : tensor, (L,)
        log π up to a constant, with π the law of labels in batches.
        It lies on the device of the queries.
    tau : float
        τ: 0 is softmax, 1 balances the labels.
    temperature : float
        It divides the scores before the shift comes off.

    Returns
    -------
    tensor, (B,)
        The losses.

    References
    ----------
    Menon et al. 2021; `implicitloss.weightings.Consistent` says what is taught.

    Examples
    --------
    A model whose scores are log η - τ log π, where η = π and τ = 1/2: all slots of a batch are equally likely to hold
    the positive.

    >>> import torch
    >>> from implicitloss.recipes.torch import logit_adjusted_in_batch
    >>> log_prior, labels = torch.tensor([0.75, 0.25]).log(), torch.tensor([0, 1])
    >>> items, queries = torch.eye(2)[labels], torch.stack([log_prior / 2, log_prior / 2])
    >>> logit_adjusted_in_batch(queries, items, labels, log_prior, tau=0.5)
    tensor([0.6931, 0.6931])
    """
    log_shift = (1 - tau) * log_prior
    scores = queries @ items.T
    scores = scores / temperature
    logits = scores - log_shift[labels]
    own = torch.arange(len(logits), device=logits.device)
    return torch.nn.functional.cross_entropy(logits, own, reduction="none")
