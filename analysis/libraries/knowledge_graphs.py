"""PyKEEN, a package of knowledge-graph embeddings: labels are the tails of triples (0, 0, tail)."""

from __future__ import annotations

import importlib
import math
from typing import Any

import numpy as np

import implicitloss as il
from analysis.libraries.boxes import of_draws, without_hits
from analysis.libraries.case import LibraryCase, Size
from implicitloss.labels import Labels


def pykeen(size: Size) -> list[LibraryCase]:
    """`BasicNegativeSampler`, tails corrupted, and `InfoNCELoss` on its negatives."""
    lib = importlib.import_module("torch")
    sampler = importlib.import_module("pykeen.sampling").BasicNegativeSampler
    losses = importlib.import_module("pykeen.losses")
    prior, n = size.prior, size.n_labels
    made = sampler(
        mapped_triples=lib.tensor([[0, 0, 0]]), num_entities=n, num_relations=1, num_negs_per_pos=size.m,
        corruption_scheme=("tail",),
    )  # fmt: skip
    info_nce = losses.InfoNCELoss()

    def negatives(y: Any) -> Any:
        return made.corrupt_batch(lib.tensor([[0, 0, int(y)]]))[0, :, 2]

    def draw(y: int, rng: np.random.Generator) -> Labels:
        lib.manual_seed(int(rng.integers(2**31 - 1)))
        return np.asarray(negatives(y).numpy())

    def loss(scores: Any, positive: Any) -> Any:
        each = zip(scores, positive, strict=True)
        return lib.stack([info_nce.process_slcwa_scores(f[y].reshape(1, 1), f[negatives(y)][None]) for f, y in each])

    uniform = size.scheme(None, "exclude", il.samplers.Uniform())
    weight = math.exp(info_nce.margin / info_nce.inverse_softmax_temperature)
    return [
        LibraryCase(
            "sampling.BasicNegativeSampler(corruption_scheme=('tail',))", "Randomly (uniformly) sample an entity",
            sampler, uniform, "uniform draws, the positive excluded", of_draws(draw), prior,
        ),
        LibraryCase(
            "losses.InfoNCELoss() (margin=0.02, temperature 0.05)",
            "positive scores are subtracted by the margin", losses.InfoNCELoss,
            without_hits(np.full((n, n), weight * size.m / (n - 1))),
            "weights of exp(margin/temperature), uniform draws, the positive excluded, temperature 0.05",
            il.adapters.torch(loss), prior, {"temperature": 0.05},
        ),
    ]  # fmt: skip
