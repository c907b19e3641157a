"""Newton's method for the balance of pushes of many labels: O(L), as labels move each other through Φ and Ψ alone.

The notation is that of `implicitloss.optima.balance`, x = 1/s.  Where hits are kept, with I(z) = z ∫ e^{-u z} Ψ du and
R(x) = x ∫ e^{-u x} (1 - Φ^m) du, the log of right over left is log R(x) - log I(z), up to what stays.  If f changes
by e,

    D e = ratio + δR/R(x) - δI/I(z),   D = d log I/d log z - d log R/d log x,

δR and δI those of δΦ = -Σ q u z e^{-u z} e and of Σ η e^{-u x}, the change of which is -Σ η u x e^{-u x} e.  So e
follows from two functions of u, and these from e: linear equations for their values at nodes, with sums over labels by
cells of log z and log x.  The cells and hits make the step inexact, not where it leads.  *Source:* derived.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from implicitloss.labels import Floats
from implicitloss.optima.light import NEGLECTED
from implicitloss.optima.sums import PART, QUIET, at_labels
from implicitloss.witness.integrate.compression import in_order
from implicitloss.witness.integrate.quadrature import STEP, power

__all__ = ["Newton", "balanced_alone", "descent"]

# The side of a cell, and every how many nodes the functions of u are known.
CELL, APART = 0.25, 4
# So many steps are made at most, each by this factor shorter than the last, and none longer than this; it is not
# believed that the next is shorter by a smaller factor than the least.
STEPS, SHORTER, LONGEST, LEAST = 30, 0.8, 5.0, 0.05
# The part of its way that a step is taken to have gone, at least and at most.
DONE = 0.5, 2.0
# That is told by steps no longer than this.
CLOSE = 0.01
# A step that is longer says nothing of the next.
FAR = 1e-5
# A step leaves out what is a small part of what it is expected to be.
ROUGH, ROUGHEST = 1e-3, 1e-7
# A table of a function of log x: how far it goes, its step, and how often it is asked.
FURTHER, APART_AT, ALONE = 30.0, 1 / 16, 5


@dataclass(frozen=True, eq=False)
class Newton:
    """Blocks of labels at log z and log x, (n,) each, with their masses q and η."""

    log_z: Floats
    log_x: Floats
    q: Floats
    eta: Floats
    m: int

    def step(self, ratio: Floats, v: Floats, log_phi: Floats, psi: Floats) -> Floats:
        """What is added to f, (n,)."""
        v, log_phi, psi = v[::APART], log_phi[::APART], psi[::APART]
        h = STEP * APART
        lost, rest = -np.expm1(self.m * log_phi), np.exp(power(self.m - 1, log_phi))
        of_phi = (self.m - 1) * psi / np.exp(log_phi)
        of_phi[~np.isfinite(of_phi)] = 0.0

        def push(logs: Floats) -> tuple[Floats, Floats]:
            t = np.exp(v + logs[:, None])
            found = t * np.exp(-t)
            return np.where(np.isfinite(found), found, 0.0), 1 - t

        def slopes(logs: Floats, of: Floats) -> Floats:
            a, by = push(logs)
            return (np.where(a > 0, a * by, 0.0) @ of) / (a @ of)

        slope = at_labels(self.log_z, lambda at: slopes(at, psi))
        slope -= at_labels(self.log_x, lambda at: slopes(at, lost))
        alone = ratio / slope
        rows, columns = (((of - of.min()) / CELL).astype(np.int64) for of in (self.log_z, self.log_x))
        cell = rows * (columns.max() + 1) + columns
        there = np.flatnonzero(np.bincount(cell))

        def total(of: Floats) -> Floats:
            return np.asarray(np.bincount(cell, of)[there], dtype=np.float64)

        n = total(np.ones_like(ratio))
        q, eta = total(self.q / slope), total(self.eta / slope)
        of_z, of_x = push(total(self.log_z) / n)[0], push(total(self.log_x) / n)[0]
        i, r = h * of_z @ psi, h * of_x @ lost
        answers = np.hstack([
            -(h * self.m / r)[:, None] * of_x * rest - (h / i)[:, None] * of_z * of_phi,
            -(h / i)[:, None] * of_z * rest,
            -np.ones((i.size, 1)),
        ])  # fmt: skip
        sums = np.vstack([-of_z.T * q, -of_x.T * eta, eta / self.eta.sum()])
        moved = [-of_z.T @ total(self.q * alone), -of_x.T @ total(self.eta * alone)]
        given = np.append(np.concatenate(moved), self.eta @ alone / self.eta.sum())
        g = np.linalg.solve(np.eye(given.size) - sums @ answers, given)
        p, s, level = g[: v.size], g[v.size : -1], g[-1]

        def of_z_at(at: Floats) -> Floats:
            a = push(at)[0]
            return (a @ (of_phi * p + rest * s)) / (a @ psi)

        def of_x_at(at: Floats) -> Floats:
            a = push(at)[0]
            return -self.m * (a @ (rest * p)) / (a @ lost)

        answer = at_labels(self.log_x, of_x_at) - at_labels(self.log_z, of_z_at)
        return alone + (answer - level) / slope


def balanced_alone(
    f: Floats, log_odds: Floats, log_b: Floats, log_rate: Floats, m: int, v: Floats, log_phi: Floats, psi: Floats
) -> Floats:
    """Scores at which labels are nearly balanced, hits kept, for given Φ and Ψ: log(η/(m q)) + log R - log I = 0."""

    def table(logs: Floats, of: Floats) -> Callable[[Floats], tuple[Floats, Floats]]:
        """log ∫ x e^{-u x} `of` du and its derivative, between points of a table."""
        low = float(logs.min()) - FURTHER
        at = np.arange(low, logs.max() + FURTHER, APART_AT)
        t = np.exp(v + at[:, None])
        values = np.log((t * np.exp(-t)) @ of)
        rises = np.append(np.diff(values), 0.0)

        def look_up(at: Floats) -> tuple[Floats, Floats]:
            place = (at - low) / APART_AT
            left = np.clip(place, 0, rises.size - 1).astype(np.intp)
            rise = rises[left]
            return values[left] + (place - left) * rise, rise / APART_AT

        return look_up

    with np.errstate(**QUIET):
        of_z, of_x = table(log_b + f, psi), table(log_rate + f, -np.expm1(m * log_phi))

    def of_part(start: int) -> Floats:
        part = slice(start, start + PART)
        found = f[part]
        with np.errstate(**QUIET):
            for _ in range(ALONE):
                (left, of_left), (right, of_right) = of_z(log_b[part] + found), of_x(log_rate[part] + found)
                move = (log_odds[part] + right - left) / (of_left - of_right)
                found = found + np.clip(move, -LONGEST, LONGEST)
        return found

    return np.concatenate([*in_order(of_part, range(0, f.size, PART))])


def descent(step: Callable[[Floats, float], Floats], f: Floats, weights: Floats, sought: float) -> Floats | None:
    """Where further steps, each as much shorter as the last, add up to `sought`; None where they do not get shorter."""
    last, before = np.inf, None
    for _ in range(STEPS):
        try:
            with np.errstate(**QUIET):
                move = step(f, min(max(ROUGH * last * LEAST, NEGLECTED), ROUGHEST))
        except np.linalg.LinAlgError:
            return None
        move = move - weights @ move / weights.sum()
        off = float(np.abs(move).max())
        if not off <= SHORTER * last:
            return None
        ahead = move
        if before is not None and off <= CLOSE:
            # As much longer, label by label, as the last step was too short.
            with np.errstate(**QUIET):
                done = (before[0] - move) / before[1]
            ahead = move / np.where(np.isfinite(done), np.clip(done, *DONE), 1.0)
        before = move, np.clip(ahead, -LONGEST, LONGEST)
        f = f + before[1]
        shorter = float(np.clip(off / last, LEAST, SHORTER)) if last < np.inf else SHORTER
        if off <= max(FAR, 10 * sought) and off * shorter / (1 - shorter) <= sought:
            return f
        last = off
    return None
