"""`implicitloss expect` with several m and positives; and the examples in every help."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import implicitloss as il
from implicitloss.cli.main import _commands, _parser, main

SCHEME = ["--sampler", "within-batch", "--weighting", "importance", "--hits", "mask"]
PRIOR = il.LabelPrior.exp(100, 500, 100)
SCORES = il.scorers.Gaussian().scores(PRIOR, 0)


def test_a_table_has_each_m_and_positive(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The numbers are those of integrals one by one; positives are the middle labels of the slices."""
    out = tmp_path / "table.csv"
    words = ["expect", *SCHEME, "--m", "1,16", "--positives", "head,7,tail", "--csv", str(out), "--json"]
    assert main(words) == 0
    rows = json.loads(capsys.readouterr().out)["table"]
    slices = PRIOR.slices()
    positives = [int(slices["head"][len(slices["head"]) // 2]), 7, int(slices["tail"][len(slices["tail"]) // 2])]
    assert [(row["m"], row["positive"]) for row in rows] == [(m, str(y)) for m in (1, 16) for y in positives]
    for row in rows:
        scheme = il.Scheme("within-batch", "importance", m=row["m"], hits="mask")
        problem = il.Problem(SCORES, PRIOR, int(row["positive"]))
        for name in ("mean", "gap", "variance", "mse"):
            exact = float(il.integrate(scheme, il.losses.SoftmaxCrossEntropy(), problem, name))  # type: ignore[arg-type]
            assert row[name] == pytest.approx(exact, rel=1e-9)
        bound = float(il.implicit_loss(scheme, il.losses.SoftmaxCrossEntropy(), problem))
        assert row["bound"] == pytest.approx(bound, rel=1e-12)
        assert row["prior"] == pytest.approx(PRIOR.probabilities[problem.positive])
    table = pd.read_csv(out)
    np.testing.assert_allclose(table["mean"], [row["mean"] for row in rows], rtol=1e-12)
    assert main(words[:-3]) == 0  # as text
    said = capsys.readouterr().out
    assert said.startswith("WithinBatch(), Importance(), m=1,16, hits=mask; softmax cross-entropy\n")
    assert len(said.splitlines()) == 3 + len(rows)


def test_labels_called_tail_are_labels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    counts = tmp_path / "counts.csv"
    counts.write_text("label,count\ntail,90\nb,50\nc,20\nd,7\ne,5\n")
    assert main(["expect", *SCHEME, "--m", "2", "--counts", str(counts), "--positives", "tail,head", "--csv", "-"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(",")[1] for line in lines[1:]] == ["tail", "b"]  # the label, and the middle of the head


def test_numbers_may_be_written_as_powers_of_ten(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["expect", *SCHEME, "--m", "1e6"]) == 0
    assert "m=1000000," in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--m", "1,x"], "must be a whole number, got 'x'"), (["--m", "1.5"], "must be a whole number, got '1.5'"),
        (["--m", "inf"], "must be a whole number, got 'inf'"), (["--m", "1,"], "must be a whole number, got ''"),
        (["--m", "0,1"], "m, the number of negatives, must be"), (["--m", "1", "--positives", "hed"], "got 'hed'"),
        (["--m", "1", "--csv", "no/such/folder/a.csv"], "cannot write"),
    ],
)  # fmt: skip
def test_what_is_no_ladder(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["expect", *SCHEME, *words]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("name", _commands())
def test_every_help_has_two_examples_that_can_be_given(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    examples = _commands()[name].EXAMPLES
    assert len(examples) == 2
    assert main([name, "--help"]) == 0
    said = capsys.readouterr().out
    for example in examples:
        assert f"\n  {example}\n" in said  # in a line of its own
        program, *words = shlex.split(example)
        assert (program, words[0]) == ("implicitloss", name)
        _parser().parse_args(words)


def test_a_shell_can_complete(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("shtab")
    assert main(["--print-completion", "bash"]) == 0
    said = capsys.readouterr().out
    assert all(word in said for word in ("check-papers", "--weighting", "gradient-bias"))
    assert main(["--print-completion", "fish"]) == 2
    assert "unknown value 'fish'" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert main(["--print-completion", "bash"]) == 2
    assert "needs shtab: pip install 'implicitloss[completion]'" in capsys.readouterr().err


def test_a_label_that_is_called_head_is_no_slice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "counts.csv"
    path.write_text("label,count\nhead,300\nb,150\nc,30\nd,9\n")
    command = ["expect", "--sampler", "uniform", "--weighting", "importance", "--m", "1,4", "--hits", "mask"]
    assert main([*command, "--counts", str(path), "--positives", "head,tail"]) == 0
    shown = capsys.readouterr().out
    assert "head (head)" not in shown
    assert shown.count("d (tail)") == 2
