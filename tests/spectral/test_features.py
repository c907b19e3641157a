"""Features and labels as users have them: the same samples from every kind of input, or one clear sentence."""

from __future__ import annotations

import gzip
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix, save_npz

import implicitloss as il
from implicitloss.spectral.samples import Samples, samples

X = np.random.default_rng(0).standard_normal((8, 3)).round(6)
Y = np.array(["cat", "dog"] * 4)
FRAME = pd.DataFrame(X, columns=["a", "b", "c"]).assign(label=Y)


def assert_same(found: Samples, classes: tuple[Any, ...] = ("cat", "dog")) -> None:
    assert found.classes == classes
    assert found.X.dtype == np.float64
    assert pytest.approx(X) == found.X
    assert found.codes.tolist() == [0, 1] * 4


@pytest.mark.parametrize(
    ("features", "labels"),
    [
        (X, Y),
        (X.tolist(), Y.tolist()),
        (X.astype(object), tuple(Y)),
        (FRAME[["a", "b", "c"]], FRAME["label"]),
        (X, pd.Categorical(Y)),
        (X, Y[:, None]),
        (FRAME, None),
        (FRAME, "label"),
        (FRAME.rename(columns={"label": "species"}), None),
        (FRAME.assign(path="a.jpg"), None),
    ],
)
def test_arrays_and_frames(features: Any, labels: Any) -> None:
    assert_same(samples(features, labels))


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        ([3, 70] * 4, (3, 70)),
        (np.array([3.0, 70.0] * 4), (3, 70)),
        ([-1.0, 1.0] * 4, (-1, 1)),
        ([False, True] * 4, (False, True)),
        ([1, "1"] * 4, (1, "1")),
        (np.array([3, 70] * 4, dtype=np.uint8), (3, 70)),
    ],
)
def test_labels_of_any_kind(labels: Any, classes: tuple[Any, ...]) -> None:
    assert_same(samples(X, labels), classes)


def test_classes_go_by_label_and_by_name() -> None:
    y = [7, 30] * 4
    report = il.diagnose(X, y)
    assert (report.class_index(30), report.class_index("30"), report.class_index(np.int64(30))) == (1, 1, 1)  # type: ignore[arg-type]
    mixed = il.diagnose(X, [1, "1"] * 4)
    assert mixed.names == ("1", "'1'")
    assert (mixed.class_index(1), mixed.class_index("'1'")) == (0, 1)


def csv(frame: pd.DataFrame, **how: Any) -> bytes:
    return str(frame.to_csv(**how)).encode()


def npz(**arrays: Any) -> Callable[[Path], None]:
    return lambda path: np.savez(path, **arrays)


FILES: dict[str, bytes | Callable[[Path], None]] = {
    "usual.npz": npz(X=X, y=Y),
    "names.npz": npz(embeddings=X, labels=Y, other=np.ones(8), more=np.ones((8, 3))),
    "shapes.npz": npz(first=X, second=Y),
    "unnamed.npz": lambda path: np.savez(path, X, Y),
    "index.csv": csv(FRAME),
    "plain.csv": csv(FRAME, index=False),
    "headless.csv": csv(FRAME, index=False, header=False),
    "numbered.csv": csv(pd.DataFrame(X).assign(label=Y)),
    "species.csv": csv(FRAME.rename(columns={"label": "species"}), index=False),
    "numbered species.csv": csv(pd.DataFrame(X).assign(species=Y), index=False),
    "semicolon.csv": csv(FRAME, index=False, sep=";"),
    "tab.tsv": csv(FRAME, index=False, sep="\t"),
    "quoted.csv": csv(FRAME, index=False, quoting=1),
    "zipped.csv.gz": gzip.compress(csv(FRAME)),
    "marked.csv": b"\xef\xbb\xbf" + csv(FRAME, index=False),
    "windows.csv": csv(FRAME, index=False, lineterminator="\r\n"),
    "paths.csv": csv(FRAME.assign(path="a b.jpg"), index=False),
}


def put(path: Path, what: bytes | Callable[[Path], None]) -> Path:
    path.write_bytes(what) if isinstance(what, bytes) else what(path)
    return path


@pytest.mark.parametrize("name", FILES)
def test_files(name: str, tmp_path: Path) -> None:
    path = put(tmp_path / name, FILES[name])
    assert_same(samples(path))
    assert_same(samples(str(path)))


@pytest.mark.parametrize("text", ["cat\ndog\n" * 4, "label\n" + "cat\ndog\n" * 4, "\n".join(["cat", "dog"] * 4)])
def test_pairs_of_files(text: str, tmp_path: Path) -> None:
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "y.npy", Y)
    np.savez(tmp_path / "X.npz", X=X)
    (tmp_path / "y.txt").write_text(text)
    for features in ("X.npy", "X.npz"):
        for labels in ("y.npy", "y.txt"):
            assert_same(samples(tmp_path / features, tmp_path / labels))
    assert_same(samples(tmp_path / "X.npy", Y))
    (tmp_path / "y.txt").write_text("hot dog\nice, cream\n" * 4)
    assert samples(X, tmp_path / "y.txt").classes == ("hot dog", "ice, cream")
    put(tmp_path / "table.csv", csv(FRAME[["label"]].assign(image="a.jpg")))
    assert_same(samples(X, tmp_path / "table.csv"))


