"""Where the claims are tried: a tiny problem that can be enumerated, and problems on the label prior of the run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

import numpy as np

from implicitloss import losses, margins, scorers, weightings
from implicitloss import samplers as all_samplers
from implicitloss.claims.case import Case, Setting
from implicitloss.labels import Floats, LabelPrior
from implicitloss.losses import Loss, SoftmaxCrossEntropy
from implicitloss.margins import Margin, Softmax
from implicitloss.problem import Problem
from implicitloss.samplers import (
    Explicit,
    LogUniform,
    MinimumVariance,
    Mixture,
    ModelBased,
    Power,
    Sampler,
    Uniform,
    WithinBatch,
)
from implicitloss.scheme import HITS, Hits, Scheme
from implicitloss.weightings import (
    Consistent,
    Constant,
    ForMargin,
    Importance,
    Relative,
    Tail,
    Weighting,
)

SOFTMAX = SoftmaxCrossEntropy()
DECOUPLED: tuple[Loss, ...] = tuple(loss for loss in losses.examples() if not loss.has_log)
# Draws depend on the place of a case: these come first, in this order, and new samplers after them.
FIRST = (Uniform, WithinBatch, ModelBased, Power, LogUniform, Mixture, Explicit, MinimumVariance)
# Draws whose log x lies this near are worth the same.
SAME = 1e-9
ETA_OVER_M = (Constant(), Importance(), Tail(), ForMargin(margins.BalancedSoftmax()))


@lru_cache
def tiny_problem() -> Problem:
    """Four labels with counts 50, 20, 7, 3: every draw of three can be enumerated."""
    return Problem(np.array([0.3, -0.8, 0.9, -0.2]), LabelPrior.from_counts([50, 20, 7, 3]), 1)


@lru_cache
def problem(prior: LabelPrior, where: str = "bounded", rank: float = 0.5, seed: int = 0) -> Problem:
    """Scores by the scorer `where` for the positive at the `rank` share of the labels from frequent to rare.

    "bounded" keeps scores within ±0.9, where every margin loss makes every negative pay.
    """
    rng = np.random.SeedSequence([seed, 20210512])
    if where == "bounded":
        values = 0.9 * np.tanh(scorers.Gaussian().scores(prior, rng))
    elif where == "aligned":
        values = scorers.Aligned(strength=0.5).scores(prior, rng)
    else:
        (scorer,) = [scorer for scorer in scorers.examples() if scorer.name == where]
        values = scorer.scores(prior, rng)
    at = min(int(rank * prior.n_labels), prior.n_labels - 1)
    return Problem(values, prior, int(prior.by_frequency[at]))


def samplers(n_labels: int, loss: Loss, target: Margin | None = None) -> tuple[Sampler, ...]:
    """One of each sampler; the minimum-variance one is that of `loss` (and `target`)."""
    found = all_samplers.examples(n_labels, target or Softmax(), loss)
    place = {kind: i for i, kind in enumerate(FIRST)}
    return tuple(sorted(found, key=lambda sampler: place.get(type(sampler), len(FIRST))))


# Consistent weights for other targets than softmax are not the paper's.
OF_THE_PAPER = tuple(weighting for weighting in weightings.examples() if type(weighting) is not Consistent)


def defined(sampler: Sampler, weighting: Weighting) -> bool:
    """Relative weights q_y/q_y' are undefined where q_y = 0, as the minimum-variance sampler has it."""
    return not (isinstance(sampler, MinimumVariance) and isinstance(weighting, Relative))


def grid(
    at: Problem,
    m: int,
    losses: Sequence[Loss],
    hits: Sequence[Hits] = HITS,
    weightings: Sequence[Weighting] = OF_THE_PAPER,
) -> Iterator[Case]:
    """Every sampler x weighting x loss x mode for hits."""
    for loss in losses:
        for sampler in samplers(at.prior.n_labels, loss):
            for weighting in weightings:
                if defined(sampler, weighting):
                    for mode in hits:
                        yield Case(Scheme(sampler, weighting, m=m, hits=mode), loss, at)


def tiny_decoupled(setting: Setting) -> list[Case]:
    return list(grid(tiny_problem(), 3, DECOUPLED))


def tiny_softmax(setting: Setting) -> list[Case]:
    return list(grid(tiny_problem(), 3, [SOFTMAX]))


def decoupled(setting: Setting) -> list[Case]:
    """Four draws: the more draws, the wider a sum can range, and the fewer cases a simulation reaches."""
    return list(grid(problem(setting.prior), 4, DECOUPLED))


def softmax(setting: Setting) -> list[Case]:
    """The grid for bounded scores, and each scorer with a frequent, a middling and a rare positive."""
    cases = list(grid(problem(setting.prior), 16, [SOFTMAX]))
    for where in [scorer.name for scorer in scorers.examples()]:
        for rank in (0.02, 0.5, 0.98):
            at = problem(setting.prior, where, rank)
            for weighting in (Constant(), Importance(), Tail()):
                for sampler in (Uniform(), WithinBatch()):
                    cases.append(Case(Scheme(sampler, weighting, m=4, hits="exclude"), SOFTMAX, at, where))
    return cases


def not_degenerate(cases: Callable[[Setting], list[Case]]) -> Callable[[Setting], list[Case]]:
    """Without the schemes whose draws are all worth the same."""

    def kept(setting: Setting) -> list[Case]:
        return [case for case in cases(setting) if not is_degenerate(case)]

    return kept


def is_degenerate(case: Case) -> bool:
    """Whether all draws are worth the same, as with q ∝ e^f and importance weights (equality in Lemma 2)."""
    plan = case.scheme.plan(case.problem, loss=case.loss)
    log_x = plan.log_w + case.loss.log_payment(case.problem.scores, case.problem.positive)
    drawn = log_x[plan.log_q > -np.inf]
    # A masked hit has log x = -inf.
    return bool(np.isfinite(drawn).all() and np.ptp(drawn) < SAME)


def ladder_cases(weightings: Sequence[Weighting] = ETA_OVER_M, m: int = 256) -> Callable[[Setting], list[Case]]:
    """A few spread-out cases for limits in m: three samplers, hits excluded and masked."""

    def cases(setting: Setting) -> list[Case]:
        at = problem(setting.prior, "bounded", 0.3)
        return [
            Case(Scheme(sampler, weighting, m=m, hits=hits), SOFTMAX, at)
            for sampler, hits in ((Uniform(), "exclude"), (Power(), "mask"), (Mixture(), "keep"))
            for weighting in weightings
        ]

    return cases


def coarse(prior: LabelPrior, n_labels: int = 20) -> LabelPrior:
    """A prior of at most `n_labels` labels picked evenly from frequent to rare."""
    return prior if prior.n_labels <= n_labels else prior.few(n_labels)


def eta(prior: LabelPrior, seed: int = 0) -> Floats:
    """Class probabilities at some x that know nothing of the prior, (L,)."""
    rng = np.random.default_rng([seed, 5736])
    return rng.dirichlet(np.full(prior.n_labels, 3.0))
