"""The report in GitHub-flavoured Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from implicitloss.claims.report import phrases
from implicitloss.claims.report.phrases import MARKS
from implicitloss.claims.report.report import Report
from implicitloss.claims.verdict import Verdict
from implicitloss.formats import code, markdown


def to_markdown(report: Report) -> str:
    """The conclusion, then a table of the failures, one a paper, the summary and the provenance."""
    lines = [f"# {markdown(report.title)}", "", f"**{markdown(phrases.conclusion(report))}**", ""]
    head = ("outcome", "claim", "evidence", "near misses")
    if report.failures:
        failures = [[*_row(verdict), code(report.command(verdict))] for verdict in report.failures]
        lines += ["## Failures", "", *_table((*head, "rerun"), failures)]
    for paper, verdicts in report.papers.items():
        rows = [_row(verdict) for verdict in verdicts if verdict.ok]
        lines += [f"## {markdown(paper)} ({phrases.holding(verdicts)})", "", *_table(head, rows)]
    summary = [(phrases.label(name), f"{n:,}") for name, n in phrases.standings(report).items()]
    lines += ["## Summary", "", *_table(("outcome", "claims"), summary), markdown(phrases.guarantee(report)), ""]
    known = [(markdown(name), code(value)) for name, value in phrases.known(report).items()]
    return "\n".join([*lines, "## Provenance", "", *_table(("", ""), known)])


def _row(verdict: Verdict) -> tuple[str, ...]:
    outcome = phrases.label(phrases.standing(verdict))
    claim = f"{code(verdict.id)}<br>{markdown(verdict.statement)}<br>*{markdown(verdict.source)}*"
    evidence = [markdown(f"{MARKS[phrases.standing(e)]} {phrases.sentence(e)}") for e in verdict.evidence]
    misses = [markdown(f"{phrases.miss_label(miss.outcome)}: {miss.statement}") for miss in verdict.near_misses]
    misses.insert(0, phrases.misses_refuted(verdict.near_misses))
    return outcome if verdict.ok else f"**{outcome}**", claim, "<br>".join(evidence), "<br>".join(misses)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Of cells that are Markdown already, with the empty line that ends it."""
    return [*(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)), ""]
