"""A browser to open pages in: Chromium or Firefox, driven by puppeteer-core."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
NAMES = {
    "chrome": ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"),
    "firefox": ("firefox", "firefox-esr"),
}


class Browser:
    """One page of a headless browser; `kind` is "chrome" or "firefox"."""

    def __init__(self, kind: str) -> None:
        path = next((found for name in NAMES[kind] if (found := shutil.which(name))), None)
        assert path is not None, f"there is no {kind} to open the page in"
        assert (HERE / "node_modules").is_dir(), "puppeteer-core is not here: npm install --prefix tests/teaching"
        self.kind = kind
        command = ["node", str(HERE / "browser.mjs"), kind, path]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def _ask(self, do: str, **more: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": do, **more}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the browser is gone")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["value"]

    def _needs_chromium(self, what: str) -> None:
        if self.kind != "chrome":
            pytest.skip(f"WebDriver BiDi cannot ask {self.kind} for pages that are {what}")

    def open(self, path: Path, fragment: str = "") -> None:
        """Load a page from disk, and wait for it."""
        self._ask("open", url=path.as_uri() + fragment)

    def follow(self, fragment: str) -> None:
        """Go to another fragment of the page that is open, without loading it anew, and wait for its answer."""
        self.run(
            f"(() => {{ location.hash = {fragment!r}; "
            "return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done()))); })()"
        )

    def run(self, expression: str) -> Any:
        """A value of the page; *raises* RuntimeError for what it throws."""
        return self._ask("run", expression=expression)

    def press(self, key: str) -> None:
        """A key of the keyboard: Tab, Enter, ArrowRight, Space."""
        self._ask("press", key=key)

    def front(self) -> None:
        """Bring the page to the front, where keys go to it."""
        self._ask("front")

    def media(self, kind: str | None) -> None:
        """Show the page as on this medium: "print", or None for the screen (Chromium alone)."""
        self._needs_chromium("print")
        self._ask("media", type=kind)

    def look(self, width: int, height: int, dark: bool = False) -> bytes:
        """A screenshot, PNG; dark in Chromium alone."""
        if dark:
            self._needs_chromium("dark")
        return base64.b64decode(self._ask("look", width=width, height=height, dark=dark))

    def complaints(self) -> list[str]:
        """Errors and warnings of the console, and exceptions."""
        return list(self._ask("heard")["complaints"])

    def requests(self) -> list[str]:
        """Addresses that the page asked for."""
        return list(self._ask("heard")["requests"])

    def answers(self) -> list[str]:
        """Addresses that answered it."""
        return list(self._ask("heard")["answers"])

    def faults(self) -> list[dict[str, Any]]:
        """What axe-core finds wrong for those who use a keyboard or a screen reader."""
        return list(self._ask("axe"))

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)
        self._process.stdout.close()


def put(browser: Browser, control: str, value: str) -> None:
    """Set a control as a reader does, and wait for the answer."""
    browser.run(
        f"(() => {{ const c = document.getElementById({control!r}); c.value = {value!r};"
        "c.dispatchEvent(new Event('input', {bubbles: true})); "
        # The page answers once a frame.
        "return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done()))); })()"
    )


def said(browser: Browser, element: str) -> str:
    """The text of an element."""
    return str(browser.run(f"document.getElementById({element!r}).textContent"))
