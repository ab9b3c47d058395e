"""Generators and Sequences: the same as arrays, with any number of workers."""

# ruff: noqa: NPY002 - the global state is what Keras 2 code seeds

from __future__ import annotations

import time

import numpy as np
import pytest

from kcore.callbacks import LambdaCallback
from kcore.errors import ArgumentError, DataError
from kcore.layers import Dense
from kcore.models import Sequential
from kcore.utils.data_utils import GeneratorEnqueuer, OrderedEnqueuer, Sequence, is_sequence

RNG = np.random.default_rng(7)
X = RNG.normal(size=(40, 6)).astype("float32")
Y = RNG.normal(size=(40, 2)).astype("float32")


class Batches(Sequence):
    def __init__(self, size=8, weights=False):
        self.size = size
        self.weights = weights
        self.epochs = 0

    def __len__(self):
        return len(X) // self.size

    def __getitem__(self, index):
        part = slice(index * self.size, (index + 1) * self.size)
        return (X[part], Y[part], np.full(self.size, 2.0)) if self.weights else (X[part], Y[part])

    def on_epoch_end(self):
        self.epochs += 1


def generator(size=8):
    while True:
        for start in range(0, len(X), size):
            yield X[start : start + size], Y[start : start + size]


def make():
    np.random.seed(3)
    model = Sequential([Dense(5, activation="tanh", input_shape=(6,)), Dense(2)])
    model.compile("adam", "mse", metrics=["mae"])
    return model


def weights(model):
    return np.concatenate([w.ravel() for w in model.get_weights()])


@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize("source", [Batches, generator])
def test_batches_from_anywhere_train_like_arrays(source, workers):
    expected, model = make(), make()
    first = expected.fit(X, Y, batch_size=8, epochs=2, shuffle=False, verbose=0)
    second = model.fit(source(), steps_per_epoch=5, epochs=2, verbose=0, shuffle=False, workers=workers)
    np.testing.assert_allclose(weights(model), weights(expected), rtol=1e-6)
    np.testing.assert_allclose(first.history["loss"], second.history["loss"], rtol=1e-5)
    np.testing.assert_allclose(first.history["mae"], second.history["mae"], rtol=1e-5)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_sequence_knows_its_length_and_hears_of_epochs(workers):
    sequence = Batches()
    history = make().fit_generator(sequence, epochs=2, verbose=0, workers=workers)
    assert len(history.epoch) == 2
    assert sequence.epochs >= 1


@pytest.mark.parametrize("workers", [1, 3])
def test_processes_train_like_threads(workers):
    expected, model = make(), make()
    expected.fit(X, Y, batch_size=8, epochs=2, shuffle=False, verbose=0)
    model.fit(Batches(), epochs=2, shuffle=False, verbose=0, workers=workers, use_multiprocessing=True,
              max_queue_size=2, validation_data=Batches())  # fmt: skip
    np.testing.assert_allclose(weights(model), weights(expected), rtol=1e-6)
    np.testing.assert_allclose(
        model.predict(Batches(), workers=workers, use_multiprocessing=True), model.predict(X), rtol=1e-5
    )


def test_a_sequence_may_change_its_length():
    class Growing(Batches):
        def __len__(self):
            return 2 + self.epochs

    for workers in (0, 2):
        sequence, steps = Growing(), []
        listen = LambdaCallback(on_batch_end=lambda batch, logs, seen=steps: seen.append(batch))
        make().fit(sequence, epochs=3, verbose=0, workers=workers, shuffle=False, callbacks=[listen])
        assert steps == [0, 1, 0, 1, 2, 0, 1, 2, 3]


def test_weights_of_a_sequence_count():
    expected, model = make(), make()
    expected.fit(X, Y, batch_size=8, shuffle=False, verbose=0, sample_weight=np.full(40, 2.0))
    model.fit(Batches(weights=True), shuffle=False, verbose=0, workers=0)
    np.testing.assert_allclose(weights(model), weights(expected), rtol=1e-6)


