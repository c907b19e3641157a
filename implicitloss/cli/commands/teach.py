"""`implicitloss teach`: write the page to teach with, one HTML file that computes in the browser."""

from __future__ import annotations

import argparse
import os

from implicitloss.cli.exit import HOLDS
from implicitloss.cli.files import Output, write_whole
from implicitloss.cli.labels import COUNTS, add_counts, check_counts, seen_labels
from implicitloss.cli.progress import busy
from implicitloss.formats import printable

__all__ = ["add_arguments", "run"]

HELP = "write the interactive page to teach with: one HTML file, which works offline"
EXAMPLES = (
    "implicitloss teach",
    "implicitloss teach --counts counts.csv --out page.html",
)
DEFAULT = "implicitloss.html"
CHOICE = " (written to the current folder; --out FILE writes it elsewhere)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The page's file, and the labels that it starts with."""
    parser.add_argument(
        "--out",
        type=Output,
        default=DEFAULT,
        metavar="FILE",
        help=f"where to write the page (default {DEFAULT} in the current folder); with -, print it",
    )
    add_counts(parser, f"your labels: {COUNTS} (default: labels by Zipf's law)")


def run(args: argparse.Namespace) -> int:
    """Write the page, and print where it is."""
    import numpy as np

    from implicitloss.labels import checked_unequal
    from implicitloss.teaching.document import MOST_LABELS_ON_PAGE, page

    check_counts(args)
    prior = None if args.counts is None else seen_labels(args, "implicitloss teach")
    if prior is not None:
        checked_unequal(prior, "the page needs", args.counts, 3)
    with busy("the page, its derivations and the numbers that it is tested with"):
        text = page(prior, "" if args.counts is None else os.path.basename(args.counts))
    if args.out == "-":
        print(text)
        return HOLDS
    write_whole(args.out, text)
    print(printable(f"{args.out}: open it in a browser" + (CHOICE if args.out == DEFAULT else "")))
    if prior is not None and np.count_nonzero(prior.probabilities) > MOST_LABELS_ON_PAGE:
        print(f"It shows {MOST_LABELS_ON_PAGE} of the labels, evenly by rank.")
    return HOLDS
