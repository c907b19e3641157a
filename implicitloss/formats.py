"""Text and values as each output format needs them.

Names of labels, of files and of losses come from outside and may hold anything: escape sequences, markup, line breaks.
Each format has one function here that makes them text and nothing else.  JSON is always valid.
"""

from __future__ import annotations

import difflib
import html as markup
import json
import math
import re
from collections.abc import Iterable, Mapping
from importlib.resources import files
from typing import Any

__all__ = [
    "as_json",
    "code",
    "cut",
    "figure",
    "html",
    "markdown",
    "math_script",
    "nearest_name",
    "plain",
    "printable",
    "sentence",
    "unknown",
]

# Not printable by themselves, but parts of words and of emoji.
_JOINERS = "\u200c\u200d"


def printable(text: object) -> str:
    """`text` without the control characters that would steer a terminal or break XML."""
    return "".join(
        c if c.isprintable() or c in _JOINERS else " " if c.isspace() else "\N{REPLACEMENT CHARACTER}"
        for c in str(text)
    )


def plain(text: object) -> str:
    """Printable text on one line, stripped: for terminals and for XML (whose writer escapes markup)."""
    return " ".join(printable(text).split())


def cut(text: str, limit: int) -> str:
    """The text, cut to at most `limit` characters."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def sentence(text: object, limit: int = 300) -> str:
    """An error or a note on one line of at most `limit` characters: the middle of a long one is left out."""
    said = plain(text)
    end = limit // 3
    return said if len(said) <= limit else f"{said[: limit - end - 5].rstrip()} ... {said[-end:].lstrip()}"


def nearest_name(name: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The known name that is most like `name`, whatever its case; None if none is alike."""
    cases = {one.lower(): one for one in known}
    found = difflib.get_close_matches(name[:200].lower(), cases, n=1, cutoff=cutoff)
    return cases[found[0]] if found else None


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """The error about a name that nobody has: it tells the nearest of the known names, or else all of them."""
    names = list(known)
    nearest = nearest_name(name, names)
    hint = f"known are {', '.join(names)}" if nearest is None else f"did you mean {nearest!r}?"
    return f"unknown {what} {name!r}; {hint}" if name else f"the {what} needs a name; {hint}"


def html(text: object) -> str:
    """Text escaped for HTML, in text and in attributes."""
    return markup.escape(plain(text))


def markdown(text: object) -> str:
    """Text escaped for GitHub-flavoured Markdown, in a paragraph, list or table cell: no markup, links or HTML."""
    said = markup.escape(plain(text), quote=False)
    # An underscore within a word is only that.
    said = re.sub(r"[\\`*\[\]|~$]|(?<![^\W_])_|_(?![^\W_])", r"\\\g<0>", said)
    # Addresses become links by themselves; a block can start with these.
    said = re.sub(r"(?i)(?<=\w):(?=//)|(?<=www)\.", r"\\\g<0>", said).replace("@", "@<!-- -->")
    return re.sub(r"^(\d*)([#+=.)-])", r"\1\\\2", said)


def code(text: object) -> str:
    """Markdown's code; a table takes a pipe for its own even there, and a backslash before it for the pipe's."""
    said = plain(text)
    if not said or "|" in said or "\\" in said:
        return f"<code>{markdown(said)}</code>" if said else ""
    fence = "`" * (max((len(run) for run in re.findall("`+", said)), default=0) + 1)
    pad = " " if "`" in said else ""
    return f"{fence}{pad}{said}{pad}{fence}"


def figure(text: object) -> str:
    """Text escaped for Matplotlib, where dollars enclose formulas."""
    return plain(text).replace("$", r"\$")


def as_json(values: Any, indent: int | None = 2) -> str:
    """Strict JSON in ASCII, which every encoding and terminal takes; a number that is not finite becomes null."""
    return json.dumps(_strict(values), indent=indent, allow_nan=False)


def _strict(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        # Undecodable bytes of a command line are lone surrogates, which no Unicode text may hold.
        return value.encode(errors="replace").decode()
    if isinstance(value, Mapping):
        return {_strict(name): _strict(part) for name, part in value.items()}
    return [_strict(part) for part in value] if isinstance(value, (list, tuple)) else value


def math_script() -> str:
    """JavaScript with `mathOf(latex, display)`: MathML of what `symbols.latex` prints; it throws for anything else."""
    return files("implicitloss").joinpath("symbols", "math.js").read_text(encoding="utf-8")
