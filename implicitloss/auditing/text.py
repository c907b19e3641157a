"""A finding in words: as text for a terminal, as Markdown for a pull request, and as an explanation.

One file: each sentence that a report can have, beside the table that it explains.
"""

from __future__ import annotations

import re
import textwrap
from typing import get_args

import numpy as np

from implicitloss.auditing.comparison import HITS, NEVER, SLICES, Comparison
from implicitloss.auditing.finding import Finding
from implicitloss.auditing.forms import Kind
from implicitloss.auditing.slips import Page, written_in
from implicitloss.auditing.slopes import Slope
from implicitloss.formats import code, markdown, plain
from implicitloss.labels import LabelPrior
from implicitloss.optima.tilt import Gains

__all__ = ["as_markdown", "as_text", "explained"]

MARKS = {"holds": "≈", "refuted": "✗", "inconclusive": "?", "measured": "·"}
# An audit that needs so many times its evaluations is better asked of other labels, where frequencies differ so much.
MANY_TIMES, STEEP = 50, 1_000
# A comparison that is open, and that the verdict does not wait for.
OPEN = "(?)"
# So many comparisons that are open come first in a table.
MOST_OPEN = 8
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
        "inconclusive": "inconclusive: nothing speaks against the claim, but too little was drawn to be sure; "
        f"{_what_may_help(finding, 'coarse' in kinds)}",
        "measured": "measured; nothing was claimed",
    }[finding.verdict]


def _what_may_help(finding: Finding, is_coarse: bool) -> str:
    """What may decide an audit that is inconclusive: a number of runs, if it is known."""
    other = ["gradients"] * any(c.route == "value" for c in finding.comparisons)
    other += ["a loss in single precision"] * is_coarse
    needed, had = finding.runs_needed, max((c.n for c in finding.open), default=0)
    if needed is None:
        return f"{' or '.join(['more evaluations', *other])} may help"
    said = f"by the spread of these {had:,}, runs={needed} should decide"
    p = finding.prior.probabilities
    if needed > MANY_TIMES * had and p.max() > STEEP * p[p > 0].min():
        said += (
            f". Your counts differ by a factor of {p.max() / p[p > 0].min():,.0f}: if the loss takes them as an "
            f"argument, those of LabelPrior.zipf({p.size}, 1.0) take fewer runs"
        )
    return f"{said}; {' or '.join(other)} may help too" if other else said


def _facts(finding: Finding) -> list[tuple[str, str]]:
    """The facts above the table, each with its name."""
    nearest: list[tuple[str, str]] = []
    if _is_known(finding):
        pass  # the claim says it
    elif finding.nearest is not None:
        nearest = [("nearest", plain(finding.nearest))]
    elif finding.slopes is not None:
        nearest = [("nearest", f"no scheme known here; {finding.slopes}")]
    return [
        ("loss", plain(finding.loss)),
        ("claim", plain(finding.claim)),
        *nearest,
        *_fix(finding),
        *(("flaw", plain(flaw)) for flaw in finding.flaws),
        *(("note", plain(note)) for note in finding.notes),
        ("labels", _labels(finding.prior)),
        ("calls", f"{finding.calls:,}{_without_gradients(finding)}, seed {finding.seed}"),
        ("error", f"a true claim is refuted with probability at most {finding.error:g}; conditions: {CONDITIONS}"),
    ]


def _is_known(finding: Finding) -> bool:
    """Whether a claim holds, and no name fits better than to within its resolution: the claim is the name."""
    return finding.verdict == "holds" and (finding.nearest is None or not finding.nearest.agrees)


def _without_gradients(finding: Finding) -> str:
    return ", of values alone (no gradients)" if {c.route for c in finding.comparisons} == {"value"} else ""


def _labels(prior: LabelPrior) -> str:
    """What the columns of the scores are: their number, and the names of the first and the last."""
    never = prior.n_labels - prior.n_occurring
    said = f"{prior.n_labels:,} columns"
    said += "" if prior.counts is None else f", {prior.counts.sum():,.0f} samples"
    said += f", {never:,} with count 0" if never else ""
    if prior.names is None or all(map(str.isdigit, prior.names)):
        return said
    said += f"; the first is {plain(prior.name(0))}, the last {plain(prior.name(prior.n_labels - 1))}"
    falls = prior.n_labels > 2 and bool(np.all(np.diff(prior.probabilities) <= 0))
    return said + " (sorted by count: are the columns too?)" * falls


