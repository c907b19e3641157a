"""Studies and figures: a table each, a figure each of the same stem, the same bytes from the same table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.__main__ import main as analyse
from analysis.__main__ import names as studies
from figures.__main__ import main as draw
from figures.__main__ import names as figures
from implicitloss.labels import LabelPrior


def test_every_study_has_its_figure() -> None:
    assert studies() == figures()


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    for name in studies():
        # Times and installed packages are for people to measure; here the tables only have to come out.
        quick = ["--quick"] if name in ("speed", "libraries") else []
        assert analyse([name, "--out", str(folder), *quick]) == 0
    return folder


def test_figures_are_drawn_and_reproducible_to_the_byte(results: Path) -> None:
    assert draw(["--tables", str(results)]) == 0
    files = sorted(path for path in results.iterdir() if path.suffix in (".png", ".svg", ".pdf"))
    assert len(files) == 3 * len(figures())
    first = {path.name: path.read_bytes() for path in files}
    assert draw(["--tables", str(results)]) == 0
    assert {path.name: path.read_bytes() for path in files} == first
    for name in figures():
        assert "Alt text:" in (results / f"{name}.txt").read_text()
    assert not list(results.glob(".*"))


def test_the_theorem3_table_says_what_its_caption_says(results: Path) -> None:
    table = pd.read_csv(results / "theorem3.csv")
    large = table[table["m"] >= 1024]
    assert (abs(large["exact"] / large["leading"] - 1) < 0.01).all()
    assert (abs(large["exact"] / large["two_terms"] - 1) < 1e-4).all()
    small = table[table["m"] == 1]
    assert (abs(small["exact"] / small["leading"] - 1) > 0.1).all()


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


def test_bad_input_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert analyse(["nothing"]) == 2
    assert "there is no study 'nothing'" in capsys.readouterr().err
    assert draw(["tilt", "--tables", str(tmp_path)]) == 2
    assert "python -m analysis tilt" in capsys.readouterr().err
    assert draw(["nothing"]) == 2


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
        assert "tilt.csv is not a table of the study tilt" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["tilt.csv"]
    (tmp_path / "tilt.csv").write_text("label,count\na,5\nb,5\nc,5\n")
    assert analyse(["tilt", "--counts", str(tmp_path / "tilt.csv"), "--out", str(tmp_path / "other")]) == 2
    assert "the same count" in capsys.readouterr().err
    (tmp_path / "tilt.csv").write_text("label,count\na,9\nb,5\nc,5\n")
    assert analyse(["tilt", "--counts", str(tmp_path / "tilt.csv"), "--out", str(tmp_path)]) == 2
    assert "would overwrite the counts" in capsys.readouterr().err


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
