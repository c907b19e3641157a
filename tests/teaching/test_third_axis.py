"""The page's third axis: two Gaussian classes, their errors, the gap's parts, and the sentence on them."""

from __future__ import annotations

import itertools
import json
import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import Browser, put, said
from scipy.stats import norm

from implicitloss.spectral import Gap, Prediction, equal_error_offset, gap, least_error_offset
from implicitloss.teaching.vectors import scheme_offset, spectra, two_classes

VIEWS = ("scores", "parts", "errors")
SCHEME = {"sampler": "mixture", "share": 1, "alpha": 0.75, "weighting": "importance", "tau": 1, "m": 8, "hits": "mask"}
# Nothing is alike in these: classes, counts, marks and the offset in use.
SHOWN: dict[str, dict[str, Any]] = {
    "wide": {"spectrum": 4, "odds": 1.5, "offset": "own", "delta": -0.8, "weighting": "constant"},
    "narrow": {"spectrum": 0.125, "odds": 0.5, "offset": "equal", "delta": 0, "weighting": "relative"},
    "scheme": {"spectrum": 2.5, "odds": 6, "offset": "scheme", "delta": 1, "weighting": "tail", "tau": 0.5},
}


@dataclass(frozen=True)
class Expected:
    """What the library makes of a setting."""

    settings: dict[str, Any]

    @cached_property
    def prediction(self) -> Prediction:
        return two_classes(self.settings)

    @cached_property
    def scheme(self) -> float | None:
        return scheme_offset(self.settings)

    @cached_property
    def offsets(self) -> dict[str, float]:
        p = self.prediction
        return {
            "scheme": self.scheme or 0.0,
            "equal": equal_error_offset(p.mean, p.variance),
            "least": least_error_offset(p.mean, p.variance),
            "adjusted": float(np.log(1 / self.settings["odds"])),
            "own": float(self.settings["delta"]),
        }

    @property
    def delta(self) -> float:
        return self.offsets[self.settings["offset"]]

    def at(self, delta: float) -> Gap:
        p = self.prediction
        return gap(p.mean, p.variance, p.training_mean, delta)

    @cached_property
    def parts(self) -> dict[str, float]:
        found = self.at(self.delta)
        assert found.overfit == 0
        return {"counts": found.train, "margins": found.label, "spectrum": found.scale}

    @cached_property
    def boundary(self) -> float:
        """Where the score w·x, without counts and offset, is as good as 0."""
        return -float(np.log(self.settings["odds"])) - self.delta


def address(settings: dict[str, Any]) -> str:
    return "#" + "&".join(f"{name}={value}" for name, value in settings.items())


def pictures(browser: Browser) -> dict[str, str]:
    return {name: browser.run(f"document.getElementById('{name}-picture').innerHTML") for name in VIEWS}


@pytest.fixture(scope="module", params=sorted(SHOWN))
def shown(request: pytest.FixtureRequest, page: Path, browser: Browser) -> Expected:
    settings = SCHEME | SHOWN[request.param]
    browser.look(1280, 900)
    # By way of another setting: what is shown is refreshed.
    browser.open(page, "#spectrum=1&odds=3&offset=least")
    browser.follow(address(settings))
    return Expected(settings)


# --- without a browser ------------------------------------------------------------------------------------------------


def test_the_score_is_the_log_odds_where_spectra_are_alike() -> None:
    """Two classes N(±1, 1) with counts 3 : 1; an affine score is known by its values at the two means."""
    p = two_classes({"spectrum": 1.0, "odds": 3.0})
    log_odds = [float(norm.logpdf(x, 1) - norm.logpdf(x, -1) + np.log(3)) for x in (1, -1)]
    np.testing.assert_allclose(p.mean, log_odds, rtol=1e-12)
    np.testing.assert_allclose(p.variance, (np.diff(log_odds)[0] / 2) ** 2, rtol=1e-12)


