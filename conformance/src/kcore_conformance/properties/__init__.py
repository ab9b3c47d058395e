"""The properties of one op on one example: what must hold between backend, declaration and reference.

An example is a dict of arguments, drawn by the op's `cases` or listed in its declaration. Each property raises
`Mismatch` (or lets the backend's own exception through) when it does not hold. `PROPERTIES` is the table; `values`,
`gradients` and `contracts` are the rooms that they live in.
"""

from __future__ import annotations

from kcore.backend import active
from kcore.ops.spec import Op
from kcore_conformance.properties import contracts, gradients, values
from kcore_conformance.properties.examples import Arguments, Property, reference


def _repeats(op: Op) -> bool:
    return not op.random


def _differentiable(op: Op) -> bool:
    return op.differentiable and not op.random


def _smooth(op: Op) -> bool:
    return _differentiable(op) and op.cases.smooth is not None


def _native(op: Op) -> bool:
    return op.body is not None and not op.random and op.name in active.backend().kernels


def _has_low_precision(op: Op) -> bool:
    return _repeats(op) and bool(values.low_precisions(active.backend()))


PROPERTIES: tuple[Property, ...] = (
    Property("eager", _repeats, values.eager, compiling=0.25),
    Property("declared", _repeats, values.declared, 0.5),
    Property("compiled", _repeats, values.compiled, 0.3, compiling=1.0, together=values.compiled_together),
    Property("edges", _repeats, values.edges, 0.0, listed=lambda op, dtypes: op.cases.edges(dtypes),
             together=values.edges_together),
    Property("low precision", _has_low_precision, values.low_precision, 0.2, together=values.low_precision_together),
    Property("errors", lambda op: True, contracts.errors, 0.0, listed=contracts.refused),
    Property("aliasing", lambda op: not op.random and not op.view, contracts.aliasing, 0.2),
    Property("override", _native, contracts.override, 0.3, together=contracts.override_together),
    Property("gradient", _differentiable, gradients.by_the_rules, 0.3, 5, listed=gradients.plain_edges,
             together=gradients.by_the_rules_together),
    Property("finite differences", _smooth, gradients.by_differences, 0.2, 5, cases=lambda op: op.cases.smooth,
             together=gradients.by_differences_together),
)  # fmt: skip

__all__ = ["PROPERTIES", "Arguments", "Property", "reference"]
