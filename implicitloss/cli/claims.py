"""Run claims from a command line and report on them: shared by `paper_checks` and `implicitloss verify`."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from implicitloss.cli.shell import Progress, check_files, say, wants_color, whole_number, write_all

if TYPE_CHECKING:
    from implicitloss.claims.case import Setting
    from implicitloss.claims.claim import Claim

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
    parser.add_argument("--seed", type=_seed, default=0, help="seed of all random draws (default 0)")


def _seed(text: str) -> int:
    seed = whole_number(text)
    if seed < 0:
        raise argparse.ArgumentTypeError(f"the seed must be a whole number >= 0, got {seed}")
    return seed


def check_arguments(args: argparse.Namespace, *reads: str | None) -> None:
    """*Raises* ValueError before any work is done; `reads` are files that are read beside the counts."""
    if args.threads is not None and args.threads < 1:
        raise ValueError(f"--threads must be at least 1, got {args.threads}")
    paths = [getattr(args, name) for name in FORMATS if getattr(args, name) is not None]
    if paths.count("-") > 1:
        raise ValueError("only one report can go to stdout; give the others a file")
    check_files([args.counts, *reads], paths)


def run_claims(claims: Sequence[Claim], setting: Setting, args: argparse.Namespace, *, title: str, rerun: str) -> int:
    """Settle, print, write; returns the exit code.  `rerun` is the command for one claim, with {id}."""
    from implicitloss.claims import report as reports
    from implicitloss.claims.verify import settled

    progress = Progress(len(claims))
    report = settled(claims, setting, title=title, rerun=rerun, progress=lambda i, claim: progress(i, claim.id))
    progress.done()
    render = {
        "json": reports.to_json,
        "junit": reports.to_junit,
        "html": reports.to_html,
        "markdown": reports.to_markdown,
    }
    paths = {name: getattr(args, name) for name in FORMATS}
    write_all({path: render[name](report) for name, path in paths.items() if path not in (None, "-")})
    on_stdout = [name for name, path in paths.items() if path == "-"]
    if on_stdout:
        sys.stdout.write(render[on_stdout[0]](report))
    else:
        width = min(shutil.get_terminal_size((100, 24)).columns, 100)
        sys.stdout.write(reports.to_text(report, wants_color(sys.stdout), width, args.details))
        if not args.details:
            say("--details shows every witness's numbers and every near miss")
    return report.exit_code
