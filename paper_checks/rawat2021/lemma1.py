"""Section 3.1, decoupled losses: Lemma 1."""

from __future__ import annotations

from implicitloss.claims.case import Case, Setting
from implicitloss.claims.statements import lemma1
from implicitloss.losses import Decoupled, Loss, logistic
from implicitloss.samplers import ModelBased, Power, Uniform, WithinBatch
from implicitloss.scheme import HITS, Scheme
from implicitloss.weightings import Constant, Importance, Relative, examples
from paper_checks import cases


def _schemes() -> list[tuple[Scheme, Loss]]:
    """Each weighting once with a sampler of its own kind, and each mode for hits; the grid is for numbers."""
    rows = [(Scheme(WithinBatch(), weighting, m=8, hits="mask"), cases.SOFTMAX) for weighting in examples()]
    rows += [(Scheme(Uniform(), Constant(), m=8, hits=hits), Decoupled(logistic)) for hits in HITS]
    rows += [(Scheme(Power(), Importance(), m=8, hits=hits), cases.SOFTMAX) for hits in HITS]
    rows += [(Scheme(ModelBased(), Relative(), m=8, hits=hits), cases.SOFTMAX) for hits in HITS]
    return rows


def _covering(setting: Setting) -> list[Case]:
    """Negatives all covered, hits excluded or masked: where importance weights can be unbiased."""
    at = cases.problem(setting.prior)
    return list(cases.grid(at, 16, cases.DECOUPLED, hits=("exclude", "mask"), weightings=(Importance(),)))


CLAIMS = (
    lemma1.derived("rawat2021.lemma1.derivation", _schemes),
    lemma1.lemma1_mean("rawat2021.lemma1.mean", cases.tiny_decoupled, cases.decoupled),
    lemma1.lemma1_variance_claim("rawat2021.lemma1.variance", cases.tiny_decoupled, cases.decoupled),
    lemma1.lemma1_unbiased("rawat2021.lemma1.unbiased", (Uniform(), WithinBatch(), Power(), ModelBased()), _covering),
)
