"""`kcore inspect`: what files of every format hold and what in them is unsafe, without building or running anything."""

from __future__ import annotations

import io
import json
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import kcore as keras
from kcore import cli, layers
from kcore.cli import inspect_file
from kcore.saving import describe, overview
from kcore.saving.description import StoredArray


def build() -> Any:
    x = keras.Input((8, 8, 1), name="image")
    inner = keras.models.Sequential([layers.Conv2D(3, 3, activation="relu", input_shape=(8, 8, 1)), layers.Flatten()])
    y = layers.Dense(5, name="wide")(inner(x))
    z = layers.TimeDistributed(layers.LSTM(2), name="steps")(layers.Reshape((9, 3, 4), name="cut")(inner(x)))
    model = keras.Model(x, layers.concatenate([y, layers.Flatten()(z)], name="both"))
    model.compile("adam", "mse", metrics=["mae", "acc"])
    model.train_on_batch(np.zeros((2, 8, 8, 1)), np.zeros((2, 23)))
    return model


@pytest.fixture(scope="module")
def content() -> bytes:
    """The file of a trained model."""
    stream = io.BytesIO()
    with keras.backend_scope("numpy"):
        keras.backend.clear_session()
        build().save(stream)
    return stream.getvalue()


@pytest.fixture
def saved(tmp_path: Path, content: bytes) -> Path:
    (tmp_path / "m.h5").write_bytes(content)
    return tmp_path / "m.h5"


def inspected(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str]:
    status = cli.main(["inspect", *map(str, words)])
    captured = capsys.readouterr()
    return status, captured.out + captured.err


def data(capsys: pytest.CaptureFixture[str], path: object) -> dict[str, Any]:
    status, text = inspected(capsys, "--json", path)
    return {**json.loads(text), "exit": status}


def test_a_whole_model_is_told_layer_by_layer(capsys, saved):
    status, text = inspected(capsys, saved)
    assert status == 0
    for line in (
        "m.h5: HDF5 of Keras 2,",
        "Written by: keras 2.3.1, backend numpy",
        'Model "model_1" (Model)',
        "image (InputLayer) (None, 8, 8, 1)",
        "conv2d_1 (Conv2D) (None, 8, 8, 1) filters=3, kernel_size=[3, 3], activation=relu",
        "steps (TimeDistributed of LSTM) 56 units=2, activation=tanh, recurrent_activation=sigmoid cut",
        "both (Concatenate) wide, flatten_2",
        "Inputs: image",
        "Outputs: both",
        "Weights: 631 values in 7 arrays (2.5 KiB)",
        "Optimizer state: 1,270 values in 22 arrays (",
        "Optimizer: Adam(learning_rate=0.001,",
        "Loss: mse",
        "Metrics: mae, acc",
        "Nothing unsafe or unknown was found.",
    ):
        assert line in " ".join(text.split()), line


def test_parameters_are_those_of_the_model(capsys, saved):
    model = keras.models.load_model(saved)
    told = data(capsys, saved)
    assert told["parameters"] == model.count_params()
    assert [row["name"] for row in told["layers"] if row["depth"] == 0] == [layer.name for layer in model.layers]
    assert told["config"]["config"] == json.loads(model.to_json())["config"]
    assert (told["status"], told["exit"], told["inputs"], told["outputs"]) == ("sound", 0, ["image"], ["both"])
    assert sum(x["bytes"] for x in told["weights"]) == sum(w.nbytes for w in model.get_weights())


def test_keras_3_files_are_told_alike(capsys, saved, tmp_path):
    model = keras.models.load_model(saved)
    model.save(tmp_path / "m.keras")
    told, before = data(capsys, tmp_path / "m.keras"), data(capsys, saved)
    assert (told["status"], told["parameters"]) == ("sound", before["parameters"])
    for key in ("name", "inputs", "depth"):
        assert {str(row[key]) for row in before["layers"]} <= {str(row[key]) for row in told["layers"]}
    assert "Optimizer: Adam(" in inspected(capsys, tmp_path / "m.keras")[1]
    with zipfile.ZipFile(tmp_path / "m.keras", "a") as archive:
        archive.writestr("../evil.py", "boom")
    assert data(capsys, tmp_path / "m.keras")["status"] == "unsafe"


@pytest.mark.parametrize("name", ["w.h5", "w.safetensors"])
def test_weights_alone(capsys, tmp_path, name):
    model = build()
    model.save_weights(tmp_path / name)
    status, text = inspected(capsys, "--weights", tmp_path / name)
    assert status == 0
    assert "Weights alone, without an architecture" in text
    assert "wide/kernel" in text
    assert "float32" in text
    told = data(capsys, tmp_path / name)
    assert told["parameters"] == model.count_params()
    assert told["versions"] == {"keras": "2.3.1", "backend": "numpy"}
    assert {tuple(x["shape"]) for x in told["weights"]} == {w.shape for w in model.get_weights()}


