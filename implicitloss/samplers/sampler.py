"""What a sampler is: a stated law q, in numbers and in symbols, and a procedure that draws labels.

The procedure never reads the law: that the two agree is a claim, and it is tested as one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np
import sympy as sp

from implicitloss import symbols as s
from implicitloss.arguments import checked_part, completed, shown
from implicitloss.kernels.alias import alias_table, find_tickets, out_of_range
from implicitloss.labels import Floats, Labels
from implicitloss.losses import Loss
from implicitloss.margins import Margin
from implicitloss.problem import Problem

__all__ = ["Draw", "ImpossibleDraw", "Sampler", "by_log_tickets", "by_tickets"]

Draw = Callable[[np.random.Generator, int], Labels]
"""`draw(rng, size)`: that many labels, i.i.d., (size,)."""


class Sampler(Protocol):
    """q(. given x, y) and how to draw from it.

    A class of one's own needs `needs_scores`, `log_law` and `procedure`, and `law` where something is derived.  The
    others have defaults, also for a class that does not inherit from this one: `name` is str(sampler),
    `needs_positive` and `leaves_out_what_pays_nothing` are False.  `implicitloss.testing.check_sampler` checks it all.
    """

    @property
    def name(self) -> str:
        """How reports call the sampler.  Default: str(sampler)."""
        return str(self)

    @property
    def needs_scores(self) -> bool:
        """Whether the law depends on the scores."""
        ...

    @property
    def needs_positive(self) -> bool:
        """Whether the law depends on the positive, so that examples with other positives cannot share it.

        Default: False.
        """
        return False

    @property
    def leaves_out_what_pays_nothing(self) -> bool:
        """Whether q = 0 says that a negative pays nothing, and not that it is out of reach.  Default: False."""
        return False

    def log_law(self, problem: Problem) -> Floats:
        """The stated log q, unconditional, (L,); -inf for labels never drawn."""
        ...

    def procedure(self, problem: Problem) -> Draw:
        """The function that draws labels as an implementation would; it must not read the stated law."""
        ...

    def law(self, yp: sp.Expr) -> sp.Expr:
        """The stated q in symbols, at the label `yp` (a negative, or y itself)."""
        ...


def complete_sampler(sampler: Sampler) -> Sampler:
    """`sampler` with the defaults of `Sampler` for what its class leaves out."""
    return completed(sampler, Sampler)


@dataclass(frozen=True)
class MadeFor:
    """What example samplers are made for: so many labels, and the margin and the loss of a minimum-variance sampler."""

    n_labels: int
    margin: Margin
    loss: Loss


def checked_sampler(sampler: Sampler, what: str = "sampler") -> Sampler:
    """`sampler`; *raises* ValueError for a class, a name, or what lacks a law in numbers or a procedure."""
    checked: Sampler = checked_part(sampler, what, ("needs_scores", "log_law", "procedure"), "samplers.Uniform()")
    return checked


# Larger sums would overflow while the alias table is made; the digits of smaller ones are lost.
LARGEST_TICKET_SUM, LEAST_TICKETS = 1e300, 1e-290


def by_tickets(tickets: Floats) -> TicketDraw:
    """Draw label j with probability tickets_j / Σ tickets, by an alias table: O(1) a draw, 16 bytes a label.

    `tickets` (L,) are >= 0.  Whole numbers with L Σ tickets below 2^53 have exact probabilities.  Otherwise rounding
    adds up along the table (at most 5e-11 of the whole in trials with 3 million labels).  A draw uses one random
    double.  *Raises* ValueError for tickets that are negative, not finite, or all 0.
    """
    if not np.all(np.isfinite(tickets)) or np.min(tickets) < 0 or not np.max(tickets) > 0:
        raise ValueError("tickets must be finite and not negative, with a positive sum; here they are not")
    tickets = np.asarray(tickets, dtype=np.float64)
    if not float(np.max(tickets)) * tickets.size * tickets.size < LARGEST_TICKET_SUM:
        tickets = tickets / np.max(tickets)
    return TicketDraw(tickets)


def by_log_tickets(logs: Floats) -> TicketDraw:
    """Draw label j with probability e^{logs_j} / Σ e^{logs}; `logs` is (L,), -inf for a label that is never drawn.

    `by_tickets` with one addition: a label can be left out later although it has nearly all of the probability.
    """
    with np.errstate(over="ignore"):
        return replace(by_tickets(np.exp(logs - logs.max())), logs=logs)


@dataclass(frozen=True, eq=False)
class TicketDraw:
    """What `by_tickets` and `by_log_tickets` return; `logs` are the logarithms that were given, if any."""

    tickets: Floats
    logs: Floats | None = None

    @cached_property
    def cells(self) -> Floats:
        """The alias table, (L, 2)."""
        return alias_table(self.tickets)

    def without(self, label: int) -> TicketDraw:
        """This draw on condition that it is not `label`, however large the probability of `label` is.

        *Raises* ValueError where the other labels have no tickets, or so few that their digits are lost.
        """
        if self.logs is not None:
            logs = self.logs.copy()
            logs[label] = -np.inf
            if logs.max() > -np.inf:
                return by_log_tickets(logs)
        tickets = self.tickets.copy()
        tickets[label] = 0.0
        if not tickets.max() > LEAST_TICKETS:
            raise ValueError(
                f"there must be other labels to draw than {label}, but beside its tickets those of all others are 0 or "
                "lost in rounding; use hits='mask'"
            )
        return by_tickets(tickets)

    def prepare(self) -> None:
        """Make the table now, perhaps in another thread."""
        _ = self.cells

    def __call__(self, rng: np.random.Generator, size: int) -> Labels:
        labels = np.empty(size, dtype=np.intp)
        find_tickets(self.cells, rng.random(size), labels)
        return labels


class ImpossibleDraw(ValueError):
    """A procedure drew what its law rules out."""


def checked_draws(sampler: Sampler, problem: Problem) -> Draw:
    """The sampler's procedure; *raises* ValueError where it draws what is no label: kernels read tables unchecked."""
    procedure, n_labels = sampler.procedure(problem), problem.prior.n_labels
    if not callable(procedure):
        raise ValueError(
            f"the procedure of {shown(sampler)} must return a function (rng, size) -> labels, got {shown(procedure)}"
        )

    if isinstance(procedure, TicketDraw) and procedure.tickets.size == n_labels:
        return procedure

    def draw(rng: np.random.Generator, size: int) -> Labels:
        labels = procedure(rng, size)
        if not isinstance(labels, np.ndarray):
            raise ValueError(
                f"the procedure of {shown(sampler)} must draw {size} whole numbers in an array, got {shown(labels)}"
            )
        if labels.shape != (size,) or labels.dtype.kind not in "iu":
            raise ValueError(
                f"the procedure of {shown(sampler)} must draw {size} whole numbers, got {labels.dtype} {labels.shape}"
            )
        labels = labels.astype(np.intp, copy=False)
        if out_of_range(labels, n_labels):
            raise ImpossibleDraw(
                f"the procedure of {shown(sampler)} must draw labels from 0 to {n_labels - 1}, "
                f"got {labels.min()} to {labels.max()}"
            )
        return labels

    return draw


def is_positive_label(yp: sp.Expr) -> bool:
    """Whether `yp` is the symbol of the positive label."""
    return bool(yp == s.y)
