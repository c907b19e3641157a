"""The page, put together: markup, style, scripts and test vectors in one file that asks nobody for anything."""

from __future__ import annotations

import base64
import hashlib
import json
from html import escape
from importlib.resources import files
from typing import Any

import numpy as np
import sympy as sp

from implicitloss import __version__, symbols
from implicitloss.labels import LabelPrior
from implicitloss.losses import SoftmaxCrossEntropy
from implicitloss.samplers import ModelBased, Power, Sampler, Uniform, WithinBatch
from implicitloss.scheme import HITS, Scheme
from implicitloss.teaching.vectors import WEIGHTINGS, vectors
from implicitloss.weightings import Constant, Importance, Relative, Tail, Unit, Weighting
from implicitloss.witness.derive import derive

SCRIPTS = ("formulas.js", "views.js", "course.js", "app.js")
# Optima are searched for in the browser, in milliseconds, for so many labels.
MOST_LABELS = 40

SAMPLERS: dict[str, Sampler] = {
    "uniform": Uniform(),
    "within-batch": WithinBatch(),
    "power": Power(),
    "model": ModelBased(),
}
CHOICES: dict[str, Weighting] = dict(
    zip(WEIGHTINGS, (Constant(), Unit(), Importance(), Relative(), Tail()), strict=True)
)


def page(prior: LabelPrior | None = None, name: str = "") -> str:
    """The HTML; with a `prior`, its labels (40 of them by rank, where there are more), called `name`."""
    data: dict[str, Any] = {"vectors": vectors(), "derivations": derivations(), "counts": None}
    if prior is not None:
        order = prior.by_frequency[prior.probabilities[prior.by_frequency] > 0]
        at = np.unique(np.linspace(0, order.size - 1, min(MOST_LABELS, order.size)).round().astype(int))
        picked = prior.probabilities[order[at]]
        data["counts"] = {
            "name": name,
            "of": int(order.size),
            "prior": (picked / picked.sum()).tolist(),
            "at": at.tolist(),
        }
    script = "\n".join(_asset(part) for part in SCRIPTS)
    # The look of the charts goes with them when they are saved.
    style, look = _asset("style.css"), _asset("look.css")
    # No < may end the script that holds it.
    values = json.dumps(data).replace("<", "\\u003c")
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
    return (
        _asset("body.html")
        .replace("{{policy}}", escape(policy))
        .replace("{{style}}", style)
        .replace("{{look}}", look)
        .replace("{{version}}", escape(__version__))
        .replace("{{data}}", values)
        .replace("{{script}}", script)
    )


def derivations() -> dict[str, dict[str, Any]]:
    """By "sampler weighting hits": the margins in MathML and LaTeX, their name, the steps."""
    found = {}
    for q, sampler in SAMPLERS.items():
        for w, weighting in CHOICES.items():
            for hits in HITS:
                derivation = derive(Scheme(sampler, weighting, m=8, hits=hits), SoftmaxCrossEntropy())
                found[f"{q} {w} {hits}"] = {
                    "mathml": sp.printing.mathml(derivation.margin, printer="presentation"),
                    "latex": sp.latex(derivation.margin),
                    "steps": [
                        f"{symbols.text(step.left)} {step.relation} {symbols.text(step.right)}  ({step.reason})"
                        for step in derivation.steps
                    ],
                }
    return found


def _asset(name: str) -> str:
    return files("implicitloss.teaching").joinpath("page", name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
