"""Files that are made to do harm, by what they try. Each attack writes a file into a folder that also holds a canary.

`ATTACKS` maps a title to a function of the folder; it returns what is to be loaded (a path, or bytes). Whatever of the
harm would succeed touches `folder / "touched"`, reads `folder / "secret"`, or needs more memory than there is.
"""

from __future__ import annotations

import base64
import io
import json
import marshal
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

Attack = Callable[[Path], Any]
ATTACKS: dict[str, Attack] = {}
CONFIGS: dict[str, Any] = {}
JSON_TEXTS: dict[str, str | bytes] = {}
YAML_TEXTS: dict[str, str] = {}


def attack(make: Attack) -> Attack:
    """Register an attack under its name."""
    ATTACKS[make.__name__] = make
    return make


# --- configurations ---------------------------------------------------------------------------------------------------


def sequential(*layers: Any) -> dict[str, Any]:
    """The configuration of a Sequential model."""
    return {"class_name": "Sequential", "config": {"name": "s", "layers": list(layers)}}


def dense(**arguments: Any) -> dict[str, Any]:
    """The configuration of a Dense layer that takes three features."""
    return {"class_name": "Dense", "config": {"units": 2, "batch_input_shape": [None, 3], **arguments}}


def touching(folder: Path) -> str:
    """Python code that leaves a trace."""
    return f"open({str(folder / 'touched')!r}, 'w').write('harm')"


FOREIGN = {
    "os": "os.system", "os.path": "os:system", "eval": "eval", "builtin": "builtins.exec", "import": "__import__",
    "popen": "subprocess.Popen", "own_module": "kcore.utils.data_utils.get_file", "method": "Model.from_config",
    "dunder": "__class__", "base": "Wrapper", "spec": "InputSpec", "function": "Input", "merge": "add", "node": "Node",
    "activation": "relu", "loss": "mean_squared_error", "metric": "Mean", "optimizer": "SGD", "traversal": "../os",
    "nothing": "", "nul": "Dense\0",
}  # fmt: skip
for title, name in FOREIGN.items():
    CONFIGS[f"layer_{title}"] = sequential({"class_name": name, "config": {"command": "touch touched"}})
for title, name in {"list": ["Dense"], "dictionary": {"a": 1}, "number": 5, "none": None}.items():
    CONFIGS[f"name_{title}"] = sequential({"class_name": name, "config": {}})
for argument in (
    "activation", "kernel_initializer", "bias_initializer", "kernel_regularizer", "activity_regularizer",
    "kernel_constraint",
):  # fmt: skip
    for title, value in {
        "module": {"class_name": "os.system", "config": {"command": "true"}},
        "eval": "eval",
        "base": {"class_name": "object", "config": {}},
        "function": {"class_name": "relu", "config": {"x": 1.0}},
        "deep": {"class_name": {"class_name": "L1L2"}, "config": {}},
        "module_key": {"module": "os", "class_name": "system", "config": {"command": "true"}, "registered_name": None},
    }.items():
        CONFIGS[f"{argument}_{title}"] = sequential(dense(**{argument: value}))
