"""Information: how much an example still says about its scores when labels are sampled, of what it says in full.

The m draws and the positive are n = m + 1 slots, alike but for the one that holds the positive.  Where weights are
consistent and hits kept, the sampled loss is the log-likelihood of which slot that is, and its Hessian H at the optimum
is Fisher's information.  With r = η/q and φ(t) = Σ_j q_j e^{-t r_j}, along a contrast d,

    dᵀHd = Σ d² η A(r) - m ∫ φ^{m-1} (Σ d η e^{-t r})² dt,   A(r) = ∫ r e^{-t r} (1 - φ^m) dt,

over that of softmax over all labels, Σ d² η - (Σ d η)².  About label k alone, d = e_k, it is
η_k A(r_k) - m η_k q_k B(r_k), B(r) = ∫ r e^{-2 t r} φ^{m-1} dt.  *Source:* derived.

The trapezoid rule on t = e^v is that of `witness.integrate.quadrature`: A is the mean of 1 - φ^m at t = s/r, s under
e^{-s}, and φ that of a draw which adds r.  Many labels are put into the bins of `witness.integrate.compression`; A and
B are bounded and analytic in log r as the sums of these bins are, and so their interpolants are as exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from implicitloss.arguments import checked_matrix, shown
from implicitloss.estimate import Estimate
from implicitloss.labels import Floats, LabelPrior, checked_prior, checked_probabilities
from implicitloss.numerics.logsum import log_rest
from implicitloss.optima.sums import HELD, measure_of
from implicitloss.optima.sums import sums as of_all
from implicitloss.problem import Problem
from implicitloss.samplers.sampler import complete_sampler
from implicitloss.scheme import Plan, Scheme, only_iid, without_hard
from implicitloss.weightings import complete_weighting
from implicitloss.witness.integrate.compression import spread_over_labels
from implicitloss.witness.integrate.draw import Measure
from implicitloss.witness.integrate.quadrature import EPS, LEFT, RIGHT, STEP, nodes, power

__all__ = ["about_each_label", "information"]

# w_yy of consistent weights is 1, but for the rounding of the logarithms of q.
CONSISTENT = 1e-9
# A contrast that varies less than this, beside its size, is constant.
CONSTANT = 1e-12
# e to this is a number, whose exponential e^-s is 0.
LARGEST_LOG = 600.0
# The square of a contrast must fit a float.
LARGEST_CONTRAST = 1e150


def information(scheme: Scheme, eta: ArrayLike, prior: LabelPrior, contrasts: ArrayLike | None = None) -> Estimate:
    """Compute the share of full softmax's information that an example keeps when labels are sampled.

    share = dᵀHd / (Σ d² η - (Σ d η)²), H the Hessian of the true expected loss at its optimum f* = log η - log δ, for
    each contrast d.  It is the asymptotic relative efficiency of the sampled loss: an estimate of dᵀf from N examples
    is as exact as one from share · N examples with all labels.

    To keep nine tenths about a label k of small η_k takes about m q_k = 10 η_k, and more where other labels that are
    likely at x are seldom drawn.

    Parameters
    ----------
    scheme : Scheme
        Consistent weights (`weightings.Consistent`, `Relative`, or `Unit` with any sampler) and hits kept; a sampler
        that does not look at scores and draws every label.
    eta : array_like, (L,)
        P(y given x) > 0, summing to 1.
    prior : LabelPrior
        The label prior.
    contrasts : array_like, (n, L), optional
        The d, one a row; a constant added to a row changes nothing.  By default each label, d = e_k, and then log π,
        the tilt, if labels differ in frequency.

    Returns
    -------
    Estimate
        The shares (n,), or (L,) or (L + 1,) by default, between 0 and 1, with a bound on their rounding.

    Raises
    ------
    ValueError
        For other weights, hits that are not kept, hard negatives, a label that is never drawn, η that is no positive
        distribution, a contrast that is constant, and log π of a label that does not occur.

    References
    ----------
    Derived here.

    Examples
    --------
    In-batch draws say nearly nothing of a rare label that is likely at this x; half uniform draws do.

    >>> import numpy as np
    >>> import implicitloss as il
    >>> prior = il.LabelPrior.zipf(1000, 1.0)
    >>> eta = 0.1 * prior.probabilities
    >>> eta[[0, -1]] += 0.45
    >>> for sampler in (il.samplers.WithinBatch(), il.samplers.Mixture(0.5)):
    ...     scheme = il.Scheme(sampler, il.weightings.Relative(), m=255, hits="keep")
    ...     share = il.information(scheme, eta, prior).value
    ...     print(f"first label {share[0]:.2f}, last label {share[999]:.2f}: {sampler.name}")
    first label 0.34, last label 0.07: within-batch sampling
    first label 0.47, last label 0.25: 0.5 within-batch sampling + 0.5 uniform sampling
    """
    law, eta = _checked(scheme, eta, prior)
    draw = _Draw.of(law, np.log(eta) - law, scheme.m)
    if contrasts is not None:
        return _of_contrasts(draw, eta, _checked_contrasts(contrasts, prior))
    each = _of_labels(draw, law, eta)
    if np.ptp(prior.probabilities) == 0:
        return each
    if prior.probabilities.min() <= 0:
        raise ValueError(
            f"the contrast log π needs labels that occur, but label "
            f"{prior.name(int(prior.by_frequency[-1]))} has prior 0: pass contrasts=, e.g. np.eye({eta.size})"
        )
    tilt = _of_contrasts(draw, eta, prior.log[None])
    value, error = np.append(each.value, tilt.value), np.append(each.error, tilt.error)
    return Estimate(value, error, "information", "integrate")


def about_each_label(scheme: Scheme, eta: ArrayLike, prior: LabelPrior) -> Floats:
    """What `information` gives of each label, (L,), without the tilt; *raises* ValueError as it does."""
    law, eta = _checked(scheme, eta, prior)
    return np.asarray(_of_labels(_Draw.of(law, np.log(eta) - law, scheme.m), law, eta).value)


@dataclass(frozen=True, eq=False)
class _Draw:
    """A draw that adds r with probability q, and φ(t) = Σ q e^{-t r} of it at the nodes v = log t."""

    log_q: Floats
    log_r: Floats
    m: int
    measure: Measure
    v: Floats
    log_phi: Floats

    @classmethod
    def of(cls, log_q: Floats, log_r: Floats, m: int) -> _Draw:
        measure = measure_of(log_q, log_r)
        v = nodes(-LEFT - np.log(m) - float(log_r.max()), RIGHT - float(log_r.min()))  # B comes m times
        below = np.clip(of_all(measure, v, np.expm1), -1.0, 0.0)
        with np.errstate(divide="ignore"):
            return cls(log_q, log_r, m, measure, v, np.log1p(below))

    @property
    def rounding(self) -> float:
        """The relative rounding of the integrals."""
        return 4 * self.measure.rounding

    def means(self, log_r: Floats) -> tuple[Floats, Floats]:
        """A(r) and B(r), at the given log r."""
        lost = -np.expm1(self.m * self.log_phi)
        rest = np.exp(power(self.m - 1, self.log_phi))
        a, b = np.empty(log_r.size), np.empty(log_r.size)
        rows = max(1, HELD // self.v.size)
        for start in range(0, log_r.size, rows):
            part = slice(start, start + rows)
            with np.errstate(over="ignore", under="ignore"):
                s = np.exp(np.minimum(log_r[part, None] + self.v, LARGEST_LOG))
                decay = np.exp(-s)
            a[part] = STEP * ((s * decay) @ lost)
            b[part] = STEP * ((s * decay**2) @ rest)
        return a, b

    def of_labels(self) -> tuple[Floats, Floats]:
        """A and B of each label, (L,) each."""
        bins = self.measure.bins
        if bins is None:
            return self.means(self.log_r)
        values = self.means(bins.points.ravel())
        labels = Plan(np.zeros_like(self.log_r), self.log_r)
        nothing = np.zeros_like(self.log_r)
        a, b = (spread_over_labels(bins, value.reshape(bins.points.shape), labels, nothing, 1) for value in values)
        return a, b

    def along(self, contrasts: Floats, eta: Floats) -> tuple[Floats, Floats]:
        """∫ φ^{m-1} (Σ d η e^{-t r})² dt times m, of each contrast (n, L), and Σ d² η A(r); (n,) each."""
        rest = np.exp(power(self.m - 1, self.log_phi))
        a, _ = self.of_labels()
        t, first = np.exp(np.minimum(self.v, LARGEST_LOG)), np.empty(len(contrasts))
        for i, d in enumerate(contrasts):
            with np.errstate(divide="ignore"):
                log_size = self.log_q + self.log_r + np.log(np.abs(d))
            sums = np.zeros_like(self.v)
            for sign in (1.0, -1.0):
                part = np.sign(d) == sign
                if part.any():
                    measure = measure_of(log_size[part], self.log_r[part])
                    sums += sign * of_all(measure, self.v, np.exp)
            first[i] = self.m * STEP * np.sum(t * rest * sums**2)
        return first, contrasts**2 @ (eta * a)


def _of_labels(draw: _Draw, law: Floats, eta: Floats) -> Estimate:
    """The share of each label, (L,)."""
    a, b = draw.of_labels()
    twice = draw.m * np.exp(law) * b
    rest = np.exp(log_rest(np.log(eta)))
    share, error = (a - twice) / rest, draw.rounding * (a + twice) / rest
    top = int(np.argmax(eta))
    if eta[top] > 0.5:  # the difference would cancel: e_k less its mean, on the other labels alone
        centred = np.where(np.arange(eta.size) == top, rest[top], -eta[top])[None]
        first, second = draw.along(centred, eta)
        full = eta[top] * rest[top]
        share[top], error[top] = (second - first)[0] / full, draw.rounding * (second + first)[0] / full
    return _estimate(share, error)


def _of_contrasts(draw: _Draw, eta: Floats, contrasts: Floats) -> Estimate:
    """The share along each contrast (n, L), whose η-mean is taken off first: sums then cancel least."""
    size = np.abs(contrasts).max(axis=1, keepdims=True)
    constant = np.ptp(contrasts, axis=1) <= CONSTANT * size[:, 0]
    if constant.any():
        raise ValueError(f"contrasts must differ among the labels, but row {int(np.argmax(constant))} is constant")
    # From the likeliest label, where a large constant comes off without rounding.
    moved = contrasts - contrasts[:, [int(np.argmax(eta))]]
    moved /= np.abs(moved).max(axis=1, keepdims=True)
    centred = moved - (moved @ eta)[:, None]
    full = centred**2 @ eta
    first, second = draw.along(centred, eta)
    error = draw.rounding * (second + first) / full + 8 * EPS / np.sqrt(full)
    return _estimate((second - first) / full, error)


def _estimate(share: Floats, error: Floats) -> Estimate:
    return Estimate(np.clip(share, 0.0, 1.0), np.minimum(error, 1.0), "information", "integrate")


def _checked(scheme: Scheme, eta: ArrayLike, prior: LabelPrior) -> tuple[Floats, Floats]:
    """The law log q and η; *raises* ValueError where information is not defined."""
    only_iid(without_hard(scheme, "information"), "information")
    checked_prior(prior)
    eta = checked_probabilities(eta, "eta")
    if eta.size != prior.n_labels:
        raise ValueError(f"eta must cover the prior's {prior.n_labels} labels, got {eta.size}")
    if eta.size < 2 or eta.min() <= 0:
        raise ValueError(f"eta must be positive for at least two labels, but label {np.argmin(eta)} has {eta.min():g}")
    if scheme.hits != "keep":
        raise ValueError(
            f"information needs hits that are kept, got hits={scheme.hits!r}: elsewhere the optimum itself is off, see "
            "population_optimum"
        )
    if complete_sampler(scheme.sampler).needs_positive:
        raise ValueError(
            f"information needs a sampler whose law is the same beside every positive, got {scheme.sampler!s:.60}"
        )
    if scheme.sampler.needs_scores:
        raise ValueError(f"information needs a sampler that does not look at scores, got {scheme.sampler!s:.60}")
    law = scheme.log_law(Problem(np.zeros(eta.size), prior, 0))
    if np.isneginf(law).any():
        raise ValueError(
            f"information needs a sampler that draws every label, but label {int(np.argmin(law))} has q = 0: nothing "
            "pushes its score down"
        )
    factors = complete_weighting(scheme.weighting).log_factors(law, prior, scheme.m, excluded=False)
    with np.errstate(invalid="ignore"):
        own = None if factors is None else np.broadcast_to(np.add(*factors), (eta.size,))
    if own is not None and not np.isfinite(own).all():
        label = int(np.argmin(np.isfinite(own)))
        raise ValueError(f"information needs weights of every label, but for label {prior.name(label)} there are none")
    if own is None or np.abs(own).max() > CONSISTENT * (1 + np.abs(law).max()):
        raise ValueError(
            f"information needs consistent weights, w_yy' = δ_y' q_y/(δ_y q_y'), got {shown(scheme.weighting)}: use "
            "weightings.Consistent(target); with other weights the optimum itself is off, see population_optimum"
        )
    return law, eta


def _checked_contrasts(contrasts: ArrayLike, prior: LabelPrior) -> Floats:
    found = checked_matrix(contrasts, "contrasts", LARGEST_CONTRAST)
    if found.shape[1] != prior.n_labels:
        raise ValueError(f"contrasts must have a number for each of {prior.n_labels} labels, got shape {found.shape}")
    return found
