"""Docstrings of public names have the sections of NumPy's convention, and their examples run as they are written."""

from __future__ import annotations

import dataclasses
import doctest
import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator
from enum import Enum
from functools import cached_property
from typing import Any

import pytest

import implicitloss as il
from implicitloss.adapters.discovery import frameworks

FINDER = doctest.DocTestFinder(exclude_empty=True)
# Packages that the library does not depend on: their examples run where they are installed.
FRAMEWORKS = [*(framework.package for framework in frameworks().values()), "faiss"]


def modules() -> list[str]:
    """Every module of the library but the ones that run when they are imported."""
    names = (module.name for module in pkgutil.walk_packages(il.__path__, "implicitloss."))
    return [name for name in names if not name.endswith("__main__")]


@pytest.mark.parametrize("name", modules())
def test_examples_run_as_they_are_written(name: str) -> None:
    if name.startswith("implicitloss.recipes."):  # it imports the framework after which it is named
        pytest.importorskip(name.rpartition(".")[2])
    module: Any = importlib.import_module(name)
    for example in FINDER.find(module, name):
        for package in FRAMEWORKS:
            if f">>> import {package}" in (example.docstring or ""):
                pytest.importorskip(package)
        result = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example)
        assert result.failed == 0, example.name


def test_a_wrong_example_would_be_seen() -> None:
    wrong = doctest.DocTestParser().get_doctest(">>> 1 + 1\n3\n", {}, "wrong", None, 0)
    assert doctest.DocTestRunner(verbose=False).run(wrong, out=lambda text: None).failed == 1


# --- sections -----------------------------------------------------------------------------------------------------

PREPOSITIONS = {
    "about", "above", "after", "against", "among", "as", "at", "before", "below", "beside", "between", "beyond", "by",
    "during", "for", "from", "in", "into", "of", "off", "on", "onto", "out", "over", "since", "through", "to", "under",
    "until", "up", "upon", "with", "within", "without",
}  # fmt: skip


def sections(text: str) -> dict[str, list[str]]:
    """The lines of each section of a docstring, by its heading; "" has what comes before the first."""
    lines = inspect.cleandoc(text).splitlines()
    heads = [i for i in range(len(lines) - 1) if lines[i] and re.fullmatch("-{3,}", lines[i + 1])]
    ends = [*heads, len(lines)]
    found = {"": lines[: ends[0]]}
    return found | {lines[i]: lines[i + 2 : end] for i, end in zip(heads, ends[1:], strict=True)}


def entries(lines: list[str]) -> list[str]:
    """The names that a Parameters section describes: `a : type`, `a, b : type`, or `a` alone, each with a text."""
    found = []
    for line, below in zip(lines, [*lines, ""][1:], strict=True):
        if line and not line.startswith(" ") and below.startswith("    "):
            found += line.split(" : ")[0].split(", ")
    return found


def parameters(thing: Any) -> list[str]:
    """The parameters of a call, as a docstring names them; protocols, errors and enumerations are not called."""
    if inspect.isclass(thing) and (getattr(thing, "_is_protocol", False) or issubclass(thing, (BaseException, Enum))):
        return []
    stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    given = inspect.signature(thing).parameters.values()
    return [stars.get(p.kind, "") + p.name for p in given if p.name not in ("self", "cls")]


def returns_something(thing: Callable[..., Any]) -> bool:
    return inspect.signature(thing).return_annotation not in (None, "None")


def summary_faults(text: str | None) -> list[str]:
    """What is wrong with the first line of a docstring."""
    if not text:
        return ["no docstring"]
    summary = inspect.cleandoc(text).splitlines()[0]
    first = summary.split()[0].lower() if summary else ""
    return ["begins with a preposition"] * (first in PREPOSITIONS) + ["no full stop"] * (not summary.endswith("."))


def parameter_faults(text: str, names: list[str]) -> list[str]:
    """How the Parameters section differs from the signature."""
    said = entries(sections(text).get("Parameters", []))
    return [] if said == names else [f"Parameters has {said}, the signature {names}"]


def faults(thing: Any) -> list[str]:
    """What the docstring of a public class or function lacks."""
    text = thing.__doc__ or ""
    found = summary_faults(text)
    found += parameter_faults(text, parameters(thing))
    if not inspect.isclass(thing) and returns_something(thing) and not sections(text).get("Returns"):
        found.append("no Returns")
    if not any(line.startswith(">>> ") for line in sections(text).get("Examples", [])):
        found.append("no example")
    return found


def method_faults(owner: type, name: str, member: Any) -> list[str]:
    """What the docstring of a public method lacks; an inherited one will do.

    Constructors and calls are like functions, but for the example, which the class has.  Other methods may do without
    sections, but a Parameters section must be right.
    """
    if isinstance(member, classmethod) or name == "__call__":
        return [fault for fault in faults(getattr(owner, name)) if fault != "no example"]
    text = inspect.getdoc(getattr(owner, name))
    found = summary_faults(text)
    if text and inspect.isfunction(member) and "Parameters" in sections(text):
        found += parameter_faults(text, parameters(member))
    return found


