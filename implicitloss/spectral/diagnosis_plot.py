"""The plot of a diagnosis."""

from __future__ import annotations

from typing import Any

import numpy as np

from implicitloss.formats import cut, figure
from implicitloss.spectral.diagnosis import Diagnosis

__all__ = ["plotted"]

# So many classes have names beside them.
NAMED = 30
# The colour-blind-safe palette of Okabe and Ito.
MEASURED, PREDICTED, AUGMENTED = "#0072B2", "#D55E00", "#009E73"


def plotted(found: Diagnosis, ax: Any = None) -> Any:
    """Plot measured and predicted errors, class by class from the worst; hollow where not to be trusted."""
    import matplotlib.pyplot as plt
    from matplotlib.ticker import PercentFormatter

    rows = found.rows
    named = len(rows) <= NAMED
    own = ax is None
    if own:
        _, ax = plt.subplots(figsize=(6.4, 1.6 + 0.26 * len(rows) if named else 6.0), layout="constrained")
    place = np.arange(len(rows), dtype=np.float64)
    ax.errorbar(
        [row.error for row in rows], place, fmt="o", color=MEASURED,
        xerr=[[min(row.error, row.standard_error) for row in rows], [row.standard_error for row in rows]],
        markersize=5 if named else 2, capsize=2 if named else 0, label="measured, ± one standard error",
    )  # fmt: skip
    for name, marker, color, label in (
        ("predicted", "D", PREDICTED, "predicted by mean, covariance and count"),
        ("augmented", "s", AUGMENTED, f"predicted with {found.augment}"),
    ):
        shown = [(getattr(row, name), at, row.trusted) for row, at in zip(rows, place, strict=True)]
        for trusted in (True, False):
            part = [(value, at) for value, at, is_trusted in shown if value is not None and is_trusted is trusted]
            if part:
                ax.plot(
                    *zip(*part, strict=True), marker, color=color, markersize=5 if named else 2,
                    fillstyle="full" if trusted else "none",
                    label=figure(label) + ("" if trusted else "; effective rank below 20"),
                )  # fmt: skip
    if named:
        ax.set_yticks(place, [figure(cut(row.name, 24)) for row in rows])
    else:
        ax.set_ylabel("classes, worst first")
    # Room above the first class and below the last, and left of 0, where many errors are.
    room = max(0.5, 0.02 * len(rows))
    ax.set(xlabel="error of the class", title=f"mean error {found.mean_error:.1%}", ylim=(len(rows) - 1 + room, -room))
    ax.set_xlim(-0.02 * ax.get_xlim()[1], None)
    ax.xaxis.set_major_formatter(PercentFormatter(1.0))
    if own:
        ax.figure.legend(loc="outside lower center", ncols=2, fontsize="small")
    else:
        ax.legend(fontsize="small")
    return ax
