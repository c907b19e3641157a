"""The question of an audit: which claim is tested, where, and with what error.  It is checked once, when it is made."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from implicitloss.arguments import as_number, checked_choice, shown
from implicitloss.auditing.claimed import Claim, Claimed, claimed
from implicitloss.auditing.comparison import PILOT_SHARE, Comparison
from implicitloss.labels import NO_LABELS, Floats, LabelPrior, Labels, checked_vector
from implicitloss.numerics.seeds import Seed, root_of
from implicitloss.problem import Problem, checked_others, checked_positive
from implicitloss.scheme import Scheme

__all__ = [
    "FEWEST_PILOT_RUNS", "MOST_EXPONENT", "MOST_RUNS_A_POSITIVE", "PILOT_SHARE", "SCORES_BY_DEFAULT", "Budget", "Form",
    "Question",
]  # fmt: skip

Form = Literal["softmax", "logistic"]
FORMS: tuple[Form, ...] = get_args(Form)
Budget = Literal["full", "quick"]
# The default resolution of each budget, and the part of the default evaluations that it has.
RESOLUTIONS = {"full": 0.25, "quick": 1.0}
SHARES = {"full": 1, "quick": 4}

# Evaluations of each positive: limits of the default, the most that can be asked for, and the least.
FEWEST_BY_DEFAULT, MOST_BY_DEFAULT, MOST_RUNS_A_POSITIVE, FEWEST_RUNS_A_POSITIVE = 400, 20_000, 1_000_000_000, 32
# A pilot takes the `runs` over `PILOT_SHARE`, and at least so many of them.
FEWEST_PILOT_RUNS = 16
# By default an audit evaluates at most this many scores.
SCORES_BY_DEFAULT = 1 << 27
# An audit by values of few labels goes on by default, up to so many scores and to this many times its `runs`: a rare
# label's weight comes seldom, and each evaluation shows one part only.
SCORES_BY_VALUES, MORE_BY_VALUES = 1 << 23, 8
LEAST_ERROR = 1e-300
# Losses and scores lie within this distance of 0: the squares of their exponentials must be finite.
MOST_EXPONENT = 300.0
# Labels within this many ranks of each other count as about equally frequent.
NEAR_RANKS = 3


@dataclass(frozen=True, eq=False)
class Question:
    """What an audit asks.  `Question.of` makes it from the arguments of `implicitloss.audit`, and checks them.

    `claim` is the claim at each of the `positives` (rows,); `scheme` is the claimed scheme, if one is claimed;
    `scores` (L,) are those given, or None for random ones; `other_positives` (n,) are right for the same example;
    `runs` limits the evaluations of each positive, and `most_runs` those of an audit by values that is not decided
    by then; `root` is the seed.
    """

    prior: LabelPrior
    claim: Claimed
    scheme: Scheme | None
    positives: tuple[int, ...]
    scores: Floats | None
    form: Form
    temperature: float
    shift: Floats | float
    tolerance: float
    resolution: float
    largest_contribution: float
    runs: int
    most_runs: int
    error: float
    root: int | list[int]
    other_positives: Labels = field(default_factory=lambda: NO_LABELS)

    @classmethod
    def of(
        cls, *, prior: LabelPrior, claim: Claim, positives: Sequence[int] | None, scores: ArrayLike | None, form: Form,
        temperature: float, shift: ArrayLike, tolerance: float, resolution: float | None, largest_contribution: float,
        runs: int | None, budget: Budget, error: float, rng: Seed, other_positives: ArrayLike = NO_LABELS,
    ) -> Question:  # fmt: skip
        """The question that these arguments ask.  *Raises* ValueError for arguments out of range."""
        if not isinstance(prior, LabelPrior):
            got = shown(prior)
            raise ValueError(f"the prior must be a LabelPrior, e.g. LabelPrior.from_counts(...), got {got}")
        if prior.n_labels < 2:
            raise ValueError("an audit needs at least two labels, got one")
        if not isinstance(form, str) or form not in FORMS:
            raise ValueError(f"form must be 'softmax' or 'logistic', got {shown(form)}")
        name = checked_choice(budget, "budget", tuple(SHARES))
        numbers = _checked_numbers({
            "temperature": temperature, "resolution": RESOLUTIONS[name] if resolution is None else resolution,
            "tolerance": tolerance, "largest_contribution": largest_contribution, "error": error,
        })  # fmt: skip
        rows = _checked_positives(positives, prior)
        others = checked_others(other_positives, prior.n_labels)
        scores_each = len(rows) * prior.n_labels
        more = MORE_BY_VALUES if runs is None else 1
        runs = _checked_runs(runs, scores_each, SHARES[name])
        # Doubled, so that the looks until `runs` are the same.
        doubled = [runs << k for k in range(4) if runs << k <= more * runs]
        most_runs = max([runs, *(n for n in doubled if n * scores_each <= SCORES_BY_VALUES)])
        root = root_of(rng)
        scheme = claim if isinstance(claim, Scheme) else None
        at = None if scores is None else checked_vector(scores, "scores")
        if at is None and scheme is not None and (scheme.sampler.needs_scores or scheme.hard is not None):
            at = _generator(root, 0).standard_normal(prior.n_labels)
        by = _checked_shift(shift)
        for name, vector in (("scores", at), ("shift", by)):
            if vector is not None and vector.ndim and vector.shape != (prior.n_labels,):
                raise ValueError(f"{name} must cover the prior's {prior.n_labels} labels, got shape {vector.shape}")
        far = float(np.max(np.abs((0.0 if at is None else at - at.mean()) / numbers["temperature"] + by)))
        if not far <= MOST_EXPONENT:
            raise ValueError(
                f"scores over the temperature, and the shift, must lie within {MOST_EXPONENT:g} of 0, got {far:.4g}: "
                "exponentials of larger ones cannot be decoded"
            )
        return cls(
            prior, claimed(claim, prior, rows, at, others), scheme, tuple(rows), at, form, shift=by, runs=runs,
            most_runs=most_runs, root=root, other_positives=others, **numbers,
        )  # fmt: skip

    @property
    def claims_softmax(self) -> bool:
        """Whether each negative is claimed to count once, beside each audited positive."""
        p = self.claim.margins
        if p is None:
            return False
        rows = enumerate(self.positives)
        return all(bool(np.allclose(np.delete(p[row], [y, *self.others_of(y)]), 1.0)) for row, y in rows)

    def others_of(self, y: int) -> Labels:
        """The other positives of the example, beside the audited positive y."""
        return self.other_positives[self.other_positives != y]

    def problem(self, y: int) -> Problem:
        """The example with the positive y, at the given scores, or at equal ones."""
        f = np.zeros(self.prior.n_labels) if self.scores is None else self.scores
        return Problem(f, self.prior, y, other_positives=self.others_of(y))

    @property
    def most_frequent(self) -> int:
        """The most frequent of the audited positives."""
        return max(self.positives, key=lambda y: float(self.prior.probabilities[y]))

    @property
    def error_of_limits(self) -> float:
        """The probability with which any limit, at any look, may leave out the truth: 7/8 of the error."""
        return self.error * 7 / 8

    @property
    def error_of_a_probe(self) -> float:
        """The probability with which one probe that draws may find a flaw that is none: all have 1/8 of the error."""
        return self.error / (8 * (len(self.positives) + 6))

    def generator(self, stream: int) -> np.random.Generator:
        """A generator of this audit, for what is chosen once in it."""
        return _generator(self.root, stream)

    def neighbours(self, y: int) -> Labels:
        """The labels whose frequency ranks are nearest to that of `y`."""
        order = self.prior.by_frequency
        at = int(np.flatnonzero(order == y)[0])
        near = np.arange(max(at - NEAR_RANKS, 0), min(at + NEAR_RANKS + 1, order.size))
        return order[near[near != at]]

    def negligible(self, row: int) -> float:
        """Upper limit on the hits of a positive that still passes where none are claimed.

        It is the mean claimed margin of labels about as frequent as the positive.
        """
        p = self.claim.margins
        return 0.0 if p is None else float(p[row, self.neighbours(self.positives[row])].mean())

    def whole(self, row: int) -> float:
        """1 + Σ p_yy' + p_yy as claimed: e^loss of a positive where all scores are equal."""
        p, hits = self.claim.margins, self.claim.hits
        return 0.0 if p is None or hits is None else 1.0 + float(p[row].sum() + hits[row])

    def is_decided(self, comparisons: Sequence[Comparison]) -> bool:
        """Whether further evaluations would leave the verdict as it is."""
        results = [comparison.result(self.tolerance) for comparison in comparisons]
        decided = not any(c.decisive and c.is_open(self.tolerance) for c in comparisons)
        return "refuted" in results or (decided and self.claim.margins is not None)