@pytest.mark.parametrize("kind", ["json", "yaml"])
def test_an_architecture_alone(capsys, tmp_path, kind):
    model = build()
    (tmp_path / f"m.{kind}").write_text(getattr(model, f"to_{kind}")())
    status, text = inspected(capsys, tmp_path / f"m.{kind}")
    assert status == 0
    assert "Weights: none in this file" in text
    told = data(capsys, tmp_path / f"m.{kind}")
    assert [row["name"] for row in told["layers"] if not row["depth"]] == [layer.name for layer in model.layers]


def test_configurations_of_keras_1_and_3_are_understood():
    old = {"class_name": "Sequential", "config": [{"class_name": "Dense", "config": {"name": "d", "units": 2}}]}
    assert [(row.name, row.kind) for row in overview.rows(old)] == [("d", "Dense")]
    tensor = {"class_name": "__keras_tensor__", "config": {"shape": [None, 2], "keras_history": ["x", 0, 0]}}
    dense = {
        "class_name": "Dense", "name": "d", "registered_name": None, "build_config": {"input_shape": [None, 2]},
        "config": {"name": "d", "units": 2, "kernel_initializer": {"class_name": "GlorotUniform", "config": {}}},
        "inbound_nodes": [{"args": [[tensor]], "kwargs": {"mask": None}}],
    }  # fmt: skip
    new = {"class_name": "Functional", "config": {"layers": [dense], "input_layers": ["x", 0, 0]}}
    (row,) = overview.rows(new)
    assert (row.inputs, row.shape) == (["x"], (None, 2))
    assert overview.ends(new, "input") == ["x"]
    assert not list(overview.findings(new))
    own = {"module": "builtins", "class_name": "function", "config": "mine", "registered_name": "function"}
    dense["config"]["activation"] = own
    assert [x.what.partition(" is not")[0] for x in overview.findings(new)] == ["the function 'mine'"]
    wrapped = {"class_name": "MeanMetricWrapper", "config": {"name": "m", "fn": "ours"}}  # as tf.keras has metrics
    assert [x.where for x in overview.findings(None, {"metrics": [[wrapped, "acc"]]})] == ["training.metrics/m.fn"]


# --- what is unsafe ---


def rewritten(path: Path, change: Any) -> Path:
    """The file with its model's configuration changed."""
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        change(config)
        file.attrs["model_config"] = json.dumps(config)
    return path


def layer(config: Any, name: str) -> Any:
    return next(entry for entry in config["config"]["layers"] if entry["name"] == name)


def test_byte_code_is_reported_and_not_touched(capsys, saved):
    code = {"function": ["4wEAAAA=", None, None], "function_type": "lambda", "name": "lam"}
    rewritten(saved, lambda config: layer(config, "wide").update(class_name="Lambda", config=code))
    status, text = inspected(capsys, saved)
    assert status == 3
    assert "config/model_1/lam: the 'function' of the layer 'lam' is Python byte code, which is never run" in text
    assert data(capsys, saved)["findings"][0]["kind"] == "code"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: layer(c, "wide").update(class_name=["Dense"]), "the class name is ['Dense'], where text belongs"),
        (lambda c: layer(c, "wide").update(class_name="Mine"), "the layer 'Mine' is not one of kcore's"),
        (lambda c: layer(c, "wide")["config"].update(activation="swoosh"), "the function 'swoosh'"),
        (lambda c: layer(c, "wide")["config"]["kernel_initializer"].update(class_name="os>popen"), "class 'os>popen'"),
        (lambda c: layer(c, "steps")["config"]["layer"].update(class_name="Cell"), "the layer 'Cell'"),
        (lambda c: layer(c, "cut").update(class_name="Lambda", config={"function": "f", "function_type": "function"}),
         "the function 'f'"),
    ],
)  # fmt: skip
def test_what_needs_custom_objects_is_reported(capsys, saved, change, said):
    status, text = inspected(capsys, rewritten(saved, change))
    assert status == 3
    assert said in text


def test_a_training_configuration_is_searched_too(capsys, saved):
    with h5py.File(saved, "r+") as file:
        optimizer = {"class_name": "Slow", "config": {}}
        training = {"optimizer_config": optimizer, "loss": {"out": "mine"}, "metrics": ["acc"]}
        file.attrs["training_config"] = json.dumps(training)
    assert [x["what"].partition(" is not")[0] for x in data(capsys, saved)["findings"]] == [
        "the class 'Slow'", "the function 'mine'",
    ]  # fmt: skip


def test_whatever_leads_out_of_a_file_is_reported_and_not_followed(capsys, saved, tmp_path):
    (tmp_path / "secret").write_bytes(bytes(16))
    with h5py.File(saved, "r+") as file:
        group = file["model_weights"]
        group["soft"] = h5py.SoftLink("/nowhere")
        group["wide/external"] = h5py.ExternalLink("/etc/passwd", "/x")
        group.create_dataset("stored", (4,), "f4", external=[(str(tmp_path / "secret"), 0, 16)])
        layout = h5py.VirtualLayout((4,), "f4")
        layout[:] = h5py.VirtualSource("elsewhere.h5", "x", shape=(4,))
        group.create_virtual_dataset("virtual", layout)
        group["references"] = np.array([file.ref], dtype=h5py.ref_dtype)
        group.create_dataset("huge", (1 << 40,), "f4", chunks=(1024,))
        group["loop"] = group
        group["type"] = np.dtype("f4")
        group.attrs["reference"] = file.ref
        group.attrs["compound"] = np.zeros(1, [("a", "i4")])
    told = {x["where"]: x["kind"] for x in data(capsys, saved)["findings"]}
    assert told == {
        "/model_weights/soft": "link",
        "/model_weights/wide/external": "link",
        "/model_weights/stored": "storage",
        "/model_weights/virtual": "storage",
        "/model_weights/references": "object",
        "/model_weights/type": "object",
        "/model_weights/huge": "size",
        "/model_weights/loop": "link",
        "/model_weights@reference": "link",
        "/model_weights@compound": "object",
    }


