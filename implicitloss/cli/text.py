"""The text that commands have in common: the heading above numbers, their names, and when to use colour."""

from __future__ import annotations

import argparse
import os
import shutil
from typing import TYPE_CHECKING, TextIO

from implicitloss.cli.labels import origin_of
from implicitloss.formats import plain

if TYPE_CHECKING:
    from implicitloss.estimate import Quantity
    from implicitloss.losses import Loss
    from implicitloss.problem import Problem
    from implicitloss.scheme import Scheme

__all__ = ["QUANTITIES", "columns", "heading", "wants_color"]

# The quantities that `expect` and `simulate` print, in this order.
QUANTITIES: dict[Quantity, str] = {
    "mean": "expected loss",
    "gap": "bound - expected",
    "variance": "variance",
    "mse": "squared error",
}


def heading(scheme: Scheme, loss: Loss, problem: Problem, args: argparse.Namespace) -> str:
    """The scheme, the loss and the problem that the numbers below are of."""
    never = problem.prior.n_labels - problem.prior.n_occurring
    counted = f"{problem.prior.n_labels} labels{f', {never} of them with count 0' if never else ''}"
    return (
        f"{plain(scheme)}; {loss.name}\n"
        f"{counted} ({plain(origin_of(args))}), {args.scorer} scores (seed {args.seed}), "
        f"positive {plain(problem.prior.name(problem.positive))}, "
        f"π = {problem.prior.probabilities[problem.positive]:.3g}\n"
    )


def wants_color(stream: TextIO) -> bool:
    """Whether to use colour: the stream is a terminal, and NO_COLOR is not set (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def columns() -> int:
    """The width of a report: the terminal's, at most 100."""
    return min(shutil.get_terminal_size((100, 24)).columns, 100)
