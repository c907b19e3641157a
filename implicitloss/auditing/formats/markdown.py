"""The report in Markdown, for the summary of a CI step, which grows by one report an audit."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from implicitloss.auditing.finding import Finding

__all__ = ["to_markdown"]

HELP = "append the report to FILE as Markdown, e.g. $GITHUB_STEP_SUMMARY; with -, print it in place of the text"
APPENDS = True


def to_markdown(finding: Finding) -> str:
    """The verdict, the facts, what the loss optimises, and a table of comparisons."""
    from implicitloss.auditing.text import as_markdown

    return as_markdown(finding)
