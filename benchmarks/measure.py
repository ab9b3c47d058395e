"""Interleaved timing: A B C, B C A, C A B, ... one worker at a time, blocks of about equal length."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from benchmarks.models import WORKLOADS
from benchmarks.runner import MEASURES
from benchmarks.workers import Worker, WorkerError

MAX_COUNT = 5000
SETTLE_S = 0.01  # lets the thread pool of the worker that stopped go to sleep
LOSS_TOLERANCE = 0.3


@dataclass(frozen=True)
class Settings:
    """How long to measure: `rounds` blocks a contender, each of about `block_s` seconds."""

    rounds: int
    block_s: float


FULL = Settings(rounds=15, block_s=0.4)
QUICK = Settings(rounds=5, block_s=0.2)


@dataclass
class Cell:
    """One contender at one measure: seconds per repetition, one entry a round; or why there are none."""

    samples: list[float] = field(default_factory=list)
    count: int = 0
    error: str = ""


@dataclass
class Row:
    """One measure of one workload on one backend, with a cell for every contender."""

    backend: str
    workload: str
    measure: str
    cells: dict[str, Cell]


class Block(Protocol):
    """Times a measure: (count, warm-up repetitions) -> seconds."""

    def __call__(self, count: int, warmup: int) -> float: ...


def count_for(block_s: float, seconds_each: float) -> int:
    """How many repetitions fill a block."""
    return max(1, min(MAX_COUNT, round(block_s / max(seconds_each, 1e-7))))


def calibrate(block: Block, block_s: float) -> int:
    """Repetitions for a block, from two short runs: the first finds the order of magnitude."""
    once = block(1, 1)
    few = count_for(block_s / 4, once)
    return count_for(block_s, block(few, 0) / few)


def rotation(names: Sequence[str], turn: int) -> list[str]:
    """The order of a round: rotated by one each round, so that nobody always follows the same neighbour."""
    turn %= max(len(names), 1)
    return [*names[turn:], *names[:turn]]


def interleave(blocks: dict[str, Block], settings: Settings) -> dict[str, Cell]:
    """Time the contenders in turns. One that fails keeps the reason and drops out; the others go on."""
    cells = {name: Cell() for name in blocks}

    def attempt(name: str, action: Callable[[str], None]) -> None:
        try:
            action(name)
        except WorkerError as error:
            cells[name] = Cell(error=str(error))

    def prepare(name: str) -> None:
        cells[name].count = calibrate(blocks[name], settings.block_s)

    def sample(name: str) -> None:
        cell = cells[name]
        cell.samples.append(blocks[name](cell.count, 1 if cell.count > 1 else 0) / cell.count)

    for name in blocks:
        attempt(name, prepare)
    for turn in range(settings.rounds):
        for name in rotation([name for name in blocks if not cells[name].error], turn):
            time.sleep(SETTLE_S)
            attempt(name, sample)
    return cells


def set_up(workers: dict[str, Worker], workload: str) -> tuple[dict[str, Worker], dict[str, str]]:
    """Build a workload everywhere. Returns the workers that take part, and for the others the reason.

    Refuses one that built something else: another number of parameters, or a first loss of another scale
    than the native loop's.
    """
    ready: dict[str, Worker] = {}
    errors: dict[str, str] = {}
    native_loss: float | None = None
    for name, worker in workers.items():
        try:
            built = worker.order("setup", workload=workload)
            if name == "native":
                native_loss = built["first_loss"]
            check_built(workload, built["parameters"], built["first_loss"], native_loss)
            ready[name] = worker
        except WorkerError as error:
            errors[name] = str(error)
    return ready, errors


def check_built(workload: str, parameters: int, loss: float, native_loss: float | None) -> None:
    """Raise if a contender measures something else than the workload says."""
    expected = WORKLOADS[workload].parameters
    if parameters != expected:
        raise WorkerError(f"built {parameters} parameters, expected {expected}")
    reference = loss if native_loss is None else native_loss
    if not loss > 0 or abs(loss / reference - 1) > LOSS_TOLERANCE:
        raise WorkerError(f"first loss is {loss:.4g}, the native loop's is {reference:.4g}")


def block_of(worker: Worker, measure: str) -> Block:
    """The timed block of a worker."""

    def block(count: int, warmup: int) -> float:
        seconds: float = worker.order("run", measure=measure, count=count, warmup=warmup)["seconds"]
        return seconds

    return block


def measure_workload(
    backend: str, workload: str, workers: dict[str, Worker], missing: dict[str, str], settings: Settings,
    measures: Sequence[str] = MEASURES,
) -> list[Row]:  # fmt: skip
    """All measures of one workload; `missing` gives the contenders that could not start, with the reason."""
    ready, errors = set_up(workers, workload)
    absent = {name: Cell(error=reason) for name, reason in (missing | errors).items()}
    rows = []
    for measure in measures:
        cells = interleave({name: block_of(worker, measure) for name, worker in ready.items()}, settings)
        rows.append(Row(backend, workload, measure, cells | absent))
    return rows
