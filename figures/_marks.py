"""One colour and marker for each weighting and sampler, in every figure; and words that captions share."""

from __future__ import annotations

import os
from typing import Any

WEIGHTINGS = ("constant", "importance", "relative", "tail")
COLOR = {name: f"C{i}" for i, name in enumerate(WEIGHTINGS)} | {
    "softmax": "0.25",
    "cross-entropy": "0.25",
    "logit-adjusted": "C4",
    "equalised": "C5",
    "adaptive": "C6",
    "contrastive": "0.25",
}
MARKER = {"constant": "o", "importance": "s", "relative": "^", "tail": "D"} | {
    "softmax": "*",
    "cross-entropy": "*",
    "logit-adjusted": "P",
    "equalised": "X",
    "adaptive": "v",
    "contrastive": "*",
}
# Samplers differ in line and filling, so that a scheme can be told without colour.
LINE = {"uniform": "--", "within-batch": "-"}


def face(sampler: str, color: str) -> str:
    """Within-batch markers are filled."""
    return color if sampler == "within-batch" else "white"


def below(figure: Any, handles: Any, labels: Any, columns: int, **options: Any) -> None:
    """One legend under all panels."""
    figure.legend(handles, labels, fontsize=7, loc="outside lower center", ncols=columns, **options)


def one_of(table: Any, **where: Any) -> Any:
    """The rows with these values; *raises* ValueError where there are none."""
    for name, value in where.items():
        table = table[table[name] == value]
    if table.empty:
        raise ValueError(f"no row with {where}")
    return table


def prior_named(prior: str, rows: Any) -> str:
    """The name of a prior, of a file without folder and ending, and the number of its labels."""
    return f"{os.path.splitext(os.path.basename(prior))[0]}, {rows['labels'].iloc[0]:,} labels"
