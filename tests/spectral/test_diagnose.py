"""`il.diagnose` and `il.spectral.compare`: what the report says is what it measured, and the gap adds up."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import logsumexp

import implicitloss as il
from implicitloss.spectral.jackknife import effective_rank_error, moments_without
from implicitloss.spectral.pooled import predict_pooled, with_pooled_covariance
from implicitloss.spectral.ridge_path import RidgePath
from implicitloss.spectral.samples import samples
from implicitloss.spectral.shrinkage import SampleMoments, effective_rank

Array = np.ndarray[Any, Any]


def classes(
    rng: np.random.Generator, exponents: list[float], n: int = 150, d: int = 100, distance: float = 2.0
) -> tuple[Array, Array, il.spectral.GaussianMixture]:
    """Samples of a power-law mixture, in axes of their own, and the mixture."""
    mixture = il.spectral.GaussianMixture.power_law(exponents, d=d, distance=distance, counts=n, traces=40.0)
    y = np.repeat(np.arange(len(exponents)), n)
    X = mixture.means[y] + rng.standard_normal((len(y), d)) * np.sqrt(mixture.covariances)[y]
    return X, y, mixture


@pytest.fixture(scope="module")
def report() -> il.spectral.SpectralReport:
    X, y, _ = classes(np.random.default_rng(0), [0.0, 0.2, 0.7, 1.5], n=250)
    return il.diagnose(X, np.array(["cat", "dog", "owl|<b>", "eel"])[y])


def test_measured_first(report: il.spectral.SpectralReport) -> None:
    """Rows have the errors of cross-validation, the worst first, and V is the mean of h/(1 - h) in the class."""
    found = report.left_out
    wrong = found.scores.argmax(axis=1) != found.codes
    X = classes(np.random.default_rng(0), [0.0, 0.2, 0.7, 1.5], n=250)[0]
    path = RidgePath.of(samples(X, [found.classes[k] for k in found.codes]))
    assert np.array_equal(found.scores, path.stratified(report.lam).scores)
    assert [row.error for row in report.rows] == sorted((row.error for row in report.rows), reverse=True)
    for row in report.rows:
        part = found.codes == report.class_index(row.name)
        assert (row.n, row.error) == (part.sum(), pytest.approx(wrong[part].mean()))
        assert row.influence == pytest.approx(found.influence[part].mean())
    assert report.mean_error == pytest.approx(np.mean([row.error for row in report.rows]))
    assert (report.worst, report.best) == (report.rows[0], report.rows[-1])


def test_the_prediction_is_that_of_the_features(report: il.spectral.SpectralReport) -> None:
    """Within 4 standard errors of what is measured where it is to be trusted, and not in another order."""
    assert {row.name for row in report.rows if not row.trusted} == {"eel"}
    trusted = [row for row in report.rows if row.trusted]
    off = [abs(row.predicted - row.error) / row.standard_error for row in trusted]  # type: ignore[operator]
    assert max(off) < 4
    assert abs(trusted[0].predicted - trusted[-1].error) / trusted[-1].standard_error > 4  # type: ignore[operator]


def test_the_ridge_is_chosen_or_given(rng: np.random.Generator) -> None:
    X, y, _ = classes(rng, [0.0, 0.5], n=40, d=20)
    chosen = il.diagnose(X, y)
    given = il.diagnose(X, y, ridge=chosen.lam)
    assert (chosen.ridge, given.ridge) == ("loo", "given")
    assert [row.error for row in chosen.rows] == [row.error for row in given.rows]
    assert "chosen by leave-one-out" in str(chosen)
    assert "as given" in str(given)


def test_a_ridge_at_an_end_of_its_range_is_said(rng: np.random.Generator) -> None:
    """Nowhere else, and not where λ is given."""
    y = np.arange(40) % 2
    easy = np.column_stack([np.where(y == 0, 1.0, -1.0), 1e-3 * rng.standard_normal(40)])
    nothing = np.repeat(rng.standard_normal((20, 3)), 2, axis=0)
    between = nothing + y[:, None] + rng.standard_normal((40, 3))
    said = "λ is the {} that was tried; leave-one-out would take {}, as where"
    for X, note in ((easy, said.format("least", "less")), (nothing, said.format("largest", "more")), (between, "")):
        report = il.diagnose(X, y)
        assert [found.startswith(note) for found in report.notes if "was tried" in found] == [True] * bool(note)
        given = il.diagnose(X, y, ridge=report.lam)
        assert not any("was tried" in found for found in given.notes)
        assert note in " ".join(str(report).split())


def test_noise_is_a_ridge(rng: np.random.Generator) -> None:
    """The error predicted with noise of variance v is that with λ + n v; with λ + v it is another."""
    X, y, _ = classes(rng, [0.0, 0.3, 0.6], n=60, d=40)
    noisy = il.diagnose(X, y, ridge=2.0, augment=il.spectral.Noise(0.1))  # type: ignore[arg-type]
    for lam, alike in ((2.0 + 180 * 0.1, True), (2.0 + 0.1, False)):
        ridge = il.diagnose(X, y, ridge=lam)
        predicted = {row.name: row.predicted for row in ridge.rows}
        off = max(abs(row.augmented - predicted[row.name]) for row in noisy.rows)  # type: ignore[operator]
        assert (off < 1e-6) is alike, (lam, off)
    assert "augmented: predicted with noise of variance 0.1 in training." in str(noisy)


# --- the gap ----------------------------------------------------------------------------------------------------------


def test_the_gap_adds_up(report: il.spectral.SpectralReport) -> None:
    """train + overfit + label + scale is z_1 - z_2, by hand; without the overfitting it is not."""
    delta = np.array([0.1, -0.2, 0.0, 0.05])
    for offsets in (None, delta):
        gap = report.gap("cat", "eel", offsets)
        assert gap.train + gap.overfit + gap.label + gap.scale == pytest.approx(gap.total, abs=1e-12)
        assert abs(gap.train + gap.label + gap.scale - gap.total) > 1e-3
        found, a, b = report.left_out, report.class_index("cat"), report.class_index("eel")
        score = found.scores[:, a] - found.scores[:, b]
        score = score + (0 if offsets is None else delta[a] - delta[b])
        one, other = score[found.codes == a], score[found.codes == b]
        assert gap.z == pytest.approx((one.mean() / one.std(), -other.mean() / other.std()))
        assert gap.mistaken == pytest.approx(((one <= 0).mean(), (other >= 0).mean()))
        kappa = 1 / one.std() + 1 / other.std()
        fitted = found.fitted[:, a] - found.fitted[:, b]
        train = (fitted[found.codes == a].mean() + fitted[found.codes == b].mean()) / 2
        assert gap.train == pytest.approx(kappa * train)
        assert gap.label == pytest.approx(0 if offsets is None else kappa * (delta[a] - delta[b]))
    assert len(gap.sentences) == 4


def test_what_the_sentences_say() -> None:
    """Each names the class that a part favours, or the other, as its sign has it."""

    def of(**parts: float) -> list[str]:
        given = {"train": 0.0, "overfit": 0.0, "label": 0.0, "scale": 0.0, **parts}
        made = il.spectral.ClassGap(**given, z=(1, 1), names=("cat", "dog"), mistaken=(0.1, 0.2), spreads=(0.3123, 0.4))
        return list(made.sentences)

    assert "boundary lies nearer to dog than to cat" in of(train=1.0)[0]
    assert "boundary lies nearer to cat than to dog" in of(train=-1.0)[0]
    assert "midway" in of(train=1e-9)[0]
    assert "scores of cat move further" in of(overfit=-1.0)[1]
    assert "scores of dog move further" in of(overfit=1.0)[1]
    assert "margins favour cat" in of(label=1.0)[2]
    assert "margins favour dog" in of(label=-1.0)[2]
    assert "no margins" in of(label=1e-9)[2]
    assert "cat have a standard deviation of 0.312, those of dog of 0.400" in of()[3]


def test_the_overfitting_has_the_sign_that_it_says(rng: np.random.Generator) -> None:
    """The class with the flat spectrum is memorised more, and moves further from training to new samples."""
    X, y, _ = classes(rng, [0.0, 1.2], n=100, d=150)
    gap = il.diagnose(X, y, ridge=1.0).gap(0, 1)
    found = il.spectral.leave_one_out(X, y, il.spectral.Ridge(1.0))
    moved = found.by_class(np.abs(np.diff(found.fitted - found.scores, axis=1)[:, 0]))
    assert moved[0] > moved[1]
    assert gap.overfit < 0
    assert "scores of 0 move further" in gap.sentences[1]


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda r: r.gap("cat", "cat"), "between two classes, got 'cat' twice"),
        (lambda r: r.gap("cat", "dgo"), "unknown class 'dgo'; did you mean 'dog'"),
        (lambda r: r.gap("cat", "dog", [1.0]), "score_offsets must be one for each of 4 classes, got 1"),
        (lambda r: r.gap("cat", "dog", [np.nan] * 4), "score_offsets must be finite"),
        (lambda r: r.offsets("yes"), "equalise must be True or False, got 'yes'"),
        (lambda r: r.to_text(0), "rows must be a whole number >= 1, got 0"),
    ],
)
def test_bad_questions(ask: Any, message: str, report: il.spectral.SpectralReport) -> None:
    with pytest.raises(ValueError, match=message):
        ask(report)


def test_classes_that_scores_do_not_tell_apart() -> None:
    """There is no gap to split; the sentence speaks of the classes, and not of means that nobody gave."""
    said = "tell apart, .* left out 'a' has mean .*, variance .* and 'b' has .*: there is no gap to split"
    alike = np.tile([-2.0, -1.0, 0.0, 1.0, 2.0], 4)  # scores are the same, but for a rounding
    for x, ridge in ((np.array([-1.0, 1.0, -2.0, 2.0]), 1e-3), (alike, "loo")):
        with pytest.raises(ValueError, match=said):
            il.diagnose(x[:, None], np.repeat(["a", "b"], len(x) // 2), ridge=ridge).gap("a", "b")


# --- offsets ----------------------------------------------------------------------------------------------------------


def test_offsets_close_the_gap_on_fresh_samples() -> None:
    """Found on 600 training samples, tried on 6,000 fresh ones: at most half the gap, at most two points of error."""
    X, y, mixture = classes(np.random.default_rng(3), [0.0, 0.5, 1.0], n=200, d=60)
    found = il.diagnose(X, y)
    fresh = np.repeat(np.arange(3), 2000)
    rng = np.random.default_rng(4)
    x = mixture.means[fresh] + rng.standard_normal((6000, 60)) * np.sqrt(mixture.covariances)[fresh]
    centred, one_hot = X - X.mean(axis=0), np.eye(3)[y]
    weights = np.linalg.solve(
        centred.T @ centred + found.lam * np.eye(60), centred.T @ (one_hot - one_hot.mean(axis=0))
    )
    scores = (x - X.mean(axis=0)) @ weights + one_hot.mean(axis=0)

    def errors(delta: Array | float) -> Array:
        wrong = (scores + delta).argmax(axis=1) != fresh
        return np.array([wrong[fresh == k].mean() for k in range(3)])

    plain, equal = errors(0.0), errors(found.score_offsets())
    assert np.ptp(equal) < np.ptp(plain) / 2
    assert equal.mean() < plain.mean() + 0.02
    effect = found.effect()
    assert effect is not None
    assert effect.mean == pytest.approx((plain.mean(), equal.mean()), abs=0.05)
    # The range of three normal numbers is 1.69 standard deviations in the mean, of halves of 100 samples of a class.
    assert effect.chance == pytest.approx(1.69 * np.sqrt(effect.mean[1] * (1 - effect.mean[1]) / 100), rel=0.15)


def test_an_effect_is_that_of_the_other_half() -> None:
    """Where the variances differ much, offsets from one half close most of the gap in the other, and -δ widens it."""
    rng = np.random.default_rng(8)
    y = np.repeat([0, 1], 300)
    X = rng.standard_normal((600, 10)) * np.where(y == 0, 2.0, 0.5)[:, None] + 0.6 * y[:, None]
    effect = il.diagnose(X, y).effect()
    assert effect is not None
    assert effect.gap[1] < effect.gap[0] / 2
    assert effect.gap[0] > 0.1


def test_the_prior_whose_logit_adjustment_it_is(report: il.spectral.SpectralReport) -> None:
    """π_y ∝ e^{-δ_y}; e^{δ_y} is another."""
    for equalise in (True, False):
        offsets, prior = report.offsets(equalise), report.equivalent_prior(equalise)
        assert prior.names == report.names
        for y in range(4):
            adjusted = il.margins.LogitAdjusted().log_margin(prior, y)
            assert adjusted == pytest.approx(offsets.log_margin(prior, y), abs=1e-12)
            assert np.abs(adjusted + offsets.log_margin(prior, y)).max() > 0.05
    scheme = il.Scheme(il.samplers.Uniform(), il.weightings.ForMargin(report.offsets()), m=3, hits="mask")
    p = il.implicit_margins(scheme, il.LabelPrior.zipf(4, 0.0))
    assert p[0, 1] == pytest.approx(np.exp(report.offsets().delta[0] - report.offsets().delta[1]))


def test_softmax_gets_offsets_of_its_own(report: il.spectral.SpectralReport) -> None:
    """They are no multiple of those of the ridge."""
    ridge, softmax = report.score_offsets(), report.offsets().delta
    assert softmax.mean() == pytest.approx(0, abs=1e-9)
    scale = ridge @ softmax / (ridge @ ridge)
    assert np.abs(softmax - scale * ridge).max() > 0.01 * np.abs(softmax).max()


def test_training_with_these_margins_narrows_the_gap() -> None:
    """Softmax trained with p_yy' = e^{δ_y - δ_y'} on 900 samples and tried on fresh ones; e^{δ_y' - δ_y} widens it."""
    rng = np.random.default_rng(11)
    y, fresh, d = np.repeat(np.arange(3), 300), np.repeat(np.arange(3), 2000), 12
    means, scale = 0.5 * rng.standard_normal((3, d)), np.array([1.6, 1.0, 0.6])
    X, x = (means[k] + rng.standard_normal((len(k), d)) * scale[k][:, None] for k in (y, fresh))
    offsets, prior, rows = il.diagnose(X, y).offsets(), il.LabelPrior.zipf(3, 0.0), np.arange(900)

    def gap(log_p: Array) -> float:
        def loss(at: Array) -> tuple[float, Array]:
            W, b = at[: 3 * d].reshape(d, 3), at[3 * d :]
            logits = X @ W + b + log_p[y]  # log p_yy is 0
            total = logsumexp(logits, axis=1)
            share = np.exp(logits - total[:, None])
            share[rows, y] -= 1
            gradient = np.concatenate([(X.T @ share + W).ravel(), share.sum(axis=0)])
            return float((total - logits[rows, y]).sum() + np.sum(W**2) / 2), gradient

        found = minimize(loss, np.zeros(3 * d + 3), jac=True, method="L-BFGS-B").x
        wrong = (x @ found[: 3 * d].reshape(d, 3) + found[3 * d :]).argmax(axis=1) != fresh
        return float(np.ptp(np.bincount(fresh, wrong) / 2000))

    log_p = np.stack([offsets.log_margin(prior, k) for k in range(3)])
    assert log_p.diagonal() == pytest.approx(0)
    assert gap(log_p) < gap(0 * log_p) / 2 < gap(-log_p) / 2
    assert gap(-log_p) > gap(0 * log_p) + 0.02


# --- resampling -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(30, 12), (12, 30), (20, 20)])
def test_groups_are_left_out(shape: tuple[int, int], rng: np.random.Generator) -> None:
    """The moments without a group, by the products of all, are those of the samples that are left."""
    X = rng.standard_normal(shape) * np.arange(1, shape[1] + 1) ** -0.5 + 3.0
    group = np.arange(shape[0]) % 4
    for g, found in enumerate(moments_without(X - X.mean(axis=0), group, 4)):
        part = X[group != g]
        by_hand = SampleMoments.from_centred(part - part.mean(axis=0))
        assert vars(found) == pytest.approx(vars(by_hand), rel=1e-9)
        kept = SampleMoments.from_centred((X - X.mean(axis=0))[group != g])  # the near miss: the mean of all
        assert abs(kept.trace / by_hand.trace - 1) > 1e-6


def test_the_jackknife_of_an_effective_rank(rng: np.random.Generator) -> None:
    """By hand, of groups of one sample, which are drawn in some order."""
    X = rng.standard_normal((9, 5)) * np.arange(1, 6) ** -0.5
    inverse = []
    for i in range(9):
        part = np.delete(X, i, axis=0)
        first, second = SampleMoments.from_centred(part - part.mean(axis=0)).unbiased
        inverse.append(second / first)
    rank = effective_rank(SampleMoments.from_centred(X - X.mean(axis=0)))
    by_hand = rank**2 * np.sqrt(8 / 9 * np.sum((np.array(inverse) - np.mean(inverse)) ** 2))
    assert effective_rank_error(X, rng) == pytest.approx(by_hand, rel=1e-9)


def test_effective_ranks_spread_as_their_errors_say() -> None:
    rng = np.random.default_rng(2)
    ranks, said = [], []
    for _ in range(60):
        X = rng.standard_normal((40, 60)) * np.arange(1, 61) ** -0.25
        ranks.append(effective_rank(SampleMoments.from_centred(X - X.mean(axis=0))))
        said.append(effective_rank_error(X, rng))
    assert 0.7 < np.std(ranks) / np.mean(said) < 1.4


# --- what is said -----------------------------------------------------------------------------------------------------


def test_the_text(report: il.spectral.SpectralReport) -> None:
    text = str(report)
    lines = text.splitlines()
    assert lines[1].startswith("1,000 samples, 100 features, 4 classes; ridge regression with λ = ")
    assert lines[2].startswith(f"mean of the classes' errors {report.mean_error:.1%} ± ")
    assert lines[4].split() == [
        "class",
        "samples",
        "error",
        "±",
        "predicted",
        "effective",
        "rank",
        "±",
        "influence",
        "V",
    ]
    marked = [line for line in lines[5:9] if "*" in line]
    assert len(marked) == 1
    assert marked[0].startswith("eel")
    assert "* the effective rank is below 20, and the prediction is not to be trusted." in text
    assert all(len(line) <= 100 for line in lines)
    assert "and 3 more classes, which report.to_frame() has" in report.to_text(rows=1)
    assert "worst" in repr(report)


def test_the_other_formats(report: il.spectral.SpectralReport) -> None:
    values = json.loads(report.to_json())
    assert values["schema"] == 1
    assert [row["name"] for row in values["classes"]] == [row.name for row in report.rows]
    assert set(values["score_offsets"]) == set(report.names)
    assert len(report.to_frame()) == 4
    assert r"owl\|&lt;b&gt;" in report.to_markdown()
    html = report._repr_html_()
    assert "owl|&lt;b&gt;" in html
    assert re.findall(r"<(\w+)", html).count("td") == 4 * 8
    assert "<b>" not in html.replace("<p><b>", "")


def test_the_plot(report: il.spectral.SpectralReport) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    ax = report.plot()
    assert [label.get_text() for label in ax.get_yticklabels()] == [row.name for row in report.rows]
    (legend,) = ax.figure.legends
    assert any("effective rank below 20" in text.get_text() for text in legend.get_texts())
    # Room around the first and the last class and around an error of 0, and no bar beyond it.
    low, high = ax.get_ylim()
    assert low >= len(report.rows) - 0.5
    assert high <= -0.5
    assert ax.get_xlim()[0] < 0
    assert min(segment[:, 0].min() for bars in ax.collections for segment in bars.get_segments()) >= 0
    plt.close(ax.figure)
    _, mine = plt.subplots()
    assert report.plot(mine).get_legend() is not None
    plt.close(mine.figure)


def test_a_seed_gives_the_same_report(rng: np.random.Generator) -> None:
    X, y, _ = classes(rng, [0.0, 0.5], n=40, d=20)
    one, same, other = (il.diagnose(X, y, rng=seed).to_json() for seed in (1, 1, 2))
    assert one == same != other


def test_without_a_prediction_there_is_a_measurement() -> None:
    """A class of equal samples has no covariance; the report says why nothing is predicted."""
    X = np.vstack([np.zeros((4, 3)), np.random.default_rng(0).standard_normal((5, 3)) + 2])
    found = il.diagnose(X, list("aaaabbbbb"))
    assert found.prediction is None
    assert {row.predicted for row in found.rows} == {None}
    assert "Nothing is predicted: samples of a class must differ, but those of class 'a' are all equal." in str(found)
    assert json.loads(found.to_json())["classes"][0]["predicted"] is None


@pytest.mark.parametrize("n", [2, 3, 4, 5])
def test_small_classes(n: int, rng: np.random.Generator) -> None:
    """Effective ranks need four samples, and their errors one more; measured errors do not."""
    X = rng.standard_normal((n + 20, 6))
    found = il.diagnose(X, ["few"] * n + ["many"] * 20)
    (row,) = [row for row in found.rows if row.name == "few"]
    assert (row.effective_rank is None, row.effective_rank_error is None) == (n < 4, n < 5)
    assert not row.trusted
    str(found), found.to_json(), found.to_markdown()


def test_other_numbers_of_features(rng: np.random.Generator) -> None:
    y = np.arange(24) % 2
    for X in (
        rng.standard_normal((24, 1)),
        rng.standard_normal((24, 80)),
        1e25 * rng.standard_normal((24, 3)),
    ):
        found = il.diagnose(X, y)
        assert all(np.isfinite(row.error) for row in found.rows)
        assert (" 1 feature, " in str(found)) is (X.shape[1] == 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"ridge": 0}, "ridge must be 'loo' or a number from 1e-30 to 1e60, got 0"),
        ({"ridge": "cv"}, "ridge must be 'loo' or a number .*, got 'cv'"),
        ({"rng": -1}, "rng must be a seed"),
        ({"augment": 0.5}, "augment must be a Noise, a Dropout or None"),
        ({"X": 1e50 * np.eye(6)}, "X must have a scale at which λ is from 1e-30 to 1e60"),
        ({"X": np.ones((6, 2))}, "X must vary from sample to sample, and all of its features are constant"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], message: str) -> None:
    given = {"X": np.arange(12.0).reshape(6, 2), "y": [0, 1, 0, 1, 0, 1], **arguments}
    with pytest.raises(ValueError, match=message):
        il.diagnose(**given)