def _generator(root: int | list[int], stream: int) -> np.random.Generator:
    return np.random.default_rng([stream, *(root if isinstance(root, list) else [root])])


def _checked_numbers(given: dict[str, Any]) -> dict[str, float]:
    """The numbers as floats; *raises* ValueError for one out of its range."""
    found: dict[str, float] = {}
    for name, value in given.items():
        number = as_number(value)
        if number is None:
            raise ValueError(f"the {name} must be a number, got {shown(value)}")
        found[name] = number
    for name, limit in (("temperature", 1e100), ("resolution", math.inf)):
        if not 1 / limit < found[name] < limit:
            raise ValueError(f"the {name} must be a positive number, got {found[name]}")
    if not 0 <= found["tolerance"] < math.inf:
        raise ValueError(f"the tolerance must be a number >= 0, got {found['tolerance']}")
    if not 1 <= found["largest_contribution"] < math.inf:
        raise ValueError(f"largest_contribution must be at least 1, got {found['largest_contribution']}")
    if not LEAST_ERROR <= found["error"] < 1:
        raise ValueError(f"the error must be a probability between 1e-300 and 1, got {found['error']}")
    return found


def _checked_positives(positives: Any, prior: LabelPrior) -> list[int]:
    """The audited positives: those given, or the most frequent label, the median one and the rarest that occurs."""
    if positives is None:
        order = prior.by_frequency[prior.probabilities[prior.by_frequency] > 0]
        return list(dict.fromkeys(int(order[i]) for i in (0, order.size // 2, order.size - 1)))
    is_list = isinstance(positives, np.ndarray) and positives.ndim == 1
    if not (is_list or (isinstance(positives, Sequence) and not isinstance(positives, str))):
        raise ValueError(f"the positives must be labels in a list, got {shown(positives)}")
    rows = [checked_positive(y, prior.n_labels) for y in positives]
    if not rows or len(set(rows)) < len(rows):
        raise ValueError(f"the positives must be labels, each once, got {rows!s:.60}")
    return rows


def _checked_runs(runs: Any, scores_each: int, share: int) -> int:
    """The largest number of evaluations of each positive, a `share`-th of the default if none is given.

    `scores_each` scores go into one evaluation of all.
    """
    if runs is None:
        return max(FEWEST_BY_DEFAULT, min(MOST_BY_DEFAULT, SCORES_BY_DEFAULT // scores_each) // share)
    if isinstance(runs, bool) or not isinstance(runs, (int, np.integer)) or runs < FEWEST_RUNS_A_POSITIVE:
        raise ValueError(f"runs must be a whole number >= {FEWEST_RUNS_A_POSITIVE}, got {shown(runs)}")
    if runs > MOST_RUNS_A_POSITIVE:
        raise ValueError(f"runs must be at most {MOST_RUNS_A_POSITIVE:,}, got {shown(runs)}")
    return int(runs)


def _checked_shift(shift: Any) -> Any:
    """The shift of the scores, (L,), or () if it is one number."""
    is_number = not hasattr(shift, "__len__") or getattr(shift, "ndim", 1) == 0
    vector = checked_vector([shift] if is_number else shift, "shift")
    return vector[0] if vector.size == 1 else vector