def test_the_spectrum_is_the_ratio_of_variances_and_their_sum_stays() -> None:
    for spectrum in (0.1, 1.0, 7.0):
        variance = two_classes({"spectrum": spectrum, "odds": 1.0}).variance
        assert variance[0] / variance[1] == pytest.approx(spectrum)
        assert variance.sum() == pytest.approx(8)


def test_vectors_have_every_kind_of_scheme_and_of_classes() -> None:
    found = spectra()["classes"]
    assert {row["settings"]["odds"] == 1 for row in found} == {True, False}
    assert {row["settings"]["spectrum"] > 1 for row in found} == {True, False}
    # Of model-based draws some have an offset, and some have none.
    by_model = [row["scheme"] is None for row in found if row["settings"]["sampler"] == "model"]
    assert set(by_model) == {True, False}
    assert not any(row["scheme"] is None for row in found if row["settings"]["sampler"] != "model")
    # At equal counts a scheme has no offset; at others within-batch draws with constant weights have one.
    assert all(abs(row["scheme"] or 0) < 1e-12 for row in found if row["settings"]["odds"] == 1)
    within = SCHEME | {"weighting": "constant", "odds": 4.0}
    assert scheme_offset(within) == pytest.approx(-np.log(4) / 2)
    # Φ is compared from where it is the least positive number to where it is 1 but for rounding.
    z, p = np.array(spectra()["normal"]).T
    assert (z.min(), z.max()) == (-37, 9)
    np.testing.assert_allclose(p, norm.cdf(z), rtol=1e-13)


# --- what is shown, held against the library --------------------------------------------------------------------------


def test_tables_are_the_library_s(shown: Expected, browser: Browser) -> None:
    def table(name: str) -> dict[str, list[str]]:
        head, *rows = (line.split(",") for line in browser.run(f"asCsv({name!r})").splitlines())
        return dict(zip(head, map(list, zip(*rows, strict=True)), strict=True))

    def same(found: list[str], expected: Any) -> None:
        np.testing.assert_allclose(np.array(found, dtype=float), expected, rtol=1e-12, atol=1e-14)

    p, now = shown.prediction, shown.at(shown.delta)
    found = table("scores")
    same(found["mean"], p.mean + shown.delta)
    same(found["variance"], p.variance)
    same(found["error"], now.error)
    found = table("parts")
    assert found["part"] == ["counts", "margins", "spectrum", "total"]
    same(found["value"], [*shown.parts.values(), now.total])
    found = table("errors")
    assert found["offset"] == list(shown.offsets)
    same(found["delta"], list(shown.offsets.values()))
    errors = np.array([shown.at(delta).error for delta in shown.offsets.values()])
    same(found["error 1"], errors[:, 0])
    same(found["error 2"], errors[:, 1])
    same(found["mean"], errors.mean(axis=1))


# The points of lines, areas and marks, by the numbers of the axes.
READ = """(name) => {
  const svg = document.querySelector(`#${name}-picture svg`), of = (node, key) => Number(node.getAttribute(key));
  const texts = [...svg.querySelectorAll("text")], scale = (pairs) => {
    const [[p, v], [q, w]] = [pairs[0], pairs.at(-1)];
    return (at) => v + (at - p) / (q - p) * (w - v);
  };
  const isNumber = (t) => t.textContent !== "" && !Number.isNaN(Number(t.textContent));
  const left = texts.filter((t) => t.getAttribute("text-anchor") === "end" && of(t, "x") < 78 && isNumber(t));
  const y = scale(left.map((t) => [of(t, "y") - 4, Number(t.textContent)]));
  const feet = [...svg.querySelectorAll("line.axis")].filter((l) => of(l, "x1") === of(l, "x2"));
  const below = feet.map((l) => [of(l, "x1"), Number(l.nextSibling.textContent)]);
  const x = scale(below);
  const points = (node) => node.getAttribute("points").split(" ").map((p) => p.split(",").map(Number));
  const placed = (node) => points(node).map(([u, v]) => [x(u), y(v)]);
  const all = (what) => Object.fromEntries([...svg.querySelectorAll(what)].map((n) => [n.classList[1], placed(n)]));
  const ends = (what) => [...svg.querySelectorAll(what)].map((l) => [of(l, "x1"), of(l, "x2")]);
  const at = (what) => ends(what).filter(([a, b]) => a === b).map(([a]) => x(a));
  const triangle = svg.querySelector("path.balanced")?.getAttribute("d").match(/-?[\\d.]+/g).map(Number);
  return {
    lines: all("polyline"), areas: all("polygon"), cut: at(".cut")[0], flags: at(".zero"),
    names: texts.filter((t) => t.classList.contains("halo")).map((t) => t.textContent),
    triangle: triangle && [x(triangle[0]), y((triangle[1] + triangle[3]) / 2)],
    small: texts.filter((t) => t.classList.contains("small")).map((t) => t.textContent),
  };
}"""


