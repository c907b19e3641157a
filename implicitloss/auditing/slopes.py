"""Slopes of the measured margins on label frequency, for losses whose margins no known scheme has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from implicitloss.auditing.comparison import Comparison
from implicitloss.auditing.fit import rounded
from implicitloss.auditing.parts import LEAST_RELATIVE_ERROR, Parts
from implicitloss.labels import LabelPrior

__all__ = ["Slope", "Slopes", "slopes"]

# Rounds of Gauss-Newton, each of which makes the error far smaller than the one before.
ROUNDS = 20
# Margins are no powers of π where a part is further from the fit than this factor, and so many of its errors.
FITS_WITHIN, BEYOND_ERRORS = 1.3, 3.0


@dataclass(frozen=True)
class Slope:
    """A fitted number and its standard error."""

    value: float
    error: float

    def __str__(self) -> str:
        return f"{rounded(self.value, self.error)} ± {self.error:.2g}"


@dataclass(frozen=True)
class Slopes:
    """The fit log p_yy' = a + b log π_y' + c log π_y to the measured parts, with standard errors.

    Errors are larger where the parts lie off the fit.  `c` is None for a single positive.  Softmax over all labels has
    b = c = 0; an equalised loss b = 1, c = 0; the logit-adjusted loss b = 1, c = -1; relative weights b = 0, c = 1.
    The parts are off from the fit by at most the factor `off`, beyond their own errors.
    """

    a: Slope
    b: Slope
    c: Slope | None
    off: float = 1.0

    @property
    def fits(self) -> bool:
        """Whether all parts lie near the fit."""
        return self.off <= FITS_WITHIN

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        found: dict[str, Any] = {
            name: None if slope is None else {"value": slope.value, "error": slope.error}
            for name, slope in (("a", self.a), ("b", self.b), ("c", self.c))
        }
        return {**found, "off": self.off}

    def __str__(self) -> str:
        c = "" if self.c is None else f", c = {self.c}"
        said = f"log p = a + b log π_y' + c log π_y with a = {self.a}, b = {self.b}{c}"
        return said if self.fits else f"{said}, and yet parts are off by up to ×{self.off:.3g}: no powers of π"


def slopes(prior: LabelPrior, comparisons: Sequence[Comparison]) -> Slopes | None:
    """Fit the slopes by weighted least squares on the logarithms of the parts' margins; None for too few parts.

    A part's margins are fitted as Σ e^{a + b log π_y' + c log π_y} over its labels.
    """
    parts = [c for c in Parts.of(comparisons).apart if np.all(prior.probabilities[c.labels] > 0)]
    positives = dict.fromkeys(c.positive for c in parts)
    own = np.array([prior.log[c.positive] for c in parts])
    has_c = len(positives) > 1 and bool(np.ptp(own) > 0)
    if len(parts) < 3 + has_c or not np.ptp([prior.log[c.labels].mean() for c in parts]) > 0:
        return None
    measured = np.log([c.measured for c in parts])
    errors = np.array([max(c.spread / c.measured, LEAST_RELATIVE_ERROR) for c in parts])
    found = np.zeros(3 if has_c else 2)
    for _ in range(ROUNDS):
        shares = [np.exp(found[1] * (prior.log[c.labels] - prior.log[c.labels].max())) for c in parts]
        logs = np.array([
            np.log(share.sum()) + found[1] * prior.log[c.labels].max() for share, c in zip(shares, parts, strict=True)
        ])  # fmt: skip
        means = np.array([share @ prior.log[c.labels] / share.sum() for share, c in zip(shares, parts, strict=True)])
        columns = np.column_stack([np.ones(len(parts)), means, *([own] if has_c else [])]) / errors[:, None]
        residual = (measured - logs - found[0] - (found[2] * own if has_c else 0.0)) / errors
        found = found + np.linalg.lstsq(columns, residual, rcond=None)[0]
    spare = max(len(parts) - found.size, 1)
    scale = max(1.0, float(residual @ residual) / spare)
    error = np.sqrt(scale * np.diag(np.linalg.pinv(columns.T @ columns)))
    each = [Slope(float(value), float(e)) for value, e in zip(found, error, strict=True)]
    off = float(np.exp(np.max(np.maximum(np.abs(residual) - BEYOND_ERRORS, 0.0) * errors)))
    return Slopes(each[0], each[1], each[2] if has_c else None, off)
