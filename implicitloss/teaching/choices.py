"""The weightings that the page offers, from the library's examples."""

from __future__ import annotations

from implicitloss.arguments import as_word
from implicitloss.margins import Margin
from implicitloss.weightings import ForMargin, Weighting, examples

__all__ = ["OFFERED", "weightings_with"]

# By the words of the library's classes.  The page writes each formula out, so that it can be held against the library.
OFFERED = ("constant", "unit", "importance", "relative", "tail")


def weightings_with(tail: Margin) -> dict[str, Weighting]:
    """The offered weightings by name; tail weights have the margin `tail`, with a power τ that the reader sets."""
    known = {as_word(type(weighting)): weighting for weighting in examples()}
    return {name: known[name] for name in OFFERED} | {"tail": ForMargin(tail)}
