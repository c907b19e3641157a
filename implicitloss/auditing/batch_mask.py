"""Draws that equal the positive of any example in a call: are they left out, and not those of an example's own alone?

The audit asks for few positives, which all stand in a call: the others would seem never to count.
"""

from __future__ import annotations

import math

import numpy as np

from implicitloss.auditing.blackbox import AsksEachAlone
from implicitloss.auditing.box import Box
from implicitloss.auditing.finding import Flaw
from implicitloss.auditing.question import Question
from implicitloss.labels import Labels

__all__ = ["masks_by_the_batch"]

# Calls of so many examples, each of another positive, and at most so many pairs of calls.
LEAST_EXAMPLES, MOST_EXAMPLES, PAIRS = 3, 16, 64
# A pair of calls in which examples follow one half alone has the one that is not in the call so often, at most.
NOT_IN_THE_CALL = 0.6
# Where labels are hardly ever drawn, this many pairs would not be enough: no more are asked after so many of the first.
FIRST_PAIRS, LEAST_OF_THEM = 6, 3
# Labels are scored so far up, in temperatures; a loss follows if it moves by more than this part of itself.
UP, FOLLOWS = 30.0, 0.02
OF_THE_BATCH = (
    "draws are left out that equal the positive of any example in the call, and not only those that equal an example's "
    "own: a label counts the less the more often it is a positive, frequent ones hardly ever in a large batch. Compare "
    "each draw with its own row's positive, neg == pos[:, None]"
)


def masks_by_the_batch(question: Question, box: Box) -> tuple[Flaw, ...]:
    """The flaw of a loss that leaves out the positives of all examples in a call.

    Two calls have the same scores, once with the labels of one half as positives, and once with those of another, which
    are chosen at random.  In each, a half is scored up, but for the examples' own.  If each example looks at its own
    positive alone, a drawn label of the half in the call is scored up for all but one of `size` examples, and one of
    the other half for all.  So a pair of calls in which examples follow the half that is not in the call, and none the
    one that is, has a probability of at most size/(2 size - 1), three in five or less; other pairs have other halves.
    """
    prior = question.prior
    size = min(MOST_EXAMPLES, prior.n_occurring // 2)
    is_free = question.scores is None and not len(question.other_positives) and box.spread == 1.0
    if isinstance(box.loss_fn, AsksEachAlone) or not is_free or size < LEAST_EXAMPLES:
        return ()
    needed, seen = math.log(question.error_of_a_probe) / math.log(NOT_IN_THE_CALL), 0
    before, generator = box.probes, question.generator(4)
    for pair in range(PAIRS):
        seed = box.new_probe()
        halves = generator.permutation(prior.by_frequency[: 2 * size]).reshape(2, size)
        scores = question.temperature * generator.standard_normal((size, prior.n_labels))

        def follow(positive: Labels, raised: Labels, scores: np.ndarray = scores, seed: int = seed) -> int:
            """How many examples follow labels that are scored up."""
            up = scores.copy()
            up[:, raised] += question.temperature * UP
            rows = np.arange(size)
            up[rows, positive] = scores[rows, positive]
            here, there = (box.probe(f, positive, seed) for f in (scores, up))
            return int(np.sum(~(np.abs(there - here) <= FOLLOWS * np.abs(here))))

        if any(follow(half, half) for half in halves):
            break
        seen += bool(follow(halves[0], halves[1]) + follow(halves[1], halves[0]))
        if pair + 1 == FIRST_PAIRS and seen < LEAST_OF_THEM:
            break
        if seen >= needed:
            return (Flaw("positives of the batch", OF_THE_BATCH),)
    box.probes = before  # other probes have the seeds that they had
    return ()