@pytest.mark.parametrize("validation", [Batches, generator, lambda: (X, Y), lambda: (X, Y, np.ones(40))])
def test_validation_from_anywhere(validation):
    model = make()
    history = model.fit_generator(Batches(), epochs=2, verbose=0, validation_data=validation(), validation_steps=5)
    assert len(history.history["val_loss"]) == 2
    expected = model.evaluate(X, Y, verbose=0)[1]
    np.testing.assert_allclose(history.history["val_mae"][-1], expected, rtol=1e-5)


def test_evaluate_and_predict():
    model = make()
    np.testing.assert_allclose(model.predict_generator(Batches()), model.predict(X), rtol=1e-5)
    np.testing.assert_allclose(model.evaluate_generator(Batches())[1], model.evaluate(X, Y, verbose=0)[1], rtol=1e-5)
    np.testing.assert_allclose(model.predict((x for x in (X[:3], X[3:])), steps=2), model.predict(X), rtol=1e-5)


def test_class_weights_apply_to_generators():
    by_class = {0: 1.0, 1: 3.0}
    classes = RNG.integers(0, 2, size=40)
    np.random.seed(3)
    first = Sequential([Dense(2, activation="softmax", input_shape=(6,))])
    first.compile("sgd", "sparse_categorical_crossentropy")
    second = Sequential([Dense(2, activation="softmax", input_shape=(6,))])
    second.compile("sgd", "sparse_categorical_crossentropy")
    second.set_weights(first.get_weights())
    first.fit(X, classes, batch_size=40, class_weight=by_class, verbose=0)
    second.fit_generator(iter([(X, classes)]), steps_per_epoch=1, class_weight=by_class, verbose=0, workers=0)
    np.testing.assert_allclose(weights(first), weights(second), rtol=1e-5)


# --- enqueuers --------------------------------------------------------------------------------------------------------


class Numbers(Sequence):
    def __init__(self, n=12, slow=False):
        self.n = n
        self.slow = slow

    def __len__(self):
        return self.n

    def __getitem__(self, index):
        if self.slow and index % 2:
            time.sleep(0.02)
        return index


def take(enqueuer, n, workers=2):
    enqueuer.start(workers=workers, max_queue_size=4)
    batches = enqueuer.get()
    found = [next(batches) for _ in range(n)]
    enqueuer.stop()
    return found


@pytest.mark.parametrize("processes", [False, True])
def test_batches_come_in_order_whoever_is_first(processes):
    assert take(OrderedEnqueuer(Numbers(slow=True), processes), 24, workers=3) == [*range(12), *range(12)]


def test_a_shuffled_epoch_has_each_batch_once():
    assert sorted(take(OrderedEnqueuer(Numbers(), shuffle=True), 12)) == list(range(12))


def test_a_generator_is_read_by_one_at_a_time():
    def count():
        for i in range(100):
            time.sleep(0.0005)
            yield i

    found = take(GeneratorEnqueuer(count()), 50, workers=4)
    assert len(set(found)) == 50
    assert max(found) < 60


def test_a_generator_that_ends_ends_the_batches():
    enqueuer = GeneratorEnqueuer(iter([1, 2, 3]))
    enqueuer.start(workers=1)
    assert list(enqueuer.get()) == [1, 2, 3]
    assert not enqueuer.is_running()


def test_an_error_in_a_worker_is_raised_where_batches_are_read():
    class Broken(Numbers):
        def __getitem__(self, index):
            if index == 3:
                raise KeyError("batch 3")
            return index

    enqueuer = OrderedEnqueuer(Broken())
    enqueuer.start(workers=2)
    with pytest.raises(KeyError, match="batch 3"):
        list(enqueuer.get())
    assert not enqueuer.is_running()


