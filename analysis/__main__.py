"""`python -m analysis NAME`: run a study and write its table, `results/NAME.csv`."""

from __future__ import annotations

import argparse
import csv
import importlib
import io
import os
import pkgutil
import sys

from implicitloss.cli.shell import HOLDS, check_writable, guarded, seen_labels, write_whole


def names() -> list[str]:
    """The studies: the modules of this package."""
    import analysis

    return sorted(m.name for m in pkgutil.iter_modules(analysis.__path__) if not m.name.startswith("_"))


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m analysis", description="Run a study and write its table.")
    parser.add_argument("name", metavar="NAME", help=f"one of {', '.join(names())}")
    parser.add_argument("--counts", metavar="FILE", help="label counts, CSV 'label,count' (default CIFAR-100-LT)")
    parser.add_argument("--out", default="results", metavar="FOLDER", help="where tables go (default results)")
    args = parser.parse_args(argv)
    return guarded("analysis", lambda: _run(args))


def _run(args: argparse.Namespace) -> int:
    if args.name not in names():
        raise ValueError(f"there is no study {args.name!r}; there are {', '.join(names())}")
    import numpy as np

    from implicitloss.labels import LabelPrior

    prior = LabelPrior.exp(100, 500, 100) if args.counts is None else seen_labels(args.counts, "analysis")
    if np.ptp(prior.probabilities) == 0:
        raise ValueError(f"all labels of {args.counts} have the same count; studies are about frequent and rare labels")
    os.makedirs(args.out, exist_ok=True)
    path = os.path.join(args.out, f"{args.name}.csv")
    if args.counts is not None and os.path.realpath(path) == os.path.realpath(args.counts):
        raise ValueError(f"the table would overwrite the counts {args.counts}; give another --out")
    check_writable(path)
    rows = importlib.import_module(f"analysis.{args.name}").run(prior)
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_whole(path, text.getvalue())
    print(path)
    return HOLDS


if __name__ == "__main__":
    sys.exit(main())
