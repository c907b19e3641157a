"""Checks for the tests of a sampler, a weighting or a loss of one's own.

Each check raises AssertionError, with one sentence that says what is wrong, and returns nothing where all is well.  It
holds the numbers, the symbols and the procedure of the part against each other; what it should compute it cannot know.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import sympy as sp

from implicitloss import symbols as s
from implicitloss.arguments import checked_flag, shown
from implicitloss.claims.case import Case
from implicitloss.claims.statements.conventions import exact_number, exactly, number
from implicitloss.labels import Floats, LabelPrior
from implicitloss.losses import Loss, SoftmaxCrossEntropy, checked_loss
from implicitloss.numerics.bounds import cdf_half_width, deviation_half_width, deviation_mean
from implicitloss.numerics.seeds import Seed, checked_seed
from implicitloss.problem import Problem, checked_problem
from implicitloss.samplers import Explicit, Sampler
from implicitloss.samplers.sampler import checked_draws, checked_sampler, complete_sampler
from implicitloss.scheme import HITS, Scheme
from implicitloss.weightings import Constant, Weighting, checked_weighting, complete_weighting

__all__ = ["check_loss", "check_sampler", "check_weighting"]

# How far two computations of one number may differ, relative to it.
AGREE = 1e-10
# The chance that a check refuses a right sampler, and the draws that are compared with its law.
ERROR_RATE = 1e-9
DRAWS = 400_000
PAIRS = 4_000
# Labels of a problem for which symbols, whose sums are written out for each, are compared.
MOST_LABELS = 64
# A slope is compared with a difference of payments over this step, to this much of the payments beside it.
STEP = 2.0**-17
ROUGHLY = 1e-6
# Payments whose logarithm is larger are too large for a float.
LARGEST_LOG = 700.0
# log(1 + e^f) at f = -742 begins at the 323rd.
MOST_DIGITS = 700


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
    """
    with _as_assertion():
        checked_sampler(sampler)
        _check_value(sampler, "sampler")
        places = _problems(problem)
        generator = np.random.default_rng(checked_seed(rng))
        laws = [_checked_law(sampler, at) for at in places]
        _check_needs(sampler, places, laws)
        for at, log_q in zip(places, laws, strict=True):
            if hasattr(sampler, "law"):
                _check_law_in_symbols(sampler, at, log_q)
            _check_procedure(sampler, at, np.exp(log_q), generator, ERROR_RATE / len(places))


def check_weighting(weighting: Weighting, problem: Problem | None = None) -> None:
    """Check that the weights in symbols are those in numbers, and what a weighting says of itself.

    For each mode of hits, several m and several positives, labels drawn with q ∝ 1, 2, ..., L: `weight` in symbols is
    `log_weight` in numbers; `log_factors` add up to it; `is_eta_over_m` and `m_power` are how it goes with m; equal
    weightings are equal and hash alike.

    Parameters
    ----------
    weighting
        An instance, of the library or of a class of one's own.  Without `weight` no symbols are compared.
    problem
        Where the weighting is tried, with its own positive and each of the first and the last label.  Default: four
        labels.  Symbols are compared for at most 64 labels.

    Raises
    ------
    AssertionError
        With one sentence.

    Examples
    --------
    >>> import implicitloss as il
    >>> il.testing.check_weighting(il.weightings.ForMargin(il.margins.LogitAdjusted(0.5)))
    """
    with _as_assertion():
        checked_weighting(weighting)
        _check_value(weighting, "weighting")
        for at in _problems(problem):
            ramp = np.arange(1.0, at.prior.n_labels + 1)
            sampler = Explicit(ramp / ramp.sum())
            for hits in HITS:
                if hits == "exclude" and at.prior.n_labels == 1:
                    continue
                schemes = [Scheme(sampler, weighting, m=m, hits=hits) for m in (1, 3, 8)]
                for scheme in schemes:
                    log_w = scheme.plan(at).log_w
                    _check_factors(scheme, at, log_w)
                    if hasattr(weighting, "weight"):
                        _check_weight_in_symbols(scheme, at, log_w)
                _check_powers(schemes, at)


