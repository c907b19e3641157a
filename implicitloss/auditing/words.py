"""An audit in words: for a terminal, for a pull request, and for whoever asks what it means."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from implicitloss.auditing.cells import HITS, NEVER, SLICES, Cell
from implicitloss.auditing.pilot import SPARE
from implicitloss.formats import markdown, plain
from implicitloss.optima.population import Of, tilt

if TYPE_CHECKING:
    from implicitloss.auditing.report import AuditReport

MARKS = {"holds": "≈", "refuted": "✗", "inconclusive": "?", "measured": "·"}
# So many labels show which way an optimum leans.
FEW = 20


def _title(report: AuditReport) -> str:
    """The verdict, in a sentence."""
    return {
        "holds": f"holds: in every decisive part, at the positives audited, more than {report.known_to:.0%} off is "
        "ruled out",
        "refuted": "REFUTED: the loss does not optimise what is claimed",
        "inconclusive": "inconclusive: nothing speaks against the claim, but a deviation that matters could be hidden",
        "measured": "measured; nothing was claimed",
    }[report.verdict]


def _facts(report: AuditReport) -> list[tuple[str, str]]:
    """What is said first, by name, each on a line."""
    closest = [] if report.closest is None else [("closest", plain(report.closest))]
    return [
        ("loss", plain(report.loss)),
        ("claim", plain(report.claim)),
        *closest,
        *(("flaw", plain(flaw)) for flaw in report.flaws),
        *(("note", plain(note)) for note in report.notes),
        (
            "asked",
            f"{report.calls:,} times, seed {report.seed}; a true claim is refuted with probability at most "
            f"{report.error:g}, if calls are independent and none weighs a part more than {SPARE:g} times what the "
            "pilot saw",
        ),
    ]


def _shown(report: AuditReport) -> list[Cell]:
    """The slices, what else was refuted, worst first, and the rest; no more than a screen of them."""
    slices = [c for c in report.cells if c.part in (*SLICES, HITS, NEVER)]
    failures = [c for c in report.failures() if c not in slices][:8]
    rest = [c for c in report.cells if c.decisive and c not in failures and c not in slices]
    return slices + failures + rest[: max(0, 24 - len(failures) - len(slices))]


def _row(report: AuditReport, cell: Cell) -> list[str]:
    ratio = ""
    if cell.claimed and cell.measured > 0:
        ratio = f"×{cell.measured / cell.claimed:.3g}"
    return [
        MARKS[cell.result(report.tolerance)],
        plain(report.prior.name(cell.positive)),
        plain(cell.part) + (", by value" if cell.route == "value" else ""),
        "" if cell.claimed is None else f"{cell.claimed:.4g}",
        f"{cell.measured:.4g}",
        f"{cell.low:.4g} to {cell.high:.4g}",
        ratio,
    ]


HEAD = ["", "positive", "negatives", "claimed Σp", "measured", "between", "ratio"]
LEGEND = "≈ holds, ✗ refuted, ? open; Σp: how often these negatives count in all, beside this positive"


def as_text(report: AuditReport) -> str:
    """For a terminal."""
    rows = [HEAD] + [_row(report, cell) for cell in _shown(report)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEAD))]
    table = [
        "  ".join(
            cell.rjust(w) if i >= 3 else cell.ljust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    said = [f"{MARKS[report.verdict]} {_title(report)}", *(f"{name:<9}{text}" for name, text in _facts(report))]
    head = [part for text in said for part in textwrap.wrap(text, 118, subsequent_indent=" " * 9)]
    return "\n".join([*head, "", *(row.rstrip() for row in table), LEGEND + _hidden(report)])


def _hidden(report: AuditReport) -> str:
    """How much is not shown."""
    hidden = len(report.cells) - len(_shown(report))
    return f"; {hidden} parts more in JSON, to_dict() and to_frame()" if hidden else ""


def as_markdown(report: AuditReport) -> str:
    """For a CI step's summary."""
    rows = [[markdown(part) for part in _row(report, cell)] for cell in _shown(report)]
    lines = ["| " + " | ".join(row) + " |" for row in [HEAD, ["---"] * 3 + ["---:"] * 4, *rows]]
    first = 2 + sum(cell.part in (*SLICES, HITS, NEVER) for cell in _shown(report))
    more = ["", "<details><summary>Parts of the labels</summary>", "", *lines[:2], *lines[first:], "", "</details>"]
    return "\n".join(
        [
            f"### {markdown(report.loss)}: {markdown(_title(report))}", "",
            *(f"- **{name}:** {markdown(text)}" for name, text in _facts(report)), "",
            *map(markdown, report.explain().splitlines()[1:]), "",
            *lines[:first], *(more if lines[first:] else []), "",
            LEGEND + _hidden(report), "",
        ]
    )  # fmt: skip


