"""The gallery: every figure with its finding, table and command, one static page beside the files it shows."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

_STYLE = """
:root{color-scheme:light dark}
body{margin:0 auto;padding:1rem clamp(.75rem,3vw,2rem) 4rem;max-width:62rem;font:1rem/1.5 system-ui,sans-serif}
h1{font-size:1.6rem;margin:.5rem 0}h2{font-size:1.15rem;margin:0 0 .5rem}nav ul{padding-left:1.2rem;columns:18rem}
figure{margin:0 0 2.5rem;padding-top:1.2rem;border-top:1px solid #8886}
img{display:block;width:100%;height:auto;background:#fff;border-radius:.3rem;padding:.4rem;box-sizing:border-box}
figcaption{margin:.6rem 0;max-width:80ch}.aside{font-size:.88rem;margin:.2rem 0;overflow-wrap:anywhere}
code{font-family:ui-monospace,monospace}
"""


@dataclass(frozen=True)
class Entry:
    """One figure of the gallery."""

    name: str
    title: str
    caption: str
    alt: str
    claims: tuple[str, ...]


def page(entries: Sequence[Entry], folder: Path) -> str:
    """HTML that opens from disk: pictures, tables and commands of `folder`."""
    links = "".join(f'<li><a href="#{e.name}">{escape(e.title)}</a></li>' for e in entries)
    figures = "\n".join(_figure(entry, folder) for entry in entries)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>implicitloss: figures</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>What negative-sampling schemes optimise, in figures</h1>
<nav><ul>{links}</ul></nav>
<main>
{figures}
</main>
</body>
</html>
"""


def _figure(entry: Entry, folder: Path) -> str:
    files = [f"{entry.name}.{end}" for end in ("svg", "pdf", "png", "csv", "json", "txt")]
    there = " · ".join(f'<a href="{name}">{name}</a>' for name in files if (folder / name).exists())
    claims = ", ".join(f"<code>{escape(claim)}</code>" for claim in entry.claims)
    supports = f'<p class="aside">Claims of <code>python -m paper_checks</code>: {claims}</p>' if claims else ""
    return f"""<figure id="{entry.name}">
<h2>{escape(entry.title)}</h2>
<img src="{entry.name}.svg" alt="{escape(entry.alt)}">
<figcaption>{escape(entry.caption)}</figcaption>
{supports}
<p class="aside"><code>{escape(_command(entry.name, folder))} &amp;&amp; python -m figures {entry.name}</code></p>
<p class="aside">{there}</p>
</figure>"""


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
