"""What callers give, kind by kind: each check returns its argument as the library keeps it, or raises ValueError.

The sentence says what was wrong, what it was and what would be right, in one line of at most 300 characters: long
values are cut short, arrays and tables are named by their shape.  Numbers may be Python's or NumPy's (0-d arrays too),
vectors lists, arrays or columns of tables; text, booleans, dates, complex and masked values are no numbers.

One file: the checks share one way to show a wrong value and one form of sentence.
"""

from __future__ import annotations

import functools
import inspect
import math
import re
import reprlib
from collections.abc import Callable, Collection, Mapping, Sequence
from decimal import Decimal
from numbers import Integral, Real
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "MASS_TOLERANCE",
    "as_number",
    "as_whole",
    "as_word",
    "checked_array",
    "checked_choice",
    "checked_flag",
    "checked_function",
    "checked_instance",
    "checked_list",
    "checked_matrix",
    "checked_number",
    "checked_part",
    "checked_probabilities",
    "checked_threads",
    "checked_vector",
    "checked_whole",
    "checked_wholes",
    "completed",
    "defines",
    "shown",
]

T = TypeVar("T")

# How far from 1 a prior or a sampler's q may sum before it is refused: the rounding of a sum of a few million
# terms, far below any difference that matters.
MASS_TOLERANCE = 1e-9
MOST_THREADS = 1024
MOST_IN_A_LIST = 100_000_000
# How far from 1 rounding alone may take a sum of probabilities, for any number of labels.
MASS_ROUNDING = 1e-13
_NO_NUMBERS = (bool, np.bool_, np.timedelta64)

_short = reprlib.Repr()
_short.maxstring = _short.maxother = _short.maxlong = 60
_short.maxlist = _short.maxtuple = _short.maxdict = _short.maxset = 3


def shown(value: object) -> str:
    """`value` as errors show it: one line of at most 80 characters."""
    if isinstance(value, type):
        return f"the class {value.__name__:.60}"
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and shape:
        what = {"ndarray": "an array"}.get(type(value).__name__, f"a {type(value).__name__:.30}")
        return f"{what} of shape {shape}"[:80]
    try:
        plain = isinstance(value, (np.generic, np.ndarray)) and not isinstance(value, str)
        text = str(value) if plain else _short.repr(value)
    except Exception:  # a repr of the caller's own, or a number of too many digits
        text = f"a {type(value).__name__:.60}"
    text = " ".join(text.split())
    return text if len(text) <= 80 else f"{text[:77]}..."


# --- numbers ------------------------------------------------------------------------------------------------------


def _scalar(value: Any) -> Any:
    """The number in a 0-d array, or None if it is masked; any other value as it is."""
    if isinstance(value, np.ma.MaskedArray) and np.ma.getmaskarray(value).any():
        return None
    return value[()] if isinstance(value, np.ndarray) and value.ndim == 0 else value


def as_number(value: Any) -> float | None:
    """`value` as a float, perhaps not a finite one; None for what is no number, or none that a float can be."""
    if type(value) is float:  # most are
        return value
    value = _scalar(value)
    if isinstance(value, _NO_NUMBERS) or not isinstance(value, (Real, Decimal)):
        return None
    try:
        return float(value)
    except (OverflowError, ValueError):
        return None


def as_whole(value: Any) -> int | None:
    """`value` as an int; None for what is no whole number."""
    if type(value) is int:  # most are, and schemes are made by the thousand
        return value
    value = _scalar(value)
    return int(value) if isinstance(value, Integral) and not isinstance(value, _NO_NUMBERS) else None


def checked_number(
    value: Any, what: str, wanted: str = "a finite number", within: Callable[[float], bool] = math.isfinite
) -> float:
    """`value` as a finite float that lies `within` what is `wanted`."""
    number = as_number(value)
    if number is None or not math.isfinite(number) or not within(number):
        raise ValueError(f"{what} must be {wanted}, got {shown(value)}")
    return number


