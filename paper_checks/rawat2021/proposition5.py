"""Section 4.3: Proposition 5, and its softmax counterpart."""

from __future__ import annotations

import numpy as np

from implicitloss.check import Case, Setting
from implicitloss.losses import Loss
from implicitloss.margins import LogitAdjusted, Softmax
from implicitloss.samplers import Explicit, MinimumVariance
from implicitloss.scheme import Scheme
from implicitloss.statements.proposition5 import proposition5, proposition5_softmax
from implicitloss.weightings import ForMargin
from paper_checks import cases

TARGETS = (Softmax(), LogitAdjusted())


def _competitors(setting: Setting, losses: tuple[Loss, ...], m: int = 16) -> list[Case]:
    """Every other sampler, and q* perturbed by a few per cent, for two targets."""
    at = cases.problem(setting.prior)
    rng = np.random.default_rng([setting.seed, 1717])
    found = []
    for loss in losses:
        for target in TARGETS:
            law = np.exp(MinimumVariance(target, loss).log_law(at))
            noisy = [law * np.exp(size * rng.standard_normal(law.size)) for size in (0.01, 0.1, 0.5)]
            others = [x for x in cases.samplers(law.size, loss) if not isinstance(x, MinimumVariance)]
            for sampler in (*others, *(Explicit(q / q.sum()) for q in noisy)):
                found.append(Case(Scheme(sampler, ForMargin(target), m=m, hits="exclude"), loss, at))
    return found


def _decoupled(setting: Setting) -> list[Case]:
    return _competitors(setting, cases.DECOUPLED)


def _softmax(setting: Setting) -> list[Case]:
    return _competitors(setting, (cases.SOFTMAX,))


CLAIMS = (
    proposition5("rawat2021.proposition5.decoupled", _decoupled),
    proposition5_softmax("rawat2021.proposition5.softmax", _softmax),
)
