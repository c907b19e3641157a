"""The report in GitHub-flavoured Markdown."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence

from implicitloss.report import phrases
from implicitloss.report.phrases import MARKS, clean
from implicitloss.report.report import Report
from implicitloss.verdict import Verdict


def to_markdown(report: Report) -> str:
    """The conclusion, then a table of the failures, one a paper, the summary and the provenance."""
    lines = [f"# {_escaped(report.title)}", "", f"**{_escaped(phrases.conclusion(report))}**", ""]
    head = ("outcome", "claim", "evidence", "near misses")
    if report.failures:
        failures = [[*_row(verdict), _code(report.command(verdict))] for verdict in report.failures]
        lines += ["## Failures", "", *_table((*head, "rerun"), failures)]
    for paper, verdicts in report.papers.items():
        rows = [_row(verdict) for verdict in verdicts if verdict.ok]
        lines += [f"## {_escaped(paper)} ({phrases.holding(verdicts)})", "", *_table(head, rows)]
    summary = [(phrases.label(name), f"{n:,}") for name, n in phrases.standings(report).items()]
    lines += ["## Summary", "", *_table(("outcome", "claims"), summary), _escaped(phrases.guarantee(report)), ""]
    known = [(_escaped(name), _code(value)) for name, value in phrases.known(report).items()]
    return "\n".join([*lines, "## Provenance", "", *_table(("", ""), known)])


def _escaped(text: str) -> str:
    return re.sub(r"([\\`*_\[\]|~$])", r"\\\1", html.escape(clean(text), quote=False))


def _code(text: str) -> str:
    """A code span; a table takes a pipe for its own even there."""
    text = clean(text)
    fence = "`" * (max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    pad = " " if "`" in text else ""
    return f"{fence}{pad}{text}{pad}{fence}".replace("|", r"\|") if text else ""


def _row(verdict: Verdict) -> tuple[str, ...]:
    outcome = phrases.label(phrases.standing(verdict))
    claim = f"{_code(verdict.id)}<br>{_escaped(verdict.statement)}<br>*{_escaped(verdict.source)}*"
    evidence = [_escaped(f"{MARKS[phrases.standing(e)]} {phrases.sentence(e)}") for e in verdict.evidence]
    misses = [_escaped(f"{phrases.miss_label(miss.outcome)}: {miss.statement}") for miss in verdict.near_misses]
    misses.insert(0, phrases.misses_refuted(verdict.near_misses))
    return outcome if verdict.ok else f"**{outcome}**", claim, "<br>".join(evidence), "<br>".join(misses)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Of cells that are Markdown already, with the empty line that ends it."""
    return [*(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)), ""]
