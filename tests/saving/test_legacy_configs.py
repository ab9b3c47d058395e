"""Configurations of later versions become those of Keras 2.3.1; those of Keras 2.3.1 stay as they are."""

from __future__ import annotations

import json

import kinds
import numpy as np
import pytest

import kcore
from kcore.errors import ArgumentError, FileFormatError
from kcore.legacy import training_configs
from kcore.legacy.configs import modernize


@pytest.mark.parametrize("name", sorted(kinds.KINDS))
def test_what_kcore_writes_stays_as_it_is(name):
    config = json.loads(kinds.KINDS[name].build(kcore).to_json())
    assert modernize(config) == config


def later(name, **settings):
    return {"class_name": name, "config": {"name": "x", **settings}}


POLICY = {"class_name": "Policy", "config": {"name": "float32"}}
TRANSLATIONS = [
    (later("InputLayer", batch_input_shape=[None, 3], ragged=False), later("InputLayer", batch_input_shape=[None, 3])),
    (later("InputLayer", batch_shape=[None, 3], optional=False), later("InputLayer", batch_input_shape=[None, 3])),
    (later("LSTM", units=3, time_major=False, dtype=POLICY), later("LSTM", units=3, dtype="float32")),
    (later("Conv2D", filters=3, groups=1), later("Conv2D", filters=3)),
    (later("BatchNormalization", axis=[3], fused=True), later("BatchNormalization", axis=3)),
    (later("SeparableConv2D", filters=3, kernel_initializer="ones"), later("SeparableConv2D", filters=3)),
    ({"module": "keras.initializers", "class_name": "HeNormal", "config": {"seed": 3}, "registered_name": None},
     {"class_name": "VarianceScaling",
      "config": {"scale": 2.0, "mode": "fan_in", "distribution": "normal", "seed": 3}}),
    ({"class_name": "Zeros", "config": {"dtype": "float32"}}, {"class_name": "Zeros", "config": {}}),
    ({"class_name": "L1", "config": {"l1": 0.5}}, {"class_name": "L1L2", "config": {"l1": 0.5, "l2": 0.0}}),
    ({"module": "builtins", "class_name": "function", "config": "swish", "registered_name": "function"}, "swish"),
    ({"class_name": "__tuple__", "items": [1, 2]}, [1, 2]),
]  # fmt: skip


@pytest.mark.parametrize(("entry", "expected"), TRANSLATIONS, ids=lambda entry: str(entry)[:40])
def test_later_words_become_todays(entry, expected):
    assert modernize(entry) == expected
    assert modernize(expected) == expected


def test_graphs_of_later_versions():
    found = modernize(later("Functional", trainable=True, layers=[
        {"class_name": "InputLayer", "config": {"name": "a", "batch_input_shape": [None, 3]}, "inbound_nodes": []},
        {"class_name": "Dense", "config": {"name": "b"}, "inbound_nodes": [["a", 0, 0, {}]]},
    ], input_layers={"in": ["a", 0, 0]}, output_layers=["b", 0, 0]))  # fmt: skip
    assert found["class_name"] == "Model"
    assert "trainable" not in found["config"]
    assert found["config"]["layers"][1]["inbound_nodes"] == [[["a", 0, 0, {}]]]
    assert found["config"]["input_layers"] == [["a", 0, 0]]
    assert found["config"]["output_layers"] == [["b", 0, 0]]


def test_the_callers_own_classes_are_left_alone():
    own = later("Conv2D", groups=7)
    assert modernize(own, own={"Conv2D"}) == own
    assert modernize(later("Custom>Scale"), own={"Scale"})["class_name"] == "Scale"
    assert modernize(later("mine>Scale"), own={"mine>Scale"})["class_name"] == "mine>Scale"


def test_what_no_layer_can_do_is_told():
    with pytest.raises(ArgumentError, match="groups=2"):
        modernize(later("Conv2D", groups=2))
    with pytest.raises(FileFormatError, match=r"math\.add"):
        modernize(later("TFOpLambda", function="math.add"))


