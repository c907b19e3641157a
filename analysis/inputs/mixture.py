"""A long-tail problem with known η: Gaussian classes of equal spread, x ~ N(c_y, I), labels from a prior."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from implicitloss.labels import Floats, LabelPrior, Labels


@dataclass(frozen=True, eq=False)
class GaussianMixture:
    """Centres (L, d) at `separation` from 0 in random directions; η_y(x) ∝ π_y e^{-‖x - c_y‖²/2}."""

    prior: LabelPrior
    centres: Floats

    @classmethod
    def random(cls, prior: LabelPrior, d: int, separation: float, rng: np.random.Generator) -> GaussianMixture:
        """The larger the separation and d, the easier."""
        directions = rng.standard_normal((prior.n_labels, d))
        return cls(prior, separation * directions / np.linalg.norm(directions, axis=1, keepdims=True))

    def draw(self, labels: Labels, rng: np.random.Generator) -> Floats:
        """An x for each label, (n, d)."""
        return self.centres[labels] + rng.standard_normal((labels.size, self.centres.shape[1]))

    def log_likelihood(self, x: Floats) -> Floats:
        """log P(x given y) up to a constant of x, (n, L)."""
        return np.asarray(x @ self.centres.T - 0.5 * np.sum(self.centres**2, axis=1))

    def eta(self, x: Floats) -> Floats:
        """P(y given x), (n, L)."""
        log_eta = self.log_likelihood(x) + self.prior.log
        return np.asarray(np.exp(log_eta - logsumexp(log_eta, axis=1, keepdims=True)))


def error_by_slice(wrong: Floats, labels: Labels, slices: dict[str, Labels]) -> dict[str, float]:
    """Mean over the labels of a slice of each label's error rate; "balanced" over all; `wrong` (n,) of x with `labels`.

    Labels without an x are passed over.
    """
    n_labels = 1 + max(int(labels.max()), *(int(part.max()) for part in slices.values()))
    count = np.bincount(labels, minlength=n_labels)
    rate = np.bincount(labels, weights=wrong, minlength=n_labels) / np.maximum(count, 1)
    there = count > 0
    found = {name: float(rate[part][there[part]].mean()) for name, part in slices.items() if there[part].any()}
    return found | {"balanced": float(rate[there].mean())}
