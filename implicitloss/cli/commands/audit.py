"""`implicitloss audit module:function`: find out what a loss optimises, and whether it is what is claimed.

One file: the options of the command, and how the loss that they name is found, called and watched.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import importlib.util
import os
import re
import sys
import time
import traceback
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any

from implicitloss.auditing import formats
from implicitloss.cli.arguments import (
    HITS_HELP,
    add_hard,
    add_seed,
    check,
    hard_options,
    scheme_of,
    whole_number,
)
from implicitloss.cli.exit import HOLDS, REFUTED
from implicitloss.cli.files import Input
from implicitloss.cli.formats import add_formats, write_reports
from implicitloss.cli.labels import add_prior, origin_of, prior_of
from implicitloss.cli.progress import Progress, say
from implicitloss.formats import cut, plain, sentence, unknown

if TYPE_CHECKING:
    from implicitloss.auditing.blackbox import LossFunction
    from implicitloss.auditing.claimed import Claim
    from implicitloss.labels import LabelPrior

__all__ = ["add_arguments", "run"]

HELP = "measure what a loss of your own optimises, and test whether it is what you claim"
EXAMPLES = (
    "implicitloss audit losses.py:my_loss --claim full --counts counts.csv",
    "implicitloss audit losses:my_loss --framework torch --sampler within-batch --weighting importance "
    "--m 64 --hits mask",
)
# More evaluations of each positive would take hours.
MOST_AUDIT_RUNS = 10_000_000
SECONDS_BETWEEN_LINES = 5.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The loss, what is claimed of it, the labels, the power of the audit and the reports."""
    parser.add_argument(
        "loss",
        metavar="MODULE:FUNCTION",
        help="your loss, by its module or its file (losses.py:my_loss): function(scores, positive, rng) takes scores "
        "(B, L) and the B positive labels, and returns B losses; with gradients, a pair (losses, gradients in the "
        "scores).  For other losses, such as in-batch ones, name what an adapter returns: in MODULE, FUNCTION = "
        "implicitloss.adapters.in_batch(...)",
    )
    parser.add_argument(
        "--claim",
        metavar="NAME",
        help="what you say the loss optimises: full (softmax over all labels), scheme (the sampling scheme of the next "
        "four options; the default), none (nothing: only measure), or a published loss, e.g. logit-adjusted; "
        "`implicitloss names target` lists these",
    )
    parser.add_argument(
        "--sampler", metavar="NAME", help="the claimed scheme: how negatives are drawn, e.g. uniform, within-batch"
    )
    parser.add_argument(
        "--weighting", metavar="NAME", help="the claimed scheme: how much a negative counts, e.g. constant, importance"
    )
    parser.add_argument("--m", type=whole_number, help="the claimed scheme: how many negatives an example has")
    parser.add_argument("--hits", metavar="RULE", help=f"the claimed scheme: {HITS_HELP}")
    add_hard(parser)
    parser.add_argument(
        "--framework",
        metavar="NAME",
        default="numpy",
        help="what the loss is written in: numpy (default), or one of `implicitloss names framework`, with gradients",
    )
    parser.add_argument(
        "--one-by-one",
        action="store_true",
        help="call the loss with one example at a time: for losses that return the mean or the sum of a batch",
    )
    parser.add_argument(
        "--form",
        metavar="NAME",
        default="softmax",
        help="softmax (default), or logistic: a sum of binary losses, one for each label",
    )
    parser.add_argument(
        "--temperature", metavar="T", type=float, default=1.0, help="the loss divides scores by T (default 1)"
    )
    parser.add_argument(
        "--scores",
        metavar="FILE",
        type=Input,
        help="the scores to audit at, one for each label, where hard negatives or draws depend on them: a .npy file, "
        "or text with one a line (default: random ones)",
    )
    parser.add_argument(
        "--tolerance",
        metavar="SHARE",
        type=float,
        default=0.0,
        help="count a deviation of up to SHARE of the claim as equal, e.g. 0.05 for 5 %% (default 0)",
    )
    parser.add_argument(
        "--resolution",
        metavar="SHARE",
        type=float,
        help="say that the claim holds only if a deviation of SHARE is ruled out (default 0.25, for 25 %%); less needs "
        "more evaluations",
    )
    parser.add_argument(
        "--budget",
        metavar="NAME",
        default="full",
        help="full (default), or quick: a third to half of the time, for a resolution of 1 (100 %%)",
    )
    parser.add_argument(
        "--runs",
        metavar="N",
        type=whole_number,
        help="evaluate the loss at most N times for each audited label (default 400 to 20000, fewer for more labels)",
    )
    add_prior(parser)
    add_seed(parser)
    add_formats(parser, formats)
    parser.add_argument(
        "--explain", action="store_true", help="also say in sentences what the loss teaches and which labels gain"
    )


