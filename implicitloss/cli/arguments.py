"""The arguments that commands share: their declarations, and the values of the library that they stand for."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from implicitloss.cli.files import Input, Output, check_files
from implicitloss.formats import nearest_name, unknown

if TYPE_CHECKING:
    from implicitloss.hard import HardNegatives
    from implicitloss.losses import Loss
    from implicitloss.scheme import Scheme

__all__ = [
    "EVERY_NAME",
    "EXIT_CODES",
    "HITS_HELP",
    "Formatter",
    "Parser",
    "add_hard",
    "add_json",
    "add_scheme",
    "add_seed",
    "check",
    "hard_options",
    "scheme_of",
    "whole_number",
    "whole_numbers",
]

# Where a help says only the usual names.  All of them are known when the library is imported, too slow for a help.
EVERY_NAME = "`implicitloss names` lists all"
HITS_HELP = "what happens if the example's own label is drawn: exclude (draw again), mask (weight 0) or keep (count it)"
EXIT_CODES = (
    "Exit code 0: all that is claimed holds. 1: a claim is refuted, or left open. 2: bad input. 3: a defect of this "
    "package."
)


class Parser(argparse.ArgumentParser):
    """A parser that says what is wrong with the arguments in one sentence, as every other error is said."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse, as argparse does; but an option that is misspelt is named before any that is missing."""
        self._check_options(sys.argv[1:] if args is None else list(args))
        return super().parse_known_args(args, namespace)

    def _check_options(self, words: Sequence[str]) -> None:
        known = list(self._option_string_actions)
        for word in words:
            option = word.partition("=")[0]
            if word == "--" or (self._subparsers is not None and not word.startswith("-")):
                return  # what follows are no options, or those of a command
            if not word.startswith("-") or word == "-" or " " in word or _is_number(word):
                continue
            if not any(name.startswith(option) for name in known):
                nearest = nearest_name(option, known)
                self.error(f"unknown option {option!r}" + ("" if nearest is None else f"; did you mean {nearest!r}?"))

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            what = "value" if action.option_strings else str(action.metavar).lower()
            raise argparse.ArgumentError(action, unknown(what, str(value), action.choices))

    def error(self, message: str) -> NoReturn:
        """*Raises* ValueError."""
        see = " See" if message.endswith("?") else "; see"
        raise ValueError(f"{message}{see} {self.prog} --help")

    def _print_message(self, message: str, file: Any = None) -> None:
        """Print the help or the version; argparse itself would ignore that it cannot be written."""
        print(message, end="", file=file)


