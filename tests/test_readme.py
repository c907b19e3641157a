"""What the README and the documents show is what comes out."""

from __future__ import annotations

import contextlib
import io
import re
import runpy
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis import tilt
from implicitloss.cli.main import main
from implicitloss.labels import LabelPrior
from paper_checks.__main__ import all_claims

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
NUMBER = re.compile(r"[-+]?\d+\.?\d*(?:e[-+]?\d+)?")


def same(shown: str, printed: str) -> None:
    """The same words, and the same numbers to 7 digits (error bounds of rounding to a factor of 3)."""
    assert NUMBER.sub("#", shown).split() == NUMBER.sub("#", printed).split()
    for a, b in zip(NUMBER.findall(shown), NUMBER.findall(printed), strict=True):
        small = abs(float(a)) < 1e-10
        assert float(a) == pytest.approx(float(b), rel=3 if small else 1e-7)


def scripts(text: str, kind: str = "python") -> list[tuple[str, str]]:
    """Each block of Python, with the text that is shown below it."""
    return re.findall(rf"```{kind}\n(.*?)```\n\n```text\n(.*?)```", text, re.DOTALL)


def printed(script: str, document: str, names: dict[str, Any]) -> str:
    """What a script prints; its names are added to `names`."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(script, document, "exec"), names)
    return out.getvalue()


SCRIPTS = scripts(README)


@pytest.mark.parametrize(
    ("script", "shown"),
    SCRIPTS,
    ids=["a black box", "side by side", "a problem", "one's own weighting", "one's own sampler"],
)
def test_the_scripts_print_what_is_shown(
    script: str, shown: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # a plot is saved
    same(shown, printed(script, "README.md", {}))


HARD = (ROOT / "docs" / "hard-negatives.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def hard() -> tuple[list[str], dict[str, Any]]:
    """What the blocks on hard negatives print, each with the names of those before it; and all these names."""
    names: dict[str, Any] = {}
    return [printed(script, "hard-negatives.md", names) for script, _ in scripts(HARD)], names


def test_the_how_to_on_hard_negatives_prints_what_is_shown(hard: tuple[list[str], dict[str, Any]]) -> None:
    assert len(scripts(HARD)) == HARD.count("```python\n") >= 5
    for (_, shown), out in zip(scripts(HARD), hard[0], strict=True):
        same(shown, out)


def test_the_how_to_on_hard_negatives_with_faiss(hard: tuple[list[str], dict[str, Any]]) -> None:
    pytest.importorskip("faiss")
    ((script, shown),) = scripts(HARD, "python needs=faiss")
    same(shown, printed(script, "hard-negatives.md", hard[1]))


def test_the_commands_on_hard_negatives_run(capsys: pytest.CaptureFixture[str]) -> None:
    lines = re.findall(r"^\$ implicitloss (.*)$", HARD, re.MULTILINE)
    assert len(lines) == 3
    for line in lines:
        assert main(shlex.split(line, comments=True)) == 0, line
    assert "softmax cross-entropy\n" in capsys.readouterr().out


SAMPLER = (ROOT / "docs" / "write-a-sampler.md").read_text(encoding="utf-8")


def test_the_how_to_on_samplers_prints_what_is_shown() -> None:
    ((script, shown),) = scripts(SAMPLER)
    same(shown, printed(script, "write-a-sampler.md", {}))
    # Its check is one that can fail.
    with pytest.raises(AssertionError, match="must give label 0 the same q"):
        printed(script.replace("(s.n[yp] + 1)", "(s.n[yp] + 2)"), "write-a-sampler.md", {})


CHOOSE = (ROOT / "docs" / "choose-sampler-and-weights.md").read_text(encoding="utf-8")


def test_the_how_to_on_sampler_and_weights_prints_what_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    assert len(scripts(CHOOSE)) == CHOOSE.count("```python\n") == 6
    for script, shown in scripts(CHOOSE):
        same(shown, printed(script, "choose-sampler-and-weights.md", names))
    ((line, shown),) = re.findall(r"```text\n\$ implicitloss (design --profile.*)\n((?:.*\n)*?)```", CHOOSE)
    assert main(shlex.split(line)) == 0
    same(shown, capsys.readouterr().out)


SPECTRAL = (ROOT / "docs" / "spectral-imbalance.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def spectral() -> tuple[list[str], dict[str, Any]]:
    """What the blocks on spectra print, each with the names of those before it; and all these names."""
    names: dict[str, Any] = {}
    return [printed(script, "spectral-imbalance.md", names) for script, _ in scripts(SPECTRAL)], names


def test_the_how_to_on_spectra_prints_what_is_shown(spectral: tuple[list[str], dict[str, Any]]) -> None:
    assert len(scripts(SPECTRAL)) == SPECTRAL.count("```python\n") == 5
    for (_, shown), out in zip(scripts(SPECTRAL), spectral[0], strict=True):
        same(shown, out)


def test_the_commands_on_spectra_run(
    spectral: tuple[list[str], dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    X, y = spectral[1]["X"], spectral[1]["y"]
    np.savez("features.npz", X=X, y=y)
    np.savez("other.npz", X=X[:, :60], y=y)
    np.save("X.npy", X)
    np.save("y.npy", y)
    pd.DataFrame(X).assign(kind=y).to_csv("table.csv", index=False)
    lines = re.findall(r"^\$ implicitloss (.*)$", SPECTRAL, re.MULTILINE)
    assert len(lines) == 7
    for line in lines:
        assert main(shlex.split(line)) == 0, line
    assert "flat against steep: errors" in capsys.readouterr().out
    assert (tmp_path / "errors.png").exists()
    assert len((tmp_path / "offsets.txt").read_text().split()) == 3


def test_the_command_prints_what_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    shown = re.search(r"\$ (implicitloss expect [^\n]*)\n(.*?)```", README, re.DOTALL)
    assert shown is not None
    assert main(shlex.split(shown[1])[1:]) == 0
    same(shown[2], capsys.readouterr().out)


def test_the_counts_of_claims_are_true() -> None:
    claims = all_claims()
    _, (holding, missed) = re.findall(r"All (\d+) claims hold, and (\d+) near misses", README)
    assert int(holding) == len(claims)
    assert int(missed) == sum(len(claim.near_misses) for claim in claims)


def test_the_first_command_ends_as_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    line = re.search(r"&& implicitloss (verify .*)", README)
    assert line is not None
    assert main(shlex.split(line[1])) == 0
    *_, outcomes, summary = capsys.readouterr().out.strip().splitlines()
    shown = re.search(r"It ends with\n\n```text\n(.*)\n(.*) \d+ ms\.\n", README)
    assert shown is not None
    assert outcomes == shown[1]
    assert summary.startswith(shown[2])


def test_the_commands_of_the_table_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "counts.csv").write_text("label,count\na,900\nb,500\nc,200\nd,70\ne,50\nf,9\n")
    (tmp_path / "module.py").write_text(
        "import numpy as np\n\n\ndef loss(scores, positive, rng):\n"
        "    return np.log(np.exp(scores).sum(axis=1)) - scores[np.arange(len(positive)), positive]\n"
    )
    lines = re.findall(r"^\| .* \| `implicitloss ([^`]*)`", README, re.MULTILINE)
    assert len(lines) == 8
    for line in lines:
        if line != "check-papers":
            assert main(shlex.split(line)) == 0, line
    capsys.readouterr()
    assert (tmp_path / "tilt.pdf").exists()


def test_every_claim_that_the_findings_name_is_there() -> None:
    findings = (ROOT / "docs" / "findings.md").read_text(encoding="utf-8")
    ids = [claim.id for claim in all_claims()]
    named = re.findall(r"`((?:rawat2021|menon2021|qaraei2023|design|draws|spectral)\.[a-z0-9.-]+)`", findings)
    assert len(named) >= 10
    for name in named:
        assert any(id.startswith(name) for id in ids), name


def test_the_tilts_of_the_findings_are_true() -> None:
    findings = (ROOT / "docs" / "findings.md").read_text(encoding="utf-8")
    prior = LabelPrior.exp(100, 500, 100)
    table = pd.DataFrame([row for point in tilt.points(prior, False) for row in tilt.rows(prior, point)]).set_index(
        ["weighting", "hits", "m"]
    )
    ms = [int(m) for m in re.findall(r"\d+", re.search(r"\| m \|(.*)", findings)[1])]  # type: ignore[index]
    for row, column in (("implicit loss", "implicit"), ("true sampled loss", "sampled")):
        shown = re.search(rf"\| {row} \|(.*)", findings)
        assert shown is not None
        for m, value in zip(ms, re.findall(r"[\d.]+", shown[1]), strict=True):
            assert float(value) == pytest.approx(table.loc[("relative", "mask", m), column], abs=6e-4)


def test_links_lead_somewhere() -> None:
    for document in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text(encoding="utf-8")):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


@pytest.mark.parametrize("path", sorted((ROOT / "docs" / "notebooks").glob("*.py")), ids=lambda path: path.stem)
def test_notebooks_run_top_to_bottom(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As a script, with nothing defined before; warnings are errors here too."""
    runpy.run_path(str(path), run_name="__main__")
    assert capsys.readouterr().out


def test_the_glossary_is_linked_from_every_document_and_has_the_symbols() -> None:
    """One glossary, in one place: who meets a symbol first has a link beside it."""
    docs = ROOT / "docs"
    documents = [ROOT / "README.md", *docs.glob("*.md"), *(docs / "notebooks").glob("*.py")]
    assert len(documents) > 7
    for document in documents:
        text = document.read_text(encoding="utf-8")
        if document.name != "glossary.md" and not text.startswith("```{include}"):  # of one that is among these
            assert re.search(r"\((?:docs/|\.\./)?glossary\.md\)", text), document.name
    rows = [line for line in (docs / "glossary.md").read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    symbols = {symbol.strip() for row in rows for symbol in row.split("|")[2].split(",")}
    assert {"f", "π", "η", "q", "m", "w", "p", "p_yy'", "c_y", "Σp", "f*"} <= symbols
    words = {word.strip() for row in rows for word in row.split("|")[1].split(",")}
    assert {
        "hit",
        "margin",
        "tilt",
        "balanced rule",
        "true sampled loss",
        "head",
        "pilot",
        "decisive",
        "effective rank",
        "offset",
    } <= words
