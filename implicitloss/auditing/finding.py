"""The finding of an audit, as data: verdict, comparisons, measured margins, the nearest scheme, flaws and notes.

One file: each part of a finding, and how it follows from what was observed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Self

import numpy as np

from implicitloss.auditing.box import Box
from implicitloss.auditing.candidates import NEAR_M
from implicitloss.auditing.comparison import HITS, NO_COUNT, Comparison, Result
from implicitloss.auditing.draw_statistics import DrawStatistics
from implicitloss.auditing.fit import Fit, name_of
from implicitloss.auditing.forms import Kind
from implicitloss.auditing.nearest import nearest
from implicitloss.auditing.question import MOST_RUNS_A_POSITIVE, Question
from implicitloss.auditing.silent import never_counted
from implicitloss.auditing.slips import Page, Survivors, slips_of
from implicitloss.auditing.slopes import Slopes, slopes
from implicitloss.auditing.tally import Measured
from implicitloss.hard import HardNegatives
from implicitloss.labels import LabelPrior
from implicitloss.margins import Softmax
from implicitloss.optima.population import MOST_WITHOUT_REPETITION, Of, is_separable
from implicitloss.optima.tilt import Gains, gains_of, near_tilt
from implicitloss.scheme import Scheme

__all__ = ["Finding", "Flaw", "Naming", "Note", "Observed", "Tilt"]

# Tilts are over all labels that occur, up to so many; where weights are no product a_y b_y', over so many of these.
MOST_TILTED_LABELS, MOST_PAIRED_LABELS, MOST_TILTED_DIFFERENT = 5_000, 100, 300
# An estimate of the runs that decide is so much larger than what is needed by the widths that were measured.
SPARE_RUNS = 1.5

FlawKind = Literal[
    "negative loss", "wrong gradient", "same draws", "depends on the row", "depends on other queries", "one direction",
    "ignored label", "no negatives", "hard negatives", "other positives", "positives of the batch", Kind,
]  # fmt: skip
NoteKind = Literal[
    "ignores rng", "given scores", "shared negatives", "dependent examples", "does not repeat", "keeps state",
    "no negatives", "never counted", "looks at scores", "another law", "another number of draws", "drawn twice",
    "coarse", "bounded", "unknown form", "draws nothing", "same answers", "rows tried", "single labels",
    "number of rows", "no count", "hard negatives", "other positives", "large scores", "observed tries", Kind,
]  # fmt: skip
# A loss with one of these still has margins: those of its gradient, or of what is left when a factor is divided out.
HAS_MARGINS = (
    "wrong gradient", "hard negatives", "other positives", "scaled", "class-weighted", "temperature", "gBCE",
)  # fmt: skip


@dataclass(frozen=True)
class Flaw:
    """A property of the loss that contradicts its form or its gradient: a `kind`, and a sentence for the reader.

    `page` is that of the common slip that it is, if it is one.
    """

    kind: FlawKind
    sentence: str
    page: Page | None = None

    @property
    def lets_go_on(self) -> bool:
        """Whether the loss has margins all the same."""
        return self.kind in HAS_MARGINS

    def __str__(self) -> str:
        return self.sentence


@dataclass(frozen=True)
class Note:
    """An observation that the reader of a verdict should know: a `kind`, and a sentence.

    `page` is that of the common slip that it is, if it is one.
    """

    kind: NoteKind
    sentence: str
    page: Page | None = None

    def __str__(self) -> str:
        return self.sentence


@dataclass(frozen=True)
class Tilt:
    """Slopes of the optimal scores on log π where all labels are equally likely, over `labels` of them.

    `bound` is that of the implicit loss, and `true` that of the expected sampled loss, or None where the number of
    draws is not known.  At 0 the scores are log η, as softmax over all labels teaches; at -1 they are log η - log π.
    """

    bound: float
    true: float | None
    labels: int


@dataclass(frozen=True, eq=False)
class Observed:
    """What one stage of an audit found; the sum of two has the comparisons, flaws and notes of both, in order."""

    comparisons: tuple[Comparison, ...] = ()
    flaws: tuple[Flaw, ...] = ()
    notes: tuple[Note, ...] = ()
    margins: Measured | None = None
    draw_statistics: DrawStatistics | None = None
    draws_nothing: bool = False
    hard: HardNegatives | None = None

    @property
    def is_of_unknown_form(self) -> bool:
        """Whether the loss is of another form, unless its draws or weights depend on the scores."""
        return any(note.kind == "unknown form" for note in self.notes)

    def __add__(self, other: Observed) -> Observed:
        return Observed(
            self.comparisons + other.comparisons, self.flaws + other.flaws,
            tuple(dict.fromkeys(self.notes + other.notes)), self.margins or other.margins,
            self.draw_statistics or other.draw_statistics, self.draws_nothing or other.draws_nothing,
            self.hard or other.hard,
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Naming:
    """What margins may be called, and what that says of the loss: worked out when it is asked for, as no verdict is.

    `pooled` is how many negatives of an in-batch loss would count if each counted in every row.  The scheme that was
    claimed is looked at then: a part of one's own that has changed since the audit is another one.
    """

    question: Question
    observed: Observed
    pooled: int | None = None

    def __getstate__(self) -> dict[str, Any]:
        """What was observed, and not what was worked out: slips hold functions, which cannot be pickled."""
        return {name: vars(self)[name] for name in ("question", "observed", "pooled")}

    @cached_property
    def nearest(self) -> Fit | None:
        """The scheme that fits, or None."""
        return _nearest(self.question, self.observed)

    @cached_property
    def slopes(self) -> Slopes | None:
        """Those of the margins on label frequency, where no scheme agrees."""
        agrees = self.nearest is not None and self.nearest.agrees
        return None if agrees else _slopes(self.question, self.observed)

    @cached_property
    def slips(self) -> tuple[Page, ...]:
        """The pages of common slips, provided that the draws are those of `nearest` where they are assumed."""
        decisive = [c for c in self.observed.comparisons if c.decisive]
        holds = bool(decisive) and all(c.result(self.question.tolerance) == "holds" for c in decisive)
        # What is as claimed is not to be mended, though a slip may be as near.
        found = _pages(self.observed.flaws) or (() if holds else _slips(self.question, self.nearest))
        return found + _pages(self.observed.notes)

    @property
    def draws_assumed(self) -> bool:
        """Whether the draws were not seen, and no scheme with the same sampler is claimed."""
        return self.nearest is not None and _is_assumed(self.question, self.nearest, self.observed)

    @property
    def fixes_softmax(self) -> bool:
        """Whether the lines of `slips` make the margins those of softmax, and others are claimed."""
        scheme = None if self.nearest is None else self.nearest.scheme
        is_of_softmax = scheme is not None and isinstance(getattr(scheme.weighting, "target", None), Softmax)
        return is_of_softmax and self.question.claim.margins is not None and not self.question.claims_softmax

    @cached_property
    def notes(self) -> tuple[Note, ...]:
        """What was noted, and what follows from the comparisons and from the nearest scheme."""
        question, comparisons = self.question, self.observed.comparisons
        found = self.observed.notes + self._never_counted + _of_no_count(comparisons)
        return found if self.pooled is None else found + _pooled(question, self.pooled, self.nearest)

    @property
    def _never_counted(self) -> tuple[Note, ...]:
        """A note on labels that never counted, of parts that are known to count less than is claimed.

        Where the nearest scheme agrees, and has them count too seldom to be seen, there is no question.
        """
        # Rows that are lost take their labels with them.
        of_rows = any(flaw.kind == "depends on the row" for flaw in self.observed.flaws)
        if of_rows or (self.nearest is not None and self.nearest.agrees):
            return ()
        said = never_counted(self.observed.comparisons, self.question.tolerance, self.question.prior)
        return () if said is None else (Note("never counted", said),)


@dataclass(frozen=True, eq=False, repr=False)
class Finding:
    """What an audit found of `loss`.

    `verdict` is "holds", "refuted", "inconclusive", or "measured" where nothing was claimed.  `margins` are p_yy',
    (rows, L), of the `positives`, if the loss has gradients; `hits` p_yy, (rows,); `comparisons` the parts that were
    compared with the claim; `flaws` contradict the form of the loss or its gradient; `naming` is what its margins may
    be called; `package` is what it is written in.
    """

    verdict: Result
    loss: str
    claim: str
    positives: tuple[int, ...]
    comparisons: tuple[Comparison, ...]
    margins: Measured | None
    hits: Measured
    draw_statistics: DrawStatistics | None
    flaws: tuple[Flaw, ...]
    naming: Naming
    prior: LabelPrior
    tolerance: float
    resolution: float
    error: float
    seed: int | list[int]
    calls: int
    form: str
    package: str = "numpy"

    @classmethod
    def of(cls, question: Question, box: Box, observed: Observed) -> Self:
        """Make the finding that follows from all that was observed.

        Parameters
        ----------
        question : Question
            What was asked.
        box : Box
            The loss, with the number of calls.
        observed : Observed
            What all stages observed.

        Returns
        -------
        Finding
            An instance of this class.
        """
        comparisons = observed.comparisons
        route = "value" if observed.margins is None else "gradient"
        of_hits = [c for c in comparisons if c.part == HITS and c.route == route]
        hits = Measured(*(np.array([getattr(c, name) for c in of_hits]) for name in ("measured", "low", "high")))
        return cls(
            verdict=_verdict(question, observed), loss=box.name,
            claim=question.claim.name if question.scheme is None else name_of(question.scheme),
            positives=question.positives, comparisons=comparisons, margins=observed.margins, hits=hits,
            draw_statistics=observed.draw_statistics, flaws=observed.flaws,
            naming=Naming(question, observed, getattr(box.loss_fn, "pooled", None)), prior=question.prior,
            tolerance=question.tolerance, resolution=question.resolution, error=question.error, seed=question.root,
            calls=box.calls, form=question.form,
            package=str(getattr(box.loss_fn, "package", "numpy")),
        )  # fmt: skip

    @property
    def nearest(self) -> Fit | None:
        """The scheme of this package, or the common slip, that fits best; None if none fits within a factor of 1.3."""
        return self.naming.nearest

    @property
    def slopes(self) -> Slopes | None:
        """Where none agrees: log p_yy' = a + b log π_y' + c log π_y, fitted to the measured margins."""
        return self.naming.slopes

    @property
    def slips(self) -> tuple[Page, ...]:
        """The common slips that the loss has, if its margins are those of one: what each does, and what to write."""
        return self.naming.slips

    @property
    def draws_assumed(self) -> bool:
        """Whether the draws of `nearest` were neither seen nor claimed: others with other weights have its margins."""
        return self.naming.draws_assumed

    @property
    def notes(self) -> tuple[Note, ...]:
        """What the reader should know besides."""
        return self.naming.notes

    @property
    def ok(self) -> bool:
        """Whether the claim holds."""
        return self.verdict == "holds"

    @property
    def has_margins(self) -> bool:
        """Whether anything was measured: a loss of another form has no margins, and one that keeps state is left."""
        return bool(self.comparisons)

    @property
    def known_to(self) -> float:
        """The largest relative distance that the true margins of a decisive part can have from the claim."""
        parts = [c for c in self.comparisons if c.decisive and c.claimed and c.part != HITS]
        return max((c.known_to for c in parts), default=float("inf"))

    @property
    def open(self) -> list[Comparison]:
        """The decisive comparisons that are open, those that need most evaluations first."""
        found = [c for c in self.comparisons if c.decisive and c.result(self.tolerance) == "inconclusive"]
        return sorted(found, key=lambda c: -c.runs_needed(self.tolerance))

    @property
    def runs_needed(self) -> int | None:
        """The approximate number of `runs` that should decide an inconclusive audit; None if that cannot be said."""
        if self.verdict != "inconclusive" or not self.open:
            return None
        needed = SPARE_RUNS * self.open[0].runs_needed(self.tolerance)
        if not needed <= MOST_RUNS_A_POSITIVE:
            return None
        digit = 10 ** max(int(np.log10(needed)) - 1, 0)
        return math.ceil(needed / digit) * digit

    @property
    def failures(self) -> list[Comparison]:
        """The refuted comparisons, the worst first."""
        found = [c for c in self.comparisons if c.result(self.tolerance) == "refuted"]
        return sorted(found, key=lambda c: -c.off_by)

    @cached_property
    def tilt(self) -> Tilt | None:
        """How the optimal scores depend on label frequency; None where no scheme fits or it has no such optimum.

        It is known for softmax losses only.
        """
        if self.nearest is None or not self.nearest.agrees or self.form != "softmax":
            return None
        scheme, prior = self.nearest.scheme, self.prior
        if prior.n_occurring < prior.n_labels or prior.n_labels > MOST_TILTED_LABELS:
            prior = prior.few(min(prior.n_occurring, MOST_TILTED_LABELS))
        known = self.nearest.m_known and not (self.nearest.draws_guessed or self.draws_assumed)
        if scheme.draws != "iid":
            # Of fewer labels as many draws would bring nearly all.
            if prior.n_labels > MOST_WITHOUT_REPETITION:
                return None
            known &= scheme.draws != "distinct" or prior.n_labels <= MOST_TILTED_DIFFERENT
        elif prior.n_labels > MOST_PAIRED_LABELS and not is_separable(scheme, prior):
            prior = prior.few(MOST_PAIRED_LABELS)
        bound = _slope(scheme, prior, "implicit")
        if bound is None:
            return None
        return Tilt(bound, _slope(scheme, prior, "sampled") if known else None, prior.n_labels)

    @property
    def gains(self) -> Gains | None:
        """Which labels the true sampled loss favours; None where its tilt is not known."""
        if self.tilt is None or self.tilt.true is None:
            return None
        return gains_of(self.tilt.true)


def _slope(scheme: Scheme, prior: LabelPrior, of: Of) -> float | None:
    try:
        return near_tilt(scheme, prior, of)
    except ValueError:  # the scheme has no optimum, or the prior no rare labels
        return None


def _nearest(question: Question, observed: Observed) -> Fit | None:
    """The nearest scheme; None where the loss has no margins, or may have none."""
    if observed.is_of_unknown_form or any(note.kind == "ignores rng" for note in observed.notes):
        return None
    return nearest(
        question, observed.comparisons, observed.draw_statistics, observed.draws_nothing, observed.hard
    )  # fmt: skip


def _is_assumed(question: Question, fit: Fit, observed: Observed) -> bool:
    """Whether nothing says how labels are drawn but the fit itself: other draws with other weights have its margins."""
    if observed.draw_statistics is not None or observed.draws_nothing:
        return False
    is_claimed = question.scheme is not None and question.scheme.sampler == fit.scheme.sampler
    if isinstance(fit.scheme.weighting, Survivors):  # draws without the positive have the same margins
        return True
    return fit.draws_guessed or fit.fitted is not None or not is_claimed


def _slips(question: Question, fit: Fit | None) -> tuple[Page, ...]:
    """The pages of the slips that a loss has whose margins are those of `fit`."""
    if fit is None or not fit.agrees:
        return ()
    if fit.slip is not None:
        return (fit.slip,)
    p, hits = question.claim.margins, question.claim.hits
    if p is None or hits is None or question.form != "softmax":
        return ()
    # A line that mends all negatives is wrong for hard ones; notes say what those and the draws should weigh.
    return slips_of(fit.scheme, fit.scheme.hard is None and question.claims_softmax, not np.any(hits))


def _pages(seen: Sequence[Flaw | Note]) -> tuple[Page, ...]:
    """The pages of the slips that flaws or notes are."""
    return tuple(one.page for one in seen if one.page is not None)


def _slopes(question: Question, observed: Observed) -> Slopes | None:
    """The slopes of the margins on label frequency; None where the loss has no margins, or may have none."""
    if observed.is_of_unknown_form or any(note.kind == "ignores rng" for note in observed.notes):
        return None
    return slopes(question.prior, observed.comparisons)


def _pooled(question: Question, pooled: int, fit: Fit | None) -> tuple[Note, ...]:
    """A note on further items of an in-batch loss that count in every row, where a row's own are claimed."""
    if fit is None or question.scheme is None:
        return ()
    is_near, is_claimed = (1 / NEAR_M <= m / pooled <= NEAR_M for m in (fit.scheme.m, question.scheme.m))
    if not is_near or is_claimed:
        return ()
    said = (
        f"about as many negatives count as the batch has other items, {pooled}: are the mined negatives of all rows "
        "pooled? Labels that score high for many queries are then in most rows"
    )
    return (Note("hard negatives", said),)


def _of_no_count(comparisons: Sequence[Comparison]) -> tuple[Note, ...]:
    """A note on labels of count 0 that did not count, and are claimed to: no verdict waits for them."""
    silent = [c.labels for c in comparisons if c.part == NO_COUNT and c.claimed and not c.measured > 0]
    if not silent:
        return ()
    said = f"the verdict leaves out {silent[0].size:,} of the labels, whose count is 0, and which never counted"
    return (Note("no count", said),)


def _verdict(question: Question, observed: Observed) -> Result:
    comparisons = observed.comparisons
    results = [c.result(question.tolerance) for c in comparisons]
    if "refuted" in results or (observed.flaws and question.claim.margins is not None):
        return "refuted"
    if question.claim.margins is None:
        return "measured"
    unknown = [c for c, result in zip(comparisons, results, strict=True) if c.decisive and result == "inconclusive"]
    is_known = not unknown and not observed.is_of_unknown_form and _is_complete(question.positives, comparisons)
    return "holds" if is_known else "inconclusive"


def _is_complete(positives: Sequence[int], comparisons: Sequence[Comparison]) -> bool:
    """Whether every positive has a decisive part."""
    return {c.positive for c in comparisons if c.decisive and c.part != HITS} == set(positives)
