"""Which labels a scheme helps: the tilt of its population optimum against m, by the implicit and by the true loss.

The tilt is the slope of f* on log π where all labels are equally likely at x: nothing but the scheme can tilt.
"""

from __future__ import annotations

import sys

import numpy as np

from implicitloss.labels import LabelPrior
from implicitloss.losses import SoftmaxCrossEntropy
from implicitloss.population import Of, population_optimum
from implicitloss.samplers import WithinBatch
from implicitloss.scheme import Hits, Scheme
from implicitloss.weightings import Constant, Importance, Relative, Tail

LABELS = 20


def run(prior: LabelPrior) -> list[dict[str, object]]:
    """One row a weighting, mode for hits and m; twenty labels from frequent to rare."""
    at = np.linspace(0, prior.n_labels - 1, min(LABELS, prior.n_labels)).round().astype(int)
    picked = prior.probabilities[prior.by_frequency[at]]
    few = LabelPrior.from_probabilities(picked / picked.sum())
    eta = np.full(few.n_labels, 1 / few.n_labels)
    x = few.log - few.log.mean()
    loss, rows = SoftmaxCrossEntropy(), []
    modes: tuple[Hits, ...] = ("mask", "keep")
    kinds: tuple[Of, ...] = ("implicit", "sampled")
    for weighting in (Constant(), Importance(), Relative(), Tail()):
        for hits in modes:
            print(f"tilt: {weighting}, hits {hits}", file=sys.stderr)
            for m in (2**k for k in range(9)):
                scheme = Scheme(WithinBatch(), weighting, m=m, hits=hits)
                tilts = {of: float(x @ population_optimum(scheme, loss, eta, few, of) / (x @ x)) for of in kinds}
                name = str(weighting).removesuffix("()").lower()
                rows.append({"weighting": name, "hits": hits, "m": m, **tilts})
    return rows
