"""A finding in words: as text for a terminal, as Markdown for a pull request, and as an explanation.

One file: each sentence that a report can have, beside the table that it explains.
"""

from __future__ import annotations

import textwrap
from typing import get_args

import numpy as np

from implicitloss.auditing.comparison import HITS, NEVER, SLICES, Comparison
from implicitloss.auditing.finding import Finding, Flaw, Note
from implicitloss.auditing.forms import Kind
from implicitloss.auditing.slips import Gains
from implicitloss.auditing.slopes import Slope
from implicitloss.formats import markdown, plain

__all__ = ["as_markdown", "as_text", "explained"]

MARKS = {"holds": "≈", "refuted": "✗", "inconclusive": "?", "measured": "·"}
# A comparison that is open, and that the verdict does not wait for.
OPEN = "(?)"
# A tilt this close to -1 is called the balanced rule.
BALANCED_WITHIN = 0.02
# A fitted slope within this many standard errors of 0 is called none.
SLOPE_ERRORS = 3.0
# Slopes that are known to be smaller than this are called flat: over a factor of 1,000 in frequency they make 1.4.
FLAT_WITHIN = 0.05
# Slices whose ratios lie within this factor of each other may be off by one factor.
COMMON_WITHIN = 1.2


def _title(finding: Finding) -> str:
    """The verdict, in a sentence."""
    kinds = {flaw.kind for flaw in finding.flaws} | {note.kind for note in finding.notes}
    verdict = "REFUTED" if finding.verdict == "refuted" else finding.verdict
    if "same draws" in kinds:
        return (
            f"{verdict}: the loss draws the same labels in every call, or depends on the row; no margins were measured"
        )
    if not finding.has_margins and finding.verdict != "refuted":
        reasons = {
            "keeps state": "the loss keeps state between calls", "looks at scores": "its draws depend on the scores",
        }  # fmt: skip
        why = [said for kind, said in reasons.items() if kind in kinds]
        why = why or [f"the loss is not of the {finding.form} form"]
        return f"{finding.verdict}: {why[0]}, and no margins were measured"
    if "unknown form" in kinds and finding.verdict == "inconclusive":
        return f"inconclusive: the loss is not of the {finding.form} form, unless its draws depend on the scores"
    if "ignores rng" in kinds and finding.verdict != "holds":
        said = {"refuted": "the loss does not optimise what is claimed, and ", "measured": "nothing was claimed; "}
        return f"{verdict}: {said.get(finding.verdict, '')}the answer was the same for every seed"
    return {
        "holds": "holds: beside the audited positives, every group of negatives that is drawn often enough counts as "
        f"claimed, to within {_closeness(finding.known_to)}",
        "refuted": "REFUTED: the loss does not optimise what is claimed",
        "inconclusive": "inconclusive: nothing speaks against the claim, but too little was drawn to be sure; more "
        "evaluations or gradients may help",
        "measured": "measured; nothing was claimed",
    }[finding.verdict]


def _facts(finding: Finding) -> list[tuple[str, str]]:
    """The facts above the table, each with its name."""
    nearest = [] if finding.nearest is None else [("nearest", plain(finding.nearest))]
    if finding.nearest is None and finding.slopes is not None:
        nearest = [("nearest", f"no scheme known here; {finding.slopes}")]
    return [
        ("loss", plain(finding.loss)),
        ("claim", plain(finding.claim)),
        *nearest,
        *_fix(finding),
        *(("flaw", plain(flaw)) for flaw in finding.flaws),
        *(("note", plain(note)) for note in finding.notes),
        ("calls", f"{finding.calls:,}{_without_gradients(finding)}, seed {finding.seed}"),
        (
            "error",
            f"a true claim is refuted with probability at most {finding.error:g}, under the conditions that "
            "help(implicitloss.audit) names",
        ),
    ]


def _without_gradients(finding: Finding) -> str:
    return ", of values alone (no gradients)" if {c.route for c in finding.comparisons} == {"value"} else ""


