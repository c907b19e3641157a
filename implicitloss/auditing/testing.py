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
    """Assert that a sampled loss optimises what is claimed, by an audit.

    Parameters
    ----------
    loss_fn : callable
        `loss_fn(scores (B, L), positive (B,), rng)` -> losses (B,), or losses and gradients (B, L).
    claim : Scheme, margin, "full" or array
        What the loss is said to optimise.
    prior : LabelPrior
        The label frequencies.
    rng : seed or Generator
        The seed of the audit.
    **options
        Further arguments of `implicitloss.audit`.

    Returns
    -------
    AuditReport
        The report.

    Raises
    ------
    AssertionError
        Unless the claim holds.  The message has the measured and the claimed margins by head, torso and tail, the
        nearest named scheme, and the seed.
    ValueError
        If nothing is claimed, and as `implicitloss.audit` does.

    Examples
    --------
    >>> import numpy as np
    >>> import implicitloss as il
    >>> def softmax(scores, positive, rng):
    ...     return np.log(np.exp(scores).sum(axis=1)) - scores[np.arange(len(positive)), positive]
    >>> il.assert_implicit_loss(softmax, claim="full", prior=il.LabelPrior.zipf(8, 1.0), runs=1000).ok
    True
    """
    __tracebackhide__ = True
    report = audit(loss_fn, claim=claim, prior=prior, rng=rng, **options)
    report.check()
    return report
