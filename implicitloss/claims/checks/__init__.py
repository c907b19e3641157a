"""Checks: ways to settle a claim.  Each runs its near misses through the very same comparison, on the same numbers."""

from implicitloss.claims.checks.check import Check, CheckResult
from implicitloss.claims.checks.drawn import Average, Averages, Frequencies
from implicitloss.claims.checks.exact import Exact
from implicitloss.claims.checks.identity import Identity
from implicitloss.claims.checks.numbers import Cases, Number
from implicitloss.claims.checks.simulated import Simulated

__all__ = [
    "Average",
    "Averages",
    "Cases",
    "Check",
    "CheckResult",
    "Exact",
    "Frequencies",
    "Identity",
    "Number",
    "Simulated",
]
