"""The pytest plugin: `pytest --kcore-backend NAME` adds the suite as tests, one a level and subject.

pytest loads this module in every run, so it imports nothing before it is asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """The plugin's options."""
    group = parser.getgroup("kcore", "kcore conformance")
    group.addoption(
        "--kcore-backend", action="append", default=[], metavar="NAME", help="run the conformance suite on NAME"
    )
    group.addoption(
        "--kcore-setting", default="quick", choices=["quick", "default", "thorough"], help="size of the run"
    )


def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Add one item per backend named on the command line."""
    items.extend(
        ConformanceItem.from_parent(session, name=f"conformance[{name}]", backend=name)
        for name in config.getoption("--kcore-backend")
    )


class ConformanceItem(pytest.Item):
    """The suite on one backend."""

    def __init__(self, *, backend: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.backend = backend
        self.text = ""

    def runtest(self) -> None:
        """Run the suite; fails with the report when a level is not reached."""
        from kcore_conformance import report, runner
        from kcore_conformance.settings import SETTINGS, Selection

        result = runner.run(self.backend, SETTINGS[self.config.getoption("--kcore-setting")], Selection())
        self.text = report.terminal(result)
        if result.failures():
            pytest.fail(self.text, pytrace=False)

    def reportinfo(self) -> tuple[str, int, str]:
        """Where pytest says the item is."""
        return __file__, 0, self.name

    def lines(self) -> Iterator[str]:
        """The report's lines."""
        yield from self.text.splitlines()
