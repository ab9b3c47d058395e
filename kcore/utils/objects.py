"""Names in configurations to objects and back: custom objects, and closed tables of known classes.

A configuration names classes and functions. A name is looked up in the caller's custom objects, then in those in
scope, then in the table of the room that reads it. Nothing that a file brought runs. Nothing is imported by name,
unless the caller trusts the file (`safe_mode=False`): then installed modules that it names.
"""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from kcore.errors import ArgumentError, UnknownNameError, suggestion
from kcore.utils.custom_objects import CustomObjectScope, get_custom_objects, get_registered_name

_trusts: ContextVar[bool] = ContextVar("trusts", default=False)


def has_arg(fn: Any, name: str, accept_all: bool = False) -> bool:
    """Whether `fn` takes an argument of that name by keyword.

    Args:
        fn: any callable.
        name: the argument.
        accept_all: what to say of a function that has no such parameter but takes `**kwargs`.

    >>> has_arg(lambda x, mask=None: x, "mask"), has_arg(lambda **k: k, "mask"), has_arg(lambda **k: k, "mask", True)
    (True, False, True)
    """
    try:
        of_class = inspect.ismethod(fn) and isinstance(fn.__self__, type)
        parameters = _parameters(fn) if of_class else inspect.signature(fn).parameters
    except (TypeError, ValueError):  # some builtins have no signature
        return False
    parameter = parameters.get(name)
    if parameter is None:
        return accept_all and any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    return parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)


@functools.lru_cache(maxsize=256)
def _parameters(fn: Any) -> Mapping[str, inspect.Parameter]:
    """Those of a class's method, such as `from_config`, which are asked for with each object in a configuration."""
    return inspect.signature(fn).parameters


def serialize_keras_object(instance: Any) -> Any:
    """`{"class_name", "config"}` of an object that has `get_config`, the name of a function or class, or None.

    Registered classes and functions are called `package>Name`.

    >>> serialize_keras_object(abs)
    'abs'
    """
    if instance is None:
        return None
    if hasattr(instance, "get_config") and not isinstance(instance, type):
        return {"class_name": get_registered_name(type(instance)), "config": instance.get_config()}
    if hasattr(instance, "__name__"):
        return get_registered_name(instance)
    raise ArgumentError(
        f"Cannot serialize {instance!r}: expected an object with `get_config()`, a function or a class."
    )


def find_object(
    name: str,
    module_objects: Mapping[str, Any] | None,
    custom_objects: Mapping[str, Any] | None,
    kind: str,
) -> Any:
    """The class or function of that name: the caller's, the scope's, or the table's. Raises UnknownNameError."""
    if not isinstance(name, str):
        raise ArgumentError(f"The name of a {kind} is text, got {_short(name)}.")
    for table in (custom_objects, get_custom_objects(), module_objects):
        if table is not None and name in table:
            return table[name]
    # Where a name was registered elsewhere, the caller may give the object by the part that he knows.
    own = name.rpartition(">")[2]
    if own != name and custom_objects is not None and own in custom_objects:
        return custom_objects[own]
    known = sorted(k for k in (module_objects or {}) if not k.startswith("_"))
    hint = suggestion(name, known)
    listed = ", ".join(known) if known else "none"
    name = name[:200]
    raise UnknownNameError(
        f"Unknown {kind}: {name}.{hint} Pass your own in `custom_objects={{{name!r}: ...}}`. Known: {listed}."
    )


def deserialize_keras_object(
    identifier: Any,
    module_objects: Mapping[str, Any] | None = None,
    custom_objects: Mapping[str, Any] | None = None,
    printable_module_name: str = "object",
    makers: Collection[str] = (),
) -> Any:
    """The object that a configuration describes, or the function or class that a name means.

    Args:
        identifier: `{"class_name": ..., "config": {...}}`, a name, or None.
        module_objects: the table of known names.
        custom_objects: the caller's own names; they win.
        printable_module_name: what the error calls the kind of object.
        makers: the functions of the table that make an object, as a class does; `class_name` may name no others.

    Raises:
        UnknownNameError: nothing is known by the name, or no class where a class is named.
        ArgumentError: the identifier is neither a name nor a configuration.
    """
    if identifier is None:
        return None
    if isinstance(identifier, Mapping):
        if "class_name" not in identifier or "config" not in identifier:
            raise ArgumentError(
                f"A configuration of {printable_module_name} has the keys 'class_name' and 'config'; "
                f"got {_short(identifier)}."
            )
        name, config = identifier["class_name"], identifier["config"]
        target = _find(identifier, module_objects, custom_objects, printable_module_name)
        if isinstance(config, Mapping) and not all(isinstance(key, str) for key in config):
            raise ArgumentError(f"The arguments of {printable_module_name} {name!r} have names, got {_short(config)}.")
        if not isinstance(target, type) and name not in makers and _is_of(module_objects, name, target):
            raise UnknownNameError(f"Unknown {printable_module_name}: {name!r} is a function, where a class is needed.")
        return _instantiate(target, config, custom_objects or {})
    if isinstance(identifier, str):
        return find_object(identifier, module_objects, custom_objects, printable_module_name)
    raise ArgumentError(
        f"Could not interpret serialized {printable_module_name}: {_short(identifier)}. Expected a name or a "
        "dictionary."
    )


