"""What came of a claim: five outcomes kept apart, and the evidence for each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

__all__ = ["Verdict"]


class Outcome(StrEnum):
    """How a claim stands, strongest first.

    `PROVED`: an identity in the symbols.  `EXACT`: numbers that agree within their own error bounds.  `SUPPORTED`:
    a simulation that would have seen a difference that matters, and saw none.  `REFUTED`: a case where it fails.
    `INCONCLUSIVE`: none of these, and so nothing is claimed.
    """

    PROVED = "proved"
    EXACT = "exact"
    SUPPORTED = "supported"
    REFUTED = "refuted"
    INCONCLUSIVE = "inconclusive"

    @property
    def holds(self) -> bool:
        """Whether the claim stands."""
        return self in (Outcome.PROVED, Outcome.EXACT, Outcome.SUPPORTED)


def together(outcomes: Iterable[Outcome]) -> Outcome:
    """One outcome from several witnesses: any refutation refutes, any doubt leaves doubt, else the strongest."""
    seen = set(outcomes)
    for worst in (Outcome.REFUTED, Outcome.INCONCLUSIVE):
        if worst in seen or not seen:
            return worst if seen else Outcome.INCONCLUSIVE
    return next(outcome for outcome in Outcome if outcome in seen)


@dataclass(frozen=True)
class Evidence:
    """What one witness says: the outcome over all cases, and the case that decided it.

    `observed`, `expected` and `tolerance` belong to `case`, the one nearest to failing (or that failed); `tolerance`
    is the half-width or error bound of the comparison and `resolution` the smallest difference that would have been
    seen there.  `draws` counts labels drawn.
    """

    method: str
    outcome: Outcome
    n_cases: int
    case: str = ""
    observed: str = ""
    expected: str = ""
    tolerance: float | None = None
    resolution: float | None = None
    draws: int | None = None
    runs: int | None = None
    seconds: float | None = None
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; what does not apply is left out."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        values["outcome"] = self.outcome.value
        return {name: value for name, value in values.items() if value not in (None, "")}


@dataclass(frozen=True)
class NearMissVerdict:
    """A false neighbour of a claim and whether the same witnesses refuted it, as they must."""

    statement: str
    outcome: Outcome
    evidence: tuple[Evidence, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "statement": self.statement,
            "outcome": self.outcome.value,
            "evidence": [e.to_dict() for e in self.evidence],
        }


@dataclass(frozen=True)
class Verdict:
    """A claim, its outcome, its evidence and its near misses."""

    id: str
    statement: str
    source: str
    assumptions: tuple[str, ...]
    outcome: Outcome
    evidence: tuple[Evidence, ...]
    near_misses: tuple[NearMissVerdict, ...]
    seconds: float = field(default=0.0, compare=False)

    @property
    def ok(self) -> bool:
        """The claim holds and every near miss was refuted: the checks had the power to fail."""
        return self.outcome.holds and all(miss.outcome is Outcome.REFUTED for miss in self.near_misses)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "id": self.id,
            "statement": self.statement,
            "source": self.source,
            "assumptions": list(self.assumptions),
            "outcome": self.outcome.value,
            "evidence": [e.to_dict() for e in self.evidence],
            "near_misses": [miss.to_dict() for miss in self.near_misses],
            "seconds": round(self.seconds, 3),
        }
