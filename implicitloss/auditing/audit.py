"""Audit a black box: measure its margins until its claim is refuted, holds, or the evaluations are used up."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from implicitloss.auditing.blackbox import Answer, LossFunction, ask
from implicitloss.auditing.cells import Cell, partition, sightings_needed
from implicitloss.auditing.claimed import Claim, Claimed, claimed
from implicitloss.auditing.decode import FORMS, Decoded, Form, decode
from implicitloss.auditing.report import AuditReport, Law
from implicitloss.auditing.spread import Pushes, Spread
from implicitloss.auditing.tally import Tally, share_broken
from implicitloss.labels import Floats, LabelPrior, Labels, checked_vector
from implicitloss.problem import Problem, checked_positive
from implicitloss.scheme import Scheme
from implicitloss.seeds import Seed, root_of

# Doubles in one call's scores, and in a whole audit's by default.
CALL, WHOLE = 1 << 18, 1 << 27
FEWEST, MOST = 400, 20_000
# The pilot's share of the evaluations; looks come when these have doubled.
PILOT = 16
# Decisive parts of a positive's labels, at most: more would take more evaluations.
FINEST = 24
# Where more of the weights than this are no multiples of one draw's, a draw's weight is not one number.
BROKEN = 0.05
VARIES = 2.0
# Total variation between laws that is worth a note, beyond that of chance.
LAW = 0.05
# A weight this many times its rounding below 0 is negative.
BELOW = 64.0


def audit(
    loss_fn: LossFunction,
    *,
    prior: LabelPrior,
    claim: Claim = None,
    positives: Sequence[int] | None = None,
    scores: ArrayLike | None = None,
    form: Form = "softmax",
    temperature: float = 1.0,
    shift: ArrayLike = 0.0,
    tolerance: float = 0.0,
    resolution: float = 0.25,
    heaviest: float = 10.0,
    runs: int | None = None,
    error: float = 1e-6,
    rng: Seed = None,
    progress: Callable[[int, int], None] | None = None,
) -> AuditReport:
    """What margins p_yy' the sampled loss `loss_fn` really applies, and whether they are those of its `claim`.

    `loss_fn(scores (B, L), positive (B,), rng)` returns the loss of each of B examples, (B,), better with its gradient
    in the scores, (B, L); `implicitloss.adapters` makes such functions of PyTorch, TensorFlow and JAX losses.  The
    `claim` is a Scheme, "full" (softmax over all labels), a margin, an array p (L, L) or (rows, L) with the weights of
    hits in the positives' entries, or None, to measure only.

    Three positives are audited (the most frequent label, the median, the rarest) or those given, at scores that are
    drawn anew for each call, or at `scores` (L,) for samplers that look at them.  `temperature` divides the scores
    inside the loss; `form="logistic"` audits a decoupled loss, whose claim speaks of the scores plus `shift` (L,), as
    noise-contrastive losses do.

    Verdict: "refuted" where a margin, the hits or the form is not as claimed, by more than the relative `tolerance`;
    "holds" where every decisive part of the labels is known to within `resolution` beyond it; else "inconclusive".  A
    true claim is refuted with probability at most `error`, however often the audit looks, provided that calls are
    independent, that draws of one call are independent or avoid each other (as draws without replacement do), and that
    no draw weighs more than `heaviest` times the heaviest that the pilot saw (of labels it never saw; where a scheme is
    claimed, than that says).  `runs` evaluations of each positive are made at most.

    *Raises* ValueError for an answer of another shape or that is not finite, a claim about other labels, and for
    arguments out of range.  *Source:* derived; bounds: `implicitloss.bounds.sum_interval`.
    """
    return _Audit.of(
        loss_fn, prior, claim, positives, scores, form, temperature, shift, tolerance, resolution, heaviest, runs,
        error, rng, progress,
    ).run()  # fmt: skip


@dataclass(eq=False)
class _Audit:
    loss_fn: LossFunction
    prior: LabelPrior
    claim: Claimed
    scheme: Scheme | None
    positives: list[int]
    scores: Floats | None
    form: Form
    temperature: float
    shift: Floats | float
    tolerance: float
    resolution: float
    heaviest: float
    runs: int
    error: float
    root: int | list[int]
    progress: Callable[[int, int], None] | None
    calls: int = 0
    replicas: int = 1
    per_draw: Floats | None = None
    delta: float = 1.0
    notes: list[str] = field(default_factory=list)
    flaws: list[str] = field(default_factory=list)

    @classmethod
    def of(
        cls, loss_fn: LossFunction, prior: LabelPrior, claim: Claim, positives: Sequence[int] | None,
        scores: ArrayLike | None, form: Form, temperature: float, shift: ArrayLike, tolerance: float, resolution: float,
        heaviest: float, runs: int | None, error: float, rng: Seed, progress: Callable[[int, int], None] | None,
    ) -> _Audit:  # fmt: skip
        if not callable(loss_fn):
            raise ValueError(f"the loss must be a function (scores, positive, rng), got {loss_fn!r:.60}")
        if not isinstance(prior, LabelPrior):
            raise ValueError(f"the prior must be a LabelPrior, e.g. LabelPrior.from_counts(...), got {prior!r:.60}")
        if prior.n_labels < 2:
            raise ValueError("an audit needs at least two labels, got one")
        if form not in FORMS:
            raise ValueError(f"form must be 'softmax' or 'logistic', got {form!r}")
        for name, value, low in (("temperature", temperature, 0.0), ("resolution", resolution, 0.0)):
            if not (low < value < math.inf):
                raise ValueError(f"the {name} must be a positive number, got {value}")
        if not 0 <= tolerance < math.inf:
            raise ValueError(f"the tolerance must be a number >= 0, got {tolerance}")
        if not 1 <= heaviest < math.inf:
            raise ValueError(f"heaviest must be at least 1, got {heaviest}")
        if not 0 < error < 1:
            raise ValueError(f"the error must be a probability between 0 and 1, got {error}")
        rows = (
            _default_positives(prior) if positives is None else [checked_positive(y, prior.n_labels) for y in positives]
        )
        if not rows or len(set(rows)) < len(rows):
            raise ValueError(f"the positives must be labels, each once, got {rows}")
        if runs is None:
            runs = min(MOST, max(FEWEST, WHOLE // (len(rows) * prior.n_labels)))
        if isinstance(runs, bool) or not isinstance(runs, (int, np.integer)) or runs < 2 * PILOT:
            raise ValueError(f"runs must be a whole number >= {2 * PILOT}, got {runs!r}")
        root = root_of(rng)
        scheme = claim if isinstance(claim, Scheme) else None
        if scores is not None:
            scores = checked_vector(scores, "scores")
        elif scheme is not None and scheme.sampler.needs_scores:
            generator = np.random.default_rng([0, *np.atleast_1d(root)])
            scores = generator.standard_normal(prior.n_labels)
        shift = np.asarray(shift, dtype=np.float64)
        for name, vector in (("scores", scores), ("shift", shift)):
            if vector is not None and vector.ndim and vector.shape != (prior.n_labels,):
                raise ValueError(f"{name} must cover the prior's {prior.n_labels} labels, got shape {vector.shape}")
        said = claimed(claim, prior, rows, scores)
        return cls(
            loss_fn, prior, said, scheme, rows, scores, form, float(temperature), shift, tolerance, resolution,
            heaviest, int(runs), error, root, progress,
        )  # fmt: skip

    # --- asking -------------------------------------------------------------------------------------------------------

    def generators(self, call: int) -> tuple[np.random.Generator, np.random.Generator]:
        """Of the scores of a call, and of the loss."""
        of_scores, of_loss = np.random.SeedSequence(self.root, spawn_key=(call,)).spawn(2)
        return np.random.default_rng(of_scores), np.random.default_rng(of_loss)

    def some_scores(self, n: int, generator: np.random.Generator) -> Floats:
        """(n, L): the given ones, or normal ones."""
        if self.scores is not None:
            return np.tile(self.scores, (n, 1))
        return self.temperature * generator.standard_normal((n, self.prior.n_labels))

    def rows(self, replicas: int) -> Labels:
        """The positives of a call, each as often as `replicas` says, in blocks."""
        return np.repeat(np.array(self.positives, dtype=np.intp), replicas)

    def next_call(self, replicas: int) -> tuple[Floats, Labels, Answer]:
        """Scores, positives and answer of a fresh call."""
        of_scores, of_loss = self.generators(self.calls)
        self.calls += 1
        positive = self.rows(replicas)
        scores = self.some_scores(positive.size, of_scores)
        return scores, positive, ask(self.loss_fn, scores, positive, of_loss)

    # --- the audit ----------------------------------------------------------------------------------------------------

    def run(self) -> AuditReport:
        """First contact, then the route that the answers allow."""
        from implicitloss.auditing.probes import by_values

        scores, positive, answer = self.next_call(2)
        _check_moves(scores, answer, lambda: self.next_call(2))
        repeats = self.repeats(scores, positive, answer)
        if answer.gradients is None:
            cells = by_values(self)
            return self.report(cells, None, None)
        if self.scores is not None:
            self.notes.append(
                "at given scores, draws and weights may move with them: gradients are not compared with differences"
            )
        elif repeats:
            self.check_gradient()
        self.share_or_not(positive)
        tally, cells, law = self.by_gradients()
        if not repeats and self.scores is None:
            self.notes.append(
                "the loss does not repeat itself by the rng it is given; its values were audited by themselves too"
            )
            cells = cells + by_values(self)
        return self.report(cells, tally, law)

    def repeats(self, scores: Floats, positive: Labels, answer: Answer) -> bool:
        """Whether the same seed gives the same answer."""
        _, of_loss = self.generators(self.calls - 1)
        again = ask(self.loss_fn, scores, positive, of_loss)
        return bool(np.array_equal(answer.values, again.values))

    def check_gradient(self) -> None:
        """Compare gradients with differences of values, on the same draws: no chance is involved."""
        differences, slopes = [], []
        for _ in range(8):
            of_scores, of_loss = self.generators(self.calls)
            positive = self.rows(1)
            scores = self.some_scores(positive.size, of_scores)
            step = np.where(of_scores.random(scores.shape) < 0.5, -0.5, 0.5)
            answer = ask(self.loss_fn, scores, positive, of_loss)
            # So little that draws which look at the scores stay as they are.
            h = self.temperature * (1e-5 if answer.eps < 1e-12 else 0.05)
            ends = [
                ask(self.loss_fn, scores + sign * h * step, positive, self.generators(self.calls)[1]).values
                for sign in (1, -1)
            ]
            self.calls += 1
            assert answer.gradients is not None
            differences += ((ends[0] - ends[1]) / (2 * h)).tolist()
            slopes += np.sum(answer.gradients * step, axis=1).tolist()
        scale = max(float(np.sqrt(np.mean(np.square(slopes)))), float(np.sqrt(np.mean(np.square(differences)))), 1e-12)
        off = float(np.median(np.abs(np.subtract(differences, slopes)))) / scale
        if off > (1e-5 if answer.eps < 1e-12 else 1e-2):
            ratio = float(np.dot(slopes, differences) / np.dot(differences, differences))
            self.flaws.append(
                f"the gradient is not that of the value: along random directions it is {ratio:.4g} times the "
                f"difference of the values, and off by {off:.2g} of its size"
            )

    def share_or_not(self, positive: Labels) -> None:
        """Whether examples of one call share their draws; if not, a call has many examples of each positive."""
        same = True
        for _ in range(4):
            scores, positive, answer = self.next_call(2)
            weights = self.decode(scores, positive, answer).weights.reshape(len(self.positives), 2, -1)
            same = same and bool(np.array_equal(weights[:, 0] > 0, weights[:, 1] > 0))
        if same:
            self.notes.append("examples of one call share their negatives, or draw none; each call counts once")
        else:
            self.replicas = max(1, CALL // (len(self.positives) * self.prior.n_labels))

    def decode(self, scores: Floats, positive: Labels, answer: Answer) -> Decoded:
        """The weights behind an answer."""
        return decode(self.form, scores, positive, answer, self.temperature, self.shift)

    def fill(self, tally: Tally, n: int, per_draw: Floats | None) -> Decoded:
        """Evaluate until the tally has `n`; the last answer, decoded."""
        while tally.n < n:
            replicas = min(self.replicas, n - tally.n)
            scores, positive, answer = self.next_call(replicas)
            decoded = self.decode(scores, positive, answer)
            own = scores[np.arange(positive.size), positive]
            tally.add(decoded, scores > own[:, None], per_draw, self.claim.margins)
        return decoded

    def by_gradients(self) -> tuple[Tally, list[Cell], Law]:
        """A pilot that says what a draw weighs; then looks, until all is decided."""
        n_rows, n_labels = len(self.positives), self.prior.n_labels
        pilot = Tally(n_rows, n_labels)
        first = max(PILOT, self.runs // PILOT)
        self.fill(pilot, max(first // 2, 1), None)
        broken, least, until = [], pilot.least.copy(), first
        slices = self.slices()
        pushes = Pushes(n_rows, slices)
        while pilot.n < until:
            scores, positive, answer = self.next_call(min(self.replicas, until - pilot.n))
            decoded = self.decode(scores, positive, answer)
            broken.append(share_broken(decoded, least))
            pilot.add(decoded, scores > 0, None, None)
            assert answer.gradients is not None
            pushes.add(scores / self.temperature, positive, self.temperature * answer.gradients)
        varies = float(np.mean(broken)) > BROKEN
        per_draw, seen = self.one_draw(pilot, varies)
        counted = np.where(seen, per_draw, 0.0)
        probe = Tally(n_rows, n_labels, spread=Spread(n_rows, slices))
        self.fill(probe, first, counted)
        assert probe.spread is not None
        together = probe.spread.excess()
        if together > 1:
            # As a sum of so many draws that are one.
            per_draw = per_draw * together
            self.notes.append(
                f"draws come together: counts vary {together:.3g} times as much as those of independent draws; the "
                "limits are wider by that"
            )
        plan = self.plan(pilot, per_draw, seen)
        tally = Tally(n_rows, n_labels)
        looks = max(1, math.ceil(math.log2(max(self.runs / first, 2))))
        comparisons = sum(map(len, plan)) + n_rows * (n_labels + 3)
        delta = self.delta = self.error / (looks * comparisons)
        self.per_draw = per_draw
        cells: list[Cell] = []
        for look in range(looks):
            n = max(first, math.ceil(self.runs / 2 ** (looks - 1 - look)))
            self.fill(tally, n, counted)
            if self.progress is not None:
                self.progress(n, self.runs)
            cells = self.look(tally, plan, per_draw, seen, delta)
            results = {cell.result(self.tolerance) for cell in cells}
            decided = all(cell.result(self.tolerance) != "inconclusive" for cell in cells if cell.decisive)
            if "refuted" in results or self.flaws or (decided and self.claim.margins is not None):
                break
        if max(tally.below, pilot.below) > BELOW:
            self.flaws.append(
                f"the answers are not of the {self.form} form with their own gradient: a weight comes out negative; is "
                "there a temperature, a scaled gradient, or another form?"
            )
        if tally.most_draws > 2 * max(probe.most_draws, 1.0):
            self.notes.append(
                f"an evaluation weighed as much as {tally.most_draws:.3g} draws of the pilot, which saw at most "
                f"{probe.most_draws:.3g}: the weights have a heavier tail than the limits allow for"
            )
        law = Law.of(tally, pilot, varies, self.positives, probe.spread, pushes, tuple(self.prior.slices()))
        self.compare_laws(law, tally.n)
        return tally, cells, law

    def slices(self) -> Floats:
        """Which labels are of the head, torso and tail, (L, S)."""
        parts = self.prior.slices().values()
        member = np.zeros((self.prior.n_labels, len(parts)))
        for i, part in enumerate(parts):
            member[part, i] = 1.0
        return member

    def one_draw(self, pilot: Tally, varies: bool) -> tuple[Floats, NDArray[np.bool_]]:
        """The most that a draw of each label may weigh, (rows, L), and which labels the pilot saw."""
        seen = pilot.seen > 0
        per_draw = np.where(seen, VARIES * pilot.most if varies else pilot.least, 0.0)
        guess = self.heaviest * per_draw.max(axis=1, keepdims=True)
        if self.claim.weights is not None:
            guess = np.maximum(self.claim.weights, np.where(self.claim.weights > 0, 0.0, guess))
        return np.where(seen, per_draw, np.broadcast_to(guess, per_draw.shape)), seen

    def plan(self, pilot: Tally, per_draw: Floats, seen: NDArray[np.bool_]) -> list[list[Cell]]:
        """For each positive the parts of the labels that are looked at together."""
        plans = []
        # The union bound is known up to a few cells; half of the runs should do.
        needed = sightings_needed(self.resolution, self.error / (8 * len(self.positives) * (self.prior.n_labels + 64)))
        rank = np.empty(self.prior.n_labels, dtype=np.intp)
        rank[self.prior.by_frequency] = np.arange(self.prior.n_labels)
        for row, y in enumerate(self.positives):
            order = self.prior.by_frequency[self.prior.by_frequency != y]
            known = order[seen[row, order]]
            expected = pilot.total[row] * (self.runs / 2 / max(pilot.n, 1))
            all_of_them = float(np.sum(expected[known] / per_draw[row, known]))
            cells = [
                self.cell(row, _ranks(rank, part), part, float(per_draw[row, part].max()), decisive=True)
                for part in partition(known, expected, per_draw[row], max(needed, all_of_them / FINEST))
            ]
            for name, labels in self.prior.slices().items():
                part = labels[seen[row, labels] & (labels != y)]
                if part.size:
                    cells.append(self.cell(row, name, part, float(per_draw[row, part].max())))
            rare = order[~seen[row, order]]
            if rare.size:
                cells.append(self.rare_cell(row, rare, per_draw))
            plans.append(cells)
        return plans

    def rare_cell(self, row: int, rare: Labels, per_draw: Floats) -> Cell:
        """Labels that the pilot never saw: decisive if they are much of what is claimed, or of a slice of it."""
        p = self.claim.margins
        decisive = p is not None and any(
            float(p[row, np.intersect1d(rare, part)].sum()) > self.resolution * float(p[row, part].sum())
            for part in self.prior.slices().values()
        )
        heavy = float(per_draw[row, rare].max())
        return self.cell(row, "hardly ever drawn", rare, heavy if heavy > 0 else 1.0, decisive=decisive)

    def cell(self, row: int, part: str, labels: Labels, heavy: float, decisive: bool = False) -> Cell:
        p = self.claim.margins
        claimed = None if p is None else float(p[row, labels].sum())
        return Cell(self.positives[row], part, labels, "gradient", heavy, claimed, decisive, self.resolution)

    def look(
        self, tally: Tally, plan: list[list[Cell]], per_draw: Floats, seen: NDArray[np.bool_], delta: float
    ) -> list[Cell]:
        """All cells as they stand; of single labels the worst of each positive only."""
        cells = []
        for row, y in enumerate(self.positives):
            cells += [cell.with_sum(float(tally.total[row, cell.labels].sum()), tally.n, delta) for cell in plan[row]]
            for label in self.outliers(row, tally, per_draw, seen, delta):
                one = np.array([label])
                cells.append(
                    self.cell(row, f"label {self.prior.name(label)}", one, float(per_draw[row, label])).with_sum(
                        float(tally.total[row, label]), tally.n, delta
                    )
                )
            heavy = float(per_draw[row][seen[row]].max(initial=0.0))
            if heavy > 0 and self.scores is None:
                for side, name in enumerate(("scored above the positive", "scored below it")):
                    claimed = None if self.claim.margins is None else float(tally.claimed_above[row, side]) / tally.n
                    part = Cell(y, name, np.flatnonzero(seen[row]), "gradient", heavy, claimed)
                    cells.append(part.with_sum(float(tally.above[row, side]), tally.n, delta))
            cells.append(self.hits_cell(row, tally, per_draw, delta))
        return cells

    def hits_cell(self, row: int, tally: Tally, per_draw: Floats, delta: float) -> Cell:
        """Accidental hits: seen at all is enough where they are claimed, and too much where they are not."""
        y = self.positives[row]
        heavy = float(tally.least_hit[row])
        if not np.isfinite(heavy):
            heavy = self.heaviest * float(per_draw[row].max(initial=1.0))
            if self.claim.hit_weights is not None and self.claim.hit_weights[row] > 0:
                heavy = float(self.claim.hit_weights[row])
        claimed = None if self.claim.hits is None else float(self.claim.hits[row])
        frequent = y == max(self.positives, key=lambda label: float(self.prior.probabilities[label]))
        cell = Cell(y, "accidental hits", np.array([y]), "gradient", heavy, claimed, frequent and bool(claimed), 1.0)
        return cell.with_sum(float(tally.hits[row]), tally.n, delta)

    def outliers(self, row: int, tally: Tally, per_draw: Floats, seen: NDArray[np.bool_], delta: float) -> list[int]:
        """Single labels whose limits exclude what is claimed of them, the worst few."""
        from implicitloss.bounds import sum_interval

        p = self.claim.margins
        if p is None:
            return []
        at = np.flatnonzero(seen[row])
        low, high = sum_interval(tally.total[row, at] / per_draw[row, at], delta)
        low, high = low * per_draw[row, at] / tally.n, high * per_draw[row, at] / tally.n
        reach = 1 + self.tolerance
        off = np.maximum(low / np.maximum(p[row, at] * reach, 1e-300), p[row, at] / np.maximum(high * reach, 1e-300))
        worst = np.argsort(-off)[:3]
        return [int(at[i]) for i in worst if off[i] > 1]

    def compare_laws(self, law: Law, n: int) -> None:
        """Note draws that follow another law than the claimed sampler's: margins can be the same by both."""
        if self.scheme is None or law.q is None or law.draws is None:
            return
        f = np.zeros(law.q.size) if self.scores is None else self.scores
        q = np.zeros(law.q.size)
        for y in self.positives:
            row = np.exp(self.scheme.sampler.log_law(Problem(f, self.prior, y)))
            if self.scheme.hits != "keep":
                row[y] = 0.0  # not seen
            q += row / row.sum() if self.scheme.hits == "exclude" else row
        apart = float(np.abs(law.q - q / q.sum()).sum()) / 2
        if apart > LAW + math.sqrt(law.q.size / max(n * law.draws[1], 1)):
            self.notes.append(
                f"labels are drawn by another law than that of {self.scheme.sampler}: total variation {apart:.2g}"
            )

    def report(self, cells: list[Cell], tally: Tally | None, law: Law | None) -> AuditReport:
        """The report."""
        return AuditReport.of(
            claim=self.claim, scheme=self.scheme, prior=self.prior, positives=tuple(self.positives), cells=tuple(cells),
            flaws=tuple(self.flaws), notes=tuple(self.notes), tally=tally, per_draw=self.per_draw, law=law,
            tolerance=self.tolerance, resolution=self.resolution, error=self.error, seed=self.root,
            evaluations=self.calls, delta=self.delta,
        )  # fmt: skip


def _default_positives(prior: LabelPrior) -> list[int]:
    """The most frequent label, the median one and the rarest that occurs."""
    order = prior.by_frequency[prior.probabilities[prior.by_frequency] > 0]
    return list(dict.fromkeys(int(order[i]) for i in (0, order.size // 2, order.size - 1)))


def _ranks(rank: Labels, part: Labels) -> str:
    """Where a part lies, from frequent to rare, counted from 1."""
    low, high = int(rank[part].min()) + 1, int(rank[part].max()) + 1
    return f"rank {low}" if low == high else f"ranks {low} to {high}"


def _check_moves(scores: Floats, answer: Answer, again: Callable[[], tuple[Floats, Labels, Answer]]) -> None:
    """*Raises* ValueError for a loss that gives the same number whatever the scores."""
    if answer.values.size > 1 and np.ptp(answer.values) == 0 and np.ptp(scores) > 0:
        _, _, other = again()
        if np.array_equal(np.unique(other.values), np.unique(answer.values)):
            raise ValueError(
                f"the loss must depend on the scores, but it was {answer.values[0]:.6g} for every example at two sets "
                "of random scores"
            )
