"""Checks: ways to settle a claim.  Each runs its near misses through the very same comparison, on the same numbers.

- `Identity`: two expressions are equal in the symbols.
- `Exact`: two numbers with error bounds are equal, or ordered.
- `Sampled`: a simulation agrees with a claimed value, with both error rates bounded.
- `Averages`: bounded terms of any procedure have a claimed mean.
- `Frequencies`: drawn labels follow a claimed law.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

import numpy as np
import sympy as sp

from implicitloss import symbols as s
from implicitloss.bounds import (
    cdf_half_width,
    count_is_unlikely,
    deviation_half_width,
    deviation_mean,
    half_width,
    runs_needed,
    total_variation_seen,
)
from implicitloss.estimate import Estimate, Quantity
from implicitloss.labels import Floats, LabelPrior
from implicitloss.losses import Loss
from implicitloss.problem import Problem
from implicitloss.samplers.sampler import Sampler, checked_draws
from implicitloss.scheme import Scheme
from implicitloss.verdict import Evidence, Outcome
from implicitloss.witness.simulate import simulate_together


@dataclass(frozen=True)
class Setting:
    """What a run is about: the prior and where it is from, the seed, and how much work may be done."""

    prior: LabelPrior
    origin: str
    seed: int = 0
    full: bool = False
    threads: int | None = None
    # Whether every near miss has to fall; on a prior or a scheme of one's own some are true, and then say nothing.
    strict: bool = True
    path: str = ""

    def child(self, name: str) -> Setting:
        """The same setting for the check `name`, whose random numbers are its own."""
        return replace(self, path=f"{self.path}/{name}")

    def rng(self, *keys: int) -> np.random.SeedSequence:
        """A seed from the run's seed, the check's name and `keys`: adding a check moves no other check's draws."""
        digest = int.from_bytes(hashlib.sha256(self.path.encode()).digest()[:8], "little")
        return np.random.SeedSequence([self.seed, digest, *keys])


@dataclass(frozen=True)
class Result:
    """The evidence on the claim and on each near miss."""

    evidence: Evidence
    near_misses: Mapping[str, Evidence]
    whole: bool = True


class Check(Protocol):
    """One witness (or pair of witnesses) to a claim."""

    @property
    def method(self) -> str:
        """How it settles the claim."""
        ...

    @property
    def near_misses(self) -> Mapping[str, Any]:
        """False neighbours by statement."""
        ...

    @property
    def uses_prior(self) -> bool:
        """Whether the result depends on the label prior of the run."""
        ...

    def comparisons(self, setting: Setting) -> int:
        """How many random comparisons it makes."""
        ...

    def run(self, setting: Setting, delta: float) -> Result:
        """Settle it, each random comparison wrong with probability at most `delta`."""
        ...


@dataclass(frozen=True)
class Case:
    """A scheme at a problem under a loss: where a claim is tried."""

    scheme: Scheme
    loss: Loss
    problem: Problem
    where: str = ""

    def __str__(self) -> str:
        where = f", {self.where}" if self.where else ""
        prior, y = self.problem.prior, self.problem.positive
        return f"{self.scheme}, {self.loss.name}{where}, y={prior.name(y)} of {prior.n_labels}"


# --- symbolic ---------------------------------------------------------------------------------------------------

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


# --- exact ------------------------------------------------------------------------------------------------------

