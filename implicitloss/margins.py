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
from implicitloss.labels import Floats, LabelPrior

Factors = tuple[Floats | float, Floats | float]


class Margin(Protocol):
    """A target p_yy' > 0; the diagonal p_yy weighs an accidental hit when hits are kept.

    Where p_yy' = a_y b_y', `log_factors(prior)` = (log a, log b), each (L,) or a number, lets `sweep` share its work.
    """

    def log_margin(self, prior: LabelPrior, positive: int) -> Floats:
        """log p_yy' for y = `positive`, (L,)."""
        ...

    def margin(self, yp: sp.Expr) -> sp.Expr:
        """p_yy' in symbols, at the label `yp`."""
        ...


@dataclass(frozen=True)
class Softmax:
    """p_yy' = 1: plain softmax cross-entropy, or the full decoupled loss.  *Source:* Rawat et al. 2021, Eq. 4."""

    def log_margin(self, prior: LabelPrior, positive: int) -> Floats:
        return np.zeros(prior.n_labels)

    def log_factors(self, prior: LabelPrior) -> Factors:
        return 0.0, 0.0

    def margin(self, yp: sp.Expr) -> sp.Expr:
        return sp.Integer(1)


@dataclass(frozen=True)
class LogitAdjusted:
    """p_yy' = (π_y'/π_y)^τ, τ > 0.  *Source:* Menon et al. 2021, Eq. 10."""

    tau: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.tau < np.inf:
            raise ValueError(f"tau must be positive and finite, got {self.tau}")

    def log_margin(self, prior: LabelPrior, positive: int) -> Floats:
        return self.tau * (prior.log - _log_of_positive(prior, positive, "logit-adjusted"))

    def log_factors(self, prior: LabelPrior) -> Factors:
        return -self.tau * prior.log, self.tau * prior.log

    def margin(self, yp: sp.Expr) -> sp.Expr:
        return (s.pi[yp] / s.pi[s.y]) ** sp.nsimplify(self.tau)


@dataclass(frozen=True)
class BalancedSoftmax:
    """p_yy' = n_y'/n_y, the ratio of label counts (or of π, which is the same).  *Source:* Ren et al. 2020."""

    def log_margin(self, prior: LabelPrior, positive: int) -> Floats:
        level = prior.probabilities if prior.counts is None else prior.counts
        _log_of_positive(prior, positive, "balanced-softmax")
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
class Equalised:
    """p_yy' = F(π_y'), F increasing and positive; `F` takes arrays and SymPy expressions alike.

    *Source:* Tan et al. 2020, as read by Rawat et al. 2021, section 2.1.
    """

    F: Callable[[Any], Any] = identity

    def __repr__(self) -> str:
        return f"Equalised({getattr(self.F, '__name__', self.F)})"

    def log_margin(self, prior: LabelPrior, positive: int) -> Floats:
        value = np.broadcast_to(np.asarray(self.F(prior.probabilities), dtype=np.float64), (prior.n_labels,))
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
class Adaptive:
    """log p_yy' = C π_y^{-1/4}, C = `scale` > 0: the label-distribution-aware margin (LDAM).

    `form="printed"` is p_yy' = C π_y^{-1/4}, which Rawat et al. 2021 (section 2.1) print: a different loss.
    *Source:* Cao et al. 2019; Menon et al. 2021, who state it for log p.
    """

    scale: float = 1.0
    form: Literal["log", "printed"] = "log"

    def __post_init__(self) -> None:
        if not 0 < self.scale < np.inf:
            raise ValueError(f"the scale must be positive and finite, got {self.scale}")
        if self.form not in ("log", "printed"):
            raise ValueError(f"form must be 'log' or 'printed', got {self.form!r}")

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
        term = sp.nsimplify(self.scale) * s.pi[s.y] ** sp.Rational(-1, 4)
        return sp.exp(term) if self.form == "log" else term


def _log_of_positive(prior: LabelPrior, positive: int, name: str) -> float:
    value = float(prior.log[positive])
    if value == -np.inf:
        raise ValueError(f"the {name} margin needs a positive with prior > 0, but label {positive} has 0")
    return value


def checked_margin(margin: Margin) -> Margin:
    """`margin`; *raises* ValueError for a class, a name, or anything else that is none."""
    if isinstance(margin, type) or not (hasattr(margin, "log_margin") and hasattr(margin, "margin")):
        raise ValueError(f"a margin must be one of implicitloss.margins, e.g. margins.Softmax(), got {margin!r:.60}")
    return margin


def targets() -> tuple[Margin, ...]:
    """One of each margin, as the contract tests and the checks of Proposition 4 use them."""
    return (Softmax(), LogitAdjusted(), LogitAdjusted(0.5), BalancedSoftmax(), Equalised(), Adaptive(0.25))
