"""Installed packages under audit: what their sampled losses and samplers optimise, beside what their documents say.

Each package has one function here, which gives its cases: a loss as a black box, the sentence of its documentation that
is installed, and the claim that is audited in its place.  L = 1000 labels by Zipf's law and m = 100 negatives (200 and
20 with --quick).  A package that is missing or fails is one row that says so, and costs the others nothing.

- In-batch losses: a batch of m + 1 examples, whose other labels are drawn from the prior; items are one-hot vectors of
  their labels, so that the first query scores each label with its own coordinate.  For a loss that looks at cosines the
  query has one more coordinate, which makes its length 1 whatever the scores.
- Samplers: their draws are put into a softmax loss with weights of 1, so that only their law is audited.
- Draws without replacement: label y' is among m draws with probability P_y' = 1 - exp(-t q_y'), Σ P = m, which is
  nearly exact for m = 100; their claims have a relative tolerance of 0.05.

Columns: the verdict on the claim, the scheme that fits best, who gains (known for softmax, where that scheme
fits), losses of single examples asked for, seconds; the date, L and m.

A full run with all packages is recorded: docs/libraries.csv is its table, which docs/libraries.md shows and
`python -m figures libraries` draws for those who lack the packages.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
import os
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np

import implicitloss as il
from analysis.runner import Point, Row
from implicitloss.labels import Floats, LabelPrior, Labels

# Times beside each other would time each other.
ALONE = True

LABELS, M, RUNS = 1000, 100, 8000
QUICK_LABELS, QUICK_M, QUICK_RUNS = 200, 20, 2000
SEED = 20261121
# Samples behind the counts of samplers that want counts.
SAMPLES = 100_000
# Of claims about draws without replacement, see above.
NEARLY = 0.05

Audited = Callable[[Floats, Labels, np.random.Generator], Any]


@dataclass(frozen=True)
class Size:
    """L, m and how many evaluations of each positive an audit may use."""

    n_labels: int
    m: int
    runs: int

    @property
    def prior(self) -> LabelPrior:
        """Zipf's law."""
        return LabelPrior.zipf(self.n_labels, 1.0)

    @property
    def counted(self) -> LabelPrior:
        """Zipf's law in whole counts, none of them 0."""
        return LabelPrior.from_counts(np.ceil(SAMPLES * self.prior.probabilities))

    def scheme(self, weighting: Any = None, hits: Any = "keep", sampler: Any = None) -> il.Scheme:
        """Within-batch negatives with weights of 1, hits kept, if nothing else is said."""
        return il.Scheme(sampler or il.samplers.WithinBatch(), weighting or il.weightings.Unit(), m=self.m, hits=hits)


@dataclass(frozen=True)
class Case:
    """One audit: `function` with its options, a `quote` from `source` (a documented object), the claim, in `words`."""

    function: str
    quote: str
    source: Any
    claim: Any
    words: str
    loss: Audited
    prior: LabelPrior
    options: dict[str, Any] = field(default_factory=dict)
    # Not where the scheme that fits best fits the frequent labels only.
    leans: bool = True


# --- parts of black boxes ---------------------------------------------------------------------------------------------


