"""Hard negatives under audit: labels whose weight is the same in every evaluation, beside those that are drawn."""

from __future__ import annotations

import numpy as np

from implicitloss.auditing.finding import Flaw, Note
from implicitloss.auditing.pilot import Pilot
from implicitloss.auditing.question import Question
from implicitloss.hard import POSITIVES, HardNegatives
from implicitloss.labels import Floats, Labels
from implicitloss.samplers import Uniform
from implicitloss.scheme import Scheme
from implicitloss.weightings import Importance

__all__ = ["notes_on_hard", "seen_hard", "wrong_weight"]

# Beside tolerance and rounding, a weight that never varies may be off by this part.
WEIGHT_ERROR = 0.01
# Weights are alike within this; hard negatives count more than others from this factor on.
SAME_WEIGHT, ALIKE_FROM = 1e-4, 1.5
# Measured margins that lie so far from 1 are not said to be those of softmax over all labels.
OFF_FROM = 0.1
UNBIASED = "for softmax over all labels, hard negatives have a weight of 1"


def seen_hard(question: Question, pilot: Pilot) -> HardNegatives | None:
    """The hard negatives: labels that always count, while others are drawn; None if there are none.

    They must be the best by the given scores: a label that is nearly always drawn, and once, looks the same.  Draws of
    them count too, overlap "keep", if their weight was seen to vary.
    """
    always, scores = pilot.always, question.scores
    k = max(labels.size for labels in always)
    if scores is None or not 0 < k < question.prior.n_labels - 1:
        return None
    problems = [question.problem(y) for y in question.positives]
    least = [w[:, labels].min(axis=0) for w, labels in zip(pilot.weights, always, strict=True)]
    weight = float(f"{np.median(np.concatenate(least)):.5g}")
    is_fixed = all(map(np.array_equal, always, pilot.fixed))
    for positives in POSITIVES:
        hard = HardNegatives(k, weight=weight, overlap="mask" if is_fixed else "keep", positives=positives)
        pairs = zip(problems, always, strict=True)
        if all(np.array_equal(np.sort(hard.labels(problem)), labels) for problem, labels in pairs):
            return hard
    return None


def notes_on_hard(question: Question, pilot: Pilot, p: Floats, seen: HardNegatives | None) -> list[Note]:
    """What was seen of hard negatives, beside the first positive; `p` (rows, L) are the margins that were measured."""
    hard = question.claim.hard or (() if seen is None else pilot.always)
    slips = _last_label(question, pilot)
    if not hard or not hard[0].size:
        return slips
    y, labels = question.positives[0], hard[0]
    is_seen = set(labels.tolist()) <= set(pilot.fixed[0].tolist())
    others = np.setdiff1d(np.arange(question.prior.n_labels), [*labels, *question.problem(y).positives])
    weight, ratio = (
        float(pilot.weights[0][:, labels].min()),
        float(p[0, others].mean() / max(p[0, labels].mean(), 1e-300)),
    )
    draws = "and draws of them do not count" if is_seen else "and more where they are drawn too"
    said = (
        f"beside the positive {question.prior.name(y)}, {labels.size} hard negatives have a weight of {weight:.4g}, "
        f"{draws}; another label counts {ratio:.3g} times as often, in the mean"
    )
    if not weight > 0:
        missing = int(np.sum(~np.isin(labels, pilot.always[0])))
        said = (
            f"beside the positive {question.prior.name(y)}, {missing} of the {labels.size} hard negatives that are "
            "claimed do not always count"
        )
    notes = [Note("hard negatives", said), *slips, *_weighed_alike(question, pilot, labels, others, weight, ratio)]
    scheme = question.scheme
    if scheme is not None and scheme.hard is not None:
        return notes + _unbiased(scheme, question, labels)
    off = not (np.allclose(p[0, labels], 1.0, atol=OFF_FROM) and abs(ratio - 1) < OFF_FROM)
    if question.claims_softmax and off:
        said = (
            f"{UNBIASED}, draws of them do not count, and other draws weigh 1/(m q), q the law that is drawn from "
            "(uniform draws: the number of labels that it has, over m)"
        )
        notes.append(Note("hard negatives", said))
    elif question.claims_softmax and is_seen:
        slip = labels.size / max(others.size, 1)
        notes += _unseen(question, slip, "draws from all other labels alike") if slip > 0 else []
    return notes


