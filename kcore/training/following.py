"""A Sequence that is watched while it is read, so that another process can go on with its next batch, bit for bit.

Workers fetch ahead: when a batch is trained on, the Sequence and the random generators have gone on. So what they were
is noted before each batch is fetched, and dropped when it was read.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from kcore import random
from kcore.utils.data_utils import Sequence


class Followed(Sequence):
    """A Sequence as it is, and what it was before each fetch.

    A Sequence with `get_state()` and `set_state(state)` says itself what it is, and may draw its batches from
    `np.random`. Of any other, `on_epoch_end` is called again as often as it was, each time with the random states that
    it found.

    Args:
        sequence: what is read.
        ahead: whether another thread fetches.
        draws: whether NumPy's random state at a fetch is put back. Only one source can have it.
    """

    def __init__(self, sequence: Any, *, ahead: bool, draws: bool) -> None:
        self.sequence = sequence
        self.ahead = ahead
        self.keeps = hasattr(sequence, "get_state") and hasattr(sequence, "set_state")
        self.draws = draws and self.keeps
        self._ended = 0
        self._ends: list[Any] = []
        self._before: deque[dict[str, Any]] = deque()
        self._noted = threading.Lock()
        self._may_fetch = threading.Event()
        self._first_random: Any = None

    def __len__(self) -> int:
        return len(self.sequence)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.sequence)

    def __getitem__(self, index: int) -> Any:
        if self.ahead:
            self._may_fetch.wait()
            self._note()
        batch = self.sequence[index]
        if batch is None and self.ahead:  # nobody will read it
            with self._noted:
                self._before.pop()
        return batch

    def _note(self) -> None:
        with self._noted:
            if self._first_random is not None:
                np.random.set_state(self._first_random)  # noqa: NPY002
                self._first_random = None
            self._before.append(self._now())

    def on_epoch_end(self) -> None:
        """Tell the Sequence, and remember what it could draw from."""
        before = None if self.keeps else random.get_state()
        self.sequence.on_epoch_end()
        with self._noted:
            if before is not None:
                self._ends.append(before if _differ(before, random.get_state()) else None)
            self._ended += 1

    def __reduce__(self) -> Any:
        return _itself, (self.sequence,)  # a worker process reads the Sequence alone

    def _now(self) -> dict[str, Any]:
        state = self.sequence.get_state() if self.keeps else None
        drawing = np.random.get_state(legacy=False) if self.draws else None  # noqa: NPY002
        return {"state": state, "ended": self._ended, "ends": list(self._ends), "random": drawing}

    def batch_read(self) -> None:
        """The batch that was fetched first has been read."""
        if self.ahead:
            self._before.popleft()

    def has_next(self, passes: int) -> bool:
        """Whether the next batch that nobody has read is being fetched.

        Args:
            passes: how often the Sequence was read to its end; it is told of each before.
        """
        with self._noted:
            return self._ended >= passes and (bool(self._before) or not self.ahead)

    def get_state(self) -> dict[str, Any]:
        """What the Sequence is before the next batch that nobody has read, which is being fetched."""
        with self._noted:
            if self._before:
                return self._before[0]
            return {**self._now(), "random": None}  # as it is now

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Make the Sequence what it was; the first fetch waits for `go`."""
        if self.keeps and state["state"] is not None:
            self.sequence.set_state(state["state"])
        for before in state["ends"]:
            if before is not None:
                random.set_state(before)
            self.sequence.on_epoch_end()
        self._ended, self._ends = state["ended"], list(state["ends"])
        self._first_random = state["random"]

    def go(self) -> None:
        """Let fetching begin."""
        self._may_fetch.set()


def _differ(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    """Whether something was drawn between two random states."""
    words = [(x["numpy"]["state"]["key"], x["numpy"]["state"]["pos"], x["python"]) for x in (a, b)]
    (key, position, python), (other_key, other_position, other_python) = words
    return position != other_position or python != other_python or bool((key != other_key).any())


def _itself(sequence: Any) -> Any:
    return sequence
