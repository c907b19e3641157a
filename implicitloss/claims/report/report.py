"""The report that `verify` returns: the verdicts of a run, with their renderings as methods."""

from __future__ import annotations

from typing import Any

from implicitloss.claims.report.as_json import to_dict, to_json
from implicitloss.claims.report.formats.html import to_html
from implicitloss.claims.report.formats.junit import to_junit
from implicitloss.claims.report.formats.markdown import to_markdown
from implicitloss.claims.report.run import Run
from implicitloss.claims.report.text import to_text
from implicitloss.claims.verdict import Outcome

__all__ = ["Report"]


class Report(Run):
    """The verdicts of one run, which `print(report)` shows, and the methods below in other formats.

    Parameters
    ----------
    title : str
        What was checked.
    verdicts : tuple of Verdict
        One for each claim.
    provenance : mapping of str to str or float
        Versions, platform, seed: what is needed to repeat the run.
    family_error : float
        The probability with which the run may refute any true claim, or support one that is off by its resolution.
    rerun : str
        The command that checks one claim again, with "{id}" for the claim's id.

    Examples
    --------
    >>> import implicitloss as il
    >>> from implicitloss.claims.verdict import Outcome
    >>> holds = il.Verdict("margin", "p_yy' = m w_yy' q_y'", "Lemma 1", (), Outcome.PROVED, (), ())
    >>> fails = il.Verdict("bound", "E ℓ > b", "none", (), Outcome.REFUTED, (), ())
    >>> report = il.Report("two claims", (holds, fails), {"seed": 0}, 1e-6, "check {id}")
    >>> report
    Report(two claims: 1 of 2 claims failed: bound)
    >>> report.exit_code, report.command(report.failures[0])
    (1, 'check bound')
    """

    def __str__(self) -> str:
        return to_text(self)

    def to_text(self, color: bool = False, width: int = 100, details: bool = False) -> str:
        """The report as text for a terminal: failures in full, then every claim in brief.

        Parameters
        ----------
        color : bool
            Whether to use ANSI colours.
        width : int
            The number of columns, at least 40.
        details : bool
            Whether to show the evidence of claims that hold too.
        """
        return to_text(self, color, width, details)

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values, for JSON."""
        return to_dict(self)

    def to_frame(self) -> Any:
        """The claims as a pandas DataFrame, a row each: outcome, near misses, seconds, statement and source."""
        import pandas as pd

        return pd.DataFrame(
            {
                "id": verdict.id,
                "outcome": verdict.outcome.value,
                "ok": verdict.ok,
                "near_misses": len(verdict.near_misses),
                "refuted": sum(miss.outcome is Outcome.REFUTED for miss in verdict.near_misses),
                "seconds": verdict.seconds,
                "statement": verdict.statement,
                "source": verdict.source,
            }
            for verdict in self.verdicts
        )

    def to_json(self) -> str:
        """The report as strict JSON, which has no infinity and no NaN."""
        return to_json(self)

    def to_markdown(self) -> str:
        """The report as Markdown, for a pull request."""
        return to_markdown(self)

    def to_junit(self) -> str:
        """The report as JUnit XML, for a CI server."""
        return to_junit(self)

    def to_html(self) -> str:
        """The report as one self-contained HTML page, which loads nothing from the network."""
        return to_html(self)
