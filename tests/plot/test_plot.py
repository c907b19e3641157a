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


def test_the_ends_of_a_path_say_their_m() -> None:
    ax = il.plot.optima(SCHEMES["importance"], PRIOR, m=LADDER)
    assert [text.get_text() for text in ax.texts] == ["1", "16"]
    kept = il.Scheme("within-batch", "unit", m=1, hits="keep")  # the balanced rule at every m
    assert [text.get_text() for text in il.plot.optima(kept, PRIOR, m=LADDER).texts] == ["1 to 16"]
    assert not il.plot.optima(kept, PRIOR, m=LADDER, ends=False).texts


def test_gradients_are_those_of_the_sweep() -> None:
    ax = il.plot.gradient_bias(SCHEMES["tail"], PRIOR, scores=SCORES, label="tail")
    gradients = [
        il.integrate(SCHEMES["tail"], SOFTMAX, il.Problem(SCORES, PRIOR, y), "gradient").value for y in range(6)
    ]
    expected = PRIOR.probabilities @ np.array(gradients)
    full = np.exp(SCORES) / np.exp(SCORES).sum() - PRIOR.probabilities
    np.testing.assert_allclose(line(ax, "tail").get_ydata()[::-1], expected - full, atol=1e-12)  # from rare to frequent
    many = il.plot.gradient_bias(SCHEMES["tail"], il.LabelPrior.zipf(100, 1.0), label="tail")
    (points,) = [one for one in many.lines if one.get_marker() == "."]
    assert line(many, "tail").get_ydata()[50] == pytest.approx(np.mean(points.get_ydata()[43:58]))


def test_inclusion_is_that_of_its_function() -> None:
    scheme = il.Scheme("within-batch", "importance", m=3, hits="keep", draws="distinct")
    ax = il.plot.inclusion(scheme, PRIOR, label="distinct")
    p = il.inclusion_probabilities(scheme, il.Problem(np.zeros(6), PRIOR, 0))
    np.testing.assert_allclose(line(ax, "distinct").get_ydata()[::-1], p)
    np.testing.assert_allclose(line(ax, "distinct").get_xdata()[::-1], 3 * PRIOR.probabilities)
    np.testing.assert_array_equal(line(ax, "m q").get_xdata(), line(ax, "m q").get_ydata())


def test_a_plateau_is_that_of_waterfilling() -> None:
    eta, prior = 0.6 / np.arange(1, 101), il.LabelPrior.zipf(100, 0.0)
    logistic = il.losses.Decoupled(il.losses.logistic)
    schemes = {
        f"{k} mined": il.Scheme("uniform", "unit", m=5, hits="mask", hard=il.HardNegatives(k=k)) for k in (2, 10)
    }
    ax = il.plot.plateau(schemes, prior, eta=eta)
    for name, scheme in schemes.items():
        found = il.waterfilling(scheme, logistic, eta, prior)
        np.testing.assert_allclose(line(ax, name).get_ydata()[::-1], found.scores)  # from unlikely to likely labels
        np.testing.assert_allclose(line(ax, name).get_xdata()[::-1], np.log(eta / (1 - eta)))
    with pytest.raises(ValueError, match="eta must be how likely each label is"):
        il.plot.plateau(schemes, prior)
    softmax = il.plot.plateau(schemes["2 mined"], prior, eta=eta / eta.sum(), loss=SOFTMAX, label="mine", color="red")
    expected = il.waterfilling(schemes["2 mined"], SOFTMAX, eta / eta.sum(), prior).scores
    np.testing.assert_allclose(line(softmax, "mine").get_ydata()[::-1], expected)


