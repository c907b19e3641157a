"""The audits of installed packages: a table with or without them, and a control with a known answer."""

from __future__ import annotations

import importlib
import importlib.metadata
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import implicitloss as il
from analysis.libraries import boxes, sequential
from analysis.libraries import study as libraries

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

    def half(size: libraries.Size) -> list[libraries.LibraryCase]:
        def fails(scores: Any, positive: Any, rng: Any) -> Any:
            raise TypeError("another signature")

        return [libraries.LibraryCase("f", "", None, "full", "full", loss, size.prior) for loss in (fails, _full)]

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


def test_where_no_scheme_fits_none_is_named() -> None:
    """Label smoothing has no margins."""

    def smoothed(scores: Any, positive: Any, rng: Any) -> Any:
        values, slopes = _full(scores, positive, rng)
        own = np.arange(positive.size), positive
        to_mean = scores[own] - scores.mean(axis=1), np.eye(scores.shape[1])[positive] - 1 / scores.shape[1]
        return values + 0.1 * to_mean[0], slopes + 0.1 * to_mean[1]

    case = libraries.LibraryCase("f", "", None, "full", "full", smoothed, PRIOR)
    row = libraries._audited("smoothed", "1.0", case, libraries.Size(10, 2, 64))
    assert (row["nearest"], row["verdict"], row["gains"], row["tilt"]) == ("", "refuted", "", "")
    assert "label-smoothed" in row["notes"]
    assert "| full | — | **refuted** | — |" in libraries.summary([row])


def _full(scores: Any, positive: Any, rng: Any) -> Any:
    return boxes.softmax(scores, positive, np.ones(scores.shape) - np.eye(scores.shape[1])[positive])


def test_a_sampler_as_a_loss(seed: int) -> None:
    """Its law is what the audit finds."""
    q = SIZE.prior.probabilities
    loss = boxes.of_draws(lambda y, rng: rng.choice(q.size, size=SIZE.m, p=q))
    report = il.audit(loss, claim=SIZE.scheme(), prior=SIZE.prior, rng=seed, runs=SIZE.runs)
    assert report.verdict == "holds", str(report)
    assert report.gains == "rare"
    wrong = SIZE.scheme(sampler=il.samplers.Uniform())
    assert il.audit(loss, claim=wrong, prior=SIZE.prior, rng=seed, runs=SIZE.runs).verdict == "refuted"


def test_inclusion_in_draws_without_replacement(seed: int) -> None:
    """Beside 4000 samples: the standard error is at most 0.008."""
    q = SIZE.prior.probabilities
    rng = np.random.default_rng(seed)
    keys = np.log(q) + rng.gumbel(size=(4_000, q.size))
    counted = np.bincount(np.argsort(-keys, axis=1)[:, : SIZE.m].ravel(), minlength=q.size) / 4_000
    assert boxes.inclusion(q, SIZE.m).sum() == pytest.approx(SIZE.m)
    # Five of them, and the bias of the formula, which is of order 1/m.
    assert boxes.inclusion(q, SIZE.m) == pytest.approx(counted, abs=5 * 0.008)


@pytest.mark.parametrize(("tries", "m"), [(1, 1), (3, 1), (3, 2), (4, 2), (4, 4)])
def test_the_smallest_ids_among_the_draws(tries: int, m: int) -> None:
    """P that a label is among the m smallest of the distinct draws, beside all sequences of draws."""
    q = np.array([0.1, 0.4, 0.2, 0.3])
    expected = np.zeros(q.size)
    for drawn in itertools.product(range(q.size), repeat=tries):
        expected[sorted(set(drawn))[:m]] += np.prod(q[list(drawn)])
    assert sequential.kept(q, tries, m) == pytest.approx(expected, abs=1e-9)


def test_what_an_adapter_offers_is_asked_too() -> None:
    """The stream of a loss, whose examples are counted, and its flaws between rows."""

    class Offers:
        def __call__(self, scores: Any, positive: Any, rng: Any) -> Any:
            return _full(scores, positive, rng)

        def stream(self) -> Any:
            return self

        def flaws_between_rows(self, temperature: float, rng: Any) -> tuple[()]:
            asked.append(temperature)
            return ()

    asked: list[float] = []
    counted = libraries._Counted(Offers())
    counted.stream()(np.zeros((3, 10)), np.arange(3), None)
    counted(np.zeros((2, 10)), np.arange(2), None)
    assert counted.asked == 5
    il.audit(counted, prior=PRIOR, claim="full", rng=0, runs=32)
    assert set(asked) == {1.0}
    assert not hasattr(libraries._Counted(_full), "stream")


