"""How far the sampled loss is off, against what its draws cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from implicitloss.designing.price import price
from implicitloss.losses import Loss, SoftmaxCrossEntropy, checked_loss
from implicitloss.plot.canvas import LADDER, Schemes, along, axes_of, called, checked_frame, is_frame, legend, lines
from implicitloss.problem import Problem, checked_problem

__all__ = ["frontier"]


def frontier(
    data: Schemes | Any,
    problem: Problem | None = None,
    *,
    m: Sequence[int] = LADDER,
    loss: Loss | None = None,
    dimension: int | None = None,
    ax: Any = None,
    label: str | Sequence[str] | None = None,
    latex: bool = False,
    **look: Any,
) -> Any:
    """Plot the error of the sampled loss about its implicit loss, √(bias² + variance), against the cost of its draws.

    The cost is the share of the multiply-adds of all scores, as `il.price` counts them.  Of two lines the lower one is
    the better buy.

    Parameters
    ----------
    data : Scheme, sequence or dict of Scheme, or pandas.DataFrame
        Schemes with i.i.d. draws, whose own m does not matter; or a frame with the columns `share` and `rmse`, and
        `scheme`, `low` and `high` (an interval, drawn as a bar) if it has them.
    problem : Problem
        Scores, label prior and positive, for schemes.
    m : sequence of int
        The numbers of negatives.
    loss : Loss, optional
        By default `losses.SoftmaxCrossEntropy()`.
    dimension : int, optional
        d of the vectors whose products are scores, as for `il.price`.
    ax : matplotlib.axes.Axes, optional
        Where to plot; by default in a new figure.
    label : str or sequence of str, optional
        What the legend calls the schemes.
    latex : bool
        Write symbols as mathematics, as in a paper.
    **look
        What `Axes.plot` takes.

    Returns
    -------
    matplotlib.axes.Axes
        The axes, both logarithmic unless no draw has an error.

    Raises
    ------
    ValueError
        For schemes without a problem, and as `il.price` does.

    References
    ----------
    Derived here; the exact bias and variance are of Rawat et al. 2021, Theorem 3.

    Examples
    --------
    >>> import numpy as np
    >>> import implicitloss as il
    >>> rng = np.random.default_rng(0)
    >>> w, h = rng.normal(size=(4000, 16)) / 4, 4 * rng.normal(size=16)
    >>> index = il.index.Clusters.fit(w, queries=4 * rng.normal(size=(500, 16)), k=40, rng=0)
    >>> problem = il.Problem(w @ h, il.LabelPrior.zipf(4000, 1.0), positive=3)
    >>> samplers = {"uniform": il.samplers.Uniform(), "two-level": il.samplers.Clustered(index, h)}
    >>> schemes = {name: il.Scheme(q, "importance", m=1, hits="exclude") for name, q in samplers.items()}
    >>> ax = il.plot.frontier(schemes, problem, m=[16, 64, 256], dimension=16)
    >>> for line in ax.lines:
    ...     print(f"{line.get_label()}: {line.get_xdata()[1]:.1%} of all scores, {line.get_ydata()[1]:.2f}")
    uniform: 1.6% of all scores, 1.68
    two-level: 2.6% of all scores, 0.80
    """
    frame = data if is_frame(data) else _frame(data, problem, m, loss, dimension)
    frame = checked_frame(frame, ("share", "rmse"))
    if {"low", "high"} <= {*frame} and not (frame["low"].le(frame["rmse"]) & frame["rmse"].le(frame["high"])).all():
        raise ValueError("the interval from low to high must hold rmse, in each row of the frame")
    ax = axes_of(ax)
    for rows, own in lines(frame, label, look):
        shown = rows.sort_values("share")
        bars = [shown["rmse"] - shown["low"], shown["high"] - shown["rmse"]] if {"low", "high"} <= {*shown} else None
        if bars is None:
            ax.plot(shown["share"], shown["rmse"], **own)
        else:
            ax.errorbar(shown["share"], shown["rmse"], yerr=bars, **own)
    error = r"$\sqrt{\mathrm{bias}^2 + \mathrm{variance}}$ of $\ell(N)$" if latex else "root mean squared error"
    # Draws without an error, as of the minimum-variance sampler, have no place on a logarithmic axis.
    scale = "log" if (frame["rmse"] > 0).any() else "linear"
    ax.set(xscale="log", yscale=scale, xlabel="cost, share of all scores", ylabel=error)
    legend(ax)
    return ax


def _frame(data: Any, problem: Any, m: Sequence[int], loss: Loss | None, dimension: int | None) -> Any:
    import pandas as pd

    checked_problem(problem)
    loss = SoftmaxCrossEntropy() if loss is None else checked_loss(loss)
    rows = []
    for name, ladder in along(called(data, None), m).items():
        for scheme in ladder:
            found = price(scheme, loss, problem, dimension)
            rows.append({"scheme": name, "m": scheme.m, "share": found.share, "rmse": found.rmse})
    return pd.DataFrame(rows)
