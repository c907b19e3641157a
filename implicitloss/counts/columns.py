"""Which column of a table has the labels, which the counts, and which the names?

One file: what a column is depends on what the others are, and what it may be besides is asked in the same order.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from implicitloss.arguments import shown
from implicitloss.counts.table import NUMBER, Column, Table
from implicitloss.formats import nearest_name

__all__ = ["COUNTS", "EXAMPLES", "LABELS", "Chosen", "chosen"]

COUNTS = {
    "count", "counts", "freq", "freqs", "frequency", "frequencies", "n", "num", "number", "instances", "instance_count",
    "image_count", "n_samples", "num_samples", "num_images", "occurrences", "cnt",
}  # fmt: skip
SHARES = {"share", "shares", "proportion", "probability", "prob", "percent", "percentage", "pct", "%", "fraction"}
LABELS = {
    "label", "labels", "class", "class_id", "category", "category_id", "id", "label_id", "item", "item_id", "word",
    "token", "token_id", "index", "name", "label_name", "class_name", "category_name", "target", "targets", "y",
}  # fmt: skip
# Columns of examples: a table that has one of these and labels has a row for each example.
EXAMPLES = {
    "path", "image", "img", "file", "filename", "file_name", "filepath", "file_path", "image_path", "img_path",
    "image_id", "text", "sentence", "url",
}  # fmt: skip
# Columns of interactions: a table that has one of these has a row for each, if its labels are pointed out.
INTERACTIONS = {
    "user", "user_id", "userid", "uid", "session", "session_id", "sessionid", "visitor_id", "visitorid", "customer",
    "customer_id", "reviewerid", "timestamp", "ts",
}  # fmt: skip
# Names of columns that may as well number the labels.
MAY_NUMBER = {"n", "num", "number"}
MEDIA = re.compile(r".*\.(jpe?g|png|gif|bmp|webp|tiff?|npy|wav|mp3|flac|mp4|avi|txt)", re.IGNORECASE)
# Numbers whose largest is at most this many times the number of different ones may be the labels of examples.
LABELS_A_VALUE = 2
# Falling numbers without a gap may be labels too, if each comes so often in the mean.
FALLING_A_VALUE = 3
# Rising numbers that repeat may be labels of examples if they begin at 0 or 1, or if so many are different.
RISING_VALUES = 10
LOOKED_AT = 1000


@dataclass(frozen=True, eq=False)
class Chosen:
    """The columns that matter.  Without `counts`, each row is an example; without `labels`, row j is label j."""

    labels: Column | None
    counts: Column | None
    names: Column | None = None


def chosen(table: Table, label: str | None, count: str | None) -> Chosen:
    """The columns called `label` and `count`, or those that are known by their names, or by what they hold.

    *Raises* ValueError where that is ambiguous.
    """
    if not table.columns or not table.n_rows:
        raise ValueError(f"{table.name} has no labels; at least one line 'label,count' is needed")
    if not table.has_header:
        if label is not None or count is not None:
            raise ValueError(f"{table.name} has no header, so its columns have no names; write one in the first line")
        return _by_content(table)
    counts = _called(table, count) if count is not None else _counts(table, label)
    labels = [_called(table, label)] if label is not None else _labels(table, counts)
    if not labels and counts is None:
        raise _unclear(table)
    return _with_names(table, labels, counts)


def _called(table: Table, name: str) -> Column:
    """The column of this name."""
    found = [c for c in table.columns if c.name is not None and c.name.strip() == name.strip()]
    if len(found) == 1:
        return found[0]
    names = [c.name.strip() for c in table.columns if c.name]
    if found:
        raise ValueError(f"{table.name} has {len(found)} columns called {shown(name)}; give each a name of its own")
    near = nearest_name(name, names)
    hint = "" if near is None else f"; did you mean {shown(near)}?"
    raise ValueError(f"{table.name} has no column {shown(name)}, only {_listed(names)}{hint}")


def _counts(table: Table, label: str | None) -> Column | None:
    """The column of counts, or None where each row is an example."""
    columns = [c for c in table.columns if label is None or (c.name or "").strip() != label.strip()]
    known = [c for c in columns if c.key in COUNTS]
    if len(known) > 1:
        raise _several(table, known)
    if known:
        return _not_numbering(table, known[0])
    if len(table.columns) == 1:
        return _only(table, table.columns[0], label)
    if any(c.key in INTERACTIONS for c in columns):
        _check_interactions(table, label)
        return None
    # pandas before 2.0 writes ",label" or "index,label" for the counts of the column called label, and 0 where it has
    # no name.
    pair = _without_numbering(table.columns)
    if len(pair) == 2 and (pair[0].key in ("", "index") or pair[1].key == "0") and pair[1].kind == "whole":
        index, values = pair
        if values.key in ("0", "") or values.falls or not index.is_numbering:
            return _not_examples(table, values) if index.is_numbering else values
        if values.key in LABELS:
            raise ValueError(
                f"{table.name} may have counts or examples in its column {shown(values.name)}; name the column of "
                "counts 'count', or leave the other column out"
            )
    if any(c.key in EXAMPLES for c in columns) and any(c.key in LABELS for c in table.columns):
        return None
    no_counts = LABELS | SHARES | {"", "unnamed:_0"}
    numbers = [c for c in _without_numbering(columns) if c.key not in no_counts and c.kind != "text"]
    numbers = numbers or [c for c in columns if c.key not in no_counts and _is_nearly_of_numbers(c)]
    shares = [c for c in columns if c.key in SHARES]
    if shares and not numbers:
        raise ValueError(
            f"{table.name} has shares in its column {shown(shares[0].name)}, and counts are needed; for shares use "
            "LabelPrior.from_probabilities"
        )
    if label is not None and not numbers:
        return None
    raise _several(table, numbers) if len(numbers) > 1 else _unclear(table, numbers)


def _is_nearly_of_numbers(column: Column) -> bool:
    """Whether most of the first cells are numbers: those that are none are told where counts are read."""
    cells = column.texts[:LOOKED_AT]
    return 2 * sum(NUMBER.fullmatch(cell) is not None for cell in cells) > len(cells)


def _only(table: Table, only: Column, label: str | None) -> Column | None:
    """The only column as counts, or None where its cells are the labels of examples."""
    if only.key in LABELS or label is not None:
        return None
    if only.kind == "text":
        raise ValueError(
            f"{table.name} has one column, of text, and {shown(only.name)} above it: to count its lines write 'label' "
            "in a line above them"
        )
    return _not_examples(table, only)


def _check_interactions(table: Table, label: str | None) -> None:
    """*Raises* ValueError where it is not said which column has the labels of a table with a row an interaction."""
    if label is not None:
        return
    others = [c for c in table.columns if c.key not in INTERACTIONS and c.key not in ("rating", "score")]
    likely = next((c for c in others if c.key in LABELS or c.key.endswith("id")), (others or table.columns)[-1])
    name = str(likely.name).strip()
    raise ValueError(
        f"{table.name} has the columns {_listed([str(c.name) for c in table.columns])}, a line for each interaction; "
        f"say which column has the labels, and its lines are counted: label={name!r:.40} (--label-column {name:.40})"
    )


def _not_numbering(table: Table, counts: Column) -> Column:
    """The column; *raises* ValueError if its name may be that of ids, and it numbers the rows."""
    has_names = any(c.kind == "text" for c in table.columns if c is not counts)
    if counts.key in MAY_NUMBER and counts.size > 1 and has_names and counts.is_numbering:
        raise ValueError(
            f"{table.name} has a number for each name, 0 to L-1 or 1 to L, in its column {shown(counts.name)}: are "
            "these ids?  If they are counts, call the column 'count'"
        )
    return counts


def _without_numbering(columns: Sequence[Column]) -> Sequence[Column]:
    """The columns without pandas' numbering of rows, if there are other columns enough."""
    numbers = len(columns) > 2 and columns[0].key in ("", "unnamed:_0") and columns[0].is_numbering
    return columns[1:] if numbers else columns


