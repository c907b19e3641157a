"""The page, and a browser to open it in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from chromium import Chromium, binary

from implicitloss.cli.main import main


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("teach") / "page.html"
    assert main(["teach", "--out", str(path)]) == 0
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    """Its tests are marked so: they are asked for by name, and without a Chromium they fail."""
    found = binary()
    assert found is not None, "there is no Chromium to open the page in"
    here = Chromium(found)
    yield here
    here.close()
