"""The sampled loss of a minibatch, to train with: one run of the procedure for each example, and its gradient.

One file: all labels, negatives by a law that examples share, and negatives by a law of each example are three ways
through one call, and fill the same gradient.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from implicitloss.arguments import shown
from implicitloss.kernels.minibatch import push_decoupled, push_softmax
from implicitloss.labels import Floats, LabelPrior, Labels, checked_prior
from implicitloss.losses import Decoupled, Loss, SoftmaxCrossEntropy, checked_loss
from implicitloss.margins import Margin, complete_margin
from implicitloss.numerics.seeds import Seed, root_of
from implicitloss.problem import Problem, checked_returned
from implicitloss.samplers.sampler import AliasDraw, Draw, ImpossibleDraw, checked_draws, complete_sampler
from implicitloss.scheme import Scheme, only_iid
from implicitloss.weightings import complete_weighting

__all__ = ["Minibatch"]

# The most draws of one call: their labels and weights take 16 bytes each.
MOST_BATCH_DRAWS = 1 << 28
# Numbers in memory at a time, where every label counts for every example.
PART_NUMBERS = 1 << 22
# Rounds in which the hits of all examples are drawn again together.  Hits that are left after them belong to positives
# that are most of the law.
REDRAWS = 64
# Drawing again ends where, after the product of both, fewer than one draw in DRAWS_A_NEGATIVE was a negative.
DRAWS_A_NEGATIVE, SPARE_NEGATIVES = 1 << 14, 1 << 8


@dataclass(frozen=True, eq=False)
class Minibatch:
    """The sampled loss of a minibatch and its gradient, to train with.

    `minibatch(scores, positives)` gives ℓ_i = ℓ(N_i) for each example i, its negatives N_i drawn anew, and the gradient
    ∂(Σ_i ℓ_i)/∂f with q and w held fixed.

    Parameters
    ----------
    objective : Scheme or Margin
        A scheme draws negatives.  A margin counts every label p_yy' times: `margins.Softmax()` makes the full loss.
    loss : SoftmaxCrossEntropy or Decoupled
        The loss, from `implicitloss.losses`.
    prior : LabelPrior
        The label prior.

    Raises
    ------
    ValueError
        For another objective or another loss.

    Notes
    -----
    A call takes O(P m) time for P examples, or O(P L) for margins and for samplers that look at the scores, and memory
    for a gradient of the scores' shape.

    Excluded hits are drawn again.  That would not end where the positive has nearly all of the probability, as it may
    once a model has learned.  A procedure by `samplers.sampler.by_shares` or `by_log_shares` then draws from the
    other labels only, which has the same distribution.  Any other raises ValueError after a few million draws.

    References
    ----------
    Rawat et al. 2021, Eqs. 6 to 8.

    Examples
    --------
    >>> import implicitloss as il
    >>> prior = il.LabelPrior.from_counts([8, 4, 3, 1])
    >>> scheme = il.Scheme(il.samplers.WithinBatch(), il.weightings.Constant(), m=3, hits="mask")
    >>> minibatch = il.Minibatch(scheme, il.losses.SoftmaxCrossEntropy(), prior)
    >>> losses, gradient = minibatch([[0.3, -0.4, 1.2, -1.7], [1.0, 0.0, 0.0, 0.0]], [1, 0], rng=0)
    >>> losses.shape, gradient.shape, abs(gradient.sum(axis=1)).round(12)
    ((2,), (2, 4), array([0., 0.]))
    """

    objective: Scheme | Margin
    loss: Loss
    prior: LabelPrior

    def __post_init__(self) -> None:
        checked_loss(self.loss)
        if not isinstance(self.loss, (SoftmaxCrossEntropy, Decoupled)):
            raise ValueError(f"a minibatch has SoftmaxCrossEntropy() or a Decoupled(...) loss, got {shown(self.loss)}")
        checked_prior(self.prior)
        objective = self.objective
        if not isinstance(objective, Scheme) and (isinstance(objective, type) or not hasattr(objective, "log_margin")):
            got = objective.__name__ if isinstance(objective, type) else type(objective).__name__
            raise ValueError(f"the objective must be a Scheme, or a margin to count all labels by, got {got}")
        if isinstance(objective, Scheme):
            only_iid(objective, "a minibatch")

    def __call__(
        self,
        scores: ArrayLike,
        positives: ArrayLike,
        rng: Seed = None,
        rows: ArrayLike | None = None,
        hard: ArrayLike | None = None,
    ) -> tuple[Floats, Floats]:
        """Compute the losses of P examples, and the gradient of their sum in the scores.

        Parameters
        ----------
        scores : array_like, (B, L)
            The scores f, a row for each x.
        positives : array_like, (P,)
            The positive label of each example; there may be none.
        rng : seed or Generator, optional
            A seed draws the same negatives at every call.  A generator moves on from call to call.
        rows : array_like, (P,), optional
            The row of scores of each example, by default its own: an x with several positives needs its scores once.
        hard : array_like of int, (B, n), optional
            For a scheme with hard negatives the labels that an index returned for each row of scores, best first; -1 is
            an empty slot.  By default the best labels by the scores themselves.

        Returns
        -------
        losses : ndarray, (P,)
            ℓ(N) of each example.
        gradient : ndarray, (B, L)
            ∂(Σ ℓ)/∂f.

        Raises
        ------
        ValueError
            For scores that are not finite or not (B, L), labels or rows out of range, a positive that the scheme or the
            margin cannot have (of prior 0, or never drawn), hard negatives that are out of range, come twice, are too
            many, or are none of the objective's, and a loss or gradient too large for floating point.

        Examples
        --------
        Two positives of one x, by the full loss:

        >>> import implicitloss as il
        >>> prior = il.LabelPrior.from_counts([8, 4, 3, 1])
        >>> full = il.Minibatch(il.margins.Softmax(), il.losses.SoftmaxCrossEntropy(), prior)
        >>> losses, gradient = full([[0.0, 0.0, 0.0, 0.0]], [1, 3], rows=[0, 0])
        >>> losses.round(4), gradient
        (array([1.3863, 1.3863]), array([[ 0.5, -0.5,  0.5, -0.5]]))
        """
        f, y = self._scores(scores), _indices(positives, self.prior.n_labels, "positives")
        at = np.arange(y.size) if rows is None else _indices(rows, len(f), "rows")
        n_rows = at.size if rows is not None or not y.size else len(f)
        if y.size != n_rows:
            raise ValueError(
                f"every positive needs a row of scores, got {y.size} positives, {n_rows} rows; where not each row has "
                "just one, say which row each positive has: rows="
            )
        generator = rng if isinstance(rng, np.random.Generator) else np.random.default_rng(root_of(rng))
        gradient = np.zeros_like(f)
        if not y.size:
            return np.zeros(0), gradient
        returned = self._returned(f, hard)
        # Overflow is reported below.
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            losses = self._pushed(f, at, y, returned, generator, gradient)
        if not np.isfinite(losses).all():
            i = int(np.argmin(np.isfinite(losses)))
            raise ValueError(
                f"losses must be finite, but example {i}, positive {y[i]}, has {losses[i]}: its scores lie too far "
                "apart, or its weights are too large"
            )
        if not np.isfinite(gradient).all():
            row = int(np.argmin(np.isfinite(gradient).all(axis=1)))
            raise ValueError(
                f"gradients must be finite, but that of row {row} is not: its scores lie too far apart, or its weights "
                "are too large"
            )
        return losses, gradient

    def _scores(self, given: ArrayLike) -> Floats:
        n = self.prior.n_labels
        found = _array(given, "scores")
        if found.shape == (0,):
            found = found.reshape(0, n)
        if found.ndim != 2 or found.shape[1] != n:
            raise ValueError(f"scores must be (B, {n}), a column a label, got shape {found.shape}")
        if found.dtype.kind not in "iuf" and found.size:
            raise ValueError(f"scores must be real numbers, got {found.dtype}")
        with np.errstate(over="ignore"):
            f = np.ascontiguousarray(found, dtype=np.float64)
        if not np.all(np.isfinite(f)):
            raise ValueError(f"scores must be finite, but row {int(np.argmin(np.isfinite(f).all(axis=1)))} is not")
        return f

    def _returned(self, f: Floats, given: ArrayLike | None) -> Labels | None:
        """The labels that the index returned for each row of scores, (B, n); None without hard negatives."""
        hard = self.objective.hard if isinstance(self.objective, Scheme) else None
        if hard is None:
            if given is not None:
                raise ValueError("hard must be None for an objective without hard negatives, got labels")
            return None
        if given is None:
            each = [hard.returned(Problem(row, self.prior, 0)) for row in f]
            return np.array(each, dtype=np.intp).reshape(len(f), -1)
        found = _array(given, "hard")
        if found.size and found.dtype.kind not in "iu":
            raise ValueError(f"hard must be labels, whole numbers (-1: an empty slot), got {shown(given)}")
        if found.ndim != 2 or len(found) != len(f):
            raise ValueError(f"hard must be labels ({len(f)}, n), a row for each row of scores, got {shown(given)}")
        rows = [checked_returned(row, self.prior.n_labels) for row in found]
        for row in rows:
            hard.check(self.prior.n_labels, int(np.count_nonzero(row >= 0)))
        return np.array(rows, dtype=np.intp).reshape(found.shape)

    def _pushed(
        self,
        f: Floats,
        at: Labels,
        y: Labels,
        returned: Labels | None,
        rng: np.random.Generator,
        gradient: Floats,
    ) -> Floats:
        """Losses (P,); their gradient is added to `gradient`."""
        tables: tuple[Floats, ...] = (f,)
        if isinstance(self.loss, Decoupled):
            tables = tuple(_wide(of(f)) for of in (self.loss.binary.negative, self.loss.binary.slope))
        if isinstance(self.objective, Scheme):
            losses = self._push(tables, at, y, *self._negatives(self.objective, f, at, y, returned, rng), gradient)
        else:
            losses = self._all_labels(self.objective, tables, at, y, gradient)
        if isinstance(self.loss, Decoupled):
            np.add.at(gradient, (at, y), self.loss.binary.positive_slope(f[at, y]))
            losses += self.loss.binary.positive(f[at, y])
        return losses

    def _push(
        self, tables: tuple[Floats, ...], at: Labels, y: Labels, drawn: Labels, log_w: Floats, gradient: Floats
    ) -> Floats:
        """What negatives with these labels and weights, (P, k), add to the losses (P,); adds to `gradient` too.

        `tables` are the scores, or for a decoupled loss what each label pays and the slopes of that.
        """
        if isinstance(self.loss, Decoupled):
            return np.asarray(push_decoupled(*tables, at, drawn, log_w, gradient))
        return np.asarray(push_softmax(*tables, at, y, drawn, log_w, gradient))

    # --- all labels ---------------------------------------------------------------------------------------------------

    def _all_labels(
        self, margin: Margin, tables: tuple[Floats, ...], at: Labels, y: Labels, gradient: Floats
    ) -> Floats:
        """Losses (P,) over all labels.  For margins a_y b_y' the positives of a row share one sum over its labels."""
        n, factors = self.prior.n_labels, complete_margin(margin).log_factors(self.prior)
        losses, alone = np.zeros(y.size), np.arange(y.size)
        if factors is not None:
            log_a, log_b = (np.broadcast_to(x, (n,)) for x in factors)
            for label in y[~np.isfinite(log_a[y])].tolist():
                margin.log_margin(self.prior, label)  # most margins raise here, and say what is wrong
                raise ValueError(f"the margins of positive {label} must be finite, got log a = {log_a[label]}")
            losses, alone = self._by_sums(tables, at, y, log_a, log_b, gradient)
        for part in np.array_split(alone, max(1, math.ceil(alone.size * n / PART_NUMBERS))):
            labels = y[part]
            if factors is None:
                log_p = np.array([margin.log_margin(self.prior, label) for label in labels.tolist()], dtype=np.float64)
            else:
                log_p = log_a[labels][:, None] + log_b
            log_p = log_p.reshape(part.size, n)
            log_p[np.arange(part.size), labels] = -np.inf
            every = np.tile(np.arange(n), (part.size, 1))
            losses[part] = self._push(tables, at[part], labels, every, log_p, gradient)
        return losses

    def _by_sums(
        self, tables: tuple[Floats, ...], at: Labels, y: Labels, log_a: Floats, log_b: Floats, gradient: Floats
    ) -> tuple[Floats, Labels]:
        """Losses (P,) by the sum of each row less the positive's own entry; and the examples where this loses digits.

        In these the own entry is more than half of the sum.  Their losses and gradients are not computed here.
        """
        if isinstance(self.loss, Decoupled):
            b = np.exp(log_b)
            paid, slopes = (np.where(b > 0, b * table, 0.0) for table in tables)
            own, rest = _split(paid, at, y)
            alone = ~(own <= rest)
            each = np.where(alone, 0.0, np.exp(log_a[y]))
            losses, of_own = each * rest, slopes[at, y]
        else:
            u = tables[0] + log_b
            top = u.max(axis=1)
            paid = slopes = np.exp(u - top[:, None])
            own, rest = _split(paid, at, y)
            alone = ~(own <= rest)
            log_scale = log_a[y] - tables[0][at, y] + top[at]
            losses, of_own = np.logaddexp(0.0, log_scale + np.log(rest)), own + rest
            each = np.where(alone, 0.0, np.exp(log_scale - losses))
        gradient += slopes * np.bincount(at, weights=each, minlength=len(paid))[:, None]
        np.add.at(gradient, (at, y), -each * of_own)
        return losses, np.flatnonzero(alone)

    # --- negatives ----------------------------------------------------------------------------------------------------

    def _negatives(
        self, scheme: Scheme, f: Floats, at: Labels, y: Labels, returned: Labels | None, rng: np.random.Generator
    ) -> tuple[Labels, Floats]:
        """Labels and log weights, (P, m); those of hard negatives come after those that are drawn."""
        if scheme.hard is None or returned is None:
            return self._drawn(scheme, f, at, y, None, rng)
        drawn, log_w = self._drawn(scheme, f, at, y, returned, rng)
        hard = returned[at]
        hard[hard == y[:, None]] = -1
        # The first k that are left: one more may have come to replace the positive.
        hard[np.cumsum(hard >= 0, axis=1) > scheme.hard.most] = -1
        if scheme.hard.overlap == "mask":
            for column in hard.T:
                log_w[drawn == column[:, None]] = -np.inf
        log_w_hard = np.where(hard < 0, -np.inf, np.log(scheme.hard.weight))
        return np.hstack([drawn, np.maximum(hard, 0)]), np.hstack([log_w, log_w_hard])

    def _drawn(
        self, scheme: Scheme, f: Floats, at: Labels, y: Labels, returned: Labels | None, rng: np.random.Generator
    ) -> tuple[Labels, Floats]:
        """The labels that are drawn, and their log weights, (P, m)."""
        if y.size * scheme.m > MOST_BATCH_DRAWS:
            raise ValueError(
                f"a minibatch draws at most {MOST_BATCH_DRAWS:,} negatives, got {y.size:,} examples with {scheme.m:,} "
                "each"
            )
        if self._shared is not None:
            return self._together(scheme, y, rng, *self._shared)
        drawn, log_w = np.empty((y.size, scheme.m), np.intp), np.empty((y.size, scheme.m))
        before: tuple[int, int] | None = None
        for i, (row, label) in enumerate(zip(at.tolist(), y.tolist(), strict=True)):
            if (row, label) != before:  # else it has the law and the weights of the example before
                problem = Problem(f[row], self.prior, label, labels=None if returned is None else returned[row])
                plan, draw = scheme.plan(problem, loss=self.loss), checked_draws(scheme.sampler, problem)
                again = scheme.drawn_again(problem, plan.hard)
                draw, before = _beside(draw, again) if again.size else draw, (row, label)
            drawn[i] = draw(rng, scheme.m)
            _check_possible(scheme, plan.log_q, drawn[i])
            log_w[i] = plan.log_w[drawn[i]]
        return drawn, log_w

    @cached_property
    def _shared(self) -> tuple[Draw, Floats, Floats, Floats] | None:
        """What all examples share: how to draw, log a and log b of w_yy' = a_y b_y', and log q; None if they do not.

        Where draws of hard negatives are drawn again, each example has a law of its own.
        """
        scheme, n = self.objective, self.prior.n_labels
        assert isinstance(scheme, Scheme)
        if scheme.hard is not None and scheme.hard.overlap == "exclude":
            return None
        if scheme.sampler.needs_scores or complete_sampler(scheme.sampler).needs_positive:
            return None
        common, rare = (Problem(np.zeros(n), self.prior, int(y)) for y in self.prior.by_frequency[[0, -1]])
        law = scheme.log_law(common)
        weighting = complete_weighting(scheme.weighting)
        found = weighting.log_factors(law, self.prior, scheme.m, scheme.hits == "exclude")
        if found is None or not np.array_equal(law, scheme.log_law(rare)):
            return None
        log_a, log_b = (np.broadcast_to(factor, (n,)) for factor in found)
        return checked_draws(scheme.sampler, common), log_a, log_b, law

    @cached_property
    def _planned(self) -> set[int]:
        """Positives that were checked: the scheme can have them."""
        return set()

    @cached_property
    def _apart(self) -> dict[int, Draw]:
        """How to draw beside each positive that is most of the law.  There are few."""
        return {}

    def _check_positives(self, scheme: Scheme, y: Labels, log_a: Floats, law: Floats) -> None:
        """*Raises* ValueError for a positive that the scheme cannot have, as `Scheme.plan` does, which takes O(L).

        Check only positives that could fail: those with a_y not finite, or without another label to draw.  Once two
        have passed, no other can fail.
        """
        labels = np.unique(y)
        others = np.count_nonzero(law > -np.inf) - (law[labels] > -np.inf)
        doubtful = ~np.isfinite(log_a[labels]) | ((others == 0) & (scheme.hits == "exclude"))
        for label, doubt in zip(labels.tolist(), doubtful.tolist(), strict=True):
            if label in self._planned or (len(self._planned) > 1 and not doubt):
                continue
            scheme.plan(Problem(np.zeros(law.size), self.prior, label), loss=self.loss)
            if doubt:
                raise ValueError(f"the weights of positive {label} must be finite, got {scheme.weighting} of {scheme}")
            self._planned.add(label)

    def _together(
        self, scheme: Scheme, y: Labels, rng: np.random.Generator, draw: Draw, log_a: Floats, log_b: Floats, law: Floats
    ) -> tuple[Labels, Floats]:
        """The negatives of examples that share law and weights."""
        self._check_positives(scheme, y, log_a, law)
        own = y[:, None]
        drawn = draw(rng, y.size * scheme.m).reshape(y.size, -1)
        if scheme.hits == "exclude":
            drawn = drawn.copy()
            example, place = np.nonzero(drawn == own)
            for _ in range(REDRAWS):
                if not example.size:
                    break
                drawn[example, place] = draw(rng, example.size)
                left = drawn[example, place] == y[example]
                example, place = example[left], place[left]
            for label in np.unique(y[example]).tolist():
                if label not in self._apart:
                    self._apart[label] = _beside(draw, np.array([label]))
                here = y[example] == label
                drawn[example[here], place[here]] = self._apart[label](rng, int(np.count_nonzero(here)))
        _check_possible(scheme, law, drawn)
        log_w = log_a[own] + log_b[drawn]
        if scheme.hits == "mask":
            log_w[drawn == own] = -np.inf
        return drawn, log_w


