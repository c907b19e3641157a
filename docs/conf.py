"""The documentation site: `python -m sphinx -W docs site` builds it, from the documents and the docstrings."""

from __future__ import annotations

import importlib
import inspect
import re
import types
from pathlib import Path
from typing import Any

import implicitloss as il
from implicitloss.version import __version__

project, author, release = "implicitloss", "the authors of implicitloss", __version__
copyright = author
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.intersphinx"]
intersphinx_mapping: dict[str, Any] = {}  # pages must be built, and read, without a network
html_theme, html_title = "furo", f"implicitloss {__version__}"
html_static_path: list[str] = []
html_show_sourcelink = html_copy_source = False
exclude_patterns = ["notebooks"]
default_role = "code"
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
suppress_warnings = ["myst.header"]
autodoc_typehints = "none"
autodoc_class_signature = "mixed"
napoleon_use_rtype = False

ROOT = Path(__file__).parent
# What each page of the reference is about, by the namespace whose names it has.
PAGES = {
    "implicitloss": "Schemes, numbers, claims, audits, designs",
    "samplers": "Samplers: how negatives are drawn",
    "weightings": "Weights on negatives",
    "margins": "Margins: the losses that weights aim at",
    "losses": "Losses",
    "scorers": "Scorers: made-up scores",
    "index": "Indexes of labels",
    "plot": "Plots",
    "adapters": "Adapters for losses of other frameworks",
    "testing": "Checks for parts of your own",
    "spectral": "Spectral imbalance",
}


def public(page: str) -> list[str]:
    """The public names of a page, in the order of the alphabet: those of a namespace, or of the package itself."""
    space = il if page == "implicitloss" else getattr(il, page)
    return sorted(
        (name for name in space.__all__ if not isinstance(getattr(space, name), types.ModuleType) and name[0] != "_"),
        key=str.lower,
    )


def reference() -> dict[str, str]:
    """The pages of the reference by file name: a section for each public name, from its docstring."""
    pages: dict[str, str] = {}
    seen: list[Any] = []
    for page, title in PAGES.items():
        space = "implicitloss" if page == "implicitloss" else f"implicitloss.{page}"
        found = [f"# {title}\n\n`{'il' if page == 'implicitloss' else 'il.' + page}`\n"]
        for name in public(page):
            value = getattr(importlib.import_module(space), name)
            kind = "autoclass" if inspect.isclass(value) else "autofunction" if callable(value) else "autodata"
            members = "\n   :members:" if kind == "autoclass" else ""
            if value in seen:  # a name of the package and of a part of it
                members += "\n   :no-index:"
            seen.append(value)
            found.append(f"## {name}\n\n```{{eval-rst}}\n.. {kind}:: {space}.{name}{members}\n```\n")
        pages[f"il-{page}.md"] = "\n".join(found)
    listed = "\n".join(pages)
    head = "# Reference\n\nEvery public name, with formula, shapes, errors and an example.\n\n"
    return pages | {"index.md": f"{head}```{{toctree}}\n{listed}\n```\n"}


def plain(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Docstrings are prose with formulas, in which a star or a bar is no markup; only what is in backticks is code."""
    code = False
    for i, line in enumerate(lines):
        code = line.startswith("::") or (code and (not line.strip() or line.startswith(" ")))
        if line.lstrip().startswith((">>>", "...", ".. ", ":", "|")) or code:
            continue
        parts = re.split(r"(`[^`]*`)", line)
        lines[i] = "".join(part if part.startswith("`") else _escaped(part) for part in parts)


def _escaped(text: str) -> str:
    return re.sub(r"(?<=\w)_(?=\W|$)|(?<![*\\])\*(?!\*)|\|", lambda found: "\\" + found[0], text)


# What README links to in the repository, and where it is on the site.
ON_SITE = {
    "](CITATION.cff)": "](docs/citing.md)",
    "](implicitloss/samplers/power.py)": "](docs/reference/il-samplers.md)",
}


def on_site(app: Any, relative: Path, parent: str, content: list[str]) -> None:
    """README, as it is included, with links to pages of the site."""
    for link, page in ON_SITE.items():
        content[0] = content[0].replace(link, page)


def setup(app: Any) -> None:
    """Write the reference before the documents are read."""
    (ROOT / "reference").mkdir(exist_ok=True)
    for file, text in reference().items():
        path = ROOT / "reference" / file
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
    app.connect("autodoc-process-docstring", plain, priority=400)
    app.connect("include-read", on_site)
