"""What a property is, and the handling of examples that properties share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from kcore.backend.active import backend_scope
from kcore.graph import function
from kcore.ops import dtypes
from kcore.ops.spec import Op

Arguments = dict[str, Any]


def _cases(op: Op) -> Any:
    return op.cases


def _nothing(op: Op, names: frozenset[str]) -> Sequence[Arguments]:
    return ()


@dataclass(frozen=True)
class Property:
    """A property of ops.

    Attributes:
        name: what reports call it.
        applies: whether it is one of an op (on the active backend).
        run: `run(backend, op, arguments)` raises when it does not hold.
        share: of the setting's examples: compiling ones are dear. 0 where only listed examples are tried.
        level: of its own (gradients); None for the op's level.
        cases: what examples are drawn from.
        listed: examples that are tried in every setting, of the backend's dtypes.
        compiling: the share on backends that compile, where it is another: to compile for one example is dear, for
            several together it is not.
        together: `together(backend, op, examples)` raises when it does not hold for some of them: one function for all
            where each one would be compiled. What it says of one example is what `run` says. None: no such way.
    """

    name: str
    applies: Callable[[Op], bool]
    run: Callable[[Any, Op, Arguments], None]
    share: float = 1.0
    level: int | None = None
    cases: Callable[[Op], Callable[..., Arguments]] = _cases
    listed: Callable[[Op, frozenset[str]], Iterable[Arguments]] = _nothing
    together: Callable[[Any, Op, Sequence[Arguments]], None] | None = None
    compiling: float | None = None

    def share_on(self, backend: Any) -> float:
        """The share of the setting's examples that it gets on a backend (which may lack members: level 0 tells)."""
        compiles = getattr(getattr(backend, "capabilities", None), "compiles", False)
        return self.compiling if compiles and self.compiling is not None else self.share


def copied(arguments: Arguments) -> Arguments:
    """The arguments with arrays of their own."""
    return {
        k: v.copy() if isinstance(v, np.ndarray) else [np.copy(x) for x in v] if _arrays(v) else v
        for k, v in arguments.items()
    }


def _arrays(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(x, np.ndarray) for x in value)


def reference(op: Op, arguments: Arguments) -> list[np.ndarray]:
    """The reference's answer: the op run at once on the NumPy backend."""
    with backend_scope("numpy"), np.errstate(all="ignore"):
        # In the scope: without tensor operands a result is symbolic, and is computed here.
        return [np.asarray(x) for x in results(op, op.public(**copied(arguments)))]


def results(op: Op, result: Any) -> list[Any]:
    """The results of a call as a list."""
    return list(result) if op.multiple else [result]


def on_host(backend: Any, value: Any) -> np.ndarray:
    """A native result as an array; shapes are NumPy's, and an op without tensors gives a symbolic one: evaluated."""
    return np.asarray(backend.to_numpy(value) if backend.is_native(value) else value)


def operands(op: Op, arguments: Arguments) -> list[Any]:
    """Tensor operands in order, lists flattened, without None."""
    return [
        x
        for p in op.tensor_params
        for x in (arguments.get(p) or [] if op.kinds[p] == "tensors" else [arguments.get(p)])
        if x is not None
    ]


def replaced(op: Op, arguments: Arguments, make: Callable[[np.ndarray], Any],
             static: Callable[[np.ndarray], Any] | None = None) -> Arguments:  # fmt: skip
    """The arguments with each tensor operand replaced: by `make(array)`, or `static(array)` where the shape counts."""
    out = dict(arguments)
    for p in op.tensor_params:
        value = arguments.get(p)
        made = static if static is not None and p in op.static else make
        if op.kinds[p] == "tensors":
            out[p] = [made(np.asarray(x)) for x in value or []]
        elif value is not None:
            out[p] = made(np.asarray(value))
    return out


def natives(backend: Any, op: Op, arguments: Arguments) -> Arguments:
    """The arguments with native tensors."""
    return replaced(op, arguments, lambda a: backend.asarray(a, dtypes.name_of(a.dtype)))


def symbolic(
    op: Op, arguments: Arguments, *, unknown: bool = False, narrowed: Mapping[str, str] = MappingProxyType({})
) -> tuple[Arguments, list[Any], list[np.ndarray]]:
    """The arguments with placeholders in place of arrays, those placeholders, and what to feed them.

    Args:
        op: the op.
        arguments: its arguments.
        unknown: whether the placeholders' sizes are unknown.
        narrowed: dtypes of placeholders where they are not the arrays'.
    """
    feeds: list[np.ndarray] = []
    placeholders: list[Any] = []

    def placeholder(a: np.ndarray, *, vague: bool = unknown) -> Any:
        dtype = dtypes.name_of(a.dtype)
        feeds.append(a)
        shape = [None] * a.ndim if vague else a.shape
        placeholders.append(function.placeholder(shape, narrowed.get(dtype, dtype)))
        return placeholders[-1]

    made = replaced(op, arguments, placeholder, lambda a: placeholder(a, vague=False))
    return made, placeholders, feeds


@dataclass(frozen=True)
class Call:
    """One example's part of a function.

    Attributes:
        outputs: symbolic tensors, of any number.
        placeholders: what they are computed from.
        feeds: a value for each placeholder.
    """

    outputs: Sequence[Any]
    placeholders: Sequence[Any]
    feeds: Sequence[Any]


def run_together(calls: Sequence[Call]) -> list[list[np.ndarray]]:
    """Arrays for each call's outputs, computed by one function: where functions are compiled, that is done once."""
    return _parted(calls, lambda joined, feeds: joined(feeds))


def run_native_together(backend: Any, calls: Sequence[Call]) -> list[list[Any]]:
    """Native results for each call's outputs, computed by one function."""
    return _parted(calls, lambda joined, feeds: joined.run_native(feeds, 0, backend))


def _parted(calls: Sequence[Call], run: Callable[[function.Function, list[Any]], Sequence[Any]]) -> list[list[Any]]:
    outputs = [x for call in calls for x in call.outputs]
    if not outputs:
        return [[] for _ in calls]
    joined = function.Function([p for call in calls for p in call.placeholders], outputs)
    found = iter(run(joined, [x for call in calls for x in call.feeds]))
    return [[next(found) for _ in call.outputs] for call in calls]


def is_finite(op: Op, arguments: Arguments) -> bool:
    """Whether no operand has an infinity or NaN."""
    return all(np.isfinite(a).all() for a in map(np.asarray, operands(op, arguments)) if a.dtype.kind == "f")
