"""`python -m figures [NAME ...]`: draw figures from the tables of their studies, as PNG, SVG and PDF; and a gallery."""

from __future__ import annotations

import argparse
import importlib
import io
import pkgutil
import sys
from pathlib import Path
from typing import Any

from figures._gallery import Entry, as_text, page
from implicitloss.cli.arguments import Parser
from implicitloss.cli.exit import HOLDS, guarded
from implicitloss.cli.files import check_files, write_all
from implicitloss.formats import printable, unknown

FORMATS = ("png", "svg", "pdf")


def names() -> list[str]:
    """The figures: the modules of this package."""
    import figures

    return sorted(m.name for m in pkgutil.iter_modules(figures.__path__) if not m.name.startswith("_"))


def main(argv: list[str] | None = None) -> int:
    """Run the command, and return its exit code."""
    return guarded("figures", lambda: _run(_parser().parse_args(argv)))


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m figures",
        description=(
            "Draw the figures of studies, from the tables that `python -m analysis` wrote: PNG, SVG and PDF beside the "
            "table, and its caption as .txt.  Without names, also write a page of all of them, results/index.html."
        ),
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join(names())} (default: all that have a table)"
    )
    parser.add_argument(
        "--tables", default="results", metavar="FOLDER", help="read tables from FOLDER and draw there (default results)"
    )
    return parser


def _run(args: argparse.Namespace) -> int:
    missing = [name for name in args.names if name not in names()]
    if missing:
        raise ValueError(unknown("figure", missing[0], names()))
    tables = {name: Path(args.tables) / f"{name}.csv" for name in args.names or names()}
    missing = [name for name, path in tables.items() if not path.exists()]
    if (args.names and missing) or len(missing) == len(tables):
        raise ValueError(f"there is no table {tables[missing[0]]}; make it with: python -m analysis {missing[0]}")
    sources = [path for name, path in tables.items() if name not in missing]
    gallery = [] if args.names else [Path(args.tables) / "index.html"]  # of all there is
    reads = [str(path.with_suffix(end)) for path in sources for end in (".csv", ".json")]
    made = [path.with_suffix(f".{end}") for path in sources for end in (*FORMATS, "txt")]
    check_files(reads, map(str, [*made, *gallery]))
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    import pandas as pd

    from implicitloss import plot

    plt.style.use(plot.style("double"))
    entries = []
    for name, path in tables.items():
        if name in missing:
            continue
        figure_of = importlib.import_module(f"figures.{name}")
        try:
            table = pd.read_csv(path)
            if table.empty:
                raise ValueError("no rows")
            figure = drawn(figure_of, table)
            entry = Entry(name, _title(figure_of), figure_of.caption(table), figure_of.alt(table), figure_of.CLAIMS)
            pictures = {str(path.with_suffix(f".{form}")): picture(figure, form) for form in FORMATS}
        except Exception as error:  # a damaged table fails anywhere in pandas and Matplotlib
            raise ValueError(
                f"cannot draw {name} from {path} ({type(error).__name__}: {error}); is it a table of the study "
                f"{name}, with enough labels?  python -m analysis {name} makes one"
            ) from None
        plt.close(figure)
        files: dict[str, str | bytes] = {**pictures, str(path.with_suffix(".txt")): as_text(entry)}
        write_all(files)
        print(*map(printable, files), sep="\n")
        entries.append(entry)
    for path in gallery:
        write_all({str(path): page(entries, path.parent)})
        print(printable(path))
    return HOLDS


def drawn(figure_of: Any, table: Any) -> Any:
    """The figure of a table, laid out once: layout takes half of the time, and is the same in every format."""
    figure = figure_of.draw(table)
    figure.get_layout_engine().execute(figure)
    # No engine at all: with one, even one that does nothing, Matplotlib draws everything twice.
    figure.set_layout_engine(None)
    return figure


def picture(figure: Any, form: str) -> bytes:
    """The picture without dates, so that the same table gives the same bytes."""
    drawing = io.BytesIO()
    dated = {"png": "Software", "svg": "Date", "pdf": "CreationDate"}[form]
    figure.savefig(drawing, format=form, metadata={dated: None})
    return drawing.getvalue()


def _title(figure_of: Any) -> str:
    """The title of a figure: the first line of its module's docstring."""
    return str(figure_of.__doc__).strip().splitlines()[0].removesuffix(".")


if __name__ == "__main__":
    sys.exit(main())
