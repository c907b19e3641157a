"""The implicit loss: p_yy' = m w_yy' q_y' and the loss that has these margins (Lemmas 1 and 2)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from implicitloss.clusterwise import by_cluster, log_cluster_counts, log_cluster_weights
from implicitloss.estimate import Estimate, checked_finite
from implicitloss.labels import Floats, LabelPrior, checked_prior
from implicitloss.losses import Loss, checked_loss
from implicitloss.margins import Margin, checked_margin
from implicitloss.numerics.logsum import logsumexp
from implicitloss.problem import Problem, checked_problem
from implicitloss.samplers.whole import Whole
from implicitloss.scheme import Scheme, checked_scheme, only_iid

__all__ = [
    "implicit_gradient",
    "implicit_loss",
    "implicit_margins",
    "lemma1_variance",
    "log_effective_margins",
    "log_expected_weights",
    "log_terms",
    "margin_loss",
    "rounding",
]

# A table of all pairs holds this many labels at most: 3 GB of numbers.
MOST_PAIRED_LABELS = 20_000


def log_expected_weights(scheme: Scheme, problem: Problem, loss: Loss | None = None) -> Floats:
    """log p_yy' = log(w_T 1_T(y') + w_yy' E n_y') for each label, (L,); the positive's entry is log c_y, of hits.

    Under a `loss`, a label that pays nothing may be left out, as `MinimumVariance` does, and has weight 0.

    *Source:* Rawat et al. 2021, Lemmas 1 and 2; hits: derived.
    """
    if isinstance(checked_scheme(scheme).sampler, Whole):
        return log_cluster_counts(scheme, problem) + log_cluster_weights(scheme, problem)
    plan = scheme.plan(checked_problem(problem), loss=loss)
    found = plan.log_counts(scheme.m) + plan.log_w
    found[plan.hard] = np.logaddexp(found[plan.hard], plan.log_w_hard)
    return found


def log_effective_margins(scheme: Scheme, problem: Problem, loss: Loss | None = None) -> Floats:
    """log p_yy' of each label, (L,), as `implicit_margins` has them: of softmax with hits kept, less log(1 + c_y)."""
    row = log_expected_weights(scheme, problem)
    kept = scheme.hits == "keep" and (loss is None or loss.has_log)
    return np.asarray(row - np.logaddexp(0.0, row[problem.positive])) if kept else row


def implicit_margins(
    scheme: Scheme, prior: LabelPrior, *, scores: ArrayLike | None = None, loss: Loss | None = None
) -> Floats:
    """Compute the implicit margins p_yy' = m w_yy' q_y', (L, L): how often each negative counts beside each positive.

    Hard negatives T count once more: p_yy' = w_T 1_T(y') + m w_yy' q_y' for y' ≠ y, with the law q and the weights of
    the overlap mode.  Where hits are kept, with c_y = m w_yy q_y, the softmax bound is log(1 + c_y) +
    log(1 + Σ p_yy'/(1 + c_y) e^{f_y' - f_y}), and its effective margin p_yy'/(1 + c_y) is what is returned.

    Parameters
    ----------
    scheme : Scheme
        The sampler, the weights, m, and what a hit does.
    prior : LabelPrior
        The label prior, of at most 20,000 labels.
    scores : array_like, (L,), optional
        Needed where the sampler looks at scores, and for hard negatives, which are the best labels by these scores.
    loss : Loss, optional
        A decoupled loss for its plain p, which kept hits do not divide.

    Returns
    -------
    ndarray, (L, L)
        The positive y in rows; the diagonal is 0.

    Raises
    ------
    ValueError
        For a sampler or hard negatives that need scores and have none, where Proposition 4 cannot hold, and for
        margins too large for floating point.

    References
    ----------
    Rawat et al. 2021, Lemmas 1 and 2, Table 2; kept hits: derived here.

    Examples
    --------
    >>> import implicitloss as il
    >>> prior = il.LabelPrior.from_counts([8, 4, 3, 1])
    >>> scheme = il.Scheme(il.samplers.WithinBatch(), il.weightings.Relative(), m=2, hits="mask")
    >>> il.implicit_margins(scheme, prior)  # m π_y: frequent positives push harder
    array([[0.   , 1.   , 1.   , 1.   ],
           [0.5  , 0.   , 0.5  , 0.5  ],
           [0.375, 0.375, 0.   , 0.375],
           [0.125, 0.125, 0.125, 0.   ]])
    """
    checked_scheme(scheme)
    if checked_prior(prior).n_labels > MOST_PAIRED_LABELS:
        raise ValueError(f"margins of all pairs are for at most {MOST_PAIRED_LABELS:,} labels, got {prior.n_labels:,}")
    if loss is not None:
        checked_loss(loss)
    if scores is None:
        if scheme.sampler.needs_scores:
            raise ValueError(f"the law of {scheme.sampler} depends on the scores: pass scores=f")
        if scheme.hard is not None:
            raise ValueError("hard negatives are the best labels by their scores: pass scores=f, those of the index")
        scores = np.zeros(prior.n_labels)
    margins = np.empty((prior.n_labels, prior.n_labels))
    for y in range(prior.n_labels):
        problem = Problem(scores, prior, y)  # type: ignore[arg-type]
        with np.errstate(over="ignore"):
            margins[y] = np.exp(log_effective_margins(scheme, problem, loss))
    np.fill_diagonal(margins, 0.0)
    checked_finite(margins, "the margins")
    return margins