def explained(report: AuditReport) -> str:
    """What it optimises, what that teaches, who gains."""
    parts = [_title(report) + "."]
    if report.closest is None:
        return "\n".join([*parts, "Too little was seen of its margins to say what it optimises."])
    fit = report.closest
    parts.append(
        f"Its margins are those of: {fit.name}."
        if fit.agrees
        else f"No scheme known here has its margins; the nearest: {fit}."
    )
    # Of another scheme, or another form, it would say nothing of this loss.
    leaning = _leaning(report, "implicit") if fit.agrees and report.form == "softmax" else None
    if leaning is not None:
        parts.append(
            "Where all labels are equally likely, the scores that minimise its bound have slope "
            f"{leaning:+.3f} on log π (0: log η, as softmax over all labels; -1: log η - log π, the balanced rule)."
        )
        truly = _leaning(report, "sampled") if fit.m_known else None
        if truly is not None:
            parts.append(f"Those that minimise the true sampled loss have {truly:+.3f}. {_who_gains(truly)}")
        else:
            parts.append(
                "How many labels it draws was not seen, and so what its true expected loss teaches is not known."
            )
    for y in report.positives:
        sides = [cell for cell in report.cells if cell.positive == y and cell.part in SLICES and cell.claimed]
        if sides:
            counts = ", ".join(f"{cell.part} ×{cell.measured / (cell.claimed or 1.0):.3g}" for cell in sides)
            parts.append(
                f"Beside the positive {report.prior.name(y)}, negatives count, over what is claimed: {counts}."
            )
    law = report.law
    if law is not None:
        for y, row, error in zip(report.positives, law.pushes, law.pushes_error, strict=True):
            pushes = ", ".join(
                f"{name} ×{ratio:.3g} ± {e:.1g}" for name, ratio, e in zip(law.slices, row, error, strict=True)
            )
            parts.append(
                f"Beside the positive {report.prior.name(y)}, its expected gradient over that of softmax: {pushes}."
            )
        if law.draws is not None:
            few, many = law.draws
            parts.append(
                f"It draws {few if few == many else f'{few} to {many}'} labels an evaluation (masked hits are not "
                f"seen), one of them up to {law.multiplicity} times; {law.never_drawn} of {report.prior.n_labels} "
                "labels were never drawn."
            )
    return "\n".join(textwrap.fill(plain(part), 118) for part in parts)


def _leaning(report: AuditReport, of: Of) -> float | None:
    """Slope of f* on log π of the fitted scheme, by the bound or truly, on labels picked from frequent to rare."""
    assert report.closest is not None
    try:
        return tilt(report.closest.scheme, report.prior.few(FEW), of)
    except ValueError:  # no optimum, or no tail
        return None


def _who_gains(slope: float) -> str:
    if abs(slope) < 0.02:
        return "Neither frequent nor rare labels gain: the scores are log η, and the largest is the likeliest label."
    if abs(slope + 1) < 0.02:
        return (
            "Rare labels gain: the scores are log η - log π, right for balanced error as they are; for the likeliest "
            "label add log π."
        )
    if slope > 0:
        return f"Frequent labels gain: for the likeliest label take about {slope:.2g} log π off the scores."
    return f"Rare labels gain: for the likeliest label add about {-slope:.2g} log π to the scores."
