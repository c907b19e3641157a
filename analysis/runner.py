"""Run a study point by point: in one process or through joblib or dask, resuming what was interrupted.

A finished point is a file in FOLDER/.NAME/, named by what it depends on, with a checksum: one that does not fit is
computed again.  The table is the rows of all points in the grid's order.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import importlib
import importlib.metadata
import json
import logging
import os
import platform
import shutil
import textwrap
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from analysis.study import Point, Row, Study
from implicitloss.cli.files import write_whole
from implicitloss.labels import LabelPrior

# After so many seconds without a result a dask cluster is asked whether it is still there.
PATIENCE = 10


class Lost(Exception):
    """A backend that failed while it ran: no fault of the study."""


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

    `progress(done, total)` is called as points finish.  *Raises* ValueError for a backend that is not there or fails,
    and for a study of times that would run beside itself; KeyboardInterrupt, with what is kept, if it is interrupted.
    """
    study = Study.named(name)
    if data and study.data is None:
        raise ValueError(f"the study {name} reads no files; leave --data out")
    if backend is not None and study.alone:
        raise ValueError(f"the study {name} measures times and runs alone; leave --backend out")
    grid = study.grid(prior, quick, data)
    read = [_digest(path) for path in data]
    files = [folder / f".{name}" / f"{_key(name, prior, point, read)}.json" for point in grid]
    # Times of another hour are not times of this run.
    found = {} if study.alone else {i: rows for i, file in enumerate(files) if (rows := _kept(file)) is not None}
    progress(len(found), len(grid))
    try:
        for i, rows in _results(
            name, prior, [(i, grid[i]) for i in range(len(grid)) if i not in found], backend, jobs, scheduler
        ):
            if isinstance(rows, Exception):
                raise rows
            found[i] = rows if study.alone else _keep(files[i], rows)
            progress(len(found), len(grid))
    except KeyboardInterrupt:
        raise KeyboardInterrupt(*([] if study.alone or not found else [_kept_of(found, grid)])) from None
    except Lost as error:
        raise ValueError(f"{error}; {_kept_of(found, grid)}") from None
    return [row for i in range(len(grid)) for row in found[i]]


def _kept_of(found: Mapping[int, Any], grid: Sequence[Point]) -> str:
    return f"{len(found)} of {len(grid)} points are kept, run again"


def forget(name: str, folder: Path) -> None:
    """Remove the finished points: their table is written."""
    shutil.rmtree(folder / f".{name}", ignore_errors=True)


# --- points as files --------------------------------------------------------------------------------------------------


def _keep(file: Path, rows: list[Row]) -> list[Row]:
    """Write a finished point; returns its rows as they will be read."""
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(str(file), json.dumps({"checksum": _checksum(file, rows), "rows": rows}))
    return json.loads(json.dumps(rows))


def _kept(file: Path) -> list[Row] | None:
    """The rows of a finished point, or nothing: it is not there, or not as it was written."""
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        if document["checksum"] == _checksum(file, document["rows"]):
            return document["rows"]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        pass
    return None


def _checksum(file: Path, rows: Any) -> str:
    """The rows, and whose they are."""
    return hashlib.sha256(f"{file.stem} {json.dumps(rows)}".encode()).hexdigest()


