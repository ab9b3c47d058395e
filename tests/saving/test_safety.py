"""Nothing in a file can hurt: files made to do harm are refused with an error of ours, and nothing of them happens."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attacks
import attacks_archives
import h5py
import numpy as np
import pytest

import kcore as keras
from kcore import layers, plugin
from kcore.errors import FileFormatError, KcoreError, UnknownNameError, UnsafeFileError
from kcore.models import load_model, model_from_config, model_from_json, model_from_yaml
from kcore.saving import formats, limits
from kcore.saving.formats import FileFormat
from kcore.saving.state_file import read_state

#: What a file must never make happen.
_FORBIDDEN = (
    "exec", "import", "marshal.", "pickle.", "code.", "function.", "ctypes.", "subprocess.", "os.", "shutil.",
    "socket.", "urllib.", "tempfile.", "webbrowser.", "pty.", "sys.settrace",
)  # fmt: skip
_events: list[tuple[str, str]] | None = None


def _hook(event: str, arguments: Any) -> None:
    if _events is not None and (event == "open" or event.startswith(_FORBIDDEN)):
        _events.append((event, str(arguments)[:300]))


sys.addaudithook(_hook)


@contextmanager
def watched(folder: Path) -> Iterator[None]:
    """A block in which Python may open the file of the attack, and nothing else of interest may happen."""
    global _events
    _events = seen = []
    try:
        yield
    finally:
        _events = None
    own = [str(folder / name) for name in ("m.h5", "m.keras", "m.pkl", "w.npy", "w.npz")]
    assert [e for e in seen if e[0] != "open" or not any(path in e[1] for path in own)] == []
    assert not (folder / "touched").exists()


@pytest.fixture(autouse=True)
def _numpy_backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plugin, "file_formats", list)  # looking for plug-ins opens what pip has installed
    with keras.backend_scope("numpy"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        keras.backend.floatx()  # the settings are read, and written where there are none, before anything is watched
        yield


@pytest.fixture(scope="module", autouse=True)
def _everything_is_imported(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Rooms are imported when they are first used; that is no work of the files'."""
    folder = tmp_path_factory.mktemp("plain")
    "names in zip archives".encode("cp437")
    with keras.backend_scope("numpy"):
        for name in layers.registry.LAYERS:
            layers.registry.LAYERS[name]
        with h5py.File(folder / "m.h5", "w") as file:
            attacks.plain_model(file)
            file.attrs["training_config"] = json.dumps({
                "optimizer_config": {"class_name": "SGD", "config": {}}, "loss": "mse", "metrics": ["acc"],
            }).encode()  # fmt: skip
        model = load_model(folder / "m.h5")
        model.predict(np.zeros((1, 3)))
        model_from_yaml(model.to_yaml())
        for form in formats.known().values():
            if type(form).save_model is not FileFormat.save_model:
                model.save(folder / f"x{form.extensions[0]}")
                load_model(folder / f"x{form.extensions[0]}")


@pytest.mark.parametrize("title", attacks.ATTACKS)
def test_a_hostile_file_is_refused_and_does_nothing(title: str, tmp_path: Path) -> None:
    hostile = attacks.ATTACKS[title](tmp_path)
    with watched(tmp_path), pytest.raises(KcoreError) as caught:
        load_model(hostile)
    assert len(str(caught.value)) < 5000


#: Attacks by the weights; the others are by what is said about the model.
BY_WEIGHTS = [
    title for title in attacks.ATTACKS
    if title not in attacks_archives.HONEST_WEIGHTS and not title.startswith(("training", "byte_code", "hdf5_"))
]  # fmt: skip


@pytest.mark.parametrize("title", BY_WEIGHTS)
def test_a_hostile_file_gives_no_weights(title: str, tmp_path: Path) -> None:
    model = keras.Sequential([layers.Dense(2, input_shape=(3,), name="d")])
    before = model.get_weights()
    hostile = attacks.ATTACKS[title](tmp_path)
    for by_name in (False, True):
        with watched(tmp_path), pytest.raises(KcoreError):
            model.load_weights(hostile, by_name=by_name)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("title", attacks.CONFIGS)
def test_a_hostile_configuration_is_refused(title: str, tmp_path: Path) -> None:
    text = json.dumps(attacks.CONFIGS[title])
    with watched(tmp_path), pytest.raises(KcoreError) as caught:
        model_from_json(text)
    assert len(str(caught.value)) < 5000


@pytest.mark.parametrize("title", attacks.JSON_TEXTS)
def test_a_hostile_json_is_refused(title: str, tmp_path: Path) -> None:
    with watched(tmp_path), pytest.raises(FileFormatError):
        model_from_json(attacks.JSON_TEXTS[title])


@pytest.mark.parametrize("title", attacks.YAML_TEXTS)
def test_a_hostile_yaml_is_refused(title: str, tmp_path: Path) -> None:
    with watched(tmp_path), pytest.raises(FileFormatError):
        model_from_yaml(attacks.YAML_TEXTS[title])


