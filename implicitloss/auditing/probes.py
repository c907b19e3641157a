"""The value route: scores that leave one part of the labels audible make the loss say what that part weighs.

At f_j = f_y + c in a part and f_j = f_y - 60 elsewhere, expm1(ℓ) = h + e^c Σ_{j in part} a_j: its mean is the claimed
weight of hits plus e^c times the part's margins.  c is set so that this is about 1.  A logistic loss is linear in its
negatives: ℓ - log(1 + e^{-g_y}) = Σ a_j log(1 + e^{g_j}) + h log(1 + e^{g_y}).
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from implicitloss.auditing.cells import HITS, ORDER, SLICES, Cell, in_reach
from implicitloss.auditing.decode import ROUNDINGS
from implicitloss.auditing.pilot import LEAK, SPARE
from implicitloss.labels import Floats, Labels

if TYPE_CHECKING:
    from implicitloss.auditing.audit import _Audit

FAR = 60.0
HALF = "half of the labels, at random"
# Of draws of labels that the pilot never heard, an evaluation has no more than this.
SEVERAL = 3.0
# A label was heard, by all odds, if so many draws of it were expected in the pilot.
HEARD = 8.0


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

    def evaluate(self, asked: tuple[Floats, Labels]) -> Floats:
        """h + gain Σ_part a of one call, of each part asked; h log 2 in place of h for a logistic loss."""
        audit = self.audit
        _, of_loss = audit.fresh()
        answer = audit.ask(*asked, of_loss)
        heard = np.expm1(answer.values) if audit.form == "softmax" else answer.values - np.log(2.0)
        return np.where(heard > ROUNDINGS * answer.eps, heard, 0.0)

    @cached_property
    def asked(self) -> tuple[Floats, Labels]:
        """The scores that leave each part audible, (parts, L), and the positives."""
        audit = self.audit
        f = np.full((len(self.parts), audit.prior.n_labels), -FAR)
        positive = np.array([audit.positives[row] for row, _, _ in self.parts], dtype=np.intp)
        for i, (_, _, part) in enumerate(self.parts):
            f[i, part] = np.log(self.gain[i]) if audit.form == "softmax" else _softplus_is(self.gain[i])
        f[np.arange(positive.size), positive] = 0.0
        return audit.temperature * (f - audit.shift), positive

    def pilot(self) -> None:
        """What evaluations add to each probe, and at most."""
        self.first = max(16, self.audit.runs // 16)
        seen = np.array([self.evaluate(self.asked) for _ in range(self.first)])
        self.mean, self.variance = seen.mean(axis=0), seen.var(axis=0, ddof=1)
        most = seen.max(axis=0)
        if not most.any():
            self.audit.notes.append(
                f"no negative was heard in {len(seen)} evaluations: does the loss depend on scores other than the "
                "positive's?"
            )
        self.heaviest = SPARE * most
        unheard = self.unheard(seen)
        for i, (row, _, part) in enumerate(self.parts):
            own = self.gain[i] * unheard[row, part].max(initial=0.0)
            y = self.audit.positives[row]
            if self.hits[i] > 0 or (not part.size and not most[i] > 0):
                own += self.hit_gain * unheard[row, y]
            self.heaviest[i] = max(self.heaviest[i], own) or math.inf

    def unheard(self, seen: Floats) -> Floats:
        """The most that an evaluation may weigh a label by which the pilot perhaps never heard, (rows, L); else 0.

        By the claimed weight of a draw; without one by a draw that was heard of labels as frequent, or else of more
        frequent ones, and in proportion to how much rarer the label is; inf where none was heard.
        """
        audit, claim, prior = self.audit, self.audit.claim, self.audit.prior.probabilities
        found = np.zeros((len(audit.positives), prior.size))
        if claim.weights is not None and claim.hit_weights is not None:
            found = SEVERAL * claim.weights
            for row, y in enumerate(audit.positives):
                # Where no hits are claimed, one would weigh as a label about as frequent.
                hit = float(claim.hit_weights[row]) or float(claim.weights[row, audit.neighbours(y)].max())
                found[row, y] = SEVERAL * hit
            return np.asarray(found)
        for row, y in enumerate(audit.positives):
            at = [i for i, part in enumerate(self.parts) if part[0] == row]
            (of_hits,) = (i for i in at if not self.parts[i][2].size)
            draw, level = math.inf, 1.0
            for i in at[: at.index(of_hits)]:
                part, heard = self.parts[i][2], seen[:, i]
                if self.parts[i][1] in (*SLICES, HALF):
                    continue
                top = float(heard.max())
                if top > 0:
                    # Where hits are heard too, what is heard may be a hit: then the most, and not the least, is a draw.
                    one = top if seen[:, of_hits].any() else float(heard[heard > LEAK * top].min())
                    draw, level = one / float(self.gain[i]), float(prior[part].max())
                share = float(np.mean(heard > LEAK * top)) if top > 0 else 0.0
                draws = -math.log1p(-min(share, 1 - 0.5 / len(heard))) * len(heard)
                law = np.minimum(prior[part] / max(float(prior[part].sum()), 1e-300), 1.0 / part.size)
                missed = part[draws * law < HEARD]
                rarer = np.full(missed.size, math.inf)  # of labels that never occur nothing is known
                np.divide(level, prior[missed], out=rarer, where=prior[missed] > 0)
                found[row, missed] = audit.heaviest * draw * np.maximum(1.0, rarer)
            found[row, y] = audit.heaviest * draw * max(1.0, level / prior[y]) if prior[y] > 0 else math.inf
        return found

    def looks(self) -> list[Cell]:
        """All parts as they stand when nothing is left to be decided.

        A part that holds is not asked again; but where nothing is claimed to be, seeing it once refutes, at any time.
        """
        audit = self.audit
        looks = max(1, math.ceil(math.log2(max(audit.runs / self.first, 2))))
        delta = audit.share / (looks * len(self.parts))
        sums, n = np.zeros((3, len(self.parts))), 0
        left = np.arange(len(self.parts))
        cells: dict[int, Cell] = {}
        for look in range(looks):
            until = max(self.first, math.ceil(audit.runs / 2 ** (looks - 1 - look)))
            # Never one alone: losses that squeeze their answer are no reason to stop.
            scores, positive = (np.resize(given[left], (max(left.size, 2), *given.shape[1:])) for given in self.asked)
            while n < until:
                heard = self.evaluate((scores, positive))[: left.size]
                sums[:, left] = sums[0, left] + heard, sums[1, left] + heard**2, np.maximum(sums[2, left], heard)
                n += 1
            if audit.progress is not None:
                audit.progress(n, audit.runs)
            cells |= {i: self.cell(i, sums[:, i], n, delta) for i in left.tolist()}
            if audit.settled(list(cells.values())):
                break
            left = np.array(
                [i for i in left.tolist() if cells[i].claimed == 0 or cells[i].result(audit.tolerance) != "holds"]
            )
        return list(cells.values())

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
            frequent and claimed is not None if is_hits else can or name in (*SLICES, HALF),
            ORDER if is_hits else audit.resolution, little=little, hits_in=0.0 if is_hits else self.hit_gain / gain,
        )  # fmt: skip
        spread = max(sums[1] - sums[0] ** 2 / n, 0.0) / max(n - 1, 1)
        return cell.with_sums(sums[0] / gain, spread / gain**2, sums[2] / gain, n, delta)


def _softplus_is(value: float) -> float:
    """g with log(1 + e^g) = value."""
    return float(value + np.log(-np.expm1(-value)))


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
