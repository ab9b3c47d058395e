"""Random numbers of the core: keys for draws, the portable mode, and the generator that initial weights come from.

Initial weights are drawn here with NumPy's Philox, so one seed gives the same weights on every backend. Random ops
draw natively, which is fast, or in the portable mode by `kcore.ops.random`, the same numbers on every backend. Either
way a draw depends on a key alone: its site's seed, the number of the call, and the iterations of loops around it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kcore.ops.bits import np_threefry2x32, signed

_portable = False
_eager_calls: defaultdict[str, int] = defaultdict(int)


def fresh_seed() -> int:
    """A seed from `np.random`, so that np.random.seed(...) repeats whatever is drawn with it."""
    return int(np.random.randint(10_000_000))  # noqa: NPY002 - the global state is Keras 2's contract


def generator(seed: int | None = None) -> np.random.Generator:
    """A Philox generator; an unseeded one takes its seed from `np.random` (`fresh_seed`)."""
    return np.random.Generator(np.random.Philox(fresh_seed() if seed is None else seed))


# --- the portable mode ------------------------------------------------------------------------------------------------


class portable:  # noqa: N801 - a switch, written like a function
    """Turn the portable mode on (or off), for the rest of the program or for a with-block.

    In the portable mode, dropout, noise layers and the random functions of K draw the same numbers on every backend:
    uniform draws, choices and masks bit for bit, normal draws up to rounding. See docs/randomness.md.

    Args:
        enabled: whether draws are portable from now on.

    >>> with portable():
    ...     is_portable()
    True
    >>> is_portable()
    False
    """

    def __init__(self, enabled: bool = True) -> None:
        global _portable
        self._before = _portable
        _portable = bool(enabled)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        global _portable
        _portable = self._before


def is_portable() -> bool:
    """Whether random ops draw the same numbers on every backend."""
    return _portable


def site_keys(step: int, seeds: Sequence[int]) -> np.ndarray:
    """Keys of random sites at one call of a function in the portable mode.

    Args:
        step: number of the call.
        seeds: one for each site.

    Returns:
        int32 array of shape (sites, 2): the words of a Threefry key each.

    >>> site_keys(1, [7]).shape
    (1, 2)
    """
    words = np.array([(signed(seed >> 32), signed(seed)) for seed in seeds], "int32")
    return np.stack(np_threefry2x32(signed(step >> 32), signed(step), words[:, 0], words[:, 1]), axis=1)


# --- draws outside any graph ------------------------------------------------------------------------------------------


def _eager_site(backend: Any, seed: int | None) -> tuple[int, int]:
    """Step and seed of one draw: a fresh seed from np.random, or the given one with the number of such a draw so far.

    Draws are counted for each backend, so that what one of them draws changes nothing on another.
    """
    if seed is None:
        return 0, fresh_seed()
    _eager_calls[backend.name] += 1
    return _eager_calls[backend.name], int(seed)


def eager_key(backend: Any, seed: int | None) -> Any:
    """The backend's own key for one draw outside any graph."""
    step, seed = _eager_site(backend, seed)
    return backend.fold_key(backend.step_key(step), seed)


def eager_words(backend: Any, seed: int | None) -> tuple[Any, Any]:
    """The same in the portable mode: two words, native int32 scalars."""
    step, seed = _eager_site(backend, seed)
    first, second = site_keys(step, [seed])[0]
    return backend.asarray(first, "int32"), backend.asarray(second, "int32")


def reset() -> None:
    """Restart the counts of eager draws (part of K.clear_session)."""
    _eager_calls.clear()


def get_state() -> dict[str, Any]:
    """The states of Python's and NumPy's generators and the counts of eager draws, as plain data and arrays.

    >>> state = get_state()
    >>> first = np.random.rand()
    >>> set_state(state)
    >>> bool(np.random.rand() == first)
    True
    """
    import random

    return {
        "python": random.getstate(),
        "numpy": np.random.get_state(legacy=False),  # noqa: NPY002
        "eager_calls": dict(_eager_calls),
    }


def set_state(state: Mapping[str, Any]) -> None:
    """Go on where `get_state` was called."""
    import random

    random.setstate(state["python"])
    np.random.set_state(state["numpy"])  # noqa: NPY002
    _eager_calls.clear()
    _eager_calls.update(state["eager_calls"])


def set_random_seed(seed: int, portable: bool | None = None) -> None:
    """Seed Python's and NumPy's generators, from which every other draw is derived.

    Args:
        seed: an integer from 0 to 2**32 - 1.
        portable: turns the portable mode on or off as well, where given.

    >>> set_random_seed(1)
    >>> first = np.random.rand()
    >>> set_random_seed(1)
    >>> bool(np.random.rand() == first)
    True
    """
    global _portable
    import random

    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    reset()
    if portable is not None:
        _portable = bool(portable)
