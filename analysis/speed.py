"""How fast the two engines are: against what a user would use instead, and against the machine's limit, in one run.

Monte Carlo (m = 64, within-batch, importance weights, hits masked): random doubles alone, which nothing that draws can
beat (PCG64 into a block that stays in cache, two threads); NumPy (`Generator.choice` with p, then log-mean) and SciPy's
`DiscreteAliasUrn`, on one thread; PyTorch (`multinomial` and log-sum-exp, on the CPU, two threads); and a ladder m = 1,
2, ..., 4096 with four weightings against the largest m with one. Exact: mean, variance and gradient against the same
integrals label by label, against one exponential of each score, and against Monte Carlo to 1e-6, whose time is that of
its first draws, scaled. Files: against pandas. Optima, information and slopes of a design: against Newton's method,
Hessians, and all labels. Draws without repetition: against exponentials. Times are medians of repeats that take turns;
a peer that is not installed is named and left out.
"""

from __future__ import annotations

import importlib.util
import os
import statistics
import tempfile
import time
import tracemalloc
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pandas as pd

from analysis.inputs.drawn_once import DRAWN, DRAWN_RATIOS, QUICK_DRAWN, drawn
from analysis.inputs.priced import PRICED, PRICED_RATIOS, PRICES, priced
from analysis.study import Point, Row
from implicitloss.estimate import Quantity
from implicitloss.labels import LabelPrior
from implicitloss.losses import SoftmaxCrossEntropy
from implicitloss.problem import Problem
from implicitloss.samplers import WithinBatch
from implicitloss.scheme import Scheme
from implicitloss.weightings import Constant, Importance, Relative, Tail
from implicitloss.witness.integrate import draw as measure
from implicitloss.witness.integrate import integrate
from implicitloss.witness.simulate import simulate, simulate_together

# Times beside each other would time each other.
ALONE = True

LABELS, QUICK_LABELS = (100, 10_000, 325_000, 3_000_000), (100, 10_000)
M, LONGEST, THREADS = 64, 4096, 2
SOFTMAX = SoftmaxCrossEntropy()
FILES = ("names", "numbers")
PEERS = {"scipy": "SciPy DiscreteAliasUrn", "torch": "PyTorch multinomial"}


def points(prior: LabelPrior, quick: bool) -> list[Point]:
    """Each engine at each number of labels; the prior is Zipf's, whatever the study is given."""
    repeats = 3 if quick else 5
    kinds, sizes = ("monte carlo", "ladder", "exact", "label file"), QUICK_LABELS if quick else LABELS
    grid = [(kind, n) for kind in kinds for n in sizes] + [("exact, any m", sizes[-2])]
    grid += [*((kind, sizes[0]) for kind in PRICES[:-1]), *QUICK_DRAWN] if quick else [*PRICED, *DRAWN]
    return [{"kind": kind, "labels": n, "repeats": repeats, "quick": quick} for kind, n in grid]


def rows(prior: LabelPrior, point: Point) -> list[Row]:
    """One row a competitor and repeat: seconds, and what they were for."""
    n_labels = point["labels"]
    problem = Problem(np.random.default_rng(0).normal(size=n_labels), LabelPrior.zipf(n_labels, 1.0), n_labels // 2)
    kinds = {
        "monte carlo": _monte_carlo, "ladder": _ladder, "exact": _exact, "exact, any m": _any_m,
        "label file": _label_file,
    }  # fmt: skip
    kind, quick = point["kind"], point["quick"]
    jobs = kinds[kind](problem, quick) if kind in kinds else (priced if kind in PRICES else drawn)(kind, n_labels)
    found = []
    for _, _, job in jobs:  # compile, warm caches
        job(True)
    for repeat in range(point["repeats"]):
        for who, scale, job in jobs:
            start = time.perf_counter()
            job(False)
            found.append(_row(point["kind"], who, n_labels, repeat, time.perf_counter() - start, scale))
    if point["kind"] == "exact":
        found += _memory(problem)
    return found


def _row(kind: str, who: str, labels: int, repeat: int, measured: float, scale: float = 1.0) -> Row:
    """`measured` seconds (or bytes), which `scale` makes comparable: per draw, or for the draws that were not made."""
    return {"kind": kind, "who": who, "labels": labels, "repeat": repeat, "measured": measured, "scale": scale}


# Who, the scale of its seconds, and what is timed (True: only to warm up).
Job = tuple[str, float, Callable[[bool], Any]]


def _scheme(m: int, weighting: Any = None) -> Scheme:
    return Scheme(WithinBatch(), weighting or Importance(), m=m, hits="mask")


def _threads(work: Callable[[int], Any]) -> None:
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(work, range(THREADS)))


# --- Monte Carlo ------------------------------------------------------------------------------------------------------


