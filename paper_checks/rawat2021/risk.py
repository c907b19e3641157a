"""Section 2: the retrieval risk (1), misclassification (2), and examples with several labels (footnote 1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from implicitloss.claims.case import Setting
from implicitloss.claims.checks import Exact
from implicitloss.claims.claim import Claim
from implicitloss.estimate import Estimate
from implicitloss.labels import Floats, Labels

N_X, N_LABELS = 40, 6


@dataclass(frozen=True, eq=False)
class _World:
    """P(x) (X,), η (X, L), scores (X, L), the labels of x where it has several (X, L), and r."""

    share: Floats
    eta: Floats
    scores: Floats
    several: Labels
    r: int

    def __str__(self) -> str:
        return f"r = {self.r}, {self.share.size} x, {self.eta.shape[1]} labels"

    @property
    def rank(self) -> Labels:
        """The rank of each label by its score, from 1, (X, L)."""
        higher = self.scores[:, None, :] > self.scores[:, :, None]
        return np.asarray(1 + higher.sum(axis=2))


def _worlds(setting: Setting) -> list[_World]:
    """Three of them, at r = 1, 2 and 3; scores differ, and so there are no ties."""
    worlds = []
    for r in (1, 2, 3):
        rng = np.random.default_rng([setting.seed, r])
        share, eta = rng.dirichlet(np.ones(N_X)), rng.dirichlet(np.ones(N_LABELS), size=N_X)
        several = rng.random((N_X, N_LABELS)) < rng.uniform(0.1, 0.6, (N_X, 1))
        several[np.arange(N_X), rng.integers(N_LABELS, size=N_X)] = True  # each x has one at least
        worlds.append(_World(share, eta, np.log(eta) + rng.standard_normal(eta.shape), several.astype(np.intp), r))
    return worlds


def _number(value: float) -> Estimate:
    return Estimate(float(value), 1e-14, "risk", "sums over all x and labels")


def _retrieval_at_1(world: _World) -> Estimate:
    """P(y not in top_1(f)), by ranks."""
    return _number(np.sum(world.share[:, None] * world.eta * (world.rank > 1)))


def _misclassification(world: _World) -> Estimate:
    """P(y is not the label of the highest score)."""
    at = np.argmax(world.scores, axis=1)
    return _number(1 - world.share @ world.eta[np.arange(N_X), at])


def _of_two(world: _World) -> Estimate:
    two = np.argsort(-world.scores, axis=1)[:, :2]
    return _number(1 - world.share @ np.take_along_axis(world.eta, two, 1).sum(axis=1))


def _split(world: _World) -> Estimate:
    """The share of examples (x, y) whose y is not among the r best, where each label of x makes an example."""
    x, y = np.nonzero(world.several)
    return _number(np.mean(world.rank[x, y] > world.r))


def _found(world: _World) -> Labels:
    """How many labels of each x are among its r best, (X,)."""
    best = np.argsort(-world.scores, axis=1)[:, : world.r]
    return np.asarray(np.take_along_axis(world.several, best, 1).sum(axis=1))


def _recall_of_all(world: _World) -> Estimate:
    return _number(1 - _found(world).sum() / world.several.sum())


def _mean_recall(world: _World) -> Estimate:
    return _number(1 - np.mean(_found(world) / world.several.sum(axis=1)))


def _precision(world: _World) -> Estimate:
    return _number(1 - _found(world).sum() / (N_X * world.r))


CLAIMS = (
    Claim(
        "rawat2021.section2.eq1-eq2",
        "The retrieval risk (1) at r = 1 is the misclassification error (2).",
        "Rawat et al. 2021, Eqs. (1) and (2)",
        (
            Exact(
                "sums over all x and labels",
                _worlds,
                _retrieval_at_1,
                _misclassification,
                {
                    "it is the error of the label that is likeliest": lambda world: _number(
                        1 - world.share @ world.eta.max(axis=1)
                    ),
                    "at r = 2 it is the misclassification error too": _of_two,
                },
                uses_prior=False,
            ),
        ),
        ("no two labels of an x have equal scores",),
    ),
    Claim(
        "rawat2021.section2.reduction",
        "Where each label of an x makes an example, the retrieval risk at r is 1 less the share of all labels that are "
        "among the r best of their x.",
        "Rawat et al. 2021, footnote 1 and section 5.2",
        (
            Exact(
                "sums over all x and labels",
                _worlds,
                _split,
                _recall_of_all,
                {
                    "it is 1 less the mean recall of an x": _mean_recall,
                    "it is 1 less the precision at r": _precision,
                },
                uses_prior=False,
            ),
        ),
        ("no two labels of an x have equal scores; each x has a label", "an x counts as often as it has labels"),
    ),
)
