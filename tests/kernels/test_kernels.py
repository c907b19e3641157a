"""Every jitted kernel, discovered, against its slow twin; and against what it should be, on small and odd inputs."""

from __future__ import annotations

import copy
import importlib
import math
import os
import pkgutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mpmath as mp
import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from implicitloss import kernels
from implicitloss.kernels import jit
from implicitloss.kernels.ahead import AHEAD_DRAWS, fetch
from implicitloss.kernels.alias import alias_table, find_by_alias, out_of_range
from implicitloss.kernels.draws import (
    add_up,
    add_up_by_alias,
    add_up_three,
    alias_records,
    equal_but_for_a_shift,
    extent,
    label_totals,
    log_sums,
)
from implicitloss.kernels.transform import (
    _second_order,
    log_transform,
    log_transform_about,
    log_transform_about_mean,
    tilted_integrals,
)
from implicitloss.samplers.sampler import by_shares


def compiled() -> dict[str, Any]:
    """All kernels of the package by name."""
    found = {}
    for info in pkgutil.walk_packages(kernels.__path__, kernels.__name__ + "."):
        for name, member in vars(importlib.import_module(info.name)).items():
            if hasattr(member, "py_func"):
                found[name] = member
    return found


Inputs = Callable[[np.random.Generator], tuple[Any, ...]]


def _draws(rng: np.random.Generator) -> tuple[Any, ...]:
    table = rng.normal(size=(3, 50))
    table[1, rng.integers(50, size=10)] = -np.inf
    return rng.integers(50, size=(20, 7)), table


def _totals(rng: np.random.Generator) -> tuple[Any, ...]:
    labels, table = _draws(rng)
    return labels, table[1], rng.normal(size=20), 50


def _pairs_of_runs(rng: np.random.Generator) -> tuple[Any, ...]:
    """Twenty runs of labels, what they add and by what it is divided, and two hard labels."""
    labels, table, divisor, n_labels = _totals(rng)
    return labels, table, divisor, np.array([3, 41]), rng.normal(size=2), n_labels


def _some_shares(rng: np.random.Generator) -> np.ndarray:
    return np.where(rng.random(300) < 0.3, 0.0, 10 ** rng.uniform(-6, 6, 300))


def _points(rng: np.random.Generator) -> tuple[Any, ...]:
    points = np.append(rng.random(500), [0.0, np.nextafter(1, 0)])
    return alias_table(_some_shares(rng)), points, np.empty(502, dtype=np.intp)


def _inside(rng: np.random.Generator) -> tuple[Any, ...]:
    """Records of twenty labels in three clusters, where these start, points, clusters and a law."""
    starts, labels = np.array([0, 1, 8, 20]), rng.permutation(20)
    cells = np.concatenate([alias_table(rng.random(n)) for n in np.diff(starts)])
    records = np.stack([cells[:, 0], labels, rng.random(20), rng.permutation(labels), rng.random(20)], axis=1)
    points = np.append(rng.random(500), [0.0, np.nextafter(1, 0)])
    return records, starts, points, rng.integers(3, size=502), np.ones(502)


def _in_clusters(rng: np.random.Generator) -> tuple[Any, ...]:
    records, starts, points, labels, q = _inside(rng)
    shares = rng.dirichlet(np.ones(3))
    return shares, alias_table(shares), records, starts, np.stack([points, points[::-1]]), labels, q


def _rows(rng: np.random.Generator) -> tuple[Any, ...]:
    return (rng.normal(size=(90, 16)),)


def _query(rng: np.random.Generator) -> tuple[Any, ...]:
    """A query of 16 numbers for twenty labels in three clusters, of which the best has at most 13 labels."""
    records, starts, points, _, _ = _inside(rng)
    order = rng.permutation(20)
    of_clusters = np.array([rng.normal(size=3), rng.random(3), rng.dirichlet(np.ones(3)), np.log(np.diff(starts))])
    axes, rows = rng.normal(size=(3 + 16, 16)), rng.normal(size=(20, 17))
    law = (rng.normal(size=16), 9.0, axes, of_clusters, starts, 0.1, 13, 0.5)
    return *law, np.stack([points, points[::-1]]), records, order, np.argsort(order), rows


def _stream(rng: np.random.Generator) -> tuple[Any, ...]:
    return (rng.random((50, 2)), rng.integers(50, size=20 * 7), 3, *_sums(2))


def _alias_stream(rng: np.random.Generator) -> tuple[Any, ...]:
    return _some_records(rng, 4), rng.random(20 * 7), rng.choice([-1, 3]), *_sums(1)


