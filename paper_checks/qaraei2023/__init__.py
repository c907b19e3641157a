"""Qaraei, Babbar: Meta-classifier free negative sampling for extreme multilabel classification.

Machine Learning, 2023.

Its method: a few labels by maximum inner product search (MIPS), the rest of the negatives uniform.  What is claimed
about it here was derived, from the method as the abstract describes it.
"""

SECTIONS = ("margins", "shift", "unbiased", "start", "waterfilling", "convex", "stale_index", "hardest_of")
