"""Claims as data: what is said, under which assumptions, who settles it, and which neighbours must fall."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from implicitloss.claims.case import Setting
from implicitloss.claims.checks import Check, CheckResult
from implicitloss.claims.verdict import Evidence, NearMissVerdict, Outcome, Verdict, in_full, together
from implicitloss.samplers.sampler import ImpossibleDraw

__all__ = ["FAMILY_ERROR", "Claim", "settle"]

# The chance that a whole run refutes any true claim, or supports one that is off by its resolution.
FAMILY_ERROR = 1e-6


@dataclass(frozen=True)
class Claim:
    """A statement and the checks that settle it, each with near misses that it must refute.

    `id` is stable, e.g. "rawat2021.lemma1.mean"; `source` names paper and equation, or says "derived".
    """

    id: str
    statement: str
    source: str
    checks: tuple[Check, ...]
    assumptions: tuple[str, ...] = field(default=())

    @property
    def near_misses(self) -> tuple[str, ...]:
        """The false neighbours, in the order in which the checks list them."""
        return tuple(dict.fromkeys(statement for check in self.checks for statement in check.near_misses))

    @property
    def methods(self) -> tuple[str, ...]:
        """How it is settled."""
        return tuple(in_full(check.method, check.detail) for check in self.checks)

    def on_prior(self) -> Claim | None:
        """This claim with only the checks that depend on the prior; None if there are none."""
        checks = tuple(check for check in self.checks if check.uses_prior)
        return Claim(self.id, self.statement, self.source, checks, self.assumptions) if checks else None


def settle(
    claims: Sequence[Claim], setting: Setting, progress: Callable[[int, Claim], None] | None = None
) -> list[Verdict]:
    """Run every check of every claim and judge.  All stochastic comparisons share `FAMILY_ERROR` equally.

    `progress(i, claim)` is called before the i-th claim.
    """
    comparisons = sum(check.comparisons(setting) for claim in claims for check in claim.checks)
    delta = FAMILY_ERROR / max(comparisons, 1)
    verdicts = []
    for i, claim in enumerate(claims):
        if progress is not None:
            progress(i, claim)
        verdicts.append(_settle(claim, setting, delta))
    return verdicts


def _run(check: Check, setting: Setting, delta: float) -> CheckResult:
    try:
        # On a scheme of one's own overflow is no defect; what is not finite is judged inconclusive.
        with np.errstate(all=None if setting.strict else "ignore"):
            return check.run(setting, delta)
    except ImpossibleDraw as error:
        return CheckResult(Evidence(check.method, Outcome.REFUTED, 1, check.detail, note=str(error)), {})
    except (ValueError, ArithmeticError) as error:
        # A number that cannot be had here settles nothing, and must not take the other claims with it.
        return CheckResult(Evidence(check.method, Outcome.INCONCLUSIVE, 1, check.detail, note=str(error)), {})


def _outcome(results: Sequence[CheckResult]) -> Outcome:
    """Every witness has to agree; the strongest that speaks of the whole statement says how the claim stands."""
    every = together(result.evidence.outcome for result in results)
    whole = [result.evidence.outcome for result in results if result.whole]
    return together(whole) if every.holds and whole else every


def _settle(claim: Claim, setting: Setting, delta: float) -> Verdict:
    start = time.perf_counter()
    results = [_run(check, setting.child(f"{claim.id}/{i}"), delta) for i, check in enumerate(claim.checks)]
    # A check may find no case here (none that a simulation can reach, say): it says so, and the others decide.
    deciding = [result for result in results if result.evidence.n_cases] or results
    if not setting.strict:
        # A scheme of one's own can be beyond one witness (an enumeration that rounds too much); the others decide.
        settled = [result for result in deciding if result.evidence.outcome is not Outcome.INCONCLUSIVE]
        deciding = settled if any(result.whole for result in settled) else deciding
    misses = []
    for statement in claim.near_misses:
        evidence = tuple(result.near_misses[statement] for result in deciding if statement in result.near_misses)
        if not evidence:  # it says the same as the claim in these cases
            continue
        if not setting.strict and any(e.outcome.holds for e in evidence):
            continue
        # Every witness that tried a near miss must refute it.  For a user's scheme one witness is enough, because
        # another may not resolve it.
        doubtful = [e.outcome for e in evidence if e.outcome is not Outcome.REFUTED]
        if not setting.strict and len(doubtful) < len(evidence):
            doubtful = []
        misses.append(NearMissVerdict(statement, together(doubtful or [Outcome.REFUTED]), evidence))
    return Verdict(
        claim.id,
        claim.statement,
        claim.source,
        claim.assumptions,
        _outcome(deciding),
        tuple(result.evidence for result in results),
        tuple(misses),
        time.perf_counter() - start,
    )
