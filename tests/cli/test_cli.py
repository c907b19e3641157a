"""The command lines as a user meets them: exit codes, streams, errors in one sentence, whole files or none."""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import re
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

import implicitloss as il
from analysis.__main__ import main as analyse
from figures.__main__ import main as draw
from implicitloss.auditing.report import AUDIT_SCHEMA
from implicitloss.claims.report import CLAIMS_SCHEMA
from implicitloss.cli import commands
from implicitloss.cli.files import COMMAND_SCHEMA, write_all
from implicitloss.cli.main import main
from paper_checks.__main__ import main as paper_checks

SCHEME = ["--sampler", "within-batch", "--weighting", "constant", "--m", "8", "--hits", "mask"]


def counts_file(folder: Path, text: str) -> str:
    path = folder / "counts.csv"
    path.write_text(text)
    return str(path)


# --- implicitloss -----------------------------------------------------------------------------------------------------


def test_derive(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["derive", *SCHEME]) == 0
    out = capsys.readouterr().out
    assert "equalised loss (Tan et al. 2020)" in out
    assert "NOT CHECKED" not in out
    assert main(["derive", *SCHEME, "--format", "latex"]) == 0
    assert r"\sum_{y' \neq y}" in capsys.readouterr().out
    assert main(["derive", *SCHEME, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["margin"] == "pi[y']"


def test_expect_and_simulate_agree(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["expect", *SCHEME, "--json"]) == 0
    exact = json.loads(capsys.readouterr().out)
    assert main(["simulate", *SCHEME, "--json", "--runs", "20000"]) == 0
    simulated = json.loads(capsys.readouterr().out)
    for name, estimate in exact["exact"].items():
        assert simulated["exact"][name]["value"] == estimate["value"]
        # 12 standard errors: the tails are light here, and the power is that of a percent or so
        assert (
            abs(simulated["simulated"][name]["value"] - estimate["value"]) < 12 * simulated["simulated"][name]["error"]
        )
    gap = exact["implicit_loss"]["value"] - exact["exact"]["mean"]["value"]
    assert gap == pytest.approx(exact["exact"]["gap"]["value"], rel=1e-8)


def test_expect_says_what_theorem_3_does_not_cover(capsys: pytest.CaptureFixture[str]) -> None:
    relative = [*SCHEME[:3], "relative", *SCHEME[4:]]
    assert main(["expect", *relative]) == 0
    assert "Theorem 3 needs weights η/m" in capsys.readouterr().out


@pytest.mark.in_turn(4)
@pytest.mark.parametrize(
    "scheme",
    [
        "within-batch constant 8 mask",
        "within-batch relative 4 keep",
        "model-based importance 4 exclude",
        "minimum-variance importance 2 mask",
        "mixture:0.3 margin:logit-adjusted:0.5 1 keep",
        "uniform relative 1 mask",
        "power:0.5 unit 3 exclude",
        "log-uniform tail 16 exclude",
    ],
)
def test_verify_holds_for_honest_schemes(scheme: str, capsys: pytest.CaptureFixture[str]) -> None:
    sampler, weighting, m, hits = scheme.split()
    arguments = ["--sampler", sampler, "--weighting", weighting, "--m", m, "--hits", hits]
    assert main(["verify", *arguments, "--profile", "exp:30:200:20"]) == 0
    out, err = capsys.readouterr()
    assert "All" in out.splitlines()[-1]
    assert "lemma1.mean" in err


def test_table_has_its_sixteen_rows(capsys: pytest.CaptureFixture[str]) -> None:
    for form, start in (("text", ("uniform", "within-batch")), ("markdown", ("| uniform", "| within-batch"))):
        assert main(["table", "--format", form]) == 0
        assert sum(line.startswith(start) for line in capsys.readouterr().out.splitlines()) == 16
    assert main(["table", "--format", "latex", "--hits", "keep"]) == 0
    assert capsys.readouterr().out.count(r"\begin{tabular}") == 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["derive", "--sampler", "witin-batch", *SCHEME[2:]], "did you mean 'within-batch'?"),
        (["derive", *SCHEME[:3], "constnt", *SCHEME[4:]], "did you mean 'constant'?"),
        (["derive", *SCHEME[:4], "--m", "0", "--hits", "mask"], "m, the number of negatives"),
        (["derive", *SCHEME[:6], "--hits", "drop"], "hits must be 'exclude', 'mask' or 'keep'"),
        (["derive", "--sampler", "power:x", *SCHEME[2:]], "needs a number, got 'x'"),
        (["derive", "--sampler", "uniform:3", *SCHEME[2:]], "takes 0 parameters, got 1"),
        (["expect", *SCHEME, "--positive", "100"], "the positive must be a label from 0 to 99"),
        (["expect", *SCHEME, "--profile", "exp:0:5:5"], "n_labels must be a whole number >= 1"),
        (["expect", *SCHEME, "--profile", "exq:3:5:5"], "did you mean 'exp'?"),
        (["expect", *SCHEME, "--counts", "no/such/file.csv"], "cannot read no/such/file.csv"),
        (["expect", *SCHEME, "--seed", "-1"], "the seed must be"),
        (["simulate", *SCHEME, "--runs", "1"], "runs must be a whole number >= 2"),
        (["verify", *SCHEME, "--json", "no/such/folder/r.json"], "cannot write"),
        (
            ["expect", "--sampler", "minimum-variance", "--weighting", "relative", "--m", "3", "--hits", "mask"],
            "relative weights",
        ),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert sentence in err
    assert err.count("\n") == 1
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("label,count\n0,5\n1,-2\n", "line 3"),
        ("label,count\n0,5\n1,x\n", "line 3: the count must be a number, got 'x'"),
        ("foo,bar\n0,5\n7,3\n", "several columns that may be counts, 'foo', 'bar'"),
        ("label,count\n0,5,7\n", "line 2: expected 2 fields, got 3"),
        ("label,count\n0,0\n1,0\n", "must not all be zero"),
        ("label,count\n", "no labels"),
        ("", "no labels"),
        ("label,count\n0,1\n0,2\n", "was on line 2 already"),
    ],
)
def test_malformed_counts_name_the_line(
    text: str, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = counts_file(tmp_path, text)
    target = tmp_path / "report.json"
    assert paper_checks(["--counts", path, "--json", str(target)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert sentence in err
    assert not target.exists()
    assert [p.name for p in tmp_path.iterdir()] == ["counts.csv"]


# --- paper_checks -----------------------------------------------------------------------------------------------------


def test_reports_are_written_whole_and_agree(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = {name: str(tmp_path / f"r.{name}") for name in ("json", "junit", "html", "markdown")}
    flags = [word for name, path in files.items() for word in (f"--{name}", path)]
    assert paper_checks(["rawat2021.table2.uniform-constant", *flags]) == 0
    out, err = capsys.readouterr()
    assert "rawat2021.table2.uniform-constant" in out
    assert "rawat2021.table2.uniform-constant" in err
    report = json.loads(Path(files["json"]).read_text())
    assert report["schema"] == CLAIMS_SCHEMA
    (claim,) = report["claims"]
    assert set(claim) >= {"id", "statement", "source", "outcome", "evidence", "near_misses"}
    assert claim["outcome"] == "proved"
    assert all(miss["outcome"] == "refuted" and miss["statement"] for miss in claim["near_misses"])
    ElementTree.parse(files["junit"])
    assert Path(files["html"]).read_text().startswith("<!")
    assert "\x1b" not in out


def test_json_on_stdout_is_json_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert paper_checks(["rawat2021.section2.eq6", "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["claims"][0]["id"] == "rawat2021.section2.eq6"


def test_list_explain_and_nothing_selected(capsys: pytest.CaptureFixture[str]) -> None:
    assert paper_checks(["--list", "rawat2021.table2"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 10
    assert paper_checks(["explain", "rawat2021.lemma1.mean"]) == 0
    out = capsys.readouterr().out
    for word in ("source: Rawat et al. 2021, Lemma 1", "assumes:", "method:", "near miss, to be refuted:"):
        assert word in out
    assert paper_checks(["rawat2021.lema1"]) == 5
    assert "did you mean rawat2021.lemma1" in capsys.readouterr().err
    assert paper_checks(["explain"]) == 2


def test_on_counts_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = "".join(f"label{i},{count}\n" for i, count in enumerate([900, 500, 200, 120, 80, 30, 12, 0, 5]))
    path = counts_file(tmp_path, "label,count\n" + rows)
    assert paper_checks(["rawat2021.table2", "rawat2021.section2", "--counts", path]) == 0
    out, err = capsys.readouterr()
    assert "1 label has count 0" in err
    assert "8 labels" in out


def test_a_refuted_claim_is_exit_code_1(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from implicitloss.samplers import WithinBatch
    from implicitloss.samplers.sampler import by_shares

    monkeypatch.setattr(WithinBatch, "procedure", lambda self, at: by_shares(at.prior.probabilities**0.5))
    assert paper_checks(["rawat2021.table2.within-batch-constant"]) == 1
    out = capsys.readouterr().out
    assert out.index("FAILURES") < out.index("Summary")


# --- the process ------------------------------------------------------------------------------------------------------


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        timeout=120,
    )


def test_help_needs_no_heavy_import() -> None:
    for module in ("implicitloss", "paper_checks"):
        code = (
            f"import sys, runpy; sys.argv = ['x', '--help']\n"
            f"try: runpy.run_module({module!r}, run_name='__main__')\n"
            f"except SystemExit: pass\n"
            f"heavy = {{'numpy', 'scipy', 'sympy', 'numba', 'matplotlib', 'pandas'}} & set(sys.modules)\n"
            f"assert not heavy, heavy"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        assert "usage:" in done.stdout


def test_internal_errors_are_exit_code_3(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import implicitloss.witness.derive as module

    def broken(*_: object) -> None:
        raise ZeroDivisionError("boom")

    monkeypatch.setattr(module, "derive", broken)
    assert main(["derive", *SCHEME]) == 3
    assert "internal error" in capsys.readouterr().err


def test_version_and_usage() -> None:
    done = run("implicitloss", "--version")
    assert done.stdout.startswith("implicitloss 0.")
    assert run("implicitloss", "derive").returncode == 2


# --- a user's slips: one sentence each, nothing half-written ----------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["derive", *SCHEME[:3], "margin:equalised:3", *SCHEME[4:]], "margin equalised takes 0 parameters, got 1"),
        (["derive", *SCHEME[:3], "margin", *SCHEME[4:]], "weighting margin takes 1 parameter, got 0"),
        (["derive", *SCHEME[:3], "margin:", *SCHEME[4:]], "the margin needs a name; known are softmax"),
        (["derive", "--sampler", "nosuch", *SCHEME[2:]], "unknown sampler 'nosuch'; known are explicit, hardest-of"),
        (["derive", "--sampler", "explicit", *SCHEME[2:]], "sampler explicit takes 1 parameter, got 0"),
        (["derive", "--sampler", "power:1:2", *SCHEME[2:]], "takes 0 to 1 parameters, got 2"),
        (["expect", *SCHEME, "--profile", "zipf:99999999999999:1"], "n_labels must be at most 100,000,000"),
        (["expect", *SCHEME, "--counts", ""], "cannot read : "),
        (["expect", *SCHEME, "--positive", "one"], "the positive must be a label from 0 to 99, got 'one'"),
        (["verify", *SCHEME, "--json", ""], "cannot write a file without a name"),
        (["verify", *SCHEME, "--json", "."], "cannot write .: it is a folder"),
        (
            ["verify", *SCHEME, "--json", "a", "--html", "./a"],
            "./a would overwrite a, which is written to",
        ),
        (["verify", *SCHEME, "--target", "equalized"], "did you mean 'equalised'?"),
    ],
)
def test_slips(arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    test_bad_input_is_one_sentence_and_exit_code_2(arguments, sentence, capsys)


HARD = ["--sampler", "uniform", "--weighting", "importance", "--m", "8", "--hits", "exclude", "--hard", "5"]
MODES = ["--overlap", "exclude", "--hard-weight", "0.5", "--hard-positives", "replace"]


def test_hard_negatives(capsys: pytest.CaptureFixture[str]) -> None:
    """The scheme that the options name, in every command that takes hard negatives."""
    for overlap, margin in (("keep", "T[y'] + 1"), ("mask", "1"), ("exclude", "1")):
        assert main(["derive", *HARD, "--overlap", overlap, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["margin"] == margin
    assert main(["derive", *HARD, "--hard-weight", "2"]) == 0
    assert "2*T[y'] + 1" in capsys.readouterr().out
    hard = il.HardNegatives(5, weight=0.5, overlap="exclude", positives="replace")
    scheme = il.Scheme(il.samplers.Uniform(), il.weightings.Importance(), m=8, hits="exclude", hard=hard)
    prior = il.LabelPrior.zipf(30, 1.0)
    problem = il.Problem(il.scorers.Gaussian().scores(prior, rng=0), prior, 15)
    exact = float(il.integrate(scheme, il.losses.SoftmaxCrossEntropy(), problem))
    rest = ["--profile", "zipf:30:1", "--positive", "15", "--json"]
    for command in ("expect", "simulate"):
        assert main([command, *HARD, *MODES, *rest, *["--runs", "100"] * (command == "simulate")]) == 0
        found = json.loads(capsys.readouterr().out)
        assert found["scheme"] == str(scheme)
        assert found["exact"]["mean"]["value"] == exact


def test_verify_takes_hard_negatives(capsys: pytest.CaptureFixture[str]) -> None:
    """Its claims hold, and the command that it prints has the same options."""
    given = [*HARD[:-1], "2", "--overlap", "exclude", "--hard-weight", "0.5", "--profile", "zipf:6:1"]
    assert main(["verify", *given, "--target", "softmax"]) == 1
    out = capsys.readouterr().out
    assert "target" in out
    assert "--hits exclude --hard 2 --hard-weight 0.5 --overlap exclude" in out
    assert re.search(r"\b1 of \d+ claims failed", out)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["expect", *HARD[:-1], "0"], "k, the number of hard negatives, must be a whole number >= 1, got 0"),
        (["expect", *HARD[:-1], "2.5"], "argument --hard: must be a whole number, got '2.5'"),
        (["expect", *HARD[:-1], "100"], "must be at most L - 1 = 99 for 100 labels, got 100"),
        (["derive", *HARD, "--overlap", "maks"], "overlap must be 'keep', 'mask' or 'exclude', got 'maks'"),
        (["derive", *HARD, "--hard-positives", "keep"], "positives must be 'drop' or 'replace', got 'keep'"),
        (["derive", *HARD, "--hard-weight", "0"], "the weight of hard negatives must be a number > 0, got 0.0"),
        (["derive", *HARD, "--hard-weight", "x"], "argument --hard-weight: must be a number, got 'x'"),
        (
            ["derive", *HARD[:-2], "--overlap", "mask"],
            "--overlap must come with --hard K, the number of hard negatives",
        ),
        (["expect", *HARD[:-2], *MODES], "--hard-weight, --overlap, --hard-positives must come with --hard K"),
        (["table", "--hard", "5"], "unknown option '--hard'"),
        (["audit", "json:dumps", "--claim", "full", "--hard", "5"], "--hard and --claim full are two claims"),
        (["expect", "--sampler", "hardest-of", *HARD[2:]], "sampler hardest-of takes 1 to 2 parameters, got 0"),
        (["expect", "--sampler", "hardest-of:2.5", *HARD[2:]], "hardest-of:N needs a whole number, got '2.5'"),
        (["expect", "--sampler", "hardest-of:2:y", *HARD[2:]], "among must be 'all' or 'negatives', got 'y'"),
    ],
)
def test_slips_of_hard_negatives(arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    # An audit says first whose labels it takes.
    assert sentence in err.splitlines()[-1]
    assert len(err.splitlines()) == 1 + (arguments[0] == "audit")
    assert len(err.splitlines()[-1]) <= 300


def test_the_hardest_among_negatives_has_a_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["expect", "--sampler", "hardest-of:3:negatives", *HARD[2:8], "--json"]) == 0
    assert "HardestOf(n=3, among='negatives')" in json.loads(capsys.readouterr().out)["scheme"]


@pytest.mark.parametrize("option", ["--m", "--seed"])
def test_whole_numbers(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["expect", *SCHEME, option, "3.5"]) == 2
    assert f"argument {option}: must be a whole number, got '3.5'" in capsys.readouterr().err


def test_a_law_of_ones_own_in_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "q:1.txt"  # a colon in the path
    rest = ["--weighting", "importance", "--m", "3", "--hits", "mask", "--profile", "zipf:3:1"]
    path.write_text("0.5\n\n0.25\n0.25\n")
    assert main(["expect", "--sampler", f"explicit:{path}", *rest]) == 0
    capsys.readouterr()
    path.write_text("0.5\n\nhalf\n")
    test_bad_input_is_one_sentence_and_exit_code_2(
        ["expect", "--sampler", f"explicit:{path}", *rest], "line 3: needs a number, got 'half'", capsys
    )
    path.write_bytes(b"\xff\xfe\x00\x01")
    test_bad_input_is_one_sentence_and_exit_code_2(
        ["expect", "--sampler", f"explicit:{path}", *rest], "is not a text file", capsys
    )


def test_offsets_of_ones_own_in_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "delta.txt").write_text("0\n0\n0.5\n")
    target = f"offsets:{tmp_path / 'delta.txt'}"
    scheme = [*SCHEME[:2], "--weighting", f"margin:{target}", *SCHEME[4:]]
    assert main(["derive", *scheme]) == 0
    assert "exp(-delta[y'] + delta[y])" in capsys.readouterr().out
    assert main(["verify", *scheme, "--profile", "zipf:3:0", "--target", target]) == 0
    out, _ = capsys.readouterr()
    assert "The scheme optimises softmax with the margins of Offsets(3 labels" in out
    wrong = tmp_path / "wrong.txt"
    wrong.write_text("0\n0\n0.6\n")
    assert main(["verify", *scheme, "--profile", "zipf:3:0", "--target", f"offsets:{wrong}"]) == 1
    assert main(["verify", *scheme, "--profile", "zipf:4:0", "--target", target]) == 2
    assert "delta must cover the prior's 4 labels, got 3 offsets" in capsys.readouterr().err


def test_the_positive_goes_by_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = counts_file(tmp_path, "label,count\n  \ncat,5\n7,50\ndog,20\n")
    assert main(["expect", *SCHEME, "--counts", path, "--positive", "cat"]) == 0
    assert "positive cat, π = 0.0667" in capsys.readouterr().out
    assert main(["expect", *SCHEME, "--counts", path, "--positive", "7", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["positive"], found["label"]) == (1, "7")
    wrong = ["expect", *SCHEME, "--counts", path, "--positive", "dogg"]
    test_bad_input_is_one_sentence_and_exit_code_2(wrong, "none of the 3 labels is called 'dogg'; did you mean", capsys)
    path = counts_file(tmp_path, "label,count\ncat,1_000\ndog,3\n")
    wrong = ["expect", *SCHEME, "--counts", path]
    test_bad_input_is_one_sentence_and_exit_code_2(wrong, "line 2: the count must be a number, got '1_000'", capsys)


def test_labels_with_count_0_and_a_target(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = counts_file(tmp_path, "label,count\na,90\nb,50\nc,20\nd,0\ne,5\n")
    assert main(["verify", *SCHEME, "--counts", path, "--positive", "c", "--target", "equalised"]) == 0
    capsys.readouterr()
    assert main(["verify", *SCHEME, "--counts", path, "--positive", "c", "--target", "softmax"]) == 1
    assert "--positive c --target softmax" in " ".join(capsys.readouterr().out.split())


def test_ids_that_select_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert paper_checks(["rawat2021.section2", "bogus.claim"]) == 5
    out, err = capsys.readouterr()
    assert out == ""
    assert "no claim is called or starts with bogus.claim" in err
    path = counts_file(tmp_path, "label,count\na,90\nb,50\nc,20\nd,7\ne,5\n")
    assert paper_checks(["rawat2021.table2.hits-kept", "--counts", path]) == 5
    assert "nothing in it depends on counts" in capsys.readouterr().err
    assert paper_checks(["--counts", ""]) == 2


def test_fields_of_a_class_are_parameters_of_its_name() -> None:
    """Required fields are no optional parameters, whole numbers are whole, and what no text can make has no name."""
    import dataclasses

    from implicitloss import names

    kinds = {
        "NeedsPower": [("alpha", "float"), ("steps", "int", dataclasses.field(default=3))],
        "NeedsLaw": [("law", "Sampler")],
        "MadeLater": [("law", "Sampler", dataclasses.field(default_factory=dict)), ("beta", float, 2.0)],
    }
    values = {"NeedsPower": (0.5,), "NeedsLaw": (None,), "MadeLater": ()}
    made = {name: dataclasses.make_dataclass(name, fields) for name, fields in kinds.items()}
    table = names._table(kind(*values[name]) for name, kind in made.items())
    assert [names.usage(name, make) for name, make in table.items()] == [
        "needs-power:ALPHA[:STEPS]",
        "made-later[:BETA]",
    ]
    found = names._chosen("sampler", "needs-power:0.25:7", table)
    assert (found.alpha, found.steps, type(found.steps)) == (0.25, 7, int)
    assert names._chosen("sampler", "needs-power:0.25", table).steps == 3
    for text, sentence in (
        ("needs-power", "sampler needs-power takes 1 to 2 parameters, got 0"),
        ("needs-power:0.25:7.5", "needs-power:STEPS needs a whole number, got '7.5'"),
        ("needs-law", "unknown sampler 'needs-law'"),
    ):
        with pytest.raises(ValueError, match=sentence):
            names._chosen("sampler", text, table)


def test_names_lists_every_name_with_its_parameters_and_meaning(capsys: pytest.CaptureFixture[str]) -> None:
    from implicitloss import names
    from implicitloss.cli.commands.names import options

    assert main(["names"]) == 0
    said = capsys.readouterr().out
    for option, table in options().items():
        lines = said.split(f"{option}\n  ")[1].split("\n\n")[0].splitlines()
        assert [line.split()[0].partition(":")[0].partition("[")[0] for line in lines] == list(table)
        assert all(len(line.split()) > 2 for line in lines), "each has a meaning"
    # What is said is for a reader of the command line, and not of docstrings.
    assert not re.search(r"`|\b(Make|Adapt)\b|il\.|: decoupled|[A-Z]\w+\(-", said)
    for usage in ("power[:ALPHA] ", "explicit:FILE ", "logit-adjusted[:TAU] ", "zipf:LABELS[:EXPONENT] ", "uniform  "):
        assert usage in said
    assert main(["names", "scorer", "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)["scorer"]) == set(names.SCORERS)
    test_bad_input_is_one_sentence_and_exit_code_2(["names", "samplr"], "did you mean 'sampler'?", capsys)


def test_a_new_sampler_has_its_name_by_itself() -> None:
    """A class among `samplers.examples()` is all it takes: it is listed, and can be given to --sampler."""
    code = f"""
import sys
from dataclasses import dataclass
from implicitloss import samplers
from implicitloss.samplers import uniform


@dataclass(frozen=True)
class EveryOther(samplers.Uniform):
    'Every other label.'

    step: float = 2.0


uniform.examples = lambda given: (samplers.Uniform(), EveryOther())
from implicitloss.cli.main import main

main(['names', 'sampler'])
sys.exit(main(['expect', '--sampler', 'every-other:3', *{SCHEME[2:]}]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert re.search(r"every-other\[:STEP\] +Every other label\n", done.stdout), done.stderr
    assert "EveryOther(step=3.0)" in done.stdout
    assert done.returncode == 0


@pytest.mark.parametrize("command", ["derive", "expect", "simulate", "verify", "audit", "table", "teach", "names"])
def test_help_of_a_command_is_quick(command: str) -> None:
    """Importing the library takes 0.6 s and more, so a help does without it."""
    code = (
        "import sys\nfrom implicitloss.cli.main import main\n"
        f"main([{command!r}, '--help'])\nassert not {{'numpy', 'sympy', 'scipy', 'numba'}} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    if command not in ("table", "teach", "names"):
        assert "`implicitloss names" in " ".join(done.stdout.split())


# --- the nearest name -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("program", "arguments", "sentence"),
    [
        # A misspelt option is named before those that are missing.
        (main, ["derive", "--samplr", "uniform"], "unknown option '--samplr'; did you mean '--sampler'? See"),
        (main, ["derive", "-m", "8"], "unknown option '-m'; did you mean '--m'? See implicitloss derive --help"),
        (main, ["table", "--fromat=latex"], "unknown option '--fromat'; did you mean '--format'?"),
        (main, ["--verson"], "unknown option '--verson'; did you mean '--version'? See implicitloss --help"),
        (main, ["derive", "--quux"], "unknown option '--quux'; see implicitloss derive --help"),
        (main, ["dervie", *SCHEME], "unknown command 'dervie'; did you mean 'derive'?"),
        (main, ["table", "--format", "latx"], "argument --format: unknown value 'latx'; did you mean 'latex'?"),
        (main, ["expect", *SCHEME, "--scorer", "Gausian"], "unknown scorer 'Gausian'; did you mean 'gaussian'?"),
        (main, ["expect", *SCHEME, "--loss", "sofmax"], "unknown loss 'sofmax'; did you mean 'softmax'?"),
        (main, ["audit", "my_losses:full", "--claim", "fll"], "unknown claim 'fll'; did you mean 'full'?"),
        (main, ["audit", "my_losses:full", "--claim", "FULL"], "unknown claim 'FULL'; did you mean 'full'?"),
        (main, ["audit", "my_losses:full", "--claim", "x"], "known are full, none, scheme, softmax, logit-adjusted"),
        (main, ["audit", "my_losses:full", "--framework", "trch"], "unknown framework 'trch'; did you mean 'torch'?"),
        (paper_checks, ["--cuonts", "x"], "unknown option '--cuonts'; did you mean '--counts'?"),
        (analyse, ["tlt"], "unknown study 'tlt'; did you mean 'tilt'?"),
        (analyse, ["--quik", "tilt"], "unknown option '--quik'; did you mean '--quick'?"),
        (draw, ["tlt"], "unknown figure 'tlt'; did you mean 'tilt'?"),
        (draw, ["zzz"], "unknown figure 'zzz'; known are clustered_training, "),
    ],
)
def test_a_name_that_is_not_known_gets_the_nearest(
    program: Callable[[list[str]], int],
    arguments: list[str],
    sentence: str,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert program(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert sentence in err
    assert len(err.splitlines()[-1]) <= 300


def test_options_may_be_shortened_and_values_may_look_like_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    """What argparse takes is no misspelling."""
    assert main(["table", "--form", "latex"]) == 0
    assert main(["expect", *SCHEME, "--seed", "-1"]) == 2
    assert "the seed must be a whole number >= 0, got -1" in capsys.readouterr().err


def test_nearest_names_are_sought_in_one_place() -> None:
    root = Path(__file__).parents[2]
    found = {
        path.relative_to(root).as_posix()
        for top in ("implicitloss", "paper_checks", "analysis", "figures")
        for path in (root / top).rglob("*.py")
        if "difflib" in path.read_text(encoding="utf-8")
    }
    assert found == {"implicitloss/formats.py"}


def test_an_audit_at_given_scores(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Hard negatives are the best labels by the scores of the file, and others with the scores turned."""
    (folder / "mined.py").write_text(
        "import numpy as np\n\n\ndef loss(f, y, rng):\n"
        "    n, rows = len(y), np.arange(len(y))\n"
        "    a = np.zeros(f.shape)\n"
        "    np.add.at(a, (rows[:, None], rng.integers(0, 6, (n, 12))), 0.5)\n"
        "    a[:, 5] = 9.0\n"
        "    a[rows, y] = 0.0\n"
        "    x = a * np.exp(f - f[rows, y][:, None])\n"
        "    slopes = x / (1 + x.sum(axis=1, keepdims=True))\n"
        "    slopes[rows, y] = -slopes.sum(axis=1)\n"
        "    return np.log1p(x.sum(axis=1)), slopes\n"
    )
    scores = np.array([0.0, 0.3, -0.2, 0.1, -0.5, 0.8])
    np.save(folder / "scores.npy", scores)
    (folder / "scores.txt").write_text("\n".join(map(str, scores)))
    np.save(folder / "turned.npy", -scores)
    command = ["audit", "mined:loss", "--profile", "zipf:6:1", "--sampler", "uniform", "--weighting", "importance"]
    command += [
        "--m",
        "12",
        "--hits",
        "mask",
        "--hard",
        "1",
        "--hard-weight",
        "9",
        "--overlap",
        "mask",
        "--budget",
        "quick",
        "--scores",
    ]
    assert [main([*command, f]) for f in ("scores.npy", "scores.txt", "turned.npy")] == [0, 0, 1]
    capsys.readouterr()
    np.save(folder / "short.npy", scores[:3])
    (folder / "bad.npy").write_bytes(b"no array")
    for file, said in (
        ("short.npy", "scores must cover the prior's 6 labels, got shape (3,)"),
        ("none.npy", "cannot read none.npy: No such file"),
        ("bad.npy", "bad.npy is not an array file that can be read"),
    ):
        assert main([*command, file]) == 2
        assert said in capsys.readouterr().err.splitlines()[-1]


def test_an_audit_with_other_labels_says_both_numbers(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Counts of five labels, a loss of seven: the sentence names the file, its labels and the loss's error."""
    (folder / "seven_labels.py").write_text(
        "import numpy as np\n\n\ndef loss(f, y, rng):\n    f = f - np.log(np.arange(1, 8) / 28)\n"
        "    return np.log(np.exp(f).sum(axis=1)) - f[np.arange(len(y)), y]\n\n\n"
        "def broken(f, y, rng):\n    raise KeyError('rate')\n"
    )
    command = ["audit", "seven_labels:loss", "--claim", "full"]
    assert main([*command, "--counts", "counts.csv"]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert re.search(r"shapes \(\d+,5\) \(7,\)", said)
    assert said.endswith("(seven_labels.py, line 5); counts.csv gives 5 labels: has the loss as many?")
    assert main([*command, "--profile", "zipf:6:1"]) == 2
    assert "zipf:6:1 gives 6 labels: has the loss as many?" in capsys.readouterr().err
    # Another failure is not blamed on the labels.
    assert main(["audit", "seven_labels:broken", "--claim", "full", "--counts", "counts.csv"]) == 2
    assert "as many" not in capsys.readouterr().err


def test_labels_of_an_audit_are_the_columns_that_their_ids_say(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ids have gaps, and one a count of 0: label 3 is `scores[:, 3]`, and labels that never occur are columns too."""
    (folder / "counts.csv").write_text("label,count\n5,40\n3,30\n0,20\n1,0\n6,10\n")
    (folder / "with_gaps.py").write_text(
        "import numpy as np\n\nPRIOR = np.array([20, 0, 0, 30, 0, 40, 10]) / 100\n\n\ndef loss(f, y, rng):\n"
        "    assert f.shape == (len(y), 7) and np.all(PRIOR[y] > 0)\n    p = 5 * PRIOR\n"
        "    x = p * np.exp(f - f[np.arange(len(y)), y][:, None])\n    x[np.arange(len(y)), y] = 0\n"
        "    return np.log1p(x.sum(axis=1))\n\n\n"
        "def drawn(f, y, rng):\n    neg = rng.choice(7, size=(len(y), 20), p=PRIOR)\n"
        "    g = np.take_along_axis(f, neg, 1) - np.log(20 * PRIOR[neg])\n"
        "    g = np.where(neg == y[:, None], -np.inf, g) - f[np.arange(len(y)), y][:, None]\n"
        "    return np.log1p(np.exp(g).sum(axis=1))\n"
    )
    scheme = ["--sampler", "within-batch", "--weighting", "unit", "--m", "5", "--hits", "mask"]
    assert main(["audit", "with_gaps:loss", *scheme, "--counts", "counts.csv", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["positives"] == ["5", "0", "6"]
    assert "3 labels have count 0 in counts.csv and a column all the same: scores have 7 columns" in err
    drawn = ["--sampler", "within-batch", "--weighting", "importance", "--m", "20", "--hits", "mask"]
    assert main(["audit", "with_gaps:drawn", *drawn, "--counts", "counts.csv", "--budget", "quick"]) == 0
    assert "labels   7 columns, 100 samples, 3 with count 0" in capsys.readouterr().out


def test_interactions_are_counted_where_it_is_said_which_column_has_the_labels(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "interactions.csv").write_text("user,item,rating\n0,2,5\n1,0,4\n1,2,3\n2,1,5\n3,2,1\n4,0,2\n")
    command = ["tilt", *SCHEME[:8], "--counts", "interactions.csv"]
    assert main(command) == 2
    said = capsys.readouterr().err
    assert "its lines are counted: label='item' (--label-column item)" in said
    assert main([*command, "--label-column", "item", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["labels"] == 3


def test_the_last_line_of_a_failed_run_is_the_command_for_one_claim(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scheme = ["verify", *SCHEME, "--profile", "zipf:6:1"]
    assert main([*scheme, "--target", "softmax"]) == 1
    name, _, command = capsys.readouterr().out.splitlines()[-1].partition(" again: ")
    assert name == "Run target"
    words = command.removesuffix(" # claim target").split()
    assert words[:2] == ["implicitloss", "verify"]
    assert main(words[1:]) == 1
    assert main(scheme) == 0
    assert " again: " not in capsys.readouterr().out.splitlines()[-1]
    from implicitloss.samplers import WithinBatch
    from implicitloss.samplers.sampler import by_shares

    monkeypatch.setattr(WithinBatch, "procedure", lambda self, at: by_shares(at.prior.probabilities**0.5))
    assert paper_checks(["rawat2021.table2.within-batch-constant", "--seed", "3"]) == 1
    last = capsys.readouterr().out.splitlines()[-1]
    name = "rawat2021.table2.within-batch-constant"
    assert last == f"Run {name} again: python -m paper_checks {name} --seed 3"


def test_teach_says_where_its_page_is(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Pages with all their numbers are the tests of teaching."""
    from implicitloss.teaching import document

    monkeypatch.setattr(document, "vectors", list)
    monkeypatch.setattr(document, "derivations", dict)
    where = "implicitloss.html: open it in a browser (written to the current folder; --out FILE writes it elsewhere)\n"
    assert main(["teach"]) == 0
    assert capsys.readouterr().out == where
    assert (folder / "implicitloss.html").exists()
    assert main(["teach", "--out", "page.html"]) == 0
    assert capsys.readouterr().out == "page.html: open it in a browser\n"


# --- where output goes ------------------------------------------------------------------------------------------------

ONE = "rawat2021.section2.eq3-eq4"
EXPECT = f"implicitloss expect {' '.join(SCHEME)} --profile zipf:5:1"


def test_a_link_keeps_pointing_and_a_pipe_stays_a_pipe(tmp_path: Path) -> None:
    real, link = tmp_path / "real.json", tmp_path / "link.json"
    real.write_text("old")
    link.symlink_to(real)
    assert paper_checks([ONE, "--json", str(link)]) == 0
    assert link.is_symlink()
    assert json.loads(real.read_text())["schema"] == CLAIMS_SCHEMA
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as pool:
        writer = pool.submit(paper_checks, [ONE, "--json", str(pipe)])
        assert json.loads(pipe.read_text())["schema"] == CLAIMS_SCHEMA
        assert writer.result() == 0
    assert pipe.is_fifo()


@pytest.mark.slow
def test_a_full_disk_a_gone_reader_and_an_ascii_terminal() -> None:
    command = [sys.executable, "-m", *EXPECT.split()]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr == "implicitloss: cannot read or write the output: No space left on device\n"
    reader = subprocess.Popen(
        f"{sys.executable} -m paper_checks --list | head -c 1; echo ${{PIPESTATUS[0]}}",
        shell=True, executable="/bin/bash", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    out, err = reader.communicate(timeout=60)
    assert (out[1:].strip(), err) in (("141", ""), ("0", ""))  # 0 where the list was out before head went
    ascii_only = run("implicitloss", "expect", *SCHEME, PYTHONIOENCODING="ascii")
    assert ascii_only.returncode == 0
    assert r"\u03c0 = 0.00443" in ascii_only.stdout


COUNTS = "label,count\na,90\nb,50\nc,20\nd,7\ne,5\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with inputs, and names that lead to them."""
    (tmp_path / "counts.csv").write_text(COUNTS)
    (tmp_path / "law.txt").write_text("0.5\n0.25\n0.125\n0.0625\n0.0625\n")
    (tmp_path / "my_losses.py").write_text(
        "import numpy as np\n\n\ndef full(f, y, rng):\n"
        "    return np.log(np.exp(f).sum(axis=1)) - f[np.arange(len(y)), y]\n"
    )
    for name in ("counts.csv", "law.txt", "my_losses.py"):
        (tmp_path / f"link-to-{name}").symlink_to(name)
        (tmp_path / f"hard-{name}").hardlink_to(tmp_path / name)
    (tmp_path / "here").symlink_to(".")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "my_losses", raising=False)
    return tmp_path


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


WAYS = ("{}", "./{}", "here/{}", "link-to-{}", "hard-{}")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("program", "command", "read"),
    [
        (main, ["teach", "--counts", "counts.csv", "--out"], "counts.csv"),
        (main, ["audit", "my_losses:full", "--claim", "full", "--counts", "counts.csv", "--markdown"], "counts.csv"),
        (main, ["audit", "my_losses:full", "--claim", "full", "--counts", "counts.csv", "--markdown"], "my_losses.py"),
        (main, ["audit", "my_losses:full", "--claim", "full", "--counts", "counts.csv", "--json"], "counts.csv"),
        (main, ["audit", "my_losses:full", "--claim", "full", "--counts", "counts.csv", "--json"], "my_losses.py"),
        (main, ["derive", "--sampler", "explicit:law.txt", *SCHEME[2:], "--json"], "law.txt"),
        (main, ["derive", *SCHEME[:2], "--weighting", "margin:offsets:law.txt", *SCHEME[4:], "--json"], "law.txt"),
        (main, ["expect", *SCHEME, "--counts", "counts.csv", "--json"], "counts.csv"),
        (main, ["simulate", *SCHEME, "--counts", "counts.csv", "--json"], "counts.csv"),
        (main, ["verify", *SCHEME, "--counts", "counts.csv", "--json"], "counts.csv"),
        (main, ["verify", *SCHEME, "--counts", "counts.csv", "--html"], "counts.csv"),
        (main, ["verify", "--sampler", "explicit:law.txt", *SCHEME[2:], "--profile", "zipf:5:1", "--json"], "law.txt"),
        (paper_checks, ["--counts", "counts.csv", "--json"], "counts.csv"),
        (paper_checks, ["--counts", "counts.csv", "--junit"], "counts.csv"),
        (paper_checks, ["--counts", "counts.csv", "--markdown"], "counts.csv"),
        (paper_checks, [ONE, "--html", "counts.csv", "--json"], "counts.csv"),  # two outputs
    ],
)
def test_no_output_is_an_input_or_another_output(
    program: Callable[[list[str]], int],
    command: list[str],
    read: str,
    way: str,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = files_of(folder)
    assert program([*command, way.format(read)]) == 2
    assert re.search(rf" would overwrite \S*{read}, which is (read|written to);", capsys.readouterr().err)
    assert files_of(folder) == before


@pytest.mark.parametrize(
    ("program", "command"),
    [
        (main, ["audit", "my_losses:full", "--claim", "none", "--profile", "zipf:6:1", "--runs", "100"]),
        (main, ["derive", *SCHEME]),
        (main, ["expect", *SCHEME]),
        (main, ["simulate", *SCHEME, "--runs", "50"]),
        (main, ["table"]),
        (main, ["verify", *SCHEME, "--profile", "zipf:6:1"]),
        (paper_checks, [ONE]),
    ],
)
def test_json_is_spelt_one_way(
    program: Callable[[list[str]], int], command: list[str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--json` and `--json -`: JSON on stdout, alone.  `--json FILE`: the same in the file, beside the text."""

    def said(*arguments: str) -> str:
        assert program([*command, *arguments]) == 0
        return capsys.readouterr().out

    def lasting(document: str) -> dict[str, Any]:
        """Without the time that it took, and the command."""
        found: dict[str, Any] = json.loads(document)
        assert found["schema"] in (CLAIMS_SCHEMA, COMMAND_SCHEMA, AUDIT_SCHEMA)
        return {name: value for name, value in found.items() if name not in ("summary", "provenance", "claims")}

    text, alone, dash, beside = (said(*form) for form in ([], ["--json"], ["--json", "-"], ["--json", "found.json"]))
    assert lasting(alone) == lasting(dash) == lasting((folder / "found.json").read_text(encoding="utf-8"))
    assert text.splitlines()[:2] == beside.splitlines()[:2]
    assert "schema" not in text
    assert program([*command, "--json", ""]) == 2
    assert "cannot write a file without a name" in capsys.readouterr().err


def test_every_command_has_what_the_command_line_asks_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    for module in pkgutil.iter_modules(commands.__path__):
        command = importlib.import_module(f"{commands.__name__}.{module.name}")
        assert f"{module.name.replace('_', '-')} {command.HELP}" in said
        assert main([module.name.replace("_", "-"), "--help"]) == 0
        words = capsys.readouterr().out
        assert module.name in ("plot", "teach") or "--json [FILE]" in words


def test_a_command_is_one_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is found in the folder of commands, and none of its outputs can be one of its inputs."""
    (folder / "more").mkdir()
    (folder / "more" / "count.py").write_text(
        "from pathlib import Path\n\nfrom implicitloss.cli.files import Input, Output, write_whole\n\n"
        "HELP = 'count lines'\nEXAMPLES = ('implicitloss count a.csv --to n.txt',)\n\n\n"
        "def add_arguments(parser):\n    parser.add_argument('file', type=Input)\n"
        "    parser.add_argument('--to', type=Output)\n\n\n"
        "def run(args):\n    write_whole(args.to, str(len(Path(args.file).read_text().splitlines())))\n    return 0\n"
    )
    monkeypatch.setattr(commands, "__path__", [*commands.__path__, str(folder / "more")])
    monkeypatch.delitem(sys.modules, f"{commands.__name__}.count", raising=False)
    assert main(["--help"]) == 0
    assert "count lines" in capsys.readouterr().out
    assert main(["count", "counts.csv", "--to", "n.txt"]) == 0
    assert (folder / "n.txt").read_text() == "6"
    assert main(["count", "counts.csv", "--to", "link-to-counts.csv"]) == 2
    assert "link-to-counts.csv would overwrite counts.csv, which is read" in capsys.readouterr().err
    assert (folder / "counts.csv").read_text() == COUNTS


def test_ids_come_before_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert paper_checks(["--json", ONE]) == 2
    assert "give the ids before --json" in capsys.readouterr().err
    assert not (folder / ONE).exists()


def test_no_study_or_figure_overwrites_what_it_reads(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = folder / "results"
    (out / ".retrieval").mkdir(parents=True)  # unfinished work, which goes when it is done
    for name in ("margins.csv", "margins.json", "retrieval.json", ".retrieval/train.txt"):
        (out / name).write_text(COUNTS)
    (out / "hard-tilt.csv").hardlink_to(out / "margins.csv")
    (out / "tilt.json").symlink_to("margins.csv")
    (out / "margins.txt").symlink_to("margins.csv")
    before = files_of(folder)
    for command in (
        ["margins", "--counts", "results/margins.csv"],
        ["margins", "--counts", "results/hard-tilt.csv"],
        ["margins", "--counts", "here/results/margins.json"],
        ["tilt", "--counts", "results/margins.csv"],
        ["retrieval", "--data", "results/retrieval.json", "counts.csv"],
        ["retrieval", "--data", "results/.retrieval/train.txt", "counts.csv"],
    ):
        assert analyse([*command, "--quick"]) == 2
        assert re.search("would overwrite|unfinished work", capsys.readouterr().err), command
    assert draw(["margins", "--tables", "results"]) == 2
    assert "would overwrite" in capsys.readouterr().err
    assert files_of(folder) == before


def test_what_is_redirected_is_an_output_too(folder: Path) -> None:
    program = f"{sys.executable} -m implicitloss expect {' '.join(SCHEME)} --counts counts.csv >> counts.csv"
    assert subprocess.run(program, shell=True, capture_output=True, timeout=60).returncode == 2
    assert (folder / "counts.csv").read_text() == COUNTS
    program = f"{sys.executable} -m implicitloss teach --out page.html > page.html"
    assert subprocess.run(program, shell=True, capture_output=True, timeout=60).returncode == 2


def test_many_devices_are_no_file_twice(capsys: pytest.CaptureFixture[str]) -> None:
    assert paper_checks([ONE, "--json", "/dev/null", "--html", "/dev/null"]) == 0


def test_nothing_half_written_stays(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = files_of(folder)
    with pytest.raises(ValueError, match="cannot write no/b: No such file"):
        write_all({"counts.csv": "new", "no/b": "text"})
    assert files_of(folder) == before

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_all({"counts.csv": "new", "other": "text"})
    assert files_of(folder) == before
    monkeypatch.undo()
    write_all({str(folder / "counts.csv"): "\udc80"})
    assert (folder / "counts.csv").read_text() == "?"


# --- streams ----------------------------------------------------------------------------------------------------------

# The quickest answer, for what is asked is where it goes; one with compiled code and symbols goes there too.
GOOD = "implicitloss design --profile zipf:5:1 --code torch"
BAD = f"{GOOD} --batch 8"


@pytest.mark.in_turn(9)
@pytest.mark.parametrize(
    ("command", "redirection", "code"),
    [
        (EXPECT, "> /dev/full", 2),
        (GOOD, "2> /dev/full", 0),
        (GOOD, ">&-", 2),
        (GOOD, "2>&-", 0),
        (GOOD, ">&- 2>&-", 2),
        (EXPECT, "<&- 2>&-", 0),
        (GOOD, "> /dev/full 2> /dev/full", 2),
        (BAD, "> /dev/full", 2),
        (BAD, "2> /dev/full", 2),
        (BAD, "2>&-", 2),
        ("implicitloss --help", "> /dev/full", 2),
        ("implicitloss expect", "2> /dev/full", 2),
        ("paper_checks --list", "2>&-", 0),
        (f"paper_checks {ONE}", "2> /dev/full", 0),
        (f"paper_checks {ONE}", "> /dev/full", 2),
        ("paper_checks bogus", "2> /dev/full", 5),
        ("analysis bogus", "2> /dev/full", 2),
        ("figures bogus", "2>&-", 2),
    ],
)
def test_streams_that_are_closed_or_full(command: str, redirection: str, code: int) -> None:
    check_streams(command, redirection, code, "")


def check_streams(command: str, redirection: str, code: int, unbuffered: str) -> None:
    done = subprocess.run(
        f"{sys.executable} -m {command} {redirection}",
        shell=True, capture_output=True, text=True, timeout=60, env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
    )  # fmt: skip
    assert done.returncode == code
    assert "Traceback" not in done.stderr + done.stdout
    said = [line for line in done.stderr.splitlines() if "[1/1]" not in line and "--details" not in line]
    assert len(said) == (1 if code and "2>" not in redirection else 0)
    if "2>&-" in redirection and code == 0:
        assert "[1/1]" not in done.stdout


@pytest.mark.parametrize("command", [GOOD, "implicitloss --help"])
def test_unbuffered_streams_that_are_full(command: str) -> None:
    """Every write fails there, and not the last flush."""
    check_streams(command, "> /dev/full", 2, "1")


# --- numbers and names ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scorer", ["gaussian", "aligned", "against", "heavy-tailed", "class-conditional"])
def test_scorers_take_no_parameters(scorer: str, capsys: pytest.CaptureFixture[str]) -> None:
    for rest in (":2", ":", ":1:2"):
        arguments = ["expect", *SCHEME, "--scorer", scorer + rest]
        test_bad_input_is_one_sentence_and_exit_code_2(arguments, f"scorer {scorer} takes 0 parameters", capsys)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--weighting", "margin:logit-adjusted:inf"),
        ("--weighting", "margin:logit-adjusted:1e300"),
        ("--weighting", "margin:adaptive:nan"),
        ("--sampler", "power:1e9"),
        ("--loss", "cosine:-inf"),
        ("--profile", "zipf:5:1e9"),
    ],
)
def test_numbers_beyond_reach(option: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["expect", *SCHEME, option, value]
    test_bad_input_is_one_sentence_and_exit_code_2(arguments, "needs a number from -100000 to 100000, got", capsys)


def test_work_without_an_end(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["simulate", *SCHEME[:4], "--m", "1000000", *SCHEME[6:], "--runs", "1000000"]
    test_bad_input_is_one_sentence_and_exit_code_2(arguments, "must be at most 10,000,000,000 draws", capsys)
    arguments = ["audit", "my_losses:full", "--claim", "full", "--runs", "1000000000000"]
    test_bad_input_is_one_sentence_and_exit_code_2(arguments, "--runs must be at most 10,000,000", capsys)


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
@pytest.mark.parametrize("part", ["value", "error"])
@pytest.mark.parametrize("command", ["expect", "simulate"])
def test_a_number_that_is_not_finite_is_no_answer(
    command: str, part: str, value: float, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from implicitloss.witness import integrate as module

    honest = module.integrate
    monkeypatch.setattr(
        module, "integrate", lambda *a: replace(honest(*a), **{part: value}) if a[3] == "variance" else honest(*a)
    )
    runs = ["--runs", "50"] if command == "simulate" else []
    for form in ([], ["--json"]):
        assert main([command, *SCHEME, *runs, *form]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert re.search(r": the (error of the )?variance must be finite, got (inf|nan)", err)


def test_json_is_valid_in_every_encoding(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "counts.csv").write_text(COUNTS.replace("c,", "é💥\u202e\x9b,"), encoding="utf-8")
    for encoding in ("utf-8", "ascii", "latin-1"):
        with open("out.json", "w", encoding=encoding) as out:
            monkeypatch.setattr(sys, "stdout", out)
            assert main(["expect", *SCHEME, "--counts", "counts.csv", "--json"]) == 0
        said = Path("out.json").read_bytes()
        assert said.isascii()
        assert json.loads(said)["label"] == "é💥\u202e\x9b"


HOSTILE = "\x1b[31m<script>alert(1)</script>|[x](javascript:alert(1))\u202e\x9b2J"


def test_names_do_not_steer_the_terminal(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "counts.csv").write_text(COUNTS.replace("c,", f"{HOSTILE},"), encoding="utf-8")
    os.rename("counts.csv", "c\x1b[2J.csv")
    for program, command in (
        (main, ["expect", *SCHEME]),
        (main, ["expect", *SCHEME, "--positive", "\x1b]0;x\x07"]),
        (main, ["verify", *SCHEME, "--details"]),
        (main, ["audit", "my_losses:full", "--claim", "full", "--explain"]),
        (main, ["audit", "my_losses:full", "--claim", "equalised", "--explain"]),
        (paper_checks, ["rawat2021.table2.uniform-constant", "--details"]),
        (paper_checks, ["\x1b[31m"]),
    ):
        program([*command, "--counts", "c\x1b[2J.csv"])
        out, err = capsys.readouterr()
        assert not [c for c in out + err if not c.isprintable() and c != "\n"]


def test_names_are_no_markup_in_an_audit(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every row of the tables has as many cells as its head, and nothing of a name is a tag or a link."""
    (folder / "counts.csv").write_text(COUNTS.replace("a,", f"{HOSTILE},").replace("e,", '"two\nlines",'))
    assert main(["audit", "my_losses:full", "--claim", "full", "--counts", "counts.csv", "--markdown", "out.md"]) == 0
    text = (folder / "out.md").read_text(encoding="utf-8")
    assert "alert" in text
    assert not re.search(r"<script|(?<!\\)\]\(|\x1b|\x9b|\u202e", text)
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) > 10
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {8}
    assert text.count("two lines") == text.count("two")


def test_names_stay_names_on_the_page(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from implicitloss.teaching import document

    monkeypatch.setattr(document, "vectors", list)
    monkeypatch.setattr(document, "derivations", dict)
    names = ["{{script}}", "{{data}}", "</script>", "\x1b[31m", "\\g<0>"]
    (folder / "counts.csv").write_text("label,count\n" + "".join(f"{n},{9 - i}\n" for i, n in enumerate(names)))
    assert main(["teach", "--counts", "counts.csv", "--out", "page.html"]) == 0
    text = (folder / "page.html").read_text(encoding="utf-8")
    data = json.loads(text.split('id="data">')[1].split("</script>")[0])
    assert data["counts"]["labels"] == [*names[:3], "\N{REPLACEMENT CHARACTER}[31m", names[4]]
    assert text.count("</script>") == 2


def test_a_damaged_npz_is_a_sentence(folder: Path, rng: np.random.Generator) -> None:
    from analysis.inputs import features

    np.savez_compressed("good.npz", X=np.ones((20, 3)), y=np.arange(20) % 4)
    good = Path("good.npz").read_bytes()
    assert features.read("good.npz")[0].shape == (20, 3)
    refused = 0
    for _ in range(400):
        data = bytearray(good)
        for at in rng.integers(len(data), size=3):
            data[at] = int(rng.integers(256))
        Path("bad.npz").write_bytes(data[: int(rng.integers(1, len(data) + 1))] if rng.random() < 0.3 else data)
        try:
            features.read("bad.npz")
        except ValueError as error:
            refused += str(error).startswith(("bad.npz", "cannot read bad.npz"))
    assert refused > 300


@pytest.mark.parametrize(
    "command", [["expect", "--counts"], ["simulate", *SCHEME, "--bogus", "x" * 2000], ["x" * 5000]]
)
def test_arguments_are_refused_in_one_sentence(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert len(err) <= 301
    assert err.endswith("--help\n")


def test_labels_that_never_occur_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "counts.csv").write_text("label,count\na,5\nb,3\nc,0\n")
    words = ("expect", "--sampler", "uniform", "--weighting", "constant", "--m", "4", "--hits", "mask")
    assert main([*words, "--counts", str(tmp_path / "counts.csv")]) == 0
    assert "3 labels, 1 of them with count 0 (" in capsys.readouterr().out


def test_the_tilt_of_a_scheme_says_who_gains(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The tilts are those of the library; label counts whose ids begin at 1 get a hint, unless it was taken."""
    path = counts_file(tmp_path, "label,count\n1,90\n2,10\n3,5\n")
    batch = ["tilt", "--sampler", "within-batch", "--m", "8", "--counts", path]
    scheme = il.Scheme(il.samplers.WithinBatch(), il.weightings.Constant(), m=8, hits="mask")
    slope = il.tilt(scheme, il.LabelPrior.from_counts([90, 10, 5]))
    assert main([*batch, "--weighting", "constant", "--hits", "mask"]) == 0
    out, err = capsys.readouterr()
    assert f"{slope:+.4f}; by the bound: " in out
    assert f"Rare labels gain: to predict the likeliest label add {-slope:.3g} log π" in out
    assert "if its ids begin at 1, say --first-id 1" in err
    relative = [*batch, "--weighting", "relative", "--hits", "keep", "--first-id", "1", "--json"]
    assert main(relative) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["gains"] == "neither"
    assert err == ""


def test_a_design_prints_what_the_library_finds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], rng: np.random.Generator
) -> None:
    path = counts_file(tmp_path, "label,count\n0,900\n1,90\n2,10\n3,5\n")
    words = ["design", "--counts", path, "--target", "logit-adjusted:0.5", "--sampler", "mixture:0.5", "--m", "31"]
    prior = il.LabelPrior.from_counts([900, 90, 10, 5])
    found = il.design(prior, il.margins.LogitAdjusted(0.5), il.samplers.Mixture(0.5), 31)
    assert main([*words, "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["exact"] is True
    assert values["information"] == pytest.approx(found.information)
    assert values["recipe"] == found.recipe()
    assert values["full_softmax_bytes"] == 4 * 32 * 4
    table = found.alternatives()
    assert len(values["alternatives"]) == len(table)
    at = {(row["sampler"], row["weights"], row["hits"]): row for row in values["alternatives"]}
    for row in table.to_dict("records"):
        own = at[row["sampler"], row["weights"], row["hits"]]
        assert own["off_peaked"] == pytest.approx(row["off_peaked"])
        assert (own["negatives_tilt"] is None) == bool(np.isnan(row["negatives_tilt"]))
    assert main([*words, "--batch", "0"]) == 2
    assert "--batch must be at least 1" in capsys.readouterr().err
    assert main(["design", "--counts", path, "--m", "31", "--batch", "31"]) == 2
    assert "--batch must be m + 1 = 32" in capsys.readouterr().err
    assert main([*words, "--batch", "1000000000"]) == 0
    out = capsys.readouterr().out
    assert "1,000,000,000 x 4 logits take 16 GB" in out
    assert "Take log q - 0.5 log π off every logit" in out
    assert found.advice() in out
    (line,) = [line for line in out.splitlines() if line.startswith("  own, mask")][:1]
    row = at["0.5 within-batch sampling + 0.5 uniform sampling", "own", "mask"]
    assert line.split()[2:] == [
        *(f"{row[name]:+.3f}" for name in ("off_uniform", "off_prior", "off_peaked")), f"{row['negatives_tilt']:,.0f}"
    ]  # fmt: skip
    scores = rng.standard_normal((3, 4))
    np.save(tmp_path / "scores.npy", scores)
    (tmp_path / "named").mkdir()
    named = counts_file(tmp_path / "named", "label,count\nshoe,9\nhat,5\nbelt,2\nsock,1\n")
    assert (
        main(["design", "--counts", named, "--target", "logit-adjusted:0.5", "--scores", str(tmp_path / "scores.npy")])
        == 0
    )
    out = capsys.readouterr().out
    assert "Label 0 is shoe, and the last sock: the order of the file." in out
    assert "Information is that of 3 examples of " in out
    assert "own weights: p/(m q)" in out
    assert main([*words, "--scores", str(tmp_path / "scores.npy"), "--json"]) == 0
    at_scores = il.design(prior, il.margins.LogitAdjusted(0.5), il.samplers.Mixture(0.5), 31, scores)
    assert json.loads(capsys.readouterr().out)["information"] == pytest.approx(at_scores.information)
    assert main([*words, "--code", "numpy", "--shift", str(tmp_path / "shift.npy")]) == 0
    assert capsys.readouterr().out == found.code("numpy")
    np.testing.assert_array_equal(np.load(tmp_path / "shift.npy"), found.shift)
    assert main([*words, "--code", "torch", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["code"] == found.code("torch")
    assert main([*words, "--code", "torch", "--json", str(tmp_path / "found.json")]) == 0
    assert capsys.readouterr().out == found.code("torch")
    many, shift = ["design", "--profile", "zipf:40:1", "--code", "numpy"], str(tmp_path / "own.npy")
    assert main([*many, "--shift", shift]) == 0
    out, err = capsys.readouterr()
    assert f"np.load({json.dumps(shift)})" in out
    assert err == ""
    assert main(many) == 0
    out, err = capsys.readouterr()
    assert 'np.load("log_shift.npy")' in out
    assert "add --shift log_shift.npy" in err
    assert main(["design", "--counts", path, "--target", "equalised", "--code", "torch"]) == 2
    assert "code needs a target whose margins are a ratio" in capsys.readouterr().err
    assert main(["design", "--counts", path, "--target", "equalised"]) == 0
    assert "log(1 + Σ p_yy' exp(f_y' - f_y)) over all labels" in capsys.readouterr().out


def test_the_tilt_is_that_of_an_audit_s_explanation(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`implicitloss tilt` and `--explain` compute on the same labels, and say how many."""
    words = ["--profile", "zipf:150:1", "--explain", "--budget", "quick"]
    (folder / "equalised.py").write_text(
        "import numpy as np\n\nq = 1 / np.arange(1, 151)\nq /= q.sum()\n\n\ndef loss(f, y, rng):\n"
        "    x = 8 * q * np.exp(f - f[np.arange(len(y)), y][:, None])\n    x[np.arange(len(y)), y] = 0\n"
        "    return np.log1p(x.sum(axis=1))\n"
    )
    scheme = ["--sampler", "within-batch", "--weighting", "unit", "--m", "8", "--hits", "mask"]
    assert main(["audit", "equalised:loss", *scheme, *words]) == 0
    explained = " ".join(capsys.readouterr().out.split())
    assert main(["tilt", *scheme, "--profile", "zipf:150:1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["labels"] == 150
    assert "over all 150 labels" in explained
    assert f"the tilt is {found['tilt']['bound']:+.3f}" in explained
    assert main(["tilt", *scheme, "--profile", "zipf:150:1", "--labels", "100"]) == 0
    assert "\n100 of 150 labels (zipf:150:1)" in capsys.readouterr().out


def test_a_loss_is_named_by_its_file_too(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where another module has the name of the file, and what stands beside the file can be imported."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", sys.path[:])
    assert main(["audit", "mine.py:loss", "--claim", "full"]) == 2
    assert "there is no file mine.py with the loss loss" in capsys.readouterr().err
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "json.py").write_text("from beside_it import loss\n\ndef other(q, i):\n    pass\n")
    (tmp_path / "below" / "beside_it.py").write_text(
        "import numpy as np\n\n\ndef loss(scores, positive, rng):\n"
        "    return np.logaddexp.reduce(scores, axis=1) - scores[np.arange(len(positive)), positive]\n"
    )
    words = ["--claim", "full", "--profile", "zipf:20:1", "--budget", "quick"]
    assert main(["audit", os.path.join("below", "json.py") + ":loss", *words]) == 0
    assert "holds" in capsys.readouterr().out
    assert sys.modules["json"] is json
    assert main(["audit", str(tmp_path / "below" / "json.py") + ":other", *words]) == 2
    assert "an in-batch loss needs implicitloss.adapters.in_batch" in capsys.readouterr().err
    (tmp_path / "adapted.py").write_text(
        "import implicitloss as il\n\n\ndef tensors(q, i, y):\n    raise TypeError('must be Tensor, not ndarray')\n\n\n"
        "loss = il.adapters.in_batch(tensors, il.LabelPrior.zipf(20, 1.0), 4)\n"
    )
    assert main(["audit", "adapted.py:loss", *words]) == 2
    assert "does it take tensors? Then the adapter needs framework=" in capsys.readouterr().err
    (tmp_path / "broken_file.py").write_text("import nothing_of_this_name\n")
    assert main(["audit", "broken_file.py:loss", *words]) == 2
    assert "cannot import broken_file.py: ModuleNotFoundError" in capsys.readouterr().err
    assert "broken_file" not in sys.modules


def test_an_audit_shows_its_progress_on_a_terminal(tmp_path: Path) -> None:
    """One line of stderr that is overwritten, and cleared at the end; the report alone goes to stdout."""
    import pty

    (tmp_path / "mine.py").write_text(
        "import numpy as np\n\n\ndef loss(scores, positive, rng):\n    own = np.arange(len(positive)), positive\n"
        "    drawn = rng.integers(scores.shape[1], size=(len(positive), 10))\n"
        "    moved = np.take_along_axis(scores, drawn, axis=1) - scores[own][:, None]\n"
        "    return np.log1p(np.exp(moved).sum(axis=1))\n"
    )
    ours, theirs = pty.openpty()
    asked = [
        "audit", "mine:loss", "--claim", "none", "--profile", "zipf:50:1", "--runs", "500",
    ]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "implicitloss", *asked], stdout=subprocess.PIPE, stderr=theirs, text=True, timeout=120,
        cwd=tmp_path,
    )  # fmt: skip
    os.close(theirs)
    shown = os.read(ours, 1 << 20).decode()
    os.close(ours)
    assert done.returncode == 0
    assert "evaluations of each positive" not in done.stdout
    assert re.search(r"\[ *\d+/500\] evaluations of each positive", shown), shown
    # The line is cleared at the end, and the cursor is back.
    assert shown.rstrip().endswith("\x1b[?25h\r\x1b[1A\x1b[2K"), shown[-200:]
