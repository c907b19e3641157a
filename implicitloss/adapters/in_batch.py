"""In-batch (two-tower) losses, whose negatives are the labels of the other examples.

One file: an adapter, the batches that it asks, and the flaws between their rows that only it can see.
"""

from __future__ import annotations

import gc
import inspect
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from implicitloss.adapters.batches import Batches, Layout
from implicitloss.adapters.discovery import frameworks
from implicitloss.adapters.framework import SEEDS, Framework, Mapped, check_loss
from implicitloss.arguments import as_whole, checked_choice, checked_flag, checked_whole, shown
from implicitloss.auditing.blackbox import LossFunction
from implicitloss.auditing.finding import Flaw
from implicitloss.labels import Floats, LabelPrior, Labels, checked_prior

__all__ = ["in_batch"]

# NumPy has no gradients.
NUMPY = Framework(
    "numpy", lambda lib, array: array, lambda lib, loss, scores, rows, seed, dtype: (loss(scores, rows), None),
    "float64",
)  # fmt: skip
# Batches of about so many numbers are made together.
NUMBERS_A_CHUNK = 1 << 17
# A probe looks at so many rows, each in a batch of its own, if these have no more numbers together.
MOST_ROWS_A_PROBE, NUMBERS_A_PROBE = 32, 1 << 22
# The first calls look at so many rows.
ROWS_OF_THE_FIRST = 8
# If only the sum over rows is known, a probe looks at so many examples; rows are put in so many orders.
EXAMPLES_A_PROBE, ORDERS_A_PROBE = 8, 3
# A loss that differs by this share of its size, or of 1, is another: far above the rounding of half precision.
SAME_WITHIN = 0.02
# So many batches are asked with queries and items exchanged; the loss is the same if it differs by less than this share
# of its spread.
BATCHES_EXCHANGED, SAME_DIRECTIONS = 4, 0.02
# Losses add up within this.  Queries that act together showed in each of 2,000 batches of two examples, with
# scores of standard deviations from 3 to 300; BATCHES_EXCHANGED batches are asked.
ADDS_UP_WITHIN = 1e-5
# Leads of an example's own item that are tried, and how much further the others are pushed than was needed.
LEADS, SPARE_LEAD = 2.0 ** np.arange(-6, 8), 4.0
# The losses of the others may be unknown by this much, if the answer counts as double, or as single precision.
REST_OF_DOUBLE, REST_OF_SINGLE = 1e-12, 3e-5
# Answers of batches that are asked together are those of each alone, but for rounding.
SAME_ANSWER = {"float64": 1e-9, "float32": 1e-4}
MOST_WARMUPS = 1_000_000
# Losses of other frameworks may take a key too.
WITHOUT_KEYS = ("numpy", "torch", "tensorflow")


