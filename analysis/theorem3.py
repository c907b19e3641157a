"""Theorem 3 at work: the squared error about the implicit loss against m: exact, one term, two terms, simulated."""

from __future__ import annotations

from analysis.runner import Point, Row
from implicitloss.expansion import expand
from implicitloss.implicit import implicit_loss
from implicitloss.labels import LabelPrior
from implicitloss.losses import SoftmaxCrossEntropy
from implicitloss.problem import Problem
from implicitloss.samplers import Sampler, Uniform, WithinBatch
from implicitloss.scheme import Scheme
from implicitloss.scorers import Gaussian
from implicitloss.weightings import Constant, Importance, Tail, Weighting
from implicitloss.witness.integrate import integrate
from implicitloss.witness.simulate import simulate

DRAWS, FEW_DRAWS = 2_000_000, 50_000
SCHEMES: dict[str, tuple[Sampler, Weighting]] = {
    "within-batch, constant": (WithinBatch(), Constant()),
    "uniform, importance": (Uniform(), Importance()),
    "uniform, tail": (Uniform(), Tail()),
}


def points(prior: LabelPrior, quick: bool) -> list[Point]:
    """Each scheme at m = 1, 2, ..., 4096."""
    draws = FEW_DRAWS if quick else DRAWS
    return [{"scheme": name, "m": 2**k, "draws": draws} for name in SCHEMES for k in range(13)]


def rows(prior: LabelPrior, point: Point) -> list[Row]:
    """One row: exact squared error, the theorem's terms, a simulation."""
    loss, m = SoftmaxCrossEntropy(), point["m"]
    problem = Problem(Gaussian().scores(prior, 0), prior, int(prior.by_frequency[prior.n_labels // 2]))
    sampler, weighting = SCHEMES[point["scheme"]]
    scheme = Scheme(sampler, weighting, m=m, hits="mask")
    series = expand(scheme, loss, problem)
    bound = float(implicit_loss(scheme, loss, problem))
    simulated = simulate(
        scheme, loss, problem, "mse", runs=max(point["draws"] // m, 2), rng=m, reference=bound, threads=1
    )
    return [
        {
            "scheme": point["scheme"],
            "m": m,
            "exact": float(integrate(scheme, loss, problem, "mse")),
            "leading": series.mse.first,
            "two_terms": series.mse.value,
            "simulated": float(simulated),
            "standard_error": float(simulated.error),
            "v": series.v,
        }
    ]
