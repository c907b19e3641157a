"""The report for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from dataclasses import dataclass

from implicitloss.claims.report import wording
from implicitloss.claims.report.run import Run
from implicitloss.claims.report.wording import MARKS, NO_POWER, NOT_TRIED
from implicitloss.claims.verdict import Evidence, Outcome, Verdict
from implicitloss.formats import cut, plain

__all__ = ["to_text"]

_GREEN, _RED, _AMBER, _DIM, _BOLD = "32", "1;31", "1;33", "2", "1"
_ANSI = {"proved": "1;32", "exact": _GREEN, "supported": _GREEN, "refuted": _RED, "inconclusive": _AMBER}
_ANSI |= {NO_POWER: _AMBER, NOT_TRIED: _DIM, "dim": _DIM, "bold": _BOLD}


@dataclass(frozen=True)
class _Page:
    color: bool
    width: int

    def paint(self, text: str, tone: str) -> str:
        return f"\x1b[{_ANSI[tone]}m{text}\x1b[0m" if self.color and tone and text else text

    def rule(self, text: str, tone: str) -> str:
        return self.paint(f"── {cut(text, self.width - 4)} ".ljust(self.width, "─"), tone)

    def wrap(self, text: str, indent: int = 0, tone: str = "", label: str = "", label_tone: str = "dim") -> list[str]:
        """`text` beside a `label`, its further lines under its first; no line breaks at a no-break space."""
        lines = textwrap.wrap(text, self.width - indent - len(label), break_on_hyphens=False) or [""]
        margins = [self.paint(label, label_tone)] + [" " * len(label)] * (len(lines) - 1)
        pairs = zip(margins, lines, strict=True)
        return [" " * indent + margin + self.paint(line.replace("\xa0", " "), tone) for margin, line in pairs]

    def list(self, items: Iterable[str], indent: int = 0) -> list[str]:
        """Dim, and broken between items, unless one is longer than a line."""
        fitted = (item.replace(" ", "\xa0") if len(item) < self.width - indent else item for item in items)
        return self.wrap("\xa0· ".join(fitted), indent, "dim")


def to_text(report: Run, color: bool = False, width: int = 100, details: bool = False) -> str:
    """Text for a terminal: failures in full, each claim in brief by paper, the summary last; ANSI colours if `color`.

    With `details` the claims that hold are shown in full too: every witness's numbers and every near miss.
    """
    page = _Page(color, max(width, 40))
    known = wording.known(report)
    lines = page.wrap(plain(report.title), tone="bold")
    lines += [*page.list(f"{name} {known[name]}" for name in ("prior", "seed") if name in known), ""]
    if report.failures:
        lines += [page.rule(f"FAILURES ({len(report.failures)})", "refuted"), ""]
        for verdict in report.failures:
            lines += [
                *_in_full(page, verdict),
                f"    {page.paint('rerun:', 'dim')} {plain(report.command(verdict))}",
                "",
            ]
    for paper, verdicts in report.papers.items():
        lines += [page.rule(f"{plain(paper)} ({wording.holding(verdicts)})", "bold"), ""]
        for verdict in verdicts:
            if verdict.ok:
                lines += [*_in_full(page, verdict), ""] if details else _in_brief(page, verdict)
        lines += [""] if lines[-1] else []
    lines.append(page.rule("Summary", "bold"))
    lines += page.list(f"{name} {value}" for name, value in known.items())
    lines += page.wrap(f"{wording.legend(report)} {wording.guarantee(report)}", tone="dim")
    lines.append("  ".join(page.paint(f"{MARKS[k]} {n:,} {k}", k) for k, n in wording.standings(report).items()))
    tone = {0: "exact", 1: "refuted"}.get(report.exit_code, "inconclusive")
    lines += page.wrap(f"{wording.conclusion(report)} {wording.duration(report.seconds)}.", tone=tone)
    if report.failures:
        # Not wrapped: it is there to be copied.
        lines.append(f"Run {report.failures[0].id} again: {plain(report.command(report.failures[0]))}")
    return "\n".join(lines) + "\n"


def _headline(page: _Page, verdict: Verdict) -> str:
    standing = wording.standing(verdict)
    badge, time = f"{wording.label(standing):<14} ", wording.duration(verdict.seconds)
    room = page.width - len(badge) - len(time) - 2
    name = cut(plain(verdict.id), room)
    gap = " " * (room - len(name) + 2)
    return page.paint(badge, standing) + page.paint(name, "bold") + gap + page.paint(time, "dim")


def _in_brief(page: _Page, verdict: Verdict) -> list[str]:
    witnesses = dict.fromkeys(map(_witness, verdict.evidence))
    said = [*witnesses, wording.misses_refuted(verdict.near_misses)]
    return [_headline(page, verdict), *page.wrap(plain(verdict.statement), 4), *page.list(said, 4)]


def _witness(evidence: Evidence) -> str:
    """Its mark, its method, its work, and its closest call if the claim is an order."""
    name = f"{MARKS[wording.standing(evidence)]} {plain(evidence.method)}"
    if not evidence.n_cases:
        return f"{name}: {NOT_TRIED}, {plain(evidence.note)}"
    work = wording.number(evidence.n_cases, "case") if evidence.n_cases > 1 else ""
    if evidence.draws:
        millions = evidence.draws / 1e6
        work = f"{millions:.1f} M draws" if millions >= 1 else wording.number(evidence.draws, "draw")
    # What it leaves out, or how coarsely it sees.
    return ", ".join(part for part in (name, work, wording.closest_call(evidence), plain(evidence.note)) if part)


def _in_full(page: _Page, verdict: Verdict) -> list[str]:
    lines = [_headline(page, verdict), *page.wrap(plain(verdict.statement), 4)]
    for name, sentences in (("source: ", (verdict.source,)), ("assuming: ", verdict.assumptions)):
        lines += [line for sentence in sentences for line in page.wrap(plain(sentence), 4, label=name)]
    for evidence in verdict.evidence:
        lines += _evidence(page, evidence, 4, wording.tone(verdict, evidence))
    lines += page.wrap(wording.misses_refuted(verdict.near_misses), 4, "" if verdict.near_misses else "inconclusive")
    for miss in verdict.near_misses:
        refuted = miss.outcome is Outcome.REFUTED
        said = f"{wording.miss_label(miss.outcome)}: {plain(miss.statement)}"
        lines += page.wrap(said, 8, "dim" if refuted else NO_POWER)
        if not refuted:
            lines += [line for evidence in miss.evidence for line in _evidence(page, evidence, 10, "")]
    return lines


def _evidence(page: _Page, evidence: Evidence, indent: int, tone: str) -> list[str]:
    said = " · ".join([wording.witness(evidence), *wording.work(evidence)])
    lines = page.wrap(said, indent, label=f"{wording.label(wording.standing(evidence))}: ", label_tone=tone)
    for name, text in wording.numbers(evidence).items():
        # Some four lines tell formulas apart; more of them would bury the failure.
        lines += page.wrap(cut(text, 4 * (page.width - indent - 20)), indent + 4, label=f"{name:<11}")
    return lines