def _three_streams(rng: np.random.Generator) -> tuple[Any, ...]:
    return _some_records(rng, 8), rng.random(20 * 7), rng.choice([-1, 3]), *_sums(3)


def _some_records(rng: np.random.Generator, width: int) -> np.ndarray:
    records = rng.random((50, width))
    records[3, 1] = -1.0
    return records


def _sums(n_tables: int) -> tuple[Any, ...]:
    """A ladder, state, totals and sums of fifteen runs."""
    return np.array([1, 3, 7]), np.zeros(3, dtype=np.intp), np.zeros(n_tables), np.zeros((3, n_tables, 15))


def _two_logs(rng: np.random.Generator) -> tuple[Any, ...]:
    _, log_x = _law(rng)
    other = log_x + 3.0
    other[9] += rng.choice([0.0, 1e-9])
    return log_x, other, -3.0, 1e-13


def _law(rng: np.random.Generator) -> tuple[Any, Any]:
    log_x = rng.normal(size=400) * rng.choice([1, 30])
    log_x[7] = -np.inf
    return rng.dirichlet(np.ones(400)), log_x


def _nodes() -> np.ndarray:
    return np.arange(-200, 20) * 0.1875


def _excess(rng: np.random.Generator) -> tuple[Any, ...]:
    q, log_x = _law(rng)
    x = np.exp(log_x / 30)
    return _nodes(), q, x / np.sum(q * x) - 1, 0.7


def _weighted(rng: np.random.Generator) -> tuple[Any, ...]:
    v = _nodes()
    return v, v - np.exp(v) - rng.random(v.size), rng.normal(size=40), rng.normal(size=40)


def _binned(rng: np.random.Generator) -> tuple[Any, ...]:
    log_q, log_w, payment = np.log(rng.dirichlet(np.ones(3000))), rng.normal(size=3000), 3 * rng.normal(size=3000)
    payment[:5] = -np.inf
    log_q[5:10], log_q[10] = -np.inf, -800.0
    low, high = (log_w + payment)[11:].min(), (log_w + payment)[11:].max()
    return log_q, log_w, payment, -700.0, low, (high - low) / 37


def _binned_masses(rng: np.random.Generator) -> tuple[Any, ...]:
    """The same with q in place of log q, and the least q."""
    log_q, log_w, payment, tiny, *bins = _binned(rng)
    return np.exp(log_q), log_w, payment, math.exp(tiny), *bins


def _pairs(rng: np.random.Generator) -> tuple[Any, ...]:
    """Rows, positives, drawn labels and log weights of twelve examples; one draw weighs nothing."""
    log_w = rng.normal(size=(12, 5))
    log_w[0, 0] = -np.inf
    return rng.integers(6, size=12), rng.integers(9, size=12), rng.integers(9, size=(12, 5)), log_w


def _drawn_pairs(rng: np.random.Generator) -> tuple[Any, ...]:
    """The same without the positives."""
    rows, _, drawn, log_w = _pairs(rng)
    return rows, drawn, log_w


def _rates(rng: np.random.Generator) -> np.ndarray:
    return rng.dirichlet(np.full(40, 0.5)) + 1e-9


def _chances(rng: np.random.Generator) -> np.ndarray:
    p = rng.random(40)
    return np.stack([p, 1 - p])


def _complex_chances(rng: np.random.Generator) -> tuple[Any, ...]:
    """p and 1 - p, and the rate at which a label comes last, at two nodes, complex."""
    p = rng.random((2, 40)) + 0.3j * rng.normal(size=(2, 40))
    return p, 1 - p, 0.1 * (rng.normal(size=(2, 40)) + 1j * rng.normal(size=(2, 40)))


def _heat(rng: np.random.Generator) -> tuple[Any, ...]:
    """Chances, rates, five places on the circle and their weights."""
    return _chances(rng), _rates(rng), rng.uniform(0.1, 2.5, 5), rng.normal(size=(5, 2))


def _missing(rng: np.random.Generator) -> tuple[Any, ...]:
    """Some labels one by one, and powers of others."""
    chances, rates, thetas, weights = _heat(rng)
    powers = rng.random((3, 4, 6))
    return chances, rates, rng.permutation(40)[:30], powers, thetas, weights, rng.random((40, 6)), np.zeros(6)


def _in_bins(rng: np.random.Generator) -> tuple[Any, ...]:
    """Labels, and a table of 38 bins in which they are."""
    return rng.uniform(-2.0, 2.7, 300), -2.0, 0.125, rng.normal(size=(38, 8))