def _beside(draw: Draw, again: Labels) -> Draw:
    """Draw labels that are not to be drawn `again`, the positive last: by the others' shares, or by drawing again.

    *Raises* ValueError, when it draws, if next to nothing but these comes.
    """
    if isinstance(draw, AliasDraw):
        return draw.without(int(again[0]) if again.size == 1 else again)
    mode, rest = "hits", f"label {again[-1]}, the positive"
    if again.size > 1:
        mode, rest = "overlap", f"among {again.size} labels that are drawn again"

    def others(rng: np.random.Generator, size: int) -> Labels:
        found, kept, drawn = [np.empty(0, np.intp)], 0, 0
        while kept < size:
            if drawn > DRAWS_A_NEGATIVE * (kept + SPARE_NEGATIVES):
                raise ValueError(
                    f"{mode}='exclude' leaves hardly anything to draw: {drawn:,} draws gave {kept} negatives, the rest "
                    f"were {rest}; take {mode}='mask', or a procedure by by_shares"
                )
            labels = draw(rng, min(max(size - kept, 2 * drawn), PART_NUMBERS))
            found.append(labels[~np.isin(labels, again)])
            kept, drawn = kept + found[-1].size, drawn + labels.size
        return np.concatenate(found)[:size]

    return others


def _check_possible(scheme: Scheme, log_q: Floats, drawn: Labels) -> None:
    """*Raises* ImpossibleDraw if a label with q = 0 was drawn."""
    never = log_q == -np.inf
    if never.any() and never[drawn].any():
        label = int(drawn[never[drawn]][0])
        raise ImpossibleDraw(f"{scheme.sampler} drew label {label}, to which it gives q = 0")


