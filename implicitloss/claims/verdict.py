"""Verdicts on claims: one of five outcomes, and the evidence for it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

__all__ = ["Evidence", "NearMissVerdict", "Outcome", "Relation", "Verdict", "in_full", "together"]

Relation = Literal["=", "<=", "<", ">"]


class Outcome(StrEnum):
    """How a claim stands, strongest first.

    `PROVED`: it is an identity in the symbols.  `EXACT`: numbers agree within their own error bounds.  `SUPPORTED`: a
    simulation found no difference, and would have found one that matters.  `REFUTED`: it fails in some case.
    `INCONCLUSIVE`: none of these.

    Examples
    --------
    >>> import implicitloss as il
    >>> [outcome.value for outcome in il.Outcome if outcome.holds]
    ['proved', 'exact', 'supported']
    >>> il.Outcome("refuted") == "refuted", il.Outcome.REFUTED.holds
    (True, False)
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
    """The outcome of several witnesses: refuted if one refutes, else inconclusive if one is, else the strongest."""
    seen = set(outcomes)
    for worst in (Outcome.REFUTED, Outcome.INCONCLUSIVE):
        if worst in seen or not seen:
            return worst if seen else Outcome.INCONCLUSIVE
    return next(outcome for outcome in Outcome if outcome in seen)


def in_full(method: str, detail: str) -> str:
    """A witness's name, with how it works in brackets."""
    return f"{method} ({detail})" if detail else method


@dataclass(frozen=True)
class Evidence:
    """What one witness found: the outcome over all cases, and the numbers of the case that decided it.

    `method` names the witness, and `detail` says how it works.  `case` failed or came nearest to failing.  There
    `observed` `relation` `expected` was asked: two numbers or two formulas, of a `quantity` where the witness compares
    several; of vectors of `entries` numbers, that at `entry`.  `tolerance` is the half-width or error bound of the
    comparison, `standard_error` that of a simulated number, `resolution` the smallest difference that would have been
    found.  `draws` is the number of labels drawn.  `latex` has the two formulas for a page.
    """

    method: str
    outcome: Outcome
    n_cases: int
    detail: str = ""
    case: str = ""
    quantity: str = ""
    observed: float | str | None = None
    relation: Relation = "="
    expected: float | str | None = None
    entry: int | None = None
    entries: int | None = None
    tolerance: float | None = None
    standard_error: float | None = None
    resolution: float | None = None
    draws: int | None = None
    runs: int | None = None
    seconds: float | None = None
    note: str = ""
    latex: tuple[str, str] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; what does not apply is left out, and LaTeX, as formulas are there as text."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "latex"}
        values["outcome"] = self.outcome.value
        if self.expected is None:
            del values["relation"]
        return {name: value for name, value in values.items() if value not in (None, "")}


@dataclass(frozen=True)
class NearMissVerdict:
    """A near miss, which is a false neighbour of a claim, and whether the same witnesses refuted it, as they must."""

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
    """A claim with its outcome, its evidence and its near misses.

    Parameters
    ----------
    id : str
        A stable name, e.g. "rawat2021.lemma1.mean".
    statement : str
        What is claimed.
    source : str
        The paper and equation, or "derived".
    assumptions : tuple of str
        What the statement assumes.
    outcome : Outcome
        "proved", "exact", "supported", "refuted" or "inconclusive".
    evidence : tuple of Evidence
        What each witness found.
    near_misses : tuple of NearMissVerdict
        False neighbours of the claim, each with the outcome by the same witnesses.
    seconds : float
        The time that it took.

    Examples
    --------
    A claim passes only if its checks could have failed: every near miss must be refuted.

    >>> import implicitloss as il
    >>> from implicitloss.claims.verdict import NearMissVerdict, Outcome
    >>> miss = NearMissVerdict("p_yy' = w_yy' q_y', without m", Outcome.INCONCLUSIVE, ())
    >>> verdict = il.Verdict("margin", "p_yy' = m w_yy' q_y'", "Lemma 1", (), Outcome.EXACT, (), (miss,))
    >>> verdict.outcome.holds, verdict.ok
    (True, False)
    """

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
        """Whether the claim holds and every near miss was refuted, which shows that the checks could fail."""
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
