"""What samplers near the model's own law give for what they cost: bias and variance of the sampled softmax loss.

Every sampler gets as many draws as a budget pays for, in multiply-adds, or in seconds as measured here, of whole
queries; weights are importance weights, and hits are masked.  Vectors are made up, of 325,056 labels, or those of a
file (`--data`).  Rows of clusters are taken to lie in the order of the index, those of other draws in no order.  In
seconds, clusters are kept of an index with half as many, as long as their labels are expected often enough among the
draws: as many as recent queries pay for in the mean, so that some x take more than the budget and others less.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial

import numpy as np
from scipy.special import softmax

from analysis.inputs.embeddings import DATA as FILE
from analysis.inputs.embeddings import (
    MADE_UP,
    Embeddings,
    embeddings,
    fewer,
    of_a_codebook,
    of_fewer,
    two_codebooks,
    two_level,
)
from analysis.inputs.graph import NOT_MINED, Mined, best_by_graph, has_graph
from analysis.inputs.kept import best_above, best_within, threshold
from analysis.inputs.seconds import Seconds
from analysis.study import Point, Row
from implicitloss.designing.price import Price, price
from implicitloss.hard import HardNegatives
from implicitloss.index.clusters import Clusters
from implicitloss.labels import LabelPrior
from implicitloss.losses import SoftmaxCrossEntropy
from implicitloss.optima.information import information
from implicitloss.problem import Problem
from implicitloss.samplers import Clustered, Mixture, ModelBased, QuadraticKernel, Sampler, Uniform, Whole, WithinBatch
from implicitloss.scheme import Scheme
from implicitloss.weightings import Importance, Relative

OWN_LABELS, ALONE, DATA = True, True, FILE
# How many x, in how many points; and in a quick run.
QUERIES, BLOCKS = {False: 200, True: 2}, {False: 10, True: 2}
# Shares of the multiply-adds and of the seconds of all scores, and numbers of draws.
BUDGETS, SECONDS, DRAWS = (0.005, 0.01, 0.05), (0.01, 0.02, 0.03), {"two-level": 64, "uniform": 6400}
# Of what is left after the law, this part goes to kept clusters, or to mined labels, at about so many products each.
# A row in no order takes as long as a few kept ones: in budgets of seconds, more is kept.
KEPT, KEPT_IN_SECONDS, PRODUCTS_A_LABEL = 0.5, 0.85, 25
# What rows say of a price (`keeping`: at which part of the x a cluster is kept), and of information.
PAID = ("share", "seconds", "bias", "variance", "square", "of_z", "keeping")
SLICES = ("head", "torso", "tail")
# Of how many labels of a slice information is looked at, at one x of each block, with which samplers and m.
LIKELIEST, NUMBERS, INFORMED = 3, (64, 256, 1024), ("uniform", "prior", "half uniform", "two-level")


def points(prior: LabelPrior, quick: bool, data: Sequence[str] = ()) -> list[Point]:
    """Blocks of x of each source of vectors."""
    if len(data) > 1:
        raise ValueError(f"the study frontier takes one file of vectors, got {len(data)}")
    return [
        {"source": [*data, MADE_UP][0], "quick": quick, "block": block, "x": QUERIES[quick] // BLOCKS[quick]}
        for block in range(BLOCKS[quick])
    ]


@dataclass(frozen=True)
class Way:
    """A sampler for a query, and inner products and additions that its law takes.

    Beside the draws clusters are kept, with a part of what is left after the law, or the best labels mined by a graph
    index.  A way may be one of some budgets alone, and be `called` what that of the others is.
    """

    sampler: Callable[[Embeddings, int], Sampler]
    keeps: float = 0.0
    law: Callable[[Embeddings], tuple[int, int]] = lambda found: (0, 0)
    mines: bool = False
    of: tuple[str, ...] = ("multiply-adds", "seconds", "draws")
    called: str = ""


def _index_sampler(kind: type[Clustered] | type[Whole], of: Callable[[Embeddings], Clusters]) -> Callable[..., Sampler]:
    return lambda found, x: kind(of(found), found.queries[x])


WAYS = {
    "uniform": Way(lambda found, x: Uniform()),
    "prior": Way(lambda found, x: WithinBatch()),
    "half uniform": Way(lambda found, x: Mixture(0.5)),
    "quadratic kernel": Way(lambda found, x: QuadraticKernel()),
    "two codebooks": Way(
        _index_sampler(Clustered, two_codebooks), law=lambda found: (2 * of_a_codebook(found), found.clusters)
    ),
    "whole clusters": Way(_index_sampler(Whole, two_level), law=lambda found: (found.clusters, 0)),
    "two-level": Way(_index_sampler(Clustered, two_level), law=lambda found: (found.clusters, 0)),
    "two-level, fewer clusters": Way(
        _index_sampler(Clustered, fewer), law=lambda found: (of_fewer(found), 0), of=("seconds",)
    ),
    "kept + two-level": Way(
        _index_sampler(Clustered, two_level), KEPT, lambda found: (found.clusters, 0), of=("multiply-adds",)
    ),
    "kept + fewer clusters": Way(
        _index_sampler(Clustered, fewer),
        KEPT_IN_SECONDS,
        lambda found: (of_fewer(found), 0),
        of=("seconds",),
        called="kept + two-level",
    ),
    "mined + two-level": Way(_index_sampler(Clustered, two_level), 0.0, lambda found: (found.clusters, 0), True),
}
BEST = "all scores"


@lru_cache(maxsize=1)
def _measured(source: str, quick: bool) -> Seconds:
    found = embeddings(source, quick, QUERIES[quick])
    made = {name: partial(way.sampler, found) for name, way in WAYS.items() if not way.mines or has_graph()}
    return Seconds.measured(found, made, "two-level", [name for name, way in WAYS.items() if way.keeps])


def rows(prior: LabelPrior, point: Point) -> list[Row]:
    """For each sampler and budget, means over the x of a block."""
    found = embeddings(point["source"], point["quick"], QUERIES[point["quick"]])
    seconds = _measured(point["source"], point["quick"])
    made: dict[tuple[str, str, float], list[Row]] = {}
    for x in range(point["block"] * point["x"], (point["block"] + 1) * point["x"]):
        problem = found.problem(x)
        for name, way in WAYS.items():
            if way.mines and not has_graph():
                continue
            sampler = way.sampler(found, x)
            for budget in _budgets(name):
                scheme, mined = _scheme(found, sampler, name, problem, *budget, seconds), NOT_MINED
                if way.mines:
                    scheme, mined = _with_mined(found, x, sampler, name, *budget, seconds)
                if scheme is not None:
                    here = replace(problem, labels=mined.labels)
                    paid = price(scheme, SoftmaxCrossEntropy(), here, found.dimension)
                    row = _of(paid, scheme, name, found, here, mined.products, seconds)
                    made.setdefault((way.called or name, *budget), []).append(row)
        best = Scheme(ModelBased(), Importance(), m=64, hits="mask")
        paid = price(best, SoftmaxCrossEntropy(), problem, found.dimension)
        full = _of(paid, best, "uniform", found, problem, 0, seconds)
        full |= {cost: 1 + full[cost] for cost in ("share", "seconds")}
        made.setdefault((BEST, "draws", 64), []).append(full)
    here = {"source": point["source"], "labels": found.prior.n_labels, "block": point["block"]}
    kept = [{**here, "x": 1, **row} for row in _kept_information(found, point["block"] * point["x"])]
    paid_for = [
        {
            **here, "x": len(several), "sampler": name, "of": of, "budget": budget,
            **{key: float(np.mean([row[key] for row in several])) for key in several[0]}, **dict.fromkeys(SLICES),
        }
        for (name, of, budget), several in made.items()
        if len(several) == point["x"]  # a budget that pays for a draw at some x alone compares other x
    ]  # fmt: skip
    return paid_for + kept


def _kept_information(found: Embeddings, x: int) -> list[Row]:
    """What consistent weights keep of an example's information about the likeliest labels of each slice, at one x."""
    problem, slices = found.problem(x), found.prior.slices()
    eta = softmax(problem.scores)
    best = {part: labels[np.argsort(-eta[labels])[:LIKELIEST]] for part, labels in slices.items()}
    contrasts = np.zeros((sum(map(len, best.values())), eta.size))
    contrasts[np.arange(len(contrasts)), np.concatenate([*best.values()])] = 1.0
    parts = np.repeat([*best], [*map(len, best.values())])
    made = []
    for name in INFORMED:
        sampler = WAYS[name].sampler(found, x)
        for m in NUMBERS:
            share = information(Scheme(sampler, Relative(), m=m, hits="keep"), eta, found.prior, contrasts)
            kept = {part: float(np.asarray(share.value)[parts == part].mean()) for part in best}
            made.append(
                {"sampler": name, "of": "information", "budget": m, "m": m, **dict.fromkeys((*PAID, *SLICES)), **kept}
            )
    return made


