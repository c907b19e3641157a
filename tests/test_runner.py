"""Studies point by point: resumed after an interruption, the same through joblib and on a real dask cluster."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from analysis import convergence, runner, tilt
from analysis.__main__ import main as analyse
from implicitloss.labels import LabelPrior

ROOT = Path(__file__).parent.parent
PRIOR = LabelPrior.exp(100, 500, 100)


@pytest.fixture(scope="module")
def serial(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("serial")
    assert analyse(["tilt", "--quick", "--out", str(folder)]) == 0
    return (folder / "tilt.csv").read_bytes()


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_any_backend_gives_the_same_bytes(backend: str, serial: bytes, tmp_path: Path) -> None:
    pytest.importorskip("joblib")
    done = subprocess.run(
        [sys.executable, "-m", "analysis", "tilt", "--quick", "--backend", backend, "--jobs", "2", "--out", tmp_path],
        cwd=ROOT, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "tilt.csv").read_bytes() == serial


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
    assert analyse(arguments) == 130
    assert not (tmp_path / "tilt.csv").exists()
    parts = list((tmp_path / ".tilt").iterdir())
    assert len(parts) == 5
    assert all(json.loads(part.read_text()) for part in parts)
    monkeypatch.setattr(tilt, "rows", honest)
    first = len(computed)
    monkeypatch.setattr(tilt, "rows", lambda prior, point: computed.append(dict(point)) or honest(prior, point))
    assert analyse(arguments) == 0
    total = len(tilt.points(PRIOR, True))
    assert len(computed) - first == total - 5
    assert len({json.dumps(point) for point in computed}) == total
    assert (tmp_path / "tilt.csv").read_bytes() == serial
    assert not (tmp_path / ".tilt").exists()
    assert f"tilt: {total} of {total} points" in capsys.readouterr().err


def test_a_point_is_known_by_all_it_depends_on() -> None:
    """Another prior, point or study is another file; the same is the same."""
    other = LabelPrior.exp(100, 500, 50)
    keys = [
        runner._key(tilt, PRIOR, {"m": 1}),
        runner._key(tilt, PRIOR, {"m": 2}),
        runner._key(tilt, other, {"m": 1}),
        runner._key(convergence, PRIOR, {"m": 1}),
    ]
    assert len(set(keys)) == 4
    assert runner._key(tilt, PRIOR, {"m": 1}) == keys[0]


# --- dask -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[str]:
    """A scheduler and two workers, processes of their own, on the loopback address."""
    pytest.importorskip("distributed", reason="needs the extra dask: pip install 'implicitloss[dask]'")
    file = tmp_path / "scheduler.json"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
    here: dict[str, Any] = {"cwd": ROOT, "env": environment, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    common = ["--scheduler-file", str(file), "--no-dashboard"]
    scheduler = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0"]
    worker = [sys.executable, "-m", "distributed.cli.dask_worker", "--nthreads", "1", "--host", "127.0.0.1"]
    processes = [subprocess.Popen([*scheduler, *common], **here)]
    try:
        for _ in range(300):
            if file.exists() and file.read_text():
                break
            time.sleep(0.1)
        processes += [
            subprocess.Popen([*worker, *common, "--local-directory", str(tmp_path)], **here) for _ in range(2)
        ]
        yield json.loads(file.read_text())["address"]
    finally:
        for process in reversed(processes):
            process.terminate()
        for process in processes:
            process.wait(timeout=30)


def test_a_dask_cluster_gives_the_same_bytes(cluster: str, serial: bytes, tmp_path: Path) -> None:
    options = ["--quick", "--backend", "dask", "--scheduler", cluster, "--out", str(tmp_path / "out")]
    done = subprocess.run(
        [sys.executable, "-m", "analysis", "tilt", *options], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "tilt.csv").read_bytes() == serial


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
    arguments: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("distributed")
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


def test_a_broken_part_is_computed_again_and_other_code_is_another_key(
    serial: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prior, grid = PRIOR, tilt.points(PRIOR, True)
    (tmp_path / ".tilt").mkdir()
    (tmp_path / ".tilt" / f"{runner._key(tilt, prior, grid[0])}.json").write_text('[{"weighti')
    assert analyse(["tilt", "--quick", "--out", str(tmp_path)]) == 0
    assert (tmp_path / "tilt.csv").read_bytes() == serial
    before = runner._key(tilt, prior, grid[0])
    monkeypatch.setattr(runner, "_code", lambda: "another line of the library")
    assert runner._key(tilt, prior, grid[0]) != before