def methods(owner: type) -> Iterator[tuple[str, Any]]:
    """The public methods and properties of a class, with those that it inherits, but not Python's own."""
    bases = [base for base in owner.__mro__ if base.__module__ not in ("builtins", "enum")]
    for name in sorted({name for base in bases for name in vars(base)}):
        member = next(vars(base)[name] for base in bases if name in vars(base))
        is_method = callable(member) or isinstance(member, (property, cached_property, classmethod, staticmethod))
        if is_method and (not name.startswith("_") or name == "__call__"):
            yield name, member


PUBLIC = [
    "implicitloss",
    *(f"implicitloss.{name}" for name in il.__all__ if inspect.ismodule(getattr(il, name))),
    "implicitloss.samplers.sampler",  # what one builds samplers from
    "implicitloss.recipes",
    "implicitloss.recipes.numpy",  # those of other frameworks are alike
]


# Checks of arguments, and defaults for parts of one's own: they are for the library.
FOR_THE_LIBRARY = ("checked_", "complete_")


def public() -> dict[str, Any]:
    """Every public class and function, by the module and the name that users import."""
    found = {}
    for module in map(importlib.import_module, PUBLIC):
        for name in module.__all__:
            thing = getattr(module, name)
            if name.startswith(FOR_THE_LIBRARY):
                continue
            if (inspect.isclass(thing) or inspect.isfunction(thing)) and thing not in found.values():
                found[f"{module.__name__}.{name}"] = thing
    return found


THINGS = public()


@pytest.mark.parametrize("name", THINGS)
def test_public_names_are_documented(name: str) -> None:
    assert faults(THINGS[name]) == []


@pytest.mark.parametrize("name", [name for name, thing in THINGS.items() if inspect.isclass(thing)])
def test_public_methods_are_documented(name: str) -> None:
    found = {member: method_faults(THINGS[name], member, value) for member, value in methods(THINGS[name])}
    assert {member: said for member, said in found.items() if said} == {}


def right(a: int, *, b: int = 2, **options: int) -> int:
    """Add three numbers.

    Parameters
    ----------
    a, b : int
        Numbers.
    **options
        More of them.

    Returns
    -------
    int
        The sum.

    Examples
    --------
    >>> right(1)
    3
    """
    return a + b


@dataclasses.dataclass
class Right:
    """A number.

    Parameters
    ----------
    value : int
        The number.

    Examples
    --------
    >>> Right(3).value
    3
    """

    value: int
    made: int = dataclasses.field(default=0, init=False)

    @classmethod
    def zero(cls) -> Right:
        """Make a number.

        Returns
        -------
        Right
            The number 0.

        Examples
        --------
        >>> Right.zero().value
        0
        """
        return cls(0)

    def plus(self, other: int) -> int:
        """The sum of two numbers.

        Parameters
        ----------
        other : int
            A number.
        """
        return self.value + other


class Heir(Right):
    def plus(self, other: int) -> int:  # inherits the docstring
        return super().plus(other)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("Add three numbers.", "", "no docstring"),
        ("Add three numbers.", "Of three numbers.", "begins with a preposition"),
        ("Add three numbers.", "Add three numbers", "no full stop"),
        ("a, b : int", "a : int", "Parameters has ['a', '**options'], the signature ['a', 'b', '**options']"),
        ("a, b : int", "a, c : int", "Parameters has ['a', 'c', '**options'], the signature ['a', 'b', '**options']"),
        ("a, b : int", "b, a : int", "Parameters has ['b', 'a', '**options'], the signature ['a', 'b', '**options']"),
        ("    Numbers.\n", "", "Parameters has ['**options'], the signature ['a', 'b', '**options']"),
        ("Returns\n", "Gives\n", "no Returns"),
        (">>> right(1)", "right(1)", "no example"),
        ("Examples\n--------\n", "", "no example"),
    ],
)
def test_a_docstring_that_lacks_something_would_be_seen(
    old: str, new: str, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert faults(right) == []
    text = inspect.cleandoc(right.__doc__ or "")
    assert text.count(old) == 1
    monkeypatch.setattr(right, "__doc__", "" if fault == "no docstring" else text.replace(old, new))
    assert fault in faults(right)


def test_a_method_that_lacks_something_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    assert faults(Right) == []
    for owner in (Right, Heir):
        assert {name: method_faults(owner, name, member) for name, member in methods(owner)} == {"plus": [], "zero": []}
    for function, name, old, new, fault in (
        (Right.plus, "plus", "other : int", "number : int", "Parameters has ['number'], the signature ['other']"),
        (Right.plus, "plus", "The sum", "Of the sum", "begins with a preposition"),
        (vars(Right)["zero"].__func__, "zero", "Returns", "Gives", "no Returns"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(function, "__doc__", inspect.cleandoc(function.__doc__).replace(old, new))
            assert fault in method_faults(Right, name, vars(Right)[name])
    monkeypatch.setattr(Right.plus, "__doc__", None)
    assert method_faults(Right, "plus", Right.plus) == ["no docstring"]
    assert {"from_counts", "few", "log", "n_labels"} < set(dict(methods(il.LabelPrior)))
    assert "__call__" in dict(methods(il.Minibatch))
