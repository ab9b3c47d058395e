"""Sequences and image iterators go on after a restart with the next batch, in the same order, with the same draws."""

# ruff: noqa: NPY002 - the global state is what Sequences draw from

from __future__ import annotations

import itertools

import numpy as np
import pytest

import kcore
from kcore.callbacks import BackupAndRestore, LambdaCallback
from kcore.errors import ArgumentError
from kcore.layers import Dense, Flatten
from kcore.models import Sequential
from kcore.preprocessing.image import ImageDataGenerator, save_img
from kcore.utils import Sequence

RNG = np.random.default_rng(3)
X = RNG.uniform(0, 255, size=(14, 6, 6, 3)).astype("float32")
Y = RNG.normal(size=(14, 2)).astype("float32")
CHANGES = {"rotation_range": 20, "width_shift_range": 0.2, "horizontal_flip": True, "zoom_range": 0.1}


def images(seed=None):
    return ImageDataGenerator(**CHANGES).flow(X, Y, batch_size=4, seed=seed)


class Shuffled(Sequence):
    """Reorders its samples by `np.random`, as many do, and knows nothing of being kept."""

    def __init__(self):
        self.order = np.arange(len(X))
        self.on_epoch_end()

    def __len__(self):
        return 4

    def __getitem__(self, index):
        chosen = self.order[index * 4 : index * 4 + 4]
        return X[chosen], Y[chosen]

    def on_epoch_end(self):
        np.random.shuffle(self.order)


SOURCES = {
    "images": (images, {}),
    "images without workers": (images, {"workers": 0}),
    "images in their order": (images, {"shuffle": False}),
    "seeded images": (lambda: images(5), {}),
    "seeded images without workers": (lambda: images(5), {"workers": 0, "shuffle": False}),
    "more images than an epoch": (images, {"steps_per_epoch": 5}),
    "shuffled": (Shuffled, {}),
    "shuffled, with processes": (Shuffled, {"use_multiprocessing": True, "steps_per_epoch": 5}),
    "shuffled without workers": (Shuffled, {"workers": 0}),
    "shuffled, fewer than an epoch": (Shuffled, {"steps_per_epoch": 3}),
}


class Killed(BaseException):
    """Stands for the end of the process."""


def train(source, settings, *callbacks, epochs=4, **more):
    kcore.backend.clear_session()
    kcore.set_random_seed(2)
    model = Sequential([Flatten(input_shape=(6, 6, 3)), Dense(2)])
    model.compile(kcore.optimizers.SGD(1e-6), "mse")
    seen = []
    watch = LambdaCallback(on_batch_end=lambda batch, logs: seen.append(float(logs["loss"])))
    model.fit(source(), epochs=epochs, verbose=0, callbacks=[watch, *callbacks], **settings, **more)
    return seen, model.get_weights()


def kill_after(count):
    batches = itertools.count(1)

    def end(batch, logs):
        if next(batches) == count:
            raise Killed

    return LambdaCallback(on_batch_end=end)


@pytest.mark.parametrize("name", SOURCES)
def test_a_killed_run_goes_on_with_the_next_batch(name, tmp_path):
    source, settings = SOURCES[name]
    losses, weights = train(source, settings)
    assert len(set(losses)) == len(losses)  # no two batches are alike
    for save_freq, at in ((1, 5), (2, 11), ("epoch", 6)):
        with pytest.raises(Killed):
            train(source, settings, BackupAndRestore(tmp_path, save_freq), kill_after(at))
        again, same = train(source, settings, BackupAndRestore(tmp_path, save_freq))
        assert again == losses[-len(again) :], (save_freq, at)
        assert all(a.tobytes() == b.tobytes() for a, b in zip(weights, same, strict=True))
        assert len(again) >= len(losses) - at


def test_it_may_be_killed_twice(tmp_path):
    weights = train(images, {})[1]
    for at in (6, 3):
        with pytest.raises(Killed):
            train(images, {}, BackupAndRestore(tmp_path, 1), kill_after(at))
    again = train(images, {}, BackupAndRestore(tmp_path, 1))[1]
    assert all((a == b).all() for a, b in zip(weights, again, strict=True))


def test_validation_images_go_on_as_well(tmp_path):
    def validation():  # two threads that draw from `np.random` at a time would not repeat themselves
        return {"validation_data": ImageDataGenerator(**CHANGES).flow(X, Y, batch_size=5), "workers": 0}

    _, weights = train(images, {}, **validation())
    with pytest.raises(Killed):
        train(images, {}, BackupAndRestore(tmp_path, 1), kill_after(7), **validation())
    again = train(images, {}, BackupAndRestore(tmp_path, 1), **validation())[1]
    assert all((a == b).all() for a, b in zip(weights, again, strict=True))


# --- the iterator itself ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("read", [1, 3, 4, 9])
@pytest.mark.parametrize("seed", [None, 7])
def test_an_iterator_goes_on_where_another_was(read, seed):
    np.random.seed(1)
    first, second = images(seed), images(seed)
    for _ in range(read):
        next(first)
    next(second)
    state, drawn = first.get_state(), np.random.get_state()
    expected = [next(first) for _ in range(6)]
    second.set_state(state)
    np.random.set_state(drawn)
    for (a, b), (c, d) in zip(expected, [next(second) for _ in range(6)], strict=True):
        np.testing.assert_array_equal(a, c)
        np.testing.assert_array_equal(b, d)


def test_images_of_a_folder_too(tmp_path):
    for i, image in enumerate(X):
        (tmp_path / "ab"[i % 2]).mkdir(exist_ok=True)
        save_img(str(tmp_path / "ab"[i % 2] / f"{i}.png"), image)

    def of_folder():
        return ImageDataGenerator(rotation_range=9).flow_from_directory(tmp_path, (6, 6), batch_size=4, seed=3)

    first, second = of_folder(), of_folder()
    for _ in range(5):
        next(first)
    second.set_state(first.get_state())
    np.testing.assert_array_equal(next(first)[0], next(second)[0])


def test_other_images_are_refused():
    other = ImageDataGenerator().flow(X[:5])
    next(other)
    with pytest.raises(ArgumentError, match="5 images, now there are 14"):
        images().set_state(other.get_state())
