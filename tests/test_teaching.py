"""The teaching page: its numbers are the library's, its controls do what they say, and nothing leaves it."""

from __future__ import annotations

import json
import os
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy as sp
from chromium import Chromium, binary

import implicitloss as il
from implicitloss import derive, symbols
from implicitloss.cli.main import main
from implicitloss.labels import LabelPrior
from implicitloss.teaching import document
from implicitloss.teaching.derivations import SAMPLERS, WEIGHTINGS
from implicitloss.teaching.vectors import vectors

VIEWS = ("margins", "map", "loss", "optima", "slices", "gradient")
ANSWERS = (1, 0, 2, 2, 1, 2, 0, 2, 0)  # by the theory, not by the page
# Names, and no addresses to ask.
NAMESPACES = {"http://www.w3.org/2000/svg", "http://www.w3.org/1998/Math/MathML"}


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("teach") / "page.html"
    assert main(["teach", "--out", str(path)]) == 0
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    found = binary()
    if found is None:
        # Where a browser is promised, its absence is a failure.
        assert not os.environ.get("IMPLICITLOSS_BROWSER"), "there is no Chromium, though there should be"
        pytest.skip("needs Chromium")
    here = Chromium(found)
    yield here
    here.close()


def pictures(browser: Chromium) -> dict[str, str]:
    return {name: browser.run(f"document.getElementById('{name}-picture').innerHTML") for name in VIEWS}


def put(browser: Chromium, control: str, value: str) -> None:
    browser.run(
        f"(() => {{ const c = document.getElementById({control!r}); c.value = {value!r};"
        "c.dispatchEvent(new Event('input', {bubbles: true})); })()"
    )


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
        assert len({v["settings"][name] for v in found}) == {"sampler": 3, "weighting": 5, "hits": 3}[name]
    assert found == vectors()


