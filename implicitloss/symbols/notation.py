"""Expressions as LaTeX in the paper's notation, as text that could be code, and as a sentence has them."""

from __future__ import annotations

import re
from typing import Any

import sympy as sp
from sympy.core.function import AppliedUndef
from sympy.printing.latex import LatexPrinter
from sympy.printing.str import StrPrinter

from implicitloss.symbols.alphabet import sampled_loss, y, yp

__all__ = ["latex", "ranks", "spoken", "text"]


def _is_minus(term: sp.Expr) -> bool:
    return bool(term.could_extract_minus_sign())


def _sides(expr: sp.Heaviside) -> tuple[sp.Expr, sp.Expr, bool]:
    """a, b and whether a = b counts, of the step function of b - a."""
    a, b = sorted(sp.Add.make_args(expr.args[0]), key=_is_minus, reverse=True)
    return -a, b, bool(expr.args[1] == 1)


class _PaperLatex(LatexPrinter):
    def _print_Symbol(self, expr: sp.Symbol, style: str = "plain") -> str:
        return r"\ell(N)" if expr == sampled_loss else str(super()._print_Symbol(expr, style))

    def _print_Function(self, expr: sp.Function, exp: Any = None) -> str:
        """w_yy', p_yy' and q_y' have their labels as indices."""
        name = expr.func.__name__
        if name not in ("p", "q", "w"):
            return str(super()._print_Function(expr, exp))
        indexed = f"{name}_{{{' '.join(self._print(label) for label in expr.args)}}}"
        return indexed if exp is None else f"{indexed}^{{{exp}}}"

    def _as_ordered_terms(self, expr: sp.Expr, order: Any = None) -> list[sp.Expr]:
        """1 + Σ and not Σ + 1; a sum does not begin with a minus sign where it need not."""
        terms: list[sp.Expr] = super()._as_ordered_terms(expr, order)
        return sorted(terms, key=lambda term: (not term.is_positive or not term.is_Number, _is_minus(term)))

    def _print_Heaviside(self, expr: sp.Heaviside, exp: Any = None) -> str:
        """The indicator of an order."""
        a, b, or_equal = _sides(expr)
        order = r"\le" if or_equal else "<"
        indicator = rf"\mathbf{{1}}[{self._print(a)} {order} {self._print(b)}]"
        return indicator if exp is None else f"{indicator}^{{{exp}}}"

    def _print_Sum(self, expr: sp.Sum) -> str:
        body, index = _negative_body(expr)
        if body is None:
            return str(super()._print_Sum(expr))
        inner = self._print(body)
        if body.is_Add:
            inner = rf"\left({inner}\right)"
        return rf"\sum_{{{self._print(index)} \neq y}} {inner}"


class _PaperText(StrPrinter):
    def _print_Sum(self, expr: sp.Sum) -> str:
        body, index = _negative_body(expr)
        if body is None:
            index, lower, upper = expr.limits[0]
            body = expr.function
            return f"Sum_{{{index}={lower}..{upper}}}({self._print(body)})"
        return f"Sum_{{{index}!=y}}({self._print(body)})"

    def _print_Heaviside(self, expr: sp.Heaviside) -> str:
        a, b, or_equal = _sides(expr)
        return f"({self._print(a)} {'<=' if or_equal else '<'} {self._print(b)})"

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


def ranks(expression: sp.Expr) -> bool:
    """Whether labels are numbers in it, as in the log-uniform law: ranks from the most frequent."""
    as_indices = expression.atoms(sp.Indexed, sp.KroneckerDelta, AppliedUndef)
    return bool(expression.xreplace({atom: sp.Dummy() for atom in as_indices}).free_symbols & {y, yp})


def text(expression: sp.Basic) -> str:
    """One line of text that could be code: m*pi[y']/pi[y]."""
    return str(_PaperText().doprint(expression))


def spoken(expression: sp.Basic) -> str:
    """The expression as a sentence has it: m π_y'/π_y."""
    subscripts = re.sub(r"(\w+)\[([^\]]+)\]", r"\1_\2", text(expression))
    return re.sub(r"\bpi_", "π_", subscripts).replace("**", "^").replace("*", " ")