def in_batch(
    loss: Callable[..., Any], prior: LabelPrior, batch: int, *, framework: str = "numpy", given: str = "embeddings",
    reduction: str = "none", symmetric: bool = False, negatives: int = 0, warmup: int = 0,
    two_views: bool = False,
) -> LossFunction:  # fmt: skip
    """Adapt an in-batch (two-tower) loss, whose negatives are the labels of the other examples.

    Each example of the audit becomes an example of a batch of its own, in a random row, and the answer is the loss of
    that row.  The labels of the other rows are drawn from the prior.  Items are one-hot vectors of their labels.  The
    query of the audited row is f, its scores, so that it scores a label y by f_y exactly; every other row has a random
    query of its own.  A loss that mistakes a row for another is refuted.

    Many batches are computed at once by `torch.func.vmap`, by `jax.vmap` and `jax.jit`, or by `tf.vectorized_map` and
    `tf.function`, if a few first answers are the same as in a call each, and repeat, and no tensor is kept after a
    call.  Else, and with `warmup` or a `reset=` of the audit, the loss is called once for each batch.

    Parameters
    ----------
    loss : callable
        `loss(queries, items, labels)` -> the losses (n,) of n = `batch` examples, or that of the first alone, (1,).
        Queries and items are (n, d), and queries · items are the scores.
    prior : LabelPrior
        The label frequencies.
    batch : int
        The number n of examples in a batch, at least 2.
    framework : str
        What the loss is written in: "numpy", without gradients, or a framework that has an adapter, e.g. "torch".
    given : {"embeddings", "logits"}
        A loss of embeddings may take their cosines, times a scale: this is seen, and the query has length 1.  Give
        `il.audit` the temperature 1/scale.  With "logits" the loss is called as `loss(logits (n, n), labels (n,))`.
    reduction : {"none", "mean", "sum"}
        What the loss returns: the losses, or one number, their mean or their sum.  The other examples then score their
        own item so far above all others that their losses are 0, and what is left is the loss of the audited one.  This
        assumes that a row's loss depends on no other query, and is 0, or always the same, for such rows.
    symmetric : bool
        Whether the loss is the mean of two directions, as in CLIP.  The one from queries to items is audited, and the
        other is made 0 in the same way.  To audit that one, exchange the arguments: `lambda q, i, y: loss(i, q, y)`.
    negatives : int
        The number k of further items for each example, e.g. hard negatives.  Their labels are drawn from the prior, and
        the loss is called as `loss(queries, items, negatives (n k, d), labels (n + n k,))`, or with logits
        (n, n + n k).
    warmup : int
        So many batches, whose labels are all drawn from the prior, are given to the loss before each example.  They
        fill a queue of earlier items.
    two_views : bool
        Whether the queries of other rows are negatives too, as in SimCLR's NT-Xent, where queries and items are two
        views of the same examples.  The query of another row is then the item of its label, so that a row has
        m = 2 n - 2 negatives, each label twice.  The losses (n,) of the first view are audited.

    Returns
    -------
    LossFunction
        `loss_fn(scores, positive, rng)` -> losses (B,), with gradients (B, L) if the framework has them.

    Raises
    ------
    ValueError
        If an argument is none of these; when it is called, if the losses have another shape, if those of the other
        examples are not known, or if scores are no cosines.

    Examples
    --------
    >>> import numpy as np
    >>> import implicitloss as il
    >>> def loss(queries, items, labels):
    ...     logits = queries @ items.T
    ...     return np.log(np.exp(logits).sum(axis=1)) - np.diag(logits)
    >>> adapted = il.adapters.in_batch(loss, il.LabelPrior.zipf(8, 1.0), batch=16)
    >>> adapted(np.zeros((2, 8)), np.array([0, 3]), np.random.default_rng(0)).round(4)  # log 16
    array([2.7726, 2.7726])
    """
    check_loss(loss)
    checked_prior(prior)
    examples = as_whole(batch)
    if examples is None or examples < 2:
        raise ValueError(f"a batch needs at least two examples, got {shown(batch)}")
    checked_choice(given, "given", ("embeddings", "logits"))
    checked_choice(reduction, "reduction", ("none", "mean", "sum"))
    both = checked_flag(symmetric, "symmetric")
    known = frameworks()
    checked_choice(framework, "framework", ("numpy", *known))
    warmups = checked_whole(warmup, "warmup, the number of batches before each example,", 0, MOST_WARMUPS)
    if warmups and given == "logits":
        raise ValueError("warmup fills a queue of items, which a loss of logits does not have, got given='logits'")
    views = checked_flag(two_views, "two_views")
    if views and (given == "logits" or reduction != "none" or both):
        raise ValueError(
            "two_views=True needs given='embeddings', reduction='none' and symmetric=False: return the losses (n,) of "
            f"the first view, got given={given!r}, reduction={reduction!r}, symmetric={both}"
        )
    further = checked_whole(negatives, "negatives, the further items of an example,", 0, MOST_WARMUPS)
    _check_arguments(loss, given, further, framework)
    layout = Layout(
        prior, examples, further,
        quiet=both or reduction != "none", persistent=warmups > 0, two_views=views,
    )  # fmt: skip
    return _InBatch(loss, layout, known.get(framework, NUMPY), given, reduction, both, warmups)


def _arguments(given: str, negatives: int) -> list[str]:
    """What a loss is given."""
    if given == "logits":
        return ["logits", "labels"]
    return ["queries", "items", *(["negatives"] if negatives else []), "labels"]


