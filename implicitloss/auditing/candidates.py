"""Which schemes may be the one that was measured, in the order in which equals are named."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from implicitloss import samplers, weightings
from implicitloss.auditing.fit import M_OF_ALL_LABELS, Fit
from implicitloss.auditing.fitting import Fitting
from implicitloss.auditing.question import Question
from implicitloss.auditing.slips import (
    SLIPS,
    Added,
    Corrected,
    CountedAsIndependent,
    KeptDuplicates,
    OtherNumber,
    Padded,
    Slip,
    Survivors,
    corrections,
    wrong_laws,
)
from implicitloss.draws import design
from implicitloss.hard import HardNegatives
from implicitloss.margins import Equalised, LogitAdjusted, Margin, Softmax
from implicitloss.samplers import LogUniform, Power, Sampler, Uniform, WithinBatch
from implicitloss.scheme import MOST_NEGATIVES, Scheme
from implicitloss.weightings import Constant, ForMargin, Importance, Unit

__all__ = ["NEAR_M", "Candidates"]

# Another number than m is taken off if their logarithms differ by this.
NOT_THE_NUMBER = 0.05
# An m that was fitted is that of the claim within this factor.
NEAR_M = 1.25
# The logarithm of a number that is added to q is looked for between these.
LOG_EPSILONS = (math.log(1e-9), math.log(10.0))


@dataclass(frozen=True, eq=False)
class Candidates:
    """The schemes that may be named: the claimed one, losses over all labels, named schemes, slips, fitted ones."""

    question: Question
    fitting: Fitting
    none_drawn: bool

    def fits(self) -> list[Fit]:
        """How well each fits; those that are undefined here are left out."""
        fits = [fit for scheme in self.named() if (fit := self.fitting.fit(scheme)) is not None]
        return fits if self.none_drawn else [*fits, *self.fitting.fitted()]

    def claimed(self) -> Fit | None:
        """How well the claimed scheme fits; None where more was drawn than is claimed."""
        scheme = self._claimed_scheme
        return None if scheme is None else self.fitting.fit(scheme)

    @property
    def _claimed_scheme(self) -> Scheme | None:
        scheme = self.question.scheme
        if scheme is None or scheme.sampler.needs_scores:
            return None
        hard = max((labels.size for labels in self.question.claim.hard), default=0)
        _, most = design(scheme.draws).sizes(self.question.prior.n_labels, scheme.m)
        return None if self.fitting.m is not None and self.fitting.m > most + hard else scheme

    def named(self) -> Iterator[Scheme]:
        """The claimed scheme, losses over all labels, named schemes, then slips."""
        claimed, prior = self.question.scheme, self.question.prior
        if self._claimed_scheme is not None:
            yield self._claimed_scheme
        if self.none_drawn:
            over_all: list[Any] = [ForMargin(margin) for margin in (Softmax(), LogitAdjusted(), Equalised())]
            for weighting in (*over_all, *(slip for slip in SLIPS if isinstance(slip.target, LogitAdjusted))):
                yield Scheme(Uniform(), weighting, m=M_OF_ALL_LABELS, hits="mask")
            return  # what draws nothing has no sampler
        # Among equals the first is named: these first, then all others that do not look at the scores.
        laws: list[Any] = [WithinBatch(), Uniform(), Power(0.75), LogUniform()]
        if claimed is not None and claimed.sampler not in laws and not claimed.sampler.needs_scores:
            laws.insert(0, claimed.sampler)
        # One with a law q of its own covers its own labels.
        others = [sampler for sampler in samplers.examples() if not hasattr(sampler, "q")]
        laws += [sampler for sampler in others if not sampler.needs_scores and sampler not in laws]
        # Importance weights first among equals.
        named = sorted(weightings.examples(), key=lambda weighting: not isinstance(weighting, Importance))
        named = [weighting for weighting in named if type(weighting) is not ForMargin]
        if self.fitting.hard is not None:
            # Most are drawn uniformly beside hard negatives: the first of those with equal margins.
            yield from self._each(sorted(laws, key=lambda law: not isinstance(law, Uniform)), named)
            return
        slips = [replace(slip, temperature=self.question.temperature) for slip in SLIPS if self._may_be(slip)]
        first = [slip for slip in slips if slip.needs_target or self._is_claimed(slip.target)]
        rest = [slip for slip in slips if slip not in first]
        numbers: list[Any] = [Survivors(Constant()), Survivors(Importance())] if "mask" in self.fitting.hits else []
        own: list[Any] = [] if claimed is None or claimed.sampler.needs_scores else [claimed.sampler]
        yield from self._each(laws, first)
        if claimed is not None and claimed.hits == "mask":
            yield from self._each(own, numbers)
        if claimed is not None and isinstance(claimed.weighting, Importance):
            yield from self._of_other_number([law for law in own if not isinstance(law, Uniform)])
        yield from self._each(laws, named)
        yield from self._each(laws, rest)
        yield from self._each(laws, [Padded(weighting) for weighting in named])
        if self.fitting.m is not None:
            yield from self._of_other_number(laws)
        yield from self._each(laws, list(corrections(prior, [law for law in laws if not isinstance(law, Uniform)])))
        # A law has one slip only if it is drawn from and not corrected by itself.
        drawn: list[Any] = [Unit(), Constant()]
        drawn += [Corrected(law, f"log(m q) taken off with the q of {law}") for law in laws[:1]]
        yield from self._each(wrong_laws(prior), drawn)
        yield from self._of_designs(laws, named)
        yield from self._of_more_than_q([law for law in laws if not isinstance(law, Uniform)])
        if self.fitting.hits == ("keep",):
            yield from self._each(laws, [KeptDuplicates(weighting) for weighting in named])

    def _of_designs(self, laws: Sequence[Any], named: Sequence[Any]) -> Iterator[Scheme]:
        """The weights under designs that bring no label twice.

        How many draws made a set, or how likely coins are, is known from the claim, or from how many labels came.
        """
        claimed = self.question.scheme
        naive: Any = CountedAsIndependent()
        designs = sorted(self.fitting.designs, key=lambda name: claimed is None or name != claimed.draws)
        for scheme in self._each(laws, [*named, naive]) if designs else ():
            by_number = self._draws_of_a_set(scheme) if designs != ["distinct"] else None
            for drawn in designs:
                of_set = [] if claimed is None else [claimed.m]
                of_set += [] if by_number is None or by_number in of_set else [by_number]
                for m in [self.fitting.draws] if drawn == "distinct" else of_set:
                    _, most = design(drawn).sizes(self.question.prior.n_labels, m)
                    if self.fitting.m is None or self.fitting.m <= most:
                        yield replace(scheme, m=m, draws=drawn)

    def _draws_of_a_set(self, scheme: Scheme) -> int | None:
        """The m of which Σ_y' 1 - (1 - q_y')^m is the number of different labels that came, in the mean."""
        from scipy.optimize import brentq

        laws = []
        for y in self.question.positives:
            problem = self.question.problem(y)
            laws.append(np.exp(scheme.sampler.log_law(problem)))
            laws[-1][problem.positives] = 0.0
        q, n = np.minimum(laws, 1 - 1e-12), self.fitting.n_different

        def more(log_m: float) -> float:
            return float(-np.expm1(math.exp(log_m) * np.log1p(-q)).sum() / len(laws)) - n

        most = math.log(MOST_NEGATIVES // 2)
        return round(math.exp(brentq(more, 0.0, most))) if more(0.0) < 0 < more(most) else None

    def _of_other_number(self, laws: Sequence[Any]) -> Iterator[Scheme]:
        """Importance weights with a number in place of m that is fitted, where it is another."""
        sums = self.fitting.parts.sums
        for scheme in self._each(laws, [Importance()]):
            try:
                ratios = np.exp(sums.log_measured) / np.maximum(sums.expected(self.fitting.margins(scheme)), 1e-300)
            except ValueError:  # a label that cannot be drawn
                continue
            k = scheme.m / float(np.median(ratios[sums.is_used]))
            # Without any number it is a slip of another name.
            if abs(np.log(k)) > NOT_THE_NUMBER and abs(np.log(k / scheme.m)) > NOT_THE_NUMBER:
                weighting: Any = OtherNumber(k)
                yield replace(scheme, weighting=weighting)

    def _of_more_than_q(self, laws: Sequence[Any]) -> Iterator[Scheme]:
        """Weights 1/(m (q + ε)), with the ε that fits best, where there are enough parts to tell."""
        if len(self.fitting.parts.apart) < 3:
            return
        for scheme in self._each(laws, [Importance()]):

            def with_more(log_epsilon: float, scheme: Scheme = scheme) -> Scheme:
                weighting: Any = Added(math.exp(log_epsilon))
                return replace(scheme, weighting=weighting)

            try:
                found = self.fitting.best(with_more, *LOG_EPSILONS)
            except ValueError:  # a label that cannot be drawn
                continue
            if found is not None:
                yield found[0]

    def is_odd(self, fit: Fit) -> bool:
        """Whether the m that was fitted is unlikely: more draws than labels, or a slip with one draw, which is none.

        The claimed number is not.
        """
        if self.fitting.m is not None or fit.scheme is self.question.scheme or not fit.m_known:
            return False
        if self._is_near_claimed(fit.scheme.m):
            return False
        m = fit.scheme.m
        return self.question.prior.n_labels < m < M_OF_ALL_LABELS or (fit.slip is not None and m == 1)

    def is_guessed(self, fit: Fit) -> bool:
        """Whether draws that were not seen are others than those that are claimed, or unlikely ones."""
        is_all = fit.scheme.m == M_OF_ALL_LABELS
        other = self.question.scheme is not None and not is_all and not self._is_near_claimed(fit.scheme.m)
        return self.is_odd(fit) or (self.fitting.m is None and other)

    def _is_near_claimed(self, m: int) -> bool:
        """Whether so many draws are about as many as the scheme that is claimed has."""
        return self.question.scheme is not None and 1 / NEAR_M <= m / self.question.scheme.m <= NEAR_M

    def _is_claimed(self, target: Margin) -> bool:
        """Whether these margins are claimed, and are others than those of softmax."""
        return not isinstance(target, Softmax) and self._has_margins(target)

    def _may_be(self, slip: Slip) -> bool:
        """Whether a slip can be one here."""
        return not slip.needs_target or self._has_margins(slip.target)

    def _has_margins(self, target: Margin) -> bool:
        p, prior = self.question.claim.margins, self.question.prior
        if p is None:
            return False
        with np.errstate(all="ignore"):
            return all(
                np.allclose(np.delete(p[row], own), np.delete(np.exp(target.log_margin(prior, y)), own))
                for row, y in enumerate(self.question.positives)
                for own in [self.question.problem(y).positives]
            )

    def _each(self, laws: Sequence[Any], weights: Sequence[Any]) -> Iterator[Scheme]:
        for sampler in laws:
            for weighting in weights:
                if isinstance(weighting, Slip) and self._says_nothing_of_slips(sampler):
                    continue
                for mode in self.fitting.hits:
                    if mode in (weighting.hits if isinstance(weighting, (Slip, Survivors)) else self.fitting.hits):
                        for hard in self._overlaps:
                            yield Scheme(sampler, weighting, m=self.fitting.draws, hits=mode, hard=hard)

    @property
    def _overlaps(self) -> tuple[HardNegatives | None, ...]:
        """The hard negatives, in the modes that may be: where draws of them were not seen to count, none was told."""
        hard = self.fitting.hard
        if hard is None or hard.overlap == "keep":
            return (hard,)
        return replace(hard, overlap="exclude"), replace(hard, overlap="mask")

    def _says_nothing_of_slips(self, sampler: Sampler) -> bool:
        """Whether any slip would fit: with uniform draws its margins are all equal, and m, if not known, is fitted."""
        claimed = self.question.scheme
        is_claimed = claimed is not None and claimed.sampler == sampler
        return self.fitting.m is None and isinstance(sampler, Uniform) and not is_claimed
