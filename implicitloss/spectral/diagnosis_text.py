"""A diagnosis in words."""

from __future__ import annotations

from collections.abc import Sequence

from implicitloss.arguments import checked_whole
from implicitloss.spectral.diagnosis import ClassError, Diagnosis
from implicitloss.spectral.table import ReportTable

__all__ = ["MARK", "table_of"]

# All classes are listed if they are few, else the worst.
ALL_OF, WORST = 30, 20
MARK = "*"


def table_of(found: Diagnosis, rows: int | None) -> ReportTable:
    """The classes, worst first, so many or all of few."""
    if rows is None:
        rows = len(found.rows) if len(found.rows) <= ALL_OF else WORST
    listed = found.rows[: checked_whole(rows, "rows", 1)]
    head = ["class", "samples", "error", "±", "predicted", "effective rank", "±", "influence V"]
    return ReportTable(
        "How often does a linear classifier on these features miss each class?",
        _facts(found),
        head if found.augment is None else [*head, "augmented"],
        [_cells(found, row) for row in listed],
        _legend(found, listed),
    )


def _facts(found: Diagnosis) -> list[str]:
    chosen = "chosen by leave-one-out" if found.ridge == "loo" else "as given"
    gap = found.worst.error - found.best.error
    return [
        f"{len(found.left_out.codes):,} samples, {found.features:,} feature{'s' if found.features > 1 else ''}, "
        f"{len(found.rows):,} classes; ridge regression with λ = {found.lam:.3g}, {chosen}",
        f"mean of the classes' errors {found.mean_error:.1%} ± {found.mean_standard_error:.1%}; worst "
        f"{found.worst.name}, best {found.best.name}: a gap of {100 * gap:.1f} points",
    ]


def _cells(found: Diagnosis, row: ClassError) -> list[str]:
    mark = " " if row.trusted else MARK
    cells = [
        row.name,
        f"{row.n:,}",
        f"{row.error:.1%}",
        f"{row.standard_error:.1%}",
        "–" if row.predicted is None else f"{row.predicted:.1%}{mark}",
        "–" if row.effective_rank is None else f"{row.effective_rank:.1f}",
        "–" if row.effective_rank_error is None else f"{row.effective_rank_error:.1f}",
        f"{row.influence:.3g}",
    ]
    return cells if found.augment is None else [*cells, f"{row.augmented:.1%}{mark}"]


def _legend(found: Diagnosis, listed: Sequence[ClassError]) -> list[str]:
    left = len(found.rows) - len(listed)
    said = [f"and {left:,} more classes, which report.to_frame() has", ""] if left else []
    said += [
        "error: measured by stratified cross-validation, each sample by a classifier trained without it and an equal "
        "share of the other classes; ± one standard error, binomial.",
        "predicted: by the mean, covariance and count of each class alone, as if features were Gaussian.",
        "effective rank: (tr Σ)²/tr Σ², in how many directions a class varies; ± by leaving out tenths of its samples.",
        "influence V: how far its own label pulls a sample's score in training; new samples lose that pull.",
    ]
    if found.augment is not None:
        said.append(f"augmented: predicted with {found.augment} in training.")
    if any(not row.trusted and row.predicted is not None for row in listed):
        said.append(f"{MARK} the effective rank is below 20, and the prediction is not to be trusted.")
    return [*said, *_on_offsets(found), *found.notes]


def _on_offsets(found: Diagnosis) -> list[str]:
    effect = found.effect()
    if effect is None:
        return []
    return [
        "Offsets that make errors equal, report.score_offsets(), found on one half of the samples and tried on the "
        f"other, bring the gap there from {100 * effect.gap[0]:.1f} to {100 * effect.gap[1]:.1f} points (equal errors "
        f"would show {100 * effect.chance:.1f}, from so few samples) and the mean error from {effect.mean[0]:.1%} to "
        f"{effect.mean[1]:.1%}.  Margins for softmax are report.offsets()."
    ]
