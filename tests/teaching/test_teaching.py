"""The teaching page: its numbers are the library's, its controls do what they say, and nothing leaves it."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy as sp
from browser import Browser, put, said

import implicitloss as il
from implicitloss import derive, symbols
from implicitloss.cli.main import main
from implicitloss.labels import LabelPrior
from implicitloss.optima.newton import NoOptimum
from implicitloss.teaching import document
from implicitloss.teaching.choices import OFFERED
from implicitloss.teaching.derivations import SAMPLERS, WEIGHTINGS, derivations
from implicitloss.teaching.vectors import scheme as vectors_scheme
from implicitloss.teaching.vectors import spectra, vectors

VIEWS = ("margins", "map", "loss", "optima", "slices", "gradient")
ANSWERS = (1, 0, 2, 2, 1, 2, 0, 2, 0)  # by the theory, not by the page
# Names, and no addresses to ask.
NAMESPACES = {"http://www.w3.org/2000/svg", "http://www.w3.org/1998/Math/MathML"}


def pictures(browser: Browser) -> dict[str, str]:
    return {name: browser.run(f"document.getElementById('{name}-picture').innerHTML") for name in VIEWS}


# --- without a browser ------------------------------------------------------------------------------------------------


def test_the_page_is_one_small_file_that_asks_nobody(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert len(text) < 1_000_000
    assert "default-src 'none'" in text.replace("&#x27;", "'")
    assert not re.search(r"(src|href)=", text)
    assert set(re.findall(r"https?://[^\"'\s<>)]+", text)) <= NAMESPACES
    assert not re.search(r"\{\{\w+\}\}", text)


def test_vectors_cover_every_choice() -> None:
    found = vectors()
    for name in ("sampler", "weighting", "hits"):
        assert len({v["settings"][name] for v in found}) == {"sampler": 4, "weighting": 5, "hits": 3}[name]
    assert found == vectors()


def test_the_page_offers_the_weightings_and_samplers_that_it_is_tested_with() -> None:
    """Its selects are its only lists; every value is in the library's derivations and vectors."""
    body = document._asset("body.html")

    def offered(name: str) -> list[str]:
        (options,) = re.findall(rf'<select id="{name}">(.*?)</select>', body)
        return re.findall(r'<option value="([^"]+)"', options)

    assert offered("weighting") == list(OFFERED) == list(WEIGHTINGS)
    for name in ("sampler", "weighting", "hits"):
        assert set(offered(name)) == {v["settings"][name] for v in vectors()}


def test_counts_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file name cannot end the script that holds it; what is malformed leaves no page behind."""
    path = tmp_path / "a<b.csv"
    path.write_text("label,count\n" + "".join(f"{i},{1000 // (i + 1)}\n" for i in range(60)))
    assert main(["teach", "--counts", str(path), "--out", str(tmp_path / "page.html")]) == 0
    assert "shows 40 of the labels, evenly by rank" in capsys.readouterr().out
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    data = json.loads(text.split('id="data">')[1].split("</script>")[0])
    assert data["counts"]["name"] == "a<b.csv"
    assert (data["counts"]["of"], len(data["counts"]["prior"])) == (60, document.MOST_LABELS_ON_PAGE)
    path.write_text("label,count\na,1\nb,1\nc,1\n")
    assert main(["teach", "--counts", str(path), "--out", str(tmp_path / "other.html")]) == 2
    assert "at least 3 labels of different frequency, got 3 labels of the same count in" in capsys.readouterr().err
    assert main(["teach", "--out", str(tmp_path / "no" / "page.html")]) == 2
    assert not (tmp_path / "other.html").exists()


def test_a_symbol_stands_for_every_number() -> None:
    """The page's derivations, which have λ, α and τ, are at numbers what the library derives for these."""
    loss = il.losses.SoftmaxCrossEntropy()
    at = {symbols.share: sp.Rational(3, 10), symbols.alpha: sp.Rational(3, 10), symbols.tau: sp.Rational(2, 5)}
    numbers = {
        "mixture": il.samplers.Mixture(0.3),
        "power": il.samplers.Power(0.3),
        "tail": il.weightings.ForMargin(il.margins.LogitAdjusted(0.4)),
    }

    def apart(q: str, w: str, hits: str, values: dict[sp.Symbol, sp.Expr]) -> sp.Expr:
        general = derive(il.Scheme(SAMPLERS[q], WEIGHTINGS[w], m=1, hits=hits), loss)
        special = derive(il.Scheme(numbers.get(q, SAMPLERS[q]), numbers.get(w, WEIGHTINGS[w]), m=1, hits=hits), loss)
        assert general.checked
        return general.margin.subs(values) - special.margin

    for q, w, hits in (("mixture", "unit", "exclude"), ("power", "relative", "keep"), ("within-batch", "tail", "keep")):
        assert symbols.vanishes(apart(q, w, hits, at))
        # Another number is another margin.
        assert not symbols.vanishes(apart(q, w, hits, {name: value / 2 for name, value in at.items()}))


# --- in a browser -----------------------------------------------------------------------------------------------------


