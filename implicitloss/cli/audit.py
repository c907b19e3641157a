"""`implicitloss audit module:function`: does the loss in this file optimise what it claims?"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import sys
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from implicitloss.cli.claims import add_seed
from implicitloss.cli.shell import HOLDS, REFUTED, Progress, check_files, say, seen_labels, whole_number, write_whole
from implicitloss.formats import as_json, sentence

if TYPE_CHECKING:
    from implicitloss.auditing.blackbox import LossFunction
    from implicitloss.auditing.claimed import Claim
    from implicitloss.auditing.report import AuditReport

# Evaluations of each positive that take hours.
MOST_RUNS = 10_000_000
FRAMEWORKS = ("numpy", "torch", "tensorflow", "jax")


def add_arguments(parser: argparse.ArgumentParser, margins: str) -> None:
    """All but the counts or profile, which other commands have too."""
    parser.add_argument(
        "loss", metavar="MODULE:FUNCTION", help="loss(scores (B, L), positive (B,), rng) -> (B,) losses"
    )
    parser.add_argument(
        "--claim",
        metavar="CLAIM",
        help=f"full, none, a margin ({margins}), or scheme, which --sampler and the like say",
    )
    parser.add_argument("--sampler", help="of a claimed scheme; see `implicitloss verify --help`")
    parser.add_argument("--weighting", help="of a claimed scheme")
    parser.add_argument("--m", type=whole_number, help="of a claimed scheme: number of negatives")
    parser.add_argument("--hits", help="of a claimed scheme: exclude, mask or keep")
    parser.add_argument("--framework", default="numpy", help=f"{', '.join(FRAMEWORKS)} (default numpy)")
    parser.add_argument("--one-by-one", action="store_true", help="the loss averages its examples: ask for each alone")
    parser.add_argument("--form", default="softmax", help="softmax (default) or logistic")
    parser.add_argument("--temperature", type=float, default=1.0, help="what divides the scores inside the loss")
    parser.add_argument("--tolerance", type=float, default=0.0, help="relative deviation that is as good as equal")
    parser.add_argument("--resolution", type=float, default=0.25, help="relative deviation that must be seen to pass")
    parser.add_argument("--runs", type=whole_number, help="evaluations of each positive at most")
    parser.add_argument("--json", action="store_true", help="JSON on stdout")
    parser.add_argument(
        "--markdown",
        metavar="FILE",
        help="add the report to FILE as Markdown, e.g. $GITHUB_STEP_SUMMARY; - for stdout, alone",
    )
    parser.add_argument("--explain", action="store_true", help="say what it means, too")
    add_seed(parser)


def audit(args: argparse.Namespace) -> int:
    """The command; returns its exit code: 0 holds (or nothing was claimed), 1 refuted or inconclusive."""
    if args.json and args.markdown == "-":
        raise ValueError("only one report can go to stdout; give --markdown a file")
    if args.runs is not None and args.runs > MOST_RUNS:
        raise ValueError(f"--runs must be at most {MOST_RUNS:,}, got {args.runs:,}")
    from implicitloss.auditing.audit import audit as run
    from implicitloss.cli import words

    reads = [args.counts, words.file_of(args.sampler)]
    check_files(reads, [args.markdown])
    loss = _adapted(_loaded(args.loss), args)
    check_files([*reads, *_sources()], [args.markdown])
    prior = words.profile(args.profile) if args.counts is None else seen_labels(args.counts, "implicitloss audit")
    if args.counts is None:
        say(sentence(f"implicitloss audit: labels of the profile {args.profile}; --counts FILE gives yours"))
    claim = _claim(args)
    progress = Progress(0)
    with contextlib.redirect_stdout(sys.stderr):  # what the loss prints is no part of the report
        report = run(
            loss,
            claim=claim,
            prior=prior,
            form=args.form,
            temperature=args.temperature,
            tolerance=args.tolerance,
            resolution=args.resolution,
            runs=args.runs,
            rng=args.seed,
            progress=lambda n, total: _show(progress, n, total),
        )
    progress.done()
    if args.markdown not in (None, "-"):
        _append(args.markdown, report.to_markdown())
    _print(report, args)
    return HOLDS if report.verdict in ("holds", "measured") else REFUTED


def _append(path: str, text: str) -> None:
    """Add to a file, as a CI step's summary is added to by every audit of the step."""
    before = b""
    if os.path.isfile(path):
        with open(path, "rb") as file:
            before = file.read()
        before += b"" if before.endswith(b"\n") or not before else b"\n"
    write_whole(path, before + text.encode())


