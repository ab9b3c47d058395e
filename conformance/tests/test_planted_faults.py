"""The suite catches planted faults, and passes the sound backends that they were planted into.

Each fault is looked for in the part of the default run where it can show; `prove.py` looks for it with the whole run.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable

import faults
import pytest

from kcore.backend import active

FAULTS = faults.all_faults()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f"{f.base}: {f.name}")
def test_a_fault_is_caught(fault: faults.Fault, record_property: Callable[[str, object], None]) -> None:
    report = faults.run(fault.backend(), fault.pattern, fault.top, first=True)
    assert report.outcomes, f"{fault.pattern!r} selects nothing"
    found = next(iter(report.failures()), None)
    record_property("fault", (fault.category, found is not None))  # for the table (conftest.py)
    assert found is not None, f"{fault.name!r} escapes in {report.examples} examples"


def test_the_faults_are_many_and_of_many_kinds() -> None:
    assert len({(f.base, f.name) for f in FAULTS}) == len(FAULTS) >= 100
    assert len(Counter(f.category for f in FAULTS)) >= 25


@pytest.mark.parametrize("base", sorted({f.base for f in FAULTS}))
def test_the_sound_backend_passes(base: str) -> None:
    report = faults.run(copy.copy(active.load(base)), None, 7, "quick")
    assert not report.failures(), "\n".join(f"{o.subject} {o.prop}: {o.message}" for o in report.failures())
