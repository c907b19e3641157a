"""The how-to "check my loss in CI", run as it is written; the command line; the pytest plugin."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest

from implicitloss.auditing.failure import FRAMEWORKS
from implicitloss.cli.main import main

matplotlib.use("Agg")
ROOT = Path(__file__).parents[2]
HOW_TO = (ROOT / "docs" / "check-my-loss.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"```python file=(\S+)\n(.*?)```", HOW_TO, re.DOTALL))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The how-to's files, and its counts, in a folder of their own."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    subprocess.run([sys.executable, "write_counts.py"], cwd=tmp_path, check=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.delitem(sys.modules, "losses", raising=False)
    return tmp_path


def pytest_run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", *arguments],
        cwd=folder, capture_output=True, text=True, timeout=300,
    )  # fmt: skip


def test_the_how_to_runs_as_it_is_written(project: Path) -> None:
    done = pytest_run(project, "-s", "test_losses.py", "test_claims.py")
    assert done.returncode == 0, done.stdout + done.stderr
    shown = re.search(r"the last line prints\n\n```text\n(.*?)```", HOW_TO, re.DOTALL)
    assert shown is not None
    assert shown[1] in done.stdout


def test_the_first_test_has_five_lines() -> None:
    assert len([line for line in FILES["test_losses.py"].splitlines() if line]) == 5


class Remembering:
    """A loss with a queue, as the how-to resets it: `queue` knows `copy_`, as tensors do."""

    def __init__(self) -> None:
        self.queue = self
        self.calls = 0

    def clear(self) -> None:
        self.calls = 0

    def copy_(self, full: int) -> None:
        self.calls = full

    def __call__(self, scores: Any, positive: Any, rng: Any) -> Any:
        self.calls += 1
        return np.log(np.exp(scores).sum(axis=1)) - (1 + self.calls / 50) * scores[np.arange(len(positive)), positive]


def test_the_lines_between_run_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks that are no files: adapters are made of frameworks that need not be there, and state is put back."""
    import implicitloss as il

    blocks = re.findall(r"```python\n(.*?)```", HOW_TO, re.DOTALL)
    assert len(blocks) == 2
    found = importlib.import_module
    monkeypatch.setattr(importlib, "import_module", lambda name: None if name in FRAMEWORKS else found(name))
    adapters = {"il": il, "my_loss": lambda *given: None, "PRIOR": il.LabelPrior.zipf(4, 1.0)}
    exec(blocks[0], adapters)
    assert callable(adapters["loss_fn"])
    reports: list[Any] = []
    monkeypatch.setattr(
        il, "audit", lambda *given, run=il.audit, **options: reports.append(run(*given, runs=64, **options))
    )
    loss = Remembering()
    exec(blocks[1], {"il": il, "loss": loss, "make_loss": Remembering, "full": 30, "CLAIM": "full",
                     "PRIOR": il.LabelPrior.zipf(4, 1.0)})  # fmt: skip
    assert len(reports) == len(blocks[1].splitlines()) == 3
    assert all("keeps state" not in {note.kind for note in report.notes} for report in reports)
    monkeypatch.undo()
    kept = il.audit(loss, claim="full", prior=il.LabelPrior.zipf(4, 1.0), runs=64)
    assert "keeps state" in {note.kind for note in kept.notes}


def test_two_tower_losses_run_as_they_are_written(project: Path) -> None:
    done = pytest_run(project, "-s", "test_towers.py")
    assert done.returncode == 0, done.stdout + done.stderr
    shown = re.search(r"The last line prints `(.*?)`", HOW_TO)
    assert shown is not None
    assert shown[1] in done.stdout


def test_a_mean_over_positives_runs_as_it_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(FILES["several_positives.py"], "several_positives.py", "exec"), {})
    assert capsys.readouterr().out == "holds\n"


def test_hard_negatives_run_as_they_are_written(capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(FILES["hard_negatives.py"], "hard_negatives.py", "exec"), {})
    shown = re.search(r"It prints\n\n```text\n(.*?)```", HOW_TO, re.DOTALL)
    assert shown
    assert capsys.readouterr().out == shown[1]


@pytest.mark.slow
def test_a_failure_says_what_was_measured(project: Path) -> None:
    """The plugin's message and JUnit properties, in a session of its own."""
    head = FILES["test_claims.py"].split("\n\n\n")[0]
    wrong = "def test_wrong(assert_implicit_loss):\n    assert_implicit_loss(without_m, claim=CLAIM, prior=PRIOR)\n"
    (project / "test_wrong.py").write_text(f"{head}\n\n\n{wrong}", encoding="utf-8")
    done = pytest_run(project, "--junitxml=report.xml", "test_wrong.py")
    assert done.returncode == 1
    for part in ("REFUTED", "head", "torso", "tail", "log q taken off without m", "seed "):
        assert part in done.stdout
    properties = {p.get("name"): p.get("value") for p in ET.parse(project / "report.xml").iter("property")}
    assert properties["implicitloss.verdict"] == "refuted"
    assert str(properties["implicitloss.nearest"]).startswith("log q taken off without m")
    assert float(str(properties["implicitloss.measured_over_claimed.tail.0"])) == pytest.approx(50, rel=0.2)


