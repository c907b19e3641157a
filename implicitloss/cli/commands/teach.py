"""`implicitloss teach`: write the page to teach with, one HTML file that computes in the browser."""

from __future__ import annotations

import argparse
import os

from implicitloss.cli.arguments import seen_labels
from implicitloss.cli.exit import HOLDS
from implicitloss.cli.files import Input, Output, write_whole
from implicitloss.formats import printable

HELP = "write a page to teach with: one HTML file that computes in the browser"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The page's file, and the labels that it starts with."""
    parser.add_argument(
        "--out",
        type=Output,
        default="implicitloss.html",
        metavar="FILE",
        help="default implicitloss.html, - for stdout",
    )
    parser.add_argument(
        "--counts", type=Input, metavar="FILE", help="label counts, CSV 'label,count' (default Zipf's law)"
    )


def run(args: argparse.Namespace) -> int:
    """Write the page, and print its file's name."""
    from implicitloss.teaching.document import page

    prior = None if args.counts is None else seen_labels(args.counts, "implicitloss teach")
    if prior is not None and (prior.n_labels < 3 or prior.probabilities.max() == prior.probabilities.min()):
        raise ValueError(f"a page needs at least three labels, frequent and rare ones; {args.counts} has none such")
    text = page(prior, "" if args.counts is None else os.path.basename(args.counts))
    if args.out == "-":
        print(text)
        return HOLDS
    write_whole(args.out, text)
    print(printable(args.out))
    return HOLDS
