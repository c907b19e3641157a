"""Population optima: the scores that minimise a scheme's expected loss at one x, where η(x) = P(y given x) is known.

They have no training noise and no features, and so show the bias of the scheme alone.  Compare argmax f* with Bayes
(argmax η) and with balanced Bayes (argmax η/π).

The argument `of` says which loss is minimised: "sampled", the true expected loss E ℓ(N), which training minimises and
which is the default; or "implicit", the implicit loss, which for softmax is an upper bound with the same margins.  The
two can teach different things: with one within-batch negative, hits masked, on all labels of CIFAR-100-LT, relative
weights have a tilt of 0 in truth and of .39 by the bound, importance weights of -3.36 and of 0.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, NoReturn

import numpy as np
from numpy.typing import ArrayLike

from implicitloss.arguments import shown
from implicitloss.draws import design
from implicitloss.labels import Floats, LabelPrior, checked_prior, checked_probabilities
from implicitloss.losses import Decoupled, Loss, SoftmaxCrossEntropy, checked_loss
from implicitloss.numerics.logsum import log_rest
from implicitloss.optima.balance import balanced
from implicitloss.optima.newton import NoOptimum, minimise
from implicitloss.optima.objective import (
    Factors,
    found_factors,
    implicit_objective,
    sampled_objective,
    shared_factors,
    shared_law,
)
from implicitloss.optima.separable import optimum_of_shares
from implicitloss.optima.waterfilling import by_bisection, waterfilling
from implicitloss.optima.without_repetition import SOUGHT, balanced_without_repetition
from implicitloss.problem import Problem
from implicitloss.scheme import Scheme, checked_scheme, without_hard
from implicitloss.theory.implicit import log_expected_weights

__all__ = [
    "MOST_OPTIMISED_LABELS", "MOST_WITHOUT_REPETITION", "Of", "by_newton", "check_pushed", "checked",
    "is_separable", "optimum_from", "population_optimum",
]  # fmt: skip

Of = Literal["implicit", "sampled"]
# Newton's method needs memory in proportion to L², and time in proportion to L³; a step of the balance takes O(L).
MOST_OPTIMISED_LABELS, MOST_BALANCED_LABELS = 5_000, 3_000_000
# Where no label comes twice, a step takes a sum over all labels at each of thousands of nodes.
MOST_WITHOUT_REPETITION = 1_000


def population_optimum(scheme: Scheme, loss: Loss, eta: ArrayLike, prior: LabelPrior, of: Of = "sampled") -> Floats:
    """Compute the scores f* = argmin_f Σ_y η_y E ℓ_y(f) that a scheme teaches at an x with class probabilities η.

    Where the weights are a product a_y b_y', time grows with L.  The optimum of the true softmax loss is the balance of
    what pushes each score up and down, to 1e-9 of both, or better; labels that are alike in η, π, q and w are taken
    together, and if 5,000 or more differ, sums over them are taken in bins, to a part of about 1e-11, and steps are
    nearly Newton's: they end where those to come would add up to 1e-9.  The optimum of the
    implicit loss is found by a search in one number.  For other weights, and where the balance is not reached, it is
    Newton's method with exact Hessians, which stops where the gradient is at most 1e-9 η_y and the step below 1e-5.

    Draws without repetition have the optimum of the true loss for weights a_y b_y', hits masked or kept, by the same
    balance, to 1e-9 of both.  Sets and coins of 1,000 labels take a second or two; different draws of 300 labels take
    seconds at m = 64, and a minute or more at m = 8 or less.

    For a scheme with hard negatives it is the optimum under a fresh index, for softmax nearly so, where labels near
    rank k are tied: `waterfilling` computes it, says which labels these are, and how near it is.

    Parameters
    ----------
    scheme : Scheme
        A scheme whose sampler does not look at scores.
    loss : Loss
        `losses.SoftmaxCrossEntropy()` or `losses.Decoupled(...)`.
    eta : array_like, (L,)
        P(y given x) > 0, summing to 1; for a decoupled loss beside hard negatives any 0 < η_j < 1.
    prior : LabelPrior
        The label prior, of at most 3,000,000 labels, 5,000 by Newton's method, whose time grows with L³, or 1,000 for
        the true loss of draws without repetition.
    of : {"sampled", "implicit"}
        The true expected sampled loss, or the implicit loss.  They coincide for decoupled losses (Lemma 1).  Softmax
        beside hard negatives has only the implicit one.

    Returns
    -------
    ndarray, (L,)
        Softmax: only differences matter, and the mean is 0.  Decoupled: the minimiser itself.

    Raises
    ------
    ValueError
        For η that is no positive distribution, too many labels, or a sampler whose law depends on the scores; for draws
        without repetition if hits are excluded or weights are no product; for hard negatives as `waterfilling` does.
    NoOptimum
        Where there is no finite minimiser, or neither way reaches it.

    References
    ----------
    Derived here.

    Examples
    --------
    In-batch softmax with weights of 1 and hits kept has the optimum log η - log π for every m.

    >>> import numpy as np
    >>> import implicitloss as il
    >>> prior, eta = il.LabelPrior.from_counts([8, 4, 3, 1]), np.array([0.4, 0.3, 0.2, 0.1])
    >>> scheme = il.Scheme(il.samplers.WithinBatch(), il.weightings.Unit(), m=2, hits="keep")
    >>> f = il.population_optimum(scheme, il.losses.SoftmaxCrossEntropy(), eta, prior)
    >>> balanced = np.log(eta) - prior.log
    >>> bool(np.allclose(f, balanced - balanced.mean()))
    True
    """
    if checked_scheme(scheme).hard is not None:
        _check_of(of)
        if isinstance(loss, SoftmaxCrossEntropy) and of != "implicit":
            raise ValueError(
                "the softmax optimum of a scheme with hard negatives is that of the implicit loss: pass of='implicit'"
            )
        return waterfilling(scheme, loss, eta, prior).scores
    eta, factors = checked(scheme, loss, eta, prior, of)
    return optimum_from(scheme, loss, eta, prior, of, factors=factors)


def optimum_from(
    scheme: Scheme, loss: Loss, eta: Floats, prior: LabelPrior, of: Of, sought: float = SOUGHT,
    factors: Factors | None = None,
) -> Floats:  # fmt: skip
    """The optimum, arguments checked; where no label comes twice, with sides that agree to this part of η.

    The `factors` of the weights are looked for unless they are given.
    """
    if isinstance(loss, Decoupled):
        return _decoupled(loss, eta, _log_margins(scheme, eta, prior))
    if eta.size == 1:
        return np.zeros(1)
    factors = factors or _factors(scheme, prior)
    if scheme.draws != "iid":
        return _without_repetition(scheme, eta, prior, of, factors, sought)
    if factors is not None:
        check_pushed(*factors)
        if of == "implicit":
            return _of_bound(eta, *factors, scheme)
        start = np.log(eta)
        try:
            return balanced(eta, *factors, scheme.m, scheme.hits, start - eta @ start)
        except NoOptimum:
            if eta.size > MOST_OPTIMISED_LABELS:
                raise
    return by_newton(scheme, eta, prior, of)


def _without_repetition(
    scheme: Scheme, eta: Floats, prior: LabelPrior, of: Of, factors: Factors | None, sought: float
) -> Floats:
    """The softmax optimum where no label comes twice."""
    n_others = prior.n_labels - (scheme.hits == "exclude")
    everything = design(scheme.draws).sizes(n_others, scheme.m)[0] == n_others
    if of == "implicit" or everything:  # without chance the loss is its bound
        return by_newton(scheme, eta, prior, "implicit")
    if scheme.m == 1 and scheme.draws != "bernoulli":
        return optimum_from(replace(scheme, draws="iid"), SoftmaxCrossEntropy(), eta, prior, of)
    _check_held(_log_margins(scheme, eta, prior))
    if scheme.hits == "exclude" or factors is None:
        lacks = "its weights are no product a_y b_y'"
        if scheme.hits == "exclude" or shared_law(scheme, prior) is None:
            lacks = "each positive has a law of its own"
        raise ValueError(
            f"the optimum under draws={scheme.draws!r} needs hits masked or kept, one law q of all positives, and "
            f"weights a_y b_y', but for {scheme} {lacks}; of='implicit' takes any"
        )
    try:
        start = by_newton(scheme, eta, prior, "implicit")
    except NoOptimum:  # it is a start only
        start = np.log(eta)
    found = balanced_without_repetition(scheme, eta, *factors, start - eta @ start, sought)
    return found - found.mean()


def by_newton(scheme: Scheme, eta: Floats, prior: LabelPrior, of: Of) -> Floats:
    """The softmax optimum of any weights, by Newton's method: time grows with L³."""
    log_p = _log_margins(scheme, eta, prior)
    _check_held(log_p)
    # From the bound's optimum it is not far to that of the sampled loss.
    optimum = minimise(implicit_objective(eta, log_p), np.log(eta), eta)
    if of == "sampled":
        optimum = minimise(sampled_objective(scheme, SoftmaxCrossEntropy(), eta, prior), optimum, eta)
    return optimum


