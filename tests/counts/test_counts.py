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
from hypothesis import assume, example, given
from hypothesis import strategies as st

from implicitloss import LabelPrior
from implicitloss.counts import blanks, delimited
from implicitloss.counts.source import Source

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
        pytest.param("500 cat\n20 big dog\n3 owl\n", ([500, 20, 3], ("cat", "big dog", "owl")), id="uniq -c"),
        pytest.param("    500 7\n     20 3\n      3 5\n", ([0, 0, 0, 20, 0, 3, 0, 500], None), id="uniq -c, ids"),
        pytest.param('"01234","5"\n"00017","3"\n', ([5, 3], ("01234", "00017")), id="quoted codes"),
        pytest.param("google.com 500\nacm.org 20\n", ([500, 20], ("google.com", "acm.org")), id="hosts"),
        pytest.param("/m/011k07,500\n/m/0199g,20\n", ([500, 20], ("/m/011k07", "/m/0199g")), id="OpenImages"),
        pytest.param("0,1\ncat,5\ndog,3\n", PAIR, id="pandas names of columns"),
        pytest.param("# exported today\nlabel,count\ncat,5\ndog,3\n", PAIR, id="a comment"),
        pytest.param("label;count\ncat;5\ndog;3\n", PAIR, id="semicolons"),
        pytest.param("label\tcount\ncat\t5\ndog\t3\n", PAIR, id="tabs"),
        pytest.param("label|count\ncat|5\ndog|3\n", PAIR, id="bars"),
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


@pytest.mark.parametrize("first", [1, 500])
@pytest.mark.parametrize("n", range(1, 13))
def test_a_count_in_each_line(tmp_path: Path, first: int, n: int) -> None:
    counts = [first, *(40 * k * k % 97 + 100 for k in range(1, n))]
    assert read(tmp_path / "file", "".join(f"{count}\n" for count in counts)) == (counts, None)


DIALECTS = {
    "csv": lambda rows: "label,count\n" + "".join(f"{a},{n}\n" for a, n in rows),
    "quoted": lambda rows: '"label","count"\n' + "".join(f'"{a}","{n}"\n' for a, n in rows),
    "swapped": lambda rows: "count;label\n" + "".join(f"{n};{a}\n" for a, n in rows),
    "bare": lambda rows: "".join(f"{a}\t{n}\n" for a, n in rows),
    "bare, commas": lambda rows: "".join(f"{a},{n}\n" for a, n in rows),
    "indented": lambda rows: "label, count\n" + "".join(f" {a} , {n} \n" for a, n in rows),
    "blanks": lambda rows: "".join(f"{a} {n}\n" for a, n in rows),
    "uniq -c": lambda rows: "".join(f"{n:>8} {a}\n" for a, n in rows),
    "series": lambda rows: "label\n" + "".join(f"{a}    {n}\n" for a, n in rows) + "Name: count, dtype: int64\n",
    "json": lambda rows: json.dumps(dict(rows)),
    "pairs": lambda rows: json.dumps(rows),
    "records": lambda rows: json.dumps([{"label": a, "count": n} for a, n in rows]),
}
WORD = st.text("abcxyz01 2./-_", min_size=1, max_size=6).map(str.strip).filter(bool)