def test_a_frontier_is_that_of_prices() -> None:
    problem = il.Problem(SCORES, PRIOR, 4)
    schemes = {q: il.Scheme(q, "importance", m=1, hits="exclude") for q in ("uniform", "within-batch")}
    ax = il.plot.frontier(schemes, problem, m=LADDER, dimension=3)
    for name, scheme in schemes.items():
        prices = [il.price(at(scheme, m), SOFTMAX, problem, 3) for m in LADDER]
        np.testing.assert_allclose(line(ax, name).get_ydata(), [price.rmse for price in prices])
        np.testing.assert_allclose(line(ax, name).get_xdata(), [price.share for price in prices])
    frame = pd.DataFrame({"share": [0.1, 0.01], "rmse": [1.0, 2.0], "low": [0.8, 1.5], "high": [1.1, 3.0]})
    (bars,) = il.plot.frontier(frame, label="mine").containers
    assert bars.get_label() == "mine"
    assert bars.lines[0].get_xdata().tolist() == [0.01, 0.1]
    ends = [segment[:, 1].tolist() for segment in bars.lines[2][0].get_segments()]
    np.testing.assert_allclose(ends, [[1.5, 3.0], [0.8, 1.1]])
    with pytest.raises(ValueError, match="the interval from low to high must hold rmse"):
        il.plot.frontier(frame.assign(high=0.9))
    with pytest.raises(ValueError, match="problem"):
        il.plot.frontier(schemes)
    logistic = il.losses.Decoupled(il.losses.logistic)
    other = il.plot.frontier(schemes["uniform"], problem, m=[4], loss=logistic, label="mine", latex=True)
    price = il.price(at(schemes["uniform"], 4), logistic, problem)
    assert line(other, "mine").get_ydata()[0] == pytest.approx(price.rmse)
    other.get_figure().canvas.draw()  # the mathematics can be read


