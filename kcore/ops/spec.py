"""What an op is, and how one declaration becomes the K function, graph nodes, and eager calls.

`@primitive` and `@composite` turn a declaration into the public function, whose `.op` is the `Op`. A parameter's
annotation says what it takes: `Tensor`, `Tensors` (a list), `MaybeTensor` (or None), `Dims` (a shape that may hold
symbolic integers); all others are static attributes. Rooms above (graph lowering, backends, conformance) read the
`Op`; nothing here computes.
"""

from __future__ import annotations

import inspect
import linecache
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, TypeVar

import numpy as np

from kcore import config
from kcore import sparse as sparse_data
from kcore.errors import DTypeError, GraphError, KcoreError
from kcore.graph import ir
from kcore.graph.ir import Node, Subgraph, Symbolic, SymbolicTensor, TensorSpec
from kcore.ops import dtypes, sparse_operands

# The aliases are Any to the type checker: an operand may be a number, list, array, native tensor or Symbolic.
Tensor = Annotated[Any, "tensor"]
Tensors = Annotated[Any, "tensors"]
MaybeTensor = Annotated[Any, "maybe"]
Dims = Annotated[Any, "dims"]
_KINDS = {"Tensor": "tensor", "Tensors": "tensors", "MaybeTensor": "maybe", "Dims": "dims"}

F = TypeVar("F", bound=Callable[..., Any])


class Op:
    """The declaration of one op.

    Attributes:
        name: the op's and its kernels' name.
        params: parameter names in order; `kinds[name]` is tensor, tensors, maybe, dims or attr.
        infer: maps the arguments (tensors replaced by `TensorSpec`s) to one spec or a tuple of them;
            None for a composite whose body is traced instead.
        reference: the NumPy function (arrays in, array or tuple of arrays out); None where the body serves.
        body: a composite's definition in K ops; None for a primitive.
        vjp: `vjp(g, out, *arguments)` -> one gradient per tensor parameter in order (None where there is none);
            with several results `g` and `out` are tuples, and members of `g` may be None.
        differentiable: False where no gradient flows (comparisons, argmax, ...): K.gradients gives None there.
        promote: names of the tensor parameters that are cast to one common dtype, () for none.
        to_float: integer operands of the promoted group become floatx (exp, divide, ...).
        normalize: `normalize(arguments, specs)` completes attributes in place (negative axes, ints to tuples).
        multiple: whether calls return a list of results.
        random: whether the op draws random numbers: its kernel gets a folded key as first argument.
        aliases: results that may overwrite list parameters, `{result position: parameter}`, for in-place updates.
        cases: valid inputs for the conformance suite (kcore.ops.cases).
        static: tensor parameters whose shapes must be known (weights, whose sizes shape the result).
        host: whether the op may be computed on the host at lowering for shape arithmetic.
        view: whether a result at once may share its operand's memory, as frameworks' own views do; all other results
            are memory of their own.
        sparse: tensor parameters that take sparse tensors (kcore.ops.sparse); elsewhere kcore.ops.sparse_operands
            says what stands for the op.
        fetched: `fetched(array, arguments)` finishes a result that K.function hands to its caller, for ops whose
            result's size depends on values: compiled code pads it, the host drops the padding.
    """

    def __init__(self, name: str, function: Callable[..., Any], **options: Any) -> None:
        self.name = name
        self.function = function
        self.doc = inspect.getdoc(function) or ""
        self.signature = inspect.signature(function)
        self.params = tuple(self.signature.parameters)
        self.kinds = {p: _KINDS.get(_annotation(v), "attr") for p, v in self.signature.parameters.items()}
        self.tensor_params = tuple(p for p in self.params if self.kinds[p] not in ("attr", "dims"))
        self.infer: Callable[..., Any] | None = options.pop("infer", None)
        self.reference: Callable[..., Any] | None = options.pop("reference", None)
        self.body: Callable[..., Any] | None = options.pop("body", None)
        self.vjp: Callable[..., Any] | None = options.pop("vjp", None)
        self.differentiable: bool = options.pop("differentiable", True)
        self.promote: tuple[str, ...] = options.pop("promote", self.tensor_params)
        self.to_float: bool = options.pop("to_float", False)
        self.normalize: Callable[[dict[str, Any], dict[str, Any]], None] | None = options.pop("normalize", None)
        self.multiple: bool = options.pop("multiple", False)
        self.random: bool = options.pop("random", False)
        self.aliases: Mapping[int, str] = options.pop("aliases", {})
        self.cases: Any = options.pop("cases", None)
        self.static: tuple[str, ...] = options.pop("static", ())
        self.host: bool = options.pop("host", False)
        self.sparse: tuple[str, ...] = options.pop("sparse", ())
        self.fetched: Callable[[Any, dict[str, Any]], Any] | None = options.pop("fetched", None)
        self.view: bool = options.pop("view", False)
        #: Whether the rule refuses what kernels may take in silence: eager calls ask it first.
        self.checked = self.infer is not None and not getattr(self.infer, "kernels_check", False)
        if options:
            raise TypeError(f"Unknown options in the declaration of {name}: {sorted(options)}")
        self.public: Callable[..., Any] = function

    @property
    def is_primitive(self) -> bool:
        """Whether a backend must provide the op."""
        return self.body is None

    def __repr__(self) -> str:
        return f"<Op {self.name}>"


