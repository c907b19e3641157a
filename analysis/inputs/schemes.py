"""The schemes that studies compare: samplers, weightings and full losses, by the names that tables and figures use."""

from __future__ import annotations

from collections.abc import Iterable

from implicitloss import margins, weightings
from implicitloss.samplers import Sampler, Uniform, WithinBatch
from implicitloss.scheme import Hits, Scheme

SAMPLERS: dict[str, Sampler] = {"uniform": Uniform(), "within-batch": WithinBatch()}
# The four of the paper's Table 2.
WEIGHTINGS: dict[str, weightings.Weighting] = {
    "constant": weightings.Constant(),
    "importance": weightings.Importance(),
    "relative": weightings.Relative(),
    "tail": weightings.Tail(),
}
# All labels, with the margins of the long-tail literature.
FULL: dict[str, margins.Margin] = {
    "softmax": margins.Softmax(),
    "equalised": margins.Equalised(),
    "adaptive": margins.Adaptive(),
    "logit-adjusted": margins.LogitAdjusted(),
}

# The columns that say which loss a row of a table is about.
COLUMNS = ("name", "sampler", "weighting")


def scheme(sampler: str, weighting: str, m: int, hits: Hits = "mask") -> Scheme:
    """One of Table 2 by its names."""
    return Scheme(SAMPLERS[sampler], WEIGHTINGS[weighting], m=m, hits=hits)


def table2() -> list[tuple[str, str]]:
    """(sampler, weighting) of Table 2, in its order."""
    return [(sampler, weighting) for sampler in SAMPLERS for weighting in WEIGHTINGS]


def sampled_losses() -> list[dict[str, str]]:
    """The schemes of Table 2 as a table has them: each with the name that figures print, and its parts."""
    return [{"name": f"{q}, {w}", "sampler": q, "weighting": w} for q, w in table2()]


def full_losses(names: Iterable[str]) -> list[dict[str, str]]:
    """Losses over all labels, as a table has them: they have no sampler and no weighting."""
    return [{"name": name, "sampler": "none", "weighting": "none"} for name in names]