def _fix(finding: Finding) -> list[tuple[str, str]]:
    """The line of code to write instead of each common slip, and its page."""
    said = []
    for slip in finding.slips:
        right, wrong = (written_in(line, finding.package) for line in (slip.fix, slip.line))
        said += [("fix", right + _if_so(finding)), ("", f"{IN_PLACE_OF}   {wrong}"), ("page", slip.link)]
    return said


def _if_so(finding: Finding) -> str:
    """The proviso of a fix, as a comment, where other draws with other weights have the same margins."""
    said = ["if these are its draws"] * finding.draws_assumed
    said += ["for softmax over all labels, which is not the claim"] * finding.naming.fixes_softmax
    return f"   # {'; '.join(said)}" if said else ""


def _shown(finding: Finding) -> list[Comparison]:
    """The comparisons of the table, at most 24 where slices allow it.

    What is open comes first if nothing else decides, then slices, the worst failures, and others.
    """
    first = _first(finding)
    failures = [c for c in finding.failures if c not in first][:8]
    rest = [c for c in finding.comparisons if c.decisive and c not in failures and c not in first]
    return first + failures + rest[: max(0, 24 - len(failures) - len(first))]


def _first(finding: Finding) -> list[Comparison]:
    """The comparisons that come first: those that a verdict waits for, and the slices."""
    waited = finding.open[:MOST_OPEN] if finding.verdict == "inconclusive" else []
    return waited + [c for c in finding.comparisons if c.part in (*SLICES, HITS, NEVER) and c not in waited]


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


CONDITIONS = "help(implicitloss.audit)"
MORE = "docs/check-my-loss.md#what-the-verdict-means"
WIDTH = 118
# The facts that are code or addresses, and the continuation of one.
IN_PLACE_OF = "in place of"
COPIED = ("fix", "", "page")
HEAD = ["", "positive", "negatives", "claimed Σp", "measured", "between", "ratio"]


def _shows_no_draws(finding: Finding) -> bool:
    """Whether a scheme that draws is named, and its draws were not seen."""
    draws = not any(note.kind == "draws nothing" for note in finding.notes)
    return draws and finding.draw_statistics is None and finding.nearest is not None and finding.nearest.agrees


def _legend(finding: Finding) -> list[str]:
    """What the table's marks and words mean, in a few lines; what does not occur is left out."""
    if not finding.has_margins:
        return []
    shown = _shown(finding)
    marks, groups = {_mark(finding, c) for c in shown}, {c.part for c in shown}
    refuted = [c for c in shown if c.result(finding.tolerance) == "refuted"]
    hidden = len(finding.comparisons) - len(shown)
    said = [
        {
            "Σp: how often these negatives count together beside this positive, in the mean; in softmax over all "
            "labels, each once.": True,
        },
        {
            f"Marks: {', '.join(f'{MARKS[r]} {word}' for r, word in WORDS.items() if MARKS[r] in marks)}.": True,
            f"{OPEN} open, but drawn too seldom: the verdict does not wait for it.": OPEN in marks,
            "✗ where 0 is claimed: one hit refutes, whatever the limits.": any(c.claimed == 0 for c in refuted),
            "? whose limits leave out the claim: a call weighed more than the limits assume.": any(
                c.exceeds_bound and c.off_by > 1 for c in shown
            ),
        },
        {
            "head, torso, tail: frequent, middle and rare labels.": bool(groups & set(SLICES)),
            "accidental hits: draws of the positive itself.": HITS in groups,
            "ranks: labels by frequency, the most frequent first.": any(c.ranks is not None for c in shown),
            "the pilot: the first evaluations.": NEVER in groups,
            "nearest: by its margins, because no draws were seen.": _shows_no_draws(finding),
        },
        {f"{hidden} groups more: in JSON and to_frame().": hidden > 0, f"More: {MORE}": True},
    ]
    lines = [" ".join(sentence for sentence, occurs in line.items() if occurs) for line in said]
    return [line for line in lines if line]


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
    said = [
        ("verdict", f"{MARKS[finding.verdict]} {_title(finding)}"),
        *((n, f"{n:<9}{text}") for n, text in _facts(finding)),
    ]
    # Code and addresses are copied, and so they are not wrapped.
    head = [part for name, text in said for part in ([text] if name in COPIED else _wrapped(text, 9))]
    legend = [line for text in _legend(finding) for line in _wrapped(text, 2)]
    below = ["", *(row.rstrip() for row in table), "", *legend] if table else []
    return "\n".join([*head, *below])


