"""Keras 3's archives and safetensors files that are made to do harm; they join `attacks.ATTACKS`."""

from __future__ import annotations

import base64
import io
import json
import marshal
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from attacks import ATTACKS, attack


def keras3_config(*layers: Any) -> str:
    """The configuration of a Sequential model as Keras 3 writes it."""
    entry = {"module": "keras", "registered_name": None, "build_config": {}}
    return json.dumps({**entry, "class_name": "Sequential", "config": {"name": "s", "layers": [
        {"module": "keras.layers", "class_name": "InputLayer", "registered_name": None,
         "config": {"batch_shape": [None, 3], "dtype": "float32", "name": "i"}},
        *layers,
    ]}})  # fmt: skip


def keras3_weights() -> bytes:
    """The weights of one Dense layer."""
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file["layers/dense/vars/0"], file["layers/dense/vars/1"] = np.ones((3, 2), "f4"), np.zeros(2, "f4")
    return stream.getvalue()


def archive(title: str, *layers: Any, weights: Callable[[Path], bytes] | None = None,
            change: Callable[[zipfile.ZipFile, Path], None] | None = None) -> None:  # fmt: skip
    """Register a `.keras` file: with layers, weights, or whatever else of the attacker's own."""

    def make(folder: Path) -> Path:
        plain = {"module": "keras.layers", "class_name": "Dense", "registered_name": None,
                 "config": {"name": "dense", "units": 2, "dtype": "float32"}}  # fmt: skip
        with zipfile.ZipFile(folder / "m.keras", "w") as zipped, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # zipfile's own about names that come twice
            zipped.writestr("metadata.json", json.dumps({"keras_version": "3.3.3", "date_saved": "today"}))
            zipped.writestr("config.json", keras3_config(*(layers or [plain])))
            zipped.writestr("model.weights.h5", weights(folder) if weights else keras3_weights())
            if change is not None:
                change(zipped, folder)
        return folder / "m.keras"

    ATTACKS[f"keras3_{title}"] = make


#: Attacks whose weights are honest: they succeed when only weights are asked for.
HONEST_WEIGHTS = {f"keras3_{title}" for title in (
    "module", "registered", "method", "function_as_layer", "activation", "byte_code", "torch_module", "deep",
    "size_that_lies",
)}  # fmt: skip


def _foreign(class_name: str, module: str, **entries: Any) -> dict[str, Any]:
    return {"module": module, "class_name": class_name, "registered_name": None, "config": {}, **entries}


archive("module", _foreign("system", "os", config={"command": "touch touched"}))
archive("registered", _foreign("Popen", "subprocess", registered_name="subprocess>Popen"))
archive("method", _foreign("Model.from_config", "keras"))
archive("function_as_layer", _foreign("function", "builtins", config="eval"))
archive("activation", _foreign("Dense", "keras.layers", config={
    "units": 2, "activation": {"module": "os", "class_name": "function", "config": "system", "registered_name": None},
}))  # fmt: skip
archive("byte_code", _foreign("Lambda", "keras.layers", config={"name": "lambda", "function": {
    "class_name": "__lambda__", "config": {
        "code": base64.b64encode(marshal.dumps((lambda x: x).__code__)).decode(), "defaults": None, "closure": None,
    },
}}))  # fmt: skip
archive("torch_module", _foreign("TorchModuleWrapper", "keras.layers", config={"module": "gASVCg=="}))
archive("deep", {"a": json.loads("[" * 400 + "]" * 400)})
archive("traversal", change=lambda zipped, folder: zipped.writestr("../touched", b"harm"))
archive("absolute", change=lambda zipped, folder: zipped.writestr(str(folder / "touched"), b"harm"))
archive("drive", change=lambda zipped, folder: zipped.writestr("C:\\touched", b"harm"))
archive("twice", change=lambda zipped, folder: zipped.writestr("config.json", "{}"))
archive("external_link", weights=lambda folder: hdf5_with(lambda file: file.__setitem__(
    "layers/dense/vars/0", h5py.ExternalLink("/etc/passwd", "/"))))  # fmt: skip
archive("circle", weights=lambda folder: hdf5_with(lambda file: file.__setitem__("layers/again", file["/"])))


def hdf5_with(change: Callable[[Any], None]) -> bytes:
    """Weights of Keras 3 in which something was put in the place of the kernel."""
    stream = io.BytesIO(keras3_weights())
    with h5py.File(stream, "r+") as file:
        del file["layers/dense/vars/0"]
        change(file)
    return stream.getvalue()


@attack
def keras3_link(folder: Path) -> Path:
    """A member that is a symbolic link."""
    path = ATTACKS["keras3_module"](folder)
    with zipfile.ZipFile(path, "w") as zipped:
        link = zipfile.ZipInfo("config.json")
        link.external_attr = 0o120777 << 16
        zipped.writestr(link, str(folder / "secret"))
    return path


@attack
def keras3_bomb(folder: Path) -> Path:
    """A configuration that unpacks to a hundred times more than any."""
    path = folder / "m.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr("config.json", b" " * (80 << 20))
        zipped.writestr("model.weights.h5", keras3_weights())
    return path


@attack
def keras3_size_that_lies(folder: Path) -> bytes:
    """A member that unpacks to more than its head and the directory declare."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr("config.json", b" " * (8 << 20))
        zipped.writestr("model.weights.h5", keras3_weights())
    return stream.getvalue().replace(struct.pack("<I", 8 << 20), struct.pack("<I", 100))


def tensors(title: str, header: Any, values: bytes = bytes(32), length: int | None = None) -> None:
    """Register a safetensors file."""

    def make(folder: Path) -> bytes:
        text = header if isinstance(header, bytes) else json.dumps(header).encode()
        return struct.pack("<Q", len(text) if length is None else length) + text + values

    ATTACKS[f"safetensors_{title}"] = make


_KERNEL = {"dtype": "F32", "shape": [3, 2], "data_offsets": [0, 24]}
_BIAS = {"dtype": "F32", "shape": [2], "data_offsets": [24, 32]}
tensors("length", {"d/kernel": _KERNEL}, length=2**62)
tensors("overlap", {"d/kernel": _KERNEL, "d/bias": {**_BIAS, "data_offsets": [0, 8]}}, bytes(24))
tensors("outside", {"d/kernel": _KERNEL, "d/bias": {**_BIAS, "data_offsets": [2**60, 2**60 + 8]}})
tensors("giant", {"d/kernel": {**_KERNEL, "shape": [2**40, 2**40]}, "d/bias": _BIAS})
tensors("negative", {"d/kernel": {**_KERNEL, "shape": [-3, -2]}, "d/bias": _BIAS})
tensors("object", {"d/kernel": {**_KERNEL, "dtype": "O"}, "d/bias": _BIAS})
tensors("twice", b'{"d/bias": ' + json.dumps(_BIAS).encode() + b', "d/bias": ' + json.dumps(_BIAS).encode() + b"}")
tensors("deep", b'{"a": ' + b"[" * 100_000 + b"}")