def test_axes_of_bias_add_up_to_the_gap() -> None:
    first = il.spectral.gap([1.0, -1.4], [0.5, 0.2], [1.3, -1.5], 0.2)
    gaps = [first, il.spectral.gap([0.6, -0.9], [0.6, 0.2], [0.8, -0.9])]
    ax = il.plot.axes_of_bias({"first": gaps[0], "second": gaps[1]})
    heights = np.array([bar.get_height() for bar in ax.patches]).reshape(2, 5)
    for gap, (*parts, total) in zip(gaps, heights, strict=True):
        np.testing.assert_allclose(parts, [gap.train, gap.overfit, gap.label, gap.scale])
        assert total == pytest.approx(gap.total) == pytest.approx(sum(parts))
    # Each bar begins where the last one ended.
    starts = np.array([bar.get_y() for bar in ax.patches]).reshape(2, 5)
    np.testing.assert_allclose(starts[:, 1:4], np.cumsum(heights[:, :3], axis=1), atol=1e-12)
    np.testing.assert_allclose(starts[:, [0, 4]], 0)
    assert [text.get_text().split("\n")[0] for text in ax.get_xticklabels()] == ["first", "second"]
    assert ax.get_legend_handles_labels()[1] == [
        "boundary in training", "overfitting", "margins", "scale of scores", "sum",
    ]  # fmt: skip
    latex = il.plot.axes_of_bias(gaps, latex=True)
    latex.get_figure().canvas.draw()
    assert [text.get_text().split("\n")[0] for text in latex.get_xticklabels()] == ["1", "2"]
    frame = pd.DataFrame(
        [{part: getattr(gap, part) for part in ("train", "overfit", "label", "scale")} for gap in gaps]
    )
    again = il.plot.axes_of_bias(frame, label=["a", "b"])
    np.testing.assert_allclose([bar.get_height() for bar in again.patches], heights.ravel())
    for given, options, said in (
        (5, {}, "gaps must be"), ([5], {}, "a gap must be what il.spectral.gap returns"),
        (gaps, {"label": "one"}, "a text for each of 2"),
        ([], {}, "at least one"), (gaps, {"width": 0.1}, "the look of bars is"), (gaps, {"ax": 3}, "ax must be"),
        (frame.drop(columns="scale"), {}, "has no scale"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=said):
            il.plot.axes_of_bias(given, **options)  # type: ignore[arg-type]


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
    left = np.log(p[y, other]) - found.const - found.b * level[y] - found.c * level[other]
    # Least squares: what is left is orthogonal to each column, and no larger than what is said.
    for column in (np.ones(y.size), level[y], level[other]):
        assert left @ column == pytest.approx(0, abs=1e-9)
    assert np.abs(left).max() == pytest.approx(found.misfit, abs=1e-9)
    assert (found.misfit < 1e-9) == (hits == "mask")


def test_the_map_puts_schemes_at_their_places_and_the_tilt_below() -> None:
    ax = il.plot.map(SCHEMES, PRIOR)
    for name, (b, c) in {"importance (+0.00)": (0, 0), "tail (-1.00)": (-1, 1)}.items():
        mark = line(ax, name)
        assert (mark.get_xdata()[0], mark.get_ydata()[0]) == pytest.approx((b, c), abs=1e-9)
    from implicitloss.plot.place import ground

    assert ground(PRIOR, 0.0, 0.0) == pytest.approx(0, abs=1e-9)
    assert ground(PRIOR, -1.0, 1.0) == pytest.approx(-1, abs=1e-6)
    # Schemes at one place stand side by side.
    alike = il.plot.map({"a": SCHEMES["tail"], "b": SCHEMES["tail"]}, PRIOR, contours=False)
    assert line(alike, "b (-1.00)").get_xdata()[0] - line(alike, "a (-1.00)").get_xdata()[0] == pytest.approx(0.11)
    # A factor that the place leaves out is in the tilt of the legend: relative weights have m π_y.
    for m in (1, 64):
        relative = il.Scheme("within-batch", "relative", m=m, hits="mask")
        own = il.tilt(relative, PRIOR, of="implicit")
        assert line(il.plot.map(relative, PRIOR, contours=False, label="r"), f"r ({own:+.2f})").get_xdata()[
            0
        ] == pytest.approx(1)
    assert abs(own) < 0.1 < 0.2 < ground(PRIOR, 1.0, 0.0)


def test_what_is_rounding_is_not_drawn() -> None:
    """Uniform draws of equal scores pay the same: gap and variance are 0, which no logarithm has."""
    schemes = {"flat": il.Scheme("uniform", "unit", m=1, hits="keep"), "tail": SCHEMES["tail"]}
    for plot in (il.plot.gap, il.plot.variance):
        ax = plot(schemes, PRIOR, m=LADDER)
        assert [(one.get_label(), len(one.get_xdata())) for one in ax.lines] == [("flat: 0", 0), ("tail", len(LADDER))]
        assert ax.get_ylim()[0] > 1e-9
        assert ax.get_title() == "positive 3, all labels scored alike"


def test_what_is_0_everywhere_can_be_saved(tmp_path: Path) -> None:
    """By uniform draws and equal scores there is no gap, and a logarithmic axis cannot show that."""
    for ax in (
        il.plot.gap(il.Scheme("uniform", "importance", m=1, hits="exclude"), il.LabelPrior.zipf(9, 1.0), m=[1, 4]),
        il.plot.frontier(pd.DataFrame({"share": [0.1], "rmse": [0.0]})),
    ):
        ax.get_figure().savefig(tmp_path / "picture.png")
        assert ax.get_yscale() == "linear"


def test_long_names_leave_the_picture_its_room() -> None:
    """In one column too: a warning of collapsed axes is an error."""
    with plt.style.context(il.plot.style("single")):
        hard = il.Scheme("uniform", "unit", m=5, hits="mask", hard=il.HardNegatives(k=2))
        ax = il.plot.plateau(hard, il.LabelPrior.zipf(9, 0.0), eta=0.6 / np.arange(1, 10))
        ax.get_figure().canvas.draw()
        assert ax.get_position().width > 0.6


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
    texts = [text.removesuffix(" (+0.00)") for text in plain.get_legend_handles_labels()[1]]
    assert "mine" in texts
    assert "$" not in plain.get_xlabel() + plain.get_ylabel()
    assert "$" in latex.get_xlabel() + latex.get_ylabel()
    latex.get_figure().canvas.draw()  # the mathematics can be read
    handles = dict(zip(texts, plain.get_legend_handles_labels()[0], strict=True))
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
    for label, said in (("one", "a text for each of 2"), (5, "label must be"), ([1, 2], "a text for each"),
                        (["a", "a"], "must differ")):  # fmt: skip
        with pytest.raises(ValueError, match=said):
            plot(SCHEMES, PRIOR, label=label)


def test_more_that_cannot_be_drawn() -> None:
    for m, said in (([], "numbers of negatives"), ([0], "m must be"), ("x", "m must be"), ([1.5], "m must be")):
        with pytest.raises(ValueError, match=said):
            il.plot.tilt(SCHEMES, PRIOR, m=m)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="a picture of margins is one of one scheme, got 2"):
        il.plot.margins(SCHEMES, PRIOR)  # type: ignore[arg-type]
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
    assert (scheme if kind not in ("losses",) else "within-batch/tail") in out.read_text()
    first = out.read_bytes()
    assert main(["plot", kind, "--scheme", scheme, "--counts", str(counts), "-o", str(out)]) == 0
    assert out.read_bytes() == first


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["map", "--scheme", "uniform/tail", "-o", "a.svg"], "--scheme must be SAMPLER/WEIGHTING/M"),
        (["map", "--scheme", "uniform/tail/x", "-o", "a.svg"], "M the number of negatives, e.g. uniform/tail/64, got"),
        (
            ["map", "--scheme", "uniform/tail/1.5", "-o", "a.svg"],
            "the number of negatives, must be a whole number, got '1.5'",
        ),
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


