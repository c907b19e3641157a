"""The text that commands have in common: headings, wrapped sentences, tables that fit, and when to use colour."""

from __future__ import annotations

import argparse
import io
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from implicitloss.cli.labels import origin_of
from implicitloss.formats import plain

if TYPE_CHECKING:
    from implicitloss.estimate import Quantity
    from implicitloss.losses import Loss
    from implicitloss.problem import Problem
    from implicitloss.scheme import Scheme

__all__ = ["QUANTITIES", "columns", "fitted", "heading", "room", "show", "table", "wants_color"]

# What is no terminal, a pipe or a file, has room for every line.
ENDLESS = 10_000
# Columns of words may be broken down to this part of their width.
LEAST = 0.6

# The quantities that `expect` and `simulate` print, in this order.
QUANTITIES: dict[Quantity, str] = {
    "mean": "expected loss",
    "gap": "bound - expected",
    "variance": "variance",
    "mse": "squared error",
}


def heading(scheme: Scheme, loss: Loss, problem: Problem, args: argparse.Namespace) -> None:
    """Print the scheme, the loss and the problem that the numbers below are of."""
    never = problem.prior.n_labels - problem.prior.n_occurring
    counted = f"{problem.prior.n_labels} labels{f', {never} of them with count 0' if never else ''}"
    show(
        f"{plain(scheme)}; {loss.name}",
        f"{counted} ({plain(origin_of(args))}), {args.scorer} scores (seed {args.seed}), "
        f"positive {plain(problem.prior.name(problem.positive))}, "
        f"π = {problem.prior.probabilities[problem.positive]:.3g}",
        "",
    )


def wants_color(stream: TextIO) -> bool:
    """Whether to use colour: the stream is a terminal, and NO_COLOR is not set (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def room() -> int:
    """The width of the terminal; a pipe and a file have no end."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else ENDLESS


def _rendered(what: Any, width: int) -> str:
    """What Rich makes of it, in so many columns, without colour and without blanks at the ends of lines."""
    from rich.console import Console

    text = io.StringIO()
    # With a height and all these Rich asks neither the terminal nor the environment.
    console = Console(
        file=text, width=width, height=25, color_system=None, force_terminal=False, force_jupyter=False,
        legacy_windows=False, markup=False, highlight=False, emoji=False,
    )  # fmt: skip
    console.print(what)
    return "\n".join(line.rstrip() for line in text.getvalue().rstrip("\n").split("\n"))


def fitted(sentence: str, indent: int = 0) -> str:
    """The sentence, on lines that fit the terminal."""
    from rich.padding import Padding
    from rich.text import Text

    width = room()
    if width == ENDLESS:
        return " " * indent + sentence
    return _rendered(Padding(Text(sentence, overflow="fold"), (0, 0, 0, indent)), width)


def show(*sentences: str, indent: int = 0) -> None:
    """Print each of the sentences, on lines that fit the terminal."""
    for sentence in sentences:
        print(fitted(sentence, indent))


def table(
    head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = (), *, ruled: bool = False,
    names: Sequence[str] | None = None,
) -> str:  # fmt: skip
    """Columns that fit the terminal, the ones of `right` with their ends below each other.

    Words are broken over lines; where they would be broken much, or numbers at all, each row becomes a block of lines,
    with `names` in place of the head, and without cells that are "-".
    """
    from rich.cells import cell_len
    from rich.table import Table
    from rich.text import Text

    widths = [max(cell_len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    whole = sum(widths) + 2 * (len(head) - 1)
    words = [i for i in range(len(head)) if i not in right]
    if whole - (1 - LEAST) * sum(widths[i] for i in words) > room():
        return "\n\n".join("\n".join(_block(names or head, row)) for row in rows)
    grid = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for i in range(len(head)):
        grid.add_column(justify="left" if i in words else "right", no_wrap=i not in words, overflow="fold")
    rule = [["-" * width for width in widths]] if ruled and whole <= room() else []
    for row in (head, *rule, *rows):
        grid.add_row(*map(Text, row))
    return _rendered(grid, min(room(), whole + 2))


def _block(head: Sequence[str], row: Sequence[str]) -> Iterator[str]:
    """A row, a line each cell: beside its name, or below it where that takes half of a line."""
    from rich.cells import cell_len
    from rich.table import Table
    from rich.text import Text

    shown = [(name, cell) for name, cell in zip(head, row, strict=True) if cell and (cell != "-" or not name)]
    yield from (fitted(cell) for name, cell in shown if not name)
    named = [(name, cell) for name, cell in shown if name]
    if max((cell_len(name) for name, _ in named), default=0) > room() // 2:
        for name, cell in named:
            yield f"{fitted(name)}\n{fitted(cell, indent=2)}"
        return
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for name, cell in named:
        grid.add_row(Text(name), Text(cell))
    yield _rendered(grid, room())


def columns() -> int:
    """The width of a report: the terminal's, at most 100."""
    return min(shutil.get_terminal_size((100, 24)).columns, 100)