def test_its_numbers_are_the_library_s_and_it_is_quiet(page: Path, browser: Browser) -> None:
    browser.open(page)
    assert browser.run("document.getElementById('self-test').dataset.state") == "passed"
    found = browser.run("selfTest()")
    assert found["n"] == len(vectors()) + len(spectra()["classes"])
    assert set(found["worst"]) == {
        "margins", "bound", "exact loss", "gradient", "implicit optimum", "sampled optimum", "Φ", "errors", "offsets",
        "means and variances of scores", "parts of the gap", "the scheme's offset",
    }  # fmt: skip
    assert browser.complaints() == []
    # Firefox says nothing of files, and of fonts of its own.
    asked = {url.split("#")[0] for url in browser.requests() if not url.startswith(("about:", "data:"))}
    assert asked <= {page.as_uri()}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("return p / (s.m * x);", "return p / x;"),
        ('s.hits === "keep" ? p / kept : p', "p"),
        ("power(s.m - 1, logPhi[i])", "power(s.m, logPhi[i])"),
        (
            'if (s.weighting === "relative") return plain[y] / plain[j];',
            'if (s.weighting === "relative") return q[y] / x;',
        ),
        ("(m - 1) * weight", "m * weight"),
        ("? centred(f) : null;", "? null : null;"),
        (
            "[2 * s.spectrum / (1 + s.spectrum), 2 / (1 + s.spectrum)]",
            "[2 / (1 + s.spectrum), 2 * s.spectrum / (1 + s.spectrum)]",
        ),
        ("] = variance.map(Math.sqrt), kappa", "] = variance, kappa"),
        ("[(a + delta) / first, -(b + delta) / second]", "[(a - delta) / first, -(b - delta) / second]"),
        ("margins: kappa * delta", "margins: -kappa * delta"),
        ("-(a * second + b * first)", "-(a * first + b * second)"),
        ("(half + Math.sqrt(", "(half - Math.sqrt("),
        ("Math.log(p[0][1] / p[1][0]) / 2", "Math.log(p[0][1] / p[1][0])"),
        ("< 1e-9 ? found : null;", "< 1e9 ? found : null;"),
        ("(x < 6 ? 1 / (1 + Math.exp(4 * Math.PI * x)) : 0)", "0"),
        ("(x < 6 ? 1 /", "(x < 20 ? 1 /"),
        ("range(14)", "range(9)"),
    ],
    ids=[
        "lost-m",
        "kept-hits",
        "exponent",
        "conditional-q",
        "hessian",
        "no-optimum",
        "spectra-swapped",
        "lost-root",
        "sign-of-delta",
        "sign-of-its-part",
        "roots-exchanged",
        "the-maximum",
        "lost-half",
        "scores-not-looked-at",
        "pole-left-out",
        "pole-where-none-is",
        "few-nodes",
    ],
)
def test_a_slip_in_a_formula_fails_the_self_test(
    old: str, new: str, tmp_path: Path, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = document._asset
    assert plain("formulas.js").count(old) >= 1
    monkeypatch.setattr(document, "_asset", lambda name: plain(name).replace(old, new))
    path = tmp_path / "mutant.html"
    path.write_text(document.page(), encoding="utf-8")
    browser.open(path)
    state = browser.run("document.getElementById('self-test').dataset.state")
    assert state == "failed"


def test_what_is_not_allowed_is_not_loaded(page: Path, browser: Browser) -> None:
    browser.open(page)
    browser.run(
        "(() => { window.stopped = []; "
        "addEventListener('securitypolicyviolation', (e) => stopped.push(e.blockedURI)); })()"
    )
    for attempt in ("new Image().src = 'http://127.0.0.1:9/x.png'", "fetch('http://127.0.0.1:9/').catch(() => 0)"):
        browser.run(f"(() => {{ {attempt}; }})()")
    browser.run("new Promise((done) => setTimeout(done, 300))")
    # The policy stops both before they are sent: no server answers.
    assert [url.split("/")[2] for url in browser.run("stopped")] == ["127.0.0.1:9"] * 2
    assert not any("127.0.0.1" in url for url in browser.answers())


@pytest.mark.parametrize(
    ("control", "value", "first", "changes"),
    [
        ("sampler", "power", "", {"margins", "optima"}),
        ("share", "0.5", "", {"margins", "map", "optima", "slices", "gradient", "loss"}),
        ("alpha", "1.5", "#sampler=power&weighting=constant", {"margins", "map", "optima"}),
        ("weighting", "relative", "", {"margins", "map", "loss", "gradient"}),
        ("tau", "0.5", "#weighting=tail", {"margins", "map", "optima", "slices"}),
        ("m", "28", "", {"loss", "optima", "gradient"}),
        ("hits", "keep", "", {"margins", "map", "loss", "optima"}),
        ("labels", "9", "", set(VIEWS) - {"map"}),
        ("tail", "0.3", "#weighting=constant", {"margins", "loss", "optima", "slices", "gradient"}),
        ("eta", "prior", "#weighting=constant", {"loss", "optima", "gradient"}),
        ("peak", "7", "#eta=peaked&weighting=constant", {"loss", "optima", "gradient"}),
        ("positive", "12", "#weighting=relative", {"margins", "loss", "gradient"}),
    ],
)
def test_every_control_changes_what_it_should(
    control: str, value: str, first: str, changes: set[str], page: Path, browser: Browser
) -> None:
    # One page for all; what is opened anew is below.
    if browser.run("location.href.split('#')[0]") != page.as_uri():
        browser.open(page)
    browser.follow(first or "#weighting=constant")
    before = pictures(browser)
    put(browser, control, value)
    after = pictures(browser)
    assert {name for name in VIEWS if before[name] != after[name]} >= changes
    # And the address hands it out: opened anew it shows the same.
    shared = browser.run("location.hash")
    browser.open(page, shared)
    assert pictures(browser) == after
    assert browser.complaints() == []


def test_an_address_that_is_no_setting_does_no_harm(page: Path, browser: Browser) -> None:
    browser.open(page, "#m=abc&weighting=<b>&labels=1e9&hits=&share=-3&x=1")
    assert browser.run("[state.m, state.weighting, state.labels, state.hits, state.share]") == [
        8,
        "importance",
        40,
        "mask",
        0,
    ]
    assert browser.complaints() == []


def test_what_a_first_reader_found(page: Path, browser: Browser) -> None:
    browser.open(page)
    # Equal margins are one colour, not the rounding's stripes.
    heat = browser.run(
        "[...new Set([...document.querySelectorAll('#margins-picture rect.heat')].slice(0, 380).map((r) => "
        "r.className.baseVal))]"
    )
    assert len(heat) == 1
    # Every m of the slider is reached by its keys, down to 1.
    browser.run("document.getElementById('m').focus()")
    seen = []
    for _ in range(8):
        browser.press("ArrowLeft")
        seen.append(browser.run("state.m"))
    assert seen == [7, 6, 5, 4, 3, 2, 1, 1]
    # Without a tail, and where the slope is not all, softmax is not named.
    for fragment in (
        "#tail=0&sampler=power&alpha=0&weighting=tail&eta=peaked&m=1&labels=16",
        "#weighting=unit&share=0&m=8&eta=peaked&peak=10",
    ):
        browser.follow(fragment)
        assert "as full softmax does" not in browser.run("document.getElementById('named').textContent")
    browser.open(page, "#tail=0&sampler=model&weighting=constant&eta=peaked")
    assert "no loss with a name" in browser.run("document.getElementById('named').textContent")
    assert browser.run("asCsv('slices')") == "slice,implicit,sampled\n"
    browser.open(page, "#labels=4&positive=30")
    assert browser.run("computed.slices.map((s) => s.name)") == ["head", "torso", "tail"]
    assert browser.run("document.getElementById('positive').value") == "4"
    browser.run("goTo(2)")
    assert browser.run("document.getElementById('settings').inert")
    assert browser.run("document.getElementById('step-tex').textContent") == ""
    assert browser.complaints() == []


def test_the_simulation_meets_the_exact_loss(page: Path, browser: Browser) -> None:
    """20,000 runs by a fixed seed of the page's own: within five of its standard errors; a bound it is not."""
    browser.open(page, "#weighting=importance&m=2")
    browser.run("document.getElementById('run').click()")
    browser.run("new Promise((done) => { const look = () => running ? setTimeout(look, 30) : done(); look(); })")
    run, exact, bound = browser.run("[computed.run, computed.exact, computed.bound]")
    assert run["n"] == 20_000
    assert abs(run["mean"] - exact) < 5 * run["error"]
    assert abs(run["mean"] - bound) > 10 * run["error"]
    # And along the ladder, each m by a seed of its own, inside its band's five standard errors.
    band, ladder = browser.run("[computed.band, computed.ladderExact]")
    assert [one["m"] for one in band] == [2**k for k in range(11)]
    assert all(abs(one["mean"] - exact) < 5 * one["error"] for one, exact in zip(band, ladder, strict=True))
    assert browser.run("document.querySelectorAll('#loss-picture .band').length") == 1
    assert browser.complaints() == []


def test_the_guided_path_is_walked_with_the_keyboard_alone(page: Path, browser: Browser) -> None:
    """Tab and Enter; every prediction is answered, and the answers are those of the theory."""
    browser.open(page)
    browser.front()

    def tab_to(name: str) -> None:
        for _ in range(60):
            if browser.run(f"document.activeElement.matches({name!r})"):
                return
            browser.press("Tab")
        raise AssertionError(f"{name} cannot be reached by the keyboard")

    tab_to("#walk")
    browser.press("Enter")
    for k, expected in enumerate(ANSWERS):
        assert browser.run("document.getElementById('step-title').textContent").startswith(f"{k + 1} of {len(ANSWERS)}")
        # Nothing is shown before it is predicted.
        assert browser.run("document.querySelector('main').offsetParent === null")
        assert browser.run("[document.activeElement.id, location.hash]") == ["step-title", f"#step={k + 1}"]
        assert browser.run("document.getElementById('settings').inert")
        tab_to(f"#step-options button:nth-child({expected + 1})")
        browser.press("Enter")
        said = browser.run("document.getElementById('step-says').textContent")
        assert said.startswith("✓ Right"), (k, said)
        assert browser.run("document.querySelector('main').offsetParent !== null")
        # What is computed is there to be played with.
        assert not browser.run("document.getElementById('settings').inert")
        assert browser.run("document.querySelector('#step-tex math').textContent.length") > 3
        # What is asked about comes first.
        asked = browser.run("document.querySelector('main figure.asked [id$=-picture]').id")
        assert asked == browser.run("document.querySelector('main figure [id$=-picture]').id") != ""
        wrong = (expected + 1) % 3
        browser.run(f"answer({wrong})")
        assert browser.run("document.getElementById('step-says').textContent").startswith("✗ Not quite")
        # Another setting, and the question's answer stays.
        put(browser, "m", "24")
        browser.run(f"answer({expected})")
        assert browser.run("document.getElementById('step-says').textContent").startswith("✓ Right")
        tab_to("#next")
        browser.press("Enter")
    assert browser.run("document.getElementById('step-ask').textContent").startswith("9 of 9 predictions were right")
    tab_to("#leave")
    browser.press("Enter")
    assert browser.run("document.activeElement.id") == "walk"
    # The reader's own settings are back, and the pictures' order.
    assert browser.run("[...document.querySelectorAll('main figure [id$=-picture]')].map((p) => p.id)") == [
        f"{name}-picture" for name in VIEWS
    ]
    assert browser.run("[state.weighting, state.m]") == ["importance", 8]
    assert browser.run("location.hash").startswith("#sampler=mixture")
    assert browser.complaints() == []


def test_an_address_is_a_step_or_ends_the_path(page: Path, browser: Browser) -> None:
    browser.open(page, "#step=3")
    assert browser.run("document.getElementById('step-title').textContent").startswith("3 of 9: Within-batch")
    browser.run("answer(2); location.hash = '#step=7'")
    browser.run("new Promise((done) => setTimeout(done, 100))")
    assert browser.run("document.getElementById('step-title').textContent").startswith("7 of 9: A single draw")
    assert browser.run("document.querySelector('main').offsetParent === null")
    # Leaving keeps the place.
    browser.run("leave()")
    assert browser.run("document.getElementById('walk').textContent") == "Go on at step 7"
    browser.run("document.getElementById('walk').click(); location.hash = '#m=64&weighting=unit'")
    browser.run("new Promise((done) => setTimeout(done, 100))")
    assert browser.run("[walking(), state.m, state.weighting]") == [False, 64, "unit"]
    assert browser.run("document.querySelector('main').offsetParent !== null")
    browser.open(page, "#step=99")
    assert not browser.run("walking()")
    assert browser.complaints() == []


def test_one_draw_is_shown_and_simulations_differ(page: Path, browser: Browser) -> None:
    browser.open(page, "#weighting=unit&hits=keep&m=4&labels=6")
    said = browser.run("document.getElementById('draw').click(); document.getElementById('loss-draw').textContent")
    found = re.fullmatch(r"Beside 5 it drew (\d), (\d), (\d), (\d): a loss of ([\d.]+)\.", said)
    assert found is not None
    # Equal scores, weights of 1: log(1 + 4).
    assert float(found[5]) == pytest.approx(np.log(5), abs=1e-3)
    again = browser.run("document.getElementById('draw').click(); document.getElementById('loss-draw').textContent")
    assert again != said
    # Labels come as often as they are frequent: 4,000 draws, within five standard errors.
    drawn = browser.run("range(1000).flatMap((k) => evaluation(state, computed.prior, computed.f, 4, k + 1).labels)")
    share = np.bincount(drawn, minlength=6) / 4000
    prior = np.array(browser.run("computed.prior"))
    assert np.all(np.abs(share - prior) < 5 * np.sqrt(prior * (1 - prior) / 4000))
    assert browser.run("document.getElementById('run').click(), computed.run.seed") == 3
    assert browser.run("update({m: 2}), document.getElementById('loss-draw').textContent") == ""
    assert browser.complaints() == []


@pytest.mark.parametrize("name", VIEWS)
def test_views_are_saved_as_svg_and_csv(name: str, page: Path, browser: Browser) -> None:
    browser.open(page, "#weighting=tail&labels=7")
    svg = ET.fromstring(browser.run(f"asSvg({name!r})"))
    assert svg.tag == "{http://www.w3.org/2000/svg}svg"
    assert svg.find("{http://www.w3.org/2000/svg}style") is not None
    assert svg.findtext("{http://www.w3.org/2000/svg}desc", "").startswith("Setting: within-batch draws, tail weights")
    # It looks the same wherever it is opened: no rule of the page's for phones goes with it.
    assert "@media" not in svg.findtext("{http://www.w3.org/2000/svg}style", "")
    assert browser.run(f"fileOf({name!r}, 'svg')") == f"{name}-mixture-tail-m8-mask.svg"
    lines = browser.run(f"asCsv({name!r})").splitlines()
    assert len({line.count(",") for line in lines}) == 1
    assert len(lines) > 1


def test_what_is_this_names_the_loss_and_its_lines_run(page: Path, browser: Browser) -> None:
    browser.open(page)
    for fragment, words in (
        ("#weighting=tail", "logit-adjusted"),
        ("#weighting=constant", "equalised"),
        ("#weighting=importance", "softmax cross-entropy"),
        ("#weighting=relative&share=1", "relative weights"),
        ("#weighting=unit&hits=keep", "log η - log π, the balanced rule"),
        ("#sampler=model&weighting=constant&eta=peaked", "no loss with a name"),
    ):
        browser.follow(fragment)
        assert words in browser.run("document.getElementById('named').textContent")
        assert browser.run("document.querySelector('#derivation math').textContent").startswith("py𝑦′")
    # Who gains is said first: by the true sampled loss, and of the class probabilities that it is said of.
    for fragment, who in (
        ("#weighting=importance&m=1", "Rare labels gain."),
        ("#weighting=relative", "Nobody gains."),
        ("#weighting=unit&hits=keep", "Rare labels gain, up to balance."),
        ("#share=0&m=2&eta=prior", "Frequent labels gain."),
        ("#tail=0&m=1", "Nobody gains."),
        ("#sampler=model", "Negatives that follow the scores."),
    ):
        browser.follow(fragment)
        assert browser.run("document.getElementById('who').textContent") == who
    browser.follow("#weighting=importance&m=1")
    lesson = il.Scheme(il.samplers.WithinBatch(), il.weightings.Importance(), m=1, hits="mask")
    slope = il.tilt(lesson, il.LabelPrior.zipf(20, 1.0), "sampled")
    said = browser.run("document.getElementById('named').textContent")
    assert f"a score {-slope * np.log(10):.2f} higher than full softmax gives it" in said
    assert f"by the fitted slope {slope:.3f}" in said
    browser.follow("#weighting=tail&tau=0.5&labels=6&hits=keep")
    assert_same_margins(browser)


def assert_same_margins(browser: Browser) -> None:
    """The lines of Python that the page shows run, and give the margins that it shows."""
    margins = browser.run("computed.margins.flat()")
    scope: dict[str, Any] = {}
    lines, last = browser.run("document.getElementById('python').textContent").rsplit("\nprint(", 1)
    exec(lines, scope)
    np.testing.assert_allclose(margins, eval(last.removesuffix(")"), scope).ravel(), rtol=1e-12)


def test_every_setting_has_its_derivation_rendered(page: Path, browser: Browser) -> None:
    browser.open(page)
    found = browser.run("""[
        ["mixture", 0], ["mixture", 1], ["mixture", 0.3], ["power", 0.35], ["log-uniform", 0], ["model", 0],
    ].flatMap(
        ([sampler, x]) => KINDS.weighting.flatMap((weighting) => KINDS.hits.map((hits) => {
            update({sampler, share: x, alpha: x, weighting, hits, tau: 0.4});
            return document.querySelectorAll("#steps li math").length;
        })))""")
    assert len(found) == 6 * 5 * 3
    assert min(found) >= 7
    assert browser.run("document.querySelector('#derivation math').namespaceURI").endswith("MathML")
    # What the renderer does not know it does not pass over in silence.
    for unknown in (r"\\binom{x}", r"\\left(x", "{x"):
        with pytest.raises(RuntimeError, match=r"is not known|no \S+ in"):
            browser.run(f"mathOf('{unknown}').textContent")
    text = browser.run(r"mathOf('\\sum_{y\' \\neq y} \\sum_{i=1}^{m} \\frac{a}{b^{2}} - {\\pi}_{y}^{\\tau}').innerHTML")
    assert re.sub(r" xmlns=\S+?(?=>)", "", text) == (
        "<mrow><munder><mo>∑</mo><mrow><mi>𝑦′</mi><mo>≠</mo><mi>y</mi></mrow></munder>"
        '<munderover><mo>∑</mo><mrow><mi>i</mi><mo stretchy="false">=</mo><mn>1</mn></mrow><mrow><mi>m</mi></mrow>'
        "</munderover><mfrac><mrow><mi>a</mi></mrow>"
        "<mrow><msup><mi>b</mi><mrow><mn>2</mn></mrow></msup></mrow></mfrac><mo>−</mo><msubsup><mrow><mi>π</mi></mrow>"
        "<mrow><mi>y</mi></mrow><mrow><mi>τ</mi></mrow></msubsup></mrow>"
    )
    roots = browser.run(r"mathOf('\\sqrt[4]{x} + \\sqrt{y}').innerHTML")
    assert re.sub(r" xmlns=\S+?(?=>)", "", roots) == (
        "<mrow><mroot><mrow><mi>x</mi></mrow><mrow><mn>4</mn></mrow></mroot>"
        '<mo stretchy="false">+</mo><msqrt><mrow><mi>y</mi></mrow></msqrt></mrow>'
    )
    assert browser.complaints() == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [(1280, 900), (820, 1180), (390, 844)], ids=["desk", "tablet", "phone"])
