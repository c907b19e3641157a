"""How `ahead.fetch` is compiled: LLVM's prefetch."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload

from implicitloss.kernels.ahead import fetch

__all__: list[str] = []


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