def implicit_loss(scheme: Scheme, loss: Loss, problem: Problem) -> Estimate:
    """Compute the implicit loss: φ + outer(Σ_{y'} p_yy' payment(y')), kept hits included.

    Softmax: Lemma 2's bound log(1 + c_y + Σ_{y' ≠ y} p_yy' e^{f_y' - f_y}), c_y = m w_yy q_y where hits are kept,
    else 0.  Decoupled: Lemma 1's mean φ(f_y) + c_y ϕ(-f_y) + Σ_{y' ≠ y} p_yy' ϕ(-f_y').  Hard negatives are in p.

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
    Estimate
        The value and a bound on its rounding.

    Raises
    ------
    ValueError
        Where the weights are undefined at the problem, or the loss is too large for floating point.

    References
    ----------
    Rawat et al. 2021, Lemma 1 (Eq. 9) and Lemma 2 (Eq. 11).

    Examples
    --------
    >>> import implicitloss as il
    >>> prior = il.LabelPrior.from_counts([8, 4, 3, 1])
    >>> problem = il.Problem([0.3, -0.4, 1.2, -1.7], prior, positive=1)
    >>> scheme = il.Scheme(il.samplers.WithinBatch(), il.weightings.Constant(), m=3, hits="mask")
    >>> loss = il.losses.SoftmaxCrossEntropy()
    >>> round(float(il.implicit_loss(scheme, loss, problem)), 10)
    1.0826872119
    """
    checked_loss(loss)
    if isinstance(checked_scheme(scheme).sampler, Whole):
        few = by_cluster(scheme, loss, problem)
        return few.to_labels(implicit_loss(few.scheme, loss, few.problem))
    terms = log_terms(scheme, loss, problem)
    log_total = logsumexp(terms)
    with np.errstate(over="ignore"):
        value = np.logaddexp(0.0, log_total) if loss.has_log else np.exp(log_total)
    value = float(value) + loss.positive_pays(float(problem.scores[problem.positive]))
    plan, payment = scheme.plan(problem, loss=loss), loss.log_payment(problem.scores, problem.positive)
    # Terms below e^{-40} of the largest do not count, nor does their rounding.
    sizes = plan.magnitudes(payment)
    sizes[plan.hard] = np.maximum(sizes[plan.hard], abs(plan.log_w_hard) + np.abs(payment[plan.hard]))
    size = float(np.max(sizes, where=terms > terms.max() - 40, initial=0.0))
    return Estimate(value, (rounding(terms.size, size) + plan.in_error) * abs(value), "implicit loss", "closed form")


