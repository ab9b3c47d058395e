"""When variables are at rest: runs that change them on one side, whoever reads many of them together on the other.

Runs may overlap each other; reading waits until none is under way, and goes before those that come next. So a model
that is saved while another thread trains it is saved as it was between two steps.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_ident = threading.get_ident


class _Changing:
    """What `changing` is: entered by each run that changes variables, at the cost of less than a microsecond."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._turn = threading.Condition(self._lock)
        self._runs: dict[int, int] = {}  # of each thread: a run may start others
        self._readers: list[int] = []  # threads that wait; the first one reads as soon as no other thread runs

    def __enter__(self) -> None:
        me = _ident()
        with self._lock:
            while self._readers and me not in self._runs and me != self._readers[0]:
                self._turn.wait()
            self._runs[me] = self._runs.get(me, 0) + 1

    def __exit__(self, *error: object) -> None:
        me = _ident()
        with self._lock:
            left = self._runs.pop(me) - 1
            if left:
                self._runs[me] = left
            elif self._readers:
                self._turn.notify_all()

    @contextmanager
    def not_now(self) -> Iterator[None]:
        """Wait until no other thread runs, and keep them waiting."""
        me = _ident()
        with self._turn:
            if me in self._readers:
                self._readers.insert(0, me)
            else:
                self._readers.append(me)
            while self._readers[0] != me or any(thread != me for thread in self._runs):
                self._turn.wait()
        try:
            yield
        finally:
            with self._turn:
                self._readers.remove(me)
                self._turn.notify_all()


#: `with changing: ...` around a run that changes variables.
changing = _Changing()


def at_rest() -> Any:
    """A with-block in which no other thread's run changes a variable: what is read belongs to one moment.

    Runs that would change something wait at their beginning; those that only read (predictions) go on. The block must
    not wait for another thread that trains.

    >>> v = K.variable(1.0)
    >>> with at_rest():
    ...     float(v.view())
    1.0
    """
    return changing.not_now()
