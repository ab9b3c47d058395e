"""Queues that fetch batches ahead, when things go wrong: nothing hangs, and errors arrive where batches are read."""

from __future__ import annotations

import multiprocessing
import os
import random
import threading
import time

import numpy as np
import pytest

from kcore.errors import ArgumentError, EmptyDataError, WorkerError
from kcore.utils.data_utils import GeneratorEnqueuer, OrderedEnqueuer, Sequence

#: Far more than anything here takes: a hang fails instead of blocking the run.
LONG = 60


class Numbers(Sequence):
    """Batches that are their own indices, or what `make` gives for them."""

    def __init__(self, n=6, make=None):
        self.n = n
        self.make = make
        self.epochs = 0

    def __len__(self):
        return self.n

    def __getitem__(self, index):
        return index if self.make is None else self.make(index)

    def on_epoch_end(self):
        self.epochs += 1


def fetched(enqueuer, n=None, workers=2, size=4):
    """The first n batches (all when None), read in a thread of their own, or the error that ended them."""
    outcome = []

    def read():
        try:
            enqueuer.start(workers, size)
            for item in enqueuer.get():
                outcome.append(item)
                if len(outcome) == n:
                    return
        except BaseException as error:  # noqa: BLE001
            outcome.append(error)
        finally:
            enqueuer.stop()

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    thread.join(LONG)
    assert not thread.is_alive(), "it hangs"
    return outcome


def die(index):
    if index == 2:
        os._exit(7)
    return index


def fail(index):
    if index == 2:
        raise KeyError("batch 2")
    return index


class Stubborn(Exception):  # noqa: N818 - a user's class
    """Cannot be rebuilt from what pickle keeps of it."""

    def __init__(self, first, second):
        super().__init__(f"{first} and {second}")


def fail_stubbornly(index):
    raise Stubborn(index, "more")


def unpicklable(index):
    return threading.Lock()


def draws(index):
    return float(np.random.random()), random.random(), index  # noqa: NPY002


@pytest.fixture(params=["fork", "spawn"])
def start_method(request):
    before = multiprocessing.get_start_method()
    multiprocessing.set_start_method(request.param, force=True)
    yield request.param
    multiprocessing.set_start_method(before, force=True)


# --- processes --------------------------------------------------------------------------------------------------------


def test_processes_see_what_each_epoch_changed(start_method):
    assert fetched(OrderedEnqueuer(Epochs(), use_multiprocessing=True), 4) == [(0, 0), (0, 1), (1, 0), (1, 1)]


class Epochs(Numbers):
    def __init__(self):
        super().__init__(2)

    def __getitem__(self, index):
        return self.epochs, index


def test_a_process_that_dies_is_an_error():
    *good, error = fetched(OrderedEnqueuer(Numbers(make=die), use_multiprocessing=True))
    assert good == [0, 1]
    assert isinstance(error, WorkerError)
    assert "exit code 7" in str(error)


def die_and_leave_a_child(index):
    if os.fork() == 0:  # it holds copies of the pipes, so that they do not close
        time.sleep(5)
        os._exit(0)
    os._exit(7)


def test_the_death_of_a_process_is_seen_whoever_holds_its_pipes():
    (error,) = fetched(OrderedEnqueuer(Numbers(make=die_and_leave_a_child), use_multiprocessing=True), workers=1)
    assert isinstance(error, WorkerError)


@pytest.mark.parametrize("processes", [False, True])
def test_errors_arrive_in_their_turn(processes):
    *good, error = fetched(OrderedEnqueuer(Numbers(make=fail), use_multiprocessing=processes), workers=3)
    assert good == [0, 1]
    assert isinstance(error, KeyError)
    if processes:
        assert "fail" in error.__notes__[0], "the traceback of the process is shown"


@pytest.mark.parametrize(("make", "text"), [(fail_stubbornly, "Stubborn: 0 and more"), (unpicklable, "lock")])
def test_what_cannot_be_sent_is_described(make, text):
    (error,) = fetched(OrderedEnqueuer(Numbers(make=make), use_multiprocessing=True), workers=1)
    assert isinstance(error, WorkerError)
    assert text in str(error)


def test_a_generator_cannot_be_sent_to_spawned_processes():
    before = multiprocessing.get_start_method()
    multiprocessing.set_start_method("spawn", force=True)
    try:
        (error,) = fetched(GeneratorEnqueuer((i for i in range(3)), use_multiprocessing=True))
    finally:
        multiprocessing.set_start_method(before, force=True)
    assert isinstance(error, WorkerError)
    assert "Sequence" in str(error)


def test_random_numbers_of_processes_do_not_depend_on_their_number():
    found = []
    for workers in (1, 3):
        np.random.seed(5)  # noqa: NPY002
        found.append(fetched(OrderedEnqueuer(Numbers(3, draws), use_multiprocessing=True), 6, workers))
    assert found[0] == found[1]
    assert len(set(found[0])) == 6, "each batch of each epoch has draws of its own"


def test_each_process_reads_a_generator_of_its_own():
    enqueuer = GeneratorEnqueuer(iter(range(3)), use_multiprocessing=True)
    assert set(fetched(enqueuer, workers=2)) == {0, 1, 2}


# --- threads ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 4])
def test_a_generator_keeps_its_order_and_its_last_batches(workers):
    def slow():
        for i in range(20):
            time.sleep(0.001 * (i % 3))
            yield i

    assert fetched(GeneratorEnqueuer(slow()), workers=workers) == list(range(20))


def test_batches_that_are_none_are_left_out():
    assert fetched(GeneratorEnqueuer(iter([1, None, 2]))) == [1, 2]


def test_a_generator_that_waits_forever_can_be_left():
    def batches():
        yield 1
        threading.Event().wait()

    assert fetched(GeneratorEnqueuer(batches()), 1) == [1]


def test_stopping_wakes_who_waits_for_a_batch():
    def batches():
        threading.Event().wait()
        yield 1

    enqueuer = GeneratorEnqueuer(batches())
    enqueuer.start()
    threading.Timer(0.1, enqueuer.stop).start()
    assert list(enqueuer.get()) == []
    assert not enqueuer.is_running()
    enqueuer.stop()


def test_an_error_between_epochs_arrives():
    class Breaks(Numbers):
        def on_epoch_end(self):
            raise OSError("the disk is full")

    enqueuer = OrderedEnqueuer(Breaks(2))
    *good, error = fetched(enqueuer)
    assert good == [0, 1]
    assert isinstance(error, OSError)
    enqueuer.join_end_of_epoch()


def test_a_task_may_time_out_by_itself():
    def late(index):
        raise TimeoutError("the server is slow")

    (error,) = fetched(OrderedEnqueuer(Numbers(make=late)))
    assert isinstance(error, TimeoutError)


def test_what_makes_no_sense_is_refused():
    (error,) = fetched(OrderedEnqueuer(Numbers(0)))
    assert isinstance(error, EmptyDataError)
    with pytest.raises(ArgumentError, match="workers=0"):
        OrderedEnqueuer(Numbers()).start(workers=0)
    unstarted = OrderedEnqueuer(Numbers())
    unstarted.stop()
    assert not unstarted.is_running()


def test_no_thread_or_process_is_left():
    threads = threading.active_count()
    for processes in (False, True):
        fetched(OrderedEnqueuer(Numbers(50), use_multiprocessing=processes), 3)
    assert not multiprocessing.active_children()
    assert threading.active_count() <= threads
