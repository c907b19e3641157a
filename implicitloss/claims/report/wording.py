"""The marks, words and numbers that the renderings share."""

from __future__ import annotations

import math
from collections.abc import Sequence

from implicitloss.claims.report.run import Run
from implicitloss.claims.verdict import Evidence, NearMissVerdict, Outcome, Verdict, in_full
from implicitloss.formats import cut, plain

__all__ = [
    "MARKS",
    "NOT_TRIED",
    "NO_POWER",
    "closest_call",
    "conclusion",
    "duration",
    "guarantee",
    "holding",
    "known",
    "label",
    "legend",
    "miss_label",
    "misses_refuted",
    "number",
    "numbers",
    "sentence",
    "small",
    "standing",
    "standings",
    "tone",
    "witness",
    "work",
]

# The witnesses agree, but a false neighbour passed them too, and so their agreement says nothing.
NO_POWER = "no power"
# A witness that found no case within its reach, and so had no say.
NOT_TRIED = "not tried"
MARKS = {"proved": "∎", "exact": "=", "supported": "≈", "refuted": "✗", "inconclusive": "?"}
MARKS |= {NO_POWER: "!", NOT_TRIED: "–"}
MEANINGS = {
    "proved": "proved: an identity in the symbols",
    "exact": "exact: numbers agree within their error bounds",
    "supported": "supported: a simulation found no difference, and would have found one of its resolution",
    "refuted": "refuted: there is a case where it fails",
    "inconclusive": "inconclusive: neither shown nor refuted",
    NO_POWER: "no power: a near miss was not refuted, so the checks could not have failed",
    NOT_TRIED: "not tried: no case was within reach",
}


def number(n: int, noun: str) -> str:
    """So many of these."""
    return f"{n:,} {noun}{'' if n == 1 else 'es' if noun.endswith('s') else 's'}"


def small(bound: float) -> str:
    """An error bound, to two digits."""
    return f"{float(f'{bound:.1e}'):g}".replace("e-0", "e-")


def duration(seconds: float) -> str:
    """A time, to what matters."""
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 100 else f"{seconds / 60:.1f} min"


def standing(of: Verdict | Evidence) -> str:
    """A key of MARKS: the outcome, unless a near miss takes its force away or nothing was tried."""
    if isinstance(of, Evidence):
        return of.outcome.value if of.n_cases else NOT_TRIED
    return NO_POWER if of.outcome.holds and not of.ok else of.outcome.value


def tone(verdict: Verdict, evidence: Evidence) -> str:
    """The colour of a witness: its own outcome, or none if the claim failed while this witness agreed."""
    return standing(evidence) if verdict.ok or not evidence.outcome.holds else ""


def label(standing: str) -> str:
    """Mark and word."""
    return f"{MARKS[standing]} {standing.upper() if standing == 'refuted' else standing}"


def miss_label(outcome: Outcome) -> str:
    """How a near miss fared: to be refuted is the good result."""
    return "✓ refuted" if outcome is Outcome.REFUTED else f"! not refuted but {outcome.value}"


def misses_refuted(misses: Sequence[NearMissVerdict]) -> str:
    """How many of a claim's near misses fell."""
    fallen = sum(miss.outcome is Outcome.REFUTED for miss in misses)
    some = "" if fallen == len(misses) else f"{fallen} of "
    return f"{some}{number(len(misses), 'near miss')} refuted" if misses else "no near miss: power not shown"


def standings(report: Run) -> dict[str, int]:
    """How many claims stand how, without zeros."""
    found = [standing(verdict) for verdict in report.verdicts]
    return {name: found.count(name) for name in MARKS if name in found}


def holding(verdicts: Sequence[Verdict]) -> str:
    """How many claims there are and, if not all hold, how many do."""
    claims, good = number(len(verdicts), "claim"), sum(verdict.ok for verdict in verdicts)
    return claims if good == len(verdicts) else f"{good:,} of {claims} hold"


