"""Section 4.3, Remark 3: the variance of the gradient, which the paper names and leaves open."""

from __future__ import annotations

from implicitloss.claims.case import Case, Setting
from implicitloss.claims.statements.gradient_variance import gradient_sampler, gradient_variance
from paper_checks import cases
from paper_checks.rawat2021.proposition5 import competitors


def _pulling(setting: Setting) -> list[Case]:
    """Decoupled losses on bounded scores, where every negative pays and pulls."""
    return competitors(setting, cases.DECOUPLED, cases.problem(setting.prior))


def _softmax(setting: Setting) -> list[Case]:
    return competitors(setting, (cases.SOFTMAX,), cases.problem(setting.prior))


CLAIMS = (
    gradient_variance("rawat2021.remark3.variance", cases.tiny_softmax, cases.tiny_decoupled),
    gradient_sampler("rawat2021.remark3.sampler", _pulling, _softmax),
)
