"""Packages of contrastive losses, whose negatives are the rest of the batch or a memory bank: InfoNCE and its kin."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

import implicitloss as il
from analysis.libraries.case import LibraryCase, Size
from implicitloss.labels import Floats, Labels


def info_nce_pytorch(size: Size) -> list[LibraryCase]:
    """`InfoNCE`, which takes cosines, with the other examples' keys as negatives."""
    made = importlib.import_module("info_nce").InfoNCE(temperature=0.07, reduction="none")
    prior = size.prior

    def loss(queries: Any, items: Any, labels: Any) -> Any:
        return made(queries, items)

    return [
        LibraryCase(
            "InfoNCE(temperature=0.07), no negative_keys",
            "If None, then the negative keys for a sample are the positive keys for the other samples", type(made),
            size.scheme(), "weights of 1, in-batch, hits kept, temperature 0.07",
            il.adapters.in_batch(loss, prior, size.m + 1, framework="torch"), prior, {"temperature": 0.07},
        )
    ]  # fmt: skip


def lightly(size: Size) -> list[LibraryCase]:
    """`NTXentLoss` with a memory bank of the last m items: a batch of them fills it before each example."""
    lib = importlib.import_module("torch")
    ntxent = importlib.import_module("lightly.loss").NTXentLoss
    prior, n = size.prior, size.n_labels
    edges = np.cumsum(prior.probabilities)

    def example(scores: Any, label: int, rng: np.random.Generator) -> Any:
        """The loss of one example; scores are cosines, by one more coordinate of the query."""
        drawn = np.minimum(np.searchsorted(edges, rng.random(size.m)), n - 1)
        present, places = np.unique(np.append(label, drawn), return_inverse=True)
        made = ntxent(temperature=0.07, memory_bank_size=(size.m, present.size + 1))
        items, f = lib.eye(present.size + 1)[places], scores[lib.from_numpy(present)]
        made(items[1:].clone().requires_grad_(), items[1:])
        rest = lib.sqrt(1.0 - (f * f).sum(-1, keepdims=True))
        return made(lib.cat([f, rest])[None], items[:1])

    def loss(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        f = lib.tensor(scores, dtype=lib.float32, requires_grad=True)
        values = lib.stack([example(row, int(y), rng) for row, y in zip(f, positive, strict=True)])
        (slopes,) = lib.autograd.grad(values.sum(), f)
        return values.detach().numpy(), slopes.numpy()

    return [
        LibraryCase(
            "loss.NTXentLoss(temperature=0.07, memory_bank_size=(m, d))",
            "num_features are the number of negative samples stored in the memory bank", ntxent, size.scheme(),
            "weights of 1, the last m items, hits kept, temperature 0.07", loss, prior,
            {"temperature": 0.07, "runs": min(size.runs, 4000)},
        )
    ]  # fmt: skip


def open_clip(size: Size) -> list[LibraryCase]:
    """`ClipLoss`, the mean of two directions and of the batch, and `SigLipLoss`, the mean of the batch."""
    lib = importlib.import_module("torch")
    losses = importlib.import_module("open_clip.loss")
    clip, siglip = losses.ClipLoss(), losses.SigLipLoss()
    prior, n = size.prior, size.m + 1

    def both(queries: Any, items: Any, labels: Any) -> Any:
        return clip(queries, items, 1.0)

    def pairs(queries: Any, items: Any, labels: Any) -> Any:
        """The first example's part of the mean: that of the others is taken off, by the same pairs and signs."""
        rest = (2 * lib.eye(n)[1:] - 1) * (queries[1:] @ items.T)
        return (n * siglip(queries, items, 1.0, 0.0) + lib.nn.functional.logsigmoid(rest).sum()).reshape(1)

    return [
        LibraryCase(
            "loss.ClipLoss()", "", losses.ClipLoss, size.scheme(), "weights of 1, in-batch, hits kept, both directions",
            il.adapters.in_batch(both, prior, n, framework="torch", reduction="mean", symmetric=True), prior,
            {"runs": min(size.runs, 4000)},
        ),
        LibraryCase(
            "loss.SigLipLoss()", "Sigmoid Loss for Language Image Pre-Training", losses.SigLipLoss, size.scheme(),
            "logistic, weights of 1, in-batch, hits kept",
            il.adapters.in_batch(pairs, prior, n, framework="torch"), prior,
            {"form": "logistic", "runs": min(size.runs, 4000)},
        ),
    ]  # fmt: skip
