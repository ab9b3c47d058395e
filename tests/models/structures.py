"""How models and layers describe themselves: calls of layers, weights and their order, losses, updates, copies."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))
from as_keras import Descriptions, outcome, show
from kinds_of_models import MODELS, sequential

STRUCTURES = Descriptions()
ATTRIBUTES = ["input", "output", "input_mask", "output_mask", "input_shape", "output_shape"]


def calls(layer):
    """All that a layer says of its calls."""
    lines = []
    for name in ATTRIBUTES:
        lines.append(f"{layer.name}.{name} {outcome(getattr, layer, name)}")
        get = getattr(layer, f"get_{name}_at")
        lines.append(f"{layer.name}.get_{name}_at {'; '.join(outcome(get, i) for i in (0, 1, -1, 2))}")
    return lines


def weights(of):
    """Names without their scopes, which TensorFlow numbers."""
    return " ".join(w.name.split("/")[-1] for w in of)


def structure(model):
    """A model, its layers, weights, and what is attached to it."""
    lines = [f"{model.name}: {show(model.inputs)} -> {show(model.outputs)}"]
    for layer in model.layers:
        kind, times = type(layer).__name__, len(layer._inbound_nodes)
        lines.append(f"  {kind} {layer.name} trainable={layer.trainable} calls={times}")
    lines += [f"  {name} {weights(getattr(model, name))}" for name in ("trainable_weights", "non_trainable_weights")]
    lines.append(f"  weights {weights(model.weights)}")
    lines.append(f"  get_weights {[w.shape for w in model.get_weights()]}")
    lines.append(f"  losses {len(model.losses)} updates {len({id(x) for x in model.updates})}")
    lines.append(f"  state_updates {len({id(x) for x in model.state_updates})} stateful {model.stateful}")
    return lines


def values(model):
    """The same arrays for the same inputs' shapes, rounded."""
    shapes = [x._keras_shape for x in model.inputs]
    data = [np.full([(7 if i else 2) if n is None else n for i, n in enumerate(s)], 1.0) for s in shapes]
    model.set_weights([np.full(w.shape, 0.1) for w in model.get_weights()])
    found = model.predict(data)
    return [f"  {x.shape} {x.mean():.3g}" for x in (found if isinstance(found, list) else [found])]


# --- structures and copies of all kinds ---------------------------------------------------------------------------


def _structure_and_copy(build):
    def lines(k):
        model = build(k)
        copy = k.models.clone_model(model)
        shared_layers = {id(x) for x in model.layers} & {id(x) for x in copy.layers}
        lines = structure(model)
        same = "the same" if structure(copy) == lines else "another"
        return [*lines, f"copy: {same}, shares {len(shared_layers)} layers", *values(copy)]

    return lines


for _name, _build in MODELS.items():
    if _name not in ("input_layer_first", "built_later"):  # Keras knows no inputs of their copies
        STRUCTURES[_name] = _structure_and_copy(_build)


@STRUCTURES
def copy_on_tensors(k):
    L = k.layers
    model = sequential(k, L.Dense(2, input_shape=(3,)))
    new = L.Input((3,), name="other")
    clone = k.models.clone_model
    copies = [clone(model, x) for x in ([new], new, k.backend.variable(np.ones((4, 3))))]
    lines = [f"{c.layers[0].name} {c.inputs[0] is new} {c.output_shape}" for c in copies]
    return [*lines, *(outcome(clone, model, x) for x in ([new, new], L.Dense(3)(new))), outcome(clone, L.Dense(3))]


# --- calls of layers ----------------------------------------------------------------------------------------------


@STRUCTURES
def never_called(k):
    return calls(k.layers.Dense(2, name="d")) + calls(sequential(k, k.layers.Dense(2), name="s"))


@STRUCTURES
def called_once(k):
    dense = k.layers.Dense(2, name="d")
    dense(k.layers.Input((3,), name="a"))
    return calls(dense)


@STRUCTURES
def called_twice(k):
    L = k.layers
    dense, relu = L.Dense(2, name="d"), L.Activation("relu", name="relu")
    for x in (L.Input((3,), name="a"), L.Input((3,), name="b")):
        dense(x)
    for x in (L.Input((3,), name="c"), L.Input((4, 5), name="d")):
        relu(x)
    return calls(dense) + calls(relu)


