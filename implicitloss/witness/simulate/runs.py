"""Monte Carlo: run the procedure.  Draw labels, weigh them, take the loss, average.

No margin, bound or stated law of a sampler is read here.  (A weighting that divides by q is part of the procedure.)
Excluded hits, and draws of hard negatives where these are excluded, are drawn again, as a training program would do it.

Runs come in blocks.  Each block has its own child of the seed, and block moments are merged in order, so that any
number of threads gives the same bits.  Within a block, labels come in pieces that fit a cache.  One stream of labels
serves every weighting and loss, and every m up to that of the stream (the first m draws of a run).  Memory is O(L),
and a block for each thread.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from implicitloss.arguments import checked_flag, checked_number, checked_threads, checked_whole, shown
from implicitloss.clusterwise import by_cluster
from implicitloss.estimate import Estimate, Quantity, checked_quantity
from implicitloss.labels import Floats
from implicitloss.losses import Loss, checked_loss
from implicitloss.numerics.moments import Moments
from implicitloss.numerics.seeds import Seed, root_of
from implicitloss.problem import Problem, checked_problem
from implicitloss.samplers.sampler import AliasDraw, checked_draws
from implicitloss.samplers.whole import Whole
from implicitloss.scheme import Scheme, checked_scheme
from implicitloss.witness.simulate.streams import Matrix, Pieces, Sets
from implicitloss.witness.simulate.table import tables_of

__all__ = ["simulate", "simulate_together"]

# The variance of a squared error has fourth powers of this distance, which must fit a float.
LARGEST_REFERENCE = 1e70
BLOCK_DRAWS = 1 << 20
# Gradients read each run's labels twice, and so keep them: their blocks are smaller.
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
    """Estimate `quantity` of the sampled loss by running the procedure: draw m labels, weigh them, take the loss.

    The mean is (1/R) Σ_r ℓ(N_r) over R = `runs` independent runs.  No margin, bound or expectation is used; only
    weights that divide by q read the sampler's law.

    Parameters
    ----------
    scheme : Scheme
        The sampler, the weights, m, and what a hit on the positive does.
    loss : Loss
        `losses.SoftmaxCrossEntropy()` or `losses.Decoupled(...)`.
    problem : Problem
        Scores, label prior and positive label of one example.
    quantity : {"mean", "variance", "mse", "gap", "gradient", "gradient_variance"}
        The average of ℓ; of (ℓ - ℓ')²/2 over independent pairs; of (ℓ - b)²; of b - ℓ; of g = ∂ℓ/∂f, (L,), with q and w
        held fixed; or of ‖g - g'‖²/2 over independent pairs, whose mean is the trace of the covariance of g.
    runs : int
        R, from 2 to 10¹⁰.
    rng : seed or Generator, optional
        Anything that `numpy.random.default_rng` takes.
    reference : float, optional
        b, needed for "mse" and "gap": the implicit loss, which a simulation does not know.
    control : bool
        For the mean of a softmax: subtract (S - E S)/(1 + E S) from each ℓ, where S is the sum over the draws and E S =
        e^b - 1.  Its mean is 0 if b is right, and without it ℓ varies much less if m is large.  The estimate then
        depends on b and has no `low` and `high`, so that it decides no claim.
    threads : int, optional
        By default one a core; the estimate is the same for any number.

    Returns
    -------
    Estimate
        The average and its standard error, with n, the sample variance, the limits of a term, and the seed.

    Raises
    ------
    ValueError
        For an argument out of range, a missing reference, terms too large for floating point, and a sampler that draws
        hardly anything but the positive where hits are excluded.
    ImpossibleDraw
        If the sampler draws a label to which its law gives q = 0.

    References
    ----------
    The definitions: Rawat et al. 2021, Eqs. 7 and 8; of gradients, their Remark 3.

    Examples
    --------
    >>> import implicitloss as il
    >>> prior = il.LabelPrior.from_counts([8, 4, 3, 1])
    >>> problem = il.Problem([0.3, -0.4, 1.2, -1.7], prior, positive=1)
    >>> scheme = il.Scheme(il.samplers.WithinBatch(), il.weightings.Constant(), m=3, hits="mask")
    >>> loss = il.losses.SoftmaxCrossEntropy()
    >>> estimate = il.simulate(scheme, loss, problem, runs=100_000, rng=0)
    >>> round(float(estimate), 3), round(estimate.error, 3), round(float(il.integrate(scheme, loss, problem)), 3)
    (1.024, 0.001, 1.025)

    ‖g - g'‖²/2, g = ∂ℓ/∂f, over pairs of runs:

    >>> spread = il.simulate(scheme, loss, problem, "gradient_variance", runs=100_000, rng=0)
    >>> round(float(spread), 3), round(spread.error, 3)
    (0.145, 0.001)
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
    """`simulate` for many weightings, losses and m at once, on the draws of the scheme `stream`.

    All schemes must have the sampler, the hits mode and the hard negatives of `stream`.  A smaller m takes the first
    draws of each run; for gradients every m must be the same.  The estimates depend on each other.
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
        shared = [(one.sampler, one.hits, one.hard, one.draws) for one in (scheme, stream)]
        if shared[0] != shared[1] or scheme.m > stream.m:
            raise ValueError(
                "schemes that are simulated together must share sampler, hits, hard and draws, and draw no more"
            )
        if (quantity in ("gradient", "gradient_variance") or stream.draws != "iid") and scheme.m != stream.m:
            raise ValueError("gradients, and draws that are not independent, are simulated together if they share m")
    if isinstance(stream.sampler, Whole):
        few = [by_cluster(scheme, loss, problem, quantity) for scheme, loss in cases]
        losses = [loss for _, loss in cases]
        found = simulate_together(
            by_cluster(stream, losses[0], problem, quantity).scheme,
            [(one.scheme, loss) for one, loss in zip(few, losses, strict=True)], few[0].problem, quantity,
            runs=runs, rng=rng, references=references, control=control, threads=threads,
        )  # fmt: skip
        return [one.to_labels(estimate) for one, estimate in zip(few, found, strict=True)]
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
    # The caller's own code runs in this thread only: in another it would lose its errstate and its context.
    draw = checked_draws(stream.sampler, problem)
    if isinstance(draw, AliasDraw):
        pool.submit(draw.prepare)
    tables = tables_of(cases, problem, pool)
    for table in tables:
        table.check_size(quantity)
    runs += runs % 2 if quantity in ("variance", "gradient_variance") else 0
    of_gradient = quantity in ("gradient", "gradient_variance")
    in_pieces = not of_gradient and stream.draws == "iid" and all(table.worth.is_narrow for table in tables)
    block_draws = BLOCK_DRAWS if in_pieces else GRADIENT_BLOCK_DRAWS
    per_block = max(2, block_draws // stream.m // 2 * 2)
    sizes = [per_block] * (runs // per_block) + ([runs % per_block] if runs % per_block else [])
    about = np.array([np.nan if b is None else b for b in references], dtype=np.float64)[:, None]
    seeds = np.random.SeedSequence(root).spawn(len(sizes))
    kind = Pieces if in_pieces else Matrix if stream.draws == "iid" else Sets
    sampled = kind(stream, problem, tables, draw, pool)

    def block(job: tuple[np.random.SeedSequence, int]) -> list[Moments]:
        seed, size = job
        generator = np.random.Generator(np.random.SFC64(seed))
        if quantity == "gradient":
            assert isinstance(sampled, Matrix)
            return sampled.gradients(generator, size)
        if quantity == "gradient_variance":
            assert isinstance(sampled, Matrix)
            return [_moments(sampled.gradient_pairs(generator, size))]
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
    """The terms to average, (tables, n), from the losses of independent runs (tables, runs); `about` is (tables, 1)."""
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