# --- encoders ---------------------------------------------------------------------------------------------------------


def test_encoders_are_reports_side_by_side(rng: np.random.Generator) -> None:
    X, y, _ = classes(rng, [0.0, 0.6], n=100, d=50)
    found = il.spectral.compare({"half": X[:, :25], "all": X}, y)
    assert [row.report.mean_error for row in found.rows] == sorted(row.report.mean_error for row in found.rows)
    for row, features in ((found.rows[0], X), (found.rows[1], X[:, :25])):
        alone = il.diagnose(features, y)
        assert row.report.to_dict() == alone.to_dict()
        assert row.gap == pytest.approx(alone.worst.error - alone.best.error)
        predicted = dict(zip(alone.names, alone.prediction.error, strict=True))  # type: ignore[union-attr]
        assert row.predicted_gap == pytest.approx(predicted[alone.worst.name] - predicted[alone.best.name])
    text = str(found)
    assert text.splitlines()[4].startswith("all")
    assert json.loads(found.to_json())["encoders"][0]["encoder"] == "all"
    assert len(found.to_frame()) == 2
    assert "| half |" in found.to_markdown()
    assert "<td>half</td>" in found._repr_html_()


def test_the_part_of_the_gap_that_is_spectrum() -> None:
    """Nearly all of it where counts are equal, and nearly none where spectra are."""
    rng = np.random.default_rng(6)
    X, y, _ = classes(rng, [0.0, 0.8], n=250, d=60, distance=1.5)
    other, codes, _ = classes(rng, [0.1, 0.1], n=250, d=60, distance=1.5)
    part = np.flatnonzero((codes == 0) | (np.arange(500) % 4 == 0))
    (spectra,) = il.spectral.compare({"spectra": X}, y).rows
    (counts,) = il.spectral.compare({"counts": other[part]}, codes[part]).rows
    assert spectra.predicted_gap is not None
    assert counts.predicted_gap is not None
    assert min(spectra.predicted_gap, counts.predicted_gap) > 0.03
    assert spectra.spectrum == pytest.approx(spectra.predicted_gap, rel=0.1)
    assert abs(counts.spectrum) < 0.25 * counts.predicted_gap  # type: ignore[arg-type]


