"""Draws that have exact weights though hits are excluded, or two samplers take turns."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import sympy as sp

from implicitloss.claims.case import Setting
from implicitloss.claims.checks import Exact, Identity
from implicitloss.claims.claim import Claim
from implicitloss.estimate import Estimate
from implicitloss.labels import Floats
from implicitloss.margins import Offsets
from implicitloss.problem import Problem
from implicitloss.samplers import Mixture
from implicitloss.weightings import Consistent
from paper_checks.design.listing import (
    ETAS,
    LAWS,
    LISTED,
    N_LABELS,
    PI,
    SEEN,
    SOURCE,
    Listing,
    OfSlots,
    Repeats,
    Slots,
    by_library,
    centred,
    every,
    listed,
    prior,
    ratios,
)
from paper_checks.design.weights import BALANCE

# --- hits excluded ----------------------------------------------------------------------------------------------------


def _excluded(draws: tuple[int, ...]) -> Callable[[Setting], list[Slots]]:
    return lambda setting: every(("softmax", "balanced softmax"), draws)


def _without_y(slots: Slots, repeats: Repeats = "drop", power: int | None = None) -> Estimate:
    """f* where log q + power log(1 - q) - log δ comes off every logit, hits are drawn again; power is m by default."""
    b = slots.delta / (slots.q * (1 - slots.q) ** (slots.m if power is None else power))
    laws = np.tile(slots.q, (slots.m, 1))
    return centred(listed(slots.eta, laws, ratios(b), "exclude", repeats).optimum)


def _survivors(slots: Slots) -> Estimate:
    """f* where log q + s log(1 - q) - log δ comes off, s the draws that stay."""
    ones = np.ones((N_LABELS, N_LABELS))
    found = listed(slots.eta, np.tile(slots.q, (slots.m, 1)), ones, "exclude", "drop")
    stays = found.totals - found.own
    b = slots.delta / (slots.q * (1 - slots.q) ** stays.sum(axis=1, keepdims=True))
    totals = found.own + stays * b / np.sum(found.own * b, axis=1, keepdims=True)
    return centred(Listing(found.chances, totals, found.own).optimum)


def _target(slots: Slots) -> Estimate:
    return centred(slots.target_scores)


def _one_draw(slots: Slots) -> Estimate:
    """By the library, whose `Offsets` stand for the factor (1 - q)^m too; one draw has no repeats."""
    offsets = -np.log(slots.delta) + np.log1p(-slots.q)
    return by_library(slots.scheme(Consistent(Offsets(offsets)), "exclude"), slots.eta)


def _posteriors(keeps: bool = False, power: bool = True) -> Callable[[], Iterator[tuple[str, sp.Expr, sp.Expr]]]:
    """P(label is the positive | three slots) against the softmax over labels that occur once, four labels.

    A mistake `keeps` labels that occur twice, or has no (1 - q)^m.
    """
    eta, q = sp.symbols("eta_1:5", positive=True), sp.symbols("q_1:5", positive=True)

    def pairs() -> Iterator[tuple[str, sp.Expr, sp.Expr]]:
        for slots in ((0, 1, 2), (0, 1, 1), (3, 2, 2)):
            # Positive and draws in any order: each order of the draws has the same chance.
            chances = {}
            for y in set(slots):
                draws = [label for i, label in enumerate(slots) if i != slots.index(y)]
                orders = len(set(itertools.permutations(draws)))
                law = sp.Mul(*(sp.Integer(0) if j == y else q[j] / (1 - q[y]) for j in draws))
                chances[y] = orders * eta[y] * law
            odds = {y: eta[y] / (q[y] * (1 - q[y]) ** (2 if power else 0)) for y in slots}
            shares = {y: odds[y] * (slots.count(y) if keeps else int(slots.count(y) == 1)) for y in set(slots)}
            for y in set(slots):
                yield f"slots {slots}, label {y}", chances[y] / sum(chances.values()), shares[y] / sum(shares.values())

    return pairs


EXCLUDED: dict[str, OfSlots] = {
    "labels drawn twice stay": partial(_without_y, repeats="keep"),
    "labels drawn twice stay once": partial(_without_y, repeats="once"),
    "log q alone comes off": partial(_without_y, power=0),
    "m counts the draws that stay": _survivors,
}

# --- a coin for each draw ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Split:
    """m draws, half in batch and half uniform, by coins or as a fixed split."""

    m: int
    at: int

    def __str__(self) -> str:
        return f"half in batch and half uniform, m={self.m}, η = {ETAS[self.at]}"

    @property
    def eta(self) -> Floats:
        return np.array(ETAS[self.at])


HALVES = np.array([PI, LAWS["uniform"][1]])
MIXED = HALVES.mean(axis=0)


def _halves(setting: Setting) -> list[Split]:
    return [Split(2, 0), Split(2, 1), Split(4, 0)]


def _by_coins(case: Split, law: Floats = MIXED) -> Estimate:
    """The mean over the sides of all m coins of the loss with draws from the laws that they name.

    Weights are those of the mixture's `law`.
    """
    parts = [
        listed(case.eta, HALVES[list(coins)], ratios(1 / law)) for coins in itertools.product((0, 1), repeat=case.m)
    ]
    chances = np.concatenate([part.chances for part in parts]) / len(parts)
    totals, own = (np.concatenate([getattr(part, name) for part in parts]) for name in ("totals", "own"))
    return centred(Listing(chances, totals, own).optimum)


def _by_stated_law(case: Split) -> Estimate:
    """With the law that the library states."""
    return _by_coins(case, np.exp(Mixture(0.5).log_law(Problem(np.zeros(N_LABELS), prior(), 0))))


def _fixed(case: Split, own: bool = False) -> Estimate:
    """Half of the draws from each law, with the weights of the mixture, or each with those of its own law."""
    which = np.arange(case.m) % 2
    laws = HALVES[which]
    weights = np.array([ratios(1 / (law if own else MIXED)) for law in laws])
    return centred(listed(case.eta, laws, weights).optimum)


def _log_eta(case: Split) -> Estimate:
    return centred(np.log(case.eta))


SPLITS: dict[str, Callable[[Split], Estimate]] = {
    "m/2 draws of each law with the weights of the mixture are exact too": _fixed,
    "m/2 draws of each law, each weighed by its own, are exact too": partial(_fixed, own=True),
}

CLAIMS = (
    Claim(
        "design.draws.excluded",
        "Where hits are drawn again, taking log q + m log(1 - q) - log δ off every logit, q the law before that, and "
        "leaving out every label that was drawn twice, all its copies, teaches log η - log δ at every m.",
        "derived: given m + 1 slots, one holds the positive with a probability in proportion to η/(q (1 - q)^m) of its "
        "label if this occurs once, and else 0",
        (
            Identity(
                _posteriors(),
                {"labels drawn twice stay": _posteriors(keeps=True), "log q alone comes off": _posteriors(power=False)},
                detail="the posterior of three slots, four labels",
                whole=False,
            ),
            Exact(
                LISTED,
                _excluded((2, 3)),
                _without_y,
                _target,
                EXCLUDED,
                resolution=SEEN,
                floor=SEEN,
                uses_prior=False,
            ),
            Exact(
                f"{BALANCE}, one draw",
                _excluded((1,)),
                _one_draw,
                _target,
                {"log q alone comes off": partial(_without_y, power=0)},
                resolution=SEEN,
                floor=SEEN,
                uses_prior=False,
            ),
        ),
        ("m is the number of draws, i.i.d. off the positive",),
    ),
    Claim(
        "design.draws.coins",
        "Draws that toss a coin each, between two samplers, are exact with the law of the mixture; half of the draws "
        "from each are not.",
        SOURCE,
        (
            Exact(LISTED, _halves, _by_coins, _log_eta, SPLITS, resolution=SEEN, floor=SEEN, uses_prior=False),
            Exact(
                f"{LISTED}, weights of the law that the sampler states",
                _halves,
                _by_stated_law,
                _log_eta,
                {**SPLITS, "the law of one of the samplers will do": lambda case: _by_coins(case, PI)},
                resolution=SEEN,
                floor=SEEN,
                uses_prior=False,
            ),
        ),
        ("hits kept",),
    ),
)
