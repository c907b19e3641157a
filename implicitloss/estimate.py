"""A number and where it comes from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from implicitloss.arguments import as_number, checked_whole, shown

__all__ = ["Estimate", "Quantity", "SweptEstimate", "Value", "checked_finite", "checked_quantity"]

Quantity = Literal["mean", "variance", "mse", "gap", "gradient", "gradient_variance"]
QUANTITIES: tuple[Quantity, ...] = get_args(Quantity)

Value = float | NDArray[np.float64]


def checked_quantity(quantity: str) -> None:
    """*Raises* ValueError unless `quantity` is one of `QUANTITIES`."""
    if not isinstance(quantity, str) or quantity not in QUANTITIES:
        raise ValueError(f"quantity must be one of {', '.join(QUANTITIES)}, got {shown(quantity)}")


def checked_finite(value: Value, what: str) -> Value:
    """`value`; *raises* ValueError where it, or an entry of it, is infinite or not a number."""
    if isinstance(value, float) and math.isfinite(value):
        return value
    if not np.all(np.isfinite(value)):
        bad = np.atleast_1d(value)[~np.isfinite(np.atleast_1d(value))].flat[0]
        raise ValueError(f"{what} must be finite, got {bad}: scores or weights are too large for floating point")
    return value


@dataclass(frozen=True, eq=False, repr=False)
class Estimate:
    """A number with its error, and how it was computed.

    Parameters
    ----------
    value : float or ndarray
        The number; for a gradient (L,).
    error : float or ndarray
        Exact methods: a bound on |value - truth|.  Simulations: one standard error.
    quantity : str
        What the number is, e.g. "mean".
    method : str
        "integrate", "exhaust", "closed form" or "sweep", which are exact, or "simulate".
    n : int, optional
        Simulations: how many independent terms were averaged.
    variance : float or ndarray, optional
        Simulations: the sample variance of the terms.
    low, high : float or ndarray, optional
        Simulations: limits that no term can exceed.
    seed : int or sequence of int, optional
        Simulations: the seed that repeats them.

    Raises
    ------
    ValueError
        For a value or an error that is not finite, or if their shapes differ.

    Examples
    --------
    >>> import implicitloss as il
    >>> estimate = il.Estimate(1.25, 0.01, "mean", "simulate", n=400)
    >>> estimate
    Estimate(mean = 1.25 ± 0.01, simulate, n=400)
    >>> float(estimate), estimate.to_dict()["error"]
    (1.25, 0.01)
    """

    value: Value
    error: Value
    quantity: str
    method: str
    n: int | None = None
    variance: Value | None = None
    low: Value | None = None
    high: Value | None = None
    seed: Sequence[int] | int | None = None

    def __post_init__(self) -> None:
        for what in ("quantity", "method"):
            if not isinstance(getattr(self, what), str):
                raise ValueError(f"the {what} of an estimate must be text, got {shown(getattr(self, what))}")
        for what in ("value", "error", "variance", "low", "high"):
            given = getattr(self, what)
            if type(given) is float or (given is None and what not in ("value", "error")):
                continue
            array = isinstance(given, np.ndarray) and given.dtype.kind in "iuf" and not np.ma.isMaskedArray(given)
            if not (array or as_number(given) is not None):
                raise ValueError(f"the {what} of an estimate must be a number or an array of them, got {shown(given)}")
            if not array and not isinstance(given, (float, np.floating)):
                object.__setattr__(self, what, as_number(given))
        checked_finite(self.value, f"the {self.quantity:.60}")
        checked_finite(self.error, f"the error of the {self.quantity:.60}")
        if np.shape(self.value) != np.shape(self.error):
            raise ValueError(f"value and error must have one shape, got {np.shape(self.value)}, {np.shape(self.error)}")
        if self.n is not None:
            checked_whole(self.n, "n, the number of terms,", 1)

    def __float__(self) -> float:
        return float(self.value)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; what does not apply is left out."""
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        # JSON has no infinity.
        for end in ("low", "high"):
            if fields[end] is not None and not np.all(np.isfinite(fields[end])):
                fields[end] = None
        plain = {k: v.tolist() if isinstance(v, (np.ndarray, np.generic)) else v for k, v in fields.items()}
        return {k: v for k, v in plain.items() if v is not None}

    def to_frame(self) -> Any:
        """A pandas DataFrame: one row, or one row a label for a gradient."""
        import pandas as pd

        value, error = np.atleast_1d(self.value), np.atleast_1d(self.error)
        return pd.DataFrame(
            {"quantity": self.quantity, "method": self.method, "value": value, "error": error, "n": self.n}
        ).rename_axis("label" if value.size > 1 else None)

    def __repr__(self) -> str:
        if isinstance(self.value, np.ndarray):
            shown = f"({self.value.size},) array, error <= {np.max(self.error):.2g}"
        else:
            shown = f"{self.value:.15g} ± {self.error:.2g}"
        n = "" if self.n is None else f", n={self.n}"
        return f"Estimate({self.quantity} = {shown}, {self.method}{n})"