class Formatter(argparse.HelpFormatter):
    """Help in which lines that are indented, as examples are, stay as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        lines = text.splitlines()
        fill = super()._fill_text
        return "\n".join(
            indent + line if line.startswith("  ") or not line else fill(line, width, indent) for line in lines
        )


# --- declarations -----------------------------------------------------------------------------------------------------


def add_json(parser: argparse.ArgumentParser) -> None:
    """--json [FILE]: the same in every command that has results."""
    parser.add_argument(
        "--json",
        nargs="?",
        const="-",
        type=Output,
        metavar="FILE",
        help="write the results as JSON to FILE too; without FILE, or with -, print JSON in place of the text",
    )


def add_seed(parser: argparse.ArgumentParser) -> None:
    """--seed."""
    parser.add_argument("--seed", type=_seed, default=0, help="the seed of all random numbers (default 0)")


def add_scheme(parser: argparse.ArgumentParser, with_loss: bool = True, with_ladder: bool = False) -> None:
    """--sampler, --weighting, --m, --hits, hard negatives, and --loss where the command takes any loss.

    With a ladder, --m takes several numbers.
    """
    parser.add_argument(
        "--sampler",
        metavar="NAME",
        required=True,
        help=f"how negatives are drawn, e.g. uniform, within-batch, model-based, explicit:FILE; {EVERY_NAME}",
    )
    parser.add_argument(
        "--weighting",
        metavar="NAME",
        required=True,
        help=f"how much a drawn negative counts, e.g. constant (1/m), importance, relative, tail; {EVERY_NAME}",
    )
    said = "the number of negatives drawn for an example" + ", or several: 1,4,16,64" * with_ladder
    parser.add_argument("--m", type=whole_numbers if with_ladder else whole_number, required=True, help=said)
    parser.add_argument("--hits", metavar="RULE", required=True, help=HITS_HELP)
    add_hard(parser)
    if with_loss:
        parser.add_argument(
            "--loss",
            metavar="NAME",
            default="softmax",
            help=f"the loss, e.g. softmax (the default), logistic, hinge; {EVERY_NAME}",
        )


def add_hard(parser: argparse.ArgumentParser) -> None:
    """--hard and what goes with it."""
    parser.add_argument(
        "--hard",
        metavar="K",
        type=whole_number,
        help="the K labels of the highest scores are negatives too, beside those that are drawn: hard negatives, as an "
        "index returns them (default none)",
    )
    parser.add_argument(
        "--hard-weight", metavar="W", type=_number, help="how much a hard negative counts, a number > 0 (default 1)"
    )
    parser.add_argument(
        "--overlap",
        metavar="RULE",
        help="what happens if a hard negative is drawn as well: exclude (draw again), mask (the draw has weight 0) or "
        "keep (it counts twice, the default)",
    )
    parser.add_argument(
        "--hard-positives",
        metavar="RULE",
        help="what happens if the example's own label is among the K best: drop (K - 1 are left, the default) or "
        "replace (the next best takes its place)",
    )


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a number, got {text!r}") from None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def whole_number(text: str) -> int:
    """Convert an argument to an integer: 64, 1e6.  *Raises* ArgumentTypeError, in one sentence, if it is none."""
    try:
        return int(text)
    except ValueError:
        pass
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not number.is_integer():
        raise argparse.ArgumentTypeError(f"must be a whole number, got {text!r}")
    return int(number)


def whole_numbers(text: str) -> list[int]:
    """Convert 1,4,16 to integers.  *Raises* ArgumentTypeError as `whole_number` does."""
    return [whole_number(part) for part in text.split(",")]


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
    values = [one for value in vars(args).values() for one in (value if isinstance(value, list) else [value])]
    outputs = [value for value in values if isinstance(value, Output)]
    if outputs.count(Output("-")) > 1:
        raise ValueError("only one report can go to stdout; give the others a file")
    inputs = [value for value in values if isinstance(value, Input)]
    parts = [_part_file(getattr(args, part, None)) for part in ("sampler", "weighting", "target", "claim")]
    check_files([*inputs, *parts, *others], outputs)


def _part_file(named: str | None) -> str | None:
    """The file that `explicit:FILE`, `offsets:FILE` or `margin:offsets:FILE` is read from; None for other names."""
    name, _, path = (named or "").removeprefix("margin:").partition(":")
    return path if name in ("explicit", "offsets") else None


# --- values -----------------------------------------------------------------------------------------------------------


def scheme_of(args: argparse.Namespace, loss: Loss) -> Scheme:
    """The scheme that the arguments of `add_scheme` name."""
    from implicitloss import names
    from implicitloss.scheme import Scheme

    weighting = names.weighting(args.weighting)
    sampler = names.sampler(args.sampler, loss, weighting)
    return Scheme(sampler, weighting, m=args.m, hits=args.hits, hard=_hard_of(args))


# The options of `add_hard` that say more of hard negatives, and what they are called in the library.
_HARD = {"--hard-weight": "weight", "--overlap": "overlap", "--hard-positives": "positives"}


def _given(args: argparse.Namespace, options: Iterable[str]) -> dict[str, Any]:
    """Those of the options that were given, with their values."""
    values = {option: getattr(args, option.removeprefix("--").replace("-", "_")) for option in options}
    return {option: value for option, value in values.items() if value is not None}


def hard_options(args: argparse.Namespace) -> dict[str, Any]:
    """The options of `add_hard` that were given, with their values."""
    return _given(args, ("--hard", *_HARD))


def _hard_of(args: argparse.Namespace) -> HardNegatives | None:
    """The hard negatives that the arguments name; None without --hard."""
    from implicitloss.hard import HardNegatives

    given = _given(args, _HARD)
    if args.hard is None:
        if given:
            raise ValueError(f"{', '.join(given)} must come with --hard K, the number of hard negatives, got none")
        return None
    return HardNegatives(args.hard, **{_HARD[option]: value for option, value in given.items()})
