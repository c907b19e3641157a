"""`implicitloss names`: the names that the options of other commands take, with their parameters and meaning."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Any

from implicitloss.cli.arguments import add_json
from implicitloss.cli.exit import HOLDS
from implicitloss.cli.files import write_json
from implicitloss.formats import unknown

__all__ = ["add_arguments", "options", "run"]

HELP = "list every name that --sampler, --weighting, --loss, --target, --profile, --scorer and --framework take"
EXAMPLES = (
    "implicitloss names",
    "implicitloss names sampler weighting",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options whose names are wanted."""
    parser.add_argument("options", nargs="*", metavar="OPTION", help="only these, without dashes: sampler, loss, ...")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Print the names, option by option."""
    from implicitloss import names

    tables = {option.removeprefix("--"): table for option, table in options().items()}
    for option in args.options:
        if option not in tables:
            raise ValueError(unknown("option", option, tables))
    found = {
        option: {names.usage(name, make): names.meaning(make) for name, make in tables[option].items()}
        for option in args.options or tables
    }
    if write_json(args.json, found):
        return HOLDS
    parts = []
    for option, lines in found.items():
        width = max(map(len, lines))
        parts.append("\n".join([f"--{option}", *(f"  {name:<{width}}  {text}" for name, text in lines.items())]))
    print("\n\n".join(parts))
    return HOLDS


def options() -> dict[str, Mapping[str, Callable[..., Any]]]:
    """What each option takes.  Frameworks bring the audit along, which few commands need, so they are imported here."""
    from implicitloss import adapters, names
    from implicitloss.adapters.discovery import frameworks

    # `il.adapters` has a function for each framework, whose docstring says what it is for.
    known = {name: names.always(found, getattr(adapters, name).__doc__) for name, found in frameworks().items()}
    return names.TABLES | {
        "--framework": {"numpy": names.always(None, "NumPy's arrays, without gradients (the default)"), **known}
    }