def conclusion(report: Run) -> str:
    """What came of the run, in a sentence."""
    n, (fallen, misses) = len(report.verdicts), report.near_misses
    if not n:
        return "No claim was selected: nothing was checked."
    if not report.ok:
        refuted = any(v.outcome is Outcome.REFUTED for v in report.failures)
        failed = f"{len(report.failures):,} of {number(n, 'claim')} {'failed' if refuted else 'left open'}"
        return f"{failed}; {fallen:,} of {number(misses, 'near miss')} refuted."
    hold = "The claim holds" if n == 1 else f"All {n:,} claims hold"
    return f"{hold}, and {number(misses, 'near miss')} {'was' if misses == 1 else 'were'} refuted."


def guarantee(report: Run) -> str:
    """The run's error rate, in a sentence."""
    return (
        "The probability that the whole run refutes any true claim, or supports one that is wrong by its resolution, "
        f"is at most {small(report.family_error)}."
    )


def legend(report: Run) -> str:
    """What the marks of the report mean, those that occur in it; and what a near miss is."""
    seen = {standing(v) for v in report.verdicts} | {standing(e) for v in report.verdicts for e in v.evidence}
    marks = "; ".join(f"{MARKS[name]} {text}" for name, text in MEANINGS.items() if name in seen)
    misses = "A near miss is a slightly wrong version of a claim, which the same checks must refute."
    return f"{marks}. {misses}" if marks else misses


def known(report: Run) -> dict[str, str]:
    """The provenance, as text."""
    return {plain(name): plain(value) for name, value in report.provenance.items()}


def numbers(evidence: Evidence) -> dict[str, str]:
    """The case that decided, what was compared there, and the note; what does not apply is left out."""
    bounds = {"tolerance": evidence.tolerance, "resolution": evidence.resolution}
    order = "" if evidence.relation == "=" else f"{evidence.relation} "
    shown = {
        "case": evidence.case,
        "quantity": evidence.quantity,
        "entry": _entry(evidence),
        "observed": _compared(evidence.observed, evidence.tolerance),
        "expected": order + _compared(evidence.expected, evidence.tolerance),
        **{name: "" if bound is None else small(bound) for name, bound in bounds.items()},
        "note": evidence.note,
    }
    return {name: plain(text) for name, text in shown.items() if text}


def closest_call(evidence: Evidence) -> str:
    """The two numbers that were ordered, to three digits; nothing if the claim is no order."""
    observed, expected = evidence.observed, evidence.expected
    if evidence.relation == "=" or not isinstance(observed, float) or not isinstance(expected, float):
        return ""
    entry = f" (entry {_entry(evidence)})" if _entry(evidence) else ""
    return f"{observed:.3g}{entry} {evidence.relation} {expected:.3g}"


def _entry(evidence: Evidence) -> str:
    """Which number of a vector was compared."""
    return "" if evidence.entry is None else f"{evidence.entry} of {evidence.entries}"


def _compared(value: float | str | None, tolerance: float | None) -> str:
    """A formula, or a number to a hundredth of what the comparison tolerates."""
    if not isinstance(value, (int, float)):
        return value or ""
    digits = 15
    if tolerance and value and math.isfinite(ratio := abs(value) / tolerance):
        digits = min(max(math.ceil(math.log10(ratio)) + 2, 3), 15) if ratio > 0 else 3
    return f"{value:.{digits}g}"


def witness(evidence: Evidence) -> str:
    """A witness's name and how it works."""
    return plain(in_full(evidence.method, evidence.detail))


def work(evidence: Evidence) -> list[str]:
    """How much was done for it."""
    counts = (("case", evidence.n_cases), ("run", evidence.runs), ("draw", evidence.draws))
    time = [] if evidence.seconds is None else [duration(evidence.seconds)]
    return [number(n, noun) for noun, n in counts if n is not None] + time


def sentence(evidence: Evidence) -> str:
    """A witness, its outcome, its work and its numbers."""
    done = ", ".join([standing(evidence), *work(evidence)])
    shown = ", ".join(f"{name} {cut(text, 80)}" for name, text in numbers(evidence).items())
    return f"{witness(evidence)}: {done}" + (f"; {shown}" if shown else "")
