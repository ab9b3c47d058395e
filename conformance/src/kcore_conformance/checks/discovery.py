"""Level 0: the backend says what it is."""

from __future__ import annotations

from typing import Any

from kcore import plugin
from kcore.graph.passes import STRUCTURAL
from kcore.ops import REGISTRY
from kcore_conformance.compare import Mismatch
from kcore_conformance.registry import check

MEMBERS = (
    "name", "capabilities", "state_style", "kernels", "is_native", "asarray", "to_numpy", "spec_of", "new_state",
    "read", "finalize", "step_key", "fold_key", "devices", "device_scope", "synchronize", "infer_native", "configure",
)  # fmt: skip


@check(0, "plug-in")
def is_listed_with_its_name_and_api(backend: Any) -> None:
    info = plugin.discover().get(backend.name)
    if info is None:
        raise Mismatch(f"no backend of the name {backend.name!r} is registered")
    if info.api != plugin.BACKEND_API:
        raise Mismatch(f"written for API {info.api}, this kcore has {plugin.BACKEND_API}")


@check(0, "plug-in")
def has_all_members_of_the_protocol(backend: Any) -> None:
    missing = [m for m in MEMBERS if not hasattr(backend, m)]
    if backend.state_style == "ref" and not hasattr(backend, "assign"):
        missing.append("assign")
    if backend.capabilities.autodiff and not hasattr(backend, "value_and_grad"):
        missing.append("value_and_grad")
    if missing:
        raise Mismatch(f"missing members: {', '.join(missing)}")


@check(0, "plug-in")
def has_a_kernel_for_every_primitive(backend: Any) -> None:
    needed = {name for name, op in REGISTRY.items() if op.is_primitive} - STRUCTURAL
    missing = sorted(needed - set(backend.kernels))
    if missing:
        raise Mismatch(f"no kernels for: {', '.join(missing)}")


@check(0, "plug-in")
def kernels_are_named_after_ops(backend: Any) -> None:
    unknown = sorted(set(backend.kernels) - set(REGISTRY))
    if unknown:
        raise Mismatch(f"kernels that no op has: {', '.join(unknown)}")
