"""`implicitloss audit module:function`: find out what a loss optimises, and whether it is what is claimed."""

from __future__ import annotations

import argparse
import contextlib
import functools
import importlib
import os
import sys
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from implicitloss.auditing import formats
from implicitloss.cli.arguments import (
    MARGINS,
    add_prior,
    add_seed,
    check,
    scheme_of,
    seen_labels,
    whole_number,
)
from implicitloss.cli.exit import HOLDS, REFUTED
from implicitloss.cli.files import json_document
from implicitloss.cli.formats import add_formats, write_reports
from implicitloss.cli.progress import Progress, say
from implicitloss.formats import sentence

if TYPE_CHECKING:
    from implicitloss.auditing.blackbox import LossFunction
    from implicitloss.auditing.claimed import Claim

HELP = "find out what a loss of your own optimises, and whether it is what you claim"
# More evaluations of each positive would take hours.
MOST_RUNS = 10_000_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The loss, what is claimed of it, the labels, the power of the audit and the reports."""
    parser.add_argument(
        "loss", metavar="MODULE:FUNCTION", help="loss(scores (B, L), positive (B,), rng) -> (B,) losses"
    )
    parser.add_argument(
        "--claim",
        metavar="CLAIM",
        help=f"full, none, a margin ({MARGINS}), or scheme: the one that --sampler, --weighting, --m and --hits name",
    )
    parser.add_argument("--sampler", help="the claimed scheme's sampler; see `implicitloss verify --help`")
    parser.add_argument("--weighting", help="the claimed scheme's weighting")
    parser.add_argument("--m", type=whole_number, help="the claimed scheme's number of negatives")
    parser.add_argument("--hits", help="the claimed scheme's rule for drawing the positive: exclude, mask or keep")
    parser.add_argument(
        "--framework", default="numpy", help="numpy (default), or an adapter's: torch, tensorflow, jax, ..."
    )
    parser.add_argument(
        "--one-by-one", action="store_true", help="the loss averages its examples: call it with one at a time"
    )
    parser.add_argument("--form", default="softmax", help="softmax (default) or logistic")
    parser.add_argument(
        "--temperature", type=float, default=1.0, help="the number that the loss divides scores by (default 1)"
    )
    parser.add_argument("--tolerance", type=float, default=0.0, help="relative deviation that still passes (default 0)")
    parser.add_argument(
        "--resolution", type=float, default=0.25, help="relative deviation that a pass rules out (default 0.25)"
    )
    parser.add_argument("--runs", type=whole_number, help="the largest number of evaluations of each positive")
    add_prior(parser)
    add_seed(parser)
    add_formats(parser, formats)
    parser.add_argument("--explain", action="store_true", help="explain the result, too")


def run(args: argparse.Namespace) -> int:
    """Audit the loss, and report; the exit code is 0 if the claim holds or nothing was claimed."""
    if args.runs is not None and args.runs > MOST_RUNS:
        raise ValueError(f"--runs must be at most {MOST_RUNS:,}, got {args.runs:,}")
    from implicitloss.auditing.audit import audit
    from implicitloss.cli import names

    loss = _adapted(_loaded(args.loss), args)
    check(args, *_sources())
    prior = names.profile(args.profile) if args.counts is None else seen_labels(args.counts, "implicitloss audit")
    if args.counts is None:
        say(sentence(f"implicitloss audit: labels of the profile {args.profile}; --counts FILE gives yours"))
    claim = _claim(args)
    progress = Progress(0)
    with contextlib.redirect_stdout(sys.stderr):  # what the loss prints is not part of the report
        report = audit(
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
    write_reports(
        args,
        formats,
        report,
        to_json=lambda: json_document(report.to_dict()),
        to_text=lambda: f"{report}\n\n{report.explain()}\n" if args.explain else f"{report}\n",
    )
    return HOLDS if report.verdict in ("holds", "measured") else REFUTED


def _show(progress: Progress, n: int, total: int) -> None:
    progress.total = total
    progress(n - 1, "evaluations of each positive")


def _claim(args: argparse.Namespace) -> Claim:
    from implicitloss.cli import names
    from implicitloss.losses import SoftmaxCrossEntropy

    parts = {"--sampler": args.sampler, "--weighting": args.weighting, "--m": args.m, "--hits": args.hits}
    given = [name for name, value in parts.items() if value is not None]
    if args.claim in (None, "scheme"):
        missing = [name for name in parts if name not in given]
        if missing:
            raise ValueError(
                f"a claim is needed: --claim full, none or a margin, or a scheme, which lacks {', '.join(missing)}"
            )
        return scheme_of(args, SoftmaxCrossEntropy())
    if given:
        raise ValueError(f"{', '.join(given)} and --claim {args.claim} are two claims; give one or the other")
    if args.claim in ("full", "none"):
        return "full" if args.claim == "full" else None
    return names.margin(args.claim)


def _loaded(text: str) -> LossFunction:
    """The function that module:function names; modules are looked for in the working folder first."""
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
    """The file and line of the user's own code that raised the error: the last one in the working folder."""
    here = os.path.join(os.getcwd(), "")
    lines = [
        f" ({frame.filename.removeprefix(here)}, line {frame.lineno})"
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename.startswith(here) and frame.filename != __file__ and "site-packages" not in frame.filename
    ]
    return lines[-1] if lines else ""


def _sources() -> list[str]:
    """The files of all modules that are imported by now: the loss's and those that it needs."""
    return [file for module in list(sys.modules.values()) if isinstance(file := getattr(module, "__file__", None), str)]


def _adapted(function: LossFunction, args: argparse.Namespace) -> LossFunction:
    """The loss as `il.audit` takes it, through the adapters that the arguments name."""
    from implicitloss import adapters
    from implicitloss.adapters.discovery import frameworks

    known = frameworks()
    if args.framework not in ("numpy", *known):
        raise ValueError(f"the framework must be one of numpy, {', '.join(known)}, got {args.framework!r}")
    given = _watched(function)
    if args.framework != "numpy":
        given = known[args.framework].adapt(given)
    return adapters.one_by_one(given) if args.one_by_one else given


def _watched(function: Callable[..., Any]) -> Callable[..., Any]:
    """The loss, with an error inside it as a sentence that says where in the user's code it happened."""
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
