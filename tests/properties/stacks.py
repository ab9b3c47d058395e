"""Random models: what a stack or small graph of layers is, as plain data, and the model that it stands for.

A `Stack` is drawn by hypothesis (so it shrinks, and prints as what to paste) and built anew on each backend. Moves
are drawn for every kind of tensor and the builder takes the one that fits, so every drawn stack is a model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st

import kcore
from kcore import backend as K
from kcore import layers, optimizers
from kcore.graph.ir import SymbolicTensor
from kcore.layers.node import previous_masks

BATCH, STEPS = 3, 4

#: Samples of each kind of input, without the batch. Tokens are integers for an Embedding.
SHAPES = {"vector": (3,), "sequence": (STEPS, 3), "tokens": (STEPS,), "image": (5, 4, 2), "video": (3, 4, 4, 2)}

SMOOTH = ("linear", "tanh", "sigmoid", "softplus", "softsign", "elu", "relu", "hard_sigmoid", "softmax")
_activation, _flag, _units = st.sampled_from(SMOOTH), st.booleans(), st.integers(1, 3)
_gate = st.sampled_from(("tanh", "relu", "softsign", "linear"))
_window = st.integers(1, 2)
_padding = st.sampled_from(("valid", "same"))
_penalty = st.sampled_from((None, "l1_l2"))


@dataclass(frozen=True)
class Move:
    """Apply one layer to one of the tensors that are there.

    Attributes:
        layers: for each rank of tensor, a layer's name and arguments.
        pick: which tensor.
        how: "replace" it; keep it beside the result ("branch"); "merge" the result with it where shapes allow;
            "again": apply the last layer that takes such a tensor once more; "nest": as a model of its own, twice.
    """

    layers: dict[int, tuple[str, dict[str, Any]]]
    pick: int
    how: str


@dataclass(frozen=True)
class Stack:
    """A model as data.

    Attributes:
        inputs: their kinds.
        moves: in order.
        temporal: whether the last sequence is an output of its own, masked as it is.
        merge: how equal tensors are merged.
        optimizer: name and arguments.
        seed: of weights and data.
    """

    inputs: tuple[str, ...]
    moves: tuple[Move, ...]
    temporal: bool
    merge: str
    optimizer: tuple[str, dict[str, Any]]
    seed: int


# --- what is drawn ----------------------------------------------------------------------------------------------------

_RECURRENT = {
    "units": _units, "activation": _gate, "use_bias": _flag, "return_sequences": _flag, "go_backwards": _flag,
    "dropout": st.sampled_from((0.0, 0.0, 0.4)), "recurrent_dropout": st.sampled_from((0.0, 0.0, 0.0, 0.3)),
}  # fmt: skip
_DENSE = {"units": _units, "activation": _activation, "use_bias": _flag, "kernel_regularizer": _penalty}
_CONV = {"filters": _units, "kernel_size": _window, "padding": _padding, "activation": _gate, "use_bias": _flag}
_EVERYWHERE: dict[str, dict[str, Any]] = {
    "Activation": {"activation": _activation},
    "BatchNormalization": {"momentum": st.just(0.8), "center": _flag, "scale": _flag},
    "Dropout": {"rate": st.just(0.4)},
    "GaussianNoise": {"stddev": st.just(0.3)},
    "GaussianDropout": {"rate": st.just(0.3)},
    "AlphaDropout": {"rate": st.just(0.2)},
    "PReLU": {},
    "LeakyReLU": {"alpha": st.just(0.3)},
    "ELU": {},
    "Softmax": {},
    "ActivityRegularization": {"l1": st.just(0.01), "l2": st.just(0.02)},
    "Lambda": {"function": st.sampled_from(("square", "sin", "normalise"))},
}

#: Rank of the tensor (batch included) -> layer -> arguments.
TABLE: dict[int, dict[str, dict[str, Any]]] = {
    2: {
        "Dense": _DENSE,
        "RepeatVector": {"n": st.just(STEPS)},
        **_EVERYWHERE,
    },
    3: {
        "SimpleRNN": _RECURRENT,
        "LSTM": {**_RECURRENT, "implementation": _window, "unroll": _flag},
        "GRU": {**_RECURRENT, "implementation": _window, "reset_after": _flag},
        "RNN": {"units": _units, "return_sequences": _flag},
        "Bidirectional": {"cell": st.sampled_from(("LSTM", "GRU", "SimpleRNN")), "units": _units,
                          "merge_mode": st.sampled_from(("concat", "sum", "mul", "ave")), "return_sequences": _flag},
        "TimeDistributed": {"inner": st.sampled_from(("Dense", "model")), "units": _units},
        "Masking": {},
        "Dense": _DENSE,
        "Conv1D": {**_CONV, "padding": st.sampled_from(("valid", "same", "causal")), "dilation_rate": _window},
        "SeparableConv1D": {**_CONV, "depth_multiplier": _window},
        "LocallyConnected1D": {"filters": _units, "kernel_size": _window},
        "MaxPooling1D": {"pool_size": _window, "padding": _padding},
        "AveragePooling1D": {"pool_size": _window, "padding": _padding},
        "GlobalAveragePooling1D": {}, "GlobalMaxPooling1D": {}, "Flatten": {}, "Permute": {"dims": st.just((2, 1))},
        "UpSampling1D": {"size": _window}, "ZeroPadding1D": {"padding": _window}, "Cropping1D": {},
        "SpatialDropout1D": {"rate": st.just(0.4)},
        **_EVERYWHERE,
    },
    4: {
        "Conv2D": {**_CONV, "strides": _window},
        "Conv2DTranspose": {**_CONV, "strides": _window},
        "DepthwiseConv2D": {"kernel_size": _window, "padding": _padding, "depth_multiplier": _window},
        "SeparableConv2D": {**_CONV, "depth_multiplier": _window},
        "LocallyConnected2D": {"filters": _units, "kernel_size": _window},
        "MaxPooling2D": {"pool_size": _window, "padding": _padding},
        "AveragePooling2D": {"pool_size": _window, "padding": _padding},
        "GlobalAveragePooling2D": {}, "GlobalMaxPooling2D": {}, "Flatten": {},
        "UpSampling2D": {"size": _window, "interpolation": st.sampled_from(("nearest", "bilinear"))},
        "ZeroPadding2D": {"padding": _window}, "SpatialDropout2D": {"rate": st.just(0.4)},
        "TimeDistributed": {"inner": st.sampled_from(("Dense", "model", "LSTM")), "units": _units},
        **_EVERYWHERE,
    },
    5: {
        "ConvLSTM2D": {"filters": _window, "kernel_size": _window, "padding": _padding, "return_sequences": _flag},
        "TimeDistributed": {"inner": st.sampled_from(("Conv2D", "Flatten", "GlobalMaxPooling2D")), "units": _units},
        "Conv3D": {**_CONV}, "MaxPooling3D": {"pool_size": _window}, "GlobalAveragePooling3D": {},
        **_EVERYWHERE,
    },
}  # fmt: skip

#: Layers of rank 3 that take a masked sequence.
MASKED = {
    "LSTM", "GRU", "SimpleRNN", "RNN", "Bidirectional", "TimeDistributed", "Masking", "Dense", "GlobalAveragePooling1D",
    "SpatialDropout1D", *_EVERYWHERE,
}  # fmt: skip

#: Epsilons are large: without them a gradient of rounding errors alone would make a step of full length.
OPTIMIZERS = {
    "SGD": {"learning_rate": st.just(0.1), "momentum": st.sampled_from((0.0, 0.9)), "nesterov": _flag},
    "RMSprop": {"learning_rate": st.just(0.05), "epsilon": st.just(0.1)},
    "Adagrad": {"learning_rate": st.just(0.05), "epsilon": st.just(0.1)},
    "Adadelta": {"epsilon": st.just(0.1)},
    "Adam": {"learning_rate": st.just(0.05), "epsilon": st.just(0.1), "amsgrad": _flag},
    "Adamax": {"learning_rate": st.just(0.05), "epsilon": st.just(0.1)},
    "Nadam": {"learning_rate": st.just(0.05), "epsilon": st.just(0.1)},
}


def _named(table: dict[str, dict[str, Any]]) -> st.SearchStrategy[tuple[str, dict[str, Any]]]:
    """A name and its arguments; what every rank has comes less often than what is particular to this one."""
    names = [name for name in table for _ in range(1 if name in _EVERYWHERE else 3)]
    return st.sampled_from(names).flatmap(lambda n: st.tuples(st.just(n), st.fixed_dictionaries(table[n])))


_moves = st.builds(
    Move,
    layers=st.fixed_dictionaries({rank: _named(table) for rank, table in TABLE.items()}),
    pick=st.integers(0, 3),
    how=st.sampled_from(("replace", "replace", "replace", "branch", "merge", "again", "nest")),
)

_KINDS = ("sequence", "sequence", "sequence", "tokens", "tokens", "image", "image", "vector", "video")

#: What the property is checked on.
stacks: st.SearchStrategy[Stack] = st.builds(
    Stack,
    inputs=st.lists(st.sampled_from(_KINDS), min_size=1, max_size=2).map(tuple),
    moves=st.lists(_moves, min_size=2, max_size=6).map(tuple),
    temporal=_flag,
    merge=st.sampled_from(("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate", "Dot")),
    optimizer=_named(OPTIMIZERS),
    seed=st.integers(0, 99),
)


# --- what it stands for -----------------------------------------------------------------------------------------------

FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "square": lambda x: K.square(x) - 0.5,
    "sin": lambda x: K.sin(x) * K.cos(K.sum(x, axis=-1, keepdims=True)),
    "normalise": lambda x: x / K.sqrt(K.mean(K.square(x), axis=-1, keepdims=True) + 1.0),
}


def _masked(x: Any) -> bool:
    return previous_masks([x])[0] is not None


def _pieces(shape: tuple[int, ...]) -> int:
    return int(np.prod(shape[1:]))


def _fits(name: str, arguments: dict[str, Any], x: Any) -> bool:
    """Whether a layer takes the tensor: masks, and windows larger than what they slide over."""
    if _masked(x) and (len(x.shape) != 3 or name not in MASKED or arguments.get("inner") == "model"):
        return name in _EVERYWHERE
    if _pieces(K.int_shape(x)) > 400 and name.startswith(("UpSampling", "ZeroPadding", "Conv", "Repeat")):
        return False
    reach = max([arguments.get(k, 1) for k in ("kernel_size", "pool_size")] + [1]) * arguments.get("dilation_rate", 1)
    spatial = K.int_shape(x)[1:-1]
    if arguments.get("strides", 1) > 1 and arguments.get("dilation_rate", 1) > 1:
        return False
    return all(n >= reach for n in spatial) and not (name == "Cropping1D" and spatial[0] < 3)


def make_layer(name: str, arguments: dict[str, Any], x: Any) -> Any:
    """The layer of a move; `x` is the tensor that it will be applied to."""
    given = dict(arguments)
    if name == "Lambda":
        function = FUNCTIONS[given["function"]]
        return layers.Lambda(function, mask=lambda inputs, mask: mask)
    if name == "RNN":
        units = given.pop("units")
        return layers.RNN([layers.GRUCell(units), layers.SimpleRNNCell(2)], **given)
    if name == "Bidirectional":
        cell, units = getattr(layers, given.pop("cell")), given.pop("units")
        return layers.Bidirectional(
            cell(units, return_sequences=given.pop("return_sequences")), merge_mode=given["merge_mode"]
        )
    if name == "TimeDistributed":
        return layers.TimeDistributed(_inner(given["inner"], given["units"], K.int_shape(x)[2:]))
    if name == "PReLU" and len(x.shape) > 3:
        given["shared_axes"] = list(range(1, len(x.shape) - 1))
    if name == "Cropping1D":
        given["cropping"] = (1, 0)
    return getattr(layers, name)(**given)


def _inner(kind: str, units: int, shape: tuple[int, ...]) -> Any:
    if kind == "model":
        source = layers.Input(shape)
        return kcore.Model(source, layers.Dense(units, activation="tanh")(layers.Dense(2)(source)))
    if kind in ("Flatten", "GlobalMaxPooling2D"):
        return getattr(layers, kind)()
    if kind == "Conv2D":
        return layers.Conv2D(units, 2, padding="same")
    return layers.LSTM(units) if kind == "LSTM" else layers.Dense(units, activation="tanh")


@dataclass
class Builder:
    """Applies moves to the tensors that are there."""

    stack: Stack
    live: list[Any] = field(default_factory=list)
    made: list[tuple[Any, tuple[int, ...], bool]] = field(default_factory=list)

    def move(self, move: Move) -> None:
        """Apply one move; what does not fit leaves everything as it is."""
        at = move.pick % len(self.live)
        x = self.live[at]
        name, arguments = move.layers[len(x.shape)]
        if not _fits(name, arguments, x):
            return
        y = self._result(move.how, name, arguments, x)
        self._keep(at, move.how, x, y)

    def _result(self, how: str, name: str, arguments: dict[str, Any], x: Any) -> Any:
        key = (K.int_shape(x), _masked(x))
        if how == "again":
            for layer, *known in reversed(self.made):
                if tuple(known) == key:
                    return layer(x)
        if how == "nest" and not _masked(x):
            source = layers.Input(K.int_shape(x)[1:])
            layer = kcore.Model(source, make_layer(name, arguments, source)(source))
        else:
            layer = make_layer(name, arguments, x)
        self.made.append((layer, *key))
        y = layer(x)
        return layer(y) if how == "nest" and K.int_shape(y) == key[0] and _masked(y) == key[1] else y

    def _keep(self, at: int, how: str, x: Any, y: Any) -> None:
        if how == "merge" and K.int_shape(x) == K.int_shape(y) and _masked(x) == _masked(y):
            self.live[at] = self._merged(x, y)
        elif how == "branch" and len(self.live) < 4:
            self.live.append(y)
        else:
            self.live[at] = y

    def _merged(self, x: Any, y: Any) -> Any:
        if self.stack.merge == "Dot":
            rank = len(x.shape)
            return layers.dot([x, y], axes=-1) if rank in (2, 3) and not _masked(x) else layers.add([x, y])
        return getattr(layers, self.stack.merge)()([x, y])

    def head(self) -> list[Any]:
        """The outputs: everything that is there in one vector, and perhaps the last sequence as it is."""
        outputs = [layers.Dense(2, activation="tanh")(self._joined())]
        sequences = [x for x in self.live if len(x.shape) == 3]
        if self.stack.temporal and sequences:
            outputs.append(layers.TimeDistributed(layers.Dense(1))(sequences[-1]))
        return outputs

    def _joined(self) -> Any:
        vectors = [self._vector(x) for x in self.live]
        return layers.concatenate(vectors) if len(vectors) > 1 else vectors[0]

    @staticmethod
    def _vector(x: Any) -> Any:
        if len(x.shape) == 2:
            return x
        if _masked(x):
            return (layers.GlobalAveragePooling1D() if len(x.shape) == 3 else layers.Lambda(K.batch_flatten))(x)
        return layers.Flatten()(x)


def build(stack: Stack) -> Any:
    """The compiled model; the same names, initial weights and random sites every time."""
    K.clear_session()
    kcore.set_random_seed(stack.seed)
    builder = Builder(stack)
    inputs = []
    for kind in stack.inputs:
        x = layers.Input(SHAPES[kind], dtype="int32" if kind == "tokens" else None)
        inputs.append(x)
        if kind == "tokens":
            x = layers.Embedding(5, 3, mask_zero=stack.seed % 3 > 0)(x)
        elif kind == "sequence" and stack.seed % 2:
            x = layers.Masking()(x)
        builder.live.append(x)
    for move in stack.moves:
        builder.move(move)
    model = kcore.Model(inputs, builder.head())
    name, arguments = stack.optimizer
    model.compile(getattr(optimizers, name)(**arguments), "mse")
    return model


def data(stack: Stack, model: Any) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Inputs and targets. Sequences are of different lengths, and one has a gap: zeros, which masks cover."""
    rng = np.random.default_rng(stack.seed)
    lengths = rng.integers(1, STEPS + 1, BATCH)
    there = np.arange(STEPS) < lengths[:, None]
    there[0] = True
    there[0, 1] = stack.seed % 5 == 0
    arrays = []
    for kind in stack.inputs:
        if kind == "tokens":
            arrays.append(rng.integers(1, 5, (BATCH, STEPS)).astype("int32") * there)
            continue
        values = rng.standard_normal((BATCH, *SHAPES[kind])).astype("float32")
        arrays.append(values * there[..., None] if kind == "sequence" else values)
    arrays = [a.astype(a.dtype if a.dtype != np.float64 else "float32") for a in arrays]
    shapes = [(BATCH, *K.int_shape(x)[1:]) for x in model.outputs]
    return arrays, [rng.standard_normal(shape).astype("float32") for shape in shapes]


