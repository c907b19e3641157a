"""Recipes: modules and printed texts are right, to the formula, at their optimum and in audits; wrong ones are refuted.

Audits refute a true claim with probability at most 1e-6 each.
"""

from __future__ import annotations

import ast
import importlib
import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import implicitloss as il
from implicitloss import recipes
from implicitloss.adapters.discovery import frameworks

FRAMEWORKS = ("numpy", "torch", "jax", "tensorflow")
NAMES = ("in_batch_softmax", "sampled_softmax", "logit_adjusted_in_batch")
PRIOR, B, M, TAU, T = il.LabelPrior.zipf(7, 1.0), 6, 16, 0.5, 0.5
L = PRIOR.n_labels
# Draws of their own come from the log-uniform law, and what comes off for logit adjustment is another vector than it.
LOG_Q = il.samplers.LogUniform().log_law(il.Problem(np.zeros(L), PRIOR, 0))
VECTORS = {"in_batch_softmax": PRIOR.log, "sampled_softmax": LOG_Q - TAU * PRIOR.log,
           "logit_adjusted_in_batch": PRIOR.log}  # fmt: skip
ADJUSTED = il.weightings.Consistent(il.margins.LogitAdjusted(TAU))
CLAIMS = {
    "in_batch_softmax": il.Scheme(il.samplers.WithinBatch(), il.weightings.Relative(), m=B - 1, hits="keep"),
    "sampled_softmax": il.Scheme(il.samplers.LogUniform(), ADJUSTED, m=M, hits="keep"),
    "logit_adjusted_in_batch": il.Scheme(il.samplers.WithinBatch(), ADJUSTED, m=B - 1, hits="keep"),
}
# Gradients show more than values in fewer evaluations, and JAX and TensorFlow are slow at each row of a batch.
RUNS = {"numpy": None, "torch": 1000, "jax": 1000, "tensorflow": 1000}
# JAX and TensorFlow, and what they bring, may warn.
pytestmark = pytest.mark.filterwarnings("default")


def tensor(framework: str, array: Any) -> Any:
    return array if framework == "numpy" else frameworks()[framework].tensor(array)


def run(text: str) -> dict[str, Any]:
    """What a text defines."""
    names: dict[str, Any] = {}
    exec(compile(text, "<recipe>", "exec"), names)
    return names


def options(name: str) -> dict[str, float]:
    return {"temperature": T} | ({"tau": TAU} if name == "logit_adjusted_in_batch" else {})


def drawing(framework: str, recipe: Callable[..., Any], vector: Any) -> Any:
    """The loss of an audit: draws that the examples of a call share; items are one-hot vectors of their labels."""
    eye = tensor(framework, np.eye(L))
    if framework == "numpy":

        def by_numpy(scores: Any, y: Any, rng: np.random.Generator) -> Any:
            drawn = rng.choice(L, M, p=np.exp(LOG_Q))
            return recipe(scores, eye[y], y, eye[drawn], drawn, vector, T)

        return by_numpy
    if framework == "torch":
        import torch

        q = torch.tensor(np.exp(LOG_Q))

        def by_torch(scores: Any, y: Any) -> Any:
            drawn = torch.multinomial(q, M, replacement=True)
            return recipe(scores, eye[y], y, eye[drawn], drawn, vector, T)

        return il.adapters.torch(by_torch)
    if framework == "jax":
        import jax

        def by_jax(scores: Any, y: Any, key: Any) -> Any:
            drawn = jax.random.categorical(key, jax.numpy.asarray(LOG_Q), shape=(M,))
            return recipe(scores, eye[y], y, eye[drawn], drawn, vector, T)

        return il.adapters.jax(by_jax)
    import tensorflow as tf

    def by_tensorflow(scores: Any, y: Any) -> Any:
        drawn = tf.random.categorical(tf.constant(LOG_Q[None], dtype="float32"), M)[0]
        return recipe(scores, tf.gather(eye, y), y, tf.gather(eye, drawn), drawn, vector, T)

    return il.adapters.tensorflow(by_tensorflow)