def is_separable(scheme: Scheme, prior: LabelPrior) -> bool:
    """Whether weights are a product a_y b_y': the softmax optimum then needs no pairs of labels."""
    return _factors(scheme, prior) is not None


def _factors(scheme: Scheme, prior: LabelPrior) -> Factors | None:
    """log q, log a and log b, as the weighting says them, or read off the weights of few enough labels."""
    found = shared_factors(scheme, prior)
    return found_factors(scheme, prior) if found is None and prior.n_labels <= MOST_OPTIMISED_LABELS else found


def _log_margins(scheme: Scheme, eta: Floats, prior: LabelPrior) -> Floats:
    """log p_yy', (L, L)."""
    scores = np.log(eta)
    return np.array([log_expected_weights(scheme, Problem(scores, prior, y)) for y in range(prior.n_labels)])


def _of_bound(eta: Floats, log_q: Floats, log_a: Floats, log_b: Floats, scheme: Scheme) -> Floats:
    """The optimum of the implicit loss for weights a_y b_y'."""
    log_b = np.log(scheme.m) + log_q + log_b
    if scheme.hits == "exclude":
        log_a = log_a - log_rest(log_q)
    if scheme.hits == "keep":
        log_a = log_a - np.logaddexp(0.0, log_a + log_b)
    return optimum_of_shares(eta, log_a, log_b)