def test_the_pooled_covariance_is_a_covariance(rng: np.random.Generator) -> None:
    """In its own axes; with the means left in the old ones predictions differ."""
    mixture = il.spectral.GaussianMixture.power_law(
        [0.0, 0.5, 1.0], d=12, distance=3.0, counts=[30, 40, 50], rotated=True
    )
    pooled = np.tensordot(mixture.counts / 120, mixture.covariances, 1)
    whole = il.spectral.GaussianMixture(mixture.means, np.tile(pooled, (3, 1, 1)), mixture.counts)
    turned = with_pooled_covariance(mixture)
    wrong = il.spectral.GaussianMixture(mixture.means, turned.covariances, mixture.counts)
    errors = [il.spectral.predict(one, il.spectral.Ridge(3.0)).error for one in (whole, turned, wrong)]
    assert errors[1] == pytest.approx(errors[0], abs=1e-3)
    assert predict_pooled(mixture, il.spectral.Ridge(3.0)).error == pytest.approx(errors[1], abs=1e-12)
    assert np.abs(errors[2] - errors[0]).max() > 5e-3


@pytest.mark.parametrize(("counts", "traces"), [([300, 20], [90.0, 9.0]), ([60, 60, 60], [240.0, 20.0, 20.0])])
def test_estimated_means_have_the_noise_of_their_own_samples(
    counts: list[int], traces: list[float], rng: np.random.Generator
) -> None:
    """Averaged over estimates of the means, the gap at the pooled covariance is that of the true means.

    Where the noise is taken to be that of the pooled covariance, it is not.  The gap of 20 estimates has a standard
    error of .006 at most.
    """
    true = il.spectral.GaussianMixture.power_law(
        np.zeros(len(counts)), d=90, distance=len(counts), counts=counts, traces=traces, rotated=True
    )
    learner, found, naive = il.spectral.Ridge(10.0), [], []
    scale = np.sqrt(np.array(traces) / 90 / counts)[:, None]

    def gap(error: Array) -> float:
        return float(error[0] - error[1:].mean())

    for _ in range(20):
        means = true.means + scale * rng.standard_normal(true.means.shape)
        noisy = replace(true, means=means, mean_counts=true.counts)
        found.append(gap(predict_pooled(noisy, learner).error))
        alike = replace(with_pooled_covariance(noisy), mean_counts=true.counts)
        naive.append(gap(il.spectral.predict(alike, learner).error))
    expected = gap(predict_pooled(true, learner).error)
    assert np.mean(found) == pytest.approx(expected, abs=0.03)
    assert abs(np.mean(naive) - expected) > 0.03


@pytest.mark.parametrize(
    ("encoders", "y", "message"),
    [
        ({}, [0, 1], "encoders must be features by names"),
        ([np.ones((4, 2))], [0, 1, 0, 1], "encoders must be features by names"),
        ({1: np.eye(4)}, [0, 1, 0, 1], "names of text, got 1"),
        ({"a": np.eye(4), "b": np.eye(5)}, [0, 1, 0, 1], "one for each of 5 samples, got 4"),
    ],
)
def test_what_cannot_be_compared(encoders: Any, y: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        il.spectral.compare(encoders, y)


def test_encoders_of_other_samples_are_refused(tmp_path: Any) -> None:
    for name, y in (("a", [0, 1, 0, 1]), ("b", [1, 0, 0, 1])):
        np.savez(tmp_path / f"{name}.npz", X=np.random.default_rng(0).standard_normal((4, 2)), y=y)
    with pytest.raises(ValueError, match="same labels in the same order, but 'b' has others"):
        il.spectral.compare({"a": tmp_path / "a.npz", "b": tmp_path / "b.npz"})
