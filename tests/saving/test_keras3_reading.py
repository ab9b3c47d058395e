"""What Keras 3's files say that kcore cannot do is an error that names it and says what to do; nothing in them runs."""

from __future__ import annotations

import io
import json
import math
import os
import warnings
import zipfile
from typing import Any

import numpy as np
import pytest

import kcore as keras
from kcore import layers as L
from kcore.errors import ArgumentError, FileFormatError, UnknownNameError, UnsafeFileError
from kcore.saving import doors
from kcore.saving.keras3 import writing
from kcore.saving.keras3.order import layers_in_order
from kcore.saving.keras3.store import places


def file_of(model: Any) -> bytes:
    buffer = io.BytesIO()
    model.save(buffer, save_format="keras3")
    return buffer.getvalue()


def config_of(content: bytes) -> dict[str, Any]:
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        return json.loads(file.read("config.json"))


def with_config(content: bytes, change: Any, **members: bytes) -> bytes:
    """The file after `change(config)`."""
    config = config_of(content)
    change(config)
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(buffer, "w") as new:
        for name in old.namelist():
            text = json.dumps(config).encode() if name == "config.json" else old.read(name)
            new.writestr(name, members.get(name.partition(".")[0], text))
    return buffer.getvalue()


def dense(**arguments: Any) -> Any:
    model = keras.models.Sequential([L.Dense(3, input_shape=(2,), **arguments)])
    model.compile("adam", "mse")
    return model


def layer_of(config: dict[str, Any]) -> dict[str, Any]:
    return config["config"]["layers"][1]


# --- what kcore lacks -------------------------------------------------------------------------------------------------


def renamed(name: str) -> Any:
    return lambda config: layer_of(config).update(class_name=name)


@pytest.mark.parametrize("name", ["EinsumDense", "RMSNormalization", "StringLookup"])
def test_a_layer_that_kcore_lacks_is_named(name):
    with pytest.raises(UnknownNameError, match=rf"the layer '{name}'.*custom_objects"):
        keras.models.load_model(with_config(file_of(dense()), renamed(name)))


def test_a_layer_that_kcore_lacks_may_be_passed():
    class EinsumDense(L.Dense):
        pass

    class Mine(L.Dense):
        pass

    model = keras.models.Sequential([EinsumDense(3, input_shape=(2,)), EinsumDense(2)])
    loaded = keras.models.load_model(file_of(model), custom_objects={"EinsumDense": Mine})
    assert [type(layer) for layer in loaded.layers] == [Mine, Mine]
    np.testing.assert_array_equal(loaded.predict(np.ones((1, 2))), model.predict(np.ones((1, 2))))


def test_an_operation_that_is_no_layer_is_named():
    x = L.Input((2,))
    content = file_of(keras.models.Model(x, L.Dense(1)(L.Activation("relu", name="middle")(x))))

    def change(config):
        config["config"]["layers"][1].update(module="keras.src.ops.numpy", class_name="Sin")

    with pytest.raises(UnknownNameError, match="the operation 'Sin'.*Lambda layer"):
        keras.models.load_model(with_config(content, change))


@pytest.mark.parametrize(("key", "value"), [("groups", 2), ("lora_rank", 4)])
def test_an_argument_that_kcore_lacks_is_named(key, value):
    content = file_of(keras.models.Sequential([L.Conv1D(2, 2, input_shape=(4, 2))]))
    with pytest.raises(UnknownNameError, match=rf"{key}={value}"):
        keras.models.load_model(with_config(content, lambda config: layer_of(config)["config"].update({key: value})))


def optimizer(**arguments: Any) -> Any:
    return lambda config: config["compile_config"]["optimizer"]["config"].update(arguments)


SCHEDULE = {"module": "keras.optimizers.schedules", "class_name": "CosineDecay", "config": {"decay_steps": 10}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (optimizer(weight_decay=0.1), "no weight_decay"),
        (optimizer(use_ema=True), "no use_ema"),
        (optimizer(learning_rate=SCHEDULE), "schedule 'CosineDecay'"),
        (lambda c: c["compile_config"]["optimizer"].update(class_name="Lion"), "optimizer 'Lion'"),
        (lambda c: c["compile_config"].update(loss="dice"), "the loss 'dice'"),
        (lambda c: c["compile_config"].update(metrics=["f1"]), "the metric 'f1'"),
    ],
)
def test_what_compile_was_told_and_kcore_lacks_is_named(change, message):
    content = with_config(file_of(dense()), change)
    with pytest.raises(UnknownNameError, match=message):
        keras.models.load_model(content)
    assert keras.models.load_model(content, compile=False).count_params() == 9


