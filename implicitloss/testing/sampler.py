"""The check of a sampler: its law, its symbols and its procedure."""

from __future__ import annotations

import numpy as np

from implicitloss import symbols as s
from implicitloss.arguments import defines, shown
from implicitloss.claims.case import Case
from implicitloss.claims.statements.conventions import number
from implicitloss.labels import Floats
from implicitloss.losses import SoftmaxCrossEntropy
from implicitloss.numerics.bounds import cdf_half_width, deviation_half_width, deviation_mean
from implicitloss.numerics.seeds import Seed, checked_seed
from implicitloss.problem import Problem
from implicitloss.samplers import Sampler
from implicitloss.samplers.sampler import checked_draws, checked_sampler, complete_sampler
from implicitloss.scheme import Scheme
from implicitloss.testing.contract import (
    AGREE,
    MOST_SYMBOLIC_LABELS,
    as_assertion,
    check_equal,
    check_value,
    must,
    problems,
)
from implicitloss.weightings import Constant

__all__ = ["check_sampler"]

# The chance that the check refuses a right sampler, and the draws that are compared with its law.
ERROR_RATE = 1e-9
DRAWS = 400_000
PAIRS = 4_000


def check_sampler(sampler: Sampler, problem: Problem | None = None, *, rng: Seed = 0) -> None:
    """Check that a sampler's law, its symbols and its procedure agree, and that it is a value.

    The law sums to 1; it moves with the scores and with the positive only if the sampler says so; `law` in symbols is
    `log_law` in numbers; the procedure draws labels i.i.d. by the law, never one with q = 0, and takes its random
    numbers from the generator alone; equal samplers are equal and hash alike.

    Parameters
    ----------
    sampler
        An instance, of the library or of a class of one's own.  Without `law` no symbols are compared.
    problem
        Where the sampler is tried, with its own positive and each of the first and the last label.  Default: four
        labels.  Symbols are compared for at most 64 labels, and where labels stand for ranks (as in the log-uniform
        law) only if they are sorted by frequency.
    rng
        A seed or a generator for the draws.

    Raises
    ------
    AssertionError
        With one sentence.  A right sampler is refused with probability at most 1e-9.  A procedure by which the first k
        labels together, for some k, are drawn 1.2 % of the time more or less often than the law says is refused with
        probability at least 1 - 1e-9, and so is one that repeats a label within two draws 12 % more or less often.

    Examples
    --------
    >>> import implicitloss as il
    >>> il.testing.check_sampler(il.samplers.Power(0.5))
    >>> class Wrong(il.samplers.Power):
    ...     def procedure(self, problem):  # draws by another power
    ...         return il.samplers.Power(0.6).procedure(problem)
    >>> try:
    ...     il.testing.check_sampler(Wrong(0.5))
    ... except AssertionError as error:
    ...     print(error)  # doctest: +ELLIPSIS
    the procedure of Wrong(alpha=0.5) must draw by its law: labels 0 to 0 make 0.3741 of it, and 0.4011 ...
    """
    with as_assertion():
        checked_sampler(sampler)
        places = problems(problem)
        generator = np.random.default_rng(checked_seed(rng))
        laws = [_checked_law(sampler, at) for at in places]
        _check_needs(sampler, places, laws)
        for at, log_q in zip(places, laws, strict=True):
            if defines(sampler, "law", Sampler):
                _check_law_in_symbols(sampler, at, log_q)
            _check_procedure(sampler, at, np.exp(log_q), generator, ERROR_RATE / len(places))
        check_value(sampler, "sampler")  # last, for it is the least of the faults


def _checked_law(sampler: Sampler, at: Problem) -> Floats:
    """The sampler's log q, (L,); *raises* ValueError where it is no law."""
    return Scheme(sampler, Constant(), m=1, hits="keep").log_law(at)