def _annotation(parameter: inspect.Parameter) -> str:
    return parameter.annotation if isinstance(parameter.annotation, str) else ""


#: All declared ops by name: the one table that backends, conformance and docs read.
REGISTRY: dict[str, Op] = {}


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


def holds_symbolic(item: Any) -> bool:
    """Whether a list of operands or a shape holds a symbolic value."""
    if isinstance(item, (list, tuple)):
        return any(isinstance(x, Symbolic) or holds_symbolic(x) for x in item)
    return isinstance(item, Symbolic)


_eager_depth = 0


def eager_only() -> bool:
    """Whether ops without operands run at once (inside an eager composite body) instead of building nodes."""
    return _eager_depth > 0


# --- building nodes ---------------------------------------------------------------------------------------------------


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
        raise _no_tensor(value)
    return backend.spec_of(value)


def _no_tensor(value: Any) -> DTypeError:
    return DTypeError(f"Expected a tensor, numbers or an array, got {value!r} of type {type(value).__name__}.")


def apply(op: Op, arguments: dict[str, Any]) -> Any:
    """Add a node for the op; returns its result (a list when the op has several)."""
    if sparse_operands.misplaced(op, arguments):
        return sparse_operands.form_of(op)(**arguments)
    try:
        _make_symbolic(op, arguments)
        specs = {p: _specs(op.kinds[p], arguments[p]) for p in op.params}
        _normalize(op, arguments, specs)
        if op.random:
            _complete_random(op, arguments)
        out = _infer(op, arguments, specs) if op.infer is not None else _infer_by_tracing(op, arguments, specs)
    except KcoreError as error:
        raise _named(op, error) from error.__cause__
    node = Node(op, arguments, [out] if isinstance(out, TensorSpec) else list(out))
    return list(node.outputs) if op.multiple else node.outputs[0]


def _normalize(op: Op, arguments: dict[str, Any], specs: dict[str, Any]) -> None:
    """Attributes completed (in place)."""
    if "dtype" in op.params:
        arguments["dtype"] = dtypes.name_of(arguments["dtype"])
    if op.normalize is not None:
        op.normalize(arguments, specs)


def _infer(op: Op, arguments: dict[str, Any], specs: dict[str, Any]) -> Any:
    """What the rule says of the normalised arguments."""
    assert op.infer is not None
    return op.infer(**{p: arguments[p] if op.kinds[p] in ("attr", "dims") else specs[p] for p in op.params})


