"""A seed in plain numbers, by which the same run can be had again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from implicitloss.arguments import as_whole, shown

__all__ = ["Seed", "checked_seed", "root_of"]

Seed = int | Sequence[int] | np.random.SeedSequence | np.random.BitGenerator | np.random.Generator | None


def checked_seed(rng: Seed) -> Seed:
    """`rng`, None, a generator, or whole numbers >= 0 as `numpy.random.default_rng` takes them."""
    if rng is None or isinstance(rng, (np.random.SeedSequence, np.random.BitGenerator, np.random.Generator)):
        return rng
    whole = as_whole(rng)
    if whole is not None:
        found: list[int | None] = [whole]
    elif isinstance(rng, (list, tuple)) or (isinstance(rng, np.ndarray) and rng.ndim == 1):
        found = [as_whole(word) for word in rng]
    else:
        found = []
    words = [word for word in found if word is not None and word >= 0]
    if not words or len(words) < len(found):
        raise ValueError(f"rng must be a seed (whole numbers >= 0) or one of NumPy's generators, got {shown(rng)}")
    return words[0] if whole is not None else words


def root_of(rng: Seed) -> int | list[int]:
    """What `rng` stands for, of all that `numpy.random.default_rng` takes; a generator moves on, as generators do."""
    rng = checked_seed(np.random.SeedSequence() if rng is None else rng)
    if isinstance(rng, (np.random.BitGenerator, np.random.Generator)):
        words: list[int] = np.random.default_rng(rng).integers(1 << 32, size=4).tolist()
        return words
    if isinstance(rng, np.random.SeedSequence):
        if rng.spawn_key == () and rng.entropy is not None:
            return rng.entropy if isinstance(rng.entropy, int) else [int(word) for word in rng.entropy]
        return [int(word) for word in rng.generate_state(4)]
    assert rng is not None
    return rng if isinstance(rng, int) else list(rng)
