"""Figures: one file each with `CAPTION`, `ALT` and `draw(table) -> Figure`, of the same stem as its study."""
