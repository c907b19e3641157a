"""Draws of any procedure: bounded terms with a claimed mean, labels that follow a claimed law."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from implicitloss.claims.case import Setting
from implicitloss.claims.checks.check import CheckResult
from implicitloss.claims.checks.worst import Worst
from implicitloss.claims.verdict import Evidence, Outcome
from implicitloss.labels import Floats
from implicitloss.numerics.bounds import (
    cdf_half_width,
    count_is_unlikely,
    deviation_half_width,
    deviation_mean,
    half_width,
    runs_needed,
    total_variation_seen,
)
from implicitloss.problem import Problem
from implicitloss.samplers.sampler import Sampler, checked_draws

__all__ = ["Average", "Averages", "Deviation", "Frequencies", "deviations"]


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
    method: str = "simulation"
    detail: str = "empirical-Bernstein bounds"
    uses_prior: bool = True

    def comparisons(self, setting: Setting) -> int:
        return len(self.cases(setting))

    def run(self, setting: Setting, delta: float) -> CheckResult:
        start = time.perf_counter()
        cases = list(self.cases(setting))
        n = runs_needed(self.largest_variance, 1.0, self.resolution / 2, delta)
        terms = [
            case.draw(np.random.Generator(np.random.SFC64(setting.rng(i))), n) for i, (case, _) in enumerate(cases)
        ]
        widths = [half_width(float(x.var(ddof=1)), 1.0, n, delta) for x in terms]

        def judge(claimed: Sequence[float]) -> Evidence:
            worst = Worst()
            outcome = Outcome.SUPPORTED if 2 * max(widths) <= self.resolution else Outcome.INCONCLUSIVE
            for (case, _), x, target, width in zip(cases, terms, claimed, widths, strict=True):
                strain = abs(x.mean() - target) / width
                evidence = Evidence(
                    self.method,
                    Outcome.REFUTED if strain > 1 else outcome,
                    len(cases),
                    self.detail,
                    case=str(case),
                    observed=float(x.mean()),
                    expected=float(target),
                    tolerance=width,
                    standard_error=float(x.std(ddof=1)) / math.sqrt(n),
                    resolution=self.resolution,
                    runs=n,
                )
                worst.see(evidence, strain)
            return replace(worst.kept(self.method, self.detail), seconds=time.perf_counter() - start)

        misses = {statement: judge(claimed(setting)) for statement, claimed in self.near_misses.items()}
        return CheckResult(judge([claimed for _, claimed in cases]), misses)


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
    method: str = "drawn labels"
    detail: str = "cumulative, total and tail deviations"
    uses_prior: bool = field(default=True)

    def comparisons(self, setting: Setting) -> int:
        return len(self.cases(setting))

    def run(self, setting: Setting, delta: float) -> CheckResult:
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
            worst = Worst()
            seen_from = 0.0
            for (sampler, problem), counts in zip(cases, observed, strict=True):
                order = problem.prior.by_frequency
                law = claimed(sampler, problem)[order]
                seen_from = max(seen_from, total_variation_seen(n, law, delta / 3))
                part = max(deviations(counts[order], law, n, delta / 3).values(), key=lambda part: part.strain)
                evidence = Evidence(
                    self.method,
                    Outcome.REFUTED if part.strain > 1 else Outcome.SUPPORTED,
                    len(cases),
                    self.detail,
                    case=str(sampler),
                    quantity=part.quantity,
                    observed=part.observed,
                    expected=part.expected,
                    tolerance=part.tolerance,
                    resolution=self.resolution,
                    draws=n * len(cases),
                )
                worst.see(evidence, part.strain)
            note = f"resolution in total variation {seen_from:.2g}"
            return replace(worst.kept(self.method, self.detail), note=note, seconds=time.perf_counter() - start)

        return CheckResult(judge(self.claimed), {miss: judge(claimed) for miss, claimed in self.near_misses.items()})


class Deviation(NamedTuple):
    """How far counts are from their law in one respect; `strain` is the distance over the distance that is allowed."""

    strain: float
    quantity: str
    observed: float
    expected: float
    tolerance: float | None = None


def deviations(counts: Any, q: Floats, n: int, delta: float) -> dict[str, Deviation]:
    """How far counts are from n q, part by part.

    Labels from frequent to rare; each part is wrong with probability at most `delta`.
    """
    width, distance = cdf_half_width(n, delta), float(np.abs(np.cumsum(counts) / n - np.cumsum(q)).max())
    mean, reach = deviation_mean(n, q), deviation_half_width(n, delta)
    total = float(np.abs(counts / n - q).sum())
    found = {
        "cumulative": Deviation((distance - 1e-9) / width, "cumulative distance", distance, 0.0, width),
        "total": Deviation((abs(total - mean) - 1e-9) / reach, "total deviation", total, mean, reach),
    }
    sizes = [2**k for k in range(q.size.bit_length()) if 2**k < q.size]
    for name in ("rarest", "most frequent"):
        for size in sizes:
            part = slice(q.size - size, None) if name == "rarest" else slice(size)
            drawn, share = int(counts[part].sum()), min(float(q[part].sum()), 1.0)
            if count_is_unlikely(drawn, n, share, delta / (2 * len(sizes))):
                found[name] = Deviation(1e6, f"draws of the {size} {name} labels", drawn, n * share)
    impossible = int(counts[q == 0].sum())
    if impossible:
        found["impossible"] = Deviation(math.inf, "draws of labels with q = 0", impossible, 0.0)
    return found
