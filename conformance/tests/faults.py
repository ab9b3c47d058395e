"""Faults to plant into a sound backend, one at a time: what the suite must notice.

This room holds what a fault is and how it is planted; the faults themselves are rows of `faults_numpy`, `faults_nn`,
`faults_torch` and `faults_members`, by where they are planted.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis.internal.conjecture import engine
from registered import registered

from kcore.backend import active
from kcore.ops import REGISTRY
from kcore.ops.eager import inside_a_body

Plant = Callable[[Any], Any]


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
        name: what is wrong.
        category: its kind.
        target: the kernel, or the backend's member, that is replaced.
        plant: gives the wrong one for the right one.
        ops: pattern that narrows a quick run to where the fault can show; the target and its laws where empty.
        top: highest level of the quick run.
        base: the sound backend that it is planted into.
        where: "kernels", "inplace" (updates that overwrite state), or "member".
    """

    name: str
    category: str
    target: str
    plant: Plant
    ops: str = ""
    top: int = 3
    base: str = "numpy"
    where: str = "kernels"

    @property
    def pattern(self) -> str:
        """What a quick run is narrowed to."""
        return self.ops or rf"^{self.target}\b"

    def backend(self) -> Any:
        """A backend of its own with the fault in it."""
        backend = copy.copy(active.load(self.base))
        if self.where == "member":
            setattr(backend, self.target, self.plant(getattr(backend, self.target)))
            return backend
        table = dict(getattr(backend, self.where))
        right = table.get(self.target) or _body(self.target)
        wrong = self.plant(right)
        if hasattr(right, "supports") and not hasattr(wrong, "supports"):
            wrong.supports = right.supports
        table[self.target] = wrong
        setattr(backend, self.where, table)
        return backend


def _body(name: str) -> Callable[..., Any]:
    """The body of a composite as a kernel, for backends that have none of their own."""
    op = REGISTRY[name]

    def run(*arguments: Any) -> Any:
        with inside_a_body():
            return op.body(*arguments)  # type: ignore[misc]

    return run


class _Enough(BaseException):
    """Ends a run; not an Exception, which the suite would take for a finding."""


def run(backend: Any, ops: str | None, top: int, setting: str = "default", *, first: bool = False) -> Any:
    """The suite's report on a backend, which is registered under the name "planted" for the run only.

    With `first`, the run ends at its first failure: what would come after it cannot change that it was found.
    """
    from kcore_conformance import runner
    from kcore_conformance.result import Report
    from kcore_conformance.settings import SETTINGS, Selection

    seen = Report("planted", setting, top=top, partial=True)

    def look(outcome: Any) -> None:
        seen.add([outcome])
        if first and not outcome.good:
            raise _Enough

    shrinks = engine.MAX_SHRINKS
    try:
        if first:  # that there is a counter-example counts here, not how small it is: most of the time goes there
            engine.MAX_SHRINKS = 1
        with registered("planted", backend):
            return runner.run("planted", SETTINGS[setting], Selection(top, ops), look)
    except _Enough:
        return seen
    finally:
        engine.MAX_SHRINKS = shrinks


def all_faults() -> tuple[Fault, ...]:
    """Every fault, those that need PyTorch only where it is installed."""
    import importlib.util

    import faults_members
    import faults_nn
    import faults_numpy

    found = (*faults_numpy.FAULTS, *faults_nn.FAULTS, *faults_members.FAULTS)
    if importlib.util.find_spec("torch") is not None:
        import faults_torch

        found = (*found, *faults_torch.FAULTS)
    return found
