"""Monte Carlo: run the procedure.  Draw labels, weigh them, take the loss, average.

No margin, bound or stated law of a sampler is read here (a weighting that divides by q is part of the procedure).
Hits are excluded the way a programmer would: by drawing again.

Runs come in blocks, each with its own child of the seed, and block moments are merged in order: any number of threads
gives the same bits.  Within a block labels come in pieces that fit a cache, and one stream of labels serves every
weighting and loss, and every m up to that of the stream (a run's first m draws); memory is O(L) and a block a thread.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from implicitloss.arguments import checked_flag, checked_number, checked_threads, checked_whole, shown
from implicitloss.estimate import Estimate, Quantity, checked_quantity
from implicitloss.kernels.draws import (
    add_up,
    add_up_three,
    add_up_tickets,
    equal_but_for_a_shift,
    extent,
    label_totals,
    log_sums,
    ticket_records,
)
from implicitloss.labels import Floats, Labels
from implicitloss.losses import Loss, checked_loss
from implicitloss.problem import Problem, checked_problem
from implicitloss.samplers.sampler import Draw, ImpossibleDraw, TicketDraw, checked_draws
from implicitloss.scheme import Plan, Scheme, checked_scheme
from implicitloss.seeds import Seed, root_of

BLOCK_DRAWS = 1 << 20
# Labels, and the doubles they are drawn from, in pieces of this many.
PIECE = 1 << 14
# Gradients need a run's labels again; their blocks are smaller.
GRADIENT_BLOCK_DRAWS = 1 << 16
# A table of x whose largest and least lie this far apart, in logarithms, fits doubles; a wider one is added in logs.
WIDE = 600.0
MOST_RUNS = 10_000_000_000
MOST_DRAWS_A_RUN = 10_000_000
# Squares of larger terms, added up, would not fit doubles.
LARGEST = 1e140
# Tables of this many labels are filled by several threads.
MANY = 50_000
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
    control: bool = False,
    threads: int | None = None,
) -> Estimate:
    """`quantity` of the sampled loss by `runs` independent runs of m draws: value, standard error, n.

    "mean" averages ℓ; "variance" averages (ℓ - ℓ')²/2 over independent pairs; "mse" and "gap" average
    (ℓ - b)² and b - ℓ about a `reference` b, which has to be given, because a simulation knows no implicit
    loss; "gradient" averages ∂ℓ/∂f, (L,).  `rng` is anything `numpy.random.default_rng` takes.

    With `control` the mean of a softmax takes (S - ES)/(1 + ES) off each ℓ, S the sum over the draws and ES =
    e^b - 1 by the `reference` b, the implicit loss: of mean 0 if b is right, and most of ℓ's spread where the draws
    are many.  Such an estimate leans on b and carries no range: it settles no claim.

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
        control=control,
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
    control: bool = False,
    threads: int | None = None,
) -> list[Estimate]:
    """`simulate` for many weightings, losses and m on one stream of draws: that of `stream`.

    All schemes must share the sampler and hits of `stream`; a smaller m takes the first draws of each run (not for
    gradients).  The estimates are dependent.
    """
    checked_quantity(quantity)
    checked_problem(problem)
    for scheme, loss in [(stream, cases[0][1]), *cases]:
        checked_scheme(scheme)
        checked_loss(loss)
    control, threads = checked_flag(control, "control"), checked_threads(threads)
    runs = checked_whole(runs, "runs", 2)
    if runs > MOST_RUNS or stream.m > MOST_DRAWS_A_RUN:
        raise ValueError(
            f"a simulation takes at most {MOST_RUNS:,} runs of at most {MOST_DRAWS_A_RUN:,} draws, "
            f"got {runs:,} runs of {stream.m:,}"
        )
    references = [
        None if b is None else checked_number(b, "the reference")
        for b in (references if references is not None else [None] * len(cases))
    ]
    if quantity in ("mse", "gap") and any(b is None for b in references):
        raise ValueError(f"simulating the {quantity} needs reference=b, the value it is about; see implicit_loss")
    if control and (
        quantity != "mean" or any(b is None or not loss.has_log for b, (_, loss) in zip(references, cases, strict=True))
    ):
        raise ValueError("a control variate is for the mean of softmax, and needs reference=b, the implicit loss")
    for scheme, _ in cases:
        if (scheme.sampler, scheme.hits) != (stream.sampler, stream.hits) or scheme.m > stream.m:
            raise ValueError("schemes that are simulated together must share sampler and hits, and draw no more")
        if quantity == "gradient" and scheme.m != stream.m:
            raise ValueError("gradients that are simulated together must share m")
    with ThreadPoolExecutor(threads or os.cpu_count()) as pool:
        return _simulate(stream, cases, problem, quantity, runs, root_of(rng), references, control, pool)


