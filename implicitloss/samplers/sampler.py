"""Samplers: a stated law q, in numbers and in symbols, and a procedure that draws labels.

The procedure never reads the law.  That the two agree is a claim, which is tested.

One file: the protocol, the check of what a procedure draws, and the alias draws that most procedures are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np

from implicitloss.arguments import checked_part, completed, shown
from implicitloss.kernels.alias import alias_table, find_by_alias, out_of_range
from implicitloss.labels import Floats, Labels
from implicitloss.later import later
from implicitloss.losses import Loss
from implicitloss.margins import Margin
from implicitloss.problem import Problem

if TYPE_CHECKING:
    import sympy as sp
else:
    sp = later("sympy")

__all__ = [
    "AliasDraw",
    "Draw",
    "ImpossibleDraw",
    "MadeFor",
    "Sampler",
    "by_log_shares",
    "by_shares",
    "checked_draws",
    "checked_sampler",
    "complete_sampler",
]

Draw = Callable[[np.random.Generator, int], Labels]
"""`draw(rng, size)` returns `size` labels, drawn i.i.d."""


class Sampler(Protocol):
    """The law q(y' given x, y) of a negative, and the procedure that draws from it.

    A class of your own needs `needs_scores`, `log_law` and `procedure`, and `law` for derivations.  The other members
    have defaults, even if the class does not inherit from this one: `name` is str(sampler), `needs_positive` and
    `leaves_out_what_pays_nothing` are False, `multiply_adds` is 0.  `implicitloss.testing.check_sampler` checks that it
    agrees.

    Examples
    --------
    Every label counts once more than it was seen: q_y' = (n_y' + 1)/(Σ_k n_k + L).

    >>> from dataclasses import dataclass
    >>> import numpy as np
    >>> import implicitloss as il
    >>> from implicitloss import symbols as s
    >>> from implicitloss.samplers.sampler import by_shares
    >>> @dataclass(frozen=True)
    ... class Smoothed:
    ...     needs_scores = False
    ...     def log_law(self, problem):
    ...         return np.log((problem.prior.counts + 1) / (problem.prior.counts + 1).sum())
    ...     def procedure(self, problem):
    ...         return by_shares(problem.prior.counts + 1)
    ...     def law(self, yp):
    ...         return (s.n[yp] + 1) / s.over_labels(s.n[s.k] + 1)
    >>> il.testing.check_sampler(Smoothed())
    >>> scheme = il.Scheme(Smoothed(), il.weightings.Constant(), m=5, hits="mask")
    >>> print(il.derive(scheme, il.losses.SoftmaxCrossEntropy()))
    p_yy' = (n[y'] + 1)/Sum_{k=1..L}(n[k] + 1)
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
        """Whether every label with q = 0 pays nothing as a negative, so that the mean does not miss it.

        Default: False.
        """
        return False

    def log_law(self, problem: Problem) -> Floats:
        """The stated law: log q, (L,), before hits are excluded.

        Parameters
        ----------
        problem : Problem
            Scores, label prior and positive label.

        Returns
        -------
        ndarray, (L,)
            Logarithms of probabilities that sum to 1; -inf for a label that is never drawn.
        """
        ...

    def procedure(self, problem: Problem) -> Draw:
        """The function that draws labels as a training program would; it must not read the stated law.

        Parameters
        ----------
        problem : Problem
            Scores, label prior and positive label.

        Returns
        -------
        callable
            `draw(rng, size)`, which returns `size` labels (whole numbers, i.i.d.) and takes all its random numbers
            from the `numpy.random.Generator` rng.
        """
        ...

    def multiply_adds(self, n_labels: int, dimension: int, m: int) -> float:
        """Multiply-adds that m draws for one query take, beyond the scores of what is drawn; for `price`.

        Default: 0, as of laws that know no scores.
        """
        return 0.0

    def law(self, yp: sp.Expr) -> sp.Expr:
        """The stated law in symbols.

        Parameters
        ----------
        yp : sympy.Expr
            The label: y', or the positive y itself.

        Returns
        -------
        sympy.Expr
            q at this label, before hits are excluded.
        """
        ...


