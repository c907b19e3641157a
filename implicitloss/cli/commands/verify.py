"""`implicitloss verify`: check the lemmas, Theorem 3 and the propositions on one scheme at one problem."""

from __future__ import annotations

import argparse
import shlex

from implicitloss.cli.arguments import EVERY_NAME, add_scheme, hard_options, scheme_of
from implicitloss.cli.claims import add_report_arguments, run_claims
from implicitloss.cli.labels import add_problem, counts_options, origin_of, problem_of

__all__ = ["add_arguments", "run"]

HELP = (
    "check what the theorems of Rawat et al. (2021) say of a scheme, each by derivation, exact numbers and simulation"
)
EXAMPLES = (
    "implicitloss verify --sampler within-batch --weighting constant --m 64 --hits mask --target equalised",
    "implicitloss verify --sampler uniform --weighting importance --m 8 --hits keep --counts counts.csv "
    "--html report.html",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """A scheme, a problem, a target and the reports."""
    add_scheme(parser, with_loss=False)
    add_problem(parser)
    parser.add_argument(
        "--target",
        metavar="NAME",
        help="also check that the scheme optimises this loss: softmax (over all labels), logit-adjusted, equalised, "
        f"...; {EVERY_NAME}",
    )
    add_report_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Settle the claims about the scheme, and report."""
    from implicitloss import names
    from implicitloss.claims.case import Setting
    from implicitloss.claims.statements.scheme import about_scheme
    from implicitloss.losses import SoftmaxCrossEntropy

    problem = problem_of(args)
    scheme = scheme_of(args, SoftmaxCrossEntropy())
    claims = about_scheme(scheme, problem, None if args.target is None else names.margin(args.target))
    setting = Setting(problem.prior, origin_of(args), args.seed, args.full, args.threads, strict=False)
    return run_claims(
        claims,
        setting,
        args,
        title=f"{scheme}, {args.scorer} scores, positive {problem.prior.name(problem.positive)}",
        rerun=f"{_own_command(args)}  # claim {{id}}",
    )


def _own_command(args: argparse.Namespace) -> str:
    """The command line that gives the same verdicts again."""
    source = ["--profile", args.profile] if args.counts is None else counts_options(args)
    positive = [] if args.positive is None else ["--positive", args.positive]
    target = [] if args.target is None else ["--target", args.target]
    hard = [str(word) for option in hard_options(args).items() for word in option]
    words = ["implicitloss", "verify", "--sampler", args.sampler, "--weighting", args.weighting, "--m", str(args.m)]
    words += [
        "--hits",
        args.hits,
        *hard,
        *source,
        "--scorer",
        args.scorer,
        *positive,
        *target,
        "--seed",
        str(args.seed),
    ]
    return shlex.join(words)
