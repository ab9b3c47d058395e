"""`kcore convert`: every direction that makes sense keeps every weight bit for bit; the rest is refused with advice."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import kcore as keras
from kcore import cli, layers
from kcore.saving.converting import Request, Result, convert
from kcore.saving.safetensors.format import SAFETENSORS

X = np.random.RandomState(0).rand(4, 6).astype("float32")


@pytest.fixture(autouse=True)
def no_other_keras(monkeypatch):
    """`--import` lets `import keras` mean kcore, as in a process where no such package was imported."""
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    for name in [name for name in sys.modules if name.partition(".")[0] in ("keras", "tensorflow")]:
        monkeypatch.delitem(sys.modules, name)


def build() -> Any:
    x = keras.Input((6,), name="x")
    inner = keras.models.Sequential([layers.Dense(5, activation="tanh", input_shape=(6,)), layers.BatchNormalization()])
    y = layers.Reshape((5, 1))(inner(x))
    model = keras.Model(x, layers.Dense(2, name="out")(layers.Bidirectional(layers.LSTM(3))(y)))
    model.compile("adam", "mse")
    model.train_on_batch(X, np.zeros((4, 2)))
    return model


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the model in every form that Keras 2 has."""
    folder = tmp_path_factory.mktemp("originals")
    with keras.backend_scope("numpy"):
        keras.backend.clear_session()
        model = build()
        model.save(folder / "model.h5")
        model.save(folder / "model.keras")
        model.save_weights(folder / "weights.h5")
        model.save_weights(folder / "weights.weights.h5")
        model.save_weights(folder / "weights.safetensors")
        (folder / "model.json").write_text(model.to_json())
        (folder / "model.yaml").write_text(model.to_yaml())
        np.save(folder / "predicted.npy", model.predict(X))
    return folder