def test_columns_of_whole_numbers(tmp_path: Path) -> None:
    """The label is the only column of whole numbers, or the one that is named."""
    for header in (True, False):
        put(tmp_path / "a.csv", csv(pd.DataFrame(X).assign(z=[1, 5] * 4), index=False, header=header))
        assert_same(samples(tmp_path / "a.csv"), (1, 5))
    put(tmp_path / "b.csv", csv(FRAME.assign(fold=[1, 2, 2, 1] * 2, label=[4, 9] * 4), index=False))
    assert samples(tmp_path / "b.csv", label="fold").classes == (1, 2)
    assert samples(tmp_path / "b.csv", label="fold").X.shape == (8, 4)
    assert samples(tmp_path / "b.csv").classes == (4, 9)


def test_a_table_beside_its_labels(tmp_path: Path) -> None:
    """Its own column of labels is no feature; a column that two classes share is one, and so is one within classes."""
    table = put(tmp_path / "X.csv", csv(FRAME.assign(label=[3, 7] * 4), index=False))
    put(tmp_path / "y.txt", b"cat\ndog\n" * 4)
    for y in (Y, tmp_path / "y.txt"):
        with pytest.raises(ValueError, match="its column 'label' tells which class is which"):
            samples(table, y)
    with pytest.raises(ValueError, match="its column 'label' tells which class is which"):
        il.spectral.compare({"X": table}, tmp_path / "y.txt")
    assert samples(FRAME.assign(z=[0, 1, 2, 3, 4, 5, 7, 6])).X.shape == (8, 4)
    three = [*Y[:6], "owl", "owl"]
    for column in ([3, 7] * 3 + [7, 7], [3, 7] * 3 + [9, 8]):
        assert samples(FRAME[["a", "b", "c"]].assign(z=column), three).X.shape == (8, 4)


def test_true_and_false_are_1_and_0(tmp_path: Path) -> None:
    """In columns of dummies, in files and in arrays; one such column alone has the labels."""
    flags = np.array([[True, False, True, True, False, False, True, False]]).T
    wide = np.hstack([X, flags])
    dummies = FRAME[["a", "b", "c"]].assign(kind=flags[:, 0])
    put(tmp_path / "a.csv", csv(dummies.assign(label=Y), index=False))
    for found in (samples(dummies, Y), samples(tmp_path / "a.csv")):
        assert pytest.approx(wide) == found.X
    assert samples(flags, Y).X.tolist() == flags.astype(float).tolist()
    assert il.spectral.GaussianMixture.from_features(dummies, Y).means[0, 3] == flags[::2].mean()
    assert samples(dummies).classes == (False, True)
    with pytest.raises(ValueError, match="may have its labels in 'kind', 'other'; say which"):
        samples(dummies.assign(other=flags))


