"""`implicitloss`: what does a sampling scheme of one's own optimise?"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
from types import ModuleType
from typing import Any

from implicitloss.cli import commands
from implicitloss.cli.arguments import EXIT_CODES, Formatter, Parser, check
from implicitloss.cli.exit import guarded
from implicitloss.version import __version__

__all__ = ["main"]


def main(argv: list[str] | None = None) -> int:
    """Run the command that the arguments name, and return its exit code."""

    def run() -> int:
        args = _parser().parse_args(argv)
        check(args)
        return args.run(args)

    return guarded("implicitloss", run)


class _Completion(argparse.Action):
    """Print the completion of a shell, and stop."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: Any, values: Any, option: str | None = None) -> None:
        try:
            import shtab
        except ImportError:
            raise ValueError("completion needs shtab: pip install 'implicitloss[completion]'") from None
        print(shtab.complete(parser, shell=str(values)))
        parser.exit()


def _commands() -> dict[str, ModuleType]:
    """The commands by name: the modules of the folder `commands`."""
    found = sorted(module.name for module in pkgutil.iter_modules(commands.__path__))
    return {name.replace("_", "-"): importlib.import_module(f"{commands.__name__}.{name}") for name in found}


def _parser() -> Parser:
    parser = Parser(
        prog="implicitloss",
        description="Which loss does training with sampled negatives really optimise?",
        epilog=f"`implicitloss COMMAND --help` explains a command. {EXIT_CODES}",
    )
    parser.add_argument("--version", action="version", version=f"implicitloss {__version__}")
    parser.add_argument(
        "--print-completion",
        action=_Completion,
        choices=["bash", "zsh", "tcsh"],
        metavar="SHELL",
        help='print what makes a shell complete commands and options: eval "$(implicitloss --print-completion bash)"',
    )
    chosen = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in _commands().items():
        said = command.HELP
        examples = "".join(f"\n  {line}" for line in command.EXAMPLES)
        one = chosen.add_parser(
            name,
            help=said,
            description=f"{said[0].upper()}{said[1:]}.",
            epilog=f"examples:{examples}\n\n{EXIT_CODES}",
            formatter_class=Formatter,
        )
        command.add_arguments(one)
        one.set_defaults(run=command.run)
    return parser
