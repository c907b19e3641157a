"""Figures: one file each, of the same stem as its study.

Each has the `CLAIMS` that it shows, `caption(table)`, `alt(table)` and `draw(table)`.

The caption states the finding with the table's own numbers.  Colours and markers of schemes are in `_marks`.
"""
