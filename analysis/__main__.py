"""`python -m analysis NAME`: run a study and write its table, `results/NAME.csv`."""

from __future__ import annotations

import argparse
import csv
import importlib
import io
import os
import pkgutil
import sys
from pathlib import Path

from implicitloss.cli.shell import HOLDS, check_writable, guarded, seen_labels, whole_number, write_whole


def names() -> list[str]:
    """The studies: the modules of this package that are one."""
    import analysis

    return sorted(m.name for m in pkgutil.iter_modules(analysis.__path__) if m.name not in ("__main__", "runner"))


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m analysis",
        description="Run a study and write its table; an interrupted study goes on where it stopped.",
    )
    parser.add_argument("name", metavar="NAME", help=f"one of {', '.join(names())}")
    parser.add_argument("--counts", metavar="FILE", help="label counts, CSV 'label,count' (default CIFAR-100-LT)")
    parser.add_argument("--out", default="results", metavar="FOLDER", help="where tables go (default results)")
    parser.add_argument("--quick", action="store_true", help="a smaller grid, in seconds")
    parser.add_argument("--backend", metavar="NAME", help="run points through joblib: loky, threading, dask, ray")
    parser.add_argument("--jobs", type=whole_number, metavar="N", help="how many at a time (default all)")
    parser.add_argument("--scheduler", metavar="ADDRESS", help="an existing dask cluster, e.g. tcp://127.0.0.1:8786")
    args = parser.parse_args(argv)
    return guarded("analysis", lambda: _run(args))


def _run(args: argparse.Namespace) -> int:
    if args.name not in names():
        raise ValueError(f"there is no study {args.name!r}; there are {', '.join(names())}")
    if args.jobs is not None and args.jobs < 1:
        raise ValueError(f"--jobs must be at least 1, got {args.jobs}")
    if args.backend is None and (args.scheduler is not None or args.jobs is not None):
        raise ValueError("--jobs and --scheduler need a --backend, e.g. --backend loky")
    import numpy as np

    from analysis import runner
    from implicitloss.labels import LabelPrior

    prior = LabelPrior.exp(100, 500, 100) if args.counts is None else seen_labels(args.counts, "analysis")
    if np.ptp(prior.probabilities) == 0:
        raise ValueError(f"all labels of {args.counts} have the same count; studies are about frequent and rare labels")
    os.makedirs(args.out, exist_ok=True)
    path = os.path.join(args.out, f"{args.name}.csv")
    if args.counts is not None and os.path.realpath(path) == os.path.realpath(args.counts):
        raise ValueError(f"the table would overwrite the counts {args.counts}; give another --out")
    check_writable(path)
    rows = runner.run(
        args.name,
        prior,
        Path(args.out),
        quick=args.quick,
        backend=args.backend,
        jobs=args.jobs,
        scheduler=args.scheduler,
        progress=lambda done, total: _show(args.name, done, total),
    )
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_whole(path, text.getvalue())
    runner.forget(args.name, Path(args.out))
    summary = getattr(importlib.import_module(f"analysis.{args.name}"), "summary", None)
    if summary is not None:
        print(summary(rows))
    print(path)
    return HOLDS


def _show(name: str, done: int, total: int) -> None:
    line = f"{name}: {done} of {total} points"
    if sys.stderr.isatty():
        print(f"\r\x1b[2K{line}", end="\n" if done == total else "", file=sys.stderr, flush=True)
    elif done in (0, total) or done % max(total // 10, 1) == 0:
        print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
