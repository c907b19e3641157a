"""What an audit found: verdict, measured margins, the scheme that fits best, and what that means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from implicitloss.auditing.cells import HITS, SLICES, Cell, Result
from implicitloss.auditing.claimed import Claimed
from implicitloss.auditing.nearest import Fit, closest
from implicitloss.auditing.pilot import SPARE, Pilot, Pushes
from implicitloss.auditing.tally import Tally
from implicitloss.formats import plain
from implicitloss.labels import Floats, LabelPrior
from implicitloss.scheme import Scheme

__all__ = ["AuditReport"]

SCHEMA = 1


@dataclass(frozen=True, eq=False)
class Measured:
    """Estimates with simultaneous confidence limits; arrays of one shape.  `numpy.asarray` gives the estimates."""

    value: Floats
    low: Floats
    high: Floats

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Floats:
        return np.array(self.value, dtype=dtype)


@dataclass(frozen=True, eq=False)
class Law:
    """How labels were drawn, and other things that margins hide.

    q-hat (L,) over all audited positives; draws an evaluation, least and most; how often one label at most;
    how many labels were never drawn.  None of the first three where a draw's weight varies.  By positive and slice,
    (rows, S): `dispersion`, the variance of counts over that of independent draws, and `pushes`, the expected gradient
    on the slice over that of softmax over all labels, with its standard error.
    """

    q: Floats | None
    draws: tuple[int, int] | None
    multiplicity: int | None
    never_drawn: int
    weights_vary: bool
    slices: tuple[str, ...]
    dispersion: Floats
    pushes: Floats
    pushes_error: Floats

    @classmethod
    def of(cls, pilot: Pilot, slices: Floats, pushes: Pushes, names: tuple[str, ...], positives: list[int]) -> Law:
        """From the evaluations of a pilot."""
        never = int((pilot.seen.sum(axis=0) == 0).sum())
        hidden = names, pilot.dispersion(slices), pushes.ratio, pushes.error
        if pilot.weights_vary:
            return cls(None, None, None, never, True, *hidden)
        counts = pilot.draws.copy()
        hits = pilot.hits > 0
        one_hit = np.where(hits, pilot.hits, np.inf).min(axis=1, initial=np.inf)
        rows = np.arange(len(positives))
        counts[rows, :, positives] = np.where(hits, pilot.hits, 0.0) / one_hit[:, None]
        each = counts.sum(axis=2)
        pooled = counts.sum(axis=(0, 1))
        return cls(
            pooled / max(float(pooled.sum()), 1.0),
            (round(float(each.min())), round(float(each.max()))),
            round(float(counts.max())),
            never,
            False,
            *hidden,
        )


@dataclass(frozen=True, eq=False, repr=False)
class AuditReport:
    """What was found of `loss`.

    `verdict` is "holds", "refuted", "inconclusive", or "measured" where nothing was claimed.

    `margins` are p_yy', (rows, L), of the `positives`; `hits` p_yy, (rows,); `cells` what was compared with the claim;
    `closest` the scheme of this package that fits best; `flaws` what is wrong with the form or the gradient.
    """

    verdict: Result
    loss: str
    claim: str
    positives: tuple[int, ...]
    cells: tuple[Cell, ...]
    margins: Measured | None
    hits: Measured
    closest: Fit | None
    law: Law | None
    flaws: tuple[str, ...]
    notes: tuple[str, ...]
    prior: LabelPrior
    tolerance: float
    resolution: float
    error: float
    seed: int | list[int]
    calls: int
    form: str

    @property
    def ok(self) -> bool:
        """Whether the claim holds."""
        return self.verdict == "holds"

    @property
    def known_to(self) -> float:
        """How far the true margins of a decisive part can lie from those claimed, relative to them, at worst."""
        parts = [cell for cell in self.cells if cell.decisive and cell.claimed and cell.part != HITS]
        return max((cell.known_to for cell in parts), default=float("inf"))

    @classmethod
    def of(
        cls, *, loss: str, claim: Claimed, scheme: Scheme | None, prior: LabelPrior, positives: tuple[int, ...],
        cells: tuple[Cell, ...], flaws: tuple[str, ...], notes: tuple[str, ...], tally: Tally | None,
        law: Law | None, tolerance: float, resolution: float, error: float,
        seed: int | list[int], calls: int, form: str, delta: float,
    ) -> AuditReport:  # fmt: skip
        """From what was measured."""
        results = [cell.result(tolerance) for cell in cells]
        verdict: Result = "measured"
        if claim.margins is not None:
            open_ones = [r for r, cell in zip(results, cells, strict=True) if cell.decisive and r == "inconclusive"]
            decisive = [cell for cell in cells if cell.decisive and cell.part != HITS]
            uncertain = bool(open_ones) or not _all_rows(decisive, positives)
            verdict = "inconclusive" if uncertain else "holds"
        if "refuted" in results or (flaws and claim.margins is not None):
            verdict = "refuted"
        margins = None
        if tally is not None:
            margins = _limits(tally, delta)
        route = "value" if tally is None else "gradient"
        of_hits = [cell for cell in cells if cell.part == HITS and cell.route == route]
        hits = Measured(*(np.array([getattr(c, name) for c in of_hits]) for name in ("measured", "low", "high")))
        draws = None if law is None or law.draws is None else law.draws[1]
        once = law is not None and law.multiplicity == 1
        fit = closest(cells, prior, scheme, draws, None if law is None else law.q, once)
        return cls(
            verdict, loss, claim.name, positives,
            cells, margins, hits, fit, law, flaws, notes, prior, tolerance, resolution,
            error, seed, calls, form,
        )  # fmt: skip

    def check(self) -> None:
        """*Raises* AssertionError, with the report, unless the claim holds; ValueError where nothing was claimed."""
        __tracebackhide__ = True
        if self.verdict == "measured":
            raise ValueError("an assertion needs a claim; to measure only, use implicitloss.audit")
        if not self.ok:
            raise AssertionError(str(self))

    def properties(self) -> dict[str, str]:
        """For a test's JUnit properties: verdict, nearest scheme, seed, and Σp measured over claimed by slice."""
        found = {"verdict": str(self.verdict), "closest": plain(self.closest), "seed": str(self.seed)}
        for cell in self.cells:
            if cell.part in (*SLICES, HITS) and cell.claimed:
                where = f"{cell.part.replace(' ', '_')}.{plain(self.prior.name(cell.positive))}"
                found[f"measured_over_claimed.{where}"] = f"{cell.measured / cell.claimed:.6g}"
        return found

    def failures(self) -> list[Cell]:
        """The parts that are not as claimed, the worst first."""
        found = [cell for cell in self.cells if cell.result(self.tolerance) == "refuted"]
        return sorted(found, key=lambda cell: -cell.off_by)

    def __repr__(self) -> str:
        return f"AuditReport({self.verdict}: {plain(self.claim)}; closest {plain(self.closest)})"

    def __str__(self) -> str:
        from implicitloss.auditing.words import as_text

        return as_text(self)

    def explain(self) -> str:
        """In words: what the loss optimises, what that teaches, who gains, and how to predict."""
        from implicitloss.auditing.words import explained

        return explained(self)

    def to_markdown(self) -> str:
        """For a CI step's summary."""
        from implicitloss.auditing.words import as_markdown

        return as_markdown(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "schema": SCHEMA,
            "verdict": self.verdict,
            "loss": self.loss,
            "claim": self.claim,
            "closest": None if self.closest is None else str(self.closest),
            "flaws": list(self.flaws),
            "notes": list(self.notes),
            "positives": [self.prior.name(y) for y in self.positives],
            "hits": self.hits.value.tolist(),
            "tolerance": self.tolerance,
            "resolution": self.resolution,
            "known_to": self.known_to if self.ok and np.isfinite(self.known_to) else None,
            "explanation": self.explain().splitlines(),
            "error": self.error,
            "seed": self.seed,
            "calls": self.calls,
            "cells": self._cells(),
        }

    def _cells(self) -> list[dict[str, Any]]:
        """The parts as plain values."""
        return [
            {**_finite(c.to_dict()), "result": c.result(self.tolerance), "positive": self.prior.name(c.positive)}
            for c in self.cells
        ]

    def to_frame(self) -> Any:
        """A pandas DataFrame: a row for each part of each positive's labels."""
        import pandas as pd

        return pd.DataFrame(self._cells())

    def plot(self, ax: Any = None) -> Any:
        """Measured over claimed margins of the decisive parts, with their limits, by rank of the labels; the axes."""
        from implicitloss.auditing.plot import plotted

        return plotted(self, ax)


def _limits(tally: Tally, delta: float) -> Measured:
    """Every label's margin, within empirical-Bernstein limits by the most that an evaluation gave it."""
    most = tally.labels.most
    # Where nothing was seen: as much as the positive's heaviest label.
    heavy = SPARE * np.where(most > 0, most, most.max(axis=1, keepdims=True))
    mean, width = tally.labels.limits(heavy, tally.n, delta)
    return Measured(mean, np.maximum(mean - width, 0.0), mean + width)


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    """JSON knows no infinity."""
    return {k: None if isinstance(v, float) and not np.isfinite(v) else v for k, v in values.items()}


def _all_rows(cells: list[Cell], positives: tuple[int, ...]) -> bool:
    return {cell.positive for cell in cells} == set(positives)
