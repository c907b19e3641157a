"""Run a study point by point: in one process or through joblib (and so dask or ray), resuming what was interrupted.

A study is a module with `points(prior, quick)`, its grid as plain values, and `rows(prior, point)`, a pure function.
One that reads files says in `DATA` which, and its `points(prior, quick, data)` name them; their bytes count in the key.
A finished point is a file in FOLDER/.NAME/, named by what it depends on; the table is their rows in the grid's order.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import importlib.metadata
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from implicitloss.cli.shell import write_whole
from implicitloss.labels import LabelPrior

Point = Mapping[str, Any]
Row = dict[str, Any]


def run(
    name: str,
    prior: LabelPrior,
    folder: Path,
    *,
    quick: bool = False,
    data: Sequence[str] = (),
    backend: str | None = None,
    jobs: int | None = None,
    scheduler: str | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Row]:
    """The rows of study `name`, the same for any backend and any number of interruptions.

    `progress(done, total)` is called as points finish.  *Raises* ValueError for a backend that is not there, and for a
    study of times that would run beside itself.
    """
    study = importlib.import_module(f"analysis.{name}")
    if data and not hasattr(study, "DATA"):
        raise ValueError(f"the study {name} reads no files; leave --data out")
    if backend is not None and getattr(study, "ALONE", False):
        raise ValueError(f"the study {name} measures times and runs alone; leave --backend out")
    grid = list(study.points(prior, quick, data) if hasattr(study, "DATA") else study.points(prior, quick))
    read = [_digest(path) for path in data]
    files = [folder / f".{name}" / f"{_key(study, prior, point, read)}.json" for point in grid]
    if getattr(study, "ALONE", False):
        forget(name, folder)  # times of another hour are not times of this run
    open_points = [i for i, file in enumerate(files) if not _is_whole(file)]
    files[0].parent.mkdir(parents=True, exist_ok=True)
    done = len(grid) - len(open_points)
    progress(done, len(grid))
    for i, rows in _results(study, prior, [(i, grid[i]) for i in open_points], backend, jobs, scheduler):
        write_whole(str(files[i]), json.dumps(rows))
        done += 1
        progress(done, len(grid))
    return [row for file in files for row in json.loads(file.read_text(encoding="utf-8"))]


def forget(name: str, folder: Path) -> None:
    """Remove the finished points: their table is written."""
    shutil.rmtree(folder / f".{name}", ignore_errors=True)


def _is_whole(file: Path) -> bool:
    try:
        return isinstance(json.loads(file.read_text(encoding="utf-8")), list)
    except (OSError, ValueError):
        return False


@cache
def _code() -> str:
    """The code of the studies and of the library, and the versions of what computes for them."""
    digest = hashlib.sha256()
    for package in ("analysis", "implicitloss"):
        for root in importlib.import_module(package).__path__:
            for path in sorted(Path(root).rglob("*.py")):
                digest.update(path.read_bytes())
    for name in ("numpy", "scipy", "numba"):
        digest.update(f"{name} {importlib.metadata.version(name)}".encode())
    return digest.hexdigest()


def _digest(path: str) -> str:
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from None


def _key(study: Any, prior: LabelPrior, point: Point, read: Sequence[str] = ()) -> str:
    """What a point's rows depend on: the study, all code and the versions it runs on, the prior, point, files read."""
    parts = (study.__name__, _code(), json.dumps(prior.to_dict()), json.dumps(point, sort_keys=True), *read)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def _rows(name: str, prior: LabelPrior, i: int, point: Point) -> tuple[int, list[Row]]:
    return i, importlib.import_module(f"analysis.{name}").rows(prior, point)


def _results(
    study: Any,
    prior: LabelPrior,
    points: Sequence[tuple[int, Point]],
    backend: str | None,
    jobs: int | None,
    scheduler: str | None,
) -> Iterator[tuple[int, list[Row]]]:
    """(number, rows) of each point, as they come."""
    name = study.__name__.removeprefix("analysis.")
    if backend is None:
        yield from (_rows(name, prior, i, point) for i, point in points)
        return
    try:
        import joblib
    except ImportError:
        raise ValueError("--backend needs joblib: pip install 'implicitloss[parallel]'") from None
    with contextlib.ExitStack() as stack:
        options: dict[str, Any] = {}
        if backend == "dask":
            options["client"] = stack.enter_context(_dask(scheduler))
        elif scheduler is not None:
            raise ValueError(f"--scheduler is for --backend dask, not {backend}")
        try:
            stack.enter_context(joblib.parallel_config(backend=backend, n_jobs=jobs or _everywhere(backend), **options))
        except (ValueError, ImportError) as error:
            raise ValueError(f"joblib has no backend {backend!r} here: {error}") from None
        tasks = (joblib.delayed(_rows)(name, prior, i, point) for i, point in points)
        yield from joblib.Parallel(return_as="generator_unordered", batch_size=1)(tasks)


def _everywhere(backend: str) -> int:
    return -1 if backend in ("dask", "ray") else (os.cpu_count() or 1)


def _dask(scheduler: str | None) -> Any:
    """A client of the cluster at `scheduler`."""
    try:
        from distributed import Client
    except ImportError:
        raise ValueError("--backend dask needs dask: pip install 'implicitloss[dask]'") from None
    if scheduler is None:
        raise ValueError("--backend dask needs --scheduler ADDRESS, e.g. tcp://127.0.0.1:8786")
    try:
        return Client(scheduler, timeout=10)
    except (OSError, TimeoutError, ValueError) as error:
        raise ValueError(f"no dask scheduler answers at {scheduler}: {error}") from None
