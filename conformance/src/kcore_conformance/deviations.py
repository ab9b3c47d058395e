"""Declared deviations: what a backend's author knows to be wrong, as data in the backend's own package.

A module `<package>.deviations` holds `DEVIATIONS`, a list of `Deviation`. Each is run as a strict expected failure: one
that no longer fails is an error, so that the list never outlives its reasons.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Deviation:
    """One known difference from the contract.

    Attributes:
        op: the op's name, or the topic of a check.
        aspect: the property that fails.
        kind: "todo" (will be mended), "upstream" (the framework's fault), "never" (out of the backend's reach).
        reason: why, in a sentence.
        dtypes: only for these dtypes; () for all.
        example: arguments that show it, () where the property itself does.
        link: an upstream report.
    """

    op: str
    aspect: str
    kind: Literal["todo", "upstream", "never"]
    reason: str
    dtypes: tuple[str, ...] = ()
    example: tuple[Any, ...] = ()
    link: str = ""


def declared_by(backend: Any) -> Sequence[Deviation]:
    """The deviations that a backend's package declares."""
    own = getattr(backend, "deviations", None)
    if own is not None:
        return tuple(own)
    package = type(backend).__module__.split(".")[0]
    try:
        module = importlib.import_module(f"{package}.deviations")
    except ModuleNotFoundError:
        return ()
    return tuple(module.DEVIATIONS)
