"""The pytest plugin: `pytest --kcore-backend NAME` adds the suite as tests, one per op and property and per check.

They are called `conformance[NAME:LEVEL:SUBJECT:PROPERTY]`; -k, -x, --lf and pytest-xdist work as with any tests. A
declared deviation that fails as declared is an expected failure. pytest loads this module in every run, so it imports
nothing before it is asked.
"""

from __future__ import annotations

from typing import Any

import pytest

_OPTIONS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("backend", {"action": "append", "default": [], "metavar": "NAME", "help": "run the conformance suite on NAME"}),
    ("setting", {"default": "quick", "choices": ["quick", "default", "thorough"], "help": "size of the run"}),
    ("level", {"type": int, "default": None, "metavar": "N", "help": "highest level to test (default: the top one)"}),
    ("ops", {"default": None, "metavar": "PATTERN", "help": "only ops and topics that match this regular expression"}),
    ("plugin", {"action": "append", "default": [], "metavar": "MODULE", "help": "register the hooks of MODULE first"}),
    ("strict", {"action": "store_true", "help": "accept declared deviations of kind 'upstream' only"}),
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """The plugin's options."""
    group = parser.getgroup("kcore", "kcore conformance")
    for name, facts in _OPTIONS:
        group.addoption(f"--kcore-{name}", **facts)


def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Add the suite's items for each backend named on the command line."""
    names = config.getoption("--kcore-backend")
    if not names:
        return
    import importlib

    from kcore import plugin

    for module in config.getoption("--kcore-plugin"):
        plugin.register(importlib.import_module(module))
    for name in names:
        items.extend(_items(session, config, name))


def _items(session: pytest.Session, config: pytest.Config, name: str) -> list[pytest.Item]:
    from kcore.backend import active
    from kcore_conformance.bench import Bench
    from kcore_conformance.registry import top_level
    from kcore_conformance.settings import Selection

    level = config.getoption("--kcore-level")
    selection = Selection(top_level() if level is None else level, config.getoption("--kcore-ops"))
    try:
        with active.backend_scope(name) as backend:
            bench = Bench(backend, strict=config.getoption("--kcore-strict"))
            units = bench.plan(selection)
    except Exception as error:
        raise pytest.UsageError(f"The backend {name!r} cannot be tested: {error}") from error
    called = [f"conformance[{name}:{unit.name}]" for unit in units]
    return [
        ConformanceItem.from_parent(session, name=id, nodeid=id, bench=bench, unit=unit)
        for id, unit in zip(called, units, strict=True)
    ]


class ConformanceFailure(Exception):  # noqa: N818 - a finding
    """An outcome that stands in a level's way."""


class ConformanceItem(pytest.Item):
    """One unit of the suite on one backend."""

    def __init__(self, *, bench: Any, unit: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.bench = bench
        self.unit = unit

    def runtest(self) -> None:
        """Run the unit; fails with the counter-example and the command that replays it."""
        from kcore.backend import active
        from kcore_conformance.result import Report
        from kcore_conformance.settings import SETTINGS

        backend, setting = self.bench.backend.name, SETTINGS[self.config.getoption("--kcore-setting")]
        with active.backend_scope(backend):
            outcome = self.bench.run(self.unit, self.unit.wanted(setting))
            self.bench.free()
        if outcome.status == "deviates":
            pytest.xfail("; ".join(f"{note.kind}: {note.reason}" for note in outcome.deviations))
        if not outcome.good:
            report = Report(backend, setting.name, plugins=tuple(self.config.getoption("--kcore-plugin")))
            command = report.command(outcome)
            raise ConformanceFailure(outcome.message + (f"\nreplay: {command}" if command else ""))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The finding's own words; a traceback only for what is no finding."""
        if isinstance(excinfo.value, ConformanceFailure):
            return f"level {self.unit.level}: {self.unit.subject}, {self.unit.prop}: {excinfo.value}"
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[str, int | None, str]:
        """Where pytest says the item is."""
        return f"kcore conformance of {self.bench.backend.name}", None, self.name
