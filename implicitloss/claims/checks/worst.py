"""The case nearest to failing, which a check keeps while it goes through its cases."""

from __future__ import annotations

from implicitloss.claims.verdict import Evidence, Outcome

__all__ = ["Worst"]


class Worst:
    """The evidence of the case nearest to failing, of all that were seen.

    An outcome that refutes is nearest, then one that leaves doubt, then one that holds.  Of equal outcomes the one with
    the larger strain is kept: the distance from the claim over the distance that is allowed.  Of equal strains the
    first is kept.
    """

    def __init__(self) -> None:
        self._rank: tuple[bool, bool, float] | None = None
        self._evidence: Evidence | None = None

    def see(self, evidence: Evidence, strain: float) -> bool:
        """Keep the evidence of a case, if none that is nearer to failing was seen; whether it is kept."""
        rank = (evidence.outcome is Outcome.REFUTED, not evidence.outcome.holds, strain)
        is_nearer = self._rank is None or rank > self._rank
        if is_nearer:
            self._rank, self._evidence = rank, evidence
        return is_nearer

    def kept(self, method: str, detail: str) -> Evidence:
        """The evidence that was kept; where no case was seen, that nothing is settled by this `method`."""
        return self._evidence or Evidence(method, Outcome.INCONCLUSIVE, 0, detail, note="no case")
