"""A finding in words: as text for a terminal, as Markdown for a pull request, and as an explanation."""

from __future__ import annotations

import textwrap

from implicitloss.auditing.comparison import HITS, NEVER, SLICES, SPARE, Comparison
from implicitloss.auditing.finding import Finding, Gains
from implicitloss.formats import markdown, plain

MARKS = {"holds": "≈", "refuted": "✗", "inconclusive": "?", "measured": "·"}
# A tilt this close to -1 is called the balanced rule.
BALANCED_WITHIN = 0.02


def _title(finding: Finding) -> str:
    """The verdict, in a sentence."""
    return {
        "holds": "holds: in every decisive part, at the positives audited, a deviation of more than "
        f"{finding.known_to:.0%} is ruled out",
        "refuted": "REFUTED: the loss does not optimise what is claimed",
        "inconclusive": "inconclusive: nothing speaks against the claim, but a deviation that matters could be hidden",
        "measured": "measured; nothing was claimed",
    }[finding.verdict]


def _facts(finding: Finding) -> list[tuple[str, str]]:
    """The facts above the table, each with its name."""
    nearest = [] if finding.nearest is None else [("nearest", plain(finding.nearest))]
    return [
        ("loss", plain(finding.loss)),
        ("claim", plain(finding.claim)),
        *nearest,
        *_fix(finding),
        *(("flaw", plain(flaw)) for flaw in finding.flaws),
        *(("note", plain(note)) for note in finding.notes),
        (
            "asked",
            f"{finding.calls:,} times, seed {finding.seed}; a true claim is refuted with probability at most "
            f"{finding.error:g}, if calls are independent and no evaluation weighs a part more than {SPARE:g} times "
            "what the pilot saw",
        ),
    ]


def _fix(finding: Finding) -> list[tuple[str, str]]:
    """The line of code to write instead, if the nearest scheme is a common slip."""
    slip = None if finding.nearest is None else finding.nearest.slip
    return [] if slip is None else [("fix", f"{slip.fix}   in place of   {slip.line}")]


def _shown(finding: Finding) -> list[Comparison]:
    """The comparisons of the table: the slices, the worst failures, and others, at most 24 where slices allow it."""
    slices = [c for c in finding.comparisons if c.part in (*SLICES, HITS, NEVER)]
    failures = [c for c in finding.failures if c not in slices][:8]
    rest = [c for c in finding.comparisons if c.decisive and c not in failures and c not in slices]
    return slices + failures + rest[: max(0, 24 - len(failures) - len(slices))]


def _row(finding: Finding, c: Comparison) -> list[str]:
    """The cells of a comparison in the table."""
    return [
        MARKS[c.result(finding.tolerance)],
        plain(finding.prior.name(c.positive)),
        plain(c.part) + (", by value" if c.route == "value" else ""),
        "" if c.claimed is None else f"{c.claimed:.4g}",
        f"{c.measured:.4g}",
        f"{c.low:.4g} to {c.high:.4g}",
        f"×{c.measured / c.claimed:.3g}" if c.claimed and c.measured > 0 else "",
    ]


HEAD = ["", "positive", "negatives", "claimed Σp", "measured", "between", "ratio"]
LEGEND = "≈ holds, ✗ refuted, ? open; Σp: the total margin of these negatives, beside this positive"


