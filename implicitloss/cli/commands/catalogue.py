"""`implicitloss catalogue`: what published schemes optimise, and which labels they favour on given counts."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from implicitloss.cli.arguments import add_json, whole_number
from implicitloss.cli.exit import HOLDS
from implicitloss.cli.files import write_json
from implicitloss.cli.labels import add_prior, origin_of, prior_of, seen_labels
from implicitloss.cli.progress import busy
from implicitloss.cli.text import show, table
from implicitloss.formats import plain

if TYPE_CHECKING:
    from implicitloss.designing.catalogue import Published

__all__ = ["add_arguments", "run"]

HELP = "list published schemes: margins, best scores, and which labels each favours on your counts"
EXAMPLES = (
    "implicitloss catalogue --counts counts.csv",
    "implicitloss catalogue --profile zipf:100000:1 --m 1024",
)
NAMES = (
    "scheme", "tilt: uniform", "tilt: prior", "tilt: peaked", "kept: head", "kept: torso", "kept: tail", "who gains",
)  # fmt: skip
# In columns a group is named once.
HEAD = tuple(
    name.split(": ")[-1] if name.split(":")[0] == before.split(":")[0] else name
    for before, name in zip(("", *NAMES), NAMES, strict=False)
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Label counts and the number of negatives."""
    add_prior(parser)
    parser.add_argument(
        "--m", type=whole_number, default=255, help="the number of negatives drawn for an example (default 255)"
    )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Print the numbers of all schemes in a table, and below it what each is."""
    from implicitloss.designing.catalogue import catalogue

    prior = prior_of(args) if args.counts is None else seen_labels(args, "implicitloss catalogue")
    with busy(f"published schemes on {prior.n_labels:,} labels"):
        found = catalogue(prior, args.m)
    origin = plain(origin_of(args))
    values = {"labels": prior.n_labels, "m": args.m, "schemes": [one.to_dict() for one in found]}
    if write_json(args.json, values):
        return HOLDS
    show(f"{prior.n_labels} labels ({origin}), m={args.m}", "")
    print(table(HEAD, [_row(one) for one in found], right=range(1, len(HEAD) - 1), names=NAMES))
    show(
        "",
        "tilt: the slope of the best scores, less log η, on log label frequency, where all labels are equally likely "
        "at x, as likely as frequent, and where up to 20 labels share 0.9. 0: as softmax over all labels; -1: the "
        "balanced rule. Neither frequent nor rare labels gain by a tilt within 0.02 of 0.",
        "kept: the share of the information that softmax over all labels takes from an example, about likely labels.",
    )
    for one in found:
        show("", f"{one.name}: {one.form}, {one.negatives if one.scheme is None else one.scheme}")
        show(*_said(one), indent=2)
    return HOLDS


def _row(one: Published) -> tuple[str, ...]:
    tilts = (one.tilt.uniform, one.tilt.prior, one.tilt.peaked)
    shares = (None,) * 3 if one.information is None else tuple(vars(one.information).values())
    numbers = [*(_number(tilt, "+.3f") for tilt in tilts), *(_number(share, ".3f") for share in shares)]
    return (one.name, *numbers, one.gains or "-")


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else f"{round(value, 3) + 0.0:{form}}"


def _said(one: Published) -> list[str]:
    """What a scheme is, in a few lines."""
    return [
        f"p = {one.margins}",
        f"f* = {one.optimum}" if not one.optimum.startswith("none") else f"f*: {one.optimum}",
        f"source: {one.source}",
        *([one.note] if one.note else []),
        *([f"no numbers: {one.missing}"] if one.missing else []),
    ]