def _find(
    identifier: Mapping[str, Any],
    module_objects: Mapping[str, Any] | None,
    custom_objects: Mapping[str, Any] | None,
    kind: str,
) -> Any:
    """What a configuration names; from a module where the caller trusts the file and nothing else answers."""
    try:
        return find_object(identifier["class_name"], module_objects, custom_objects, kind)
    except UnknownNameError as error:
        found = import_object(identifier.get("module"), identifier["class_name"])
        if found is None:
            raise
        if not isinstance(found, type):
            raise UnknownNameError(f"{identifier['class_name']!r} of {identifier['module']!r} is no class.") from error
        return found


def _is_of(table: Mapping[str, Any] | None, name: str, target: Any) -> bool:
    return table is not None and name in table and table[name] is target


@contextmanager
def trusting(trust: bool) -> Iterator[None]:
    """A block in which configurations may name classes and functions of installed modules, if `trust` is true.

    Only what a configuration names together with its module is imported, and only when no table knows it.
    """
    token = _trusts.set(trust)
    try:
        yield
    finally:
        _trusts.reset(token)


def import_object(module: Any, name: Any) -> Any:
    """The class or function of an installed module, where the caller trusts the file (`trusting`); else None.

    Raises UnknownNameError when the caller does and there is no such module, or no class or function in it.
    """
    if not _trusts.get() or not isinstance(module, str) or not isinstance(name, str) or module.startswith("keras"):
        return None
    own = name.rpartition(">")[2]
    try:
        found = getattr(importlib.import_module(module), own)
    except (ImportError, AttributeError, ValueError) as error:
        raise UnknownNameError(f"The file names {own!r} of the module {module!r}: {error}.") from error
    if not isinstance(found, type) and not inspect.isroutine(found):
        raise UnknownNameError(f"The file names {own!r} of the module {module!r}, which is no class or function.")
    return found


def as_configuration(identifier: Any) -> Any:
    """A name as the configuration of an object made without arguments; anything else as it is.

    >>> as_configuration("l2")
    {'class_name': 'l2', 'config': {}}
    """
    return {"class_name": identifier, "config": {}} if isinstance(identifier, str) else identifier


def resolve(identifier: Any, deserialize: Callable[[Any], Any], kind: str, expected: str) -> Any:
    """What a name or a configuration stands for, or the function or object given itself: the `get` of each room.

    Args:
        identifier: what the user gave.
        deserialize: the room's own.
        kind: what the error calls it.
        expected: what the error says to give.
    """
    if isinstance(identifier, (str, Mapping)):
        return deserialize(identifier)
    if callable(identifier):
        return identifier
    raise ArgumentError(f"Could not interpret {kind} identifier: {identifier!r}. Expected {expected}.")


def _instantiate(target: Any, config: Any, custom_objects: Mapping[str, Any]) -> Any:
    # In scope too: what `from_config` makes may make objects of configurations in its turn (Bidirectional does).
    with CustomObjectScope(custom_objects):
        if hasattr(target, "from_config"):
            if has_arg(target.from_config, "custom_objects"):
                return target.from_config(config, custom_objects={**get_custom_objects(), **custom_objects})
            return target.from_config(config)
        if not config and _needs_arguments(target):  # the object itself: an initializer `f(shape, dtype)`
            return target
        return target(**config)  # a function that makes the object


def _needs_arguments(fn: Any) -> bool:
    """Whether a function cannot be called without arguments."""
    if not inspect.isfunction(fn):
        return False
    parameters = inspect.signature(fn).parameters.values()
    return any(p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters)


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 300 else f"{shown[:300]}..."
