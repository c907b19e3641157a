"""Section 2.2, Remark 2: laws and weights that depend on x and on y."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from implicitloss.claims.case import Setting
from implicitloss.claims.checks import Exact
from implicitloss.claims.claim import Claim
from implicitloss.estimate import Estimate
from implicitloss.labels import Floats, LabelPrior
from implicitloss.losses import Decoupled, SoftmaxCrossEntropy, logistic
from implicitloss.problem import Problem
from implicitloss.samplers.sampler import Draw, Sampler, by_shares
from implicitloss.scheme import Scheme
from implicitloss.weightings import Draws, Weighting
from implicitloss.witness.exhaust import exhaust

M = 3
# The scores of four labels at two x.
SCORES = ((0.3, -0.8, 0.9, -0.2), (-1.1, 0.4, 0.2, 0.7))


def _shares(scores: Floats, positive: int) -> Floats:
    """Negatives of high score are drawn, and those next to the positive."""
    apart = np.abs(np.arange(scores.size) - positive)
    return np.exp(0.5 * scores - 0.3 * apart)


def _law(scores: Floats, positive: int) -> Floats:
    shares = _shares(scores, positive)
    return np.asarray(shares / shares.sum())


def _weights(law: Floats, positive: int) -> Floats:
    """Importance weights that stay below (5 + y)/m: they depend on x by the law, and on y."""
    return np.asarray(1 / (M * (1 / (5 + positive) + law)))


@dataclass(frozen=True)
class _OfScores(Sampler):
    """A sampler of one's own that looks at the scores and at the positive."""

    needs_scores = True

    @property
    def name(self) -> str:
        return "sampling near the positive"

    def log_law(self, problem: Problem) -> Floats:
        return np.asarray(np.log(_law(problem.scores, problem.positive)))

    def procedure(self, problem: Problem) -> Draw:
        return by_shares(_shares(problem.scores, problem.positive))


@dataclass(frozen=True)
class _Bounded(Weighting):
    """Weights of one's own that look at the law and at the positive."""

    is_eta_over_m = False

    def log_weight(self, draws: Draws) -> Floats:
        return np.asarray(np.log(_weights(np.exp(draws.log_q_unconditional), draws.positive)))


@dataclass(frozen=True)
class _Example:
    """An x, a positive, and a loss."""

    scores: tuple[float, ...]
    positive: int
    loss: Decoupled | SoftmaxCrossEntropy

    def __str__(self) -> str:
        return f"{self.loss}, f = {self.scores}, y = {self.positive}"

    @property
    def problem(self) -> Problem:
        return Problem(np.array(self.scores), LabelPrior.from_counts([50, 20, 7, 3]), self.positive)


def _examples(setting: Setting) -> list[_Example]:
    return [_Example(scores, y, Decoupled(logistic)) for scores in SCORES for y in range(4)]


def _of_softmax(setting: Setting) -> list[_Example]:
    return [_Example(scores, y, SoftmaxCrossEntropy()) for scores in SCORES for y in range(4)]


def _enumerated(example: _Example) -> Estimate:
    """E ℓ over every sequence of draws, hits masked."""
    scheme = Scheme(_OfScores(), _Bounded(), m=M, hits="mask")
    return exhaust(scheme, example.loss, example.problem, "mean")


def _implicit(example: _Example, law: Floats, weights: Floats) -> Estimate:
    """The implicit loss with p_yy' = m w_yy' q_y', written out."""
    f, y = np.array(example.scores), example.positive
    margins = M * weights * law
    margins[y] = 0.0
    if isinstance(example.loss, SoftmaxCrossEntropy):
        value = float(np.log1p(np.sum(margins * np.exp(f - f[y]))))
    else:
        value = float(np.logaddexp(0, -f[y]) + np.sum(margins * np.logaddexp(0, f)))
    return Estimate(value, 1e-13, "loss", "closed form")


def _own(example: _Example) -> Estimate:
    law = _law(np.array(example.scores), example.positive)
    return _implicit(example, law, _weights(law, example.positive))


def _law_of_another_x(example: _Example) -> Estimate:
    """Drawn by the law of the other x, and weighted by that of its own."""
    (other,) = (scores for scores in SCORES if scores != example.scores)
    own = _law(np.array(example.scores), example.positive)
    return _implicit(example, _law(np.array(other), example.positive), _weights(own, example.positive))


def _weights_of_another_y(example: _Example) -> Estimate:
    law = _law(np.array(example.scores), example.positive)
    return _implicit(example, law, _weights(law, (example.positive + 1) % 4))


ENUMERATION = "enumeration of every draw"
MISSES = {"q is that of another x": _law_of_another_x, "w is that of another y": _weights_of_another_y}

CLAIMS = (
    Claim(
        "rawat2021.remark2",
        "q and w may depend on x and y: each (x, y) has the implicit loss of its own p_yy' = m w q, as mean of a "
        "decoupled loss and as bound on the mean of sampled softmax.",
        "Rawat et al. 2021, Remark 2, Lemmas 1 and 2",
        (
            Exact(ENUMERATION, _examples, _enumerated, _own, MISSES, uses_prior=False, detail="decoupled"),
            Exact(
                ENUMERATION,
                _of_softmax,
                _enumerated,
                _own,
                {"it is the mean of sampled softmax": ("=", _own)},
                relation="<",
                uses_prior=False,
                detail="softmax",
            ),
        ),
        ("a law and weights of one's own, hits masked; four labels, m = 3",),
    ),
)
