"""A table in Markdown, for the documentation: what a study's `summary` prints."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Head and lines, the first column to the left."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, rule, *lines))


def mean_and_error(values: Sequence[float], percent: bool = True) -> str:
    """The mean, and its standard error where there are several."""
    scale, digits = (100, 1) if percent else (1, 3)
    mean = f"{scale * float(np.mean(values)):.{digits}f}"
    if len(values) < 2:
        return mean
    return f"{mean} ± {scale * float(np.std(values, ddof=1)) / len(values) ** 0.5:.{digits}f}"
