"""The value route: scores that leave one part of the labels audible make the loss say what that part weighs.

At f_j = f_y + c in a part and f_j = f_y - 60 elsewhere, expm1(ℓ) = h + e^c Σ_{j in part} a_j: its mean is the claimed
weight of hits plus e^c times the part's margins.  c is set so that this is about 1.  A logistic loss is linear in its
negatives: ℓ - log(1 + e^{-g_y}) = Σ a_j log(1 + e^{g_j}) + h log(1 + e^{g_y}).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from implicitloss.auditing.blackbox import ask
from implicitloss.auditing.cells import HITS, ORDER, Cell, in_reach
from implicitloss.auditing.decode import ROUNDINGS
from implicitloss.auditing.pilot import SPARE
from implicitloss.labels import Floats, Labels

if TYPE_CHECKING:
    from implicitloss.auditing.audit import _Audit

FAR = 60.0
HALF = "half of the labels, at random"
# Of draws of a part that the pilot never heard, an evaluation has no more than this.
SEVERAL = 3.0


def by_values(audit: _Audit) -> list[Cell]:
    """Each part of each positive's labels, measured by values alone."""
    probes = _Probes(audit)
    probes.pilot()
    return probes.looks()


class _Probes:
    def __init__(self, audit: _Audit) -> None:
        self.audit = audit
        self.parts: list[tuple[int, str, Labels]] = []
        ranked = audit.prior.by_frequency
        generator = np.random.default_rng([1, *np.atleast_1d(audit.root)])
        for row, y in enumerate(audit.positives):
            order = ranked[ranked != y]
            for name, labels in _doubling(order):
                self.parts.append((row, name, labels))
            slices = [(row, name, labels[labels != y]) for name, labels in audit.prior.slices().items()]
            self.parts += [part for part in slices if part[2].size]
            shuffled = generator.permutation(order)
            half = shuffled[: max(order.size // 2, 1)]
            self.parts += [(row, HALF, np.sort(half)), (row, HITS, order[:0])]
        claim = audit.claim
        self.margins = np.array([self.claimed(row, part) for row, _, part in self.parts])
        # What the scores add, so that a part says about 1.
        self.gain = np.array([1.0 / m if m > 0 else 1.0 for m in self.margins])
        # What a hit's weight is multiplied by at f_y = 0.
        self.hit_gain = 1.0 if audit.form == "softmax" else float(np.log(2.0))
        self.hits = np.zeros(len(self.parts))
        if claim.hits is not None:
            self.hits = self.hit_gain * claim.hits[[row for row, _, _ in self.parts]]
        if claim.weights is not None and claim.hit_weights is not None:
            # A hit that weighs much would drown a part; so loud its heaviest label is as loud as a hit.
            for i, (row, _, part) in enumerate(self.parts):
                heavy = float(claim.weights[row, part].max(initial=0.0))
                self.gain[i] = max(
                    self.gain[i], self.hit_gain * float(claim.hit_weights[row]) / heavy if heavy > 0 else 0.0
                )
        if claim.margins is None:
            self.gain = np.array([1.0 / max(part.size, 1) for _, _, part in self.parts])

    def claimed(self, row: int, part: Labels) -> float:
        p = self.audit.claim.margins
        return math.nan if p is None else float(p[row, part].sum())

    def evaluate(self) -> Floats:
        """h + gain Σ_part a of one call, (parts,); h log 2 in place of h for a logistic loss."""
        audit = self.audit
        _, of_loss = audit.generators(audit.calls)
        audit.calls += 1
        f = np.full((len(self.parts), audit.prior.n_labels), -FAR)
        positive = np.array([audit.positives[row] for row, _, _ in self.parts], dtype=np.intp)
        for i, (_, _, part) in enumerate(self.parts):
            f[i, part] = np.log(self.gain[i]) if audit.form == "softmax" else _softplus_is(self.gain[i])
        f[np.arange(positive.size), positive] = 0.0
        answer = ask(audit.loss_fn, audit.temperature * (f - audit.shift), positive, of_loss)
        heard = np.expm1(answer.values) if audit.form == "softmax" else answer.values - np.log(2.0)
        return np.where(heard > ROUNDINGS * answer.eps, heard, 0.0)

    def pilot(self) -> None:
        """What evaluations add to each probe, and at most."""
        self.first = max(16, self.audit.runs // 16)
        seen = np.array([self.evaluate() for _ in range(self.first)])
        self.mean, self.variance = seen.mean(axis=0), seen.var(axis=0, ddof=1)
        self.heaviest = SPARE * seen.max(axis=0)
        for i, (row, _, part) in enumerate(self.parts):
            if not self.heaviest[i] > 0:
                self.heaviest[i] = self.guess(row, part, float(self.gain[i]))

    def guess(self, row: int, part: Labels, gain: float) -> float:
        """The most that an evaluation may add to a probe that the pilot never heard."""
        claim = self.audit.claim
        if claim.weights is not None and claim.hit_weights is not None:
            near = part if part.size else self.audit.neighbours(self.audit.positives[row])
            label, hit = gain * float(claim.weights[row, near].max(initial=0.0)), float(claim.hit_weights[row])
            if max(label, hit) > 0:
                return SEVERAL * max(label, self.hit_gain * hit)
        # Without a claimed weight, what was never heard may weigh anything.
        return self.audit.heaviest if not part.size else math.inf

    def looks(self) -> list[Cell]:
        audit = self.audit
        looks = max(1, math.ceil(math.log2(max(audit.runs / self.first, 2))))
        delta = audit.error / (looks * len(self.parts))
        sums, n = np.zeros((3, len(self.parts))), 0
        cells: list[Cell] = []
        for look in range(looks):
            until = max(self.first, math.ceil(audit.runs / 2 ** (looks - 1 - look)))
            while n < until:
                heard = self.evaluate()
                sums[0] += heard
                sums[1] += heard**2
                sums[2] = np.maximum(sums[2], heard)
                n += 1
            if audit.progress is not None:
                audit.progress(n, audit.runs)
            cells = [self.cell(i, sums[:, i], n, delta) for i in range(len(self.parts))]
            if audit.settled(cells):
                break
        return cells

    def cell(self, i: int, sums: Floats, n: int, delta: float) -> Cell:
        """In units of Σ_part p, hits included where a part is empty."""
        audit, (row, name, part) = self.audit, self.parts[i]
        is_hits = part.size == 0
        gain = self.hit_gain if is_hits else float(self.gain[i])
        claimed, little = None, 0.0
        if audit.claim.margins is not None:
            claimed = float(self.hits[i] + (0.0 if is_hits else self.margins[i] * gain)) / gain
            little = audit.little(row)
        y = audit.positives[row]
        frequent = y == max(audit.positives, key=lambda label: float(audit.prior.probabilities[label]))
        # A part is decisive if the pilot says that it can be decided; of hits it is enough to see them.
        mean, variance, heavy = float(self.mean[i]), float(self.variance[i]), float(self.heaviest[i])
        can = mean > 0 and in_reach(mean, variance, heavy, audit.runs // 2, audit.resolution, delta)
        cell = Cell(
            y, name, np.array([y]) if is_hits else part, "value", heavy / gain, claimed,
            frequent and claimed is not None if is_hits else can or name == HALF,
            ORDER if is_hits else audit.resolution, little=little, hits_in=0.0 if is_hits else self.hit_gain / gain,
        )  # fmt: skip
        return cell.with_sums(sums[0] / gain, sums[1] / gain**2, sums[2] / gain, n, delta)


def _softplus_is(value: float) -> float:
    """g with log(1 + e^g) = value."""
    return float(np.log(np.expm1(value)))


def _doubling(order: Labels) -> list[tuple[str, Labels]]:
    """The labels from frequent to rare in parts of 1, 1, 2, 4, 8, ..."""
    parts, first, size = [], 0, 1
    while first < order.size:
        last = min(first + size, order.size)
        if order.size - last < size // 2:
            last = order.size
        name = f"rank {first + 1} of the others" if last == first + 1 else f"ranks {first + 1} to {last} of the others"
        parts.append((name, order[first:last]))
        size = max(size, last)
        first = last
    return parts
