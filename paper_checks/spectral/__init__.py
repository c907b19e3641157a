"""Spectral imbalance: classes of equal counts differ in error because the spectra of their features differ.

The question is that of Kaushik et al. 2024, "Balanced Data, Imbalanced Spectra"; its theorem could not be had, and
nothing here is called by its name.  What is claimed was derived, from Loureiro et al. 2021, "Learning Gaussian Mixtures
with Generalized Linear Models", and from leave-one-out algebra.
"""

SECTIONS = (
    "affine", "leave_one_out", "influence", "ridge", "logistic", "stored", "mean_difference", "margins", "offsets",
    "noise", "four_parts",
)  # fmt: skip
