"""The study: the packages, an audit of each case, and the table of what came of it."""

from __future__ import annotations

import importlib.metadata
import inspect
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import implicitloss as il
from analysis.libraries import (
    classification,
    contrastive,
    gensim,
    jax,
    knowledge_graphs,
    recommenders,
    sequential,
    tensorflow,
    torch,
)
from analysis.libraries.case import Audited, LibraryCase, Size
from analysis.study import Point, Row
from implicitloss.labels import Floats, LabelPrior, Labels

# Times beside each other would time each other.
ALONE = True

LABELS, M, RUNS = 1000, 100, 8000
QUICK_LABELS, QUICK_M, QUICK_RUNS = 200, 20, 2000
SEED = 20261121

PACKAGES: dict[str, Callable[[Size], list[LibraryCase]]] = {
    "tensorflow": tensorflow.tensorflow,
    "torch": torch.torch,
    "sentence-transformers": torch.sentence_transformers,
    "pytorch-metric-learning": torch.pytorch_metric_learning,
    "optax": jax.optax,
    "torch-rechub": recommenders.torch_rechub,
    "recbole": recommenders.recbole,
    "gensim": gensim.gensim,
    "keras-rs": tensorflow.keras_rs,
    "tensorflow-recommenders": tensorflow.tensorflow_recommenders,
    "deepmatch": tensorflow.deepmatch,
    "librecommender": recommenders.librecommender,
    "info-nce-pytorch": contrastive.info_nce_pytorch,
    "lightly": contrastive.lightly,
    "open-clip-torch": contrastive.open_clip,
    "rectools": sequential.rectools,
    "replay-rec": sequential.replay,
    "transformers4rec": sequential.transformers4rec,
    "pykeen": knowledge_graphs.pykeen,
    "timm": classification.timm,
    "balanced-loss": classification.balanced_loss,
    "cut-cross-entropy": classification.cut_cross_entropy,
    "mmpretrain": classification.mmpretrain,
}


def points(prior: LabelPrior, quick: bool) -> list[Point]:
    """A package each; the prior is Zipf's, whatever the study is given."""
    return [{"package": name, "quick": quick} for name in PACKAGES]


def rows(prior: LabelPrior, point: Point) -> list[Row]:
    """One row an audit; one row that says why, where the package is missing or fails."""
    package = point["package"]
    size = Size(QUICK_LABELS, QUICK_M, QUICK_RUNS) if point["quick"] else Size(LABELS, M, RUNS)
    try:
        version = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return [_row(package, "", size, verdict="skipped", notes=f"not installed: pip install {package}")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of other people's packages
        try:
            cases = PACKAGES[package](size)
        except Exception as error:  # whatever it is, the other packages go on
            return [_row(package, version, size, verdict="skipped", notes=_said(error))]
        return [_audited(package, version, case, size) for case in cases]


# What adapters offer beside the answer.
OFFERED = ("stream", "resetting", "flaws_between_rows", "directions", "largest_spread")


@dataclass(eq=False)
class _Counted:
    """A loss that counts the examples that it is asked for; with what its adapter offers besides."""

    loss: Audited
    asked: int = 0

    def __call__(self, scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
        self.asked += positive.size
        return self.loss(scores, positive, rng)

    def __post_init__(self) -> None:
        # As attributes of its own: protocols of Python 3.12 ask for no others.
        for name in OFFERED:
            if hasattr(self.loss, name):
                setattr(self, name, self._stream if name == "stream" else getattr(self.loss, name))

    def _stream(self) -> Audited:
        answer = self.loss.stream()  # type: ignore[attr-defined]

        def ask(scores: Floats, positive: Labels, rng: np.random.Generator) -> Any:
            self.asked += positive.size
            return answer(scores, positive, rng)

        return ask


def _audited(package: str, version: str, case: LibraryCase, size: Size) -> Row:
    """One case."""
    counted = _Counted(case.loss)
    start = time.perf_counter()
    about = {"function": case.function, "documented": quoted(case.quote, case.source), "audited": case.words}
    try:
        options = {"runs": size.runs, "rng": SEED, **case.options}
        report = il.audit(counted, claim=case.claim, prior=case.prior, **options)
    except Exception as error:  # as above
        return _row(package, version, size, **about, verdict="skipped", notes=_said(error))
    tilt, gains = (report.tilt, report.gains) if case.leans else (None, None)
    slope = "" if tilt is None or tilt.true is None else round(tilt.true, 3)
    nearest = "" if report.nearest is None else str(report.nearest)
    worst = report.failures[:1]
    off = [
        f"positive {cell.positive}, {cell.part}: Σp {cell.claimed:.4g} claimed, {cell.measured:.4g} measured "
        f"({cell.low:.4g} to {cell.high:.4g})"
        for cell in worst
    ]
    return _row(
        package, version, size, **about, nearest=nearest, verdict=report.verdict, gains=gains or "", tilt=slope,
        notes="; ".join([*off, *map(str, (*report.flaws, *report.notes))]), evaluations=counted.asked,
        seconds=round(time.perf_counter() - start, 1),
    )  # fmt: skip


COLUMNS = (
    "package", "version", "function", "documented", "audited", "nearest", "verdict", "gains", "tilt", "notes",
    "evaluations", "seconds", "date", "labels", "m",
)  # fmt: skip


def _row(package: str, version: str, size: Size, **more: Any) -> Row:
    of = {"package": package, "version": version, "date": time.strftime("%Y-%m-%d"), "labels": size.n_labels}
    given = {**of, "m": size.m, **more}
    return {name: given.get(name, "") for name in COLUMNS}


def _said(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


def quoted(quote: str, source: Any) -> str:
    """The quote, if it stands in the installed docstring of `source`, and where."""
    if not quote:
        return ""
    name = f"{getattr(source, '__module__', '')}.{getattr(source, '__qualname__', source)}"
    text = " ".join((inspect.getdoc(source) or "").split())
    return f"“{quote}” ({name})" if quote in text else f"(no longer documented: “{quote}”, {name})"


def summary(rows: Sequence[Row]) -> str:
    """The table in Markdown: what was audited, the verdict, what fits best and who gains; and what was left out."""
    head = ("package", "function", "documented", "audited", "nearest", "verdict", "who gains", "evaluations", "seconds")
    lines = ["| " + " | ".join(head) + " |", "| " + " | ".join(["---"] * len(head)) + " |"]
    for row in rows:
        if row["verdict"] == "skipped" and not row["function"]:
            continue
        cells = (
            f"{row['package']} {row['version']}", row["function"], row["documented"] or "—", row["audited"],
            row["nearest"] or "—", f"**{row['verdict']}**", _gains(row), row["evaluations"], row["seconds"],
        )  # fmt: skip
        lines.append("| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |")
    left_out = [f"{row['package']} was left out: {row['notes']}" for row in rows if row["verdict"] == "skipped"]
    return "\n".join(lines + (["", *left_out] if left_out else []))


def _gains(row: Row) -> str:
    return "—" if row["gains"] == "" else f"{row['gains']} ({row['tilt']:+.3f})"