CONFIGS |= {
    "module_key": sequential({"module": "subprocess", "class_name": "Popen", "config": {"args": "true"}}),
    "registered_name": sequential({"class_name": "os>system", "config": {"command": "true"}}),
    "cell": sequential({"class_name": "RNN", "config": {"cell": {"class_name": "os.system", "config": {}}}}),
    "wrapped": sequential({"class_name": "TimeDistributed", "config": {"layer": {"class_name": "eval", "config": {}}}}),
    "unknown_argument": sequential(dense(evil=1)),
    "hook": sequential(dense(__class__="os.system")),
    "hooks": sequential(dense(call="os.system", build="os.system")),
    "dtype": sequential(dense(dtype="object")),
    "dtype_object": sequential(dense(dtype={"class_name": "os.system", "config": {"name": "object"}})),
    "weights": sequential(dense(weights=["x", {"a": 1}])),
    "units_text": sequential(dense(units="2; import os")),
    "units_huge": sequential(dense(units=10**12)),
    "units_negative": sequential(dense(units=-5)),
    "shape_huge": sequential(dense(batch_input_shape=[None, 2**40])),
    "weights_huge": sequential(dense(units=2**30, batch_input_shape=[None, 2**30])),
    "weights_huge_orthogonal": sequential(
        dense(units=2**20, batch_input_shape=[None, 2**20], kernel_initializer="Orthogonal")
    ),
    "integer_huge": sequential(dense(seed=2**200)),
    "arguments_list": sequential({"class_name": "Dense", "config": [1, 2]}),
    "config_text": sequential({"class_name": "Dense", "config": "units"}),
    "name_object": sequential(dense(name={"a": 1})),
    "layers_text": {"class_name": "Model", "config": {"layers": "abc", "input_layers": [], "output_layers": []}},
    "layers_many": sequential(*[dense()] * 10_001),
    "nested": CONFIGS["layer_os"],
    "lambda_module": sequential({
        "class_name": "Lambda",
        "config": {"function": "system", "function_type": "function", "module": "os", "batch_input_shape": [None, 3]},
    }),
    "lambda_builtin": sequential(
        {"class_name": "Lambda", "config": {"function": "eval", "function_type": "function", "name": "lambda"}}
    ),
    "lambda_type": sequential({"class_name": "Lambda", "config": {"function": "f", "function_type": "marshal"}}),
    "lambda_array": sequential({
        "class_name": "Lambda",
        "config": {"function": "eval", "arguments": {"x": {"type": "ndarray", "value": [[1], [1, "2"]]}}},
    }),
    "loop": {
        "class_name": "Model",
        "config": {
            "name": "m", "layers": [
                {"class_name": "Dense", "name": n, "config": {"units": 1}, "inbound_nodes": [[[o, 0, 0, {}]]]}
                for n, o in (("a", "b"), ("b", "a"))
            ],
            "input_layers": [["a", 0, 0]], "output_layers": [["b", 0, 0]],
        },
    },
    "coordinates": {
        "class_name": "Model",
        "config": {
            "name": "m",
            "layers": [
                {"class_name": "InputLayer", "name": "a", "config": {"batch_input_shape": [1, 3]}, "inbound_nodes": []}
            ],
            "input_layers": [["a", -5, 7]], "output_layers": [["a", 0, 99]],
        },
    },
}  # fmt: skip


def byte_code(folder: Path) -> dict[str, Any]:
    """A Lambda layer as Keras 2 saved it, whose function leaves a trace when it is made, and when it is called."""
    code = compile(f"lambda x: {touching(folder)}", "<attack>", "eval").co_consts[0]
    dumped = base64.b64encode(marshal.dumps(code)).decode("ascii")
    return {
        "class_name": "Lambda",
        "config": {
            "name": "lambda", "batch_input_shape": [None, 3], "function": [dumped, None, None],
            "function_type": "lambda", "output_shape": [dumped, None, None], "output_shape_type": "lambda",
            "arguments": {},
        },
    }  # fmt: skip


def deep(levels: int) -> str:
    """Lists in each other."""
    return '{"class_name": "Sequential", "config": {"layers": ' + "[" * levels + "]" * levels + "}}"


