"""The report of an audit: a finding, with its renderings."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from implicitloss.auditing.comparison import HITS, SLICES
from implicitloss.auditing.finding import Finding
from implicitloss.auditing.formats.markdown import to_markdown
from implicitloss.auditing.plot import plotted
from implicitloss.auditing.text import as_text, explained
from implicitloss.formats import as_json, plain

__all__ = ["AuditReport"]

AUDIT_SCHEMA = 3


@dataclass(frozen=True, eq=False, repr=False)
class AuditReport(Finding):
    """What an audit found, as data; its methods give text, Markdown, JSON, a table and a plot.

    Parameters
    ----------
    verdict : {"holds", "refuted", "inconclusive", "measured"}
        "measured" if nothing was claimed.
    loss : str
        The name of the loss.
    claim : str
        What it is said to optimise.
    positives : tuple of int
        The audited positives.
    comparisons : tuple of Comparison
        The claimed and the measured Σ p_yy' of each part of the labels, with limits.
    margins : Measured or None
        p_yy' of each positive with limits, (P, L) for P positives, if the loss has gradients.
    hits : Measured
        p_yy, the weight of accidental hits, with limits, (P,).
    draw_statistics : DrawStatistics or None
        How negatives were drawn, if the loss has gradients.
    flaws : tuple of Flaw
        What contradicts the form of the loss or its gradient.
    naming : Naming
        What its margins may be called, which is worked out when `nearest`, `slopes`, `slips` or `notes` are asked for.
    prior : LabelPrior
        The label frequencies.
    tolerance, resolution, error : float
        As the audit was asked.
    seed : int or list of int
        `rng=seed` gives the same report.
    calls : int
        How often the loss was called.
    form : {"softmax", "logistic"}
        The form that was audited.
    package : str
        What the loss is written in: "numpy", or the package of its adapter.

    Examples
    --------
    Negatives drawn within the batch with weights 1/m are claimed to be softmax over all labels.

    >>> import numpy as np
    >>> import implicitloss as il
    >>> prior = il.LabelPrior.zipf(8, 1.0)
    >>> def loss(scores, positive, rng):
    ...     drawn = rng.choice(8, (len(positive), 15), p=prior.probabilities)
    ...     f_y = scores[np.arange(len(positive)), positive]
    ...     f = np.where(drawn == positive[:, None], -np.inf, np.take_along_axis(scores, drawn, axis=1))
    ...     return np.log1p(np.exp(f - f_y[:, None]).mean(axis=1))
    >>> report = il.audit(loss, prior=prior, claim="full", rng=0, runs=1000)
    >>> report.verdict, report.failures[0].part
    ('refuted', 'tail')
    >>> str(report.nearest), round(report.tilt.bound, 2)  # rare labels gain
    ('log m taken off without q, weights 1/m, within-batch sampling, hits masked', -0.63)
    """

    def check(self) -> None:
        """Check that the claim holds.

        Raises
        ------
        AssertionError
            With the report as text, unless it holds.
        ValueError
            If nothing was claimed.
        """
        __tracebackhide__ = True
        if self.verdict == "measured":
            raise ValueError("an assertion needs a claim; to measure only, use implicitloss.audit")
        if not self.ok:
            raise AssertionError(str(self))

    def __repr__(self) -> str:
        return f"AuditReport({self.verdict}: {plain(self.claim)}; nearest {plain(self.nearest)})"

    def __str__(self) -> str:
        return as_text(self)

    def to_text(self) -> str:
        """The report as text for a terminal, as `print(report)` shows it."""
        return as_text(self)

    def explain(self) -> str:
        """Explain what the loss optimises, what that teaches, which labels gain, and how to predict."""
        return explained(self)

    def to_markdown(self) -> str:
        """The report as Markdown, for the summary of a CI step."""
        return to_markdown(self)

    def properties(self) -> dict[str, str]:
        """Properties for a JUnit test: verdict, nearest scheme, seed, and measured over claimed Σ p_yy' by slice."""
        found = {"verdict": str(self.verdict), "nearest": plain(self.nearest), "seed": str(self.seed)}
        for comparison in self.comparisons:
            if comparison.part in (*SLICES, HITS) and comparison.claimed:
                where = f"{comparison.part.replace(' ', '_')}.{plain(self.prior.name(comparison.positive))}"
                found[f"measured_over_claimed.{where}"] = f"{comparison.measured / comparison.claimed:.6g}"
        return found

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values, for JSON."""
        tilt = self.tilt
        return {
            "schema": AUDIT_SCHEMA,
            "verdict": self.verdict,
            "loss": self.loss,
            "claim": self.claim,
            "nearest": None if self.nearest is None else str(self.nearest),
            "slip": self.slips[0].to_dict() if self.slips else None,
            "draws_assumed": self.draws_assumed,
            "slips": [slip.to_dict() for slip in self.slips],
            "fitted": None if self.nearest is None or self.nearest.fitted is None else vars(self.nearest.fitted).copy(),
            "slopes": None if self.slopes is None else self.slopes.to_dict(),
            "flaws": [{"kind": flaw.kind, "sentence": flaw.sentence} for flaw in self.flaws],
            "notes": [{"kind": note.kind, "sentence": note.sentence} for note in self.notes],
            "positives": [self.prior.name(y) for y in self.positives],
            "hits": self.hits.value.tolist(),
            "tolerance": self.tolerance,
            "resolution": self.resolution,
            "known_to": self.known_to if self.ok and np.isfinite(self.known_to) else None,
            "runs_needed": self.runs_needed,
            "tilt": None if tilt is None else asdict(tilt),
            "gains": self.gains,
            "explanation": self.explain().splitlines(),
            "error": self.error,
            "seed": self.seed,
            "calls": self.calls,
            "comparisons": self._rows(),
        }

    def to_json(self) -> str:
        """The report as strict JSON, which has no infinity and no NaN."""
        return as_json(self.to_dict()) + "\n"

    def to_frame(self) -> Any:
        """The comparisons as a pandas DataFrame, a row each."""
        import pandas as pd

        return pd.DataFrame(self._rows())

    def plot(self, ax: Any = None) -> Any:
        """Plot measured over claimed margins of the decisive parts, with their limits, by label rank.

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

    def _rows(self) -> list[dict[str, Any]]:
        """The comparisons as plain values."""
        return [
            {**_finite(c.to_dict()), "result": c.result(self.tolerance), "positive": self.prior.name(c.positive)}
            for c in self.comparisons
        ]


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    """The values, with None for infinity and NaN, which JSON does not have."""
    return {k: None if isinstance(v, float) and not np.isfinite(v) else v for k, v in values.items()}
