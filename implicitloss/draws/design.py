"""How m negatives are drawn from the law q of one draw: a design, and what can be known of it exactly.

One idea a file: `iid`, `distinct`, `batch_set`, `bernoulli`.  A design has a procedure, which draws as a training
program does, and at each law q the exact probabilities P(y' ∈ N), with the transform E e^{-tS} of a sum S = Σ x_j over
j ∈ N.  Neither reads the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from implicitloss.labels import Floats, Labels
from implicitloss.samplers.sampler import Draw

if TYPE_CHECKING:
    import sympy as sp

__all__ = ["DRAWS", "Complexes", "DrawsName", "Law", "Node", "Runs", "SamplingDesign"]

Complexes = NDArray[np.complex128]

DrawsName = Literal["iid", "distinct", "set", "bernoulli"]
DRAWS: tuple[DrawsName, ...] = get_args(DrawsName)

Runs = Callable[[np.random.Generator, int], Labels]
"""`runs(rng, size)` returns the labels of `size` runs, (size, width); L, one past the last label, stands for none."""


@dataclass(frozen=True, eq=False)
class Node:
    """A node of a design: Re Σ over nodes of `weight` times what holds if labels come in independently is exact.

    Label j comes with the complex chance `p`_j, 1 - p_j = `rest`_j, (J,) each.  Where one of them comes last it does so
    at the rate `last`_j, with E Π y = Π (rest + p y) (`of_none` + Σ last y/(rest + p y)); else `of_none` is 1.
    """

    weight: complex
    p: Complexes
    rest: Complexes
    last: Complexes
    of_none: float


class Law(Protocol):
    """A design at one law q (J,), all q positive."""

    @property
    def inclusion(self) -> Floats:
        """P(j ∈ N), (J,); for i.i.d. draws the expected count m q."""
        ...

    @property
    def error(self) -> float:
        """A bound on the relative error of each of these, and of `missing` and `shares`."""
        ...

    def missing(self, misses: Floats) -> Floats:
        """1 - E Π_{j∈N} y_jt, (T,), from 1 - y = `misses` (J, T).  With y = e^{-tx} this is 1 - E e^{-tS}."""
        ...

    def shares(self, misses: Floats, weights: Floats) -> Floats:
        """Σ_t weights_t E 1[j ∈ N] Π_{k∈N} y_kt, (J,), weights (T,)."""
        ...

    def squares(self, adds: Floats, singles: Floats, misses: Floats) -> Floats:
        """E [(Σ_{j∈N} X_jt)² + Σ_{j∈N} Z_jt] Π_{k∈N} y_kt, (T,), X = `adds` and Z = `singles` (J, T)."""
        ...

    def moments(self, adds: Floats) -> tuple[float, float]:
        """Mean and variance of Σ_{j∈N} X_j, X = `adds` (J,)."""
        ...

    def nodes(self) -> Iterator[Node]:
        """The nodes whose sum the design is; none where draws are i.i.d."""
        ...


class SamplingDesign(Protocol):
    """A way to draw m negatives from the law of one draw."""

    @property
    def name(self) -> DrawsName:
        """What `Scheme(draws=...)` calls it."""
        ...

    def check(self, n_drawable: int, m: int) -> None:
        """*Raises* ValueError if m such draws do not exist where only `n_drawable` labels have q > 0."""
        ...

    def law(self, q: Floats, m: int) -> Law:
        """The design at the law `q` (J,) of one draw, which is positive and sums to 1."""
        ...

    def inclusion(self, q: sp.Expr, m: sp.Expr, of: sp.Expr, are_alike: bool) -> sp.Expr:
        """P(y' ∈ N) in symbols, from q_y' of one draw; `of` stands for it where it is no formula of q_y' alone.

        It may be one if all labels that can be drawn `are_alike`.
        """
        ...

    def sizes(self, n_drawable: int, m: int) -> tuple[int, int]:
        """The least and the largest number of labels in N, repeats counted."""
        ...

    def runs(self, draw: Draw, q: Floats, m: int) -> Runs:
        """The procedure, from one that draws single labels.  Only coins for each label read the law `q` (L,)."""
        ...
