"""Adapters of frameworks, where these are installed: right losses hold, and random state is put back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import implicitloss as il

L, M = 200, 20
PRIOR = il.LabelPrior.zipf(L, 1.0)
CLAIM = il.Scheme(il.samplers.WithinBatch(), il.weightings.Importance(), m=M, hits="mask")
WRONG = il.Scheme(il.samplers.WithinBatch(), il.weightings.Relative(), m=M, hits="mask")


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_torch(dtype: str, seed: int) -> None:
    torch = pytest.importorskip("torch")
    q = torch.tensor(PRIOR.probabilities)

    def loss(scores: Any, positive: Any) -> Any:
        negatives = torch.multinomial(q, len(positive) * M, replacement=True).view(-1, M)
        f = scores.gather(1, negatives) - torch.log(M * q[negatives])
        f = f.masked_fill(negatives == positive[:, None], -torch.inf)
        logits = torch.cat([scores.gather(1, positive[:, None]), f], dim=1)
        return torch.nn.functional.cross_entropy(logits, torch.zeros(len(positive), dtype=torch.long), reduction="none")

    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    report = il.audit(il.adapters.torch(loss, dtype=dtype), claim=CLAIM, prior=PRIOR, rng=seed)
    assert report.verdict == "holds", str(report)
    assert report.notes == ()
    assert torch.equal(before, torch.random.get_rng_state())
    assert il.audit(il.adapters.torch(loss, dtype=dtype), claim=WRONG, prior=PRIOR, rng=seed).verdict == "refuted"
    with pytest.raises(ValueError, match="one number for each of 6 examples"):
        il.audit(il.adapters.torch(lambda f, y: loss(f, y).mean(), dtype=dtype), claim=CLAIM, prior=PRIOR)


def test_torch_over_all_labels(seed: int) -> None:
    torch = pytest.importorskip("torch")
    log_prior = torch.tensor(PRIOR.log)

    def adjusted(scores: Any, positive: Any) -> Any:
        return torch.nn.functional.cross_entropy(scores + log_prior, positive, reduction="none")

    loss = il.adapters.torch(adjusted)
    report = il.audit(loss, claim=il.margins.LogitAdjusted(), prior=PRIOR, rng=seed)
    assert report.verdict == "holds", str(report)
    assert str(report.nearest) == "logit-adjusted softmax over all labels, none drawn"
    assert il.audit(loss, claim="full", prior=PRIOR, rng=seed).verdict == "refuted"


def test_torch_in_a_batch(seed: int) -> None:
    torch = pytest.importorskip("torch")

    def loss(queries: Any, items: Any, labels: Any) -> Any:
        return torch.nn.functional.cross_entropy(queries @ items.T, torch.arange(len(labels)), reduction="none")

    unit = il.Scheme(il.samplers.WithinBatch(), il.weightings.Unit(), m=15, hits="keep")
    adapted = il.adapters.in_batch(loss, PRIOR, 16, framework="torch")
    report = il.audit(adapted, claim=unit, prior=PRIOR, rng=seed, runs=4_000)
    assert report.verdict == "holds", str(report)
    assert il.audit(adapted, claim="full", prior=PRIOR, rng=seed, runs=4_000).verdict == "refuted"


@pytest.mark.filterwarnings("default")
def test_jax(seed: int) -> None:
    jax = pytest.importorskip("jax")
    log_q = jax.numpy.asarray(PRIOR.log)

    def loss(scores: Any, positive: Any, key: Any) -> Any:
        negatives = jax.random.categorical(key, log_q, shape=(len(positive), M))
        f = jax.numpy.take_along_axis(scores, negatives, axis=1) - np.log(M) - log_q[negatives]
        f = jax.numpy.where(negatives == positive[:, None], -jax.numpy.inf, f)
        f_y = jax.numpy.take_along_axis(scores, positive[:, None], axis=1)
        return jax.numpy.log1p(jax.numpy.exp(f - f_y).sum(axis=1))

    assert il.audit(il.adapters.jax(loss), claim=CLAIM, prior=PRIOR, rng=seed).verdict == "holds"
    assert il.audit(il.adapters.jax(loss), claim=WRONG, prior=PRIOR, rng=seed).verdict == "refuted"


@pytest.mark.filterwarnings("default")
def test_tensorflow(seed: int) -> None:
    tf = pytest.importorskip("tensorflow")
    log_q = tf.constant(PRIOR.log[None], dtype="float32")

    def loss(scores: Any, positive: Any) -> Any:
        n = scores.shape[0]
        negatives = tf.reshape(tf.random.categorical(log_q, n * M), (n, M))
        f = tf.gather(scores, negatives, batch_dims=1) - np.log(M) - tf.gather(log_q[0], negatives)
        f = tf.where(negatives == positive[:, None], -np.inf, f)
        f_y = tf.gather(scores, positive[:, None], batch_dims=1)
        return tf.math.log1p(tf.reduce_sum(tf.exp(f - f_y), axis=1))

    assert il.audit(il.adapters.tensorflow(loss), claim=CLAIM, prior=PRIOR, rng=seed, runs=4_000).verdict == "holds"
    assert il.audit(il.adapters.tensorflow(loss), claim=WRONG, prior=PRIOR, rng=seed).verdict == "refuted"


@pytest.mark.parametrize("adapter", [il.adapters.torch, il.adapters.tensorflow, il.adapters.jax])
@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"loss": 3}, "an adapter takes a loss, which is a function, got int"),
        ({"loss": np.zeros(3)}, "an adapter takes a loss, which is a function, got ndarray"),
        ({"loss": print, "dtype": "float99"}, "the dtype of scores must be 'float32' or 'float64', got 'float99'"),
        ({"loss": print, "dtype": np.float64}, "the dtype of scores must be 'float32' or 'float64', got the class"),
    ],
)
def test_what_adapters_refuse(adapter: Any, given: dict[str, Any], sentence: str) -> None:
    """Before any framework is asked for."""
    with pytest.raises(ValueError, match=sentence):
        adapter(given["loss"], **{name: value for name, value in given.items() if name != "loss"})


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ((3, PRIOR, 16), "an adapter takes a loss, which is a function, got int"),
        ((print, PRIOR.probabilities, 16), "the prior must be a LabelPrior, .* got an array"),
        ((print, PRIOR, 16.0), "a batch needs at least two examples, got 16.0"),
        ((print, PRIOR, True), "a batch needs at least two examples, got True"),
        ((print, PRIOR, float("nan")), "a batch needs at least two examples, got nan"),
    ],
)
def test_what_batches_refuse(given: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        il.adapters.in_batch(*given)
    if given[0] == 3:
        with pytest.raises(ValueError, match=sentence):
            il.adapters.one_by_one(given[0])
