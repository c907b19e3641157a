"""Claims on labels in clusters: a wrong library must be caught by each."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from implicitloss import clusterwise, weightings
from implicitloss.claims.case import Setting
from implicitloss.claims.claim import settle
from implicitloss.claims.verdict import Outcome
from implicitloss.index.clusters import Clusters
from implicitloss.labels import LabelPrior
from paper_checks.__main__ import all_claims
from paper_checks.clusters import kept, laws

SETTING = Setting(LabelPrior.exp(100, 500, 100), "")
CLAIMS = {claim.id.removeprefix("clusters."): claim for claim in all_claims() if claim.id.startswith("clusters.")}
Mutant = Callable[[pytest.MonkeyPatch], None]


def _other_records(patch: pytest.MonkeyPatch) -> None:
    """Labels that are drawn uniformly inside their cluster: each owns all of its cell."""
    honest = Clusters.records.func  # type: ignore[attr-defined]
    patch.setattr(Clusters, "records", property(lambda index: np.column_stack([np.ones(laws.L), honest(index)[:, 1:]])))


def _law_of_the_near(patch: pytest.MonkeyPatch) -> None:
    """A law that forgets the draws by tickets alone."""
    honest = Clusters.log_law
    patch.setattr(Clusters, "log_law", lambda index, query, defence: honest(index, query, 0.0))


def _double(patch: pytest.MonkeyPatch, of: object, name: str, field: str) -> None:
    honest = getattr(of, name)

    def changed(*given: object) -> object:
        found = honest(*given)
        return dataclasses.replace(found, **{field: 2 * getattr(found, field)})

    patch.setattr(of, name, changed)


MUTANTS: dict[str, tuple[str, Mutant]] = {
    "uniform inside": ("law", _other_records),
    "the defence is forgotten": ("law", _law_of_the_near),
    "twice the variance": ("variance", lambda patch: _double(patch, laws, "price", "chi2")),
    "whole clusters of unweighted labels": (
        "whole", lambda patch: patch.setattr(clusterwise, "log_cluster_weights", lambda *given: np.zeros(laws.L)),
    ),
    "weights by the law of all labels": (
        "kept",
        lambda patch: patch.setattr(
            weightings.Importance, "_over_count", lambda _, log_p, draws: log_p - draws.log_q_unconditional - np.log(9)
        ),
    ),
    "twice the variance of what is drawn": (
        "worth-keeping", lambda patch: patch.setattr(kept, "_variance", lambda q, pays: float(np.sum(pays**2 / q))),
    ),
    "twice v": ("bias", lambda patch: _double(patch, kept, "relative_moments", "v")),
}  # fmt: skip


@pytest.mark.parametrize("slip", MUTANTS)
def test_a_wrong_library_is_caught(slip: str, monkeypatch: pytest.MonkeyPatch) -> None:
    id, mutant = MUTANTS[slip]
    mutant(monkeypatch)
    (verdict,) = settle([CLAIMS[id]], SETTING)
    assert verdict.outcome is Outcome.REFUTED


def test_every_claim_has_a_mutant_and_holds() -> None:
    assert {id for id, _ in MUTANTS.values()} == CLAIMS.keys()
    assert all(verdict.outcome is not Outcome.REFUTED for verdict in settle(list(CLAIMS.values()), SETTING))
