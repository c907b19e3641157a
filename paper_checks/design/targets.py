"""Which margins have weights that are exact at every number of negatives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import sympy as sp

from implicitloss.claims.case import Setting
from implicitloss.claims.checks import Exact, Identity
from implicitloss.claims.claim import Claim
from implicitloss.estimate import Estimate
from implicitloss.labels import Floats, LabelPrior
from implicitloss.margins import Adaptive, Equalised, Margin
from implicitloss.weightings import Consistent
from paper_checks.design.listing import LISTED, N_LABELS, PI, SEEN, TARGETS, Listing, Slots, centred, every, of, ratios

# --- in symbols -------------------------------------------------------------------------------------------------------

a, b = sp.symbols("a_1:4", positive=True), sp.symbols("b_1:4", positive=True)
eta, q = sp.symbols("eta_1:4", positive=True), sp.symbols("q_1:4", positive=True)
Vector = tuple[sp.Expr, ...]
Pairs = Callable[[], Iterator[tuple[str, sp.Expr, sp.Expr]]]


def _pull(slots: tuple[int, ...], j: int, a: Vector, b: Vector) -> sp.Expr:
    """The expected slope of the score of label j, given these slots and up to a factor, at f = log η - log b.

    Slot i holds the positive in proportion to η/q; weights are a_y b_y' q_y/q_y'.
    """
    total = sp.Integer(0)
    for i, y in enumerate(slots):
        parts = [eta[k] / b[k] * (1 if i == other else a[y] * b[k] * q[y] / q[k]) for other, k in enumerate(slots)]
        share = sum(part for part, k in zip(parts, slots, strict=True) if k == j) / sum(parts)
        total += eta[y] / q[y] * (share - (1 if y == j else 0))
    return total


def _pulls(a: Vector, b: Vector = b) -> Pairs:
    """All pulls against 0: one draw, and two of them with hits and repeats."""

    def pairs() -> Iterator[tuple[str, sp.Expr, sp.Expr]]:
        for slots in ((0, 1), (0, 1, 2), (0, 0, 1), (0, 1, 1)):
            for j in sorted(set(slots)):
                yield f"slots {slots}, label {j}", _pull(slots, j, a, b), sp.Integer(0)

    return pairs


RATIO = tuple(1 / each for each in b)


def _exactly_ratios() -> Iterator[tuple[str, sp.Expr, sp.Expr]]:
    """Every pull vanishes for a_y b_y = 1; and of two labels only then does one draw teach what all labels do.

    Their stationary points in e^{f_2 - f_1} are roots of two quadratics, whose resultant is 0 if they share one.
    """
    yield from _pulls(RATIO)()
    x, u, v = sp.symbols("x p_12 p_21", positive=True)
    everything = eta[0] * u * x * (x + v) - eta[1] * v * (1 + u * x)
    w, back = u * q[0] / q[1], v * q[1] / q[0]
    one_draw = eta[0] * q[1] * w * x * (x + back) - eta[1] * q[0] * back * (1 + w * x)
    shared = (eta[0] * eta[1] * u * v * (q[0] - q[1])) ** 2 * (1 - u * v)
    yield "two labels, one draw, any p", sp.resultant(sp.expand(everything), sp.expand(one_draw), x), shared


# --- in numbers -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scaled(Margin):
    """p_yy' = 1/2, a ratio but for a factor."""

    name = "half of softmax"

    def log_margin(self, prior: LabelPrior, positive: int) -> Floats:
        return np.full(prior.n_labels, np.log(0.5))

    def margin(self, yp: sp.Expr) -> sp.Expr:
        return sp.Rational(1, 2)


ONES = np.ones((N_LABELS, N_LABELS))
# Each margin with its p_yy', (L, L).
MARGINS: dict[str, tuple[Margin, Floats]] = {
    **{name: (margin, ratios(delta)) for name, (margin, delta) in TARGETS.items()},
    "equalised": (Equalised(), PI * ONES),
    "adaptive": (Adaptive(), np.exp(PI**-0.25)[:, None] * ONES),
    "scaled": (Scaled(), ONES / 2),
}