def _budgets(name: str) -> list[tuple[str, float]]:
    """What is paid for: shares of all multiply-adds or seconds, or a number of draws."""
    draws = [("draws", DRAWS[name])] if name in DRAWS else []
    shares = [*(("multiply-adds", share) for share in BUDGETS), *(("seconds", share) for share in SECONDS)]
    return [(of, budget) for of, budget in [*shares, *draws] if of in WAYS[name].of]


def _scheme(
    found: Embeddings, sampler: Sampler, name: str, problem: Problem, of: str, budget: float, seconds: Seconds
) -> Scheme | None:  # fmt: skip
    """As many draws as a budget pays for, with kept clusters where it pays for one; None where it pays for no draw."""
    n, d = found.prior.n_labels, found.dimension
    hard, m = None, budget
    if of != "draws":
        law, a_row, a_draw = _costs(found, sampler, name, of, seconds)
        left = budget * (n * d if of == "multiply-adds" else seconds.full) - law
        if WAYS[name].keeps:
            assert isinstance(sampler, Clustered)
            labels = WAYS[name].keeps * left / a_row
            if of == "seconds":
                m = int((1 - WAYS[name].keeps) * left / a_draw)
                if m < 1:
                    return None
                hard = best_above(sampler, m, threshold(found, m, labels))
                return Scheme(sampler, Importance(), m=m, hits="mask", hard=hard)
            hard = best_within(sampler, problem, int(labels))
            left -= 0 if hard is None else hard.labels(problem).size * a_row
        m = left / a_draw
    if m < 1:
        return None
    return Scheme(sampler, Importance(), m=int(m), hits="mask", hard=hard)


