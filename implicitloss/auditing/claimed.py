"""A claim in numbers: margins, hits and, where a scheme is claimed, the weight of a draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from implicitloss.arguments import shown
from implicitloss.labels import NO_LABELS, Floats, LabelPrior, Labels
from implicitloss.margins import Margin, Softmax, checked_margin, complete_margin
from implicitloss.problem import Problem
from implicitloss.scheme import Scheme
from implicitloss.theory.implicit import log_expected_weights

__all__ = ["Claim", "Claimed", "claimed"]

Claim = Scheme | Margin | ArrayLike | str | None


@dataclass(frozen=True)
class Claimed:
    """The claim at each audited positive.

    `margins` p_yy' (rows, L) are 0 for y itself, and None where nothing is claimed; `hits` are p_yy (rows,); `weights`
    w (rows, L) and `hit_weights` (rows,) are those of one draw, where a scheme is claimed; `hard` are its hard
    negatives, for each row.  An array of margins `is_array`.
    """

    name: str
    margins: Floats | None = None
    hits: Floats | None = None
    weights: Floats | None = None
    hit_weights: Floats | None = None
    hard: tuple[Labels, ...] = ()
    is_array: bool = False


def claimed(
    claim: Claim, prior: LabelPrior, positives: list[int], scores: Floats | None, other_positives: Labels = NO_LABELS
) -> Claimed:
    """The claim at the positives.  *Raises* ValueError for what is no claim, or one about other labels.

    "full" is softmax over all labels, p = 1.  A margin claims that there are no hits.  An array is p, (L, L) or
    (rows, L), with the weight of hits p_yy in the positive's entry.  No label of `other_positives` counts, unless it
    is drawn and hits are kept, or an array says so.
    """
    others = [other_positives[other_positives != y] for y in positives]
    if claim is None:
        return Claimed("nothing")
    if isinstance(claim, str) and claim == "full":
        return _of_margin("full: softmax over all labels", Softmax(), prior, positives, others)
    if isinstance(claim, str):
        raise ValueError(f"a claim in words is 'full', got {shown(claim)}; else give a Scheme, a margin or an array")
    if isinstance(claim, Scheme):
        return _of_scheme(claim, prior, positives, scores, others)
    if hasattr(claim, "log_margin") or isinstance(claim, type):
        margin = checked_margin(claim)  # type: ignore[arg-type]
        tau = getattr(margin, "tau", 1.0)
        name = complete_margin(margin).name + (f", τ = {tau:g}" if tau != 1.0 else "")
        return _of_margin(name, margin, prior, positives, others)
    return _of_array(claim, prior, positives)


def _of_margin(name: str, margin: Margin, prior: LabelPrior, positives: list[int], others: Sequence[Labels]) -> Claimed:
    with np.errstate(over="ignore"):
        p = np.exp([margin.log_margin(prior, y) for y in positives])
    p[np.arange(len(positives)), positives] = 0.0
    for row, labels in enumerate(others):
        p[row, labels] = 0.0
    _check_finite(p, positives)
    return Claimed(name, p, np.zeros(len(positives)))


def _of_scheme(
    scheme: Scheme, prior: LabelPrior, positives: list[int], scores: Floats | None, others: Sequence[Labels]
) -> Claimed:
    f = np.zeros(prior.n_labels) if scores is None else scores
    problems = [Problem(f, prior, y, other_positives=labels) for y, labels in zip(positives, others, strict=True)]
    with np.errstate(over="ignore"):
        p, w = np.exp([_log_margins_and_weights(scheme, problem) for problem in problems]).transpose(1, 0, 2)
    _check_finite(np.maximum(p, w), positives)
    rows = np.arange(len(positives))
    hits, hit_weights = p[rows, positives], w[rows, positives]
    p[rows, positives] = 0.0
    if scheme.hard is None:
        return Claimed(str(scheme), p, hits, w, hit_weights)
    hard = tuple(scheme.hard.labels(problem) for problem in problems)
    return Claimed(str(scheme), p, hits, w, hit_weights, hard)


def _log_margins_and_weights(scheme: Scheme, problem: Problem) -> Floats:
    """log p_yy' and log w, (2, L).  Labels of count 0 that are never drawn need no weight, and have p = 0."""
    if scheme.hard is not None:  # an index returns labels of count 0 too
        return np.array([log_expected_weights(scheme, problem), scheme.plan(problem).log_w])
    prior, occurs = problem.prior, problem.prior.probabilities > 0
    log_law = scheme.sampler.log_law(problem)
    if np.all(occurs) or not occurs[problem.positive] or np.any(np.isfinite(log_law[~occurs])):
        return np.array([log_expected_weights(scheme, problem), scheme.plan(problem).log_w])
    few = LabelPrior.from_probabilities(prior.probabilities[occurs])
    inner = problem.among(occurs, few)
    if not np.allclose(scheme.sampler.log_law(inner), log_law[occurs]):
        return np.array([log_expected_weights(scheme, problem), scheme.plan(problem).log_w])
    found = np.full((2, prior.n_labels), -np.inf)
    found[:, occurs] = log_expected_weights(scheme, inner), scheme.plan(inner).log_w
    return found


def _of_array(claim: Any, prior: LabelPrior, positives: list[int]) -> Claimed:
    try:
        given = np.asanyarray(claim)
    except Exception:  # lists of different lengths, or a framework refuses
        given = np.empty(())
    n = prior.n_labels
    if given.ndim == 0:
        raise ValueError(
            f"a claim is 'full', a Scheme, a margin, an array of margins or None, got {type(claim).__name__}"
        )
    if np.ma.is_masked(given) or given.dtype.kind not in "iuf":
        raise ValueError(
            f"claimed margins must be real numbers, got {'masked ones' if np.ma.is_masked(given) else given.dtype}"
        )
    given = np.asarray(given, dtype=np.float64)
    if given.shape not in ((n, n), (len(positives), n)):
        raise ValueError(
            f"claimed margins must be (L, L) or (rows, L) for the prior's {n} labels and {len(positives)} audited "
            f"positives, got shape {given.shape}"
        )
    p = np.array(given[positives] if given.shape == (n, n) else given)
    _check_finite(p, positives)
    rows = np.arange(len(positives))
    hits = p[rows, positives]
    p[rows, positives] = 0.0
    return Claimed("margins as given", p, hits, is_array=True)


def _check_finite(p: Floats, positives: list[int]) -> None:
    bad = np.argwhere(~(np.isfinite(p) & (p >= 0)))
    if bad.size:
        row, label = bad[0]
        raise ValueError(
            f"claimed margins must be finite and not negative, but p of positive {positives[row]} and label {label} is "
            f"{p[row, label]}"
        )