def complete_sampler(sampler: Sampler) -> Sampler:
    """`sampler` with the defaults of `Sampler` for what its class leaves out."""
    return completed(sampler, Sampler)


@dataclass(frozen=True)
class MadeFor:
    """What the `examples` of a sampler's file are made for.

    Parameters
    ----------
    n_labels : int
        The number of labels L.
    margin : Margin
        The margin of the minimum-variance sampler.
    loss : Loss
        The loss of the minimum-variance sampler.

    Examples
    --------
    >>> import implicitloss as il
    >>> from implicitloss.samplers import mixture
    >>> from implicitloss.samplers.sampler import MadeFor
    >>> mixture.examples(MadeFor(4, il.margins.Softmax(), il.losses.SoftmaxCrossEntropy()))
    (Mixture(share=0.5, first=WithinBatch(), second=Uniform()),)
    """

    n_labels: int
    margin: Margin
    loss: Loss


def checked_sampler(sampler: Sampler, what: str = "sampler") -> Sampler:
    """`sampler`; *raises* ValueError for a class, a name, or anything without a law in numbers and a procedure."""
    checked: Sampler = checked_part(
        sampler, Sampler, what, ("needs_scores", "log_law", "procedure"), "samplers.Uniform()"
    )
    return checked


# Larger sums of shares would overflow while the alias table is made, and smaller ones have lost their digits.
LARGEST_SUM, LEAST_SHARE = 1e300, 1e-290


def by_shares(shares: Floats) -> AliasDraw:
    """Make a procedure that draws label j with probability t_j / Σ_k t_k, by an alias table: O(1) a draw.

    Parameters
    ----------
    shares : ndarray, (L,)
        t >= 0.

    Returns
    -------
    AliasDraw
        `draw(rng, size)`, which uses one random double a label.

    Raises
    ------
    ValueError
        For shares that are negative, not finite, or all 0.

    Notes
    -----
    The table takes 16 bytes a label.  Probabilities are exact for whole numbers with L Σ t below 2⁵³.  Otherwise
    rounding adds up along the table, to at most 5e-11 of the whole in trials with 3 million labels.

    Examples
    --------
    >>> import numpy as np
    >>> from implicitloss.samplers.sampler import by_shares
    >>> draw = by_shares(np.array([8.0, 4.0, 4.0, 0.0]))
    >>> np.bincount(draw(np.random.default_rng(0), 16_000), minlength=4)
    array([7975, 3996, 4029,    0])
    """
    if not np.all(np.isfinite(shares)) or np.min(shares) < 0 or not np.max(shares) > 0:
        raise ValueError("shares must be finite and not negative, with a positive sum; here they are not")
    shares = np.asarray(shares, dtype=np.float64)
    if not float(np.max(shares)) * shares.size * shares.size < LARGEST_SUM:
        shares = shares / np.max(shares)
    return AliasDraw(shares)


def by_log_shares(logs: Floats) -> AliasDraw:
    """Make a procedure that draws label j with probability e^{l_j} / Σ_k e^{l_k}, by an alias table.

    Unlike with `by_shares`, the label that has nearly all of the probability can be left out later.

    Parameters
    ----------
    logs : ndarray, (L,)
        l; -inf for a label that is never drawn.

    Returns
    -------
    AliasDraw
        `draw(rng, size)`, which uses one random double a label.

    Raises
    ------
    ValueError
        For NaN, and if no label can be drawn.

    Examples
    --------
    >>> import numpy as np
    >>> from implicitloss.samplers.sampler import by_log_shares
    >>> draw = by_log_shares(np.array([0.0, -900.0, -901.0]))  # e^-900 is 0 in floating point
    >>> np.bincount(draw.without(0)(np.random.default_rng(0), 10_000))
    array([   0, 7281, 2719])
    """
    with np.errstate(over="ignore"):
        return replace(by_shares(np.exp(logs - logs.max())), logs=logs)


