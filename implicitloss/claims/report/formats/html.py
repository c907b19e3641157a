"""The report as one HTML page that needs nothing else: the template `page.html.jinja`, filled."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from implicitloss.claims.report import wording
from implicitloss.claims.report.run import Run
from implicitloss.claims.verdict import Verdict
from implicitloss.formats import math_script, plain

__all__ = ["to_html"]

# A letter with what is below it: p_yy', f*_y, w_{yY}, x̄_1, ℓ_i'' (whose primes are ℓ's); and what is above one: e^{x},
# m^2, π^(3/4), e^-δ.  Apostrophes are escaped by then.
BELOW = re.compile(
    r"(?<![A-Za-z\u0370-\u03ff_.])([^\W\d_ᵀ][\u0300-\u036f]?|argmax|argmin|1|(?<=w)T)(\*?)"
    r"_(?:\{([^{}]*)\}|((?:[A-Za-z0-9]*y&#39;)+|[A-Za-z0-9]+))"
)
ABOVE = re.compile(r"\^(?:\{([^{}]*)\}|\(([^()]*)\)|([-−]?(?:\d+(?:\.\d+)?|\w)\*?))")

HELP = "write the report to FILE as one HTML page too; with -, print it in place of the text"


@dataclass(frozen=True)
class _Section:
    """Claims that stand together: the failures, or those of a paper."""

    id: str
    name: str
    size: str
    verdicts: tuple[Verdict, ...]


def to_html(report: Run) -> str:
    """One page that needs nothing else: summary, contents, failures, the claims by paper, provenance."""
    from jinja2 import Environment, PackageLoader
    from markupsafe import Markup, escape

    def shown(value: Any) -> Any:
        return value if isinstance(value, Markup) else plain(value)

    papers = enumerate(report.papers.items())
    sections = [_Section("failures", "Failures", str(len(report.failures)), tuple(report.failures))]
    sections += [
        _Section(f"paper-{i}", paper, wording.holding(verdicts), tuple(v for v in verdicts if v.ok))
        for i, (paper, verdicts) in papers
    ]

    def formula(text: str) -> Any:
        """The text with its indices below and its powers above the line."""
        parts = BELOW.sub(r"\1\2<sub>\3\4</sub>", str(escape(plain(text))))
        return Markup(ABOVE.sub(r"<sup>\1\2\3</sup>", parts))

    loader = PackageLoader("implicitloss.claims.report", "formats")
    pages = Environment(loader=loader, autoescape=True, finalize=shown, trim_blocks=True, keep_trailing_newline=True)
    pages.filters["formula"] = formula
    return pages.get_template("page.html.jinja").render(
        report=report,
        math_script=Markup(math_script()),
        wording=wording,
        sections=[one for one in sections if one.verdicts],
    )