JSON_TEXTS |= {
    "deep": deep(100_000),
    "rather_deep": deep(300),
    "twice": '{"class_name": "Sequential", "class_name": "Model", "config": []}',
    "integer": '{"class_name": "Sequential", "config": {"n": ' + "9" * 5000 + "}}",
    "many": '{"class_name": "Sequential", "config": [' + "0," * 2_000_001 + "0]}",
    "not_utf8": b'{"class_name": "\xff\xfe"}',
    "list": "[1, 2]",
    "hooks": '{"class_name": "Sequential", "config": {"__reduce__": ["os.system", ["true"]]}}',
}
YAML_TEXTS |= {
    "apply": "!!python/object/apply:os.system ['touch touched']",
    "new": "!!python/object/new:subprocess.Popen [['touch', 'touched']]",
    "object": "!!python/object:kcore.layers.Dense {}",
    "name": "class_name: !!python/name:os.system ''\nconfig: []",
    "module": "class_name: !!python/module:os ''\nconfig: []",
    "own_tag": "!evil {class_name: Sequential, config: []}",
    "binary": "class_name: Sequential\nconfig: {name: !!binary aGFybQ==}",
    "set": "class_name: Sequential\nconfig: !!set {a, b}",
    "laughs": "a: &a [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
        f"{b}: &{b} [{','.join([f'*{a}'] * 10)}]\n" for a, b in zip("abcdefghi", "bcdefghij", strict=True)
    ) + "class_name: Sequential\nconfig: [*j]",
    "circle": "class_name: Sequential\nconfig: &a [*a]",
    "circle_of_keys": "class_name: Sequential\nconfig: &a {layers: *a}",
    "circle_of_tuples": "class_name: Sequential\nconfig: &a !!python/tuple [*a]",
    "merge": "a: &a {x: 1, y: 2}\n" + "".join(
        f"{b}: &{b} {{<<: [{','.join([f'*{a}'] * 10)}]}}\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    ) + "class_name: Sequential\nconfig: *i",
    "twice": "class_name: Sequential\nclass_name: Model\nconfig: []",
    "key": "class_name: Sequential\nconfig: {[1, 2]: 3}",
    "deep": "class_name: Sequential\nconfig: " + "[" * 1200 + "]" * 1200,
    "integer": "class_name: Sequential\nconfig: {layers: [" + "9" * 5000 + "]}",
    "sexagesimal": "class_name: Sequential\nconfig: {n: 1" + ":59" * 2000 + "}",
}  # fmt: skip


# --- HDF5 -------------------------------------------------------------------------------------------------------------


def plain_model(file: Any, config: Any = None) -> Any:
    """A model of one Dense layer in Keras 2's layout; returns the layer's group."""
    file.attrs["model_config"] = json.dumps(config or sequential(dense(name="d"))).encode()
    group = file.create_group("model_weights")
    group.attrs["layer_names"] = np.array([b"d"])
    layer = group.create_group("d")
    layer.attrs["weight_names"] = np.array([b"kernel", b"bias"])
    layer["kernel"], layer["bias"] = np.ones((3, 2), "f4"), np.zeros(2, "f4")
    return layer


def hdf5(change: Callable[[Any, Path], None]) -> Attack:
    """Register an attack by what it does to the layer's group of a plain model."""

    def make(folder: Path) -> Path:
        (folder / "secret").write_bytes(np.ones(6, "f4").tobytes())
        with h5py.File(folder / "other.h5", "w") as other:
            other["kernel"] = np.ones((3, 2), "f4")
        path = folder / "m.h5"
        with h5py.File(path, "w") as file:
            change(plain_model(file), folder)
        return path

    ATTACKS[change.__name__] = make
    return make


def replace(layer: Any, **how: Any) -> None:
    """Another kernel."""
    del layer["kernel"]
    layer.create_dataset("kernel", **how)


@hdf5
def external_link(layer: Any, folder: Path) -> None:
    del layer["kernel"]
    layer["kernel"] = h5py.ExternalLink(str(folder / "other.h5"), "/kernel")


@hdf5
def external_link_of_the_layer(layer: Any, folder: Path) -> None:
    del layer.parent["d"]
    layer.file["model_weights"]["d"] = h5py.ExternalLink(str(folder / "other.h5"), "/")


@hdf5
def soft_link(layer: Any, folder: Path) -> None:
    layer["elsewhere"] = layer["kernel"]
    del layer["kernel"]
    layer["kernel"] = h5py.SoftLink("/model_weights/d/elsewhere")


@hdf5
def link_nobody_asks_for(layer: Any, folder: Path) -> None:
    layer["more"] = h5py.ExternalLink("/etc/passwd", "/")


@hdf5
def external_storage(layer: Any, folder: Path) -> None:
    replace(layer, shape=(3, 2), dtype="f4", external=[(str(folder / "secret"), 0, 24)])


@hdf5
def virtual_storage(layer: Any, folder: Path) -> None:
    layout = h5py.VirtualLayout((3, 2), "f4")
    layout[:] = h5py.VirtualSource(str(folder / "other.h5"), "kernel", shape=(3, 2))
    del layer["kernel"]
    layer.create_virtual_dataset("kernel", layout)


