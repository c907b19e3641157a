"""A run's verdicts as text, JSON, Markdown, JUnit XML or one HTML page: it computes nothing and writes no files.

Every rendering is a pure function of a `Report`.  Failures come first; a claim that does not stand, or whose near
misses do not all fall, is never shown as a pass.
"""

from implicitloss.claims.report.as_json import CLAIMS_SCHEMA, to_json
from implicitloss.claims.report.formats.html import to_html
from implicitloss.claims.report.formats.junit import to_junit
from implicitloss.claims.report.formats.markdown import to_markdown
from implicitloss.claims.report.report import Report
from implicitloss.claims.report.run import Run, provenance
from implicitloss.claims.report.text import to_text
from implicitloss.claims.report.wording import MARKS, NO_POWER

__all__ = [
    "CLAIMS_SCHEMA",
    "MARKS",
    "NO_POWER",
    "Report",
    "Run",
    "provenance",
    "to_html",
    "to_json",
    "to_junit",
    "to_markdown",
    "to_text",
]
