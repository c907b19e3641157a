"""The verdicts of one run, and what is needed to repeat it."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from implicitloss.claims.verdict import Outcome, Verdict

__all__ = ["Run", "provenance"]


@dataclass(frozen=True, repr=False)
class Run:
    """The verdicts of one run and what is needed to repeat it.

    `family_error` bounds the probability that the run refutes any true claim, or supports one that is off by its
    resolution.  `rerun` is a command with "{id}" in place of a claim's id.
    """

    title: str
    verdicts: tuple[Verdict, ...]
    provenance: Mapping[str, str | float]
    family_error: float
    rerun: str

    @property
    def failures(self) -> tuple[Verdict, ...]:
        """The claims that do not hold, or have a near miss that was not refuted; refuted ones first."""
        return tuple(sorted((v for v in self.verdicts if not v.ok), key=lambda v: v.outcome is not Outcome.REFUTED))

    @property
    def ok(self) -> bool:
        """Whether every claim holds and every near miss was refuted."""
        return not self.failures

    @property
    def counts(self) -> dict[Outcome, int]:
        """How many claims had each outcome, strongest outcome first, zeros included."""
        return {outcome: sum(v.outcome is outcome for v in self.verdicts) for outcome in Outcome}

    @property
    def near_misses(self) -> tuple[int, int]:
        """How many near misses were refuted, and how many there are."""
        outcomes = [miss.outcome for verdict in self.verdicts for miss in verdict.near_misses]
        return outcomes.count(Outcome.REFUTED), len(outcomes)

    @property
    def papers(self) -> dict[str, list[Verdict]]:
        """The verdicts by paper, which is the part of their id before the first dot."""
        papers: dict[str, list[Verdict]] = {}
        for verdict in self.verdicts:
            papers.setdefault(verdict.id.split(".")[0], []).append(verdict)
        return papers

    @property
    def seconds(self) -> float:
        """The time that the claims took, one after the other."""
        return math.fsum(verdict.seconds for verdict in self.verdicts)

    @property
    def exit_code(self) -> int:
        """The exit code: 0 if all is ok, 1 if a claim or a near miss failed, 5 if there was nothing to check."""
        if not self.verdicts:
            return 5
        return 0 if self.ok else 1

    def __repr__(self) -> str:
        failed = ", ".join(verdict.id for verdict in self.failures)
        stand = f"{len(self.failures)} of {len(self.verdicts)} claims failed: {failed}" if failed else "all hold"
        return f"{type(self).__name__}({self.title}: {stand})"

    def command(self, verdict: Verdict) -> str:
        """The command that checks one claim again.

        Parameters
        ----------
        verdict : Verdict
            The claim's verdict.
        """
        return self.rerun.replace("{id}", shlex.quote(verdict.id))


# The folders of an absolute path: they tell on a machine and mean nothing on another.
_FOLDERS = re.compile(r"(?<![\w./:\\])(?:~?/|\\\\|[A-Za-z]:[/\\])(?:[^\s/\\'\"]+[/\\])+(?=[^\s/\\'\"])")


def provenance(**more: str | float) -> dict[str, str | float]:
    """Versions and platform, then `more` (seed, prior, command, ...); names no host, and files by name only."""
    import importlib.metadata
    import platform

    from implicitloss.version import __version__

    found: dict[str, str | float] = {"implicitloss": __version__, "python": platform.python_version()}
    for package in ("numpy", "scipy", "sympy", "numba"):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    found["platform"] = f"{platform.system()} {platform.machine()}"
    return found | {k: _FOLDERS.sub("", v) if isinstance(v, str) else v for k, v in more.items()}
