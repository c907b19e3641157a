"""Files of counts as people have them: each is read as its writer meant it, or refused with the line that mends it."""

from __future__ import annotations

import bz2
import gzip
import io
import itertools
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from implicitloss import LabelPrior

IDS = pd.Series([3] * 500 + [0] * 200 + [1] * 100, name="label")
WORDS = pd.Series(["cat"] * 5 + ["dog"] * 3 + ["owl"], name="label")
BY_ID = ([200, 100, 0, 500], None)
BY_NAME = ([5, 3, 1], ("cat", "dog", "owl"))
Found = tuple[list[int], tuple[str, ...] | None]


def read(file: Path, content: Any, **options: Any) -> Found:
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif isinstance(content, str):
        file.write_text(content, encoding="utf-8")
    else:
        content(file)
    prior = LabelPrior.from_file(file, **options)
    assert prior.counts is not None
    return prior.counts.astype(int).tolist(), prior.names


def table(frame: Any, **options: Any) -> Any:
    return lambda file: frame.to_csv(file, **options)


def as_json(value: Any, **options: Any) -> Any:
    return json.dumps(value) if not hasattr(value, "to_json") else lambda file: value.to_json(file, **options)


def saved(save: Any, *arrays: Any, **named: Any) -> bytes:
    file = io.BytesIO()
    save(file, *arrays, **named)
    return file.getvalue()


PAIR = ([5, 3], ("cat", "dog"))
LVIS = {"categories": [{"id": 7, "name": "dog", "image_count": 3}, {"id": 2, "name": "cat", "image_count": 5}]}
COCO = {
    "categories": [{"id": 7, "name": "dog"}, {"id": 2, "name": "cat"}],
    "annotations": [{"category_id": 2}] * 5 + [{"category_id": 7}] * 3,
}