def test_quotes_are_looked_up() -> None:
    assert libraries.quoted("two words", test_quotes_are_looked_up) == (
        f"(no longer documented: “two words”, {__name__}.test_quotes_are_looked_up)"
    )
    assert libraries.quoted("that many evaluations", libraries.Size) == (
        "(no longer documented: “that many evaluations”, analysis.libraries.case.Size)"
    )
    assert libraries.quoted("how many evaluations", libraries.Size).startswith("“how many evaluations”")
    assert libraries.quoted("", libraries.Size) == ""


def test_the_torch_control(seed: int) -> None:
    """Cross-entropy is softmax, with log π added it is the logit-adjusted one, and no softmax any more."""
    pytest.importorskip("torch")
    rows = libraries.rows(PRIOR, {"package": "torch", "quick": True})
    assert [row["verdict"] for row in rows] == ["holds", "holds", "refuted"], rows
    assert [row["gains"] for row in rows] == ["neither", "rare", "rare"]
    assert "logit-adjusted" in rows[2]["nearest"]


# --- the record -------------------------------------------------------------------------------------------------------

DOCUMENT = Path(__file__).parents[2] / "docs" / "libraries.md"
DAYS = "2026-11-26 to 2026-11-27"


@pytest.fixture
def figure() -> Any:
    """Its figure; what draws is imported by the test that needs it, and not to collect tests."""
    return importlib.import_module("figures.libraries")


def test_the_document_shows_the_record_and_its_date(figure: Any) -> None:
    """docs/libraries.md holds the summary of docs/libraries.csv, line for line."""
    record = pd.read_csv(figure.RECORD)
    assert tuple(record) == libraries.COLUMNS
    assert set(record["package"]) == set(libraries.PACKAGES)
    rows = record.astype(object).where(record.notna(), "").to_dict("records")
    text = DOCUMENT.read_text(encoding="utf-8")
    assert f"\n\n{libraries.summary(rows)}\n\n" in text
    assert f"Measured on {' and '.join(sorted(set(record['date'])))} " in text
    assert f"L = {record['labels'].iloc[0]} labels" in text
    assert f"m = {record['m'].iloc[0]} negatives" in text


def _points(drawn: Any) -> list[tuple[str, int]]:
    """Each panel's title and how many points it has."""
    return [
        (ax.get_title(), sum(len(c.get_offsets()) for c in ax.collections if len(c.get_offsets()))) for ax in drawn.axes
    ]


def test_without_packages_the_record_is_drawn_and_its_date_is_said(
    figure: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(libraries.importlib.metadata, "version", _missing)
    table = pd.DataFrame([row for point in libraries.points(PRIOR, True) for row in libraries.rows(PRIOR, point)])
    table = table.replace({"tilt": {"": np.nan}})
    tilts = pd.read_csv(figure.RECORD)["tilt"]
    assert _points(figure.draw(table)) == [(f"recorded on {DAYS}, L = 1000, m = 100", tilts.notna().sum())]
    assert f"67 audits of 23 packages, recorded on {DAYS}" in figure.caption(table)
    assert f"Recorded on {DAYS}" in figure.alt(table)


def test_packages_that_are_here_take_the_place_of_their_record(figure: Any) -> None:
    record = pd.read_csv(figure.RECORD)
    of_torch = record["package"] == "torch"
    made = record[of_torch].assign(date="2030-01-02", labels=200, m=20)
    left_out = record[~of_torch].drop_duplicates("package").assign(verdict="skipped", tilt=np.nan)
    table = pd.concat([made, left_out])
    tilts = record["tilt"].notna()
    assert _points(figure.draw(table)) == [
        ("audited on 2030-01-02, L = 200, m = 20", (tilts & of_torch).sum()),
        (f"recorded on {DAYS}, L = 1000, m = 100", (tilts & ~of_torch).sum()),
    ]
    assert "3 audits of 1 package, audited on 2030-01-02" in figure.caption(table)
    assert f"64 audits of 22 packages, recorded on {DAYS}" in figure.caption(table)
    everything = record.assign(date="2030-01-02")
    assert [title for title, _ in _points(figure.draw(everything))] == ["audited on 2030-01-02, L = 1000, m = 100"]
