"""Weights w_yy' on sampled negatives (Rawat et al. 2021, Table 1, Eqs. 15 and 16).

A weighting sees the law of the draws (`log_q`, the conditional law when hits are excluded) and the sampler's
unconditional law (`log_q_unconditional`); which of them it divides by is part of its definition.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from implicitloss import margins
from implicitloss import symbols as s
from implicitloss.arguments import checked_part, completed
from implicitloss.labels import Floats, LabelPrior
from implicitloss.numerics.logsum import log_rest

__all__ = [
    "Constant",
    "Draws",
    "ForMargin",
    "Importance",
    "Relative",
    "Tail",
    "Unit",
    "Weighting",
    "examples",
]

Law = Callable[[sp.Expr], sp.Expr]
Factors = tuple[Floats | float, Floats | float] | None


@dataclass(frozen=True)
class Draws:
    """What a weighting may look at: the laws (L,), m, the prior and the positive.

    `free` (L,) marks the labels that pay nothing as negatives, where a sampler leaves such labels out: the mean does
    not miss them, whatever their weight is.  It is None where the loss is unknown or the sampler leaves none out.
    """

    log_q: Floats
    log_q_unconditional: Floats
    m: int
    prior: LabelPrior
    positive: int
    free: NDArray[np.bool_] | None = None


class Weighting(Protocol):
    """A rule for w_yy'.

    A class of one's own needs `is_eta_over_m` and `log_weight`, and `weight` where something is derived.  The others
    have defaults, also for a class that does not inherit from this one: `name` is str(weighting), `m_power` is -1 where
    w = η/m and None elsewhere, `log_factors` gives None.  `implicitloss.testing.check_weighting` checks it all.
    """

    @property
    def name(self) -> str:
        """How reports call the weights.  Default: str(weighting)."""
        return str(self)

    @property
    def is_eta_over_m(self) -> bool:
        """Whether w = η/m with η free of m, which Theorem 3 needs."""
        ...

    @property
    def m_power(self) -> int | None:
        """The k of w = η m^k with η free of m, which saves work where several m are asked for; None for no such k.

        Default: -1 where `is_eta_over_m`, else None.
        """
        return -1 if self.is_eta_over_m else None

    def log_weight(self, draws: Draws) -> Floats:
        """log w_yy' for each y', (L,); -inf for a label that is never drawn."""
        ...

    def weight(self, q: Law, q_unconditional: Law, yp: sp.Expr) -> sp.Expr:
        """w_yy' in symbols, at the label `yp`."""
        ...

    def log_factors(self, log_q: Floats, prior: LabelPrior, m: int, excluded: bool) -> Factors:
        """(log a, log b) where w_yy' = a_y b_y', each (L,) or a number: positives then share their work.

        `log_q` is the unconditional law, (L,); `excluded` is whether hits are.  Default: None, no such factors.
        """
        return None


def complete_weighting(weighting: Weighting) -> Weighting:
    """`weighting` with the defaults of `Weighting` for what its class leaves out."""
    return completed(weighting, Weighting)


def checked_weighting(weighting: Weighting) -> Weighting:
    """`weighting`; *raises* ValueError for a class, a name, or what lacks weights in numbers."""
    checked: Weighting = checked_part(
        weighting, "weighting", ("is_eta_over_m", "log_weight"), "weightings.Importance()"
    )
    return checked


@dataclass(frozen=True)
class Constant(Weighting):
    """w_yy' = 1/m.  *Source:* Rawat et al. 2021, Table 1."""

    name = "constant weights 1/m"
    is_eta_over_m = True

    def log_weight(self, draws: Draws) -> Floats:
        return np.full(draws.prior.n_labels, -np.log(draws.m))

    def log_factors(self, log_q: Floats, prior: LabelPrior, m: int, excluded: bool) -> Factors:
        return -np.log(m), 0.0

    def weight(self, q: Law, q_unconditional: Law, yp: sp.Expr) -> sp.Expr:
        return 1 / s.m


@dataclass(frozen=True)
class Unit(Weighting):
    """w_yy' = 1, as word2vec and in-batch softmax weigh; not of Theorem 3's form η/m."""

    name = "weights of 1"
    is_eta_over_m = False
    m_power = 0

    def log_weight(self, draws: Draws) -> Floats:
        return np.zeros(draws.prior.n_labels)

    def log_factors(self, log_q: Floats, prior: LabelPrior, m: int, excluded: bool) -> Factors:
        return 0.0, 0.0

    def weight(self, q: Law, q_unconditional: Law, yp: sp.Expr) -> sp.Expr:
        return sp.Integer(1)