@pytest.mark.in_turn(6)
@pytest.mark.parametrize("dialect", DIALECTS)
@given(st.lists(st.tuples(WORD | st.integers(0, 30).map(str), st.integers(0, 9999)), min_size=1, max_size=6))
def test_a_table_is_itself_in_every_dialect_or_refused(
    tmp_path_factory: pytest.TempPathFactory, dialect: str, rows: list[tuple[str, int]]
) -> None:
    """Whole numbers are ids, and other labels names in their order; never anything else."""
    rows = list({name: (name, count) for name, count in rows}.values())
    # Two columns of numbers without a header are told apart by what is usual; other tests say how.
    assume(dialect in ("csv", "quoted", "swapped", "json", "records") or not all(name.isdigit() for name, _ in rows))
    file = tmp_path_factory.mktemp("table", numbered=True) / "counts"
    try:
        counts, names = read(file, DIALECTS[dialect](rows))
    except ValueError:
        return
    if names is None:
        ids = {int(float(name)): count for name, count in rows}
        assert counts == [ids.get(j, 0) for j in range(max(ids) + 1)]
    else:
        assert list(zip(names, counts, strict=True)) == rows


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
        ("foo,bar\n7,5\n9,3\n", "several columns that may be counts, 'foo', 'bar'"),
        ("animal,howmany\ncat,5\ndog,3\n", "none is known to be a count; name one with count='howmany'"),
        ("class,year\ncat,2001\ndog,2002\n", "none is known to be a count"),
        ("label,2019\ncat,5\n", "line 1: .* a header must have no numbers"),
        ("cat 0\nemu 2\ndog 1\n", r"a number for each name, .* are these ids\?"),
        ('{"cat": 0, "dog": 1, "emu": 2}', r"are these ids\?"),
        ("img1 0\nimg2 0\nimg3 1\nimg4 0\n", r"labels of examples, or counts of labels\?"),
        ("0\n1\n1\n2\n0\n", r"labels of examples, or counts of labels\?"),
        ("500 Boeing 747\n20 Airbus 320\n", "several numbers in each line"),
        ("cat 0.50 1.00 3\ndog 0.67 0.80 5\n", "several numbers in each line"),
        ("1 2:0.5 3:1\n0 1:1\n", "has features"),
        ("a\t1,234\nb\t2,345\n", "'1,234' has a separator of thousands"),
        ("label,count\n0.0,200\n1.0,100\n,5\n", "line 4: the label is empty"),
        ("label,count\ncat,5\ndog,3\ncat,1\n", "line 4: label 'cat' was on line 2 already"),
        ("label,count\na,1.5\n", "line 2: .* got 1.5"),
        ("label,count\na,inf\n", "line 2: .* got inf"),
        ("label,count\na\n", "line 2: expected 2 fields, got 1"),
        ("label,count\na,5\nb\n", "line 3"),
        ("label,count\na,0\nb,0\n", "all 2 are"),
        (as_json({"categories": [{"id": 1, "image_count": 2}, {"id": 1, "image_count": 3}]}), "have the id 1"),
        (as_json({**COCO, "annotations": [{"category_id": 9}]}), "the category 9, which is not listed"),
        (as_json({"cat": {"train": 500}}), "must have a list of counts"),
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
        (saved(np.save, np.arange(5000) * 7 % 10), "labels of examples, or counts"),
        (saved(np.save, np.ones((2, 2))), r"must have one axis, .* got shape \(2, 2\)"),
        ("4 10 2\n0 1:1\n3 1:1\n\n\n", "line 3: labels must be 0 to 1, got 3"),
    ],
    ids=itertools.count(),
)
def test_what_can_be_misread_is_refused(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        read(tmp_path / "file", content)
    assert len(str(caught.value)) <= 400
    assert "\n" not in str(caught.value)


BY_SIZE = IDS.to_frame().groupby("label").size()


@pytest.mark.parametrize(
    ("frame", "found", "options"),
    [
        pytest.param(WORDS.value_counts().to_frame(), BY_NAME, {}, id="value_counts"),
        pytest.param(IDS.value_counts().reset_index(), BY_ID, {}, id="ids"),
        pytest.param(BY_SIZE.to_frame("count"), BY_ID, {}, id="groupby"),
        pytest.param(IDS.to_frame(), BY_ID, {}, id="examples"),
        pytest.param(
            pd.DataFrame({"user": range(800), "item": IDS}), BY_ID, {"label": "item"}, id="interactions"
        ),
        pytest.param(pd.DataFrame({"name": ["a", "b"], "train": [5, 3], "val": [1, 2]}), ([1, 2], ("a", "b")),
                     {"count": "val"}, id="a column by name"),
        pytest.param(pd.DataFrame({"label": pd.Categorical(["cat", "dog"]), "count": [5, 3]}), PAIR, {},
                     id="categories"),
        pytest.param(pd.DataFrame({"label": [1, 0], "count": pd.array([5, 3], "Int64")}), ([3, 5], None), {},
                     id="nullable"),
    ],
)  # fmt: skip
def test_parquet(tmp_path: Path, frame: Any, found: Found, options: dict[str, str]) -> None:
    pytest.importorskip("pyarrow")
    assert read(tmp_path / "file", frame.to_parquet, **options) == found


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pd.DataFrame({"user": [0, 1, 2], "item": [1, 0, 1]}), "a line for each interaction"),
        (pd.DataFrame({"label": ["a", "b"], "count": [5.0, None]}), "must be a whole number >= 0, got nan"),
        (pd.DataFrame({"label": ["a", "b"], "count": pd.array([5, None], "Int64")}), "whole number >= 0, got"),
        (pd.DataFrame({"label": ["a", "b"], "share": [0.5, 0.5]}), "has shares in its column"),
        (pd.DataFrame({"labels": [[0, 1], [1]]}), "several labels in a cell"),
    ],
)  # fmt: skip
def test_parquet_that_can_be_misread_is_refused(tmp_path: Path, frame: Any, message: str) -> None:
    pytest.importorskip("pyarrow")
    with pytest.raises(ValueError, match=message):
        read(tmp_path / "file", frame.to_parquet)


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


WORD = st.sampled_from(["cat", "dog", "owl", '"emu', "NA", "null", "007", "7", "1e3", "..", "a.jpg", "é", "True", ""])
NUMBER = st.sampled_from(["5", "3", "0", "12", "007", "-1", "2.5", "1,000", "99999999999999999999", "x", ""])
BETWEEN = st.sampled_from([" ", "  ", "\t", " \t "])


