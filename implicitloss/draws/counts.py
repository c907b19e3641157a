"""How often each label is among the negatives, under each design: its expected count, or the chance that it is in."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from implicitloss.draws.batch_set import BatchSet
from implicitloss.draws.bernoulli import Bernoulli
from implicitloss.draws.design import DrawsName, Law, SamplingDesign
from implicitloss.draws.distinct import Distinct, DistinctLaw
from implicitloss.draws.iid import Iid
from implicitloss.labels import Floats

__all__ = ["LEAST_LOG_Q", "design", "expected_tries", "forget", "law_of", "log_counts"]

_DESIGNS: dict[DrawsName, SamplingDesign] = {one.name: one for one in (Iid(), Distinct(), BatchSet(), Bernoulli())}
# Labels with a smaller q are in N in proportion to it, to the last digit.
LEAST_LOG_Q = -600.0


def design(name: DrawsName) -> SamplingDesign:
    """The design of this name."""
    return _DESIGNS[name]


def law_of(name: DrawsName, log_q: Floats, m: int) -> Law:
    """The design at the law of the labels with q > 0, in their order; *raises* ValueError if m do not exist."""
    drawable = log_q[log_q > -np.inf]
    design(name).check(drawable.size, m)
    return _law(name, np.exp(np.clip(drawable, LEAST_LOG_Q, 0.0), dtype=np.float64).tobytes(), m)


# A scheme asks for the law at one positive after another, and it is often the same.
@lru_cache(maxsize=2)
def _law(name: DrawsName, q: bytes, m: int) -> Law:
    return design(name).law(np.frombuffer(q).copy(), m)


def forget() -> None:
    """Let `law_of` compute anew, for whoever times it."""
    _law.cache_clear()


def expected_tries(name: DrawsName, log_q: Floats, m: int) -> float:
    """The expected number of single draws that a run takes: m, or more where the same label is not taken twice."""
    law = law_of(name, log_q, m)
    return law.tries if isinstance(law, DistinctLaw) else float(m)


def log_counts(name: DrawsName, log_q: Floats, m: int) -> tuple[Floats, float]:
    """log P(j ∈ N) of each label, (L,), i.i.d. log(m q_j); and a bound on the relative error of P."""
    if name == "iid":
        return np.log(m) + log_q, 0.0
    law = law_of(name, log_q, m)
    found = np.full(log_q.size, -np.inf)
    can = log_q > -np.inf
    found[can] = np.log(law.inclusion) + np.minimum(log_q[can] - LEAST_LOG_Q, 0.0)
    return found, law.error
