"""A scheme (q, w): which negatives are drawn, how they are weighed, how many, and what a hit does."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import sympy as sp

from implicitloss import symbols as s
from implicitloss.arguments import MASS_TOLERANCE, checked_choice, checked_instance, checked_whole, shown
from implicitloss.labels import Floats
from implicitloss.losses import Loss
from implicitloss.numerics.logsum import logsumexp
from implicitloss.problem import Problem, checked_problem
from implicitloss.samplers.sampler import Sampler, checked_sampler
from implicitloss.weightings import Draws, Weighting, checked_weighting

Hits = Literal["exclude", "mask", "keep"]
MOST_NEGATIVES = 1_000_000_000_000
EPS = float(np.finfo(np.float64).eps)
HITS: tuple[Hits, ...] = get_args(Hits)


# What symbols need of the parts of a scheme, beside what numbers need.
_IN_SYMBOLS = {"sampler": "law", "weighting": "weight"}


@dataclass(frozen=True)
class Plan:
    """What one draw does at a problem: log q (L,) and log w (L,), the positive's entries as its hits mode says.

    `log_rest` is log(1 - q_y) where hits are excluded, which was taken off every log q; else 0.
    """

    log_q: Floats
    log_w: Floats
    log_rest: float = 0.0

    def magnitudes(self, payment: Floats) -> Floats:
        """|log q| + |log w| + |payment| of each label, (L,), 0 where one is infinite: a term rounds in proportion."""
        found = np.abs(self.log_q) + np.abs(self.log_w) + np.abs(payment)
        return np.where(np.isfinite(found), found + 2 * abs(self.log_rest), 0.0)


def _checked_logs(logs: Floats, n_labels: int, what: str) -> Floats:
    if not isinstance(logs, np.ndarray) or logs.dtype.kind not in "iuf" or logs.shape != (n_labels,):
        raise ValueError(f"{what} must be logarithms for all {n_labels} labels, got {shown(logs)}")
    if not np.all(logs < np.inf):
        bad = np.flatnonzero(np.isnan(logs) | np.isposinf(logs))
        raise ValueError(f"{what} must be finite, or -inf for 0, in logarithms, but label {bad[0]} has {logs[bad[0]]}")
    return logs


@dataclass(frozen=True)
class Scheme:
    """Draw m negatives i.i.d. from `sampler`, weigh them by `weighting`; `hits` sets what happens when y is drawn.

    - "exclude": draw from q_y'/(1 - q_y), y' != y; weights that divide by q divide by this conditional q;
    - "mask": draw from q and give a hit weight 0;
    - "keep": a hit counts with its own weight w_yy.

    *Raises* ValueError for m < 1 or more than 1e12, an unknown mode, and what is no sampler or no weighting.
    """

    sampler: Sampler
    weighting: Weighting
    m: int
    hits: Hits

    def __init__(self, sampler: Sampler, weighting: Weighting, *, m: int, hits: Hits) -> None:
        for name, value in (
            ("sampler", checked_sampler(sampler)),
            ("weighting", checked_weighting(weighting)),
            ("m", checked_whole(m, "m, the number of negatives,", 1, MOST_NEGATIVES)),
            ("hits", checked_choice(hits, "hits", HITS)),
        ):
            object.__setattr__(self, name, value)

    def check_symbols(self) -> None:
        """*Raises* ValueError for a sampler without `law` or a weighting without `weight`: nothing to derive from."""
        for what, name in _IN_SYMBOLS.items():
            if not hasattr(getattr(self, what), name):
                raise ValueError(
                    f"a derivation needs the {what} in symbols too: give {type(getattr(self, what)).__name__:.60} "
                    f"a method {name}, as those of implicitloss.{what}s have"
                )
        law = self.sampler.law
        for what, part in (("law", self.sampler), ("weight", self.weighting)):
            try:
                found = law(s.yp) if what == "law" else self.weighting.weight(law, law, s.yp)
            except (TypeError, AttributeError) as error:
                raise ValueError(
                    f"{what} of {shown(part)} must work on SymPy's symbols (sympy.sqrt, not numpy's): {shown(error)}"
                ) from None
            if not isinstance(found, sp.Expr):
                raise ValueError(f"{what} of {shown(part)} must return a SymPy expression, got {shown(found)}")

    def log_law(self, problem: Problem) -> Floats:
        """log q of the sampler, unconditional, (L,), summing to 1.  *Raises* ValueError for what is no law."""
        law = f"the law of {shown(self.sampler)}"
        log_q = _checked_logs(self.sampler.log_law(checked_problem(problem)), problem.prior.n_labels, law)
        log_sum = logsumexp(log_q)
        if abs(log_sum) > MASS_TOLERANCE:
            raise ValueError(f"{law} must sum to 1, got {np.exp(min(log_sum, 700.0)):.12g}")
        # Large logarithms round, and their exponentials no longer sum to 1; what is right keeps its bits.
        return log_q - log_sum if abs(log_sum) > 4 * EPS else log_q

    def draws(self, problem: Problem) -> Draws:
        """The laws of a draw at `problem`.  *Raises* ValueError where hits="exclude" leaves nothing to draw."""
        y = checked_problem(problem).positive
        unconditional = self.log_law(problem)
        log_q = unconditional
        if self.hits == "exclude":
            log_q = np.array(unconditional)
            log_q[y] = -np.inf
            if problem.prior.n_labels == 1:
                raise ValueError("hits='exclude' needs at least two labels, got one: the positive")
            rest = logsumexp(log_q)
            if rest == -np.inf:
                raise ValueError(f"hits='exclude' leaves nothing to draw: the sampler gives label {y} q = 1")
            log_q -= rest
        # Weightings share these; one that writes into them would spoil the others.
        log_q, unconditional = log_q.view(), unconditional.view()
        log_q.setflags(write=False)
        unconditional.setflags(write=False)
        return Draws(log_q, unconditional, self.m, problem.prior, y)

    def plan(self, problem: Problem, draws: Draws | None = None, loss: Loss | None = None) -> Plan:
        """log q and log w at `problem`; by the `draws` of a scheme with this sampler and these hits, if there are some.

        Under a `loss` a sampler may leave out the labels that pay nothing, if it is one that does (`MinimumVariance`).
        *Raises* ValueError as `draws` does, and for weights that are not a logarithm a label.
        """
        draws = self.draws(problem) if draws is None else replace(draws, m=self.m)
        if loss is not None and getattr(self.sampler, "leaves_out_what_pays_nothing", False):
            draws = replace(draws, free=np.isneginf(loss.log_payment(problem.scores, problem.positive)))
        log_q, y = draws.log_q, problem.positive
        weights = f"the weights of {shown(self.weighting)}"
        log_w = self.weighting.log_weight(draws)
        if not isinstance(log_w, np.ndarray) or log_w.dtype.kind not in "iuf" or log_w.shape != log_q.shape:
            _checked_logs(log_w, problem.prior.n_labels, weights)
        # What is never drawn weighs nothing, whatever a rule that divides by q makes of it.
        log_w = np.array(log_w, dtype=np.float64)
        log_w[log_q == -np.inf] = -np.inf
        if self.hits == "mask":
            log_w[y] = -np.inf
        log_w = _checked_logs(log_w, problem.prior.n_labels, weights)
        if self.hits != "exclude":
            return Plan(log_q, log_w)
        # Of a label that can be drawn: what conditioning added to its logarithm.
        at = int(np.argmax(log_q))
        return Plan(log_q, log_w, float(draws.log_q_unconditional[at] - log_q[at]))

    def __str__(self) -> str:
        return f"{self.sampler}, {self.weighting}, m={self.m}, hits={self.hits}"


def checked_scheme(scheme: Scheme, what: str = "the scheme") -> Scheme:
    """`scheme`; *raises* ValueError for a sampler, a list, or anything else that is none."""
    return checked_instance(scheme, Scheme, what, "Scheme(samplers.Uniform(), weightings.Constant(), m=5, hits='mask')")
