"""A loss that fails: is it one of a framework, called without its adapter, and where in the user's code did it fail?"""

from __future__ import annotations

import inspect
import os
import re
import traceback
from types import TracebackType
from typing import Any

__all__ = ["in_batch_names", "is_of_the_loss", "is_of_this_package", "outside", "wants_tensors"]

PACKAGE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "")
FRAMEWORKS = ("torch", "tensorflow", "jax", "keras")
# Methods that tensors have and arrays lack, as they appear in "'numpy.ndarray' object has no attribute 'gather'".
OF_TENSORS = re.compile(
    r"'numpy\.ndarray' object has no attribute '(backward|clamp|cpu|cuda|detach|device|double|float|gather|grad|"
    r"exp|log|log_softmax|logsumexp|long|masked_fill|numel|numpy|permute|requires_grad|scatter|softmax|to|unsqueeze)'"
)
# Names of arguments that are vectors of a batch, and not scores.
OF_BATCHES = re.compile(r"^[qiuvk]$|quer|item|user|anchor|doc|passage|candidate|emb|image|text|keys")


def wants_tensors(error: BaseException, loss_fn: Any) -> bool:
    """Whether a loss failed because it was given NumPy arrays in place of a framework's tensors."""
    if not isinstance(error, (AttributeError, TypeError)):
        return False
    said = str(error)
    if OF_TENSORS.search(said) or re.search(r"\b[Tt]ensors?\b", said):
        return True
    about_arrays = re.search(r"ndarray|Generator|numpy|\barrays?\b", said) is not None
    return about_arrays and any(_is_of_a_framework(scope) for scope in _scopes(error, loss_fn))


def in_batch_names(loss_fn: Any) -> str:
    """The arguments of a loss that are called as those of in-batch losses, for example "queries, items"; else ""."""
    try:
        names = list(inspect.signature(loss_fn).parameters)[:3]
    except (TypeError, ValueError):  # built in, or no function
        return ""
    return ", ".join(names) if len(names) > 1 and all(map(OF_BATCHES.search, names[:2])) else ""


def _scopes(error: BaseException, loss_fn: Any) -> list[dict[str, Any]]:
    """The names of the modules that the error came through, and those of the module of the loss."""
    called = getattr(loss_fn, "__globals__", None) or getattr(type(loss_fn).__call__, "__globals__", {})
    return [called, *(frame.f_globals for frame, _ in traceback.walk_tb(error.__traceback__))]


def _is_of_a_framework(names: dict[str, Any]) -> bool:
    """Whether a module belongs to a framework, or has imported one."""
    modules = [names.get("__name__"), *(getattr(value, "__name__", None) for value in list(names.values()))]
    return any(isinstance(name, str) and name.partition(".")[0] in FRAMEWORKS for name in modules)


def is_of_the_loss(error: BaseException) -> bool:
    """Whether the last frames of an error are those of the loss, and not of this package."""
    frames = [frame.f_code.co_filename for frame, _ in traceback.walk_tb(error.__traceback__)]
    asked = [i for i, name in enumerate(frames) if name == os.path.join(PACKAGE, "auditing", "blackbox.py")]
    return bool(asked) and any(not name.startswith(PACKAGE) for name in frames[asked[-1] + 1 :])


def is_of_this_package(error: BaseException) -> bool:
    """Whether an error was raised in this package, and not in the code of the loss that it called."""
    frames = [frame.f_code.co_filename for frame, _ in traceback.walk_tb(error.__traceback__)]
    return bool(frames) and frames[-1].startswith(PACKAGE)


def outside(found: TracebackType | None) -> TracebackType | None:
    """A traceback without the frames of this package."""
    kept = []
    while found is not None:
        if not found.tb_frame.f_code.co_filename.startswith(PACKAGE):
            kept.append(found)
        found = found.tb_next
    rest: TracebackType | None = None
    for frame in reversed(kept):
        rest = TracebackType(rest, frame.tb_frame, frame.tb_lasti, frame.tb_lineno)
    return rest
