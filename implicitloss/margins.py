"""Target margins p_yy': how often each negative should count (Rawat et al. 2021, Eq. 6).

A margin gives log p_yy' for a prior and a positive (NumPy), and p_yy' in symbols (SymPy).  Many losses of the long-tail
literature are softmax cross-entropy with one of these margins.

One file: the margins are a few lines each, beside the documentation of their public classes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NoReturn, Protocol

import numpy as np

from implicitloss.arguments import checked_choice, checked_function, checked_number, checked_part, completed, shown
from implicitloss.labels import Floats, LabelPrior, checked_label, checked_prior, checked_vector
from implicitloss.later import later

if TYPE_CHECKING:
    import sympy as sp

    from implicitloss import symbols as s
else:
    sp = later("sympy")
    s = later("implicitloss.symbols")

__all__ = [
    "Adaptive",
    "BalancedSoftmax",
    "Equalised",
    "LogitAdjusted",
    "Margin",
    "Offsets",
    "Softmax",
    "examples",
    "identity",
]

Factors = tuple[Floats | float, Floats | float]
# Larger scales could make log p overflow.
LARGEST_SCALE = 1e6
# Larger offsets could make p_yy' = e^{δ_y - δ_y'} overflow.
LARGEST_OFFSET = 300.0
# A power τ multiplies the rounding of the prior by τ.
LARGEST_POWER = 100.0
# Of the logarithms of a ratio's factors, which differ by their signs alone.
RATIO_ROUNDING = 1e-12


class Margin(Protocol):
    """Target margins p_yy' > 0: how often the negative y' counts beside the positive y.

    The pairwise-margin softmax is ℓ = log(1 + Σ_{y' ≠ y} p_yy' e^{f_y' - f_y}).  Where hits are kept, p_yy is the
    target for draws of the positive.

    A class of your own needs `log_margin` and `margin`.  The other members have defaults, even if the class does not
    inherit from this one: `name` is str(margin), `published` is None, `log_factors` returns None.

    References
    ----------
    Rawat et al. 2021, Eq. 6.

    Examples
    --------
    Negatives that are rarer than the positive count less, and no negative counts more than once.

    >>> from dataclasses import dataclass
    >>> import numpy as np
    >>> import sympy as sp
    >>> import implicitloss as il
    >>> from implicitloss import symbols as s
    >>> @dataclass(frozen=True)
    ... class Capped:
    ...     def log_margin(self, prior, positive):
    ...         return np.minimum(prior.log - prior.log[positive], 0.0)
    ...     def margin(self, yp):
    ...         return sp.Min(s.pi[yp] / s.pi[s.y], 1)
    >>> scheme = il.Scheme(il.samplers.Uniform(), il.weightings.ForMargin(Capped()), m=5, hits="mask")
    >>> il.implicit_margins(scheme, il.LabelPrior.from_counts([4, 2, 1])).round(12)
    array([[0.  , 0.5 , 0.25],
           [1.  , 0.  , 0.5 ],
           [1.  , 1.  , 0.  ]])
    """

    @property
    def name(self) -> str:
        """How reports call the margin.  Default: str(margin)."""
        return str(self)

    @property
    def published(self) -> str | None:
        """The name of softmax cross-entropy with these margins in the literature, with its source.  Default: None."""
        return None

    def log_margin(self, prior: LabelPrior, positive: int) -> Floats:
        """The logarithms log p_yy' for each y', (L,).

        Parameters
        ----------
        prior : LabelPrior
            The label prior.
        positive : int
            y.

        Returns
        -------
        ndarray, (L,)
            -inf for p = 0.
        """
        ...

    def margin(self, yp: sp.Expr) -> sp.Expr:
        """The margin p_yy' in symbols.

        Parameters
        ----------
        yp : sympy.Expr
            The label: y', or the positive y itself.

        Returns
        -------
        sympy.Expr
            p_yy'.
        """
        ...

    def log_factors(self, prior: LabelPrior) -> Factors | None:
        """The logarithms of the factors in p_yy' = a_y b_y', by which one computation serves many positives.

        Default: None, no such factors.

        Parameters
        ----------
        prior : LabelPrior
            The label prior.

        Returns
        -------
        tuple of two, or None
            log a and log b, each (L,) or a number.
        """
        return None


def complete_margin(margin: Margin) -> Margin:
    """`margin` with the defaults of `Margin` for what its class leaves out."""
    return completed(margin, Margin)


@dataclass(frozen=True)
class Softmax(Margin):
    """The margins of softmax cross-entropy, and of a full decoupled loss: p_yy' = 1.

    References
    ----------
    Rawat et al. 2021, Eqs. 4 and 5.

    Examples
    --------
    >>> import implicitloss as il
    >>> full = il.Minibatch(il.margins.Softmax(), il.losses.SoftmaxCrossEntropy(), il.LabelPrior.zipf(4, 1.0))
    >>> full([[0.0, 0.0, 0.0, 0.0]], [1])[0].round(4)  # log 4
    array([1.3863])
    """

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
    """The margins of the logit-adjusted loss: p_yy' = (π_y'/π_y)^τ.

    Parameters
    ----------
    tau : float
        τ, 0 < τ <= 100.

    Raises
    ------
    ValueError
        For τ out of range; when it is used, for a positive with π_y = 0.

    References
    ----------
    Menon et al. 2021, Eq. 10; Rawat et al. 2021, section 2.1.

    Examples
    --------
    >>> import numpy as np
    >>> import implicitloss as il
    >>> np.exp(il.margins.LogitAdjusted().log_margin(il.LabelPrior.from_counts([8, 4, 1]), positive=1))
    array([2.  , 1.  , 0.25])
    """

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
    """The margins of balanced softmax: p_yy' = n_y'/n_y, which is π_y'/π_y where there are no counts.

    Raises
    ------
    ValueError
        When it is used, for a positive with π_y = 0.

    References
    ----------
    Ren et al. 2020.

    Examples
    --------
    >>> import numpy as np
    >>> import implicitloss as il
    >>> np.exp(il.margins.BalancedSoftmax().log_margin(il.LabelPrior.from_counts([8, 4, 1]), positive=2))
    array([8., 4., 1.])
    """

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
    """The F of the equalised loss by default: F(x) = x.

    Parameters
    ----------
    x : float, ndarray or sympy.Expr
        Anything.

    Returns
    -------
    float, ndarray or sympy.Expr
        x itself.

    Examples
    --------
    >>> import implicitloss as il
    >>> il.margins.identity(0.25)
    0.25
    """
    return x


@dataclass(frozen=True, repr=False)
class Equalised(Margin):
    """The margins of the equalised loss: p_yy' = F(π_y') with an increasing F > 0.

    Parameters
    ----------
    F : callable
        F, which takes arrays and SymPy expressions alike; by default F(π) = π.

    Raises
    ------
    ValueError
        If F is no function; when it is used, if it does not increase or is not positive where π > 0.

    References
    ----------
    Tan et al. 2020, as Rawat et al. 2021 state it in section 2.1.

    Examples
    --------
    >>> import numpy as np
    >>> import implicitloss as il
    >>> margin = il.margins.Equalised(lambda x: x**0.5)
    >>> np.exp(margin.log_margin(il.LabelPrior.from_counts([9, 4, 3]), positive=1)).round(3)
    array([0.75 , 0.5  , 0.433])
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
    """The margins of the adaptive loss (LDAM): log p_yy' = C π_y^{-1/4}.

    Parameters
    ----------
    scale : float
        C, 0 < C <= 10⁶.
    form : {"log", "printed"}
        "printed" is another loss, p_yy' = C π_y^{-1/4}, as Rawat et al. 2021 print it.

    Raises
    ------
    ValueError
        For C out of range, or another form; when it is used, for a positive with π_y = 0.

    References
    ----------
    Cao et al. 2019; Menon et al. 2021, who state it for log p; Rawat et al. 2021, section 2.1, for "printed".

    Examples
    --------
    >>> import implicitloss as il
    >>> prior = il.LabelPrior.from_counts([8, 4, 1])
    >>> [round(float(il.margins.Adaptive(0.5).log_margin(prior, y)[0]), 3) for y in range(3)]
    [0.565, 0.671, 0.949]
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


@dataclass(frozen=True, repr=False)
class Offsets(Margin):
    """The margins that shift the scores of trained labels by δ: p_yy' = e^{δ_y - δ_y'}.

    Training with them teaches f + δ where softmax teaches f, on any data: labels of a large δ are predicted more often.
    Logit adjustment, p_yy' = (π_y'/π_y)^τ, has δ_y = -τ log π_y; here δ need not follow the prior, so that it can make
    up for classes whose features are harder.

    Parameters
    ----------
    delta : array_like, (L,)
        δ, each within ±300.  A constant added to all of them changes nothing.

    Raises
    ------
    ValueError
        For δ out of range; when it is used, for a prior with another number of labels.

    References
    ----------
    Derived here, from Eq. 6 of Rawat et al. 2021 and its Proposition 4; `il.diagnose` finds δ.

    Examples
    --------
    Labels are equally frequent, and yet the third one is favoured, by draws from the batch.

    >>> import numpy as np
    >>> import implicitloss as il
    >>> weighting = il.weightings.ForMargin(il.margins.Offsets(np.log([1, 1, 2])))
    >>> scheme = il.Scheme(il.samplers.WithinBatch(), weighting, m=5, hits="mask")
    >>> il.implicit_margins(scheme, il.LabelPrior.from_counts([9, 9, 9])).round(12)
    array([[0. , 1. , 0.5],
           [1. , 0. , 0.5],
           [2. , 2. , 0. ]])
    """

    delta: Floats

    def __post_init__(self) -> None:
        delta = checked_vector(self.delta, "delta")
        worst = int(np.argmax(np.abs(delta)))
        if abs(delta[worst]) > LARGEST_OFFSET:
            raise ValueError(f"delta must lie within ±{LARGEST_OFFSET:g}, but label {worst} has {delta[worst]:g}")
        object.__setattr__(self, "delta", delta)

    @property
    def name(self) -> str:
        """What reports call it: softmax with offsets, and of how many labels."""
        return f"softmax with offsets of {self.delta.size} labels"

    def log_margin(self, prior: LabelPrior, positive: int) -> Floats:
        return self._of(prior)[checked_label(positive, prior.n_labels, "the positive")] - self.delta

    def log_factors(self, prior: LabelPrior) -> Factors:
        return self._of(prior), -self.delta

    def margin(self, yp: sp.Expr) -> sp.Expr:
        return sp.exp(s.delta[s.y] - s.delta[yp])

    def _of(self, prior: LabelPrior) -> Floats:
        """δ; *raises* ValueError unless the prior has as many labels."""
        if checked_prior(prior).n_labels != self.delta.size:
            raise ValueError(f"delta must cover the prior's {prior.n_labels} labels, got {self.delta.size} offsets")
        return self.delta

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Offsets) and np.array_equal(self.delta, other.delta)

    def __hash__(self) -> int:
        return hash(self.delta.tobytes())

    def __repr__(self) -> str:
        return f"Offsets({self.delta.size} labels, {hashlib.sha256(self.delta.tobytes()).hexdigest()[:8]})"


def _log_of_positive(prior: LabelPrior, positive: int, name: str) -> float:
    value = float(checked_prior(prior).log[checked_label(positive, prior.n_labels, "the positive")])
    if value == -np.inf:
        raise ValueError(f"the {name} margin needs a positive with prior > 0, but label {positive} has 0")
    return value


def checked_margin(margin: Margin) -> Margin:
    """`margin`; *raises* ValueError for a class, a name, or anything without margins in numbers and in symbols."""
    checked: Margin = checked_part(margin, Margin, "margin", ("log_margin", "margin"), "margins.Softmax()")
    return checked


def checked_ratio(margin: Margin) -> Margin:
    """`margin`; *raises* ValueError unless it is a ratio δ_y'/δ_y in symbols: p_yy = 1, p_yy' p_y'k = p_yk."""
    found = checked_margin(margin)
    if type(found) in _RATIOS:
        return found
    if not _is_ratio_in_symbols(found):
        _refuse_ratio(margin)
    return found


