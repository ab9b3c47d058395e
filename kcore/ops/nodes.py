"""Ops in a graph: what a call with symbolic operands adds, and what is known of its result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kcore import config
from kcore import sparse as sparse_data
from kcore.errors import DTypeError, GraphError, KcoreError
from kcore.graph import ir
from kcore.graph.ir import Node, Symbolic, SymbolicTensor, TensorSpec
from kcore.ops import dtypes, sparse_operands
from kcore.ops.op import REGISTRY, Op


def holds_symbolic(item: Any) -> bool:
    """Whether a list of operands or a shape holds a symbolic value."""
    if isinstance(item, (list, tuple)):
        return any(isinstance(x, Symbolic) or holds_symbolic(x) for x in item)
    return isinstance(item, Symbolic)


def constant_node(array: np.ndarray | sparse_data.SparseArray, dtype: str) -> SymbolicTensor:
    """A constant of the graph, sparse if a `SparseArray` is given; its value is hoisted out of the emitted code."""
    value: Any = array
    is_sparse = isinstance(array, sparse_data.SparseArray)
    if not is_sparse:
        value = np.asarray(array).astype(dtypes.numpy_dtype(dtype), copy=True)
        value.flags.writeable = False
    with ir.entering(None):  # constants belong to no loop body
        node = Node(REGISTRY["constant"], {"value": value, "dtype": dtype}, [TensorSpec(value.shape, dtype, is_sparse)])
    return node.outputs[0]


def spec_of(value: Any) -> TensorSpec:
    """The spec of any operand; for a plain Python or NumPy value that of its array."""
    if isinstance(value, Symbolic):
        return value.spec
    if isinstance(value, (bool, int, float)):
        return TensorSpec((), dtypes.weak_dtype(value, config.floatx()))
    if isinstance(value, (np.ndarray, np.generic)):
        return TensorSpec(tuple(value.shape), dtypes.name_of(value.dtype))
    if isinstance(value, (list, tuple)):
        return TensorSpec(np.shape(value), dtypes.weak_dtype(value, config.floatx()))
    if sparse_data.is_sparse_data(value):
        return TensorSpec(tuple(value.shape), dtypes.name_of(value.dtype), sparse=True)
    from kcore.backend import active

    backend = active.backend()
    if not backend.is_native(value):
        raise no_tensor(value)
    return backend.spec_of(value)


def no_tensor(value: Any) -> DTypeError:
    return DTypeError(f"Expected a tensor, numbers or an array, got {value!r} of type {type(value).__name__}.")


def apply(op: Op, arguments: dict[str, Any]) -> Any:
    """Add a node for the op; returns its result (a list when the op has several)."""
    if sparse_operands.misplaced(op, arguments):
        return sparse_operands.form_of(op)(**arguments)
    try:
        _make_symbolic(op, arguments)
        specs = {p: _specs(op.kinds[p], arguments[p]) for p in op.params}
        normalize(op, arguments, specs)
        if op.random:
            _complete_random(op, arguments)
        out = infer(op, arguments, specs) if op.infer is not None else _infer_by_tracing(op, arguments, specs)
    except KcoreError as error:
        raise named(op, error) from error.__cause__
    node = Node(op, arguments, [out] if isinstance(out, TensorSpec) else list(out))
    return list(node.outputs) if op.multiple else node.outputs[0]


def normalize(op: Op, arguments: dict[str, Any], specs: dict[str, Any]) -> None:
    """Attributes completed (in place)."""
    if "dtype" in op.params:
        arguments["dtype"] = dtypes.name_of(arguments["dtype"])
    if op.normalize is not None:
        op.normalize(arguments, specs)


def infer(op: Op, arguments: dict[str, Any], specs: dict[str, Any]) -> Any:
    """What the rule says of the normalised arguments."""
    assert op.infer is not None
    return op.infer(**{p: arguments[p] if op.kinds[p] in ("attr", "dims") else specs[p] for p in op.params})


def named(op: Op, error: KcoreError) -> KcoreError:
    """The error, with the op's name in its message."""
    text = str(error)
    if op.name not in text:
        error.args = (f"{op.name}: {text}", *error.args[1:])
    return error


def _specs(kind: str, argument: Any) -> Any:
    if kind == "tensors":
        return [x.spec for x in argument]
    if isinstance(argument, Symbolic) and kind in ("tensor", "maybe"):
        return argument.spec
    return argument


def _complete_random(op: Op, arguments: dict[str, Any]) -> None:
    if arguments.get("seed") is None:
        arguments["seed"] = ir.site_seed(op.name)
    counters = ir.counters()
    if counters:
        arguments["loop"] = counters