@hdf5
def references(layer: Any, folder: Path) -> None:
    replace(layer, data=np.array([layer.ref], dtype=h5py.ref_dtype))


@hdf5
def region_reference_attribute(layer: Any, folder: Path) -> None:
    layer.attrs["weight_names"] = np.array([layer["bias"].regionref[:]], dtype=h5py.regionref_dtype)


@hdf5
def reference_attribute(layer: Any, folder: Path) -> None:
    layer.attrs["weight_names"] = layer.file.ref


@hdf5
def opaque_attribute(layer: Any, folder: Path) -> None:
    layer.attrs["weight_names"] = np.void(pickle.dumps({"a": 1}))


@hdf5
def compound_attribute(layer: Any, folder: Path) -> None:
    layer.attrs["weight_names"] = np.zeros(2, [("a", "S4"), ("b", "i4")])


@hdf5
def sequence_attribute(layer: Any, folder: Path) -> None:
    layer.attrs.create("weight_names", [np.arange(3), np.arange(2)], dtype=h5py.vlen_dtype(np.int32))


@hdf5
def number_attribute(layer: Any, folder: Path) -> None:
    layer.attrs["weight_names"] = 5


@hdf5
def words_as_weights(layer: Any, folder: Path) -> None:
    replace(layer, data=np.array(["a", "b"], dtype=h5py.string_dtype()))


@hdf5
def compound_weights(layer: Any, folder: Path) -> None:
    replace(layer, data=np.zeros((3, 2), [("a", "f4")]))


@hdf5
def named_type(layer: Any, folder: Path) -> None:
    layer.file["type"] = np.dtype("f4")
    replace(layer, shape=(3, 2), dtype=layer.file["type"])


@hdf5
def sparse_giant(layer: Any, folder: Path) -> None:
    replace(layer, shape=(3, 2**44), dtype="f4", chunks=(1, 1024))


@hdf5
def bomb(layer: Any, folder: Path) -> None:
    replace(layer, shape=(2**14, 2**14), dtype="f4", chunks=(2**10, 2**10), compression="gzip")
    layer["kernel"][:1] = 0


@hdf5
def circle(layer: Any, folder: Path) -> None:
    layer["again"] = layer.parent


@hdf5
def path_of_dots(layer: Any, folder: Path) -> None:
    layer.attrs["weight_names"] = np.array([b"../../model_weights/d/kernel", b"bias"])


@hdf5
def absolute_path(layer: Any, folder: Path) -> None:
    layer.attrs["weight_names"] = np.array([b"/model_weights/d/kernel", b"bias"])


@hdf5
def group_as_weight(layer: Any, folder: Path) -> None:
    layer.attrs["weight_names"] = np.array([b"sub", b"bias"])
    layer.create_group("sub")


@hdf5
def one_array_many_times(layer: Any, folder: Path) -> None:
    layer["large"] = np.zeros(10**6, "f4")
    for i in range(500):
        layer[f"w{i}"] = layer["large"]
    layer.attrs["weight_names"] = np.array([f"w{i}".encode() for i in range(500)])


@hdf5
def one_name_many_times(layer: Any, folder: Path) -> None:
    layer.attrs["weight_names"] = np.array([b"kernel"] * 2000)


@hdf5
def larger_than_the_model(layer: Any, folder: Path) -> None:
    replace(layer, data=np.ones((300, 200), "f4"))


@attack
def plugin_filter(folder: Path) -> bytes:
    """A compressor that libhdf5 would look for among plug-ins (HDF5_PLUGIN_PATH)."""
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        layer = plain_model(file)
        replace(layer, shape=(3, 2), dtype="f4", chunks=(3, 2), compression="lzf")
        layer["kernel"].id.write_direct_chunk((0, 0), b"x" * 24)
    content = stream.getvalue()
    at = content.index(b"lzf\0") - 8
    assert struct.unpack_from("<H", content, at) == (32000,)
    return content[:at] + struct.pack("<H", 32015) + content[at + 2 :]


