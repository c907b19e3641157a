"""Settle claims and report: everything the theory says about one scheme, or any list of claims."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from implicitloss.arguments import checked_flag, checked_threads, checked_whole
from implicitloss.claims.case import Setting
from implicitloss.claims.claim import FAMILY_ERROR, Claim, settle
from implicitloss.claims.report import Report, provenance
from implicitloss.claims.statements.numbers import forget
from implicitloss.claims.statements.scheme import about_scheme
from implicitloss.problem import Problem, checked_problem
from implicitloss.scheme import Scheme, only_iid

if TYPE_CHECKING:
    from implicitloss.margins import Margin

__all__ = ["report_on", "verify"]


def verify(
    scheme: Scheme,
    problem: Problem,
    *,
    target: Margin | None = None,
    rng: int = 0,
    full: bool = False,
    threads: int | None = None,
) -> Report:
    """Check the lemmas, Theorem 3 and the propositions for `scheme` on `problem`, with all four witnesses.

    With hard negatives T every claim is about the margins p_yy' = w_T 1_T(y') + m w_yy' q_y', and one more says that T
    joins the positive.

    Parameters
    ----------
    scheme : Scheme
        The scheme, which may have a sampler or a weighting of your own, and hard negatives.
    problem : Problem
        Scores, label prior and positive label.
    target : Margin, optional
        Also check that the scheme's implicit loss is softmax with these margins.
    rng : int
        The seed of all simulations, >= 0.
    full : bool
        Draw ten times as much.
    threads : int, optional
        How many threads simulate; the result is the same for any number.

    Returns
    -------
    Report
        `ok` says whether every claim holds and every near miss was refuted; `failures` has what does not hold;
        `print(report)` shows it.  A run refutes a true claim with probability at most 1e-6.

    Raises
    ------
    ValueError
        For a scheme that is undefined at the problem, and a problem with other positives.

    References
    ----------
    Rawat et al. 2021, Lemmas 1 and 2, Theorem 3, Propositions 4 and 5; hard negatives: derived here.

    Examples
    --------
    >>> import implicitloss as il
    >>> prior = il.LabelPrior.from_counts([8, 4, 3, 1])
    >>> problem = il.Problem([0.3, -0.4, 1.2, -1.7], prior, positive=1)
    >>> scheme = il.Scheme(il.samplers.WithinBatch(), il.weightings.Constant(), m=3, hits="mask")
    >>> report = il.verify(scheme, problem, target=il.margins.Equalised())
    >>> assert report.ok, str(report)
    """
    threads, full = checked_threads(threads), checked_flag(full, "full")
    seed = checked_whole(rng, "the seed", 0)
    only_iid(scheme, "what verify checks")
    if checked_problem(problem).other_positives.size:
        raise ValueError(
            "the statements that verify checks are about examples with one positive, got a problem with "
            f"{problem.other_positives.size} other ones: leave these out (integrate, exhaust and simulate take them)"
        )
    forget()
    claims = about_scheme(scheme, problem, target)
    return report_on(
        claims,
        Setting(problem.prior, "as given", seed, full, threads, strict=False),
        title=f"{scheme}, positive {problem.prior.name(problem.positive)}",
        rerun=f"implicitloss.verify(scheme, problem, rng={seed})  # claim {{id}}",
    )


def report_on(
    claims: Sequence[Claim],
    setting: Setting,
    *,
    title: str,
    rerun: str,
    progress: Callable[[int, Claim], None] | None = None,
) -> Report:
    """The report on `claims`.  `rerun` is the command for one claim, with {id}."""
    start = time.perf_counter()
    verdicts = settle(claims, setting, progress)
    return Report(
        title=title,
        verdicts=tuple(verdicts),
        provenance=provenance(
            prior=f"{setting.prior.n_labels} labels, {setting.origin}",
            seed=setting.seed,
            full=setting.full,
            seconds=round(time.perf_counter() - start, 1),
        ),
        family_error=FAMILY_ERROR,
        rerun=rerun,
    )
