"""Section 4.3: Proposition 5, and its softmax counterpart."""

from __future__ import annotations

import numpy as np

from implicitloss.claims.case import Case, Setting
from implicitloss.claims.statements.proposition5 import proposition5, proposition5_softmax
from implicitloss.losses import Decoupled, Loss, cosine_contrastive, hinge, squared_hinge
from implicitloss.margins import LogitAdjusted, Softmax
from implicitloss.problem import Problem
from implicitloss.samplers import Explicit, MinimumVariance
from implicitloss.scheme import Scheme
from implicitloss.weightings import ForMargin
from paper_checks import cases

TARGETS = (Softmax(), LogitAdjusted())


def competitors(setting: Setting, losses: tuple[Loss, ...], at: Problem, where: str = "", m: int = 16) -> list[Case]:
    """Every other sampler, and q* perturbed by a few per cent, for two targets.

    Perturbed, a label that pays nothing is drawn too: q = 0 is for q* alone.
    """
    rng = np.random.default_rng([setting.seed, 1717])
    found = []
    for loss in losses:
        for target in TARGETS:
            law = np.exp(MinimumVariance(target, loss).log_law(at))
            law = np.where(law > 0, law, law[law > 0].min())
            noisy = [law * np.exp(size * rng.standard_normal(law.size)) for size in (0.01, 0.1, 0.5)]
            others = [x for x in cases.samplers(law.size, loss) if not isinstance(x, MinimumVariance)]
            for sampler in (*others, *(Explicit(q / q.sum()) for q in noisy)):
                found.append(Case(Scheme(sampler, ForMargin(target), m=m, hits="exclude"), loss, at, where))
    return found


def _paying(setting: Setting) -> list[Case]:
    """Every negative pays; or some pay nothing, as a hinge below -1 and the paper's own loss below 0; or none does."""
    free = tuple(Decoupled(binary) for binary in (hinge, squared_hinge, cosine_contrastive(0.0)))
    some = cases.problem(setting.prior, "gaussian")
    none = Problem(some.scores - some.scores.max() - 1.5, setting.prior, some.positive)
    return [
        *competitors(setting, cases.DECOUPLED, cases.problem(setting.prior)),
        *competitors(setting, free, some, "some negatives pay nothing"),
        *competitors(setting, free[:1], none, "no negative pays"),
    ]


def _softmax(setting: Setting) -> list[Case]:
    return competitors(setting, (cases.SOFTMAX,), cases.problem(setting.prior))


CLAIMS = (
    proposition5("rawat2021.proposition5.decoupled", _paying),
    proposition5_softmax("rawat2021.proposition5.softmax", _softmax),
)
