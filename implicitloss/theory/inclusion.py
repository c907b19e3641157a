"""P(y' ∈ N): how often each label is among the negatives, under every design of the draws."""

from __future__ import annotations

import numpy as np

from implicitloss.labels import Floats
from implicitloss.problem import Problem, checked_problem
from implicitloss.scheme import Scheme, checked_scheme

__all__ = ["inclusion_probabilities"]


def inclusion_probabilities(scheme: Scheme, problem: Problem) -> Floats:
    """Compute P(y' ∈ N) for each label, (L,): the probability that y' is among the negatives.

    - draws="iid": m q_y', the expected count of y';
    - "set" and "bernoulli": 1 - (1 - q_y')^m;
    - "distinct": by integrals over exponential races, where labels arrive at times T_j ~ Exp(q_j) and the first m are
      the negatives.  A million labels take some 0.2 s: those with like q are taken together.

    Where hits are excluded, q is conditional on y' ≠ y, and y has probability 0.  Where they are masked, y has the
    probability of being drawn, though it then counts for nothing.  Hard negatives are no part of it.

    Parameters
    ----------
    scheme : Scheme
        The sampler, m, what a hit does, and the design of the draws.
    problem : Problem
        Scores, label prior and positive label.

    Returns
    -------
    ndarray, (L,)
        Probabilities, or expected counts for i.i.d. draws, to a relative 1e-11; they sum to m for "distinct" and "iid".

    Raises
    ------
    ValueError
        For distinct draws of more labels than can be drawn, and as `Scheme.laws` does.
    ArithmeticError
        If the integrals lose their digits: their sum is known, and checked.

    References
    ----------
    Derived here.  Successive sampling: Rosén 1972.

    Examples
    --------
    The head is always there, so that dividing by m q would count it a third.

    >>> import implicitloss as il
    >>> prior = il.LabelPrior.from_counts([90, 4, 3, 3])
    >>> problem = il.Problem([0.0, 0.0, 0.0, 0.0], prior, positive=3)
    >>> sampler, weighting = il.samplers.WithinBatch(), il.weightings.Importance()
    >>> scheme = il.Scheme(sampler, weighting, m=3, hits="mask", draws="distinct")
    >>> il.inclusion_probabilities(scheme, problem).round(4)
    array([0.9998, 0.7429, 0.6287, 0.6287])
    """
    draws = checked_scheme(scheme).laws(checked_problem(problem))
    return np.exp(draws.log_in)