def _wrapped(text: str, indent: int = 0) -> list[str]:
    """The lines of a text; addresses stay whole."""
    return textwrap.wrap(text, WIDTH, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False)


def as_markdown(finding: Finding) -> str:
    """The report in Markdown, for the summary of a CI step."""
    rows = [[markdown(part) for part in _row(finding, cell)] for cell in _shown(finding)]
    table = [HEAD, ["---"] * 3 + ["---:"] * 4, *rows] if finding.has_margins else []
    lines = ["| " + " | ".join(row) + " |" for row in table]
    first = 2 + len(_first(finding))
    more = ["", "<details><summary>More groups of labels</summary>", "", *lines[:2], *lines[first:], "", "</details>"]
    return "\n".join(
        [
            f"### {markdown(finding.loss)}: {markdown(_title(finding))}", "",
            *(_in_markdown(name, text) for name, text in _facts(finding)), "",
            *(line for part in _explanation(finding)[1:] for line in (markdown(part), "")),
            *lines[:first], *(more if lines[first:] else []), "",
            *(f"- {markdown(text)}" for text in _legend(finding)), "",
        ]
    )  # fmt: skip


def _in_markdown(name: str, text: str) -> str:
    """A fact as an item of a list; code as code."""
    if not name:
        return f"  {IN_PLACE_OF} {code(text.removeprefix(IN_PLACE_OF))}"
    return f"- **{name}:** {code(text) if name == 'fix' else markdown(text)}"


def explained(finding: Finding) -> str:
    """Explain what the loss optimises, what that teaches, and which labels gain."""
    return "\n".join(line for part in _explanation(finding) for line in _wrapped(plain(part)))


def _explanation(finding: Finding) -> list[str]:
    """The verdict, and what follows, a paragraph each."""
    parts = [_title(finding) + ".", *_on_form(finding)]
    for page in (flaw.page for flaw in finding.flaws if flaw.page is not None):
        parts += [f"{page.does} {page.wrong}", *_instead(finding, page)]
    if finding.nearest is None:
        said = any(note.kind in ("ignores rng", "unknown form") for note in finding.notes)
        if said or not finding.has_margins:
            return parts
        of_slopes = [] if _is_known(finding) else _on_slopes(finding)
        return [*parts, *of_slopes, *_on_slices(finding), *_on_draws(finding)]
    fit = finding.nearest
    if _is_known(finding):
        return [*parts, *_on_slices(finding), *_on_draws(finding)]
    parts.append(
        f"Its margins (how often each negative counts, in the mean) are those of: {fit.name}."
        if fit.agrees
        else f"No scheme known here has its margins (how often each negative counts, in the mean); the nearest: {fit}."
    )
    if finding.slips and finding.draws_assumed:
        parts.append("Other draws with other weights may have the same margins. If these are its draws:")
    for slip in finding.slips:
        parts += [f"{slip.does} {slip.wrong}", *_instead(finding, slip)]
    if _shows_no_draws(finding):
        parts.append("Values show no draws: any other sampler, weights and m with these margins fit as well.")
    if finding.slopes is not None:
        parts += _on_slopes(finding)[1:]
    return [*parts, *_on_tilt(finding), *_on_slices(finding), *_on_draws(finding)]


def _instead(finding: Finding, slip: Page) -> list[str]:
    """The line to write, with the names in it, and the page."""
    line = written_in(slip.fix, finding.package)
    names = {"f_neg": "the logits f_neg of negatives", "neg": "their labels neg", "q": "their law q"}
    used = [said for name, said in names.items() if re.search(rf"\b{name}\b", line)]
    about = f", with {', '.join(used)}" if used else ""
    return [f"Write instead{about}: {line}", f"More on it: {slip.link}"]


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
            "The slope b is not known well enough to say whether frequent or rare negatives count more.",
        ),
    ]  # fmt: skip
    if not found.fits:
        return said[:3]
    if found.c is not None:
        beside = "Negatives count more beside frequent positives", "Negatives count more beside rare positives"
        said.append(_on_slope(
            found.c, f"{beside[0]}, which so push harder.", f"{beside[1]}, which so push harder.",
            "Negatives count about equally beside frequent and rare positives.",
            "The slope c is not known well enough to say beside which positives negatives count more.",
        ))  # fmt: skip
    return [said[0], said[1], said[2], " ".join(said[3:])]