Number = float | Floats | Estimate
Cases = Callable[[Setting], Sequence[Any]]


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
    relation: Relation = "="
    resolution: float = 1e-8
    floor: Callable[[Any], float] | float = 0.0
    uses_prior: bool = True

    def comparisons(self, setting: Setting) -> int:
        return 0

    def run(self, setting: Setting, delta: float) -> Result:
        start = time.perf_counter()
        cases = list(self.cases(setting))
        observed = [_with_error(self.observed(case)) for case in cases]
        evidence = self._judge(cases, observed, self.claimed, self.relation, start)
        misses = {}
        for statement, miss in self.near_misses.items():
            relation, claimed = miss if isinstance(miss, tuple) else (self.relation, miss)
            if relation == self.relation and _coincide(cases, claimed, self.claimed, self._floor):
                continue
            misses[statement] = self._judge(cases, observed, claimed, relation, time.perf_counter())
        return Result(evidence, misses)

    def _floor(self, case: Any) -> float:
        return self.floor(case) if callable(self.floor) else self.floor

    def _judge(
        self,
        cases: Sequence[Any],
        observed: Sequence[tuple[Floats, Floats]],
        claimed: Callable[[Any], Number],
        relation: Relation,
        start: float,
    ) -> Evidence:
        worst: tuple[float, Evidence] | None = None
        outcome = Outcome.EXACT
        for case, (value, error) in zip(cases, observed, strict=True):
            target, target_error = _with_error(claimed(case))
            judged, strain, at = _compare(
                value, error, target, target_error, relation, self.resolution, self._floor(case)
            )
            tolerance = float(np.ravel(error + target_error)[min(at, np.size(error + target_error) - 1)])
            evidence = Evidence(
                self.method,
                judged,
                len(cases),
                case=str(case),
                observed=_show(value, at),
                expected=f"{relation} {_show(target, at)}" if relation != "=" else _show(target, at),
                tolerance=tolerance,
                resolution=self.resolution,
            )
            rank = {Outcome.EXACT: 0.0, Outcome.INCONCLUSIVE: 1e300, Outcome.REFUTED: 1e301}[judged]
            if worst is None or rank + strain > worst[0]:
                worst = (min(rank + strain, 1e308), evidence)
            if rank > {Outcome.EXACT: 0.0, Outcome.INCONCLUSIVE: 1e300, Outcome.REFUTED: 1e301}[outcome]:
                outcome = judged
        if worst is None:
            return Evidence(self.method, Outcome.INCONCLUSIVE, 0, note="no case")
        return replace(worst[1], outcome=outcome, seconds=time.perf_counter() - start)


Relation = Literal["=", "<=", "<", ">"]


def _coincide(
    cases: Sequence[Any],
    miss: Callable[[Any], Number],
    claimed: Callable[[Any], Number],
    within: Callable[[Any], float],
) -> bool:
    """Whether a near miss says what the claim says in every case here (m = 1 and a lost m), and so is not false.

    `within` is the difference that a check is not made to see in a case.
    """
    return all(
        np.allclose(_with_error(miss(case))[0], _with_error(claimed(case))[0], rtol=1e-12, atol=within(case))
        for case in cases
    )


def _with_error(number: Number) -> tuple[Floats, Floats]:
    if isinstance(number, Estimate):
        return np.asarray(number.value, dtype=np.float64), np.asarray(number.error, dtype=np.float64)
    value = np.asarray(number, dtype=np.float64)
    return value, np.abs(value) * 4 * np.finfo(np.float64).eps


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


def _show(value: Floats, at: int) -> str:
    entry = float(np.ravel(value)[min(at, value.size - 1)])
    return f"{entry:.15g}" if value.size == 1 else f"{entry:.15g} (entry {at} of {value.size})"


# --- stochastic -------------------------------------------------------------------------------------------------

# Attempts share a comparison's error; each is planned anew from the last one's variance.
ATTEMPTS = 3
PILOT_RUNS, LEAST_PILOT_RUNS = 4_000, 32
# Labels drawn for one case at most.  On a long tail the terms' known range alone can ask for more than that; such cases
# are out of reach, and said to be: they are left to the exact witnesses.
BUDGET_DRAWS = 4_000_000
BUDGET_DRAWS_FULL = 40_000_000


