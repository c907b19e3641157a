"""Audit a black box: measure its margins until its claim is refuted, holds, or the evaluations are used up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from numpy.typing import ArrayLike

from implicitloss.auditing.blackbox import LossFunction
from implicitloss.auditing.box import Box
from implicitloss.auditing.claimed import Claim
from implicitloss.auditing.contact import Contact, first_contact
from implicitloss.auditing.finding import Evidence, Note
from implicitloss.auditing.gradients import by_gradients
from implicitloss.auditing.question import Form, Question
from implicitloss.auditing.report import AuditReport
from implicitloss.auditing.values import by_values
from implicitloss.labels import LabelPrior
from implicitloss.numerics.seeds import Seed


def audit(
    loss_fn: LossFunction,
    *,
    prior: LabelPrior,
    claim: Claim = None,
    positives: Sequence[int] | None = None,
    scores: ArrayLike | None = None,
    form: Form = "softmax",
    temperature: float = 1.0,
    shift: ArrayLike = 0.0,
    tolerance: float = 0.0,
    resolution: float = 0.25,
    heaviest: float = 10.0,
    runs: int | None = None,
    error: float = 1e-6,
    rng: Seed = None,
    progress: Callable[[int, int], None] | None = None,
) -> AuditReport:
    """What margins p_yy' the sampled loss `loss_fn` really applies, and whether they are those of its `claim`.

    `loss_fn(scores (B, L), positive (B,), rng)` returns the loss of each of B examples, (B,), better with its gradient
    in the scores, (B, L); `implicitloss.adapters` makes such functions of PyTorch, TensorFlow and JAX losses.  The
    `claim` is a Scheme, "full" (softmax over all labels), a margin, an array p (L, L) or (rows, L) with the weights of
    hits in the positives' entries, or None, to measure only.

    Three positives are audited (the most frequent label, the median, the rarest) or those given, at scores that are
    drawn anew for each call, or at `scores` (L,) for samplers that look at them.  `temperature` divides the scores
    inside the loss; `form="logistic"` audits a decoupled loss, whose claim speaks of the scores plus `shift` (L,), as
    noise-contrastive losses do.

    Verdict: "refuted" where a margin, the hits, the form or the gradient is not as claimed, by more than the relative
    `tolerance`; "holds" where at every audited positive every decisive part of the labels is known to lie within
    `resolution` beyond it; else "inconclusive".  A true claim is refuted with probability at most `error`, however
    often the audit looks, provided that calls are independent (examples of one call are taken to be so if neither their
    draws nor their means say otherwise), and that no evaluation gives a part more than three times what the pilot saw,
    or labels that the pilot never drew more than three draws as claimed (where no scheme is claimed, `heaviest` times
    the pilot's heaviest, and more in proportion to how much rarer they are in the prior).  A part that is seen to burst
    this says nothing.  `runs` evaluations of each positive are made at most; by values, parts that hold are not asked
    again, so that later calls have fewer examples.

    *Raises* ValueError for an answer of another shape or that is not finite, a claim about other labels, and for
    arguments out of range.  *Source:* derived; limits: `implicitloss.numerics.bounds.half_width`.
    """
    question = Question.of(
        prior=prior, claim=claim, positives=positives, scores=scores, form=form, temperature=temperature, shift=shift,
        tolerance=tolerance, resolution=resolution, heaviest=heaviest, runs=runs, error=error, rng=rng,
    )  # fmt: skip
    box = Box(loss_fn, question, progress)
    contact = first_contact(question, box)
    return AuditReport.of(question, box, contact.evidence + _measured(question, box, contact))


def _measured(question: Question, box: Box, contact: Contact) -> Evidence:
    """What the routes find that the first contact allows."""
    if not contact.has_gradients:
        return by_values(question, box)
    if contact.repeats or question.scores is not None:
        return by_gradients(question, box, contact)
    # The gradient cannot be compared with the value, and so both are audited, each with half of the error.
    half = replace(question, error=question.error / 2)
    said = "the loss does not repeat itself by the rng it is given; its values were audited by themselves too"
    note = Evidence(notes=(Note("does not repeat", said),))
    return by_gradients(half, box, contact) + note + by_values(half, box)
