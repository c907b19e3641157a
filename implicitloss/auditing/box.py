"""The black box: the loss under audit, asked with fresh scores and fresh seeds; every call is counted."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from implicitloss.arguments import shown
from implicitloss.auditing.blackbox import COARSEST, SINGLE, Answer, AsksEachAlone, LossFunction, ask
from implicitloss.auditing.failure import in_batch_names
from implicitloss.auditing.question import MOST_EXPONENT, Question
from implicitloss.labels import Floats, LabelPrior, Labels

__all__ = ["EPS_OF_ROUNDING", "MOST_VALUE", "Box", "Call", "in_blocks"]

# The largest loss that can be decoded, by form: softmax losses are exponentiated, logistic ones are not.
MOST_VALUE = 1e100
MOST_LOSS = {"softmax": MOST_EXPONENT, "logistic": MOST_VALUE}
# Seeds of probes begin here: those of the evaluations do not depend on how many probes there were.
FIRST_PROBE = 1 << 31
# A measured rounding error bounds that of an answer by this many times, which `ROUNDINGS` of its `eps` make up.
EPS_OF_ROUNDING = 1 / 64
SECONDS_BETWEEN_PROGRESS = 0.1
MOST_WORD = 2**32 - 1


def _way(loss_fn: LossFunction, signature: inspect.Signature) -> str:
    """What to write for a function that takes other arguments."""
    if in_batch_names(loss_fn):
        return "; an in-batch loss needs implicitloss.adapters.in_batch"
    names = [p.name for p in signature.parameters.values() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if len(names) <= 2:
        return (
            "; a loss of PyTorch, TensorFlow or JAX needs its adapter in implicitloss.adapters, and any other "
            f"lambda scores, positive, rng: loss({', '.join(['scores', 'positive'][: len(names)])})"
        )
    return "; give lambda scores, positive, rng: loss(scores, positive, rng, ...) with its other arguments filled in"


@dataclass(frozen=True, eq=False)
class Call:
    """One call of the loss: scores (B, L), positives (B,), the answer, and the seed, by which it can be repeated."""

    scores: Floats
    positive: Labels
    answer: Answer
    seed: int

    @classmethod
    def of(cls, calls: Sequence[Call], rows: int) -> Call:
        """Several calls as one, in blocks, one of each of the `rows`; the seed is the first one's."""
        if len(calls) == 1:
            return calls[0]

        def together(of: Callable[[Call], Any]) -> Any:
            found = in_blocks([of(call) for call in calls], rows)
            return found.reshape(-1, *found.shape[2:])

        slopes = None if calls[0].answer.gradients is None else together(lambda call: call.answer.gradients)
        answer = Answer(together(lambda call: call.answer.values), slopes, max(call.answer.eps for call in calls))
        scores, positive = together(lambda call: call.scores), together(lambda call: call.positive)
        return cls(scores, positive, answer, calls[0].seed)


def in_blocks(calls: Sequence[Any], rows: int) -> Any:
    """The answers of several calls, each (rows * b, ...), as (rows, n, ...)."""
    return np.concatenate([call.reshape(rows, -1, *call.shape[1:]) for call in calls], axis=1)