def _series(rng: np.random.Generator) -> tuple[Any, ...]:
    """Labels of which terms of three orders count, of some fewer; and the tables of two sides and nine terms."""
    c = rng.exponential(size=300)
    logs = rng.uniform(-2.0, 0.0, (2, 300))
    of = rng.uniform(0.1, 1.0, (3, 300))
    tables = rng.uniform(0.5, 1.0, (11, 38, 8))
    return (
        *logs,
        np.log(1 + c),
        of[0],
        0.1 * of[1],
        c,
        10 ** -rng.uniform(1, 9, 300),
        5,
        3,
        1e-7,
        -2.0,
        0.2,
        tables,
        np.empty(300),
    )


# Sums whose terms cancel are right to this.
ABOUT = dict.fromkeys(("add_moments", "multiply", "multiply_places", "keep_and_draw"), 1e-14)
INPUTS: dict[str, Inputs] = {
    "log_sums": _draws,
    "label_totals": _totals,
    "pair_distances": _pairs_of_runs,
    "add_up": _stream,
    "add_up_by_alias": _alias_stream,
    "add_up_three": _three_streams,
    "alias_records": lambda rng: (alias_table(_some_shares(rng)), rng.random((3, 300)), 20, 300, np.zeros((300, 8))),
    "extent": lambda rng: (_law(rng)[1], rng.choice([-np.inf, -1.0], 400)),
    "equal_but_for_a_shift": _two_logs,
    "alias_table": lambda rng: (_some_shares(rng),),
    "find_by_alias": _points,
    "find_inside": _inside,
    "find_in_clusters": _in_clusters,
    "log_expected": lambda rng: (rng.normal(size=35), *rng.normal(size=(2, 30))),
    "multiply": lambda rng: (*_rows(rng), rng.normal(size=16), np.empty(90)),
    "multiply_places": lambda rng: (
        *(*_rows(rng), rng.integers(90, size=40), rng.normal(size=16)),
        np.empty(40),
    ),
    "fetch_row": lambda rng: (*_rows(rng)[0].reshape(1, -1), 3, 16),
    "exp_in_place": lambda rng: (-np.append(rng.random(300) * 50, [0.0, 700.0, 1e5]),),
    "keep_best": lambda rng: (
        *(rng.normal(size=9), rng.dirichlet(np.ones(9)), np.arange(0, 30, 3), 14, 1e-3),
        np.zeros(9, np.intp),
    ),
    "find_by_sums": lambda rng: (
        *(rng.dirichlet(np.ones(9)) * rng.integers(2, size=9) + 1e-9, np.append(rng.random(50), [0, 1 - 2**-53])),
        np.empty(52, np.intp),
    ),
    "keep_and_draw": _query,
    "mix": lambda rng: (rng.dirichlet(np.ones(30)), rng.random(), rng.random(30)),
    "out_of_range": lambda rng: (rng.integers(300, size=100), int(rng.integers(250, 350))),
    "_second_order": lambda rng: (float(rng.normal()),),
    "log_transform": lambda rng: (_nodes(), *_law(rng)),
    "log_transform_about_mean": _excess,
    "log_transform_about": lambda rng: (_nodes(), *_law(rng), 0.3),
    "tilted_integrals": _weighted,
    "tilted_moments": lambda rng: (_nodes(), *_law(rng), rng.random(400)),
    "scan": lambda rng: _binned(rng)[:4],
    "add_moments": lambda rng: (*_binned_masses(rng), np.zeros((38, 14))),
    "spread": lambda rng: (*_binned(rng), rng.normal(size=(38, 14)), 3, np.empty(3000)),
    "looked_up": lambda rng: (float(rng.uniform(-2.0, 2.7)), -2.0, 8.0, 37.0, rng.normal(size=(38, 8))),
    "look_up_both": lambda rng: (*_in_bins(rng), *_in_bins(rng), np.empty(300)),
    "ratios": _series,
    "add_to_grid": lambda rng: (
        *(rng.uniform(-2.0, 2.7, 300), -2.0, 0.25),
        *(rng.uniform(1.0, 2.5, 300), 1.0, 0.5),
        *rng.uniform(0.1, 1.0, (4, 300)),
        np.zeros((2, 20)),
        np.zeros((20, 4, 2)),
    ),
    "balance_alone": lambda rng: (
        *rng.normal(size=(2, 300)),
        *(-40.0, np.cumsum(rng.uniform(0.1, 1.0, 200)), rng.normal(size=300)),
        *(-40.0, -np.cumsum(rng.uniform(0.1, 1.0, 150)), 0.5, 5, 20.0, 1e-12, rng.normal(size=300)),
    ),
    "push_softmax": lambda rng: (rng.normal(size=(6, 9)), *_pairs(rng), np.zeros((6, 9))),
    "push_decoupled": lambda rng: (rng.random((6, 9)), rng.normal(size=(6, 9)), *_drawn_pairs(rng), np.zeros((6, 9))),
    "arrived": lambda rng: (float(rng.exponential(30)), float(rng.normal()), _rates(rng)),
    "spread_of": lambda rng: (float(rng.exponential(30)), float(rng.normal()), _rates(rng), np.ones(40)),
    "radius": lambda rng: (float(rng.exponential(30)), 7.0, _rates(rng), np.ones(40), 0.0),
    "around": lambda rng: (_chances(rng), _rates(rng), np.ones(40), rng.uniform(0.1, 3.0, 5)),
    "add_inclusion": lambda rng: (*_heat(rng), rng.normal(size=(5, 2)), np.zeros(40)),
    "power_sums": lambda rng: (
        _chances(rng),
        _rates(rng),
        rng.permutation(40)[:30],
        rng.integers(1, 9, 30),
        rng.random((40, 6)),
    ),
    "add_missing": _missing,
    "add_shares": lambda rng: (*_heat(rng), rng.random((40, 6)), rng.random(6), np.zeros(40)),
    "add_squares": lambda rng: (*_heat(rng), *rng.random((2, 40, 6)), rng.random((40, 6)), np.zeros(6)),
    "add_product_squares": lambda rng: (
        *(_chances(rng), _chances(rng), 0.7, -0.2),
        *rng.random((3, 40, 6)),
        np.zeros(6),
    ),
    "add_missing_products": lambda rng: (_chances(rng), 0.7, -0.2, rng.random((40, 6)), np.zeros(6)),
    "add_product_shares": lambda rng: (
        _chances(rng),
        _chances(rng),
        0.7,
        -0.2,
        rng.random((40, 6)),
        rng.random(6),
        np.zeros(40),
    ),
    "add_pushes": lambda rng: (
        np.array([0.7 - 0.2j, 0.3 + 0.4j]),
        *_complex_chances(rng),
        0.0,
        bool(rng.integers(2)),
        int(rng.integers(40)),
        *rng.random((3, 40, 6)),
        np.zeros(40),
        np.zeros(40),
    ),
    "first_distinct": lambda rng: (
        rng.integers(9, size=300),
        np.full(9, -1),
        np.zeros(2, dtype=np.intp),
        np.zeros((12, 4), dtype=np.intp),
    ),
    "_rest": lambda rng: (float(rng.normal()),),
    "_from_rest": lambda rng: (-float(rng.exponential()), float(rng.choice([-1.0, 1.0]))),
    "_after": lambda rng: (float(rng.normal()), *rng.uniform(0.01, 0.9, 2).tolist(), float(rng.exponential())),
    "_loss": lambda rng: (float(rng.normal()), float(rng.random())),
    "flow": lambda rng: (rng.normal(size=9), *rng.uniform(0.01, 0.9, (3, 9)), np.empty(9), np.empty(9)),
    "move": lambda rng: (rng.normal(size=9), *rng.uniform(0.01, 0.9, (3, 9)), np.empty(9)),
    "climb": lambda rng: (rng.normal(-3.0, 1.0, 9), -1.0, *rng.uniform(0.3, 0.5, (2, 9)), np.empty(9)),
    "descend": lambda rng: (rng.normal(size=9), *rng.uniform(0.1, 0.9, (3, 9)), 2, 3, 0.1, 20, 10, *np.empty((4, 9))),
}


