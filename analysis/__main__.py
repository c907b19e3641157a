"""`python -m analysis NAME ...`: run studies; each writes a table, `results/NAME.csv`, and `.json` with provenance."""

from __future__ import annotations

import argparse
import csv
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from analysis.study import Study, names
from implicitloss.cli.arguments import Parser, whole_number
from implicitloss.cli.exit import HOLDS, guarded
from implicitloss.cli.files import check_files, write_all
from implicitloss.cli.labels import COUNTS, add_counts, check_counts, counts_options, seen_labels
from implicitloss.cli.progress import Progress, say
from implicitloss.formats import as_json, printable, unknown


def main(argv: list[str] | None = None) -> int:
    """Run the command, and return its exit code."""
    return guarded("analysis", lambda: _run(_parser().parse_args(argv)))


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m analysis",
        description="Run studies.  Each writes its table as results/NAME.csv, and as .json with versions and command; "
        "`python -m figures` draws them.  A study that is interrupted goes on where it stopped when it is run again.",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"the studies to run, of {', '.join(names())}")
    parser.add_argument("--all", action="store_true", help="run every study")
    add_counts(parser, f"your labels: {COUNTS} (default CIFAR-100-LT)")
    parser.add_argument(
        "--data",
        nargs="+",
        default=[],
        metavar="FILE",
        help="the files of one study.  retrieval: train.txt test.txt, in the format of the extreme-classification "
        "repository; longtail: train.npz test.npz, with features X (n, d) and labels y (n,); spectral_axes: one "
        "such file; spectral_encoders, spectral_offsets, spectral_augment: one or more; real_priors: files of counts, "
        "as for --counts",
    )
    parser.add_argument("--out", default="results", metavar="FOLDER", help="write tables to FOLDER (default results)")
    parser.add_argument("--quick", action="store_true", help="compute fewer points of each study: seconds, not minutes")
    parser.add_argument(
        "--backend", metavar="NAME", help="compute points in parallel: loky (on all cores), threading, dask or ray"
    )
    parser.add_argument(
        "--jobs", type=whole_number, metavar="N", help="compute N points at a time (default one a core)"
    )
    parser.add_argument(
        "--scheduler", metavar="ADDRESS", help="for dask: the running cluster's address, e.g. tcp://127.0.0.1:8786"
    )
    return parser


def _run(args: argparse.Namespace) -> int:
    chosen = names() if args.all else list(dict.fromkeys(args.names))
    for name in chosen:
        if name not in names():
            raise ValueError(unknown("study", name, names()))
    if not chosen or (args.all and args.names):
        raise ValueError(f"name the studies to run, or give --all; there are {', '.join(names())}")
    if args.data and len(chosen) > 1:
        raise ValueError(f"--data is for one study, got {len(chosen)}")
    if args.jobs is not None and args.jobs < 1:
        raise ValueError(f"--jobs must be at least 1, got {args.jobs}")
    if args.backend is None and (args.scheduler is not None or args.jobs is not None):
        raise ValueError("--jobs and --scheduler need a --backend, e.g. --backend loky")
    # Matrices here are small: threads of BLAS that wait for each other cost more than they bring.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from analysis import runner
    from implicitloss.labels import LabelPrior, checked_unequal

    check_counts(args)
    prior = LabelPrior.exp(100, 500, 100) if args.counts is None else seen_labels(args, "analysis")
    checked_unequal(prior, "studies need", str(args.counts), 3)
    if args.counts is not None and not args.all:
        for name in chosen:
            if Study.named(name).own_labels:
                raise ValueError(f"the study {name} has labels of its own; leave --counts out")
    reads = [args.counts, *args.data]
    for name in chosen:
        parts = os.path.realpath(os.path.join(args.out, f".{name}"))
        for path in filter(None, reads):
            if os.path.realpath(path).startswith(os.path.join(parts, "")):
                raise ValueError(f"{path} is read, and lies in the folder {parts} of unfinished work; move it")
    os.makedirs(args.out, exist_ok=True)
    check_files(reads, [os.path.join(args.out, f"{name}.{end}") for name in chosen for end in ("csv", "json")])
    for name in chosen:
        alone, bar = args.all and Study.named(name).alone, Progress(1)
        rows = runner.run(
            name,
            prior,
            Path(args.out),
            quick=args.quick,
            data=args.data,
            backend=None if alone else args.backend,
            jobs=args.jobs,
            scheduler=args.scheduler,
            progress=lambda done, total, name=name, bar=bar: _show(bar, name, done, total),
        )
        _write(args, name, rows)
    return HOLDS


def _write(args: argparse.Namespace, name: str, rows: Sequence[dict[str, Any]]) -> None:
    """Write the table as CSV, and as JSON with its provenance; then print the study's summary."""
    from analysis import runner
    from implicitloss.claims.report import provenance

    path = os.path.join(args.out, f"{name}.csv")
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    command = ["python -m analysis", name, *(["--quick"] if args.quick else [])]
    study = Study.named(name)
    if not study.own_labels:
        command += counts_options(args, base=True)
    command += ["--data", *map(os.path.basename, args.data)] if args.data else []
    document = {"schema": 1, "study": name, "provenance": provenance(command=" ".join(command)), "rows": rows}
    write_all({str(Path(path).with_suffix(".json")): as_json(document, indent=1) + "\n", path: text.getvalue()})
    runner.forget(name, Path(args.out))
    if study.summary is not None:
        print(study.summary(rows))
    print(printable(path))


def _show(progress: Progress, name: str, done: int, total: int) -> None:
    """Say how many points are done; where stderr is no terminal, a tenth of them at a time."""
    if progress.live:
        progress.total = total
        progress(min(done, total - 1), f"points of {name}")
    if done == total:
        progress.done()
    if not progress.live and (done in (0, total) or done % max(total // 10, 1) == 0):
        say(f"{name}: {done} of {total} points")


if __name__ == "__main__":
    sys.exit(main())