def _labels(table: Table, counts: Column | None) -> list[Column]:
    """The columns that can name a label: an id, a name, or both."""
    others = [c for c in table.columns if c is not counts]
    if len(others) == 1:
        return others
    known = [c for c in others if c.key in LABELS]
    if known:
        return known
    left = [c for c in others if c.key not in EXAMPLES and c.key not in SHARES]
    if len(left) > 1:
        left = [c for c in left if c in _without_numbering(table.columns)]
    if len(left) > 1:
        raise ValueError(
            f"{table.name} has no column that is called label; choose one of {_listed([c.name or '' for c in left])} "
            "with label=... (--label-column)"
        )
    return left


def _with_names(table: Table, labels: Sequence[Column], counts: Column | None) -> Chosen:
    """Ids beside names, where a table has both."""
    if len(labels) <= 1:
        names = None
        only = labels[0] if labels else None
        if only is not None and only.kind == "whole":
            beside = [c for c in table.columns if c.key in LABELS and c is not only and c.kind == "text"]
            names = beside[0] if len(beside) == 1 else None
        return Chosen(only, counts, names)
    ids, texts = [c for c in labels if c.kind == "whole"], [c for c in labels if c.kind != "whole"]
    if len(ids) == 2 and ids[0].key == "index" and ids[0].is_numbering:
        ids = ids[1:]
    if len(ids) == 1 and len(texts) <= 1:
        return Chosen(ids[0], counts, texts[0] if texts else None)
    if not ids and len(texts) == 1:
        return Chosen(texts[0], counts)
    raise ValueError(
        f"{table.name} has several columns of labels, {_listed([c.name or '' for c in labels])}; choose one with "
        "label=... (--label-column)"
    )


