"""Studies point by point: resumed after an interruption, the same through joblib and on a real dask cluster."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from analysis import runner, tilt
from analysis.__main__ import main as analyse
from figures import tilt as tilt_figure
from figures.__main__ import main as draw
from implicitloss.labels import LabelPrior

ROOT = Path(__file__).parents[2]
PRIOR = LabelPrior.exp(100, 500, 100)


@pytest.fixture(scope="module")
def serial(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("serial")
    assert analyse(["tilt", "--quick", "--out", str(folder)]) == 0
    return (folder / "tilt.csv").read_bytes()


def test_any_backend_gives_the_same_bytes(serial: bytes, tmp_path: Path) -> None:
    """One that starts processes, from a process of its own, and one that needs none."""
    pytest.importorskip("joblib")
    options = ["tilt", "--quick", "--jobs", "2", "--out"]
    loky = [*options, str(tmp_path / "loky"), "--backend", "loky"]
    done = subprocess.run(
        [sys.executable, "-m", "analysis", *loky], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert analyse([*options, str(tmp_path / "threading"), "--backend", "threading"]) == 0
    for backend in ("loky", "threading"):
        assert (tmp_path / backend / "tilt.csv").read_bytes() == serial, backend


def test_an_interrupted_study_goes_on_where_it_stopped(
    serial: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Stopped after five points, they are on disk, and only the others are computed; another prior shares nothing."""
    honest, computed = tilt.rows, []

    def counted(prior: LabelPrior, point: runner.Point) -> list[runner.Row]:
        if len(computed) == 5:
            raise KeyboardInterrupt
        computed.append(dict(point))
        return honest(prior, point)

    monkeypatch.setattr(tilt, "rows", counted)
    arguments = ["tilt", "--quick", "--out", str(tmp_path)]
    total = len(tilt.points(PRIOR, True))
    assert analyse(arguments) == 130
    assert capsys.readouterr().err.endswith(f"analysis: interrupted; 5 of {total} points are kept, run again\n")
    assert not (tmp_path / "tilt.csv").exists()
    parts = list((tmp_path / ".tilt").iterdir())
    assert len(parts) == 5
    assert all(json.loads(part.read_text()) for part in parts)
    monkeypatch.setattr(tilt, "rows", honest)
    first = len(computed)
    monkeypatch.setattr(tilt, "rows", lambda prior, point: computed.append(dict(point)) or honest(prior, point))
    assert analyse(arguments) == 0
    assert len(computed) - first == total - 5
    assert len({json.dumps(point) for point in computed}) == total
    assert (tmp_path / "tilt.csv").read_bytes() == serial
    assert not (tmp_path / ".tilt").exists()
    assert f"tilt: {total} of {total} points" in capsys.readouterr().err


def _point_files(folder: Path) -> list[Path]:
    """Of the quick study of `tilt`, in the grid's order."""
    return [folder / ".tilt" / f"{runner._key('tilt', PRIOR, point)}.json" for point in tilt.points(PRIOR, True)]


def _resumed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Run the quick study of `tilt` to its end; the numbers of the points that it computed."""
    honest, computed, grid = tilt.rows, [], tilt.points(PRIOR, True)

    def counted(prior: LabelPrior, point: runner.Point) -> list[runner.Row]:
        computed.append(grid.index(dict(point)))
        return honest(prior, point)

    with monkeypatch.context() as patch:
        patch.setattr(tilt, "rows", counted)
        assert analyse(["tilt", "--quick", "--out", str(folder)]) == 0
    return computed


KILLED = """
import sys, time
from analysis import __main__, tilt

honest, left = tilt.rows, iter(range(5))

def rows(prior, point):
    if next(left, None) is None:
        print("in the middle", flush=True)
        time.sleep(600)
    return honest(prior, point)

