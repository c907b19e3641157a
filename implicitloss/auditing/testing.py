"""An assertion for tests: it fails if a sampled loss does not optimise what is claimed."""

from __future__ import annotations

from typing import Any

from implicitloss.auditing.audit import audit
from implicitloss.auditing.blackbox import LossFunction
from implicitloss.auditing.claimed import Claim
from implicitloss.auditing.report import AuditReport
from implicitloss.labels import LabelPrior

__all__ = ["assert_implicit_loss"]


def assert_implicit_loss(
    loss_fn: LossFunction, *, claim: Claim, prior: LabelPrior, rng: Any = 0, **options: Any
) -> AuditReport:
    """Audit a loss (see `implicitloss.audit`) and return the report.

    *Raises* AssertionError unless the verdict is "holds".  The message shows measured and claimed margins by head,
    torso and tail, the nearest named scheme, and the seed.
    """
    __tracebackhide__ = True
    report = audit(loss_fn, claim=claim, prior=prior, rng=rng, **options)
    report.check()
    return report
