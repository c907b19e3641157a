"""Everything public under random calls: a value that holds, or one sentence; and the judge is judged by mutants."""

from __future__ import annotations

import io
import sys
import time
import warnings
from collections import Counter
from typing import Any

import fuzz
import numpy as np
import pytest
from fuzz import Call, judge

import implicitloss as il
from implicitloss.adapters.discovery import frameworks

CALLS = 1_200


def assert_sound(tally: fuzz.Tally) -> None:
    assert not tally.faults, "\n".join([*tally.faults[:20], str(tally)])
    # A fuzzer that never gets inside would find nothing.
    assert tally.of("value") >= tally.calls / 2, str(tally)
    assert tally.of("sentence") >= tally.calls / 10, str(tally)


def test_a_value_or_a_sentence(seed: int) -> None:
    """False alarm: 1,200 calls of at most a dozen comparisons of 3e-10 each, 1e-5; by far the fewest simulate."""
    assert_sound(fuzz.run(CALLS, seed % 2**32))


@pytest.mark.slow
def test_a_value_or_a_sentence_at_length(seed: int) -> None:
    tally = fuzz.run(50_000, seed % 2**32)
    print(tally)
    assert_sound(tally)
    for name, kinds in _by_name(tally).items():
        inside = kinds["value"] or name.removeprefix("adapters.") in frameworks()
        assert inside, f"{name} never returned"


def _by_name(tally: fuzz.Tally) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = {}
    for (name, outcome), n in tally.counts.items():
        found.setdefault(name, Counter())[outcome] += n
    return found


def test_all_that_is_public_is_called() -> None:
    named = {name for target in fuzz.TARGETS for name in target.named}
    assert named == fuzz.public()


def test_a_new_name_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(il.scorers, "__all__", [*il.scorers.__all__, "Scorer", "logsumexp"])
    assert fuzz.public() - {name for target in fuzz.TARGETS for name in target.named} == {"scorers.logsumexp"}


@pytest.mark.parametrize("kind", sorted({"number", "whole", "label", "seed", "prior", "loss", "path", "vector"}))
def test_garbage_is_varied(kind: str, rng: np.random.Generator) -> None:
    """A kind's garbage is of many types, and none of them is what the parameter takes."""
    v = fuzz.Values(rng)
    found = [fuzz.garbage(v, kind, np.array([0.25, 0.75])) for _ in range(300)]
    assert len({type(value) for value in found}) > 8


# --- the judge --------------------------------------------------------------------------------------------------------


def _of_others(x: Any) -> Any:
    return np.zeros(3) + np.zeros(4)


def _warns(x: Any) -> Any:
    warnings.warn("careful", RuntimeWarning, stacklevel=1)


def _hangs(x: Any) -> Any:
    time.sleep(60)


def _turns(x: Any) -> Any:
    while True:
        pass


def _prints(x: Any) -> Any:
    print("noise")


@pytest.mark.parametrize(
    ("function", "outcome"),
    [
        (lambda x: x, "value"),
        (lambda x: il.LabelPrior.zipf(0, 1.0), "sentence"),
        (_of_others, "foreign"),
        (lambda x: int("x"), "foreign"),
        (lambda x: {}[x], "foreign"),
        (_warns, "foreign"),
        (lambda x: il.LabelPrior.zipf(3, 1.0).probabilities @ np.zeros(4), "foreign"),
        (_hangs, "hang"),
        (_turns, "hang"),
        (_prints, "wrong"),
    ],
    ids=["value", "sentence", "NumPy's", "Python's", "key", "warning", "shapes", "sleeps", "turns", "prints"],
)
def test_what_came_of_a_call(function: Any, outcome: str) -> None:
    assert judge(Call(function, {"x": ("number", 1.0)}), 0.3)[0] == outcome


def test_garbage_that_is_taken_is_a_fault() -> None:
    call = Call(lambda x: x, {"x": ("number", 1.0)})
    call.spoil(fuzz.Values(np.random.default_rng(0)))
    assert judge(call)[0] == "silence"


@pytest.mark.parametrize("text", ["", "x" * 301, "two\nlines", "got array([1., 2.])"])
def test_what_is_no_sentence(text: str) -> None:
    assert fuzz.is_sentence(text) is not None


def scheme(m: int = 2, hits: str = "mask") -> Any:
    return il.Scheme(il.samplers.WithinBatch(), il.weightings.Importance(), m=m, hits=hits)  # type: ignore[arg-type]


@pytest.mark.parametrize("quantity", fuzz.QUANTITIES)
@pytest.mark.parametrize("loss", [fuzz.SOFTMAX, il.losses.Decoupled(il.losses.logistic)], ids=["softmax", "logistic"])
def test_a_wrong_number_is_seen(quantity: Any, loss: Any, problem: il.Problem) -> None:
    """The exact witnesses pass; one part in a million more does not."""
    for witness in (il.integrate, il.exhaust):
        right = witness(scheme(), loss, problem, quantity)
        check = fuzz.exact(quantity, scheme(), loss, problem)
        check(right)
        size = np.max(np.abs(right.value))
        if size < 1e-12:  # the gap of a decoupled loss
            continue
        with pytest.raises(fuzz.Wrong):
            check(il.Estimate(right.value + 1e-6 * size, right.error, quantity, "mutant"))


def test_a_mean_above_the_bound_is_seen(problem: il.Problem) -> None:
    bound = float(il.implicit_loss(scheme(2_000), fuzz.SOFTMAX, problem))
    check = fuzz.exact("mean", scheme(2_000), fuzz.SOFTMAX, problem)
    check(il.integrate(scheme(2_000), fuzz.SOFTMAX, problem))
    with pytest.raises(fuzz.Wrong, match="above the bound"):
        check(il.Estimate(bound * (1 + 1e-9), 1e-12, "mean", "mutant"))


def test_the_figures_by_kind() -> None:
    tally = fuzz.run(60, 1)
    assert tally.calls == 60
    assert "60 calls" in str(tally)
    assert sum(tally.of(kind) for kind in ("value", "sentence", "wrong", "silence", "foreign", "hang")) == 60


def test_the_same_seed_makes_the_same_calls() -> None:
    made = [fuzz.one_call(3, i) for i in range(40)]
    again = [fuzz.one_call(3, i) for i in range(40)]
    assert [m and m[0].named for m in made] == [m and m[0].named for m in again]


def test_nothing_is_closed_by_a_path(capsys: pytest.CaptureFixture[str]) -> None:
    """Regression: a file's number is a path to `open`, and standard output was closed behind it."""
    for bad in (0, 1, 2, True, sys.stdout, io.StringIO()):
        with pytest.raises(ValueError, match=r"the path must be text or a pathlib.*, got"):
            il.LabelPrior.from_file(bad)  # type: ignore[arg-type]
    print("still open")
    assert capsys.readouterr().out == "still open\n"
