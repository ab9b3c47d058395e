"""The suite catches planted faults, and passes the sound backend that they were planted into."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kcore import plugin
from kcore.backend import active
from kcore.backend.reference.backend import NumpyBackend
from kcore.hookspecs import hookimpl
from kcore_conformance import runner
from kcore_conformance.settings import SETTINGS, Selection

_spec = importlib.util.spec_from_file_location("kcore_planted_faults", Path(__file__).with_name("faults.py"))
assert _spec is not None
assert _spec.loader is not None
faults = importlib.util.module_from_spec(_spec)
sys.modules["kcore_planted_faults"] = faults
_spec.loader.exec_module(faults)

MEMBERS = faults.member_faults(NumpyBackend)


class _Plugin:
    def __init__(self, backend: Any) -> None:
        self.backend = backend

    @hookimpl
    def kcore_backend_info(self) -> plugin.BackendInfo:
        return plugin.BackendInfo(
            name="planted", version="0", framework="numpy", requires="numpy", api=plugin.BACKEND_API
        )

    @hookimpl
    def kcore_load_backend(self) -> Any:
        return self.backend


def run(backend: Any, ops: str | None, top: int, setting: str = "default") -> Any:
    """The suite's report on a backend that is registered for the run only."""
    backend.name = "planted"
    plugin.register(_Plugin(backend))
    try:
        return runner.run("planted", SETTINGS[setting], Selection(top, ops))
    finally:
        plugin.unregister("planted")
        active._loaded.pop("planted", None)


@pytest.mark.parametrize("fault", faults.KERNEL_FAULTS, ids=lambda f: f.name)
def test_a_wrong_kernel_is_caught(fault: SimpleNamespace) -> None:
    backend = NumpyBackend()
    backend.kernels = {**backend.kernels, fault.target: fault.plant(backend.kernels[fault.target])}
    report = run(backend, fault.ops, fault.top)
    assert report.failures(), f"{fault.name!r} went unnoticed in {report.examples} examples"


@pytest.mark.parametrize("name", MEMBERS)
def test_a_wrong_member_is_caught(name: str) -> None:
    kind, ops, top = MEMBERS[name]
    assert run(kind(), ops, top).failures(), f"{name!r} went unnoticed"


def test_a_missing_kernel_is_caught() -> None:
    backend = NumpyBackend()
    backend.kernels = {k: v for k, v in backend.kernels.items() if k != "tanh"}
    report = run(backend, "plug-in", 0)
    assert "tanh" in report.failures()[0].message


def test_the_sound_backend_passes() -> None:
    report = run(NumpyBackend(), None, 5, "quick")
    assert not report.failures(), "\n".join(f"{o.subject} {o.prop}: {o.message}" for o in report.failures())
