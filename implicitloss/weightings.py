"""Weights w_yy' on sampled negatives (Rawat et al. 2021, Table 1, Eqs. 15 and 16).

A weighting sees two laws: that of the draws (`log_q`, which is conditional when hits are excluded) and the sampler's
unconditional law (`log_q_unconditional`).  Its definition says by which of them it divides.

One file: the weightings are a few lines each, beside the documentation of their public classes.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from implicitloss import margins
from implicitloss.arguments import checked_array, checked_choice, checked_part, completed, shown
from implicitloss.draws import DrawsName, expected_tries, log_counts
from implicitloss.labels import NO_LABELS, Floats, LabelPrior, Labels
from implicitloss.later import later
from implicitloss.numerics.logsum import log_rest

if TYPE_CHECKING:
    import sympy as sp

    from implicitloss import symbols as s
else:
    sp = later("sympy")
    s = later("implicitloss.symbols")

__all__ = [
    "Consistent",
    "Constant",
    "Draws",
    "ForMargin",
    "Given",
    "Importance",
    "Relative",
    "Tail",
    "Unit",
    "Weighting",
    "examples",
]

Law = Callable[["sp.Expr"], "sp.Expr"]
Factors = tuple[Floats | float, Floats | float] | None
Count = Literal["expected", "naive", "tf"]
COUNTS: tuple[Count, ...] = get_args(Count)
LARGEST_WEIGHT = 1e150


@dataclass(frozen=True)
class Draws:
    """What a weighting may look at: the laws of a draw, m, the prior and the positive.

    Parameters
    ----------
    log_q : ndarray, (L,)
        The law of a draw, which is conditional where positives or hard negatives are drawn again; -inf for a label that
        is never drawn.
    log_q_unconditional : ndarray, (L,)
        The sampler's law q.
    m : int
        The number of negatives.
    prior : LabelPrior
        The label prior.
    positive : int
        y.
    free : ndarray of bool, (L,), optional
        The labels that need no weight: those that pay nothing as negatives, if the sampler leaves them out and the
        loss is known, and hard negatives and other positives whose draws do not count.  None for no labels.
    hard : ndarray of int, (k',)
        T, the hard negatives, which the loss has beside the draws.
    design : {"iid", "distinct", "set", "bernoulli"}
        How the negatives come from the law.

    Examples
    --------
    >>> import numpy as np
    >>> import implicitloss as il
    >>> problem = il.Problem([0.0, 0.0, 0.0], il.LabelPrior.from_counts([5, 3, 2]), positive=0)
    >>> scheme = il.Scheme(il.samplers.WithinBatch(), il.weightings.Importance(), m=4, hits="exclude")
    >>> draws = scheme.laws(problem)
    >>> np.exp(draws.log_q), np.exp(draws.log_q_unconditional)
    (array([0. , 0.6, 0.4]), array([0.5, 0.3, 0.2]))
    """

    log_q: Floats
    log_q_unconditional: Floats
    m: int
    prior: LabelPrior
    positive: int
    free: NDArray[np.bool_] | None = None
    hard: Labels = field(default_factory=lambda: NO_LABELS)
    design: DrawsName = "iid"

    @cached_property
    def _counts(self) -> tuple[Floats, float]:
        return log_counts(self.design, self.log_q, self.m)

    @property
    def log_in(self) -> Floats:
        """log P(y' ∈ N), (L,), under `log_q`; for i.i.d. draws the logarithm of the expected count m q."""
        return self._counts[0]

    @property
    def in_error(self) -> float:
        """A bound on the relative error of P(y' ∈ N)."""
        return self._counts[1]

    @cached_property
    def log_in_unconditional(self) -> Floats:
        """log P(y' ∈ N), (L,), under `log_q_unconditional`; for i.i.d. draws log(m q)."""
        if np.array_equal(self.log_q, self.log_q_unconditional):
            return self.log_in
        return log_counts(self.design, self.log_q_unconditional, self.m)[0]

    @cached_property
    def never(self) -> Labels:
        """The labels that are never drawn, q = 0."""
        return np.flatnonzero(self.log_q == -np.inf)


class Weighting(Protocol):
    """The weights w_yy' of sampled negatives.

    A class of your own needs `is_eta_over_m` and `log_weight`, and `weight` for derivations.  The other members have
    defaults, even if the class does not inherit from this one: `name` is str(weighting), `m_power` is -1 where w = η/m
    and else None, `reads_inclusion` is False, `log_factors` returns None.  `implicitloss.testing.check_weighting`
    checks that all of it agrees.

    Examples
    --------
    A slip: log q is subtracted from the negatives' scores, and not log(m q).  Each negative counts m times.

    >>> from dataclasses import dataclass
    >>> import implicitloss as il
    >>> @dataclass(frozen=True)
    ... class LogQ:
    ...     is_eta_over_m = False  # w = 1/q_y'
    ...     def log_weight(self, draws):
    ...         return -draws.log_q
    ...     def weight(self, q, q_unconditional, yp):
    ...         return 1 / q(yp)
    >>> scheme = il.Scheme(il.samplers.WithinBatch(), LogQ(), m=64, hits="mask")
    >>> print(il.derive(scheme, il.losses.SoftmaxCrossEntropy()))
    p_yy' = m
    """

    @property
    def name(self) -> str:
        """How reports call the weights.  Default: str(weighting)."""
        return str(self)

    @property
    def is_eta_over_m(self) -> bool:
        """Whether w = η/m with η independent of m, as Theorem 3 assumes."""
        ...

    @property
    def m_power(self) -> int | None:
        """The k of w = η m^k with η independent of m, or None.  With it, several m share their work.

        Default: -1 where `is_eta_over_m`, else None.
        """
        return -1 if self.is_eta_over_m else None

    @property
    def reads_inclusion(self) -> bool:
        """Whether the weights divide by P(y' ∈ N), `draws.log_in`, where draws are not independent.

        In symbols, `weight` is then given P/m for q.  Default: False.
        """
        return False

    def log_weight(self, draws: Draws) -> Floats:
        """The logarithms log w_yy' for each y', (L,).

        Parameters
        ----------
        draws : Draws
            The laws of a draw, m, the prior and the positive y.

        Returns
        -------
        ndarray, (L,)
            -inf for a weight of 0, and for a label that is never drawn.
        """
        ...

    def weight(self, q: Law, q_unconditional: Law, yp: sp.Expr) -> sp.Expr:
        """The weight w_yy' in symbols.

        Parameters
        ----------
        q : callable
            q(y') of a draw, from a label to an expression; the conditional law where hits are excluded.
        q_unconditional : callable
            The sampler's own q(y').
        yp : sympy.Expr
            The label: y', or the positive y itself.

        Returns
        -------
        sympy.Expr
            w_yy', with `implicitloss.symbols.m` for m.
        """
        ...

    def log_factors(self, log_q: Floats, prior: LabelPrior, m: int, excluded: bool) -> Factors:
        """The logarithms of the factors in w_yy' = a_y b_y', by which one computation serves many positives.

        Default: None, no such factors.

        Parameters
        ----------
        log_q : ndarray, (L,)
            The sampler's unconditional law.
        prior : LabelPrior
            The label prior.
        m : int
            The number of negatives.
        excluded : bool
            Whether hits are excluded.

        Returns
        -------
        tuple of two, or None
            log a and log b, each (L,) or a number.
        """
        return None


def complete_weighting(weighting: Weighting) -> Weighting:
    """`weighting` with the defaults of `Weighting` for what its class leaves out."""
    return completed(weighting, Weighting)


def checked_weighting(weighting: Weighting) -> Weighting:
    """`weighting`; *raises* ValueError for a class, a name, or anything without weights in numbers."""
    checked: Weighting = checked_part(
        weighting, Weighting, "weighting", ("is_eta_over_m", "log_weight"), "weightings.Importance()"
    )
    return checked


@dataclass(frozen=True)
class Constant(Weighting):
    """Constant weights: w_yy' = 1/m.

    References
    ----------
    Rawat et al. 2021, Table 1.

    Examples
    --------
    >>> import implicitloss as il
    >>> scheme = il.Scheme(il.samplers.WithinBatch(), il.weightings.Constant(), m=64, hits="mask")
    >>> print(il.derive(scheme, il.losses.SoftmaxCrossEntropy()))
    p_yy' = pi[y'] — equalised loss (Tan et al. 2020)
    """

    name = "constant weights 1/m"
    is_eta_over_m = True

    def log_weight(self, draws: Draws) -> Floats:
        return np.full(draws.prior.n_labels, -math.log(draws.m))

    def log_factors(self, log_q: Floats, prior: LabelPrior, m: int, excluded: bool) -> Factors:
        return -np.log(m), 0.0

    def weight(self, q: Law, q_unconditional: Law, yp: sp.Expr) -> sp.Expr:
        return 1 / s.m


@dataclass(frozen=True)
class Unit(Weighting):
    """Weights of 1, as word2vec and in-batch softmax have them: w_yy' = 1.

    They are not of the form η/m that Theorem 3 assumes.

    Examples
    --------
    >>> import implicitloss as il
    >>> scheme = il.Scheme(il.samplers.WithinBatch(), il.weightings.Unit(), m=64, hits="mask")
    >>> print(il.derive(scheme, il.losses.SoftmaxCrossEntropy()))
    p_yy' = m*pi[y']
    """

    name = "weights of 1"
    is_eta_over_m = False
    m_power = 0

    def log_weight(self, draws: Draws) -> Floats:
        return np.zeros(draws.prior.n_labels)

    def log_factors(self, log_q: Floats, prior: LabelPrior, m: int, excluded: bool) -> Factors:
        return 0.0, 0.0

    def weight(self, q: Law, q_unconditional: Law, yp: sp.Expr) -> sp.Expr:
        return sp.Integer(1)


@dataclass(frozen=True, repr=False)
class Consistent(Weighting):
    """The weights that teach the target at every m: w_yy' = p_yy' q_y/q_y', p_yy' = δ_y'/δ_y a ratio, q unconditional.

    Where hits are kept, softmax cross-entropy with these weights has the optimum f* = log η - log δ for every sampler
    and every m >= 1: the m draws and the positive are m + 1 slots, and a slot holds the positive with a probability
    in proportion to η/q of its label.  δ = 1 is softmax, δ = π^τ logit adjustment.  In code, log q - log δ comes off
    every logit, the positive's too, and hits are left in.

    Importance and tail weights, `ForMargin` of the same targets, reach this optimum only as m grows.

    Parameters
    ----------
    target : Margin
        A margin that is a ratio: `Softmax()`, `LogitAdjusted(tau)`, `BalancedSoftmax()`, or `Offsets(delta)`, which
        teaches log η + delta.

    Raises
    ------
    ValueError
        For a margin that is no ratio; when they are used, if the sampler never draws the positive: q_y = 0 would make
        every weight 0.

    References
    ----------
    Derived here; for δ = 1 the weights are the relative ones of Rawat et al. 2021, Table 1.

    Examples
    --------
    With two draws, the optimum is that of the logit-adjusted loss over all labels.

    >>> import numpy as np
    >>> import implicitloss as il
    >>> prior, eta = il.LabelPrior.from_counts([8, 4, 3, 1]), np.array([0.4, 0.3, 0.2, 0.1])
    >>> weighting = il.weightings.Consistent(il.margins.LogitAdjusted())
    >>> scheme = il.Scheme(il.samplers.Uniform(), weighting, m=2, hits="keep")
    >>> f = il.population_optimum(scheme, il.losses.SoftmaxCrossEntropy(), eta, prior)
    >>> target = np.log(eta) - prior.log
    >>> bool(np.allclose(f, target - target.mean()))
    True
    """

    target: margins.Margin = field(default_factory=margins.Softmax)
    is_eta_over_m = False
    m_power = 0
    reads_inclusion = True

    def __post_init__(self) -> None:
        margins.checked_ratio(self.target)

    @property
    def name(self) -> str:
        """The weights, with their target."""
        return f"consistent weights for {margins.complete_margin(self.target).name}"

    def log_weight(self, draws: Draws) -> Floats:
        log_q = draws.log_q_unconditional if draws.design == "iid" else draws.log_in_unconditional
        if log_q[draws.positive] == -np.inf:
            raise ValueError(
                f"{self.name} divide by q_y'/q_y and need a sampler that can draw the positive, but it gives label "
                f"{draws.positive} q = 0"
            )
        log_p = self.target.log_margin(draws.prior, draws.positive)
        with np.errstate(invalid="ignore"):
            return np.where(log_q == -np.inf, -np.inf, log_p + (log_q[draws.positive] - log_q))

    def log_factors(self, log_q: Floats, prior: LabelPrior, m: int, excluded: bool) -> Factors:
        log_a, log_b = margins.checked_factors_of_ratio(self.target, prior)
        with np.errstate(invalid="ignore"):
            return log_a + log_q, log_b - log_q

    def weight(self, q: Law, q_unconditional: Law, yp: sp.Expr) -> sp.Expr:
        return self.target.margin(yp) * q_unconditional(s.y) / q_unconditional(yp)

    def __repr__(self) -> str:
        return f"Consistent({self.target})"


@dataclass(frozen=True, repr=False)
class Relative(Consistent):
    """Relative weights: w_yy' = q_y / q_y', with the sampler's unconditional q and without 1/m.

    They are not of the form η/m that Theorem 3 assumes.  Where hits are kept they are consistent for softmax.

    Raises
    ------
    ValueError
        When they are used, if the sampler never draws the positive: q_y = 0 would make every weight 0.

    References
    ----------
    Rawat et al. 2021, Table 1; Yi et al. 2019.

    Examples
    --------
    >>> import implicitloss as il
    >>> scheme = il.Scheme(il.samplers.WithinBatch(), il.weightings.Relative(), m=64, hits="mask")
    >>> print(il.derive(scheme, il.losses.SoftmaxCrossEntropy()))
    p_yy' = m*pi[y]
    """

    target: margins.Margin = field(default=margins.Softmax(), init=False)
    name = "relative weights"

    def __repr__(self) -> str:
        return "Relative()"


@dataclass(frozen=True, repr=False)
class ForMargin(Weighting):
    """The weights whose implicit margins are p: w_yy' = p_yy' / (m q_y').

    Parameters
    ----------
    target : Margin
        p.

    Raises
    ------
    ValueError
        When they are used, if p_yy' > 0 and q_y' = 0: no weight can replace a negative that is never drawn.  Labels
        that `samplers.MinimumVariance` leaves out because they pay nothing are excepted, and so are hard negatives and
        other positives whose draws do not count.

    References
    ----------
    Rawat et al. 2021, Proposition 4 (Eq. 15).

    Examples
    --------
    >>> import implicitloss as il
    >>> weighting = il.weightings.ForMargin(il.margins.LogitAdjusted(0.5))
    >>> scheme = il.Scheme(il.samplers.Uniform(), weighting, m=64, hits="exclude")
    >>> print(il.derive(scheme, il.losses.SoftmaxCrossEntropy()))
    p_yy' = sqrt(pi[y'])/sqrt(pi[y]) — logit-adjusted loss, τ = 1/2 (Menon et al. 2021)
    """

    target: margins.Margin
    is_eta_over_m = True
    reads_inclusion = True

    def __post_init__(self) -> None:
        margins.checked_margin(self.target)

    def log_weight(self, draws: Draws) -> Floats:
        log_p = self.target.log_margin(draws.prior, draws.positive)
        # The positive needs no weight where it is never drawn.
        never = draws.never
        unreachable = never[(log_p[never] > -np.inf) & (never != draws.positive)]
        if draws.free is not None:
            unreachable = unreachable[~draws.free[unreachable]]
        if unreachable.size:
            label = int(unreachable[0])
            is_of_count_0 = bool(draws.prior.probabilities[label] == 0)
            raise ValueError(
                f"no weight gives label {label} its margin p = {np.exp(min(log_p[label], 700.0)):.3g}, because the "
                f"sampler draws it with q = 0{', as its count is 0' * is_of_count_0}; use a sampler that covers every "
                f"label with p > 0{', or count each label once: np.maximum(counts, 1)' * is_of_count_0}"
            )
        with np.errstate(invalid="ignore"):
            log_w = self._over_count(log_p, draws)
        log_w[never] = -np.inf
        return log_w

    def _over_count(self, log_p: Floats, draws: Draws) -> Floats:
        """log p less the logarithm of how often each label is in N in the mean, (L,)."""
        if draws.design != "iid":
            return np.asarray(log_p - draws.log_in)
        log_w = log_p - draws.log_q
        log_w -= math.log(draws.m)
        return np.asarray(log_w)

    def log_factors(self, log_q: Floats, prior: LabelPrior, m: int, excluded: bool) -> Factors:
        factors = margins.complete_margin(self.target).log_factors(prior)
        if factors is None:
            return None
        log_a, log_b = factors
        # The conditional q is q/(1 - q_y).  A label with q = 0 and p = 0 gets NaN, which is never read.
        with np.errstate(invalid="ignore"):
            return log_a - np.log(m) + (log_rest(log_q) if excluded else 0.0), log_b - log_q

    def weight(self, q: Law, q_unconditional: Law, yp: sp.Expr) -> sp.Expr:
        law = q(yp)
        return sp.Integer(0) if law == 0 else self.target.margin(yp) / (s.m * law)

    def __repr__(self) -> str:
        return f"ForMargin({self.target})"


@dataclass(frozen=True, repr=False, eq=False)
class Given:
    """Weights of your own: w_y' of each negative, or w_yy' of each beside each positive.

    They are for one number of negatives, and are taken as they are: neither divided by m nor by q.

    Parameters
    ----------
    weights : array_like, (L,) or (L, L)
        w >= 0: of the negatives y', or a row for each positive y.

    Raises
    ------
    ValueError
        For weights that are negative or no finite numbers, and for another shape; when they are used, for a prior with
        another number of labels.  A derivation, which is in symbols, refuses them.

    Examples
    --------
    >>> import implicitloss as il
    >>> prior = il.LabelPrior.from_counts([8, 4, 4])
    >>> scheme = il.Scheme("uniform", [1.0, 1.0, 3.0], m=6, hits="mask")
    >>> il.implicit_margins(scheme, prior).round(12)  # m w q
    array([[0., 2., 6.],
           [2., 0., 6.],
           [2., 2., 0.]])
    """

    weights: Floats
    is_eta_over_m = False

    def __post_init__(self) -> None:
        forms = {1: "one a label, (L,)", 2: "one for each pair of labels, (L, L)"}
        weights = checked_array(self.weights, "weights", forms, LARGEST_WEIGHT)
        if weights.ndim == 2 and weights.shape[0] != weights.shape[1]:
            raise ValueError(f"weights must be one a label, or one for each pair of labels, got {shown(self.weights)}")
        if weights.min() < 0:
            raise ValueError(f"weights must not be negative, got {weights.min():g}")
        weights = weights + 0.0  # no -0
        weights.setflags(write=False)
        object.__setattr__(self, "weights", weights)

    def log_weight(self, draws: Draws) -> Floats:
        """Return the logarithms of the weights beside a positive, (L,); -inf for a weight of 0."""
        self._check(draws.prior)
        with np.errstate(divide="ignore"):
            return np.log(self.weights if self.weights.ndim == 1 else self.weights[draws.positive])

    def log_factors(self, log_q: Floats, prior: LabelPrior, m: int, excluded: bool) -> Factors:
        """Return 0 and log w, (L,), of weights w_y'; None for those of pairs, and where one is 0."""
        self._check(prior)
        if self.weights.ndim == 2 or not self.weights.min() > 0:
            return None
        return 0.0, np.log(self.weights)

    def _check(self, prior: LabelPrior) -> None:
        if self.weights.shape[0] != prior.n_labels:
            raise ValueError(f"weights must cover the prior's {prior.n_labels} labels, got {shown(self.weights)}")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Given) and np.array_equal(self.weights, other.weights)

    def __hash__(self) -> int:
        return hash(self.weights.tobytes())

    def __repr__(self) -> str:
        shape = " × ".join(map(str, self.weights.shape))
        return f"Given({shape} weights, {hashlib.sha256(self.weights.tobytes()).hexdigest()[:8]})"


@dataclass(frozen=True, repr=False)
class Importance(ForMargin):
    """Importance weights: w_yy' = 1/(m q_y'), by which the sum over the draws is unbiased for the full sum.

    Where draws are not independent they are 1/P(y' ∈ N), which is unbiased too.

    Parameters
    ----------
    count : {"expected", "naive", "tf"}
        What the weights divide by.  "expected": how often a label is among the negatives in the mean.  The others are
        common slips where draws are not independent:

        - "naive": m q_y', as for independent draws.
        - "tf": 1 - (1 - q_y')^T, T the expected number of tries until m labels are different.  TensorFlow's samplers
          take the number of tries that was observed.

    Raises
    ------
    ValueError
        For another count.

    References
    ----------
    Rawat et al. 2021, Table 1.  "tf": `compute_sampled_logits` of TensorFlow with unique draws.

    Examples
    --------
    >>> import implicitloss as il
    >>> scheme = il.Scheme(il.samplers.WithinBatch(), il.weightings.Importance(), m=64, hits="mask")
    >>> print(il.derive(scheme, il.losses.SoftmaxCrossEntropy()))
    p_yy' = 1 — softmax cross-entropy
    """

    target: margins.Margin = field(default=margins.Softmax(), init=False)
    count: Count = "expected"

    def __post_init__(self) -> None:
        checked_choice(self.count, "count", COUNTS)
        object.__setattr__(self, "reads_inclusion", self.count == "expected")

    @property
    def name(self) -> str:
        """The weights, and by what they divide."""
        slips = {"naive": " on draws that are not independent", "tf": ", m q by the expected number of tries"}
        return "importance weights 1/(m q)" + slips.get(self.count, "")

    def _over_count(self, log_p: Floats, draws: Draws) -> Floats:
        if draws.design == "iid" or self.count == "expected":
            return super()._over_count(log_p, draws)
        if self.count == "naive":
            return np.asarray(log_p - draws.log_q - np.log(draws.m))
        tries = expected_tries(draws.design, draws.log_q, draws.m)
        with np.errstate(divide="ignore"):
            return np.asarray(log_p - np.log(-np.expm1(tries * np.log1p(-np.exp(draws.log_q)))))

    def __repr__(self) -> str:
        return "Importance()" if self.count == "expected" else f"Importance(count={self.count!r})"


@dataclass(frozen=True, repr=False)
class Tail(ForMargin):
    """Tail weights: w_yy' = π_y' / (π_y m q_y'), by which any sampler has the margins of the logit-adjusted loss.

    References
    ----------
    Rawat et al. 2021, Eq. 16.

    Examples
    --------
    >>> import implicitloss as il
    >>> scheme = il.Scheme(il.samplers.WithinBatch(), il.weightings.Tail(), m=64, hits="mask")
    >>> print(il.derive(scheme, il.losses.SoftmaxCrossEntropy()))
    p_yy' = pi[y']/pi[y] — logit-adjusted loss (Menon et al. 2021)
    """

    target: margins.Margin = field(default=margins.LogitAdjusted(), init=False)
    name = "tail weights"

    def __repr__(self) -> str:
        return "Tail()"


def examples() -> tuple[Weighting, ...]:
    """List one of each weighting, as the contract tests and the checks use them.

    Returns
    -------
    tuple of Weighting
        The weightings.

    Examples
    --------
    >>> import implicitloss as il
    >>> [str(weighting) for weighting in il.weightings.examples() if not weighting.is_eta_over_m]
    ['Unit()', 'Relative()', 'Consistent(LogitAdjusted(tau=1.0))']
    """
    adjusted = Consistent(margins.LogitAdjusted())
    return (Constant(), Unit(), Importance(), Relative(), Tail(), ForMargin(margins.Equalised()), adjusted)
