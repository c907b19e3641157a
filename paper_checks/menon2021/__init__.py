"""Menon, Jayasumana, Rawat, Jain, Veit, Kumar: Long-tail learning via logit adjustment.

ICLR 2021, arXiv 2007.07314.
"""

SECTIONS = ("consistency", "family", "two_gaussians", "profiles")
