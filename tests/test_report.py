"""Renderings of synthetic verdicts: nothing is simulated here."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from implicitloss.report import (
    MARKS,
    SCHEMA,
    Report,
    provenance,
    to_html,
    to_json,
    to_junit,
    to_markdown,
    to_text,
)
from implicitloss.verdict import Evidence, NearMissVerdict, Outcome, Verdict

PASSES = [outcome for outcome in Outcome if outcome.holds]
FAILS = [outcome for outcome in Outcome if not outcome.holds]
RENDERINGS = [to_text, to_json, to_markdown, to_junit, to_html]
LONG = " + ".join(f"Sum(q(y_{k})*exp(f(y_{k}) - f(y)), (y_{k}, 1, L))" for k in range(40))
HOSTILE = "<script>alert('&')</script> | `a` | \x1b[32mok\x1b[0m \x00 ]]> $x$ \ud800"


def evidence(outcome: Outcome, **more: object) -> Evidence:
    shown = {
        "case": "m=8",
        "observed": "0.25",
        "expected": "0.5",
        "tolerance": 1e-4,
        "runs": 4_000_000,
        "draws": 32_000_000,
        "seconds": 1.5,
    }
    return Evidence(f"witness of {outcome.value}", outcome, 3, **{**shown, **more})  # type: ignore[arg-type]


def verdict(
    name: str,
    outcome: Outcome = Outcome.PROVED,
    misses: tuple[Outcome, ...] = (Outcome.REFUTED,),
    statement: str = "",
    **more: object,
) -> Verdict:
    return Verdict(
        name,
        statement or f"statement of {name}",
        f"source of {name}",
        (f"assumption of {name}",),
        outcome,
        (evidence(outcome, **more),),
        tuple(NearMissVerdict(f"neighbour {k} of {name}", o, (evidence(o),)) for k, o in enumerate(misses)),
        2.0,
    )


def report(*verdicts: Verdict, **known: object) -> Report:
    return Report("Checks", verdicts, {"seed": 0, **known}, 1e-6, "python -m paper_checks {id} --seed 0")


def mixed() -> Report:
    return report(
        verdict("alpha.one.proved", Outcome.PROVED),
        verdict("alpha.one.doubtful", Outcome.INCONCLUSIVE),
        verdict("alpha.two.weak", Outcome.SUPPORTED, (Outcome.REFUTED, Outcome.SUPPORTED)),
        verdict("beta.exact", Outcome.EXACT),
        verdict("beta.supported", Outcome.SUPPORTED),
        verdict("beta.wrong", Outcome.REFUTED),
    )


def lines_of(text: str, part: str) -> list[str]:
    return [line for line in text.splitlines() if part in line]


# --- the report -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", Outcome)
def test_exit_code_follows_the_outcome(outcome: Outcome) -> None:
    one = report(verdict("a.fine"), verdict("a.b", outcome))
    assert (one.ok, one.exit_code) == ((True, 0) if outcome.holds else (False, 1))


@pytest.mark.parametrize("outcome", [o for o in Outcome if o is not Outcome.REFUTED])
def test_a_near_miss_that_stands_is_a_failure(outcome: Outcome) -> None:
    one = report(verdict("a.b", Outcome.PROVED, (Outcome.REFUTED, outcome)))
    assert not one.ok
    assert one.exit_code == 1
    assert one.near_misses == (1, 2)


def test_nothing_selected_is_an_exit_code_of_its_own() -> None:
    assert report().exit_code == 5
    for render in RENDERINGS:
        assert render(report())


def test_counts_name_every_outcome() -> None:
    assert mixed().counts == {
        Outcome.PROVED: 1,
        Outcome.EXACT: 1,
        Outcome.SUPPORTED: 2,
        Outcome.REFUTED: 1,
        Outcome.INCONCLUSIVE: 1,
    }


def test_failures_put_refuted_claims_first() -> None:
    assert [v.id for v in mixed().failures] == ["beta.wrong", "alpha.one.doubtful", "alpha.two.weak"]


def test_the_command_quotes_the_id() -> None:
    assert report().command(verdict("a.b")) == "python -m paper_checks a.b --seed 0"
    assert report().command(verdict("a; b")) == "python -m paper_checks 'a; b' --seed 0"


@pytest.mark.parametrize("render", RENDERINGS)
def test_renderings_are_pure(render: object, capsys: pytest.CaptureFixture[str]) -> None:
    assert callable(render)
    assert render(mixed()) == render(mixed())
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("render", RENDERINGS)
def test_renderings_say_what_repeats_a_claim(render: object) -> None:
    assert callable(render)
    text = render(mixed())
    assert "python -m paper_checks beta.wrong --seed 0" in text
    assert "neighbour 1 of alpha.two.weak" in text
    assert "\n" == text[-1] != text[-2]


# --- provenance -------------------------------------------------------------------------------------------------


def test_provenance_has_the_versions() -> None:
    found = provenance(seed=3, prior="Zipf")
    assert set(found) >= {"implicitloss", "python", "numpy", "scipy", "sympy", "numba", "platform", "seed", "prior"}
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))


def test_provenance_names_files_not_folders() -> None:
    found = provenance(
        command="/opt/x/bin/python -m paper_checks --prior=/home/me/data/counts.npy out/a/b.json 1/2",
        files=[Path("/home/me/a.csv"), r"C:\Users\me\b.csv", "~/c/d.csv"],
        url="https://example.org/a/b",
    )
    assert found["command"] == "python -m paper_checks --prior=counts.npy out/a/b.json 1/2"
    assert found["files"] == ["a.csv", "b.csv", "d.csv"]
    assert found["url"] == "https://example.org/a/b"


def test_importing_and_rendering_needs_no_heavy_package() -> None:
    code = (
        "import sys; from implicitloss.report import *; to_html(Report('t', (), provenance(), 1e-6, ''));"
        "print(sorted({'numpy', 'scipy', 'sympy', 'numba', 'pandas', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


# --- JSON -------------------------------------------------------------------------------------------------------


def test_json_round_trips() -> None:
    one = mixed()
    document = json.loads(to_json(one))
    assert list(document) == ["schema", "title", "summary", "family_error", "provenance", "claims"]
    assert document["schema"] == SCHEMA == 1
    assert document["summary"]["counts"] == {o.value: n for o, n in one.counts.items()}
    assert document["summary"]["near_misses"] == {"refuted": 6, "total": 7}
    assert document["summary"]["ok"] is False
    for claim, v in zip(document["claims"], one.verdicts, strict=True):
        assert claim.pop("rerun") == one.command(v)
        assert claim.pop("ok") is v.ok
        assert claim == v.to_dict()


def test_json_is_strict() -> None:
    import numpy as np

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    one = report(
        verdict("a.b", tolerance=math.nan, resolution=math.inf),
        scalar=np.float64(0.5),
        array=np.arange(2),
        low=-math.inf,
    )
    document = json.loads(to_json(one), parse_constant=refuse)
    assert to_json(report(verdict("a.b", statement=HOSTILE), command=HOSTILE)).encode()
    assert document["provenance"] == {"seed": 0, "scalar": 0.5, "array": [0, 1], "low": "-Infinity"}
    (found,) = document["claims"][0]["evidence"]
    assert (found["tolerance"], found["resolution"]) == (None, "Infinity")


# --- text -------------------------------------------------------------------------------------------------------


def test_text_puts_failures_first_and_the_summary_last() -> None:
    text = to_text(mixed())
    places = [text.index(v.id) for v in mixed().failures]
    assert places == sorted(places)
    assert places[-1] < min(text.index(v.id) for v in mixed().verdicts if v.ok)
    assert text.index("FAILURES (3)") < text.index("── alpha") < text.index("── beta") < text.index("── Summary")
    assert text.splitlines()[-1] == "3 of 6 claims failed; 6 of 7 near misses refuted. 12.0 s."
    assert "NOT REFUTED (supported): neighbour 1 of alpha.two.weak" in text


def test_text_of_a_good_run() -> None:
    text = to_text(report(verdict("a.b"), verdict("a.c", Outcome.EXACT)))
    assert "FAILURES" not in text
    assert text.splitlines()[-1] == "All 2 claims hold, and 2 near misses were refuted. 4.0 s."


def test_text_has_no_ansi_unless_asked() -> None:
    hostile = report(verdict("a.b", Outcome.REFUTED, statement=HOSTILE, observed=HOSTILE, note=HOSTILE))
    assert "\x1b" not in to_text(mixed()) + to_text(hostile)
    assert "\x1b[" in to_text(mixed(), color=True)
    assert re.sub(r"\x1b\[[\d;]*m", "", to_text(mixed(), color=True)) == to_text(mixed())


GREEN = re.compile(r"\x1b\[(1;)?32m")


@pytest.mark.parametrize(
    "weak",
    [*(verdict("a.b", o) for o in FAILS), verdict("a.b", Outcome.PROVED, (Outcome.INCONCLUSIVE,))],
    ids=["refuted", "inconclusive", "no power"],
)
def test_what_does_not_stand_never_has_the_colour_of_a_pass(weak: Verdict) -> None:
    text, page = to_text(report(weak), color=True), to_html(report(weak))
    assert not GREEN.search(text)
    assert ("\x1b[1;31m" if weak.outcome is Outcome.REFUTED else "\x1b[1;33m") in lines_of(text, "a.b")[0]
    body = page[page.index("<body>") :]
    for row in re.findall(r'<span class="badge ([\w-]+)">(.*?)</span>', body):
        # The near miss that fell is the one thing that went well.
        assert row[0] in ("refuted", "inconclusive", "no-power", "plain") or row == ("supported", "✓ refuted")
    assert 'class="conclusion bad"' in body


@pytest.mark.parametrize("outcome", PASSES)
def test_passes_are_green(outcome: Outcome) -> None:
    assert GREEN.search(lines_of(to_text(report(verdict("a.b", outcome)), color=True), "a.b")[0])
    assert len(set(MARKS.values())) == len(MARKS)


@pytest.mark.parametrize("width", [40, 72, 100])
def test_text_stays_within_its_width(width: int) -> None:
    wordy = verdict(
        "a." + "b" * 90, Outcome.REFUTED, (Outcome.SUPPORTED, Outcome.REFUTED), statement=LONG, observed=LONG
    )
    good = verdict("a.c", observed=LONG, expected=LONG, statement=LONG)
    text = to_text(report(wordy, good, command=LONG), width=width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" in text


# --- Markdown ---------------------------------------------------------------------------------------------------


def cells(row: str) -> int:
    return len(re.findall(r"(?<!\\)\|", row)) - 1


def test_markdown_tables_are_whole() -> None:
    one = report(
        verdict("a.b", Outcome.REFUTED, statement=HOSTILE, observed=HOSTILE, note=HOSTILE), verdict("a.c"), host=HOSTILE
    )
    text = to_markdown(one)
    width = 0
    for line in text.splitlines():
        width = (width or cells(line)) if line.startswith("|") else 0
        assert not width or cells(line) == width
    assert "<script" not in re.sub(r"(`+).*?\1", "", text)
    assert "\x1b" not in text
    assert text.index("## Failures") < text.index("## a") < text.index("## Summary")


# --- JUnit ------------------------------------------------------------------------------------------------------


def test_junit_counts() -> None:
    root = ElementTree.fromstring(to_junit(mixed()))
    (suite,) = root
    tests = suite.findall("testcase")
    assert len(tests) == int(suite.attrib["tests"]) == 6 + 7
    # beta.wrong, and the near miss of alpha.two.weak that was supported
    assert len(suite.findall(".//failure")) == int(suite.attrib["failures"]) == 2
    assert len(suite.findall(".//error")) == int(suite.attrib["errors"]) == 1
    assert len({(t.attrib["classname"], t.attrib["name"]) for t in tests}) == len(tests)
    first = tests[0].attrib
    assert (first["classname"], first["name"], float(first["time"])) == ("alpha.one", "proved", 2.0)
    assert tests[1].attrib["name"] == "proved near miss 1: neighbour 0 of alpha.one.proved"
    assert float(suite.attrib["time"]) == sum(float(t.attrib["time"]) for t in tests)
    assert {p.attrib["name"]: p.attrib["value"] for p in suite.iter("property")}["seed"] == "0"


def test_junit_escapes() -> None:
    text = to_junit(report(verdict("lone", Outcome.REFUTED, statement=HOSTILE, note=HOSTILE), host=HOSTILE))
    root = ElementTree.fromstring(text)
    assert "<script" not in text
    failure = root.find(".//failure")
    assert failure is not None
    assert "<script>alert('&')</script>" in failure.attrib["message"]


# --- HTML -------------------------------------------------------------------------------------------------------


class Balanced(HTMLParser):
    """Fails where an element is closed that is not the last one opened, or an id occurs twice."""

    VOID = ("meta", "br", "link", "img", "hr")

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.stack: list[str] = []
        self.seen: list[str] = []
        self.ids: list[str | None] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.ids += [value for name, value in attrs if name == "id"]
        assert not any(name in ("src", "onclick") for name, _ in attrs)
        assert all((value or "").startswith("#") for name, value in attrs if name == "href")
        if tag not in self.VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def parsed(page: str) -> Balanced:
    parser = Balanced()
    parser.feed(page)
    parser.close()
    assert parser.stack == []
    assert len(set(parser.ids)) == len(parser.ids)
    return parser


def test_html_is_whole_and_needs_nothing_else() -> None:
    page = to_html(mixed())
    found = parsed(page)
    assert page.startswith('<!DOCTYPE html>\n<html lang="en">')
    assert 'name="viewport"' in page
    assert "<title>Checks</title>" in page
    assert "prefers-color-scheme:dark" in page
    assert not re.search(r"url\(|@import|https?:", page)
    assert found.seen.count("details") == 6
    assert page.count('class="failed" open') == 3
    for v in mixed().verdicts:
        for part in (v.statement, v.source, *v.assumptions, *(miss.statement for miss in v.near_misses)):
            assert part in found.text
    assert found.text.index("3 of 6 claims failed") < found.text.index("beta.wrong") < found.text.index("beta.exact")


def test_html_escapes() -> None:
    hostile = Verdict(
        HOSTILE, HOSTILE, HOSTILE, (HOSTILE,), Outcome.REFUTED,
        (Evidence(HOSTILE, Outcome.REFUTED, 1, HOSTILE, HOSTILE, HOSTILE, note=HOSTILE),),
        (NearMissVerdict(HOSTILE, Outcome.PROVED, ()),),
    )  # fmt: skip
    page = to_html(Report(HOSTILE, (hostile,), {HOSTILE: HOSTILE}, 1e-6, HOSTILE))
    assert "script" not in parsed(page).seen
    assert page.encode()


def test_html_shows_long_formulas_in_full() -> None:
    assert LONG in parsed(to_html(report(verdict("a.b", observed=LONG)))).text
