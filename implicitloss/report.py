"""A run's verdicts as text, JSON, Markdown, JUnit XML or one HTML page: it computes nothing and writes no files.

Every rendering is a pure function of a `Report`.  Failures come first; a claim that does not stand, or whose near
misses do not all fall, is never shown as a pass.
"""

from __future__ import annotations

import html
import json
import math
import re
import shlex
import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any
from xml.etree import ElementTree

from implicitloss.verdict import Evidence, NearMissVerdict, Outcome, Verdict

SCHEMA = 1

# "no power": the witnesses agree, but a false neighbour passed them too, and so their agreement says nothing.
NO_POWER = "no power"
MARKS = {"proved": "∎", "exact": "=", "supported": "≈", "refuted": "✗", "inconclusive": "?", NO_POWER: "!"}


@dataclass(frozen=True)
class Report:
    """The verdicts of one run and what is needed to repeat it.

    `family_error` bounds the chance that the run refutes any true claim, or supports one that is off by its
    resolution.  `rerun` is a command with "{id}" where a claim's id belongs.
    """

    title: str
    verdicts: tuple[Verdict, ...]
    provenance: Mapping[str, Any]
    family_error: float
    rerun: str

    @property
    def failures(self) -> tuple[Verdict, ...]:
        """Claims that do not stand or have a near miss that was not refuted; refuted ones first."""
        return tuple(sorted((v for v in self.verdicts if not v.ok), key=lambda v: v.outcome is not Outcome.REFUTED))

    @property
    def ok(self) -> bool:
        """Every claim stands and every near miss was refuted."""
        return not self.failures

    @property
    def counts(self) -> dict[Outcome, int]:
        """How many claims had each outcome, strongest outcome first, zeros included."""
        return {outcome: sum(v.outcome is outcome for v in self.verdicts) for outcome in Outcome}

    @property
    def near_misses(self) -> tuple[int, int]:
        """How many near misses were refuted, and how many there are."""
        return _fallen(miss for verdict in self.verdicts for miss in verdict.near_misses)

    @property
    def seconds(self) -> float:
        """The time that the claims took, one after the other."""
        return math.fsum(verdict.seconds for verdict in self.verdicts)

    @property
    def exit_code(self) -> int:
        """0: all hold; 1: a claim or the power of its checks failed; 5: there was nothing to check."""
        if not self.verdicts:
            return 5
        return 0 if self.ok else 1

    def command(self, verdict: Verdict) -> str:
        """The command that settles this one claim again."""
        return self.rerun.replace("{id}", shlex.quote(verdict.id))


def provenance(**more: Any) -> dict[str, Any]:
    """Versions and platform, then `more` (seed, prior, command, ...); names no host, and files by name only."""
    import importlib.metadata
    import platform

    from implicitloss import __version__

    found: dict[str, Any] = {"implicitloss": __version__, "python": platform.python_version()}
    for package in ("numpy", "scipy", "sympy", "numba"):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    found["platform"] = f"{platform.system()} {platform.machine()}"
    return found | {name: _without_folders(_plain(value)) for name, value in more.items()}


# --- what every rendering says ----------------------------------------------------------------------------------

_FOLDERS = re.compile(r"(?<![\w./:\\])(?:~?/|\\\\|[A-Za-z]:[/\\])(?:[^\s/\\'\"]+[/\\])+(?=[^\s/\\'\"])")


