"""What sampling costs: the information that m draws lose, and why the variance of the loss does not tell."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from implicitloss.claims.case import Setting
from implicitloss.claims.checks import Exact
from implicitloss.claims.claim import Claim
from implicitloss.claims.statements.numbers import INTEGRATE
from implicitloss.estimate import Estimate
from implicitloss.labels import Floats
from implicitloss.losses import SoftmaxCrossEntropy
from implicitloss.optima.information import information
from implicitloss.problem import Problem
from implicitloss.samplers import Explicit
from implicitloss.scheme import Scheme
from implicitloss.weightings import Relative
from implicitloss.witness.integrate import integrate
from paper_checks.design.information import CONTRASTS, HESSIAN, LIBRARY, by_integral, of_listing
from paper_checks.design.listing import ETAS, N_LABELS, Listing, listed, prior, ratios

# --- q = η, and many draws --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Law:
    """Softmax by consistent weights, at one η with any law."""

    eta: tuple[float, ...]
    q: tuple[float, ...]
    m: int

    def __str__(self) -> str:
        return f"η = {self.eta}, q = {tuple(round(each, 3) for each in self.q)}, m={self.m}"

    @property
    def scheme(self) -> Scheme:
        return Scheme(Explicit(np.array(self.q)), Relative(), m=self.m, hits="keep")

    @property
    def listing(self) -> Listing:
        q = np.array(self.q)
        return listed(np.array(self.eta), np.tile(q, (self.m, 1)), ratios(1 / q))

    def shares(self) -> Estimate:
        """The share of each contrast, by the library."""
        return information(self.scheme, self.eta, prior(), CONTRASTS)


def _same(draws: tuple[int, ...]) -> Callable[[Setting], list[Law]]:
    return lambda setting: [Law(eta, eta, m) for eta in ETAS for m in draws]


def _listed_shares(case: Law) -> Estimate:
    return of_listing(case.listing, np.array(case.eta), np.log(case.eta))


def _lost(part: Callable[[int], float]) -> Callable[[Law], Floats]:
    return lambda case: np.full(len(CONTRASTS), 1 - part(case.m))


SAME_LAW: dict[str, Callable[[Law], Floats]] = {
    "1/m is lost": _lost(lambda m: 1 / m),
    "1/(m + 2) is lost": _lost(lambda m: 1 / (m + 2)),
}
MANY = 20_000


def _many(setting: Setting) -> list[Law]:
    laws = [ETAS[1], tuple(np.full(N_LABELS, 1 / N_LABELS).tolist()), ETAS[2]]
    return [Law(eta, q, MANY) for eta, q in itertools.product(ETAS[:2], laws)]


def _leading(shares: Callable[[Law], Estimate]) -> Callable[[Law], Estimate]:
    """m times what is lost about each label, at m and 2m, extrapolated to m → ∞."""

    def extrapolated(case: Law) -> Estimate:
        one, two = (m * (1 - np.asarray(shares(Law(case.eta, case.q, m)).value)) for m in (case.m, 2 * case.m))
        return Estimate((2 * two - one)[:N_LABELS], np.full(N_LABELS, 1e-5), "lost information", "extrapolation")

    return extrapolated


def _by_integral(case: Law) -> Estimate:
    return by_integral(np.array(case.eta), np.array(case.q), case.m)


COEFFICIENTS: dict[str, Callable[[Law], Floats]] = {
    "it is η_k/(m q_k)": lambda case: _constant(case, own=False, others=False),
    "the other labels do not matter": lambda case: _constant(case, others=False),
}


def _constant(case: Law, own: bool = True, others: bool = True) -> Floats:
    """[(η_k/q_k)(1 - 2η_k) + η_k Σ η²/q]/(1 - η_k), or without a part."""
    eta, q = np.array(case.eta), np.array(case.q)
    return np.asarray((eta / q * (1 - 2 * eta * own) + others * eta * np.sum(eta**2 / q)) / (1 - eta * own))


# --- variance ---------------------------------------------------------------------------------------------------------


def _uniform(case: Law) -> Law:
    return Law(case.eta, tuple(np.full(N_LABELS, 1 / N_LABELS).tolist()), case.m)


def _variance(case: Law) -> Estimate:
    """The variance of the loss at f* over positives and draws."""
    found, f = case.listing, np.log(case.eta)
    losses = np.log(found.totals @ np.exp(f)) - found.own @ f
    return Estimate(float(found.chances @ (losses - found.chances @ losses) ** 2), 1e-12, "variance", "listing")


def _integrated(case: Law) -> Estimate:
    """The variance of the loss at f* over draws, averaged over positives."""
    at = [Problem(np.log(case.eta), prior(), y) for y in range(N_LABELS)]
    parts = [integrate(case.scheme, SoftmaxCrossEntropy(), problem, "variance") for problem in at]
    value, error = (float(np.dot(case.eta, [float(getattr(p, name)) for p in parts])) for name in ("value", "error"))
    return Estimate(value, error, "variance", "integrate")


def _rarest(shares: Callable[[Law], Estimate], case: Law) -> Estimate:
    """The share about the label with the least η."""
    found, k = shares(case), int(np.argmin(case.eta))
    return Estimate(*(float(np.asarray(part)[k]) for part in (found.value, found.error)), "information", found.method)


def _ordered(method: str, number: Callable[[Law], Estimate], miss: str) -> Exact:
    """The number at q = η is below that at uniform q."""

    def other(case: Law) -> Estimate:
        return number(_uniform(case))

    return Exact(method, _same((1, 3)), number, other, {miss: (">", other)}, relation="<", uses_prior=False)


MORE_BY_LESS = "the law with the lesser variance keeps more about the rarest label"
LESS_BY_MORE = "the law that keeps more about the rarest label has the lesser variance"

CLAIMS = (
    Claim(
        "design.cost.same-law",
        "Where q = η, sampling loses 1/(m + 1) of the information about every contrast.",
        "derived: r = 1 and φ = e^{-t} in the integral",
        (
            Exact(HESSIAN, _same((2, 3)), _listed_shares, _lost(lambda m: 1 / (m + 1)), SAME_LAW, uses_prior=False),
            Exact(LIBRARY, _same((1, 3, 255)), Law.shares, _lost(lambda m: 1 / (m + 1)), SAME_LAW, uses_prior=False),
        ),
        ("consistent weights, hits kept",),
    ),
    Claim(
        "design.cost.many-draws",
        "Of the information about label k sampling loses [(η_k/q_k)(1 - 2η_k) + η_k Σ η²/q]/(m (1 - η_k)) + O(1/m²).",
        "derived: the leading term of the integral",
        (
            *(
                Exact(
                    f"{name}, m extrapolated",
                    _many,
                    _leading(shares),
                    _constant,
                    COEFFICIENTS,
                    floor=1e-4,
                    uses_prior=False,
                )
                for name, shares in (("the integral by the trapezoid rule", _by_integral), (LIBRARY, Law.shares))
            ),
        ),
        ("consistent weights, hits kept",),
    ),
    Claim(
        "design.cost.variance",
        "Least variance of the loss is not most information: where q = η the loss is log(m + 1) whatever is drawn, and "
        "uniform draws, by which it varies, keep more about the rarest label.",
        "derived: at q = η all slots weigh the same; that uniform draws keep more was found by computing both",
        (
            _ordered("variance over positives and draws listed", _variance, LESS_BY_MORE),
            _ordered(f"variance over draws by {INTEGRATE}", _integrated, LESS_BY_MORE),
            _ordered(HESSIAN, partial(_rarest, _listed_shares), MORE_BY_LESS),
            _ordered(LIBRARY, partial(_rarest, Law.shares), MORE_BY_LESS),
        ),
        ("four labels; η = (.4, .1, .3, .2), (.1, .2, .3, .4) and π; m = 1 and 3",),
    ),
)
