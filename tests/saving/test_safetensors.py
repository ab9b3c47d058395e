"""safetensors: equal to what the published package reads and writes; strict with damage; weights as from HDF5."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
import safetensors
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import kcore as keras
from kcore import layers
from kcore.errors import ArgumentError, FileFormatError, ShapeError
from kcore.saving import limits
from kcore.saving.safetensors import container

X = np.random.RandomState(0).rand(4, 6).astype("float32")
DTYPES = ["bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float16", "float32",
          "float64"]  # fmt: skip


# --- the container ---


@st.composite
def some_arrays(draw: st.DrawFn) -> dict[str, np.ndarray]:
    names = draw(st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=8), unique=True, max_size=5))
    names = [name for name in names if name != "__metadata__"]
    shapes = arrays.array_shapes(min_dims=0, min_side=0, max_side=4)
    return {name: draw(arrays.arrays(draw(st.sampled_from(DTYPES)), shapes)) for name in names}


def written(content: dict[str, np.ndarray], metadata: dict[str, str] | None = None) -> bytes:
    stream = io.BytesIO()
    container.write(stream, [(name, value, value.dtype.name) for name, value in content.items()], metadata)
    return stream.getvalue()


def read(data: bytes) -> dict[str, np.ndarray]:
    stream = io.BytesIO(data)
    header = container.read_header(stream, "a file")
    return {name: container.read_array(stream, header, name) for name in header.entries}


def assert_same(got: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert got.keys() == expected.keys()
    for name, value in expected.items():
        assert got[name].dtype == value.dtype
        np.testing.assert_array_equal(got[name], value)


@settings(max_examples=60)
@given(some_arrays(), st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=2))
def test_the_published_package_reads_what_is_written_and_the_other_way_round(content, metadata):
    assert_same(safetensors.numpy.load(written(content, metadata)), content)
    theirs = safetensors.numpy.save(content, metadata or None)  # an empty one makes a file that it cannot read itself
    assert_same(read(theirs), content)
    assert container.read_header(io.BytesIO(theirs), "a file").metadata == metadata


@given(st.lists(st.integers(0, 2**16 - 1), min_size=1), st.sampled_from([0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF]))
def test_bfloat16_is_rounded_as_elsewhere_and_read_exactly(upper, lower):
    import ml_dtypes

    stream = io.BytesIO()
    given_values = (np.array(upper, "uint32") << 16 | np.uint32(lower)).view("float32")
    container.write(stream, [("w", given_values, "bfloat16")])
    with np.errstate(invalid="ignore"):
        expected = given_values.astype(ml_dtypes.bfloat16).astype("float32")
    np.testing.assert_array_equal(read(stream.getvalue())["w"], expected)


def test_every_array_lies_at_a_multiple_of_its_item(tmp_path):
    content = {"a": np.ones(3, "int8"), "b": np.ones(3, "float64"), "c": np.ones(1, "float16")}
    stream = io.BytesIO(written(content))
    header = container.read_header(stream, "a file")
    assert all((header.start + e.begin) % container.DTYPES[e.dtype].itemsize == 0 for e in header.entries.values())


W = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
DAMAGED = [
    ("needs 12 bytes", {"w": {**W, "shape": [3]}}, 8),
    ("leaves a gap", {"w": {**W, "data_offsets": [4, 12]}}, 12),
    ("overlaps", {"v": W, "w": W}, 8),
    ("but 9 follow", {"w": W}, 9),
    ("but 0 follow", {"w": W}, 0),
    ("at most 32 integers", {"w": {**W, "shape": [-2]}}, 8),
    ("at most 32 integers", {"w": {**W, "shape": [True, 2]}}, 8),
    ("at most 32 integers", {"w": {**W, "shape": [1] * 33}}, 8),
    ("more than any memory", {"w": {**W, "shape": [0, 1 << 62], "data_offsets": [0, 0]}}, 0),
    ("first and last byte", {"w": {**W, "data_offsets": [0]}}, 8),
    ("first and last byte", {"w": {**W, "data_offsets": [0, 8.0]}}, 8),
    ("gives it -8", {"w": {**W, "data_offsets": [8, 0]}}, 8),
    ("dtype 'F8_E4M3', which kcore does not read", {"w": {**W, "dtype": "F8_E4M3"}}, 8),
    ("dtype", {"w": {**W, "dtype": ["F32"]}}, 8),
    ("must have dtype, shape and data_offsets", {"w": {"dtype": "F32"}}, 0),
    ("must have dtype, shape and data_offsets", {"w": 3}, 0),
    ("shape and data_offsets, got", {"w": {**W, "more": 1}}, 8),
    ("must map text to text", {"__metadata__": {"a": 1}}, 0),
    ("must map text to text", {"__metadata__": []}, 0),
    ("a name occurs twice", '{"w": 1, "w": 1}', 0),
    ("not valid JSON", '{"w": ', 0),
    ("not valid JSON", '{"w":' * 100000, 0),
    ("not valid JSON", "\x80", 0),
    ("does not begin with", "[]", 0),
]


#: What the published package does not mind.
PACKAGE_READS = {"dtype 'F8_E4M3', which kcore does not read", "more than any memory", "shape and data_offsets, got"}


@pytest.mark.parametrize(("message", "header", "size"), DAMAGED)
def test_a_damaged_file_is_told(message, header, size):
    text = header.encode("latin-1") if isinstance(header, str) else json.dumps(header).encode()
    data = len(text).to_bytes(8, "little") + text + bytes(size)
    with pytest.raises(FileFormatError, match=message):
        container.read_header(io.BytesIO(data), "a file")
    if message not in PACKAGE_READS:
        with pytest.raises(safetensors.SafetensorError):
            safetensors.numpy.load(data)


def test_the_header_is_bounded_before_it_is_read():
    size = limits.SAFETENSORS_HEADER_BYTES + 1
    with pytest.raises(FileFormatError, match="at most 16777216 are read"):
        container.read_header(io.BytesIO(size.to_bytes(8, "little") + bytes(size)), "a file")
    with pytest.raises(FileFormatError, match="is cut off"):
        container.read_header(io.BytesIO((1 << 60).to_bytes(8, "little") + b"{}"), "a file")


@given(st.data())
def test_a_cut_file_is_damaged(data):
    whole = written({"a": np.ones((2, 3)), "b": np.ones(2, "int8")})
    with pytest.raises(FileFormatError):
        read(whole[: data.draw(st.integers(0, len(whole) - 1))])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([("a", np.zeros(1), "float64"), ("a", np.zeros(1), "float64")], "under one name: 'a'"),
        ([("__metadata__", np.zeros(1), "float64")], "under one name"),
        ([("a", np.zeros(1, "complex64"), "complex64")], "cannot hold the array 'a' of dtype complex64"),
        ([("a" * (1 << 24), np.zeros(1), "float64")], "need a header of"),
    ],
)
def test_what_cannot_be_written_is_told(content, message):
    with pytest.raises(ArgumentError, match=message):
        container.write(io.BytesIO(), content)


# --- weights of models ---


def build(out: str = "out") -> keras.models.Sequential:
    model = keras.models.Sequential([
        layers.Dense(5, activation="tanh", input_shape=(6,)),
        layers.Dropout(0.5),
        layers.BatchNormalization(),
        layers.Dense(3, activation="softmax", name=out),
    ])  # fmt: skip
    model.set_weights([np.random.RandomState(1).rand(*w.shape) for w in model.get_weights()])
    return model


def test_weights_come_back_by_position_and_by_name(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    model = build()
    model.save_weights(path)
    other = keras.models.Sequential([layers.Dense(5, activation="tanh", input_shape=(6,)), layers.BatchNormalization(),
                                     layers.Dense(3, activation="softmax")])  # fmt: skip
    other.load_weights(path)
    np.testing.assert_array_equal(other.predict(X), model.predict(X))
    named = keras.models.Sequential([layers.Dense(5, input_shape=(6,)), layers.Dense(3, name="out")])
    before = named.layers[0].get_weights()
    named.load_weights(path, by_name=True)
    for got, expected in zip(named.layers[1].get_weights(), model.layers[3].get_weights(), strict=True):
        np.testing.assert_array_equal(got, expected)
    for got, expected in zip(named.layers[0].get_weights(), before, strict=True):
        np.testing.assert_array_equal(got, expected)


def test_names_and_metadata_say_whose_weights_they_are(tmp_path: Path) -> None:
    build().save_weights(tmp_path / "w", save_format="safetensors")
    with safetensors.safe_open(tmp_path / "w", "np") as file:
        assert {"dense_1/kernel", "dense_1/bias", "out/kernel", "batch_normalization_1/gamma"} <= set(file.keys())
        metadata = file.metadata()
    assert (metadata["format"], metadata["layout"], metadata["backend"]) == ("np", "kcore", "numpy")
    assert json.loads(metadata["layers"])[:2] == [["dense_1", ["dense_1/kernel", "dense_1/bias"]], ["dropout_1", []]]


def test_mismatches_are_told_or_skipped(tmp_path: Path) -> None:
    build().save_weights(tmp_path / "w.safetensors")
    wider = keras.models.Sequential([layers.Dense(7, input_shape=(6,), name="dense_1"), layers.Dense(3, name="out")])
    with pytest.raises(FileFormatError, match="3 layers.*has 2 layers"):
        wider.load_weights(tmp_path / "w.safetensors")
    with pytest.raises(ShapeError, match=r"\(6, 7\).*\(6, 5\)"):
        wider.load_weights(tmp_path / "w.safetensors", by_name=True)
    with pytest.warns(UserWarning, match="Skipping layer 'dense_1'"):
        wider.load_weights(tmp_path / "w.safetensors", by_name=True, skip_mismatch=True)


def test_a_shared_weight_is_stored_once(tmp_path: Path) -> None:
    shared = keras.models.Sequential([layers.Dense(2, input_shape=(2,), name="shared")])
    x = keras.Input((2,))
    models = [keras.Model(x, shared(layers.Dense(2)(x)), name=name) for name in ("one", "two")]
    model = keras.Model(x, layers.add([inner(x) for inner in models]))
    model.save_weights(tmp_path / "w.safetensors")
    assert list(safetensors.numpy.load_file(tmp_path / "w.safetensors")).count("shared/kernel") == 1
    before = model.get_weights()
    model.set_weights([np.zeros_like(w) for w in before])
    model.load_weights(tmp_path / "w.safetensors")
    for got, expected in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(got, expected)


def test_half_precision_weights_come_back(tmp_path: Path) -> None:
    for dtype in ("float16", "bfloat16", "float64"):
        model = keras.models.Sequential([layers.Dense(3, input_shape=(6,), dtype=dtype)])
        model.save_weights(tmp_path / "w.safetensors")
        rounded = [np.asarray(w, "float32") for w in model.get_weights()]
        model.set_weights([w + 1 for w in model.get_weights()])
        model.load_weights(tmp_path / "w.safetensors")
        for got, expected in zip(model.get_weights(), rounded, strict=True):
            np.testing.assert_allclose(got, expected, rtol=2**-8)
        stored = container.read_header(io.BytesIO((tmp_path / "w.safetensors").read_bytes()), "w").entries
        assert {e.dtype for e in stored.values()} == {{"float16": "F16", "bfloat16": "BF16", "float64": "F64"}[dtype]}


def test_files_of_others_go_by_the_names_of_weights(tmp_path: Path) -> None:
    path = tmp_path / "theirs.safetensors"
    model = build()
    pairs = [pair for layer in model.layers for pair in zip(layer.weights, layer.get_weights(), strict=True)]
    theirs = {weight.name.removesuffix(":0").replace("/", "."): value for weight, value in pairs}
    safetensors.numpy.save_file(theirs, path)
    keras.backend.clear_session()
    other = build()
    other.set_weights([w * 0 for w in other.get_weights()])
    other.load_weights(path)
    np.testing.assert_array_equal(other.predict(X), model.predict(X))
    keras.backend.clear_session()
    renamed = build(out="last")
    with pytest.raises(FileFormatError, match=r"no array is called .*last/kernel.*It has: "):
        renamed.load_weights(path)
    kept = renamed.layers[3].get_weights()[0]
    renamed.load_weights(path, by_name=True)
    np.testing.assert_array_equal(renamed.layers[3].get_weights()[0], kept)


def test_it_holds_weights_alone(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="save_weights"):
        build().save(tmp_path / "m.safetensors")
    build().save_weights(tmp_path / "w.safetensors")
    with pytest.raises(ArgumentError, match="load_weights"):
        keras.models.load_model(tmp_path / "w.safetensors")


@pytest.mark.parametrize("layers_text", ["[", "3", '[["a", ["nothing"]]]', "[[1]]"])
def test_a_damaged_list_of_layers_is_told(tmp_path: Path, layers_text: str) -> None:
    metadata = {"layout": "kcore", "layers": layers_text}
    (tmp_path / "w.safetensors").write_bytes(written({"a": np.ones(2)}, metadata))
    with pytest.raises(FileFormatError, match="is damaged: its"):
        build().load_weights(tmp_path / "w.safetensors")
