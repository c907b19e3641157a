"""The SymPy alphabet, once: every symbol of the theory with its assumptions, and sums over negatives.

Sums over y' != y are plain SymPy sums with the factor 1 - δ_{y y'}; `latex` and `text` print them as the paper
does.  `vanishes` is the one place where SymPy is asked whether two expressions with such sums are equal.
"""

from __future__ import annotations

import re
from fractions import Fraction
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


_label = sp.Dummy("label", integer=True, positive=True)


def _as_one_sum(expression: sp.Expr) -> tuple[sp.Expr, sp.Expr]:
    """(A, B) with expression = Σ_label A + B, where every sum over labels has gone into A."""
    summand, outside = sp.Integer(0), sp.Integer(0)
    delta = sp.KroneckerDelta(_label, y)
    for term in sp.Add.make_args(sp.expand_mul(expression)):
        sums = [factor for factor in sp.Mul.make_args(term) if _is_over_labels(factor)]
        rest = term / sums[0] if len(sums) == 1 else term
        if len(sums) != 1 or not _can_be_set_apart(sums[0]):
            outside += term
            continue
        # A sum inside (a normaliser) has an index of its own, which must stay out of this one's way; and no label that
        # is free may be caught by it, so the common index is a symbol of its own.
        body, inner = _without_sums(sums[0].function)
        body = body.xreplace({sums[0].limits[0][0]: _label})
        # A δ picks the term at y, which is one of 1..L; δ is 0 or 1, so the body is linear in it.
        without = body.xreplace({delta: sp.Integer(0)})
        at_y = (body.xreplace({delta: sp.Integer(1)}) - without).xreplace({_label: y})
        summand += rest * without.xreplace(inner)
        outside += rest * at_y.xreplace(inner)
    return summand, outside


def constants_out(expression: sp.Expr) -> sp.Expr:
    """Σ c g(k) as c Σ g(k), Σ (g + h) as Σ g + Σ h and Σ 1 as L: so powers and products of sums can be compared."""
    inside = {inner for total in expression.atoms(sp.Sum) for inner in total.function.atoms(sp.Sum)}
    factored = {}
    for total in expression.atoms(sp.Sum) - inside:
        if not _is_over_labels(total) or not _can_be_set_apart(total):
            continue
        index = total.limits[0][0]
        body, inner = _without_sums(total.function)
        terms = [body] if body.has(sp.KroneckerDelta) else sp.Add.make_args(sp.expand(body))
        parts = []
        for term in terms:
            constant, rest = sp.factor_terms(term).as_independent(index, as_Add=False)
            parts.append(constant * (sp.Sum(rest, *total.limits) if rest.has(index) else L * rest))
        factored[total] = sp.Add(*parts).xreplace(inner)
    return expression.xreplace(factored)


def _is_over_labels(expression: sp.Expr) -> bool:
    return isinstance(expression, sp.Sum) and len(expression.limits) == 1 and expression.limits[0][1:] == (1, L)


def _can_be_set_apart(total: sp.Sum) -> bool:
    """Whether no sum inside depends on the index of this one."""
    index = total.limits[0][0]
    return not any(index in inner.free_symbols for inner in total.function.atoms(sp.Sum))


def _without_sums(expression: sp.Expr) -> tuple[sp.Expr, dict[sp.Expr, sp.Expr]]:
    """The expression with each sum replaced by a symbol, so that SymPy's algebra leaves it alone."""
    names = {total: sp.Dummy(real=True, nonzero=True) for total in expression.atoms(sp.Sum)}
    return expression.xreplace(names), {dummy: total for total, dummy in names.items()}


def tidy(expression: sp.Expr) -> sp.Expr:
    """The expression as one fraction in lowest terms, sums untouched, no minus sign in front of a fraction."""
    plain, sums = _without_sums(sp.sympify(expression))
    above, below = sp.fraction(sp.powsimp(sp.cancel(sp.powsimp(sp.together(plain)))))
    if above.could_extract_minus_sign():
        above, below = -above, -below
    return sp.powsimp(above / below).xreplace(sums)


def _is_zero(expression: sp.Expr) -> bool:
    if expression == 0:
        return True
    plain, _ = _without_sums(expression)
    attempts = (
        sp.expand,
        lambda e: sp.cancel(sp.powsimp(sp.together(sp.expand_power_exp(e)))),
        sp.simplify,
        # log(a b) = log a + log b needs a, b > 0.
        lambda e: sp.simplify(sp.powsimp(sp.expand_log(e, force=all(x.args[0].is_positive for x in e.atoms(sp.log))))),
    )
    return any(attempt(plain) == 0 for attempt in attempts)


def vanishes(difference: sp.Expr) -> bool:
    """Whether SymPy can show that `difference` is 0: sums are collected into one and compared term by term.

    False means "not shown", not "different".
    """
    summand, outside = _as_one_sum(constants_out(sp.sympify(difference)))
    return _is_zero(summand) and _is_zero(outside)


def _is_minus(term: sp.Expr) -> bool:
    return bool(term.could_extract_minus_sign())


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
    as_indices = expression.atoms(sp.Indexed, sp.KroneckerDelta)
    return bool(expression.xreplace({atom: sp.Dummy() for atom in as_indices}).free_symbols & {y, yp})


def text(expression: sp.Basic) -> str:
    """One line of text that could be code: m*pi[y']/pi[y]."""
    return str(_PaperText().doprint(expression))


def spoken(expression: sp.Basic) -> str:
    """The same as a sentence has it: m π_y'/π_y."""
    subscripts = re.sub(r"(\w+)\[([^\]]+)\]", r"\1_\2", text(expression))
    return re.sub(r"\bpi_", "π_", subscripts).replace("**", "^").replace("*", " ")
