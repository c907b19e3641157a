"""A scheme (q, w): which negatives are drawn, how they are weighed, how many, and what a hit does.

One file: a scheme is what a user says, its plan is the same in numbers at a problem.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from implicitloss.arguments import MASS_TOLERANCE, checked_choice, checked_instance, checked_whole, defines, shown
from implicitloss.draws import DRAWS, DrawsName, design
from implicitloss.hard import HardNegatives
from implicitloss.labels import LAW_ROUNDING, NO_LABELS, Floats, Labels
from implicitloss.later import later
from implicitloss.losses import Loss, SoftmaxCrossEntropy
from implicitloss.numerics.logsum import log_mass, logsumexp
from implicitloss.problem import Problem, checked_problem
from implicitloss.samplers.explicit import Explicit
from implicitloss.samplers.sampler import Sampler, checked_sampler, complete_sampler
from implicitloss.weightings import Consistent, Constant, Draws, ForMargin, Given, Unit, Weighting, checked_weighting

if TYPE_CHECKING:
    import sympy as sp

    from implicitloss import names
    from implicitloss import symbols as s
else:
    sp = later("sympy")
    s = later("implicitloss.symbols")
    names = later("implicitloss.names")

__all__ = [
    "HITS",
    "MOST_NEGATIVES",
    "Hits",
    "Plan",
    "Scheme",
    "check_finite",
    "checked_logs",
    "checked_scheme",
    "only_iid",
    "without_hard",
]

Hits = Literal["exclude", "mask", "keep"]
MOST_NEGATIVES = 1_000_000_000_000
HITS: tuple[Hits, ...] = get_args(Hits)


# The methods that a derivation needs, beside those that numbers need.
_IN_SYMBOLS = {"sampler": ("law", Sampler), "weighting": ("weight", Weighting)}


@dataclass(frozen=True)
class Plan:
    """log q and log w of one draw at a problem, (L,) each; the positive's entries follow the hits mode.

    `log_rest` is the logarithm of the law's mass on the labels that are not drawn again, which was subtracted from
    every log q: log(1 - q_y) where hits are excluded, and 0 where nothing is drawn again.  `hard` (k',) are the hard
    negatives T, and `log_w_hard` is their log w_T.
    """

    log_q: Floats
    log_w: Floats
    log_rest: float = 0.0
    hard: Labels = field(default_factory=lambda: NO_LABELS)
    log_w_hard: float = 0.0
    # log P(y' ∈ N), (L,), with the relative error of P, where draws are not i.i.d.
    log_in: Floats | None = None
    in_error: float = 0.0

    def log_counts(self, m: int) -> Floats:
        """How often each label is in N in the mean, (L,), in logarithms: m q, or P(y' ∈ N)."""
        return np.log(m) + self.log_q if self.log_in is None else self.log_in

    def magnitudes(self, payment: Floats) -> Floats:
        """|log q| + |log w| + |payment|, (L,), or 0 where one is infinite: a term's rounding is in proportion to it."""
        found = np.abs(self.log_q) + np.abs(self.log_w) + np.abs(payment)
        return np.where(np.isfinite(found), found + 2 * abs(self.log_rest), 0.0)

    def log_hard_terms(self, payment: Floats) -> Floats:
        """log(w_T payment), (k',), of the hard negatives."""
        return self.log_w_hard + payment[self.hard]


def checked_logs(logs: Floats, n_labels: int, what: str, part: object) -> Floats:
    """`logs`, which are `what` of a sampler or weighting; *raises* ValueError unless they are L numbers."""
    if not isinstance(logs, np.ndarray) or logs.dtype.kind not in "iuf" or logs.shape != (n_labels,):
        raise ValueError(f"{what} of {shown(part)} must be logarithms for all {n_labels} labels, got {shown(logs)}")
    return np.ascontiguousarray(logs, dtype=np.float64)


def check_finite(logs: Floats, what: str, part: object) -> None:
    """*Raises* ValueError where `logs`, which are `what` of a sampler or weighting, are NaN or infinite upwards."""
    if not (logs < np.inf).all():
        bad = int(np.flatnonzero(np.isnan(logs) | np.isposinf(logs))[0])
        raise ValueError(
            f"{what} of {shown(part)} must be finite, or -inf for 0, in logarithms, but label {bad} has {logs[bad]}"
        )


def _log_rest(log_q: Floats, again: Labels) -> float:
    """Log of the law's mass on the labels that are not drawn `again`."""
    gone = float(np.exp(log_q[again]).sum())
    if gone < 0.5:
        return math.log1p(-gone)
    # Otherwise 1 - q cancels.
    left = log_q.copy()
    left[again] = -np.inf
    return logsumexp(left)


def _returns_new_array(weighting: Weighting) -> bool:
    """Whether `log_weight` is one of the library's own, whose array nobody else has, so that it may be written to."""
    own = (Constant.log_weight, Unit.log_weight, Consistent.log_weight, ForMargin.log_weight)
    return getattr(type(weighting), "log_weight", None) in own


def _is_array(given: object) -> bool:
    """Whether numbers were given: a list, an array, a column.

    *Raises* ValueError for a column whose index has labels of its own, which would be ignored.
    """
    is_array = isinstance(given, (list, tuple)) or (hasattr(given, "__array__") and not isinstance(given, type))
    index = getattr(given, "index", None)
    if is_array and index is not None and not callable(index) and list(index) != list(range(len(index))):
        raise ValueError(
            f"numbers of labels are taken in the order of the prior's labels, got {shown(given)} with an index of its "
            "own: give series.reindex(prior.names).to_numpy()"
        )
    return is_array


def _weighting_of(given: Any) -> Any:
    """The weighting of a name, or of numbers; anything else as it is."""
    return names.weighting(given) if isinstance(given, str) else Given(given) if _is_array(given) else given


def _sampler_of(given: Any, weighting: Weighting) -> Any:
    """The sampler of a name, or of a law in numbers; anything else as it is."""
    if isinstance(given, str):
        return names.sampler(given, SoftmaxCrossEntropy(), weighting)
    if isinstance(given, Mapping):
        raise ValueError(
            "a law of your own must be probabilities in the order of the labels, got a dict: give counts to "
            "LabelPrior.from_counts, and 'within-batch' draws labels in proportion to them"
        )
    return Explicit(given) if _is_array(given) else given


@dataclass(frozen=True)
class Scheme:
    """A negative-sampling scheme (q, w): how m negatives are drawn and weighed, and what a hit does.

    The negatives N are m labels drawn i.i.d. from q.  Each enters the loss with its weight w_yy'; for softmax
    ℓ(N) = log(1 + Σ_{y' ∈ N} w_yy' e^{f_y' - f_y}).  A draw of the positive y itself is a *hit*, and so is one of
    another positive of the same x, where a problem has `other_positives`.

    Parameters
    ----------
    sampler : Sampler, str or array_like, (L,)
        The law q of a draw; or its name on the command line, "uniform", "power:0.75", ..., which `implicitloss names`
        lists; or the probabilities themselves.
    weighting : Weighting, str or array_like, (L,) or (L, L)
        The weights w_yy'; or their name, "importance", "margin:logit-adjusted:1", ...; or the weight of each negative
        y', or of each y' (column) beside each positive y (row).
    m : int
        The number of negatives, from 1 to 10¹².
    hits : {"exclude", "mask", "keep"}
        - "exclude": a hit is drawn again.  Negatives then have the law q_y'/(1 - q_y), y' ≠ y, or q_y'/(1 - q(P)) off
          the positives P.  The weights of Proposition 4, importance and tail weights too, divide by this law; relative
          weights are q_y/q_y' still.
        - "mask": a hit has weight 0.
        - "keep": a hit counts with its own weight, w_yy or w_yy'.
    hard : HardNegatives, optional
        Negatives that are known before the draws.  They join those that are drawn.
    draws : {"iid", "distinct", "set", "bernoulli"}
        How the negatives come from q, or from q(· | y' ≠ y) where hits are excluded.

        - "iid": m independent draws; a label that comes twice counts twice.
        - "distinct": draws go on until m labels are different, as TensorFlow's samplers do by default.
        - "set": the different labels among m independent draws, as when the labels of a batch of m + 1 examples are
          taken as a set.
        - "bernoulli": a coin for each label, which is in with probability 1 - (1 - q)^m.

        In all but the first, weights that divide by m q_y' for independent draws divide by P(y' ∈ N) instead, relative
        weights are P(y ∈ N)/P(y' ∈ N) under the unconditional q, and a kept hit counts once.

    Raises
    ------
    ValueError
        If the sampler or the weighting is none, and not the name of one; if m is out of range; if `hits` or `draws` is
        not one of the words above; and if `hard` is no HardNegatives.

    References
    ----------
    Rawat et al. 2021, section 2.2 (Eqs. 7 and 8, Table 1), whose lemmas assume q_y = 0, as "exclude" has it.

    Examples
    --------
    Where hits are kept, importance weights halve every margin.

    >>> import implicitloss as il
    >>> for hits in ("exclude", "mask", "keep"):
    ...     scheme = il.Scheme(il.samplers.Uniform(), il.weightings.Importance(), m=8, hits=hits)
    ...     print(hits, il.derive(scheme, il.losses.SoftmaxCrossEntropy()))
    exclude p_yy' = 1 — softmax cross-entropy
    mask p_yy' = 1 — softmax cross-entropy
    keep p_yy' = 1/2

    By names:

    >>> il.Scheme("within-batch", "importance", m=64, hits="mask")
    Scheme(sampler=WithinBatch(), weighting=Importance(), m=64, hits='mask', hard=None, draws='iid')
    """

    sampler: Sampler
    weighting: Weighting
    m: int
    hits: Hits
    hard: HardNegatives | None = None
    draws: DrawsName = "iid"

    def __init__(
        self,
        sampler: Sampler | ArrayLike,
        weighting: Weighting | ArrayLike,
        *,
        m: int,
        hits: Hits,
        hard: HardNegatives | None = None,
        draws: DrawsName = "iid",
    ) -> None:
        weighting = checked_weighting(_weighting_of(weighting))
        sampler = checked_sampler(_sampler_of(sampler, weighting))
        if hard is not None:
            checked_instance(hard, HardNegatives, "hard", "HardNegatives(k=5), or None")
            hard = hard.of_sampler(sampler)
        for name, value in (
            ("sampler", sampler),
            ("weighting", weighting),
            ("m", checked_whole(m, "m, the number of negatives,", 1, MOST_NEGATIVES)),
            ("hits", checked_choice(hits, "hits", HITS)),
            ("hard", hard),
            ("draws", checked_choice(draws, "draws", DRAWS)),
        ):
            object.__setattr__(self, name, value)

    def check_symbols(self) -> None:
        """Check that sampler and weighting have symbols, from which margins can be derived.

        Raises
        ------
        ValueError
            For a sampler without `law`, a weighting without `weight`, and one that does not return SymPy expressions.
        """
        if isinstance(self.weighting, Given):
            raise ValueError(
                "weights that are given as numbers have no symbols to derive from: implicit_margins has their margins "
                "in numbers"
            )
        for what, (name, protocol) in _IN_SYMBOLS.items():
            if not defines(getattr(self, what), name, protocol):
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
        """The sampler's unconditional log q, (L,), whatever the hits mode.

        Parameters
        ----------
        problem : Problem
            Scores, label prior and positive label.

        Returns
        -------
        ndarray, (L,)
            Logarithms of probabilities that sum to 1; -inf for a label that is never drawn.

        Raises
        ------
        ValueError
            If the sampler returns no such logarithms.
        """
        found = self.sampler.log_law(checked_problem(problem))
        if found is problem.prior.log:
            return problem.prior.log_law  # checked when the prior was made
        log_q = checked_logs(found, problem.prior.n_labels, "the law", self.sampler)
        log_sum = log_mass(log_q)
        if not abs(log_sum) <= MASS_TOLERANCE:
            check_finite(log_q, "the law", self.sampler)
            total = np.exp(min(log_sum, 700.0))
            raise ValueError(f"the law of {shown(self.sampler)} must sum to 1, got {total:.12g}")
        # Large logarithms round, so that their exponentials no longer sum to 1; a sum that is right is left alone.
        return log_q - log_sum if abs(log_sum) > LAW_ROUNDING else log_q

    def laws(self, problem: Problem) -> Draws:
        """What the weighting may look at: the laws of a draw, m, the prior, the positive and the hard negatives.

        Parameters
        ----------
        problem : Problem
            Scores, label prior and positive label.

        Returns
        -------
        weightings.Draws
            The law under the hits mode and the overlap mode, and the unconditional law.

        Raises
        ------
        ValueError
            Where labels that are drawn again leave nothing to draw, and as `log_law` does.
        """
        y = checked_problem(problem).positive
        hard = NO_LABELS if self.hard is None else self.hard.labels(problem)
        unconditional = self.log_law(problem)
        log_q = unconditional
        again = self.drawn_again(problem, hard)
        if again.size:
            if problem.prior.n_labels == 1:
                raise ValueError("hits='exclude' needs at least two labels, got one: the positive")
            rest = _log_rest(unconditional, again)
            if rest == -np.inf and hard.size and hard[0] in again:
                raise ValueError(
                    "overlap='exclude' leaves nothing to draw: all labels that the sampler can draw are drawn again, "
                    f"{hard.size} hard negatives among them"
                )
            if rest == -np.inf and again.size > 1:
                raise ValueError(
                    "hits='exclude' leaves nothing to draw: all labels that the sampler can draw are among the "
                    f"{again.size} positives"
                )
            if rest == -np.inf:
                raise ValueError(f"hits='exclude' leaves nothing to draw: the sampler gives label {again[0]} q = 1")
            log_q = unconditional - rest
            log_q[again] = -np.inf
        # Several weightings share these arrays, and none may write into them.
        log_q, unconditional = log_q.view(), unconditional.view()
        log_q.setflags(write=False)
        unconditional.setflags(write=False)
        design(self.draws).check(int(np.count_nonzero(log_q > -np.inf)), self.m)
        return Draws(log_q, unconditional, self.m, problem.prior, y, hard=hard, design=self.draws)

    def drawn_again(self, problem: Problem, hard: Labels) -> Labels:
        """The labels whose draws are drawn again: the positives of x where hits are excluded, T where overlap is.

        Parameters
        ----------
        problem : Problem
            The positive y, and the other positives of x.
        hard : ndarray of int, (k',)
            T.

        Returns
        -------
        ndarray of int
            Distinct labels.
        """
        if self.hard is None or self.hard.overlap != "exclude":
            hard = NO_LABELS
        return np.append(hard, problem.positives) if self.hits == "exclude" else hard

    def plan(self, problem: Problem, draws: Draws | None = None, loss: Loss | None = None) -> Plan:
        """log q and log w of one draw.

        Parameters
        ----------
        problem : Problem
            Scores, label prior and positive label.
        draws : weightings.Draws, optional
            Those of a scheme with the same sampler and hits, computed already.
        loss : Loss, optional
            Labels that pay nothing under this loss need no weight, if the sampler leaves them out (`MinimumVariance`).

        Returns
        -------
        Plan
            `log_q` and `log_w`, (L,) each; a masked draw has `log_w` -inf.  And T with its weight.

        Raises
        ------
        ValueError
            As `laws` does, and where the weights are undefined or are not a logarithm for each label.
        """
        if draws is None:
            draws = self.laws(problem)
        elif draws.m != self.m:
            draws = replace(draws, m=self.m)
        counted_apart = self.hard is not None and self.hard.overlap != "keep"
        if loss is not None and complete_sampler(self.sampler).leaves_out_what_pays_nothing:
            draws = replace(draws, free=np.isneginf(loss.log_payment(problem.scores, problem.positive)))
        others = problem.other_positives if self.hits != "keep" else NO_LABELS
        if counted_apart or others.size:
            free = np.zeros(draws.log_q.size, dtype=bool) if draws.free is None else np.array(draws.free)
            free[others] = True
            if counted_apart:
                free[draws.hard] = True
            draws = replace(draws, free=free)
        log_q = draws.log_q
        log_w = self.weighting.log_weight(draws)
        log_w = checked_logs(log_w, problem.prior.n_labels, "the weights", self.weighting)
        if not _returns_new_array(self.weighting):
            log_w = log_w.copy()
        # A label that is never drawn has weight 0, even if the weighting divided by its q = 0.
        log_w[draws.never] = -np.inf
        if self.hits == "mask":
            log_w[problem.positive] = log_w[others] = -np.inf
        if counted_apart:
            log_w[draws.hard] = -np.inf
        check_finite(log_w, "the weights", self.weighting)
        log_rest = 0.0
        if self.hits == "exclude" or (self.hard is not None and self.hard.overlap == "exclude"):
            # From the likeliest label: conditioning subtracted it from every log q.
            at = int(np.argmax(log_q))
            log_rest = float(draws.log_q_unconditional[at] - log_q[at])
        log_w_hard = 0.0 if self.hard is None else float(np.log(self.hard.weight))
        if self.draws == "iid":
            return Plan(log_q, log_w, log_rest, draws.hard, log_w_hard)
        return Plan(log_q, log_w, log_rest, draws.hard, log_w_hard, draws.log_in, draws.in_error)

    def __str__(self) -> str:
        drawn = f"{self.sampler}, {self.weighting}, m={self.m}, hits={self.hits}"
        if self.draws != "iid":
            drawn += f", draws={self.draws}"
        return drawn if self.hard is None else f"{drawn}, hard negatives {self.hard}"


def checked_scheme(scheme: Scheme, what: str = "the scheme") -> Scheme:
    """`scheme`; *raises* ValueError for a sampler, a list, or anything else that is no Scheme."""
    return checked_instance(scheme, Scheme, what, "Scheme(samplers.Uniform(), weightings.Constant(), m=5, hits='mask')")


def without_hard(scheme: Scheme, what: str) -> Scheme:
    """`scheme`; *raises* ValueError if it has hard negatives, which `what` does not take."""
    if checked_scheme(scheme).hard is not None:
        raise ValueError(f"{what} must be of a scheme without hard negatives, got hard negatives {scheme.hard}")
    return scheme


def only_iid(scheme: Scheme, what: str) -> Scheme:
    """`scheme`; *raises* ValueError if its draws are not independent, of which `what` does not hold."""
    if checked_scheme(scheme).draws != "iid":
        raise ValueError(f"{what} must be of a scheme with independent draws, draws='iid', got draws={scheme.draws!r}")
    return scheme