def _without_folders(value: Any) -> Any:
    """Absolute paths in strings cut to the file's name: the rest tells on a machine and means nothing on another."""
    if isinstance(value, dict):
        return {key: _without_folders(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_without_folders(entry) for entry in value]
    return _FOLDERS.sub("", value) if isinstance(value, str) else value


def _plain(value: Any) -> Any:
    """Values of strict JSON: NaN becomes null, an infinity a string, what is unknown its text."""
    if isinstance(value, Enum):
        return _plain(value.value)
    if isinstance(value, str):
        # A command line with undecodable bytes holds lone surrogates, which no file in UTF-8 can.
        return value.encode(errors="replace").decode()
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        if math.isfinite(value):
            return float(value)
        return None if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, Mapping):
        return {str(_plain(key)): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    # NumPy's scalars and arrays, without importing NumPy.
    return _plain(value.tolist()) if hasattr(value, "tolist") else str(value)


def _clean(text: str) -> str:
    """On one line, and without the control characters that would steer a terminal or break XML."""
    shown = "".join(c if c.isprintable() else " " if c.isspace() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return " ".join(shown.split())


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: max(limit - 1, 0)].rstrip() + "…"


def _number(n: int, noun: str, plural: str = "") -> str:
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"


def _small(bound: float) -> str:
    return f"{bound:.2g}".replace("e-0", "e-")


def _duration(seconds: float) -> str:
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 100 else f"{seconds / 60:.1f} min"


def _fallen(misses: Iterable[NearMissVerdict]) -> tuple[int, int]:
    outcomes = [miss.outcome for miss in misses]
    return outcomes.count(Outcome.REFUTED), len(outcomes)


def _fallen_text(misses: Sequence[NearMissVerdict]) -> str:
    fallen, of = _fallen(misses)
    return f"{fallen} of {_number(of, 'near miss', 'near misses')} refuted" if of else "no near miss: power not shown"


def _standing(verdict: Verdict) -> str:
    """A key of MARKS: the outcome, unless a near miss takes its force away."""
    return NO_POWER if verdict.outcome.holds and not verdict.ok else verdict.outcome.value


def _standings(report: Report) -> dict[str, int]:
    found = Counter(map(_standing, report.verdicts))
    return {name: found[name] for name in MARKS if found[name]}


def _word(standing: str) -> str:
    return standing.upper() if standing == "refuted" else standing


def _papers(report: Report) -> dict[str, list[Verdict]]:
    """Claims by the part of their id before the first dot."""
    papers: dict[str, list[Verdict]] = {}
    for verdict in report.verdicts:
        papers.setdefault(_clean(verdict.id.split(".")[0]), []).append(verdict)
    return papers


def _conclusion(report: Report) -> str:
    n, (fallen, misses) = len(report.verdicts), report.near_misses
    if not n:
        return "No claim was selected: nothing was checked."
    if not report.ok:
        failed = f"{len(report.failures):,} of {_number(n, 'claim')} failed"
        return f"{failed}; {fallen:,} of {_number(misses, 'near miss', 'near misses')} refuted."
    tried = f", and {_number(fallen, 'near miss was', 'near misses were')} refuted" if misses else ""
    return f"{'The claim holds' if n == 1 else f'All {n:,} claims hold'}{tried}."


def _guarantee(report: Report) -> str:
    return (
        f"The chance that the whole run refutes any true claim, or supports one that is off by its resolution, is at "
        f"most {_small(report.family_error)}."
    )


def _numbers(evidence: Evidence) -> dict[str, str]:
    """The case that decided, and what was compared there; what does not apply is left out."""
    shown = {name: _clean(getattr(evidence, name)) for name in ("case", "observed", "expected")}
    for name, bound in (("tolerance", evidence.tolerance), ("resolution", evidence.resolution)):
        shown[name] = "" if bound is None else _small(bound)
    return {name: text for name, text in shown.items() if text}


def _work(evidence: Evidence, timed: bool = True) -> list[str]:
    """How much was done for it."""
    counts = (("case", evidence.n_cases), ("run", evidence.runs), ("draw", evidence.draws))
    time = [_duration(evidence.seconds)] if timed and evidence.seconds is not None else []
    return [_number(n, noun) for noun, n in counts if n is not None] + time


def _sentence(evidence: Evidence) -> str:
    numbers = ", ".join(f"{name} {_cut(text, 80)}" for name, text in _numbers(evidence).items())
    parts = (f"{_clean(evidence.method)}: {evidence.outcome.value}", numbers, _clean(evidence.note))
    return "; ".join(part for part in parts if part)


def _survived(miss: NearMissVerdict) -> str:
    return f"near miss not refuted but {miss.outcome.value}: {_clean(miss.statement)}"


def _reasons(verdict: Verdict) -> list[str]:
    """Why a claim failed, a sentence a witness or near miss."""
    reasons = [_sentence(evidence) for evidence in verdict.evidence if not evidence.outcome.holds]
    reasons += [_survived(miss) for miss in verdict.near_misses if miss.outcome is not Outcome.REFUTED]
    return reasons or ["no evidence"]


def _provenance(report: Report) -> list[tuple[str, str]]:
    pairs = _plain(report.provenance).items()
    return [(_clean(k), _clean(v if isinstance(v, str) else json.dumps(v, ensure_ascii=False))) for k, v in pairs]


# --- JSON -------------------------------------------------------------------------------------------------------


def to_json(report: Report) -> str:
    """Strict JSON, from which the other renderings could be made: see `SCHEMA`."""
    refuted, total = report.near_misses
    document = {
        "schema": SCHEMA,
        "title": report.title,
        "summary": {
            "ok": report.ok,
            "claims": len(report.verdicts),
            "failed": len(report.failures),
            "counts": report.counts,
            "near_misses": {"refuted": refuted, "total": total},
            "seconds": round(report.seconds, 3),
        },
        "family_error": report.family_error,
        "provenance": report.provenance,
        "claims": [{**v.to_dict(), "ok": v.ok, "rerun": report.command(v)} for v in report.verdicts],
    }
    return json.dumps(_plain(document), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


# --- text -------------------------------------------------------------------------------------------------------

_ANSI = {
    "proved": "1;32",
    "exact": "32",
    "supported": "32",
    "refuted": "1;31",
    "inconclusive": "1;33",
    NO_POWER: "1;33",
    "dim": "2",
    "bold": "1",
}


@dataclass(frozen=True)
class _Terminal:
    color: bool
    width: int

    def paint(self, text: str, tone: str) -> str:
        return f"\x1b[{_ANSI[tone]}m{text}\x1b[0m" if self.color and tone and text else text

    def rule(self, text: str, tone: str) -> str:
        return self.paint(f"── {_cut(text, self.width - 4)} ".ljust(self.width, "─"), tone)

    def wrap(self, text: str, indent: int, label: str = "", tone: str = "") -> list[str]:
        """`text` beside a dim `label`, its further lines under its first."""
        lines = textwrap.wrap(text, max(self.width - indent - len(label), 20), break_on_hyphens=False) or [""]
        margins = [self.paint(label, "dim")] + [" " * len(label)] * (len(lines) - 1)
        return [" " * indent + margin + self.paint(line, tone) for margin, line in zip(margins, lines, strict=True)]

    def pack(self, items: Iterable[tuple[str, str, str]], indent: int, hang: int = 0, gap: str = "  ") -> list[str]:
        """Each (dim label, text, tone) cut to one line, as many to a line as fit."""
        lines: list[str] = []
        room = 0
        for label, text, tone in items:
            margin = indent + (hang if lines else 0)
            text = _cut(text, self.width - margin - len(label))
            shown, size = self.paint(label, "dim") + self.paint(text, tone), len(label) + len(text)
            if lines and len(gap) + size <= room:
                lines[-1] += self.paint(gap, "dim") + shown
                room -= len(gap) + size
            else:
                lines.append(" " * margin + shown)
                room = self.width - margin - size
        return lines


def to_text(report: Report, color: bool = False, width: int = 100) -> str:
    """For a terminal: failures in full, each claim by paper, the summary last; ANSI colours where `color`."""
    page = _Terminal(color, max(width, 40))
    lines = [*page.wrap(_clean(report.title), 0, tone="bold"), ""]
    if report.failures:
        lines += [page.rule(f"FAILURES ({len(report.failures)})", "refuted"), ""]
        for verdict in report.failures:
            lines += [*_block(page, verdict, True), *page.wrap(_clean(report.command(verdict)), 4, "rerun: "), ""]
    for paper, verdicts in _papers(report).items():
        lines += [page.rule(f"{paper} ({_number(len(verdicts), 'claim')})", "bold"), ""]
        for verdict in verdicts:
            lines += [*(_block(page, verdict, False) if verdict.ok else [_headline(page, verdict, "above")]), ""]
    lines.append(page.rule("Summary", "bold"))
    lines += page.wrap(" · ".join(f"{name} {value}" for name, value in _provenance(report)), 0, tone="dim")
    lines += page.wrap(_guarantee(report), 0, tone="dim")
    lines += page.pack([("", f"{MARKS[k]} {n:,} {_word(k)}", k) for k, n in _standings(report).items()], 0)
    tone = {0: "exact", 1: "refuted"}.get(report.exit_code, "inconclusive")
    lines += page.wrap(f"{_conclusion(report)} {_duration(report.seconds)}.", 0, tone=tone)
    return "\n".join(lines) + "\n"


def _headline(page: _Terminal, verdict: Verdict, aside: str) -> str:
    standing = _standing(verdict)
    badge, aside = f"{MARKS[standing]} {_word(standing):<12} ", f"  {aside}"
    room = page.width - len(badge) - len(aside)
    name = _cut(_clean(verdict.id), room)
    gap = " " * (room - len(name))
    return page.paint(badge, standing) + page.paint(name, "bold") + gap + page.paint(aside, "dim")


def _block(page: _Terminal, verdict: Verdict, full: bool) -> list[str]:
    lines = [_headline(page, verdict, _duration(verdict.seconds)), *page.wrap(_clean(verdict.statement), 4)]
    if full:
        lines += page.wrap(_clean(verdict.source), 4, "source: ")
        lines += [line for assumed in verdict.assumptions for line in page.wrap(_clean(assumed), 4, "assuming: ")]
    for evidence in verdict.evidence:
        # In a claim that failed, the agreement of one witness is no pass.
        tone = evidence.outcome.value if verdict.ok or not evidence.outcome.holds else ""
        lines += _evidence_lines(page, evidence, 4, tone, full)
    lines += page.pack([("", _fallen_text(verdict.near_misses), "" if verdict.near_misses else "inconclusive")], 4)
    for miss in verdict.near_misses:
        if miss.outcome is Outcome.REFUTED:
            lines += page.pack([("", f"– {_clean(miss.statement)}", "dim")], 8)
            continue
        lines += page.wrap(f"! NOT REFUTED ({miss.outcome.value}): {_clean(miss.statement)}", 8, tone=NO_POWER)
        lines += [line for evidence in miss.evidence for line in _evidence_lines(page, evidence, 10, "", full)]
    return lines


def _evidence_lines(page: _Terminal, evidence: Evidence, indent: int, tone: str, full: bool) -> list[str]:
    """The method and its amount of work, then the numbers: packed, or one below the other where `full`."""
    word = f": {_word(evidence.outcome.value)}" if full else ""
    method = ("", f"{MARKS[evidence.outcome.value]} {_clean(evidence.method)}{word}", tone)
    lines = page.pack([method, *((work, "", "") for work in _work(evidence, timed=full))], indent, hang=4, gap=" · ")
    shown = _numbers(evidence) | ({"note": _clean(evidence.note)} if evidence.note else {})
    if not full:
        # The case is one of many; the page and the JSON name it.
        return lines + page.pack([(f"{k} ", v, "") for k, v in shown.items() if k not in ("case", "note")], indent + 4)
    for name, text in shown.items():
        # Four lines tell formulas apart; more of them would bury the failure.
        lines += page.wrap(_cut(text, 4 * (page.width - indent - 20)), indent + 4, f"{name:<11}")
    return lines


# --- Markdown ---------------------------------------------------------------------------------------------------


def to_markdown(report: Report) -> str:
    """GitHub-flavoured: the conclusion, the failures, a table a paper, the summary."""
    lines = [f"# {_escaped(report.title)}", "", f"**{_escaped(_conclusion(report))}**", ""]
    failures = []
    for verdict in report.failures:
        why = "<br>".join(map(_escaped, _reasons(verdict)))
        failures.append([*_claim_markdown(verdict), why, _code(report.command(verdict))])
    if failures:
        lines += ["## Failures", "", *_table_markdown(("outcome", "claim", "why", "rerun"), failures), ""]
    for paper, verdicts in _papers(report).items():
        rows = []
        for verdict in verdicts:
            evidence = "<br>".join(map(_evidence_markdown, verdict.evidence))
            misses = [_fallen_text(verdict.near_misses), *map(_near_miss_markdown, verdict.near_misses)]
            rows.append([*_claim_markdown(verdict), evidence, "<br>".join(misses)])
        head = ("outcome", "claim", "evidence", "near misses")
        lines += [f"## {_escaped(paper)}", "", *_table_markdown(head, rows), ""]
    summary = [(f"{MARKS[name]} {_word(name)}", f"{n:,}") for name, n in _standings(report).items()]
    summary += [
        ("near misses refuted", "{:,} of {:,}".format(*report.near_misses)),
        ("time", _duration(report.seconds)),
    ]
    lines += ["## Summary", "", *_table_markdown(("", "claims"), summary), "", _escaped(_guarantee(report)), ""]
    known = [(_escaped(name), _code(value)) for name, value in _provenance(report)]
    lines += ["## Provenance", "", *_table_markdown(("", ""), known)]
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return re.sub(r"([\\`*_\[\]|~$])", r"\\\1", html.escape(_clean(text), quote=False))


def _code(text: str) -> str:
    """A code span; a table takes a pipe for its own even there."""
    text = _clean(text)
    fence = "`" * (max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    pad = " " if "`" in text else ""
    return f"{fence}{pad}{text}{pad}{fence}".replace("|", r"\|") if text else ""


def _claim_markdown(verdict: Verdict) -> tuple[str, str]:
    word = f"{MARKS[_standing(verdict)]} {_word(_standing(verdict))}"
    claim = f"{_code(verdict.id)}<br>{_escaped(verdict.statement)}<br>*{_escaped(verdict.source)}*"
    return (word if verdict.ok else f"**{word}**"), claim


def _near_miss_markdown(miss: NearMissVerdict) -> str:
    refuted = miss.outcome is Outcome.REFUTED
    return f"{'✓ refuted' if refuted else f'**! not refuted, {miss.outcome.value}**'}: {_escaped(miss.statement)}"


def _evidence_markdown(evidence: Evidence) -> str:
    parts = [f"{MARKS[evidence.outcome.value]} {_escaped(evidence.method)}", *_work(evidence)]
    parts += [f"{name} {_code(_cut(text, 80))}" for name, text in _numbers(evidence).items() if name != "case"]
    return ", ".join(parts)


def _table_markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]


# --- JUnit XML --------------------------------------------------------------------------------------------------


def to_junit(report: Report) -> str:
    """One test suite: a test case a claim, and one a near miss, which passes where that was refuted."""
    root = ElementTree.Element("testsuites")
    suite = ElementTree.SubElement(root, "testsuite", name=_clean(report.title), time=f"{report.seconds:.3f}")
    properties = ElementTree.SubElement(suite, "properties")
    for name, value in [*_provenance(report), ("family_error", _small(report.family_error))]:
        ElementTree.SubElement(properties, "property", name=name, value=value)
    tests = 0
    counts = {"failure": 0, "error": 0}

    def case(verdict: Verdict, suffix: str, seconds: float, kind: str, message: str, said: Sequence[str]) -> None:
        nonlocal tests
        tests += 1
        module, _, name = _clean(verdict.id).rpartition(".")
        about = {"classname": module or name, "name": name + suffix, "time": f"{seconds:.3f}"}
        test = ElementTree.SubElement(suite, "testcase", about)
        if kind:
            counts[kind] += 1
            ElementTree.SubElement(test, kind, message=message)
        (test[0] if kind else ElementTree.SubElement(test, "system-out")).text = "\n".join(said)

    kinds = {Outcome.REFUTED: "failure", Outcome.INCONCLUSIVE: "error"}
    for verdict in report.verdicts:
        rerun = f"rerun: {_clean(report.command(verdict))}"
        said = [_clean(verdict.statement), *map(_sentence, verdict.evidence), rerun]
        message = f"{_word(verdict.outcome.value)}: {_clean(verdict.statement)}"
        case(verdict, "", verdict.seconds, kinds.get(verdict.outcome, ""), message, said)
        for k, miss in enumerate(verdict.near_misses, 1):
            # The claim's time includes that of its near misses.
            kind = "" if miss.outcome is Outcome.REFUTED else "failure"
            suffix = f" near miss {k}: {_clean(miss.statement)}"
            case(verdict, suffix, 0.0, kind, _survived(miss), [*map(_sentence, miss.evidence), rerun])
    totals = {"tests": tests, "failures": counts["failure"], "errors": counts["error"], "skipped": 0}
    suite.attrib.update({name: str(n) for name, n in totals.items()})
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


# --- HTML -------------------------------------------------------------------------------------------------------

# Blue, teal, vermilion and amber are told apart by colour-blind readers too; each badge also has a mark and a word.
_STYLE = """
:root{color-scheme:light dark;--bg:#fff;--fg:#1c2127;--dim:#545d68;--line:#d3d9df;--panel:#f5f7f9;--link:#00579b;
--blue:#00548f;--teal:#006357;--red:#a63100;--amber:#805300;--on:#fff;--teal-soft:#daf1ec;--amber-soft:#fff1cc}
@media(prefers-color-scheme:dark){:root{--bg:#11161b;--fg:#e4e8ec;--dim:#a3afba;--line:#343c45;--panel:#1a2128;
--link:#80c2f5;--blue:#80c2f5;--teal:#5fcdb9;--red:#ff9b70;--amber:#ffcf66;--on:#10151a;--teal-soft:#0f3832;
--amber-soft:#3a2d06}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1.5rem clamp(.75rem,3vw,2.5rem) 4rem;max-width:76rem;background:var(--bg);color:var(--fg);
font:1rem/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","DejaVu Sans",sans-serif;overflow-wrap:anywhere}
h1{font-size:1.65rem;line-height:1.25;margin:.25rem 0 .5rem}h2{font-size:1.2rem;margin:2.25rem 0 .6rem}
h3{font-size:.95rem;margin:1.1rem 0 .35rem}h2 small,.dim,dt{font-weight:400;color:var(--dim)}
p{margin:.4rem 0;max-width:75ch}a{color:var(--link)}ul{margin:0;padding-left:1.1rem}
code{font:.88em/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace}
.conclusion{font-size:1.15rem;font-weight:600;padding-left:.75rem;border-left:.35rem solid var(--red)}
.conclusion.good{border-color:var(--teal)}
.tally{display:flex;flex-wrap:wrap;gap:.6rem;list-style:none;margin:1rem 0;padding:0}
.tally li{border:1px solid var(--line);border-radius:.5rem;padding:.4rem .7rem}
.tally b{font-size:1.15rem;padding-left:.25rem}
.badge{display:inline-block;white-space:nowrap;border:1px solid;border-radius:.35rem;padding:0 .45rem;
font-size:.82rem;font-weight:600;line-height:1.6}
.proved{background:var(--blue);border-color:var(--blue);color:var(--on)}
.exact{background:var(--teal);border-color:var(--teal);color:var(--on)}
.supported{background:var(--teal-soft);color:var(--teal)}.plain{color:var(--dim)}
.refuted{background:var(--red);border-color:var(--red);color:var(--on)}
.inconclusive,.no-power{background:var(--amber-soft);color:var(--amber);border-style:dashed}
details,.elsewhere{border:1px solid var(--line);border-radius:.5rem;margin:.5rem 0}
details.failed{border-left:.35rem solid var(--red)}
summary,.elsewhere{display:grid;grid-template-columns:8.5rem minmax(0,1fr) auto;gap:.15rem .75rem;
align-items:baseline;padding:.55rem .8rem}
summary{cursor:pointer;border-radius:.5rem}summary::-webkit-details-marker{display:none}
summary:hover{background:var(--panel)}:focus-visible{outline:3px solid var(--link);outline-offset:1px}
summary .id::before{content:"\\25B8\\00A0";color:var(--dim)}details[open] .id::before{content:"\\25BE\\00A0"}
.statement{grid-column:2/-1}.body{padding:.1rem .8rem .9rem}
dl{display:grid;grid-template-columns:max-content minmax(0,1fr);gap:.15rem 1rem;margin:.5rem 0}dd{margin:0}
.scroll{overflow-x:auto;border:1px solid var(--line);border-radius:.4rem}
table{border-collapse:collapse;width:100%;font-size:.9rem}td dl{margin:0}
th,td{text-align:left;vertical-align:top;padding:.4rem .7rem;border-bottom:1px solid var(--line)}
th{background:var(--panel);font-weight:600}tr:last-child td{border-bottom:0}
.outcome,.work{white-space:nowrap;width:1%}.witness,.near-miss{width:20%;min-width:10rem}.numbers{min-width:19rem}
.command{display:block;background:var(--panel);border:1px solid var(--line);border-radius:.4rem;padding:.4rem .6rem}
@media(max-width:40rem){summary,.elsewhere{grid-template-columns:minmax(0,1fr) auto}.id,.statement{grid-column:1/-1}
.aside{grid-row:1;grid-column:2}.body>dl,footer dl{grid-template-columns:minmax(0,1fr);gap:0}dd{margin-bottom:.2rem}
table,tbody,tr,td{display:block;width:auto!important;min-width:0!important}thead{display:none}
td{border:0;padding:.2rem .6rem}td:empty{display:none}tr{border-bottom:1px solid var(--line);padding:.3rem 0}
tr:last-child{border:0}td.work{white-space:normal}}
"""


def to_html(report: Report) -> str:
    """One page that needs nothing else: summary, failures, the claims by paper, provenance."""
    tally = [f"<li>{_badge(name)} <b>{n:,}</b></li>" for name, n in _standings(report).items()]
    tally.append("<li>near misses refuted <b>{:,} of {:,}</b></li>".format(*report.near_misses))
    tally.append(f"<li>time <b>{_duration(report.seconds)}</b></li>")
    sections = [("Failures", str(len(report.failures)), [_claim_html(report, v) for v in report.failures])]
    for paper, verdicts in _papers(report).items():
        claims = [_claim_html(report, v) if v.ok else _elsewhere_html(v) for v in verdicts]
        sections.append((html.escape(paper), _number(len(verdicts), "claim"), claims))
    body = "\n".join(
        f"<section><h2>{name} <small>{size}</small></h2>\n{''.join(claims)}</section>"
        for name, size, claims in sections
        if claims
    )
    known = "".join(f"<dt>{html.escape(k)}</dt><dd>{html.escape(v)}</dd>" for k, v in _provenance(report))
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{_text(report.title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<header>
<h1>{_text(report.title)}</h1>
<p class="conclusion {"bad" if report.exit_code else "good"}">{html.escape(_conclusion(report))}</p>
<ul class="tally">{"".join(tally)}</ul>
<p class="dim">{html.escape(_guarantee(report))}
A near miss is a false neighbour of a claim, which the same checks have to refute.</p>
</header>
<main>
{body}
</main>
<footer><h2>Provenance</h2><dl>{known}</dl></footer>
</body>
</html>
"""


def _text(text: str) -> str:
    return html.escape(_clean(text))


def _badge(standing: str, tone: str = "") -> str:
    return f'<span class="badge {tone or standing.replace(" ", "-")}">{MARKS[standing]} {_word(standing)}</span>'


def _anchor(verdict: Verdict) -> str:
    return _text(verdict.id).replace(" ", "-")


def _summary_html(verdict: Verdict, name: str, aside: str) -> str:
    return (
        f'<span class="standing">{_badge(_standing(verdict))}</span> <code class="id">{name}</code> '
        f'<span class="aside dim">{aside}</span> <span class="statement">{_text(verdict.statement)}</span>'
    )


def _elsewhere_html(verdict: Verdict) -> str:
    link = f'<a href="#{_anchor(verdict)}">{_text(verdict.id)}</a>'
    return f'<div class="elsewhere">{_summary_html(verdict, link, "above")}</div>'


def _claim_html(report: Report, verdict: Verdict) -> str:
    facts = f"<dt>Source</dt><dd>{_text(verdict.source)}</dd>"
    reasons = () if verdict.ok else _reasons(verdict)
    for name, sentences in (("Assuming", verdict.assumptions), ("Why it failed", reasons)):
        items = "".join(f"<li>{_text(sentence)}</li>" for sentence in sentences)
        facts += f"<dt>{name}</dt><dd><ul>{items}</ul></dd>" if items else ""
    evidence, misses = [], []
    for e in verdict.evidence:
        # In a claim that failed, the agreement of one witness is no pass.
        evidence.append([_badge(e.outcome.value, "" if verdict.ok or not e.outcome.holds else "plain"), *_row_html(e)])
    for miss in verdict.near_misses:
        rows = [[_miss_badge(e.outcome), *_row_html(e)] for e in miss.evidence]
        rows = rows or [[_miss_badge(miss.outcome), "", "", ""]]
        misses += [[_text(miss.statement) if i == 0 else "", *row] for i, row in enumerate(rows)]
    head = ("outcome", "witness", "numbers", "work")
    return f"""<details id="{_anchor(verdict)}"{"" if verdict.ok else ' class="failed" open'}>
<summary>{_summary_html(verdict, _text(verdict.id), _duration(verdict.seconds))}</summary>
<div class="body"><dl>{facts}</dl>
<h3>Evidence</h3>{_table_html(f"Evidence for {verdict.id}", head, evidence)}
<h3>Near misses: {_fallen_text(verdict.near_misses)}</h3>
{_table_html(f"Near misses of {verdict.id}", ("near miss", *head), misses)}
<h3>Run it again</h3><code class="command">{_text(report.command(verdict))}</code>
</div></details>
"""


def _miss_badge(outcome: Outcome) -> str:
    # For a near miss to be refuted is the good result, so it does not wear the colour of a refuted claim.
    if outcome is Outcome.REFUTED:
        return '<span class="badge supported">✓ refuted</span>'
    return f'<span class="badge no-power">! not refuted: {outcome.value}</span>'


def _row_html(evidence: Evidence) -> list[str]:
    numbers = "".join(f"<dt>{k}</dt><dd><code>{html.escape(v)}</code></dd>" for k, v in _numbers(evidence).items())
    note = f'<p class="dim">{_text(evidence.note)}</p>' if evidence.note else ""
    return [_text(evidence.method) + note, f"<dl>{numbers}</dl>" if numbers else "", "<br>".join(_work(evidence))]


def _table_html(label: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Of cells that are HTML already; it scrolls inside its own box."""
    if not rows:
        return ""
    top = "".join(f'<th scope="col">{name}</th>' for name in head)
    cells = zip(head, zip(*rows, strict=True), strict=True)
    columns = [[f'<td class="{name.replace(" ", "-")}">{cell}</td>' for cell in column] for name, column in cells]
    body = "".join(f"<tr>{''.join(row)}</tr>" for row in zip(*columns, strict=True))
    table = f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="scroll" role="region" tabindex="0" aria-label="{_text(label)}">{table}</div>'
