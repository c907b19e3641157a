"""Hard negatives: the labels T that an index returns for an example, beside those that are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from implicitloss.arguments import as_whole, checked_choice, checked_instance, checked_number, checked_whole, shown
from implicitloss.index.clusters import Clusters
from implicitloss.labels import Floats, Labels
from implicitloss.problem import Problem

if TYPE_CHECKING:
    from implicitloss.samplers.sampler import Sampler

__all__ = ["OVERLAPS", "POSITIVES", "HardNegatives", "Overlap", "Positives"]

Overlap = Literal["keep", "mask", "exclude"]
Positives = Literal["drop", "replace"]
OVERLAPS: tuple[Overlap, ...] = get_args(Overlap)
POSITIVES: tuple[Positives, ...] = get_args(Positives)
# One label in so many gives a lower bound on the k-th best score.
STRIDE = 64


@dataclass(frozen=True)
class HardNegatives:
    """The negatives T that are known before the draws: the k best labels of an index, each with weight w_T.

    A scheme with them has the negatives N = T ⊎ D, D the m draws, and the margins p_yy' = w_T 1_T(y') + m w_yy' q_y'
    for y' ≠ y.  For softmax ℓ(N) = log(1 + A + S), A = Σ_{j ∈ T} w_T e^{f_j - f_y} and S the sum over the draws.

    Parameters
    ----------
    k : int
        How many labels the index returns, from 1 to L - 1.
    weight : float
        w_T > 0.
    overlap : {"keep", "mask", "exclude"}
        What a draw that lands in T does.

        - "keep": it counts again, with its own weight w_yy'.
        - "mask": it has weight 0.
        - "exclude": it is drawn again.  Draws then have the law q_y'/(1 - q(T)) off T, or q_y'/(1 - q(T) - q_y) where
          hits are excluded too (q(P) in place of q_y for several positives P); weights that divide by q divide by this
          law.
    positives : {"drop", "replace"}
        What happens to y among the k best: it is left out, which leaves k - 1 labels, or the next best takes its place
        (an index is then asked for k + 1 labels).  T never holds y.  Other positives of x are treated as y is, and an
        index is asked for k + |P|.
    clusters : int, optional
        In place of k: how many whole clusters of the index `of` are hard.  They are those with the largest Q_c over
        their number of labels, where Q_c is that of `Clusters.log_cluster_law` at the query, with defence 0.
    of : index.Clusters, optional
        The index that has these clusters.
    query : array_like, (d,), optional
        The query h; by default that of the sampler of the scheme that they are part of.

    Raises
    ------
    ValueError
        For k < 1, a weight that is not positive, and another mode; for both k and clusters, one of clusters and `of`
        alone, and a query without them.  When they are used: for k >= L, an index of other labels, clusters without a
        query, and for a problem to which an index returned more labels than were asked of it.

    References
    ----------
    Derived here.

    Examples
    --------
    Importance weights beside hard negatives leave the full softmax, if a draw of a hard negative does not count again.

    >>> import implicitloss as il
    >>> prior = il.LabelPrior.from_counts([8, 4, 3, 1, 1])
    >>> for overlap in ("keep", "mask", "exclude"):
    ...     hard = il.HardNegatives(k=2, overlap=overlap)
    ...     scheme = il.Scheme(il.samplers.Uniform(), il.weightings.Importance(), m=8, hits="exclude", hard=hard)
    ...     print(overlap, il.implicit_margins(scheme, prior, scores=[0.3, -0.4, 1.2, 0.9, -1.0])[0].round(12))
    keep [0. 1. 2. 2. 1.]
    mask [0. 1. 1. 1. 1.]
    exclude [0. 1. 1. 1. 1.]
    """

    k: int = 0
    weight: float = 1.0
    overlap: Overlap = "keep"
    positives: Positives = "drop"
    clusters: int | None = field(default=None, kw_only=True)
    of: Clusters | None = field(default=None, kw_only=True)
    query: Sequence[float] | None = field(default=None, kw_only=True)

    # Whether the query is that of a sampler, and changes with it.
    _follows = False

    def __post_init__(self) -> None:
        if self.clusters is not None or self.of is not None:
            self._check_clusters()
        else:
            object.__setattr__(self, "k", checked_whole(self.k, "k, the number of hard negatives,", 1))
            if self.query is not None:
                raise ValueError(
                    f"query= is for hard clusters only: give clusters= and of= too, got {shown(self.query)}"
                )
        for name, value in (
            ("weight", checked_number(self.weight, "the weight of hard negatives", "a number > 0", lambda w: w > 0)),
            ("overlap", checked_choice(self.overlap, "overlap", OVERLAPS)),
            ("positives", checked_choice(self.positives, "positives", POSITIVES)),
        ):
            object.__setattr__(self, name, value)

    def _check_clusters(self) -> None:
        """*Raises* ValueError for what is missing of clusters, or is wrong."""
        if self.clusters is None or self.of is None or as_whole(self.k) != 0:
            raise ValueError(
                "hard negatives are the k best labels, or whole clusters of an index: give k=, or clusters= and of=, "
                f"got k = {shown(self.k)}, clusters = {shown(self.clusters)} and of = {shown(self.of)}"
            )
        index = checked_instance(self.of, Clusters, "of", "index.Clusters.fit(vectors)")
        n = checked_whole(self.clusters, "clusters, the number of hard ones,", 1, index.sizes.size)
        object.__setattr__(self, "clusters", n)
        if self.query is not None:
            object.__setattr__(self, "query", tuple(index.checked_query(self.query).tolist()))

    def of_sampler(self, sampler: Sampler) -> HardNegatives:
        """Return the same hard negatives; clusters without a query of their own take the one that the sampler has."""
        if self.of is None or not (self.query is None or self._follows):
            return self
        found = replace(self, query=getattr(sampler, "query", None))
        object.__setattr__(found, "_follows", True)
        return found

    @property
    def most(self) -> int:
        """How many labels there are at most: k, or those of the clusters at the query; 0 where there is no query."""
        return self.k if self.of is None else 0 if self.query is None else self._best_clusters.size

    @cached_property
    def _best_clusters(self) -> Labels:
        """The labels of the best clusters, best cluster first."""
        index, n = self.of, self.clusters
        assert index is not None
        a_label = index.log_cluster_law(np.array(self.query), 0.0) - np.log(index.sizes)
        best = np.argsort(-a_label, kind="stable")[:n]
        return np.concatenate([index.order[index.starts[c] : index.starts[c + 1]] for c in best])

    def returned(self, problem: Problem) -> Labels:
        """The labels that the index returns for a problem, best first; it does not know the positives.

        Parameters
        ----------
        problem : Problem
            Its `labels`, or else its `index_scores`, or else its scores; of equal scores the first label is best.

        Returns
        -------
        ndarray of int
            At most k labels, or k + |P| where the positives P are replaced; fewer where the index returned fewer.

        Raises
        ------
        ValueError
            For k >= L, and for a problem with more labels.
        """
        found = None if problem.labels is None else problem.labels[problem.labels >= 0]
        n_positives = problem.positives.size
        if self.of is not None and self.query is None:
            raise ValueError("hard negatives of clusters need a query: give query, or a sampler that has one")
        self.check(problem.prior.n_labels, 0 if found is None else found.size, n_positives)
        if found is not None:
            return found
        if self.of is not None:
            return self._best_clusters
        scores = problem.scores if problem.index_scores is None else problem.index_scores
        return _best(scores, self._asked(n_positives))

    def _asked(self, n_positives: int) -> int:
        return self.most + (n_positives if self.positives == "replace" else 0)

    def check(self, n_labels: int, n_returned: int = 0, n_positives: int = 1) -> None:
        """Raise ValueError unless k < L, and the labels that an index returned are no more than were asked of it."""
        if self.of is not None and self.of.n_labels != n_labels:
            raise ValueError(f"the index must cover the prior's {n_labels} labels, got {self.of.n_labels}")
        if self.most >= n_labels:
            raise ValueError(
                f"k, the number of hard negatives, must be at most L - 1 = {n_labels - 1} for {n_labels} labels, "
                f"got {self.most}"
            )
        most = self._asked(n_positives)
        if n_returned > most:
            more = "one more than k to replace the positive"
            if n_positives > 1:
                more = f"{n_positives} more than k to replace the positives"
            raise ValueError(
                f"an index must return at most {most} labels, {more if most > self.most else 'k'}, got {n_returned}"
            )

    def labels(self, problem: Problem) -> Labels:
        """T, the hard negatives of a problem, without y and the other positives of x, best first.

        Parameters
        ----------
        problem : Problem
            Scores, what the index saw or returned, and the positive.

        Returns
        -------
        ndarray of int, (k',)
            k' <= k labels.

        Raises
        ------
        ValueError
            As `returned` does.
        """
        found, others = self.returned(problem), problem.other_positives
        kept = found != problem.positive
        if others.size:  # few problems have any, and to look among none takes longer than all the rest
            kept &= ~np.isin(found, others)
        return found[kept][: self.most]

    def __str__(self) -> str:
        what = f"k={self.k}" if self.clusters is None else f"clusters={self.clusters}"
        return f"{what}, weight={self.weight:g}, overlap={self.overlap}, positives={self.positives}"


def _best(scores: Floats, k: int) -> Labels:
    """The k labels with the largest scores, best first, the first of equal ones."""
    few = scores[::STRIDE]
    labels = np.arange(scores.size)
    if few.size > k:
        # The k-th best of any part is no better than the k-th best of all.
        labels = np.flatnonzero(scores >= np.partition(few, few.size - k)[few.size - k])
    return labels[np.argsort(-scores[labels], kind="stable")[:k]]
