"""Figures: one file each with `CAPTION`, `alt(table)` and `draw(table) -> Figure`, of the same stem as its study."""
