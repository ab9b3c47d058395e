"""`--replay`: run one counter-example and tell the arguments, what was expected and what came."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kcore.backend.active import backend_scope
from kcore.ops.spec import Op
from kcore_conformance import plain
from kcore_conformance.bench import Bench, run_check
from kcore_conformance.replay import Example, ReplayError, op_and_property
from kcore_conformance.settings import SETTINGS
from kcore_conformance.trial import Finding, once

#: Characters of one value that are shown.
_LIMIT = 4000


def rerun(example: Example, backend: Any) -> tuple[bool, str]:
    """Run an example on a loaded, active backend.

    Returns:
        Whether it holds now, and the text to print.
    """
    unit = example.unit
    place = "" if example.listed is None else f"#{example.listed}"
    lines = [f"{unit.name}{place} on {backend.name}"]
    if unit.kind == "check":
        finding = run_check(unit, backend)
    elif (arguments := _arguments(example, backend)) is None:
        _, prop = op_and_property(unit)
        outcome = Bench(backend).run(unit, SETTINGS["default"].wanted(prop.share_on(backend)))
        finding = None if outcome.good else Finding(outcome.message)
        lines.append(f"  {outcome.examples} examples")
    else:
        lines += [f"  {name} = {_shown(value)}" for name, value in arguments.items()]
        op, prop = op_and_property(unit)
        finding = once(op, prop, backend, arguments)
        if set(arguments) <= set(op.params):
            lines += _comparison(op, arguments, backend, finding)
    lines.append(f"fails: {finding.message}" if finding is not None else "holds")
    return finding is None, "\n".join(lines)


def _arguments(example: Example, backend: Any) -> Mapping[str, Any] | None:
    if example.listed is None:
        return example.arguments
    op, prop = op_and_property(example.unit)
    listed = prop.listed(op, backend.capabilities.dtypes)
    if example.listed >= len(listed):
        raise ReplayError(f"{example.unit.name} lists {len(listed)} examples; there is no number {example.listed}.")
    return listed[example.listed]


def _shown(value: Any) -> str:
    text = plain.typed(value)
    return text if len(text) <= _LIMIT else f"{text[:_LIMIT]} ..."


def _comparison(op: Op, arguments: Mapping[str, Any], backend: Any, finding: Finding | None) -> list[str]:
    """Expected and got: what the property compared where it says so, else the op's plain results."""
    error = finding.error if finding is not None else None
    if getattr(error, "want", None) is not None:
        return [f"expected {_shown(np.asarray(error.want))}", f"got      {_shown(np.asarray(error.got))}"]  # type: ignore[union-attr]
    return [
        f"expected {_result(op, arguments, 'numpy')}  (the reference, eager)",
        f"got      {_result(op, arguments, backend.name)}  (eager)",
    ]


def _result(op: Op, arguments: Mapping[str, Any], name: str) -> str:
    with backend_scope(name) as backend:
        try:
            result = op.public(**plain.copy(dict(arguments)))
            found = [np.asarray(backend.to_numpy(x)) for x in (result if op.multiple else [result])]
        except Exception as error:  # noqa: BLE001 - what comes is what is shown
            return f"{type(error).__name__}: {error}"
    return ", ".join(map(_shown, found))
