"""`implicitloss`: what does a sampling scheme of one's own optimise?"""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

from implicitloss import __version__
from implicitloss.cli import commands
from implicitloss.cli.arguments import Parser, check
from implicitloss.cli.exit import guarded


def main(argv: list[str] | None = None) -> int:
    """Run the command that the arguments name, and return its exit code."""

    def run() -> int:
        args = _parser().parse_args(argv)
        check(args)
        return args.run(args)

    return guarded("implicitloss", run)


def _commands() -> dict[str, ModuleType]:
    """The commands by name: the modules of the folder `commands`."""
    found = sorted(module.name for module in pkgutil.iter_modules(commands.__path__))
    return {name: importlib.import_module(f"{commands.__name__}.{name}") for name in found}


def _parser() -> Parser:
    parser = Parser(
        prog="implicitloss",
        description="What does a negative-sampling scheme really optimise?",
        epilog="exit codes: 0 all hold; 1 refuted or left open; 2 bad input; 3 internal; 5 nothing selected",
    )
    parser.add_argument("--version", action="version", version=f"implicitloss {__version__}")
    chosen = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in _commands().items():
        one = chosen.add_parser(name, help=command.HELP)
        command.add_arguments(one)
        one.set_defaults(run=command.run)
    return parser
