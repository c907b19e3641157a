"""A scheme (q, w): which negatives are drawn, how they are weighed, how many, and what a hit does."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import sympy as sp

from implicitloss import symbols as s
from implicitloss.labels import MASS_TOLERANCE, Floats
from implicitloss.logsum import logsumexp
from implicitloss.losses import Loss
from implicitloss.problem import Problem
from implicitloss.samplers.sampler import Sampler
from implicitloss.weightings import Draws, Weighting

Hits = Literal["exclude", "mask", "keep"]
MOST_NEGATIVES = 1_000_000_000_000
HITS: tuple[Hits, ...] = get_args(Hits)


# What numbers need of the parts of a scheme; symbols need `law` and `weight` too.
_HAS = {"sampler": ("needs_scores", "log_law", "procedure"), "weighting": ("is_eta_over_m", "log_weight")}
_IN_SYMBOLS = {"sampler": "law", "weighting": "weight"}


@dataclass(frozen=True)
class Plan:
    """What one draw does at a problem: log q (L,) and log w (L,), the positive's entries as its hits mode says."""

    log_q: Floats
    log_w: Floats


def _check_logs(logs: Floats, n_labels: int, what: str) -> None:
    if np.shape(logs) != (n_labels,):
        raise ValueError(f"{what} must be logarithms for all {n_labels} labels, got shape {np.shape(logs)}")
    if not np.all(logs < np.inf):
        bad = np.flatnonzero(np.isnan(logs) | np.isposinf(logs))
        raise ValueError(f"{what} must be finite, or -inf for 0, in logarithms, but label {bad[0]} has {logs[bad[0]]}")


@dataclass(frozen=True)
class Scheme:
    """Draw m negatives i.i.d. from `sampler`, weigh them by `weighting`; `hits` says what drawing y itself does.

    - "exclude": draw from q_y'/(1 - q_y), y' != y; weights that divide by q divide by this conditional q;
    - "mask": draw from q and give a hit weight 0;
    - "keep": a hit counts with its own weight w_yy.

    *Raises* ValueError for m < 1 or an unknown mode.
    """

    sampler: Sampler
    weighting: Weighting
    m: int
    hits: Hits

    def __init__(self, sampler: Sampler, weighting: Weighting, *, m: int, hits: Hits) -> None:
        for what, part in (("sampler", sampler), ("weighting", weighting)):
            if isinstance(part, type):
                raise ValueError(
                    f"the {what} must be an instance, got the class {part.__name__}: write {part.__name__}()"
                )
            lacks = [name for name in _HAS[what] if not hasattr(part, name)]
            if lacks:
                raise ValueError(
                    f"the {what} must have {', '.join(_HAS[what])}, as those of implicitloss.{what}s do, "
                    f"but {part!r:.60} lacks {', '.join(lacks)}"
                )
            if type(part).__hash__ is None:
                raise ValueError(f"the {what} must be hashable: give {type(part).__name__} @dataclass(frozen=True)")
        if isinstance(m, bool) or not isinstance(m, (int, np.integer)) or m < 1:
            raise ValueError(f"m, the number of negatives, must be a whole number >= 1, got {m!r}")
        if m > MOST_NEGATIVES:
            raise ValueError(f"m, the number of negatives, must be at most {MOST_NEGATIVES:,}, got {m}")
        if hits not in HITS:
            raise ValueError(f"hits must be 'exclude', 'mask' or 'keep', got {hits!r}")
        for name, value in (("sampler", sampler), ("weighting", weighting), ("m", int(m)), ("hits", hits)):
            object.__setattr__(self, name, value)

    def check_symbols(self) -> None:
        """*Raises* ValueError for a sampler without `law` or a weighting without `weight`: nothing to derive from."""
        for what, name in _IN_SYMBOLS.items():
            if not hasattr(getattr(self, what), name):
                raise ValueError(
                    f"a derivation needs the {what} in symbols too: give {type(getattr(self, what)).__name__} a method "
                    f"{name}, as those of implicitloss.{what}s have"
                )
        law = self.sampler.law
        for what, part in (("law", self.sampler), ("weight", self.weighting)):
            try:
                found = law(s.yp) if what == "law" else self.weighting.weight(law, law, s.yp)
            except (TypeError, AttributeError) as error:
                raise ValueError(
                    f"{what} of {part} must work on SymPy's symbols (sympy.sqrt, not numpy's): {error}"
                ) from None
            if not isinstance(found, sp.Expr):
                raise ValueError(f"{what} of {part} must return a SymPy expression, got {found!r:.60}")

    def draws(self, problem: Problem) -> Draws:
        """The laws of a draw at `problem`.  *Raises* ValueError where hits="exclude" leaves nothing to draw."""
        y = problem.positive
        unconditional = self.sampler.log_law(problem)
        _check_logs(unconditional, problem.prior.n_labels, f"the law of {self.sampler}")
        if abs(logsumexp(unconditional)) > MASS_TOLERANCE:
            raise ValueError(f"the law of {self.sampler} must sum to 1, got {np.exp(logsumexp(unconditional)):.12g}")
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
        log_w = self.weighting.log_weight(draws)
        if np.shape(log_w) != log_q.shape:
            _check_logs(log_w, problem.prior.n_labels, f"the weights of {self.weighting}")
        # What is never drawn weighs nothing, whatever a rule that divides by q makes of it.
        log_w = np.array(log_w, dtype=np.float64)
        log_w[log_q == -np.inf] = -np.inf
        if self.hits == "mask":
            log_w[y] = -np.inf
        _check_logs(log_w, problem.prior.n_labels, f"the weights of {self.weighting}")
        return Plan(log_q, log_w)

    def __str__(self) -> str:
        return f"{self.sampler}, {self.weighting}, m={self.m}, hits={self.hits}"
