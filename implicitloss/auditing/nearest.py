"""The nearest scheme: which of the named ones, and of the usual slips, has the margins that were measured?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from implicitloss import samplers, weightings
from implicitloss.auditing.comparison import BY_SCORE, HITS, Comparison
from implicitloss.auditing.pilot import DrawStatistics
from implicitloss.auditing.question import Question
from implicitloss.auditing.slips import SLIPS, Slip
from implicitloss.labels import Floats, LabelPrior
from implicitloss.margins import Equalised, LogitAdjusted, Softmax, complete_margin
from implicitloss.problem import Problem
from implicitloss.samplers import Explicit, Power, Sampler, Uniform, WithinBatch
from implicitloss.samplers.sampler import complete_sampler
from implicitloss.scheme import MOST_NEGATIVES, Scheme
from implicitloss.theory.implicit import log_expected_weights
from implicitloss.weightings import ForMargin, Importance, Weighting, complete_weighting

# A refuted claim may have named too small a weight of a draw, and its limits may then be too narrow.
LIMIT_FACTOR = 1.05
# The m of a loss that draws nothing: with this many draws the sampled loss equals its bound.
M_OF_ALL_LABELS = 10**9


@dataclass(frozen=True)
class Fit:
    """How well a scheme fits the measured margins.

    `distance` is √mean (log ratio)² over the parts, and the scheme `agrees` if its margins lie within all limits.
    `m_known` is False where the number of draws was not seen and the margins do not depend on it.
    """

    name: str
    scheme: Scheme
    distance: float
    agrees: bool
    m_known: bool = True

    @property
    def slip(self) -> Slip | None:
        """The common slip that the scheme is, if its margins agree."""
        weighting = self.scheme.weighting
        return weighting if self.agrees and isinstance(weighting, Slip) else None

    def __str__(self) -> str:
        return self.name if self.agrees else f"{self.name} (off by a factor of {np.exp(self.distance):.3g} in the mean)"


def name_of(scheme: Scheme, m_known: bool = True) -> str:
    """The name of a scheme, for example "relative weights, within-batch sampling, m = 15, hits kept"."""
    weighting = scheme.weighting
    if scheme.m == M_OF_ALL_LABELS and isinstance(weighting, ForMargin):
        return f"{complete_margin(weighting.target).name} over all labels, none drawn"
    words, sampler = complete_weighting(weighting).name, complete_sampler(scheme.sampler).name
    hits = {"keep": "kept", "mask": "masked", "exclude": "excluded"}[scheme.hits]
    return f"{words}, {sampler}, {f'm = {scheme.m}, ' if m_known else ''}hits {hits}"


def nearest(question: Question, comparisons: Sequence[Comparison], statistics: DrawStatistics | None) -> Fit | None:
    """The candidate that fits the decisive parts best, the claimed one first among equals; None if nothing was seen.

    `statistics` give m; candidates with equal margins are told apart by the law of their draws.
    """
    parts, claimed, prior = _Parts.of(comparisons), question.scheme, question.prior
    if not parts.used:
        return None
    m = None if statistics is None or statistics.draws is None else statistics.draws[1]
    q = None if statistics is None else statistics.q
    once = statistics is not None and statistics.multiplicity == 1
    fits = [
        _fit(scheme, parts, prior, m is None and scheme is not claimed)
        for scheme in _candidates(prior, claimed, m, parts.hits, once)
    ]
    found = [fit for fit in fits if fit is not None]
    if not found:
        return None
    best = min(fit.distance for fit in found)
    near = [fit for fit in found if fit.distance <= best + 1e-3 or fit.agrees]
    # If samplers have equal margins, the law that was seen decides, then the order.
    return min(
        near, key=lambda fit: (not fit.agrees, round(fit.distance, 3) if not fit.agrees else 0, _off(fit, prior, q))
    )


@dataclass(frozen=True, eq=False)
class _Parts:
    """Comparisons by what they say: parts that were `seen`, `empty` ones, `hits`, and those `used` for the distance."""

    seen: list[Comparison]
    empty: list[Comparison]
    hits: list[Comparison]
    used: list[Comparison]

    @classmethod
    def of(cls, comparisons: Sequence[Comparison]) -> _Parts:
        parts = [c for c in comparisons if c.part != HITS and c.labels.size]
        seen, empty = [c for c in parts if c.measured > 0], [c for c in parts if not c.measured > 0]
        used = [c for c in seen if c.decisive] or seen
        return cls(seen, empty, [c for c in comparisons if c.part == HITS], used)


def _off(fit: Fit, prior: LabelPrior, q: Floats | None) -> float:
    """The distance of the law of draws from the one that was seen."""
    if q is None:
        return 0.0
    law = np.exp(fit.scheme.sampler.log_law(Problem(np.zeros(prior.n_labels), prior, 0)))
    return round(float(np.abs(law - q).sum()), 1)


def _candidates(
    prior: LabelPrior, claimed: Scheme | None, m: int | None, hits: Sequence[Comparison], once: bool
) -> Iterator[Scheme]:
    kept = any(c.measured > 0 for c in hits)
    if claimed is not None and not claimed.sampler.needs_scores:
        yield claimed
    if m == prior.n_labels - 1 and once:
        for margin in (Softmax(), LogitAdjusted(), Equalised()):
            yield Scheme(Uniform(), ForMargin(margin), m=M_OF_ALL_LABELS, hits="mask")
    draws = min(m or 0, MOST_NEGATIVES // 2) or (claimed.m if claimed is not None else 1)
    # Among equals the first is named: these three first, then all others that do not look at the scores.
    laws: list[Sampler] = [WithinBatch(), Uniform(), Power(0.75)]
    if claimed is not None and claimed.sampler not in laws and not claimed.sampler.needs_scores:
        laws.insert(0, claimed.sampler)
    others = [sampler for sampler in samplers.examples() if not isinstance(sampler, Explicit)]
    laws += [sampler for sampler in others if not sampler.needs_scores and sampler not in laws]
    # Importance weights first among equals.
    named = sorted(weightings.examples(), key=lambda weighting: not isinstance(weighting, Importance))
    named = [weighting for weighting in named if type(weighting) is not ForMargin]
    candidates: list[Weighting] = [*named, *SLIPS]  # type: ignore[list-item]
    for sampler in laws:
        for weighting in candidates:
            for mode in ("keep",) if kept else ("mask", "exclude"):
                yield Scheme(sampler, weighting, m=max(draws, 1), hits=mode)  # type: ignore[arg-type]


def _fit(scheme: Scheme, parts: _Parts, prior: LabelPrior, free: bool) -> Fit | None:
    """How well a scheme fits; with the best m, if m is `free`.  None for a scheme that is undefined here."""
    try:
        scheme, p, known = _margins(scheme, parts, prior, free)
    except ValueError:  # a label that cannot be drawn, or a positive of prior 0
        return None
    logs, agrees = [], True
    for c in parts.seen:
        row = p[c.positive]
        expected = float(row[c.labels].sum() - row[c.positive] * (c.positive in c.labels))
        expected += c.hits_in * float(row[c.positive])
        if not expected > 0:
            return None
        if c in parts.used:
            logs.append(np.log(c.measured / expected))
        if c.part not in BY_SCORE:
            agrees &= c.low <= expected * LIMIT_FACTOR and expected <= c.high * LIMIT_FACTOR
    for c in parts.empty:
        agrees &= float(p[c.positive][c.labels].sum()) <= c.high * LIMIT_FACTOR
    for c in parts.hits:
        expected = float(p[c.positive][c.positive])
        agrees &= (c.low <= expected <= c.high) if expected > 0 else not c.measured > 0
    return Fit(name_of(scheme, known), scheme, float(np.sqrt(np.mean(np.square(logs)))), bool(agrees), known)


def _margins(scheme: Scheme, parts: _Parts, prior: LabelPrior, free: bool) -> tuple[Scheme, dict[int, Floats], bool]:
    """The scheme, its margins m w q (L,) by positive, and whether m is known; a `free` m is set to the best."""
    f = np.zeros(prior.n_labels)
    positives = {c.positive for c in (*parts.used, *parts.empty, *parts.hits)}

    def of(scheme: Scheme) -> dict[int, Floats]:
        return {y: np.exp(log_expected_weights(scheme, Problem(f, prior, y))) for y in positives}

    p = of(scheme)
    if not free:
        return scheme, p, True
    ratio = float(np.median([c.measured / max(float(p[c.positive][c.labels].sum()), 1e-300) for c in parts.used]))
    doubled = of(replace(scheme, m=2 * scheme.m))
    # Margins grow with m where a factor was lost, and with its square where the factor was applied twice.
    power = next((k for k in (1, 2) if all(np.allclose(doubled[y], 2**k * p[y]) for y in p)), 0)
    if not power:
        return scheme, p, False
    again = replace(scheme, m=max(1, min(round(scheme.m * ratio ** (1 / power)), 10**9)))
    return again, of(again), True