@dataclass(frozen=True)
class Sampled:
    """The simulated `quantity` of each case equals claimed(case), with empirical-Bernstein bounds.

    Refuted where |observed - claimed| exceeds the half-width, which happens to a true claim with probability at most
    δ.  Supported where it does not *and* twice the half-width is at most `resolution(case)`: a truth that far off
    would have been refuted with probability at least 1 - δ.  Otherwise inconclusive.  Runs are planned for that from
    a pilot with draws of its own; cases that share sampler, m, hits and problem share their draws.  A case that the
    pilot shows to exceed the budget is left out beforehand, and the evidence says how many were; one that turns out so
    only later, and is still too wide after the last attempt, is inconclusive.

    Gradients are compared entry by entry.  A near miss claims another value of the same simulated number.
    """

    cases: Callable[[Setting], Sequence[Case]]
    claimed: Callable[[Case], Number]
    resolution: Callable[[Case], float]
    near_misses: Mapping[str, Callable[[Case], Number]]
    quantity: Quantity = "mean"
    reference: Callable[[Case], float] | None = None
    method: str = "simulation, empirical-Bernstein bounds"
    uses_prior: bool = True
    budget: int = BUDGET_DRAWS

    def comparisons(self, setting: Setting) -> int:
        per_case = setting.prior.n_labels if self.quantity == "gradient" else 1
        return len(self.cases(setting)) * per_case

    def run(self, setting: Setting, delta: float) -> Result:
        start = time.perf_counter()
        cases = list(self.cases(setting))
        estimates: list[Estimate | None] = [None] * len(cases)
        draws = 0
        for g, group in enumerate(_streams(cases)):
            resolutions = [self.resolution(cases[i]) for i in group]
            found, used = self._simulate(setting.child(f"stream{g}"), [cases[i] for i in group], resolutions, delta)
            draws += used
            for i, estimate in zip(group, found, strict=True):
                estimates[i] = estimate
        reached = [(case, estimate) for case, estimate in zip(cases, estimates, strict=True) if estimate is not None]
        cases = [case for case, _ in reached]
        judge = _SampledJudge(self, reached, len(estimates) - len(reached), self._budget(setting), delta, draws)
        evidence = replace(judge(self.claimed), seconds=time.perf_counter() - start)
        misses = {
            statement: judge(claimed)
            for statement, claimed in self.near_misses.items()
            if not _coincide(cases, claimed, self.claimed, lambda case: 0.99 * self.resolution(case))
        }
        return Result(evidence, misses)

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

    def _needed(self, estimate: Estimate, resolution: float, delta: float) -> float:
        """Runs that reach the resolution if the variance is what it seems, or a third more."""
        if not resolution > 0:
            return math.inf
        terms = max(
            runs_needed(4 / 3 * variance, span, resolution / 2, delta / ATTEMPTS) for variance, span in _terms(estimate)
        )
        return 2 * terms if self.quantity == "variance" else terms


def _streams(cases: Sequence[Case]) -> list[list[int]]:
    groups: dict[Any, list[int]] = {}
    for i, case in enumerate(cases):
        key = (case.scheme.sampler, case.scheme.m, case.scheme.hits, id(case.problem))
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
class _SampledJudge:
    check: Sampled
    reached: Sequence[tuple[Case, Estimate]]
    left_out: int
    budget: int
    delta: float
    draws: int

    def __call__(self, claimed: Callable[[Case], Number]) -> Evidence:
        worst: tuple[tuple[int, float], Evidence] | None = None
        ranks = (Outcome.SUPPORTED, Outcome.INCONCLUSIVE, Outcome.REFUTED)
        too_wide = 0
        for case, estimate in self.reached:
            target, target_error = _with_error(claimed(case))
            widths = _widths(estimate, self.delta)
            allowed = np.maximum(widths + np.atleast_1d(target_error), 1e-200)
            with np.errstate(invalid="ignore"):  # a claim of inf
                strains = np.abs(np.atleast_1d(estimate.value - target)) / allowed
            at = int(np.argmax(strains))
            resolution = self.check.resolution(case)
            outcome = Outcome.INCONCLUSIVE
            if np.all(np.isfinite(strains)):
                if strains[at] > 1:
                    outcome = Outcome.REFUTED
                elif 2 * widths.max() <= resolution:
                    outcome = Outcome.SUPPORTED
                else:
                    too_wide += 1
            score = (ranks.index(outcome), float(np.nan_to_num(strains[at])))
            if worst is None or score > worst[0]:
                evidence = Evidence(
                    self.check.method,
                    outcome,
                    len(self.reached),
                    case=str(case),
                    observed=_show(np.asarray(estimate.value), at),
                    expected=_show(target, at),
                    tolerance=float(widths[at]),
                    resolution=resolution,
                    draws=self.draws,
                    runs=estimate.n,
                )
                worst = (score, evidence)
        notes = []
        if self.left_out:
            notes.append(f"{_cases_are(self.left_out)} out of reach of {self.budget:,} draws")
        if too_wide:
            notes.append(f"{_cases_are(too_wide)} known too coarsely after {ATTEMPTS} attempts")
        note = "; ".join(notes)
        if worst is None:
            return Evidence(self.check.method, Outcome.INCONCLUSIVE, 0, note=note or "no case")
        return replace(worst[1], note=note)


