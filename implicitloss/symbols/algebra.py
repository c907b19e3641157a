"""Fractions in lowest terms, and whether two expressions with sums over labels are equal."""

from __future__ import annotations

import sympy as sp
from sympy.concrete.expr_with_limits import ExprWithLimits
from sympy.core.evalf import PrecisionExhausted
from sympy.core.function import AppliedUndef

from implicitloss.symbols.alphabet import L, y

__all__ = ["are_alike", "constants_out", "tidy", "vanishes"]

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


def _without_powers(expression: sp.Expr) -> tuple[sp.Expr, dict[sp.Expr, sp.Expr]]:
    """Without sums, and without powers of a difference to an unknown exponent, as in 1 - (1 - q)^m."""
    apart, back = _without_sums(expression)
    powers = [power for power in apart.atoms(sp.Pow) if power.base.is_Add and power.exp.is_Symbol]
    hidden = {power: sp.Dummy(positive=True) for power in powers}
    return apart.xreplace(hidden), back | {dummy: power.xreplace(back) for power, dummy in hidden.items()}


def tidy(expression: sp.Expr) -> sp.Expr:
    """The expression as one fraction in lowest terms, sums untouched, no minus sign in front of a fraction.

    Powers to an unknown exponent are untouched, too.
    """
    return _in_lowest_terms(*_without_powers(sp.sympify(expression)))


def _in_lowest_terms(plain: sp.Expr, sums: dict[sp.Expr, sp.Expr]) -> sp.Expr:
    above, below = sp.fraction(sp.powsimp(sp.cancel(sp.powsimp(sp.together(plain)))))
    if above.could_extract_minus_sign():
        above, below = -above, -below
    return sp.powsimp(above / below).xreplace(sums)


def _is_somewhere_not_zero(expression: sp.Expr) -> bool:
    """Whether it is not 0 where each symbol, element and sum is a whole number of its own.

    Then no algebra shows that it is 0, and this is seen in a small part of the time that algebra takes to give up.
    False where its digits cancel: nothing is known then.
    """
    plain, _ = _without_sums(expression)
    if plain.has(ExprWithLimits):  # an integral has symbols of its own
        return False
    parts = sorted(plain.atoms(sp.Symbol, sp.Indexed, AppliedUndef), key=str)
    value = plain.xreplace({part: sp.Integer(number) for number, part in enumerate(parts, 2)})
    if value.is_Rational:
        return bool(value != 0)
    try:
        value = value.evalf(15, maxn=100, strict=True)
    except PrecisionExhausted:
        return False
    return bool(value.is_Float and value != 0)


def are_alike(left: sp.Expr, right: sp.Expr) -> bool:
    """Whether the difference is 0 in lowest terms, whatever the sums are."""
    apart = sp.sympify(left - right)
    if _is_somewhere_not_zero(apart):
        return False
    return tidy(apart) == 0 or _in_lowest_terms(*_without_sums(apart)) == 0


def _is_zero(expression: sp.Expr) -> bool:
    if expression == 0:
        return True
    plain, _ = _without_sums(expression)
    if _is_somewhere_not_zero(plain):
        return False
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

    Or it is 0 whatever the sums are, as with a normaliser in several denominators.  False means "not shown", not
    "different".
    """
    apart = constants_out(sp.sympify(difference))
    summand, outside = _as_one_sum(apart)
    return (_is_zero(summand) and _is_zero(outside)) or are_alike(apart, sp.Integer(0))
