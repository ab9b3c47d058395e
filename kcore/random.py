"""Random numbers of the core: keys for eager draws, and the NumPy generator that initial weights come from.

Initial weights are drawn here with NumPy's Philox, so one seed gives the same weights on every backend. Random ops
draw natively, from keys: (a site's seed, the number of the executable's call).
"""

from __future__ import annotations

from typing import Any

import numpy as np

_eager_calls = 0


def generator(seed: int | None = None) -> np.random.Generator:
    """A Philox generator; an unseeded one takes its seed from `np.random`, so np.random.seed(...) repeats it."""
    if seed is None:
        seed = int(np.random.randint(10_000_000))  # noqa: NPY002 - the global state is Keras 2's contract
    return np.random.Generator(np.random.Philox(seed))


def eager_key(backend: Any, seed: int | None) -> Any:
    """A key for one draw outside any graph: fresh from np.random, or from the given seed and a call count."""
    global _eager_calls
    if seed is None:
        return backend.fold_key(backend.step_key(0), int(np.random.randint(10_000_000)))  # noqa: NPY002
    _eager_calls += 1
    return backend.fold_key(backend.step_key(_eager_calls), seed)


def reset() -> None:
    """Restart the eager call count (part of K.clear_session)."""
    global _eager_calls
    _eager_calls = 0


def set_random_seed(seed: int) -> None:
    """Seed Python's and NumPy's generators, from which every other draw is derived."""
    import random

    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    reset()
