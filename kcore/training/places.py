"""Where a run is in its sources of batches, so that another process can go on from there.

A Sequence is asked for the batches that are missing. A generator has to yield what was read once more: it is taken to
give the same batches each time it is started.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any

from kcore.errors import ArgumentError


class Place(Iterator[Any]):
    """An iterator over a source's batches that knows how many it gave.

    Args:
        source: a `Source`.

    Attributes:
        taken: how many batches were read, since the run began.
        passes: how often a Sequence was read to its end.
        ends: how often the loop told a Sequence of the end of an epoch (without workers; else they do).
        enqueuer: fetches ahead; None without workers.
    """

    def __init__(self, source: Any) -> None:
        self.source = source
        self.taken = self.passes = self.ends = 0
        self.enqueuer: Any = None
        self._within = self._length = 0
        self._opened_at = 0
        self._orders: list[list[int]] = []
        self._batches: Iterator[Any] = iter(())

    def open(self, stack: ExitStack) -> Place:
        """Start fetching where the place is; what was begun is stopped when the stack closes."""
        if not self.source.ordered:
            self._batches, self.enqueuer = self.source.open(stack)
            for _ in range(self.taken):
                next(self._batches, None)
            return self
        for _ in range(self.ends if self.source.workers <= 0 else self.passes):
            self.source.batches.on_epoch_end()
        self._opened_at = self.passes
        self._batches, self.enqueuer = self.source.open(stack, self._within, self._orders)
        return self

    def __next__(self) -> Any:
        item = next(self._batches)
        self.taken += 1
        if self.source.ordered:
            if self._within == 0:
                self._length = len(self.source.batches)
            self._within += 1
            if self._within == self._length:
                self.passes, self._within = self.passes + 1, 0
        return item

    def epoch_ended(self) -> None:
        """Tell a Sequence that is read without workers."""
        self.ends += 1
        self.source.batches.on_epoch_end()

    def get_state(self) -> dict[str, Any]:
        """How many batches were read, and for a Sequence that is shuffled, the orders that were drawn for the rest."""
        shuffled = self.enqueuer is not None and self.source.ordered and self.source.shuffle
        return {
            "ordered": self.source.ordered, "taken": self.taken, "passes": self.passes, "ends": self.ends,
            "within": self._within, "length": self._length,
            "orders": self.enqueuer.orders(self.passes - self._opened_at) if shuffled else [],
        }  # fmt: skip

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Before `open`: begin where another place was. Raises ArgumentError when it was in another kind of source."""
        if state["ordered"] != self.source.ordered:
            kinds = "a generator", "a Sequence"
            before, now = kinds[bool(state["ordered"])], kinds[self.source.ordered]
            raise ArgumentError(f"it was made with {before}; now there is {now}.")
        self.taken, self.passes, self.ends = state["taken"], state["passes"], state["ends"]
        self._within, self._length, self._orders = state["within"], state["length"], state["orders"]


class Places:
    """The places in the sources of a run: training, and validation where that is a source too.

    Attributes:
        logs: of the last validation; as in Keras 2 they stand in the logs of the epochs that follow without one.
    """

    def __init__(self, train: Place, validation: Place | None) -> None:
        self.train = train
        self.validation = validation
        self.logs: dict[str, Any] = {}

    @property
    def lock(self) -> AbstractContextManager[Any]:
        """Inside it no order of batches is drawn."""
        drawing = getattr(self.train.enqueuer, "drawing", None)
        return nullcontext() if drawing is None else drawing

    def get_state(self) -> dict[str, Any]:
        """Of both places."""
        validation = None if self.validation is None else self.validation.get_state()
        return {"train": self.train.get_state(), "validation": validation, "logs": self.logs}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Before the sources are opened."""
        self.train.set_state(state["train"])
        if self.validation is not None and state["validation"] is not None:
            self.validation.set_state(state["validation"])
        self.logs = dict(state["logs"])
