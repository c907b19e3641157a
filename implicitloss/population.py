"""What a scheme teaches: the scores that minimise its expected loss at one x, where η(x) = P(y given x) is known.

No training noise, no features: the bias of the scheme alone.  Compare argmax f* with Bayes (argmax η) and with balanced
Bayes (argmax η/π).

Which loss is meant is said by `of`: "sampled", the true expected loss E ℓ(N), which training minimises and which is the
default; or "implicit", the implicit loss, for softmax an upper bound of it with the same margins.  The two can teach
different things: with one within-batch negative, hits masked, on twenty labels of CIFAR-100-LT, relative weights have
a tilt of 0 in truth and of .40 by the bound, importance weights of -2.36 and of 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.sparse.csgraph import connected_components
from scipy.special import logsumexp

from implicitloss.arguments import shown
from implicitloss.implicit import log_expected_weights
from implicitloss.labels import Floats, LabelPrior, checked_prior, checked_probabilities, checked_vector
from implicitloss.losses import Decoupled, Loss, SoftmaxCrossEntropy, checked_loss
from implicitloss.problem import Problem
from implicitloss.scheme import Scheme, checked_scheme
from implicitloss.witness.integrate import LEFT, RIGHT, STEP, gradient_and_hessian, integrate

Of = Literal["implicit", "sampled"]

# Newton has converged when no label's gradient exceeds this share of its η.
GRADIENT = 1e-12
ITERATIONS = 500
# Beyond these, one label's share of the law, its share of Σ q x or the spread of scores asks for integrals one by one.
HEAVY, MOST, FAR = 0.1, 0.9, 40.0
# Scores further apart than this ask for grids beyond memory.
FARTHEST = 1e4
# Of log π, squared: below this it is rounding.
FLAT = 1e-12
# Newton's method solves for all labels at once: twice as many take four times the memory and eight times as long.
MOST_LABELS = 5_000


class NoOptimum(ValueError):
    """The expected loss has no finite minimiser, or Newton's method did not reach it."""


def population_optimum(scheme: Scheme, loss: Loss, eta: ArrayLike, prior: LabelPrior, of: Of = "sampled") -> Floats:
    """argmin_f Σ_y η_y ℓ_y(f), (L,): of the true expected sampled loss, or of its bound (`of="implicit"`).

    Softmax: only differences matter, and the result is centred to mean 0.  Decoupled: the minimiser is
    unique and returned as it is; implicit and sampled coincide (Lemma 1).  Newton's method on a convex
    function, exact gradients and Hessians; stops at a gradient of 1e-12 η_y.  Time grows
    with L³: on two cores 1,000 labels take ten seconds (one by the bound), and 5,000 three minutes (forty seconds)
    and 2.3 GB; more are refused.

    `eta` (L,): P(y given x) > 0, summing to 1.  *Raises* ValueError for η that is no positive distribution, for
    more than 5,000 labels, and for a sampler whose law depends on the scores; NoOptimum where there is none.
    *Source:* derived.
    """
    eta = _checked(scheme, loss, eta, prior, of)
    start = np.log(eta)
    log_p = np.array([log_expected_weights(scheme, Problem(start, prior, y)) for y in range(prior.n_labels)])
    if isinstance(loss, Decoupled):
        return _decoupled(loss, eta, log_p)
    _check_held(log_p)
    # Of the sampled loss it is a start.
    optimum = _newton(_implicit(eta, log_p), start, eta)
    if of == "sampled":
        optimum = _newton(_sampled(scheme, loss, eta, prior), optimum, eta)
    return optimum


def tilt(scheme: Scheme, prior: LabelPrior, of: Of = "sampled") -> float:
    """The slope of the softmax optimum on log π where all labels are equally likely, by least squares.

    0: the scores are log η, as full softmax teaches.  -1: log η - log π, the balanced rule.  Below 0 rare labels gain.
    The optimum is that of the true sampled loss, or of its bound (`of="implicit"`).  *Raises* ValueError for a prior
    without frequent and rare labels, or with labels that never occur, else as `population_optimum`, which is called at
    all L labels: `prior.few(20)` is enough to see which way a scheme leans.  *Source:* derived.
    """
    checked_prior(prior)
    if not prior.probabilities.min() > 0:
        raise ValueError(
            f"a tilt needs labels that occur, but label {prior.name(int(prior.by_frequency[-1]))} has prior 0; "
            "prior.few(20) is of labels that do"
        )
    x = prior.log - prior.log.mean()
    if not x @ x > FLAT:
        raise ValueError("a tilt needs frequent and rare labels, but all labels are equally frequent")
    eta = np.full(prior.n_labels, 1 / prior.n_labels)
    return float(x @ population_optimum(scheme, SoftmaxCrossEntropy(), eta, prior, of) / (x @ x))