def implicit_gradient(scheme: Scheme, loss: Loss, problem: Problem) -> Floats:
    """Compute ∂/∂f of the implicit loss, (L,), with q and w held fixed, as training does.

    Softmax: p_yy' e^{f_y' - f_y} over 1 + c_y + Σ p_yy'' e^{f_y'' - f_y} for y' ≠ y, and minus their sum for y.

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
    ndarray, (L,)
        One entry a label; for softmax they sum to 0.

    Raises
    ------
    ValueError
        As `implicit_loss` does.

    References
    ----------
    The gradient of Rawat et al. 2021, Eqs. 9 and 11.

    Examples
    --------
    >>> import implicitloss as il
    >>> prior = il.LabelPrior.from_counts([8, 4, 3, 1])
    >>> problem = il.Problem([0.3, -0.4, 1.2, -1.7], prior, positive=1)
    >>> scheme = il.Scheme(il.samplers.WithinBatch(), il.weightings.Constant(), m=3, hits="mask")
    >>> loss = il.losses.SoftmaxCrossEntropy()
    >>> il.implicit_gradient(scheme, loss, problem).round(3)
    array([ 0.341, -0.661,  0.315,  0.006])
    """
    y = checked_problem(problem).positive
    checked_loss(loss)
    terms = log_terms(scheme, loss, problem)
    if loss.has_log:
        # The softmax over these terms and 0, without a rounded logarithm in between.
        shares = np.exp(terms - max(float(terms.max()), 0.0))
        gradient = shares / (shares.sum() + np.exp(-max(float(terms.max()), 0.0)))
        gradient[y] = 0.0
        gradient[y] = -gradient.sum()
        return gradient
    with np.errstate(over="ignore", invalid="ignore"):
        gradient = np.exp(log_expected_weights(scheme, problem, loss)) * loss.payment_slope(problem.scores, y)
    gradient[y] += loss.positive_slope(float(problem.scores[y]))
    checked_finite(gradient, "the gradient of the implicit loss")
    return gradient


def log_terms(scheme: Scheme, loss: Loss, problem: Problem) -> Floats:
    """log(m w_yy' q_y' payment(y')), (L,): what each label adds to the implicit loss, hits included."""
    return log_expected_weights(scheme, problem, loss) + loss.log_payment(problem.scores, problem.positive)


def rounding(n_terms: int, log_size: float = 0.0) -> float:
    """A bound on the relative rounding error of a sum of `n_terms` terms of one sign, each the exp of a logarithm.

    It counts pairwise summation in blocks of 128, 32 roundings of a term, and logarithms of size `log_size`.
    """
    return float(np.finfo(np.float64).eps * (32 + 128 + n_terms / 128 + 2 * abs(log_size)))


def lemma1_variance(scheme: Scheme, loss: Loss, problem: Problem) -> Estimate:
    """V ℓ(N) of a sampled decoupled loss by Lemma 1's formula: Σ w_yy' p_yy' ϕ² - (Σ p_yy' ϕ)²/m, kept hits included.

    Hard negatives are no part of it: p is m w q.  The difference cancels, so that its error is relative to the first
    term; `integrate` has no such cancellation.  *Raises* ValueError for softmax, which has no such formula.
    *Source:* Rawat et al. 2021, Eq. 10.
    """
    if checked_loss(loss).has_log:
        raise ValueError(f"Lemma 1 is about decoupled losses, not {loss.name}")
    only_iid(scheme, "Lemma 1's variance")
    plan, payment = scheme.plan(problem, loss=loss), loss.log_payment(problem.scores, problem.positive)
    p = np.log(scheme.m) + plan.log_q + plan.log_w
    with np.errstate(over="ignore", invalid="ignore"):
        first = np.sum(np.exp(plan.log_w + p + 2 * payment))
        value = float(first - np.sum(np.exp(p + payment)) ** 2 / scheme.m)
    # Terms below e^{-40} of the largest do not count, nor does their rounding.
    matters = plan.log_w + p + 2 * payment
    size = float(np.max(plan.magnitudes(payment), where=matters > matters.max() - 40, initial=0.0))
    return Estimate(value, 4 * rounding(p.size, size) * float(first), "variance", "closed form")


def margin_loss(target: Margin, loss: Loss, problem: Problem) -> Estimate:
    """The loss that has the target margins p, summed over all labels: φ + outer(Σ_{y' ≠ y} p_yy' payment(y')).

    *Source:* Rawat et al. 2021, Eq. 6 (softmax), Eq. 5 with weights (decoupled).
    """
    y = checked_problem(problem).positive
    checked_loss(loss)
    log_p, payment = checked_margin(target).log_margin(problem.prior, y), loss.log_payment(problem.scores, y)
    terms = log_p + payment
    terms[y] = -np.inf
    log_total = logsumexp(terms)
    with np.errstate(over="ignore"):
        value = float(np.logaddexp(0.0, log_total) if loss.has_log else np.exp(log_total))
    value += loss.positive_pays(float(problem.scores[y]))
    size = np.max(np.abs(log_p) + np.abs(payment), where=terms > terms.max() - 40, initial=0.0)
    return Estimate(value, rounding(terms.size, float(size)) * abs(value), "margin loss", "closed form")
