"""Declared deviations: what a backend's author knows to be wrong, as data in the backend's own package.

A module `<package>.deviations` holds `DEVIATIONS`, a list of `Deviation`. Each is run as a strict expected failure: one
that no longer fails is an error, so that the list never outlives its reasons. What it does not cover must still pass.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from kcore.errors import ArgumentError
from kcore.ops import dtypes
from kcore.ops.spec import Op
from kcore_conformance.plan import Unit
from kcore_conformance.result import DeviationNote

Kind = Literal["todo", "upstream", "never"]


@dataclass(frozen=True, eq=False)
class Deviation:
    """One known difference from the contract.

    Attributes:
        op: the op's name, or the topic of a check.
        aspect: the property that fails.
        kind: "todo" (will be mended), "upstream" (the framework's fault), "never" (out of the backend's reach).
        reason: why, in a sentence.
        dtypes: covers only examples with an operand (or a `dtype` argument) of one of these; () for any.
        example: arguments that show it, by name or in the op's declared order; () where any covered example does.
        link: an upstream report.
        where: narrows further: says of arguments by name whether it covers them.

    >>> Deviation("gather", "eager", "upstream", "clamps negative indices", dtypes=("int64",),
    ...           example={"params": np.zeros(3, "float32"), "indices": np.asarray([-1])}).kind
    'upstream'
    """

    op: str
    aspect: str
    kind: Kind
    reason: str
    dtypes: tuple[str, ...] = ()
    example: Mapping[str, Any] | tuple[Any, ...] = ()
    link: str = ""
    where: Callable[[Mapping[str, Any]], bool] | None = None

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ArgumentError(
                f"A deviation's kind is one of {', '.join(map(repr, get_args(Kind)))}; that of {self.op}, "
                f"{self.aspect} is {self.kind!r}."
            )
        if not self.reason.strip():
            raise ArgumentError(f"The deviation of {self.op}, {self.aspect} gives no reason; say why in a sentence.")

    @property
    def whole(self) -> bool:
        """Whether it covers every example of its property."""
        return not self.dtypes and self.where is None

    @property
    def note(self) -> DeviationNote:
        """What reports tell of it."""
        return DeviationNote(self.kind, self.reason, self.link, self.dtypes)

    def concerns(self, unit: Unit) -> bool:
        """Whether it is about this unit."""
        return self.op == unit.subject and self.aspect == unit.prop

    def covers(self, arguments: Mapping[str, Any]) -> bool:
        """Whether these arguments may fail on its account."""
        if self.dtypes and not set(self.dtypes) & set(_dtypes_in(arguments)):
            return False
        return self.where is None or bool(self.where(arguments))

    def pinned(self, op: Op) -> dict[str, Any] | None:
        """The pinned example as arguments by name, or None where none is given."""
        if isinstance(self.example, Mapping):
            return dict(self.example)
        return dict(zip(op.params, self.example, strict=False)) if self.example else None


def _dtypes_in(arguments: Mapping[str, Any]) -> Iterable[str]:
    for name, value in arguments.items():
        for x in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(x, (np.ndarray, np.generic)):
                yield dtypes.name_of(x.dtype)
        if isinstance(value, str) and name.endswith("dtype"):
            yield value


def declared_by(backend: Any) -> Sequence[Deviation]:
    """The deviations that a backend's package declares."""
    own = getattr(backend, "deviations", None)
    if own is not None:
        return tuple(own)
    name = f"{type(backend).__module__.split('.')[0]}.deviations"
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        return ()
    return tuple(module.DEVIATIONS)