def check_loss(loss: Loss, problem: Problem | None = None) -> None:
    """Check that payments, their slopes and logarithms, and the symbols of a loss agree, and that it is a value.

    `log_payment` and `positive_pays` are `payment` and `positive_term` in symbols; `payment_slope` and `positive_slope`
    are differences of payments; a payment looks at no other negative's score; with a log the loss is a softmax, whose
    payments are e^{f_y' - f_y} but for a factor and whose positive pays nothing, and without one a negative's payment
    does not look at f_y; `outer` in symbols is what `has_log` says; equal losses are equal and hash alike.

    Parameters
    ----------
    loss
        An instance, of the library or of a class of one's own.  Without `payment`, `positive_term` and `outer` no
        symbols are compared.
    problem
        Where the loss is tried, with its own positive and each of the first and the last label.  No score may lie at a
        kink of the loss, where a slope is no difference.  Default: four labels with scores about 0, and far from it.

    Raises
    ------
    AssertionError
        With one sentence.

    Examples
    --------
    >>> import implicitloss as il
    >>> il.testing.check_loss(il.losses.Decoupled(il.losses.squared_hinge))
    """
    with _as_assertion():
        checked_loss(loss)
        _check_value(loss, "loss")
        _must(isinstance(loss.name, str) and loss.name, f"the name of a loss must be text, got {shown(loss.name)}")
        checked_flag(loss.has_log, f"has_log of {shown(loss)}")
        places = _problems(problem)
        if problem is None:
            # Of e^-742 a float holds three digits, and beside 1 none.
            far = np.array([30.3, -4.4, 9.25, -742.5])
            places += [Problem(far, at.prior, at.positive) for at in places]
        for at in places:
            log_paid = _payments(loss, at.scores, at)
            _check_slopes(loss, at, log_paid)
            _check_what_payments_look_at(loss, at, log_paid)
            if all(hasattr(loss, name) for name in ("payment", "positive_term", "outer")):
                _check_loss_in_symbols(loss, at, log_paid)


# --- what all have in common ------------------------------------------------------------------------------------------


@contextmanager
def _as_assertion() -> Iterator[None]:
    """What the library refuses is an assertion that failed."""
    try:
        yield
    except ValueError as error:
        raise AssertionError(str(error)) from None


def _must(holds: object, sentence: str) -> None:
    if not holds:
        raise AssertionError(sentence)


def _check_value(part: Any, what: str) -> None:
    twin = copy.deepcopy(part)
    equal = bool(twin == part) and hash(twin) == hash(part)
    _must(
        equal,
        f"equal {what}s must be equal and have equal hashes, but a copy of {shown(part)} is another: "
        f"give {type(part).__name__:.60} @dataclass(frozen=True)",
    )


def _problems(problem: Problem | None) -> list[Problem]:
    """The problem for its own positive, the first label and the last; by default four labels, each positive in turn."""
    if problem is None:
        prior, scores = LabelPrior.from_counts([8, 4, 3, 1]), np.array([0.3, -0.4, 1.25, -1.75])
        return [Problem(scores, prior, y) for y in range(4)]
    at = checked_problem(problem)
    positives = dict.fromkeys((at.positive, 0, at.prior.n_labels - 1))
    return [Problem(at.scores, at.prior, y) for y in positives if at.prior.probabilities[y] > 0]


def _check_equal(
    found: Floats, expected: Floats, allowed: Floats | float, sentence: Callable[[int], str], labels: Iterable[int]
) -> None:
    """*Raises* AssertionError, with the `sentence` of the first label whose two numbers are further apart."""
    picked = np.array(list(labels), dtype=np.intp)
    with np.errstate(invalid="ignore"):
        apart = np.where(found == expected, 0.0, np.abs(found - expected))
    bad = picked[~(apart <= allowed)[picked]]
    if bad.size:
        j = int(bad[0])
        raise AssertionError(f"{sentence(j)}, got {found[j]:.10g} and {expected[j]:.10g}")


# --- samplers ---------------------------------------------------------------------------------------------------------


