"""Encoders of the same samples, compared by the errors of classes, and by what their spectra have in the gap."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from implicitloss.arguments import shown
from implicitloss.formats import as_json, plain
from implicitloss.numerics.seeds import Seed, root_of
from implicitloss.spectral.diagnose import checked_ridge, diagnosed
from implicitloss.spectral.diagnosis_text import MARK
from implicitloss.spectral.learners import Ridge
from implicitloss.spectral.mixture import GaussianMixture
from implicitloss.spectral.pooled import predict_pooled
from implicitloss.spectral.report import SpectralReport
from implicitloss.spectral.samples import samples
from implicitloss.spectral.table import ReportTable

__all__ = ["Encoder", "Encoders", "compare"]

ENCODERS_SCHEMA = 1


@dataclass(frozen=True)
class Encoder:
    """An encoder, as a row of the comparison.

    Parameters
    ----------
    name : str
        What it is called.
    report : SpectralReport
        The diagnosis of its features.
    predicted_gap : float or None
        The predicted error of the class that is measured as the worst, less that of the best one.
    spectrum : float or None
        The part of `predicted_gap` that is gone when each class has the pooled covariance, its mean and its count being
        as they are.
    """

    name: str
    report: SpectralReport
    predicted_gap: float | None
    spectrum: float | None

    @property
    def gap(self) -> float:
        """The measured error of the worst class less that of the best."""
        return self.report.worst.error - self.report.best.error

    @property
    def trusted(self) -> bool:
        """Whether the predictions of the two classes are to be trusted."""
        return self.report.worst.trusted and self.report.best.trusted

    def to_dict(self) -> dict[str, Any]:
        """The row as plain values."""
        report = self.report
        return {
            "encoder": self.name,
            "features": report.features,
            "lam": report.lam,
            "mean_error": report.mean_error,
            "mean_standard_error": report.mean_standard_error,
            "worst": report.worst.name,
            "worst_error": report.worst.error,
            "worst_standard_error": report.worst.standard_error,
            "best": report.best.name,
            "gap": self.gap,
            "predicted_gap": self.predicted_gap,
            "spectrum": self.spectrum,
            "trusted": self.trusted,
        }


@dataclass(frozen=True, eq=False, repr=False)
class Encoders:
    """Encoders, the least mean error first, as `compare` returns them.

    Parameters
    ----------
    rows : tuple of Encoder
        The encoders.

    Examples
    --------
    >>> import numpy as np
    >>> import implicitloss as il
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat([0, 1], 100)
    >>> X = rng.standard_normal((200, 60)) + 0.3 * y[:, None]
    >>> il.spectral.compare({"all": X, "half": X[:, :30]}, y).rows[0].name
    'all'
    """

    rows: tuple[Encoder, ...]

    def __repr__(self) -> str:
        return f"Encoders({', '.join(f'{plain(row.name)} {row.report.mean_error:.3g}' for row in self.rows)})"

    def __str__(self) -> str:
        return self.to_text()

    def to_text(self) -> str:
        """The comparison as text."""
        return self._table().to_text()

    def to_markdown(self) -> str:
        """The comparison as Markdown."""
        return self._table().to_markdown()

    def _repr_html_(self) -> str:
        return self._table().to_html()

    def _table(self) -> ReportTable:
        report = self.rows[0].report
        legend = [
            "gap: the error of the worst class less that of the best, in points.",
            "predicted: that of the same two classes; spectrum: the part of it that is gone if all classes have one Σ.",
        ]
        if not all(row.trusted for row in self.rows):
            legend.append(f"{MARK} a class has an effective rank below 20, and the prediction is not to be trusted.")
        return ReportTable(
            "On which features does a linear classifier do best, and how even are its errors?",
            [f"{len(report.left_out.codes):,} samples, {len(report.rows):,} classes; errors by cross-validation"],
            ["encoder", "features", "mean error", "±", "worst class", "error", "±", "gap", "predicted", "spectrum"],
            [_cells(row) for row in self.rows],
            [*legend, *(f"{row.name}: {note}" for row in self.rows for note in row.report.notes)],
            names=(0, 4),
        )

    def to_dict(self) -> dict[str, Any]:
        """The comparison as plain values, for JSON."""
        return {"schema": ENCODERS_SCHEMA, "encoders": [row.to_dict() for row in self.rows]}

    def to_json(self) -> str:
        """The comparison as strict JSON, which has no infinity and no NaN."""
        return as_json(self.to_dict()) + "\n"

    def to_frame(self) -> Any:
        """The encoders as a pandas DataFrame."""
        import pandas as pd

        return pd.DataFrame([row.to_dict() for row in self.rows])


def _cells(row: Encoder) -> list[str]:
    report, mark = row.report, " " if row.trusted else MARK
    predicted = [row.predicted_gap, row.spectrum]
    return [
        row.name, f"{report.features:,}", f"{report.mean_error:.1%}", f"{report.mean_standard_error:.1%}",
        report.worst.name, f"{report.worst.error:.1%}", f"{report.worst.standard_error:.1%}", f"{100 * row.gap:.1f}",
        *("–" if part is None else f"{100 * part:.1f}{mark}" for part in predicted),
    ]  # fmt: skip


def compare(
    encoders: Mapping[str, Any],
    y: Any = None,
    *,
    ridge: float | Literal["loo"] = "loo",
    rng: Seed = 0,
    label: str | None = None,
) -> Encoders:
    r"""Compare encoders of the same samples: mean error, worst class, gap, and how much of the gap is spectrum.

    Parameters
    ----------
    encoders : mapping of str to array_like (n, d), DataFrame or path
        Features of the same samples, as `diagnose` takes them, by the name of what made them.
    y : array_like (n,), str or path, optional
        The labels, as `diagnose` takes them; None where each file or frame has its own.
    ridge : "loo" or float
        λ, by default chosen for each encoder.
    rng : int, Generator or None
        The seed.
    label : str, optional
        The column of labels.

    Returns
    -------
    Encoders
        A row for each, the least mean error first.

    Raises
    ------
    ValueError
        For encoders that are no mapping of names to features, and as `diagnose` does.

    References
    ----------
    Derived here; the question is that of Kaushik et al. 2024.

    Examples
    --------
    >>> import numpy as np
    >>> import implicitloss as il
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat(["flat", "steep"], 200)
    >>> scale = np.arange(1, 121) ** np.where(y == "flat", -0.1, -0.4)[:, None]
    >>> X = rng.standard_normal((400, 120)) * scale / np.linalg.norm(scale, axis=1, keepdims=True)
    >>> X[y == "flat"] += 0.02
    >>> encoders = {"raw": X, "rescaled": X * np.sqrt(np.arange(1, 121))}
    >>> print(str(il.spectral.compare(encoders, y)).split("\n\n")[1])
    encoder   features  mean error     ±  worst class  error     ±  gap  predicted  spectrum
    rescaled       120       10.0%  1.5%         flat  13.5%  2.4%  7.0       8.5       8.5
    raw            120       11.8%  1.6%         flat  12.5%  2.3%  1.5       5.5       5.5
    """
    if not isinstance(encoders, Mapping) or not encoders:
        raise ValueError(f"encoders must be features by names, e.g. {{'raw': X1, 'net': X2}}, got {shown(encoders)}")
    for name in encoders:
        if not isinstance(name, str):
            raise ValueError(f"encoders must have names of text, got {shown(name)}")
    lam, seed = checked_ridge(ridge), root_of(rng)
    first: Any = None
    rows = []
    for name, X in encoders.items():
        found = samples(X, y, label)
        first = first or found
        if first.classes != found.classes or not np.array_equal(first.codes, found.codes):
            raise ValueError(f"encoders must have the same labels in the same order, but {shown(name)} has others")
        report = diagnosed(found, lam, seed, None)
        rows.append(Encoder(name, report, *_gaps(report, found.X, found.codes)))
    return Encoders(tuple(sorted(rows, key=lambda row: row.report.mean_error)))


def _gaps(report: SpectralReport, X: Any, codes: Any) -> tuple[float | None, float | None]:
    """The predicted gap between the worst and the best class, and the part of it that is spectrum."""
    if report.prediction is None:
        return None, None
    pooled = predict_pooled(GaussianMixture.from_features(X, codes), Ridge(report.lam))
    worst, best = (report.names.index(row.name) for row in (report.worst, report.best))
    own, other = (float(p.error[worst] - p.error[best]) for p in (report.prediction, pooled))
    return own, own - other
