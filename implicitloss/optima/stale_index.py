"""What a stale index costs: hard negatives that are looked up now and then, while the scores move on.

Between two refreshes T stays as it is.  A label in T is pushed down for the whole period, and one that left it rises
until it is among the k best again: scores swing, the farther the longer a period.  Draws cap the swing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import xlogy

from implicitloss.arguments import checked_choice, checked_number, checked_vector, checked_whole
from implicitloss.kernels.flow import climb, flow, move
from implicitloss.labels import Floats, LabelPrior, Labels
from implicitloss.losses import Decoupled, logistic
from implicitloss.optima.pushes import Pushes, checked_marginals, pushes
from implicitloss.optima.waterfilling import decoupled_scores
from implicitloss.samplers.uniform import Uniform
from implicitloss.scheme import Scheme, only_iid

__all__ = ["Method", "StaleIndex", "period_map", "renewal", "stale_index"]

Method = Literal["period map", "renewal"]
# Refreshes by default: so many, for so many units of time, for so many rounds of all labels, and no more than so many;
# a third of them is left for the scores to settle.  The longest period.
FEWEST_REFRESHES, LEAST_TIME, ROUNDS, MOST_REFRESHES, SETTLING = 300, 200.0, 5, 20_000, 3
LONGEST = 1e9


@dataclass(frozen=True, eq=False)
class StaleIndex:
    """Scores under an index that is refreshed now and then, as `stale_index` returns them.

    Parameters
    ----------
    loss : float
        The full logistic loss Σ_j η_j log(1 + e^{-f_j}) + (1 - η_j) log(1 + e^{f_j}), averaged over time.
    least_loss : float
        The least that any scores reach, the entropy Σ_j H(η_j).
    swing : ndarray, (L,)
        The largest difference between two scores of a label.
    cap : ndarray, (L,)
        The most that a swing can be, log(B_in/B_out): log((1 + p)/p) for weights of 1 where overlap is kept and hits
        are not; inf for a label that draws never count.
    duty : ndarray, (L,)
        The share of time in T, of refreshes by the period map; they sum to k.

    `excess` is the loss over the least loss.

    Examples
    --------
    >>> import numpy as np
    >>> import implicitloss as il
    >>> scheme = il.Scheme(il.samplers.Uniform(), il.weightings.Unit(), m=5, hits="mask", hard=il.HardNegatives(k=5))
    >>> found = il.stale_index(scheme, 0.6 / np.arange(1, 101), refresh=2000, step=0.1, refreshes=60)
    >>> bool(np.all(found.swing <= found.cap)), round(float(found.cap[0]), 3), round(found.excess, 2)
    (True, 3.045, 2.94)
    """

    loss: float
    least_loss: float
    swing: Floats
    cap: Floats
    duty: Floats

    @property
    def excess(self) -> float:
        """The loss over the least loss."""
        return self.loss / self.least_loss


def stale_index(
    scheme: Scheme,
    eta: ArrayLike,
    refresh: int,
    step: float,
    *,
    prior: LabelPrior | None = None,
    method: Method = "period map",
    refreshes: int | None = None,
) -> StaleIndex:
    """Predict the logistic scores at one x where hard negatives are looked up every `refresh` steps of size `step`.

    Steps are small, so that scores follow df_j/dt = η_j - (η_j + B_j) σ(f_j), t = step x steps, B_j = (1 - η_j) b_j,
    with b_j the times that the label counts as a negative of others, in T or outside; where hits are kept, B_j has
    η_j c_j of them too.  A label in T falls to no less than log η_j - log B_in, and outside it rises to no more than
    log η_j - log B_out: a swing is at most log(B_in/B_out).

    - "period map": the flow of a whole period is exact; at its end the k best labels are looked up again.
    - "renewal": an approximation, faster.  Each label falls from a level c for one period and climbs back to c, and its
      share of time in T is that of the period in the two; c makes these shares sum to k.  The loss is within a quarter
      of the map's in all schemes that were tried; shares and swings of single labels can be far off after long periods.

    Parameters
    ----------
    scheme : Scheme
        A scheme with `hard=`, positives dropped, as `waterfilling` takes it.
    eta : array_like, (L,)
        0 < η_j < 1, P(j is a positive of x).
    refresh : int
        Steps between two refreshes, from 1.
    step : float
        The step size, above 0; `refresh` x `step` is at most 1e9.
    prior : LabelPrior, optional
        Needed unless the sampler is uniform.
    method : {"period map", "renewal"}
        See above.
    refreshes : int, optional
        Periods of the map, of which the first third is not counted, from 3; by default 300, or as many as 200 units of
        time need, or L labels to be in T five times each, and 20,000 at most.  With rare labels and short periods that
        may be too few for averages over time: give more.  The map starts from the optimum under a fresh index.

    Returns
    -------
    StaleIndex
        The loss over time, the swing of each label and its cap, and the share of time in T.

    Raises
    ------
    ValueError
        As `waterfilling` does, and for replaced positives, a missing prior, and arguments out of range.

    References
    ----------
    Derived here; it explains what Qaraei and Babbar see with an index that is not refreshed.

    Examples
    --------
    A few draws beside the hard negatives cap what a stale index does.

    >>> import numpy as np
    >>> import implicitloss as il
    >>> eta = 0.6 / np.arange(1, 101)
    >>> for m in (1, 5):
    ...     hard = il.HardNegatives(k=10 - m)
    ...     scheme = il.Scheme(il.samplers.Uniform(), il.weightings.Unit(), m=m, hits="mask", hard=hard)
    ...     print(m, round(il.stale_index(scheme, eta, refresh=2000, step=0.1, method="renewal").excess, 1))
    1 7.3
    5 2.9
    """
    hard = only_iid(scheme, "a stale index").hard
    refresh = checked_whole(refresh, "refresh, the number of steps between two refreshes,", 1)
    step = checked_number(step, "step", "a number > 0", lambda x: x > 0)
    checked_choice(method, "method", ("period map", "renewal"))
    if refreshes is not None:
        refreshes = checked_whole(refreshes, "refreshes", SETTLING)
    if prior is None:
        if not isinstance(scheme.sampler, Uniform):
            raise ValueError(f"a prior is needed for {scheme.sampler!s:.60}, got none: pass prior=")
        prior = LabelPrior.zipf(checked_vector(eta, "eta").size, 0.0)
    found = checked_marginals(scheme, eta, prior)
    if hard is None or hard.positives != "drop":
        raise ValueError("a stale index is computed for hard negatives whose positives are dropped, got 'replace'")
    if refresh > LONGEST or refresh * step > LONGEST:
        raise ValueError(
            f"refresh x step must be at most {LONGEST:g}, got refresh = {refresh!s:.20} and step = {step:g}"
        )
    push, period = pushes(scheme, found, prior), refresh * step
    if method == "renewal":
        return renewal(found, push, hard.k, period)
    n = refreshes
    if n is None:
        rounds = ROUNDS * math.ceil(found.size / hard.k)
        n = max(FEWEST_REFRESHES, min(MOST_REFRESHES, max(rounds, math.ceil(min(LEAST_TIME / period, MOST_REFRESHES)))))
    return period_map(found, push, hard.k, period, n)


def _against(eta: Floats, push: Pushes) -> tuple[Floats, Floats]:
    """B = (1 - η) b + η c, c of kept hits, outside T and inside."""
    own = eta * push.own
    return (1 - eta) * push.outside + own, (1 - eta) * push.inside + own


def _result(eta: Floats, push: Pushes, loss: float, swing: Floats, duty: Floats) -> StaleIndex:
    outside, inside = _against(eta, push)
    with np.errstate(divide="ignore"):
        cap = np.log(inside) - np.log(outside)
    return StaleIndex(loss, -float(np.sum(xlogy(eta, eta) + xlogy(1 - eta, 1 - eta))), swing, cap, duty)


def period_map(eta: Floats, push: Pushes, k: int, period: float, refreshes: int) -> StaleIndex:
    """The flow from refresh to refresh, over so many; a third of them is not counted."""
    outside, inside = _against(eta, push)
    f = decoupled_scores(Decoupled(logistic), eta, push, float(k), np.ones(eta.size)).scores
    times, later, losses = np.full(eta.size, period), np.empty(eta.size), np.empty(eta.size)
    loss, visits, low, high = 0.0, np.zeros(eta.size), np.full(eta.size, np.inf), np.full(eta.size, -np.inf)
    settled = refreshes // SETTLING
    for n in range(refreshes):
        best = _best(f, k)
        against = outside.copy()
        against[best] = inside[best]
        flow(f, eta, against, times, later, losses)
        if n >= settled:
            loss += float(losses.sum())
            visits[best] += 1
            # Scores move one way within a period: the ends are the extremes.
            low, high = np.minimum(low, np.minimum(f, later)), np.maximum(high, np.maximum(f, later))
        f, later = later, f
    counted = refreshes - settled
    return _result(eta, push, loss / (counted * period), high - low, visits / counted)


def _best(f: Floats, k: int) -> Labels:
    return np.argsort(-f, kind="stable")[:k]


def renewal(eta: Floats, push: Pushes, k: int, period: float) -> StaleIndex:
    """The formula: each label in T for one period, then on its way back to the level."""
    outside, inside = _against(eta, push)
    with np.errstate(divide="ignore"):
        bottom, top = np.log(eta / inside), np.log(eta / outside)
    low, losses, back = np.empty(eta.size), np.empty(eta.size), np.empty(eta.size)

    def duty(c: float) -> Floats:
        """The share of time in T of each label, at a level; fills `low`."""
        moves = (bottom < c) & (c < top)
        move(np.full(eta.size, c), eta, inside, np.where(moves, period, 0.0), low)
        climb(low, c, eta, outside, back)
        return np.where(moves, period / (period + back), np.where(bottom >= c, 1.0, 0.0))

    # Below all rests inside T every label stays in T; above, the level rises until few enough labels reach it.
    below, above = float(bottom.min()) - 1.0, float(bottom.max())
    while duty(above).sum() > k:
        below, above = above, above + 1.0
    while np.nextafter(below, above) < above:
        c = (below + above) / 2
        below, above = (c, above) if duty(c).sum() > k else (below, c)
    # Next to its rest outside a label waits as long as it takes: no number lies between two levels there.
    fewer = duty(above)
    more = duty(below)
    falls = np.where((bottom < below) & (below < top), period, 0.0)
    flow(np.full(eta.size, below), eta, inside, falls, low, losses)
    part = (k - fewer.sum()) / max(more.sum() - fewer.sum(), 1e-300)
    shares = fewer + min(part, 1.0) * (more - fewer)
    moves = (shares > 0) & (bottom < below)
    waits = np.where(moves, period * (1 / np.where(moves, shares, 1.0) - 1), 0.0)
    outside_loss = np.zeros(eta.size)
    flow(low, eta, outside, waits, np.empty(eta.size), outside_loss)
    rest = np.where(bottom >= below, bottom, np.where(np.isfinite(top), top, below))
    still = np.logaddexp(0.0, rest) - eta * rest
    mean = np.where(moves, (losses + outside_loss) / (period + waits), still)
    return _result(eta, push, float(mean.sum()), np.where(moves, below - low, 0.0), shares)
