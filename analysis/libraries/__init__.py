"""Installed packages under audit: what their sampled losses and samplers optimise, beside what their documents say.

Each package has one function, in the file of its family, which gives its cases: a loss as a black box, the sentence of
its documentation that is installed, and the claim that is audited in its place.  L = 1000 labels by Zipf's law and
m = 100 negatives (200 and 20 with --quick).  A package that is missing or fails is one row that says so, and costs the
others nothing.

- In-batch losses: a batch of m + 1 examples, whose other labels are drawn from the prior; items are one-hot vectors of
  their labels, so that the first query scores each label with its own coordinate.  For a loss that looks at cosines the
  query has one more coordinate, which makes its length 1 whatever the scores.
- Samplers: their draws are put into a softmax loss with weights of 1, so that only their law is audited.
- Draws without replacement: label y' is among m draws with probability P_y' = 1 - exp(-t q_y'), Σ P = m, which is
  nearly exact for m = 100; their claims have a relative tolerance of 0.05.

Columns: the verdict on the claim, the scheme that fits best, who gains (known for softmax, where that scheme
fits), losses of single examples asked for, seconds; the date, L and m.

A full run with all packages is recorded: docs/libraries.csv is its table, which docs/libraries.md shows and
`python -m figures libraries` draws for those who lack the packages.
"""

from analysis.libraries.study import ALONE, points, rows, summary

__all__ = ["ALONE", "points", "rows", "summary"]
