"""The black box: the loss under audit, asked with fresh scores and fresh seeds; every call is counted."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from implicitloss.arguments import shown
from implicitloss.auditing.blackbox import Answer, LossFunction, ask
from implicitloss.auditing.question import MOST_EXPONENT, Question
from implicitloss.labels import Floats, Labels

# The largest loss that can be decoded, by form: softmax losses are exponentiated, logistic ones are not.
MOST_LOSS = {"softmax": MOST_EXPONENT, "logistic": 1e100}


@dataclass(frozen=True, eq=False)
class Call:
    """One call of the loss: scores (B, L), positives (B,), the answer, and the seed, by which it can be repeated."""

    scores: Floats
    positive: Labels
    answer: Answer
    seed: int


@dataclass(eq=False)
class Box:
    """The loss, with the number of calls and of seeds that it has had.  *Raises* ValueError for what is no loss."""

    loss_fn: LossFunction
    question: Question
    progress: Callable[[int, int], None] | None = None
    calls: int = 0
    seeds: int = 0

    def __post_init__(self) -> None:
        # A class is called to make something, and not to compute a loss.
        if not callable(self.loss_fn) or isinstance(self.loss_fn, type):
            raise ValueError(f"the loss must be a function (scores, positive, rng), got {shown(self.loss_fn)}")
        if self.progress is not None and not callable(self.progress):
            raise ValueError(f"progress must be a function (done, runs), got {shown(self.progress)}")
        try:
            signature = inspect.signature(self.loss_fn)
        except (TypeError, ValueError):  # some built-in functions have no signature
            return
        try:
            signature.bind(None, None, None)
        except TypeError:
            raise ValueError(
                f"the loss must take (scores, positive, rng), but {self.name} takes {signature}; losses of PyTorch, "
                "TensorFlow and JAX need their adapter in implicitloss.adapters"
            ) from None

    @property
    def name(self) -> str:
        """The name of the loss in reports."""
        return str(getattr(self.loss_fn, "__qualname__", type(self.loss_fn).__name__)).split("<locals>.")[-1]

    def new_seed(self) -> int:
        """A seed that no call has had."""
        self.seeds += 1
        return self.seeds - 1

    def ask(self, scores: Floats, positive: Labels, seed: int) -> Answer:
        """Call the loss once, with the generator of `seed`."""
        self.calls += 1
        answer = ask(self.loss_fn, scores, positive, self._generator(seed, 1))
        form, limit = self.question.form, MOST_LOSS[self.question.form]
        if answer.values.max() > limit:
            raise ValueError(
                f"a loss of the {form} form must be at most {limit:g}, got {answer.values.max():.4g}: the "
                "weights of its negatives would overflow"
            )
        return answer

    def next_call(self, replicas: int) -> Call:
        """Call the loss at fresh scores, with `replicas` examples of each positive, in blocks."""
        seed = self.new_seed()
        scores, positive, _ = self.scores(replicas, seed)
        return Call(scores, positive, self.ask(scores, positive, seed), seed)

    def scores(self, replicas: int, seed: int) -> tuple[Floats, Labels, np.random.Generator]:
        """The scores (B, L) of a seed, given or normal; the positives (B,); and the generator after the scores."""
        question, generator = self.question, self._generator(seed, 0)
        positive = np.repeat(np.array(question.positives, dtype=np.intp), replicas)
        if question.scores is not None:
            return np.tile(question.scores, (positive.size, 1)), positive, generator
        normal = generator.standard_normal((positive.size, question.prior.n_labels))
        return question.temperature * normal, positive, generator

    def say_progress(self, n: int) -> None:
        """Tell the caller that `n` evaluations of each positive are done."""
        if self.progress is not None:
            self.progress(n, self.question.runs)

    def _generator(self, seed: int, stream: int) -> np.random.Generator:
        """The generator of a seed's scores (stream 0), or the one that the loss receives (stream 1)."""
        return np.random.default_rng(np.random.SeedSequence(self.question.root, spawn_key=(seed, stream)))
