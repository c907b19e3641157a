"""Losses of runs from a stream of drawn labels, added up in pieces that fit a cache, or all at once in logarithms."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import repeat
from typing import Any

import numpy as np

from implicitloss.arguments import shown
from implicitloss.draws import design
from implicitloss.kernels.draws import (
    add_up,
    add_up_by_alias,
    add_up_three,
    alias_records,
    log_sums,
)
from implicitloss.labels import NO_LABELS, Floats, Labels
from implicitloss.numerics.moments import Moments
from implicitloss.problem import Problem
from implicitloss.samplers.sampler import AliasDraw, Draw, ImpossibleDraw
from implicitloss.scheme import Scheme
from implicitloss.witness.simulate.table import THREADED_FROM_LABELS, WIDEST_LOG_RANGE, SchemeTable, Worth

__all__ = ["Matrix", "Pieces", "Sets"]

# The number of labels in a piece, and of the doubles that they are drawn from.
PIECE_LABELS = 1 << 14
# Drawing again ends with an error if fewer than one draw in this many is a negative.
DRAWS_A_NEGATIVE = 1 << 14


class Pieces:
    """Losses of runs whose labels come in pieces; each draw is looked up once, in tables narrow enough to add up."""

    def __init__(
        self, stream: Scheme, problem: Problem, tables: Sequence[SchemeTable], draw: Draw, pool: ThreadPoolExecutor
    ) -> None:
        self.tables, self.stream, self.problem, self.draw = tables, stream, problem, draw
        self.again = _drawn_again(stream, problem)
        self.skipped = int(self.again[-1]) if self.again.size else -1
        self.ladder = np.unique([table.m for table in tables]).astype(np.intp)
        # Tables that differ only by a factor (such as 1/m) share one sum.
        columns: list[Worth] = []
        column_of: dict[int, int] = {}
        for worth in {id(table.worth): table.worth for table in tables}.values():
            same = (i for i, other in enumerate(columns) if worth.is_proportional_to(other))
            column_of[id(worth)] = next(same, len(columns))
            if column_of[id(worth)] == len(columns):
                columns.append(worth)
        self.column = [column_of[id(table.worth)] for table in tables]
        self.rung = np.searchsorted(self.ladder, [table.m for table in tables])
        plain = all(table.loss.has_log and max(table.largest, table.log_hard) < WIDEST_LOG_RANGE for table in tables)
        self.scale = np.exp([table.largest for table in tables])[:, None] if plain else None
        self.hard = np.exp([table.log_hard for table in tables])[:, None] if plain and tables[0].hard.size else None
        # Each part has a kernel, the table that the kernel reads, and the number of columns that it adds up.
        self.parts: list[tuple[Any, Floats, int]] = []
        if not isinstance(draw, AliasDraw):
            self.parts = [(add_up, np.ascontiguousarray(self._values(columns, pool).T), len(columns))]
            return
        # A sampler that draws by shares needs no array of labels: the shares' records hold the values.
        kernel, width = (add_up_by_alias, 1) if len(columns) == 1 else (add_up_three, 3)
        for first in range(0, len(columns), width):
            part = columns[first : first + width]
            records = _aligned(draw.cells.shape[0], 2 * width + 2)
            values = self._values(part + part[:1] * (width - len(part)), pool)
            if len(records) < THREADED_FROM_LABELS:
                alias_records(draw.cells, values, 0, len(records), records)
            else:
                ends = np.linspace(0, len(records), 9).astype(int).tolist()
                list(pool.map(partial(alias_records, draw.cells, values), ends, ends[1:], repeat(records)))
            self.parts.append((kernel, records, width))

    def _values(self, columns: Sequence[Worth], pool: ThreadPoolExecutor) -> Floats:
        """x/max x of each, (k, L); -1 for the labels that are drawn again.

        A label that the law rules out has NaN, which then marks every run that drew it.
        """
        values = np.empty((len(columns), columns[0].log_x.size))
        each = map if values.shape[1] < THREADED_FROM_LABELS else pool.map
        list(each(lambda row, worth: np.exp(np.subtract(worth.log_x, worth.top, out=row), out=row), values, columns))
        if not columns[0].reachable.all():
            values[:, ~columns[0].reachable] = np.nan
        if self.skipped >= 0:
            values[:, self.again] = -1.0
        return values

    def losses(self, generator: np.random.Generator, size: int) -> Floats:
        """ℓ of `size` runs, for each table, (tables, size)."""
        outs = [np.empty((self.ladder.size, width, size)) for _, _, width in self.parts]
        states = [(np.zeros(3, dtype=np.intp), np.zeros(width)) for _, _, width in self.parts]
        length, run = int(self.ladder[-1]), states[0][0]
        piece = min(PIECE_LABELS, size * length)
        points, drawn = np.empty(piece), 0
        while run[0] < size:
            if self.skipped >= 0 and drawn > DRAWS_A_NEGATIVE * (run[0] * length + run[1] + piece):
                _give_up(drawn, run[0] * length + run[1], self.stream, self.problem)
            by_shares = isinstance(self.draw, AliasDraw)
            drawn_from = generator.random(out=points) if by_shares else self.draw(generator, piece)
            for (kernel, table, _), state, out in zip(self.parts, states, outs, strict=True):
                kernel(table, drawn_from, self.skipped, self.ladder, *state, out)
            drawn += piece
        sums = np.concatenate(outs, axis=1)[self.rung, self.column]
        if np.isnan(sums).any():
            _name_impossible(self.stream, self.problem, self.tables[0], self.draw, generator, piece)
        if self.scale is not None:
            sums *= self.scale
            if self.hard is not None:
                sums += self.hard
            return np.log1p(sums)
        return np.array([table.of_sums(row) for table, row in zip(self.tables, sums, strict=True)])


def _aligned(rows: int, width: int) -> Floats:
    """An array of doubles that begins at a line of the cache, so that a row of 64 bytes lies within one."""
    line = 64
    doubles = np.empty(rows * width + line // 8)
    first = -doubles.ctypes.data % line // 8
    return doubles[first : first + rows * width].reshape(rows, width)


class Matrix:
    """Losses and gradients of runs from all of their labels, (runs, m), added up in logarithms: for wide tables."""

    def __init__(
        self, stream: Scheme, problem: Problem, tables: Sequence[SchemeTable], draw: Draw, pool: ThreadPoolExecutor
    ) -> None:
        self.tables, self.stream, self.problem, self.draw = tables, stream, problem, draw
        self.again = _drawn_again(stream, problem)
        self.is_again = np.zeros(problem.scores.size, dtype=bool)
        self.is_again[self.again] = True

    def singles(self, generator: np.random.Generator, needed: int) -> Labels:
        """This many labels, (needed,), what is excluded drawn again."""
        found: list[Labels] = []
        have, drawn = 0, 0
        while have < needed:
            if drawn > DRAWS_A_NEGATIVE * (have + PIECE_LABELS):
                _give_up(drawn, have, self.stream, self.problem)
            piece = self.draw(generator, max(needed - have, 1024) if self.again.size else needed - have)
            drawn += piece.size
            found.append(piece[~self.is_again[piece]] if self.again.size else piece)
            have += found[-1].size
        return np.concatenate(found)[:needed]

    def labels(self, generator: np.random.Generator, size: int) -> Labels:
        """The labels of `size` runs."""
        labels = self.singles(generator, size * self.stream.m).reshape(size, self.stream.m)
        if (~self.tables[0].worth.reachable[labels]).any():
            _name_impossible(self.stream, self.problem, self.tables[0], self.draw, generator, 1)
        return labels

    def first(self, labels: Labels, m: int) -> Labels:
        """The draws of a scheme with fewer of them."""
        return labels[:, :m]

    def losses(self, generator: np.random.Generator, size: int) -> Floats:
        """ℓ of `size` runs, for each table, (tables, size)."""
        labels = self.labels(generator, size)
        each = [
            table.of_log_sums(log_sums(self.first(labels, table.m), table.worth.log_x[None])[0] + table.offset)
            for table in self.tables
        ]
        return np.array(each)

    def gradients(self, generator: np.random.Generator, size: int) -> list[Moments]:
        """Moments of ∂ℓ/∂f, for each table."""
        labels = self.labels(generator, size)
        return [table.gradient_moments(labels) for table in self.tables]

    def gradient_pairs(self, generator: np.random.Generator, size: int) -> Floats:
        """‖g - g'‖²/2 of every two of `size` runs, g = ∂ℓ/∂f, for each table, (tables, size // 2)."""
        labels = self.labels(generator, size)
        return np.array([table.gradient_pairs(labels) for table in self.tables])


