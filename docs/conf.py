"""The documentation site: `python -m sphinx -W docs site` builds it, from the documents and the docstrings."""

from __future__ import annotations

import contextlib
import doctest
import importlib
import inspect
import io
import re
import types
import warnings
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
            picture = f"![What the example draws.](plots/{name}.png)\n" if page == "plot" and example(name) else ""
            found.append(f"## {name}\n\n{picture}\n```{{eval-rst}}\n.. {kind}:: {space}.{name}{members}\n```\n")
        pages[f"il-{page}.md"] = "\n".join(found)
    pages["gallery.md"] = gallery()
    listed = "\n".join(pages)
    head = "# Reference\n\nEvery public name, with formula, shapes, errors and an example.\n\n"
    return pages | {"index.md": f"{head}```{{toctree}}\n{listed}\n```\n"}


def example(name: str) -> str:
    """The example of a plot, from its docstring; "" for what draws nothing."""
    code = "".join(
        one.source for one in doctest.DocTestParser().get_examples(inspect.getdoc(getattr(il.plot, name)) or "")
    )
    return code if "ax = " in code else ""


def gallery() -> str:
    """A page with what each plot draws in its example."""
    found = ["# Gallery\n\nWhat the functions of `il.plot` draw in their examples.\n"]
    for name in filter(example, public("plot")):
        said = (inspect.getdoc(getattr(il.plot, name)) or "").split("\n\n")[0].replace("\n", " ")
        found.append(f"## il.plot.{name}\n\n{_escaped(said)}\n\n[![{name}](plots/{name}.png)](il-plot.md#{name})\n")
        found.append(f"```python\n{example(name)}```\n")
    return "\n".join(found)


def draw_examples(folder: Path) -> None:
    """A picture of each example, unless there is one that is younger than what drew it."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    folder.mkdir(parents=True, exist_ok=True)
    youngest = max(path.stat().st_mtime for path in (ROOT.parent / "implicitloss" / "plot").glob("*.py"))
    for name in filter(example, public("plot")):
        path = folder / f"{name}.png"
        if path.exists() and path.stat().st_mtime > youngest:
            continue
        space: dict[str, Any] = {}
        with (
            plt.style.context(il.plot.style("single")), warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
        ):  # fmt: skip
            warnings.simplefilter("error")
            exec(example(name), space)
            space["ax"].get_figure().savefig(path, dpi=160, metadata={"Software": None})
        plt.close("all")


def slips() -> dict[str, str]:
    """A page for each slip that an audit names, by the name of its section in docs/slips.md."""
    found = {}
    for section in (ROOT / "slips.md").read_text(encoding="utf-8").split("\n## ")[1:]:
        title = section.split("\n")[0]
        slug = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        assert slug not in found, slug
        found[slug] = f"# {section}\n\n[All slips](../slips.md)\n"
    return found


def with_slips(app: Any, page: str, source: list[str]) -> None:
    """On the site a slip has a page of its own, which others link to."""
    for slug in slips():
        source[0] = source[0].replace(f"](slips.md#{slug})", f"](reference/slip-{slug}.md)")
    if page == "slips":
        listed = "\n".join(f"reference/slip-{slug}" for slug in slips())
        source[0] = source[0].split("\n## ")[0] + f"\n\n```{{toctree}}\n{listed}\n```\n"


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


# What the theme leaves out for those who use a keyboard or a screen reader: what scrolls can be reached, and headings
# have a level.
REACHED = {
    "<pre>": '<pre tabindex="0">',
    '<div class="table-wrapper': '<div tabindex="0" class="table-wrapper',
    '<p class="caption" role="heading">': '<p class="caption" role="heading" aria-level="2">',
}


def reached(app: Any, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Mend the text and the navigation of a page, after the theme has made them."""
    for part in {"body", "furo_navigation_tree"} & context.keys():
        for made, wanted in REACHED.items():
            context[part] = context[part].replace(made, wanted)


def setup(app: Any) -> None:
    """Write the reference before the documents are read."""
    (ROOT / "reference").mkdir(exist_ok=True)
    draw_examples(ROOT / "reference" / "plots")
    pages = reference() | {f"slip-{slug}.md": text for slug, text in slips().items()}
    for stale in {path.name for path in (ROOT / "reference").glob("*.md")} - set(pages):
        (ROOT / "reference" / stale).unlink()
    for file, text in pages.items():
        path = ROOT / "reference" / file
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
    app.connect("autodoc-process-docstring", plain, priority=400)
    app.connect("include-read", on_site)
    app.connect("source-read", with_slips)
    app.connect("html-page-context", reached, priority=900)
