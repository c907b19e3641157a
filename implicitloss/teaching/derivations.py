"""What SymPy derives for each choice of sampler, weights and hits, with λ, α and τ as symbols, in LaTeX."""

from __future__ import annotations

from functools import cache
from typing import Any

import sympy as sp

from implicitloss import symbols as s
from implicitloss.losses import SoftmaxCrossEntropy
from implicitloss.margins import LogitAdjusted
from implicitloss.samplers import LogUniform, Mixture, ModelBased, Power, Sampler, Uniform, WithinBatch
from implicitloss.scheme import HITS, Scheme
from implicitloss.teaching.choices import weightings_with
from implicitloss.witness.derive import derive

__all__ = ["derivations"]


class _AnyShare(Mixture):
    """λπ + (1-λ)/L for every λ."""

    def law(self, yp: sp.Expr) -> sp.Expr:
        return s.share * self.first.law(yp) + (1 - s.share) * self.second.law(yp)


class _AnyPower(Power):
    """π^α for every α."""

    def law(self, yp: sp.Expr) -> sp.Expr:
        return s.pi[yp] ** s.alpha / s.over_labels(s.pi[s.k] ** s.alpha)


class _AnyTau(LogitAdjusted):
    """(π_y'/π_y)^τ for every τ."""

    def margin(self, yp: sp.Expr) -> sp.Expr:
        return (s.pi[yp] / s.pi[s.y]) ** s.tau


SAMPLERS: dict[str, Sampler] = {
    "uniform": Uniform(),
    "within-batch": WithinBatch(),
    "mixture": _AnyShare(),
    "power": _AnyPower(),
    "log-uniform": LogUniform(),
    "model": ModelBased(),
}
WEIGHTINGS = weightings_with(_AnyTau())


@cache
def derivations() -> dict[str, Any]:
    """`lines` [left, relation, right, reason], each once, and `of` "sampler weighting hits": its margin and lines.

    Ninety derivations take seconds, so they are made once a process.
    """
    lines: dict[tuple[str, ...], int] = {}
    found = {}
    for q, sampler in SAMPLERS.items():
        for w, weighting in WEIGHTINGS.items():
            for hits in HITS:
                # m stays a symbol: the number given here is not looked at.
                derivation = derive(Scheme(sampler, weighting, m=1, hits=hits), SoftmaxCrossEntropy())
                steps = [
                    lines.setdefault((s.latex(step.left), step.relation, s.latex(step.right), step.reason), len(lines))
                    for step in derivation.steps
                ]
                left = "p_{y y'}" if derivation.kept == 0 else r"\frac{p_{y y'}}{1 + c_y}"
                found[f"{q} {w} {hits}"] = {"margin": f"{left} = {s.latex(derivation.margin)}", "steps": steps}
    return {"lines": list(lines), "of": found}
