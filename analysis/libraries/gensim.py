"""Gensim's Word2Vec, whose sampler is compiled."""

from __future__ import annotations

import importlib

import numpy as np

import implicitloss as il
from analysis.libraries.boxes import of_draws
from analysis.libraries.case import LibraryCase, Size
from implicitloss.labels import Labels


def gensim(size: Size) -> list[LibraryCase]:
    """Negatives that `Word2Vec`'s compiled skip-gram draws, by the rows of its output layer that it changes.

    One sentence of two words, vectors of one dimension: the context's is 1, the target's is 0, so that only the pair
    (context, target) changes the output layer: row j moves by the same step for each time that j was drawn.
    """
    word2vec = importlib.import_module("gensim.models.word2vec")
    prior = size.counted
    assert prior.counts is not None
    # From just below 0, so that all moves are by the same entry of the table.
    context, rate, start = size.n_labels // 3, 1e-5, np.float32(-1e-3)
    model = word2vec.Word2Vec(vector_size=1, window=1, sg=1, negative=size.m, min_count=1, sample=0, workers=1, seed=1)
    model.build_vocab_from_freq({str(i): int(n) for i, n in enumerate(prior.counts)})
    keys = model.wv.key_to_index
    place = np.array([keys[str(i)] for i in range(size.n_labels)])
    model.init_weights()
    work = np.zeros(1, np.float32)

    def draw(y: int, rng: np.random.Generator) -> Labels:
        assert y != context, "the context word is no positive"
        model.random = np.random.RandomState(int(rng.integers(2**31 - 1)))
        model.syn1neg[:] = start
        model.wv.vectors[place[context]], model.wv.vectors[place[y]] = 1.0, 0.0
        word2vec.train_batch_sg(model, [[str(context), str(y)]], rate, work, False)
        moved = (start - model.syn1neg[place, 0]) / rate
        # The target moves by 1 - σ, each draw by σ, where σ is an entry of gensim's table.
        moved /= 1.0 + moved[y]
        moved[y] = 0.0  # a hit is skipped
        times = np.rint(moved)
        assert np.abs(moved - times).max() < 0.05, "rows move by whole draws"
        return np.repeat(np.arange(size.n_labels), times.astype(int))

    return [
        LibraryCase("models.Word2Vec (sg=1, ns_exponent=0.75, default)",
             "The exponent used to shape the negative sampling "
             "distribution", word2vec.Word2Vec.__init__, size.scheme(None, "mask", il.samplers.Power(0.75)),
             "draws ∝ π^0.75, hits skipped", of_draws(draw), prior)
    ]  # fmt: skip
