"""Optax, whose losses are JAX functions."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

import implicitloss as il
from analysis.libraries.boxes import batches, unit_length, without_hits
from analysis.libraries.case import LibraryCase, Size
from implicitloss.labels import Floats, Labels


def optax(size: Size) -> list[LibraryCase]:
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
            query, items = unit_length(jnp, f[None, :], jax.nn.one_hot(places, f.size))
            groups = jnp.append(jnp.zeros(2, int), jnp.arange(1, f.size))
            both = 2 * lib.losses.ntxent(jnp.concatenate([query, items]), groups, temperature=0.07)
            back = jnp.append(f[places[0]], (places[1:] == places[0]).astype(f.dtype)) / 0.07
            return both - (jax.nn.logsumexp(back) - back[0])

        return jax.value_and_grad(of)(f)

    def one(f: Floats, places: Labels, labels: Labels) -> tuple[float, Floats]:
        value, slope = ntxent(jnp.asarray(f, "float32"), jnp.asarray(places))
        return float(value), np.asarray(slope)

    return [
        LibraryCase(
            "softmax_cross_entropy_with_integer_labels", "Computes softmax cross entropy between the logits and "
            "integer labels", lib.softmax_cross_entropy_with_integer_labels, "full", "full softmax: p = 1",
            il.adapters.jax(softmax), prior,
        ),
        LibraryCase(
            "sigmoid_binary_cross_entropy, summed over labels", "Computes element-wise sigmoid cross entropy",
            lib.sigmoid_binary_cross_entropy, without_hits(np.ones((n, n))), "logistic over all labels: p = 1",
            il.adapters.jax(sigmoid), prior, {"form": "logistic"},
        ),
        LibraryCase(
            "losses.ntxent(temperature=0.07), a group for each example", "temperature scaled cross entropy loss",
            lib.losses.ntxent, size.scheme(), "weights of 1, in-batch, hits kept",
            batches(one, prior, size.m), prior, {"temperature": 0.07},
        ),
    ]  # fmt: skip
