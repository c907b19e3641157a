"""The numbers of a column of counts, checked: whole, not negative, and not written in a way that can be misread."""

from __future__ import annotations

import math
import re

import numpy as np
from numpy.typing import NDArray

from implicitloss.arguments import shown
from implicitloss.counts.table import Column, Table

__all__ = ["counts_of"]

# 12.000 is twelve here and twelve thousand there.
THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(?:([.,'’ \u00a0\u202f])\d{3})(?:\1\d{3})*(?:[.,]\d+)?")
# How far shares may be from 1, or from 100.
SHARES_SUM_WITHIN = 0.01


def counts_of(table: Table, counts: Column) -> NDArray[np.float64]:
    """The counts of a column, (rows,).  *Raises* ValueError, naming the place, for what is no count."""
    if counts.numbers is not None and counts.numbers.dtype.kind in "iu":
        found = counts.numbers.astype(np.float64)
        if found.size and found.min() < 0:
            i = int(found.argmin())
            raise ValueError(f"{table.where(i)}: the count must be a whole number >= 0, got {counts.numbers[i]}")
        return found
    texts = counts.texts
    numbers = [_number(table, i, text) for i, text in enumerate(texts)]
    _check_shares(table, numbers)
    for i, number in enumerate(numbers):
        if not (math.isfinite(number) and number >= 0 and number == int(number)):
            raise ValueError(f"{table.where(i)}: the count must be a whole number >= 0, got {texts[i]:.60}")
    return np.array(numbers)


def _number(table: Table, i: int, text: str) -> float:
    text = text.strip()
    if THOUSANDS.fullmatch(text):
        digits = re.sub(r"\D", "", text)
        raise ValueError(
            f"{table.where(i)}: {shown(text)} has a separator of thousands or of decimals; write {digits}, or the "
            "number without the zeros if that is a decimal point"
        )
    if text.endswith("%"):
        raise ValueError(f"{table.where(i)}: {shown(text)} is a share, and counts are needed")
    try:
        # float() reads 1_000; a file of another program means something else by it.
        return float(text.replace("_", "?"))
    except ValueError:
        way = "" if text else "; write 0, or delete the line"
        raise ValueError(f"{table.where(i)}: the count must be a number, got {shown(text)}{way}") from None


def _check_shares(table: Table, numbers: list[float]) -> None:
    """*Raises* ValueError for numbers that sum to 1 or 100 and are not whole."""
    if len(numbers) < 2 or not all(math.isfinite(x) and x >= 0 for x in numbers) or all(x == int(x) for x in numbers):
        return
    total = math.fsum(numbers)
    if any(abs(total / whole - 1) < SHARES_SUM_WITHIN for whole in (1, 100)):
        raise ValueError(
            f"{table.name} has shares, which sum to {total:.4g}, and counts are needed; for shares use "
            "LabelPrior.from_probabilities"
        )
