"""Monte Carlo: run the procedure.  Draw labels, weigh them, take the loss, average.

No margin, bound or stated law of a sampler is read here (a weighting that divides by q is part of the procedure).
Hits are excluded the way a programmer would: by drawing again.

Runs come in blocks, each with its own child of the seed, and block moments are merged in order: any number of threads
gives the same bits.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from implicitloss.estimate import Estimate, Quantity, checked_quantity
from implicitloss.kernels.draws import label_totals, log_sums, sums
from implicitloss.labels import Floats, Labels
from implicitloss.losses import Loss, checked_loss
from implicitloss.problem import Problem
from implicitloss.samplers.sampler import Draw, ImpossibleDraw, checked_draws
from implicitloss.scheme import Scheme

Seed = int | Sequence[int] | np.random.SeedSequence | np.random.BitGenerator | np.random.Generator | None

BLOCK_DRAWS = 1 << 16
MOST_RUNS = 10_000_000_000
MOST_DRAWS_A_RUN = 10_000_000
# Drawing again is given up when fewer than one draw in this many is a negative.
PATIENCE = 1 << 14


@dataclass(frozen=True)
class _Moments:
    """n, mean, sum of squared deviations of some terms (each a vector)."""

    n: int
    mean: Floats
    squares: Floats

    def merged(self, other: _Moments) -> _Moments:
        n = self.n + other.n
        step = other.mean - self.mean
        return _Moments(
            n,
            self.mean + step * (other.n / n),
            self.squares + other.squares + step**2 * (self.n * other.n / n),
        )


def simulate(
    scheme: Scheme,
    loss: Loss,
    problem: Problem,
    quantity: Quantity = "mean",
    *,
    runs: int = 100_000,
    rng: Seed = None,
    reference: float | None = None,
    threads: int | None = None,
) -> Estimate:
    """`quantity` of the sampled loss by `runs` independent runs of m draws: value, standard error, n.

    "mean" averages ℓ; "variance" averages (ℓ - ℓ')²/2 over independent pairs; "mse" and "gap" average
    (ℓ - b)² and b - ℓ about a `reference` b, which has to be given, because a simulation knows no implicit
    loss; "gradient" averages ∂ℓ/∂f, (L,).  `rng` is anything `numpy.random.default_rng` takes.

    *Raises* ValueError for fewer than 2 runs, a missing reference, or a sampler that draws the positive
    practically always where hits are excluded.
    """
    return simulate_together(
        scheme,
        [(scheme, loss)],
        problem,
        quantity,
        runs=runs,
        rng=rng,
        references=[reference],
        threads=threads,
    )[0]


def simulate_together(
    stream: Scheme,
    cases: Sequence[tuple[Scheme, Loss]],
    problem: Problem,
    quantity: Quantity = "mean",
    *,
    runs: int,
    rng: Seed = None,
    references: Sequence[float | None] | None = None,
    threads: int | None = None,
) -> list[Estimate]:
    """`simulate` for many weightings and losses on one stream of draws: that of `stream`.

    All schemes must share the sampler, m and hits of `stream`; the estimates are dependent.
    """
    checked_quantity(quantity)
    for _, loss in cases:
        checked_loss(loss)
    if isinstance(runs, bool) or not isinstance(runs, (int, np.integer)) or runs < 2:
        raise ValueError(f"runs must be a whole number >= 2, got {runs!r}")
    if runs > MOST_RUNS or stream.m > MOST_DRAWS_A_RUN:
        raise ValueError(
            f"a simulation takes at most {MOST_RUNS:,} runs of at most {MOST_DRAWS_A_RUN:,} draws, "
            f"got {runs:,} runs of {stream.m:,}"
        )
    if threads is not None and threads < 1:
        raise ValueError(f"threads must be at least 1, got {threads}")
    references = list(references) if references is not None else [None] * len(cases)
    if quantity in ("mse", "gap") and any(b is None for b in references):
        raise ValueError(f"simulating the {quantity} needs reference=b, the value it is about; see implicit_loss")
    for scheme, _ in cases:
        if (scheme.sampler, scheme.m, scheme.hits) != (stream.sampler, stream.m, stream.hits):
            raise ValueError("schemes that are simulated together must share sampler, m and hits")
    tables = [_Table.of(scheme, loss, problem) for scheme, loss in cases]
    draw = _without_hits(stream, problem)
    unreachable = ~tables[0].reachable if tables else np.zeros(0, dtype=bool)
    runs += runs % 2 if quantity == "variance" else 0
    per_block = max(2, BLOCK_DRAWS // stream.m // 2 * 2)
    sizes = [per_block] * (runs // per_block) + ([runs % per_block] if runs % per_block else [])
    root = _root(rng)
    seeds = np.random.SeedSequence(root).spawn(len(sizes))

    def block(job: tuple[np.random.SeedSequence, int]) -> list[_Moments]:
        seed, size = job
        generator = np.random.Generator(np.random.SFC64(seed))
        labels = draw(generator, size * stream.m).reshape(size, stream.m)
        if unreachable.any() and unreachable[labels].any():
            raise ImpossibleDraw(
                f"{stream.sampler} drew label {labels[unreachable[labels]][0]}, to which it gives q = 0"
            )
        return [table.moments(labels, quantity, reference) for table, reference in zip(tables, references, strict=True)]

    totals: list[_Moments] | None = None
    with ThreadPoolExecutor(threads or os.cpu_count()) as pool:
        for moments in pool.map(block, zip(seeds, sizes, strict=True)):
            totals = moments if totals is None else [a.merged(b) for a, b in zip(totals, moments, strict=True)]
    assert totals is not None
    return [
        table.estimate(total, quantity, reference, root)
        for table, total, reference in zip(tables, totals, references, strict=True)
    ]


def _root(rng: Seed) -> int | list[int]:
    """A seed in plain numbers, by which the same run can be had again; a generator moves on, as generators do."""
    if rng is None:
        rng = np.random.SeedSequence()
    if isinstance(rng, (np.random.BitGenerator, np.random.Generator)):
        words: list[int] = np.random.default_rng(rng).integers(1 << 32, size=4).tolist()
        return words
    if isinstance(rng, np.random.SeedSequence):
        if rng.spawn_key == () and rng.entropy is not None:
            return rng.entropy if isinstance(rng.entropy, int) else [int(word) for word in rng.entropy]
        return [int(word) for word in rng.generate_state(4)]
    return int(rng) if isinstance(rng, (int, np.integer)) else [int(word) for word in rng]


def _without_hits(scheme: Scheme, problem: Problem) -> Draw:
    """The sampler's procedure, with hits drawn again where they are excluded."""
    draw, y = checked_draws(scheme.sampler, problem), problem.positive

    if scheme.hits != "exclude":
        return draw

    def again(rng: np.random.Generator, size: int) -> Labels:
        labels = draw(rng, size)
        hits = np.flatnonzero(labels == y)
        tries = size
        while hits.size:
            if tries > PATIENCE * size:
                raise ValueError(
                    f"hits='exclude' cannot be simulated here: {tries} draws gave {size - hits.size} negatives, "
                    f"the rest were label {y}, the positive; use integrate, or hits='mask'"
                )
            # Many at a time, so that a frequent positive costs few rounds.
            fresh = draw(rng, max(hits.size, 1024))
            tries += fresh.size
            fresh = fresh[fresh != y][: hits.size]
            labels[hits[: fresh.size]] = fresh
            hits = hits[fresh.size :]
        return labels

    return again


@dataclass(frozen=True)
class _Table:
    """What each label adds to the sum when it is drawn, log x (L,), and what the loss makes of the sum."""

    log_x: Floats
    slopes: Floats
    reachable: NDArray[np.bool_]
    loss: Loss
    m: int
    positive: int
    positive_pays: float
    positive_slope: float

    @classmethod
    def of(cls, scheme: Scheme, loss: Loss, problem: Problem) -> _Table:
        plan, y = scheme.plan(problem), problem.positive
        f_y = float(problem.scores[y])
        log_x = plan.log_w + loss.log_payment(problem.scores, y)
        with np.errstate(divide="ignore", over="ignore"):
            slope = loss.payment_slope(problem.scores, y)
            slopes = log_x if loss.has_log else plan.log_w + np.log(slope)
        # Which labels can be drawn at all decides the range; a draw that belies this is refused.
        reachable = ~np.isneginf(plan.log_q)
        return cls(
            log_x,
            slopes,
            reachable,
            loss,
            scheme.m,
            y,
            loss.positive_pays(f_y),
            loss.positive_slope(f_y),
        )

    def losses(self, labels: Labels) -> Floats:
        """ℓ of each run."""
        if not self.loss.has_log:
            return self.positive_pays + sums(labels, np.exp(self.log_x)[None])[0]
        if self.log_x.max() < 600:
            return np.log1p(sums(labels, np.exp(self.log_x)[None])[0])
        return np.logaddexp(0.0, log_sums(labels, self.log_x[None])[0])

    def range(self) -> tuple[float, float]:
        """The limits of ℓ."""
        log_x = self.log_x[self.reachable] + np.log(self.m)
        ends = [float(log_x.min()), float(log_x.max())]
        if self.loss.has_log:
            low, high = (float(np.logaddexp(0.0, end)) for end in ends)
        else:
            low, high = (self.positive_pays + float(np.exp(end)) for end in ends)
        return low, high

    def moments(self, labels: Labels, quantity: Quantity, reference: float | None) -> _Moments:
        losses = self.losses(labels)
        if quantity == "gradient":
            return self._gradient_moments(labels, losses)
        if quantity == "variance":
            terms = (losses[::2] - losses[1::2]) ** 2 / 2
        elif quantity == "mean":
            terms = losses
        else:
            assert reference is not None
            terms = reference - losses if quantity == "gap" else (losses - reference) ** 2
        mean = terms.mean()
        return _Moments(terms.size, np.asarray(mean), np.asarray(np.sum((terms - mean) ** 2)))

    def _gradient_moments(self, labels: Labels, losses: Floats) -> _Moments:
        n, n_labels = labels.shape[0], self.log_x.size
        divisor = losses if self.loss.has_log else np.zeros(n)
        if self.loss.has_log:
            # ∂ℓ/∂f_y is minus the sum of the others, run by run; a kept hit does not depend on the scores.
            table = np.array(self.slopes)
            table[self.positive] = -np.inf
        else:
            table = self.slopes
        total, squares = label_totals(labels, table, divisor, n_labels)
        if self.loss.has_log:
            of_positive = -np.exp(
                (log_sums(labels, table[None])[0] if table.max() > -np.inf else np.full(n, -np.inf)) - divisor
            )
        else:
            of_positive = np.zeros(n)
        mean = total / n
        squares = squares - n * mean**2
        if self.loss.has_log:
            mean[self.positive] = of_positive.mean()
            squares[self.positive] = np.sum((of_positive - mean[self.positive]) ** 2)
        mean[self.positive] += self.positive_slope
        return _Moments(n, mean, np.maximum(squares, 0.0))

    def estimate(
        self, total: _Moments, quantity: Quantity, reference: float | None, seed: int | Sequence[int] | None
    ) -> Estimate:
        variance = total.squares / max(total.n - 1, 1)
        low: Floats | float
        high: Floats | float
        low, high = self.range()
        if quantity == "gradient":
            low, high = np.zeros(self.log_x.size), np.ones(self.log_x.size)
            if self.loss.has_log:
                low[self.positive], high[self.positive] = -1.0, 0.0
            else:
                high = self.m * np.exp(self.slopes)
                low[self.positive] += self.positive_slope
                high[self.positive] += self.positive_slope
        elif quantity == "variance":
            low, high = 0.0, (high - low) ** 2 / 2
        elif quantity == "gap":
            assert reference is not None
            low, high = reference - high, reference - low
        elif quantity == "mse":
            assert reference is not None
            low, high = 0.0, max((reference - low) ** 2, (reference - high) ** 2)
        error = np.sqrt(variance / total.n)
        if quantity != "gradient":
            return Estimate(
                float(total.mean),
                float(error),
                quantity,
                "simulate",
                total.n,
                float(variance),
                low,
                high,
                seed,
            )
        return Estimate(total.mean, error, quantity, "simulate", total.n, variance, low, high, seed)