@dataclass(frozen=True, eq=False, repr=False)
class SweptEstimate(Estimate):
    """Numbers of several schemes and positives, with their errors, as `sweep` returns them.

    Parameters
    ----------
    value, error : ndarray, (S, P), or (S, P, L) for a gradient
        Entry (i, j) belongs to `schemes[i]` and the label `positives[j]`.
    quantity, method, n, variance, low, high, seed
        As those of `Estimate`.
    schemes : tuple of Scheme
        The S schemes.
    positives : tuple of int
        The P positives.
    names : tuple of str, optional
        What the labels are called, (L,), where the prior has names.

    Examples
    --------
    >>> import implicitloss as il
    >>> prior = il.LabelPrior.from_counts([8, 4, 3, 1])
    >>> schemes = [il.Scheme(il.samplers.Uniform(), il.weightings.Constant(), m=m, hits="mask") for m in (1, 64)]
    >>> swept = il.sweep(schemes, il.losses.SoftmaxCrossEntropy(), [0.3, -0.4, 1.2, -1.7], prior, positives=[0, 3])
    >>> swept["mean"].to_frame()[["label", "m", "value"]].round(4)
       label   m   value
    0      0   1  0.4428
    1      3   1  1.6554
    2      0  64  0.5702
    3      3  64  2.1120
    """

    schemes: tuple[Any, ...] = ()
    positives: tuple[int, ...] = ()
    names: tuple[str, ...] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; schemes as they print, and the names of the positives."""
        names = {} if self.names is None else {"names": [self.names[y] for y in self.positives]}
        return super().to_dict() | {"schemes": [str(scheme) for scheme in self.schemes]} | names

    def to_frame(self) -> Any:
        """A tidy pandas DataFrame with the columns scheme, label (the positive), m, quantity, value, error.

        A gradient has a row for each entry ∂ℓ/∂f_k, and a column `score` with the label k.  Where labels have names,
        `name` is that of the positive, and `score_name` that of k.
        """
        import pandas as pd

        value, error = np.asarray(self.value), np.asarray(self.error)
        scheme, label = (axis.ravel() for axis in np.indices(value.shape)[:2])
        columns: dict[str, Any] = {
            "scheme": np.array([str(scheme) for scheme in self.schemes])[scheme],
            "label": np.array(self.positives)[label],
            "m": np.array([scheme.m for scheme in self.schemes])[scheme],
            "quantity": self.quantity,
        }
        if value.ndim == 3:
            columns["score"] = np.indices(value.shape)[2].ravel()
        if self.names is not None:
            called = np.array(self.names)
            columns["name"] = called[columns["label"]]
            columns |= {"score_name": called[columns["score"]]} if value.ndim == 3 else {}
        return pd.DataFrame(columns | {"value": value.ravel(), "error": error.ravel()})

    def __repr__(self) -> str:
        shape = " x ".join(map(str, np.shape(self.value)))
        return f"SweptEstimate({self.quantity}, {shape} array, error <= {np.max(self.error):.2g}, {self.method})"
