"""The page, and browsers to open it in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Browser

from implicitloss.cli.main import main


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("teach") / "page.html"
    assert main(["teach", "--out", str(path)]) == 0
    return path


@pytest.fixture(scope="module", params=["chrome", "firefox"])
def browser(request: pytest.FixtureRequest) -> Iterator[Browser]:
    """Its tests are marked so: they are asked for by name, and fail where a browser is missing."""
    here = Browser(request.param)
    yield here
    here.close()
