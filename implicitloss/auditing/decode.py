"""From a loss and its gradient to the weight that each label had in it: w_yy' times how often it was drawn.

- softmax: ℓ = log(1 + h + S), S = Σ a_j e^{Δ_j}, Δ_j = (f_j - f_y)/T, h the weight of accidental hits:
  a_j = e^ℓ T ∂_jℓ e^{-Δ_j} and h = e^ℓ (1 - Σ_{j != y} T ∂_jℓ) - 1;
- logistic (decoupled): ℓ = log(1 + e^{-g_y}) + Σ a_j log(1 + e^{g_j}), g = f/T + shift:
  a_j = T ∂_jℓ/σ(g_j), and h from the positive's own entry, which has T ∂_yℓ = -σ(-g_y) + h σ(g_y).

*Source:* derived.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from scipy.special import expit

from implicitloss.auditing.blackbox import Answer
from implicitloss.labels import Floats, Labels

Form = Literal["softmax", "logistic"]
FORMS: tuple[Form, ...] = get_args(Form)
# Rounding of a decoded weight, in units of the loss's precision; scores are a few units wide.
ROUNDINGS = 256


@dataclass(frozen=True)
class Decoded:
    """a (B, L), 0 for the positive; hits h (B,); the `slack` of each h, which rounding may hide (B,); and how far an
    answer is from its form at worst (`below`), in units of its rounding."""

    weights: Floats
    hits: Floats
    slack: Floats
    below: float


def decode(
    form: Form, scores: Floats, positive: Labels, answer: Answer, temperature: float = 1.0, shift: Floats | float = 0.0
) -> Decoded:
    """The weights behind `answer`, which must have gradients.

    Not of the form are weights and hits below 0, and softmax gradients that do not sum to 0.
    """
    assert answer.gradients is not None
    rows = np.arange(positive.size)
    slopes, f = temperature * answer.gradients, scores / temperature + shift
    own = slopes[rows, positive]
    slopes[rows, positive] = 0.0
    below = 0.0
    if form == "softmax":
        total = np.exp(answer.values)
        weights = total[:, None] * slopes * np.exp(f[rows, positive][:, None] - f)
        hits = total * (1.0 - slopes.sum(axis=1)) - 1.0
        slack = ROUNDINGS * answer.eps * total
        below = float(np.max(np.abs(own + slopes.sum(axis=1)))) / (ROUNDINGS * answer.eps)
    else:
        weights = slopes / expit(f)
        at = f[rows, positive]
        hits = (own + expit(-at)) / expit(at)
        slack = ROUNDINGS * answer.eps / expit(at)
    weights[rows, positive] = 0.0
    scale = slack * np.exp(np.ptp(f, axis=1))
    below = max(below, float(np.max(-hits / slack)), float(np.max(-weights.min(axis=1) / scale)))
    hits = np.where(np.abs(hits) <= slack, 0.0, hits)
    return Decoded(np.maximum(weights, 0.0), np.maximum(hits, 0.0), slack, below)
