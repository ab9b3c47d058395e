"""The names that users add to the known ones: custom objects for a while (a scope), or for the process (registration).

One live dictionary holds both, as in Keras; `utils/objects.py` looks names up in it. A registered class or function is
called `package>Name` in configurations, which tf.keras 2 and Keras 3 understand when they have the same registration.
Nothing here knows what the objects are for.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Self, TypeVar

from kcore.errors import ArgumentError, ArgumentTypeError

_Object = TypeVar("_Object", bound=Callable[..., Any])

_custom_objects: dict[str, Any] = {}
_registered_names: dict[Any, str] = {}


class CustomObjectScope:
    """Makes custom objects known by name inside a with-block; afterwards everything is as it was.

    What is registered inside the block stays registered.

    Args:
        *args: dictionaries `{name: class or function}`.

    >>> with CustomObjectScope({"swish": abs}):
    ...     "swish" in get_custom_objects()
    True
    >>> "swish" in get_custom_objects()
    False
    """

    def __init__(self, *args: Mapping[str, Any] | None) -> None:
        self.custom_objects = args
        self.backup: dict[str, Any] | None = None

    def __enter__(self) -> Self:
        self.backup = dict(_custom_objects)
        for objects in self.custom_objects:
            _custom_objects.update(objects or {})
        return self

    def __exit__(self, *exception: object) -> None:
        registered = {name: item for item, name in _registered_names.items() if _custom_objects.get(name) is item}
        _custom_objects.clear()
        _custom_objects.update(self.backup or {})
        _custom_objects.update(registered)


def custom_object_scope(*args: Mapping[str, Any] | None) -> CustomObjectScope:
    """A `CustomObjectScope` of the given dictionaries."""
    return CustomObjectScope(*args)


def get_custom_objects() -> dict[str, Any]:
    """The live dictionary of custom objects in scope; change it to register names for the whole process."""
    return _custom_objects


def register_keras_serializable(package: str = "Custom", name: str | None = None) -> Callable[[_Object], _Object]:
    """A decorator that makes a class or function known as `package>name`, in configurations and files.

    Files written so are read wherever the same registration was made, without `custom_objects`, by tf.keras 2 and
    Keras 3 too. A later registration of the same name replaces the former.

    Args:
        package: what the names of one library or project begin with.
        name: of the object; its `__name__` when None.

    Raises:
        ArgumentTypeError: the decorator was written without parentheses, or got neither a class nor a function.
        ArgumentError: the class has no `get_config`, or a name contains `>`.

    >>> @register_keras_serializable("shop")
    ... def double(x):
    ...     return 2 * x
    >>> get_registered_name(double)
    'shop>double'
    >>> get_registered_object("shop>double") is double
    True
    >>> forget_registered("shop>double")
    """
    if not isinstance(package, str):
        raise ArgumentTypeError(
            f"The package is a name, got {package!r}. Write the decorator with parentheses: "
            "`@register_keras_serializable()`."
        )

    def register(item: _Object) -> _Object:
        if not callable(item) or not (name or hasattr(item, "__name__")):
            raise ArgumentTypeError(f"Expected a class or a function to register, got {item!r}.")
        if inspect.isclass(item) and not hasattr(item, "get_config"):
            raise ArgumentError(
                f"Cannot register the class {item.__name__}, which does not have a get_config() method: a file could "
                "not say how to make it again."
            )
        own = item.__name__ if name is None else name
        for part in (package, own):
            if ">" in part:
                raise ArgumentError(f"The names of packages and objects cannot contain '>', got {part!r}.")
        registered = f"{package}>{own}"
        _registered_names[item] = registered
        _custom_objects[registered] = item
        return item

    return register


def forget_registered(name: str) -> None:
    """Undo the registration of a name; nothing happens when there is none."""
    item = _custom_objects.pop(name, None)
    if item is not None and _registered_names.get(item) == name:
        del _registered_names[item]


def get_registered_name(obj: Any) -> str:
    """The name that a class or function goes by in configurations: `package>Name` if registered, else its own.

    >>> get_registered_name(dict)
    'dict'
    """
    try:
        return _registered_names[obj]
    except (KeyError, TypeError):  # TypeError: no key of a dictionary
        return str(obj.__name__)


def get_registered_object(
    name: str, custom_objects: Mapping[str, Any] | None = None, module_objects: Mapping[str, Any] | None = None
) -> Any:
    """The object of that name, or None.

    Args:
        name: a registered name, or any other that the tables know.
        custom_objects: asked after the objects in scope and the registered ones.
        module_objects: asked last.
    """
    for table in (_custom_objects, custom_objects, module_objects):
        if table is not None and name in table:
            return table[name]
    return None
