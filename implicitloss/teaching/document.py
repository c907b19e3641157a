"""One self-contained HTML file; it loads nothing from the network."""

from __future__ import annotations

import base64
import hashlib
import re
from html import escape
from importlib.resources import files
from typing import Any

import numpy as np

from implicitloss.formats import as_json, math_script, plain
from implicitloss.labels import LabelPrior
from implicitloss.teaching.choices import PRESETS, SHOP
from implicitloss.teaching.derivations import derivations
from implicitloss.teaching.vectors import spectra, vectors
from implicitloss.version import __version__

__all__ = ["MOST_LABELS_ON_PAGE", "page"]

SCRIPTS = (
    "formulas.js",
    "views.js",
    "spectra.js",
    "course.js",
    "path.js",
    "beside.js",
    "training.js",
    "lesson.js",
    "projector.js",
    "selftest.js",
    "app.js",
)
# Optima are searched for in the browser, in milliseconds, for so many labels.
MOST_LABELS_ON_PAGE = 40


def page(prior: LabelPrior | None = None, name: str = "") -> str:
    """The HTML; with a `prior`, its labels (40 of them by rank, where there are more), called `name`."""
    shop = LabelPrior.from_counts(SHOP)
    data: dict[str, Any] = {
        "vectors": vectors(),
        "spectra": spectra(),
        "derivations": derivations(),
        "presets": [preset._asdict() for preset in PRESETS],
        "shop": {"prior": shop.probabilities.tolist(), "labels": list(SHOP), "sold": list(SHOP.values())},
        "counts": None,
    }
    if prior is not None:
        few = prior.few(MOST_LABELS_ON_PAGE)
        data["counts"] = {
            "name": name,
            "of": int(np.count_nonzero(prior.probabilities)),
            "prior": few.probabilities.tolist(),
            "labels": None if few.names is None else list(map(plain, few.names)),
        }
    script = "\n".join([math_script(), *map(_asset, SCRIPTS)])
    # The look of the charts goes with them when they are saved.
    style, look = _asset("style.css"), _asset("look.css")
    # No < may end the script that holds it.
    values = as_json(data, indent=None).replace("<", "\\u003c")
    policy = "; ".join(
        (
            "default-src 'none'",
            f"script-src '{_hash(script)}'",
            f"style-src '{_hash(style)}' '{_hash(look)}'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
    parts = {
        "policy": escape(policy),
        "style": style,
        "look": look,
        "version": escape(__version__),
        "data": values,
        "script": script,
    }
    # In one pass: what is filled in may hold braces of its own.
    return re.sub(r"\{\{(\w+)\}\}", lambda place: parts[place[1]], _asset("body.html"))


def _asset(name: str) -> str:
    return files("implicitloss.teaching").joinpath("page", name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