# --- what must agree --------------------------------------------------------------------------------------------------


def answers(stack: Stack, floatx: str = "float32") -> dict[str, np.ndarray]:
    """All that must not depend on the backend: outputs, loss and gradients in both phases, weights after a step."""
    before = K.floatx()
    K.set_floatx(floatx)
    try:
        return _answers(stack)
    finally:
        K.set_floatx(before)


def _answers(stack: Stack) -> dict[str, np.ndarray]:
    model = build(stack)
    x, y = data(stack, model)
    found: dict[str, np.ndarray] = {f"weight {w.name}": w.numpy() for w in model.weights}
    sources: list[Any] = [*model.trainable_weights]
    sources += [t for t in model.inputs if isinstance(t, SymbolicTensor) and K.dtype(t) != "int32"]
    gradients = K.gradients(model.total_loss, sources)
    names = [f"gradient by {s.name}" for s, g in zip(sources, gradients, strict=True) if g is not None]
    wanted = [*model.outputs, model.total_loss, *(g for g in gradients if g is not None)]
    weights = [t for t in model.sample_weights if t is not None]
    ones = [np.ones(BATCH, K.floatx()) for _ in weights]
    function = K.function([*model.inputs, *model.targets, *weights, K.learning_phase()], wanted)
    keys = [*(f"output {i}" for i in range(len(model.outputs))), "loss", *names]
    for phase in (0, 1):
        values = function([*x, *y, *ones, phase])
        found |= {f"{key}, {('test', 'train')[phase]}": v for key, v in zip(keys, values, strict=True)}
    found["losses of the step"] = np.asarray(model.train_on_batch(x, y))
    found |= {f"{w.name} after the step": w.numpy() for w in model.weights}
    for i, value in enumerate(model.predict(x) if len(model.outputs) > 1 else [model.predict(x)]):
        found[f"prediction {i} after the step"] = value
    return found