@pytest.fixture
def folder(originals: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that folder, which is the current one."""
    shutil.copytree(originals, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    status = cli.main(["convert", *words])
    captured = capsys.readouterr()
    return status, captured.out + captured.err


WITH_MODEL = ["--architecture", "model.json"]
DIRECTIONS = [
    ("model.h5", "new.h5", []),
    ("model.h5", "new.safetensors", []),
    ("model.h5", "new_weights.h5", ["--weights-only"]),
    ("model.h5", "new.json", []),
    ("model.h5", "new.yml", []),
    ("model.h5", "new", ["--to", "safetensors"]),
    ("weights.h5", "new.safetensors", []),
    ("weights.h5", "new.safetensors", WITH_MODEL),
    ("weights.h5", "new.h5", WITH_MODEL),
    ("weights.h5", "new.h5", ["--architecture", "model.yaml"]),
    ("weights.safetensors", "new.h5", ["--architecture", "model.h5"]),
    ("weights.safetensors", "new_weights.h5", []),
    ("weights.safetensors", "new_weights.h5", [*WITH_MODEL, "--weights-only"]),
    ("model.h5", "new.keras", []),
    ("model.h5", "new.weights.h5", []),
    ("model.keras", "new.h5", []),
    ("model.keras", "new.keras", []),
    ("model.keras", "new.safetensors", []),
    ("model.keras", "new.json", []),
    ("weights.weights.h5", "new.keras", WITH_MODEL),
    ("weights.weights.h5", "new.safetensors", []),
    ("weights.safetensors", "new.weights.h5", ["--architecture", "model.keras"]),
    ("model.json", "new.yaml", []),
    ("model.yaml", "new.json", []),
]


@pytest.mark.parametrize(("source", "target", "options"), DIRECTIONS)
def test_what_is_converted_is_the_same_model(capsys, folder, source, target, options):
    status, said = run(capsys, source, target, *options)
    assert status == 0, said
    assert "Read again: " in said
    original = keras.models.load_model("model.h5")
    if target.endswith(("json", "yaml", "yml")):
        read = keras.models.model_from_json if target.endswith("json") else keras.models.model_from_yaml
        assert read(Path(target).read_text()).get_config() == original.get_config()
        return
    whole = source.startswith("model.")
    if target in ("new.h5", "new.keras"):
        model = keras.models.load_model(target, compile=whole)
    else:
        model = keras.models.model_from_json(Path("model.json").read_text())
        model.load_weights(target)
        if target.endswith(("safetensors", "weights.h5")):
            model.load_weights(target, by_name=True)
    np.testing.assert_array_equal(model.predict(X), np.load("predicted.npy"))
    if whole and target in ("new.h5", "new.keras"):
        assert model.train_on_batch(X, np.ones((4, 2))) == original.train_on_batch(X, np.ones((4, 2)))
        assert "arrays of weights and 37 of the optimizer, equal bit for bit" in said


def test_weights_keep_their_names_without_a_model(capsys, folder):
    run(capsys, "weights.h5", "one.safetensors")
    run(capsys, "one.safetensors", "two.h5")
    with h5py.File("weights.h5") as before, h5py.File("two.h5") as after:
        assert list(before.attrs["layer_names"]) == list(after.attrs["layer_names"])
        for name in before:
            assert list(before[name].attrs["weight_names"]) == list(after[name].attrs["weight_names"])


def test_what_is_lost_is_told(capsys, folder):
    assert "The optimizer's state is left out." in run(capsys, "model.h5", "new.safetensors")[1]
    assert "optimizer" not in run(capsys, "model.h5", "new.h5", "--no-training")[1]
    with pytest.warns(UserWarning, match="not compiled"):
        keras.models.load_model("new.h5")


def test_what_a_format_does_not_need_is_not_missed(capsys, folder):
    model = keras.models.Sequential([layers.Dense(2, input_shape=(6,))])
    model.compile("sgd", "mse")  # Keras 3 keeps no moments without momentum
    model.train_on_batch(X, np.zeros((4, 2)))
    model.save("sgd.h5")
    status, said = run(capsys, "sgd.h5", "sgd.keras")
    assert (status, "2 arrays of weights and 1 of the optimizer" in said) == (0, True)
    assert keras.backend.get_value(keras.models.load_model("sgd.keras").optimizer.iterations) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["broken.h5", "new.keras"], "'broken.h5'.*cannot be loaded|'broken.h5'.*is a damaged"),
        (["weights.h5", "new.json"], "holds weights alone.*--architecture"),
        (["weights.safetensors", "new.weights.h5"], "does not list weights layer by layer.*--architecture"),
        (["model.json", "new.h5"], "holds an architecture alone.*--architecture model.json"),
        (["model.json", "new.safetensors"], "holds an architecture alone"),
        (["model.h5", "new.xyz"], "'new.xyz' says no format; name one of: .*safetensors"),
        (["model.h5", "new", "--to", "hdf6"], "Unknown save_format: 'hdf6'"),
        (["nothing.h5", "new.h5"], "no file 'nothing.h5'"),
        (["model.h5", "new.json", "--weights-only"], "cannot hold weights"),
        (["model.h5", "no/folder/new.h5"], "does not exist|no folder"),
        (["model.h5", "new.safetensors", "--architecture-only"], "cannot hold architecture"),
        (["weights.h5", "new.h5", "--architecture", "weights.safetensors"], "cannot hold a whole model"),
        (["model.h5", "new.safetensors", "--import", "no_such_module"], "--import no_such_module: No module"),
    ],
)
def test_what_makes_no_sense_is_refused_with_advice(capsys, folder, words, said):
    Path("broken.h5").write_bytes(Path("model.h5").read_bytes()[:5000])
    before = sorted(path.name for path in folder.iterdir() if path.is_file())
    status, text = run(capsys, *words)
    assert status == 1
    assert re.search(said, text), text
    assert sorted(path.name for path in folder.iterdir() if path.is_file()) == before


def test_a_file_is_replaced_only_when_asked_for(capsys, folder):
    Path("new.h5").write_text("precious")
    status, said = run(capsys, "model.h5", "new.h5")
    assert (status, "--overwrite" in said) == (2, True)
    assert Path("new.h5").read_text() == "precious"
    assert run(capsys, "model.h5", "new.h5", "--overwrite")[0] == 0
    assert run(capsys, "model.h5", "model.h5", "--overwrite")[0] == 0  # onto itself
    np.testing.assert_array_equal(keras.models.load_model("model.h5").predict(X), np.load("predicted.npy"))


def test_a_writer_that_errs_is_noticed_and_the_old_file_kept(capsys, folder, monkeypatch):
    Path("new.safetensors").write_text("precious")
    save = type(SAFETENSORS).save_weights

    def wrong(form, model, target):
        kept = model.get_weights()
        model.set_weights([w + 1e-7 for w in kept])
        save(form, model, target)
        model.set_weights(kept)

    monkeypatch.setattr(type(SAFETENSORS), "save_weights", wrong)
    status, said = run(capsys, "model.h5", "new.safetensors", "--overwrite")
    assert (status, "read again, the values of its weights differ" in said) == (1, True)
    assert Path("new.safetensors").read_text() == "precious"


def test_weights_in_an_order_of_their_own_need_the_architecture(capsys, folder):
    with h5py.File("weights.h5", "r+") as file:
        file.attrs["backend"] = "theano"
    status, said = run(capsys, "weights.h5", "new.safetensors")
    assert (status, "--architecture" in said) == (1, True)
    assert run(capsys, "weights.h5", "new.safetensors", *WITH_MODEL)[0] == 0


MODULE = """
import keras

class Twice(keras.layers.Dense):
    def call(self, inputs):
        return 2 * super().call(inputs)

def cube(y_true, y_pred):
    return keras.backend.mean(keras.backend.abs(y_true - y_pred) ** 3, axis=-1)

{rest}
"""


def test_own_classes_come_from_a_module_that_the_user_names(capsys, folder, monkeypatch):
    from kcore import aliases

    for name in ("own_one", "own_two"):
        rest = "keras.utils.register_keras_serializable('own')(Twice)" if name == "own_two" else ""
        (folder / f"{name}.py").write_text(MODULE.format(rest=rest))
    kept = dict(sys.modules)
    monkeypatch.syspath_prepend(folder)
    aliases.install()
    try:
        from own_one import Twice, cube

        model = keras.models.Sequential([Twice(2, input_shape=(6,))])
        model.compile("sgd", cube)
        model.save("own.h5")
        status, said = run(capsys, "own.h5", "new.h5")
        assert (status, "Unknown layer: Twice" in said) == (1, True)
        status, said = run(capsys, "own.h5", "new.h5", "--import", "own_one")
        assert status == 0, said
    finally:
        for name in set(sys.modules) - set(kept):
            del sys.modules[name]
        sys.modules.update(kept)


def test_the_same_from_python(folder):
    assert convert(Request("weights.h5", "new.safetensors")) == Result("HDF5 of Keras 2", "safetensors", "weights", 14)
