"""Random calls of everything public: typed values, extremes and garbage; what comes back is judged.

A call may return a value, which must hold with what else is known of it, or one sentence of the library's own.
Anything else is a fault: another exception, a Python warning, a long or quoted message, a hang, a wrong number, garbage
that is taken in silence.  `python tests/fuzz.py CALLS SEED` prints the figures.
"""

from __future__ import annotations

import ast
import dataclasses
import datetime
import functools
import inspect
import io
import itertools
import json
import math
import os
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import mpmath as mp
import numpy as np
import pandas as pd
from by_hand import Undefined, floats, in_reach, margin, numbers

import implicitloss as il
from implicitloss.adapters.discovery import frameworks
from implicitloss.draws import DRAWS
from implicitloss.hard import OVERLAPS, POSITIVES

LIBRARY = Path(il.__file__).parent
SECONDS = 10.0
BINARIES = (il.losses.logistic, il.losses.hinge, il.losses.squared_hinge)
SOFTMAX = il.losses.SoftmaxCrossEntropy()
QUANTITIES = ("mean", "variance", "mse", "gap", "gradient", "gradient_variance")
HITS = ("exclude", "mask", "keep")
HOMES = ("samplers", "weightings", "margins", "losses", "scorers")
# What a comparison of a simulation may get wrong by chance: e^-22 each.
RARE = 22.0


class Wrong(Exception):
    """A value that cannot be right."""


class TooLong(BaseException):
    """The time is over; no handler of the library's catches it."""


# --- ordinary values and extremes -----------------------------------------------------------------------------------


