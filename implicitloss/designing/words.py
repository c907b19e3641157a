"""A design in words: log δ, what to do in the training loss, and what follows from the prices."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from implicitloss.labels import Floats
from implicitloss.margins import BalancedSoftmax, LogitAdjusted, Margin, Softmax, complete_margin
from implicitloss.samplers import Sampler
from implicitloss.samplers.sampler import complete_sampler

__all__ = ["advice", "advice_where_off", "delta", "recipe"]

# A sampler that keeps this part of what the best one keeps is as good.
AS_GOOD = 0.95
# A shift that varies less than this, beside its size, is none.
ZERO = 1e-12


def delta(target: Margin) -> str:
    """log δ of a target p_yy' = δ_y'/δ_y."""
    if isinstance(target, LogitAdjusted):
        return "log π" if target.tau == 1 else f"{target.tau:g} log π"
    return {Softmax: "0", BalancedSoftmax: "log π"}.get(type(target), "log δ")


def recipe(target: Margin, shift: Floats | None) -> str:
    """What to do in the training loss: the shift that comes off every logit, None for a target that has none."""
    if shift is None:
        return "Weigh a negative y' by p_yy'/(m q_y') beside y, and leave out draws of the positive."
    if np.ptp(shift) <= ZERO * (1 + np.abs(shift).max()):
        return "Take the softmax of the positive and the draws as they are, nothing added: leave hits in."
    off = "log q" if delta(target) == "0" else f"log q - {delta(target)}"
    return f"Take {off} off every logit, the positive's too, and leave hits in."


def advice(own: Sampler, kept: Mapping[Sampler, float], part: str) -> str:
    """What follows from the information that each sampler keeps about a slice, where the optimum is right."""
    best = max(kept, key=lambda sampler: kept[sampler])
    said = (
        f"The optimum is right at every m.  Of what an example says about a likely {part} label, "
        f"{complete_sampler(own).name} keeps {kept[own]:.2f}"
    )
    if kept[own] == kept[best]:
        return f"{said}, and the other samplers no more."
    if kept[own] >= AS_GOOD * kept[best]:
        return f"{said}, and the other samplers hardly more."
    return f"{said}, {complete_sampler(best).name} {kept[best]:.2f}."


def advice_where_off(target: Margin, m: int, deviation: Mapping[str, float]) -> str:
    """What follows from the tilts of an optimum that is off its target."""
    name = complete_margin(target).name
    off = max((tilt for tilt in deviation.values() if not math.isnan(tilt)), key=abs, default=None)
    if off is None:
        return f"No weights reach {name} at every m, and with m = {m:,} no tilt is known."
    return f"No weights reach {name} at every m.  With m = {m:,} the optimum is off by up to {off:+.2g} log π."