@pytest.mark.parametrize(
    ("content", "found"),
    [
        pytest.param("label,count\ncat,5\ndog,3\n", PAIR, id="header"),
        pytest.param("label,freq\ncat,5\ndog,3\n", PAIR, id="freq"),
        pytest.param('Label, Count\ncat,5\n\n"dog", 3\n\n', PAIR, id="capitals and blanks"),
        pytest.param("count,label\n5,cat\n3,dog\n", PAIR, id="swapped"),
        pytest.param("cat,5\ndog,3\n", PAIR, id="no header"),
        pytest.param("5,cat\n3,dog\n", PAIR, id="no header, swapped"),
        pytest.param("0,500\n1,20\n2,7\n", ([500, 20, 7], None), id="no header, ids"),
        pytest.param("2,500\n0,20\n1,7\n", ([20, 7, 500], None), id="no header, ids by frequency"),
        pytest.param("500,2\n20,0\n7,1\n", ([20, 7, 500], None), id="no header, counts first"),
        pytest.param("label;count\ncat;5\ndog;3\n", PAIR, id="semicolons"),
        pytest.param("label\tcount\ncat\t5\ndog\t3\n", PAIR, id="tabs"),
        pytest.param("label|count\ncat|5\ndog|3\n", PAIR, id="bars"),
        pytest.param("animal,howmany\ncat,5\ndog,3\n", PAIR, id="unknown names"),
        pytest.param('label,count\n"cat, small",5\ndog,3\n', ([5, 3], ("cat, small", "dog")), id="a comma within"),
        pytest.param(b"\xef\xbb\xbflabel,count\r\ncat,5\r\ndog,3\r\n", PAIR, id="a spreadsheet"),
        pytest.param("label,count\ncat,5\ndog,3\n".encode("utf-16"), PAIR, id="UTF-16"),
        pytest.param(gzip.compress(b"label,count\ncat,5\ndog,3\n", mtime=0), PAIR, id="gzip"),
        pytest.param(bz2.compress(b"label,count\ncat,5\ndog,3\n"), PAIR, id="bzip2"),
        pytest.param(
            "id,name,count,color\n2,cat,5,red\n0,dog,3,blue\n", ([3, 0, 5], ("dog", "1", "cat")), id="more columns"
        ),
        pytest.param("label,count\n2.0,5.0\n0.0,3.0\n", ([3, 0, 5], None), id="ids as floats"),
        pytest.param("label,count\n007,5\n012,3\n", ([5, 3], ("007", "012")), id="codes"),
        pytest.param(
            "label,count\nNA,5\nTrue,3\n", ([5, 3], ("NA", "True")), id="names that pandas takes for something else"
        ),
        pytest.param("count\n5\n3\n", ([5, 3], None), id="one column"),
        pytest.param("5\n3\n", ([5, 3], None), id="one column, no header"),
        pytest.param(table(IDS.value_counts()), BY_ID, id="value_counts"),
        pytest.param(table(WORDS.value_counts()), BY_NAME, id="value_counts, names"),
        pytest.param(table(IDS.value_counts().reset_index()), BY_ID, id="value_counts, reset"),
        pytest.param(table(WORDS.value_counts().reset_index()), BY_NAME, id="value_counts, reset, names"),
        pytest.param(table(IDS.value_counts().reset_index(), index=False), BY_ID, id="value_counts, no index"),
        pytest.param(table(IDS.value_counts(), header=False), BY_ID, id="value_counts, no header"),
        pytest.param(table(WORDS.value_counts().rename_axis(None).rename(None)), BY_NAME, id="value_counts, nameless"),
        pytest.param(table(IDS.to_frame().groupby("label").size()), BY_ID, id="groupby"),
        pytest.param(",label\n3,500\n0,200\n1,100\n", BY_ID, id="old value_counts"),
        pytest.param(",index,label\n0,3,500\n1,0,200\n2,1,100\n", BY_ID, id="old value_counts, reset"),
        pytest.param(",0\n3,500\n0,200\n1,100\n", BY_ID, id="old value_counts, nameless"),
        pytest.param(str(IDS.value_counts()), BY_ID, id="printed"),
        pytest.param(str(WORDS.value_counts()), BY_NAME, id="printed, names"),
        pytest.param("the 106\nof 59\n", ([106, 59], ("the", "of")), id="a vocabulary"),
        pytest.param("the 106\nof 59\ntotal 3\n", ([106, 59, 3], ("the", "of", "total")), id="a word called total"),
        pytest.param(as_json([5, 3]), ([5, 3], None), id="JSON list"),
        pytest.param(as_json({"cat": 5, "dog": 3}), PAIR, id="JSON dict"),
        pytest.param(as_json(Counter(5 * ["cat"] + 3 * ["dog"]).most_common()), PAIR, id="JSON pairs"),
        pytest.param(as_json(IDS.value_counts()), BY_ID, id="JSON ids"),
        pytest.param(as_json(WORDS.value_counts().reset_index()), BY_NAME, id="JSON columns"),
        pytest.param(as_json(WORDS.value_counts().reset_index(), orient="records"), BY_NAME, id="JSON records"),
        pytest.param(as_json(WORDS.value_counts(), orient="split"), BY_NAME, id="JSON split"),
        pytest.param('{"label": "cat", "count": 5}\n{"label": "dog", "count": 3}\n', PAIR, id="JSON lines"),
        pytest.param(as_json({"labels": ["cat", "dog"], "counts": [5, 3]}), PAIR, id="JSON lists"),
        pytest.param(as_json(LVIS), PAIR, id="LVIS"),
        pytest.param(as_json(LVIS["categories"]), PAIR, id="LVIS categories"),
        pytest.param(as_json(COCO), PAIR, id="COCO"),
        pytest.param("train/a/1.jpg 0\ntrain/a/2.jpg 0\ntrain/b/my 1.jpg 2\n", ([2, 0, 1], None), id="paths"),
        pytest.param("path,label\na/1.jpg,0\na/2.jpg,0\nb/1.jpg,2\n", ([2, 0, 1], None), id="paths with a header"),
        pytest.param("image,label\n1.jpg,cat\n2.jpg,cat\n3.jpg,dog\n", ([2, 1], ("cat", "dog")), id="examples"),
        pytest.param("4 10 4\n0,2 1:0.5 3:1\n2 4:1\n 5:1\n2,2 1:1\n", ([1, 0, 3, 0], None), id="extreme"),
        pytest.param(saved(np.save, [5, 3]), ([5, 3], None), id="npy"),
        pytest.param(saved(np.savez, labels=["cat", "dog"], counts=[5, 3]), PAIR, id="npz"),
        pytest.param(saved(np.savez, [5, 3]), ([5, 3], None), id="npz of one"),
    ],
)
def test_a_file_is_read_as_it_was_meant(tmp_path: Path, content: Any, found: Found) -> None:
    assert read(tmp_path / "file", content) == found


def test_columns_by_name(tmp_path: Path) -> None:
    text = "label,train,val\ncat,5,1\ndog,3,2\n"
    assert read(tmp_path / "file", text, count="val") == ([1, 2], ("cat", "dog"))
    text = "synset,word,count\nn01,cat,5\nn02,dog,3\n"
    assert read(tmp_path / "file", text, label="word") == PAIR
    with pytest.raises(ValueError, match=r"no column 'wrod', only 'synset', 'word', 'count'; did you mean 'word'\?"):
        read(tmp_path / "file", text, label="wrod")


