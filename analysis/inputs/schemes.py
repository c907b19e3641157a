"""The schemes that studies compare: samplers, weightings and full losses, by the names that tables and figures use."""

from __future__ import annotations

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


def scheme(sampler: str, weighting: str, m: int, hits: Hits = "mask") -> Scheme:
    """One of Table 2 by its names."""
    return Scheme(SAMPLERS[sampler], WEIGHTINGS[weighting], m=m, hits=hits)


def table2() -> list[tuple[str, str]]:
    """(sampler, weighting) of Table 2, in its order."""
    return [(sampler, weighting) for sampler in SAMPLERS for weighting in WEIGHTINGS]
