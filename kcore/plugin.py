"""Backends as plug-ins: what they declare, how they are found, checked and loaded.

A backend is known to the core only by name, through an entry point of the group `kcore.backends` or a call
of `register`. Listing imports no framework; loading imports exactly the one asked for. The hooks themselves
are in `kcore.hookspecs`, the one module of the core that imports pluggy at its top.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import re
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from kcore import config
from kcore.errors import (
    BackendError,
    BackendNotFoundError,
    BackendVersionError,
    DuplicateBackendError,
    MissingFrameworkError,
    suggestion,
)

if TYPE_CHECKING:
    import pluggy

    from kcore.hookspecs import hookimpl  # noqa: F401 - given by __getattr__

# The version of the Backend protocol. Raised when a plug-in written for the old one would misbehave.
BACKEND_API: Final = 1

BACKEND_GROUP: Final = "kcore.backends"
EXTENSION_GROUP: Final = "kcore.extensions"

# Backends that the core brings along: name -> module with hook implementations.
BUILT_IN: Final[dict[str, str]] = {"numpy": "kcore.backend.reference.plugin"}
CORE_SOURCE: Final = "kcore (built in)"
PROGRAM_SOURCE: Final = "registered by the program"


def __getattr__(name: str) -> Any:
    # `from kcore.plugin import hookimpl` works too, without importing pluggy for everybody else.
    if name == "hookimpl":
        return importlib.import_module("kcore.hookspecs").hookimpl
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@dataclass(frozen=True)
class BackendInfo:
    """What a backend says about itself without importing its framework.

    Attributes:
        name: the name users write in `KERAS_BACKEND`; equals the entry point's name.
        version: version of the plug-in.
        framework: distribution name of the framework it drives.
        requires: the pip requirement that installs the framework, for error messages.
        api: the `BACKEND_API` that the plug-in was written for.
        description: one line for `python -m kcore backends`.
        aliases: other names that users may write.
        alternatives: other distributions that provide the same framework (CPU builds, nightlies).
        capabilities: free facts, for instance `{"state": "value", "autodiff": "native"}`.
        conformance: the conformance level that the authors measured, if any.
    """

    name: str
    version: str
    framework: str
    requires: str
    api: int
    description: str = ""
    aliases: tuple[str, ...] = ()
    alternatives: tuple[str, ...] = ()
    capabilities: Mapping[str, Any] = field(default_factory=dict)
    conformance: int | None = None

    def installed_framework(self) -> tuple[str, str] | None:
        """Return (distribution, version) of the framework as installed, or None."""
        for distribution in (self.framework, *self.alternatives):
            try:
                return distribution, importlib.metadata.version(distribution)
            except importlib.metadata.PackageNotFoundError:
                continue
        return None


@dataclass(frozen=True)
class ListedBackend:
    """One line of the list of backends; exactly one of `info` and `error` is set."""

    name: str
    source: str
    info: BackendInfo | None = None
    error: str | None = None


@dataclass(frozen=True)
class _Claim:
    """Somebody says to provide the backend `name`; `fetch` imports the hook implementations."""

    name: str
    source: str
    fetch: Callable[[], Any]


_lock = threading.RLock()
_registered: dict[str, _Claim] = {}
_loaded: dict[str, Any] = {}


# --- finding --------------------------------------------------------------------------------------


def _entry_points(group: str) -> Iterable[importlib.metadata.EntryPoint]:
    return importlib.metadata.entry_points(group=group)


def _source(point: importlib.metadata.EntryPoint) -> str:
    dist = point.dist
    return f"{dist.name} {dist.version}" if dist is not None else f"entry point {point.value}"


def _importer(module: str) -> Callable[[], Any]:
    return lambda: importlib.import_module(module)


def _claims() -> dict[str, list[_Claim]]:
    """Everybody who claims a backend name, by name; more than one is a conflict for that name only."""
    claims: dict[str, list[_Claim]] = {}
    for name, module in BUILT_IN.items():
        claims.setdefault(name, []).append(_Claim(name, CORE_SOURCE, _importer(module)))
    for claim in _registered.values():
        claims.setdefault(claim.name, []).append(claim)
    for point in _entry_points(BACKEND_GROUP):
        claims.setdefault(point.name, []).append(_Claim(point.name, _source(point), point.load))
    return claims


def _only(claims: list[_Claim]) -> _Claim:
    if len(claims) > 1:
        sources = " and ".join(claim.source for claim in claims)
        raise DuplicateBackendError(
            f"The backend name {claims[0].name!r} is claimed by {sources}. Uninstall all but one of them."
        )
    return claims[0]


def _describe(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"  # one line, whatever the plug-in wrote


def _manager(claim: _Claim) -> pluggy.PluginManager:
    """Return a plugin manager that holds this one plug-in alone, so that a broken one breaks no other."""
    import pluggy

    from kcore import hookspecs

    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    try:
        manager.register(claim.fetch(), name=claim.name)
    except Exception as error:
        raise BackendError(
            f"The plug-in {claim.name!r} ({claim.source}) cannot be imported: {_describe(error)}. "
            "Reinstall or remove that package."
        ) from error
    return manager


def _info(claim: _Claim) -> BackendInfo:
    """Ask a plug-in for its BackendInfo and check it."""
    where = f"The plug-in {claim.name!r} ({claim.source})"
    manager = _manager(claim)
    try:
        answers = manager.hook.kcore_backend_info()
    except Exception as error:
        raise BackendError(f"{where} fails in kcore_backend_info: {_describe(error)}.") from error
    if len(answers) != 1 or not isinstance(answers[0], BackendInfo):
        raise BackendError(f"{where} must return one BackendInfo from kcore_backend_info; got {answers!r}.")
    info: BackendInfo = answers[0]
    if info.name != claim.name:
        raise BackendError(
            f"{where} calls itself {info.name!r} in its BackendInfo. Entry point and info must agree."
        )
    return info


def _listed(claims: list[_Claim]) -> ListedBackend:
    sources = ", ".join(claim.source for claim in claims)
    try:
        return ListedBackend(claims[0].name, sources, info=_info(_only(claims)))
    except BackendError as error:
        return ListedBackend(claims[0].name, sources, error=str(error))


def catalogue() -> list[ListedBackend]:
    """Return every backend that is installed or registered, by name, the broken ones with their error.

    No framework is imported.
    """
    with _lock:
        return [_listed(claims) for _, claims in sorted(_claims().items())]


def discover() -> dict[str, BackendInfo]:
    """Return the usable backends by name. No framework is imported; broken plug-ins are left out.

    `catalogue` tells what is wrong with the ones left out, and `load` raises it.
    """
    return {listed.name: listed.info for listed in catalogue() if listed.info is not None}


# --- registering ----------------------------------------------------------------------------------


def register(plugin: Any) -> BackendInfo:
    """Add a backend for this process, without an entry point.

    Args:
        plugin: a module or object with `hookimpl` functions `kcore_backend_info` and `kcore_load_backend`.

    Returns:
        What the plug-in says about itself.

    Raises:
        DuplicateBackendError: the name is taken, by an installed plug-in or an earlier call.
        BackendError: the plug-in gives no valid BackendInfo.
    """
    name = _name_of(plugin)
    claim = _Claim(name, PROGRAM_SOURCE, lambda: plugin)
    info = _info(claim)
    with _lock:
        _only([*_claims().get(name, []), claim])
        _registered[name] = claim
    return info


def _name_of(plugin: Any) -> str:
    ask = getattr(plugin, "kcore_backend_info", None)
    if ask is None:
        raise BackendError(
            f"{plugin!r} is no backend plug-in: it has no function kcore_backend_info. See kcore.hookspecs."
        )
    info = ask()
    if not isinstance(info, BackendInfo):
        raise BackendError(
            f"kcore_backend_info of {plugin!r} must return a BackendInfo; it returned {info!r}."
        )
    return info.name


def unregister(name: str) -> None:
    """Take back a `register`; a backend object handed out earlier lives on with whoever holds it.

    Raises:
        BackendNotFoundError: no backend of that name was registered by the program.
    """
    with _lock:
        if name not in _registered:
            raise BackendNotFoundError(f"No backend {name!r} was registered by the program.")
        del _registered[name]
        gone = _loaded.get(name)
        for known in [known for known, backend in _loaded.items() if backend is gone]:
            del _loaded[known]  # aliases too


# --- loading --------------------------------------------------------------------------------------


def _not_found(name: str, claims: Mapping[str, Any], asked_by: str | None) -> BackendNotFoundError:
    installed = ", ".join(map(repr, sorted(claims)))
    who = f" (asked for by {asked_by})" if asked_by else ""
    # The name may be any text; only a plausible one belongs into a command to copy.
    remedy = (
        f' Install it with: pip install "kcore[{name}]", or with the package of its authors.'
        if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name)
        else ""
    )
    return BackendNotFoundError(
        f"No backend {name!r} is installed{who}. Installed: {installed}.{suggestion(name, claims)}{remedy}"
    )


def _find(name: str, asked_by: str | None) -> _Claim:
    claims = _claims()
    if name in claims:
        return _only(claims[name])
    # Only now, so that loading by the proper name imports no other plug-in.
    listed = [_listed(same_name) for same_name in claims.values()]
    owners = [claims[one.name][0] for one in listed if one.info is not None and name in one.info.aliases]
    if len(owners) > 1:
        names = " and ".join(f"{owner.name!r} ({owner.source})" for owner in owners)
        raise DuplicateBackendError(
            f"The backend alias {name!r} is claimed by {names}. Use one of these names."
        )
    if owners:
        return owners[0]
    raise _not_found(name, claims, asked_by)


def canonical_name(name: str) -> str:
    """Return the backend's own name for a name or alias.

    Raises:
        BackendNotFoundError: no such backend is installed.
        DuplicateBackendError: several plug-ins claim it.
    """
    with _lock:
        return _find(name, None).name


def _check_api(claim: _Claim, info: BackendInfo) -> None:
    if info.api == BACKEND_API:
        return
    newer_core = isinstance(info.api, int) and info.api < BACKEND_API
    package = claim.source.split(" ")[0] if newer_core else "kcore"
    raise BackendVersionError(
        f"The backend {claim.name!r} ({claim.source}) is written for backend API {info.api}, this kcore has "
        f"{BACKEND_API}. Upgrade {package}: pip install --upgrade {package}"
    )


def _missing_framework(claim: _Claim, info: BackendInfo, error: Exception) -> MissingFrameworkError:
    where = f"The backend {claim.name!r} ({claim.source}) cannot be loaded"
    found = info.installed_framework()
    if found is None:
        return MissingFrameworkError(
            f"{where}: its framework {info.framework} is not installed ({error}). "
            f'Install it with: pip install "{info.requires}"'
        )
    return MissingFrameworkError(
        f"{where}, although {' '.join(found)} is installed: {error}. "
        f"Reinstall the plug-in or the framework (it needs {info.requires})."
    )


def load(name: str, *, asked_by: str | None = None) -> Any:
    """Import a backend's framework and return its backend object; the same object each time.

    Args:
        name: the backend's name or one of its aliases.
        asked_by: where the name came from, for the error message.

    Raises:
        BackendNotFoundError: nothing of that name is installed; the installed ones are listed.
        DuplicateBackendError: several plug-ins claim the name.
        BackendVersionError: the plug-in was written for another BACKEND_API.
        MissingFrameworkError: the framework is not installed.
        BackendError: the plug-in fails in any other way.
    """
    with _lock:
        if name in _loaded:
            return _loaded[name]
        claim = _find(name, asked_by)
        if claim.name not in _loaded:
            _loaded[claim.name] = _load(claim)
        _loaded[name] = _loaded[claim.name]  # an alias is looked up once
        return _loaded[name]


def _load(claim: _Claim) -> Any:
    info = _info(claim)
    _check_api(claim, info)
    where = f"The backend {claim.name!r} ({claim.source})"
    try:
        with _seeds_untouched():
            answers = _manager(claim).hook.kcore_load_backend()
    except Exception as error:
        if isinstance(error, ImportError) or info.installed_framework() is None:
            raise _missing_framework(claim, info, error) from error
        raise BackendError(f"{where} fails while loading: {_describe(error)}.") from error
    if len(answers) != 1:
        raise BackendError(f"{where} must return one backend from kcore_load_backend; got {len(answers)}.")
    backend = answers[0]
    extra_ops()  # so that they are declared before anything is computed
    added = extra_kernels(claim.name)
    if added:
        backend.kernels = {**backend.kernels, **added}
    return backend


@contextmanager
def _seeds_untouched() -> Iterator[None]:
    """Frameworks may draw random numbers while they are imported; a seeded program must not notice when that is."""
    import random

    import numpy as np

    states = random.getstate(), np.random.get_state()  # noqa: NPY002 - what programs seed
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002


def loaded() -> list[Any]:
    """The backends that this process has loaded, each once."""
    return list({id(backend): backend for backend in _loaded.values()}.values())


def load_default() -> Any:
    """Load the backend that the environment or `keras.json` asks for (errors as `load`)."""
    choice = config.backend_choice()
    return load(choice.name, asked_by=choice.source)


# --- extensions -----------------------------------------------------------------------------------


def _extensions() -> Iterable[pluggy.PluginManager]:
    """Every plug-in of the group for extensions; one that is broken is reported and left out."""
    for point in _entry_points(EXTENSION_GROUP):
        claim = _Claim(point.name, _source(point), point.load)
        try:
            yield _manager(claim)
        except BackendError as error:
            warnings.warn(str(error), RuntimeWarning, stacklevel=3)


def extra_kernels(backend_name: str) -> dict[str, Callable[..., Any]]:
    """Return the kernels that extensions add to a backend, by op name: `load` puts them in place of its own.

    Raises:
        BackendError: two plug-ins bring a kernel for the same op.
    """
    kernels: dict[str, Callable[..., Any]] = {}
    for manager in _extensions():
        for mapping in manager.hook.kcore_extra_kernels(backend_name=backend_name):
            for op, kernel in mapping.items():
                if op in kernels:
                    raise BackendError(
                        f"Two plug-ins bring a kernel {op!r} for the backend {backend_name!r}."
                    )
                kernels[op] = kernel
    return kernels


def extra_ops() -> list[Any]:
    """Return the op declarations that extensions add: each enters the table by being declared."""
    return [op for manager in _extensions() for ops in manager.hook.kcore_extra_ops() for op in ops]


def file_formats() -> list[Any]:
    """Return the file formats that extensions add."""
    return [fmt for manager in _extensions() for fmts in manager.hook.kcore_file_formats() for fmt in fmts]