@dataclass
class Values:
    """Typed values from one generator."""

    rng: np.random.Generator

    def chance(self, p: float) -> bool:
        return bool(self.rng.random() < p)

    def one(self, *of: Any) -> Any:
        return of[int(self.rng.integers(len(of)))]

    def whole(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))

    def real(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def n_labels(self) -> int:
        return self.one(1, 2, 2, 3, 4, 4, 5, 6, self.whole(5, 40), self.whole(40, 300))

    def positive_number(self) -> float:
        return self.one(1.0, 0.5, self.real(0.1, 3), self.real(0.1, 3), 1e-300, 1e-8, 30.0, 1e6)

    def counts(self, n: int) -> np.ndarray:
        counts = self.one(
            self.rng.integers(1, 20, n),
            np.maximum(self.rng.integers(-3, 9, n), 0),
            np.ceil(1000 / np.arange(1, n + 1) ** 1.5),
            np.where(np.arange(n) == 0, 10**12, 1),
            np.ones(n, dtype=int),
        )
        counts[self.whole(0, n - 1)] += 1
        return counts

    def prior(self, n: int | None = None) -> Any:
        n = self.n_labels() if n is None else n
        if self.chance(0.1) and n > 1:
            tiny = np.full(n, 1e-300)
            tiny[0] = 1.0
            return il.LabelPrior.from_probabilities(tiny)
        return self.one(
            lambda: il.LabelPrior.from_counts(self.counts(n)),
            lambda: il.LabelPrior.from_counts(self.counts(n).tolist(), [f"label {k}" for k in range(n)]),
            lambda: il.LabelPrior.zipf(n, self.one(0.0, 1.0, 2.5)),
            lambda: il.LabelPrior.exp(n, 500, 100),
            lambda: il.LabelPrior.step(n, 50, 10),
        )()

    def scores(self, n: int) -> np.ndarray:
        noise = self.rng.standard_normal(n)
        kind = self.whole(0, 11)
        if kind < 6:
            return noise * self.one(0.3, 1.0, 4.0)
        if kind == 6:
            return np.round(noise)
        if kind == 7:
            return noise + self.one(1e6, -1e6, 300.0, -40.0)
        if kind == 8:
            return self.one(np.zeros(n), np.full(n, -7.5))
        if kind == 9:
            return np.where(np.arange(n) == self.whole(0, n - 1), self.one(40.0, -710.0, 1e4), noise)
        return self.rng.uniform(-1, 1, n) * self.one(100.0, 350.0, 1e4)

    def problem(self, n: int | None = None) -> Any:
        prior = self.prior(n)
        y = self.whole(0, prior.n_labels - 1)
        others = np.delete(np.arange(prior.n_labels), y)[: self.one(0, 0, 0, 1, 2)]
        return il.Problem(self.scores(prior.n_labels), prior, y, other_positives=others)

    def margin(self) -> Any:
        m = il.margins
        tau = self.positive_number()
        free = [margin for margin in m.examples() if not isinstance(margin, m.Offsets)]  # of any number of labels
        return self.one(
            *free, m.LogitAdjusted(tau), m.Equalised(_root), m.Adaptive(self.one(1.0, tau)), m.Adaptive(0.5, "printed")
        )

    def weighting(self) -> Any:
        w = il.weightings
        return self.one(*w.examples(), w.Importance(), w.ForMargin(self.margin()))

    def sampler(self, n: int) -> Any:
        s = il.samplers
        q = self.rng.dirichlet(np.ones(n))
        if self.chance(0.3) and n > 1:
            q[self.whole(0, n - 1)] = 0.0
            q /= q.sum()
        return self.one(
            *s.examples(n), s.WithinBatch(), s.Power(self.positive_number()), s.Explicit(q),
            s.Mixture(self.one(0.1, 0.9, 1e-9), s.Power(0.5), s.LogUniform()),
            s.MinimumVariance(self.margin(), self.loss()), s.HardestOf(3, "negatives"),
        )  # fmt: skip

    def m(self) -> int:
        return self.one(1, 1, 2, 2, 3, 4, 5, self.whole(5, 60), self.whole(60, 2000), 1_000_000, 10**12)

    def scheme(self, n: int, m: int | None = None) -> Any:
        m = self.m() if m is None else m
        sampler, weighting = self.sampler(n), self.weighting()
        if self.chance(0.1):
            sampler = self.one("within-batch", "power:0.5", self.rng.dirichlet(np.ones(n)))
            weights = np.exp(self.rng.standard_normal((n, n)))
            weighting = self.one("importance", "margin:logit-adjusted:0.5", weights[0], weights)
        return il.Scheme(sampler, weighting, m=m, hits=self.one(*HITS))

    def loss(self) -> Any:
        d = il.losses.Decoupled
        return self.one(
            SOFTMAX, SOFTMAX, SOFTMAX, d(il.losses.logistic), d(il.losses.hinge), d(il.losses.squared_hinge),
            d(il.losses.cosine_contrastive(self.one(0.0, -1.5, 0.25))),
        )  # fmt: skip

    def seed(self) -> Any:
        return self.one(0, 7, 2**40, [1, 2], np.random.default_rng(3), np.random.SeedSequence(4), np.int64(5), None)

    def as_array(self, values: Any) -> Any:
        """The same numbers as people have them."""
        return self.one(np.asarray, list, tuple, pd.Series, np.asarray)(values)

    def as_whole(self, value: int) -> Any:
        return self.one(int, np.int64, np.int32, int, np.asarray)(value) if abs(value) < 2**31 else value

    def as_number(self, value: float) -> Any:
        return self.one(float, np.float64, float, np.asarray)(value)


def _root(x: Any) -> Any:
    return x**0.5


# --- garbage --------------------------------------------------------------------------------------------------------


def _of_no_kind(v: Values) -> Any:
    """What is nothing that any parameter takes."""
    return v.one(
        object(), 1 + 2j, datetime.datetime(2021, 1, 1), np.datetime64("2021-01-01"), np.timedelta64(3, "s"), pd.NA,
        np.ma.masked, b"bytes", {"a": 1.0}, pd.DataFrame({"a": [1.0, 2.0]}), Ellipsis, type, float("nan"), {1, 2},
    )  # fmt: skip


def _no_vector(v: Values, good: Any) -> Any:
    x = np.array(good, dtype=np.float64)
    hidden = np.ma.MaskedArray(x, mask=np.arange(x.size) == v.whole(0, x.size - 1))
    spoilt = x.copy()
    spoilt[v.whole(0, x.size - 1)] = v.one(np.nan, np.inf, -np.inf)
    mixed: list[Any] = x.tolist()
    mixed[v.whole(0, x.size - 1)] = v.one(True, "1", None, 1j, np.ma.masked, np.datetime64("2021-01-01"), pd.NaT, [])
    return v.one(
        x + 0j, x + 1j, hidden, spoilt, mixed, x.astype(str), x > 0, pd.Series(x > 0), pd.Series(x.astype(str)),
        x.astype("datetime64[s]"), pd.Series(pd.to_datetime(np.zeros(x.size))), x.astype("timedelta64[s]"), x[None],
        pd.DataFrame({"a": x}), np.append(x, 0.0), [], "scores", 5, None, pd.Series(x).where(x != x[0]), iter(x),
        x.astype(object) + 1j, [[1.0], [2.0, 3.0]], [10**400] * x.size, il.LabelPrior, il.samplers.Uniform(),
    )  # fmt: skip


def garbage(v: Values, kind: str, good: Any) -> Any:
    """What a parameter of this kind has to refuse."""
    kind = kind.rstrip("?")
    numbers: list[Any] = ["3", "", True, np.bool_(True), [1.0, 2.0], np.ones(3), math.nan, math.inf, 1e400, None, 1j]
    numbers += [np.ma.MaskedArray(1.0, mask=True), np.complex128(1), il.samplers.Uniform(), float, _root]
    named: list[Any] = [None, "name", 5, True, (1, 2), np.ones(3), _root, io.StringIO, object()]
    own: dict[str, list[Any]] = {
        "number": [*numbers, 10**400],
        "positive": [*numbers, -1.0, 10**400],
        "whole": [*numbers, 2.5, -1, 3.0, "2"],
        "count": [*numbers, 0, -1, 2.5, 3.0],
        "label": [*numbers, -1, 10**9, 0.0, 10**400],
        "labels": [[0.5], ["0"], [True], [-1], [10**9], np.zeros((1, 1), int), "0", 5, [None], np.array([1j]), [1e0]],
        "flag": ["yes", 1, 0, None, np.array([True, False]), "False"],
        "choice": [None, 5, "", "MEAN", ["mean"], np.array(["mean"]), b"mean", True, "mean ", np.ones(2)],
        "seed": [-1, 1.5, "12", [1, -2], [], ["1"], True, [1.5], [True], np.ones(2), 1j, np.ones((2, 2), int)],
        "threads": [0, -1, 2.5, "2", True, math.nan, [1], 1j],
        "prior": [*named, il.LabelPrior, [0.5, 0.5], {"a": 1}],
        "scheme": [*named, il.Scheme, il.samplers.Uniform(), [1]],
        "schemes": [None, "scheme", [5], 3, il.Scheme, [il.Scheme], il.samplers.Uniform(), [None]],
        "problem": [*named, il.Problem],
        "loss": [*named, il.losses.logistic, il.losses.SoftmaxCrossEntropy, il.losses.Decoupled, il.margins.Softmax()],
        "margin": [*named, il.margins.Softmax, SOFTMAX, il.samplers.Uniform()],
        "sampler": [*named, il.samplers.Uniform, il.margins.Softmax(), SOFTMAX],
        "weighting": [*named, il.weightings.Constant, il.margins.Softmax(), SOFTMAX],
        "binary": [*named, SOFTMAX, il.losses.SoftmaxCrossEntropy],
        "function": [None, "f", 5, il.Scheme, np.ones(2)],
        "path": [1, 0, None, True, 2.5, b"x", [], "no/such/file", "nul\0", io.StringIO("label,count\na,1\n")],
        "text": [None, 5, [], True, np.ones(2)],
        "matrix": [None, "x", 5, np.ones(3), np.ones((2, 2, 2)), [[1.0], [1.0, 2.0]], [["a", "b"]], [[math.nan, 1.0]],
                   [[1j, 2.0]], [[True, False]], [[1e200, 1.0]], np.ma.MaskedArray([[1.0, 2.0]], mask=[[True, False]])],
        "mixture": [*named, il.spectral.GaussianMixture],
        "learner": [*named, il.spectral.Ridge, il.spectral.Noise(1.0)],
        "augment": [*named, il.spectral.Dropout, il.spectral.Ridge(1.0)],
        "each": ["3", "", True, math.nan, math.inf, -1, 0, None, 1j, [], [[1.0]], np.ones((2, 2)), float, [None, 1.0]],
        "classes": [None, "ab", 5, True, [None] * 99, {"a": 1}, iter([1, 2]), np.ones((3, 2)), [], [[1], [2]]],
        "pair": ["3", True, math.nan, None, 1j, [], 5.0, [1.0], np.ones(3), [math.inf, 0.0], np.ones((2, 1)), float],
        "names": ["ab", 5, [1.5, 2.5], [None], {"a": 1}, ["same", "same"], [b"a"], [[]]],
    }  # fmt: skip
    if kind in ("vector", "shares", "counts"):
        worse = [-np.ones(len(good)), np.full(len(good), 0.123)] if kind != "vector" else []
        choices = [_no_vector(v, good), *worse]
    else:
        choices = own[kind]
    for _ in range(100):
        found = _of_no_kind(v) if v.chance(0.3) and kind != "names" else v.one(*choices)
        if not _fits(kind, found, good):
            return found
    raise AssertionError(kind)


def _fits(kind: str, found: Any, good: Any) -> bool:
    """Whether a piece of garbage happens to be right for once."""
    if kind == "labels":
        return isinstance(found, set)
    if kind == "seed":
        return found is None
    if kind in ("function", "binary"):
        return callable(found) and not isinstance(found, type)
    if kind == "vector" and isinstance(found, np.ndarray) and found.shape == (1, 1):
        return True  # one weight for all pairs of one label
    if kind == "weighting" and isinstance(found, (np.ndarray, tuple)):
        return True  # weights are numbers, too
    if kind in ("shares", "counts") and isinstance(found, dict):
        return True
    if kind in ("shares", "counts"):
        # A label more that has nothing.
        return isinstance(found, np.ndarray) and found.shape == (len(good) + 1,)
    return False


# --- calls ----------------------------------------------------------------------------------------------------------

Check = Callable[[Any], None]


@dataclass
class Call:
    """A function, its arguments by name with their kinds, and what must hold of its value."""

    function: Callable[..., Any]
    arguments: dict[str, tuple[str, Any]]
    check: Check = field(default=lambda value: None)
    spoilt: str | None = None

    def spoil(self, v: Values) -> None:
        """Put garbage in one argument's place."""
        open_to = [name for name, (kind, _) in self.arguments.items() if kind]
        if not open_to:
            return
        name = v.one(*open_to)
        kind, good = self.arguments[name]
        found = garbage(v, kind, good)
        if kind.endswith("?") and found is None:
            return
        self.spoilt, self.arguments[name] = name, (kind, found)

    def __call__(self) -> Any:
        return self.function(**{name: value for name, (_, value) in self.arguments.items()})

    def __str__(self) -> str:
        shown = ", ".join(f"{name}={_shown(value)}" for name, (_, value) in self.arguments.items())
        return f"{getattr(self.function, '__qualname__', self.function)}({shown})"


def _shown(value: Any) -> str:
    if isinstance(value, il.Problem):
        prior = value.prior
        level = prior.probabilities if prior.counts is None else prior.counts
        others = value.other_positives.tolist()
        return f"Problem({value.scores.tolist()}, {level.tolist()}, {value.positive}, {others})"[:600]
    if isinstance(value, il.LabelPrior):
        return f"LabelPrior({(value.probabilities if value.counts is None else value.counts).tolist()})"[:300]
    if isinstance(value, il.samplers.Explicit):
        return f"Explicit({value.q.tolist()})"
    if isinstance(value, il.Scheme):
        return f"Scheme({_shown(value.sampler)}, {value.weighting!r}, m={value.m}, hits={value.hits!r})"
    if isinstance(value, list) and value and isinstance(value[0], il.Scheme):
        return f"[{', '.join(map(_shown, value))}]"
    try:
        return " ".join(repr(value).split())[:400]
    except Exception:
        return f"a {type(value).__name__}"


def close(name: str, value: Any, error: Any, expected: Any, slack: float = 0.0) -> None:
    """*Raises* Wrong unless `value` is `expected` within `error` (and what doubles cannot tell)."""
    value, error, expected = (np.asarray(x, dtype=np.float64) for x in (value, error, expected))
    if value.shape != expected.shape:
        raise Wrong(f"{name}: shape {value.shape} in place of {expected.shape}")
    if not np.all(np.isfinite(expected)):
        raise Wrong(f"{name}: {value!r} for a truth that no float holds")
    with np.errstate(invalid="ignore"):
        off = np.abs(value - expected)
        allowed = error + slack * np.abs(expected) + 2.0**-52 * np.abs(expected) + 1e-45
    if not np.all(off <= allowed):
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            worst = np.unravel_index(int(np.nanargmax(np.where(np.isnan(off), np.inf, off / allowed))), off.shape)
        raise Wrong(f"{name}: {value[worst]!r} ± {error[worst] if error.shape else error!r} for {expected[worst]!r}")


def by_hand(scheme: Any, loss: Any, problem: Any) -> dict[str, Any] | None:
    """The hand-made numbers where they can be had, and floats hold them."""
    if not in_reach(scheme, problem):
        return None
    try:
        return numbers(scheme, loss, problem)
    except Undefined:
        raise Wrong("a value where the scheme is undefined") from None


def exact(quantity: str, scheme: Any, loss: Any, problem: Any) -> Callable[[Any], None]:
    """A check of an exact estimate, by the hand-made numbers."""

    def check(found: Any) -> None:
        sound(found)
        if quantity in ("variance", "mse", "gap", "gradient_variance") and float(found) < -float(found.error):
            raise Wrong(f"negative {quantity}: {found!r}")
        if quantity == "gradient" and loss.has_log:
            close("sum of the gradient", found.value.sum(), found.error.sum() + 1e-15 * abs(found.value).sum(), 0.0)
        if quantity == "mean":
            bound = il.implicit_loss(scheme, loss, problem)
            if float(found) - float(found.error) > float(bound) + float(bound.error):
                raise Wrong(f"mean above the bound: {found!r}, {bound!r}")
        expected = by_hand(scheme, loss, problem)
        if expected is not None:
            close(quantity, found.value, found.error + coarse(quantity, expected), floats(expected[quantity]))

    return check


def coarse(quantity: str, expected: dict[str, Any]) -> float:
    """What 60 digits leave of a difference of huge numbers."""
    if quantity == "gradient_variance":
        return float(mp.mpf("1e-50") * expected["squared gradient"])
    size = abs(expected["implicit"])
    return 0.0 if quantity in ("mean", "gradient") else float(mp.mpf("1e-50") * size ** (1 if quantity == "gap" else 2))


def sound(found: Any) -> None:
    """An estimate's numbers are finite, its errors not negative, its dictionary JSON, its table a table."""
    plain = found.to_dict()
    json.dumps(plain, allow_nan=False)
    for name in ("value", "error"):
        if not np.all(np.isfinite(getattr(found, name))):
            raise Wrong(f"{name} is not finite: {found!r}")
    if np.any(np.asarray(found.error) < 0):
        raise Wrong(f"negative error: {found!r}")
    if np.ndim(found.value) <= 1:
        found.to_frame()
    repr(found)


def finite(value: Any, shape: tuple[int, ...] | None = None) -> None:
    if not np.all(np.isfinite(value)):
        raise Wrong("not finite")
    if shape is not None and np.shape(value) != shape:
        raise Wrong(f"shape {np.shape(value)} in place of {shape}")


# --- targets --------------------------------------------------------------------------------------------------------


def _witness(function: Any, sizes: tuple[int, int]) -> Callable[[Values], Call]:
    def make(v: Values) -> Call:
        problem = v.problem(v.whole(1, sizes[0]) if v.chance(0.7) else None)
        scheme = v.scheme(problem.prior.n_labels, v.whole(1, sizes[1]) if v.chance(0.7) else None)
        loss, quantity = v.loss(), v.one(*QUANTITIES)
        arguments = {
            "scheme": ("scheme", scheme),
            "loss": ("loss", loss),
            "problem": ("problem", problem),
            "quantity": ("choice", quantity),
        }
        return Call(function, arguments, exact(quantity, scheme, loss, problem))

    return make


def _integrate_many(v: Values) -> Call:
    """So many labels that they are compressed; softmax, by enumeration of the draws' total where m = 1."""
    n = v.one(5_000, 6_001)
    prior = il.LabelPrior.zipf(n, 1.0)
    problem = il.Problem(v.scores(n), prior, v.whole(0, n - 1))
    scheme = il.Scheme(v.one(il.samplers.Uniform(), il.samplers.WithinBatch()), v.weighting(), m=v.m(), hits="mask")
    arguments = {"scheme": ("", scheme), "loss": ("", SOFTMAX), "problem": ("", problem), "quantity": ("", "mean")}

    def check(found: Any) -> None:
        sound(found)
        if scheme.m == 1:
            q, p = np.exp(scheme.sampler.log_law(problem)), np.exp(scheme.plan(problem).log_w)
            x = problem.scores - problem.scores[problem.positive]
            with np.errstate(divide="ignore"):
                each = np.logaddexp(0.0, np.log(p) + x)
            close("mean", float(found), float(found.error), math.fsum(q * each), 1e-12)

    return Call(il.integrate, arguments, check)


def _simulate(v: Values) -> Call:
    problem = v.problem(v.whole(1, 5) if v.chance(0.7) else None)
    scheme = v.scheme(problem.prior.n_labels, v.whole(1, 4) if v.chance(0.8) else v.one(10, 100, 10**7))
    loss, quantity = v.loss(), v.one(*QUANTITIES)
    runs = v.one(2, 50, 500, 2000)
    if scheme.m > 1000:
        runs = 2
    expected = None
    try:
        reference = float(il.implicit_loss(scheme, loss, problem)) if quantity in ("mse", "gap") else None
        expected = by_hand(scheme, loss, problem)
    except (ValueError, ArithmeticError, Wrong):  # the call itself will say so
        reference = None
    arguments = {
        "scheme": ("scheme", scheme), "loss": ("loss", loss), "problem": ("problem", problem),
        "quantity": ("choice", quantity), "runs": ("count", v.as_whole(runs)), "rng": ("seed?", v.seed()),
        "reference": ("number?", reference), "control": ("flag", False), "threads": ("threads?", v.one(None, 1, 2)),
    }  # fmt: skip

    def check(found: Any) -> None:
        sound(found)
        if expected is None or found.low is None:
            return
        span = np.asarray(found.high) - np.asarray(found.low)
        # Empirical Bernstein (Maurer and Pontil 2009): false alarm 3e-10 a number; within eight errors is narrower.
        width = np.sqrt(2 * RARE) * np.asarray(found.error) + 7 * span * RARE / (3 * max(found.n - 1, 1))
        # What a run's loss and the reference round, where all runs are alike.
        rounding = 1e-9 * span + 1e-12 * abs(reference or 0.0)
        allowed = np.maximum(8 * np.asarray(found.error), width) + rounding
        close(f"simulated {quantity}", found.value, allowed, floats(expected[quantity]), 1e-9)

    return Call(il.simulate, arguments, check)


def _decide(v: Values) -> Call:
    problem = v.problem(v.whole(1, 5))
    scheme = v.scheme(problem.prior.n_labels, v.whole(1, 3))
    claimed = v.real(0, 3)
    arguments = {
        "scheme": ("scheme", scheme), "loss": ("loss", v.loss()), "problem": ("problem", problem),
        "claimed": ("number", v.as_number(claimed)), "resolution": ("positive", v.as_number(v.one(0.5, 1e-3, 1e300))),
        "quantity": ("choice", v.one("mean", "variance", "gradient_variance")),
        "error": ("positive", v.one(1e-6, 0.5, 1e-300)),
        "rng": ("seed?", v.seed()), "budget": ("count", v.one(10_000, 100_000)), "threads": ("threads?", 1),
    }  # fmt: skip

    def check(found: Any) -> None:
        sound(found.estimate)
        if not all(map(math.isfinite, (found.width, found.runs, found.saved, found.looks))):
            raise Wrong(f"not finite: {found}")

    return Call(il.decide, arguments, check)


def _sweep(v: Values) -> Call:
    prior = v.prior(v.whole(1, 6) if v.chance(0.6) else None)
    n = prior.n_labels
    sampler, hits, loss = v.sampler(n), v.one(*HITS), v.loss() if v.chance(0.2) else SOFTMAX
    schemes = [
        il.Scheme(sampler, v.weighting(), m=v.whole(1, 4) if v.chance(0.6) else v.one(50, 10**6), hits=hits)
        for _ in range(v.whole(1, 3))
    ]
    positives = sorted({v.whole(0, n - 1) for _ in range(3)})
    quantities = v.one(("mean",), ("mean", "gap"), ("variance", "mse"), ("gradient",), ("gradient_variance",))
    scores = v.scores(n)
    arguments = {
        "schemes": ("schemes", schemes), "loss": ("loss", loss), "scores": ("vector", v.as_array(scores)),
        "prior": ("prior", prior), "positives": ("labels?", v.one(positives, np.array(positives))),
        "quantities": ("labels", quantities),
    }  # fmt: skip

    def check(found: Any) -> None:
        for quantity, estimate in found.items():
            sound(estimate)
            for i, scheme in enumerate(schemes):
                for j, y in enumerate(positives):
                    problem = il.Problem(scores, prior, y)
                    value, error = estimate.value[i, j], estimate.error[i, j]
                    expected = by_hand(scheme, loss, problem)
                    alone = il.integrate(scheme, loss, problem, quantity)
                    close(f"sweep's {quantity}", value, error + np.asarray(alone.error), alone.value)
                    if expected is not None:
                        coarsely = error + coarse(quantity, expected)
                        close(f"sweep's {quantity} by hand", value, coarsely, floats(expected[quantity]))

    return Call(il.sweep, arguments, check)


def _implicit_loss(v: Values) -> Call:
    problem = v.problem(v.whole(1, 8) if v.chance(0.6) else None)
    scheme, loss = v.scheme(problem.prior.n_labels, v.whole(1, 3) if v.chance(0.6) else None), v.loss()

    def check(found: Any) -> None:
        sound(found)
        expected = by_hand(scheme, loss, problem)
        if expected is not None:
            close("implicit loss", float(found), found.error, float(expected["implicit"]), _rounding(scheme, problem))

    arguments = {"scheme": ("scheme", scheme), "loss": ("loss", loss), "problem": ("problem", problem)}
    return Call(il.implicit_loss, arguments, check)


def _rounding(scheme: Any, problem: Any) -> float:
    """How far numbers without errors of their own may be off, relatively: the rounding of scores and log weights."""
    with np.errstate(invalid="ignore"):
        logs = np.abs(np.array([x for x in np.concatenate(_logs(scheme, problem)) if np.isfinite(x)]))
    return 1e-13 + 8 * 2.0**-52 * float(np.abs(problem.scores).max() + logs.max(initial=0.0))


def _logs(scheme: Any, problem: Any) -> tuple[Any, Any]:
    plan = scheme.plan(problem)
    return plan.log_q, plan.log_w


def _implicit_gradient(v: Values) -> Call:
    call = _implicit_loss(v)
    scheme, loss, problem = (value for _, value in call.arguments.values())

    def check(found: Any) -> None:
        finite(found, (problem.prior.n_labels,))
        if loss.has_log:
            close("sum of the gradient", found.sum(), 1e-14 * np.abs(found).sum(), 0.0)
        expected = by_hand(scheme, loss, problem)
        if expected is not None:
            gradient = floats(expected["implicit gradient"])
            close("implicit gradient", found, 1e-12 * np.abs(gradient).max(), gradient, _rounding(scheme, problem))

    return Call(il.implicit_gradient, call.arguments, check)


def _implicit_margins(v: Values) -> Call:
    prior = v.prior(v.whole(1, 6) if v.chance(0.7) else None)
    n = prior.n_labels
    scheme, scores, loss = v.scheme(n), v.scores(n), v.one(None, v.loss())

    def check(found: Any) -> None:
        finite(found, (n, n))
        if np.diag(found).any():
            raise Wrong("the diagonal is not 0")
        if n <= 6:
            for y in range(n):
                problem = il.Problem(scores, prior, y)
                expected = by_hand(il.Scheme(scheme.sampler, scheme.weighting, m=1, hits=scheme.hits), SOFTMAX, problem)
                if expected is None:  # not written out by hand
                    continue
                with mp.workdps(60):
                    p = [x * _power(scheme) for x in expected["p"]]
                    p = [x / (1 + p[y]) for x in p] if loss is None or loss.has_log else p
                    p[y] = mp.mpf(0)
                close("margins", found[y], 0.0, floats(p), _rounding(scheme, problem))

    arguments = {
        "scheme": ("scheme", scheme), "prior": ("prior", prior), "scores": ("vector?", v.as_array(scores)),
        "loss": ("loss?", loss),
    }  # fmt: skip
    return Call(il.implicit_margins, arguments, check)


def _with_draws(v: Values, n: int, m: int) -> Any:
    scheme = v.scheme(n, m)
    return il.Scheme(scheme.sampler, scheme.weighting, m=m, hits=scheme.hits, draws=v.one(*DRAWS))


def _inclusion(v: Values) -> Call:
    """P(y' ∈ N): at most 1, m in all where draws are distinct, and of few labels by each order of draws."""
    problem = v.problem(v.whole(1, 6) if v.chance(0.7) else None)
    scheme = _with_draws(v, problem.prior.n_labels, v.whole(1, 4) if v.chance(0.7) else v.m())

    def check(found: Any) -> None:
        finite(found, (problem.prior.n_labels,))
        if found.min() < 0 or (scheme.draws != "iid" and found.max() > 1 + 1e-12):
            raise Wrong(f"a probability of {found.max()}")
        law = np.exp(scheme.laws(problem).log_q)
        if scheme.draws in ("iid", "distinct"):
            close("the number of labels", float(found.sum()), 0.0, float(scheme.m), 1e-9)
        else:
            with np.errstate(divide="ignore"):
                close("inclusion", found, 0.0, -np.expm1(scheme.m * np.log1p(-law)), 1e-11)
        drawable = np.flatnonzero(law > 0)
        if scheme.draws == "distinct" and drawable.size <= 6:
            expected = np.zeros(law.size)
            for order in itertools.permutations(drawable.tolist(), scheme.m):
                chance = 1.0
                for i, j in enumerate(order):
                    chance *= law[j] / math.fsum(law[k] for k in drawable if k not in order[:i])
                expected[list(order)] += chance
            close("inclusion", found, 0.0, expected, 1e-10)

    return Call(il.inclusion_probabilities, {"scheme": ("scheme", scheme), "problem": ("problem", problem)}, check)


def _of_sets(v: Values) -> Call:
    """Draws that are not independent, by enumeration, against the integrals and their stated errors."""
    problem = v.problem(v.whole(1, 5))
    scheme = _with_draws(v, problem.prior.n_labels, v.whole(1, 3))
    loss, quantity = v.loss(), v.one(*QUANTITIES)

    def check(found: Any) -> None:
        sound(found)
        other = il.integrate(scheme, loss, problem, quantity)
        error = np.asarray(found.error) + other.error
        close(quantity, np.asarray(found.value), error, np.asarray(other.value), 1e-14)

    arguments = {
        "scheme": ("scheme", scheme), "loss": ("loss", loss), "problem": ("problem", problem),
        "quantity": ("choice", quantity),
    }  # fmt: skip
    return Call(il.exhaust, arguments, check)


def _covariance(v: Values) -> Call:
    """Of an example with itself it is the variance."""
    problem = v.problem(v.whole(1, 5))
    scheme, loss = _with_draws(v, problem.prior.n_labels, v.whole(1, 3)), v.loss()

    def check(found: Any) -> None:
        sound(found)
        variance = il.integrate(scheme, loss, problem, "variance")
        close("covariance", float(found), float(found.error) + float(variance.error), float(variance), 1e-12)

    arguments = {
        "scheme": ("scheme", scheme), "loss": ("loss", loss), "problem_a": ("problem", problem),
        "problem_b": ("problem", problem),
    }  # fmt: skip
    return Call(il.covariance, arguments, check)


def _power(scheme: Any) -> Any:
    """m w q at m over that at m = 1."""
    return mp.mpf(scheme.m) if type(scheme.weighting).__name__ in ("Unit", "Relative") else mp.mpf(1)


def _expand(v: Values) -> Call:
    call = _implicit_loss(v)
    scheme, _, problem = (value for _, value in call.arguments.values())
    call.arguments["loss"] = ("loss", v.one(SOFTMAX, SOFTMAX, SOFTMAX, SOFTMAX, v.loss()))

    def check(found: Any) -> None:
        json.dumps(found.to_dict(), allow_nan=False)
        if found.v < 0:
            raise Wrong(f"negative v: {found}")
        expected = by_hand(scheme, SOFTMAX, problem)
        if expected is not None:
            v_, k3, slack = float(expected["v"]), float(expected["k3"]), 1e3 * _rounding(scheme, problem)
            close("v", found.v, slack**2, v_, slack)
            close("k3", found.k3, slack * (v_**1.5 + slack**2), k3, slack)
            second = (found.k3 / 3 - 3 * found.v**2 / 4) / scheme.m**2
            close("bias", found.bias.value, 1e-12 * found.v, -found.v / (2 * scheme.m) + second, 1e-9)

    return Call(il.expand, call.arguments, check)


def _derive(v: Values) -> Call:
    scheme, loss = v.scheme(4), v.loss()

    def check(found: Any) -> None:
        str(found), found.latex()
        if not all(math.isfinite(float(step.checked)) for step in found.steps):
            raise Wrong("a step is neither checked nor unchecked")

    return Call(il.derive, {"scheme": ("scheme", scheme), "loss": ("loss", loss)}, check)


def _verify(v: Values) -> Call:
    problem = v.problem(v.whole(2, 5))
    scheme = v.scheme(problem.prior.n_labels, v.whole(1, 3))
    arguments = {
        "scheme": ("scheme", scheme), "problem": ("problem", problem), "target": ("margin?", None),
        "rng": ("whole", v.one(0, 1)), "full": ("flag", False), "threads": ("threads?", v.one(None, 1)),
    }  # fmt: skip

    def check(found: Any) -> None:
        str(found)
        refuted = [verdict.id for verdict in found.verdicts if verdict.outcome.name == "REFUTED"]
        if refuted:
            raise Wrong(f"refuted: {refuted}")

    return Call(il.verify, arguments, check)


def _no_needs(v: Values, n: int) -> Any:
    s = il.samplers
    return v.one(s.Uniform(), s.WithinBatch(), s.Power(0.75), s.LogUniform(), s.Mixture(), v.sampler(n))


def _optimum(v: Values) -> Call:
    prior = v.prior(v.whole(1, 6))
    n = prior.n_labels
    draws = v.one("iid", "iid", *DRAWS)
    m = v.one(1, 2, 5, 64) if draws != "distinct" else min(v.one(1, 2, 5), n)
    scheme = il.Scheme(_no_needs(v, n), v.weighting(), m=m, hits=v.one(*HITS), draws=draws)
    eta = v.one(np.full(n, 1 / n), v.rng.dirichlet(np.ones(n)) * 0.9 + 0.1 / n)
    loss, of = v.loss(), v.one("implicit", "sampled")
    arguments = {
        "scheme": ("scheme", scheme), "loss": ("loss", loss), "eta": ("shares", v.as_array(eta)),
        "prior": ("prior", prior), "of": ("choice", of),
    }  # fmt: skip

    def check(found: Any) -> None:
        finite(found, (n,))
        total = np.zeros(n)
        for y in range(n):
            problem = il.Problem(found, prior, y)
            gradient = (
                il.implicit_gradient(scheme, loss, problem)
                if of == "implicit" or not loss.has_log
                else il.integrate(scheme, loss, problem, "gradient").value
            )
            total += eta[y] * gradient
        # A kink has a gradient on either side; and where weights are huge, the next score that floats have is far off.
        if getattr(loss, "binary", None) is il.losses.hinge:
            return
        step = 0.0
        if not loss.has_log:
            weights = np.array([il.implicit_margins(scheme, prior, loss=loss)[y] for y in range(n)])
            step = 1e-14 * (1 + np.abs(found)) * (eta @ weights)
        if not np.all(np.abs(total) <= 1e-6 * eta + step):
            raise Wrong(f"no optimum: a gradient of {np.abs(total).max():.3g}")

    return Call(il.population_optimum, arguments, check)


def _waterfilling(v: Values) -> Call:
    """Scores fall with how often a label counts, and the labels in T fill the k places."""
    prior = v.prior(v.whole(2, 6))
    n = prior.n_labels
    hard = il.HardNegatives(v.whole(1, n - 1), weight=v.one(1.0, 3.0), overlap=v.one(*OVERLAPS))
    scheme = il.Scheme(_no_needs(v, n), v.weighting(), m=v.one(1, 2, 5, 64), hits=v.one(*HITS), hard=hard)
    eta = v.one(np.full(n, 1 / n), v.rng.dirichlet(np.ones(n)) * 0.9 + 0.1 / n)
    arguments = {
        "scheme": ("scheme", scheme), "loss": ("loss", v.loss()), "eta": ("vector", v.as_array(eta)),
        "prior": ("prior", prior),
    }  # fmt: skip

    def check(found: Any) -> None:
        repr(found)
        finite(found.scores, (n,))
        if np.any(found.inclusion < 0) or np.any(found.inclusion > 1) or abs(found.inclusion.sum() - hard.k) > 1e-6:
            raise Wrong(f"inclusion {found.inclusion}")
        if found.tied.size and np.ptp(found.scores[found.tied]) > 1e-9:
            raise Wrong(f"tied labels at {found.scores[found.tied]}")

    return Call(il.waterfilling, arguments, check)


def _stale_index(v: Values) -> Call:
    n = v.whole(3, 8)
    hard = il.HardNegatives(v.whole(1, n - 1), weight=v.one(1.0, 3.0), overlap=v.one("keep", "mask"))
    scheme = il.Scheme(il.samplers.Uniform(), il.weightings.Unit(), m=v.one(1, 2), hits=v.one(*HITS), hard=hard)
    arguments = {
        "scheme": ("scheme", scheme), "eta": ("vector", v.as_array(v.rng.uniform(0.01, 0.9, n))),
        "refresh": ("count", v.one(1, 100)), "step": ("positive", v.one(0.01, 1.0)),
        "method": ("choice", v.one("period map", "renewal")), "refreshes": ("count?", v.as_whole(v.whole(3, 20))),
    }  # fmt: skip

    def check(found: Any) -> None:
        repr(found)
        finite([found.loss, *found.duty, *found.swing])
        if abs(found.duty.sum() - hard.k) > 1e-6 or np.any(found.swing > found.cap + 1e-9):
            raise Wrong(f"duty {found.duty}, swing {found.swing}, cap {found.cap}")
        if found.loss < found.least_loss * (1 - 1e-3):
            raise Wrong(f"a loss of {found.loss} below the least, {found.least_loss}")

    return Call(il.stale_index, arguments, check)


def _information(v: Values) -> Call:
    prior = v.prior()
    n = prior.n_labels
    eta = v.rng.dirichlet(np.ones(n)) if n > 1 else np.ones(1)
    weighting = v.one(il.weightings.Relative(), il.weightings.Consistent(il.margins.LogitAdjusted()))
    sampler = v.one(il.samplers.Uniform(), il.samplers.WithinBatch(), il.samplers.Mixture(0.5))
    arguments = {
        "scheme": ("", il.Scheme(sampler, weighting, m=v.m(), hits="keep")), "eta": ("shares", eta),
        "prior": ("prior", prior), "contrasts": ("", v.one(None, None, np.eye(n))),
    }  # fmt: skip

    def check(found: Any) -> None:
        sound(found)
        if np.any(found.value < 0) or np.any(found.value > 1):
            raise Wrong(f"a share of {found.value}")

    return Call(il.information, arguments, check)


def _price(v: Values) -> Call:
    problem, loss = v.problem(), v.loss()
    scheme = v.scheme(problem.prior.n_labels)
    arguments = {
        "scheme": ("scheme", scheme), "loss": ("loss", loss), "problem": ("problem", problem),
        "dimension": ("count?", v.one(None, None, 1, 64)),
    }  # fmt: skip

    def check(found: Any) -> None:
        if not (found.chi2 >= 0 and found.v >= 0 and found.variance >= 0 and found.multiply_adds > 0):
            raise Wrong(f"a price of {found}")

    return Call(il.price, arguments, check)


def _design(v: Values) -> Call:
    prior = v.prior()
    sampler = v.one(il.samplers.Uniform(), il.samplers.WithinBatch(), il.samplers.Mixture(0.5), il.samplers.Power(0.5))
    target = v.one(il.margins.Softmax(), il.margins.LogitAdjusted(0.5), il.margins.Equalised())
    scores = v.one(None, None, v.rng.standard_normal((v.whole(1, 3), prior.n_labels)))
    arguments = {
        "prior": ("prior", prior), "target": ("margin", target), "sampler": ("sampler", sampler), "m": ("count", v.m()),
        "scores": ("", scores),
    }  # fmt: skip

    def check(found: Any) -> None:
        repr(found)
        finite([off for off in found.deviation.values() if not np.isnan(off)])
        if not found.is_exact:
            return
        finite(found.shift, (found.prior.n_labels,))
        if not all(0 <= kept <= 1 for kept in found.information.values()):
            raise Wrong(f"information {found.information}")
        m = found.negatives_for(information=0.5, slice=next(iter(found.information)))
        if m is not None and not m >= 1:
            raise Wrong(f"{m} draws")

    return Call(il.design, arguments, check)


def _measured_tilt(v: Values) -> Call:
    shape = v.whole(1, 40), v.whole(2, 5)
    logits, log_prior = v.rng.standard_normal(shape), np.log(v.rng.integers(1, 9, shape))
    return Call(il.measured_tilt, {"logits": ("matrix", logits), "log_prior": ("matrix", log_prior)}, sound)


def _tilt(v: Values) -> Call:
    call = _optimum(v)
    arguments = {name: call.arguments[name] for name in ("scheme", "prior", "of")}
    return Call(il.tilt, arguments, finite)


def _catalogue(v: Values) -> Call:
    def check(found: Any) -> None:
        json.dumps([one.to_dict() for one in found], allow_nan=False)
        for one in found:
            if (one.gains is None) != all(tilt is None for tilt in vars(one.tilt).values()):
                raise Wrong(f"{one.gains} gain at {one.tilt}")
            if one.gains is None and not one.missing:
                raise Wrong(f"no numbers of {one.name}, and no reason")

    return Call(il.catalogue, {"prior": ("prior", v.prior(v.whole(1, 40))), "m": ("count", v.m())}, check)


def _compare(v: Values) -> Call:
    n = v.whole(1, 8)
    schemes = [v.scheme(n) for _ in range(v.whole(1, 3))]
    given = v.one(schemes, {f"s{i}": scheme for i, scheme in enumerate(schemes)})
    arguments = {
        "schemes": ("schemes", given), "prior": ("prior", v.prior(n)),
        "scores": v.one(("", None), ("vector", v.as_array(v.scores(n)))), "loss": ("loss?", v.one(None, v.loss())),
    }  # fmt: skip

    def check(found: Any) -> None:
        if len(found) != len(schemes) or not (found["variance"] >= -1e-12).all():
            raise Wrong(f"a table of {len(found)} schemes")

    return Call(il.compare, arguments, check)


def _plot(name: str) -> Callable[[Values], Call]:
    """A plot of a scheme, on axes that are no part of pyplot's state."""

    def make(v: Values) -> Call:
        from matplotlib.figure import Figure

        n = v.whole(3, 8)
        scheme, prior, ax = v.scheme(n), v.prior(n), Figure().subplots()
        arguments = {"data": ("scheme" if name == "margins" else "", scheme), "prior": ("prior", prior)}
        if name in ("losses", "gap", "variance", "gradient_bias"):
            arguments["scores"] = v.one(("", None), ("vector", v.as_array(v.scores(n))))
        if name in ("losses", "gap", "variance", "tilt", "optima"):
            arguments["m"] = ("labels?", [1, 3])
        if name == "map":
            arguments["contours"] = ("", False)
        arguments |= {"ax": ("", ax), "latex": ("", v.one(True, False))}
        return Call(getattr(il.plot, name), arguments)

    return make


def _plateau(v: Values) -> Call:
    from matplotlib.figure import Figure

    given = _waterfilling(v).arguments
    arguments = {
        "data": ("", given.pop("scheme")[1]),
        "prior": given["prior"],
        "eta": given["eta"],
        "loss": ("loss?", given["loss"][1]),
    }
    return Call(il.plot.plateau, arguments | {"ax": ("", Figure().subplots())})


def _frontier(v: Values) -> Call:
    from matplotlib.figure import Figure

    priced = _price(v).arguments
    arguments = {"data": ("", priced.pop("scheme")[1]), "problem": priced.pop("problem"), "m": ("", [1, 3])}
    priced["loss"] = ("loss?", priced["loss"][1])
    return Call(il.plot.frontier, arguments | priced | {"ax": ("", Figure().subplots())})


def _axes_of_bias(v: Values) -> Call:
    from matplotlib.figure import Figure

    gaps = [il.spectral.gap([1.0, -1.0 - k], [1.0, 2.0], [1.5, -1.5], v.one(0.0, 0.5)) for k in range(v.whole(1, 3))]
    arguments = {"data": ("", gaps), "ax": ("", Figure().subplots()), "latex": ("", v.one(True, False))}
    return Call(il.plot.axes_of_bias, arguments)


def _place(v: Values) -> Call:
    n = v.whole(3, 8)
    arguments = {"scheme": ("scheme", v.scheme(n)), "prior": ("prior", v.prior(n))}
    return Call(il.plot.place, arguments, lambda found: finite([found.const, found.b, found.c, found.misfit]))


def _certify(v: Values) -> Call:
    call = _optimum(v)
    n = call.arguments["prior"][1].n_labels
    call.arguments["loss"] = ("loss", v.one(SOFTMAX, SOFTMAX, SOFTMAX, v.loss()))
    call.arguments["f"] = ("vector", v.as_array(v.one(v.rng.standard_normal(n), np.zeros(n))))

    def check(found: Any) -> None:
        finite([found.gradient, found.curvature])
        if not found.distance >= 0:  # inf where the bound says nothing, as documented
            raise Wrong(f"distance {found.distance}")

    return Call(il.certify_optimum, call.arguments, check)


def _minibatch(v: Values) -> Call:
    prior = v.prior(v.whole(1, 8))
    n, size = prior.n_labels, v.one(0, 1, 3, 5)
    m = v.one(1, 2, 5, 30)
    objective = v.one(v.margin(), v.scheme(n, m), v.scheme(n, m), v.scheme(n, m))
    loss, scores = v.loss(), np.array([v.scores(n) for _ in range(size)]).reshape(size, n)
    positives = v.rng.integers(0, n, size)

    def run(objective: Any, loss: Any, prior: Any, rng: Any) -> Any:
        return il.Minibatch(objective, loss, prior)(scores, positives, rng)

    def check(found: Any) -> None:
        losses, gradient = found
        finite(losses, (size,))
        finite(gradient, (size, n))
        if loss.has_log and size:
            off = np.abs(gradient.sum(axis=1)) - 1e-13 * np.abs(gradient).sum(axis=1)
            # Of a kept hit's share of 1 the last digit is 1e-16.
            if off.max() > 1e-15 or losses.min() < 0:
                raise Wrong("the gradient does not sum to 0, or a loss is negative")

    arguments = {
        "objective": ("scheme", objective), "loss": ("loss", loss), "prior": ("prior", prior),
        "rng": ("", np.random.default_rng(v.whole(0, 99))),
    }  # fmt: skip
    return Call(run, arguments, check)


def _full(scores: Any, positive: Any, rng: Any) -> Any:
    top = scores.max(axis=1, keepdims=True)
    log_z = top[:, 0] + np.log(np.exp(scores - top).sum(axis=1))
    gradient = np.exp(scores - log_z[:, None])
    gradient[np.arange(len(positive)), positive] -= 1
    return log_z - scores[np.arange(len(positive)), positive], gradient


def _audit(v: Values) -> Call:
    prior = v.one(il.LabelPrior.zipf(4, 1.0), il.LabelPrior.from_counts([5, 3, 0, 1]), v.prior(v.whole(1, 5)))
    arguments = {
        "loss_fn": ("function", _full), "claim": ("", v.one("full", "full", None, il.margins.Softmax())),
        "prior": ("prior", prior), "runs": ("count?", v.one(32, 40)), "rng": ("seed?", v.seed()),
        "temperature": ("positive", 1.0), "tolerance": ("number", 0.0), "resolution": ("positive", v.one(0.25, 1.0)),
        "largest_contribution": ("positive", 10.0), "error": ("positive", v.one(1e-6, 1e-3)), "shift": ("", 0.0),
        "form": ("choice", "softmax"), "positives": ("labels?", v.one(None, [0])),
        "scores": ("vector?", v.one(None, v.rng.standard_normal(prior.n_labels))),
        "other_positives": ("labels", []),
    }  # fmt: skip
    if arguments["scores"][1] is None:
        arguments["scores"] = ("", None)

    def check(found: Any) -> None:
        json.dumps(found.to_dict(), allow_nan=False)
        str(found), found.explain()
        if found.verdict == "refuted":
            raise Wrong(f"a true claim is refuted: {found.flaws}")

    return Call(il.audit, arguments, check)


def _assert_implicit_loss(v: Values) -> Call:
    prior = il.LabelPrior.zipf(v.whole(2, 5), 1.0)
    arguments = {
        "loss_fn": ("function", _full), "claim": ("", "full"), "prior": ("prior", prior), "rng": ("seed?", v.seed()),
        "runs": ("count?", 64),
    }  # fmt: skip
    return Call(il.assert_implicit_loss, arguments, lambda found: json.dumps(found.to_dict(), allow_nan=False))


def _adapter(name: str) -> Callable[[Values], Call]:
    def make(v: Values) -> Call:
        return Call(getattr(il.adapters, name), {"loss": ("function", _full), "dtype": ("choice", "float64")})

    return make


def _in_batch(v: Values) -> Call:
    prior, batch = il.LabelPrior.zipf(v.whole(1, 5), 1.0), v.whole(2, 5)

    def loss(queries: Any, items: Any, labels: Any) -> Any:
        logits = queries @ items.T
        return np.log(np.exp(logits).sum(axis=1)) - np.diag(logits)

    def check(found: Any) -> None:
        finite(found(np.zeros((2, prior.n_labels)), np.zeros(2, dtype=int), np.random.default_rng(0)), (2,))

    arguments = {"loss": ("function", loss), "prior": ("prior", prior), "batch": ("count", v.as_whole(batch)),
                 "framework": ("choice", "numpy"), "given": ("choice", "embeddings"), "reduction": ("choice", "none"),
                 "symmetric": ("flag", False), "negatives": ("whole", 0), "warmup": ("whole", 0),
                 "two_views": ("flag", v.one(False, True))}  # fmt: skip
    return Call(il.adapters.in_batch, arguments, check)


def _one_by_one(v: Values) -> Call:
    def check(found: Any) -> None:
        value, gradient = found(np.zeros((2, 3)), np.array([0, 1]), np.random.default_rng(0))
        close("loss", value, 1e-15, np.log([3.0, 3.0]))
        finite(gradient, (2, 3))

    return Call(il.adapters.one_by_one, {"loss_fn": ("function", _full)}, check)


# --- targets: what one says -----------------------------------------------------------------------------------------


def _a_prior(found: Any) -> None:
    json.dumps(found.to_dict(), allow_nan=False)
    close("mass", found.probabilities.sum(), 1e-9, 1.0)
    if found.n_labels > 1 and found.by_frequency.size != found.n_labels:
        raise Wrong("by_frequency")
    if f"{found.n_labels} label" not in repr(found):
        raise Wrong(repr(found))
    if np.concatenate(list(found.slices().values())).size != found.n_labels:
        raise Wrong("slices")


def _profile(name: str) -> Callable[[Values], Call]:
    def make(v: Values) -> Call:
        n = ("count", v.as_whole(v.n_labels()))
        if name == "zipf":
            exponent = v.one(0, 1.0, v.real(0, 4), 1e300, 700.0)
            return Call(il.LabelPrior.zipf, {"n_labels": n, "exponent": ("positive", v.as_number(exponent))}, _a_prior)
        largest = v.one(1, 500, 10**9, 2**53)
        arguments = {"n_labels": n, "largest": ("count_", largest), "ratio": ("positive", v.one(1, 100, 7.5, 1e300))}
        arguments["largest"] = ("positive", largest)
        return Call(getattr(il.LabelPrior, name), arguments, _a_prior)

    return make


def _from_counts(v: Values) -> Call:
    counts = v.counts(v.n_labels())
    names = ("names", [f"n{k}" for k in range(counts.size)]) if counts.size > 1 else ("", None)
    if v.chance(0.3):
        labels = v.one([f"n{k}" for k in range(counts.size)], v.rng.permutation(counts.size).tolist())
        labelled = v.one(dict, lambda pairs: pd.Series(dict(pairs)))(zip(labels, counts.tolist(), strict=True))
        return Call(il.LabelPrior.from_counts, {"counts": ("", labelled)}, _a_prior)
    arguments = {"counts": ("counts", v.as_array(counts)), "names": v.one(("", None), names)}
    return Call(il.LabelPrior.from_counts, arguments, _a_prior)


def _from_probabilities(v: Values) -> Call:
    n = v.n_labels()
    p = v.rng.dirichlet(np.ones(n)) if n > 1 else np.ones(1)
    return Call(il.LabelPrior.from_probabilities, {"probabilities": ("shares", v.as_array(p))}, _a_prior)


def _label_prior(v: Values) -> Call:
    counts = v.counts(v.n_labels()).astype(float)
    shares = counts / counts.sum()
    arguments = {"probabilities": ("shares", shares), "counts": ("counts?", v.as_array(counts)), "names": ("", None)}
    return Call(il.LabelPrior, arguments, _a_prior)


def _from_file(v: Values) -> Call:
    n = v.whole(1, 6)
    lines = ["label,count", *(f"label {k},{v.whole(1, 9)}" for k in range(n))]
    if v.chance(0.5):
        k = v.whole(0, n)
        lines[k] = v.one(
            "", ",", "a,b", "a", "label,1e400", "x" * 5000 + ",-1", "label 0,1", '"a\nb",nan', "é,3", "a,0"
        )
    place = Path(_folder()) / "counts.csv"
    place.write_bytes("\n".join(lines).encode(v.one("utf-8", "utf-8", "utf-8", "utf-16", "latin-1")))
    return Call(il.LabelPrior.from_file, {"path": ("path", v.one(place, str(place)))}, _a_prior)


@functools.cache
def _folder() -> str:
    folder = tempfile.TemporaryDirectory()
    _KEPT.append(folder)
    return folder.name


_KEPT: list[Any] = []


def _of_prior(v: Values) -> Call:
    prior = v.prior()
    n = prior.n_labels
    which = v.one("few", "name", "label", "label")
    if which == "few":
        return Call(prior.few, {"size": ("count", v.as_whole(v.one(1, 3, n, 10**6)))}, _a_prior)
    if which == "name":
        return Call(prior.name, {"label": ("label", v.as_whole(v.whole(0, n - 1)))}, str.encode)
    name = v.one(prior.name(v.whole(0, n - 1)), prior.name(v.whole(0, n - 1)), str(v.one(-1, n, 10**30)), "x" * 3000)

    def check(found: Any) -> None:
        if prior.name(found) != name.strip():
            raise Wrong(f"{name!r} is {found}")

    return Call(prior.label, {"name": ("text", name)}, check)


def _problem(v: Values) -> Call:
    prior = v.prior()
    scores, y = v.scores(prior.n_labels), v.whole(0, prior.n_labels - 1)
    arguments = {
        "scores": ("vector", v.as_array(scores)),
        "prior": ("prior", prior),
        "positive": ("label", v.as_whole(y)),
        "other_positives": ("labels", v.one([], [j for j in range(prior.n_labels) if j != y][:2])),
    }

    def check(found: Any) -> None:
        repr(found)
        close("scores", found.scores, 0.0, scores)

    return Call(il.Problem, arguments, check)


def _scheme(v: Values) -> Call:
    arguments = {
        "sampler": ("sampler", v.sampler(4)), "weighting": ("weighting", v.weighting()),
        "m": ("count", v.as_whole(v.m())), "hits": ("choice", v.one(*HITS)),
    }  # fmt: skip
    return Call(il.Scheme, arguments, lambda found: (str(found), hash(found)))


def _clusters(v: Values) -> Call:
    """Every law sums to 1, before and after vectors move."""
    n, d = v.whole(1, 30), v.whole(1, 4)
    vectors = v.one(v.rng.normal(size=(n, d)), np.ones((n, d)), v.rng.integers(-2, 3, size=(n, d)))
    arguments = {
        "vectors": ("matrix", vectors), "biases": ("vector?", v.one(np.zeros(n), v.rng.normal(0, 5, n))),
        "queries": ("matrix?", v.rng.normal(size=(v.whole(1, 9), d))), "k": ("count", v.as_whole(v.whole(1, 40))),
        "rng": ("seed?", v.seed()),
    }  # fmt: skip

    def check(found: Any) -> None:
        repr(found)
        for index in (found, found.refresh(np.ones((n, d)))):
            q = np.exp(index.log_law(v.rng.normal(0, 3, d), v.one(0.0, 0.1, 1.0)))
            if q.shape != (n,) or abs(q.sum() - 1) > 1e-9:
                raise Wrong(f"a law that sums to {q.sum()}")

    return Call(il.index.Clusters.fit, arguments, check)


def _clustered(v: Values) -> Call:
    n, d = v.whole(2, 6), v.whole(1, 3)
    index = il.index.Clusters.fit(v.rng.normal(size=(n, d)), v.rng.normal(size=n), k=v.whole(1, n))
    arguments = {
        "index": ("", index), "query": ("vector", v.as_array(v.rng.normal(size=d))),
        "defence": ("", v.one(0.0, 0.1, 1.0)),
    }  # fmt: skip
    problem, m = v.problem(n), v.whole(1, 3)

    def check(found: Any) -> None:
        repr(found)
        if isinstance(found, il.samplers.Clustered):
            labels, log_q = found.draw(v.whole(1, 20), rng=v.whole(0, 99))
            close("log q", log_q, np.full(log_q.shape, 1e-12), found.log_law(problem)[labels])
        hard = v.one(None, il.HardNegatives(clusters=1, of=index))
        try:
            scheme = il.Scheme(found, v.weighting(), m=m, hits=v.one(*HITS), hard=hard)
            one, other = (verb(scheme, SOFTMAX, problem) for verb in (il.integrate, il.exhaust))
        except ValueError:
            return
        if abs(float(one) - float(other)) > np.max(one.error) + np.max(other.error):
            raise Wrong(f"{one} and {other}")

    return Call(v.one(il.samplers.Clustered, il.samplers.Whole), arguments, check)


def _hard(v: Values) -> Call:
    """Beside the draws of any scheme: the integrals are the sums over all draws."""
    n = v.whole(4, 6)
    arguments = {
        "k": ("count", v.as_whole(v.whole(1, 3))), "weight": ("positive", v.as_number(v.positive_number())),
        "overlap": ("choice", v.one(*OVERLAPS)), "positives": ("choice", v.one(*POSITIVES)),
    }  # fmt: skip
    plain, loss, problem = v.scheme(n, v.whole(1, 3)), v.loss(), v.problem(n)
    problem = replace(problem, index_scores=v.scores(n))

    def check(found: Any) -> None:
        repr(found)
        scheme = replace(plain, hard=found)
        for quantity in ("mean", "variance", "gradient", "gradient_variance"):
            try:
                one, other = (verb(scheme, loss, problem, quantity) for verb in (il.integrate, il.exhaust))
            except ValueError:
                return
            close(quantity, one.value, np.asarray(one.error) + other.error, other.value)

    return Call(il.HardNegatives, arguments, check)


def _estimate(v: Values) -> Call:
    n = v.one(0, 3)
    value = v.rng.standard_normal(n) if n else v.as_number(v.real(-1, 1))
    arguments = {
        "value": ("", value),
        "error": ("", np.abs(value)),
        "quantity": ("text", "mean"),
        "method": ("text", "a"),
    }
    if not n:
        arguments["value"] = ("number", value)
    return Call(il.Estimate, arguments, sound)


def _maker(home: str, name: str, kinds: dict[str, str]) -> Callable[[Values], Call]:
    """Something built from these arguments and used once, at a problem of its own."""

    def make(v: Values) -> Call:
        problem = v.problem(v.whole(1, 6))
        n = problem.prior.n_labels
        goods: dict[str, Any] = {
            "alpha": v.positive_number(), "tau": v.positive_number(), "scale": v.positive_number(),
            "share": v.real(0, 1), "strength": v.real(-3, 3), "freedom": v.one(1.0, 3.0, 1e9, 0.1),
            "dimensions": v.whole(1, 9), "separation": v.real(0, 9), "margin": v.margin(), "loss": v.loss(),
            "target": v.margin(), "first": v.sampler(n), "second": il.samplers.Uniform(),
            "F": v.one(_root, il.margins.identity), "form": v.one("log", "printed"), "q": v.rng.dirichlet(np.ones(n)),
            "n": v.whole(1, 5), "among": v.one("all", "negatives"), "delta": v.one(v.scores(n), v.scores(n) / 40),
            "weights": np.exp(v.rng.standard_normal(n)),
        }  # fmt: skip
        made = getattr(getattr(il, home), name)
        if dataclasses.is_dataclass(made):
            goods = {field.name: field.default for field in dataclasses.fields(made)} | goods
        use = {"samplers": _use_sampler, "weightings": _use_weighting, "margins": _use_margin, "scorers": _use_scorer}
        arguments = {what: (kind, goods[what]) for what, kind in kinds.items()}
        arguments["at"] = ("", problem)

        def build(at: Any, **given: Any) -> Any:
            return use[home](made(**given), at, v)

        build.__qualname__ = f"{home}.{name}"
        return Call(build, arguments)

    return make


def _use_sampler(sampler: Any, at: Any, v: Values) -> Any:
    log_q = sampler.log_law(at)
    close("mass", np.exp(log_q).sum(), 1e-9, 1.0)
    labels = sampler.procedure(at)(np.random.default_rng(0), 50)
    if labels.shape != (50,) or np.isneginf(log_q[labels]).any():
        raise Wrong("a label of q = 0 is drawn")
    hash(sampler), repr(sampler)
    return sampler


def _use_weighting(weighting: Any, at: Any, v: Values) -> Any:
    scheme = il.Scheme(il.samplers.Mixture(), weighting, m=v.m(), hits=v.one(*HITS))
    if np.isnan(scheme.plan(at).log_w).any():
        raise Wrong("nan")
    return scheme


def _use_margin(target: Any, at: Any, v: Values) -> Any:
    log_p = target.log_margin(at.prior, at.positive)
    with mp.workdps(60):
        expected = margin(target, at.prior, at.positive)
        logs = np.array([float(mp.log(p)) if p else -np.inf for p in expected])
    for found, wanted in zip(log_p, logs, strict=True):
        if found != wanted:
            close("log p", found, 1e-12, wanted, 1e-12)
    log_a, log_b = target.log_factors(at.prior)
    both = np.broadcast_to(log_a, log_p.shape)[at.positive] + np.broadcast_to(log_b, log_p.shape)
    if not np.allclose(both, log_p, rtol=1e-9, atol=1e-9):
        raise Wrong("log_factors are not log_margin")
    return target


def _use_scorer(scorer: Any, at: Any, v: Values) -> Any:
    first = scorer.scores(at.prior, v.one(1, [1, 2]))
    finite(first, (at.prior.n_labels,))
    return scorer


CHECKS = {"check_sampler": "sampler", "check_weighting": "weighting", "check_loss": "loss"}
CHECKED = [getattr(il.testing, name) for name in CHECKS]


def _check(name: str, part: str) -> Callable[[Values], Call]:
    """A check of one of the library's examples, which returns nothing."""
    home = {"sampler": il.samplers, "weighting": il.weightings, "loss": il.losses}[part]
    return lambda v: Call(getattr(il.testing, name), {part: (part, v.one(*home.examples()))})


def _examples(home: str) -> Callable[[Values], Call]:
    def check(found: Any) -> None:
        if not found or not isinstance(found, tuple):
            raise Wrong("no tuple of values")

    return lambda v: Call(getattr(il, home).examples, {}, check)


def _scores_of(v: Values) -> Call:
    scorer = v.one(*il.scorers.examples())
    prior = v.prior()
    arguments = {"prior": ("prior", prior), "rng": ("seed?", v.seed())}
    return Call(scorer.scores, arguments, lambda found: finite(found, (prior.n_labels,)))


def _log_margin(v: Values) -> Call:
    prior = v.prior()
    arguments = {"prior": ("prior", prior), "positive": ("label", v.whole(0, prior.n_labels - 1))}
    return Call(v.margin().log_margin, arguments)


def _binary(v: Values) -> Call:
    own = il.losses.logistic
    names = ("phi", "varphi", "positive", "negative", "slope", "positive_slope")
    arguments = {"name": ("text", "own"), **{name: ("function", getattr(own, name)) for name in names}}
    return Call(il.losses.BinaryLoss, arguments, lambda found: repr(il.losses.Decoupled(found)))


def _draws(v: Values) -> Call:
    problem = v.problem()
    scheme = v.scheme(problem.prior.n_labels)

    def check(found: Any) -> None:
        if np.shape(found.log_q) != (problem.prior.n_labels,):
            raise Wrong("shape")

    return Call(scheme.laws, {"problem": ("problem", problem)}, check)


def _index(name: str) -> Callable[[Values], Call]:
    """An index, and a search: Exact finds what sorting does, Faiss some labels once each."""

    def make(v: Values) -> Call:
        n, d = v.whole(1, 40), v.whole(2, 4)
        vectors, queries = v.rng.integers(-2, 3, size=(n, d)), v.rng.integers(-2, 3, size=(v.whole(0, 4), d))
        k, nlist = v.whole(1, 50), v.whole(1, n)
        arguments = {
            "vectors": ("matrix", v.one(vectors, vectors.tolist(), vectors.astype(np.float32))),
            "queries": ("matrix", queries.astype(v.one(np.float64, np.int64))), "k": ("count", v.as_whole(k)),
        }  # fmt: skip
        if name == "Faiss":
            arguments |= {"nlist": ("count", v.as_whole(nlist)), "nprobe": ("count", v.as_whole(v.whole(1, nlist)))}

        def search(vectors: Any, queries: Any, k: Any, **cells: Any) -> Any:
            index = getattr(il.index, name)(vectors, **cells)
            repr(index)
            return index.search(queries, k)

        def check(found: Any) -> None:
            if found.shape != (len(queries), k):
                raise Wrong("shape")
            for row, products in zip(found, queries @ vectors.T, strict=True):
                labels = row[row >= 0].tolist()
                best = sorted(labels if name == "Faiss" else range(n), key=lambda j: (-products[j], j))[:k]
                if labels != best or len(set(labels)) < len(labels) or (row[len(labels) :] != -1).any():
                    raise Wrong(f"{name} found {row}")

        search.__qualname__ = f"index.{name}"
        return Call(search, arguments, check)

    return make


# --- targets: spectra -----------------------------------------------------------------------------------------------


def _mixture(v: Values, n: int | None = None) -> Any:
    """Classes in 3 to 12 dimensions, of every form, some of them at the ends of what is taken."""
    n, d = v.one(2, 2, 3, 5) if n is None else n, v.whole(3, 12)
    scale = v.one(1.0, 1.0, 1.0, 1.0, 1e-20, 1e25)
    means = v.rng.standard_normal((n, d)) * v.one(0.0, 1.0, 3.0) * scale + v.one(0.0, 0.0, 1e3) * scale
    diagonals = v.rng.exponential(size=(n, d)) * v.one(1.0, 1e-3, 100.0) * scale**2
    counts = v.one(1, v.rng.integers(1, 60, n), 1e6, 2.5)
    form = v.one("diagonal", "whole", "factors", "features")
    mixture = il.spectral.GaussianMixture
    if form == "diagonal":
        return mixture(means, diagonals, counts)
    if form == "whole":
        roots = v.rng.standard_normal((n, d, v.whole(1, d + 2))) * scale
        return mixture(means, roots @ roots.transpose(0, 2, 1), counts)
    if form == "factors":
        return mixture(means, diagonals, counts, v.rng.standard_normal((n, d, v.whole(1, 4))) * scale)
    y = np.arange(6 * n) % n
    return mixture.from_features(means[y] + np.sqrt(diagonals)[y] * v.rng.standard_normal((6 * n, d)), y)


def _gaussian_mixture(v: Values) -> Call:
    good = _mixture(v)
    arguments = {
        "means": ("matrix", v.one(good.means, good.means.tolist())), "covariances": ("matrix", good.covariances),
        "counts": ("each", v.one(good.counts, good.counts.tolist(), 7)), "factors": ("", good.factors),
        "classes": v.one(("", None), ("classes?", [f"c{k}" for k in range(good.n_classes)])),
        "mean_counts": ("each?", v.one(None, good.counts)),
    }  # fmt: skip

    def check(found: Any) -> None:
        repr(found)
        close("effective rank", found.effective_rank, 1e-9, np.clip(found.effective_rank, 1.0, found.means.shape[1]))

    return Call(il.spectral.GaussianMixture, arguments, check)


def _from_features(v: Values) -> Call:
    n, k, d = v.whole(4, 40), v.whole(2, 3), v.one(1, 3, 60)
    X, y = v.rng.standard_normal((n, d)) * v.one(1.0, 1e-9, 1e20), np.arange(n) % k
    arguments = {
        "X": ("matrix", v.one(X, X.tolist(), pd.DataFrame(X))),
        "y": ("classes", v.one(y, y.tolist(), [f"c{c}" for c in y], pd.Series(y))),
        "covariance": ("choice", v.one("oas", "ledoit-wolf")),
    }

    def check(found: Any) -> None:
        expected = [np.sum(np.var(X[y == c], axis=0, ddof=1)) for c in range(k)]
        close("traces", found.of_classes.traces, 0.0, expected, 1e-9)

    return Call(il.spectral.GaussianMixture.from_features, arguments, check)


def _power_law(v: Values) -> Call:
    n = v.whole(2, 4)
    arguments = {
        "exponents": ("each", v.one(v.rng.uniform(0, 3, n), [0.0] * n, [1000.0] * n)),
        "d": ("count", v.as_whole(v.whole(n - 1, 30))), "distance": ("number", v.as_number(v.one(0.0, 2.0, 1e30))),
        "counts": ("each", v.one(5, [5.0] * n)), "traces": ("each?", v.one(None, 3.0, [1.0] * n)),
        "rotated": ("flag", v.one(True, False)), "rng": ("seed?", v.seed()),
    }  # fmt: skip
    # A number alone is no list of exponents, and a distance may not be negative.
    return Call(il.spectral.GaussianMixture.power_law, arguments, repr)


def _learner(v: Values, mixture: Any) -> Any:
    s, (n, d) = il.spectral, mixture.means.shape
    lam = v.one(1.0, 0.1, 30.0, 1e4, 1e-6) * float(mixture.of_classes.traces.mean()) ** v.one(0, 1, 1)
    ridge = s.Ridge(min(max(lam, 1e-30), 1e60))
    w = v.rng.standard_normal((n, d))
    if n > 2:
        return v.one(ridge, ridge, s.Affine(w), s.Affine(w, np.arange(n)))
    logistic = s.Logistic(ridge.lam, v.one(None, (2.0, 0.1), il.margins.BalancedSoftmax()))
    return v.one(ridge, logistic, s.MeanDifference(200), s.Affine(w[0]), s.Affine(w, 1.0))


def _predict(v: Values) -> Call:
    mixture = _mixture(v)
    s, learner = il.spectral, _learner(v, mixture)
    trained = isinstance(learner, (s.Ridge, s.Logistic))
    augment = v.one(None, None, s.Noise(0.3), s.Noise(0.0), s.Dropout(0.2)) if trained else None
    arguments = {"mixture": ("mixture", mixture), "learner": ("learner", learner), "augment": ("augment?", augment)}

    def check(found: Any) -> None:
        n = mixture.n_classes
        json.dumps(found.to_dict(), allow_nan=False), repr(found)
        for name in ("error", "uncertainty", "influence"):
            finite(getattr(found, name), (n,))
        if found.error.min() < 0 or found.error.max() > 1 or found.uncertainty.min() < 0:
            raise Wrong(f"error {found.error} ± {found.uncertainty}")
        finite(found.mean, (2,) if n == 2 else (n, n))
        finite(found.variance, (2,) if n == 2 else (n, n, n))
        if isinstance(learner, s.Ridge) and n > 2:
            close("sum of scores", found.mean.sum(axis=1), 1e-6, np.ones(n))
            close(
                "variance of their sum",
                found.variance.sum(axis=2),
                1e-6 * np.abs(found.variance).max(),
                np.zeros((n, n)),
            )
        if n == 2 and found.mean[0] > found.mean[1] and found.variance.min() > 1e-50 and abs(found.mean).max() < 1e50:
            parts = s.gap(found.mean, found.variance, found.training_mean)
            total = parts.train + parts.overfit + parts.label + parts.scale
            size = sum(map(abs, (parts.train, parts.overfit, parts.scale)))
            close("gap", total, 1e-9 * size + 1e-9, parts.total)

    return Call(il.spectral.predict, arguments, check)


def _learners(name: str) -> Callable[[Values], Call]:
    def make(v: Values) -> Call:
        goods: dict[str, dict[str, tuple[str, Any]]] = {
            "Ridge": {"lam": ("positive", v.as_number(v.one(1.0, 1e-30, 1e60)))},
            "Logistic": {"lam": ("positive", 2.0), "margins": ("pair?", v.one(None, (1.0, 3.0), [0.1, 2.0]))},
            "MeanDifference": {"draws": ("count", v.as_whole(500)), "rng": ("seed?", v.seed())},
            "Affine": {"w": ("matrix", v.rng.standard_normal((3, 4))), "b": ("", v.one(0.0, np.ones(3)))},
            "Noise": {"variance": ("", v.one(0.0, 2.0, np.ones(2)))},
            "Dropout": {"rate": ("positive", v.as_number(v.one(0.0, 0.5, 0.999)))},
        }
        if name == "Affine":
            goods[name]["w"] = ("", goods[name]["w"][1])
        return Call(getattr(il.spectral, name), goods[name], repr)

    return make


def _offset(name: str) -> Callable[[Values], Call]:
    def make(v: Values) -> Call:
        mean = np.sort(v.rng.standard_normal(2) * v.one(1.0, 1e-9, 1e9))[::-1]
        variance = np.exp(v.rng.standard_normal(2) * v.one(0.1, 3.0, 20.0))
        arguments = {"mean": ("pair", v.as_array(mean)), "variance": ("pair", v.as_array(variance))}
        if name == "gap":
            arguments |= {"training_mean": ("pair", v.rng.standard_normal(2)), "offset": ("number", v.real(-1, 1))}

        def check(found: Any) -> None:
            if name == "gap":
                finite([found.train, found.overfit, found.label, found.scale, *found.z]), str(found)
                return
            finite(found)
            if np.abs(mean).max() > 1e6 * np.sqrt(variance.min()):  # a score has no digits left for the offset
                return
            errors = il.spectral.gap(mean, variance, mean, found).error
            if name == "equal_error_offset":
                close("errors", errors[0], 1e-6, errors[1])
                return
            for other in (*(-mean), -mean.mean(), il.spectral.equal_error_offset(mean, variance)):
                if errors.sum() > il.spectral.gap(mean, variance, mean, other).error.sum() + 1e-9:
                    raise Wrong(f"a larger error than at {other}")

        return Call(getattr(il.spectral, name), arguments, check)

    return make


def _spectrum(v: Values) -> Call:
    n, d = v.whole(8, 40), v.one(1, 2, 5, 60)
    X = v.rng.standard_normal((n, d)) * np.arange(1, d + 1) ** -v.one(0.0, 0.5, 8.0) * v.one(1.0, 1e-20, 1e25)

    def check(found: Any) -> None:
        repr(found)
        low, high = found.effective_rank_interval
        if not 1 <= low <= high <= d or not 1 <= found.effective_rank <= d:
            raise Wrong(f"{found}")
        finite([found.exponent, *found.exponent_interval])
        close("trace", found.eigenvalues.sum(), 0.0, np.var(X, axis=0, ddof=1).sum(), 1e-9)

    return Call(il.spectral.spectrum, {"X": ("matrix", v.one(X, X.tolist(), pd.DataFrame(X)))}, check)


def _labelled(v: Values) -> tuple[np.ndarray, list[Any]]:
    """Features, n < d or not, some of them constant or alike, and labels of any kind, two of each at least."""
    k = v.whole(2, 4)
    n, d = v.whole(2 * k, 40), v.one(1, 2, 5, 30)
    codes = np.concatenate([np.repeat(np.arange(k), 2), v.rng.integers(0, k, n - 2 * k)])
    X = v.rng.standard_normal((n, d)) * v.one(1.0, 1e-6, 1e8) + codes[:, None] * v.one(0.0, 0.5, 5.0)
    if v.chance(0.3):
        X[:, 0] = v.one(0.0, 7.0)
    if v.chance(0.3):
        X[1] = X[0]
    names = v.one("abcd", [3, 70, -1, 9], [0.0, 1.0, 2.0, 5.0])
    return X, [names[k] for k in codes]


def _diagnose(v: Values) -> Call:
    X, y = _labelled(v)
    noise = v.one(None, None, il.spectral.Noise(0.1), il.spectral.Dropout(0.2))
    arguments = {
        "X": ("matrix", v.one(X, X.tolist(), pd.DataFrame(X))), "y": ("names", v.one(y, tuple(y), np.array(y, object))),
        "ridge": ("positive", v.one("loo", "loo", v.positive_number())), "rng": ("seed?", v.seed()),
        "label": ("text?", None), "augment": ("", noise),
    }  # fmt: skip

    def check(found: Any) -> None:
        json.loads(found.to_json())
        for said in (str(found), repr(found), found.to_markdown(), found._repr_html_()):
            if "nan" in said or "inf" in said.replace("influence", ""):
                raise Wrong(said)
        gap = found.gap(*found.classes[:2]) if found.left_out.scores.std() > 0 and _is_ordered(found) else None
        if gap is not None:
            parts = gap.train + gap.overfit + gap.label + gap.scale
            close("the gap", parts, 1e-9 * (1 + sum(map(abs, gap.z))), gap.total)
        for equalise in (True, False):
            close("the offsets' mean", found.score_offsets(equalise).mean(), 1e-6, 0.0)
        for row in found.rows:
            if not 0 <= row.error <= 1 or (row.predicted is not None and not 0 <= row.predicted <= 1):
                raise Wrong(str(row))

    return Call(il.diagnose, arguments, check)


def _is_ordered(found: Any) -> bool:
    """Whether the scores of two classes differ within each, and the first one's are larger in the mean."""
    score = found.left_out.scores[:, 0] - found.left_out.scores[:, 1]
    one, other = score[found.left_out.codes == 0], score[found.left_out.codes == 1]
    return bool(one.mean() > other.mean() and min(one.std(), other.std()) > 1e-9)


def _leave_one_out(v: Values) -> Call:
    X, y = _labelled(v)
    lam = v.one(1.0, 10.0, 0.1)
    arguments = {"X": ("matrix", X), "y": ("names", y), "learner": ("learner", il.spectral.Ridge(lam))}

    def check(found: Any) -> None:
        """One sample is left out and the others are fitted by the normal equations."""
        i = v.whole(0, len(y) - 1)
        rest, one_hot = np.delete(X, i, axis=0), np.eye(len(found.classes))[np.delete(found.codes, i)]
        centred = rest - rest.mean(axis=0)
        gram = centred.T @ centred + lam * np.eye(X.shape[1])
        if np.linalg.cond(gram) < 1e8:
            weights = np.linalg.solve(gram, centred.T @ (one_hot - one_hot.mean(axis=0)))
            close("left out", found.scores[i], 1e-6, (X[i] - rest.mean(axis=0)) @ weights + one_hot.mean(axis=0), 1e-6)

    return Call(il.spectral.leave_one_out, arguments, check)


def _compare(v: Values) -> Call:
    X, y = _labelled(v)
    arguments = {
        "encoders": ("matrix", {"all": X, "few": X[:, :1]}), "y": ("names", y),
        "ridge": ("positive", v.one("loo", 1.0)), "rng": ("seed?", v.seed()), "label": ("text?", None),
    }  # fmt: skip
    return Call(il.spectral.compare, arguments, lambda found: (json.loads(found.to_json()), str(found)))


@dataclass(frozen=True)
class Target:
    """How to make calls of what is `named`, and how often (a share of the run)."""

    named: tuple[str, ...]
    make: Callable[[Values], Call]
    share: float = 1.0


# What the fields of samplers, weightings, margins and scorers take.  A number with a default may have any other name.
FIELDS = {
    "alpha": "positive", "q": "shares", "share": "positive", "first": "sampler", "second": "sampler",
    "margin": "margin", "loss": "loss", "target": "margin", "tau": "positive", "F": "function", "scale": "positive",
    "form": "choice", "strength": "number", "freedom": "positive", "dimensions": "count", "separation": "number",
    "among": "choice", "count": "choice", "delta": "vector",
    "weights": "vector",
}  # fmt: skip


def _kind(field: dataclasses.Field[Any]) -> str:
    return FIELDS.get(field.name) or {"float": "positive", "int": "count"}[str(field.type)]


def _targets() -> list[Target]:
    of = [
        Target(("integrate",), _witness(il.integrate, (6, 4)), 8),
        Target(("integrate",), _integrate_many, 0.5),
        Target(("exhaust",), _witness(il.exhaust, (5, 4)), 8),
        Target(("simulate", "ImpossibleDraw", "samplers.ImpossibleDraw"), _simulate, 8),
        Target(("sweep", "SweptEstimate"), _sweep, 8),
        Target(("decide", "Decision"), _decide, 3),
        Target(("implicit_loss",), _implicit_loss, 4),
        Target(("implicit_gradient",), _implicit_gradient, 4),
        Target(("implicit_margins",), _implicit_margins, 4),
        Target(("inclusion_probabilities",), _inclusion, 3),
        Target(("covariance",), _covariance, 1),
        Target(("exhaust",), _of_sets, 1),
        Target(("expand", "Expansion", "OutsideTheorem3"), _expand, 4),
        Target(("derive", "Derivation"), _derive, 0.5),
        Target(("verify", "Outcome", "Report", "Verdict"), _verify, 0.1),
        Target(("population_optimum", "NoOptimum"), _optimum, 2),
        Target(("waterfilling", "Waterfilling"), _waterfilling, 2),
        Target(("stale_index", "StaleIndex"), _stale_index, 1),
        Target(("tilt",), _tilt, 1), Target(("information",), _information, 2), Target(("price", "Price"), _price, 1),
        Target(("compare",), _compare, 0.5), Target(("plot.place", "plot.Location"), _place, 0.5),
        Target(("plot.style",), lambda v: Call(il.plot.style, {"columns": ("choice", "single")}), 0.1),
        *(
            Target((f"plot.{name}",), _plot(name), 0.1)
            for name in ("gap", "gradient_bias", "inclusion", "losses", "map", "margins", "optima", "tilt", "variance")
        ),
        Target(("plot.plateau",), _plateau, 0.1), Target(("plot.frontier",), _frontier, 0.1),
        Target(("plot.axes_of_bias",), _axes_of_bias, 0.1),
        Target(("measured_tilt",), _measured_tilt, 2), Target(("design", "Design"), _design, 0.5),
        Target(("catalogue", "KeptShares", "Published", "Tilts"), _catalogue, 0.3),
        Target(("certify_optimum", "Certificate"), _certify, 2),
        Target(("Minibatch",), _minibatch, 5),
        Target(("audit", "AuditReport"), _audit, 0.6),
        Target(("assert_implicit_loss",), _assert_implicit_loss, 0.4),
        *(Target((f"testing.{name}",), _check(name, part), 0.2) for name, part in CHECKS.items()),
        Target(("LabelPrior",), _label_prior, 2),
        Target(("LabelPrior",), _from_counts, 2),
        Target(("LabelPrior",), _from_probabilities, 2),
        Target(("LabelPrior",), _from_file, 2),
        Target(("LabelPrior",), _of_prior, 3),
        *(Target(("LabelPrior",), _profile(name)) for name in ("exp", "step", "zipf")),
        Target(("Problem",), _problem, 4),
        Target(("Scheme",), _scheme, 4),
        Target(("HardNegatives",), _hard, 3),
        Target(("index.Clusters",), _clusters, 1), Target(("samplers.Clustered", "samplers.Whole"), _clustered, 1),
        *(Target((f"index.{name}",), _index(name), 1) for name in ("Exact", "Faiss")),
        Target(("diagnose", "spectral.SpectralReport", "spectral.ClassGap"), _diagnose, 1),
        Target(("spectral.leave_one_out", "spectral.LeaveOneOut"), _leave_one_out, 1),
        Target(("spectral.compare", "spectral.Encoders"), _compare, 0.3),
        Target(("Estimate",), _estimate, 2),
        *(Target((f"adapters.{name}",), _adapter(name), 0.3) for name in sorted(frameworks(), reverse=True)),
        Target(("adapters.in_batch",), _in_batch, 1),
        Target(("adapters.one_by_one",), _one_by_one, 0.5),
        Target(("losses.BinaryLoss", "losses.Decoupled"), _binary, 1),
        Target(
            ("losses.Decoupled", "losses.logistic", "losses.hinge", "losses.squared_hinge"),
            lambda v: Call(il.losses.Decoupled, {"binary": ("binary", v.one(*BINARIES))}, repr),
            1,
        ),
        Target(
            ("losses.cosine_contrastive",),
            lambda v: Call(il.losses.cosine_contrastive, {"margin": ("number", v.as_number(v.real(-2, 2)))}, repr),
            1,
        ),
        Target(("losses.SoftmaxCrossEntropy",), lambda v: Call(il.losses.SoftmaxCrossEntropy, {}, repr), 0.2),
        Target(("margins.identity",), lambda v: Call(il.margins.identity, {"x": ("", 1.0)}), 0.1),
        *(Target((f"{home}.examples",), _examples(home), 0.1) for home in HOMES),
        Target(("scorers.Gaussian", "scorers.Aligned"), _scores_of, 2),
        Target(("margins.Softmax",), _log_margin, 2),
        Target(("spectral.GaussianMixture",), _gaussian_mixture, 1),
        Target(("spectral.GaussianMixture",), _from_features, 1),
        Target(("spectral.GaussianMixture",), _power_law, 1),
        Target(("spectral.predict", "spectral.Prediction"), _predict, 3),
        *(
            Target((f"spectral.{name}",), _learners(name), 0.3)
            for name in ("Ridge", "Logistic", "MeanDifference", "Affine", "Noise", "Dropout")
        ),
        Target(("spectral.gap", "spectral.Gap"), _offset("gap"), 0.5),
        *(Target((f"spectral.{name}",), _offset(name), 0.5) for name in ("equal_error_offset", "least_error_offset")),
        Target(("spectral.spectrum", "spectral.Spectrum"), _spectrum, 1),
        Target(("weightings.Draws",), _draws, 2),
    ]  # fmt: skip
    for home in ("samplers", "weightings", "margins", "scorers"):
        for name in getattr(il, home).__all__:
            made = getattr(getattr(il, home), name)
            if dataclasses.is_dataclass(made) and name not in ("Draws", "MadeFor", "Clustered", "Whole"):
                kinds = {field.name: _kind(field) for field in dataclasses.fields(made) if field.init}
                if home == "scorers" and "scale" in kinds:
                    kinds["scale"] = "number"  # a scorer's may be negative
                of.append(Target((f"{home}.{name}",), _maker(home, name, kinds)))
    against = {"strength": "number", "scale": "number"}
    of.append(Target(("scorers.against",), _maker("scorers", "against", against)))
    return of


TARGETS = _targets()


def public() -> set[str]:
    """All that can be called, by name: of the library, and of its modules as `module.name`."""
    found = set()
    for name in il.__all__:
        thing = getattr(il, name)
        if inspect.ismodule(thing):
            found |= {f"{name}.{part}" for part in thing.__all__ if _callable(getattr(thing, part))}
        elif _callable(thing):
            found.add(name)
    return found


def _callable(thing: Any) -> bool:
    """Protocols and names of types are for type checkers."""
    a_type = getattr(thing, "_is_protocol", False) or getattr(thing, "__origin__", None) is not None
    return not a_type and (callable(thing) or isinstance(thing, il.losses.BinaryLoss))


# --- judgement ------------------------------------------------------------------------------------------------------


@functools.cache
def _raises(path: str) -> frozenset[int]:
    """The lines of a file that lie in a raise statement."""
    lines: set[int] = set()
    for node in ast.walk(ast.parse(Path(path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Raise):
            lines |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return frozenset(lines)


def is_own_sentence(error: BaseException) -> str | None:
    """None for one sentence of the library's own; else what is wrong with it."""
    if not isinstance(error, ValueError):
        return f"{type(error).__name__}: {error}"
    frame = traceback.extract_tb(error.__traceback__)[-1]
    if not Path(frame.filename).is_relative_to(LIBRARY) or frame.lineno not in _raises(frame.filename):
        return f"{type(error).__name__} of others at {Path(frame.filename).name}:{frame.lineno}: {error}"
    return is_sentence(str(error))


def is_sentence(text: str) -> str | None:
    """None for one short line without quoted arrays; else what is wrong with it."""
    if not 0 < len(text) <= 300 or "\n" in text or "array(" in text:
        return f"no sentence ({len(text)} characters): {text[:200]!r}"
    return None


@contextmanager
def limit(seconds: float) -> Iterator[None]:
    """*Raises* TooLong in the block after so many seconds."""

    def ring(*_: Any) -> None:
        raise TooLong

    # Processor time, and a patient clock for what sleeps: other processes may be busy.
    clocks = ((signal.SIGPROF, signal.ITIMER_PROF, seconds), (signal.SIGALRM, signal.ITIMER_REAL, 6 * seconds))
    before = [signal.signal(name, ring) for name, _, _ in clocks]
    try:
        for _, clock, time_left in clocks:
            signal.setitimer(clock, time_left)
        yield
    finally:
        for (name, clock, _), handler in zip(clocks, before, strict=True):
            signal.setitimer(clock, 0)
            signal.signal(name, handler)


def judge(call: Call, seconds: float = SECONDS) -> tuple[str, str]:
    """("value" or "sentence", its text), or ("foreign", "hang", "wrong" or "silence", what happened)."""
    heard = io.StringIO()
    try:
        with limit(seconds), warnings.catch_warnings(), redirect_stdout(heard), redirect_stderr(heard):
            warnings.simplefilter("error")
            value = call()
            if call.spoilt is not None:
                return "silence", f"{call.spoilt} is taken, and gives {_shown(value)[:100]}"
            try:
                call.check(value)
            except ValueError as error:  # of another witness, that has less reach
                if is_own_sentence(error) is not None:
                    return "wrong", f"{type(error).__name__} in what was returned: {error}"
    except TooLong:
        return "hang", f"longer than {seconds} s"
    except Wrong as error:
        return "wrong", str(error)
    except AssertionError as error:
        documented = call.function is il.assert_implicit_loss and "\n" in str(error)
        if call.function in CHECKED and call.spoilt is not None and is_sentence(str(error)) is None:
            return "sentence", str(error)
        return ("value", "") if documented else ("foreign", f"AssertionError: {error}")
    except Exception as error:
        fault = is_own_sentence(error)
        return ("sentence", str(error)) if fault is None else ("foreign", fault)
    if heard.getvalue():
        return "wrong", f"printed: {heard.getvalue()[:100]!r}"
    return "value", ""


@dataclass
class Tally:
    """What came of each kind of call, and the faults in full."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    slowest: list[tuple[float, str]] = field(default_factory=list)

    def of(self, outcome: str) -> int:
        return sum(n for (_, what), n in self.counts.items() if what == outcome)

    @property
    def calls(self) -> int:
        return sum(self.counts.values())

    def __str__(self) -> str:
        kinds = ("value", "sentence", "wrong", "silence", "foreign", "hang")
        lines = [f"{'':28}" + "".join(f"{kind:>10}" for kind in kinds)]
        for name in sorted({name for name, _ in self.counts}):
            lines.append(f"{name:28}" + "".join(f"{self.counts[name, kind]:10}" for kind in kinds))
        lines.append(f"{'all':28}" + "".join(f"{self.of(kind):10}" for kind in kinds))
        good = self.of("value") + self.of("sentence")
        return "\n".join([*lines, f"{self.calls} calls, {100 * good / max(self.calls, 1):.2f} % a value or a sentence"])


SPOILT = 0.3


def one_call(seed: int, i: int) -> tuple[Target, Call] | None:
    """The i-th call of a run; None where its parts were refused (they are targets themselves)."""
    v = Values(np.random.default_rng([seed, i]))
    shares = np.array([target.share for target in TARGETS])
    target = TARGETS[int(v.rng.choice(len(TARGETS), p=shares / shares.sum()))]
    spoil = v.chance(SPOILT)
    try:
        call = target.make(v)
    except ValueError:
        return None
    if spoil:
        call.spoil(v)
    return target, call


def run(calls: int, seed: int) -> Tally:
    """That many calls."""
    tally, i = Tally(), 0
    while tally.calls < calls:
        i += 1
        made = one_call(seed, i)
        if made is None:
            continue
        target, call = made
        start = time.perf_counter()
        outcome, text = judge(call)
        tally.counts[target.named[0], outcome] += 1
        seconds = time.perf_counter() - start
        if len(tally.slowest) < 5 or seconds > tally.slowest[0][0]:  # to write all of them out takes seconds
            tally.slowest = sorted([*tally.slowest, (seconds, f"{i}: {call}"[:300])])[-5:]
        if outcome not in ("value", "sentence"):
            tally.faults.append(f"[{seed}, {i}] {outcome}: {text}\n    {call}")
    return tally


if __name__ == "__main__":
    # A duplicate, as a library that takes 1 for a path closes standard output.
    with os.fdopen(os.dup(1), "w") as out:
        found = run(int(sys.argv[1]), int(sys.argv[2]))
        print(*found.faults, sep="\n", file=out)
        print(*found.slowest, sep="\n", file=out)
        print(found, file=out)
