"""Traces: models of the same layers share them, they keep no variable alive, and one function keeps so many."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import tensorflow as tf
from tensorflow.python.eager import context

import kcore.layers
from kcore import backend as K
from kcore.graph import code
from kcore.graph.function import Function, placeholder
from kcore.graph.updates import update
from kcore.ops import REGISTRY
from kcore.variables import Variable
from kcore_tf import traces

OPS = {name: op.public for name, op in REGISTRY.items()}


def one_round(rate: float = 0.5) -> list[weakref.ref]:
    """Train a small recurrent model; returns references to its variables, ours and TensorFlow's."""
    tokens = kcore.layers.Input((5,), dtype="int32")
    x = kcore.layers.LSTM(3)(kcore.layers.Embedding(7, 3, mask_zero=True)(tokens))
    model = kcore.Model(tokens, kcore.layers.Dense(2)(kcore.layers.Dropout(rate)(x)))
    model.compile("adam", "mse")
    data = np.random.default_rng(0).integers(0, 7, (5, 5))
    model.fit(data, np.ones((5, 2)), batch_size=3, verbose=0)
    model.predict(data)
    variables = [*model.weights, *model.optimizer.weights]
    return [weakref.ref(x) for v in variables for x in (v, v._native) if x is not None]


def functions() -> set[str]:
    gc.collect()
    return set(context.context().list_function_names())


def test_five_rounds_trace_once():
    one_round()
    K.clear_session()
    once = functions()
    for _ in range(4):
        one_round()
        K.clear_session()
    assert functions() == once


def test_traces_keep_no_variable_alive():
    gone = one_round()
    K.clear_session()
    gc.collect()
    assert len(gone) > 15
    assert not [x for x in gone if x() is not None]


def test_forgotten_traces_leave_no_functions_behind():
    code.forget()
    before = functions()
    one_round(0.25)
    K.clear_session()
    assert len(functions()) > len(before)
    code.forget()
    assert functions() <= before


def test_a_shared_trace_updates_the_variables_of_its_call():
    x = placeholder((2,), "float64")

    def made(start):
        v = Variable(np.full(2, start), "float64")
        return v, Function([x], [v * x], [update(v, OPS["add"](v, x))])

    (a, f), (b, g) = made(1.0), made(10.0)
    for _ in range(2):
        values = [function([np.ones(2)])[0].tolist() for function in (f, g)]
    assert values == [[2, 2], [11, 11]]
    assert (a.numpy().tolist(), b.numpy().tolist()) == ([3, 3], [12, 12])


def test_one_function_keeps_so_many_traces(monkeypatch):
    monkeypatch.setattr(traces, "SHAPES_KEPT", 2)
    traced = []
    found = traces.Traces(lambda state, params, inputs, key: (traced.append(inputs[0].shape[0]) or inputs[0] + 1,))
    for size in (1, 2, 1, 3, 1, 2):
        given, inputs = traces.Given([], []), (tf.zeros(size),)
        (y,) = found.of(given, None, inputs)(given, None, inputs)
        assert y.numpy().tolist() == [1] * size
    assert traced == [1, 2, 3, 2]
    assert len(found) == 2
