"""Theorem 3, made precise: the first two terms of the bias and of the squared error in 1/m.

With w = η/m, η free of m, X = η e^{f_y' - f_y} for y' ~ q, μ = 1 + E X (in units of e^{f_y}), v = V[X]/μ² and
k3 = κ₃(X)/μ³ (hard negatives join the positive: μ = 1 + A + E X, A = Σ_T w_T e^{f_j - f_y}):

    E ℓ(N) - b       = -v/(2m) + (k3/3 - 3v²/4)/m² + O(1/m³)
    E (ℓ(N) - b)²    =  v/m    + (11 v²/4 - k3)/m² + O(1/m³).

The leading squared error is Rawat et al. 2021, Eq. 12; the rest is derived.  "m large" means m >> v.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from implicitloss.arguments import shown
from implicitloss.estimate import checked_finite
from implicitloss.losses import Loss, checked_loss
from implicitloss.numerics.logsum import logsumexp
from implicitloss.problem import Problem, checked_problem
from implicitloss.scheme import Scheme, checked_scheme

__all__ = ["Expansion", "OutsideTheorem3", "Series", "expand", "relative_moments"]


class OutsideTheorem3(ValueError):
    """The scheme's weights are not η/m with η free of m, or the loss is not softmax cross-entropy.

    References
    ----------
    Rawat et al. 2021, Theorem 3.

    Examples
    --------
    >>> import implicitloss as il
    >>> problem = il.Problem([0.3, -0.4, 1.2], il.LabelPrior.from_counts([8, 4, 3]), positive=1)
    >>> scheme = il.Scheme(il.samplers.Uniform(), il.weightings.Relative(), m=3, hits="mask")
    >>> try:
    ...     il.expand(scheme, il.losses.SoftmaxCrossEntropy(), problem)
    ... except il.OutsideTheorem3 as error:
    ...     print(error)
    Theorem 3 needs weights η/m with η free of m; Relative() is not of that form
    """


@dataclass(frozen=True)
class Series:
    """The first two terms of a series in 1/m; `first` is already divided by m, and `second` by m²."""

    first: float
    second: float

    @property
    def value(self) -> float:
        """Both terms together."""
        return self.first + self.second


@dataclass(frozen=True)
class Expansion:
    """Theorem 3's two terms in 1/m, as `expand` returns them.

    Parameters
    ----------
    bias : Series
        The terms of E ℓ(N) - b: `first`, `second` and their sum `value`.
    mse : Series
        The terms of E (ℓ(N) - b)².
    v, k3 : float
        Variance and third central moment of η e^{f_y'} in units of μ = e^{f_y} + Σ_T w_T e^{f_j} + E η e^{f_y'}.
    log_mu : float
        log μ.

    References
    ----------
    Rawat et al. 2021, Theorem 3 (Eq. 12), for the leading squared error; the rest is derived here.

    Examples
    --------
    The expected loss lies below the implicit loss, by half as much at twice the m.

    >>> import implicitloss as il
    >>> problem = il.Problem([0.3, -0.4, 1.2, -1.7], il.LabelPrior.from_counts([8, 4, 3, 1]), positive=1)
    >>> for m in (8, 16):
    ...     scheme = il.Scheme(il.samplers.WithinBatch(), il.weightings.Constant(), m=m, hits="mask")
    ...     expansion = il.expand(scheme, il.losses.SoftmaxCrossEntropy(), problem)
    ...     print(m, round(expansion.bias.first, 4), round(expansion.bias.value, 4))
    8 -0.0202 -0.0209
    16 -0.0101 -0.0103
    """

    bias: Series
    mse: Series
    v: float
    k3: float
    log_mu: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "bias": [self.bias.first, self.bias.second],
            "mse": [self.mse.first, self.mse.second],
            "v": self.v,
            "k3": self.k3,
            "log_mu": self.log_mu,
        }


def expand(scheme: Scheme, loss: Loss, problem: Problem) -> Expansion:
    """Compute Theorem 3's two terms in 1/m of the bias and of the squared error at `scheme.m`.

    E ℓ(N) - b = -v/(2m) + (k3/3 - 3v²/4)/m² + O(1/m³) and E (ℓ(N) - b)² = v/m + (11v²/4 - k3)/m² + O(1/m³), b the
    implicit loss, v and k3 the variance and third central moment of η e^{f_y'} in units of μ = e^{f_y} + E η e^{f_y'}
    (with hard negatives T, Σ_T w_T e^{f_j} more).

    Parameters
    ----------
    scheme : Scheme
        The sampler q, the weights w, the number of negatives m and what a hit on the positive does.
    loss : Loss
        `losses.SoftmaxCrossEntropy()` or `losses.Decoupled(...)`.
    problem : Problem
        Scores, label prior and positive label of one example.

    Returns
    -------
    Expansion
        `bias` and `mse`, each with `first`, `second` and their sum `value`; v, k3 and log μ.

    Raises
    ------
    OutsideTheorem3
        For weights not of the form η/m (relative, unit), and for decoupled losses, which Lemma 1 covers exactly.
    ValueError
        For moments too large for floating point.

    References
    ----------
    Rawat et al. 2021, Theorem 3 (Eq. 12), for the leading squared error; the rest is derived here.

    Examples
    --------
    >>> import implicitloss as il
    >>> prior = il.LabelPrior.from_counts([8, 4, 3, 1])
    >>> problem = il.Problem([0.3, -0.4, 1.2, -1.7], prior, positive=1)
    >>> scheme = il.Scheme(il.samplers.WithinBatch(), il.weightings.Constant(), m=3, hits="mask")
    >>> loss = il.losses.SoftmaxCrossEntropy()
    >>> expansion = il.expand(scheme, loss, problem)
    >>> round(expansion.mse.first, 4), round(expansion.mse.value, 4)
    (0.1078, 0.1272)
    """
    checked_scheme(scheme)
    checked_problem(problem)
    if not checked_loss(loss).has_log:
        raise OutsideTheorem3(
            f"Theorem 3 is about softmax cross-entropy, not {loss.name:.60}; "
            "Lemma 1 gives its mean and variance exactly"
        )
    if scheme.draws != "iid":
        raise OutsideTheorem3(
            f"Theorem 3 is about independent draws, draws='iid', not draws={scheme.draws!r}; integrate has the numbers"
        )
    if not scheme.weighting.is_eta_over_m:
        raise OutsideTheorem3(
            f"Theorem 3 needs weights η/m with η free of m; {shown(scheme.weighting)} is not of that form"
        )
    return relative_moments(scheme, loss, problem)


def relative_moments(scheme: Scheme, loss: Loss, problem: Problem) -> Expansion:
    """The expansion's terms for η = m w at this m, whether the theorem covers the scheme or not.

    v and k3 are the variance and third central moment of one draw in units of μ; see `expand` for when the series means
    something.
    """
    plan = scheme.plan(problem)
    m, q = scheme.m, np.exp(plan.log_q)
    payment = loss.log_payment(problem.scores, problem.positive)
    log_x = np.where(q > 0, plan.log_w + np.log(m) + payment, -np.inf)
    log_mean = float(logsumexp(log_x, b=q)) if np.any(log_x > -np.inf) else -np.inf
    log_mu = float(np.logaddexp(0.0, log_mean))
    if plan.hard.size:
        log_mu = float(np.logaddexp(log_mu, logsumexp(plan.log_hard_terms(payment))))
    with np.errstate(over="ignore", invalid="ignore"):
        spread = np.exp(log_mean - log_mu) * np.expm1(log_x - log_mean) if log_mean > -np.inf else np.zeros_like(q)
        spread = np.where(q > 0, spread, 0.0)
        v, k3 = np.sum(q * spread**2), np.sum(q * spread**3)
        checked_finite(np.array([k3, v**2]), "the expansion's terms")
    v, k3 = float(v), float(k3)
    return Expansion(
        bias=Series(-v / (2 * m), (k3 / 3 - 3 * v**2 / 4) / m**2),
        mse=Series(v / m, (11 * v**2 / 4 - k3) / m**2),
        v=v,
        k3=k3,
        log_mu=log_mu + float(problem.scores[problem.positive]),
    )
