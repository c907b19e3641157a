"""A title, facts, a table and what its columns mean: as text, Markdown and HTML."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from implicitloss.formats import cut, html, markdown, plain

__all__ = ["ReportTable"]

LONGEST_NAME, WIDTH = 32, 100


@dataclass(frozen=True)
class ReportTable:
    """A report in words: `cells` are rows of text, of which the columns `names` are users' own."""

    title: str
    facts: Sequence[str]
    head: Sequence[str]
    cells: Sequence[Sequence[str]]
    legend: Sequence[str]
    names: tuple[int, ...] = (0,)

    def to_text(self) -> str:
        """Text for a terminal, in columns."""
        rows = [self.head, *([self._name(i, cell) for i, cell in enumerate(row)] for row in self.cells)]
        widths = [max(len(row[i]) for row in rows) for i in range(len(self.head))]
        lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows]
        above, below = ([line for part in said for line in _wrapped(part)] for said in (self.facts, self.legend))
        return "\n".join([self.title, *above, "", *lines, "", *below])

    def to_markdown(self) -> str:
        """GitHub-flavoured Markdown."""
        rows = [[markdown(cell) if i in self.names else cell for i, cell in enumerate(row)] for row in self.cells]
        lines = [f"| {' | '.join(row)} |" for row in (self.head, ["---", *["--:"] * (len(self.head) - 1)], *rows)]
        above, below = ("  \n".join(map(markdown, said)) for said in (self.facts, self.legend))
        return "\n".join([f"**{self.title}**", "", above, "", *lines, "", below, ""])

    def to_html(self) -> str:
        """An HTML fragment, for notebooks."""
        rows = "".join(
            f"<tr>{''.join(f'<{kind}>{html(cell)}</{kind}>' for cell in row)}</tr>"
            for kind, row in [("th", self.head), *(("td", row) for row in self.cells)]
        )
        above, below = ("<br>".join(map(html, said)) for said in (self.facts, self.legend))
        return f"<p><b>{html(self.title)}</b><br>{above}</p><table>{rows}</table><p>{below}</p>"

    def _name(self, i: int, cell: str) -> str:
        return cut(plain(cell), LONGEST_NAME) if i in self.names else cell


def _wrapped(said: str) -> list[str]:
    """The lines of a sentence."""
    return textwrap.wrap(plain(said), WIDTH, subsequent_indent="  ") or [""]
