"""Losses as data: what the positive pays, what a negative pays, and the outer function.

    ℓ = φ + outer(Σ weight · payment(y')),     outer = log(1 + ·) or the identity.

A loss is written once: the implicit loss is the *same function* as the sampled loss, with a sum over all labels and
weights p in place of a sum over draws and weights w.

One file: a loss is a few lines in numbers and in symbols, beside the documentation of its public class.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from implicitloss.arguments import checked_function, checked_number, checked_part, shown
from implicitloss.labels import Floats
from implicitloss.later import later

if TYPE_CHECKING:
    import sympy as sp

    from implicitloss import symbols as s
else:
    sp = later("sympy")
    s = later("implicitloss.symbols")

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

    Parameters
    ----------
    name : str
        What reports call it.
    phi, varphi : callable
        φ(z) and ϕ(z) in symbols.
    positive, negative : callable
        φ(f) and ϕ(-f) >= 0 on arrays.
    slope, positive_slope : callable
        d/df ϕ(-f) and d/df φ(f) on arrays; at a kink the right derivative.
    log_negative : callable, optional
        log ϕ(-f) on arrays, needed where ϕ(-f) underflows; by default the logarithm of `negative`.

    Raises
    ------
    ValueError
        If the name is no text, or another argument is no function.

    Examples
    --------
    The exponential loss, φ(z) = ϕ(z) = e^{-z}:

    >>> import numpy as np
    >>> import sympy as sp
    >>> import implicitloss as il
    >>> exponential = il.losses.BinaryLoss(
    ...     "exponential", phi=lambda z: sp.exp(-z), varphi=lambda z: sp.exp(-z), positive=lambda f: np.exp(-f),
    ...     negative=np.exp, slope=np.exp, positive_slope=lambda f: -np.exp(-f), log_negative=lambda f: f,
    ... )
    >>> scheme = il.Scheme(il.samplers.WithinBatch(), il.weightings.Importance(), m=5, hits="mask")
    >>> print(il.derive(scheme, il.losses.Decoupled(exponential)).steps[-1])
    E(loss(N)) = Sum_{y'!=y}(exp(f[y'])) + exp(-f[y])    [the implicit loss; checked]
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
    # log log(1 + e^f) is f to the last digit where f < -40.
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
    """Make the cosine contrastive loss: φ(z) = (1 - z)² and ϕ(z) = [-z - ρ]_+², so that a negative pays [f_y' - ρ]_+².

    Parameters
    ----------
    margin : float
        ρ, within ±10⁸.

    Returns
    -------
    BinaryLoss
        The loss, for `Decoupled`.

    Raises
    ------
    ValueError
        For ρ out of range.

    References
    ----------
    Hadsell et al. 2006, as Rawat et al. 2021 use it in section 5.1, with ρ = 0; the scan of that section has the sign
    of ϕ's argument off.

    Examples
    --------
    >>> import numpy as np
    >>> import implicitloss as il
    >>> il.losses.cosine_contrastive(0.5).negative(np.array([-1.0, 0.5, 1.0]))
    array([0.  , 0.  , 0.25])
    """
    return _cosine_contrastive(checked_number(margin, "the margin", "finite", lambda x: abs(x) <= 1e8))


@lru_cache
def _cosine_contrastive(margin: float) -> BinaryLoss:
    return BinaryLoss(
        f"cosine contrastive (ρ = {margin:g})",
        phi=lambda z: (1 - z) ** 2,
        varphi=lambda z: sp.Max(0, -z - s.exact(margin)) ** 2,
        positive=lambda f: (1 - f) ** 2,
        negative=lambda f: np.maximum(0.0, f - margin) ** 2,
        slope=lambda f: 2 * np.maximum(0.0, np.asarray(f) - margin),
        positive_slope=lambda f: -2 * (1 - np.asarray(f)),
    )


class Loss(Protocol):
    """A loss ℓ = φ + outer(Σ weight · payment(y')), in numbers and in symbols.

    With `has_log` the loss is a softmax: outer is log(1 + ·), a negative pays e^{f_y' - f_y}, and the positive pays
    nothing.  Without it outer is the identity, and a negative's payment depends on its own score only.  The symbols
    (`positive_term`, `payment`, `outer`) are needed for derivations.  `implicitloss.testing.check_loss` checks that all
    of it agrees.

    References
    ----------
    Rawat et al. 2021, Eqs. 7 and 8.

    Examples
    --------
    The exponential loss in numbers, φ(f_y) = e^{-f_y} and ϕ(-f_y') = e^{f_y'}:

    >>> from dataclasses import dataclass
    >>> import numpy as np
    >>> import implicitloss as il
    >>> @dataclass(frozen=True)
    ... class Exponential:
    ...     name, has_log = "exponential", False
    ...     def positive_pays(self, score):
    ...         return np.exp(-score)
    ...     def log_payment(self, scores, positive):
    ...         return scores
    ...     def payment_slope(self, scores, positive):
    ...         return np.exp(scores)
    ...     def positive_slope(self, score):
    ...         return -np.exp(-score)
    >>> problem = il.Problem([0.3, -0.4, 1.2, -1.7], il.LabelPrior.from_counts([8, 4, 3, 1]), positive=1)
    >>> il.testing.check_loss(Exponential(), problem)
    >>> scheme = il.Scheme(il.samplers.WithinBatch(), il.weightings.Importance(), m=5, hits="mask")
    >>> round(float(il.integrate(scheme, Exponential(), problem, "variance")), 6)
    7.884036
    """

    @property
    def name(self) -> str:
        """How reports call the loss."""
        ...

    @property
    def has_log(self) -> bool:
        """Whether outer is log(1 + ·); otherwise it is the identity."""
        ...

    def positive_pays(self, score: float) -> float:
        """What the positive pays, φ(f_y), for the score f_y."""
        ...

    def log_payment(self, scores: Floats, positive: int) -> Floats:
        """The logarithm of what each label pays as a negative, (L,); -inf for nothing.

        Parameters
        ----------
        scores : ndarray, (L,)
            f.
        positive : int
            y.

        Returns
        -------
        ndarray, (L,)
            The positive's own entry is what a kept hit pays.
        """
        ...

    def payment_slope(self, scores: Floats, positive: int) -> Floats:
        """The derivative of each label's payment in its own score, (L,), f_y held fixed.

        Parameters
        ----------
        scores : ndarray, (L,)
            f.
        positive : int
            y.

        Returns
        -------
        ndarray, (L,)
            At a kink the right derivative.
        """
        ...

    def positive_slope(self, score: float) -> float:
        """The derivative φ'(f_y), for the score f_y."""
        ...

    def positive_term(self) -> sp.Expr:
        """What the positive pays, φ(f_y), in symbols."""
        ...

    def payment(self, yp: sp.Expr) -> sp.Expr:
        """What the label `yp` pays as a negative, in symbols."""
        ...

    def outer(self, total: sp.Expr) -> sp.Expr:
        """The outer function in symbols."""
        ...


@dataclass(frozen=True)
class SoftmaxCrossEntropy(Loss):
    """Softmax cross-entropy: ℓ = log(1 + Σ_{y'} w_yy' e^{f_y' - f_y}).

    References
    ----------
    Rawat et al. 2021, Eqs. 4, 6 and 7.

    Examples
    --------
    >>> import implicitloss as il
    >>> scheme = il.Scheme(il.samplers.Uniform(), il.weightings.Constant(), m=5, hits="exclude")
    >>> print(il.derive(scheme, il.losses.SoftmaxCrossEntropy()).implicit_loss)
    log(Sum((1 - KroneckerDelta(y, y'))*exp(f[y'] - f[y])/(L - 1), (y', 1, L)) + 1)
    """

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
    """A decoupled loss: ℓ = φ(f_y) + Σ_{y'} w_yy' ϕ(-f_y').

    Parameters
    ----------
    binary : BinaryLoss
        φ and ϕ: `logistic`, `hinge`, `squared_hinge`, `cosine_contrastive(margin)`, or one of your own.

    Raises
    ------
    ValueError
        For anything that is no BinaryLoss.

    References
    ----------
    Rawat et al. 2021, Eqs. 5 and 8.

    Examples
    --------
    Its mean is the implicit loss (Lemma 1).

    >>> import implicitloss as il
    >>> problem = il.Problem([0.3, -0.4, 1.2, -1.7], il.LabelPrior.from_counts([8, 4, 3, 1]), positive=1)
    >>> scheme = il.Scheme(il.samplers.WithinBatch(), il.weightings.Constant(), m=3, hits="mask")
    >>> loss = il.losses.Decoupled(il.losses.logistic)
    >>> [round(float(number(scheme, loss, problem)), 12) for number in (il.exhaust, il.implicit_loss)]
    [1.625044964097, 1.625044964097]
    """

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
    # The members of the library's own need no look.
    if type(loss) in (SoftmaxCrossEntropy, Decoupled):
        return loss
    checked: Loss = checked_part(loss, Loss, "loss", _NEEDS, "losses.SoftmaxCrossEntropy()")
    return checked


def examples() -> tuple[Loss, ...]:
    """List one of each loss, as the contract tests and the checks use them.

    Returns
    -------
    tuple of Loss
        The losses.

    Examples
    --------
    >>> import implicitloss as il
    >>> il.losses.SoftmaxCrossEntropy() in il.losses.examples()
    True
    """
    binaries = (logistic, hinge, squared_hinge, cosine_contrastive(-1.5))
    return (SoftmaxCrossEntropy(), *(Decoupled(binary) for binary in binaries))
