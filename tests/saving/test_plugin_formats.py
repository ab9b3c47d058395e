"""A format of a plug-in is one like the others: save, load, inspect and convert go through it."""

from __future__ import annotations

import json
import types
import zipfile
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import pytest

import kcore as keras
from kcore import cli, layers, plugin
from kcore.errors import ArgumentError, FileFormatError
from kcore.hookspecs import hookimpl
from kcore.saving import formats
from kcore.saving.description import Description, StoredArray

X = np.random.RandomState(0).rand(4, 3).astype("float32")


class Npz(formats.FileFormat):
    """NumPy's archive: the architecture as text, and the weights in order."""

    name = "npz"
    title = "NumPy archive"
    extensions: ClassVar[tuple[str, ...]] = (".npz",)
    weight_extensions: ClassVar[tuple[str, ...]] = (".npz",)

    def recognizes(self, source):
        try:
            with source.binary() as stream, zipfile.ZipFile(stream) as archive:
                return "config.npy" in archive.namelist()
        except (OSError, ValueError, zipfile.BadZipFile):
            return False

    def save_model(self, model, target, *, include_optimizer=True):
        self.save_weights(model, target)

    def save_weights(self, model, target):
        values = {f"w{i:03}": value for i, value in enumerate(model.get_weights())}
        with target.binary() as stream:
            np.savez(stream, config=np.array(model.to_json()), **values)

    def load_model(self, source, options):
        model = keras.models.model_from_json(self._read(source)[0], options.custom_objects)
        self.load_weights(model, source, formats.WeightOptions())
        return model

    def load_weights(self, model, source, options):
        model.set_weights(self._read(source)[1])

    def describe(self, source):
        text, values = self._read(source)
        arrays = [StoredArray(f"w{i:03}", value.shape, value.dtype.name) for i, value in enumerate(values)]
        return Description(self.title, config=json.loads(text), weights=arrays)

    def _read(self, source):
        with source.binary() as stream, np.load(stream, allow_pickle=False) as archive:
            return str(archive["config"]), [archive[name] for name in sorted(archive.files) if name != "config"]


class Extension:
    def __init__(self, *forms: Any) -> None:
        self.forms = forms

    @hookimpl
    def kcore_file_formats(self):
        return self.forms


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Install formats as a distribution with an entry point would."""
    formats._plugged_in.cache_clear()

    def install(*forms: Any) -> None:
        point = types.SimpleNamespace(name="ext", value="ext", dist=None, load=lambda: Extension(*forms))
        points = {plugin.EXTENSION_GROUP: [point], plugin.BACKEND_GROUP: []}
        monkeypatch.setattr(plugin, "_entry_points", points.__getitem__)

    with keras.backend_scope("numpy"):
        keras.backend.clear_session()
        yield install
    formats._plugged_in.cache_clear()


def build() -> Any:
    return keras.models.Sequential([layers.Dense(2, activation="tanh", input_shape=(3,)), layers.Dense(1)])


def test_a_model_is_saved_and_loaded(installed, tmp_path):
    installed(Npz())
    model = build()
    for path, options in ((tmp_path / "m.npz", {}), (tmp_path / "m", {"save_format": "npz"})):
        model.save(path, **options)
        np.testing.assert_array_equal(keras.models.load_model(path).predict(X), model.predict(X))
    other = build()
    other.load_weights(tmp_path / "m.npz")
    np.testing.assert_array_equal(other.predict(X), model.predict(X))


def test_it_is_inspected_and_converted(installed, tmp_path, capsys, monkeypatch):
    installed(Npz())
    monkeypatch.chdir(tmp_path)
    model = build()
    model.compile("adam", "mse")
    model.train_on_batch(X, np.zeros((4, 1)))
    model.save("m.h5")
    assert cli.main(["convert", "m.h5", "m.npz"]) == 0
    assert cli.main(["inspect", "m.npz"]) == 0
    assert cli.main(["convert", "m.npz", "again.h5"]) == 0
    assert cli.main(["convert", "m.npz", "w.safetensors"]) == 0
    said = capsys.readouterr().out
    assert "m.npz: NumPy archive" in said
    assert said.count("The optimizer's state is left out.") == 1
    assert 'Model "sequential_1" (Sequential)' in said
    assert said.count("4 arrays of weights, equal bit for bit") == 3
    np.testing.assert_array_equal(keras.models.load_model("again.h5", compile=False).predict(X), model.predict(X))


def test_without_the_plug_in_its_files_are_unknown(installed, tmp_path):
    installed(Npz())
    build().save(tmp_path / "m.npz")
    formats._plugged_in.cache_clear()
    installed()
    with pytest.raises(FileFormatError, match=r"m\.npz' is no model or weight file"):
        keras.models.load_model(tmp_path / "m.npz")


def test_plug_ins_are_asked_first_and_take_no_name(installed):
    class Special(Npz):
        name = "special"

    class Taken(Npz):
        name = "keras2"

    installed(Special(), Taken())
    with pytest.warns(UserWarning, match="there is one named 'keras2' already"):
        names = list(formats.known())
    assert names[0] == "special"
    assert names.count("keras2") == 1
    assert type(formats.named("keras2")).__name__ == "Keras2"


def test_what_a_format_does_not_offer_is_told(installed, tmp_path, capsys):
    class Mute(formats.FileFormat):
        name = "mute"
        title = "Mute files"

        def recognizes(self, source):
            return source.start(4) == b"MUTE"

    installed(Mute())
    path = tmp_path / "m.mute"
    path.write_bytes(b"MUTE")
    model = build()
    calls = {
        "hold a whole model": lambda: model.save(path, save_format="mute"),
        "write weights alone": lambda: model.save_weights(path, save_format="mute"),
        "load weights alone": lambda: model.load_weights(path),
        "make the model and load": lambda: keras.models.load_model(path),
    }
    for said, call in calls.items():
        with pytest.raises(ArgumentError, match=f"Mute files cannot .*{said}"):
            call()
    assert cli.main(["inspect", str(path)]) == 1
    assert "Mute files cannot be inspected" in capsys.readouterr().err
