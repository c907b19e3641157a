"""A run's verdicts with their renderings as methods: what `verify` returns."""

from __future__ import annotations

from implicitloss.claims.report.as_json import to_json
from implicitloss.claims.report.formats.html import to_html
from implicitloss.claims.report.formats.junit import to_junit
from implicitloss.claims.report.formats.markdown import to_markdown
from implicitloss.claims.report.run import Run
from implicitloss.claims.report.text import to_text

__all__ = ["Report"]


class Report(Run):
    """A `Run` that can show itself: `print(report)`, or one of the formats below."""

    def __str__(self) -> str:
        return to_text(self)

    def to_text(self, color: bool = False, width: int = 100, details: bool = False) -> str:
        """Text for a terminal, `width` columns wide; `details` shows the evidence of every claim."""
        return to_text(self, color, width, details)

    def to_json(self) -> str:
        """Strict JSON."""
        return to_json(self)

    def to_markdown(self) -> str:
        """Markdown for a pull request."""
        return to_markdown(self)

    def to_junit(self) -> str:
        """JUnit XML for a CI server."""
        return to_junit(self)

    def to_html(self) -> str:
        """One self-contained HTML page; it loads nothing from the network."""
        return to_html(self)
