"""Two expressions are equal in the symbols."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import sympy as sp

from implicitloss import symbols as s
from implicitloss.claims.case import Setting
from implicitloss.claims.checks.check import CheckResult
from implicitloss.claims.checks.worst import Worst
from implicitloss.claims.verdict import Evidence, Outcome

__all__ = ["Identity", "counterexample"]

Pairs = Callable[[], Iterable[tuple[str, sp.Expr, sp.Expr]]]


@dataclass(frozen=True)
class Identity:
    """left = right in the symbols, for each (label, left, right) of `pairs`.

    Proved where SymPy shows the difference to vanish; refuted by a numeric counterexample at 50 digits; inconclusive
    where SymPy can do neither, never refuted for lack of a proof.
    """

    pairs: Pairs
    near_misses: Mapping[str, Pairs]
    method: str = "SymPy"
    detail: str = "for every L and m"
    uses_prior: bool = False
    # Whether the identity is all that the statement says; a step of it makes no proof of the whole.
    whole: bool = True

    def comparisons(self, setting: Setting) -> int:
        return 0

    def run(self, setting: Setting, delta: float) -> CheckResult:
        misses = {statement: self._judge(pairs, expected=False) for statement, pairs in self.near_misses.items()}
        return CheckResult(self._judge(self.pairs), misses, self.whole)

    def _judge(self, pairs: Pairs, expected: bool = True) -> Evidence:
        start, worst, count, kept = time.perf_counter(), Worst(), 0, (sp.S.Zero, sp.S.Zero)
        for label, left, right in pairs():
            count += 1
            outcome, note = _decided(left - right, expected)
            evidence = Evidence(
                self.method,
                outcome,
                1,
                self.detail,
                case=label,
                observed=s.text(left),
                expected=s.text(right),
                note=note,
            )
            if worst.see(evidence, count):  # the last of several
                kept = left, right
            if outcome is Outcome.REFUTED:
                break
        assert count, "an identity needs at least one pair"
        evidence, latex = worst.kept(self.method, self.detail), (s.latex(kept[0]), s.latex(kept[1]))
        return replace(evidence, n_cases=count, latex=latex, seconds=time.perf_counter() - start)


def _decided(difference: sp.Expr, expected: bool) -> tuple[Outcome, str]:
    """Whether the difference is 0, as may be `expected`, and why not.

    What is expected is tried first: a counterexample is found at once where there is one, and a proof that fails takes
    long.
    """
    witness = None if expected else counterexample(difference)
    if witness is None and s.vanishes(difference):
        return Outcome.PROVED, ""
    if witness is None and expected:
        witness = counterexample(difference)
    if witness is None:
        return Outcome.INCONCLUSIVE, "neither proof nor counterexample"
    return Outcome.REFUTED, f"differ by {witness:.3g} at a random point"


def counterexample(difference: sp.Expr, tries: int = 5) -> float | None:
    """The value of `difference` at a random point with three labels, where it is not 0; None if none was found."""
    generator = np.random.default_rng(0)

    def positive() -> sp.Rational:
        return sp.Rational(int(generator.integers(10, 200)), 100)

    for _ in range(tries):
        # Labels first, so that sums become terms; then every unknown gets a value of its own.
        at = sp.sympify(difference).subs({s.L: 3, s.y: 2, s.yp: 1, s.m: int(generator.integers(2, 6))}).doit()
        for kind in (sp.Indexed, sp.core.function.AppliedUndef):
            at = at.xreplace({atom: positive() for atom in sorted(at.atoms(kind), key=str)})
        at = at.xreplace({symbol: positive() for symbol in sorted(at.free_symbols, key=str)})
        value = sp.N(at, 50)
        if value.is_number and value.is_comparable and abs(value) > sp.Float("1e-30"):
            return float(value)
    return None