@dataclass(frozen=True)
class Certificate:
    """How near scores f are to the minimiser f* of a convex expected loss.

    `gradient` is the largest |∂/∂f_j| / η_j; `curvature` the least eigenvalue μ of the Hessian on score differences;
    `distance` bounds max (f - f*) - min (f - f*), which is inf if f is too far for the bound to say anything.
    """

    gradient: float
    curvature: float
    distance: float


def certify_optimum(
    scheme: Scheme, loss: Loss, eta: ArrayLike, prior: LabelPrior, f: ArrayLike, of: Of = "sampled"
) -> Certificate:
    """What is known of the distance of `f` (L,) from the softmax optimum that `population_optimum` looks for.

    That is the optimum of the true sampled loss, or of its bound (`of="implicit"`).

    With λ² = gᵀ H⁻¹ g, Newton's decrement, and τ = λ √(2/μ) < 1 the distance is at most -log(1 - τ).  For a mixture of
    log-sum-exps the third derivative along d is at most osc(d) = max d - min d times the second, so dᵀH(f + sd)d >=
    e^{-s osc(d)} dᵀH(f)d; at d = f* - f the gradient vanishes, hence ‖d‖_H (1 - e^{-o})/o <= λ, o = osc(d) <=
    √2 ‖d‖ <= √(2/μ) ‖d‖_H.  Up to the rounding of g and H.  *Raises* ValueError for decoupled losses.
    *Source:* derived, after Bach 2010 (self-concordance of the logistic loss).
    """
    if not checked_loss(loss).has_log:
        raise ValueError(
            f"a decoupled optimum is a root in one number for each label; {loss.name} needs no certificate"
        )
    eta, scores = _checked(scheme, loss, eta, prior, of), checked_vector(f, "scores")
    if scores.size != eta.size:
        raise ValueError(f"scores must cover the prior's {eta.size} labels, got {scores.size}")
    # Weights that are undefined for some positive are named here, whichever loss is meant.
    log_p = np.array([log_expected_weights(scheme, Problem(scores, prior, y)) for y in range(prior.n_labels)])
    objective = _sampled(scheme, loss, eta, prior) if of == "sampled" else _implicit(eta, log_p)
    with np.errstate(over="ignore", invalid="ignore"):
        scores = scores - scores.min()
        if scores.max() <= FARTHEST:
            _, gradient, hessian = objective(scores - scores.mean())
    if not (scores.max() <= FARTHEST and np.all(np.isfinite(hessian))):
        raise ValueError(
            f"scores must lie nearer to each other for a certificate with these weights: they span {scores.max():.4g}, "
            "and the Hessian overflows"
        )
    # The direction that changes nothing is given an eigenvalue above all others.
    pinned = hessian + 2 * np.max(np.diag(hessian)) / scores.size
    curvature = float(np.linalg.eigvalsh(pinned)[0])
    steepest = float(np.max(np.abs(gradient) / eta))
    if not curvature > 0:
        return Certificate(steepest, curvature, np.inf)
    decrement = float(gradient @ np.linalg.solve(pinned, gradient))
    tau = math.sqrt(2 * decrement / curvature) if decrement >= 0 else math.inf
    return Certificate(steepest, curvature, -math.log1p(-tau) if tau < 1 else math.inf)


def _checked(scheme: Scheme, loss: Loss, eta: ArrayLike, prior: LabelPrior, of: str) -> Floats:
    """η as a vector; *raises* ValueError for what has no optimum to look for."""
    checked_scheme(scheme)
    checked_prior(prior)
    if not isinstance(checked_loss(loss), (SoftmaxCrossEntropy, Decoupled)):
        raise ValueError(f"an optimum is that of SoftmaxCrossEntropy() or a Decoupled(...) loss, got {shown(loss)}")
    if prior.n_labels > MOST_LABELS:
        raise ValueError(
            f"an optimum is looked for among at most {MOST_LABELS:,} labels, got {prior.n_labels:,}; prior.few(20) are "
            "enough to see which way a scheme leans"
        )
    eta = checked_probabilities(eta, "eta")
    if eta.size != prior.n_labels:
        raise ValueError(f"eta must cover the prior's {prior.n_labels} labels, got {eta.size}")
    if eta.min() <= 0:
        raise ValueError(f"eta must be positive, but label {np.argmin(eta)} has 0: its best score is -infinity")
    if not isinstance(of, str) or of not in ("implicit", "sampled"):
        got = repr(of) if isinstance(of, str) else type(of).__name__
        raise ValueError(f"of must be 'implicit' or 'sampled', got {got:.60}")
    if scheme.sampler.needs_scores:
        raise ValueError(
            f"the law of {scheme.sampler!s:.60} moves with the scores, so there is no fixed loss to minimise; "
            "use a sampler that does not look at scores"
        )
    return eta