def _fix(finding: Finding) -> list[tuple[str, str]]:
    """The line of code to write instead, if the nearest scheme is a common slip."""
    slip = None if finding.nearest is None else finding.nearest.slip
    return [] if slip is None else [("fix", f"{slip.fix}   in place of   {slip.line}   ({slip.link})")]


def _shown(finding: Finding) -> list[Comparison]:
    """The comparisons of the table: the slices, the worst failures, and others, at most 24 where slices allow it."""
    slices = [c for c in finding.comparisons if c.part in (*SLICES, HITS, NEVER)]
    failures = [c for c in finding.failures if c not in slices][:8]
    rest = [c for c in finding.comparisons if c.decisive and c not in failures and c not in slices]
    return slices + failures + rest[: max(0, 24 - len(failures) - len(slices))]


def _row(finding: Finding, c: Comparison) -> list[str]:
    """The cells of a comparison in the table."""
    routes = {comparison.route for comparison in finding.comparisons}
    return [
        _mark(finding, c),
        plain(finding.prior.name(c.positive)),
        plain(c.part) + (", from values" if c.route == "value" and len(routes) > 1 else ""),
        "" if c.claimed is None else f"{c.claimed:.4g}",
        f"{c.measured:.4g}",
        f"{c.low:.4g} to {c.high:.4g}",
        f"×{c.measured / c.claimed:.3g}" if c.claimed and c.measured > 0 else "",
    ]


def _mark(finding: Finding, c: Comparison) -> str:
    result = c.result(finding.tolerance)
    return OPEN if result == "inconclusive" and not c.decisive else MARKS[result]


HEAD = ["", "positive", "negatives", "claimed Σp", "measured", "between", "ratio"]


def _legend(finding: Finding) -> list[str]:
    """What the table's marks and words mean, a sentence each; those that do not occur are left out."""
    if not finding.has_margins:
        return []
    shown = _shown(finding)
    marks, groups = {_mark(finding, c) for c in shown}, {c.part for c in shown}
    refuted = [c for c in shown if c.result(finding.tolerance) == "refuted"]
    said = {
        "Σp: how often these negatives count together beside this positive, in the mean. In softmax over all labels "
        "each counts once. Its true value lies between the limits.": True,
        f"Marks: {', '.join(f'{MARKS[r]} {word}' for r, word in WORDS.items() if MARKS[r] in marks)}.": True,
        f"{OPEN} open, but the verdict does not wait for it: it is drawn too seldom.": OPEN in marks,
        "✗ where 0 is claimed: one hit refutes, whatever the limits.": any(c.claimed == 0 for c in refuted),
        "? whose limits leave out the claim: a call weighed more than the limits assume.": any(
            c.exceeds_bound and c.off_by > 1 for c in shown
        ),
        "head, torso, tail: the frequent, the middle and the rare labels.": bool(groups & set(SLICES)),
        "accidental hits: draws of the positive itself. A claim of 0 holds where they are known to count less than "
        "a label about as frequent, any other where they are known to within a factor of 10; both also where what is "
        "open hardly changes the loss.": HITS in groups,
        "ranks: labels by frequency, the most frequent first; the others: all labels but the positive.": any(
            c.ranks is not None for c in shown
        ),
        "the pilot: the first evaluations, by which the others are planned.": NEVER in groups,
        _hidden(finding): bool(_hidden(finding)),
    }
    return [sentence for sentence, occurs in said.items() if occurs]


WORDS = {"holds": "holds", "refuted": "refuted", "inconclusive": "open", "measured": "measured"}


