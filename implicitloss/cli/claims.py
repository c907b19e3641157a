"""Run claims from a command line and report on them: shared by `paper_checks` and `implicitloss verify`."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from implicitloss.cli.shell import Progress, check_writable, wants_color, whole_number, write_whole

if TYPE_CHECKING:
    from implicitloss.check import Setting
    from implicitloss.claim import Claim

FORMATS = ("json", "junit", "html", "markdown")


def add_report_arguments(parser: argparse.ArgumentParser) -> None:
    """--json, --junit, --html, --markdown FILE ("-" for stdout), --details, --full, --seed, --threads."""
    for name in FORMATS:
        parser.add_argument(f"--{name}", metavar="FILE", help=f"write the report as {name} too; - for stdout, alone")
    parser.add_argument("--details", action="store_true", help="every witness's numbers and every near miss")
    parser.add_argument("--full", action="store_true", help="a larger budget of draws; may take minutes")
    add_seed(parser)
    parser.add_argument("--threads", type=whole_number, metavar="N", help="threads; results do not depend on it")


def add_seed(parser: argparse.ArgumentParser) -> None:
    """--seed."""
    parser.add_argument("--seed", type=whole_number, default=0, help="seed of all random draws (default 0)")


def check_arguments(args: argparse.Namespace) -> None:
    """*Raises* ValueError before any work is done."""
    if args.seed < 0:
        raise ValueError(f"the seed must be a whole number >= 0, got {args.seed}")
    if args.threads is not None and args.threads < 1:
        raise ValueError(f"--threads must be at least 1, got {args.threads}")
    paths = [getattr(args, name) for name in FORMATS if getattr(args, name) is not None]
    if paths.count("-") > 1:
        raise ValueError("only one report can go to stdout; give the others a file")
    files = [os.path.realpath(path) for path in paths if path not in ("-", "")]
    if len(set(files)) < len(files):
        raise ValueError("two reports cannot go to the same file; give each its own")
    counts = getattr(args, "counts", None)
    if counts and os.path.realpath(counts) in files:
        raise ValueError(f"the report would overwrite the counts {counts}; give it another file")
    for path in paths:
        if path != "-":
            check_writable(path)


def run_claims(claims: Sequence[Claim], setting: Setting, args: argparse.Namespace, *, title: str, rerun: str) -> int:
    """Settle, print, write; returns the exit code.  `rerun` is the command for one claim, with {id}."""
    from implicitloss import report as reports
    from implicitloss.verification import settled

    progress = Progress(len(claims))
    report = settled(claims, setting, title=title, rerun=rerun, progress=lambda i, claim: progress(i, claim.id))
    progress.done()
    render = {
        "json": reports.to_json,
        "junit": reports.to_junit,
        "html": reports.to_html,
        "markdown": reports.to_markdown,
    }
    for name in FORMATS:
        path = getattr(args, name)
        if path not in (None, "-"):
            write_whole(path, render[name](report))
    on_stdout = [name for name in FORMATS if getattr(args, name) == "-"]
    if on_stdout:
        sys.stdout.write(render[on_stdout[0]](report))
    else:
        width = min(shutil.get_terminal_size((100, 24)).columns, 100)
        sys.stdout.write(reports.to_text(report, wants_color(sys.stdout), width, args.details))
        if not args.details:
            print("--details shows every witness's numbers and every near miss", file=sys.stderr)
    return report.exit_code
