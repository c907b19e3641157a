"""Studies: one file each with `run(prior) -> rows`; `python -m analysis NAME` writes its table."""
