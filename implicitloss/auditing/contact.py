"""First contact with a loss: does it depend on the scores, repeat its answer, and have its own gradient?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from implicitloss.auditing.box import Box, Call
from implicitloss.auditing.decode import FLAW_FROM_ROUNDINGS
from implicitloss.auditing.exact import draws_nothing
from implicitloss.auditing.finding import Evidence, Flaw, Note
from implicitloss.auditing.question import Question
from implicitloss.problem import Problem

# Directions along which gradients are compared with differences of values.
DIRECTIONS = 8
# The loss of a label is 0 if it was at this many sets of scores.  That all draws of each were masked hits, for a label
# that is at most this share of the draws, has a probability below 1e-8.
EXAMPLES_OF_ZERO, MOST_OF_THE_DRAWS = 2_000, 0.99
SCORES_A_CALL = 1 << 18


@dataclass(frozen=True)
class Contact:
    """Whether the loss has gradients, repeats its answer for the same rng, draws nothing, and what else was found."""

    has_gradients: bool
    repeats: bool
    draws_nothing: bool
    evidence: Evidence


def first_contact(question: Question, box: Box) -> Contact:
    """Ask a few times.  *Raises* ValueError for a loss that does not depend on the scores."""
    flaws: list[Flaw | None] = []
    notes: list[Note] = []
    call = box.next_call(2)
    _check_moves(box, call)
    flaws.append(_negative(question, call))
    again = box.ask(call.scores, call.positive, call.seed)
    repeats = np.array_equal(call.answer.values, again.values)
    flaws += _ignored_labels(question, box, call)
    ignores_rng = repeats and _ignores_rng(box, call)
    no_draws = ignores_rng and draws_nothing(question, box)
    if ignores_rng and not no_draws:
        notes.append(
            Note(
                "ignores rng",
                "the answer is the same whatever the rng: a loss that sets its own seed draws the same labels every "
                "time",
            )
        )
    has_gradients = call.answer.gradients is not None
    if has_gradients and question.scores is not None:
        notes.append(
            Note(
                "given scores",
                "draws and weights may depend on the given scores, so gradients were not compared with differences of "
                "the values",
            )
        )
    elif has_gradients and repeats:
        flaws.append(_wrong_gradient(question, box))
    found = Evidence(flaws=tuple(flaw for flaw in flaws if flaw is not None), notes=tuple(notes))
    return Contact(has_gradients, repeats, no_draws, found)


def _check_moves(box: Box, call: Call) -> None:
    """*Raises* ValueError for a loss that gives the same number whatever the scores."""
    values = call.answer.values
    if values.size > 1 and np.ptp(values) == 0 and np.ptp(call.scores) > 0:
        other = box.next_call(2).answer.values
        if np.array_equal(np.unique(other), np.unique(values)):
            raise ValueError(
                f"the loss must depend on the scores, but it was {values[0]:.6g} for every example at two sets "
                "of random scores"
            )


def _negative(question: Question, call: Call) -> Flaw | None:
    """The flaw of a negative loss: the terms of both forms are not negative."""
    least = float(call.answer.values.min())
    if least >= -FLAW_FROM_ROUNDINGS * call.answer.eps:
        return None
    return Flaw(
        "negative loss",
        f"the loss is negative, {least:.4g}, but a loss of the {question.form} form cannot be: is its sign wrong, or a "
        "constant subtracted?",
    )


def _ignored_labels(question: Question, box: Box, call: Call) -> list[Flaw | None]:
    """A flaw for each positive whose loss is 0 whatever the scores, as losses with an `ignore_index` have it."""
    found: list[Flaw | None] = []
    for y in question.positives:
        # Masked hits alone give 0 too: of a label that is nearly all that is drawn, nothing is said.
        if np.any(call.answer.values[call.positive == y]) or _share_of_draws(question, y) > MOST_OF_THE_DRAWS:
            continue
        a_call = max(2, SCORES_A_CALL // question.prior.n_labels)
        asked = 0
        while asked < EXAMPLES_OF_ZERO:
            seed = box.new_seed()
            positive = np.full(a_call, y, dtype=np.intp)
            normal = np.random.default_rng([2, seed]).standard_normal((a_call, question.prior.n_labels))
            if np.any(box.ask(question.temperature * normal, positive, seed).values):
                break
            asked += a_call
        else:
            said = f"the loss of label {question.prior.name(y)} is 0: is it the ignore_index / padding?"
            found.append(Flaw("ignored label", said))
    return found


def _share_of_draws(question: Question, y: int) -> float:
    """The share of a label among draws: its frequency, or by the law of the claimed scheme if that is more."""
    share = float(question.prior.probabilities[y])
    if question.scheme is None:
        return share
    f = np.zeros(question.prior.n_labels) if question.scores is None else question.scores
    return max(share, float(np.exp(question.scheme.log_law(Problem(f, question.prior, y))[y])))


def _ignores_rng(box: Box, call: Call) -> bool:
    """Whether another seed gives the same answer."""
    return bool(np.array_equal(call.answer.values, box.ask(call.scores, call.positive, box.new_seed()).values))


def _wrong_gradient(question: Question, box: Box) -> Flaw | None:
    """The flaw of a gradient that differs from differences of the values, on the same draws: no chance is involved."""
    # Draws that depend on the scores hardly change over the small step.  A loss that computes in single precision,
    # whatever the type of its answer, shows its gradient over the larger step only.
    flaw = _gradient_flaw(question, box, 1e-5, 1e-5)
    return flaw if flaw is not None and _gradient_flaw(question, box, 2e-3, 1e-3) is not None else None


def _gradient_flaw(question: Question, box: Box, size: float, limit: float) -> Flaw | None:
    """Compare gradients with differences over steps of `size` (larger ones where answers have single precision)."""
    differences, slopes = [], []
    for _ in range(DIRECTIONS):
        seed = box.new_seed()
        scores, positive, generator = box.scores(1, seed)
        step = np.where(generator.random(scores.shape) < 0.5, -0.5, 0.5)
        answer = box.ask(scores, positive, seed)
        is_double = answer.eps < 1e-12
        h = question.temperature * (size if is_double else 0.05)
        ends = [box.ask(scores + sign * h * step, positive, seed).values for sign in (1, -1)]
        assert answer.gradients is not None
        differences += ((ends[0] - ends[1]) / (2 * h)).tolist()
        slopes += np.sum(answer.gradients * step, axis=1).tolist()
    scale = max(float(np.sqrt(np.mean(np.square(slopes)))), float(np.sqrt(np.mean(np.square(differences)))), 1e-12)
    # A draw may change now and then; the median of each positive is not affected.
    apart = np.abs(np.subtract(differences, slopes)).reshape(-1, len(question.positives))
    off = float(np.median(apart, axis=0).max()) / scale
    if off <= (limit if is_double else 1e-2):
        return None
    ratio = float(np.dot(slopes, differences) / np.dot(differences, differences))
    return Flaw(
        "wrong gradient",
        f"the gradient is not that of the value: along random directions it is {ratio:.4g} times the difference of "
        f"the values, and off by {off:.2g} of its size (if draws or corrections depend on the scores and the gradient "
        "holds them fixed, give the scores to audit at: scores=)",
    )
