"""`implicitloss check-papers`: settle the papers' claims, as `python -m paper_checks` does."""

from __future__ import annotations

import argparse
import importlib
from typing import Any

__all__ = ["add_arguments", "run"]

HELP = "check every claim of the papers in several independent ways, with near misses that must be refuted"
EXAMPLES = (
    "implicitloss check-papers rawat2021.lemma1",
    "implicitloss check-papers --counts counts.csv --html report.html",
)


def _papers() -> Any:
    """The command of the claims, which the library does not need: by name, as claims use the library."""
    return importlib.import_module("paper_checks.__main__")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Those of `python -m paper_checks`."""
    _papers().add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Settle the claims, and report."""
    return int(_papers().run(args))
