"""Adapters of frameworks, where these are installed: right losses hold, and random state is put back."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import implicitloss as il
from implicitloss.adapters.discovery import frameworks
from implicitloss.cli.main import main

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


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_torch_in_half_precision(dtype: str, seed: int) -> None:
    """Answers in half precision are taken, and the report says how precise they are."""
    torch = pytest.importorskip("torch")
    few, kind = il.LabelPrior.zipf(60, 1.0), getattr(torch, dtype)

    def loss(scores: Any, positive: Any) -> Any:
        return torch.nn.functional.cross_entropy(scores.to(kind), positive, reduction="none")

    report = il.audit(il.adapters.torch(loss, dtype="float32"), claim="full", prior=few, rng=seed)
    assert report.verdict == "holds", str(report)
    assert "coarse" in {note.kind for note in report.notes}
    twice = il.audit(il.adapters.torch(lambda f, y: 2 * loss(f, y)), claim="full", prior=few, rng=seed, runs=400)
    assert [flaw.kind for flaw in twice.flaws] == ["scaled"]


def test_answers_in_bfloat16_are_taken_from_packages_too(seed: int) -> None:
    """TensorFlow and JAX bring a type for NumPy."""
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    few = il.LabelPrior.zipf(60, 1.0)

    def loss(scores: Any, positive: Any, rng: Any) -> Any:
        f = scores.astype(bfloat16).astype(float)
        return (np.log(np.exp(f).sum(axis=1)) - f[np.arange(len(positive)), positive]).astype(bfloat16)

    report = il.audit(loss, claim="full", prior=few, rng=seed, runs=2_000)
    assert report.verdict != "refuted", str(report)
    assert "coarse" in {note.kind for note in report.notes}


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_loss_of_pytorch_may_be_computed_elsewhere(device: str, seed: int) -> None:
    """Its arguments are in main memory, its answer is brought back, and the generators of its device are left alone."""
    torch = pytest.importorskip("torch")
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a GPU")
    q = torch.tensor(PRIOR.probabilities, device=device)

    def loss(scores: Any, positive: Any) -> Any:
        assert scores.device.type == positive.device.type == "cpu"
        f, y = scores.to(device), positive.to(device)
        negatives = torch.multinomial(q, len(y) * M, replacement=True).view(-1, M)
        drawn = f.gather(1, negatives) - torch.log(M * q[negatives])
        drawn = drawn.masked_fill(negatives == y[:, None], -torch.inf)
        logits = torch.cat([f.gather(1, y[:, None]), drawn], dim=1)
        return torch.nn.functional.cross_entropy(logits, torch.zeros_like(y), reduction="none")

    torch.rand(1, device=device)
    state = torch.cuda.get_rng_state if device == "cuda" else torch.random.get_rng_state
    before = state()
    adapted = il.adapters.torch(loss, dtype="float32")
    assert il.audit(adapted, claim=CLAIM, prior=PRIOR, rng=seed, budget="quick").verdict == "holds"
    assert il.audit(adapted, claim=WRONG, prior=PRIOR, rng=seed, budget="quick").verdict == "refuted"
    assert torch.equal(before, state())


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
        return tf.math.softplus(tf.reduce_logsumexp(f - f_y, axis=1))  # exponentials overflow in single precision

    assert il.audit(il.adapters.tensorflow(loss), claim=CLAIM, prior=PRIOR, rng=seed, runs=4_000).verdict == "holds"
    assert il.audit(il.adapters.tensorflow(loss), claim=WRONG, prior=PRIOR, rng=seed).verdict == "refuted"
    # A compiled function would repeat its draws, whatever the seed.
    compiled = il.audit(il.adapters.tensorflow(tf.function(loss)), claim=CLAIM, prior=PRIOR, rng=seed, runs=4_000)
    assert (compiled.verdict, compiled.notes) == ("holds", ())
    assert not tf.config.functions_run_eagerly()

    def same(scores: Any, positive: Any) -> Any:
        tf.random.set_seed(1)
        return loss(scores, positive)

    fixed = il.audit(il.adapters.tensorflow(same), claim=CLAIM, prior=PRIOR, rng=seed)
    assert [flaw.kind for flaw in fixed.flaws] == ["same draws"]


class Streamed:
    """Within-batch draws with importance weights; what is not repeated is asked of a stream, which counts."""

    def __init__(self) -> None:
        self.asked = self.opened = 0

    def __call__(self, scores: Any, positive: Any, rng: np.random.Generator) -> Any:
        drawn = rng.choice(L, size=(len(positive), M), p=PRIOR.probabilities)
        rows, own = np.arange(len(positive)), positive[:, None]
        each = np.exp(scores[rows[:, None], drawn] - scores[rows, positive][:, None]) / M / PRIOR.probabilities[drawn]
        x = np.zeros(scores.shape)
        np.add.at(x, (rows[:, None], drawn), np.where(drawn == own, 0.0, each))
        total = 1 + x.sum(axis=1)
        slopes = x / total[:, None]
        slopes[rows, positive] = -slopes.sum(axis=1)
        return np.log(total), slopes

    def stream(self) -> Any:
        self.opened += 1

        def ask(scores: Any, positive: Any, rng: np.random.Generator) -> Any:
            self.asked += 1
            return self(scores, positive, rng)

        return ask


def test_calls_that_are_not_repeated_go_to_a_stream(seed: int) -> None:
    """It answers most calls, and the report is the same: it has the same draws here."""
    loss, options = Streamed(), {"claim": CLAIM, "prior": PRIOR, "rng": seed, "runs": 400}
    report = il.audit(loss, **options)
    assert loss.opened == 1
    assert loss.asked > 5
    plain = il.audit(lambda scores, positive, rng: Streamed()(scores, positive, rng), **options)
    assert str(report).replace("Streamed", "<lambda>") == str(plain)


@pytest.mark.parametrize("options", [{"reset": lambda: None}, {"claim": "full"}])
def test_what_a_stream_cannot_answer_is_not_asked_of_it(options: dict[str, Any]) -> None:
    """A loss that is reset, or draws nothing."""
    loss = Streamed()
    if "claim" in options:

        def full(scores: Any, positive: Any, rng: np.random.Generator) -> Any:
            slopes = np.exp(scores - np.logaddexp.reduce(scores, axis=1)[:, None])
            own = np.arange(len(positive)), positive
            values = -np.log(slopes[own])
            slopes[own] -= 1
            return values, slopes

        full.stream = loss.stream  # type: ignore[attr-defined]
        il.audit(full, prior=PRIOR, rng=0, **options)
    else:
        il.audit(loss, claim=CLAIM, prior=PRIOR, rng=0, runs=400, **options)
    assert loss.opened == 0


@pytest.mark.filterwarnings("default")
def test_a_compiled_loss_of_tensorflow_draws_anew() -> None:
    """Its draws differ from call to call, by the seed, after another seed, and for another number of examples."""
    tf = pytest.importorskip("tensorflow")

    def loss(scores: Any, positive: Any) -> Any:
        drawn = tf.random.uniform((scores.shape[0], M), maxval=L, dtype=tf.int64)
        return tf.reduce_logsumexp(tf.gather(scores, drawn, batch_dims=1), axis=1)

    adapted, scores = il.adapters.tensorflow(loss), np.arange(3.0 * L).reshape(3, L)
    y = np.array([0, 1, 2])

    def answers(n: int, order: str) -> list[Any]:
        ask, found = adapted.stream(), []  # type: ignore[attr-defined]
        for seed, kind in enumerate(order, 10 * n):
            call = adapted if kind == "s" else ask
            of = slice(None) if kind == "a" else slice(2)
            values, slopes = call(scores[of], y[of], np.random.default_rng(seed))
            assert np.allclose(slopes.sum(axis=1), 1, atol=1e-5)
            found.append(values.tolist())
        assert inspect.getclosurevars(ask).nonlocals["ask"].ways == (False, True)  # it was compiled as it is
        return found

    first = answers(0, "aasaabba")
    assert first == answers(0, "aasaabba")
    assert len({tuple(values) for values in first + answers(1, "aab")}) == 11


@pytest.mark.filterwarnings("default")
def test_losses_that_need_autograph_are_compiled_too() -> None:
    """`len` and `if` of a tensor."""
    tf = pytest.importorskip("tensorflow")

    def loss(scores: Any, positive: Any) -> Any:
        values = tf.random.uniform((len(positive),)) + scores[:, 0]
        if tf.reduce_sum(values) > 0:
            values = values + 1.0
        return values

    ask, scores = il.adapters.tensorflow(loss).stream(), np.ones((2, L))  # type: ignore[attr-defined]
    found = [ask(scores, np.array([0, 1]), np.random.default_rng(seed))[0] for seed in range(3)]
    assert all(np.all((values > 2) & (values < 3)) for values in found)
    assert len({values[0] for values in found}) == 3
    assert inspect.getclosurevars(ask).nonlocals["ask"].ways == (True,)


@pytest.mark.filterwarnings("default")
def test_a_loss_that_cannot_be_compiled_is_asked_one_call_at_a_time(seed: int) -> None:
    tf = pytest.importorskip("tensorflow")

    def loss(scores: Any, positive: Any) -> Any:
        drawn = np.argsort(tf.random.uniform((L,)).numpy())[:M]
        f_y = tf.gather(scores, positive[:, None], batch_dims=1)
        return tf.math.log1p(tf.reduce_sum(tf.exp(tf.gather(scores, drawn, axis=1) - f_y), axis=1))

    report = il.audit(il.adapters.tensorflow(loss), prior=PRIOR, rng=seed, runs=64)
    assert report.verdict == "measured"
    assert report.calls > 64


MINE = """
import numpy as np