def test_the_plugin_imports_nothing_before_its_use() -> None:
    code = "import implicitloss.pytest_plugin, sys; assert 'numpy' not in sys.modules and 'numba' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_the_command(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scheme = ["--sampler", "within-batch", "--weighting", "importance", "--m", "50", "--hits", "mask"]
    base = ["audit", "losses:sampled_softmax", "--counts", "counts.csv"]
    assert main([*base, *scheme, "--markdown", "out.md", "--explain"]) == 0
    out = capsys.readouterr()
    assert "holds: beside the audited positives, every group of negatives" in out.out
    assert "log π" in out.out
    assert (project / "out.md").read_text(encoding="utf-8").startswith("### sampled_softmax: holds")
    # A step's summary is added to.
    few = ["--runs", "64"]
    assert main([*base, "--claim", "none", *few, "--markdown", "out.md"]) == 0
    said = (project / "out.md").read_text(encoding="utf-8")
    assert said.startswith("### sampled_softmax: holds")
    assert said.count("### sampled_softmax: ") == 2
    capsys.readouterr()
    assert main([*base, "--claim", "logit-adjusted", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["verdict"] == "refuted"
    assert found["nearest"].startswith("importance weights")
    assert main(["audit", "losses:without_m", "--counts", "counts.csv", "--claim", "none", *few]) == 0
    assert "measured; nothing was claimed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["losses"], "the loss must be given as module:function or file.py:function, got 'losses'"),
        (["losses:none_such"], "module losses has no none_such"),
        (["no_such_module:f"], "cannot import no_such_module: ModuleNotFoundError"),
        (["losses:M"], "losses:M must be a function (scores, positive, rng), got int"),
        (
            ["losses:sampled_softmax"],
            "--claim full, none or a published loss, or the scheme, which lacks --sampler, --weighting, --m, --hits",
        ),
        (["losses:sampled_softmax", "--claim", "full", "--m", "3"], "--m and --claim full are two claims"),
        (["losses:sampled_softmax", "--claim", "half"], "half"),
        (
            ["losses:sampled_softmax", "--claim", "full", "--framework", "mxnet"],
            "unknown framework 'mxnet'; known are numpy",
        ),
        (["losses:sampled_softmax", "--claim", "full", "--seed", "-1"], "the seed must be a whole number >= 0, got -1"),
        (["losses:sampled_softmax", "--claim", "full", "--profile", "zipf:40:1"], "shapes (6, 40), (6,): IndexError"),
        (["losses:sampled_softmax", "--claim", "full", "--markdown", "no/such/folder"], "cannot write no/such/folder"),
    ],
)
def test_slips(project: Path, arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", *arguments]) == 2
    assert sentence in capsys.readouterr().err.splitlines()[-1]


WRONG = """
import sys

import numpy as np


def honest(f, y, rng):
    print("{}")
    return np.log(np.exp(f).sum(axis=1)) - f[np.arange(len(y)), y]


def broken(f, y, rng):
    raise KeyError("\x1b[31m" + 500 * "long ")


def leaving(f, y, rng):
    sys.exit(0)
"""


def test_a_loss_that_prints_fails_or_leaves(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What it prints is no part of the report, and what ends it is no pass: a sentence says where."""
    (project / "wrong_losses.py").write_text(WRONG)
    (project / "leaving_module.py").write_text("import sys\n\nsys.exit(0)\n")
    sys.modules.pop("wrong_losses", None)
    assert (
        main(["audit", "wrong_losses:honest", "--claim", "none", "--counts", "counts.csv", "--json", "--runs", "64"])
        == 0
    )
    assert json.loads(capsys.readouterr().out)["verdict"] == "measured"
    for name, error, line in (("broken", "KeyError", 13), ("leaving", "SystemExit", 17)):
        assert main(["audit", f"wrong_losses:{name}", "--claim", "full", "--counts", "counts.csv"]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert "Traceback" not in err
        (said,) = [line for line in err.splitlines() if line.startswith("implicitloss: ")]
        assert len(said) <= 300
        assert said.isprintable()
        assert error in said
        assert said.endswith(f"(wrong_losses.py, line {line})")
    assert main(["audit", "leaving_module:f", "--claim", "full", "--counts", "counts.csv"]) == 2
    assert "cannot import leaving_module: SystemExit: 0 (leaving_module.py, line 3)" in capsys.readouterr().err


def test_markdown_alone_on_stdout(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["audit", "losses:sampled_softmax", "--claim", "none", "--counts", "counts.csv", "--markdown", "-"]
    command += ["--runs", "64"]
    assert main(command) == 0
    assert capsys.readouterr().out.startswith("### sampled_softmax: measured")
    assert main([*command, "--json"]) == 2
    assert not (project / "-").exists()


def full(f: Any, y: Any, rng: Any) -> Any:
    return np.log(np.exp(f).sum(axis=1)) - f[np.arange(len(y)), y]


def slope(f: Any, y: Any) -> Any:
    p = np.exp(f) / np.exp(f).sum(axis=1, keepdims=True)
    p[np.arange(len(y)), y] -= 1
    return p


@pytest.mark.parametrize(
    ("loss", "sentence"),
    [
        (lambda f, y, rng: full(f, y, rng).mean(), r"got shape \(\) for \(6,\); if it is a mean .* \(--one-by-one\)"),
        (lambda f, y, rng: full(f, y, rng)[:, None], r"got shape \(6, 1\) for \(6,\); return losses\[:, 0\]"),
        (lambda f, y, rng: full(f, y, rng)[None], r"got shape \(1, 6\) for \(6,\); return losses\[0\]"),
        (lambda f, y, rng: f, r"got shape \(6, 12\) for \(6,\), a number for each label: return that of the positive"),
        (lambda f, y, rng: f.T, r"got shape \(12, 6\) .* examples are columns: scores are \(B, L\)"),
        (lambda f, y, rng: np.exp(f).sum(axis=0), r"got shape \(12,\) .* the sum over labels is axis 1"),
        (lambda f, y, rng: f[:, :5], r"got shape \(6, 5\) for \(6,\)$"),
        (lambda f, y, rng: None, "got None: is a return missing"),
        (lambda f, y, rng: {"loss": full(f, y, rng)}, "got a dict with 'loss': return its losses alone"),
        (lambda f, y, rng: (full(f, y, rng), f, y), "got 3 parts: return the losses alone"),
        (lambda f, y, rng: (full(f, y, rng), slope(f, y).T), r"got \(12, 6\); return its transpose"),
        (lambda f, y, rng: (full(f, y, rng), slope(f, y).sum(axis=0)), r"got \(12,\): that of the sum or the mean"),
        (lambda f, y: full(f, y, None), r"takes \(f, y\); .* lambda scores, positive, rng: loss\(scores, positive\)"),
        (lambda f, y, rng, q: 0, r"takes \(f, y, rng, q\); give lambda .* with its other arguments filled in"),
    ],
)
def test_what_a_loss_may_not_return_or_take(loss: Any, sentence: str) -> None:
    """One sentence each, with what to write."""
    import implicitloss as il

    with pytest.raises(ValueError, match=sentence) as error:
        il.audit(loss, claim="full", prior=il.LabelPrior.zipf(12, 1.0), rng=0)
    assert len(str(error.value)) <= 300


ADAPTED = """
import implicitloss as il
import numpy as np


def mean(f, y, rng):
    return (np.log(np.exp(f).sum(axis=1)) - f[np.arange(len(y)), y]).mean()


def diagonal(queries, items, labels):
    own = (queries * items).sum(axis=1)
    return np.log(np.exp(own).sum()) - own


def narrow(queries, items, labels):
    return (queries @ items.T)[:, :1]


PRIOR = il.LabelPrior.zipf(7, 1.0)
in_batch = il.adapters.in_batch(diagonal, PRIOR, batch=8)
of_narrow = il.adapters.in_batch(narrow, PRIOR, batch=8)
"""


def test_other_losses_on_the_command_line(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A mean by --one-by-one; what an adapter returned, by its name, with all that the adapter can do besides."""
    (project / "adapted_losses.py").write_text(ADAPTED)
    sys.modules.pop("adapted_losses", None)
    words = ["--claim", "full", "--profile", "zipf:7:1", "--budget", "quick"]
    assert main(["audit", "adapted_losses:mean", *words]) == 2
    assert "(--one-by-one)" in capsys.readouterr().err
    assert main(["audit", "adapted_losses:mean", "--one-by-one", *words]) == 0
    assert "holds" in capsys.readouterr().out
    assert main(["audit", "adapted_losses:in_batch", *words]) == 1
    out = capsys.readouterr().out
    assert "loss     diagonal" in out
    assert "a row's loss depends on the queries of other rows" in out
    assert main(["audit", "adapted_losses:of_narrow", *words]) == 2
    err = capsys.readouterr().err
    assert err.splitlines()[-1].startswith("implicitloss: the in-batch loss must return one number for each of 8")
    assert "functools" not in err
    assert main(["audit", "--help"]) == 0
    assert "implicitloss.adapters.in_batch(...)" in " ".join(capsys.readouterr().out.split())


def test_properties_and_pictures_take_any_name(project: Path) -> None:
    """A control character in a label's name would break the JUnit file, and dollars the picture."""
    import implicitloss as il

    names = ["\x1b[31m", "a\x00b", "$\\frac$", "d", "e"]
    prior = il.LabelPrior.from_counts([50, 30, 10, 5, 5], names)

    def full(f, y, rng):  # type: ignore[no-untyped-def]
        return np.log(np.exp(f).sum(axis=1)) - f[np.arange(len(y)), y]

    report = il.audit(full, claim="full", prior=prior, positives=[0, 1, 2], rng=0)
    assert all(name.isprintable() and value.isprintable() for name, value in report.properties().items())
    assert str(report).replace("\n", "").isprintable()
    axes = report.plot()
    axes.figure.canvas.draw()
    assert "positive $\\frac$" in [text.get_text().replace("\\$", "$") for text in axes.get_legend().get_texts()]
