"""Draws that are not independent: labels until m are different, batches as sets, a coin for each label, shared draws.

No paper has these statements; they were derived.  Libraries draw so (TensorFlow's samplers by default), and a batch
whose labels make a set is how Rawat et al. 2021 write within-batch negatives, N = ∪ {y_b}.
"""

SECTIONS = ("inclusion", "margins", "optima", "spread", "shared", "best_shared")
