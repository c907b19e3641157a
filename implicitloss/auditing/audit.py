"""Audit a black box: measure its margins until its claim is refuted, holds, or the evaluations are used up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from implicitloss.auditing.blackbox import LossFunction
from implicitloss.auditing.box import Box
from implicitloss.auditing.claimed import Claim, claimed
from implicitloss.auditing.contact import Contact, first_contact
from implicitloss.auditing.failure import is_of_the_loss, outside
from implicitloss.auditing.finding import Observed
from implicitloss.auditing.gradients import by_gradients
from implicitloss.auditing.question import Budget, Form, Question
from implicitloss.auditing.report import AuditReport
from implicitloss.auditing.rows import rows_alike
from implicitloss.auditing.values import by_values, exactly
from implicitloss.labels import LabelPrior
from implicitloss.numerics.seeds import Seed

__all__ = ["audit"]

REMEDY = ": use the adapter of its framework, e.g. implicitloss.adapters.torch, or return losses and gradients"


def audit(
    loss_fn: LossFunction,
    *,
    prior: LabelPrior,
    claim: Claim = None,
    positives: Sequence[int] | None = None,
    scores: ArrayLike | None = None,
    other_positives: ArrayLike = (),
    form: Form = "softmax",
    temperature: float = 1.0,
    shift: ArrayLike = 0.0,
    tolerance: float = 0.0,
    resolution: float | None = None,
    largest_contribution: float = 10.0,
    runs: int | None = None,
    budget: Budget = "full",
    error: float = 1e-6,
    rng: Seed = None,
    reset: Callable[[], object] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> AuditReport:
    """Measure the margins p_yy' that a sampled loss applies, and test whether they are those of its claim.

    The verdict is "refuted" if a margin, the hits, the form or the gradient differs from the claim, by more than the
    relative `tolerance`.  It is "holds" if at every audited positive, every decisive part of the labels is known to lie
    within `tolerance` plus `resolution` of the claim.  It is "measured" if nothing is claimed, else "inconclusive".

    A true claim is refuted with probability at most `error`, however often the audit looks, if three conditions hold.
    First, calls are independent.  The examples of one call may depend on each other, but not on their places in it:
    limits count a call once.  Second, weights do not depend on the scores, unless `scores` are given.  Third, no call
    contributes more to a part than three times the largest contribution of as many examples in the pilot.  The limit is
    larger where independent draws of the claimed weights would exceed it with probability .001.  For labels that the
    pilot never drew, the limit is the larger of two numbers: three draws of the largest claimed weight, and what is
    claimed of all these labels in a call plus six standard deviations.  Without a claimed scheme it is
    `largest_contribution` times the largest contribution in the pilot, and more in proportion to how much rarer these
    labels are than the rarest that was drawn.  A part in which one call exceeds its limit stays inconclusive.

    Before anything is measured, the form of the loss is probed: the same call, with the same seed, at other scores.
    The draws are the same, and no chance is involved: a loss of the claimed form passes, within its rounding, which is
    measured.  A factor, class weights, a temperature and what the positive of a gBCE pays are named and divided out,
    and the audit goes on.  A smoothed, focal or clipped loss, a mean of pairs, a positive missing from the denominator,
    or another form, is named, and nothing is said of its margins.  A loss that keeps state between calls, draws the
    same labels in every call, or draws other labels at other scores, is told so, and not measured.

    `error` is that of the whole audit: seven eighths of it are for the limits of all parts, positives and looks, and
    one eighth is for the probes that ask for other draws.  Probes of the form and of the gradient take no part in it,
    because they compare values on the same draws.  A loss that draws nothing is measured without chance.  A pass says
    how far the margins may still be from the claim: `known_to` of the report.  The error is not that of the nearest
    scheme or slip: these are named by the best fit.

    Parameters
    ----------
    loss_fn : callable
        `loss_fn(scores (B, L), positive (B,), rng)` returns B losses (B,), or the losses and their gradients in the
        scores, (B, L).  With gradients, an audit needs fewer evaluations and sees more.  `implicitloss.adapters` makes
        such functions from PyTorch, TensorFlow and JAX losses.
    prior : LabelPrior
        The label frequencies, of at least two labels.
    claim : Scheme, margin, "full", array or None
        What the loss is said to optimise.  "full" is softmax over all labels.  An array is p, (L, L) or (rows, L), with
        the weights of hits in the positives' entries.  None measures only.  A scheme with hard negatives, and one whose
        margins depend on the scores, needs a loss with gradients; so do an array and None, if `scores` are given.
    positives : sequence of int, optional
        The audited positives; by default the most frequent label, the median one and the rarest.
    scores : (L,) array, optional
        The scores to audit at, for samplers that depend on them, and for hard negatives, which are the best labels by
        these scores; by default each call has new normal scores.
    other_positives : sequence of int
        Labels that are right for the audited examples too; beside an audited positive that is one of them, the others
        are meant.  The claim then includes that they do not count as negatives: draws of them are hits, which count
        where hits are kept.  Of a claim that is an array, the entries say how much they count.  The loss must have
        gradients.
    form : "softmax" or "logistic"
        "logistic" audits a decoupled loss.
    temperature : float
        The temperature that divides the scores inside the loss.
    shift : float or (L,) array
        The claim is about the scores plus `shift`, as in noise-contrastive losses.
    tolerance : float
        A relative deviation >= 0 that counts as equal.
    resolution : float, optional
        A relative deviation > 0 that must be excluded for "holds"; by default 0.25.
    largest_contribution : float
        What a label that the pilot never drew may contribute, in units of the largest contribution in the pilot, where
        no scheme is claimed; at least 1.
    runs : int, optional
        The largest number of evaluations of each positive, at least 32; by default 400 to 20,000, fewer for more
        labels.  Without gradients, parts that hold are not asked again.
    budget : {"full", "quick"}
        "quick" has a resolution of 1, so that "holds" rules out what counts twice or half, and a quarter of the `runs`,
        where these are not given.  It takes a third to half of the time, and refutes a true claim no more often.
    error : float
        The probability with which a true claim may be refuted, from 1e-300 to below 1.
    rng : seed, Generator or None
        An audit with the same seed gives the same report.
    reset : callable, optional
        It is called, without arguments, before each call of the loss, and with `in_batch` and `one_by_one` before each
        example, to put back what the loss remembers: a queue, a memory bank, a running estimate.  The other way is a
        loss that is made anew in each call.
    progress : callable, optional
        It is called as `progress(done, runs)` after each look, and in between up to ten times a second.

    Returns
    -------
    AuditReport
        The verdict, the comparisons with the claim, the measured margins, and the nearest scheme.

    Raises
    ------
    ValueError
        If an argument is out of range, the claim is about other labels or needs gradients that the loss has not, or an
        answer has another shape or is not finite.

    Notes
    -----
    The method is derived here; the limits are those of `implicitloss.numerics.bounds.sum_half_width`.

    Examples
    --------
    >>> import numpy as np
    >>> import implicitloss as il
    >>> def softmax(scores, positive, rng):
    ...     return np.log(np.exp(scores).sum(axis=1)) - scores[np.arange(len(positive)), positive]
    >>> report = il.audit(softmax, prior=il.LabelPrior.zipf(50, 1.0), claim="full", rng=0)
    >>> report.verdict
    'holds'
    """
    question = Question.of(
        prior=prior, claim=claim, positives=positives, scores=scores, form=form, temperature=temperature, shift=shift,
        tolerance=tolerance, resolution=resolution,
        largest_contribution=largest_contribution, runs=runs, budget=budget, error=error, rng=rng,
        other_positives=other_positives,
    )  # fmt: skip
    box = Box(loss_fn, question, progress, reset)
    try:
        contact = first_contact(question, box)
        observed = contact.observed
        if contact.can_go_on:
            observed += rows_alike(contact.question, box)
        return AuditReport.of(contact.question, box, observed + _measured(contact.question, box, contact))
    except Exception as error:
        if is_of_the_loss(error):  # its traceback shows the user's code alone
            error.__traceback__ = outside(error.__traceback__)
        raise


def _measured(question: Question, box: Box, contact: Contact) -> Observed:
    """What the routes find that the first contact allows: nothing of a loss that has no margins, or keeps state."""
    if not contact.can_go_on:
        return Observed()
    if not contact.has_gradients:
        if question.other_positives.size:
            raise ValueError(f"other positives are looked for in the gradients of the loss, got values alone{REMEDY}")
        _check_free_of_scores(question)
        return exactly(question, box) if contact.draws_nothing else by_values(question, box)
    if any(flaw.kind == "wrong gradient" for flaw in contact.observed.flaws):
        # Margins are not read from a gradient that is wrong: the claim is refuted, or the values say what there is.
        return by_values(question, box) if question.claim.margins is None else Observed()
    # A stream is for a loss all whose chance comes from the seed that it is given, and none from elsewhere.
    ignores_rng = any(note.kind == "ignores rng" for note in contact.observed.notes)
    if contact.repeats and not contact.draws_nothing and not ignores_rng:
        box.open_stream()
    if contact.repeats or question.scores is not None:
        return by_gradients(question, box)
    # The gradient cannot be compared with the value, and so both are audited, each with half of the error.
    half = replace(question, error=question.error / 2)
    found = by_gradients(half, box)
    return found if found.flaws else found + by_values(half, box)


def _check_free_of_scores(question: Question) -> None:
    """*Raises* ValueError for a claim about the given scores, where the loss has values alone.

    Values show weights at other scores, which single labels out; other scores have other margins.  Importance weights,
    softmax over all labels and margins are claimed at all scores.
    """
    scheme = question.scheme
    if question.scores is None:
        return
    depends = question.claim.margins is None or question.claim.is_array
    if scheme is not None:
        depends = scheme.hard is not None
    if scheme is not None and scheme.sampler.needs_scores and not depends:
        elsewhere = claimed(scheme, question.prior, list(question.positives), np.zeros(question.prior.n_labels))
        assert question.claim.margins is not None
        assert elsewhere.margins is not None
        depends = not np.allclose(question.claim.margins, elsewhere.margins)
    if depends:
        raise ValueError(
            "margins at given scores need the gradients of the loss, got values alone, which show weights at other "
            f"scores{REMEDY}"
        )
