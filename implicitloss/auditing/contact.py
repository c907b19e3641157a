"""First contact with a loss: does it depend on the scores, repeat its answer, have its form and its own gradient?

One file: the questions of the first calls, in the order in which they are asked.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar, runtime_checkable

import numpy as np

from implicitloss.auditing.batch_mask import masks_by_the_batch
from implicitloss.auditing.blackbox import COARSEST
from implicitloss.auditing.box import MOST_VALUE, Box, Call
from implicitloss.auditing.decode import FLAW_FROM_ROUNDINGS
from implicitloss.auditing.exact import use_of_rng
from implicitloss.auditing.finding import Flaw, Note, Observed
from implicitloss.auditing.largest import constant_logit, large_scores
from implicitloss.auditing.precision import of_digits, rounding
from implicitloss.auditing.probe import NotRepeatedError, probed
from implicitloss.auditing.question import Question
from implicitloss.auditing.rows import rows_of_others
from implicitloss.auditing.slips import PADDING
from implicitloss.auditing.state import keeps_state

__all__ = ["AsksInBatches", "Contact", "HasDirections", "TakesBoundedScores", "first_contact"]

# Batches in which faults between rows are looked for: a few per cent of such faults do not show in one.
BATCHES_BETWEEN_ROWS = 3
# Directions along which gradients are compared with differences of values.
DIRECTIONS = 8
# Of a label that is more than this share of the draws it is not said that its loss is 0, and a label whose law is not
# known may be as much.  The least share that is assumed, and the examples of a call.
MOST_OF_THE_DRAWS, LEAST_SHARE, EXAMPLES_OF_ZERO = 0.99, 0.1, 16
SCORES_A_CALL = 1 << 18
# A loss does not depend on the scores if it was the same at so many sets of them, and two more.
SETS_OF_SCORES = 98
# A loss is a mean over a call if all examples have the same in so many calls more.
SAME_IN_CALLS = 8
# Until the values of a call change, so many other seeds are asked: a hit may be all that changes them.
SEEDS_OF_DRAWS = 16
# A second part of the answer equals the scores, or sums to 1, within this.
EQUAL = 1e-5
# Scores of other labels are moved so far up, in temperatures, where a loss takes any: weights of 1e-10 are seen.
UP = 30.0
# The forms that a loss of two directions may seem to have, if it is said to have one, and the other way round.
OF_DIRECTIONS = ("scaled", "another form", "unknown form")
# The step of differences in half precision, and the size of a rounding error in them that is no flaw.
COARSE_STEP, COARSE_ROUNDINGS = 0.25, 8.0
# Positives of a coarse loss are scored higher by the logarithm of their sum of weights, at most this.
MOST_LIFT = 8.0

# What is said of a loss whose answers repeat when they should not, or do not when they should.
SAME_DRAWS = (
    "the answer is the same whatever the rng, but examples that change places have other losses: the loss draws the "
    "same labels in every call (is a seed set inside it?), or it depends on the row"
)
SOME_LABELS = (
    "the answer was the same for every seed, and some labels never counted: the loss draws the same labels in every "
    "call (is a seed set inside it?), or it has no other candidates. Its margins are those of these labels"
)
NO_NEGATIVES = (
    "the loss depends on no score but the positive's: the scores of all other labels were changed, and it stayed the "
    "same. It has no negatives"
)
SAME_ANSWERS = "the answer was the same for every seed: the loss draws nothing, or a seed is set inside it"
LOOKS_AT_SCORES = (
    "other labels are drawn at other scores, and so what the loss optimises depends on the scores: pass those to audit "
    "at as scores="
)
ITEMS_FIRST = (
    "; if items are scored against the queries of a batch, and not queries against its items, exchange the two: "
    "in_batch(lambda queries, items, labels: loss(items, queries, labels), ...)"
)
KEEPS_STATE = (
    "the loss keeps state between calls: its answer depends on what was asked before (a queue, a memory bank, a "
    "running estimate or count). An audit needs independent calls: pass reset=, a function that is called before each "
    "call and puts the state back, or make the loss anew in each call"
)

# A loss follows a score if it moves by more than this part of itself: by less it may be rounded.
FOLLOWS = 0.02
# A call is repeated so often, each time after another one: what is remembered of that may be the same by chance.
REPEATS = 3

_Said = TypeVar("_Said", Flaw, Note)


@runtime_checkable
class AsksInBatches(Protocol):
    """A loss whose adapter asks it in batches, and can say where one row depends on another."""

    def flaws_between_rows(self, temperature: float, rng: np.random.Generator) -> Iterable[Flaw]:
        """The flaws between the rows of a batch."""
        ...


@runtime_checkable
class HasDirections(Protocol):
    """An in-batch loss: queries are scored against items, or items against queries, or both."""

    def directions(self, temperature: float, rng: np.random.Generator) -> str:
        """What may be wrong with the directions that the loss is said to have, from queries to items and back."""
        ...


@runtime_checkable
class TakesBoundedScores(Protocol):
    """A loss that has values for small scores alone, as one of cosines may be."""

    def largest_spread(self) -> float:
        """The standard deviation that random scores may have, inf if any."""
        ...


@dataclass(frozen=True)
class Contact:
    """What the first calls showed: has the loss gradients, does it repeat its answer, can it be audited on?

    `question` is the one that is left: a temperature that was found is part of it.
    """

    question: Question
    has_gradients: bool
    repeats: bool
    draws_nothing: bool
    can_go_on: bool
    observed: Observed


def first_contact(question: Question, box: Box) -> Contact:
    """Ask a few times.  *Raises* ValueError for a loss that does not depend on the scores, or has no gradient."""
    box.spread = _spread(question, box)
    call = _call(box, box.new_seed())
    box.check_size(call.answer.values, MOST_VALUE)
    _check_moves(box, call)
    negative = _negative(question, call)
    has_gradients = call.answer.gradients is not None
    between = _between_rows(question, box)
    if between:
        return Contact(question, has_gradients, True, False, False, Observed(flaws=between))
    for _ in range(REPEATS):
        other = _call(box, box.new_probe())
        again = box.called(call.scores, call.positive, call.seed)
        if not np.array_equal(call.answer.values, again.values):
            return _of_no_repeats(question, box, call, other, negative)
    notes: list[Note] = []
    flaws = [*(rows_of_others(question, box) or masks_by_the_batch(question, box))]
    flaws = flaws or _no_negatives(question, box) or _ignored_labels(question, box, call)
    if flaws:
        return Contact(question, has_gradients, True, False, False, Observed(flaws=tuple(flaws)))
    _measure_rounding(question, box, call)
    if question.scores is not None:
        compared = "gradients were not compared with differences of the values, and " if has_gradients else ""
        said = f"draws and weights may depend on the given scores, so {compared}the form of the loss was not probed"
        said += "" if has_gradients else "; values show weights at other scores, and draws may be others there"
        notes.append(Note("given scores", said))
        flaws += [] if negative is None else [negative]
    else:
        try:
            question, flaws, notes = _probed_form(question, box, call, negative, notes)
            flaws, notes = [_directed(question, box, f) for f in flaws], [_directed(question, box, n) for n in notes]
        except NotRepeatedError:
            return _of_no_repeats(question, box, call, other, negative)
        if notes and notes[-1].kind == "looks at scores":
            return Contact(question, has_gradients, True, False, False, Observed(notes=tuple(notes)))
        if box.is_bounded and flaws and not has_gradients:  # values show margins at large scores alone
            return Contact(question, False, True, False, False, Observed(flaws=tuple(flaws), notes=tuple(notes)))
        if has_gradients and all(flaw.lets_go_on for flaw in flaws):
            wrong = _wrong_gradient(question, box)
            _check_is_gradient(call, wrong is not None)
            flaws += [] if wrong is None else [wrong]
    if box.factors is not None or box.pays is not None:  # the first answer still has what was divided out since
        call = replace(call, answer=box.called(call.scores, call.positive, call.seed))
    use = use_of_rng(question, box, call)
    if use == "same draws":
        flaws = [Flaw("same draws", SAME_DRAWS), *flaws]
    elif use == "unknown":
        notes = [Note("same answers", SAME_ANSWERS), *notes]
    elif use == "some labels" and all(flaw.lets_go_on for flaw in flaws):
        notes = [Note("ignores rng", SOME_LABELS), *notes]
    can_go_on = all(flaw.lets_go_on for flaw in flaws)
    return Contact(
        question, has_gradients, True, use == "none", can_go_on, Observed(flaws=tuple(flaws), notes=tuple(notes))
    )


def _of_no_repeats(question: Question, box: Box, call: Call, other: Call, negative: Flaw | None) -> Contact:
    """The contact with a loss that answers the same call differently."""
    has_gradients = call.answer.gradients is not None
    flaws = () if negative is None else (negative,)
    if keeps_state(box, call, other):
        # In-batch losses whose memory is a queue of items have the one thing more.
        queue = "; for a queue of items, in_batch(..., warmup=) fills it before each example"
        said = f"{KEEPS_STATE}{queue if hasattr(box.loss_fn, 'warmup') else ''}"
        return Contact(
            question, has_gradients, False, False, False, Observed(flaws=flaws, notes=(Note("keeps state", said),))
        )
    box.rounding = of_digits(box, call.answer)  # nothing repeats, and so rounding cannot be measured
    said = (
        "the loss does not repeat its answer for the same rng: it draws from a generator of its own. Its form was not "
        "probed" + ("; its values were audited by themselves too" if has_gradients else "")
    )
    notes = (Note("does not repeat", said),)
    return Contact(question, has_gradients, False, False, not flaws, Observed(flaws=flaws, notes=notes))


def _spread(question: Question, box: Box) -> float:
    """The standard deviation of random scores, in temperatures: 1, or what the loss takes."""
    if not isinstance(box.loss_fn, TakesBoundedScores):
        return 1.0
    return min(1.0, box.loss_fn.largest_spread() / question.temperature)


def _call(box: Box, seed: int) -> Call:
    """A call at fresh scores, whose values may have any size."""
    scores, positive, _ = box.scores(2, seed)
    return Call(scores, positive, box.called(scores, positive, seed), seed)


def _measure_rounding(question: Question, box: Box, call: Call) -> None:
    """Measure the rounding error, with the positive's score lifted where it is that of half precision.

    Hits and weights are decoded from 1 + h + S, and rounding hides what is small beside it: S should be about 1.
    """
    is_free = question.scores is None and question.form == "softmax"
    lift = question.temperature * np.clip(call.answer.values, 0.0, MOST_LIFT) * is_free
    found = rounding(question, box, call.scores, call.positive, lift)
    box.rounding = max(found, of_digits(box, call.answer))
    if not box.is_coarse or question.scores is not None or question.form != "softmax":
        return
    by_positive = np.median(call.answer.values.reshape(len(question.positives), -1), axis=1)
    box.lift = np.clip(by_positive, 0.0, MOST_LIFT)
    scores, positive, _ = box.scores(2, call.seed)
    answer = replace(box.ask(scores, positive, call.seed), eps=call.answer.eps)
    box.rounding = max(rounding(question, box, scores, positive), of_digits(box, answer), 2 * COARSEST)


def _probed_form(
    question: Question, box: Box, call: Call, negative: Flaw | None, notes: list[Note]
) -> tuple[Question, list[Flaw], list[Note]]:
    """Probe the form; divide out what can be divided out."""
    found, remark = probed(question, box)
    if found is None:
        box.check_size(call.answer.values)
    if remark is not None:
        notes = [*notes, Note("bounded", remark)]
        # -log(1 + ε), where all probabilities are 1; each term of a logistic loss may have its guard.
        terms = 1 if question.form == "softmax" else question.prior.n_labels
        if call.answer.values.min() >= -2 * terms * box.cut_off:
            negative = None
    large = large_scores(question, box) if found is None and not box.is_bounded else None
    is_another = found is not None and found.kind == "another form" and not box.is_bounded
    if (is_another or large is not None) and (constant := constant_logit(question, box)) is not None:
        return question, [Flaw("another form", constant)], notes
    if large is not None:
        notes = [*notes, Note("large scores", large)]
    if found is None or (found.kind == "another form" and negative is not None):
        return question, [] if negative is None else [negative], notes
    if not found.is_certain and question.scheme is None and _draws_move(question, box):
        return question, [], [*notes, Note("looks at scores", LOOKS_AT_SCORES)]
    # The draws of a scheme that is claimed do not look at the scores, and their form is that of the claim.
    if not found.is_certain and question.scheme is None and _may_look_at_scores(box, call):
        unless = "Unless draws or weights depend on the scores, the loss has no margins: no claim passes"
        said = f"{found.sentence}. {unless}. No scheme is named"
        return question, [] if negative is None else [negative], [*notes, Note("unknown form", said)]
    if not found.can_be_undone:
        return question, [Flaw(found.kind, found.sentence)], notes
    if found.factors is not None:
        box.factors = found.factors
    if found.pays is not None:
        box.pays = found.pays
    if found.temperature is not None:
        question = replace(question, temperature=question.temperature * found.temperature)
        box.question = question
        box.spread = _spread(question, box)
        if box.is_coarse:  # scores of another size are rounded by another amount
            _measure_rounding(question, box, _call(box, box.new_probe()))
    said = f"{found.sentence}; this was divided out, and the rest is said of the loss without it"
    if question.claim.margins is None:
        return question, [], [*notes, Note(found.kind, said)]
    return question, [Flaw(found.kind, said)], notes


def _draws_move(question: Question, box: Box) -> bool:
    """Whether other labels have a gradient at other scores, with the same seed: the draws look at the scores.

    A loss that draws nothing chooses among its negatives, and that is its form.
    """
    moves = False
    draws = False
    for _ in range(DIRECTIONS):
        seed = box.new_probe()
        scores, positive, generator = box.scores(2, seed)
        moved = scores + question.temperature * generator.standard_normal(scores.shape)
        here, there = (box.called(f, positive, seed) for f in (scores, moved))
        if here.gradients is None or there.gradients is None:
            return False
        moves |= bool(np.any((here.gradients != 0) != (there.gradients != 0)))
        draws |= not np.array_equal(here.values, box.called(scores, positive, box.new_probe()).values)
    return moves and draws


def _may_look_at_scores(box: Box, call: Call) -> bool:
    """Whether the loss draws, and has no gradients that would say which labels were drawn.

    Importance weights of draws by the model's own probabilities give values that differ by their hits alone.
    """
    if call.answer.gradients is not None:
        return False
    others = (box.called(call.scores, call.positive, box.new_probe()).values for _ in range(SEEDS_OF_DRAWS))
    return any(not np.array_equal(call.answer.values, other) for other in others)


def _check_is_gradient(call: Call, is_wrong: bool) -> None:
    """*Raises* ValueError for a second part of the answer that is no gradient at all."""
    given = call.answer.gradients
    assert given is not None
    apart = given - call.scores
    if np.all(np.ptp(apart, axis=1) <= EQUAL * np.ptp(call.scores, axis=1)):
        got = "the scores themselves (logits)" if np.allclose(apart, 0, atol=EQUAL) else "the scores, moved"
    elif is_wrong and np.all(given >= 0) and np.allclose(given.sum(axis=1), 1, atol=EQUAL):
        got = "numbers that sum to 1 (probabilities)"
    else:
        return
    raise ValueError(
        "the second part of the answer must be the gradient of each loss in the scores, (B, L), but it is "
        f"{got}: return the losses alone, or use an adapter that takes gradients, e.g. implicitloss.adapters.torch"
    )


def _between_rows(question: Question, box: Box) -> tuple[Flaw, ...]:
    """The flaws between the rows of a batch, of a loss that an adapter asks in batches."""
    if not isinstance(box.loss_fn, AsksInBatches):
        return ()
    generator = question.generator(2)
    for _ in range(BATCHES_BETWEEN_ROWS):
        flaws = tuple(box.loss_fn.flaws_between_rows(question.temperature * box.spread, generator))
        if flaws:
            return flaws
    return ()


def _directed(question: Question, box: Box, said: _Said) -> _Said:
    """What was said of the form; and of the directions of an in-batch loss that it may come from."""
    loss_fn = box.loss_fn
    if not isinstance(loss_fn, HasDirections) or question.form != "softmax" or said.kind not in OF_DIRECTIONS:
        return said
    more = loss_fn.directions(question.temperature * box.spread, question.generator(3))
    return replace(said, sentence=f"{said.sentence}. {more[0].upper()}{more[1:]}") if more else said


def _check_moves(box: Box, call: Call) -> None:
    """*Raises* ValueError for a loss that gives the same number whatever the scores."""
    values = call.answer.values
    if values.size > 1 and np.ptp(values) == 0 and np.ptp(call.scores) > 0:
        _check_no_mean(box, call)
        # Masked hits alone give the same number for a while.
        seeds = (box.new_seed(), *(box.new_probe() for _ in range(SETS_OF_SCORES)))
        if all(np.array_equal(np.unique(_call(box, seed).answer.values), np.unique(values)) for seed in seeds):
            raise ValueError(
                f"the loss must depend on the scores, but it was {values[0]:.6g} for every example at "
                f"{len(seeds) + 1} sets of random scores{ITEMS_FIRST * isinstance(box.loss_fn, HasDirections)}"
            )


def _check_no_mean(box: Box, call: Call) -> None:
    """*Raises* ValueError for a loss that is the same for all examples of a call, and another in the next."""
    more = [_call(box, box.new_probe()).answer.values for _ in range(SAME_IN_CALLS)]
    if (
        box.question.scores is None
        and all(np.ptp(values) == 0 for values in more)
        and len({*map(float, np.array(more)[:, 0])}) > 1
    ):
        raise ValueError(
            f"the losses of one call must differ, but all {call.positive.size} examples had "
            f"{call.answer.values[0]:.6g}: if it is their mean, wrap it in implicitloss.adapters.one_by_one"
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


def _no_negatives(question: Question, box: Box) -> list[Flaw]:
    """The flaw of a loss that follows the positive's score, and stays the same when all others move.

    Where all draws are hits a softmax loss follows no score, but for rounding, so that one call tells.  A logistic loss
    follows the positive's: calls are counted there as for ignored labels, and the law of the draws has to be claimed.
    """
    claimed, is_softmax = question.claim.margins, question.form == "softmax"
    if question.scores is not None or (claimed is not None and not claimed.any()):
        return []
    share = max(_share_of_draws(question, y) for y in question.positives)
    if not is_softmax and (question.scheme is None or share > MOST_OF_THE_DRAWS):
        return []
    before, up = box.probes, question.temperature * (UP if box.spread == 1.0 else 0.0)
    calls = SETS_OF_SCORES if is_softmax else _calls_of_hits(question, share)
    for _ in range(calls):
        seed = box.new_probe()
        scores, positive, generator = box.scores(2, seed)
        own = np.arange(scores.shape[1]) == positive[:, None]
        other = question.temperature * box.spread * generator.standard_normal(scores.shape)
        here = box.probe(scores, positive, seed)
        # A loss without values there is not known to stay the same.
        if not np.array_equal(here, box.probe(np.where(own, scores, up + other), positive, seed)):
            break
        if is_softmax:
            moved = box.probe(np.where(own, other, scores), positive, seed)
            if np.isfinite(moved).all() and np.any(np.abs(here - moved) > FOLLOWS * np.abs(here)):
                return [Flaw("no negatives", NO_NEGATIVES)]
    else:
        return [] if is_softmax else [Flaw("no negatives", NO_NEGATIVES)]
    box.probes = before  # other probes have the seeds that they had
    return []


def _calls_of_hits(question: Question, share: float) -> int:
    """How many calls of nothing but hits are so unlikely that a probe may refute by them."""
    return math.ceil(math.log(question.error_of_a_probe) / math.log(max(share, LEAST_SHARE)))


def _ignored_labels(question: Question, box: Box, call: Call) -> list[Flaw]:
    """A flaw for each positive, and for label 0, whose loss is 0 whatever the scores, as with an `ignore_index`.

    Masked hits alone give 0 too.  The examples of a call may share their draws, and so calls are counted: one of masked
    hits alone has a probability of at most the positive's share of the draws.
    """
    found: list[Flaw] = []
    # Label 0 is often taken for padding; that it is one, and has no counts, is right.
    padding = [0] if question.prior.probabilities[0] > 0 else []
    for y in dict.fromkeys([*question.positives, *padding]):
        share = _share_of_draws(question, y)
        if np.any(call.answer.values[call.positive == y]) or share > MOST_OF_THE_DRAWS:
            continue
        a_call = max(2, min(EXAMPLES_OF_ZERO, SCORES_A_CALL // question.prior.n_labels))
        for _ in range(_calls_of_hits(question, share)):
            seed = box.new_probe()
            positive = np.full(a_call, y, dtype=np.intp)
            normal = np.random.default_rng([2, seed]).standard_normal((a_call, question.prior.n_labels))
            if np.any(box.called(question.temperature * box.spread * normal, positive, seed).values):
                break
        else:
            said = f"the loss of label {question.prior.name(y)} is 0: is it the ignore_index / padding?"
            found.append(Flaw("ignored label", said, PADDING if y == 0 else None))
    return found


def _share_of_draws(question: Question, y: int) -> float:
    """The share of an example's positives among draws, by the claimed scheme or their frequency.

    Where none is claimed, it is large.
    """
    problem = question.problem(y)
    share = float(question.prior.probabilities[problem.positives].sum())
    if question.scheme is None:
        return max(share, MOST_OF_THE_DRAWS)
    return max(share, float(np.exp(question.scheme.log_law(problem)[problem.positives]).sum()))


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
        step_size = COARSE_STEP if box.is_coarse else size if is_double else 0.05
        h = question.temperature * box.spread * step_size
        ends = [box.ask(scores + sign * h * step, positive, seed).values for sign in (1, -1)]
        assert answer.gradients is not None
        differences += ((ends[0] - ends[1]) / (2 * h)).tolist()
        slopes += np.sum(answer.gradients * step, axis=1).tolist()
    scale = max(float(np.sqrt(np.mean(np.square(slopes)))), float(np.sqrt(np.mean(np.square(differences)))), 1e-12)
    # A draw may change now and then; the median of each positive is not affected.
    apart = np.abs(np.subtract(differences, slopes)).reshape(-1, len(question.positives))
    off = float(np.median(apart, axis=0).max()) / scale
    if box.is_coarse:
        limit = 0.05 + COARSE_ROUNDINGS * box.rounding / (2 * h * scale)
    if off <= (limit if is_double or box.is_coarse else 1e-2):
        return None
    ratio = float(np.dot(slopes, differences) / np.dot(differences, differences))
    return Flaw(
        "wrong gradient",
        f"the gradient is not that of the value: along random directions it is {ratio:.4g} times the difference of "
        f"the values, and off by {off:.2g} of its size (if draws or corrections depend on the scores and the gradient "
        "holds them fixed, give the scores to audit at: scores=)",
    )
