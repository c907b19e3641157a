"""What a check is: a way to settle a claim, which runs its near misses through the very same comparison."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from implicitloss.claims.case import Setting
from implicitloss.claims.verdict import Evidence

__all__ = ["Check", "CheckResult"]


@dataclass(frozen=True)
class CheckResult:
    """The evidence on the claim and on each near miss."""

    evidence: Evidence
    near_misses: Mapping[str, Evidence]
    whole: bool = True


class Check(Protocol):
    """One witness (or pair of witnesses) to a claim."""

    @property
    def method(self) -> str:
        """The witness's name."""
        ...

    @property
    def detail(self) -> str:
        """How it works, where the name does not say it."""
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

    def run(self, setting: Setting, delta: float) -> CheckResult:
        """Settle it, each random comparison wrong with probability at most `delta`."""
        ...