def run(args: argparse.Namespace) -> int:
    """Audit the loss, and report; the exit code is 0 if the claim holds or nothing was claimed."""
    if args.runs is not None and args.runs > MOST_AUDIT_RUNS:
        raise ValueError(f"--runs must be at most {MOST_AUDIT_RUNS:,}, got {args.runs:,}")
    from implicitloss import names
    from implicitloss.auditing.audit import audit

    loss = _adapted(_loaded(args.loss), args)
    check(args, *_sources())
    prior = prior_of(args)
    if args.counts is not None:
        _say_never(args, prior)
    else:
        say(sentence(f"implicitloss audit: labels of the profile {args.profile}; --counts FILE gives yours"))
    claim = _claim(args)
    progress = Progress(0)
    try:
        with contextlib.redirect_stdout(sys.stderr):  # what the loss prints is not part of the report
            report = audit(
                loss,
                claim=claim,
                prior=prior,
                scores=None if args.scores is None else names.scores(args.scores),
                form=args.form,
                temperature=args.temperature,
                tolerance=args.tolerance,
                resolution=args.resolution,
                runs=args.runs,
                budget=args.budget,
                rng=args.seed,
                progress=lambda n, total: _show(progress, n, total),
            )
    except ValueError as error:
        if error.__cause__ is not None:
            _say_frames(error.__cause__)
        raise
    progress.done()
    write_reports(
        args,
        formats,
        report,
        to_json=report.to_json,
        to_text=lambda: f"{report}\n\n{report.explain()}\n" if args.explain else f"{report}\n",
    )
    return HOLDS if report.verdict in ("holds", "measured") else REFUTED


def _say_never(args: argparse.Namespace, prior: LabelPrior) -> None:
    """Say that labels that never occur keep their columns of the scores."""
    never = prior.n_labels - prior.n_occurring
    if never:
        have = "label has" if never == 1 else "labels have"
        said = f"{never} {have} count 0 in {args.counts} and a column all the same: scores have {prior.n_labels}"
        say(sentence(f"implicitloss audit: {said} columns"))


def _show(progress: Progress, n: int, total: int) -> None:
    progress.total = max(total, n)  # a part that is looked at again asks for more
    if progress.live or n == total or time.monotonic() - progress.said_at >= SECONDS_BETWEEN_LINES:
        progress(n - 1, "evaluations of each positive")


def _claim(args: argparse.Namespace) -> Claim:
    from implicitloss import names
    from implicitloss.losses import SoftmaxCrossEntropy

    parts = {"--sampler": args.sampler, "--weighting": args.weighting, "--m": args.m, "--hits": args.hits}
    given = [name for name, value in parts.items() if value is not None] + list(hard_options(args))
    if args.claim in (None, "scheme"):
        missing = [name for name in parts if name not in given]
        if missing:
            raise ValueError(
                "say what the loss is claimed to optimise: --claim full, none or a published loss, or the scheme, "
                f"which lacks {', '.join(missing)}"
            )
        return scheme_of(args, SoftmaxCrossEntropy())
    if given:
        raise ValueError(f"{', '.join(given)} and --claim {args.claim} are two claims; give one or the other")
    return names.claim(args.claim)


def _loaded(text: str) -> LossFunction:
    """The function that module:function, or file.py:function, names; the working folder is looked in first."""
    module, colon, name = text.rpartition(":")
    if not (module and colon and name):
        raise ValueError(f"the loss must be given as module:function or file.py:function, got {text!r}")
    is_file = module.endswith(".py")
    if is_file and not os.path.isfile(module):
        raise ValueError(f"there is no file {module} with the loss {name}")
    folder = os.path.dirname(os.path.abspath(module)) if is_file else os.getcwd()
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            found: Any = _of_file(module) if is_file else importlib.import_module(module)
    except (Exception, SystemExit) as error:
        raise ValueError(f"cannot import {module}: {type(error).__name__}: {error}{_where(error)}") from None
    for part in name.split("."):
        if not hasattr(found, part):
            raise ValueError(f"module {module} has no {name}")
        found = getattr(found, part)
    if not callable(found):
        raise ValueError(f"{text} must be a function (scores, positive, rng), got {type(found).__name__}")
    return found


