"""`python -m figures [NAME ...]`: draw figures from the tables of their studies, as PNG, SVG and PDF; and a gallery."""

from __future__ import annotations

import argparse
import importlib
import os
import pkgutil
import sys
from pathlib import Path
from typing import Any

from figures._gallery import Entry, as_text, page
from implicitloss.cli.shell import HOLDS, guarded, write_whole

FORMATS = ("png", "svg", "pdf")


def names() -> list[str]:
    """The figures: the modules of this package."""
    import figures

    return sorted(m.name for m in pkgutil.iter_modules(figures.__path__) if not m.name.startswith("_"))


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m figures", description="Draw figures from the studies' tables.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names())} (default all with a table)")
    parser.add_argument("--tables", default="results", metavar="FOLDER", help="where the tables are (default results)")
    args = parser.parse_args(argv)
    return guarded("figures", lambda: _run(args))


def _run(args: argparse.Namespace) -> int:
    unknown = [name for name in args.names if name not in names()]
    if unknown:
        raise ValueError(f"there is no figure {unknown[0]!r}; there are {', '.join(names())}")
    tables = {name: Path(args.tables) / f"{name}.csv" for name in args.names or names()}
    missing = [name for name, path in tables.items() if not path.exists()]
    if (args.names and missing) or len(missing) == len(tables):
        raise ValueError(f"there is no table {tables[missing[0]]}; make it with: python -m analysis {missing[0]}")
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    import pandas as pd

    plt.style.use(Path(__file__).with_name("implicitloss.mplstyle"))
    entries = []
    for name, path in tables.items():
        if name in missing:
            continue
        figure_of = importlib.import_module(f"figures.{name}")
        try:
            table = pd.read_csv(path)
            if table.empty:
                raise ValueError("no rows")
            figure = figure_of.draw(table)
            entry = Entry(name, _title(figure_of), figure_of.caption(table), figure_of.alt(table), figure_of.CLAIMS)
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise ValueError(
                f"cannot draw {name} from {path} ({type(error).__name__}: {error}); is it a table of the study "
                f"{name}, with enough labels?  python -m analysis {name} makes one"
            ) from None
        for form in FORMATS:
            target = path.with_suffix(f".{form}")
            partial = target.with_name(f".{target.name}.part")
            # Without dates the same table gives the same bytes.
            dated = {"png": "Software", "svg": "Date", "pdf": "CreationDate"}[form]
            figure.savefig(partial, format=form, metadata={dated: None})
            os.replace(partial, target)
            print(target)
        plt.close(figure)
        write_whole(str(path.with_suffix(".txt")), as_text(entry))
        print(path.with_suffix(".txt"))
        entries.append(entry)
    if not args.names:  # a gallery of all there is
        gallery = Path(args.tables) / "index.html"
        write_whole(str(gallery), page(entries, gallery.parent))
        print(gallery)
    return HOLDS


def _title(figure_of: Any) -> str:
    """The first line of its docstring."""
    return str(figure_of.__doc__).strip().splitlines()[0].removesuffix(".")


if __name__ == "__main__":
    sys.exit(main())
