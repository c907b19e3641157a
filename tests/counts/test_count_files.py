"""Two hundred files that may be counts, by hostile reading: each is read as it was meant, or refused with a reason."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from implicitloss import LabelPrior

rng = np.random.default_rng(0)
ids = rng.choice(50, size=2000, p=(1 / np.arange(1, 51)) / np.sum(1 / np.arange(1, 51)))
OF_IDS = np.bincount(ids).tolist()
ser = pd.Series(ids)
inter = pd.DataFrame({"user": rng.integers(0, 300, 2000), "item": ids})


def npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def npz(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def unique(labels: str, counts: str) -> dict[str, Any]:
    return dict(zip((labels, counts), np.unique(ids, return_counts=True), strict=True))


# A name, the file, its counts, the names of its labels, and what is said of its columns.
READ: list[tuple[str, Any, Any, Any, dict[str, str]]] = [
    ("npz labels only", npz(labels=ids), OF_IDS, None, {}),
    ("npz labels sorted", npz(labels=np.sort(ids)), OF_IDS, None, {}),
    (
        "npy columns",
        npy(np.array([(3, 5), (0, 9), (1, 2)], dtype=[("label", int), ("count", int)])),
        [9, 2, 0, 5],
        None,
        {},
    ),
    ("csv ids as floats", "label,count\n1.0,5\n0.0,3\n", [3, 5], None, {}),
    ("npz y", npz(y=np.sort(ids)), OF_IDS, None, {}),
    ("npz unique", npz(**unique("labels", "counts")), OF_IDS, None, {}),
    ("npz values counts", npz(**unique("values", "counts")), OF_IDS, None, {}),
    ("txt examples header label", "label\n" + "\n".join(map(str, np.sort(ids))), OF_IDS, None, {}),
    ("txt examples header target", "target\n" + "\n".join(map(str, ids)), OF_IDS, None, {}),
    ("interactions label", inter.to_csv(index=False), OF_IDS, None, {"label": "item"}),
    (
        "interactions rating label",
        inter.assign(rating=5, timestamp=881250949).to_csv(index=False),
        OF_IDS,
        None,
        {"label": "item"},
    ),
    (
        "movielens label",
        inter.rename(columns={"user": "userId", "item": "movieId"})
        .assign(rating=3.5, timestamp=881250949)
        .to_csv(index=False),
        OF_IDS,
        None,
        {"label": "movieId"},
    ),
    (
        "interactions one per user label item",
        "user,item\n" + "".join(f"{i},{y}\n" for i, y in enumerate(ids)),
        OF_IDS,
        None,
        {"label": "item"},
    ),
    (
        "image_id,category",
        "image_id,category_id\n" + "".join(f"{i},{y}\n" for i, y in enumerate(ids)),
        OF_IDS,
        None,
        {},
    ),
    ("series named y noindex", pd.Series(np.sort(ids), name="y").to_csv(index=False), OF_IDS, None, {}),
    ("json dict file->label", json.dumps({f"{i}.jpg": int(y) for i, y in enumerate(ids)}), OF_IDS, None, {}),
    (
        "json dict file->label sorted",
        json.dumps({f"{i}.jpg": int(y) for i, y in enumerate(np.sort(ids))}),
        OF_IDS,
        None,
        {},
    ),
    ("json records text label", json.dumps([{"text": "a", "label": int(y)} for y in ids]), OF_IDS, None, {}),
    (
        "json lines text label",
        "".join(json.dumps({"text": "a", "label": int(y)}) + "\n" for y in ids),
        OF_IDS,
        None,
        {},
    ),
    ("json records label only", json.dumps([{"label": int(y)} for y in ids]), OF_IDS, None, {}),
    ("json counts key", json.dumps({"counts": {"a": 5, "b": 3}}), [5, 3], ("a", "b"), {}),
    ("json labels list only", json.dumps({"labels": np.sort(ids).tolist()}), OF_IDS, None, {}),
    ("names falling", "label,count\nowl,50\ncat,20\ndog,5\n", [50, 20, 5], ("owl", "cat", "dog"), {}),
    ("Total 2 rows", "label,count\na,5\nTotal,5\n", [5, 5], ("a", "Total"), {}),
    ("comments #label", "#label,count\na,5\nb,3\n", [5, 3], ("a", "b"), {}),
    ("sci", "label,count\na,1e3\nb,3\n", [1000, 3], ("a", "b"), {}),
    ("quoted num", 'label,count\n"1","5"\n"0","3"\n', [3, 5], None, {}),
    ("leading zeros count", "label,count\na,005\nb,003\n", [5, 3], ("a", "b"), {}),
    ("leading zeros after a blank", "count, label\n5, 007\n3, 012\n", [5, 3], ("007", "012"), {}),
    ("leading zero ids", "label,count\n00,5\n01,3\n", [5, 3], ("00", "01"), {}),
    ("ids float", "label,count\n0.0,5\n1.0,3\n", [5, 3], None, {}),
    ("ids nonint float", "label,count\n0.5,5\n1.5,3\n", [5, 3], ("0.5", "1.5"), {}),
    ("ids bool", "label,count\nTrue,5\nFalse,3\n", [5, 3], ("True", "False"), {}),
    ("ids 1-based", "label,count\n1,5\n2,3\n", [0, 5, 3], None, {}),
    ("ids with name col", "id,name,count\n1,a,5\n0,b,3\n", [3, 5], ("b", "a"), {}),
    ("idx name count", "index,class_name,count\n0,a,5\n1,b,3\n", [5, 3], ("a", "b"), {}),
    ("rank name count", "rank,word,count\n1,the,500\n2,of,300\n3,a,300\n", [500, 300, 300], ("the", "of", "a"), {}),
    ("rank id count", "rank,item,count\n1,7,500\n2,3,300\n3,0,200\n", [200, 0, 0, 300, 0, 0, 0, 500], None, {}),
    ("id count share", "id,count,share\n1,5,.5\n0,5,.5\n", [5, 5], None, {}),
    ("cumulative", "label,count,cumulative\na,5,5\nb,3,8\n", [5, 3], ("a", "b"), {}),
    ("count total cols", "label,count,total\na,5,8\nb,3,8\n", [5, 3], ("a", "b"), {}),
    ("labelled text distinct", "3\tsome text\n1\tother text\n", [3, 1], ("some text", "other text"), {}),
    ("path label sorted", "a.jpg 0\nb.jpg 0\nc.jpg 1\nd.jpg 1\ne.jpg 2\n", [2, 2, 1], None, {}),
    ("path text labels header", "path,label\na.jpg,cat\nb.jpg,cat\nc.jpg,dog\n", [2, 1], ("cat", "dog"), {}),
    ("path labels 2 cols header", "path,label,superlabel\na.jpg,0,0\nb.jpg,0,0\nc.jpg,1,0\n", [2, 1], None, {}),
    ("path label split", "path,label,split\na.jpg,0,train\nb.jpg,0,val\nc.jpg,1,train\n", [2, 1], None, {}),
    ("xc", "3 10 4\n0,2 1:0.5\n2 4:1\n 5:1\n", [1, 0, 2, 0], None, {}),
    ("yaml", "cat: 5\ndog: 3\n", [5, 3], ("cat", "dog"), {}),
    ("yaml ids", "1: 5\n0: 3\n", [3, 5], None, {}),
    ("ini", "cat = 5\ndog = 3\n", [5, 3], ("cat", "dog"), {}),
    ("np printed commas", "[500, 200, 100]\n", [500, 200, 100], None, {}),
    ("np savetxt", "5.000000000000000000e+02\n2.000000000000000000e+02\n", [500, 200], None, {}),
    ("np savetxt 2col", "0.0 500.0\n1.0 200.0\n", [500, 200], None, {}),
    ("awk rev", "5 0\n3 1\n", [5, 3], None, {}),
    ("uniq of pairs", "  5 a b\n  3 c d\n", [5, 3], ("a b", "c d"), {}),
    ("two blank cols ids", "0 500\n1 200\n2 100\n", [500, 200, 100], None, {}),
    ("two numeric counts not falling", "0 500\n1 700\n2 100\n", [500, 700, 100], None, {}),
    ("ids gaps counts not falling", "3 500\n1 700\n7 700\n", [0, 700, 0, 500, 0, 0, 0, 700], None, {}),
    (
        "ids sorted gaps counts falling ids rising",
        "3 700\n5 500\n9 100\n",
        [0, 0, 0, 700, 0, 500, 0, 0, 0, 100],
        None,
        {},
    ),
    (
        "vc bins",
        pd.Series(ids).value_counts(bins=3).to_csv(),
        [1520, 296, 184],
        ("(-0.05, 16.333]", "(16.333, 32.667]", "(32.667, 49.0]"),
        {},
    ),
    ("cr only", b"label,count\ra,5\rb,3\r", [5, 3], ("a", "b"), {}),
    ("blank lines", "label,count\n\n\na,5\n\nb,3\n\n", [5, 3], ("a", "b"), {}),
    ("trailing sep", "label,count,\na,5,\nb,3,\n", [5, 3], ("a", "b"), {}),
    ("fullwidth", "label,count\na,５\nb,3\n", [5, 3], ("a", "b"), {}),
    ("plus", "label,count\na,+5\nb,3\n", [5, 3], ("a", "b"), {}),
    ("asin", "asin,count\nB000,5\nB001,3\n", [5, 3], ("B000", "B001"), {}),
    ("timestamp label", "date,count\n2019-01-01,5\n2019-01-02,3\n", [5, 3], ("2019-01-01", "2019-01-02"), {}),
    ("imdb", "label,n\n0,5\n1,3\n", [5, 3], None, {}),
    ("freq percent", "label,freq\na,20\nb,80\n", [20, 80], ("a", "b"), {}),
    ("count in ms", "label,number\n7,1\n3,2\n", [0, 0, 0, 2, 0, 0, 0, 1], None, {}),
    ("counts with zero-only gaps", "label,count\n0,0\n1,5\n", [0, 5], None, {}),
    (
        "id,label label",
        "id,label\n" + "".join(f"{i},{y}\n" for i, y in enumerate(ids)),
        OF_IDS,
        None,
        {"label": "label"},
    ),
    (
        "label,split label",
        "label,split\n" + "".join(f"{y},train\n" for i, y in enumerate(ids)),
        OF_IDS,
        None,
        {"label": "label"},
    ),
]

# A name, the file, a part of the message, and what is said of the file's columns.
REFUSED: list[tuple[str, Any, str, dict[str, str]]] = [
    ("npy pairs unsorted", npy(np.array([[3, 5], [0, 9]])), r"write numpy.savez\(file, label=ids, count=counts\)", {}),
    ("csv a missing id", "label,count\n1,5\n0,3\nnan,2\n", "line 4: the label must be a name, got 'nan'", {}),
    ("csv a missing name", "label,count\ncat,5\nNaN,3\ndog,2\n", "line 3: .* got 'NaN', which programs write", {}),
    ("npy examples sorted", npy(np.sort(ids)), "labels of examples, or counts of labels", {}),
    ("npy examples sorted desc", npy(np.sort(ids)[::-1]), "labels of examples, or counts of labels", {}),
    (
        "npy examples sparse sorted",
        npy(np.sort(rng.choice(30000, 10000))),
        "labels of examples, or counts of labels",
        {},
    ),
    ("npy examples from 1 sorted", npy(np.sort(ids) + 1), "labels of examples, or counts of labels", {}),
    ("npy examples float", npy(np.sort(ids).astype(float)), "labels of examples, or counts of labels", {}),
    ("npy examples str", npy(np.array(["cat", "cat", "dog"])), "must be a number", {}),
    ("npy bool", npy(np.array([True, False])), "must be a number", {}),
    ("npy shares", npy(np.array([0.5, 0.25, 0.25])), "has shares", {}),
    ("npy shares100", npy(np.array([50.5, 25.25, 24.25])), "has shares", {}),
    ("npy log", npy(np.log([0.5, 0.25, 0.25])), "must be a whole number", {}),
    ("npz y_train", npz(y_train=np.sort(ids)), "labels of examples, or counts of labels", {}),
    ("npz train/test labels", npz(y_train=ids[:1000], y_test=ids[1000:]), "several columns that may be counts", {}),
    (
        "npz unique arr_0",
        npz(**unique("arr_0", "arr_1")),
        "several columns that may be counts",
        {},
    ),
    ("txt examples sorted", "\n".join(map(str, np.sort(ids))), "labels of examples, or counts of labels", {}),
    ("txt names lines", "cat\ncat\ndog\n", "one column, of text", {}),
    ("interactions", inter.to_csv(index=False), "a line for each interaction", {}),
    (
        "interactions rating",
        inter.assign(rating=5, timestamp=881250949).to_csv(index=False),
        "a line for each interaction",
        {},
    ),
    (
        "movielens",
        inter.rename(columns={"user": "userId", "item": "movieId"})
        .assign(rating=3.5, timestamp=881250949)
        .to_csv(index=False),
        "a line for each interaction",
        {},
    ),
    ("u.data", inter.assign(r=5, t=88).to_csv(index=False, header=False, sep="\t"), "no header; name them", {}),
    (
        "interactions no header",
        inter.to_csv(index=False, header=False),
        "either of its two columns may be the labels",
        {},
    ),
    (
        "interactions sorted user no header",
        inter.sort_values("user").to_csv(index=False, header=False),
        "either of its two columns may be the labels",
        {},
    ),
    (
        "interactions one per user no header",
        "".join(f"{i},{y}\n" for i, y in enumerate(ids)),
        "labels of examples, or counts of labels",
        {},
    ),
    (
        "interactions one per user sorted",
        "".join(f"{i},{y}\n" for i, y in enumerate(np.sort(ids))),
        "labels of examples, or counts of labels",
        {},
    ),
    (
        "interactions one per user header",
        "user,item\n" + "".join(f"{i},{y}\n" for i, y in enumerate(ids)),
        "a line for each interaction",
        {},
    ),
    (
        "idx,label header",
        "id,label\n" + "".join(f"{i},{y}\n" for i, y in enumerate(ids)),
        "none is known to be a count",
        {},
    ),
    (",label df.to_csv", pd.DataFrame({"label": ids}).to_csv(), "may have counts or examples", {}),
    (",label sorted", pd.DataFrame({"label": np.sort(ids)}).to_csv(), "may have counts or examples", {}),
    (
        ",label sorted desc",
        pd.DataFrame({"label": np.sort(ids)[::-1]}).to_csv(),
        "labels of examples, or counts of labels",
        {},
    ),
    ("series to_csv", ser.to_csv(), "labels of examples, or counts of labels", {}),
    ("series sorted to_csv", pd.Series(np.sort(ids)).to_csv(), "labels of examples, or counts of labels", {}),
    (
        "series sorted to_csv noindex",
        pd.Series(np.sort(ids)).to_csv(index=False),
        "labels of examples, or counts of labels",
        {},
    ),
    (
        "series sorted desc to_csv",
        pd.Series(np.sort(ids)[::-1]).to_csv(),
        "labels of examples, or counts of labels",
        {},
    ),
    ("json list examples", json.dumps(np.sort(ids).tolist()), "labels of examples, or counts of labels", {}),
    (
        "json dict id->label",
        json.dumps({i: int(y) for i, y in enumerate(ids)}),
        "labels of examples, or counts of labels",
        {},
    ),
    (
        "json dict id->label sorted",
        json.dumps({i: int(y) for i, y in enumerate(np.sort(ids))}),
        "labels of examples, or counts of labels",
        {},
    ),
    ("json id->name", json.dumps({i: f"n{i}" for i in range(5)}), "must have a list", {}),
    ("json class_to_idx", json.dumps({f"n{i}": i for i in range(5)}), "are these ids", {}),
    ("json class_to_idx shuffled", json.dumps({f"n{i}": (i * 7) % 5 for i in range(5)}), "are these ids", {}),
    ("json class_to_idx gaps", json.dumps({f"n{i}": 3 * i for i in range(50)}), "are these ids", {}),
    (
        "json nested",
        json.dumps({"train": {"a": 5, "b": 3}, "val": {"a": 1, "b": 1}}),
        "several columns that may be counts",
        {},
    ),
    ("total in middle", "label,count\na,5\nTotal,8\nb,3\n", "has the sum of the others", {}),
    ("total number", "label,count\n0,5\n1,3\n-1,8\n", "ids must be whole numbers from 0", {}),
    ("total last unnamed", "label,count\na,5\nb,3\n,8\n", "has the sum of the others", {}),
    ("footer comment", "label,count\na,5\nb,3\n# total 8\n", "must be a number", {}),
    ("count comma decimals", "label;count\na;5,0\nb;3,0\n", "must be a number", {}),
    ("k suffix", "label,count\na,5k\nb,3k\n", "must be a number", {}),
    ("thousand spaces", "label,count\na,1 000\nb,3\n", "has a separator of thousands", {}),
    (
        "thousands by blanks",
        "cat 12 000\ndog 900\n",
        "line 1: '12 000' may be one number",
        {},
    ),
    (
        "thousands alone",
        "5 300\n1 234 056\n",
        "line 2: '1 234 056' may be one number",
        {},
    ),
    ("pandas' 0 under a name", "genre,0\nrock,500\npop,300\n", "may be the header that pandas writes", {}),
    ("pandas' 0 over ids", "genre\t0\n3\t500\n5\t300\n", "may be the header that pandas writes", {}),
    ("thousand apos", "label,count\na,1'000\nb,3\n", "has a separator of thousands", {}),
    ("thousands float", "label\tcount\na\t1.500\nb\t2.250\n", "has a separator of thousands", {}),
    ("thousands short", "label\tcount\na\t12.5\nb\t2.0\n", "must be a whole number", {}),
    ("hex", "label,count\na,0x10\nb,3\n", "must be a number", {}),
    ("neg", "label,count\na,-5\nb,3\n", "must be a whole number", {}),
    ("empty count", "label,count\na,\nb,3\n", "must be a number", {}),
    ("NaN count", "label,count\na,NaN\nb,3\n", "must be a whole number", {}),
    ("train count val count", "label,train_count,val_count\na,5,1\nb,3,1\n", "several columns that may be counts", {}),
    ("docfreq", "word,df,cf\na,5,10\nb,3,8\n", "several columns that may be counts", {}),
    ("tf vocab", "a 5 1\nb 3 2\n", "several numbers in each line", {}),
    ("glove vec", "a 0.1 0.2 0.3\nb 0.3 0.2 0.1\n", "several numbers in each line", {}),
    ("word2vec header", "2 3\na 0.1 0.2 0.3\nb 0.3 0.2 0.1\n", "several numbers in each line", {}),
    ("libsvm", "1 1:0.5\n0 2:0.5\n", "has features", {}),
    ("fasttext", "__label__a some text 5\n__label__b other 3\n", "as fastText reads them", {}),
    ("labelled text", "0\tsome text\n1\tother text\n0\tmore\n", "labels of examples, or counts of labels", {}),
    ("tsv text,label", "some text\t0\nother text\t1\nmore\t0\n", "labels of examples, or counts of labels", {}),
    ("class names dup", "cat 5\ncat 3\n", "was on line", {}),
    ("path no ext label sorted", "a 0\nb 0\nc 1\nd 1\ne 2\n", "labels of examples, or counts of labels", {}),
    ("path no ext label from1", "a 1\nb 1\nc 2\nd 2\ne 3\n", "labels of examples, or counts of labels", {}),
    ("path multi label", "a.jpg 0 3\nb.jpg 1 2\n", "several numbers in each line", {}),
    ("path multi label comma", "a.jpg,0,3\nb.jpg,1,2\n", "no header; name them", {}),
    ("path label csv multi", 'path,label\na.jpg,"0,3"\nb.jpg,1\n', "several labels in a cell", {}),
    ("path text labels", "a.jpg cat\nb.jpg cat\nc.jpg dog\n", "must have a label and a count", {}),
    ("xc 1-based", "2 10 2\n1,2 1:0.5\n2 4:1\n", "labels must be 0 to 1", {}),
    ("xc labels only", "0 2\n2\n1 2\n", "expected 2 fields", {}),
    ("mat libsvm multi", "0,2 1:0.5 3:1\n2 4:1\n", "must be a number", {}),
    ("md table", "| label | count |\n|---|---|\n| a | 5 |\n| b | 3 |\n", "must be a number", {}),
    ("latex", "a & 5 \\\\\nb & 3 \\\\\n", "must have a label and a count", {}),
    ("html", "<table><tr><td>a</td></tr></table>", "must be a number", {}),
    ("xml", '<?xml version="1.0"?><a/>', "must have a label and a count", {}),
    ("py dict", "{'cat': 5, 'dog': 3}", "is not JSON", {}),
    ("py Counter", "Counter({'cat': 5, 'dog': 3})", "no labels", {}),
    ("numpy printed", "[500 200 100]\n", "is not JSON", {}),
    (
        "np savetxt examples",
        "".join(f"{y:.18e}\n" for y in np.sort(ids)),
        "labels of examples, or counts of labels",
        {},
    ),
    ("one line of counts csv", "500,200,100\n", "no header; name them", {}),
    ("one line of counts blank", "500 200 100\n", "promises", {}),
    ("wide header row", "cat,dog,owl\n500,200,100\n", "several columns that may be counts", {}),
    ("wide ids row", "0,1,2\n500,200,100\n", "no header; name them", {}),
    ("wide 2 labels", "cat,dog\n5,3\n", "several columns that may be counts", {}),
    ("transposed", "label,0,1,2\ncount,500,200,100\n", "a header must have no numbers", {}),
    ("describe", "count,50\nmean,3\nstd,2\n", "a header must have no numbers", {}),
    ("count first not falling distinct", "500,3\n700,1\n600,7\n", "either of its two columns may be the labels", {}),
    ("count first falling", "700,3\n500,1\n100,0\n", "either of its two columns may be the labels", {}),
    ("both fall", "9 700\n5 500\n3 100\n", "either of its two columns may be the labels", {}),
    ("both rise", "3 100\n5 500\n9 700\n", "either of its two columns may be the labels", {}),
    ("years", "label,2019,2020\na,5,3\n", "a header must have no numbers", {}),
    ("label year count", "label,year,count\na,2019,5\na,2020,3\n", "was on line", {}),
    ("label split images", "label,split,images\ncat,train,500\ncat,val,50\n", "none is known to be a count", {}),
    (
        "label split images label",
        "label,split,images\ncat,train,500\ncat,val,50\n",
        "none is known to be a count",
        {"label": "label"},
    ),
    ("label,images rep label", "label,images\ncat,500\ncat,50\n", "none is known to be a count", {"label": "label"}),
    ("multiindex vc", "label,split,count\n0,train,5\n0,val,3\n", "was on line", {}),
    ("vc normalize", pd.Series(ids).value_counts(normalize=True).to_csv(), "has shares", {}),
    ("crosstab", "label,0,1\na,5,3\nb,2,1\n", "a header must have no numbers", {}),
    ("latin1", "label,count\nK\xe4fer,5\nHund,3\n".encode("latin-1"), "not a text file in UTF-8", {}),
    ("nbsp", "label,count\na,1\xa0000\nb,3\n", "has a separator of thousands", {}),
    ("parquet", b"PAR1junk", "Parquet file", {}),
    ("gz of npy", gzip.compress(npy(np.sort(ids))), "labels of examples, or counts of labels", {}),
    ("huge id", "label,count\n1000000000,5\n1,3\n", "cannot be the number of a column", {}),
    ("hash ids", "label,count\n8402934820394820394,5\n3402934820394820394,3\n", "cannot be the number of a column", {}),
    ("hash ids 2^53", "item,count\n402934820394,5\n340293482039,3\n", "cannot be the number of a column", {}),
    ("weights col", "label,weight\na,0.2\nb,0.8\n", "none is known to be a count", {}),
    ("weights int", "label,weight\na,2\nb,8\n", "none is known to be a count", {}),
    ("inv freq", "label,inverse_frequency\na,2\nb,8\n", "none is known to be a count", {}),
    ("log count", "label,log_count\na,2\nb,8\n", "none is known to be a count", {}),
    ("max count", "label,max_count\na,2\nb,8\n", "none is known to be a count", {}),
    ("freq shares", "label,freq\na,0.2\nb,0.8\n", "has shares", {}),
    ("freq shares not 1", "label,freq\na,0.2\nb,0.5\n", "must be a whole number", {}),
    ("frequency percent sign", "label,frequency\na,20%\nb,80%\n", "is a share", {}),
    ("n labels header line", "3\n500\n200\n100\n", "as many numbers follow", {}),
    ("class number", "class,number\ncat,1\ndog,2\nowl,3\n", "are these ids", {}),
    ("name id numbers", "name,num\ncat,0\ndog,1\nowl,2\n", "are these ids", {}),
    ("name,id header", "name,id\ncat,0\ndog,1\nowl,2\n", "none is known to be a count", {}),
    ("id,name header", "id,name\n0,cat\n1,dog\n", "none is known to be a count", {}),
    ("label,n ids swapped", "n,label\n0,cat\n1,dog\n2,owl\n", "are these ids", {}),
    ("only names", "label\ncat\ndog\nowl\n", "has each label once", {}),
    ("only ids", "id\n0\n1\n2\n3\n", "has each label once", {}),
    ("label dup + count", "label,count\n3,5\n3,2\n1,1\n", "was on line", {}),
    ("item,rating label", "item,rating\n0,4\n1,5\n2,3\n", "none is known to be a count", {"label": "item"}),
    ("ini spaces", "cat=5\ndog=3\n", "one column, of text", {}),
]


def found(folder: Path, content: Any, options: dict[str, str]) -> LabelPrior:
    file = folder / "file"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return LabelPrior.from_file(file, **options)


@pytest.mark.parametrize(("content", "counts", "names", "options"), [row[1:] for row in READ], ids=[r[0] for r in READ])
def test_it_is_read_as_it_was_meant(
    tmp_path: Path, content: Any, counts: Any, names: Any, options: dict[str, str]
) -> None:
    prior = found(tmp_path, content, options)
    assert prior.counts is not None
    assert (prior.counts.astype(int).tolist(), prior.names) == (counts, names)


@pytest.mark.parametrize(("content", "said", "options"), [row[1:] for row in REFUSED], ids=[r[0] for r in REFUSED])
def test_it_is_refused(tmp_path: Path, content: Any, said: str, options: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        found(tmp_path, content, options)
    assert str(tmp_path / "file") in str(caught.value)
    assert len(str(caught.value)) <= 300 + len(str(tmp_path))


def test_labels_that_never_occur_are_no_header(tmp_path: Path) -> None:
    prior = found(tmp_path, "rock,0\npop,0\njazz,40\nfolk,30\n", {})
    assert prior.counts is not None
    assert (prior.counts.tolist(), prior.names) == ([0, 0, 40, 30], ("rock", "pop", "jazz", "folk"))
    for zeros in ("cat, 0\ndog, 0\nbird, 50\nowl, 20\n", "cat,0\ndog,0.0\nbird,50\nowl,20\n"):
        prior = found(tmp_path, zeros, {})
        assert prior.counts is not None
        assert prior.counts.tolist() == [0, 0, 50, 20]
    prior = found(tmp_path, "3,0\n0,50\n1,20\n2,70\n", {})
    assert prior.counts is not None
    assert prior.counts.tolist() == [50, 20, 70, 0]


# pandas reads a file of 5 MB in parts, by its path, where it can.
@pytest.mark.parametrize("name", ["counts.csv", "counts.gz"])
@pytest.mark.parametrize("above", ["", "# items of 2024\n\n", "\n"])
@pytest.mark.parametrize("quote", ["", '"'])
def test_a_large_file_is_read_as_a_small_one(tmp_path: Path, name: str, above: str, quote: str) -> None:
    n = 300_000
    lines = [f"{quote}thing number {i}{quote},{1 + i * 7919 % n}" for i in range(n)]
    text = above + "\n".join(["label,count", *lines, ""])
    assert len(text) > 5 * 2**20
    file = tmp_path / name
    file.write_text(text)
    prior = LabelPrior.from_file(file)
    assert prior.counts is not None
    assert prior.names is not None
    assert (prior.counts == 1 + np.arange(n) * 7919 % n).all()
    assert prior.names == tuple(f"thing number {i}" for i in range(n))


def test_a_large_file_is_the_one_that_was_opened(tmp_path: Path) -> None:
    """`link/..` is the folder above what the link points to."""
    for folder, first in ((tmp_path / "e", "a"), (tmp_path, "wrong")):
        (folder / "f").mkdir(parents=True, exist_ok=True)
        (folder / "y.csv").write_text(f"label,count\n{first},3\nb,4\n")
    (tmp_path / "g").symlink_to(tmp_path / "e" / "f")
    assert LabelPrior.from_file(str(tmp_path / "g" / ".." / "y.csv")).names == ("a", "b")