def test_shaded_areas_are_the_errors_and_lie_on_the_wrong_side(shown: Expected, browser: Browser) -> None:
    found = browser.run(f"({READ})('scores')")
    p, errors = shown.prediction, shown.at(shown.delta).error
    assert found["cut"] == pytest.approx(shown.boundary, abs=0.01)
    for k, kind in enumerate(("sampled", "implicit")):
        u, density = np.array(found["lines"][kind]).T
        centre = p.mean[k] - np.log(shown.settings["odds"])
        np.testing.assert_allclose(density, norm.pdf(u, centre, np.sqrt(p.variance[k])), atol=2e-3)
        edge, height = np.array(found["areas"][kind]).T
        assert (edge.max() if k == 0 else edge.min()) == pytest.approx(shown.boundary, abs=0.01)
        # But for the tail that the picture cuts off.
        outside = norm.sf(9 - abs(centre), scale=np.sqrt(p.variance[k]))
        assert np.trapezoid(height, edge) == pytest.approx(errors[k], abs=outside + 2e-3)
    assert [text.split(": ")[1] for text in found["small"][:2]] == [f"{100 * e:.1f} %" for e in errors]


def test_curves_of_errors_and_marks_lie_where_they_belong(shown: Expected, browser: Browser) -> None:
    found = browser.run(f"({READ})('errors')")
    for kind, of in {"sampled": lambda e: e[0], "implicit": lambda e: e[1], "softmax": np.mean}.items():
        for delta, percent in found["lines"][kind]:
            assert percent == pytest.approx(100 * of(shown.at(delta).error), abs=0.5)
    assert found["cut"] == pytest.approx(shown.delta, abs=0.02)
    both = 100 * shown.at(shown.offsets["equal"]).error[0]
    assert found["triangle"] == [pytest.approx(shown.offsets["equal"], abs=0.02), pytest.approx(both, abs=0.5)]
    names = {
        "equal errors, δ_E": "equal", "least mean error, δ_B": "least", "logit adjustment": "adjusted",
        "the chosen scheme": "scheme",
    }  # fmt: skip
    assert set(found["names"]) == set(names)
    # Their lines, in the order of the names.
    for name, at in zip(found["names"], found["flags"], strict=True):
        assert at == pytest.approx(shown.offsets[names[name]], abs=0.02)


def test_bars_are_the_parts_and_end_at_the_gap(shown: Expected, browser: Browser) -> None:
    bars = browser.run(
        """(() => { const svg = document.querySelector("#parts-picture svg"), of = (n, k) => Number(n.getAttribute(k));
          const zero = of(svg.querySelector(".zero"), "y1");
          return [...svg.querySelectorAll("rect.block")].map((r) =>
            [zero - of(r, "y") - of(r, "height"), zero - of(r, "y"), r.nextSibling.textContent]); })()"""
    )
    values = [*shown.parts.values()]
    total = sum(values)
    ends = np.cumsum([0.0, *values])
    expected = [*(sorted(pair) for pair in itertools.pairwise(ends)), sorted([0.0, total])]
    unit = np.abs(np.array([bar[:2] for bar in bars])).max() / np.abs(expected).max()
    np.testing.assert_allclose([bar[:2] for bar in bars], unit * np.array(expected), atol=0.6)
    for (*_, text), value in zip(bars, [*values, total], strict=True):
        assert text == (f"{value:+.2f}" if abs(value) >= 0.005 else "0.00")
    says = said(browser, "parts-says")
    counts, margins, spectrum, whole = (text for *_, text in bars)
    assert says.startswith(f"z_1 - z_2 = {whole}: counts {counts}, margins {margins}, spectrum {spectrum}.")