tilt.rows = rows
__main__.main(sys.argv[1:])
"""


def test_a_killed_study_goes_on_where_it_stopped(
    serial: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGKILL within the sixth point: the five before are kept and not computed again, and the table is the same."""
    command = [sys.executable, "-c", KILLED, "tilt", "--quick", "--out", str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as study:
        assert study.stdout is not None
        assert study.stdout.readline() == "in the middle\n"
        study.send_signal(signal.SIGKILL)
    assert study.returncode == -signal.SIGKILL
    assert [file.exists() for file in _point_files(tmp_path)] == [i < 5 for i in range(len(tilt.points(PRIOR, True)))]
    assert not (tmp_path / "tilt.csv").exists()
    assert _resumed(tmp_path, monkeypatch) == list(range(5, len(tilt.points(PRIOR, True))))
    assert (tmp_path / "tilt.csv").read_bytes() == serial
    assert not (tmp_path / ".tilt").exists()


DAMAGES: dict[str, Callable[[str], str | bytes]] = {
    "empty": lambda text: "",
    "cut short": lambda text: text[: len(text) // 2],
    "something appended": lambda text: f"{text}[]",
    "no text": lambda text: b"\xff\x00" * 40,
    "nothing in JSON": lambda text: "null",
    "an empty list": lambda text: "[]",
    "a list of numbers": lambda text: "[1, 2]",
    "rows without a checksum": lambda text: json.dumps(json.loads(text)["rows"]),
    "rows of other columns": lambda text: json.dumps(json.loads(text) | {"rows": [{"label": 1}]}),
    "no rows": lambda text: json.dumps(json.loads(text) | {"rows": []}),
    "rows that are a number": lambda text: json.dumps(json.loads(text) | {"rows": 5}),
    # Of the tenths: the last of sixteen digits may not change the number.
    "one digit": lambda text: re.sub(r"(?<=\.)\d(?=[^.]*$)", lambda digit: str((int(digit[0]) + 1) % 10), text),
    "a number as text": lambda text: re.sub(r'("sampled": )([^,}]*)', r'\1"\2"', text),
    "not a number": lambda text: re.sub(r'("sampled": )([^,}]*)', r"\1NaN", text),
    "the sum of another point": lambda text: json.dumps(json.loads(text) | {"checksum": 64 * "0"}),
    "a sum that is a number": lambda text: json.dumps(json.loads(text) | {"checksum": 0}),
    "folded too deep": lambda text: "[" * 100_000 + "]" * 100_000,
    "a number of 10,000 digits": lambda text: "9" * 10_000,
}


def test_a_damaged_point_is_computed_again(serial: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However it is damaged: it, and it alone, is computed again, and the table is that of an undisturbed run."""
    with monkeypatch.context() as patch:
        patch.setattr(runner, "forget", lambda name, folder: None)
        assert analyse(["tilt", "--quick", "--out", str(tmp_path)]) == 0
        files = _point_files(tmp_path)
        texts = [file.read_text() for file in files]
        for i, (name, damaged) in enumerate(DAMAGES.items()):
            content = damaged(texts[i])
            assert content != texts[i], name
            files[i].write_bytes(content if isinstance(content, bytes) else content.encode())
        files[-1].write_text(texts[-2])  # whole, and of another point
        assert _resumed(tmp_path, monkeypatch) == [*range(len(DAMAGES)), len(files) - 1]
        assert (tmp_path / "tilt.csv").read_bytes() == serial
        assert [file.read_text() for file in files] == texts


def test_nothing_was_written_is_said_only_where_it_is_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a study, of one after another that is finished, and of figures."""
    monkeypatch.setattr("figures.__main__.FORMATS", ("svg",))

    def interrupted(*arguments: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(tilt, "rows", interrupted)
    assert analyse(["tilt", "--quick", "--out", str(tmp_path)]) == 130
    assert capsys.readouterr().err.endswith("analysis: interrupted; nothing was written\n")
    assert not list(tmp_path.iterdir())
    assert analyse(["jensen_gap", "tilt", "--quick", "--out", str(tmp_path)]) == 130
    assert capsys.readouterr().err.endswith("analysis: interrupted; what was written before is whole\n")
    (tmp_path / "tilt.csv").write_text("weighting,hits,m,implicit,sampled\nconstant,mask,1,0,0\n")
    monkeypatch.setattr(tilt_figure, "draw", interrupted)
    for names, said in (["tilt"], "nothing was written"), (["jensen_gap", "tilt"], "what was written before is whole"):
        assert draw([*names, "--tables", str(tmp_path)]) == 130
        assert capsys.readouterr().err.endswith(f"figures: interrupted; {said}\n")


def test_a_worker_with_other_code_computes_nothing() -> None:
    point = tilt.points(PRIOR, True)[0]
    assert runner._elsewhere("tilt", PRIOR, 3, point, runner._code()) == (3, tilt.rows(PRIOR, point))
    _, error = runner._elsewhere("tilt", PRIOR, 3, point, "of another version")
    assert "a worker has other code" in str(error)


def test_a_point_is_known_by_all_it_depends_on() -> None:
    """Another prior, point or study is another file; the same is the same."""
    other = LabelPrior.exp(100, 500, 50)
    keys = [
        runner._key("tilt", PRIOR, {"m": 1}),
        runner._key("tilt", PRIOR, {"m": 2}),
        runner._key("tilt", other, {"m": 1}),
        runner._key("convergence", PRIOR, {"m": 1}),
    ]
    assert len(set(keys)) == 4
    assert runner._key("tilt", PRIOR, {"m": 1}) == keys[0]


# --- dask -------------------------------------------------------------------------------------------------------------


Cluster = tuple[str, subprocess.Popen[bytes], Callable[[], subprocess.Popen[bytes]]]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A scheduler, a process of its own, on the loopback address: where it answers, it, and what starts a worker."""
    pytest.importorskip("distributed", reason="needs the extra dask: pip install 'implicitloss[dask]'")
    folder = tmp_path_factory.mktemp("dask")
    file = folder / "scheduler.json"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
    here: dict[str, Any] = {"cwd": ROOT, "env": environment, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    common = ["--scheduler-file", str(file), "--no-dashboard"]
    scheduler = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0"]
    worker = [
        sys.executable,
        "-m",
        "distributed.cli.dask_worker",
        "--nthreads",
        "1",
        "--no-nanny",
        "--host",
        "127.0.0.1",
    ]
    processes = [subprocess.Popen([*scheduler, *common], **here)]
    try:
        for _ in range(300):
            if file.exists() and file.read_text():
                break
            time.sleep(0.1)

        def start() -> subprocess.Popen[bytes]:
            processes.append(subprocess.Popen([*worker, *common, "--local-directory", str(folder)], **here))
            return processes[-1]

        yield json.loads(file.read_text())["address"], processes[0], start
    finally:
        for process in processes:
            process.kill()  # a worker that is asked to end may wait for its scheduler
            process.wait()


def test_a_dask_cluster_gives_the_same_bytes(cluster: Cluster, serial: bytes, tmp_path: Path) -> None:
    """And when its workers are lost after that, a study of many points ends with a sentence."""
    address, _, start = cluster
    workers = [start() for _ in range(2)]
    options = ["--quick", "--backend", "dask", "--scheduler", address, "--out", str(tmp_path / "out")]
    done = subprocess.run(
        [sys.executable, "-m", "analysis", "tilt", *options], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "tilt.csv").read_bytes() == serial
    check_lost(address, workers, tmp_path / "out")


@pytest.mark.slow
def test_a_lost_dask_scheduler_is_one_sentence(cluster: Cluster, tmp_path: Path) -> None:
    address, scheduler, start = cluster
    start()
    check_lost(address, [scheduler], tmp_path / "out")


def check_lost(address: str, lost: list[subprocess.Popen[bytes]], out: Path) -> None:
    """Killed after the first points of many, a quarter of a second each: they are kept, and their number is said."""
    options = ["--backend", "dask", "--scheduler", address, "--out", str(out)]
    with subprocess.Popen(
        [sys.executable, "-m", "analysis", "hard_variance", *options],
        cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    ) as study:  # fmt: skip
        kept = out / ".hard_variance"
        while study.poll() is None and len(list(kept.glob("*.json"))) < 2:
            time.sleep(0.05)
        for process in lost:
            process.kill()
        _, said = study.communicate(timeout=100)
    assert study.returncode == 2, said
    number = len(list(kept.glob("*.json")))
    *progress, last = said.splitlines()
    assert all(re.fullmatch(r"hard_variance: \d+ of 104 points", line) for line in progress), said
    lost_at = f"analysis: the dask scheduler at {address}, or its workers, were lost ("
    assert last.startswith(lost_at), last
    assert last.endswith(f"); {number} of 104 points are kept, run again"), last
    assert len(last) <= 300


DYING = """
import os, sys, time
from analysis import __main__, runner

def dies(name, prior, i, point, code):
    if i == 3:
        time.sleep(1)
        os._exit(1)
    return i, [dict(point)]

runner._elsewhere = dies
sys.exit(__main__.main(sys.argv[1:]))
"""


def test_a_worker_that_dies_is_one_sentence(tmp_path: Path) -> None:
    pytest.importorskip("joblib")
    options = ["--quick", "--backend", "loky", "--jobs", "2", "--out", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-c", DYING, "tilt", *options], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 2, done.stderr
    number = len(list((tmp_path / ".tilt").iterdir()))
    # After the sentence joblib may say what it cleans up.
    (last,) = [line for line in done.stderr.splitlines() if line.startswith("analysis: ")]
    assert last.startswith("analysis: workers of loky were lost (TerminatedWorkerError"), done.stderr
    assert last.endswith(f"; {number} of 24 points are kept, run again")
    assert len(last) <= 300


# --- slips ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--backend", "lokky"], "no backend 'lokky'"),
        (["--backend", "dask"], "needs --scheduler ADDRESS"),
        (["--backend", "dask", "--scheduler", "tcp://127.0.0.1:9"], "no dask scheduler answers at tcp://127.0.0.1:9"),
        (["--backend", "loky", "--scheduler", "tcp://127.0.0.1:9"], "is for --backend dask"),
        (["--jobs", "2"], "need a --backend"),
        (["--backend", "loky", "--jobs", "0"], "--jobs must be at least 1"),
    ],
)
def test_slips_are_one_sentence(
    arguments: list[str], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    pytest.importorskip("distributed")
    monkeypatch.setattr("analysis.runner.PATIENCE", 1)
    assert analyse(["tilt", "--quick", "--out", str(tmp_path), *arguments]) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "tilt.csv").exists()


@pytest.mark.parametrize(("module", "backend"), [("joblib", "loky"), ("distributed", "dask")])
def test_a_missing_extra_is_named(
    module: str, backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    assert analyse(["tilt", "--quick", "--out", str(tmp_path), "--backend", backend, "--scheduler", "x"]) == 2
    assert "pip install 'implicitloss[" in capsys.readouterr().err


def test_another_line_of_code_is_another_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = runner._key("tilt", PRIOR, {"m": 1})
    monkeypatch.setattr(runner, "_code", lambda: "another line of the library")
    assert runner._key("tilt", PRIOR, {"m": 1}) != before