def audit(framework: str, name: str, recipe: Callable[..., Any], vector: Any, seed: int) -> il.AuditReport:
    if framework == "jax":
        recipe = importlib.import_module("jax").jit(recipe)
    if name == "sampled_softmax":
        loss = drawing(framework, recipe, vector)
    else:
        loss = il.adapters.in_batch(
            lambda q, i, y: recipe(q, i, y, vector, **options(name)), PRIOR, B, framework=framework
        )
    return il.audit(
        loss,
        claim=CLAIMS[name],
        prior=PRIOR,
        positives=[0],
        temperature=T,
        runs=RUNS[framework],
        budget="quick",
        rng=seed,
    )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_modules_hold(framework: str, name: str, seed: int) -> None:
    pytest.importorskip(framework)
    recipe = getattr(importlib.import_module(f"implicitloss.recipes.{framework}"), name)
    report = audit(framework, name, recipe, tensor(framework, VECTORS[name]), seed)
    assert report.verdict == "holds", str(report)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_texts_hold(framework: str, name: str, seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As they are printed: with numbers, with an expression, and with a file."""
    pytest.importorskip(framework)
    monkeypatch.chdir(tmp_path)
    vector: Any = VECTORS[name]
    if name == "sampled_softmax":
        np.save("counts.npy", PRIOR.probabilities)
        rank = np.arange(1, L + 1).tolist()
        vector = f"np.log(np.log1p(1 / np.array({rank}))) - {TAU} * np.log(np.load('counts.npy'))"
    if name == "logit_adjusted_in_batch":
        monkeypatch.setattr(recipes, "MOST_PRINTED_LABELS", L - 1)
        np.save("log_prior.npy", vector)
    made = run(recipes.code(name, framework, vector))
    (constant,) = [value for key, value in made.items() if key.startswith("LOG_")]
    report = audit(framework, name, made[name], constant, seed)
    assert report.verdict == "holds", str(report)


EYE = {"numpy": "np.eye(len(labels))", "torch": "torch.eye(len(labels))", "jax": "jnp.eye(len(labels))",
       "tensorflow": "tf.eye(tf.shape(labels)[0])"}  # fmt: skip
OTHER = {"torch": ("log_shift[", "log_shift.flip(0)["), "tensorflow": ("(log_shift,", "(log_shift[::-1],")}
SLIPS = ("added", "negatives only", "hits masked", "temperature after the shift", "δ inverted", "another law")


def slip(framework: str, kind: str) -> tuple[str, str, str]:
    """A recipe, and what is written there in place of what."""
    is_tf = framework == "tensorflow"
    scores, shift = ("tf.cast(scores, shift.dtype)", "shift") if is_tf else ("scores", "log_shift[labels]")
    same = "tf.cast(labels[:, None] == labels, shift.dtype)" if is_tf else "1.0 * (labels[:, None] == labels)"
    right = f"{scores} - {shift}"
    return {
        "added": ("in_batch_softmax", right, f"{scores} + {shift}"),
        "negatives only": ("in_batch_softmax", right, f"{right} * (1 - {EYE[framework]})"),
        "hits masked": ("in_batch_softmax", right, f"{right} - 1e6 * ({same} - {EYE[framework]})"),
        "temperature after the shift": ("in_batch_softmax", right, f"{right} / temperature"),
        "δ inverted": ("logit_adjusted_in_batch", "(1 - tau)", "(1 + tau)"),
        "another law": ("sampled_softmax", *OTHER.get(framework, ("log_shift[", "log_shift[::-1]["))),
    }[kind]


@pytest.mark.parametrize("kind", SLIPS)
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_slips_are_refuted(framework: str, kind: str, seed: int) -> None:
    pytest.importorskip(framework)
    name, old, new = slip(framework, kind)
    text = recipes.code(name, framework)
    assert old in text
    report = audit(framework, name, run(text.replace(old, new))[name], tensor(framework, VECTORS[name]), seed)
    assert report.verdict == "refuted", str(report)


# --- exactly ------------------------------------------------------------------------------------------------------


def by_hand(z: list[float]) -> float:
    """Cross-entropy of the first of the logits."""
    return math.log(math.fsum(math.exp(x - z[0]) for x in z))


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_losses_are_the_formula(framework: str, rng: np.random.Generator) -> None:
    """Written out in scalars, on batches with duplicates; float32 has about seven digits."""
    pytest.importorskip(framework)
    module = importlib.import_module(f"implicitloss.recipes.{framework}")
    queries, items, negatives = (rng.standard_normal((n, 3)) for n in (5, 5, 4))
    labels, drawn, vector = np.array([2, 0, 2, 6, 1]), np.array([2, 5, 5, 0]), rng.standard_normal(L)
    q, i, y, n, d, v = (tensor(framework, x) for x in (queries, items, labels, negatives, drawn, vector))

    def score(a: Any, b: Any) -> float:
        return math.fsum(map(float, a * b)) / T

    rows = range(5)
    for tau, found in (
        (0.0, module.in_batch_softmax(q, i, y, v, T)),
        (TAU, module.logit_adjusted_in_batch(q, i, y, v, TAU, T)),
        (1.0, module.logit_adjusted_in_batch(q, i, y, v, temperature=T)),
    ):
        z = [[score(queries[r], items[c]) - (1 - tau) * vector[labels[c]] for c in rows] for r in rows]
        expected = [by_hand([z[r][r], *(z[r][c] for c in rows if c != r)]) for r in rows]
        np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-5, atol=1e-5)
    found = np.asarray(module.sampled_softmax(q, i, y, n, d, v, T))
    for r in rows:
        own = score(queries[r], items[r]) - vector[labels[r]]
        others = [score(queries[r], x) - vector[k] for x, k in zip(negatives, drawn, strict=True)]
        np.testing.assert_allclose(found[r], by_hand([own, *others]), rtol=1e-5, atol=1e-5)
    # The default temperature is 1, and large scores do not overflow.
    far = np.asarray(module.in_batch_softmax(1e4 * q, i, y, v))
    assert np.isfinite(far).all()
    np.testing.assert_allclose(np.asarray(module.in_batch_softmax(q / T, i, y, v)), np.asarray(
        module.in_batch_softmax(q, i, y, v, T)), rtol=1e-5)  # fmt: skip


@pytest.mark.parametrize("n", [2, 3, 4])
def test_the_optimum_is_that_of_the_target_at_every_number_of_negatives(n: int) -> None:
    """All batches of three labels: the mean loss is least at log η - log δ, whatever q, and not at log η."""
    from implicitloss.recipes import numpy as module

    eta, prior, q = np.array([0.2, 0.3, 0.5]), np.array([0.6, 0.3, 0.1]), np.array([0.1, 0.7, 0.2])
    delta = prior**TAU

    def mean(name: str, f: Any) -> float:
        total = 0.0
        for y, *others in itertools.product(range(3), repeat=n):
            items, labels = np.eye(3)[[y, *others]], np.array([y, *others])
            law = q if name == "sampled_softmax" else prior
            if name == "sampled_softmax":
                log_shift = np.log(q / delta)
                (loss,) = module.sampled_softmax(f[None], items[:1], labels[:1], items[1:], labels[1:], log_shift)
            elif name == "in_batch_softmax":
                loss = module.in_batch_softmax(np.tile(f, (n, 1)), items, labels, np.log(prior / delta))[0]
            else:
                loss = module.logit_adjusted_in_batch(np.tile(f, (n, 1)), items, labels, np.log(prior), TAU)[0]
            total += eta[y] * np.prod(law[others]) * loss
        return total

    for name in NAMES:
        steps = 1e-4 * np.eye(3)
        slopes = [
            [(mean(name, f + step) - mean(name, f - step)) / 2e-4 for step in steps]
            for f in (np.log(eta / delta), np.log(eta))
        ]
        assert np.abs(slopes[0]).max() < 1e-8  # the third derivative times h²/6
        assert np.abs(slopes[1]).max() > 1e-2


# --- the texts ----------------------------------------------------------------------------------------------------


def functions(framework: str) -> dict[str, ast.FunctionDef]:
    source = (Path(recipes.__file__).parent / f"{framework}.py").read_text(encoding="utf-8")
    return {node.name: node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)}


def test_every_framework_has_the_same_recipes() -> None:
    files = {path.stem for path in Path(recipes.__file__).parent.glob("*.py")}
    assert files == {*FRAMEWORKS, "__init__"}

    def shape(recipe: ast.FunctionDef) -> Any:
        return [argument.arg for argument in recipe.args.args], [ast.unparse(x) for x in recipe.args.defaults]

    expected = {name: shape(recipe) for name, recipe in functions("numpy").items()}
    assert set(expected) == set(NAMES)
    for framework in FRAMEWORKS:
        assert {name: shape(recipe) for name, recipe in functions(framework).items()} == expected


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_recipes_have_five_to_nine_lines(framework: str) -> None:
    for recipe in functions(framework).values():
        _, first, *rest = recipe.body  # the docstring is apart
        assert 5 <= (rest[-1].end_lineno or 0) - first.lineno + 1 <= 9


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_text_is_the_module_and_says_what_it_needs(framework: str, name: str) -> None:
    """Where the framework is not installed too."""
    text = recipes.code(name, framework, VECTORS[name])
    tree = ast.parse(text)
    (recipe,) = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    original = functions(framework)[name]
    assert (recipe.name, ast.dump(recipe.args)) == (name, ast.dump(original.args))
    assert list(map(ast.dump, recipe.body[1:])) == list(map(ast.dump, original.body[1:]))
    assert (ast.get_docstring(original) or "").startswith(ast.get_docstring(recipe) or "nothing")
    assert "implicitloss" not in text
    (constant,) = [node for node in tree.body if isinstance(node, ast.Assign)]
    numbers = ast.literal_eval(constant.value.args[0])  # type: ignore[attr-defined]
    assert numbers == VECTORS[name].tolist()
    comment = "\n".join(line for line in text.splitlines() if line.startswith("#"))
    for need in ("drawn independently", "duplicates stay in", "accidental hits", "law", "temperature divides"):
        assert need in comment
    assert ("the other rows" in comment) == (name != "sampled_softmax")
    assert max(map(len, text.splitlines())) <= 120
    # The call in the first line has what the function needs.
    (call,) = ast.parse(text.splitlines()[0].removeprefix("# ")).body
    assert (
        [x.id.lower() for x in call.value.args]
        == [  # type: ignore[attr-defined]
            x.arg for x in original.args.args[: -len(original.args.defaults)]
        ]
    )


def test_long_vectors_are_read_from_a_file_and_none_are_left_to_the_caller() -> None:
    assert "np.load" not in recipes.code("in_batch_softmax", "jax", np.zeros(32))
    assert "import numpy" not in recipes.code("in_batch_softmax", "jax", np.zeros(32))
    assert 'jnp.asarray(np.load("log_shift.npy"), dtype' in recipes.code("in_batch_softmax", "jax", np.zeros(33))
    text = recipes.code("logit_adjusted_in_batch", "torch")
    assert "LOG_PRIOR" not in text
    assert text.startswith("# losses = logit_adjusted_in_batch(queries, items, labels, log_prior)\n")
    # A comment in an expression does not swallow the rest of the line.
    assert run(recipes.code("in_batch_softmax", "numpy", "np.zeros(3)  # unknown"))["LOG_SHIFT"].shape == (3,)


@pytest.mark.parametrize(
    ("given", "match"),
    [
        (("softmax", "torch"), "name must be 'in_batch_softmax', .* got 'softmax'"),
        (("in_batch_softmax", "theano"), "framework must be 'jax', .* got 'theano'"),
        (("in_batch_softmax", "__init__"), "framework must be"),
        (("in_batch_softmax", None), "framework must be"),
        (("in_batch_softmax", "torch", [0.0, -np.inf]), "log_shift must be finite, but label 1 has -inf"),
        (("logit_adjusted_in_batch", "torch", np.zeros((2, 2))), r"log_prior must be a vector \(L,\)"),
        (
            ("in_batch_softmax", "torch", "x = 1"),
            "log_shift must be a vector .* or an expression of NumPy, got 'x = 1'",
        ),
        (("in_batch_softmax", "torch", "1), (2"), "or an expression"),
        (("in_batch_softmax", "torch", "\0"), "or an expression"),
    ],
)
def test_wrong_arguments_are_refused(given: tuple[Any, ...], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        recipes.code(*given)
