"""How labels were drawn in a pilot: what margins hide."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from implicitloss.auditing.pilot import LEAK_SHARE, Pilot
from implicitloss.auditing.question import Question
from implicitloss.labels import Floats
from implicitloss.samplers import Sampler

__all__ = ["DrawStatistics"]

# One hit is the smallest step between the hits of two evaluations, when this share of the steps is left out.
RARE_STEPS = 0.02


@dataclass(frozen=True, eq=False)
class DrawStatistics:
    """How labels were drawn in the pilot, and other things that margins hide.

    `q` (L,) is the share of each label among the draws of all audited positives, `n_draws` of which are
    independent; `draws` are the least and the largest number of draws in an evaluation; `multiplicity` is the
    largest number of draws of one label, in `n_independent` evaluations of a positive that do not share their
    draws.  These are None where draws of a label have no single weight (`weights_vary`).  `different` are the least and
    the largest number of different labels in an evaluation, and `mean_different` and `variance_different` their mean
    and variance; `n_always` labels, by positive, came in every evaluation, and `never_drawn` ones in none.  By
    positive and slice, (rows, S): `dispersion` is the variance of counts over that of independent draws, and
    `gradient_ratio` the expected gradient on the slice over that of softmax over all labels, with its standard error.
    The `law` of the draws is known where weights show it.
    """

    q: Floats | None
    draws: tuple[int, int] | None
    multiplicity: int | None
    never_drawn: int
    weights_vary: bool
    slices: tuple[str, ...]
    dispersion: Floats
    gradient_ratio: Floats
    gradient_ratio_error: Floats
    n_draws: int = 0
    n_independent: int = 0
    different: tuple[int, int] = (0, 0)
    mean_different: float = 0.0
    variance_different: float = 0.0
    n_always: tuple[int, ...] = ()
    law: Sampler | None = None

    @classmethod
    def of(cls, question: Question, pilot: Pilot, each_once_by: Sampler | None = None) -> DrawStatistics:
        """The statistics of a pilot's evaluations; `each_once_by` is the law if every weight is that of one draw."""
        seen = pilot.seen.sum(axis=0)
        np.add.at(seen, list(question.positives), (pilot.hits > 0).sum(axis=1))
        never = int((np.delete(seen, question.other_positives) == 0).sum())
        by_slice = tuple(pilot.prior.slices()), pilot.dispersion, pilot.ratio, pilot.ratio_error
        independent = pilot.n // pilot.a_call if pilot.shares_negatives else pilot.n
        labels = np.count_nonzero(pilot.weights, axis=2)
        of_runs: dict[str, Any] = {
            "n_independent": independent,
            "different": (int(labels.min()), int(labels.max())),
            "mean_different": float(labels.mean()),
            "variance_different": float(labels.var(axis=1).mean()),
            "n_always": tuple(int((row != 0).all(axis=0).sum()) for row in pilot.weights),
        }
        if pilot.weights_vary and each_once_by is None:
            return cls(None, None, None, never, True, *by_slice, **of_runs)
        rows, hits = np.arange(len(question.positives)), pilot.hits > 0
        if each_once_by is None:
            counts = np.round(pilot.draws) if pilot.rounding else pilot.draws.copy()
            # A frequent label is hardly ever drawn once: one hit is the smallest, or the smallest step between two.
            steps = np.abs(np.diff(pilot.hits, axis=1))
            steps = np.where(steps > LEAK_SHARE * pilot.hits.max(axis=1, keepdims=True), steps, np.inf)
            least = np.where(hits, pilot.hits, np.inf).min(axis=1, initial=np.inf)
            # A step in a hundred or two may be that of a guard against log 0.
            finite = [row[np.isfinite(row)] for row in steps]
            usual = [np.quantile(row, RARE_STEPS, method="higher") if row.size else np.inf for row in finite]
            one_hit = np.minimum(least, usual)
            counts[rows, :, question.positives] = np.where(hits, pilot.hits, 0.0) / one_hit[:, None]
        else:
            counts = pilot.drawn.astype(np.float64)
            counts[rows, :, question.positives] = hits
        each = counts.sum(axis=2)
        pooled = counts.sum(axis=(0, 1))
        draws = round(float(each.min())), round(float(each.max()))
        most = round(float(counts.max()))
        # Examples of a call that share their draws count once, of whatever positive.
        shared = pilot.a_call * len(question.positives) if pilot.shares_negatives else 1
        n_draws = round(float(pooled.sum()) / shared)
        return cls(
            pooled / max(float(pooled.sum()), 1.0), draws, most, never, pilot.weights_vary, *by_slice, n_draws,
            law=each_once_by, **of_runs,
        )  # fmt: skip