def as_text(finding: Finding) -> str:
    """The report for a terminal: the verdict, the facts, and a table of comparisons."""
    rows = [HEAD] + [_row(finding, cell) for cell in _shown(finding)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEAD))]
    table = [
        "  ".join(
            cell.rjust(w) if i >= 3 else cell.ljust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    said = [f"{MARKS[finding.verdict]} {_title(finding)}", *(f"{name:<9}{text}" for name, text in _facts(finding))]
    head = [part for text in said for part in textwrap.wrap(text, 118, subsequent_indent=" " * 9)]
    return "\n".join([*head, "", *(row.rstrip() for row in table), LEGEND + _hidden(finding)])


def _hidden(finding: Finding) -> str:
    """A remark on the comparisons that are not shown."""
    hidden = len(finding.comparisons) - len(_shown(finding))
    return f"; {hidden} parts more in JSON, to_dict() and to_frame()" if hidden else ""


def as_markdown(finding: Finding) -> str:
    """The report in Markdown, for the summary of a CI step."""
    rows = [[markdown(part) for part in _row(finding, cell)] for cell in _shown(finding)]
    lines = ["| " + " | ".join(row) + " |" for row in [HEAD, ["---"] * 3 + ["---:"] * 4, *rows]]
    first = 2 + sum(c.part in (*SLICES, HITS, NEVER) for c in _shown(finding))
    more = ["", "<details><summary>Parts of the labels</summary>", "", *lines[:2], *lines[first:], "", "</details>"]
    return "\n".join(
        [
            f"### {markdown(finding.loss)}: {markdown(_title(finding))}", "",
            *(f"- **{name}:** {markdown(text)}" for name, text in _facts(finding)), "",
            *map(markdown, explained(finding).splitlines()[1:]), "",
            *lines[:first], *(more if lines[first:] else []), "",
            LEGEND + _hidden(finding), "",
        ]
    )  # fmt: skip


def explained(finding: Finding) -> str:
    """Explain what the loss optimises, what that teaches, and which labels gain."""
    parts = [_title(finding) + "."]
    if finding.nearest is None:
        return "\n".join([*parts, "Too little was seen of its margins to say what it optimises."])
    fit = finding.nearest
    parts.append(
        f"Its margins are those of: {fit.name}."
        if fit.agrees
        else f"No scheme known here has its margins; the nearest: {fit}."
    )
    if fit.slip is not None:
        parts.append(f"{fit.slip.does} {fit.slip.wrong}")
        parts.append(f"Write instead, for logits f_neg of negatives with labels neg: {fit.slip.fix}")
    parts += [*_on_tilt(finding), *_on_slices(finding), *_on_draws(finding)]
    return "\n".join(textwrap.fill(plain(part), 118) for part in parts)


def _on_tilt(finding: Finding) -> list[str]:
    """How the optimal scores depend on label frequency."""
    tilt = finding.tilt
    if tilt is None:
        return []
    bound = (
        "Where all labels are equally likely, the scores that minimise its bound have slope "
        f"{tilt.bound:+.3f} on log π (0: log η, as softmax over all labels; -1: log η - log π, the balanced rule)."
    )
    if tilt.true is None or finding.gains is None:
        said = "The number of draws was not seen, and so the optimum of its true expected loss is not known."
        return [bound, said]
    return [bound, f"Those that minimise the true sampled loss have {tilt.true:+.3f}. {_who(finding.gains, tilt.true)}"]


def _who(gains: Gains, slope: float) -> str:
    """Which labels gain, and how to predict."""
    if gains == "neither":
        return "Neither frequent nor rare labels gain: the scores are log η, and the largest is the likeliest label."
    if abs(slope + 1) < BALANCED_WITHIN:
        return (
            "Rare labels gain: the scores are log η - log π, right for balanced error as they are; for the likeliest "
            "label add log π."
        )
    if gains == "frequent":
        return f"Frequent labels gain: for the likeliest label take about {slope:.2g} log π off the scores."
    return f"Rare labels gain: for the likeliest label add about {-slope:.2g} log π to the scores."


def _on_slices(finding: Finding) -> list[str]:
    """How much the negatives of each slice count, over the claim."""
    said = []
    for y in finding.positives:
        sides = [c for c in finding.comparisons if c.positive == y and c.part in SLICES and c.claimed]
        if sides:
            counts = ", ".join(f"{c.part} ×{c.measured / (c.claimed or 1.0):.3g}" for c in sides)
            said.append(
                f"Beside the positive {finding.prior.name(y)}, negatives count, over what is claimed: {counts}."
            )
    return said


def _on_draws(finding: Finding) -> list[str]:
    """What margins hide: the expected gradient, and how labels are drawn."""
    found = finding.draw_statistics
    if found is None:
        return []
    said = []
    for y, row, error in zip(finding.positives, found.gradient_ratio, found.gradient_ratio_error, strict=True):
        ratios = ", ".join(
            f"{name} ×{ratio:.3g} ± {e:.1g}" for name, ratio, e in zip(found.slices, row, error, strict=True)
        )
        said.append(
            f"Beside the positive {finding.prior.name(y)}, its expected gradient over that of softmax: {ratios}."
        )
    if found.draws is not None:
        few, many = found.draws
        said.append(
            f"It draws {few if few == many else f'{few} to {many}'} labels an evaluation (masked hits are not "
            f"seen), one of them up to {found.multiplicity} times; {found.never_drawn} of {finding.prior.n_labels} "
            "labels were never drawn."
        )
    return said