def _of_draws(draw: Callable[[int, np.random.Generator], Labels]) -> Audited:
    """Softmax with weights of 1 over the labels that `draw(positive, rng)` gives."""

    def loss(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        counts = np.zeros(scores.shape)
        for row, y in enumerate(positive):
            np.add.at(counts[row], draw(int(y), rng), 1.0)
        return _softmax(scores, positive, counts)

    return loss


def _softmax(scores: Floats, positive: Labels, counts: Floats) -> Any:
    rows = np.arange(positive.size)
    x = counts * np.exp(scores - scores[rows, positive][:, None])
    hits = x[rows, positive].copy()
    x[rows, positive] = 0.0
    total = 1.0 + x.sum(axis=1) + hits
    slopes = x / total[:, None]
    slopes[rows, positive] = -slopes.sum(axis=1)
    return np.log(total), slopes


def _batches(one: Callable[[Floats, Labels, Labels], tuple[float, Floats]], prior: LabelPrior, m: int) -> Audited:
    """In-batch: `one(scores (m + 1,), places (m + 1,), labels (m + 1,))` -> the first example's loss, its gradient.

    `scores` are those of the labels that the batch has, filled up with 0, and `places` where each example's label is.
    `il.adapters.in_batch` has other shapes in each batch: compiled functions would be compiled each time.
    """

    def loss(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        values, slopes = np.empty(positive.size, np.float32), np.zeros(scores.shape, np.float32)
        for row, y in enumerate(positive):
            labels = np.append(y, rng.choice(prior.n_labels, size=m, p=prior.probabilities))
            present, places = np.unique(labels, return_inverse=True)
            few = np.zeros(m + 1)
            few[: present.size] = scores[row, present]
            values[row], slope = one(few, places, labels)
            slopes[row, present] = slope[: present.size]
        return values, slopes

    return loss


def _unit_length(library: Any, f: Any, items: Any) -> tuple[Any, Any]:
    """Queries f (n, k) of length 1 by one more coordinate, which items do not have: cosines are the scores."""
    rest = library.sqrt(1.0 - (f * f).sum(-1, keepdims=True))
    zero = 0.0 * items[:, :1]
    join = library.cat if hasattr(library, "cat") else library.concatenate
    return join([f, rest], -1), join([items, zero], -1)


def _inclusion(q: Floats, m: int) -> Floats:
    """P that each label is among m draws without replacement, 1 - exp(-t q), Σ = m."""
    from scipy.optimize import brentq

    t = brentq(lambda t: -np.expm1(-t * q).sum() - m, 0.0, 1e12)
    return np.asarray(-np.expm1(-t * q))


def _rows_of(p: Floats) -> Floats:
    """Margins (L, L) that depend on the positive only."""
    return np.broadcast_to(p[:, None], (p.size, p.size)).copy()


def _without_hits(p: Floats) -> Floats:
    np.fill_diagonal(p, 0.0)
    return p


# --- TensorFlow -------------------------------------------------------------------------------------------------------


def _tensorflow() -> Any:
    """TensorFlow, quiet; with Keras 2 behind tf.keras, which TensorFlow Recommenders needs."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    return importlib.import_module("tensorflow")


def _candidates(size: Size, loss: Callable[..., Any], unique: bool, **options: Any) -> Audited:
    """A sampled loss of TensorFlow, each example with draws of its own by its default sampler.

    Weights are the identity and inputs the scores: logits are scores.  The seed is set once a call: setting it throws
    away all of TensorFlow's compiled kernels.  `unique=True` passes what the loss would draw by itself.
    """
    tf = _tensorflow()
    n, m = size.n_labels, size.m
    eye, zero = tf.eye(n), tf.zeros(n)

    @tf.function  # type: ignore[untyped-decorator]
    def slopes_of(f: Any, y: Any, drawn: Any, expected_true: Any, expected: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(f)
            value = loss(eye, zero, y, f, m, n, sampled_values=(drawn, expected_true, expected), **options)[0]
        return value, tape.gradient(value, f)[0]

    def audited(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        tf.random.set_seed(int(rng.integers(2**31 - 1)))
        values, slopes = np.empty(positive.size, np.float32), np.empty(scores.shape, np.float32)
        for row, y in enumerate(positive):
            label = tf.constant([[y]], tf.int64)
            drawn = tf.random.log_uniform_candidate_sampler(label, 1, m, unique, n)
            value, slope = slopes_of(tf.constant(scores[row : row + 1], tf.float32), label, *drawn)
            values[row], slopes[row] = value.numpy(), slope.numpy()
        return values, slopes

    return audited


def tensorflow(size: Size) -> list[Case]:
    """`tf.nn.sampled_softmax_loss`, draws distinct (the default) or not, and `tf.nn.nce_loss`; hits removed or not.

    With distinct draws nce_loss takes off expected counts that change from call to call (they count the tries of its
    sampler): its shift is not one number a label, and it is audited with `unique=False` only.
    """
    tf = _tensorflow()
    prior, sampler = size.prior, il.samplers.LogUniform()
    q = np.exp(sampler.log_law(il.Problem(np.zeros(prior.n_labels), prior, 0)))
    included = _inclusion(q, size.m)
    helper = importlib.import_module("tensorflow.python.ops.nn_impl")._compute_sampled_logits
    softmax, nce = tf.nn.sampled_softmax_loss, tf.nn.nce_loss
    relative = il.weightings.Relative()
    remove = 'whether to remove "accidental hits" where a sampled class equals one of the target classes'
    log_q = "whether to subtract the log expected count of the labels in the sample"
    nearly = {"tolerance": NEARLY}
    replaced = {"form": "logistic", "shift": -np.log(size.m * q)}
    unique = "draws distinct (default)"
    return [
        Case(
            f"nn.sampled_softmax_loss, {unique}, remove_accidental_hits=True (default)",
            "It is generally an underestimate of the full softmax loss", softmax,
            "full", "full softmax: p = 1", _candidates(size, softmax, True, remove_accidental_hits=True), prior,
        ),
        Case(
            f"nn.sampled_softmax_loss, {unique}, remove_accidental_hits=True (default)", log_q, helper,
            _without_hits(_rows_of(included)), "expected counts taken off both sides: p = P_y, hits 0",
            _candidates(size, softmax, True, remove_accidental_hits=True), prior, nearly,
        ),
        Case(
            f"nn.sampled_softmax_loss, {unique}, remove_accidental_hits=False", log_q, helper,
            _rows_of(included), "expected counts taken off both sides: p = P_y, hits P_y",
            _candidates(size, softmax, True, remove_accidental_hits=False), prior, nearly,
        ),
        Case(
            "nn.sampled_softmax_loss, sampled_values with unique=False, remove_accidental_hits=True (default)",
            remove, softmax, size.scheme(relative, "mask", sampler), "relative weights, log-uniform, hits masked",
            _candidates(size, softmax, False, remove_accidental_hits=True), prior,
        ),
        Case(
            "nn.sampled_softmax_loss, sampled_values with unique=False, remove_accidental_hits=False",
            log_q, helper, size.scheme(relative, "keep", sampler), "relative weights, log-uniform, hits kept",
            _candidates(size, softmax, False, remove_accidental_hits=False), prior,
        ),
        Case(
            "nn.nce_loss, sampled_values with unique=False, remove_accidental_hits=False (default)",
            "the noise-contrastive estimation training loss", nce, size.scheme(None, "keep", sampler),
            "logistic at scores - log m q: weights of 1, hits kept", _candidates(size, nce, False), prior, replaced,
        ),
        Case(
            "nn.nce_loss, sampled_values with unique=False, remove_accidental_hits=True",
            remove.replace("whether", "Whether"), nce, size.scheme(None, "mask", sampler),
            "logistic at scores - log m q: weights of 1, hits masked",
            _candidates(size, nce, False, remove_accidental_hits=True), prior, replaced,
        ),
    ]  # fmt: skip


def _tf_in_batch(size: Size, prior: LabelPrior, loss: Callable[..., Any]) -> Audited:
    """`loss(queries (n, n), items (n, n), labels (n,))` -> (n,) losses, compiled once."""
    tf = _tensorflow()

    @tf.function  # type: ignore[untyped-decorator]
    def first(f: Any, places: Any, labels: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(f)
            items = tf.one_hot(places, size.m + 1)
            value = loss(f[None, :] + 0.0 * items, items, labels)[0]
        return value, tf.convert_to_tensor(tape.gradient(value, f))

    def one(f: Floats, places: Labels, labels: Labels) -> tuple[float, Floats]:
        value, slope = first(tf.constant(f, tf.float32), tf.constant(places, tf.int64), tf.constant(labels, tf.int64))
        return float(value.numpy()), slope.numpy()

    return _batches(one, prior, size.m)


def _rare(size: Size) -> tuple[LabelPrior, int]:
    """A prior that goes below 1e-6, and the label that is nearest to 1e-6."""
    prior = LabelPrior.zipf(size.n_labels, 3.0)
    return prior, int(np.argmin(np.abs(prior.log - np.log(1e-6))))


def keras_rs(size: Size) -> list[Case]:
    """`SamplingProbabilityCorrection` and `RemoveAccidentalHits` before Keras' categorical cross-entropy."""
    tf = _tensorflow()
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    layers = importlib.import_module("keras_rs").layers
    correct, remove = layers.SamplingProbabilityCorrection(), layers.RemoveAccidentalHits()

    def loss(prior: LabelPrior, corrected: bool, removed: bool) -> Audited:
        q = tf.constant(prior.probabilities, tf.float32)

        def of(queries: Any, items: Any, labels: Any) -> Any:
            logits, targets = tf.matmul(queries, items, transpose_b=True), tf.eye(size.m + 1)
            if corrected:
                logits = correct(logits, tf.gather(q, labels)[None, :])
            if removed:
                logits = remove(logits, targets, labels)
            return tf.nn.softmax_cross_entropy_with_logits(targets, logits)

        return _tf_in_batch(size, prior, of)

    prior, (rare, label) = size.prior, _rare(size)
    added = rare.probabilities + 1e-6
    q = rare.probabilities
    return [
        Case(
            "layers.SamplingProbabilityCorrection",
            "Corrects the logits to reflect the sampling probability of negatives",
            layers.SamplingProbabilityCorrection, size.scheme(il.weightings.Relative()),
            "relative weights, in-batch, hits kept", loss(prior, True, False), prior,
        ),
        Case(
            "layers.SamplingProbabilityCorrection, probabilities below 1e-6",
            "Small float added to sampling probability", layers.SamplingProbabilityCorrection,
            size.m * q[None, :] * added[:, None] / added[None, :], "weights (q_y + ε)/(q_y' + ε), hits kept",
            loss(rare, True, False), rare, {"positives": [0, label, size.n_labels - 1]}, leans=False,
        ),
        Case(
            "layers.RemoveAccidentalHits",
            "Zeroes the logits of negative candidates that have the same ID as the positive candidate in that row",
            layers.RemoveAccidentalHits, size.scheme(None, "mask"), "weights of 1, in-batch, hits masked",
            loss(prior, False, True), prior,
        ),
    ]  # fmt: skip


def tensorflow_recommenders(size: Size) -> list[Case]:
    """The `Retrieval` task, its loss without reduction, with and without its corrections."""
    tf = _tensorflow()
    retrieval = importlib.import_module("tensorflow_recommenders").tasks.Retrieval

    def loss(prior: LabelPrior, corrected: bool, removed: bool) -> Audited:
        q = tf.constant(prior.probabilities, tf.float32)
        unreduced = tf.keras.losses.CategoricalCrossentropy(from_logits=True, reduction="none")
        task = retrieval(loss=unreduced, remove_accidental_hits=removed)

        def of(queries: Any, items: Any, labels: Any) -> Any:
            given = {"candidate_sampling_probability": tf.gather(q, labels)} if corrected else {}
            return task(queries, items, candidate_ids=labels, compute_metrics=False, **given)

        return _tf_in_batch(size, prior, of)

    prior, (rare, label) = size.prior, _rare(size)
    relative = il.weightings.Relative()
    corrects = "correct the logits to reflect the sampling probability of negative candidates"
    return [
        Case(
            "tasks.Retrieval()",
            "minimizing the affinity between the query and candidates belonging to other queries in the batch",
            retrieval.call, size.scheme(), "weights of 1, in-batch, hits kept", loss(prior, False, False), prior,
        ),
        Case(
            "tasks.Retrieval(remove_accidental_hits=True)", "enables removing accidental hits of examples used as "
            "negatives", retrieval.__init__, size.scheme(None, "mask"), "weights of 1, in-batch, hits masked",
            loss(prior, False, True), prior,
        ),
        Case(
            "tasks.Retrieval(), candidate_sampling_probability=π", corrects, retrieval.call, size.scheme(relative),
            "relative weights, in-batch, hits kept", loss(prior, True, False), prior,
        ),
        Case(
            "tasks.Retrieval(), candidate_sampling_probability=π, some below 1e-6", corrects, retrieval.call,
            size.scheme(relative), "relative weights, in-batch, hits kept", loss(rare, True, False), rare,
            {"positives": [0, label, size.n_labels - 1]}, leans=False,
        ),
    ]  # fmt: skip


# --- PyTorch ----------------------------------------------------------------------------------------------------------


def torch(size: Size) -> list[Case]:
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
        Case(name, quote, source, "full", "full softmax: p = 1", il.adapters.torch(plain), prior),
        Case(
            f"{name}, logits + log π", "", source, il.margins.LogitAdjusted(), "logit-adjusted softmax: p = π_y'/π_y",
            adjusted, prior,
        ),
        Case(f"{name}, logits + log π", "", source, "full", "full softmax, which it is not", adjusted, prior),
    ]  # fmt: skip


def sentence_transformers(size: Size) -> list[Case]:
    """`MultipleNegativesRankingLoss`, cosines and scale 20, from embeddings.

    It returns the mean of a batch.  All queries but the first are orthogonal to all items: their losses are log n each,
    and what is left of n means is the first query's loss.
    """
    lib = importlib.import_module("torch")
    losses = importlib.import_module("sentence_transformers.sentence_transformer.losses")
    mnrl = losses.MultipleNegativesRankingLoss
    prior, quote = size.prior, "cross-entropy loss with in-batch negatives"

    def loss(queries: Any, items: Any, labels: Any) -> Any:
        queries, items = _unit_length(lib, queries[:1], items)
        n = items.shape[0]
        elsewhere = lib.zeros(n - 1, items.shape[1], dtype=items.dtype)
        elsewhere[:, -1] = 1.0
        mean = mnrl(None).compute_loss_from_embeddings([lib.cat([queries, elsewhere]), items], None)
        return (n * mean - (n - 1) * np.log(n)).reshape(1)

    return [
        Case(
            "losses.MultipleNegativesRankingLoss (scale=20)", quote, mnrl.__init__, size.scheme(),
            "weights of 1, in-batch, hits kept, temperature 0.05",
            il.adapters.in_batch(loss, prior, size.m + 1, framework="torch"), prior, {"temperature": 0.05},
        )
    ]  # fmt: skip


def pytorch_metric_learning(size: Size) -> list[Case]:
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
            queries, items = _unit_length(lib, queries[:1], items)
            ids = labels if labelled else lib.arange(len(labels))
            found = made(queries, ids[:1], ref_emb=items, ref_labels=ids)["loss"]["losses"]
            return found[:1]  # of several positive pairs the first: the example and its own item

        return il.adapters.in_batch(of, prior, size.m + 1, framework="torch")

    name = "losses.NTXentLoss(temperature=0.07)"
    return [
        Case(
            f"{name}, class labels", "", ntxent, size.scheme(None, "mask"), "weights of 1, in-batch, hits masked",
            loss(True), prior, {"temperature": 0.07},
        ),
        Case(
            f"{name}, a label of its own for each example", "", ntxent, size.scheme(),
            "weights of 1, in-batch, hits kept", loss(False), prior, {"temperature": 0.07},
        ),
    ]  # fmt: skip


# --- JAX --------------------------------------------------------------------------------------------------------------


def optax(size: Size) -> list[Case]:
    """Softmax and sigmoid cross-entropy over all labels, and `ntxent`."""
    jax = importlib.import_module("jax")
    lib = importlib.import_module("optax")
    jnp, prior, n = jax.numpy, size.prior, size.n_labels

    def softmax(f: Any, y: Any, key: Any) -> Any:
        return lib.softmax_cross_entropy_with_integer_labels(f, y)

    def sigmoid(f: Any, y: Any, key: Any) -> Any:
        return lib.sigmoid_binary_cross_entropy(f, jax.nn.one_hot(y, n)).sum(-1)

    @jax.jit  # type: ignore[untyped-decorator]
    def ntxent(f: Any, places: Any) -> Any:
        """The mean of two positive pairs, query -> item and item -> query, less the second: the first."""

        def of(f: Any) -> Any:
            query, items = _unit_length(jnp, f[None, :], jax.nn.one_hot(places, f.size))
            groups = jnp.append(jnp.zeros(2, int), jnp.arange(1, f.size))
            both = 2 * lib.losses.ntxent(jnp.concatenate([query, items]), groups, temperature=0.07)
            back = jnp.append(f[places[0]], (places[1:] == places[0]).astype(f.dtype)) / 0.07
            return both - (jax.nn.logsumexp(back) - back[0])

        return jax.value_and_grad(of)(f)

    def one(f: Floats, places: Labels, labels: Labels) -> tuple[float, Floats]:
        value, slope = ntxent(jnp.asarray(f, "float32"), jnp.asarray(places))
        return float(value), np.asarray(slope)

    return [
        Case(
            "softmax_cross_entropy_with_integer_labels", "Computes softmax cross entropy between the logits and "
            "integer labels", lib.softmax_cross_entropy_with_integer_labels, "full", "full softmax: p = 1",
            il.adapters.jax(softmax), prior,
        ),
        Case(
            "sigmoid_binary_cross_entropy, summed over labels", "Computes element-wise sigmoid cross entropy",
            lib.sigmoid_binary_cross_entropy, _without_hits(np.ones((n, n))), "logistic over all labels: p = 1",
            il.adapters.jax(sigmoid), prior, {"form": "logistic"},
        ),
        Case(
            "losses.ntxent(temperature=0.07), a group for each example", "temperature scaled cross entropy loss",
            lib.losses.ntxent, size.scheme(), "weights of 1, in-batch, hits kept",
            _batches(one, prior, size.m), prior, {"temperature": 0.07},
        ),
    ]  # fmt: skip


# --- samplers ---------------------------------------------------------------------------------------------------------


def torch_rechub(size: Size) -> list[Case]:
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

        return _of_draws(draw)

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
        Case("utils.match.negative_sample, method_id=0", "random sampling", sample,
             size.scheme(sampler=il.samplers.Uniform()), "uniform draws", drawn(0), prior),
        Case("utils.match.negative_sample, method_id=1", "popularity sampling method used in word2vec", sample,
             size.scheme(sampler=il.samplers.Power(0.75)), "draws ∝ π^0.75", drawn(1), prior),
        Case("utils.match.negative_sample, method_id=2", "popularity sampling method by `log(count+1)+1e-6`", sample,
             size.scheme(sampler=il.samplers.Explicit(q_log / q_log.sum())), "draws ∝ log(n + 1) + 1e-6", drawn(2),
             prior),
        Case("utils.match.negative_sample, method_id=3", "tencent RALM sampling", sample,
             all_alike(_inclusion(rank, size.m)), "distinct draws ∝ log((k + 2)/(k + 1)), k the rank from 0", drawn(3),
             prior, {"tolerance": NEARLY}),
        Case("utils.match.negative_sample, method_id=3", "", sample,
             all_alike(_inclusion(of_counts / of_counts.sum(), size.m)),
             "distinct draws ∝ log((n + 2)/(n + 1)), n the count", drawn(3), prior,
             # At a rare label its own hits, too, are often enough to be decided.
             {"tolerance": NEARLY, "positives": [size.n_labels - 1]}),
        Case("utils.match.inbatch_negative_sampling, cross-entropy", "Generate in-batch negative indices from a "
             "similarity matrix", match.inbatch_negative_sampling, size.scheme(), "weights of 1, in-batch, hits kept",
             il.adapters.in_batch(in_batch, prior, size.m + 1, framework="torch"), prior,
             {"runs": min(size.runs, 2000)}),
        Case("basic.loss_func.NCELoss", "Noise Contrastive Estimation (NCE) loss for recommender systems",
             losses.NCELoss, size.scheme(None, "keep"), "logistic, draws from π",
             il.adapters.torch(nce), prior, {"form": "logistic"}),
        Case("basic.loss_func.NCELoss", "", losses.NCELoss, "full", "full softmax: p = 1", il.adapters.torch(nce),
             prior),
        Case("basic.loss_func.InBatchNCELoss", "In-batch NCE loss with explicit negatives", losses.InBatchNCELoss,
             size.scheme(), "weights of 1, in-batch, hits kept",
             il.adapters.torch(lambda f, y: in_batch_nce(f, eye, y)), prior),
        Case("basic.loss_func.InBatchNCELoss", "", losses.InBatchNCELoss, "full", "full softmax: p = 1",
             il.adapters.torch(lambda f, y: in_batch_nce(f, eye, y)), prior),
    ]  # fmt: skip


