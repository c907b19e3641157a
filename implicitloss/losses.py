"""Losses as data: what the positive pays, what a negative pays, and the outer function.

The implicit loss is the *same function* as the sampled loss, summed over all labels with weights p instead of over
draws with weights w, so a loss is written once:

    ℓ = φ + outer(Σ weight · payment(y')),     outer = log(1 + ·) or the identity.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
import sympy as sp

from implicitloss import symbols as s
from implicitloss.arguments import checked_function, checked_number, checked_part, shown
from implicitloss.labels import Floats

__all__ = [
    "BinaryLoss",
    "Decoupled",
    "Loss",
    "SoftmaxCrossEntropy",
    "cosine_contrastive",
    "examples",
    "hinge",
    "logistic",
    "squared_hinge",
]


@dataclass(frozen=True)
class BinaryLoss:
    """The two margin losses of a decoupled loss: φ(f_y) on the positive and ϕ(-f_y') on each negative.

    `phi` and `varphi` are φ(z) and ϕ(z) in symbols; `positive`, `negative` are φ(f) and ϕ(-f) on arrays,
    `slope` is d/df ϕ(-f) and `positive_slope` d/df φ(f) (right derivatives at a kink).  `log_negative` is
    log ϕ(-f) where the logarithm of `negative` would underflow.
    """

    name: str
    phi: Callable[[Any], sp.Expr]
    varphi: Callable[[Any], sp.Expr]
    positive: Callable[[Any], Any]
    negative: Callable[[Any], Any]
    slope: Callable[[Any], Any]
    positive_slope: Callable[[Any], Any]
    log_negative: Callable[[Any], Any] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise ValueError(f"the name of a binary loss must be text, got {shown(self.name)}")
        for what in ("phi", "varphi", "positive", "negative", "slope", "positive_slope", "log_negative"):
            if what != "log_negative" or self.log_negative is not None:
                checked_function(getattr(self, what), f"{what} of a binary loss", "e.g. a lambda")

    def __repr__(self) -> str:
        return self.name


def _softplus(z: sp.Expr) -> sp.Expr:
    return sp.log(1 + sp.exp(-z))


def _sigmoid(f: Any) -> Any:
    return np.exp(-np.logaddexp(0, -np.asarray(f, dtype=np.float64)))


logistic = BinaryLoss(
    "logistic",
    phi=_softplus,
    varphi=_softplus,
    positive=lambda f: np.logaddexp(0, -f),
    negative=lambda f: np.logaddexp(0, f),
    slope=_sigmoid,
    positive_slope=lambda f: -_sigmoid(-np.asarray(f)),
    # log log(1 + e^f) is f, to the last digit, where f is very negative.
    log_negative=lambda f: np.where(np.asarray(f) < -40, f, np.log(np.logaddexp(0, np.maximum(f, -40.0)))),
)
"""φ(z) = ϕ(z) = log(1 + e^{-z})."""

hinge = BinaryLoss(
    "hinge",
    phi=lambda z: sp.Max(0, 1 - z),
    varphi=lambda z: sp.Max(0, 1 - z),
    positive=lambda f: np.maximum(0.0, 1 - f),
    negative=lambda f: np.maximum(0.0, 1 + f),
    slope=lambda f: np.where(np.asarray(f) >= -1, 1.0, 0.0),
    positive_slope=lambda f: np.where(np.asarray(f) < 1, -1.0, 0.0),
)
"""φ(z) = ϕ(z) = [1 - z]_+."""

squared_hinge = BinaryLoss(
    "squared hinge",
    phi=lambda z: sp.Max(0, 1 - z) ** 2,
    varphi=lambda z: sp.Max(0, 1 - z) ** 2,
    positive=lambda f: np.maximum(0.0, 1 - f) ** 2,
    negative=lambda f: np.maximum(0.0, 1 + f) ** 2,
    slope=lambda f: 2 * np.maximum(0.0, 1 + np.asarray(f)),
    positive_slope=lambda f: -2 * np.maximum(0.0, 1 - np.asarray(f)),
)
"""φ(z) = ϕ(z) = [1 - z]_+²."""


def cosine_contrastive(margin: float = 0.0) -> BinaryLoss:
    """φ(f_y) = (1 - f_y)², and a negative pays [f_y' - ρ]_+², that is ϕ(z) = [-z - ρ]_+²; ρ = `margin`, within ±1e8.

    *Source:* Hadsell et al. 2006, as used by Rawat et al. 2021, section 5.1 (whose scan has the sign off).
    """
    return _cosine_contrastive(checked_number(margin, "the margin", "finite", lambda x: abs(x) <= 1e8))


@lru_cache
def _cosine_contrastive(margin: float) -> BinaryLoss:
    rho = s.exact(margin)
    return BinaryLoss(
        f"cosine contrastive (ρ = {margin:g})",
        phi=lambda z: (1 - z) ** 2,
        varphi=lambda z: sp.Max(0, -z - rho) ** 2,
        positive=lambda f: (1 - f) ** 2,
        negative=lambda f: np.maximum(0.0, f - margin) ** 2,
        slope=lambda f: 2 * np.maximum(0.0, np.asarray(f) - margin),
        positive_slope=lambda f: -2 * (1 - np.asarray(f)),
    )


class Loss(Protocol):
    """What `derive`, `integrate`, `exhaust` and `simulate` ask of a loss.

    With a log (`has_log`) the loss is a softmax: a negative pays e^{f_y' - f_y} and the positive nothing.  Without one
    a negative's payment depends on its own score alone.  The symbols (`positive_term`, `payment`, `outer`) are needed
    where something is derived.  `implicitloss.testing.check_loss` checks it all.
    """

    @property
    def name(self) -> str:
        """How reports call it."""
        ...

    @property
    def has_log(self) -> bool:
        """Whether outer is log(1 + ·); otherwise it is the identity."""
        ...

    def positive_pays(self, score: float) -> float:
        """φ(f_y)."""
        ...

    def log_payment(self, scores: Floats, positive: int) -> Floats:
        """log of what each label pays as a negative, (L,); -inf for nothing."""
        ...

    def payment_slope(self, scores: Floats, positive: int) -> Floats:
        """Derivative of a negative's payment in its own score, (L,)."""
        ...

    def positive_slope(self, score: float) -> float:
        """φ'(f_y)."""
        ...

    def positive_term(self) -> sp.Expr:
        """φ(f_y) in symbols."""
        ...

    def payment(self, yp: sp.Expr) -> sp.Expr:
        """What the label `yp` pays as a negative, in symbols."""
        ...

    def outer(self, total: sp.Expr) -> sp.Expr:
        """The outer function in symbols."""
        ...


@dataclass(frozen=True)
class SoftmaxCrossEntropy(Loss):
    """ℓ = log(1 + Σ_{y'} w_yy' e^{f_y' - f_y}).  *Source:* Rawat et al. 2021, Eqs. 4, 6, 7."""

    name = "softmax cross-entropy"
    has_log = True

    def positive_pays(self, score: float) -> float:
        return 0.0

    def log_payment(self, scores: Floats, positive: int) -> Floats:
        return scores - scores[positive]

    def payment_slope(self, scores: Floats, positive: int) -> Floats:
        with np.errstate(over="ignore"):
            return np.exp(scores - scores[positive])

    def positive_slope(self, score: float) -> float:
        return 0.0

    def positive_term(self) -> sp.Expr:
        return sp.Integer(0)

    def payment(self, yp: sp.Expr) -> sp.Expr:
        return sp.exp(s.f[yp] - s.f[s.y])

    def outer(self, total: sp.Expr) -> sp.Expr:
        return sp.log(1 + total)


@dataclass(frozen=True)
class Decoupled(Loss):
    """ℓ = φ(f_y) + Σ_{y'} w_yy' ϕ(-f_y'), e.g. `Decoupled(logistic)`.  *Source:* Rawat et al. 2021, Eqs. 5, 8."""

    binary: BinaryLoss
    has_log = False

    def __post_init__(self) -> None:
        if not isinstance(self.binary, BinaryLoss):
            raise ValueError(
                "Decoupled takes logistic, hinge, squared_hinge or cosine_contrastive(margin), "
                f"got {shown(self.binary)}"
            )

    @property
    def name(self) -> str:
        return f"decoupled {self.binary.name}"

    def positive_pays(self, score: float) -> float:
        return float(self.binary.positive(score))

    def log_payment(self, scores: Floats, positive: int) -> Floats:
        if self.binary.log_negative is not None:
            return np.asarray(self.binary.log_negative(scores), dtype=np.float64)
        with np.errstate(divide="ignore"):
            return np.log(self.binary.negative(scores))

    def payment_slope(self, scores: Floats, positive: int) -> Floats:
        return np.asarray(self.binary.slope(scores), dtype=np.float64)

    def positive_slope(self, score: float) -> float:
        return float(self.binary.positive_slope(score))

    def positive_term(self) -> sp.Expr:
        return self.binary.phi(s.f[s.y])

    def payment(self, yp: sp.Expr) -> sp.Expr:
        return self.binary.varphi(-s.f[yp])

    def outer(self, total: sp.Expr) -> sp.Expr:
        return total


_NEEDS = ("name", "has_log", "positive_pays", "log_payment", "payment_slope", "positive_slope")


def checked_loss(loss: Loss) -> Loss:
    """`loss`; *raises* ValueError for a class, a name, a binary loss without `Decoupled`, or anything else."""
    if isinstance(loss, BinaryLoss):
        raise ValueError(f"a binary loss is no loss on scores yet: write losses.Decoupled({loss.name:.60})")
    checked: Loss = checked_part(loss, "loss", _NEEDS, "losses.SoftmaxCrossEntropy()")
    return checked


def examples() -> tuple[Loss, ...]:
    """One of each loss, as the contract tests and the checks use them."""
    binaries = (logistic, hinge, squared_hinge, cosine_contrastive(-1.5))
    return (SoftmaxCrossEntropy(), *(Decoupled(binary) for binary in binaries))