def _check_needs(sampler: Sampler, places: list[Problem], laws: list[Floats]) -> None:
    again = all(np.array_equal(_checked_law(sampler, at), log_q) for at, log_q in zip(places, laws, strict=True))
    must(again, f"the law of {shown(sampler)} must be the same each time it is asked for")
    if not sampler.needs_scores:
        rising = np.linspace(-1.0, 1.0, places[0].prior.n_labels)
        for at, log_q in zip(places, laws, strict=True):
            moved = _checked_law(sampler, Problem(at.scores + rising, at.prior, at.positive))
            must(
                np.array_equal(moved, log_q),
                f"the law of {shown(sampler)} moves with the scores: needs_scores must be True, got False",
            )
        if not complete_sampler(sampler).needs_positive:
            must(
                all(np.array_equal(log_q, laws[0]) for log_q in laws),
                f"the law of {shown(sampler)} moves with the positive: needs_positive must be True, got False",
            )


def _check_law_in_symbols(sampler: Sampler, at: Problem, log_q: Floats) -> None:
    n_labels, y = at.prior.n_labels, at.positive
    sorted_labels = np.array_equal(at.prior.by_frequency, np.arange(n_labels))
    scheme = Scheme(sampler, Constant(), m=1, hits="keep")
    scheme.check_symbols()
    if n_labels > MOST_SYMBOLIC_LABELS or (s.ranks(sampler.law(s.yp)) and not sorted_labels):
        return
    case = Case(scheme, SoftmaxCrossEntropy(), at)
    q = np.array([number(sampler.law(s.y if j == y else s.yp), case, j) for j in range(n_labels)])
    check_equal(
        np.exp(log_q),
        q,
        AGREE * q,
        lambda j: f"log_law and law of {shown(sampler)} must give label {j} the same q at positive {y}",
        range(n_labels),
    )


def _check_procedure(sampler: Sampler, at: Problem, q: Floats, rng: np.random.Generator, delta: float) -> None:
    name, draw = f"the procedure of {shown(sampler)}", checked_draws(sampler, at)
    same = [checked_draws(sampler, at)(np.random.default_rng(7), 200) for _ in range(2)]
    must(
        np.array_equal(same[0], same[1]),
        f"{name} must take its random numbers from the generator: one seed drew other labels",
    )
    must(draw(rng, 0).size == 0, f"{name} must draw no label where none is asked for")
    labels = draw(rng, DRAWS)
    counts = np.bincount(labels, minlength=q.size)
    never = np.flatnonzero((counts > 0) & (q == 0))
    must(never.size == 0, f"{name} drew label {never[0] if never.size else 0}, to which its law gives q = 0")
    # Four comparisons share the error rate.
    part = delta / 4
    share = counts / DRAWS
    above = np.cumsum(share) - np.cumsum(q)
    k = int(np.argmax(np.abs(above)))
    must(
        abs(above[k]) <= cdf_half_width(DRAWS, part),
        f"{name} must draw by its law: labels 0 to {k} make {np.cumsum(q)[k]:.4g} of it, and "
        f"{np.cumsum(share)[k]:.4g} of {DRAWS:,} draws at positive {at.positive}",
    )
    apart = float(np.abs(share - q).sum())
    must(
        abs(apart - deviation_mean(DRAWS, q)) <= deviation_half_width(DRAWS, part),
        f"{name} must draw by its law: the shares of all labels in {DRAWS:,} draws are {apart:.4g} off it in sum at "
        f"positive {at.positive}, and must be {deviation_mean(DRAWS, q):.4g} off",
    )
    alike = float(np.square(q).sum())
    pairs = np.array([draw(rng, 2) for _ in range(PAIRS)])
    for first, second, what in (
        (labels[0::2], labels[1::2], f"{DRAWS:,} draws"),
        (pairs[:, 0], pairs[:, 1], f"{PAIRS:,} calls for two draws"),
    ):
        # Hoeffding's inequality for a share, which is that of Massart for two values.
        repeated = float(np.mean(first == second))
        must(
            abs(repeated - alike) <= cdf_half_width(first.size, part),
            f"{name} must draw each label anew: of {what}, neighbours were equal {repeated:.4g} of the time, and by "
            f"the law it is {alike:.4g}",
        )
