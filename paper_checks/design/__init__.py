"""Weights that are right at every number of negatives, what else they need, and how much information sampling keeps.

No paper has these statements; they were derived.  The m draws and the positive are m + 1 slots, and sampled softmax is
the log-likelihood of which slot holds the positive.
"""

SECTIONS = ("weights", "shifts", "targets", "draws", "distinct", "information", "cost", "measured", "ties", "corrected")
