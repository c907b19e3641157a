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
from implicitloss.auditing.cells import Cell, sightings_needed
from implicitloss.auditing.decode import ROUNDINGS
from implicitloss.labels import Floats, Labels

if TYPE_CHECKING:
    from implicitloss.auditing.audit import _Audit

FAR = 60.0
# Of what one evaluation may add, beyond what the pilot saw.
SPARE = 2.0


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
            self.parts += [(row, "half of the labels, at random", np.sort(half)), (row, "accidental hits", order[:0])]
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
        """The most that an evaluation has added to each probe."""
        self.first = max(16, self.audit.runs // 16)
        seen = np.array([self.evaluate() for _ in range(self.first)])
        heaviest = SPARE * seen.max(axis=0)
        claim = self.audit.claim
        if claim.weights is not None and claim.hit_weights is not None:
            # A claimed scheme says what a draw adds.
            said = [
                max(
                    self.gain[i] * float(claim.weights[row, part].max(initial=0.0)),
                    self.hit_gain * float(claim.hit_weights[row]),
                )
                for i, (row, _, part) in enumerate(self.parts)
            ]
            heaviest = np.where(np.array(said) > 0, said, heaviest)
        self.heaviest = np.where(heaviest > 0, heaviest, self.audit.heaviest)
        self.mean = seen.mean(axis=0)

    def looks(self) -> list[Cell]:
        audit = self.audit
        looks = max(1, math.ceil(math.log2(max(audit.runs / self.first, 2))))
        delta = audit.error / (looks * len(self.parts))
        needed = sightings_needed(audit.resolution, delta)
        total, n = np.zeros(len(self.parts)), 0
        cells: list[Cell] = []
        for look in range(looks):
            until = max(self.first, math.ceil(audit.runs / 2 ** (looks - 1 - look)))
            while n < until:
                total += self.evaluate()
                n += 1
            if audit.progress is not None:
                audit.progress(n, audit.runs)
            cells = [self.cell(i, total[i], n, delta, needed) for i in range(len(self.parts))]
            results = [cell.result(audit.tolerance) for cell in cells]
            decided = all(r != "inconclusive" for r, cell in zip(results, cells, strict=True) if cell.decisive)
            if "refuted" in results or (decided and audit.claim.margins is not None):
                break
        return cells

    def cell(self, i: int, total: float, n: int, delta: float, needed: float) -> Cell:
        """In units of Σ_part p, hits included where a part is empty."""
        audit, (row, name, part) = self.audit, self.parts[i]
        is_hits = part.size == 0
        gain = self.hit_gain if is_hits else float(self.gain[i])
        claimed = (
            None
            if audit.claim.margins is None
            else float(self.hits[i] + (0.0 if is_hits else self.margins[i] * gain)) / gain
        )
        y = audit.positives[row]
        # A part is decisive if the pilot says that it can be decided; of hits it is enough to see them.
        frequent = y == max(audit.positives, key=lambda label: float(audit.prior.probabilities[label]))
        in_reach = self.mean[i] / self.heaviest[i] * audit.runs / 2 >= needed
        whole = name == "half of the labels, at random"
        decisive = (frequent and bool(claimed)) if is_hits else bool(in_reach or whole)
        cell = Cell(
            y, name, np.array([y]) if is_hits else part, "value", float(self.heaviest[i]) / gain, claimed, decisive,
            1.0 if is_hits else audit.resolution, hits_in=self.hit_gain / gain,
        )  # fmt: skip
        return cell.with_sum(total / gain, n, delta)


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
