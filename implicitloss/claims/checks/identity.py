"""Two expressions are equal in the symbols."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import sympy as sp

from implicitloss import symbols as s
from implicitloss.claims.case import Setting
from implicitloss.claims.checks.check import Result
from implicitloss.claims.verdict import Evidence, Outcome

Pairs = Callable[[], Iterable[tuple[str, sp.Expr, sp.Expr]]]


@dataclass(frozen=True)
class Identity:
    """left = right in the symbols, for each (label, left, right) of `pairs`.

    Proved where SymPy shows the difference to vanish; refuted by a numeric counterexample at 50 digits; inconclusive
    where SymPy can do neither, never refuted for lack of a proof.
    """

    pairs: Pairs
    near_misses: Mapping[str, Pairs]
    method: str = "SymPy, for every L and m"
    uses_prior: bool = False
    # Whether the identity is all that the statement says; a step of it makes no proof of the whole.
    whole: bool = True

    def comparisons(self, setting: Setting) -> int:
        return 0

    def run(self, setting: Setting, delta: float) -> Result:
        misses = {statement: self._judge(pairs) for statement, pairs in self.near_misses.items()}
        return Result(self._judge(self.pairs), misses, self.whole)

    def _judge(self, pairs: Pairs) -> Evidence:
        start = time.perf_counter()
        undecided, last, count = None, None, 0
        for label, left, right in pairs():
            count += 1
            last = (label, left, right)
            if s.vanishes(left - right):
                continue
            witness = counterexample(left - right)
            if witness is not None:
                return self._evidence(Outcome.REFUTED, count, last, start, f"differ by {witness:.3g} at a random point")
            undecided = last
        if undecided is not None:
            return self._evidence(Outcome.INCONCLUSIVE, count, undecided, start, "neither proof nor counterexample")
        return self._evidence(Outcome.PROVED, count, last, start, "")

    def _evidence(
        self, outcome: Outcome, count: int, pair: tuple[str, sp.Expr, sp.Expr] | None, start: float, note: str
    ) -> Evidence:
        assert pair is not None, "an identity needs at least one pair"
        label, left, right = pair
        return Evidence(
            self.method,
            outcome,
            count,
            case=label,
            observed=s.text(left),
            expected=s.text(right),
            note=note,
            seconds=time.perf_counter() - start,
        )


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
