"""Exact expectations of many schemes and positives over one prior and one vector of scores, from one grid.

Where weights are w_yy' = a_y b_y', a draw adds x = e^{κ + u}: u = log b_y' + f_y' depends on the drawn label only, and
κ = log a_y - f_y on the positive only.  So φ_y(t) = Σ q e^{-t e^{κ+u}} is one function Φ of log t + κ for every
positive, every m and every weighting with the same b.  Only y's own atom, p = q_y at u_y, differs: it is taken out
(hits excluded), moved to x = 0 (masked) or left (kept).  With ū = log Σ q e^u, σ = t e^{κ+ū}, ζ = e^{u_y - ū} - 1 and
k(z) = e^{-z} - 1 + z:

    A(σ) = 1 - Φ,   K(σ) = Σ q k(σ (e^{u-ū} - 1))            tabulated once, at log σ = 3/16 times whole numbers
    excluded  A_y = (A - p(1-g))/(1-p), a = pσζ/(1-p), G = (K - p k(σζ))/(1-p)
    masked    A_y = A - p(1-g),         a = pσ(1+ζ),   G = K + p(k(-σ) - k(σζ)),        g = e^{-σ(1+ζ)}
    φ_y e^{t x̄_y} - 1 = e^{-a} (G - k(-a)),   x̄_y the mean of x, hits left out or counted as 0

Hard negatives join the positive: κ_y is less by log(1 + A_y), A_y = Σ_T w_T e^{f_j - f_y}, and a mean is more by it.
Draws that do not count (overlap excluded or masked) are left out of Φ for all positives alike; a positive that the
index returned has another T, and is integrated by itself.

The integrals are those of `integrate`, whose nodes may start anywhere.  Scores enter relative to their maximum, and
σ (1+ζ) as the exponential of one logarithm, so that neither an offset nor a positive far below the rest costs digits.
The error includes the rounding of every logarithm, and what the removal of an atom cancels.  An entry that is not exact
enough is integrated by itself, and so is a positive without a finite κ or with a heavy atom.

One file: the table of Φ, the positives' atoms and the grid that joins them make one integral, and serve no other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from implicitloss.arguments import checked_list
from implicitloss.estimate import Quantity, SweptEstimate, checked_quantity
from implicitloss.kernels.transform import log_transform, log_transform_about_mean
from implicitloss.labels import Floats, LabelPrior, Labels, checked_prior
from implicitloss.losses import Loss, checked_loss
from implicitloss.numerics.logsum import logsumexp
from implicitloss.problem import Problem, checked_positive
from implicitloss.samplers.sampler import complete_sampler
from implicitloss.scheme import Plan, Scheme, checked_scheme
from implicitloss.weightings import complete_weighting
from implicitloss.witness.integrate import draw as measure
from implicitloss.witness.integrate import integrate
from implicitloss.witness.integrate.draw import Measure
from implicitloss.witness.integrate.moments import COARSE, MEAN_SHARE
from implicitloss.witness.integrate.quadrature import EPS, LARGEST_LOG_WORTH, LEFT, RIGHT, STABLE_TO_LOG_T, STEP

__all__ = ["sweep"]

SWEPT: tuple[Quantity, ...] = ("mean", "gap", "mse", "variance")
# A mean may be off by this share of itself before its entry is integrated alone.
MEAN_ERROR_SHARE = 1e-12
# A positive with more of q, or of Σ q x, than this is integrated alone, unless hits are kept.
ALONE_FROM_SHARE = 0.1
# Positives are taken together until their nodes fill this many cells.
GROUP_CELLS = 1 << 20


def sweep(
    schemes: Sequence[Scheme],
    loss: Loss,
    scores: ArrayLike,
    prior: LabelPrior,
    positives: Sequence[int] | None = None,
    quantities: Sequence[Quantity] = ("mean",),
    *,
    index_scores: ArrayLike | None = None,
) -> dict[Quantity, SweptEstimate]:
    """Compute the exact `quantities` of every scheme for every positive, as `integrate` does one by one.

    Softmax schemes with one sampler, one hits mode and weights w_yy' = a_y b_y' (all weights of this library with
    its margins) share one pass over the labels: all positives cost little more than one.  Gradients and
    their variances, decoupled losses, other weights, and samplers that look at the positive are integrated one by one.

    Parameters
    ----------
    schemes : Scheme or sequence of Scheme
        S schemes.
    loss : Loss
        `losses.SoftmaxCrossEntropy()` or `losses.Decoupled(...)`.
    scores : array_like, (L,)
        The scores f.
    prior : LabelPrior
        The label prior.
    positives : sequence of int, optional
        P positive labels, by default all.
    quantities : sequence of {"mean", "variance", "mse", "gap", "gradient", "gradient_variance"}
        As `integrate` has them.
    index_scores : array_like, (L,), optional
        The scores that the index of hard negatives saw, by default f.

    Returns
    -------
    dict of str to SweptEstimate
        Each quantity's `value` and `error`, (S, P) in the order of `schemes` and `positives`; a gradient is (S, P, L).

    Raises
    ------
    ValueError
        For no schemes or no positives, and as `integrate` does.

    References
    ----------
    Derived here.

    Examples
    --------
    >>> import implicitloss as il
    >>> prior = il.LabelPrior.from_counts([8, 4, 3, 1])
    >>> schemes = [il.Scheme(il.samplers.WithinBatch(), il.weightings.Constant(), m=m, hits="mask") for m in (1, 64)]
    >>> swept = il.sweep(schemes, il.losses.SoftmaxCrossEntropy(), [0.3, -0.4, 1.2, -1.7], prior)
    >>> swept["mean"].value.round(4)
    array([[0.3414, 0.9011, 0.2199, 2.0025],
           [0.4635, 1.0802, 0.2288, 2.1967]])
    """
    if isinstance(schemes, Scheme):
        schemes = [schemes]
    checked_loss(loss)
    schemes, quantities = checked_list(schemes, "schemes"), checked_list(quantities, "quantities")
    for scheme in schemes:
        checked_scheme(scheme, "each of the schemes")
    for quantity in quantities:
        checked_quantity(quantity)
    swept = [quantity for quantity in quantities if quantity in SWEPT]
    n_labels = checked_prior(prior).n_labels
    given = range(n_labels) if positives is None else checked_list(positives, "positives")
    labels = [checked_positive(y, n_labels) for y in given]
    if not labels or not schemes:
        raise ValueError(f"a sweep needs schemes and positives, got {len(schemes)} and {len(labels)}")
    first = Problem(scores, prior, labels[0], index_scores=index_scores)  # type: ignore[arg-type]
    tails = {quantity: (prior.n_labels,) if quantity == "gradient" else () for quantity in quantities}
    values = {quantity: np.full((len(schemes), len(labels), *tail), np.nan) for quantity, tail in tails.items()}
    errors = {quantity: np.full_like(value, np.inf) for quantity, value in values.items()}
    grids: list[_Grid] = []
    for i, scheme in enumerate(schemes):
        grid = None
        hard = None if scheme.hard is None else scheme.hard.returned(first)[: scheme.hard.most]
        factors = _factors(scheme, loss, first, labels[-1], hard)
        if factors is not None and swept:
            log_q, log_a, log_b = factors
            # Weightings with the same b share a grid.
            grid = next((known for known in grids if known.serves(scheme, log_b)), None)
            if grid is None:
                grids.append(grid := _Grid.of(scheme, log_q, log_b, first, np.array(labels)))
            joined = _Joined.of(scheme, hard, first.scores, np.array(labels))
            for quantity, (value, error) in grid.integrals(scheme.m, log_a[labels], swept, joined).items():
                if quantity == "mean":
                    value, error = value + joined.log_positive, error + joined.error
                values[quantity][i], errors[quantity][i] = value, np.where(joined.has_own, np.inf, error)
        for j, y in enumerate(labels):
            for quantity in quantities:
                value, error = values[quantity][i, j], errors[quantity][i, j]
                if quantity == "gradient" or not error <= _allowed(quantity, value, grid):
                    alone = integrate(scheme, loss, replace(first, positive=y), quantity)
                    values[quantity][i, j], errors[quantity][i, j] = alone.value, alone.error
    return {
        quantity: SweptEstimate(
            values[quantity],
            errors[quantity],
            quantity,
            "sweep",
            schemes=tuple(schemes),
            positives=tuple(labels),
            names=prior.names,
        )
        for quantity in quantities
    }


def _allowed(quantity: Quantity, value: float, grid: _Grid | None) -> float:
    """The largest error of an entry that is kept.  Large logarithms allow more: `integrate` rounds them as much."""
    precise = max(MEAN_ERROR_SHARE, 4 * grid.draw.log_rounding) if grid else MEAN_ERROR_SHARE
    return precise * value if quantity == "mean" else max(10 * COARSE * value, MEAN_SHARE)


def _factors(
    scheme: Scheme, loss: Loss, first: Problem, last: int, hard: Labels | None = None
) -> tuple[Floats, Floats, Floats] | None:
    """Log q, log a and log b, (L,) each; None where there are no such factors.

    The law is unconditional, but for hard negatives that are drawn again.
    """
    if scheme.draws != "iid" or not loss.has_log or complete_sampler(scheme.sampler).needs_positive:
        return None
    # A weighting may refuse a label that is never drawn, unless it is the positive: two positives show it.
    at_last = replace(first, positive=last)
    scheme.plan(first)
    scheme.plan(at_last)
    log_q = scheme.log_law(first)
    if not np.array_equal(log_q, scheme.log_law(at_last)):
        return None
    if scheme.hard is not None and scheme.hard.overlap == "exclude":
        log_q = np.array(log_q)
        log_q[hard] = -np.inf
        log_rest = logsumexp(log_q)
        if log_rest == -np.inf:
            return None
        log_q -= log_rest
    with np.errstate(divide="ignore", invalid="ignore"):
        weighting = complete_weighting(scheme.weighting)
        found = weighting.log_factors(log_q, first.prior, scheme.m, scheme.hits == "exclude")
    if found is None:
        return None
    log_a, log_b = found
    log_b = np.where(np.isneginf(log_q), -np.inf, log_b)
    if scheme.hard is not None and scheme.hard.overlap == "mask":
        log_b[hard] = -np.inf
    return log_q, np.broadcast_to(log_a, log_q.shape), log_b


@dataclass(frozen=True, eq=False)
class _Joined:
    """The hard negatives joined to each positive, (Y,): log(1 + A_y), its `error`, and the rounding of log A_y.

    `has_own` marks the positives that the index returned, whose T is another.
    """

    log_positive: Floats
    error: Floats
    slip: Floats
    has_own: NDArray[np.bool_]

    @classmethod
    def of(cls, scheme: Scheme, hard: Labels | None, scores: Floats, labels: Labels) -> _Joined:
        if scheme.hard is None or hard is None or not hard.size:
            nothing = np.zeros(labels.size)
            return cls(nothing, nothing, nothing, np.zeros(labels.size, dtype=bool))
        log_w, f = float(np.log(scheme.hard.weight)), scores[hard]
        log_a = log_w + logsumexp(f) - scores[labels]
        log_positive = np.logaddexp(0.0, log_a)
        slip = EPS * (16 + hard.size / 128 + 2 * (abs(log_w) + np.abs(f).max() + np.abs(scores[labels])))
        error = slip * -np.expm1(-log_positive) + EPS * log_positive
        return cls(log_positive, error, slip + EPS * log_positive, np.isin(labels, hard))


def _k(z: Floats) -> Floats:
    """e^{-z} - 1 + z, without cancellation."""
    series = np.ones_like(z)
    for n in range(18, 2, -1):
        series = 1.0 - z / n * series
    return np.where(np.abs(z) > 0.5, np.expm1(-z) + z, 0.5 * z * z * series)


@dataclass(frozen=True, eq=False)
class _Atoms:
    """The own atoms of some positives, (Y,): p = q_y, `own` = log(1 + ζ) = u_y - ū, and κ with its rounding `slip`."""

    p: Floats
    own: Floats
    kappa: Floats
    slip: Floats

    def columns(self) -> _Atoms:
        """These atoms as columns, (Y, 1)."""
        return _Atoms(self.p[:, None], self.own[:, None], self.kappa[:, None], self.slip[:, None])

    @property
    def zeta(self) -> Floats:
        return np.expm1(np.minimum(self.own, 700.0))

    def worth(self, nodes: Floats) -> Floats:
        """σ (1 + ζ) at log σ = `nodes`."""
        return np.exp(np.minimum(nodes + self.own, 700.0))


@dataclass(eq=False)
class _Table:
    """A, φ and K of one draw, with errors, at log σ = STEP k for k = `first`, `first` + 1, ..."""

    first: int
    a: Floats
    phi: Floats
    k: Floats
    a_error: Floats
    phi_error: Floats
    k_error: Floats

    @classmethod
    def of(cls, draw: Measure, log_mean: float, first: int, last: int) -> _Table:
        nodes: Floats = STEP * np.arange(first, last + 1, dtype=np.float64)
        v = nodes - log_mean
        log_phi = log_transform(v, draw.q, draw.log_x)
        a, phi = -np.expm1(log_phi), np.exp(log_phi)
        # A relative error δ of t x changes 1 - φ by at most δ of itself, and φ by -δ log φ (-s log s is concave).
        relative = draw.rounding + EPS * (np.abs(nodes) + abs(log_mean))
        missed = draw.total_error(v, log_phi)
        a_error = relative * a + missed
        phi_error = relative * phi * (1 - np.maximum(log_phi, -800.0)) + missed
        near = nodes <= STABLE_TO_LOG_T + 1
        k, k_error = np.full(nodes.size, np.inf), np.full(nodes.size, np.inf)
        excess = np.expm1(np.minimum(draw.log_x - log_mean, 700.0))
        k[near] = np.expm1(log_transform_about_mean(nodes[near], draw.q, excess, 1.0))
        scale = np.exp(nodes[near])
        # σ is exact to `relative`, and σ k'(σ z) <= (2 + σ) k(σ z).
        k_error[near] = relative[near] * (2 + scale) * k[near] + draw.centred_error(scale, log_mean, 2)
        return cls(first, a, phi, k, a_error, phi_error, k_error)


@dataclass(eq=False)
class _Grid:
    """The law of u in one draw, tabulated as far as it is needed, and the positives whose integrals can share it."""

    scheme: Scheme
    log_b: Floats
    draw: Measure
    log_mean: float
    scores: Floats
    p: Floats
    own: Floats
    table: _Table | None = field(default=None, init=False)

    @classmethod
    def of(cls, scheme: Scheme, log_q: Floats, log_b: Floats, first: Problem, labels: Labels) -> _Grid:
        # An offset of all scores must not cost digits.
        scores = first.scores - first.scores.max()
        draw = next(measure.measures(Plan(log_q, log_b), scores))
        log_mean = draw.log_mean
        own = (log_b + scores)[labels] - log_mean if log_mean > -np.inf else np.full(labels.size, -np.inf)
        return cls(scheme, log_b, draw, log_mean, scores[labels], np.exp(log_q[labels]), own)

    def serves(self, scheme: Scheme, log_b: Floats) -> bool:
        """Whether a scheme's draws lie on this grid."""
        one, other = ((of.sampler, of.hits, of.hard) for of in (scheme, self.scheme))
        return one == other and np.array_equal(log_b, self.log_b)

    def _rows(self, low: Floats, high: Floats, shift: Floats) -> tuple[_Table, Any, Floats]:
        """The table, and in it the indices (Y, n) and log σ of the nodes from log σ - shift = `low` to `high`."""
        first = np.floor((low + shift) / STEP).astype(int)
        n = int(np.max(np.ceil((high + shift) / STEP) - first)) + 1
        start, end = int(first.min()), int(first.max()) + n
        if self.table is not None:
            start, end = min(start, self.table.first), max(end, self.table.first + self.table.a.size - 1)
        if self.table is None or self.table.a.size <= end - start:
            self.table = _Table.of(self.draw, self.log_mean, start, end)
        k = first[:, None] + np.arange(n)
        return self.table, k - self.table.first, np.multiply(STEP, k, dtype=np.float64)

    def _without_own(
        self, table: _Table, at: Any, nodes: Floats, atoms: _Atoms
    ) -> tuple[Floats, Floats, Floats, Floats]:
        """A_y and φ_y at the nodes, (Y, n), and their errors."""
        a, phi, a_error, phi_error = table.a[at], table.phi[at], table.a_error[at], table.phi_error[at]
        if self.scheme.hits == "keep":
            return a, phi, a_error, phi_error
        p, z = atoms.p, atoms.worth(nodes)
        gone, left = p * -np.expm1(-z), p * np.exp(-z)
        slip = self.draw.log_rounding + EPS * (8 + np.abs(nodes) + np.abs(np.maximum(atoms.own, -800.0)))
        a_error, phi_error = a_error + slip * gone, phi_error + slip * (1 + z) * left
        if self.scheme.hits == "mask":
            return a - gone, phi - left + p, a_error, phi_error + EPS * p
        return (a - gone) / (1 - p), (phi - left) / (1 - p), a_error / (1 - p), phi_error / (1 - p)

    def integrals(
        self, m: int, log_a: Floats, quantities: Sequence[Quantity], joined: _Joined | None = None
    ) -> dict[Quantity, tuple[Floats, Floats]]:
        """(values, errors) of each quantity for each positive, (Y,); errors are inf where the grid does not serve."""
        found = {name: (np.full(log_a.size, np.nan), np.full(log_a.size, np.inf)) for name in quantities}
        kappa = log_a - self.scores + self.log_mean - (joined.log_positive if joined else 0.0)
        high = np.log(m) + kappa + (self.draw.high - self.log_mean)
        served = (np.abs(kappa) < LARGEST_LOG_WORTH) & (np.abs(high) < LARGEST_LOG_WORTH)
        if self.scheme.hits != "keep":
            # Where the positive is much of the law, or of its mean, what is left without it has lost digits.
            with np.errstate(divide="ignore"):
                served &= (self.p <= ALONE_FROM_SHARE) & (np.log(self.p) + self.own <= np.log(ALONE_FROM_SHARE))
        with np.errstate(invalid="ignore"):
            slip = EPS * (8 + np.abs(log_a) + np.abs(self.scores) + abs(self.log_mean)) + (
                joined.slip if joined else 0.0
            )
        order = np.flatnonzero(served)
        order = order[np.argsort(high[order], kind="stable")]
        while order.size:
            n_nodes = (2 * (np.abs(high[order]) + self.draw.high - max(self.draw.low, -2e5)) + 50) / STEP
            # A group is as wide as its widest member, and so neighbours go together.
            size = max(
                1, int(np.searchsorted(np.maximum.accumulate(n_nodes) * np.arange(1, order.size + 1), GROUP_CELLS))
            )
            group, order = order[:size], order[size:]
            atoms = _Atoms(self.p[group], self.own[group], kappa[group], slip[group]).columns()
            with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
                if "mean" in quantities:
                    found["mean"][0][group], found["mean"][1][group] = self._mean(m, atoms, high[group])
                if set(quantities) - {"mean"}:
                    for name, (value, error) in self._second_order(m, atoms, high[group]).items():
                        if name in quantities:
                            found[name][0][group], found[name][1][group] = value, error
        return {name: (value, np.where(np.isfinite(value), error, np.inf)) for name, (value, error) in found.items()}

    def _mean(self, m: int, atoms: _Atoms, high: Floats) -> tuple[Floats, Floats]:
        kappa = atoms.kappa[:, 0]
        table, at, nodes = self._rows(-np.maximum(0.0, high) - LEFT, np.full(high.size, RIGHT), kappa)
        a, _, a_error, _ = self._without_own(table, at, nodes, atoms)
        decay = np.exp(-np.exp(nodes - atoms.kappa))
        log_phi = np.log1p(-np.clip(a, 0.0, 1.0))
        value = STEP * np.sum(decay * -np.expm1(m * log_phi), axis=1)
        slope = np.minimum(1.0, 1 - a + a_error) ** (m - 1)
        error = STEP * np.sum(decay * m * slope * a_error, axis=1)
        return value, error + (self.draw.rounding + atoms.slip[:, 0]) * value

    def _second_order(self, m: int, atoms: _Atoms, high: Floats) -> dict[Quantity, tuple[Floats, Floats]]:
        p, zeta, kappa = atoms.p[:, 0], atoms.zeta[:, 0], atoms.kappa[:, 0]
        lost = {"keep": 0 * p, "mask": p * (1 + zeta), "exclude": p * zeta / (1 - p)}[self.scheme.hits]
        log_s = np.log(m) + kappa + np.log1p(-lost)
        c = np.logaddexp(0.0, log_s)
        least = self.draw.low if self.scheme.hits != "mask" else -np.inf
        low_s = np.log(m) + kappa + least - self.log_mean
        top = RIGHT + np.maximum(0.0, c - np.logaddexp(0.0, low_s))
        table, at, nodes = self._rows(-np.maximum(0.0, high - c) - LEFT, top, kappa - c)
        v = nodes - (kappa - c)[:, None]
        a, phi, a_error, phi_error = self._without_own(table, at, nodes, atoms)
        p, zeta = atoms.p, atoms.zeta
        sigma = np.exp(np.minimum(nodes, STABLE_TO_LOG_T + 1))
        gone, shift, rest = np.zeros_like(sigma), np.zeros_like(sigma), np.ones_like(p)
        if self.scheme.hits == "exclude":
            gone, shift, rest = -p * _k(sigma * zeta), p * sigma * zeta / (1 - p), 1 - p
        elif self.scheme.hits == "mask":
            gone, shift = p * (_k(-sigma) - _k(sigma * zeta)), p * sigma * (1 + zeta)
        back = _k(-shift)
        excess = np.exp(-shift) * ((table.k[at] + gone) / rest - back)
        rounded = 16 * EPS + self.draw.log_rounding + EPS * np.abs(nodes)
        slip = rounded * (2 + sigma) * (np.abs(gone) / rest + back)
        if self.scheme.hits == "mask":
            slip = slip + rounded * (2 + sigma) * p * (_k(-sigma) + _k(sigma * zeta))
        excess_error = np.exp(-shift) * (table.k_error[at] / rest + slip)
        t = np.exp(v)
        log_mgf = m * np.log1p(np.maximum(excess, -0.999))
        near = (log_mgf <= 1) & (v <= STABLE_TO_LOG_T)
        d_near = np.exp(-t) * np.expm1(log_mgf)
        e_near = np.exp(-t) * np.exp(log_mgf) * m * excess_error / np.maximum(1 + excess, 1e-3)
        log_phi = np.where(a < 0.5, np.log1p(-np.minimum(a, 0.9)), np.log(np.maximum(phi, 1e-300)))
        phi_off = np.where(a < 0.5, a_error, phi_error)
        weight = np.exp(-np.exp(v - c[:, None]))
        d_far = np.exp(m * log_phi) * weight - np.exp(-t)
        slope = np.minimum(1.0, np.exp(log_phi) + phi_off) ** (m - 1)
        e_far = m * phi_off * slope * weight
        d, off = np.where(near, d_near, d_far), np.where(near, e_near, e_far)
        off = off + self.draw.rounding * np.abs(d)
        kernel = 2 * (np.euler_gamma + v)
        gap, gap_error = STEP * np.sum(d, axis=1), STEP * np.sum(off, axis=1)
        mse, mse_error = STEP * np.sum(kernel * d, axis=1), STEP * np.sum(np.abs(kernel) * off, axis=1)
        own = self.draw.log_rounding + atoms.slip[:, 0]
        gap_error += 4 * own * (np.sqrt(np.abs(2 * gap)) + own)
        mse_error += 4 * own * (np.sqrt(np.abs(mse)) + own)
        variance_error = mse_error + 2 * np.abs(gap) * gap_error + gap_error**2
        # Where mse - gap² cancels, the entry is integrated alone.
        cancels = gap**2 > mse / 2
        return {
            "gap": (np.maximum(gap, 0.0), gap_error),
            "mse": (np.maximum(mse, 0.0), mse_error),
            "variance": (np.maximum(mse - gap**2, 0.0), np.where(cancels, np.inf, variance_error)),
        }