def _monte_carlo(problem: Problem, quick: bool) -> list[Job]:
    """Seconds a draw, ours and others'; fewer draws where a peer is slow."""
    draws, few = (1 << 21, 1 << 17) if quick else (1 << 27, 1 << 20)
    x = np.exp(problem.scores - problem.scores[problem.positive]) / (M * problem.prior.probabilities)
    x[problem.positive] = 0.0

    def ours(warm: bool) -> None:
        simulate(_scheme(M), SOFTMAX, problem, runs=(few if warm else draws) // M, rng=0, threads=THREADS)

    def doubles(warm: bool) -> None:
        def fill(seed: int) -> None:
            generator, block = np.random.default_rng(seed), np.empty(1 << 14)
            for _ in range((few if warm else draws) // THREADS // block.size):
                generator.random(out=block)

        _threads(fill)

    def numpy_choice(warm: bool) -> None:
        labels = np.random.default_rng(0).choice(
            problem.prior.n_labels, size=(few // M, M), p=problem.prior.probabilities
        )
        np.log1p(x[labels].sum(axis=1)).mean()

    jobs: list[Job] = [
        ("implicitloss", 1 / draws, ours),
        ("random doubles", 1 / draws, doubles),
        ("NumPy choice", 1 / few, numpy_choice),
    ]
    if importlib.util.find_spec("scipy"):
        from scipy.stats.sampling import DiscreteAliasUrn

        urn = DiscreteAliasUrn(np.array(problem.prior.probabilities), random_state=np.random.default_rng(0))

        def scipy_urn(warm: bool) -> None:
            labels = urn.rvs(few).reshape(-1, M)
            np.log1p(x[labels].sum(axis=1)).mean()

        jobs.append((PEERS["scipy"], 1 / few, scipy_urn))
    if importlib.util.find_spec("torch") and problem.prior.n_labels < 1 << 24:
        import torch

        torch.set_num_threads(THREADS)
        q, log_x = (
            torch.from_numpy(np.array(problem.prior.probabilities)),
            torch.from_numpy(np.log(np.maximum(x, 1e-300))),
        )

        def torch_multinomial(warm: bool) -> None:
            labels = torch.multinomial(q, few, replacement=True).reshape(-1, M)
            torch.logaddexp(torch.zeros(()), torch.logsumexp(log_x[labels], dim=1)).mean()

        jobs.append((PEERS["torch"], 1 / few, torch_multinomial))
    return jobs


def _ladder(problem: Problem, quick: bool) -> list[Job]:
    # As many as `simulate` makes if it is not told.
    runs = 1_000 if quick else 100_000
    cases = [
        (_scheme(2**k, weighting), SOFTMAX)
        for weighting in (Constant(), Importance(), Relative(), Tail())
        for k in range(LONGEST.bit_length())
    ]

    def one(warm: bool) -> None:
        simulate(_scheme(LONGEST), SOFTMAX, problem, runs=runs, rng=0, threads=THREADS)

    def every(warm: bool) -> None:
        simulate_together(_scheme(LONGEST), cases, problem, runs=runs, rng=0, threads=THREADS)

    return [("m = 4096, one weighting", 1.0, one), ("13 m, four weightings", 1.0, every)]


# --- exact ------------------------------------------------------------------------------------------------------------


def _exact(problem: Problem, quick: bool) -> list[Job]:
    """Compressed for many labels, and label by label; Monte Carlo's time to 1e-6 is that of its first draws, scaled."""
    scheme = _scheme(M)

    def ours(quantity: Quantity, m: int = M) -> Callable[[bool], Any]:
        return lambda warm: integrate(_scheme(m), SOFTMAX, problem, quantity)

    def label_by_label(quantity: Quantity) -> Callable[[bool], Any]:
        def direct(warm: bool) -> None:
            if not warm:
                many, measure.COMPRESS_FROM_LABELS = measure.COMPRESS_FROM_LABELS, 1 << 62
                try:
                    integrate(scheme, SOFTMAX, problem, quantity)
                finally:
                    measure.COMPRESS_FROM_LABELS = many

        return direct

    pilot = simulate(scheme, SOFTMAX, problem, runs=20_000, rng=0)
    assert isinstance(pilot.variance, float)
    needed = pilot.variance / (1e-6 * float(pilot)) ** 2 * M
    return [
        ("mean", 1.0, ours("mean")),
        ("variance", 1.0, ours("variance")),
        ("gradient", 1.0, ours("gradient")),
        ("mean, m = 1,000,000", 1.0, ours("mean", 1_000_000)),
        ("NumPy's exp of all scores", 1.0, lambda warm: np.exp(problem.scores)),
        ("mean, label by label", 1.0, label_by_label("mean")),
        ("variance, label by label", 1.0, label_by_label("variance")),
        ("Monte Carlo to 1e-6, by its first draws", needed / (1 << 22), lambda warm: simulate(
            scheme, SOFTMAX, problem, runs=(1 << 22) // M, rng=0, threads=THREADS)),
    ]  # fmt: skip


def _any_m(problem: Problem, quick: bool) -> list[Job]:
    """The exact mean for m from 1 to a million."""
    each = (1, 16, 256, 4096, 65_536, 1_000_000)
    return [(f"m = {m}", 1.0, lambda warm, m=m: integrate(_scheme(m), SOFTMAX, problem)) for m in each]


def _label_file(problem: Problem, quick: bool) -> list[Job]:
    """A file of labels and counts, as a prior, and as a pandas DataFrame; labels are names, or shuffled numbers."""
    n = problem.prior.n_labels
    counts = np.ceil(1e6 * problem.prior.probabilities).astype(int)
    ids = np.random.default_rng(0).permutation(n)
    jobs: list[Job] = []
    for kind, labels in (("names", [f"label {j}" for j in range(n)]), ("numbers", ids.tolist())):
        with tempfile.NamedTemporaryFile("w", suffix=".csv", delete=False) as file:
            file.write("label,count\n" + "".join(f"{j},{k}\n" for j, k in zip(labels, counts, strict=True)))
        weakref.finalize(problem, os.remove, file.name)
        jobs.append((f"{kind}, from_file", 1.0, lambda warm, path=file.name: LabelPrior.from_file(path)))
        jobs.append((f"{kind}, pandas", 1.0, lambda warm, path=file.name: pd.read_csv(path)))
    return jobs


def _memory(problem: Problem) -> list[Row]:
    """Peak bytes a label beyond the inputs."""
    quantities: tuple[Quantity, ...] = ("mean", "gradient")
    found = []
    for quantity in quantities:
        fresh = Problem(problem.scores, LabelPrior.from_probabilities(problem.prior.probabilities), problem.positive)
        tracemalloc.start()
        integrate(_scheme(M), SOFTMAX, fresh, quantity)
        peak = tracemalloc.get_traced_memory()[1] / fresh.prior.n_labels
        tracemalloc.stop()
        found.append(_row("memory", quantity, fresh.prior.n_labels, 0, peak))
    return found


# --- the table of ratios ----------------------------------------------------------------------------------------------

RATIOS = (
    ("implicitloss / random doubles", "monte carlo", "implicitloss", "random doubles"),
    *((f"{peer} / implicitloss", "monte carlo", peer, "implicitloss") for peer in ("NumPy choice", *PEERS.values())),
    ("13 m and 4 weightings / m = 4096 alone", "ladder", "13 m, four weightings", "m = 4096, one weighting"),
    ("exact mean, label by label / compressed", "exact", "mean, label by label", "mean"),
    ("exact variance, label by label / compressed", "exact", "variance, label by label", "variance"),
    ("exact gradient of all labels / exact mean", "exact", "gradient", "mean"),
    ("exact mean, m = 1,000,000 / m = 64", "exact", "mean, m = 1,000,000", "mean"),
    ("exact mean / NumPy's exp of all scores", "exact", "mean", "NumPy's exp of all scores"),
    *((f"file of {of}, from_file / pandas", "label file", f"{of}, from_file", f"{of}, pandas") for of in FILES),
    ("Monte Carlo to 1e-6 / exact mean", "exact", "Monte Carlo to 1e-6, by its first draws", "mean"),
    *PRICED_RATIOS,
    *DRAWN_RATIOS,
)


def ratios(rows: Sequence[Row]) -> list[Row]:
    """Each ratio at each number of labels: median, least and most over the repeats."""
    found = []
    for title, kind, above, below in RATIOS:
        for n in sorted({row["labels"] for row in rows}):
            times = [
                [row["measured"] * row["scale"] for row in rows if (row["kind"], row["who"], row["labels"]) == key]
                for key in ((kind, above, n), (kind, below, n))
            ]
            each = [a / b for a, b in zip(*times, strict=False)]
            if each:
                found.append(
                    {"ratio": title, "labels": n, "median": statistics.median(each), "least": min(each),
                     "most": max(each)}
                )  # fmt: skip
    return found


def summary(rows: Sequence[Row]) -> str:
    """The table of ratios, what is missing from it, and the memory."""
    lines = [f"{os.cpu_count()} cores, {THREADS} threads; ratios of times within a repeat: median (least to most)"]
    for row in ratios(rows):
        spread = f"({row['least']:.3g} to {row['most']:.3g})"
        lines.append(f"{row['ratio']:<46} L = {row['labels']:>9,}  {row['median']:>9.3g}  {spread}")
    here = {row["who"] for row in rows}
    extra = "pip install 'implicitloss[peers]'"
    lines += [f"{peer} is not installed and left out: {extra}" for peer in PEERS.values() if peer not in here]
    for row in rows:
        if row["kind"] == "memory":
            title = f"exact {row['who']}, peak bytes a label"
            lines.append(f"{title:<46} L = {row['labels']:>9,}  {row['measured']:>9.3g}")
    return "\n".join(lines)
