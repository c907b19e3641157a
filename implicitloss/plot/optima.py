"""Sampling bias against labeling bias: distances of the best scores from softmax's, and from the balanced rule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from implicitloss.labels import Floats, LabelPrior, checked_prior
from implicitloss.losses import SoftmaxCrossEntropy
from implicitloss.optima.newton import NoOptimum
from implicitloss.optima.population import population_optimum
from implicitloss.optima.tilt import At, eta_at
from implicitloss.plot.canvas import Schemes, along, axes_of, called, checked_frame, is_frame, legend, lines

__all__ = ["optima"]

SIZES = (12.0, 42.0)
# Distances below this are 0 and its rounding.
ROUNDING = 1e-9
# A path whose ends are nearer to each other has one number for all its m.
STAYS = 0.05


def optima(
    data: Schemes | Any,
    prior: LabelPrior | None = None,
    *,
    eta: ArrayLike | At = "uniform",
    m: Sequence[int] = (1, 4, 16, 64, 256),
    ax: Any = None,
    label: str | Sequence[str] | None = None,
    latex: bool = False,
    ends: bool = True,
    **look: Any,
) -> Any:
    """Plot how far the best scores of each scheme are from log η (across) and from log η - log π (up).

    Across is sampling bias, the distance from what softmax over all labels teaches; up is labeling bias, the distance
    from the balanced rule.  Both are root mean squares over labels of differences of centred scores, of the true
    sampled loss.  A line goes from few negatives (small markers) to many.

    Parameters
    ----------
    data : Scheme, sequence or dict of Scheme, or pandas.DataFrame
        The schemes, whose own m does not matter; or a frame with the columns `m`, `from_softmax` and `from_balanced`,
        and `scheme` if it has it.
    prior : LabelPrior
        The label prior, for schemes; every label must occur.
    eta : {"uniform", "prior", "peaked"} or array_like, (L,)
        P(y given x) at the x, as for `il.tilt`.
    m : sequence of int
        The numbers of negatives.
    ax : matplotlib.axes.Axes, optional
        Where to plot; by default in a new figure.
    label : str or sequence of str, optional
        What the legend calls the schemes.
    latex : bool
        Write symbols as mathematics, as in a paper.
    ends : bool
        Write m beside the first and the last marker of each line.
    **look
        `color`, `marker` and `mfc`, the colour inside of markers.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.

    Raises
    ------
    ValueError
        As `il.population_optimum` does; where there is no optimum a point is left out.

    References
    ----------
    Derived here; the balanced rule is that of Menon et al. 2021.

    Examples
    --------
    >>> import implicitloss as il
    >>> scheme = il.Scheme("within-batch", "unit", m=1, hits="keep")  # its scores are the balanced rule's at every m
    >>> ax = il.plot.optima(scheme, il.LabelPrior.zipf(20, 1.0), m=[1, 16])
    >>> bool(abs(ax.lines[0].get_ydata()).max() < 1e-6)
    True
    """
    frame = data if is_frame(data) else _frame(data, prior, eta, m)
    checked_frame(frame, ("m", "from_softmax", "from_balanced"))
    ax = axes_of(ax)
    unknown = set(look) - {"color", "c", "marker", "mfc", "markerfacecolor"}
    if unknown:
        raise ValueError(f"the look of optima is color, marker and mfc, got {', '.join(sorted(unknown)):.100}")
    for rows, own in lines(frame, label, look):
        shown, color = rows, own["color"]
        ax.plot(shown["from_softmax"], shown["from_balanced"], color=color, lw=0.8)
        ax.scatter(
            shown["from_softmax"], shown["from_balanced"], np.linspace(*SIZES, len(shown)), marker=own["marker"],
            edgecolor=color, facecolor=own.get("markerfacecolor", color), linewidth=0.8, label=own["label"], zorder=3,
        )  # fmt: skip
        for text, place in _ends(shown) if ends else ():
            ax.annotate(text, place, (4, 3), textcoords="offset points", fontsize="x-small", color=color)
    eta_word, pi = (r"$\log\eta$", r"$\log\pi$") if latex else ("log η", "log π")
    ax.set(xlabel=f"distance from {eta_word}, softmax", ylabel=f"distance from {eta_word} - {pi}, balanced")
    legend(ax)
    return ax


def _ends(path: Any) -> list[tuple[str, tuple[float, float]]]:
    """What is written at the ends of a path, and where: their m, or both at the last where it hardly moves."""
    (first, *at), (last, *to) = (path.iloc[k][["m", "from_softmax", "from_balanced"]].tolist() for k in (0, -1))
    if np.hypot(to[0] - at[0], to[1] - at[1]) < STAYS:
        return [(f"{first:.0f} to {last:.0f}" if first < last else f"{last:.0f}", (to[0], to[1]))]
    return [(f"{first:.0f}", (at[0], at[1])), (f"{last:.0f}", (to[0], to[1]))]


def _distance(f: Floats, to: Floats) -> float:
    apart = f - to - (f - to).mean()
    distance = float(np.sqrt(np.mean(apart**2)))
    return 0.0 if distance < ROUNDING else distance


def _frame(data: Any, prior: Any, eta: Any, m: Sequence[int]) -> Any:
    import pandas as pd

    if checked_prior(prior).n_occurring < prior.n_labels:
        absent = prior.name(int(prior.by_frequency[-1]))
        raise ValueError(
            f"the balanced rule is of labels that occur, but label {absent} has prior 0: give prior.few(n)"
        )
    at = np.asarray(eta_at(eta, prior)[0], dtype=np.float64)
    rows = []
    for name, ladder in along(called(data, None), m).items():
        for scheme in ladder:
            try:
                f = population_optimum(scheme, SoftmaxCrossEntropy(), at, prior, of="sampled")
            except NoOptimum:
                continue
            log_eta = np.log(at)
            rows.append({
                "scheme": name, "m": scheme.m, "from_softmax": _distance(f, log_eta),
                "from_balanced": _distance(f, log_eta - prior.log),
            })  # fmt: skip
    return pd.DataFrame(rows, columns=["scheme", "m", "from_softmax", "from_balanced"])
