"""Target margins p_yy': how often each negative should count (Rawat et al. 2021, Eq. 6).

A margin says log p_yy' for a prior and a positive (NumPy) and the same p_yy' in symbols (SymPy).  What the long-tail
literature calls a loss is softmax cross-entropy with one of these.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import sympy as sp

from implicitloss import symbols as s
from implicitloss.arguments import checked_choice, checked_function, checked_number, checked_part, completed, shown
from implicitloss.labels import Floats, LabelPrior, checked_label, checked_prior

__all__ = [
    "Adaptive",
    "BalancedSoftmax",
    "Equalised",
    "LogitAdjusted",
    "Margin",
    "Softmax",
    "examples",
    "identity",
]

Factors = tuple[Floats | float, Floats | float]
# Exponents and scales that no logarithm overflows by.
LARGEST_SCALE = 1e6
# A power of the prior makes as much of its rounding.
LARGEST_POWER = 100.0


class Margin(Protocol):
    """A target p_yy' > 0; the diagonal p_yy weighs an accidental hit when hits are kept.

    A class of one's own needs `log_margin` and `margin`.  The others have defaults, also for a class that does not
    inherit from this one: `name` is str(margin), `published` and `log_factors` are None.
    """

    @property
    def name(self) -> str:
        """How reports call the margin.  Default: str(margin)."""
        return str(self)

    @property
    def published(self) -> str | None:
        """What the literature calls softmax cross-entropy with these margins, and where.  Default: None."""
        return None

    def log_margin(self, prior: LabelPrior, positive: int) -> Floats:
        """log p_yy' for y = `positive`, (L,)."""
        ...

    def margin(self, yp: sp.Expr) -> sp.Expr:
        """p_yy' in symbols, at the label `yp`."""
        ...

    def log_factors(self, prior: LabelPrior) -> Factors | None:
        """(log a, log b) where p_yy' = a_y b_y', each (L,) or a number: positives then share their work.

        Default: None, no such factors.
        """
        return None


def complete_margin(margin: Margin) -> Margin:
    """`margin` with the defaults of `Margin` for what its class leaves out."""
    return completed(margin, Margin)


@dataclass(frozen=True)
class Softmax(Margin):
    """p_yy' = 1: plain softmax cross-entropy, or the full decoupled loss.  *Source:* Rawat et al. 2021, Eq. 4."""

    name = "softmax"
    published = "softmax cross-entropy"

    def log_margin(self, prior: LabelPrior, positive: int) -> Floats:
        checked_label(positive, checked_prior(prior).n_labels, "the positive")
        return np.zeros(prior.n_labels)

    def log_factors(self, prior: LabelPrior) -> Factors:
        return 0.0, 0.0

    def margin(self, yp: sp.Expr) -> sp.Expr:
        return sp.Integer(1)


@dataclass(frozen=True)
class LogitAdjusted(Margin):
    """p_yy' = (π_y'/π_y)^τ, 0 < τ <= 100.  *Source:* Menon et al. 2021, Eq. 10."""

    tau: float = 1.0
    name = "logit-adjusted softmax"

    @property
    def published(self) -> str | None:
        """A name for τ = 1."""
        return "logit-adjusted loss (Menon et al. 2021)" if self.tau == 1 else None

    def __post_init__(self) -> None:
        tau = checked_number(self.tau, "tau", "positive and at most 100", lambda x: 0 < x <= LARGEST_POWER)
        object.__setattr__(self, "tau", tau)

    def log_margin(self, prior: LabelPrior, positive: int) -> Floats:
        _log_of_positive(prior, positive, "logit-adjusted")
        return self.tau * prior.log_over(positive)

    def log_factors(self, prior: LabelPrior) -> Factors:
        return -self.tau * prior.log, self.tau * prior.log

    def margin(self, yp: sp.Expr) -> sp.Expr:
        return (s.pi[yp] / s.pi[s.y]) ** s.exact(self.tau)


@dataclass(frozen=True)
class BalancedSoftmax(Margin):
    """p_yy' = n_y'/n_y, the ratio of label counts (or of π, which is the same).  *Source:* Ren et al. 2020."""

    published = "balanced softmax (Ren et al. 2020)"

    def log_margin(self, prior: LabelPrior, positive: int) -> Floats:
        _log_of_positive(prior, positive, "balanced-softmax")
        level = prior.probabilities if prior.counts is None else prior.counts
        with np.errstate(divide="ignore"):
            return np.log(level) - np.log(level[positive])

    def log_factors(self, prior: LabelPrior) -> Factors:
        level = prior.probabilities if prior.counts is None else prior.counts
        with np.errstate(divide="ignore"):
            return -np.log(level), np.log(level)

    def margin(self, yp: sp.Expr) -> sp.Expr:
        return s.n[yp] / s.n[s.y]


