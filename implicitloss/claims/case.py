"""Where a claim is tried: a scheme at a problem under a loss, and the setting of the whole run."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np

from implicitloss.labels import LabelPrior
from implicitloss.losses import Loss
from implicitloss.problem import Problem
from implicitloss.scheme import Scheme

__all__ = ["Case", "Setting"]


@dataclass(frozen=True)
class Setting:
    """What a run is about: the prior and where it is from, the seed, and how much work may be done."""

    prior: LabelPrior
    origin: str
    seed: int = 0
    full: bool = False
    threads: int | None = None
    # Whether every near miss has to fall; on a prior or a scheme of one's own some are true, and then say nothing.
    strict: bool = True
    path: str = ""

    def child(self, name: str) -> Setting:
        """This setting for the check `name`, with random numbers of its own."""
        return replace(self, path=f"{self.path}/{name}")

    def rng(self, *keys: int) -> np.random.SeedSequence:
        """A seed from the run's seed, the check's name and `keys`: adding a check moves no other check's draws."""
        digest = int.from_bytes(hashlib.sha256(self.path.encode()).digest()[:8], "little")
        return np.random.SeedSequence([self.seed, digest, *keys])


@dataclass(frozen=True)
class Case:
    """A scheme at a problem under a loss: where a claim is tried."""

    scheme: Scheme
    loss: Loss
    problem: Problem
    where: str = ""

    def __str__(self) -> str:
        where = f", {self.where}" if self.where else ""
        prior, y = self.problem.prior, self.problem.positive
        return f"{self.scheme}, {self.loss.name}{where}, y={prior.name(y)} of {prior.n_labels}"