@dataclass(frozen=True, eq=False)
class AliasDraw:
    """The procedure that draws label j with probability t_j / Σ_k t_k.

    `by_shares` and `by_log_shares` make it.

    Parameters
    ----------
    shares : ndarray, (L,)
        t >= 0, checked.
    logs : ndarray, (L,), optional
        log t, if these were given.

    Examples
    --------
    >>> import numpy as np
    >>> from implicitloss.samplers.sampler import by_shares
    >>> draw = by_shares(np.array([8.0, 4.0, 4.0]))
    >>> np.bincount(draw.without(0)(np.random.default_rng(0), 10_000))
    array([   0, 4957, 5043])
    """

    shares: Floats
    logs: Floats | None = None

    @cached_property
    def cells(self) -> Floats:
        """The alias table, (L, 2)."""
        # A copy, as the kernel would be compiled once more for arrays that cannot be written to.
        return alias_table(self.shares.copy())

    def without(self, label: int | Labels) -> AliasDraw:
        """Draw only labels other than `label`, however large its probability is.

        Parameters
        ----------
        label : int or ndarray of int
            The label that is never drawn, or several of them.

        Raises
        ------
        ValueError
            If the other labels have no shares, or so small ones that their digits are lost.
        """
        if self.logs is not None:
            logs = self.logs.copy()
            logs[label] = -np.inf
            if logs.max() > -np.inf:
                return by_log_shares(logs)
        shares = self.shares.copy()
        shares[label] = 0.0
        if not shares.max() > LEAST_SHARE:
            raise ValueError(
                f"there must be labels to draw other than {shown(label)}, but the shares of all others are 0, or so "
                "small beside its own that rounding loses them; use hits='mask'"
            )
        return by_shares(shares)

    def prepare(self) -> None:
        """Make the table now, perhaps in another thread."""
        _ = self.cells

    def __call__(self, rng: np.random.Generator, size: int) -> Labels:
        """Draw labels.

        Parameters
        ----------
        rng : numpy.random.Generator
            One random double a label is taken from it.
        size : int
            The number of labels.

        Returns
        -------
        ndarray of int, (size,)
            The labels, i.i.d.
        """
        labels = np.empty(size, dtype=np.intp)
        find_by_alias(self.cells, rng.random(size), labels)
        return labels


class ImpossibleDraw(ValueError):
    """A procedure drew a label to which its law gives q = 0, or a number that is no label.

    Examples
    --------
    >>> import implicitloss as il
    >>> class FromOne(il.samplers.Uniform):
    ...     def procedure(self, problem):  # labels are numbered from 0
    ...         return lambda rng, size: rng.integers(1, problem.prior.n_labels + 1, size)
    >>> problem = il.Problem([0.3, -0.4, 1.2], il.LabelPrior.from_counts([8, 4, 3]), positive=1)
    >>> scheme = il.Scheme(FromOne(), il.weightings.Constant(), m=5, hits="mask")
    >>> try:
    ...     il.simulate(scheme, il.losses.SoftmaxCrossEntropy(), problem, rng=0)
    ... except il.ImpossibleDraw as error:
    ...     print(error)
    the procedure of FromOne() must draw labels from 0 to 2, got 1 to 3
    """


def checked_draws(sampler: Sampler, problem: Problem) -> Draw:
    """The sampler's procedure, made to raise ValueError for anything but labels: kernels do not check their indices."""
    procedure, n_labels = sampler.procedure(problem), problem.prior.n_labels
    if not callable(procedure):
        raise ValueError(
            f"the procedure of {shown(sampler)} must return a function (rng, size) -> labels, got {shown(procedure)}"
        )

    if isinstance(procedure, AliasDraw) and procedure.shares.size == n_labels:
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
