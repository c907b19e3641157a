"""The SymPy alphabet, once: every symbol of the theory with its assumptions, and sums over negatives.

Sums over y' != y are plain SymPy sums with the factor 1 - δ_{y y'}; `latex` and `text` print them as the paper
does.  `vanishes` is the one place where SymPy is asked whether two expressions with such sums are equal.
"""

from __future__ import annotations

from typing import Any

import sympy as sp
from sympy.printing.latex import LatexPrinter
from sympy.printing.str import StrPrinter

L = sp.Symbol("L", integer=True, positive=True)
m = sp.Symbol("m", integer=True, positive=True)
i = sp.Symbol("i", integer=True, positive=True)  # a draw, 1..m
y = sp.Symbol("y", integer=True, positive=True)  # the positive label, 1..L
yp = sp.Symbol("y'", integer=True, positive=True)  # a negative label, 1..L
k = sp.Symbol("k", integer=True, positive=True)  # a label that is summed over, 1..L

pi = sp.IndexedBase("pi", positive=True)  # label prior
n = sp.IndexedBase("n", positive=True)  # label counts
f = sp.IndexedBase("f", real=True)  # scores
q = sp.IndexedBase("q", positive=True)  # a sampler's law, where it is a free choice
N = sp.IndexedBase("Y", integer=True)  # the i-th drawn label
alpha = sp.Symbol("alpha", positive=True)
lam = sp.Symbol("lambda", positive=True)
tau = sp.Symbol("tau", positive=True)
rho = sp.Symbol("rho", real=True)
scale = sp.Symbol("C", positive=True)
E = sp.Function(r"\mathbb{E}")


def over_labels(summand: sp.Expr, index: sp.Symbol = k) -> sp.Expr:
    """Σ_{index=1}^{L} summand."""
    return sp.Sum(summand, (index, 1, L))


def over_negatives(summand: sp.Expr, index: sp.Symbol = yp) -> sp.Expr:
    """Σ_{index != y} summand, as Σ_{index=1}^{L} (1 - δ_{y,index}) summand."""
    return sp.Sum((1 - sp.KroneckerDelta(index, y)) * summand, (index, 1, L))


def _as_one_sum(expression: sp.Expr) -> tuple[sp.Expr, sp.Expr]:
    """(summand over k of all sums over labels, what is outside any sum), δ-terms summed out at y."""
    summand, outside = sp.Integer(0), sp.Integer(0)
    for term in sp.Add.make_args(sp.expand(expression)):
        sums = [factor for factor in sp.Mul.make_args(term) if isinstance(factor, sp.Sum)]
        if len(sums) == 1 and len(sums[0].limits) == 1 and sums[0].limits[0][1:] == (1, L):
            rest = term / sums[0]
            index = sums[0].limits[0][0]
            body = sums[0].function.xreplace({index: k})
            if rest.has(k):
                outside += term
                continue
            delta = sp.KroneckerDelta(k, y)
            # (1 - δ) g(k) = g(k) - δ g(y): the δ picks the term at y, which is one of 1..L.
            if body.has(sp.KroneckerDelta):
                factor = sp.expand(body.coeff(delta) if body.is_Add else sp.cancel(body / (1 - delta)))
                if body.is_Add or factor.has(sp.KroneckerDelta):
                    outside += term
                    continue
                summand += rest * factor
                outside -= rest * factor.xreplace({k: y})
            else:
                summand += rest * body
        else:
            outside += term
    return summand, outside


def _simplified(expression: sp.Expr) -> sp.Expr:
    for simplify in (sp.expand, sp.simplify, lambda e: sp.simplify(sp.powsimp(sp.expand_log(e, force=True)))):
        expression = simplify(expression)
        if expression == 0:
            break
    return expression


def vanishes(difference: sp.Expr) -> bool:
    """Whether SymPy can show that `difference` is 0: sums are collected into one and compared term by term.

    False means "not shown", not "different".
    """
    if _simplified(difference) == 0:
        return True
    summand, outside = _as_one_sum(difference)
    if _simplified(summand) == 0 and _simplified(outside) == 0:
        return True
    return False


class _PaperLatex(LatexPrinter):  # type: ignore[misc]
    def _print_Sum(self, expr: sp.Sum) -> str:
        body, index = _negative_body(expr)
        if body is None:
            return str(super()._print_Sum(expr))
        inner = self._print(body)
        if body.is_Add:
            inner = rf"\left({inner}\right)"
        return rf"\sum_{{{self._print(index)} \neq y}} {inner}"


class _PaperText(StrPrinter):  # type: ignore[misc]
    def _print_Sum(self, expr: sp.Sum) -> str:
        body, index = _negative_body(expr)
        if body is None:
            index, lower, upper = expr.limits[0]
            body = expr.function
            return f"Sum_{{{index}={lower}..{upper}}}({self._print(body)})"
        return f"Sum_{{{index}!=y}}({self._print(body)})"

    def _print_Indexed(self, expr: sp.Indexed) -> str:
        indices = ",".join(self._print(index) for index in expr.indices)
        return f"{expr.base.label}[{indices}]"


def _negative_body(expr: sp.Sum) -> tuple[Any, Any]:
    index = expr.limits[0][0]
    keep = 1 - sp.KroneckerDelta(index, y)
    factors = sp.Mul.make_args(expr.function)
    if keep in factors:
        return sp.Mul(*[factor for factor in factors if factor != keep]), index
    return None, index


def latex(expression: sp.Basic) -> str:
    """LaTeX in the paper's notation: sums over negatives as Σ_{y' ≠ y}."""
    return str(_PaperLatex({"ln_notation": False}).doprint(expression))


def text(expression: sp.Basic) -> str:
    """One line of text in the paper's notation."""
    return str(_PaperText().doprint(expression))
