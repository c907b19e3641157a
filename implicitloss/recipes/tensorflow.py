"""Sampled losses in TensorFlow that are right at every number of negatives."""

import tensorflow as tf

__all__ = ["in_batch_softmax", "logit_adjusted_in_batch", "sampled_softmax"]

# How `implicitloss.recipes.code` writes a vector.
VECTOR = "tf.constant({}, dtype=tf.float32)"


def in_batch_softmax(
    queries: tf.Tensor, items: tf.Tensor, labels: tf.Tensor, log_shift: tf.Tensor, temperature: float = 1.0
) -> tf.Tensor:
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
        Logits take its type.
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

    >>> import tensorflow as tf
    >>> from implicitloss.recipes.tensorflow import in_batch_softmax
    >>> log_q, labels = tf.math.log([0.75, 0.25]), tf.constant([0, 1])
    >>> items = tf.one_hot(labels, 2)
    >>> in_batch_softmax(tf.stack([log_q, log_q]), items, labels, log_q).numpy().round(4)
    array([0.6931, 0.6931], dtype=float32)
    """
    scores = tf.matmul(queries, items, transpose_b=True) / temperature
    shift = tf.gather(log_shift, labels)
    logits = tf.cast(scores, shift.dtype) - shift
    own = tf.range(tf.shape(logits)[0])
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=own, logits=logits)


def sampled_softmax(
    queries: tf.Tensor,
    items: tf.Tensor,
    labels: tf.Tensor,
    negatives: tf.Tensor,
    drawn: tf.Tensor,
    log_shift: tf.Tensor,
    temperature: float = 1.0,
) -> tf.Tensor:
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
        Logits take its type.
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

    >>> import tensorflow as tf
    >>> from implicitloss.recipes.tensorflow import sampled_softmax
    >>> log_eta, log_q = tf.math.log([0.75, 0.25]), tf.math.log([0.5, 0.5])
    >>> y, drawn = tf.constant([0]), tf.constant([1])
    >>> query, items = log_eta[None], tf.one_hot(tf.constant([0, 1]), 2)
    >>> sampled_softmax(query, items[:1], y, items[1:], drawn, log_q).numpy().round(4)  # log 4/3
    array([0.2877], dtype=float32)
    """
    own = tf.reduce_sum(queries * items, axis=1, keepdims=True) / temperature
    others = tf.matmul(queries, negatives, transpose_b=True) / temperature
    own = tf.cast(own, log_shift.dtype) - tf.gather(log_shift, labels)[:, None]
    others = tf.cast(others, log_shift.dtype) - tf.gather(log_shift, drawn)
    logits = tf.concat([own, others], axis=1)
    first = tf.zeros(tf.shape(logits)[:1], dtype=tf.int32)
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=first, logits=logits)


def logit_adjusted_in_batch(
    queries: tf.Tensor,
    items: tf.Tensor,
    labels: tf.Tensor,
    log_prior: tf.Tensor,
    tau: float = 1.0,
    temperature: float = 1.0,
) -> tf.Tensor:
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
        Logits take its type.
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

    >>> import tensorflow as tf
    >>> from implicitloss.recipes.tensorflow import logit_adjusted_in_batch
    >>> log_prior, labels = tf.math.log([0.75, 0.25]), tf.constant([0, 1])
    >>> items, queries = tf.one_hot(labels, 2), tf.stack([log_prior / 2, log_prior / 2])
    >>> logit_adjusted_in_batch(queries, items, labels, log_prior, tau=0.5).numpy().round(4)
    array([0.6931, 0.6931], dtype=float32)
    """
    log_shift = (1 - tau) * log_prior
    scores = tf.matmul(queries, items, transpose_b=True) / temperature
    shift = tf.gather(log_shift, labels)
    logits = tf.cast(scores, shift.dtype) - shift
    own = tf.range(tf.shape(logits)[0])
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=own, logits=logits)
