"""Value, gradient and Hessian of a softmax objective at one x: the implicit loss, or the expected sampled loss."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from implicitloss.labels import Floats, LabelPrior
from implicitloss.losses import Loss
from implicitloss.problem import Problem
from implicitloss.samplers.sampler import complete_sampler
from implicitloss.scheme import Scheme
from implicitloss.weightings import complete_weighting
from implicitloss.witness.integrate import gradient_and_hessian, integrate
from implicitloss.witness.integrate.quadrature import LEFT, RIGHT, STEP

__all__ = [
    "WIDEST_SPREAD",
    "Factors",
    "Objective",
    "found_factors",
    "implicit_objective",
    "sampled_objective",
    "shared_factors",
    "shared_law",
]

# Positives are integrated one by one beyond this share of q, this share of Σ q x, or this span of the scores.
ALONE_FROM_LAW_SHARE, ALONE_FROM_SUM_SHARE, ALONE_FROM_SPREAD = 0.1, 0.9, 40.0
# Weights whose logarithms are a sum of two within this, relative to their size, have factors.
FACTORED = 1e-11
# Scores that span more would need grids beyond memory.
WIDEST_SPREAD = 1e4
# The laws of so many positives are compared, evenly spaced.
MOST_COMPARED, LABELS_COMPARED = 100, 3_000_000
Objective = Callable[[Floats], tuple[float, Floats, Floats]]
# log q, log a and log b of weights a_y b_y', (L,) each.
Factors = tuple[Floats, Floats, Floats]


def implicit_objective(eta: Floats, log_p: Floats) -> Objective:
    """Σ_y η_y log(1 + c_y + Σ_{y' ≠ y} p_yy' e^{f_y' - f_y}) and its derivatives; the diagonal of log p is log c."""
    from scipy.special import logsumexp

    base = np.array(log_p)
    # The 1 and the kept hits c_y both go with e^0.
    np.fill_diagonal(base, np.logaddexp(0.0, np.diag(log_p)))

    def objective(f: Floats) -> tuple[float, Floats, Floats]:
        terms = base + f[None, :] - f[:, None]
        losses = logsumexp(terms, axis=1)
        shares = np.exp(terms - losses[:, None])
        column = eta @ shares
        return float(eta @ losses), column - eta, np.diag(column) - shares.T @ (eta[:, None] * shares)

    return objective


def sampled_objective(scheme: Scheme, loss: Loss, eta: Floats, prior: LabelPrior) -> Objective:
    """Σ_y η_y E ℓ_y and its derivatives, from one grid where weights have factors, else label by label."""
    found = shared_factors(scheme, prior)
    if found is None:
        return _one_by_one(scheme, loss, eta, prior)
    law, log_a, log_b = found
    q = np.exp(law)

    def objective(f: Floats) -> tuple[float, Floats, Floats]:
        # Taking a heavy positive out of the grid would cancel digits, and scores far apart would cancel them all.
        u = log_b + f
        x = q * np.exp(u - u.max())
        heavy = (
            (q > ALONE_FROM_LAW_SHARE) | (x > ALONE_FROM_SUM_SHARE * x.sum())
            if scheme.hits != "keep"
            else np.zeros(f.size, dtype=bool)
        )
        if np.ptp(f) > ALONE_FROM_SPREAD:
            heavy[:] = True
        parts = [_one_by_one(scheme, loss, np.where(heavy, eta, 0.0), prior)] if heavy.any() else []
        if not heavy.all():
            parts.append(_from_one_grid(scheme, np.where(heavy, 0.0, eta), q, log_a, log_b))
        value, gradient, hessian = zip(*(part(f) for part in parts), strict=True)
        return float(sum(value)), np.sum(gradient, axis=0), np.sum(hessian, axis=0)

    return objective


def shared_factors(scheme: Scheme, prior: LabelPrior) -> Factors | None:
    """log q, log a and log b of w_yy' = a_y b_y', (L,) each; None if weights have none, or each positive a law.

    None too where draws are not independent.
    """
    if scheme.draws != "iid":
        return None
    shape = (prior.n_labels,)
    law = shared_law(scheme, prior)
    if law is None:
        return None
    found = complete_weighting(scheme.weighting).log_factors(law, prior, scheme.m, scheme.hits == "exclude")
    if found is None:
        return None
    log_a, log_b = (np.broadcast_to(factor, shape) for factor in found)
    return law, log_a, np.where(np.isneginf(law), -np.inf, log_b)


def shared_law(scheme: Scheme, prior: LabelPrior) -> Floats | None:
    """log q of all positives, (L,); None if they differ, as the sampler says, or as the laws of 3 to 100 show."""
    n = prior.n_labels
    law = scheme.log_law(Problem(np.zeros(n), prior, 0))
    if complete_sampler(scheme.sampler).needs_positive:
        return None
    # A sampler of one's own may not say it.
    compared = max(3, min(MOST_COMPARED, LABELS_COMPARED // n))
    others = np.unique(np.linspace(1, n - 1, min(n - 1, compared)).astype(int)) if n > 1 else ()
    same = all(np.array_equal(law, scheme.log_law(Problem(np.zeros(n), prior, int(y)))) for y in others)
    return law if same else None


def found_factors(scheme: Scheme, prior: LabelPrior) -> Factors | None:
    """What `shared_factors` gives, read off the weights (L, L), where the weighting does not say it."""
    n = prior.n_labels
    law = shared_law(scheme, prior)
    if law is None or n < 2:
        return None
    w = np.array([scheme.plan(Problem(np.zeros(n), prior, y)).log_w for y in range(n)])
    counts = np.full(w.shape, True) if scheme.hits == "keep" else ~np.eye(n, dtype=bool)
    with np.errstate(invalid="ignore"):  # labels of weight 0 have no factors
        # Beside label 0 from its own row; its own weight, and that of each other positive, from labels 1 and 2.
        a = w[:, 1] - w[0, 1]
        a[1] = w[1, 2] - w[0, 2] if n > 2 else w[1, 0] - w[0, 0] if scheme.hits == "keep" else 0.0
        b = np.append(w[1, 0] - a[1], w[0, 1:])
        off = np.abs(w - a[:, None] - b)[counts]
    return (law, a, b) if np.all(off <= FACTORED * (1 + np.abs(w[counts]))) else None


def _one_by_one(scheme: Scheme, loss: Loss, eta: Floats, prior: LabelPrior) -> Objective:
    def objective(f: Floats) -> tuple[float, Floats, Floats]:
        value, gradient, hessian = 0.0, np.zeros_like(f), np.zeros((f.size, f.size))
        for y in np.flatnonzero(eta):
            problem = Problem(f, prior, int(y))
            value += eta[y] * float(integrate(scheme, loss, problem))
            g, h = gradient_and_hessian(scheme, loss, problem)
            gradient += eta[y] * g
            hessian += eta[y] * h
        return value, gradient, hessian

    return objective


def _from_one_grid(scheme: Scheme, eta: Floats, q: Floats, log_a: Floats, log_b: Floats) -> Objective:
    """Value, gradient and Hessian by matrix products on one grid.

    x_k = e^{κ_y + u_k}, and so e^{-t x_k} = E_Vk = exp(-e^{V + u_k}) at V = log t + κ_y.  With α = q e^u, and one atom
    of φ_y taken out or moved (see `implicitloss.witness.integrate.sweep`), for k, l ≠ y: E s_k = α_k Σ_V G_yV E_Vk and
    E s_k s_l = α_k α_l Σ_V B_yV E_Vk E_Vl + [k = l] α_k e^{u_k} Σ_V C_yV E_Vk, where G = m h e^{V-t} φ_y^{m-1},
    B = m(m-1) h e^{2V-t} φ_y^{m-2} and C = m h e^{2V-t} φ_y^{m-1}.  *Source:* derived.
    """
    m, hits = scheme.m, scheme.hits
    # Positives with η = 0 here are integrated elsewhere: their entries must be numbers, but are not used.
    counted = eta > 0
    rest = np.where(counted, 1 - q, 1.0) if hits == "exclude" else np.ones_like(q)

    def objective(f: Floats) -> tuple[float, Floats, Floats]:
        u, kappa = log_b + f, np.where(counted, log_a - f, np.min((log_a - f)[counted]))
        top = float(u.max())
        low = float(np.min(kappa - np.maximum(0.0, np.log(m) + kappa + top))) - LEFT
        v = STEP * np.arange(np.floor(low / STEP), np.ceil((float(kappa.max()) + RIGHT) / STEP) + 1)
        with np.errstate(over="ignore"):
            z = np.exp(v[:, None] + u)
            decay = np.exp(-z)
            t = np.exp(v - kappa[:, None])
            gone = q[:, None] * -np.expm1(-z).T if hits != "keep" else np.zeros_like(t)
        below = np.clip((q @ -np.expm1(-z).T - gone) / rest[:, None], 0.0, 1.0)
        with np.errstate(divide="ignore"):
            log_phi = np.log1p(-below)
        value = float(eta @ (STEP * np.sum(np.exp(-t) * -np.expm1(m * log_phi), axis=1)))
        alpha, own = q * np.exp(u), np.arange(f.size)

        def weights(order: int, power: int) -> Floats:
            exponent = order * v - t + (power * log_phi if power else 0.0)
            return np.asarray((eta / rest)[:, None] * m * STEP * np.exp(exponent))

        g, c = weights(1, m - 1), weights(2, m - 1)
        b = (m - 1) * weights(2, m - 2) / rest[:, None] if m > 1 else np.zeros_like(g)
        rows = decay.T  # (L, V)
        # Σ_y over all positives but the label itself.
        s = alpha * (rows @ g.sum(axis=0) - np.sum(rows * g, axis=1))
        total = decay @ alpha - alpha[:, None] * rows  # Σ_{k != y} α_k E_Vk, (L, V)
        gradient = s - np.sum(g * total, axis=1)
        both = (rows * b.sum(axis=0)) @ decay
        of_own = (rows * b) @ decay
        outer = np.multiply.outer(alpha, alpha) * (both - of_own - of_own.T)
        outer[own, own] = alpha**2 * (both - of_own)[own, own]
        outer[own, own] += alpha * np.exp(u) * (rows @ c.sum(axis=0) - np.sum(rows * c, axis=1))
        hessian = np.diag(s) - outer
        # Only score differences matter: row and column y of each positive's part follow.
        across = alpha * ((g - b * total) @ decay) - alpha * np.exp(u) * (c @ decay)
        across[own, own] = 0.0
        hessian -= across + across.T
        hessian[own, own] += across.sum(axis=1)
        return value, gradient, hessian

    return objective
