"""How often a label is among m negatives that are all different."""

from __future__ import annotations

import numpy as np

from implicitloss.claims.case import Setting
from implicitloss.claims.checks import Exact
from implicitloss.claims.claim import Claim
from implicitloss.draws import expected_tries
from implicitloss.estimate import Estimate
from implicitloss.labels import Floats, LabelPrior
from implicitloss.problem import Problem
from implicitloss.samplers import LogUniform
from implicitloss.scheme import Scheme
from implicitloss.theory.inclusion import inclusion_probabilities
from implicitloss.weightings import Importance
from paper_checks.draws.listing import LAWS, LISTED, Runs, exact


def _cases(setting: Setting) -> list[Runs]:
    return [Runs("distinct", m, law, hits) for law in LAWS for m in (2, 3) for hits in ("mask", "exclude")]


def _by_races(case: Runs) -> Estimate:
    """Exponential races, by contour integrals."""
    return exact(inclusion_probabilities(case.scheme(), case.problem()), "inclusion", 1e-11)


def _tries(case: Runs) -> float:
    with np.errstate(divide="ignore"):
        return expected_tries("distinct", np.log(case.q), case.m)


MISSES = {
    "it is that of m draws, 1 - (1 - q)^m": lambda case: exact(1 - (1 - case.q) ** case.m, "inclusion"),
    "it is m q": lambda case: exact(case.m * case.q, "inclusion"),
    "it is TensorFlow's count at the expected number of tries": lambda case: exact(
        1 - (1 - case.q) ** _tries(case), "inclusion"
    ),
}


# --- many labels ------------------------------------------------------------------------------------------------------


def _many(setting: Setting) -> list[int]:
    return [1_000]


M = 100
AT = [0, 999]
# By then more than M have come, but for 1e-40.
LATEST = 400.0


def _log_uniform(n_labels: int) -> tuple[Floats, Floats]:
    """The law, and P(y' ∈ N) of 100 distinct draws."""
    problem = Problem(np.zeros(n_labels), LabelPrior.from_counts(np.ones(n_labels)), 0)
    scheme = Scheme(LogUniform(), Importance(), m=M, hits="mask", draws="distinct")
    return np.exp(scheme.log_law(problem)), inclusion_probabilities(scheme, problem)


def _one_at_a_time(n_labels: int) -> Estimate:
    """P(j ∈ N) = ∫ q e^{-qt} P(fewer than M of the others have come by t) dt, for the first label and the last.

    Label j comes at a time T_j ~ Exp(q_j).  How many of the others have come is a sum of coins, whose law is convolved
    label by label.
    """
    q, _ = _log_uniform(n_labels)
    nodes, shares = np.polynomial.legendre.leggauss(120)
    times = LATEST / 2 * (nodes + 1)
    found = []
    for j in AT:
        few = _fewer(-np.expm1(-np.multiply.outer(np.delete(q, j), times)), M)
        found.append(float(LATEST / 2 * shares @ (q[j] * np.exp(-q[j] * times) * few)))
    return exact(np.array(found), "inclusion", 1e-9)


def _fewer(chances: Floats, than: int) -> Floats:
    """P(fewer than this many coins come up), (T,), for coins with `chances` (n, T)."""
    law = np.zeros((than, chances.shape[1]))
    law[0] = 1.0
    for p in chances:
        law[1:] = law[1:] * (1 - p) + law[:-1] * p
        law[0] *= 1 - p
    return np.asarray(law.sum(axis=0))


def _of_races(n_labels: int) -> Estimate:
    return exact(_log_uniform(n_labels)[1][AT], "inclusion", 1e-11)


def _tensorflow(n_labels: int) -> Estimate:
    q = _log_uniform(n_labels)[0][AT]
    tries = expected_tries("distinct", np.log(_log_uniform(n_labels)[0]), M)
    return exact(1 - (1 - q) ** tries, "inclusion")


CLAIMS = (
    Claim(
        "draws.inclusion",
        "Where draws go on until m labels are different, label i is among them with probability "
        "⟨r_i + P_i (R - r_i)⟩, an integral over exponential races.",
        "derived; successive sampling",
        (
            Exact(
                LISTED,
                _cases,
                _by_races,
                lambda case: exact(case.inclusion, "inclusion"),
                MISSES,
                resolution=1e-10,
                uses_prior=False,
            ),
            Exact(
                "labels that have come by a time, convolved one by one, at L = 1,000",
                _many,
                _of_races,
                _one_at_a_time,
                {
                    "it is TensorFlow's count at the expected number of tries": _tensorflow,
                    "it is m q": lambda n: exact(M * _log_uniform(n)[0][AT], "inclusion"),
                },
                resolution=1e-6,
                uses_prior=False,
            ),
        ),
        ("laws of four and five labels with q from .97 to 1e-6; log-uniform over 1,000 labels, m = 100",),
    ),
)