def _with_mined(
    found: Embeddings, x: int, sampler: Sampler, name: str, of: str, budget: float, seconds: Seconds
) -> tuple[Scheme | None, Mined]:
    """As many draws as a budget pays for beside the best labels by a graph index, for which half of it is meant."""
    law, a_row, a_draw = _costs(found, sampler, name, of, seconds)
    a_product = a_row if of == "multiply-adds" else seconds.random_row
    whole = found.prior.n_labels * found.dimension if of == "multiply-adds" else seconds.full
    k = int(KEPT * (budget * whole - law) / a_product / PRODUCTS_A_LABEL)
    if k < 1:
        return None, NOT_MINED
    mined = best_by_graph(found, x, k)
    m = (budget * whole - law - mined.products * a_product) / a_draw
    if m < 1:
        return None, NOT_MINED
    hard = HardNegatives(k, overlap="exclude")
    return Scheme(sampler, Importance(), m=int(m), hits="mask", hard=hard), mined


def _costs(found: Embeddings, sampler: Sampler, name: str, of: str, seconds: Seconds) -> tuple[float, float, float]:
    """The cost of the law, of a kept row, and of a draw with its row, or rows."""
    d = found.dimension
    size = float(np.exp(sampler.log_cluster_law()) @ sampler.index.sizes) if isinstance(sampler, Whole) else 1.0
    more = sampler.multiply_adds(found.prior.n_labels, d, 1) if isinstance(sampler, QuadraticKernel) else 0.0
    products, additions = WAYS[name].law(found)
    if of == "multiply-adds":
        return float(products * d + additions), float(d), size * d + more
    # The forms of a tree are read in order.
    return (
        seconds.law[name],
        seconds.kept.get(name, seconds.row),
        seconds.draw[name] + (size - 1 + more / d) * seconds.row,
    )


def _of(
    paid: Price, scheme: Scheme, name: str, found: Embeddings, problem: Problem, mined: int, seconds: Seconds
) -> Row:  # fmt: skip
    """What a price says of error, and both costs over those of all scores; `mined` are inner products of a search."""
    kept = 0 if scheme.hard is None or WAYS[name].mines else scheme.hard.labels(problem).size
    costs = []
    for of, whole in (("multiply-adds", found.prior.n_labels * found.dimension), ("seconds", seconds.full)):
        law, a_row, a_draw = _costs(found, scheme.sampler, name, of, seconds)
        searched = mined * (a_row if of == "multiply-adds" else seconds.random_row)
        costs.append((law + searched + kept * a_row + scheme.m * a_draw) / whole)
    return {
        "m": scheme.m, "share": costs[0], "seconds": costs[1], "bias": paid.bias, "variance": paid.variance,
        "square": paid.rmse**2, "of_z": paid.v / scheme.m, "keeping": float(kept > 0),
    }  # fmt: skip


def summary(rows: Sequence[Row]) -> str:
    """Means at 1 % of all multiply-adds, at shares of the seconds, and where draws are counted."""
    said = []
    for of, budget in (("multiply-adds", 0.01), *(("seconds", share) for share in SECONDS), ("draws", None)):
        here = [row for row in rows if row["of"] == of and budget in (None, row["budget"])]
        for name in dict.fromkeys(row["sampler"] for row in here):
            some = [row for row in here if row["sampler"] == name]
            square, of_z = (float(np.mean([row[key] for row in some])) for key in ("square", "of_z"))
            said.append(
                f"{name}, m = {some[0]['m']:,.0f}: rmse {square**0.5:.3g}, 1 + Var Z^/Z^2 {1 + of_z:.3f}, "
                f"{some[0]['share']:.3%} of the multiply-adds, {some[0]['seconds']:.2%} of the time"
            )
    return "\n".join([*said, *_means_of_information(rows)])


def _means_of_information(rows: Sequence[Row]) -> list[str]:
    """A line for each sampler: the share kept on head, torso and tail, by m."""
    here = [row for row in rows if row["of"] == "information"]
    said = []
    for name in dict.fromkeys(row["sampler"] for row in here):
        shares = []
        for m in NUMBERS:
            some = [row for row in here if (row["sampler"], row["m"]) == (name, m)]
            there = [part for part in SLICES if some[0][part] is not None]
            parts = ", ".join(f"{np.mean([row[part] for row in some]):.2f}" for part in there)
            shares.append(f"m = {m:,}: {parts}")
        said.append(f"{name}, information kept (head, torso, tail): {'; '.join(shares)}")
    return said