def test_graphs_of_keras_3_say_where_they_are_read():
    layers = [{"class_name": "Dense", "config": {"name": "d"}, "inbound_nodes": [{"args": [], "kwargs": {}}]}]
    with pytest.raises(FileFormatError, match=r"\.keras"):
        modernize(later("Functional", layers=layers))


def test_mixed_precision_computes_in_float32_with_a_warning():
    with pytest.warns(UserWarning, match="float16"):
        assert modernize(later("Dense", dtype="mixed_float16"))["config"]["dtype"] == "float32"


def test_a_frozen_model_stays_frozen(tmp_path):
    model = kinds.KINDS["frozen_model"].build(kcore)
    model.save(tmp_path / "m.h5")
    again = kcore.models.load_model(tmp_path / "m.h5")
    assert [layer.trainable for layer in again.layers] == [False, False, True]
    assert all(inner.trainable for inner in again.layers[0].layers if inner.weights)
    assert len(again.trainable_weights) == 2
    assert again.to_json() == model.to_json()


# --- how models were compiled -----------------------------------------------------------------------------------------

LATER = {"name": "Adam", "weight_decay": None, "clipnorm": None, "global_clipnorm": None, "clipvalue": None,
         "use_ema": False, "ema_momentum": 0.99, "ema_overwrite_frequency": None, "jit_compile": True,
         "is_legacy_optimizer": False}  # fmt: skip


def optimizer(name, **settings):
    return training_configs.optimizer({"class_name": name, "config": {**LATER, **settings}})


def test_optimizers_of_later_versions():
    assert optimizer("Custom>Adam", learning_rate=0.1) == {"class_name": "Adam", "config": {"learning_rate": 0.1}}
    assert optimizer("SGD", global_clipnorm=0.5) == {"class_name": "SGD", "config": {"clipnorm": 0.5}}
    assert optimizer("RMSprop", momentum=0.0, centered=False)["config"] == {"epsilon_inside": True}
    assert optimizer("RMSprop", momentum=0.0, is_legacy_optimizer=True)["config"] == {}
    assert optimizer("RMSprop", momentum=0.5, centered=True)["config"] == {
        "momentum": 0.5, "centered": True, "epsilon_inside": True}  # fmt: skip
    assert optimizer("Nadam")["config"] == {"schedule_decay": 1.0}
    assert optimizer("Nadam", decay=0.004)["config"] == {"schedule_decay": 0.004}
    assert optimizer("SGD", clipnorm=0.5)["config"] == {"clipnorm": 0.5, "clip_each": True}
    found = optimizer("Adagrad", initial_accumulator_value=0.1)["config"]
    assert found == {"initial_accumulator_value": 0.1, "epsilon_inside": True}
    for wrong in ({"weight_decay": 0.1}, {"use_ema": True}):
        with pytest.raises(ArgumentError, match="compile=False"):
            optimizer("Adam", **wrong)


def test_learning_rates_that_follow_a_schedule():
    settings = {"initial_learning_rate": 0.2, "decay_steps": 10, "decay_rate": 0.5, "staircase": False}
    inverse = {"class_name": "InverseTimeDecay", "config": settings}
    assert optimizer("SGD", learning_rate=inverse)["config"] == {"learning_rate": 0.2, "decay": 0.05}
    with pytest.warns(UserWarning, match="LearningRateScheduler"):
        found = optimizer("SGD", learning_rate={"class_name": "CosineDecay", "config": {"initial_learning_rate": 0.3}})
    assert found["config"] == {"learning_rate": 0.3}


def test_optimizers_of_keras_2_stay_as_they_are():
    for name, entry in kinds.kinds_training.OPTIMIZERS.items():
        made = getattr(kcore.optimizers, entry[0])(**entry[1])
        config = {"class_name": entry[0], "config": made.get_config()}
        assert training_configs.optimizer(config) == config, name


