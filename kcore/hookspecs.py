"""The hooks that a plug-in may implement, for pluggy.

A plug-in is a module (or any object) with some of these functions, marked with `hookimpl`. The entry-point group
`kcore.backends` is for the first two (the entry point is named like the backend), `kcore.extensions` for the others
(any name; a package may have both).
Hooks are for cold paths: discovery, loading, registration. Nothing is called through pluggy per op.

    from kcore.hookspecs import hookimpl
    from kcore.plugin import BackendInfo

    @hookimpl
    def kcore_backend_info():
        return BackendInfo(name="toy", version="1.0", framework="toylib", requires="toylib>=2", api=1)

    @hookimpl
    def kcore_load_backend():
        from .backend import ToyBackend     # only here is the framework imported
        return ToyBackend()
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from kcore.plugin import BackendInfo

PROJECT = "kcore"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def kcore_backend_info() -> BackendInfo:  # type: ignore[empty-body]
    """Describe the backend. Must not import the framework: this runs when backends are only listed."""


@hookspec
def kcore_load_backend() -> Any:
    """Import the framework and return the backend object (see the Backend protocol in `kcore.backend`).

    An ImportError raised here is reported to the user as a missing framework, with `BackendInfo.requires`
    as the remedy.
    """


@hookspec
def kcore_extra_kernels(backend_name: str) -> Mapping[str, Callable[..., Any]] | None:
    """Return kernels, by op name, that a backend gets when it is loaded; None or {} when there are none for it."""


@hookspec
def kcore_extra_ops() -> Iterable[Any] | None:
    """Return op declarations (functions made by `kcore.ops.spec.primitive` or `composite`) to add to the core's."""


@hookspec
def kcore_file_formats() -> Iterable[Any] | None:
    """Return `kcore.saving.formats.FileFormat` objects to add to what `save` and `load_model` know."""