def test_the_one_schedule_that_keras_2_has_becomes_its_decay():
    rate = {"initial_learning_rate": 0.5, "decay_steps": 10.0, "decay_rate": 2.0, "staircase": False}
    model = dense()
    model.compile("sgd", "mse")
    content = with_config(file_of(model), optimizer(learning_rate={"class_name": "InverseTimeDecay", "config": rate}),
                          metadata=b"{}")  # fmt: skip
    own = keras.models.load_model(content).optimizer.get_config()
    assert (own["learning_rate"], own["decay"]) == (0.5, pytest.approx(0.2))


@pytest.mark.parametrize(("policy", "dtype"), [("float64", "float64"), ("float16", "float16")])
def test_dtype_policies_map(policy, dtype):
    content = with_config(file_of(dense(dtype=policy)), lambda config: None)
    assert keras.models.load_model(content).layers[0].dtype == dtype


def test_mixed_precision_is_told_and_computed_in_float32():
    def change(config):
        layer_of(config)["config"]["dtype"]["config"]["name"] = "mixed_float16"

    with pytest.warns(UserWarning, match="computes in float32"):
        assert keras.models.load_model(with_config(file_of(dense()), change)).layers[0].dtype == "float32"


def test_an_unknown_dtype_policy_is_named():
    def change(config):
        layer_of(config)["config"]["dtype"]["config"]["name"] = "int8_from_float32"

    with pytest.raises(UnknownNameError, match="int8_from_float32"):
        keras.models.load_model(with_config(file_of(dense()), change))


# --- code -------------------------------------------------------------------------------------------------------------

BYTE_CODE = {"class_name": "__lambda__", "config": {"code": "4wEAAAA=", "defaults": None, "closure": None}}


def with_lambda(function: Any) -> bytes:
    def double(x):
        return 2 * x

    content = file_of(keras.models.Sequential([L.Lambda(double, input_shape=(2,), name="twice")]))
    return with_config(content, lambda config: layer_of(config)["config"].update(function=function))


@pytest.mark.parametrize("safe_mode", [True, False])
def test_byte_code_never_runs(safe_mode):
    content = with_lambda(BYTE_CODE)
    with pytest.raises(UnsafeFileError, match="'twice'.*custom_objects"):
        keras.models.load_model(content, safe_mode=safe_mode)
    loaded = keras.models.load_model(content, custom_objects={"twice": lambda x: 3 * x})
    np.testing.assert_array_equal(loaded.predict(np.ones((1, 2))), [[3, 3]])


def test_byte_code_elsewhere_is_refused():
    content = with_config(file_of(dense()), lambda c: layer_of(c)["config"].update(kernel_initializer=BYTE_CODE))
    with pytest.raises(UnsafeFileError, match="byte code"):
        keras.models.load_model(content)


def test_functions_of_modules_are_imported_only_for_those_who_trust_the_file():
    named = {"module": "math", "class_name": "function", "config": "prod", "registered_name": "prod"}
    content = with_lambda(named)
    with pytest.raises(UnknownNameError, match="prod"):
        keras.models.load_model(content)
    loaded = keras.models.load_model(content, safe_mode=False, custom_objects={})
    assert loaded.layers[0].function is math.prod


def test_classes_of_modules_are_not_imported():
    hostile = {"module": "os", "class_name": "system", "config": {"command": "true"}, "registered_name": None}
    content = with_config(file_of(dense()), lambda c: c["config"]["layers"].__setitem__(1, hostile))
    with pytest.raises(UnknownNameError, match="system"):
        keras.models.load_model(content)
    assert os.system is not None


def test_inspecting_tells_of_code_and_unknown_things():
    from kcore.saving import overview

    description = doors.describe(with_lambda(BYTE_CODE))
    kinds = {finding.kind for finding in overview.findings(description.config, description.training)}
    assert "code" in kinds


