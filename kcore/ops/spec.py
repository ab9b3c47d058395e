"""Declaring ops: `@primitive` and `@composite` turn a declaration into the public K function, whose `.op` is the `Op`.

The public function adds a node for symbolic operands (`nodes`) and runs at once on all others (`eager`). This module is
also the door through which declarations and the rooms above reach those three.
"""

from __future__ import annotations

import inspect
import linecache
from collections.abc import Callable
from typing import Any

from kcore.errors import GraphError
from kcore.graph.ir import Subgraph, Symbolic, TensorSpec
from kcore.ops.eager import eager_only, run_eagerly, supported_kernel, unsupported
from kcore.ops.nodes import apply, as_symbolic, common_dtype, constant_node, holds_symbolic, spec_of
from kcore.ops.op import REGISTRY, Dims, F, MaybeTensor, Op, Tensor, Tensors


def primitive(**options: Any) -> Callable[[F], F]:
    """Declare an op that each backend provides; the decorated function is its NumPy reference.

    Give `reference=` to part the two (the function then only carries signature and docstring).
    """

    def declare(function: F) -> F:
        options.setdefault("reference", function)
        return _register(Op(_plain_name(function), function, **options))  # type: ignore[no-any-return]

    return declare


def composite(**options: Any) -> Callable[[F], F]:
    """Declare an op by a body in K ops; a backend may override it with a native kernel."""

    def declare(function: F) -> F:
        return _register(Op(_plain_name(function), function, body=function, **options))  # type: ignore[no-any-return]

    return declare


def _plain_name(function: Callable[..., Any]) -> str:
    # `abs_`, `max_`: declarations may carry a trailing underscore to leave Python's builtins alone.
    return function.__name__.rstrip("_")


def _register(op: Op) -> Any:
    if op.name in REGISTRY:
        raise GraphError(f"The op {op.name!r} is declared twice.")
    REGISTRY[op.name] = op
    op.public = _public_function(op)
    return op.public


def _public_function(op: Op) -> Callable[..., Any]:
    """Generate the wrapper: one isinstance test per operand, then the node or the native kernel."""
    tests = []
    for name in op.params:
        if op.kinds[name] in ("tensor", "maybe"):
            tests.append(f"isinstance({name}, Symbolic)")
        elif op.kinds[name] in ("tensors", "dims"):
            tests.append(f"holds_symbolic({name})")
    defaults = {p: v.default for p, v in op.signature.parameters.items() if v.default is not inspect.Parameter.empty}
    header = ", ".join(f"{p}=_default_{p}" if p in defaults else p for p in op.params)
    arguments = "{" + ", ".join(f"{p!r}: {p}" for p in op.params) + "}"
    # Ops without tensor operands (random, arange, full) make graph nodes: K calls build graphs unless an operand is
    # native. `apply` and `run_eagerly` decide the rest.
    condition = " or ".join(tests) if op.tensor_params else "not eager_only()"
    source = (
        f"def {op.name}({header}):\n"
        f"    if {condition}:\n        return apply(op, {arguments})\n"
        f"    return run(op, {arguments})\n"
    )
    filename = f"<kcore op {op.name}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)
    namespace: dict[str, Any] = {
        "Symbolic": Symbolic, "apply": apply, "run": run_eagerly, "op": op, "holds_symbolic": holds_symbolic,
        "eager_only": eager_only, **{f"_default_{p}": v for p, v in defaults.items()},
    }  # fmt: skip
    exec(compile(source, filename, "exec"), namespace)  # noqa: S102 - generated from the declaration above
    public = namespace[op.name]
    public.__doc__, public.__module__ = op.function.__doc__, op.function.__module__
    public.__signature__ = op.signature
    public.__qualname__ = op.name
    public.op = op
    return public  # type: ignore[no-any-return]


__all__ = [
    "REGISTRY", "Dims", "F", "MaybeTensor", "Op", "Subgraph", "Tensor", "TensorSpec", "Tensors", "apply", "as_symbolic",
    "common_dtype", "composite", "constant_node", "eager_only", "holds_symbolic", "primitive", "run_eagerly", "spec_of",
    "supported_kernel", "unsupported",
]  # fmt: skip