# --- what a slip in the drawing would change --------------------------------------------------------------------------

MANY = il.LabelPrior.exp(150, 500, 100)


def test_the_ground_is_not_transposed() -> None:
    """At (b, c) = (-1, 1) the tilt is -1, at (1, -1) it is above 0: read off what is drawn."""
    ax = il.plot.map(SCHEMES["tail"], PRIOR)
    filled = next(one for one in ax.collections if getattr(one, "levels", np.zeros(0)).size > 10)
    corners = ((-1.4, 1.4), (1.4, -0.4))
    bands = list(zip(filled.levels, filled.get_paths(), strict=False))
    at = {corner: level for level, path in bands for corner in corners if path.contains_point(corner)}
    assert at[(-1.4, 1.4)] < -1
    assert at[(1.4, -0.4)] > 0


def test_the_dashed_tilt_is_that_of_the_bound() -> None:
    ax = il.plot.tilt(SCHEMES["importance"], PRIOR, m=[1, 4], label="mine")
    (dashed,) = [one for one in ax.lines if one.get_linestyle() == "--"]
    expected = [il.tilt(at(SCHEMES["importance"], m), PRIOR, of="implicit") for m in (1, 4)]
    np.testing.assert_allclose(dashed.get_ydata(), expected, atol=1e-9)
    assert abs(line(ax, "mine").get_ydata()[0] - expected[0]) > 0.1


def test_the_positive_is_of_median_frequency_unless_it_is_given() -> None:
    ax = il.plot.losses(SCHEMES["tail"], MANY, m=[1], label="mine")
    middle = int(MANY.by_frequency[75])
    expected = il.integrate(at(SCHEMES["tail"], 1), SOFTMAX, il.Problem(np.zeros(150), MANY, middle))
    assert line(ax, "mine").get_ydata()[0] == pytest.approx(float(expected), rel=1e-12)