def checked_whole(value: Any, what: str, low: int, high: int | None = None) -> int:
    """`value` as an int from `low` to `high`."""
    whole = as_whole(value)
    if whole is None or whole < low:
        raise ValueError(f"{what} must be a whole number >= {low}, got {shown(value)}")
    if high is not None and whole > high:
        raise ValueError(f"{what} must be at most {high:,}, got {shown(value)}")
    return whole


def checked_threads(threads: Any) -> int | None:
    """How many threads, or None for as many as there are processors."""
    return None if threads is None else checked_whole(threads, "threads", 1, MOST_THREADS)


# --- words --------------------------------------------------------------------------------------------------------


def checked_flag(value: Any, what: str) -> bool:
    """`value`, True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise ValueError(f"{what} must be True or False, got {shown(value)}")
    return bool(value)


def checked_choice(value: Any, what: str, choices: Sequence[str]) -> str:
    """`value`, one of the `choices`."""
    if not isinstance(value, str) or value not in choices:
        names = [repr(choice) for choice in choices]
        raise ValueError(f"{what} must be {', '.join(names[:-1])} or {names[-1]}, got {shown(value)}")
    return str(value)


def as_word(kind: type) -> str:
    """How the command line calls a class of the library: WithinBatch is within-batch."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", kind.__name__).lower()


def checked_function(value: Any, what: str, example: str) -> Any:
    """`value`, something to call, and no class."""
    if isinstance(value, type) or not callable(value):
        raise ValueError(f"{what} must be a function, {example}, got {shown(value)}")
    return value


# --- vectors ------------------------------------------------------------------------------------------------------


def _unmasked(values: Any, name: str) -> Any:
    if isinstance(values, np.ma.MaskedArray):
        hidden = int(np.ma.getmaskarray(values).sum())
        if hidden:
            raise ValueError(f"{name} must all be there, but {hidden} of {values.size} are masked")
        return values.data
    return values


def _mixed(values: Any) -> bool:
    """Whether a list holds what NumPy would turn into numbers although it is none."""
    if isinstance(values, (bytes, bytearray, memoryview)):
        return True
    kinds = set(map(type, values)) if isinstance(values, (list, tuple)) else set()
    arrays = np.ndarray in kinds and any(isinstance(x, np.ndarray) and x.dtype.kind == "b" for x in values)
    return arrays or bool(kinds & {bool, np.bool_, np.ma.core.MaskedConstant})


def _numbers(values: Any, name: str) -> NDArray[np.float64]:
    """A copy of `values` as floats of their own shape."""

    def refusal() -> ValueError:
        return ValueError(f"{name} must be numbers, got {shown(values)}")

    values = _unmasked(values, name)
    try:
        found = np.asarray(values)
    except Exception:  # ragged lists, and arrays of other libraries that refuse
        raise refusal() from None
    if found.dtype.kind == "O":
        each = [as_number(value) for value in found.ravel()]
        if any(number is None for number in each):
            raise refusal()
        found = np.array(each, dtype=np.float64).reshape(found.shape)
    if found.dtype.kind not in "iuf" or _mixed(values):
        raise refusal()
    if found.dtype.itemsize <= 8:  # nothing can overflow, and to say what is done then takes a microsecond
        return np.array(found, dtype=np.float64)
    with np.errstate(over="ignore"):
        return np.array(found, dtype=np.float64)


def checked_vector(values: ArrayLike, name: str, n_labels: int | None = None) -> NDArray[np.float64]:
    """`values` as a read-only float vector (L,), finite and not empty; `name` is how errors call it."""
    vector = _numbers(values, name)
    if vector.ndim != 1:
        raise ValueError(f"{name} must be a vector (L,), got shape {vector.shape}")
    if vector.size == 0:
        raise ValueError(f"{name} must hold at least one label, got none")
    if not np.isfinite(vector).all():
        bad = int(np.flatnonzero(~np.isfinite(vector))[0])
        raise ValueError(f"{name} must be finite, but label {bad} has {vector[bad]}")
    if n_labels is not None and vector.size != n_labels:
        raise ValueError(f"{name} must cover the prior's {n_labels} labels, got {vector.size}")
    vector.setflags(write=False)
    return vector


