"""A study: a module of this folder, or a folder with a module `study`, that defines some of the names of `Study`."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from implicitloss.labels import LabelPrior

Point = Mapping[str, Any]
Row = dict[str, Any]
# Modules of this folder that are no studies.
OTHERS = {"__main__", "runner", "study"}


@dataclass(frozen=True)
class Study:
    """What a module of a study defines.

    `points(prior, quick)` is its grid, as plain values; `rows(prior, point)` computes a point, and depends on nothing
    else.  `summary(rows)`, if there is one, is printed at the end.  `data` says which files the study reads, if any:
    then it is `points(prior, quick, data)` that names them.  With `own_labels` it takes no label counts.  With `alone`
    it measures times, and runs in one process.  A module writes these three in capitals.
    """

    name: str
    points: Callable[..., Sequence[Point]]
    rows: Callable[[LabelPrior, Point], Sequence[Row]]
    summary: Callable[[Sequence[Row]], str] | None = None
    data: str | None = None
    own_labels: bool = False
    alone: bool = False

    @classmethod
    def named(cls, name: str) -> Study:
        """The study of a module, by its name."""
        module = importlib.import_module(f"analysis.{name}")
        given = {key: value for key, value in vars(module).items() if key in ("points", "rows", "summary")}
        flags = {key.lower(): value for key, value in vars(module).items() if key in ("DATA", "OWN_LABELS", "ALONE")}
        return cls(name, **given, **flags)

    def grid(self, prior: LabelPrior, quick: bool, data: Sequence[str]) -> list[Point]:
        """The points, of the files `data` where the study reads files."""
        return list(self.points(prior, quick) if self.data is None else self.points(prior, quick, data))


def names() -> list[str]:
    """The studies: modules of this folder, and folders that have a module `study`."""
    import analysis

    folders = {path.parent.name for root in analysis.__path__ for path in Path(root).glob("*/study.py")}
    found = {m.name for m in pkgutil.iter_modules(analysis.__path__) if not m.ispkg or m.name in folders}
    return sorted(found - OTHERS)