def check_pushed(log_q: Floats, log_a: Floats, log_b: Floats) -> None:
    """*Raises* NoOptimum unless every label pushes others, and is pushed by them, as `_check_held` says."""
    with np.errstate(invalid="ignore"):
        held = np.isfinite(log_a) & np.isfinite(log_q + log_b)
    if not held.all():
        _say_not_held(int(np.argmin(held)))


def checked(scheme: Scheme, loss: Loss, eta: ArrayLike, prior: LabelPrior, of: str) -> tuple[Floats, Factors | None]:
    """η as a vector, and the factors of the weights where these had to be found.

    *Raises* ValueError if these arguments define no optimum.
    """
    without_hard(scheme, "an optimum")
    checked_prior(prior)
    if not isinstance(checked_loss(loss), (SoftmaxCrossEntropy, Decoupled)):
        raise ValueError(f"an optimum is that of SoftmaxCrossEntropy() or a Decoupled(...) loss, got {shown(loss)}")
    _check_of(of)
    most = MOST_OPTIMISED_LABELS
    if of == "sampled" and isinstance(loss, SoftmaxCrossEntropy) and scheme.draws != "iid":
        most = MOST_WITHOUT_REPETITION
    factors = None
    if prior.n_labels > most and isinstance(loss, SoftmaxCrossEntropy):
        factors = shared_factors(scheme, prior)
        most = most if factors is None else MOST_BALANCED_LABELS
    if prior.n_labels > most:
        raise ValueError(
            f"this optimum is looked for among at most {most:,} labels, got {prior.n_labels:,}; prior.few({most}) "
            "has so many, from frequent to rare"
        )
    eta = checked_probabilities(eta, "eta")
    if eta.size != prior.n_labels:
        raise ValueError(f"eta must cover the prior's {prior.n_labels} labels, got {eta.size}")
    if eta.min() <= 0:
        raise ValueError(f"eta must be positive, but label {np.argmin(eta)} has 0: its best score is -infinity")
    if scheme.sampler.needs_scores:
        raise ValueError(
            f"the law of {scheme.sampler!s:.60} moves with the scores, so there is no fixed loss to minimise; "
            "use a sampler that does not look at scores"
        )
    return eta, factors


def _check_of(of: object) -> None:
    if not isinstance(of, str) or of not in ("implicit", "sampled"):
        got = repr(of) if isinstance(of, str) else type(of).__name__
        raise ValueError(f"of must be 'implicit' or 'sampled', got {got:.60}")


def _check_held(log_p: Floats) -> None:
    """*Raises* NoOptimum unless a chain of negatives leads from every label to every other.

    Where p_yy' > 0, the positive y pushes the score of y' down.  A finite minimum exists if and only if the graph of
    these pushes is strongly connected (as for Bradley and Terry's model, Ford 1957).
    """
    from scipy.sparse.csgraph import connected_components

    n_groups, group = connected_components(~np.isneginf(log_p), connection="strong")
    if n_groups > 1:
        _say_not_held(int(np.argmin(np.bincount(group)[group])))


def _say_not_held(label: int) -> NoReturn:
    raise NoOptimum(
        f"label {label} has no finite optimum: it is never drawn as a negative of the other labels, or they are never "
        "drawn as its negatives"
    )


def _decoupled(loss: Decoupled, eta: Floats, log_p: Floats) -> Floats:
    """Label by label: minimise η_j φ(f) + B_j ϕ(-f), B_j = Σ_{y != j} η_y p_yj + η_j c_j, by bisecting the slope."""
    with np.errstate(over="ignore"):
        against = eta @ np.exp(log_p)
    if not np.all(np.isfinite(against)):
        raise NoOptimum(f"label {np.argmax(against)} has no optimum within numbers: the weights on it are too large")
    found = by_bisection(loss, eta, against)
    if np.any(np.abs(found) > 999):
        raise NoOptimum(f"label {np.argmax(np.abs(found))} has no finite optimum: nothing holds its score")
    return found
