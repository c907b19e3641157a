"""Decode the answer of a loss: the weight that each label had in it, w_yy' times the number of its draws.

- softmax: ℓ = log(1 + h + S), S = Σ a_j e^{Δ_j}, Δ_j = (f_j - f_y)/T, h the weight of accidental hits:
  a_j = e^ℓ T ∂_jℓ e^{-Δ_j} and h = e^ℓ (1 - Σ_{j != y} T ∂_jℓ) - 1;
- logistic (decoupled): ℓ = log(1 + e^{-g_y}) + Σ a_j log(1 + e^{g_j}), g = f/T + shift:
  a_j = T ∂_jℓ/σ(g_j), and h from the positive's own entry, which has T ∂_yℓ = -σ(-g_y) + h σ(g_y).

*Source:* derived.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from implicitloss.auditing.blackbox import COARSEST
from implicitloss.auditing.box import EPS_OF_ROUNDING, Call
from implicitloss.auditing.question import Question
from implicitloss.labels import Floats

__all__ = ["FLAW_FROM_ROUNDINGS", "ROUNDINGS", "Decoded", "decode"]

# The rounding error of a decoded weight, in units of the loss's precision; scores are a few units wide.
ROUNDINGS = 256
# An answer further than this many rounding errors from its form is reported as a flaw.
FLAW_FROM_ROUNDINGS = 64.0
# `ROUNDINGS` are four standard deviations of rounding that was measured; hits are told apart by so many times as much.
SPARE_OF_MEASURED = 3.0


@dataclass(frozen=True)
class Decoded:
    """Weights a (B, L), 0 for the positive; hits h (B,); the `slack` (B,) of each h, which rounding may hide.

    `below` is the largest distance of an answer from its form, in rounding errors; `bias` is the largest relative error
    that a guard against log 0 makes in a weight.
    """

    weights: Floats
    hits: Floats
    slack: Floats
    below: float
    bias: float = 0.0


def decode(question: Question, call: Call, cut_off: float = 0.0) -> Decoded:
    """The weights behind the answer of a call, which must have gradients.

    An answer is not of its form if a weight or the hits are negative, or if its softmax gradient does not sum to 0.
    A guard against log 0, as in -log(p + ε) with ε = `cut_off`, moves h by at most ε/p².
    """
    answer, positive = call.answer, call.positive
    assert answer.gradients is not None
    rows = np.arange(positive.size)
    slopes = question.temperature * answer.gradients
    f = call.scores / question.temperature + question.shift
    own = slopes[rows, positive]
    slopes[rows, positive] = 0.0
    below = 0.0
    if question.form == "softmax":
        total = np.exp(answer.values)
        weights = total[:, None] * slopes * np.exp(f[rows, positive][:, None] - f)
        hits = total * (1.0 - slopes.sum(axis=1)) - 1.0
        slack = _roundings_of_hits(answer.eps) * answer.eps * total + cut_off * total**2
        below = float(np.max(np.abs(own + slopes.sum(axis=1)))) / (ROUNDINGS * answer.eps)
    else:
        weights = slopes / expit(f)
        at = f[rows, positive]
        hits = (own + expit(-at)) / expit(at)
        slack = _roundings_of_hits(answer.eps) * answer.eps / expit(at) + cut_off / expit(at) ** 2
    weights[rows, positive] = 0.0
    scale = slack * np.exp(np.ptp(f, axis=1))
    below = max(below, float(np.max(-hits / slack)), float(np.max(-weights.min(axis=1) / scale)))
    hits = np.where(np.abs(hits) <= slack, 0.0, hits)
    bias = 2 * cut_off * float(np.exp(answer.values.max())) if question.form == "softmax" else 0.0
    return Decoded(np.maximum(weights, 0.0), np.maximum(hits, 0.0), slack, below, bias)


def _roundings_of_hits(eps: float) -> float:
    """How many of its `eps` may hide a hit.

    One hit refutes, and so of rounding that was measured, a standard deviation, the largest of a million has to fit.
    """
    return ROUNDINGS * (SPARE_OF_MEASURED if eps > COARSEST * EPS_OF_ROUNDING else 1.0)