def test_counts_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file name cannot end the script that holds it; what is malformed leaves no page behind."""
    path = tmp_path / "a<b.csv"
    path.write_text("label,count\n" + "".join(f"{i},{1000 // (i + 1)}\n" for i in range(60)))
    assert main(["teach", "--counts", str(path), "--out", str(tmp_path / "page.html")]) == 0
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    data = json.loads(text.split('id="data">')[1].split("</script>")[0])
    assert data["counts"]["name"] == "a<b.csv"
    assert (data["counts"]["of"], len(data["counts"]["prior"])) == (60, document.MOST_LABELS)
    path.write_text("label,count\na,1\nb,1\nc,1\n")
    assert main(["teach", "--counts", str(path), "--out", str(tmp_path / "other.html")]) == 2
    assert "at least three labels, frequent and rare ones" in capsys.readouterr().err
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


def test_its_numbers_are_the_library_s_and_it_is_quiet(page: Path, browser: Chromium) -> None:
    browser.open(page)
    assert browser.run("document.getElementById('self-test').dataset.state") == "passed"
    found = browser.run("selfTest()")
    assert found["n"] == len(vectors())
    assert set(found["worst"]) == {"margins", "bound", "exact loss", "gradient", "implicit optimum", "sampled optimum"}
    assert browser.complaints() == []
    assert [url.split("#")[0] for url in browser.requests() if not url.startswith("about:")] == [page.as_uri()]


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
        ("(m - 1) * STEP", "m * STEP"),
    ],
    ids=["lost-m", "kept-hits", "exponent", "conditional-q", "hessian"],
)
def test_a_slip_in_a_formula_fails_the_self_test(
    old: str, new: str, tmp_path: Path, browser: Chromium, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = document._asset
    assert plain("formulas.js").count(old) >= 1
    monkeypatch.setattr(document, "_asset", lambda name: plain(name).replace(old, new))
    path = tmp_path / "mutant.html"
    path.write_text(document.page(), encoding="utf-8")
    browser.open(path)
    state = browser.run("document.getElementById('self-test').dataset.state")
    if "STEP" in old:  # a wrong Hessian finds the right minimum, only slower, or none
        assert state in ("passed", "failed")
    else:
        assert state == "failed"


def test_what_is_not_allowed_is_not_loaded(page: Path, browser: Chromium) -> None:
    browser.open(page)
    for attempt in ("new Image().src = 'http://127.0.0.1:9/x.png'", "fetch('http://127.0.0.1:9/').catch(() => 0)"):
        browser.run(f"(() => {{ {attempt}; }})()")
    browser.run("new Promise((done) => setTimeout(done, 300))")
    # The policy stops them before they are sent: each is a complaint, and no answer of a server.
    assert any("Content Security Policy" in text for text in browser.complaints())
    assert not any(e.get("method") == "Network.responseReceived" and "127.0.0.1" in str(e) for e in browser.events)


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
    control: str, value: str, first: str, changes: set[str], page: Path, browser: Chromium
) -> None:
    browser.open(page, first or "#weighting=constant")
    before = pictures(browser)
    put(browser, control, value)
    after = pictures(browser)
    assert {name for name in VIEWS if before[name] != after[name]} >= changes
    # And the address hands it out: opened anew it shows the same.
    shared = browser.run("location.hash")
    browser.open(page, shared)
    assert pictures(browser) == after
    assert browser.complaints() == []


def test_an_address_that_is_no_setting_does_no_harm(page: Path, browser: Chromium) -> None:
    browser.open(page, "#m=abc&weighting=<b>&labels=1e9&hits=&share=-3&x=1")
    assert browser.run("[state.m, state.weighting, state.labels, state.hits, state.share]") == [
        8,
        "importance",
        40,
        "mask",
        0,
    ]
    assert browser.complaints() == []


def test_what_a_first_reader_found(page: Path, browser: Chromium) -> None:
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
        browser.open(page, fragment)
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


def test_the_simulation_meets_the_exact_loss(page: Path, browser: Chromium) -> None:
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


def test_the_guided_path_is_walked_with_the_keyboard_alone(page: Path, browser: Chromium) -> None:
    """Tab and Enter; every prediction is answered, and the answers are those of the theory."""
    browser.open(page)
    browser.send("Page.bringToFront")

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


def test_an_address_is_a_step_or_ends_the_path(page: Path, browser: Chromium) -> None:
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


def test_one_draw_is_shown_and_simulations_differ(page: Path, browser: Chromium) -> None:
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
def test_views_are_saved_as_svg_and_csv(name: str, page: Path, browser: Chromium) -> None:
    browser.open(page, "#weighting=tail&labels=7")
    svg = ET.fromstring(browser.run(f"asSvg({name!r})"))
    assert svg.tag == "{http://www.w3.org/2000/svg}svg"
    assert svg.find("{http://www.w3.org/2000/svg}style") is not None
    assert svg.findtext("{http://www.w3.org/2000/svg}desc", "").startswith("Setting: within-batch draws, tail weights")
    assert browser.run(f"fileOf({name!r}, 'svg')") == f"{name}-mixture-tail-m8-mask.svg"
    lines = browser.run(f"asCsv({name!r})").splitlines()
    assert len({line.count(",") for line in lines}) == 1
    assert len(lines) > 1


def test_what_is_this_names_the_loss_and_its_lines_run(page: Path, browser: Chromium) -> None:
    for fragment, words in (
        ("#weighting=tail", "logit-adjusted"),
        ("#weighting=constant", "equalised"),
        ("#weighting=importance", "softmax cross-entropy"),
        ("#weighting=relative&share=1", "relative weights"),
        ("#weighting=unit&hits=keep", "log η - log π, the balanced rule"),
        ("#sampler=model&weighting=constant&eta=peaked", "no loss with a name"),
    ):
        browser.open(page, fragment)
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
        browser.open(page, fragment)
        assert browser.run("document.getElementById('who').textContent") == who
    browser.open(page, "#weighting=importance&m=1")
    lesson = il.Scheme(il.samplers.WithinBatch(), il.weightings.Importance(), m=1, hits="mask")
    slope = il.tilt(lesson, il.LabelPrior.zipf(20, 1.0), "sampled")
    said = browser.run("document.getElementById('named').textContent")
    assert f"a score {-slope * np.log(10):.2f} higher than full softmax gives it" in said
    assert f"by the fitted slope {slope:.3f}" in said
    browser.open(page, "#weighting=tail&tau=0.5&labels=6&hits=keep")
    assert_same_margins(browser)


def assert_same_margins(browser: Chromium) -> None:
    """The lines of Python that the page shows run, and give the margins that it shows."""
    margins = browser.run("computed.margins.flat()")
    scope: dict[str, Any] = {}
    exec(browser.run("document.getElementById('python').textContent"), scope)
    np.testing.assert_allclose(margins, il.implicit_margins(scope["scheme"], scope["prior"]).ravel(), rtol=1e-12)


def test_every_setting_has_its_derivation_rendered(page: Path, browser: Chromium) -> None:
    browser.open(page)
    found = browser.run("""[["mixture", 0], ["mixture", 1], ["mixture", 0.3], ["power", 0.35], ["model", 0]].flatMap(
        ([sampler, x]) => KINDS.weighting.flatMap((weighting) => KINDS.hits.map((hits) => {
            update({sampler, share: x, alpha: x, weighting, hits, tau: 0.4});
            return document.querySelectorAll("#steps li math").length;
        })))""")
    assert len(found) == 5 * 5 * 3
    assert min(found) >= 7
    assert browser.run("document.querySelector('#derivation math').namespaceURI").endswith("MathML")
    # What the renderer does not know it does not pass over in silence.
    for unknown in (r"\\sqrt{x}", r"\\left(x", "{x"):
        with pytest.raises(RuntimeError, match=r"is not known|no \S+ in"):
            browser.run(f"mathOf('{unknown}').textContent")
    text = browser.run(r"mathOf('\\sum_{y\' \\neq y} \\frac{a}{b^{2}} - {\\pi}_{y}^{\\tau}').innerHTML")
    assert re.sub(r" xmlns=\S+?(?=>)", "", text) == (
        "<mrow><munder><mo>∑</mo><mrow><mi>𝑦′</mi><mo>≠</mo><mi>y</mi></mrow></munder><mfrac><mrow><mi>a</mi></mrow>"
        "<mrow><msup><mi>b</mi><mrow><mn>2</mn></mrow></msup></mrow></mfrac><mo>−</mo><msubsup><mrow><mi>π</mi></mrow>"
        "<mrow><mi>y</mi></mrow><mrow><mi>τ</mi></mrow></msubsup></mrow>"
    )
    assert browser.complaints() == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [(1280, 900), (820, 1180), (390, 844)], ids=["desk", "tablet", "phone"])
def test_it_fits_every_size(size: tuple[int, int], dark: bool, page: Path, browser: Chromium, tmp_path: Path) -> None:
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


def test_counts_are_shown_and_can_be_left(tmp_path: Path, browser: Chromium) -> None:
    path = tmp_path / "page.html"
    path.write_text(document.page(LabelPrior.from_counts([500, 100, 20, 5]), "mine.csv"), encoding="utf-8")
    browser.open(path)
    assert browser.run("computed.prior.length") == 4
    assert "mine.csv, 4 labels" in browser.run("document.getElementById('counts-name').textContent")
    put(browser, "counts", "no")
    assert browser.run("computed.prior.length") == 20
    assert browser.complaints() == []


def test_labels_have_their_names_and_the_lines_run_on_counts(
    tmp_path: Path, browser: Chromium, monkeypatch: pytest.MonkeyPatch
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


def test_on_a_phone_the_controls_stay_with_the_pictures(page: Path, browser: Chromium) -> None:
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
