"""The law that is best where the examples of a batch share their negatives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from implicitloss.claims.case import Setting
from implicitloss.claims.checks import Exact
from implicitloss.claims.claim import Claim
from implicitloss.estimate import Estimate
from implicitloss.labels import Floats, LabelPrior
from implicitloss.losses import Decoupled, logistic
from implicitloss.problem import Problem
from implicitloss.samplers import Explicit
from implicitloss.scheme import Scheme
from implicitloss.weightings import Importance
from implicitloss.witness.integrate.covariance import covariance
from implicitloss.witness.integrate.integral import integrate

LOSS = Decoupled(logistic)
PRIOR = LabelPrior.from_counts([50, 20, 7, 3, 1])
M = 3
# A variance that is 0 is computed as a difference of sums of this size times 1e-12.
ZERO = 1e-10


@dataclass(frozen=True, eq=False)
class _Batch:
    """The scores (B, L) and positives of examples that share their negatives."""

    scores: Floats
    positives: tuple[int, ...]

    def __str__(self) -> str:
        return f"positives {self.positives}"

    @property
    def problems(self) -> list[Problem]:
        return [Problem(f, PRIOR, y) for f, y in zip(self.scores, self.positives, strict=True)]

    @property
    def pays(self) -> Floats:
        """What each label pays as a negative, log(1 + e^f), and 0 for the positive, (B, L)."""
        pays = np.logaddexp(0, self.scores)
        pays[np.arange(len(self.positives)), self.positives] = 0.0
        return np.asarray(pays)


def _batches(setting: Setting) -> list[_Batch]:
    rng = np.random.default_rng([setting.seed, 143])
    return [_Batch(1.5 * rng.standard_normal((len(at), 5)), at) for at in ((0, 1, 0), (0, 2, 4, 1), (3, 0))]


Law = Callable[[_Batch], Floats]


def _of_mean(batch: _Batch) -> Floats:
    return np.asarray(batch.pays.sum(axis=0))


def _mean_of_laws(batch: _Batch) -> Floats:
    """The plain mean of the laws that are best for each example."""
    return np.asarray((batch.pays / batch.pays.sum(axis=1, keepdims=True)).mean(axis=0))


def _of_singles(batch: _Batch) -> Floats:
    return np.asarray(np.sqrt(np.sum(batch.pays**2, axis=0)))


def _uniform(batch: _Batch) -> Floats:
    return np.ones(5)


def _scheme(batch: _Batch, law: Law) -> Scheme:
    shares = law(batch)
    return Scheme(Explicit(shares / shares.sum()), Importance(), m=M, hits="mask")


def _of_batch(law: Law) -> Callable[[_Batch], Estimate]:
    """The variance of the mean over the examples: the mean of all covariances, by the library."""

    def variance(batch: _Batch) -> Estimate:
        scheme, problems = _scheme(batch, law), batch.problems
        pairs = [covariance(scheme, LOSS, a, b) for a in problems for b in problems]
        size = len(problems) ** 2
        error = sum(float(np.max(pair.error)) for pair in pairs) / size
        return Estimate(sum(float(pair) for pair in pairs) / size, error + 1e-13, "variance", "integrate")

    return variance


def _of_one(law: Law) -> Callable[[_Batch], Estimate]:
    """The mean of the variances of single losses, by the library."""

    def variance(batch: _Batch) -> Estimate:
        scheme = _scheme(batch, law)
        found = [integrate(scheme, LOSS, problem, "variance") for problem in batch.problems]
        error = sum(float(np.max(each.error)) for each in found) / len(found)
        return Estimate(sum(float(each) for each in found) / len(found), error + 1e-13, "variance", "integrate")

    return variance


def _closed(law: Law) -> Callable[[_Batch], Estimate]:
    """(Σ_j Σ_b a_bj²/q_j - Σ_b (Σ_j a_bj)²)/(m B), a_bj what label j pays beside the example b."""

    def variance(batch: _Batch) -> Estimate:
        a, shares = batch.pays, law(batch)
        value = np.sum(a**2 / (shares / shares.sum())) - np.sum(a.sum(axis=1) ** 2)
        return Estimate(float(value / (M * len(a))), 1e-12, "variance", "closed form")

    return variance


def _none(batch: _Batch) -> float:
    return 0.0


def _above(law: Law, name: str) -> Exact:
    return Exact(
        "covariances of all pairs",
        _batches,
        _of_batch(law),
        _none,
        {f"{name} leaves no variance": ("=", _none)},
        relation=">",
        uses_prior=False,
        detail=name,
    )


CLAIMS = (
    Claim(
        "draws.shared.best-law",
        "Where examples share their draws, q_j ∝ Σ_b ϕ(-f_bj), over the examples b whose negative j is, leaves the "
        "mean of their decoupled losses no variance; the mean of the laws that are best for each example does not, in "
        "these batches.",
        "derived: the mean of the losses is one decoupled loss",
        (
            Exact(
                "covariances of all pairs",
                _batches,
                _of_batch(_of_mean),
                _none,
                {"it has the variance of uniform draws": _of_batch(_uniform)},
                floor=ZERO,
                uses_prior=False,
            ),
            _above(_mean_of_laws, "the mean of the examples' best laws"),
            _above(_of_singles, "the law that is best for single losses"),
        ),
        ("importance weights, hits masked, i.i.d. draws; the logistic loss",),
    ),
    Claim(
        "draws.shared.best-for-singles",
        "The mean variance of the single losses is least under another law, q_j ∝ (Σ_b ϕ(-f_bj)²)^{1/2}.",
        "derived: Cauchy and Schwarz",
        (
            Exact(
                "closed form",
                _batches,
                _of_one(_of_singles),
                _closed(_of_singles),
                {
                    "it is that under the law that is best for their mean": _closed(_of_mean),
                    "less is had under the mean of the examples' best laws": (">", _closed(_mean_of_laws)),
                    "less is had under uniform draws": (">", _closed(_uniform)),
                },
                uses_prior=False,
            ),
            *(
                Exact(
                    "closed form",
                    _batches,
                    _of_one(_of_singles),
                    _closed(law),
                    {f"{name} have as much": ("=", _closed(law))},
                    relation="<",
                    uses_prior=False,
                    detail=name,
                )
                for law, name in ((_uniform, "uniform draws"), (_of_mean, "draws that are best for the mean"))
            ),
        ),
        ("importance weights, hits masked, i.i.d. draws; the logistic loss",),
    ),
)
