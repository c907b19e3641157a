"""A scheme for a target: the weights, what comes off every logit, the price, and the code."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from implicitloss.arguments import as_number, checked_choice, checked_whole, shown
from implicitloss.designing import words
from implicitloss.designing.place import is_ratio, log_delta, log_law
from implicitloss.designing.prices import PLACES, SLICES, Prices, eta_of
from implicitloss.labels import Floats, LabelPrior, checked_prior
from implicitloss.margins import Margin, Softmax, checked_margin, complete_margin
from implicitloss.recipes import code
from implicitloss.samplers import Sampler, WithinBatch
from implicitloss.samplers.sampler import checked_sampler, complete_sampler
from implicitloss.scheme import MOST_NEGATIVES, Scheme
from implicitloss.weightings import Consistent, ForMargin

__all__ = ["Design", "design"]


@dataclass(frozen=True, eq=False)
class Design:
    """Weights that reach a target with given counts, sampler and draws, and their price; `il.design` makes it.

    Parameters
    ----------
    prior : LabelPrior
        The label prior.
    target : Margin
        The margins that training should have.
    sampler : Sampler
        How negatives are drawn.
    m : int
        The number of draws.
    eta : ndarray, (n, L), optional
        P(y given x) at the examples whose scores were given.

    Examples
    --------
    Weights for the equalised loss come near it only.

    >>> import implicitloss as il
    >>> r = il.design(il.LabelPrior.zipf(1000, 1.0), il.margins.Equalised(), il.samplers.Uniform(), m=63)
    >>> r.is_exact, {place: round(off, 3) for place, off in r.deviation.items()}, r.negatives_for(tilt=0.01)
    (False, {'uniform': 0.002, 'prior': 0.016, 'peaked': 0.037}, 260)
    """

    prior: LabelPrior
    target: Margin
    sampler: Sampler
    m: int
    eta: Floats | None = None

    @cached_property
    def _prices(self) -> Prices:
        return Prices(self.prior, self.target, self.sampler, self.m, self.eta)

    @cached_property
    def is_exact(self) -> bool:
        """Whether the optimum is the target's at every m: its margins are a ratio δ_y'/δ_y."""
        return is_ratio(self.target)

    @cached_property
    def scheme(self) -> Scheme:
        """Consistent weights, hits kept; where margins are no ratio, importance weights for them, hits masked."""
        if self.is_exact:
            return Scheme(self.sampler, Consistent(self.target), m=self.m, hits="keep")
        return Scheme(self.sampler, ForMargin(self.target), m=self.m, hits="mask")

    @cached_property
    def shift(self) -> Floats:
        """What comes off every logit, the positive's too: log q - log δ, (L,).

        Raises
        ------
        ValueError
            For margins that are no ratio: they need a weight for each pair of labels.
        """
        self._check_exact("a shift of logits")
        return np.asarray(log_law(self.sampler, self.prior) - log_delta(self.target, self.prior))

    @cached_property
    def information(self) -> dict[str, float]:
        """The share of full softmax's information that is kept about a label of the "head", the "torso", the "tail".

        By default it is the mean over the likely labels of a slice, at the x of `il.tilt(eta="peaked")`; where scores
        were given, the mean over their examples and the labels of the slice, weighted by the probability of each label
        at the example.  Slices without likely labels are left out.

        Raises
        ------
        ValueError
            For margins that are no ratio: where the optimum is off its target, `deviation` is what matters.
        """
        self._check_exact("information")
        return self._prices.kept(self.sampler, self.m)

    @cached_property
    def deviation(self) -> dict[str, float]:
        """The tilt: how far the optimum is off the target's, on log π, where η is "uniform", "prior" and "peaked".

        0 where the design is exact; below 0 rare labels gain.  nan where there is no optimum, or none that is reached,
        and where all labels are equally frequent.
        """
        if self.is_exact:
            return dict.fromkeys(PLACES, 0.0)
        return {at: self._prices.places[at, self.sampler].off_by_own(self.m, "mask") for at in PLACES}

    def negatives_for(
        self, *, information: float | None = None, slice: str = "tail", tilt: float | None = None
    ) -> int | None:
        """Compute how many draws keep so much information about a slice, or come so close to the target.

        Parameters
        ----------
        information : float, optional
            The share to keep, between 0 and 1.
        slice : {"head", "torso", "tail"}
            The labels that it is about.
        tilt : float, optional
            The largest tilt off the target, at the x of `il.tilt(eta="peaked")`.  One of the two is given.

        Returns
        -------
        int or None
            The least number, a large one to within a part in 200; None where 10¹² are too few.  A tilt may change its
            sign as m grows, and be off again with more draws.

        Raises
        ------
        ValueError
            Unless one of the two is asked for, for numbers out of range, and for a slice without likely labels.
        """
        if (information is None) == (tilt is None):
            raise ValueError("negatives_for takes either information= or tilt=")
        if tilt is not None:
            largest = as_number(tilt)
            if largest is None or not 0 < largest < math.inf:
                raise ValueError(f"tilt must be a number above 0, got {shown(tilt)}")
            return 1 if self.is_exact else self._prices.draws_for_tilt(self.sampler, largest, "mask")
        share = as_number(information)
        if share is None or not 0 < share < 1:
            raise ValueError(f"information must be between 0 and 1, got {shown(information)}")
        self._check_exact("information")
        if checked_choice(slice, "slice", SLICES) not in self.information:
            raise ValueError(f"slice must have labels that are likely, but those are of {', '.join(self.information)}")
        return self._prices.draws_for_information(self.sampler, share, slice)

    def alternatives(self, progress: Callable[[int, int], None] | None = None) -> Any:
        """Price other schemes for the target: samplers, weights and what a hit does, one a row.

        Parameters
        ----------
        progress : callable, optional
            Called with the number of prices that are known, and that of all.

        Returns
        -------
        pandas.DataFrame
            - `sampler`, `weights`, `hits`: the design's own sampler first, then draws from the batch, half of them
              uniform, and all uniform; weights that are consistent for the target, the paper's importance and tail
              weights, weights of 1, and for other targets than theirs "own" weights p_yy'/(m q_y').
            - `off_uniform`, `off_prior`, `off_peaked`: the tilt of the optimum off the target's, at three x.
            - `head`, `torso`, `tail`: the information that is kept, where there is one: see `information`.
            - `negatives_tilt`: draws that bring `off_peaked` to within 0.01, for weights that come to the target as m
              grows.
            - `negatives_information`: draws that keep nine tenths of the tail's information.
        """
        import pandas as pd

        return pd.DataFrame(list(self._prices.rows(progress)))

    def advice(self) -> str:
        """One sentence that follows from the prices."""
        if not self.is_exact:
            return words.advice_where_off(self.target, self.m, self.deviation)
        rarest = next(name for name in reversed(SLICES) if name in self.information)
        kept = {sampler: self._prices.kept(sampler, self.m)[rarest] for sampler in self._prices.samplers}
        return words.advice(self.sampler, kept, rarest)

    def recipe(self) -> str:
        """One line: what to do in the training loss."""
        return words.recipe(self.target, self.shift if self.is_exact else None)

    def code(self, framework: str = "torch", file: str = "log_shift.npy") -> str:
        """Write the training loss as a text of its own, which needs nothing of this package.

        Draws from the batch are the other items of the batch; other draws are shared by it.

        Parameters
        ----------
        framework : {"torch", "jax", "tensorflow", "numpy"}
            What it is written in.
        file : str
            The file from which the code reads the shift of more than 32 labels; `numpy.save(file, design.shift)` makes
            it.  The shift of up to 32 labels is written into the code.

        Returns
        -------
        str
            The text of a Python module: what it is for, what it needs, the shift, and one function.

        Raises
        ------
        ValueError
            For another framework, and for margins that are no ratio.
        """
        self._check_exact("code")
        name = "in_batch_softmax" if isinstance(self.sampler, WithinBatch) else "sampled_softmax"
        target, law = complete_margin(self.target).name, complete_sampler(self.sampler).name
        head = f"# For {target} of {self.prior.n_labels:,} labels; q is that of {law}."
        return f"{head}\n{code(name, framework, self.shift, file)}"

    def _check_exact(self, what: str) -> None:
        if not self.is_exact:
            raise ValueError(
                f"{what} needs a target whose margins are a ratio δ_y'/δ_y, got {self.target!s:.80}: its weights "
                "p_yy'/(m q_y') come near it as m grows, see deviation"
            )


def design(
    prior: LabelPrior,
    target: Margin = Softmax(),  # noqa: B008  # frozen
    sampler: Sampler = WithinBatch(),  # noqa: B008
    m: int = 255,
    scores: ArrayLike | None = None,
) -> Design:
    """Find weights with which training on samples has the optimum of a target, and what the samples cost.

    With m i.i.d. draws from q, hits kept, and log q - log δ taken off every logit, softmax cross-entropy has the
    optimum f* = log η - log δ at every m, for every target p_yy' = δ_y'/δ_y: softmax δ = 1, logit adjustment δ = π^τ.
    What sampling costs is information: an example says less about its scores.

    Parameters
    ----------
    prior : LabelPrior
        Label counts, every one at least 1.
    target : Margin
        The margins p_yy' that training should have; softmax over all labels by default.
    sampler : Sampler
        How negatives are drawn, independently of the positive; it draws every label and looks at no scores.
    m : int
        The number of draws, from 1 to 10¹².  By default the others of a batch of 256.
    scores : array_like, (n, L) or (L,), optional
        log P(y given x), up to a constant, of some held-out examples: the scores of a trained model.  Information is
        then that of these examples; of many, some are taken, evenly.

    Returns
    -------
    Design
        `scheme`, `is_exact`, `shift`, `information`, `deviation`, `negatives_for(...)`, `alternatives()`, `advice()`,
        `recipe()`.

    Raises
    ------
    ValueError
        For a label of count 0, a sampler that looks at scores or never draws some label, m out of range, and scores
        of another shape.

    References
    ----------
    Derived here; log q off all logits is Yi et al. 2019 where hits are kept.

    Examples
    --------
    Logit adjustment with half in-batch, half uniform negatives.

    >>> import implicitloss as il
    >>> prior = il.LabelPrior.zipf(1000, 1.0)
    >>> r = il.design(prior, target=il.margins.LogitAdjusted(1), sampler=il.samplers.Mixture(0.5), m=255)
    >>> print(r.recipe())
    Take log q - log π off every logit, the positive's too, and leave hits in.
    >>> r.is_exact, {part: round(kept, 2) for part, kept in r.information.items()}
    (True, {'head': 0.92, 'torso': 0.76, 'tail': 0.75})
    >>> r.negatives_for(information=0.9, slice="tail"), r.negatives_for(tilt=0.01)
    (736, 1)
    """
    if checked_prior(prior).n_labels < 2:
        raise ValueError("a design needs at least two labels, got one")
    if not prior.probabilities.min() > 0:
        never, name = prior.n_labels - prior.n_occurring, prior.name(int(prior.by_frequency[-1]))
        raise ValueError(
            f"a design needs labels that occur, but {never:,} of {prior.n_labels:,} have count 0, {name} among them: "
            "leave them out, or count each once, LabelPrior.from_counts(np.maximum(counts, 1))"
        )
    checked_margin(target)
    log_law(checked_sampler(sampler), prior)
    m = checked_whole(m, "m, the number of negatives,", 1, MOST_NEGATIVES)
    return Design(prior, target, sampler, m, None if scores is None else eta_of(scores, prior))
