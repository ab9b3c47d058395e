"""Where a run is in its sources of batches, so that another process can go on from there.

A Sequence is asked for the batches that are missing. A generator has to yield what was read once more: it is taken to
give the same batches each time it is started.
"""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, replace
from typing import Any

from kcore.errors import ArgumentError
from kcore.training.following import Followed


@dataclass(frozen=True)
class Begin:
    """Where the reading of a Sequence begins: epoch and batch, and orders and seed that were drawn for it before."""

    epoch: int = 0
    first: int = 0
    orders: Sequence[list[int]] = ()
    seed: int | None = None


FROM_THE_START = Begin()


class Place:
    """How far a source was read, and what is left of it.

    Args:
        source: a `Source`.
        draws: whether random states are those in which its batches were fetched.

    Attributes:
        taken: how many batches were read, since the run began.
        passes: how often a Sequence or loader was read to its end.
        ends: how often the loop told a Sequence of the end of an epoch (without workers; else they do).
    """

    def __init__(self, source: Any, *, draws: bool = True) -> None:
        self.source = source
        self.draws = draws
        self._kept: Any = None
        self._followed: Followed | None = None
        self.taken = self.passes = self.ends = 0
        self._stream: Any = None
        self._within = self._length = 0
        self._opened_at = 0
        self._drawn: dict[str, Any] = {"orders": [], "seed": None}

    @property
    def enqueuer(self) -> Any:
        """What fetches ahead; None without workers."""
        return self._stream.enqueuer if self._stream is not None else None

    @property
    def lock(self) -> AbstractContextManager[Any]:
        """Inside it no order of batches is drawn."""
        drawing = getattr(self.enqueuer, "drawing", None)
        return nullcontext() if drawing is None else drawing

    @property
    def _passing(self) -> bool:
        """Whether each epoch is a pass over a loader."""
        return self.source.is_loader and self.source.steps is None

    def open(self, stack: ExitStack, *, kept: bool = False) -> None:
        """Start fetching where the place is; what was begun is stopped when the stack closes.

        Args:
            stack: stops it.
            kept: whether somebody will ask for the state. Fetching of a Sequence then waits for `go`.
        """
        self._opened_at = self.passes
        if self.source.ordered and kept:
            self._open_followed(stack)
            return
        if self.source.ordered:
            self._stream = self.source.open(stack)
            return
        self._stream = self.source.open(stack)
        if self._passing:
            for _ in range(self.passes):
                deque(self._stream.epoch(None), maxlen=0)
        else:
            deque(self._stream.epoch(self.taken), maxlen=0)

    def _open_followed(self, stack: ExitStack) -> None:
        batches, ahead = self.source.batches, self.source.workers > 0 and not self.source.processes
        followed = self._followed = Followed(batches, ahead=ahead, draws=self.draws)
        stack.callback(followed.go)  # what waits can be stopped
        if self._kept is not None:
            followed.set_state(self._kept)
        goes_on_itself = self.source.workers <= 0 and self._kept is not None and iter(batches) is batches
        begin = Begin(self.passes, 0 if goes_on_itself else self._within, **self._drawn)
        self._stream = replace(self.source, batches=followed).open(stack, begin)
        self._stream.source = self.source

    def go(self) -> None:
        """After random states were put back: let fetching begin."""
        if self._followed is not None:
            self._followed.go()

    def settle(self) -> None:
        """Wait until those who fetch ahead have drawn the next order, and fetch the next batch, by themselves."""
        enqueuer, followed = self.enqueuer, self._followed
        if followed is None or enqueuer is None:
            return
        while enqueuer.run_thread.is_alive():
            if enqueuer.orders(self.passes - self._opened_at) and followed.has_next(self.passes):
                return
            time.sleep(0.002)

    def epoch(self, steps: int | None) -> Iterator[Any]:
        """So many batches, or those there are; see `Stream.epoch`. A loader's pass goes on where it was."""
        items = self._stream.epoch(steps)
        if self._passing:
            items = itertools.islice(items, self._within, None)
        for item in items:
            self._count()
            yield item
        if self._passing:
            self.passes, self._within = self.passes + 1, 0

    def _count(self) -> None:
        self.taken += 1
        if self._followed is not None:
            self._followed.batch_read()
        if self.source.ordered and self._within == 0:
            self._length = len(self.source.batches)
        self._within += 1
        if self.source.ordered and self._within == self._length:
            self.passes, self._within = self.passes + 1, 0

    def check(self, done: int, steps: int | None) -> None:
        """Raise an error when an epoch had fewer batches than steps, or none."""
        self._stream.check(done, steps)

    def epoch_ended(self) -> None:
        """Tell a Sequence that is read without workers."""
        self.ends += 1
        (self._followed or self.source.batches).on_epoch_end()

    def get_state(self) -> dict[str, Any]:
        """How many batches were read, and for a Sequence what was drawn for the rest."""
        drawn = self._drawn
        if self.enqueuer is not None and self.source.ordered:
            orders = self.enqueuer.orders(self.passes - self._opened_at) if self.source.shuffle else []
            drawn = {"orders": orders, "seed": self.enqueuer.seed if self.source.processes else None}
        return {
            "ordered": self.source.ordered, "taken": self.taken, "passes": self.passes, "ends": self.ends,
            "within": self._within, "length": self._length, "drawn": drawn,
            "sequence": None if self._followed is None else self._followed.get_state(),
        }  # fmt: skip

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Before `open`: begin where another place was. Raises ArgumentError when it was in another kind of source."""
        if state.get("ordered") is not self.source.ordered:
            kinds = {True: "a Sequence", False: "a generator", None: "arrays"}
            before, now = kinds[state.get("ordered")], kinds[self.source.ordered]
            raise ArgumentError(f"it was made with {before}; now there is {now}.")
        self.taken, self.passes, self.ends = state["taken"], state["passes"], state["ends"]
        self._within, self._length, self._drawn = state["within"], state["length"], state["drawn"]
        self._kept = state["sequence"]


class Places:
    """What comes next in a run's training data (an `Order` or a `Place`), and in a source of validation data.

    Attributes:
        logs: of the last validation over a source's epochs; as in Keras 2 they stand in the logs of the epochs that
            follow without one.
    """

    def __init__(self, train: Any, validation: Place | None) -> None:
        self.train = train
        self.validation = validation
        self.logs: dict[str, Any] = {}

    @property
    def lock(self) -> AbstractContextManager[Any]:
        """Inside it nothing changes."""
        for place in (self.train, self.validation):
            if isinstance(place, Place):
                place.settle()
        return self.train.lock  # type: ignore[no-any-return]

    def go(self) -> None:
        """After random states were put back: let fetching begin."""
        for place in (self.train, self.validation):
            if isinstance(place, Place):
                place.go()

    def get_state(self) -> dict[str, Any]:
        """Of both."""
        validation = None if self.validation is None else self.validation.get_state()
        return {"train": self.train.get_state(), "validation": validation, "logs": self.logs}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Before sources are opened."""
        self.train.set_state(state["train"])
        if self.validation is not None and state["validation"] is not None:
            self.validation.set_state(state["validation"])
        self.logs = dict(state["logs"])
