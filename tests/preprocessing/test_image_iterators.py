"""Where batches of images come from, and in which order."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from kcore.preprocessing.image import ImageDataGenerator, Iterator, list_pictures
from kcore.utils.data_utils import OrderedEnqueuer

#: Folder -> gray values of its images.
FOLDERS = {"dogs": [30, 40, 50], "cats": [10, 20], "cats/young": [15], "ants": []}


def numbered(n, shape=(2, 2, 1)):
    """Images that know their number."""
    return np.ones((n, *shape), "float32") * np.arange(n).reshape(-1, 1, 1, 1)


def numbers(*batches):
    return [int(x.max()) for batch in batches for x in batch]


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "pictures"
    for name, values in FOLDERS.items():
        (root / name).mkdir(parents=True)
        for i, value in enumerate(values):
            Image.fromarray(np.full((3, 4), value, "uint8")).save(root / name / f"{i}.png")
    (root / "cats" / "readme.txt").write_text("no image")
    (root / "list.csv").write_text("no class")
    return root


def table(**columns):
    names = ["cats/0.png", "cats/1.png", "dogs/0.png", "dogs/1.png"]
    return pd.DataFrame({"filename": names, "class": ["cat", "cat", "dog", "dog"], **columns})


@given(st.integers(1, 12), st.integers(1, 5), st.booleans())
def test_an_epoch_has_every_sample_once(n, size, shuffle):
    batches = ImageDataGenerator().flow(numbered(n), batch_size=size, shuffle=shuffle)
    for _ in range(2):
        epoch = [next(batches) for _ in range(len(batches))]
        assert sorted(numbers(*epoch)) == list(range(n))
    by_index = numbers(*(batches[i] for i in range(len(batches))))
    assert sorted(by_index) == list(range(n))
    if not shuffle:
        assert by_index == list(range(n))


def test_a_seed_repeats_order_and_variations():
    def run(seed):
        generator = ImageDataGenerator(rotation_range=90, horizontal_flip=True)
        batches = generator.flow(np.random.RandomState(0).rand(6, 5, 5, 3), batch_size=4, seed=seed)
        return np.concatenate([next(batches) for _ in range(4)])

    np.testing.assert_array_equal(run(3), run(3))
    assert not np.array_equal(run(3), run(4))


def test_epochs_have_different_orders_and_reset_begins_anew():
    batches = ImageDataGenerator().flow(numbered(20), batch_size=20)
    first = numbers(next(batches))
    assert numbers(next(batches)) != first
    ordered = ImageDataGenerator().flow(numbered(4), batch_size=2, shuffle=False)
    next(ordered)
    ordered.reset()
    assert numbers(next(ordered)) == [0, 1]
    assert ordered.total_batches_seen == 2
    with pytest.raises(ValueError, match="no batch 2: the Sequence has the length 2"):
        ordered[2]


def test_threads_get_every_sample_once():
    batches = ImageDataGenerator().flow(numbered(64), batch_size=2)
    with ThreadPoolExecutor(8) as threads:
        got = list(threads.map(lambda _: next(batches), range(32)))
    assert sorted(numbers(*got)) == list(range(64))


def test_iterators_travel_to_other_processes():
    batches = ImageDataGenerator().flow(numbered(6), batch_size=4, shuffle=False, seed=1)
    copy = pickle.loads(pickle.dumps(batches))
    assert numbers(copy[1]) == [4, 5]
    assert numbers(next(copy)) == [0, 1, 2, 3]


def test_the_queue_of_fit_takes_them():
    batches = ImageDataGenerator().flow(numbered(6), np.arange(6), batch_size=4, shuffle=False)
    queue = OrderedEnqueuer(batches)
    queue.start(workers=2)
    got = queue.get()
    epoch = [next(got) for _ in range(2)]
    queue.stop()
    assert [y.tolist() for _, y in epoch] == [[0, 1, 2, 3], [4, 5]]


def test_targets_weights_and_other_data_stay_with_their_images():
    n = 9
    other = [np.arange(n) * 2, np.arange(n) * 3]
    batches = ImageDataGenerator().flow(
        (numbered(n), other), np.arange(n) * 10, batch_size=4, sample_weight=np.arange(n) / 10
    )
    for _ in range(3):
        (x, double, triple), y, weight = next(batches)
        found = np.array(numbers(x))
        np.testing.assert_array_equal(y, found * 10)
        np.testing.assert_array_equal(double, found * 2)
        np.testing.assert_array_equal(triple, found * 3)
        np.testing.assert_allclose(weight, found / 10)


def test_the_first_samples_are_for_validation_and_weights_follow():
    generator = ImageDataGenerator(validation_split=0.25)
    arguments = {"sample_weight": np.arange(8), "shuffle": False, "batch_size": 8}
    y = np.array([0, 1] * 4)
    for subset, expected in (("validation", [0, 1]), ("training", [2, 3, 4, 5, 6, 7])):
        x, _, weight = next(generator.flow(numbered(8), y, subset=subset, **arguments))
        assert numbers(x) == expected
        assert weight.tolist() == expected
    with pytest.raises(ValueError, match="sorted by class.*Shuffle"):
        generator.flow(numbered(8), np.arange(8), subset="training")
    with pytest.raises(ValueError, match="Unknown subset: 'train'.*Did you mean 'training'"):
        generator.flow(numbered(8), y, subset="train")


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (numbered(3), np.arange(2), r"as many targets as images \(3\).*targets \(2,\)"),
        ((numbered(3), np.arange(2)), None, "as many array 1 beside the images"),
        ([numbered(3)] * 3, None, "pair .images, other data.; got a list of 3"),
        (np.zeros((3, 2, 2)), None, r"4 axes, got one of shape \(3, 2, 2\)"),
    ],
)
def test_wrong_arrays_are_refused(x, y, message):
    with pytest.raises(ValueError, match=message):
        ImageDataGenerator().flow(x, y)


def test_the_base_says_what_subclasses_write():
    with pytest.raises(NotImplementedError, match="_get_batches_of_transformed_samples"):
        next(Iterator(3, 2, False, None))


def test_folders_are_classes_in_alphabetical_order(folder, capsys):
    batches = ImageDataGenerator().flow_from_directory(
        folder, target_size=(3, 4), shuffle=False, batch_size=4, class_mode="sparse", color_mode="grayscale"
    )
    assert capsys.readouterr().out == "Found 6 images belonging to 3 classes.\n"
    assert batches.class_indices == {"ants": 0, "cats": 1, "dogs": 2}
    assert batches.filenames[:3] == ["cats/0.png", "cats/1.png", "cats/young/0.png"]
    assert (batches.samples, batches.num_classes, len(batches)) == (6, 3, 2)
    x, y = next(batches)
    assert numbers(x) == [10, 20, 15, 30]
    assert y.tolist() == [1, 1, 1, 2]
    assert x.shape == (4, 3, 4, 1)
    assert batches.labels is batches.classes


@pytest.mark.parametrize(
    ("class_mode", "expected"),
    [("categorical", [[1, 0]] * 3 + [[0, 1]] * 3), ("binary", [0, 0, 0, 1, 1, 1]), ("sparse", [0, 0, 0, 1, 1, 1])],
)
def test_class_modes(folder, class_mode, expected):
    batches = ImageDataGenerator().flow_from_directory(
        folder, (2, 2), classes=["dogs", "cats"], class_mode=class_mode, shuffle=False
    )
    assert next(batches)[1].tolist() == expected


def test_images_as_targets_and_no_targets(folder):
    generator = ImageDataGenerator(data_format="channels_first", rescale=1 / 255)
    x, y = next(generator.flow_from_directory(folder, (2, 3), "rgba", class_mode="input", shuffle=False))
    np.testing.assert_array_equal(x, y)
    assert x.shape == (6, 4, 2, 3)
    assert next(generator.flow_from_directory(folder, (2, 3), class_mode=None)).shape == (6, 3, 2, 3)
    with pytest.raises(ValueError, match="Unknown class_mode: 'other'"):
        generator.flow_from_directory(folder, class_mode="other")


def test_a_part_of_each_class_is_for_validation(folder):
    generator = ImageDataGenerator(validation_split=0.4)
    names = {s: generator.flow_from_directory(folder, subset=s).filenames for s in ("training", "validation")}
    assert names["validation"] == ["cats/0.png", "dogs/0.png"]
    assert sorted(names["training"] + names["validation"]) == generator.flow_from_directory(folder).filenames


def test_varied_images_can_be_kept(folder, tmp_path):
    kept = tmp_path / "kept"
    kept.mkdir()
    generator = ImageDataGenerator()
    next(generator.flow_from_directory(folder, (2, 2), save_to_dir=kept, save_prefix="a", save_format="bmp"))
    next(generator.flow(numbered(2), save_to_dir=kept, save_prefix="b"))
    names = sorted(path.name for path in kept.iterdir())
    assert [name[:2] for name in names] == ["a_"] * 6 + ["b_"] * 2
    assert all(Image.open(kept / name).size == (2, 2) for name in names)


def test_pictures_are_listed_by_extension(folder):
    assert len(list_pictures(str(folder))) == 6
    assert list_pictures(str(folder), ext="txt") == [str(folder / "cats" / "readme.txt")]


def test_a_table_names_files_targets_and_weights(folder, capsys):
    batches = ImageDataGenerator().flow_from_dataframe(
        table(w=[1.0, 2.0, 3.0, 4.0]), folder, weight_col="w", target_size=(2, 2), shuffle=False, color_mode="grayscale"
    )
    assert capsys.readouterr().out == "Found 4 validated image filenames belonging to 2 classes.\n"
    x, y, weight = next(batches)
    assert numbers(x) == [10, 20, 30, 40]
    assert y.tolist() == [[1, 0], [1, 0], [0, 1], [0, 1]]
    assert weight.tolist() == [1, 2, 3, 4]


def test_cells_may_list_several_classes_and_others_are_dropped(folder):
    rows = table()
    rows["class"] = pd.Series([["cat", "pet"], "pet", ["wolf"], ("dog", "wolf")], dtype=object)
    generator = ImageDataGenerator()
    every = generator.flow_from_dataframe(rows, folder, target_size=(2, 2), shuffle=False)
    assert every.class_indices == {"cat": 0, "dog": 1, "pet": 2, "wolf": 3}
    assert next(every)[1].tolist() == [[1, 0, 1, 0], [0, 0, 1, 0], [0, 0, 0, 1], [0, 1, 0, 1]]
    some = generator.flow_from_dataframe(rows, folder, target_size=(2, 2), shuffle=False, classes=["pet", "dog"])
    assert some.filenames == ["cats/0.png", "cats/1.png", "dogs/1.png"]
    assert next(some)[1].tolist() == [[0, 1], [0, 1], [1, 0]]


def test_raw_values_several_columns_and_none(folder):
    rows = table(a=[0.5, 1, 1.5, 2], b=[1, 2, 3, 4])
    arguments = {"directory": folder, "target_size": (2, 2), "shuffle": False}
    generator = ImageDataGenerator(validation_split=0.5)
    raw = generator.flow_from_dataframe(rows, y_col=["a", "b"], class_mode="raw", **arguments)
    assert next(raw)[1].tolist() == [[0.5, 1], [1, 2], [1.5, 3], [2, 4]]
    several = generator.flow_from_dataframe(
        rows, y_col=["a", "b"], class_mode="multi_output", subset="training", **arguments
    )
    assert [y.tolist() for y in next(several)[1]] == [[1.5, 2], [3, 4]]
    assert next(generator.flow_from_dataframe(rows, class_mode=None, **arguments)).shape == (4, 2, 2, 3)
    with pytest.warns(DeprecationWarning, match="now called 'raw'"):
        old = generator.flow_from_dataframe(rows, y_col="a", class_mode="other", **arguments)
    assert next(old)[1].tolist() == [0.5, 1, 1.5, 2]


def test_rows_without_a_file_are_dropped_with_a_warning(folder):
    rows = table()
    rows.loc[1, "filename"] = "cats/99.png"
    rows.loc[2, "filename"] = "cats/readme.txt"
    with pytest.warns(UserWarning, match="2 of 4 files in the column 'filename' are missing"):
        batches = ImageDataGenerator().flow_from_dataframe(rows, folder)
    assert batches.filenames == ["cats/0.png", "dogs/1.png"]
    unchecked = ImageDataGenerator().flow_from_dataframe(rows, folder, validate_filenames=False)
    assert unchecked.samples == 4


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"class_mode": "multi_output"}, TypeError, "takes a list of columns as y_col, got 'class'"),
        ({"class_mode": "sparse", "y_col": "n"}, TypeError, "Row 0 of the column 'n' is 1; .*expected str"),
        ({"y_col": "n"}, TypeError, "expected str or list or tuple"),
        ({"x_col": "n"}, TypeError, "x_col holds file names"),
        ({"weight_col": "filename"}, TypeError, "weight_col holds numbers"),
        ({"class_mode": "binary", "classes": ["cat"]}, ValueError, "means 2 classes; there are 1"),
        ({"class_mode": "binaries"}, ValueError, "Did you mean 'binary'"),
        ({"color_mode": "cmyk"}, ValueError, "Unknown color_mode: 'cmyk'"),
        ({"y_col": "nothing"}, KeyError, "nothing"),
    ],
)
def test_tables_that_do_not_fit_are_refused(folder, options, error, message):
    with pytest.raises(error, match=message):
        ImageDataGenerator().flow_from_dataframe(table(n=[1, 2, 3, 4]), folder, **options)


def test_classes_without_class_targets_have_no_effect(folder):
    with pytest.warns(UserWarning, match="`classes` has no effect"):
        ImageDataGenerator().flow_from_dataframe(table(), folder, class_mode=None, classes=["cat"])
    with pytest.warns(DeprecationWarning, match="`sort` has no effect any more"):
        ImageDataGenerator().flow_from_dataframe(table(), folder, class_mode=None, sort=True)
