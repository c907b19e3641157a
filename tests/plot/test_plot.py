"""Plots: each shows the numbers of the functions that it stands for, or says in one sentence what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import implicitloss as il
from implicitloss.cli.main import main

PRIOR = il.LabelPrior.from_counts([300, 150, 60, 40, 6, 3])
SOFTMAX = il.losses.SoftmaxCrossEntropy()
LADDER = [1, 4, 16]
SCHEMES = {w: il.Scheme("within-batch", w, m=2, hits="mask") for w in ("importance", "tail")}
SCORES = np.array([0.3, -0.2, 1.0, 0.1, -1.0, 0.4])
PLOTS: dict[str, Any] = {
    "map": il.plot.map, "losses": il.plot.losses, "gap": il.plot.gap, "variance": il.plot.variance,
    "tilt": il.plot.tilt, "optima": il.plot.optima, "gradient_bias": il.plot.gradient_bias,
    "inclusion": il.plot.inclusion,
}  # fmt: skip


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    with plt.style.context(il.plot.style("double")):
        yield
    plt.close("all")


def line(ax: Any, label: str) -> Any:
    (found,) = [one for one in ax.lines if one.get_label() == label]
    return found


def at(scheme: il.Scheme, m: int) -> il.Scheme:
    return il.Scheme(scheme.sampler, scheme.weighting, m=m, hits=scheme.hits)


def test_losses_gap_and_variance_are_those_of_enumeration() -> None:
    problem = il.Problem(SCORES, PRIOR, 4)
    options: dict[str, Any] = {"scores": SCORES, "positive": 4, "m": LADDER[:2]}
    losses = il.plot.losses(SCHEMES, PRIOR, runs=200, rng=3, **options)
    gap, variance = il.plot.gap(SCHEMES, PRIOR, **options), il.plot.variance(SCHEMES, PRIOR, **options)
    for name, scheme in SCHEMES.items():
        exact = [float(il.exhaust(at(scheme, m), SOFTMAX, problem)) for m in LADDER[:2]]
        bound = [float(il.implicit_loss(at(scheme, m), SOFTMAX, problem)) for m in LADDER[:2]]
        spread = [float(il.exhaust(at(scheme, m), SOFTMAX, problem, "variance")) for m in LADDER[:2]]
        np.testing.assert_allclose(line(losses, name).get_ydata(), exact, rtol=1e-10)
        np.testing.assert_allclose(line(gap, name).get_ydata(), np.subtract(bound, exact), rtol=1e-8)
        np.testing.assert_allclose(line(variance, name).get_ydata(), spread, rtol=1e-9)
        color = line(losses, name).get_color()
        (dashed,) = [one for one in losses.lines if one.get_color() == color and one.get_linestyle() == "--"]
        np.testing.assert_allclose(dashed.get_ydata(), bound, rtol=1e-10)
    bars = [bar for container in losses.containers for bar in container.lines[2]]
    assert len(bars) == len(SCHEMES)  # one collection of bars for each scheme
    drawn = il.simulate(at(SCHEMES["importance"], 1), SOFTMAX, problem, runs=200, rng=3)
    (low, high) = bars[0].get_segments()[0][:, 1]
    assert (low + high) / 2 == pytest.approx(float(drawn))
    assert (high - low) / 4 == pytest.approx(float(drawn.error))


def test_tilts_and_optima_are_those_of_their_functions() -> None:
    tilts, optima = il.plot.tilt(SCHEMES, PRIOR, m=LADDER), il.plot.optima(SCHEMES, PRIOR, eta="prior", m=LADDER)
    eta = PRIOR.probabilities
    for i, (name, scheme) in enumerate(SCHEMES.items()):
        np.testing.assert_allclose(line(tilts, name).get_ydata(), [il.tilt(at(scheme, m), PRIOR) for m in LADDER])
        marks = optima.collections[i]
        assert marks.get_label() == name
        for (across, up), m in zip(marks.get_offsets(), LADDER, strict=True):
            f = il.population_optimum(at(scheme, m), SOFTMAX, eta, PRIOR)
            assert across == pytest.approx(np.std(f - np.log(eta)), abs=1e-8)
            assert up == pytest.approx(np.std(f), abs=1e-8)  # log η - log π = 0 here
        assert np.all(np.diff(marks.get_sizes()) > 0)


def test_gradients_are_those_of_the_sweep() -> None:
    ax = il.plot.gradient_bias(SCHEMES["tail"], PRIOR, scores=SCORES, label="tail")
    gradients = [
        il.integrate(SCHEMES["tail"], SOFTMAX, il.Problem(SCORES, PRIOR, y), "gradient").value for y in range(6)
    ]
    expected = PRIOR.probabilities @ np.array(gradients)
    full = np.exp(SCORES) / np.exp(SCORES).sum() - PRIOR.probabilities
    (points,) = [one for one in ax.lines if one.get_marker() == "."]
    np.testing.assert_allclose(points.get_ydata()[::-1], expected - full, atol=1e-12)  # from rare to frequent
    assert line(ax, "tail").get_ydata()[2] == pytest.approx(np.mean(expected - full))  # a window of all six


def test_inclusion_is_that_of_its_function() -> None:
    scheme = il.Scheme("within-batch", "importance", m=3, hits="keep", draws="distinct")
    ax = il.plot.inclusion(scheme, PRIOR, label="distinct")
    p = il.inclusion_probabilities(scheme, il.Problem(np.zeros(6), PRIOR, 0))
    np.testing.assert_allclose(line(ax, "distinct").get_ydata()[::-1], p)
    np.testing.assert_allclose(line(ax, "distinct").get_xdata()[::-1], 3 * PRIOR.probabilities)
    np.testing.assert_array_equal(line(ax, "m q").get_xdata(), line(ax, "m q").get_ydata())


def test_margins_are_those_of_the_scheme() -> None:
    for hits in ("mask", "keep"):
        scheme = il.Scheme("within-batch", "tail", m=2, hits=hits)  # type: ignore[arg-type]
        ax = il.plot.margins(scheme, PRIOR, label=hits)
        shown = np.ma.filled(ax.collections[0].get_array(), 0.0).reshape(6, 6)
        np.testing.assert_allclose(shown, il.implicit_margins(scheme, PRIOR), rtol=1e-10)
        assert ax.get_title() == hits


@pytest.mark.parametrize("hits", ["mask", "exclude", "keep"])
def test_a_place_is_the_fit_to_all_margins(hits: Any) -> None:
    scheme = il.Scheme("within-batch", "relative", m=4, hits=hits)
    found = il.plot.place(scheme, PRIOR)
    p = il.implicit_margins(scheme, PRIOR)
    y, other = np.nonzero(p)
    level = PRIOR.log
    const, b, c = np.polynomial.polynomial.polyfit(level, level, 1)[0], found.b, found.c  # nothing of it is fitted here
    left = np.log(p[y, other]) - found.const - b * level[y] - c * level[other]
    assert const == pytest.approx(0, abs=1e-12)
    # Least squares: what is left is orthogonal to each column, and no larger than what is said.
    for column in (np.ones(y.size), level[y], level[other]):
        assert left @ column == pytest.approx(0, abs=1e-9)
    assert np.abs(left).max() == pytest.approx(found.misfit, abs=1e-9)
    assert (found.misfit < 1e-9) == (hits == "mask")


def test_the_map_puts_schemes_at_their_places_and_the_tilt_below() -> None:
    ax = il.plot.map(SCHEMES, PRIOR)
    for name, (b, c) in {"importance": (0, 0), "tail": (-1, 1)}.items():
        mark = line(ax, name)
        assert (mark.get_xdata()[0], mark.get_ydata()[0]) == pytest.approx((b, c), abs=1e-9)
    from implicitloss.plot.place import ground

    assert ground(PRIOR, 0.0, 0.0) == pytest.approx(0, abs=1e-9)
    assert ground(PRIOR, -1.0, 1.0) == pytest.approx(-1, abs=1e-6)
    # Schemes at one place stand side by side.
    alike = il.plot.map({"a": SCHEMES["tail"], "b": SCHEMES["tail"]}, PRIOR, contours=False)
    assert line(alike, "b").get_xdata()[0] - line(alike, "a").get_xdata()[0] == pytest.approx(0.11)


def test_frames_are_drawn_as_they_are() -> None:
    swept = il.sweep([at(SCHEMES["tail"], m) for m in LADDER], SOFTMAX, SCORES, PRIOR, [1, 4], ("mean", "gap"))
    tidy = pd.concat([found.to_frame() for found in swept.values()])
    ax = il.plot.losses(tidy)
    assert [one.get_label() for one in ax.lines if one.get_linestyle() == "-"] == [
        "WithinBatch(), Tail(), hits=mask, positive 1", "WithinBatch(), Tail(), hits=mask, positive 4",
    ]  # fmt: skip
    np.testing.assert_allclose(ax.lines[1].get_ydata(), swept["mean"].value[:, 0])
    np.testing.assert_allclose(ax.lines[0].get_ydata(), (swept["mean"].value + swept["gap"].value)[:, 0])
    given = pd.DataFrame({"m": [1, 2], "sampled": [-1.0, -0.5]})
    tilts = il.plot.tilt(given, label="mine", color="red", lw=3)
    assert (line(tilts, "mine").get_color(), line(tilts, "mine").get_linewidth()) == ("red", 3)
    assert line(tilts, "mine").get_ydata().tolist() == [-1.0, -0.5]


@pytest.mark.parametrize("name", PLOTS)
def test_axes_labels_and_styles(name: str) -> None:
    """They are drawn where they are told to, called what they are told, and follow the style in use."""
    plain, latex = plt.figure().subplots(2)
    draws = {"draws": "set"} if name == "inclusion" else {}
    scheme = il.Scheme("within-batch", "importance", m=2, hits="keep", **draws)  # type: ignore[arg-type]
    options = {} if name in ("map", "gradient_bias", "inclusion") else {"m": LADDER}
    assert PLOTS[name](scheme, PRIOR, ax=plain, label="mine", **options) is plain
    PLOTS[name](scheme, PRIOR, ax=latex, label="mine", latex=True, **options)
    assert "mine" in plain.get_legend_handles_labels()[1]
    assert "$" not in plain.get_xlabel() + plain.get_ylabel()
    assert "$" in latex.get_xlabel() + latex.get_ylabel()
    latex.get_figure().canvas.draw()  # the mathematics can be read
    handles = dict(zip(*reversed(plain.get_legend_handles_labels()), strict=True))
    color = handles["mine"].get_edgecolor()[0] if name == "optima" else handles["mine"].get_color()
    assert mpl.colors.same_color(color, "#0072B2")


@pytest.mark.parametrize("name", PLOTS)
def test_what_cannot_be_drawn_is_one_sentence(name: str) -> None:
    plot = PLOTS[name]
    for given, said in (
        ((SCHEMES,), "the prior must be a LabelPrior"), (("x", PRIOR), "schemes must be"),
        (([], PRIOR), "at least one"), ((pd.DataFrame({"a": [1]}),), "the frame must have the columns"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=said):
            plot(*given)
    with pytest.raises(ValueError, match="ax must be the axes"):
        plot(SCHEMES["tail"], PRIOR, ax=5)
    with pytest.raises(ValueError, match="label must have a text for each of"):
        plot(SCHEMES, PRIOR, label="one")


def test_more_that_cannot_be_drawn() -> None:
    for m, said in (([], "numbers of negatives"), ([0], "m must be"), ("x", "m must be"), ([1.5], "m must be")):
        with pytest.raises(ValueError, match=said):
            il.plot.tilt(SCHEMES, PRIOR, m=m)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at least three labels"):
        il.plot.place(SCHEMES["tail"], il.LabelPrior.zipf(5, 0.0))
    with pytest.raises(ValueError, match="at most 2,000 labels"):
        il.plot.gradient_bias(SCHEMES, il.LabelPrior.zipf(2_001, 1.0))
    with pytest.raises(ValueError, match="some that are positive"):
        il.plot.margins(il.Scheme("uniform", np.zeros(6), m=1, hits="mask"), PRIOR)
    with pytest.raises(ValueError, match="columns must be 'single' or 'double'"):
        il.plot.style("triple")  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["map", "margins", "losses", "inclusion", "gradient-bias"])
def test_the_command_draws(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    counts = tmp_path / "counts.csv"
    counts.write_text("label,count\na,90\nb,50\nc,20\nd,7\ne,5\n")
    out = tmp_path / "picture.svg"
    scheme = "log-uniform/importance/3/keep/set" if kind == "inclusion" else "within-batch/tail/8"
    assert main(["plot", kind, "--scheme", scheme, "--counts", str(counts), "-o", str(out)]) == 0
    assert capsys.readouterr().out.strip() == str(out)
    assert scheme in out.read_text()
    first = out.read_bytes()
    assert main(["plot", kind, "--scheme", scheme, "--counts", str(counts), "-o", str(out)]) == 0
    assert out.read_bytes() == first


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["map", "--scheme", "uniform/tail", "-o", "a.svg"], "--scheme must be SAMPLER/WEIGHTING/M"),
        (["map", "--scheme", "uniform/tail/x", "-o", "a.svg"], "a whole number as M"),
        (["map", "--scheme", "uniform/tail/0", "-o", "a.svg"], "m, the number of negatives, must be"),
        (["map", "--scheme", "uniform/tail/2/kep", "-o", "a.svg"], "unknown hits 'kep'; did you mean 'keep'"),
        (["map", "--scheme", "uniform/tail/2/keep/sett", "-o", "a.svg"], "unknown draws 'sett'; did you mean 'set'"),
        (["map", "--scheme", "unifrm/tail/2", "-o", "a.svg"], "unknown sampler 'unifrm'"),
        (["map", "--scheme", "uniform/tail/2", "-o", "a.jpg"], "ends with .svg, .pdf or .png"),
        (["map", "--scheme", "uniform/tail/2"], "required: -o"),
        (
            ["margins", "--scheme", "uniform/tail/2", "--scheme", "uniform/unit/2", "-o", "a.svg"],
            "of one scheme, got 2",
        ),
        (["maps", "--scheme", "uniform/tail/2", "-o", "a.svg"], "did you mean 'map'"),
    ],
)
def test_bad_words_of_the_command(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["plot", *words]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())
