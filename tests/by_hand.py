"""Every number of a tiny scheme written out by hand, at 60 digits: a witness that shares no code with the library.

Laws, weights and margins are those of the papers, from the prior's probabilities and the scores alone; all draws are
enumerated as multisets.  Only the names of the library's parts are looked at, to know which formula is meant.
"""

from __future__ import annotations

import math
from collections import Counter
from itertools import combinations_with_replacement
from typing import Any

import mpmath as mp
import numpy as np

DIGITS = 60
MOST_MULTISETS = 400
# The samplers and the weightings whose formulas are written out here; others have no hand-made numbers.
WRITTEN = {
    *("Uniform", "WithinBatch", "Power", "LogUniform", "ModelBased", "Explicit", "Mixture", "MinimumVariance"),
    "HardestOf",
    *("Constant", "Unit", "Relative", "Importance", "Tail", "ForMargin"),
}


class Undefined(Exception):
    """The scheme means nothing here: a division by zero."""


def _normalised(values: list[Any]) -> list[Any]:
    total = mp.fsum(values)
    if total == 0:
        raise Undefined
    return [value / total for value in values]


def margin(target: Any, prior: Any, y: int) -> list[Any]:
    """p_yy' of a margin, (L,)."""
    pi = [mp.mpf(p) for p in prior.probabilities.tolist()]
    kind = type(target).__name__
    if kind == "Softmax":
        return [mp.mpf(1)] * len(pi)
    if kind == "Equalised":
        return [mp.mpf(target.F(p)) for p in pi]
    if kind == "Offsets":
        return [mp.exp(mp.mpf(target.delta[y]) - mp.mpf(delta)) for delta in target.delta.tolist()]
    if pi[y] == 0:
        raise Undefined
    if kind == "LogitAdjusted":
        return [(p / pi[y]) ** mp.mpf(target.tau) for p in pi]
    if kind == "BalancedSoftmax":
        return [p / pi[y] for p in pi]
    assert kind == "Adaptive"
    term = mp.mpf(target.scale) * pi[y] ** mp.mpf(-0.25)
    return [mp.exp(term) if target.form == "log" else term] * len(pi)


def pays(loss: Any, f: list[Any], y: int) -> tuple[list[Any], list[Any], Any, Any]:
    """What each label pays as a negative, its slope, what the positive pays, its slope."""
    if loss.has_log:
        x = [mp.exp(value - f[y]) for value in f]
        return x, x, mp.mpf(0), mp.mpf(0)
    name, own, one = loss.binary.name, f[y], mp.mpf(1)
    if name == "logistic":
        slope = [1 / (1 + mp.exp(-v)) for v in f]
        return [mp.log1p(mp.exp(v)) for v in f], slope, mp.log1p(mp.exp(-own)), -1 / (1 + mp.exp(own))
    if name in ("hinge", "squared hinge"):
        negative, positive = [max(0, 1 + v) for v in f], max(0, 1 - own)
        if name == "squared hinge":
            return [v**2 for v in negative], [2 * v for v in negative], positive**2, -2 * positive
        return negative, [mp.mpf(v >= -1) for v in f], positive, -mp.mpf(own < 1)
    rho = mp.mpf(float(name.split("ρ = ")[1].rstrip(")")))
    negative = [max(0, v - rho) for v in f]
    return [v**2 for v in negative], [2 * v for v in negative], (one - own) ** 2, -2 * (one - own)


def law(sampler: Any, prior: Any, f: list[Any], right: list[int]) -> list[Any]:
    """q, unconditional, (L,); the positives of x are y and then the others."""
    y = right[0]
    pi = [mp.mpf(p) for p in prior.probabilities.tolist()]
    kind, n = type(sampler).__name__, len(pi)
    if kind == "Uniform":
        return [mp.mpf(1) / n] * n
    if kind == "WithinBatch":
        return _normalised(pi)
    if kind == "Power":
        return _normalised([p ** mp.mpf(sampler.alpha) if p > 0 else mp.mpf(0) for p in pi])
    if kind == "LogUniform":
        q = [mp.mpf(0)] * n
        for rank, label in enumerate(sorted(range(n), key=lambda label: -pi[label]), 1):
            q[label] = mp.log(mp.mpf(rank + 1) / rank) / mp.log(n + 1)
        return q
    if kind == "ModelBased":
        return _normalised([mp.exp(value - max(f)) for value in f])
    if kind == "Explicit":
        return _normalised([mp.mpf(q) for q in sampler.q.tolist()])
    if kind == "Mixture":
        share = mp.mpf(sampler.share)
        parts = zip(law(sampler.first, prior, f, right), law(sampler.second, prior, f, right), strict=True)
        return [share * a + (1 - share) * b for a, b in parts]
    if kind == "HardestOf":
        eligible = [k for k in range(n) if sampler.among == "all" or k not in right]
        q = [mp.mpf(0)] * n
        if not eligible:
            raise Undefined
        for k in eligible:
            less, alike = (sum(test(f[j]) for j in eligible) for test in (f[k].__gt__, f[k].__eq__))
            q[k] = mp.mpf((less + alike) ** sampler.n - less**sampler.n) / (alike * len(eligible) ** sampler.n)
        return q
    assert kind == "MinimumVariance"
    shares = [p * x for p, x in zip(margin(sampler.margin, prior, y), pays(sampler.loss, f, y)[0], strict=True)]
    shares = [mp.mpf(0) if k in right else share for k, share in enumerate(shares)]
    if not any(shares):  # nothing pays: by what counts
        shares = [mp.mpf(0) if k in right else p for k, p in enumerate(margin(sampler.margin, prior, y))]
    if not any(shares):
        raise Undefined
    return _normalised(shares)