def checked_matrix(values: ArrayLike, name: str, largest: float) -> NDArray[np.float64]:
    """A copy of `values` as a float matrix (n, d), its numbers within ± `largest`; it may be empty."""
    matrix = _numbers(values, name)
    if matrix.ndim != 2:
        raise ValueError(f"{name} must be a matrix (n, d), got shape {matrix.shape}")
    bad = np.argwhere(~(np.abs(matrix) <= largest))
    if bad.size:
        row, column = bad[0].tolist()
        raise ValueError(f"{name} must be finite and within ±{largest:g}, but row {row} has {matrix[row, column]:g}")
    return matrix


def checked_array(values: ArrayLike, name: str, forms: Mapping[int, str], largest: float) -> NDArray[np.float64]:
    """A copy of `values` as floats within ± `largest`, not empty; `forms` has a name for each number of dimensions."""
    array = _numbers(values, name)
    if array.ndim not in forms or array.size == 0:
        raise ValueError(f"{name} must be {' or '.join(forms.values())}, got shape {array.shape}")
    bad = ~(np.abs(array) <= largest)
    if bad.any():
        place = np.unravel_index(int(np.argmax(bad)), array.shape)
        at = f"but [{', '.join(map(str, place))}] is" if place else "got"
        raise ValueError(f"{name} must be finite and within ±{largest:g}, {at} {array[place]:g}")
    return array


def checked_probabilities(values: ArrayLike, name: str, n_labels: int | None = None) -> NDArray[np.float64]:
    """`values` as probabilities (L,): not negative, summing to 1 within `MASS_TOLERANCE`; scaled to sum to 1."""
    vector = checked_vector(values, name, n_labels)
    worst = int(np.argmin(vector))
    if vector[worst] < 0:
        raise ValueError(f"{name} must not be negative, but label {worst} has {vector[worst]}")
    with np.errstate(over="ignore"):
        total = float(vector.sum())
    if abs(total - 1.0) > MASS_TOLERANCE:
        raise ValueError(f"{name} must sum to 1, got {total:.12g}")
    # A sum's own rounding is left alone: probabilities that are right keep their bits.
    if abs(total - 1.0) > MASS_ROUNDING:
        vector = vector / total
        vector.setflags(write=False)
    return vector


def checked_wholes(values: Any, what: str, size: int, least: int = 0) -> NDArray[np.intp]:
    """`values` as a vector of whole numbers from `least` to `size` - 1: labels, or rows; it may be empty."""
    refusal = ValueError(f"{what} must be whole numbers in one vector, got {shown(values)}")
    values = _unmasked(values, what)
    if isinstance(values, range) and len(values) > size - least:
        raise ValueError(f"{what} must lie from {least} to {size - 1}, got {shown(values)}")
    if isinstance(values, Collection) and not isinstance(values, (str, bytes, Mapping)):
        values = values if hasattr(values, "__array__") else list(values)
    try:
        found = np.asarray(values)
    except Exception:
        raise refusal from None
    if found.dtype.kind == "O":
        each = [as_whole(value) for value in found.ravel()]
        if any(whole is None for whole in each):
            raise refusal
        found = np.array(each, dtype=object).reshape(found.shape)
    elif found.size and (found.dtype.kind not in "iu" or _mixed(values)):
        raise refusal
    if found.ndim != 1:
        raise refusal
    if found.size and not (found.min() >= least and found.max() < size):
        raise ValueError(
            f"{what} must lie from {least} to {size - 1}, got {shown(found.min())} to {shown(found.max())}"
        )
    return found.astype(np.intp)


# --- parts --------------------------------------------------------------------------------------------------------


def checked_instance(value: Any, kind: type[T], what: str, example: str) -> T:
    """`value`, an instance of `kind`."""
    if not isinstance(value, kind):
        raise ValueError(f"{what} must be a {kind.__name__}, e.g. {example}, got {shown(value)}")
    return value


