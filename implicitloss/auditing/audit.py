"""Audit a black box: measure its margins until its claim is refuted, holds, or the evaluations are used up."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike

from implicitloss.arguments import shown
from implicitloss.auditing.blackbox import Answer, LossFunction, ask
from implicitloss.auditing.cells import BY_SCORE, HITS, NEVER, ORDER, Cell
from implicitloss.auditing.claimed import Claim, Claimed, claimed
from implicitloss.auditing.decode import FORMS, Decoded, Form, decode
from implicitloss.auditing.pilot import SPARE, Pilot, Pushes, in_blocks
from implicitloss.auditing.report import AuditReport, Law
from implicitloss.auditing.tally import Moments, Tally
from implicitloss.labels import Floats, LabelPrior, Labels, checked_vector
from implicitloss.numerics.seeds import Seed, root_of
from implicitloss.problem import Problem, checked_positive
from implicitloss.scheme import Scheme

__all__ = ["audit"]

# Doubles in one call's scores, and in a whole audit's by default; examples of one positive in a call.
CALL, WHOLE, REPLICAS, A_PILOT_CALL = 1 << 18, 1 << 27, 64, 8
FEWEST, MOST, MOST_RUNS = 400, 20_000, 1_000_000_000
# The pilot's share of the evaluations; looks come when these have doubled.  It is kept whole: so many doubles at most.
PILOT, KEPT = 16, 1 << 26
# Decisive parts of a positive's labels, at most: more would take more evaluations.
FINEST = 24
# Of draws of a label that the pilot never saw, an evaluation has no more than this.
SEVERAL = 3.0
# So many ranks on either side are labels about as frequent.
NEAR = 3
# Single labels are judged if so many evaluations of the pilot drew them.
WELL = 8
# Total variation between laws that is worth a note, beyond that of chance.
LAW = 0.05
# An answer this many times its rounding off its form is not of it.
BELOW = 64.0
LEAST_ERROR = 1e-300
# Of losses and scores, as exponents: squares of what they stand for must be numbers.
FAR, LOUD = 300.0, 1e100


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

    Verdict: "refuted" where a margin, the hits, the form or the gradient is not as claimed, by more than the relative
    `tolerance`; "holds" where at every audited positive every decisive part of the labels is known to lie within
    `resolution` beyond it; else "inconclusive".  A true claim is refuted with probability at most `error`, however
    often the audit looks, provided that calls are independent (examples of one call are taken to be so if neither their
    draws nor their means say otherwise), and that no evaluation gives a part more than three times what the pilot saw,
    or labels that the pilot never drew more than three draws as claimed (where no scheme is claimed, `heaviest` times
    the pilot's heaviest, and more in proportion to how much rarer they are in the prior).  A part that is seen to burst
    this says nothing.  `runs` evaluations of each positive are made at most; by values, parts that hold are not asked
    again, so that later calls have fewer examples.

    *Raises* ValueError for an answer of another shape or that is not finite, a claim about other labels, and for
    arguments out of range.  *Source:* derived; limits: `implicitloss.numerics.bounds.half_width`.
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
    seeds: int = 0
    calls: int = 0
    # How many routes share the error; what was asked for stays as it is, and is what the whole report keeps to.
    routes: int = 1
    replicas: int = 1
    alike: bool = False
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
            raise ValueError(f"the loss must be a function (scores, positive, rng), got {shown(loss_fn)}")
        if not isinstance(prior, LabelPrior):
            got = shown(prior)
            raise ValueError(f"the prior must be a LabelPrior, e.g. LabelPrior.from_counts(...), got {got}")
        _check_signature(loss_fn)
        if prior.n_labels < 2:
            raise ValueError("an audit needs at least two labels, got one")
        if not isinstance(form, str) or form not in FORMS:
            raise ValueError(f"form must be 'softmax' or 'logistic', got {shown(form)}")
        for name, value in (("temperature", temperature), ("resolution", resolution), ("tolerance", tolerance),
                            ("heaviest", heaviest), ("error", error)):  # fmt: skip
            if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
                raise ValueError(f"the {name} must be a number, got {shown(value)}")
        for name, value, limit in (("temperature", temperature, 1e100), ("resolution", resolution, math.inf)):
            if not 1 / limit < value < limit:
                raise ValueError(f"the {name} must be a positive number, got {value}")
        if not 0 <= tolerance < math.inf:
            raise ValueError(f"the tolerance must be a number >= 0, got {tolerance}")
        if not 1 <= heaviest < math.inf:
            raise ValueError(f"heaviest must be at least 1, got {heaviest}")
        if not LEAST_ERROR <= error < 1:
            raise ValueError(f"the error must be a probability between 1e-300 and 1, got {error}")
        is_list = isinstance(positives, np.ndarray) and positives.ndim == 1
        is_list |= isinstance(positives, Sequence) and not isinstance(positives, str)
        if positives is not None and not is_list:
            raise ValueError(f"the positives must be labels in a list, got {shown(positives)}")
        rows = (
            _default_positives(prior) if positives is None else [checked_positive(y, prior.n_labels) for y in positives]
        )
        if not rows or len(set(rows)) < len(rows):
            raise ValueError(f"the positives must be labels, each once, got {rows!s:.60}")
        if runs is None:
            runs = min(MOST, max(FEWEST, WHOLE // (len(rows) * prior.n_labels)))
        if isinstance(runs, bool) or not isinstance(runs, (int, np.integer)) or runs < 2 * PILOT:
            raise ValueError(f"runs must be a whole number >= {2 * PILOT}, got {shown(runs)}")
        if runs > MOST_RUNS:
            raise ValueError(f"runs must be at most {MOST_RUNS:,}, got {runs:,}")
        if progress is not None and not callable(progress):
            raise ValueError(f"progress must be a function (done, runs), got {shown(progress)}")
        root = root_of(rng)
        scheme = claim if isinstance(claim, Scheme) else None
        if scores is not None:
            scores = checked_vector(scores, "scores")
        elif scheme is not None and scheme.sampler.needs_scores:
            generator = np.random.default_rng([0, *np.atleast_1d(root)])
            scores = generator.standard_normal(prior.n_labels)
        is_number = not hasattr(shift, "__len__") or getattr(shift, "ndim", 1) == 0
        shift = checked_vector([shift] if is_number else shift, "shift")  # type: ignore[arg-type]
        shift = shift[0] if shift.size == 1 else shift
        for name, vector in (("scores", scores), ("shift", shift)):
            if vector is not None and vector.ndim and vector.shape != (prior.n_labels,):
                raise ValueError(f"{name} must cover the prior's {prior.n_labels} labels, got shape {vector.shape}")
        far = float(np.max(np.abs((0.0 if scores is None else scores - scores.mean()) / temperature + shift)))
        if not far <= FAR:
            raise ValueError(
                f"scores over the temperature, and the shift, must lie within {FAR:g} of 0, got {far:.4g}: of what is "
                "further out the exponentials cannot be decoded"
            )
        said = claimed(claim, prior, rows, scores)
        return cls(
            loss_fn, prior, said, scheme, rows, scores, form, float(temperature), shift, tolerance, resolution,
            heaviest, int(runs), error, root, progress,
        )  # fmt: skip

    @property
    def share(self) -> float:
        """The error that one route may have."""
        return self.error / self.routes

    # --- asking -------------------------------------------------------------------------------------------------------

    def generators(self, seed: int) -> tuple[np.random.Generator, np.random.Generator]:
        """Of the scores of a call, and of the loss."""
        of_scores, of_loss = np.random.SeedSequence(self.root, spawn_key=(seed,)).spawn(2)
        return np.random.default_rng(of_scores), np.random.default_rng(of_loss)

    def fresh(self) -> tuple[np.random.Generator, np.random.Generator]:
        """Generators that no call had yet."""
        self.seeds += 1
        return self.generators(self.seeds - 1)

    def ask(self, scores: Floats, positive: Labels, of_loss: np.random.Generator) -> Answer:
        """One call, which is counted."""
        self.calls += 1
        answer = ask(self.loss_fn, scores, positive, of_loss)
        limit = FAR if self.form == "softmax" else LOUD
        if answer.values.max() > limit:
            raise ValueError(
                f"a loss of the {self.form} form must be at most {limit:g}, got {answer.values.max():.4g}: what its "
                "negatives weigh is too much for a number"
            )
        return answer

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
        of_scores, of_loss = self.fresh()
        positive = self.rows(replicas)
        scores = self.some_scores(positive.size, of_scores)
        return scores, positive, self.ask(scores, positive, of_loss)

    # --- the audit ----------------------------------------------------------------------------------------------------

    def run(self) -> AuditReport:
        """First contact, then the route that the answers allow."""
        from implicitloss.auditing.probes import by_values

        scores, positive, answer = self.next_call(2)
        _check_moves(scores, answer, lambda: self.next_call(2))
        self.look_at(answer)
        # The first of all seeds.
        again = self.ask(scores, positive, self.generators(0)[1])
        repeats = np.array_equal(answer.values, again.values)
        if repeats and self.ignores_rng(scores, positive, answer):
            self.notes.append(
                "the answer is the same whatever the rng it is given: a loss that draws labels by a seed of its own "
                "draws the same ones each time"
            )
        if answer.gradients is None:
            cells = by_values(self)
            return self.report(cells, None, None)
        if self.scores is not None:
            self.notes.append(
                "at given scores, draws and weights may move with them: gradients are not compared with differences"
            )
        elif repeats:
            self.check_gradient()
        values_too = not repeats and self.scores is None
        self.routes = 2 if values_too else 1
        tally, cells, law = self.by_gradients()
        if values_too:
            self.notes.append(
                "the loss does not repeat itself by the rng it is given; its values were audited by themselves too"
            )
            cells = cells + by_values(self)
        return self.report(cells, tally, law)

    def look_at(self, answer: Answer) -> None:
        """A sum of payments that are not negative is not negative."""
        if float(answer.values.min()) < -BELOW * answer.eps:
            self.flaws.append(
                f"the loss is negative, {answer.values.min():.4g}, which no loss of the {self.form} form can be: is "
                "its sign wrong, or a constant taken off?"
            )

    def ignores_rng(self, scores: Floats, positive: Labels, answer: Answer) -> bool:
        """Whether another seed gives the same answer, though some labels have no part in it."""
        if answer.gradients is not None and np.all(answer.gradients != 0):
            return False  # all labels: nothing is drawn
        _, of_loss = self.fresh()
        return bool(np.array_equal(answer.values, self.ask(scores, positive, of_loss).values))

    def check_gradient(self) -> None:
        """Compare gradients with differences of values, on the same draws: no chance is involved."""
        # Steps so little that draws which look at the scores stay as they are; a loss that works in single precision
        # inside, whatever it answers in, shows its gradient at the larger one only.
        flaw = self.gradient_flaw(1e-5, 1e-5)
        if flaw is not None and self.gradient_flaw(2e-3, 1e-3) is not None:
            self.flaws.append(flaw)

    def gradient_flaw(self, size: float, limit: float) -> str | None:
        """What is wrong with the gradient beside differences over `size`, or over more where numbers are single."""
        differences, slopes = [], []
        for _ in range(8):
            of_scores, of_loss = self.fresh()
            positive = self.rows(1)
            scores = self.some_scores(positive.size, of_scores)
            step = np.where(of_scores.random(scores.shape) < 0.5, -0.5, 0.5)
            answer = self.ask(scores, positive, of_loss)
            h = self.temperature * (size if answer.eps < 1e-12 else 0.05)
            ends = [
                self.ask(scores + sign * h * step, positive, self.generators(self.seeds - 1)[1]).values
                for sign in (1, -1)
            ]
            assert answer.gradients is not None
            differences += ((ends[0] - ends[1]) / (2 * h)).tolist()
            slopes += np.sum(answer.gradients * step, axis=1).tolist()
        scale = max(float(np.sqrt(np.mean(np.square(slopes)))), float(np.sqrt(np.mean(np.square(differences)))), 1e-12)
        # A draw may move now and then; of each positive the median of eight does not.
        apart = np.abs(np.subtract(differences, slopes)).reshape(-1, len(self.positives))
        off = float(np.median(apart, axis=0).max()) / scale
        if off <= (limit if answer.eps < 1e-12 else 1e-2):
            return None
        ratio = float(np.dot(slopes, differences) / np.dot(differences, differences))
        return (
            f"the gradient is not that of the value: along random directions it is {ratio:.4g} times the difference of "
            f"the values, and off by {off:.2g} of its size (if draws or corrections follow the scores and the gradient "
            "holds them fixed, give the scores to audit at: scores=)"
        )

    def decode(self, scores: Floats, positive: Labels, answer: Answer) -> Decoded:
        """The weights behind an answer."""
        return decode(self.form, scores, positive, answer, self.temperature, self.shift)

    def by_gradients(self) -> tuple[Tally, list[Cell], Law]:
        """A pilot, from which the rest is planned; then looks, until all is decided."""
        pilot, pushes = self.pilot()
        slices = self.slices()
        if self.alike:
            self.notes.append("examples of one call share their negatives, or draw none; each call counts once")
        elif pilot.examples_depend(slices):
            self.notes.append("examples of one call depend on each other; each call counts once")
        else:
            self.replicas = max(1, min(REPLICAS, CALL // (len(self.positives) * self.prior.n_labels)))
        cells = self.plan(pilot)
        parts = [[cell.labels for cell in cells if cell.positive == y] for y in self.positives]
        seen = pilot.seen > 0
        tally = Tally(len(self.positives), self.prior.n_labels, parts, self.claim.margins, seen.astype(np.float64))
        looks = max(1, math.ceil(math.log2(self.runs / pilot.n)))
        self.delta = self.share / (looks * (len(cells) + len(self.positives) * (self.prior.n_labels + 3)))
        for look in range(looks):
            n = max(pilot.n, math.ceil(self.runs / 2 ** (looks - 1 - look)))
            self.fill(tally, n)
            if self.progress is not None:
                self.progress(n, self.runs)
            found = self.look(tally, cells, pilot)
            if tally.below > BELOW:
                self.flaws.append(
                    f"the answers are not of the {self.form} form with their own gradient (a weight comes out "
                    "negative, or the gradient does not sum to 0): is there a temperature, a scaled gradient, or "
                    "another form?"
                )
            if self.flaws or self.settled(found):
                break
        law = Law.of(pilot, slices, pushes, tuple(self.prior.slices()), self.positives)
        self.compare_laws(law, pilot.n)
        return tally, found, law

    def settled(self, cells: list[Cell]) -> bool:
        """Whether nothing is left to be decided."""
        results = [cell.result(self.tolerance) for cell in cells]
        decided = all(r != "inconclusive" for r, cell in zip(results, cells, strict=True) if cell.decisive)
        return "refuted" in results or (decided and self.claim.margins is not None)

    def pilot(self) -> tuple[Pilot, Pushes]:
        """A few evaluations, kept whole."""
        rows = len(self.positives)
        n = max(PILOT, min(self.runs // PILOT, KEPT // (rows * self.prior.n_labels)))
        a_call = min(A_PILOT_CALL, n)
        answers, given = [], []
        for _ in range(math.ceil(n / a_call)):
            scores, positive, answer = self.next_call(a_call)
            assert answer.gradients is not None
            given.append((scores / self.temperature, self.temperature * answer.gradients))
            answers.append(self.decode(scores, positive, answer))
        weights, order = in_blocks([answer.weights for answer in answers], rows), self.prior.by_frequency
        pairs = weights[:, : weights.shape[1] // 2 * 2].reshape(rows, -1, 2, weights.shape[2]) > 0
        self.alike = a_call > 1 and bool(np.array_equal(pairs[:, :, 0], pairs[:, :, 1]))
        pilot = Pilot(weights, in_blocks([answer.hits for answer in answers], rows), a_call, order)
        scores, slopes = (in_blocks([pair[k] for pair in given], rows).reshape(-1, weights.shape[2]) for k in (0, 1))
        positive = np.repeat(np.array(self.positives, dtype=np.intp), pilot.n)
        return pilot, Pushes.of(scores, positive, slopes, self.slices(), rows)

    def fill(self, tally: Tally, n: int) -> None:
        """Evaluate until the tally has `n`."""
        while tally.n < n:
            scores, positive, answer = self.next_call(min(self.replicas, n - tally.n))
            own = scores[np.arange(positive.size), positive]
            tally.add(self.decode(scores, positive, answer), (scores > own[:, None]).astype(np.float64))

    def slices(self) -> Floats:
        """Which labels are of the head, torso and tail, (L, S)."""
        parts = self.prior.slices().values()
        member = np.zeros((self.prior.n_labels, len(parts)))
        for i, part in enumerate(parts):
            member[part, i] = 1.0
        return member

    def plan(self, pilot: Pilot) -> list[Cell]:
        """For each positive the parts of the labels that are looked at together."""
        cells = []
        # The union bound is known up to a few cells; half of the runs should do.
        delta = self.share / (8 * len(self.positives) * (self.prior.n_labels + 64))
        rank = np.empty(self.prior.n_labels, dtype=np.intp)
        rank[self.prior.by_frequency] = np.arange(self.prior.n_labels)
        for row, y in enumerate(self.positives):
            order = self.prior.by_frequency[self.prior.by_frequency != y]
            known = order[pilot.seen[row, order] > 0]
            for part in pilot.partition(row, known, self.runs // 2, self.resolution, delta, FINEST):
                cells.append(self.cell(row, _ranks(rank, part), part, pilot, decisive=True))
            for name, labels in self.prior.slices().items():
                part = labels[(pilot.seen[row, labels] > 0) & (labels != y)]
                if part.size:
                    cells.append(self.cell(row, name, part, pilot))
            rare = order[pilot.seen[row, order] == 0]
            if rare.size:
                cells.append(self.rare_cell(row, rare, pilot))
        return cells

    def rare_cell(self, row: int, rare: Labels, pilot: Pilot) -> Cell:
        """Labels that the pilot never saw: decisive if they are much of what is claimed, or of a slice of it."""
        p = self.claim.margins
        decisive = p is not None and any(
            float(p[row, np.intersect1d(rare, part)].sum()) > self.resolution * float(p[row, part].sum())
            for part in self.prior.slices().values()
        )
        heavy = self.unseen_weight(row, rare, pilot)
        if self.claim.weights is not None:
            heavy = SEVERAL * float(self.claim.weights[row, rare].max())
        claimed = None if p is None else float(p[row, rare].sum())
        return Cell(
            self.positives[row], NEVER, rare, "gradient", max(heavy, 1e-300), claimed, decisive, self.resolution
        )

    def unseen_weight(self, row: int, labels: Labels, pilot: Pilot) -> float:
        """The most that an evaluation is taken to give labels which the pilot never saw, where no weight is claimed."""
        prior, seen = self.prior.probabilities, pilot.seen[row] > 0
        rarest = float(prior[labels].min())
        if not seen.any() or not rarest > 0:
            return np.inf
        # Rarer labels may weigh more: in proportion, as importance weights do.
        return self.heaviest * float(pilot.most[row].max()) * max(1.0, float(prior[seen].min()) / rarest)

    def cell(self, row: int, part: str, labels: Labels, pilot: Pilot, decisive: bool = False) -> Cell:
        p = self.claim.margins
        claimed = None if p is None else float(p[row, labels].sum())
        most = float(pilot.weights[row][:, labels].sum(axis=1).max())
        heavy = SPARE * max(most, float(pilot.floor[row, labels].max()))
        return Cell(self.positives[row], part, labels, "gradient", heavy, claimed, decisive, self.resolution)

    def look(self, tally: Tally, plan: list[Cell], pilot: Pilot) -> list[Cell]:
        """All cells as they stand; of single labels those that are furthest off."""
        found = []
        for row, y in enumerate(self.positives):
            for k, cell in enumerate([cell for cell in plan if cell.positive == y]):
                found.append(self.measured(cell, tally.cells, (row, k), tally.n))
            found += self.single_labels(row, tally, pilot)
            if self.scores is None and self.claim.margins is not None:
                found += self.by_score(row, tally, pilot)
            found.append(self.hits_cell(row, tally, pilot))
        return found

    def measured(self, cell: Cell, moments: Moments, at: tuple[int, int], n: int, unseen: float = 0.0) -> Cell:
        total, variance, most = (float(x[at]) for x in (moments.total, moments.variance(n), moments.most))
        return cell.with_sums(total, variance, most, n, self.delta, unseen)

    def by_score(self, row: int, tally: Tally, pilot: Pilot) -> list[Cell]:
        """Labels scored above the positive, and below it: a margin does not look at scores."""
        assert self.claim.margins is not None
        y, at = self.positives[row], np.flatnonzero(pilot.seen[row] > 0)
        if not at.size:
            return []
        # Measured less claimed, of an evaluation, lies between minus all that is claimed and the most that is drawn.
        all_claimed = float(self.claim.margins[row, at].sum())
        heavy = SPARE * float(pilot.weights[row].sum(axis=1).max())
        cells = []
        for side, name in enumerate(BY_SCORE):
            claimed = float(tally.above[row, side]) / tally.n
            cell = Cell(y, name, at, "gradient", heavy + all_claimed, claimed)
            apart = self.measured(cell, tally.sides, (row, side), tally.n)
            width = apart.high - apart.measured
            mean = claimed + apart.measured
            cells.append(replace(apart, measured=mean, low=max(mean - width, 0.0), high=mean + width))
        return cells

    def hits_cell(self, row: int, tally: Tally, pilot: Pilot) -> Cell:
        """Accidental hits: seen at all is enough where they are claimed, and too much where they are not."""
        y = self.positives[row]
        claim = self.claim
        heavy = SPARE * float(pilot.hits[row].max())
        claimed = None if claim.hits is None else float(claim.hits[row])
        if not heavy > 0:
            if claim.hit_weights is not None and claim.hit_weights[row] > 0:
                heavy = SEVERAL * float(claim.hit_weights[row])
            elif claimed == 0.0:
                # Like a label that is about as frequent.
                heavy = SPARE * float(pilot.most[row, self.neighbours(y)].max())
            heavy = heavy or self.unseen_weight(row, np.array([y]), pilot)
        little = self.little(row)
        # Of a positive that is hardly ever drawn nothing can be decided.
        frequent = y == max(self.positives, key=lambda x: float(self.prior.probabilities[x]))
        decisive = frequent and claimed is not None and (claimed == 0.0 or bool(pilot.hits[row].any()))
        cell = Cell(y, HITS, np.array([y]), "gradient", heavy, claimed, decisive, ORDER, little=little)
        return self.measured(cell, tally.hits, (row, 0), tally.n, float(tally.unseen[row]) / tally.n)

    def little(self, row: int) -> float:
        """Where no hits are claimed, less than labels about as frequent have is little."""
        p = self.claim.margins
        return 0.0 if p is None else float(p[row, self.neighbours(self.positives[row])].mean())

    def neighbours(self, y: int) -> Labels:
        """The labels nearest to `y` in frequency."""
        order = self.prior.by_frequency
        at = int(np.flatnonzero(order == y)[0])
        near = np.arange(max(at - NEAR, 0), min(at + NEAR + 1, order.size))
        return order[near[near != at]]

    def single_labels(self, row: int, tally: Tally, pilot: Pilot) -> list[Cell]:
        """Of the labels that the pilot saw well, those whose limits exclude what is claimed, the worst few."""
        p = self.claim.margins
        at = np.flatnonzero(pilot.seen[row] >= WELL)
        if p is None or not at.size:
            return []
        found = []
        heavy = SPARE * np.maximum(pilot.most[row], pilot.floor[row])
        mean, width = tally.labels.limits(heavy, tally.n, self.delta)
        off = np.abs(mean - p)[row, at] / np.maximum(width[row, at], 1e-300)
        for i in np.argsort(-off)[:3]:
            if off[i] > 1:
                label = int(at[i])
                name, claimed = f"label {self.prior.name(label)}", float(p[row, label])
                cell = Cell(self.positives[row], name, np.array([label]), "gradient", float(heavy[label]), claimed)
                found.append(self.measured(cell, tally.labels, (row, label), tally.n))
        return found

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
        if not q.sum() > 0:
            return  # nothing but masked hits
        apart = float(np.abs(law.q - q / q.sum()).sum()) / 2
        if apart > LAW + math.sqrt(law.q.size / max(n * law.draws[1], 1)):
            self.notes.append(
                f"labels are drawn by another law than that of {self.scheme.sampler}: total variation {apart:.2g}"
            )

    def report(self, cells: list[Cell], tally: Tally | None, law: Law | None) -> AuditReport:
        """The report."""
        return AuditReport.of(
            loss=_name(self.loss_fn), claim=self.claim,
            scheme=self.scheme, prior=self.prior, positives=tuple(self.positives), cells=tuple(cells),
            flaws=tuple(self.flaws), notes=tuple(self.notes), tally=tally, law=law,
            tolerance=self.tolerance, resolution=self.resolution, error=self.error, seed=self.root,
            calls=self.calls, form=self.form, delta=self.delta,
        )  # fmt: skip


def _name(loss_fn: LossFunction) -> str:
    """How reports call a loss."""
    return str(getattr(loss_fn, "__qualname__", type(loss_fn).__name__)).split("<locals>.")[-1]


def _check_signature(loss_fn: LossFunction) -> None:
    """*Raises* ValueError for a function that cannot be called with (scores, positive, rng)."""
    try:
        signature = inspect.signature(loss_fn)
    except (TypeError, ValueError):  # nothing is known of it
        return
    try:
        signature.bind(None, None, None)
    except TypeError:
        raise ValueError(
            f"the loss must take (scores, positive, rng), but {_name(loss_fn)} takes {signature}; losses of PyTorch, "
            "TensorFlow and JAX need their adapter in implicitloss.adapters"
        ) from None


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