class Sets(Matrix):
    """Losses and gradients of runs whose draws are not independent; the label L stands for an empty place in a run."""

    def __init__(
        self, stream: Scheme, problem: Problem, tables: Sequence[SchemeTable], draw: Draw, pool: ThreadPoolExecutor
    ) -> None:
        super().__init__(stream, problem, [_with_empty(table) for table in tables], draw, pool)
        law = np.exp(stream.laws(problem).log_q)
        self.runs = design(stream.draws).runs(self.singles, law, stream.m)

    def labels(self, generator: np.random.Generator, size: int) -> Labels:
        labels = self.runs(generator, size)
        if (~self.tables[0].worth.reachable[labels]).any():
            _name_impossible(self.stream, self.problem, self.tables[0], self.draw, generator, 1)
        return labels

    def first(self, labels: Labels, m: int) -> Labels:
        return labels

    def gradients(self, generator: np.random.Generator, size: int) -> list[Moments]:
        return [Moments(one.n, one.mean[:-1], one.squares[:-1]) for one in super().gradients(generator, size)]


def _with_empty(table: SchemeTable) -> SchemeTable:
    """The table with one label more, which adds nothing."""
    worth = table.worth
    longer = replace(
        worth,
        log_x=np.append(worth.log_x, -np.inf),
        slopes=np.append(worth.slopes, -np.inf),
        reachable=np.append(worth.reachable, True),
    )
    return replace(table, worth=longer)