def test_a_description_makes_nothing():
    description = doors.describe(file_of(dense()))
    assert description.format == "Keras 3's .keras"
    assert description.versions["keras"].startswith("3.")
    assert [a.shape for a in description.weights] == [(2, 3), (3,)]
    assert description.weights[0].owner.startswith("dense")
    assert [a.name for a in description.optimizer][:2] == ["optimizer/vars/0", "optimizer/vars/1"]
    assert description.training["loss"] == "mse"
    assert description.config["class_name"] == "Sequential"


# --- writing ----------------------------------------------------------------------------------------------------------


def test_what_keras_3_cannot_read_is_told_before_a_file_is_touched(tmp_path):
    x, c = L.Input((3, 2)), L.Input((2,))

    class Cell(L.SimpleRNNCell):
        def call(self, inputs, states, constants, training=None):
            return super().call(inputs, states, training)

        def build(self, shapes):
            super().build(shapes[0])

    model = keras.models.Model([x, c], L.RNN(Cell(2))(x, constants=c))
    (tmp_path / "m.keras").write_bytes(b"old")
    with pytest.raises(ArgumentError, match="constants"):
        model.save(tmp_path / "m.keras")
    assert (tmp_path / "m.keras").read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["m.keras"]


def test_two_ways_of_clipping_are_told():
    model = dense()
    model.compile(keras.optimizers.SGD(clipnorm=1.0, clipvalue=0.5), "mse")
    with pytest.raises(ArgumentError, match="clip by norm or by value"):
        file_of(model)


def test_layers_that_only_kcore_has_come_back():
    model = keras.models.Sequential([L.LocallyConnected1D(2, 2, input_shape=(4, 2)), L.ThresholdedReLU(0.5)])
    content = file_of(model)
    entries = config_of(content)["config"]["layers"][1:]
    assert [e["registered_name"] for e in entries] == ["kcore>LocallyConnected1D", "kcore>ThresholdedReLU"]
    x = np.random.RandomState(0).rand(2, 4, 2)
    np.testing.assert_array_equal(keras.models.load_model(content).predict(x), model.predict(x))


def test_registered_names_are_written_and_read():
    from kcore.saving import register_keras_serializable
    from kcore.utils.custom_objects import forget_registered

    @register_keras_serializable("shop")
    class Shelf(L.Dense):
        pass

    try:
        content = file_of(keras.models.Sequential([Shelf(2, input_shape=(3,))]))
        assert layer_of(config_of(content))["registered_name"] == "shop>Shelf"
        assert type(keras.models.load_model(content).layers[0]) is Shelf
    finally:
        forget_registered("shop>Shelf")
    with pytest.raises(UnknownNameError, match="shop>Shelf"):
        keras.models.load_model(content)
    assert type(keras.models.load_model(content, custom_objects={"Shelf": Shelf}).layers[0]) is Shelf


def test_optimizers_keep_what_keras_3_cannot_say():
    model = dense()
    model.compile(keras.optimizers.RMSprop(epsilon=1e-4, decay=0.1), "mse")
    model.train_on_batch(np.ones((2, 2)), np.ones((2, 3)))
    content = file_of(model)
    theirs = config_of(content)["compile_config"]["optimizer"]["config"]
    assert theirs["epsilon"] == pytest.approx(1e-8)
    assert theirs["learning_rate"]["class_name"] == "InverseTimeDecay"
    again = keras.models.load_model(content)
    assert again.optimizer.get_config() == model.optimizer.get_config()
    for _ in range(3):
        assert again.train_on_batch(np.ones((2, 2)), np.ones((2, 3))) == model.train_on_batch(
            np.ones((2, 2)), np.ones((2, 3))
        )


def test_a_model_without_an_optimizer_is_saved_so():
    content = file_of(dense())
    buffer = io.BytesIO()
    dense().save(buffer, include_optimizer=False, save_format="keras3")
    assert "compile_config" in config_of(content)
    assert "compile_config" not in config_of(buffer.getvalue())
    with pytest.warns(UserWarning, match="No training configuration"):
        assert keras.models.load_model(buffer.getvalue()).optimizer is None


