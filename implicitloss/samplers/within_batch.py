from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import sympy as sp

from implicitloss import symbols as s
from implicitloss.kernels.tickets import find_tickets, guide_table
from implicitloss.labels import Floats, Labels
from implicitloss.problem import Problem
from implicitloss.samplers.sampler import Draw, by_tickets


@dataclass(frozen=True)
class WithinBatch:
    """q = π, in expectation: the labels of other examples.  *Source:* Rawat et al. 2021, Table 1.

    The procedure draws *examples* (where the prior has counts) and takes their labels.
    """

    needs_scores = False

    def log_law(self, problem: Problem) -> Floats:
        return problem.prior.log

    def procedure(self, problem: Problem) -> Draw:
        counts = problem.prior.counts
        if counts is None:
            return by_tickets(problem.prior.probabilities)
        # Examples are numbered label by label; the label of example e is the first whose cumulative count
        # exceeds e.
        last_example = np.cumsum(counts)
        guide = guide_table(last_example)
        n_examples = int(last_example[-1])

        def draw(rng: np.random.Generator, size: int) -> Labels:
            examples = rng.integers(n_examples, size=size)
            return find_tickets(last_example, guide, examples.astype(np.float64))

        return draw

    def law(self, yp: sp.Expr) -> sp.Expr:
        return s.pi[yp]
