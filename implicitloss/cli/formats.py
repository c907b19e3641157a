"""The formats of a report: files of a folder, each an option `--NAME FILE`."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from implicitloss.cli.arguments import add_json
from implicitloss.cli.files import Output, appended, write_all

__all__ = ["add_formats", "formats", "write_reports"]


def formats(folder: ModuleType) -> dict[str, ModuleType]:
    """The formats by name: the modules of the folder, which say in their package what they have."""
    found = sorted(module.name for module in pkgutil.iter_modules(folder.__path__))
    return {name: importlib.import_module(f"{folder.__name__}.{name}") for name in found}


def add_formats(parser: argparse.ArgumentParser, folder: ModuleType) -> None:
    """--json [FILE], and --NAME FILE for each format."""
    add_json(parser)
    for name, module in formats(folder).items():
        parser.add_argument(f"--{name}", type=Output, metavar="FILE", help=module.HELP)


def write_reports(
    args: argparse.Namespace, folder: ModuleType, report: Any, to_json: Callable[[], str], to_text: Callable[[], str]
) -> bool:
    """Write the files that the arguments name; then print the format that goes to stdout, or the text.

    Return whether the text was printed.
    """
    made: dict[str, str | bytes] = {} if args.json is None else {args.json: to_json()}
    for name, module in formats(folder).items():
        path = getattr(args, name)
        if path is not None:
            text = getattr(module, f"to_{name}")(report)
            made[path] = appended(path, text) if getattr(module, "APPENDS", False) and path != "-" else text
    on_stdout = made.pop("-", None)
    write_all(made)
    sys.stdout.write(to_text() if on_stdout is None else str(on_stdout))
    return on_stdout is None
