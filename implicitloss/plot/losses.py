"""The loss against the number of negatives: bound, exact mean and simulation; the gap; the variance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from implicitloss.arguments import checked_whole
from implicitloss.formats import figure
from implicitloss.labels import LabelPrior, checked_label, checked_prior, checked_vector
from implicitloss.losses import Loss, SoftmaxCrossEntropy, checked_loss
from implicitloss.plot.canvas import LADDER, Schemes, along, axes_of, called, checked_frame, is_frame, legend, lines
from implicitloss.problem import Problem
from implicitloss.witness.integrate.sweep import sweep
from implicitloss.witness.simulate import simulate

__all__ = ["gap", "losses", "variance"]

# Numbers of negatives at which a simulation is shown, of a longer ladder.
MOST_SIMULATED = 6
# A number is shown on a logarithmic axis if it is so many times its error.
NOISE = 10.0


def losses(
    data: Schemes | Any,
    prior: LabelPrior | None = None,
    *,
    scores: ArrayLike | None = None,
    positive: int | None = None,
    loss: Loss | None = None,
    m: Sequence[int] = LADDER,
    runs: int = 0,
    rng: int = 0,
    ax: Any = None,
    label: str | Sequence[str] | None = None,
    latex: bool = False,
    **look: Any,
) -> Any:
    """Plot the expected loss against the number of negatives m, beside its bound, and simulated.

    A solid line is the exact E ℓ(N), a dashed one the bound of Lemma 2, and bars are means of simulated runs with two
    standard errors.

    Parameters
    ----------
    data : Scheme, sequence or dict of Scheme, or pandas.DataFrame
        The schemes, whose own m does not matter; the keys of a dict are their names.  Or a frame with the columns `m`
        and `exact`, and `scheme`, `bound`, `simulated` and `standard_error` if it has them; or a frame of `il.sweep`
        with the quantity mean.
    prior : LabelPrior
        The label prior, for schemes.
    scores : array_like, (L,), optional
        The scores f; by default all labels are scored alike.
    positive : int, optional
        The positive label; by default the one of median frequency.
    loss : Loss, optional
        By default `losses.SoftmaxCrossEntropy()`.
    m : sequence of int
        The numbers of negatives.
    runs : int
        How many runs a simulated mean has; 0 for no simulation.
    rng : int
        The seed of the simulation.
    ax : matplotlib.axes.Axes, optional
        Where to plot; by default in a new figure.
    label : str or sequence of str, optional
        What the legend calls the schemes.
    latex : bool
        Write symbols as mathematics, as in a paper.
    **look
        What `Axes.plot` takes: `color`, `marker`, `lw`, ...

    Returns
    -------
    matplotlib.axes.Axes
        The axes.

    Raises
    ------
    ValueError
        For schemes without a prior, a frame without these columns, and as `sweep` does.

    References
    ----------
    Rawat et al. 2021, Lemma 2.

    Examples
    --------
    >>> import implicitloss as il
    >>> schemes = {w: il.Scheme("within-batch", w, m=1, hits="mask") for w in ("importance", "constant")}
    >>> ax = il.plot.losses(schemes, il.LabelPrior.exp(100, 500, 100), m=[1, 8, 64])
    >>> [line.get_label() for line in ax.lines if not line.get_label().startswith("_")], ax.get_xscale()
    (['importance', 'constant'], 'log')
    """
    frame = _frame(data, prior, scores, positive, loss, m, runs, rng)
    ax = axes_of(ax)
    for rows, own in lines(frame, label, look):
        if "bound" in rows.columns:
            ax.plot(rows["m"], rows["bound"], **{**own, "linestyle": "--", "marker": "", "label": None})
        ax.plot(rows["m"], rows["exact"], **own)
        if "simulated" in rows.columns and rows["simulated"].notna().any():
            there = rows[rows["simulated"].notna()]
            ax.errorbar(
                there["m"], there["simulated"], 2 * there["standard_error"], fmt="none", capsize=3, color=own["color"]
            )
    expected = r"$\mathrm{E}\,\ell(N)$" if latex else "expected loss"
    ax.set(xscale="log", xlabel=r"negatives $m$" if latex else "negatives m", ylabel=f"{expected}; dashed: bound")
    return _finished(ax, frame)


def gap(
    data: Schemes | Any,
    prior: LabelPrior | None = None,
    *,
    scores: ArrayLike | None = None,
    positive: int | None = None,
    loss: Loss | None = None,
    m: Sequence[int] = LADDER,
    ax: Any = None,
    label: str | Sequence[str] | None = None,
    latex: bool = False,
    **look: Any,
) -> Any:
    """Plot how far the bound lies above the expected loss, against the number of negatives m, on logarithmic axes.

    Parameters
    ----------
    data : Scheme, sequence or dict of Scheme, or pandas.DataFrame
        The schemes, or a frame with the columns `m` and `gap`, or one of `il.sweep` with the quantity gap.
    prior : LabelPrior
        The label prior, for schemes.
    scores, positive, loss, m
        As for `losses`.
    ax, label, latex, **look
        As for `losses`.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.

    Raises
    ------
    ValueError
        As `losses` does.

    References
    ----------
    Rawat et al. 2021, Lemma 2; by its Theorem 3 the gap falls as v/(2m) where weights are η/m.

    Examples
    --------
    >>> import implicitloss as il
    >>> scheme = il.Scheme("within-batch", "importance", m=1, hits="exclude")
    >>> ax = il.plot.gap(scheme, il.LabelPrior.zipf(100, 1.0), m=[1, 10, 100], label="within-batch")
    >>> ax.get_yscale(), len(ax.lines)
    ('log', 1)
    """
    frame = _frame(data, prior, scores, positive, loss, m, 0, 0, "gap")
    return _falling(frame, "gap", ax, label, latex, look, r"bound $-\;\mathrm{E}\,\ell(N)$", "bound less expected loss")


def variance(
    data: Schemes | Any,
    prior: LabelPrior | None = None,
    *,
    scores: ArrayLike | None = None,
    positive: int | None = None,
    loss: Loss | None = None,
    m: Sequence[int] = LADDER,
    ax: Any = None,
    label: str | Sequence[str] | None = None,
    latex: bool = False,
    **look: Any,
) -> Any:
    """Plot the variance of the sampled loss against the number of negatives m, on logarithmic axes.

    Parameters
    ----------
    data : Scheme, sequence or dict of Scheme, or pandas.DataFrame
        The schemes, or a frame with the columns `m` and `variance`, or one of `il.sweep` with the quantity variance.
    prior : LabelPrior
        The label prior, for schemes.
    scores, positive, loss, m
        As for `losses`.
    ax, label, latex, **look
        As for `losses`.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.

    Raises
    ------
    ValueError
        As `losses` does.

    References
    ----------
    Rawat et al. 2021, Lemma 1 and Theorem 3: it falls as v/m where weights are η/m.

    Examples
    --------
    >>> import implicitloss as il
    >>> schemes = {q: il.Scheme(q, "importance", m=1, hits="exclude") for q in ("log-uniform", "within-batch")}
    >>> ax = il.plot.variance(schemes, il.LabelPrior.zipf(100, 1.0), m=[1, 10, 100])
    >>> [line.get_label() for line in ax.lines]
    ['log-uniform', 'within-batch']
    """
    frame = _frame(data, prior, scores, positive, loss, m, 0, 0, "variance")
    return _falling(frame, "variance", ax, label, latex, look, r"$\mathrm{Var}\,\ell(N)$", "variance of the loss")


def _falling(
    frame: Any, column: str, ax: Any, label: Any, latex: bool, look: dict[str, Any], in_latex: str, in_words: str
) -> Any:
    ax, any_shown = axes_of(ax), False
    for rows, own in lines(frame, label, look):
        # What is 0, or no more than its rounding, has no place on a logarithmic axis.
        least = NOISE * rows[f"{column}_error"] if f"{column}_error" in rows.columns else 0.0
        shown = rows[rows[column] > least]
        any_shown |= not shown.empty
        none = {"label": f"{own['label']}: 0"} if shown.empty and own["label"] is not None else {}
        ax.plot(shown["m"], shown[column], **{**own, **none})
    ax.set(
        xscale="log", yscale="log" if any_shown else "linear", xlabel=r"negatives $m$" if latex else "negatives m",
        ylabel=in_latex if latex else in_words,
    )  # fmt: skip
    return _finished(ax, frame)


def _finished(ax: Any, frame: Any) -> Any:
    """The axes with a legend, and with the problem as a title where schemes were given."""
    if "title" in frame.attrs:
        ax.set_title(frame.attrs["title"], fontsize="small")
    legend(ax)
    return ax


def _frame(
    data: Any, prior: Any, scores: Any, positive: Any, loss: Any, m: Sequence[int], runs: int, rng: int,
    needs: str = "exact",
) -> Any:  # fmt: skip
    """The numbers of the schemes, a row for each m; or the frame that was given."""
    if is_frame(data):
        return checked_frame(_wide(data) if "quantity" in data.columns else data, ("m", needs))
    import pandas as pd

    checked_prior(prior)
    loss = SoftmaxCrossEntropy() if loss is None else checked_loss(loss)
    f = np.zeros(prior.n_labels) if scores is None else checked_vector(scores, "scores", prior.n_labels)
    middle = prior.middle(prior.by_frequency)
    y = middle if positive is None else checked_label(positive, prior.n_labels, "the positive")
    n_runs = checked_whole(runs, "runs", 0)
    problem, found = Problem(f, prior, y), []
    for name, ladder in along(called(data, None), m).items():
        swept = sweep(ladder, loss, f, prior, [y], ("mean", "gap", "variance"))
        mean, between, spread = (np.asarray(swept[of].value)[:, 0] for of in ("mean", "gap", "variance"))
        rows = pd.DataFrame({
            "scheme": name, "m": [scheme.m for scheme in ladder], "exact": mean, "bound": mean + between,
            "gap": between, "gap_error": np.asarray(swept["gap"].error)[:, 0], "variance": spread,
            "variance_error": np.asarray(swept["variance"].error)[:, 0], "simulated": np.nan, "standard_error": np.nan,
        })  # fmt: skip
        shown = np.unique(np.linspace(0, len(ladder) - 1, MOST_SIMULATED).round().astype(int)).tolist()
        for i in shown if n_runs else ():
            drawn = simulate(ladder[i], loss, problem, runs=n_runs, rng=rng)
            rows.loc[i, ["simulated", "standard_error"]] = float(drawn), float(drawn.error)
        found.append(rows)
    table = pd.concat(found, ignore_index=True)
    at = "all labels scored alike" if scores is None else "scores given"
    table.attrs["title"] = f"positive {figure(prior.name(y))}, {at}"
    return table


def _wide(frame: Any) -> Any:
    """A frame of `il.sweep` with a column for each quantity; each scheme and positive is a line."""
    checked_frame(frame, ("scheme", "label", "m", "quantity", "value"))
    twice = frame.duplicated(["scheme", "label", "m", "quantity"])
    if twice.any():
        row = frame[twice].iloc[0]
        raise ValueError(
            f"the frame must have one number of each scheme, label and m, but {row['scheme']} with label "
            f"{row['label']} has several of {row['quantity']}: draw different losses by themselves"
        )
    several = frame["label"].nunique() > 1
    name = frame["scheme"].str.replace(r", m=\d+", "", regex=True)
    called = frame["name" if "name" in frame.columns else "label"].astype(str)
    name = name + ", positive " + called if several else name
    wide = frame.assign(scheme=name).pivot_table(
        index=["scheme", "m"], columns="quantity", values="value", sort=False
    )  # fmt: skip
    wide = wide.reset_index().rename(columns={"mean": "exact"})
    return wide.assign(bound=wide["exact"] + wide["gap"]) if {"exact", "gap"} <= set(wide.columns) else wide
