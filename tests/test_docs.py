"""The site: each public name is in the reference, each document is reached, and the tables' commands are there."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import fuzz
import pytest

DOCS = Path(__file__).parent.parent / "docs"


@pytest.fixture(scope="module")
def conf() -> dict[str, Any]:
    return runpy.run_path(str(DOCS / "conf.py"))


def test_the_reference_has_every_public_name(conf: dict[str, Any]) -> None:
    listed = {
        name if page == "implicitloss" else f"{page}.{name}" for page in conf["PAGES"] for name in conf["public"](page)
    }
    assert fuzz.public() <= listed
    pages = conf["reference"]()
    for page in conf["PAGES"]:
        for name in conf["public"](page):
            assert f"## {name}\n" in pages[f"il-{page}.md"]
        assert f"il-{page}.md" in pages["index.md"]


def test_every_document_is_reached() -> None:
    """From a table of contents in the index, or from one of another document."""
    index = (DOCS / "index.md").read_text(encoding="utf-8").split()
    for document in DOCS.glob("*.md"):
        assert document.stem in (*index, "index"), document.name


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("f* = log η", "f\\* = log η"), ("χ²(q*‖q) and |x|", "χ²(q\\*‖q) and \\|x\\|"),
        ("w_yy' of a_ and b", "w_yy' of a\\_ and b"),
        ("**look", "**look"), ("`f*` is", "`f*` is"),
    ],
)  # fmt: skip
def test_formulas_in_prose_are_no_markup(text: str, shown: str, conf: dict[str, Any]) -> None:
    lines = [text, ">>> 2 * 3", "    a * b"]
    conf["plain"](None, "", "", None, None, lines)
    assert lines[0] == shown
    assert lines[1] == ">>> 2 * 3"