def _check_arguments(loss: Callable[..., Any], given: str, negatives: int, framework: str) -> None:
    """*Raises* ValueError for a loss that takes another number of arguments than it will be given."""
    names = _arguments(given, negatives)
    ways = [names] if framework in WITHOUT_KEYS else [[*names, "key"], names]
    try:
        signature = inspect.signature(loss)
    except (TypeError, ValueError):  # some built-in functions have no signature
        return
    if not any(_binds(signature, way) for way in ways):
        names = ways[0]
        called, takes = ", ".join(names), len(signature.parameters)
        filled = ", ".join(names[:takes]) if takes < len(names) else f"{called}, ..."
        raise ValueError(
            f"the loss must take ({called}), but {getattr(loss, '__name__', type(loss).__name__):.40} takes "
            f"{signature!s:.60}: give lambda {called}: loss({filled}), or other given= and negatives="
        )


def _binds(signature: inspect.Signature, names: list[str]) -> bool:
    """Whether a function of this signature can be called with so many arguments."""
    try:
        signature.bind(*names)
    except TypeError:
        return False
    return True


@dataclass(frozen=True)
class _First:
    """What the first calls show.

    `alone`: the loss is that of the first row alone.  `lead`: the scores that make the other examples quiet.  `rest`:
    the sum of their losses.  `single`: it is known to single precision, and not to double precision.
    """

    alone: bool = False
    lead: float = 1.0
    rest: float = 0.0
    single: bool = False