def _drawn_again(stream: Scheme, problem: Problem) -> Labels:
    """The labels that are drawn again: the positives, hard negatives, or both."""
    return stream.drawn_again(problem, NO_LABELS if stream.hard is None else stream.hard.labels(problem))


def _give_up(drawn: int, kept: int, stream: Scheme, problem: Problem) -> None:
    again, positives = _drawn_again(stream, problem), problem.positives
    if again.size > (stream.hits == "exclude") * positives.size:
        raise ValueError(
            f"overlap='exclude' cannot be simulated here: {drawn} draws gave {kept} labels that count, the rest were "
            f"among the {again.size} that are drawn again; use integrate, or overlap='mask'"
        )
    raise ValueError(
        f"hits='exclude' cannot be simulated here: {drawn} draws gave {kept} negatives, "
        f"the rest were {f'label {positives[0]}, the positive' if again.size == 1 else 'positives'}; use integrate, or "
        "hits='mask'"
    )


def _name_impossible(
    stream: Scheme, problem: Problem, table: SchemeTable, draw: Draw, generator: np.random.Generator, size: int
) -> None:
    """*Raises* ImpossibleDraw, with a label that the sampler draws although its q = 0."""
    ruled_out = np.setdiff1d(np.flatnonzero(~table.worth.reachable), _drawn_again(stream, problem))
    seen = np.intersect1d(draw(generator, max(size, 1 << 16)), ruled_out)
    label = seen[0] if seen.size else ruled_out[0]
    raise ImpossibleDraw(f"{shown(stream.sampler)} drew label {label}, to which it gives q = 0")
