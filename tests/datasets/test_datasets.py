"""The public data sets, from tiny files of the same formats on a server of this machine."""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import io
import json
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest

from kcore import config, datasets
from kcore.datasets import cifar, public
from kcore.errors import FileFormatError
from kcore.utils import get_file

LOOPBACK = Path(__file__).parents[1] / "utils" / "loopback.py"


@pytest.fixture
def publish(monkeypatch):
    """Publish a file in place of the real one; what the server was asked."""
    spec = importlib.util.spec_from_file_location("loopback", LOOPBACK)
    loopback = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loopback)
    with loopback.serving() as server:

        def serve(name, content, earlier=None):
            url = server.publish(name, content)
            row = public.Source(url, hashlib.sha256(content).hexdigest(), earlier)
            monkeypatch.setitem(public.SOURCES, name, row)
            return server.requests

        yield serve


def saved(**arrays):
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()


def lists(*items):
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array


def tar_of(**files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name.replace("__", "/"))
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def test_mnist(publish):
    arrays = {"x_train": np.zeros((3, 28, 28), "u1"), "y_train": np.arange(3), "x_test": np.ones((2, 28, 28), "u1")}
    requests = publish("mnist.npz", saved(**arrays, y_test=np.arange(2)))
    for _ in range(2):
        (x_train, y_train), (x_test, y_test) = datasets.mnist.load_data()
        assert (x_train.shape, y_train.tolist(), x_test.mean(), y_test.tolist()) == ((3, 28, 28), [0, 1, 2], 1, [0, 1])
    assert len(requests) == 1


def test_a_file_that_keras_2_cached_is_taken(publish):
    content = saved(x_train=np.ones(1), y_train=np.ones(1), x_test=np.ones(1), y_test=np.ones(1))
    requests = publish("mnist.npz", b"a newer version", hashlib.md5(content).hexdigest())
    folder = config.config_folder() / "datasets"
    folder.mkdir()
    (folder / "mine.npz").write_bytes(content)
    assert datasets.mnist.load_data("mine.npz")[0][0].tolist() == [1]
    assert requests == []


def test_boston_housing_is_shuffled_and_parted(publish):
    publish("boston_housing.npz", saved(x=np.arange(20).reshape(10, 2), y=np.arange(10) * 10))
    (x_train, y_train), (x_test, y_test) = datasets.boston_housing.load_data()
    assert (len(x_train), len(x_test)) == (8, 2)
    assert sorted([*y_train, *y_test]) == list(range(0, 100, 10))
    assert y_train.tolist() != sorted(y_train)
    np.testing.assert_array_equal(x_train[:, 0] * 5, y_train)
    assert datasets.boston_housing.load_data(seed=1)[0][1].tolist() != y_train.tolist()
    with pytest.raises(ValueError, match="below 1, got 1.5"):
        datasets.boston_housing.load_data(test_split=1.5)


def test_fashion_mnist(publish, keras_home):
    labels, images = gzip.compress(b"h" * 8 + b"\1\2"), gzip.compress(b"h" * 16 + bytes(range(196)) * 8)
    for part in ("train", "t10k"):
        publish(f"{part}-labels-idx1-ubyte.gz", labels)
        publish(f"{part}-images-idx3-ubyte.gz", images)
    (x_train, y_train), (x_test, _) = datasets.fashion_mnist.load_data()
    assert x_train.shape == x_test.shape == (2, 28, 28)
    assert y_train.tolist() == [1, 2]
    assert (keras_home / "datasets" / "fashion-mnist" / "t10k-labels-idx1-ubyte.gz").exists()
    publish("t10k-images-idx3-ubyte.gz", gzip.compress(b"h" * 16 + b"1"))
    with pytest.raises(FileFormatError, match="'t10k' hold .* images, but 2 labels"):
        datasets.fashion_mnist.load_data()
    publish("t10k-images-idx3-ubyte.gz", b"no gzip")
    with pytest.raises(FileFormatError, match="is damaged"):
        datasets.fashion_mnist.load_data()


def batch(numbers, **labels):
    """A file of images whose pixels are their number."""
    data = np.repeat(np.array(numbers, "u1"), 3072).reshape(-1, 3072)
    content = {b"data": data, **{name.encode(): values for name, values in labels.items()}}
    return pickle.dumps(content, protocol=2)


def test_cifar10(publish):
    files = {f"cifar-10-batches-py__data_batch_{i}": batch([i, 10 + i], labels=[i, 0]) for i in range(1, 6)}
    publish("cifar-10-batches-py", tar_of(**files, **{"cifar-10-batches-py__test_batch": batch([9], labels=[7])}))
    (x_train, y_train), (x_test, y_test) = datasets.cifar10.load_data()
    assert (x_train.shape, x_train.dtype) == ((10, 32, 32, 3), np.uint8)
    assert x_train[:, 0, 0, 0].tolist() == [1, 11, 2, 12, 3, 13, 4, 14, 5, 15]
    assert (y_train.shape, y_train.dtype, y_train[2, 0]) == ((10, 1), np.uint8, 2)
    assert (x_test.shape, y_test.tolist()) == ((1, 32, 32, 3), [[7]])
    config.set_image_data_format("channels_first")
    assert datasets.cifar10.load_data()[0][0].shape == (10, 3, 32, 32)


