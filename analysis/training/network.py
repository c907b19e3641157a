"""Linear scorers with at most one hidden layer of linear activation, and Adam: what the paper's section 5.2 trains."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from implicitloss.kernels.jit import kernel
from implicitloss.labels import Labels

Weights = NDArray[np.float32]
TINY = np.float32(1e-6)


class Network:
    """f(x) = V h + b with h = W x, or h = x where `hidden` is 0; `cosine` scores cos(h, V_y) and has no b.

    Features X are (n, d), dense or sparse; scores (n, L), float32.
    """

    def __init__(self, d: int, n_labels: int, rng: np.random.Generator, *, hidden: int = 0, cosine: bool = False):
        def layer(*shape: int) -> Weights:
            return (rng.standard_normal(shape) / np.sqrt(shape[1])).astype(np.float32)

        self.cosine = cosine
        self.weights = [layer(n_labels, hidden or d)]
        if not hidden and not cosine:
            self.weights[0][:] = 0  # a convex problem starts in the middle
        if hidden:
            self.weights.append(layer(hidden, d))
        if not cosine:
            self.weights.append(np.zeros(n_labels, dtype=np.float32))

    def scores(self, x: Any) -> Weights:
        """f(x) of each row, (n, L)."""
        return self._forward(x)[-1]

    def _forward(self, x: Any) -> tuple[Weights, Weights, Weights, Weights, Weights]:
        v, deep = self.weights[0], len(self.weights) > 1 and self.weights[1].ndim == 2
        h = np.asarray(x @ self.weights[1].T if deep else x, dtype=np.float32)
        if not self.cosine:
            one = np.ones(1, dtype=np.float32)
            return h, v, one, one, h @ v.T + self.weights[-1]
        size_h = np.linalg.norm(h, axis=1, keepdims=True) + TINY
        size_v = np.linalg.norm(v, axis=1, keepdims=True) + TINY
        return h / size_h, v / size_v, size_h, size_v, (h / size_h) @ (v / size_v).T

    def gradients(self, x: Any, loss: Callable[[Weights], NDArray[Any]]) -> list[Weights]:
        """∂/∂ each of the weights of what has the gradient `loss(scores)` in the scores."""
        h, v, size_h, size_v, scores = self._forward(x)
        df = np.asarray(loss(scores), dtype=np.float32)
        dh, dv = df @ v, df.T @ h
        if self.cosine:  # only what is orthogonal to a unit vector moves it
            dh = (dh - h * np.sum(dh * h, axis=1, keepdims=True)) / size_h
            dv = (dv - v * np.sum(dv * v, axis=1, keepdims=True)) / size_v
        found = [dv]
        if len(self.weights) > 1 and self.weights[1].ndim == 2:
            found.append(np.asarray((x.T @ dh).T, dtype=np.float32))
        if not self.cosine:
            found.append(df.sum(axis=0))
        return found


class Adam:
    """*Source:* Kingma and Ba 2015, with the step falling to 0 along a half cosine (Loshchilov and Hutter 2017)."""

    def __init__(self, weights: list[Weights], step: float, total: int):
        self.weights, self.step, self.total, self.t = weights, step, total, 0
        self.mean = [np.zeros_like(w) for w in weights]
        self.square = [np.zeros_like(w) for w in weights]

    def __call__(self, gradients: list[Weights]) -> None:
        self.t += 1
        rate = self.step * 0.5 * (1 + np.cos(np.pi * (self.t - 1) / self.total))
        rate *= np.sqrt(1 - 0.999**self.t) / (1 - 0.9**self.t)
        for parts in zip(self.weights, gradients, self.mean, self.square, strict=True):
            _move(*(part.ravel() for part in parts), np.float32(rate))


@kernel
def _move(w: Weights, g: Weights, mean: Weights, square: Weights, rate: np.float32) -> None:
    """One step, in one pass over the weights."""
    for i in range(w.size):
        mean[i] += np.float32(0.1) * (g[i] - mean[i])
        square[i] += np.float32(0.001) * (g[i] * g[i] - square[i])
        w[i] -= rate * mean[i] / (np.sqrt(square[i]) + np.float32(1e-8))


def batches(n: int, size: int, rng: np.random.Generator) -> Iterator[Labels]:
    """The rows 0 to n - 1 in random order, `size` at a time."""
    order = rng.permutation(n)
    for start in range(0, n, size):
        yield order[start : start + size]


def train(
    network: Network,
    x: Any,
    pairs: tuple[Labels, Labels],
    minibatch: Callable[..., tuple[Any, Any]],
    rng: np.random.Generator,
    *,
    epochs: int,
    size: int,
    step: float,
) -> None:
    """Minimise the mean of `minibatch`'s loss over all `pairs` (rows of x, labels), rows sorted, by Adam.

    A batch is `size` rows with all of their labels, so that scores are computed once for each row.
    """
    rows, labels = pairs
    n = x.shape[0]
    start = np.searchsorted(rows, np.arange(n + 1))
    each = len(rows) / n  # labels a row
    adam = Adam(network.weights, step, epochs * -(-n // size))
    for _ in range(epochs):
        for picked in batches(n, size, rng):
            count = start[picked + 1] - start[picked]
            at = np.repeat(np.arange(picked.size), count)
            y = labels[np.arange(at.size) + np.repeat(start[picked] - (np.cumsum(count) - count), count)]

            def loss(scores: Weights, y: Labels = y, at: Labels = at, n: int = picked.size) -> NDArray[Any]:
                return minibatch(scores, y, rng, at)[1] / (n * each)

            adam(network.gradients(x[picked], loss))