def test_every_kernel_has_inputs() -> None:
    assert set(INPUTS) == set(compiled())


@pytest.mark.parametrize("name", INPUTS)
def test_kernels_equal_their_slow_twins(name: str, rng: np.random.Generator) -> None:
    """To the last few bits: a compiler may fuse a multiplication and an addition, and no more."""
    kernel = compiled()[name]
    for _ in range(3):
        given = INPUTS[name](rng)
        again = copy.deepcopy(given)
        fast = kernel(*given)
        with np.errstate(all="ignore"):
            slow = kernel.py_func(*again)
        if fast is None:  # the last argument is filled
            fast, slow = given[-1], again[-1]
            assert np.ptp(fast) > 0
        pairs = zip(fast, slow, strict=True) if isinstance(fast, tuple) else [(fast, slow)]
        for one, other in pairs:
            if np.asarray(one).dtype.kind == "i":
                assert np.array_equal(one, other)
            else:
                assert one == pytest.approx(other, rel=1e-13, abs=ABOUT.get(name, 1e-280))


def test_a_kernel_is_compiled_anew_when_another_file_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numba looks at the file of a kernel alone; those that it calls may be in another."""
    stamps = []
    for changed in (1, 2):
        monkeypatch.setattr(jit, "_newest_source", lambda changed=changed: changed)
        found = jit.kernel(compiled()["multiply"].py_func).compiled
        stamps.append(found._cache._cache_file._source_stamp)
    assert stamps[0] != stamps[1]


def test_kernels_compile_without_a_folder_to_cache_in(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def njit(function: Callable[..., Any], **options: Any) -> Any:
        calls.append(options)
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return function

    def kernel(x: float) -> float:
        return x

    monkeypatch.setattr(numba, "njit", njit)
    assert jit.kernel(kernel).compiled is kernel
    assert [options.get("cache", False) for options in calls] == [True, False]
    assert all(options["nogil"] and options["error_model"] == "numpy" for options in calls)


# --- draws --------------------------------------------------------------------------------------------------------


def test_log_sums_by_hand() -> None:
    labels = np.array([[0, 1, 1], [2, 2, 0]])
    table = np.array([[1.0, 10.0, 100.0], [0.5, 0.0, 0.25]])
    with np.errstate(divide="ignore"):
        logs = np.log(table)
    expected = [[math.log(21), math.log(201)], [math.log(0.5), 0.0]]
    assert log_sums(labels, logs) == pytest.approx(np.array(expected), rel=1e-15)


@given(
    st.integers(1, 4), st.integers(1, 6), st.booleans(), st.sampled_from([(5,), (1, 2, 5)]),
    st.sampled_from([6, 40_000]), st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_streams_are_added_up(
    n_tables: int, piece: int, skips: bool, rungs: tuple[int, ...], n_labels: int, seed: int
) -> None:
    """In any pieces, hits passed over, near or far: sums of each run's first draws; by shares the very same bits."""
    rng = np.random.default_rng(seed)
    shares, runs = rng.integers(1, 9, n_labels).astype(float), 7
    values, points = rng.random((n_labels, n_tables)), rng.random(400)
    cells, labels = alias_table(shares), np.empty(400, dtype=np.intp)
    find_by_alias(cells, points, labels)
    skipped = int(labels[0]) if skips else -1
    kept = labels[labels != skipped][: runs * rungs[-1]].reshape(runs, rungs[-1])
    marked = values.T.copy()
    if skips:
        marked[:, skipped] = -1
    ladder = np.array(rungs)

    def by_shares(kernel: Any, columns: list[int]) -> Callable[..., None]:
        width = len(columns)
        records = np.zeros((n_labels, 2 * width + 2))
        half = n_labels // 2
        alias_records(cells, marked[columns], 0, half, records)
        alias_records(cells, marked[columns], half, n_labels, records)
        return lambda part, *rest: kernel(records, points[part], skipped, ladder, *rest)

    ways = [(list(range(n_tables)), lambda part, *rest: add_up(values, labels[part], skipped, ladder, *rest))]
    ways += [([k], by_shares(add_up_by_alias, [k])) for k in range(n_tables)]
    three = [0, n_tables // 2, n_tables - 1]
    ways += [(three, by_shares(add_up_three, three))]
    found = []
    for columns, kernel in ways:
        width = len(columns)
        out, state, totals = np.empty((len(rungs), width, runs)), np.zeros(3, dtype=np.intp), np.zeros(width)
        for start in range(0, 400, 50 * piece):
            if state[0] < runs:
                kernel(slice(start, start + 50 * piece), state, totals, out)
        assert state[0] == runs
        found.append(out)
    for i, m in enumerate(rungs):
        for k in range(n_tables):
            assert found[0][i, k] == pytest.approx(values[kept[:, :m], k].sum(axis=1), rel=1e-14)
    for (columns, _), out in zip(ways, found, strict=True):
        assert np.array_equal(found[0][:, columns], out)


FAR: dict[str, Inputs] = {
    "find_by_alias": lambda rng: (alias_table(np.ones(70_000)), rng.random(300), np.empty(300, dtype=np.intp)),
    "add_up": lambda rng: (rng.random((70_000, 2)), rng.integers(70_000, size=140), 3, *_sums(2)),
    "add_up_by_alias": lambda rng: (rng.random((70_000, 4)), rng.random(140), -1, *_sums(1)),
    "add_up_three": lambda rng: (rng.random((70_000, 8)), rng.random(140), -1, *_sums(3)),
}


@pytest.mark.parametrize("name", FAR)
def test_what_is_far_is_asked_for_ahead_of_time(name: str, rng: np.random.Generator, monkeypatch: Any) -> None:
    """The compiled kernel has the prefetch; the slow twin asks for the rows of the draws to come, and none beyond."""
    fresh = numba.njit(compiled()[name].py_func)  # of a kernel out of the cache nothing can be seen
    given = FAR[name](rng)
    again = copy.deepcopy(given)
    fresh(*given)
    (code,) = fresh.inspect_llvm().values()
    assert "llvm.prefetch" in code
    asked: list[int] = []
    slow = compiled()[name].py_func
    monkeypatch.setitem(slow.__globals__, "fetch", lambda table, row: asked.append(int(row)))
    slow(*again)
    assert given[-1] == pytest.approx(again[-1], rel=1e-15)
    rows = again[1] if name == "add_up" else (again[1] * 70_000).astype(int)
    assert asked == [rows[min(j + AHEAD_DRAWS, rows.size - 1)] for j in range(len(asked))]
    assert len(asked) >= 100
    assert fetch(np.ones((3, 2)), 1) is None


def test_near_tables_are_not_asked_for(rng: np.random.Generator, monkeypatch: Any) -> None:
    asked: list[int] = []
    monkeypatch.setitem(add_up_by_alias.py_func.__globals__, "fetch", lambda table, row: asked.append(row))
    add_up_by_alias.py_func(*_alias_stream(rng))
    assert asked == []


def test_equal_but_for_a_shift_by_hand() -> None:
    a = np.array([0.0, -np.inf, 2.0])
    assert equal_but_for_a_shift(a, a - 3, 3.0, 1e-13)
    assert not equal_but_for_a_shift(a, a - 3, -3.0, 1e-13)
    assert not equal_but_for_a_shift(a, a - 3 + 1e-6, 3.0, 1e-13)
    for left, right in ((a, np.zeros(3)), (np.zeros(3), a), (a, np.array([0.0, 1e300, 2.0]))):
        assert not equal_but_for_a_shift(left, right, 0.0, 1e-13)


def test_extent_by_hand() -> None:
    inf = np.inf
    assert extent(np.array([1.0, -5.0, -inf, 9.0]), np.array([0.0, 0.0, 0.0, -inf])) == (9.0, -inf, -5.0)
    assert extent(np.array([1.0, -5.0, -inf]), np.array([0.0, -inf, -inf])) == (1.0, 1.0, 1.0)
    assert extent(np.array([-inf, -inf]), np.zeros(2)) == (-inf, -inf, inf)


def test_log_sums_of_nothing_and_of_very_much() -> None:
    labels = np.array([[0, 0], [0, 1], [1, 1], [2, 1], [3, 3]])
    table = np.array([[-np.inf, 1e4, -1e4, 700.0]])
    expected = [-math.inf, 1e4, 1e4 + math.log(2), 1e4, 700 + math.log(2)]
    assert log_sums(labels, table)[0].tolist() == pytest.approx(expected, rel=1e-15)


def test_label_totals_by_hand() -> None:
    labels = np.array([[0, 1, 1], [1, 2, 0]])
    table, divisor = np.log([1.0, 3.0, 4.0]), np.log([2.0, 4.0])
    # Run 0: label 0 gives 1/2, label 1 gives 6/2; run 1: 1/4, 3/4, 1.
    totals = label_totals(labels, table, divisor, 4)
    assert totals[0] == pytest.approx([0.75, 3.75, 1.0, 0.0], rel=1e-15)
    assert totals[1] == pytest.approx([1 / 4 + 1 / 16, 9 + 9 / 16, 1.0, 0.0], rel=1e-15)


@given(st.integers(1, 6), st.integers(1, 6), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_label_totals_are_sums_over_runs(n_labels: int, runs: int, m: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(n_labels, size=(runs, m))
    table, divisor = rng.normal(size=n_labels), rng.normal(size=runs)
    counts = np.array([np.bincount(row, minlength=n_labels) for row in labels])
    each = counts * np.exp(table - divisor[:, None])
    totals = label_totals(labels, table, divisor, n_labels)
    assert totals[0] == pytest.approx(each.sum(axis=0), rel=1e-12)
    assert totals[1] == pytest.approx((each**2).sum(axis=0), rel=1e-12)


# --- shares ------------------------------------------------------------------------------------------------------


def chances(shares: list[float]) -> np.ndarray:
    """What the cells give to each label, (L,)."""
    cells = alias_table(np.array(shares, dtype=float))
    own = cells[:, 0] / len(shares)
    found = np.array(own)
    np.add.at(found, cells[:, 1].astype(int), 1 / len(shares) - own)
    return found


@pytest.mark.parametrize(
    "shares",
    [
        [1.0],
        [0.0, 1.0],
        [1.0, 0.0],
        [0.0, 0.0, 3.0, 0.0, 1.0, 0.0, 0.0],
        [5.0, 0.0, 0.0, 0.0],
        [1e-300, 1.0, 1e-300],
        [1.0, 1e-17, 1.0],
        [2.0**45, 1.0, 1.0],
        [1.0] * 100,
        [1.0] + [0.0] * 98 + [1e-9],
        [1 / k for k in range(1, 1000)],
    ],
    ids=lambda shares: str(shares)[:40],
)
def test_cells_give_each_label_its_share(shares: list[float]) -> None:
    share = np.array(shares) / math.fsum(shares)
    assert chances(shares) == pytest.approx(share, rel=0, abs=1e-15)
    assert np.all(chances(shares)[share == 0] == 0)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=12).filter(any))
def test_whole_shares_are_counted_out(shares: list[int]) -> None:
    """With whole shares each label owns exactly L points of L Σ shares for each of its shares."""
    n, total = len(shares), sum(shares)
    points = (np.arange(n * total) + 0.5) / (n * total)
    labels = np.empty(points.size, dtype=np.intp)
    find_by_alias(alias_table(np.array(shares, dtype=float)), points, labels)
    assert np.bincount(labels, minlength=n).tolist() == [n * t for t in shares]


@given(st.lists(st.floats(0, 1e300), min_size=1, max_size=40).filter(any), st.floats(0, 1, exclude_max=True))
def test_no_label_without_shares_is_ever_found(shares: list[float], point: float) -> None:
    draw = by_shares(np.array(shares))
    labels = np.empty(1, dtype=np.intp)
    find_by_alias(draw.cells, np.array([point]), labels)  # type: ignore[attr-defined]
    assert shares[labels[0]] > 0


def test_out_of_range() -> None:
    assert not out_of_range(np.array([0, 3]), 4)
    assert out_of_range(np.array([0, 4]), 4)
    assert out_of_range(np.array([-1, 0]), 4)
    assert not out_of_range(np.array([], dtype=np.intp), 4)


# --- transforms, at 60 digits -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "z", [0.0, 1e-300, 1e-12, -1e-12, 1e-3, 0.3, 0.5, 0.500001, -0.4999, -0.51, 3.0, -3.0, 50.0, 800.0]
)
def test_second_order(z: float) -> None:
    """e^{-z} - 1 + z, to the last digits however small z is."""
    with mp.workdps(400):
        exact = float(mp.expm1(-mp.mpf(z)) + z)
    assert _second_order(z) == pytest.approx(exact, rel=4e-15, abs=0)


