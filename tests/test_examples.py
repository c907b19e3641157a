"""The examples in docstrings run as they are written."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from typing import Any

import pytest

import implicitloss as il

FINDER = doctest.DocTestFinder(exclude_empty=True)


def modules() -> list[str]:
    """Every module of the library but the ones that run when they are imported."""
    names = (module.name for module in pkgutil.walk_packages(il.__path__, "implicitloss."))
    return [name for name in names if not name.endswith("__main__")]


@pytest.mark.parametrize("name", modules())
def test_examples_run_as_they_are_written(name: str) -> None:
    module: Any = importlib.import_module(name)
    for example in FINDER.find(module, name):
        result = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example)
        assert result.failed == 0, example.name


def test_a_wrong_example_would_be_seen() -> None:
    wrong = doctest.DocTestParser().get_doctest(">>> 1 + 1\n3\n", {}, "wrong", None, 0)
    assert doctest.DocTestRunner(verbose=False).run(wrong, out=lambda text: None).failed == 1
