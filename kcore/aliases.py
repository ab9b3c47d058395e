"""`import keras` and `import tensorflow.keras` answered by kcore, in a process that asked for it.

`python -m kcore script.py` installs this finder, so that Keras 2 scripts run unmodified. An aliased module
*is* the kcore module (`keras.layers is kcore.layers`), not a copy. Nothing else in the core imports this.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
import types
from collections.abc import Sequence
from typing import Any, Final

from kcore.errors import KcoreError

# Import name -> package that answers. These are names of interfaces that scripts use, not of backends.
ALIASES: Final[dict[str, str]] = {"keras": "kcore", "tensorflow.keras": "kcore"}

# Packages that own an aliased submodule: parent -> {attribute: answering package}.
_PARENTS: Final[dict[str, dict[str, str]]] = {
    alias.rpartition(".")[0]: {alias.rpartition(".")[2]: package}
    for alias, package in ALIASES.items()
    if "." in alias
}


def real_name(fullname: str) -> str | None:
    """Return the kcore module that answers for an aliased name, or None when the name is not aliased.

    >>> real_name("keras.layers.core")
    'kcore.layers.core'
    >>> real_name("keras_tuner") is None
    True
    """
    for alias, package in ALIASES.items():
        if fullname == alias or fullname.startswith(f"{alias}."):
            return package + fullname[len(alias) :]
    return None


def _exists(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # the parent is no package
        return False


class _AliasLoader(importlib.abc.Loader):
    """Puts the real module under the aliased name, leaving the module's own attributes alone."""

    def __init__(self, real: str) -> None:
        self.real = real

    def exec_module(self, module: types.ModuleType) -> None:
        # importlib takes what sys.modules holds after this; returning the real module from create_module
        # instead would have its __spec__ overwritten.
        sys.modules[module.__name__] = importlib.import_module(self.real)


class _Stub(types.ModuleType):
    """Stands in for a package that is not installed, of which only the aliased part exists."""

    def __getattr__(self, name: str) -> Any:
        if name in _PARENTS.get(self.__name__, {}):
            return importlib.import_module(f"{self.__name__}.{name}")
        raise AttributeError(
            f"{self.__name__!r} is not installed; `python -m kcore` stands in for {', '.join(ALIASES)} only, "
            f"so there is no {self.__name__}.{name}"
        )


class _StubLoader(importlib.abc.Loader):
    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return _Stub(spec.name, "A stand-in made by kcore; see kcore.aliases.")

    def exec_module(self, module: types.ModuleType) -> None:
        """Nothing to run."""


class AliasFinder(importlib.abc.MetaPathFinder):
    """The import hook; see the module's docstring."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Answer for aliased names and for the packages that hold one; leave all others alone."""
        if fullname in _PARENTS:
            return self._parent_spec(fullname, path, target)
        real = real_name(fullname)
        if real is None or not _exists(real):
            return None
        return importlib.machinery.ModuleSpec(fullname, _AliasLoader(real))

    def _parent_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None
    ) -> importlib.machinery.ModuleSpec | None:
        """The installed package with its aliased attribute replaced, or a stub when it is not installed."""
        others = (finder for finder in sys.meta_path if finder is not self)
        found = (spec for finder in others if (spec := finder.find_spec(fullname, path, target)) is not None)
        spec = next(found, None)
        if spec is None or spec.loader is None:
            return importlib.machinery.ModuleSpec(fullname, _StubLoader(), is_package=True)
        run = spec.loader.exec_module

        def run_then_alias(module: types.ModuleType) -> None:
            run(module)
            for attribute, package in _PARENTS[fullname].items():
                setattr(module, attribute, importlib.import_module(package))

        # On this loader object only: it keeps its class, which resources and tracebacks look at.
        spec.loader.exec_module = run_then_alias  # type: ignore[method-assign]
        return spec


def install() -> None:
    """Answer for the aliased names from now on, in this process. A second call changes nothing.

    Raises:
        KcoreError: one of the names has been imported already, so part of the program would not see kcore.
    """
    if any(isinstance(finder, AliasFinder) for finder in sys.meta_path):
        return
    early = sorted(name for name in sys.modules if name in ALIASES or name in _PARENTS)
    if early:
        raise KcoreError(
            f"{', '.join(early)} imported before kcore's aliases were installed; install them first."
        )
    sys.meta_path.insert(0, AliasFinder())


def uninstall() -> None:
    """Take the aliases back and forget the modules imported through them."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, AliasFinder)]
    for name in [
        name for name, module in sys.modules.items() if real_name(name) or isinstance(module, _Stub)
    ]:
        del sys.modules[name]