def checked_list(values: Any, what: str) -> list[Any]:
    """`values` as a list; *raises* ValueError for one thing alone, text included."""
    one = isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Collection)
    if one or isinstance(values, (bytearray, memoryview)) or len(getattr(values, "shape", (1,))) != 1:
        raise ValueError(f"{what} must be a list, got {shown(values)}")
    if len(values) > MOST_IN_A_LIST:
        raise ValueError(f"{what} must be at most {MOST_IN_A_LIST:,}, got {len(values):,}")
    return list(values)


_ABSENT = object()


def _has(part: Any, name: str) -> bool:
    """Whether `part` has the member; its code is not run, so that an error within a property is not taken for a no."""
    if any(name in vars(kind) for kind in type(part).__mro__):
        return True  # most have it here, and this is found ten times faster
    if inspect.getattr_static(part, name, _ABSENT) is not _ABSENT:
        return True
    return hasattr(type(part), "__getattr__") and hasattr(part, name)


class _Completed:
    """A part, with the defaults of its protocol for the members that it lacks; else it is like the part itself."""

    def __init__(self, part: Any, protocol: type) -> None:
        self._part, self._protocol = part, protocol

    def __getattr__(self, name: str) -> Any:
        # Copies and unpickled values are asked for special methods before they have a part.
        if name.startswith("__") or name in ("_part", "_protocol"):
            raise AttributeError(name)
        if not _has(self._part, name) and name in vars(self._protocol):
            return vars(self._protocol)[name].__get__(self._part)
        return getattr(self._part, name)

    def __eq__(self, other: object) -> bool:
        return bool(self._part == other)

    def __hash__(self) -> int:
        return hash(self._part)

    def __str__(self) -> str:
        return str(self._part)

    def __repr__(self) -> str:
        return repr(self._part)


def completed(part: T, protocol: type) -> T:
    """`part`; one that lacks members of its `protocol` is seen with the defaults that the protocol gives them."""
    # A class that inherits from its protocol has all of them.
    if protocol in type(part).__mro__:
        return part
    members = [name for name in vars(protocol) if not name.startswith("_")]
    return part if all(_has(part, name) for name in members) else cast(T, _Completed(part, protocol))


@functools.lru_cache(maxsize=512)
def _class_defines(kind: type, name: str, protocol: type) -> bool:
    """Whether the first class that has the member `name` has more than the stub of the `protocol`."""
    first = next((each for each in kind.__mro__ if name in vars(each)), protocol)
    return vars(first)[name] is not vars(protocol)[name]


def defines(part: Any, name: str, protocol: type) -> bool:
    """Whether `part` has the member `name`, and not only the stub that a class inherits from its `protocol`."""
    part = part._part if isinstance(part, _Completed) else part
    # The first class that has the member decides, unless it has the stub: the part itself may then have its own.
    if _class_defines(type(part), name, protocol):  # type: ignore[arg-type]  # a protocol is hashable
        return True
    return _has(part, name) and inspect.getattr_static(part, name, None) is not vars(protocol)[name]


def checked_part(value: Any, protocol: type, what: str, needs: Sequence[str], example: str) -> Any:
    """`value`, a part that defines what it `needs` of its `protocol` (Sampler, Weighting, Margin or Loss)."""
    home = example.split(".")[0]
    if isinstance(value, type):
        raise ValueError(
            f"the {what} must be an instance, got the class {value.__name__:.60}: write {value.__name__:.60}()"
        )
    lacks = [name for name in needs if not defines(value, name, protocol)]
    if len(lacks) == len(needs):
        raise ValueError(f"a {what} must be one of implicitloss.{home}, e.g. {example}, got {shown(value)}")
    if lacks:
        raise ValueError(
            f"the {what} must have {', '.join(needs)}, as those of implicitloss.{home} do, "
            f"but {shown(value)} lacks {', '.join(lacks)}"
        )
    if type(value).__hash__ is None:
        raise ValueError(f"the {what} must be hashable: give {type(value).__name__:.60} @dataclass(frozen=True)")
    return value