@given(
    st.lists(st.tuples(WORD, BETWEEN, NUMBER), min_size=1, max_size=6),
    st.booleans(),
    st.sampled_from(["", "label count\n", "word number\n"]),
    st.sampled_from(["\n", "\r\n", "\n\n", " \n"]),
)
def test_pandas_reads_pairs_as_they_are_read_line_by_line(
    tmp_path_factory: Any, rows: list[tuple[str, str, str]], turned: bool, header: str, end: str
) -> None:
    text = header + "".join(f"{''.join(row[::-1] if turned else row)}{end}" for row in rows)
    file = tmp_path_factory.mktemp("pairs") / "pairs.txt"
    file.write_bytes(text.encode())
    source = Source.of(file)
    start = len(text.encode()) - len(text.encode().lstrip())
    found = blanks._in_pairs(source, start, text.encode()[start:].decode().splitlines(keepends=True))
    if found is None:
        return
    expected = blanks._line_by_line(source, start)
    assert found.has_header == expected.has_header
    assert found.where(0) == expected.where(0)
    for here, there in zip(found.columns, expected.columns, strict=True):
        assert (here.name, here.kind) == (there.name, there.kind)
        if here.kind == "text":
            assert here.texts == there.texts
        else:
            np.testing.assert_array_equal(here.numbers, there.numbers)


@pytest.mark.parametrize("text", ["cat 5\ndog 3\n", "  5 cat\n 13 dog\n", "label count\ncat 5\n\ndog 3\n"])
def test_pairs_are_read_by_pandas(text: str, tmp_path: Path) -> None:
    (tmp_path / "pairs.txt").write_text(text)
    source = Source.of(tmp_path / "pairs.txt")
    start = len(text) - len(text.lstrip())
    assert blanks._in_pairs(source, start, text[start:].splitlines(keepends=True)) is not None


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("header", ["", "count\n"])
def test_a_column_of_whole_numbers_is_read_by_pandas(header: str, end: str, tmp_path: Path) -> None:
    text = header + end.join(["5", "3", "12"]) + end
    (tmp_path / "counts.txt").write_bytes(text.encode())
    source = Source.of(tmp_path / "counts.txt")
    found = delimited._whole_numbers(source, 0, text.splitlines(keepends=True))
    assert found is not None
    assert found.columns[0].numbers is not None
    assert found.columns[0].numbers.tolist() == [5, 3, 12]
    for other in ("5\n03\n", "5\n3.0\n", "5\n-3\n", "a count\n5\n", "count\n"):
        (tmp_path / "counts.txt").write_text(other)
        source = Source.of(tmp_path / "counts.txt")
        assert delimited._whole_numbers(source, 0, other.splitlines(keepends=True)) is None


HASHES = {
    "pieces of words": ("##s 9000\nthe 8000\n##ing 700\n", ([9000, 8000, 700], ("##s", "the", "##ing"))),
    "signs": ("# 9000\n## 800\n### 70\nthe 60\n", ([9000, 800, 70, 60], ("#", "##", "###", "the"))),
    "tabs": ("##s\t5000\nthe\t400\n", ([5000, 400], ("##s", "the"))),
    "commas": ("# ,5000\nthe,4\n", ([5000, 4], ("#", "the"))),
    "comment": ("# exported by x\ncat 5\ndog 3\n", ([5, 3], ("cat", "dog"))),
    "comment with a number": ("# counts of 2024\ncat,5\ndog,3\n", ([5, 3], ("cat", "dog"))),
    "comment of a column": ("# 2024\n\n5\n3\n", ([5, 3], None)),
}


@pytest.mark.parametrize("name", HASHES)
def test_a_label_may_begin_with_a_hash(name: str, tmp_path: Path) -> None:
    text, expected = HASHES[name]
    assert read(tmp_path / "counts.txt", text) == expected


@pytest.mark.parametrize("text", ["# general 50\nrandom 40\n", "# a\n# made 2024\ncat 5\n", "# May 3, 2024\ncat,5\n"])
def test_what_may_be_a_comment_or_a_label_is_refused(text: str, tmp_path: Path) -> None:
    line = 2 if text.startswith("# a\n") else 1
    with pytest.raises(ValueError, match=rf"line {line}: '# .*' may be a comment, or a label and its count; remove"):
        read(tmp_path / "counts.txt", text)


@pytest.mark.parametrize(("line", "got"), [("7", 1), ("7 big cat", 3), ("cat 7", 2)])
def test_a_line_far_down_that_is_no_pair_is_read_line_by_line(line: str, got: int, tmp_path: Path) -> None:
    text = "".join(f"{i} label-{i}\n" for i in range(1, 3000)) + f"{line}\n"
    if got == 3:
        counts, names = read(tmp_path / "counts.txt", text)
        assert names is not None
        assert (counts[-1], names[-1]) == (7, "big cat")
        return
    with pytest.raises(ValueError, match=r"line \d+: (expected 2 fields, got 1|a line must have a label and a count)"):
        read(tmp_path / "counts.txt", text)


def test_counts_that_leave_most_numbers_out_are_no_labels_of_examples(tmp_path: Path) -> None:
    """They repeat, and none is twice the number of rows."""
    counts = [1, 150] * 50
    assert read(tmp_path / "counts.txt", "".join(f"{n}\n" for n in counts)) == (counts, None)
