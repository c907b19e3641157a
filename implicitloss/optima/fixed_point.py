"""Fixed points by Anderson's method: each step mixes the last few."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from implicitloss.labels import Floats, Labels
from implicitloss.optima.newton import NoOptimum
from implicitloss.optima.sums import QUIET

__all__ = ["SOUGHT", "fixed_point"]

STEPS, DEPTH = 1000, 12
# Of more labels so many are looked at to mix steps.
MIXED = 5_000
# A mixed step may make the difference of the sides larger by this factor.
WORSE = 1.5
# The two sides agree to this part of η at the optimum that is looked for, and to the second at one that is accepted.
SOUGHT, ACCEPTED = 1e-13, 1e-9
# After so many steps without a better one, rounding is reached.
PATIENCE = 25
# No score moves further in a step.
LONGEST = 20.0


def fixed_point(step: Callable[[Floats], Floats], f: Floats, weights: Floats, sought: float = SOUGHT) -> Floats:
    """Where `step` is a constant, by Anderson's method in the norm with these weights.

    A mixed step after which the sides differ more than before is taken back, for a plain one.
    """
    weights = weights / weights.sum()
    some = _some(weights)
    root = np.sqrt(weights[some])

    def moved(f: Floats) -> Floats:
        with np.errstate(**QUIET):
            move = step(f)
            return move - weights @ move

    move = moved(f)
    aheads, moves = [f + move], [move[some]]
    best, best_f, since = float(np.abs(move).max()), f, 0
    for _ in range(STEPS):
        if best <= sought or since > PATIENCE or not np.all(np.isfinite(move)):
            break
        trial = f + np.clip(move, -LONGEST, LONGEST)
        if len(moves) > 1:
            mix = np.linalg.lstsq(root[:, None] * np.diff(moves, axis=0).T, root * move[some], rcond=1e-12)[0]
            ahead = move.copy()
            for share, one, next_one in zip(mix, aheads[:-1], aheads[1:], strict=True):
                ahead -= share * (next_one - one)
            trial = f + np.clip(ahead, -LONGEST, LONGEST)
        trial_move = moved(trial)
        if len(moves) > 1 and not np.linalg.norm(root * trial_move[some]) <= WORSE * np.linalg.norm(root * move[some]):
            aheads, moves = [], []
            trial = f + np.clip(move, -LONGEST, LONGEST)
            trial_move = moved(trial)
        f, move = trial, trial_move
        aheads, moves = [*aheads[-DEPTH:], f + move], [*moves[-DEPTH:], move[some]]
        off = float(np.abs(move).max())
        best, best_f, since = (off, f, 0) if off < best else (best, best_f, since + 1)
    if not best <= max(ACCEPTED, sought):
        raise NoOptimum(f"the balance did not converge: what pushes a score up and down still differs by {best:.2g}")
    return best_f


def _some(weights: Floats) -> Labels | slice:
    """Labels by which steps are mixed: all, or of many those at which the running sum of weights passes a step."""
    if weights.size <= MIXED:
        return slice(None)
    return np.unique(np.searchsorted(np.cumsum(weights), (np.arange(MIXED) + 0.5) / MIXED).clip(max=weights.size - 1))
