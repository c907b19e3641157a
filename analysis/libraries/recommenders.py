"""Packages of recommenders, with samplers of their own: Torch-RecHub, RecBole and LibRecommender."""

from __future__ import annotations

import importlib
from types import SimpleNamespace
from typing import Any

import numpy as np

import implicitloss as il
from analysis.libraries.boxes import inclusion, of_draws, without_hits
from analysis.libraries.case import NEARLY, Audited, LibraryCase, Size
from analysis.libraries.tensorflow import tf_in_batch
from implicitloss.labels import Floats, Labels


def torch_rechub(size: Size) -> list[LibraryCase]:
    """`negative_sample` by all its methods, the in-batch negatives, and two losses that are called NCE."""
    lib = importlib.import_module("torch")
    match = importlib.import_module("torch_rechub.utils.match")
    losses = importlib.import_module("torch_rechub.basic.loss_func")
    prior = size.counted
    assert prior.counts is not None
    items = {i: int(prior.counts[i]) for i in prior.by_frequency}
    sample = match.negative_sample

    def drawn(method: int) -> Audited:
        def draw(y: int, rng: np.random.Generator) -> Labels:
            np.random.seed(int(rng.integers(2**31 - 1)))  # noqa: NPY002 - the sampler's own source of chance
            return np.asarray(sample(items, size.m, method))

        return of_draws(draw)

    def in_batch(queries: Any, items: Any, labels: Any) -> Any:
        scores = queries @ items.T
        logits = match.gather_inbatch_logits(scores, match.inbatch_negative_sampling(scores))
        return lib.nn.functional.cross_entropy(logits, lib.zeros(len(labels), dtype=lib.long), reduction="none")

    nce = losses.NCELoss(ignore_index=-1, reduction="none")
    in_batch_nce = losses.InBatchNCELoss(temperature=1.0, ignore_index=-1, reduction="none")
    eye = lib.eye(size.n_labels, dtype=lib.float64)
    q_log = np.log(prior.counts + 1) + 1e-6
    rank = np.exp(il.samplers.LogUniform().log_law(il.Problem(np.zeros(prior.n_labels), prior, 0)))
    of_counts = np.log((prior.counts + 2) / (prior.counts + 1))

    def all_alike(p: Floats) -> Floats:
        return np.broadcast_to(p, (p.size, p.size)).copy()

    return [
        LibraryCase("utils.match.negative_sample, method_id=0", "random sampling", sample,
             size.scheme(sampler=il.samplers.Uniform()), "uniform draws", drawn(0), prior),
        LibraryCase("utils.match.negative_sample, method_id=1",
             "popularity sampling method used in word2vec", sample,
             size.scheme(sampler=il.samplers.Power(0.75)), "draws ∝ π^0.75", drawn(1), prior),
        LibraryCase("utils.match.negative_sample, method_id=2",
             "popularity sampling method by `log(count+1)+1e-6`", sample,
             size.scheme(sampler=il.samplers.Explicit(q_log / q_log.sum())), "draws ∝ log(n + 1) + 1e-6", drawn(2),
             prior),
        LibraryCase("utils.match.negative_sample, method_id=3", "tencent RALM sampling", sample,
             all_alike(inclusion(rank, size.m)), "distinct draws ∝ log((k + 2)/(k + 1)), k the rank from 0", drawn(3),
             prior, {"tolerance": NEARLY}),
        LibraryCase("utils.match.negative_sample, method_id=3", "", sample,
             all_alike(inclusion(of_counts / of_counts.sum(), size.m)),
             "distinct draws ∝ log((n + 2)/(n + 1)), n the count", drawn(3), prior,
             # At a rare label its own hits, too, are often enough to be decided.
             {"tolerance": NEARLY, "positives": [size.n_labels - 1]}),
        LibraryCase("utils.match.inbatch_negative_sampling, cross-entropy", "Generate in-batch negative indices from a "
             "similarity matrix", match.inbatch_negative_sampling, size.scheme(), "weights of 1, in-batch, hits kept",
             il.adapters.in_batch(in_batch, prior, size.m + 1, framework="torch"), prior,
             {"runs": min(size.runs, 2000)}),
        LibraryCase("basic.loss_func.NCELoss", "Noise Contrastive Estimation (NCE) loss for recommender systems",
             losses.NCELoss, size.scheme(None, "keep"), "logistic, draws from π",
             il.adapters.torch(nce), prior, {"form": "logistic"}),
        LibraryCase("basic.loss_func.NCELoss", "", losses.NCELoss, "full", "full softmax: p = 1",
             il.adapters.torch(nce),
             prior),
        LibraryCase("basic.loss_func.InBatchNCELoss", "In-batch NCE loss with explicit negatives",
             losses.InBatchNCELoss,
             size.scheme(), "weights of 1, in-batch, hits kept",
             il.adapters.torch(lambda f, y: in_batch_nce(f, eye, y)), prior),
        LibraryCase("basic.loss_func.InBatchNCELoss", "", losses.InBatchNCELoss, "full", "full softmax: p = 1",
             il.adapters.torch(lambda f, y: in_batch_nce(f, eye, y)), prior),
    ]  # fmt: skip