def recbole(size: Size) -> list[Case]:
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

        return _of_draws(draw)

    quote = "sample negative items for each input user"
    return [
        Case("sampler.Sampler, distribution='uniform' (default)", quote, sampler,
             size.scheme(None, "exclude", il.samplers.Uniform()), "uniform draws, used items excluded",
             drawn(), prior),
        Case("sampler.Sampler, distribution='popularity', alpha=1", "Sample [sample_num] items in the "
             "popularity-biased distribution", sampler._pop_sampling,
             size.scheme(None, "exclude", il.samplers.WithinBatch()),
             "draws ∝ π, used items excluded", drawn(distribution="popularity"), prior),
        Case("sampler.Sampler, distribution='popularity', alpha=0.75", "Sample [sample_num] items in the "
             "popularity-biased distribution", sampler._pop_sampling,
             size.scheme(None, "exclude", il.samplers.Power(0.75)), "draws ∝ π^0.75, used items excluded",
             drawn(distribution="popularity", alpha=0.75), prior),
    ]  # fmt: skip


def gensim(size: Size) -> list[Case]:
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
        Case("models.Word2Vec (sg=1, ns_exponent=0.75, default)", "The exponent used to shape the negative sampling "
             "distribution", word2vec.Word2Vec.__init__, size.scheme(None, "mask", il.samplers.Power(0.75)),
             "draws ∝ π^0.75, hits skipped", _of_draws(draw), prior)
    ]  # fmt: skip


