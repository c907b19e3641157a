"""Symbolic derivation of the implicit loss, line by line from the sampled loss, each line checked by SymPy.

L, m and the labels stay symbols: every line holds for any number of labels and draws.

One file: the functions are the lines of one derivation, in their order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Literal

import sympy as sp
from sympy import stats

from implicitloss import margins
from implicitloss import symbols as s
from implicitloss.arguments import defines
from implicitloss.arguments import shown as short
from implicitloss.draws import design
from implicitloss.losses import Loss, checked_loss
from implicitloss.scheme import Scheme, checked_scheme
from implicitloss.weightings import complete_weighting

__all__ = ["Derivation", "Step", "derive", "named", "published"]

Relation = Literal["=", "<="]


@dataclass(frozen=True)
class Step:
    """One line of a derivation: `left relation right`, its `reason`, and whether SymPy `checked` it."""

    left: sp.Expr
    relation: Relation
    right: sp.Expr
    reason: str
    checked: bool

    def __str__(self) -> str:
        mark = "checked" if self.checked else "NOT CHECKED"
        return f"{s.text(self.left)} {self.relation} {s.text(self.right)}    [{self.reason}; {mark}]"


@dataclass(frozen=True)
class Derivation:
    """The derivation of a scheme's implicit loss, as `derive` returns it.

    Parameters
    ----------
    margin : sympy.Expr
        p_yy'; for softmax with kept hits the effective margin p_yy'/(1 + c_y).
    implicit_loss : sympy.Expr
        The loss that has these margins.
    steps : tuple of Step
        The lines from the sampled loss to the implicit loss.
    named : str or None
        The published loss with exactly these margins, e.g. "equalised loss (Tan et al. 2020)".
    kept : sympy.Expr
        c_y = m w_yy q_y, the expected weight of kept hits; 0 where hits are excluded or masked.

    Examples
    --------
    >>> import implicitloss as il
    >>> scheme = il.Scheme(il.samplers.WithinBatch(), il.weightings.Relative(), m=64, hits="mask")
    >>> derivation = il.derive(scheme, il.losses.SoftmaxCrossEntropy())
    >>> derivation.margin, derivation.checked
    (m*pi[y], True)
    >>> print(derivation.steps[1])
    E(loss(N)) <= log(E(Sum_{i=1..m}(w(y, Y[i])*exp(f[Y[i]] - f[y]))) + 1)    [Jensen: log(1 + S) is concave; checked]
    """

    margin: sp.Expr
    implicit_loss: sp.Expr
    steps: tuple[Step, ...]
    named: str | None
    kept: sp.Expr

    @property
    def checked(self) -> bool:
        """Whether SymPy checked every step."""
        return all(step.checked for step in self.steps)

    def latex(self) -> str:
        """The derivation as a LaTeX align* block, in the notation of Rawat et al. 2021."""
        lines, previous = [], None
        for step in self.steps:
            left = "" if step.left == previous else s.latex(step.left)
            sign = {"=": "=", "<=": r"\leq"}[step.relation]
            lines.append(rf"{left} &{sign} {s.latex(step.right)} && \text{{({_latex_text(step.reason)})}}")
            previous = step.left
        return "\\begin{align*}\n" + " \\\\\n".join(lines) + "\n\\end{align*}"

    def __str__(self) -> str:
        name = f" — {self.named}" if self.named else ""
        return f"p_yy' = {s.text(self.margin)}{name}"


def _latex_text(reason: str) -> str:
    for plain, tex in (("π", r"$\pi$"), ("η", r"$\eta$"), ("_", r"\_"), ("Σ", r"$\sum$"), ("≠", r"$\neq$")):
        reason = reason.replace(plain, tex)
    return reason


def derive(scheme: Scheme, loss: Loss) -> Derivation:
    """Derive the implicit margins p_yy' = m w_yy' q_y' and the implicit loss in SymPy, for every L and m.

    Where draws are not independent p_yy' = w_yy' Q(y') and c_y = w_yy Q(y), Q(y') = P(y' ∈ N).  Q_0(y') is P(y' ∈ N)
    by the law that is not conditional on what is drawn again.  With hard negatives w_T 1_T(y') is added,
    where T[y'] stands for 1_T(y'), which is 0 for y.

    Softmax: E ℓ(N) <= log(1 + Σ_{y' ≠ y} p_yy' e^{f_y' - f_y}).
    Decoupled: E ℓ(N) = φ(f_y) + Σ_{y' ≠ y} p_yy' ϕ(-f_y').
    With kept hits, c_y = m w_yy q_y, the softmax bound is log(1 + c_y) + log(1 + Σ_{y' ≠ y} p_yy'/(1 + c_y)
    e^{f_y' - f_y}), and the decoupled mean has the further term c_y ϕ(-f_y).

    Parameters
    ----------
    scheme : Scheme
        The scheme.  The value of its m does not matter.
    loss : Loss
        `losses.SoftmaxCrossEntropy()` or `losses.Decoupled(...)`.

    Returns
    -------
    Derivation
        The margin, the implicit loss, and the lines that lead to them, each checked by SymPy.

    Raises
    ------
    ValueError
        For relative weights and a sampler that never draws the positive, and for a part of the scheme, or a loss, that
        has no symbols.

    References
    ----------
    Rawat et al. 2021, Lemma 1 (Eq. 9), Lemma 2 (Eq. 11) and Table 2; kept hits: derived here.

    Examples
    --------
    >>> import implicitloss as il
    >>> scheme = il.Scheme(il.samplers.WithinBatch(), il.weightings.Constant(), m=64, hits="mask")
    >>> print(il.derive(scheme, il.losses.SoftmaxCrossEntropy()))
    p_yy' = pi[y'] — equalised loss (Tan et al. 2020)

    The other labels of a batch, each counted once, with weights of 1.

    >>> batch = il.Scheme(il.samplers.WithinBatch(), il.weightings.Unit(), m=64, hits="mask", draws="set")
    >>> print(il.derive(batch, il.losses.SoftmaxCrossEntropy()))
    p_yy' = 1 - (1 - pi[y'])**m
    """
    checked_scheme(scheme).check_symbols()
    in_symbols = ("positive_term", "payment", "outer")
    lacks = [name for name in in_symbols if not defines(checked_loss(loss), name, Loss)]
    if lacks:
        raise ValueError(f"a derivation needs the loss in symbols too: {short(loss)} lacks {', '.join(lacks)}")
    law, at_positive = _laws(scheme)
    count = _counts(scheme, law, at_positive, "Q")
    weight = _weight(scheme, law, count)
    is_iid = scheme.draws == "iid"
    pay = loss.payment
    w, q, many = sp.Function("w"), sp.Function("q"), sp.Function("Q")
    sampled = s.sampled_loss
    total = sp.Symbol("S", nonnegative=True)
    phi = loss.positive_term()
    steps: list[Step] = []

    def step(left: sp.Expr, relation: Relation, right: sp.Expr, reason: str, checked: bool) -> None:
        steps.append(Step(left, relation, right, reason, bool(checked)))

    drawn = sp.Sum(w(s.y, s.N[s.i]) * pay(s.N[s.i]), (s.i, 1, s.m))
    if not is_iid:
        drawn = s.over_labels(s.inside[s.k] * w(s.y, s.k) * pay(s.k))
    known, of_known, off = _hard(scheme, loss)
    defined = _is_sampled_loss(drawn, loss) and _is_sum_over_hard(known, scheme, loss)
    step(sampled, "=", phi + loss.outer(known + drawn), "definition of the sampled loss", defined)
    if loss.has_log:
        # Jensen: log(1 + S) is concave for S >= 0.
        curvature = sp.diff(loss.outer(total), total, 2)
        step(
            s.E(sampled),
            "<=",
            phi + loss.outer(known + s.E(drawn)),
            "Jensen: log(1 + S) is concave",
            curvature.is_negative,
        )
        relation: Relation = "<="
    else:
        linear = sp.diff(loss.outer(total), total, 2) == 0
        step(s.E(sampled), "=", phi + loss.outer(known + s.E(drawn)), "expectation is linear", linear)
        relation = "="
    if is_iid:
        one = s.E(w(s.y, s.N[1]) * pay(s.N[1]))
        each = sp.Sum(one, (s.i, 1, s.m))
        step(s.E(drawn), "=", s.m * one, "the m draws are alike", s.vanishes(each.doit() - s.m * one))
        mean = s.m * s.over_labels(q(s.k) * w(s.y, s.k) * pay(s.k))
        step(s.E(drawn), "=", mean, "definition of expectation under q", _is_expectation(mean, one))
    else:
        mean = s.over_labels(many(s.k) * w(s.y, s.k) * pay(s.k))
        step(s.E(drawn), "=", mean, "label y' is in N with probability Q(y')", _is_mean_of_coins(mean, drawn))

    # The sum over all labels splits into c_y for the positive itself and p_yy' for each negative.
    by_draws = s.tidy(weight(s.yp) * count(s.yp))
    margin = of_known + off * by_draws
    ranks = ", labels numbered from the most frequent" if s.ranks(margin) else ""
    kept = sp.Integer(0)
    if scheme.hits == "keep" and at_positive != 0:
        kept = s.tidy(weight(s.y) * count(s.y))
    hit_pays = pay(s.y)
    p, c = sp.Function("p"), sp.Symbol("c_y", nonnegative=True)
    split = c * hit_pays + s.over_negatives(p(s.y, s.yp) * pay(s.yp))
    # q = (p - w_T 1_T)/(m w), and 1_T(y) = 0.
    in_hard = of_known.subs(s.yp, s.k)
    draws_per_q = s.m if is_iid else sp.Integer(1)
    as_p = mean.replace(q if is_iid else many, lambda label: (p(s.y, label) - in_hard) / (draws_per_q * w(s.y, label)))
    apart = s.vanishes((known + as_p - split.subs(c, p(s.y, s.y))).subs(s.hard[s.y], 0))
    by_count = "m w q" if is_iid else "w Q"
    what = f"p = {by_count}" if scheme.hard is None else f"p = w_T 1_T + {by_count}"
    step(known + mean, "=", split, f"{what}, and {_hits_reason(scheme, at_positive)}", apart)
    step(
        p(s.y, s.yp),
        "=",
        margin,
        f"the law and weights of this scheme{_conditional_reason(scheme)}{_hard_reason(scheme)}{ranks}"
        f"{', Q_0 of the law that is not' if margin.has(sp.Function('Q_0')) else ''}",
        s.vanishes(margin - of_known - off * weight(s.yp) * count(s.yp)),
    )
    if kept != 0:
        step(c, "=", kept, "expected weight of a kept hit", s.vanishes(kept - weight(s.y) * count(s.y)))

    negatives = s.over_negatives(margin * pay(s.yp))
    implicit = phi + loss.outer(kept * hit_pays + negatives)
    if loss.has_log and kept != 0:
        effective = of_known / (1 + kept) + off * s.tidy(by_draws / (1 + kept))
        rest = s.over_negatives(effective * pay(s.yp))
        shown = sp.log(1 + kept) + loss.outer(rest)
        # The logarithms agree when (1 + c)(1 + Σ e) = 1 + c + Σ, term by term (1 + c) e = p.
        same = s.vanishes((1 + kept) * effective - margin)
        step(implicit, "=", shown, "log(1 + c + Σ) = log(1 + c) + log(1 + Σ/(1 + c))", same)
        implicit, margin = shown, effective
    step(s.E(sampled), relation, implicit, "the implicit loss", all(previous.checked for previous in steps))
    # Kept hits of a decoupled loss add c_y ϕ(-f_y), which no published loss has.
    name = named(margin, loss) if loss.has_log or kept == 0 else None
    return Derivation(margin, implicit, tuple(steps), name, kept)


def _is_sampled_loss(drawn: sp.Expr, loss: Loss) -> bool:
    """Check the definition in one case: if every label is drawn once and weighs 1, it is the sum over all labels."""
    each_once = drawn.replace(sp.Function("w"), lambda *_: sp.Integer(1)).xreplace({s.N[s.i]: s.i}).subs(s.m, s.L)
    each_once = each_once.xreplace({s.inside[s.k]: sp.Integer(1)})
    return s.vanishes(each_once - s.over_labels(loss.payment(s.k)))


def _hard(scheme: Scheme, loss: Loss) -> tuple[sp.Expr, sp.Expr, sp.Expr]:
    """What hard negatives add to the loss's sum, w_T 1_T(y'), and which draws count: 1, or 1 - 1_T(y')."""
    if scheme.hard is None:
        return sp.Integer(0), sp.Integer(0), sp.Integer(1)
    weight = s.exact(scheme.hard.weight)
    known = s.over_labels(weight * s.hard[s.k] * loss.payment(s.k))
    return known, weight * s.hard[s.yp], sp.Integer(1) - (0 if scheme.hard.overlap == "keep" else s.hard[s.yp])


def _is_sum_over_hard(known: sp.Expr, scheme: Scheme, loss: Loss) -> bool:
    """Check the definition in one case: where every label is in T, it is w_T times the sum over all labels."""
    if scheme.hard is None:
        return bool(known == 0)
    everywhere = known.replace(lambda at: isinstance(at, sp.Indexed) and at.base == s.hard, lambda at: sp.Integer(1))
    return s.vanishes(everywhere - s.exact(scheme.hard.weight) * s.over_labels(loss.payment(s.k)))


def _is_expectation(mean: sp.Expr, one: sp.Expr) -> bool:
    """Whether `mean` is m times SymPy's own expectation, over three labels, of `one`'s argument."""
    law = {at: sp.Function("q")(at) for at in (1, 2, 3)}
    adds = one.args[0]
    value = sp.Function("g")
    expected = stats.E(value(stats.FiniteRV("label", law, check=False)))
    expected = expected.replace(value, lambda at: adds.xreplace({s.N[1]: at}))
    return s.vanishes(mean.subs(s.L, 3).doit() - s.m * expected)


def _is_mean_of_coins(mean: sp.Expr, drawn: sp.Expr) -> bool:
    """Whether `mean` is SymPy's own expectation, over three labels, of coins that say which are in N."""
    coins = {at: stats.Bernoulli(f"In{at}", sp.Function("Q")(at), 1, 0) for at in (1, 2, 3)}
    terms = drawn.subs(s.L, 3).doit()
    # The expectation is linear, whether or not the coins are independent.
    expected = sum(terms.coeff(s.inside[at]) * stats.E(coin) for at, coin in coins.items())
    return s.vanishes(mean.subs(s.L, 3).doit() - expected)


def _counts(
    scheme: Scheme, law: Callable[[sp.Expr], sp.Expr], at_positive: sp.Expr, name: str
) -> Callable[[sp.Expr], sp.Expr]:
    """How often a label is in N in the mean: m q for independent draws, or else P(y' ∈ N)."""
    of, each = sp.Function(name), law(s.yp)
    # A negative's q that is the same for all may still be another than the positive's.
    are_alike = not each.has(s.yp) and (at_positive == 0 or s.are_alike(at_positive, each))

    def count(label: sp.Expr) -> sp.Expr:
        q = law(label)
        return sp.Integer(0) if q == 0 else design(scheme.draws).inclusion(q, s.m, of(label), are_alike)

    return count


def _laws(scheme: Scheme) -> tuple[Callable[[sp.Expr], sp.Expr], sp.Expr]:
    """(law of a negative under the hits mode, law of the positive under it).

    Where draws of hard negatives are drawn again, it is the law off T: q_y'/(1 - q(T)), q(T) = Σ_j 1_T(j) q_j.
    """
    unconditional = scheme.sampler.law
    at_positive, gone = unconditional(s.y), sp.Integer(0)
    if scheme.hard is not None and scheme.hard.overlap == "exclude":
        gone = s.constants_out(s.over_labels(s.hard[s.j] * unconditional(s.j), s.j))
    if scheme.hits == "exclude":
        rest = 1 - at_positive - gone
        return (lambda yp: unconditional(yp) / rest), sp.Integer(0)
    return (lambda yp: unconditional(yp) / (1 - gone)) if gone != 0 else unconditional, at_positive / (1 - gone)


def _weight(
    scheme: Scheme, law: Callable[[sp.Expr], sp.Expr], count: Callable[[sp.Expr], sp.Expr]
) -> Callable[[sp.Expr], sp.Expr]:
    unconditional = scheme.sampler.law
    if scheme.draws != "iid":
        if getattr(scheme.weighting, "count", "expected") == "tf":
            raise ValueError(
                "a derivation has no formula for the expected number of tries, by which Importance(count='tf') divides"
            )
        if complete_weighting(scheme.weighting).reads_inclusion:
            # These weights read how often a label is in N, which for independent draws is m q.
            given = scheme.hits == "exclude" or (scheme.hard is not None and scheme.hard.overlap == "exclude")
            at_all = _counts(scheme, unconditional, unconditional(s.y), "Q_0" if given else "Q")
            law, unconditional = (lambda yp: count(yp) / s.m), (lambda yp: at_all(yp) / s.m)
    if scheme.weighting.weight(law, unconditional, s.yp) == 0:
        raise ValueError(
            f"{short(scheme.weighting)} are undefined for {short(scheme.sampler)}: "
            "it never draws the positive, so q_y = 0"
        )
    return lambda yp: scheme.weighting.weight(law, unconditional, yp)


def _hits_reason(scheme: Scheme, at_positive: sp.Expr) -> str:
    if at_positive == 0:
        return "the positive is never drawn: c_y = 0"
    return {
        "mask": "a hit has weight 0: c_y = 0",
        "exclude": "the positive is never drawn: c_y = 0",
        "keep": "a hit counts c_y = " + ("m w_yy q_y" if scheme.draws == "iid" else "w_yy Q(y)"),
    }[scheme.hits]


def _conditional_reason(scheme: Scheme) -> str:
    return ", q conditional on y' ≠ y" if scheme.hits == "exclude" and scheme.sampler.law(s.y) != 0 else ""


def _hard_reason(scheme: Scheme) -> str:
    if scheme.hard is None:
        return ""
    return {
        "keep": ", a draw in T counts again",
        "mask": ", a draw in T has weight 0",
        "exclude": ", q conditional on y' not in T",
    }[scheme.hard.overlap]


@cache
def published() -> tuple[tuple[sp.Expr, str], ...]:
    """The margins that have a name in the literature, as (p_yy', name)."""
    return tuple((margin.margin(s.yp), margin.published) for margin in margins.examples() if margin.published)


def named(margin: sp.Expr, loss: Loss) -> str | None:
    """The published loss that has exactly this margin, or None.

    Powers of the logit-adjusted and the equalised margin belong to their families.
    """
    if not loss.has_log:
        # Names in the literature are of softmax losses, whose margins a decoupled loss can share.
        if s.are_alike(margin, sp.Integer(1)):
            return f"full {loss.name} loss"
        relative = _named(margin)
        return relative and f"margins of the {relative}"
    return _named(margin)


def _named(margin: sp.Expr) -> str | None:
    for expression, name in published():
        if s.are_alike(margin, expression):
            return name
    ratio, own = sp.Wild("a", exclude=[s.y, s.yp]), sp.Wild("b", exclude=[s.y, s.yp])
    match = margin.match(s.pi[s.yp] ** ratio * s.pi[s.y] ** own)
    if match and match[ratio].is_positive:
        if match[ratio] == -match[own]:
            return f"logit-adjusted loss, τ = {match[ratio]} (Menon et al. 2021)"
        if match[own] == 0:
            return f"equalised loss, F(π) = π**{match[ratio]} (Tan et al. 2020)"
    return None
