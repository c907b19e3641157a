"""A seed in plain numbers, by which the same run can be had again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Seed = int | Sequence[int] | np.random.SeedSequence | np.random.BitGenerator | np.random.Generator | None


def root_of(rng: Seed) -> int | list[int]:
    """What `rng` stands for, of all that `numpy.random.default_rng` takes; a generator moves on, as generators do."""
    if rng is None:
        rng = np.random.SeedSequence()
    if isinstance(rng, (np.random.BitGenerator, np.random.Generator)):
        words: list[int] = np.random.default_rng(rng).integers(1 << 32, size=4).tolist()
        return words
    if isinstance(rng, np.random.SeedSequence):
        if rng.spawn_key == () and rng.entropy is not None:
            return rng.entropy if isinstance(rng.entropy, int) else [int(word) for word in rng.entropy]
        return [int(word) for word in rng.generate_state(4)]
    try:
        words = [rng] if isinstance(rng, (int, np.integer)) else list(rng)
    except TypeError:
        words = []
    found = [int(word) for word in words if isinstance(word, (int, np.integer)) and not isinstance(word, bool)]
    if not found or len(found) < len(words) or min(found) < 0:
        got = f"{rng!r:.60}" if isinstance(rng, (int, float, str)) else type(rng).__name__
        raise ValueError(f"rng must be a seed (whole numbers >= 0) or one of NumPy's generators, got {got}")
    return found[0] if isinstance(rng, (int, np.integer)) else found