def _by_content(table: Table) -> Chosen:
    """The columns of a table without a header, by what they hold."""
    columns = table.columns
    if len(columns) == 1:
        return Chosen(None, _not_examples(table, _not_size_first(table, columns[0])))
    if len(columns) > 2:
        raise ValueError(
            f"{table.name} has {len(columns)} columns and no header; name them in a first line, e.g. 'label,count'"
        )
    first, second = columns
    if "text" not in (first.kind, second.kind):
        found = Chosen(first, second) if first.key in LABELS else _of_numbers(table, first, second)
        assert found.counts is not None
        _not_examples(table, found.counts)
        return found
    names, counts = (first, second) if first.kind == "text" else (second, first)
    if counts.kind == "whole" and all(MEDIA.fullmatch(cell) for cell in names.texts[:100]):
        return Chosen(counts, None)
    if counts.is_numbering and names.size > 1:
        raise ValueError(
            f"{table.name} has a number for each name, 0 to L-1 or 1 to L: are these ids?  If they are counts, say so "
            "with the header 'label,count'"
        )
    if counts.size > 2 and counts.begins_low and counts.rises and not counts.has_repeats:
        raise ValueError(
            f"{table.name} has a number for each name, and they rise from {counts.texts[0]:.20}: are these ids?  If "
            "they are counts, say so with the header 'label,count'"
        )
    return Chosen(names, _not_examples(table, counts))


def _of_numbers(table: Table, first: Column, second: Column) -> Chosen:
    """Two columns of numbers: counts may repeat, or number nothing, or fall, where labels do not."""
    tests: tuple[Callable[[Column], bool], ...] = (
        lambda column: column.has_repeats,
        lambda column: not column.is_numbering,
        lambda column: column.falls,
    )
    for test in tests if not (first.is_numbering and second.is_numbering) else ():
        counts = [column for column in (first, second) if test(column)]
        if len(counts) == 1:
            return Chosen(second if counts[0] is first else first, counts[0])
    raise ValueError(
        f"{table.name} has no header, and either of its two columns may be the labels; write 'label,count' or "
        "'count,label' in a first line"
    )


def _not_examples(table: Table, counts: Column) -> Column:
    """The column; *raises* ValueError for numbers that may be the labels of examples instead of counts.

    Labels of examples repeat, and hardly leave a number out below the largest; or they rise from row to row.
    Counts that fall from label to label are usual, unless the largest comes twice and they leave no number out.
    """
    numbers = counts.numbers
    if numbers is None or counts.kind != "whole":
        return counts
    if counts.falls:
        different = counts.n_different
        no_gap = 2 < different == int(numbers[0] - numbers[-1]) + 1 and numbers[0] == numbers[1]
        may_be = no_gap and counts.begins_low and numbers.size >= FALLING_A_VALUE * different
    elif counts.rises and (counts.begins_low or counts.n_different >= RISING_VALUES):
        may_be = counts.n_different < numbers.size
    else:  # to count how many differ takes long
        most = float(numbers.max()) + 1
        may_be = 0 < most <= LABELS_A_VALUE * numbers.size and most <= LABELS_A_VALUE * counts.n_different
        may_be = may_be and numbers.size >= 1.5 * counts.n_different
    if may_be:
        raise ValueError(
            f"{table.name} has {numbers.size} numbers that nothing calls counts, from {numbers.min():.0f} to "
            f"{numbers.max():.0f}: labels of examples, or counts of labels?  For examples write "
            "numpy.bincount(labels); for counts write the header 'label,count' and the labels"
        )
    return counts


def _not_size_first(table: Table, counts: Column) -> Column:
    """The column; *raises* ValueError if its first number is how many follow, which then fall."""
    numbers = counts.numbers
    if numbers is None or numbers.size < 3 or numbers[0] != numbers.size - 1 or counts.falls:
        return counts
    if bool((np.diff(numbers[1:]) <= 0).all()):
        raise ValueError(
            f"{table.name} begins with {numbers[0]:.0f}, and as many numbers follow: is that a count?  If not, delete "
            "it; if so, write the header 'label,count' and the labels"
        )
    return counts


def _several(table: Table, columns: Sequence[Column]) -> ValueError:
    names = [str(c.name).strip() for c in columns]
    return ValueError(
        f"{table.name} has several columns that may be counts, {_listed(names)}; choose one with "
        f"count={names[0]!r:.40} (--count-column)"
    )


def _unclear(table: Table, numbers: Sequence[Column] = ()) -> ValueError:
    names = [str(c.name).strip() for c in table.columns]
    if numbers:
        example = repr(str(numbers[0].name).strip())
        way = f"name one with count={example:.40} (--count-column), or write the header 'label,count'"
    else:
        last = next((c for c in reversed(table.columns) if c.key in LABELS and c.name), table.columns[-1])
        way = (
            "write the header 'label,count'; or, if each line is an example, name the column of labels with "
            f"label={str(last.name).strip()!r:.40} (--label-column)"
        )
    return ValueError(f"{table.name} has the columns {_listed(names)}, and none is known to be a count; {way}")


def _listed(names: Sequence[str]) -> str:
    shown_names = [shown(name) for name in names[:5]]
    return ", ".join(shown_names) + ("..." if len(names) > 5 else "")