def _checked_law(sampler: Sampler, at: Problem) -> Floats:
    """The sampler's log q, (L,); *raises* ValueError where it is no law."""
    return Scheme(sampler, Constant(), m=1, hits="keep").log_law(at)


def _check_needs(sampler: Sampler, places: list[Problem], laws: list[Floats]) -> None:
    again = all(np.array_equal(_checked_law(sampler, at), log_q) for at, log_q in zip(places, laws, strict=True))
    _must(again, f"the law of {shown(sampler)} must be the same each time it is asked for")
    if not sampler.needs_scores:
        rising = np.linspace(-1.0, 1.0, places[0].prior.n_labels)
        for at, log_q in zip(places, laws, strict=True):
            moved = _checked_law(sampler, Problem(at.scores + rising, at.prior, at.positive))
            _must(
                np.array_equal(moved, log_q),
                f"the law of {shown(sampler)} moves with the scores: needs_scores must be True, got False",
            )
        if not complete_sampler(sampler).needs_positive:
            _must(
                all(np.array_equal(log_q, laws[0]) for log_q in laws),
                f"the law of {shown(sampler)} moves with the positive: needs_positive must be True, got False",
            )


def _check_law_in_symbols(sampler: Sampler, at: Problem, log_q: Floats) -> None:
    n_labels, y = at.prior.n_labels, at.positive
    sorted_labels = np.array_equal(at.prior.by_frequency, np.arange(n_labels))
    scheme = Scheme(sampler, Constant(), m=1, hits="keep")
    scheme.check_symbols()
    if n_labels > MOST_LABELS or (s.ranks(sampler.law(s.yp)) and not sorted_labels):
        return
    case = Case(scheme, SoftmaxCrossEntropy(), at)
    q = np.array([number(sampler.law(s.y if j == y else s.yp), case, j) for j in range(n_labels)])
    _check_equal(
        np.exp(log_q),
        q,
        AGREE * q,
        lambda j: f"log_law and law of {shown(sampler)} must give label {j} the same q at positive {y}",
        range(n_labels),
    )


