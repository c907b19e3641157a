"""Random schemes under audit: the true claim is never refuted, a wrong one never holds, and every limit has the truth.

A case is drawn from its number: prior, sampler, weights, hits, m, loss form, by values or by gradients.  Laws and
weights are written out here, and so the truth shares no code with the audit.  An audit errs with probability at most
1e-6 over all of its limits: ten thousand of them fail here with probability below 1e-2.

One file: a case with its loss, its truth and its claims, and the audits of it.

`python tests/auditing/test_random_schemes.py FIRST COUNT` counts the outcomes of so many cases.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import implicitloss as il
from implicitloss.auditing import finding
from implicitloss.auditing.comparison import BY_SCORE, HITS
from implicitloss.labels import Floats, Labels

S, W = il.samplers, il.weightings
# A wrong claim is off by more than this: the resolution of each audit.
RESOLUTION, MOST_OFF = 0.5, 4.0


@dataclass(frozen=True)
class Case:
    """A loss, what is true of it, and what is claimed: `p` (L, L) are the true margins, with hits on the diagonal."""

    number: int
    prior: il.LabelPrior
    scheme: il.Scheme
    law: Floats
    log_w: Floats
    form: Any
    gradient: bool
    shared: bool
    positives: list[int]
    runs: int

    @classmethod
    def drawn(cls, number: int) -> Case:
        """The case of a number."""
        rng = np.random.default_rng([15, number])
        prior = _prior(rng)
        sampler, law = _sampler(prior, rng)
        weighting, hits = int(rng.integers(6)), str(rng.choice(["keep", "mask", "exclude"]))
        m = int(np.exp(rng.uniform(0, np.log(40))))
        # Beside a positive that is all that is drawn, a loss is constant, and refused.
        others = np.flatnonzero(law**m < 0.95)
        positives = rng.choice(others, size=int(rng.integers(1, 3)), replace=False).tolist()
        kind, log_w = _weights(weighting, prior.probabilities, law, m, hits == "exclude")
        scheme = il.Scheme(sampler, kind, m=m, hits=hits)  # type: ignore[arg-type]
        form, gradient = str(rng.choice(["softmax", "softmax", "logistic"])), bool(rng.integers(2))
        runs = int(rng.choice([2_000, 10_000] if gradient else [500, 2_000]))
        return cls(number, prior, scheme, law, log_w, form, gradient, rng.random() < 0.2, positives, runs)

    @property
    def margins(self) -> Floats:
        """The true p_yy' = m q w, (L, L), with hits on the diagonal."""
        p = self.scheme.m * self._laws * np.exp(self.log_w)
        if self.scheme.hits != "keep":
            np.fill_diagonal(p, 0.0)
        return np.asarray(p)

    @property
    def _laws(self) -> Floats:
        """The law of a draw beside each positive, (L, L)."""
        laws = np.tile(self.law, (self.law.size, 1))
        if self.scheme.hits == "exclude":
            np.fill_diagonal(laws, 0.0)
        return np.asarray(laws / laws.sum(axis=1, keepdims=True))

    def __call__(self, scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        """The sampled loss of each example, and its gradient if this is a case with gradients."""
        n, rows = len(positive), np.arange(len(positive))
        u = np.broadcast_to(rng.random((1 if self.shared else n, self.scheme.m)), (n, self.scheme.m))
        below = np.cumsum(self._laws, axis=1)[positive, None, :-1]
        draws = (u[:, :, None] * below[:, :, -1:].clip(1.0) >= below).sum(axis=2)
        a = np.zeros(scores.shape)
        np.add.at(a, (rows[:, None], draws), 1.0)
        a *= np.exp(self.log_w[positive])
        hits = a[rows, positive] * (self.scheme.hits == "keep")
        a[rows, positive] = 0.0
        own = scores[rows, positive]
        if self.form == "softmax":
            x = a * np.exp(scores - own[:, None])
            total = 1.0 + hits + x.sum(axis=1)
            values, slopes = np.log(total), x / total[:, None]
            slopes[rows, positive] = -slopes.sum(axis=1)
        else:
            a[rows, positive] = hits
            values = np.logaddexp(0, -own) + (a * np.logaddexp(0, scores)).sum(axis=1)
            slopes = a / (1 + np.exp(-scores))
            slopes[rows, positive] -= 1 / (1 + np.exp(own))
        return (values, slopes) if self.gradient else values

    def audit(self, claim: Any) -> Any:
        return il.audit(
            self, claim=claim, prior=self.prior, positives=self.positives, form=self.form, runs=self.runs,
            resolution=RESOLUTION, rng=self.number,
        )  # fmt: skip

    def claims(self) -> list[Any]:
        """The true claim and a wrong one: as a scheme, or as an array."""
        rng = np.random.default_rng([16, self.number])
        p = self.margins
        if self.may_be_arrays:
            return [p if rng.random() < 0.4 else self.scheme, self._wrong(p, rng)]
        return [self.scheme]

    @property
    def may_be_arrays(self) -> bool:
        """Whether a draw weighs at most ten times another, and more in proportion to how much rarer its label is.

        An audit assumes this of labels that its pilot never drew, where a claim does not say what a draw weighs.
        """
        pi = self.prior.probabilities
        for y in self.positives:
            others = np.delete(np.arange(pi.size), y) if self.scheme.hits != "keep" else np.arange(pi.size)
            heavier = np.exp(self.log_w[y, others][None, :] - self.log_w[y, others][:, None])
            rarer = np.maximum(1.0, pi[others][:, None] / pi[others][None, :])
            if np.any(heavier > 10 * rarer):
                return False
        return True

    def _wrong(self, p: Floats, rng: np.random.Generator) -> Any:
        """A scheme or margins by which the labels beside one positive, or its hits, are off by the resolution.

        All labels are off in one direction, or by values those of a slice, which is always decisive there.
        """
        off = float(np.exp(rng.choice([-1, 1]) * rng.uniform(np.log(1 + RESOLUTION), np.log(MOST_OFF))))
        kind, y = int(rng.integers(5)), self.positives[int(rng.integers(len(self.positives)))]
        if kind < 2:
            scheme = _with(self.scheme, rng, off)
            other = np.array([_margins_of(scheme, self.prior, self.law, y) for y in range(self.law.size)])
            if any(_is_off(other[y], p[y], y) for y in self.positives) or self._hits_are_off(scheme, other, p):
                return scheme
        wrong = p.copy()
        labels = list(self.prior.slices().values())
        others = np.setdiff1d(labels[int(rng.integers(len(labels)))], [y])
        if kind == 2 and others.size and not self.gradient:
            wrong[y, others] *= off
        elif kind == 3:
            hits = wrong[y, y]
            wrong[y] *= off
            wrong[y, y] = hits
        else:
            wrong[y] *= off
        return wrong

    def _hits_are_off(self, scheme: il.Scheme, other: Floats, p: Floats) -> bool:
        """Whether hits are kept, and said to be removed, beside the most frequent positive; or the other way round.

        Hits that are not claimed may be as many as those of labels about as frequent; others, if they are few.
        """
        y = max(self.positives, key=lambda label: float(self.prior.probabilities[label]))
        if (self.scheme.hits == "keep") == (scheme.hits == "keep"):
            return False
        if scheme.hits == "keep":
            return bool(other[y, y] > 0.011 * (1 + other[y].sum()))
        order = self.prior.by_frequency.tolist()
        at = order.index(y)
        near = [label for label in order[max(at - 3, 0) : at + 4] if label != y]
        return bool(p[y, y] > other[y, near].mean())

    def check(self, report: Any) -> None:
        """The limits of each part have the truth, but for those that say of themselves that they may not."""
        p = self.margins
        for part in report.comparisons:
            if part.exceeds_bound or part.part in BY_SCORE:
                continue
            y = part.positive
            truth = p[y, y] if part.part == HITS else p[y, part.labels].sum()
            rounding = 1e-9 * truth + 1e-12
            assert part.low - rounding <= truth <= part.high + rounding, (self, part, truth)


def _prior(rng: np.random.Generator) -> il.LabelPrior:
    n = int(rng.integers(5, 13))
    kind = int(rng.integers(4))
    if kind == 0:
        return il.LabelPrior.zipf(n, float(rng.uniform(0, 2)))
    if kind == 1:
        return il.LabelPrior.from_counts(rng.permutation(il.LabelPrior.exp(n, 500, float(rng.uniform(2, 400))).counts))
    if kind == 2:
        return il.LabelPrior.from_counts(
            rng.permutation([10 ** int(rng.integers(1, 5))] * (n // 2) + [1] * (n - n // 2))
        )
    return il.LabelPrior.from_probabilities(rng.dirichlet(np.full(n, 0.7)))


def _sampler(prior: il.LabelPrior, rng: np.random.Generator) -> tuple[Any, Floats]:
    """A sampler of the package, and its law by a formula."""
    pi, n = prior.probabilities, prior.n_labels
    rank = np.empty(n)
    rank[prior.by_frequency] = np.arange(1, n + 1)
    alpha, share, given = float(rng.uniform(0.2, 1.5)), float(rng.uniform(0.1, 0.9)), rng.dirichlet(np.ones(n))
    found: list[tuple[Any, Floats]] = [
        (S.Uniform(), np.full(n, 1 / n)),
        (S.WithinBatch(), pi),
        (S.Power(alpha), pi**alpha / np.sum(pi**alpha)),
        (S.LogUniform(), np.log1p(1 / rank) / np.log(n + 1)),
        (S.Mixture(share), share * pi + (1 - share) / n),
        (S.Explicit(given), given),
    ]
    return found[int(rng.integers(len(found)))]


def _weights(kind: int, pi: Floats, law: Floats, m: int, excluded: bool) -> tuple[Any, Floats]:
    """A weighting of the package, and log w (L, L) by a formula: those that divide by q take that of a draw."""
    log_q, log_pi = np.tile(np.log(law), (law.size, 1)), np.log(pi)
    of_draw = log_q - np.log1p(-law)[:, None] if excluded else log_q
    if kind == 0:
        return W.Unit(), np.zeros(log_q.shape)
    if kind == 1:
        return W.Constant(), np.full(log_q.shape, -np.log(m))
    if kind == 2:
        return W.Importance(), -np.log(m) - of_draw
    if kind == 3:
        return W.Relative(), np.log(law)[:, None] - log_q
    if kind == 4:
        return W.Tail(), log_pi - log_pi[:, None] - np.log(m) - of_draw
    return W.ForMargin(il.margins.Equalised()), log_pi - np.log(m) - of_draw


KINDS = (W.Unit, W.Constant, W.Importance, W.Relative, W.Tail, W.ForMargin)


def _with(scheme: il.Scheme, rng: np.random.Generator, off: float) -> il.Scheme:
    """The scheme with another m, with other weights, or with other hits."""
    kind = int(rng.integers(3))
    if kind == 0:
        hits = [mode for mode in ("keep", "mask", "exclude") if mode != scheme.hits][int(rng.integers(2))]
        return il.Scheme(scheme.sampler, scheme.weighting, m=scheme.m, hits=hits)  # type: ignore[arg-type]
    if kind == 1:
        return il.Scheme(scheme.sampler, scheme.weighting, m=max(1, round(scheme.m * off)), hits=scheme.hits)
    other = [W.Unit(), W.Constant(), W.Importance(), W.Relative(), W.Tail()][int(rng.integers(5))]
    return il.Scheme(scheme.sampler, other, m=scheme.m, hits=scheme.hits)


def _margins_of(scheme: il.Scheme, prior: il.LabelPrior, law: Floats, y: int) -> Floats:
    """The margins of a claimed scheme, by the formulas above."""
    kind = KINDS.index(type(scheme.weighting))
    _, log_w = _weights(kind, prior.probabilities, law, scheme.m, scheme.hits == "exclude")
    q = law / (1 - law[y]) if scheme.hits == "exclude" else law
    p = scheme.m * q * np.exp(log_w[y])
    if scheme.hits != "keep":
        p[y] = 0.0
    return np.asarray(p)


def _is_off(claimed: Floats, true: Floats, y: int) -> bool:
    ratio = np.delete(claimed, y) / np.delete(true, y)
    return bool(np.all(ratio > 1 + RESOLUTION) or np.all(ratio < 1 / (1 + RESOLUTION)))


def audited(number: int) -> list[str]:
    """The verdicts of a case, in words: of its true claim, and of its wrong one; all limits are checked."""
    case, verdicts = Case.drawn(number), []
    for kind, forbidden, claim in zip(("true", "wrong"), ("refuted", "holds"), case.claims(), strict=False):
        report = case.audit(claim)
        if kind == "true" or isinstance(claim, np.ndarray):  # a wrong scheme may say too little of what a draw weighs
            case.check(report)
        assert report.verdict != forbidden, (case, claim)
        verdicts.append(f"{kind}: {report.verdict}")
    return verdicts


@pytest.mark.in_turn(1)
@pytest.mark.parametrize("block", range(3))
def test_random_schemes(block: int, seed: int) -> None:
    outcomes = Counter(verdict for k in range(5) for verdict in audited(seed + k))
    assert sum(outcomes.values()) >= 5


def test_hits_that_the_pilot_should_have_seen_are_waited_for() -> None:
    """Hits are claimed to be kept, 1 in 11 draws, and are excluded: all else fits at the first look."""
    assert audited(10_658) == ["true: holds", "wrong: refuted"]


@pytest.mark.slow
@pytest.mark.parametrize("block", range(100))
def test_ten_thousand_random_audits(block: int, seed: int) -> None:
    """Sixty random schemes a block.  Some hold, and wrong claims are refuted, so that neither test is an empty one."""
    outcomes = Counter(verdict for k in range(60) for verdict in audited(seed + k))
    assert outcomes["true: holds"] >= 5
    assert outcomes["wrong: refuted"] >= 15


@pytest.mark.slow
def test_the_nearest_scheme_is_looked_for_in_every_case(seed: int) -> None:
    """The verdict does not look at it."""
    for k in range(200):
        case = Case.drawn(seed + k)
        assert all("nearest" in str(case.audit(claim).to_dict()) for claim in case.claims())


@pytest.mark.parametrize("shift", range(3))
def test_hits_are_not_taken_for_draws_of_rare_labels(shift: int, seed: int) -> None:
    """By values each part has the hits in its signals.  An array claims no weights, so a pilot that drew no rare label
    knows nothing of its draws, however many hits it saw."""
    few = il.LabelPrior.from_counts([10**4] * 10 + [1] * 20)
    case = Case(seed + shift, few, il.Scheme(S.WithinBatch(), W.Importance(), m=5, hits="keep"), few.probabilities,
                -np.log(5 * np.tile(few.probabilities, (30, 1))), "softmax", False, False, [0], 800)  # fmt: skip
    assert case.audit(np.ones((30, 30))).verdict == "inconclusive"


if __name__ == "__main__":
    finding._nearest = finding._slopes = lambda *_: None  # as `without_nearest`
    first, count = (int(x) for x in sys.argv[1:])
    outcomes: Counter[str] = Counter()
    begun = time.process_time()
    for number in range(first, first + count):
        try:
            outcomes.update(audited(number))
        except Exception as error:
            outcomes[f"failed: {type(error).__name__}"] += 1
            print(number, f"{type(error).__name__}: {error!s:.300}", flush=True)
        if number % 50 == 49:
            print(number + 1 - first, dict(outcomes), f"{time.process_time() - begun:.0f} s", flush=True)
    print(count, dict(outcomes), f"{time.process_time() - begun:.0f} s")
