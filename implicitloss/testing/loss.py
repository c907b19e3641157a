"""The check of a loss: payments, their slopes and logarithms, and its symbols."""

from __future__ import annotations

import numpy as np
import sympy as sp

from implicitloss import symbols as s
from implicitloss.arguments import checked_flag, defines, shown
from implicitloss.claims.case import Case
from implicitloss.claims.statements.payments import exact_number, exactly
from implicitloss.labels import Floats
from implicitloss.losses import Loss, checked_loss
from implicitloss.problem import Problem
from implicitloss.samplers import Explicit
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

__all__ = ["check_loss"]

# A slope is compared with a difference of payments over this step, to this much of the payments beside it.
RELATIVE_STEP = 2.0**-17
ROUGHLY = 1e-6
# Payments whose logarithm is larger are too large for a float.
LARGEST_LOG = 700.0
# log(1 + e^f) at f = -742 begins at the 323rd.
MOST_DIGITS = 700


def check_loss(loss: Loss, problem: Problem | None = None) -> None:
    """Check that payments, their slopes and logarithms, and the symbols of a loss agree, and that it is a value.

    - `log_payment` and `positive_pays` agree with `payment` and `positive_term` in symbols.
    - `payment_slope` and `positive_slope` agree with differences of payments.
    - A payment does not depend on the score of another negative.
    - With a log, payments are a factor times e^{f_y' - f_y}, and the positive pays nothing.
    - Without a log, a negative's payment does not depend on f_y.
    - `outer` in symbols is the function that `has_log` says.
    - Equal losses are equal and hash alike.

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
    >>> from dataclasses import replace
    >>> il.testing.check_loss(il.losses.Decoupled(il.losses.squared_hinge))
    >>> wrong = replace(il.losses.squared_hinge, positive_slope=lambda f: 0.0 * f)
    >>> try:
    ...     il.testing.check_loss(il.losses.Decoupled(wrong))
    ... except AssertionError as error:
    ...     print(error)
    positive_slope of Decoupled(binary=squared hinge) must be the slope of positive_pays at 0.3, got 0 and -1.4
    """
    with as_assertion():
        checked_loss(loss)
        check_value(loss, "loss")
        must(isinstance(loss.name, str) and loss.name, f"the name of a loss must be text, got {shown(loss.name)}")
        checked_flag(loss.has_log, f"has_log of {shown(loss)}")
        places = problems(problem)
        if problem is None:
            # Of e^-742 a float holds three digits, and beside 1 none.
            far = np.array([30.3, -4.4, 9.25, -742.5])
            places += [Problem(far, at.prior, at.positive) for at in places]
        for at in places:
            log_paid = _payments(loss, at.scores, at)
            _check_slopes(loss, at, log_paid)
            _check_what_payments_look_at(loss, at, log_paid)
            if all(defines(loss, name, Loss) for name in ("payment", "positive_term", "outer")):
                _check_loss_in_symbols(loss, at, log_paid)


def _payments(loss: Loss, scores: Floats, at: Problem) -> Floats:
    """log of what each label pays, (L,), at other scores perhaps."""
    log_paid = loss.log_payment(scores, at.positive)
    right = isinstance(log_paid, np.ndarray) and log_paid.dtype.kind == "f" and log_paid.shape == scores.shape
    must(
        right and np.all(log_paid < np.inf),
        f"log_payment of {shown(loss)} must be a logarithm for each of {scores.size} labels, finite or -inf, "
        f"got {shown(log_paid)}",
    )
    return log_paid


def _check_slopes(loss: Loss, at: Problem, log_paid: Floats) -> None:
    y, n_labels = at.positive, at.scores.size
    slopes, found = loss.payment_slope(at.scores, y), np.zeros(n_labels)
    must(np.shape(slopes) == (n_labels,), f"payment_slope of {shown(loss)} must be a number for each label")
    others = [j for j in range(n_labels) if j != y and log_paid[j] < LARGEST_LOG]
    size = np.abs(slopes) + np.exp(np.minimum(log_paid, LARGEST_LOG))
    for j in others:
        step = RELATIVE_STEP * max(1.0, abs(at.scores[j]))
        moved = [at.scores + sign * step * (np.arange(n_labels) == j) for sign in (1, -1)]
        high, low = (np.exp(_payments(loss, scores, at)[j]) for scores in moved)
        found[j] = (high - low) / (moved[0][j] - moved[1][j])
    check_equal(
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
    step = RELATIVE_STEP * max(1.0, abs(f_y))
    high, low = f_y + step, f_y - step
    rise = (loss.positive_pays(high) - loss.positive_pays(low)) / (high - low)
    slope = loss.positive_slope(f_y)
    must(
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
        check_equal(
            moved,
            log_paid,
            near,
            lambda j: f"what label {j} pays under {shown(loss)} must not look at the score of another negative",
            others[1:],
        )
    if loss.has_log:
        paid = [loss.positive_pays(float(score)) for score in at.scores]
        must(not any(paid), f"with a log the positive must pay nothing, but under {shown(loss)} it pays {max(paid)}")
    for sign in (1, -1):
        # A score of its own, or of the positive, that is half higher.
        step = 0.5 * (np.arange(n_labels) == y) if sign == -1 else np.where(np.arange(n_labels) == y, 0.0, 0.5)
        if not loss.has_log and sign == 1:
            continue
        expected = log_paid + 0.5 * sign if loss.has_log else log_paid
        check_equal(
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
    must(
        s.vanishes(sp.sympify(loss.outer(total)) - outer),
        f"outer of {shown(loss)} must be {outer} in symbols, as has_log = {loss.has_log} says, got "
        f"{shown(loss.outer(total))}",
    )
    pays = np.zeros(at.scores.size)
    for j in range(min(at.scores.size, MOST_SYMBOLIC_LABELS)):
        exact = exactly(loss.payment(s.y if j == y else s.yp), case, j, MOST_DIGITS)
        pays[j] = float(sp.log(exact)) if exact > 0 else -np.inf
    check_equal(
        log_paid,
        pays,
        AGREE * (1 + np.where(np.isfinite(pays), np.abs(pays), 0.0)),
        lambda j: f"log_payment and the logarithm of payment of {shown(loss)} must agree for label {j}, positive {y}",
        range(min(at.scores.size, MOST_SYMBOLIC_LABELS)),
    )
    symbolic, numeric = exact_number(loss.positive_term(), case, y), loss.positive_pays(float(at.scores[y]))
    must(
        abs(symbolic - numeric) <= AGREE * max(abs(symbolic), 1e-300),
        f"positive_pays and positive_term of {shown(loss)} must agree at f_y = {at.scores[y]:.6g}, got {numeric:.10g} "
        f"and {symbolic:.10g}",
    )