def _every(setting: Setting) -> list[Slots]:
    return every()


def _off(slots: Slots, margin: str, published: bool = False) -> Estimate:
    """The optimum with weights p_yy' q_y/q_y', less that of the loss over all labels with the margins p.

    Those of Proposition 4, p/(m q), have hits masked.
    """
    p = MARGINS[margin][1]
    everything = np.where(np.eye(N_LABELS), 1.0, p)
    full = Listing(slots.eta, everything, np.eye(N_LABELS)).optimum
    if published:
        return centred(of(slots, p / (slots.m * slots.q), "mask").optimum - full)
    return centred(of(slots, p * ratios(1 / slots.q)).optimum - full)


def _none(slots: Slots) -> Floats:
    return np.zeros(N_LABELS)


def _margins(setting: Setting) -> list[str]:
    return list(MARGINS)


def _taken(name: str) -> float:
    """Whether the library makes consistent weights of it."""
    try:
        Consistent(MARGINS[name][0])
    except ValueError:
        return 0.0
    return 1.0


def _is_ratio(name: str) -> float:
    """Whether p_yy = 1 and p_yj p_jk = p_yk for all labels."""
    p = MARGINS[name][1]
    products = p[:, :, None] * p[None, :, :]
    return float(np.allclose(np.diag(p), 1) and np.allclose(products, p[:, None, :]))


def _is_separable(name: str, constant: bool = False) -> float:
    """Whether p_yy' = a_y b_y', and p_yy is `constant`."""
    log_p = np.log(MARGINS[name][1])
    left = log_p - log_p[:, :1] - log_p[:1] + log_p[0, 0]
    return float(np.allclose(left, 0) and (not constant or np.allclose(np.diag(log_p), log_p[0, 0])))


CLAIMS = (
    Claim(
        "design.targets",
        "With hits kept, weights p_yy' q_y/q_y' for margins p_yy' = a_y b_y' teach what p teaches over all labels, at "
        "every m and q, if and only if a_y b_y = 1, which is p_yy' = δ_y'/δ_y: not for equalised and adaptive margins.",
        "derived: given the slots every pull vanishes at f = log η - log δ; of two labels one draw has the optimum of "
        "all labels only if q_1 = q_2 or p_12 p_21 = 1",
        (
            Identity(
                _exactly_ratios,
                {
                    "equalised margins, a_y = 1, have such weights": _pulls((sp.Integer(1),) * 3),
                    "adaptive margins, b_y' = 1, have such weights": _pulls(a, (sp.Integer(1),) * 3),
                    "a constant a_y b_y is enough": _pulls(tuple(2 / each for each in b)),
                },
                detail="pulls given two and three slots; two labels",
                whole=False,
            ),
            Exact(
                f"{LISTED}, against all labels",
                _every,
                lambda slots: _off(slots, slots.target),
                _none,
                {
                    "equalised margins, a_y = 1, have such weights": partial(_off, margin="equalised"),
                    "adaptive margins, b_y' = 1, have such weights": partial(_off, margin="adaptive"),
                    "a constant a_y b_y is enough": partial(_off, margin="scaled"),
                    "weights p/(m q), hits masked, are exact": lambda slots: _off(slots, slots.target, True),
                },
                floor=SEEN,
                uses_prior=False,
            ),
            Exact(
                "the library takes them as targets",
                _margins,
                _taken,
                _is_ratio,
                {
                    "any separable margins have such weights": _is_separable,
                    "a constant a_y b_y is enough": partial(_is_separable, constant=True),
                },
                floor=0.5,
                uses_prior=False,
            ),
        ),
        ("three labels or more, where pairs of them decide; δ_y is free of x",),
    ),
)