def _simulate(
    stream: Scheme,
    cases: Sequence[tuple[Scheme, Loss]],
    problem: Problem,
    quantity: Quantity,
    runs: int,
    root: int | list[int],
    references: Sequence[float | None],
    control: bool,
    pool: ThreadPoolExecutor,
) -> list[Estimate]:
    # Of the caller's own code nothing runs in another thread: it would lose its errstate and context there.
    draw = checked_draws(stream.sampler, problem)
    if isinstance(draw, TicketDraw):
        pool.submit(draw.prepare)
    tables = _tables(cases, problem, pool)
    for table in tables:
        table.check_size(quantity)
    runs += runs % 2 if quantity == "variance" else 0
    in_pieces = quantity != "gradient" and all(table.worth.is_narrow for table in tables)
    block_draws = BLOCK_DRAWS if in_pieces else GRADIENT_BLOCK_DRAWS
    per_block = max(2, block_draws // stream.m // 2 * 2)
    sizes = [per_block] * (runs // per_block) + ([runs % per_block] if runs % per_block else [])
    about = np.array([np.nan if b is None else b for b in references], dtype=np.float64)[:, None]
    seeds = np.random.SeedSequence(root).spawn(len(sizes))
    sampled = (_Pieces if in_pieces else _Matrix)(stream, problem, tables, draw, pool)

    def block(job: tuple[np.random.SeedSequence, int]) -> list[_Moments]:
        seed, size = job
        generator = np.random.Generator(np.random.SFC64(seed))
        if quantity == "gradient":
            assert isinstance(sampled, _Matrix)
            return sampled.gradients(generator, size)
        return [_moments(_terms(sampled.losses(generator, size), quantity, about, control))]

    totals: list[_Moments] | None = None
    for moments in pool.map(block, zip(seeds, sizes, strict=True)):
        totals = moments if totals is None else [a.merged(b) for a, b in zip(totals, moments, strict=True)]
    assert totals is not None
    if quantity != "gradient":
        (every,) = totals
        totals = [_Moments(every.n, mean, squares) for mean, squares in zip(every.mean, every.squares, strict=True)]
    return [
        table.estimate(total, quantity, reference, root, control)
        for table, total, reference in zip(tables, totals, references, strict=True)
    ]


def _tables(cases: Sequence[tuple[Scheme, Loss]], problem: Problem, pool: ThreadPoolExecutor) -> list[_Table]:
    """A table a case; schemes that differ in m only share what is as long as the labels, if w is a power of m."""
    powers = [getattr(w, "m_power", -1 if w.is_eta_over_m else None) for w in (scheme.weighting for scheme, _ in cases)]
    keys: list[Any] = [
        (scheme, id(loss)) if power is None else (scheme.weighting, id(loss))
        for power, (scheme, loss) in zip(powers, cases, strict=True)
    ]
    first: dict[Any, tuple[Scheme, Loss]] = {}
    for key, case in zip(keys, cases, strict=True):
        first.setdefault(key, case)
    draws = cases[0][0].draws(problem)
    pays = {name: _pays(loss, problem) for name, loss in {id(loss): loss for _, loss in first.values()}.items()}
    worths = {
        key: pool.submit(_Worth.of, scheme.plan(problem, draws, loss), *pays[id(loss)])
        for key, (scheme, loss) in first.items()
    }
    tables, y = [], problem.positive
    f_y = float(problem.scores[y])
    for power, key, (scheme, loss) in zip(powers, keys, cases, strict=True):
        worth, m = worths[key].result(), first[key][0].m
        offset = 0.0 if scheme.m == m else float(power * (np.log(scheme.m) - np.log(m)))
        tables.append(_Table(worth, offset, loss, scheme.m, y, loss.positive_pays(f_y), loss.positive_slope(f_y)))
    return tables


def _pays(loss: Loss, problem: Problem) -> tuple[Floats, Floats | None]:
    """The log of what each label pays as a negative, and of its slope where that is another."""
    payment = loss.log_payment(problem.scores, problem.positive)
    if loss.has_log:
        return payment, None
    with np.errstate(divide="ignore"):
        return payment, np.log(loss.payment_slope(problem.scores, problem.positive))


class _Pieces:
    """Losses of runs from a stream of labels in pieces: sums of narrow tables, each draw looked up once."""

    def __init__(
        self, stream: Scheme, problem: Problem, tables: Sequence[_Table], draw: Draw, pool: ThreadPoolExecutor
    ) -> None:
        self.tables, self.stream, self.problem, self.draw = tables, stream, problem, draw
        self.skipped = problem.positive if stream.hits == "exclude" else -1
        self.ladder = np.unique([table.m for table in tables]).astype(np.intp)
        # Tables that differ by a factor (1/m, or a loss's) are added up once.
        columns: list[_Worth] = []
        column_of: dict[int, int] = {}
        for worth in {id(table.worth): table.worth for table in tables}.values():
            same = (i for i, other in enumerate(columns) if worth.is_proportional_to(other))
            column_of[id(worth)] = next(same, len(columns))
            if column_of[id(worth)] == len(columns):
                columns.append(worth)
        self.column = [column_of[id(table.worth)] for table in tables]
        self.rung = np.searchsorted(self.ladder, [table.m for table in tables])
        plain = all(table.loss.has_log and table.largest < WIDE for table in tables)
        self.scale = np.exp([table.largest for table in tables])[:, None] if plain else None
        # A kernel, what it looks at, and how many columns it adds up.
        self.parts: list[tuple[Any, Floats, int]] = []
        if not isinstance(draw, TicketDraw):
            self.parts = [(add_up, np.ascontiguousarray(self._values(columns, pool).T), len(columns))]
            return
        # Labels drawn by tickets need not be written down: their values are in the tickets' records.
        kernel, width = (add_up_tickets, 1) if len(columns) == 1 else (add_up_three, 3)
        for first in range(0, len(columns), width):
            part = columns[first : first + width]
            records = _aligned(draw.cells.shape[0], 2 * width + 2)
            values = self._values(part + part[:1] * (width - len(part)), pool)
            if len(records) < MANY:
                ticket_records(draw.cells, values, 0, len(records), records)
            else:
                ends = np.linspace(0, len(records), 9).astype(int).tolist()
                list(pool.map(partial(ticket_records, draw.cells, values), ends, ends[1:], repeat(records)))
            self.parts.append((kernel, records, width))

    def _values(self, columns: Sequence[_Worth], pool: ThreadPoolExecutor) -> Floats:
        """x/max x of each, (k, L), -1 for the label that is skipped.

        A label that the law rules out is not a number, and so is every run with it.
        """
        values = np.empty((len(columns), columns[0].log_x.size))
        each = map if values.shape[1] < MANY else pool.map
        list(each(lambda row, worth: np.exp(np.subtract(worth.log_x, worth.top, out=row), out=row), values, columns))
        if not columns[0].reachable.all():
            values[:, ~columns[0].reachable] = np.nan
        if self.skipped >= 0:
            values[:, self.skipped] = -1.0
        return values

    def losses(self, generator: np.random.Generator, size: int) -> Floats:
        """ℓ of `size` runs, for each table, (tables, size)."""
        outs = [np.empty((self.ladder.size, width, size)) for _, _, width in self.parts]
        states = [(np.zeros(3, dtype=np.intp), np.zeros(width)) for _, _, width in self.parts]
        length, run = int(self.ladder[-1]), states[0][0]
        piece = min(PIECE, size * length)
        points, drawn = np.empty(piece), 0
        while run[0] < size:
            if self.skipped >= 0 and drawn > PATIENCE * (run[0] * length + run[1] + piece):
                _give_up(drawn, run[0] * length + run[1], self.skipped)
            by_tickets = isinstance(self.draw, TicketDraw)
            drawn_from = generator.random(out=points) if by_tickets else self.draw(generator, piece)
            for (kernel, table, _), state, out in zip(self.parts, states, outs, strict=True):
                kernel(table, drawn_from, self.skipped, self.ladder, *state, out)
            drawn += piece
        sums = np.concatenate(outs, axis=1)[self.rung, self.column]
        if np.isnan(sums).any():
            _name_impossible(self.stream, self.problem, self.tables[0], self.draw, generator, piece)
        if self.scale is not None:
            sums *= self.scale
            return np.log1p(sums)
        return np.array([table.of_sums(row) for table, row in zip(self.tables, sums, strict=True)])


def _aligned(rows: int, width: int) -> Floats:
    """An array of doubles whose rows begin where a line of the cache does, if they are as long as one."""
    line = 64
    doubles = np.empty(rows * width + line // 8)
    first = -doubles.ctypes.data % line // 8
    return doubles[first : first + rows * width].reshape(rows, width)


class _Matrix:
    """Losses and gradients of runs from their labels all at once, (runs, m): for wide tables, added in logs."""

    def __init__(
        self, stream: Scheme, problem: Problem, tables: Sequence[_Table], draw: Draw, pool: ThreadPoolExecutor
    ) -> None:
        self.tables, self.stream, self.problem, self.draw = tables, stream, problem, draw
        self.skipped = problem.positive if stream.hits == "exclude" else -1

    def labels(self, generator: np.random.Generator, size: int) -> Labels:
        """The labels of `size` runs, hits drawn again where they are excluded."""
        needed, found, have, drawn = size * self.stream.m, [], 0, 0
        while have < needed:
            if drawn > PATIENCE * (have + PIECE):
                _give_up(drawn, have, self.skipped)
            piece = self.draw(generator, needed - have if self.skipped < 0 else max(needed - have, 1024))
            drawn += piece.size
            found.append(piece[piece != self.skipped] if self.skipped >= 0 else piece)
            have += found[-1].size
        labels = np.concatenate(found)[:needed].reshape(size, self.stream.m)
        if (~self.tables[0].worth.reachable[labels]).any():
            _name_impossible(self.stream, self.problem, self.tables[0], self.draw, generator, 1)
        return labels

    def losses(self, generator: np.random.Generator, size: int) -> Floats:
        """ℓ of `size` runs, for each table, (tables, size)."""
        labels = self.labels(generator, size)
        each = [
            table.of_log_sums(log_sums(labels[:, : table.m], table.worth.log_x[None])[0] + table.offset)
            for table in self.tables
        ]
        return np.array(each)

    def gradients(self, generator: np.random.Generator, size: int) -> list[_Moments]:
        """Moments of ∂ℓ/∂f, for each table."""
        labels = self.labels(generator, size)
        return [table.gradient_moments(labels) for table in self.tables]


def _give_up(drawn: int, kept: int, y: int) -> None:
    raise ValueError(
        f"hits='exclude' cannot be simulated here: {drawn} draws gave {kept} negatives, "
        f"the rest were label {y}, the positive; use integrate, or hits='mask'"
    )


def _name_impossible(
    stream: Scheme, problem: Problem, table: _Table, draw: Draw, generator: np.random.Generator, size: int
) -> None:
    """*Raises* ImpossibleDraw, with a label of q = 0 that the sampler draws."""
    ruled_out = np.flatnonzero(~table.worth.reachable)
    ruled_out = ruled_out[ruled_out != problem.positive] if stream.hits == "exclude" else ruled_out
    seen = np.intersect1d(draw(generator, max(size, 1 << 16)), ruled_out)
    label = seen[0] if seen.size else ruled_out[0]
    raise ImpossibleDraw(f"{shown(stream.sampler)} drew label {label}, to which it gives q = 0")


def _terms(losses: Floats, quantity: Quantity, about: Floats, control: bool) -> Floats:
    """What is averaged, from the losses of independent runs, (tables, runs), about (tables, 1)."""
    if quantity == "variance":
        return np.asarray((losses[:, ::2] - losses[:, 1::2]) ** 2 / 2)
    if control:
        # (S - ES)/(1 + ES) with S = e^ℓ - 1
        return np.asarray(losses - np.expm1(losses - about))
    if quantity == "mean":
        return losses
    return np.asarray(about - losses if quantity == "gap" else (losses - about) ** 2)


def _moments(terms: Floats) -> _Moments:
    mean = terms.mean(axis=1)
    return _Moments(terms.shape[1], mean, np.sum((terms - mean[:, None]) ** 2, axis=1))


@dataclass(frozen=True, eq=False)
class _Worth:
    """What each label adds to the sum when it is drawn, log x (L,), and to the gradient; which can be drawn at all."""

    log_x: Floats
    slopes: Floats
    reachable: NDArray[np.bool_]
    # The largest log x, the least of labels that can be drawn, and whether x spans little enough to be added as it is.
    largest: float
    least: float
    is_narrow: bool

    @classmethod
    def of(cls, plan: Plan, payment: Floats, log_slope: Floats | None) -> _Worth:
        log_x = payment + plan.log_w
        slopes = log_x if log_slope is None else plan.log_w + log_slope
        # Which labels can be drawn at all decides the range; a draw that belies this is refused.
        largest, least, smallest = extent(log_x, plan.log_q)
        is_narrow = largest == -np.inf or largest - smallest < WIDE
        return cls(log_x, slopes, plan.log_q > -np.inf, largest, least, is_narrow)

    def is_proportional_to(self, other: _Worth) -> bool:
        """Whether x is that of `other` but for a factor."""
        return bool(equal_but_for_a_shift(self.log_x, other.log_x, self.top - other.top, 1e-13))

    @property
    def top(self) -> float:
        """What is taken off log x before it is added up."""
        return self.largest if self.largest > -np.inf else 0.0


@dataclass(frozen=True, eq=False)
class _Table:
    """x = e^{log x + offset} of the labels under one scheme, and what the loss makes of a run's sum."""

    worth: _Worth
    offset: float
    loss: Loss
    m: int
    positive: int
    positive_pays: float
    positive_slope: float

    @property
    def largest(self) -> float:
        """The largest log x."""
        return self.worth.largest + self.offset

    def of_sums(self, sums: Floats) -> Floats:
        """ℓ of each run from its Σ x/max x."""
        largest = self.largest
        if largest == -np.inf:
            return np.full(sums.size, self.positive_pays)
        if largest < WIDE:
            total = sums * np.exp(largest)
            return np.log1p(total) if self.loss.has_log else self.positive_pays + total
        with np.errstate(divide="ignore"):
            return self.of_log_sums(np.log(sums) + largest)

    def of_log_sums(self, log_sums: Floats) -> Floats:
        """ℓ of each run from its log Σ x."""
        return np.logaddexp(0.0, log_sums) if self.loss.has_log else self.positive_pays + np.exp(log_sums)

    def range(self) -> tuple[float, float]:
        """The limits of ℓ."""
        ends = [end + self.offset + float(np.log(self.m)) for end in (self.worth.least, self.worth.largest)]
        if self.loss.has_log:
            low, high = (float(np.logaddexp(0.0, end)) for end in ends)
        else:
            with np.errstate(over="ignore"):
                low, high = (self.positive_pays + float(np.exp(end)) for end in ends)
        return low, high

    def check_size(self, quantity: Quantity) -> None:
        """*Raises* ValueError where sums of squares of the terms would overflow."""
        size = self.range()[1]
        if quantity == "gradient" and not self.loss.has_log:
            with np.errstate(over="ignore"):
                size = self.m * float(np.exp(self.worth.slopes.max()))
        most = LARGEST**0.5 if quantity in ("variance", "mse") else LARGEST
        if not size < most:
            raise ValueError(
                f"the {quantity} of a simulation needs terms below {most:.0e}, but a run's can reach {size:.3g}: "
                "scores or weights are too large for floating point"
            )

    def gradient_moments(self, labels: Labels) -> _Moments:
        """Moments of ∂ℓ/∂f of the runs with these labels."""
        losses = self.of_log_sums(log_sums(labels, self.worth.log_x[None])[0])
        n, n_labels = labels.shape[0], self.worth.log_x.size
        divisor = losses if self.loss.has_log else np.zeros(n)
        if self.loss.has_log:
            # ∂ℓ/∂f_y is minus the sum of the others, run by run; a kept hit does not depend on the scores.
            table = np.array(self.worth.slopes)
            table[self.positive] = -np.inf
        else:
            table = self.worth.slopes
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
        self,
        total: _Moments,
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
        if control:
            return Estimate(float(total.mean), float(error), quantity, "simulate", total.n, seed=seed)
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
