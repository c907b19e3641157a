"""Rawat, Menon, Jitkrittum, Jayasumana, Yu, Reddi, Kumar: Disentangling Sampling and Labeling Bias for Learning in
Large-Output Spaces.  ICML 2021, arXiv 2105.05736."""
