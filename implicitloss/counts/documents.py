"""JSON: lists, dicts, records, what pandas writes, and the categories of COCO and LVIS."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from implicitloss.arguments import shown
from implicitloss.counts.columns import COUNTS
from implicitloss.counts.source import Source
from implicitloss.counts.table import Column, Table, column

__all__ = ["document"]

WAYS = 'a list of counts, {"label": count, ...}, records with label and count, or COCO categories'
# The counts of LVIS: instances, and images with an instance.
CATEGORY_COUNTS = {"instance_count", "image_count"}


def document(source: Source) -> Table:
    """The table of a JSON file, or of JSON lines.  *Raises* ValueError for a document of another shape."""
    text = source.text
    try:
        given = json.loads(text, object_pairs_hook=_pairs)
    except (ValueError, RecursionError) as error:
        try:
            given = [json.loads(line, object_pairs_hook=_pairs) for line in text.splitlines() if line.strip()]
        except (ValueError, RecursionError):
            raise ValueError(f"{source.name} is not JSON: {error!s:.100}") from None
        if not all(isinstance(one, dict) for one in given):
            raise ValueError(f"{source.name} is not JSON: {error!s:.100}") from None
    table = _of_dict(source.name, given) if isinstance(given, dict) else _of_list(source.name, given)
    if table is None:
        raise ValueError(f"{source.name} must have {WAYS}, got {_kind(given)}")
    return table


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A dict; *raises* ValueError for a key that comes twice, of which JSON would keep the last."""
    found = dict(pairs)
    if len(found) < len(pairs):
        (key, times), *_ = Counter(key for key, _ in pairs).most_common(1)
        raise ValueError(f"the key {shown(key)} comes {times} times")
    return found


def _of_list(name: str, given: Any) -> Table | None:
    if not isinstance(given, list) or not given:
        return None
    if all(isinstance(one, dict) for one in given):
        if all("id" in one and not CATEGORY_COUNTS.isdisjoint(one) for one in given):
            return _categories(name, {"categories": given})
        keys = list(dict.fromkeys(key for one in given for key in one))
        flat = [key for key in keys if not any(isinstance(one.get(key), (dict, list)) for one in given)]
        return _table(name, [column(key, [one.get(key) for one in given]) for key in flat], True)
    if all(isinstance(one, list) and len(one) == 2 for one in given):
        return _table(name, [column(None, [one[k] for one in given]) for k in (0, 1)], False)
    if all(isinstance(one, (int, float)) and not isinstance(one, bool) for one in given):
        return _table(name, [column(None, given)], False)
    return None


def _of_dict(name: str, given: dict[str, Any]) -> Table | None:
    if isinstance(given.get("categories"), list):
        return _categories(name, given)
    if not given:
        return None
    values = list(given.values())
    if all(isinstance(one, (int, float)) and not isinstance(one, bool) for one in values):
        return _table(name, [column("label", list(given)), column(None, values)], False)
    if isinstance(given.get("index"), list) and isinstance(given.get("data"), list):
        return _split(name, given)
    if all(isinstance(one, list) for one in values) and len({len(one) for one in values}) == 1:
        return _table(name, [column(key, one) for key, one in given.items()], True)
    if all(isinstance(one, dict) for one in values):
        # What DataFrame.to_json writes: a dict of rows for each column.
        if len(values) == 1:
            return _of_dict(name, values[0]) if next(iter(given)) in COUNTS else None
        rows = list(values[0])
        if all(list(one) == rows for one in values):
            return _table(name, [column(key, list(one.values())) for key, one in given.items()], True)
    return None


def _split(name: str, given: dict[str, Any]) -> Table | None:
    """What pandas writes with orient="split"."""
    index, data = given["index"], given["data"]
    if len(index) != len(data):
        return None
    if "columns" not in given:
        return _table(name, [column("label", index), column(None, data)], False)
    names = given["columns"]
    if not isinstance(names, list) or not all(isinstance(row, list) and len(row) == len(names) for row in data):
        return None
    columns = [column(str(key), [row[k] for row in data]) for k, key in enumerate(names)]
    return _table(name, [column("", index), *columns], True)


def _categories(name: str, given: dict[str, Any]) -> Table:
    """The categories of COCO or LVIS, in the order of their ids; counts are theirs, or those of the annotations."""
    categories = given["categories"]
    if not categories or not all(isinstance(one, dict) and isinstance(one.get("id"), int) for one in categories):
        raise ValueError(f"{name}: the categories must each have a whole number as their id")
    twice, times = Counter(one["id"] for one in categories).most_common(1)[0]
    if times > 1:
        raise ValueError(f"{name}: {times} categories have the id {twice}")
    categories = sorted(categories, key=lambda one: one["id"])
    called = [str(one.get("name", one["id"])) for one in categories]
    counts = [
        column(key, [one.get(key, 0) for one in categories])
        for key in sorted(CATEGORY_COUNTS, reverse=True)
        if any(key in one for one in categories)
    ]
    if not counts:
        annotations = given.get("annotations")
        if not isinstance(annotations, list) or not annotations:
            raise ValueError(f"{name}: the categories need an instance_count, an image_count, or annotations")
        seen = Counter(str(one.get("category_id")) for one in annotations if isinstance(one, dict))
        strange = set(seen) - {str(one["id"]) for one in categories}
        if strange:
            raise ValueError(f"{name}: an annotation has the category {min(strange):.40}, which is not listed")
        counts = [column("count", [seen[str(one["id"])] for one in categories])]
    # A name is a name, even if it is a number.
    return _table(name, [Column("label", None, lambda: called), *counts], True)


def _table(name: str, columns: list[Column], has_header: bool) -> Table:
    return Table(name, tuple(columns), has_header, lambda i: f"{name}, entry {i + 1}")


def _kind(given: Any) -> str:
    kinds: dict[type, str] = {list: "a list of something else", dict: "a dict of something else"}
    return kinds.get(type(given)) or shown(given)
