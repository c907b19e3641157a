"""Claims of papers, settled: one folder a paper, one file a section, `CLAIMS` as data.  `python -m paper_checks`."""
