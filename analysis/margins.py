"""Table 2 as pictures: the margins p_yy' of every scheme, and where it lies on the implicit-loss map.

A separable scheme has log p_yy' = const + b log π_y + c log π_y': a point (b, c), fitted here to its margins.
"""

from __future__ import annotations

import numpy as np

from analysis.inputs.schemes import COLUMNS, FULL, full_losses, sampled_losses, scheme
from analysis.study import Point, Row
from implicitloss.labels import LabelPrior
from implicitloss.optima.tilt import tilt
from implicitloss.plot.place import ground, place
from implicitloss.samplers import Uniform
from implicitloss.scheme import Hits, Scheme
from implicitloss.theory.implicit import implicit_margins
from implicitloss.weightings import ForMargin

M = 32
SHOWN = 25
MODES: tuple[Hits, ...] = ("mask", "exclude", "keep")


def points(prior: LabelPrior, quick: bool) -> list[Point]:
    """Each scheme with each mode for hits, the full losses, and a grid of the map."""
    drawn = [{"kind": "scheme", **loss, "hits": hits} for loss in sampled_losses() for hits in MODES]
    full = [{"kind": "full loss", **loss, "hits": "none"} for loss in full_losses(FULL)]
    steps = 5 if quick else 13
    ground = [{"kind": "ground", "b": b, "steps": steps} for b in np.linspace(-1.5, 1.5, steps).tolist()]
    return [*drawn, *full, *ground]


def rows(prior: LabelPrior, point: Point) -> list[Row]:
    """Cells of the heat map and the point on the map; or one column of the map's ground."""
    row: Row = dict.fromkeys(
        ("kind", *COLUMNS, "hits", "rank", "other_rank", "p", "b", "c", "log_const", "misfit", "tilt"), ""
    )
    if point["kind"] == "ground":
        return [
            row | {"kind": "ground", "b": point["b"], "c": c} | {"tilt": ground(prior, point["b"], c)}
            for c in np.linspace(-0.5, 1.5, point["steps"]).tolist()
        ]
    if point["kind"] == "full loss":
        chosen = Scheme(Uniform(), ForMargin(FULL[point["name"]]), m=1, hits="mask")
    else:
        chosen = scheme(point["sampler"], point["weighting"], M, point["hits"])
    row |= {name: point[name] for name in (*COLUMNS, "hits")}
    margins = implicit_margins(chosen, prior)
    at = place(chosen, prior)
    found = [
        row
        | {"kind": point["kind"], "b": at.b, "c": at.c, "log_const": at.const, "misfit": at.misfit}
        | {"tilt": tilt(chosen, prior, "implicit")}
    ]
    shown = np.linspace(0, prior.n_labels - 1, min(SHOWN, prior.n_labels)).round().astype(int)
    p = margins[np.ix_(prior.by_frequency[shown], prior.by_frequency[shown])]
    for i, rank in enumerate(shown):
        for j, other in enumerate(shown):
            if i != j:
                cell = {"rank": int(rank) + 1, "other_rank": int(other) + 1, "p": float(p[i, j])}
                found.append(row | {"kind": f"{point['kind']} margin"} | cell)
    return found
