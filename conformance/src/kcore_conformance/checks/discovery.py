"""Level 0: the backend says what it is."""

from __future__ import annotations

import inspect
from typing import Any

from kcore import plugin
from kcore.backend import protocol
from kcore.errors import suggestion
from kcore.graph.passes import STRUCTURAL
from kcore.ops import REGISTRY, Op
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
    if getattr(backend, "state_style", "value") == "ref":
        missing += [m for m in ("assign", "inplace") if not hasattr(backend, m)]
    if "capabilities" not in missing and backend.capabilities.autodiff and not hasattr(backend, "value_and_grad"):
        missing.append("value_and_grad")
    if missing:
        told = "".join(f"\n      {m}: {_purpose(m)}" for m in missing)
        raise Mismatch(
            f"{type(backend).__name__} lacks {len(missing)} members of kcore.backend.protocol.Backend "
            f"(kcore.backend.value_style.ValueStyleBackend has defaults for most of them):{told}"
        )


def _purpose(member: str) -> str:
    """The first line of what the protocol says of a member."""
    method = getattr(protocol.Backend, member, None)
    text = inspect.getdoc(method) if callable(method) else f"an attribute, {protocol.Backend.__annotations__[member]}"
    return (text or "").split("\n")[0]


@check(0, "plug-in")
def has_a_kernel_for_every_primitive(backend: Any) -> None:
    needed = {name: op for name, op in REGISTRY.items() if op.is_primitive and name not in STRUCTURAL}
    missing = [op for name, op in needed.items() if name not in getattr(backend, "kernels", {})]
    if missing:
        families: dict[str, list[str]] = {}
        for op in missing:
            families.setdefault(op.public.__module__, []).append(f"{op.name}({', '.join(kernel_arguments(op))})")
        told = "".join(f"\n      {family}: {', '.join(sorted(ops))}" for family, ops in sorted(families.items()))
        raise Mismatch(
            f"no kernels for {len(missing)} of the {len(needed)} primitives (kcore.backend.host.host_kernels has one "
            f"for each to start from); by the module that declares them:{told}"
        )


def kernel_arguments(op: Op) -> list[str]:
    """What the op's kernel is called with, by name: random ops get a key in place of their seed."""
    return ["key", *(p for p in op.params if p != "seed")] if op.random else list(op.params)


@check(0, "plug-in")
def kernels_are_named_after_ops(backend: Any) -> None:
    for name in sorted(set(getattr(backend, "kernels", {})) - set(REGISTRY)):
        raise Mismatch(f"a kernel named {name!r}, but no op is.{suggestion(name, REGISTRY)}")
