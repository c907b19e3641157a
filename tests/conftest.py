"""Seeds from test names, one tiny example that many tests share, and the numeric value of a symbolic expression."""

# ruff: noqa: E402

from __future__ import annotations

import os

# Tests run in a process for each core, and their matrices are small: threads of BLAS would only wait for each other.
# This has to come before NumPy.
for _threads in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(_threads, "1")

import gc
import hashlib
from collections.abc import Callable, Mapping
from itertools import combinations
from typing import Any

import hypothesis
import mpmath as mp
import numpy as np
import pytest
import sympy as sp
from sympy.core.function import AppliedUndef

from implicitloss import LabelPrior, Problem
from implicitloss import symbols as s

SHIFT = os.environ.get("IMPLICITLOSS_TEST_SEED", "0")

# No deadlines: a slow machine is no wrong number.
hypothesis.settings.register_profile(
    "implicitloss", deadline=None, database=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("implicitloss")


def seed_of(item: pytest.Item) -> int:
    """The seed of a test: its own name and IMPLICITLOSS_TEST_SEED, nothing else."""
    name = f"{SHIFT}/{item.path.stem}::{item.name}"
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")


def pytest_xdist_auto_num_workers() -> int:
    """A process for each core: a test that waits waits for a process of its own, and each worker collects all tests."""
    return os.cpu_count() or 1


# Files that take longest come first, so that no core waits for the other at the end.
LONG = ("test_studies", "test_teaching", "test_audit", "test_check_my_loss", "test_cli_fuzz", "test_fuzz", "test_cli")


@pytest.hookimpl(tryfirst=True)  # marks are read by -m
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first; what opens a browser is marked; and Hypothesis draws from the test's seed too."""
    in_turn(items)
    items.sort(key=lambda item: LONG.index(item.path.stem) if item.path.stem in LONG else len(LONG))
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker("browser")
        function = getattr(item, "function", None)
        if getattr(function, "is_hypothesis_test", False):
            hypothesis.seed(seed_of(item))(function)


def in_turn(items: list[pytest.Item]) -> None:
    """Leave to the slow run what repeats another case of a test marked `in_turn`, in all of its parameters but one.

    So of two parameters each value is tried, of three each pair of values.  With `in_turn(n)` n cases are kept, evenly
    spread.  Which ones depends on the cases that are collected.
    """
    tests: dict[str, list[pytest.Function]] = {}
    for item in items:
        marker = item.get_closest_marker("in_turn")
        if isinstance(item, pytest.Function) and marker is not None and item.get_closest_marker("slow") is None:
            tests.setdefault(item.nodeid.partition("[")[0], []).append(item)
    for cases in tests.values():
        marker = cases[0].get_closest_marker("in_turn")
        assert marker is not None
        kept = evenly(cases, *marker.args) if marker.args else covering(cases)
        for case in cases:
            if case not in kept:
                case.add_marker("slow")


def evenly(cases: list[pytest.Function], n: int) -> list[pytest.Function]:
    """So many of the cases, the first one, and the last if there are more."""
    return [cases[round(i * (len(cases) - 1) / max(n - 1, 1))] for i in range(n)]


def covering(cases: list[pytest.Function]) -> list[pytest.Function]:
    """Cases that have all combinations of all parameters but one; each is the first of those that add most."""
    has = {}
    for case in cases:
        values = sorted((name, id(value)) for name, value in case.callspec.params.items())
        has[case] = set(combinations(values, len(values) - 1))
    missing, kept = set().union(*has.values()), []
    while missing:
        kept.append(max(cases, key=lambda case: len(has[case] & missing)))
        missing -= has[kept[-1]]
    return kept


# What is imported and collected stays: garbage is looked for less often, and in none of that.
gc.set_threshold(50_000, 20, 50)


def pytest_collection_finish(session: pytest.Session) -> None:
    gc.collect()
    gc.freeze()


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    return seed_of(request.node)


@pytest.fixture
def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.fixture
def prior() -> LabelPrior:
    """Four labels, the most frequent first: π = 1/2, 1/4, 3/16, 1/16."""
    return LabelPrior.from_counts([8, 4, 3, 1])


@pytest.fixture
def problem(prior: LabelPrior) -> Problem:
    """Four labels, the second one positive, scores on both sides of every kink."""
    return Problem(np.array([0.3, -0.4, 1.25, -1.75]), prior, 1)


@pytest.fixture
def q() -> np.ndarray:
    """A law over the four labels that has nothing to do with the prior."""
    return np.array([0.1, 0.2, 0.3, 0.4])


ValueOf = Callable[..., float]


@pytest.fixture(scope="session")
def value_of() -> ValueOf:
    """`value_of(expression, problem, {symbol, function or vector: value}, q=...)`; in symbols labels count from 1.

    It walks the expression and knows nothing but arithmetic, so that it shares no algebra with what it checks.
    """
    return _value_of


def _value_of(
    expression: sp.Expr, problem: Problem, at: Mapping[Any, Any] | None = None, q: Any = None, digits: int = 30
) -> float:
    prior = problem.prior
    tables = {
        s.pi: prior.probabilities,
        s.n: prior.probabilities if prior.counts is None else prior.counts,
        s.f: problem.scores,
        s.q: np.full(prior.n_labels, np.nan) if q is None else np.asarray(q),
    }
    names: dict[Any, Any] = {s.L: mp.mpf(prior.n_labels), s.y: mp.mpf(problem.positive + 1)}
    given = dict(at or {})
    tables |= {name: given.pop(name) for name in list(given) if isinstance(name, sp.IndexedBase)}
    names.update({name: value if callable(value) else mp.mpf(value) for name, value in given.items()})
    with mp.workdps(digits):
        return float(_walk(sp.sympify(expression), tables, names))


def _walk(node: sp.Expr, tables: Mapping[Any, Any], names: Mapping[Any, Any]) -> Any:
    if isinstance(node, sp.Symbol):
        return names[node]
    if isinstance(node, sp.Rational):
        return mp.mpf(node.p) / node.q
    if node.is_Number or node is sp.E:
        return mp.mpf(str(node.evalf(mp.mp.dps)))
    if isinstance(node, sp.Indexed):
        (index,) = node.indices
        return mp.mpf(float(tables[node.base][int(_walk(index, tables, names)) - 1]))
    if isinstance(node, sp.Sum):
        ((index, low, high),) = node.limits
        span = range(int(_walk(low, tables, names)), int(_walk(high, tables, names)) + 1)
        return mp.fsum(_walk(node.function, tables, {**names, index: mp.mpf(at)}) for at in span)
    parts = [_walk(part, tables, names) for part in node.args]
    if isinstance(node, sp.KroneckerDelta):
        return mp.mpf(parts[0] == parts[1])
    if isinstance(node, sp.Heaviside):
        return parts[1] if parts[0] == 0 else mp.mpf(parts[0] > 0)
    if isinstance(node, AppliedUndef):
        return mp.mpf(names[node.func](*parts))
    arithmetic = {sp.Add: mp.fsum, sp.Mul: mp.fprod, sp.Max: max}
    for kind, operation in arithmetic.items():
        if isinstance(node, kind):
            return operation(parts)
    return {sp.Pow: mp.power, sp.exp: mp.exp, sp.log: mp.log}[node.func](*parts)
