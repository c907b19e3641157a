"""Two numbers with error bounds are equal, or ordered."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from implicitloss.claims.case import Setting
from implicitloss.claims.checks.check import CheckResult
from implicitloss.claims.checks.numbers import Cases, Number, Numbers, coincide, entry_of, with_error
from implicitloss.claims.checks.worst import Worst
from implicitloss.claims.verdict import Evidence, Outcome, Relation
from implicitloss.labels import Floats

__all__ = ["Exact"]


@dataclass(frozen=True)
class Exact:
    """observed(case) `relation` claimed(case), each with its error bound, in every case.

    Equality is exact where the difference is within the two errors *and* these are below `resolution` times the
    larger value (or below `floor`, for numbers that may be 0); otherwise a difference that matters could hide in
    them: inconclusive.  A near miss claims another value of the same observed number, or, given as ("<=", claimed),
    another relation.
    """

    method: str
    cases: Cases
    observed: Callable[[Any], Number]
    claimed: Callable[[Any], Number]
    near_misses: Mapping[str, Callable[[Any], Number] | tuple[Relation, Callable[[Any], Number]]]
    detail: str = ""
    relation: Relation = "="
    resolution: float = 1e-8
    floor: Callable[[Any], float] | float = 0.0
    uses_prior: bool = True

    def comparisons(self, setting: Setting) -> int:
        return 0

    def run(self, setting: Setting, delta: float) -> CheckResult:
        start = time.perf_counter()
        cases = list(self.cases(setting))
        observed = [with_error(self.observed(case)) for case in cases]
        floors = [self.floor(case) if callable(self.floor) else self.floor for case in cases]
        stated = Numbers(self.claimed, cases)
        evidence = self._judge(cases, observed, stated, floors, self.relation, start)
        misses = {}
        for statement, miss in self.near_misses.items():
            start = time.perf_counter()
            relation, number = miss if isinstance(miss, tuple) else (self.relation, miss)
            claimed = Numbers(number, cases)
            if relation == self.relation and coincide(claimed, stated, floors):
                continue
            misses[statement] = self._judge(cases, observed, claimed, floors, relation, start)
        return CheckResult(evidence, misses)

    def _judge(
        self,
        cases: Sequence[Any],
        observed: Sequence[tuple[Floats, Floats]],
        claimed: Numbers,
        floors: Sequence[float],
        relation: Relation,
        start: float,
    ) -> Evidence:
        worst = Worst()
        for i, (case, (value, error), floor) in enumerate(zip(cases, observed, floors, strict=True)):
            target, target_error = claimed[i]
            judged, strain, at = _compare(value, error, target, target_error, relation, self.resolution, floor)
            entries = max(value.size, target.size)
            evidence = Evidence(
                self.method,
                judged,
                len(cases),
                self.detail,
                case=str(case),
                observed=entry_of(value, at),
                relation=relation,
                expected=entry_of(target, at),
                entry=at if entries > 1 else None,
                entries=entries if entries > 1 else None,
                tolerance=entry_of(error + target_error, at),
                resolution=self.resolution,
            )
            # Of the cases that fail the first is shown.
            worst.see(evidence, strain if judged is Outcome.EXACT else 0.0)
        return replace(worst.kept(self.method, self.detail), seconds=time.perf_counter() - start)


def _compare(
    value: Floats,
    error: Floats,
    target: Floats,
    target_error: Floats,
    relation: Relation,
    resolution: float,
    floor: float,
) -> tuple[Outcome, float, int]:
    """(outcome, how near to failing, which entry decided)."""
    value, target, tolerance = np.broadcast_arrays(value, target, error + target_error)
    unknown = np.flatnonzero(~np.isfinite(np.ravel(value + target + tolerance)))
    if unknown.size:
        return Outcome.INCONCLUSIVE, 0.0, int(unknown[0])
    difference = value - target
    if relation == "=":
        strain = np.abs(difference) / np.maximum(tolerance, 1e-300)
        at = int(np.argmax(strain))
        if strain.flat[at] > 1:
            return Outcome.REFUTED, float(strain.flat[at]), at
        seen = np.maximum(np.maximum(np.abs(value), np.abs(target)) * resolution, floor)
        coarse = np.flatnonzero(np.ravel(tolerance > seen))
        if coarse.size:
            return Outcome.INCONCLUSIVE, float(strain.flat[at]), int(coarse[0])
        return Outcome.EXACT, float(strain.flat[at]), at
    # Ordered: positive slack is on the right side.
    slack = {"<=": -difference, "<": -difference, ">": difference}[relation]
    at = int(np.argmin(slack / np.maximum(tolerance, 1e-300)))
    lack = -float(slack.flat[at] / max(tolerance.flat[at], 1e-300))
    if slack.flat[at] < -tolerance.flat[at]:
        return Outcome.REFUTED, lack, at
    if relation != "<=" and slack.flat[at] <= tolerance.flat[at]:
        return Outcome.INCONCLUSIVE, 0.0, at
    return Outcome.EXACT, max(lack, -1e299), at