def test_its_lines_of_python_run(shown: Expected, browser: Browser) -> None:
    told: list[Any] = []
    exec(said(browser, "spectral-python"), {"print": lambda *values: told.extend(values)})
    now = shown.at(shown.delta)
    np.testing.assert_allclose(told[1], now.error, rtol=1e-12)
    assert told[0].total == pytest.approx(now.total, abs=1e-12)
    assert told[2:] == pytest.approx([shown.offsets["equal"], shown.offsets["least"]], abs=1e-12)


# --- the sentence -----------------------------------------------------------------------------------------------------


def percent(p: float) -> str:
    text = f"{100 * p:.1f}"
    return {"0.0": "under 0.1 %", "100.0": "over 99.9 %"}.get(text, f"{text} %")


def two(x: float) -> str:
    return f"{x:.2f}".replace("-0.00", "0.00")


def assert_true(here: Expected, head: str, says: str) -> None:
    """Every claim of the sentence holds of the library's numbers, and all that is to be said is said."""
    now, counts = here.at(here.delta), here.settings["odds"]
    first, second = map(percent, now.error)
    parts = {name: value for name, value in here.parts.items() if abs(value) > 1e-9}
    even = abs(now.total) < 1e-9
    kind = "equal" if even else "nearly equal" if first == second else "unequal"
    assert head == f"{'Equal' if counts == 1 else 'Unequal'} counts, {kind} errors."
    equal, least = here.offsets["equal"], here.offsets["least"]
    mean = here.at(least).error.mean()
    if even:
        assert says.startswith(f"Both classes are missed in {first} of cases")
        assert ("counts and spectra are alike" in says) == (not parts)
        there = "there too" if abs(equal - least) < 1e-9 else f"at δ = {two(least)}"
        assert f"; the least mean error, {percent(mean)}, is {there}. " in says
    else:
        assert says.startswith(f"Class 1 is missed in {first} of cases and class 2 in {second}")
        errors = "errors " if abs(here.delta - least) < 1e-9 else ""
        assert f"δ = {two(equal)} would make both {errors}{percent(here.at(equal).error[0])}. " in says
        assert ("is the least" in says) == (abs(here.delta - least) < 1e-9)
        # No other offset has a smaller mean error, and at δ_E errors are equal.
        assert all(here.at(least + step).error.mean() > mean for step in (-0.3, -0.05, 0.05, 0.3))
    if cause := re.search(r"because of the (\w+)( alone)?", says):
        # It works in the direction of the gap, and no other part does more in it.
        assert parts[cause[1]] * now.total > 0
        assert abs(parts[cause[1]]) == max(abs(v) for v in parts.values() if v * now.total > 0)
        assert bool(cause[2]) == (len(parts) == 1)
    cancel = re.search(r"the parts of (.*?) (nearly )?cancel", says)
    assert (cancel is not None) == (len(parts) > 1 and kind != "unequal")
    if cancel:
        assert re.split(", | and ", cancel[1]) == list(parts)
        assert bool(cancel[2]) == (kind == "nearly equal")
    last = says.split(". ")[-1]
    if here.scheme is None:
        assert "has no one offset" in last
        assert ("none is drawn here" in last) == (here.settings["offset"] == "scheme")
        assert here.settings["offset"] != "scheme" or here.delta == 0
    elif counts == 1:
        assert here.scheme == pytest.approx(0, abs=1e-12)
        assert last.startswith("The chosen scheme acts as δ = 0: where counts are equal")
    else:
        assert f"acts as δ = {two(here.scheme)}, by its bound" in says


