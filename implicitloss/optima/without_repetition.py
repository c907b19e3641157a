"""The optimum of sampled softmax where no label comes twice: different draws, sets, coins.

For weights a_y b_y', z_k = b_k e^{f_k} and κ_y = a_y e^{-f_y}, the label k pushes beside the positive y by
E x_k 1[k ∈ N]/(1 + S_y), x_k = κ_y z_k, which is ∫ e^{-τ/κ_y} z_k E 1[k ∈ N] e^{-τ Σ_{N∖y} z} dτ.  So one grid in log τ
serves all positives, and at each node of the design the sums over pairs of labels are products of sums over labels.
At the optimum what pushes a score up, η_k Σ_{j≠k}, is what pushes it down, Σ_{y≠k} η_y.  *Source:* derived.
"""

from __future__ import annotations

import numpy as np

from implicitloss.draws import design, law_of
from implicitloss.draws.counts import LEAST_LOG_Q
from implicitloss.draws.design import Complexes, Node
from implicitloss.draws.threads import of_nodes
from implicitloss.kernels.pushes import add_pushes
from implicitloss.labels import Floats
from implicitloss.numerics.logsum import logsumexp
from implicitloss.optima.fixed_point import fixed_point
from implicitloss.scheme import Scheme
from implicitloss.witness.integrate.designs import Few
from implicitloss.witness.integrate.quadrature import LEFT, RIGHT, STEP, nodes

__all__ = ["SOUGHT", "balanced_without_repetition"]

SOUGHT = 1e-11
# Work is divided into so many runs of nodes: as many whatever the machine.
RUNS = 8


def balanced_without_repetition(
    scheme: Scheme, eta: Floats, log_q: Floats, log_a: Floats, log_b: Floats, start: Floats, sought: float = SOUGHT
) -> Floats:
    """The centred optimum, (L,), for weights a_y b_y' and all q positive, hits masked or kept; from scores near it.

    The two sides agree to this part of η.  *Raises* ValueError for q below e^-600.
    """
    if log_q.min() < LEAST_LOG_Q:
        raise ValueError(
            f"the optimum under draws={scheme.draws!r} takes q of at least e^{LEAST_LOG_Q:g}, got e^{log_q.min():.4g} "
            f"for label {log_q.argmin()}"
        )
    runs = _runs(list(law_of(scheme.draws, log_q, scheme.m).nodes()))
    is_masked, most = scheme.hits == "mask", design(scheme.draws).sizes(eta.size, scheme.m)[1]
    heavy = int(np.argmax(eta))

    def log_ratio(f: Floats) -> Floats:
        # The largest z is 1.
        largest = float(np.max(log_b + f))
        log_z, log_kappa = log_b + f - largest, log_a - f + largest
        log_most = min(float(np.log(most)), float(logsumexp(log_z)))
        v = nodes(min(float(log_kappa.min()), -log_most) - LEFT, float(log_kappa.max()) + RIGHT)
        few = Few.of(v, log_most)
        counts = STEP * eta[:, None] * np.exp(v - np.exp(v - log_kappa[:, None]))
        counts = np.hstack([counts[:, few.near] @ few.matrix, counts[:, ~few.near]])
        stay = np.exp(-np.exp(few.nodes + log_z[:, None]))
        pull = np.exp(log_z)[:, None] * stay

        def of(run: _Run) -> Floats:
            found = np.zeros((2, f.size))
            add_pushes(*run, is_masked, heavy, stay, pull, counts, *found)
            return found

        up, down = np.sum(of_nodes(of, runs, f.size * len(runs[0][0])), axis=0)
        return np.asarray(np.log(up) - np.log(down))

    return fixed_point(log_ratio, start, eta, sought)


# Weights (nodes,), p, 1 - p and the rates of the last, (nodes, L) each, and what is of no last label.
_Run = tuple[Complexes, Complexes, Complexes, Complexes, float]


def _runs(places: list[Node]) -> list[_Run]:
    """The nodes in a few runs."""
    size = -(-len(places) // RUNS)
    found = []
    for i in range(0, len(places), size):
        some = places[i : i + size]
        p, rest, last = (np.array(each) for each in zip(*((one.p, one.rest, one.last) for one in some), strict=True))
        found.append((np.array([one.weight for one in some]), p, rest, last, some[0].of_none))
    return found