@dataclass(frozen=True)
class Relative(Weighting):
    """w_yy' = q_y / q_y', with the *unconditional* q and no 1/m; not of Theorem 3's form η/m.

    *Raises* ValueError where the sampler never draws the positive (q_y = 0 makes every weight 0).
    *Source:* Rawat et al. 2021, Table 1; Yi et al. 2019.
    """

    name = "relative weights"
    is_eta_over_m = False
    m_power = 0

    def log_weight(self, draws: Draws) -> Floats:
        log_q = draws.log_q_unconditional
        if log_q[draws.positive] == -np.inf:
            raise ValueError(
                f"relative weights q_y/q_y' need a sampler that can draw the positive, but it gives label "
                f"{draws.positive} q = 0"
            )
        return np.where(log_q == -np.inf, -np.inf, log_q[draws.positive] - log_q)

    def log_factors(self, log_q: Floats, prior: LabelPrior, m: int, excluded: bool) -> Factors:
        return log_q, -log_q

    def weight(self, q: Law, q_unconditional: Law, yp: sp.Expr) -> sp.Expr:
        return q_unconditional(s.y) / q_unconditional(yp)


@dataclass(frozen=True, repr=False)
class ForMargin(Weighting):
    """w_yy' = p_yy' / (m q_y'): the weights whose implicit margin is p.

    *Raises* ValueError, naming the label, where p_yy' > 0 and q_y' = 0: no weight can make up for a negative that is
    never drawn.  Negatives that `MinimumVariance` leaves out because they pay nothing are excepted.
    *Source:* Rawat et al. 2021, Proposition 4, Eq. 15.
    """

    target: margins.Margin
    is_eta_over_m = True

    def __post_init__(self) -> None:
        margins.checked_margin(self.target)

    def log_weight(self, draws: Draws) -> Floats:
        log_p = self.target.log_margin(draws.prior, draws.positive)
        never = draws.log_q == -np.inf
        unreachable = never & (log_p > -np.inf)
        # The positive itself is no negative: where it is never drawn there is nothing to weigh.
        unreachable[draws.positive] = False
        if draws.free is not None:
            unreachable &= ~draws.free
        if unreachable.any():
            label = int(np.argmax(unreachable))
            raise ValueError(
                f"no weight gives label {label} its margin p = {np.exp(min(log_p[label], 700.0)):.3g}, because the "
                f"sampler draws it with q = 0; use a sampler that covers every label with p > 0"
            )
        with np.errstate(invalid="ignore"):
            log_w = log_p - draws.log_q
        log_w -= np.log(draws.m)
        log_w[never] = -np.inf
        return log_w

    def log_factors(self, log_q: Floats, prior: LabelPrior, m: int, excluded: bool) -> Factors:
        factors = margins.complete_margin(self.target).log_factors(prior)
        if factors is None:
            return None
        log_a, log_b = factors
        # The conditional q is q/(1 - q_y).  A label that is never drawn and has p = 0 has no factor, and needs none.
        with np.errstate(invalid="ignore"):
            return log_a - np.log(m) + (log_rest(log_q) if excluded else 0.0), log_b - log_q

    def weight(self, q: Law, q_unconditional: Law, yp: sp.Expr) -> sp.Expr:
        law = q(yp)
        return sp.Integer(0) if law == 0 else self.target.margin(yp) / (s.m * law)

    def __repr__(self) -> str:
        return f"ForMargin({self.target})"


@dataclass(frozen=True, repr=False)
class Importance(ForMargin):
    """w_yy' = 1/(m q_y'): unbiased for the full sum.  *Source:* Rawat et al. 2021, Table 1."""

    target: margins.Margin = field(default=margins.Softmax(), init=False)
    name = "importance weights 1/(m q)"

    def __repr__(self) -> str:
        return "Importance()"


@dataclass(frozen=True, repr=False)
class Tail(ForMargin):
    """w_yy' = π_y' / (π_y m q_y'): the logit-adjusted loss by sampling.  *Source:* Rawat et al. 2021, Eq. 16."""

    target: margins.Margin = field(default=margins.LogitAdjusted(), init=False)
    name = "tail weights"

    def __repr__(self) -> str:
        return "Tail()"


def examples() -> tuple[Weighting, ...]:
    """One of each weighting, as the contract tests and the checks use them."""
    return (Constant(), Unit(), Importance(), Relative(), Tail(), ForMargin(margins.Equalised()))
