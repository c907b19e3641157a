"""Schemes with the names by which tables and plots call them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from implicitloss.arguments import checked_list, shown
from implicitloss.scheme import Scheme, checked_scheme

__all__ = ["named"]


def named(schemes: Any) -> dict[str, Scheme]:
    """The schemes by name: the keys of a dict, or how they print; equal ones are numbered.

    *Raises* ValueError for none, for anything that is no scheme, and for names that are the same.
    """
    if isinstance(schemes, Scheme):
        schemes = [schemes]
    if isinstance(schemes, Mapping):
        found = {str(name): scheme for name, scheme in schemes.items()}
        if len(found) < len(schemes):
            raise ValueError(f"the names of schemes must differ, got {shown(list(schemes))}")
    else:
        given = checked_list(schemes, "schemes")
        texts = [str(scheme) for scheme in given]
        found = {
            text if texts.count(text) == 1 else f"{text} ({texts[:i].count(text) + 1})": scheme
            for i, (text, scheme) in enumerate(zip(texts, given, strict=True))
        }
    if not found:
        raise ValueError("schemes must be at least one, got none")
    for scheme in found.values():
        checked_scheme(scheme, "each of the schemes")
    return found