LAW = (np.array([0.125, 0.5, 0.25, 0.125]), np.array([-3.0, 0.25, 1.5, -np.inf]))
V = np.array([-40.0, -12.5, -2.0, 0.0, 1.5, 4.0, 6.0])


def _phi(t: Any, q: Any, x: Any) -> Any:
    return mp.fsum(mp.mpf(float(a)) * mp.exp(-t * b) for a, b in zip(q, x, strict=True))


def test_a_descent_looks_up_the_largest_scores(rng: np.random.Generator) -> None:
    """T of one step: the k largest scores, of equal ones the first."""
    from implicitloss.kernels.descent import descend

    for k in (1, 3, 7, 8):
        for scores in (rng.normal(size=8), rng.integers(3, size=8).astype(np.float64)):
            visits, rest = np.empty(8), np.empty((3, 8))
            top = np.argsort(-scores, kind="stable")[:k]
            descend(scores, *np.full((3, 8), 0.3), k, 1, 0.1, 1, 0, visits, *rest)
            assert np.flatnonzero(visits).tolist() == sorted(top.tolist())


def test_log_transform() -> None:
    """The labels' series up to v = -1.5, where t max x = 1, and sums over labels beyond it."""
    q, log_x = LAW
    v_all = np.append(V, [-1.8, -1.5, -1.49])
    with mp.workdps(60):
        x = [mp.exp(mp.mpf(float(g))) if np.isfinite(g) else mp.mpf(0) for g in log_x]
        exact = [float(mp.log(_phi(mp.exp(mp.mpf(float(v))), q, x))) for v in v_all]
    assert log_transform(v_all, q, log_x) == pytest.approx(exact, rel=1e-14, abs=0)