def test_a_parquet_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pandas reads it, where pyarrow is there; where it is not, the sentence says what to do."""
    path = put(tmp_path / "a.parquet", b"PAR1 and more")
    monkeypatch.setattr(pd, "read_parquet", lambda file: FRAME)
    assert_same(samples(path))

    def missing(file: Any) -> None:
        raise ImportError

    monkeypatch.setattr(pd, "read_parquet", missing)
    with pytest.raises(ValueError, match="is a Parquet file, which needs pyarrow: pip install pyarrow"):
        samples(path)


def test_a_column_of_labels_where_there_is_none(tmp_path: Path) -> None:
    """It is not ignored: a file of arrays has no columns, a file of labels one, and labels that are given need none."""
    np.savez(tmp_path / "a.npz", X=X, y=Y)
    put(tmp_path / "table.csv", csv(FRAME[["label"]].assign(image="a.jpg")))
    (tmp_path / "y.txt").write_text("cat\ndog\n" * 4)
    assert_same(samples(tmp_path / "a.npz", tmp_path / "table.csv", "label"))
    for y, message in (
        (None, "a.npz has arrays and no column 'zz'; leave --label-column .* out"),
        (tmp_path / "a.npz", "a.npz has arrays and no column 'zz'"),
        (tmp_path / "table.csv", "table.csv must have one column called 'zz'"),
        (tmp_path / "y.txt", "y.txt must have one column called 'zz'"),
        (Y, "label must be left out beside the labels y, got 'zz'"),
    ):
        with pytest.raises(ValueError, match=message):
            samples(tmp_path / "a.npz", y, "zz")
    with pytest.raises(ValueError, match="label must be left out beside the labels y, got 'label'"):
        samples(FRAME, Y, "label")


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("features", "labels", "message"),
    [
        (X, None, "y must have a label for each sample, got None"),
        (X, Y[:-1], "one for each of 8 samples, got 7"),
        (X.T, Y, "one for each of 3 samples, got 8"),
        (np.where(X[2, 1] == X, np.nan, X), Y, "X must be finite and within .* row 2 has nan"),
        (X[:, 0], Y, r"X must be a matrix \(n, d\), got shape \(8,\)"),
        (X.reshape(8, 3, 1), Y, r"X must be a matrix \(n, d\), got shape \(8, 3, 1\)"),
        (X[:0], [], "X must have samples and features"),
        (X[:, :0], Y, "X must have samples and features"),
        (X.astype(str), Y, "X must be numbers"),
        (X + 1j, Y, "X must be numbers"),
        (1e70 * X, Y, "X must be finite and within"),
        (X, ["cat"] * 8, "two classes or more, got 'cat' alone"),
        (X, ["cat"] * 7 + ["dog"], "two samples or more, got one of 'dog'; leave them out"),
        (X, list("abcdefgh"), "got one of 'a', and 7 more classes have one; leave them out"),
        (X, [None, *Y[1:]], r"but \[0\] is None"),
        (X, [np.nan, *Y[1:]], r"but \[0\] is nan"),
        (X, np.array([0.0, 1.5] * 4), "names or whole numbers, but sample 1 has 1.5"),
        (X, np.eye(2)[[0, 1] * 4], r"got an array of shape \(8, 2\)"),
        (X, "cat", "cannot read cat"),
        (FRAME, "lable", "one column called 'lable', got 0 of 4; did you mean 'label'"),
        (FRAME[["a", "b"]], None, "has no column of labels"),
        (FRAME.assign(target=Y), None, "may have its labels in 'label', 'target'; say which"),
        (FRAME.assign(split="train"), None, "'split' has 'train'; leave it out"),
        (FRAME.assign(label=[3, 7] * 4), Y, "X must not have the labels, but its column 'label' tells which .*: leave"),
        (FRAME.assign(label_id=[3.5, 7] * 4), "label", "but its column 'label_id' tells which class is which"),
        (
            FRAME.assign(id=range(5, 13)),
            None,
            "the frame must have .* its column 'id' numbers the rows, .*: leave it out",
        ),
        (FRAME.assign(id=np.arange(8.0)), "label", "its column 'id' numbers the rows"),
        (csr_matrix(X), Y, r"X must be dense, got a csr_matrix: give X.toarray\(\)"),
        (FRAME[["label"]], None, "must have features beside its labels"),
        (
            FRAME.set_axis(["a", "a", "c", "label"], axis=1),
            None,
            "a name of its own for each column, and has 'a' twice",
        ),
        (FRAME[:0], None, "must have samples, got no rows"),
        ("no/such.npz", None, "cannot read no/such.npz: No such file"),
    ],
)
def test_what_is_no_samples(features: Any, labels: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        samples(features, labels)
    assert len(str(error.value)) <= 300
    assert "\n" not in str(error.value)


BAD_FILES: dict[str, tuple[bytes | Callable[[Path], None], str]] = {
    "alike.npz": (npz(a=X, b=X), "has the arrays 'a' .*; call the one of features X"),
    "many.npz": (npz(X=X, a=Y, b=Y), "call the one of labels y"),
    "alone.npz": (npz(X=X), "has features and no labels; give the file of the labels too"),
    "sparse.npz": (lambda path: save_npz(path, csr_matrix(X)), r"is a sparse matrix; save X.toarray\(\)"),
    "objects.npz": (npz(X=X, y=Y.astype(object)), "it holds Python objects"),
    "cut.npz": (b"PK\x03\x04 and no more", "is not an array file that can be read"),
    "empty.csv": (b"", "must have samples, got an empty file"),
    "header.csv": (b"a,b,label\n", "must have samples, got no rows"),
    "short.csv": (b"a,b,label\n1,2,cat\n1,dog\n", "must have numbers in all columns .* 'b' has 'dog'"),
    "long.csv": (b"a,b,label\n1,2,cat\n1,2,3,dog\n", "is not a CSV text file: .*Expected 3 fields in line 3, saw 4"),
    "wide.csv": (b"a,b,label\n1,2,3,cat\n1,2,3,dog\n", "as many cells in each row as names in its header"),
    "hole.csv": (b"a,b,label\n1,,cat\n1,2,dog\n1,2,cat\n1,3,dog\n", "X must be finite and within .* row 0 has nan"),
    "word.csv": (b"a,b,label\n1,2,cat\n1,x,dog\n", "'b' has 'x'; leave it out"),
    "binary.csv": (b"\x00\x01\x02", "it has a NUL byte"),
    "latin.csv": ("a,label\n1,caf\xe9\n".encode("latin-1"), "is not a text file in UTF-8"),
    "numbers.csv": (b"1,2,3\n4,5,6\n", "has no column of labels"),
    "model.pkl": (pickle.dumps([1]), "is a pickle, which could run anything"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_what_is_no_file_of_samples(name: str, tmp_path: Path) -> None:
    what, message = BAD_FILES[name]
    path = put(tmp_path / name, what)
    with pytest.raises(ValueError, match=message) as error:
        samples(path)
    assert name in str(error.value) or "X must be finite" in str(error.value)
    assert len(str(error.value)) <= 300