def test_a_model_that_was_never_built_has_no_weights():
    content = file_of(keras.models.Sequential([L.Dense(2)]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loaded = keras.models.load_model(content)
    assert not loaded.built
    assert loaded.predict(np.ones((1, 3))).shape == (1, 2)


# --- order ------------------------------------------------------------------------------------------------------------


def test_masks_change_the_order_of_layers():
    """As in the real Keras 3 (`masks_change_the_order` among its models checks it)."""
    a, b = L.Input((3,)), L.Input((5, 3))
    y = L.Dense(4, name="third")(L.Dense(4, name="second")(L.Dense(4, name="first")(a)))
    z = L.LSTM(4)(L.Masking(0.5)(L.Dense(3, name="masked")(b)))
    model = keras.models.Model([a, b], L.Dense(2, name="last")(L.add([y, z])))
    names = [layer.name for layer in layers_in_order(model) if isinstance(layer, L.Dense)]
    assert names == ["masked", "first", "second", "third", "last"]
    assert next(layer.name for layer in model.layers if isinstance(layer, L.Dense)) == "first"


def test_paths_are_those_of_keras_3():
    x = L.Input((4, 3))
    y = L.Bidirectional(L.GRU(2))(L.RNN([L.LSTMCell(2), L.LSTMCell(3)], return_sequences=True)(x))
    model = keras.models.Model(x, L.Dense(1)(L.Dense(2)(y)))
    assert [place.path for place in places(model) if place.variables] == [
        "layers/rnn/cell/cells/lstm_cell", "layers/rnn/cell/cells/lstm_cell_1",
        "layers/bidirectional/backward_layer/cell", "layers/bidirectional/forward_layer/cell",
        "layers/dense", "layers/dense_1",
    ]  # fmt: skip


def test_subclassed_models_are_walked_by_their_attributes():
    class Net(keras.models.Model):
        def __init__(self):
            super().__init__()
            self.last = L.Dense(1)
            self.blocks = [L.Dense(2), L.Dense(3)]

        def call(self, x):
            for block in self.blocks:
                x = block(x)
            return self.last(x)

    model = Net()
    model.build((None, 4))
    assert [place.path for place in places(model) if place.variables] == [
        "blocks/dense", "blocks/dense_1", "last"
    ]  # fmt: skip


def test_the_configuration_is_plain_data():
    json.dumps(writing.model_config(dense(kernel_initializer=keras.initializers.Constant(np.float32(2)))))


def test_a_broken_reference_is_told():
    x = L.Input((2,))
    content = file_of(keras.models.Model(x, L.Dense(1)(x)))

    def change(config):
        config["config"]["layers"][1]["inbound_nodes"][0]["args"][0]["config"]["keras_history"][0] = "nowhere"

    with pytest.raises(FileFormatError, match="nowhere"):
        keras.models.load_model(with_config(content, change))


def sharing() -> Any:
    """Two models inside of a third, with one layer in both."""
    shared = L.Dense(2, name="shared")
    one = keras.models.Sequential([L.InputLayer((2,)), shared], name="one")
    two = keras.models.Sequential([L.InputLayer((2,)), shared], name="two")
    x = L.Input((2,))
    return keras.models.Model(x, L.add([one(x), two(x)]))


def test_a_layer_that_models_share_is_saved_with_each():
    model = sharing()
    x = np.ones((1, 2))
    np.testing.assert_array_equal(keras.models.load_model(file_of(model)).predict(x), model.predict(x))


def test_a_layer_that_models_of_keras_3_share_is_told():
    def change(config):
        for entry in config["config"]["layers"]:
            for inner in entry["config"].get("layers", ())[1:]:
                inner["shared_object_id"] = 7

    with pytest.raises(UnknownNameError, match="share the layer 'shared'"):
        keras.models.load_model(with_config(file_of(sharing()), change))


def test_inspecting_says_nothing_of_operations_that_are_understood():
    from kcore.saving import overview

    def operation(kind: str) -> list[str]:
        """Kinds of findings in a model with an operation between its layers."""
        config = config_of(content)
        entry = next(e for e in config["config"]["layers"] if e["class_name"] == "Add")
        entry.update(module="keras.src.ops.numpy", class_name=kind, registered_name=kind)
        entry["inbound_nodes"] = [{"args": call["args"][0], "kwargs": {}} for call in entry["inbound_nodes"]]
        return [finding.kind for finding in overview.findings(config)]

    x = L.Input((2,))
    content = file_of(keras.models.Model(x, L.Dense(1)(L.add([x, L.Dense(2)(x)]))))
    assert operation("Add") == []
    assert operation("Sin") == ["name"]
