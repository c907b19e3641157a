"""Settle claims and report on them: what `paper_checks` and `implicitloss verify` share."""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from implicitloss.claims.report import formats
from implicitloss.cli.arguments import add_seed, whole_number
from implicitloss.cli.formats import add_formats, write_reports
from implicitloss.cli.progress import Progress, say
from implicitloss.cli.text import columns, wants_color

if TYPE_CHECKING:
    from implicitloss.claims.case import Setting
    from implicitloss.claims.claim import Claim

__all__ = ["add_report_arguments", "run_claims"]


def add_report_arguments(parser: argparse.ArgumentParser) -> None:
    """--json, --html, --junit, --markdown, --details, --full, --seed, --threads."""
    add_formats(parser, formats)
    parser.add_argument(
        "--details", action="store_true", help="also print the numbers of each check, and the near misses it refuted"
    )
    parser.add_argument("--full", action="store_true", help="simulate ten times as many runs, which may take minutes")
    add_seed(parser)
    parser.add_argument(
        "--threads", type=_threads, metavar="N", help="simulate on N threads; the results are the same for every N"
    )


def _threads(text: str) -> int:
    threads = whole_number(text)
    if threads < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {threads}")
    return threads


def run_claims(claims: Sequence[Claim], setting: Setting, args: argparse.Namespace, *, title: str, rerun: str) -> int:
    """Settle the claims, print and write the reports, and return the exit code.

    `rerun` is the command that settles one claim again, with {id} for its id.
    """
    from implicitloss.claims.verify import report_on

    progress = Progress(len(claims))
    report = report_on(claims, setting, title=title, rerun=rerun, progress=lambda i, claim: progress(i, claim.id))
    progress.done()
    as_text = functools.partial(report.to_text, wants_color(sys.stdout), columns(), args.details)
    if write_reports(args, formats, report, report.to_json, as_text) and not args.details:
        say("--details shows the numbers of each check, and the near misses that it refuted")
    return report.exit_code