from implicitloss.adapters.framework import Framework


def _gradients(lib, loss, scores, positive, seed, dtype):
    step = 1e-30j  # complex: the imaginary part over the step is the derivative, without cancellation
    moved = [[loss(row + step * e, y) for e in lib.eye(row.size)] for row, y in zip(scores[:, None], positive[:, None])]
    return loss(lib.asarray(scores, dtype=dtype), positive), np.reshape(moved, scores.shape).imag / step.imag


FRAMEWORK = Framework("numpy", lambda lib, array: lib.asarray(array), _gradients, dtype="float64")
"""


def test_an_adapter_is_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In-batch losses and the command line know a framework from its file alone."""
    monkeypatch.setattr(il.adapters, "__path__", [*il.adapters.__path__, str(tmp_path)])
    monkeypatch.delitem(sys.modules, "implicitloss.adapters.mine", raising=False)
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "losses_of_mine.py").write_text(
        "import numpy as np\n\n\ndef full(f, y):\n    return np.log(np.exp(f).sum(axis=1)) - f[np.arange(len(y)), y]\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    command = ["audit", "losses_of_mine:full", "--claim", "full", "--profile", "zipf:6:1"]
    assert main([*command, "--framework", "mine"]) == 0
    assert main([*command, "--framework", "mined"]) == 2

    def loss(queries: Any, items: Any, labels: Any) -> Any:
        logits = queries @ items.T
        return np.log(np.exp(logits).sum(axis=1)) - np.diag(logits)

    prior = il.LabelPrior.zipf(5, 1.0)
    asked = np.linspace(0.0, 1.0, 10).reshape(2, 5), np.array([0, 4])
    values, slopes = il.adapters.in_batch(loss, prior, 4, framework="mine")(*asked, np.random.default_rng(1))
    # The slopes of softmax add up to 0, and the positive's is negative.
    np.testing.assert_allclose(slopes.sum(axis=1), 0.0, atol=1e-14)
    assert (slopes[[0, 1], [0, 4]] < 0).all()
    assert values.shape == (2,)


def test_every_framework_has_its_adapter_in_the_face() -> None:
    """So that `il.adapters.NAME` is what `framework="NAME"` and `--framework NAME` mean."""
    assert set(frameworks()) == set(il.adapters.__all__) - {"in_batch", "one_by_one"}
    for name, framework in frameworks().items():
        given = inspect.signature(getattr(il.adapters, name)).parameters["dtype"].default
        assert given == framework.dtype


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


def test_a_mean_of_torch_keeps_its_gradient_one_by_one() -> None:
    torch = pytest.importorskip("torch")
    mean = il.adapters.one_by_one(il.adapters.torch(lambda f, y: torch.nn.functional.cross_entropy(f, y)))
    values, slopes = mean(np.zeros((3, 4)), np.array([0, 1, 2]), np.random.default_rng(0))
    assert values == pytest.approx(np.log(4))
    assert slopes == pytest.approx(0.25 - np.eye(4)[:3])


def test_compiling_again_for_other_batches_is_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    tf = pytest.importorskip("tensorflow")
    stream = il.adapters.tensorflow(
        lambda f, y: tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=f)
    ).stream()  # type: ignore[attr-defined]
    for n in range(1, 12):
        stream(np.zeros((n, 4)), np.zeros(n, dtype=np.intp), np.random.default_rng(0))
    assert not caplog.records
    tf.get_logger().warning("retracing, outside")
    assert len(caplog.records) == 1