def test_log_transform_about_mean() -> None:
    """The same about the mean, where the exponents nearly cancel."""
    q = np.array([0.25, 0.5, 0.25])
    for size in (1.0, 1e-3, 1e-7):
        excess = np.array([-1.0, 0.25, 0.5]) * size
        with mp.workdps(80):
            exact = [
                float(mp.log(_phi(mp.exp(mp.mpf(float(v))) * 0.75, q, [mp.mpf(float(e)) for e in excess]))) for v in V
            ]
        assert log_transform_about_mean(V, q, excess, 0.75) == pytest.approx(exact, rel=2e-14, abs=0)


def test_log_transform_about() -> None:
    q, log_excess = LAW
    with mp.workdps(60):
        x = [mp.expm1(mp.mpf(float(g))) if np.isfinite(g) else mp.mpf(-1) for g in log_excess]
        exact = [float(mp.log(_phi(mp.exp(mp.mpf(float(v)) - 1), q, x))) for v in V]
    # Near v = -40 the terms of the sum have two signs: absolute accuracy is what it can have.
    assert log_transform_about(V, q, log_excess, -1.0) == pytest.approx(exact, rel=2e-14, abs=1e-30)


def test_tilted_integrals() -> None:
    nodes, log_weights = V, -np.exp(V)
    log_x, log_scale = np.array([0.5, -np.inf, 300.0]), np.array([0.0, 1.0, 2.0])
    with mp.workdps(60):
        exact = [
            float(
                mp.fsum(
                    mp.exp(mp.mpf(float(w)) + s - (mp.exp(mp.mpf(float(v)) + g) if np.isfinite(g) else 0))
                    for v, w in zip(nodes, log_weights, strict=True)
                )
            )
            for g, s in zip(log_x.tolist(), log_scale.tolist(), strict=True)
        ]
    assert tilted_integrals(nodes, log_weights, log_x, log_scale) == pytest.approx(exact, rel=1e-14, abs=0)


