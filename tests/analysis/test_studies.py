"""Studies and figures: a table each, a figure each of the same stem, the same bytes from the same table."""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import implicitloss as il
from analysis.__main__ import main as analyse
from analysis.study import names as studies
from figures.__main__ import main as draw
from figures.__main__ import names as figures
from implicitloss.labels import LabelPrior

S, W = il.samplers, il.weightings


def test_every_study_has_its_figure() -> None:
    assert studies() == figures()


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    for name in studies():
        assert analyse([name, "--out", str(folder), "--quick"]) == 0
    return folder


def test_captions_begin_with_what_to_see(results: Path) -> None:
    """In at most twenty words; numbers follow."""
    for name in figures():
        said = importlib.import_module(f"figures.{name}").caption(pd.read_csv(results / f"{name}.csv"))
        first = said.split(".  ")[0].split()
        assert 5 <= len(first) <= 20, (name, first)


def test_figures_are_drawn_and_reproducible_to_the_byte(
    results: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One is drawn twice, in all formats, which are the same for every figure; none draws random numbers of no seed."""
    name = str(rng.choice(figures()))
    first: dict[str, bytes] = {}
    for _ in range(2):
        assert draw([name, "--tables", str(results)]) == 0
        files = [path for path in results.iterdir() if path.suffix in (".png", ".svg", ".pdf")]
        assert len(files) == 3
        first = first or {path.name: path.read_bytes() for path in files}
        assert {path.name: path.read_bytes() for path in files} == first
    monkeypatch.setattr("figures.__main__.FORMATS", ("svg",))
    refuse_random_numbers(monkeypatch)
    before = np.random.get_state()[1].copy()  # type: ignore[index, union-attr] # noqa: NPY002
    assert draw(["--tables", str(results)]) == 0
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # type: ignore[index] # noqa: NPY002
    assert (results / f"{name}.svg").read_bytes() == first[f"{name}.svg"]
    for name in figures():
        assert (results / f"{name}.svg").stat().st_size > 10_000
        text = (results / f"{name}.txt").read_text()
        assert "Alt text:" in text
        assert not {"{", "}"} & set(text)
        assert not re.search(r"\bnan\b", text)
    assert not list(results.glob(".*"))


def refuse_random_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make generators without a seed fail, as of bootstrapped intervals, jitter and placed labels."""
    honest = np.random.default_rng

    def seeded(seed: Any = None) -> np.random.Generator:
        assert seed is not None, "a figure draws random numbers without a seed"
        return honest(seed)

    monkeypatch.setattr(np.random, "default_rng", seeded)


def test_a_bootstrapped_interval_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    import seaborn as sns

    refuse_random_numbers(monkeypatch)
    with pytest.raises(AssertionError, match="without a seed"):
        sns.lineplot(x=[1, 1, 2, 2], y=[1.0, 2.0, 3.0, 5.0], errorbar="ci")
    plt.close()


def test_the_convergence_table_says_what_its_caption_says(results: Path) -> None:
    table = pd.read_csv(results / "convergence.csv")
    inside, outside = table[table["inside"]], table[~table["inside"]]
    assert set(outside["weighting"]) == {"relative"}
    far = inside[inside["m"] >= 300 * inside["v"]]
    assert len(far) > 10
    assert (abs(far["mse"] / far["mse_first"] - 1) < 0.02).all()
    assert (abs(far["mse"] / far["mse_two"] - 1) < 1e-3).all()
    small = inside[inside["m"] == 1]
    assert (abs(small["mse"] / small["mse_first"] - 1) > 0.1).all()
    # Outside, the terms of m = 1 are no longer those of many draws.
    assert (outside[outside["m"] == 4096]["mse"] > 1.5 * outside[outside["m"] == 4096]["mse_first"]).all()
    assert (abs(far["bias"] / far["bias_two"] - 1) < 1e-3).all()
    fitted = inside.drop_duplicates(["sampler", "weighting"]).dropna()
    assert len(fitted) == 6
    assert (abs(fitted["order"] + 1) < 6 * fitted["order_error"]).all()
    for of in ("mse", "bias"):
        apart = abs(table[f"{of}_simulated"] - table[of]) / table[f"{of}_standard_error"]
        assert (apart < 6).mean() > 0.97  # the few are long tails at few runs


def test_a_fitted_order_has_its_error(seed: int) -> None:
    """Of 400 fits to points of order -1 with known errors, in units of its error: spread 1 within a fifth."""
    from analysis.convergence import order

    rng, m = np.random.default_rng(seed), np.array([64.0, 256.0, 1024.0, 4096.0])
    off = []
    for _ in range(400):
        slope, error = order(m, (1 + 0.01 * rng.standard_normal(4)) / m, 0.01 / m)
        off.append((slope + 1) / error)
    assert 0.8 < np.std(off) < 1.2


def test_points_too_few_for_a_fit_have_none(seed: int) -> None:
    """On Zipf's thousand labels a scheme's v can be hundreds: no m of the ladder is large, and no order is told."""
    from analysis import convergence

    point = {"prior": "zipf", "scorer": "knows the prior", "sampler": "uniform", "weighting": "tail", "runs": 50}
    rows = convergence.rows(LabelPrior.zipf(5, 1.0), point)
    assert np.isnan(rows[0]["order"])
    assert rows[0]["v"] > 100


def test_the_margins_table_puts_schemes_where_table_2_has_them(results: Path) -> None:
    table = pd.read_csv(results / "margins.csv")
    places = table[table["kind"] == "scheme"].set_index(["name", "hits"])
    expected = {
        "uniform, constant": (0, 0),
        "uniform, tail": (-1, 1),
        "within-batch, constant": (0, 1),
        "within-batch, importance": (0, 0),
        "within-batch, relative": (1, 0),
        "within-batch, tail": (-1, 1),
    }
    for name, (b, c) in expected.items():
        row = places.loc[(name, "mask")]
        assert (row["b"], row["c"]) == pytest.approx((b, c), abs=1e-9)
        assert row["misfit"] < 1e-9
    assert places.loc[("within-batch, relative", "keep"), "misfit"] > 0.1
    full = table[table["kind"] == "full loss"].set_index("name")
    assert full.loc["logit-adjusted", "tilt"] == pytest.approx(-1, abs=1e-9)
    assert full.loc["softmax", "tilt"] == pytest.approx(0, abs=1e-9)


def test_the_gap_is_bound_less_exact(results: Path) -> None:
    table = pd.read_csv(results / "jensen_gap.csv")
    np.testing.assert_allclose(table["bound"] - table["exact"], table["gap"], atol=1e-11)
    assert (table["gap"] >= 0).all()


def test_variance_is_priced_by_chi_square(results: Path) -> None:
    table = pd.read_csv(results / "variance.csv")
    decoupled = table[(table["loss"] == "decoupled logistic") & (table["chi2"] > 1e-6)]
    np.testing.assert_allclose(decoupled["variance"], decoupled["by_chi2"], rtol=1e-9)
    best = table[(table["level"] == 0) & table["family"].notna()]
    assert (best["variance"] < 1e-25).all()
    near = table[(table["loss"] == "softmax") & (table["chi2"] > 1e-6) & (table["chi2"] < 0.1)]
    np.testing.assert_allclose(near["variance"], near["by_chi2"], rtol=0.05)


def test_only_importance_weights_lose_their_gradient_bias(results: Path) -> None:
    table = pd.read_csv(results / "gradient_bias.csv")
    size = table.assign(error=table["error"].abs()).groupby(["sampler", "weighting", "m"])["error"].sum()
    for sampler in ("uniform", "within-batch"):
        assert size[sampler, "importance", 64] < 0.25 * size[sampler, "importance", 1]
        for weighting in ("tail", "constant"):
            if (sampler, weighting) != ("uniform", "constant"):
                assert size[sampler, weighting, 64] > 0.6 * size[sampler, weighting, 1]
    # Constant weights within batch: frequent labels are pushed down more than by softmax, rare ones less.
    error = table.query("sampler == 'within-batch' and weighting == 'constant' and m == 64").set_index("rank")["error"]
    assert error[error.index <= 20].sum() > 0.1
    assert error[error.index > 80].sum() < -0.05
    # Softmax pushes as much up as down, and so does every scheme.
    assert abs(table.groupby(["sampler", "weighting", "m"])["expected"].sum()).max() < 1e-9


def test_optima_lie_where_the_theory_has_them(results: Path) -> None:
    table = pd.read_csv(results / "optima.csv").set_index(["name", "hits", "m", "of"]).sort_index()
    assert (table.loc[("within-batch, relative", "keep", slice(None), "sampled"), "from_softmax"] < 1e-6).all()
    assert (table.loc[("within-batch, relative", "keep", slice(None), "implicit"), "from_softmax"] > 0.02).all()
    assert table.loc[("logit-adjusted", "none", 0, "implicit"), "from_balanced"] < 1e-6
    assert table.loc[("softmax", "none", 0, "implicit"), "from_softmax"] < 1e-6
    assert (table.loc[("within-batch, constant", "keep", 1, "sampled"), "from_balanced"] < 1e-6).all()
    assert (table["n_x"] == table["n_x"].max()).all()
    softmax, adjusted = (table.loc[(name, "none", 0, "implicit")] for name in ("softmax", "logit-adjusted"))
    # By 200,000 x: head 0.22, tail 0.75; and 0.33 both.
    assert softmax["tail"] > softmax["head"] + 0.3
    assert abs(adjusted["tail"] - adjusted["head"]) < 0.25
    assert adjusted["balanced"] < softmax["balanced"]


def test_tilts_on_real_priors_have_the_signs_of_the_theory(results: Path) -> None:
    table = pd.read_csv(results / "real_priors.csv").set_index(["prior", "sampler", "weighting", "hits"])
    batch = table.xs("within-batch", level="sampler").xs("mask", level="hits")
    assert (batch.xs("constant", level="weighting")["tilt_sampled"] < -0.3).all()
    assert (batch.xs("relative", level="weighting")["tilt_implicit"] > 0.01).all()
    np.testing.assert_allclose(batch.xs("tail", level="weighting")["tilt_implicit"], -1, atol=1e-6)
    kept = table.xs("importance", level="weighting").xs("keep", level="hits")
    np.testing.assert_allclose(kept[["log_p_head_tail", "log_p_tail_head"]], np.log(0.5), atol=1e-9)


def test_information_and_tilts_are_those_of_the_library(results: Path) -> None:
    """On the study's own prior, at the x where a few labels are likely."""
    from implicitloss.optima.tilt import eta_at

    prior = LabelPrior.exp(100, 500, 100)
    eta, likely = eta_at("peaked", prior)
    samplers = {"within-batch": S.WithinBatch(), "uniform": S.Uniform()}
    information = pd.read_csv(results / "information.csv").set_index(["sampler", "m", "slice"])
    needed = pd.read_csv(results / "negatives_needed.csv").set_index(["sampler", "m", "weights", "hits"])
    tail = np.intersect1d(prior.slices()["tail"], likely)
    for name, sampler in samplers.items():
        scheme = il.Scheme(sampler, W.Relative(), m=256, hits="keep")
        kept = il.information(scheme, eta, prior).value[tail].mean()
        assert information.loc[(name, 256, "tail"), "kept"] == pytest.approx(kept, rel=1e-9)
        q = np.exp(sampler.log_law(il.Problem(np.zeros(100), prior, 0)))
        assert information.loc[(name, 256, "tail"), "rule"] == pytest.approx(np.mean(10 * eta[tail] / q[tail]))
        masked = il.Scheme(sampler, W.Importance(), m=256, hits="mask")
        tilt = il.tilt(masked, prior, eta="peaked")
        assert needed.loc[(name, 256, "importance", "mask"), "tilt"] == pytest.approx(tilt, abs=1e-4)
    assert (needed.xs("consistent", level="weights").xs("keep", level="hits")["tilt"].abs() < 1e-12).all()
    assert needed.loc[("within-batch", 16, "importance", "mask"), "tilt"] < -0.1


def test_training_leans_where_optima_do(results: Path) -> None:
    """Five thousand examples are few: all scores lean to frequent labels, but balanced targets still show."""
    table = pd.read_csv(results / "recipes.csv").set_index("name")
    assert (table.loc[["consistent, within-batch", "consistent, half uniform"], "predicted"].abs() < 1e-9).all()
    assert table.loc["balanced, within-batch", "predicted"] == pytest.approx(-1.0, abs=1e-9)
    assert table.loc["importance, within-batch", "predicted"] < -0.5
    tilts = table["tilt"]
    for balanced in ("balanced, within-batch", "tail, half uniform"):
        assert tilts[balanced] < tilts["consistent, half uniform"] - 0.5
    assert (table["excess_nll"] > 0).all()
    # Balanced scores have log π added back; without it, or twice, their loss would be far above.
    assert table.loc["balanced, within-batch", "excess_nll"] < table.loc["consistent, within-batch", "excess_nll"] + 0.1


def test_a_file_keeps_its_prior_whatever_its_name(tmp_path: Path) -> None:
    from analysis import real_priors

    path = tmp_path / "CIFAR mine.csv"
    path.write_text("label,count\na,90\nb,9\nc,1\n")
    given = LabelPrior.zipf(5, 1.0)
    found = [row for p in real_priors.points(given, True, [str(path)]) for row in real_priors.rows(given, p)]
    assert {row["labels"] for row in found if row["prior"] == "CIFAR mine"} == {3}
    with pytest.raises(ValueError, match="must differ"):
        real_priors.points(given, True, [str(path), str(path)])


def test_affine_rules_reach_the_balanced_bayes_error_by_logit_adjustment_alone(results: Path) -> None:
    from analysis.logit_adjustment import errors

    assert errors(np.ones(2), 0.0) == pytest.approx((0.0786496, 0.0786496), abs=1e-7)
    assert errors(np.zeros(2), 1.0) == (0.0, 1.0)
    table = pd.read_csv(results / "logit_adjustment.csv")
    best = table[table["trial"] < 0].set_index(["name", "hits"])["balanced"]
    assert best["logit-adjusted", "none"] == pytest.approx(table["least"].iloc[0], abs=1e-7)
    assert (best >= table["least"].iloc[0] - 1e-9).all()
    assert best["softmax", "none"] > 0.17
    # Weights of 1 and hits kept are balanced-consistent at any m; constant weights w = 1/m are not.
    assert best["uniform, tail", "mask"] < 0.09 < best["within-batch, relative", "mask"]
    trained = table[table["trial"] >= 0].groupby(["name", "hits"])["balanced"].mean()
    np.testing.assert_allclose(trained, best.loc[trained.index], atol=0.02)


def test_the_slope_of_two_labels_is_that_of_the_library() -> None:
    from analysis.logit_adjustment import expected_slope

    prior, loss = LabelPrior.from_probabilities([0.05, 0.95]), il.losses.SoftmaxCrossEntropy()
    for sampler, weighting, m, hits in (
        (S.WithinBatch(), W.Relative(), 4, "keep"),
        (S.Uniform(), W.Tail(), 3, "mask"),
        (S.Uniform(), W.ForMargin(il.margins.LogitAdjusted()), 1, "exclude"),
    ):
        scheme = il.Scheme(sampler, weighting, m=m, hits=hits)
        for y in (0, 1):
            s = np.array([-3.0, 0.2, 5.0])
            at = [il.Problem(np.array([one, 0.0]), prior, y) for one in s]
            expected = [il.integrate(scheme, loss, one, "gradient").value[0] for one in at]
            np.testing.assert_allclose(expected_slope(scheme, prior, y, s), expected, rtol=1e-9)


def test_training_shows_what_the_paper_reports(results: Path) -> None:
    """Differences of tens of per cent between schemes, on a single seed each."""
    tail = pd.read_csv(results / "longtail.csv").query("kind == 'trained'").set_index("name")["tail"]
    assert tail["within-batch, constant"] < tail["cross-entropy"] - 0.05
    assert tail["within-batch, relative"] > tail["cross-entropy"]
    assert tail["within-batch, tail"] < tail["within-batch, constant"] - 0.05
    assert tail["logit-adjusted"] < tail["cross-entropy"] - 0.2
    told = pd.read_csv(results / "longtail.csv").query("kind == 'predicted'").set_index("name")
    assert told.loc["cross-entropy", "head"] < 0.15 < told.loc["cross-entropy", "tail"] < 0.4
    assert told.loc["logit-adjusted", "balanced"] < told.loc["cross-entropy", "balanced"]
    recall = pd.read_csv(results / "retrieval.csv").query("loss == 'softmax' and metric == 'recall' and k == 10")
    recall = recall.set_index(["name", "slice"])["value"]
    assert recall["within-batch, constant", "tail"] > recall["all labels", "tail"]
    assert recall["within-batch, constant", "head"] < recall["all labels", "head"]


def test_figures_name_claims_that_exist_and_the_gallery_shows_all(results: Path) -> None:
    from paper_checks.__main__ import all_claims

    ids = {claim.id for claim in all_claims()}
    page = (results / "index.html").read_text(encoding="utf-8")
    for name in figures():
        module = importlib.import_module(f"figures.{name}")
        assert set(module.CLAIMS) <= ids, name
        assert f'src="{name}.svg"' in page
        assert "http" not in page
    document = json.loads((results / "tilt.json").read_text(encoding="utf-8"))
    assert document["provenance"]["command"] == "python -m analysis tilt --quick"
    assert len(document["rows"]) == len(pd.read_csv(results / "tilt.csv"))


def test_the_tilt_table_says_what_its_caption_says(results: Path) -> None:
    table = pd.read_csv(results / "tilt.csv").set_index(["weighting", "hits", "m"]).sort_index()
    kept = table.loc[("relative", "keep")]
    assert (abs(kept["sampled"]) < 1e-6).all()
    assert (kept["implicit"] > 0).all()
    masked = table.loc[("relative", "mask")]
    assert (abs(masked["sampled"]) < 0.1 * masked["implicit"]).all()
    assert (table.loc[("constant", "mask")]["sampled"] < 0).all()
    assert table.loc[("importance", "mask", 1), "sampled"] < -1
    assert abs(table.loc[("importance", "mask", 256), "sampled"]) < 0.05


def test_predictions_from_spectra_are_near_training(results: Path) -> None:
    """In 60 dimensions, a few training sets each; one covariance for both classes is far off."""
    table = pd.read_csv(results / "spectral_asymptotics.csv").query("d == 60")
    assert len(table) == 8
    assert (abs(table["predicted"] - table["measured"]) < 5 * table["measured_error"] + 0.01).all()
    own, alike = (table[f"off{end}"].abs().max() for end in ("", "_pooled"))
    assert own < 0.15 < 0.5 < alike


def test_the_parts_of_a_gap_add_up_and_cancel(results: Path) -> None:
    table = pd.read_csv(results / "spectral_axes.csv")
    parts = ["train", "overfit", "label", "scale"]
    np.testing.assert_allclose(table[parts].sum(axis=1), table["gap"], atol=1e-12)
    cases = table[table["kind"] == "case"].set_index("name")
    np.testing.assert_allclose(cases[[f"{part}_simulated" for part in parts]].sum(axis=1), cases["gap_simulated"])
    assert cases.loc["counts alone", "gap"] > 0.3 > -0.2 > cases.loc["spectra alone", "gap"]
    assert abs(cases.loc["counts alone", "scale"]) < 1e-9
    assert abs(cases.loc["counts and spectra", "gap"]) < cases.loc["counts alone", "gap"]
    adjusted = cases.loc["both, logit-adjusted"]
    assert adjusted["delta"] == pytest.approx(-np.log(62 / 38))  # a hundred samples, 5 : 3
    assert adjusted["label"] < -0.4
    # With the two classes exchanged everything changes its sign.
    cells = table[table["kind"] == "map"].assign(gap=lambda t: t["error_1"] - t["error_2"])
    cells = cells.set_index([cells["ratio"].round(6), "difference"])["gap"]
    for (ratio, difference), gap in cells.items():
        assert cells[round(1 / ratio, 6), -difference] == pytest.approx(-gap, abs=1e-8)


def test_offsets_make_errors_equal_or_their_mean_least(results: Path) -> None:
    table = pd.read_csv(results / "spectral_offsets.csv")
    for name, rows in table[table["kind"] == "pair"].groupby("name", sort=False):
        first = rows.iloc[0]
        at = [np.interp(first["equal"], rows["delta"], rows[f"error_{k}"]) for k in (1, 2)]
        assert at[0] == pytest.approx(at[1], abs=0.02), name
        mean = (rows["error_1"] + rows["error_2"]) / 2
        assert rows.loc[mean.idxmin(), "delta"] == pytest.approx(first["least"], abs=0.26), name
        trained = rows.dropna(subset=["trained_1"])
        assert len(trained) == 3
        for k in (1, 2):
            off = abs(trained[f"error_{k}"] - trained[f"trained_{k}"])
            assert (off < 5 * trained[f"trained_error_{k}"] + 0.01).all(), name
    adjusted = table.drop_duplicates("name").set_index("name")["adjusted"]
    assert adjusted["equal counts"] == 0
    assert adjusted["counts 1 : 3"] == pytest.approx(np.log(3)) == -adjusted["counts 3 : 1"]
    half = table[table["kind"] == "features"].set_index("n").loc[60]
    assert half["gap_equal"] < half["gap"]
    assert half["mean_least"] < half["mean"] < half["mean_equal"]


def test_errors_of_classes_follow_their_spectra(results: Path) -> None:
    """Made-up features of two splits: says so in its rows, and ranks the classes where one covariance does not."""
    table = pd.read_csv(results / "spectral_encoders.csv")
    assert set(table["set"]) == {"synthetic"}
    assert table["predicted"].corr(table["measured"]) > 0.9 > 0.5 > table["pooled"].corr(table["measured"])
    changes = pd.read_csv(results / "spectral_augment.csv")
    assert len(changes) == 2 * 3 * 5
    strong = changes[changes["level"] == changes.groupby("augmentation")["level"].transform("max")]
    assert strong["predicted"].corr(strong["measured"]) > 0.7


def test_the_table_of_draws_without_repetition_says_what_its_caption_says(results: Path) -> None:
    table = pd.read_csv(results / "without_repetition.csv")
    schemes = table[table["rank"].isna()].set_index(["draws", "weights", "m"])
    margins = ["p_head", "p_torso", "p_tail"]
    right, usual = (schemes.xs(weights, level="weights") for weights in ("right", "usual"))
    assert np.allclose(right[margins], 1.0, rtol=1e-9)
    assert (right["tilt"].dropna() < 0).all()  # rare labels gain a little, as by few importance-weighted draws
    distinct, independent = right.loc["distinct"], right.loc["iid"]
    for of in ("bias", "sd"):
        assert (distinct[of].abs() < independent[of].abs()).all()
        assert (right.loc["set"][of].abs() / independent[of].abs() - 1).abs().max() < 0.1
    wrong = usual.loc["distinct"]
    assert (wrong["p_head"] < wrong["p_tail"]).all()
    assert wrong["tilt"].iloc[-1] > 0.4 > 0.03 > abs(distinct["tilt"].iloc[-1])
    assert wrong["bias"].iloc[-1] > 0.3 > 50 * distinct["bias"].abs().iloc[-1]  # more draws do not help
    ranks = table[table["rank"].notna()]
    assert ranks["usual"].is_monotonic_decreasing
    assert ranks["usual"].iloc[0] > 1.5 > 1 > ranks["usual"].iloc[-1]
    assert (ranks["tf"] - 1).abs().max() < 0.03


def test_the_table_of_the_frontier_says_what_its_caption_says(results: Path) -> None:
    table = pd.read_csv(results / "frontier.csv")
    paid = table[table["of"] == "multiply-adds"]
    # What is paid for is what a price says, but for a draw.
    assert ((paid["share"] - paid["budget"]) * 1_500).max() < 2
    means = (
        table[table["of"] != "information"].groupby(["sampler", "of", "budget"])[["square", "bias", "variance"]].mean()
    )
    assert (means["bias"] < 0).all()
    assert (means["square"] >= means["variance"]).all()
    best = means.loc["all scores", "draws", 64]
    assert best["square"] < means.loc["two-level", "draws", 64]["square"]
    at_most = means.xs("multiply-adds", level="of")["square"]
    for name in ("uniform", "two-level"):
        assert at_most[name].is_monotonic_decreasing
    kept = table[table["of"] == "information"].groupby(["sampler", "m"])[["head", "torso", "tail"]].mean()
    for name in ("uniform", "prior", "half uniform", "two-level"):
        assert (kept.loc[name].diff().dropna() > 0).all().all()
        assert kept.loc[name].lt(kept.loc["two-level"] + 0.1).all().all()


def test_training_with_clusters_has_the_gradient_of_softmax(rng: np.random.Generator) -> None:
    """All other labels with weights of 1 give the full gradient; draws from clusters count each label once in the mean.

    Each mean of 20,000 weights is within seven standard errors of 1, which a right one fails once in 10¹⁰ labels.
    """
    from analysis import clustered_training as study

    size = study.Size(40, 4, 5, 6, 1, 3, 10)
    model = study.Model(size, rng)
    model.w *= 100
    x, y = rng.standard_normal((3, 4), dtype=np.float32), np.array([0, 7, 39])
    everything = [np.arange(40)] * 3, [np.zeros(40)] * 3
    for mine, full in zip(
        study.sampled_gradients(model, x, y, *everything), study.full_gradients(model, x, y), strict=True
    ):
        np.testing.assert_allclose(mine, full, rtol=1e-4, atol=1e-6)
    index = il.index.Clusters.fit(model.w, model.b, k=6)
    for labels, log_w in (study.uniform(size, 20_000, 1, rng), study.from_clusters(index, x[:1], 20_000, rng)):
        weights = np.exp(log_w[0])
        counts = np.bincount(labels[0], weights, minlength=40)
        error = np.sqrt(np.bincount(labels[0], weights**2, minlength=40))
        assert np.all(np.abs(counts - 1) <= np.where(counts == 1, 0, 7 * error))
        assert np.all(error < 1 + 1e-12)


def test_labels_that_a_graph_index_returns_are_mined(monkeypatch: pytest.MonkeyPatch) -> None:
    """The search finds the best labels, and its products are paid for."""
    pytest.importorskip("faiss")
    from analysis import frontier as study
    from analysis.inputs.graph import best_by_graph

    found = study.embeddings(study.MADE_UP, True, 2)
    mined = best_by_graph(found, 0, 20)
    # By inner products a graph misses many of the best labels, and finds what is far above the others.
    best = np.argsort(-found.problem(0).scores)
    assert np.isin(mined.labels, best[:100]).mean() > 0.8
    assert np.isin(best[:3], mined.labels).all()
    assert 20 < mined.products < found.prior.n_labels
    monkeypatch.setattr(study, "BUDGETS", (0.5,))
    point = study.points(LabelPrior.zipf(3, 1.0), True)[0]
    rows = {row["sampler"]: row for row in study.rows(LabelPrior.zipf(3, 1.0), point) if row["of"] == "multiply-adds"}
    assert 0.49 < rows["mined + two-level"]["share"] <= 0.5
    assert rows["mined + two-level"]["m"] < rows["two-level"]["m"] - 100
    assert rows["mined + two-level"]["square"] < rows["two-level"]["square"]


def test_clusters_are_kept_as_a_budget_pays_for_in_the_mean() -> None:
    """Recent queries keep as many labels as they may, in the mean; what is left for no draw is no scheme."""
    from analysis import frontier as study
    from analysis.inputs.embeddings import fewer
    from analysis.inputs.kept import threshold
    from analysis.inputs.seconds import Seconds

    found, name, m = study.embeddings(study.MADE_UP, True, 10), "kept + fewer clusters", 8
    index = fewer(found)
    for labels in (300, 600):
        above = threshold(found, m, labels)
        kept = [index.keep_and_draw(h, m, 1500, above, rng=0)[0].size - m for h in found.recent]
        assert np.mean(kept) == pytest.approx(labels, abs=2)
    sampler, problem = study.WAYS[name].sampler(found, 0), found.problem(0)
    seconds = Seconds(1.0, 1e-3, 1e-4, {name: 0.1}, {name: 1e-4}, {name: 1e-3})
    scheme = study._scheme(found, sampler, name, problem, "seconds", 0.2, seconds)
    assert scheme.m == int((1 - study.KEPT_IN_SECONDS) * (0.2 - 0.1) / 1e-3)
    n = scheme.hard.labels(problem).size
    above = threshold(found, scheme.m, study.KEPT_IN_SECONDS * (0.2 - 0.1) / 1e-4)
    assert n in (
        size := index.keep_and_draw(found.queries[0], scheme.m, 1500, above, rng=0)[0].size - scheme.m,
        size - 1,
    )
    assert study._scheme(found, sampler, name, problem, "seconds", 0.1, seconds) is None


def test_the_frontier_takes_vectors_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    arrays = {"vectors": rng.normal(size=(200, 4)), "queries": rng.normal(size=(9, 4))}
    command = ["frontier", "--quick", "--out", str(tmp_path / "out"), "--data", str(tmp_path / "one.npz")]
    np.savez(tmp_path / "one.npz", **arrays)
    assert analyse(command) == 0, capsys.readouterr().err
    assert set(pd.read_csv(tmp_path / "out" / "frontier.csv")["labels"]) == {200}
    wrong = {
        "one dimension, got (200, 4) and (9, 3)": {"queries": arrays["queries"][:, :3]},
        "needs more than 2 queries, got 2": {"queries": arrays["queries"][:2]},
        "biases must be as many as vectors, 200, got 3": {"biases": np.zeros(3)},
        "queries must": {"queries": np.full((9, 4), np.nan)},
    }
    for number, (said, changed) in enumerate(wrong.items()):
        np.savez(tmp_path / f"{number}.npz", **(arrays | changed))
        assert analyse([*command[:-1], str(tmp_path / f"{number}.npz")]) == 2
        assert said in capsys.readouterr().err


def test_bad_input_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert analyse(["nothing"]) == 2
    assert "unknown study 'nothing'" in capsys.readouterr().err
    assert draw(["tilt", "--tables", str(tmp_path)]) == 2
    assert "python -m analysis tilt" in capsys.readouterr().err
    assert draw(["nothing"]) == 2


@pytest.mark.slow
def test_every_study_of_a_prior_takes_small_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tables and figures of three labels, one of which is nearly all there is."""
    monkeypatch.setattr("figures.__main__.FORMATS", ("svg",))
    monkeypatch.setattr("analysis.optima.FEW", 3)
    file = tmp_path / "counts.csv"
    file.write_text("label,count\n" + "0,1000000\n1,2\n2,1\n")
    names = ["margins", "convergence", "jensen_gap", "variance", "gradient_bias", "optima", "tilt", "real_priors"]
    names += ["information", "negatives_needed"]
    command = ["--quick", "--counts", str(file), "--out", str(tmp_path / "out")]
    for name in names:
        assert analyse([name, *command]) == 0, capsys.readouterr().err
    assert draw(["--tables", str(tmp_path / "out")]) == 0, capsys.readouterr().err
    for name in names:
        assert not re.search(r"\bnan\b", (tmp_path / "out" / f"{name}.txt").read_text())


def test_studies_with_labels_of_their_own_take_no_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "counts.csv"
    file.write_text("label,count\na,5\nb,2\nc,1\n")
    for name in ("longtail", "retrieval", "logit_adjustment", "spectral_axes", "recipes", "without_repetition"):
        assert analyse([name, "--counts", str(file), "--out", str(tmp_path / "out")]) == 2
        assert "has labels of its own; leave --counts out" in capsys.readouterr().err
    file.write_text("label,count\na,5\nb,2\n")
    assert analyse(["tilt", "--counts", str(file), "--out", str(tmp_path / "out")]) == 2
    assert "at least 3 labels of different frequency, got 2 labels in" in capsys.readouterr().err


def test_studies_run_on_a_prior_of_ones_own() -> None:
    from analysis.tilt import points, rows

    prior = LabelPrior.zipf(5, 1.0)
    assert len([row for point in points(prior, False) for row in rows(prior, point)]) == 4 * 2 * 9


def test_tables_of_something_else_and_counts_that_say_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for text in ("junk\n1\n", "", "weighting,hits,m,implicit,sampled\n"):
        (tmp_path / "tilt.csv").write_text(text)
        assert draw(["tilt", "--tables", str(tmp_path)]) == 2
        assert "is it a table of the study tilt" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["tilt.csv"]
    (tmp_path / "tilt.csv").write_text("label,count\na,5\nb,5\nc,5\n")
    assert analyse(["tilt", "--counts", str(tmp_path / "tilt.csv"), "--out", str(tmp_path / "other")]) == 2
    assert "the same count" in capsys.readouterr().err
    (tmp_path / "tilt.csv").write_text("label,count\na,9\nb,5\nc,5\n")
    assert analyse(["tilt", "--counts", str(tmp_path / "tilt.csv"), "--out", str(tmp_path)]) == 2
    assert "would overwrite" in capsys.readouterr().err


def test_the_speed_table_has_every_ratio_and_names_who_is_missing(
    results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No time is judged; the table, its ratios and its missing peers are."""
    from analysis import speed

    table = pd.read_csv(results / "speed.csv")
    assert (table["measured"] > 0).all()
    rows = table.to_dict("records")
    found = speed.ratios(rows)
    expected = {title for title, _, above, _ in speed.RATIOS if above in set(table["who"])}
    assert {row["ratio"] for row in found} == expected
    assert all(row["least"] <= row["median"] <= row["most"] for row in found)
    without = [row for row in rows if row["who"] != speed.PEERS["scipy"]]
    assert "SciPy DiscreteAliasUrn is not installed and left out" in speed.summary(without)
    monkeypatch.setattr(speed.importlib.util, "find_spec", lambda name: None)
    prior = LabelPrior.zipf(100, 1.0)
    problem = speed.Problem(np.zeros(100), prior, 3)
    assert [who for who, _, _ in speed._monte_carlo(problem, True)] == [
        "implicitloss",
        "random doubles",
        "NumPy choice",
    ]
    assert analyse(["speed", "--quick", "--backend", "threading", "--out", str(results)]) == 2
    assert "measures times and runs alone" in capsys.readouterr().err


def test_summaries_are_tables_of_what_was_measured(results: Path) -> None:
    from analysis import logit_adjustment, longtail, retrieval

    for study in (logit_adjustment, longtail, retrieval):
        table = pd.read_csv(results / f"{study.__name__.split('.')[-1]}.csv")
        lines = study.summary(table.to_dict("records")).splitlines()
        assert len({line.count("|") for line in lines}) == 1
        assert len(lines) - 2 == len(
            table.drop_duplicates([c for c in ("profile", "loss", "name", "hits") if c in table])
        )
    errors = longtail.summary(pd.read_csv(results / "longtail.csv").to_dict("records"))
    tail = pd.read_csv(results / "longtail.csv").query("name == 'cross-entropy' and kind == 'trained'")["tail"].iloc[0]
    assert f"{100 * tail:.1f}" in errors


def _drawn(figure: Any) -> set[float]:
    """Where a figure's markers lie across, to six digits."""
    lines = [line for ax in figure.axes for line in ax.lines if line.get_marker() not in ("None", None, "")]
    across = np.concatenate([np.asarray(line.get_xdata(), float) for line in lines])
    return set(across[np.isfinite(across)].round(6) + 0.0)


def test_pictures_show_the_numbers_of_their_tables(results: Path) -> None:
    """Means over seeds and trials, and single numbers: each has its marker, and no marker is anything else."""
    from figures import logit_adjustment, longtail, real_priors, retrieval

    modules = (logit_adjustment, longtail, real_priors, retrieval)
    tables = {module: pd.read_csv(results / f"{module.__name__.split('.')[-1]}.csv") for module in modules}
    parts = ["head", "torso", "tail", "balanced"]
    shown = {
        longtail: tables[longtail].groupby(["profile", "name", "kind"])[parts].mean().to_numpy(),
        logit_adjustment: tables[logit_adjustment]
        .assign(best=lambda table: table["trial"] < 0)
        .groupby(["name", "hits", "best"])["balanced"]
        .mean()
        .to_numpy(),
        retrieval: tables[retrieval]
        .query("metric == 'recall'")
        .groupby(["loss", "name", "slice", "k"])["value"]
        .mean()
        .to_numpy(),
        real_priors: tables[real_priors][["tilt_implicit", "tilt_sampled"]].to_numpy(),
    }
    for module, numbers in shown.items():
        expected = set(numbers[np.isfinite(numbers)].ravel().round(6) + 0.0)
        assert _drawn(module.draw(tables[module])) == expected, module.__name__


def test_mined_negatives_tie_labels(results: Path) -> None:
    table = pd.read_csv(results / "hard_plateau.csv")
    settled = table[table["settled"]]
    assert len(settled) > 50
    np.testing.assert_allclose(settled["descended"], settled["f"], atol=0.01)
    np.testing.assert_allclose(settled["visited"], settled["inclusion"], atol=0.01)
    tied = table[table["tied"]].groupby("mixture")["f"]
    assert set(tied.groups) == {"5 + 95", "20 + 80", "50 + 50", "100 + 0"}
    assert (tied.max() - tied.min() < 1e-9).all()
    alone = table[table["mixture"] == "0 + 100"]
    np.testing.assert_allclose(alone["f"] - alone["logit"], np.log(10), atol=1e-12)


def test_uniform_negatives_cap_what_a_stale_index_costs(results: Path) -> None:
    table = pd.read_csv(results / "stale_index.csv").set_index(["mixture", "refresh"])
    seen = table.dropna(subset=["excess_descended"])
    assert len(seen) == 6
    np.testing.assert_allclose(seen["excess_descended"], seen["excess"], rtol=0.02)
    np.testing.assert_allclose(table["excess_renewal"], table["excess"], rtol=0.3)
    assert (table["swing"] <= table["cap"] * (1 + 1e-9)).all()
    assert table.loc[("50 + 50", 10_000), "swing"] == pytest.approx(table.loc[("50 + 50", 10_000), "cap"], rel=0.01)
    assert table.loc[("50 + 0", 10_000), "excess"] > 30 * table.loc[("50 + 50", 10_000), "excess"]


def test_the_recall_of_an_index_says_how_many_to_mine(results: Path) -> None:
    table = pd.read_csv(results / "hard_variance.csv").query("scores == 'trained'")
    best = {recall: rows.set_index("k")["deviation"].idxmin() for recall, rows in table.groupby("recall")}
    assert best[1.0] >= 50 > 10 >= best[0.5]
    exact = table[table["recall"] == 1.0].set_index("k")["deviation"]
    assert exact[50] < exact[0] / 4


def test_the_norm_of_the_first_step_is_predicted(results: Path) -> None:
    table = pd.read_csv(results / "hard_start.csv").set_index("k")
    assert (abs(table["squared"] - table["predicted"]) < 6 * table["squared_error"] + 0.02 * table["predicted"]).all()
    assert (abs(table["along"] - table["predicted_along"]) < 0.1).all()
    assert table.loc[1000, "squared"] > 20 * 1000


def test_hard_negatives_alone_need_a_fresh_index(results: Path) -> None:
    """Differences of tens of per cent, on a single seed each."""
    table = pd.read_csv(results / "hard_training.csv")
    last = table[table["step"] == table["step"].max()].set_index(["mixture", "refresh"])["precision_1"]
    assert last["100 + 0", 30] < 0.5 * last["100 + 0", 1]
    assert last["5 + 95", 30] > 0.9 * last["5 + 95", 1]
    assert last["50 + 50 unbiased", 30] > 0.8 * last["50 + 50 unbiased", 1]


def test_unbiased_weights_are_those_of_all_labels(rng: np.random.Generator) -> None:
    """In the mean each label that is no positive counts once, in T or outside; of weights of 1 those in T do."""
    from analysis.hard_training import counts

    positives = np.zeros((4000, 6))
    positives[:, 0] = 1
    mined = np.tile([0, 3], (4000, 1))
    unbiased, plain = (counts(positives, mined, 3, flag, rng) for flag in (True, False))
    error = unbiased.std(axis=0) / np.sqrt(4000)
    assert np.all(np.abs(unbiased.mean(axis=0) - [0, 1, 1, 1, 1, 1]) <= 6 * error)
    assert np.all(unbiased[:, 3] == 1)
    assert np.all(np.abs(plain.mean(axis=0) - [0, 0.5, 0.5, 1.5, 0.5, 0.5]) <= 6 * plain.std(axis=0) / np.sqrt(4000))