def test_the_sentence_is_true_at_every_corner(page: Path, browser: Browser) -> None:
    """All sliders at their ends and in the middle, all offsets, and schemes of each kind."""
    browser.open(page)
    schemes: list[dict[str, Any]] = [
        {}, {"weighting": "constant"}, {"weighting": "tail", "tau": 2}, {"weighting": "relative"},
        {"sampler": "model", "weighting": "constant"}, {"sampler": "model", "weighting": "importance"},
    ]  # fmt: skip
    every = [
        SCHEME | scheme | {"spectrum": spectrum, "odds": odds, "offset": offset, "delta": delta}
        for scheme in schemes
        for spectrum, odds in itertools.product((0.1, 0.5, 1, 10), (0.1, 1, 1.5))
        for offset, delta in [*((name, 0) for name in ("scheme", "equal", "least", "adjusted")), ("own", 5), ("own", 0)]
    ]
    # Errors that are equal to the digits shown, but not equal; parts that are hardly there.
    every += [
        SCHEME | {"spectrum": 4, "odds": 1, "offset": "own", "delta": 0.667},
        SCHEME | {"spectrum": 1, "odds": 1, "offset": "own", "delta": 1e-4},
        SCHEME | {"spectrum": 1, "odds": 2, "offset": "own", "delta": -0.6931},
        SCHEME | {"spectrum": 10, "odds": 10, "offset": "own", "delta": -5},
    ]
    found = browser.run(f"{json.dumps(every)}.map((s) => lesson(classesOf({{...state, ...s}})))")
    heads = set()
    for settings, (head, says) in zip(every, found, strict=True):
        assert not re.search(r"NaN|Infinity|undefined|null|-0\.00", head + says)
        assert_true(Expected(settings), head, says)
        heads.add(head)
    assert len(heads) == 6


def test_the_lesson_of_the_first_view(page: Path, browser: Browser) -> None:
    """Counts are equal and no scheme helps; the offset that makes errors equal does; no sampler changes it."""
    browser.open(page)
    assert said(browser, "spectral-head") == "Equal counts, unequal errors."
    plain = "Class 1 is missed in 21.5 % of cases and class 2 in 5.7 %, because of the spectrum alone"
    for fragment in ("", "#weighting=constant", "#weighting=tail", "#weighting=relative&share=0", "#sampler=power"):
        browser.follow(fragment)
        assert said(browser, "spectral-says").startswith(plain)
        assert browser.run("classes.delta") == pytest.approx(0, abs=1e-12)
    put(browser, "offset", "equal")
    assert said(browser, "spectral-head") == "Equal counts, equal errors."
    # With unequal counts within-batch draws with constant weights do something, and importance weights nothing.
    browser.follow("#odds=3&weighting=constant")
    assert "acts as δ = -0.55" in said(browser, "spectral-says")
    browser.follow("#odds=3&weighting=importance")
    assert "acts as δ = 0.00" in said(browser, "spectral-says")
    assert browser.complaints() == []


# --- controls ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("control", "value", "first", "changes"),
    [
        ("spectrum", "3", "", set(VIEWS)),
        ("odds", "14", "", set(VIEWS)),
        ("offset", "equal", "", set(VIEWS)),
        ("delta", "1.5", "#offset=own", set(VIEWS)),
        ("weighting", "constant", "#odds=4", set(VIEWS)),
        ("tau", "0.5", "#odds=4&weighting=tail", set(VIEWS)),
    ],
)
def test_every_control_changes_what_it_should(
    control: str, value: str, first: str, changes: set[str], page: Path, browser: Browser
) -> None:
    browser.open(page, first)
    before = pictures(browser)
    put(browser, control, value)
    after = pictures(browser)
    assert {name for name in VIEWS if before[name] != after[name]} == changes
    shared = browser.run("location.hash")
    words = said(browser, "spectral-says")
    browser.open(page, shared)
    assert pictures(browser) == after
    assert said(browser, "spectral-says") == words
    assert browser.complaints() == []


