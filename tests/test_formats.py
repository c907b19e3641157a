"""Formats of reports are found in their folders: each is an option of the command line and a method of the report."""

from __future__ import annotations

import argparse
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import implicitloss as il
from implicitloss.auditing import formats as of_audits
from implicitloss.claims.report import Report, provenance
from implicitloss.claims.report import formats as of_claims
from implicitloss.cli.formats import add_formats, formats, write_reports
from implicitloss.cli.main import main


def softmax(scores: Any, positive: Any, rng: Any) -> Any:
    return np.log(np.exp(scores).sum(axis=1)) - scores[np.arange(len(positive)), positive]


@pytest.fixture(scope="module")
def reports() -> dict[ModuleType, Any]:
    audited = il.audit(softmax, prior=il.LabelPrior.zipf(10, 1.0), claim="full", rng=0, runs=400)
    return {of_claims: Report("nothing", (), provenance(), 1e-6, ""), of_audits: audited}


FORMATS = [(folder, name) for folder in (of_claims, of_audits) for name in formats(folder)]
each_format = pytest.mark.parametrize(("folder", "name"), FORMATS, ids=[f"{f.__name__}.{name}" for f, name in FORMATS])


def written(folder: ModuleType, report: Any, *words: str) -> bool:
    """Whether text was printed; JSON and text stand for themselves."""
    parser = argparse.ArgumentParser()
    add_formats(parser, folder)
    return write_reports(parser.parse_args(words), folder, report, lambda: "JSON\n", lambda: "TEXT\n")


def test_the_formats_are_found() -> None:
    assert {"html", "junit", "markdown"} <= set(formats(of_claims))
    assert "markdown" in formats(of_audits)


@each_format
def test_a_format_is_a_method_of_the_report_and_an_option(
    folder: ModuleType, name: str, reports: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report, path = reports[folder], tmp_path / "report"
    text = getattr(report, f"to_{name}")()
    assert text.strip()
    assert written(folder, report, f"--{name}", str(path), "--json", str(tmp_path / "json"))
    assert capsys.readouterr().out == "TEXT\n"
    assert path.read_text(encoding="utf-8") == text
    assert (tmp_path / "json").read_text() == "JSON\n"
    assert not written(folder, report, f"--{name}", "-")
    assert capsys.readouterr().out == text


@each_format
def test_a_second_report_replaces_the_first_or_follows_it(
    folder: ModuleType, name: str, reports: Any, tmp_path: Path
) -> None:
    module, path = formats(folder)[name], tmp_path / "report"
    for _ in range(2):
        written(folder, reports[folder], f"--{name}", str(path))
    text = getattr(reports[folder], f"to_{name}")()
    assert path.read_text(encoding="utf-8") == text * (2 if getattr(module, "APPENDS", False) else 1)


@each_format
def test_the_help_of_a_format(folder: ModuleType, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify" if folder is of_claims else "audit", "--help"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f"--{name} FILE {formats(folder)[name].HELP}" in said