@cache
def _code() -> str:
    """The code of the studies and of the library, and the versions of what computes for them."""
    digest = hashlib.sha256(platform.python_version().encode())
    for package in ("analysis", "implicitloss"):
        for root in importlib.import_module(package).__path__:
            for path in sorted(Path(root).rglob("*.py")):
                digest.update(path.read_bytes())
    for name in ("numpy", "scipy", "sympy", "numba", "wordfreq", "scikit-learn", "mlxtend"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            digest.update(f"{name} {importlib.metadata.version(name)}".encode())
    return digest.hexdigest()


def _digest(path: str) -> str:
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from None


def _key(name: str, prior: LabelPrior, point: Point, read: Sequence[str] = ()) -> str:
    """What a point's rows depend on: the study, all code and the versions it runs on, the prior, point, files read."""
    parts = (f"analysis.{name}", _code(), json.dumps(prior.to_dict()), json.dumps(point, sort_keys=True), *read)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


# --- where points are computed ----------------------------------------------------------------------------------------

Computed = tuple[int, list[Row] | Exception]


def _rows(name: str, prior: LabelPrior, i: int, point: Point) -> Computed:
    return i, list(Study.named(name).rows(prior, point))


def _elsewhere(name: str, prior: LabelPrior, i: int, point: Point, code: str) -> Computed:
    """Compute a point in a worker; an error of the study is returned, so that any other error is the backend's."""
    try:
        if _code() != code:
            raise ValueError("a worker has other code than this process, or other versions of what computes for it")
        return _rows(name, prior, i, point)
    except Exception as error:
        error.add_note(traceback.format_exc())
        return i, error


def _results(
    name: str,
    prior: LabelPrior,
    points: Sequence[tuple[int, Point]],
    backend: str | None,
    jobs: int | None,
    scheduler: str | None,
) -> Iterator[Computed]:
    """(number, rows) of each point, as they come.  *Raises* Lost if the backend fails while it runs."""
    if backend is None:
        yield from (_rows(name, prior, i, point) for i, point in points)
        return
    what = (
        f"the dask scheduler at {scheduler}, or its workers, were"
        if backend == "dask"
        else f"workers of {backend} were"
    )
    try:
        if backend == "dask":
            yield from _on_dask(name, prior, points, scheduler)
        else:
            yield from _through_joblib(name, prior, points, backend, jobs, scheduler)
    except ValueError:
        raise
    except (Exception, asyncio.CancelledError) as error:
        why = textwrap.shorten(f"{type(error).__name__}: {error}", 100, placeholder=" …")
        raise Lost(f"{what} lost ({why})") from None


def _through_joblib(
    name: str,
    prior: LabelPrior,
    points: Sequence[tuple[int, Point]],
    backend: str,
    jobs: int | None,
    scheduler: str | None,
) -> Iterator[Computed]:
    try:
        import joblib
    except ImportError:
        raise ValueError("--backend needs joblib: pip install 'implicitloss[parallel]'") from None
    if scheduler is not None:
        raise ValueError(f"--scheduler is for --backend dask, not {backend}")
    with contextlib.ExitStack() as stack:
        everywhere = -1 if backend == "ray" else (os.cpu_count() or 1)
        try:
            stack.enter_context(joblib.parallel_config(backend=backend, n_jobs=jobs or everywhere))
        except (ValueError, ImportError) as error:
            raise ValueError(f"joblib has no backend {backend!r} here: {error}") from None
        tasks = (joblib.delayed(_elsewhere)(name, prior, i, point, _code()) for i, point in points)
        yield from joblib.Parallel(return_as="generator_unordered", batch_size=1)(tasks)


def _on_dask(
    name: str, prior: LabelPrior, points: Sequence[tuple[int, Point]], scheduler: str | None
) -> Iterator[Computed]:
    """Run on a dask cluster, without joblib, whose dask backend waits for ever if workers or the scheduler are lost."""
    try:
        from distributed import Client, wait
    except ImportError:
        raise ValueError("--backend dask needs dask: pip install 'implicitloss[dask]'") from None
    if scheduler is None:
        raise ValueError("--backend dask needs --scheduler ADDRESS, e.g. tcp://127.0.0.1:8786")
    try:
        client = Client(scheduler, timeout=PATIENCE)
    except (OSError, TimeoutError, ValueError) as error:
        raise ValueError(f"no dask scheduler answers at {scheduler}: {error}") from None
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # what it has to say is raised too
    with client:
        labels = client.scatter(prior, broadcast=True, hash=False)
        waiting = {client.submit(_elsewhere, name, labels, i, point, _code(), pure=False) for i, point in points}
        while waiting:
            try:
                done = wait(waiting, timeout=PATIENCE, return_when="FIRST_COMPLETED").done
            except TimeoutError:
                if not client.sync(client.scheduler.ncores, callback_timeout=PATIENCE):
                    raise RuntimeError("it has no workers") from None
                continue
            yield from client.gather(list(done))
            waiting -= done
