"""The gallery: every figure with its finding, table and command, one static page beside the files it shows."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Entry:
    """One figure of the gallery."""

    name: str
    title: str
    caption: str
    alt: str
    claims: tuple[str, ...]


def page(entries: Sequence[Entry], folder: Path) -> str:
    """HTML that opens from disk: pictures, tables and commands of `folder`, in the template `gallery.html.jinja`."""
    from jinja2 import Environment, FileSystemLoader

    def files(name: str) -> list[str]:
        found = [f"{name}.{end}" for end in ("svg", "pdf", "png", "csv", "json", "txt")]
        return [file for file in found if (folder / file).exists()]

    pages = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True)
    template = pages.get_template("gallery.html.jinja")
    return template.render(entries=entries, files=files, command=lambda name: _command(name, folder)) + "\n"


def _command(name: str, folder: Path) -> str:
    """How its table was made, as the table's provenance has it."""
    try:
        document = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        return str(document["provenance"]["command"])
    except (OSError, ValueError, KeyError, TypeError):
        return f"python -m analysis {name}"


def as_text(entry: Entry) -> str:
    """The caption, the alternative text and the claims, for a file beside the figure."""
    parts = [entry.title, entry.caption, f"Alt text: {entry.alt}"]
    if entry.claims:
        parts.append(f"Claims: {', '.join(entry.claims)}")
    return "\n\n".join(textwrap.fill(part, 110) for part in parts) + "\n"
