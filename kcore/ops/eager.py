"""Ops at once: on NumPy or native operands, by the active backend's kernels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from kcore import config
from kcore import sparse as sparse_data
from kcore.errors import KcoreError
from kcore.ops import dtypes, sparse_operands
from kcore.ops.nodes import check_operands, common_dtype, infer, named, no_tensor, normalize, spec_of
from kcore.ops.op import REGISTRY, Op

_eager_depth = 0


@contextmanager
def inside_a_body() -> Iterator[None]:
    """While a composite's body runs at once: what it calls without operands runs too, and is not checked again."""
    global _eager_depth
    _eager_depth += 1
    try:
        yield
    finally:
        _eager_depth -= 1


def eager_only() -> bool:
    """Whether ops without operands run at once (inside an eager composite body) instead of building nodes."""
    return _eager_depth > 0


def run_eagerly(op: Op, arguments: dict[str, Any]) -> Any:
    """Run the op on NumPy or native operands, at once, on the active backend."""
    from kcore.backend import active

    backend = active.backend()
    if sparse_operands.misplaced(op, arguments, backend):
        return sparse_operands.form_of(op)(**arguments)
    try:
        specs = _prepare(op, arguments, backend)
    except KcoreError as error:
        raise named(op, error) from error.__cause__
    kernel = supported_kernel(backend.kernels, op, specs)
    if op.random:
        from kcore import random

        if random.is_portable():  # composites draw through their bodies
            if op.body is None:
                return _draw_now(op, arguments, backend)
            kernel = None
    if kernel is None and op.body is not None:
        with inside_a_body():
            result = op.body(**arguments)
        return _own(op, result, arguments, backend)
    if kernel is None:
        raise unsupported(op, backend.name)
    if op.random:
        return kernel(random.eager_key(backend, arguments.get("seed")), *(
            v for p, v in arguments.items() if p != "seed"))  # fmt: skip
    try:
        result = kernel(*arguments.values())
    except KcoreError:
        raise
    except Exception as error:
        _explain(op, arguments, error)
        raise
    if op.multiple:
        return list(result)
    # A NumPy scalar is no array: a float64 one passes for a Python number, whose dtype is weak.
    return np.asarray(result) if isinstance(result, np.generic) else _own(op, result, arguments, backend)


def _own(op: Op, result: Any, arguments: dict[str, Any], backend: Any) -> Any:
    """The result of a call by the user; a copy where it is an operand itself and the op is no view."""
    if _eager_depth or op.view or not any(result is arguments[p] for p in op.tensor_params):
        return result
    return backend.kernels["copy"](result)


def _prepare(op: Op, arguments: dict[str, Any], backend: Any) -> dict[str, Any]:
    """Operands made native and attributes completed (in place); returns the specs where anything asks for them."""
    check_operands(op, arguments)
    _make_native(op, arguments, backend)
    checked = op.checked and not _eager_depth  # bodies call ops as they should
    specs: dict[str, Any] = {}
    if op.normalize is not None or op.body is not None or checked:
        specs = {p: _native_specs(op.kinds[p], arguments[p]) for p in op.params}
    normalize(op, arguments, specs)
    if checked:
        infer(op, arguments, specs)
    return specs


def _explain(op: Op, arguments: dict[str, Any], error: Exception) -> None:
    """Raise what the rule has to say of arguments that a kernel failed on; nothing where the rule takes them."""
    if op.infer is None:
        return
    try:
        infer(op, arguments, {p: _native_specs(op.kinds[p], arguments[p]) for p in op.params})
    except KcoreError as explained:
        raise named(op, explained) from error
    except Exception:  # noqa: BLE001 - rules of control flow read graphs, which calls at once have not
        return


def _draw_now(op: Op, arguments: dict[str, Any], backend: Any) -> Any:
    """A draw in the portable mode, outside any graph."""
    from kcore import random
    from kcore.ops.random import draw

    key = random.eager_words(backend, arguments["seed"])
    with inside_a_body():
        return draw(op.name, key, arguments, backend.capabilities.dtypes)


def supported_kernel(kernels: Mapping[str, Callable[..., Any]], op: Op, specs: dict[str, Any]) -> Any:
    """The backend's kernel for the op, None where it has none or declines these arguments.

    A kernel of a composite may carry `supports(**arguments) -> bool`, asked with specs in place of tensors.
    """
    kernel = kernels.get(op.name)
    supports = getattr(kernel, "supports", None)
    if kernel is not None and supports is not None and not supports(**specs):
        return None
    return kernel


def unsupported(op: Op, backend: str) -> Exception:
    """The error for a primitive that a backend lacks."""
    from kcore.errors import UnsupportedOpError

    return UnsupportedOpError(
        f"The backend {backend!r} has no kernel for the primitive {op.name!r}. A backend must provide every primitive: "
        "see `kcore-conformance --backend NAME --level 2`."
    )


def _native_specs(kind: str, argument: Any) -> Any:
    if kind == "tensors":
        return [spec_of(x) for x in argument]
    if kind in ("tensor", "maybe") and argument is not None:
        return spec_of(argument)
    return argument


def _make_native(op: Op, arguments: dict[str, Any], backend: Any) -> None:
    dtype = common_dtype(op, [arguments[p] for p in op.promote]) if op.promote else None
    for p in op.tensor_params:
        kind, value = op.kinds[p], arguments[p]
        target = dtype if p in op.promote else None
        if kind == "tensors":
            arguments[p] = [_as_native(x, target, backend) for x in value]
        elif value is not None:
            arguments[p] = _as_native(value, target, backend)


def _as_native(value: Any, dtype: str | None, backend: Any) -> Any:
    if sparse_data.is_sparse_data(value):
        return sparse_data.to_native(backend, sparse_data.as_sparse(value), dtype or dtypes.name_of(value.dtype))
    if not backend.is_native(value):
        if isinstance(value, (str, bytes)) or value is None:
            raise no_tensor(value)
        own = dtypes.weak_dtype(value, config.floatx())
        return backend.asarray(np.asarray(value), dtype or own)
    if isinstance(value, np.generic):  # a number here, whose dtype is weak
        return backend.asarray(np.asarray(value), dtype)
    if dtype is not None and backend.spec_of(value).dtype != dtype:
        return REGISTRY["cast"].public(value, dtype)
    return value
