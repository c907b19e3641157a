"""The report as plain values and as strict JSON, from which the other renderings could be made."""

from __future__ import annotations

from typing import Any

from implicitloss.claims.report.run import Run
from implicitloss.claims.report.wording import standing
from implicitloss.claims.verdict import Verdict
from implicitloss.formats import as_json

__all__ = ["CLAIMS_SCHEMA", "to_dict", "to_json"]

# It grows when a field goes or changes its meaning.
CLAIMS_SCHEMA = 2


def to_json(report: Run) -> str:
    """Strict JSON of schema `CLAIMS_SCHEMA`; a number that is not finite becomes null."""
    return as_json(to_dict(report)) + "\n"


def to_dict(report: Run) -> dict[str, Any]:
    """Plain values of schema `CLAIMS_SCHEMA`."""
    refuted, total = report.near_misses
    return {
        "schema": CLAIMS_SCHEMA,
        "title": report.title,
        "summary": {
            "ok": report.ok,
            "claims": len(report.verdicts),
            "failed": len(report.failures),
            "counts": {outcome.value: n for outcome, n in report.counts.items()},
            "near_misses": {"refuted": refuted, "total": total},
            "seconds": round(report.seconds, 3),
        },
        "family_error": report.family_error,
        "provenance": dict(report.provenance),
        "claims": [{**_claim(v), "ok": v.ok, "rerun": report.command(v)} for v in report.verdicts],
    }


def _claim(verdict: Verdict) -> dict[str, Any]:
    """Its plain values; a witness that found no case is "not tried", as in every rendering."""
    evidence = [e.to_dict() | {"outcome": standing(e)} for e in verdict.evidence]
    return verdict.to_dict() | {"evidence": evidence}
