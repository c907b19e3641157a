"""Every symbol of the theory with its assumptions, once; and sums over labels and over negatives.

Sums over y' != y are plain SymPy sums with the factor 1 - δ_{y y'}.
"""

from __future__ import annotations

from fractions import Fraction

import sympy as sp

__all__ = [
    "E",
    "L",
    "N",
    "alpha",
    "delta",
    "exact",
    "f",
    "hard",
    "i",
    "inside",
    "j",
    "k",
    "m",
    "n",
    "over_labels",
    "over_negatives",
    "pi",
    "q",
    "rho",
    "sampled_loss",
    "scale",
    "share",
    "tau",
    "y",
    "yp",
]

L = sp.Symbol("L", integer=True, positive=True)
m = sp.Symbol("m", integer=True, positive=True)
i = sp.Symbol("i", integer=True, positive=True)  # a draw, 1..m
y = sp.Symbol("y", integer=True, positive=True)  # the positive label, 1..L
yp = sp.Symbol("y'", integer=True, positive=True)  # a negative label, 1..L
k = sp.Symbol("k", integer=True, positive=True)  # a label that is summed over, 1..L
j = sp.Symbol("j", integer=True, positive=True)  # a hard negative that is summed over, 1..L
pi = sp.IndexedBase("pi", positive=True)  # label prior
n = sp.IndexedBase("n", positive=True)  # label counts
f = sp.IndexedBase("f", real=True)  # scores
q = sp.IndexedBase("q", positive=True)  # a sampler's law, where it is a free choice
delta = sp.IndexedBase("delta", real=True)  # offsets of labels' scores
N = sp.IndexedBase("Y", integer=True)  # the i-th drawn label
inside = sp.IndexedBase("In", nonnegative=True)  # 1 for a label of N, where N is a set, else 0
hard = sp.IndexedBase("T", nonnegative=True)  # 1 for a hard negative, else 0; 0 for the positive
alpha = sp.Symbol("alpha", positive=True)
tau = sp.Symbol("tau", positive=True)
share = sp.Symbol("lambda", positive=True)  # of the first law in a mixture
rho = sp.Symbol("rho", real=True)
scale = sp.Symbol("C", positive=True)
sampled_loss = sp.Symbol("loss(N)", real=True)
E = sp.Function("E")


def exact(x: float) -> sp.Rational:
    """`x` as a rational: the simple one that rounds to it, such as 1/3, or else its own decimals, however small."""
    simple = Fraction(x).limit_denominator(1_000_000)
    found = simple if float(simple) == x else Fraction(repr(x))
    return sp.Rational(found.numerator, found.denominator)


def over_labels(summand: sp.Expr, index: sp.Symbol = k) -> sp.Expr:
    """Σ_{index=1}^{L} summand."""
    return sp.Sum(summand, (index, 1, L))


def over_negatives(summand: sp.Expr, index: sp.Symbol = yp) -> sp.Expr:
    """Σ_{index != y} summand, as Σ_{index=1}^{L} (1 - δ_{y,index}) summand."""
    return sp.Sum((1 - sp.KroneckerDelta(index, y)) * summand, (index, 1, L))
