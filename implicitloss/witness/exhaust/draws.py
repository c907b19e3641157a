"""All draws that can be, each with its probability: multisets of m labels, or sets."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations_with_replacement

import numpy as np
from scipy.special import logsumexp

from implicitloss.arguments import shown
from implicitloss.estimate import Quantity
from implicitloss.labels import Floats, Labels
from implicitloss.losses import Loss
from implicitloss.problem import Problem
from implicitloss.scheme import Plan, Scheme

__all__ = ["EPS", "Listed", "listed"]

# How many multisets are enumerated at most, and how many counts are kept for them.
MOST_MULTISETS = 200_000
MOST_COUNTS = 20_000_000
EPS = float(np.finfo(np.float64).eps)
SQUARES = ("variance", "mse")


@dataclass(frozen=True)
class Listed:
    """All n multisets of m labels that can be drawn, of J `labels`, with their probabilities `chances` (n,).

    `counts` (n, J) says how often each multiset holds each label.  Hard negatives come last among the labels, and once
    in each multiset; one that can be drawn too is there twice, with the weights of both.  `log_w` and `log_payment` are
    the logarithms of a label's weight and payment.  `chance_slip` (n,) and `slip` (J,) bound the relative rounding of
    the chances and of weight times payment.  `missed` (L,) is m q w for labels that are left out because q is too
    small, else 0.
    """

    chances: Floats
    counts: Floats
    labels: Labels
    log_w: Floats
    log_payment: Floats
    chance_slip: Floats
    slip: Floats
    missed: Floats

    @cached_property
    def log_sums(self) -> Floats:
        """log Σ_{y' in N} w_yy' payment(y') of each multiset, (n,), hard negatives included."""
        with np.errstate(divide="ignore"):
            return logsumexp(np.log(self.counts) + self.log_w + self.log_payment, axis=1)

    @cached_property
    def sum_slips(self) -> Floats:
        """Relative rounding of these sums, (n,): that of each label by its share."""
        with np.errstate(divide="ignore", invalid="ignore"):
            shares = np.exp(np.log(self.counts) + self.log_w + self.log_payment - self.log_sums[:, None])
        return np.nan_to_num(shares) @ self.slip


def listed(scheme: Scheme, loss: Loss, problem: Problem, quantity: Quantity) -> Listed:
    """All draws of a scheme; *raises* ValueError for too many, and where a label is lost that the quantity needs."""
    if scheme.draws in ("distinct", "bernoulli"):
        return _enumerate_sets(scheme, loss, problem)
    plan = scheme.plan(problem, loss=loss)
    payment = loss.log_payment(problem.scores, problem.positive)
    squared = quantity in SQUARES or (quantity == "gradient_variance" and not loss.has_log)
    _check_underflow(plan.log_q, plan.log_w, _matters(loss, problem, quantity, payment), squared)
    support = np.flatnonzero(np.exp(plan.log_q) > 0)
    # With more labels or more draws than MOST_MULTISETS there are too many multisets, and `comb` would take long.
    few = max(support.size, scheme.m) <= MOST_MULTISETS
    size = math.comb(support.size + scheme.m - 1, scheme.m) if few else 0
    if not few or size > MOST_MULTISETS or size * support.size > MOST_COUNTS:
        raise ValueError(
            f"{support.size} labels and m = {scheme.m} make {shown(size) if few else 'many'} draws to enumerate, "
            f"more than {min(MOST_MULTISETS, MOST_COUNTS // support.size)}; use integrate"
        )
    chances, counts = np.zeros(size), np.zeros((size, support.size))
    log_q, log_w, log_payment = plan.log_q[support], plan.log_w[support], payment[support]
    for row, drawn in enumerate(combinations_with_replacement(range(support.size), scheme.m)):
        log_chance, left = 0.0, scheme.m
        for j, times in Counter(drawn).items():
            counts[row, j] = times
            log_chance += math.log(math.comb(left, times)) + times * log_q[j]
            left -= times
        chances[row] = math.exp(log_chance)
    # Chances are exps of logarithms that grow with m.
    logs = np.abs(log_q) + 2 * abs(plan.log_rest)
    chance_slip = EPS * (16 + 8 * scheme.m * (1 + math.log(scheme.m)) + 2 * counts @ logs)
    logs = np.abs(log_w) + np.abs(log_payment)
    slip = EPS * (16 + 2 * np.where(np.isfinite(logs), logs, 0.0))
    missed = scheme.m * np.exp(plan.log_q + plan.log_w)
    missed[support] = 0.0
    if scheme.draws == "set":
        counts = np.minimum(counts, 1.0)
    return _with_hard(Listed(chances, counts, support, log_w, log_payment, chance_slip, slip, missed), plan, payment)


def _with_hard(draws: Listed, plan: Plan, payment: Floats) -> Listed:
    """The draws, with the hard negatives joined to each."""
    counts, log_w, slip = draws.counts, draws.log_w, draws.slip
    size, support, log_payment = draws.chances.size, draws.labels, draws.log_payment
    if plan.hard.size:
        support = np.append(support, plan.hard)
        counts = np.hstack([counts, np.ones((size, plan.hard.size))])
        log_w = np.append(log_w, np.full(plan.hard.size, plan.log_w_hard))
        logs = abs(plan.log_w_hard) + np.abs(payment[plan.hard])
        slip = np.append(slip, EPS * (16 + 2 * np.where(np.isfinite(logs), logs, 0.0)))
        log_payment = np.append(log_payment, payment[plan.hard])
    return Listed(draws.chances, counts, support, log_w, log_payment, draws.chance_slip, slip, draws.missed)


def _enumerate_sets(scheme: Scheme, loss: Loss, problem: Problem) -> Listed:
    """All sets of m different labels, or all sets at all, with the chance of each."""
    plan = scheme.plan(problem, loss=loss)
    payment = loss.log_payment(problem.scores, problem.positive)
    support = np.flatnonzero(np.exp(plan.log_q) > 0)
    most = support.size if scheme.draws == "bernoulli" else scheme.m
    size = sum(math.comb(support.size, k) for k in range(most + 1)) if support.size < 60 else MOST_MULTISETS + 1
    if size > MOST_MULTISETS or size * support.size > MOST_COUNTS:
        raise ValueError(
            f"{support.size} labels and m = {scheme.m} make {shown(size) if support.size < 60 else 'many'} sets to "
            f"enumerate, more than {min(MOST_MULTISETS, MOST_COUNTS // support.size)}; use integrate"
        )
    q = np.exp(plan.log_q[support]).tolist()
    found = _coins(q, scheme.m) if scheme.draws == "bernoulli" else _successive(q, scheme.m)
    chances = np.array(list(found.values()))
    counts = np.array([[bits >> j & 1 for j in range(support.size)] for bits in found], dtype=np.float64)
    log_w, log_payment = plan.log_w[support], payment[support]
    logs = np.abs(plan.log_q[support]) + 2 * abs(plan.log_rest)
    chance_slip = EPS * (16 + 8 * support.size + 2 * counts @ logs)
    logs = np.abs(log_w) + np.abs(log_payment)
    slip = EPS * (16 + 2 * np.where(np.isfinite(logs), logs, 0.0))
    missed = np.exp(plan.log_counts(scheme.m) + plan.log_w)
    missed[support] = 0.0
    return _with_hard(Listed(chances, counts, support, log_w, log_payment, chance_slip, slip, missed), plan, payment)


def _successive(q: list[float], m: int) -> dict[int, float]:
    """P(N) of each set of m labels, as bits: each is drawn from what is left of the law."""
    found = {0: 1.0}
    for _ in range(m):
        longer: dict[int, float] = {}
        for bits, chance in found.items():
            left = [j for j in range(len(q)) if not bits >> j & 1]
            rest = math.fsum(q[j] for j in left)
            for j in left:
                longer[bits | 1 << j] = longer.get(bits | 1 << j, 0.0) + chance * q[j] / rest
        found = longer
    return found


def _coins(q: list[float], m: int) -> dict[int, float]:
    """P(N) of each set of labels, as bits, when each label is in with probability 1 - (1 - q)^m."""
    found = {0: 1.0}
    for j, one in enumerate(q):
        out = (1 - one) ** m if one > 0.5 else math.exp(m * math.log1p(-one))
        into = 1 - out if one > 0.5 else -math.expm1(m * math.log1p(-one))
        without = {bits: chance * out for bits, chance in found.items()}
        found = without | {bits | 1 << j: chance * into for bits, chance in found.items()}
    return found


def _matters(loss: Loss, problem: Problem, quantity: Quantity, log_payment: Floats) -> Floats:
    """The logarithm of each label's payment, (L,), or for the gradient of a decoupled loss that of its slope."""
    if loss.has_log or quantity not in ("gradient", "gradient_variance"):
        return log_payment
    with np.errstate(divide="ignore"):
        return np.log(np.abs(loss.payment_slope(problem.scores, problem.positive)))


def _check_underflow(log_q: Floats, log_w: Floats, log_adds: Floats, squared: bool) -> None:
    """*Raises* ValueError if a label's q underflows to 0, but its share of E Σ (or of E Σ², if `squared`) does not."""
    lost = (log_q > -np.inf) & (np.exp(log_q) == 0)
    share = np.where(lost | (log_q > -np.inf), log_q + (2 if squared else 1) * (log_w + log_adds), -np.inf)
    missed = lost & (share > share.max() + math.log(EPS))
    if missed.any():
        label = int(np.argmax(missed))
        raise ValueError(
            f"label {label} is drawn with q = e^{log_q[label]:.0f}, too small for floating point, and weighed so "
            "heavily that it counts; use a sampler with q >= 1e-300"
        )