def _check_procedure(sampler: Sampler, at: Problem, q: Floats, rng: np.random.Generator, delta: float) -> None:
    name, draw = f"the procedure of {shown(sampler)}", checked_draws(sampler, at)
    same = [checked_draws(sampler, at)(np.random.default_rng(7), 200) for _ in range(2)]
    _must(
        np.array_equal(same[0], same[1]),
        f"{name} must take its random numbers from the generator: one seed drew other labels",
    )
    _must(draw(rng, 0).size == 0, f"{name} must draw no label where none is asked for")
    labels = draw(rng, DRAWS)
    counts = np.bincount(labels, minlength=q.size)
    never = np.flatnonzero((counts > 0) & (q == 0))
    _must(never.size == 0, f"{name} drew label {never[0] if never.size else 0}, to which its law gives q = 0")
    # Four comparisons share the error rate.
    part = delta / 4
    share = counts / DRAWS
    above = np.cumsum(share) - np.cumsum(q)
    k = int(np.argmax(np.abs(above)))
    _must(
        abs(above[k]) <= cdf_half_width(DRAWS, part),
        f"{name} must draw by its law: labels 0 to {k} make {np.cumsum(q)[k]:.4g} of it, and "
        f"{np.cumsum(share)[k]:.4g} of {DRAWS:,} draws at positive {at.positive}",
    )
    apart = float(np.abs(share - q).sum())
    _must(
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
        _must(
            abs(repeated - alike) <= cdf_half_width(first.size, part),
            f"{name} must draw each label anew: of {what}, neighbours were equal {repeated:.4g} of the time, and by "
            f"the law it is {alike:.4g}",
        )


# --- weightings -------------------------------------------------------------------------------------------------------


def _drawn(log_w: Floats) -> list[int]:
    return np.flatnonzero(log_w > -np.inf).tolist()


def _check_factors(scheme: Scheme, at: Problem, log_w: Floats) -> None:
    weighting, y = scheme.weighting, at.positive
    log_q = scheme.log_law(at)
    with np.errstate(divide="ignore", invalid="ignore"):
        factors = complete_weighting(weighting).log_factors(log_q, at.prior, scheme.m, scheme.hits == "exclude")
        if factors is None:
            return
        log_a, log_b = (np.broadcast_to(factor, log_w.shape) for factor in factors)
        log_ab = log_a[y] + log_b
    _check_equal(
        log_ab,
        log_w,
        AGREE * (1 + np.abs(log_a[y]) + np.abs(log_b)),
        lambda j: f"log_factors of {shown(weighting)} must add up to log_weight: label {j} at positive {y}, {scheme}",
        _drawn(log_w),
    )


def _check_weight_in_symbols(scheme: Scheme, at: Problem, log_w: Floats) -> None:
    scheme.check_symbols()
    if at.prior.n_labels > MOST_LABELS:
        return
    law, y = scheme.sampler.law, at.positive
    rest = 1 - law(s.y) if scheme.hits == "exclude" else sp.Integer(1)
    case, w = Case(scheme, SoftmaxCrossEntropy(), at), np.zeros(log_w.size)
    for j in _drawn(log_w):
        w[j] = number(
            scheme.weighting.weight(lambda yp: law(yp) / rest, law, s.y if j == y else s.yp),
            case,
            j,
        )
    _check_equal(
        np.exp(log_w),
        w,
        AGREE * w,
        lambda j: (
            f"log_weight and weight of {shown(scheme.weighting)} must give label {j} the same weight at positive {y}, "
            f"m = {scheme.m}, hits={scheme.hits!r}"
        ),
        _drawn(log_w),
    )


def _check_powers(schemes: list[Scheme], at: Problem) -> None:
    """How log w goes with log m, against what the weighting says of it."""
    weighting, m = schemes[0].weighting, np.log([scheme.m for scheme in schemes])
    log_w = np.array([scheme.plan(at).log_w for scheme in schemes])
    log_w = log_w[:, np.isfinite(log_w).all(axis=0)]

    def goes_with(power: int) -> bool:
        free = log_w - power * m[:, None]
        return bool(np.all(np.abs(free - free[0]) <= AGREE * (1 + np.abs(log_w))))

    says = checked_flag(weighting.is_eta_over_m, f"is_eta_over_m of {shown(weighting)}")
    _must(
        goes_with(-1) == says or not log_w.size,
        f"is_eta_over_m of {shown(weighting)} must be {not says}: m w {'moves' if says else 'does not move'} with m",
    )
    power = complete_weighting(weighting).m_power
    _must(
        power is None or goes_with(power),
        f"m_power of {shown(weighting)} must be the k of w = η m^k with η free of m, or None, got {power}",
    )


# --- losses -----------------------------------------------------------------------------------------------------------


def _payments(loss: Loss, scores: Floats, at: Problem) -> Floats:
    """log of what each label pays, (L,), at other scores perhaps."""
    log_paid = loss.log_payment(scores, at.positive)
    right = isinstance(log_paid, np.ndarray) and log_paid.dtype.kind == "f" and log_paid.shape == scores.shape
    _must(
        right and np.all(log_paid < np.inf),
        f"log_payment of {shown(loss)} must be a logarithm for each of {scores.size} labels, finite or -inf, "
        f"got {shown(log_paid)}",
    )
    return log_paid


def _check_slopes(loss: Loss, at: Problem, log_paid: Floats) -> None:
    y, n_labels = at.positive, at.scores.size
    slopes, found = loss.payment_slope(at.scores, y), np.zeros(n_labels)
    _must(np.shape(slopes) == (n_labels,), f"payment_slope of {shown(loss)} must be a number for each label")
    others = [j for j in range(n_labels) if j != y and log_paid[j] < LARGEST_LOG]
    size = np.abs(slopes) + np.exp(np.minimum(log_paid, LARGEST_LOG))
    for j in others:
        step = STEP * max(1.0, abs(at.scores[j]))
        moved = [at.scores + sign * step * (np.arange(n_labels) == j) for sign in (1, -1)]
        high, low = (np.exp(_payments(loss, scores, at)[j]) for scores in moved)
        found[j] = (high - low) / (moved[0][j] - moved[1][j])
    _check_equal(
        slopes,
        found,
        ROUGHLY * size + 1e-300,
        lambda j: (
            f"payment_slope of {shown(loss)} must be the slope of what label {j} pays in its own score "
            f"{at.scores[j]:.6g}"
        ),
        others,
    )
    f_y = float(at.scores[y])
    step = STEP * max(1.0, abs(f_y))
    high, low = f_y + step, f_y - step
    rise = (loss.positive_pays(high) - loss.positive_pays(low)) / (high - low)
    slope = loss.positive_slope(f_y)
    _must(
        abs(slope - rise) <= ROUGHLY * (abs(slope) + abs(loss.positive_pays(f_y))),
        f"positive_slope of {shown(loss)} must be the slope of positive_pays at {f_y:.6g}, got {slope:.10g} and "
        f"{rise:.10g}",
    )


def _check_what_payments_look_at(loss: Loss, at: Problem, log_paid: Floats) -> None:
    y, n_labels = at.positive, at.scores.size
    others = np.array([j for j in range(n_labels) if j != y], dtype=np.intp)
    near = AGREE * (1 + np.abs(at.scores))
    if others.size > 1:
        moved = _payments(loss, at.scores + 0.5 * (np.arange(n_labels) == others[0]), at)
        _check_equal(
            moved,
            log_paid,
            near,
            lambda j: f"what label {j} pays under {shown(loss)} must not look at the score of another negative",
            others[1:],
        )
    if loss.has_log:
        paid = [loss.positive_pays(float(score)) for score in at.scores]
        _must(not any(paid), f"with a log the positive must pay nothing, but under {shown(loss)} it pays {max(paid)}")
    for sign in (1, -1):
        # A score of its own, or of the positive, that is half higher.
        step = 0.5 * (np.arange(n_labels) == y) if sign == -1 else np.where(np.arange(n_labels) == y, 0.0, 0.5)
        if not loss.has_log and sign == 1:
            continue
        expected = log_paid + 0.5 * sign if loss.has_log else log_paid
        _check_equal(
            _payments(loss, at.scores + step, at),
            expected,
            near,
            lambda j: (
                f"with a log, what label {j} pays under {shown(loss)} must go with e^(f_y' - f_y)"
                if loss.has_log
                else f"without a log, what label {j} pays under {shown(loss)} must not look at the positive's score"
            ),
            others,
        )


def _check_loss_in_symbols(loss: Loss, at: Problem, log_paid: Floats) -> None:
    case, y = Case(Scheme(Explicit(np.ones(1)), Constant(), m=1, hits="keep"), loss, at), at.positive
    total = sp.Symbol("S", positive=True)
    outer = sp.log(1 + total) if loss.has_log else total
    _must(
        s.vanishes(sp.sympify(loss.outer(total)) - outer),
        f"outer of {shown(loss)} must be {outer} in symbols, as has_log = {loss.has_log} says, got "
        f"{shown(loss.outer(total))}",
    )
    pays = np.zeros(at.scores.size)
    for j in range(min(at.scores.size, MOST_LABELS)):
        exact = exactly(loss.payment(s.y if j == y else s.yp), case, j, MOST_DIGITS)
        pays[j] = float(sp.log(exact)) if exact > 0 else -np.inf
    _check_equal(
        log_paid,
        pays,
        AGREE * (1 + np.where(np.isfinite(pays), np.abs(pays), 0.0)),
        lambda j: f"log_payment and the logarithm of payment of {shown(loss)} must agree for label {j}, positive {y}",
        range(min(at.scores.size, MOST_LABELS)),
    )
    symbolic, numeric = exact_number(loss.positive_term(), case, y), loss.positive_pays(float(at.scores[y]))
    _must(
        abs(symbolic - numeric) <= AGREE * max(abs(symbolic), 1e-300),
        f"positive_pays and positive_term of {shown(loss)} must agree at f_y = {at.scores[y]:.6g}, got {numeric:.10g} "
        f"and {symbolic:.10g}",
    )