@STRUCTURES
def called_with_masks(k):
    L = k.layers
    x = L.Embedding(10, 4, mask_zero=True, name="e")(L.Input((5,), name="a"))
    layers = [L.LSTM(3, return_sequences=True, name="sequences"), L.LSTM(3, return_state=True, name="states")]
    for layer in layers:
        layer(x)
    layers[0](L.Input((5, 4), name="b"))
    return calls(layers[0]) + calls(layers[1])


@STRUCTURES
def called_with_lists(k):
    L = k.layers
    a, b, add = L.Input((3,), name="a"), L.Input((3,), name="b"), L.Add(name="add")
    add([a, b])
    add([b, a])
    return calls(add)


@STRUCTURES
def models_called(k):
    L = k.layers
    chain = sequential(k, L.Dense(2, input_shape=(3,), name="d"), name="chain")
    before = calls(chain)
    chain(L.Input((3,), name="b"))
    a = L.Input((3,), name="x")
    branches = k.models.Model([a], [L.Dense(1, name="p")(a), L.Dense(2, name="q")(a)], name="branches")
    return before + calls(chain) + calls(chain.layers[0]) + calls(branches)


@STRUCTURES
def get_layer(k):
    model = sequential(k, k.layers.Dense(2, input_shape=(3,), name="d"), k.layers.Dense(2, name="e"))
    asked = [("d",), ("x",), (), (None, 1), (None, 2), (None, -1), (None, -3), ("e", 0), (None, "d")]
    lines = [f"{which} {outcome(lambda *which: model.get_layer(*which).name, *which)}" for which in asked]
    return [*lines, outcome(k.models.Sequential().get_layer, None, 0)]


# --- orders and counts --------------------------------------------------------------------------------------------


@STRUCTURES
def frozen_step_by_step(k):
    L = k.layers
    last = L.Dense(3, name="b3", trainable=False)
    base = sequential(k, L.Dense(2, input_shape=(3,), name="b1"), L.BatchNormalization(name="b2"), last, name="base")
    a, b = L.Input((3,), name="a"), L.Input((3,), name="b")
    x, y = base(a), base(b)
    z = L.BatchNormalization(name="z")(L.concatenate([x, y], name="c"))
    model = k.models.Model([a, b], [L.Dense(1, name="o", trainable=False)(z), L.Dense(1, name="o2")(x)], name="m")
    lines = structure(model)
    for part, trainable in ((model.get_layer("z"), False), (base, False), (model, False), (model, True), (base, True)):
        part.trainable = trainable
        lines += [f"{part.name} {trainable}", *structure(model)[-6:]]
    return lines + structure(base)


@STRUCTURES
def updates_of_shared_layers(k):
    L = k.layers
    norm = L.BatchNormalization(name="norm")
    a, b = L.Input((3,), name="a"), L.Input((3,), name="b")
    x, y = norm(a), norm(b)
    one, both = k.models.Model(a, x, name="one"), k.models.Model([a, b], [x, y], name="both")
    lines = structure(one) + structure(both) + [f"{len(norm.updates)} {len(norm.get_updates_for(a))}"]
    norm.trainable = False
    return lines + structure(one) + structure(both)


@STRUCTURES
def states_of_layers(k):
    L = k.layers
    lstm = L.LSTM(2, stateful=True, batch_input_shape=(1, 2, 3), return_sequences=True)
    return structure(sequential(k, lstm, L.GRU(2, stateful=True), L.Dense(1)))


@STRUCTURES
def penalties(k):
    L = k.layers
    dense = L.Dense(2, input_shape=(3,), kernel_regularizer="l2", activity_regularizer="l2", name="d")
    inner = sequential(k, dense, L.ActivityRegularization(0.1, name="r"), name="inner")
    a, b = L.Input((3,), name="a"), L.Input((3,), name="b")
    both = k.models.Model([a, b], [inner(a), inner(b)], name="both")
    in_time = L.TimeDistributed(L.Dense(2, kernel_regularizer="l2", activity_regularizer="l2"), input_shape=(4, 3))
    two_ways = L.Bidirectional(L.LSTM(2, kernel_regularizer="l2"), input_shape=(4, 3))
    c = L.Input((3,), name="c")
    added = k.models.Model(c, inner(c), name="added")
    added.add_loss(k.backend.mean(added.outputs[0]))
    models = [inner, both, sequential(k, in_time, name="t"), sequential(k, two_ways, name="w"), added]
    return [line for model in models for line in structure(model)]


if __name__ == "__main__":
    STRUCTURES.write()