def test_ids_that_begin_at_one(tmp_path: Path) -> None:
    """They are ids like others: label 0 never occurs, unless it is said that there is none."""
    text = "label,count\n2,5\n1,3\n4,1\n"
    assert read(tmp_path / "file", text) == ([0, 3, 5, 0, 1], None)
    assert "2 of them never occur" in repr(LabelPrior.from_file(tmp_path / "file"))
    assert read(tmp_path / "file", text, first_id=1) == ([3, 5, 0, 1], ("1", "2", "3", "4"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("label,count\nHund,12.000\nKatze,900\n", r"line 2: '12.000' has a separator of thousands .* write 12000"),
        ('label,count\ncat,5\ndog,"12,000"\n', r"line 3: '12,000' has a separator"),
        ("label;count\ncat;5\ndog;1 200\n", r"line 3: '1 200' has a separator"),
        ("label,count\ncat,5\ndog,12,000\n", r"line 3: expected 2 fields, got 3; is there a separator of thousands\?"),
        ("label,count\ncat,5\ndog,3\nTotal,8\n", r"line 4: 'Total' has the sum of the others, 8; .* delete the line"),
        ("label,count\nTotal,8\n0,5\n1,3\n", r"line 2: 'Total' has the sum of the others"),
        ("label,count\ncat,.5\ndog,.25\nowl,.25\n", "has shares, which sum to 1, .*from_probabilities"),
        ("label,count\ncat,62.5\ndog,37.5\n", "has shares, which sum to 100"),
        ("label,share\ncat,.5\ndog,.5\n", "has shares in its column 'share'"),
        ("label,count\ncat,50%\ndog,50%\n", "'50%' is a share"),
        ("label,train,val\ncat,5,1\ndog,3,1\n", r"several columns .* 'train', 'val'; choose one with count='train'"),
        ("label,count,image_count\ncat,5,1\ndog,3,1\n", "several columns that may be counts"),
        ("2,1\n1,0\n0,2\n", "no header, and either of its two columns may be the labels"),
        ("foo,bar\n7,5\n9,3\n", "the columns 'foo', 'bar', and none is known to be a count"),
        (",label\n0,2\n1,0\n2,3\n", "may have counts or examples in its column 'label'"),
        ("a,b,5\nc,d,6\n", "3 columns and no header"),
        ("label,count\n0,5\n1,3\nunknown,1\n", "line 4: label 'unknown' is no whole number"),
        ("label,count\n-1,5\n0,3\n", "line 2: ids must be whole numbers from 0, got -1"),
        ("label,count\n9999999999,5\n1,3\n", "line 2: id 9999999999 cannot be the number of a column"),
        ("label,count\n3,5\n1,3\n3,1\n", "line 4: label 3 was on line 2 already"),
        ("label,count\na,1_000\n", "line 2: the count must be a number, got '1_000'"),
        ("label,count\na,5\nb,nan\n", "line 3: the count must be a whole number >= 0, got nan"),
        ("...\n0 5\n", r"leaves rows out \(\.\.\.\); write it with to_csv"),
        ("", "no labels"),
        ("label,count\n", "no labels"),
        (as_json({"categories": [{"id": 1, "name": "a", "image_count": 2, "instance_count": 5}]}), "several columns"),
        (as_json({"categories": [{"id": 1, "name": "a"}]}), "need an instance_count, an image_count, or annotations"),
        (as_json({"cat": [1, 2], "dog": 3}), "must have a list of counts"),
        ('{"cat": 5, "cat": 3}', "the key 'cat' comes 2 times"),
        ("{", "is not JSON"),
        (b"PK\x03\x04  [Content_Types].xml", "is an Excel file; save it as CSV"),
        (b"\x80\x05junk", "is a pickle"),
        (b"PAR1junk", "Parquet"),
        (b"\x1f\x8bjunk", "cannot decompress"),
        (b"\x93NUMPYjunk", "is not an array file"),
        (b"label,count\na,5\nb\0,3\n", "NUL byte"),
        (saved(np.save, np.arange(5000) * 7 % 10), "the labels of examples, or the counts"),
        (saved(np.save, np.ones((2, 2))), r"must have one axis, .* got shape \(2, 2\)"),
        ("4 10 2\n0 1:1\n3 1:1\n\n\n", "line 3: labels must lie from 0 to 1, got 3"),
    ],
    ids=itertools.count(),
)
def test_what_can_be_misread_is_refused(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        read(tmp_path / "file", content)
    assert len(str(caught.value)) <= 400
    assert "\n" not in str(caught.value)


def test_parquet(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    assert read(tmp_path / "file", lambda file: WORDS.value_counts().to_frame().to_parquet(file)) == BY_NAME


@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: f"label,count\n{text}".encode("utf-8", "ignore")))
@example(b"label,count\na,1e400\n")
@example(b"label,count\na,1\x00\n")
@example(b"label,count\na,1e308\nb,1e308\n")
@example(b'{"index": [1], "columns": ["a", "b"], "data": [[1]]}')
@example(b'[{"id": 1, "image_count": null}]')
@example(b"1 1 9999999999999\n0 1:1\n")
@example(b'"')
@example(b"\xff\xfea")
def test_any_file_gives_a_prior_or_a_sentence(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    file = tmp_path_factory.mktemp("any", numbered=True) / "counts"
    file.write_bytes(content)
    try:
        prior = LabelPrior.from_file(file)
    except ValueError as error:
        assert "\n" not in str(error)  # noqa: PT017  (either outcome is fine, any other exception is not)
    else:
        assert prior.probabilities.sum() == pytest.approx(1, abs=1e-9)


@given(st.permutations(range(12)), st.lists(st.integers(0, 10**9), min_size=12, max_size=12).filter(any))
def test_ids_in_any_order_are_the_same_prior(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], counts: list[int]
) -> None:
    file = tmp_path_factory.mktemp("ids", numbered=True) / "counts"
    found, _ = read(file, "label,count\n" + "".join(f"{i},{counts[i]}\n" for i in order))
    assert found == counts
