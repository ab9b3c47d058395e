"""The plan of a run: one `Unit` per op and property and per check, in the order in which the report lists them.

Which properties apply to an op may depend on the active backend (whether it overrides the op), so plans are made where
it is loaded.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from kcore.backend import active
from kcore.ops import REGISTRY
from kcore.ops.spec import Op
from kcore_conformance.properties import PROPERTIES, Property
from kcore_conformance.registry import all_checks
from kcore_conformance.result import Outcome, Status
from kcore_conformance.settings import Selection, Setting


@dataclass(frozen=True)
class Unit:
    """What is run and judged as one.

    Attributes:
        level: the level that it counts for.
        kind: "op" (a property of an op, over drawn examples) or "check" (run once).
        subject: the op's name, or the check's topic.
        prop: the property's or the check's name.
        share: share of the setting's examples; 0 for a check, and for a property whose examples are all listed.
    """

    level: int
    kind: Literal["op", "check"]
    subject: str
    prop: str
    share: float = 0.0

    @property
    def name(self) -> str:
        """`level:subject:property`, which `--replay` understands."""
        return f"{self.level}:{self.subject}:{self.prop}"

    def wanted(self, setting: Setting) -> int:
        """How many examples are to be drawn for it."""
        return setting.wanted(self.share) if self.kind == "op" else 0

    def outcome(self, status: Status = "passed", **facts: Any) -> Outcome:
        """An outcome of this unit."""
        return Outcome(self.level, self.subject, self.prop, status, kind=self.kind, **facts)


def level_of(op: Op, prop: Property) -> int:
    """The level that a property of an op counts for."""
    return prop.level or (2 if op.is_primitive else 3)


def plan(selection: Selection) -> list[Unit]:
    """All units of a selection: by level, on each the checks first, then the ops by name."""
    units = [Unit(c.level, "check", c.topic, c.name) for c in all_checks()]
    backend = active.backend()
    units += [
        Unit(level_of(op, prop), "op", op.name, prop.name, prop.share_on(backend))
        for op in sorted(REGISTRY.values(), key=lambda op: op.name)
        if op.cases is not None
        for prop in PROPERTIES
        if _applies(prop, op)
    ]
    wanted = [u for u in units if u.level <= selection.top and selection.wants(u.subject)]
    return sorted(wanted, key=lambda u: u.level)  # stable: keeps checks before ops, and ops by name


def _applies(prop: Property, op: Op) -> bool:
    """Whether a property applies; where that cannot be told, for a backend that lacks members, running it will tell."""
    try:
        return prop.applies(op)
    except Exception:  # noqa: BLE001
        return True


def grouped(units: Iterable[Unit]) -> list[list[Unit]]:
    """The units by kind and subject, whatever their level: what one worker should run, since compiled code repeats."""
    groups: dict[tuple[str, str], list[Unit]] = {}
    for unit in units:
        groups.setdefault((unit.kind, unit.subject), []).append(unit)
    return list(groups.values())


def find(name: str) -> Unit | None:
    """The unit of a name `level:subject:property`, or None; no backend is asked whether it applies."""
    checks = (Unit(c.level, "check", c.topic, c.name) for c in all_checks())
    properties = (
        Unit(level_of(op, prop), "op", op.name, prop.name, prop.share)
        for op in REGISTRY.values()
        if op.cases is not None and f":{op.name}:" in name
        for prop in PROPERTIES
    )
    return next((unit for unit in (*checks, *properties) if unit.name == name), None)


def selects(selection: Selection) -> bool:
    """Whether the selection holds any op or topic."""
    return any(selection.wants(c.topic) and c.level <= selection.top for c in all_checks()) or (
        selection.top >= 2 and any(selection.wants(op.name) for op in REGISTRY.values() if op.cases is not None)
    )
