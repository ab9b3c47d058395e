"""Emitted code: its text, what the names in it mean, and compiled code, once for all functions that have the same.

Two models of the same layers emit the same text, but for the names of their layers. `compiled` keeps what was last
compiled, by the text with its names numbered, so that a model that is built again (after `K.clear_session`, in a
search, in cross-validation) need not wait for a compiler again, and frameworks that never give back what they compiled
do not grow. Nothing here knows variables: weights, seeds and keys are arguments of the code.
"""

from __future__ import annotations

import hashlib
import itertools
import linecache
import math
import re
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from types import MethodType
from typing import Any

import numpy as np

from kcore import config

#: So many pieces of code are kept for functions to come; those in use live as long as their functions anyway.
KEPT = 64
#: Functions with more bytes of constants than this are not kept: their constants would be.
CONSTANTS_KEPT = 2**18
#: Names with a meaning of their own in emitted code, which no value may take.
RESERVED = frozenset({"asarray", "assign", "copy", "fold_key", "inputs", "key", "params", "read", "slice", "state",
                      "static_dims", "value_and_grad", "zeros_like"})  # fmt: skip

_serial = itertools.count(1)
_kept: OrderedDict[Hashable, Compiled] = OrderedDict()
_TEXT_OR_NAME = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[^\W\d]\w*""")


class Code:
    """The text of one executable and the objects that its global names stand for.

    Args:
        name: of the function in it.
        lines: its body.
        meanings: the global names: for each (the object, what makes another object the same). Objects that are the
            same to no other have None there; a function with such a one is compiled by itself.
        chosen: the names that the emitter chose, which are the same as any others.
    """

    def __init__(
        self, name: str, lines: Sequence[str], meanings: Mapping[str, tuple[Any, Hashable]], chosen: frozenset[str]
    ) -> None:
        self.name = name
        self.source = "\n".join([f"def {name}(state, params, inputs, key):", *lines, ""])
        self.meanings = meanings
        self.chosen = chosen

    def identity(self) -> Hashable:
        """What is equal for code that computes the same, None for code that is like no other."""
        if any(same is None for _, same in self.meanings.values()):
            return None
        numbers: dict[str, str] = {}

        def numbered(match: re.Match[str]) -> str:
            found = match[0]
            return numbers.setdefault(found, f"_{len(numbers)}") if found in self.chosen else found

        text = _TEXT_OR_NAME.sub(numbered, self.source)
        return text, tuple((numbers.get(name, name), same) for name, (_, same) in self.meanings.items())

    def load(self, backend_name: str) -> Callable[..., Any]:
        """The function itself. Its text is found by debuggers and tracebacks as long as it lives."""
        filename = f"<kcore {self.name} {next(_serial)} on {backend_name}>"
        namespace = {name: value for name, (value, _) in self.meanings.items()}
        exec(compile(self.source, filename, "exec"), namespace)  # noqa: S102 - our own emitted source
        function: Callable[..., Any] = namespace[self.name]
        weakref.finalize(function, linecache.cache.pop, filename, None)
        return function


class Compiled:
    """Code made ready by a backend. It holds no variables, and serves any number of functions.

    Attributes:
        function: the emitted Python function.
        call: "value" style: `call(state, params, inputs, key)`.
        bind: "ref" style: `bind(state=..., params=...)` gives `call(inputs, key)`.
    """

    bind: Callable[..., Any]

    def __init__(self, backend: Any, code: Code, name: str, finalizes: bool) -> None:
        self.backend = backend
        self.source = code.source
        self.meanings = code.meanings  # alive, so that their ids belong to no other objects
        self.function = function = code.load(backend.name)
        if backend.state_style == "value":
            self.call = backend.finalize(function, name=name, state=(), params=()) if finalizes else function
        elif not finalizes:
            self.bind = lambda state, params: lambda inputs, key: function(state, params, inputs, key)
        elif hasattr(backend, "prepare"):
            self.bind = backend.prepare(function, name=name)
        else:
            self.bind = lambda state, params: backend.finalize(function, name=name, state=state, params=params)

    def show(self) -> None:
        """Let debuggers and tracebacks find the text (`K.clear_session` makes them forget it)."""
        filename = self.function.__code__.co_filename
        linecache.cache[filename] = (len(self.source), None, self.source.splitlines(True), filename)


def compiled(backend: Any, code: Code, specs: Hashable, name: str, finalizes: bool) -> Compiled:
    """The code made ready, or what was kept of the same code for values of the same specs.

    Args:
        backend: runs it.
        code: what was emitted.
        specs: shapes, dtypes and places of all that the code is given.
        name: of the K.function, for the backend's own tools.
        finalizes: whether the backend finalizes it. What runs kernel by kernel, here or on the backend, is not kept.
    """
    identity = code.identity() if finalizes and backend.capabilities.compiles else None
    if identity is None:
        made = Compiled(backend, code, name, finalizes)
    else:
        settings: Hashable = backend.compile_settings() if hasattr(backend, "compile_settings") else None
        key: Hashable = (id(backend), name, settings, config.floatx(), specs, identity)
        found = _kept.pop(key, None)
        made = _kept[key] = found if found is not None else Compiled(backend, code, name, finalizes)
        while len(_kept) > KEPT:
            _kept.popitem(last=False)
    made.show()
    return made


def forget() -> None:
    """Keep no compiled code for functions to come."""
    _kept.clear()


# --- what makes objects the same --------------------------------------------------------------------------------------


def same_object(value: Any) -> Hashable:
    """For functions: the object itself, or for a method, its object and its function."""
    return (id(value.__self__), id(value.__func__)) if isinstance(value, MethodType) else id(value)


def same_array(array: np.ndarray, dtype: str) -> Hashable:
    """For constants: the values and the dtype they are declared with."""
    return dtype, array.dtype.str, array.shape, hashlib.sha256(array.tobytes()).digest()


def same_number(value: Any) -> Hashable:
    """For attributes that have no literal: numbers such as infinity; None for anything else."""
    return (type(value).__name__, repr(value)) if isinstance(value, (float, complex, np.generic)) else None


def is_literal(value: Any) -> bool:
    """Whether `repr(value)` is Python source of the value."""
    if isinstance(value, (tuple, list)):
        return all(is_literal(x) for x in value)
    if isinstance(value, slice):
        return all(is_literal(x) for x in (value.start, value.stop, value.step))
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or value is Ellipsis or type(value) in (bool, int, str)
