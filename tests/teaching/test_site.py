"""The site of the documents in a browser, from disk: its search, and what axe-core finds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from browser import Browser

HERE = Path(__file__).parent
DOCS = HERE.parent.parent / "docs"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("sphinx")
    path = tmp_path_factory.mktemp("site")
    subprocess.run([sys.executable, "-m", "sphinx", "-q", "-W", str(DOCS), str(path)], check=True)
    return path


@pytest.mark.parametrize(
    ("words", "page"),
    [
        ("importance", "il-weightings.html"),
        ("clusters", "hard-negatives.html"),
        ("audit", "check-my-loss.html"),
        ("parquet", "label-files.html"),
    ],
)
def test_search_works_from_disk(site: Path, browser: Browser, words: str, page: str) -> None:
    browser.open(site / "search.html", f"?q={words}")
    links = browser.run(
        "new Promise((done, fail) => { const end = Date.now() + 20000; const look = () => {"
        "const found = [...document.querySelectorAll('#search-results li a')].map(one => one.getAttribute('href'));"
        "const said = document.querySelector('.search-summary')?.textContent ?? '';"
        "if (/finished|did not match/.test(said)) done(found);"
        "else if (Date.now() > end) fail(new Error('no result: ' + said)); else setTimeout(look, 50) }; look() })"
    )
    assert any(page in link for link in links), links


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("page", ["index", "check-my-loss", "method", "reference/il-weightings"])
def test_pages_have_no_serious_fault_and_ask_for_nothing(site: Path, browser: Browser, page: str, width: int) -> None:
    """By keyboard and by screen reader (axe-core); everything comes from the folder."""
    browser.look(width, 860)
    browser.open(site / f"{page}.html")
    assert [fault for fault in browser.faults() if fault["impact"] in ("serious", "critical")] == []
    assert [address for address in browser.requests() if not address.startswith(("file:", "data:", "blob:"))] == []
