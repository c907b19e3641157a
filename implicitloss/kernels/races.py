"""Sums over labels of exponential races: label j has arrived by time s with odds r u_j, u_j = e^{q_j s} - 1.

p_j = r u_j/(1 + r u_j) is the chance of it under the radius r = e^{log_r} of a circle |z| = r, ω = e^{iθ} a place on
the circle, d_j = 1 + p_j (ω - 1), c_j = (1 - p_j)/d_j = 1/(1 + z u_j) and P_j = p_j ω/d_j = 1 - c_j.  Complex numbers
are pairs of real ones, so that loops over many t are vectorised.  What the sums are good for is said in
`implicitloss.draws.distinct`.

One file: loops over the labels of one race, which share their notation.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from implicitloss.kernels.jit import kernel

__all__ = [
    "add_inclusion",
    "add_missing",
    "add_shares",
    "add_squares",
    "around",
    "arrived",
    "power_sums",
    "radius",
    "spread_of",
]

Floats = NDArray[np.float64]
Labels = NDArray[np.intp]
_MOST = 60.0


@kernel
def arrived(s: float, log_r: float, q: Floats) -> Floats:
    """p_j and 1 - p_j, (2, J), each to its last digits."""
    out = np.empty((2, q.size))
    for j in range(q.size):
        a = q[j] * s
        odds = log_r + (math.log(math.expm1(a)) if a < 30.0 else a)
        e = math.exp(-abs(odds))
        small, large = e / (1.0 + e), 1.0 / (1.0 + e)
        out[0, j] = large if odds > 0.0 else small
        out[1, j] = small if odds > 0.0 else large
    return out


@kernel
def spread_of(s: float, log_r: float, q: Floats, times: Floats) -> tuple[float, float, float, float]:
    """Σ p, Σ p (1 - p), Σ log((1 + r u) e^{-qs}) and Σ q (1 - p); label j counts `times` (J,)."""
    mean, variance, product, rate = 0.0, 0.0, 0.0, 0.0
    for j in range(q.size):
        a = q[j] * s
        odds = log_r + (math.log(math.expm1(a)) if a < 30.0 else a)
        e = math.exp(-abs(odds))
        small, large = e / (1.0 + e), 1.0 / (1.0 + e)
        p, rest = (large, small) if odds > 0.0 else (small, large)
        # log((1 + r u) e^{-qs}) = log(1 + (r - 1)(1 - e^{-qs})), which is small where r is near 1.
        if abs(log_r) < 1.0:
            log_one = math.log1p(-math.expm1(log_r) * math.expm1(-a))
        else:
            came = log_r + math.log(-math.expm1(-a))
            log_one = max(came, -a) + math.log1p(math.exp(-abs(came + a)))
        mean += times[j] * p
        variance += times[j] * p * rest
        product += times[j] * log_one
        rate += times[j] * q[j] * rest
    return mean, variance, product, rate


@kernel
def radius(s: float, target: float, q: Floats, times: Floats, guess: float) -> float:
    """The log_r within ±`_MOST` at which Σ p = target: Newton's steps, halved brackets where they leave them.

    Any radius is right; the one sought has the least cancellation.  Beyond `_MOST` log r + q s would lose digits.
    """
    low, high, at = -_MOST, _MOST, guess
    for _ in range(200):
        mean, variance, _, _ = spread_of(s, at, q, times)
        if mean > target:
            high = at
        else:
            low = at
        if abs(mean - target) <= 1e-9 * target:
            break
        step = (target - mean) / max(variance, 1e-300)
        at += min(max(step, -20.0), 20.0)
        if not low < at < high:
            at = 0.5 * (low + high)
            if high - low < 1e-9:
                break
    return at


@kernel
def around(chances: Floats, q: Floats, times: Floats, thetas: Floats) -> Floats:
    """log|Π d|, arg Π d, and Σ q c as a real and an imaginary part, at each θ, (n, 4)."""
    p, rest = chances
    out = np.zeros((thetas.size, 4))
    for i in range(thetas.size):
        gone, sine = 2.0 * math.sin(0.5 * thetas[i]) ** 2, math.sin(thetas[i])
        for j in range(q.size):
            re, im = 1.0 - p[j] * gone, p[j] * sine
            square = -2.0 * p[j] * rest[j] * gone
            share = times[j] * q[j] * rest[j] / (1.0 + square)
            out[i, 0] += times[j] * 0.5 * math.log1p(square)
            out[i, 1] += times[j] * math.atan2(im, re)
            out[i, 2] += share * re
            out[i, 3] -= share * im
    return out


@kernel
def add_inclusion(chances: Floats, q: Floats, thetas: Floats, weights: Floats, rates: Floats, out: Floats) -> None:
    """Add Re Σ_θ w (q c + P (R - q c)) to `out`, (J,); `weights` and R = `rates` are (n, 2)."""
    p, rest = chances
    for i in range(thetas.size):
        gone, sine = 2.0 * math.sin(0.5 * thetas[i]) ** 2, math.sin(thetas[i])
        cosine = 1.0 - gone
        w, v = weights[i, 0], weights[i, 1]
        r, t = rates[i, 0], rates[i, 1]
        for j in range(q.size):
            re, im = 1.0 - p[j] * gone, p[j] * sine
            over = 1.0 / (1.0 - 2.0 * p[j] * rest[j] * gone)
            # q c, and P
            own = q[j] * rest[j] * over
            a, b = own * re, -own * im
            x, y = p[j] * over * (cosine * re + sine * im), p[j] * over * (sine * re - cosine * im)
            other, more = r - a, t - b
            out[j] += w * (a + x * other - y * more) - v * (b + x * more + y * other)


@kernel
def power_sums(chances: Floats, q: Floats, labels: Labels, terms: Labels, misses: Floats) -> Floats:
    """Σ_j o_j^k (1 - y_jt^k), Σ_j q_j o_j^k (1 - y_jt^{k+1}) and Σ_j q_j o_j^k, (3, 1 + K, T), over these labels.

    o = p/(1 - p) are the odds, of which label j has `terms[j]` powers, and 1 - y = `misses` (J, T).  The last sums have
    no t and are at t = 0.
    """
    p, rest = chances
    n, most = misses.shape[1], 0
    for i in range(labels.size):
        most = max(most, terms[i])
    out = np.zeros((3, 1 + most, n))
    gone = np.empty(n)
    for i in range(labels.size):
        j = labels[i]
        odds, share = p[j] / rest[j], q[j]
        for t in range(n):
            gone[t] = misses[j, t]
            out[1, 0, t] += share * gone[t]
        out[2, 0, 0] += share
        power = 1.0
        for k in range(1, 1 + terms[i]):
            power *= odds
            share *= odds
            for t in range(n):
                out[0, k, t] += power * gone[t]
                # 1 - y^{k+1} = (1 - y) + y (1 - y^k)
                gone[t] = misses[j, t] + (1.0 - misses[j, t]) * gone[t]
                out[1, k, t] += share * gone[t]
            out[2, k, 0] += share
    return out


@kernel
def add_missing(
    chances: Floats,
    q: Floats,
    labels: Labels,
    powers: Floats,
    thetas: Floats,
    weights: Floats,
    misses: Floats,
    out: Floats,
) -> None:
    """Add Re Σ_θ w (R_1 - R_y + (1 - Π) R_y) to `out`, (T,), with 1 - y = `misses` (J, T).

    Π = Π_j (1 - P_j (1 - y_j)), R_y = Σ_j q_j c_j y_j/(c_j + P_j y_j); the difference is Σ q c² (1 - y)/(c + P y).
    The `labels` are taken one by one.  Of all others there are the `powers`: as P/c = o ω, their part is a series,
    log Π = Σ_k (-ω)^k/k Σ_j o^k (1 - y^k) and R_y = Σ_k (-ω)^k Σ_j q o^k y^{k+1}.
    """
    p, rest = chances
    n = out.size
    for i in range(thetas.size):
        w, v = weights[i, 0], weights[i, 1]
        e, f = np.zeros(n), np.zeros(n)
        rate, irate = np.zeros(n), np.zeros(n)
        lost, ilost = np.zeros(n), np.zeros(n)
        for k in range(powers.shape[1]):
            sign = -1.0 if k % 2 else 1.0
            turn, iturn = sign * math.cos(k * thetas[i]), sign * math.sin(k * thetas[i])
            for t in range(n):
                if k > 0:
                    e[t] += turn * powers[0, k, t] / k
                    f[t] += iturn * powers[0, k, t] / k
                lost[t] += turn * powers[1, k, t]
                ilost[t] += iturn * powers[1, k, t]
                rate[t] += turn * (powers[2, k, 0] - powers[1, k, t])
                irate[t] += iturn * (powers[2, k, 0] - powers[1, k, t])
        for t in range(n):
            # 1 - Π from log Π
            less, turned = -math.expm1(e[t]), f[t]
            e[t] = less + (1.0 - less) * 2.0 * math.sin(0.5 * turned) ** 2
            f[t] = -(1.0 - less) * math.sin(turned)
        gone, sine = 2.0 * math.sin(0.5 * thetas[i]) ** 2, math.sin(thetas[i])
        cosine = 1.0 - gone
        for j in labels:
            re, im = 1.0 - p[j] * gone, p[j] * sine
            over = 1.0 / (1.0 - 2.0 * p[j] * rest[j] * gone)
            c, ic = rest[j] * over * re, -rest[j] * over * im
            x, y = p[j] * over * (cosine * re + sine * im), p[j] * over * (sine * re - cosine * im)
            qc, qk = q[j] * c, q[j] * ic
            # q c²
            square, isquare = qc * c - qk * ic, 2.0 * qc * ic
            for t in range(n):
                miss = misses[j, t]
                stay = 1.0 - miss
                # 1 - Π: e + a - e a, a = P (1 - y)
                a, b = x * miss, y * miss
                e[t], f[t] = e[t] + a - (e[t] * a - f[t] * b), f[t] + b - (e[t] * b + f[t] * a)
                # 1/(c + P y)
                dr, di = c + x * stay, ic + y * stay
                inverse = 1.0 / max(dr * dr + di * di, 1e-300)
                gr, gi = dr * inverse, -di * inverse
                rate[t] += stay * (qc * gr - qk * gi)
                irate[t] += stay * (qc * gi + qk * gr)
                lost[t] += miss * (square * gr - isquare * gi)
                ilost[t] += miss * (square * gi + isquare * gr)
        for t in range(n):
            out[t] += w * (lost[t] + e[t] * rate[t] - f[t] * irate[t]) - v * (
                ilost[t] + e[t] * irate[t] + f[t] * rate[t]
            )


@kernel
def add_shares(
    chances: Floats, q: Floats, thetas: Floats, weights: Floats, misses: Floats, sums: Floats, out: Floats
) -> None:
    """Add Re Σ_θ w Σ_t sums_t Π [(P_j y_j/D_j) (R_y - r_j) + r_j] to `out`, (J,), r_j = q_j c_j y_j/D_j.

    D_j = c_j + P_j y_j, and Π, R_y and y as in `add_missing`.
    """
    p, rest = chances
    n = sums.size
    for i in range(thetas.size):
        w, v = weights[i, 0], weights[i, 1]
        e, f = np.ones(n), np.zeros(n)
        rate, irate = np.zeros(n), np.zeros(n)
        gone, sine = 2.0 * math.sin(0.5 * thetas[i]) ** 2, math.sin(thetas[i])
        cosine = 1.0 - gone
        for again in range(2):
            for j in range(q.size):
                re, im = 1.0 - p[j] * gone, p[j] * sine
                over = 1.0 / (1.0 - 2.0 * p[j] * rest[j] * gone)
                x, y = p[j] * over * (cosine * re + sine * im), p[j] * over * (sine * re - cosine * im)
                c, k = rest[j] * over * re, -rest[j] * over * im
                total = 0.0
                for t in range(n):
                    stay = 1.0 - misses[j, t]
                    dr, di = c + x * stay, k + y * stay
                    inverse = stay / max(dr * dr + di * di, 1e-300)
                    gr, gi = dr * inverse, -di * inverse
                    own, iown = q[j] * (c * gr - k * gi), q[j] * (c * gi + k * gr)
                    if again == 0:
                        e[t], f[t] = e[t] * dr - f[t] * di, e[t] * di + f[t] * dr
                        rate[t] += own
                        irate[t] += iown
                    else:
                        hr, hi = x * gr - y * gi, x * gi + y * gr
                        other, iother = rate[t] - own, irate[t] - iown
                        sr, si = hr * other - hi * iother + own, hr * iother + hi * other + iown
                        # w Π (sr + i si), its real part
                        ar, ai = w * e[t] - v * f[t], w * f[t] + v * e[t]
                        total += sums[t] * (ar * sr - ai * si)
                if again == 1:
                    out[j] += total


@kernel
def add_squares(
    chances: Floats,
    q: Floats,
    thetas: Floats,
    weights: Floats,
    adds: Floats,
    singles: Floats,
    misses: Floats,
    out: Floats,
) -> None:
    """Add Re Σ_θ w Π Σ_k r_k [(A + X_k (1 - h_k))² + V - X_k² h_k (1 - h_k) + Z_k (1 - h_k)] to `out`, (T,).

    Label k arrives last, the others by h_j = P_j y_j/D_j: A = Σ h_j X_j, V = Σ h_j (1 - h_j) X_j² + h_j Z_j, with X =
    `adds` and Z = `singles` (J, T).  D_j, r_j, Π and y as in `add_shares`.
    """
    p, rest = chances
    n = out.size
    for i in range(thetas.size):
        w, v = weights[i, 0], weights[i, 1]
        e, f = np.ones(n), np.zeros(n)
        # R = Σ r, A, V, B = Σ r X (1 - h), C = Σ r (1 - h) (X² (1 - 2h) + Z), real and imaginary parts
        sums = np.zeros((10, n))
        gone, sine = 2.0 * math.sin(0.5 * thetas[i]) ** 2, math.sin(thetas[i])
        cosine = 1.0 - gone
        for j in range(q.size):
            re, im = 1.0 - p[j] * gone, p[j] * sine
            over = 1.0 / (1.0 - 2.0 * p[j] * rest[j] * gone)
            x, y = p[j] * over * (cosine * re + sine * im), p[j] * over * (sine * re - cosine * im)
            c, k = rest[j] * over * re, -rest[j] * over * im
            for t in range(n):
                stay, add = 1.0 - misses[j, t], adds[j, t]
                dr, di = c + x * stay, k + y * stay
                inverse = 1.0 / max(dr * dr + di * di, 1e-300)
                gr, gi = dr * inverse, -di * inverse
                # h, 1 - h and r
                hr, hi = stay * (x * gr - y * gi), stay * (x * gi + y * gr)
                lr, li = c * gr - k * gi, c * gi + k * gr
                own, iown = q[j] * stay * lr, q[j] * stay * li
                e[t], f[t] = e[t] * dr - f[t] * di, e[t] * di + f[t] * dr
                br, bi = add * (own * lr - iown * li), add * (own * li + iown * lr)
                sums[0, t] += own
                sums[1, t] += iown
                sums[2, t] += add * hr
                sums[3, t] += add * hi
                sums[4, t] += add * add * (hr * lr - hi * li) + singles[j, t] * hr
                sums[5, t] += add * add * (hr * li + hi * lr) + singles[j, t] * hi
                sums[6, t] += br
                sums[7, t] += bi
                sums[8, t] += add * (br * (lr - hr) - bi * (li - hi)) + singles[j, t] * (own * lr - iown * li)
                sums[9, t] += add * (br * (li - hi) + bi * (lr - hr)) + singles[j, t] * (own * li + iown * lr)
        for t in range(n):
            rr, ri, ar, ai = sums[0, t], sums[1, t], sums[2, t], sums[3, t]
            # A² + V, by R; 2 A B; C
            sr, si = ar * ar - ai * ai + sums[4, t], 2.0 * ar * ai + sums[5, t]
            tr = rr * sr - ri * si + 2.0 * (ar * sums[6, t] - ai * sums[7, t]) + sums[8, t]
            ti = rr * si + ri * sr + 2.0 * (ar * sums[7, t] + ai * sums[6, t]) + sums[9, t]
            out[t] += (w * e[t] - v * f[t]) * tr - (w * f[t] + v * e[t]) * ti