def identity(x: Any) -> Any:
    """F(x) = x."""
    return x


@dataclass(frozen=True, repr=False)
class Equalised(Margin):
    """p_yy' = F(π_y'), F increasing and positive; `F` takes arrays and SymPy expressions alike.

    *Source:* Tan et al. 2020, as read by Rawat et al. 2021, section 2.1.
    """

    F: Callable[[Any], Any] = identity
    name = "equalised softmax"

    @property
    def published(self) -> str | None:
        """A name for F(π) = π."""
        return "equalised loss (Tan et al. 2020)" if self.F is identity else None

    def __post_init__(self) -> None:
        checked_function(self.F, "F", "e.g. lambda x: x**0.5")

    def __repr__(self) -> str:
        return f"Equalised({getattr(self.F, '__name__', self.F)})"

    def log_margin(self, prior: LabelPrior, positive: int) -> Floats:
        checked_label(positive, checked_prior(prior).n_labels, "the positive")
        with np.errstate(all="ignore"):
            value = np.asarray(self.F(prior.probabilities))
        if value.dtype.kind not in "iuf" or value.shape not in ((), (prior.n_labels,)):
            raise ValueError(f"F must return a number for each of {prior.n_labels} labels, got {shown(value)}")
        value = np.broadcast_to(value.astype(np.float64), (prior.n_labels,))
        order = np.argsort(prior.probabilities, kind="stable")
        if not np.all(np.isfinite(value)) or value[prior.probabilities > 0].min() <= 0:
            raise ValueError("F must be positive and finite on the prior, and here it is not")
        if np.any(np.diff(value[order]) < 0):
            raise ValueError("F must be increasing on the prior, and here it is not")
        with np.errstate(divide="ignore"):
            return np.log(value)

    def log_factors(self, prior: LabelPrior) -> Factors:
        return 0.0, self.log_margin(prior, 0)

    def margin(self, yp: sp.Expr) -> sp.Expr:
        try:
            return sp.sympify(self.F(s.pi[yp]))
        except (TypeError, AttributeError, sp.SympifyError):
            raise ValueError(
                f"F must take SymPy expressions as well as arrays, as x**0.5 does; {self} does not"
            ) from None


@dataclass(frozen=True)
class Adaptive(Margin):
    """log p_yy' = C π_y^{-1/4}, 0 < C = `scale` <= 1e6: the label-distribution-aware margin (LDAM).

    `form="printed"` is p_yy' = C π_y^{-1/4}, which Rawat et al. 2021 (section 2.1) print: a different loss.
    *Source:* Cao et al. 2019; Menon et al. 2021, who state it for log p.
    """

    scale: float = 1.0
    form: Literal["log", "printed"] = "log"

    def __post_init__(self) -> None:
        scale = checked_number(self.scale, "the scale", "positive and at most 1e6", lambda x: 0 < x <= LARGEST_SCALE)
        object.__setattr__(self, "scale", scale)
        checked_choice(self.form, "form", ("log", "printed"))

    def log_margin(self, prior: LabelPrior, positive: int) -> Floats:
        log_prior = _log_of_positive(prior, positive, "adaptive")
        log_form, printed = self.scale * np.exp(-log_prior / 4), np.log(self.scale) - log_prior / 4
        value = log_form if self.form == "log" else printed
        return np.full(prior.n_labels, value)

    def log_factors(self, prior: LabelPrior) -> Factors:
        with np.errstate(over="ignore"):
            log_form = self.scale * np.exp(-prior.log / 4)
        return (log_form if self.form == "log" else np.log(self.scale) - prior.log / 4), 0.0

    def margin(self, yp: sp.Expr) -> sp.Expr:
        term = s.exact(self.scale) * s.pi[s.y] ** sp.Rational(-1, 4)
        return sp.exp(term) if self.form == "log" else term


def _log_of_positive(prior: LabelPrior, positive: int, name: str) -> float:
    value = float(checked_prior(prior).log[checked_label(positive, prior.n_labels, "the positive")])
    if value == -np.inf:
        raise ValueError(f"the {name} margin needs a positive with prior > 0, but label {positive} has 0")
    return value


def checked_margin(margin: Margin) -> Margin:
    """`margin`; *raises* ValueError for a class, a name, or anything else that is none."""
    checked: Margin = checked_part(margin, "margin", ("log_margin", "margin"), "margins.Softmax()")
    return checked


def examples() -> tuple[Margin, ...]:
    """One of each margin, as the contract tests and the checks of Proposition 4 use them."""
    return (Softmax(), LogitAdjusted(), LogitAdjusted(0.5), BalancedSoftmax(), Equalised(), Adaptive(0.25))
