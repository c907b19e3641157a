"""Tables of what each label adds to a run's sum, and the losses of the sums."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from implicitloss.draws import design
from implicitloss.estimate import Estimate, Quantity
from implicitloss.kernels.draws import (
    equal_but_for_a_shift,
    extent,
    label_totals,
    log_sums,
    pair_distances,
)
from implicitloss.labels import Floats, Labels
from implicitloss.losses import Loss
from implicitloss.numerics.moments import Moments
from implicitloss.problem import Problem
from implicitloss.scheme import Plan, Scheme
from implicitloss.weightings import complete_weighting

__all__ = ["THREADED_FROM_LABELS", "WIDEST_LOG_RANGE", "SchemeTable", "Worth", "tables_of"]

# A table whose log x span less than this is added up in doubles, a wider one in logarithms.
WIDEST_LOG_RANGE = 600.0
# Sums of squares of larger terms would overflow.
LARGEST_TERM = 1e140
# Tables of this many labels are filled by several threads.
THREADED_FROM_LABELS = 50_000


def tables_of(cases: Sequence[tuple[Scheme, Loss]], problem: Problem, pool: ThreadPoolExecutor) -> list[SchemeTable]:
    """A table for each case.  Schemes that differ in m only share the vectors of length L, if w is a power of m."""
    powers = [complete_weighting(scheme.weighting).m_power for scheme, _ in cases]
    keys: list[Any] = [
        (scheme, id(loss)) if power is None else (scheme.weighting, id(loss))
        for power, (scheme, loss) in zip(powers, cases, strict=True)
    ]
    first: dict[Any, tuple[Scheme, Loss]] = {}
    for key, case in zip(keys, cases, strict=True):
        first.setdefault(key, case)
    draws = cases[0][0].laws(problem)
    pays = {name: _pays(loss, problem) for name, loss in {id(loss): loss for _, loss in first.values()}.items()}
    worths = {
        key: pool.submit(Worth.of, scheme.plan(problem, draws, loss), *pays[id(loss)])
        for key, (scheme, loss) in first.items()
    }
    tables, y = [], problem.positive
    f_y = float(problem.scores[y])
    for power, key, (scheme, loss) in zip(powers, keys, cases, strict=True):
        worth, m = worths[key].result(), first[key][0].m
        offset = 0.0 if scheme.m == m else float(power * (np.log(scheme.m) - np.log(m)))
        tables.append(
            SchemeTable(
                worth, offset, loss, scheme.m, _sizes(scheme, worth), y, loss.positive_pays(f_y),
                loss.positive_slope(f_y), draws.hard,
                *_hard_terms(scheme, draws.hard, *pays[id(loss)]),
            )
        )  # fmt: skip
    return tables


def _sizes(scheme: Scheme, worth: Worth) -> tuple[int, int]:
    """The least and the largest number of labels in a run."""
    return design(scheme.draws).sizes(int(worth.reachable.sum()), scheme.m)


def _hard_terms(scheme: Scheme, hard: Labels, payment: Floats, log_slope: Floats | None) -> tuple[float, Floats]:
    """log Σ_{j in T} w_T payment(j), and the logarithm of what each j adds to the gradient, (k',)."""
    if scheme.hard is None:
        return -np.inf, np.empty(0)
    log_w = float(np.log(scheme.hard.weight))
    terms = log_w + payment[hard]
    total = float(np.logaddexp.reduce(terms)) if hard.size else -np.inf
    return total, terms if log_slope is None else log_w + log_slope[hard]


def _pays(loss: Loss, problem: Problem) -> tuple[Floats, Floats | None]:
    """The logarithm of what each label pays as a negative, and that of its slope; None if the two are equal."""
    payment = loss.log_payment(problem.scores, problem.positive)
    if loss.has_log:
        return payment, None
    with np.errstate(divide="ignore"):
        return payment, np.log(loss.payment_slope(problem.scores, problem.positive))


@dataclass(frozen=True, eq=False)
class Worth:
    """What a draw of each label adds: log x (L,) to the sum, log `slopes` (L,) to the gradient.

    `reachable` (L,) says which labels can be drawn.
    """

    log_x: Floats
    slopes: Floats
    reachable: NDArray[np.bool_]
    # The largest log x, the least log x of labels that can be drawn, and whether x can be added up in doubles.
    largest: float
    least: float
    is_narrow: bool

    @classmethod
    def of(cls, plan: Plan, payment: Floats, log_slope: Floats | None) -> Worth:
        log_x = payment + plan.log_w
        slopes = log_x if log_slope is None else plan.log_w + log_slope
        # The range is that of labels with q > 0; a draw of any other is refused.
        largest, least, smallest = extent(log_x, plan.log_q)
        is_narrow = largest == -np.inf or largest - smallest < WIDEST_LOG_RANGE
        return cls(log_x, slopes, plan.log_q > -np.inf, largest, least, is_narrow)

    def is_proportional_to(self, other: Worth) -> bool:
        """Whether x is that of `other` times a factor."""
        return bool(equal_but_for_a_shift(self.log_x, other.log_x, self.top - other.top, 1e-13))

    @property
    def top(self) -> float:
        """What is subtracted from log x before x is added up."""
        return self.largest if self.largest > -np.inf else 0.0


@dataclass(frozen=True, eq=False)
class SchemeTable:
    """x = e^{log x + offset} of the labels under one scheme, and the loss of a run's sum."""

    worth: Worth
    offset: float
    loss: Loss
    m: int
    # The least and the largest number of labels in a run.
    sizes: tuple[int, int]
    positive: int
    positive_pays: float
    positive_slope: float
    # T, log Σ_T w_T payment, and the logarithm of what each label of T adds to the gradient, (k',).
    hard: Labels
    log_hard: float
    hard_slopes: Floats

    @property
    def largest(self) -> float:
        """The largest log x."""
        return self.worth.largest + self.offset

    def of_sums(self, sums: Floats) -> Floats:
        """ℓ of each run from its Σ x/max x."""
        largest = self.largest
        if largest == -np.inf:
            return self.of_log_sums(np.full(sums.size, -np.inf))
        if max(largest, self.log_hard) < WIDEST_LOG_RANGE:
            total = sums * np.exp(largest)
            if self.hard.size:
                total += np.exp(self.log_hard)
            return np.log1p(total) if self.loss.has_log else self.positive_pays + total
        with np.errstate(divide="ignore"):
            return self.of_log_sums(np.log(sums) + largest)

    def of_log_sums(self, log_sums: Floats) -> Floats:
        """ℓ of each run from its log Σ x over the draws."""
        if self.hard.size:
            log_sums = np.logaddexp(log_sums, self.log_hard)
        return np.logaddexp(0.0, log_sums) if self.loss.has_log else self.positive_pays + np.exp(log_sums)

    def range(self) -> tuple[float, float]:
        """The limits of ℓ."""
        ends = [
            end + self.offset + float(np.log(n)) if n else -np.inf
            for end, n in zip((self.worth.least, self.worth.largest), self.sizes, strict=True)
        ]
        if self.hard.size:
            ends = [float(np.logaddexp(end, self.log_hard)) for end in ends]
        if self.loss.has_log:
            low, high = (float(np.logaddexp(0.0, end)) for end in ends)
        else:
            with np.errstate(over="ignore"):
                low, high = (self.positive_pays + float(np.exp(end)) for end in ends)
        return low, high

    def check_size(self, quantity: Quantity) -> None:
        """*Raises* ValueError where sums of squares of the terms would overflow."""
        size = self.range()[1]
        if quantity in ("gradient", "gradient_variance") and not self.loss.has_log:
            with np.errstate(over="ignore"):
                size = self.m * float(np.exp(self.worth.slopes.max())) + float(np.exp(self.hard_slopes).sum())
        most = LARGEST_TERM**0.5 if quantity in ("variance", "mse", "gradient_variance") else LARGEST_TERM
        if not size < most:
            raise ValueError(
                f"the {quantity} of a simulation needs terms below {most:.0e}, but a run's can reach {size:.3g}: "
                "scores or weights are too large for floating point"
            )

    def gradient_moments(self, labels: Labels) -> Moments:
        """Moments of ∂ℓ/∂f of the runs with these labels."""
        n, n_labels = labels.shape[0], self.worth.log_x.size
        table, divisor = self._slopes(labels)
        total, squares = label_totals(labels, table, divisor, n_labels)
        if self.hard.size:
            self._add_hard(labels, table, divisor, total, squares)
        of_positive = self._of_positive(labels, table, divisor)
        mean = total / n
        squares = squares - n * mean**2
        if self.loss.has_log:
            mean[self.positive] = of_positive.mean()
            squares[self.positive] = np.sum((of_positive - mean[self.positive]) ** 2)
        mean[self.positive] += self.positive_slope
        return Moments(n, mean, np.maximum(squares, 0.0))

    def gradient_pairs(self, labels: Labels) -> Floats:
        """‖g - g'‖²/2 of every two runs with these labels, g = ∂ℓ/∂f: its mean is the variance of g."""
        table, divisor = self._slopes(labels)
        apart = pair_distances(labels, table, divisor, self.hard, self.hard_slopes, table.size)
        # What the positive of a decoupled loss pays is the same in both.
        of_positive = self._of_positive(labels, table, divisor)
        return np.asarray((apart + (of_positive[: 2 * apart.size : 2] - of_positive[1::2]) ** 2) / 2)

    def _slopes(self, labels: Labels) -> tuple[Floats, Floats]:
        """The logarithm of what a draw of each label adds to ∂ℓ/∂f at it, (L,), and of its divisor in each run."""
        if not self.loss.has_log:
            return self.worth.slopes, np.zeros(labels.shape[0])
        # In each run ∂ℓ/∂f_y is minus the sum of the others.  A kept hit pays 1 whatever the scores are.
        table = np.array(self.worth.slopes)
        table[self.positive] = -np.inf
        return table, self.of_log_sums(log_sums(labels, self.worth.log_x[None])[0])

    def _of_positive(self, labels: Labels, table: Floats, divisor: Floats) -> Floats:
        """∂ℓ/∂f_y of each run of a softmax, minus the sum of the others; 0 for a decoupled loss."""
        if not self.loss.has_log:
            return np.zeros(labels.shape[0])
        others = log_sums(labels, table[None])[0] if table.max() > -np.inf else np.full(labels.shape[0], -np.inf)
        return np.asarray(-np.exp((np.logaddexp(others, self.log_hard) if self.hard.size else others) - divisor))

    def _add_hard(self, labels: Labels, table: Floats, divisor: Floats, total: Floats, squares: Floats) -> None:
        """Add what hard negatives give to the sums over runs of each label's share and of its square.

        With a label's draws D_r and its own h_r = e^{log h - divisor_r} in run r: Σ h, and 2 Σ D h + Σ h².
        """
        least = float(divisor.min())
        inverse = np.exp(least - divisor)
        with_own = np.full(table.size, -np.inf)
        with_own[self.hard] = table[self.hard] + self.hard_slopes
        crossed, _ = label_totals(labels, with_own, 2 * divisor, table.size)
        once = np.exp(self.hard_slopes - least)
        total[self.hard] += once * inverse.sum()
        squares[self.hard] += 2 * crossed[self.hard] + once**2 * np.sum(inverse**2)

    def _farthest(self) -> float:
        """A limit of ‖g - g'‖²/2.

        The shares s of a softmax and their sum: ‖s - s'‖² + (Σ s - Σ s')² is convex, and at most 2 at its corners, a
        unit vector and 0 or another.  The sums of m slopes c: ‖n c - n' c‖² <= 2 m² max c², likewise.
        """
        return 1.0 if self.loss.has_log else float((self.sizes[1] * np.exp(self.worth.slopes.max())) ** 2)

    def estimate(
        self,
        total: Moments,
        quantity: Quantity,
        reference: float | None,
        seed: int | Sequence[int] | None,
        control: bool = False,
    ) -> Estimate:
        variance = total.squares / max(total.n - 1, 1)
        low: Floats | float
        high: Floats | float
        low, high = self.range()
        if quantity == "gradient":
            low, high = np.zeros(self.worth.log_x.size), np.ones(self.worth.log_x.size)
            if self.loss.has_log:
                low[self.positive], high[self.positive] = -1.0, 0.0
            else:
                high = self.m * np.exp(self.worth.slopes)
                low[self.hard] += np.exp(self.hard_slopes)
                high[self.hard] += np.exp(self.hard_slopes)
                low[self.positive] += self.positive_slope
                high[self.positive] += self.positive_slope
        elif quantity == "gradient_variance":
            low, high = 0.0, self._farthest()
        elif quantity == "variance":
            low, high = 0.0, (high - low) ** 2 / 2
        elif quantity == "gap":
            assert reference is not None
            low, high = reference - high, reference - low
        elif quantity == "mse":
            assert reference is not None
            low, high = 0.0, max((reference - low) ** 2, (reference - high) ** 2)
        error = np.sqrt(variance / total.n)
        if control:
            return Estimate(float(total.mean), float(error), quantity, "simulate", total.n, seed=seed)
        if quantity != "gradient":
            mean, spread = float(total.mean), float(variance)
            return Estimate(mean, float(error), quantity, "simulate", total.n, spread, low, high, seed)
        return Estimate(total.mean, error, quantity, "simulate", total.n, variance, low, high, seed)