@dataclass(eq=False)
class _InBatch:
    """The adapted loss."""

    loss: Callable[..., Any]
    layout: Layout
    framework: Framework
    given: str
    reduction: str
    symmetric: bool
    warmup: int
    reset: Callable[[], object] | None = None

    def __post_init__(self) -> None:
        self.__qualname__ = getattr(self.loss, "__qualname__", type(self.loss).__name__)
        self.package = self.framework.package
        self._lib = self.framework.imported()
        self._is_alone = False
        self._mapped: Mapped | None = None

    @property
    def prior(self) -> LabelPrior:
        """The prior from which the labels of batches are drawn."""
        return self.layout.prior

    def __call__(self, scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        """The losses (B,) of the audited examples, and their gradients (B, L)."""
        first, layout = self._first, self.layout
        rows = np.zeros(len(positive), dtype=np.intp) if first.alone else rng.integers(layout.n, size=len(positive))
        spread = float(np.std(scores))
        size = first.lead if layout.quiet else spread if 0 < spread < 1 else 1.0
        values: list[Floats] = []
        slopes: list[Floats] = []
        for at in range(0, len(positive), self._chunk):
            part = slice(at, at + self._chunk)
            labels = layout.draw((len(rows[part]), layout.n_items), rng)
            labels[np.arange(len(labels)), rows[part]] = positive[part]
            made = layout.batches(scores[part], labels, rows[part], size, rng)
            earlier = self._earlier(len(made.rows), rng)
            value, slope = self._answers(made, earlier, int(rng.integers(SEEDS)))
            values.append(value)
            slopes += [] if slope is None else [slope]
        found = np.concatenate(values)
        if first.rest:
            found = found - first.rest
        if first.single:
            found = found.astype(np.float32)
        return (found, np.concatenate(slopes)) if slopes else found

    def resetting(self, reset: Callable[[], object]) -> LossFunction:
        """Return the loss with `reset` called before the batches of each example, of which each has its own."""
        return replace(self, reset=reset)

    def largest_spread(self) -> float:
        """The standard deviation of random scores that cosines may have: their squares add up to 1 over a batch."""
        _ = self._first  # the first batches show whether the loss takes cosines
        return self.layout.largest_spread if self.layout.cosine else np.inf

    def flaws_between_rows(self, temperature: float, rng: np.random.Generator) -> tuple[Flaw, ...]:
        """The flaws of a loss that depends on the row, or on the queries of other rows.

        A loss that does not repeat itself is not asked further, and one that draws is not asked in another order.
        """
        first, layout = self._first, self.layout
        if first.alone:
            return ()
        n, seed = layout.n, int(rng.integers(SEEDS - 1))
        k = 1 if self.reduction == "none" else EXAMPLES_A_PROBE
        scores = temperature * rng.standard_normal((k, layout.prior.n_labels))
        # All labels are as likely, and half of them come again: there are labels and hits to be mistaken.
        labels = rng.choice(np.flatnonzero(layout.prior.probabilities), (k, layout.n_items))
        labels[:, 1::2] = rng.permuted(labels, axis=1)[:, 1::2]
        made = layout.batches(scores, labels, rng.integers(n, size=k), first.lead, rng)
        if self.reduction == "none":
            looks = int(np.clip(NUMBERS_A_PROBE // made.queries.size, 2, min(n, MOST_ROWS_A_PROBE)))
            if not layout.two_views:
                made = replace(made, queries=layout.random(1, temperature, rng))
            made = made.looked_at(rng.permutation(n)[:looks])
        earlier = np.repeat(self._earlier(1, rng), len(made.rows), axis=0)
        losses, again, other = (self._answers(made, earlier, seed + k)[0] for k in (0, 0, 1))
        if not (np.isfinite(losses).all() and np.array_equal(losses, again)):
            return ()
        flaws = []
        if self.symmetric and not self._has_way_back(temperature, rng):
            return (Flaw("one direction", NO_WAY_BACK),)
        if self.reduction == "none" and not self.symmetric and not layout.two_views:
            is_kept, queries = np.arange(n) % 2 == made.rows[0] % 2, layout.random(1, temperature, rng)
            # Scores that are all larger show in a sum over rows, however many there are.
            queries[..., : layout.n_entries] += 3 * temperature
            moved = replace(made, queries=np.where(is_kept[:, None], made.queries, queries))
            found, kept = self._answers(moved, earlier, seed)[0], is_kept[made.rows]
            if said := _apart(found[kept], losses[kept]):
                because = self.directions(temperature, rng) or OTHER_QUERIES_BECAUSE
                flaws.append(Flaw("depends on other queries", f"{OTHER_QUERIES} {said} ({because})"))
        for _ in range(ORDERS_A_PROBE if np.array_equal(losses, other) else 0):
            order = np.arange(n)
            while np.any(order == np.arange(n)):  # no row stays where it is
                order = rng.permutation(n)
            found = self._answers(made.in_order(order), earlier, seed)[0]
            if said := _apart(found - first.rest, losses - first.rest):
                flaws.append(Flaw("depends on the row", f"{ANOTHER_ROW} {said} ({ANOTHER_ROW_BECAUSE})"))
                break
        return tuple(flaws)

    def _has_way_back(self, temperature: float, rng: np.random.Generator) -> bool:
        """Whether queries act together, as they do where items are scored against all of them.

        From queries to items alone, each query acts on its own loss: the losses where both halves of the queries are
        others are those where one half is, added up.
        """
        layout = self.layout
        if layout.further or self.warmup or self._first.alone:
            return True
        half = (np.arange(layout.n) % 2 == 0)[:, None]
        for _ in range(BATCHES_EXCHANGED):
            labels = layout.draw((1, layout.n), rng)
            rows = np.arange(min(layout.n, MOST_ROWS_A_PROBE) if self.reduction == "none" else 1)
            made = layout.batches(np.zeros((1, layout.prior.n_labels)), labels, rows[:1], self._first.lead, rng)
            here, there = (layout.random(1, 3 * temperature, rng) for _ in range(2))
            earlier, seed = self._earlier(len(rows), rng), int(rng.integers(SEEDS))
            both, first, second, none = (
                self._answers(replace(made, queries=np.where(half, one, other)).looked_at(rows), earlier, seed)[0]
                for one, other in ((there, there), (there, here), (here, there), (here, here))
            )
            together = np.abs(both - first - second + none)
            if not np.all(together <= ADDS_UP_WITHIN * np.maximum(1.0, np.abs(both))):
                return True
        return False

    def directions(self, temperature: float, rng: np.random.Generator) -> str:
        """What may be wrong with `symmetric` if the loss, with queries and items exchanged, is the same or another."""
        layout = self.layout
        if layout.further or layout.two_views or self.warmup or self._first.alone:
            return ""
        made = []
        for _ in range(BATCHES_EXCHANGED):
            labels = layout.draw((1, layout.n), rng)
            rows = np.arange(1 if self.reduction != "none" else layout.n)
            asked = layout.batches(np.zeros((1, layout.prior.n_labels)), labels, rows[:1], self._first.lead, rng)
            made.append(replace(asked, queries=layout.random(1, 3 * temperature, rng)).looked_at(rows))
        earlier, seed = self._earlier(layout.n, rng), int(rng.integers(SEEDS))
        exchanged = [replace(one, queries=one.items, items=one.queries) for one in made]
        found, other = (
            np.concatenate([self._answers(one, earlier, seed)[0] for one in each]) for each in (made, exchanged)
        )
        is_same = bool(np.abs(found - other).max() <= SAME_DIRECTIONS * found.std())
        if self.symmetric:
            return SUM_OF_DIRECTIONS if is_same else ONE_DIRECTION
        return f"{BOTH_DIRECTIONS}{OF_COSINES * layout.cosine}" if is_same else ""

    @property
    def _chunk(self) -> int:
        """How many batches are made together."""
        return max(1, NUMBERS_A_CHUNK // (self.layout.n_items * self.layout.width * (1 + self.warmup)))

    @cached_property
    def _first(self) -> _First:
        """What a few batches show.  From then on batches are asked together, if the loss can be asked so.

        *Raises* ValueError if the losses of quiet examples are not known.
        """
        first = self._seen()
        self._mapped = self._mapping(first.lead)
        return first

    def _mapping(self, lead: float) -> Mapped | None:
        """The function that asks many batches at once, if a few answers repeat, and are those of each batch alone.

        A loss that keeps tensors would keep those of a map, which are of no use outside it.
        """
        framework, layout, n = self.framework, self.layout, ROWS_OF_THE_FIRST
        if framework.mapped is None or self.warmup or self.reset is not None:
            return None
        rng = np.random.default_rng(1)
        scores = rng.standard_normal((n, layout.prior.n_labels)) * (layout.largest_spread if layout.cosine else 1.0)
        labels, rows = layout.draw((n, layout.n_items), rng), rng.integers(layout.n, size=n)
        made, earlier = layout.batches(scores, labels, rows, lead, rng), self._earlier(n, rng)
        once, alive = _flat(self._answers(made, earlier, seed=1)), self._tensors()
        again = _flat(self._answers(made, earlier, seed=1))
        gc.collect()
        if not np.array_equal(once, again) or len(self._tensors()) > len(alive):
            return None
        mapped = framework.mapped(self._lib, self._called, framework.dtype)
        within = SAME_ANSWER[framework.dtype]
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # of calls that are made one by one after all
            try:
                together = _flat(self._together(mapped, made, seed=1))
                return mapped if np.allclose(together, once, rtol=within, atol=within) else None
            except Exception:  # whatever keeps them from being asked at once
                return None

    def _tensors(self) -> list[Any]:
        """All tensors that are alive."""
        kind = type(self.framework.tensor(np.zeros(1)))
        return [thing for thing in gc.get_objects() if issubclass(type(thing), kind)]

    def _seen(self) -> _First:
        """What a few batches show, each asked alone."""
        rng = np.random.default_rng(0)
        quiet, earlier = self._quiet(1.0, rng), self._earlier(1, rng)
        queries, others = (self.layout.random(1, 1.0, rng) for _ in range(2))
        # With a large scale the loss of a row is 0 now and then, whatever the queries: several rows are looked at.
        rows = np.arange(1 if self.reduction != "none" else min(self.layout.n, ROWS_OF_THE_FIRST))
        once, twice, other = (
            self._answers(replace(quiet, queries=asked).looked_at(rows), np.repeat(earlier, rows.size, axis=0), 0)[0]
            for asked in (queries, 2 * queries, others)
        )
        # Cosines do not depend on the length of a query.
        if self.given == "embeddings" and np.allclose(once, twice) and not np.allclose(once, other):
            self.layout = replace(self.layout, cosine=True)
        if self.layout.cosine and self.symmetric:
            raise ValueError(
                "symmetric=True needs scores that make the other direction 0, which cosines cannot do: give the loss "
                "a dot product as its similarity, or use given='logits'"
            )
        if not self.layout.quiet:
            return _First(alone=self._is_alone)

        def totals(lead: float) -> Floats:
            """The losses of a few batches in which all examples are quiet, nan where they are none."""
            with np.errstate(all="ignore"):
                found = [self._answers(self._quiet(lead, rng), self._earlier(1, rng), 0)[0] for _ in range(3)]
            return np.concatenate(found)

        tried = {lead: totals(lead) for lead in (LEADS[-1:] if self.layout.cosine else LEADS)}
        silent = [lead for lead, found in tried.items() if np.abs(found).max() <= REST_OF_DOUBLE]
        if silent:
            further = SPARE_LEAD * silent[0]
            return _First(lead=further if np.abs(totals(further)).max() <= REST_OF_DOUBLE else silent[0])
        # A loss that is never 0, for example a smoothed one, may be the same for all quiet examples.
        spread = {lead: float(np.nan_to_num(np.ptp(found), nan=np.inf)) for lead, found in tried.items()}
        least = max(min(spread.values()), REST_OF_DOUBLE)
        lead = max(lead for lead, apart in spread.items() if apart <= least)
        if self.symmetric or least > REST_OF_SINGLE:
            wanted = "0" if self.symmetric else "the same"
            raise ValueError(
                f"the losses of batches in which each example scores its own item far above all others must be "
                f"{wanted}, got {tried[lead][0]:.4g} and {tried[lead][1]:.4g}: is the target another row's item? "
                "cosines need a large scale and a small batch"
            )
        found = tried[lead]
        rest = float(found.mean()) * (1 - 1 / self.layout.n)
        return _First(lead=lead, rest=rest, single=least > REST_OF_DOUBLE or abs(rest) > 1.0)

    def _quiet(self, lead: float, rng: np.random.Generator) -> Batches:
        """One batch in which no example is audited."""
        layout = self.layout
        scores, rows = np.zeros((1, layout.prior.n_labels)), np.zeros(1, dtype=np.intp)
        made = layout.batches(scores, layout.draw((1, layout.n_items), rng), rows, lead, rng)
        return replace(made, queries=layout.others(1, lead, rng))

    def _earlier(self, n_batches: int, rng: np.random.Generator) -> Labels:
        """The labels of the batches that are asked before each of the batches, (K, warmup, N)."""
        return self.layout.draw((n_batches, self.warmup, self.layout.n_items), rng)

    def _answers(self, made: Batches, earlier: Labels, seed: int) -> tuple[Floats, Floats | None]:
        """The losses (K,) of the audited examples, and their gradients (K, L)."""
        if self._mapped is not None:
            try:
                return self._together(self._mapped, made, seed)
            except Exception:  # asked alone it shows its own error, if it has one
                self._mapped = None
        ask, lib = self._asking(made, earlier), self._lib
        given = self._asked(made)

        def audited(asked: Any, index: Any, *key: Any) -> Any:
            each = [int(i) for i in index]
            rows = self.framework.rows(lib, asked, given.shape[1:])
            return self.framework.stack(lib, [ask(row, i, key) for row, i in zip(rows, each, strict=True)])

        flat, index = given.reshape(len(given), -1), np.arange(len(given))
        values, slopes = self.framework.gradients(lib, audited, flat, index, seed, self.framework.dtype)
        return self._of_examples(made, values, slopes)

    def _asked(self, made: Batches) -> Floats:
        """What the losses are differentiated in, (K, n, ...)."""
        return made.logits if self.given == "logits" else made.queries

    def _of_examples(self, made: Batches, values: Any, slopes: Any) -> tuple[Floats, Floats | None]:
        """The losses (K,) of the audited examples, and their gradients (K, L), from those in what was asked."""
        factor = (2.0 if self.symmetric else 1.0) * (self.layout.n if self.reduction == "mean" else 1)
        if slopes is None:
            return factor * np.asarray(values), None
        of, shape = made.slopes_of_logits if self.given == "logits" else made.slopes_of_queries, self._asked(made).shape
        return factor * np.asarray(values), factor * of(slopes.reshape(shape), self.layout.prior.n_labels)

    def _together(self, mapped: Mapped, made: Batches, seed: int) -> tuple[Floats, Floats | None]:
        """The answers for all batches in one call; as many as ever, if another number would be compiled anew."""
        k = len(made.rows)
        filled = np.arange(max(k, self._chunk) if self.framework.compiles else k) % k
        rows = np.zeros_like(made.rows) if self._is_alone or self.reduction != "none" else made.rows
        found = mapped(self._asked(made)[filled], (made.items[filled], made.labels[filled]), rows[filled], seed)
        return self._of_examples(made, *(part[:k] for part in found))

    @property
    def pooled(self) -> int | None:
        """The number of negatives if all further items of a batch count in every row; None without such items."""
        return self.layout.n_items - 1 if self.layout.further else None

    @cached_property
    def _takes_key(self) -> bool:
        """Whether the loss takes a key too; one that draws nothing need not."""
        try:
            signature = inspect.signature(self.loss)
        except (TypeError, ValueError):  # some built-in functions have no signature
            return True
        return _binds(signature, [*_arguments(self.given, self.layout.further), "key"])

    def _asking(self, made: Batches, earlier: Labels) -> Callable[..., Any]:
        """A function (asked, i, key) -> the loss of the i-th batch's example, after batches with `earlier` labels."""
        tensor = self.framework.tensor
        labels, items = tensor(made.labels), tensor(made.items)

        def ask(asked: Any, i: int, keys: Any) -> Any:
            if self.reset is not None:
                self.reset()
            key = [self.framework.key_of(self._lib, key, i) for key in keys]
            for before in earlier[i]:
                self._called(asked, tensor(self.layout.items(before[None])[0]), tensor(before), *key)
            return self._one_of(self._called(asked, items[i], labels[i], *key), int(made.rows[i]))

        return ask

    def _called(self, asked: Any, items: Any, labels: Any, *keys: Any) -> Any:
        """What the loss answers for one batch."""
        n, key = self.layout.n, keys if self._takes_key else ()
        if self.given == "logits":
            return self.loss(asked, labels, *key)
        if self.layout.further:
            return self.loss(asked, items[:n], items[n:], labels, *key)
        return self.loss(asked, items, labels, *key)

    def _one_of(self, losses: Any, row: int) -> Any:
        """The loss of a row, or of all.  *Raises* ValueError for an answer of another shape."""
        shape, n = tuple(getattr(losses, "shape", ())), self.layout.n
        if self.reduction == "none":
            if shape not in ((n,), (1,)):
                hints = {
                    (): "; if it is their mean or sum, pass reduction='mean' or 'sum' to in_batch",
                    (n, 1): "; return losses[:, 0]",
                    (n, n): ": these may be logits, of which the loss is still to be computed",
                }
                raise ValueError(
                    f"the in-batch loss must return one number for each of {n} examples, got "
                    f"{f'shape {shape}' if hasattr(losses, 'shape') else type(losses).__name__}{hints.get(shape, '')}"
                )
            self._is_alone = shape == (1,)
            return losses[0 if self._is_alone else row]
        if shape not in ((), (1,)):
            raise ValueError(
                f"with reduction='{self.reduction}' the in-batch loss must return one number, got shape {shape}"
            )
        return losses[0] if shape else losses


BOTH_DIRECTIONS = (
    "with queries and items exchanged it is the same: is it the mean of two directions, as in CLIP? then pass "
    "symmetric=True to in_batch"
)
OF_COSINES = ", with dot products in place of cosines, or with given='logits'"
SUM_OF_DIRECTIONS = (
    "with queries and items exchanged it is the same: is it the sum of two directions? symmetric=True is for their mean"
)
NO_WAY_BACK = (
    "the loss has no direction from items to queries, which symmetric=True says: no item is scored against the queries "
    "of other rows. Is a transposition (.T) forgotten? If it is one direction alone, leave out symmetric=True"
)
ONE_DIRECTION = (
    "with queries and items exchanged it is another: is it one direction alone? then leave out symmetric=True of "
    "in_batch"
)
OTHER_QUERIES = "a row's loss depends on the queries of other rows: with other queries there"
OTHER_QUERIES_BECAUSE = (
    "is the denominator that of another row, or of the diagonal? two directions: pass symmetric=True; queries as "
    "negatives: two_views=True; items against queries alone: exchange them"
)
ANOTHER_ROW = "the loss depends on the row: with the rows of a batch in another order"
ANOTHER_ROW_BECAUSE = (
    "is the target, an id or a probability that of another row? is an offset forgotten in later chunks?"
)


def _flat(answers: tuple[Floats, Floats | None]) -> Floats:
    """The losses, and their gradients if there are any, in one row."""
    return np.concatenate([part.ravel() for part in answers if part is not None])


def _apart(found: Floats, expected: Floats) -> str:
    """The two losses that differ most; nothing if none differ by more than rounding."""
    off = np.abs(found - expected)
    worst = int(np.argmax(off))
    if off[worst] <= SAME_WITHIN * max(1.0, abs(float(expected[worst]))):
        return ""
    return f"it is {found[worst]:.4g} where it was {expected[worst]:.4g}"
