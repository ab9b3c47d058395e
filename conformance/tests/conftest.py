"""The faulty plug-in, registered here and importable by workers."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from kcore import plugin
from kcore.backend import active

PLUGINS = str(Path(__file__).with_name("plugins"))


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a registered backend with faults; its module is `kcore_faulty`."""
    monkeypatch.syspath_prepend(PLUGINS)
    plugin.register(importlib.import_module("kcore_faulty"))
    yield "faulty"
    plugin.unregister("faulty")
    active._loaded.pop("faulty", None)