def _check_held(log_p: Floats) -> None:
    """*Raises* NoOptimum unless every label is held from above and below, by some chain of negatives.

    f_y pushes f_y' down where p_yy' > 0; a finite minimum exists if and only if these pushes connect all labels
    strongly (as for Bradley and Terry's model, Ford 1957).
    """
    n_groups, group = connected_components(~np.isneginf(log_p), connection="strong")
    if n_groups > 1:
        label = int(np.argmin(np.bincount(group)[group]))
        raise NoOptimum(f"label {label} has no finite optimum: it is no negative of the others, or they are none of it")


Objective = Callable[[Floats], tuple[float, Floats, Floats]]


def _implicit(eta: Floats, log_p: Floats) -> Objective:
    """Value, gradient and Hessian of Σ_y η_y log(1 + c_y + Σ_{y' != y} p_yy' e^{f_y' - f_y}), c_y on the diagonal."""
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


def _sampled(scheme: Scheme, loss: Loss, eta: Floats, prior: LabelPrior) -> Objective:
    """Value, gradient and Hessian of Σ_y η_y E ℓ_y: from one grid where weights have factors, else label by label."""
    factors = getattr(scheme.weighting, "log_factors", None)
    law, other = (scheme.sampler.log_law(Problem(np.zeros(eta.size), prior, y)) for y in (0, eta.size - 1))
    found = factors and factors(law, prior, scheme.m, scheme.hits == "exclude")
    if found is None or not np.array_equal(law, other):
        return _one_by_one(scheme, loss, eta, prior)
    log_a, log_b = (np.broadcast_to(factor, eta.shape) for factor in found)
    q = np.exp(law)
    log_b = np.where(np.isneginf(law), -np.inf, log_b)

    def objective(f: Floats) -> tuple[float, Floats, Floats]:
        # A positive that is much of the law or of its mean: the grid would cancel its digits, and scores far apart all.
        u = log_b + f
        x = q * np.exp(u - u.max())
        heavy = (q > HEAVY) | (x > MOST * x.sum()) if scheme.hits != "keep" else np.zeros(f.size, dtype=bool)
        if np.ptp(f) > FAR:
            heavy[:] = True
        parts = [_one_by_one(scheme, loss, np.where(heavy, eta, 0.0), prior)] if heavy.any() else []
        if not heavy.all():
            parts.append(_from_one_grid(scheme, np.where(heavy, 0.0, eta), q, log_a, log_b))
        value, gradient, hessian = zip(*(part(f) for part in parts), strict=True)
        return float(sum(value)), np.sum(gradient, axis=0), np.sum(hessian, axis=0)

    return objective


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
    """The same as matrix products: x_k = e^{κ_y + u_k}, and e^{-t x_k} = E_Vk = exp(-e^{V + u_k}) at V = log t + κ_y.

    With α = q e^u and one atom of φ_y taken out or moved (see `implicitloss.grid`), for k, l != y
    E s_k = α_k Σ_V G_yV E_Vk and E s_k s_l = α_k α_l Σ_V B_yV E_Vk E_Vl + [k = l] α_k e^{u_k} Σ_V C_yV E_Vk, where
    G = m h e^{V-t} φ_y^{m-1}, B = m(m-1) h e^{2V-t} φ_y^{m-2} and C = m h e^{2V-t} φ_y^{m-1}.  *Source:* derived.
    """
    m, hits = scheme.m, scheme.hits
    # Positives of η = 0 are integrated alone elsewhere: what they have here is not looked at, but must be a number.
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


def _newton(objective: Objective, start: Floats, eta: Floats) -> Floats:
    """Newton's method, damped as Levenberg and Marquardt do where the function is far from a parabola."""
    f = start - start.mean()
    # Steps that overflow are not taken.
    with np.errstate(over="ignore", invalid="ignore"):
        return _newton_from(f, objective, eta)


