"""The trainer's parts by themselves: orders, slices, weights of classes, the progress bar."""

# ruff: noqa: NPY002 - the global state is what Keras 2 code seeds

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcore.training import arrays, batches, data
from kcore.utils.progbar import Progbar


@given(size=st.integers(0, 50), batch=st.integers(1, 20))
def test_batches_cover_everything_once(size, batch):
    found = batches.make_batches(size, batch)
    assert [i for a, b in found for i in range(a, b)] == list(range(size))
    assert all(b - a == batch for a, b in found[:-1])


@given(size=st.integers(1, 50), batch=st.integers(1, 20), seed=st.integers(0, 99))
def test_block_shuffles_keep_blocks_and_the_rest(size, batch, seed):
    np.random.seed(seed)
    found = batches.batch_shuffle(np.arange(size), batch)
    assert sorted(found) == list(range(size))
    whole = size // batch * batch
    for start in range(0, whole, batch):
        assert (np.diff(found[start : start + batch]) == 1).all()
        assert found[start] % batch == 0
    assert list(found[whole:]) == list(range(whole, size))


class OnDisk:
    """Like an HDF5 dataset: slices, and lists of increasing indices where it takes lists."""

    shape, dtype = (20, 2), np.dtype("float32")
    values = np.arange(40, dtype="float32").reshape(20, 2)

    def __init__(self, *, lists=True):
        self.lists = lists

    def __len__(self):
        return 20

    def __getitem__(self, index):
        if not isinstance(index, slice):
            if not self.lists:
                raise TypeError("slices only")
            assert isinstance(index, list)
            assert index == sorted(index)
        return self.values[index]


@given(start=st.integers(0, 12), size=st.integers(1, 8), data=st.data(), lists=st.booleans())
def test_any_rows_of_a_dataset_on_disk_can_be_read(start, size, data, lists):
    rows = arrays.Rows(OnDisk(lists=lists)).part(start, start + size)
    expected = OnDisk.values[start : start + size]
    assert rows.shape == expected.shape
    np.testing.assert_array_equal(np.asarray(rows), expected)
    a, b = sorted((data.draw(st.integers(0, size)), data.draw(st.integers(0, size))))
    np.testing.assert_array_equal(rows[a:b], expected[a:b])
    np.testing.assert_array_equal(np.asarray(rows.part(a)), expected[a:])
    indices = data.draw(st.lists(st.integers(0, size - 1), min_size=1, unique=True))
    slicer = batches.Slicer([rows], ["float32"])
    np.testing.assert_array_equal(slicer.take(np.array(indices))[0], expected[indices])


def test_arrays_are_cast_before_the_first_batch():
    slicer = batches.Slicer([np.zeros((4, 2)), np.zeros((4, 1), "uint8")], ["float32", "float32"])
    assert [a.dtype.name for a in slicer.part(0, 2)] == ["float32", "float32"]
    view = np.zeros((4, 2), "float32")
    assert batches.Slicer([view], ["float32"]).part(1, 3)[0].base is view, "no copy where none is needed"


@pytest.mark.parametrize(("given_data", "shape"), [
    ([1, 2, 3], (3, 1)), ([[1, 2], [3, 4], [5, 6]], (3, 2)), (np.zeros(3), (3, 1)), (np.zeros((3, 2, 2)), (3, 2, 2)),
    ([np.zeros((3, 2))], (3, 2)), ((np.zeros((3, 2)),), (3, 2)), ({"x": np.zeros((3, 2))}, (3, 2)),
])  # fmt: skip
def test_one_input_in_any_form(given_data, shape):
    assert data.as_arrays(given_data, ["x"], "input")[0].shape == shape


@given(classes=st.lists(st.integers(0, 3), min_size=1, max_size=10))
def test_class_weights_are_looked_up(classes):
    table = {0: 1.0, 1: 0.5, 2: 2.0, 3: 0.0}
    expected = [table[c] for c in classes]
    for target in (np.array(classes)[:, None], np.eye(4)[classes]):
        np.testing.assert_allclose(data.sample_weights(target, None, table, None), expected)
    doubled = data.sample_weights(np.array(classes)[:, None], np.full(len(classes), 2.0), table, None)
    np.testing.assert_allclose(doubled, 2 * np.array(expected))


def test_the_bar_averages_over_steps(capsys):
    bar = Progbar(10, interval=0)
    bar.update(4, [("loss", 1.0)])
    bar.update(10, [("loss", 2.0)])
    assert "loss: 1.6000" in capsys.readouterr().out.splitlines()[-1]


def test_stateful_values_are_shown_as_they_are(capsys):
    bar = Progbar(10, verbose=2, stateful_metrics=["acc"])
    bar.update(4, [("acc", np.float32(0.25))])
    bar.update(10, [("acc", np.float32(0.75))])
    assert "acc: 0.7500" in capsys.readouterr().out