def _is_ratio_in_symbols(margin: Margin) -> bool:
    """Whether SymPy finds p_yy = 1 and p_yy' p_y'k = p_yk."""
    there, own, third = (margin.margin(at) for at in (s.yp, s.y, s.k))
    on = third.subs(s.y, s.yp)  # p_y'k
    return bool(s.vanishes(own - 1) and s.vanishes(there * on - third))


# Ratios by their formulas, which need no proof each time; tests prove them.
_RATIOS = (Softmax, LogitAdjusted, BalancedSoftmax, Offsets)


def checked_factors_of_ratio(margin: Margin, prior: LabelPrior) -> Factors:
    """log a and log b of p_yy' = δ_y'/δ_y; *raises* ValueError unless the margin has them and a b is constant."""
    found = complete_margin(margin).log_factors(prior)
    if found is None:
        raise ValueError(
            f"consistent weights need a margin with log_factors, the log a and log b of p_yy' = a_y b_y', "
            f"got {shown(margin)}"
        )
    log_a, log_b = (np.broadcast_to(factor, (prior.n_labels,)) for factor in found)
    finite = np.isfinite(log_a) & np.isfinite(log_b)
    both = log_a[finite] + log_b[finite]
    if both.size and np.ptp(both) > RATIO_ROUNDING * (1 + np.abs(log_a[finite]).max()):
        _refuse_ratio(margin)
    return found


def _refuse_ratio(margin: Margin) -> NoReturn:
    raise ValueError(
        f"consistent weights need a margin that is a ratio δ_y'/δ_y, e.g. LogitAdjusted(), got {shown(margin)}: "
        "weightings.ForMargin of it has these margins, which the loss reaches as m grows"
    )


def examples(n_labels: int = 4) -> tuple[Margin, ...]:
    """List one of each margin, as the contract tests and the checks of Proposition 4 use them.

    Parameters
    ----------
    n_labels : int
        L of the offsets.

    Returns
    -------
    tuple of Margin
        The margins.

    Examples
    --------
    >>> import implicitloss as il
    >>> il.margins.LogitAdjusted() in il.margins.examples()
    True
    """
    offsets = Offsets(np.linspace(-0.5, 1.0, n_labels))
    return (Softmax(), LogitAdjusted(), LogitAdjusted(0.5), BalancedSoftmax(), Equalised(), Adaptive(0.25), offsets)