def plan(scheme: Any, problem: Any, loss: Any) -> tuple[list[Any], list[Any]]:
    """q and w of a draw under the hits mode, (L,) each; what pays nothing may be left out by q*."""
    y, prior = problem.positive, problem.prior
    right = [y, *problem.other_positives.tolist()]
    unconditional = law(scheme.sampler, prior, [mp.mpf(v) for v in problem.scores.tolist()], right)
    q = list(unconditional)
    if scheme.hits == "exclude":
        q = [mp.mpf(0) if k in right else v for k, v in enumerate(q)]
        if not any(q):
            raise Undefined
        q = _normalised(q)
    m, kind = scheme.m, type(scheme.weighting).__name__
    if kind == "Constant":
        w = [mp.mpf(1) / m] * len(q)
    elif kind == "Unit":
        w = [mp.mpf(1)] * len(q)
    elif kind == "Relative":
        if unconditional[y] == 0:
            raise Undefined
        w = [unconditional[y] / u if u else mp.mpf(0) for u in unconditional]
    else:
        p = margin(scheme.weighting.target, prior, y)
        free = [False] * len(q)
        if type(scheme.sampler).__name__ == "MinimumVariance":
            free = [x == 0 for x in pays(loss, [mp.mpf(v) for v in problem.scores.tolist()], y)[0]]
        asked = [k for k in range(len(q)) if k != y and not free[k] and (k not in right or scheme.hits == "keep")]
        if any(p[k] > 0 and q[k] == 0 for k in asked):
            raise Undefined
        w = [p[k] / (m * q[k]) if q[k] else mp.mpf(0) for k in range(len(q))]
    if scheme.hits == "mask":
        w = [mp.mpf(0) if k in right else v for k, v in enumerate(w)]
    return q, [w[k] if q[k] else mp.mpf(0) for k in range(len(q))]


def in_reach(scheme: Any, problem: Any) -> bool:
    """Whether the scheme is written out here, and all its draws can be in no time."""
    n, kinds = problem.prior.n_labels, {type(scheme.sampler).__name__, type(scheme.weighting).__name__}
    return kinds <= WRITTEN and n <= 8 and scheme.m <= 8 and math.comb(n + scheme.m - 1, scheme.m) <= MOST_MULTISETS


def numbers(scheme: Any, loss: Any, problem: Any) -> dict[str, Any]:
    """Every quantity, E ‖g‖², the implicit loss, its gradient, the margins' numerators m w q, v and k3."""
    with mp.workdps(DIGITS):
        y, m = problem.positive, scheme.m
        f = [mp.mpf(v) for v in problem.scores.tolist()]
        q, w = plan(scheme, problem, loss)
        x, slope, own, own_slope = pays(loss, f, y)
        labels = [k for k in range(len(q)) if q[k] > 0]
        p = [m * a * b for a, b in zip(q, w, strict=True)]
        total = mp.fsum(a * b for a, b in zip(p, x, strict=True))
        bound = own + (mp.log1p(total) if loss.has_log else total)
        found = {"implicit": bound, "p": p, "implicit gradient": _gradient(loss, p, slope, total, own_slope, y)}
        moments = [mp.mpf(0)] * 3
        gradient, on_each = [mp.mpf(0)] * len(q), []
        for drawn in combinations_with_replacement(labels, m):
            counts = Counter(drawn)
            chance, left = mp.mpf(1), m
            for label, times in counts.items():
                chance *= math.comb(left, times) * q[label] ** times
                left -= times
            weights = [counts.get(k, 0) * w[k] for k in range(len(q))]
            summed = mp.fsum(a * b for a, b in zip(weights, x, strict=True))
            value = own + (mp.log1p(summed) if loss.has_log else summed)
            moments = [
                s + chance * t for s, t in zip(moments, (value, (value - bound) ** 2, bound - value), strict=True)
            ]
            each = _gradient(loss, weights, slope, summed, own_slope, y)
            gradient = [s + chance * t for s, t in zip(gradient, each, strict=True)]
            on_each.append((chance, each))
        found |= {"mean": moments[0], "mse": moments[1], "gap": moments[2], "gradient": gradient}
        found["gradient_variance"] = mp.fsum(
            chance * mp.fsum((a - b) ** 2 for a, b in zip(each, gradient, strict=True)) for chance, each in on_each
        )
        found["squared gradient"] = mp.fsum(chance * mp.fsum(a**2 for a in each) for chance, each in on_each)
        found["variance"] = moments[1] - moments[2] ** 2
        mu = 1 + total
        spread = [m * w[k] * x[k] - total for k in labels]
        found["v"] = mp.fsum(q[k] * d**2 for k, d in zip(labels, spread, strict=True)) / mu**2
        found["k3"] = mp.fsum(q[k] * d**3 for k, d in zip(labels, spread, strict=True)) / mu**3
        return found


def _gradient(loss: Any, weights: list[Any], slope: list[Any], total: Any, own_slope: Any, y: int) -> list[Any]:
    if not loss.has_log:
        gradient = [a * b for a, b in zip(weights, slope, strict=True)]
        gradient[y] += own_slope
        return gradient
    gradient = [a * b / (1 + total) for a, b in zip(weights, slope, strict=True)]
    gradient[y] = mp.mpf(0)
    gradient[y] = -mp.fsum(gradient)
    return gradient


def floats(values: Any) -> Any:
    """As a float or an array; infinite where floats end."""
    return np.array([float(v) for v in values]) if isinstance(values, list) else float(values)
