"""An HTML report in a browser: its filter, and its formulas."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from browser import Browser

from paper_checks.__main__ import main

SHOWN = "[...document.querySelectorAll('details')].filter(one => one.offsetParent !== null).map(one => one.id)"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    assert main(["rawat2021.table2", "design.draws", "--html", str(path)]) == 0
    return path


def choose(browser: Browser, name: str, value: str) -> list[str]:
    """The ids that are shown after a field of the filter was changed."""
    browser.run(
        f"(field => {{ field.value = {value!r}; field.dispatchEvent(new Event('input', {{ bubbles: true }})) }})"
        f"(document.getElementById('filter-{name}'))"
    )
    found: list[str] = browser.run(SHOWN)
    return found


def test_every_formula_of_sympy_is_set(tmp_path: Path, browser: Browser) -> None:
    """Of all claims: none is left as text."""
    path = tmp_path / "all.html"
    assert main(["--html", str(path)]) == 0
    asked = path.read_text(encoding="utf-8").count(" data-latex=")
    assert asked > 250
    browser.open(path)
    assert browser.run("[...document.querySelectorAll('[data-latex]')].map(one => one.dataset.latex)") == []
    assert browser.run("document.querySelectorAll('dd > math').length") == asked
    assert "not known" in browser.run(
        "(() => { try { mathOf('\\\\nothing') } catch (error) { return error.message } })()"
    )


def test_claims_are_filtered(report: Path, browser: Browser) -> None:
    """What is shown is what has the text, the paper and the outcome."""
    browser.open(report)
    page = report.read_text(encoding="utf-8")
    every = re.findall(r'<details id="([^"]+)"', page)
    assert browser.run(SHOWN) == every
    assert browser.run("document.querySelector('.filter').hidden") is False
    tail = choose(browser, "text", "TAIL")
    assert 0 < len(tail) < len(every)
    assert choose(browser, "text", "") == every
    sections = dict(re.findall(r'<section id="([^"]+)"><h2>(\S+)', page))
    chosen = next(id for id, name in sections.items() if name == "design")
    assert choose(browser, "paper", chosen) == [one for one in every if one.startswith("design.")]
    assert browser.run("document.querySelectorAll('section:not([hidden])').length") == 1
    assert choose(browser, "outcome", "proved") == []
    assert browser.run("document.getElementById('filter-found').textContent") == f"0 of {len(every)} claims"
    choose(browser, "paper", "")
    outcomes = dict(re.findall(r'<details id="([^"]+)"[^>]* data-outcome="([^"]+)"', page))
    assert choose(browser, "outcome", "exact") == [one for one in every if outcomes[one] == "exact"]
