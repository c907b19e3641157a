"""A case: one audit of a function of an installed package, and the size of all audits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import implicitloss as il
from implicitloss.labels import Floats, LabelPrior, Labels

# Samples behind the counts of samplers that want counts.
SAMPLES = 100_000
# The relative tolerance of claims about draws without replacement.
NEARLY = 0.05

Audited = Callable[[Floats, Labels, np.random.Generator], Any]


@dataclass(frozen=True)
class Size:
    """L, m and how many evaluations of each positive an audit may use."""

    n_labels: int
    m: int
    runs: int

    @property
    def prior(self) -> LabelPrior:
        """Zipf's law."""
        return LabelPrior.zipf(self.n_labels, 1.0)

    @property
    def counted(self) -> LabelPrior:
        """Zipf's law in whole counts, none of them 0."""
        return LabelPrior.from_counts(np.ceil(SAMPLES * self.prior.probabilities))

    def scheme(self, weighting: Any = None, hits: Any = "keep", sampler: Any = None) -> il.Scheme:
        """Within-batch negatives with weights of 1, hits kept, if nothing else is said."""
        return il.Scheme(sampler or il.samplers.WithinBatch(), weighting or il.weightings.Unit(), m=self.m, hits=hits)


@dataclass(frozen=True)
class LibraryCase:
    """One audit: `function` with its options, a `quote` from `source` (a documented object), the claim, in `words`."""

    function: str
    quote: str
    source: Any
    claim: Any
    words: str
    loss: Audited
    prior: LabelPrior
    options: dict[str, Any] = field(default_factory=dict)
    # Not where the scheme that fits best fits the frequent labels only.
    leans: bool = True
