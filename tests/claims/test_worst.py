"""Which case a check shows: the one nearest to failing."""

from __future__ import annotations

from implicitloss.claims.checks.worst import Worst
from implicitloss.claims.verdict import Evidence, Outcome


def kept(*cases: tuple[Outcome, float]) -> int:
    """The place of the case that is kept."""
    worst = Worst()
    for i, (outcome, strain) in enumerate(cases):
        worst.see(Evidence("counting", outcome, len(cases), case=str(i)), strain)
    return int(worst.kept("counting", "").case)


def test_an_outcome_that_is_nearer_to_failing_is_kept_whatever_its_strain() -> None:
    assert kept((Outcome.EXACT, 9.0), (Outcome.INCONCLUSIVE, 1.0), (Outcome.SUPPORTED, 8.0)) == 1
    assert kept((Outcome.REFUTED, 2.0), (Outcome.INCONCLUSIVE, 7.0), (Outcome.PROVED, 8.0)) == 0


def test_of_equal_outcomes_the_larger_strain_is_kept_and_of_equal_strains_the_first() -> None:
    assert kept((Outcome.SUPPORTED, 0.1), (Outcome.EXACT, 0.3), (Outcome.SUPPORTED, 0.2)) == 1
    assert kept((Outcome.REFUTED, 5.0), (Outcome.REFUTED, float("inf"))) == 1
    assert kept((Outcome.EXACT, -1.0), (Outcome.EXACT, 0.5), (Outcome.EXACT, 0.5)) == 1


def test_where_no_case_was_seen_nothing_is_settled() -> None:
    nothing = Worst().kept("counting", "by hand")
    assert nothing == Evidence("counting", Outcome.INCONCLUSIVE, 0, "by hand", note="no case")
