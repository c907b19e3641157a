"""What hard negatives teach: the scores at which a fresh index and the loss no longer move each other.

A label among the hard negatives T is pushed down, leaves T, rises, and comes back.  Where the index is fresh and steps
are small, labels near rank k stay tied at one score c, each in T for the share of time that holds it there: water fills
to a level.

One file: the decoupled and the softmax optimum share the level, its search, and what is done where none is found.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from implicitloss.arguments import shown
from implicitloss.labels import Floats, LabelPrior, Labels
from implicitloss.losses import Decoupled, Loss, SoftmaxCrossEntropy, checked_loss
from implicitloss.optima.newton import NoOptimum
from implicitloss.optima.pushes import EQUAL, Pushes, checked_marginals, pushes
from implicitloss.scheme import Scheme

__all__ = ["Waterfilling", "by_bisection", "decoupled_scores", "waterfilling"]

# Scores are looked for up to this; sums to 1 may be off by so much.
FARTHEST, SUM_TOLERANCE = 1e3, 1e-9
# Labels that T does not move are at the level within this; inclusions may miss their sum by this part.
AT_LEVEL, LEAST_SUM = 1e-9, 1e-6
# The largest log λ of a softmax optimum.
LARGEST_RATE = 50.0


@dataclass(frozen=True, eq=False)
class Waterfilling:
    """The optimum of a scheme with hard negatives at one x, as `waterfilling` returns it.

    Parameters
    ----------
    scores : ndarray, (L,)
        f*; equal to the level c for labels that are tied.
    inclusion : ndarray, (L,)
        r_j, the share of time that the label is in T, beside positives other than itself.
    level : float
        c; -inf where all labels are always among the hard negatives.

    `tied` are the labels whose score is the level, those that are in T a part of the time.

    Examples
    --------
    >>> import numpy as np
    >>> import implicitloss as il
    >>> eta, prior = 0.6 / np.arange(1, 101), il.LabelPrior.zipf(100, 0.0)
    >>> scheme = il.Scheme(
    ...     il.samplers.Uniform(), il.weightings.Unit(), m=5, hits="mask", hard=il.HardNegatives(k=10)
    ... )
    >>> found = il.waterfilling(scheme, il.losses.Decoupled(il.losses.logistic), eta, prior)
    >>> print(f"ranks {found.tied[0] + 1} to {found.tied[-1] + 1} are tied at a score of {found.level:.3f}")
    ranks 4 to 65 are tied at a score of -1.691
    >>> round(float(found.inclusion.sum()), 9)
    10.0
    """

    scores: Floats
    inclusion: Floats
    level: float

    @property
    def tied(self) -> Labels:
        """The labels at the level: in T for a part of the time, and not ranked among each other."""
        return np.flatnonzero((self.inclusion > 0) & (self.inclusion < 1))


def waterfilling(scheme: Scheme, loss: Loss, eta: ArrayLike, prior: LabelPrior) -> Waterfilling:
    """Compute what a scheme with hard negatives teaches at an x with class probabilities η, under a fresh index.

    Let b_j = p_j + r_j (w_T + [overlap kept] p_j - p_j) be how often label j counts as a negative beside other
    positives, p_j by draws, and r_j the share of time that it is in T.  For the logistic loss, where hits do not count,
    the optimum is f_j = logit η_j - log b_j, and with weights of 1 and overlap kept

        f_j = max(logit η_j - log(1 + p_j), min(c, logit η_j - log p_j)),   r_j = clip(e^{logit η_j - c} - p_j, 0, 1),

    with Σ r_j = k, which determines the level c.  Labels whose odds lie within a factor (1 + p)/p are tied at c.

    For softmax it is the optimum of the implicit loss at the mean margins p_yy' = b_y': with g_j = e^{f_j}, scaled so
    that Σ b_j g_j = 1, λ b_j g_j (1 + (1 - b_j) g_j) = η_j.  That is near the scores under a fresh index, and not
    equal, because softmax is not linear in its margins: off by .04 with k = 1 and an η of .45, by .001 with k = 5.

    Parameters
    ----------
    scheme : Scheme
        A scheme with `hard=`, whose sampler does not look at scores.  With overlap "exclude" the weights of draws have
        to divide by their law, as importance weights do.  Where positives are replaced, T has to push all labels alike.
    loss : Loss
        `losses.Decoupled(...)`, or `losses.SoftmaxCrossEntropy()` with hits and positives that do not count.
    eta : array_like, (L,)
        0 < η_j < 1, P(j is a positive of x).  They sum to 1 for softmax, and where positives in T are replaced.
    prior : LabelPrior
        The label prior, of at most 5,000 labels.

    Returns
    -------
    Waterfilling
        f*, the inclusion r and the level c.  Softmax scores have the mean 0.

    Raises
    ------
    ValueError
        For a scheme without hard negatives, k >= L, η out of range, and a scheme or loss that is not covered; where
        hard negatives push less than draws, for then there is no one optimum.
    NoOptimum
        Where nothing holds the score of a label, where a loss with a kink holds a score at many r, and for softmax in
        which a label counts so often (b_j > 2) that the optimum is not found.

    References
    ----------
    Derived here.  Where y is dropped from T no loss has these gradients, and "optimum" means that the mean gradient is
    0.  Where it is replaced, the decoupled loss is convex, this is its minimum, and Σ (1 - η_j) r_j = k.

    Examples
    --------
    With unbiased weights T does not matter: f* is the logit of η.

    >>> import numpy as np
    >>> import implicitloss as il
    >>> hard = il.HardNegatives(k=2, overlap="exclude")
    >>> scheme = il.Scheme(il.samplers.Uniform(), il.weightings.Importance(), m=5, hits="exclude", hard=hard)
    >>> eta, prior = np.array([0.4, 0.3, 0.2, 0.1]), il.LabelPrior.zipf(4, 0.0)
    >>> found = il.waterfilling(scheme, il.losses.Decoupled(il.losses.logistic), eta, prior)
    >>> bool(np.allclose(found.scores, np.log(eta / (1 - eta)))), found.tied.size
    (True, 0)
    """
    found = _checked_eta(scheme, loss, eta, prior)
    hard = scheme.hard
    assert hard is not None
    k = float(hard.k)
    # Weights of labels with next to no probability overflow: what comes of it is no number, and is refused below.
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        push = pushes(scheme, found, prior)
        if isinstance(loss, Decoupled):
            share = 1 - found if hard.positives == "replace" else np.ones(found.size)
            best = decoupled_scores(loss, found, push, k, share)
        elif push.alike:
            best = _softmax(found, push, k)
        else:
            raise ValueError(
                "the softmax optimum beside hard negatives needs margins that do not depend on the positive, got "
                f"{scheme.sampler!s:.60} with {scheme.weighting!s:.60}: take hits='mask', or a decoupled loss"
            )
    if not np.all(np.isfinite(best.scores)):
        raise NoOptimum(f"label {np.argmin(np.isfinite(best.scores))} has no finite optimum: its weights overflow")
    return best


def _checked_eta(scheme: Scheme, loss: Loss, eta: ArrayLike, prior: LabelPrior) -> Floats:
    """η as a vector; *raises* ValueError if these arguments define no optimum."""
    if not isinstance(checked_loss(loss), (SoftmaxCrossEntropy, Decoupled)):
        raise ValueError(f"an optimum is that of SoftmaxCrossEntropy() or a Decoupled(...) loss, got {shown(loss)}")
    found = checked_marginals(scheme, eta, prior)
    softmax, hard = isinstance(loss, SoftmaxCrossEntropy), scheme.hard
    assert hard is not None
    if (softmax or hard.positives == "replace") and abs(found.sum() - 1) > SUM_TOLERANCE:
        why = "for softmax" if softmax else "where positives are replaced"
        raise ValueError(f"eta must sum to 1 {why}, got {found.sum():.12g}")
    if softmax and (scheme.hits == "keep" or hard.positives == "replace"):
        raise ValueError(
            "the softmax optimum beside hard negatives is that of hits='mask' or 'exclude' and positives='drop', "
            f"got hits={scheme.hits!r} and positives={hard.positives!r}"
        )
    return found


def decoupled_scores(loss: Decoupled, eta: Floats, push: Pushes, k: float, share: Floats) -> Waterfilling:
    """The waterfilling of a decoupled loss; Σ `share` r = k."""

    def best(b: Floats) -> Floats:
        return by_bisection(loss, eta, (1 - eta) * b + eta * push.own)

    lowest, highest = best(push.inside), best(push.outside)
    spread = _spread(push)
    if not spread.any():  # T does not matter
        order, first = np.argsort(-lowest, kind="stable"), int(k)
        inclusion = np.zeros(eta.size)
        inclusion[order[:first]] = 1.0
        if np.any(share < 1):  # the next best replaces a positive among the k best
            inclusion[order[first]] = float(eta[order[:first]].sum() / share[order[first]])
        return Waterfilling(lowest, inclusion, float(lowest[order[first - 1]]))

    def inclusion_at(c: float) -> Floats:
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            level = np.full(eta.size, c)
            needed = -eta * loss.binary.positive_slope(level) / loss.binary.slope(level)
            found = ((needed - eta * push.own) / (1 - eta) - push.outside) / spread
        return np.where(highest <= c, 0.0, np.where(lowest >= c, 1.0, np.clip(np.nan_to_num(found), 0.0, 1.0)))

    c = _level(lambda c: float(share @ inclusion_at(c)) - k, -FARTHEST, FARTHEST)
    inclusion = _filled(inclusion_at(c), share, k, (spread == 0) & (np.abs(lowest - c) <= AT_LEVEL))
    scores = np.maximum(lowest, np.minimum(c, highest))
    if np.any(np.abs(scores) > FARTHEST - 1):
        raise NoOptimum(f"label {np.argmax(np.abs(scores))} has no finite optimum: nothing holds its score")
    return Waterfilling(scores, inclusion, c)


def by_bisection(loss: Decoupled, eta: Floats, against: Floats) -> Floats:
    """Label by label the minimiser of η φ(f) + B ϕ(-f), by bisecting the slope; ±1000 where nothing holds it."""
    low, high = np.full(eta.size, -FARTHEST), np.full(eta.size, FARTHEST)
    for _ in range(100):
        middle = (low + high) / 2
        rising = eta * loss.binary.positive_slope(middle) + against * loss.binary.slope(middle) > 0
        low, high = np.where(rising, low, middle), np.where(rising, middle, high)
    return np.asarray(middle)


def _spread(push: Pushes) -> Floats:
    """How much more a label counts in T than outside; 0 where that is rounding."""
    more = push.inside - push.outside
    return np.where(more <= EQUAL * push.inside, 0.0, more)


def _filled(inclusion: Floats, share: Floats, k: float, at_level: NDArray[np.bool_]) -> Floats:
    """The inclusion with Σ `share` r = k; what is left goes to labels at the level that T does not move.

    *Raises* NoOptimum where there are none: a loss with a kink holds a score at more than one r.
    """
    left = k - float(share @ inclusion)
    if abs(left) > SUM_TOLERANCE * k and at_level.any():
        inclusion = inclusion + at_level * left / float(share @ at_level)
    if abs(k - float(share @ inclusion)) > LEAST_SUM * k or inclusion.min() < 0 or inclusion.max() > 1 + LEAST_SUM:
        raise NoOptimum(
            f"no level of scores was found at which the labels in T fill the {k:g} places: does the loss have a kink, "
            "or do labels count more than twice?"
        )
    return inclusion


def _level(excess: Callable[[float], float], low: float, high: float) -> float:
    """The level at which an excess that falls is 0; -inf where it is not above 0 anywhere."""
    from scipy.optimize import brentq

    if not np.isfinite([low, high]).all():
        raise NoOptimum("outside the hard negatives a label counts next to never: nothing holds its score there")
    if excess(low) <= 0:
        return -np.inf
    return float(brentq(excess, low, high, xtol=1e-14, rtol=1e-15, maxiter=500))


def _softmax(eta: Floats, push: Pushes, k: float) -> Waterfilling:
    """The waterfilling of the implicit softmax loss with margins b_y' that do not depend on the positive."""
    from scipy.optimize import brentq

    outside, inside = push.outside, push.inside
    spread = _spread(push)
    free = not spread.any()

    def grown(b: Floats, rate: float) -> Floats:
        """The root g of λ b (1 - b) g² + λ b g = η that is 0 with η."""
        x = eta / (rate * b)
        return 2 * x / (1 + np.sqrt(np.maximum(1 + 4 * (1 - b) * x, 0.0)))

    def at(rate: float) -> tuple[Floats, Floats, float]:
        """Inclusion, g and log g at the level, at a rate λ."""
        lowest, highest = np.log(grown(inside, rate)), np.log(grown(outside, rate))
        if free:
            return np.zeros(eta.size), np.exp(lowest), np.inf

        def inclusion_at(c: float) -> Floats:
            g = np.exp(c)
            # The smaller root of g b² - (1 + g) b + η/(λ g) = 0.
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                x = eta / (rate * g)
                b = 2 * x / (1 + g + np.sqrt(np.maximum((1 + g) ** 2 - 4 * g * x, 0.0)))
                found = np.clip(np.nan_to_num((b - outside) / spread), 0.0, 1.0)
            return np.where(highest <= c, 0.0, np.where(lowest >= c, 1.0, found))

        c = _level(lambda c: float(inclusion_at(c).sum()) - k, float(lowest.min()) - 1, float(highest.max()) + 1)
        return inclusion_at(c), np.exp(np.maximum(lowest, np.minimum(c, highest))), c

    def excess(log_rate: float) -> float:
        inclusion, g, _ = at(float(np.exp(log_rate)))
        return float(np.log((outside + inclusion * spread) @ g))

    if not excess(-LARGEST_RATE) > 0 > excess(LARGEST_RATE):
        raise NoOptimum("the softmax optimum beside hard negatives was not found: are the weights very far apart?")
    log_rate = brentq(excess, -LARGEST_RATE, LARGEST_RATE, xtol=1e-14, rtol=1e-15)
    inclusion, g, c = at(float(np.exp(log_rate)))
    f = np.log(g)
    _check_softmax(eta, outside + inclusion * spread, g)
    if not free:
        inclusion = _filled(inclusion, np.ones(eta.size), k, np.zeros(eta.size, dtype=bool))
    else:
        inclusion[np.argsort(-f, kind="stable")[: int(k)]] = 1.0
        c = float(np.sort(f)[-int(k)])
    return Waterfilling(f - f.mean(), inclusion, c - float(f.mean()))


def _check_softmax(eta: Floats, b: Floats, g: Floats) -> None:
    """*Raises* NoOptimum unless the gradient of the implicit loss is 0: where b > 2, g may be another root."""
    z = 1 + (1 - b) * g
    rate = float(np.sum(eta / z))
    gradient = b * g * (rate - eta / z) - eta * (1 - g / z)
    if not np.all(np.abs(gradient) <= LEAST_SUM * eta):
        label = int(np.argmax(np.abs(gradient)))
        raise NoOptimum(
            f"the softmax optimum beside hard negatives was not found: label {label} counts {b[label]:.3g} times as a "
            "negative, and it is found for certain up to 2"
        )