def _named(op: Op, error: KcoreError) -> KcoreError:
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
    # Like the original, an unseeded site takes its seed from np.random: that is what makes np.random.seed(...)
    # repeat a whole script.
    if arguments.get("seed") is None:
        arguments["seed"] = int(np.random.randint(10_000_000))  # noqa: NPY002
    counters = ir.counters()
    if counters:
        arguments["loop"] = counters


def _make_symbolic(op: Op, arguments: dict[str, Any]) -> None:
    """Replace operands by symbolic values of one dtype (in place)."""
    _check_operands(op, arguments)
    target = common_dtype(op, [arguments[p] for p in op.promote]) if op.promote else None
    for p in op.tensor_params:
        kind, value = op.kinds[p], arguments[p]
        dtype = target if p in op.promote else None
        if kind == "tensors":
            arguments[p] = [as_symbolic(x, dtype) for x in value]
        elif value is not None or kind == "tensor":
            arguments[p] = as_symbolic(value, dtype)


def _check_operands(op: Op, arguments: dict[str, Any]) -> None:
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
            raise _no_tensor(value)
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


# --- running at once --------------------------------------------------------------------------------------------------


def run_eagerly(op: Op, arguments: dict[str, Any]) -> Any:
    """Run the op on NumPy or native operands, at once, on the active backend."""
    global _eager_depth
    from kcore.backend import active

    backend = active.backend()
    if sparse_operands.misplaced(op, arguments, backend):
        return sparse_operands.form_of(op)(**arguments)
    try:
        specs = _prepare(op, arguments, backend)
    except KcoreError as error:
        raise _named(op, error) from error.__cause__
    kernel = supported_kernel(backend.kernels, op, specs)
    if op.random:
        from kcore import random

        if random.is_portable():  # composites draw through their bodies
            if op.body is None:
                return _draw_now(op, arguments, backend)
            kernel = None
    if kernel is None and op.body is not None:
        _eager_depth += 1
        try:
            result = op.body(**arguments)
        finally:
            _eager_depth -= 1
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
    _check_operands(op, arguments)
    _make_native(op, arguments, backend)
    checked = op.checked and not _eager_depth  # bodies call ops as they should
    specs: dict[str, Any] = {}
    if op.normalize is not None or op.body is not None or checked:
        specs = {p: _native_specs(op.kinds[p], arguments[p]) for p in op.params}
    _normalize(op, arguments, specs)
    if checked:
        _infer(op, arguments, specs)
    return specs


def _explain(op: Op, arguments: dict[str, Any], error: Exception) -> None:
    """Raise what the rule has to say of arguments that a kernel failed on; nothing where the rule takes them."""
    if op.infer is None:
        return
    try:
        _infer(op, arguments, {p: _native_specs(op.kinds[p], arguments[p]) for p in op.params})
    except KcoreError as explained:
        raise _named(op, explained) from error
    except Exception:  # noqa: BLE001 - rules of control flow read graphs, which calls at once have not
        return


def _draw_now(op: Op, arguments: dict[str, Any], backend: Any) -> Any:
    """A draw in the portable mode, outside any graph."""
    global _eager_depth
    from kcore import random
    from kcore.ops.random import draw

    key = random.eager_words(backend, arguments["seed"])
    _eager_depth += 1
    try:
        return draw(op.name, key, arguments, backend.capabilities.dtypes)
    finally:
        _eager_depth -= 1


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
            raise _no_tensor(value)
        own = dtypes.weak_dtype(value, config.floatx())
        return backend.asarray(np.asarray(value), dtype or own)
    if isinstance(value, np.generic):  # a number here, whose dtype is weak
        return backend.asarray(np.asarray(value), dtype)
    if dtype is not None and backend.spec_of(value).dtype != dtype:
        return REGISTRY["cast"].public(value, dtype)
    return value


__all__ = [
    "REGISTRY", "Dims", "MaybeTensor", "Op", "Subgraph", "Tensor", "TensorSpec", "Tensors", "apply", "as_symbolic",
    "composite", "constant_node", "holds_symbolic", "primitive", "run_eagerly", "spec_of",
]  # fmt: skip
