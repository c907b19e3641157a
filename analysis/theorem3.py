"""Theorem 3 at work: the squared error about the implicit loss against m: exact, one term, two terms, simulated."""

from __future__ import annotations

import sys

from implicitloss.expansion import expand
from implicitloss.implicit import implicit_loss
from implicitloss.labels import LabelPrior
from implicitloss.losses import SoftmaxCrossEntropy
from implicitloss.problem import Problem
from implicitloss.samplers import Uniform, WithinBatch
from implicitloss.scheme import Scheme
from implicitloss.scorers import Gaussian
from implicitloss.weightings import Constant, Importance, Tail
from implicitloss.witness.integrate import integrate
from implicitloss.witness.simulate import simulate

DRAWS = 2_000_000


def run(prior: LabelPrior) -> list[dict[str, object]]:
    """One row a scheme and m = 1, 2, ..., 4096: exact squared error, the theorem's terms, a simulation."""
    loss, rows = SoftmaxCrossEntropy(), []
    problem = Problem(Gaussian().scores(prior, 0), prior, int(prior.by_frequency[prior.n_labels // 2]))
    for name, sampler, weighting in (
        ("within-batch, constant", WithinBatch(), Constant()),
        ("uniform, importance", Uniform(), Importance()),
        ("uniform, tail", Uniform(), Tail()),
    ):
        print(f"theorem3: {name}", file=sys.stderr)
        for m in (2**k for k in range(13)):
            scheme = Scheme(sampler, weighting, m=m, hits="mask")
            series = expand(scheme, loss, problem)
            bound = float(implicit_loss(scheme, loss, problem))
            simulated = simulate(scheme, loss, problem, "mse", runs=max(DRAWS // m, 2), rng=m, reference=bound)
            rows.append(
                {
                    "scheme": name,
                    "m": m,
                    "exact": float(integrate(scheme, loss, problem, "mse")),
                    "leading": series.mse.first,
                    "two_terms": series.mse.value,
                    "simulated": float(simulated),
                    "standard_error": simulated.error,
                    "v": series.v,
                }
            )
    return rows