def _show(progress: Progress, n: int, total: int) -> None:
    progress.total = total
    progress(n - 1, "evaluations of each positive")


def _print(report: AuditReport, args: argparse.Namespace) -> None:
    if args.json:
        print(as_json(report.to_dict()))
        return
    if args.markdown == "-":
        print(report.to_markdown())
        return
    print(report)
    if args.explain:
        print(f"\n{report.explain()}")


def _claim(args: argparse.Namespace) -> Claim:
    from implicitloss.cli import words
    from implicitloss.losses import SoftmaxCrossEntropy
    from implicitloss.scheme import Scheme

    parts = {"--sampler": args.sampler, "--weighting": args.weighting, "--m": args.m, "--hits": args.hits}
    given = [name for name, value in parts.items() if value is not None]
    if args.claim in (None, "scheme"):
        missing = [name for name in parts if name not in given]
        if missing:
            raise ValueError(
                f"a claim is needed: --claim full, none or a margin, or a scheme, which lacks {', '.join(missing)}"
            )
        weighting = words.weighting(args.weighting)
        return Scheme(
            words.sampler(args.sampler, SoftmaxCrossEntropy(), weighting), weighting, m=args.m, hits=args.hits
        )
    if given:
        raise ValueError(f"{', '.join(given)} and --claim {args.claim} are two claims; give one or the other")
    if args.claim in ("full", "none"):
        return "full" if args.claim == "full" else None
    return words.margin(args.claim)


def _loaded(text: str) -> LossFunction:
    """module:function, with the working folder in front of the path."""
    module, colon, name = text.partition(":")
    if not (module and colon and name):
        raise ValueError(f"the loss must be given as module:function, got {text!r}")
    folder = os.getcwd()
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            found: Any = importlib.import_module(module)
    except (Exception, SystemExit) as error:
        raise ValueError(f"cannot import {module}: {type(error).__name__}: {error}{_where(error)}") from None
    for part in name.split("."):
        if not hasattr(found, part):
            raise ValueError(f"module {module} has no {name}")
        found = getattr(found, part)
    if not callable(found):
        raise ValueError(f"{text} must be a function (scores, positive, rng), got {type(found).__name__}")
    return found


def _where(error: BaseException) -> str:
    """File and line of the user's own code where it happened: the last in the working folder."""
    here = os.path.join(os.getcwd(), "")
    lines = [
        f" ({frame.filename.removeprefix(here)}, line {frame.lineno})"
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename.startswith(here) and frame.filename != __file__ and "site-packages" not in frame.filename
    ]
    return lines[-1] if lines else ""


def _sources() -> list[str]:
    """The files of all that is imported: the loss and what it needs."""
    return [file for module in list(sys.modules.values()) if isinstance(file := getattr(module, "__file__", None), str)]


def _adapted(function: LossFunction, args: argparse.Namespace) -> LossFunction:
    from implicitloss import adapters

    if args.framework not in FRAMEWORKS:
        raise ValueError(f"the framework must be one of {', '.join(FRAMEWORKS)}, got {args.framework!r}")
    given = _watched(function)
    if args.framework != "numpy":
        given = getattr(adapters, args.framework)(given)
    return adapters.one_by_one(given) if args.one_by_one else given


def _watched(function: Callable[..., Any]) -> Callable[..., Any]:
    """An error inside the loss is the caller's, who needs to know where."""

    import functools

    import numpy as np

    def watched(*given: Any) -> Any:
        try:
            return function(*given)
        except (Exception, SystemExit) as error:
            shapes = ", ".join(str(np.shape(x)) for x in given[:2])
            raise ValueError(
                f"the loss itself failed, called with scores and positives of shapes {shapes}: {type(error).__name__}: "
                f"{error}{_where(error)}"
            ) from None

    return functools.wraps(function)(watched) if hasattr(function, "__name__") else watched