@attack
def file_driver(folder: Path) -> bytes:
    """A superblock that asks for another driver of files."""
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        plain_model(file)
    content = bytearray(stream.getvalue())
    content[48:56] = struct.pack("<Q", 800)
    return bytes(content)


@attack
def values_that_are_not_there(folder: Path) -> bytes:
    """A dataset that claims a terabyte at an address where the file has ended."""
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        replace(plain_model(file), data=np.arange(6, dtype="f4").reshape(3, 2) + 77)
    content = stream.getvalue()
    address = content.index(np.float32(77).tobytes())
    entry = content.index(struct.pack("<QQ", address, 24))
    return content[:entry] + struct.pack("<QQ", address, 2**40) + content[entry + 16 :]


def architecture(title: str, config: Any) -> None:
    """Register a configuration in a whole model's file."""

    def make(folder: Path) -> Path:
        with h5py.File(folder / "m.h5", "w") as file:
            plain_model(file, config)
        return folder / "m.h5"

    ATTACKS[f"hdf5_{title}"] = make


for title in ("layer_os", "activation_eval", "units_huge", "module_key", "lambda_module"):
    architecture(title, CONFIGS[title])
architecture("larger_than_the_file", sequential(dense(units=10**9, name="d")))
architecture("orthogonal", sequential(dense(units=10**5, batch_input_shape=[None, 10**5], name="d",
                                            kernel_initializer="orthogonal")))  # fmt: skip


@attack
def byte_code_in_a_model(folder: Path) -> Path:
    with h5py.File(folder / "m.h5", "w") as file:
        plain_model(file, sequential(byte_code(folder), dense(name="d")))
    return folder / "m.h5"


def training(title: str, **entries: Any) -> None:
    """Register a training configuration in a whole model's file."""

    def make(folder: Path) -> Path:
        config = {"optimizer_config": {"class_name": "SGD", "config": {}}, "loss": "mse", "metrics": [], **entries}
        with h5py.File(folder / "m.h5", "w") as file:
            plain_model(file)
            file.attrs["training_config"] = json.dumps(config).encode()
        return folder / "m.h5"

    ATTACKS[f"training_{title}"] = make


training("optimizer", optimizer_config={"class_name": "os.system", "config": {"command": "true"}})
training("optimizer_argument", optimizer_config={"class_name": "SGD", "config": {"evil": 1}})
training("optimizer_name", optimizer_config={"class_name": ["SGD"], "config": {}})
training("optimizer_list", optimizer_config=[1])
training("loss", loss="eval")
training("loss_class", loss={"class_name": "LossFunctionWrapper", "config": {"fn": "eval"}})
training("loss_function", loss={"class_name": "mean_squared_error", "config": {"y_true": [1], "y_pred": [2]}})
training("metric", metrics=["os.system"])
training("metric_class", metrics=[{"class_name": "MeanMetricWrapper", "config": {"fn": "eval", "name": "m"}}])
training("loss_missing", loss=None, optimizer_config={"config": {}})
training("sample_weight_mode", sample_weight_mode={"a": {"b": 1}})


# --- pickles ----------------------------------------------------------------------------------------------------------


class _Touches:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, (touching(self.folder),)


@attack
def pickled(folder: Path) -> Path:
    (folder / "m.pkl").write_bytes(pickle.dumps(_Touches(folder)))
    return folder / "m.pkl"


@attack
def pickled_as_model(folder: Path) -> Path:
    (folder / "m.h5").write_bytes(pickle.dumps(_Touches(folder), 0))
    return folder / "m.h5"


@attack
def pickled_array(folder: Path) -> Path:
    np.save(folder / "w.npy", np.array([_Touches(folder)], dtype=object), allow_pickle=True)
    return folder / "w.npy"


@attack
def pickled_arrays(folder: Path) -> Path:
    np.savez(folder / "w.npz", tree=np.array([_Touches(folder)], dtype=object))
    return folder / "w.npz"


@attack
def zip_of_pickle(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "m.keras", "w") as archive:
        archive.writestr("data.pkl", pickle.dumps(_Touches(folder)))
    return folder / "m.keras"
