"""On a terminal what commands print fits its width, and nothing is lost; in a pipe lines are whole."""

from __future__ import annotations

import json
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


@pytest.mark.parametrize("name", COMMANDS)
def test_what_is_printed_fits_the_terminal(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(COMMANDS[name]) == 0
    piped = capsys.readouterr().out
    shown = on_a_terminal(COMMANDS[name], 60)
    assert max(map(cell_len, shown.splitlines())) <= 60
    assert max(map(len, piped.splitlines())) > 60
    # Words and numbers are all there, whatever the lines.
    assert set(re.findall(r"\d\.\d+", piped)) <= set(re.findall(r"\d\.\d+", re.sub(r"\n *", "", shown) + shown))


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


def test_json_is_the_same_on_a_terminal(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    command = [*COMMANDS["expect"], "--json"]
    assert main(command) == 0
    assert json.loads(on_a_terminal(command, 40)) == json.loads(capsys.readouterr().out)
