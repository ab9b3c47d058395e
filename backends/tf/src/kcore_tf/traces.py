"""Traces of emitted functions: one for each combination of input shapes, for whatever variables a call brings.

Variables are arguments of a trace, not captured by it: models of the same layers share their traces, and a trace keeps
no variable alive. TensorFlow never gives back all that a trace took, so those that exist are the ones to use again.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import tensorflow as tf
from tensorflow.python.framework import ops

#: Environment variable that asks for executables compiled by XLA.
COMPILE_VARIABLE = "KCORE_TENSORFLOW_XLA"
#: So many traces of one function are kept, for the input shapes that were used last.
SHAPES_KEPT = 256


class Given:
    """The variables that a function is called with."""

    def __init__(self, state: Sequence[Any], params: Sequence[Any]) -> None:
        self.state, self.params = list(state), list(params)
        self.handles = [v.handle for v in (*state, *params)]


class Traces:
    """The traces of `fn(state, params, inputs, key)`.

    Args:
        fn: an emitted function; it gets `tf.Variable`s that stand for those of the call.
    """

    def __init__(self, fn: Callable[..., Any]) -> None:
        def run(state: Any, params: Any, key: Any, *inputs: Any) -> Any:
            return fn(state, params, inputs, key)

        self._run = run
        self._kept: OrderedDict[Any, Callable[..., Any]] = OrderedDict()

    def of(self, given: Given, key: Any, inputs: Sequence[Any]) -> Callable[..., Any]:
        """The trace for inputs of these shapes: `trace(given, key, inputs)`."""
        shapes = tuple([x.shape for x in inputs])
        trace = self._kept.get(shapes)
        if trace is None:
            trace = self._kept[shapes] = self._made(given, key, inputs)
            while len(self._kept) > SHAPES_KEPT:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(shapes)
        return trace

    def __len__(self) -> int:
        return len(self._kept)

    def _made(self, given: Given, key: Any, inputs: Sequence[Any]) -> Callable[..., Any]:
        specs = [_type_of(x) for x in inputs]
        key_spec = None if key is None else tf.TensorSpec((2,), tf.int64)
        # A tf.function of its own, which goes with its trace.
        function = tf.function(self._run, autograph=False, jit_compile=by_xla() or None)
        with forgetting_gradient_functions():
            return _flat_call(function.get_concrete_function(given.state, given.params, key_spec, *specs))


def by_xla() -> bool:
    """Whether the environment asks for XLA."""
    return os.environ.get(COMPILE_VARIABLE, "0") not in ("", "0")


def _type_of(x: Any) -> Any:
    return (tf.SparseTensorSpec if isinstance(x, tf.SparseTensor) else tf.TensorSpec)(x.shape, x.dtype)


def _has_parts(structure: Any) -> bool:
    """Whether tensors in the structure are made of several, as sparse ones are."""
    return len(tf.nest.flatten(structure, expand_composites=True)) > len(tf.nest.flatten(structure))


@contextmanager
def forgetting_gradient_functions() -> Iterator[None]:
    """Inside, a function is traced whose gradients are in it.

    TensorFlow registers each call of a `tf.custom_gradient` function for good, which keeps the trace's whole graph
    alive. Once the gradients are part of the trace, nobody asks the registry again.
    """
    registry = getattr(getattr(ops, "gradient_registry", None), "_registry", {})
    before = set(registry)
    try:
        yield
    finally:
        for name in [n for n in registry if n not in before and n.startswith("CustomGradient-")]:
            del registry[name]


def _flat_call(trace: Any) -> Callable[..., Any]:
    """A call of a trace, without the binding of arguments where that can be had; of updates alone it returns ()."""
    direct = getattr(getattr(trace, "_inference_function", None), "call_flat", None)
    captured = tuple(trace.captured_inputs)
    (_, _, _, *inputs_given), results = trace.structured_input_signature[0], trace.structured_outputs

    def call(given: Given, key: Any, inputs: Sequence[Any]) -> Any:
        if key is None:
            return direct(*given.handles, *inputs, *captured) or ()
        return direct(*given.handles, tf.constant(key), *inputs, *captured) or ()

    def call_on_parts(given: Given, key: Any, inputs: Sequence[Any]) -> Any:
        found = call(given, key, tf.nest.flatten(inputs, expand_composites=True))
        return tf.nest.pack_sequence_as(results, found, expand_composites=True)

    def call_bound(given: Given, key: Any, inputs: Sequence[Any]) -> Any:
        return trace(given.state, given.params, None if key is None else tf.constant(key), *inputs) or ()

    if direct is None:
        return call_bound
    chosen = call_on_parts if _has_parts(inputs_given) or _has_parts(results) else call
    chosen.trace = trace  # type: ignore[attr-defined]  # the trace must live as long as its calls
    return chosen
