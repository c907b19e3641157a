"""Studies: one file each with `points(prior, quick)` and `rows(prior, point)`; `python -m analysis NAME` runs one."""