def _make_symbolic(op: Op, arguments: dict[str, Any]) -> None:
    """Replace operands by symbolic values of one dtype (in place)."""
    check_operands(op, arguments)
    target = common_dtype(op, [arguments[p] for p in op.promote]) if op.promote else None
    for p in op.tensor_params:
        kind, value = op.kinds[p], arguments[p]
        dtype = target if p in op.promote else None
        if kind == "tensors":
            arguments[p] = [as_symbolic(x, dtype) for x in value]
        elif value is not None or kind == "tensor":
            arguments[p] = as_symbolic(value, dtype)


def check_operands(op: Op, arguments: dict[str, Any]) -> None:
    for p in op.tensor_params:
        kind, value = op.kinds[p], arguments[p]
        if kind == "tensors" and not isinstance(value, (list, tuple)):
            raise GraphError(f"K.{op.name} expects a list of tensors as {p!r}, got {value!r}.")
        if kind == "tensor" and value is None:
            raise GraphError(f"K.{op.name} expects a tensor as {p!r}, got None.")


def common_dtype(op: Op, operands: Sequence[Any]) -> str:
    """The dtype that the operands of a promoted group are cast to."""
    strong: list[str] = []
    arrays: list[str] = []
    weak: list[str] = []
    for value in _flat(operands):
        if value is None:
            continue
        if isinstance(value, Symbolic):
            strong.append(value.dtype)
        elif isinstance(value, np.ndarray):
            arrays.append(dtypes.name_of(value.dtype))
        elif isinstance(value, (bool, int, float, list, np.generic)):
            weak.append(dtypes.weak_dtype(value, config.floatx()))
        else:
            strong.append(spec_of(value).dtype)
    # Arrays yield to tensors; where there are none they are the tensors.
    strong, weak = (strong, arrays + weak) if strong else (arrays, weak)
    result = dtypes.promote_weak(strong, weak, config.floatx())
    return config.floatx() if op.to_float and not dtypes.is_float(result) else result


def _flat(items: Sequence[Any]) -> Sequence[Any]:
    flat: list[Any] = []
    for item in items:
        # A list of plain numbers is one operand; a list that holds tensors is a list of operands.
        if isinstance(item, (list, tuple)) and not _is_plain(item):
            flat.extend(_flat(item))
        else:
            flat.append(list(item) if isinstance(item, tuple) else item)
    return flat


def _is_plain(item: Any) -> bool:
    if isinstance(item, (list, tuple)):
        return all(_is_plain(x) for x in item)
    return isinstance(item, (bool, int, float, np.generic))


def as_symbolic(value: Any, dtype: str | None = None) -> Symbolic:
    """The operand as a value of the graph, cast to `dtype` when one is given."""
    if isinstance(value, Symbolic):
        # A variable read after its update (see graph.updates).
        pending = None if ir.is_lowering() else getattr(value, "pending", None)
        value = value if pending is None else pending
        if dtype is None or value.dtype == dtype:
            return value  # type: ignore[no-any-return]
        return apply(REGISTRY["cast"], {"x": value, "dtype": dtype})  # type: ignore[no-any-return]
    if value is None:
        raise GraphError("Expected a tensor, got None.")
    if sparse_data.is_sparse_data(value):
        return constant_node(sparse_data.as_sparse(value), dtype or dtypes.name_of(value.dtype))
    if not isinstance(value, (bool, int, float, list, tuple, np.ndarray, np.generic)):
        from kcore.backend import active

        backend: Any = active.backend()
        if sparse_operands.is_native(backend, value):
            return as_symbolic(backend.to_sparse(value), dtype)
        if not backend.is_native(value):
            raise no_tensor(value)
        value = backend.to_numpy(value)
    own = dtypes.weak_dtype(value, config.floatx())
    array = np.asarray(value)
    if array.dtype == object:
        raise DTypeError(f"Cannot make a tensor of {value!r}: expected numbers.")
    return constant_node(array, dtype or own)


def _infer_by_tracing(op: Op, arguments: dict[str, Any], specs: dict[str, Any]) -> Any:
    """Specs of a composite without a rule: run its body on placeholders."""
    assert op.body is not None
    traced = {p: arguments[p] if op.kinds[p] in ("attr", "dims") else _placeholders(specs[p]) for p in op.params}
    with ir.entering(ir.Frame(ir.current_frame())):
        out = op.body(**traced)
    if op.multiple:
        return [x.spec for x in out]
    return spec_of(out)


def _placeholders(item: Any) -> Any:
    if isinstance(item, TensorSpec):
        return SymbolicTensor(item, name="traced")
    if isinstance(item, list):
        return [_placeholders(x) for x in item]
    return item