@pytest.mark.parametrize(("name", "settings"), [
    ("SGD", {"clipnorm": 0.5, "clip_each": True}),
    ("Adam", {"clipnorm": 0.5, "clip_each": True, "decay": 0.1}),
    ("RMSprop", {"epsilon_inside": True}),
    ("RMSprop", {"momentum": 0.5, "centered": True, "epsilon_inside": True}),
    ("Adagrad", {"initial_accumulator_value": 0.2, "epsilon_inside": True, "clipnorm": 0.5}),
])  # fmt: skip
def test_optimizers_of_later_versions_come_back(tmp_path, name, settings):
    model = kinds.KINDS["optimizer_adam"].build(kcore)
    model.compile(getattr(kcore.optimizers, name)(**settings), "mse")
    kinds.losses(model, kinds.data("optimizer_adam"))
    model.save(tmp_path / "m.h5")
    again = kcore.models.load_model(tmp_path / "m.h5")
    assert again.optimizer.get_config() == model.optimizer.get_config()
    batch = kinds.data("optimizer_adam")
    assert kinds.losses(again, batch) == kinds.losses(model, batch)


def test_losses_and_metrics_of_later_versions():
    found = training_configs.losses_and_metrics([[
        {"class_name": "MeanMetricWrapper", "config": {"name": "accuracy", "fn": "categorical_accuracy"}}, "mae"]])
    assert found[0][0]["config"] == {"name": "accuracy", "fn": "categorical_accuracy"}
    loss = {"class_name": "CategoricalCrossentropy",
            "config": {"reduction": "auto", "name": "c", "from_logits": True, "axis": -1, "fn": "x"}}  # fmt: skip
    assert training_configs.losses_and_metrics({"out": loss})["out"]["config"] == {
        "reduction": "sum_over_batch_size", "name": "c", "from_logits": True}  # fmt: skip


# --- states of optimizers ---------------------------------------------------------------------------------------------


def arrangement(entries, version):
    """How a version stored the state of an optimizer: names and arrays in another order."""
    from kcore.saving.keras2.optimizer import _SLOTS

    class_name, (steps, *slots) = entries
    kinds_of_slots = _SLOTS[class_name]
    product = [slots.pop(0)] if class_name == "Nadam" else []
    each = len(slots) // len(kinds_of_slots)
    columns = [slots[i * each : (i + 1) * each] for i in range(len(kinds_of_slots))]
    if all(a.shape == (1,) for a in columns[-1]):  # what AMSGrad alone needs
        columns = columns[:-1]
    if version == "later":
        stored = [("iteration:0", steps)]
        stored += [(f"{class_name}/{kinds_of_slots[k][0]}/w{i}:0", column[i])
                   for i in range(each) for k, column in enumerate(columns)]  # fmt: skip
        return stored
    head = [] if version == "2.2" and class_name in ("RMSprop", "Adagrad", "Adadelta") else [
        (f"{class_name}/iterations:0", steps)]  # fmt: skip
    head += [(f"{class_name}/m_schedule:0", product[0])] if product else []
    return head + [(f"training/{class_name}/Variable_{i}:0", a) for i, a in enumerate(sum(columns, []))]  # noqa: RUF017


@pytest.mark.parametrize("version", ["later", "2.2"])
@pytest.mark.parametrize("name", [n for n in kinds.KINDS if n.startswith("optimizer_") and "decay" not in n])
def test_states_in_another_order_are_the_same_states(name, version):
    from kcore.saving.keras2.optimizer import ordered

    model = kinds.prepared(kcore, name)
    values = model.optimizer.get_weights()
    stored = arrangement((type(model.optimizer).__name__, values), version)
    found = ordered(model.optimizer, [n for n, _ in stored], [v for _, v in stored])
    lost_steps = version == "2.2" and stored[0][1].ndim > 0
    for one, two in zip(found[lost_steps:], values[lost_steps:], strict=True):
        if two.shape == (1,):
            continue
        schedule = getattr(model.optimizer, "schedule_decay", None)
        np.testing.assert_allclose(one, two, rtol=1e-6 if schedule else 0)
    if lost_steps:
        assert found[0] == 0


def test_states_of_another_model_are_refused():
    from kcore.saving.keras2.optimizer import ordered

    model = kinds.prepared(kcore, "optimizer_adam")
    values = model.optimizer.get_weights()
    with pytest.raises(FileFormatError, match="does not fit"):
        ordered(model.optimizer, [f"w{i}" for i in range(3)], [values[0], values[2], values[1]])
