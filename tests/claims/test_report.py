"""Renderings of synthetic verdicts: nothing is simulated here."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest

import implicitloss as il
from implicitloss import formats
from implicitloss.claims.report import (
    CLAIMS_SCHEMA,
    MARKS,
    NO_POWER,
    Report,
    provenance,
    to_html,
    to_json,
    to_junit,
    to_markdown,
    to_text,
)
from implicitloss.claims.report.wording import _compared
from implicitloss.claims.verdict import Evidence, NearMissVerdict, Outcome, Verdict

PASSES = [outcome for outcome in Outcome if outcome.holds]
FAILS = [outcome for outcome in Outcome if not outcome.holds]
RENDERINGS = [to_text, to_json, to_markdown, to_junit, to_html]
LONG = " + ".join(f"Sum(q(y_{k})*exp(f(y_{k}) - f(y)), (y_{k}, 1, L))" for k in range(40))
OUT_OF_REACH = "64 cases are out of reach of 4,000,000 draws"
HOSTILE = "<script>alert('&')</script> | `a` | \x1b[32mok\x1b[0m \x00 ]]> $x$ \ud800"


def evidence(outcome: Outcome, **more: object) -> Evidence:
    shown = {
        "case": "m=8",
        "observed": 0.25,
        "expected": 0.5,
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


def unreached() -> Report:
    """A claim that one witness proves and another cannot reach."""
    one = verdict("a.b")
    nothing = Evidence("simulation, bounds", Outcome.INCONCLUSIVE, 0, note=OUT_OF_REACH)
    return report(replace(one, evidence=(*one.evidence, nothing)))


def lines_of(text: str, part: str) -> list[str]:
    return [line for line in text.splitlines() if part in line]


# --- two reports, one face ---------------------------------------------------------------------------------------

METHODS = {"to_dict", "to_frame", "to_json", "to_markdown", "to_text"}


def methods(kind: type) -> set[str]:
    return {name for name in dir(kind) if name.startswith("to_")}


def audited() -> il.AuditReport:
    prior = il.LabelPrior.zipf(4, 1.0)
    softmax = il.Minibatch(il.margins.Softmax(), il.losses.SoftmaxCrossEntropy(), prior)
    return il.audit(softmax, prior=prior, claim="full", rng=0, runs=100)


@pytest.mark.parametrize("made", [mixed, audited])
def test_reports_of_claims_and_of_audits_have_one_face(made: Callable[[], Report | il.AuditReport]) -> None:
    one = made()
    assert methods(type(one)) >= METHODS
    assert {"ok", "failures"} <= set(dir(one))
    assert one.to_text() == str(one)
    assert one.to_json() == formats.as_json(one.to_dict()) + "\n"
    document = json.loads(one.to_json())
    assert set(document) == set(one.to_dict())
    rows = document["claims"] if isinstance(one, Report) else document["comparisons"]
    frame = one.to_frame()
    assert len(frame) == len(rows) > 0
    for column in {"id", "outcome", "ok", "part", "result", "route"} & set(frame):
        assert list(frame[column]) == [row[column] for row in rows]


def test_a_frame_counts_near_misses() -> None:
    frame = mixed().to_frame().set_index("id")
    assert tuple(frame.loc["alpha.two.weak", ["near_misses", "refuted"]]) == (2, 1)
    assert tuple(frame.loc["beta.wrong", ["outcome", "source"]]) == ("refuted", "source of beta.wrong")
    assert list(report().to_frame()) == []


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
        windows=r"C:\Users\me\b.csv",
        home="10 labels, ~/c/d.csv",
        url="https://example.org/a/b",
    )
    assert found["command"] == "python -m paper_checks --prior=counts.npy out/a/b.json 1/2"
    assert found["windows"] == "b.csv"
    assert found["home"] == "10 labels, d.csv"
    assert found["url"] == "https://example.org/a/b"


def test_importing_and_rendering_needs_no_heavy_package() -> None:
    code = (
        "import sys; from implicitloss.claims.report import *; to_html(Report('t', (), provenance(), 1e-6, ''));"
        "print(sorted({'numpy', 'scipy', 'sympy', 'numba', 'pandas', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


# --- JSON -------------------------------------------------------------------------------------------------------


def test_json_round_trips() -> None:
    one = mixed()
    document = json.loads(to_json(one))
    assert list(document) == ["schema", "title", "summary", "family_error", "provenance", "claims"]
    assert document["schema"] == CLAIMS_SCHEMA == 2
    assert document["summary"]["counts"] == {o.value: n for o, n in one.counts.items()}
    assert document["summary"]["near_misses"] == {"refuted": 6, "total": 7}
    assert document["summary"]["ok"] is False
    for claim, v in zip(document["claims"], one.verdicts, strict=True):
        assert claim.pop("rerun") == one.command(v)
        assert claim.pop("ok") is v.ok
        assert claim == v.to_dict()


def test_json_does_not_call_a_witness_out_of_reach_inconclusive() -> None:
    (claim,) = json.loads(to_json(unreached()))["claims"]
    assert claim["ok"]
    assert [e["outcome"] for e in claim["evidence"]] == ["proved", "not tried"]
    assert claim["evidence"][1]["note"] == OUT_OF_REACH


def test_json_is_strict() -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    one = report(
        verdict("a.b", tolerance=math.nan, resolution=math.inf),
        scalar=np.float64(0.5),
        full=False,
        low=-math.inf,
    )
    document = json.loads(to_json(one), parse_constant=refuse)
    assert to_json(report(verdict("a.b", statement=HOSTILE), command=HOSTILE)).encode()
    assert document["provenance"] == {"seed": 0, "scalar": 0.5, "full": False, "low": None}
    (found,) = document["claims"][0]["evidence"]
    assert (found["tolerance"], found["resolution"]) == (None, None)


def test_json_is_ascii_and_whole() -> None:
    """An encoding that lacks a character, or a terminal that obeys one, changes nothing."""
    text = formats.as_json({"\udc80": ["é", "\x9b", math.inf, {"a": (math.nan, -0.0)}], "b": True})
    assert text.isascii()
    assert json.loads(text) == {"?": ["é", "\x9b", None, {"a": [None, -0.0]}], "b": True}


# --- names from outside -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a\x1b[2Jb", "a\N{REPLACEMENT CHARACTER}[2Jb"),
        ("a\x9b2J\u202eb", "a\N{REPLACEMENT CHARACTER}2J\N{REPLACEMENT CHARACTER}b"),
        (" two\r\n lines\t", "two lines"),
        ("\ufffe\ud800", "\N{REPLACEMENT CHARACTER}" * 2),
        ("می\u200cخواهم 👩\u200d🚒", "می\u200cخواهم 👩\u200d🚒"),
    ],
)
def test_plain_text(name: str, shown: str) -> None:
    assert formats.plain(name) == shown


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("<b>&", "&lt;b&gt;&amp;"),
        ("[x](javascript:alert(1))", r"\[x\](javascript:alert(1))"),
        ("![i](x)", r"!\[i\](x)"),
        ("a|b\\|c", r"a\|b\\\|c"),
        ("_a_ *b* `c` ~d~ $e$", r"\_a\_ \*b\* \`c\` \~d\~ \$e\$"),
        ("snake_case_name", "snake_case_name"),
        ("https://a.org www.b.org", r"https\://a.org www\.b.org"),
        ("a@b.org @team", "a@<!-- -->b.org @<!-- -->team"),
        ("# head", r"\# head"),
        ("12. item", r"12\. item"),
        ("- item", r"\- item"),
        ("two\nlines", "two lines"),
    ],
)
def test_markdown_of_a_name(name: str, shown: str) -> None:
    assert formats.markdown(name) == shown


def test_code_in_markdown() -> None:
    assert formats.code("a_b") == "`a_b`"
    assert formats.code("a`b``c") == "``` a`b``c ```"
    assert formats.code(r"a\|b") == r"<code>a\\\|b</code>"
    assert formats.code("") == ""


@pytest.mark.parametrize("size", [20, 299, 300, 301, 5000])
def test_a_sentence_is_cut_in_its_middle(size: int) -> None:
    said = formats.sentence("start " + "x" * (size - 10) + " end")
    assert len(said) == min(size, 300)
    assert (said.startswith("start x"), said.endswith("x end"), " ... " in said) == (True, True, size > 300)


# --- text -------------------------------------------------------------------------------------------------------


def test_text_puts_failures_first_and_the_summary_last() -> None:
    text = to_text(mixed())
    places = [text.index(v.id) for v in mixed().failures]
    assert places == sorted(places)
    assert places[-1] < min(text.index(v.id) for v in mixed().verdicts if v.ok)
    assert text.index("FAILURES (3)") < text.index("── alpha") < text.index("── beta") < text.index("── Summary")
    assert text.splitlines()[-2:] == [
        "3 of 6 claims failed; 6 of 7 near misses refuted. 12.0 s.",
        "Run beta.wrong again: python -m paper_checks beta.wrong --seed 0",
    ]
    assert "! not refuted but supported: neighbour 1 of alpha.two.weak" in text
    assert "1 of 2 near misses refuted" in text
    assert "rerun: python -m paper_checks beta.wrong --seed 0" in text
    holding = text[text.index("── alpha (1 of 3 claims hold) ──") : text.index("── Summary")]
    assert [v.id in holding for v in mixed().verdicts] == [v.ok for v in mixed().verdicts]


def test_text_of_a_good_run() -> None:
    text = to_text(report(verdict("a.b"), verdict("a.c", Outcome.EXACT)))
    assert "FAILURES" not in text
    assert text.splitlines()[-1] == "All 2 claims hold, and 2 near misses were refuted. 4.0 s."


def test_text_says_first_what_the_run_is() -> None:
    one = report(verdict("a.b"), numpy="2.0", prior="100 labels, Zipf")
    assert to_text(one).splitlines()[:2] == ["Checks", "prior 100 labels, Zipf · seed 0"]


def test_text_breaks_lists_between_their_items() -> None:
    one = report(verdict("a.b"), prior="100 labels and many words more than there is room for", numpy="2.0")
    lines = to_text(one, width=40).splitlines()
    assert lines[1:3] == ["prior 100 labels and many words more", "than there is room for · seed 0"]
    assert "    ∎ witness of proved, 32.0 M draws ·" in lines


def test_text_takes_three_lines_for_a_claim_that_holds() -> None:
    lines = to_text(report(verdict("a.b"), verdict("a.c", draws=None))).splitlines()
    start = lines.index(lines_of("\n".join(lines), "a.b")[0])
    assert lines[start].split() == ["∎", "proved", "a.b", "2.0", "s"]
    assert lines[start + 1 : start + 3] == [
        "    statement of a.b",
        "    ∎ witness of proved, 32.0 M draws · 1 near miss refuted",
    ]
    assert lines[start + 5] == "    ∎ witness of proved, 3 cases · 1 near miss refuted"
    assert lines[start + 6] == ""


@pytest.mark.parametrize(
    ("compared", "shown"),
    [
        ({"observed": 0.400818150035103, "relation": ">", "expected": 0.001}, "0.401 > 0.001"),
        ({"observed": 2.50961814155497, "relation": "<=", "expected": 2.50961814155497}, "2.51 <= 2.51"),
        (
            {"observed": -1.44101, "relation": "<", "expected": -1.0, "entry": 3, "entries": 100},
            "-1.44 (entry 3 of 100) < -1",
        ),
        ({"observed": 2.51, "expected": 2.51}, ""),
        ({"observed": "m*Sum(q(k))", "expected": "m*Sum(q(k))"}, ""),
    ],
)
def test_text_gives_the_closest_call_of_an_order(compared: dict[str, object], shown: str) -> None:
    text = to_text(report(verdict("a.b", Outcome.EXACT, **compared)))
    assert f"32.0 M draws{', ' * bool(shown)}{shown} ·" in text


@pytest.mark.parametrize(
    ("compared", "shown"),
    [
        ({"observed": 0.4231567, "tolerance": 5e-3}, "observed 0.4232, expected 0.5, tolerance 0.005"),
        ({"observed": 1 / 3, "tolerance": 1e-16}, "observed 0.333333333333333, expected 0.5"),
        ({"observed": 1e-9, "tolerance": 1.0}, "observed 1e-09"),
        ({"observed": 0.4231567, "tolerance": None}, "observed 0.4231567, expected 0.5; rerun"),
        ({"observed": "m*q", "expected": "q"}, "observed m*q, expected q, "),
        ({"observed": math.inf}, "observed inf"),
        ({"relation": "<=", "entry": 0, "entries": 7}, "case m=8, entry 0 of 7, observed 0.25, expected <= 0.5"),
        ({"quantity": "draws of the 4 rarest labels"}, "case m=8, quantity draws of the 4 rarest labels, observed"),
    ],
)
def test_numbers_are_shown_to_a_hundredth_of_the_tolerance(compared: dict[str, object], shown: str) -> None:
    assert shown in to_junit(report(verdict("a.b", **compared))).replace("\n", "; ").replace("&lt;", "<")


def test_evidence_is_numbers_in_json() -> None:
    """An order has its relation beside its two numbers; a witness that compared nothing has none of them."""
    (claim,) = json.loads(to_json(report(verdict("a.b", relation="<=", entry=0, entries=7, standard_error=2e-5))))[
        "claims"
    ]
    (found,) = claim["evidence"]
    compared = {"observed": 0.25, "relation": "<=", "expected": 0.5, "entry": 0, "entries": 7}
    assert found.items() >= (compared | {"tolerance": 1e-4, "standard_error": 2e-5}).items()
    assert not {"observed", "relation", "expected", "entry"} & set(
        json.loads(to_json(unreached()))["claims"][0]["evidence"][1]
    )


def test_text_shows_the_numbers_where_asked_or_failed() -> None:
    brief, full = to_text(mixed()), to_text(mixed(), details=True)
    for part in (
        "neighbour 0 of beta.exact",
        "assumption of beta.exact",
        "witness of exact · 3 cases · 4,000,000 runs",
    ):
        assert part not in brief
        assert part in full
    # Those of the near miss that was not refuted too.
    assert full.count("tolerance  0.0001") == 6 + 1
    # Failures are in full either way, and the summary is the same.
    for cut in (slice(0, brief.index("── alpha")), slice(brief.index("── Summary") - len(brief), None)):
        assert brief[cut] == full[cut]
    assert "observed   0.25" in brief[: brief.index("── alpha")]


def test_text_and_junit_do_not_bury_a_failure_in_a_long_formula() -> None:
    long = report(verdict("a.b", Outcome.REFUTED, observed=LONG))
    for rendering in (to_text(long), to_junit(long)):
        assert "y_0" in rendering
        assert "y_39" not in rendering


@pytest.mark.parametrize("details", [False, True])
def test_text_does_not_hold_it_against_a_claim_that_a_witness_cannot_reach_it(details: bool) -> None:
    one = unreached()
    text = to_text(one, color=True, details=details)
    assert one.exit_code == 0
    assert OUT_OF_REACH in text
    assert "not tried" in text
    assert "inconclusive" not in text
    assert "\x1b[1;33m" not in text


def test_the_line_of_a_witness_says_what_it_leaves_out() -> None:
    text = to_text(report(verdict("a.b", Outcome.SUPPORTED, note=OUT_OF_REACH)))
    assert f"32.0 M draws, {OUT_OF_REACH}" in " ".join(text.replace("\xa0", " ").split())


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
    assert not GREEN.search(text + to_text(report(weak), color=True, details=True))
    assert NO_POWER in text or not weak.outcome.holds
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


@pytest.mark.parametrize("details", [False, True])
@pytest.mark.parametrize("width", [40, 72, 100])
def test_text_stays_within_its_width(width: int, details: bool) -> None:
    wordy = verdict(
        "a." + "b" * 90, Outcome.REFUTED, (Outcome.SUPPORTED, Outcome.REFUTED), statement=LONG, observed=LONG
    )
    good = verdict("a.c", observed=LONG, expected=f"<= {LONG}", statement=LONG, note=LONG)
    text = to_text(report(wordy, good, *unreached().verdicts, command=LONG), width=width, details=details)
    # A command to paste is not broken.
    commands = [line for line in text.splitlines() if "rerun:" in line or re.match(r"Run \S+ again: ", line)]
    assert len(commands) == 2
    assert max(len(line) for line in text.splitlines() if line not in commands) <= width
    assert "…" in text


@pytest.mark.parametrize("render", [to_text, to_markdown, to_html])
def test_the_marks_that_occur_are_explained(render: Callable[[Report], str]) -> None:
    """Each report says what its marks and a near miss are, and nothing of marks that it does not have."""
    said = " ".join(re.sub(r"<[^>]*>|\\", "", render(mixed())).split())
    assert "A near miss is a slightly wrong version of a claim, which the same checks must refute." in said
    for part in ("∎ proved: an identity", "✗ refuted: there is a case", "! no power: a near miss was not refuted"):
        assert part in said
    alone = " ".join(render(report(verdict("a.b", Outcome.EXACT))).split())
    assert "refuted: there is a case" not in alone
    assert "exact: numbers agree within their error bounds" in alone


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


def test_markdown_shows_each_claim_once() -> None:
    text = to_markdown(mixed())
    failures = text[text.index("## Failures") : text.index("## alpha")]
    for v in mixed().verdicts:
        (row,) = [line for line in lines_of(text, f"`{v.id}`") if line.startswith("|")]
        assert (row in failures) is not v.ok
        assert "observed 0.25, expected 0.5" in row
        assert all(miss.statement in row for miss in v.near_misses)
        assert row.startswith("| **") is not v.ok
    assert "! not refuted but supported: neighbour 1 of alpha.two.weak" in failures
    assert f"– simulation, bounds: not tried, 0 cases; note {OUT_OF_REACH}" in to_markdown(unreached())


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


def test_junit_tells_what_passed_and_why_not() -> None:
    tests = {t.attrib["name"]: t[0] for t in ElementTree.fromstring(to_junit(mixed())).iter("testcase")}
    wrong = tests["wrong"]
    assert (wrong.tag, wrong.attrib["message"]) == ("failure", "✗ REFUTED: statement of beta.wrong")
    assert wrong.text is not None
    assert "case m=8, observed 0.25, expected 0.5, tolerance 0.0001" in wrong.text
    assert wrong.text.endswith("rerun: python -m paper_checks beta.wrong --seed 0")
    assert tests["doubtful"].tag == "error"
    assert tests["weak"].tag == tests["wrong near miss 1: neighbour 0 of beta.wrong"].tag == "system-out"
    survivor = tests["weak near miss 2: neighbour 1 of alpha.two.weak"]
    assert (survivor.tag, survivor.attrib["message"][:13]) == ("failure", "! not refuted")
    assert "witness of supported: supported" in (survivor.text or "")
    assert "witness of refuted: refuted" in (tests["exact near miss 1: neighbour 0 of beta.exact"].text or "")
    (suite,) = ElementTree.fromstring(to_junit(unreached()))
    assert (suite.attrib["failures"], suite.attrib["errors"]) == ("0", "0")


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

    VOID = ("meta", "br", "link", "img", "hr", "input")

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
    namespace = "http://www.w3.org/1998/Math/MathML"  # a name, which nobody asks for
    assert not re.search(r"url\(|@import|https?:", page.replace(namespace, ""))
    assert found.seen.count("details") == 6
    assert page.count('class="failed" open') == 3
    for v in mixed().verdicts:
        for part in (v.statement, v.source, *v.assumptions, *(miss.statement for miss in v.near_misses)):
            assert part in found.text
    assert found.text.index("3 of 6 claims failed") < found.text.index("beta.wrong") < found.text.index("beta.exact")


def test_html_shows_each_witness_and_near_miss() -> None:
    page = to_html(mixed())
    assert page.count('<td class="numbers"><dl><dt>case</dt><dd><code>m=8</code>') == 6 + 7
    assert page.count('<span class="badge supported">✓ refuted</span>') == 6
    assert page.count('<span class="badge no-power">! not refuted but supported</span>') == 1
    two = NearMissVerdict("neighbour", Outcome.REFUTED, (evidence(Outcome.REFUTED), evidence(Outcome.REFUTED)))
    cells = re.findall('<td class="near-miss">(.*?)</td>', to_html(report(replace(verdict("a.b"), near_misses=(two,)))))
    assert cells == ["neighbour", ""]
    page = to_html(unreached())
    assert f'simulation, bounds<p class="dim">{OUT_OF_REACH}</p>' in page
    assert '<span class="badge not-tried">– not tried</span>' in page
    assert 'class="badge inconclusive"' not in page


def test_html_has_contents_and_a_filter() -> None:
    """Each section is in the contents, each claim says its outcome, and the filter has what occurs."""
    page = to_html(mixed())
    sections = re.findall(r'<section id="([^"]+)"><h2>(\S+)', page)
    assert re.findall(r'<li><a href="#([^"]+)">([^<]+)</a>', page) == sections
    assert [name for _, name in sections] == ["Failures", "alpha", "beta"]
    assert re.findall(r'<option value="([^"]+)">', page)[: len(sections)] == [one for one, _ in sections]
    outcomes = re.findall(r' data-outcome="([^"]+)"', page)
    assert len(outcomes) == 6
    chosen = set(re.findall(r'<option value="([^"]+)">', page)[len(sections) :])
    assert set(outcomes) <= chosen
    assert '<form class="filter" hidden>' in page  # without scripts it would do nothing
    for aside in re.findall(r'<span class="aside dim">(.*?)</span>', page):
        assert re.fullmatch(r"(\d+ of )?\d+ near miss(es)? .* · [\d.]+ m?s", aside), aside


def test_html_escapes() -> None:
    hostile = Verdict(
        HOSTILE, HOSTILE, HOSTILE, (HOSTILE,), Outcome.REFUTED,
        (Evidence(HOSTILE, Outcome.REFUTED, 1, *[HOSTILE] * 4, note=HOSTILE),),
        (NearMissVerdict(HOSTILE, Outcome.PROVED, ()),),
    )  # fmt: skip
    page = to_html(Report(HOSTILE, (hostile,), {HOSTILE: HOSTILE}, 1e-6, HOSTILE))
    assert parsed(page).seen.count("script") == 1  # its own
    assert page.encode()


def test_html_shows_long_formulas_in_full() -> None:
    assert LONG in parsed(to_html(report(verdict("a.b", observed=LONG)))).text


def test_a_number_far_below_what_is_tolerated_is_shown() -> None:
    """Regression: the ratio of the two was 0, of which there is no logarithm."""
    assert _compared(3e-250, 1e100) == _compared(3e-250, math.inf) == "3e-250"
    assert _compared(0.123456, 0.01) == "0.1235"


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("p_yy' = m w_yy' q_y'", "p<sub>yy&#39;</sub> = m w<sub>yy&#39;</sub> q<sub>y&#39;</sub>"),
        (
            "f*_y = e^{f_y' - f_y}.",
            "f*<sub>y</sub> = e<sup>f<sub>y&#39;</sub> - f<sub>y</sub></sup>.",
        ),
        ("ℓ_i'' is no ℓ_i", "ℓ<sub>i</sub>&#39;&#39; is no ℓ<sub>i</sub>"),
        ("x̄_1, 2η_k, ΔᵀΣ_kΔ", "x̄<sub>1</sub>, 2η<sub>k</sub>, ΔᵀΣ<sub>k</sub>Δ"),
        ("L^n. x^2/n, π^(3/4)", "L<sup>n</sup>. x<sup>2</sup>/n, π<sup>3/4</sup>"),
        ("<b> rawat2021.x_y is_exact", "&lt;b&gt; rawat2021.x_y is_exact"),
    ],
)
def test_indices_and_powers_are_set(text: str, html: str) -> None:
    page = to_html(report(replace(verdict("a.b"), statement=text)))
    assert f'<span class="statement">{html}</span>' in page


def test_no_claim_has_an_index_or_a_power_that_is_not_set() -> None:
    from implicitloss.claims.report.formats.html import ABOVE, BELOW
    from paper_checks.__main__ import all_claims

    left = set()
    for claim in all_claims():
        for text in (str(claim.statement), *map(str, claim.assumptions), *map(str, claim.near_misses)):
            left |= set(re.findall(r"\w*[_^]\w*", ABOVE.sub("", BELOW.sub("", text.replace("'", "&#39;")))))
    assert left <= {"sS_a", "tS_b"}  # products in a power


def test_formulas_of_sympy_are_there_as_latex_too() -> None:
    """A page sets them; text and JSON have them as text."""
    proved = Evidence("SymPy", Outcome.PROVED, 1, observed="pi[y]", expected="q(y)", latex=(r"{\pi}_{y}", "q_{y}"))
    shown = replace(verdict("a.b"), evidence=(proved,))
    page = to_html(report(shown))
    assert r'<code data-latex="{\pi}_{y}">pi[y]</code>' in page
    assert '<code data-latex="q_{y}">q(y)</code>' in page
    assert "latex" not in shown.to_dict()["evidence"][0]
