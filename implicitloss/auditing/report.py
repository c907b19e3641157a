"""The report of an audit: a finding, with its renderings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from implicitloss.auditing.comparison import HITS, SLICES
from implicitloss.auditing.finding import Finding
from implicitloss.auditing.formats.markdown import to_markdown
from implicitloss.auditing.plot import plotted
from implicitloss.auditing.text import as_text, explained
from implicitloss.formats import plain

__all__ = ["AuditReport"]

SCHEMA = 2


@dataclass(frozen=True, eq=False, repr=False)
class AuditReport(Finding):
    """What an audit found, as data (see `Finding`), as text, Markdown, JSON, a table and a plot."""

    def check(self) -> None:
        """*Raises* AssertionError, with the report, unless the claim holds; ValueError where nothing was claimed."""
        __tracebackhide__ = True
        if self.verdict == "measured":
            raise ValueError("an assertion needs a claim; to measure only, use implicitloss.audit")
        if not self.ok:
            raise AssertionError(str(self))

    def __repr__(self) -> str:
        return f"AuditReport({self.verdict}: {plain(self.claim)}; nearest {plain(self.nearest)})"

    def __str__(self) -> str:
        return as_text(self)

    def explain(self) -> str:
        """Explain what the loss optimises, what that teaches, which labels gain, and how to predict."""
        return explained(self)

    def to_markdown(self) -> str:
        """The report as Markdown, for the summary of a CI step."""
        return to_markdown(self)

    def properties(self) -> dict[str, str]:
        """Properties of a JUnit test: verdict, nearest scheme, seed, and measured over claimed Σp by slice."""
        found = {"verdict": str(self.verdict), "nearest": plain(self.nearest), "seed": str(self.seed)}
        for comparison in self.comparisons:
            if comparison.part in (*SLICES, HITS) and comparison.claimed:
                where = f"{comparison.part.replace(' ', '_')}.{plain(self.prior.name(comparison.positive))}"
                found[f"measured_over_claimed.{where}"] = f"{comparison.measured / comparison.claimed:.6g}"
        return found

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        tilt = self.tilt
        return {
            "schema": SCHEMA,
            "verdict": self.verdict,
            "loss": self.loss,
            "claim": self.claim,
            "nearest": None if self.nearest is None else str(self.nearest),
            "slip": None if self.nearest is None or self.nearest.slip is None else self.nearest.slip.to_dict(),
            "flaws": [{"kind": flaw.kind, "sentence": flaw.sentence} for flaw in self.flaws],
            "notes": [{"kind": note.kind, "sentence": note.sentence} for note in self.notes],
            "positives": [self.prior.name(y) for y in self.positives],
            "hits": self.hits.value.tolist(),
            "tolerance": self.tolerance,
            "resolution": self.resolution,
            "known_to": self.known_to if self.ok and np.isfinite(self.known_to) else None,
            "tilt": None if tilt is None else {"bound": tilt.bound, "true": tilt.true},
            "gains": self.gains,
            "explanation": self.explain().splitlines(),
            "error": self.error,
            "seed": self.seed,
            "calls": self.calls,
            "comparisons": self._rows(),
        }

    def to_frame(self) -> Any:
        """A pandas DataFrame with one row for each comparison."""
        import pandas as pd

        return pd.DataFrame(self._rows())

    def plot(self, ax: Any = None) -> Any:
        """Plot measured over claimed margins of the decisive parts, with their limits, by label rank; the axes."""
        return plotted(self, ax)

    def _rows(self) -> list[dict[str, Any]]:
        """The comparisons as plain values."""
        return [
            {**_finite(c.to_dict()), "result": c.result(self.tolerance), "positive": self.prior.name(c.positive)}
            for c in self.comparisons
        ]


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    """The values with None for numbers that JSON does not know."""
    return {k: None if isinstance(v, float) and not np.isfinite(v) else v for k, v in values.items()}