def _of_file(path: str) -> ModuleType:
    """The module in a file, also where another module has its name."""
    name = os.path.basename(path).removesuffix(".py")
    spec = importlib.util.spec_from_file_location(name, os.path.abspath(path))
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    is_new = sys.modules.setdefault(name, found) is found
    try:
        spec.loader.exec_module(found)
    except BaseException:
        if is_new:
            del sys.modules[name]
        raise
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


def _say_frames(error: BaseException) -> None:
    """Print where an error inside the loss came from, on stderr: the frames of the user's code, and none of ours."""
    from implicitloss.auditing.failure import outside

    for frame in traceback.extract_tb(outside(error.__traceback__)):
        say(plain(f"  {frame.filename}, line {frame.lineno}, in {frame.name}: {frame.line}"))


def _sources() -> list[str]:
    """The files of all modules that are imported by now: the loss's and those that it needs."""
    return [file for module in list(sys.modules.values()) if isinstance(file := getattr(module, "__file__", None), str)]


def _adapted(function: LossFunction, args: argparse.Namespace) -> LossFunction:
    """The loss as `il.audit` takes it, through the adapters that the arguments name."""
    from implicitloss import adapters
    from implicitloss.adapters.discovery import frameworks

    known = frameworks()
    if args.framework not in ("numpy", *known):
        raise ValueError(unknown("framework", args.framework, ("numpy", *known)))
    if args.framework != "numpy" and hasattr(function, "package"):
        raise ValueError(f"the loss is adapted already: leave out --framework {args.framework}")
    given = _watched(function, origin_of(args))
    if args.framework != "numpy":
        given = known[args.framework].adapt(given)
    return adapters.one_by_one(given) if args.one_by_one else given


def _watched(function: Callable[..., Any], origin: str) -> Callable[..., Any]:
    """The loss, with an error inside it as a sentence that says where in the user's code it happened.

    Most such errors are about labels: the loss has some of its own, and the `origin` of the prior has others.
    """
    import numpy as np

    from implicitloss.auditing.failure import in_batch_names, is_of_this_package, wants_tensors

    def watched(*given: Any) -> Any:
        try:
            return function(*given)
        except (Exception, SystemExit) as error:
            if isinstance(error, ValueError) and is_of_this_package(error):
                raise  # an adapter says what is wrong
            shapes, said = [np.shape(x) for x in given[:2]], f"{type(error).__name__}: {error}"
            labels = ""
            if of_batches := in_batch_names(function):
                labels = f"; its arguments are {of_batches}: an in-batch loss needs implicitloss.adapters.in_batch"
            elif re.search(rf"\b{shapes[0][-1]}\b", said):
                labels = f"; {origin} gives {shapes[0][-1]} labels: has the loss as many?"
            raise ValueError(
                f"the loss itself failed, called with scores and positives of shapes {shapes[0]}, {shapes[1]}: "
                f"{cut(said, 120)}{_where(error)}{labels}"
            ) from error

    def guarded(method: Callable[..., Any]) -> Callable[..., Any]:
        def called(*given: Any) -> Any:
            try:
                return method(*given)
            except (Exception, SystemExit) as error:
                if isinstance(error, ValueError) and is_of_this_package(error):
                    raise
                tensors = "; does it take tensors? Then the adapter needs framework=" * wants_tensors(error, function)
                said = cut(f"{type(error).__name__}: {error}", 120)
                raise ValueError(f"the loss itself failed: {said}{_where(error)}{tensors}") from error

        return called

    functools.update_wrapper(watched, function)
    watched.__qualname__ = getattr(function, "__qualname__", type(function).__name__)
    # What a loss that is adapted already can do besides: an audit asks for these by name.
    for name in ("directions", "flaws_between_rows", "largest_spread", "package", "prior", "stream", "warmup"):
        if hasattr(function, name):
            found = getattr(function, name)
            setattr(watched, name, guarded(found) if callable(found) else found)
    return watched
