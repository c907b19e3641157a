"""A scheme that was fitted to what an audit measured, and its name."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from implicitloss.auditing.slips import Page
from implicitloss.margins import complete_margin
from implicitloss.samplers.sampler import complete_sampler
from implicitloss.scheme import Scheme
from implicitloss.weightings import ForMargin, complete_weighting

__all__ = ["FITS_WITHIN", "M_OF_ALL_LABELS", "Fit", "Fitted", "name_of", "rounded"]

# The m of a loss that draws nothing: with this many draws the sampled loss equals its bound.
M_OF_ALL_LABELS = 10**9
# A scheme is named if its margins lie within this factor of those measured, in the mean and within the limits of each
# part.
FITS_WITHIN = 1.3
MODES = {"keep": "kept", "mask": "masked", "exclude": "excluded"}
# How many are drawn, under each design.
NUMBERS = {
    "iid": "m = {}", "distinct": "m = {} different labels", "set": "m = {} draws as a set",
    "bernoulli": "a coin for each label, m = {}",
}  # fmt: skip
# The sampler of which a parameter was fitted.
OF_FITTED = {"α": "sampling by π^α", "λ": "λ within-batch sampling + (1 - λ) uniform sampling"}


@dataclass(frozen=True)
class Fitted:
    """A parameter of a sampler that was fitted to the measured margins: its name, value and standard error."""

    parameter: str
    value: float
    error: float

    def __str__(self) -> str:
        return f"{self.parameter} = {rounded(self.value, self.error)} ± {self.error:.1g}"


@dataclass(frozen=True)
class Fit:
    """How well a scheme fits the measured margins.

    `distance` is √mean (log ratio)² over the parts, and the scheme `agrees` if its margins lie within all limits.
    `m_known` is False where the number of draws was not seen and the margins do not depend on it.  `misfit` is the sum
    of squared differences over their errors, and `worst` the largest factor between margins and the limits of a part.
    Where `draws_guessed`, other draws with other weights are as likely: the margins say nothing of them.
    """

    scheme: Scheme
    distance: float
    agrees: bool
    m_known: bool = True
    fitted: Fitted | None = None
    misfit: float = 0.0
    worst: float = 1.0
    draws_guessed: bool = False

    @property
    def name(self) -> str:
        """The name of the scheme, with what was fitted."""
        return name_of(self.scheme, self.m_known, self.fitted)

    @property
    def slip(self) -> Page | None:
        """The common slip that the scheme is, if its margins agree, and its draws are no guess."""
        return self._page if self.agrees and not self.draws_guessed else None

    @property
    def is_slip(self) -> bool:
        """Whether the scheme is a common slip, be it the one that was measured or not."""
        return self._page is not None

    @property
    def _page(self) -> Page | None:
        pages = (getattr(part, "page", None) for part in (self.scheme.weighting, self.scheme.sampler))
        return next((page for page in pages if isinstance(page, Page)), None)

    @property
    def is_near(self) -> bool:
        """Whether the margins lie within a factor of `FITS_WITHIN` of those measured."""
        return self.agrees or (self.distance <= np.log(FITS_WITHIN) and self.worst <= FITS_WITHIN)

    def __str__(self) -> str:
        return self.name if self.agrees else f"{self.name} (off by a factor of {np.exp(self.distance):.3g} in the mean)"


def rounded(value: float, error: float) -> str:
    """A number to as many digits as its error lets it have, and one more."""
    digits = 3 if not error > 0 else int(np.clip(1 - np.floor(np.log10(error)), 0, 6))
    return f"{value:.{digits}f}"


def name_of(scheme: Scheme, m_known: bool = True, fitted: Fitted | None = None) -> str:
    """The name of a scheme, for example "relative weights, within-batch sampling, m = 15, hits kept"."""
    weighting = scheme.weighting
    if scheme.m == M_OF_ALL_LABELS:
        target = weighting.target if isinstance(weighting, ForMargin) else None
        name = complete_weighting(weighting).name if target is None else complete_margin(target).name
        return f"{name} over all labels, none drawn"
    words = complete_weighting(weighting).name
    if scheme.draws != "iid" and getattr(weighting, "reads_inclusion", False):
        words = words.replace("1/(m q)", "1/P(drawn)")
    sampler = complete_sampler(scheme.sampler).name
    if fitted is not None:
        sampler = f"{OF_FITTED[fitted.parameter]}, fitted {fitted}"
    number = f"{NUMBERS[scheme.draws].format(scheme.m)}, " if m_known else ""
    said = f"{words}, {sampler}, {number}hits {MODES[scheme.hits]}"
    if scheme.hard is None:
        return said
    hard = scheme.hard
    return f"{said}, {hard.most} hard negatives of weight {hard.weight:g}, overlap {MODES[hard.overlap]}"
