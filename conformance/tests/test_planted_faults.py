"""The suite catches planted faults, and passes the sound backends that they were planted into.

Each fault is looked for in the part of the default run where it can show; `prove.py` looks for it with the whole run.
"""

from __future__ import annotations

import copy
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kcore.backend import active

sys.path.insert(0, str(Path(__file__).parent))
import faults
from prove import table

FAULTS = faults.all_faults()
#: What each fault's run said: name -> the first failure, or None.
CAUGHT: dict[str, Any] = {}


@pytest.fixture(scope="module", autouse=True)
def shown(request: pytest.FixtureRequest) -> Iterator[None]:
    """Print the table when all have run (shown by `pytest -s`)."""
    yield
    print("\n" + table([(f, CAUGHT[f.base, f.name]) for f in FAULTS if (f.base, f.name) in CAUGHT]))  # noqa: T201


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f"{f.base}: {f.name}")
def test_a_fault_is_looked_for(fault: faults.Fault) -> None:
    """Its first failure is remembered for the rate; what a single fault may do is escape, not break the suite."""
    report = faults.run(fault.backend(), fault.pattern, fault.top, first=True)
    assert report.outcomes, f"{fault.pattern!r} selects nothing"
    CAUGHT[fault.base, fault.name] = next(iter(report.failures()), None)


def test_at_least_95_percent_are_caught() -> None:
    if len(CAUGHT) < len(FAULTS):
        pytest.skip("only a part of the faults ran")
    escaped = [name for name, found in CAUGHT.items() if found is None]
    assert len(escaped) <= 0.05 * len(FAULTS), f"{len(escaped)} of {len(FAULTS)} faults escape: {escaped}"


def test_the_faults_are_many_and_of_many_kinds() -> None:
    assert len({(f.base, f.name) for f in FAULTS}) == len(FAULTS) >= 100
    assert len(Counter(f.category for f in FAULTS)) >= 25


@pytest.mark.parametrize("base", sorted({f.base for f in FAULTS}))
def test_the_sound_backend_passes(base: str) -> None:
    report = faults.run(copy.copy(active.load(base)), None, 7, "quick")
    assert not report.failures(), "\n".join(f"{o.subject} {o.prop}: {o.message}" for o in report.failures())