@dataclass(eq=False)
class Box:
    """The loss, with the number of calls and of seeds that it has had.  *Raises* ValueError for what is no loss.

    `reset` is called before each call.  What is known of the loss after the first contact: the `rounding` error of its
    values, absolute, 0 where it was not measured; the `factors` (L,) by which it is scaled at each positive, which are
    divided out; what the positive of a logistic loss `pays` (L,), whose excess is taken off; the `lift` (rows,) of the
    positives' scores, for losses whose rounding would hide the hits; the `spread` of random scores, in temperatures;
    whether it has values at small scores alone, `is_bounded`; and the probabilities that a guard against log 0 cuts
    off, those below `cut_off`.  Calls that are not repeated go to the `stream`, if there is one.
    """

    loss_fn: LossFunction
    question: Question
    progress: Callable[[int, int], None] | None = None
    reset: Callable[[], object] | None = None
    calls: int = 0
    seeds: int = 0
    probes: int = 0
    rounding: float = 0.0
    factors: Floats | None = None
    pays: Floats | None = None
    lift: Floats | None = None
    spread: float = 1.0
    is_bounded: bool = False
    cut_off: float = 0.0
    stream: LossFunction | None = None
    said_at: float = 0.0

    def __post_init__(self) -> None:
        # A class is called to make something, and not to compute a loss.
        if not callable(self.loss_fn) or isinstance(self.loss_fn, type):
            raise ValueError(f"the loss must be a function (scores, positive, rng), got {shown(self.loss_fn)}")
        if self.progress is not None and not callable(self.progress):
            raise ValueError(f"progress must be a function (done, runs), got {shown(self.progress)}")
        if self.reset is not None and not callable(self.reset):
            raise ValueError(f"reset must be a function without arguments, got {shown(self.reset)}")
        if self.reset is not None and isinstance(self.loss_fn, AsksEachAlone):
            self.loss_fn = self.loss_fn.resetting(self.reset)
        adapted, prior = getattr(self.loss_fn, "prior", None), self.question.prior
        if isinstance(adapted, LabelPrior) and not np.array_equal(adapted.probabilities, prior.probabilities):
            raise ValueError(
                f"the loss was adapted for another prior, of {adapted.n_labels:,} labels, and is audited on one of "
                f"{prior.n_labels:,}: give the adapter and the audit the same"
            )
        try:
            signature = inspect.signature(self.loss_fn)
        except (TypeError, ValueError):  # some built-in functions have no signature
            return
        try:
            signature.bind(None, None, None)
        except TypeError:
            raise ValueError(
                f"the loss must take (scores, positive, rng), but {self.name} takes {signature!s:.60}"
                f"{_way(self.loss_fn, signature)}"
            ) from None

    @property
    def name(self) -> str:
        """The name of the loss in reports."""
        return str(getattr(self.loss_fn, "__qualname__", type(self.loss_fn).__name__)).split("<locals>.")[-1]

    def new_seed(self) -> int:
        """A seed that no call has had."""
        self.seeds += 1
        return self.seeds - 1

    @property
    def is_coarse(self) -> bool:
        """Whether the loss is known to compute in less than single precision."""
        return self.rounding > COARSEST

    @property
    def relative_rounding(self) -> float:
        """Upper limit on the relative error that rounding makes in a decoded weight."""
        return 4 * self.rounding if self.is_coarse else 0.0

    def probe(self, scores: Floats, positive: Labels, seed: int) -> Floats:
        """The values at scores that the evaluations do not reach; nan where the loss has no number there, or fails."""
        try:
            with np.errstate(all="ignore"):
                values = self.called(scores, positive, seed, finite=False).values
        except Exception:
            return np.full(positive.size, np.nan)
        return np.where(np.isfinite(values), values, np.nan)

    def new_probe(self) -> int:
        """A seed for probes: the seeds of the evaluations stay as they are."""
        self.probes += 1
        return FIRST_PROBE + self.probes - 1

    def called(self, scores: Floats, positive: Labels, seed: int, *, finite: bool = True) -> Answer:
        """One call, counted; what is known of the loss is divided out, and its rounding is part of the precision.

        Values may be too large to decode: they are not yet known to be of their form.
        """
        return self._answered(self.loss_fn, scores, positive, seed, finite=finite)

    def open_stream(self) -> None:
        """Let the adapter answer `next_call` faster, if it can: the loss repeats its answers, and is not reset."""
        opened = getattr(self.loss_fn, "stream", None)
        self.stream = None if opened is None or self.reset is not None else opened()

    def _answered(
        self, loss_fn: LossFunction, scores: Floats, positive: Labels, seed: int, *, finite: bool = True
    ) -> Answer:
        self.calls += 1
        if self.reset is not None:
            self.reset()
        answer = ask(loss_fn, scores, positive, self._generator(seed, 1), finite=finite)
        # The precision of half types is measured: their eps would make every answer a rounding error.
        eps = max(min(answer.eps, SINGLE) if self.rounding else answer.eps, EPS_OF_ROUNDING * self.rounding)
        values, slopes = answer.values, answer.gradients
        if self.factors is not None:
            by = self.factors[positive]
            values, slopes = values / by, None if slopes is None else slopes / by[:, None]
        if self.pays is not None:
            rows, question = np.arange(positive.size), self.question
            g = (scores / question.temperature + question.shift)[rows, positive]
            excess = self.pays[positive] - 1.0
            values = values - excess * np.logaddexp(0.0, -g)
            if slopes is not None:
                slopes = slopes.copy()
                slopes[rows, positive] += excess * expit(-g) / question.temperature
        return Answer(values, slopes, eps)

    def ask(self, scores: Floats, positive: Labels, seed: int) -> Answer:
        """Call the loss once, with the generator of `seed`."""
        answer = self.called(scores, positive, seed)
        self.check_size(answer.values)
        return answer

    def check_size(self, values: Floats, limit: float | None = None) -> None:
        """*Raises* ValueError for values that cannot be decoded, or are above the `limit`."""
        form = self.question.form
        limit = MOST_LOSS[form] if limit is None else limit
        if values.max() > limit:
            raise ValueError(
                f"a loss of the {form} form must be at most {limit:g}, got {values.max():.4g}: the weights of its "
                "negatives would overflow"
            )

    def next_call(self, replicas: int) -> Call:
        """Call the loss at fresh scores, with `replicas` examples of each positive, in blocks."""
        seed = self.new_seed()
        scores, positive, _ = self.scores(replicas, seed)
        answer = self._answered(self.stream or self.loss_fn, scores, positive, seed)
        self.check_size(answer.values)
        return Call(scores, positive, answer, seed)

    def scores(self, replicas: int, seed: int) -> tuple[Floats, Labels, np.random.Generator]:
        """The scores (B, L) of a seed, given or normal; the positives (B,); and the generator after the scores."""
        question, generator = self.question, self._generator(seed, 0)
        positive = np.repeat(np.array(question.positives, dtype=np.intp), replicas)
        if question.scores is not None:
            return np.tile(question.scores, (positive.size, 1)), positive, generator
        normal = generator.standard_normal((positive.size, question.prior.n_labels))
        if self.lift is not None:
            normal[np.arange(positive.size), positive] += np.repeat(self.lift, replicas)
        return question.temperature * self.spread * normal, positive, generator

    def say_progress(self, n: int, *, look: bool = True) -> None:
        """Tell the caller that `n` evaluations of each positive are done; between looks, not too often."""
        now = time.monotonic()
        if self.progress is not None and (look or now - self.said_at >= SECONDS_BETWEEN_PROGRESS):
            self.said_at = now
            self.progress(n, self.question.runs)

    def _generator(self, seed: int, stream: int) -> np.random.Generator:
        """The generator of a seed's scores (stream 0), or the one that the loss receives (stream 1).

        That of SeedSequence(root, spawn_key=(seed, stream)), whose words are put together here in half the time.
        """
        words = self._words.copy()
        words[-2:] = seed, stream
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence(words)))

    @cached_property
    def _words(self) -> NDArray[np.uint32]:
        """The words of the root, at least as many as a SeedSequence has in its pool, and two for a spawn key."""
        root = self.question.root
        words = [word for number in (root if isinstance(root, list) else [root]) for word in _words_of(number)]
        pool = np.random.SeedSequence(0).pool_size
        return np.array([*words, *[0] * (pool - len(words)), 0, 0], dtype=np.uint32)


def _words_of(number: int) -> list[int]:
    """The 32-bit words of a number that is not negative, the lowest first."""
    words = [number & MOST_WORD]
    while number := number >> 32:
        words.append(number & MOST_WORD)
    return words