def _newton_from(f: Floats, objective: Objective, eta: Floats) -> Floats:
    value, gradient, hessian = objective(f)
    damping = 0.0
    for _ in range(ITERATIONS):
        if np.all(np.abs(gradient) <= GRADIENT * eta):
            return f
        step = _step(hessian + np.diag(damping * eta), gradient)
        slope = float(gradient @ step)
        # Exponentials: a step of many units is no step of a parabola's.
        accepted = bool(np.all(np.abs(step) < 20)) and slope < 0
        if accepted:
            trial = objective(f + step)
            accepted = trial[0] <= value + 1e-4 * slope + 1e-14 * abs(value) and bool(np.all(np.isfinite(trial[2])))
        if accepted:
            f, (value, gradient, hessian) = f + step, trial
            damping = damping / 10 if damping > 1e-6 else 0.0
        elif damping > 1e12:
            break
        else:
            damping = max(10 * damping, 1e-6)
    if np.all(np.abs(gradient) <= 1e3 * GRADIENT * eta):
        return f
    worst = float(np.max(np.abs(gradient) / eta))
    raise NoOptimum(f"Newton's method did not converge: a gradient is still {worst:.2g} of its η after many steps")


def _step(hessian: Floats, gradient: Floats) -> Floats:
    """Newton's step, centred; infinite where there is none.

    A constant added to all scores changes nothing: the heaviest label stays where it is.  Labels of η = 1e-9 and of 0.9
    are solved for in units of their own, or rounding of the one would drown the other.
    """
    scale = np.sqrt(np.maximum(np.diag(hessian), 1e-300))
    rest = np.delete(np.arange(scale.size), int(np.argmax(scale)))
    step = np.zeros(scale.size)
    unit = hessian[np.ix_(rest, rest)] / np.outer(scale[rest], scale[rest])
    try:
        step[rest] = -np.linalg.solve(unit, gradient[rest] / scale[rest]) / scale[rest]
    except np.linalg.LinAlgError:
        return np.full(scale.size, np.inf)
    return step - step.mean() if np.all(np.isfinite(step)) else np.full(scale.size, np.inf)


def _decoupled(loss: Decoupled, eta: Floats, log_p: Floats) -> Floats:
    """Label by label: minimise η_j φ(f) + B_j ϕ(-f), B_j = Σ_{y != j} η_y p_yj + η_j c_j, by bisecting the slope."""
    with np.errstate(over="ignore"):
        against = eta @ np.exp(log_p)
    if not np.all(np.isfinite(against)):
        raise NoOptimum(f"label {np.argmax(against)} has no optimum within numbers: the weights on it are too large")
    low, high = np.full(eta.size, -1e3), np.full(eta.size, 1e3)
    for _ in range(100):
        middle = (low + high) / 2
        rising = eta * loss.binary.positive_slope(middle) + against * loss.binary.slope(middle) > 0
        low, high = np.where(rising, low, middle), np.where(rising, middle, high)
    if np.any(np.abs(middle) > 999):
        raise NoOptimum(f"label {np.argmax(np.abs(middle))} has no finite optimum: nothing holds its score")
    return middle


def separable_optimum(eta: ArrayLike, a: ArrayLike, b: ArrayLike) -> Floats:
    """The softmax optimum for margins p_yy' = a_y b_y' with a_y b_y <= 1, centred, (L,), by a search in one number.

    With c_j = a_j b_j each g_j = e^{f_j} is the positive root of λ b_j (1-c_j) g² + λ c_j g - η_j a_j = 0 and λ
    makes Σ b_j g_j = 1.  An independent way to what `population_optimum` minimises.  *Source:* derived.
    """
    eta, a, b = (np.asarray(values, dtype=np.float64) for values in (eta, a, b))
    c = a * b
    if np.any(c > 1 + 1e-12):
        raise ValueError(f"separable margins need a_y b_y <= 1, but label {np.argmax(c)} has {c.max():.6g}")
    rest = np.maximum(1 - c, 0.0)

    def roots(log_rate: float) -> Floats:
        rate = np.exp(log_rate)
        # 2 k / (l + √(l² + 4 s k)): the positive root, also where the square term vanishes.
        return 2 * eta * a / (rate * c + np.sqrt((rate * c) ** 2 + 4 * rate * b * rest * eta * a))

    log_rate = brentq(lambda x: np.log(np.sum(b * roots(x))), -300, 300, xtol=1e-14, rtol=1e-15)
    f = np.log(roots(log_rate))
    return f - f.mean()