def test_of_many_labels_some_of_all_ranks_are_shown_and_fitted() -> None:
    ax = il.plot.margins(SCHEMES["tail"], MANY)
    shown = ax.collections[0].get_array().reshape(25, 25)
    p = il.implicit_margins(SCHEMES["tail"], MANY)
    assert shown[0, -1] == pytest.approx(p[0, -1])
    assert shown[-1, 0] == pytest.approx(p[-1, 0])
    bent = il.Scheme("within-batch", "relative", m=64, hits="keep")  # m π_y/(1 + m π_y)
    ranks = np.unique(np.linspace(0, 149, 100).round().astype(int))
    p = il.implicit_margins(bent, MANY)[np.ix_(ranks, ranks)]
    y, other = np.nonzero(p)
    level = MANY.log[ranks]
    design = np.stack([np.ones(y.size), level[y], level[other]], axis=1)
    const, b, c = np.linalg.lstsq(design, np.log(p[y, other]), rcond=None)[0]
    found = il.plot.place(bent, MANY)
    assert (found.const, found.b, found.c) == pytest.approx((const, b, c), abs=1e-10)


def test_weights_in_numbers_have_one_m() -> None:
    given = il.Scheme("uniform", np.full(6, 0.5), m=4, hits="mask")
    with pytest.raises(ValueError, match=r"for their own m alone: give m=\[4\]"):
        il.plot.losses(given, PRIOR, m=[1, 4])
    assert len(il.plot.losses(given, PRIOR, m=[4]).lines[0].get_xdata()) == 1


def test_a_scheme_that_looks_at_scores_has_no_place() -> None:
    for scheme in (
        il.Scheme("model-based", "importance", m=2, hits="mask"),
        il.Scheme("uniform", "importance", m=2, hits="mask", hard=il.HardNegatives(k=2)),
    ):
        for plot in (il.plot.place, il.plot.margins):
            with pytest.raises(ValueError, match="depend on the scores"):
                plot(scheme, PRIOR)


def test_frames_of_two_losses_are_not_averaged() -> None:
    frames = [
        il.sweep([SCHEMES["tail"]], loss, SCORES, PRIOR, [1])["mean"].to_frame()
        for loss in (SOFTMAX, il.losses.Decoupled(il.losses.logistic))
    ]
    with pytest.raises(ValueError, match="has several of mean"):
        il.plot.losses(pd.concat(frames))


def test_looks_have_their_short_names_and_m_any_order() -> None:
    frame = pd.DataFrame({"m": [16, 1, 4], "exact": [3.0, 1.0, 2.0]})
    ax = il.plot.losses(frame, c="red", ls=":", linewidth=3)
    assert (ax.lines[0].get_color(), ax.lines[0].get_linestyle(), ax.lines[0].get_linewidth()) == ("red", ":", 3)
    assert ax.lines[0].get_xdata().tolist() == [1, 4, 16]
    with pytest.raises(ValueError, match="the look of optima is color, marker and mfc, got lw"):
        il.plot.optima(SCHEMES, PRIOR, lw=3)


def test_schemes_that_differ_in_m_alone_are_one_line_along_m(tmp_path: Path) -> None:
    """Refused before: two lines of one name."""
    out = tmp_path / "tilt.svg"
    schemes = ["--scheme", "uniform/tail/4", "--scheme", "uniform/tail/64", "--scheme", "uniform/unit/4/keep"]
    assert main(["plot", "tilt", *schemes, "--profile", "zipf:20:1", "-o", str(out)]) == 0
    text = out.read_text()
    assert text.count(">uniform/tail<") == text.count(">uniform/unit/keep<") == 1


def test_a_sampler_s_file_may_have_slashes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    law = tmp_path / "q.txt"
    law.write_text("0.5\n0.3\n0.1\n0.1\n")
    counts = tmp_path / "counts.csv"
    counts.write_text("label,count\na,90\nb,50\nc,20\nd,7\n")
    words = ["plot", "map", "--scheme", f"explicit:{law}/importance/1e2/keep", "--counts", str(counts)]
    assert main([*words, "-o", str(tmp_path / "a.svg")]) == 0
    assert "/importance/1e2/keep" in (tmp_path / "a.svg").read_text()
