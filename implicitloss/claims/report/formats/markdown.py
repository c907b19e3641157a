"""The report in GitHub-flavoured Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from implicitloss.claims.report import wording
from implicitloss.claims.report.run import Run
from implicitloss.claims.report.wording import MARKS
from implicitloss.claims.verdict import Verdict
from implicitloss.formats import code, markdown

__all__ = ["to_markdown"]

HELP = "write the report to FILE as Markdown too; with -, print it in place of the text"


def to_markdown(report: Run) -> str:
    """The conclusion, then a table of the failures, one a paper, the summary and the provenance."""
    lines = [f"# {markdown(report.title)}", "", f"**{markdown(wording.conclusion(report))}**", ""]
    head = ("outcome", "claim", "evidence", "near misses")
    if report.failures:
        failures = [[*_row(verdict), code(report.command(verdict))] for verdict in report.failures]
        lines += ["## Failures", "", *_table((*head, "rerun"), failures)]
    for paper, verdicts in report.papers.items():
        rows = [_row(verdict) for verdict in verdicts if verdict.ok]
        lines += [f"## {markdown(paper)} ({wording.holding(verdicts)})", "", *_table(head, rows)]
    summary = [(wording.label(name), f"{n:,}") for name, n in wording.standings(report).items()]
    lines += [
        "## Summary",
        "",
        *_table(("outcome", "claims"), summary),
        markdown(wording.legend(report)),
        "",
        markdown(wording.guarantee(report)),
        "",
    ]
    known = [(markdown(name), code(value)) for name, value in wording.known(report).items()]
    return "\n".join([*lines, "## Provenance", "", *_table(("", ""), known)])


def _row(verdict: Verdict) -> tuple[str, ...]:
    outcome = wording.label(wording.standing(verdict))
    claim = f"{code(verdict.id)}<br>{markdown(verdict.statement)}<br>*{markdown(verdict.source)}*"
    evidence = [markdown(f"{MARKS[wording.standing(e)]} {wording.sentence(e)}") for e in verdict.evidence]
    misses = [markdown(f"{wording.miss_label(miss.outcome)}: {miss.statement}") for miss in verdict.near_misses]
    misses.insert(0, wording.misses_refuted(verdict.near_misses))
    return outcome if verdict.ok else f"**{outcome}**", claim, "<br>".join(evidence), "<br>".join(misses)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table of cells that are Markdown already, with the empty line that ends it."""
    return [*(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)), ""]
