"""What an op is: one declaration, read by graph lowering, backends and the conformance suite.

A parameter's annotation says what it takes: `Tensor`, `Tensors` (a list), `MaybeTensor` (or None), `Dims` (a shape that
may hold symbolic integers); all others are static attributes. Nothing here computes.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar

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
