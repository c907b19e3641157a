"""Labels on the command line: --counts FILE and how it is read, --profile, and the problem on them."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from implicitloss.cli.arguments import EVERY_NAME, whole_number
from implicitloss.cli.files import Input
from implicitloss.cli.progress import say
from implicitloss.formats import sentence

if TYPE_CHECKING:
    from implicitloss.labels import LabelPrior
    from implicitloss.problem import Problem

__all__ = [
    "COUNTS",
    "add_counts",
    "add_prior",
    "add_problem",
    "check_counts",
    "counted",
    "counts_options",
    "origin_of",
    "prior_of",
    "problem_of",
    "seen_labels",
]

COUNTS = (
    "a file of labels and counts, e.g. CSV with the header label,count (JSON, NumPy, Parquet, lists of examples and "
    "more are read too)"
)


def add_counts(
    parser: argparse.ArgumentParser, text: str, source: argparse._MutuallyExclusiveGroup | None = None
) -> None:
    """--counts, in the group `source` if there is one, --label-column, --count-column and --first-id."""
    (source or parser).add_argument("--counts", type=Input, metavar="FILE", help=text)
    parser.add_argument("--label-column", metavar="NAME", help="the column of labels in FILE, where that is not clear")
    parser.add_argument("--count-column", metavar="NAME", help="the column of counts in FILE, where there are several")
    parser.add_argument(
        "--first-id",
        type=whole_number,
        default=0,
        metavar="ID",
        help="the first label in FILE, if labels are numbers (0)",
    )


def counted(args: argparse.Namespace) -> LabelPrior:
    """The prior of the file, read as the arguments say."""
    from implicitloss.labels import LabelPrior

    prior = LabelPrior.from_file(args.counts, label=args.label_column, count=args.count_column, first_id=args.first_id)
    assert prior.counts is not None
    if prior.names is None and prior.counts[0] == 0 and prior.counts[1:].all():
        say(sentence(f"label 0 is missing in {args.counts}, and has count 0; if its ids begin at 1, say --first-id 1"))
    return prior


def check_counts(args: argparse.Namespace) -> None:
    """*Raises* ValueError for an option about a file where there is none."""
    if args.counts is None:
        for option in ("label_column", "count_column", "first_id"):
            if getattr(args, option):
                raise ValueError(f"--{option.replace('_', '-')} is about --counts FILE, and there is none")


def counts_options(args: argparse.Namespace, base: bool = False) -> list[str]:
    """The options that read the same file again, for a command line; with `base`, without its folder."""
    if args.counts is None:
        return []
    given = [("--counts", os.path.basename(args.counts) if base else args.counts)]
    given += [("--label-column", args.label_column), ("--count-column", args.count_column)]
    given += [("--first-id", str(args.first_id) if args.first_id else None)]
    return [word for option, value in given if value is not None for word in (option, value)]


def seen_labels(args: argparse.Namespace, program: str) -> LabelPrior:
    """The prior of the file without the labels that never occur: they cannot be drawn, and have no weight."""
    check_counts(args)
    prior = counted(args)
    assert prior.counts is not None
    seen = prior.counts > 0
    if seen.all():
        return prior
    left_out = int((~seen).sum())
    have = "label has" if left_out == 1 else "labels have"
    say(
        sentence(
            f"{program}: {left_out} {have} count 0 in {args.counts} and no part in this; the others are numbered "
            f"from 0 to {int(seen.sum()) - 1}"
        )
    )
    from implicitloss.labels import LabelPrior

    return LabelPrior.from_counts(prior.counts[seen], [prior.name(j) for j in range(prior.n_labels) if seen[j]])


def add_prior(parser: argparse.ArgumentParser) -> None:
    """--counts or --profile."""
    source = parser.add_mutually_exclusive_group()
    add_counts(parser, f"your labels and their counts: {COUNTS}", source)
    source.add_argument(
        "--profile",
        metavar="NAME",
        default="exp:100:500:100",
        help="made-up counts: exp:LABELS:LARGEST:RATIO falls exponentially from LARGEST by RATIO (default "
        "exp:100:500:100, as CIFAR-100-LT), step:LABELS:LARGEST:RATIO, zipf:LABELS:EXPONENT",
    )


def add_problem(parser: argparse.ArgumentParser) -> None:
    """--counts or --profile, --scorer, --positive."""
    add_prior(parser)
    parser.add_argument(
        "--scorer",
        metavar="NAME",
        default="gaussian",
        help=f"the labels' scores: gaussian (random, the default), aligned with label frequency, ...; {EVERY_NAME}",
    )
    parser.add_argument(
        "--positive",
        metavar="LABEL",
        help="the example's own label: one of the counts file, or a number from 0 to one less than the labels of a "
        "profile (default: the label of median frequency)",
    )


def prior_of(args: argparse.Namespace) -> LabelPrior:
    """The prior that the arguments of `add_prior` name."""
    from implicitloss import names

    check_counts(args)
    return names.profile(args.profile) if args.counts is None else counted(args)


def problem_of(args: argparse.Namespace) -> Problem:
    """The scores, prior and positive that the arguments of `add_problem` and `add_seed` name."""
    from implicitloss import names
    from implicitloss.problem import Problem

    prior = prior_of(args)
    scores = names.scorer(args.scorer).scores(prior, args.seed)
    middle = prior.middle(prior.by_frequency)
    assert middle is not None
    positive = middle if args.positive is None else prior.label(args.positive)
    return Problem(scores, prior, positive)


def origin_of(args: argparse.Namespace) -> str:
    """The counts file or the profile that the prior comes from."""
    return args.profile if args.counts is None else args.counts
