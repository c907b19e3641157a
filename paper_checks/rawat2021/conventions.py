"""Symbols and numbers mean the same: every sampler, weighting, target and mode for hits, as SymPy and NumPy have it."""

from __future__ import annotations

from implicitloss.check import Case, Setting
from implicitloss.margins import Adaptive, Margin, targets
from implicitloss.samplers import Uniform
from implicitloss.scheme import Scheme
from implicitloss.statements.conventions import conventions
from implicitloss.weightings import ForMargin
from paper_checks import cases


def _grid(setting: Setting) -> list[Case]:
    """Four labels, the most frequent first (as the log-uniform law has them); every target margin too."""
    at = cases.tiny_problem()
    schemes = list(cases.grid(at, 3, [cases.SOFTMAX]))
    every: list[Margin] = [*targets(), Adaptive(0.25, "printed")]
    for target in every:
        for hits in ("mask", "keep"):
            schemes.append(Case(Scheme(Uniform(), ForMargin(target), m=3, hits=hits), cases.SOFTMAX, at))  # type: ignore[arg-type]
    return schemes


CLAIMS = (
    conventions(
        "rawat2021.conventions",
        "Every sampler, weighting, target margin and mode for hits means the same in symbols and in numbers.",
        "Rawat et al. 2021, Table 1, Eqs. (15) and (16); modes for hits: derived",
        _grid,
    ),
)