def _on_slope(slope: Slope, positive: str, negative: str, flat: str, unclear: str) -> str:
    """The sentence for the sign of a slope; for one that is 0 within `SLOPE_ERRORS` errors; and for a poor fit."""
    if abs(slope.value) <= SLOPE_ERRORS * slope.error:
        return flat if SLOPE_ERRORS * slope.error <= FLAT_WITHIN else unclear
    return positive if slope.value > 0 else negative


def _on_form(finding: Finding) -> list[str]:
    """The flaws, and what was found of the form of the loss and of its draws, a sentence each."""
    kinds = (
        "keeps state",
        "ignores rng",
        "never counted",
        "looks at scores",
        "unknown form",
        "hard negatives",
        "other positives",
    )
    notes = (note for note in finding.notes if note.kind in (*kinds, *get_args(Kind)))
    said = [*map(str, finding.flaws), *map(str, notes)]
    return [f"{sentence[0].upper()}{sentence[1:]}{'' if sentence.endswith('?') else '.'}" for sentence in said]


def _on_tilt(finding: Finding) -> list[str]:
    """How the optimal scores depend on label frequency."""
    tilt = finding.tilt
    if tilt is None:
        return []
    n_labels = finding.prior.n_labels
    labels = f"all {n_labels:,}" if tilt.labels == n_labels else f"{tilt.labels:,} of the {n_labels:,}"
    bound = (
        "Let η be a label's probability given the example, and π its frequency in training. The tilt, the slope of "
        f"the best scores on log π over {labels} labels where all η are equal, says which labels gain. At 0 the scores "
        "are log η, as softmax over all labels teaches; at -1 they are log η - log π, the balanced rule, which is fair "
        f"to rare labels. By the bound on this loss the tilt is {tilt.bound:+.3f}."
    )
    if tilt.true is None or finding.gains is None:
        scheme = None if finding.nearest is None else finding.nearest.scheme
        said = "How negatives are drawn was not seen, so what the true sampled loss teaches is not known."
        if scheme is not None and scheme.draws != "iid" and finding.nearest is not None and finding.nearest.m_known:
            said = (
                "What the true sampled loss teaches was not computed for these draws, which bring no label twice; its "
                "tilt may be another one. See il.population_optimum."
            )
        return [bound, said]
    return [bound, f"The tilt of the true sampled loss is {tilt.true:+.3f}. {_who(finding.gains, tilt.true)}"]


def _who(gains: Gains, tilt: float) -> str:
    """Which labels gain, and how to predict."""
    if gains == "neither":
        return "Neither frequent nor rare labels gain: the scores are log η, and the largest is the likeliest label."
    if abs(tilt + 1) < BALANCED_WITHIN:
        return (
            "Rare labels gain: the scores are log η - log π, right for balanced error as they are; for the likeliest "
            "label add log π."
        )
    if gains == "frequent":
        return f"Frequent labels gain: for the likeliest label take about {tilt:.2g} log π off the scores."
    return f"Rare labels gain: for the likeliest label add about {-tilt:.2g} log π to the scores."


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
    if finding.verdict != "refuted" or not slices or any(note.kind == "hard negatives" for note in finding.notes):
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


def _beside_draws(finding: Finding) -> str:
    """How many of the labels are hard negatives, which are not drawn."""
    hard = None if finding.nearest is None else finding.nearest.scheme.hard
    return "" if hard is None else f"{hard.most} of them hard negatives; "


def _never(n: int, of: int) -> str:
    return {0: f"none of {of} labels was", 1: f"1 of {of} labels was"}.get(n, f"{n} of {of} labels were")


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
        repeats = "none of them twice" if found.multiplicity == 1 else f"the same one up to {found.multiplicity} times"
        said.append(
            f"An evaluation draws {few if few == many else f'{few} to {many}'} labels ({_beside_draws(finding)}masked "
            f"hits are not seen), {repeats}; "
            f"{_never(found.never_drawn, finding.prior.n_labels)} never drawn in the first evaluations."
        )
    return said