def test_addresses_and_sliders_keep_what_they_are_given(page: Path, browser: Browser) -> None:
    browser.open(page, "#spectrum=1e9&odds=-2&offset=<b>&delta=x")
    assert browser.run("[state.spectrum, state.odds, state.offset, state.delta]") == [10, 0.1, "scheme", 0]
    assert said(browser, "odds-value") == "1 : 10"
    browser.open(page, "#spectrum=2.7&offset=least")
    assert said(browser, "spectrum-value") == "2.7 : 1"
    assert browser.run("RATIOS[document.getElementById('spectrum').value]") == 3
    # Each slider is even in the middle, and goes from 1 : 10 to 10 : 1.
    for name in ("spectrum", "odds"):
        ends = browser.run(f"[document.getElementById({name!r}).min, document.getElementById({name!r}).max]")
        assert ends == ["0", "16"]
        for value, text in (("0", "1 : 10"), ("8", "1 : 1"), ("16", "10 : 1")):
            put(browser, name, value)
            assert said(browser, f"{name}-value") == text
            told = browser.run(f"document.getElementById({name!r}).getAttribute('aria-valuetext')")
            assert told == f"class 1 to class 2, {text.replace(':', 'to')}"
    # One's own offset starts where the other was, and is hidden before.
    assert browser.run("document.getElementById('delta').offsetParent === null")
    put(browser, "offset", "adjusted")
    put(browser, "offset", "own")
    assert browser.run("[state.delta, document.getElementById('delta').value]") == [-2.3, "-2.3"]
    assert browser.run("document.getElementById('delta').offsetParent !== null")
    assert browser.complaints() == []


def test_keys_move_it_and_it_speaks_only_then(page: Path, browser: Browser) -> None:
    browser.look(1280, 900)
    browser.open(page)
    browser.front()
    live = "document.getElementById('spectral-live').getAttribute('aria-live')"
    assert browser.run(live) == "off"
    browser.run("document.getElementById('spectrum').focus()")
    browser.press("ArrowRight")
    browser.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done())))")
    assert browser.run(f"[{live}, state.spectrum]") == ["polite", 6]
    for name in ("odds", "offset", "scores-svg"):
        browser.press("Tab")
        assert browser.run("document.activeElement.id") == name
    browser.run("document.getElementById('m').focus()")
    assert browser.run(live) == "off"
    assert browser.run(
        "[...document.querySelectorAll('#third input, #third select')].every((c) => c.labels.length === 1)"
    )
    assert browser.run("[...document.querySelectorAll('#third svg')].every((s) => s.getAttribute('role') === 'img')")
    assert browser.complaints() == []


def test_nothing_else_is_computed_anew(page: Path, browser: Browser) -> None:
    """No optimum is searched for, and what was simulated stays; a sampler that moves too is not forgotten."""
    browser.open(page, "#m=2")
    browser.run("document.getElementById('run').click()")
    browser.run(
        "window.searched = 0; window.plain = optima; optima = (...all) => { searched += 1; return plain(...all); }; 0"
    )
    for control, value in (("spectrum", "2"), ("odds", "11"), ("offset", "own"), ("delta", "0.4")):
        put(browser, control, value)
    assert browser.run("searched") == 0
    assert browser.run("computed.run.n") > 0
    browser.run("update({positive: 7})")
    assert browser.run("searched") == 0
    # Both in one frame.
    browser.run("soon({m: 4}); soon({odds: 2}, false); new Promise((done) => setTimeout(done, 100))")
    assert browser.run("[computed.state.m, classes.state.odds, searched]") == [4, 2, 1]
    assert "m=4" in browser.run("location.hash")
    assert browser.complaints() == []


