"""Which scheme has the margins that were measured?  Named ones, and the usual slips."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from implicitloss import samplers, weightings
from implicitloss.auditing.cells import BY_SCORE, HITS, Cell
from implicitloss.labels import Floats, LabelPrior
from implicitloss.margins import Equalised, LogitAdjusted, Softmax, complete_margin
from implicitloss.problem import Problem
from implicitloss.samplers import Explicit, Power, Sampler, Uniform, WithinBatch
from implicitloss.samplers.sampler import complete_sampler
from implicitloss.scheme import MOST_NEGATIVES, Scheme
from implicitloss.theory.implicit import log_expected_weights
from implicitloss.weightings import Draws, ForMargin, Importance, Weighting, complete_weighting

# Limits of a claim that is refuted may be too narrow: what a draw weighs was part of the claim.
NEARLY = 1.05
# So many draws that the sampled loss is its bound: for losses that do not draw.
EVERY = 10**9


@dataclass(frozen=True)
class Slip:
    """Weights as a slip makes them: log w = `log_w`(draws), for comparison only."""

    name: str
    log_w: Callable[[Draws], Floats | float]
    is_eta_over_m = False

    def log_weight(self, draws: Draws) -> Floats:
        """log w, (L,)."""
        with np.errstate(invalid="ignore", divide="ignore"):
            found = np.broadcast_to(self.log_w(draws), draws.log_q.shape)
        return np.where(np.isneginf(draws.log_q_unconditional), -np.inf, found)


SLIPS = (
    Slip("log q taken off without m, weights 1/q", lambda d: -d.log_q_unconditional),
    Slip("log(m q) added in place of taken off, weights m q", lambda d: np.log(d.m) + d.log_q_unconditional),
    Slip(
        "log(m q) taken off the positive only, weights m q_y",
        lambda d: np.log(d.m) + d.log_q_unconditional[d.positive],
    ),
    Slip("1/m forgotten beside 1/(m q) and log π put in, weights π/q", lambda d: d.prior.log - d.log_q_unconditional),
)


@dataclass(frozen=True)
class Fit:
    """A scheme, how far its margins are from those measured, √mean (log ratio)² over the parts, and whether it `agrees`
    with their limits; and whether m could be known: by values alone margins that are free of it do not tell."""

    name: str
    scheme: Scheme
    distance: float
    agrees: bool
    m_known: bool = True

    def __str__(self) -> str:
        return self.name if self.agrees else f"{self.name} (off by a factor of {np.exp(self.distance):.3g} in the mean)"


def name_of(scheme: Scheme, m_known: bool = True) -> str:
    """As in: relative weights, within-batch sampling, m = 15, hits kept."""
    weighting = scheme.weighting
    if scheme.m == EVERY and isinstance(weighting, ForMargin):
        return f"{complete_margin(weighting.target).name} over all labels, none drawn"
    words, sampler = complete_weighting(weighting).name, complete_sampler(scheme.sampler).name
    hits = {"keep": "kept", "mask": "masked", "exclude": "excluded"}[scheme.hits]
    return f"{words}, {sampler}, {f'm = {scheme.m}, ' if m_known else ''}hits {hits}"


def closest(
    cells: Sequence[Cell], prior: LabelPrior, claimed: Scheme | None, m: int | None, q: Floats | None, once: bool
) -> Fit | None:
    """The candidate that fits the decisive cells best, the claimed one first among equals; None if nothing was seen.

    `m` are the draws that were seen, if they could be counted, and `q` how often each label was: it tells apart what
    has equal margins; `once` is whether no label was drawn twice.
    """
    parts = [cell for cell in cells if cell.part != HITS and cell.labels.size]
    seen, empty = [cell for cell in parts if cell.measured > 0], [cell for cell in parts if not cell.measured > 0]
    used = [cell for cell in seen if cell.decisive] or seen
    hits = [cell for cell in cells if cell.part == HITS]
    if not used:
        return None
    fits = [
        _fit(scheme, used, seen, empty, hits, prior, m is None and scheme is not claimed)
        for scheme in _candidates(prior, claimed, m, hits, once)
    ]
    found = [fit for fit in fits if fit is not None]
    if not found:
        return None
    best = min(fit.distance for fit in found)
    near = [fit for fit in found if fit.distance <= best + 1e-3 or fit.agrees]
    # Equal margins by another sampler: the law that was seen decides, then the order.
    return min(
        near, key=lambda fit: (not fit.agrees, round(fit.distance, 3) if not fit.agrees else 0, _off(fit, prior, q))
    )


def _off(fit: Fit, prior: LabelPrior, q: Floats | None) -> float:
    if q is None:
        return 0.0
    law = np.exp(fit.scheme.sampler.log_law(Problem(np.zeros(prior.n_labels), prior, 0)))
    return round(float(np.abs(law - q).sum()), 1)


def _candidates(
    prior: LabelPrior, claimed: Scheme | None, m: int | None, hits: Sequence[Cell], once: bool
) -> Iterator[Scheme]:
    kept = any(cell.measured > 0 for cell in hits)
    if claimed is not None and not claimed.sampler.needs_scores:
        yield claimed
    if m == prior.n_labels - 1 and once:
        for margin in (Softmax(), LogitAdjusted(), Equalised()):
            yield Scheme(Uniform(), ForMargin(margin), m=EVERY, hits="mask")
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


def _fit(
    scheme: Scheme,
    cells: Sequence[Cell],
    seen: Sequence[Cell],
    empty: Sequence[Cell],
    hits: Sequence[Cell],
    prior: LabelPrior,
    free: bool,
) -> Fit | None:
    try:
        scheme, p, known = _margins(scheme, cells, [cell.positive for cell in (*cells, *empty, *hits)], prior, free)
    except ValueError:  # undefined here: a label that cannot be drawn, a positive of prior 0
        return None
    logs, agrees = [], True
    for cell in seen:
        row = p[cell.positive]
        expected = float(row[cell.labels].sum() - row[cell.positive] * (cell.positive in cell.labels))
        expected += cell.hits_in * float(row[cell.positive])
        if not expected > 0:
            return None
        if cell in cells:
            logs.append(np.log(cell.measured / expected))
        if cell.part not in BY_SCORE:
            agrees &= cell.low <= expected * NEARLY and expected <= cell.high * NEARLY
    for cell in empty:
        agrees &= float(p[cell.positive][cell.labels].sum()) <= cell.high * NEARLY
    for cell in hits:
        expected = float(p[cell.positive][cell.positive])
        agrees &= (cell.low <= expected <= cell.high) if expected > 0 else not cell.measured > 0
    return Fit(name_of(scheme, known), scheme, float(np.sqrt(np.mean(np.square(logs)))), bool(agrees), known)


def _margins(
    scheme: Scheme, cells: Sequence[Cell], positives: Sequence[int], prior: LabelPrior, free: bool
) -> tuple[Scheme, dict[int, Floats], bool]:
    """m w q of each positive, (L,), and whether m is known; where it is `free` and matters, by the m that fits best."""
    f = np.zeros(prior.n_labels)

    def of(scheme: Scheme) -> dict[int, Floats]:
        return {y: np.exp(log_expected_weights(scheme, Problem(f, prior, y))) for y in set(positives)}

    p = of(scheme)
    if not free:
        return scheme, p, True
    ratio = float(
        np.median([cell.measured / max(float(p[cell.positive][cell.labels].sum()), 1e-300) for cell in cells])
    )
    doubled = of(replace(scheme, m=2 * scheme.m))
    # Margins go with m where a factor was lost, and with its square where it was put in twice.
    power = next((k for k in (1, 2) if all(np.allclose(doubled[y], 2**k * p[y]) for y in p)), 0)
    if not power:
        return scheme, p, False
    again = replace(scheme, m=max(1, min(round(scheme.m * ratio ** (1 / power)), 10**9)))
    return again, of(again), True