def test_cifar100(publish, tmp_path):
    files = {part: batch([1, 2], fine_labels=[50, 51], coarse_labels=[5, 6]) for part in ("train", "test")}
    publish("cifar-100-python", tar_of(**{f"cifar-100-python__{part}": content for part, content in files.items()}))
    assert datasets.cifar100.load_data()[0][1].tolist() == [[50], [51]]
    assert datasets.cifar100.load_data("coarse")[1][1].tolist() == [[5], [6]]
    with pytest.raises(ValueError, match="Unknown label_mode: 'fin'"):
        datasets.cifar100.load_data("fin")
    (tmp_path / "train").write_bytes(files["train"])
    with pytest.raises(FileFormatError, match="no file of CIFAR images with 'labels'"):
        cifar.load_batch(tmp_path / "train")


TRAIN, TEST = [[1, 2, 3], [4], [5, 6]], [[7, 8], [1, 1, 1, 9]]


@pytest.fixture
def imdb(publish):
    publish("imdb.npz", saved(x_train=lists(*TRAIN), y_train=np.arange(3), x_test=lists(*TEST), y_test=np.arange(2)))
    return datasets.imdb.load_data


def test_imdb_marks_shifts_and_shuffles_texts(imdb):
    (x_train, y_train), (x_test, y_test) = imdb(num_words=100)
    assert x_train.dtype == x_test.dtype == object
    for texts, numbers, originals in ((x_train, y_train, TRAIN), (x_test, y_test, TEST)):
        assert sorted(numbers) == list(range(len(originals)))
        for text, number in zip(texts, numbers, strict=True):
            assert text == [1] + [word + 3 for word in originals[number]]
    np.testing.assert_array_equal(imdb()[0][1], y_train)


def test_imdb_leaves_words_and_texts_out(imdb):
    def texts(**options):
        (x_train, _), (x_test, _) = imdb(**options)
        return sorted([*x_train, *x_test])

    few = {"start_char": None, "index_from": 0, "num_words": 5, "skip_top": 2}
    assert texts(**few) == [[2, 2], [2, 2], [2, 2, 2, 2], [2, 2, 3], [4]]
    assert texts(**few, oov_char=None) == [[], [], [], [2, 3], [4]]
    assert max(map(max, texts())) == 11, "the largest number is left out, as in Keras"
    (x_train, y_train), (x_test, y_test) = imdb(maxlen=4)
    assert [len(x_train), len(y_train), len(x_test), len(y_test)] == [3, 3, 0, 0]
    with pytest.raises(ValueError, match="No text is shorter than maxlen=1"):
        imdb(maxlen=1)
    with pytest.warns(UserWarning, match="`num_words`"):
        assert imdb(nb_words=7)[0][1].tolist() == imdb(num_words=7)[0][1].tolist()
    with pytest.raises(TypeError, match="no arguments 'numwords'"):
        imdb(numwords=3)


def test_texts_of_one_length_stay_lists(publish):
    publish("imdb.npz", saved(x_train=lists([1], [2]), y_train=np.arange(2), x_test=lists([3]), y_test=np.arange(1)))
    (x_train, _), _ = datasets.imdb.load_data()
    assert x_train.shape == (2,)
    assert isinstance(x_train[0], list)


def test_reuters(publish):
    publish("reuters.npz", saved(x=lists(*TRAIN, *TEST), y=np.arange(5)))
    (x_train, y_train), (x_test, y_test) = datasets.reuters.load_data(test_split=0.4, num_words=100)
    assert (len(x_train), len(x_test)) == (3, 2)
    for text, number in zip([*x_train, *x_test], [*y_train, *y_test], strict=True):
        assert text == [1] + [word + 3 for word in (TRAIN + TEST)[number]]


def test_words_have_numbers(publish):
    for name, module in (("imdb", datasets.imdb), ("reuters", datasets.reuters)):
        publish(f"{name}_word_index.json", json.dumps({"der": 1, "große": 2}).encode())
        assert module.get_word_index() == {"der": 1, "große": 2}


def test_every_row_is_a_download():
    assert all(row.origin.startswith("https://") for row in public.SOURCES.values())
    lengths = {len(h) for row in public.SOURCES.values() for h in (row.file_hash, row.earlier) if h}
    assert lengths == {32, 64}
    assert get_file is public.get_file
