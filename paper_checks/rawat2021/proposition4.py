"""Section 4.2: Proposition 4."""

from __future__ import annotations

from implicitloss.claims.case import Case, Setting
from implicitloss.claims.statements.proposition4 import proposition4
from implicitloss.losses import Decoupled, logistic
from implicitloss.margins import Adaptive, Margin, Offsets, Softmax, examples
from implicitloss.samplers import MinimumVariance
from implicitloss.scheme import Scheme
from implicitloss.weightings import ForMargin
from paper_checks import cases

SYMBOLIC = (*examples(), Adaptive(form="printed"))
LOSS = Decoupled(logistic)


def _targets(n_labels: int) -> list[Margin]:
    """The offsets come last: draws depend on the place of a case."""
    return sorted((*examples(n_labels), Adaptive(form="printed")), key=lambda target: isinstance(target, Offsets))


def _every_pair(setting: Setting) -> list[Case]:
    at, targets = cases.problem(setting.prior), _targets(setting.prior.n_labels)
    return [
        Case(Scheme(sampler, ForMargin(target), m=16, hits=hits), loss, at)
        for some in (targets[:-1], targets[-1:])
        for loss in (cases.SOFTMAX, LOSS)
        for target in some
        for sampler in cases.samplers(setting.prior.n_labels, loss, target)
        for hits in ("exclude", "mask")
    ]


def _decoupled_excluded(setting: Setting) -> list[Case]:
    return [case for case in _every_pair(setting) if not case.loss.has_log and case.scheme.hits == "exclude"]


CLAIMS = (
    proposition4(
        "rawat2021.proposition4",
        [x for x in cases.samplers(4, LOSS) if not isinstance(x, MinimumVariance)] + [MinimumVariance(Softmax())],
        SYMBOLIC,
        _every_pair,
        _decoupled_excluded,
    ),
)
