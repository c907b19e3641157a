"""PyTorch's cross-entropy, and the packages of losses that build on it."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

import implicitloss as il
from analysis.libraries.boxes import unit_length
from analysis.libraries.case import Audited, LibraryCase, Size

# Rows of the score matrix that the cached loss computes together: batches are cut.
CHUNK = 32


def torch(size: Size) -> list[LibraryCase]:
    """Controls with known answers: cross-entropy as it is, and with log π added (logit adjustment)."""
    lib = importlib.import_module("torch")
    prior = size.prior
    log_prior = lib.tensor(np.array(prior.log))

    def plain(f: Any, y: Any) -> Any:
        return lib.nn.functional.cross_entropy(f, y, reduction="none")

    adjusted = il.adapters.torch(lambda f, y: plain(f + log_prior, y))
    quote = "Compute the cross entropy loss between input logits and target"
    source, name = lib.nn.functional.cross_entropy, "nn.functional.cross_entropy"
    return [
        LibraryCase(name, quote, source, "full", "full softmax: p = 1", il.adapters.torch(plain), prior),
        LibraryCase(
            f"{name}, logits + log π", "", source, il.margins.LogitAdjusted(), "logit-adjusted softmax: p = π_y'/π_y",
            adjusted, prior,
        ),
        LibraryCase(f"{name}, logits + log π", "", source, "full", "full softmax, which it is not", adjusted, prior),
    ]  # fmt: skip


def sentence_transformers(size: Size) -> list[LibraryCase]:
    """`MultipleNegativesRankingLoss`, cosines and scale 20, from embeddings, in one piece and in chunks.

    They return the mean of a batch.  All queries but the first are orthogonal to all items: their losses are log n
    each, and what is left of n means is the first query's loss.
    """
    lib = importlib.import_module("torch")
    losses = importlib.import_module("sentence_transformers.sentence_transformer.losses")
    mnrl = losses.MultipleNegativesRankingLoss
    prior, quote = size.prior, "cross-entropy loss with in-batch negatives"

    def first(mean: Callable[[Any, Any], Any]) -> Callable[..., Any]:
        def loss(queries: Any, items: Any, labels: Any) -> Any:
            queries, items = unit_length(lib, queries[:1], items)
            n = items.shape[0]
            elsewhere = lib.zeros(n - 1, items.shape[1], dtype=items.dtype)
            elsewhere[:, -1] = 1.0
            return (n * mean(lib.cat([queries, elsewhere]), items) - (n - 1) * np.log(n)).reshape(1)

        return loss

    loss = first(lambda queries, items: mnrl(None).compute_loss_from_embeddings([queries, items], None))
    cached = losses.CachedMultipleNegativesRankingLoss
    in_chunks = cached([None], mini_batch_size=CHUNK)
    chunked = first(lambda queries, items: in_chunks.calculate_loss([queries.split(CHUNK), items.split(CHUNK)]))
    return [
        LibraryCase(
            "losses.MultipleNegativesRankingLoss (scale=20)", quote, mnrl.__init__, size.scheme(),
            "weights of 1, in-batch, hits kept, temperature 0.05",
            il.adapters.in_batch(loss, prior, size.m + 1, framework="torch"), prior, {"temperature": 0.05},
        ),
        LibraryCase(
            f"losses.CachedMultipleNegativesRankingLoss (scale=20, mini_batch_size={CHUNK})", "Boosted version of "
            ":class:`MultipleNegativesRankingLoss`", cached.__init__, size.scheme(),
            "weights of 1, in-batch, hits kept, temperature 0.05",
            il.adapters.in_batch(chunked, prior, size.m + 1, framework="torch"), prior, {"temperature": 0.05},
        ),
    ]  # fmt: skip


def pytorch_metric_learning(size: Size) -> list[LibraryCase]:
    """`NTXentLoss` with `DoNothingReducer`, one anchor against the batch; by classes, or each example its own."""
    lib = importlib.import_module("torch")
    package = importlib.import_module("pytorch_metric_learning")
    importlib.import_module("pytorch_metric_learning.losses")
    importlib.import_module("pytorch_metric_learning.reducers")
    ntxent = package.losses.NTXentLoss
    prior = size.prior

    def loss(labelled: bool) -> Audited:
        made = ntxent(temperature=0.07, reducer=package.reducers.DoNothingReducer())

        def of(queries: Any, items: Any, labels: Any) -> Any:
            queries, items = unit_length(lib, queries[:1], items)
            ids = labels if labelled else lib.arange(len(labels))
            found = made(queries, ids[:1], ref_emb=items, ref_labels=ids)["loss"]["losses"]
            return found[:1]  # of several positive pairs the first: the example and its own item

        return il.adapters.in_batch(of, prior, size.m + 1, framework="torch")

    name = "losses.NTXentLoss(temperature=0.07)"
    return [
        LibraryCase(
            f"{name}, class labels", "", ntxent, size.scheme(None, "mask"), "weights of 1, in-batch, hits masked",
            loss(True), prior, {"temperature": 0.07},
        ),
        LibraryCase(
            f"{name}, a label of its own for each example", "", ntxent, size.scheme(),
            "weights of 1, in-batch, hits kept", loss(False), prior, {"temperature": 0.07},
        ),
    ]  # fmt: skip
