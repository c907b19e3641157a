"""A number and where it comes from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from implicitloss.arguments import as_number, checked_whole, shown

Quantity = Literal["mean", "variance", "mse", "gap", "gradient"]
QUANTITIES: tuple[Quantity, ...] = get_args(Quantity)

Value = float | NDArray[np.float64]


def checked_quantity(quantity: str) -> None:
    """*Raises* ValueError unless `quantity` is one of `QUANTITIES`."""
    if not isinstance(quantity, str) or quantity not in QUANTITIES:
        raise ValueError(f"quantity must be one of {', '.join(QUANTITIES)}, got {shown(quantity)}")


def checked_finite(value: Value, what: str) -> Value:
    """`value`; *raises* ValueError where it, or an entry of it, is infinite or not a number."""
    if not np.all(np.isfinite(value)):
        bad = np.atleast_1d(value)[~np.isfinite(np.atleast_1d(value))].flat[0]
        raise ValueError(f"{what} must be finite, got {bad}: scores or weights are too large for floating point")
    return value


@dataclass(frozen=True, eq=False, repr=False)
class Estimate:
    """`value` with its `error`, both a float or (L,): by which `method`, of which `quantity`.

    `error` is a bound on |value - truth| for exact methods ("integrate", "exhaust", "closed form") and one
    standard error for "simulate".  A simulation also says how many independent terms it averaged (`n`), between
    which limits each of them lies for certain (`low`, `high`), their sample `variance`, and its `seed`.
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
            array = isinstance(given, np.ndarray) and given.dtype.kind in "iuf" and not np.ma.isMaskedArray(given)
            if not (array or as_number(given) is not None or (given is None and what not in ("value", "error"))):
                raise ValueError(f"the {what} of an estimate must be a number or an array of them, got {shown(given)}")
            if not array and given is not None and not isinstance(given, (float, np.floating)):
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
        # A range without an end is not a number that JSON has.
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
    """`value` and `error` of several schemes and positives: (S, P), a gradient (S, P, L).

    Row i is of `schemes[i]`, column j of the label `positives[j]`.
    """

    schemes: tuple[Any, ...] = ()
    positives: tuple[int, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; schemes as they print."""
        return super().to_dict() | {"schemes": [str(scheme) for scheme in self.schemes]}

    def to_frame(self) -> Any:
        """A tidy pandas DataFrame with the columns scheme, label (the positive), m, quantity, value, error.

        A gradient has a row for each of its entries, and a column `score` for the label whose score it is of.
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
        return pd.DataFrame(columns | {"value": value.ravel(), "error": error.ravel()})

    def __repr__(self) -> str:
        shape = " x ".join(map(str, np.shape(self.value)))
        return f"SweptEstimate({self.quantity}, {shape} array, error <= {np.max(self.error):.2g}, {self.method})"