# --- Lambda -----------------------------------------------------------------------------------------------------------


def double(x: Any) -> Any:
    return 2 * x


@pytest.mark.parametrize("safe_mode", [True, False])
def test_byte_code_never_runs_and_the_error_says_what_to_do(tmp_path: Path, safe_mode: bool) -> None:
    path = attacks.ATTACKS["byte_code_in_a_model"](tmp_path)
    advice = r"byte code.*custom_objects=\{'lambda': my_function\}"
    with watched(tmp_path), pytest.raises(UnsafeFileError, match=advice):
        load_model(path, safe_mode=safe_mode)
    given = {"lambda": double, "lambda_output_shape": lambda shape: shape}
    with watched(tmp_path):
        model = load_model(path, custom_objects=given)
    np.testing.assert_array_equal(model.predict(np.ones((1, 3))), [[6, 6]])


def test_a_registered_function_needs_nothing(tmp_path: Path) -> None:
    keras.utils.register_keras_serializable("attacked")(double)
    try:
        model = keras.Sequential([layers.Lambda(double, input_shape=(3,))])
        assert json.loads(model.to_json())["config"]["layers"][0]["config"]["function"] == "attacked>double"
        model.save(tmp_path / "m.h5")
        np.testing.assert_array_equal(load_model(tmp_path / "m.h5").predict(np.ones((1, 3))), [[2, 2, 2]])
        np.testing.assert_array_equal(model_from_json(model.to_json()).predict(np.ones((1, 3))), [[2, 2, 2]])
    finally:
        keras.utils.custom_objects.forget_registered("attacked>double")


def test_installed_modules_are_imported_for_trusted_files_only(tmp_path: Path) -> None:
    config = {"function": "array_split", "function_type": "function", "module": "numpy", "batch_input_shape": [None, 3]}
    path = tmp_path / "m.h5"
    with h5py.File(path, "w") as file:
        attacks.plain_model(file, attacks.sequential(attacks.dense(name="d"), {"class_name": "Lambda", "config": {
            "name": "l", "function": "double", "function_type": "function", "module": __name__}}))  # fmt: skip
    with pytest.raises(UnknownNameError, match=r"double.*custom_objects"):
        load_model(path)
    np.testing.assert_array_equal(load_model(path, safe_mode=False).predict(np.ones((1, 3))), [[6, 6]])
    with pytest.raises(UnknownNameError):
        model_from_config(attacks.sequential({"class_name": "Lambda", "config": config}))


# --- arrays -----------------------------------------------------------------------------------------------------------


def test_arrays_of_objects_are_no_weights() -> None:
    model = keras.Sequential([layers.Dense(2, input_shape=(3,))])
    kernel = np.empty((3, 2), object)
    kernel[:] = 1.0
    with pytest.raises(KcoreError, match=r"dtype\('O'\)"):
        model.set_weights([kernel, np.zeros(2)])


def test_a_state_is_not_unpickled(tmp_path: Path) -> None:
    path = attacks.ATTACKS["pickled_arrays"](tmp_path)
    with watched(tmp_path), pytest.raises(FileFormatError):
        read_state(path)


# --- limits -----------------------------------------------------------------------------------------------------------


def test_a_large_honest_configuration_is_within_the_limits() -> None:
    config = attacks.sequential(*[attacks.dense(name=f"d{i}") for i in range(3000)])
    for _ in range(10):
        config = attacks.sequential(config)
    limits.check_config(config, "large")


def test_the_limits_are_documented() -> None:
    told = (Path(keras.__file__).parents[1] / "docs" / "file-safety.md").read_text(encoding="utf-8")
    for name, value in vars(limits).items():
        if name.isupper() and isinstance(value, int):
            forms = (f"{value:,}", f"{value / 2**20:.0f} MiB", f"2**{value.bit_length() - 1}")
            assert any(f"| `{name}` | {form} |" in told for form in forms), name


@pytest.mark.parametrize("error", [KeyError("x"), RecursionError(), MemoryError(), OverflowError("big"), TypeError("t"),
                                   ZeroDivisionError(), OSError("libhdf5"), RuntimeError("libhdf5")])  # fmt: skip
def test_bare_errors_become_ours(error: BaseException) -> None:
    with pytest.raises(FileFormatError, match=r"m\.h5"), limits.reading("m.h5"):
        raise error


@pytest.mark.parametrize("error", [PermissionError(13, "denied"), KeyboardInterrupt(), NotImplementedError("later")])
def test_other_errors_pass(error: BaseException) -> None:
    with pytest.raises(type(error)), limits.reading("m.h5"):
        raise error


def test_json_as_python_writes_it_is_read() -> None:
    text = json.dumps(attacks.sequential(attacks.dense(kernel_initializer={
        "class_name": "Constant", "config": {"value": float("nan")}})))  # fmt: skip
    for form in (text, "\ufeff" + text, text.encode(), text.encode("utf-8-sig"), text.encode("utf-16")):
        assert np.isnan(model_from_json(form).get_weights()[0]).all()
