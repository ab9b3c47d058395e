"""Files of the real Keras 1.2.2 load, predict what it predicted, and train on. `make_keras1_files.py` wrote them."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import h5py
import numpy as np
import pytest

import kcore
from kcore.errors import FileFormatError
from kcore.legacy.configs import modernize
from kcore.saving.keras2.conversion import flip_kernel

FILES = Path(__file__).parent / "keras1_files"
NAMES = sorted(path.stem for path in FILES.glob("*.h5"))
#: Theano turns kernels, which the files do not say: what was predicted comes after turning them back.
TURNED = {"deconv", "time_distributed"}


@pytest.fixture(autouse=True)
def _numpy_backend():
    with kcore.backend_scope("numpy"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Highway and MaxoutDense are deprecated
        kcore.backend.clear_session()
        yield


def data(name):
    with np.load(FILES / f"{name}.npz") as file:
        arrays = dict(file)
    x = [arrays[key] for key in sorted(arrays) if key.startswith("x")]
    return (x if len(x) > 1 else x[0]), arrays


def test_files_of_all_sorts_are_there():
    assert len(NAMES) == 13


@pytest.mark.parametrize("name", NAMES)
def test_a_model_predicts_what_keras_1_predicted(name):
    x, arrays = data(name)
    model = kcore.models.load_model(FILES / f"{name}.h5")
    if "keras2" in arrays and name != "time_distributed":  # whose kernels Keras 2.3.1 turns over twice
        np.testing.assert_allclose(model.predict(x), arrays["keras2"], atol=5e-6)
    if name == "deconv":
        kcore.utils.convert_all_kernels_in_model(model)
    if name == "time_distributed":
        model.layers[0].set_weights([flip_kernel(w) if w.ndim == 4 else w for w in model.layers[0].get_weights()])
    if "predictions" in arrays:
        np.testing.assert_allclose(model.predict(x), arrays["predictions"], atol=2e-6)
        assert (name in TURNED) != np.allclose(kcore.models.load_model(FILES / f"{name}.h5").predict(x),
                                               arrays["predictions"], atol=2e-6)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_its_architecture_alone_and_its_weights_alone_make_the_same_model(name):
    x, _ = data(name)
    whole = kcore.models.load_model(FILES / f"{name}.h5", compile=False)
    with h5py.File(FILES / f"{name}.h5") as file:
        text = file.attrs["model_config"]
    model = kcore.models.model_from_json(text)
    model.load_weights(FILES / f"{name}.h5")
    np.testing.assert_array_equal(model.predict(x), whole.predict(x))
    again = kcore.models.model_from_json(model.to_json())
    again.set_weights(model.get_weights())
    np.testing.assert_array_equal(again.predict(x), whole.predict(x))


@pytest.mark.parametrize("name", NAMES)
def test_todays_words_stay_as_they_are(name):
    with h5py.File(FILES / f"{name}.h5") as file:
        config = modernize(json.loads(file.attrs["model_config"]))
    assert modernize(config) == config


@pytest.mark.parametrize(("name", "settings", "told"), [
    ("SReLU", {"name": "s"}, "dropped"),
    ("BatchNormalization", {"name": "b", "mode": 1}, "mode=1"),
    ("Merge", {"name": "m", "mode": "<code>", "mode_type": "lambda"}, "byte code"),
])  # fmt: skip
def test_what_has_no_counterpart_is_told(name, settings, told):
    with pytest.raises(FileFormatError, match=told):
        modernize({"class_name": name, "config": settings})
