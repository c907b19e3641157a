"""TensorFlow's sampled losses, and the packages that build on it: Keras Recommenders and TensorFlow Recommenders."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from typing import Any

import numpy as np

import implicitloss as il
from analysis.libraries.boxes import batches, inclusion, rows_of, without_hits
from analysis.libraries.case import NEARLY, Audited, LibraryCase, Size
from implicitloss.labels import Floats, LabelPrior, Labels


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


def tensorflow(size: Size) -> list[LibraryCase]:
    """`tf.nn.sampled_softmax_loss`, draws distinct (the default) or not, and `tf.nn.nce_loss`; hits removed or not.

    With distinct draws nce_loss takes off expected counts that change from call to call (they count the tries of its
    sampler): its shift is not one number a label, and it is audited with `unique=False` only.
    """
    tf = _tensorflow()
    prior, sampler = size.prior, il.samplers.LogUniform()
    q = np.exp(sampler.log_law(il.Problem(np.zeros(prior.n_labels), prior, 0)))
    included = inclusion(q, size.m)
    helper = importlib.import_module("tensorflow.python.ops.nn_impl")._compute_sampled_logits
    softmax, nce = tf.nn.sampled_softmax_loss, tf.nn.nce_loss
    relative = il.weightings.Relative()
    remove = 'whether to remove "accidental hits" where a sampled class equals one of the target classes'
    log_q = "whether to subtract the log expected count of the labels in the sample"
    nearly = {"tolerance": NEARLY}
    replaced = {"form": "logistic", "shift": -np.log(size.m * q)}
    unique = "draws distinct (default)"
    return [
        LibraryCase(
            f"nn.sampled_softmax_loss, {unique}, remove_accidental_hits=True (default)",
            "It is generally an underestimate of the full softmax loss", softmax,
            "full", "full softmax: p = 1", _candidates(size, softmax, True, remove_accidental_hits=True), prior,
        ),
        LibraryCase(
            f"nn.sampled_softmax_loss, {unique}, remove_accidental_hits=True (default)", log_q, helper,
            without_hits(rows_of(included)), "expected counts taken off both sides: p = P_y, hits 0",
            _candidates(size, softmax, True, remove_accidental_hits=True), prior, nearly,
        ),
        LibraryCase(
            f"nn.sampled_softmax_loss, {unique}, remove_accidental_hits=False", log_q, helper,
            rows_of(included), "expected counts taken off both sides: p = P_y, hits P_y",
            _candidates(size, softmax, True, remove_accidental_hits=False), prior, nearly,
        ),
        LibraryCase(
            "nn.sampled_softmax_loss, sampled_values with unique=False, remove_accidental_hits=True (default)",
            remove, softmax, size.scheme(relative, "mask", sampler), "relative weights, log-uniform, hits masked",
            _candidates(size, softmax, False, remove_accidental_hits=True), prior,
        ),
        LibraryCase(
            "nn.sampled_softmax_loss, sampled_values with unique=False, remove_accidental_hits=False",
            log_q, helper, size.scheme(relative, "keep", sampler), "relative weights, log-uniform, hits kept",
            _candidates(size, softmax, False, remove_accidental_hits=False), prior,
        ),
        LibraryCase(
            "nn.nce_loss, sampled_values with unique=False, remove_accidental_hits=False (default)",
            "the noise-contrastive estimation training loss", nce, size.scheme(None, "keep", sampler),
            "logistic at scores - log m q: weights of 1, hits kept", _candidates(size, nce, False), prior, replaced,
        ),
        LibraryCase(
            "nn.nce_loss, sampled_values with unique=False, remove_accidental_hits=True",
            remove.replace("whether", "Whether"), nce, size.scheme(None, "mask", sampler),
            "logistic at scores - log m q: weights of 1, hits masked",
            _candidates(size, nce, False, remove_accidental_hits=True), prior, replaced,
        ),
    ]  # fmt: skip


def tf_in_batch(size: Size, prior: LabelPrior, loss: Callable[..., Any]) -> Audited:
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

    return batches(one, prior, size.m)


def _rare(size: Size) -> tuple[LabelPrior, int]:
    """A prior that goes below 1e-6, and the label that is nearest to 1e-6."""
    prior = LabelPrior.zipf(size.n_labels, 3.0)
    return prior, int(np.argmin(np.abs(prior.log - np.log(1e-6))))


def deepmatch(size: Size) -> list[LibraryCase]:
    """The layers that compute losses: `InBatchSoftmaxLayer`, and `SampledSoftmaxLayer` by frequency."""
    tf = _tensorflow()
    layers = importlib.import_module("deepmatch.layers.core")
    config = importlib.import_module("deepmatch.utils").NegativeSampler
    prior, n = size.counted, size.n_labels
    assert prior.counts is not None
    in_batch = layers.InBatchSoftmaxLayer(config("inbatch", size.m, "item", item_count=prior.counts)._asdict())
    by_frequency = config("frequency", size.m, "item", item_count=prior.counts, distortion=0.75)
    sampled, eye = layers.SampledSoftmaxLayer(by_frequency._asdict()), tf.eye(n)
    sampled.build([(n, n), (None, n), (None, 1)])

    def of_batch(queries: Any, items: Any, labels: Any) -> Any:
        return in_batch.call([queries, items, labels[:, None]])[:, 0]

    def of_draws(scores: Any, positive: Any) -> Any:
        return sampled.call([eye, scores, positive[:, None]])[:, 0]

    q = prior.probabilities**0.75
    included = inclusion(q / q.sum(), size.m)
    return [
        LibraryCase(
            "layers.InBatchSoftmaxLayer, sampler='inbatch'", "global frequency of item", config,
            size.scheme(il.weightings.Relative()), "relative weights, in-batch, hits kept",
            tf_in_batch(size, prior, of_batch), prior,
        ),
        LibraryCase(
            "layers.SampledSoftmaxLayer, sampler='frequency', distortion=0.75",
            "skew factor of the unigram probability distribution", config, without_hits(rows_of(included)),
            "distinct draws ∝ π^0.75, expected counts taken off both sides: p = P_y, hits 0",
            il.adapters.tensorflow(of_draws), prior, {"tolerance": NEARLY, "runs": min(size.runs, 4000)},
        ),
    ]  # fmt: skip


def keras_rs(size: Size) -> list[LibraryCase]:
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

        return tf_in_batch(size, prior, of)

    prior, (rare, label) = size.prior, _rare(size)
    added = rare.probabilities + 1e-6
    q = rare.probabilities
    return [
        LibraryCase(
            "layers.SamplingProbabilityCorrection",
            "Corrects the logits to reflect the sampling probability of negatives",
            layers.SamplingProbabilityCorrection, size.scheme(il.weightings.Relative()),
            "relative weights, in-batch, hits kept", loss(prior, True, False), prior,
        ),
        LibraryCase(
            "layers.SamplingProbabilityCorrection, probabilities below 1e-6",
            "Small float added to sampling probability", layers.SamplingProbabilityCorrection,
            size.m * q[None, :] * added[:, None] / added[None, :], "weights (q_y + ε)/(q_y' + ε), hits kept",
            loss(rare, True, False), rare, {"positives": [0, label, size.n_labels - 1]}, leans=False,
        ),
        LibraryCase(
            "layers.RemoveAccidentalHits",
            "Zeroes the logits of negative candidates that have the same ID as the positive candidate in that row",
            layers.RemoveAccidentalHits, size.scheme(None, "mask"), "weights of 1, in-batch, hits masked",
            loss(prior, False, True), prior,
        ),
    ]  # fmt: skip


def tensorflow_recommenders(size: Size) -> list[LibraryCase]:
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

        return tf_in_batch(size, prior, of)

    prior, (rare, label) = size.prior, _rare(size)
    relative = il.weightings.Relative()
    corrects = "correct the logits to reflect the sampling probability of negative candidates"
    return [
        LibraryCase(
            "tasks.Retrieval()",
            "minimizing the affinity between the query and candidates belonging to other queries in the batch",
            retrieval.call, size.scheme(), "weights of 1, in-batch, hits kept", loss(prior, False, False), prior,
        ),
        LibraryCase(
            "tasks.Retrieval(remove_accidental_hits=True)", "enables removing accidental hits of examples used as "
            "negatives", retrieval.__init__, size.scheme(None, "mask"), "weights of 1, in-batch, hits masked",
            loss(prior, False, True), prior,
        ),
        LibraryCase(
            "tasks.Retrieval(), candidate_sampling_probability=π", corrects, retrieval.call, size.scheme(relative),
            "relative weights, in-batch, hits kept", loss(prior, True, False), prior,
        ),
        LibraryCase(
            "tasks.Retrieval(), candidate_sampling_probability=π, some below 1e-6", corrects, retrieval.call,
            size.scheme(relative), "relative weights, in-batch, hits kept", loss(rare, True, False), rare,
            {"positives": [0, label, size.n_labels - 1]}, leans=False,
        ),
    ]  # fmt: skip
