"""Fetch ahead of time: where a table does not fit the caches, a draw would wait for memory, one draw at a time.

Random numbers come first and are looked up later, so that the row of a later draw is known, and can be asked for before
it is needed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload
from numpy.typing import NDArray

__all__ = ["AHEAD_DRAWS", "NEAR_BYTES", "fetch"]

# Kernels hold these numbers compiled, in a cache that knows of changes to their own files only.
# So many draws ahead main memory has time to answer, and the answers fit the second cache.
AHEAD_DRAWS = 128
# A table of this many bytes is near anyhow.
NEAR_BYTES = 1 << 20


def fetch(table: NDArray[Any], row: int) -> None:
    """Ask for the start of table[row], without waiting for it: this changes nothing but the time."""


def _prefetch(typing_context: Any, table: Any, row: Any) -> Any:
    """LLVM's prefetch of the row's first byte, to be read, into the second cache."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        stride = cgutils.unpack_tuple(builder, array.strides)[0]
        number = ir.IntType(32)
        data = builder.bitcast(array.data, ir.IntType(8).as_pointer())
        kind = ir.FunctionType(ir.VoidType(), [data.type, number, number, number])
        prefetch = builder.module.declare_intrinsic("llvm.prefetch", [data.type], kind)
        for_reading, second_cache, for_data = number(0), number(2), number(1)
        place = builder.gep(data, [builder.mul(arguments[1], stride)])
        builder.call(prefetch, [place, for_reading, second_cache, for_data])
        return context.get_dummy_value()

    return types.void(table, row), generate


_compiled_prefetch = intrinsic(_prefetch)


def _fetch(table: Any, row: Any) -> Any:
    def compiled(table: Any, row: Any) -> None:
        _compiled_prefetch(table, np.intp(row))

    return compiled


overload(fetch)(_fetch)
