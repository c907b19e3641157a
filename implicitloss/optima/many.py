"""Newton's method for the balance of pushes of many labels: O(L), as labels move each other through Φ and Ψ alone.

The notation is that of `implicitloss.optima.balance`, x = 1/s.  Where hits are kept, with I(z) = z ∫ e^{-u z} Ψ du and
R(x) = x ∫ e^{-u x} (1 - Φ^m) du, the log of right over left is log R(x) - log I(z), up to what stays.  If f changes
by e,

    D e = ratio + δR/R(x) - δI/I(z),   D = d log I/d log z - d log R/d log x,

δR and δI those of δΦ = -Σ q u z e^{-u z} e and of Σ η e^{-u x}, the change of which is -Σ η u x e^{-u x} e.  So e
follows from two functions of u, and these from e: linear equations for their values at nodes, with sums over labels on
a grid of log z and log x.  The grid and hits make the step inexact, not where it leads.  *Source:* derived.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from implicitloss.kernels.balance import add_to_grid, balance_alone
from implicitloss.labels import Floats
from implicitloss.optima.light import NEGLECTED
from implicitloss.optima.sums import QUIET, at_labels, in_parts
from implicitloss.witness.integrate.quadrature import STEP, power

__all__ = ["Newton", "balanced_alone", "descent"]

# How far the points of the grid are apart, unless these were more; every how many nodes the functions of u are known,
# and from which on: before it they are next to nothing.
CELL, MOST_POINTS, APART, BEFORE = 1 / 16, 600, 3, int(30 / STEP)
# So many steps are made at most, each by this factor shorter than the last, and none longer than this; it is not
# believed that the next is shorter by a smaller factor than the least.
STEPS, SHORTER, LONGEST, LEAST = 30, 0.5, 5.0, 0.05
# A step that is longer says nothing of the next.
FAR = 1e-5
# A step leaves out what is a small part of what it is expected to be.
ROUGH, ROUGHEST = 1e-3, 1e-7
# A table of a function of log x: how far it goes, its step, how often it is asked at most, and after what move no more.
FURTHER, APART_AT, ALONE, CLOSE_ALONE = 30.0, 1 / 16, 5, 1e-6


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
        v, log_phi, psi = (of[BEFORE::APART] for of in (v, log_phi, psi))
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

        slope = at_labels(self.log_z, lambda at: slopes(at, psi), self.log_x, lambda at: -slopes(at, lost))
        (low_z, width_z, at_z), (low_x, width_x, at_x) = _grid(self.log_z), _grid(self.log_x)
        grid, moved = np.zeros((at_z.size, at_x.size, 2)), np.zeros((2, max(at_z.size, at_x.size)))
        axes = self.log_z, low_z, width_z, self.log_x, low_x, width_x
        add_to_grid(*axes, self.q, self.eta, ratio, slope, moved, grid)
        q, eta = grid[..., 0], grid[..., 1]
        q_z, eta_z, eta_x = q.sum(axis=1), eta.sum(axis=1), eta.sum(axis=0)
        moved_z, moved_x = moved[0, : at_z.size], moved[1, : at_x.size]
        of_z, of_x = push(at_z)[0], push(at_x)[0]
        # What the functions of u at nodes, p of Φ and s of the sum, take off the answers at points of the grid.
        by_p_x, of_i = self.m * of_x * rest / (of_x @ lost)[:, None], of_z / (of_z @ psi)[:, None]
        by_p_z, by_s_z = of_i * of_phi, of_i * rest
        n, share = v.size, 1 / self.eta.sum()
        at = np.zeros((2 * n + 1, 2 * n + 1))
        at[:n, :n] = of_z.T @ (q @ by_p_x + q_z[:, None] * by_p_z)
        at[:n, n:-1] = of_z.T @ (q_z[:, None] * by_s_z)
        at[:n, -1] = q_z @ of_z
        at[n:-1, :n] = of_x.T @ (eta_x[:, None] * by_p_x + eta.T @ by_p_z)
        at[n:-1, n:-1] = of_x.T @ (eta.T @ by_s_z)
        at[n:-1, -1] = eta_x @ of_x
        at[-1] = -share * np.concatenate([eta_x @ by_p_x + eta_z @ by_p_z, eta_z @ by_s_z, [eta.sum()]])
        given = np.concatenate([-moved_z @ of_z, -moved_x @ of_x, [share * moved_x.sum()]])
        g = np.linalg.solve(np.eye(given.size) - at, given)
        p, s, level = g[:n], g[n:-1], g[-1]

        def of_z_at(at: Floats) -> Floats:
            a = push(at)[0]
            return -(a @ (of_phi * p + rest * s)) / (a @ psi)

        def of_x_at(at: Floats) -> Floats:
            a = push(at)[0]
            return -self.m * (a @ (rest * p)) / (a @ lost)

        answer = at_labels(self.log_z, of_z_at, self.log_x, of_x_at)
        return (ratio + answer - level) / slope


def _grid(logs: Floats) -> tuple[float, float, Floats]:
    """The least of these, how far the points of a grid are apart, and the points; rounding may need the last."""
    low = float(logs.min())
    width = max(CELL, float(np.ptp(logs)) / MOST_POINTS)
    return low, width, low + width * np.arange(int(np.ptp(logs) / width) + 3, dtype=np.float64)


def balanced_alone(
    f: Floats, log_odds: Floats, log_b: Floats, log_rate: Floats, m: int, v: Floats, log_phi: Floats, psi: Floats
) -> Floats:
    """Scores at which labels are nearly balanced, hits kept, for given Φ and Ψ: log(η/(m q)) + log R - log I = 0."""

    def table(logs: Floats, of: Floats) -> tuple[float, Floats]:
        """Where the table begins, and log ∫ x e^{-u x} `of` du at its points."""
        low = float(logs.min()) - FURTHER
        t = np.exp(v + np.arange(low, logs.max() + FURTHER, APART_AT)[:, None])
        return low, np.log((t * np.exp(-t)) @ of)

    f = f.copy()
    with np.errstate(**QUIET):
        of_z, of_x = table(log_b + f, psi), table(log_rate + f, -np.expm1(m * log_phi))

    def fill(part: slice) -> None:
        given = log_odds[part], log_b[part], *of_z, log_rate[part], *of_x
        balance_alone(*given, APART_AT, ALONE, LONGEST, CLOSE_ALONE, f[part])

    in_parts(fill, f.size)
    return f


def descent(step: Callable[[Floats, float], Floats], f: Floats, weights: Floats, sought: float) -> Floats | None:
    """Where further steps, each as much shorter as the last, add up to `sought`; None where they do not get shorter."""
    last = np.inf
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
        f = f + np.clip(move, -LONGEST, LONGEST)
        shorter = float(np.clip(off / last, LEAST, SHORTER)) if last < np.inf else SHORTER
        if off <= max(FAR, 10 * sought) and off * shorter / (1 - shorter) <= sought:
            return f
        last = off
    return None
