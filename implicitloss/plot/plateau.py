"""What hard negatives teach: scores against the log-odds of η, with the plateau of labels that are tied."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from implicitloss.labels import LabelPrior, checked_prior
from implicitloss.losses import Decoupled, Loss, checked_loss, logistic
from implicitloss.optima.waterfilling import waterfilling
from implicitloss.plot.canvas import Schemes, axes_of, called, checked_frame, is_frame, legend, lines

__all__ = ["plateau"]


def plateau(
    data: Schemes | Any,
    prior: LabelPrior | None = None,
    *,
    eta: ArrayLike | None = None,
    loss: Loss | None = None,
    ax: Any = None,
    label: str | Sequence[str] | None = None,
    latex: bool = False,
    **look: Any,
) -> Any:
    """Plot the scores that hard negatives teach under a fresh index, against the log-odds of η.

    Where a line is flat, labels are tied at one score: the ranking among them is lost.

    Parameters
    ----------
    data : Scheme, sequence or dict of Scheme, or pandas.DataFrame
        Schemes with `hard=`, as `il.waterfilling` takes them; or a frame with the columns `logit` and `f`, and
        `scheme` if it has it.
    prior : LabelPrior
        The label prior, for schemes.
    eta : array_like, (L,)
        0 < η_j < 1, P(j is a positive of x), for schemes.
    loss : Loss, optional
        By default `losses.Decoupled(losses.logistic)`.
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
        The axes.

    Raises
    ------
    ValueError
        For schemes without a prior or η, and as `il.waterfilling` does.

    References
    ----------
    Derived here, of the scheme of Qaraei and Babbar (2023).

    Examples
    --------
    >>> import numpy as np
    >>> import implicitloss as il
    >>> mined = il.Scheme("uniform", "unit", m=5, hits="mask", hard=il.HardNegatives(k=10))
    >>> ax = il.plot.plateau(mined, il.LabelPrior.zipf(100, 0.0), eta=0.6 / np.arange(1, 101))
    >>> scores = ax.lines[0].get_ydata()
    >>> int((np.abs(scores + 1.691) < 5e-4).sum())
    62
    """
    frame = checked_frame(data if is_frame(data) else _frame(data, prior, eta, loss), ("logit", "f"))
    ax = axes_of(ax)
    for rows, own in lines(frame, label, look, marked=False):
        shown = rows.sort_values("logit")
        ax.plot(shown["logit"], shown["f"], **own)
    logit, score = (r"$\log\,\eta/(1-\eta)$", "score $f^*$") if latex else ("logit η", "score f*")
    ax.set(xlabel=f"{logit}    likely labels →", ylabel=score)
    legend(ax)
    return ax


def _frame(data: Any, prior: Any, eta: Any, loss: Loss | None) -> Any:
    import pandas as pd

    checked_prior(prior)
    schemes = called(data, None)
    if eta is None:
        raise ValueError("eta must be how likely each label is a positive of x, (L,), got None")
    loss = Decoupled(logistic) if loss is None else checked_loss(loss)
    found = []
    for name, scheme in schemes.items():
        scores = waterfilling(scheme, loss, eta, prior).scores
        odds = np.log(np.asarray(eta, np.float64)) - np.log1p(-np.asarray(eta, np.float64))
        found.append(pd.DataFrame({"scheme": name, "logit": odds, "f": scores}))
    return pd.concat(found, ignore_index=True)