def test_it_fits_every_size(size: tuple[int, int], dark: bool, page: Path, browser: Browser, tmp_path: Path) -> None:
    browser.look(*size, dark)
    browser.open(page)
    shot = browser.look(*size, dark)
    (tmp_path / "page.png").write_bytes(shot)
    assert len(shot) > 20_000
    assert browser.run("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    # Every control is large enough for a finger and has a name.
    assert browser.run(
        "[...document.querySelectorAll('input,select,button')].every((c) => !c.offsetParent || c.offsetHeight >= 16)"
    )
    assert browser.run("[...document.querySelectorAll('input,select')].every((c) => c.labels.length === 1)")
    color = browser.run("getComputedStyle(document.body).backgroundColor")
    assert (color != "rgb(255, 255, 255)") == dark


def test_counts_are_shown_and_can_be_left(tmp_path: Path, browser: Browser) -> None:
    path = tmp_path / "page.html"
    path.write_text(document.page(LabelPrior.from_counts([500, 100, 20, 5]), "mine.csv"), encoding="utf-8")
    browser.open(path)
    assert browser.run("computed.prior.length") == 4
    assert "mine.csv, 4 labels" in browser.run("document.getElementById('counts-name').textContent")
    put(browser, "counts", "no")
    assert browser.run("computed.prior.length") == 20
    assert browser.complaints() == []


def test_labels_have_their_names_and_the_lines_run_on_counts(
    tmp_path: Path, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = tmp_path / "mine.csv"
    counts.write_text("label,count\n" + "".join(f'"a, <b>{i}",{1 + i * i}\n' for i in range(90)))
    path = tmp_path / "page.html"
    assert main(["teach", "--counts", str(counts), "--out", str(path)]) == 0
    browser.open(path, "#weighting=constant&hits=exclude&m=3&positive=39")
    assert browser.run("document.getElementById('positive-value').textContent") == "40 (a, <b>0)"
    assert "40 (a, <b>0)" in browser.run("document.getElementById('gradient-says').textContent")
    assert browser.run("asCsv('gradient')").splitlines()[1].startswith('1,"a, <b>89",')
    assert browser.run("asCsv('margins')").splitlines()[1].startswith('"1 (a, <b>89)","2 (a, <b>87)",')
    monkeypatch.chdir(tmp_path)
    assert_same_margins(browser)
    assert browser.complaints() == []


def test_on_a_phone_the_controls_stay_with_the_pictures(page: Path, browser: Browser) -> None:
    browser.look(390, 844)
    browser.open(page)
    browser.run("document.getElementById('optima-picture').scrollIntoView()")
    form, picture = browser.run(
        "['settings', 'optima-picture'].map((id) => { const r = document.getElementById(id).getBoundingClientRect();"
        "return [r.top, r.bottom]; })"
    )
    assert form[0] == 0
    assert form[1] <= picture[0] < picture[1] <= 844
    browser.run("window.dispatchEvent(new Event('beforeprint'))")
    assert browser.run("[...document.querySelectorAll('details')].every((d) => d.open)")
    browser.look(1280, 900)


# --- what is shown, held against the library --------------------------------------------------------------------------

SOFTMAX = il.losses.SoftmaxCrossEntropy()
LADDER = [2**k for k in range(11)]
# Nothing is alike in these: bound and true loss, head and tail, positive and likely label, b and c.
SHOWN: dict[str, dict[str, Any]] = {
    "mixed": {"sampler": "mixture", "share": 0.35, "weighting": "unit", "m": 3, "hits": "keep", "eta": "peaked"},
    "power": {"sampler": "power", "alpha": 1.5, "weighting": "tail", "tau": 0.5, "m": 2, "hits": "exclude"},
    "batch": {"sampler": "mixture", "share": 1, "weighting": "importance", "m": 2, "hits": "mask", "eta": "prior"},
}


def setting_of(name: str) -> dict[str, Any]:
    common = {"share": 1, "alpha": 0.75, "tau": 1, "eta": "equal", "labels": 10, "tail": 1.2, "positive": 2, "peak": 6}
    return {**common, **SHOWN[name]}


@dataclass(frozen=True)
class Expected:
    """What the library makes of a setting of the page."""

    settings: dict[str, Any]

    @cached_property
    def prior(self) -> LabelPrior:
        return LabelPrior.zipf(self.settings["labels"], self.settings["tail"])

    @cached_property
    def eta(self) -> Any:
        n = self.prior.n_labels
        peaked = np.where(np.arange(n) == self.settings["peak"], 0.5, 0.5 / (n - 1))
        return {"equal": np.full(n, 1 / n), "prior": self.prior.probabilities, "peaked": peaked}[self.settings["eta"]]

    def scheme(self, m: int | None = None) -> il.Scheme:
        return vectors_scheme({**self.settings, **({} if m is None else {"m": m})})

    @cached_property
    def problem(self) -> il.Problem:
        return il.Problem(self.softmax, self.prior, self.settings["positive"])

    @cached_property
    def softmax(self) -> Any:
        return np.log(self.eta) - np.log(self.eta).mean()

    @cached_property
    def balanced(self) -> Any:
        f = np.log(self.eta / self.prior.probabilities)
        return f - f.mean()

    @cached_property
    def margins(self) -> Any:
        return il.implicit_margins(self.scheme(), self.prior)

    def optimum(self, of: Any) -> Any:
        return il.population_optimum(self.scheme(), SOFTMAX, self.eta, self.prior, of)

    @cached_property
    def others(self) -> Any:
        """The labels that frequent and rare are said of: all but one that is likely here."""
        at = np.arange(self.prior.n_labels)
        return at[at != self.settings["peak"]] if self.settings["eta"] == "peaked" else at

    def slope(self, of: Any) -> float:
        x = self.prior.log[self.others] - self.prior.log[self.others].mean()
        return float(x @ (self.optimum(of) - self.softmax)[self.others] / (x @ x))

    def thirds(self, of: Any) -> list[float]:
        """Head, torso and tail of what is learned beyond softmax: of ten labels 3, 4 and 3, of nine 3 each."""
        beyond = (self.optimum(of) - self.softmax)[self.others]
        return [float(part.mean()) for part in np.split(beyond, [3, self.others.size - 3])]

    def bound(self, m: int) -> float:
        return float(il.implicit_loss(self.scheme(m), SOFTMAX, self.problem))

    def exact(self, m: int) -> float:
        return float(il.integrate(self.scheme(m), SOFTMAX, self.problem))

    @cached_property
    def gradient(self) -> Any:
        return np.asarray(il.integrate(self.scheme(), SOFTMAX, self.problem, "gradient").value)

    @cached_property
    def full_gradient(self) -> Any:
        return self.eta - (np.arange(self.eta.size) == self.settings["positive"])

    @cached_property
    def place(self) -> Any:
        """(constant, b, c) by least squares, and the largest distance."""
        off = ~np.eye(self.prior.n_labels, dtype=bool)
        x = self.prior.log - self.prior.log.mean()
        rows = np.stack([np.ones(off.sum()), *(np.broadcast_to(v, off.shape)[off] for v in (x[:, None], x))], axis=1)
        found, *_ = np.linalg.lstsq(rows, np.log(self.margins[off]), rcond=None)
        return *found[1:], float(np.abs(rows @ found - np.log(self.margins[off])).max())


@pytest.fixture(scope="module", params=sorted(SHOWN))
def shown(request: pytest.FixtureRequest, page: Path, browser: Browser) -> Expected:
    settings = setting_of(request.param)
    browser.look(1280, 900)
    # By way of another setting: what is shown is refreshed.
    browser.open(page, "#labels=5&m=100&weighting=constant")
    browser.run("location.hash = " + json.dumps("#" + "&".join(f"{name}={value}" for name, value in settings.items())))
    browser.run("new Promise((done) => setTimeout(done, 200))")
    return Expected(settings)


def test_tables_are_the_library_s(shown: Expected, browser: Browser) -> None:
    def table(name: str) -> Any:
        head, *rows = (line.split(",") for line in browser.run(f"asCsv({name!r})").splitlines())
        return dict(zip(head, np.array([[cell or "nan" for cell in row] for row in rows]).T, strict=True))

    def same(found: Any, expected: Any) -> None:
        np.testing.assert_allclose(np.array(found, dtype=float), expected, rtol=1e-9, atol=1e-10)

    n, off = shown.prior.n_labels, ~np.eye(shown.prior.n_labels, dtype=bool)
    found, (rows, columns) = table("margins"), np.nonzero(off)
    same(found["positive"], rows + 1)
    same(found["negative"], columns + 1)
    same(found["p"], shown.margins[off])
    found = table("map")
    same([found["b"][0], found["c"][0], found["misfit"][0]], shown.place)
    found, draws = table("loss"), [*LADDER, shown.settings["m"]]
    same(found["m"], draws)
    same(found["bound"], [shown.bound(m) for m in draws])
    same(found["exact"], [shown.exact(m) for m in draws])
    found = table("optima")
    same(found["label"], np.arange(n) + 1)
    same(found["log η"], shown.softmax)
    same(found["log η - log π"], shown.balanced)
    for of in ("implicit", "sampled"):
        same(found[of], shown.optimum(of))
    found = table("slices")
    assert found["slice"].tolist() == ["head", "torso", "tail"]
    for of in ("implicit", "sampled"):
        same(found[of], shown.thirds(of))
    found = table("gradient")
    same(found["expected gradient"], shown.gradient)
    same(found["full softmax"], shown.full_gradient)


def test_sentences_say_the_library_s_numbers(shown: Expected, browser: Browser) -> None:
    says = {name: browser.run(f"document.getElementById('{name}-says').textContent") for name in VIEWS}
    y, m = shown.settings["positive"], shown.settings["m"]
    off = shown.margins[~np.eye(shown.prior.n_labels, dtype=bool)]
    if off.max() / off.min() > 1 + 1e-9:
        low, high = map(float, re.search(r"From (\S+) to (\S+)\.$", says["margins"]).groups())  # type: ignore[union-attr]
        assert (low, high) == (pytest.approx(off.min(), rel=0.05), pytest.approx(off.max(), rel=0.05))
    else:
        assert says["margins"].endswith("All are 1.")
    b, c, _ = shown.place
    assert f"b = {b:.2f}, c = {c:.2f}".replace("-0.00", "0.00") in says["map"]
    bound, exact = re.search(r"bound ([\d.]+), exact ([\d.]+)\.", says["loss"]).groups()  # type: ignore[union-attr]
    assert says["loss"].startswith(f"Positive {y + 1}: bound")
    assert float(bound) == pytest.approx(shown.bound(m), rel=1e-5)
    assert float(exact) == pytest.approx(shown.exact(m), rel=1e-5)
    truly, by_bound = shown.slope("sampled"), shown.slope("implicit")
    assert (
        f"{truly:.3f} by the true sampled loss, {by_bound:.3f} by its bound".replace("-0.000", "0.000")
        in says["optima"]
    )
    pushes = re.search(r"exact: (\S+) on itself, where full softmax has (\S+)\.", says["gradient"])
    own, full = map(float, pushes.groups())  # type: ignore[union-attr]
    assert own == pytest.approx(shown.gradient[y], rel=0.05)
    assert full == pytest.approx(shown.full_gradient[y], rel=0.05)
    # Who gains, truly.
    head, _, tail = shown.thirds("sampled")
    gain = tail - head
    who = browser.run("document.getElementById('who').textContent")
    assert who == ("Rare labels gain." if gain > 0.05 else "Frequent labels gain." if gain < -0.05 else "")
    assert f"{abs(truly) * np.log(10):.2f} {'lower' if truly > 0 else 'higher'}" in browser.run(
        "document.getElementById('named').textContent"
    )
    hits = {"keep": "counted", "mask": "given weight 0", "exclude": "drawn again"}[shown.settings["hits"]]
    assert f"a positive that is drawn is {hits};" in browser.run("setting(computed)")
    key = {"mixed": "mixture unit keep", "power": "power tail exclude", "batch": "within-batch importance mask"}
    (name,) = (name for name in SHOWN if setting_of(name) == shown.settings)
    known = derivations()
    assert browser.run("document.getElementById('latex').textContent") == known["of"][key[name]]["margin"]
    lines = browser.run("[...document.querySelectorAll('#steps li > span')].map((s) => s.textContent)")
    assert lines == [known["lines"][k][3] for k in known["of"][key[name]]["steps"]]


# Reads a chart as an eye does: marks by their shape, values by the ticks of the axes.
READ = """(name) => {
  const svg = document.querySelector(`#${name}-picture svg`), of = (node, key) => Number(node.getAttribute(key));
  const texts = [...svg.querySelectorAll("text")];
  const between = ([p, v], [q, w]) => (at) => v + (at - p) / (q - p) * (w - v);
  // The axis of values: the numbers at its left.
  const ticks = texts.filter((t) => t.getAttribute("text-anchor") === "end" && of(t, "x") < 78);
  const values = ticks.map((t) => [of(t, "y") - 4, Number(t.textContent)]);
  const y = between(values[0], values.at(-1));
  const centre = (node) => {
    if (node.tagName === "circle") return of(node, "cy");
    if (node.tagName === "rect") return of(node, "y") + of(node, "height") / 2;
    const down = [...node.getAttribute("d").matchAll(/[ML]-?[0-9.]+,(-?[0-9.]+)/g)].map((m) => Number(m[1]));
    return (Math.min(...down) + Math.max(...down)) / 2;
  };
  const marks = {}, lines = {};
  for (const line of svg.querySelectorAll("polyline")) {
    const kind = line.classList[1];
    lines[kind] = line.getAttribute("points").split(" ").map((p) => y(Number(p.split(",")[1])));
    // The first mark of a kind is the key's.
    marks[kind] = [...svg.querySelectorAll(`.mark.${kind}`)].slice(1).map((mark) => y(centre(mark)));
  }
  return {marks, lines, entries: texts.filter((t) => t.classList.contains("small")).map((t) => t.textContent)};
}"""


# The exact losses along the ladder; the first circle is the key's.
LOSS_MARKS = "[...document.querySelectorAll('#loss-picture circle.sampled')].slice(1)"


def test_pictures_show_the_library_s_numbers(shown: Expected, browser: Browser) -> None:
    """Curves and marks lie where their numbers are, to half a percent of the picture, and the key names them."""

    def read(name: str) -> Any:
        return browser.run(f"({READ})({name!r})")

    def same(found: Any, expected: Any) -> None:
        room = max(float(np.ptp(expected)), 0.05 * float(np.abs(expected).max()))
        np.testing.assert_allclose(found, expected, atol=0.01 * room + 1e-9)

    optima = read("optima")
    curves = {"softmax": shown.softmax, "balanced": shown.balanced} | {
        of: shown.optimum(of) for of in ("implicit", "sampled")
    }
    for kind, values in curves.items():
        same(optima["lines"][kind], values)
        same(optima["marks"][kind], values)
    assert optima["entries"] == [
        "log η (full softmax)", "log η - log π (balanced rule)", "best scores by the bound", "best scores, true loss",
    ]  # fmt: skip
    loss = read("loss")
    same(loss["lines"]["implicit"], [shown.bound(m) for m in LADDER])
    same(loss["lines"]["sampled"], [shown.exact(m) for m in LADDER])
    assert loss["entries"] == ["bound (implicit loss)", "exact expected loss"]
    others = np.arange(shown.prior.n_labels) != shown.settings["positive"]
    gradient = read("gradient")
    same(gradient["lines"]["sampled"], shown.gradient[others])
    same(gradient["lines"]["softmax"], shown.full_gradient[others])
    assert gradient["entries"] == ["full softmax", "this scheme"]
    # Bars: their heights in the order of the slices, by the bound and truly.
    bars = browser.run("""(() => {
      const svg = document.querySelector("#slices-picture svg");
      const zero = Number(svg.querySelector(".zero").getAttribute("y1"));
      return [...svg.querySelectorAll("rect.block")].map((r) =>
        [r.classList[1], Number(r.getAttribute("y")) < zero - 0.01, r.nextSibling.textContent]);
    })()""")
    parts = {of: shown.thirds(of) for of in ("implicit", "sampled")}
    for i, (kind, above, text) in enumerate(bars):
        value = parts[kind][i // 2]
        assert float(text) == pytest.approx(value, abs=0.0051)
        assert above == (value > 0) or abs(value) < 0.02
    assert [kind for kind, *_ in bars] == ["implicit", "sampled"] * 3
    # Darker is less: ten shades, evenly in log p.
    shades = browser.run("[...document.querySelectorAll('#margins-picture rect.heat')].map((r) => r.classList[1])")
    p = np.log(shown.margins[~np.eye(shown.prior.n_labels, dtype=bool)])
    if np.ptp(p) > 1e-9:
        level = np.rint(9 * (p - p.min()) / np.ptp(p)).astype(int)
        assert [int(shade[1:]) for shade in shades[: p.size]] == pytest.approx(level, abs=0.51)
        assert shades[p.size :] == [f"h{k}" for k in range(10)]
    # The vertical line is at m, between its neighbours on the ladder.
    now = browser.run("Number(document.querySelector('#loss-picture .now').getAttribute('x1'))")
    marks = browser.run(f"{LOSS_MARKS}.map((c) => Number(c.getAttribute('cx')))")
    assert now == pytest.approx(np.interp(np.log2(shown.settings["m"]), range(11), marks), abs=0.01)


def test_the_map_has_the_losses_where_they_belong(page: Path, browser: Browser) -> None:
    browser.open(page, "#weighting=constant")
    named, arrows, here = browser.run("""(() => {
      const svg = document.querySelector("#map-picture svg"), marks = [...svg.querySelectorAll(".mark.softmax")];
      const at = (node, k) => Number(node.getAttribute(k)), ticks = [...svg.querySelectorAll("text")];
      const y = (v) => at(ticks.find((t) => t.textContent === v && at(t, "x") < 78), "y") - 4;
      const upright = [...svg.querySelectorAll("line.axis")].filter((l) => at(l, "x1") === at(l, "x2"));
      const feet = upright.map((l) => at(l, "x1"));
      const place = (u, v) => [-1 + (u - feet[0]) / (feet[1] - feet[0]), (v - y("0.0")) / (y("1.0") - y("0.0"))];
      const ring = svg.querySelector(".here");
      return [marks.map((m) => [m.nextSibling.textContent, ...place(at(m, "x") + 3, at(m, "y") + 3)]),
        [...svg.querySelectorAll("text.dim")].map((t) => t.textContent), place(at(ring, "cx"), at(ring, "cy"))];
    })()""")
    prior = LabelPrior.zipf(9, 1.0)
    by_library = {
        "softmax": il.margins.Softmax(), "equalised": il.margins.Equalised(),
        "logit-adjusted": il.margins.LogitAdjusted(),
    }  # fmt: skip
    # Relative weights have p = m π_y; adaptive margins p = π_y^{-1/4}, as the paper prints them.
    powers = {"relative": (1.0, 0.0), "adaptive, as printed": (-0.25, 0.0)}
    assert {name for name, *_ in named} == {*by_library, *powers}
    for name, b, c in named:
        if name in powers:
            assert (b, c) == pytest.approx(powers[name], abs=0.01)
            continue
        off = np.arange(9) != 3
        np.testing.assert_allclose(
            by_library[name].log_margin(prior, 3)[off], (b * prior.log[3] + c * prior.log)[off], atol=0.05
        )
    assert here == pytest.approx([0, 1], abs=0.01)
    assert arrows == ["↖ by the bound, rare labels gain", "by the bound, frequent labels gain ↘"]


# What each step of the path says in symbols, of which setting: p is held against the library.
FORMULAS: dict[int, tuple[str, Any]] = {
    0: (r"p_{yy'} = m\, w_{yy'}\, q_{y'} = 1", lambda prior, m: np.ones((20, 20))),
    1: (r"p_{yy'} = m\, q_{y'} = m/L", lambda prior, m: np.full((20, 20), m / 20)),
    2: (r"p_{yy'} = \pi_{y'}", lambda prior, m: np.tile(prior, (20, 1))),
    8: (r"p_{yy'} = \pi_{y'}/\pi_y", lambda prior, m: prior / prior[:, None]),
}


def test_the_path_s_answers_and_formulas_are_the_library_s(page: Path, browser: Browser) -> None:
    """Slopes, margins and pushes of each step's setting by the library, and the answer that follows from them."""
    browser.open(page)
    prior = LabelPrior.zipf(20, 1.0)

    def lean(slope: float) -> str:
        return "rare labels" if slope < -0.05 else "frequent labels" if slope > 0.05 else "neither"

    answers = []
    for k in range(len(ANSWERS)):
        settings, options, tex = browser.run(f"goTo({k}), [state, COURSE[{k}].options, COURSE[{k}].tex]")
        assert browser.run("right") == ANSWERS[k]
        here = Expected({**settings, "counts": "no"})
        slope, p = here.slope("sampled"), here.margins[0, 1]
        push = here.gradient[-1] / here.full_gradient[-1]
        words = {
            0: "once" if abs(p - 1) < 1e-9 else "",
            1: f"{p:g} times",
            3: "less" if push < 0.95 else "the same" if push < 1.05 else "more",
            5: "-1, the balanced rule" if slope < -0.999 else "0, softmax" if slope > -1e-3 else "between -1 and 0",
            8: "near -1" if abs(slope + 1) < 0.1 else "",
        }.get(k, lean(slope))
        answers.append(options.index(words))
        if k in FORMULAS:
            said, expected = FORMULAS[k]
            off = ~np.eye(20, dtype=bool)
            assert tex == said
            np.testing.assert_allclose(here.margins[off], expected(prior.probabilities, settings["m"])[off])
    assert tuple(answers) == ANSWERS


def test_controls_say_what_they_set(page: Path, browser: Browser) -> None:
    browser.open(page)
    options = browser.run(
        "Object.fromEntries([...document.querySelectorAll('select')].map((s) => "
        "[s.id, Object.fromEntries([...s.options].map((o) => [o.value, o.textContent]))]))"
    )
    for value in ("exclude", "mask", "keep"):
        assert options["hits"][value].endswith(f"({value})")
    for value in WEIGHTINGS:
        assert options["weighting"][value].startswith(value)
    assert set(options["sampler"]) == {"mixture", "power", "log-uniform", "model"}
    # Where the draws follow the scores, the lines have these scores.
    browser.open(page, "#sampler=model&weighting=constant&eta=peaked&labels=5&peak=1")
    assert_same_margins(browser)


def test_the_simulation_s_band_is_two_standard_errors_wide(page: Path, browser: Browser) -> None:
    browser.open(page, "#weighting=importance&m=2")
    browser.run("document.getElementById('run').click()")
    browser.run("new Promise((done) => { const look = () => running ? setTimeout(look, 30) : done(); look(); })")
    run, band, says = browser.run("[computed.run, computed.band, document.getElementById('loss-says').textContent]")
    # The standard error is that of a mean: the runs' deviation over their root.
    assert run["error"] == pytest.approx(np.sqrt(run["squares"] / (run["n"] - 1) / run["n"]))
    width = float(re.search(r"± (\S+) \(two standard errors", says).group(1))  # type: ignore[union-attr]
    assert width == pytest.approx(2 * run["error"], rel=0.05)
    edge = browser.run("document.querySelector('#loss-picture .band').getAttribute('points')")
    heights = [float(point.split(",")[1]) for point in edge.split(" ")]
    marks = browser.run(f"({READ})('loss')")["lines"]["sampled"]
    pixels = browser.run(f"{LOSS_MARKS}.map((c) => Number(c.getAttribute('cy')))")
    scale = np.polyfit(pixels, marks, 1)
    upper, lower = np.polyval(scale, heights[:11]), np.polyval(scale, heights[11:][::-1])
    np.testing.assert_allclose(upper - lower, [4 * one["error"] for one in band], rtol=0.02, atol=2e-4)


# --- what a hostile reader found --------------------------------------------------------------------------------------


def test_a_name_is_not_given_to_another_loss(page: Path, browser: Browser) -> None:
    """A constant beside a named margin is another loss; mild tails do not make all rules one."""
    browser.open(page)
    factors = {"#weighting=tail&hits=keep": "0.5", "#weighting=unit": "8", "#weighting=unit&share=0": "0.4"}
    for fragment, factor in factors.items():
        browser.follow(fragment)
        assert f"with every negative counted {factor} times" in said(browser, "named")
    browser.follow("#weighting=relative&hits=keep&m=1024&labels=3&tail=0.3")
    assert "nearly softmax cross-entropy." in said(browser, "named")
    mild, rules = LabelPrior.zipf(3, 0.1), set()
    for weighting in ("constant", "unit", "importance", "relative", "tail"):
        for m in (1, 8):
            for hits in ("mask", "keep"):
                browser.follow(f"#labels=3&tail=0.1&weighting={weighting}&m={m}&hits={hits}")
                slope = il.tilt(vectors_scheme({**browser.run("state")}), mild, "sampled")
                named = said(browser, "named")
                for words, rule in (("as full softmax does", 0.0), ("log η - log π, the balanced rule", -1.0)):
                    if words in named:
                        rules.add(rule)
                        assert slope == pytest.approx(rule, abs=0.03)
    assert rules == {0.0, -1.0}


def test_a_likely_label_is_not_taken_for_a_frequent_one(page: Path, browser: Browser) -> None:
    """Uniform draws with importance weights know nothing of frequencies, whichever label is the likely one."""
    browser.open(page)
    for peak in (0, 10, 19):
        browser.follow(f"#share=0&m=1&eta=peaked&peak={peak}")
        assert said(browser, "who") == "Neither frequent nor rare labels gain by much."
        scores = Expected(browser.run("state")).optimum("sampled")
        others = np.arange(20) != peak
        gained = scores[peak] - scores[others].mean() - np.log(0.5 / (0.5 / 19))
        assert f"The likely label's score is {gained:.2f} higher beside the others'" in said(browser, "named")


def test_no_tail_has_no_slope(page: Path, browser: Browser) -> None:
    browser.open(page, "#tail=0&weighting=constant&eta=peaked")
    assert said(browser, "map-says") == "No label is rarer than another, so there are no powers of π to compare."
    assert browser.run("document.querySelectorAll('#map-picture .here').length") == 0
    assert "there is no slope" in said(browser, "optima-says")
    assert browser.complaints() == []


@pytest.mark.parametrize(
    "counts",
    [[10**9, 1, 1], [10**15, 1, 1, 1], [10**9, *[1] * 60], [int(10 ** (12 - 0.6 * i)) for i in range(20)]],
    ids=["three", "four", "sixty", "powers"],
)
def test_uneven_counts_give_numbers_or_say_that_they_do_not(
    counts: list[int], tmp_path: Path, browser: Browser
) -> None:
    path, prior = tmp_path / "page.html", LabelPrior.from_counts(counts)
    path.write_text(document.page(prior, "mine.csv"), encoding="utf-8")
    browser.look(1280, 900)
    browser.open(path)
    for fragment in ("#sampler=power&alpha=2&hits=exclude&positive=0", "#sampler=power&alpha=1.5&m=1024&eta=prior"):
        browser.follow(fragment)
        shown_all = browser.run("document.querySelector('main').textContent + document.querySelector('main').innerHTML")
        assert "NaN" not in shown_all
        assert "Infinity" not in shown_all
        settings = browser.run("state")
        few = prior.few(document.MOST_LABELS_ON_PAGE)
        try:
            eta = few.probabilities if settings["eta"] == "prior" else np.full(few.n_labels, 1 / few.n_labels)
            known = il.population_optimum(vectors_scheme(settings), SOFTMAX, eta, few, "sampled")
        except NoOptimum:
            known = None
        found = browser.run("computed.optima && computed.optima.sampled")
        if found is None:
            assert said(browser, "who") == "Not known here."
            assert said(browser, "optima-says") == "Not found: these labels are too uneven."
        elif known is not None:
            # Where one label is all but all, the last digits of its score are nobody's.
            np.testing.assert_allclose(found, known, atol=1e-3 * float(np.ptp(known)) + 1e-9)
        margins = np.array(browser.run("computed.margins"))
        expected = il.implicit_margins(vectors_scheme(settings), few)
        off = ~np.eye(few.n_labels, dtype=bool)
        np.testing.assert_allclose(margins[off], expected[off], rtol=1e-9)
    assert browser.complaints() == []


def test_the_address_is_the_whole_setting(page: Path, browser: Browser) -> None:
    browser.open(page, "#constructor=1&toString=x&__proto__=2&m=5")
    assert browser.run("[state.m, document.getElementById('self-test').dataset.state]") == [5, "passed"]
    browser.open(page, "#weighting=tail&m=200")
    assert "hits=mask" in browser.run("location.hash")
    browser.run("location.hash = '#weighting=constant'")
    browser.run("new Promise((done) => setTimeout(done, 100))")
    # What it does not say is as always, and not as it was.
    assert browser.run("[state.weighting, state.m]") == ["constant", 8]
    assert "m=8" in browser.run("location.hash")
    # Fewer labels for a while do not lose the positive.
    browser.open(page, "#positive=15&eta=peaked&peak=12")
    put(browser, "labels", "5")
    assert browser.run("[computed.positive, document.getElementById('peak').value]") == [4, "5"]
    put(browser, "labels", "20")
    assert browser.run("[computed.positive, state.peak]") == [15, 12]
    assert browser.complaints() == []


def test_sliders_tell_their_values_and_move_no_more_than_they_must(page: Path, browser: Browser) -> None:
    browser.open(page, "#m=8")
    assert browser.run("document.getElementById('m').getAttribute('aria-valuetext')") == "8"
    assert browser.run("document.getElementById('positive').getAttribute('aria-valuetext')") == "5"
    # One region speaks up, and the figures' captions and the sliders' numbers do not.
    assert browser.run("[...document.querySelectorAll('[aria-live=polite]')].length") == 1
    assert browser.run("[...document.querySelectorAll('output')].every((o) => o.getAttribute('aria-live') === 'off')")
    # Another positive asks for no other optimum; another m does.
    browser.run(
        "window.searched = 0; window.plain = optima; optima = (...all) => { searched += 1; return plain(...all); }; 0"
    )
    for value in ("7", "9", "11"):
        put(browser, "positive", value)
    assert browser.run("searched") == 0
    put(browser, "m", "20")
    assert browser.run("searched") == 1
    assert browser.complaints() == []