def _cases_are(n: int) -> str:
    return f"{n} {'case is' if n == 1 else 'cases are'}"


@dataclass(frozen=True)
class Average:
    """A procedure that draws `n` i.i.d. terms within [0, 1]: `draw(rng, n)`, (n,)."""

    name: str
    draw: Callable[[np.random.Generator, int], Floats]

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Averages:
    """The mean of each procedure's terms in [0, 1] is claimed(i) for the i-th, within empirical-Bernstein bounds.

    Enough terms are drawn for any variance, so that a mean that is off by `resolution` is refuted.
    """

    cases: Callable[[Setting], Sequence[tuple[Average, float]]]
    near_misses: Mapping[str, Callable[[Setting], Sequence[float]]]
    resolution: float = 0.02
    largest_variance: float = 0.25
    method: str = "simulation, empirical-Bernstein bounds"
    uses_prior: bool = True

    def comparisons(self, setting: Setting) -> int:
        return len(self.cases(setting))

    def run(self, setting: Setting, delta: float) -> Result:
        start = time.perf_counter()
        cases = list(self.cases(setting))
        n = runs_needed(self.largest_variance, 1.0, self.resolution / 2, delta)
        terms = [
            case.draw(np.random.Generator(np.random.SFC64(setting.rng(i))), n) for i, (case, _) in enumerate(cases)
        ]
        widths = [half_width(float(x.var(ddof=1)), 1.0, n, delta) for x in terms]

        def judge(claimed: Sequence[float]) -> Evidence:
            strains = [abs(x.mean() - c) / w for x, c, w in zip(terms, claimed, widths, strict=True)]
            at = int(np.argmax(strains))
            outcome = Outcome.SUPPORTED if 2 * max(widths) <= self.resolution else Outcome.INCONCLUSIVE
            return Evidence(
                self.method,
                Outcome.REFUTED if strains[at] > 1 else outcome,
                len(cases),
                case=str(cases[at][0]),
                observed=f"{terms[at].mean():.6g}",
                expected=f"{claimed[at]:.6g}",
                tolerance=widths[at],
                resolution=self.resolution,
                runs=n,
                seconds=time.perf_counter() - start,
            )

        misses = {statement: judge(claimed(setting)) for statement, claimed in self.near_misses.items()}
        return Result(judge([claimed for _, claimed in cases]), misses)