@given(st.integers(1, 600), st.integers(0, 2**32 - 1))
def test_sums_over_blocks_lose_no_label(n_labels: int, seed: int) -> None:
    """φ(e^v) of L labels that all add x is e^{-t x}, whatever L is beside the block length of 128."""
    rng = np.random.default_rng(seed)
    q = rng.dirichlet(np.ones(n_labels))
    v = np.array([-5.0, 0.0, 2.0])
    assert log_transform(v, q, np.zeros(n_labels)) == pytest.approx(-np.exp(v), rel=1e-12)
    assert log_transform_about(v, q, np.full(n_labels, math.log(2)), 0.0) == pytest.approx(-np.exp(v), rel=1e-12)
    assert log_transform_about_mean(v, q, np.zeros(n_labels), 1.0).tolist() == [0, 0, 0]


def test_a_cache_that_is_broken_or_cannot_be_written_is_compiled_anew(tmp_path: Path) -> None:
    """As after a power cut, and on a full disk; without the care of `jit.py` the first is an EOFError for good."""
    script = (
        "import sys; from implicitloss.kernels import jit\n"
        "@jit.kernel\n"
        "def added(a, b):\n    return a + b\n"
        "def fails(*given):\n    raise OSError(28, 'No space left on device')\n"
        "cache = added.compiled._cache._cache\n"
        "if 'full' in sys.argv: cache.save_overload = fails\n"
        "assert added(1, 2) == 3\n"
    )
    (tmp_path / "mine.py").write_text(script)
    env = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    command = [sys.executable, str(tmp_path / "mine.py")]
    subprocess.run(command, check=True, env=env)
    files = [path for kind in ("nbc", "nbi") for path in (tmp_path / "cache").rglob(f"*.{kind}")]
    assert len(files) == 2
    for path in files:
        whole = path.read_bytes()
        garbled = bytes(byte ^ (i % 7 == 3) for i, byte in enumerate(whole))
        path.write_bytes(b"" if path.suffix == ".nbi" else garbled)
        subprocess.run(command, check=True, env=env)
        path.write_bytes(whole)
    for path in files:
        path.unlink()
    subprocess.run([*command, "full"], check=True, env=env)
    assert not list((tmp_path / "cache").rglob("*.nbc"))
