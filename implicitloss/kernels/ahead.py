"""Fetch ahead of time: where a table does not fit the caches, a draw would wait for memory, one draw at a time.

Random numbers come first and are looked up later, so that the row of a later draw is known, and can be asked for before
it is needed.  `prefetch` says how `fetch` is compiled.
"""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

__all__ = ["AHEAD_DRAWS", "NEAR_BYTES", "fetch"]

# Kernels hold these numbers compiled, in a cache that knows of changes to their own files only.
# So many draws ahead main memory has time to answer, and the answers fit the second cache.
AHEAD_DRAWS = 128
# A table of this many bytes is near anyhow.
NEAR_BYTES = 1 << 20


def fetch(table: NDArray[Any], row: int) -> None:
    """Ask for the start of table[row], without waiting for it: this changes nothing but the time."""
