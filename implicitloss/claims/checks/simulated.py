"""A simulation agrees with a claimed value, with both error rates bounded."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from implicitloss.claims.case import Case, Setting
from implicitloss.claims.checks.check import CheckResult
from implicitloss.claims.checks.numbers import Number, Numbers, coincide, entry_of
from implicitloss.claims.checks.worst import Worst
from implicitloss.claims.verdict import Evidence, Outcome
from implicitloss.estimate import Estimate, Quantity
from implicitloss.labels import Floats
from implicitloss.numerics.bounds import half_width, runs_needed
from implicitloss.witness.integrate import integrate
from implicitloss.witness.simulate import simulate_together

__all__ = ["Simulated"]

# Attempts share a comparison's error; each is planned anew from the last one's variance.
ATTEMPTS = 3
PILOT_RUNS, LEAST_PILOT_RUNS = 4_000, 32
# Labels drawn for one case at most.  On a long tail the terms' known range alone can ask for more than that; such cases
# are out of reach, and said to be: they are left to the exact witnesses.
BUDGET_DRAWS = 4_000_000
# The rounding error of a simulated loss is at most so many times that of a float of its size.
ROUNDINGS = 16
BUDGET_DRAWS_FULL = 40_000_000


@dataclass(frozen=True)
class Simulated:
    """The simulated `quantity` of each case equals claimed(case), with empirical-Bernstein bounds.

    Refuted where |observed - claimed| exceeds the half-width, which happens to a true claim with probability at most
    δ; the half-width allows for the rounding of the terms too.  Supported where it does not *and* twice the half-width
    is at most `resolution(case)`: a truth that far off would have been refuted with probability at least 1 - δ.
    Otherwise inconclusive.  Runs are planned for that from a pilot with draws of its own; cases that share sampler, m,
    hits, T and problem share their draws.  A case whose pilot exceeds the budget is left out and counted in the note.
    A case still too wide after the last attempt is inconclusive.

    Gradients are compared entry by entry.  A near miss claims another value of the same simulated number.
    """

    cases: Callable[[Setting], Sequence[Case]]
    claimed: Callable[[Case], Number]
    resolution: Callable[[Case], float]
    near_misses: Mapping[str, Callable[[Case], Number]]
    quantity: Quantity = "mean"
    reference: Callable[[Case], float] | None = None
    method: str = "simulation"
    detail: str = "empirical-Bernstein bounds"
    uses_prior: bool = True
    budget: int = BUDGET_DRAWS

    def comparisons(self, setting: Setting) -> int:
        per_case = setting.prior.n_labels if self.quantity == "gradient" else 1
        return len(self.cases(setting)) * per_case

    def run(self, setting: Setting, delta: float) -> CheckResult:
        start = time.perf_counter()
        cases = list(self.cases(setting))
        resolutions = [self.resolution(case) for case in cases]
        estimates: list[Estimate | None] = [None] * len(cases)
        draws = 0
        for g, group in enumerate(_streams(cases)):
            found, used = self._simulate(
                setting.child(f"stream{g}"), [cases[i] for i in group], [resolutions[i] for i in group], delta
            )
            draws += used
            for i, estimate in zip(group, found, strict=True):
                estimates[i] = estimate
        reached = [
            _Reached(case, estimate, resolution, _widths(estimate, delta), self._rounding(case, estimate))
            for case, estimate, resolution in zip(cases, estimates, resolutions, strict=True)
            if estimate is not None
        ]
        judge = _Judge(self, reached, len(estimates) - len(reached), self._budget(setting), draws)
        stated = judge.numbers(self.claimed)
        evidence = replace(judge(stated), seconds=time.perf_counter() - start)
        # What differs by less than the resolution, or the rounding, need not be seen.
        unseen = [max(0.99 * found.resolution, found.rounding) for found in reached]
        misses = {statement: judge.numbers(claimed) for statement, claimed in self.near_misses.items()}
        return CheckResult(
            evidence,
            {statement: judge(miss) for statement, miss in misses.items() if not coincide(miss, stated, unseen)},
        )

    def _simulate(
        self, setting: Setting, cases: Sequence[Case], resolutions: Sequence[float], delta: float
    ) -> tuple[list[Estimate | None], int]:
        """Estimates that reach their resolution where the budget allows it; and the draws that they cost."""
        budget = self._budget(setting)
        m = cases[0].scheme.m
        pilot = min(PILOT_RUNS, budget // m)
        if pilot < LEAST_PILOT_RUNS:
            return [None] * len(cases), 0

        def runs(indices: Sequence[int], n: int, key: int) -> list[Estimate]:
            references = None if self.reference is None else [self.reference(cases[i]) for i in indices]
            return simulate_together(
                cases[0].scheme,
                [(cases[i].scheme, cases[i].loss) for i in indices],
                cases[0].problem,
                self.quantity,
                runs=n,
                rng=setting.rng(key),
                references=references,
                threads=setting.threads,
            )

        latest: list[Estimate] = runs(list(range(len(cases))), pilot, 0)
        done: list[Estimate | None] = [None] * len(cases)
        draws = pilot * m
        open_cases = list(range(len(cases)))
        for attempt in range(1, ATTEMPTS + 1):
            # The pilot decides what is in reach; a case that is, and turns out to need more, gets it.
            within = budget if attempt == 1 else 16 * budget
            plan = {i: self._needed(latest[i], resolutions[i], delta) for i in open_cases}
            open_cases = []
            # Cases of like need are run together, so that one hungry case does not cost all of them.
            for bucket in _buckets({i: n for i, n in plan.items() if n * m <= within}):
                n = int(max(plan[i] for i in bucket))
                found = runs(bucket, n, attempt * 100_000 + bucket[0])
                draws += n * m
                for i, estimate in zip(bucket, found, strict=True):
                    latest[i] = done[i] = estimate
                    if 2 * np.max(_widths(estimate, delta)) > resolutions[i]:
                        open_cases.append(i)
            if not open_cases:
                break
        return done, draws

    def _budget(self, setting: Setting) -> int:
        return max(BUDGET_DRAWS_FULL, self.budget) if setting.full else self.budget

    def _rounding(self, case: Case, estimate: Estimate) -> float:
        """What rounding may add to a simulated value: of the losses, or of the squares of their differences."""
        low, high = float(np.min(np.asarray(estimate.low))), float(np.max(np.asarray(estimate.high)))
        if self.quantity not in ("variance", "mse"):
            return ROUNDINGS * float(np.finfo(np.float64).eps) * max(abs(low), abs(high))
        level = abs(float(integrate(case.scheme, case.loss, case.problem)))
        of_loss = ROUNDINGS * float(np.finfo(np.float64).eps) * (level + math.sqrt(2 * high))
        return 2 * math.sqrt(float(estimate.value)) * of_loss + of_loss**2

    def _needed(self, estimate: Estimate, resolution: float, delta: float) -> float:
        """Runs that reach the resolution if the variance is what it seems, or a third more."""
        if not resolution > 0:
            return math.inf
        terms = max(
            runs_needed(4 / 3 * variance, span, resolution / 2, delta / ATTEMPTS) for variance, span in _terms(estimate)
        )
        return 2 * terms if self.quantity in ("variance", "gradient_variance") else terms


def _streams(cases: Sequence[Case]) -> list[list[int]]:
    groups: dict[Any, list[int]] = {}
    for i, case in enumerate(cases):
        key = (case.scheme.sampler, case.scheme.m, case.scheme.hits, case.scheme.hard, id(case.problem))
        groups.setdefault(key, []).append(i)
    return list(groups.values())


def _buckets(plan: Mapping[int, float]) -> list[list[int]]:
    buckets: dict[int, list[int]] = {}
    for i, n in plan.items():
        buckets.setdefault(round(math.log(n, 8)), []).append(i)
    return list(buckets.values())


def _terms(estimate: Estimate) -> list[tuple[float, float]]:
    """(sample variance, length of the range) of each entry of a simulated estimate."""
    assert estimate.variance is not None
    assert estimate.low is not None
    assert estimate.high is not None
    spans = np.subtract(estimate.high, estimate.low)
    return list(zip(np.ravel(estimate.variance).tolist(), np.ravel(spans).tolist(), strict=True))


def _widths(estimate: Estimate, delta: float) -> Floats:
    """Half-widths that hold for whichever attempt is the last one."""
    assert estimate.n is not None
    return np.array([half_width(variance, span, estimate.n, delta / ATTEMPTS) for variance, span in _terms(estimate)])


@dataclass(frozen=True)
class _Reached:
    """A case that was simulated, with the half-widths of its entries, and what rounding adds to each."""

    case: Case
    estimate: Estimate
    resolution: float
    of_terms: Floats
    rounding: float

    @property
    def widths(self) -> Floats:
        return self.of_terms + self.rounding


@dataclass(frozen=True)
class _Judge:
    check: Simulated
    reached: Sequence[_Reached]
    left_out: int
    budget: int
    draws: int

    def numbers(self, claimed: Callable[[Case], Number]) -> Numbers:
        return Numbers(claimed, [found.case for found in self.reached])

    def __call__(self, claimed: Numbers) -> Evidence:
        worst = Worst()
        too_wide = 0
        for i, found in enumerate(self.reached):
            case, estimate, resolution, widths = found.case, found.estimate, found.resolution, found.widths
            target, target_error = claimed[i]
            allowed = np.maximum(widths + np.atleast_1d(target_error), 1e-200)
            with np.errstate(invalid="ignore"):  # a claim of inf
                strains = np.abs(np.atleast_1d(estimate.value - target)) / allowed
            at = int(np.argmax(strains))
            observed = np.asarray(estimate.value)
            outcome = Outcome.INCONCLUSIVE
            if np.all(np.isfinite(strains)):
                if strains[at] > 1:
                    outcome = Outcome.REFUTED
                elif 2 * widths.max() <= resolution:
                    outcome = Outcome.SUPPORTED
                else:
                    too_wide += 1
            evidence = Evidence(
                self.check.method,
                outcome,
                len(self.reached),
                self.check.detail,
                case=str(case),
                observed=entry_of(observed, at),
                expected=entry_of(target, at),
                entry=at if observed.size > 1 else None,
                entries=observed.size if observed.size > 1 else None,
                tolerance=float(widths[at]),
                standard_error=entry_of(np.asarray(estimate.error), at),
                resolution=resolution,
                draws=self.draws,
                runs=estimate.n,
            )
            worst.see(evidence, float(np.nan_to_num(strains[at])))
        notes = []
        if self.left_out:
            notes.append(f"{_cases_are(self.left_out)} out of reach of {self.budget:,} draws")
        if too_wide:
            notes.append(f"{_cases_are(too_wide)} known too coarsely after {ATTEMPTS} attempts")
        kept = worst.kept(self.check.method, self.check.detail)
        return replace(kept, note="; ".join(notes) or kept.note)


def _cases_are(n: int) -> str:
    return f"{n} {'case is' if n == 1 else 'cases are'}"