def test_weights_that_are_no_numbers_are_reported(capsys, saved):
    with h5py.File(saved, "r+") as file:
        del file["model_weights/wide/wide/bias:0"]
        file["model_weights/wide/wide/bias:0"] = "text"
    (finding,) = data(capsys, saved)["findings"]
    assert (finding["where"], finding["kind"]) == ("/model_weights/wide/wide/bias:0", "object")


PARTS = ["model_weights", "model_weights/wide", "model_weights/wide/wide", "optimizer_weights"]


@pytest.mark.parametrize("name", PARTS)
def test_a_link_in_the_place_of_a_part_is_reported(capsys, saved, name):
    with h5py.File(saved, "r+") as file:
        del file[name]
        file[name] = h5py.ExternalLink("/etc/passwd", "/")
    assert [(x["where"], x["kind"]) for x in data(capsys, saved)["findings"]] == [(f"/{name}", "link")]


def test_a_pickle_is_unsafe(capsys, tmp_path):
    (tmp_path / "m.h5").write_bytes(pickle.dumps({"weights": [1]}))
    with zipfile.ZipFile(tmp_path / "m.pt", "w") as archive:
        archive.writestr("archive/data.pkl", b"")
    for name in ("m.h5", "m.pt"):
        status, text = inspected(capsys, tmp_path / name)
        assert status == 3
        assert "run code when they are read" in text


# --- what is damaged, and the rest ---


def test_damage_ends_with_1_and_a_missing_file_with_2(capsys, saved, tmp_path):
    whole = saved.read_bytes()
    (tmp_path / "cut.h5").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.h5").write_text("no model")
    np.save(tmp_path / "one.npy", np.zeros(3))
    (tmp_path / "broken.json").write_text('{"class_name": ')
    (tmp_path / "other.json").write_text('{"image_data_format": "channels_last"}')
    (tmp_path / "broken.yaml").write_text("class_name: [")
    (tmp_path / "deep.json").write_text('{"class_name": "Model", "config": ' + "[" * 100_000)
    for path in sorted(tmp_path.glob("[!m]*")):
        status, text = inspected(capsys, path)
        assert (status, path.name in text) == (1, True), path
        assert data(capsys, path)["status"] == "damaged"
    assert inspected(capsys, tmp_path / "nothing.h5")[0] == 2
    (tmp_path / "saved").mkdir()
    assert "is a folder, not a file.\n" in inspected(capsys, tmp_path / "saved")[1]
    (tmp_path / "saved" / "saved_model.pb").touch()
    assert "save it there as .h5 or .keras" in inspected(capsys, tmp_path / "saved")[1]
    with pytest.raises(SystemExit, match="2"):
        cli.main(["inspect"])


def test_deep_nests_are_damage():
    nest: Any = {"class_name": "Dense", "config": {}}
    for _ in range(5000):
        nest = {"class_name": "TimeDistributed", "config": {"layer": nest}}
    with pytest.raises(RecursionError):
        list(overview.rows({"config": [nest]}))


def test_a_file_does_not_write_to_the_terminal_what_it_likes(capsys, saved):
    rewritten(saved, lambda config: config["config"].update(name="\x1b[2J" + "x" * 20))
    assert "\x1b" not in inspected(capsys, saved)[1]


def test_sizes():
    assert StoredArray("a", (2, 3), "bfloat16").bytes == 12
    assert StoredArray("a", (), "float64").bytes == 8
    assert StoredArray("a", (3,), "bool").bytes == 3
    assert StoredArray("a", (0, 3), "uint16").bytes == 0
    assert inspect_file._size(1536) == "1.5 KiB"


def test_nothing_is_built_and_no_framework_imported(saved):
    code = (
        "import sys; from kcore.cli import main; from kcore.layers.base import Layer\n"
        "from kcore.saving import formats; formats.known()\n"
        "def no(*a, **k): raise AssertionError('built')\n"
        "Layer.__init__ = no\n"
        f"assert main(['inspect', {str(saved)!r}]) == 0\n"
        "print(sorted({'torch', 'jax', 'tensorflow'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.splitlines()[-1] == "[]"


def test_describe_takes_what_load_model_takes(saved):
    assert describe(io.BytesIO(saved.read_bytes())).config == describe(saved.read_bytes()).config
    with h5py.File(saved) as file:
        assert describe(file).config == describe(saved).config
