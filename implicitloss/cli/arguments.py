"""The arguments that commands share: their declarations, and the values of the library that they stand for."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, NoReturn

from implicitloss.cli.files import Input, Output, check_files
from implicitloss.cli.progress import say
from implicitloss.formats import sentence

if TYPE_CHECKING:
    from implicitloss.labels import LabelPrior
    from implicitloss.losses import Loss
    from implicitloss.problem import Problem
    from implicitloss.scheme import Scheme

MARGINS = "softmax, logit-adjusted[:TAU], balanced-softmax, equalised, adaptive[:SCALE]"


class Parser(argparse.ArgumentParser):
    """A parser that says what is wrong with the arguments in one sentence, as every other error is said."""

    def error(self, message: str) -> NoReturn:
        """*Raises* ValueError."""
        raise ValueError(f"{message}; see {self.prog} --help")

    def _print_message(self, message: str, file: Any = None) -> None:
        """Print the help or the version; argparse itself would ignore that it cannot be written."""
        print(message, end="", file=file)


# --- declarations -----------------------------------------------------------------------------------------------------


def add_json(parser: argparse.ArgumentParser) -> None:
    """--json [FILE]: the same in every command that has results."""
    parser.add_argument(
        "--json",
        nargs="?",
        const="-",
        type=Output,
        metavar="FILE",
        help="also write the results as JSON to FILE; without FILE, or with -, print JSON instead of text",
    )


def add_seed(parser: argparse.ArgumentParser) -> None:
    """--seed."""
    parser.add_argument("--seed", type=_seed, default=0, help="seed of all random draws (default 0)")


def add_scheme(parser: argparse.ArgumentParser, with_loss: bool = True) -> None:
    """--sampler, --weighting, --m, --hits, and --loss where the command takes any loss."""
    parser.add_argument(
        "--sampler",
        required=True,
        help="uniform, within-batch, model-based, power[:ALPHA], log-uniform, mixture[:SHARE], minimum-variance, "
        "explicit:FILE (one probability a line)",
    )
    parser.add_argument(
        "--weighting", required=True, help=f"constant, unit, importance, relative, tail, margin:NAME of {MARGINS}"
    )
    parser.add_argument("--m", type=whole_number, required=True, help="number of negatives")
    parser.add_argument("--hits", required=True, help="what drawing the positive does: exclude, mask or keep")
    if with_loss:
        parser.add_argument(
            "--loss", default="softmax", help="softmax (default), logistic, hinge, squared-hinge, cosine[:MARGIN]"
        )


def add_prior(parser: argparse.ArgumentParser) -> None:
    """--counts or --profile."""
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--counts", type=Input, metavar="FILE", help="label counts, CSV 'label,count'")
    source.add_argument(
        "--profile",
        default="exp:100:500:100",
        help="exp:L:LARGEST:RATIO (default exp:100:500:100), step:L:LARGEST:RATIO, zipf:L:S",
    )


def add_problem(parser: argparse.ArgumentParser) -> None:
    """--counts or --profile, --scorer, --positive."""
    add_prior(parser)
    parser.add_argument(
        "--scorer", default="gaussian", help="gaussian (default), aligned, against, heavy-tailed, class-conditional"
    )
    parser.add_argument(
        "--positive",
        metavar="LABEL",
        help="the positive: a label of the counts file, or 0 to L-1 of a profile (default: the median by frequency)",
    )


def whole_number(text: str) -> int:
    """Convert an argument to an integer.  *Raises* ArgumentTypeError, in one sentence, if it is none."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a whole number, got {text!r}") from None


def _seed(text: str) -> int:
    seed = whole_number(text)
    if seed < 0:
        raise argparse.ArgumentTypeError(f"the seed must be a whole number >= 0, got {seed}")
    return seed


# --- checks -----------------------------------------------------------------------------------------------------------


def check(args: argparse.Namespace, *others: str) -> None:
    """Check that no output is an input or another output, for all arguments of the types `Input` and `Output`.

    `others` are files that are read without being named by an argument.  *Raises* ValueError before any work is done.
    """
    values = list(vars(args).values())
    outputs = [value for value in values if isinstance(value, Output)]
    if outputs.count(Output("-")) > 1:
        raise ValueError("only one report can go to stdout; give the others a file")
    inputs = [value for value in values if isinstance(value, Input)]
    check_files([*inputs, _law_file(getattr(args, "sampler", None)), *others], outputs)


def _law_file(sampler: str | None) -> str | None:
    """The file that `explicit:FILE` is read from; None for other samplers."""
    name, _, path = (sampler or "").partition(":")
    return path if name == "explicit" else None


# --- values -----------------------------------------------------------------------------------------------------------


def scheme_of(args: argparse.Namespace, loss: Loss) -> Scheme:
    """The scheme that the arguments of `add_scheme` name."""
    from implicitloss.cli import names
    from implicitloss.scheme import Scheme

    weighting = names.weighting(args.weighting)
    return Scheme(names.sampler(args.sampler, loss, weighting), weighting, m=args.m, hits=args.hits)


def problem_of(args: argparse.Namespace) -> Problem:
    """The scores, prior and positive that the arguments of `add_problem` and `add_seed` name."""
    from implicitloss.cli import names
    from implicitloss.labels import LabelPrior
    from implicitloss.problem import Problem

    prior = names.profile(args.profile) if args.counts is None else LabelPrior.from_csv(args.counts)
    scores = names.scorer(args.scorer).scores(prior, args.seed)
    positive = int(prior.by_frequency[prior.n_labels // 2]) if args.positive is None else prior.label(args.positive)
    return Problem(scores, prior, positive)


def origin_of(args: argparse.Namespace) -> str:
    """The counts file or the profile that the prior comes from."""
    return args.profile if args.counts is None else args.counts


def seen_labels(path: str, program: str) -> LabelPrior:
    """The prior of a CSV file without the labels that never occur: they cannot be drawn, and have no weight."""
    from implicitloss.labels import LabelPrior

    prior = LabelPrior.from_csv(path)
    assert prior.counts is not None
    assert prior.names is not None
    seen = prior.counts > 0
    if seen.all():
        return prior
    left_out = int((~seen).sum())
    have = "label has" if left_out == 1 else "labels have"
    say(
        sentence(
            f"{program}: {left_out} {have} count 0 in {path} and no part in this; the others are numbered from 0 to "
            f"{int(seen.sum()) - 1}"
        )
    )
    return LabelPrior.from_counts(prior.counts[seen], [name for name, s in zip(prior.names, seen, strict=True) if s])
