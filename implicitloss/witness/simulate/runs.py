"""Monte Carlo: run the procedure.  Draw labels, weigh them, take the loss, average.

No margin, bound or stated law of a sampler is read here (a weighting that divides by q is part of the procedure).
Hits are excluded the way a programmer would: by drawing again.

Runs come in blocks, each with its own child of the seed, and block moments are merged in order: any number of threads
gives the same bits.  Within a block labels come in pieces that fit a cache, and one stream of labels serves every
weighting and loss, and every m up to that of the stream (a run's first m draws); memory is O(L) and a block a thread.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from implicitloss.arguments import checked_flag, checked_number, checked_threads, checked_whole, shown
from implicitloss.estimate import Estimate, Quantity, checked_quantity
from implicitloss.labels import Floats
from implicitloss.losses import Loss, checked_loss
from implicitloss.numerics.moments import Moments
from implicitloss.numerics.seeds import Seed, root_of
from implicitloss.problem import Problem, checked_problem
from implicitloss.samplers.sampler import TicketDraw, checked_draws
from implicitloss.scheme import Scheme, checked_scheme
from implicitloss.witness.simulate.streams import Matrix, Pieces
from implicitloss.witness.simulate.table import tables_of

# Squares of distances from a reference, squared again, are still numbers.
LARGEST_REFERENCE = 1e70
BLOCK_DRAWS = 1 << 20
# Gradients need a run's labels again; their blocks are smaller.
GRADIENT_BLOCK_DRAWS = 1 << 16
MOST_RUNS = 10_000_000_000
MOST_DRAWS_A_RUN = 10_000_000


def simulate(
    scheme: Scheme,
    loss: Loss,
    problem: Problem,
    quantity: Quantity = "mean",
    *,
    runs: int = 100_000,
    rng: Seed = None,
    reference: float | None = None,
    control: bool = False,
    threads: int | None = None,
) -> Estimate:
    """`quantity` of the sampled loss by `runs` independent runs of m draws: value, standard error, n.

    "mean" averages ℓ; "variance" averages (ℓ - ℓ')²/2 over independent pairs; "mse" and "gap" average
    (ℓ - b)² and b - ℓ about a `reference` b, which has to be given, because a simulation knows no implicit
    loss; "gradient" averages ∂ℓ/∂f, (L,).  `rng` is anything `numpy.random.default_rng` takes.

    With `control` the mean of a softmax takes (S - ES)/(1 + ES) off each ℓ, S the sum over the draws and ES =
    e^b - 1 by the `reference` b, the implicit loss: of mean 0 if b is right, and most of ℓ's spread where the draws
    are many.  Such an estimate leans on b and carries no range: it settles no claim.

    *Raises* ValueError for fewer than 2 runs, a missing reference, or a sampler that draws the positive
    practically always where hits are excluded.
    """
    return simulate_together(
        scheme,
        [(scheme, loss)],
        problem,
        quantity,
        runs=runs,
        rng=rng,
        references=[reference],
        control=control,
        threads=threads,
    )[0]


def simulate_together(
    stream: Scheme,
    cases: Sequence[tuple[Scheme, Loss]],
    problem: Problem,
    quantity: Quantity = "mean",
    *,
    runs: int,
    rng: Seed = None,
    references: Sequence[float | None] | None = None,
    control: bool = False,
    threads: int | None = None,
) -> list[Estimate]:
    """`simulate` for many weightings, losses and m on one stream of draws: that of `stream`.

    All schemes must share the sampler and hits of `stream`; a smaller m takes the first draws of each run (not for
    gradients).  The estimates are dependent.
    """
    checked_quantity(quantity)
    checked_problem(problem)
    for scheme, loss in [(stream, cases[0][1]), *cases]:
        checked_scheme(scheme)
        checked_loss(loss)
    control, threads = checked_flag(control, "control"), checked_threads(threads)
    runs = checked_whole(runs, "runs", 2)
    if runs > MOST_RUNS or stream.m > MOST_DRAWS_A_RUN:
        raise ValueError(
            f"a simulation takes at most {MOST_RUNS:,} runs of at most {MOST_DRAWS_A_RUN:,} draws, "
            f"got {shown(runs)} runs of {stream.m:,}"
        )
    references = [
        None
        if b is None
        else checked_number(b, "the reference", "a number within ±1e70", lambda x: abs(x) <= LARGEST_REFERENCE)
        for b in (references if references is not None else [None] * len(cases))
    ]
    if quantity in ("mse", "gap") and any(b is None for b in references):
        raise ValueError(f"simulating the {quantity} needs reference=b, the value it is about; see implicit_loss")
    if control and (
        quantity != "mean" or any(b is None or not loss.has_log for b, (_, loss) in zip(references, cases, strict=True))
    ):
        raise ValueError("a control variate is for the mean of softmax, and needs reference=b, the implicit loss")
    for scheme, _ in cases:
        if (scheme.sampler, scheme.hits) != (stream.sampler, stream.hits) or scheme.m > stream.m:
            raise ValueError("schemes that are simulated together must share sampler and hits, and draw no more")
        if quantity == "gradient" and scheme.m != stream.m:
            raise ValueError("gradients that are simulated together must share m")
    with ThreadPoolExecutor(threads or os.cpu_count()) as pool:
        return _simulate(stream, cases, problem, quantity, runs, root_of(rng), references, control, pool)


def _simulate(
    stream: Scheme,
    cases: Sequence[tuple[Scheme, Loss]],
    problem: Problem,
    quantity: Quantity,
    runs: int,
    root: int | list[int],
    references: Sequence[float | None],
    control: bool,
    pool: ThreadPoolExecutor,
) -> list[Estimate]:
    # Of the caller's own code nothing runs in another thread: it would lose its errstate and context there.
    draw = checked_draws(stream.sampler, problem)
    if isinstance(draw, TicketDraw):
        pool.submit(draw.prepare)
    tables = tables_of(cases, problem, pool)
    for table in tables:
        table.check_size(quantity)
    runs += runs % 2 if quantity == "variance" else 0
    in_pieces = quantity != "gradient" and all(table.worth.is_narrow for table in tables)
    block_draws = BLOCK_DRAWS if in_pieces else GRADIENT_BLOCK_DRAWS
    per_block = max(2, block_draws // stream.m // 2 * 2)
    sizes = [per_block] * (runs // per_block) + ([runs % per_block] if runs % per_block else [])
    about = np.array([np.nan if b is None else b for b in references], dtype=np.float64)[:, None]
    seeds = np.random.SeedSequence(root).spawn(len(sizes))
    sampled = (Pieces if in_pieces else Matrix)(stream, problem, tables, draw, pool)

    def block(job: tuple[np.random.SeedSequence, int]) -> list[Moments]:
        seed, size = job
        generator = np.random.Generator(np.random.SFC64(seed))
        if quantity == "gradient":
            assert isinstance(sampled, Matrix)
            return sampled.gradients(generator, size)
        return [_moments(_terms(sampled.losses(generator, size), quantity, about, control))]

    totals: list[Moments] | None = None
    for moments in pool.map(block, zip(seeds, sizes, strict=True)):
        totals = moments if totals is None else [a.merged(b) for a, b in zip(totals, moments, strict=True)]
    assert totals is not None
    if quantity != "gradient":
        (every,) = totals
        totals = [Moments(every.n, mean, squares) for mean, squares in zip(every.mean, every.squares, strict=True)]
    return [
        table.estimate(total, quantity, reference, root, control)
        for table, total, reference in zip(tables, totals, references, strict=True)
    ]


def _terms(losses: Floats, quantity: Quantity, about: Floats, control: bool) -> Floats:
    """What is averaged, from the losses of independent runs, (tables, runs), about (tables, 1)."""
    if quantity == "variance":
        return np.asarray((losses[:, ::2] - losses[:, 1::2]) ** 2 / 2)
    if control:
        # (S - ES)/(1 + ES) with S = e^ℓ - 1
        return np.asarray(losses - np.expm1(losses - about))
    if quantity == "mean":
        return losses
    return np.asarray(about - losses if quantity == "gap" else (losses - about) ** 2)


def _moments(terms: Floats) -> Moments:
    mean = terms.mean(axis=1)
    return Moments(terms.shape[1], mean, np.sum((terms - mean[:, None]) ** 2, axis=1))
