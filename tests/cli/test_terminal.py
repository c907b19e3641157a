"""On a terminal what commands print fits its width, and nothing is lost; in a pipe lines are whole."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from rich.cells import cell_len

from implicitloss.cli.main import main
from implicitloss.cli.text import table

SCHEME = ["--sampler", "within-batch", "--weighting", "tail", "--hits", "mask"]
COMMANDS = {
    "table": ["table"],
    "expect": ["expect", *SCHEME, "--m", "8"],
    "expect-table": ["expect", *SCHEME, "--m", "1,16", "--positives", "head,tail"],
    "simulate": ["simulate", *SCHEME, "--m", "8", "--runs", "100"],
    "tilt": ["tilt", *SCHEME, "--m", "8"],
    "derive": ["derive", *SCHEME, "--m", "8"],
    "design": ["design", "--m", "63"],
    "catalogue": ["catalogue"],
    "claims": ["check-papers", "--list"],
    "explain": ["check-papers", "explain", "rawat2021.lemma1"],
}


def on_a_terminal(command: list[str], width: int) -> str:
    """What it prints to a terminal of so many columns."""
    ours, theirs = pty.openpty()
    parts: list[bytes] = []

    def read() -> None:
        while True:
            try:
                part = os.read(ours, 1 << 16)
            except OSError:
                return
            if not part:
                return
            parts.append(part)

    reader = threading.Thread(target=read)
    reader.start()
    done = subprocess.run(
        [sys.executable, "-m", "implicitloss", *command], stdout=theirs, stderr=subprocess.PIPE, timeout=120,
        env=os.environ | {"COLUMNS": str(width), "NO_COLOR": "1"},
    )  # fmt: skip
    os.close(theirs)
    reader.join()
    os.close(ours)
    assert done.returncode == 0, done.stderr.decode()
    return b"".join(parts).decode().replace("\r\n", "\n")


def letters(text: str) -> str:
    """All that is no blank, and no rule of a table, in the order of the alphabet."""
    return "".join(sorted(re.sub(r"[\s─-]", "", text)))


@pytest.mark.parametrize("name", COMMANDS)
def test_what_is_printed_fits_the_terminal_and_nothing_is_lost(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(COMMANDS[name]) == 0
    piped = capsys.readouterr().out
    numbers = set(re.findall(r"[+-]?\d[\d.,]*(?:e-?\d+)?", piped))
    for width in (24, 60):
        for module in ("implicitloss.cli.text", "paper_checks.__main__", "implicitloss.cli.commands.design"):
            monkeypatch.setattr(f"{module}.room", lambda width=width: width)
        assert main(COMMANDS[name]) == 0
        shown = capsys.readouterr().out
        # Ids of claims are whole, to be copied.
        assert max(cell_len(line) for line in shown.splitlines() if " " in line.strip()) <= width
        if "…" not in piped:
            assert "…" not in shown
        if name in ("tilt", "derive", "claims", "explain"):  # blocks repeat heads, and leave out "-"
            assert letters(shown) == letters(piped)
        unbroken = re.sub(r"\n *", "", shown) + shown
        assert [number for number in numbers if number not in unbroken] == []


def test_it_looks_at_the_terminal_that_it_is_on() -> None:
    shown = on_a_terminal(COMMANDS["table"], 60)
    assert 40 < max(map(len, shown.splitlines())) <= 60


@pytest.mark.parametrize(
    "variables", [{}, {"FORCE_COLOR": "1", "TERM": "dumb"}, {"TTY_COMPATIBLE": "1", "COLUMNS": "40"}]
)
def test_lines_of_a_pipe_are_whole_whatever_the_environment(variables: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "implicitloss", "table"], capture_output=True, text=True, timeout=120, check=True,
        env=os.environ | variables,
    )  # fmt: skip
    assert "\x1b" not in done.stdout
    assert sum("softmax cross-entropy" in line and line.startswith("uniform") for line in done.stdout.splitlines()) == 1
    assert max(map(len, done.stdout.splitlines())) > 100


NAMES = ["[red]x[/red]", "日本語ラベル日本語ラベル日本語ラベル", "a" * 120, ":smile:", "x"]


def test_names_of_labels_are_printed_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No markup is read in them, wide letters have two columns, and long ones are broken."""
    path = tmp_path / "counts.csv"
    path.write_text("label,count\n" + "".join(f"{name},{100 - 9 * k}\n" for k, name in enumerate(NAMES)))
    command = ["expect", *SCHEME, "--m", "1,16", "--counts", str(path), "--positives", ",".join(NAMES)]
    for width in (40, 64, 100, 200):
        monkeypatch.setattr("implicitloss.cli.text.room", lambda width=width: width)
        assert main(command) == 0
        shown = capsys.readouterr().out
        assert max(map(cell_len, shown.splitlines())) <= width
        whole = re.sub(r"\s", "", shown)
        assert all(whole.count(name) >= 2 for name in NAMES if len(name) < 15 or width < 100), width
        assert "…" not in shown


def test_numbers_stay_whole_in_columns_and_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    head, rows = ("", "exact", "a long name"), [("first", "0.123456789012", "words that may be broken"), ("", "1", "")]
    wide = table(head, rows, right=(1,)).splitlines()
    assert wide == [
        "                exact  a long name",
        "first  0.123456789012  words that may be broken",
        "                    1",
    ]
    for width, lines in ((40, 4), (30, None)):
        monkeypatch.setattr("implicitloss.cli.text.room", lambda width=width: width)
        found = table(head, rows, right=(1,))
        assert max(map(len, found.splitlines())) <= width
        assert "0.123456789012" in found
        assert lines is None or len(found.splitlines()) == lines
    assert found.splitlines()[:2] == ["first", "exact        0.123456789012"]
