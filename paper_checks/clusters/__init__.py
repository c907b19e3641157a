"""Draws near the best sampler: labels in clusters, whose law is exact, and clusters that are kept.

No paper has these statements; they were derived.  "Instance-dependent samplers that can mimic" the sampler of
Proposition 5 are the future work of Rawat et al. 2021.
"""

SECTIONS = ("laws", "kept")
