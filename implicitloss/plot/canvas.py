"""What all plots share: where they are drawn, what a line looks like, how labels are written, and ladders of m."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args

from implicitloss.arguments import checked_choice, checked_list, checked_whole, shown
from implicitloss.designing.named import named
from implicitloss.scheme import MOST_NEGATIVES, Scheme
from implicitloss.weightings import Given

__all__ = [
    "LADDER",
    "MARKERS",
    "Schemes",
    "along",
    "axes_of",
    "called",
    "checked_frame",
    "is_frame",
    "legend",
    "lines",
    "style",
]

Schemes = Scheme | Sequence[Scheme] | Mapping[str, Scheme]
Columns = Literal["single", "double"]
# Numbers of negatives along which losses are shown.
LADDER = tuple(2**k for k in range(11))
MARKERS = "os^DvP*Xh<>"
# Names in a legend are broken at this many letters.
LONGEST = 34
LINES = ("-", "--", "-.", ":")


def style(columns: Columns = "double") -> str:
    """Return the style sheet of a figure that is one or two columns wide, as `matplotlib.pyplot.style.use` takes it.

    Parameters
    ----------
    columns : {"single", "double"}
        3.4 or 7.2 inches wide.

    Returns
    -------
    str
        The path of the sheet: Okabe and Ito's colours, which colour-blind readers tell apart, and small type.

    Raises
    ------
    ValueError
        For another word.

    Examples
    --------
    >>> import implicitloss as il
    >>> il.plot.style("single").endswith("single.mplstyle")
    True
    """
    checked_choice(columns, "columns", get_args(Columns))
    return str(Path(__file__).with_name("styles") / f"{columns}.mplstyle")


def axes_of(ax: Any) -> Any:
    """The axes that were given, or those of a new figure."""
    if ax is None:
        import matplotlib.pyplot as plt

        return plt.subplots(layout="constrained")[1]
    if not hasattr(ax, "get_xscale"):
        raise ValueError(f"ax must be the axes of a Matplotlib figure, got {shown(ax)}")
    return ax


def is_frame(data: object) -> bool:
    """Whether a pandas DataFrame was given."""
    return hasattr(data, "columns") and hasattr(data, "groupby")


def checked_frame(frame: Any, columns: Sequence[str]) -> Any:
    """The frame; *raises* ValueError where it is empty or lacks one of the columns."""
    lacks = [name for name in columns if name not in frame.columns]
    if lacks or frame.empty:
        lacking = f"no {', '.join(lacks)}" if lacks else "no rows"
        raise ValueError(f"the frame must have the columns {', '.join(columns)}, but it has {lacking}")
    return frame


def called(schemes: Any, label: str | Sequence[str] | None) -> dict[str, Scheme]:
    """The schemes by what the legend calls them: `label`, a text for one or a list for several, or else their names."""
    found = named(schemes)
    if label is None:
        return found
    return dict(zip(_texts(label, len(found)), found.values(), strict=True))


def _texts(label: object, n: int) -> list[str]:
    """What the legend says, one a scheme; *raises* ValueError unless it is a text each."""
    texts = [label] if isinstance(label, str) else checked_list(label, "label")
    if len(texts) != n or not all(isinstance(text, str) for text in texts):
        raise ValueError(f"label must have a text for each of {n} schemes, got {shown(label)}")
    if len(set(texts)) < n:
        raise ValueError(f"the texts of label must differ, got {shown(label)}")
    return texts


def along(schemes: Mapping[str, Scheme], m: Sequence[int]) -> dict[str, list[Scheme]]:
    """Each scheme at each number of negatives; in a name that is how it prints, m is left out."""
    ladder = [checked_whole(n, "m", 1, MOST_NEGATIVES) for n in checked_list(m, "m")]
    if not ladder:
        raise ValueError("m must be numbers of negatives, got none")
    found = {}
    for name, scheme in schemes.items():
        if isinstance(scheme.weighting, Given) and set(ladder) != {scheme.m}:
            raise ValueError(f"weights that are given as numbers are for their own m alone: give m=[{scheme.m}]")
        short = name.replace(f", m={scheme.m}, ", ", ", 1) if name.startswith(str(scheme)) else name
        found[short if short not in found else name] = [replace(scheme, m=n) for n in sorted(set(ladder))]
    return found


def legend(ax: Any) -> None:
    """A legend of what has a label; long names are broken, so that the picture keeps its room."""
    handles, texts = ax.get_legend_handles_labels()
    if handles:
        ax.legend(handles, [textwrap.fill(text, LONGEST) for text in texts])


def lines(
    frame: Any, label: str | Sequence[str] | None, look: dict[str, Any], *, marked: bool = True
) -> Iterator[tuple[Any, dict[str, Any]]]:
    """The rows of each scheme, and the look of its line: colour, marker and label, or those that were given.

    Lines that are not `marked` differ in their dashes.
    """
    from matplotlib.cbook import normalize_kwargs
    from matplotlib.lines import Line2D

    groups = list(frame.groupby("scheme", sort=False)) if "scheme" in frame.columns else [(None, frame)]
    texts = None if label is None else _texts(label, len(groups))
    look = normalize_kwargs(look, Line2D)
    for i, (name, rows) in enumerate(groups):
        told = {"marker": MARKERS[i % len(MARKERS)]} if marked else {"linestyle": LINES[i % len(LINES)]}
        yield rows.sort_values("m", kind="stable") if "m" in rows.columns else rows, {
            "color": f"C{i}", **told,
            "label": texts[i] if texts is not None else name, **look,
        }  # fmt: skip