def _split(paid: Floats, at: Labels, y: Labels) -> tuple[Floats, Floats]:
    """Each positive's own entry in its row of `paid`, and the sum of the rest of the row, (P,) each."""
    own = paid[at, y]
    return own, paid.sum(axis=1)[at] - own


def _wide(values: object) -> Floats:
    return np.ascontiguousarray(values, dtype=np.float64)


def _array(values: ArrayLike, what: str) -> NDArray[Any]:
    """`values` as an array; *raises* ValueError for masked entries, and for what makes no array."""
    try:
        found = np.asanyarray(values)
    except Exception as error:  # a framework's own refusal, such as a tensor that wants its gradient
        raise ValueError(f"{what} must be an array of numbers, got {type(values).__name__}: {error!s:.120}") from None
    if np.ma.is_masked(found):
        raise ValueError(f"{what} must be numbers, but some of them are masked")
    return np.asarray(found)


def _indices(values: ArrayLike, size: int, what: str) -> NDArray[np.intp]:
    found = _array(values, what)
    if found.ndim != 1 or (found.size and found.dtype.kind not in "iu"):
        raise ValueError(f"{what} must be whole numbers in one vector, got {found.dtype} {found.shape}")
    if found.size and not (found.min() >= 0 and found.max() < size):
        raise ValueError(f"{what} must lie from 0 to {size - 1}, got {found.min()} to {found.max()}")
    return found.astype(np.intp)
