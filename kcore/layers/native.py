"""Layers written in the backend's own functions: their `call` becomes one opaque node of the graph.

A `call` that fails on symbolic tensors is tried on the backend's tensors, without data. If that works, the node keeps
the function; its weights are operands beside the inputs, so gradients reach them. If it fails too, the first error
stands.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kcore.backend import active
from kcore.errors import GraphError, KcoreError, SymbolicTruthError
from kcore.graph.ir import Symbolic, TensorSpec
from kcore.ops.structural import native_call
from kcore.utils.generic_utils import unpack_singleton
from kcore.variables import Variable


def may_be_native(error: Exception) -> bool:
    """Whether an error looks like that of a native function that met a symbolic tensor."""
    if isinstance(error, SymbolicTruthError):
        return False
    # GraphError: the native function asked the tensor for its value.
    return isinstance(error, GraphError) or not isinstance(error, KcoreError)


def native_outputs(layer: Any, inputs: Any, arguments: dict[str, Any]) -> Any:
    """The outputs of `layer.call` as one node, or None when it does not work on native tensors either."""
    weights = {name: value for name, value in vars(layer).items() if isinstance(value, Variable)}
    given = inputs if isinstance(inputs, list) else [inputs]
    shape = _Results()

    def call(*natives: Any) -> tuple[Any, ...]:
        tensors = list(natives[: len(given)])
        with _standing_in(layer, dict(zip(weights, natives[len(given) :], strict=True))):
            result = layer.call(tensors if isinstance(inputs, list) else unpack_singleton(tensors), **arguments)
        return shape.flat(result)

    operands = [*given, *weights.values()]
    try:
        specs = active.backend().infer_native(call, [x.spec for x in operands])
    except Exception:  # noqa: BLE001 - the error of the symbolic call is the one to show
        return None
    specs = [specs] if isinstance(specs, TensorSpec) else list(specs)
    outputs = native_call(call, operands, specs)
    return outputs if shape.several else outputs[0]


class _Results:
    """Remembers whether a function gives one tensor or several."""

    several = False

    def flat(self, result: Any) -> tuple[Any, ...]:
        self.several = isinstance(result, (list, tuple))
        results = tuple(result) if self.several else (result,)
        if not results or any(x is None or isinstance(x, Symbolic) for x in results):
            raise TypeError(f"Expected native tensors, got {results!r}.")
        return results


@contextmanager
def _standing_in(layer: Any, natives: dict[str, Any]) -> Iterator[None]:
    """Inside, the layer's weights are native tensors."""
    before = {name: vars(layer)[name] for name in natives}
    vars(layer).update(natives)
    try:
        yield
    finally:
        vars(layer).update(before)


def call_layer(layer: Any, inputs: Any, arguments: dict[str, Any]) -> Any:
    """`layer.call`, in K or in native functions."""
    try:
        return layer.call(inputs, **arguments)
    except Exception as error:
        if not may_be_native(error):
            raise
        outputs = native_outputs(layer, inputs, arguments)
        if outputs is None:
            raise
        return outputs
