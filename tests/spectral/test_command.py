"""`implicitloss spectra` as a user meets it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import implicitloss as il
from implicitloss.cli.main import main


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Features of two encoders, and the labels alone."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    y = np.repeat(["cat", "dog", "owl"], 40)
    X = rng.standard_normal((120, 30)) * np.where(y == "owl", 0.5, 1.0)[:, None] + 0.5 * (y == "cat")[:, None]
    np.savez("net.npz", X=X, y=y)
    np.savez("half.npz", X=X[:, ::2], y=y)
    np.save("X.npy", X)
    np.save("y.npy", y)
    return tmp_path


def test_the_report(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["spectra", "net.npz"]) == 0
    out, err = capsys.readouterr()
    assert out == str(il.diagnose("net.npz")) + "\n"
    assert err == ""
    assert main(["spectra", "X.npy", "y.npy"]) == 0
    assert capsys.readouterr().out == out
    assert main(["spectra", "net.npz", "--ridge", "3", "--rows", "1"]) == 0
    out = capsys.readouterr().out
    assert "λ = 3, as given" in out
    assert "and 2 more classes" in out


def test_all_that_can_be_asked_for(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--compare", "half.npz", "--augment", "noise:0.05", "--gap", "cat", "owl", "--seed", "3"]
    files = ["--json", "a.json", "--markdown", "a.md", "--plot", "a.png", "--offsets", "delta.txt"]
    assert main(["spectra", "net.npz", *asked, *files]) == 0
    out = capsys.readouterr().out
    report = il.diagnose("net.npz", rng=3, augment=il.spectral.Noise(0.05))  # type: ignore[arg-type]
    assert str(report) in out
    assert str(report.gap("cat", "owl")) in out
    assert str(il.spectral.compare({"net": "net.npz", "half": "half.npz"})) in out
    values = json.loads((folder / "a.json").read_text())
    assert values["classes"] == json.loads(report.to_json())["classes"]
    assert [row["encoder"] for row in values["comparison"]] == ["net", "half"]
    assert values["gap_between"]["total"] == pytest.approx(report.gap("cat", "owl").total)
    assert report.to_markdown() in (folder / "a.md").read_text()
    assert (folder / "a.png").read_bytes().startswith(b"\x89PNG")
    delta = [float(line) for line in (folder / "delta.txt").read_text().splitlines()]
    assert delta == report.offsets().delta.tolist()
    # What it wrote is what other commands read.
    scheme = ["--sampler", "uniform", "--weighting", "margin:offsets:delta.txt", "--m", "5", "--hits", "mask"]
    assert main(["expect", *scheme, "--profile", "zipf:3:0"]) == 0


def test_json_on_stdout(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["spectra", "net.npz", "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["comparison"] is None
    assert values["samples"] == 120


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_pictures_are_the_same_each_time(kind: str, folder: Path) -> None:
    for name in ("one", "two"):
        assert main(["spectra", "net.npz", "--plot", f"{name}.{kind}"]) == 0
    assert (folder / f"one.{kind}").read_bytes() == (folder / f"two.{kind}").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.npz"], "cannot read none.npz"),
        (["X.npy"], "X.npy has features and no labels"),
        (["net.npz", "--ridge", "x"], "--ridge must be loo or a number, got 'x'"),
        (["net.npz", "--ridge", "-1"], "ridge must be 'loo' or a number from 1e-30 to 1e60, got -1.0"),
        (["net.npz", "--augment", "nose:1"], "unknown augmentation 'nose'; did you mean 'noise'?"),
        (["net.npz", "--augment", "noise:nan"], "variance must be finite and within ±1e+60, got nan"),
        (["net.npz", "--augment", "noise"], "--augment noise must have a number, e.g. noise:0.05, got 'noise'"),
        (["net.npz", "--augment", "dropout:1"], "rate must be a number from 0 to below 1, got 1.0"),
        (["net.npz", "--gap", "cat", "dgo"], "unknown class 'dgo'; did you mean 'dog'?"),
        (["net.npz", "--plot", "a.jpg"], "--plot must be a file .png, .svg, .pdf, got a.jpg"),
        (["net.npz", "--plot", "-"], "--plot must be a file, for a picture is no text, got -"),
        (["net.npz", "--compare", "net.npz"], "--compare must name other files, got one of them twice"),
        (["net.npz", "--json", "net.npz"], "net.npz would overwrite net.npz, which is read"),
        (["net.npz", "--compare", "half.npz", "--json", "half.npz"], "would overwrite half.npz, which is read"),
        (["X.npy", "y.npy", "--offsets", "y.npy"], "would overwrite y.npy, which is read"),
        (["net.npz", "--markdown", "a.md", "--rows", "-1"], "rows must be a whole number >= 1, got -1"),
        (["net.npz", "--json", "--markdown", "-"], "only one report can go to stdout"),
    ],
)
def test_what_is_wrong(arguments: list[str], message: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert main(["spectra", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert len(err) <= 301
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
