"""The audits of installed packages: a table with or without them, and a control with a known answer."""

from __future__ import annotations

import importlib.metadata
from typing import Any

import numpy as np
import pytest

import implicitloss as il
from analysis import libraries

PRIOR = il.LabelPrior.zipf(10, 1.0)
SIZE = libraries.Size(200, 20, 2_000)


def _missing(name: str) -> str:
    raise importlib.metadata.PackageNotFoundError(name)


def test_missing_packages_are_named_and_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libraries.importlib.metadata, "version", _missing)
    found = [row for point in libraries.points(PRIOR, True) for row in libraries.rows(PRIOR, point)]
    assert [row["package"] for row in found] == list(libraries.PACKAGES)
    assert {row["verdict"] for row in found} == {"skipped"}
    text = libraries.summary(found)
    for name in libraries.PACKAGES:
        assert f"{name} was left out: not installed: pip install {name}" in text


def test_a_broken_package_costs_the_others_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(size: libraries.Size) -> Any:
        raise AttributeError("no such\nfunction")

    def half(size: libraries.Size) -> list[libraries.Case]:
        def fails(scores: Any, positive: Any, rng: Any) -> Any:
            raise TypeError("another signature")

        return [libraries.Case("f", "", None, "full", "full", loss, size.prior) for loss in (fails, _full)]

    monkeypatch.setattr(libraries.importlib.metadata, "version", lambda name: "1.0")
    monkeypatch.setattr(libraries, "PACKAGES", {"broken": broken, "half": half})
    found = [row for point in libraries.points(PRIOR, True) for row in libraries.rows(PRIOR, point)]
    assert [(row["package"], row["verdict"]) for row in found] == [
        ("broken", "skipped"),
        ("half", "skipped"),
        ("half", "holds"),
    ]
    assert found[0]["notes"] == "AttributeError: no such function"
    assert found[1]["notes"] == "TypeError: another signature"
    assert found[2]["gains"] == "neither"
    assert found[2]["evaluations"] > 0
    assert all(tuple(row) == libraries.COLUMNS for row in found)
    assert "| half 1.0 | f | — | full | softmax over all labels, none drawn | **holds** |" in libraries.summary(found)


def _full(scores: Any, positive: Any, rng: Any) -> Any:
    return libraries._softmax(scores, positive, np.ones(scores.shape) - np.eye(scores.shape[1])[positive])


def test_a_sampler_as_a_loss(seed: int) -> None:
    """Its law is what the audit finds."""
    q = SIZE.prior.probabilities
    loss = libraries._of_draws(lambda y, rng: rng.choice(q.size, size=SIZE.m, p=q))
    report = il.audit(loss, claim=SIZE.scheme(), prior=SIZE.prior, rng=seed, runs=SIZE.runs)
    assert report.verdict == "holds", str(report)
    assert libraries.leaning(report)[0] == "rare"
    wrong = SIZE.scheme(sampler=il.samplers.Uniform())
    assert il.audit(loss, claim=wrong, prior=SIZE.prior, rng=seed, runs=SIZE.runs).verdict == "refuted"


def test_inclusion_in_draws_without_replacement(seed: int) -> None:
    """Beside 4000 samples: the standard error is at most 0.008."""
    q = SIZE.prior.probabilities
    rng = np.random.default_rng(seed)
    keys = np.log(q) + rng.gumbel(size=(4_000, q.size))
    counted = np.bincount(np.argsort(-keys, axis=1)[:, : SIZE.m].ravel(), minlength=q.size) / 4_000
    assert libraries._inclusion(q, SIZE.m).sum() == pytest.approx(SIZE.m)
    # Five of them, and the bias of the formula, which is of order 1/m.
    assert libraries._inclusion(q, SIZE.m) == pytest.approx(counted, abs=5 * 0.008)


def test_quotes_are_looked_up() -> None:
    assert libraries.quoted("two words", test_quotes_are_looked_up) == (
        f"(no longer documented: “two words”, {__name__}.test_quotes_are_looked_up)"
    )
    assert libraries.quoted("that many evaluations", libraries.Size) == (
        "(no longer documented: “that many evaluations”, analysis.libraries.Size)"
    )
    assert libraries.quoted("how many evaluations", libraries.Size).startswith("“how many evaluations”")
    assert libraries.quoted("", libraries.Size) == ""


def test_the_torch_control(seed: int) -> None:
    """Cross-entropy is softmax, with log π added it is the logit-adjusted one, and no softmax any more."""
    pytest.importorskip("torch")
    rows = libraries.rows(PRIOR, {"package": "torch", "quick": True})
    assert [row["verdict"] for row in rows] == ["holds", "holds", "refuted"], rows
    assert [row["gains"] for row in rows] == ["neither", "rare", "rare"]
    assert "logit-adjusted" in rows[2]["closest"]
