"""Batches of a two-tower model: labels from the prior, items that are orthogonal, and a query for each example.

An item is a one-hot vector of its label, so that any scores can be realised: a query's score of a label is its entry
there.  Where the other examples have to be *quiet*, that is have a loss of 0, items also have an entry of their own, by
which an example's own item is told from other items of its label.  One more entry is 0 in all items.  For a loss of
cosines it makes the length of the audited query 1, and the cosines are the scores.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from implicitloss.labels import Floats, LabelPrior, Labels

__all__ = ["Batches", "Layout"]

# Up to so many labels each has an entry of its own in every batch; else entries are given out in each batch anew.
OWN_ENTRIES = 64
# The entries of items with an entry of their own, for the label and for the item: items have length 1.
OF_LABEL, OF_ITEM = 0.5, float(np.sqrt(0.75))


@dataclass(frozen=True, eq=False)
class Batches:
    """K batches of n examples.

    `queries` (K, n, d) and `items` (K, N, d); the first n of the `labels` (K, N) are those of the examples; `rows` (K,)
    are the audited examples; `entry_labels` (K, E) the labels of the first entries, or -1.
    """

    queries: Floats
    items: Floats
    labels: Labels
    rows: Labels
    entry_labels: Labels
    of_label: float

    @cached_property
    def logits(self) -> Floats:
        """The scores of all queries and items, (K, n, N)."""
        return np.asarray(self.queries @ self.items.transpose(0, 2, 1))

    def looked_at(self, rows: Labels) -> Batches:
        """The first batch again for each of the `rows`, which is the audited one."""
        first = np.zeros(len(rows), dtype=np.intp)
        return replace(
            self, queries=self.queries[first], items=self.items[first], labels=self.labels[first], rows=rows,
            entry_labels=self.entry_labels[first],
        )  # fmt: skip

    def in_order(self, order: Labels) -> Batches:
        """The batches with their rows in another order, the further items of each row with it."""
        n, n_items = len(order), self.labels.shape[1]
        further = np.arange(n, n_items).reshape(n, -1)[order]
        items = np.append(order, further.ravel())
        return replace(
            self, queries=self.queries[:, order], items=self.items[:, items], labels=self.labels[:, items],
            rows=np.argsort(order)[self.rows],
        )  # fmt: skip

    def slopes_of_logits(self, slopes: Floats, n_labels: int) -> Floats:
        """The gradients in the scores of the audited examples, (K, L), from those in `logits`."""
        each = np.arange(len(self.rows))
        found = np.zeros((len(self.rows), n_labels))
        np.add.at(found, (each[:, None], self.labels), slopes[each, self.rows])
        return found

    def slopes_of_queries(self, slopes: Floats, n_labels: int) -> Floats:
        """The gradients in the scores of the audited examples, (K, L), from those in `queries`."""
        each, n_entries = np.arange(len(self.rows)), self.entry_labels.shape[1]
        asked, slope = self.queries[each, self.rows], slopes[each, self.rows]
        rest = asked[:, -1:]
        # The last entry is √(1 - Σ of the squares of the others).
        moved = np.divide(asked[:, :n_entries], rest, out=np.zeros((len(self.rows), n_entries)), where=rest > 0)
        used = self.entry_labels >= 0
        found = np.zeros((len(self.rows), n_labels))
        batch = np.broadcast_to(each[:, None], used.shape)
        entries = (slope[:, :n_entries] - slope[:, -1:] * moved) / self.of_label
        found[batch[used], self.entry_labels[used]] = entries[used]
        return found


@dataclass(frozen=True, eq=False)
class Layout:
    """How batches are made.

    Parameters
    ----------
    prior
        The law of the labels.
    n
        The number of examples.
    further
        The number of further items for each example.
    quiet
        Whether all examples but the audited one have a loss of 0.
    persistent
        Whether a label has the same item in all batches.
    cosine
        Whether the loss takes cosines.
    two_views
        Whether the queries of the other examples are items of their labels, as in two views of one thing.
    """

    prior: LabelPrior
    n: int
    further: int
    quiet: bool
    persistent: bool
    cosine: bool = False
    two_views: bool = False

    @property
    def n_items(self) -> int:
        """The number N of items."""
        return self.n * (1 + self.further)

    @cached_property
    def n_entries(self) -> int:
        """The number E of entries for labels."""
        n_labels = self.prior.n_labels
        return n_labels if self.persistent or n_labels <= max(OWN_ENTRIES, self.n_items) else self.n_items

    @property
    def width(self) -> int:
        """The number d of all entries."""
        return self.n_entries + self.n_items * self.quiet + 1

    @property
    def of_label(self) -> float:
        """An item's entry for its label."""
        return OF_LABEL if self.quiet else 1.0

    @property
    def largest_spread(self) -> float:
        """The standard deviation of random scores whose squares add up to less than cosines allow, 4 deviations off."""
        n_labels = self.prior.n_labels
        labels = n_labels if self.persistent else min(n_labels, self.n_items)
        return self.of_label / (np.sqrt(labels) + 4.0)

    @cached_property
    def _edges(self) -> Floats:
        return np.cumsum(self.prior.probabilities)

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Labels:
        """Labels drawn from the prior."""
        found = np.searchsorted(self._edges, rng.random(shape), side="right")
        return np.minimum(found, self.prior.n_labels - 1)

    def entries(self, labels: Labels) -> tuple[Labels, Labels]:
        """The entry of each of the labels (K, N), and the label of each entry, (K, E), or -1."""
        n_batches, n_labels = len(labels), self.prior.n_labels
        if self.n_entries == n_labels:
            return labels, np.broadcast_to(np.arange(n_labels), (n_batches, n_labels))
        order = np.argsort(labels, axis=1)
        ranked = np.take_along_axis(labels, order, axis=1)
        given = np.cumsum(np.diff(ranked, axis=1, prepend=ranked[:, :1]) > 0, axis=1, dtype=np.intp)
        place, of = np.empty_like(labels), np.full((n_batches, self.n_entries), -1)
        np.put_along_axis(place, order, given, axis=1)
        np.put_along_axis(of, given, ranked, axis=1)
        return place, of

    def items(self, place: Labels) -> Floats:
        """The items (K, N, d) of labels with these entries (K, N)."""
        found = np.zeros((*place.shape, self.width))
        np.put_along_axis(found, place[:, :, None], self.of_label, axis=2)
        if self.quiet:
            each = np.arange(self.n_items)
            found[:, each, self.n_entries + each] = OF_ITEM
        return found

    def others(self, n_batches: int, size: float, rng: np.random.Generator) -> Floats:
        """The queries (K, n, d) of examples that are not audited.

        They are `random`.  Quiet ones score their own item by `size`, and all
        others by -`size`; with cosines by almost 1, and 0.
        """
        if not self.quiet:
            return self.random(n_batches, size, rng)
        each, one = np.arange(self.n), np.zeros((self.n, self.width))
        one[:, : self.n_entries] = 0.0 if self.cosine else -size / OF_LABEL
        one[each, self.n_entries + each] = 1.0 if self.cosine else 2 * size / OF_ITEM
        return np.repeat(one[None], n_batches, axis=0)

    def random(self, n_batches: int, size: float, rng: np.random.Generator) -> Floats:
        """Queries (K, n, d) with random scores, uniform with standard deviation `size`."""
        found = rng.random((n_batches, self.n, self.width))
        found -= 0.5
        found *= size * np.sqrt(12.0)
        found[:, :, self.n_entries :] = 0.0
        return found

    def batches(self, scores: Floats, labels: Labels, rows: Labels, size: float, rng: np.random.Generator) -> Batches:
        """Batches of these labels (K, N), in which one of the rows (K,) is audited and asks with the scores (K, L).

        *Raises* ValueError for scores that are no cosines.
        """
        n_batches = len(labels)
        each = np.arange(n_batches)
        place, of = self.entries(labels)
        asked = np.where(of >= 0, np.take_along_axis(scores, np.maximum(of, 0), axis=1), 0.0) / self.of_label
        if self.cosine and not self.persistent:
            # Labels that are not in the batch take nothing of the query's length.
            present = np.zeros(asked.shape)
            np.put_along_axis(present, place, 1.0, axis=1)
            asked *= present
        squares = np.square(asked).sum(axis=1)
        if self.cosine and squares.max(initial=0.0) > 1.0:
            limit = self.of_label**2
            raise ValueError(
                f"the loss takes cosines, and no query has the scores that are asked: their squares add up to "
                f"{squares.max() * limit:.3g}, and may to {limit:g}. Pass temperature=1/scale to the audit, and write "
                "the loss in torch or jax (framework=), as an audit by values asks for such scores; or use dot products"
            )
        queries = self.items(place)[:, : self.n] if self.two_views else self.others(n_batches, size, rng)
        queries[each, rows] = 0.0
        queries[each, rows, : self.n_entries] = asked
        if self.cosine:
            queries[each, rows, -1] = np.sqrt(np.maximum(1.0 - squares, 0.0))
        return Batches(queries, self.items(place), labels, rows, of, self.of_label)