def recbole(size: Size) -> list[LibraryCase]:
    """`Sampler`, uniform and by popularity; user y has used item y only."""
    lib = importlib.import_module("torch")
    sampler = importlib.import_module("recbole.sampler").Sampler
    prior = size.counted
    assert prior.counts is not None
    # Item and user 0 are padding.
    used = np.repeat(np.arange(1, size.n_labels + 1), prior.counts.astype(int))
    data = SimpleNamespace(
        uid_field="user", iid_field="item", user_num=size.n_labels + 1, item_num=size.n_labels + 1,
        inter_feat={"user": lib.tensor(used), "item": lib.tensor(used)},
    )  # fmt: skip

    def drawn(**options: Any) -> Audited:
        made = sampler("train", data, **options).set_phase("train")

        def draw(y: int, rng: np.random.Generator) -> Labels:
            np.random.seed(int(rng.integers(2**31 - 1)))  # noqa: NPY002 - the sampler's own source of chance
            return np.asarray(made.sample_by_user_ids([y + 1], None, size.m).numpy() - 1)

        return of_draws(draw)

    quote = "sample negative items for each input user"
    return [
        LibraryCase("sampler.Sampler, distribution='uniform' (default)", quote, sampler,
             size.scheme(None, "exclude", il.samplers.Uniform()), "uniform draws, used items excluded",
             drawn(), prior),
        LibraryCase("sampler.Sampler, distribution='popularity', alpha=1", "Sample [sample_num] items in the "
             "popularity-biased distribution", sampler._pop_sampling,
             size.scheme(None, "exclude", il.samplers.WithinBatch()),
             "draws ∝ π, used items excluded", drawn(distribution="popularity"), prior),
        LibraryCase("sampler.Sampler, distribution='popularity', alpha=0.75", "Sample [sample_num] items in the "
             "popularity-biased distribution", sampler._pop_sampling,
             size.scheme(None, "exclude", il.samplers.Power(0.75)), "draws ∝ π^0.75, used items excluded",
             drawn(distribution="popularity", alpha=0.75), prior),
    ]  # fmt: skip


def librecommender(size: Size) -> list[LibraryCase]:
    """The samplers of negatives, and the loss of `TwoTower`, which is TensorFlow's of the first version.

    A sampler draws a hit again: ten times if it is uniform, once if it goes by popularity, and then it stays.
    """
    tf = importlib.import_module("tensorflow")
    sampling = importlib.import_module("libreco.sampling.negatives")
    two_tower = importlib.import_module("libreco.algorithms").TwoTower
    tf.compat.v1.enable_v2_behavior()  # which the import has turned off
    losses = importlib.import_module("libreco.tfops.loss")
    prior, n = size.counted, size.n_labels
    assert prior.counts is not None
    consumed = {i: range(int(count)) for i, count in enumerate(prior.counts)}
    popular = sampling.neg_probs_from_frequency(consumed, n, temperature=0.75)

    again = size.m * popular[None, :] * (1 + popular[:, None])
    np.fill_diagonal(again, size.m * popular**2)

    def uniform(y: int, rng: np.random.Generator) -> Labels:
        return np.asarray(sampling.negatives_from_random(rng, n, np.array([y]), size.m))

    def by_popularity(y: int, rng: np.random.Generator) -> Labels:
        return np.asarray(sampling.negatives_from_popular(rng, n, np.array([y]), size.m, probs=popular))

    def loss(removed: bool) -> Audited:
        q = tf.constant(prior.probabilities, tf.float32)

        def of(queries: Any, items: Any, labels: Any) -> Any:
            model = SimpleNamespace(
                temperature=1.0, use_correction=True, correction=tf.gather(q, labels), item_indices=labels,
                remove_accidental_hits=removed,
            )  # fmt: skip
            model.adjust_logits = lambda logits, all_adjust: two_tower.adjust_logits(model, logits, all_adjust)
            return losses.softmax_cross_entropy(model, queries, items)

        return tf_in_batch(size, prior, of)

    relative = il.weightings.Relative()
    hits = "Whether to remove accidental hits of examples used as negatives"
    return [
        LibraryCase("sampling.negatives_from_random", "``'random'`` means random sampling", two_tower,
             without_hits(np.full((n, n), size.m / (n - 1))), "uniform draws, the positive excluded",
             of_draws(uniform), prior),
        LibraryCase("sampling.negatives_from_popular",
             "``'popular'`` has a higher probability to sample popular items as negative samples", two_tower,
             again, "draws ∝ π^0.75, a hit drawn once again",
             of_draws(by_popularity), prior),
        LibraryCase("TwoTower (softmax, use_correction=True)",
             "Whether to use sampling bias correction in softmax loss described in Reference[1]", two_tower,
             size.scheme(relative), "relative weights, in-batch, hits kept", loss(False), prior),
        LibraryCase("TwoTower (softmax, use_correction=True, remove_accidental_hits=True)", hits, two_tower,
             size.scheme(relative, "mask"), "relative weights, in-batch, hits masked", loss(True), prior),
    ]  # fmt: skip
