"""The sampled loss of a minibatch, to train with: one run of the procedure for each example, and its gradient."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from implicitloss.kernels.push import push_decoupled, push_softmax
from implicitloss.labels import Floats, LabelPrior, Labels
from implicitloss.losses import Decoupled, Loss, checked_loss
from implicitloss.margins import Margin, checked_margin
from implicitloss.problem import Problem
from implicitloss.samplers.sampler import Draw, checked_draws
from implicitloss.scheme import Scheme

# Where a positive has all but this of the law, drawing until something else comes would take forever.
RARE = np.log1p(-1e-5)


@dataclass(frozen=True, eq=False)
class Minibatch:
    """ℓ(N) and ∂ℓ(N)/∂f of examples (f, y): negatives N drawn anew for each by `objective`, a scheme.

    Or all labels counted with the margins of `objective`, a margin: `Minibatch(margins.Softmax(), loss, prior)` is the
    full loss.  q and w are held fixed in the gradient.  A call costs O(examples · m), for margins O(examples · L).

    *Source:* Rawat et al. 2021, Eqs. 6 to 8.
    """

    objective: Scheme | Margin
    loss: Loss
    prior: LabelPrior

    def __post_init__(self) -> None:
        checked_loss(self.loss)
        if not isinstance(self.objective, Scheme):
            checked_margin(self.objective)

    def __call__(
        self, scores: ArrayLike, positives: ArrayLike, rng: np.random.Generator, rows: ArrayLike | None = None
    ) -> tuple[Floats, Floats]:
        """(losses (P,), gradient (B, L) of their sum) for scores (B, L) and positives (P,).

        Example i has the scores of row `rows[i]` (default i): an x with several positives needs its scores once.
        *Raises* ValueError for scores that are not finite or not (B, L), and for labels or rows out of range.
        """
        f = np.ascontiguousarray(scores, dtype=np.float64)
        if f.ndim != 2 or f.shape[1] != self.prior.n_labels:
            raise ValueError(f"scores must be (B, {self.prior.n_labels}), a column a label, got shape {f.shape}")
        if not np.all(np.isfinite(f)):
            raise ValueError(f"scores must be finite, but row {int(np.argmin(np.isfinite(f).all(axis=1)))} is not")
        y = _indices(positives, self.prior.n_labels, "positives")
        at = np.arange(y.size) if rows is None else _indices(rows, f.shape[0], "rows")
        if y.size != at.size or (at.size and at.max() >= f.shape[0]):
            raise ValueError(f"every positive needs a row of scores, got {y.size} positives, {f.shape[0]} rows")
        factors = None if isinstance(self.objective, Scheme) else getattr(self.objective, "log_factors", None)
        if factors is not None:
            log_a, log_b = (np.broadcast_to(x, (self.prior.n_labels,)) for x in factors(self.prior))
            return self._all_labels(f, at, y, log_a, log_b)
        drawn, log_w = self._negatives(f, at, y, rng)
        gradient = np.zeros_like(f)
        if not isinstance(self.loss, Decoupled):
            return push_softmax(f, at, y, drawn, log_w, gradient), gradient
        binary, f_y = self.loss.binary, f[at, y]
        losses = push_decoupled(_wide(binary.negative(f)), _wide(binary.slope(f)), at, drawn, log_w, gradient)
        np.add.at(gradient, (at, y), binary.positive_slope(f_y))
        return losses + binary.positive(f_y), gradient

    def _all_labels(self, f: Floats, at: Labels, y: Labels, log_a: Floats, log_b: Floats) -> tuple[Floats, Floats]:
        """For margins a_y b_y': what a row's labels pay is added up once for all of its positives."""
        if isinstance(self.loss, Decoupled):
            binary, b = self.loss.binary, np.exp(log_b)
            paid, slope, a, f_y = b * binary.negative(f), b * binary.slope(f), np.exp(log_a[y]), f[at, y]
            gradient = slope * np.bincount(at, weights=a, minlength=len(f))[:, None]
            np.add.at(gradient, (at, y), binary.positive_slope(f_y) - a * slope[at, y])
            return binary.positive(f_y) + a * (paid.sum(axis=1)[at] - paid[at, y]), gradient
        top = (f + log_b).max(axis=1)
        paid = np.exp(f + log_b - top[:, None])
        own = paid[at, y]
        rest = np.maximum(paid.sum(axis=1)[at] - own, 0.0)
        log_scale = log_a[y] - f[at, y] + top[at]
        with np.errstate(divide="ignore"):
            losses = np.logaddexp(0.0, log_scale + np.log(rest))
        each = np.exp(log_scale - losses)
        gradient = paid * np.bincount(at, weights=each, minlength=len(f))[:, None]
        np.add.at(gradient, (at, y), -each * (own + rest))
        return losses, gradient

    @cached_property
    def _shared(self) -> tuple[Draw, Floats, Floats, Floats] | None:
        """What all examples have in common: how to draw, the factors of log w_yy' = log a_y + log b_y', and log q."""
        if not isinstance(self.objective, Scheme):
            return None
        scheme, n = self.objective, self.prior.n_labels
        if scheme.sampler.needs_scores or getattr(scheme.sampler, "needs_positive", False):
            return None
        problem = Problem(np.zeros(n), self.prior, int(np.argmax(self.prior.probabilities)))
        law = scheme.sampler.log_law(problem)
        factors = getattr(scheme.weighting, "log_factors", None)
        found = factors and factors(law, self.prior, scheme.m, scheme.hits == "exclude")
        scheme.plan(problem)
        if found is None:
            return None
        log_a, log_b = (np.broadcast_to(factor, (n,)) for factor in found)
        return checked_draws(scheme.sampler, problem), log_a, log_b, law

    def _negatives(self, f: Floats, at: Labels, y: Labels, rng: np.random.Generator) -> tuple[Labels, Floats]:
        """Labels and log weights, (P, m)."""
        if not isinstance(self.objective, Scheme):
            log_w = np.array([self._margins(int(label)) for label in y]).reshape(y.size, self.prior.n_labels)
            return np.tile(np.arange(self.prior.n_labels), (y.size, 1)), log_w
        if self._shared is None:
            found = [self._one(f[row], int(label), rng) for row, label in zip(at, y, strict=True)]
            shape = (y.size, self.objective.m)
            return np.array([a for a, _ in found], np.intp).reshape(shape), np.array([b for _, b in found]).reshape(
                shape
            )
        draw, log_a, log_b, law = self._shared
        if self.objective.hits == "exclude" and y.size and law[y].max() > RARE:
            label = int(y[law[y].argmax()])
            raise ValueError(
                f"hits='exclude' leaves nothing to draw, or hardly anything: label {label} has q = {np.exp(law[label])}"
            )
        drawn = draw(rng, y.size * self.objective.m).reshape(y.size, -1)
        own = y[:, None]
        if self.objective.hits == "exclude":
            drawn = drawn.copy()
            while (hit := drawn == own).any():
                drawn[hit] = draw(rng, int(hit.sum()))
        log_w = log_a[own] + log_b[drawn]
        if self.objective.hits == "mask":
            log_w[drawn == own] = -np.inf
        return drawn, log_w

    def _one(self, f: Floats, y: int, rng: np.random.Generator) -> tuple[Labels, Floats]:
        """The negatives of one example whose law or weights are its own."""
        scheme = self.objective
        assert isinstance(scheme, Scheme)
        problem = Problem(f, self.prior, y)
        draw, drawn = checked_draws(scheme.sampler, problem), np.empty(0, np.intp)
        while drawn.size < scheme.m:
            more = draw(rng, scheme.m - drawn.size)
            drawn = np.append(drawn, more[more != y] if scheme.hits == "exclude" else more)
        return drawn, scheme.plan(problem, loss=self.loss).log_w[drawn]

    @cached_property
    def _rows(self) -> dict[int, Floats]:
        return {}

    def _margins(self, y: int) -> Floats:
        """log p_yy' (L,), the positive itself at -inf."""
        if y not in self._rows:
            assert not isinstance(self.objective, Scheme)
            self._rows[y] = np.array(self.objective.log_margin(self.prior, y), dtype=np.float64)
            self._rows[y][y] = -np.inf
        return self._rows[y]


def _wide(values: object) -> Floats:
    return np.ascontiguousarray(values, dtype=np.float64)


def _indices(values: ArrayLike, size: int, what: str) -> NDArray[np.intp]:
    found = np.asarray(values)
    if found.ndim != 1 or (found.size and found.dtype.kind not in "iu"):
        raise ValueError(f"{what} must be whole numbers in one vector, got {found.dtype} {found.shape}")
    found = found.astype(np.intp)
    if found.size and not (found.min() >= 0 and found.max() < size):
        raise ValueError(f"{what} must lie from 0 to {size - 1}, got {found.min()} to {found.max()}")
    return found