def test_stopping_does_not_wait_for_the_rest():
    enqueuer = OrderedEnqueuer(Numbers(1000, slow=True))
    enqueuer.start(workers=1, max_queue_size=2)
    next(enqueuer.get())
    start = time.perf_counter()
    enqueuer.stop()
    assert time.perf_counter() - start < 5
    assert not enqueuer.run_thread.is_alive()


def test_what_counts_as_a_sequence():
    assert is_sequence(Numbers())
    assert not is_sequence([1, 2])
    assert not is_sequence(np.zeros(3))
    assert not is_sequence(Numbers)


# --- other loaders ----------------------------------------------------------------------------------------------------


class Loader:
    """Like the frameworks' data loaders: each pass is an epoch; batches are lists."""

    def __init__(self, length=True):
        self.passes = 0
        if length:
            self.__class__ = SizedLoader

    def __iter__(self):
        self.passes += 1
        for start in range(0, len(X), 8):
            yield [X[start : start + 8], Y[start : start + 8]]


class SizedLoader(Loader):
    def __len__(self):
        return 5


@pytest.mark.parametrize("sized", [True, False])
def test_a_loader_is_passed_once_per_epoch(sized):
    expected, model, loader = make(), make(), Loader(sized)
    expected.fit(X, Y, batch_size=8, epochs=2, shuffle=False, verbose=0)
    history = model.fit(loader, epochs=2, verbose=0, validation_data=Loader())
    np.testing.assert_allclose(weights(model), weights(expected), rtol=1e-6)
    assert loader.passes == 2, "one pass an epoch, and none to count"
    assert len(history.history["val_loss"]) == 2
    np.testing.assert_allclose(model.evaluate(Loader(), verbose=0)[1], model.evaluate(X, Y, verbose=0)[1], rtol=1e-5)
    np.testing.assert_allclose(model.predict(Loader()), model.predict(X), rtol=1e-5)


def test_arrays_are_validated_on_batches_from_anywhere():
    for validation in (Batches(), generator(), Loader()):
        model = make()
        steps = {} if not isinstance(validation, type(generator())) else {"validation_steps": 5}
        history = model.fit(X, Y, epochs=2, verbose=0, validation_data=validation, validation_freq=2, **steps)
        assert len(history.history["val_mae"]) == 1
        np.testing.assert_allclose(history.history["val_mae"][0], model.evaluate(X, Y, verbose=0)[1], rtol=1e-5)


def test_steps_go_on_where_a_loaders_pass_stopped():
    model, loader = make(), Loader()
    history = model.fit(loader, steps_per_epoch=2, epochs=5, verbose=0)
    assert len(history.epoch) == 5
    assert loader.passes == 2


def test_a_loader_that_never_ends_needs_steps():
    class Endless(Loader):
        def __len__(self):
            raise TypeError("The dataset is infinite.")

    with pytest.raises(ArgumentError, match="never ends.*`steps_per_epoch`"):
        make().fit(Endless(length=None), verbose=0)
    make().fit(Endless(length=None), steps_per_epoch=7, verbose=0)


def test_the_bar_of_a_loader_without_length(capsys):
    make().fit(Loader(length=False), epochs=2, verbose=2)
    lines = capsys.readouterr().out.splitlines()
    assert [line[:7] for line in lines] == ["Epoch 1", " - 0s -", "Epoch 2", " - 0s -"]
    make().fit(Loader(length=False), verbose=1)
    assert "5/5 [" in capsys.readouterr().out


@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: (x,), lambda x: [x], lambda x: {"dense_1_input": x}])
def test_loaders_of_inputs_alone(wrap):
    class Inputs:
        def __iter__(self):
            return iter([wrap(X[:8]), wrap(X[8:])])

    model = make()
    np.testing.assert_allclose(model.predict(Inputs()), model.predict(X), rtol=1e-5)


def test_a_loader_without_batches_is_refused():
    with pytest.raises(DataError, match="no batches"):
        make().fit(Nothing(), verbose=0)


class Nothing:
    def __iter__(self):
        return iter(())
