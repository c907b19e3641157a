"""Rawat, Menon, Jitkrittum, Jayasumana, Yu, Reddi, Kumar: Disentangling Sampling and Labeling Bias for Learning in
Large-Output Spaces.  ICML 2021, arXiv 2105.05736."""

SECTIONS = (
    "risk",
    "section2",
    "forms",
    "remark2",
    "conventions",
    "lemma1",
    "lemma2",
    "theorem3",
    "table2",
    "proposition4",
    "proposition5",
    "remark3",
    "section4",
    "slices",
)
