"""Label priors: constructors against hand-made numbers, files, slices, and everything that must be refused."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from implicitloss import LabelPrior
from implicitloss.labels import checked_probabilities

# --- constructors -----------------------------------------------------------------------------------------------


def test_from_counts_divides_by_the_total() -> None:
    prior = LabelPrior.from_counts([6, 0, 3, 1])
    assert prior.probabilities.tolist() == [0.6, 0.0, 0.3, 0.1]
    assert prior.counts is not None
    assert prior.counts.tolist() == [6, 0, 3, 1]
    assert prior.n_labels == 4
    assert prior.log.tolist() == [math.log(0.6), -math.inf, math.log(0.3), math.log(0.1)]


def test_from_probabilities_keeps_them() -> None:
    prior = LabelPrior.from_probabilities([0.25, 0.75])
    assert prior.probabilities.tolist() == [0.25, 0.75]
    assert prior.counts is None
    assert prior.by_frequency.tolist() == [1, 0]


def test_by_frequency_keeps_the_order_of_ties() -> None:
    assert LabelPrior.from_counts([2, 5, 2, 5, 1]).by_frequency.tolist() == [1, 3, 0, 2, 4]


def test_exp_profile_is_cifar_100_lt() -> None:
    counts = LabelPrior.exp(100, 500, 100).counts
    assert counts is not None
    assert counts.sum() == 10847
    # The published profile, in exact integers: n = floor(500 * 100**(-i/99)), so n**99 * 100**i <= 500**99 < (n+1)**99.
    for i, n in enumerate(counts.astype(int).tolist()):
        assert n**99 * 100**i <= 500**99 < (n + 1) ** 99 * 100**i
    assert counts[[0, -1]].tolist() == [500, 5]


def test_exp_profile_needs_the_guard_against_rounding() -> None:
    """500 * 100**-1.0 is 5 on paper; without the guard a profile may end on 4 (the mutant)."""
    plain = [math.floor(n * rho**-1.0) for n, rho in ((500, 100), (49, 49), (1000, 1000), (3000, 3))]
    guarded = [LabelPrior.exp(2, n, rho).counts[-1] for n, rho in ((500, 100), (49, 49), (1000, 1000), (3000, 3))]
    assert guarded == [5, 1, 1, 1000]
    assert plain != guarded


def test_step_profile() -> None:
    counts = LabelPrior.step(100, 500, 100).counts
    assert counts is not None
    assert counts.sum() == 25250
    assert counts.tolist() == [500] * 50 + [5] * 50
    assert LabelPrior.step(5, 7, 2).counts.tolist() == [7, 7, 3, 3, 3]


def test_profiles_of_one_label_and_of_ratio_one() -> None:
    assert LabelPrior.exp(1, 7, 1).counts.tolist() == [7]
    assert LabelPrior.exp(3, 7, 1).counts.tolist() == [7, 7, 7]
    assert LabelPrior.step(1, 7, 7).counts.tolist() == [1]


def test_zipf() -> None:
    assert LabelPrior.zipf(3, 1).probabilities == pytest.approx(np.array([6, 3, 2]) / 11, rel=1e-15)
    assert LabelPrior.zipf(3, 2).probabilities == pytest.approx(np.array([36, 9, 4]) / 49, rel=1e-15)
    assert LabelPrior.zipf(4, 0).probabilities.tolist() == [0.25] * 4
    assert LabelPrior.zipf(1, 3.5).probabilities.tolist() == [1.0]


def test_probabilities_cannot_be_written_to() -> None:
    prior = LabelPrior.from_counts([1, 2])
    with pytest.raises(ValueError, match="read-only"):
        prior.probabilities[0] = 1
    with pytest.raises(ValueError, match="read-only"):
        prior.counts[0] = 1


def test_repr_and_dict_are_plain() -> None:
    prior = LabelPrior.from_counts([3, 1])
    assert repr(prior) == "LabelPrior(2 labels, π from 0.75 to 0.25, 4 samples)"
    assert prior.to_dict() == {
        "n_labels": 2,
        "n_occurring": 2,
        "probabilities": [0.75, 0.25],
        "counts": [3, 1],
        "names": None,
    }
    assert LabelPrior.zipf(2, 0).to_dict()["counts"] is None


def test_labels_that_never_occur_are_said() -> None:
    prior = LabelPrior.from_counts([3, 0, 1, 0])
    assert repr(prior) == "LabelPrior(4 labels, 2 of them never occur, π from 0.75 to 0, 4 samples)"
    assert (prior.n_occurring, prior.to_dict()["n_occurring"]) == (2, 2)
    assert (
        repr(LabelPrior.from_counts([0, 7])) == "LabelPrior(2 labels, 1 of them never occurs, π from 1 to 0, 7 samples)"
    )
    assert repr(LabelPrior.from_counts([7])) == "LabelPrior(1 label, π from 1 to 1, 7 samples)"


# --- what is refused --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ([1, -3, 2], "label 1 has -3"),
        ([], "none"),
        ([1, math.nan], "label 1 has nan"),
        ([math.inf, 1], "label 0 has inf"),
        ([0, 0, 0], "all 3 are"),
        ([1, 2.5], "label 1 has 2.5"),
        ([[1, 2]], r"shape \(1, 2\)"),
        (["a", "b"], r"\['a', 'b'\]"),
        (7, r"shape \(\)"),
    ],
)
def test_bad_counts(counts: object, message: str) -> None:
    with pytest.raises(ValueError, match=f"^counts must .*{message}"):
        LabelPrior.from_counts(counts)


@pytest.mark.parametrize("counts", [[10**400, 1], [1e308, 1e308]], ids=["too large a number", "too large a sum"])
def test_counts_that_overflow(counts: list[float]) -> None:
    with pytest.raises(ValueError, match="counts"):
        LabelPrior.from_counts(counts)


@pytest.mark.parametrize(
    ("probabilities", "message"),
    [
        ([0.5, 0.4], "sum to 1, got 0.9"),
        ([0.5, 0.5 + 1e-8], "sum to 1, got 1.00000001"),
        ([1.5, -0.5], "label 1 has -0.5"),
        ([0.5, math.nan], "label 1 has nan"),
        ([], "none"),
    ],
)
def test_bad_probabilities(probabilities: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=f"^the prior must .*{message}"):
        LabelPrior.from_probabilities(probabilities)
    with pytest.raises(ValueError, match=f"^q must .*{message}"):
        checked_probabilities(probabilities, "q")


def test_probabilities_may_carry_rounding() -> None:
    assert LabelPrior.from_probabilities([0.5, 0.5 + 1e-10]).n_labels == 2


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: LabelPrior.exp(0, 10, 2), "n_labels .* got 0"),
        (lambda: LabelPrior.exp(5, 0, 1), "largest count .* got 0"),
        (lambda: LabelPrior.exp(5, 10, 0.5), "n_max = 10, got 0.5"),
        (lambda: LabelPrior.exp(5, 10, 11), "n_max = 10, got 11"),
        (lambda: LabelPrior.exp(5, 10, math.nan), "got nan"),
        (lambda: LabelPrior.step(0, 10, 2), "n_labels .* got 0"),
        (lambda: LabelPrior.step(5, 10, 100), "got 100"),
        (lambda: LabelPrior.zipf(0, 1), "n_labels .* got 0"),
        (lambda: LabelPrior.zipf(3, -1), "exponent .* got -1"),
        (lambda: LabelPrior.zipf(3, math.nan), "exponent .* got nan"),
        (lambda: LabelPrior.zipf(2.5, 1), "n_labels .* got 2.5"),
    ],
)
def test_bad_profiles(build: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()


def test_counts_must_cover_the_labels() -> None:
    with pytest.raises(ValueError, match="3"):
        LabelPrior(np.array([0.5, 0.5]), np.array([1.0, 1.0, 1.0]))


def test_counts_must_be_those_of_the_probabilities() -> None:
    with pytest.raises(ValueError, match=r"in proportion .*, but label 0 has 1 of 4 samples and probability 0.5"):
        LabelPrior([0.5, 0.5], [1, 3])
    assert LabelPrior([0.25, 0.75], [1, 3]).counts.tolist() == [1, 3]
    for counts, sentence in (([1.5, 1.5], "whole numbers"), ([-1, 3], "negative"), ([0, 0], "zero"), ("ab", "numbers")):
        with pytest.raises(ValueError, match=f"^counts must .*{sentence}"):
            LabelPrior([0.5, 0.5], counts)


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["cat", "cat"], "names must differ, but labels 0 and 1 are both called 'cat'"),
        (["1", 1], "names must differ, but labels 0 and 1 are both called '1'"),
        ("ab", "names must be a list of text, one a label, got 'ab'"),
        (5, "names must be a list of text, one a label, got 5"),
        ({"a": 1, "b": 2}, "names must be a list of text"),
        (["a"], "2 labels need a name each, got 1"),
        (["a", "b", "c"], "2 labels need a name each, got 3"),
        (["a", None], "names must be text or whole numbers, but label 1 has None"),
        ([1.5, 2.5], "names must be text or whole numbers, but label 0 has 1.5"),
        (["x" * 9999, "x" * 9999], "names must differ"),
    ],
)
def test_bad_names(names: object, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence) as caught:
        LabelPrior.from_counts([1, 2], names)
    assert len(str(caught.value)) <= 300
    with pytest.raises(ValueError, match=sentence):
        LabelPrior([0.5, 0.5], None, names)


def test_labels_by_name_and_names_by_label() -> None:
    named, plain = LabelPrior.from_counts([1, 2], ["cat", 7]), LabelPrior.from_counts([1, 2])
    assert (named.label("7"), named.name(1), plain.label(" 1 "), plain.name(np.int64(1))) == (1, "7", 1, "1")
    for name in ("2", "-1", "1.0", "one", "", "1" * 5000, "\u0663\u0663"):
        with pytest.raises(ValueError, match="the positive must be a label from 0 to 1, got ") as caught:
            plain.label(name)
        assert len(str(caught.value)) <= 300
    for name in ("ca", "x" * 5000):
        with pytest.raises(ValueError, match="none of the 2 labels is called ") as caught:
            named.label(name)
        assert len(str(caught.value)) <= 300
    for prior in (named, plain):
        for label in (2, -1, 1.0, True, None, "1"):
            with pytest.raises(ValueError, match="the label must be "):
                prior.name(label)
        for name in (1, None, b"1", ["1"]):
            with pytest.raises(ValueError, match="a label's name must be text, got"):
                prior.label(name)


# --- files ------------------------------------------------------------------------------------------------------


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"cannot read .*none\.csv: No such file"):
        LabelPrior.from_file(tmp_path / "none.csv")
    with pytest.raises(ValueError, match=r"cannot read .*: Is a directory"):
        LabelPrior.from_file(tmp_path)
    for odd in ("nul\0", "half\udcff\0", "x" * 9999):
        with pytest.raises(ValueError, match="cannot read ") as caught:
            LabelPrior.from_file(odd)
        assert len(str(caught.value)) <= 300
        assert str(caught.value).isprintable()
    binary = tmp_path / "counts.csv"
    binary.write_bytes(b"label,count\n\xff\xfe,1\n")
    with pytest.raises(ValueError, match=r"not a text file in UTF-8 \(byte 12\)"):
        LabelPrior.from_file(binary)


# --- properties -------------------------------------------------------------------------------------------------

counts_lists = st.lists(st.integers(0, 10**9), min_size=1, max_size=40).filter(any)


@given(counts_lists)
def test_counts_survive_a_round_trip(tmp_path_factory: pytest.TempPathFactory, counts: list[int]) -> None:
    prior = LabelPrior.from_counts(counts)
    assert prior.counts.tolist() == counts
    assert math.fsum(prior.probabilities) == pytest.approx(1, abs=1e-12)
    for label, count in enumerate(counts):
        assert prior.probabilities[label] == count / sum(counts)
    assert LabelPrior.from_probabilities(prior.probabilities).probabilities.tolist() == prior.probabilities.tolist()
    file = tmp_path_factory.mktemp("trip") / "counts.csv"
    file.write_text("label,count\n" + "".join(f"label {i},{n}\n" for i, n in enumerate(counts)))
    assert LabelPrior.from_file(file).counts.tolist() == counts


anything = st.one_of(
    st.none(),
    st.text(max_size=5),
    st.floats(),
    st.lists(st.one_of(st.floats(), st.integers(), st.none(), st.text(max_size=3)), max_size=6),
    st.lists(st.lists(st.floats(), max_size=3), max_size=3),
)


@given(anything)
@example([1e308, 1e308])
@example([10**400])
def test_any_counts_give_a_prior_or_a_value_error(values: object) -> None:
    for build in (LabelPrior.from_counts, LabelPrior.from_probabilities):
        try:
            prior = build(values)
        except ValueError as error:
            assert str(error)  # noqa: PT017
        else:
            assert prior.probabilities.min() >= 0
            assert prior.probabilities.sum() == pytest.approx(1, abs=1e-9)


@given(
    st.integers(-2, 40),
    st.integers(-2, 10**6) | st.sampled_from([math.nan, math.inf]),
    st.floats(allow_nan=True, allow_infinity=True),
)
def test_any_profile_gives_a_prior_or_a_value_error(n_labels: int, largest: float, ratio: float) -> None:
    for build in (LabelPrior.exp, LabelPrior.step):
        try:
            prior = build(n_labels, largest, ratio)
        except ValueError:
            continue
        counts = prior.counts
        assert counts[0] == largest or n_labels == 1
        assert np.all(np.diff(counts) <= 0)
        assert counts[-1] == pytest.approx(math.floor(largest / ratio * (1 + 1e-12)), abs=0) or n_labels == 1


# --- slices -----------------------------------------------------------------------------------------------------


def test_slices_by_counts() -> None:
    slices = LabelPrior.from_counts([101, 100, 20, 19, 500, 0]).slices()
    assert {name: labels.tolist() for name, labels in slices.items()} == {
        "head": [0, 4],
        "torso": [1, 2],
        "tail": [3, 5],
    }


def test_slices_by_quantiles_where_counts_do_not_reach_both_sides() -> None:
    slices = LabelPrior.from_counts([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]).slices()
    # Quantiles by linear interpolation: 0.33 * 9 = 2.97 -> 3.97, 0.66 * 9 = 5.94 -> 6.94.
    assert {name: labels.tolist() for name, labels in slices.items()} == {
        "head": [6, 7, 8, 9],
        "torso": [3, 4, 5],
        "tail": [0, 1, 2],
    }


def test_empty_slices_are_left_out() -> None:
    assert {k: v.tolist() for k, v in LabelPrior.zipf(3, 0).slices().items()} == {"torso": [0, 1, 2]}
    assert set(LabelPrior.from_counts([200, 5]).slices()) == {"head", "tail"}


def test_slices_of_cifar_100_lt() -> None:
    sizes = {name: labels.size for name, labels in LabelPrior.exp(100, 500, 100).slices().items()}
    assert sizes == {"head": 35, "torso": 35, "tail": 30}


def test_a_few_labels_from_frequent_to_rare() -> None:
    few = LabelPrior.from_counts([4, 0, 100, 1, 50], ["a", "b", "c", "d", "e"]).few(3)
    assert few.names == ("c", "a", "d")
    np.testing.assert_allclose(few.probabilities, np.array([100, 4, 1]) / 105)
    # More than there are: those that occur.
    assert LabelPrior.from_counts([4, 0, 100]).few(9).probabilities.tolist() == [100 / 104, 4 / 104]
    assert LabelPrior.zipf(1000, 1).few(1).n_labels == 1
    assert LabelPrior.zipf(1000, 1).few(20).probabilities[[0, -1]] @ [1, -1000] == pytest.approx(0)
    with pytest.raises(ValueError, match="whole number >= 1, got 0"):
        LabelPrior.zipf(10, 1).few(0)


@given(counts_lists)
def test_slices_partition_the_labels(counts: list[int]) -> None:
    prior = LabelPrior.from_counts(counts)
    slices = prior.slices()
    assert set(slices) <= {"head", "torso", "tail"}
    assert sorted(np.concatenate(list(slices.values())).tolist()) == list(range(len(counts)))
    levels = [prior.probabilities[slices[name]] for name in ("tail", "torso", "head") if name in slices]
    for lower, higher in pairwise(levels):
        assert lower.max() < higher.min() or np.isclose(lower.max(), higher.min())


@pytest.mark.parametrize("names", [np.array("a"), np.ma.masked, "ab", 7])
def test_names_that_are_no_list(names: Any) -> None:
    with pytest.raises(ValueError, match="names must be a list of text"):
        LabelPrior.from_counts([1, 2], names=names)


@pytest.mark.parametrize("counts", [b"ab", bytearray(b"ab"), memoryview(b"ab"), (2, np.array(True))])
def test_bytes_and_booleans_are_no_counts(counts: Any) -> None:
    with pytest.raises(ValueError, match="counts must be numbers"):
        LabelPrior.from_counts(counts)


def test_a_device_without_an_end_is_no_file() -> None:
    with pytest.raises(ValueError, match="may never end"):
        LabelPrior.from_file("/dev/zero")


def test_a_list_without_an_end_is_refused() -> None:
    from implicitloss.arguments import checked_list

    with pytest.raises(ValueError, match="positives must be at most 100,000,000"):
        checked_list(range(10**12), "positives")


def test_a_series_and_a_dict_bring_their_labels() -> None:
    """`value_counts()` puts the most frequent label first: its index, and not its order, says which label is which."""
    ids = [3, 1, 1, 7, 7, 7, 0, 0, 0, 0, 0]
    for counts in (pd.Series(ids).value_counts(), Counter(ids), {"7": 3, "0": 5, "1": 2, "3": 1}):
        prior = LabelPrior.from_counts(counts)
        assert prior.counts is not None
        assert prior.counts.tolist() == [5, 2, 0, 1, 0, 0, 0, 3]
        assert prior.names is None
    for counts in (pd.Series(["b", "a", "b", "c", "b", "a"]).value_counts(), {"b": 3, "a": 2, "c": 1}):
        prior = LabelPrior.from_counts(counts)
        assert prior.names == ("b", "a", "c")
        assert prior.probabilities.tolist() == [3 / 6, 2 / 6, 1 / 6]
    assert LabelPrior.from_counts(pd.Series([4.0, 2.0])).names is None
    assert LabelPrior.from_counts(pd.Series([4.0, 2.0]), names=["a", "b"]).names == ("a", "b")
    shares = pd.Series(ids).value_counts(normalize=True)
    np.testing.assert_allclose(
        LabelPrior.from_probabilities(shares).probabilities, np.array([5, 2, 0, 1, 0, 0, 0, 3]) / 11
    )
    assert LabelPrior.from_probabilities({"b": 0.75, "a": 0.25}).names == ("b", "a")


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ({"a": 3, 1: 2}, "all text or all whole numbers, got 1 among them"),
        ({1.5: 3, 2: 2}, "all whole numbers, got 1.5"),
        ({-1: 3, 2: 2}, "ids must be whole numbers from 0, got -1"),
        ({10**7: 3, 2: 2}, "id 10000000 cannot be the number of a column"),
        ({"a": 3, "b": 2, "Total": 5}, "'Total' has the sum of the others"),
        ({"a": 3, "b": -2}, "must not be negative"),
        ({"a": "3", "b": 2}, "counts must be"),
        (pd.Series([3, 2], index=["a", "a"]), "both called 'a'"),
        (pd.Series([3, 2], index=[1, 1]), "label 1 was on"),
        (pd.Series([3, 2]).value_counts(bins=2), "got Interval"),
        ({}, "counts"),
    ],
    ids=str,
)
def test_labels_of_counts_that_cannot_be_read(counts: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        LabelPrior.from_counts(counts)


def test_names_are_given_once() -> None:
    with pytest.raises(ValueError, match="names must be given once"):
        LabelPrior.from_counts({"a": 3}, names=["b"])