# --- the study --------------------------------------------------------------------------------------------------------

PACKAGES: dict[str, Callable[[Size], list[Case]]] = {
    "tensorflow": tensorflow,
    "torch": torch,
    "sentence-transformers": sentence_transformers,
    "pytorch-metric-learning": pytorch_metric_learning,
    "optax": optax,
    "torch-rechub": torch_rechub,
    "recbole": recbole,
    "gensim": gensim,
    "keras-rs": keras_rs,
    "tensorflow-recommenders": tensorflow_recommenders,
}


def points(prior: LabelPrior, quick: bool) -> list[Point]:
    """A package each; the prior is Zipf's, whatever the study is given."""
    return [{"package": name, "quick": quick} for name in PACKAGES]


def rows(prior: LabelPrior, point: Point) -> list[Row]:
    """One row an audit; one row that says why, where the package is missing or fails."""
    package = point["package"]
    size = Size(QUICK_LABELS, QUICK_M, QUICK_RUNS) if point["quick"] else Size(LABELS, M, RUNS)
    try:
        version = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return [_row(package, "", size, verdict="skipped", notes=f"not installed: pip install {package}")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of other people's packages
        try:
            cases = PACKAGES[package](size)
        except Exception as error:  # whatever it is, the other packages go on
            return [_row(package, version, size, verdict="skipped", notes=_said(error))]
        return [_audited(package, version, case, size) for case in cases]


def _audited(package: str, version: str, case: Case, size: Size) -> Row:
    """One case."""
    asked = 0

    def counting(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        nonlocal asked
        asked += positive.size
        return case.loss(scores, positive, rng)

    start = time.perf_counter()
    about = {"function": case.function, "documented": quoted(case.quote, case.source), "audited": case.words}
    try:
        options = {"runs": size.runs, "rng": SEED, **case.options}
        report = il.audit(counting, claim=case.claim, prior=case.prior, **options)
    except Exception as error:  # as above
        return _row(package, version, size, **about, verdict="skipped", notes=_said(error))
    tilt, gains = (report.tilt, report.gains) if case.leans else (None, None)
    slope = "" if tilt is None or tilt.true is None else round(tilt.true, 3)
    worst = report.failures[:1]
    off = [
        f"positive {cell.positive}, {cell.part}: Σp {cell.claimed:.4g} claimed, {cell.measured:.4g} measured "
        f"({cell.low:.4g} to {cell.high:.4g})"
        for cell in worst
    ]
    return _row(
        package, version, size, **about, nearest=str(report.nearest), verdict=report.verdict, gains=gains or "",
        tilt=slope, notes="; ".join([*off, *map(str, (*report.flaws, *report.notes))]), evaluations=asked,
        seconds=round(time.perf_counter() - start, 1),
    )  # fmt: skip


COLUMNS = (
    "package", "version", "function", "documented", "audited", "nearest", "verdict", "gains", "tilt", "notes",
    "evaluations", "seconds", "date", "labels", "m",
)  # fmt: skip


def _row(package: str, version: str, size: Size, **more: Any) -> Row:
    of = {"package": package, "version": version, "date": time.strftime("%Y-%m-%d"), "labels": size.n_labels}
    given = {**of, "m": size.m, **more}
    return {name: given.get(name, "") for name in COLUMNS}


def _said(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


def quoted(quote: str, source: Any) -> str:
    """The quote, if it stands in the installed docstring of `source`, and where."""
    if not quote:
        return ""
    name = f"{getattr(source, '__module__', '')}.{getattr(source, '__qualname__', source)}"
    text = " ".join((inspect.getdoc(source) or "").split())
    return f"“{quote}” ({name})" if quote in text else f"(no longer documented: “{quote}”, {name})"


def summary(rows: Sequence[Row]) -> str:
    """The table in Markdown: what was audited, the verdict, what fits best and who gains; and what was left out."""
    head = ("package", "function", "documented", "audited", "nearest", "verdict", "who gains", "evaluations", "seconds")
    lines = ["| " + " | ".join(head) + " |", "| " + " | ".join(["---"] * len(head)) + " |"]
    for row in rows:
        if row["verdict"] == "skipped" and not row["function"]:
            continue
        cells = (
            f"{row['package']} {row['version']}", row["function"], row["documented"] or "—", row["audited"],
            row["nearest"] or "—", f"**{row['verdict']}**", _gains(row), row["evaluations"], row["seconds"],
        )  # fmt: skip
        lines.append("| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |")
    left_out = [f"{row['package']} was left out: {row['notes']}" for row in rows if row["verdict"] == "skipped"]
    return "\n".join(lines + (["", *left_out] if left_out else []))


def _gains(row: Row) -> str:
    return "—" if row["gains"] == "" else f"{row['gains']} ({row['tilt']:+.3f})"