def _unseen(question: Question, slip: float, what: str) -> list[Note]:
    """A note where weights that count the hard negatives too would not be told from right ones."""
    if slip >= question.tolerance + question.resolution:
        return []
    said = (
        f"if the weights of {what} counted the hard negatives too, they would be {slip:.1%} larger: this is not seen "
        f"at a resolution of {question.resolution:.0%}; pass resolution={max(slip / 3, 1e-3):.1g}"
    )
    return [Note("hard negatives", said)]


def wrong_weight(question: Question, pilot: Pilot, rounding: float) -> tuple[Flaw, ...]:
    """The flaw of hard negatives that weigh another thing than is claimed; no chance is in a weight that never varies.

    Groups of labels may hide it: hard negatives are few.
    """
    scheme = question.scheme
    if scheme is None or scheme.hard is None or scheme.hard.overlap == "keep":
        return ()
    claimed, allowed = scheme.hard.weight, question.tolerance + WEIGHT_ERROR + rounding
    for row, labels in enumerate(question.claim.hard):
        if not labels.size or not np.isin(labels, pilot.fixed[row]).all():
            continue
        weights = pilot.weights[row][0, labels]
        worst = int(np.argmax(np.abs(np.log(weights / claimed))))
        if abs(weights[worst] / claimed - 1) > allowed:
            positive, label = (question.prior.name(j) for j in (question.positives[row], int(labels[worst])))
            said = (
                f"beside the positive {positive}, the hard negative {label} has a weight of {weights[worst]:.4g}, and "
                f"{claimed:.4g} is claimed"
            )
            return (Flaw("hard negatives", said),)
    return ()


def _last_label(question: Question, pilot: Pilot) -> list[Note]:
    """Whether the last label always counts, and is neither claimed nor among the best: -1 was taken for a label."""
    scores, y, always = question.scores, question.positives[0], pilot.always[0]
    last = question.prior.n_labels - 1
    if scores is None or last == y or last not in always:
        return []
    if question.claim.hard:
        expected = question.claim.hard[0]
    else:  # the best labels, as many as always count
        order = np.argsort(-scores, kind="stable")
        expected = order[~np.isin(order, question.problem(y).positives)][: always.size]
    if last in expected or not set(always.tolist()) - {last} <= set(expected.tolist()):
        return []
    said = (
        f"the last label, {question.prior.name(last)}, always counts, and is none of the best: is the -1 of an empty "
        "slot taken for it? Write hard = hard[hard >= 0]"
    )
    return [Note("hard negatives", said)]


def _weighed_alike(
    question: Question, pilot: Pilot, labels: Labels, others: Labels, weight: float, ratio: float
) -> list[Note]:
    """Whether one draw weighs what a hard negative does, where softmax over all labels is claimed."""
    drawn = others[pilot.drawn[0][:, others].any(axis=0)]
    if not question.claims_softmax or not drawn.size or ratio > 1 / ALIKE_FROM:
        return []
    if not np.allclose(pilot.one_draw[0, drawn], weight, rtol=SAME_WEIGHT):
        return []
    said = (
        f"a draw weighs {weight:.4g}, as a hard negative does: hard negatives then count {1 / ratio:.3g} times as "
        "often as other labels, where softmax over all labels counts each once"
    )
    return [Note("hard negatives", said)]


def _unbiased(scheme: Scheme, question: Question, labels: Labels) -> list[Note]:
    """The weights of draws that give softmax over all labels, and whether the usual slip in them is seen."""
    hard, n_labels = scheme.hard, question.prior.n_labels
    assert hard is not None
    counts = hard.overlap == "keep" or scheme.hits == "keep"
    again = (hard.overlap == "exclude") * labels.size
    problem = question.problem(question.positives[0])
    right = (scheme.hits == "exclude") * problem.positives.size
    drawn = n_labels - right - again
    left_out = "".join(f" - {n}" for n in (right, again) if n)
    weight = "1/(m q) with the q that is drawn from, without the labels that are drawn again"
    if isinstance(scheme.sampler, Uniform):
        weight = f"{f'(L{left_out})' if left_out else 'L'}/m = {drawn / scheme.m:.4g}"
    if counts:
        said = f"{UNBIASED}, draws of them and of positives do not count, and other draws weigh {weight}"
        return [Note("hard negatives", said)]
    notes = [Note("hard negatives", f"{UNBIASED}, and draws {weight}")]
    assert question.scores is not None
    q = np.exp(scheme.log_law(problem))
    off = 1.0 - float(q[labels].sum()) - (scheme.hits == "exclude") * float(q[problem.positives].sum())
    slip = float(q[labels].sum()) / max(off, 1e-300)
    return notes + (_unseen(question, slip, "draws") if isinstance(scheme.weighting, Importance) else [])