def as_text(finding: Finding) -> str:
    """The report for a terminal: the verdict, the facts, and a table of comparisons."""
    rows = [HEAD] + [_row(finding, cell) for cell in _shown(finding)] if finding.has_margins else []
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEAD))] if rows else []
    table = [
        "  ".join(
            cell.rjust(w) if i >= 3 else cell.ljust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    said = [f"{MARKS[finding.verdict]} {_title(finding)}", *(f"{name:<9}{text}" for name, text in _facts(finding))]
    head = [part for text in said for part in textwrap.wrap(text, 118, subsequent_indent=" " * 9)]
    legend = [line for text in _legend(finding) for line in textwrap.wrap(text, 118, subsequent_indent=" " * 2)]
    below = ["", *(row.rstrip() for row in table), "", *legend] if table else []
    return "\n".join([*head, *below])


def _hidden(finding: Finding) -> str:
    """A remark on the comparisons that are not shown."""
    hidden = len(finding.comparisons) - len(_shown(finding))
    return f"{hidden} groups more: in JSON, to_dict() and to_frame()." if hidden else ""


def as_markdown(finding: Finding) -> str:
    """The report in Markdown, for the summary of a CI step."""
    rows = [[markdown(part) for part in _row(finding, cell)] for cell in _shown(finding)]
    table = [HEAD, ["---"] * 3 + ["---:"] * 4, *rows] if finding.has_margins else []
    lines = ["| " + " | ".join(row) + " |" for row in table]
    first = 2 + sum(c.part in (*SLICES, HITS, NEVER) for c in _shown(finding))
    more = ["", "<details><summary>More groups of labels</summary>", "", *lines[:2], *lines[first:], "", "</details>"]
    return "\n".join(
        [
            f"### {markdown(finding.loss)}: {markdown(_title(finding))}", "",
            *(f"- **{name}:** {markdown(text)}" for name, text in _facts(finding)), "",
            *map(markdown, explained(finding).splitlines()[1:]), "",
            *lines[:first], *(more if lines[first:] else []), "",
            *(f"- {markdown(text)}" for text in _legend(finding)), "",
        ]
    )  # fmt: skip


def explained(finding: Finding) -> str:
    """Explain what the loss optimises, what that teaches, and which labels gain."""
    parts = [_title(finding) + ".", *_on_form(finding)]
    if finding.nearest is None:
        said = any(note.kind in ("ignores rng", "unknown form") for note in finding.notes)
        if said or not finding.has_margins:
            return _as_lines(parts)
        return _as_lines([*parts, *_on_slopes(finding), *_on_slices(finding), *_on_draws(finding)])
    fit = finding.nearest
    parts.append(
        f"Its margins (how often each negative counts, in the mean) are those of: {fit.name}."
        if fit.agrees
        else f"No scheme known here has its margins (how often each negative counts, in the mean); the nearest: {fit}."
    )
    if fit.slip is not None:
        parts.append(f"{fit.slip.does} {fit.slip.wrong}")
        parts.append(f"Write instead, for logits f_neg of negatives with labels neg: {fit.slip.fix}")
        parts.append(f"More on it: {fit.slip.link}")
    if finding.slopes is not None:
        parts += _on_slopes(finding)[1:]
    return _as_lines([*parts, *_on_tilt(finding), *_on_slices(finding), *_on_draws(finding)])


def _as_lines(parts: list[str]) -> str:
    return "\n".join(textwrap.fill(plain(part), 118) for part in parts)


def _on_slopes(finding: Finding) -> list[str]:
    """What the fitted slopes say where no scheme fits."""
    found = finding.slopes
    if found is None:
        return ["Too few negatives were seen to say what it optimises."]
    said = [
        "No scheme known here has its margins p_yy' (how often the negative y' counts beside the positive y, in the "
        "mean).",
        f"Fitted to the frequencies π of the labels that counted: {found}.",
        "For comparison: softmax over all labels has b = c = 0, an equalised loss b = 1 and c = 0, the logit-adjusted "
        "loss b = 1 and c = -1, relative weights b = 0 and c = 1 (the margins for which Proposition 4 of Rawat et al. "
        "gives weights).",
        _on_slope(
            found.b, "Frequent negatives count more than rare ones.", "Rare negatives count more than frequent ones.",
            "Frequent and rare negatives count about equally.",
            "Whether frequent or rare negatives count more, no slope says.",
        ),
    ]  # fmt: skip
    if found.c is not None:
        beside = "Negatives count more beside frequent positives", "Negatives count more beside rare positives"
        said.append(_on_slope(
            found.c, f"{beside[0]}, which so push harder.", f"{beside[1]}, which so push harder.",
            "Negatives count about equally beside frequent and rare positives.",
            "Whether negatives count more beside frequent or rare positives, no slope says.",
        ))  # fmt: skip
    return [said[0], said[1], said[2], " ".join(said[3:])]


def _on_slope(slope: Slope, positive: str, negative: str, flat: str, unclear: str) -> str:
    """The sentence for the sign of a slope; for one that is 0 within `SLOPE_ERRORS` errors; and for a poor fit."""
    if abs(slope.value) <= SLOPE_ERRORS * slope.error:
        return flat if SLOPE_ERRORS * slope.error <= FLAT_WITHIN else unclear
    return positive if slope.value > 0 else negative


def _on_form(finding: Finding) -> list[str]:
    """What was found of the form of the loss, and whether it repeats itself, a sentence each."""
    kinds = (
        "keeps state",
        "same draws",
        "ignores rng",
        "never counted",
        "looks at scores",
        "unknown form",
        "another form",
        "negative loss",
        *get_args(Kind),
    )
    found: list[Flaw | Note] = [*finding.flaws, *finding.notes]
    said = [str(item) for item in found if item.kind in kinds]
    return [f"{sentence[0].upper()}{sentence[1:]}{'' if sentence.endswith('?') else '.'}" for sentence in said]


def _on_tilt(finding: Finding) -> list[str]:
    """How the optimal scores depend on label frequency."""
    tilt = finding.tilt
    if tilt is None:
        return []
    bound = (
        "Let η be a label's probability given the example, π its frequency in training. Where all η are equal, the "
        f"scores that minimise the bound on this loss have slope {tilt.bound:+.3f} on log π (0: log η, as softmax over "
        "all labels teaches; -1: log η - log π, the balanced rule, which is fair to rare labels)."
    )
    if tilt.true is None or finding.gains is None:
        said = "How many negatives are drawn was not seen, so what the true sampled loss teaches is not known."
        return [bound, said]
    return [bound, f"The true sampled loss teaches slope {tilt.true:+.3f}. {_who(finding.gains, tilt.true)}"]


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
    said = _on_common_factor(finding)
    for y in finding.positives:
        sides = [c for c in finding.comparisons if c.positive == y and c.part in SLICES and c.claimed]
        if sides:
            counts = ", ".join(f"{c.part} ×{c.measured / (c.claimed or 1.0):.3g}" for c in sides)
            said.append(
                f"Beside the positive {finding.prior.name(y)}, negatives count this many times as often as claimed: "
                f"{counts}."
            )
    return said


def _closeness(known_to: float) -> str:
    """A relative distance: in per cent, or as a factor if it is large."""
    if known_to < 0.5:
        return f"{known_to:.0%}" if known_to >= 0.01 else f"{known_to:.1g}".replace("e-0", "e-")
    return f"a factor of {1 + known_to:.2g}"


def _on_common_factor(finding: Finding) -> list[str]:
    """What it means if all slices, beside all positives, are off by one factor, within all limits."""
    slices = [c for c in finding.comparisons if c.part in SLICES and c.claimed and c.measured > 0]
    if finding.verdict != "refuted" or not slices:
        return []
    low, high = max(c.low / (c.claimed or 1.0) for c in slices), min(c.high / (c.claimed or 1.0) for c in slices)
    ratios = [c.measured / (c.claimed or 1.0) for c in slices]
    if low > high or low <= 1 <= high or max(ratios) > COMMON_WITHIN * min(ratios):
        return []
    factor = float(np.median(ratios))
    if not low <= factor <= high:
        return []
    return [
        f"All negatives count about {factor:.3g} times as often as claimed, beside each positive: is a factor lost, or "
        f"{abs(np.log(factor)):.2g} {'taken off' if factor > 1 else 'added to'} the positive's score?"
    ]


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
            f"Beside the positive {finding.prior.name(y)}, its expected gradient is that of softmax over all labels "
            f"times: {ratios}."
        )
    if found.draws is not None:
        few, many = found.draws
        said.append(
            f"An evaluation draws {few if few == many else f'{few} to {many}'} labels (masked hits are not seen), the "
            f"same one up to {found.multiplicity} times; {found.never_drawn} of {finding.prior.n_labels} labels were "
            "never drawn in the first evaluations."
        )
    return said