@dataclass(frozen=True)
class Frequencies:
    """Labels drawn by each sampler's procedure follow claimed(i), (L,), in three ways that share the error δ.

    - sup |F_n - F| along the labels from frequent to rare (Dvoretzky, Kiefer and Wolfowitz; `resolution`);
    - Σ |n_j/n - q_j| against its exact mean (McDiarmid): labels that are swapped, or never drawn, anywhere; how far
      off in total variation a law must be to be refuted is said in the evidence's note;
    - exact binomial tests of the 1, 2, 4, ... rarest and most frequent labels: what happens at either end;
    and no label with q = 0 is drawn at all.
    """

    cases: Callable[[Setting], Sequence[tuple[Sampler, Problem]]]
    claimed: Callable[[Sampler, Problem], Floats]
    near_misses: Mapping[str, Callable[[Sampler, Problem], Floats]]
    resolution: float = 0.01
    method: str = "drawn labels; cumulative, total and tail deviations"
    uses_prior: bool = field(default=True)

    def comparisons(self, setting: Setting) -> int:
        return len(self.cases(setting))

    def run(self, setting: Setting, delta: float) -> Result:
        start = time.perf_counter()
        cases = list(self.cases(setting))
        n = math.ceil(2 * math.log(6 / delta) / self.resolution**2)
        assert 2 * cdf_half_width(n, delta / 3) <= self.resolution * (1 + 1e-12)
        observed = []
        for i, (sampler, problem) in enumerate(cases):
            draw = checked_draws(sampler, problem)
            labels = draw(np.random.Generator(np.random.SFC64(setting.rng(i))), n)
            observed.append(np.bincount(labels, minlength=problem.prior.n_labels))

        def judge(claimed: Callable[[Sampler, Problem], Floats]) -> Evidence:
            worst: tuple[float, Evidence] | None = None
            seen_from = 0.0
            for (sampler, problem), counts in zip(cases, observed, strict=True):
                order = problem.prior.by_frequency
                law = claimed(sampler, problem)[order]
                seen_from = max(seen_from, total_variation_seen(n, law, delta / 3))
                strain, seen, allowed = max(deviations(counts[order], law, n, delta / 3).values())
                evidence = Evidence(
                    self.method,
                    Outcome.REFUTED if strain > 1 else Outcome.SUPPORTED,
                    len(cases),
                    case=str(sampler),
                    observed=seen,
                    expected=allowed,
                    resolution=self.resolution,
                    draws=n * len(cases),
                )
                if worst is None or strain > worst[0]:
                    worst = (strain, evidence)
            assert worst is not None
            note = f"resolution in total variation {seen_from:.2g}"
            return replace(worst[1], note=note, seconds=time.perf_counter() - start)

        return Result(judge(self.claimed), {miss: judge(claimed) for miss, claimed in self.near_misses.items()})


def deviations(counts: Any, q: Floats, n: int, delta: float) -> dict[str, tuple[float, str, str]]:
    """How far counts are from n q, part by part: relative to what is allowed, what was seen, and what is allowed.

    Labels from frequent to rare; each part is wrong with probability at most `delta`.
    """
    width, distance = cdf_half_width(n, delta), float(np.abs(np.cumsum(counts) / n - np.cumsum(q)).max())
    mean, reach = deviation_mean(n, q), deviation_half_width(n, delta)
    total = float(np.abs(counts / n - q).sum())
    found = {
        "cumulative": ((distance - 1e-9) / width, f"cumulative distance {distance:.5f}", f"at most {width:.5f}"),
        "total": ((abs(total - mean) - 1e-9) / reach, f"total deviation {total:.5f}", f"{mean:.5f} ± {reach:.5f}"),
    }
    sizes = [2**k for k in range(q.size.bit_length()) if 2**k < q.size]
    for name in ("rarest", "most frequent"):
        for size in sizes:
            part = slice(q.size - size, None) if name == "rarest" else slice(size)
            drawn, share = int(counts[part].sum()), min(float(q[part].sum()), 1.0)
            if count_is_unlikely(drawn, n, share, delta / (2 * len(sizes))):
                found[name] = (1e6, f"{drawn} draws of the {size} {name} labels", f"about {n * share:.4g}")
    impossible = int(counts[q == 0].sum())
    if impossible:
        found["impossible"] = (math.inf, f"{impossible} draws of labels with q = 0", "none")
    return found
