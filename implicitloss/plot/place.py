"""Where a scheme lies on the map of implicit losses: log p_yy' = const + b log π_y + c log π_y'."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from implicitloss.labels import Floats, LabelPrior, checked_prior
from implicitloss.later import later
from implicitloss.margins import Margin
from implicitloss.optima.tilt import tilt
from implicitloss.problem import Problem
from implicitloss.samplers import Uniform
from implicitloss.scheme import Scheme, checked_scheme
from implicitloss.theory.implicit import log_effective_margins
from implicitloss.weightings import ForMargin

if TYPE_CHECKING:
    import sympy as sp

    from implicitloss import symbols as s
else:
    sp = later("sympy")
    s = later("implicitloss.symbols")

__all__ = ["Location", "Powers", "effective", "ground", "place"]

# A place is fitted to the margins between so many labels, evenly by rank.
FITTED = 100


@dataclass(frozen=True)
class Location:
    """Where a scheme lies on the map: log p_yy' = const + b log π_y + c log π_y', by least squares.

    Parameters
    ----------
    const, b, c : float
        The coefficients.
    misfit : float
        The largest difference that is left of log p; 0 where the scheme lies on the map.

    Examples
    --------
    >>> import implicitloss as il
    >>> scheme = il.Scheme("within-batch", "constant", m=8, hits="mask")  # p_yy' = π_y'
    >>> found = il.plot.place(scheme, il.LabelPrior.zipf(50, 1.0))
    >>> abs(round(found.b, 9)), round(found.c, 9), found.misfit < 1e-9
    (0.0, 1.0, True)
    """

    const: float
    b: float
    c: float
    misfit: float


@dataclass(frozen=True)
class Powers(Margin):
    """p_yy' = π_y^b π_y'^c: any point of the map."""

    b: float
    c: float

    def log_margin(self, prior: LabelPrior, positive: int) -> Floats:
        """log p, (L,)."""
        return self.b * prior.log[positive] + self.c * prior.log

    def log_factors(self, prior: LabelPrior) -> tuple[Floats, Floats]:
        """The logarithms of both factors."""
        return self.b * prior.log, self.c * prior.log

    def margin(self, yp: sp.Expr) -> sp.Expr:
        """p in symbols."""
        return s.pi[s.y] ** sp.nsimplify(self.b) * s.pi[yp] ** sp.nsimplify(self.c)


def place(scheme: Scheme, prior: LabelPrior) -> Location:
    """Find where a scheme lies on the map of implicit losses, by its margins between up to 100 labels, evenly by rank.

    Parameters
    ----------
    scheme : Scheme
        A scheme that does not look at scores.
    prior : LabelPrior
        The label prior.

    Returns
    -------
    Location
        The coefficients of log p_yy' = const + b log π_y + c log π_y', and what is left.

    Raises
    ------
    ValueError
        Where labels are equally frequent, or fewer than three of them count, and for a scheme that looks at scores.

    References
    ----------
    Derived here, from Table 2 of Rawat et al. 2021.

    Examples
    --------
    >>> import implicitloss as il
    >>> scheme = il.Scheme("within-batch", "relative", m=8, hits="mask")  # p_yy' = m π_y
    >>> found = il.plot.place(scheme, il.LabelPrior.zipf(50, 1.0))
    >>> round(found.b, 6), abs(round(found.c, 6)), round(found.const, 6)  # log 8
    (1.0, 0.0, 2.079442)
    """
    checked_scheme(scheme)
    checked_prior(prior)
    seen = prior.by_frequency[prior.probabilities[prior.by_frequency] > 0]
    labels = seen[np.unique(np.linspace(0, seen.size - 1, min(seen.size, FITTED)).round().astype(np.intp))]
    log_p = np.array([effective(scheme, prior, int(y))[labels] for y in labels])
    np.fill_diagonal(log_p, -np.inf)
    y, other = np.nonzero(np.isfinite(log_p))
    level = prior.log[labels]
    design = np.stack([np.ones(y.size), level[y], level[other]], axis=1)
    if np.linalg.matrix_rank(design) < 3:
        raise ValueError("a place on the map needs at least three labels, which count and are not equally frequent")
    found = np.linalg.lstsq(design, log_p[y, other], rcond=None)[0]
    misfit = float(np.max(np.abs(design @ found - log_p[y, other])))
    const, b, c = (float(x) for x in found)
    return Location(const, b, c, misfit)


def effective(scheme: Scheme, prior: LabelPrior, positive: int) -> Floats:
    """log p_yy', (L,), as `il.implicit_margins` has them, of a scheme that does not look at scores.

    *Raises* ValueError for one that does: it has a place for each set of scores.
    """
    if scheme.sampler.needs_scores or scheme.hard is not None:
        raise ValueError(f"margins that depend on the scores have no one picture, got {scheme!s:.150}")
    return log_effective_margins(scheme, Problem(np.zeros(prior.n_labels), prior, positive))


def ground(prior: LabelPrior, b: float, c: float) -> float:
    """The tilt, by the bound, of the point (b, c) for const = 0."""
    return tilt(Scheme(Uniform(), ForMargin(Powers(b, c)), m=1, hits="mask"), prior, "implicit")