@pytest.mark.parametrize("name", VIEWS)
def test_views_are_saved(name: str, page: Path, browser: Browser) -> None:
    browser.open(page, "#spectrum=0.25&odds=3&offset=equal&weighting=tail")
    svg = ET.fromstring(browser.run(f"asSvg({name!r})"))
    description = svg.findtext("{http://www.w3.org/2000/svg}desc", "")
    assert description.startswith("Setting: variances 1 : 4, counts 3 : 1, the offset that makes errors equal (δ = -1.")
    assert description.endswith("scheme: within-batch draws, tail weights (τ = 1).")
    # All of it lies on the white ground.
    ground = svg.find("{http://www.w3.org/2000/svg}rect")
    assert ground is not None
    assert svg.attrib["viewBox"].split(" ")[2:] == [ground.attrib["width"], ground.attrib["height"]]
    assert browser.run(f"fileOf({name!r}, 'csv')") == f"{name}-spectrum-0.25-counts-3.csv"


# Texts of the pictures that lie outside of them.
OUTSIDE = """[...document.querySelectorAll("#third svg")].flatMap((svg) => {
  const whole = svg.getBoundingClientRect();
  return [...svg.querySelectorAll("text")].filter((text) => {
    const {left, right, top, bottom} = text.getBoundingClientRect();
    return left < whole.left - 2 || right > whole.right + 2 || top < whole.top - 2 || bottom > whole.bottom + 2;
  }).map((text) => text.textContent);
})"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [(1440, 900), (390, 844)], ids=["desk", "phone"])
def test_it_fits(size: tuple[int, int], dark: bool, page: Path, browser: Browser) -> None:
    """Also with a fourth control and the longest names; nothing is cut, and on a phone the sliders stay."""
    browser.look(*size, dark)
    browser.open(page, "#spectrum=10&odds=0.1&offset=own&delta=5&weighting=tail&tau=2")
    assert browser.run("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    for fragment in ("#odds=10&offset=equal", "#spectrum=0.1&weighting=constant", "#spectrum=10&odds=0.1&offset=equal"):
        browser.follow(fragment)
        # A text's box is higher than its letters.
        assert browser.run(OUTSIDE) == []
        assert browser.run(
            "[...document.querySelectorAll('#third math')].every((m) => m.scrollWidth <= m.parentElement.clientWidth)"
        )
    browser.run("document.querySelectorAll('#third details').forEach((d) => { d.open = true; })")
    assert browser.run("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    browser.run("document.getElementById('errors-picture').scrollIntoView()")
    form, picture = browser.run(
        "['spectral-settings', 'errors-picture'].map((id) => "
        "{ const r = document.getElementById(id).getBoundingClientRect(); return [r.top, r.bottom]; })"
    )
    if size[0] < 600:
        assert form[0] == 0
        assert form[1] <= picture[0]
    browser.look(1280, 900)


def test_it_is_printed_two_pictures_a_row(page: Path, browser: Browser) -> None:
    """With all that can be opened open, its setting in words, and nothing beyond the edge."""
    browser.look(760, 1000)
    browser.open(page, "#odds=3&offset=least")
    browser.media("print")
    browser.run("window.dispatchEvent(new Event('beforeprint'))")
    wide, setting, *widths = browser.run(
        "[document.documentElement.scrollWidth, document.getElementById('spectral-setting').offsetHeight, "
        "...[...document.querySelectorAll('#third .view')].map((view) => view.offsetWidth)]"
    )
    browser.media(None)
    browser.look(1280, 900)
    assert wide <= 760
    assert setting > 0
    assert widths == [widths[0]] * 4
    assert 300 < widths[0] < 380


def test_the_guided_path_is_without_it(page: Path, browser: Browser) -> None:
    browser.open(page, "#step=3")
    browser.run("answer(2)")
    assert browser.run("document.getElementById('third').offsetParent === null")
    browser.run("leave()")
    assert browser.run("document.getElementById('third').offsetParent !== null")
    assert browser.complaints() == []
