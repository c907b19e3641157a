"""The report of a diagnosis, with its renderings."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from implicitloss.formats import as_json, plain
from implicitloss.spectral.diagnosis import Diagnosis
from implicitloss.spectral.diagnosis_plot import plotted
from implicitloss.spectral.diagnosis_text import table_of

__all__ = ["SpectralReport"]

SPECTRAL_SCHEMA = 1


@dataclass(frozen=True, eq=False, repr=False)
class SpectralReport(Diagnosis):
    """Errors of classes in linear classification of features, as `il.diagnose` measures and predicts them.

    Parameters
    ----------
    rows : tuple of ClassError
        The classes, worst first.
    left_out : LeaveOneOut
        The scores of each sample, left out in training.
    prediction : Prediction or None
        Errors predicted by the means, covariances and counts alone; None where that cannot be, and `notes` say why.
    ridge : {"loo", "given"}
        How λ was chosen.
    features : int
        d.
    seed : int or list of int
        `rng=seed` gives the same report.
    notes : tuple of str
        What the reader should know besides.
    augment : str or None
        The augmentation with which errors are predicted too.

    Examples
    --------
    >>> import numpy as np
    >>> import implicitloss as il
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat(["flat", "steep"], 200)
    >>> scale = np.arange(1, 121) ** np.where(y == "flat", -0.1, -0.4)[:, None]
    >>> X = rng.standard_normal((400, 120)) * scale / np.linalg.norm(scale, axis=1, keepdims=True)
    >>> X[y == "flat"] += 0.02
    >>> report = il.diagnose(X, y)
    >>> report
    SpectralReport(2 classes, mean error 0.117, worst 0.125 for flat)
    >>> report.equivalent_prior().probabilities.round(3)  # of logit adjustment that makes errors equal
    array([0.509, 0.491])
    """

    def __repr__(self) -> str:
        return (
            f"SpectralReport({len(self.rows)} classes, mean error {self.mean_error:.3g}, worst {self.worst.error:.3g} "
            f"for {plain(self.worst.name)})"
        )

    def __str__(self) -> str:
        return self.to_text()

    def to_text(self, rows: int | None = None) -> str:
        """The report as text.

        Parameters
        ----------
        rows : int, optional
            How many classes to list, the worst first; by default all of up to 30, and else 20.
        """
        return table_of(self, rows).to_text()

    def to_markdown(self) -> str:
        """The report as Markdown, with all classes."""
        return table_of(self, len(self.rows)).to_markdown()

    def _repr_html_(self) -> str:
        return table_of(self, None).to_html()

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values, for JSON."""
        effect = self.effect()
        return {
            "schema": SPECTRAL_SCHEMA,
            "samples": len(self.left_out.codes),
            "features": self.features,
            "lam": self.lam,
            "ridge": self.ridge,
            "seed": self.seed,
            "mean_error": self.mean_error,
            "mean_standard_error": self.mean_standard_error,
            "gap": self.worst.error - self.best.error,
            "augment": self.augment,
            "classes": [asdict(row) for row in self.rows],
            "score_offsets": dict(zip(self.names, self.score_offsets().tolist(), strict=True)),
            "score_offsets_effect": None if effect is None else asdict(effect),
            "notes": list(self.notes),
        }

    def to_json(self) -> str:
        """The report as strict JSON, which has no infinity and no NaN."""
        return as_json(self.to_dict()) + "\n"

    def to_frame(self) -> Any:
        """The classes as a pandas DataFrame, worst first."""
        import pandas as pd

        return pd.DataFrame([asdict(row) for row in self.rows])

    def plot(self, ax: Any = None) -> Any:
        """Plot the measured and the predicted error of each class.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to plot; by default in a new figure.

        Returns
        -------
        matplotlib.axes.Axes
            The axes.
        """
        return plotted(self, ax)
